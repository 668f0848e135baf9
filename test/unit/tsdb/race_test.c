/* Appenders, readers and the compactor at once; meant for the thread sanitizer, and true without it. */
#include "tsdb_kit.h"

#include "base/sync.h"
#include "hist_kit.h"

enum { APPENDERS = 3, READERS = 2, SERIES_EACH = 200, PASSES = 500, CHURN_EVERY = 25 };

struct race {
    struct tsdb *db;
    _Atomic int running; /* appenders */
    _Atomic int clock[APPENDERS];
    _Atomic uint64_t selects;
};

struct appender {
    struct race *r;
    int number;
};

/* The slowest appender leads: the others may not run away from the in-order bound. */
static void wait_for_others(struct race *r, int k)
{
    for (int i = 0; i < APPENDERS; i++) {
        while (atomic_load(&r->clock[i]) + 40 < k) {
            (void)usleep(200);
        }
    }
}

/* One series of histograms each, whose queries nobody checks but for their number at the end. */
static void push_hist(struct race *r, int number, int k)
{
    struct pl_arena a;
    struct label l[] = {{LABEL_METRIC_NAME, PL_STR("hist")}, {PL_STR("who"), PL_STR_NULL}};
    struct tsdb_append_series s = {.labels = {.v = l, .n = 2}, .hist_count = 1};
    const struct hist *h;
    int64_t t = KIT_T0 + (int64_t)k * 15000;
    bool whole = number % 2 == 0;
    struct tsdb_append_result result;
    struct pl_err err;

    pl_arena_init(&a, 0);
    l[1].value = pl_arena_printf(&a, "%d", number);
    h = hist_kit_make(&a, k % 100 + 1, number == 2);
    tsdb_append_begin(r->db);
    if (tsdb_append(r->db,
                    &(struct tsdb_append_batch){
                        .series = &s, .series_count = 1, .hist_t = &t, .hist = &h, .hist_whole = &whole},
                    &a, &result, &err) != PL_OK ||
        result.appended != 1) {
        abort();
    }
    tsdb_append_end(r->db);
    pl_arena_fini(&a);
}

static void appender_run(void *arg)
{
    struct appender *a = arg;
    struct race *r = a->r;

    for (int k = 0; k < PASSES; k++) {
        wait_for_others(r, k);
        kit_push_ok(r->db, (uint32_t)a->number * SERIES_EACH, SERIES_EACH, KIT_T0 + (int64_t)k * 15000);
        /* Series that live for one sample only, and one that all appenders create at the same time. */
        kit_push_ok(r->db, 100000 + (uint32_t)(k / CHURN_EVERY) * 100 + (uint32_t)a->number * 10, 5,
                    KIT_T0 + (int64_t)k * 15000);
        push_hist(r, a->number, k);
        atomic_store(&r->clock[a->number], k);
    }
    atomic_store(&r->clock[a->number], INT32_MAX / 2);
    (void)atomic_fetch_sub(&r->running, 1);
}

static void reader_run(void *arg)
{
    struct race *r = arg;

    while (atomic_load(&r->running) > 0) {
        struct pl_arena a;
        struct series_list l;
        struct matcher m;
        struct samples s = {.n = 0};
        struct pl_err err;
        size_t cap = 0;

        pl_arena_init(&a, 0);
        m = kit_matcher(&a, MATCH_RE, "n", "[0-9]{1,2}");
        kit_select(r->db, &a, &m, 1, INT64_MIN, INT64_MAX, &l);
        for (size_t i = 0; i < l.n; i++) {
            uint64_t n;
            if (!pl_str_to_u64(labels_get(l.v[i].labels, PL_STR("n")), &n) ||
                series_decode(&l.v[i], INT64_MIN, INT64_MAX, &a, &s, &cap, &err) != PL_OK) {
                abort();
            }
            for (size_t k = 0; k < s.n; k++) {
                /* Without a hole from the first sample on, whatever is cut meanwhile. */
                if (s.t[k] != KIT_T0 + (int64_t)k * 15000 || s.v[k] != kit_value((uint32_t)n, s.t[k])) {
                    (void)fprintf(stderr, "series %llu, sample %zu of %zu: t %lld\n", (unsigned long long)n, k, s.n,
                                  (long long)s.t[k]);
                    abort();
                }
            }
        }
        kit_select(r->db, &a, NULL, 0, INT64_MIN, INT64_MAX, &l);
        pl_arena_fini(&a);
        (void)atomic_fetch_add(&r->selects, 1);
    }
}

static void compactor_run(void *arg)
{
    struct race *r = arg;
    struct pl_err err;
    uint32_t written;

    while (atomic_load(&r->running) > 0) {
        if (tsdb_compact(r->db, false, KIT_T0, &written, &err) != PL_OK) {
            (void)fprintf(stderr, "compact: %s\n", err.msg);
            abort();
        }
        (void)usleep(1000);
    }
}

static void everything_at_once(void **state)
{
    char *dir = kit_dir();
    struct tsdb_options o = kit_options();
    struct race r = {.running = APPENDERS};
    struct appender ap[APPENDERS];
    struct pl_thread threads[APPENDERS + READERS + 1];
    struct tsdb_stats st;

    (void)state;
    o.block_range_ms = 1200000; /* 80 samples */
    o.wal_segment_bytes = 1 << 20;
    r.db = kit_open_with(dir, o);
    for (int i = 0; i < APPENDERS; i++) {
        ap[i] = (struct appender){.r = &r, .number = i};
        pl_thread_start(&threads[i], "appender", appender_run, &ap[i]);
    }
    for (int i = 0; i < READERS; i++) {
        pl_thread_start(&threads[APPENDERS + i], "reader", reader_run, &r);
    }
    pl_thread_start(&threads[APPENDERS + READERS], "compactor", compactor_run, &r);
    for (size_t i = 0; i < PL_ARRAY_LEN(threads); i++) {
        pl_thread_join(&threads[i]);
    }
    tsdb_stats_get(r.db, &st);
    assert_true(st.block_count > 3 && st.series_removed_total > 50 && atomic_load(&r.selects) > 0);
    for (int round = 0; round < 2; round++) {
        struct pl_arena a;
        struct series_list l;
        struct samples s = {.n = 0};
        struct pl_err err;
        size_t cap = 0, whole = 0;

        pl_arena_init(&a, 0);
        kit_select(r.db, &a, NULL, 0, INT64_MIN, INT64_MAX, &l);
        for (size_t i = 0; i < l.n; i++) {
            uint64_t n;
            if (pl_str_eq(labels_get(l.v[i].labels, LABEL_METRIC_NAME), PL_STR("hist"))) {
                assert_int_equal(series_decode(&l.v[i], INT64_MIN, INT64_MAX, &a, &s, &cap, &err), PL_OK);
                assert_int_equal(s.n, PASSES);
                assert_true(s.h != NULL && s.h[PASSES - 1] != NULL);
                continue;
            }
            assert_true(pl_str_to_u64(labels_get(l.v[i].labels, PL_STR("n")), &n));
            assert_int_equal(series_decode(&l.v[i], INT64_MIN, INT64_MAX, &a, &s, &cap, &err), PL_OK);
            assert_int_equal(s.n, n < APPENDERS * SERIES_EACH ? PASSES : CHURN_EVERY);
            whole += n < APPENDERS * SERIES_EACH;
        }
        assert_int_equal(whole, APPENDERS * SERIES_EACH);
        pl_arena_fini(&a);
        tsdb_close(r.db);
        r.db = round == 0 ? kit_open_with(dir, o) : NULL;
    }
    kit_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(everything_at_once)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
