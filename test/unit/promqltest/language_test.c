/* The test language itself: what passes, what fails and how it is said, and what cannot be read. */
#include "promqltest/promqltest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct outcome {
    struct ptest_result r;
    struct pl_buf report;
};

static void run(struct outcome *o, const char *text)
{
    struct ptest_target *t = ptest_local_create(&(struct ptest_local_options){.cheap = true});
    struct ptest_script script;
    struct pl_arena a;

    pl_arena_init(&a, 0);
    pl_buf_init(&o->report, 0);
    assert_int_equal(ptest_script_parse(&script, &a, pl_str_c(text), NULL), PL_OK);
    ptest_run(&o->r, t, &script, &o->report, &(struct ptest_options){.name = PL_STR("f")});
    pl_buf_byte(&o->report, '\0');
    pl_arena_fini(&a);
    ptest_target_destroy(t);
}

#define DATA "load 1m\n  m{a=\"1\"} 1 2 3\n  m{a=\"2\"} 5x2\n  h {{count:4 sum:6 buckets:[1 3]}}x2\n\n"

/* One evaluation that must fail, and a part of what is said. */
static void mismatches_are_told(void **state)
{
    static const struct {
        const char *name, *eval, *said;
    } cases[] = {
        {"value", "eval instant at 1m m{a=\"1\"}\n  m{a=\"1\"} 2.1", "m{a=\"1\"} at 1m: expected 2.1, got 2"},
        {"just too far off", "eval instant at 1m m{a=\"1\"}\n  m{a=\"1\"} 2.00001", "expected 2.00001, got 2"},
        {"missing series", "eval instant at 1m m{a=\"1\"}\n  m{a=\"1\"} 2\n  m{a=\"3\"} 2",
         "expected series m{a=\"3\"} with 2, got none"},
        {"further series", "eval instant at 1m m\n  m{a=\"1\"} 2", "expected no series m{a=\"2\"}, got 5"},
        {"order", "eval instant at 1m sort(m)\n  expect ordered\n  m{a=\"2\"} 5\n  m{a=\"1\"} 2",
         "expected series m{a=\"1\"} at position 2, got it at 1"},
        {"point", "eval range from 0 to 2m step 1m m{a=\"1\"}\n  m{a=\"1\"} 1 2 4", "at 2m: expected 4, got 3"},
        {"missing point", "eval range from 0 to 9m step 3m m{a=\"1\"}\n  m{a=\"1\"} 1 3 3 3",
         "at 9m: expected 3, got no point"},
        {"further point", "eval range from 0 to 2m step 1m m{a=\"1\"}\n  m{a=\"1\"} 1 2",
         "at 2m: expected no point, got 3"},
        {"a gap that is none", "eval range from 0 to 2m step 1m m{a=\"1\"}\n  m{a=\"1\"} 1 _ 3",
         "at 1m: expected no point, got 2"},
        {"too many points", "eval range from 0 to 1m step 1m m{a=\"1\"}\n  m{a=\"1\"} 1 2 3",
         "the time range has fewer points"},
        {"scalar for vector", "eval instant at 1m scalar(m)\n  {} NaN",
         "expected a vector or matrix, got the scalar NaN"},
        {"vector for scalar", "eval instant at 1m sum(m)\n  7", "expected a scalar, got a instant vector"},
        {"scalar", "eval instant at 1m 1 + 1\n  3", "expected 3, got 2"},
        {"string", "eval instant at 1m \"a\"\n  expect string \"b\"", "expected string \"b\", got \"a\""},
        {"histogram for float", "eval instant at 1m m{a=\"1\"}\n  m{a=\"1\"} {{count:2}}",
         "expected {{count:2}}, got 2"},
        {"float for histogram", "eval instant at 1m h\n  h 4", "expected 4, got {{count:4 sum:6"},
        {"bucket", "eval instant at 1m h\n  h {{count:4 sum:6 buckets:[1 4]}}",
         "expected {{count:4 sum:6 buckets:[1 4]}}, got {{"},
        {"bucket's place", "eval instant at 1m h\n  h {{count:4 sum:6 offset:1 buckets:[1 3]}}", "offset:1"},
        {"schema", "eval instant at 1m h\n  h {{schema:1 count:4 sum:6 buckets:[1 3]}}", "schema:1"},
        {"zero threshold", "eval instant at 1m h\n  h {{z_bucket_w:0.5 count:4 sum:6 buckets:[1 3]}}",
         "z_bucket_w:0.5"},
        {"hint that is written",
         "eval instant at 1m -h\n  {} {{count:-4 sum:-6 buckets:[-1 -3] counter_reset_hint:reset}}",
         "counter_reset_hint:gauge"},
        {"no failure", "eval instant at 1m m\n  expect fail", "expected an error, got an answer"},
        {"a failure", "eval instant at 1m m + on () m\n  {} 1", "expected an answer, got the error: "},
        {"another failure", "eval instant at 1m m + on () m\n  expect fail msg: something",
         "expected: fail msg: something"},
        {"failure's regex", "eval instant at 1m m + on () m\n  expect fail regex: some.hing", "regex: some.hing"},
        {"parse failure", "eval instant at 1m m +\n  {} 1", "parse error"},
        {"no warning", "eval instant at 1m m{a=\"1\"}\n  expect warn\n  m{a=\"1\"} 2",
         "expected: warn; got: no such annotation"},
        {"old form", "eval_warn instant at 1m m{a=\"1\"}\n  m{a=\"1\"} 2", "no such annotation"},
        {"unwanted warning", "eval instant at 1m quantile(2, m)\n  expect no_warn\n  {} +Inf",
         "expected no warn annotation"},
        {"another warning", "eval instant at 1m quantile(2, m)\n  expect warn msg: x\n  {} +Inf",
         "expected: warn msg: x"},
        {"info for warning", "eval instant at 1m quantile(2, m)\n  expect info\n  {} +Inf", "expected: info"},
        {"grid", "eval instant at 2m m{a=\"1\"}[1m30s]\n  expect range vector from 0 to 2m step 1m\n  m{a=\"1\"} 1 2 3",
         "m{a=\"1\"} at 0s: expected 1, got no point"},
    };

    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        struct pl_buf text;
        struct outcome o;

        pl_buf_init(&text, 0);
        pl_buf_printf(&text, "%s%s\n", DATA, cases[i].eval);
        pl_buf_byte(&text, '\0');
        run(&o, text.p);
        if (o.r.failed != 1 || o.r.bad != 0 || strstr(o.report.p, cases[i].said) == NULL ||
            strstr(o.report.p, "f:6: ") != o.report.p) {
            fail_msg("%s: %u failed, %u bad: %s", cases[i].name, o.r.failed, o.r.bad, o.report.p);
        }
        pl_buf_fini(&o.report);
        pl_buf_fini(&text);
    }
}

