/* codec/xor_chunk.h - Prometheus's XOR float chunk (encoding 1), byte for byte.
 *
 * Format: spec prometheus.md 10.3 and 10.4 (Prometheus tsdb/chunkenc/xor.go). A chunk is u16 big-endian sample count,
 * then the bit stream. Bytes written here are readable by Prometheus and the other way round. Promise: the appender
 * never allocates: the caller gives it the buffer and its capacity and asks for room first. Decoding treats every byte
 * as hostile: a cut or malformed stream gives PL_CORRUPT, never a read past `size`. Threads: an appender is confined;
 * encoded bytes are plain memory.
 */
#ifndef PL_CODEC_XOR_CHUNK_H
#define PL_CODEC_XOR_CHUNK_H

#include "base/base.h"

enum {
    XOR_CHUNK_HEADER = 2,      /* the count */
    XOR_SAMPLE_BYTES_MAX = 20, /* most bytes that one more sample can add, padding included */
    XOR_CHUNK_SAMPLES_MAX = 65535,
    CHUNK_ENC_XOR = 1, /* encoding byte in files and in memory */
};

/* State of a chunk that is being written: 40 bytes, lives inside the series. `data` is not owned. */
struct xor_appender {
    int64_t t;          /* last timestamp */
    int64_t delta;      /* last timestamp difference */
    uint64_t v_bits;    /* last value */
    uint32_t bit_count; /* bits used in data, header included */
    uint16_t sample_count;
    uint8_t leading; /* 0xff: no window yet */
    uint8_t trailing;
};

/* Starts an empty chunk in data (needs 2 bytes). */
void xor_init(struct xor_appender *a, uint8_t *data);
/* Appends one sample. Needs XOR_SAMPLE_BYTES_MAX free bytes behind the used ones; the bytes behind the used bits of
 * the last byte need not be zero beforehand, and are afterwards. Updates the count in data. */
void xor_append(struct xor_appender *a, uint8_t *data, int64_t t, double v);
/* Bytes used so far (whole bytes). */
static inline uint32_t xor_size(const struct xor_appender *a)
{
    return (a->bit_count + 7) / 8;
}
/* Rebuilds the appender of an encoded chunk, to go on writing it. PL_CORRUPT on bad bytes. */
PL_MUST_USE pl_status xor_resume(struct xor_appender *a, const uint8_t *data, size_t size, struct pl_err *err);

/* Number of samples that the header states; 0 when size < 2. */
uint32_t xor_count(const uint8_t *data, size_t size);
/* Decodes all samples into t[] and v[] (room for xor_count() each). Returns PL_CORRUPT when the stream ends early. Hot:
 * at least 200 M samples a second per core, whether times are steady or jitter. */
PL_MUST_USE pl_status xor_decode(const uint8_t *data, size_t size, int64_t *t, double *v, struct pl_err *err);

#endif
