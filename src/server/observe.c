#include "base/clock.h"
#include "server/internal.h"

#define MIB (1024.0 * 1024.0)
static const double body_bounds[] = {1 * MIB, 2.5 * MIB, 5 * MIB, 10 * MIB, 25 * MIB, 50 * MIB, 100 * MIB, 250 * MIB};

static struct metric_family m_duration = {
    .type = METRIC_HISTOGRAM,
    .name = "cortex_request_duration_seconds",
    .help = "Time from the end of a request's head to the end of its handler.",
    .labels = {"method", "route", "status_code", "ws"},
    .bounds = metric_latency_bounds,
    .bound_count = PL_ARRAY_LEN(metric_latency_bounds),
};
METRIC_DEF_HISTOGRAM(m_request_bytes, "cortex_request_message_bytes", "Size of request bodies as received.",
                     body_bounds, "method", "route");
METRIC_DEF_HISTOGRAM(m_response_bytes, "cortex_response_message_bytes", "Size of response bodies as sent.", body_bounds,
                     "method", "route");
METRIC_DEF_GAUGE(m_inflight, "cortex_inflight_requests", "Requests whose handler runs now.", "method", "route");
METRIC_DEF_GAUGE(m_connections, "cortex_tcp_connections", "Open connections.", "protocol");
METRIC_DEF_GAUGE(m_connections_limit, "cortex_tcp_connections_limit", "Most connections that may be open.", "protocol");

/* Methods and statuses have fixed slots, so that a cell is looked up once per route; what is not listed is looked up
 * anew. */
static const struct {
    enum http_method id;
    const char *name;
} methods[ROUTE_METHODS] = {
    {HTTP_GET, "GET"},       {HTTP_HEAD, "HEAD"},       {HTTP_POST, "POST"},   {HTTP_PUT, "PUT"},
    {HTTP_DELETE, "DELETE"}, {HTTP_OPTIONS, "OPTIONS"}, {HTTP_OTHER, "other"}, /* a client must not make label values up
                                                                                */
};

static const int statuses[ROUTE_STATUSES] = {200, 201, 202, 204, 302, 400, 401, 403, 404, 405, 406, 408,
                                             409, 413, 415, 422, 429, 499, 500, 501, 503, 504, 304, 308};

static uint32_t method_slot(enum http_method m)
{
    uint32_t i = 0;

    while (i + 1 < ROUTE_METHODS && methods[i].id != m) {
        i++;
    }
    return i;
}

static struct metric_cell *route_cell(struct metric_cell *_Atomic *slot, struct metric_family *f, const struct route *r,
                                      uint32_t method)
{
    struct metric_cell *c = atomic_load_explicit(slot, memory_order_acquire);

    if (c == NULL) {
        c = METRIC_CELL(*f, pl_str_c(methods[method].name), pl_str_c(r->name));
        atomic_store_explicit(slot, c,
                              memory_order_release); /* pairs with the load above; all writers store the same */
    }
    return c;
}

static struct metric_cell *duration_cell(struct route *r, uint32_t method, int status)
{
    struct metric_cell *_Atomic *slot = NULL;
    struct metric_cell *c = NULL;
    char digits[4] = {(char)('0' + status / 100 % 10), (char)('0' + status / 10 % 10), (char)('0' + status % 10), 0};

    for (uint32_t i = 0; i < ROUTE_STATUSES && slot == NULL; i++) {
        slot = statuses[i] == status ? &r->duration[method][i] : NULL;
    }
    if (slot != NULL) {
        c = atomic_load_explicit(slot, memory_order_acquire);
    }
    if (c == NULL) {
        c = METRIC_CELL(m_duration, pl_str_c(methods[method].name), pl_str_c(r->name), pl_str_c(digits),
                        PL_STR("false"));
    }
    if (slot != NULL) {
        atomic_store_explicit(slot, c, memory_order_release);
    }
    return c;
}

void server__count_from_zero(struct route *r)
{
    if (r->r.pool == SERVER_POOL_PUSH && (r->r.methods & HTTP_POST) != 0) {
        (void)duration_cell(r, method_slot(HTTP_POST), 200);
    }
}

void server__count_begin(struct route *r, const struct http_request *req)
{
    uint32_t m = method_slot(req->method);

    metric_add(route_cell(&r->inflight[m], &m_inflight, r, m), 1);
}

void server__count_end(struct route *r, const struct http_request *req, const struct http_response *resp, bool handled)
{
    uint32_t m = method_slot(req->method);
    int64_t taken_ns = pl_now_mono_ns() - req->received_mono_ns;

    if (handled) {
        metric_add(route_cell(&r->inflight[m], &m_inflight, r, m), -1);
    }
    metric_observe(&m_duration, duration_cell(r, m, resp->status), (double)taken_ns / 1e9);
    metric_observe(&m_request_bytes, route_cell(&r->request_bytes[m], &m_request_bytes, r, m), (double)req->body.n);
    metric_observe(&m_response_bytes, route_cell(&r->response_bytes[m], &m_response_bytes, r, m), (double)resp->body.n);
    server__log_request(r->server, req, resp, taken_ns);
}

/* ---- connections ---- */

static void collect(void *arg)
{
    struct conn_gauges *g = arg;
    struct http_server_stats st;
    bool on;

    pl_mutex_lock(&g->lock);
    on = g->http != NULL;
    if (on) {
        http_server_stats_get(g->http, &st);
    }
    pl_mutex_unlock(&g->lock);
    if (on) {
        metric_set(METRIC_CELL(m_connections, PL_STR("http")), (double)st.connections);
        metric_set(METRIC_CELL(m_connections_limit, PL_STR("http")), (double)st.connections_max);
    }
}

struct conn_gauges *server__gauges_create(void)
{
    struct conn_gauges *g = pl_new(struct conn_gauges);

    pl_mutex_init(&g->lock, PL_RANK_APP);
    metric_on_collect(collect, g);
    return g;
}

void server__gauges_set(struct conn_gauges *g, const struct http_server *http)
{
    pl_mutex_lock(&g->lock);
    g->http = http;
    pl_mutex_unlock(&g->lock);
}
