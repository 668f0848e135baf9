#include "codec/hist_chunk.h"

#include "codec/hist_bits.h"

#include <math.h>

#define LIMIT_TEXT "query memory limit"

/* What all samples of a chunk share. */
struct layout {
    struct hist h; /* schema, zero threshold, bounds, and the indices of both sides */
    uint32_t pos, neg;
};

uint32_t hist_chunk_count(const uint8_t *data, size_t size)
{
    return size < HIST_CHUNK_HEADER ? 0 : pl_get_be16(data);
}

uint8_t hist_chunk_hint(const uint8_t *data, size_t size)
{
    static const uint8_t hints[4] = {HIST_HINT_UNKNOWN, HIST_HINT_NOT_RESET, HIST_HINT_RESET, HIST_HINT_GAUGE};

    return size < HIST_CHUNK_HEADER ? HIST_HINT_UNKNOWN : hints[data[2] >> 6];
}

static pl_status fail_short(struct pl_err *err, const struct bits *b)
{
    return pl_fail(err, PL_CORRUPT, "histogram chunk: %llu bytes end inside its samples",
                   (unsigned long long)b->size + HIST_CHUNK_HEADER);
}

/* ---- layout ---- */

static double get_zero_threshold(struct bits *b)
{
    unsigned kind = (unsigned)bits_get(b, 8);

    return kind == 0 ? 0 : kind == 255 ? pl_f64_from_bits(bits_get(b, 64)) : ldexp(0.5, (int)kind - 243);
}

/* Reads the spans of one side. Each bucket takes a bit at least in every sample, so what a chunk can claim is bounded
 * by its size. */
static pl_status get_side(struct bits *b, struct pl_arena *a, const int32_t **at, uint32_t *len, struct pl_err *err)
{
    uint64_t count = bits_get_uint(b), total = 0;
    struct hist_span *spans;
    bool bad;

    *at = NULL;
    *len = 0;
    if (count == 0) {
        return PL_OK;
    }
    if (count > bits_left(b) / 2) {
        return fail_short(err, b);
    }
    spans = pl_arena_alloc_try(a, count * sizeof(*spans));
    if (spans == NULL) {
        return pl_fail(err, PL_LIMIT, LIMIT_TEXT);
    }
    for (uint64_t i = 0; i < count; i++) {
        uint64_t length = bits_get_uint(b);
        int64_t offset = bits_get_int(b);

        total += PL_MIN(length, (uint64_t)UINT32_MAX);
        if (bits_ended(b) || total > bits_left(b)) {
            return fail_short(err, b);
        }
        if (offset < INT32_MIN || offset > INT32_MAX) {
            return pl_fail(err, PL_CORRUPT, "histogram chunk: span offset %lld is out of range", (long long)offset);
        }
        spans[i] = (struct hist_span){.offset = (int32_t)offset, .length = (uint32_t)length};
    }
    *at = hist_span_indices(a, spans, count, len, &bad);
    if (*at == NULL) {
        return bad ? pl_fail(err, PL_CORRUPT, "histogram chunk: its spans are not in order or too long")
                   : pl_fail(err, PL_LIMIT, LIMIT_TEXT);
    }
    return PL_OK;
}

static pl_status get_bounds(struct bits *b, struct pl_arena *a, struct hist *h, struct pl_err *err)
{
    uint64_t count = bits_get_uint(b);
    double *bounds;

    if (count > bits_left(b) / 5 || count > HIST_BUCKETS_MAX) {
        return fail_short(err, b);
    }
    if (count == 0) {
        return PL_OK;
    }
    bounds = pl_arena_alloc_try(a, count * sizeof(*bounds));
    if (bounds == NULL) {
        return pl_fail(err, PL_LIMIT, LIMIT_TEXT);
    }
    for (uint64_t i = 0; i < count; i++) {
        uint64_t thousandths = bits_get_uint(b);

        bounds[i] = thousandths == 0 ? pl_f64_from_bits(bits_get(b, 64)) : (double)(thousandths - 1) / 1000;
        if (isnan(bounds[i]) || (i > 0 && !(bounds[i] > bounds[i - 1]))) {
            return pl_fail(err, PL_CORRUPT, "histogram chunk: its custom bounds do not rise");
        }
    }
    h->bounds = bounds;
    h->bound_count = (uint32_t)count;
    return PL_OK;
}

