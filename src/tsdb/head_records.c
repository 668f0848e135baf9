/* The WAL records of the head's series and open chunks. */
#include "tsdb/head_hist.h"

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

void head_records_fini(struct head_records *r)
{
    pl_buf_fini(&r->floats);
    for (int i = 0; i < WAL_HIST_KINDS; i++) {
        pl_buf_fini(&r->hist[i]);
    }
}

void head_records_give(struct head_records *r, struct wal *w, struct wal_ticket *ticket)
{
    for (int i = -1; i < WAL_HIST_KINDS; i++) {
        struct pl_buf *b = i < 0 ? &r->floats : &r->hist[i];
        if (w != NULL && b->n > 0) {
            wal_add(w, ticket, b->p, b->n);
        }
        pl_buf_reset(b);
    }
}

static pl_status encode_hists(struct head_records *r, uint64_t ref, const struct head_series *s, struct pl_err *err)
{
    const struct head_hist *x = head_hist_of(s);
    struct pl_arena a;
    struct hist *h;
    size_t size;
    const uint8_t *p = hist_chunk_bytes(x->w, &size);
    uint8_t header = hist_chunk_hint(p, size);
    int64_t *t;
    pl_status st;

    pl_arena_init(&a, 0);
    h = pl_arena_new_array_try(&a, struct hist, x->n);
    t = pl_arena_new_array_try(&a, int64_t, x->n);
    st = hist_chunk_decode(x->encoding, p, size, &a, t, h, err);
    for (uint32_t i = 0; i < x->n && st == PL_OK; i++) {
        bool whole = x->encoding == CHUNK_ENC_HISTOGRAM;
        /* As it came: the chunk made anew in replay has the same header. */
        h[i].hint = header == HIST_HINT_GAUGE ? HIST_HINT_GAUGE : i == 0 ? header : HIST_HINT_UNKNOWN;
        wal_hist_encode(&r->hist[wal_hist_kind(&h[i], whole)], ref, t[i], &h[i], whole);
    }
    pl_arena_fini(&a);
    return st;
}

static pl_status encode_floats(struct pl_buf *out, uint64_t ref, const struct head_series *s, struct pl_err *err)
{
    int64_t t[HEAD_CHUNK_SAMPLES * 2];
    double v[HEAD_CHUNK_SAMPLES * 2];
    uint32_t n = s->app.sample_count;

    PL_ASSERT(n <= PL_ARRAY_LEN(t));
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

pl_status head_encode_tail(struct head_records *r, uint64_t ref, const struct head_series *s, struct pl_err *err)
{
    if (s->tail == NULL) {
        return PL_OK;
    }
    return head_tail_is_hist(s) ? encode_hists(r, ref, s, err) : encode_floats(&r->floats, ref, s, err);
}
