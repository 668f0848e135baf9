/* The store alone: what one sample, one new series and one replay cost, without HTTP, snappy and protobuf.
 *
 *   tsdb_bench DIR [series] [passes] [series per batch]
 *
 * DIR must not exist; it is left behind. 12 labels per series as node_exporter and a cluster's relabelling give them.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "tsdb/tsdb.h"

enum { LABELS = 12 };

static uint64_t rss_anon_kib(void)
{
    char line[256];
    uint64_t kib = 0;
    FILE *f = fopen("/proc/self/status", "r");

    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        (void)sscanf(line, "RssAnon: %lu", &kib);
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    return kib;
}

static int64_t cpu_ns(void)
{
    return pl_cpu_process_ns();
}

static struct labels make_labels(struct pl_arena *a, uint32_t i)
{
    static const char *const names[LABELS] = {"__name__", "cluster", "container", "cpu",  "env", "instance",
                                              "job",      "mode",    "namespace", "node", "pod", "region"};
    struct label *v = pl_arena_alloc(a, LABELS * sizeof(*v));

    for (int k = 0; k < LABELS; k++) {
        v[k].name = pl_str_c(names[k]);
    }
    v[0].value = pl_arena_printf(a, "bench_metric_%u_seconds_total", i % 400);
    v[1].value = pl_arena_printf(a, "cluster-%u", i / 400 % 3);
    v[2].value = pl_arena_printf(a, "container-%u", i / 400 % 20);
    v[3].value = pl_arena_printf(a, "%u", i % 16);
    v[4].value = PL_STR("production");
    v[5].value = pl_arena_printf(a, "10.%u.%u.%u:9100", i / 400 >> 16, i / 400 >> 8 & 255, i / 400 & 255);
    v[6].value = PL_STR("kubernetes-pods");
    v[7].value = pl_arena_printf(a, "mode%u", i % 8);
    v[8].value = pl_arena_printf(a, "namespace-%u", i / 400 % 50);
    v[9].value = pl_arena_printf(a, "node-%u.example.internal", i / 4000);
    v[10].value = pl_arena_printf(a, "deployment-%u-7d9c5b8f4-x%05u", i / 400 % 100, i / 400);
    v[11].value = PL_STR("eu-west-1");
    return (struct labels){.v = v, .n = LABELS};
}

struct bench {
    struct tsdb *db;
    uint32_t series, batch;
    struct pl_hash128 *hash;
    int64_t tsdb_ns; /* CPU inside resolve and append only */
};

static void pass(struct bench *b, int64_t t, struct pl_arena *a)
{
    for (uint32_t first = 0; first < b->series; first += b->batch) {
        uint32_t n = PL_MIN(b->batch, b->series - first);
        struct tsdb_append_series *s;
        struct tsdb_append_result r;
        struct pl_err err;
        uint64_t *refs;
        int64_t *ts, start;
        double *vs;
        bool unknown = false;

        pl_arena_reset(a);
        refs = pl_arena_alloc(a, n * sizeof(*refs));
        s = pl_arena_alloc(a, n * sizeof(*s));
        ts = pl_arena_alloc(a, n * sizeof(*ts));
        vs = pl_arena_alloc(a, n * sizeof(*vs));
        for (uint32_t i = 0; i < n; i++) {
            ts[i] = t + (int64_t)(first + i) % 7;
            vs[i] = (double)(first + i) + (double)(t / 1000 % 100000) * (double)((first + i) % 13);
        }
        start = cpu_ns();
        tsdb_append_begin(b->db);
        tsdb_resolve(b->db, b->hash + first, n, refs);
        b->tsdb_ns += cpu_ns() - start;
        for (uint32_t i = 0; i < n; i++) {
            s[i] = (struct tsdb_append_series){
                .ref = refs[i], .wire_hash = b->hash[first + i], .sample_first = i, .sample_count = 1};
            if (refs[i] == 0) {
                s[i].labels = make_labels(a, first + i);
                unknown = true;
            }
        }
        (void)unknown;
        start = cpu_ns();
        if (tsdb_append(b->db, &(struct tsdb_append_batch){.series = s, .series_count = n, .t = ts, .v = vs}, a, &r,
                        &err) != PL_OK ||
            r.appended != n) {
            (void)fprintf(stderr, "append failed: %s\n", err.msg);
            exit(1);
        }
        tsdb_append_end(b->db);
        b->tsdb_ns += cpu_ns() - start;
    }
}

