#include "promql/binop.h"

/* Operators where at least one side is a native histogram. Rules: spec prometheus.md 3.2, last points. */

static const char *side_name(const struct hist *h)
{
    return h != NULL ? "histogram" : "float";
}

void pq__note_bad_pair(struct exec *x, const struct pq_node *n, const struct hist *l, const struct hist *r)
{
    const char *op = pq_op_text(n->binary.op);

    pq__note(x, true, n->pos, "incompatible sample types encountered for binary operator \"%s\": %s %s %s", op,
             side_name(l), op, side_name(r));
}

/* Both are histograms, + or -. */
static pl_status add_or_sub(struct hist_pair *p, const struct op *op, struct pl_arena *a, struct pl_err *err)
{
    const struct pq_node *n = op->node;
    bool add = n->binary.op == PQ_OP_ADD;
    const char *what = add ? "addition" : "subtraction";
    struct hist *h = NULL;
    unsigned met = add ? hist_add(&h, a, p->l, p->r) : hist_sub(&h, a, p->l, p->r);

    if ((met & HIST_NO_MEMORY) != 0) {
        return pq__nomem(op, err);
    }
    if ((met & HIST_INCOMPATIBLE) != 0) {
        pq__note(op->x, false, n->pos, "incompatible bucket layout encountered for binary operator %s",
                 pq_op_text(n->binary.op));
        return PL_OK;
    }
    if ((met & HIST_COLLISION) != 0) {
        pq__note(op->x, false, n->pos, "conflicting counter resets during histogram %s", what);
        return PL_OK; /* COMPAT: Prometheus returns the warning as the pair's error, and so no result */
    }
    if ((met & HIST_RECONCILED) != 0) {
        pq__note(op->x, true, n->pos, "mismatched custom buckets were reconciled during %s", what);
    }
    if (!add) {
        h->hint = HIST_HINT_GAUGE;
    }
    p->out = hist_compact(a, h);
    PQ_TRY_ALLOC(op, p->out);
    p->paired = p->keep = true;
    return PL_OK;
}

pl_status pq__hist_pair(struct hist_pair *p, const struct op *op, struct pl_arena *a, struct pl_err *err)
{
    enum pq_op kind = op->node->binary.op;
    bool both = p->l != NULL && p->r != NULL;
    struct hist *h = NULL;

    p->out = NULL;
    p->paired = p->keep = false;
    if (both && (kind == PQ_OP_ADD || kind == PQ_OP_SUB)) {
        return add_or_sub(p, op, a, err);
    }
    if (both && (kind == PQ_OP_EQ || kind == PQ_OP_NEQ)) {
        p->out = p->l;
        p->paired = true;
        p->keep = hist_equal(p->l, p->r) == (kind == PQ_OP_EQ);
        return PL_OK;
    }
    if (!both && kind == PQ_OP_MUL) {
        h = p->l != NULL ? hist_mul(a, p->l, p->rv) : hist_mul(a, p->r, p->lv);
    } else if (!both && kind == PQ_OP_DIV && p->l != NULL) {
        h = hist_div(a, p->l, p->rv);
    } else if (!both && pq__op_is_trim(kind) && p->l != NULL) {
        h = hist_trim(a, p->l, p->rv, kind == PQ_OP_TRIM_UPPER);
    } else {
        pq__note_bad_pair(op->x, op->node, p->l, p->r);
        return PL_OK;
    }
    if (h != NULL && !pq__op_is_trim(kind)) {
        h = hist_compact(a, h);
    }
    PQ_TRY_ALLOC(op, h);
    p->out = h;
    p->paired = p->keep = true;
    return PL_OK;
}
