#include "codec/snappy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void round_trip(void **state)
{
    (void)state;
    for (size_t n = 0; n < 200000; n = n * 3 + 1) {
        struct pl_buf packed;
        char *text = pl_alloc(n + 1), *back;
        size_t size = 0;
        struct pl_err err;

        pl_buf_init(&packed, 0);
        for (size_t i = 0; i < n; i++) {
            text[i] = (char)(i * i / 7 % 251);
        }
        snappy_encode(&packed, pl_str_of(text, n));
        assert_true(snappy_decoded_size(pl_buf_view(&packed), &size));
        assert_int_equal(size, n);
        assert_true(snappy_size_plausible(pl_buf_view(&packed), size));
        back = pl_alloc(size + 1);
        assert_int_equal(snappy_decode(back, size, pl_buf_view(&packed), &err), PL_OK);
        assert_memory_equal(back, text, n + 1 > 1 ? n : 0);
        pl_free(back);
        pl_free(text);
        pl_buf_fini(&packed);
    }
}

static void hostile_input_is_refused(void **state)
{
    static const struct {
        const char *name;
        pl_str in;
        bool header_ok, plausible;
    } cases[] = {
        {"empty", PL_STR_INIT(""), false, false},
        {"size cut off", PL_STR_INIT("\x80"), false, false},
        {"size over 32 bits", PL_STR_INIT("\xff\xff\xff\xff\xff\x01"), false, false},
        {"claims 4 GiB in 5 bytes", PL_STR_INIT("\xff\xff\xff\xff\x0f"), true, false},
        {"literal past the end",
         PL_STR_INIT("\x05\x10"
                     "ab"),
         true, true},
        {"copy before the beginning", PL_STR_INIT("\x05\x01\x10"), true, true},
        {"copy with offset 0",
         PL_STR_INIT("\x05\x00"
                     "a\x01\x00"),
         true, true},
        {"shorter than it says",
         PL_STR_INIT("\x05\x04"
                     "ab"),
         true, true},
        {"longer than it says",
         PL_STR_INIT("\x01\x04"
                     "ab"),
         true, true},
    };
    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        size_t n = 0;
        char out[64];
        struct pl_err err = {.status = PL_OK};

        assert_int_equal(snappy_decoded_size(cases[i].in, &n), cases[i].header_ok);
        if (!cases[i].header_ok) {
            continue;
        }
        assert_int_equal(snappy_size_plausible(cases[i].in, n), cases[i].plausible);
        if (cases[i].plausible) {
            assert_int_equal(snappy_decode(out, n, cases[i].in, &err), PL_INVALID);
            assert_string_equal(err.msg, "snappy: corrupt input");
        }
    }
}

/* A megabyte of one byte is as dense as snappy gets: it must pass the plausibility check. */
static void densest_input_is_plausible(void **state)
{
    enum { N = 1 << 20 };
    char *text = pl_alloc_zero(N);
    struct pl_buf packed;

    (void)state;
    pl_buf_init(&packed, 0);
    snappy_encode(&packed, pl_str_of(text, N));
    assert_true(snappy_size_plausible(pl_buf_view(&packed), N));
    assert_false(snappy_size_plausible(pl_buf_view(&packed), (size_t)N * 2));
    pl_buf_fini(&packed);
    pl_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(hostile_input_is_refused),
        cmocka_unit_test(densest_input_is_plausible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
