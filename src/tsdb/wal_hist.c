#include "tsdb/wal_hist.h"

#include "codec/varint.h"

enum { HEAD_BYTES_MAX = 17 + 12 * VARINT_MAX + 4 * 8, SPAN_BYTES_MAX = 2 * VARINT_MAX };

/* ---- writing ---- */

static uint64_t whole_of(double v)
{
    return v >= 0x1p63 && v < 0x1p64 ? (uint64_t)v : (uint64_t)pl_f64_to_i64(v);
}

static uint8_t *put_f64(uint8_t *p, double v)
{
    pl_put_be64(p, pl_f64_bits(v));
    return p + 8;
}

/* Runs of consecutive indices, as hist_side_spans finds them. */
static uint8_t *put_spans(uint8_t *p, struct hist_side side)
{
    uint64_t count = 0;
    int64_t end = 0;

    for (uint32_t i = 0; i < side.len; i++) {
        count += i == 0 || side.at[i] != (int64_t)side.at[i - 1] + 1;
    }
    p = uvarint_put(p, count);
    for (uint32_t i = 0; i < side.len;) {
        uint32_t first = i++;
        while (i < side.len && side.at[i] == (int64_t)side.at[i - 1] + 1) {
            i++;
        }
        p = varint_put(p, side.at[first] - end);
        p = uvarint_put(p, i - first);
        end = (int64_t)side.at[i - 1] + 1;
    }
    return p;
}

static uint8_t *put_counts(uint8_t *p, struct hist_side side, bool whole)
{
    uint64_t before = 0;

    p = uvarint_put(p, side.len);
    for (uint32_t i = 0; i < side.len; i++) {
        if (whole) {
            uint64_t v = whole_of(side.n[i]);
            p = varint_put(p, (int64_t)(v - before));
            before = v;
        } else {
            p = put_f64(p, side.n[i]);
        }
    }
    return p;
}

void wal_hist_encode(struct pl_buf *b, uint64_t ref, int64_t t, const struct hist *h, bool whole)
{
    size_t max =
        HEAD_BYTES_MAX + ((size_t)h->pos.len + h->neg.len) * (SPAN_BYTES_MAX + VARINT_MAX) + (size_t)h->bound_count * 8;
    uint8_t *p = (uint8_t *)pl_buf_reserve(b, max), *start = p;

    if (b->n == 0) {
        *p++ = (uint8_t)(WAL_REC_HIST_FIRST + wal_hist_kind(h, whole));
        memset(p, 0, 16); /* base reference and time 0: the deltas are the values */
        p += 16;
    }
    p = varint_put(p, (int64_t)ref);
    p = varint_put(p, t);
    *p++ = h->hint;
    p = varint_put(p, h->schema);
    p = put_f64(p, h->zero_threshold);
    if (whole) {
        p = uvarint_put(p, whole_of(h->zero_count));
        p = uvarint_put(p, whole_of(h->count));
    } else {
        p = put_f64(p, h->zero_count);
        p = put_f64(p, h->count);
    }
    p = put_f64(p, h->sum);
    p = put_spans(p, h->pos);
    p = put_spans(p, h->neg);
    p = put_counts(p, h->pos, whole);
    p = put_counts(p, h->neg, whole);
    if (hist_is_custom(h)) {
        p = uvarint_put(p, h->bound_count);
        for (uint32_t i = 0; i < h->bound_count; i++) {
            p = put_f64(p, h->bounds[i]);
        }
    }
    b->n += (size_t)(p - start);
}

/* ---- reading ---- */

pl_status wal_hists_begin(struct wal_hists *it, const uint8_t *p, size_t n, struct pl_err *err)
{
    *it = (struct wal_hists){.p = p + 1, .end = p + n, .type = p[0]};
    if (n == 1) {
        return PL_OK;
    }
    if (n < 17) {
        return pl_fail(err, PL_CORRUPT, "histograms record cut off");
    }
    it->base_ref = pl_get_be64(p + 1);
    it->base_t = (int64_t)pl_get_be64(p + 9);
    it->p += 16;
    return PL_OK;
}

/* A cursor that notes running out, so that fields can be read in a row. */
struct in {
    const uint8_t *p, *end; /* p NULL: past the end */
    struct pl_arena *a;
};

static uint64_t get_uint(struct in *in)
{
    uint64_t v = 0;

    in->p = in->p != NULL ? uvarint_get(in->p, in->end, &v) : NULL;
    return v;
}

static int64_t get_int(struct in *in)
{
    int64_t v = 0;

    in->p = in->p != NULL ? varint_get(in->p, in->end, &v) : NULL;
    return v;
}

static double get_f64(struct in *in)
{
    double v = 0;

    if (in->p == NULL || in->end - in->p < 8) {
        in->p = NULL;
        return 0;
    }
    v = pl_f64_from_bits(pl_get_be64(in->p));
    in->p += 8;
    return v;
}