/* Commands that cannot be read, each named by its line; what stands behind them is run. */
static void errors_are_told(void **state)
{
    static const struct {
        const char *text, *said;
    } cases[] = {
        {"nonsense here", "f:1: unknown command \"nonsense\""},
        {"load often\n  m 1", "f:1: invalid step definition \"often\""},
        {"load 1m\n  m 1 x3", "f:2: a value is expected at \"x3\""},
        {"load 1m\n  m 1+x3", "a number is expected"},
        {"load 1m\n  m 1+1", "x and how often is expected"},
        {"load 1m\n  m 1x", "x and how often is expected"},
        {"load 1m\n  m 1x99999999999", "more than 1048576 values"},
        {"load 1m\n  m{a=~\"1\"} 1", "only = is possible here"},
        {"load 1m\n  m{a=\"1\" 1", "f:2: "},
        {"load 1m\n  h {{count:1", "a histogram without end: }} is missing"},
        {"load 1m\n  h {{count:1 count:2}}", "duplicate key \"count\" in histogram"},
        {"load 1m\n  h {{counts:1}}", "bad histogram descriptor found: \"counts\""},
        {"load 1m\n  h {{count 1}}", "missing `:`"},
        {"load 1m\n  h {{schema:1.5}}", "histogram description incomplete unexpected: \".5}}\""},
        {"load 1m\n  h {{buckets:[1 x]}}", "a number is expected at \"x]}}\""},
        {"load 1m\n  h {{counter_reset_hint:maybe}}", "counter_reset_hint is unknown, reset, not_reset or gauge"},
        {"load 1m\n  h {{schema:1}}+{{schema:0}}x2", "cannot merge from schema 0 to 1"},
        {"load 1m\n  h {{schema:0}}+{{schema:-53 custom_values:[1]}}x2", "cannot merge from schema"},
        {"load 1m\n  h {{count:1 buckets:[-1]}}", "f:1: line 2: "},
        {"load 1m\n  m@st 0s 0s\n  m 1", "@st line has 2 values but sample line has 1"},
        {"load 1m\n  m@st 0s\n", "@st line has no following sample line"},
        {"load 1m\n  m@st 0s\n  n 1", "@st metric does not match"},
        {"load 1m\n  m 1\n\nload 1m\n  m 2", "out of order sample"},
        {"load_with_nhcb 1m\n  b_bucket{le=\"1\"} 5\n  b_bucket{le=\"2\"} 4", "count is not cumulative"},
        {"load_with_nhcb 1m\n  b_bucket{le=\"+Inf\"} 5\n  b_count 6", "count mismatch"},
        {"eval instant 5m m", "\"at\" is expected"},
        {"eval instant at soon m", "invalid timestamp definition \"soon\""},
        {"eval instant at 5m", "the query is missing"},
        {"eval range from 5m to 1m step 1m m", "the end is before the start"},
        {"eval range from 1m to 5m step 0s m", "the step must be above zero"},
        {"eval_later instant at 5m m", "unknown command \"eval_later\""},
        {"eval somehow m", "is expected"},
        {"eval instant at 5m m\n  m 1 2", "one value per series in an instant evaluation"},
        {"eval instant at 5m m\n  m", "a series without a value"},
        {"eval instant at 5m m\n  m 1\n  m 2", "the series is there already, in line 2"},
        {"eval instant at 5m m\n  expect wonders", "invalid expected error/annotation type wonders"},
        {"eval instant at 5m m\n  expect warn text", "msg: or regex: is expected at \"text\""},
        {"eval instant at 5m m\n  expect warn regex: (", "error parsing regexp"},
        {"eval instant at 5m m\n  expect warn\n  expect no_warn", "warn and no_warn cannot be used together"},
        {"eval instant at 5m m\n  expect fail\n  expect fail msg: x", "multiple expect fail lines"},
        {"eval instant at 5m m\n  expect string unquoted", "expected string literal not valid"},
        {"eval range from 0 to 5m step 1m m\n  expect range vector from 0 to 5m step 1m", "is for instant queries"},
    };

    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        struct pl_buf text;
        struct outcome o;

        pl_buf_init(&text, 0);
        pl_buf_printf(&text, "%s\n\nclear\n\neval instant at 0 1\n  1\n", cases[i].text);
        pl_buf_byte(&text, '\0');
        run(&o, text.p);
        if (o.r.bad != 1 || o.r.passed != 1 || strstr(o.report.p, cases[i].said) == NULL) {
            fail_msg("%s: %u bad, %u passed: %s", cases[i].text, o.r.bad, o.r.passed, o.report.p);
        }
        pl_buf_fini(&o.report);
        pl_buf_fini(&text);
    }
}

