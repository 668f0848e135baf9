#include "promql/functions_def.h"
#include "promql/kernels.h"

/* Scalars, functions of instant vectors value by value, absent, and two helpers: repeat and merge. */

/* ---- constants and time ---- */

struct scalar_op {
    struct op op;
    double value;
    bool is_time; /* the step's time in seconds */
    bool done;
};

static pl_status scalar_next(struct op *op, struct batch *out, struct pl_err *err)
{
    struct scalar_op *o = (struct scalar_op *)op;
    double *v;

    if (o->done) {
        return PL_OK;
    }
    o->done = true;
    PL_TRY(pq__one_column(op, out, err));
    v = out->col[0].v;
    for (size_t i = 0; i < op->grid.n; i++) {
        v[i] = o->is_time ? (double)grid_at(op->grid, i) / 1000 : o->value;
    }
    return PL_OK;
}

static const struct op_ops scalar_ops = {"scalar", scalar_next};

static pl_status make_scalar(struct op **out, struct exec *x, const struct pq_node *n, double v, bool is_time,
                             struct scope s, struct pl_err *err)
{
    struct scalar_op *o = pl_arena_zero_try(x->arena, sizeof(*o));

    if (o == NULL) {
        return pq__nomem_node(x, n, err);
    }
    pq__op_init(&o->op, &scalar_ops, x, n, s.grid);
    o->value = v;
    o->is_time = is_time;
    *out = &o->op;
    return PL_OK;
}

pl_status pq__make_number(struct op **out, struct exec *x, const struct pq_node *n, double v, struct scope s,
                          struct pl_err *err)
{
    return make_scalar(out, x, n, v, false, s, err);
}

/* ---- repeat: evaluated once, handed out for every step ---- */

struct repeat_op {
    struct op op;
    struct op *child;
    struct tally *from, *to;
    struct batch in;
    size_t at;
};

static void repeat_tally(struct repeat_op *o)
{
    o->to->total += o->from->total * o->op.grid.n;
    for (size_t i = 0; o->to->per_step != NULL && i < o->op.grid.n; i++) {
        o->to->per_step[i] += o->from->total;
    }
    o->from->total = 0;
}

static pl_status repeat_hist(struct repeat_op *o, struct column *c, const struct hist *h, struct pl_err *err)
{
    c->h = NULL;
    if (h == NULL) {
        return PL_OK;
    }
    h = hist_copy(pq__hists(&o->op), h); /* the child's goes with its batch */
    c->h = pq__hist_column(&o->op);
    if (h == NULL || c->h == NULL) {
        return pq__nomem(&o->op, err);
    }
    for (size_t i = 0; i < o->op.grid.n; i++) {
        c->h[i] = h;
    }
    return PL_OK;
}

static pl_status repeat_next(struct op *op, struct batch *out, struct pl_err *err)
{
    struct repeat_op *o = (struct repeat_op *)op;
    size_t max = op->batch_max;

    PL_TRY(pq__cols_begin(op, err));
    out->col = op->cols;
    while (out->n < max) {
        const struct column *c;
        double *v;

        if (o->at == o->in.n) {
            o->at = 0;
            PL_TRY(pq__next(o->child, &o->in, err));
            repeat_tally(o);
            if (o->in.n == 0) {
                return PL_OK;
            }
        }
        c = &o->in.col[o->at++];
        v = pq__col_take(op);
        PQ_TRY_ALLOC(op, v);
        for (size_t i = 0; i < op->grid.n; i++) {
            v[i] = c->v[0];
        }
        out->col[out->n] = *c;
        out->col[out->n].v = v;
        if (c->h != NULL) {
            PL_TRY(repeat_hist(o, &out->col[out->n], c->h[0], err));
        }
        out->n++;
    }
    return PL_OK;
}

static const struct op_ops repeat_ops = {"step invariant", repeat_next};

pl_status pq__make_repeat(struct op **out, struct op *child, struct tally *from, struct scope s, struct pl_err *err)
{
    struct repeat_op *o = pl_arena_zero_try(child->x->arena, sizeof(*o));

    PQ_TRY_ALLOC(child, o);
    pq__op_init(&o->op, &repeat_ops, child->x, child->node, s.grid);
    pq__explain_wrap(&o->op, child);
    o->child = child;
    o->from = from;
    o->to = s.tally;
    *out = &o->op;
    return PL_OK;
}

/* ---- merge: columns of equal labels become one ---- */

