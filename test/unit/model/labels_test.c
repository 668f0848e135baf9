#include "model/labels.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define L(n, v)                        \
    {                                  \
        PL_STR_INIT(n), PL_STR_INIT(v) \
    }
#define LS(array) ((struct labels){(array), PL_ARRAY_LEN(array)})

static const struct label up[] = {L("__name__", "up")};
static const struct label up3[] = {L("__name__", "up"), L("instance", "localhost:9090"), L("job", "prometheus")};

static void hash_check_values(void **state)
{
    char long_value[5000];
    struct label big[] = {{PL_STR("a"), {long_value, sizeof(long_value)}}, L("b", "x")};

    (void)state;
    assert_true(labels_hash((struct labels){NULL, 0}) == UINT64_C(0xef46db3751d8e999));
    assert_true(labels_hash(LS(up)) == UINT64_C(0x23d4c2cb13387598));
    assert_true(labels_hash(LS(up3)) == UINT64_C(0xf28c8afcd224e55f));
    memset(long_value, 'x', sizeof(long_value));
    uint64_t h = labels_hash(LS(big));
    long_value[4999] = 'y';
    assert_true(labels_hash(LS(big)) != h);
}

static void order(void **state)
{
    static const struct label a1[] = {L("a", "1")}, a1b[] = {L("a", "1"), L("b", "0")}, a2[] = {L("a", "2")},
                              aa[] = {L("aa", "0")}, hi[] = {L("a", "\xc3\xa9")};
    const struct labels sorted[] = {{NULL, 0}, LS(a1), LS(a1b), LS(a2), LS(hi), LS(aa)};

    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(sorted); i++) {
        for (size_t k = 0; k < PL_ARRAY_LEN(sorted); k++) {
            int c = labels_cmp(sorted[i], sorted[k]);
            assert_int_equal((c > 0) - (c < 0), (i > k) - (i < k));
            assert_int_equal(labels_eq(sorted[i], sorted[k]), i == k);
        }
    }
}

static void sort_by_name(void **state)
{
    char names[200][4];
    struct label v[200];

    (void)state;
    for (size_t n = 0; n <= 200; n += 50) {
        for (size_t i = 0; i < n; i++) {
            size_t k = (i * 77) % n;
            names[i][0] = (char)('a' + k / 26);
            names[i][1] = (char)('a' + k % 26);
            v[i] = (struct label){{names[i], 2}, PL_STR("v")};
        }
        labels_sort(v, n);
        for (size_t i = 1; i < n; i++) {
            assert_true(pl_str_cmp(v[i - 1].name, v[i].name) <= 0);
        }
    }
}

static void get_and_copy(void **state)
{
    struct pl_arena a;
    struct labels c;

    (void)state;
    assert_true(pl_str_eq(labels_get(LS(up3), PL_STR("job")), PL_STR("prometheus")));
    assert_int_equal(labels_get(LS(up3), PL_STR("jo")).n, 0);
    pl_arena_init(&a, 0);
    c = labels_copy_try(&a, LS(up3));
    assert_true(labels_eq(c, LS(up3)));
    assert_ptr_not_equal(c.v[1].value.p, up3[1].value.p);
    pl_arena_fini(&a);
    pl_arena_init(&a, 64);
    c = labels_copy_try(&a, LS(up3));
    assert_null(c.v);
    assert_int_equal(c.n, 3);
    pl_arena_fini(&a);
}

