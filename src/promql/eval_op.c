#include "base/clock.h"
#include "promql/eval.h"

enum { PART_MAX = 80, CHECK_EVERY = 16 };

static size_t batch_max(struct grid g)
{
    size_t n = PQ_BATCH_VALUES / PL_MAX(g.n, (size_t)1);

    return PL_MIN(PL_MAX(n, (size_t)PQ_BATCH_MIN), (size_t)PQ_BATCH_MAX);
}

void pq__op_init(struct op *op, const struct op_ops *ops, struct exec *x, const struct pq_node *node, struct grid grid)
{
    *op = (struct op){.ops = ops, .x = x, .node = node, .grid = grid, .batch_max = batch_max(grid)};
    if (x->q->explain != PQ_EXPLAIN_NONE) {
        pq__explain_op(op);
    }
}

pl_status pq__next(struct op *op, struct batch *out, struct pl_err *err)
{
    *out = (struct batch){0};
    PL_TRY(pq__check(op->x, err));
    return op->x->q->explain == PQ_EXPLAIN_NONE ? op->ops->next(op, out, err) : pq__explain_next(op, out, err);
}

void pq__keep(struct op *op)
{
    for (; op != NULL; op = op->stream) {
        op->keep = true;
    }
}

pl_status pq__cols_array(struct op *op, struct pl_err *err)
{
    if (op->cols == NULL) {
        op->cols = pl_arena_new_array_try(op->x->arena, struct column, op->batch_max);
        PQ_TRY_ALLOC(op, op->cols);
    }
    return PL_OK;
}

/* Values of n columns, not zeroed. */
static double *cols_alloc(struct op *op, size_t n)
{
    size_t bytes;

    return pl_mul_ok(&bytes, n * sizeof(double), op->grid.n) ? pl_arena_alloc_try(op->x->arena, bytes) : NULL;
}

pl_status pq__cols_begin(struct op *op, struct pl_err *err)
{
    PL_TRY(pq__cols_array(op, err));
    if (!op->keep && op->pool_base == NULL) {
        op->pool_base = cols_alloc(op, op->batch_max);
        PQ_TRY_ALLOC(op, op->pool_base);
    }
    if (!op->keep) {
        op->pool_at = op->pool_base;
        op->pool_left = op->batch_max;
    }
    pq__hists_begin(op);
    return PL_OK;
}

/* ---- histograms ---- */

struct pl_arena *pq__hists(struct op *op)
{
    if (!op->hists_made) {
        pl_arena_init_child(&op->hists, op->x->arena);
        op->hists_made = true;
    }
    return &op->hists;
}

void pq__hists_begin(struct op *op)
{
    if (op->hists_made && !op->keep) {
        pl_arena_reset(&op->hists);
    }
}

bool pq__hists_full(const struct op *op)
{
    return op->hists_made && !op->keep && op->hists.used_bytes > PQ_BATCH_HIST_BYTES;
}

const struct hist **pq__hist_column(struct op *op)
{
    return pl_arena_new_array_try(pq__hists(op), const struct hist *, op->grid.n);
}

pl_status pq__sample_put(struct op *op, struct column *to, const struct column *from, size_t i, struct pl_err *err)
{
    if (!pq_has_hist(from, i)) {
        to->v[i] = from->v[i];
        return PL_OK;
    }
    if (to->h == NULL) {
        to->h = pq__hist_column(op);
        PQ_TRY_ALLOC(op, to->h);
    }
    to->h[i] = from->h[i];
    return PL_OK;
}

pl_status pq__one_column(struct op *op, struct batch *out, struct pl_err *err)
{
    op->batch_max = 1;
    PL_TRY(pq__cols_begin(op, err));
    op->cols[0] = (struct column){.v = pq__col_take(op)};
    PQ_TRY_ALLOC(op, op->cols[0].v);
    *out = (struct batch){.col = op->cols, .n = 1};
    return PL_OK;
}

double *pq__col_take(struct op *op)
{
    double *v;

    if (op->pool_left == 0) {
        size_t n = PL_MIN(op->batch_max, (size_t)16);

        PL_ASSERT(op->keep);
        op->pool_at = cols_alloc(op, n);
        if (op->pool_at == NULL) {
            return NULL;
        }
        op->pool_left = n;
    }
    v = op->pool_at;
    op->pool_at += op->grid.n;
    op->pool_left--;
    return v;
}

void pq__col_untake(struct op *op)
{
    op->pool_at -= op->grid.n;
    op->pool_left++;
}