struct merge_op {
    struct op op;
    struct op *child;
    bool finish, done;
    struct batch all;
    size_t at;
};

static pl_status merge_into(struct merge_op *o, struct column *to, const struct column *from, struct pl_err *err)
{
    for (size_t i = 0; i < o->op.grid.n; i++) {
        if (!pq_has(from, i)) {
            continue;
        }
        if (pq_has(to, i)) {
            return pl_fail(err, PL_EXEC, "vector cannot contain metrics with the same labelset");
        }
        PL_TRY(pq__sample_put(&o->op, to, from, i, err));
    }
    return PL_OK;
}

static pl_status merge_all(struct merge_op *o, struct pl_err *err)
{
    struct exec *x = o->op.x;
    struct keytab seen = {.a = x->arena};
    struct batch all;

    PL_TRY(pq__drain(o->child, &all, err));
    for (size_t i = 0; i < all.n; i++) {
        struct column *c = &all.col[i];
        uint32_t index;
        bool added;

        if (o->finish && c->drop_name) {
            c->labels = pq__labels_drop_reserved(x->arena, c->labels);
            if (c->labels.n > 0) {
                PQ_TRY_ALLOC(&o->op, c->labels.v);
            }
            c->drop_name = false;
        }
        pq__key_all(&x->text, c->labels);
        if (!pq__keytab_put(&seen, pl_buf_view(&x->text), &index, &added)) {
            return pq__nomem(&o->op, err);
        }
        if (added) {
            all.col[index] = *c; /* index <= i: columns move down over merged ones */
        } else {
            PL_TRY(merge_into(o, &all.col[index], c, err));
        }
    }
    all.n = seen.n;
    o->all = all;
    return PL_OK;
}

static pl_status merge_next(struct op *op, struct batch *out, struct pl_err *err)
{
    struct merge_op *o = (struct merge_op *)op;

    if (!o->done) {
        PL_TRY(merge_all(o, err));
        o->done = true;
    }
    pq__batch_slice(&o->all, &o->at, op->batch_max, out);
    return PL_OK;
}

static const struct op_ops merge_ops = {"merge", merge_next};

pl_status pq__make_merge(struct op **out, struct op *child, bool finish, struct pl_err *err)
{
    struct merge_op *o = pl_arena_zero_try(child->x->arena, sizeof(*o));

    PQ_TRY_ALLOC(child, o);
    pq__op_init(&o->op, &merge_ops, child->x, child->node, child->grid);
    pq__explain_wrap(&o->op, child);
    o->child = child;
    o->finish = finish;
    *out = &o->op;
    return PL_OK;
}

pl_status pq__make_renamed(struct op **out, const struct pq_node *input, struct pl_err *err)
{
    if ((*out)->x->q->delayed_name_removal || (!(*out)->x->typed && pq__name_unique(input))) {
        return PL_OK;
    }
    return pq__make_merge(out, *out, false, err);
}

/* ---- value by value, in place ---- */

struct map_op {
    struct op op;
    struct op *child; /* NULL: no argument, one column */
    struct op *arg[2];
    double *argv[2];
    int func;
    value_fn value;
    bool begun, done;
};

static void map_clamp(double *restrict v, size_t n, const double *lo, const double *hi)
{
    for (size_t i = 0; i < n; i++) {
        double l = lo != NULL ? lo[i] : -HUGE_VAL, h = hi != NULL ? hi[i] : HUGE_VAL;

        if (pq_is_absent(v[i])) {
            continue;
        }
        v[i] = h < l ? pq_absent() : go_max(l, go_min(h, v[i]));
    }
}

static void map_round(double *restrict v, size_t n, const double *to)
{
    for (size_t i = 0; i < n; i++) {
        double inverse = 1.0 / (to != NULL ? to[i] : 1);

        if (!pq_is_absent(v[i])) {
            v[i] = floor(v[i] * inverse + 0.5) / inverse;
        }
    }
}

/* What becomes of a column's histograms: negation and timestamp take them, all else leaves them out. */
static pl_status map_hists(struct map_op *o, struct column *c, struct pl_err *err)
{
    size_t n = o->op.grid.n;

    if (o->op.node->kind == PQ_UNARY) {
        for (size_t i = 0; i < n; i++) {
            if (c->h[i] != NULL) {
                c->h[i] = hist_mul(pq__hists(&o->op), c->h[i], -1);
                PQ_TRY_ALLOC(&o->op, c->h[i]);
            }
        }
        return PL_OK;
    }
    for (size_t i = 0; o->func == PQ_FN_TIMESTAMP && i < n; i++) {
        if (c->h[i] != NULL) {
            c->v[i] = 0; /* present: becomes the step's time */
        }
    }
    c->h = NULL;
    return PL_OK;
}

