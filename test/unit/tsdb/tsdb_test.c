#include "tsdb_kit.h"

#include <sys/mount.h>
#include <sys/statvfs.h>

#include "base/sync.h"

/* ---- rules of appending ---- */

struct one {
    int64_t t;
    double v;
};

/* Pushes samples of one series by labels; returns the soft kind of the first refusal. */
static enum tsdb_soft_kind push_one(struct tsdb *db, const char *name, int64_t t, double v,
                                    struct tsdb_append_result *r, uint64_t series_max, uint64_t metric_max)
{
    struct pl_arena a;
    struct label l[2] = {{LABEL_METRIC_NAME, PL_STR("m")}, {PL_STR("name"), pl_str_c(name)}};
    struct tsdb_append_series s = {.labels = {.v = l, .n = 2}, .sample_count = 1};
    struct pl_err err = {.msg = ""};

    pl_arena_init(&a, 0);
    tsdb_append_begin(db);
    if (tsdb_append(db,
                    &(struct tsdb_append_batch){.series = &s,
                                                .series_count = 1,
                                                .t = &t,
                                                .v = &v,
                                                .series_max = series_max,
                                                .series_per_metric_max = metric_max},
                    &a, r, &err) != PL_OK) {
        fail_msg("%s", err.msg);
    }
    tsdb_append_end(db);
    pl_arena_fini(&a);
    assert_int_equal(r->appended + (r->first != TSDB_SOFT_NONE), 1);
    return r->first;
}

static void soft_errors(void **state)
{
    static const struct {
        const char *name;
        int64_t t;
        double v;
        enum tsdb_soft_kind want;
    } cases[] = {
        {"a", KIT_T0, 1, TSDB_SOFT_NONE},
        {"a", KIT_T0, 1, TSDB_SOFT_NONE}, /* the same again */
        {"a", KIT_T0, 2, TSDB_SOFT_DUPLICATE},
        {"a", KIT_T0 - 1, 1, TSDB_SOFT_OUT_OF_ORDER},
        {"b", KIT_T0 - KIT_RANGE_MS / 2, 1, TSDB_SOFT_NONE},
        {"c", KIT_T0 - KIT_RANGE_MS / 2 - 1, 1, TSDB_SOFT_OUT_OF_BOUNDS},
        {"a", KIT_T0 + 1, 3, TSDB_SOFT_NONE},
        {"far", INT64_MAX, 1, TSDB_SOFT_NONE},
        {"a", KIT_T0 + 2, 1, TSDB_SOFT_OUT_OF_BOUNDS},
        {"a", INT64_MIN, 1, TSDB_SOFT_OUT_OF_BOUNDS},
    };
    char *dir = kit_dir();
    struct tsdb *db = kit_open(dir);
    struct tsdb_append_result r;

    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        if (push_one(db, cases[i].name, cases[i].t, cases[i].v, &r, 0, 0) != cases[i].want) {
            fail_msg("case %zu: kind %d", i, r.first);
        }
        if (r.first == TSDB_SOFT_DUPLICATE) {
            assert_true(r.first_existing_v == 1 && r.first_v == 2 && r.first_t == KIT_T0);
        }
    }
    tsdb_close(db);
    db = kit_open(dir);
    assert_int_equal(push_one(db, "far", INT64_MAX, 1, &r, 0, 0), TSDB_SOFT_NONE);
    tsdb_close(db);
    kit_remove(dir);
}

static void limits(void **state)
{
    char *dir = kit_dir();
    struct tsdb *db = kit_open(dir);
    struct tsdb_append_result r;

    (void)state;
    assert_int_equal(push_one(db, "a", KIT_T0, 1, &r, 2, 0), TSDB_SOFT_NONE);
    assert_int_equal(push_one(db, "b", KIT_T0, 1, &r, 2, 0), TSDB_SOFT_NONE);
    assert_int_equal(push_one(db, "c", KIT_T0, 1, &r, 2, 0), TSDB_SOFT_SERIES_LIMIT);
    assert_int_equal(push_one(db, "a", KIT_T0 + 1, 1, &r, 2, 0), TSDB_SOFT_NONE);
    assert_int_equal(push_one(db, "c", KIT_T0, 1, &r, 0, 2), TSDB_SOFT_METRIC_LIMIT);
    assert_int_equal(push_one(db, "c", KIT_T0, 1, &r, 0, 3), TSDB_SOFT_NONE);
    tsdb_close(db);
    kit_remove(dir);
}

