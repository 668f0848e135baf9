#include "codec/hist_chunk.h"

#include "codec/hist_bits.h"

#include <math.h>

/* Most bytes that one field takes: a 64-bit value behind 8 or 13 bits of prefix, and the eight bytes that the last
 * access reaches behind it. */
enum { FIELD_BYTES = 10, SLACK_BYTES = 16, SPAN_BYTES = 20, HEAD_FIELDS = 4 };

struct hist_chunk_writer {
    struct pl_arena *a;
    uint8_t encoding;
    uint8_t flag;
    uint32_t count;
    const struct hist *layout; /* a copy of the first sample; empty when that is stale */
    uint8_t *data;
    size_t cap;
    uint64_t bit_count;
    /* The last sample, as what the next one is stored against. */
    int64_t t, t_delta;
    struct xor_value sum;
    bool stale;
    double last_count, last_zero;
    double *last; /* bucket counts, positive side first */
    struct whole {
        int64_t v, delta;
    } total, zero, *whole;                             /* encoding 2; buckets as differences from bucket to bucket */
    struct xor_value float_total, float_zero, *floats; /* encoding 3 */
};

/* ---- bits ---- */

static bool reserve(struct hist_chunk_writer *w, size_t more)
{
    size_t used = (size_t)((w->bit_count + 7) / 8), cap = PL_MAX(w->cap * 2, used + more);
    uint8_t *grown;

    if (w->cap - used >= more) {
        return true;
    }
    grown = pl_arena_alloc_try(w->a, cap);
    if (grown == NULL) {
        return false;
    }
    if (used > 0) {
        memcpy(grown, w->data, used);
    }
    w->data = grown;
    w->cap = cap;
    return true;
}

/* Writes the low n (1..64) bits of v, and clears the rest of the last byte. */
static void put_bits(struct hist_chunk_writer *w, uint64_t v, unsigned n)
{
    uint8_t *p = w->data + (w->bit_count >> 3);
    unsigned used = w->bit_count & 7;
    uint64_t keep = used == 0 ? 0 : (uint64_t)(p[0] & (uint8_t)(0xff00u >> used)) << 56;

    v <<= 64 - n;
    pl_put_be64(p, keep | v >> used);
    if (used + n > 64) {
        p[8] = (uint8_t)(v << (8 - used));
    }
    w->bit_count += n;
}

/* The value u in the form number `form` of bits_width. */
static void put_form(struct hist_chunk_writer *w, uint64_t u, unsigned form)
{
    unsigned n = bits_width[form];

    put_bits(w, form == 8 ? 0xff : (UINT64_C(2) << form) - 2, PL_MIN(form + 1, 8u));
    if (n > 0) {
        put_bits(w, u, n);
    }
}

static void put_uint(struct hist_chunk_writer *w, uint64_t u)
{
    unsigned form = 0;

    while (form < 8 && u >> bits_width[form] != 0) {
        form++;
    }
    put_form(w, u, form);
}

static void put_int(struct hist_chunk_writer *w, int64_t v)
{
    unsigned form = v == 0 ? 0 : 1;

    for (; form > 0 && form < 8; form++) {
        int64_t half = INT64_C(1) << (bits_width[form] - 1);
        if (-(half - 1) <= v && v <= half) {
            break;
        }
    }
    put_form(w, (uint64_t)v, form);
}

static void put_raw(struct hist_chunk_writer *w, double v)
{
    put_bits(w, pl_f64_bits(v), 64);
}

static void put_xor(struct hist_chunk_writer *w, struct xor_value *x, double v)
{
    uint64_t d = pl_f64_bits(v) ^ x->v;
    unsigned leading, trailing, n;

    if (d == 0) {
        put_bits(w, 0, 1);
        return;
    }
    x->v ^= d;
    leading = PL_MIN((unsigned)__builtin_clzll(d), (unsigned)BITS_LEADING_MAX);
    trailing = (unsigned)__builtin_ctzll(d);
    if (x->leading != BITS_WINDOW_NONE && leading >= x->leading && trailing >= x->trailing) {
        put_bits(w, 2, 2);
        put_bits(w, d >> x->trailing, 64u - x->leading - x->trailing);
        return;
    }
    x->leading = (uint8_t)leading;
    x->trailing = (uint8_t)trailing;
    n = 64 - leading - trailing;
    put_bits(w, UINT64_C(3) << 11 | leading << 6 | (n & 63), 13);
    put_bits(w, d >> trailing, n);
}

static void put_dod(struct hist_chunk_writer *w, struct whole *x, int64_t v)
{
    /* Differences wrap, as Go's do. */
    uint64_t delta = (uint64_t)v - (uint64_t)x->v;

    put_int(w, (int64_t)(delta - (uint64_t)x->delta));
    x->v = v;
    x->delta = (int64_t)delta;
}

/* ---- layout ---- */

