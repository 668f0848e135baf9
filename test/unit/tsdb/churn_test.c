/* Series that come and go: what the dead leave behind is given back, and no reader sees it go. */
#include "tsdb_kit.h"

#include "base/sync.h"
#include "unit/sanitized.h"

enum { ROUNDS = SANITIZED ? 12 : 20, SERIES_EACH = SANITIZED ? 3000 : 50000 };
enum { PASSES = 4, LASTING_EVERY = 50, LASTING_ROUNDS = 4, STEADY = 300, STEADY_FIRST = 100000000 };

static uint64_t rss_anon_kib(void)
{
    char line[256];
    uint64_t kib = 0;
    FILE *f = fopen("/proc/self/status", "r");

    pl_alloc_give_back(); /* the allocator keeps freed pages for some seconds */
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        (void)sscanf(line, "RssAnon: %lu", &kib);
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    return kib;
}

/* New series each round; some of them last for a few rounds, between places that others left; a few stay for ever. */
static void round_push(struct tsdb *db, uint32_t round)
{
    enum { BATCH = 1000 };
    int64_t t0 = KIT_T0 + (int64_t)round * KIT_RANGE_MS;

    for (int64_t t = t0; t < t0 + PASSES * 60000; t += 60000) {
        for (uint32_t i = 0; i < SERIES_EACH; i += BATCH) {
            kit_push_ok(db, round * SERIES_EACH + i, BATCH, t);
        }
        for (uint32_t back = 1; back <= PL_MIN(round, (uint32_t)LASTING_ROUNDS); back++) {
            for (uint32_t i = 0; i < SERIES_EACH; i += LASTING_EVERY) {
                kit_push_ok(db, (round - back) * SERIES_EACH + i, 1, t);
            }
        }
        kit_push_ok(db, STEADY_FIRST, STEADY, t);
    }
}

static void compact_ok(struct tsdb *db, bool force)
{
    struct pl_err err = {.msg = ""};
    uint32_t written;

    if (tsdb_compact(db, force, KIT_T0, &written, &err) != PL_OK) {
        fail_msg("compact: %s", err.msg);
    }
}

static int head_chunk_files(const char *dir)
{
    char path[256];
    struct dirent *e;
    DIR *d;
    int n = 0;

    (void)snprintf(path, sizeof(path), "%s/chunks_head", dir);
    d = opendir(path);
    assert_non_null(d);
    while ((e = readdir(d)) != NULL) {
        n += e->d_name[0] != '.';
    }
    (void)closedir(d);
    return n;
}

static struct tsdb *churn_open(const char *dir)
{
    struct tsdb_options o = kit_options();

    o.retention_ms = 2 * KIT_RANGE_MS;
    return kit_open_with(dir, o);
}

/* All samples of one lasting series, over head and blocks, that retention left. */
static void check_samples(struct tsdb *db, uint32_t n, uint32_t last_round)
{
    struct pl_arena a;
    struct series_list l;
    struct matcher m;
    struct samples s = {.n = 0};
    struct pl_err err = {.msg = ""};
    size_t cap = 0;

    pl_arena_init(&a, 0);
    m = kit_matcher(&a, MATCH_EQ, "n", pl_arena_printf(&a, "%u", n).p);
    kit_select(db, &a, &m, 1, INT64_MIN, INT64_MAX, &l);
    assert_int_equal(l.n, 1);
    assert_int_equal(series_decode(&l.v[0], INT64_MIN, INT64_MAX, &a, &s, &cap, &err), PL_OK);
    assert_true(s.n >= PASSES && s.n % PASSES == 0);
    assert_true(s.t[s.n - 1] == KIT_T0 + (int64_t)last_round * KIT_RANGE_MS + (PASSES - 1) * 60000);
    for (size_t i = 0; i < s.n; i++) {
        assert_true(s.v[i] == kit_value(n, s.t[i]));
    }
    pl_arena_fini(&a);
}

static void memory_comes_back(void **state)
{
    char *dir = kit_dir();
    struct tsdb *db = churn_open(dir);
    uint64_t early = 0, late = 0;
    struct tsdb_stats st;

    (void)state;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        round_push(db, round);
        compact_ok(db, false);
        late = rss_anon_kib();
        if (round == 2) {
            early = late;
        }
        if (round >= LASTING_ROUNDS) {
            check_samples(db, (round - LASTING_ROUNDS) * SERIES_EACH + 7 * LASTING_EVERY, round);
        }
    }
    print_message("anonymous memory after round 3: %lu KiB, after round %d: %lu KiB\n", early, ROUNDS, late);
    /* The sanitizers keep what is freed. */
    assert_true(SANITIZED || late <= early + early * 3 / 10);
    tsdb_stats_get(db, &st);
    assert_true(st.series < 3 * SERIES_EACH);
    /* Names, pairs and symbols of the living only. */
    assert_true(st.symbols < 5 * SERIES_EACH && st.label_pairs < 5 * SERIES_EACH);
    assert_true(head_chunk_files(dir) <= 4); /* one for each truncation, the old ones deleted */
    tsdb_close(db);
    db = churn_open(dir);
    check_samples(db, STEADY_FIRST, ROUNDS - 1);
    tsdb_close(db);
    kit_remove(dir);
}

