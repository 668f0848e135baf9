#include "promql/functions_def.h"
#include "promql/kernels.h"
#include "promql/share.h"

const struct pq_node *pq__unparen(const struct pq_node *n)
{
    while (n->kind == PQ_PAREN || n->kind == PQ_STEP_INVARIANT) {
        n = n->kind == PQ_PAREN ? n->paren.expr : n->step_invariant.expr;
    }
    return n;
}

/* Functions that depend on the evaluation time even when their arguments do not. */
static bool func_uses_time(int kernel)
{
    switch (kernel) {
    case PQ_FN_DAYS_IN_MONTH:
    case PQ_FN_DAY_OF_MONTH:
    case PQ_FN_DAY_OF_WEEK:
    case PQ_FN_DAY_OF_YEAR:
    case PQ_FN_HOUR:
    case PQ_FN_MINUTE:
    case PQ_FN_MONTH:
    case PQ_FN_YEAR:
    case PQ_FN_PREDICT_LINEAR:
    case PQ_FN_TIME:
    case PQ_FN_TIMESTAMP:
        return true;
    default:
        return false;
    }
}

static bool call_invariant(const struct pq_node *n)
{
    bool safe = !func_uses_time(n->call.func->kernel);

    if (n->call.func->kernel == PQ_FN_TIMESTAMP && n->call.arg_count == 1 &&
        pq__unparen(n->call.args[0])->kind == PQ_SELECTOR) {
        safe = true; /* a sample's own time does not move */
    }
    for (uint32_t i = 0; safe && i < n->call.arg_count; i++) {
        safe = pq__invariant(n->call.args[i]);
    }
    return safe;
}

bool pq__invariant(const struct pq_node *n)
{
    n = pq__unparen(n);
    switch (n->kind) {
    case PQ_NUMBER:
    case PQ_STRING_LIT:
        return true;
    case PQ_UNARY:
        return pq__invariant(n->unary.expr);
    case PQ_BINARY:
        return pq__invariant(n->binary.lhs) && pq__invariant(n->binary.rhs);
    case PQ_AGGREGATE:
        return pq__invariant(n->agg.expr); /* COMPAT: Prometheus does not look at the parameter */
    case PQ_CALL:
        return call_invariant(n);
    case PQ_SELECTOR:
        return n->selector.time.at != PQ_AT_NONE;
    case PQ_MATRIX_SELECTOR:
        return pq__invariant(n->matrix.selector);
    case PQ_SUBQUERY:
        return n->subquery.time.at != PQ_AT_NONE;
    case PQ_PAREN:
    case PQ_STEP_INVARIANT:
        break;
    }
    PL_UNREACHABLE("node kind");
}

static bool selector_has_one_name(const struct pq_node *n)
{
    for (uint32_t i = 0; i < n->selector.matcher_count; i++) {
        const struct matcher *m = &n->selector.matchers[i];

        if (m->type == MATCH_EQ && pl_str_eq(m->name, LABEL_METRIC_NAME)) {
            return true;
        }
    }
    return false;
}

static bool call_name_unique(const struct pq_node *n)
{
    switch (n->call.func->kernel) {
    case PQ_FN_LAST_OVER_TIME:
    case PQ_FN_FIRST_OVER_TIME:
    case PQ_FN_SORT:
    case PQ_FN_SORT_DESC:
    case PQ_FN_SORT_BY_LABEL:
    case PQ_FN_SORT_BY_LABEL_DESC:
    case PQ_FN_INFO:
        return pq__name_unique(n->call.args[0]);
    case PQ_FN_LABEL_REPLACE:
    case PQ_FN_LABEL_JOIN:
        return false;
    case PQ_FN_HISTOGRAM_QUANTILES:
        return !pl_str_eq(pq__unparen(n->call.args[1])->string, LABEL_METRIC_NAME);
    default:
        return true; /* these drop the name themselves */
    }
}

static bool aggregate_name_unique(const struct pq_node *n)
{
    switch (n->agg.op) {
    case PQ_AGG_TOPK:
    case PQ_AGG_BOTTOMK:
    case PQ_AGG_LIMITK:
    case PQ_AGG_LIMIT_RATIO:
        return pq__name_unique(n->agg.expr);
    case PQ_AGG_COUNT_VALUES:
        return !pl_str_eq(pq__unparen(n->agg.param)->string, LABEL_METRIC_NAME) &&
               (n->agg.without || !pq__name_in(LABEL_METRIC_NAME, n->agg.labels, n->agg.label_count));
    default:
        return n->agg.without || !pq__name_in(LABEL_METRIC_NAME, n->agg.labels, n->agg.label_count);
    }
}

