/* codec/float_text.h - floats as Go prints and reads them, so that answers equal Prometheus's byte for byte.
 *
 * Shortest round-trip digits come from libstdc++'s <charconv> behind src/shim; the layout is ours.
 */
#ifndef PL_CODEC_FLOAT_TEXT_H
#define PL_CODEC_FLOAT_TEXT_H

#include "base/base.h"
#include "base/buf.h"

enum { FLOAT_TEXT_MAX = 352 }; /* longest 'f' form: sign, 309 digits, or 0. and 340 digits */

/* Each writes at out (FLOAT_TEXT_MAX free bytes) and returns the length. NaN, +Inf, -Inf as such. */
size_t float_put_json(char *out,
                      double v); /* JSON sample values: 'f' unless |v| < 1e-6 or >= 1e21 (spec prometheus.md 6.2) */
size_t float_put_f(char *out, double v); /* strconv 'f', precision -1 */
size_t float_put_g(
    char *out,
    double v); /* Go %v, %g, strconv g -1: shortest digits, exponent form when the decimal exponent is < -4 or >= 6 */
size_t float_put_om(char *out, double v); /* OpenMetrics: as 'g', ".0" appended when neither '.' nor 'e' occurs */
void pl_buf_f64_json(struct pl_buf *b, double v);
void pl_buf_f64_g(struct pl_buf *b, double v);
/* Go's strconv.ParseFloat(s, 64) without underscores: decimal, hex floats, inf, infinity, nan (any case), sign. */
bool float_parse(pl_str s, double *out);

#endif
