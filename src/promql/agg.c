#include "promql/agg.h"

#include "promql/hist_fold.h"
#include "promql/kernels.h"

/* sum, avg, count, min, max, group, stddev, stdvar and quantile: every batch of the child is folded into per-group
 * columns, so memory depends on the groups, not on the series (but for quantile, which needs all values of a step). */

pl_status pq__grouping_init(struct grouping *g, struct exec *x, const struct pq_node *n, struct pl_err *err)
{
    *g = (struct grouping){.count = n->agg.label_count, .without = n->agg.without, .keys = {.a = x->arena}};
    g->names = pq__names_sorted(x->arena, n->agg.labels, n->agg.label_count);
    return g->names != NULL ? PL_OK : pq__nomem_node(x, n, err);
}

pl_status pq__group_of(uint32_t *index, bool *added, struct grouping *g, const struct op *op, struct labels ls,
                       struct pl_err *err)
{
    struct pl_buf *key = &op->x->text;

    if (g->without) {
        pq__key_without(key, ls, g->names, g->count, true);
    } else {
        pq__key_only(key, ls, g->names, g->count);
    }
    return pq__keytab_put(&g->keys, pl_buf_view(key), index, added) ? PL_OK : pq__nomem(op, err);
}

pl_status pq__group_labels(struct labels *out, const struct grouping *g, const struct op *op, struct labels ls,
                           struct pl_err *err)
{
    *out = g->without ? pq__labels_without(op->x->arena, ls, g->names, g->count, true)
                      : pq__labels_only(op->x->arena, ls, g->names, g->count);
    if (out->n > 0) {
        PQ_TRY_ALLOC(op, out->v);
    }
    return PL_OK;
}

/* One group: columns over the steps. Which ones exist depends on the operator. */
struct group {
    struct labels labels;
    bool drop_name;
    double *value; /* absent until the first sample of the step; sum, minimum, mean ... */
    double *comp;  /* Kahan compensation, or the sum of squares of stddev */
    double *count;
    double *mean;             /* stddev; avg: only once a sum would overflow, else NULL */
    uint8_t *running_mean;    /* avg with mean: the steps that have gone over to it */
    struct hist_fold **hists; /* sum and avg: of a step that met a histogram; NULL: no step did */
    /* quantile: all columns of the group */
    double **member;
    size_t member_count, member_cap;
};

struct agg_op {
    struct op op;
    struct op *child;
    struct op *param;
    double *param_v;
    enum pq_agg kind;
    struct grouping grouping;
    struct group *groups;
    size_t group_count, group_cap;
    size_t at;
    bool done;
    double *scratch; /* quantile */
    size_t scratch_cap;
};

static double *group_column(struct agg_op *o)
{
    return pl_arena_new_array_try(o->op.x->arena, double, o->op.grid.n);
}

static pl_status group_init(struct agg_op *o, struct group *g, const struct column *first, struct pl_err *err)
{
    size_t n = o->op.grid.n;
    bool ok;

    *g = (struct group){.value = group_column(o)};
    ok = g->value != NULL;
    switch (o->kind) {
    case PQ_AGG_AVG:
        ok = ok && (g->count = group_column(o)) != NULL && (g->comp = group_column(o)) != NULL;
        break;
    case PQ_AGG_STDDEV:
    case PQ_AGG_STDVAR:
        ok = ok && (g->count = group_column(o)) != NULL && (g->mean = group_column(o)) != NULL;
        break;
    case PQ_AGG_SUM:
        ok = ok && (g->comp = group_column(o)) != NULL;
        break;
    default:
        break;
    }
    if (!ok) {
        return pq__nomem(&o->op, err);
    }
    pq__fill_absent(g->value, n);
    return pq__group_labels(&g->labels, &o->grouping, &o->op, first->labels, err);
}

/* ---- folding one column into its group; the first sample of a step starts the step ---- */

