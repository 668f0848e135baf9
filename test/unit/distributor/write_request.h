/* Builds remote write messages for tests. Everything lies in one growing buffer per message. */
#ifndef PL_TEST_WRITE_REQUEST_H
#define PL_TEST_WRITE_REQUEST_H

#include "base/buf.h"
#include "codec/varint.h"

static inline void wr_uvarint(struct pl_buf *b, uint64_t v)
{
    uint8_t tmp[VARINT_MAX];
    pl_buf_add(b, tmp, (size_t)(uvarint_put(tmp, v) - tmp));
}

static inline void wr_field(struct pl_buf *b, unsigned number, pl_str s)
{
    wr_uvarint(b, number << 3 | 2);
    wr_uvarint(b, s.n);
    pl_buf_str(b, s);
}

/* Appends a label to the content of a TimeSeries. */
static inline void wr_label(struct pl_buf *series, pl_str name, pl_str value)
{
    struct pl_buf l;
    pl_buf_init(&l, 0);
    wr_field(&l, 1, name);
    wr_field(&l, 2, value);
    wr_field(series, 1, pl_buf_view(&l));
    pl_buf_fini(&l);
}

static inline void wr_sample(struct pl_buf *series, int64_t t, double v)
{
    uint64_t bits = pl_f64_bits(v);
    struct pl_buf s;
    pl_buf_init(&s, 0);
    pl_buf_byte(&s, 0x09);
    pl_buf_add(&s, &bits, 8);
    pl_buf_byte(&s, 0x10);
    wr_uvarint(&s, (uint64_t)t);
    wr_field(series, 2, pl_buf_view(&s));
    pl_buf_fini(&s);
}

/* Appends the labels of `name{k=v,k=v}` written as "name,k=v,k=v"; an empty name leaves __name__ out. */
static inline void wr_labels(struct pl_buf *series, const char *text)
{
    pl_str rest = pl_str_c(text);
    size_t at = pl_str_find(rest, ',');
    pl_str name = at == SIZE_MAX ? rest : pl_str_sub(rest, 0, at);
    if (name.n > 0) {
        wr_label(series, PL_STR("__name__"), name);
    }
    while (at != SIZE_MAX) {
        rest = pl_str_sub(rest, at + 1, rest.n);
        at = pl_str_find(rest, ',');
        pl_str pair = at == SIZE_MAX ? rest : pl_str_sub(rest, 0, at);
        size_t eq = pl_str_find(pair, '=');
        wr_label(series, pl_str_sub(pair, 0, eq), pl_str_sub(pair, eq + 1, pair.n));
    }
}

/* A whole series with one sample, appended to a message. */
static inline void wr_series(struct pl_buf *message, const char *labels, int64_t t, double v)
{
    struct pl_buf s;
    pl_buf_init(&s, 0);
    wr_labels(&s, labels);
    wr_sample(&s, t, v);
    wr_field(message, 1, pl_buf_view(&s));
    pl_buf_fini(&s);
}

static inline void wr_metadata(struct pl_buf *message, int type, pl_str metric, pl_str help, pl_str unit)
{
    struct pl_buf m;
    pl_buf_init(&m, 0);
    pl_buf_byte(&m, 0x08);
    wr_uvarint(&m, (uint64_t)type);
    wr_field(&m, 2, metric);
    wr_field(&m, 4, help);
    wr_field(&m, 5, unit);
    wr_field(message, 3, pl_buf_view(&m));
    pl_buf_fini(&m);
}

#endif