/* When everything dies, everything goes. */
static void empty_head_is_small(void **state)
{
    char *dir = kit_dir();
    struct tsdb *db = churn_open(dir);
    struct tsdb_stats st;
    uint64_t first, full, empty;

    (void)state;
    first = rss_anon_kib();
    round_push(db, 0);
    round_push(db, 1);
    full = rss_anon_kib();
    compact_ok(db, true);
    compact_ok(db, true); /* names go one truncation after their values */
    kit_push_ok(db, STEADY_FIRST, 10, KIT_T0 + 2 * (int64_t)KIT_RANGE_MS);
    kit_push_ok(db, STEADY_FIRST, 10, KIT_T0 + 4 * (int64_t)KIT_RANGE_MS);
    compact_ok(db, false);
    tsdb_stats_get(db, &st);
    assert_int_equal(st.series, 10);
    assert_int_equal(st.label_pairs, 3 + 1 + 1 + 10 + 7);
    assert_true(st.symbols <= 5 + 1 + st.label_pairs);
    empty = rss_anon_kib();
    print_message("anonymous memory at first %lu KiB, full %lu KiB, emptied %lu KiB\n", first, full, empty);
    assert_true(SANITIZED || empty - first < (full - first) / 4);
    tsdb_close(db);
    kit_remove(dir);
}

/* ---- readers meanwhile ---- */

struct watch {
    struct tsdb *db;
    _Atomic bool stop;
    _Atomic uint64_t looks;
};

/* Each text of the labels must be what series `n` has. */
static void check_labels(const struct series_list *l, struct pl_arena *a)
{
    for (size_t i = 0; i < l->n; i++) {
        struct labels want;
        uint64_t n;

        if (!pl_str_to_u64(labels_get(l->v[i].labels, PL_STR("n")), &n)) {
            abort();
        }
        want = kit_labels(a, (uint32_t)n);
        if (labels_cmp(want, l->v[i].labels) != 0) {
            (void)fprintf(stderr, "labels of series %llu changed\n", (unsigned long long)n);
            abort();
        }
    }
}

static void check_sorted(const struct str_list *l)
{
    for (size_t i = 1; i < l->n; i++) {
        if (pl_str_cmp(l->v[i - 1], l->v[i]) >= 0) {
            abort();
        }
    }
}

static void watch_run(void *arg)
{
    struct watch *w = arg;
    unsigned turn = 0;

    while (!atomic_load(&w->stop)) {
        struct series_source *src = tsdb_source(w->db);
        struct pl_arena a, checks;
        struct series_list l;
        struct str_list values;
        struct tsdb_top *top;
        struct matcher m;
        struct series_select q = {.mint_ms = INT64_MIN, .maxt_ms = INT64_MAX};
        struct pl_err err;

        pl_arena_init(&a, 0);
        pl_arena_init(&checks, 0);
        m = kit_matcher(&a, MATCH_NRE, "n", turn++ % 2 == 0 ? ".*3" : "1.*");
        kit_select(w->db, &a, &m, 1, INT64_MIN, INT64_MAX, &l);
        if (src->ops->label_values(src, &a, PL_STR("n"), &q, 0, &values, &err) != PL_OK) {
            abort();
        }
        check_labels(&l, &checks);
        (void)tsdb_top_metrics(w->db, &checks, 3, &top);
        (void)usleep(turn % 8 == 0 ? 300000 : 3000); /* some results outlive truncations */
        check_labels(&l, &checks);
        check_sorted(&values);
        pl_arena_fini(&checks);
        pl_arena_fini(&a);
        (void)atomic_fetch_add(&w->looks, 1);
    }
}

static void readers_keep_what_they_hold(void **state)
{
    enum { READERS = 2 };
    char *dir = kit_dir();
    struct watch w = {.db = churn_open(dir)};
    struct pl_thread readers[READERS];
    struct series_list l;
    struct pl_arena a, checks;

    (void)state;
    for (int i = 0; i < READERS; i++) {
        pl_thread_start(&readers[i], "watch", watch_run, &w);
    }
    pl_arena_init(&a, 0);
    pl_arena_init(&checks, 0);
    for (uint32_t round = 0; round < 10; round++) {
        for (int64_t t = 0; t < 2; t++) {
            kit_push_ok(w.db, round * 1000, 1000, KIT_T0 + (int64_t)round * KIT_RANGE_MS + t * 60000);
        }
        if (round == 1) {
            /* Held over all further rounds. */
            kit_select(w.db, &a, NULL, 0, INT64_MIN, INT64_MAX, &l);
            assert_int_equal(l.n, 2000);
        }
        compact_ok(w.db, false);
        (void)usleep(20000);
    }
    atomic_store(&w.stop, true);
    for (int i = 0; i < READERS; i++) {
        pl_thread_join(&readers[i]);
    }
    assert_true(atomic_load(&w.looks) > 0);
    check_labels(&l, &checks);
    tsdb_close(w.db);
    pl_arena_fini(&a); /* after the store: what it holds of the head counts for itself */
    pl_arena_fini(&checks);
    kit_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_head_is_small), /* first: the allocator has kept nothing yet */
        cmocka_unit_test(memory_comes_back),
        cmocka_unit_test(readers_keep_what_they_hold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
