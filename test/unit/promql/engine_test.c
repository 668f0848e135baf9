/* Limits, errors, immediate name removal, statistics and order: what the language files do not ask. */
#include "base/clock.h"
#include "promql/engine.h"
#include "promqltest/mem_source.h"

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

/* name{a="<a>"} with values v0, v0 + dv ... every 10 s from `from` on. */
static void add(struct fixture *f, const char *name, const char *a, int from_s, size_t n, double v0, double dv)
{
    struct label l[] = {{LABEL_METRIC_NAME, pl_str_c(name)}, {PL_STR("a"), pl_str_c(a)}};
    struct mem_series *s = mem_source_series(&f->source, (struct labels){l, 2});

    for (size_t i = 0; i < n; i++) {
        mem_series_add(&f->source, s, (from_s + (int64_t)i * 10) * 1000, v0 + (double)i * dv);
    }
}

static pl_status ask(struct fixture *f, const char *text, struct pq_query q)
{
    static const struct pq_parse_options options = {.experimental_functions = true};
    struct pq_node *expr;
    pl_status st = pq_parse(&expr, &f->arena, pl_str_c(text), &options, &f->err);

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
    return ask(f, text, (struct pq_query){.start_ms = 0, .end_ms = end_s * 1000, .step_ms = 10000});
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

static void memory_limit_names_flag_and_part(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 200; i++) {
        char a[16];

        (void)snprintf(a, sizeof(a), "%d", i);
        add(f, "m", a, 0, 100, 0, 1);
    }
    pl_arena_fini(&f->arena);
    pl_arena_init(&f->arena, 100000);
    assert_int_equal(range(f, "sort(m * 2)", 900), PL_LIMIT);
    assert_non_null(strstr(f->err.msg, "query processing would use more than the 100000 bytes of "
                                       "-querier.max-query-memory-bytes in "));
}

/* Every size of memory gives an answer or PL_LIMIT, never a crash. */
static void every_memory_limit_is_survived(void **state)
{
    static const char *const texts[] = {
        "sum by (a) (rate(m_total[1m])) / on (a) group_left avg by (a) (m_total) + 1",
        "topk(2, label_replace(m_total, \"b\", \"$1\", \"a\", \"(.*)\")) or quantile(0.5, m_total) > 1",
        "histogram_quantile(0.9, label_replace(m_total, \"le\", \"1\", \"\", \"\"))",
        "max_over_time(count_values(\"v\", m_total)[1m:10s]) unless absent(m_total)",
        "m_total",
    };
    struct fixture *f = *state;

    for (int i = 0; i < 5; i++) {
        char a[16];

        (void)snprintf(a, sizeof(a), "%d", i);
        add(f, "m_total", a, 0, 30, 0, 1);
    }
    for (size_t t = 0; t < PL_ARRAY_LEN(texts); t++) {
        pl_status st = PL_LIMIT;

        for (size_t limit = 20000; limit < 4000000 && st != PL_OK; limit += limit / 8) {
            pl_arena_fini(&f->arena);
            pl_arena_init(&f->arena, limit);
            st = range(f, texts[t], 290);
            assert_true(st == PL_OK || st == PL_LIMIT);
        }
        assert_int_equal(st, PL_OK);
    }
}

static void cancel_and_deadline(void **state)
{
    struct fixture *f = *state;
    _Atomic bool cancel = true;

    add(f, "m", "1", 0, 10, 0, 1);
    assert_int_equal(ask(f, "sum(m)", (struct pq_query){.cancel = &cancel}), PL_CANCELED);
    assert_string_equal(f->err.msg, "query was canceled in expression evaluation");
    assert_int_equal(ask(f, "sum(m)", (struct pq_query){.deadline_mono_ns = 1}), PL_TIMEOUT);
    assert_string_equal(f->err.msg, "query timed out in expression evaluation");
}

static void sample_limit(void **state)
{
    struct fixture *f = *state;

    add(f, "m", "1", 0, 100, 0, 1);
    assert_int_equal(ask(f, "m", (struct pq_query){.end_ms = 900000, .step_ms = 10000, .samples_max = 50}), PL_EXEC);
    assert_string_equal(f->err.msg, "query processing would load too many samples into memory in query execution");
}