static void fold_sum(struct group *g, const double *restrict v, size_t n)
{
    double *restrict sum = g->value, *restrict comp = g->comp;

    for (size_t i = 0; i < n; i++) {
        double s = sum[i], x = v[i], t, lost;

        if (pq_is_absent(x)) {
            continue;
        }
        if (pq_is_absent(s)) {
            sum[i] = x;
            continue;
        }
        t = s + x;
        lost = fabs(s) >= fabs(x) ? (s - t) + x : (x - t) + s;
        comp[i] = PL_UNLIKELY(isinf(t)) ? 0 : comp[i] + lost;
        sum[i] = t;
    }
}

/* ---- sum and avg of histograms. A step that met floats and histograms has no result: its fold only remembers that.
 * Float folds go on beside, so a step that met floats is known by `value`. ---- */

static pl_status fold_begin(struct agg_op *o, struct group *g, const struct hist *h, size_t i, struct pl_err *err)
{
    struct op *op = &o->op;
    struct hist_fold *f = pl_arena_zero_try(op->x->arena, sizeof(*f));

    PQ_TRY_ALLOC(op, f);
    if (pq_is_absent(g->value[i])) {
        PL_TRY(pq__hist_fold_begin(f, op, op->x->arena, h, o->kind == PQ_AGG_AVG, err));
    } else {
        f->mixed = true; /* COMPAT: after a float Prometheus looks at no histogram of the step any more */
    }
    g->hists[i] = f;
    return PL_OK;
}

/* The steps of c that hold histograms. Samples of one step come in the order of the series. */
static pl_status fold_hists(struct agg_op *o, struct group *g, const struct column *c, struct pl_err *err)
{
    struct op *op = &o->op;

    if (g->hists == NULL) {
        g->hists = pl_arena_new_array_try(op->x->arena, struct hist_fold *, op->grid.n);
        PQ_TRY_ALLOC(op, g->hists);
    }
    for (size_t i = 0; i < op->grid.n; i++) {
        struct hist_fold *f = g->hists[i];

        if (c->h[i] == NULL || (f != NULL && (f->incompatible || f->mixed))) {
            continue;
        }
        if (f == NULL) {
            PL_TRY(fold_begin(o, g, c->h[i], i, err));
            continue;
        }
        PL_TRY(pq__hist_fold_add(f, op, c->h[i], f->count + 1, err));
        if (f->incompatible) {
            f->mixed = !pq_is_absent(g->value[i]); /* COMPAT: floats that come later are not looked at */
            pq__note_named(op->x, false, op->node->agg.expr->pos,
                           "vector contains a mix of histograms with exponential and custom buckets schemas for metric "
                           "name ",
                           labels_get(c->labels, LABEL_METRIC_NAME));
        }
    }
    return PL_OK;
}

static pl_status finish_hists(struct agg_op *o, struct group *g, struct column *out, struct pl_err *err)
{
    struct op *op = &o->op;
    struct pq_pos pos = op->node->agg.expr->pos;

    out->h = pq__hist_column(op);
    PQ_TRY_ALLOC(op, out->h);
    for (size_t i = 0; i < op->grid.n; i++) {
        struct hist_fold *f = g->hists[i];
        const struct hist *h;

        if (f == NULL) {
            continue;
        }
        f->mixed = f->mixed || (!f->incompatible && !pq_is_absent(g->value[i]));
        g->value[i] = pq_absent();
        if (f->reconciled) {
            pq__hist_fold_notes(&(struct hist_fold){.reconciled = true}, op->x, pos);
        }
        if (f->mixed) {
            pq__note(op->x, false, pos, "encountered a mix of histograms and floats for aggregation");
        }
        if (f->mixed || f->incompatible) {
            continue;
        }
        pq__hist_fold_notes(f, op->x, pos);
        PL_TRY(pq__hist_fold_value(&h, f, op, err));
        out->h[i] = hist_compact(op->x->arena, h);
        PQ_TRY_ALLOC(op, out->h[i]);
    }
    return PL_OK;
}

