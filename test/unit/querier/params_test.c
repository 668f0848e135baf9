#include "querier/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void times(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        {"0", 0},
        {"1.05", 1050},
        {"-1.5", -1500},
        {"-0.0005", -1},
        {"1435781451.7814", 1435781451781},
        {"1e3", 1000000},
        {"1970-01-01T00:00:01Z", 1000},
        {"2015-07-01T20:10:51.781Z", 1435781451781},
        {"2015-07-01T20:10:51.7819999Z", 1435781451781},
        {"2015-07-01T22:10:51+02:00", 1435781451000},
        {"1969-12-31T23:59:59.5Z", -500},
        {"2000-02-29T00:00:00Z", 951782400000},
        {"-292273086-05-16T16:47:06Z", QUERIER_TIME_MIN_MS},
        {"292277025-08-18T07:12:54.999999999Z", QUERIER_TIME_MAX_MS},
    };
    (void)state;

    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        int64_t ms;
        struct pl_err err;

        assert_int_equal(querier_parse_time(&ms, pl_str_c(cases[i].text), &err), PL_OK);
        assert_int_equal(ms, cases[i].ms);
    }
    assert_int_equal(QUERIER_TIME_MIN_MS / 1000, -9223309901257974);
}

static void bad_times(void **state)
{
    static const char *const cases[] = {"",
                                        "x",
                                        "2015-02-29T00:00:00Z",
                                        "2015-13-01T00:00:00Z",
                                        "2015-07-01T24:10:51Z",
                                        "NaN",
                                        "Inf",
                                        "1e300",
                                        "2015-07-01T20:10:51",
                                        "2015-07-01 20:10:51Z",
                                        "2015-07-01T20:10:51.Z",
                                        "2015-07-01T20:10:51+0200",
                                        "2015-07-01t20:10:51z",
                                        "1s"};
    (void)state;

    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        int64_t ms;
        struct pl_err err;
        char want[200];

        assert_int_equal(querier_parse_time(&ms, pl_str_c(cases[i]), &err), PL_INVALID);
        (void)snprintf(want, sizeof(want), "cannot parse \"%s\" to a valid timestamp", cases[i]);
        assert_string_equal(err.msg, want);
    }
}

static void durations(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
        const char *error;
    } cases[] = {
        {"15", 15000, NULL},
        {"0.25", 250, NULL},
        {"1h30m", 5400000, NULL},
        {"5m", 300000, NULL},
        {"-1", -1000, NULL},
        {"y", 0, "cannot parse \"y\" to a valid duration"},
        {"", 0, "cannot parse \"\" to a valid duration"},
        {"1e30", 0, "cannot parse \"1e30\" to a valid duration. It overflows int64"},
        {"NaN", 0, "cannot parse \"NaN\" to a valid duration. It overflows int64"},
    };
    (void)state;

    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        int64_t ms = 0;
        struct pl_err err;
        pl_status st = querier_parse_duration(&ms, pl_str_c(cases[i].text), &err);

        assert_int_equal(st, cases[i].error == NULL ? PL_OK : PL_INVALID);
        assert_int_equal(ms, cases[i].ms);
        if (st != PL_OK) {
            assert_string_equal(err.msg, cases[i].error);
        }
    }
}

static void limits_of_answers(void **state)
{
    static const struct {
        const char *text;
        uint64_t n;
        const char *error;
    } cases[] = {
        {"", 0, NULL},
        {"0", 0, NULL},
        {"17", 17, NULL},
        {"+17", 17, NULL},
        {"-1", 0, "limit must be non-negative"},
        {"x", 0, "strconv.Atoi: parsing \"x\": invalid syntax"},
        {"1.5", 0, "strconv.Atoi: parsing \"1.5\": invalid syntax"},
        {"+", 0, "strconv.Atoi: parsing \"+\": invalid syntax"},
        {"99999999999999999999", 0, "strconv.Atoi: parsing \"99999999999999999999\": value out of range"},
    };
    (void)state;

    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        uint64_t n;
        struct pl_err err;
        pl_status st = querier_parse_limit(&n, pl_str_c(cases[i].text), &err);

        assert_int_equal(st, cases[i].error == NULL ? PL_OK : PL_INVALID);
        if (st != PL_OK) {
            assert_string_equal(err.msg, cases[i].error);
        } else {
            assert_int_equal(n, cases[i].n);
        }
    }
}

static void go_durations(void **state)
{
    static const struct {
        int64_t ns;
        const char *want;
    } cases[] = {
        {0, "0s"},
        {1, "1ns"},
        {1500, "1.5\u00b5s"},
        {250000000, "250ms"},
        {1500000000, "1.5s"},
        {60000000000, "1m0s"},
        {5400000000000, "1h30m0s"},
        {-5400001000000, "-1h30m0.001s"},
        {INT64_MAX, "2562047h47m16.854775807s"},
    };
    struct pl_arena a;
    (void)state;

    pl_arena_init(&a, 0);
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        pl_str got = querier_go_duration(&a, cases[i].ns);

        assert_string_equal(got.p, cases[i].want);
    }
    pl_arena_fini(&a);
}

static void escaped_label_names(void **state)
{
    static const struct {
        const char *in, *want;
    } cases[] = {{"job", "job"},           {"U__a_2d_b", "a-b"},   {"U__a__b", "a_b"}, {"U__a_20AC_", "a\u20ac"},
                 {"U__a_zz_", "U__a_zz_"}, {"U__a_2d", "U__a_2d"}, {"U__", ""},        {"U__a_d800_", "U__a_d800_"}};
    struct pl_arena a;
    (void)state;

    pl_arena_init(&a, 0);
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        pl_str got;

        assert_int_equal(querier_unescape_label(&got, &a, pl_str_c(cases[i].in), NULL), PL_OK);
        assert_true(pl_str_eq(got, pl_str_c(cases[i].want)));
    }
    pl_arena_fini(&a);
}

/* A name may be as long as a request's head: a query at its memory limit must fail, not the process. */
static void long_label_name_at_the_limit(void **state)
{
    static char name[40000] = "U__";
    struct pl_err err;
    struct pl_arena a;
    pl_str got;
    (void)state;

    memset(name + 3, 'a', sizeof(name) - 3);
    pl_arena_init(&a, 10000);
    assert_int_equal(querier_unescape_label(&got, &a, pl_str_of(name, sizeof(name)), &err), PL_LIMIT);
    assert_true(a.full);
    pl_arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(long_label_name_at_the_limit),
                                       cmocka_unit_test(times),
                                       cmocka_unit_test(bad_times),
                                       cmocka_unit_test(durations),
                                       cmocka_unit_test(limits_of_answers),
                                       cmocka_unit_test(go_durations),
                                       cmocka_unit_test(escaped_label_names)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
