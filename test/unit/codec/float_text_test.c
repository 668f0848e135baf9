#include "codec/float_text.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

typedef size_t (*put_fn)(char *out, double v);

static void check(put_fn put, double v, const char *want)
{
    char got[FLOAT_TEXT_MAX + 1];
    size_t n = put(got, v);

    assert_true(n <= FLOAT_TEXT_MAX);
    got[n] = '\0';
    assert_string_equal(got, want);
}

static void json_layout(void **state)
{
    static const struct {
        double v;
        const char *want;
    } cases[] = {
        {0, "0"},
        {-0.0, "-0"},
        {1, "1"},
        {-1, "-1"},
        {0.1, "0.1"},
        {1.5, "1.5"},
        {100, "100"},
        {1e-7, "1e-07"},
        {1e21, "1e+21"},
        {123456789012345680000.0, "123456789012345680000"},
        {0.000001, "0.000001"},
        {-1e-7, "-1e-07"},
        {1.5e300, "1.5e+300"},
        {5e-324, "5e-324"},
        {9007199254740991, "9007199254740991"},
        {9007199254740994, "9007199254740994"},
        {-9007199254740992, "-9007199254740992"},
        {1e20, "100000000000000000000"},
        {0.30000000000000004, "0.30000000000000004"},
        {1435781451.781, "1435781451.781"},
        {HUGE_VAL, "+Inf"},
        {-HUGE_VAL, "-Inf"},
        {(double)NAN, "NaN"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
    };
    (void)state;

    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        check(float_put_json, cases[i].v, cases[i].want);
    }
}

static void general_layout(void **state)
{
    (void)state;
    check(float_put_g, 100000, "100000");
    check(float_put_g, 1000000, "1e+06");
    check(float_put_g, 4059092, "4.059092e+06");
    check(float_put_g, 123456.7, "123456.7");
    check(float_put_g, 0.0001, "0.0001");
    check(float_put_g, 0.00001, "1e-05");
    check(float_put_g, -0.0, "-0");
    check(float_put_g, (double)NAN, "NaN");
    check(float_put_om, 1, "1.0");
    check(float_put_om, 0.5, "0.5");
    check(float_put_om, 1e6, "1e+06");
    check(float_put_om, HUGE_VAL, "+Inf");
}

static void fixed_layout(void **state)
{
    char out[FLOAT_TEXT_MAX];
    (void)state;
    check(float_put_f, 1e-7, "0.0000001");
    check(float_put_f, 1e21, "1000000000000000000000");
    check(float_put_f, 12.75, "12.75");
    assert_int_equal(float_put_f(out, -1.7976931348623157e308), 310);
    assert_int_equal(float_put_f(out, -5e-324), 327);
    assert_true(float_put_f(out, -2.2250738585072014e-308) <= FLOAT_TEXT_MAX);
}

static void reads(void **state)
{
    static const struct {
        const char *text;
        double want;
    } good[] = {
        {"0", 0},
        {"1", 1},
        {"-1.5", -1.5},
        {"+2", 2},
        {".5", 0.5},
        {"5.", 5},
        {"1e3", 1000},
        {"1E+3", 1000},
        {"1e-3", 0.001},
        {"1e-400", 0},
        {"0e999999999999", 0},
        {"inf", HUGE_VAL},
        {"-Infinity", -HUGE_VAL},
        {"+INF", HUGE_VAL},
        {"0x1p4", 16},
        {"-0x1.8p1", -3},
        {"0X.8P+1", 1},
        {"0x1p-1074", 5e-324},
        {"0x1p-2000", 0},
        {"1.7976931348623157e308", 1.7976931348623157e308},
        {"4.9e-324", 5e-324},
        {"9007199254740993", 9007199254740992.0},
        {"0x1.fffffffffffff8p0", 2},
        {"0000000000000000000000001", 1},
    };
    static const char *bad[] = {"",      "+",   ".",    "e5",    "1e",   "1e+",  "1e400",     "-1e400",
                                "0x1",   "0x",  "0xp1", "1_0",   " 1",   "1 ",   "1x",        "nan1",
                                "infin", "--1", "+-1",  "1.2.3", "0x1p", "1e5.", "0x1p99999", "-NaN"};
    double got;
    (void)state;

    for (size_t i = 0; i < PL_ARRAY_LEN(good); i++) {
        if (!float_parse(pl_str_c(good[i].text), &got) || got != good[i].want) {
            fail_msg("%s", good[i].text);
        }
    }
    assert_true(float_parse(PL_STR("-0"), &got) && signbit(got));
    assert_true(float_parse(PL_STR("NaN"), &got) && pl_f64_bits(got) == PL_NORMAL_NAN_BITS);
    for (size_t i = 0; i < PL_ARRAY_LEN(bad); i++) {
        if (float_parse(pl_str_c(bad[i]), &got)) {
            fail_msg("accepted: %s", bad[i]);
        }
    }
}

/* What is written reads back as the same bits, in every layout. */
static void round_trip(void **state)
{
    static const put_fn puts[] = {float_put_json, float_put_f, float_put_g, float_put_om};
    uint64_t x = 88172645463325252;
    (void)state;

    for (int i = 0; i < 200000; i++) {
        double v, back;
        char text[FLOAT_TEXT_MAX];
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        v = i % 3 == 0 ? (double)(int64_t)(x >> 20) / 1000 : i % 3 == 1 ? (double)(x >> 11) : pl_f64_from_bits(x);
        if (isnan(v)) {
            continue;
        }
        for (size_t k = 0; k < PL_ARRAY_LEN(puts); k++) {
            size_t n = puts[k](text, v);
            assert_true(n <= FLOAT_TEXT_MAX);
            if (!float_parse(pl_str_of(text, n), &back) || pl_f64_bits(back) != pl_f64_bits(v)) {
                fail_msg("%.*s (layout %zu)", (int)n, text, k);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(json_layout), cmocka_unit_test(general_layout),
                                       cmocka_unit_test(fixed_layout), cmocka_unit_test(reads),
                                       cmocka_unit_test(round_trip)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
