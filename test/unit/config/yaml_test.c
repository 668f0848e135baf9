/* YAML text to trees and back, and the bounds against hostile text. */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "config/yaml.h"

static pl_status parse(struct yaml_doc *doc, struct pl_arena *a, pl_str text, struct pl_err *err)
{
    pl_arena_init(a, 0);
    return yaml_parse(doc, a, text, err);
}

static void scalars_keep_their_kind(void **state)
{
    static const struct {
        const char *text, *tag;
    } cases[] = {
        {"x: abc", "!!str"},    {"x: 1", "!!int"},      {"x: -0x1f", "!!int"}, {"x: 1.5e3", "!!float"},
        {"x: .inf", "!!float"}, {"x: true", "!!bool"},  {"x: Yes", "!!bool"},  {"x: off", "!!bool"},
        {"x: ~", "!!null"},     {"x:", "!!null"},       {"x: '1'", "!!str"},   {"x: !!str 1", "!!str"},
        {"x: [1]", "!!seq"},    {"x: {a: 1}", "!!map"}, {"x: 1h", "!!str"},    {"x: 1.2.3", "!!str"},
        {"x: \"\"", "!!str"},
    };

    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        struct yaml_doc doc;
        struct pl_arena a;
        struct pl_err err;
        assert_int_equal(parse(&doc, &a, pl_str_c(cases[i].text), &err), PL_OK);
        assert_string_equal(yaml_tag_of(yaml_get(doc.root, PL_STR("x"))), cases[i].tag);
        pl_arena_fini(&a);
    }
}

static void strings_are_quoted_where_needed(void **state)
{
    static const struct {
        const char *text, *printed;
    } cases[] = {
        {"abc", "abc"},
        {"", "\"\""},
        {"true", "\"true\""},
        {"12", "\"12\""},
        {"1e5", "\"1e5\""},
        {"~", "\"~\""},
        {"a: b", "'a: b'"},
        {"a #b", "'a #b'"},
        {"********", "'********'"},
        {"it's", "it's"},
        {"'q'", "'''q'''"},
        {"-x", "-x"},
        {"- x", "'- x'"},
        {".*", ".*"},
        {"0.0.0.0:9094", "0.0.0.0:9094"},
        {"12:30", "\"12:30\""},
        {"2020-01-01", "\"2020-01-01\""},
        {"a\nb", "\"a\\nb\""},
        {"a\x01", "\"a\\x01\""},
        {"\xe2\x80\xa8", "\"\\L\""},
        {"\xc3\xa9", "\xc3\xa9"},
        {"\xff", "\"\\xFF\""},
        {" a", "' a'"},
        {"a:", "'a:'"},
        {"localhost:8500", "localhost:8500"},
        {"[x", "'[x'"},
    };

    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        struct pl_buf b = {0};
        yaml_print_str(&b, pl_str_c(cases[i].text));
        pl_buf_byte(&b, '\0');
        assert_string_equal(b.p, cases[i].printed);
        pl_buf_fini(&b);
    }
}

static void trees_print_and_read_back(void **state)
{
    static const char text[] = "a:\n- b: 1\n  c: [x, 'y z', \"1\"]\n- []\n- {}\nd:\n  e: {f: ~, g: 'true'}\n";
    static const char want[] =
        "a:\n- b: 1\n  c:\n  - x\n  - y z\n  - \"1\"\n- []\n- {}\nd:\n  e:\n    f: ~\n    g: \"true\"\n";
    struct yaml_doc doc;
    struct pl_arena a;
    struct pl_err err;
    struct pl_buf b = {0};

    (void)state;
    assert_int_equal(parse(&doc, &a, pl_str_c(text), &err), PL_OK);
    yaml_print_node(&b, doc.root, 0);
    pl_buf_byte(&b, '\0');
    assert_string_equal(b.p, want);
    pl_buf_fini(&b);
    pl_arena_fini(&a);
}

