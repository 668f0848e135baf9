#include "promql/binop.h"

/* Arithmetic and comparison between two vectors. Both sides are read whole; series are matched by signature once, steps
 * are then computed column by column. "many" and "one" are the sides of group_left/right; one-to-one treats the left as
 * many. Rules and texts: spec prometheus.md 3.2. */

enum { NO_COLUMN = UINT32_MAX };

/* Columns of one side, chained by signature in order. */
struct side {
    struct batch b;
    uint32_t *sig;   /* of a column */
    uint32_t *head;  /* of a signature: its first column, or NO_COLUMN */
    uint32_t *next;  /* of a column: the next one of the same signature */
    uint32_t *count; /* of a signature */
};

/* One column of the result, and the steps at which a pair was found (comparisons may have filtered the sample). */
struct outcome {
    struct column col;
    uint8_t *paired;
    uint32_t sig;
};

struct match_op {
    struct op op;
    struct op *l, *r;
    struct signature sig;
    struct side many, one;
    bool swapped; /* the left operand is the one side */
    bool one_to_one, comparison, as_bool, fills_many, fills_one;
    double fill_many, fill_one;
    uint8_t **matched; /* of a signature: steps that have a pair; NULL where nobody asks */
    struct keytab out_keys;
    struct outcome *outs;
    size_t out_n, out_cap;
    struct column *result;
    struct pair_notes notes;
    /* The error of the earliest step ends the query; what is behind it is not looked at. */
    enum match_error { MATCH_FINE, MATCH_SAME_LABELS, MATCH_NOT_UNIQUE, MATCH_NOT_EXPLICIT } error;
    size_t steps; /* to look at */
    size_t at;
    bool done;
};

/* An error at a step: of one step, a pair's error comes before that of equal labels in the result. */
static void match_error(struct match_op *o, size_t step, enum match_error e)
{
    o->error = e;
    o->steps = e == MATCH_SAME_LABELS ? step + 1 : step;
}

static pl_status side_init(struct side *s, struct match_op *o, struct pl_err *err)
{
    struct pl_arena *a = o->op.x->arena;
    size_t sigs = o->sig.keys.n;
    uint32_t *tail = pl_arena_new_array_try(a, uint32_t, sigs);

    s->head = pl_arena_new_array_try(a, uint32_t, sigs);
    s->count = pl_arena_new_array_try(a, uint32_t, sigs);
    s->next = pl_arena_new_array_try(a, uint32_t, s->b.n);
    if (tail == NULL || s->head == NULL || s->count == NULL || s->next == NULL) {
        return pq__nomem(&o->op, err);
    }
    for (size_t i = 0; i < sigs; i++) {
        s->head[i] = NO_COLUMN;
    }
    for (uint32_t i = 0; i < s->b.n; i++) {
        uint32_t sig = s->sig[i];

        s->next[i] = NO_COLUMN;
        if (s->head[sig] == NO_COLUMN) {
            s->head[sig] = i;
        } else {
            s->next[tail[sig]] = i;
        }
        tail[sig] = i;
        s->count[sig]++;
    }
    return PL_OK;
}

/* The steps at which a side has any sample. */
static pl_status side_steps(uint8_t **out, struct match_op *o, const struct side *s, struct pl_err *err)
{
    size_t n = o->op.grid.n;

    *out = pl_arena_new_array_try(o->op.x->arena, uint8_t, n);
    PQ_TRY_ALLOC(&o->op, *out);
    for (size_t i = 0; i < s->b.n; i++) {
        for (size_t k = 0; k < n; k++) {
            (*out)[k] |= pq_has(&s->b.col[i], k);
        }
    }
    return PL_OK;
}

static struct labels match_labels(const struct match_op *o, struct labels ls)
{
    struct pl_arena *a = o->op.x->arena;

    return o->sig.on ? pq__labels_only(a, ls, o->sig.names, o->sig.count)
                     : pq__labels_without(a, ls, o->sig.names, o->sig.count, true);
}