/* ---- matchers against a naive check ---- */

static void matchers_agree_with_a_scan(void **state)
{
    static const struct {
        enum matcher_type type;
        const char *name, *value;
    } pool[] = {
        {MATCH_EQ, "n", "17"},          {MATCH_EQ, "zone", "z3"},   {MATCH_EQ, "nope", ""},
        {MATCH_EQ, "zone", ""},         {MATCH_EQ, "nope", "x"},    {MATCH_NEQ, "zone", "z3"},
        {MATCH_NEQ, "zone", ""},        {MATCH_NEQ, "nope", ""},    {MATCH_RE, "zone", "z1|z2|q"},
        {MATCH_RE, "zone", "z1|"},      {MATCH_RE, "n", "1.*"},     {MATCH_RE, "n", ".*"},
        {MATCH_RE, "n", ".+"},          {MATCH_RE, "nope", ".+"},   {MATCH_RE, "instance", "host-1[0-5].*"},
        {MATCH_NRE, "zone", "z1|z2"},   {MATCH_NRE, "zone", "z1|"}, {MATCH_NRE, "n", ".*"},
        {MATCH_NRE, "n", "[0-9]{1,2}"}, {MATCH_NRE, "nope", ".+"},  {MATCH_RE, "extra", "e.*"},
        {MATCH_NEQ, "extra", "e1"},     {MATCH_EQ, "extra", "e1"},  {MATCH_EQ, "__name__", "metric_1"},
    };
    char *dir = kit_dir();
    struct tsdb *db = kit_open(dir);
    struct pl_arena a;
    struct series_list all;
    uint32_t seed = 1;

    (void)state;
    kit_push_ok(db, 0, 900, KIT_T0);
    for (uint32_t i = 0; i < 20; i++) { /* some with a label that most lack */
        struct pl_err err;
        struct tsdb_append_result r;
        struct label l[3] = {
            {LABEL_METRIC_NAME, PL_STR("metric_1")}, {PL_STR("extra"), PL_STR("e1")}, {PL_STR("n"), PL_STR("5")}};
        char text[16];
        int64_t t = KIT_T0;
        double v = 1;
        struct tsdb_append_series s = {.labels = {.v = l, .n = 3}, .sample_count = 1};
        (void)snprintf(text, sizeof(text), "e%u", i);
        l[1].value = pl_str_c(text);
        pl_arena_init(&a, 0);
        tsdb_append_begin(db);
        assert_int_equal(tsdb_append(db, &(struct tsdb_append_batch){.series = &s, .series_count = 1, .t = &t, .v = &v},
                                     &a, &r, &err),
                         PL_OK);
        tsdb_append_end(db);
        pl_arena_fini(&a);
    }
    pl_arena_init(&a, 0);
    kit_select(db, &a, NULL, 0, INT64_MIN, INT64_MAX, &all);
    assert_int_equal(all.n, 920);
    for (int round = 0; round < 1500; round++) {
        struct pl_arena b;
        struct matcher ms[4];
        struct series_list got;
        size_t n = 1 + (size_t)round % 4, at = 0;

        pl_arena_init(&b, 0);
        for (size_t i = 0; i < n; i++) {
            seed = seed * 1103515245 + 12345;
            size_t k = (seed >> 8) % PL_ARRAY_LEN(pool);
            ms[i] = kit_matcher(&b, pool[k].type, pool[k].name, pool[k].value);
        }
        kit_select(db, &b, ms, n, INT64_MIN, INT64_MAX, &got);
        for (size_t i = 0; i < all.n; i++) {
            if (matchers_accept(ms, n, all.v[i].labels)) {
                assert_true(at < got.n && labels_eq(got.v[at].labels, all.v[i].labels));
                at++;
            }
        }
        assert_int_equal(at, got.n);
        pl_arena_fini(&b);
    }
    pl_arena_fini(&a);
    tsdb_close(db);
    kit_remove(dir);
}

