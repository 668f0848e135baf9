/* Sums and differences of two histograms. One engine does plain and compensated ones, in place on the left side's
 * buckets: what is added arrives as a stream of buckets by rising index, already in the common schema. */
#include "histogram/internal.h"

/* Hints of the operands give that of the result; true when they contradict each other. */
static bool join_hints(struct hist *h, uint8_t other)
{
    if (h->hint == other || h->hint == HIST_HINT_GAUGE) {
        return false;
    }
    if (other == HIST_HINT_GAUGE) {
        h->hint = HIST_HINT_GAUGE;
        return false;
    }
    if (h->hint == HIST_HINT_UNKNOWN) {
        return false;
    }
    h->hint = HIST_HINT_UNKNOWN;
    return other != HIST_HINT_UNKNOWN;
}

static inline void combine(enum hist__mode mode, double x, double *sum, double *c)
{
    switch (mode) {
    case HIST__ADD:
        *sum += x;
        break;
    case HIST__SUB:
        *sum -= x;
        break;
    case HIST__KAHAN:
        hist__add_to(x, sum, c);
        break;
    }
}

/* ---- one side ---- */

/* How many buckets of the source the side does not have. */
static uint32_t count_missing(const struct hist_sum_side *side, struct hist__source src)
{
    uint32_t missing = 0, i = 0;
    double n, c;
    int32_t at;

    while (hist__source_next(&src, &at, &n, &c)) {
        while (i < side->len && side->at[i] < at) {
            i++;
        }
        missing += i == side->len || side->at[i] != at;
    }
    return missing;
}

static void move_buckets(struct hist_sum_side *s, uint32_t to, uint32_t from, uint32_t len, bool kahan)
{
    if (to == from || len == 0) {
        return;
    }
    memmove(s->at + to, s->at + from, len * sizeof(*s->at));
    memmove(s->n + to, s->n + from, len * sizeof(*s->n));
    if (kahan) {
        memmove(s->c + to, s->c + from, len * sizeof(*s->c));
    }
}

/* The common case, both have the same buckets: counts are added array to array. False: it is not so. */
static bool merge_aligned(struct hist_sum_side *side, const struct hist__source *src, enum hist__mode mode)
{
    const double *restrict from;
    double *restrict n = side->n, *restrict c = side->c;
    uint32_t len = side->len;

    if (src->shift > 0 || src->len - src->i != len) {
        return false;
    }
    if (len == 0) {
        return true;
    }
    if (memcmp(side->at, src->at + src->i, len * sizeof(*side->at)) != 0) {
        return false;
    }
    from = src->n + src->i;
    switch (mode) {
    case HIST__ADD:
        for (uint32_t i = 0; i < len; i++) {
            n[i] += from[i];
        }
        break;
    case HIST__SUB:
        for (uint32_t i = 0; i < len; i++) {
            n[i] -= from[i];
        }
        break;
    case HIST__KAHAN:
        for (uint32_t i = 0; i < len; i++) {
            hist__add_to(from[i], &n[i], &c[i]);
        }
        break;
    }
    return true;
}

/* Adds the source's buckets. Where some are missing, the side's own move to the end of the wider side first and are
 * read from there: what is written never overtakes them. */
static bool merge_side(struct hist_sum_side *side, struct pl_arena *a, struct hist__source src, enum hist__mode mode)
{
    uint32_t missing, i, end, to = 0;
    bool kahan = mode == HIST__KAHAN;
    double n, c, unused = 0;
    int32_t at;

    if (merge_aligned(side, &src, mode)) {
        return true;
    }
    i = missing = count_missing(side, src);
    end = side->len + missing;
    if (missing > 0) {
        if (!hist__side_reserve(side, a, end, kahan)) {
            return false;
        }
        move_buckets(side, missing, 0, side->len, kahan);
    }
    while (hist__source_next(&src, &at, &n, &c)) {
        uint32_t from = i;

        while (i < end && side->at[i] < at) {
            i++;
        }
        move_buckets(side, to, from, i - from, kahan);
        to += i - from;
        if (i < end && side->at[i] == at) {
            move_buckets(side, to, i, 1, kahan);
            combine(mode, n, &side->n[to], kahan ? &side->c[to] : &unused);
            if (kahan && c != 0) {
                hist__add_to(c, &side->n[to], &side->c[to]);
            }
            i++;
        } else {
            side->at[to] = at;
            side->n[to] = mode == HIST__SUB ? -n : n;
            if (kahan) {
                side->c[to] = c;
            }
        }
        to++;
    }
    move_buckets(side, to, i, end - i, kahan);
    side->len = end;
    return true;
}

/* ---- exponential schemas ---- */

