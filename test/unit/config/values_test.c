/* Durations, numbers and scalars as text, both ways. */
#include "base/base.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "config/section.h"

static void go_durations(void **state)
{
    static const struct {
        const char *text;
        int64_t ns;
        const char *printed;
    } cases[] = {
        {"0", 0, "0s"},
        {"1ns", 1, "1ns"},
        {"1500ns", 1500, "1.5\xc2\xb5s"},
        {"1us", 1000, "1\xc2\xb5s"},
        {"100ms", 100000000, "100ms"},
        {"1.5s", 1500000000, "1.5s"},
        {".5s", 500000000, "500ms"},
        {"90s", 90000000000, "1m30s"},
        {"2h", 7200000000000, "2h0m0s"},
        {"1h30m5.000000001s", 5405000000001, "1h30m5.000000001s"},
        {"-1m", -60000000000, "-1m0s"},
        {"+3s", 3000000000, "3s"},
        {"2562047h47m16.854775807s", INT64_MAX, "2562047h47m16.854775807s"},
        {"-2562047h47m16.854775808s", INT64_MIN, "-2562047h47m16.854775808s"},
    };
    static const char *const bad[] = {
        "", "-", "s", "1", "1d", "1.2.3s", "1h ", " 1h", "3000000h", "9223372036854775808ns", "."};
    char why[OPT_WHY_MAX];

    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        int64_t ns;
        struct pl_buf b = {0};
        assert_true(opt_duration_parse(pl_str_c(cases[i].text), &ns, why));
        assert_int_equal(ns, cases[i].ns);
        opt_duration_print(&b, ns);
        pl_buf_byte(&b, '\0');
        assert_string_equal(b.p, cases[i].printed);
        pl_buf_fini(&b);
    }
    for (size_t i = 0; i < PL_ARRAY_LEN(bad); i++) {
        int64_t ns = 0;
        if (opt_duration_parse(pl_str_c(bad[i]), &ns, why)) {
            fail_msg("%s was taken as a duration", bad[i]);
        }
    }
}

static void prometheus_durations(void **state)
{
    static const struct {
        const char *text;
        int64_t s;
        const char *printed;
    } cases[] = {
        {"0", 0, "0s"},         {"2w", 1209600, "2w"},    {"14d", 1209600, "2w"},
        {"10m", 600, "10m"},    {"1h30m", 5400, "1h30m"}, {"1h0m0s", 3600, "1h"},
        {"1y", 31536000, "1y"}, {"8d", 691200, "8d"},     {"90m", 5400, "1h30m"},
    };
    static const char *const bad[] = {"",     "1",   "1.5h", "-1h",   "1s1h",
                                      "1h1h", "5us", "h",    "1000y", "99999999999999999999s"};
    char why[OPT_WHY_MAX];

    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        int64_t ns;
        struct pl_buf b = {0};
        assert_true(opt_prom_duration_parse(pl_str_c(cases[i].text), &ns, why));
        assert_int_equal(ns, cases[i].s * 1000000000);
        opt_prom_duration_print(&b, ns);
        pl_buf_byte(&b, '\0');
        assert_string_equal(b.p, cases[i].printed);
        pl_buf_fini(&b);
    }
    for (size_t i = 0; i < PL_ARRAY_LEN(bad); i++) {
        int64_t ns = 0;
        if (opt_prom_duration_parse(pl_str_c(bad[i]), &ns, why)) {
            fail_msg("%s was taken as a duration", bad[i]);
        }
    }
}

static void floats(void **state)
{
    static const struct {
        double v;
        const char *printed;
    } cases[] = {
        {0, "0"},
        {25000, "25000"},
        {100000, "100000"},
        {1000000, "1e+06"},
        {1234567, "1.234567e+06"},
        {0.05, "0.05"},
        {0.0001, "0.0001"},
        {0.00001, "1e-05"},
        {-1.5, "-1.5"},
        {1.7976931348623157e+308, "1.7976931348623157e+308"},
        {0.1, "0.1"},
        {HUGE_VAL, ".inf"},
        {-HUGE_VAL, "-.inf"},
    };

    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        struct pl_buf b = {0};
        opt_float_print(&b, cases[i].v);
        pl_buf_byte(&b, '\0');
        assert_string_equal(b.p, cases[i].printed);
        pl_buf_fini(&b);
    }
}

static void numbers(void **state)
{
    static const struct opt as_int = {.kind = OPT_K_INT}, as_uint = {.kind = OPT_K_UINT},
                            as_float = {.kind = OPT_K_FLOAT};
    static const struct {
        const char *text;
        int64_t v;
    } cases[] = {
        {"0", 0},
        {"-7", -7},
        {"0x1F", 31},
        {"0b101", 5},
        {"0o17", 15},
        {"017", 15},
        {"1_000", 1000},
        {"9223372036854775807", INT64_MAX},
        {"-9223372036854775808", INT64_MIN},
    };
    static const char *const bad[] = {"",   "-",  "1.0", "1e3", "0x", "9223372036854775808",
                                      " 1", "1 ", "--1", "0b2", "08", "+-1"};
    char why[OPT_WHY_MAX];
    int64_t v;
    double f;

    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        assert_true(opt_parse(&as_int, &v, pl_str_c(cases[i].text), false, NULL, why));
        assert_int_equal(v, cases[i].v);
    }
    for (size_t i = 0; i < PL_ARRAY_LEN(bad); i++) {
        if (opt_parse(&as_int, &v, pl_str_c(bad[i]), false, NULL, why)) {
            fail_msg("'%s' was taken as a number", bad[i]);
        }
    }
    assert_false(opt_parse(&as_uint, &v, PL_STR("-1"), false, NULL, why));
    assert_true(opt_parse(&as_float, &f, PL_STR("1e308"), false, NULL, why));
    assert_true(opt_parse(&as_float, &f, PL_STR(".inf"), false, NULL, why) && isinf(f));
    assert_true(opt_parse(&as_float, &f, PL_STR("-.inf"), false, NULL, why) && f < 0);
    assert_false(opt_parse(&as_float, &f, PL_STR("1e309"), false, NULL, why));
    assert_false(opt_parse(&as_float, &f, PL_STR("1x"), false, NULL, why));
    assert_false(opt_parse(&as_float, &f, PL_STR(" 1"), false, NULL, why));
}

static void nearest_word(void **state)
{
    struct opt_nearest n;

    (void)state;
    opt_nearest_init(&n, PL_STR("max_samlpes"));
    opt_nearest_try(&n, "timeout");
    opt_nearest_try(&n, "max_concurrent");
    opt_nearest_try(&n, "max_samples");
    assert_string_equal(n.best, "max_samples");
    opt_nearest_init(&n, PL_STR("zzz"));
    opt_nearest_try(&n, "abc");
    assert_string_equal(n.best, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(go_durations), cmocka_unit_test(prometheus_durations), cmocka_unit_test(floats),
        cmocka_unit_test(numbers),      cmocka_unit_test(nearest_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