static void names_and_values(void **state)
{
    char *dir = kit_dir();
    struct tsdb *db = kit_open(dir);
    struct series_source *src = tsdb_source(db);
    struct pl_arena a;
    struct str_list l;
    struct pl_err err;
    struct matcher m;
    struct series_select q = {.mint_ms = KIT_T0, .maxt_ms = KIT_T0 + 10};
    struct tsdb_top *top;

    (void)state;
    kit_push_ok(db, 0, 300, KIT_T0);
    pl_arena_init(&a, 0);
    assert_int_equal(src->ops->label_names(src, &a, &q, 0, &l, &err), PL_OK);
    assert_int_equal(l.n, 5);
    assert_true(pl_str_eq(l.v[0], LABEL_METRIC_NAME) && pl_str_eq(l.v[4], PL_STR("zone")));
    assert_int_equal(src->ops->label_values(src, &a, PL_STR("zone"), &q, 0, &l, &err), PL_OK);
    assert_int_equal(l.n, 7);
    m = kit_matcher(&a, MATCH_RE, "n", "[0-2]");
    q.matchers = &m;
    q.matcher_count = 1;
    assert_int_equal(src->ops->label_values(src, &a, PL_STR("zone"), &q, 0, &l, &err), PL_OK);
    assert_int_equal(l.n, 3);
    assert_int_equal(src->ops->label_names(src, &a, &q, 2, &l, &err), PL_OK);
    assert_int_equal(l.n, 2);
    q.mint_ms = q.maxt_ms = KIT_T0 + 100000;
    assert_int_equal(src->ops->label_values(src, &a, PL_STR("zone"), &q, 0, &l, &err), PL_OK);
    assert_int_equal(l.n, 0);
    assert_int_equal(tsdb_top_metrics(db, &a, 2, &top), 2);
    assert_true(top[0].value == 100 && pl_str_eq(top[0].name, PL_STR("metric_0")));
    assert_int_equal(tsdb_top_label_values(db, &a, 1, &top), 1);
    assert_true(top[0].value == 300 && pl_str_eq(top[0].name, PL_STR("n")));
    pl_arena_fini(&a);
    tsdb_close(db);
    kit_remove(dir);
}

static void select_limits(void **state)
{
    char *dir = kit_dir();
    struct tsdb *db = kit_open(dir);
    struct series_source *src = tsdb_source(db);
    struct pl_arena a;
    struct series_list l;
    struct pl_err err;
    _Atomic bool cancel = true;
    struct series_select q = {.mint_ms = KIT_T0, .maxt_ms = KIT_T0 + 10, .series_max = 100};

    (void)state;
    kit_push_ok(db, 0, 600, KIT_T0);
    pl_arena_init(&a, 0);
    assert_int_equal(src->ops->select(src, &a, &q, &l, &err), PL_LIMIT);
    assert_string_equal(err.msg, "the query hit the max number of series limit (limit: 100 series)");
    q.series_max = 600;
    assert_int_equal(src->ops->select(src, &a, &q, &l, &err), PL_OK);
    q.chunks_max = 599;
    assert_int_equal(src->ops->select(src, &a, &q, &l, &err), PL_LIMIT);
    q.chunks_max = 0;
    q.cancel = &cancel;
    assert_int_equal(src->ops->select(src, &a, &q, &l, &err), PL_CANCELED);
    pl_arena_fini(&a);
    q.cancel = NULL;
    pl_arena_init(&a, 20000);
    assert_int_equal(src->ops->select(src, &a, &q, &l, &err), PL_LIMIT);
    pl_arena_fini(&a);
    tsdb_close(db);
    kit_remove(dir);
}

/* ---- the folder ---- */

static void second_opener_is_refused(void **state)
{
    char *dir = kit_dir(), want[128];
    struct tsdb *db = kit_open(dir), *other;
    struct tsdb_options o = kit_options();
    struct pl_err err;

    (void)state;
    kit_push_ok(db, 0, 10, KIT_T0);
    assert_int_equal(tsdb_open(&other, pl_str_c(dir), &o, NULL, &err), PL_CONFLICT);
    (void)snprintf(want, sizeof(want), "data directory %s is in use by process %d", dir, (int)getpid());
    assert_string_equal(err.msg, want);
    o.read_only = true; /* palliumctl may look */
    assert_int_equal(tsdb_open(&other, pl_str_c(dir), &o, NULL, &err), PL_OK);
    kit_check(other, 10, KIT_T0, 15000, 1);
    tsdb_close(other);
    tsdb_close(db);
    kit_remove(dir);
}

