#include "codec/json_out.h"

#include "base/clock.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void check_buf(struct pl_buf *b, const char *want)
{
    pl_buf_byte(b, 0);
    assert_false(b->overflow);
    assert_string_equal(b->p, want);
    pl_buf_fini(b);
}

/* What Prometheus 3.5 answered for the same text as a list entry, a label value and a string result. */
static void strings_by_place(void **state)
{
    static const struct {
        pl_str in;
        const char *html, *labels, *go;
    } cases[] = {
        {PL_STR_INIT(""), "\"\"", "\"\"", "\"\""},
        {PL_STR_INIT("up"), "\"up\"", "\"up\"", "\"up\""},
        {PL_STR_INIT("a<b>&c"), "\"a\\u003cb\\u003e\\u0026c\"", "\"a<b>&c\"", "\"a\\u003cb\\u003e\\u0026c\""},
        {PL_STR_INIT("\t\n\r\"\\"), "\"\\t\\n\\r\\\"\\\\\"", "\"\\t\\n\\r\\\"\\\\\"", "\"\\t\\n\\r\\\"\\\\\""},
        {PL_STR_INIT("\b\f\x01\x7f"), "\"\\u0008\\u000c\\u0001\x7f\"", "\"\\u0008\\u000c\\u0001\x7f\"",
         "\"\\b\\f\\u0001\x7f\""},
        {PL_STR_INIT("\xc3\xa9\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa"), "\"\xc3\xa9\\u2028\\u2029\xe2\x80\xaa\"",
         "\"\xc3\xa9\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa\"", "\"\xc3\xa9\\u2028\\u2029\xe2\x80\xaa\""},
        {PL_STR_INIT("\0x"), "\"\\u0000x\"", "\"\\u0000x\"", "\"\\u0000x\""},
        {PL_STR_INIT("\xf0\x9f\x98\x80"), "\"\xf0\x9f\x98\x80\"", "\"\xf0\x9f\x98\x80\"", "\"\xf0\x9f\x98\x80\""},
    };
    (void)state;

    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        const char *want[] = {cases[i].html, cases[i].labels, cases[i].go};

        for (int place = 0; place < 3; place++) {
            struct pl_buf b;

            pl_buf_init(&b, 0);
            json_str_as(&b, cases[i].in, (enum json_escape)place);
            check_buf(&b, want[place]);
        }
    }
}

static void bytes_that_are_not_utf8(void **state)
{
    static const struct {
        pl_str in;
        const char *want;
    } cases[] = {
        {PL_STR_INIT("a\xff"), "\"a\\ufffd\""},
        {PL_STR_INIT("\xc3"), "\"\\ufffd\""},
        {PL_STR_INIT("\xc0\x80"), "\"\\ufffd\\ufffd\""},
        {PL_STR_INIT("\xed\xa0\x80"), "\"\\ufffd\\ufffd\\ufffd\""},
        {PL_STR_INIT("\xe2\x80"), "\"\\ufffd\\ufffd\""},
        {PL_STR_INIT("\xf4\x90\x80\x80"), "\"\\ufffd\\ufffd\\ufffd\\ufffd\""},
        {PL_STR_INIT("\xe0\x9f\xbf"), "\"\\ufffd\\ufffd\\ufffd\""},
    };
    (void)state;

    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        struct pl_buf b;

        pl_buf_init(&b, 0);
        json_str(&b, cases[i].in);
        check_buf(&b, cases[i].want);
    }
}

