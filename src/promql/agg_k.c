#include "base/hash.h"
#include "codec/float_text.h"
#include "promql/agg.h"

#include <math.h>

/* topk, bottomk, limitk, limit_ratio: series are kept as they are, at the steps at which they are chosen. */

struct pick_heap {
    struct pick *v;
    size_t n;
    size_t members; /* columns of the group: no heap needs more */
};

struct topk_op {
    struct op op;
    struct op *child, *param;
    double *param_v;
    enum pq_agg kind;
    struct grouping grouping;
    struct batch in, result;
    uint32_t *group_of;
    double *ratio_at; /* limit_ratio: hash of the labels as a share of 2^64 */
    struct pick_heap *heaps;
    size_t group_count;
    size_t at;
    bool done, instant;
};

/* "Less" of Prometheus's heaps: NaN is least; bottomk turns the order of numbers round. */
static bool pick_less(double a, double b, bool reverse)
{
    return isnan(a) || (reverse ? a > b : a < b);
}

/* COMPAT: the same sift as Go's container/heap, so that ties are broken alike. */
static void heap_up(struct pick_heap *h, bool reverse)
{
    size_t j = h->n - 1;

    while (j > 0) {
        size_t parent = (j - 1) / 2;
        struct pick swap = h->v[j];

        if (!pick_less(swap.v, h->v[parent].v, reverse)) {
            break;
        }
        h->v[j] = h->v[parent];
        h->v[parent] = swap;
        j = parent;
    }
}

static void heap_down(struct pick_heap *h, bool reverse)
{
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;
        struct pick swap = h->v[i];

        if (child >= h->n) {
            return;
        }
        if (child + 1 < h->n && pick_less(h->v[child + 1].v, h->v[child].v, reverse)) {
            child++;
        }
        if (!pick_less(h->v[child].v, swap.v, reverse)) {
            return;
        }
        h->v[i] = h->v[child];
        h->v[child] = swap;
        i = child;
    }
}

static void heap_push(struct pick_heap *h, struct pick p, bool reverse)
{
    h->v[h->n++] = p;
    heap_up(h, reverse);
}

static void heap_offer(struct pick_heap *h, struct pick p, size_t k, bool reverse)
{
    double top;

    if (h->n < k) {
        heap_push(h, p, reverse);
        return;
    }
    top = h->v[0].v;
    if ((reverse ? top > p.v : top < p.v) || (isnan(top) && !isnan(p.v))) {
        h->v[0] = p;
        heap_down(h, reverse);
    }
}

static void put_sized(struct pl_buf *b, pl_str s)
{
    if (s.n < 255) {
        pl_buf_byte(b, (uint8_t)s.n);
    } else {
        pl_buf_byte(b, 255);
        pl_buf_byte(b, (uint8_t)s.n);
        pl_buf_byte(b, (uint8_t)(s.n >> 8));
        pl_buf_byte(b, (uint8_t)(s.n >> 16));
    }
    pl_buf_str(b, s);
}

/* COMPAT: limit_ratio chooses by Prometheus's in-memory hash of labels, which is over its own encoding: each text
 * behind its length (model/labels/labels_stringlabels.go). A Cortex is built with another one, and chooses other
 * series. */
static uint64_t ratio_hash(struct pl_buf *b, struct labels ls)
{
    pl_buf_reset(b);
    for (size_t i = 0; i < ls.n; i++) {
        put_sized(b, ls.v[i].name);
        put_sized(b, ls.v[i].value);
    }
    return pl_xxh64(b->p, b->n);
}

static pl_status topk_groups(struct topk_op *o, struct pl_err *err)
{
    struct op *op = &o->op;

    o->group_of = pl_arena_new_array_try(op->x->arena, uint32_t, o->in.n);
    o->heaps = pl_arena_new_array_try(op->x->arena, struct pick_heap, o->in.n);
    if (o->group_of == NULL || o->heaps == NULL) {
        return pq__nomem(op, err);
    }
    for (size_t i = 0; i < o->in.n; i++) {
        bool added;

        PL_TRY(pq__group_of(&o->group_of[i], &added, &o->grouping, op, o->in.col[i].labels, err));
        o->heaps[o->group_of[i]].members++;
    }
    o->group_count = o->grouping.keys.n;
    for (size_t g = 0; g < o->group_count; g++) {
        o->heaps[g].v = pl_arena_new_array_try(op->x->arena, struct pick, o->heaps[g].members);
        PQ_TRY_ALLOC(op, o->heaps[g].v);
    }
    if (o->kind != PQ_AGG_LIMIT_RATIO) {
        return PL_OK;
    }
    o->ratio_at = pl_arena_new_array_try(op->x->arena, double, o->in.n);
    PQ_TRY_ALLOC(op, o->ratio_at);
    for (size_t i = 0; i < o->in.n; i++) {
        o->ratio_at[i] = (double)ratio_hash(&op->x->text, o->in.col[i].labels) / 18446744073709551615.0;
    }
    return PL_OK;
}

