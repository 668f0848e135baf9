#include "promql/share.h"

#include "promql/functions_def.h"

/* One part of the query that several places read. */
struct share {
    const struct pq_node *last; /* what is evaluated: the last one in the text, whose position annotations carry */
    uint32_t places;
    struct op *child; /* NULL until the first place is planned */
    struct tally tally;
    struct batch all;
    bool drained;
};

struct shares {
    struct keytab keys; /* by canonical text */
    struct share *v;
    uint32_t *first_places; /* while finding */
    size_t nodes;
    bool refused;
};

/* ---- finding ---- */

/* Calls fn for every direct part of n. */
static void each_part(const struct pq_node *n, void (*fn)(void *arg, const struct pq_node *part), void *arg)
{
    switch (n->kind) {
    case PQ_PAREN:
        fn(arg, n->paren.expr);
        return;
    case PQ_STEP_INVARIANT:
        fn(arg, n->step_invariant.expr);
        return;
    case PQ_UNARY:
        fn(arg, n->unary.expr);
        return;
    case PQ_BINARY:
        fn(arg, n->binary.lhs);
        fn(arg, n->binary.rhs);
        return;
    case PQ_AGGREGATE:
        if (n->agg.param != NULL) {
            fn(arg, n->agg.param);
        }
        fn(arg, n->agg.expr);
        return;
    case PQ_CALL:
        for (uint32_t i = 0; i < n->call.arg_count; i++) {
            fn(arg, n->call.args[i]);
        }
        return;
    case PQ_SUBQUERY:
        fn(arg, n->subquery.expr);
        return;
    case PQ_MATRIX_SELECTOR: /* its selector is read by the function around it, never on its own */
    case PQ_SELECTOR:
    case PQ_NUMBER:
    case PQ_STRING_LIT:
        return;
    }
}

static bool is_candidate(const struct pq_node *n)
{
    return n->type == PQ_VECTOR &&
           (n->kind == PQ_SELECTOR || n->kind == PQ_CALL || n->kind == PQ_AGGREGATE || n->kind == PQ_BINARY);
}

/* Functions below which the same text does not mean the same samples, or whose parts are looked at otherwise. */
static bool forbids_sharing(const struct pq_node *n)
{
    if (n->kind != PQ_CALL) {
        return false;
    }
    switch (n->call.func->kernel) {
    case PQ_FN_HISTOGRAM_COUNT: /* hist_stats.h */
    case PQ_FN_HISTOGRAM_SUM:
    case PQ_FN_HISTOGRAM_AVG:
    case PQ_FN_INFO: /* reads its first selector itself */
        return true;
    default:
        return false;
    }
}

struct finding {
    struct exec *x;
    bool recount; /* second walk: what lies inside a part that is shared counts once */
};

/* The share of this text, added when new; NULL: no memory. */
static struct share *share_put(struct exec *x, const struct pq_node *n)
{
    struct shares *s = x->shares;
    uint32_t index;
    bool added;

    pl_buf_reset(&x->text);
    pq_print(&x->text, n);
    if (x->text.overflow || x->text.n > PQ_SHARE_TEXT_MAX ||
        !pq__keytab_put(&s->keys, pl_buf_view(&x->text), &index, &added)) {
        return NULL;
    }
    return &s->v[index];
}

static void find(void *arg, const struct pq_node *n)
{
    struct finding *f = arg;
    struct shares *s = f->x->shares;

    if (s->refused) {
        return;
    }
    s->nodes++;
    if (forbids_sharing(n) || s->nodes > PQ_SHARE_NODES_MAX) {
        s->refused = true;
        return;
    }
    if (is_candidate(n)) {
        struct share *h = share_put(f->x, n);

        if (h == NULL) {
            s->refused = true;
            return;
        }
        h->places++;
        h->last = n;
        if (f->recount && h->places > 1 && s->first_places[h - s->v] > 1) {
            return;
        }
    }
    each_part(n, find, f);
}

