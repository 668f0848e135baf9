/* Native histograms through the store: appended, queried, replayed, flushed, cut; beside and among floats. */
#include "tsdb_kit.h"

#include "hist_kit.h"
#include "tsdb/verify.h"
#include "tsdb/wal_hist.h"

enum { R = KIT_RANGE_MS, KINDS = 6, STEP = 15000 };
#define BASE  (KIT_T0 - KIT_T0 % R)
#define STALE pl_f64_from_bits(PL_STALE_NAN_BITS)

static char *dir;
static struct tsdb *db;
static struct pl_err err;
static struct pl_arena arena;

static int setup(void **state)
{
    (void)state;
    dir = kit_dir();
    pl_arena_init(&arena, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tsdb_close(db);
    db = NULL;
    pl_arena_fini(&arena);
    kit_remove(dir);
    return 0;
}

static void reopen(void)
{
    tsdb_close(db);
    db = NULL;
    db = kit_open(dir);
}

/* One sample: a histogram, or the float v. */
static enum tsdb_soft_kind push(const char *name, int64_t t, const struct hist *h, bool whole, double v,
                                struct tsdb_append_result *r)
{
    struct label l = {LABEL_METRIC_NAME, pl_str_c(name)};
    struct tsdb_append_series s = {.labels = {.v = &l, .n = 1}, .sample_count = h == NULL, .hist_count = h != NULL};
    struct tsdb_append_batch b = {
        .series = &s, .series_count = 1, .t = &t, .v = &v, .hist_t = &t, .hist = &h, .hist_whole = &whole};
    struct tsdb_append_result local;

    r = r != NULL ? r : &local;
    tsdb_append_begin(db);
    if (tsdb_append(db, &b, &arena, r, &err) != PL_OK) {
        fail_msg("push: %s", err.msg);
    }
    tsdb_append_end(db);
    assert_int_equal(r->appended + (r->first != TSDB_SOFT_NONE), 1);
    return r->first;
}

static void push_ok(const char *name, int64_t t, const struct hist *h, bool whole, double v)
{
    assert_int_equal(push(name, t, h, whole, v, NULL), TSDB_SOFT_NONE);
}

/* ---- series of many kinds, made from their number ---- */

/* Sample i of a kind: whole counters with a reset now and then; floats; gauges up and down; custom buckets; layouts
 * that change; floats, histograms and stale markers in turn. NULL: the float *v. */
static const struct hist *sample(int kind, int i, bool *whole, double *v)
{
    struct hist *h;

    *whole = kind != 1 && kind != 2;
    *v = i;
    switch (kind) {
    case 0:
        return hist_kit_make(&arena, i % 70 + 1, false);
    case 1:
        return hist_kit_make(&arena, i + 0.25, false);
    case 2:
        h = hist_kit_make(&arena, i % 7 + 0.5, false);
        h->hint = HIST_HINT_GAUGE;
        return h;
    case 3:
        return hist_kit_make(&arena, i + 1, true);
    case 4:
        h = hist_kit_make(&arena, i + 1, false);
        if (i / 20 % 2 == 1) { /* another layout */
            h->schema = 0;
            h->neg.len = 0;
            h->count -= h->pos.n[3]; /* its one negative bucket */
        }
        return h;
    default:
        if (i % 40 < 15) {
            return NULL;
        }
        if (i % 40 == 39) {
            h = pl_arena_zero(&arena, sizeof(*h));
            h->sum = STALE;
            return h;
        }
        return hist_kit_make(&arena, i + 1, false);
    }
}

static const char *const names[KINDS] = {"k0", "k1", "k2", "k3", "k4", "k5"};

static void push_all(int first, int count)
{
    for (int i = first; i < first + count; i++) {
        for (int k = 0; k < KINDS; k++) {
            bool whole;
            double v;
            const struct hist *h = sample(k, i, &whole, &v);
            push_ok(names[k], BASE + (int64_t)i * STEP, h, whole, v);
        }
        pl_arena_reset(&arena);
    }
}

static void check_kind(int k, int count)
{
    struct series_list l;
    struct matcher m = kit_matcher(&arena, MATCH_EQ, "__name__", names[k]);
    struct samples s = {.n = 0};
    size_t cap = 0;

    kit_select(db, &arena, &m, 1, INT64_MIN, INT64_MAX, &l);
    assert_int_equal(l.n, 1);
    if (series_decode(&l.v[0], INT64_MIN, INT64_MAX, &arena, &s, &cap, &err) != PL_OK) {
        fail_msg("decode %s: %s", names[k], err.msg);
    }
    if (s.n != (size_t)count) {
        fail_msg("%s: %zu samples instead of %d", names[k], s.n, count);
    }
    for (int i = 0; i < count; i++) {
        bool whole;
        double v;
        const struct hist *want = sample(k, i, &whole, &v), *got = s.h != NULL ? s.h[i] : NULL;
        assert_true(s.t[i] == BASE + (int64_t)i * STEP);
        if (want == NULL || pl_is_stale(want->sum)) {
            assert_null(got);
            assert_true(want == NULL ? s.v[i] == v : pl_is_stale(s.v[i]));
            continue;
        }
        if (got == NULL || !hist_equal(got, want)) {
            fail_msg("%s: sample %d differs", names[k], i);
        }
        assert_int_equal(got->hint == HIST_HINT_GAUGE, k == 2);
    }
    for (uint32_t c = 0; c < l.v[0].chunk_count; c++) {
        uint8_t e = l.v[0].chunks[c].encoding;
        assert_true(k == 5 || e == (k == 1 || k == 2 ? CHUNK_ENC_FLOAT_HISTOGRAM : CHUNK_ENC_HISTOGRAM));
    }
}

static void check_all(int count)
{
    for (int k = 0; k < KINDS; k++) {
        check_kind(k, count);
        pl_arena_reset(&arena);
    }
}

static void verify_clean(void)
{
    struct verify_report r = {.problems = 0};

    assert_int_equal(tsdb_verify(pl_str_c(dir), &r, &err), PL_OK);
    assert_int_equal(r.problems, 0);
}

static void all_kinds_survive(void **state)
{
    uint32_t written;

    (void)state;
    db = kit_open(dir);
    push_all(0, 300);
    check_all(300);
    reopen();
    check_all(300);
    push_all(300, 600); /* some 3.75 h */
    check_all(900);
    verify_clean();
    assert_int_equal(tsdb_compact(db, false, KIT_T0, &written, &err), PL_OK);
    assert_int_equal(written, 1);
    check_all(900);
    reopen(); /* what was logged again */
    check_all(900);
    push_all(900, 50);
    reopen();
    check_all(950);
    verify_clean();
    assert_int_equal(tsdb_compact(db, true, KIT_T0, &written, &err), PL_OK);
    check_all(950);
    verify_clean();
    reopen();
    check_all(950);
}

static void killed(void **state)
{
    pid_t pid = fork();
    int status;

    (void)state;
    assert_true(pid >= 0);
    if (pid == 0) {
        db = kit_open(dir);
        push_all(0, 333);
        (void)raise(SIGKILL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    db = kit_open(dir);
    check_all(333);
}

static void refusals(void **state)
{
    struct tsdb_append_result r;
    struct hist *h = hist_kit_make(&arena, 3, false), *other = hist_kit_make(&arena, 4, false);

    (void)state;
    db = kit_open(dir);
    push_ok("h", BASE, h, true, 0);
    push_ok("h", BASE, h, true, 0); /* the same again */
    assert_int_equal(push("h", BASE, other, true, 0, &r), TSDB_SOFT_DUPLICATE);
    assert_true(r.first_is_hist && r.first_existing_is_hist);
    assert_int_equal(push("h", BASE, h, false, 0, &r), TSDB_SOFT_DUPLICATE);
    assert_int_equal(push("h", BASE, NULL, false, 7, &r), TSDB_SOFT_DUPLICATE);
    assert_true(!r.first_is_hist && r.first_existing_is_hist && r.first_v == 7);
    assert_int_equal(push("h", BASE - 1, h, true, 0, &r), TSDB_SOFT_OUT_OF_ORDER);
    push_ok("f", BASE, NULL, false, 1);
    assert_int_equal(push("f", BASE, h, true, 0, &r), TSDB_SOFT_DUPLICATE);
    assert_true(r.first_is_hist && !r.first_existing_is_hist && r.first_existing_v == 1);
    assert_int_equal(push("g", BASE - R, h, true, 0, &r), TSDB_SOFT_OUT_OF_BOUNDS);
    reopen();
    assert_int_equal(push("h", BASE, other, true, 0, &r), TSDB_SOFT_DUPLICATE);
    push_ok("h", BASE, h, true, 0);
}

/* A float that is a stale marker ends a series of histograms as one. */
static void stale_float_becomes_histogram(void **state)
{
    struct hist *h = hist_kit_make(&arena, 3, false);

    (void)state;
    db = kit_open(dir);
    push_ok("h", BASE, h, true, 0);
    push_ok("h", BASE + 1, NULL, false, STALE);
    push_ok("h", BASE + 2, NULL, false, 5);
    for (int round = 0; round < 2; round++) {
        struct matcher m = kit_matcher(&arena, MATCH_EQ, "__name__", "h");
        struct series_list l;
        struct samples s = {.n = 0};
        size_t cap = 0;
        kit_select(db, &arena, &m, 1, INT64_MIN, INT64_MAX, &l);
        assert_int_equal(l.v[0].chunk_count, 2);
        assert_int_equal(l.v[0].chunks[0].encoding, CHUNK_ENC_HISTOGRAM);
        assert_int_equal(series_decode(&l.v[0], INT64_MIN, INT64_MAX, &arena, &s, &cap, &err), PL_OK);
        assert_int_equal(s.n, 3);
        assert_true(s.h[0] != NULL && s.h[1] == NULL && pl_is_stale(s.v[1]) && s.h[2] == NULL && s.v[2] == 5);
        reopen();
    }
}

/* Headers say whether a counter was reset between chunks. */
static void resets_are_in_the_headers(void **state)
{
    static const double k[] = {5, 6, 2, 3};
    struct matcher m;
    struct series_list l;
    const struct chunk_view *c;

    (void)state;
    db = kit_open(dir);
    for (int i = 0; i < 4; i++) {
        push_ok("h", BASE + i, hist_kit_make(&arena, k[i], false), true, 0);
    }
    push_ok("h", BASE + 4, hist_kit_make(&arena, 9, true), true, 0);
    m = kit_matcher(&arena, MATCH_EQ, "__name__", "h");
    kit_select(db, &arena, &m, 1, INT64_MIN, INT64_MAX, &l);
    assert_int_equal(l.v[0].chunk_count, 3);
    c = l.v[0].chunks;
    assert_int_equal(hist_chunk_hint(c[0].data, c[0].size), HIST_HINT_UNKNOWN);
    assert_int_equal(hist_chunk_hint(c[1].data, c[1].size), HIST_HINT_RESET);
    assert_int_equal(hist_chunk_count(c[1].data, c[1].size), 2);
}

/* ---- records ---- */

static void records_round_trip(void **state)
{
    struct pl_buf b[WAL_HIST_KINDS] = {{.p = NULL}};

    (void)state;
    for (int kind = 0; kind < WAL_HIST_KINDS; kind++) {
        bool whole = kind % 2 == 0, more = true, custom = kind >= 2;
        struct wal_hists it;
        struct wal_hist x;
        for (int i = 0; i < 5; i++) {
            struct hist *h = hist_kit_make(&arena, i + (whole ? 1 : 0.5), custom);
            h->hint = (uint8_t)(i % 4);
            wal_hist_encode(&b[kind], 1000 + (uint64_t)i, BASE + i, h, whole);
        }
        assert_int_equal((uint8_t)b[kind].p[0], 7 + kind);
        assert_int_equal(wal_hists_begin(&it, (const uint8_t *)b[kind].p, b[kind].n, &err), PL_OK);
        for (int i = 0; i < 6; i++) {
            assert_int_equal(wal_hists_next(&it, &arena, &x, &more, &err), PL_OK);
            assert_int_equal(more, i < 5);
            if (more) {
                assert_true(x.ref == 1000 + (uint64_t)i && x.t == BASE + i && x.whole == whole && x.h != NULL);
                assert_true(hist_equal(x.h, hist_kit_make(&arena, i + (whole ? 1 : 0.5), custom)));
                assert_int_equal(x.h->hint, i % 4);
            }
        }
        /* Every cut is noticed, and none is read past. */
        for (size_t n = 2; n < b[kind].n; n++) {
            uint8_t *cut = malloc(n);
            pl_status st;
            memcpy(cut, b[kind].p, n);
            st = wal_hists_begin(&it, cut, n, &err);
            for (more = true; st == PL_OK && more;) {
                st = wal_hists_next(&it, &arena, &x, &more, &err);
            }
            free(cut);
        }
        pl_buf_fini(&b[kind]);
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(all_kinds_survive),  T(killed), T(refusals), T(stale_float_becomes_histogram), T(resets_are_in_the_headers),
        T(records_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