/* COMPAT: metric text in this message is the plain label set, __name__ inside the braces. */
static pl_status fail_duplicate(struct match_op *o, struct labels a, struct labels b, struct pl_err *err)
{
    struct pl_buf group, first, second;
    pl_status st;
    bool turn;

    pl_buf_init(&group, 0);
    pl_buf_init(&first, 0);
    pl_buf_init(&second, 0);
    labels_text(&group, match_labels(o, a));
    labels_text(&first, a);
    labels_text(&second, b);
    turn = pl_str_cmp(pl_buf_view(&first), pl_buf_view(&second)) > 0;
    st = pl_fail(err, PL_EXEC,
                 "found duplicate series for the match group %.*s on the %s hand-side of the operation: [%.*s, %.*s];"
                 "many-to-many matching not allowed: matching labels must be unique on one side",
                 (int)group.n, group.p, o->swapped ? "left" : "right", (int)(turn ? second : first).n,
                 (turn ? second : first).p, (int)(turn ? first : second).n, (turn ? first : second).p);
    pl_buf_fini(&group);
    pl_buf_fini(&first);
    pl_buf_fini(&second);
    return st;
}

/* Two columns of the one side with one signature that both have a sample at a step. */
struct duplicate {
    size_t step;
    uint32_t first, second;
    bool found;
};

/* Finds the earliest duplicate of one signature before d->step. holder: scratch, for each step column + 1. */
static void find_duplicate(struct duplicate *d, const struct match_op *o, uint32_t sig, const uint8_t *looked_at,
                           uint32_t *holder)
{
    const struct column *c = o->one.b.col;
    size_t n = o->op.grid.n;

    memset(holder, 0, n * sizeof(*holder));
    for (uint32_t i = o->one.head[sig]; i != NO_COLUMN; i = o->one.next[i]) {
        for (size_t k = 0; k < n && (!d->found || k <= d->step); k++) {
            if (!pq_has(&c[i], k) || looked_at[k] == 0) {
                continue;
            }
            if (holder[k] == 0) {
                holder[k] = i + 1;
            } else if (!d->found || k < d->step || i < d->second) {
                *d = (struct duplicate){.step = k, .first = holder[k] - 1, .second = i, .found = true};
            }
        }
    }
}

/* The one side must have one sample a signature at every step at which the operation looks at all. */
static pl_status check_one_side(struct duplicate *out, struct match_op *o, struct pl_err *err)
{
    struct pl_arena *a = o->op.x->arena;
    struct duplicate d = {0};
    uint32_t *holder = pl_arena_new_array_try(a, uint32_t, o->op.grid.n);
    uint8_t *looked_at;

    PQ_TRY_ALLOC(&o->op, holder);
    PL_TRY(side_steps(&looked_at, o, &o->many, err));
    if (o->fills_many || o->fills_one) {
        memset(looked_at, 1, o->op.grid.n);
    }
    for (uint32_t sig = 0; sig < o->sig.keys.n; sig++) {
        if (o->one.count[sig] > 1) {
            PL_TRY(pq__check(o->op.x, err));
            find_duplicate(&d, o, sig, looked_at, holder);
        }
    }
    *out = d;
    return PL_OK;
}

/* Labels of the result of a pair. */
static pl_status pair_labels(struct labels *out, const struct match_op *o, struct labels many, struct labels one,
                             struct pl_err *err)
{
    struct pl_arena *a = o->op.x->arena;
    const struct pq_matching *m = o->op.node->binary.matching;
    struct labels ls = many;

    if (pq__op_drops_name(o->op.node->binary.op, o->as_bool && !o->op.x->q->delayed_name_removal)) {
        ls = pq__labels_drop_reserved(a, ls);
    }
    if (o->one_to_one && ls.n > 0 && ls.v != NULL) {
        ls = o->sig.on ? pq__labels_only(a, ls, o->sig.names, o->sig.count)
                       : pq__labels_without(a, ls, o->sig.names, o->sig.count, false);
    }
    for (uint32_t i = 0; m != NULL && i < m->include_count && (ls.n == 0 || ls.v != NULL); i++) {
        ls = pq__labels_set(a, ls, m->include[i], labels_get(one, m->include[i]));
    }
    if (ls.n > 0) {
        PQ_TRY_ALLOC(&o->op, ls.v);
    }
    *out = ls;
    return PL_OK;
}

/* One pair's value; false: the sample is filtered out. */
static inline bool pair_value(double *out, const struct match_op *o, double many, double one)
{
    enum pq_op op = o->op.node->binary.op;
    double l = o->swapped ? one : many, r = o->swapped ? many : one;

    if (!o->comparison) {
        *out = pq__arith(op, l, r);
        return true;
    }
    if (o->as_bool) {
        *out = (double)pq__compare(op, l, r);
        return true;
    }
    *out = l;
    return pq__compare(op, l, r);
}