/* One more value of a step whose sum would overflow: from here on as a running mean. */
static pl_status fold_mean(struct agg_op *o, struct group *g, double v, size_t i, struct pl_err *err)
{
    double count = g->count[i], share = (count - 1) / count;

    if (g->mean == NULL) {
        g->mean = group_column(o);
        g->running_mean = pl_arena_new_array_try(o->op.x->arena, uint8_t, o->op.grid.n);
        if (g->mean == NULL || g->running_mean == NULL) {
            return pq__nomem(&o->op, err);
        }
    }
    if (g->running_mean[i] == 0) {
        g->running_mean[i] = 1;
        g->mean[i] = g->value[i] / (count - 1);
        g->comp[i] /= count - 1;
    }
    g->mean[i] *= share;
    g->comp[i] *= share;
    kahan_inc(v / count, &g->mean[i], &g->comp[i]);
    return PL_OK;
}

static pl_status fold_avg(struct agg_op *o, struct group *g, const double *restrict v, size_t n, struct pl_err *err)
{
    for (size_t i = 0; i < n; i++) {
        double s = g->value[i], c = g->comp[i];

        if (pq_is_absent(v[i])) {
            continue;
        }
        if (pq_is_absent(s)) {
            g->value[i] = v[i];
            g->count[i] = 1;
            continue;
        }
        g->count[i]++;
        kahan_inc(v[i], &s, &c);
        if (isinf(s) || (g->mean != NULL && g->running_mean[i] != 0)) {
            PL_TRY(fold_mean(o, g, v[i], i, err));
        } else {
            g->value[i] = s;
            g->comp[i] = c;
        }
    }
    return PL_OK;
}

static void fold_variance(struct group *g, const double *restrict v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double d;

        if (pq_is_absent(v[i])) {
            continue;
        }
        if (pq_is_absent(g->value[i])) {
            g->value[i] = isnan(v[i]) || isinf(v[i]) ? pq_nan() : 0;
            g->mean[i] = v[i];
            g->count[i] = 1;
            continue;
        }
        g->count[i]++;
        d = v[i] - g->mean[i];
        g->mean[i] += d / g->count[i];
        g->value[i] += d * (v[i] - g->mean[i]);
    }
}

static void fold_extreme(struct group *g, const double *restrict v, size_t n, bool max)
{
    double *restrict m = g->value;

    for (size_t i = 0; i < n; i++) {
        if (!pq_is_absent(v[i]) && (isnan(m[i]) || (max ? m[i] < v[i] : m[i] > v[i]))) {
            m[i] = v[i]; /* an absent value is a NaN too */
        }
    }
}

static void fold_count(struct group *g, const struct column *c, size_t n, bool count)
{
    for (size_t i = 0; i < n; i++) {
        if (pq_has(c, i)) {
            g->value[i] = count && !pq_is_absent(g->value[i]) ? g->value[i] + 1 : 1;
        }
    }
}

static pl_status fold_member(struct agg_op *o, struct group *g, double *v, struct pl_err *err)
{
    if (g->member_count == g->member_cap) {
        size_t cap = PL_MAX(g->member_cap * 2, (size_t)8);
        double **grown = pl_arena_new_array_try(o->op.x->arena, double *, cap);

        PQ_TRY_ALLOC(&o->op, grown);
        if (g->member_count > 0) {
            memcpy(grown, g->member, g->member_count * sizeof(*grown));
        }
        g->member = grown;
        g->member_cap = cap;
    }
    g->member[g->member_count++] = v;
    return PL_OK;
}

static void note_ignored(struct agg_op *o, const struct column *c)
{
    for (size_t i = 0; i < o->op.grid.n; i++) {
        if (c->h[i] != NULL) {
            pq__note(o->op.x, true, o->op.node->agg.expr->pos, "ignored histogram in %s aggregation",
                     pq_agg_text(o->kind));
            return;
        }
    }
}

