/* Two properties of the XOR chunk coder.
 *  - Any bytes: decoding ends in a status, and resume agrees with it. What decodes is encoded again, and that decodes
 * to the same.
 *  - The input as samples: encode, decode, and resume in the middle give the same bytes. */
#include "codec/xor_chunk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SAMPLES_MAX = XOR_CHUNK_SAMPLES_MAX };

static int64_t ts[SAMPLES_MAX], ts2[SAMPLES_MAX];
static double vs[SAMPLES_MAX], vs2[SAMPLES_MAX];
static uint8_t enc[2 + (SAMPLES_MAX + 1) * XOR_SAMPLE_BYTES_MAX], enc2[sizeof(enc)];

static size_t encode(uint8_t *out, size_t n)
{
    struct xor_appender a;

    xor_init(&a, out);
    for (size_t i = 0; i < n; i++) {
        xor_append(&a, out, ts[i], vs[i]);
    }
    return xor_size(&a);
}

static void check_round_trip(size_t n)
{
    size_t size = encode(enc, n), cut = n / 3, at;
    struct xor_appender a;
    pl_status st = xor_decode(enc, size, ts2, vs2, NULL);

    PL_ASSERT(st == PL_OK && xor_count(enc, size) == n);
    PL_ASSERT(memcmp(ts, ts2, n * sizeof(*ts)) == 0 && memcmp(vs, vs2, n * sizeof(*vs)) == 0);
    at = encode(enc2, cut);
    st = xor_resume(&a, enc2, at, NULL);
    PL_ASSERT(st == PL_OK);
    for (size_t i = cut; i < n; i++) {
        xor_append(&a, enc2, ts[i], vs[i]);
    }
    PL_ASSERT(xor_size(&a) == size && memcmp(enc, enc2, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct xor_appender a;
    size_t n = xor_count(data, size);
    pl_status st = xor_decode(data, size, ts, vs, NULL);

    PL_ASSERT((xor_resume(&a, data, size, NULL) == PL_OK) == (st == PL_OK));
    if (st == PL_OK) {
        check_round_trip(n);
    }
    n = PL_MIN(size / 16, (size_t)2000);
    for (size_t i = 0; i < n; i++) {
        memcpy(&ts[i], data + 16 * i, 8);
        memcpy(&vs[i], data + 16 * i + 8, 8);
    }
    check_round_trip(n);
    return 0;
}
