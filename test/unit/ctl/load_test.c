/* palliumctl load: what it sends is well-formed, follows from its seed, and churns as it says; its figures and flags.
 */
#include "codec/remote_write.h"
#include "codec/snappy.h"
#include "ctl/ctl.h"
#include "ctl/load_gen.h"
#include "ctl/load_stats.h"

#include "base/clock.h"
#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct pl_arena arena;

/* Decodes and walks a block. */
static struct remote_write open_block(const struct load_block *b)
{
    struct remote_write rw;
    struct pl_err err;
    size_t n;

    assert_true(snappy_decoded_size(pl_buf_view(&b->body), &n));
    assert_int_equal(n, b->message_bytes);
    char *m = pl_arena_alloc(&arena, n);
    assert_int_equal(snappy_decode(m, n, pl_buf_view(&b->body), &err), PL_OK);
    assert_int_equal(remote_write_walk(&rw, pl_str_of(m, n), &arena, &err), PL_OK);
    assert_int_equal(rw.series_count, b->count);
    return rw;
}

static void check_labels(const struct remote_write *rw, uint32_t want)
{
    for (uint32_t i = 0; i < rw->series_count; i++) {
        struct remote_write_label l[LOAD_LABELS_MAX];
        struct pl_err err;
        assert_int_equal(rw->series[i].label_count, want);
        assert_false(rw->series[i].gathered);
        assert_int_equal(remote_write_labels(l, &rw->series[i], &err), PL_OK);
        assert_true(pl_str_eq(l[0].name, PL_STR("__name__")));
        for (uint32_t k = 0; k < want; k++) {
            assert_true(l[k].value.n > 0);
            assert_true(k == 0 || pl_str_cmp(l[k - 1].name, l[k].name) < 0);
        }
    }
}

static int by_hash(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Distinct label sets of the whole data set at one state of churn, their hashes in `out`. */
static size_t all_series(uint64_t *out, const struct load_shape *s, uint32_t per_block, uint64_t replaced)
{
    size_t n = 0, distinct = 0;

    for (uint64_t first = 0; first < s->series; first += per_block) {
        struct load_block b;
        load_block_init(&b, first, (uint32_t)PL_MIN(s->series - first, (uint64_t)per_block));
        load_block_stamp(&b, s, replaced, 0, 1700000000000, 15000);
        struct remote_write rw = open_block(&b);
        for (uint32_t i = 0; i < rw.series_count; i++) {
            out[n++] = pl_xxh64(rw.series[i].labels.p, rw.series[i].labels.n);
        }
        load_block_fini(&b);
        pl_arena_reset(&arena);
    }
    qsort(out, n, sizeof(*out), by_hash);
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || out[i] != out[distinct - 1]) {
            out[distinct++] = out[i];
        }
    }
    return distinct;
}

static void bodies_are_well_formed(void **state)
{
    static const uint32_t labels[] = {1, 2, 5, 12, 15, 16, 64};

    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(labels); i++) {
        for (uint32_t samples = 1; samples <= 21; samples += 10) {
            const struct load_shape s = {
                .series = 300, .labels = labels[i], .metrics = 64, .samples_per_series = samples, .seed = 7};
            struct load_block b;
            load_block_init(&b, 0, 300);
            load_block_stamp(&b, &s, 0, 0, 1700000000000, 15000);
            struct remote_write rw = open_block(&b);
            check_labels(&rw, labels[i]);
            assert_int_equal(rw.sample_count, 300 * samples);
            for (uint32_t k = 0; k < rw.sample_count; k++) {
                assert_true(rw.t[k] == 1700000000000 + (int64_t)(k % samples) * 15000);
            }
            load_block_fini(&b);
            pl_arena_reset(&arena);
        }
    }
}

/* Stamping again changes times and values only; counters rise; other widths of a timestamp work. */
static void stamps(void **state)
{
    static const int64_t times[] = {1700000000000, 1700000015000, 5, 0, -1000, INT64_C(1) << 50};
    const struct load_shape s = {.series = 64, .labels = 12, .metrics = 64, .samples_per_series = 1, .seed = 1};
    struct load_block b;
    double first[64];

    (void)state;
    load_block_init(&b, 0, 64);
    for (uint64_t p = 0; p < PL_ARRAY_LEN(times); p++) {
        load_block_stamp(&b, &s, 0, p, times[p], 15000);
        struct remote_write rw = open_block(&b);
        uint32_t risen = 0;
        for (uint32_t i = 0; i < 64; i++) {
            assert_true(rw.t[i] == times[p]);
            risen += p > 0 && rw.v[i] >= first[i];
            first[i] = rw.v[i];
        }
        assert_true(p == 0 || risen >= 40); /* five metrics of eight are counters */
        pl_arena_reset(&arena);
    }
    load_block_fini(&b);
}

