/* The HTTP face: POST /api/v1/push and the usage page. Spec http-api-and-config.md 1.3. */
#include "distributor/internal.h"
#include "distributor/messages.h"

#include "base/clock.h"
#include "codec/float_text.h"
#include "codec/snappy.h"
#include "ports/shed.h"
#include "server/server.h"

#include <stdlib.h>

/* Of memory for each byte that -distributor.max-recv-msg-size allows, and what a push may take however little that is.
 * Small pushes are not charged to the process's budget: there are no more of them at once than threads, they are over
 * before it would notice, and none of them shall be what makes new series refused. */
enum { MEMORY_PER_BYTE = 8, MEMORY_MIN = 1 << 20, SMALL_PUSH = 1 << 20, SMALL_PUSH_MEMORY = 64 << 20 };

/* ---- what is accepted ---- */

enum proto { PROTO_V1, PROTO_V2, PROTO_UNKNOWN };

static pl_str next_part(pl_str *rest)
{
    size_t at = pl_str_find(*rest, ';');
    pl_str part = at == SIZE_MAX ? *rest : pl_str_sub(*rest, 0, at);

    *rest = at == SIZE_MAX ? PL_STR("") : pl_str_sub(*rest, at + 1, rest->n);
    return pl_str_trim(part);
}

/* Reads `application/x-protobuf[;proto=NAME]`. */
static pl_status parse_content_type(enum proto *out, pl_str text, struct pl_err *err)
{
    pl_str rest = pl_str_trim(text), media = next_part(&rest);

    *out = PROTO_V1;
    if (text.n == 0) {
        return PL_OK;
    }
    if (!pl_str_eq_nocase(media, PL_STR("application/x-protobuf"))) {
        return pl_fail(err, PL_BAD_MEDIA,
                       "expected application/x-protobuf as the first (media) part, got %.*s content-type",
                       PL_STR_ARG(text));
    }
    while (rest.n > 0) {
        pl_str part = next_part(&rest);
        size_t eq = pl_str_find(part, '=');
        if (part.n > 0 && eq == SIZE_MAX) {
            return pl_fail(err, PL_BAD_MEDIA,
                           "expected content type parameters to be key-values, got %.*s in %.*s content-type",
                           PL_STR_ARG(part), PL_STR_ARG(text));
        }
        if (part.n == 0 || !pl_str_eq(pl_str_sub(part, 0, eq), PL_STR("proto"))) {
            continue;
        }
        part = pl_str_sub(part, eq + 1, part.n);
        if (pl_str_eq(part, PL_STR("io.prometheus.write.v2.Request"))) {
            *out = PROTO_V2;
        } else if (!pl_str_eq(part, PL_STR("prometheus.WriteRequest"))) {
            return pl_fail(err, PL_BAD_MEDIA, "got %.*s content type; unknown remote write protobuf message %.*s",
                           PL_STR_ARG(text), PL_STR_ARG(part));
        }
    }
    return PL_OK;
}

static pl_status negotiate(const struct distributor *d, const struct http_request *req, struct pl_err *err)
{
    pl_str encoding = pl_str_trim(http_header_get(req, PL_STR("Content-Encoding")));
    enum proto proto;
    pl_status st = parse_content_type(&proto, http_header_get(req, PL_STR("Content-Type")), err);

    if (st != PL_OK) {
        if (!d->o.accept_unknown_content_type) {
            return st;
        }
        proto = PROTO_UNKNOWN;
    }
    if (proto == PROTO_V2) {
        return pl_fail(err, PL_BAD_MEDIA, MSG_PROTO, PL_STR_ARG(PL_STR("io.prometheus.write.v2.Request")));
    }
    if (encoding.n > 0 && !pl_str_eq_nocase(encoding, PL_STR("snappy"))) {
        return pl_fail(err, PL_BAD_MEDIA, MSG_ENCODING, PL_STR_ARG(encoding));
    }
    metric_inc(proto == PROTO_V1 ? d->cell.push_v1 : d->cell.push_unknown);
    return PL_OK;
}