static struct tsdb *open_db(const char *dir)
{
    struct tsdb_options o = {.block_range_ms = 7200000, .wal_segment_bytes = 128 << 20, .tenant = PL_STR("bench")};
    struct tsdb *db;
    struct pl_err err;

    if (tsdb_open(&db, pl_str_c(dir), &o, NULL, &err) != PL_OK) {
        (void)fprintf(stderr, "open %s: %s\n", dir, err.msg);
        exit(1);
    }
    return db;
}

int main(int argc, char **argv)
{
    struct bench b = {.series = argc > 2 ? (uint32_t)atoi(argv[2]) : 1000000,
                      .batch = argc > 4 ? (uint32_t)atoi(argv[4]) : 2000};
    int passes = argc > 3 ? atoi(argv[3]) : 13;
    int64_t t0 = INT64_C(1700000000000), cpu0, wall0;
    uint64_t rss0, heap0;
    struct pl_arena a;
    struct tsdb_stats st;

    if (argc < 2) {
        (void)fprintf(stderr, "usage: tsdb_bench DIR [series] [passes] [series per batch]\n");
        return 2;
    }
    pl_arena_init(&a, 0);
    b.hash = pl_new_array(struct pl_hash128, b.series);
    for (uint32_t i = 0; i < b.series; i++) {
        b.hash[i] = pl_hash128(&i, sizeof(i));
    }
    rss0 = rss_anon_kib();
    heap0 = pl_alloc_in_use();
    b.db = open_db(argv[1]);
    pass(&b, t0, &a);
    printf("new series:    %.2f us CPU each in tsdb\n", (double)b.tsdb_ns / 1e3 / b.series);
    for (int p = 1; p < passes; p++) {
        b.tsdb_ns = 0;
        pass(&b, t0 + p * 15000, &a);
        printf("pass %2d:       %.0f ns CPU per sample in tsdb\n", p, (double)b.tsdb_ns / b.series);
    }
    pl_arena_fini(&a);
    tsdb_stats_get(b.db, &st);
    printf("memory:        %.0f bytes of RssAnon, %.0f of heap per series\n",
           (double)(rss_anon_kib() - rss0) * 1024 / (double)st.series,
           (double)(pl_alloc_in_use() - heap0) / (double)st.series);
    tsdb_close(b.db);
    cpu0 = cpu_ns();
    wall0 = pl_now_mono_ns();
    b.db = open_db(argv[1]);
    tsdb_stats_get(b.db, &st);
    printf("replay:        %.2f s wall, %.2f s CPU, %lu series, %.1f M samples/s\n",
           (double)(pl_now_mono_ns() - wall0) / 1e9, (double)(cpu_ns() - cpu0) / 1e9, st.series,
           (double)b.series * passes / ((double)(pl_now_mono_ns() - wall0) / 1e9) / 1e6);
    cpu0 = cpu_ns();
    wall0 = pl_now_mono_ns();
    rss0 = rss_anon_kib();
    {
        uint32_t written;
        struct pl_err err;
        if (tsdb_compact(b.db, true, t0, &written, &err) != PL_OK) {
            (void)fprintf(stderr, "compact: %s\n", err.msg);
            return 1;
        }
    }
    tsdb_stats_get(b.db, &st);
    printf("cut to block:  %.2f s wall, %.2f s CPU, %lu series left, RssAnon %lu -> %lu MiB\n",
           (double)(pl_now_mono_ns() - wall0) / 1e9, (double)(cpu_ns() - cpu0) / 1e9, st.series, rss0 >> 10,
           rss_anon_kib() >> 10);
    tsdb_close(b.db);
    pl_free(b.hash);
    return 0;
}