static void mark_matched(struct match_op *o, uint32_t sig, size_t step)
{
    uint8_t *matched = o->matched[sig];

    if (matched != NULL) {
        if (matched[step] != 0 && o->one_to_one) {
            match_error(o, step, MATCH_NOT_EXPLICIT);
        }
        matched[step] = 1;
    }
}

static pl_status outs_grow(struct match_op *o, struct pl_err *err)
{
    size_t cap = PL_MAX(o->out_cap * 2, (size_t)64);
    struct outcome *grown = pl_arena_new_array_try(o->op.x->arena, struct outcome, cap);

    PQ_TRY_ALLOC(&o->op, grown);
    if (o->out_n > 0) {
        memcpy(grown, o->outs, o->out_n * sizeof(*grown));
    }
    o->outs = grown;
    o->out_cap = cap;
    return PL_OK;
}

/* Puts a computed column into the result: as a new one, or into the one of the same labels. */
static pl_status out_add(struct match_op *o, const struct column *c, uint8_t *paired, uint32_t sig, struct pl_err *err)
{
    struct exec *x = o->op.x;
    struct outcome *to;
    uint32_t index;
    bool added;

    pq__key_all(&x->text, c->labels);
    if (!pq__keytab_put(&o->out_keys, pl_buf_view(&x->text), &index, &added)) {
        return pq__nomem(&o->op, err);
    }
    if (added && o->out_n == o->out_cap) {
        PL_TRY(outs_grow(o, err));
    }
    to = &o->outs[index];
    if (added) {
        *to = (struct outcome){.col = *c, .paired = paired, .sig = sig};
        to->col.drop_name = o->as_bool && x->q->delayed_name_removal;
        o->out_n++;
        return PL_OK;
    }
    for (size_t k = 0; k < o->steps; k++) {
        bool before = to->paired != NULL ? to->paired[k] != 0 : pq_has(&to->col, k);
        bool now = paired != NULL ? paired[k] != 0 : pq_has(c, k);

        if (before && now && !o->one_to_one && to->sig == sig) {
            match_error(o, k, MATCH_NOT_UNIQUE);
        } else if (pq_has(c, k) && pq_has(&to->col, k)) {
            match_error(o, k, MATCH_SAME_LABELS);
        } else if (pq_has(c, k)) {
            PL_TRY(pq__sample_put(&o->op, &to->col, c, k, err));
        }
        if (now && to->paired != NULL) {
            to->paired[k] = 1;
        }
    }
    return PL_OK;
}

/* Steps of filtered pairs are only kept where two results could meet: group_left/right with a filter. */
static pl_status paired_new(uint8_t **out, const struct match_op *o, struct pl_err *err)
{
    *out = NULL;
    if (o->comparison && !o->as_bool && !o->one_to_one) {
        *out = pl_arena_new_array_try(o->op.x->arena, uint8_t, o->op.grid.n);
        PQ_TRY_ALLOC(&o->op, *out);
    }
    return PL_OK;
}

/* At least one of the two samples is a histogram, or the operator takes histograms only. *paired: they go together. */
static pl_status pair_hists(struct match_op *o, struct column *to, const struct column *many, const struct column *one,
                            size_t k, bool *paired, struct pl_err *err)
{
    const struct column *l = o->swapped ? one : many, *r = o->swapped ? many : one;
    struct hist_pair p = {
        .l = pq_has_hist(l, k) ? l->h[k] : NULL, .r = pq_has_hist(r, k) ? r->h[k] : NULL, .lv = l->v[k], .rv = r->v[k]};

    to->v[k] = pq_absent();
    *paired = false;
    PL_TRY(pq__hist_pair(&p, &o->op, pq__hists(&o->op), err));
    PL_TRY(pq__pair_note(&o->notes, &o->op, k, p.met, err));
    *paired = p.paired;
    if (o->as_bool && p.paired) {
        to->v[k] = (double)p.keep;
    } else if (p.keep) {
        if (to->h == NULL) {
            to->h = pq__hist_column(&o->op);
            PQ_TRY_ALLOC(&o->op, to->h);
        }
        to->h[k] = p.out;
    }
    return PL_OK;
}

