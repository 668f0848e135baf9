#include "base/buf.h"

#include <stdio.h>

void pl_buf_init(struct pl_buf *b, size_t limit_bytes)
{
    *b = (struct pl_buf){.limit_bytes = limit_bytes};
}

void pl_buf_fini(struct pl_buf *b)
{
    pl_free(b->p);
    *b = (struct pl_buf){.limit_bytes = b->limit_bytes};
}

char *pl_buf_reserve(struct pl_buf *b, size_t n)
{
    size_t need;

    if (!pl_add_ok(&need, b->n, n) || (b->limit_bytes != 0 && need > b->limit_bytes)) {
        b->overflow = true;
        return NULL;
    }
    if (need > b->cap) {
        size_t cap = PL_MAX(b->cap * 2, (size_t)256);
        cap = PL_MAX(cap, need);
        b->p = pl_realloc(b->p, cap);
        b->cap = cap;
    }
    return b->p != NULL ? b->p + b->n : NULL;
}

void pl_buf_add(struct pl_buf *b, const void *p, size_t n)
{
    char *at = pl_buf_reserve(b, n);

    if (at != NULL && n > 0) {
        memcpy(at, p, n);
        b->n += n;
    }
}

void pl_buf_vprintf(struct pl_buf *b, const char *fmt, va_list ap)
{
    va_list ap2;
    int n;
    char *at;

    va_copy(ap2, ap);
    n = vsnprintf(NULL, 0, fmt, ap2);
    va_end(ap2);
    PL_ASSERT(n >= 0);
    at = pl_buf_reserve(b, (size_t)n + 1);
    if (at != NULL) {
        (void)vsnprintf(at, (size_t)n + 1, fmt, ap);
        b->n += (size_t)n;
    }
}

void pl_buf_printf(struct pl_buf *b, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    pl_buf_vprintf(b, fmt, ap);
    va_end(ap);
}

void pl_buf_u64(struct pl_buf *b, uint64_t v)
{
    char tmp[20];
    size_t i = sizeof(tmp);

    do {
        tmp[--i] = (char)('0' + v % 10);
        v /= 10;
    } while (v != 0);
    pl_buf_add(b, tmp + i, sizeof(tmp) - i);
}

void pl_buf_i64(struct pl_buf *b, int64_t v)
{
    if (v < 0) {
        pl_buf_byte(b, '-');
        pl_buf_u64(b, (uint64_t)0 - (uint64_t)v);
    } else {
        pl_buf_u64(b, (uint64_t)v);
    }
}

void pl_buf_be32(struct pl_buf *b, uint32_t v)
{
    uint8_t tmp[4];
    pl_put_be32(tmp, v);
    pl_buf_add(b, tmp, sizeof(tmp));
}

void pl_buf_be64(struct pl_buf *b, uint64_t v)
{
    uint8_t tmp[8];
    pl_put_be64(tmp, v);
    pl_buf_add(b, tmp, sizeof(tmp));
}
