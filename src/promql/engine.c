#include "promql/engine.h"

#include "base/clock.h"
#include "promql/kernels.h"
#include "promql/share.h"

#include <stdlib.h>

static int series_cmp(const void *a, const void *b)
{
    return labels_cmp(((const struct pq_series *)a)->labels, ((const struct pq_series *)b)->labels);
}

static void result_sort(struct pq_result *r)
{
    for (size_t i = 1; i < r->series_count; i++) {
        if (series_cmp(&r->series[i - 1], &r->series[i]) > 0) {
            qsort(r->series, r->series_count, sizeof(*r->series), series_cmp);
            return;
        }
    }
}

/* A growing list of series for the result. */
struct result_list {
    struct pq_series *v;
    size_t n, cap;
};

static struct pq_series *result_add(struct pl_arena *a, struct result_list *l)
{
    if (l->n == l->cap) {
        size_t cap = PL_MAX(l->cap * 2, (size_t)16);
        struct pq_series *grown = pl_arena_new_array_try(a, struct pq_series, cap);

        if (grown == NULL) {
            return NULL;
        }
        if (l->n > 0) {
            memcpy(grown, l->v, l->n * sizeof(*grown));
        }
        l->v = grown;
        l->cap = cap;
    }
    return &l->v[l->n++];
}

static bool result_hists(struct pl_arena *a, struct pq_series *out, const struct column *c, struct grid g)
{
    size_t n = 0;

    for (size_t i = 0; i < g.n; i++) {
        n += c->h[i] != NULL;
    }
    out->hists = pl_arena_alloc_try(a, n * sizeof(*out->hists));
    for (size_t i = 0; out->hists != NULL && i < g.n; i++) {
        if (c->h[i] != NULL) {
            const struct hist *h = hist_copy(a, c->h[i]); /* the column's own go with its batch */

            if (h == NULL) {
                return false;
            }
            out->hists[out->hist_count++] = (struct pq_hist_point){.t_ms = grid_at(g, i), .h = h};
        }
    }
    return out->hists != NULL;
}

static bool result_points(struct pl_arena *a, struct pq_series *out, const struct column *c, struct grid g)
{
    size_t n = 0;

    for (size_t i = 0; i < g.n; i++) {
        n += !pq_is_absent(c->v[i]);
    }
    out->labels = c->labels;
    out->count = 0;
    out->hist_count = 0;
    out->points = pl_arena_alloc_try(a, n * sizeof(*out->points));
    for (size_t i = 0; out->points != NULL && i < g.n; i++) {
        if (!pq_is_absent(c->v[i])) {
            out->points[out->count++] = (struct pq_point){.t_ms = grid_at(g, i), .v = c->v[i]};
        }
    }
    return out->points != NULL && (c->h == NULL || result_hists(a, out, c, g));
}

/* Delayed name removal: names go now, and series that became equal are joined. */
static pl_status finish_names(struct op **op, struct exec *x, struct pl_err *err)
{
    return x->q->delayed_name_removal ? pq__make_merge(op, *op, true, err) : PL_OK;
}

static pl_status collect(struct result_list *list, struct op *op, struct exec *x, struct pl_err *err)
{
    for (;;) {
        struct batch b;

        PL_TRY(pq__next(op, &b, err));
        if (b.n == 0) {
            return PL_OK;
        }
        for (size_t i = 0; i < b.n; i++) {
            struct pq_series *s;

            if (!pq__col_any(&b.col[i], op->grid.n)) {
                continue;
            }
            s = result_add(x->arena, list);
            PQ_TRY_ALLOC(op, s);
            if (!result_points(x->arena, s, &b.col[i], op->grid)) {
                return pq__nomem(op, err);
            }
        }
    }
}

static pl_status run_columns(struct pq_result *out, struct exec *x, const struct pq_node *node, struct scope s,
                             struct pl_err *err)
{
    int64_t start_ns = pl_now_mono_ns();
    struct result_list list = {0};
    struct op *op;

    pq__shares_find(x, node);
    PL_TRY(pq__plan(&op, x, node, s, err));
    PL_TRY(finish_names(&op, x, err));
    x->root = op;
    x->stats.prepare_ns = pl_now_mono_ns() - start_ns;
    if (x->q->explain != PQ_EXPLAIN_PLAN) {
        PL_TRY(collect(&list, op, x, err));
    }
    out->series = list.v;
    out->series_count = list.n;
    return PL_OK;
}