/* Computes many against one into `to`, whose values may be those of many itself. */
static pl_status pair_columns(struct match_op *o, uint32_t sig, struct column *to, const struct column *many,
                              const struct column *one, uint8_t *paired, struct pl_err *err)
{
    bool watched = o->matched[sig] != NULL, trims = pq__op_is_trim(o->op.node->binary.op);
    bool hists = many->h != NULL || one->h != NULL || trims;

    for (size_t k = 0; k < o->steps; k++) {
        double value;
        bool together = true;

        if (hists ? !pq_has(many, k) || !pq_has(one, k) : pq_is_absent(many->v[k]) || pq_is_absent(one->v[k])) {
            to->v[k] = pq_absent();
            continue;
        }
        if (hists && (trims || pq_has_hist(many, k) || pq_has_hist(one, k))) {
            PL_TRY(pair_hists(o, to, many, one, k, &together, err));
        } else {
            to->v[k] = pair_value(&value, o, many->v[k], one->v[k]) ? value : pq_absent();
        }
        if (watched && together) {
            mark_matched(o, sig, k);
        }
        if (paired != NULL && together) {
            paired[k] = 1;
        }
    }
    return PL_OK;
}

static pl_status new_column(double **out, struct match_op *o, struct pl_err *err)
{
    *out = pl_arena_new_array_try(o->op.x->arena, double, o->op.grid.n);
    PQ_TRY_ALLOC(&o->op, *out);
    return PL_OK;
}

/* One pair of columns to one column of the result, computed into v. */
static pl_status pair(struct match_op *o, uint32_t sig, double *v, const struct column *many, const struct column *one,
                      struct pl_err *err)
{
    struct column to = {.v = v};
    uint8_t *paired;

    PL_TRY(paired_new(&paired, o, err));
    PL_TRY(pair_columns(o, sig, &to, many, one, paired, err));
    PL_TRY(pair_labels(&to.labels, o, many->labels, one->labels, err));
    return out_add(o, &to, paired, sig, err);
}

/* A column that has the fill value wherever no column of the chain has a sample. */
static pl_status fill_column(double **out, struct match_op *o, const struct side *s, uint32_t sig, double fill,
                             struct pl_err *err)
{
    double *v;

    PL_TRY(new_column(&v, o, err));
    for (size_t k = 0; k < o->op.grid.n; k++) {
        v[k] = fill;
    }
    for (uint32_t j = s->head[sig]; j != NO_COLUMN; j = s->next[j]) {
        for (size_t k = 0; k < o->op.grid.n; k++) {
            v[k] = pq_has(&s->b.col[j], k) ? pq_absent() : v[k];
        }
    }
    *out = v;
    return PL_OK;
}

static pl_status match_many(struct match_op *o, uint32_t i, struct pl_err *err)
{
    struct column *c = &o->many.b.col[i];
    uint32_t sig = o->many.sig[i], ones = o->one.count[sig];
    bool alone = ones + (o->fills_one ? 1 : 0) == 1;

    for (uint32_t j = o->one.head[sig]; j != NO_COLUMN; j = o->one.next[j]) {
        double *v = c->v; /* alone: in place */

        if (!alone) {
            PL_TRY(new_column(&v, o, err));
        }
        PL_TRY(pair(o, sig, v, c, &o->one.b.col[j], err));
    }
    if (o->fills_one) {
        struct column fill = {.labels = match_labels(o, c->labels)};
        double *v;

        PL_TRY(new_column(&v, o, err));
        PL_TRY(fill_column(&fill.v, o, &o->one, sig, o->fill_one, err));
        PL_TRY(pair(o, sig, v, c, &fill, err));
    }
    return PL_OK;
}

/* COMPAT: with group_right, Prometheus applies fill_left to the many side too. */
static pl_status match_filled(struct match_op *o, uint32_t j, struct pl_err *err)
{
    const struct column *c = &o->one.b.col[j];
    uint32_t sig = o->one.sig[j];
    struct column fill = {.labels = match_labels(o, c->labels)};
    double *v;

    PL_TRY(new_column(&v, o, err));
    PL_TRY(new_column(&fill.v, o, err));
    for (size_t k = 0; k < o->op.grid.n; k++) {
        fill.v[k] = o->matched[sig][k] != 0 ? pq_absent() : o->fill_many;
    }
    return pair(o, sig, v, &fill, c, err);
}

static pl_status matched_init(struct match_op *o, struct pl_err *err)
{
    o->matched = pl_arena_new_array_try(o->op.x->arena, uint8_t *, o->sig.keys.n);
    PQ_TRY_ALLOC(&o->op, o->matched);
    for (size_t i = 0; i < o->sig.keys.n; i++) {
        if (o->fills_many || (o->one_to_one && o->many.count[i] > 1)) {
            o->matched[i] = pl_arena_new_array_try(o->op.x->arena, uint8_t, o->op.grid.n);
            PQ_TRY_ALLOC(&o->op, o->matched[i]);
        }
    }
    return PL_OK;
}