bool pq__name_unique(const struct pq_node *n)
{
    n = pq__unparen(n);
    switch (n->kind) {
    case PQ_SELECTOR:
        return selector_has_one_name(n);
    case PQ_MATRIX_SELECTOR:
        return pq__name_unique(n->matrix.selector);
    case PQ_SUBQUERY:
        return pq__name_unique(n->subquery.expr);
    case PQ_UNARY:
        return pq__name_unique(n->unary.expr);
    case PQ_BINARY:
        if (n->binary.op == PQ_OP_OR ||
            (n->binary.matching != NULL && (n->binary.matching->has_fill_left || n->binary.matching->has_fill_right))) {
            return false; /* what is filled in has no name */
        }
        return (n->binary.lhs->type != PQ_VECTOR || pq__name_unique(n->binary.lhs)) &&
               (n->binary.rhs->type != PQ_VECTOR || pq__name_unique(n->binary.rhs));
    case PQ_AGGREGATE:
        return aggregate_name_unique(n);
    case PQ_CALL:
        return call_name_unique(n);
    default:
        return true;
    }
}

/* ---- durations ---- */

/* COMPAT: as Go's Duration.Seconds: whole seconds and a fraction, which differs from a division in the last bit. */
static double seconds(int64_t ms)
{
    return (double)(ms / 1000) + (double)(ms % 1000 * 1000000) / 1e9;
}

static pl_status duration_value(double *out, struct exec *x, const struct pq_dur *d, struct pl_err *err)
{
    double l = 0, r = 0;

    if (d->l != NULL) {
        PL_TRY(duration_value(&l, x, d->l, err));
    }
    if (d->r != NULL) {
        PL_TRY(duration_value(&r, x, d->r, err));
    }
    switch (d->kind) {
    case PQ_DUR_NUM:
        *out = d->num_s;
        return PL_OK;
    case PQ_DUR_STEP:
        *out = seconds(x->q->step_ms);
        return PL_OK;
    case PQ_DUR_RANGE:
        *out = seconds(x->q->end_ms - x->q->start_ms);
        return PL_OK;
    case PQ_DUR_NEG:
        *out = -(d->l != NULL ? l : r);
        return PL_OK;
    case PQ_DUR_POS:
    case PQ_DUR_PAREN:
        *out = d->l != NULL ? l : r;
        return PL_OK;
    case PQ_DUR_ADD:
        *out = l + r;
        return PL_OK;
    case PQ_DUR_SUB:
        *out = l - r;
        return PL_OK;
    case PQ_DUR_MUL:
        *out = l * r;
        return PL_OK;
    case PQ_DUR_DIV:
    case PQ_DUR_MOD:
        if (r == 0) {
            return pl_fail(err, PL_INVALID, "%u:%u: %s by zero", d->pos.start, d->pos.end,
                           d->kind == PQ_DUR_DIV ? "division" : "modulo");
        }
        *out = d->kind == PQ_DUR_DIV ? l / r : fmod(l, r);
        return PL_OK;
    case PQ_DUR_POW:
        *out = pq__pow(l, r);
        return PL_OK;
    case PQ_DUR_MIN:
        *out = go_min(l, r);
        return PL_OK;
    case PQ_DUR_MAX:
        *out = go_max(l, r);
        return PL_OK;
    }
    PL_UNREACHABLE("duration kind");
}

pl_status pq__duration(int64_t *out_ms, struct exec *x, const struct pq_dur *d, bool negative_ok, struct pl_err *err)
{
    static const double limit_s = 9223372036854775808.0 / 1e9;
    double v;

    PL_TRY(duration_value(&v, x, d, err));
    if (isnan(v) || isinf(v)) {
        return pl_fail(err, PL_INVALID, "%u:%u: duration is NaN or infinite", d->pos.start, d->pos.end);
    }
    if (v <= 0 && !negative_ok) {
        return pl_fail(err, PL_INVALID, "%u:%u: duration must be greater than 0", d->pos.start, d->pos.end);
    }
    if (v > limit_s || v < -limit_s) {
        return pl_fail(err, PL_INVALID, "%u:%u: duration is out of range", d->pos.start, d->pos.end);
    }
    *out_ms = pl_f64_to_i64(v * 1000);
    return PL_OK;
}