static void map_column(const struct map_op *o, double *v)
{
    size_t n = o->op.grid.n;

    switch (o->func) {
    case PQ_FN_CLAMP:
        map_clamp(v, n, o->argv[0], o->argv[1]);
        return;
    case PQ_FN_CLAMP_MIN:
        map_clamp(v, n, o->argv[0], NULL);
        return;
    case PQ_FN_CLAMP_MAX:
        map_clamp(v, n, NULL, o->argv[0]);
        return;
    case PQ_FN_ROUND:
        map_round(v, n, o->argv[0]);
        return;
    case PQ_FN_TIMESTAMP:
        for (size_t i = 0; i < n; i++) {
            v[i] = pq_is_absent(v[i]) ? v[i] : (double)grid_at(o->op.grid, i) / 1000;
        }
        return;
    default:
        for (size_t i = 0; i < n; i++) {
            v[i] = pq_is_absent(v[i]) ? v[i] : o->value(v[i]);
        }
        return;
    }
}

static pl_status map_next(struct op *op, struct batch *out, struct pl_err *err)
{
    struct map_op *o = (struct map_op *)op;

    for (size_t i = 0; !o->begun && i < 2 && o->arg[i] != NULL; i++) {
        PL_TRY(pq__scalar(o->arg[i], &o->argv[i], err));
    }
    o->begun = true;
    do {
        bool lossy = o->func == PQ_FN_CLAMP;

        PL_TRY(pq__next(o->child, out, err));
        if (out->n == 0) {
            return PL_OK;
        }
        pq__hists_begin(op);
        for (size_t i = 0; i < out->n; i++) {
            if (out->col[i].h != NULL) {
                lossy = true;
                PL_TRY(map_hists(o, &out->col[i], err));
            }
            map_column(o, out->col[i].v);
            if (op->node->type == PQ_VECTOR) {
                PL_TRY(pq__drop_name(op, &out->col[i], err));
            }
        }
        if (lossy) {
            pq__compact(out, op->grid.n);
        }
    } while (out->n == 0);
    return PL_OK;
}

static const struct op_ops map_ops = {"map", map_next};

static pl_status make_map(struct op **out, struct exec *x, const struct pq_node *n, const struct pq_node *input,
                          int func, struct scope s, struct pl_err *err)
{
    struct map_op *o = pl_arena_zero_try(x->arena, sizeof(*o));

    if (o == NULL) {
        return pq__nomem_node(x, n, err);
    }
    pq__op_init(&o->op, &map_ops, x, n, s.grid);
    o->func = func;
    o->value = pq__value_kernel(func);
    if (input == NULL) {
        PL_TRY(make_scalar(&o->child, x, n, 0, true, s, err)); /* dates of the step itself */
    } else if (func == PQ_FN_TIMESTAMP && pq__unparen(input)->kind == PQ_SELECTOR) {
        return pl_fail(err, PL_INTERNAL, "timestamp of a selector has its own operator");
    } else {
        PL_TRY(pq__plan(&o->child, x, input, s, err));
    }
    o->op.stream = o->child;
    if (n->kind == PQ_CALL) {
        for (uint32_t i = 1; i < n->call.arg_count && i <= 2; i++) {
            PL_TRY(pq__plan(&o->arg[i - 1], x, n->call.args[i], s, err));
        }
    }
    *out = &o->op;
    return n->type == PQ_VECTOR && input != NULL ? pq__make_renamed(out, input, err) : PL_OK;
}

pl_status pq__make_negate(struct op **out, struct exec *x, const struct pq_node *n, struct scope s, struct pl_err *err)
{
    return make_map(out, x, n, n->unary.expr, PQ_FN_COUNT, s, err);
}

/* ---- scalar(v), min_of, max_of ---- */

struct fold_op {
    struct op op;
    struct op *child[2];
    int func;
    bool done;
};

