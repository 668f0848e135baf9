#include "promql/functions_def.h"
#include "promql/kernels_rate.h"
#include "promql/range_hist.h"

/* Rises of native histograms: rate, increase, delta, irate and idelta. Conflicting hints are no news here: resets are
 * looked at on their own. The order of operations is Prometheus's, for the bits and for what is said about them. */

static bool is_gauge(const struct hist *h)
{
    return h->hint == HIST_HINT_GAUGE;
}

static bool is_counter_func(int func)
{
    return func == PQ_FN_RATE || func == PQ_FN_INCREASE;
}

/* *h + by or *h - by; *ok is false when the buckets are incompatible. */
static pl_status combine(const struct hist **h, bool *ok, const struct op *op, struct pl_arena *a,
                         const struct hist *by, bool add, unsigned *met, struct pl_err *err)
{
    struct hist *out = NULL;
    unsigned got = add ? hist_add(&out, a, *h, by) : hist_sub(&out, a, *h, by);

    if ((got & HIST_NO_MEMORY) != 0) {
        return pq__nomem(op, err);
    }
    *ok = (got & HIST_INCOMPATIBLE) == 0;
    if (!*ok) {
        return PL_OK;
    }
    if ((got & HIST_RECONCILED) != 0) {
        *met |= 1u << (add ? RANGE_NOTE_RECONCILED_ADD : RANGE_NOTE_RECONCILED_SUB);
    }
    *h = out;
    return PL_OK;
}

static pl_status is_reset(bool *out, struct range_hist *r, const struct hist *cur, const struct hist *prev,
                          struct pl_err *err)
{
    return hist_detect_reset(out, &r->scratch, cur, prev) == 0 ? PL_OK : pq__nomem(r->op, err);
}

/* A gauge without empty buckets. */
static pl_status as_result(const struct hist **h, struct range_hist *r, struct pl_err *err)
{
    struct hist *out = hist_compact(&r->scratch, *h);

    PQ_TRY_ALLOC(r->op, out);
    out->hint = HIST_HINT_GAUGE;
    *h = out;
    return PL_OK;
}

/* Incompatible buckets: nothing else that was met is said. */
static pl_status schemas_only(struct range_window *w)
{
    w->met = 0;
    pq__range_meet(w, RANGE_NOTE_SCHEMAS);
    return PL_OK;
}

/* Looks at the histograms between the first and the last: the coarsest schema. *ok is false when their kind of buckets
 * is another. */
static int32_t min_schema(const struct range_hist *r, struct range_window *w, bool custom, int32_t schema, bool *ok)
{
    for (size_t i = w->lo + 1; i + 1 < w->hi; i++) {
        if (is_gauge(r->h[i])) {
            pq__range_meet(w, RANGE_NOTE_NOT_COUNTER);
        }
        schema = PL_MIN(schema, r->h[i]->schema);
        *ok = *ok && hist_is_custom(r->h[i]) == custom;
    }
    return schema;
}

/* Adds what a counter held before each reset; `first` stands for the window's first histogram. */
static pl_status add_resets(const struct hist **h, bool *ok, struct range_hist *r, struct range_window *w,
                            const struct hist *first, struct pl_err *err)
{
    const struct hist *prev = first;

    for (size_t i = w->lo + 1; *ok && i < w->hi; i++) {
        bool reset = r->reset[i];

        if (i == w->lo + 1 && prev != r->h[w->lo]) {
            PL_TRY(is_reset(&reset, r, r->h[i], prev, err));
        }
        if (reset) {
            PL_TRY(combine(h, ok, r->op, &r->scratch, prev, true, &w->met, err));
        }
        prev = r->h[i];
    }
    return PL_OK;
}

/* The rise from the first to the last of at least two histograms. */
static pl_status rise(struct range_hist *r, struct range_window *w, bool counter, struct pl_err *err)
{
    const struct hist *first = r->h[w->lo], *second = r->h[w->lo + 1], *last = r->h[w->hi - 1], *h;
    struct hist nothing;
    bool ok = true;
    int32_t schema;

    if (counter && (is_gauge(first) || is_gauge(last))) {
        pq__range_meet(w, RANGE_NOTE_NOT_COUNTER);
    }
    if (counter && r->reset[w->lo + 1]) { /* the first does not matter, nor does its layout */
        nothing = (struct hist){.schema = second->schema, .bounds = second->bounds, .bound_count = second->bound_count};
        first = &nothing;
    }
    if (hist_is_custom(last) != hist_is_custom(first)) {
        pq__range_meet(w, RANGE_NOTE_SCHEMAS);
        return PL_OK;
    }
    schema = PL_MIN(last->schema, first->schema);
    if (counter) {
        schema = min_schema(r, w, hist_is_custom(first), schema, &ok);
    }
    if (!ok) {
        return schemas_only(w);
    }
    h = hist_reduce(&r->scratch, last, schema);
    PQ_TRY_ALLOC(r->op, h);
    PL_TRY(combine(&h, &ok, r->op, &r->scratch, first, false, &w->met, err));
    if (ok && counter) {
        PL_TRY(add_resets(&h, &ok, r, w, first, err));
    }
    if (!ok) {
        return schemas_only(w);
    }
    if (!counter && (!is_gauge(first) || !is_gauge(last))) {
        pq__range_meet(w, RANGE_NOTE_NOT_GAUGE);
    }
    PL_TRY(as_result(&h, r, err));
    w->out = h;
    return PL_OK;
}

