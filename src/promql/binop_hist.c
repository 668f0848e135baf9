#include "promql/binop.h"

/* Operators where at least one side is a native histogram. Rules: spec prometheus.md 3.2, last points. */

static void tell(const struct op *op, enum pair_note met)
{
    static const char *const left[] = {[PAIR_FLOATS] = "float",
                                       [PAIR_FLOAT_HIST] = "float",
                                       [PAIR_HIST_FLOAT] = "histogram",
                                       [PAIR_HISTS] = "histogram"},
                             *const right[] = {[PAIR_FLOATS] = "float",
                                               [PAIR_FLOAT_HIST] = "histogram",
                                               [PAIR_HIST_FLOAT] = "float",
                                               [PAIR_HISTS] = "histogram"};
    const struct pq_node *n = op->node;
    const char *text = pq_op_text(n->binary.op), *what = n->binary.op == PQ_OP_ADD ? "addition" : "subtraction";

    switch (met) {
    case PAIR_FINE:
        return;
    case PAIR_FLOATS:
    case PAIR_FLOAT_HIST:
    case PAIR_HIST_FLOAT:
    case PAIR_HISTS:
        pq__note(op->x, true, n->pos, "incompatible sample types encountered for binary operator \"%s\": %s %s %s",
                 text, left[met], text, right[met]);
        return;
    case PAIR_LAYOUT:
        pq__note(op->x, false, n->pos, "incompatible bucket layout encountered for binary operator %s", text);
        return;
    case PAIR_COLLISION:
        pq__note(op->x, false, n->pos, "conflicting counter resets during histogram %s", what);
        return;
    case PAIR_RECONCILED:
        pq__note(op->x, true, n->pos, "mismatched custom buckets were reconciled during %s", what);
        return;
    }
}

pl_status pq__pair_note(struct pair_notes *notes, const struct op *op, size_t step, enum pair_note met,
                        struct pl_err *err)
{
    if (met == PAIR_FINE) {
        return PL_OK;
    }
    if (notes->last == NULL) {
        notes->last = pl_arena_new_array_try(op->x->arena, uint8_t, op->grid.n);
        PQ_TRY_ALLOC(op, notes->last);
    }
    notes->last[step] = (uint8_t)met;
    return PL_OK;
}

void pq__pair_notes_tell(const struct pair_notes *notes, const struct op *op)
{
    bool told[PAIR_RECONCILED + 1] = {false};

    for (size_t i = 0; notes->last != NULL && i < op->grid.n; i++) {
        if (!told[notes->last[i]]) {
            told[notes->last[i]] = true;
            tell(op, (enum pair_note)notes->last[i]);
        }
    }
}

/* Both are histograms, + or -. */
static pl_status add_or_sub(struct hist_pair *p, const struct op *op, struct pl_arena *a, struct pl_err *err)
{
    bool add = op->node->binary.op == PQ_OP_ADD;
    struct hist *h = NULL;
    unsigned met = add ? hist_add(&h, a, p->l, p->r) : hist_sub(&h, a, p->l, p->r);

    if ((met & HIST_NO_MEMORY) != 0) {
        return pq__nomem(op, err);
    }
    if ((met & HIST_INCOMPATIBLE) != 0) {
        p->met = PAIR_LAYOUT;
        return PL_OK;
    }
    if ((met & HIST_COLLISION) != 0) {
        p->met = PAIR_COLLISION;
        return PL_OK; /* COMPAT: Prometheus returns the warning as the pair's error, and so no result */
    }
    if ((met & HIST_RECONCILED) != 0) {
        p->met = PAIR_RECONCILED;
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
    p->met = PAIR_FINE;
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
        p->met = both ? PAIR_HISTS : p->l != NULL ? PAIR_HIST_FLOAT : p->r != NULL ? PAIR_FLOAT_HIST : PAIR_FLOATS;
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