static void read_only_writes_nothing(void **state)
{
    char *dir = kit_dir(), cmd[256];
    struct tsdb *db = kit_open(dir);
    struct tsdb_options o = kit_options();

    (void)state;
    for (int k = 0; k < 300; k++) {
        kit_push_ok(db, 0, 50, KIT_T0 + k * 15000);
    }
    tsdb_close(db);
    /* chunks missing from the files are made again in memory only */
    (void)snprintf(cmd, sizeof(cmd), "rm -rf '%s/chunks_head'; cp -a '%s' '%s.copy'", dir, dir, dir);
    assert_int_equal(system(cmd), 0);
    o.read_only = true;
    db = kit_open_with(dir, o);
    kit_check(db, 50, KIT_T0, 15000, 300);
    tsdb_close(db);
    (void)snprintf(cmd, sizeof(cmd), "diff -r '%s' '%s.copy' && rm -rf '%s.copy'", dir, dir, dir);
    assert_int_equal(system(cmd), 0);
    kit_remove(dir);
}

/* Overwrites or cuts the newest segment that is not empty. */
static void damage_wal(const char *dir, bool flip)
{
    char path[256];
    struct stat sb;

    for (int i = 9; i >= 0; i--) {
        (void)snprintf(path, sizeof(path), "%s/wal/%08d", dir, i);
        if (stat(path, &sb) == 0 && sb.st_size > 1000) {
            if (!flip) {
                assert_int_equal(truncate(path, sb.st_size - 5), 0);
            } else {
                int fd = open(path, O_RDWR);
                uint8_t b;
                assert_true(pread(fd, &b, 1, sb.st_size / 2) == 1);
                b ^= 1;
                assert_true(pwrite(fd, &b, 1, sb.st_size / 2) == 1);
                (void)close(fd);
            }
            return;
        }
    }
    fail_msg("no segment");
}

static void damaged_wal_is_repaired(void **state)
{
    (void)state;
    for (int flip = 0; flip < 2; flip++) {
        char *dir = kit_dir();
        struct tsdb *db = kit_open(dir);
        struct tsdb_stats st;
        struct pl_arena a;
        struct series_list l;

        for (int k = 0; k < 100; k++) {
            kit_push_ok(db, 0, 40, KIT_T0 + k * 15000);
        }
        tsdb_close(db);
        damage_wal(dir, flip == 1);
        db = kit_open(dir);
        tsdb_stats_get(db, &st);
        assert_int_equal(st.wal_corruptions_total, 1);
        pl_arena_init(&a, 0);
        kit_select(db, &a, NULL, 0, INT64_MIN, INT64_MAX, &l);
        assert_int_equal(l.n, 40);
        pl_arena_fini(&a);
        assert_true(flip == 1 ? st.maxt_ms < KIT_T0 + 60 * 15000 : st.maxt_ms >= KIT_T0 + 98 * 15000);
        kit_push_ok(db, 0, 40, KIT_T0 + 200 * 15000);
        tsdb_close(db);
        db = kit_open(dir); /* once repaired, clean; what was pushed afterwards is there */
        tsdb_stats_get(db, &st);
        assert_int_equal(st.wal_corruptions_total, 0);
        assert_true(st.maxt_ms == KIT_T0 + 200 * 15000);
        tsdb_close(db);
        kit_remove(dir);
    }
}

static void damaged_head_chunks(void **state)
{
    char *dir = kit_dir(), path[128];
    struct tsdb *db = kit_open(dir);
    struct tsdb_stats st;
    struct stat sb;
    uint8_t b;
    int fd;

    (void)state;
    for (int k = 0; k < 300; k++) {
        kit_push_ok(db, 0, 50, KIT_T0 + k * 15000);
    }
    tsdb_close(db);
    (void)snprintf(path, sizeof(path), "%s/chunks_head/000001", dir);
    fd = open(path, O_RDWR);
    assert_true(fd >= 0 && fstat(fd, &sb) == 0);
    assert_true(pread(fd, &b, 1, sb.st_size / 2) == 1);
    b ^= 1;
    assert_true(pwrite(fd, &b, 1, sb.st_size / 2) == 1);
    (void)close(fd);
    db = kit_open(dir);
    tsdb_stats_get(db, &st);
    assert_int_equal(st.head_chunk_corruptions_total, 1);
    kit_check(db, 50, KIT_T0, 15000, 300); /* the WAL has them all */
    tsdb_close(db);
    kit_remove(dir);
}

/* ---- crash: a child appends and says what was acknowledged, and is killed ---- */

enum { CRASH_SERIES = 300 };