/* Drops the buckets that are inside the zero bucket now, and with them all that are empty, as Prometheus does. */
static void drop_swallowed(struct hist_sum_side *side, int32_t schema, double threshold, bool kahan)
{
    uint32_t i = 0, to = 0;

    while (i < side->len && hist__bound((int64_t)side->at[i] - 1, schema, NULL, 0) < threshold) {
        i++;
    }
    for (; i < side->len; i++) {
        if (side->n[i] != 0 || (kahan && side->c[i] != 0)) {
            move_buckets(side, to++, i, 1, kahan);
        }
    }
    side->len = to;
}

/* Gives both operands the same zero threshold: s is changed, y's zero count with it is returned. */
static double reconcile_zero(struct hist_sum *s, const struct hist *y, bool kahan, double *y_compensation)
{
    double y_threshold = y->zero_threshold, y_count = y->zero_count, c_zero;

    *y_compensation = 0;
    while (y_threshold != s->h.zero_threshold) {
        if (s->h.zero_threshold > y_threshold) {
            y_threshold = s->h.zero_threshold;
            y_count = hist__zero_count(y, NULL, &y_threshold, y_compensation);
        }
        if (y_threshold > s->h.zero_threshold) {
            double threshold = y_threshold;

            s->h.zero_count = hist__zero_count(&s->h, kahan ? &s->c : NULL, &threshold, &c_zero);
            s->h.zero_threshold = threshold;
            s->c.zero_count = kahan ? c_zero : 0;
            drop_swallowed(&s->pos, s->h.schema, threshold, kahan);
            drop_swallowed(&s->neg, s->h.schema, threshold, kahan);
            hist__sum_sync(s);
        } else if (y_threshold != s->h.zero_threshold) {
            break; /* not a number */
        }
    }
    return y_count;
}

static void reduce_in_place(struct hist_sum_side *side, unsigned shift, bool kahan)
{
    uint32_t to = 0;

    for (uint32_t i = 0; i < side->len; i++) {
        int32_t at = hist__coarser(side->at[i], shift);

        if (to > 0 && side->at[to - 1] == at) {
            if (kahan) {
                hist__add_to(side->n[i], &side->n[to - 1], &side->c[to - 1]);
                hist__add_to(side->c[i], &side->n[to - 1], &side->c[to - 1]);
            } else {
                side->n[to - 1] += side->n[i];
            }
        } else {
            move_buckets(side, to, i, 1, kahan);
            side->at[to++] = at;
        }
    }
    side->len = to;
}

static struct hist__source source_of(struct hist_side side, unsigned shift, bool kahan)
{
    return (struct hist__source){.at = side.at, .n = side.n, .len = side.len, .shift = shift, .kahan = kahan};
}

static bool merge_exponential(struct hist_sum *s, const struct hist *y, enum hist__mode mode)
{
    bool kahan = mode == HIST__KAHAN;
    double y_compensation, y_zero = reconcile_zero(s, y, kahan, &y_compensation);
    struct hist__source pos, neg;
    unsigned shift = 0;

    combine(mode, y_zero, &s->h.zero_count, &s->c.zero_count);
    if (kahan) {
        hist__add_to(y_compensation, &s->h.zero_count, &s->c.zero_count);
    }
    if (y->schema < s->h.schema) {
        reduce_in_place(&s->pos, (unsigned)(s->h.schema - y->schema), kahan);
        reduce_in_place(&s->neg, (unsigned)(s->h.schema - y->schema), kahan);
        s->h.schema = y->schema;
    } else {
        shift = (unsigned)(y->schema - s->h.schema);
    }
    pos = source_of(y->pos, shift, kahan);
    neg = source_of(y->neg, shift, kahan);
    hist__source_skip(&pos, s->h.schema, s->h.zero_threshold);
    hist__source_skip(&neg, s->h.schema, s->h.zero_threshold);
    return merge_side(&s->pos, s->a, pos, mode) && merge_side(&s->neg, s->a, neg, mode);
}

/* ---- custom bounds ---- */

/* Writes the bounds that both have (out NULL: only counts them). */
static uint32_t intersect(double *out, const struct hist *x, const struct hist *y)
{
    uint32_t i = 0, k = 0, n = 0;

    while (i < x->bound_count && k < y->bound_count) {
        if (x->bounds[i] == y->bounds[k]) {
            if (out != NULL) {
                out[n] = x->bounds[i];
            }
            n++;
            i++;
            k++;
        } else if (x->bounds[i] < y->bounds[k]) {
            i++;
        } else {
            k++;
        }
    }
    return n;
}