static void wrong_types(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(range(f, "m[5m]", 60), PL_INVALID);
    assert_string_equal(f->err.msg,
                        "invalid expression type \"range vector\" for range query, must be Scalar or instant Vector");
    assert_int_equal(range(f, "\"text\"", 60), PL_INVALID);
}

static void names_go_at_once(void **state)
{
    struct fixture *f = *state;

    add(f, "x", "1", 0, 10, 0, 1);
    add(f, "y", "1", 0, 10, 0, 2);
    add(f, "late", "2", 200, 10, 5, 0);
    add(f, "early", "2", 0, 10, -5, 0);
    assert_int_equal(instant(f, "rate({__name__=~\"x|y\"}[1m])", 90), PL_EXEC);
    assert_string_equal(f->err.msg, "vector cannot contain metrics with the same labelset");
    assert_int_equal(instant(f, "abs({__name__=~\"x|y\"})", 90), PL_EXEC);
    assert_int_equal(instant(f, "-{__name__=~\"x|y\"}", 90), PL_EXEC);
    assert_int_equal(instant(f, "{__name__=~\"x|y\"} * 2", 90), PL_EXEC);
    assert_int_equal(instant(f, "{__name__=~\"x|y\"} > 2", 90), PL_OK);
    assert_int_equal(f->result.series_count, 2);
    text_is(f, 0, "{__name__=\"x\", a=\"1\"}");
    assert_int_equal(instant(f, "sum by (__name__) (rate(x[1m]))", 90), PL_OK);
    text_is(f, 0, "{}");
}

/* Series whose names told them apart become one where their samples do not meet. */
static void renamed_series_merge(void **state)
{
    struct fixture *f = *state;
    struct label l[] = {{LABEL_METRIC_NAME, PL_STR("early")}};
    struct mem_series *s = mem_source_series(&f->source, (struct labels){l, 1});

    mem_series_add(&f->source, s, 0, -1);
    mem_series_add(&f->source, s, 10000, pl_f64_from_bits(PL_STALE_NAN_BITS));
    l[0].value = PL_STR("late");
    s = mem_source_series(&f->source, (struct labels){l, 1});
    mem_series_add(&f->source, s, 10000, -2);
    assert_int_equal(range(f, "abs({__name__=~\"early|late\"})", 20), PL_OK);
    assert_int_equal(f->result.series_count, 1);
    assert_int_equal(f->result.series[0].count, 3);
    assert_true(f->result.series[0].points[0].v == 1 && f->result.series[0].points[1].v == 2);
    assert_int_equal(range(f, "{__name__=\"early\"} or {__name__=\"late\"}", 20), PL_OK);
    assert_int_equal(f->result.series_count, 2);
}

static void choosing_aggregations(void **state)
{
    static const char *const want[] = {"{__name__=\"m\", a=\"3\"}", "{__name__=\"m\", a=\"2\"}"};
    struct fixture *f = *state;

    for (int i = 0; i < 5; i++) {
        char a[16];

        (void)snprintf(a, sizeof(a), "%d", i);
        add(f, "m", a, 0, 10, i == 4 ? -1 : i, 0);
    }
    assert_int_equal(instant(f, "topk(2, m)", 50), PL_OK);
    assert_int_equal(f->result.series_count, 2);
    text_is(f, 0, want[0]);
    text_is(f, 1, want[1]);
    assert_int_equal(instant(f, "bottomk(1, m)", 50), PL_OK);
    text_is(f, 0, "{__name__=\"m\", a=\"4\"}");
    assert_int_equal(instant(f, "limitk(3, m)", 50), PL_OK);
    assert_int_equal(f->result.series_count, 3);
    text_is(f, 0, "{__name__=\"m\", a=\"0\"}");
    assert_int_equal(instant(f, "count(limit_ratio(0.4, m) or limit_ratio(-0.6, m))", 50), PL_OK);
    assert_true(f->result.series[0].points[0].v == 5);
    assert_int_equal(range(f, "topk(2, m)", 50), PL_OK);
    text_is(f, 0, want[1]); /* by labels */
    assert_int_equal(instant(f, "topk(NaN, m)", 50), PL_EXEC);
    assert_string_equal(f->err.msg, "Parameter value is NaN");
    assert_int_equal(instant(f, "topk(1e19, m)", 50), PL_EXEC);
    assert_string_equal(f->err.msg, "Scalar value 1e+19 overflows int64");
    assert_int_equal(instant(f, "topk(0, m)", 50), PL_OK);
    assert_int_equal(f->result.series_count, 0);
}

