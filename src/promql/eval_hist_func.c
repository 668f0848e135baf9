#include "promql/eval_histogram.h"
#include "promql/functions_def.h"
#include "promql/hist_value.h"

#include <math.h>

/* histogram_count, _sum, _avg, _stddev and _stdvar: a number for each native histogram; floats are left out. */

struct hist_func_op {
    struct op op;
    struct op *child;
    int func;
};

static double value_of(int func, const struct hist *h)
{
    switch (func) {
    case PQ_FN_HISTOGRAM_COUNT:
        return h->count;
    case PQ_FN_HISTOGRAM_SUM:
        return h->sum;
    case PQ_FN_HISTOGRAM_AVG:
        return h->sum / h->count;
    case PQ_FN_HISTOGRAM_STDVAR:
        return pq__hist_variance(h);
    default:
        return sqrt(pq__hist_variance(h));
    }
}

/* COMPAT: without delayed removal only __name__ goes; __type__ and __unit__ stay. */
static pl_status drop_name(struct hist_func_op *o, struct column *c, struct pl_err *err)
{
    if (o->op.x->q->delayed_name_removal) {
        c->drop_name = true;
        return PL_OK;
    }
    c->labels = pq__labels_without(o->op.x->arena, c->labels, NULL, 0, true);
    if (c->labels.n > 0) {
        PQ_TRY_ALLOC(&o->op, c->labels.v);
    }
    return PL_OK;
}

static pl_status hist_func_next(struct op *op, struct batch *out, struct pl_err *err)
{
    struct hist_func_op *o = (struct hist_func_op *)op;
    size_t to = 0;

    do {
        PL_TRY(pq__next(o->child, out, err));
        if (out->n == 0) {
            return PL_OK;
        }
        to = 0;
        for (size_t k = 0; k < out->n; k++) {
            struct column c = out->col[k];
            size_t count = 0;

            for (size_t i = 0; c.h != NULL && i < op->grid.n; i++) {
                c.v[i] = c.h[i] != NULL ? value_of(o->func, c.h[i]) : pq_absent();
                count += c.h[i] != NULL;
            }
            if (count > 0) {
                c.h = NULL;
                PL_TRY(drop_name(o, &c, err));
                out->col[to++] = c;
            }
        }
        out->n = to;
    } while (to == 0);
    return PL_OK;
}

static const struct op_ops hist_func_ops = {"histogram value", hist_func_next};

pl_status pq__make_hist_func(struct op **out, struct exec *x, const struct pq_node *n, struct scope s,
                             struct pl_err *err)
{
    struct hist_func_op *o = pl_arena_zero_try(x->arena, sizeof(*o));

    if (o == NULL) {
        return pq__nomem_node(x, n, err);
    }
    pq__op_init(&o->op, &hist_func_ops, x, n, s.grid);
    o->func = n->call.func->kernel;
    PL_TRY(pq__plan(&o->child, x, n->call.args[0], s, err));
    o->op.stream = o->child;
    *out = &o->op;
    return pq__make_renamed(out, n->call.args[0], err);
}