static bool stored_points(struct pl_arena *a, struct pq_series *s, const struct samples *buf)
{
    size_t hists = 0;

    for (size_t j = 0; buf->h != NULL && j < buf->n; j++) {
        hists += buf->h[j] != NULL;
    }
    *s = (struct pq_series){.points = pl_arena_alloc_try(a, (buf->n - hists) * sizeof(*s->points)),
                            .hists = pl_arena_alloc_try(a, hists * sizeof(*s->hists))};
    if (s->points == NULL || s->hists == NULL) {
        return false;
    }
    for (size_t j = 0; j < buf->n; j++) {
        if (buf->h != NULL && buf->h[j] != NULL) {
            s->hists[s->hist_count++] = (struct pq_hist_point){.t_ms = buf->t[j], .h = buf->h[j]};
        } else {
            s->points[s->count++] = (struct pq_point){.t_ms = buf->t[j], .v = buf->v[j]};
        }
    }
    return true;
}

/* What anchored and smoothed make of a range's floats. */
static pl_status extend_range(struct samples *to, struct exec *x, const struct pq_node *n, const struct samples *from,
                              const struct windows *range, struct pl_err *err)
{
    struct windows w = *range;
    uint32_t lo = 0, hi = (uint32_t)from->n;

    for (size_t i = 0; from->h != NULL && i < from->n; i++) {
        if (from->h[i] != NULL) {
            return pl_fail(err, PL_EXEC, "%s modifier is not supported with histograms",
                           w.after_ms > 0 ? "smoothed" : "anchored");
        }
    }
    *to = (struct samples){.t = pl_arena_new_array_try(x->arena, int64_t, from->n + 2),
                           .v = pl_arena_new_array_try(x->arena, double, from->n + 2)};
    if (to->t == NULL || to->v == NULL) {
        return pq__nomem_node(x, n, err);
    }
    w.t = from->t;
    w.v = from->v;
    w.n = from->n;
    w.lo = &lo;
    w.hi = &hi;
    to->n = pq__extended_points(to->t, to->v, &w);
    return PL_OK;
}

/* `m[5m]` as an instant query: the stored samples themselves. */
static pl_status run_matrix_selector(struct pq_result *out, struct exec *x, const struct pq_node *n, int64_t t_ms,
                                     struct tally *tally, struct pl_err *err)
{
    const struct pq_node *selector = n->matrix.selector;
    struct result_list list = {0};
    struct selection sel;
    struct samples buf = {.hist_arena = x->arena};
    size_t cap = 0;
    struct when w;
    int64_t range_ms = n->matrix.range_ms, ref;
    bool extended = selector->selector.anchored || selector->selector.smoothed;
    struct windows range;

    PL_TRY(pq__when(&w, x, &selector->selector.time, err));
    if (n->matrix.range_expr != NULL) {
        PL_TRY(pq__duration(&range_ms, x, n->matrix.range_expr, false, err));
    }
    ref = (w.fixed ? w.at_ms : t_ms) - w.offset_ms;
    range = (struct windows){.ref0_ms = ref,
                             .range_ms = range_ms,
                             .before_ms = extended ? x->q->lookback_ms : 0,
                             .after_ms = selector->selector.smoothed ? x->q->lookback_ms : 0};
    PL_TRY(pq__select(&sel, x, selector,
                      (struct select_window){.mint_ms = ref - range_ms + 1 - range.before_ms,
                                             .maxt_ms = ref + range.after_ms,
                                             .range_ms = range_ms},
                      err));
    for (size_t i = 0; i < sel.list.n; i++) {
        const struct samples *points = &buf;
        struct samples edges;
        struct pq_series *s;
        uint64_t cost;

        PL_TRY(pq__check(x, err));
        PL_TRY(pq__decode_live(x, n, &sel, i, &buf, &cap, err));
        if (extended) {
            PL_TRY(extend_range(&edges, x, n, &buf, &range, err));
            points = &edges;
        }
        if (points->n == 0) {
            continue;
        }
        s = result_add(x->arena, &list);
        if (s == NULL || !stored_points(x->arena, s, points)) {
            return pq__nomem_node(x, n, err);
        }
        s->labels = sel.list.v[i].labels;
        cost = s->count;
        for (size_t j = 0; j < s->hist_count; j++) {
            cost += hist_sample_cost(s->hists[j].h);
        }
        tally->total += cost;
        PL_TRY(pq__count_samples(x, cost, err));
    }
    out->series = list.v;
    out->series_count = list.n;
    return PL_OK;
}

static pl_status run_matrix(struct pq_result *out, struct exec *x, const struct pq_node *n, struct scope s,
                            struct pl_err *err)
{
    struct when w;
    int64_t range_ms;
    struct scope inner = s;

