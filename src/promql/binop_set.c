#include "promql/binop.h"

/* and, or, unless: per step, by the presence of a signature on the other side. */

pl_status pq__signature_init(struct signature *s, struct exec *x, const struct pq_node *n, struct pl_err *err)
{
    const struct pq_matching *m = n->binary.matching;

    *s = (struct signature){.count = m != NULL ? m->label_count : 0, .on = m != NULL && m->on, .keys = {.a = x->arena}};
    s->names = pq__names_sorted(x->arena, m != NULL ? m->labels : NULL, s->count);
    return s->names != NULL ? PL_OK : pq__nomem_node(x, n, err);
}

pl_status pq__signatures(uint32_t **of, struct signature *s, const struct op *op, const struct batch *b,
                         struct pl_err *err)
{
    *of = pl_arena_new_array_try(op->x->arena, uint32_t, b->n);
    PQ_TRY_ALLOC(op, *of);
    for (size_t i = 0; i < b->n; i++) {
        struct pl_buf *key = &op->x->text;
        bool added;

        if (s->on) {
            pq__key_only(key, b->col[i].labels, s->names, s->count);
        } else {
            pq__key_without(key, b->col[i].labels, s->names, s->count, true);
        }
        if (!pq__keytab_put(&s->keys, pl_buf_view(key), &(*of)[i], &added)) {
            return pq__nomem(op, err);
        }
    }
    return PL_OK;
}

struct set_op {
    struct op op;
    struct op *l, *r;
    struct signature sig;
    struct batch result;
    size_t at;
    bool done;
};

/* For each signature the steps at which a column of b has a sample; NULL: none. */
static pl_status presence(uint8_t ***out, const struct set_op *o, const struct batch *b, const uint32_t *of,
                          struct pl_err *err)
{
    size_t n = o->op.grid.n;
    uint8_t **has = pl_arena_new_array_try(o->op.x->arena, uint8_t *, o->sig.keys.n);

    PQ_TRY_ALLOC(&o->op, has);
    for (size_t i = 0; i < b->n; i++) {
        uint8_t *bits = has[of[i]];

        if (bits == NULL) {
            bits = pl_arena_new_array_try(o->op.x->arena, uint8_t, n);
            PQ_TRY_ALLOC(&o->op, bits);
            has[of[i]] = bits;
        }
        for (size_t k = 0; k < n; k++) {
            bits[k] |= pq_has(&b->col[i], k);
        }
    }
    *out = has;
    return PL_OK;
}

/* Keeps the samples of b at steps where the presence of their signature is as wanted. */
static void filter(const struct set_op *o, struct batch *b, const uint32_t *of, uint8_t *const *has, bool wanted)
{
    size_t n = o->op.grid.n;

    for (size_t i = 0; i < b->n; i++) {
        const uint8_t *bits = has[of[i]];

        if (bits == NULL && !wanted) {
            continue;
        }
        for (size_t k = 0; k < n; k++) {
            if ((bits != NULL && bits[k] != 0) != wanted) {
                pq_clear(&b->col[i], k);
            }
        }
    }
    pq__compact(b, n);
}

/* Left columns, then right ones; a right column whose labels the left has too fills the left one's gaps. */
static pl_status concat(struct set_op *o, const struct batch *l, const struct batch *r, struct pl_err *err)
{
    struct exec *x = o->op.x;
    struct keytab seen = {.a = x->arena};
    size_t n = 0;
    struct column *col = pl_arena_new_array_try(x->arena, struct column, l->n + r->n);

    PQ_TRY_ALLOC(&o->op, col);
    for (size_t i = 0; i < l->n + r->n; i++) {
        const struct column *c = i < l->n ? &l->col[i] : &r->col[i - l->n];
        uint32_t index;
        bool added;

        pq__key_all(&x->text, c->labels);
        if (!pq__keytab_put(&seen, pl_buf_view(&x->text), &index, &added)) {
            return pq__nomem(&o->op, err);
        }
        if (added) {
            col[n++] = *c;
            continue;
        }
        for (size_t k = 0; k < o->op.grid.n; k++) {
            if (!pq_has(c, k)) {
                continue;
            }
            if (pq_has(&col[index], k)) {
                return pl_fail(err, PL_EXEC, "vector cannot contain metrics with the same labelset");
            }
            PL_TRY(pq__sample_put(&o->op, &col[index], c, k, err));
        }
    }
    o->result = (struct batch){.col = col, .n = n};
    return PL_OK;
}

static pl_status set_run(struct set_op *o, struct pl_err *err)
{
    struct batch l, r;
    uint32_t *lof, *rof;
    uint8_t **has;

    PL_TRY(pq__drain(o->l, &l, err));
    PL_TRY(pq__drain(o->r, &r, err));
    PL_TRY(pq__signatures(&lof, &o->sig, &o->op, &l, err));
    PL_TRY(pq__signatures(&rof, &o->sig, &o->op, &r, err));
    if (o->op.node->binary.op == PQ_OP_OR) {
        PL_TRY(presence(&has, o, &l, lof, err));
        filter(o, &r, rof, has, false);
        return concat(o, &l, &r, err);
    }
    PL_TRY(presence(&has, o, &r, rof, err));
    filter(o, &l, lof, has, o->op.node->binary.op == PQ_OP_AND);
    o->result = l;
    return PL_OK;
}

static pl_status set_next(struct op *op, struct batch *out, struct pl_err *err)
{
    struct set_op *o = (struct set_op *)op;

    if (!o->done) {
        PL_TRY(set_run(o, err));
        o->done = true;
    }
    pq__batch_slice(&o->result, &o->at, op->batch_max, out);
    return PL_OK;
}

static const struct op_ops set_ops = {"set operator", set_next};

pl_status pq__make_set(struct op **out, struct exec *x, const struct pq_node *n, struct scope s, struct pl_err *err)
{
    struct set_op *o = pl_arena_zero_try(x->arena, sizeof(*o));

    if (o == NULL) {
        return pq__nomem_node(x, n, err);
    }
    pq__op_init(&o->op, &set_ops, x, n, s.grid);
    PL_TRY(pq__signature_init(&o->sig, x, n, err));
    PL_TRY(pq__plan(&o->l, x, n->binary.lhs, s, err));
    PL_TRY(pq__plan(&o->r, x, n->binary.rhs, s, err));
    *out = &o->op;
    return PL_OK;
}