static pl_status fold_vector(struct fold_op *o, double *restrict v, struct pl_err *err)
{
    size_t n = o->op.grid.n;
    uint8_t *seen = pl_arena_new_array_try(o->op.x->arena, uint8_t, n);

    PQ_TRY_ALLOC(&o->op, seen);
    for (;;) {
        struct batch b;

        PL_TRY(pq__next(o->child[0], &b, err));
        if (b.n == 0) {
            break;
        }
        for (size_t c = 0; c < b.n; c++) {
            for (size_t i = 0; i < n; i++) {
                if (!pq_is_absent(b.col[c].v[i])) {
                    seen[i] = seen[i] == 0 ? 1 : 2;
                    v[i] = b.col[c].v[i];
                }
            }
        }
    }
    for (size_t i = 0; i < n; i++) {
        v[i] = seen[i] == 1 ? v[i] : pq_nan();
    }
    return PL_OK;
}

static pl_status fold_next(struct op *op, struct batch *out, struct pl_err *err)
{
    struct fold_op *o = (struct fold_op *)op;
    double *v, *a, *b;

    if (o->done) {
        return PL_OK;
    }
    o->done = true;
    PL_TRY(pq__one_column(op, out, err));
    v = out->col[0].v;
    if (o->func == PQ_FN_SCALAR) {
        PL_TRY(fold_vector(o, v, err));
    } else {
        PL_TRY(pq__scalar(o->child[0], &a, err));
        PL_TRY(pq__scalar(o->child[1], &b, err));
        for (size_t i = 0; i < op->grid.n; i++) {
            v[i] = o->func == PQ_FN_MIN_OF ? go_min(a[i], b[i]) : go_max(a[i], b[i]);
        }
    }
    return PL_OK;
}

static const struct op_ops fold_ops = {"fold", fold_next};

static pl_status make_fold(struct op **out, struct exec *x, const struct pq_node *n, struct scope s, struct pl_err *err)
{
    struct fold_op *o = pl_arena_zero_try(x->arena, sizeof(*o));

    if (o == NULL) {
        return pq__nomem_node(x, n, err);
    }
    pq__op_init(&o->op, &fold_ops, x, n, s.grid);
    o->func = n->call.func->kernel;
    for (uint32_t i = 0; i < n->call.arg_count && i < 2; i++) {
        PL_TRY(pq__plan(&o->child[i], x, n->call.args[i], s, err));
    }
    *out = &o->op;
    return PL_OK;
}

/* ---- absent and absent_over_time ---- */

struct absent_op {
    struct op op;
    struct op *child;
    struct labels labels;
    bool done;
};

static pl_status absent_next(struct op *op, struct batch *out, struct pl_err *err)
{
    struct absent_op *o = (struct absent_op *)op;
    double *v;

    if (o->done) {
        return PL_OK;
    }
    o->done = true;
    PL_TRY(pq__one_column(op, out, err));
    v = out->col[0].v;
    for (size_t i = 0; i < op->grid.n; i++) {
        v[i] = 1;
    }
    for (;;) {
        struct batch b;

        PL_TRY(pq__next(o->child, &b, err));
        if (b.n == 0) {
            break;
        }
        for (size_t c = 0; c < b.n; c++) {
            for (size_t i = 0; i < op->grid.n; i++) {
                v[i] = pq_has(&b.col[c], i) ? pq_absent() : v[i];
            }
        }
    }
    out->col[0].labels = o->labels;
    out->n = pq__any(v, op->grid.n);
    return PL_OK;
}

static const struct op_ops absent_ops = {"absent", absent_next};

/* COMPAT: the first = matcher of a label gives its value, any other matcher on the label takes it away again. */
static bool absent_labels(struct labels *out, struct pl_arena *a, const struct pq_node *arg)
{
    const struct pq_node *n = pq__unparen(arg);
    struct labels ls = {0};

    if (n->kind == PQ_MATRIX_SELECTOR) {
        n = pq__unparen(n->matrix.selector);
    }
    for (uint32_t i = 0; n->kind == PQ_SELECTOR && i < n->selector.matcher_count; i++) {
        const struct matcher *m = &n->selector.matchers[i];
        bool first = m->type == MATCH_EQ;

        for (uint32_t j = 0; j < i; j++) {
            const struct matcher *before = &n->selector.matchers[j];

            first = first && !(before->type == MATCH_EQ && pl_str_eq(before->name, m->name));
        }
        if (pl_str_eq(m->name, LABEL_METRIC_NAME)) {
            continue;
        }
        ls = pq__labels_set(a, ls, m->name, first ? m->value : PL_STR_NULL);
        if (ls.n > 0 && ls.v == NULL) {
            return false;
        }
    }
    *out = ls;
    return true;
}

