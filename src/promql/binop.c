#include "promql/binop.h"

/* Operators with at least one scalar side. */

bool pq__op_drops_name(enum pq_op op, bool return_bool)
{
    return return_bool || op <= PQ_OP_ATAN2;
}

struct scalar_bin_op {
    struct op op;
    struct op *l, *r;
    bool done;
};

static pl_status scalar_bin_next(struct op *op, struct batch *out, struct pl_err *err)
{
    struct scalar_bin_op *o = (struct scalar_bin_op *)op;
    enum pq_op kind = op->node->binary.op;
    double *l, *r, *v;

    if (o->done) {
        return PL_OK;
    }
    o->done = true;
    PL_TRY(pq__scalar(o->l, &l, err));
    PL_TRY(pq__scalar(o->r, &r, err));
    PL_TRY(pq__one_column(op, out, err));
    v = out->col[0].v;
    for (size_t i = 0; i < op->grid.n; i++) {
        v[i] = pq__op_is_comparison(kind) ? (double)pq__compare(kind, l[i], r[i]) : pq__arith(kind, l[i], r[i]);
    }
    return PL_OK;
}

static const struct op_ops scalar_bin_ops = {"scalar operator", scalar_bin_next};

struct vector_bin_op {
    struct op op;
    struct op *vector, *scalar;
    double *s;
    struct pair_notes notes;
    bool scalar_left, drops, told;
};

/* The choice is made among bits: of `absent ? x : x * y` clang makes x * (absent ? 1 : y), and to multiply "absent", a
 * signalling NaN, gives another NaN. */
#define EACH_PRESENT(expr)                                                              \
    for (size_t i = 0; i < n; i++) {                                                    \
        double x = v[i], y = s[i];                                                      \
        uint64_t z = pl_f64_bits(expr);                                                 \
                                                                                        \
        v[i] = pl_f64_from_bits(pl_f64_bits(x) == PQ_ABSENT_BITS ? PQ_ABSENT_BITS : z); \
    }

/* The four common operators have loops of their own; l and r keep their sides, for bits of NaN and order of division.
 */
static void vector_arith(double *restrict v, const double *restrict s, size_t n, enum pq_op op, bool scalar_left)
{
    switch (op) {
    case PQ_OP_ADD:
        EACH_PRESENT(x + y)
        return;
    case PQ_OP_MUL:
        EACH_PRESENT(x * y)
        return;
    case PQ_OP_SUB:
        if (scalar_left) {
            EACH_PRESENT(y - x)
        } else {
            EACH_PRESENT(x - y)
        }
        return;
    case PQ_OP_DIV:
        if (scalar_left) {
            EACH_PRESENT(y / x)
        } else {
            EACH_PRESENT(x / y)
        }
        return;
    default:
        if (scalar_left) {
            EACH_PRESENT(pq__arith(op, y, x))
        } else {
            EACH_PRESENT(pq__arith(op, x, y))
        }
        return;
    }
}

static void vector_compare(struct vector_bin_op *o, double *restrict v)
{
    const struct pq_node *n = o->op.node;
    bool as_bool = n->binary.return_bool;

    for (size_t i = 0; i < o->op.grid.n; i++) {
        bool keep;

        if (pq_is_absent(v[i])) {
            continue;
        }
        keep = o->scalar_left ? pq__compare(n->binary.op, o->s[i], v[i]) : pq__compare(n->binary.op, v[i], o->s[i]);
        v[i] = as_bool ? (double)keep : keep ? v[i] : pq_absent();
    }
}

/* The histograms of a column against the scalar, before its floats are computed in place. */
static pl_status vector_hists(struct vector_bin_op *o, struct column *c, struct pl_err *err)
{
    struct op *op = &o->op;
    bool any = false, as_bool = op->node->binary.return_bool;

    for (size_t i = 0; i < op->grid.n; i++) {
        struct hist_pair p = {.lv = o->s[i], .rv = o->s[i]};

        if (c->h[i] == NULL) {
            continue;
        }
        *(o->scalar_left ? &p.r : &p.l) = c->h[i];
        PL_TRY(pq__hist_pair(&p, op, pq__hists(op), err));
        PL_TRY(pq__pair_note(&o->notes, op, i, p.met, err));
        c->h[i] = p.keep && !as_bool ? p.out : NULL;
        any = any || c->h[i] != NULL;
    }
    if (!any) {
        c->h = NULL;
    }
    return PL_OK;
}