static pl_status match_all(struct match_op *o, struct pl_err *err)
{
    struct duplicate d = {0};

    PL_TRY(check_one_side(&d, o, err));
    PL_TRY(matched_init(o, err));
    o->steps = d.found ? d.step : o->op.grid.n;
    for (uint32_t i = 0; i < o->many.b.n; i++) {
        if (i % 64 == 0) {
            PL_TRY(pq__check(o->op.x, err));
        }
        PL_TRY(match_many(o, i, err));
    }
    for (uint32_t j = 0; o->fills_many && j < o->one.b.n; j++) {
        PL_TRY(match_filled(o, j, err));
    }
    switch (o->error) {
    case MATCH_FINE:
        break;
    case MATCH_SAME_LABELS:
        return pl_fail(err, PL_EXEC, "vector cannot contain metrics with the same labelset");
    case MATCH_NOT_UNIQUE:
        return pl_fail(err, PL_EXEC, "multiple matches for labels: grouping labels must ensure unique matches");
    case MATCH_NOT_EXPLICIT:
        return pl_fail(err, PL_EXEC,
                       "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)");
    }
    return d.found ? fail_duplicate(o, o->one.b.col[d.second].labels, o->one.b.col[d.first].labels, err) : PL_OK;
}

static pl_status match_run(struct match_op *o, struct pl_err *err)
{
    struct batch l, r, all;

    PL_TRY(pq__drain(o->l, &l, err));
    PL_TRY(pq__drain(o->r, &r, err));
    o->many.b = o->swapped ? r : l;
    o->one.b = o->swapped ? l : r;
    PL_TRY(pq__signatures(&o->many.sig, &o->sig, &o->op, &o->many.b, err));
    PL_TRY(pq__signatures(&o->one.sig, &o->sig, &o->op, &o->one.b, err));
    PL_TRY(side_init(&o->many, o, err));
    PL_TRY(side_init(&o->one, o, err));
    PL_TRY(match_all(o, err));
    pq__pair_notes_tell(&o->notes, &o->op);
    o->result = pl_arena_new_array_try(o->op.x->arena, struct column, o->out_n);
    PQ_TRY_ALLOC(&o->op, o->result);
    for (size_t i = 0; i < o->out_n; i++) {
        o->result[i] = o->outs[i].col;
    }
    all = (struct batch){.col = o->result, .n = o->out_n};
    pq__compact(&all, o->op.grid.n);
    o->out_n = all.n;
    return PL_OK;
}

static pl_status match_next(struct op *op, struct batch *out, struct pl_err *err)
{
    struct match_op *o = (struct match_op *)op;
    struct batch all;

    if (!o->done) {
        PL_TRY(match_run(o, err));
        o->done = true;
    }
    all = (struct batch){.col = o->result, .n = o->out_n};
    pq__batch_slice(&all, &o->at, op->batch_max, out);
    return PL_OK;
}

static const struct op_ops match_ops = {"vector matching", match_next};

pl_status pq__make_match(struct op **out, struct exec *x, const struct pq_node *n, struct scope s, struct pl_err *err)
{
    struct match_op *o = pl_arena_zero_try(x->arena, sizeof(*o));
    const struct pq_matching *m = n->binary.matching;

    if (o == NULL) {
        return pq__nomem_node(x, n, err);
    }
    pq__op_init(&o->op, &match_ops, x, n, s.grid);
    PL_TRY(pq__signature_init(&o->sig, x, n, err));
    o->swapped = m != NULL && m->card == PQ_ONE_TO_MANY;
    o->one_to_one = m == NULL || m->card == PQ_ONE_TO_ONE;
    o->comparison = pq__op_is_comparison(n->binary.op);
    o->as_bool = n->binary.return_bool;
    o->out_keys.a = x->arena;
    if (m != NULL) {
        o->fills_many = m->has_fill_left;
        o->fill_many = m->fill_left;
        o->fills_one = m->has_fill_right;
        o->fill_one = m->fill_right;
    }
    PL_TRY(pq__plan(&o->l, x, n->binary.lhs, s, err));
    PL_TRY(pq__plan(&o->r, x, n->binary.rhs, s, err));
    *out = &o->op;
    return PL_OK;
}
