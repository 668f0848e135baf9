/* What once lost samples, or could have: each test lets the bad moment come (head.h, head_moment) or makes the damage.
 */
#include "tsdb_kit.h"

#include "tsdb/tsdb_internal.h"
#include "tsdb/verify.h"

enum { R = KIT_RANGE_MS };
#define BASE (KIT_T0 - KIT_T0 % R)

static char *dir;
static struct tsdb *db;
static struct pl_err err;

static int setup(void **state)
{
    (void)state;
    dir = kit_dir();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tsdb_close(db);
    db = NULL;
    kit_remove(dir);
    return 0;
}

static void reopen(void)
{
    tsdb_close(db);
    db = NULL;
    db = kit_open(dir);
}

/* ---- samples of series by one label ---- */

static void push(const char *name, int64_t t)
{
    struct pl_arena a;
    struct label l = {LABEL_METRIC_NAME, pl_str_c(name)};
    struct tsdb_append_series s = {.labels = {.v = &l, .n = 1}, .sample_count = 1};
    struct tsdb_append_result r;
    double v = (double)t;

    pl_arena_init(&a, 0);
    tsdb_append_begin(db);
    if (tsdb_append(db, &(struct tsdb_append_batch){.series = &s, .series_count = 1, .t = &t, .v = &v}, &a, &r, &err) !=
        PL_OK) {
        fail_msg("push: %s", err.msg);
    }
    tsdb_append_end(db);
    assert_int_equal(r.appended, 1);
    pl_arena_fini(&a);
}

static void push_run(const char *name, int64_t first, int64_t step, int count)
{
    for (int i = 0; i < count; i++) {
        push(name, first + i * step);
    }
}

/* Has the series exactly the samples first, first + step ... (count)? Returns how many it has. */
static size_t holds(const char *name, int64_t first, int64_t step, size_t count)
{
    struct pl_arena a;
    struct series_list l;
    struct matcher m;
    struct samples s = {.n = 0};
    size_t cap = 0, n;

    pl_arena_init(&a, 0);
    m = kit_matcher(&a, MATCH_EQ, "__name__", name);
    kit_select(db, &a, &m, 1, INT64_MIN, INT64_MAX, &l);
    if (l.n == 1 && series_decode(&l.v[0], INT64_MIN, INT64_MAX, &a, &s, &cap, &err) != PL_OK) {
        fail_msg("decode %s: %s", name, err.msg);
    }
    n = s.n;
    for (size_t i = 0; i < s.n && n == count; i++) {
        assert_true(s.t[i] == first + (int64_t)i * step && s.v[i] == (double)s.t[i]);
    }
    pl_arena_fini(&a);
    return n;
}

static uint32_t compact(bool force)
{
    uint32_t written = 0;

    if (tsdb_compact(db, force, KIT_T0, &written, &err) != PL_OK) {
        fail_msg("compact: %s", err.msg);
    }
    return written;
}

/* ---- hooks ---- */

struct at_moment {
    enum head_moment moment;
    void (*fn)(void);
    int times; /* how often still */
};

static void hook_fn(void *arg, enum head_moment at)
{
    struct at_moment *m = arg;

    if (at == m->moment && m->times > 0) {
        m->times--;
        m->fn();
    }
}

static void hook(struct at_moment *m)
{
    db->head->hook = (struct head_hook){hook_fn, m};
}

/* ---- a log written by others ---- */

struct record {
    uint8_t b[512];
    size_t n;
};

static void add_series(struct wal *w, struct wal_ticket *ticket, uint64_t ref, const char *name)
{
    struct record r = {.b = {WAL_REC_SERIES}};
    uint8_t *p = r.b + 1;
    size_t n = strlen(name);

    pl_put_be64(p, ref);
    p[8] = 1;
    p[9] = 8;
    memcpy(p + 10, "__name__", 8);
    p[18] = (uint8_t)n;
    memcpy(p + 19, name, n);
    wal_add(w, ticket, r.b, (size_t)(p + 19 + n - r.b));
}