static pl_status get_layout(struct bits *b, struct pl_arena *a, struct layout *l, struct pl_err *err)
{
    int64_t schema;

    *l = (struct layout){0};
    l->h.zero_threshold = get_zero_threshold(b);
    schema = bits_get_int(b);
    PL_TRY(get_side(b, a, &l->h.pos.at, &l->pos, err));
    PL_TRY(get_side(b, a, &l->h.neg.at, &l->neg, err));
    if (bits_ended(b)) {
        return fail_short(err, b);
    }
    if (schema != HIST_SCHEMA_CUSTOM && (schema < HIST_SCHEMA_RESERVED_MIN || schema > HIST_SCHEMA_RESERVED_MAX)) {
        return pl_fail(
            err, PL_CORRUPT,
            "histogram has an unknown schema, which must be between %d and %d for exponential buckets, or %d "
            "for custom buckets, got schema %lld",
            HIST_SCHEMA_RESERVED_MIN, HIST_SCHEMA_RESERVED_MAX, HIST_SCHEMA_CUSTOM, (long long)schema);
    }
    if (isnan(l->h.zero_threshold)) {
        return pl_fail(err, PL_CORRUPT, "histogram chunk: its zero threshold is not a number");
    }
    l->h.schema = (int32_t)schema;
    if (schema == HIST_SCHEMA_CUSTOM) {
        l->h.zero_threshold = 0; /* custom buckets have no zero bucket, whatever bytes say */
        PL_TRY(get_bounds(b, a, &l->h, err));
        if (l->neg > 0 || (l->pos > 0 && (l->h.pos.at[0] < 0 || l->h.pos.at[l->pos - 1] > (int64_t)l->h.bound_count))) {
            return pl_fail(err, PL_CORRUPT, "histogram chunk: a bucket is outside its %u custom bounds",
                           l->h.bound_count);
        }
    }
    return PL_OK;
}

/* ---- samples ---- */

/* A whole number that is stored as delta of deltas. */
struct dod_value {
    uint64_t v, delta;
};

static inline void get_dod(struct bits *b, struct dod_value *x)
{
    x->delta += (uint64_t)bits_get_int(b);
    x->v += x->delta;
}

struct decoder {
    struct bits b;
    struct pl_arena *a;
    struct layout l;
    struct dod_value t;
    struct xor_value sum;
    uint8_t flag;
};

/* Stale samples have no bucket fields, except a first one for what its layout (that should be empty) says. */
static void put_stale(struct hist *h)
{
    *h = (struct hist){.sum = pl_f64_from_bits(PL_STALE_NAN_BITS)};
}

/* The histogram of the sample that was just read; its two count arrays follow each other in memory. */
static void put_hist(const struct decoder *d, struct hist *h, double count, double zero, const double *n, uint32_t i)
{
    *h = d->l.h;
    h->sum = pl_f64_from_bits(d->sum.v);
    h->count = count;
    h->zero_count = hist_is_custom(h) ? 0 : zero;
    h->hint = d->flag == HIST_FLAG_GAUGE ? HIST_HINT_GAUGE : i > 0 ? HIST_HINT_NOT_RESET : HIST_HINT_UNKNOWN;
    h->pos.n = n;
    h->pos.len = d->l.pos;
    h->neg.n = n + d->l.pos;
    h->neg.len = d->l.neg;
    if (d->sum.v == PL_STALE_NAN_BITS) {
        put_stale(h);
    }
}

static double *new_counts(const struct decoder *d)
{
    return pl_arena_alloc_try(d->a, ((size_t)d->l.pos + d->l.neg + 1) * sizeof(double));
}

/* Whole buckets: stored as differences from bucket to bucket, side by side. */
static void get_whole(struct bits *b, struct dod_value *x, double *n, uint32_t len, bool first)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < len; i++) {
        if (first) {
            x[i] = (struct dod_value){.v = (uint64_t)bits_get_int(b)};
        } else {
            get_dod(b, &x[i]);
        }
        count += x[i].v;
        n[i] = (double)(int64_t)count;
    }
}

static pl_status decode_whole(struct decoder *d, uint32_t count, int64_t *t, struct hist *h, struct pl_err *err)
{
    size_t buckets = (size_t)d->l.pos + d->l.neg;
    struct dod_value *x = pl_arena_alloc_try(d->a, (buckets + 1) * sizeof(*x));
    struct dod_value total = {0}, zero = {0};

    if (x == NULL) {
        return pl_fail(err, PL_LIMIT, LIMIT_TEXT);
    }
    for (uint32_t i = 0; i < count; i++) {
        double *n;

        if (i == 0) {
            d->t.v = (uint64_t)bits_get_int(&d->b);
            total.v = bits_get_uint(&d->b);
            zero.v = bits_get_uint(&d->b);
            d->sum.v = bits_get(&d->b, 64);
        } else {
            get_dod(&d->b, &d->t);
            get_dod(&d->b, &total);
            get_dod(&d->b, &zero);
            if (!bits_get_xor(&d->b, &d->sum)) {
                return pl_fail(err, PL_CORRUPT, "histogram chunk: malformed sum");
            }
        }
        t[i] = (int64_t)d->t.v;
        if (i > 0 && d->sum.v == PL_STALE_NAN_BITS) {
            put_stale(&h[i]);
        } else {
            if (bits_left(&d->b) < buckets) {
                return fail_short(err, &d->b);
            }
            n = new_counts(d);
            if (n == NULL) {
                return pl_fail(err, PL_LIMIT, LIMIT_TEXT);
            }
            get_whole(&d->b, x, n, d->l.pos, i == 0);
            get_whole(&d->b, x + d->l.pos, n + d->l.pos, d->l.neg, i == 0);
            put_hist(d, &h[i], (double)total.v, (double)zero.v, n, i);
        }
        if (bits_ended(&d->b)) {
            return fail_short(err, &d->b);
        }
    }
    return PL_OK;
}