static void same_seed_same_bytes(void **state)
{
    struct load_block a, b, c;
    const struct load_shape one = {.series = 500, .labels = 12, .metrics = 64, .samples_per_series = 2, .seed = 1};
    struct load_shape two = one;

    (void)state;
    two.seed = 2;
    load_block_init(&a, 100, 200);
    load_block_init(&b, 100, 200);
    load_block_init(&c, 100, 200);
    load_block_stamp(&a, &one, 0, 0, 1700000000000, 15000);
    load_block_stamp(&b, &one, 0, 9, 1700000900000, 15000);
    load_block_stamp(&b, &one, 0, 0, 1700000000000, 15000);
    load_block_stamp(&c, &two, 0, 0, 1700000000000, 15000);
    assert_true(pl_str_eq(pl_buf_view(&a.body), pl_buf_view(&b.body)));
    assert_false(pl_str_eq(pl_buf_view(&a.body), pl_buf_view(&c.body)));
    load_block_fini(&a);
    load_block_fini(&b);
    load_block_fini(&c);
}

static void churn_replaces_what_it_says(void **state)
{
    enum { N = 1000 };
    static const uint32_t labels[] = {1, 2, 12};
    static uint64_t before[N], after[N];

    (void)state;
    for (size_t k = 0; k < PL_ARRAY_LEN(labels); k++) {
        const struct load_shape s = {
            .series = N, .labels = labels[k], .metrics = 64, .samples_per_series = 1, .seed = 3};
        assert_int_equal(all_series(before, &s, 300, 0), N);
        for (uint64_t replaced = 37; replaced < 3 * N; replaced += 411) {
            size_t kept = 0;
            assert_int_equal(all_series(after, &s, 300, replaced), N);
            for (size_t i = 0; i < N; i++) {
                kept += bsearch(&after[i], before, N, sizeof(*before), by_hash) != NULL;
            }
            assert_int_equal(kept, N - PL_MIN(replaced, (uint64_t)N));
        }
    }
}

/* A block that lives through churn says the same as one made afresh. */
static void block_follows_churn(void **state)
{
    const struct load_shape s = {.series = 100, .labels = 12, .metrics = 64, .samples_per_series = 1, .seed = 3};
    struct load_block old;

    (void)state;
    load_block_init(&old, 30, 40);
    for (uint64_t replaced = 0; replaced < 400; replaced += 7) {
        struct load_block fresh;
        load_block_init(&fresh, 30, 40);
        load_block_stamp(&old, &s, replaced, replaced, 1700000000000, 15000);
        load_block_stamp(&fresh, &s, replaced, replaced, 1700000000000, 15000);
        assert_true(pl_str_eq(pl_buf_view(&old.body), pl_buf_view(&fresh.body)));
        load_block_fini(&fresh);
    }
    load_block_fini(&old);
}

static void quantiles(void **state)
{
    struct load_stats *s = pl_new(struct load_stats), *sum = pl_new(struct load_stats);

    (void)state;
    assert_int_equal(load_stats_quantile(s, 0.5), 0);
    for (uint64_t i = 1; i <= 100000; i++) {
        load_stats_add(s, i % 1000 == 0 ? 429 : 200, i * 1000, 10, 5);
    }
    load_stats_merge(sum, s);
    for (int q = 1; q <= 100; q++) {
        double want = q * 1e6, got = (double)load_stats_quantile(sum, q / 100.0);
        assert_true(got >= want && got <= want * 1.04);
    }
    assert_int_equal(load_stats_quantile(sum, 1), 100000000);
    assert_int_equal(load_stats_failed(sum), 100);
    assert_int_equal(sum->samples, 99900 * 10);
    load_stats_add(sum, 0, UINT64_MAX, 1, 1);
    assert_true(load_stats_quantile(sum, 1) == UINT64_MAX);
    pl_free(sum);
    pl_free(s);
}