static void add_sample(struct wal *w, struct wal_ticket *ticket, uint64_t ref, int64_t t)
{
    uint8_t b[64] = {WAL_REC_SAMPLES};

    pl_put_be64(b + 1, ref);
    pl_put_be64(b + 9, (uint64_t)t);
    b[17] = 0;
    b[18] = 0;
    pl_put_be64(b + 19, pl_f64_bits((double)t));
    wal_add(w, ticket, b, 27);
}

static struct wal *foreign_wal(void)
{
    char path[128];
    struct wal *w;

    (void)snprintf(path, sizeof(path), "%s/wal", dir);
    assert_int_equal(mkdir(path, 0777), 0);
    assert_int_equal(wal_create(&w, pl_str_c(path), 0, 1 << 20, false, &err), PL_OK);
    return w;
}

#define LATE (BASE + R + R * 3 / 5) /* so far behind BASE that the head is cut */

static void push_sixth(void)
{
    push("x", LATE + 6);
}

static void log_order(uint64_t x, uint64_t taken_by_y)
{
    struct wal *w = foreign_wal();
    struct wal_ticket ticket = {.used = false};
    struct at_moment m = {HEAD_AT_ROLLED, push_sixth, 1};

    add_series(w, &ticket, 7, "old");
    add_sample(w, &ticket, 7, BASE);
    add_series(w, &ticket, x, "x");
    for (int i = 1; i <= 5; i++) {
        add_sample(w, &ticket, x, LATE + i);
    }
    if (taken_by_y != 0) {
        add_series(w, &ticket, taken_by_y, "y");
        add_sample(w, &ticket, taken_by_y, LATE);
    }
    assert_int_equal(wal_commit(w, &ticket, &err), PL_OK);
    wal_close(w);
    db = kit_open(dir);
    assert_int_equal(holds("x", LATE + 1, 1, 5), 5);
    hook(&m);
    assert_int_equal(compact(false), 1);
    assert_int_equal(m.times, 0);
    assert_int_equal(holds("x", LATE + 1, 1, 6), 6);
    reopen();
    assert_int_equal(holds("x", LATE + 1, 1, 6), 6);
    assert_int_equal(holds("old", BASE, 1, 1), 1);
}

/* A reference that cannot be a slot number. */
static void foreign_reference_is_logged_in_order(void **state)
{
    (void)state;
    log_order(UINT64_C(5000000000), 0);
}

/* y takes x's reference, so x gets another one and is logged anew with its next push. */
static void renamed_series_is_logged_in_order(void **state)
{
    (void)state;
    log_order(9, 9);
}

/* ---- the head's bounds ---- */

static void push_older(void)
{
    push("late", BASE + R + R / 5);
}

static void push_during_rescan_counts(void **state)
{
    struct at_moment m = {HEAD_AT_RESCAN, push_older, 1};
    struct tsdb_stats st;

    (void)state;
    db = kit_open(dir);
    push("a", BASE);
    push("a", LATE);
    hook(&m);
    assert_int_equal(compact(false), 1);
    assert_int_equal(m.times, 0);
    tsdb_stats_get(db, &st);
    assert_true(st.mint_ms == BASE + R + R / 5);
    push("a", BASE + 3 * R + R / 2);
    assert_int_equal(compact(false), 1);
    assert_int_equal(holds("late", BASE + R + R / 5, 1, 1), 1);
}

static void push_before_range(void)
{
    push("late", BASE - R / 5);
    push("late", BASE + R / 50);
}

static void push_before_barrier_counts(void **state)
{
    struct at_moment m = {HEAD_AT_CUT_CHOSEN, push_before_range, 1};

    (void)state;
    db = kit_open(dir);
    push("a", BASE + R / 10);
    push("a", BASE + R / 5);
    hook(&m);
    assert_int_equal(compact(true), 2);
    assert_int_equal(m.times, 0);
    assert_int_equal(holds("late", BASE - R / 5, R / 5 + R / 50, 2), 2);
    assert_int_equal(holds("a", BASE + R / 10, R / 10, 2), 2);
    reopen();
    assert_int_equal(holds("late", BASE - R / 5, R / 5 + R / 50, 2), 2);
}

/* ---- blocks that do not open ---- */

