/* What the tests of the store share: folders, batches of series with known samples, reading them back. */
#ifndef TSDB_KIT_H
#define TSDB_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "codec/xor_chunk.h"
#include "model/matcher.h"
#include "tsdb/tsdb.h"

#define KIT_T0 INT64_C(1700000000000)
enum { KIT_LABELS = 5, KIT_RANGE_MS = 7200000 };

static inline char *kit_dir(void)
{
    char *path = strdup("/tmp/pl-tsdb-XXXXXX");

    if (path == NULL || mkdtemp(path) == NULL) {
        abort();
    }
    return path;
}

static inline void kit_remove(char *dir)
{
    char cmd[256];

    (void)snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
    assert_int_equal(system(cmd), 0);
    free(dir);
}

static inline struct tsdb_options kit_options(void)
{
    return (struct tsdb_options){.block_range_ms = KIT_RANGE_MS, .wal_segment_bytes = 128 << 20, .tenant = PL_STR("t")};
}

static inline struct tsdb *kit_open_with(const char *dir, struct tsdb_options o)
{
    struct pl_err err = {.msg = ""};
    struct tsdb *db = NULL;
    pl_status st = tsdb_open(&db, pl_str_c(dir), &o, NULL, &err);

    if (st != PL_OK) {
        fail_msg("open: %s", err.msg);
    }
    return db;
}

static inline struct tsdb *kit_open(const char *dir)
{
    return kit_open_with(dir, kit_options());
}

/* Series number i: metric of i % 3, unique `n`. */
static inline struct labels kit_labels(struct pl_arena *a, uint32_t i)
{
    struct label *v = pl_arena_new_array_try(a, struct label, KIT_LABELS);

    v[0] = (struct label){LABEL_METRIC_NAME, pl_arena_printf(a, "metric_%u", i % 3)};
    v[1] = (struct label){PL_STR("instance"), pl_arena_printf(a, "host-%u:9100", i / 10)};
    v[2] = (struct label){PL_STR("job"), PL_STR("node")};
    v[3] = (struct label){PL_STR("n"), pl_arena_printf(a, "%u", i)};
    v[4] = (struct label){PL_STR("zone"), pl_arena_printf(a, "z%u", i % 7)};
    return (struct labels){.v = v, .n = KIT_LABELS};
}

static inline double kit_value(uint32_t i, int64_t t)
{
    return (double)i * 1000 + (double)((t / 1000) % 977) / 7;
}

/* One sample of each series [first, first + count) at time t, by wire hash as a push does. */
static inline pl_status kit_push(struct tsdb *db, uint32_t first, uint32_t count, int64_t t,
                                 struct tsdb_append_result *r, struct pl_err *err)
{
    struct pl_arena a;
    struct pl_hash128 *hash;
    uint64_t *refs;
    struct tsdb_append_series *s;
    int64_t *ts;
    double *vs;
    pl_status st;

    pl_arena_init(&a, 0);
    hash = pl_arena_new_array_try(&a, struct pl_hash128, count);
    refs = pl_arena_new_array_try(&a, uint64_t, count);
    s = pl_arena_new_array_try(&a, struct tsdb_append_series, count);
    ts = pl_arena_new_array_try(&a, int64_t, count);
    vs = pl_arena_new_array_try(&a, double, count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t n = first + i;
        hash[i] = pl_hash128(&n, sizeof(n));
        ts[i] = t;
        vs[i] = kit_value(n, t);
    }
    tsdb_append_begin(db);
    tsdb_resolve(db, hash, count, refs);
    for (uint32_t i = 0; i < count; i++) {
        s[i] = (struct tsdb_append_series){.ref = refs[i], .wire_hash = hash[i], .sample_first = i, .sample_count = 1};
        if (refs[i] == 0) {
            s[i].labels = kit_labels(&a, first + i);
        }
    }
    st = tsdb_append(db, &(struct tsdb_append_batch){.series = s, .series_count = count, .t = ts, .v = vs}, &a, r, err);
    tsdb_append_end(db);
    pl_arena_fini(&a);
    return st;
}

static inline void kit_push_ok(struct tsdb *db, uint32_t first, uint32_t count, int64_t t)
{
    struct tsdb_append_result r;
    struct pl_err err = {.msg = ""};

    if (kit_push(db, first, count, t, &r, &err) != PL_OK) {
        fail_msg("push: %s", err.msg);
    }
    if (r.appended != count) {
        fail_msg("series %u at %lld: %llu of %u appended", first, (long long)t, (unsigned long long)r.appended, count);
    }
}

static inline void kit_select(struct tsdb *db, struct pl_arena *a, const struct matcher *ms, size_t n, int64_t mint,
                              int64_t maxt, struct series_list *out)
{
    struct pl_err err = {.msg = ""};
    struct series_source *s = tsdb_source(db);
    struct series_select q = {.matchers = ms, .matcher_count = n, .mint_ms = mint, .maxt_ms = maxt};

    if (s->ops->select(s, a, &q, out, &err) != PL_OK) {
        fail_msg("select: %s", err.msg);
    }
    for (size_t i = 1; i < out->n; i++) {
        assert_true(labels_cmp(out->v[i - 1].labels, out->v[i].labels) < 0);
    }
}

static inline struct matcher kit_matcher(struct pl_arena *a, enum matcher_type type, const char *name,
                                         const char *value)
{
    struct matcher m;
    struct pl_err err;

    assert_int_equal(matcher_make(&m, a, type, pl_str_c(name), pl_str_c(value), &err), PL_OK);
    return m;
}

/* All series hold exactly the samples t0, t0 + step ... (count of them) of kit_value. */
static inline void kit_check(struct tsdb *db, uint32_t series, int64_t t0, int64_t step, uint32_t count)
{
    struct pl_arena a;
    struct series_list l;
    struct matcher m;
    struct samples s = {.n = 0};
    size_t cap = 0;
    struct pl_err err = {.msg = ""};

    pl_arena_init(&a, 0);
    m = kit_matcher(&a, MATCH_EQ, "job", "node");
    kit_select(db, &a, &m, 1, INT64_MIN, INT64_MAX, &l);
    assert_int_equal(l.n, series);
    for (size_t i = 0; i < l.n; i++) {
        uint64_t n;
        assert_true(pl_str_to_u64(labels_get(l.v[i].labels, PL_STR("n")), &n));
        if (series_decode(&l.v[i], INT64_MIN, INT64_MAX, &a, &s, &cap, &err) != PL_OK) {
            fail_msg("decode: %s", err.msg);
        }
        if (s.n != count) {
            fail_msg("series %u has %zu samples instead of %u", (unsigned)n, s.n, count);
        }
        for (size_t k = 0; k < s.n; k++) {
            assert_true(s.t[k] == t0 + (int64_t)k * step);
            assert_true(s.v[k] == kit_value((uint32_t)n, s.t[k]));
        }
    }
    pl_arena_fini(&a);
}

#endif
