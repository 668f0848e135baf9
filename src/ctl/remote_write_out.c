/* prometheus.WriteRequest (spec prometheus.md 7.1) from the series of a test. */
#include "ctl/remote.h"

#include "codec/varint.h"

enum wire { VARINT = 0, FIXED64 = 1, BYTES = 2 };

static void put_varint(struct pl_buf *b, uint64_t v)
{
    uint8_t text[VARINT_MAX];

    pl_buf_add(b, text, (size_t)(uvarint_put(text, v) - text));
}

static void put_tag(struct pl_buf *b, unsigned field, enum wire wire)
{
    put_varint(b, field << 3 | wire);
}

static void put_int(struct pl_buf *b, unsigned field, int64_t v)
{
    put_tag(b, field, VARINT);
    put_varint(b, (uint64_t)v);
}

static void put_zigzag(struct pl_buf *b, unsigned field, int64_t v)
{
    put_tag(b, field, VARINT);
    put_varint(b, ((uint64_t)v << 1) ^ (uint64_t)(v >> 63));
}

static void put_raw_double(struct pl_buf *b, double v)
{
    uint64_t bits = pl_f64_bits(v);
    uint8_t text[8];

    for (unsigned i = 0; i < 8; i++) {
        text[i] = (uint8_t)(bits >> (8 * i));
    }
    pl_buf_add(b, text, 8);
}

static void put_double(struct pl_buf *b, unsigned field, double v)
{
    put_tag(b, field, FIXED64);
    put_raw_double(b, v);
}

static void put_bytes(struct pl_buf *b, unsigned field, pl_str s)
{
    put_tag(b, field, BYTES);
    put_varint(b, s.n);
    pl_buf_str(b, s);
}

static void put_doubles(struct pl_buf *b, unsigned field, const double *v, size_t n)
{
    if (n > 0) {
        put_tag(b, field, BYTES);
        put_varint(b, n * 8);
    }
    for (size_t i = 0; i < n; i++) {
        put_raw_double(b, v[i]);
    }
}

static void put_side(struct pl_buf *b, unsigned spans_field, unsigned counts_field, struct hist_side side)
{
    int64_t end = 0; /* index behind the span before */

    for (uint32_t i = 0; i < side.len;) {
        uint8_t text[2 * (VARINT_MAX + 1)], *p = text;
        uint32_t from = i;

        do {
            i++;
        } while (i < side.len && side.at[i] == side.at[i - 1] + 1);
        *p++ = 1 << 3 | VARINT;
        p = varint_put(p, side.at[from] - end);
        *p++ = 2 << 3 | VARINT;
        p = uvarint_put(p, i - from);
        put_bytes(b, spans_field, pl_str_of((const char *)text, (size_t)(p - text)));
        end = (int64_t)side.at[i - 1] + 1;
    }
    put_doubles(b, counts_field, side.n, side.len);
}

static void put_histogram(struct pl_buf *out, struct pl_buf *b, const struct hist *h, int64_t t_ms)
{
    pl_buf_reset(b);
    put_double(b, 2, h->count);
    put_double(b, 3, h->sum);
    put_zigzag(b, 4, h->schema);
    put_double(b, 5, h->zero_threshold);
    put_double(b, 7, h->zero_count);
    put_side(b, 8, 10, h->neg);
    put_side(b, 11, 13, h->pos);
    put_int(b, 14, h->hint);
    put_int(b, 15, t_ms);
    put_doubles(b, 16, h->bounds, hist_is_custom(h) ? h->bound_count : 0);
    put_bytes(out, 4, pl_buf_view(b));
}

static void put_sample(struct pl_buf *out, struct pl_buf *b, double v, int64_t t_ms)
{
    pl_buf_reset(b);
    put_double(b, 1, v);
    put_int(b, 2, t_ms);
    put_bytes(out, 2, pl_buf_view(b));
}

/* The first index of a sample at or behind t. */
static size_t index_at(const struct remote_series *s, int64_t t_ms)
{
    int64_t i = t_ms <= 0 ? 0 : s->step_ms > 0 ? (t_ms + s->step_ms - 1) / s->step_ms : INT64_MAX;

    return (uint64_t)i < s->series->n ? (size_t)i : s->series->n;
}

static void put_labels(struct pl_buf *out, struct pl_buf *b, struct labels ls)
{
    for (size_t i = 0; i < ls.n; i++) {
        pl_buf_reset(b);
        put_bytes(b, 1, ls.v[i].name);
        put_bytes(b, 2, ls.v[i].value);
        put_bytes(out, 1, pl_buf_view(b));
    }
}

static size_t put_series(struct pl_buf *out, struct pl_buf *one, struct pl_buf *b, const struct remote_series *s,
                         int64_t base_ms, int64_t from_ms, int64_t to_ms)
{
    size_t n = 0;

    pl_buf_reset(one);
    put_labels(one, b, s->series->labels);

    for (size_t i = index_at(s, from_ms), end = index_at(s, to_ms); i < end; i++) {
        const struct ptest_value *v = &s->series->values[i];
        int64_t t_ms = base_ms + (int64_t)i * s->step_ms;

        if (v->gap) {
            continue;
        }
        if (v->h != NULL) {
            put_histogram(one, b, v->h, t_ms);
        } else {
            put_sample(one, b, v->v, t_ms);
        }
        n++;
    }
    if (n > 0) {
        put_bytes(out, 1, pl_buf_view(one));
    }
    return n;
}

int64_t remote_write_cut(const struct remote_series *series, size_t n, int64_t from_ms, int64_t to_ms)
{
    for (size_t i = 0; i < n; i++) {
        const struct remote_series *s = &series[i];
        const struct ptest_value *before = NULL;

        for (size_t k = index_at(s, from_ms), end = index_at(s, to_ms); k < end; k++) {
            const struct ptest_value *v = &s->series->values[k];

            if (before != NULL && !v->gap && (v->h != NULL) != (before->h != NULL)) {
                to_ms = (int64_t)k * s->step_ms;
                break;
            }
            before = v->gap ? before : v;
        }
    }
    return to_ms;
}

size_t remote_write_put(struct pl_buf *out, const struct remote_series *series, size_t n, int64_t base_ms,
                        int64_t from_ms, int64_t to_ms)
{
    struct pl_buf one, part;
    size_t samples = 0;

    pl_buf_init(&one, 0);
    pl_buf_init(&part, 0);
    for (size_t i = 0; i < n; i++) {
        samples += put_series(out, &one, &part, &series[i], base_ms, from_ms, to_ms);
    }
    pl_buf_fini(&part);
    pl_buf_fini(&one);
    return samples;
}