static pl_status fold(struct agg_op *o, struct group *g, const struct column *c, struct pl_err *err)
{
    size_t n = o->op.grid.n;

    if (PL_UNLIKELY(c->h != NULL)) {
        if (o->kind == PQ_AGG_SUM || o->kind == PQ_AGG_AVG) {
            PL_TRY(fold_hists(o, g, c, err));
        } else if (o->kind != PQ_AGG_COUNT && o->kind != PQ_AGG_GROUP) {
            note_ignored(o, c);
        }
    }
    switch (o->kind) {
    case PQ_AGG_SUM:
        fold_sum(g, c->v, n);
        return PL_OK;
    case PQ_AGG_AVG:
        return fold_avg(o, g, c->v, n, err);
    case PQ_AGG_STDDEV:
    case PQ_AGG_STDVAR:
        fold_variance(g, c->v, n);
        return PL_OK;
    case PQ_AGG_MIN:
    case PQ_AGG_MAX:
        fold_extreme(g, c->v, n, o->kind == PQ_AGG_MAX);
        return PL_OK;
    case PQ_AGG_COUNT:
    case PQ_AGG_GROUP:
        fold_count(g, c, n, o->kind == PQ_AGG_COUNT);
        return PL_OK;
    case PQ_AGG_QUANTILE:
        return fold_member(o, g, c->v, err);
    case PQ_AGG_TOPK:
    case PQ_AGG_BOTTOMK:
    case PQ_AGG_COUNT_VALUES:
    case PQ_AGG_LIMITK:
    case PQ_AGG_LIMIT_RATIO:
        break;
    }
    PL_UNREACHABLE("aggregation");
}

/* ---- results ---- */

static void finish_quantile(struct agg_op *o, struct group *g)
{
    for (size_t i = 0; i < o->op.grid.n; i++) {
        size_t n = 0;

        for (size_t m = 0; m < g->member_count; m++) {
            if (!pq_is_absent(g->member[m][i])) {
                o->scratch[n++] = g->member[m][i];
            }
        }
        if (n > 0) {
            g->value[i] = pq__quantile(o->param_v[i], o->scratch, n);
        }
    }
}

static void finish(struct agg_op *o, struct group *g)
{
    size_t n = o->op.grid.n;
    double *v = g->value;

    for (size_t i = 0; i < n; i++) {
        if (pq_is_absent(v[i])) {
            continue;
        }
        switch (o->kind) {
        case PQ_AGG_SUM:
            v[i] += g->comp[i];
            break;
        case PQ_AGG_AVG:
            v[i] = g->mean != NULL && g->running_mean[i] != 0 ? g->mean[i] + g->comp[i]
                                                              : v[i] / g->count[i] + g->comp[i] / g->count[i];
            break;
        case PQ_AGG_STDDEV:
            v[i] = sqrt(v[i] / g->count[i]);
            break;
        case PQ_AGG_STDVAR:
            v[i] = v[i] / g->count[i];
            break;
        default:
            return;
        }
    }
}

/* Which parameter values are out of range is said once a query, as Prometheus does. */
static void warn_quantile(struct agg_op *o)
{
    const struct pq_node *n = o->op.node;
    double min = HUGE_VAL, max = -HUGE_VAL;
    bool nan = false;

    for (size_t i = 0; i < o->op.grid.n; i++) {
        nan = nan || isnan(o->param_v[i]);
        min = go_min(min, o->param_v[i]); /* NaN once there is one, but for infinities */
        max = go_max(max, o->param_v[i]);
    }
    if (nan) {
        pq__note_quantile(o->op.x, n, n->agg.param, pq_nan());
    }
    if (max > 1) {
        pq__note_quantile(o->op.x, n, n->agg.param, max);
    }
    if (min < 0) {
        pq__note_quantile(o->op.x, n, n->agg.param, min);
    }
}

