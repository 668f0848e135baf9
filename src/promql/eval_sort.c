#include "promql/agg.h"
#include "promql/functions_def.h"

/* sort, sort_desc, sort_by_label, sort_by_label_desc: order matters to instant queries only; sort and sort_desc leave
 * out histograms everywhere. */

struct sort_op {
    struct op op;
    struct op *child;
    int func;
    struct batch result;
    size_t at;
    bool done;
};

/* ---- natural order of label values ---- */

/* The run of digits or of other bytes that s begins with. */
static pl_str run_of(pl_str s, bool *digits)
{
    size_t n = 0;

    *digits = s.n > 0 && s.p[0] >= '0' && s.p[0] <= '9';
    while (n < s.n && (s.p[n] >= '0' && s.p[n] <= '9') == *digits) {
        n++;
    }
    return pl_str_sub(s, 0, n);
}

/* Is a before b? Runs of digits that fit an int64 compare as numbers, all else bytewise. */
static bool natural_before(pl_str a, pl_str b)
{
    while (a.n > 0) {
        bool a_digits, b_digits;
        pl_str x = run_of(a, &a_digits), y;
        int64_t i, j;

        if (b.n == 0) {
            return false;
        }
        y = run_of(b, &b_digits);
        a = pl_str_sub(a, x.n, a.n);
        b = pl_str_sub(b, y.n, b.n);
        if (a_digits && b_digits && pl_str_to_i64(x, &i) && pl_str_to_i64(y, &j)) {
            if (i != j) {
                return i < j;
            }
        } else if (!pl_str_eq(x, y)) {
            return pl_str_cmp(x, y) < 0;
        }
        if (a.n == 0 || b.n == 0) {
            return a.n == 0;
        }
    }
    return false;
}

struct label_order {
    const struct pq_node *call;
    const struct column *col;
    bool reverse;
};

/* COMPAT: natural order contradicts itself, as where one of two values is empty. */
static bool labels_before(const void *arg, const struct pick *a, const struct pick *b)
{
    const struct label_order *order = arg;
    struct labels x = order->col[a->col].labels, y = order->col[b->col].labels;
    int c = 0;

    for (uint32_t i = 1; c == 0 && i < order->call->call.arg_count; i++) {
        pl_str name = pq__unparen(order->call->call.args[i])->string;
        pl_str v = labels_get(x, name), w = labels_get(y, name);

        if (!pl_str_eq(v, w)) {
            c = natural_before(v, w) ? -1 : 1;
        }
    }
    if (c == 0) {
        c = labels_cmp(x, y);
    }
    return order->reverse ? c > 0 : c < 0;
}

static pl_status sort_run(struct sort_op *o, struct pl_err *err)
{
    struct pl_arena *a = o->op.x->arena;
    bool by_value = o->func == PQ_FN_SORT || o->func == PQ_FN_SORT_DESC;
    struct batch *all = &o->result;
    struct column *sorted;
    struct pick *p;

    PL_TRY(pq__drain(o->child, all, err));
    for (size_t i = 0; by_value && i < all->n; i++) {
        all->col[i].h = NULL; /* histograms have no order and are left out */
    }
    pq__compact(all, o->op.grid.n);
    p = pl_arena_new_array_try(a, struct pick, all->n);
    sorted = pl_arena_new_array_try(a, struct column, all->n);
    if (p == NULL || sorted == NULL) {
        return pq__nomem(&o->op, err);
    }
    for (size_t i = 0; i < all->n; i++) {
        p[i] = (struct pick){.v = all->col[i].v[0], .col = (uint32_t)i};
    }
    if (by_value) {
        pq__picks_sort(p, all->n, o->func == PQ_FN_SORT);
    } else {
        pq__picks_sort_by(
            p, all->n, labels_before,
            &(struct label_order){.call = o->op.node, .col = all->col, .reverse = o->func == PQ_FN_SORT_BY_LABEL_DESC});
    }
    for (size_t i = 0; i < all->n; i++) {
        sorted[i] = all->col[p[i].col];
    }
    all->col = sorted;
    return PL_OK;
}

static pl_status sort_next(struct op *op, struct batch *out, struct pl_err *err)
{
    struct sort_op *o = (struct sort_op *)op;

    if (!o->done) {
        PL_TRY(sort_run(o, err));
        o->done = true;
    }
    pq__batch_slice(&o->result, &o->at, op->batch_max, out);
    return PL_OK;
}

static const struct op_ops sort_ops = {"sort", sort_next};

static pl_status floats_only_next(struct op *op, struct batch *out, struct pl_err *err)
{
    struct sort_op *o = (struct sort_op *)op;

    do {
        PL_TRY(pq__next(o->child, out, err));
        if (out->n == 0) {
            return PL_OK;
        }
        for (size_t i = 0; i < out->n; i++) {
            out->col[i].h = NULL;
        }
        pq__compact(out, op->grid.n);
    } while (out->n == 0);
    return PL_OK;
}

static const struct op_ops floats_only_ops = {"floats only", floats_only_next};

pl_status pq__make_sort_call(struct op **out, struct exec *x, const struct pq_node *n, struct scope s,
                             struct pl_err *err)
{
    struct sort_op *o;
    int func = n->call.func->kernel;

    if (s.grid.ranged) {
        pq__note(x, false, n->pos, "sort is ineffective for range queries since results are always ordered by labels");
        if (func == PQ_FN_SORT_BY_LABEL || func == PQ_FN_SORT_BY_LABEL_DESC) {
            return pq__plan(out, x, n->call.args[0], s, err);
        }
    }
    o = pl_arena_zero_try(x->arena, sizeof(*o));
    if (o == NULL) {
        return pq__nomem_node(x, n, err);
    }
    pq__op_init(&o->op, s.grid.ranged ? &floats_only_ops : &sort_ops, x, n, s.grid);
    o->func = func;
    PL_TRY(pq__plan(&o->child, x, n->call.args[0], s, err));
    if (s.grid.ranged) {
        o->op.stream = o->child;
    }
    *out = &o->op;
    return PL_OK;
}