void pq__shares_find(struct exec *x, const struct pq_node *root)
{
    struct finding f = {.x = x};
    struct shares *s = pl_arena_zero_try(x->arena, sizeof(*s));

    if (s == NULL) {
        return;
    }
    s->keys.a = x->arena;
    s->v = pl_arena_new_array_try(x->arena, struct share, PQ_SHARE_NODES_MAX + 1);
    s->first_places = pl_arena_new_array_try(x->arena, uint32_t, PQ_SHARE_NODES_MAX + 1);
    if (s->v == NULL || s->first_places == NULL) {
        return;
    }
    x->shares = s;
    find(&f, root);
    for (size_t i = 0; i < s->keys.n; i++) {
        s->first_places[i] = s->v[i].places;
        s->v[i].places = 0;
    }
    s->nodes = 0;
    f.recount = true;
    find(&f, root);
    if (s->refused) {
        x->shares = NULL;
    }
}

/* ---- reading ---- */

struct share_op {
    struct op op;
    struct share *share;
    struct tally *tally;
    bool counts; /* its samples count anew: not the first reader */
    bool told;
    size_t at;
};

/* Every reader touches the samples, as far as statistics go. */
static void share_tally(struct share_op *o)
{
    const struct tally *from = &o->share->tally;

    o->tally->total += from->total;
    for (size_t i = 0; o->tally->per_step != NULL && from->per_step != NULL && i < o->op.grid.n; i++) {
        o->tally->per_step[i] += from->per_step[i];
    }
    o->told = true;
}

static pl_status share_next(struct op *op, struct batch *out, struct pl_err *err)
{
    struct share_op *o = (struct share_op *)op;
    struct share *h = o->share;
    size_t max = op->batch_max, n = op->grid.n;
    uint64_t points = 0;

    if (!h->drained) {
        PL_TRY(pq__drain(h->child, &h->all, err));
        h->drained = true;
    }
    if (!o->told) {
        share_tally(o);
    }
    PL_TRY(pq__cols_begin(op, err));
    out->col = op->cols;
    for (; out->n < max && o->at < h->all.n; o->at++) {
        struct column c = h->all.col[o->at]; /* a copy: readers change values in place */
        double *v = pq__col_take(op);

        PQ_TRY_ALLOC(op, v);
        memcpy(v, c.v, n * sizeof(*v));
        c.v = v;
        if (c.h != NULL) {
            const struct hist **hists = pq__hist_column(op);

            PQ_TRY_ALLOC(op, hists);
            memcpy(hists, c.h, n * sizeof(*hists));
            c.h = hists;
        }
        points += o->counts ? pq__col_cost(&c, n) : 0;
        out->col[out->n++] = c;
    }
    return pq__count_samples(op->x, points, err);
}

static const struct op_ops share_ops = {"shared", share_next};

static bool same_grid(struct grid a, struct grid b)
{
    return a.start_ms == b.start_ms && a.step_ms == b.step_ms && a.n == b.n;
}

/* The share that n belongs to; NULL: none with several places. */
static struct share *share_of(struct exec *x, const struct pq_node *n)
{
    struct shares *s = x->shares;
    uint32_t index;

    if (s == NULL || !is_candidate(n)) {
        return NULL;
    }
    pl_buf_reset(&x->text);
    pq_print(&x->text, n);
    if (!pq__keytab_get(&s->keys, pl_buf_view(&x->text), &index) || s->v[index].places < 2) {
        return NULL;
    }
    return &s->v[index];
}

pl_status pq__share(struct op **out, struct exec *x, const struct pq_node *n, struct scope s, struct pl_err *err)
{
    struct share *h = share_of(x, n);
    struct share_op *o;

    *out = NULL;
    if (h == NULL || (h->child != NULL && !same_grid(h->child->grid, s.grid))) {
        return PL_OK;
    }
    o = pl_arena_zero_try(x->arena, sizeof(*o));
    if (o == NULL) {
        return pq__nomem_node(x, n, err);
    }
    pq__op_init(&o->op, &share_ops, x, n, s.grid);
    o->share = h;
    o->tally = s.tally;
    o->counts = h->child != NULL;
    if (h->child == NULL) {
        uint32_t places = h->places;

        if (s.tally->per_step != NULL) {
            h->tally.per_step = pl_arena_new_array_try(x->arena, uint64_t, s.grid.n);
            if (h->tally.per_step == NULL) {
                return pq__nomem_node(x, n, err);
            }
        }
        s.tally = &h->tally;
        h->places = 0; /* the part itself is planned, not shared again */
        PL_TRY(pq__plan(&h->child, x, h->last, s, err));
        h->places = places;
    }
    *out = &o->op;
    return PL_OK;
}
