/* Any query over a small store ends within its limits; each step of its answer is what a simple evaluator
 * (test/diff/naive.h) says, and an instant query at that time gives the same bits (where the query has no part that is
 * meant to differ). Results are sorted or unique as promised. The first byte says what the rest is: text, or choices of
 * a grammar. */
#include "../../diff/naive.h"
#include "promqltest/mem_source.h"
#include "query_grammar.h"

#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STEP_MS = 30000, MIDDLE = 5, END = 8, GRAMMAR = 1 };

static double value(size_t series, int64_t k)
{
    static const double special[] = {0,   -0.0,        1,        -1,        1e308,  -1e308, 5e-324,
                                     3.5, (double)NAN, HUGE_VAL, -HUGE_VAL, 1e-300, 7};

    switch (series % 6) {
    case 4:
        return special[(size_t)(k * 7 + (int64_t)series) % PL_ARRAY_LEN(special)];
    case 5:
        return (double)(k % 9) * (double)(series + 1);
    default:
        return k % 13 == 12 ? -HUGE_VAL : (double)(k % (5 + (int64_t)series) * (int64_t)series) / 3;
    }
}

static struct mem_source *source(void)
{
    static struct mem_source m; /* made once: the target is one thread */
    static const char *const names[] = {"a_total", "b", "c_bucket", "d", "e_special", "f_reset_total"};

    if (m.n > 0) {
        return &m;
    }
    mem_source_init(&m);
    for (size_t i = 0; i < 24; i++) {
        struct label l[] = {{LABEL_METRIC_NAME, pl_str_c(names[i % 6])},
                            {PL_STR("le"), i % 12 < 6 ? PL_STR("1") : PL_STR("+Inf")},
                            {PL_STR("x"), i < 12 ? PL_STR("1") : PL_STR("2")}};
        struct mem_series *s = mem_source_series(&m, (struct labels){l, 3});

        for (int64_t k = 0; k < 40; k++) {
            if ((k * 7 + (int64_t)i) % 11 != 0) {
                mem_series_add(&m, s, k * 10000 + (int64_t)i * 13,
                               k % 17 == 16 ? pl_f64_from_bits(PL_STALE_NAN_BITS) : value(i, k));
            }
        }
    }
    return &m;
}

static bool has_part(pl_str text, const char *const *parts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (pl_str_find_str(text, pl_str_c(parts[i])) != SIZE_MAX) {
            return true;
        }
    }
    return false;
}

/* Parts whose value at a time depends on the query's other times, or on an order. */
static bool may_differ(pl_str text)
{
    static const char *const parts[] = {"@",     "start",        "end",  "step", "range", "sort",   "topk",   "bottomk",
                                        "limit", "count_values", "info", "TOPK", "LIMIT", "BOTTOM", "COUNT_V"};

    /* COMPAT: over a vector that is the same at all steps the parameter of quantile is that of the first one. */
    return has_part(text, parts, PL_ARRAY_LEN(parts)) || (pl_str_find_str(text, PL_STR("vector(")) != SIZE_MAX &&
                                                          pl_str_find_str(text, PL_STR("quantile")) != SIZE_MAX);
}

static bool same(double a, double b)
{
    return pl_f64_bits(a) == pl_f64_bits(b) || (isnan(a) && isnan(b));
}