pl_status pq__make_absent(struct op **out, struct exec *x, const struct pq_node *n, struct scope s, struct pl_err *err)
{
    struct absent_op *o = pl_arena_zero_try(x->arena, sizeof(*o));

    if (o == NULL) {
        return pq__nomem_node(x, n, err);
    }
    pq__op_init(&o->op, &absent_ops, x, n, s.grid);
    if (!absent_labels(&o->labels, x->arena, n->call.args[0])) {
        return pq__nomem_node(x, n, err);
    }
    if (n->call.func->kernel == PQ_FN_ABSENT_OVER_TIME) {
        PL_TRY(pq__make_range_call(&o->child, x, n, s, err));
    } else {
        PL_TRY(pq__plan(&o->child, x, n->call.args[0], s, err));
    }
    *out = &o->op;
    return PL_OK;
}

/* ---- which operator a call becomes ---- */

struct named_op { /* timestamp(selector): only the name goes */
    struct op op;
    struct op *child;
};

static pl_status named_next(struct op *op, struct batch *out, struct pl_err *err)
{
    struct named_op *o = (struct named_op *)op;

    PL_TRY(pq__next(o->child, out, err));
    for (size_t i = 0; i < out->n; i++) {
        PL_TRY(pq__drop_name(op, &out->col[i], err));
    }
    return PL_OK;
}

static const struct op_ops named_ops = {"drop name", named_next};

static pl_status make_timestamps(struct op **out, struct exec *x, const struct pq_node *n,
                                 const struct pq_node *selector, struct scope s, struct pl_err *err)
{
    struct named_op *o = pl_arena_zero_try(x->arena, sizeof(*o));

    if (o == NULL) {
        return pq__nomem_node(x, n, err);
    }
    pq__op_init(&o->op, &named_ops, x, n, s.grid);
    PL_TRY(pq__make_selector(&o->child, x, selector, SELECT_TIMES, s, err));
    pq__selector_forget_offset(o->child);
    o->op.stream = o->child;
    *out = &o->op;
    return pq__make_renamed(out, selector, err);
}

/* start_timestamp without start timestamps in the store: its argument is evaluated, there is no result. */
static pl_status nothing_next(struct op *op, struct batch *out, struct pl_err *err)
{
    struct named_op *o = (struct named_op *)op;

    do {
        PL_TRY(pq__next(o->child, out, err));
    } while (out->n > 0);
    return PL_OK;
}

static const struct op_ops nothing_ops = {"nothing", nothing_next};

static pl_status make_nothing(struct op **out, struct exec *x, const struct pq_node *n, const struct pq_node *input,
                              struct scope s, struct pl_err *err)
{
    struct named_op *o = pl_arena_zero_try(x->arena, sizeof(*o));

    if (o == NULL) {
        return pq__nomem_node(x, n, err);
    }
    pq__op_init(&o->op, &nothing_ops, x, n, s.grid);
    *out = &o->op;
    return input->kind == PQ_SELECTOR ? make_timestamps(&o->child, x, n, input, s, err)
                                      : pq__plan(&o->child, x, input, s, err);
}

pl_status pq__make_call(struct op **out, struct exec *x, const struct pq_node *n, struct scope s, struct pl_err *err)
{
    int func = n->call.func->kernel;
    const struct pq_node *input = n->call.arg_count > 0 ? pq__unparen(n->call.args[0]) : NULL;

    switch (func) {
    case PQ_FN_TIME:
        return make_scalar(out, x, n, 0, true, s, err);
    case PQ_FN_VECTOR:
        return pq__plan(out, x, input, s, err); /* a scalar's column has no labels already */
    case PQ_FN_SCALAR:
    case PQ_FN_MIN_OF:
    case PQ_FN_MAX_OF:
        return make_fold(out, x, n, s, err);
    case PQ_FN_START_TIMESTAMP:
        return make_nothing(out, x, n, input, s, err);
    case PQ_FN_TIMESTAMP:
        if (input->kind == PQ_SELECTOR) {
            return make_timestamps(out, x, n, input, s, err);
        }
        return make_map(out, x, n, input, func, s, err);
    case PQ_FN_CLAMP:
    case PQ_FN_CLAMP_MIN:
    case PQ_FN_CLAMP_MAX:
    case PQ_FN_ROUND:
        return make_map(out, x, n, input, func, s, err);
    default:
        break;
    }
    if (pq__value_kernel(func) == NULL) {
        return pl_fail(err, PL_INTERNAL, "function \"%s\" has no kernel", n->call.func->name);
    }
    return make_map(out, x, n, input, func, s, err);
}
