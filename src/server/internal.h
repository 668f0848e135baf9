/* server/internal.h - routes and what is counted for them. */
#ifndef PL_SERVER_INTERNAL_H
#define PL_SERVER_INTERNAL_H

#include "base/sync.h"
#include "io/worker.h"
#include "metric/metric.h"
#include "regex/regex.h"
#include "server/admin.h"

enum { ROUTE_METHODS = 7, ROUTE_STATUSES = 24, ROUTE_SEGMENTS_MAX = 32 };

/* Const after start, but the cells: atomic, filled on first use. */
struct route {
    struct server_route r;
    struct server *server;
    char *path; /* the template with the path prefix, owned */
    char *name; /* the metrics' route label, owned */
    struct metric_cell *_Atomic duration[ROUTE_METHODS][ROUTE_STATUSES];
    struct metric_cell *_Atomic request_bytes[ROUTE_METHODS];
    struct metric_cell *_Atomic response_bytes[ROUTE_METHODS];
    struct metric_cell *_Atomic inflight[ROUTE_METHODS];
};

/* All routes of one template. */
struct route_path {
    pl_str text;   /* of its first route */
    bool exact;    /* no {name} in it */
    uint32_t next; /* index + 1 of the next exact path in its hash bucket */
    struct route **routes;
    size_t count, cap;
};

enum { ROUTER_BUCKETS = 256 };
struct router {
    struct route_path *paths;
    size_t count, cap;
    uint32_t buckets[ROUTER_BUCKETS]; /* exact paths: index + 1 */
};

/* What /metrics reads of a server. Never freed, since the metric registry keeps its callback for good. */
struct conn_gauges {
    struct pl_mutex lock;
    const struct http_server *http; /* locked by lock; NULL when stopped */
};

/* Which misconfigured clients were named in the log lately. Locked by `lock`. */
enum { SENDER_SLOTS = 64 };
struct sender_notices {
    struct pl_mutex lock; /* PL_RANK_LIMITER */
    struct {
        int64_t said_ns;
    } slot[SENDER_SLOTS]; /* by a hash of path, status and client */
};

/* Const after start, but `senders`. */
struct server {
    struct server_options o;
    char *texts[16]; /* owned copies of the options' texts */
    uint32_t text_count;
    struct regex *cors_origin; /* NULL: any */
    struct regex *source_ips;  /* NULL: the usual headers */
    char *log_headers[SERVER_LOG_HEADERS_MAX];
    size_t log_header_count;
    struct router router;
    struct route *not_found; /* counts what matched no route */
    struct http_server *http;
    struct worker_pool *pools[SERVER_POOL_COUNT];
    struct conn_gauges *gauges;
    const struct server_admin *admin; /* borrowed; NULL: no admin pages */
    struct sender_notices senders;
};

/* router.c */
void router__add(struct router *rt, struct route *r);
void router__fini(struct router *rt);
enum router_match { ROUTER_FOUND, ROUTER_NOT_FOUND, ROUTER_OTHER_METHOD, ROUTER_BAD_ESCAPE };
/* Finds the route and fills req->path_var. ROUTER_OTHER_METHOD: *allowed is the mask of the path's methods. */
enum router_match router__match(const struct router *rt, struct http_request *req, struct route **out,
                                uint32_t *allowed);
char *router__name(pl_str template); /* "/api/v1/push" -> "api_v1_push"; pl_free */

/* observe.c */
/* Write routes show their counts from zero on, so that a rate sees the very first push. */
void server__count_from_zero(struct route *r);
void server__count_begin(struct route *r, const struct http_request *req);
/* Counts and logs an answer. `handled`: count_begin was called. */
void server__count_end(struct route *r, const struct http_request *req, const struct http_response *resp, bool handled);
struct conn_gauges *server__gauges_create(void);
void server__gauges_set(struct conn_gauges *g, const struct http_server *http);

/* access_log.c */
PL_MUST_USE pl_status server__log_setup(struct server *s, struct pl_err *err);
void server__log_request(struct server *s, const struct http_request *req, const struct http_response *resp,
                         int64_t taken_ns);

/* dress.c */
void server__cors(const struct server *s, const struct http_request *req, struct http_response *resp);
void server__compress(const struct http_request *req, struct http_response *resp);

#endif