static bool get_float(struct bits *b, struct xor_value *x, bool first)
{
    if (first) {
        *x = (struct xor_value){.v = bits_get(b, 64)};
        return true;
    }
    return bits_get_xor(b, x);
}

static pl_status decode_float(struct decoder *d, uint32_t count, int64_t *t, struct hist *h, struct pl_err *err)
{
    size_t buckets = (size_t)d->l.pos + d->l.neg;
    struct xor_value *x = pl_arena_alloc_try(d->a, (buckets + 1) * sizeof(*x));
    struct xor_value total = {0}, zero = {0};

    if (x == NULL) {
        return pl_fail(err, PL_LIMIT, LIMIT_TEXT);
    }
    for (uint32_t i = 0; i < count; i++) {
        bool ok;
        double *n;

        if (i == 0) {
            d->t.v = (uint64_t)bits_get_int(&d->b);
        } else {
            get_dod(&d->b, &d->t);
        }
        t[i] = (int64_t)d->t.v;
        ok = get_float(&d->b, &total, i == 0) && get_float(&d->b, &zero, i == 0) && get_float(&d->b, &d->sum, i == 0);
        if (ok && i > 0 && d->sum.v == PL_STALE_NAN_BITS) {
            put_stale(&h[i]);
        } else if (ok) {
            if (bits_left(&d->b) < buckets) {
                return fail_short(err, &d->b);
            }
            n = new_counts(d);
            if (n == NULL) {
                return pl_fail(err, PL_LIMIT, LIMIT_TEXT);
            }
            for (size_t k = 0; k < buckets && ok; k++) {
                ok = get_float(&d->b, &x[k], i == 0);
                n[k] = pl_f64_from_bits(x[k].v);
            }
            put_hist(d, &h[i], pl_f64_from_bits(total.v), pl_f64_from_bits(zero.v), n, i);
        }
        if (bits_ended(&d->b)) {
            return fail_short(err, &d->b);
        }
        if (!ok) {
            return pl_fail(err, PL_CORRUPT, "histogram chunk: malformed value");
        }
    }
    return PL_OK;
}

/* Chunks of finer schemas than we keep are of a future Prometheus: rare, so the plain way. */
static pl_status reduce_all(struct decoder *d, uint32_t count, struct hist *h, struct pl_err *err)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct hist *made;
        uint8_t hint = h[i].hint;

        if (pl_is_stale(h[i].sum)) {
            continue;
        }
        made = hist_reduce(d->a, &h[i], HIST_SCHEMA_MAX);
        if (made == NULL) {
            return pl_fail(err, PL_LIMIT, LIMIT_TEXT);
        }
        h[i] = *made;
        h[i].hint = hint;
    }
    return PL_OK;
}

pl_status hist_chunk_decode(uint8_t encoding, const uint8_t *data, size_t size, struct pl_arena *a, int64_t *t,
                            struct hist *h, struct pl_err *err)
{
    uint32_t count = hist_chunk_count(data, size);
    struct decoder d = {.a = a};

    if (size < HIST_CHUNK_HEADER) {
        return pl_fail(err, PL_CORRUPT, "histogram chunk: %zu bytes are too few for a header", size);
    }
    if (count == 0) {
        return PL_OK;
    }
    d.b = (struct bits){.p = data + HIST_CHUNK_HEADER, .size = size - HIST_CHUNK_HEADER};
    d.flag = data[2] & HIST_FLAG_MASK;
    PL_TRY(get_layout(&d.b, a, &d.l, err));
    switch (encoding) {
    case CHUNK_ENC_HISTOGRAM:
        PL_TRY(decode_whole(&d, count, t, h, err));
        break;
    case CHUNK_ENC_FLOAT_HISTOGRAM:
        PL_TRY(decode_float(&d, count, t, h, err));
        break;
    default:
        return pl_fail(err, PL_CORRUPT, "histogram chunk: encoding %u is not one", encoding);
    }
    return d.l.h.schema > HIST_SCHEMA_MAX ? reduce_all(&d, count, h, err) : PL_OK;
}
