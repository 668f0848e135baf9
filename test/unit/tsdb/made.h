/* Series made from their number alone, for the tests of blocks: all kinds of values, label texts that need quoting,
 * labels that some series lack, more values of one name than the index samples. In label order. */
#ifndef PL_TEST_TSDB_MADE_H
#define PL_TEST_TSDB_MADE_H

#include "codec/xor_chunk.h"
#include "model/series.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

enum { CHUNK_SAMPLES = 120, STEP_MS = 15000 };
#define START_MS INT64_C(1700006400000) /* a multiple of two hours */
#define END_MS   (START_MS + INT64_C(86400000))

/* An empty folder; in memory where that is possible, for the writer syncs all it writes. */
static inline void made_folder(char out[static 64])
{
    (void)strcpy(out, access("/dev/shm", W_OK) == 0 ? "/dev/shm/pallium-test-XXXXXX" : "/tmp/pallium-test-XXXXXX");
    PL_ASSERT(mkdtemp(out) != NULL);
}

static inline double made_value_of(int series, int i)
{
    switch (series % 6) {
    case 0:
        return 1;
    case 1:
        return i * 17 + series;
    case 2:
        return sin(i / 10.0) * series;
    case 3:
        return i % 50 == 49 ? pl_f64_from_bits(PL_STALE_NAN_BITS) : i / 30;
    case 4:
        return i % 3 == 0 ? HUGE_VAL : i % 3 == 1 ? -HUGE_VAL : (double)NAN;
    default:
        return ldexp((double)(i + 1), series % 2000 - 1000);
    }
}

static inline int64_t made_time_of(int series, int i)
{
    int64_t jitter = series % 4 == 0 ? 0 : (i * 7919 + series * 104729) % 200;

    return START_MS + (int64_t)i * STEP_MS + jitter;
}

static inline struct labels made_labels_of(struct pl_arena *a, int series)
{
    static const char *const odd[] = {"plain",     "with \"quotes\"",      "back\\slash",
                                      "new\nline", "\xc3\xa9\xe6\x97\xa5", "a b"};
    struct label *v = pl_arena_zero(a, 6 * sizeof(*v));
    size_t n = 0;

    v[n++] = (struct label){PL_STR("__name__"), pl_arena_printf(a, "metric_%04d", series / 100)};
    v[n++] = (struct label){PL_STR("id"), pl_arena_printf(a, "%06d", series % 100)};
    if (series % 3 != 0) {
        v[n++] = (struct label){PL_STR("instance"), pl_arena_printf(a, "host-%d:9100", series % 37)};
    }
    v[n++] = (struct label){PL_STR("job"), series % 2 == 0 ? PL_STR("even") : PL_STR("odd")};
    if (series % 5 == 0) {
        v[n++] = (struct label){PL_STR("text"), pl_str_c(odd[series / 5 % 6])};
    }
    return (struct labels){v, n};
}

static inline struct series_view made_series(struct pl_arena *a, int series, int samples)
{
    uint32_t chunks = (uint32_t)((samples + CHUNK_SAMPLES - 1) / CHUNK_SAMPLES);
    struct chunk_view *c = pl_arena_zero(a, chunks * sizeof(*c));

    for (uint32_t k = 0; k < chunks; k++) {
        uint8_t *data = pl_arena_alloc(a, XOR_CHUNK_HEADER + (CHUNK_SAMPLES + 1) * XOR_SAMPLE_BYTES_MAX);
        struct xor_appender ap;
        xor_init(&ap, data);
        for (int i = (int)k * CHUNK_SAMPLES; i < samples && i < (int)(k + 1) * CHUNK_SAMPLES; i++) {
            xor_append(&ap, data, made_time_of(series, i), made_value_of(series, i));
        }
        c[k] = (struct chunk_view){.data = data,
                                   .size = xor_size(&ap),
                                   .encoding = CHUNK_ENC_XOR,
                                   .mint_ms = made_time_of(series, (int)k * CHUNK_SAMPLES),
                                   .maxt_ms = ap.t};
    }
    return (struct series_view){.labels = made_labels_of(a, series), .chunks = c, .chunk_count = chunks};
}

#endif
