/* The WAL records of the head's series and open chunks. */
#include "tsdb/head.h"

void head_encode_series(struct head *h, struct pl_buf *out, uint64_t ref, const struct head_cold *c)
{
    uint8_t *p = (uint8_t *)pl_buf_reserve(out, 1 + 8 + VARINT_MAX);

    if (out->n == 0) {
        *p++ = WAL_REC_SERIES;
    }
    pl_put_be64(p, ref);
    p = uvarint_put(p + 8, c->label_count);
    out->n = (size_t)(p - (uint8_t *)out->p);
    for (uint32_t i = 0; i < c->label_count * 2u; i++) {
        pl_str s = symbols_text(&h->symbols, c->labels[i]);
        p = (uint8_t *)pl_buf_reserve(out, VARINT_MAX + s.n);
        p = uvarint_put(p, s.n);
        memcpy(p, s.p, s.n);
        out->n = (size_t)(p + s.n - (uint8_t *)out->p);
    }
}

pl_status head_encode_tail(struct pl_buf *out, uint64_t ref, const struct head_series *s, struct pl_err *err)
{
    int64_t t[HEAD_CHUNK_SAMPLES * 2];
    double v[HEAD_CHUNK_SAMPLES * 2];
    uint32_t n = s->tail != NULL ? s->app.sample_count : 0;

    PL_ASSERT(n <= PL_ARRAY_LEN(t));
    if (n == 0) {
        return PL_OK;
    }
    PL_TRY(xor_decode(s->tail, xor_size(&s->app), t, v, err));
    for (uint32_t i = 0; i < n; i++) {
        uint8_t *p = (uint8_t *)pl_buf_reserve(out, 64), *start = p;
        if (out->n == 0) {
            *p++ = WAL_REC_SAMPLES;
            memset(p, 0, 16); /* base reference and time 0: the deltas are the values */
            p += 16;
        }
        p = varint_put(p, (int64_t)ref);
        p = varint_put(p, t[i]);
        pl_put_be64(p, pl_f64_bits(v[i]));
        out->n += (size_t)(p + 8 - start);
    }
    return PL_OK;
}
