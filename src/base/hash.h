/* base/hash.h - the hashes of the stored and the wire formats.
 *
 * xxhash64 with seed 0 over name 0xFF value 0xFF is Prometheus's label hash; FNV-1 (multiply, then xor) 32 is Cortex's
 * ring token; CRC-32C guards every TSDB record. The 128-bit hash is seeded per process and keys the wire-label cache,
 * so that no sender can aim for a collision.
 */
#ifndef PL_BASE_HASH_H
#define PL_BASE_HASH_H

#include "base/base.h"

struct pl_hash128 {
    uint64_t lo, hi;
};

uint64_t pl_xxh64(const void *p, size_t n);                /* seed 0, the stable format */
uint64_t pl_hash64(const void *p, size_t n);               /* XXH3, in-memory tables only */
struct pl_hash128 pl_hash128(const void *p, size_t n);     /* XXH3 128, seeded at process start */
uint32_t pl_crc32c(uint32_t crc, const void *p, size_t n); /* start with 0; Castagnoli */

#define PL_FNV1_32_INIT UINT32_C(2166136261)
static inline uint32_t pl_fnv1_32(uint32_t h, pl_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        h = (h * UINT32_C(16777619)) ^ (uint8_t)s.p[i];
    }
    return h;
}
static inline uint32_t pl_fnv1a_32(uint32_t h, pl_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        h = (h ^ (uint8_t)s.p[i]) * UINT32_C(16777619);
    }
    return h;
}

#endif
