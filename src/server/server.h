/* server/server.h - routes, tenant rules, request metrics and logs in front of the handlers of the roles.
 *
 * Promise: each request that reaches a handler has a route, and a tenant where its route wants one; each answer is
 * counted in cortex_request_duration_seconds and logged by the rules of spec http-api-and-config.md 1.1. Errors have
 * Cortex's form. Threads: routes are added before server_start; handlers run on worker pools.
 */
#ifndef PL_SERVER_SERVER_H
#define PL_SERVER_SERVER_H

#include "base/base.h"
#include "http/http.h"

enum server_auth { SERVER_AUTH_NONE, SERVER_AUTH_TENANT };
enum server_pool { SERVER_POOL_PUSH, SERVER_POOL_ADMIN, SERVER_POOL_COUNT };

struct server_route {
    uint32_t methods; /* mask of enum http_method; HEAD goes with GET */
    const char
        *path; /* template under the path prefix: "/api/v1/push", "/prometheus/api/v1/label/{name}/values"; copied */
    http_handler_fn handler;
    void *arg;
    enum server_auth auth;
    enum server_pool pool;
    /* The role's own queue in the pool's place; see struct http_route_choice. NULL: the pool. */
    bool (*submit)(void *arg, struct worker_job *job, struct http_request *req, struct http_response *resp);
    void *submit_arg;
    uint64_t body_max; /* bytes; 0: 1 MiB */
    bool gzip;         /* compress answers over 1 KiB when the client accepts it */
    bool cors;         /* query routes: the CORS headers of spec 1.1 */
    void (*too_large)(struct http_request *req, struct http_response *resp, uint64_t body_max,
                      uint64_t content_length); /* NULL: 413 */
};

enum { SERVER_LOG_HEADERS_MAX = 32 };
struct server;
struct server_options {
    struct http_server_options http; /* route, arg filled in by the server */
    pl_str path_prefix;
    bool gzip_all;         /* compress answers of every route */
    bool auth_enabled;     /* false: tenant is "fake" */
    uint32_t push_threads; /* 0: by cores */
    /* What a request's log line shows (spec 1.1); the texts and names are copied. */
    bool log_requests_at_info, log_request_headers, log_source_ips;
    pl_str log_source_ips_header, log_source_ips_regex; /* both or none */
    pl_str log_exclude_headers;                         /* comma list */
    pl_str request_id_header;
    const pl_str *log_headers; /* at most SERVER_LOG_HEADERS_MAX are kept */
    size_t log_header_count;
    pl_str cors_origin; /* regex, anchored; empty: any */
};

struct server *server_create(const struct server_options *o); /* copies */
void server_route_add(struct server *s, const struct server_route *r);
/* PL_INVALID on a bad cors_origin or TLS option, PL_CONFLICT when another process listens there, PL_IO when the address
 * cannot be bound for another reason. */
PL_MUST_USE pl_status server_start(struct server *s, struct pl_err *err);
/* Drains for up to drain_ns, then waits for the handlers and ends the pools. */
void server_stop(struct server *s, int64_t drain_ns);
void server_destroy(struct server *s); /* NULL allowed */
uint16_t server_port(const struct server *s);

/* ---- answers ---- */
int server_http_status(pl_status st);        /* status_map.c: the only place with HTTP error numbers */
const char *server_error_type(pl_status st); /* Prometheus errorType */
/* Plain-text error: code, text/plain, nosniff, message + "\n". */
void server_text_error(struct http_response *resp, int status, pl_str message);
void server_text_fail(struct http_response *resp, const struct pl_err *err);
/* Text for HTML pages: & < > " ' escaped. */
void server_put_html(struct pl_buf *b, pl_str text);
/* {"status":"error","errorType":...,"error":...} */
void server_json_fail(struct http_response *resp, const struct pl_err *err);

/* ---- tenant ids (spec 4) ---- */
/* PL_INVALID with Cortex's text. */
PL_MUST_USE pl_status server_tenant_check(pl_str tenant, struct pl_err *err);

#endif