/* Adds each bucket to the first of the wider buckets that holds it; behind the last bound is one more bucket. */
static void map_buckets(double *n, double *c, const double *bounds, uint32_t bound_count, const struct hist *from,
                        const double *compensation, bool negate)
{
    uint32_t to = 0;

    for (uint32_t i = 0; i < from->pos.len; i++) {
        double upper = hist__bound(from->pos.at[i], HIST_SCHEMA_CUSTOM, from->bounds, from->bound_count);

        while (to < bound_count && !(bounds[to] >= upper)) {
            to++;
        }
        hist__add_to(negate ? -from->pos.n[i] : from->pos.n[i], &n[to], &c[to]);
        if (compensation != NULL) {
            hist__add_to(compensation[i], &n[to], &c[to]);
        }
    }
}

static bool merge_mismatched(struct hist_sum *s, const struct hist *y, enum hist__mode mode)
{
    bool kahan = mode == HIST__KAHAN;
    uint32_t bound_count = intersect(NULL, &s->h, y), room = bound_count + 1, to = 0;
    const double *bounds = s->h.bounds;
    double *n, *c;

    if (bound_count < s->h.bound_count) {
        double *made = pl_arena_alloc_try(s->a, room * sizeof(*made));

        if (made == NULL) {
            return false;
        }
        (void)intersect(made, &s->h, y);
        bounds = made;
    }
    if (2 * room > s->scratch_cap) {
        s->scratch = pl_arena_alloc_try(s->a, 2 * (size_t)room * sizeof(*s->scratch));
        s->scratch_cap = 2 * room;
    }
    if (s->scratch == NULL || !hist__side_reserve(&s->pos, s->a, room, kahan)) {
        return false;
    }
    n = s->scratch;
    c = s->scratch + room;
    memset(n, 0, 2 * (size_t)room * sizeof(*n));
    hist__sum_sync(s);
    map_buckets(n, c, bounds, bound_count, &s->h, kahan ? s->pos.c : NULL, false);
    map_buckets(n, c, bounds, bound_count, y, NULL, mode == HIST__SUB);
    for (uint32_t i = 0; i < room; i++) {
        if (n[i] != 0 || c[i] != 0) {
            s->pos.at[to] = (int32_t)i;
            s->pos.n[to] = n[i];
            if (kahan) {
                s->pos.c[to] = c[i];
            }
            to++;
        }
    }
    s->pos.len = to;
    s->h.bounds = bound_count > 0 ? bounds : NULL;
    s->h.bound_count = bound_count;
    return true;
}

/* ---- the whole ---- */

static void clear(double *v, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        v[i] = 0;
    }
}

unsigned hist__merge(struct hist_sum *s, const struct hist *y, enum hist__mode mode)
{
    unsigned seen = 0;
    bool ok;

    if (hist_is_custom(&s->h) != hist_is_custom(y)) {
        return HIST_INCOMPATIBLE;
    }
    seen |= join_hints(&s->h, y->hint) ? HIST_COLLISION : 0;
    if (mode == HIST__KAHAN && !s->compensated) {
        s->compensated = true;
        s->c = (struct hist){.hint = s->h.hint};
        clear(s->pos.c, s->pos.len);
        clear(s->neg.c, s->neg.len);
        hist__sum_sync(s);
    }
    combine(mode, y->count, &s->h.count, &s->c.count);
    combine(mode, y->sum, &s->h.sum, &s->c.sum);
    if (!hist_is_custom(y)) {
        ok = merge_exponential(s, y, mode);
    } else if (hist__bounds_match(&s->h, y)) {
        ok = merge_side(&s->pos, s->a, source_of(y->pos, 0, false), mode);
    } else {
        ok = merge_mismatched(s, y, mode);
        seen |= HIST_RECONCILED;
    }
    hist__sum_sync(s);
    return ok ? seen : seen | HIST_NO_MEMORY;
}

static unsigned merge_copy(struct hist **out, struct pl_arena *a, const struct hist *x, const struct hist *y,
                           enum hist__mode mode)
{
    struct hist_sum s = {.a = a};
    struct hist *made;
    unsigned seen;

    if (hist_is_custom(x) != hist_is_custom(y)) {
        return HIST_INCOMPATIBLE;
    }
    made = pl_arena_alloc_try(a, sizeof(*made));
    if (made == NULL || !hist__sum_start(&s, x, y->pos.len, y->neg.len, false)) {
        return HIST_NO_MEMORY;
    }
    seen = hist__merge(&s, y, mode);
    if ((seen & HIST_NO_MEMORY) == 0) {
        *made = s.h;
        *out = made;
    }
    return seen;
}

unsigned hist_add(struct hist **out, struct pl_arena *a, const struct hist *x, const struct hist *y)
{
    return merge_copy(out, a, x, y, HIST__ADD);
}

unsigned hist_sub(struct hist **out, struct pl_arena *a, const struct hist *x, const struct hist *y)
{
    return merge_copy(out, a, x, y, HIST__SUB);
}