/* ---- push ---- */

static pl_status too_large(uint64_t n, uint64_t max, struct pl_err *err)
{
    return pl_fail(err, PL_INVALID, MSG_TOO_LARGE, n, max);
}

static pl_status decode(const struct distributor *d, const struct http_request *req, struct pl_arena *a, pl_str *out,
                        struct pl_err *err)
{
    size_t n;
    char *to;

    if (req->body.n > d->o.recv_bytes_max) {
        return too_large(req->body.n, d->o.recv_bytes_max, err);
    }
    if (!snappy_decoded_size(req->body, &n)) {
        return pl_fail(err, PL_INVALID, "snappy: corrupt input");
    }
    if (n > d->o.recv_bytes_max) {
        return too_large(n, d->o.recv_bytes_max, err);
    }
    if (!snappy_size_plausible(req->body, n)) {
        return pl_fail(err, PL_INVALID, "snappy: corrupt input");
    }
    if (n > SMALL_PUSH) {
        a->counted = a->writes = true;
    } else {
        a->limit_bytes = PL_MIN(a->limit_bytes, (size_t)SMALL_PUSH_MEMORY);
    }
    to = pl_arena_alloc_try(a, PL_MAX(n, (size_t)1));
    if (to == NULL) {
        return ingest_fail_memory(a, err);
    }
    PL_TRY(snappy_decode(to, n, req->body, err));
    *out = pl_str_of(to, n);
    return PL_OK;
}

static pl_status push(struct distributor *d, struct http_request *req, struct pl_arena *a, struct pl_err *err)
{
    pl_str message;

    PL_TRY(shed_check(SHED_PUSH, err));
    PL_TRY(negotiate(d, req, err));
    PL_TRY(decode(d, req, a, &message, err));
    if (server_tenant_check(req->tenant, err) != PL_OK) {
        /* COMPAT: the original finds a bad tenant id too late to call it the sender's fault. That loses nothing: a
         * sender that is told 500 keeps its samples until its header is mended, one that is told 400 drops them. */
        err->status = PL_INTERNAL;
        return PL_INTERNAL;
    }
    if (req->canceled != NULL && atomic_load_explicit(req->canceled, memory_order_relaxed)) {
        return pl_fail(err, PL_CANCELED, "context canceled");
    }
    return distributor_push(d, req->tenant, message, a, pl_now_unix_ms(), err);
}

/* Decoded bytes and everything made of them: a few bytes of message may become a series with all its entries. What real
 * senders write takes three times its size. */
static size_t memory_max(const struct distributor *d)
{
    size_t n;

    return pl_mul_ok(&n, (size_t)d->o.recv_bytes_max, (size_t)MEMORY_PER_BYTE) ? PL_MAX(n, MEMORY_MIN) : SIZE_MAX / 2;
}

void distributor_handle_push(void *arg, struct http_request *req, struct http_response *resp)
{
    struct distributor *d = arg;
    struct pl_err err = {.status = PL_OK};
    struct pl_arena a;
    pl_status st;

    pl_arena_init(&a, memory_max(d));
    st = push(d, req, &a, &err);
    if (st == PL_LIMIT || st == PL_NOMEM) {
        if (a.refused) {
            (void)shed_fail(SHED_PUSH, &err); /* the process has no room: may be repeated */
        } else {
            err.status = PL_INVALID; /* the same bytes would fail again: the sender must not repeat them */
        }
    }
    pl_arena_fini(&a);
    if (st == PL_OK) {
        resp->status = 200;
    } else {
        server_text_fail(resp, &err);
    }
}

void distributor_push_too_large(struct http_request *req, struct http_response *resp, uint64_t body_max,
                                uint64_t content_length)
{
    struct pl_err err;

    (void)req;
    /* Without a length, one byte more than allowed was read. */
    (void)too_large(content_length > 0 ? content_length : body_max + 1, body_max, &err);
    server_text_fail(resp, &err);
}

/* ---- /distributor/all_user_stats ---- */

