/* No heap call per sample: steady pushes of known series live from the arena, the slabs and the log's buffers. */
#include "unit/tsdb/heap_count.h"

#include "tsdb_kit.h"

enum { SERIES = 10000, BATCH = 2000, STEP_MS = 15000 };

struct steady {
    struct tsdb *db;
    struct pl_arena arena;
    struct tsdb_append_series *series;
    int64_t *t;
    double *v;
};

/* One sample per series at t0 + pass * step; refs are known after the first pass. */
static void pass(struct steady *p, int64_t t)
{
    struct tsdb_append_result r;
    struct pl_err err;

    for (uint32_t first = 0; first < SERIES; first += BATCH) {
        struct tsdb_append_batch b = {
            .series = p->series + first, .series_count = BATCH, .t = p->t + first, .v = p->v + first};

        for (uint32_t i = first; i < first + BATCH; i++) {
            p->t[i] = t + i % 5;
            p->v[i] = kit_value(i, t) + (double)(i % 11) / 3;
        }
        pl_arena_reset(&p->arena);
        tsdb_append_begin(p->db);
        if (tsdb_append(p->db, &b, &p->arena, &r, &err) != PL_OK || r.appended != BATCH) {
            abort();
        }
        tsdb_append_end(p->db);
    }
}

static void prepare(struct steady *p, const char *dir)
{
    struct pl_hash128 *hash = pl_new_array(struct pl_hash128, SERIES);
    uint64_t *refs = pl_new_array(uint64_t, SERIES);
    struct pl_arena labels;

    *p = (struct steady){.db = kit_open(dir),
                         .series = pl_new_array(struct tsdb_append_series, SERIES),
                         .t = pl_new_array(int64_t, SERIES),
                         .v = pl_new_array(double, SERIES)};
    pl_arena_init(&p->arena, 0);
    pl_arena_init(&labels, 0);
    for (uint32_t i = 0; i < SERIES; i++) {
        hash[i] = pl_hash128(&i, sizeof(i));
        p->series[i] = (struct tsdb_append_series){
            .wire_hash = hash[i], .labels = kit_labels(&labels, i), .sample_first = i % BATCH, .sample_count = 1};
    }
    pass(p, KIT_T0 / KIT_RANGE_MS * KIT_RANGE_MS);
    tsdb_resolve(p->db, hash, SERIES, refs);
    for (uint32_t i = 0; i < SERIES; i++) {
        assert_true(refs[i] != 0);
        p->series[i].ref = refs[i];
    }
    pl_arena_fini(&labels);
    pl_free(hash);
    pl_free(refs);
}

static double calls_per_sample(struct steady *p, int first, int last)
{
    uint64_t before = heap_calls();

    for (int k = first; k < last; k++) {
        pass(p, KIT_T0 / KIT_RANGE_MS * KIT_RANGE_MS + (int64_t)k * STEP_MS);
    }
    return (double)(heap_calls() - before) / ((double)SERIES * (last - first));
}

static void no_heap_call_per_sample(void **state)
{
    char *dir = kit_dir();
    struct steady p;
    struct tsdb_stats st;
    double open, turnover;
    void *volatile probe;
    uint64_t before;

    (void)state;
    before = heap_calls();
    probe = pl_alloc(100);
    pl_free(probe);
    assert_true(!HEAP_COUNTED || heap_calls() - before == 2); /* the counter counts */
    prepare(&p, dir);
    (void)calls_per_sample(&p, 1, 10);
    open = calls_per_sample(&p, 10, 110); /* within the first chunk of each series */
    turnover = calls_per_sample(&p, 110, 310);
    print_message("heap calls per sample: %.6f within a chunk, %.6f over the turn of chunks\n", open, turnover);
    tsdb_stats_get(p.db, &st);
    assert_int_equal(st.samples_appended_total, SERIES * 310);
    assert_true(st.chunks >= 3 * SERIES); /* chunks did turn */
    assert_true(open < 0.001);
    assert_true(turnover < 0.01); /* a series' list of chunks grows every few chunks */
    tsdb_close(p.db);
    pl_arena_fini(&p.arena);
    pl_free(p.series);
    pl_free(p.t);
    pl_free(p.v);
    kit_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_heap_call_per_sample)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
