#include "codec/xor_chunk.h"

#include "codec/varint.h"

/* Why the sizes work out. One sample takes at most 68 bits of time (1111 + 64) and 77 of value (11 + 5 + 6 + 64); the
 * second sample 80 (ten bytes of varint) and 77. Fields are written and read with one 8-byte access at the byte that
 * holds their first bit, and one more byte when they spill over it. The last field begins at most 11 bytes behind the
 * byte where the sample begins, so no access goes further than XOR_SAMPLE_BYTES_MAX bytes behind it. */
enum { WINDOW_NONE = 0xff, LEADING_MAX = 31, PEEK_BITS = 57 };

/* ---- writing ---- */

/* Writes the low n (1..64) bits of v at bit `pos`, most significant first, and clears the rest of the last byte. */
static inline uint32_t put_bits(uint8_t *data, uint32_t pos, uint64_t v, unsigned n)
{
    uint8_t *p = data + (pos >> 3);
    unsigned used = pos & 7;
    uint64_t keep = (uint64_t)(p[0] & (uint8_t)(0xff00u >> used)) << 56;

    v <<= 64 - n;
    pl_put_be64(p, keep | v >> used);
    if (PL_UNLIKELY(used + n > 64)) {
        p[8] = (uint8_t)(v << (8 - used));
    }
    return pos + n;
}

static inline uint32_t put_value(struct xor_appender *a, uint8_t *data, uint32_t pos, uint64_t bits)
{
    uint64_t d = bits ^ a->v_bits;
    unsigned leading, trailing, n;

    if (d == 0) {
        return put_bits(data, pos, 0, 1);
    }
    leading = (unsigned)__builtin_clzll(d);
    trailing = (unsigned)__builtin_ctzll(d);
    leading = PL_MIN(leading, (unsigned)LEADING_MAX);
    if (a->leading != WINDOW_NONE && leading >= a->leading && trailing >= a->trailing) {
        n = 64u - a->leading - a->trailing;
        d >>= a->trailing;
        if (PL_LIKELY(n <= 62)) {
            return put_bits(data, pos, UINT64_C(2) << n | d, n + 2);
        }
        pos = put_bits(data, pos, 2, 2);
        return put_bits(data, pos, d, n);
    }
    a->leading = (uint8_t)leading;
    a->trailing = (uint8_t)trailing;
    n = 64 - leading - trailing;
    pos = put_bits(data, pos, UINT64_C(3) << 11 | leading << 6 | (n & 63), 13);
    return put_bits(data, pos, d >> trailing, n);
}

/* Does x fit the n-bit form? The range is -(2^(n-1) - 1) .. 2^(n-1): not two's complement (spec prometheus.md 10.3). */
static inline bool fits(int64_t x, unsigned n)
{
    int64_t half = INT64_C(1) << (n - 1);

    return -(half - 1) <= x && x <= half;
}

static inline uint32_t put_dod(uint8_t *data, uint32_t pos, int64_t dod)
{
    uint64_t u = (uint64_t)dod;

    if (PL_LIKELY(dod == 0)) {
        return put_bits(data, pos, 0, 1);
    }
    if (fits(dod, 14)) {
        return put_bits(data, pos, UINT64_C(2) << 14 | (u & 0x3fff), 16);
    }
    if (fits(dod, 17)) {
        return put_bits(data, pos, UINT64_C(6) << 17 | (u & 0x1ffff), 20);
    }
    if (fits(dod, 20)) {
        return put_bits(data, pos, UINT64_C(14) << 20 | (u & 0xfffff), 24);
    }
    pos = put_bits(data, pos, 15, 4);
    return put_bits(data, pos, u, 64);
}

void xor_init(struct xor_appender *a, uint8_t *data)
{
    *a = (struct xor_appender){.bit_count = XOR_CHUNK_HEADER * 8, .leading = WINDOW_NONE};
    pl_put_be16(data, 0);
}

