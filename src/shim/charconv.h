/* shim/charconv.h - shortest round-trip digits and exact decimal reading, from libstdc++'s <charconv>.
 *
 * Promise: no locale, no allocation, no exception leaves. Only codec/float_text.c includes this header; layouts live
 * there.
 */
#ifndef PL_SHIM_CHARCONV_H
#define PL_SHIM_CHARCONV_H

#ifdef __cplusplus
extern "C" {
#endif

#include "base/base.h"

enum { SHIM_DIGITS_MAX = 17, SHIM_FIXED_MAX = 32 };

/* The shortest text without an exponent that reads back as v, for 1e-6 <= |v| < 2^53. Returns the length. */
size_t shim_f64_fixed(char out[SHIM_FIXED_MAX], double v);
/* A finite, non-zero |v| as 0.DIGITS x 10^point: the fewest digits that read back as v. Returns how many digits. */
size_t shim_f64_digits(char digits[SHIM_DIGITS_MAX], int *point, double v);

enum shim_read { SHIM_READ_OK, SHIM_READ_BAD, SHIM_READ_RANGE };
/* Reads the whole of [p, p + n): unsigned decimal ("1.5e3"), or with `hex` the part after 0x ("1.8p-3"). RANGE: the
 * value is too large or too close to zero for a double, *out is untouched. */
enum shim_read shim_f64_read(double *out, const char *p, size_t n, bool hex);

#ifdef __cplusplus
}
#endif

#endif