static pl_status vector_trim_floats(struct vector_bin_op *o, struct column *c, struct pl_err *err)
{
    for (size_t i = 0; i < o->op.grid.n; i++) {
        if (!pq_is_absent(c->v[i])) {
            PL_TRY(pq__pair_note(&o->notes, &o->op, i, PAIR_FLOATS, err));
            c->v[i] = pq_absent();
        }
    }
    return PL_OK;
}

/* The scalar. Of two errors that of the left side is told. */
static pl_status vector_bin_begin(struct vector_bin_op *o, struct pl_err *err)
{
    pl_status st = pq__scalar(o->scalar, &o->s, err);
    struct batch b;

    while (st == PL_EXEC && !o->scalar_left) {
        struct pl_err left;
        pl_status left_st = pq__next(o->vector, &b, &left);

        if (left_st != PL_OK) {
            *err = left;
            return left_st;
        }
        if (b.n == 0) {
            break;
        }
    }
    return st;
}

static pl_status vector_bin_next(struct op *op, struct batch *out, struct pl_err *err)
{
    struct vector_bin_op *o = (struct vector_bin_op *)op;
    enum pq_op kind = op->node->binary.op;

    if (o->s == NULL) {
        PL_TRY(vector_bin_begin(o, err));
    }
    do {
        bool may_lose = pq__op_is_trim(kind) || (pq__op_is_comparison(kind) && !op->node->binary.return_bool);

        PL_TRY(pq__next(o->vector, out, err));
        if (out->n == 0) {
            if (!o->told) {
                pq__pair_notes_tell(&o->notes, op);
                o->told = true;
            }
            return PL_OK;
        }
        pq__hists_begin(op);
        for (size_t i = 0; i < out->n; i++) {
            struct column *c = &out->col[i];

            if (c->h != NULL) {
                may_lose = true;
                PL_TRY(vector_hists(o, c, err));
            }
            if (pq__op_is_trim(kind)) {
                PL_TRY(vector_trim_floats(o, c, err));
            } else if (pq__op_is_comparison(kind)) {
                vector_compare(o, c->v);
            } else {
                vector_arith(c->v, o->s, op->grid.n, kind, o->scalar_left);
            }
            if (o->drops) {
                PL_TRY(pq__drop_name(op, c, err));
            }
        }
        if (may_lose) {
            pq__compact(out, op->grid.n);
        }
    } while (out->n == 0);
    return PL_OK;
}

static const struct op_ops vector_bin_ops = {"vector and scalar", vector_bin_next};

static pl_status make_scalar_bin(struct op **out, struct exec *x, const struct pq_node *n, struct scope s,
                                 struct pl_err *err)
{
    struct scalar_bin_op *o = pl_arena_zero_try(x->arena, sizeof(*o));

    if (o == NULL) {
        return pq__nomem_node(x, n, err);
    }
    if (pq__op_is_trim(n->binary.op)) {
        return pl_fail(err, PL_EXEC, "operator \"%s\" not allowed for Scalar operations", pq_op_text(n->binary.op));
    }
    pq__op_init(&o->op, &scalar_bin_ops, x, n, s.grid);
    PL_TRY(pq__plan(&o->l, x, n->binary.lhs, s, err));
    PL_TRY(pq__plan(&o->r, x, n->binary.rhs, s, err));
    *out = &o->op;
    return PL_OK;
}

pl_status pq__make_binary(struct op **out, struct exec *x, const struct pq_node *n, struct scope s, struct pl_err *err)
{
    struct vector_bin_op *o;

    if (n->binary.lhs->type == PQ_SCALAR && n->binary.rhs->type == PQ_SCALAR) {
        return make_scalar_bin(out, x, n, s, err);
    }
    o = pl_arena_zero_try(x->arena, sizeof(*o));
    if (o == NULL) {
        return pq__nomem_node(x, n, err);
    }
    pq__op_init(&o->op, &vector_bin_ops, x, n, s.grid);
    o->scalar_left = n->binary.lhs->type == PQ_SCALAR;
    o->drops = pq__op_drops_name(n->binary.op, n->binary.return_bool);
    PL_TRY(pq__plan(&o->vector, x, o->scalar_left ? n->binary.rhs : n->binary.lhs, s, err));
    PL_TRY(pq__plan(&o->scalar, x, o->scalar_left ? n->binary.lhs : n->binary.rhs, s, err));
    o->op.stream = o->vector;
    *out = &o->op;
    return o->drops ? pq__make_renamed(out, o->vector->node, err) : PL_OK;
}
