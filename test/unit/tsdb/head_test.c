#include "tsdb_kit.h"

static void append_and_read_back(void **state)
{
    char *dir = kit_dir();
    struct tsdb *db = kit_open(dir);
    struct tsdb_stats st;

    (void)state;
    for (int k = 0; k < 50; k++) {
        kit_push_ok(db, 0, 1000, KIT_T0 + k * 15000);
    }
    kit_check(db, 1000, KIT_T0, 15000, 50);
    tsdb_stats_get(db, &st);
    assert_int_equal(st.series, 1000);
    assert_int_equal(st.samples_appended_total, 50000);
    assert_true(st.mint_ms == KIT_T0 && st.maxt_ms == KIT_T0 + 49 * 15000);
    assert_int_equal(st.label_pairs, 3 + 100 + 1 + 1000 + 7);
    tsdb_close(db);
    kit_remove(dir);
}

static void replay_after_close(void **state)
{
    char *dir = kit_dir();
    struct tsdb *db = kit_open(dir);

    (void)state;
    for (int k = 0; k < 300; k++) { /* closes chunks: m-mapped ones and a WAL tail */
        kit_push_ok(db, 0, 500, KIT_T0 + k * 15000);
    }
    tsdb_close(db);
    db = kit_open(dir);
    kit_check(db, 500, KIT_T0, 15000, 300);
    for (int k = 300; k < 400; k++) {
        kit_push_ok(db, 0, 500, KIT_T0 + k * 15000);
    }
    tsdb_close(db);
    db = kit_open(dir);
    kit_check(db, 500, KIT_T0, 15000, 400);
    tsdb_close(db);
    kit_remove(dir);
}

static void cut_and_truncate(void **state)
{
    char *dir = kit_dir();
    struct tsdb *db = kit_open(dir);
    struct pl_err err = {.msg = ""};
    struct tsdb_stats st;
    uint32_t written = 0;
    int n = 1000; /* 4 h 10 min at 15 s */

    (void)state;
    for (int k = 0; k < n; k++) {
        kit_push_ok(db, 0, 100, KIT_T0 + k * 15000);
        if (k < 100) {
            kit_push_ok(db, 100, 20, KIT_T0 + k * 15000); /* end early: removed by the cut */
        }
    }
    if (tsdb_compact(db, false, KIT_T0 + n * 15000, &written, &err) != PL_OK) {
        fail_msg("compact: %s", err.msg);
    }
    assert_true(written >= 1);
    tsdb_stats_get(db, &st);
    assert_int_equal(st.block_count, written);
    assert_int_equal(st.series, 100);
    assert_int_equal(st.series_removed_total, 20);
    {
        struct pl_arena a;
        struct series_list l;
        struct matcher m;
        pl_arena_init(&a, 0);
        m = kit_matcher(&a, MATCH_EQ, "job", "node");
        kit_select(db, &a, &m, 1, INT64_MIN, INT64_MAX, &l);
        assert_int_equal(l.n, 120); /* the block still has them */
        m = kit_matcher(&a, MATCH_RE, "n", "[0-9]|[1-9][0-9]");
        kit_select(db, &a, &m, 1, INT64_MIN, INT64_MAX, &l);
        assert_int_equal(l.n, 100);
        pl_arena_fini(&a);
    }
    for (int k = n; k < n + 50; k++) {
        kit_push_ok(db, 0, 100, KIT_T0 + k * 15000);
    }
    tsdb_close(db);
    db = kit_open(dir);
    tsdb_stats_get(db, &st);
    assert_int_equal(st.series, 100);
    for (int round = 0; round < 2; round++) {
        struct pl_arena a;
        struct series_list l;
        struct matcher m;
        struct samples s = {.n = 0};
        size_t cap = 0;
        pl_arena_init(&a, 0);
        m = kit_matcher(&a, MATCH_EQ, "job", "node");
        kit_select(db, &a, &m, 1, INT64_MIN, INT64_MAX, &l);
        assert_int_equal(l.n, 120);
        for (size_t i = 0; i < l.n; i++) {
            uint64_t id;
            assert_true(pl_str_to_u64(labels_get(l.v[i].labels, PL_STR("n")), &id));
            assert_int_equal(series_decode(&l.v[i], INT64_MIN, INT64_MAX, &a, &s, &cap, &err), PL_OK);
            assert_int_equal(s.n, id < 100 ? n + 50 : 100);
            for (size_t k = 0; k < s.n; k++) {
                assert_true(s.t[k] == KIT_T0 + (int64_t)k * 15000 && s.v[k] == kit_value((uint32_t)id, s.t[k]));
            }
        }
        pl_arena_fini(&a);
        if (round == 0) {
            assert_int_equal(tsdb_compact(db, true, KIT_T0 + n * 15000, &written, &err), PL_OK);
            tsdb_stats_get(db, &st);
            assert_int_equal(st.series, 0);
            assert_true(written >= 1);
        }
    }
    tsdb_close(db);
    kit_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(append_and_read_back),
        cmocka_unit_test(replay_after_close),
        cmocka_unit_test(cut_and_truncate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