pl_status pq__range_hist_rate(struct range_hist *r, struct range_window *w, struct pl_err *err)
{
    struct rate_kind kind = {.counter = is_counter_func(r->func),
                             .range_s = r->func == PQ_FN_RATE ? pq__range_seconds(&r->f) : 0};
    size_t last = w->hi - 1;
    struct rate_span span;

    if (w->hi - w->lo < 2) {
        return PL_OK;
    }
    PL_TRY(rise(r, w, kind.counter, err));
    if (w->out == NULL) {
        return PL_OK;
    }
    span = (struct rate_span){.to_start = (double)(r->t[w->lo] - w->from_ms) / 1000,
                              .to_end = (double)(w->to_ms - r->t[last]) / 1000,
                              .sampled = (double)(r->t[last] - r->t[w->lo]) / 1000,
                              .gaps = (double)(last - w->lo)};
    w->out = hist_mul(&r->scratch, w->out, pq__rate_factor(w->out->count, r->h[w->lo]->count, span, kind));
    PQ_TRY_ALLOC(r->op, w->out);
    return PL_OK;
}

pl_status pq__range_hist_instant(struct range_hist *r, struct range_window *w, size_t a, struct pl_err *err)
{
    const struct hist *x = r->h[a], *y = r->h[a + 1], *h = y;
    bool rate = r->func == PQ_FN_IRATE, ok = true;

    if (rate && (is_gauge(x) || is_gauge(y))) {
        pq__range_meet(w, RANGE_NOTE_NOT_COUNTER);
    }
    if (!rate && (!is_gauge(x) || !is_gauge(y))) {
        pq__range_meet(w, RANGE_NOTE_NOT_GAUGE);
    }
    if (!rate || !r->reset[a + 1]) {
        PL_TRY(combine(&h, &ok, r->op, &r->scratch, x, false, &w->met, err));
    }
    if (!ok) {
        pq__range_meet(w, RANGE_NOTE_SCHEMAS);
        return PL_OK;
    }
    PL_TRY(as_result(&h, r, err));
    if (rate) {
        h = hist_div(&r->scratch, h, (double)(r->t[a + 1] - r->t[a]) / 1000);
        PQ_TRY_ALLOC(r->op, h);
    }
    w->out = h;
    return PL_OK;
}

/* ---- anchored and smoothed ---- */

pl_status pq__hist_between(const struct hist **out, const struct op *op, struct pl_arena *a, struct hist_point l,
                           struct hist_point r, int64_t t_ms, bool reset, unsigned *met, struct pl_err *err)
{
    double share = (double)(t_ms - l.t_ms) / (double)(r.t_ms - l.t_ms);
    const struct hist *h = r.h;
    bool ok = true;

    *out = NULL;
    if (t_ms == l.t_ms || t_ms == r.t_ms) {
        *out = t_ms == l.t_ms ? l.h : r.h;
        return PL_OK;
    }
    if (reset) { /* a counter that began at zero */
        *out = hist_mul(a, r.h, share);
        PQ_TRY_ALLOC(op, *out);
        return PL_OK;
    }
    PL_TRY(combine(&h, &ok, op, a, l.h, false, met, err));
    if (ok) {
        h = hist_mul(a, h, share);
        PQ_TRY_ALLOC(op, h);
        PL_TRY(combine(&h, &ok, op, a, l.h, true, met, err));
    }
    if (!ok) {
        *met |= 1u << RANGE_NOTE_SCHEMAS;
        return PL_OK;
    }
    *out = h;
    return PL_OK;
}

static struct hist_point point(const struct range_hist *r, size_t i)
{
    return (struct hist_point){.t_ms = r->t[i], .h = r->h[i]};
}

/* The histograms from the one at or before the range to the last that matters. */
struct extent {
    size_t first, last;
    const struct hist *left, *right; /* the values at the edges */
};