pl_status pq__nomem_node(struct exec *x, const struct pq_node *node, struct pl_err *err)
{
    struct pl_buf *b = &x->text;
    const char *cut = "";

    pl_buf_reset(b);
    if (node != NULL) {
        pq_print(b, node);
    }
    if (b->n > PART_MAX) {
        b->n = PART_MAX;
        cut = "...";
    }
    return pl_fail(err, PL_LIMIT,
                   "query processing would use more than the %zu bytes of -querier.max-query-memory-bytes in %.*s%s",
                   x->arena->limit_bytes, (int)b->n, b->p, cut);
}

pl_status pq__nomem(const struct op *op, struct pl_err *err)
{
    return pq__nomem_node(op->x, op->node, err);
}

pl_status pq__check(struct exec *x, struct pl_err *err)
{
    if (x->q->cancel != NULL && atomic_load_explicit(x->q->cancel, memory_order_relaxed)) {
        return pl_fail(err, PL_CANCELED, "query was canceled in expression evaluation");
    }
    if (x->q->stop != NULL && atomic_load_explicit(x->q->stop, memory_order_relaxed)) {
        return pl_fail(err, PL_CANCELED, "query was ended by an operator in expression evaluation");
    }
    if (x->q->deadline_mono_ns != 0 && x->check_skip++ % CHECK_EVERY == 0 &&
        pl_now_mono_ns() > x->q->deadline_mono_ns) {
        x->check_skip = 0;
        return pl_fail(err, PL_TIMEOUT, "query timed out in expression evaluation");
    }
    return PL_OK;
}

pl_status pq__count_samples(struct exec *x, uint64_t n, struct pl_err *err)
{
    x->samples_now += n;
    x->stats.samples_peak = PL_MAX(x->stats.samples_peak, x->samples_now);
    if (x->q->samples_max != 0 && x->samples_now > x->q->samples_max) {
        return pl_fail(err, PL_EXEC, "query processing would load too many samples into memory in query execution");
    }
    return PL_OK;
}

bool pq__any(const double *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!pq_is_absent(v[i])) {
            return true;
        }
    }
    return false;
}

bool pq__col_any(const struct column *c, size_t n)
{
    if (pq__any(c->v, n)) {
        return true;
    }
    for (size_t i = 0; c->h != NULL && i < n; i++) {
        if (c->h[i] != NULL) {
            return true;
        }
    }
    return false;
}

uint64_t pq__col_cost(const struct column *c, size_t n)
{
    uint64_t cost = 0;

    for (size_t i = 0; i < n; i++) {
        cost += !pq_is_absent(c->v[i]);
    }
    for (size_t i = 0; c->h != NULL && i < n; i++) {
        cost += c->h[i] != NULL ? hist_sample_cost(c->h[i]) : 0;
    }
    return cost;
}

void pq__fill_absent(double *v, size_t n)
{
    double a = pq_absent();

    for (size_t i = 0; i < n; i++) {
        v[i] = a;
    }
}

void pq__compact(struct batch *b, size_t steps)
{
    size_t to = 0;

    for (size_t i = 0; i < b->n; i++) {
        if (pq__col_any(&b->col[i], steps)) {
            b->col[to++] = b->col[i];
        }
    }
    b->n = to;
}

pl_status pq__drain(struct op *op, struct batch *out, struct pl_err *err)
{
    struct batch all = {0};
    size_t cap = 0;

    pq__keep(op);
    for (;;) {
        struct batch b;

        PL_TRY(pq__next(op, &b, err));
        if (b.n == 0) {
            *out = all;
            return PL_OK;
        }
        if (all.n + b.n > cap) {
            struct column *grown;

            cap = PL_MAX(cap * 2, all.n + b.n);
            grown = pl_arena_new_array_try(op->x->arena, struct column, cap);
            PQ_TRY_ALLOC(op, grown);
            if (all.n > 0) {
                memcpy(grown, all.col, all.n * sizeof(*grown));
            }
            all.col = grown;
        }
        memcpy(all.col + all.n, b.col, b.n * sizeof(*b.col));
        all.n += b.n;
    }
}

pl_status pq__scalar(struct op *op, double **out, struct pl_err *err)
{
    struct batch b;

    PL_TRY(pq__drain(op, &b, err));
    PL_ASSERT(b.n == 1);
    *out = b.col[0].v;
    return PL_OK;
}

void pq__batch_slice(const struct batch *all, size_t *at, size_t max, struct batch *out)
{
    size_t n = PL_MIN(max, all->n - *at);

    *out = (struct batch){.col = n > 0 ? all->col + *at : NULL, .n = n};
    *at += n;
}

pl_str pq__str_try(struct pl_arena *a, pl_str s)
{
    char *p = pl_arena_alloc_try(a, s.n + 1);

    if (p != NULL && s.n > 0) {
        memcpy(p, s.p, s.n);
    }
    return (pl_str){p, s.n};
}

