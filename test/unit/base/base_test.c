#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/sync.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void str_order_is_bytewise(void **state)
{
    (void)state;
    assert_true(pl_str_cmp(PL_STR("a"), PL_STR("b")) < 0);
    assert_true(pl_str_cmp(PL_STR("a"), PL_STR("aa")) < 0);
    assert_true(pl_str_cmp(PL_STR("\xff"), PL_STR("a")) > 0);
    assert_int_equal(pl_str_cmp(PL_STR(""), PL_STR("")), 0);
    assert_true(pl_str_eq_nocase(PL_STR("Content-TYPE"), PL_STR("content-type")));
    assert_int_equal(pl_str_trim(PL_STR(" \t x y \r\n")).n, 3);
    assert_int_equal(pl_str_find_str(PL_STR("abcabd"), PL_STR("abd")), 3);
    assert_int_equal(pl_str_find_str(PL_STR("ab"), PL_STR("abc")), SIZE_MAX);
}

static void utf8_table(void **state)
{
    static const struct {
        pl_str s;
        bool ok;
    } cases[] = {
        {PL_STR_INIT("plain ascii, long enough for the wide path"), true},
        {PL_STR_INIT("gr\xc3\xbc\xc3\x9f"), true},
        {PL_STR_INIT("\xf0\x9f\x98\x80"), true},
        {PL_STR_INIT("\xc3"), false},             /* cut */
        {PL_STR_INIT("\xc0\x80"), false},         /* overlong */
        {PL_STR_INIT("\xed\xa0\x80"), false},     /* surrogate */
        {PL_STR_INIT("\xf4\x90\x80\x80"), false}, /* past U+10FFFF */
        {PL_STR_INIT("\x80"), false},
    };
    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        assert_int_equal(pl_str_is_utf8(cases[i].s), cases[i].ok);
    }
}

static void numbers_refuse_what_does_not_fit(void **state)
{
    uint64_t u = 7;
    int64_t i = 7;

    (void)state;
    assert_true(pl_str_to_u64(PL_STR("18446744073709551615"), &u) && u == UINT64_MAX);
    assert_false(pl_str_to_u64(PL_STR("18446744073709551616"), &u));
    assert_false(pl_str_to_u64(PL_STR(""), &u));
    assert_false(pl_str_to_u64(PL_STR("1 "), &u));
    assert_true(pl_str_to_i64(PL_STR("-9223372036854775808"), &i) && i == INT64_MIN);
    assert_false(pl_str_to_i64(PL_STR("9223372036854775808"), &i));
    assert_true(pl_f64_to_i64(1e300) == INT64_MIN);
    assert_true(pl_f64_to_i64(-3.9) == -3);
}

static void arena_keeps_its_limit(void **state)
{
    struct pl_arena a;
    size_t got = 0;

    (void)state;
    pl_arena_init(&a, 100000);
    while (pl_arena_alloc_try(&a, 1000) != NULL) {
        got += 1000;
    }
    assert_in_range(got, 50000, 100000);
    assert_true(a.used_bytes <= 100000);
    assert_null(pl_arena_array_try(&a, SIZE_MAX / 2, 16));
    pl_arena_reset(&a);
    assert_non_null(pl_arena_alloc_try(&a, 10));
    pl_arena_fini(&a);
}

static void bump(void *arg)
{
    (*(int *)arg)++;
}

static void child_arena_takes_from_its_parent(void **state)
{
    struct pl_arena a, child;

    (void)state;
    pl_arena_init(&a, 200000);
    pl_arena_init_child(&child, &a);
    assert_non_null(pl_arena_alloc_try(&child, 100000));
    assert_true(a.used_bytes >= 100000);
    assert_null(pl_arena_alloc_try(&a, 150000));
    assert_null(pl_arena_alloc_try(&child, 150000));
    pl_arena_reset(&child);
    assert_true(a.used_bytes <= 100016);
    pl_arena_fini(&child);
    assert_int_equal(a.used_bytes, 0);
    assert_non_null(pl_arena_alloc_try(&child, 10));
    assert_non_null(pl_arena_alloc_try(&a, 150000));
    pl_arena_fini(&a); /* and the child with it */
    assert_null(child.head);
}

static void arena_runs_its_cleanups_once(void **state)
{
    struct pl_arena a;
    int count = 0;

    (void)state;
    pl_arena_init(&a, 0);
    pl_arena_on_free(&a, bump, &count);
    assert_string_equal(pl_arena_printf(&a, "%d-%s", 7, "x").p, "7-x");
    pl_arena_reset(&a);
    pl_arena_fini(&a);
    assert_int_equal(count, 1);
}

