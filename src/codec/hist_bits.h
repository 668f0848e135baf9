/* codec/hist_bits.h - the bit stream of histogram chunks (spec prometheus.md 10.3): private to hist_chunk*.c.
 *
 * Bits go most significant first. Reading behind the end gives zeros and is noticed afterwards: bits_ended(). */
#ifndef PL_CODEC_HIST_BITS_H
#define PL_CODEC_HIST_BITS_H

#include "base/base.h"

enum { BITS_WINDOW_NONE = 0xff, BITS_LEADING_MAX = 31, HIST_CHUNK_HEADER = 3, HIST_CHUNK_SAMPLES_MAX = 65535 };
enum {
    HIST_FLAG_MASK = 0xc0,
    HIST_FLAG_UNKNOWN = 0,
    HIST_FLAG_NOT_RESET = 0x40,
    HIST_FLAG_RESET = 0x80,
    HIST_FLAG_GAUGE = 0xc0
};

/* Widths of the variable forms: n ones and a zero (eight ones: no zero) go before a value of so many bits. */
static const uint8_t bits_width[9] = {0, 3, 6, 9, 12, 18, 25, 56, 64};

struct bits {
    const uint8_t *p;
    uint64_t size; /* bytes */
    uint64_t pos;  /* bits */
};

/* At least 57 bits from pos on, the first on top. */
static inline uint64_t bits_peek(const struct bits *b)
{
    uint64_t at = b->pos >> 3, w = 0;

    if (PL_LIKELY(at + 8 <= b->size)) {
        w = pl_get_be64(b->p + at);
    } else {
        for (unsigned i = 0; i < 8 && at + i < b->size; i++) {
            w |= (uint64_t)b->p[at + i] << (56 - 8 * i);
        }
    }
    return w << (b->pos & 7);
}

/* The next n bits, 1..64. */
static inline uint64_t bits_get(struct bits *b, unsigned n)
{
    uint64_t w;

    if (PL_UNLIKELY(n > 56)) {
        w = bits_peek(b) >> 32 << (n - 32);
        b->pos += 32;
        w |= bits_peek(b) >> (96 - n);
        b->pos += n - 32;
        return w;
    }
    w = bits_peek(b) >> (64 - n);
    b->pos += n;
    return w;
}

static inline bool bits_ended(const struct bits *b)
{
    return b->pos > b->size * 8;
}

static inline uint64_t bits_left(const struct bits *b)
{
    return bits_ended(b) ? 0 : b->size * 8 - b->pos;
}

static inline unsigned bits_prefix(struct bits *b)
{
    uint64_t w = bits_peek(b);
    unsigned ones;

    if (PL_LIKELY(w >> 63 == 0)) {
        b->pos++;
        return 0;
    }
    ones = PL_MIN((unsigned)__builtin_clzll(~w | 1), 8u);
    b->pos += PL_MIN(ones + 1, 8u);
    return ones;
}

static inline uint64_t bits_get_uint(struct bits *b)
{
    unsigned n = bits_width[bits_prefix(b)];

    return n == 0 ? 0 : bits_get(b, n);
}

static inline int64_t bits_get_int(struct bits *b)
{
    unsigned n = bits_width[bits_prefix(b)];
    uint64_t u;

    if (PL_LIKELY(n == 0)) {
        return 0;
    }
    u = bits_get(b, n);
    return (int64_t)(n < 64 && u > UINT64_C(1) << (n - 1) ? u - (UINT64_C(1) << n) : u);
}

/* A value that is stored as difference (by xor) to the one before: its bits and the window of bits that differed. */
struct xor_value {
    uint64_t v;
    uint8_t leading, trailing;
};

/* False: malformed. */
static inline bool bits_get_xor(struct bits *b, struct xor_value *x)
{
    uint64_t w = bits_peek(b);
    unsigned n;

    if (w >> 63 == 0) {
        b->pos++;
        return true;
    }
    if ((w >> 62 & 1) == 0) {
        b->pos += 2;
        n = 64u - x->leading - x->trailing;
    } else {
        unsigned leading = w >> 57 & 31;

        n = w >> 51 & 63;
        n = n == 0 ? 64 : n;
        if (leading + n > 64) {
            return false;
        }
        b->pos += 13;
        x->leading = (uint8_t)leading;
        x->trailing = (uint8_t)(64 - leading - n);
    }
    x->v ^= bits_get(b, n) << x->trailing;
    return true;
}

#endif
