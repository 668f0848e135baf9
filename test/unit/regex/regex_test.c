#include "regex/regex.h"

#include "regex/internal.h"
#include "shim/re2.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct regex *must(const char *pattern)
{
    struct regex *re = NULL;
    struct pl_err err;

    if (regex_compile(&re, pl_str_c(pattern), &err) != PL_OK) {
        fail_msg("%s: %s", pattern, err.msg);
    }
    return re;
}

static bool matches(const char *pattern, const char *s)
{
    struct regex *re = must(pattern);
    bool ok = regex_match(re, pl_str_c(s));

    regex_destroy(re);
    return ok;
}

static void anchored_and_dot(void **state)
{
    (void)state;
    assert_true(matches("a", "a"));
    assert_false(matches("a", "ab"));
    assert_false(matches("a", "ba"));
    assert_true(matches("a.b", "a\nb"));
    assert_true(matches(".*", ""));
    assert_true(matches(".*", "x\ny"));
    assert_false(matches(".+", ""));
    assert_true(matches("(?i)ab", "aB"));
    assert_true(matches("a|b|", ""));
    assert_true(matches("\\d{3}", "123"));
    assert_true(matches("[^a]", "\xc3\xa4"));
    assert_true(matches("(?<n>x)y", "xy"));
    assert_true(matches("\\Qa.b\\E.*", "a.bc"));
    assert_true(matches("a\\_b", "a_b"));
}

static void error_texts(void **state)
{
    static const struct {
        const char *pattern, *want;
    } cases[] = {
        {"(", "missing closing ): `(`"},
        {")", "unexpected ): `)`"},
        {"a)b", "unexpected ): `a)b`"},
        {"[a", "missing closing ]: `[a`"},
        {"*a", "missing argument to repetition operator: `*`"},
        {"a**", "invalid nested repetition operator: `**`"},
        {"a{1001}", "invalid repeat count: `{1001}`"},
        {"\\", "trailing backslash at end of expression: ``"},
        {"\\q", "invalid escape sequence: `\\q`"},
        {"\\C", "invalid escape sequence: `\\C`"},
        {"[z-a]", "invalid character class range: `z-a`"},
        {"(?z)", "invalid or unsupported Perl syntax: `(?z`"},
        {"(?P<a", "invalid named capture: `(?P<a`"},
        {"\\p{Foo}", "invalid character class range: `\\p{Foo}`"},
        {"a(?=b)", "invalid or unsupported Perl syntax: `(?=`"},
    };
    (void)state;

    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        struct regex *re = NULL;
        struct pl_err err;
        char want[256];
        assert_int_equal(regex_compile(&re, pl_str_c(cases[i].pattern), &err), PL_INVALID);
        assert_null(re);
        (void)snprintf(want, sizeof(want), "error parsing regexp: %s", cases[i].want);
        assert_string_equal(err.msg, want);
    }
}

static void bounds(void **state)
{
    struct regex *re = NULL;
    struct pl_err err;
    struct pl_buf b;
    (void)state;

    pl_buf_init(&b, 0);
    for (int i = 0; i < 2000; i++) {
        pl_buf_byte(&b, '(');
    }
    assert_int_equal(regex_compile(&re, pl_buf_view(&b), &err), PL_INVALID);
    assert_non_null(strstr(err.msg, "expression nests too deeply"));
    pl_buf_reset(&b);
    for (int i = 0; i < 3000; i++) {
        pl_buf_cstr(&b, "(.{50}\\pL{20})");
    }
    assert_int_equal(regex_compile(&re, pl_buf_view(&b), &err), PL_INVALID);
    assert_non_null(strstr(err.msg, "expression too large"));
    /* RE2 would take gigabytes to find out by itself. */
    pl_buf_reset(&b);
    while (b.n < REGEX_PATTERN_MAX - 10) {
        pl_buf_cstr(&b, "(.{30}){30}");
    }
    b.n -= b.n % 11;
    assert_int_equal(regex_compile(&re, pl_buf_view(&b), &err), PL_INVALID);
    assert_non_null(strstr(err.msg, "expression too large"));
    while (b.n <= REGEX_PATTERN_MAX) {
        pl_buf_byte(&b, 'a');
    }
    assert_int_equal(regex_compile(&re, pl_buf_view(&b), &err), PL_INVALID);
    assert_non_null(strstr(err.msg, "the limit is 1048576"));
    pl_buf_fini(&b);
}

