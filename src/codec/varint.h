/* codec/varint.h - LEB128 integers as protobuf and the TSDB formats write them.
 *
 * Promise: readers never look past `end`; they return the byte after the integer, or NULL when it is cut off or longer
 * than 10 bytes. Writers need 10 free bytes and return the byte after what they wrote.
 * "uvarint" is unsigned, "varint" is zig-zag (Go's encoding/binary names; Prometheus index and WAL formats).
 */
#ifndef PL_CODEC_VARINT_H
#define PL_CODEC_VARINT_H

#include "base/base.h"

enum { VARINT_MAX = 10 };

static inline const uint8_t *uvarint_get(const uint8_t *p, const uint8_t *end, uint64_t *out)
{
    uint64_t v = 0;

    if (PL_LIKELY(p < end && *p < 0x80)) {
        *out = *p;
        return p + 1;
    }
    for (unsigned shift = 0; p < end && shift < 70; shift += 7) {
        uint8_t b = *p++;
        if (shift == 63 && b > 1) {
            return NULL;
        }
        v |= (uint64_t)(b & 0x7f) << shift;
        if (b < 0x80) {
            *out = v;
            return p;
        }
    }
    return NULL;
}

static inline const uint8_t *varint_get(const uint8_t *p, const uint8_t *end, int64_t *out)
{
    uint64_t u;

    p = uvarint_get(p, end, &u);
    if (p != NULL) {
        *out = (int64_t)(u >> 1) ^ -(int64_t)(u & 1);
    }
    return p;
}

static inline uint8_t *uvarint_put(uint8_t *p, uint64_t v)
{
    while (v >= 0x80) {
        *p++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *p++ = (uint8_t)v;
    return p;
}

static inline uint8_t *varint_put(uint8_t *p, int64_t v)
{
    return uvarint_put(p, ((uint64_t)v << 1) ^ (uint64_t)(v >> 63));
}

static inline size_t uvarint_size(uint64_t v)
{
    return v == 0 ? 1 : (size_t)(70 - __builtin_clzll(v)) / 7;
}

#endif