static void crash_child(const char *dir, int from, int out)
{
    struct tsdb_options o = kit_options();
    struct tsdb *db = NULL;
    struct pl_err err;

    o.wal_segment_bytes = 1 << 20; /* many segments */
    o.block_range_ms = 1800000;
    if (tsdb_open(&db, pl_str_c(dir), &o, NULL, &err) != PL_OK) {
        (void)fprintf(stderr, "child: %s\n", err.msg);
        _exit(3);
    }
    for (int k = from;; k++) {
        struct tsdb_append_result r;
        uint32_t written;
        if (kit_push(db, 0, CRASH_SERIES, KIT_T0 + (int64_t)k * 15000, &r, &err) != PL_OK ||
            r.appended != CRASH_SERIES) {
            (void)fprintf(stderr, "child: push %d: %s, %llu appended\n", k, err.msg, (unsigned long long)r.appended);
            _exit(4);
        }
        if (write(out, &k, sizeof(k)) != sizeof(k)) {
            _exit(5);
        }
        if (k % 50 == 49 && tsdb_compact(db, false, KIT_T0, &written, &err) != PL_OK) {
            (void)fprintf(stderr, "child: compact: %s\n", err.msg);
            _exit(6);
        }
    }
}

static void sigkill_loses_nothing(void **state)
{
    char *dir = kit_dir();
    int acked = -1;
    uint32_t seed = (uint32_t)getpid();

    (void)state;
    for (int round = 0; round < 12; round++) {
        int fds[2], k, status;
        pid_t pid;
        struct tsdb_options o = kit_options();
        struct tsdb *db;

        assert_int_equal(pipe(fds), 0);
        pid = fork();
        if (pid == 0) {
            (void)close(fds[0]);
            crash_child(dir, acked + 2, fds[1]); /* acked + 1 may or may not be in the log */
        }
        (void)close(fds[1]);
        seed = seed * 1103515245 + 12345;
        for (int n = 20 + (int)(seed >> 16) % 150; n > 0 && read(fds[0], &k, sizeof(k)) == sizeof(k); n--) {
            acked = k;
        }
        (void)kill(pid, SIGKILL);
        while (read(fds[0], &k, sizeof(k)) == sizeof(k)) {
            acked = k;
        }
        (void)close(fds[0]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        o.block_range_ms = 1800000;
        db = kit_open_with(dir, o);
        {
            struct pl_arena a;
            struct series_list l;
            struct samples s = {.n = 0};
            struct pl_err err;
            size_t cap = 0;
            pl_arena_init(&a, 0);
            kit_select(db, &a, NULL, 0, INT64_MIN, INT64_MAX, &l);
            assert_int_equal(l.n, CRASH_SERIES);
            for (size_t i = 0; i < l.n; i++) {
                uint64_t id;
                size_t at = 0;
                assert_true(pl_str_to_u64(labels_get(l.v[i].labels, PL_STR("n")), &id));
                assert_int_equal(series_decode(&l.v[i], INT64_MIN, INT64_MAX, &a, &s, &cap, &err), PL_OK);
                for (size_t j = 0; j < s.n; j++) {
                    assert_true(s.v[j] == kit_value((uint32_t)id, s.t[j]));
                }
                /* Between rounds one number is skipped; all others up to `acked` must be there. */
                for (int64_t want = 0; want <= acked; want++) {
                    int64_t t = KIT_T0 + want * 15000;
                    while (at < s.n && s.t[at] < t) {
                        at++;
                    }
                    if (at < s.n && s.t[at] == t) {
                        continue;
                    }
                    /* a gap must be a skipped number: the one before and after exist */
                    assert_true(want == 0 || at == 0 || s.t[at - 1] == t - 15000);
                    assert_true(at < s.n && s.t[at] == t + 15000);
                }
            }
            pl_arena_fini(&a);
        }
        tsdb_close(db);
    }
    kit_remove(dir);
}

/* ---- a full disk ---- */

static void full_disk(void **state)
{
    char *dir = kit_dir(), ballast[128], block[4096];
    struct tsdb *db;
    struct tsdb_append_result r;
    struct pl_err err = {.msg = ""};
    struct tsdb_stats st;
    int fd, k = 0, failed = 0, count;

    (void)state;
    if (mount("none", dir, "tmpfs", 0, "size=4m") != 0) {
        print_message("no right to mount a tmpfs: the WAL test has the same with a file size limit\n");
        kit_remove(dir);
        skip();
    }
    (void)snprintf(ballast, sizeof(ballast), "%s/ballast", dir);
    memset(block, 1, sizeof(block));
    db = kit_open(dir);
    kit_push_ok(db, 0, 100, KIT_T0 + k++ * 15000);
    fd = open(ballast, O_CREAT | O_WRONLY, 0600);
    while (write(fd, block, sizeof(block)) == (ssize_t)sizeof(block)) {
    }
    (void)close(fd);
    for (int i = 0; i < 200; i++) { /* the same push again and again until the disk is full, then some more */
        pl_status status = kit_push(db, 0, 100, KIT_T0 + k * 15000, &r, &err);
        if (status == PL_OK) {
            assert_int_equal(r.appended, 100);
            k++;
            continue;
        }
        failed++;
        assert_int_equal(status, PL_IO);
        assert_string_equal(err.msg, "write to WAL: No space left on device");
    }
    assert_true(failed > 100);
    tsdb_stats_get(db, &st);
    assert_true(st.wal_write_failures_total > 0);
    kit_check(db, 100, KIT_T0, 15000, (uint32_t)k + 1); /* the refused one is in memory, and its retry is stored */
    assert_int_equal(unlink(ballast), 0);
    kit_push_ok(db, 0, 100, KIT_T0 + k++ * 15000);
    kit_push_ok(db, 0, 150, KIT_T0 + k++ * 15000); /* new series too */
    count = k;
    tsdb_close(db);
    db = kit_open(dir);
    {
        struct pl_arena a;
        struct series_list l;
        struct matcher m;
        struct samples s = {.n = 0};
        size_t cap = 0;
        pl_arena_init(&a, 0);
        m = kit_matcher(&a, MATCH_RE, "n", "[0-9]{1,2}");
        kit_select(db, &a, &m, 1, INT64_MIN, INT64_MAX, &l);
        assert_int_equal(l.n, 100);
        for (size_t i = 0; i < l.n; i++) {
            assert_int_equal(series_decode(&l.v[i], INT64_MIN, INT64_MAX, &a, &s, &cap, &err), PL_OK);
            assert_int_equal(s.n, count);
        }
        kit_select(db, &a, NULL, 0, INT64_MIN, INT64_MAX, &l);
        assert_int_equal(l.n, 150);
        pl_arena_fini(&a);
    }
    tsdb_close(db);
    assert_int_equal(umount2(dir, 0), 0);
    kit_remove(dir);
}

static void retention_and_broken_blocks(void **state)
{
    char *dir = kit_dir(), cmd[256];
    struct tsdb_options o = kit_options();
    struct tsdb *db;
    struct tsdb_stats st;
    struct pl_err err = {.msg = ""};
    uint32_t written;

    (void)state;
    o.retention_ms = 3 * KIT_RANGE_MS;
    db = kit_open_with(dir, o);
    for (int k = 0; k < 3000; k += 4) { /* 12.5 h, one sample a minute */
        kit_push_ok(db, 0, 20, KIT_T0 + k * 15000);
        if (k % 400 == 0) {
            assert_int_equal(tsdb_compact(db, false, KIT_T0 + k * 15000, &written, &err), PL_OK);
        }
    }
    assert_int_equal(tsdb_compact(db, true, KIT_T0, &written, &err), PL_OK);
    tsdb_stats_get(db, &st);
    assert_true(st.block_count >= 3 && st.block_count <= 4);
    assert_true(st.compactions_total > st.block_count && st.block_bytes > 1000);
    tsdb_close(db);
    /* one block broken, one deleted by someone else */
    (void)snprintf(cmd, sizeof(cmd), "cd '%s' && set -- 0*/ && echo x > $1/index && rm -rf $2", dir);
    assert_int_equal(system(cmd), 0);
    db = kit_open_with(dir, o);
    {
        uint64_t before = st.block_count;
        tsdb_stats_get(db, &st);
        assert_int_equal(st.block_count, before - 2);
        assert_int_equal(st.block_open_failures_total, 1);
    }
    tsdb_close(db);
    kit_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(soft_errors),
        cmocka_unit_test(limits),
        cmocka_unit_test(matchers_agree_with_a_scan),
        cmocka_unit_test(names_and_values),
        cmocka_unit_test(select_limits),
        cmocka_unit_test(second_opener_is_refused),
        cmocka_unit_test(read_only_writes_nothing),
        cmocka_unit_test(damaged_wal_is_repaired),
        cmocka_unit_test(damaged_head_chunks),
        cmocka_unit_test(sigkill_loses_nothing),
        cmocka_unit_test(full_disk),
        cmocka_unit_test(retention_and_broken_blocks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