static void literal_sets(void **state)
{
    static const struct {
        const char *pattern;
        size_t count;
        const char *first, *last, *prefix;
    } cases[] = {
        {"", 1, "", "", ""},
        {"abc", 1, "abc", "abc", "abc"},
        {"b|a|b", 2, "a", "b", ""},
        {"(foo|fob)", 2, "fob", "foo", "fo"},
        {"(?:a|b)", 2, "a", "b", ""},
        {"x(a|b)y", 2, "xay", "xby", "x"},
        {"(a|b)(c|d)", 4, "ac", "bd", ""},
        {"a\\.b", 1, "a.b", "a.b", "a.b"},
        {"((a|b)|c)", 3, "a", "c", ""},
        {"a|b+", 0, NULL, NULL, ""},
        {"(?i)a", 0, NULL, NULL, ""},
        {"[ab]", 0, NULL, NULL, ""},
        {"a(b|c)?", 0, NULL, NULL, "a"},
        {"foo.*", 0, NULL, NULL, "foo"},
        {"foo[12]", 0, NULL, NULL, "foo"},
        {"foo?", 0, NULL, NULL, "fo"},
        {"fo\xc3\xa4?", 0, NULL, NULL, "fo"},
        {"foo[12]|bar", 0, NULL, NULL, ""},
    };
    (void)state;

    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        struct regex *re = must(cases[i].pattern);
        const pl_str *items = NULL;
        size_t n = regex_literals(re, &items);
        if (n != cases[i].count || !pl_str_eq(regex_prefix(re), pl_str_c(cases[i].prefix)) ||
            (n > 0 &&
             (!pl_str_eq(items[0], pl_str_c(cases[i].first)) || !pl_str_eq(items[n - 1], pl_str_c(cases[i].last))))) {
            fail_msg("%s: %zu literals, prefix %.*s", cases[i].pattern, n, PL_STR_ARG(regex_prefix(re)));
        }
        regex_destroy(re);
    }
}

static void any(void **state)
{
    struct regex *a = must(".*");
    struct regex *b = must("(.+)");
    (void)state;

    assert_true(regex_is_any(a) && !regex_is_any_nonempty(a));
    assert_true(regex_is_any_nonempty(b) && !regex_is_any(b));
    regex_destroy(a);
    regex_destroy(b);
}

/* Small random patterns and subjects over one alphabet: the shapes must answer exactly as RE2 does. */
static uint64_t next_random(uint64_t *x)
{
    *x ^= *x << 13, *x ^= *x >> 7, *x ^= *x << 17;
    return *x;
}

static size_t random_text(char *out, const char *const *pieces, size_t piece_count, size_t max, uint64_t *x)
{
    size_t n = 0;
    size_t count = next_random(x) % (max + 1);

    for (size_t i = 0; i < count; i++) {
        const char *p = pieces[next_random(x) % piece_count];
        memcpy(out + n, p, strlen(p));
        n += strlen(p);
    }
    return n;
}

static void shapes_equal_re2(void **state)
{
    static const char *const pattern_pieces[] = {"a",   "b",   "ab", "\xc3\xa4", ".*",   ".+",
                                                 ".*",  ".+",  "|",  "(",        "(?:",  ")",
                                                 "\\.", "a|b", ".",  "(a|b)",    "(.*)", "\xef\xbf\xbd"};
    static const char *const text_pieces[] = {"a", "b", "ab", "\xc3\xa4", ".", "\n", "\xef\xbf\xbd"};
    uint64_t x = 0x9e3779b97f4a7c15;
    size_t shaped = 0;
    (void)state;

    for (int i = 0; i < 20000; i++) {
        char pattern[128];
        char fragment[16];
        size_t fragment_len;
        pl_str p = pl_str_of(pattern, random_text(pattern, pattern_pieces, PL_ARRAY_LEN(pattern_pieces), 7, &x));
        struct regex *re = NULL;
        struct shim_re2 *plain = NULL;
        struct regex_glob g;
        struct regex_set s;
        enum shim_re2_error e = shim_re2_compile(&plain, p, fragment, sizeof(fragment), &fragment_len);
        pl_status st = regex_compile(&re, p, NULL);
        if ((e == SHIM_RE2_OK) != (st == PL_OK)) {
            fail_msg("compile: %.*s", PL_STR_ARG(p));
        }
        if (st != PL_OK) {
            continue;
        }
        if (regex__find_set(&s, p)) {
            shaped++;
            regex__set_fini(&s);
        } else if (regex__find_glob(&g, p)) {
            shaped++;
            regex__glob_fini(&g);
        }
        for (int k = 0; k < 20; k++) {
            char text[64];
            pl_str t = pl_str_of(text, random_text(text, text_pieces, PL_ARRAY_LEN(text_pieces), 6, &x));
            bool want = shim_re2_match(plain, t);
            if (regex_match(re, t) != want || (want && !pl_str_starts(t, regex_prefix(re)))) {
                fail_msg("%.*s on %.*s: RE2 says %d", PL_STR_ARG(p), PL_STR_ARG(t), want);
            }
        }
        regex_destroy(re);
        shim_re2_destroy(plain);
    }
    assert_true(shaped > 2000);
}