/* ---- labels ---- */

bool pq__name_in(pl_str name, const pl_str *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (pl_str_eq(name, names[i])) {
            return true;
        }
    }
    return false;
}

const pl_str *pq__names_sorted(struct pl_arena *a, const pl_str *names, size_t count)
{
    pl_str *s = pl_arena_new_array_try(a, pl_str, count + 1);

    for (size_t i = 0; s != NULL && i < count; i++) { /* insertion: few names, once a query */
        size_t j = i;

        for (; j > 0 && pl_str_cmp(s[j - 1], names[i]) > 0; j--) {
            s[j] = s[j - 1];
        }
        s[j] = names[i];
    }
    return s;
}

bool pq__label_is_reserved(pl_str name)
{
    return name.n == 8 && name.p[0] == '_' && name.p[1] == '_' &&
           (memcmp(name.p, "__name__", 8) == 0 || memcmp(name.p, "__type__", 8) == 0 ||
            memcmp(name.p, "__unit__", 8) == 0);
}

enum label_filter { LABELS_RESERVED, LABELS_WITHOUT, LABELS_ONLY };

struct label_rule {
    enum label_filter kind;
    const pl_str *names;
    size_t count;
    bool and_name;
};

static bool label_stays(const struct label_rule *r, pl_str name)
{
    switch (r->kind) {
    case LABELS_RESERVED:
        return !pq__label_is_reserved(name);
    case LABELS_WITHOUT:
        return !(r->and_name && pl_str_eq(name, LABEL_METRIC_NAME)) && !pq__name_in(name, r->names, r->count);
    case LABELS_ONLY:
        return pq__name_in(name, r->names, r->count);
    }
    PL_UNREACHABLE("label filter");
}

/* Views the array as it is where the labels that stay are neighbours: the usual case, as __name__ sorts first or
 * nearly. */
static struct labels labels_filter(struct pl_arena *a, struct labels ls, struct label_rule r)
{
    size_t first = 0, last = ls.n, stay = 0, to = 0;
    struct label *v;

    while (first < last && !label_stays(&r, ls.v[first].name)) {
        first++;
    }
    while (last > first && !label_stays(&r, ls.v[last - 1].name)) {
        last--;
    }
    for (size_t i = first; i < last; i++) {
        stay += label_stays(&r, ls.v[i].name);
    }
    if (stay == last - first) {
        return (struct labels){stay > 0 ? ls.v + first : ls.v, stay};
    }
    v = pl_arena_alloc_try(a, stay * sizeof(*v));
    for (size_t i = first; v != NULL && i < last; i++) {
        if (label_stays(&r, ls.v[i].name)) {
            v[to++] = ls.v[i];
        }
    }
    return (struct labels){v, stay};
}

struct labels pq__labels_drop_reserved(struct pl_arena *a, struct labels ls)
{
    return labels_filter(a, ls, (struct label_rule){.kind = LABELS_RESERVED});
}

struct labels pq__labels_without(struct pl_arena *a, struct labels ls, const pl_str *names, size_t count, bool and_name)
{
    return labels_filter(
        a, ls, (struct label_rule){.kind = LABELS_WITHOUT, .names = names, .count = count, .and_name = and_name});
}

struct labels pq__labels_only(struct pl_arena *a, struct labels ls, const pl_str *names, size_t count)
{
    return labels_filter(a, ls, (struct label_rule){.kind = LABELS_ONLY, .names = names, .count = count});
}

struct labels pq__labels_set(struct pl_arena *a, struct labels ls, pl_str name, pl_str value)
{
    struct label *v;
    size_t to = 0;
    bool done = value.n == 0;

    if (done) {
        return pq__labels_without(a, ls, &name, 1, false);
    }
    v = pl_arena_alloc_try(a, (ls.n + 1) * sizeof(*v));
    for (size_t i = 0; v != NULL && i < ls.n; i++) {
        int c = pl_str_cmp(ls.v[i].name, name);

        if (!done && c >= 0) {
            v[to++] = (struct label){name, value};
            done = true;
        }
        if (c != 0) {
            v[to++] = ls.v[i];
        }
    }
    if (v != NULL && !done) {
        v[to++] = (struct label){name, value};
    }
    return (struct labels){v, v != NULL ? to : ls.n + 1};
}

pl_status pq__drop_name(struct op *op, struct column *c, struct pl_err *err)
{
    c->drop_name = true;
    if (!op->x->q->delayed_name_removal) {
        c->labels = pq__labels_drop_reserved(op->x->arena, c->labels);
        if (c->labels.n > 0) {
            PQ_TRY_ALLOC(op, c->labels.v);
        }
        c->drop_name = false;
    }
    return PL_OK;
}
