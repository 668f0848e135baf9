/* The test language against a server: what is written, and what answers are taken for. */
#include "codec/remote_write.h"
#include "ctl/remote.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void series(struct ptest_series *out, struct pl_arena *a, const char *text)
{
    struct pl_err err;

    if (ptest_series_parse(out, a, pl_str_c(text), &err) != PL_OK) {
        fail_msg("%s: %s", text, err.msg);
    }
}

static void writes_what_is_loaded(void **state)
{
    struct ptest_series s[2];
    struct remote_series v[2];
    struct remote_write w;
    struct pl_arena a;
    struct pl_buf b;
    struct pl_err err;

    (void)state;
    pl_arena_init(&a, 0);
    pl_buf_init(&b, 0);
    series(&s[0], &a, "m{a=\"1\"} 1 _ stale 4");
    series(&s[1], &a, "n 5x3 {{count:1 sum:2 buckets:[1]}} 7");
    v[0] = (struct remote_series){&s[0], 60000};
    v[1] = (struct remote_series){&s[1], 60000};
    /* The kind changes at 4m and again at 5m. */
    assert_int_equal(remote_write_cut(v, 2, 0, 600000), 240000);
    assert_int_equal(remote_write_cut(v, 2, 240000, 600000), 300000);
    assert_int_equal(remote_write_cut(v, 2, 300000, 600000), 600000);
    assert_int_equal(remote_write_put(&b, v, 2, 1000000, 0, 240000), 7);
    assert_int_equal(remote_write_walk(&w, pl_buf_view(&b), &a, &err), PL_OK);
    assert_int_equal(w.series_count, 2);
    assert_int_equal(w.sample_count, 7);
    assert_int_equal(w.t[0], 1000000);
    assert_true(w.v[0] == 1);
    assert_int_equal(w.t[1], 1000000 + 120000);
    assert_true(pl_is_stale(w.v[1]));
    assert_int_equal(w.t[2], 1000000 + 180000);
    pl_buf_reset(&b);
    assert_int_equal(remote_write_put(&b, v, 2, 0, 240000, 300000), 1);
    assert_int_equal(remote_write_walk(&w, pl_buf_view(&b), &a, &err), PL_OK);
    assert_int_equal(w.histogram_count, 1);
    pl_buf_reset(&b);
    assert_int_equal(remote_write_put(&b, v, 2, 0, 600000, 900000), 0);
    assert_int_equal(b.n, 0);
    pl_buf_fini(&b);
    pl_arena_fini(&a);
}

static pl_status answer(struct ptest_answer *out, struct pl_arena *a, const char *json)
{
    return remote_answer_parse(out, a, pl_str_c(json), 200, 10000, NULL);
}

static void reads_answers(void **state)
{
    struct ptest_answer x;
    struct pl_arena a;

    (void)state;
    pl_arena_init(&a, 0);
    assert_int_equal(
        answer(&x, &a,
               "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[{\"metric\":{\"b\":\"2\","
               "\"a\":\"1\"},\"values\":[[10,\"1\"],[12.5,\"NaN\"]],\"histograms\":[[11,{\"count\":\"3\",\"sum\":"
               "\"-1.5\",\"buckets\":[[3,\"-0.5\",\"0.5\",\"1\"],[0,\"0.5\",\"1\",\"2\"]]}]]}]},"
               "\"warnings\":[\"PromQL warning: text (1:23)\"],\"infos\":[\"no position (here)\"]}"),
        PL_OK);
    assert_int_equal(x.type, PQ_MATRIX);
    assert_int_equal(x.n, 1);
    assert_true(pl_str_eq(x.rows[0].labels.v[0].name, PL_STR("a")));
    assert_int_equal(x.rows[0].n, 3);
    assert_int_equal(x.rows[0].points[0].t_ms, 0);
    assert_int_equal(x.rows[0].points[1].t_ms, 1000);
    assert_non_null(x.rows[0].points[1].b);
    assert_int_equal(x.rows[0].points[1].b->n, 2);
    assert_true(x.rows[0].points[1].b->v[0].lower_inclusive && x.rows[0].points[1].b->v[0].upper_inclusive);
    assert_true(!x.rows[0].points[1].b->v[1].lower_inclusive && x.rows[0].points[1].b->v[1].upper_inclusive);
    assert_int_equal(x.rows[0].points[2].t_ms, 2500);
    assert_true(pl_str_eq(x.warnings[0].text, PL_STR("PromQL warning: text")));
    assert_true(pl_str_eq(x.infos[0].text, PL_STR("no position (here)")));
    assert_int_equal(
        answer(&x, &a, "{\"status\":\"success\",\"data\":{\"resultType\":\"scalar\",\"result\":[1,\"+Inf\"]}}"), PL_OK);
    assert_int_equal(x.type, PQ_SCALAR);
    assert_int_equal(
        answer(&x, &a,
               "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"invalid parameter \\\"query\\\": "
               "1:2: parse error: x\"}"),
        PL_OK);
    assert_true(x.failed && pl_str_eq(x.error, PL_STR("1:2: parse error: x")));
    pl_arena_fini(&a);
}

/* A failing test must not pass because the server was busy or is no query API. */
static void other_answers_are_none(void **state)
{
    static const char *const texts[] = {
        "",
        "<html>",
        "{}",
        "[]",
        "{\"status\":\"error\",\"errorType\":\"unavailable\",\"error\":\"busy\"}",
        "{\"status\":\"error\"}",
        "{\"status\":\"success\"}",
        "{\"status\":\"success\",\"data\":{\"resultType\":\"tensor\",\"result\":[]}}",
        "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[{\"metric\":{},\"value\":[1,2]}]}}",
        "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[{\"metric\":{},\"value\":[\"x\",\"2\"]"
        "}]}}",
        "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[{\"metric\":{\"a\":1},\"value\":[1,"
        "\"2\"]}]}}",
        "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[5]}}",
    };

    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(texts); i++) {
        struct ptest_answer x;
        struct pl_arena a;

        pl_arena_init(&a, 0);
        if (answer(&x, &a, texts[i]) == PL_OK) {
            fail_msg("%s is no answer", texts[i]);
        }
        pl_arena_fini(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(writes_what_is_loaded), cmocka_unit_test(reads_answers),
                                       cmocka_unit_test(other_answers_are_none)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
