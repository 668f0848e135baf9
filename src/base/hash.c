#include "base/hash.h"

#include <pthread.h>
#include <sys/random.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#ifdef __SSE4_2__
#    include <nmmintrin.h>
#endif

static uint64_t seed;
static pthread_once_t seed_once = PTHREAD_ONCE_INIT;

static void seed_init(void)
{
    PL_ASSERT(getrandom(&seed, sizeof(seed), 0) == (ssize_t)sizeof(seed));
}

uint64_t pl_xxh64(const void *p, size_t n)
{
    return XXH64(p, n, 0);
}

uint64_t pl_hash64(const void *p, size_t n)
{
    return XXH3_64bits(p, n);
}

struct pl_hash128 pl_hash128(const void *p, size_t n)
{
    XXH128_hash_t h;

    (void)pthread_once(&seed_once, seed_init);
    h = XXH3_128bits_withSeed(p, n, seed);
    return (struct pl_hash128){.lo = h.low64, .hi = h.high64};
}

/* The scalar form, for processors without SSE 4.2 and as the judge of the fast one. */
static uint32_t crc_table[8][256];
static pthread_once_t crc_once = PTHREAD_ONCE_INIT;
static bool crc_hw;

static void crc_init(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++) {
            c = (c >> 1) ^ (UINT32_C(0x82F63B78) & (0 - (c & 1)));
        }
        crc_table[0][i] = c;
    }
    for (uint32_t i = 0; i < 256; i++) {
        for (int k = 1; k < 8; k++) {
            crc_table[k][i] = (crc_table[k - 1][i] >> 8) ^ crc_table[0][crc_table[k - 1][i] & 0xff];
        }
    }
#if defined(__x86_64__)
    crc_hw = __builtin_cpu_supports("sse4.2");
#endif
}

static uint32_t crc_soft(uint32_t c, const uint8_t *p, size_t n)
{
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t w = pl_get_le64(p) ^ c;
        c = crc_table[7][w & 0xff] ^ crc_table[6][w >> 8 & 0xff] ^ crc_table[5][w >> 16 & 0xff] ^
            crc_table[4][w >> 24 & 0xff] ^ crc_table[3][w >> 32 & 0xff] ^ crc_table[2][w >> 40 & 0xff] ^
            crc_table[1][w >> 48 & 0xff] ^ crc_table[0][w >> 56];
    }
    for (; n > 0; n--, p++) {
        c = (c >> 8) ^ crc_table[0][(c ^ *p) & 0xff];
    }
    return c;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc_sse42(uint32_t c, const uint8_t *p, size_t n)
{
    uint64_t c64 = c;

    for (; n >= 8; n -= 8, p += 8) {
        c64 = __builtin_ia32_crc32di(c64, pl_get_le64(p));
    }
    c = (uint32_t)c64;
    for (; n > 0; n--, p++) {
        c = __builtin_ia32_crc32qi(c, *p);
    }
    return c;
}
#endif

uint32_t pl_crc32c(uint32_t crc, const void *p, size_t n)
{
    (void)pthread_once(&crc_once, crc_init);
#if defined(__x86_64__)
    if (PL_LIKELY(crc_hw)) {
        return ~crc_sse42(~crc, p, n);
    }
#endif
    return ~crc_soft(~crc, p, n);
}