static void points(void **state)
{
    static const struct {
        int64_t t;
        double v;
        const char *want;
    } cases[] = {
        {0, 0, "[0,\"0\"]"},
        {5, -0.0, "[0.005,\"-0\"]"},
        {1435781451781, 1, "[1435781451.781,\"1\"]"},
        {1435781451000, -1.5, "[1435781451,\"-1.5\"]"},
        {1050, 0.25, "[1.050,\"0.25\"]"},
        {-1500, 1e-7, "[-1.500,\"1e-07\"]"},
        {-1, 1e21, "[-0.001,\"1e+21\"]"},
        {INT64_MAX, (double)NAN, "[9223372036854775.807,\"NaN\"]"},
        {INT64_MIN, HUGE_VAL, "[-9223372036854775.808,\"+Inf\"]"},
        {10, -HUGE_VAL, "[0.010,\"-Inf\"]"},
        {100, 123456789012345680000.0, "[0.100,\"123456789012345680000\"]"},
        {1000, 0.000001, "[1,\"0.000001\"]"},
        {1000, 0.001, "[1,\"0.001\"]"},
        {1000, 0.12, "[1,\"0.12\"]"},
        {1000, 1234.567, "[1,\"1234.567\"]"},
        {1000, 0.0009, "[1,\"0.0009\"]"},
        {1000, 9007199254740993.0, "[1,\"9007199254740992\"]"},
        {1000, 999999999999.999, "[1,\"999999999999.999\"]"},
        {1000, 0.1 + 0.2, "[1,\"0.30000000000000004\"]"},
    };
    (void)state;

    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        struct pl_buf b;

        pl_buf_init(&b, 0);
        json_point(&b, cases[i].t, cases[i].v);
        check_buf(&b, cases[i].want);
    }
}

/* The fast paths against the plain one, over short decimals, integers and raw bits. */
static void fast_paths_agree(void **state)
{
    uint64_t x = 88172645463325252u;
    (void)state;

    for (int i = 0; i < 600000; i++) {
        char fast[FLOAT_TEXT_MAX + 2];
        char plain[FLOAT_TEXT_MAX];
        double v;
        size_t fast_n;
        size_t plain_n;

        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        switch (i % 4) {
        case 0:
            v = (double)(int64_t)(x >> (x & 63)) / 1000;
            break;
        case 1:
            v = (double)(int64_t)(x >> (x & 63)) / 100000;
            break;
        case 2:
            v = (double)(int64_t)x / (double)(1 << (x & 15));
            break;
        default:
            v = pl_f64_from_bits(x);
        }
        fast_n = json_put_value(fast, v);
        plain_n = float_put_json(plain, v);
        assert_int_equal(fast_n, plain_n + 2);
        assert_memory_equal(fast + 1, plain, plain_n);
    }
}

static void numbers_of_encoding_json(void **state)
{
    struct pl_buf b;
    (void)state;

    pl_buf_init(&b, 0);
    json_f64(&b, 1.05);
    pl_buf_byte(&b, ' ');
    json_f64(&b, 1e-7);
    pl_buf_byte(&b, ' ');
    json_f64(&b, 1e21);
    pl_buf_byte(&b, ' ');
    json_f64(&b, 1.5e-10);
    pl_buf_byte(&b, ' ');
    json_f64(&b, (double)NAN);
    check_buf(&b, "1.05 1e-7 1e+21 1.5e-10 0");
}

static void lists_and_commas(void **state)
{
    struct pl_buf b;
    pl_str v[] = {PL_STR("a"), PL_STR("b\"")};
    (void)state;

    pl_buf_init(&b, 0);
    pl_buf_byte(&b, '{');
    json_comma(&b);
    json_key(&b, "x");
    json_str_list(&b, v, 2);
    json_comma(&b);
    json_key(&b, "y");
    json_str_list(&b, v, 0);
    pl_buf_byte(&b, '}');
    check_buf(&b, "{\"x\":[\"a\",\"b\\\"\"],\"y\":[]}");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_by_place),
        cmocka_unit_test(bytes_that_are_not_utf8),
        cmocka_unit_test(points),
        cmocka_unit_test(fast_paths_agree),
        cmocka_unit_test(numbers_of_encoding_json),
        cmocka_unit_test(lists_and_commas),
    };

    /* `test_codec_json_out bench`: MB/s of points, integers, short decimals, full doubles. */
    if (argc > 1) {
        static char out[64 << 20];
        int kinds = 3;

        for (int kind = 0; kind < kinds; kind++) {
            int64_t from = pl_now_mono_ns();
            size_t n = 0;

            for (int i = 0; i < 1000000; i++) {
                double v = kind == 0 ? i * 7 : kind == 1 ? i * 0.01 : i / 7.0;

                n += json_put_point(out + n, 1700000000000 + i * 15000LL, v);
            }
            printf("%s kind %d: %.0f MB/s\n", argv[1], kind,
                   (double)n / 1e6 / ((double)(pl_now_mono_ns() - from) / 1e9));
        }
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