static pl_status agg_group(struct agg_op *o, struct group **out, const struct column *c, struct pl_err *err)
{
    uint32_t index;
    bool added;

    PL_TRY(pq__group_of(&index, &added, &o->grouping, &o->op, c->labels, err));
    if (added) {
        if (o->group_count == o->group_cap) {
            size_t cap = PL_MAX(o->group_cap * 2, (size_t)16);
            struct group *grown = pl_arena_new_array_try(o->op.x->arena, struct group, cap);

            PQ_TRY_ALLOC(&o->op, grown);
            if (o->group_count > 0) {
                memcpy(grown, o->groups, o->group_count * sizeof(*grown));
            }
            o->groups = grown;
            o->group_cap = cap;
        }
        PL_TRY(group_init(o, &o->groups[o->group_count++], c, err));
    }
    *out = &o->groups[index];
    (*out)->drop_name = (*out)->drop_name || c->drop_name;
    return PL_OK;
}

static pl_status agg_run(struct agg_op *o, struct pl_err *err)
{
    size_t members = 0;

    if (o->param != NULL) {
        PL_TRY(pq__scalar(o->param, &o->param_v, err));
        pq__keep(o->child);
        warn_quantile(o);
    }
    for (;;) {
        struct batch b;

        PL_TRY(pq__next(o->child, &b, err));
        if (b.n == 0) {
            break;
        }
        for (size_t i = 0; i < b.n; i++) {
            struct group *g = NULL;

            PL_TRY(agg_group(o, &g, &b.col[i], err));
            PL_TRY(fold(o, g, &b.col[i], err));
            members = PL_MAX(members, g->member_count);
        }
    }
    if (o->kind == PQ_AGG_QUANTILE) {
        o->scratch = pl_arena_new_array_try(o->op.x->arena, double, members + 1);
        PQ_TRY_ALLOC(&o->op, o->scratch);
    }
    return PL_OK;
}

static pl_status agg_next(struct op *op, struct batch *out, struct pl_err *err)
{
    struct agg_op *o = (struct agg_op *)op;
    size_t max = op->batch_max;

    if (!o->done) {
        PL_TRY(agg_run(o, err));
        o->done = true;
    }
    PL_TRY(pq__cols_array(op, err));
    out->col = op->cols;
    for (; out->n < max && o->at < o->group_count; o->at++) {
        struct group *g = &o->groups[o->at];
        struct column c;

        if (o->kind == PQ_AGG_QUANTILE) {
            PL_TRY(pq__check(op->x, err));
            finish_quantile(o, g);
        } else {
            finish(o, g);
        }
        c = (struct column){.labels = g->labels, .v = g->value, .drop_name = g->drop_name};
        if (g->hists != NULL) {
            PL_TRY(finish_hists(o, g, &c, err));
        }
        if (pq__col_any(&c, op->grid.n)) {
            out->col[out->n++] = c;
        }
    }
    return PL_OK;
}

static const struct op_ops agg_ops = {"aggregation", agg_next};

pl_status pq__make_aggregate(struct op **out, struct exec *x, const struct pq_node *n, struct scope s,
                             struct pl_err *err)
{
    struct agg_op *o = pl_arena_zero_try(x->arena, sizeof(*o));

    if (o == NULL) {
        return pq__nomem_node(x, n, err);
    }
    pq__op_init(&o->op, &agg_ops, x, n, s.grid);
    o->kind = n->agg.op;
    PL_TRY(pq__grouping_init(&o->grouping, x, n, err));
    if (o->kind == PQ_AGG_QUANTILE) {
        PL_TRY(pq__plan(&o->param, x, n->agg.param, s, err));
    }
    PL_TRY(pq__plan(&o->child, x, n->agg.expr, s, err));
    *out = &o->op;
    return PL_OK;
}
