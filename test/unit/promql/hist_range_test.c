/* Native histograms in range and histogram functions: limits, costs and names, which the language files do not ask. */
#include "promql/engine.h"
#include "promqltest/mem_source.h"
#include "promqltest/promqltest.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct fixture {
    struct mem_source source;
    struct pl_arena arena;
    struct pl_err err;
    struct pq_result result;
};

static int setup(void **state)
{
    struct fixture *f = pl_new(struct fixture);

    mem_source_init(&f->source);
    pl_arena_init(&f->arena, 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    pl_arena_fini(&f->arena);
    mem_source_fini(&f->source);
    pl_free(f);
    return 0;
}

/* name{__type__="histogram", a="<a>"}: every 10 s a histogram that has grown, now and then reset or of another layout.
 */
static void add(struct fixture *f, const char *name, const char *a, size_t n)
{
    static const int32_t at[] = {-1, 0, 1, 4};
    struct label l[] = {
        {LABEL_METRIC_NAME, pl_str_c(name)}, {PL_STR("__type__"), PL_STR("histogram")}, {PL_STR("a"), pl_str_c(a)}};
    struct mem_series *s = mem_source_series(&f->source, (struct labels){l, PL_ARRAY_LEN(l)});

    for (size_t i = 0; i < n; i++) {
        double v[] = {(double)(i % 7), (double)(i % 7) * 2, 1, (double)(i % 7)};
        struct hist h = {.schema = i % 11 == 10 ? 1 : 2,
                         .sum = (double)i,
                         .zero_threshold = i % 5 == 4 ? 0.5 : 0.25,
                         .zero_count = (double)(i % 7),
                         .pos = {at, v, PL_ARRAY_LEN(at)},
                         .neg = {at, v, 2}};

        h.count = h.zero_count + v[0] + v[1] + v[2] + v[3] + v[0] + v[1];
        mem_series_add_hist(&f->source, s, (int64_t)i * 10000, &h);
    }
}

static pl_status ask(struct fixture *f, const char *text, struct pq_query q)
{
    struct pq_node *expr;
    pl_status st = pq_parse(&expr, &f->arena, pl_str_c(text), &ptest_parse_options, &f->err);

    if (st != PL_OK) {
        return st;
    }
    q.expr = expr;
    q.lookback_ms = 300000;
    q.default_step_ms = 60000;
    f->result = (struct pq_result){0};
    return pq_run(&f->result, &f->arena, &f->source.base, &q, &f->err);
}

static pl_status instant(struct fixture *f, const char *text, int64_t t_s)
{
    return ask(f, text, (struct pq_query){.start_ms = t_s * 1000, .end_ms = t_s * 1000});
}

static pl_status range(struct fixture *f, const char *text, int64_t end_s)
{
    return ask(f, text, (struct pq_query){.end_ms = end_s * 1000, .step_ms = 10000});
}

static void text_is(const struct fixture *f, size_t i, const char *want)
{
    struct pl_buf b;

    pl_buf_init(&b, 0);
    labels_text(&b, f->result.series[i].labels);
    pl_buf_byte(&b, 0);
    assert_string_equal(b.p, want);
    pl_buf_fini(&b);
}

/* Every size of memory gives an answer or PL_LIMIT, never a crash. */
static void every_memory_limit_is_survived(void **state)
{
    static const char *const texts[] = {
        "rate(h[1m])",
        "increase(h[1m] smoothed) or delta(h[1m] anchored)",
        "h smoothed",
        "sum_over_time(h[1m]) or avg_over_time(h[1m])",
        "irate(h[1m]) and changes(h[1m]) + resets(h[1m])",
        "sum(last_over_time(rate(h[1m])[1m:5s]))",
        "histogram_count(rate(h[1m]))",
        "histogram_quantile(0.9, rate(h[1m])) + histogram_fraction(0, 1, h)",
        "histogram_quantiles(h, \"q\", scalar(vector(time() / 1000)), 0.5)",
    };
    struct fixture *f = *state;

    for (int i = 0; i < 4; i++) {
        char a[16];

        (void)snprintf(a, sizeof(a), "%d", i);
        add(f, "h", a, 30);
    }
    for (size_t t = 0; t < PL_ARRAY_LEN(texts); t++) {
        pl_status st = PL_LIMIT;

        for (size_t limit = 20000; limit < 16000000 && st != PL_OK; limit += limit / 16) {
            pl_arena_fini(&f->arena);
            pl_arena_init(&f->arena, limit);
            st = range(f, texts[t], 290);
            assert_true(st == PL_OK || st == PL_LIMIT);
        }
        assert_int_equal(st, PL_OK);
    }
}

/* More histograms than a batch keeps: batches end early, the answer is the same. */
static void large_batches_end_early(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 300; i++) {
        char a[16];

        (void)snprintf(a, sizeof(a), "%03d", i);
        add(f, "h", a, 120);
    }
    assert_int_equal(range(f, "increase(h[1m])", 1190), PL_OK);
    assert_int_equal(f->result.series_count, 300);
    assert_int_equal(f->result.series[299].hist_count, 119);
    text_is(f, 299, "{a=\"299\"}");
    assert_int_equal(range(f, "sum(histogram_count(increase(h[1m])))", 1190), PL_OK);
    assert_int_equal(f->result.series_count, 1);
    /* what batches shared is not kept: the peak is far below all results together */
    pl_arena_fini(&f->arena);
    pl_arena_init(&f->arena, 24 << 20);
    assert_int_equal(range(f, "count(increase(h[1m]))", 1190), PL_OK);
}

