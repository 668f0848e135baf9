/* base/buf.h - a growing byte buffer, for answers, records and text that is built piece by piece.
 *
 * Promise: appends grow by doubling and never fail below `limit_bytes` (0: none); past it, nothing more is stored and
 * `overflow` is set, which the owner checks once at the end.
 * Threads: confined to one thread at a time.
 */
#ifndef PL_BASE_BUF_H
#define PL_BASE_BUF_H

#include "base/base.h"

#include <stdarg.h>

struct pl_buf {
    char *p;
    size_t n;
    size_t cap;
    size_t limit_bytes; /* 0: none */
    bool overflow;
};

void pl_buf_init(struct pl_buf *b, size_t limit_bytes);
void pl_buf_fini(struct pl_buf *b); /* accepts a zeroed struct */
static inline void pl_buf_reset(struct pl_buf *b)
{
    b->n = 0;
    b->overflow = false;
}
/* Room for n more bytes at p + n (the caller then raises b->n); NULL past the limit. */
char *pl_buf_reserve(struct pl_buf *b, size_t n);
void pl_buf_add(struct pl_buf *b, const void *p, size_t n);
static inline void pl_buf_str(struct pl_buf *b, pl_str s)
{
    pl_buf_add(b, s.p, s.n);
}
static inline void pl_buf_cstr(struct pl_buf *b, const char *s)
{
    pl_buf_add(b, s, strlen(s));
}
static inline void pl_buf_byte(struct pl_buf *b, uint8_t v)
{
    pl_buf_add(b, &v, 1);
}
#define PL_BUF_LIT(b, lit) pl_buf_add((b), "" lit, sizeof(lit) - 1)
void pl_buf_printf(struct pl_buf *b, const char *fmt, ...) PL_PRINTF(2, 3);
void pl_buf_vprintf(struct pl_buf *b, const char *fmt, va_list ap) PL_PRINTF(2, 0);
void pl_buf_u64(struct pl_buf *b, uint64_t v); /* decimal */
void pl_buf_i64(struct pl_buf *b, int64_t v);
void pl_buf_be32(struct pl_buf *b, uint32_t v);
void pl_buf_be64(struct pl_buf *b, uint64_t v);
static inline pl_str pl_buf_view(const struct pl_buf *b)
{
    return (pl_str){b->p, b->n};
}

#endif
