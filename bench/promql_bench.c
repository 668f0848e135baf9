/* CPU time of range queries over an in-memory source of XOR chunks: what the engine costs without a store.
 * promql_bench [SERIES [QUERY]]: SERIES counters of 2 h at 15 s, asked over 2 h at a step of 15 s. */
#include "base/clock.h"
#include "promql/engine.h"
#include "promqltest/mem_source.h"

#include <stdio.h>
#include <stdlib.h>

enum { STEP_MS = 15000, SPAN_MS = 2 * 3600 * 1000, ROUNDS = 5 };

static void fill(struct mem_source *m, size_t series)
{
    uint64_t rnd = 88172645463325252u;

    for (size_t i = 0; i < series; i++) {
        char instance[32], path[32];
        struct label l[] = {{LABEL_METRIC_NAME, PL_STR("http_requests_total")},
                            {PL_STR("cluster"), PL_STR("eu-west-1")},
                            {PL_STR("instance"), PL_STR_NULL},
                            {PL_STR("job"), PL_STR("api-server")},
                            {PL_STR("method"), i % 2 != 0 ? PL_STR("GET") : PL_STR("POST")},
                            {PL_STR("path"), PL_STR_NULL},
                            {PL_STR("status"), i % 10 == 0 ? PL_STR("500") : PL_STR("200")}};
        struct mem_series *s;
        double v = 0;

        l[2].value =
            pl_str_of(instance, (size_t)snprintf(instance, sizeof(instance), "10.0.%zu.%zu:9090", i / 256, i % 256));
        l[5].value = pl_str_of(path, (size_t)snprintf(path, sizeof(path), "/api/v1/%zu", i % 20));
        s = mem_source_series(m, (struct labels){l, PL_ARRAY_LEN(l)});
        for (int64_t t = 0; t <= SPAN_MS + 300000; t += STEP_MS) {
            rnd ^= rnd << 13;
            rnd ^= rnd >> 7;
            rnd ^= rnd << 17;
            v += (double)(rnd % 20);
            mem_series_add(m, s, 1700000000000 + t + (int64_t)(i * 7 % STEP_MS), v);
        }
    }
}

static int run(struct mem_source *m, pl_str text)
{
    static const struct pq_parse_options options = {.experimental_functions = true};
    double best = 1e9;
    struct pl_err err = {0};
    struct pq_result r = {0};
    size_t peak = 0;

    for (int i = 0; i < ROUNDS; i++) {
        struct pl_arena a;
        struct pq_node *expr;
        struct pq_query q = {.start_ms = 1700000000000 + 300000, .step_ms = STEP_MS, .lookback_ms = 300000};
        int64_t start_ns = pl_cpu_process_ns();

        pl_arena_init(&a, 0);
        q.end_ms = q.start_ms + SPAN_MS;
        if (pq_parse(&expr, &a, text, &options, &err) != PL_OK) {
            (void)fprintf(stderr, "%s\n", err.msg);
            return 1;
        }
        q.expr = expr;
        if (pq_run(&r, &a, &m->base, &q, &err) != PL_OK) {
            (void)fprintf(stderr, "%s\n", err.msg);
            return 1;
        }
        best = PL_MIN(best, (double)(pl_cpu_process_ns() - start_ns) / 1e9);
        peak = PL_MAX(peak, a.peak_bytes);
        pl_arena_fini(&a);
    }
    printf("%-60.*s %7.4f s CPU, %6zu series out, %11llu samples in windows, %7.1f M/s, arena %6.1f MB\n",
           PL_STR_ARG(text), best, r.series_count, (unsigned long long)r.stats.samples_total,
           (double)r.stats.samples_total / best / 1e6, (double)peak / 1e6);
    return 0;
}

int main(int argc, char **argv)
{
    static const char *const queries[] = {
        "sum by (path) (rate(http_requests_total[5m]))",
        "sum(rate(http_requests_total[5m]))",
        "http_requests_total",
        "sum by (path) (http_requests_total)",
        "avg by (instance) (avg_over_time(http_requests_total[5m]))",
        "max_over_time(http_requests_total[5m])",
        "sum by (path) (rate(http_requests_total[5m])) / sum by (path) (rate(http_requests_total[1m]))",
        "http_requests_total / http_requests_total",
        "topk(5, rate(http_requests_total[5m]))",
        "quantile by (path) (0.9, rate(http_requests_total[5m]))",
        "max_over_time(sum by (path) (rate(http_requests_total[5m]))[10m:1m])",
    };
    size_t series = argc > 1 ? (size_t)strtoul(argv[1], NULL, 10) : 10000;
    struct mem_source m;
    int rc = 0;

    mem_source_init(&m);
    fill(&m, series);
    printf("%zu series, %d steps\n", series, SPAN_MS / STEP_MS + 1);
    if (argc > 2) {
        rc = run(&m, pl_str_c(argv[2]));
    } else {
        for (size_t i = 0; i < PL_ARRAY_LEN(queries); i++) {
            rc |= run(&m, pl_str_c(queries[i]));
        }
    }
    mem_source_fini(&m);
    return rc;
}
