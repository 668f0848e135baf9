/* Writes one Prometheus block with the data of bench/promql.py:
 *   promql_data DIR START_MS INTERVALS
 * Counters a_SIZE and b_SIZE of 1, 10, 100 and 1,000 series told apart by l, classic histograms h_SIZE of 1, 10 and 100
 * (le 0..9 and +Inf), and `sparse`, each of whose 50 series has samples in one fiftieth of the time. One sample each 10
 * s; values rise as in Prometheus's own range query benchmark: by one a sample, with a fraction that differs from
 * series to series. */
#include "base/clock.h"
#include "codec/xor_chunk.h"
#include "tsdb/block.h"

#include <stdio.h>
#include <stdlib.h>

enum { INTERVAL_MS = 10000, CHUNK_SAMPLES = 120, SPARSE = 50, SERIES_MAX = 8000, CHUNKS_MAX = 1000 };

static const struct {
    const char *name;
    int n;
} sizes[] = {{"one", 1}, {"ten", 10}, {"hundred", 100}, {"thousand", 1000}};

struct made {
    struct labels labels;
    int64_t first, count; /* intervals */
    double fraction;
};

static struct pl_err err;

static void check(pl_status st)
{
    if (st != PL_OK) {
        fprintf(stderr, "promql_data: %s\n", err.msg);
        exit(1);
    }
}

static struct labels make_labels(struct pl_arena *a, const char *kind, const char *size, int l, const char *le)
{
    struct label *v = pl_arena_zero(a, 3 * sizeof(*v));
    size_t n = 0;

    v[n++] =
        (struct label){PL_STR("__name__"), size != NULL ? pl_arena_printf(a, "%s_%s", kind, size) : pl_str_c(kind)};
    if (l >= 0) {
        v[n++] = (struct label){PL_STR("l"), pl_arena_printf(a, "%d", l)};
    }
    if (le != NULL) {
        v[n++] = (struct label){PL_STR("le"), pl_arena_str(a, pl_str_c(le))};
    }
    return (struct labels){v, n};
}

static int made_cmp(const void *x, const void *y)
{
    return labels_cmp(((const struct made *)x)->labels, ((const struct made *)y)->labels);
}

static size_t make_all(struct pl_arena *a, struct made *m, int64_t intervals)
{
    size_t n = 0;

    for (size_t s = 0; s < PL_ARRAY_LEN(sizes); s++) {
        for (int i = 0; i < sizes[s].n; i++) {
            int l = sizes[s].n > 1 ? i : -1;

            m[n++].labels = make_labels(a, "a", sizes[s].name, l, NULL);
            m[n++].labels = make_labels(a, "b", sizes[s].name, l, NULL);
            for (int le = 0; sizes[s].n <= 100 && le <= 10; le++) {
                char text[8];

                (void)snprintf(text, sizeof(text), le < 10 ? "%d" : "+Inf", le);
                m[n++].labels = make_labels(a, "h", sizes[s].name, l, text);
            }
        }
    }
    for (size_t i = 0; i < n; i++) {
        m[i].count = intervals;
        m[i].fraction = (double)i / (double)n;
    }
    for (int i = 0; i < SPARSE; i++) {
        m[n] = (struct made){.labels = make_labels(a, "sparse", NULL, i, NULL),
                             .first = i * (intervals / SPARSE),
                             .count = intervals / SPARSE};
        n++;
    }
    qsort(m, n, sizeof(*m), made_cmp);
    return n;
}

static void add(struct block_writer *w, const struct made *m, int64_t start_ms)
{
    static struct chunk_view c[CHUNKS_MAX];
    static uint8_t data[CHUNKS_MAX][CHUNK_SAMPLES * XOR_SAMPLE_BYTES_MAX + 16];
    uint32_t chunks = 0;

    for (int64_t i = 0; i < m->count; i += CHUNK_SAMPLES) {
        struct xor_appender ap;
        int64_t end = PL_MIN(i + CHUNK_SAMPLES, m->count);

        PL_ASSERT(chunks < CHUNKS_MAX);
        xor_init(&ap, data[chunks]);
        for (int64_t k = i; k < end; k++) {
            xor_append(&ap, data[chunks], start_ms + (m->first + k) * INTERVAL_MS,
                       (double)(m->first + k) + m->fraction);
        }
        c[chunks] = (struct chunk_view){.data = data[chunks],
                                        .size = xor_size(&ap),
                                        .encoding = CHUNK_ENC_XOR,
                                        .mint_ms = start_ms + (m->first + i) * INTERVAL_MS,
                                        .maxt_ms = ap.t};
        chunks++;
    }
    check(block_writer_add(w, m->labels, c, chunks, &err));
}

int main(int argc, char **argv)
{
    static struct made m[SERIES_MAX];
    struct block_writer *w;
    struct pl_arena a;
    struct ulid id;
    int64_t start_ms, intervals;
    size_t n;

    if (argc != 4 || (intervals = atoll(argv[3])) < SPARSE || intervals > CHUNKS_MAX * CHUNK_SAMPLES) {
        fprintf(stderr, "usage: promql_data DIR START_MS INTERVALS (50 to 120,000)\n");
        return 2;
    }
    start_ms = atoll(argv[2]);
    pl_arena_init(&a, 0);
    n = make_all(&a, m, intervals);
    check(block_writer_create(&w, pl_str_c(argv[1]), start_ms, start_ms + intervals * INTERVAL_MS, pl_now_unix_ms(),
                              &err));
    for (size_t i = 0; i < n; i++) {
        add(w, &m[i], start_ms);
    }
    check(block_writer_finish(w, &id, &err));
    block_writer_destroy(w);
    pl_arena_fini(&a);
    return 0;
}
