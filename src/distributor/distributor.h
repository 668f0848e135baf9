/* distributor/distributor.h - takes remote write: decode, validate, limit, hand on.
 *
 * Promise: a 2xx means that every valid sample of the request is with the ingester (quorum, once there are several).
 * Checks, their order, texts, codes and reasons: spec ring-distributor-ingester.md 4.1 to 4.3,
 * http-api-and-config.md 1.3.1 and 3.2. A known sender costs one hash and one table look-up per series: no label is
 * parsed, validated or copied. Threads: any number of workers push at once.
 */
#ifndef PL_DISTRIBUTOR_DISTRIBUTOR_H
#define PL_DISTRIBUTOR_DISTRIBUTOR_H

#include "base/base.h"
#include "http/http.h"
#include "ports/ingest.h"
#include "tenant/limits.h"

struct distributor;
struct distributor_options {
    uint64_t recv_bytes_max;    /* -distributor.max-recv-msg-size, on compressed and decoded size */
    double ingestion_rate_max;  /* instance_limits.max_ingestion_rate, 0: off */
    uint64_t inflight_push_max; /* instance_limits.max_inflight_push_requests, 0: off */
    bool accept_unknown_content_type;
    bool utf8_names;      /* name_validation_scheme: utf8 */
    uint32_t tenants_max; /* that have counters and a rate limit of their own, 0: 100000; later ones share theirs */
};

struct distributor *distributor_create(const struct distributor_options *o, struct overrides *limits,
                                       struct ingest_port *ingest);
void distributor_destroy(struct distributor *d);
/* POST /api/v1/push. arg is the distributor. */
void distributor_handle_push(void *arg, struct http_request *req, struct http_response *resp);
void distributor_handle_user_stats(void *arg, struct http_request *req, struct http_response *resp);
/* Too-large bodies answer 400 `received message larger than max (N vs M)`. */
void distributor_push_too_large(struct http_request *req, struct http_response *resp, uint64_t body_max,
                                uint64_t content_length);
/* Decoded remote write 1.0 message. `a` bounds what the push may take: PL_LIMIT past it. Also for pushes from inside
 * the process (self-scrape). */
PL_MUST_USE pl_status distributor_push(struct distributor *d, pl_str tenant, pl_str write_request, struct pl_arena *a,
                                       int64_t now_ms, struct pl_err *err);
void distributor_tick(struct distributor *d, int64_t now_mono_ns); /* each second: rates */

#endif