/* Moves the index of the (only) block away or back. */
static void index_move(bool away)
{
    char cmd[512];

    (void)snprintf(cmd, sizeof(cmd),
                   away ? "for b in %s/0*; do mv $b/index $b/index.away; done"
                        : "for b in %s/0*; do mv $b/index.away $b/index; done",
                   dir);
    assert_int_equal(system(cmd), 0);
}

static void index_away(void)
{
    index_move(true);
}

static void head_stays_when_the_block_does_not_open(void **state)
{
    struct at_moment m = {HEAD_AT_BLOCK_WRITTEN, index_away, 1};
    uint32_t written;

    (void)state;
    db = kit_open(dir);
    push("a", BASE);
    push("a", LATE);
    hook(&m);
    assert_int_equal(tsdb_compact(db, false, KIT_T0, &written, &err), PL_IO);
    assert_int_equal(written, 0);
    assert_non_null(strstr(err.msg, "was written but does not open; the head keeps its samples"));
    assert_int_equal(holds("a", BASE, LATE - BASE, 2), 2);
    assert_int_equal(compact(false), 1);
    assert_int_equal(holds("a", BASE, LATE - BASE, 2), 2);
    reopen();
    assert_int_equal(holds("a", BASE, LATE - BASE, 2), 2);
}

static void broken_block_is_tried_again(void **state)
{
    struct tsdb_stats st;

    (void)state;
    db = kit_open(dir);
    push("a", BASE);
    assert_int_equal(compact(true), 1);
    tsdb_close(db);
    index_move(true);
    db = kit_open(dir);
    (void)compact(false);
    (void)compact(false);
    tsdb_stats_get(db, &st);
    assert_int_equal(st.block_count, 0);
    assert_int_equal(st.block_open_failures_total, 1);
    index_move(false);
    (void)compact(false);
    tsdb_stats_get(db, &st);
    assert_int_equal(st.block_count, 1);
    assert_int_equal(holds("a", BASE, 1, 1), 1);
}

static void query_names_the_damaged_block(void **state)
{
    struct series_source *s;
    struct series_select q = {.mint_ms = INT64_MIN, .maxt_ms = INT64_MAX};
    struct series_list l;
    struct pl_arena a;
    char cmd[512];

    (void)state;
    db = kit_open(dir);
    push_run("a", BASE, 1000, 100);
    assert_int_equal(compact(true), 1);
    (void)snprintf(cmd, sizeof(cmd),
                   "printf X | dd of=$(echo %s/0*/chunks/000001) bs=1 seek=60 conv=notrunc status=none", dir);
    assert_int_equal(system(cmd), 0);
    pl_arena_init(&a, 0);
    s = tsdb_source(db);
    assert_int_equal(s->ops->select(s, &a, &q, &l, &err), PL_CORRUPT);
    if (strncmp(err.msg, "block 0", 7) != 0 || strstr(err.msg, ": chunk at 000001:8: checksum mismatch") == NULL) {
        fail_msg("%s", err.msg);
    }
    pl_arena_fini(&a);
}

/* ---- a query while the head is cut ---- */

static void cut_now(void)
{
    (void)compact(true);
}

static void query_during_a_cut_has_no_hole(void **state)
{
    struct at_moment m = {HEAD_AT_QUERY_HALF, cut_now, 1};

    (void)state;
    db = kit_open(dir);
    push_run("a", BASE, 1000, 300);
    hook(&m);
    assert_int_equal(holds("a", BASE, 1000, 300), 300);
    assert_int_equal(m.times, 0);
    assert_int_equal(holds("a", BASE, 1000, 300), 300);
}

/* ---- damage in WAL and head chunks ---- */

static void failed_repair_fails_the_open(void **state)
{
    struct tsdb_options o = kit_options();
    char path[256];
    int fd;

    (void)state;
    db = kit_open(dir);
    push("a", BASE);
    tsdb_close(db);
    db = NULL;
    (void)snprintf(path, sizeof(path), "%s/wal/00000000", dir);
    fd = open(path, O_WRONLY | O_APPEND);
    assert_true(fd >= 0 && write(fd, "\xff garbage", 9) == 9);
    (void)close(fd);
    (void)snprintf(path, sizeof(path), "%s/wal/00000001", dir); /* a later segment that cannot be deleted */
    assert_int_equal(mkdir(path, 0777), 0);
    assert_int_equal(tsdb_open(&db, pl_str_c(dir), &o, NULL, &err), PL_IO);
    if (strstr(err.msg, "the WAL is damaged in") == NULL || strstr(err.msg, "and cannot be repaired: delete") == NULL) {
        fail_msg("%s", err.msg);
    }
    db = NULL;
    assert_int_equal(rmdir(path), 0);
    db = kit_open(dir);
    assert_int_equal(holds("a", BASE, 1, 1), 1);
}

