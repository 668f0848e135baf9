/* Native histograms of a write request: from their message to a value, with Prometheus's checks of integer and float
 * histograms (spec prometheus.md 8.3). */
#include "codec/remote_write_internal.h"

#include "codec/varint.h"

#include <inttypes.h>
#include <math.h>

/* A repeated field while it is gathered. */
struct column {
    union {
        int64_t *i;
        double *f;
        struct hist_span *spans;
        void *any;
    } v;
    uint32_t n, cap;
};

struct side {
    struct column spans, deltas, counts;
};

/* The message as it came. */
struct message {
    struct pl_arena *a;
    struct pl_err *err;
    bool is_float;
    uint64_t count, zero_count;
    double count_float, zero_count_float, sum, zero_threshold;
    int64_t t;
    int32_t schema, hint;
    struct side neg, pos;
    struct column bounds;
};

static int64_t zigzag(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

/* Room for one more element. */
static pl_status reserve(struct message *m, struct column *c, size_t size)
{
    uint32_t cap = PL_MAX(c->cap * 2, (uint32_t)8);
    void *grown;

    if (c->n < c->cap) {
        return PL_OK;
    }
    grown = c->cap < UINT32_MAX / 2 ? pl_arena_alloc_try(m->a, (size_t)cap * size) : NULL;
    if (grown == NULL) {
        return remote_write__fail_memory(m->err, m->a);
    }
    if (c->n > 0) {
        memcpy(grown, c->v.any, c->n * size);
    }
    c->v.any = grown;
    c->cap = cap;
    return PL_OK;
}

static pl_status add_delta(struct message *m, struct column *c, uint64_t v)
{
    PL_TRY(reserve(m, c, sizeof(*c->v.i)));
    c->v.i[c->n++] = zigzag(v);
    return PL_OK;
}

static pl_status add_float(struct message *m, struct column *c, uint64_t bits)
{
    PL_TRY(reserve(m, c, sizeof(*c->v.f)));
    c->v.f[c->n++] = pl_f64_from_bits(bits);
    return PL_OK;
}

/* Packed or not: both are valid protobuf. */
static pl_status take_deltas(struct message *m, struct column *c, const struct field *f, const char *name)
{
    if (f->wire == WIRE_VARINT) {
        return add_delta(m, c, f->varint);
    }
    if (f->wire != WIRE_BYTES) {
        return remote_write__fail_wire(m->err, f->wire, name);
    }
    for (const uint8_t *p = f->p; p < f->end;) {
        uint64_t v;
        const uint8_t *next = uvarint_get(p, f->end, &v);
        if (next == NULL) {
            return f->end - p < VARINT_MAX ? pl_fail(m->err, PL_INVALID, "unexpected EOF")
                                           : pl_fail(m->err, PL_INVALID, "proto: integer overflow");
        }
        PL_TRY(add_delta(m, c, v));
        p = next;
    }
    return PL_OK;
}

static pl_status take_floats(struct message *m, struct column *c, const struct field *f, const char *name)
{
    if (f->wire == WIRE_FIXED64) {
        return add_float(m, c, f->varint);
    }
    if (f->wire != WIRE_BYTES) {
        return remote_write__fail_wire(m->err, f->wire, name);
    }
    for (const uint8_t *p = f->p; p < f->end; p += 8) {
        if (f->end - p < 8) {
            return pl_fail(m->err, PL_INVALID, "unexpected EOF");
        }
        PL_TRY(add_float(m, c, pl_get_le64(p)));
    }
    return PL_OK;
}

/* BucketSpan: 1 offset (sint32), 2 length (uint32). */
static pl_status take_span(struct message *m, struct column *c, const struct field *outer, const char *name)
{
    struct hist_span span = {0};
    struct field f;

    if (outer->wire != WIRE_BYTES) {
        return remote_write__fail_wire(m->err, outer->wire, name);
    }
    for (const uint8_t *p = outer->p; p < outer->end; p = f.end) {
        PL_TRY(remote_write__field(&f, p, outer->end, "BucketSpan", m->err));
        if (f.number != 1 && f.number != 2) {
            continue;
        }
        if (f.wire != WIRE_VARINT) {
            return remote_write__fail_wire(m->err, f.wire, f.number == 1 ? "Offset" : "Length");
        }
        if (f.number == 1) {
            span.offset = (int32_t)zigzag((uint32_t)f.varint);
        } else {
            span.length = (uint32_t)f.varint;
        }
    }
    PL_TRY(reserve(m, c, sizeof(span)));
    c->v.spans[c->n++] = span;
    return PL_OK;
}

static pl_status take_field(struct message *m, const struct field *f)
{
    static const struct {
        const char *name;
        enum wire wire; /* WIRE_BYTES: a repeated field, which says itself what it takes */
    } fields[] = {
        {NULL, WIRE_BYTES},
        {"CountInt", WIRE_VARINT},
        {"CountFloat", WIRE_FIXED64},
        {"Sum", WIRE_FIXED64},
        {"Schema", WIRE_VARINT},
        {"ZeroThreshold", WIRE_FIXED64},
        {"ZeroCountInt", WIRE_VARINT},
        {"ZeroCountFloat", WIRE_FIXED64},
        {"NegativeSpans", WIRE_BYTES},
        {"NegativeDeltas", WIRE_BYTES},
        {"NegativeCounts", WIRE_BYTES},
        {"PositiveSpans", WIRE_BYTES},
        {"PositiveDeltas", WIRE_BYTES},
        {"PositiveCounts", WIRE_BYTES},
        {"ResetHint", WIRE_VARINT},
        {"TimestampMs", WIRE_VARINT},
        {"CustomValues", WIRE_BYTES},
    };
    const char *name;

    if (f->number >= PL_ARRAY_LEN(fields)) {
        return PL_OK;
    }
    name = fields[f->number].name;
    if (fields[f->number].wire != WIRE_BYTES && f->wire != fields[f->number].wire) {
        return remote_write__fail_wire(m->err, f->wire, name);
    }
    switch (f->number) {
    case 1:
    case 2:
        m->is_float = f->number == 2; /* one of both: the last one counts */
        m->count = f->varint;
        m->count_float = pl_f64_from_bits(f->varint);
        break;
    case 3:
        m->sum = pl_f64_from_bits(f->varint);
        break;
    case 4:
        m->schema = (int32_t)zigzag((uint32_t)f->varint);
        break;
    case 5:
        m->zero_threshold = pl_f64_from_bits(f->varint);
        break;
    case 6:
        m->zero_count = f->varint;
        break;
    case 7:
        m->zero_count_float = pl_f64_from_bits(f->varint);
        break;
    case 8:
        return take_span(m, &m->neg.spans, f, name);
    case 9:
        return take_deltas(m, &m->neg.deltas, f, name);
    case 10:
        return take_floats(m, &m->neg.counts, f, name);
    case 11:
        return take_span(m, &m->pos.spans, f, name);
    case 12:
        return take_deltas(m, &m->pos.deltas, f, name);
    case 13:
        return take_floats(m, &m->pos.counts, f, name);
    case 14:
        m->hint = (int32_t)f->varint;
        break;
    case 15:
        m->t = (int64_t)f->varint;
        break;
    default:
        return take_floats(m, &m->bounds, f, name);
    }
    return PL_OK;
}

/* ---- from message to value ---- */

/* Makes one side. PL_INVALID with Prometheus's text (without the side's name); *total: its observations. */
static pl_status make_side(struct hist_side *out, const struct message *m, const struct side *s, uint64_t *total,
                           struct pl_err *err)
{
    uint32_t buckets = m->is_float ? s->counts.n : s->deltas.n;
    uint64_t need = 0, count = 0;
    double *n;
    bool bad;

    for (uint32_t i = 0; i < s->spans.n; i++) {
        if (i > 0 && s->spans.v.spans[i].offset < 0) {
            return pl_fail(err, PL_INVALID,
                           "span number %u with offset %d: histogram has a span whose offset is negative", i + 1,
                           s->spans.v.spans[i].offset);
        }
        need += s->spans.v.spans[i].length;
    }
    if (need != buckets) {
        return pl_fail(err, PL_INVALID,
                       "spans need %" PRIu64 " buckets, have %u buckets: histogram spans specify different number of "
                       "buckets than provided",
                       need, buckets);
    }
    if (buckets == 0) {
        return PL_OK;
    }
    out->at = hist_span_indices(m->a, s->spans.v.spans, s->spans.n, &out->len, &bad);
    if (out->at == NULL) {
        return bad ? pl_fail(err, PL_INVALID, "histogram has spans that are too long or too far apart")
                   : remote_write__fail_memory(err, m->a);
    }
    if (m->is_float) {
        out->n = s->counts.v.f;
        return PL_OK;
    }
    n = pl_arena_alloc_try(m->a, buckets * sizeof(*n));
    if (n == NULL) {
        return remote_write__fail_memory(err, m->a);
    }
    for (uint32_t i = 0; i < buckets; i++) {
        count += (uint64_t)s->deltas.v.i[i];
        n[i] = (double)(int64_t)count;
        *total += count;
    }
    out->n = n;
    return PL_OK;
}

static pl_status make_named_side(struct hist_side *out, const struct message *m, const struct side *s, const char *name,
                                 uint64_t *total, struct pl_err *err)
{
    pl_status st = make_side(out, m, s, total, err);

    if (st == PL_INVALID) {
        pl_wrap(err, "%s", name);
    }
    return st;
}

/* Integer histograms count their observations twice. */
static pl_status check_total(const struct message *m, uint64_t total, struct pl_err *err)
{
    if (m->is_float || (isnan(m->sum) ? total <= m->count : total == m->count)) {
        return PL_OK;
    }
    return pl_fail(err, PL_INVALID, "%" PRIu64 " observations found in buckets, but the Count field is %" PRIu64 ": %s",
                   total, m->count,
                   isnan(m->sum) ? "histogram's observation count should be at least the number of observations found "
                                   "in the buckets"
                                 : "histogram's observation count should equal the number of observations found in the "
                                   "buckets (in absence of NaN)");
}

static pl_status make_hist(struct hist *h, const struct message *m, struct pl_err *err)
{
    bool custom = m->schema == HIST_SCHEMA_CUSTOM;
    uint64_t total = m->zero_count;

    *h = (struct hist){.count = m->is_float ? m->count_float : (double)m->count,
                       .zero_count = m->is_float ? m->zero_count_float : (double)m->zero_count,
                       .sum = m->sum,
                       .zero_threshold = m->zero_threshold,
                       .schema = m->schema,
                       .hint = (uint8_t)m->hint};
    if (m->bounds.n > 0) {
        h->bounds = m->bounds.v.f;
        h->bound_count = m->bounds.n;
    }
    if (isnan(m->zero_threshold)) {
        return pl_fail(err, PL_INVALID, "histogram's zero threshold is not a number");
    }
    PL_TRY(make_named_side(&h->pos, m, &m->pos, custom ? "custom buckets" : "positive side", &total, err));
    PL_TRY(make_named_side(&h->neg, m, &m->neg, "negative side", &total, err));
    PL_TRY(hist_validate(h, err));
    return check_total(m, total, err);
}

pl_status remote_write__histogram(struct remote_write_histogram *out, const uint8_t *p, const uint8_t *end,
                                  struct pl_arena *a, struct pl_err *err)
{
    const uint32_t bytes = (uint32_t)PL_MIN((uint64_t)(end - p), (uint64_t)UINT32_MAX);
    struct message m = {.a = a, .err = err};
    struct pl_err why = {.status = PL_OK};
    struct hist *h = pl_arena_zero_try(a, sizeof(*h));
    struct field f;
    size_t size;
    pl_status st;

    if (h == NULL) {
        return remote_write__fail_memory(err, a);
    }
    for (; p < end; p = f.end) {
        PL_TRY(remote_write__field(&f, p, end, "Histogram", err));
        PL_TRY(take_field(&m, &f));
    }
    *out = (struct remote_write_histogram){.t = m.t, .bytes = bytes, .schema = m.schema, .whole = !m.is_float};
    if (m.hint < 0 || m.hint > HIST_HINT_GAUGE) {
        m.hint = HIST_HINT_UNKNOWN;
    }
    out->schema_known =
        m.schema == HIST_SCHEMA_CUSTOM || (m.schema >= HIST_SCHEMA_MIN && m.schema <= HIST_SCHEMA_RESERVED_MAX);
    if (!out->schema_known) {
        return PL_OK;
    }
    if (m.schema > HIST_SCHEMA_MAX) { /* checked as what it becomes: the indices only move together */
        int32_t finer = m.schema;
        m.schema = HIST_SCHEMA_MAX;
        st = make_hist(h, &m, &why);
        h->schema = finer;
        if (st == PL_OK) {
            uint8_t hint = h->hint;
            h = hist_reduce(a, h, HIST_SCHEMA_MAX);
            if (h == NULL) {
                return remote_write__fail_memory(err, a);
            }
            h->hint = hint;
        }
    } else {
        st = make_hist(h, &m, &why);
    }
    if (st == PL_OK) {
        out->h = h;
        return PL_OK;
    }
    if (st != PL_INVALID) {
        return pl_fail(err, st, "%s", why.msg);
    }
    size = strlen(why.msg) + 1;
    out->problem = pl_arena_alloc_try(a, size);
    if (out->problem == NULL) {
        return remote_write__fail_memory(err, a);
    }
    memcpy(out->problem, why.msg, size);
    return PL_OK;
}
