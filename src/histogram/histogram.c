#include "histogram/internal.h"

/* ---- spans ---- */

/* In order, not too many buckets, and every gap between buckets is one that a span's offset can state. */
static bool spans_are_good(const struct hist_span *spans, size_t count, uint64_t *total)
{
    int64_t at = 0, end = INT32_MAX; /* one behind the last bucket so far */

    *total = 0;
    for (size_t i = 0; i < count; i++) {
        *total += spans[i].length;
        at += spans[i].offset;
        if (*total > HIST_BUCKETS_MAX || (i > 0 && spans[i].offset < 0) || at + spans[i].length > INT32_MAX) {
            return false;
        }
        if (spans[i].length > 0) {
            if (at < INT32_MIN || at - end > INT32_MAX) {
                return false;
            }
            at += spans[i].length;
            end = at;
        }
    }
    return true;
}

int32_t *hist_span_indices(struct pl_arena *a, const struct hist_span *spans, size_t count, uint32_t *len, bool *bad)
{
    uint64_t total;
    int64_t at = 0;
    int32_t *out;
    size_t n = 0;

    *bad = !spans_are_good(spans, count, &total);
    if (*bad) {
        return NULL;
    }
    out = pl_arena_alloc_try(a, PL_MAX(total, (uint64_t)1) * sizeof(*out));
    if (out == NULL) {
        return NULL;
    }
    at = 0;
    for (size_t i = 0; i < count; i++) {
        at += spans[i].offset;
        for (uint32_t k = 0; k < spans[i].length; k++) {
            out[n++] = (int32_t)at++;
        }
    }
    *len = (uint32_t)n;
    return out;
}

size_t hist_side_spans(struct hist_span *out, struct hist_side side)
{
    int64_t end = 0; /* one behind the last bucket so far */
    size_t n = 0;

    for (uint32_t i = 0; i < side.len; i++) {
        if (n == 0 || side.at[i] != end) {
            out[n++] = (struct hist_span){.offset = (int32_t)(side.at[i] - end)};
        }
        out[n - 1].length++;
        end = (int64_t)side.at[i] + 1;
    }
    return n;
}

static uint64_t count_spans(struct hist_side side)
{
    uint64_t n = side.len > 0;

    for (uint32_t i = 1; i < side.len; i++) {
        n += side.at[i] != (int64_t)side.at[i - 1] + 1;
    }
    return n;
}

/* ---- copies ---- */

bool hist__side_make(struct pl_arena *a, uint32_t n, int32_t **at, double **v)
{
    size_t room = PL_MAX(n, 1u);

    *at = pl_arena_alloc_try(a, room * sizeof(**at));
    *v = pl_arena_alloc_try(a, room * sizeof(**v));
    return *at != NULL && *v != NULL;
}

/* What a copy has beside its buckets: fields that its kind of schema does not use are left out. */
static bool copy_head(struct hist *to, struct pl_arena *a, const struct hist *h)
{
    double *bounds;

    *to = (struct hist){.count = h->count, .sum = h->sum, .schema = h->schema, .hint = h->hint};
    if (!hist_is_custom(h)) {
        to->zero_threshold = h->zero_threshold;
        to->zero_count = h->zero_count;
        return true;
    }
    if (h->bound_count > 0) {
        bounds = pl_arena_alloc_try(a, h->bound_count * sizeof(*bounds));
        if (bounds == NULL) {
            return false;
        }
        memcpy(bounds, h->bounds, h->bound_count * sizeof(*bounds));
        to->bounds = bounds;
        to->bound_count = h->bound_count;
    }
    return true;
}

static bool copy_side(struct hist_side *to, struct pl_arena *a, struct hist_side side)
{
    int32_t *at;
    double *n;

    *to = (struct hist_side){0};
    if (side.len == 0) {
        return true;
    }
    if (!hist__side_make(a, side.len, &at, &n)) {
        return false;
    }
    memcpy(at, side.at, side.len * sizeof(*at));
    memcpy(n, side.n, side.len * sizeof(*n));
    *to = (struct hist_side){.at = at, .n = n, .len = side.len};
    return true;
}

struct hist *hist_copy(struct pl_arena *a, const struct hist *h)
{
    struct hist *to = pl_arena_alloc_try(a, sizeof(*to));

    if (to == NULL || !copy_head(to, a, h) || !copy_side(&to->pos, a, h->pos) ||
        (!hist_is_custom(h) && !copy_side(&to->neg, a, h->neg))) {
        return NULL;
    }
    return to;
}

/* ---- multiplication ---- */

static bool scale_side(struct hist_side *to, struct pl_arena *a, struct hist_side side, double by, bool divide)
{
    int32_t *at;
    double *n;

    if (side.len == 0) {
        return true;
    }
    if (!hist__side_make(a, side.len, &at, &n)) {
        return false;
    }
    memcpy(at, side.at, side.len * sizeof(*at));
    for (uint32_t i = 0; i < side.len; i++) {
        n[i] = divide ? side.n[i] / by : side.n[i] * by;
    }
    *to = (struct hist_side){.at = at, .n = n, .len = side.len};
    return true;
}

static struct hist *scale(struct pl_arena *a, const struct hist *x, double by, bool divide)
{
    struct hist *to = pl_arena_alloc_try(a, sizeof(*to));