    if (n->kind == PQ_MATRIX_SELECTOR) {
        return run_matrix_selector(out, x, n, s.grid.start_ms, s.tally, err);
    }
    PL_ASSERT(n->kind == PQ_SUBQUERY);
    PL_TRY(pq__subquery_grid(&inner.grid, &range_ms, &w, x, n, s.grid, err));
    inner.tally = &(struct tally){0};
    if (inner.grid.n > 0) {
        PL_TRY(run_columns(out, x, n->subquery.expr, inner, err));
    }
    s.tally->total += inner.tally->total;
    return PL_OK;
}

static pl_status query_check(const struct pq_query *q, struct pl_err *err)
{
    if (q->step_ms > 0 && q->expr->type != PQ_SCALAR && q->expr->type != PQ_VECTOR) {
        return pl_fail(err, PL_INVALID,
                       "invalid expression type \"%s\" for range query, must be Scalar or instant Vector",
                       pq_type_name(q->expr->type));
    }
    if (q->step_ms < 0 || q->end_ms < q->start_ms) {
        return pl_fail(err, PL_INVALID, "end timestamp must not be before start time");
    }
    if (q->start_ms < -PQ_TIME_LIMIT_MS || q->end_ms > PQ_TIME_LIMIT_MS) {
        return pl_fail(err, PL_INVALID, "query time is out of range");
    }
    return PL_OK;
}

static pl_status run(struct pq_result *out, struct exec *x, struct tally *tally, struct pl_err *err)
{
    const struct pq_query *q = x->q;
    const struct pq_node *root = pq__unparen(q->expr);
    struct scope s = {.grid = {.start_ms = q->start_ms, .step_ms = 1, .n = 1}, .tally = tally};
    int64_t start_ns = pl_now_mono_ns();

    if (q->step_ms > 0) {
        uint64_t span = (uint64_t)q->end_ms - (uint64_t)q->start_ms;

        s.grid.step_ms = q->step_ms;
        s.grid.n = span / (uint64_t)q->step_ms + 1;
        s.grid.ranged = span > 0;
    }
    if (q->per_step_stats) {
        tally->per_step = pl_arena_new_array_try(x->arena, uint64_t, s.grid.n);
        if (tally->per_step == NULL) {
            return pq__nomem_node(x, q->expr, err);
        }
    }
    out->type = root->type;
    out->t_ms = q->start_ms;
    switch (root->type) {
    case PQ_STRING:
        out->string = root->string;
        return PL_OK;
    case PQ_MATRIX:
        PL_TRY(run_matrix(out, x, root, s, err));
        break;
    case PQ_SCALAR:
    case PQ_VECTOR:
        PL_TRY(run_columns(out, x, root, s, err));
        break;
    case PQ_NONE:
        return pl_fail(err, PL_INVALID, "the expression has no value");
    }
    x->stats.eval_ns = pl_now_mono_ns() - start_ns - x->stats.prepare_ns;
    start_ns = pl_now_mono_ns();
    if (q->step_ms > 0) {
        out->type = PQ_MATRIX;
    }
    if (out->type == PQ_SCALAR) {
        out->scalar = out->series_count > 0 && out->series[0].count > 0 ? out->series[0].points[0].v : pq_nan();
        out->series_count = 0;
    } else if (out->type == PQ_MATRIX) {
        result_sort(out);
    }
    x->stats.sort_ns = pl_now_mono_ns() - start_ns;
    if (q->explain != PQ_EXPLAIN_NONE) {
        out->explained = pq__explained(x);
    }
    return PL_OK;
}

pl_status pq_run(struct pq_result *out, struct pl_arena *a, struct series_source *source, const struct pq_query *q,
                 struct pl_err *err)
{
    struct exec x = {.arena = a, .source = source, .q = q};
    struct tally tally = {0};
    struct pq_result r = {0};
    pl_status st;

    PL_TRY(query_check(q, err));
    pl_buf_init(&x.text, 0);
    st = run(&r, &x, &tally, err);
    if (st == PL_OK && !pq__notes_finish(&r.notes, &x)) {
        st = pq__nomem_node(&x, q->expr, err);
    }
    if (st == PL_OK) {
        x.stats.samples_total = tally.total;
        x.stats.samples_per_step = tally.per_step;
        x.stats.step_count = tally.per_step != NULL && q->step_ms > 0
                                 ? (size_t)(((uint64_t)q->end_ms - (uint64_t)q->start_ms) / (uint64_t)q->step_ms) + 1
                                 : (size_t)(tally.per_step != NULL);
        r.stats = x.stats;
        *out = r;
    }
    pl_buf_fini(&x.text);
    return st;
}