static void statistics(void **state)
{
    struct fixture *f = *state;

    add(f, "m", "1", 0, 10, 0, 1);
    assert_int_equal(
        ask(f, "sum_over_time(m[30s])", (struct pq_query){.end_ms = 20000, .step_ms = 10000, .per_step_stats = true}),
        PL_OK);
    assert_int_equal(f->result.stats.samples_total, 1 + 2 + 3);
    assert_int_equal(f->result.stats.step_count, 3);
    assert_int_equal(f->result.stats.samples_per_step[2], 3);
    assert_int_equal(f->result.stats.series_fetched, 1);
    /* a subquery's own reads do not count, what its function sees does */
    assert_int_equal(instant(f, "sum_over_time(m[30s:10s])", 90), PL_OK);
    assert_int_equal(f->result.stats.samples_total, 3);
    /* a part that does not depend on the step counts at every step */
    assert_int_equal(range(f, "m @ 50", 20), PL_OK);
    assert_int_equal(f->result.stats.samples_total, 3);
}

static void annotations(void **state)
{
    struct fixture *f = *state;

    add(f, "m", "1", 0, 10, 0, 1);
    add(f, "m", "2", 0, 10, 0, 1);
    assert_int_equal(range(f, "rate(m[30s]) + quantile(2, m)", 20), PL_OK);
    assert_int_equal(f->result.notes.info_count, 1);
    assert_int_equal(f->result.notes.warning_count, 1);
    assert_true(
        pl_str_eq(f->result.notes.infos[0], PL_STR("PromQL info: metric might not be a counter, name does not end in "
                                                   "_total/_sum/_count/_bucket: \"m\"")));
    assert_int_equal(f->result.notes.info_details[0].pos.start, 5);
    assert_true(pl_str_eq(f->result.notes.warnings[0],
                          PL_STR("PromQL warning: quantile value should be between 0 and 1, got 2")));
}

static void explained_is(const struct pq_explained *e, const char *name, const char *expr, size_t children)
{
    struct pl_buf b;

    pl_buf_init(&b, 0);
    pq_print(&b, e->expr);
    pl_buf_byte(&b, 0);
    assert_string_equal(e->name, name);
    assert_string_equal(b.p, expr);
    assert_int_equal(e->child_count, children);
    pl_buf_fini(&b);
}