/* A histogram of 6 buckets in 3 spans counts (168 + 8 * 9 + 8) / 16 = 15 samples; without buckets 11. */
static void histograms_cost_samples(void **state)
{
    struct fixture *f = *state;
    struct pq_query q = {.end_ms = 20000, .step_ms = 10000, .per_step_stats = true};

    add(f, "h", "1", 3);
    assert_int_equal(ask(f, "count_over_time(h[20s])", q), PL_OK);
    assert_int_equal(f->result.stats.samples_total, 15 + 30 + 30);
    assert_int_equal(f->result.stats.samples_per_step[0], 15);
    assert_int_equal(f->result.stats.samples_per_step[2], 30);
    assert_int_equal(ask(f, "histogram_count(last_over_time(h[20s]))", q), PL_OK);
    assert_int_equal(f->result.stats.samples_total, 11 + 22 + 22);
    assert_int_equal(ask(f, "h", q), PL_OK);
    assert_int_equal(f->result.stats.samples_total, 45);
    assert_int_equal(ask(f, "start_timestamp(h)", q), PL_OK);
    assert_int_equal(f->result.series_count, 0);
    assert_int_equal(f->result.stats.samples_total, 3);
    q.samples_max = 44;
    assert_int_equal(ask(f, "h", q), PL_EXEC);
    /* the samples of a window count too, not only what comes out */
    q.samples_max = 32;
    assert_int_equal(ask(f, "count_over_time(h[20s])", q), PL_EXEC);
    assert_string_equal(f->err.msg, "query processing would load too many samples into memory in query execution");
    q.samples_max = 33;
    assert_int_equal(ask(f, "count_over_time(h[20s])", q), PL_OK);
}

/* Without delayed removal histogram_count and its like take the name only, the others the type as well. */
static void names_go_at_once(void **state)
{
    struct fixture *f = *state;

    add(f, "h", "1", 10);
    add(f, "i", "1", 10);
    assert_int_equal(instant(f, "histogram_count(h)", 90), PL_OK);
    text_is(f, 0, "{__type__=\"histogram\", a=\"1\"}");
    assert_int_equal(instant(f, "rate(h[1m])", 90), PL_OK);
    text_is(f, 0, "{a=\"1\"}");
    assert_int_equal(instant(f, "histogram_quantile(0.5, h)", 90), PL_OK);
    text_is(f, 0, "{a=\"1\"}");
    assert_int_equal(instant(f, "last_over_time(h[1m])", 90), PL_OK);
    text_is(f, 0, "{__name__=\"h\", __type__=\"histogram\", a=\"1\"}");
    assert_int_equal(instant(f, "histogram_sum({__name__=~\"h|i\"})", 90), PL_EXEC);
    assert_int_equal(instant(f, "histogram_quantiles(h, \"q\", 0.5, 0.5)", 90), PL_EXEC);
    assert_string_equal(f->err.msg, "vector cannot contain metrics with the same labelset");
    assert_int_equal(instant(f, "histogram_quantiles(h, \"q\", 0.5, 1)", 90), PL_OK);
    assert_int_equal(f->result.series_count, 2);
    text_is(f, 1, "{a=\"1\", q=\"1.0\"}");
}

static void counters_told_by_type(void **state)
{
    struct fixture *f = *state;
    struct label l[] = {{LABEL_METRIC_NAME, PL_STR("x_total")}, {PL_STR("__type__"), PL_STR("gauge")}};
    struct mem_series *s = mem_source_series(&f->source, (struct labels){l, 2});
    struct pq_query q = {.start_ms = 20000, .end_ms = 20000, .type_and_unit_labels = true};

    for (int64_t t = 0; t < 3; t++) {
        mem_series_add(&f->source, s, t * 10000, (double)t);
    }
    assert_int_equal(ask(f, "rate(x_total[1m])", q), PL_OK);
    assert_int_equal(f->result.notes.info_count, 1);
    assert_true(pl_str_eq(f->result.notes.infos[0],
                          PL_STR("PromQL info: metric might not be a counter, __type__ label is not set to \"counter\" "
                                 "or \"histogram\", got \"gauge\": \"x_total\"")));
    q.type_and_unit_labels = false;
    assert_int_equal(ask(f, "rate(x_total[1m])", q), PL_OK);
    assert_int_equal(f->result.notes.info_count, 0);
}

/* Of one text at several places the outermost counts; what is said about a subquery stands at the beginning. */
static void positions(void **state)
{
    struct fixture *f = *state;

    add(f, "h", "1", 10);
    assert_int_equal(instant(f, "1 * delta(h[1m])", 90), PL_OK);
    assert_int_equal(f->result.notes.warning_count, 1);
    assert_int_equal(f->result.notes.warning_details[0].pos.start, 10);
    assert_int_equal(instant(f, "1 * delta(h[1m:10s])", 90), PL_OK);
    assert_int_equal(f->result.notes.warning_details[0].pos.start, 0);
    assert_int_equal(instant(f, "delta(h[1m]) - idelta(h[1m])", 90), PL_OK);
    assert_int_equal(f->result.notes.warning_details[0].pos.start, 22);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(every_memory_limit_is_survived), T(large_batches_end_early),
        T(histograms_cost_samples),        T(names_go_at_once),
        T(counters_told_by_type),          T(positions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
