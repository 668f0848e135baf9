#include "model/matcher.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void accepts(void **state)
{
    static const struct {
        enum matcher_type type;
        const char *value, *against;
        bool want;
    } cases[] = {
        {MATCH_EQ, "a", "a", true},       {MATCH_EQ, "a", "b", false},     {MATCH_EQ, "", "", true},
        {MATCH_NEQ, "a", "a", false},     {MATCH_NEQ, "a", "", true},      {MATCH_RE, "a|b", "b", true},
        {MATCH_RE, "a|b", "ab", false},   {MATCH_RE, "a.*", "a\nb", true}, {MATCH_RE, "x?", "", true},
        {MATCH_NRE, "a.*", "abc", false}, {MATCH_NRE, "a.*", "", true},
    };
    struct pl_arena a;

    (void)state;
    pl_arena_init(&a, 0);
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        struct matcher m;
        assert_int_equal(matcher_make(&m, &a, cases[i].type, PL_STR("l"), pl_str_c(cases[i].value), NULL), PL_OK);
        assert_int_equal(matcher_accepts(&m, pl_str_c(cases[i].against)), cases[i].want);
    }
    pl_arena_fini(&a);
}

static void text_and_sets(void **state)
{
    static const struct label ls[] = {{PL_STR_INIT("__name__"), PL_STR_INIT("up")},
                                      {PL_STR_INIT("job"), PL_STR_INIT("x")}};
    struct matcher m[3];
    struct pl_arena a;
    struct pl_buf b;

    (void)state;
    pl_arena_init(&a, 0);
    pl_buf_init(&b, 0);
    assert_int_equal(matcher_make(&m[0], &a, MATCH_EQ, PL_STR("__name__"), PL_STR("up"), NULL), PL_OK);
    assert_int_equal(matcher_make(&m[1], &a, MATCH_NRE, PL_STR("job"), PL_STR("y\"+"), NULL), PL_OK);
    assert_int_equal(matcher_make(&m[2], &a, MATCH_NEQ, PL_STR("a.b"), PL_STR(""), NULL), PL_OK);
    matcher_text(&b, &m[0]);
    pl_buf_byte(&b, ' ');
    matcher_text(&b, &m[1]);
    pl_buf_byte(&b, ' ');
    matcher_text(&b, &m[2]);
    pl_buf_byte(&b, '\0');
    assert_string_equal(b.p, "__name__=\"up\" job!~\"y\\\"+\" \"a.b\"!=\"\"");
    assert_true(matchers_accept(m, 2, (struct labels){ls, 2}));
    assert_false(matchers_accept(m, 3, (struct labels){ls, 2}));
    pl_buf_fini(&b);
    pl_arena_fini(&a);
}

static void bad_pattern_and_limit(void **state)
{
    struct matcher m;
    struct pl_arena a;
    struct pl_err err;

    (void)state;
    pl_arena_init(&a, 0);
    assert_int_equal(matcher_make(&m, &a, MATCH_RE, PL_STR("a"), PL_STR("a(b"), &err), PL_INVALID);
    assert_string_equal(err.msg, "error parsing regexp: missing closing ): `a(b`");
    pl_arena_fini(&a);
    pl_arena_init(&a, 16);
    assert_int_equal(matcher_make(&m, &a, MATCH_EQ, PL_STR("abcdefghijklmnopq"), PL_STR("v"), &err), PL_LIMIT);
    assert_string_equal(err.msg, "query memory limit");
    pl_arena_fini(&a);
    for (size_t limit = 1; limit < 400; limit += 5) {
        pl_arena_init(&a, limit);
        pl_status st = matcher_make(&m, &a, MATCH_RE, PL_STR("name"), PL_STR("v.*"), &err);
        assert_true(st == PL_OK || st == PL_LIMIT);
        pl_arena_fini(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts),
        cmocka_unit_test(text_and_sets),
        cmocka_unit_test(bad_pattern_and_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