static void anchors_and_merges(void **state)
{
    static const char text[] =
        "base: &b {x: 1, y: 2}\nother: &o {y: 3, z: 4}\na:\n  <<: *b\n  y: 9\nc:\n  <<: [*o, *b]\nd: *b\n";
    struct yaml_doc doc;
    struct pl_arena a;
    struct pl_err err;

    (void)state;
    assert_int_equal(parse(&doc, &a, pl_str_c(text), &err), PL_OK);
    const struct yaml_node *m = yaml_get(doc.root, PL_STR("a"));
    assert_int_equal(m->n, 2);
    assert_true(pl_str_eq(yaml_get(m, PL_STR("x"))->text, PL_STR("1")));
    assert_true(pl_str_eq(yaml_get(m, PL_STR("y"))->text, PL_STR("9")));
    m = yaml_get(doc.root, PL_STR("c"));
    assert_int_equal(m->n, 3);
    assert_true(pl_str_eq(yaml_get(m, PL_STR("y"))->text, PL_STR("3")));
    assert_ptr_equal(yaml_get(doc.root, PL_STR("d")), yaml_get(doc.root, PL_STR("base")));
    pl_arena_fini(&a);
}

static void documents(void **state)
{
    struct yaml_doc doc;
    struct pl_arena a;
    struct pl_err err;

    (void)state;
    assert_int_equal(parse(&doc, &a, PL_STR(""), &err), PL_OK);
    assert_null(doc.root);
    assert_false(doc.more);
    pl_arena_fini(&a);
    assert_int_equal(parse(&doc, &a, PL_STR("# only a comment\n"), &err), PL_OK);
    assert_null(doc.root);
    pl_arena_fini(&a);
    assert_int_equal(parse(&doc, &a, PL_STR("---\na: 1\n...\n"), &err), PL_OK);
    assert_false(doc.more);
    pl_arena_fini(&a);
    assert_int_equal(parse(&doc, &a, PL_STR("a: 1\n---\nb: 2\n"), &err), PL_OK);
    assert_true(doc.more);
    pl_arena_fini(&a);
}

static void wrong_text_names_its_line(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"a: 1\nb: c: d\n", "yaml: line 2: mapping values are not allowed in this context"},
        {"a: 1\na: 2\n", "yaml: unmarshal errors:\n  line 2: key \"a\" already set in map (first on line 1)"},
        {"a: *x\n", "yaml: line 1: unknown anchor 'x' referenced"},
        {"a: &x [*x]\n", "yaml: line 1: anchor 'x' value contains itself"},
        {"? [a]\n: b\n", "yaml: line 1: invalid map key: only plain text can be a key here"},
        {"<<: 1\n", "yaml: line 1: map merge requires map or sequence of maps as the value"},
    };

    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        struct yaml_doc doc;
        struct pl_arena a;
        struct pl_err err;
        assert_int_equal(parse(&doc, &a, pl_str_c(cases[i].text), &err), PL_INVALID);
        assert_string_equal(err.msg, cases[i].want);
        pl_arena_fini(&a);
    }
}

static void deep_text_is_refused(void **state)
{
    struct pl_buf b = {0};
    struct yaml_doc doc;
    struct pl_arena a;
    struct pl_err err;

    (void)state;
    for (int i = 0; i < 100000; i++) {
        pl_buf_byte(&b, '[');
    }
    assert_int_equal(parse(&doc, &a, pl_buf_view(&b), &err), PL_TOO_LARGE);
    assert_string_equal(err.msg, "yaml: line 1: nested more than 64 deep");
    pl_arena_fini(&a);
    pl_buf_fini(&b);
}

/* Each line holds ten of the one before: 10^9 nodes from a kilobyte. */
static void billion_laughs_are_refused(void **state)
{
    struct pl_buf b = {0};
    struct yaml_doc doc;
    struct pl_arena a;
    struct pl_err err;

    (void)state;
    PL_BUF_LIT(&b, "a0: &a0 lol\n");
    for (int i = 1; i < 10; i++) {
        pl_buf_printf(&b, "a%d: &a%d [", i, i);
        for (int k = 0; k < 10; k++) {
            pl_buf_printf(&b, "%s*a%d", k > 0 ? "," : "", i - 1);
        }
        PL_BUF_LIT(&b, "]\n");
    }
    assert_int_equal(parse(&doc, &a, pl_buf_view(&b), &err), PL_TOO_LARGE);
    assert_non_null(strstr(err.msg, "document contains excessive aliasing"));
    pl_arena_fini(&a);
    pl_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars_keep_their_kind),
        cmocka_unit_test(strings_are_quoted_where_needed),
        cmocka_unit_test(trees_print_and_read_back),
        cmocka_unit_test(anchors_and_merges),
        cmocka_unit_test(documents),
        cmocka_unit_test(wrong_text_names_its_line),
        cmocka_unit_test(deep_text_is_refused),
        cmocka_unit_test(billion_laughs_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