static void quoted(void **state)
{
    static const struct {
        pl_str in;
        const char *want;
    } cases[] = {
        {PL_STR_INIT(""), "\"\""},
        {PL_STR_INIT("plain"), "\"plain\""},
        {PL_STR_INIT("q\" b\\ '"), "\"q\\\" b\\\\ '\""},
        {PL_STR_INIT("\a\b\t\n\v\f\r"), "\"\\a\\b\\t\\n\\v\\f\\r\""},
        {PL_STR_INIT("\x01\x1f\x7f"), "\"\\x01\\x1f\\x7f\""},
        {PL_STR_INIT("a\0b"), "\"a\\x00b\""},
        {PL_STR_INIT("\xc3\xa9 \xe6\x97\xa5 \xf0\x9f\x98\x80"), "\"\xc3\xa9 \xe6\x97\xa5 \xf0\x9f\x98\x80\""},
        {PL_STR_INIT("\xc2\xa0|\xe2\x80\x8b|\xef\xbb\xbf"), "\"\\u00a0|\\u200b|\\ufeff\""},
        {PL_STR_INIT("\xef\xbf\xbd"), "\"\xef\xbf\xbd\""}, /* U+FFFD itself */
        {PL_STR_INIT("\xff\xc3|\xc0\x80|\xed\xa0\x80"), "\"\\xff\\xc3|\\xc0\\x80|\\xed\\xa0\\x80\""},
        {PL_STR_INIT("\xf3\xa0\x80\x81"), "\"\\U000e0001\""},
        {PL_STR_INIT("\xf4\x8f\xbf\xbf"), "\"\\U0010ffff\""},
        {PL_STR_INIT("\xf4\x90\x80\x80"), "\"\\xf4\\x90\\x80\\x80\""},
        {PL_STR_INIT("\xe2\x80"), "\"\\xe2\\x80\""},
    };
    struct pl_buf b;

    (void)state;
    pl_buf_init(&b, 0);
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        pl_buf_reset(&b);
        pl_buf_quoted(&b, cases[i].in);
        pl_buf_byte(&b, '\0');
        assert_string_equal(b.p, cases[i].want);
    }
    pl_buf_fini(&b);
}

static void check_text(struct labels ls, const char *text, const char *metric)
{
    struct pl_buf b;

    pl_buf_init(&b, 0);
    labels_text(&b, ls);
    pl_buf_byte(&b, '\0');
    assert_string_equal(b.p, text);
    pl_buf_reset(&b);
    labels_metric_text(&b, ls);
    pl_buf_byte(&b, '\0');
    assert_string_equal(b.p, metric);
    pl_buf_fini(&b);
}

static void texts(void **state)
{
    static const struct label dotted[] = {L("__name__", "a.b"), L("x.y", "1"), L("z", "\n")};
    static const struct label nameless[] = {L("a", "1"), L("b", "2")};

    (void)state;
    check_text((struct labels){NULL, 0}, "{}", "{}");
    check_text(LS(up), "{__name__=\"up\"}", "up");
    check_text(LS(up3), "{__name__=\"up\", instance=\"localhost:9090\", job=\"prometheus\"}",
               "up{instance=\"localhost:9090\", job=\"prometheus\"}");
    check_text(LS(nameless), "{a=\"1\", b=\"2\"}", "{a=\"1\", b=\"2\"}");
    check_text(LS(dotted), "{__name__=\"a.b\", \"x.y\"=\"1\", z=\"\\n\"}", "{\"a.b\", \"x.y\"=\"1\", z=\"\\n\"}");
}

static void legacy_names(void **state)
{
    (void)state;
    assert_true(label_name_is_legacy(PL_STR("_a9Z")));
    assert_false(label_name_is_legacy(PL_STR("")));
    assert_false(label_name_is_legacy(PL_STR("9a")));
    assert_false(label_name_is_legacy(PL_STR("a:b")));
    assert_false(label_name_is_legacy(PL_STR("a.b")));
    assert_false(label_name_is_legacy(PL_STR("\xc3\xa9")));
    assert_true(metric_name_is_legacy(PL_STR(":a:b9")));
    assert_false(metric_name_is_legacy(PL_STR("9")));
    assert_false(metric_name_is_legacy(PL_STR("a b")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hash_check_values), cmocka_unit_test(order),  cmocka_unit_test(sort_by_name),
        cmocka_unit_test(get_and_copy),      cmocka_unit_test(quoted), cmocka_unit_test(texts),
        cmocka_unit_test(legacy_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