/* *empty: no step can give anything. */
static pl_status topk_param(struct topk_op *o, bool *empty, struct pl_err *err)
{
    struct exec *x = o->op.x;
    struct pq_pos pos = pq__unparen(o->op.node->agg.param)->pos;
    double min = HUGE_VAL, max = -HUGE_VAL;
    bool nan = false, ratio = o->kind == PQ_AGG_LIMIT_RATIO;
    char text[FLOAT_TEXT_MAX];

    for (size_t i = 0; i < o->op.grid.n; i++) {
        double p = o->param_v[i];

        nan = nan || isnan(p);
        min = p < min ? p : min;
        max = p > max ? p : max;
    }
    *empty = ratio ? max == 0 && min == 0 : max < 1 && !nan;
    if (*empty) {
        return PL_OK;
    }
    if (nan) {
        return pl_fail(err, PL_EXEC, "%s value is NaN", ratio ? "Ratio" : "Parameter");
    }
    if (ratio && max > 1) {
        pq__note(x, false, pos, "ratio value should be between -1 and 1, got %.*s, capping to 1",
                 (int)float_put_g(text, max), text);
    }
    if (ratio && min < -1) {
        pq__note(x, false, pos, "ratio value should be between -1 and 1, got %.*s, capping to -1",
                 (int)float_put_g(text, min), text);
    }
    if (!ratio && min <= -9223372036854775808.0) {
        return pl_fail(err, PL_EXEC, "Scalar value %.*s underflows int64", (int)float_put_g(text, min), text);
    }
    if (!ratio && max >= 9223372036854774784.0) {
        return pl_fail(err, PL_EXEC, "Scalar value %.*s overflows int64", (int)float_put_g(text, max), text);
    }
    return PL_OK;
}

static bool ratio_takes(double ratio, double at)
{
    ratio = ratio > 1 ? 1 : ratio < -1 ? -1 : ratio;
    return ratio >= 0 ? at < ratio : at >= 1 + ratio;
}

/* Chooses at one step: afterwards every group's heap holds its choice. */
static void topk_step(struct topk_op *o, size_t step)
{
    double param = o->param_v[step];
    int64_t k = o->kind == PQ_AGG_LIMIT_RATIO ? 1 : pl_f64_to_i64(param);
    bool by_value = o->kind == PQ_AGG_TOPK || o->kind == PQ_AGG_BOTTOMK;

    for (size_t g = 0; g < o->group_count; g++) {
        o->heaps[g].n = 0;
    }
    if (k < 1) {
        return;
    }
    for (size_t i = 0; i < o->in.n; i++) {
        struct pick p = {.v = o->in.col[i].v[step], .col = (uint32_t)i};
        struct pick_heap *h = &o->heaps[o->group_of[i]];
        size_t most = PL_MIN((size_t)k, h->members);

        if (pq_has_hist(&o->in.col[i], step) && by_value) {
            pq__note(o->op.x, true, o->op.node->pos, "ignored histogram in %s aggregation", pq_agg_text(o->kind));
            continue;
        }
        if (!pq_has(&o->in.col[i], step)) {
            continue;
        }
        if (pq_has_hist(&o->in.col[i], step)) {
            p.v = 0; /* COMPAT: limitk and limit_ratio hand on what they chose in the order of a heap by value */
        }
        if (by_value) {
            heap_offer(h, p, most, o->kind == PQ_AGG_BOTTOMK);
        } else if (o->kind == PQ_AGG_LIMITK ? h->n < most : ratio_takes(param, o->ratio_at[i])) {
            heap_push(h, p, false);
        }
    }
}