pl_status pq__when(struct when *out, struct exec *x, const struct pq_time *t, struct pl_err *err)
{
    struct when w = {.offset_ms = t->offset_ms, .fixed = t->at != PQ_AT_NONE};

    if (t->offset_expr != NULL) {
        PL_TRY(pq__duration(&w.offset_ms, x, t->offset_expr, true, err));
    }
    switch (t->at) {
    case PQ_AT_NONE:
        break;
    case PQ_AT_TIME:
        w.at_ms = PL_MIN(PL_MAX(t->at_ms, -PQ_TIME_LIMIT_MS), PQ_TIME_LIMIT_MS);
        break;
    case PQ_AT_START:
        w.at_ms = x->q->start_ms;
        break;
    case PQ_AT_END:
        w.at_ms = x->q->end_ms;
        break;
    }
    *out = w;
    return PL_OK;
}

pl_status pq__subquery_grid(struct grid *out, int64_t *range_ms, struct when *when, struct exec *x,
                            const struct pq_node *n, struct grid parent, struct pl_err *err)
{
    int64_t range = n->subquery.range_ms, step = n->subquery.step_ms, from, to;
    struct grid g;

    PL_TRY(pq__when(when, x, &n->subquery.time, err));
    if (n->subquery.range_expr != NULL) {
        PL_TRY(pq__duration(&range, x, n->subquery.range_expr, false, err));
    }
    if (n->subquery.step_expr != NULL) {
        PL_TRY(pq__duration(&step, x, n->subquery.step_expr, false, err));
    }
    if (step <= 0) {
        step = x->q->default_step_ms > 0 ? x->q->default_step_ms : 60000;
    }
    /* Written-out durations were looked at before; an expression's are known only now. */
    if (x->q->subquery_steps_max > 0 && range / step > (int64_t)PL_MIN(x->q->subquery_steps_max, (uint64_t)INT64_MAX)) {
        return pl_fail(err, PL_LIMIT,
                       "exceeded maximum resolution of %llu points per timeseries in subquery. Try increasing the step "
                       "size of your subquery (-querier.max-subquery-steps)",
                       (unsigned long long)x->q->subquery_steps_max);
    }
    from = pq__ref(*when, parent, 0) - range;
    to = pq__ref(*when, parent, parent.n - 1);
    g = (struct grid){.start_ms = step * (from / step), .step_ms = step};
    if (g.start_ms <= from) {
        g.start_ms += step;
    }
    if (to >= g.start_ms) {
        g.n = (size_t)((to - g.start_ms) / step) + 1;
        g.ranged = to > g.start_ms;
    }
    if (g.n > UINT32_MAX / 2) {
        return pl_fail(err, PL_EXEC, "query processing would load too many samples into memory in query execution");
    }
    *out = g;
    *range_ms = range;
    return PL_OK;
}

/* ---- nodes to operators ---- */

static pl_status plan_call(struct op **out, struct exec *x, const struct pq_node *n, struct scope s, struct pl_err *err)
{
    const struct pq_query *q = x->q;

    switch (n->call.func->kernel) {
    case PQ_FN_START:
        return pq__make_number(out, x, n, (double)q->start_ms / 1000, s, err);
    case PQ_FN_END:
        return pq__make_number(out, x, n, (double)q->end_ms / 1000, s, err);
    case PQ_FN_RANGE:
        return pq__make_number(out, x, n, seconds(q->end_ms - q->start_ms), s, err);
    case PQ_FN_STEP:
        return pq__make_number(out, x, n, q->start_ms != q->end_ms ? seconds(q->step_ms) : 0, s, err);
    case PQ_FN_PI:
        return pq__make_number(out, x, n, M_PI, s, err);
    case PQ_FN_LABEL_REPLACE:
    case PQ_FN_LABEL_JOIN:
        return pq__make_label_call(out, x, n, s, err);
    case PQ_FN_HISTOGRAM_QUANTILE:
    case PQ_FN_HISTOGRAM_QUANTILES:
    case PQ_FN_HISTOGRAM_FRACTION:
    case PQ_FN_HISTOGRAM_COUNT:
    case PQ_FN_HISTOGRAM_SUM:
    case PQ_FN_HISTOGRAM_AVG:
    case PQ_FN_HISTOGRAM_STDDEV:
    case PQ_FN_HISTOGRAM_STDVAR:
        return pq__make_histogram_call(out, x, n, s, err);
    case PQ_FN_SORT:
    case PQ_FN_SORT_DESC:
    case PQ_FN_SORT_BY_LABEL:
    case PQ_FN_SORT_BY_LABEL_DESC:
        return pq__make_sort_call(out, x, n, s, err);
    case PQ_FN_ABSENT:
    case PQ_FN_ABSENT_OVER_TIME:
        return pq__make_absent(out, x, n, s, err);
    case PQ_FN_INFO:
        return pq__make_info_call(out, x, n, s, err);
    default:
        break;
    }
    for (uint32_t i = 0; i < n->call.arg_count; i++) {
        if (n->call.args[i]->type == PQ_MATRIX) {
            return pq__make_range_call(out, x, n, s, err);
        }
    }
    return pq__make_call(out, x, n, s, err);
}