/* Overwrites a byte of the second chunk in a head chunk file (of a series with short chunks). */
static void damage_head_chunks(const char *file)
{
    char path[256];
    uint8_t b[4096];
    struct chunk_view c;
    uint64_t ref;
    size_t size = 0;
    int fd;

    (void)snprintf(path, sizeof(path), "%s/chunks_head/%s", dir, file);
    fd = open(path, O_RDWR);
    assert_true(fd >= 0 && pread(fd, b, sizeof(b), 0) > 1000);
    assert_int_equal(head_chunk_parse(b + 8, sizeof(b) - 8, &ref, &c, &size, &err), PL_OK);
    assert_int_equal(pwrite(fd, "\xaa\x55", 2, (off_t)(8 + size + 60)), 2);
    (void)close(fd);
}

static void log_fills_a_hole_in_head_chunks(void **state)
{
    struct tsdb_stats st;

    (void)state;
    db = kit_open(dir);
    push_run("a", BASE, 1000, 1000);
    reopen();
    push_run("a", BASE + 1000000, 1000, 1000);
    reopen();
    push_run("a", BASE + 2000000, 1000, 100);
    tsdb_close(db);
    damage_head_chunks("000001");
    for (int i = 0; i < 3; i++) {
        db = kit_open(dir);
        assert_int_equal(holds("a", BASE, 1000, 2100), 2100);
        tsdb_stats_get(db, &st);
        assert_int_equal(st.head_chunk_corruptions_total, 1);
        tsdb_close(db);
    }
    db = kit_open(dir);
    push("a", BASE + 2100000);
    assert_int_equal(compact(true), 1);
    assert_int_equal(holds("a", BASE, 1000, 2101), 2101);
}

/* What only the files hold stays, but for the damage. */
static void later_head_chunks_survive_a_hole(void **state)
{
    size_t n;

    (void)state;
    db = kit_open(dir);
    push("old", BASE - R);
    push_run("a", BASE, 1000, 3000);
    reopen();
    push_run("a", BASE + 3000000, 1000, 2000);
    assert_int_equal(compact(false), 1); /* the log forgets closed chunks */
    tsdb_close(db);
    damage_head_chunks("000001");
    db = kit_open(dir);
    n = holds("a", BASE, 1000, 0);
    assert_in_range(n, 2000, 4990);
}

static void bad_head_chunk_does_not_stop_cutting(void **state)
{
    struct tsdb_stats st;
    size_t n;

    (void)state;
    db = kit_open(dir);
    push_run("a", BASE, 1000, 1000);
    push_run("b", BASE, 1000, 1000);
    reopen(); /* the chunks are in the file now */
    damage_head_chunks("000001");
    assert_int_equal(compact(true), 1);
    tsdb_stats_get(db, &st);
    assert_int_equal(st.head_chunk_corruptions_total, 1);
    assert_int_equal(st.series, 0);
    n = holds("a", BASE, 1000, 0) + holds("b", BASE, 1000, 0);
    assert_in_range(n, 2000 - 240, 2000 - 30);
}

/* ---- size of records ---- */

struct record_sizes {
    size_t max, records;
};

static pl_status record_size(void *arg, const uint8_t *p, size_t n, struct pl_err *e)
{
    struct record_sizes *r = arg;

    (void)p;
    (void)e;
    r->max = PL_MAX(r->max, n);
    r->records++;
    return PL_OK;
}

