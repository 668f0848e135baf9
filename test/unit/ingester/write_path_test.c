/* Distributor, ingester and store together: many senders at once, limits that change under them, bad series among the
 * good ones, a restart, and every accepted sample found again. */
#include "distributor/distributor.h"
#include "ingester/ingester.h"

#include "base/clock.h"
#include "base/sync.h"
#include "unit/distributor/write_request.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

enum { SENDERS = 4, REQUESTS = 40, SERIES = 150 };
#define T0 INT64_C(1700000000000)

/* Two sets of limits that differ in what decides about labels, but not for these labels. */
static struct limits limits[2];
static _Atomic int which;
static _Atomic bool done;

const struct limits *limits_get(struct overrides *o, pl_str tenant)
{
    int k = atomic_load(&which);
    (void)o, (void)tenant;
    return &limits[k];
}

void limits_put(struct overrides *o, const struct limits *l)
{
    (void)o, (void)l;
}

static char dir[64];
static struct ingester *ing;
static struct distributor *d;

static void start(void)
{
    const struct ingester_options o = {
        .dir = pl_str_c(dir),
        .tsdb = {.block_range_ms = 7200000, .wal_segment_bytes = 1 << 20, .wal_snappy = true},
        .compaction_interval_ns = 3600 * PL_NS_PER_S,
        .metadata_retain_ns = 600 * PL_NS_PER_S,
        .active_series_idle_ns = 600 * PL_NS_PER_S};
    struct pl_err err = {.status = PL_OK};

    ing = ingester_create(&o, NULL);
    if (ingester_start(ing, &err) != PL_OK) {
        fail_msg("%s", err.msg);
    }
    d = distributor_create(&(struct distributor_options){.recv_bytes_max = 1 << 26}, NULL, ingester_ingest_port(ing));
}

static void stop(void)
{
    distributor_destroy(d);
    ingester_stop(ing);
    ingester_destroy(ing);
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void)info, (void)type, (void)ftw;
    return remove(path);
}

static size_t count_samples(pl_str tenant, size_t *series)
{
    struct query_port *q = ingester_query_port(ing);
    struct series_source *source;
    struct series_list list;
    struct matcher m;
    struct samples buf = {0};
    struct pl_arena a;
    struct pl_err err;
    size_t cap = 0, n = 0;

    pl_arena_init(&a, 0);
    assert_int_equal(q->ops->source(q, tenant, &a, &source, &err), PL_OK);
    assert_int_equal(matcher_make(&m, &a, MATCH_NEQ, LABEL_METRIC_NAME, PL_STR(""), &err), PL_OK);
    const struct series_select select = {
        .matchers = &m, .matcher_count = 1, .mint_ms = INT64_MIN, .maxt_ms = INT64_MAX};
    assert_int_equal(source->ops->select(source, &a, &select, &list, &err), PL_OK);
    for (size_t i = 0; i < list.n; i++) {
        assert_int_equal(series_decode(&list.v[i], INT64_MIN, INT64_MAX, &a, &buf, &cap, &err), PL_OK);
        for (size_t k = 0; k < buf.n; k++) {
            assert_true(buf.v[k] == (double)(buf.t[k] - T0));
        }
        n += buf.n;
    }
    *series = list.n;
    pl_arena_fini(&a);
    return n;
}

static void sender(void *arg)
{
    const int id = *(const int *)arg;
    struct pl_arena a;
    struct pl_buf m;

    pl_arena_init(&a, 0);
    pl_buf_init(&m, 0);
    for (int r = 0; r < REQUESTS; r++) {
        struct pl_err err = {.status = PL_OK};
        char labels[96];
        pl_buf_reset(&m);
        for (int s = 0; s < SERIES; s++) {
            /* Some senders write labels out of order, with an empty one: the same series all the same. */
            if (r % 3 == 2) {
                (void)snprintf(labels, sizeof(labels), ",zone=,series=%d,sender=%d,__name__=load_total", s, id);
            } else {
                (void)snprintf(labels, sizeof(labels), "load_total,sender=%d,series=%d", id, s);
            }
            wr_series(&m, labels, T0 + r * 15000 + s, (double)(r * 15000 + s));
            if (s % 50 == 7) {
                wr_series(&m, "bad name,a=b", T0, 0);
            }
        }
        pl_status st = distributor_push(d, PL_STR("tenant"), pl_buf_view(&m), &a, T0 + r * 15000, &err);
        PL_ASSERT(st == PL_INVALID && strcmp(err.msg, "sample invalid metric name: \"bad name\"") == 0);
        pl_arena_reset(&a);
    }
    pl_buf_fini(&m);
    pl_arena_fini(&a);
}

static void changer(void *arg)
{
    (void)arg;
    while (!atomic_load(&done)) {
        atomic_store(&which, !atomic_load(&which));
        distributor_tick(d, pl_now_mono_ns());
        pl_sleep_ns(PL_NS_PER_MS);
    }
}

static void nothing_is_lost(void **state)
{
    static int ids[SENDERS];
    struct pl_thread senders[SENDERS], change;
    size_t series;

    (void)state;
    start();
    pl_thread_start(&change, "change", changer, NULL);
    for (int i = 0; i < SENDERS; i++) {
        ids[i] = i;
        pl_thread_start(&senders[i], "sender", sender, &ids[i]);
    }
    for (int i = 0; i < SENDERS; i++) {
        pl_thread_join(&senders[i]);
    }
    atomic_store(&done, true);
    pl_thread_join(&change);
    assert_int_equal(count_samples(PL_STR("tenant"), &series), SENDERS * REQUESTS * SERIES);
    assert_int_equal(series, SENDERS * SERIES);
    stop();
    start();
    assert_int_equal(count_samples(PL_STR("tenant"), &series), SENDERS * REQUESTS * SERIES);
    assert_int_equal(series, SENDERS * SERIES);
    ingester_flush(ing, PL_STR(""));
    assert_int_equal(count_samples(PL_STR("tenant"), &series), SENDERS * REQUESTS * SERIES);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_is_lost)};
    int failed;

    for (int k = 0; k < 2; k++) {
        limits[k] = (struct limits){.enforce_metric_name = true,
                                    .max_label_name_length = 1024,
                                    .max_label_value_length = 2048 - k,
                                    .max_label_names_per_series = 30,
                                    .creation_grace_period_ns = 600 * PL_NS_PER_S,
                                    .ingestion_rate = 1e12,
                                    .ingestion_burst_size = 1000000000};
    }
    (void)snprintf(dir, sizeof(dir), "/tmp/pl-write-path-XXXXXX");
    if (mkdtemp(dir) == NULL) {
        return 1;
    }
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return failed;
}
