#include "querier/internal.h"

METRIC_DEF_GAUGE(m_running, "prometheus_engine_queries", "Queries that are being evaluated now.", "engine");
METRIC_DEF_GAUGE(m_max, "prometheus_engine_queries_concurrent_max", "Most queries that may be evaluated at once.",
                 "engine");
METRIC_DEF_COUNTER(m_samples, "prometheus_engine_query_samples_total", "Samples that queries have loaded.", "engine");
static const double slice_bounds[] = {0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100};
METRIC_DEF_HISTOGRAM(m_slices, "prometheus_engine_query_duration_histogram_seconds",
                     "Time of queries by part of their life.", slice_bounds, "engine", "slice");
METRIC_DEF_COUNTER(m_queries, "cortex_query_frontend_queries_total", "Queries received.", "op", "source", "user");
METRIC_DEF_GAUGE(m_waiting, "cortex_query_frontend_queue_length", "Requests of the query API that wait for their turn.",
                 "user", "priority", "type");
METRIC_DEF_COUNTER(m_discarded, "cortex_query_frontend_discarded_requests_total",
                   "Requests of the query API that were refused because too many waited.", "user", "priority");
static const double wait_bounds[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60};
METRIC_DEF_HISTOGRAM(m_waited, "cortex_query_frontend_queue_duration_seconds",
                     "How long requests of the query API waited for their turn.", wait_bounds);
METRIC_DEF_HISTOGRAM(m_requests, "cortex_querier_request_duration_seconds", "Time to answer requests of the query API.",
                     metric_latency_bounds, "method", "route", "status_code", "ws");

#define ENGINE PL_STR("prometheus") /* the label Cortex gives its default engine */

void querier_metrics_init(struct querier *q)
{
    metric_set(METRIC_CELL(m_max, ENGINE), (double)q->o.concurrent_max);
    /* Shown from zero on, as Prometheus does, so that a rate sees the first query. */
    q->cell = (struct querier_cells){
        .running = METRIC_CELL(m_running, ENGINE),
        .samples = METRIC_CELL(m_samples, ENGINE),
        .waited = METRIC_CELL0(m_waited),
        .queue_time = METRIC_CELL(m_slices, ENGINE, PL_STR("queue_time")),
        .prepare_time = METRIC_CELL(m_slices, ENGINE, PL_STR("prepare_time")),
        .inner_eval = METRIC_CELL(m_slices, ENGINE, PL_STR("inner_eval")),
        .result_sort = METRIC_CELL(m_slices, ENGINE, PL_STR("result_sort")),
    };
}

void querier_metrics_running(struct querier *q, double delta)
{
    metric_add(q->cell.running, delta);
}

void querier_metrics_waits(pl_str tenant, double delta)
{
    metric_add(METRIC_CELL(m_waiting, tenant, PL_STR("0"), PL_STR("fifo")), delta);
}

void querier_metrics_waited(struct querier *q, int64_t ns)
{
    metric_observe(&m_waited, q->cell.waited, (double)ns / 1e9);
}

void querier_metrics_discarded(pl_str tenant)
{
    metric_inc(METRIC_CELL(m_discarded, tenant, PL_STR("0")));
}

void querier_metrics_query(struct querier *q, const char *op, pl_str tenant, const struct pq_stats *stats,
                           int64_t queue_ns)
{
    metric_inc(METRIC_CELL(m_queries, pl_str_c(op), PL_STR("api"), tenant));
    metric_add(q->cell.samples, (double)stats->samples_total);
    metric_observe(&m_slices, q->cell.queue_time, (double)queue_ns / 1e9);
    metric_observe(&m_slices, q->cell.prepare_time, (double)stats->prepare_ns / 1e9);
    metric_observe(&m_slices, q->cell.inner_eval, (double)stats->eval_ns / 1e9);
    metric_observe(&m_slices, q->cell.result_sort, (double)stats->sort_ns / 1e9);
}

/* `/prometheus/api/v1/label/{name}/values` -> prometheus_api_v1_label_name_values: runs of other characters become one
 * `_`. */
static pl_str route_label(struct pl_arena *a, const char *route)
{
    char text[128];
    size_t n = 0;

    for (const char *p = route; *p != '\0' && n < sizeof(text); p++) {
        bool word = (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'Z');

        if (word) {
            text[n++] = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
        } else if (n > 0 && text[n - 1] != '_') {
            text[n++] = '_';
        }
    }
    while (n > 0 && text[n - 1] == '_') {
        n--;
    }
    return pl_arena_str(a, pl_str_of(text, n));
}

void querier_metrics_request(struct querier_request_cells *cells, const struct http_request *req, int status,
                             int64_t duration_ns)
{
    struct metric_cell *_Atomic *kept = status != 200              ? NULL
                                        : req->method == HTTP_GET  ? &cells->get_ok
                                        : req->method == HTTP_POST ? &cells->post_ok
                                                                   : NULL;
    /* A cell lives as long as the process, and whoever looks it up finds the same one: no order needed. */
    struct metric_cell *cell = kept != NULL ? atomic_load_explicit(kept, memory_order_relaxed) : NULL;

    if (cell == NULL) {
        pl_str route = route_label(req->arena, req->route != NULL ? req->route : "");
        pl_str code = pl_arena_printf(req->arena, "%d", status);
        cell = METRIC_CELL(m_requests, req->method_text, route, code, PL_STR("false"));
        if (kept != NULL) {
            atomic_store_explicit(kept, cell, memory_order_relaxed);
        }
    }
    metric_observe(&m_requests, cell, (double)duration_ns / 1e9);
}