PL_HOT void xor_append(struct xor_appender *a, uint8_t *data, int64_t t, double v)
{
    uint64_t bits = pl_f64_bits(v);
    uint32_t pos = a->bit_count;
    /* Differences wrap, as Go's do, so that any two timestamps round-trip. */
    uint64_t delta = (uint64_t)t - (uint64_t)a->t;

    PL_ASSERT(a->sample_count < XOR_CHUNK_SAMPLES_MAX);
    if (PL_LIKELY(a->sample_count >= 2)) {
        pos = put_dod(data, pos, (int64_t)(delta - (uint64_t)a->delta));
        pos = put_value(a, data, pos, bits);
        a->delta = (int64_t)delta;
    } else if (a->sample_count == 1) {
        pos = (uint32_t)(uvarint_put(data + pos / 8, delta) - data) * 8;
        pos = put_value(a, data, pos, bits);
        a->delta = (int64_t)delta;
    } else {
        pos = (uint32_t)(varint_put(data + pos / 8, t) - data) * 8;
        pos = put_bits(data, pos, bits, 64);
    }
    a->t = t;
    a->v_bits = bits;
    a->bit_count = pos;
    a->sample_count++;
    pl_put_be16(data, a->sample_count);
}

/* ---- reading ---- */

/* The reader's state must stay in registers. */
#define INLINE inline __attribute__((always_inline))

struct xor_reader {
    uint64_t t, delta, v_bits;
    uint64_t pos; /* bits read, from the start of the chunk */
    /* The window of significant bits. bits == 0: none yet; then Prometheus's reader assumes all 64. */
    uint64_t mask; /* of the window's bits in the value */
    unsigned leading, bits;
};

static inline uint64_t peek(const uint8_t *data, uint64_t pos)
{
    return pl_get_be64(data + (pos >> 3)) << (pos & 7);
}

/* All 64 bits at pos, first bit on top. */
static inline uint64_t peek_all(const uint8_t *data, uint64_t pos)
{
    const uint8_t *p = data + (pos >> 3);

    return pl_get_be64(p) << (pos & 7) | (uint64_t)p[8] >> (8 - (pos & 7));
}

static INLINE void window_set(struct xor_reader *r, unsigned leading, unsigned bits)
{
    r->leading = leading;
    r->bits = bits;
    r->mask = UINT64_MAX << (64 - bits) >> leading;
}

/* A value that brings its window, or whose bits w does not hold. */
static INLINE bool read_value_other(struct xor_reader *r, const uint8_t *data, uint64_t w, unsigned good)
{
    unsigned head = 2;

    if (w >> 62 == 3) {
        unsigned leading = w >> 57 & 31, bits = w >> 51 & 63;

        bits = bits == 0 ? 64 : bits;
        if (PL_UNLIKELY(leading + bits > 64)) {
            return false;
        }
        window_set(r, leading, bits);
        head = 13;
    } else if (r->bits == 0) {
        window_set(r, 0, 64);
    }
    r->pos += head;
    if (r->bits <= good - head) {
        w <<= head;
    } else {
        w = r->bits <= PEEK_BITS ? peek(data, r->pos) : peek_all(data, r->pos);
    }
    r->v_bits ^= w >> r->leading & r->mask;
    r->pos += r->bits;
    return true;
}

/* Reads the value at r->pos, whose first `good` bits (13 at least) are on top of w. */
static INLINE bool read_value(struct xor_reader *r, const uint8_t *data, uint64_t w, unsigned good)
{
    if (w >> 63 == 0) {
        r->pos += 1;
        return true;
    }
    if (PL_LIKELY(w >> 62 == 2 && r->bits - 1 < good - 2)) { /* bits is 0 before the first window */
        r->v_bits ^= w << 2 >> r->leading & r->mask;
        r->pos += 2 + r->bits;
        return true;
    }
    return read_value_other(r, data, w, good);
}

/* The delta of deltas when the first bit on top of w is 1. */
static INLINE int64_t read_dod(struct xor_reader *r, const uint8_t *data, uint64_t w)
{
    unsigned ones = PL_MIN((unsigned)__builtin_clzll(~w | 1), 4u);
    unsigned n;
    uint64_t u;

    if (PL_UNLIKELY(ones == 4)) {
        u = peek_all(data, r->pos + 4);
        r->pos += 68;
        return (int64_t)u;
    }
    n = 11 + 3 * ones; /* 14, 17, 20 */
    u = w << (ones + 1) >> (64 - n);
    r->pos += ones + 1 + n;
    return u > UINT64_C(1) << (n - 1) ? (int64_t)u - (INT64_C(1) << n) : (int64_t)u;
}