static pl_status topk_instant(struct topk_op *o, struct pl_err *err)
{
    size_t n = 0;
    struct column *col;

    topk_step(o, 0);
    for (size_t g = 0; g < o->group_count; g++) {
        n += o->heaps[g].n;
    }
    col = pl_arena_new_array_try(o->op.x->arena, struct column, n);
    PQ_TRY_ALLOC(&o->op, col);
    o->result = (struct batch){.col = col};
    for (size_t g = 0; g < o->group_count; g++) {
        if (o->kind == PQ_AGG_TOPK || o->kind == PQ_AGG_BOTTOMK) {
            pq__picks_sort(o->heaps[g].v, o->heaps[g].n, o->kind == PQ_AGG_BOTTOMK);
        }
        for (size_t i = 0; i < o->heaps[g].n; i++) {
            col[o->result.n++] = o->in.col[o->heaps[g].v[i].col];
        }
    }
    return PL_OK;
}

/* Samples that are not chosen become absent. `chosen` marks the columns of one step. */
static pl_status topk_range(struct topk_op *o, struct pl_err *err)
{
    uint8_t *chosen = pl_arena_new_array_try(o->op.x->arena, uint8_t, o->in.n);

    PQ_TRY_ALLOC(&o->op, chosen);
    for (size_t step = 0; step < o->op.grid.n; step++) {
        if (step % 16 == 0) {
            PL_TRY(pq__check(o->op.x, err));
        }
        topk_step(o, step);
        for (size_t g = 0; g < o->group_count; g++) {
            for (size_t i = 0; i < o->heaps[g].n; i++) {
                chosen[o->heaps[g].v[i].col] = 1;
            }
        }
        for (size_t i = 0; i < o->in.n; i++) {
            if (!chosen[i]) {
                pq_clear(&o->in.col[i], step);
            }
            chosen[i] = 0;
        }
    }
    pq__compact(&o->in, o->op.grid.n);
    o->result = o->in;
    return PL_OK;
}

static pl_status topk_run(struct topk_op *o, struct pl_err *err)
{
    bool empty;

    PL_TRY(pq__scalar(o->param, &o->param_v, err));
    PL_TRY(pq__drain(o->child, &o->in, err));
    PL_TRY(topk_groups(o, err));
    PL_TRY(topk_param(o, &empty, err));
    if (empty || o->in.n == 0) {
        return PL_OK;
    }
    return o->op.grid.n == 1 ? topk_instant(o, err) : topk_range(o, err);
}

static pl_status topk_next(struct op *op, struct batch *out, struct pl_err *err)
{
    struct topk_op *o = (struct topk_op *)op;

    if (!o->done) {
        PL_TRY(topk_run(o, err));
        o->done = true;
    }
    pq__batch_slice(&o->result, &o->at, op->batch_max, out);
    return PL_OK;
}

static const struct op_ops topk_ops = {"choosing aggregation", topk_next};

pl_status pq__make_aggregate_k(struct op **out, struct exec *x, const struct pq_node *n, struct scope s,
                               struct pl_err *err)
{
    struct topk_op *o = pl_arena_zero_try(x->arena, sizeof(*o));

    if (o == NULL) {
        return pq__nomem_node(x, n, err);
    }
    pq__op_init(&o->op, &topk_ops, x, n, s.grid);
    o->kind = n->agg.op;
    PL_TRY(pq__grouping_init(&o->grouping, x, n, err));
    PL_TRY(pq__plan(&o->param, x, n->agg.param, s, err));
    PL_TRY(pq__plan(&o->child, x, n->agg.expr, s, err));
    *out = &o->op;
    return PL_OK;
}

/* ---- count_values ---- */

struct values_op {
    struct op op;
    struct op *child;
    pl_str label;
    struct grouping grouping;
    struct batch result;
    size_t result_cap;
    size_t at;
    bool done;
};

/* The label's value for the sample at step i. */
static pl_str values_text(struct values_op *o, const struct column *c, size_t i)
{
    struct exec *x = o->op.x;
    char text[FLOAT_TEXT_MAX];

    if (!pq_has_hist(c, i)) {
        return pq__str_try(x->arena, pl_str_of(text, float_put_f(text, c->v[i])));
    }
    pl_buf_reset(&x->text);
    hist_text(&x->text, c->h[i]);
    return pq__str_try(x->arena, pl_buf_view(&x->text));
}