    if (to == NULL || !copy_head(to, a, x)) {
        return NULL;
    }
    to->zero_count = divide ? to->zero_count / by : to->zero_count * by;
    to->count = divide ? to->count / by : to->count * by;
    to->sum = divide ? to->sum / by : to->sum * by;
    if (divide && by == 0) {
        return to; /* no buckets are left */
    }
    if (!scale_side(&to->pos, a, x->pos, by, divide) ||
        (!hist_is_custom(x) && !scale_side(&to->neg, a, x->neg, by, divide))) {
        return NULL;
    }
    if (by < 0) {
        to->hint = HIST_HINT_GAUGE;
    }
    return to;
}

struct hist *hist_mul(struct pl_arena *a, const struct hist *x, double factor)
{
    return scale(a, x, factor, false);
}

struct hist *hist_div(struct pl_arena *a, const struct hist *x, double divisor)
{
    return scale(a, x, divisor, true);
}

/* ---- fewer buckets ---- */

static bool compact_side(struct hist_side *to, struct pl_arena *a, struct hist_side side)
{
    uint32_t len = 0, k = 0;
    int32_t *at;
    double *n;

    for (uint32_t i = 0; i < side.len; i++) {
        len += side.n[i] != 0;
    }
    if (len == 0) {
        return true;
    }
    if (!hist__side_make(a, len, &at, &n)) {
        return false;
    }
    for (uint32_t i = 0; i < side.len; i++) {
        if (side.n[i] != 0) {
            at[k] = side.at[i];
            n[k++] = side.n[i];
        }
    }
    *to = (struct hist_side){.at = at, .n = n, .len = len};
    return true;
}

struct hist *hist_compact(struct pl_arena *a, const struct hist *x)
{
    struct hist *to = pl_arena_alloc_try(a, sizeof(*to));

    if (to == NULL || !copy_head(to, a, x) || !compact_side(&to->pos, a, x->pos) ||
        (!hist_is_custom(x) && !compact_side(&to->neg, a, x->neg))) {
        return NULL;
    }
    return to;
}

static bool reduce_side(struct hist_side *to, struct pl_arena *a, struct hist_side side, unsigned shift)
{
    struct hist__source s = {.at = side.at, .n = side.n, .len = side.len, .shift = shift};
    uint32_t len = 0;
    double c, *n;
    int32_t *at;

    if (side.len == 0) {
        return true;
    }
    if (!hist__side_make(a, side.len, &at, &n)) {
        return false;
    }
    while (hist__source_next(&s, &at[len], &n[len], &c)) {
        len++;
    }
    *to = (struct hist_side){.at = at, .n = n, .len = len};
    return true;
}

struct hist *hist_reduce(struct pl_arena *a, const struct hist *x, int32_t target)
{
    struct hist *to;
    unsigned shift = (unsigned)(x->schema - target);

    if (target == x->schema) {
        return hist_copy(a, x);
    }
    PL_ASSERT(!hist_is_custom(x) && target < x->schema && target >= HIST_SCHEMA_RESERVED_MIN);
    to = pl_arena_alloc_try(a, sizeof(*to));
    if (to == NULL || !copy_head(to, a, x) || !reduce_side(&to->pos, a, x->pos, shift) ||
        !reduce_side(&to->neg, a, x->neg, shift)) {
        return NULL;
    }
    to->schema = target;
    to->hint = HIST_HINT_UNKNOWN;
    return to;
}

/* ---- comparing ---- */

bool hist__bounds_match(const struct hist *x, const struct hist *y)
{
    if (x->bound_count != y->bound_count) {
        return false;
    }
    for (uint32_t i = 0; i < x->bound_count; i++) {
        if (x->bounds[i] != y->bounds[i]) {
            return false;
        }
    }
    return true;
}

static bool same_bits(double x, double y)
{
    return pl_f64_bits(x) == pl_f64_bits(y);
}

static bool side_equal(struct hist_side x, struct hist_side y)
{
    return x.len == y.len && (x.len == 0 || (memcmp(x.at, y.at, x.len * sizeof(*x.at)) == 0 &&
                                             memcmp(x.n, y.n, x.len * sizeof(*x.n)) == 0));
}

bool hist_equal(const struct hist *x, const struct hist *y)
{
    return x->schema == y->schema && same_bits(x->count, y->count) && same_bits(x->sum, y->sum) &&
           (!hist_is_custom(x) || hist__bounds_match(x, y)) && x->zero_threshold == y->zero_threshold &&
           same_bits(x->zero_count, y->zero_count) && side_equal(x->pos, y->pos) && side_equal(x->neg, y->neg);
}

static bool any_infinite(const double *v, size_t n)
{
    bool any = false;

    for (size_t i = 0; i < n; i++) {
        any |= fabs(v[i]) > DBL_MAX;
    }
    return any;
}

bool hist_overflows(const struct hist *h)
{
    double head[] = {h->zero_count, h->count, h->sum};

    return any_infinite(head, PL_ARRAY_LEN(head)) || any_infinite(h->pos.n, h->pos.len) ||
           any_infinite(h->neg.n, h->neg.len) || any_infinite(h->bounds, h->bound_count);
}

uint64_t hist_sample_cost(const struct hist *h)
{
    enum { STRUCT_BYTES = 168, BYTES_EACH = 8 };
    uint64_t parts = count_spans(h->pos) + count_spans(h->neg) + h->pos.len + h->neg.len + h->bound_count;

    return (STRUCT_BYTES + BYTES_EACH * parts + 8) / 16;
}