static int by_series(const void *pa, const void *pb)
{
    const struct ingest_tenant_row *a = pa, *b = pb;

    if (a->stats.series != b->stats.series) {
        return a->stats.series < b->stats.series ? 1 : -1;
    }
    return pl_str_cmp(a->tenant, b->tenant);
}

/* Tenant ids hold no character that JSON must escape; HTML's are the apostrophe only, harmless in text. */
static void stats_json(struct pl_buf *b, const struct ingest_tenant_row *rows, size_t n)
{
    pl_buf_byte(b, '[');
    for (size_t i = 0; i < n; i++) {
        const struct tenant_stats *s = &rows[i].stats;
        pl_buf_printf(b, "%s{\"userID\":\"%.*s\",\"ingestionRate\":", i > 0 ? "," : "", PL_STR_ARG(rows[i].tenant));
        pl_buf_f64_json(b, s->ingestion_rate);
        pl_buf_printf(b, ",\"numSeries\":%" PRIu64 ",\"APIIngestionRate\":", s->series);
        pl_buf_f64_json(b, s->api_rate);
        PL_BUF_LIT(b, ",\"RuleIngestionRate\":");
        pl_buf_f64_json(b, s->rule_rate);
        pl_buf_printf(b, ",\"activeSeries\":%" PRIu64 ",\"loadedBlocks\":%" PRIu64 ",\"queriedIngesters\":1}",
                      s->active_series, s->loaded_blocks);
    }
    pl_buf_byte(b, ']');
}

static void stats_html(struct pl_buf *b, const struct ingest_tenant_row *rows, size_t n)
{
    pl_buf_cstr(b, "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"UTF-8\"><title>Cortex Ingester "
                   "Stats</title><link rel=\"stylesheet\" href=\"../ui/admin.css\"></head>\n"
                   "<body>\n<nav><a href=\"../\">&larr; Pallium</a></nav>\n"
                   "<h1>Cortex Ingester Stats</h1>\n<p>Current time: ");
    pl_buf_rfc3339_ms(b, pl_now_unix_ms());
    pl_buf_cstr(b,
                "</p>\n<p>Each series is counted once per replica (replication factor 1); summed over 1 ingester.</p>\n"
                "<table border=\"1\">\n<thead><tr><th>User</th><th>Loaded Blocks</th><th># Series</th>"
                "<th># Active Series</th><th>Total Ingest Rate</th><th>API Ingest Rate</th><th>Rule Ingest Rate</th>"
                "<th># Queried Ingesters</th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < n; i++) {
        const struct tenant_stats *s = &rows[i].stats;
        pl_buf_printf(b,
                      "<tr><td>%.*s</td><td align=\"right\">%" PRIu64 "</td><td align=\"right\">%" PRIu64
                      "</td><td align=\"right\">%" PRIu64
                      "</td><td align=\"right\">%.2f</td><td align=\"right\">%.2f</td>"
                      "<td align=\"right\">%.2f</td><td align=\"right\">1</td></tr>\n",
                      PL_STR_ARG(rows[i].tenant), s->loaded_blocks, s->series, s->active_series, s->ingestion_rate,
                      s->api_rate, s->rule_rate);
    }
    pl_buf_cstr(b, "</tbody>\n</table>\n</body>\n</html>\n");
}

void distributor_handle_user_stats(void *arg, struct http_request *req, struct http_response *resp)
{
    struct distributor *d = arg;
    struct ingest_tenant_row *rows = NULL;
    struct pl_err err;
    size_t n = 0;

    if (d->ingest->ops->tenants(d->ingest, req->arena, &rows, &n, &err) != PL_OK) {
        server_text_fail(resp, &err);
        return;
    }
    if (n > 0) {
        qsort(rows, n, sizeof(*rows), by_series);
    }
    resp->status = 200;
    if (pl_str_find_str(http_header_get(req, PL_STR("Accept")), PL_STR("json")) != SIZE_MAX) {
        resp->content_type = "application/json";
        stats_json(&resp->body, rows, n);
    } else {
        resp->content_type = "text/html; charset=utf-8";
        stats_html(&resp->body, rows, n);
    }
}
