/* Two properties of the histogram chunk coders. The first byte chooses the encoding.
 *  - Any bytes: decoding ends in a status, within its arena's limit, and gives the same for the same bytes.
 *  - What decodes is written again, a new chunk whenever the next sample does not fit, and that decodes to the same
 *    samples (hints aside). */
#include "codec/hist_chunk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SAMPLES_MAX = 65535, MEMORY_MAX = 64 << 20 };

static int64_t ts[SAMPLES_MAX], ts2[SAMPLES_MAX];
static struct hist hs[SAMPLES_MAX], hs2[SAMPLES_MAX];

/* Counts that an encoding of whole numbers keeps: not those that a hostile chunk's wrapping sums gave. */
static bool is_whole(const struct hist *h)
{
    const struct hist_side *sides[] = {&h->pos, &h->neg};

    for (int s = 0; s < 2; s++) {
        for (uint32_t i = 0; i < sides[s]->len; i++) {
            if (!(sides[s]->n[i] >= -0x1p53 && sides[s]->n[i] <= 0x1p53)) {
                return false;
            }
        }
    }
    return h->count <= 0x1p53 && h->zero_count <= 0x1p53;
}

static void check_equal(const struct hist *x, const struct hist *y)
{
    struct hist a = *x, b = *y;

    PL_ASSERT(a.bound_count == b.bound_count);
    PL_ASSERT(hist_equal(&a, &b));
}

/* Writes from sample `from` on while they fit, and reads that back. Returns the first sample that is left. */
static uint32_t write_chunk(struct pl_arena *a, uint8_t encoding, uint32_t from, uint32_t count)
{
    struct hist_chunk_writer *w = hist_chunk_begin(a, encoding, &hs[from]);
    const uint8_t *bytes;
    uint32_t i = from;
    pl_status st;
    size_t size;
    bool ok;

    if (w == NULL) {
        return count;
    }
    do {
        ok = hist_chunk_append(w, ts[i], &hs[i]);
        i++;
    } while (ok && i < count && hist_chunk_fits(w, &hs[i]));
    if (!ok) {
        return count;
    }
    bytes = hist_chunk_bytes(w, &size);
    PL_ASSERT(hist_chunk_count(bytes, size) == i - from);
    st = hist_chunk_decode(encoding, bytes, size, a, ts2, hs2, NULL);
    if (st == PL_LIMIT) {
        return count;
    }
    PL_ASSERT(st == PL_OK);
    for (uint32_t k = from; k < i; k++) {
        PL_ASSERT(ts2[k - from] == ts[k]);
        check_equal(&hs2[k - from], &hs[k]);
    }
    return i;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t encoding = size > 0 && data[0] % 2 != 0 ? CHUNK_ENC_FLOAT_HISTOGRAM : CHUNK_ENC_HISTOGRAM;
    struct pl_arena a;
    uint32_t count;
    bool whole = true;

    if (size == 0) {
        return 0;
    }
    data++;
    size--;
    count = hist_chunk_count(data, size);
    pl_arena_init(&a, MEMORY_MAX);
    if (hist_chunk_decode(encoding, data, size, &a, ts, hs, NULL) == PL_OK) {
        PL_ASSERT(hist_chunk_decode(encoding, data, size, &a, ts2, hs2, NULL) != PL_CORRUPT);
        for (uint32_t i = 0; i < count; i++) {
            whole = whole && is_whole(&hs[i]);
        }
        for (uint32_t i = 0; i < count && (whole || encoding == CHUNK_ENC_FLOAT_HISTOGRAM);) {
            i = write_chunk(&a, encoding, i, count);
        }
    }
    pl_arena_fini(&a);
    return 0;
}