static void put_zero_threshold(struct hist_chunk_writer *w, double v)
{
    int exponent;

    if (v == 0) {
        put_bits(w, 0, 8);
    } else if (frexp(v, &exponent) == 0.5 && exponent >= -242 && exponent <= 11) {
        put_bits(w, (uint64_t)(exponent + 243), 8);
    } else {
        put_bits(w, 255, 8);
        put_raw(w, v);
    }
}

/* Bounds that are whole thousandths of a moderate size are common, and short. */
static void put_bound(struct hist_chunk_writer *w, double v)
{
    double thousandths = v * 1000;

    if (!(thousandths >= 0) || thousandths > 33554430 || round(thousandths) / 1000 != v) {
        put_bits(w, 0, 1);
        put_raw(w, v);
        return;
    }
    put_uint(w, (uint64_t)round(thousandths) + 1);
}

static bool put_spans(struct hist_chunk_writer *w, struct hist_side side)
{
    struct hist_span *spans = pl_arena_alloc_try(w->a, (side.len + 1u) * sizeof(*spans));
    size_t n;

    if (spans == NULL) {
        return false;
    }
    n = hist_side_spans(spans, side);
    put_uint(w, n);
    for (size_t i = 0; i < n; i++) {
        put_uint(w, spans[i].length);
        put_int(w, spans[i].offset);
    }
    return true;
}

static bool put_layout(struct hist_chunk_writer *w)
{
    const struct hist *l = w->layout;
    size_t buckets = (size_t)l->pos.len + l->neg.len;

    if (!reserve(w, SLACK_BYTES * 4 + buckets * SPAN_BYTES + (size_t)l->bound_count * FIELD_BYTES)) {
        return false;
    }
    put_zero_threshold(w, l->zero_threshold);
    put_int(w, l->schema);
    if (!put_spans(w, l->pos) || !put_spans(w, l->neg)) {
        return false;
    }
    if (hist_is_custom(l)) {
        put_uint(w, l->bound_count);
        for (uint32_t i = 0; i < l->bound_count; i++) {
            put_bound(w, l->bounds[i]);
        }
    }
    return true;
}

struct hist_chunk_writer *hist_chunk_begin(struct pl_arena *a, uint8_t encoding, const struct hist *first)
{
    static const uint8_t flags[] = {[HIST_HINT_UNKNOWN] = HIST_FLAG_UNKNOWN,
                                    [HIST_HINT_RESET] = HIST_FLAG_RESET,
                                    [HIST_HINT_NOT_RESET] = HIST_FLAG_NOT_RESET,
                                    [HIST_HINT_GAUGE] = HIST_FLAG_GAUGE};
    static const struct hist empty = {0};
    struct hist_chunk_writer *w = pl_arena_zero_try(a, sizeof(*w));
    size_t buckets;

    PL_ASSERT(encoding == CHUNK_ENC_HISTOGRAM || encoding == CHUNK_ENC_FLOAT_HISTOGRAM);
    PL_ASSERT(first->hint < PL_ARRAY_LEN(flags));
    if (w == NULL) {
        return NULL;
    }
    w->a = a;
    w->encoding = encoding;
    w->flag = flags[first->hint];
    w->sum.leading = w->float_total.leading = w->float_zero.leading = BITS_WINDOW_NONE;
    w->layout = hist_copy(a, pl_is_stale(first->sum) ? &empty : first);
    if (w->layout == NULL || !reserve(w, HIST_CHUNK_HEADER + SLACK_BYTES)) {
        return NULL;
    }
    w->bit_count = HIST_CHUNK_HEADER * 8;
    pl_put_be16(w->data, 0);
    w->data[2] = w->flag;
    buckets = (size_t)w->layout->pos.len + w->layout->neg.len + 1;
    w->last = pl_arena_new_array_try(a, double, buckets);
    if (encoding == CHUNK_ENC_HISTOGRAM) {
        w->whole = pl_arena_new_array_try(a, struct whole, buckets);
    } else {
        w->floats = pl_arena_new_array_try(a, struct xor_value, buckets);
    }
    if (w->last == NULL || (w->whole == NULL && w->floats == NULL) || !put_layout(w)) {
        return NULL;
    }
    return w;
}

/* ---- samples ---- */

static bool same_indices(struct hist_side x, struct hist_side y)
{
    return x.len == y.len && (x.len == 0 || memcmp(x.at, y.at, x.len * sizeof(*x.at)) == 0);
}

static bool same_layout(const struct hist *x, const struct hist *y)
{
    if (x->schema != y->schema || !same_indices(x->pos, y->pos) || !same_indices(x->neg, y->neg)) {
        return false;
    }
    if (!hist_is_custom(x)) {
        return x->zero_threshold == y->zero_threshold;
    }
    for (uint32_t i = 0; i < x->bound_count && x->bound_count == y->bound_count; i++) {
        if (x->bounds[i] != y->bounds[i]) {
            return false;
        }
    }
    return x->bound_count == y->bound_count;
}

static bool any_less(const double *now, const double *last, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (now[i] < last[i]) {
            return true;
        }
    }
    return false;
}

