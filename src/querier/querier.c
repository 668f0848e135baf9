#include "ports/shed.h"
#include "querier/internal.h"

/* One row per endpoint under PREFIX/api/v1. `wants` says which option or port entry it needs to be served. */
struct endpoint {
    const char *path;
    uint32_t methods;
    querier_fn fn;
    enum { WANTS_NOTHING, WANTS_CONFIG, WANTS_FLAGS, WANTS_TSDB } wants;
};

static const struct endpoint endpoints[] = {
    {"/query", HTTP_GET | HTTP_POST, querier_query, WANTS_NOTHING},
    {"/query_range", HTTP_GET | HTTP_POST, querier_query_range, WANTS_NOTHING},
    {"/query_exemplars", HTTP_GET | HTTP_POST, querier_exemplars, WANTS_NOTHING},
    {"/format_query", HTTP_GET | HTTP_POST, querier_format, WANTS_NOTHING},
    {"/parse_query", HTTP_GET | HTTP_POST, querier_parse, WANTS_NOTHING},
    {"/labels", HTTP_GET | HTTP_POST, querier_labels, WANTS_NOTHING},
    {"/label/{name}/values", HTTP_GET, querier_label_values, WANTS_NOTHING},
    {"/series", HTTP_GET | HTTP_POST, querier_series, WANTS_NOTHING},
    {"/series", HTTP_DELETE, querier_series_delete, WANTS_NOTHING},
    {"/metadata", HTTP_GET, querier_metadata, WANTS_NOTHING},
    {"/status/buildinfo", HTTP_GET, querier_buildinfo, WANTS_NOTHING},
    {"/status/runtimeinfo", HTTP_GET, querier_runtimeinfo, WANTS_NOTHING},
    {"/status/config", HTTP_GET, querier_config, WANTS_CONFIG},
    {"/status/flags", HTTP_GET, querier_flags, WANTS_FLAGS},
    {"/status/tsdb", HTTP_GET, querier_tsdb, WANTS_TSDB},
};

/* What a route's handler gets: lives as long as the querier. */
struct route_arg {
    struct querier *q;
    querier_fn fn;
    struct querier_request_cells cells;
};

struct querier *querier_create(const struct querier_options *o, struct overrides *limits, struct query_port *port)
{
    struct querier *q = pl_new(struct querier);

    q->o = *o;
    q->limits = limits;
    q->port = port;
    q->start_unix_ms = pl_now_unix_ms();
    pl_arena_init(&q->route_arena, 0);
    q->active = active_queries_create();
    q->queue = querier_queue_create(o->concurrent_max);
    querier_metrics_init(q);
    return q;
}

void querier_destroy(struct querier *q)
{
    if (q == NULL) {
        return;
    }
    querier_queue_destroy(q->queue);
    active_queries_destroy(q->active);
    pl_arena_fini(&q->route_arena);
    pl_free(q);
}

static void fail(struct querier_call *c)
{
    pl_buf_reset(&c->resp->body);
    c->resp->body.limit_bytes = 0;
    /* Stores and engine know that the arena is full, but not whose limit that is: the client is told here. */
    if (c->arena.refused && (c->err.status == PL_LIMIT || c->err.status == PL_NOMEM)) {
        (void)shed_fail(SHED_QUERY, &c->err);
    } else if (c->arena.full && (c->err.status == PL_LIMIT || c->err.status == PL_NOMEM)) {
        (void)pl_fail(&c->err, PL_LIMIT, MSG_MEMORY_LIMIT, (unsigned long long)c->q->o.query_bytes_max);
    }
    server_json_fail(c->resp, &c->err);
}

static void handle(void *arg, struct http_request *req, struct http_response *resp)
{
    struct route_arg *route = arg;
    struct querier *q = route->q;
    struct querier_call c = {
        .q = q, .req = req, .resp = resp, .now_ms = pl_now_unix_ms(), .start_mono_ns = pl_now_mono_ns()};
    struct http_param *params = NULL;
    pl_status st;

    pl_arena_init(&c.arena, q->o.query_bytes_max);
    c.arena.counted = true;
    if (q->limits != NULL) {
        c.limits = limits_get(q->limits, req->tenant);
    }
    st = querier_admit(&c);
    if (st != PL_OK) {
        goto done;
    }
    st = http_params(req, &params, &c.param_count, &c.err);
    if (st != PL_OK) {
        pl_wrap(&c.err, "error parsing form values");
    } else {
        c.params = params;
        st = route->fn(&c);
    }
done:
    if (st != PL_OK) {
        fail(&c);
    }
    if (c.limits != NULL) {
        limits_put(q->limits, c.limits);
    }
    pl_arena_fini(&c.arena);
    querier_metrics_request(&route->cells, req, resp->status, pl_now_mono_ns() - c.start_mono_ns);
}

static void handle_options(void *arg, struct http_request *req, struct http_response *resp)
{
    (void)arg;
    (void)req;
    resp->status = 204; /* the headers are the server's: cors */
}

static void too_large(struct http_request *req, struct http_response *resp, uint64_t body_max, uint64_t content_length)
{
    struct pl_err err;

    (void)req;
    (void)body_max;
    (void)content_length;
    (void)pl_fail(&err, PL_TOO_LARGE, MSG_BODY_TOO_LARGE);
    server_json_fail(resp, &err);
}

static bool served(const struct querier *q, const struct endpoint *e)
{
    switch (e->wants) {
    case WANTS_NOTHING:
        return true;
    case WANTS_CONFIG:
        return q->o.config_yaml != NULL;
    case WANTS_FLAGS:
        return q->o.flags != NULL;
    case WANTS_TSDB:
        return q->port->ops->tsdb_status != NULL;
    }
    PL_UNREACHABLE("an endpoint that wants something else");
}

void querier_routes(struct querier *q, struct server *s, pl_str prefix)
{
    for (size_t i = 0; i < PL_ARRAY_LEN(endpoints); i++) {
        const struct endpoint *e = &endpoints[i];
        struct route_arg *arg;
        pl_str path;

        if (!served(q, e)) {
            continue;
        }
        arg = pl_arena_new(&q->route_arena, struct route_arg);
        *arg = (struct route_arg){.q = q, .fn = e->fn};
        path = pl_arena_printf(&q->route_arena, "%.*s/api/v1%s", PL_STR_ARG(prefix), e->path);
        server_route_add(s, &(struct server_route){.methods = e->methods,
                                                   .path = path.p,
                                                   .handler = handle,
                                                   .arg = arg,
                                                   .auth = SERVER_AUTH_TENANT,
                                                   .submit = querier_submit,
                                                   .submit_arg = q,
                                                   .body_max = QUERIER_BODY_MAX,
                                                   .gzip = q->o.gzip,
                                                   .cors = true,
                                                   .too_large = too_large});
        if (e->methods != HTTP_DELETE) {
            server_route_add(s, &(struct server_route){.methods = HTTP_OPTIONS,
                                                       .path = path.p,
                                                       .handler = handle_options,
                                                       .auth = SERVER_AUTH_NONE,
                                                       .cors = true,
                                                       .pool = SERVER_POOL_ADMIN});
        }
    }
}

void querier_active_route(struct querier *q, struct server *s, const char *path)
{
    server_route_add(s, &(struct server_route){.methods = HTTP_GET | HTTP_POST,
                                               .path = path,
                                               .handler = active_queries_handle,
                                               .arg = q->active,
                                               .auth = SERVER_AUTH_NONE,
                                               .pool = SERVER_POOL_ADMIN});
}