/* A literal, printed, is the literal again. */
static void literals_print(void **state)
{
    static const char *const texts[] = {
        "{{}}",
        "{{count:4 sum:6 buckets:[1 3]}}",
        "{{schema:3 count:1.5 sum:-2 z_bucket:1 z_bucket_w:0.001 offset:-4 buckets:[1 0 2] n_offset:7 n_buckets:[3]}}",
        "{{schema:-53 count:3 sum:9 custom_values:[1 2.5 10] buckets:[1 0 0 2]}}",
        "{{count:2 sum:3 counter_reset_hint:gauge buckets:[2]}}",
    };

    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(texts); i++) {
        struct ptest_series s;
        struct pl_arena a;
        struct pl_buf b;
        struct pl_err err;

        pl_arena_init(&a, 0);
        pl_buf_init(&b, 0);
        if (ptest_series_parse(&s, &a, pl_arena_printf(&a, "x %s", texts[i]), &err) != PL_OK) {
            fail_msg("%s: %s", texts[i], err.msg);
        }
        assert_int_equal(s.n, 1);
        ptest_hist_print(&b, s.values[0].h);
        pl_buf_byte(&b, '\0');
        assert_string_equal(b.p, texts[i]);
        pl_buf_fini(&b);
        pl_arena_fini(&a);
    }
}

/* A store at another time 0 gives the same answers, @ included; names dropped at once give others. */
static void places_agree(void **state)
{
    static const char text[] =
        DATA "eval instant at 2m sum_over_time(m{a=\"1\"}[1m1s]) + on () group_left () m{a=\"2\"} @ 1m\n"
             "  {a=\"1\"} 10\n\n"
             "eval range from 0 to 2m step 1m m{a=\"1\"} @ 60\n  m{a=\"1\"} 2 2 2\n\n"
             "eval instant at 2m label_replace(abs(m{a=\"1\"}), \"n\", \"$1\", \"__name__\", \"(.+)\")\n"
             "  {a=\"1\", n=\"m\"} 3\n\n"
             "eval instant at 2m time()\n  120\n";
    static const struct {
        struct ptest_local_options o;
        bool want[4];
    } cases[] = {{{.base_ms = 0}, {true, true, true, true}},
                 {{.base_ms = 1700006400000}, {true, true, true, false}},
                 {{.base_ms = 1700006400000, .immediate_names = true}, {true, true, false, false}}};
    struct ptest_script script;
    struct pl_arena a;

    (void)state;
    pl_arena_init(&a, 0);
    assert_int_equal(ptest_script_parse(&script, &a, pl_str_of(text, sizeof(text) - 1), NULL), PL_OK);
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        struct ptest_target *t = ptest_local_create(&cases[i].o);
        size_t n = 0;

        for (size_t k = 0; k < script.n; k++) {
            const struct ptest_command *c = &script.commands[k];
            struct pq_node *expr;

            if (c->kind == PTEST_LOAD) {
                assert_int_equal(t->ops->load(t, &c->load, NULL), PL_OK);
                continue;
            }
            assert_int_equal(c->kind, PTEST_EVAL);
            assert_int_equal(pq_parse(&expr, &a, c->eval.query, &ptest_parse_options, NULL), PL_OK);
            if (ptest_agrees(t, &a, &c->eval, expr) != cases[i].want[n]) {
                fail_msg("place %zu, evaluation %zu", i, n);
            }
            n++;
        }
        assert_int_equal(n, 4);
        ptest_target_destroy(t);
    }
    pl_arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(mismatches_are_told), cmocka_unit_test(errors_are_told),
                                       cmocka_unit_test(literals_print), cmocka_unit_test(places_agree)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