static pl_status values_group(struct values_op *o, uint32_t *index, const struct column *c, size_t i,
                              struct pl_err *err)
{
    struct exec *x = o->op.x;
    size_t n = o->op.grid.n;
    bool added;
    struct labels ls;
    pl_str value = values_text(o, c, i);

    PQ_TRY_ALLOC(&o->op, value.p);
    ls = pq__labels_set(x->arena, c->labels, o->label, value);
    PQ_TRY_ALLOC(&o->op, ls.v);
    PL_TRY(pq__group_of(index, &added, &o->grouping, &o->op, ls, err));
    if (!added) {
        return PL_OK;
    }
    if (o->result.n == o->result_cap) {
        size_t cap = PL_MAX(o->result_cap * 2, (size_t)16);
        struct column *grown = pl_arena_new_array_try(x->arena, struct column, cap);

        PQ_TRY_ALLOC(&o->op, grown);
        if (o->result.n > 0) {
            memcpy(grown, o->result.col, o->result.n * sizeof(*grown));
        }
        o->result.col = grown;
        o->result_cap = cap;
    }
    o->result.col[o->result.n] = (struct column){.v = pl_arena_new_array_try(x->arena, double, n)};
    PQ_TRY_ALLOC(&o->op, o->result.col[o->result.n].v);
    pq__fill_absent(o->result.col[o->result.n].v, n);
    return pq__group_labels(&o->result.col[o->result.n++].labels, &o->grouping, &o->op, ls, err);
}

static pl_status values_fold(struct values_op *o, const struct column *c, struct pl_err *err)
{
    uint64_t last = PQ_ABSENT_BITS; /* most series keep their value from step to step */
    uint32_t group = 0;

    for (size_t i = 0; i < o->op.grid.n; i++) {
        double *count;

        if (!pq_has(c, i)) {
            continue;
        }
        if (pq_has_hist(c, i) || pl_f64_bits(c->v[i]) != last) {
            PL_TRY(values_group(o, &group, c, i, err));
            last = pl_f64_bits(c->v[i]); /* a histogram's is absent, which no float is */
        }
        count = &o->result.col[group].v[i];
        *count = pq_is_absent(*count) ? 1 : *count + 1;
    }
    return PL_OK;
}

static pl_status values_next(struct op *op, struct batch *out, struct pl_err *err)
{
    struct values_op *o = (struct values_op *)op;

    while (!o->done) {
        struct batch b;

        PL_TRY(pq__next(o->child, &b, err));
        o->done = b.n == 0;
        for (size_t i = 0; i < b.n; i++) {
            PL_TRY(values_fold(o, &b.col[i], err));
        }
    }
    pq__batch_slice(&o->result, &o->at, op->batch_max, out);
    return PL_OK;
}

static const struct op_ops values_ops = {"count_values", values_next};

pl_status pq__make_count_values(struct op **out, struct exec *x, const struct pq_node *n, struct scope s,
                                struct pl_err *err)
{
    struct values_op *o = pl_arena_zero_try(x->arena, sizeof(*o));
    const struct pq_node *param = pq__unparen(n->agg.param);

    if (o == NULL) {
        return pq__nomem_node(x, n, err);
    }
    pq__op_init(&o->op, &values_ops, x, n, s.grid);
    o->label = param->string;
    if (o->label.n == 0 || !pl_str_is_utf8(o->label)) {
        pl_buf_reset(&x->text);
        pl_buf_quoted(&x->text, o->label);
        return pl_fail(err, PL_EXEC, "invalid label name %.*s", (int)x->text.n, x->text.p);
    }
    PL_TRY(pq__grouping_init(&o->grouping, x, n, err));
    if (!n->agg.without) {
        pl_str *names = pl_arena_new_array_try(x->arena, pl_str, n->agg.label_count + 1);

        PQ_TRY_ALLOC(&o->op, names);
        if (n->agg.label_count > 0) {
            memcpy(names, n->agg.labels, n->agg.label_count * sizeof(*names));
        }
        names[n->agg.label_count] = o->label;
        o->grouping.count = n->agg.label_count + 1;
        o->grouping.names = pq__names_sorted(x->arena, names, o->grouping.count);
        PQ_TRY_ALLOC(&o->op, o->grouping.names);
    }
    PL_TRY(pq__plan(&o->child, x, n->agg.expr, s, err));
    *out = &o->op;
    return PL_OK;
}