static void broken_utf8_subjects(void **state)
{
    static const struct {
        const char *pattern, *s;
        bool want; /* what Go 1.26's regexp answers */
    } cases[] = {
        {".", "\xff", true},
        {"..", "\xff", false},
        {"..", "\xe2\x82", true},
        {"[^a]b",
         "\xff"
         "b",
         true},
        {".*", "\xff\xfe", true},
        {"a.+", "a\xff", true},
        {".{3}", "\xed\xa0\x80", true},
        {"a[^x]", "a\x80", true},
        {"\xef\xbf\xbd", "\xff", true},
        {"\\x{fffd}", "\xff", true},
        {"a.", "a", false},
    };
    (void)state;

    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        struct regex *re = must(cases[i].pattern);
        if (regex_match(re, pl_str_c(cases[i].s)) != cases[i].want) {
            fail_msg("case %zu: %s", i, cases[i].pattern);
        }
        regex_destroy(re);
    }
}

static void expansion(void **state)
{
    static const struct {
        const char *pattern, *s, *tmpl, *want; /* want NULL: no match */
    } cases[] = {
        {"(.*):.*", "host:80", "$1", "host"},
        {"(.*):.*", "host:80", "${1}x", "hostx"},
        {"(.*):.*", "host:80", "$1x", ""},
        {"(?P<h>.*):.*", "host:80", "$h-${h}", "host-host"},
        {"(?<h>.*):.*", "host:80", "$h", "host"},
        {"a", "a", "$$1", "$1"},
        {"a", "a", "$0", "a"},
        {"a", "a", "$", "$"},
        {"a", "a", "$-", "$-"},
        {"a", "a", "${", "${"},
        {"a", "a", "${1", "${1"},
        {"(a)|(b)", "b", "[$1|$2]", "[|b]"},
        {"a", "b", "x", NULL},
        {"(.*)", "", "[$1]", "[]"},
        {"(a)(b)?", "a", "$2.", "."},
        {"a", "a", "$9", ""},
        {"(.)(.)",
         "\xff"
         "b",
         "$2$1", "b\xff"},
        {"(a)", "a", "$01", ""},
        {"(a|b)c", "bc", "$1", "b"},
        {"(.+)-(.+)", "a-b-c", "$1/$2", "a-b/c"},
    };
    (void)state;

    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        struct regex *re = must(cases[i].pattern);
        struct pl_buf out;
        bool ok;
        pl_buf_init(&out, 0);
        ok = regex_expand(re, pl_str_c(cases[i].s), pl_str_c(cases[i].tmpl), &out);
        if (ok != (cases[i].want != NULL) || (ok && !pl_str_eq(pl_buf_view(&out), pl_str_c(cases[i].want)))) {
            fail_msg("case %zu (%s): %d %.*s", i, cases[i].pattern, ok, PL_STR_ARG(pl_buf_view(&out)));
        }
        pl_buf_fini(&out);
        regex_destroy(re);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(anchored_and_dot),     cmocka_unit_test(error_texts), cmocka_unit_test(bounds),
        cmocka_unit_test(literal_sets),         cmocka_unit_test(any),         cmocka_unit_test(shapes_equal_re2),
        cmocka_unit_test(broken_utf8_subjects), cmocka_unit_test(expansion),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