/* Decodes up to n samples from the third on, while they begin at or before bit `pos_max`; `data` must be readable
 * XOR_SAMPLE_BYTES_MAX bytes behind that. Returns how many, SIZE_MAX on malformed bits. */
PL_HOT static size_t read_samples(struct xor_reader *restrict reader, const uint8_t *restrict data, uint64_t pos_max,
                                  int64_t *restrict t, double *restrict v, size_t n)
{
    struct xor_reader r = *reader;
    size_t i = 0;

    /* Each form moves on by a number that is known before its bits arrive: after a branch that was foreseen right the
     * next load begins at once, where a length computed from the bits would wait for them. */
    while (i < n && r.pos <= pos_max) {
        uint64_t w = peek(data, r.pos);
        bool good;

        if (w >> 62 == 2) {
            r.delta += ((w >> 48) + 8191) % 16384 - 8191; /* 0..8192 are themselves, what is above is negative */
            r.pos += 16;
            good = read_value(&r, data, w << 16, PEEK_BITS - 16);
        } else if (w >> 62 == 3) {
            r.delta += (uint64_t)read_dod(&r, data, w);
            good = read_value(&r, data, peek(data, r.pos), PEEK_BITS);
        } else if (w >> 62 == 1) {
            r.pos += 1;
            good = read_value(&r, data, w << 1, PEEK_BITS - 1);
        } else {
            /* A run of samples that change neither: two zero bits each. */
            size_t run = (size_t)__builtin_clzll(w | UINT64_C(1) << (64 - PEEK_BITS)) / 2;
            double same = pl_f64_from_bits(r.v_bits);

            run = PL_MIN(run, n - i);
            for (size_t k = 0; k < run; k++) {
                r.t += r.delta;
                t[i + k] = (int64_t)r.t;
                v[i + k] = same;
            }
            i += run;
            r.pos += 2 * run;
            continue;
        }
        if (PL_UNLIKELY(!good)) {
            return SIZE_MAX;
        }
        r.t += r.delta;
        t[i] = (int64_t)r.t;
        v[i] = pl_f64_from_bits(r.v_bits);
        i++;
    }
    *reader = r;
    return i;
}

/* As read_samples for any place in the chunk: near the end it reads from a copy with zeros behind it. PL_CORRUPT unless
 * all n samples are there. */
static pl_status read_checked(struct xor_reader *r, const uint8_t *data, size_t size, int64_t *t, double *v, size_t n,
                              struct pl_err *err)
{
    uint8_t tail[4 * XOR_SAMPLE_BYTES_MAX] = {0};
    uint64_t base_bits;
    size_t got = 0, more, first;

    if (size > XOR_SAMPLE_BYTES_MAX) {
        got = read_samples(r, data, (size - XOR_SAMPLE_BYTES_MAX) * 8, t, v, n);
        if (got == SIZE_MAX) {
            return pl_fail(err, PL_CORRUPT, "xor chunk: malformed value");
        }
    }
    if (got == n) {
        /* Every load was inside `size`, and so is the last bit: a sample that begins at the limit ends before it. */
        return PL_OK;
    }
    first = r->pos >> 3;
    if (first < size) {
        PL_ASSERT(size - first <= 2 * XOR_SAMPLE_BYTES_MAX);
        memcpy(tail, data + first, size - first);
        base_bits = first * 8;
        r->pos -= base_bits;
        more = read_samples(r, tail, (size - first) * 8, t + got, v + got, n - got);
        r->pos += base_bits;
        if (more == SIZE_MAX) {
            return pl_fail(err, PL_CORRUPT, "xor chunk: malformed value");
        }
        got += more;
    }
    if (got < n || r->pos > size * 8) {
        return pl_fail(err, PL_CORRUPT, "xor chunk: %zu bytes end inside its samples", size);
    }
    return PL_OK;
}