/* False: nothing to measure. */
static bool extent_find(struct extent *e, const struct range_hist *r, const struct range_window *w)
{
    const int64_t *t = r->t + w->lo;
    size_t last = w->hi - w->lo - 1, first = pq__first_after(t, last, w->from_ms);

    first = first > 0 ? first - 1 : 0;
    if (r->smoothed) {
        last = pq__first_after(t, last, w->to_ms - 1);
    }
    if (t[last] <= w->from_ms || (r->smoothed && t[first] > w->to_ms)) {
        return false;
    }
    *e = (struct extent){.first = w->lo + first, .last = w->lo + last};
    return true;
}

/* One kind of buckets throughout? */
static bool extent_check(const struct extent *e, const struct range_hist *r, struct range_window *w, bool counter)
{
    for (size_t i = e->first; i <= e->last; i++) {
        if (hist_is_custom(r->h[i]) != hist_is_custom(r->h[e->first])) {
            pq__range_meet(w, RANGE_NOTE_SCHEMAS);
            return false;
        }
        if (counter && is_gauge(r->h[i])) {
            pq__range_meet(w, RANGE_NOTE_NOT_COUNTER);
        }
    }
    return true;
}

static pl_status extent_edges(struct extent *e, struct range_hist *r, struct range_window *w, bool counter,
                              struct pl_err *err)
{
    size_t i = e->first, k = e->last;

    e->left = r->h[i];
    e->right = r->h[k];
    if (r->smoothed && r->t[i] < w->from_ms) {
        PL_TRY(pq__hist_between(&e->left, r->op, &r->scratch, point(r, i), point(r, i + 1), w->from_ms,
                                counter && r->reset[i + 1], &w->met, err));
    }
    if (e->left != NULL && r->smoothed && k > w->lo && r->t[k] > w->to_ms) {
        PL_TRY(pq__hist_between(&e->right, r->op, &r->scratch, point(r, k - 1), point(r, k), w->to_ms,
                                counter && r->reset[k], &w->met, err));
    }
    return PL_OK;
}

/* Adds `h` to what resets took away; *sum is NULL at first. */
static pl_status lost(const struct hist **sum, bool *ok, struct range_hist *r, struct range_window *w,
                      const struct hist *cur, const struct hist *prev, struct pl_err *err)
{
    bool reset;

    if (!*ok) {
        return PL_OK;
    }
    PL_TRY(is_reset(&reset, r, cur, prev, err));
    if (!reset) {
        return PL_OK;
    }
    if (*sum == NULL) {
        *sum = prev;
        return PL_OK;
    }
    return combine(sum, ok, r->op, &r->scratch, prev, true, &w->met, err);
}

/* What resets inside the range took away, to be added to *h. The last histogram stands in e->right. */
static pl_status add_lost(const struct hist **h, bool *ok, struct range_hist *r, struct range_window *w,
                          const struct extent *e, struct pl_err *err)
{
    const struct hist *sum = NULL, *prev = e->left;
    size_t first = e->first + 1;

    if (r->smoothed && r->t[e->first] < w->from_ms && r->reset[e->first + 1]) {
        prev = r->h[e->first + 1]; /* the left edge took this reset into account */
        first++;
    }
    if (first > e->last) {
        return PL_OK; /* both edges lie in one gap */
    }
    for (size_t i = first; i < e->last; i++) {
        PL_TRY(lost(&sum, ok, r, w, r->h[i], prev, err));
        prev = r->h[i];
    }
    PL_TRY(lost(&sum, ok, r, w, e->right, prev, err));
    return *ok && sum != NULL ? combine(h, ok, r->op, &r->scratch, sum, true, &w->met, err) : PL_OK;
}

pl_status pq__range_hist_extended(struct range_hist *r, struct range_window *w, struct pl_err *err)
{
    bool counter = is_counter_func(r->func), ok = true;
    const struct hist *h;
    struct extent e;

    if (!extent_find(&e, r, w) || !extent_check(&e, r, w, counter)) {
        return PL_OK;
    }
    PL_TRY(extent_edges(&e, r, w, counter, err));
    if (e.left == NULL || e.right == NULL) {
        return PL_OK;
    }
    if (!counter && (!is_gauge(e.left) || !is_gauge(e.right))) {
        pq__range_meet(w, RANGE_NOTE_NOT_GAUGE);
    }
    h = e.right;
    PL_TRY(combine(&h, &ok, r->op, &r->scratch, e.left, false, &w->met, err));
    if (ok && counter) {
        PL_TRY(add_lost(&h, &ok, r, w, &e, err));
    }
    if (!ok) {
        pq__range_meet(w, RANGE_NOTE_SCHEMAS);
        return PL_OK;
    }
    if (r->func == PQ_FN_RATE) {
        h = hist_div(&r->scratch, h, pq__range_seconds(&r->f));
        PQ_TRY_ALLOC(r->op, h);
    }
    PL_TRY(as_result(&h, r, err));
    w->out = h;
    return PL_OK;
}
