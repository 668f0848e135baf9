/* Writes a block of many series and asks it: time, memory beyond the input, and speed of the usual selects.
 *   block_bench [SERIES [DIR]]: 200,000 series with 12 labels and 4 chunks of 120 samples by default, in /tmp. */
#include "base/clock.h"
#include "codec/xor_chunk.h"
#include "tsdb/block.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { CHUNKS = 4, CHUNK_SAMPLES = 120, LABELS = 12 };
#define START_MS INT64_C(1700006400000)

static struct pl_err err;

static void check(pl_status st)
{
    if (st != PL_OK) {
        fprintf(stderr, "block_bench: %s\n", err.msg);
        exit(1);
    }
}

static struct series_view make(struct pl_arena *a, int series)
{
    struct label *l = pl_arena_zero(a, LABELS * sizeof(*l));
    struct chunk_view *c = pl_arena_zero(a, CHUNKS * sizeof(*c));

    l[0] = (struct label){PL_STR("__name__"), pl_arena_printf(a, "http_requests_total_%03d", series / 1000)};
    for (int i = 1; i < LABELS - 1; i++) {
        l[i] = (struct label){pl_arena_printf(a, "label_%02d", i),
                              pl_arena_printf(a, "value-%d", (series / 10) % (3 * i))};
    }
    /* Every tenth of a metric's series is a pod of its own: as many distinct values as series / 10. */
    l[1].value = pl_arena_printf(a, "pod-%07d", series / 10);
    l[LABELS - 1] = (struct label){PL_STR("zone"), pl_arena_printf(a, "%d", series % 10)};
    for (int k = 0; k < CHUNKS; k++) {
        uint8_t *data = pl_arena_alloc(a, CHUNK_SAMPLES * XOR_SAMPLE_BYTES_MAX + 64);
        struct xor_appender ap;
        int64_t t = START_MS + (int64_t)k * CHUNK_SAMPLES * 15000;
        xor_init(&ap, data);
        c[k].mint_ms = t;
        for (int i = 0; i < CHUNK_SAMPLES; i++, t += 15000) {
            xor_append(&ap, data, t, k * 1000 + i * (series % 7));
        }
        c[k].data = data;
        c[k].size = xor_size(&ap);
        c[k].encoding = CHUNK_ENC_XOR;
        c[k].maxt_ms = ap.t;
    }
    return (struct series_view){.labels = {l, LABELS}, .chunks = c, .chunk_count = CHUNKS};
}

static long rss_max_mb(void)
{
    struct rusage u;

    (void)getrusage(RUSAGE_SELF, &u);
    return u.ru_maxrss / 1024;
}

static void ask(struct block *b, const char *what, enum matcher_type type, const char *name, const char *value,
                bool decode)
{
    struct pl_arena a;
    struct matcher m[2];
    struct series_select q = {.matchers = m, .matcher_count = 1, .mint_ms = START_MS, .maxt_ms = INT64_MAX};
    struct series_list l;
    struct samples buf = {.n = 0};
    size_t cap = 0, samples = 0;
    int64_t start, select_ns, decode_ns;

    pl_arena_init(&a, 0);
    check(matcher_make(&m[0], &a, type, pl_str_c(name), pl_str_c(value), &err));
    start = pl_now_mono_ns();
    check(block_source(b)->ops->select(block_source(b), &a, &q, &l, &err));
    select_ns = pl_now_mono_ns() - start;
    start = pl_now_mono_ns();
    for (size_t i = 0; decode && i < l.n; i++) {
        check(series_decode(&l.v[i], q.mint_ms, q.maxt_ms, &a, &buf, &cap, &err));
        samples += buf.n;
    }
    decode_ns = pl_now_mono_ns() - start;
    printf("%-34s %8zu series  select %9.3f ms (%6.0f ns/series)", what, l.n, (double)select_ns / 1e6,
           l.n > 0 ? (double)select_ns / (double)l.n : 0);
    if (samples > 0) {
        printf("  decode %8.3f ms (%4.2f ns/sample)", (double)decode_ns / 1e6, (double)decode_ns / (double)samples);
    }
    printf("  arena %zu MB\n", a.used_bytes >> 20);
    pl_arena_fini(&a);
}

int main(int argc, char **argv)
{
    int series = argc > 1 ? atoi(argv[1]) : 200000;
    const char *dir = argc > 2 ? argv[2] : "/tmp";
    struct block_writer *w;
    struct pl_arena a;
    struct block *b;
    struct ulid id;
    char text[ULID_TEXT + 1], path[256];
    int64_t make_ns = 0, start, total_ns;

    pl_arena_init(&a, 0);
    long before = rss_max_mb();
    start = pl_now_mono_ns();
    check(block_writer_create(&w, pl_str_c(dir), START_MS, START_MS + INT64_C(7200000), pl_now_unix_ms(), &err));
    for (int i = 0; i < series; i++) {
        int64_t t = pl_now_mono_ns();
        struct series_view s = make(&a, i);
        make_ns += pl_now_mono_ns() - t;
        check(block_writer_add(w, s.labels, s.chunks, s.chunk_count, &err));
        pl_arena_reset(&a);
    }
    int64_t finish_start = pl_now_mono_ns();
    check(block_writer_finish(w, &id, &err));
    total_ns = pl_now_mono_ns() - start - make_ns;
    printf("write %d series: %.2f s (%.0f ns/series), of it finish %.2f s; peak memory +%ld MB\n", series,
           (double)total_ns / 1e9, (double)total_ns / series, (double)(pl_now_mono_ns() - finish_start) / 1e9,
           rss_max_mb() - before);
    block_writer_destroy(w);
    ulid_text(text, &id);
    (void)snprintf(path, sizeof(path), "%s/%s", dir, text);
    start = pl_now_mono_ns();
    check(block_open(&b, pl_str_c(path), &err));
    printf("open: %.2f ms, %.1f MB on disk\n", (double)(pl_now_mono_ns() - start) / 1e6,
           (double)block_size_bytes(b) / 1048576);
    ask(b, "__name__=\"..._007\"", MATCH_EQ, "__name__", "http_requests_total_007", true);
    ask(b, "label_01=\"pod-0000700\"", MATCH_EQ, "label_01", "pod-0000700", true);
    ask(b, "label_01=~\"pod-00007.*\"", MATCH_RE, "label_01", "pod-00007.*", true);
    ask(b, "label_01=~\".*77\"", MATCH_RE, "label_01", ".*77", true);
    ask(b, "__name__!=\"x\" (all)", MATCH_NEQ, "__name__", "x", true);
    block_mark_deleted(b);
    block_unref(b);
    pl_arena_fini(&a);
    return 0;
}
