/* Any query over a small store ends within its limits, and a range query's step gives the same bits as an instant query
 * at that time (where the query has no part that is meant to differ). Results are sorted or unique as promised. */
#include "promqltest/mem_source.h"
#include "base/clock.h"
#include "promql/engine.h"

#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STEP_MS = 30000, MIDDLE = 5, END = 8 };

static struct mem_source *source(void)
{
    static struct mem_source m; /* made once: the target is one thread */
    static const char *const names[] = {"a_total", "b", "c_bucket", "d"};

    if (m.n > 0) {
        return &m;
    }
    mem_source_init(&m);
    for (size_t i = 0; i < 16; i++) {
        struct label l[] = {{LABEL_METRIC_NAME, pl_str_c(names[i % 4])},
                            {PL_STR("le"), i % 8 < 4 ? PL_STR("1") : PL_STR("+Inf")},
                            {PL_STR("x"), i < 8 ? PL_STR("1") : PL_STR("2")}};
        struct mem_series *s = mem_source_series(&m, (struct labels){l, 3});

        for (int64_t k = 0; k < 40; k++) {
            double v = (double)(k % (5 + (int64_t)i) * (int64_t)i) / 3;

            if ((k * 7 + (int64_t)i) % 11 != 0) {
                mem_series_add(&m, s, k * 10000 + (int64_t)i * 13,
                               k % 17 == 16   ? pl_f64_from_bits(PL_STALE_NAN_BITS)
                               : k % 13 == 12 ? -HUGE_VAL
                                              : v);
            }
        }
    }
    return &m;
}

static bool may_differ(pl_str text)
{
    static const char *const parts[] = {"@",     "start",        "end",  "step", "range", "sort",   "topk",   "bottomk",
                                        "limit", "count_values", "info", "TOPK", "LIMIT", "BOTTOM", "COUNT_V"};

    for (size_t i = 0; i < PL_ARRAY_LEN(parts); i++) {
        if (pl_str_find_str(text, pl_str_c(parts[i])) != SIZE_MAX) {
            return true;
        }
    }
    return false;
}

static bool same(double a, double b)
{
    return pl_f64_bits(a) == pl_f64_bits(b) || (isnan(a) && isnan(b));
}

static const struct pq_point *point_at(const struct pq_series *s, int64_t t_ms)
{
    for (size_t i = 0; i < s->count; i++) {
        if (s->points[i].t_ms == t_ms) {
            return &s->points[i];
        }
    }
    return NULL;
}

static void check_same(const struct pq_result *instant, const struct pq_result *range, int64_t t_ms)
{
    size_t n = 0;

    for (size_t i = 0; i < range->series_count; i++) {
        const struct pq_point *p = point_at(&range->series[i], t_ms);
        size_t k = 0;

        if (p == NULL) {
            continue;
        }
        n++;
        while (k < instant->series_count && !labels_eq(instant->series[k].labels, range->series[i].labels)) {
            k++;
        }
        PL_ASSERT(k < instant->series_count);
        PL_ASSERT(same(instant->series[k].points[0].v, p->v));
    }
    PL_ASSERT(n == instant->series_count);
}

static pl_status ask(struct pq_result *out, struct pl_arena *a, pl_str text, int64_t start_ms, int64_t end_ms,
                     int64_t step_ms)
{
    static const struct pq_parse_options options = {
        .experimental_functions = true, .extended_selectors = true, .fill_modifiers = true};
    struct pq_query q = {.start_ms = start_ms,
                         .end_ms = end_ms,
                         .step_ms = step_ms,
                         .lookback_ms = 60000,
                         .default_step_ms = 20000,
                         .samples_max = 1000000,
                         .deadline_mono_ns = pl_now_mono_ns() + 2 * PL_NS_PER_S};
    struct pq_node *expr;
    struct pl_err err;
    pl_status st = pq_parse(&expr, a, text, &options, &err);

    if (st == PL_OK) {
        q.expr = expr;
        st = pq_run(out, a, &source()->base, &q, &err);
    }
    return st;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pl_str text = {(const char *)data, size};
    struct pq_result instant, range;
    struct pl_arena a;

    if (size > 4096) {
        return 0;
    }
    pl_arena_init(&a, 64 << 20);
    if (ask(&instant, &a, text, MIDDLE * STEP_MS, MIDDLE * STEP_MS, 0) == PL_OK &&
        ask(&range, &a, text, 0, END * STEP_MS, STEP_MS) == PL_OK) {
        for (size_t i = 1; i < range.series_count; i++) {
            PL_ASSERT(labels_cmp(range.series[i - 1].labels, range.series[i].labels) < 0);
        }
        if (instant.type == PQ_VECTOR && !may_differ(text)) {
            check_same(&instant, &range, MIDDLE * STEP_MS);
        }
    }
    pl_arena_fini(&a);
    return 0;
}