static void large_push_is_split_in_the_log(void **state)
{
    enum { MANY = 400000 };
    struct label l = {LABEL_METRIC_NAME, PL_STR("a")};
    struct tsdb_append_series s = {.labels = {.v = &l, .n = 1}, .sample_count = MANY};
    int64_t *t = pl_new_array(int64_t, MANY);
    double *v = pl_new_array(double, MANY);
    struct tsdb_append_result r;
    struct record_sizes sizes = {.max = 0};
    struct wal_scan scan = {.record = record_size, .arg = &sizes};
    struct pl_arena a;
    char path[256];
    struct pl_buf file = {.p = NULL};
    ssize_t n;
    int fd;

    (void)state;
    db = kit_open(dir);
    pl_arena_init(&a, 0);
    for (int i = 0; i < MANY; i++) {
        t[i] = BASE + i;
        v[i] = (double)t[i];
    }
    tsdb_append_begin(db);
    assert_int_equal(
        tsdb_append(db, &(struct tsdb_append_batch){.series = &s, .series_count = 1, .t = t, .v = v}, &a, &r, &err),
        PL_OK);
    tsdb_append_end(db);
    assert_int_equal(r.appended, MANY);
    (void)snprintf(path, sizeof(path), "%s/wal/00000000", dir);
    fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    while ((n = read(fd, pl_buf_reserve(&file, 1 << 20), 1 << 20)) > 0) {
        file.n += (size_t)n;
    }
    (void)close(fd);
    assert_int_equal(wal_scan(&scan, (const uint8_t *)file.p, file.n, &err), WAL_SCAN_CLEAN);
    assert_true(sizes.records > 4);
    assert_in_range(sizes.max, 1, 2 * WAL_RECORD_BYTES_WANTED);
    reopen();
    assert_int_equal(holds("a", BASE, 1, MANY), MANY);
    pl_buf_fini(&file);
    pl_arena_fini(&a);
    pl_free(t);
    pl_free(v);
}

/* ---- texts ---- */

static void empty_head_states_a_real_time(void **state)
{
    struct label l = {LABEL_METRIC_NAME, PL_STR("a")};
    struct tsdb_append_series s = {.labels = {.v = &l, .n = 1}, .sample_count = 1};
    struct tsdb_append_result r;
    int64_t t = BASE - 1;
    double v = 1;
    struct pl_arena a;

    (void)state;
    db = kit_open(dir);
    push("a", BASE + 5);
    assert_int_equal(compact(true), 1);
    reopen();
    pl_arena_init(&a, 0);
    tsdb_append_begin(db);
    assert_int_equal(
        tsdb_append(db, &(struct tsdb_append_batch){.series = &s, .series_count = 1, .t = &t, .v = &v}, &a, &r, &err),
        PL_OK);
    tsdb_append_end(db);
    assert_int_equal(r.first, TSDB_SOFT_OUT_OF_BOUNDS);
    assert_true(r.head_maxt_ms == BASE + 6);
    pl_arena_fini(&a);
}

static void verify_says_what_to_name(void **state)
{
    struct verify_report r = {.problems = 0};
    char path[256], want[600];

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/fake", dir);
    db = kit_open(path);
    push("a", BASE);
    tsdb_close(db);
    db = NULL;
    assert_int_equal(tsdb_verify(pl_str_c(dir), &r, &err), PL_INVALID);
    (void)snprintf(want, sizeof(want), "%s holds neither blocks nor a WAL; name a tenant's folder: %s/fake", dir, dir);
    assert_string_equal(err.msg, want);
    (void)snprintf(path, sizeof(path), "%s/fake/lock", dir);
    assert_int_equal(tsdb_verify(pl_str_c(path), &r, &err), PL_NOT_FOUND);
    (void)snprintf(want, sizeof(want), "%s is a file, not a data folder", path);
    assert_string_equal(err.msg, want);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(foreign_reference_is_logged_in_order),
        T(renamed_series_is_logged_in_order),
        T(push_during_rescan_counts),
        T(push_before_barrier_counts),
        T(head_stays_when_the_block_does_not_open),
        T(broken_block_is_tried_again),
        T(query_names_the_damaged_block),
        T(query_during_a_cut_has_no_hole),
        T(failed_repair_fails_the_open),
        T(log_fills_a_hole_in_head_chunks),
        T(later_head_chunks_survive_a_hole),
        T(bad_head_chunk_does_not_stop_cutting),
        T(large_push_is_split_in_the_log),
        T(empty_head_states_a_real_time),
        T(verify_says_what_to_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
