#include "codec/ulid.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void text_of_known_bytes(void **state)
{
    static const struct {
        struct ulid u;
        const char *text;
    } cases[] = {
        {{{0}}, "00000000000000000000000000"},
        {{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
         "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"},
        {{{0x01, 0x56, 0x3d, 0xf3, 0x64, 0x81, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}}, "01ARYZ6S410000000000000001"},
    };

    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        char text[ULID_TEXT + 1];
        struct ulid u;
        ulid_text(text, &cases[i].u);
        assert_string_equal(text, cases[i].text);
        assert_true(ulid_parse(&u, pl_str_c(text)));
        assert_memory_equal(&u, &cases[i].u, sizeof(u));
    }
}

static void time_and_round_trip(void **state)
{
    (void)state;
    for (int64_t ms = 0; ms < (INT64_C(1) << 48); ms = ms * 7 + 12345) {
        struct ulid u, back, other;
        char text[ULID_TEXT + 1], lower[ULID_TEXT + 1];
        ulid_make(&u, ms);
        ulid_make(&other, ms);
        assert_memory_not_equal(&u, &other, sizeof(u));
        assert_true(ulid_time_ms(&u) == ms);
        ulid_text(text, &u);
        assert_true(ulid_parse(&back, pl_str_c(text)));
        assert_memory_equal(&u, &back, sizeof(u));
        for (int i = 0; i <= ULID_TEXT; i++) {
            lower[i] = (char)(text[i] >= 'A' ? text[i] + 32 : text[i]);
        }
        assert_true(ulid_parse(&back, pl_str_c(lower)));
        assert_memory_equal(&u, &back, sizeof(u));
    }
}

static void bad_text(void **state)
{
    static const char *const bad[] = {
        "",
        "0000000000000000000000000",
        "000000000000000000000000000",
        "80000000000000000000000000",
        "0000000000000000000000000I",
        "0000000000000000000000000L",
        "0000000000000000000000000O",
        "0000000000000000000000000U",
        "0000000000000.000000000000",
        "\xffG000000000000000000000000",
    };
    struct ulid u;

    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(bad); i++) {
        assert_false(ulid_parse(&u, pl_str_c(bad[i])));
    }
    assert_false(ulid_parse(&u, pl_str_of("0000000000000\0000000000000", 26)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_of_known_bytes),
        cmocka_unit_test(time_and_round_trip),
        cmocka_unit_test(bad_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