static void buf_marks_what_it_dropped(void **state)
{
    struct pl_buf b;

    (void)state;
    pl_buf_init(&b, 8);
    pl_buf_cstr(&b, "12345678");
    assert_false(b.overflow);
    pl_buf_byte(&b, '9');
    assert_true(b.overflow);
    assert_int_equal(b.n, 8);
    pl_buf_fini(&b);
    pl_buf_init(&b, 0);
    pl_buf_i64(&b, INT64_MIN);
    pl_buf_byte(&b, ' ');
    pl_buf_u64(&b, UINT64_MAX);
    pl_buf_printf(&b, " %s", "end");
    pl_buf_byte(&b, 0);
    assert_string_equal(b.p, "-9223372036854775808 18446744073709551615 end");
    pl_buf_fini(&b);
}

static void hashes_have_their_published_values(void **state)
{
    (void)state;
    assert_int_equal(pl_crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(pl_crc32c(pl_crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
    assert_true(pl_xxh64("", 0) == UINT64_C(0xef46db3751d8e999));
    assert_true(pl_xxh64("abc", 3) == UINT64_C(0x44bc2cf5ad770999));
    /* spec ring-distributor-ingester.md 8 */
    assert_int_equal(pl_fnv1_32(PL_FNV1_32_INIT, PL_STR("user-1")), 3956040770u);
    assert_int_equal(pl_fnv1_32(pl_fnv1_32(PL_FNV1_32_INIT, PL_STR("user-1")), PL_STR("up")), 1612714009u);
    assert_int_equal(pl_fnv1a_32(PL_FNV1_32_INIT, PL_STR("user-1")), 4115888500u);
}

static void err_is_wrapped_and_cut_visibly(void **state)
{
    struct pl_err err;
    char big[PL_ERR_MSG_MAX * 2];

    (void)state;
    assert_int_equal(pl_fail(&err, PL_IO, "no space on %s", "disk"), PL_IO);
    pl_wrap(&err, "open block %s", "X");
    assert_string_equal(err.msg, "open block X: no space on disk");
    assert_int_equal(err.status, PL_IO);
    memset(big, 'a', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    (void)pl_fail(&err, PL_INVALID, "%s", big);
    assert_string_equal(err.msg + PL_ERR_MSG_MAX - 4, "...");
    assert_int_equal(pl_fail(NULL, PL_RATE, "nobody reads this"), PL_RATE);
}

static void dates_go_there_and_back(void **state)
{
    struct pl_date d = pl_date_from_unix(951782400); /* 2000-02-29 */
    struct pl_buf b;

    (void)state;
    assert_int_equal(d.year, 2000);
    assert_int_equal(d.month, 2);
    assert_int_equal(d.day, 29);
    assert_int_equal(d.weekday, 2);
    assert_int_equal(d.yearday, 60);
    assert_int_equal(d.month_days, 29);
    d = pl_date_from_unix(-1);
    assert_int_equal(d.year, 1969);
    assert_int_equal(d.second, 59);
    assert_int_equal(d.weekday, 3);
    for (int64_t s = -86400 * INT64_C(800000); s < 86400 * INT64_C(800000); s += 86400 * 997) {
        d = pl_date_from_unix(s);
        assert_true(pl_date_to_unix(d.year, d.month, d.day) == s);
    }
    pl_buf_init(&b, 0);
    pl_buf_rfc3339_ms(&b, 1435781451780);
    pl_buf_byte(&b, 0);
    assert_string_equal(b.p, "2015-07-01T20:10:51.78Z");
    pl_buf_fini(&b);
}

static void add_loop(void *arg)
{
    struct {
        struct pl_mutex m;
        int n;
    } *s = arg;

    for (int i = 0; i < 10000; i++) {
        pl_mutex_lock(&s->m);
        s->n++;
        pl_mutex_unlock(&s->m);
    }
}

static void mutex_excludes(void **state)
{
    struct {
        struct pl_mutex m;
        int n;
    } s = {.n = 0};
    struct pl_thread t[4];

    (void)state;
    pl_mutex_init(&s.m, PL_RANK_APP);
    for (size_t i = 0; i < 4; i++) {
        pl_thread_start(&t[i], "add", add_loop, &s);
    }
    for (size_t i = 0; i < 4; i++) {
        pl_thread_join(&t[i]);
    }
    assert_int_equal(s.n, 40000);
    pl_mutex_fini(&s.m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(str_order_is_bytewise),
        cmocka_unit_test(utf8_table),
        cmocka_unit_test(numbers_refuse_what_does_not_fit),
        cmocka_unit_test(arena_keeps_its_limit),
        cmocka_unit_test(child_arena_takes_from_its_parent),
        cmocka_unit_test(arena_runs_its_cleanups_once),
        cmocka_unit_test(buf_marks_what_it_dropped),
        cmocka_unit_test(hashes_have_their_published_values),
        cmocka_unit_test(err_is_wrapped_and_cut_visibly),
        cmocka_unit_test(dates_go_there_and_back),
        cmocka_unit_test(mutex_excludes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
