/* codec/json_out.h - JSON as Prometheus's API writes it, straight into a buffer.
 *
 * Promise: strings are escaped as Prometheus escapes them, which depends on the place (enum json_escape); a byte that
 * is not UTF-8 becomes \ufffd. Sample times and values are laid out by spec prometheus.md 6.2. Nothing is checked for
 * nesting: callers write their own brackets and commas. Threads: confined to the buffer's thread. Errors: only the
 * buffer's overflow flag.
 */
#ifndef PL_CODEC_JSON_OUT_H
#define PL_CODEC_JSON_OUT_H

#include "base/base.h"
#include "base/buf.h"
#include "codec/float_text.h"

enum {
    JSON_TIME_MAX = 24,                    /* "-9223372036854775.808" */
    JSON_POINT_MAX = 64,                   /* what a point really takes: both numbers, brackets, quotes, a comma */
    JSON_POINT_SPACE = 32 + FLOAT_TEXT_MAX /* what must be free where one is written */
};

/* COMPAT: three writers are at work in Prometheus 3, as seen in answers of 3.5. */
enum json_escape {
    JSON_ESCAPE_HTML,   /* errors, lists, most texts: also < > & and U+2028/9 */
    JSON_ESCAPE_LABELS, /* label names and values of series: only what JSON demands */
    JSON_ESCAPE_GO,     /* the string result of a query: as HTML, with \b and \f in their short form */
};

/* A quoted and escaped string. */
void json_str_as(struct pl_buf *b, pl_str s, enum json_escape escape);
static inline void json_str(struct pl_buf *b, pl_str s)
{
    json_str_as(b, s, JSON_ESCAPE_HTML);
}
static inline void json_cstr(struct pl_buf *b, const char *s)
{
    json_str(b, pl_str_c(s));
}
/* "name": with its quotes and colon; name is plain ASCII that needs no escaping. */
void json_key(struct pl_buf *b, const char *name);
/* A comma unless the buffer's last byte opens a list or an object. */
void json_comma(struct pl_buf *b);
/* A list of strings. */
void json_str_list(struct pl_buf *b, const pl_str *v, size_t n);
/* A number as encoding/json writes a float64 (never NaN or infinite: those are not JSON; they become 0). */
void json_f64(struct pl_buf *b, double v);

/* Each writes at out and returns the length. */
size_t json_put_time(char *out, int64_t t_ms); /* seconds, three decimals only when not whole; JSON_TIME_MAX */
size_t json_put_value(char *out, double v);    /* the sample value with its quotes; FLOAT_TEXT_MAX + 2 */
size_t json_put_point(char *out, int64_t t_ms, double v); /* [1435781451.781,"1.5"]; JSON_POINT_SPACE */
void json_point(struct pl_buf *b, int64_t t_ms, double v);

#endif
