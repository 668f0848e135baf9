/* Speed of the XOR chunk coder: ns a sample and million samples a second, for chunks of 120 samples. */
#include "base/clock.h"
#include "codec/xor_chunk.h"

#include <stdio.h>

enum { SAMPLES = 120, CHUNKS = 2000, ROUNDS = 60, CHUNK_BYTES = SAMPLES * XOR_SAMPLE_BYTES_MAX + 64 };

static uint64_t rng_state = 88172645463325252u;
static uint64_t rng(void)
{
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 7;
    rng_state ^= rng_state << 17;
    return rng_state;
}

static int64_t ts[CHUNKS][SAMPLES];
static double vs[CHUNKS][SAMPLES];
static uint8_t chunks[CHUNKS][CHUNK_BYTES];
static size_t sizes[CHUNKS];
static int64_t out_t[SAMPLES];
static double out_v[SAMPLES];

static void fill(int kind)
{
    for (int c = 0; c < CHUNKS; c++) {
        int64_t t = INT64_C(1700000000000);
        double v = (double)(rng() % 1000000);
        for (int i = 0; i < SAMPLES; i++) {
            t += kind == 2 || kind == 3 ? 15000 + (int64_t)(rng() % 9) - 4 : 15000;
            v = kind == 0 ? v : kind == 3 ? (double)rng() / 1e9 : v + (double)(rng() % 100);
            ts[c][i] = t;
            vs[c][i] = v;
        }
    }
}

static void encode_all(void)
{
    for (int c = 0; c < CHUNKS; c++) {
        struct xor_appender a;
        xor_init(&a, chunks[c]);
        for (int i = 0; i < SAMPLES; i++) {
            xor_append(&a, chunks[c], ts[c][i], vs[c][i]);
        }
        sizes[c] = xor_size(&a);
    }
}

int main(void)
{
    static const char *const kinds[] = {"constant, steady step", "counter, steady step", "counter, jitter",
                                        "random floats, jitter"};

    for (int kind = 0; kind < 4; kind++) {
        const double n = (double)CHUNKS * SAMPLES;
        int64_t encode_ns = INT64_MAX, decode_ns = INT64_MAX;
        size_t bytes = 0;

        fill(kind);
        /* The best round: the others share the machine with whatever else runs. */
        for (int r = 0; r < ROUNDS; r++) {
            int64_t start = pl_now_mono_ns(), middle;
            encode_all();
            middle = pl_now_mono_ns();
            for (int c = 0; c < CHUNKS; c++) {
                PL_ASSERT(xor_decode(chunks[c], sizes[c], out_t, out_v, NULL) == PL_OK);
            }
            encode_ns = PL_MIN(encode_ns, middle - start);
            decode_ns = PL_MIN(decode_ns, pl_now_mono_ns() - middle);
        }
        for (int c = 0; c < CHUNKS; c++) {
            bytes += sizes[c];
        }
        printf("%-24s %5.2f bytes/sample  encode %6.2f ns %6.0f M/s  decode %6.2f ns %6.0f M/s\n", kinds[kind],
               (double)bytes / n, (double)encode_ns / n, n * 1e3 / (double)encode_ns, (double)decode_ns / n,
               n * 1e3 / (double)decode_ns);
    }
    return 0;
}