/* Reads the first one or two samples (whole bytes but for the second value). */
static pl_status read_start(struct xor_reader *r, const uint8_t *data, size_t size, int64_t *t, double *v, size_t n,
                            struct pl_err *err)
{
    const uint8_t *end = data + size, *p;
    uint8_t copy[2 * XOR_SAMPLE_BYTES_MAX] = {0};
    int64_t t0;

    PL_ASSERT(n == 1 || n == 2);
    p = varint_get(data + XOR_CHUNK_HEADER, end, &t0);
    if (p == NULL || (size_t)(end - p) < 8) {
        return pl_fail(err, PL_CORRUPT, "xor chunk: %zu bytes end inside the first sample", size);
    }
    *r = (struct xor_reader){.t = (uint64_t)t0, .v_bits = pl_get_be64(p)};
    p += 8;
    t[0] = t0;
    v[0] = pl_f64_from_bits(r->v_bits);
    r->pos = (uint64_t)(p - data) * 8;
    if (n == 1) {
        return PL_OK;
    }
    p = uvarint_get(p, end, &r->delta);
    if (p == NULL) {
        return pl_fail(err, PL_CORRUPT, "xor chunk: %zu bytes end inside the second sample", size);
    }
    memcpy(copy, p, PL_MIN((size_t)(end - p), (size_t)XOR_SAMPLE_BYTES_MAX));
    r->pos = 0;
    if (!read_value(r, copy, peek(copy, 0), PEEK_BITS)) {
        return pl_fail(err, PL_CORRUPT, "xor chunk: malformed value");
    }
    r->pos += (uint64_t)(p - data) * 8;
    if (r->pos > size * 8) {
        return pl_fail(err, PL_CORRUPT, "xor chunk: %zu bytes end inside the second sample", size);
    }
    r->t += r->delta;
    t[1] = (int64_t)r->t;
    v[1] = pl_f64_from_bits(r->v_bits);
    return PL_OK;
}

uint32_t xor_count(const uint8_t *data, size_t size)
{
    return size < XOR_CHUNK_HEADER ? 0 : pl_get_be16(data);
}

pl_status xor_decode(const uint8_t *data, size_t size, int64_t *t, double *v, struct pl_err *err)
{
    size_t count = xor_count(data, size);
    struct xor_reader r;

    if (size < XOR_CHUNK_HEADER) {
        return pl_fail(err, PL_CORRUPT, "xor chunk: %zu bytes are too few for a header", size);
    }
    if (count == 0) {
        return PL_OK;
    }
    PL_TRY(read_start(&r, data, size, t, v, PL_MIN(count, (size_t)2), err));
    return count <= 2 ? PL_OK : read_checked(&r, data, size, t + 2, v + 2, count - 2, err);
}

pl_status xor_resume(struct xor_appender *a, const uint8_t *data, size_t size, struct pl_err *err)
{
    enum { BATCH = 128 };
    size_t count = xor_count(data, size), done;
    struct xor_reader r = {.pos = (uint64_t)XOR_CHUNK_HEADER * 8};
    int64_t t[BATCH];
    double v[BATCH];

    if (size < XOR_CHUNK_HEADER) {
        return pl_fail(err, PL_CORRUPT, "xor chunk: %zu bytes are too few for a header", size);
    }
    if (count > 0) {
        PL_TRY(read_start(&r, data, size, t, v, PL_MIN(count, (size_t)2), err));
    }
    for (done = 2; done < count;) {
        size_t n = PL_MIN(count - done, (size_t)BATCH);
        PL_TRY(read_checked(&r, data, size, t, v, n, err));
        done += n;
    }
    if (r.pos > UINT32_MAX) {
        return pl_fail(err, PL_CORRUPT, "xor chunk: longer than its format allows");
    }
    *a = (struct xor_appender){
        .t = (int64_t)r.t,
        .delta = (int64_t)r.delta,
        .v_bits = r.v_bits,
        .bit_count = (uint32_t)r.pos,
        .sample_count = (uint16_t)count,
        .leading = r.bits != 0 ? (uint8_t)r.leading : WINDOW_NONE,
        .trailing = r.bits != 0 ? (uint8_t)(64 - r.leading - r.bits) : 0,
    };
    return PL_OK;
}