static void durations_and_times(void **state)
{
    static const struct {
        const char *text;
        int64_t ns; /* -1: refused */
    } durations[] = {{"0", 0},
                     {"250ms", 250000000},
                     {"15s", 15000000000},
                     {"1h30m", 5400000000000},
                     {"1.5m", 90000000000},
                     {"2d", 172800000000000},
                     {"", -1},
                     {"5", -1},
                     {"s", -1},
                     {"5x", -1},
                     {"-5s", -1},
                     {"5s5", -1},
                     {"1h 5m", -1}};
    static const struct {
        const char *text;
        int64_t ms; /* INT64_MIN: refused */
    } times[] = {{"now", 1000000},
                 {"-10s", 990000},
                 {"1700000000", 1700000000000},
                 {"1700000000.5", 1700000000500},
                 {"2023-11-14T22:13:20Z", 1700000000000},
                 {"2023-11-15T00:13:20.25+02:00", 1700000000250},
                 {"2023-11-14", INT64_MIN},
                 {"2023-13-14T22:13:20Z", INT64_MIN},
                 {"yesterday", INT64_MIN},
                 {"", INT64_MIN},
                 {"2023-11-14T22:13:20Zx", INT64_MIN},
                 {"nan", INT64_MIN}};

    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(durations); i++) {
        int64_t ns = 0;
        bool ok = ctl_parse_duration(durations[i].text, &ns);
        if (ok != (durations[i].ns >= 0) || (ok && ns != durations[i].ns)) {
            fail_msg("duration %s", durations[i].text);
        }
    }
    for (size_t i = 0; i < PL_ARRAY_LEN(times); i++) {
        int64_t ms = 0;
        bool ok = ctl_parse_time(times[i].text, 1000000, &ms);
        if (ok != (times[i].ms != INT64_MIN) || (ok && ms != times[i].ms)) {
            fail_msg("time %s", times[i].text);
        }
    }
}

/* argv as main gets it; the parser moves words but does not write into them. */
static int argv_of(char **argv, const char *const *words, size_t max)
{
    int n = 0;

    while ((size_t)n < max && words[n] != NULL) {
        argv[n] = (char *)(uintptr_t)words[n];
        n++;
    }
    argv[n] = NULL;
    return n;
}

static void flags(void **state)
{
    bool yes = false, help = false;
    const char *text = NULL;
    uint64_t count = 0;
    struct ctl_list list = {.n = 0};
    const struct ctl_flag table[] = {{"yes", CTL_FLAG_BOOL, &yes, NULL, ""},
                                     {"text", CTL_FLAG_TEXT, &text, "TEXT", ""},
                                     {"count", CTL_FLAG_COUNT, &count, "NUMBER", ""},
                                     {"list", CTL_FLAG_LIST, &list, "TEXT", ""}};
    static const char *const words[] = {"cmd",    "a", "--yes", "-text=x=y", "--count", "20k",
                                        "--list", "1", "b",     "--list=2",  "--",      "--yes"};
    char *good[PL_ARRAY_LEN(words) + 1];
    static const struct {
        const char *words[4];
        const char *text;
    } bad[] = {{{"cmd", "--nope", NULL},
                "unknown flag --nope (--help lists all; an argument that begins with a dash goes behind --)"},
               {{"cmd", "--count", "x", NULL},
                "--count: \"x\" is not a NUMBER: a whole number, such as 500, 100k or 1M, is wanted"},
               {{"cmd", "--count", NULL}, "--count needs a value: --count NUMBER"},
               {{"cmd", "--yes=1", NULL}, "--yes takes no value"}};
    int argc = argv_of(good, words, PL_ARRAY_LEN(words));
    struct pl_err err;

    (void)state;
    assert_int_equal(ctl_flags_parse(table, PL_ARRAY_LEN(table), &argc, good, &help, &err), PL_OK);
    assert_int_equal(argc, 4);
    assert_string_equal(good[1], "a");
    assert_string_equal(good[2], "b");
    assert_string_equal(good[3], "--yes");
    assert_true(yes && !help);
    assert_string_equal(text, "x=y");
    assert_int_equal(count, 20000);
    assert_int_equal(list.n, 2);
    assert_string_equal(list.v[1], "2");
    for (size_t i = 0; i < PL_ARRAY_LEN(bad); i++) {
        char *argv[5];
        argc = argv_of(argv, bad[i].words, 4);
        assert_int_equal(ctl_flags_parse(table, PL_ARRAY_LEN(table), &argc, argv, &help, &err), PL_INVALID);
        assert_string_equal(err.msg, bad[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_are_well_formed), cmocka_unit_test(stamps),
        cmocka_unit_test(same_seed_same_bytes),   cmocka_unit_test(churn_replaces_what_it_says),
        cmocka_unit_test(block_follows_churn),    cmocka_unit_test(quantiles),
        cmocka_unit_test(durations_and_times),    cmocka_unit_test(flags),
    };
    int failed;

    pl_arena_init(&arena, 0);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    pl_arena_fini(&arena);
    return failed;
}