static void explains(void **state)
{
    struct fixture *f = *state;
    const struct pq_explained *e;
    struct pq_query q = {.end_ms = 100000, .step_ms = 10000, .explain = PQ_EXPLAIN_PLAN};

    add(f, "m", "x", 0, 200, 1, 1);
    add(f, "m", "y", 0, 200, 1, 2);
    add(f, "n", "x", 0, 5, 3, 0);
    assert_int_equal(ask(f, "sum(rate(m[1m])) + count(n)", q), PL_OK);
    e = f->result.explained;
    assert_non_null(e);
    assert_int_equal(f->result.series_count, 0);
    explained_is(e, "vector matching", "sum(rate(m[1m])) + count(n)", 2);
    explained_is(&e->children[0], "aggregation", "sum(rate(m[1m]))", 1);
    explained_is(&e->children[0].children[0], "range function", "rate(m[1m])", 0);
    explained_is(&e->children[1].children[0], "selector", "n", 0);
    assert_int_equal(e->children[0].children[0].series, 2);
    assert_int_equal(e->children[0].children[0].samples, 240); /* the chunks that the window touches */
    assert_int_equal(e->children[1].children[0].samples, 5);
    assert_int_equal(e->children[1].children[0].points, 0);

    q.explain = PQ_EXPLAIN_ANALYZE;
    assert_int_equal(ask(f, "sum(rate(m[1m])) + count(n)", q), PL_OK);
    e = f->result.explained;
    assert_int_equal(f->result.series_count, 1);
    assert_int_equal(e->children[0].columns, 1);
    assert_int_equal(e->children[0].children[0].columns, 2);
    assert_int_equal(e->children[0].children[0].points, 20); /* none at 0 s: one sample has no rate */
    assert_true(e->children[0].children[0].own_ns > 0);
    assert_true(e->children[1].children[0].own_bytes > 0);

    /* what is wrapped keeps its place */
    assert_int_equal(ask(f, "label_join(m @ 50, \"b\", \"-\", \"a\")", q), PL_OK);
    e = f->result.explained;
    explained_is(e, "step invariant", "label_join(m @ 50.000, \"b\", \"-\", \"a\")", 1);
    explained_is(&e->children[0], "merge", "label_join(m @ 50.000, \"b\", \"-\", \"a\")", 1);
    explained_is(&e->children[0].children[0], "label", "label_join(m @ 50.000, \"b\", \"-\", \"a\")", 1);
    explained_is(&e->children[0].children[0].children[0], "selector", "m @ 50.000", 0);
}

static void quantiles_need_a_label(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(instant(f, "histogram_quantiles(m, \"\", 0.5)", 10), PL_EXEC);
    assert_string_equal(f->err.msg, "invalid label name \"\" in histogram_quantiles()");
}

/* What is written twice is read once, and counted twice. */
static void shares_what_is_written_twice(void **state)
{
    struct fixture *f = *state;
    const struct pq_explained *e;
    struct pq_query q = {.end_ms = 100000, .step_ms = 10000, .explain = PQ_EXPLAIN_ANALYZE, .per_step_stats = true};

    add(f, "m", "x", 0, 200, 1, 1);
    add(f, "m", "y", 0, 200, 1, 2);
    assert_int_equal(ask(f, "rate(m[1m]) / on() group_left() sum(rate(m[1m]))", q), PL_OK);
    e = f->result.explained;
    explained_is(&e->children[0], "shared", "rate(m[1m])", 1);
    explained_is(&e->children[0].children[0], "range function", "rate(m[1m])", 0);
    explained_is(&e->children[1].children[0], "shared", "rate(m[1m])", 0);
    assert_int_equal(e->children[1].children[0].columns, 2);
    assert_int_equal(f->result.series_count, 2);
    assert_true(f->result.series[0].points[0].v + f->result.series[1].points[0].v == 1);
    assert_int_equal(f->result.stats.samples_per_step[10], 2 * 2 * 6); /* 6 samples a window, 2 series, read twice */
    assert_int_equal(f->result.stats.series_fetched, 2);
    {
        uint64_t sum = 0;

        for (size_t i = 0; i < f->result.stats.step_count; i++) {
            sum += f->result.stats.samples_per_step[i];
        }
        assert_int_equal(f->result.stats.samples_total, sum);
    }

    /* the bigger part is shared whole; readers may change their copies in place */
    assert_int_equal(ask(f, "-sum(m) * 2 + sum(m)", q), PL_OK);
    assert_true(f->result.series[0].points[3].v == -(4.0 + 7.0));
    /* another grid is another part */
    assert_int_equal(ask(f, "sum(m) - max_over_time(sum(m)[1m:10s])", q), PL_OK);
    assert_true(f->result.series[0].points[10].v == 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(memory_limit_names_flag_and_part),
        T(every_memory_limit_is_survived),
        T(cancel_and_deadline),
        T(sample_limit),
        T(wrong_types),
        T(names_go_at_once),
        T(renamed_series_merge),
        T(choosing_aggregations),
        T(statistics),
        T(annotations),
        T(explains),
        T(quantiles_need_a_label),
        T(shares_what_is_written_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
