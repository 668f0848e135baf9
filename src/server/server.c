#include "server/server.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/internal.h"

enum { BODY_MAX_DEFAULT = 1 << 20, POOL_QUEUE_MAX = 2048, ADMIN_THREADS = 2, ADMIN_QUEUE_MAX = 64 };

/* ---- answers that need no handler; they run on the loop ---- */

static void answer_not_found(void *arg, struct http_request *req, struct http_response *resp)
{
    struct server *s = arg;

    server_text_error(resp, server_http_status(PL_NOT_FOUND),
                      req->method == HTTP_POST ? PL_STR("404 page not found (remote write goes to /api/v1/push)")
                                               : PL_STR("404 page not found"));
    server__count_end(s->not_found, req, resp, false);
}

static pl_str allow_list(struct pl_arena *arena, uint32_t allowed)
{
    static const struct {
        uint32_t id;
        const char *name;
    } rows[] = {{HTTP_GET, "GET"}, {HTTP_GET, "HEAD"},      {HTTP_POST, "POST"},
                {HTTP_PUT, "PUT"}, {HTTP_DELETE, "DELETE"}, {HTTP_OPTIONS, "OPTIONS"}};
    pl_str out = PL_STR("");

    for (size_t i = 0; i < PL_ARRAY_LEN(rows); i++) {
        if ((allowed & rows[i].id) != 0) {
            out = pl_arena_printf(arena, "%.*s%s%s", PL_STR_ARG(out), out.n > 0 ? ", " : "", rows[i].name);
        }
    }
    return out;
}

static void answer_other_method(void *arg, struct http_request *req, struct http_response *resp)
{
    struct server *s = arg;
    struct route *r = NULL;
    uint32_t allowed = 0;

    (void)router__match(&s->router, req, &r, &allowed);
    resp->status = server_http_status(PL_NOT_ALLOWED);
    http_header_add(resp, "Allow", allow_list(req->arena, allowed));
    server__count_end(s->not_found, req, resp, false);
}

static void answer_bad_escape(void *arg, struct http_request *req, struct http_response *resp)
{
    struct route *r = arg;
    struct pl_err err;

    (void)pl_fail(&err, PL_INVALID, "invalid URL escape in path");
    server_json_fail(resp, &err);
    server__count_end(r, req, resp, false);
}

static void answer_no_tenant(void *arg, struct http_request *req, struct http_response *resp)
{
    struct route *r = arg;

    server_text_error(resp, server_http_status(PL_UNAUTH), PL_STR("no org id"));
    server__count_end(r, req, resp, false);
}

static void answer_too_large(struct http_request *req, struct http_response *resp, uint64_t body_max,
                             uint64_t content_length)
{
    pl_str text = content_length > 0
                      ? pl_arena_printf(req->arena, "request body too large: %llu bytes, the limit is %llu",
                                        (unsigned long long)content_length, (unsigned long long)body_max)
                      : pl_arena_printf(req->arena, "request body too large: the limit is %llu bytes",
                                        (unsigned long long)body_max);

    server_text_error(resp, server_http_status(PL_TOO_LARGE), text);
}

/* ---- routed requests ---- */

/* Around each handler. Runs on a worker. */
static void run_route(void *arg, struct http_request *req, struct http_response *resp)
{
    struct route *r = arg;

    server__count_begin(r, req);
    r->r.handler(r->r.arg, req, resp);
    if (r->r.cors) {
        server__cors(r->server, req, resp);
    }
    if (r->r.gzip || r->server->o.gzip_all) {
        server__compress(req, resp);
    }
    server__count_end(r, req, resp, true);
}

static struct http_route_choice fixed(http_handler_fn handler, void *arg)
{
    return (struct http_route_choice){.handler = handler, .handler_arg = arg, .ignore_body = true};
}

/* On a loop, for each head. */
static struct http_route_choice choose(void *arg, struct http_request *req)
{
    struct server *s = arg;
    struct route *r = NULL;
    uint32_t allowed;

    switch (router__match(&s->router, req, &r, &allowed)) {
    case ROUTER_NOT_FOUND:
        return fixed(answer_not_found, s);
    case ROUTER_OTHER_METHOD:
        return fixed(answer_other_method, s);
    case ROUTER_BAD_ESCAPE:
        return fixed(answer_bad_escape, r);
    case ROUTER_FOUND:
        break;
    }
    req->route = r->path;
    if (r->r.auth == SERVER_AUTH_TENANT) {
        req->tenant = s->o.auth_enabled ? http_header_get(req, PL_STR("X-Scope-OrgID")) : PL_STR("fake");
        if (req->tenant.n == 0) {
            return fixed(answer_no_tenant, r);
        }
    }
    return (struct http_route_choice){
        .handler = run_route,
        .handler_arg = r,
        .body_max = r->r.body_max > 0 ? r->r.body_max : BODY_MAX_DEFAULT,
        .pool = s->pools[r->r.pool],
        .submit = r->r.submit,
        .submit_arg = r->r.submit_arg,
        .too_large = r->r.too_large != NULL ? r->r.too_large : answer_too_large,
    };
}

/* The protocol answered in the handler's place. */
static void refused(void *arg, struct http_request *req, const struct http_response *resp)
{
    struct server *s = arg;
    struct route *r = NULL;
    uint32_t allowed;

    if (router__match(&s->router, req, &r, &allowed) != ROUTER_FOUND) {
        r = s->not_found;
    }
    server__count_end(r, req, resp, false);
}