static pl_status plan_aggregate(struct op **out, struct exec *x, const struct pq_node *n, struct scope s,
                                struct pl_err *err)
{
    switch (n->agg.op) {
    case PQ_AGG_TOPK:
    case PQ_AGG_BOTTOMK:
    case PQ_AGG_LIMITK:
    case PQ_AGG_LIMIT_RATIO:
        return pq__make_aggregate_k(out, x, n, s, err);
    case PQ_AGG_COUNT_VALUES:
        return pq__make_count_values(out, x, n, s, err);
    default:
        return pq__make_aggregate(out, x, n, s, err);
    }
}

static pl_status plan_node(struct op **out, struct exec *x, const struct pq_node *n, struct scope s, struct pl_err *err)
{
    PL_TRY(pq__share(out, x, n, s, err));
    if (*out != NULL) {
        return PL_OK;
    }
    switch (n->kind) {
    case PQ_NUMBER:
        return pq__make_number(out, x, n, n->number.value, s, err);
    case PQ_UNARY:
        return n->unary.op == PQ_OP_SUB ? pq__make_negate(out, x, n, s, err) : pq__plan(out, x, n->unary.expr, s, err);
    case PQ_BINARY:
        if (n->binary.lhs->type != PQ_VECTOR || n->binary.rhs->type != PQ_VECTOR) {
            return pq__make_binary(out, x, n, s, err);
        }
        return n->binary.op >= PQ_OP_AND ? pq__make_set(out, x, n, s, err) : pq__make_match(out, x, n, s, err);
    case PQ_AGGREGATE:
        return plan_aggregate(out, x, n, s, err);
    case PQ_CALL:
        return plan_call(out, x, n, s, err);
    case PQ_SELECTOR:
        return pq__make_selector(out, x, n, SELECT_SAMPLES, s, err);
    case PQ_STRING_LIT:
    case PQ_MATRIX_SELECTOR:
    case PQ_SUBQUERY:
    case PQ_PAREN:
    case PQ_STEP_INVARIANT:
        break;
    }
    return pl_fail(err, PL_INTERNAL, "no operator for a %s here", pq_type_name(n->type));
}

/* The highest parts of the tree that do not depend on the step are evaluated once. Depth is bounded by the parser. */
static pl_status plan(struct op **out, struct exec *x, const struct pq_node *node, struct scope s, struct pl_err *err)
{
    const struct pq_node *n = pq__unparen(node);
    struct scope once = s;

    if ((s.grid.n <= 1 && !s.grid.ranged) || n->kind == PQ_NUMBER || !pq__invariant(n)) {
        return plan_node(out, x, n, s, err);
    }
    once.grid.n = PL_MIN(s.grid.n, (size_t)1);
    once.grid.ranged = false;
    once.tally = pl_arena_zero_try(x->arena, sizeof(*once.tally));
    if (once.tally == NULL) {
        return pq__nomem_node(x, n, err);
    }
    PL_TRY(plan_node(out, x, n, once, err));
    return pq__make_repeat(out, *out, once.tally, s, err);
}

pl_status pq__plan(struct op **out, struct exec *x, const struct pq_node *node, struct scope s, struct pl_err *err)
{
    struct op *reader = x->planning;
    pl_status st = plan(out, x, node, s, err);

    x->planning = reader;
    return st;
}