/* An array's length, each element of which takes `each` bytes at least: bounded by what is left. */
static uint64_t get_len(struct in *in, size_t each)
{
    uint64_t n = get_uint(in);

    if (in->p != NULL && n > (uint64_t)(in->end - in->p) / each) {
        in->p = NULL;
    }
    return in->p != NULL ? n : 0;
}

/* The indices of one side. *valid turns false when its spans are none that a histogram can have. */
static bool get_spans(struct in *in, struct hist_side *side, bool *valid)
{
    uint64_t n = get_len(in, 2);
    struct hist_span *spans = pl_arena_new_array_try(in->a, struct hist_span, n + 1);
    bool bad = false;

    if (spans == NULL) {
        return false;
    }
    for (uint64_t i = 0; i < n; i++) {
        int64_t offset = get_int(in);
        uint64_t length = get_uint(in);
        *valid = *valid && offset >= INT32_MIN && offset <= INT32_MAX && length <= HIST_BUCKETS_MAX;
        spans[i] = (struct hist_span){.offset = (int32_t)offset, .length = (uint32_t)length};
    }
    if (in->p == NULL || !*valid) {
        return true;
    }
    side->at = hist_span_indices(in->a, spans, n, &side->len, &bad);
    *valid = !bad;
    return side->at != NULL || bad;
}

static bool get_counts(struct in *in, struct hist_side *side, bool whole, bool *valid)
{
    uint64_t n = get_len(in, whole ? 1 : 8), count = 0;
    double *v = pl_arena_new_array_try(in->a, double, n + 1);

    if (v == NULL) {
        return false;
    }
    for (uint64_t i = 0; i < n; i++) {
        if (whole) {
            count += (uint64_t)get_int(in);
            v[i] = (double)(int64_t)count;
        } else {
            v[i] = get_f64(in);
        }
    }
    *valid = *valid && n == side->len;
    side->n = v;
    return true;
}

static bool get_bounds(struct in *in, struct hist *h)
{
    uint64_t n = get_len(in, 8);
    double *v = pl_arena_new_array_try(in->a, double, n + 1);

    if (v == NULL) {
        return false;
    }
    for (uint64_t i = 0; i < n; i++) {
        v[i] = get_f64(in);
    }
    h->bounds = v;
    h->bound_count = (uint32_t)n;
    return true;
}

/* Everything but reference and time. False: no memory. */
static bool get_hist(struct in *in, struct hist *h, bool whole, bool *valid)
{
    int64_t schema;

    if (in->p != NULL && in->p < in->end) {
        h->hint = *in->p++ & 3;
    } else {
        in->p = NULL;
    }
    schema = get_int(in);
    h->zero_threshold = get_f64(in);
    h->zero_count = whole ? (double)get_uint(in) : get_f64(in);
    h->count = whole ? (double)get_uint(in) : get_f64(in);
    h->sum = get_f64(in);
    *valid = schema == HIST_SCHEMA_CUSTOM || (schema >= HIST_SCHEMA_MIN && schema <= HIST_SCHEMA_RESERVED_MAX);
    h->schema = *valid ? (int32_t)schema : 0;
    if (!get_spans(in, &h->pos, valid) || !get_spans(in, &h->neg, valid) || !get_counts(in, &h->pos, whole, valid) ||
        !get_counts(in, &h->neg, whole, valid)) {
        return false;
    }
    return schema != HIST_SCHEMA_CUSTOM || get_bounds(in, h);
}

pl_status wal_hists_next(struct wal_hists *it, struct pl_arena *a, struct wal_hist *out, bool *more, struct pl_err *err)
{
    struct in in = {.p = it->p, .end = it->end, .a = a};
    bool valid = true;
    struct hist *h;

    *more = it->p < it->end;
    if (!*more) {
        return PL_OK;
    }
    h = pl_arena_zero_try(a, sizeof(*h));
    out->whole = (it->type - WAL_REC_HIST_FIRST) % 2 == 0;
    out->ref = it->base_ref + (uint64_t)get_int(&in);
    out->t = (int64_t)((uint64_t)it->base_t + (uint64_t)get_int(&in));
    if (h == NULL || !get_hist(&in, h, out->whole, &valid)) {
        return pl_fail(err, PL_NOMEM, "histogram of the log needs too much memory");
    }
    if (in.p == NULL) {
        return pl_fail(err, PL_CORRUPT, "histograms record with a sample cut off");
    }
    it->p = in.p;
    if (valid && h->schema > HIST_SCHEMA_MAX) {
        uint8_t hint = h->hint;
        h = hist_reduce(a, h, HIST_SCHEMA_MAX);
        if (h == NULL) {
            return pl_fail(err, PL_NOMEM, "histogram of the log needs too much memory");
        }
        h->hint = hint;
    }
    valid = valid && !(h->zero_threshold != h->zero_threshold); /* NaN: no bucket */
    out->h = valid && (pl_is_stale(h->sum) || hist_validate(h, NULL) == PL_OK) ? h : NULL;
    return PL_OK;
}