/* ---- life ---- */

static void own(struct server *s, pl_str *text)
{
    PL_ASSERT(s->text_count < PL_ARRAY_LEN(s->texts));
    s->texts[s->text_count] = pl_str_dup(*text);
    *text = pl_str_c(s->texts[s->text_count]);
    s->text_count++;
}

static struct route *route_new(struct server *s, const struct server_route *r, pl_str path)
{
    struct route *out = pl_new(struct route);

    out->r = *r;
    out->server = s;
    out->path = pl_str_dup(path);
    out->name = router__name(path);
    return out;
}

struct server *server_create(const struct server_options *o)
{
    struct server *s = pl_new(struct server);
    struct http_server_options *h = &s->o.http;
    pl_str *texts[] = {&h->address,
                       &h->tls_cert_path,
                       &h->tls_key_path,
                       &h->tls_client_ca_path,
                       &h->tls_client_auth,
                       &h->tls_min_version,
                       &h->tls_cipher_suites,
                       &s->o.path_prefix,
                       &s->o.cors_origin,
                       &s->o.log_source_ips_header,
                       &s->o.log_source_ips_regex,
                       &s->o.log_exclude_headers,
                       &s->o.request_id_header};

    s->o = *o;
    for (size_t i = 0; i < PL_ARRAY_LEN(texts); i++) {
        own(s, texts[i]);
    }
    /* "/x/" and "/x" are the same prefix. */
    while (s->o.path_prefix.n > 0 && s->o.path_prefix.p[s->o.path_prefix.n - 1] == '/') {
        s->o.path_prefix.n--;
    }
    s->log_header_count = PL_MIN(o->log_header_count, (size_t)SERVER_LOG_HEADERS_MAX);
    for (size_t i = 0; i < s->log_header_count; i++) {
        s->log_headers[i] = pl_str_dup(o->log_headers[i]);
    }
    h->route = choose;
    h->refused = refused;
    h->arg = s;
    s->not_found = route_new(s, &(struct server_route){0}, PL_STR("notfound"));
    s->gauges = server__gauges_create();
    pl_mutex_init(&s->senders.lock, PL_RANK_LIMITER);
    return s;
}

void server_route_add(struct server *s, const struct server_route *r)
{
    struct pl_buf path = {0};
    struct route *route;

    PL_ASSERT(s->http == NULL && r->handler != NULL && r->methods != 0 && r->path[0] == '/');
    pl_buf_str(&path, s->o.path_prefix);
    pl_buf_cstr(&path, r->path);
    route = route_new(s, r, pl_buf_view(&path));
    router__add(&s->router, route);
    server__count_from_zero(route);
    pl_buf_fini(&path);
}

static pl_status compile_cors(struct server *s, struct pl_err *err)
{
    pl_str origin = s->o.cors_origin;
    pl_status st;

    if (origin.n == 0 || pl_str_eq(origin, PL_STR(".*"))) {
        return PL_OK;
    }
    st = regex_compile(&s->cors_origin, origin, err);
    if (st != PL_OK) {
        pl_wrap(err, "cors_origin");
    }
    return st;
}

pl_status server_start(struct server *s, struct pl_err *err)
{
    static const char *const names[SERVER_POOL_COUNT] = {"push", "admin"};
    uint32_t cores = (uint32_t)PL_MAX(sysconf(_SC_NPROCESSORS_ONLN), 1L);
    uint32_t threads[SERVER_POOL_COUNT] = {
        [SERVER_POOL_PUSH] = s->o.push_threads > 0 ? s->o.push_threads : cores,
        [SERVER_POOL_ADMIN] = ADMIN_THREADS,
    };
    pl_status st = compile_cors(s, err);

    if (st == PL_OK) {
        st = server__log_setup(s, err);
    }
    if (st != PL_OK) {
        return st;
    }
    for (int i = 0; i < SERVER_POOL_COUNT; i++) {
        s->pools[i] =
            worker_pool_create(names[i], threads[i], i == SERVER_POOL_ADMIN ? ADMIN_QUEUE_MAX : POOL_QUEUE_MAX);
    }
    st = http_server_start(&s->http, &s->o.http, err);
    if (st == PL_OK) {
        server__gauges_set(s->gauges, s->http);
    }
    return st;
}

void server_stop(struct server *s, int64_t drain_ns)
{
    struct http_server *http = s->http;

    if (http != NULL) {
        server__gauges_set(s->gauges, NULL);
        http_server_stop(http, pl_now_mono_ns() + drain_ns);
        s->http = NULL;
    }
    for (int i = 0; i < SERVER_POOL_COUNT; i++) {
        worker_pool_destroy(s->pools[i]);
        s->pools[i] = NULL;
    }
}

void server_destroy(struct server *s)
{
    if (s == NULL) {
        return;
    }
    server_stop(s, 0);
    router__fini(&s->router);
    pl_free(s->not_found->path);
    pl_free(s->not_found->name);
    pl_free(s->not_found);
    pl_mutex_fini(&s->senders.lock);
    regex_destroy(s->cors_origin);
    regex_destroy(s->source_ips);
    for (size_t i = 0; i < s->log_header_count; i++) {
        pl_free(s->log_headers[i]);
    }
    for (uint32_t i = 0; i < s->text_count; i++) {
        pl_free(s->texts[i]);
    }
    pl_free(s);
}

uint16_t server_port(const struct server *s)
{
    return http_server_port(s->http);
}