/* The same but for the order in which floats were added up. */
static bool near(double a, double b)
{
    return same(a, b) || a == b || fabs(a - b) <= 1e-9 * fmax(fabs(a), fabs(b)) || (fabs(a) < 1e-9 && fabs(b) < 1e-9);
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

static bool parse(struct pq_query *q, struct pl_arena *a, pl_str text)
{
    static const struct pq_parse_options options = {
        .experimental_functions = true, .extended_selectors = true, .fill_modifiers = true};
    struct pq_node *expr;
    struct pl_err err;

    *q = (struct pq_query){.lookback_ms = 60000, .default_step_ms = 20000, .samples_max = 1000000};
    q->deadline_mono_ns = pl_now_mono_ns() + 2 * PL_NS_PER_S;
    if (pq_parse(&expr, a, text, &options, &err) != PL_OK) {
        return false;
    }
    q->expr = expr;
    return true;
}

static pl_status ask(struct pq_result *out, struct pl_arena *a, pl_str text, struct pq_query *q, int64_t start_ms,
                     int64_t end_ms, int64_t step_ms)
{
    struct pl_err err;

    if (!parse(q, a, text)) {
        return PL_INVALID;
    }
    q->start_ms = start_ms;
    q->end_ms = end_ms;
    q->step_ms = step_ms;
    return pq_run(out, a, &source()->base, q, &err);
}

static void differ(pl_str text, int64_t t_ms, const struct naive_vector *want, const struct pq_result *got)
{
    (void)fprintf(stderr, "at %lld: %.*s\n", (long long)t_ms, PL_STR_ARG(text));
    for (size_t i = 0; want != NULL && i < want->n; i++) {
        struct pl_buf b;

        pl_buf_init(&b, 0);
        labels_text(&b, want->v[i].labels);
        (void)fprintf(stderr, "  want %.*s %.17g\n", (int)b.n, b.p, want->v[i].v);
        pl_buf_fini(&b);
    }
    for (size_t i = 0; got != NULL && i < got->series_count; i++) {
        const struct pq_point *p = point_at(&got->series[i], t_ms);
        struct pl_buf b;

        pl_buf_init(&b, 0);
        labels_text(&b, got->series[i].labels);
        if (p != NULL) {
            (void)fprintf(stderr, "  got %.*s %.17g\n", (int)b.n, b.p, p->v);
        }
        pl_buf_fini(&b);
    }
    abort();
}

/* What the simple evaluator says of one step. */
static void check_step(pl_str text, const struct naive_vector *want, const struct pq_result *got, int64_t t_ms)
{
    size_t n = 0;

    for (size_t i = 0; i < got->series_count; i++) {
        const struct pq_point *p = point_at(&got->series[i], t_ms);
        size_t k = 0;

        if (p == NULL) {
            continue;
        }
        n++;
        while (k < want->n && !labels_eq(want->v[k].labels, got->series[i].labels)) {
            k++;
        }
        if (k == want->n || !near(want->v[k].v, p->v)) {
            differ(text, t_ms, want, got);
        }
    }
    if (n != want->n) {
        differ(text, t_ms, want, got);
    }
}

static void check_naive(pl_str text, struct pl_arena *a, const struct pq_query *q, const struct pq_result *got,
                        pl_status got_status)
{
    pl_status st = PL_OK;
    struct pl_err err;
    struct naive x = {.a = a, .source = &source()->base, .q = q, .err = &err};

    for (int64_t t = q->start_ms; t <= q->end_ms && st == PL_OK; t += STEP_MS) {
        struct naive_vector want;

        st = naive_at(&want, &x, t);
        if (st == PL_OK && got_status == PL_OK) {
            check_step(text, &want, got, t);
        }
    }
    if (st != PL_UNIMPLEMENTED && (st == PL_OK) != (got_status == PL_OK)) {
        (void)fprintf(stderr, "naive %s, engine %s\n", pl_status_name(st), pl_status_name(got_status));
        differ(text, 0, NULL, NULL);
    }
}

static void check_query(pl_str text)
{
    struct pq_result instant, range;
    struct pq_query q;
    struct pl_arena a;
    pl_status st;

    pl_arena_init(&a, 256 << 20);
    st = ask(&range, &a, text, &q, 0, END * STEP_MS, STEP_MS);
    if (st == PL_OK || st == PL_EXEC) {
        check_naive(text, &a, &q, &range, st);
    }
    if (st == PL_OK) {
        for (size_t i = 1; i < range.series_count; i++) {
            PL_ASSERT(labels_cmp(range.series[i - 1].labels, range.series[i].labels) < 0);
        }
        if (!may_differ(text) && ask(&instant, &a, text, &q, MIDDLE * STEP_MS, MIDDLE * STEP_MS, 0) == PL_OK &&
            instant.type == PQ_VECTOR) {
            check_same(&instant, &range, MIDDLE * STEP_MS);
        }
    }
    pl_arena_fini(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pl_buf text;

    if (size > 4096) {
        return 0;
    }
    if (size == 0 || data[0] != GRAMMAR) {
        check_query((pl_str){(const char *)data, size});
        return 0;
    }
    pl_buf_init(&text, 0);
    query_from_bytes(&text, data + 1, size - 1);
    check_query(pl_buf_view(&text));
    pl_buf_fini(&text);
    return 0;
}