bool hist_chunk_fits(const struct hist_chunk_writer *w, const struct hist *h)
{
    bool gauge = w->flag == HIST_FLAG_GAUGE;

    if (w->count == 0) {
        return pl_is_stale(h->sum) || same_layout(w->layout, h);
    }
    if (w->count == HIST_CHUNK_SAMPLES_MAX || gauge != (h->hint == HIST_HINT_GAUGE) || h->hint == HIST_HINT_RESET) {
        return false;
    }
    if (pl_is_stale(h->sum)) {
        return true;
    }
    if (w->stale || !same_layout(w->layout, h)) {
        return false; /* behind a stale sample only stale ones may follow */
    }
    return gauge || !(h->count < w->last_count || h->zero_count < w->last_zero ||
                      any_less(h->pos.n, w->last, h->pos.len) || any_less(h->neg.n, w->last + h->pos.len, h->neg.len));
}

static int64_t whole_of(double v)
{
    return v >= 0x1p63 && v < 0x1p64 ? (int64_t)(uint64_t)v : pl_f64_to_i64(v);
}

static void put_whole_side(struct hist_chunk_writer *w, struct whole *x, struct hist_side side)
{
    int64_t before = 0;

    for (uint32_t i = 0; i < side.len; i++) {
        int64_t count = whole_of(side.n[i]), v = (int64_t)((uint64_t)count - (uint64_t)before);

        if (w->count == 0) {
            put_int(w, v);
            x[i] = (struct whole){.v = v};
        } else {
            put_dod(w, &x[i], v);
        }
        before = count;
    }
}

static void put_whole(struct hist_chunk_writer *w, const struct hist *h, bool stale)
{
    int64_t count = whole_of(h->count), zero = whole_of(h->zero_count);

    if (w->count == 0) {
        put_uint(w, (uint64_t)count);
        put_uint(w, (uint64_t)zero);
        put_raw(w, h->sum);
        w->total.v = count;
        w->zero.v = zero;
        w->sum.v = pl_f64_bits(h->sum);
    } else if (stale) {
        put_int(w, 0);
        put_int(w, 0);
        put_xor(w, &w->sum, h->sum);
        /* As Prometheus's: the next sample, stale too, says nothing about counts either. */
        w->total = w->zero = (struct whole){0};
    } else {
        put_dod(w, &w->total, count);
        put_dod(w, &w->zero, zero);
        put_xor(w, &w->sum, h->sum);
    }
    put_whole_side(w, w->whole, h->pos);
    put_whole_side(w, w->whole + h->pos.len, h->neg);
}

static void put_float(struct hist_chunk_writer *w, struct xor_value *x, double v)
{
    if (w->count == 0) {
        put_raw(w, v);
        *x = (struct xor_value){.v = pl_f64_bits(v), .leading = BITS_WINDOW_NONE};
    } else {
        put_xor(w, x, v);
    }
}

static void put_floats(struct hist_chunk_writer *w, const struct hist *h)
{
    put_float(w, &w->float_total, h->count);
    put_float(w, &w->float_zero, h->zero_count);
    put_float(w, &w->sum, h->sum);
    for (uint32_t i = 0; i < h->pos.len; i++) {
        put_float(w, &w->floats[i], h->pos.n[i]);
    }
    for (uint32_t i = 0; i < h->neg.len; i++) {
        put_float(w, &w->floats[h->pos.len + i], h->neg.n[i]);
    }
}

bool hist_chunk_append(struct hist_chunk_writer *w, int64_t t_ms, const struct hist *h)
{
    const struct hist stale = {.sum = pl_f64_from_bits(PL_STALE_NAN_BITS)};
    size_t buckets = (size_t)w->layout->pos.len + w->layout->neg.len;
    bool is_stale = pl_is_stale(h->sum);

    PL_ASSERT(hist_chunk_fits(w, h));
    if (!reserve(w, (buckets + HEAD_FIELDS) * FIELD_BYTES + SLACK_BYTES)) {
        return false;
    }
    h = is_stale ? &stale : h;
    if (w->count == 0) {
        put_int(w, t_ms);
    } else {
        struct whole t = {.v = w->t, .delta = w->t_delta};
        put_dod(w, &t, t_ms);
        w->t_delta = t.delta;
    }
    w->t = t_ms;
    if (w->encoding == CHUNK_ENC_HISTOGRAM) {
        put_whole(w, h, is_stale);
    } else {
        put_floats(w, h);
    }
    w->stale = is_stale;
    w->last_count = h->count;
    w->last_zero = h->zero_count;
    if (h->pos.len > 0) {
        memcpy(w->last, h->pos.n, h->pos.len * sizeof(*w->last));
    }
    if (h->neg.len > 0) {
        memcpy(w->last + h->pos.len, h->neg.n, h->neg.len * sizeof(*w->last));
    }
    w->count++;
    pl_put_be16(w->data, (uint16_t)w->count);
    return true;
}

const uint8_t *hist_chunk_bytes(const struct hist_chunk_writer *w, size_t *size)
{
    *size = (size_t)((w->bit_count + 7) / 8);
    return w->data;
}
