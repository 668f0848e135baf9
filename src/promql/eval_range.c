#include "promql/functions_def.h"
#include "promql/range_hist.h"

/* Functions over range vectors: one series at a time is decoded (or taken from a subquery), its windows are laid over
 * the samples once, and one kernel fills the whole column. What histograms among the samples change is in range_hist.c.
 */

struct range_op {
    struct op op;
    struct tally *tally;
    int func;
    window_fn kernel;
    struct op *arg[2]; /* scalar arguments */
    /* where samples come from: a selection, or a subquery's columns */
    struct selection sel;
    struct op *sub;
    struct batch sub_batch;
    size_t at;
    struct samples buf;
    size_t cap, h_cap;
    struct pl_arena decoded; /* histograms of the series at hand */
    uint32_t *lo, *hi;
    struct windows w;
    uint64_t floats; /* in all windows together */
    size_t scratch_cap;
    struct range_hist hist;
    bool mixed;        /* the series at hand has histograms: w has its floats only */
    struct pq_pos pos; /* of the range argument, for annotations */
    bool begun, keeps_name, bad_quantile, warns_counter;
    struct keytab seen; /* label sets handed out: two equal ones are an error */
};

static pl_status range_begin(struct range_op *o, struct pl_err *err)
{
    struct op *op = &o->op;

    o->lo = pl_arena_new_array_try(op->x->arena, uint32_t, op->grid.n);
    o->hi = pl_arena_new_array_try(op->x->arena, uint32_t, op->grid.n);
    if (o->lo == NULL || o->hi == NULL) {
        return pq__nomem(op, err);
    }
    o->w.lo = o->lo;
    o->w.hi = o->hi;
    for (size_t i = 0; i < 2 && o->arg[i] != NULL; i++) {
        double *v;

        PL_TRY(pq__scalar(o->arg[i], &v, err));
        o->w.arg[i] = v;
    }
    if (o->func == PQ_FN_QUANTILE_OVER_TIME) {
        for (size_t i = 0; i < op->grid.n; i++) {
            o->bad_quantile = o->bad_quantile || !(o->w.arg[0][i] >= 0 && o->w.arg[0][i] <= 1);
        }
    }
    o->begun = true;
    return PL_OK;
}

static pl_status samples_room(struct range_op *o, size_t n, bool hists, struct pl_err *err)
{
    struct pl_arena *a = o->op.x->arena;

    if (n > o->cap) {
        o->buf.t = pl_arena_new_array_try(a, int64_t, n);
        o->buf.v = pl_arena_new_array_try(a, double, n);
        if (o->buf.t == NULL || o->buf.v == NULL) {
            return pq__nomem(&o->op, err);
        }
        o->cap = n;
    }
    if (hists && n > o->h_cap) {
        o->buf.h = pl_arena_new_array_try(a, const struct hist *, n);
        PQ_TRY_ALLOC(&o->op, o->buf.h);
        o->h_cap = n;
    }
    return PL_OK;
}

/* A histogram that a subquery made: what came between it and the one before is unknown. */
static pl_status from_subquery(const struct hist **out, struct range_op *o, const struct hist *h, struct pl_err *err)
{
    struct hist *own;

    *out = h;
    if (h == NULL || (h->hint != HIST_HINT_RESET && h->hint != HIST_HINT_NOT_RESET)) {
        return PL_OK;
    }
    own = pl_arena_alloc_try(&o->decoded, sizeof(*own));
    PQ_TRY_ALLOC(&o->op, own);
    *own = *h;
    own->hint = HIST_HINT_UNKNOWN;
    *out = own;
    return PL_OK;
}

static pl_status load_hists(struct range_op *o, const struct column *c, struct pl_err *err)
{
    struct grid g = o->sub->grid;
    size_t n = 0;

    PL_TRY(samples_room(o, g.n, true, err));
    for (size_t i = 0; i < g.n; i++) {
        if (pq_has(c, i)) {
            PL_TRY(from_subquery(&o->buf.h[n], o, c->h[i], err));
            o->buf.t[n] = grid_at(g, i);
            o->buf.v[n++] = c->v[i];
        }
    }
    o->buf.n = n;
    return PL_OK;
}

/* The samples of the next column of the subquery. */
static pl_status load_column(struct range_op *o, const struct column *c, struct pl_err *err)
{
    struct grid g = o->sub->grid;
    size_t n = 0;

    o->mixed = c->h != NULL;
    if (o->mixed) {
        return load_hists(o, c, err);
    }
    PL_TRY(samples_room(o, g.n, false, err));
    for (size_t i = 0; i < g.n; i++) {
        o->buf.t[n] = grid_at(g, i);
        o->buf.v[n] = c->v[i];
        n += !pq_is_absent(c->v[i]);
    }
    o->buf.n = n;
    return PL_OK;
}

static bool any_hist(const struct samples *s)
{
    for (size_t i = 0; s->h != NULL && i < s->n; i++) {
        if (s->h[i] != NULL) {
            return true;
        }
    }
    return false;
}

/* Fills buf with the next series that has samples; *more is false at the end. */
static pl_status load_next(struct range_op *o, struct column *c, bool *more, struct pl_err *err)
{
    *more = true;
    pl_arena_reset(&o->decoded);
    if (o->sub == NULL) {
        while (o->at < o->sel.list.n) {
            size_t i = o->at++;

            PL_TRY(pq__decode_live(o->op.x, o->op.node, &o->sel, i, &o->buf, &o->cap, err));
            if (o->buf.n > 0) {
                o->mixed = any_hist(&o->buf);
                c->labels = o->sel.list.v[i].labels;
                c->drop_name = false;
                return PL_OK;
            }
        }
        *more = false;
        return PL_OK;
    }
    if (o->at == o->sub_batch.n) {
        PL_TRY(pq__next(o->sub, &o->sub_batch, err));
        o->at = 0;
    }
    *more = o->sub_batch.n > 0;
    if (*more) {
        const struct column *from = &o->sub_batch.col[o->at++];

        PL_TRY(load_column(o, from, err));
        c->labels = from->labels;
        c->drop_name = from->drop_name;
    }
    return PL_OK;
}

static pl_status windows_begin(struct range_op *o, const struct column *c, struct pl_err *err)
{
    if (o->buf.n > o->scratch_cap) {
        size_t cap = PL_MAX(o->buf.n, o->scratch_cap * 2);

        o->w.scratch = pl_arena_new_array_try(o->op.x->arena, double, 2 * cap);
        PQ_TRY_ALLOC(&o->op, o->w.scratch);
        o->scratch_cap = cap;
    }
    o->w.t = o->buf.t;
    o->w.v = o->buf.v;
    o->w.n = o->buf.n;
    if (PL_UNLIKELY(o->mixed)) {
        PL_TRY(pq__range_hist_begin(&o->hist, &o->buf, &o->w, labels_get(c->labels, LABEL_METRIC_NAME), err));
    }
    pq__windows_fill(o->lo, o->hi, &o->w);
    return PL_OK;
}

static uint64_t window_cost(const struct range_op *o, size_t i)
{
    return o->hi[i] - o->lo[i] + (o->mixed ? pq__range_hist_cost(&o->hist, i) : 0);
}

static void tally_windows(struct range_op *o)
{
    uint64_t total = 0;

    for (size_t i = 0; i < o->op.grid.n; i++) {
        total += o->hi[i] - o->lo[i];
    }
    o->floats = total;
    for (size_t i = 0; o->mixed && i < o->op.grid.n; i++) {
        total += pq__range_hist_cost(&o->hist, i);
    }
    o->tally->total += total;
    if (o->tally->per_step != NULL) {
        for (size_t i = 0; i < o->op.grid.n; i++) {
            o->tally->per_step[i] += window_cost(o, i);
        }
    }
}

static pl_status bad_factor(const char *what, const char *name, double v, struct pl_err *err)
{
    if (isinf(v)) { /* not as C writes it */
        return pl_fail(err, PL_EXEC, "invalid %s factor. Expected: 0 < %s < 1, got: %cInf", what, name,
                       v < 0 ? '-' : '+');
    }
    return pl_fail(err, PL_EXEC, "invalid %s factor. Expected: 0 < %s < 1, got: %f", what, name, v);
}

/* Arguments are only looked at where there are samples, as Prometheus does. */
static pl_status check_arguments(struct range_op *o, struct pl_err *err)
{
    if (o->func == PQ_FN_DOUBLE_EXPONENTIAL_SMOOTHING) {
        for (size_t i = 0; i < o->op.grid.n; i++) {
            double sf = o->w.arg[0][i], tf = o->w.arg[1][i];

            if (window_cost(o, i) == 0) {
                continue;
            }
            if (sf <= 0 || sf >= 1) {
                return bad_factor("smoothing", "sf", sf, err);
            }
            if (tf <= 0 || tf >= 1) {
                return bad_factor("trend", "tf", tf, err);
            }
        }
    }
    for (size_t i = 0; o->bad_quantile && i < o->op.grid.n; i++) {
        double q = o->w.arg[0][i];

        if (o->hi[i] > o->lo[i] && !(q >= 0 && q <= 1)) {
            pq__note_quantile(o->op.x, o->op.node, o->op.node->call.args[0], q);
        }
    }
    return PL_OK;
}

static bool name_says_counter(pl_str name)
{
    return pl_str_ends(name, PL_STR("_total")) || pl_str_ends(name, PL_STR("_sum")) ||
           pl_str_ends(name, PL_STR("_count")) || pl_str_ends(name, PL_STR("_bucket"));
}

/* rate or increase of floats: does the series look like a counter? */
static void note_counter(struct range_op *o, struct labels ls)
{
    struct exec *x = o->op.x;
    pl_str name = labels_get(ls, LABEL_METRIC_NAME), type = labels_get(ls, PL_STR("__type__"));

    if (name.n == 0) {
        return;
    }
    if (x->q->type_and_unit_labels) {
        if (!pl_str_eq(type, PL_STR("counter")) && !pl_str_eq(type, PL_STR("histogram"))) {
            pq__note_type(x, o->pos, name, type);
        }
    } else if (!name_says_counter(name)) {
        pq__note_named(x, true, o->pos,
                       "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: ", name);
    }
}

static pl_status range_finish(struct range_op *o, struct column *c, struct pl_err *err)
{
    struct op *op = &o->op;
    uint32_t index;
    bool added;

    if (o->keeps_name) {
        return PL_OK;
    }
    PL_TRY(pq__drop_name(op, c, err));
    if (op->x->q->delayed_name_removal) {
        return PL_OK;
    }
    pq__key_all(&op->x->text, c->labels);
    if (!pq__keytab_put(&o->seen, pl_buf_view(&op->x->text), &index, &added)) {
        return pq__nomem(op, err);
    }
    return added ? PL_OK : pl_fail(err, PL_EXEC, "vector cannot contain metrics with the same labelset");
}

/* The kernel in slices of about this many window samples, so that a deadline or a hang-up is seen soon. */
enum { SLICE_SAMPLES = 1 << 20 };

static pl_status run_kernel(struct range_op *o, double *out, struct pl_err *err)
{
    struct windows w = o->w;
    size_t done = 0;

    if (o->floats + w.steps < SLICE_SAMPLES) {
        o->kernel(&w, out);
        return PL_OK;
    }
    while (done < o->w.steps) {
        uint64_t samples = 0;
        size_t n = 0;

        while (done + n < o->w.steps && samples < SLICE_SAMPLES) {
            samples += o->w.hi[done + n] - o->w.lo[done + n] + 1;
            n++;
        }
        w.steps = n;
        o->kernel(&w, out + done);
        done += n;
        w.lo += n;
        w.hi += n;
        w.ref0_ms += (int64_t)n * w.ref_step_ms;
        w.ts0_ms += (int64_t)n * w.ts_step_ms;
        for (size_t i = 0; i < 2; i++) {
            w.arg[i] = w.arg[i] != NULL ? w.arg[i] + n : NULL;
        }
        if (done < o->w.steps) {
            PL_TRY(pq__check(o->op.x, err));
        }
    }
    return PL_OK;
}

/* The samples of a window count while it is looked at, together with what the series has become at the end. */
static pl_status check_widest(const struct range_op *o, uint64_t cost, struct pl_err *err)
{
    struct exec *x = o->op.x;
    size_t last = o->op.grid.n - 1;
    uint64_t all = o->w.n + (o->mixed ? o->hist.cost[o->hist.n] : 0), widest = 0;

    if (x->q->samples_max == 0 || x->samples_now + all + cost <= x->q->samples_max) {
        return PL_OK;
    }
    for (size_t i = 0; i <= last; i++) {
        widest = PL_MAX(widest, window_cost(o, i));
    }
    widest = PL_MAX(widest, window_cost(o, last) + cost);
    return x->samples_now + widest > x->q->samples_max ? pq__count_samples(x, widest, err) : PL_OK;
}

/* The column of the series at hand, in c->v and c->h; *cost is what its samples count for. */
static pl_status range_column(struct range_op *o, struct column *c, uint64_t *cost, struct pl_err *err)
{
    size_t floats = 0;

    PL_TRY(windows_begin(o, c, err));
    tally_windows(o);
    PL_TRY(check_arguments(o, err));
    c->v = pq__col_take(&o->op);
    PQ_TRY_ALLOC(&o->op, c->v);
    c->h = NULL;
    PL_TRY(run_kernel(o, c->v, err));
    if (PL_UNLIKELY(o->mixed)) {
        PL_TRY(pq__range_hist_finish(&o->hist, &o->w, c, err));
    }
    for (size_t i = 0; i < o->op.grid.n; i++) {
        floats += !pq_is_absent(c->v[i]);
    }
    if (o->warns_counter && floats > 0) {
        note_counter(o, c->labels);
    }
    *cost = c->h != NULL ? pq__col_cost(c, o->op.grid.n) : floats;
    PL_TRY(check_widest(o, *cost, err));
    return pq__count_samples(o->op.x, *cost, err);
}

static pl_status range_next(struct op *op, struct batch *out, struct pl_err *err)
{
    struct range_op *o = (struct range_op *)op;
    size_t max = op->batch_max, seen = 0;

    if (!o->begun) {
        PL_TRY(range_begin(o, err));
    }
    PL_TRY(pq__cols_begin(op, err));
    out->col = op->cols;
    while (out->n < max && !pq__hists_full(op)) {
        struct column c;
        uint64_t cost = 0;
        bool more;

        PL_TRY(load_next(o, &c, &more, err));
        if (!more) {
            break;
        }
        if (seen++ % max == max - 1) {
            PL_TRY(pq__check(op->x, err));
        }
        PL_TRY(range_column(o, &c, &cost, err));
        if (cost == 0) {
            pq__col_untake(op);
            continue;
        }
        PL_TRY(range_finish(o, &c, err));
        out->col[out->n++] = c;
    }
    return PL_OK;
}

static const struct op_ops range_ops = {"range function", range_next};

static pl_status extended_kernel(struct range_op *o, const struct pq_node *n, const struct pq_node *sel,
                                 struct pl_err *err)
{
    if (!sel->selector.anchored && !sel->selector.smoothed) {
        return PL_OK;
    }
    o->w.before_ms = o->op.x->q->lookback_ms;
    if (sel->selector.anchored) {
        o->hist.anchored = true;
        o->kernel = pq__window_kernel_anchored(o->func);
        if (o->kernel == NULL) {
            return pl_fail(
                err, PL_EXEC,
                "anchored modifier can only be used with: changes, delta, increase, rate, resets - not with %s",
                n->call.func->name);
        }
        return PL_OK;
    }
    o->w.after_ms = o->op.x->q->lookback_ms;
    o->hist.smoothed = true;
    o->kernel = pq__window_kernel_smoothed(o->func);
    if (o->kernel == NULL) {
        return pl_fail(err, PL_EXEC, "smoothed modifier can only be used with: delta, increase, rate - not with %s",
                       n->call.func->name);
    }
    return PL_OK;
}

static pl_status range_from_selector(struct range_op *o, const struct pq_node *m, const struct pq_node *n,
                                     struct scope s, struct pl_err *err)
{
    const struct pq_node *sel = pq__unparen(m->matrix.selector);
    struct exec *x = o->op.x;
    int64_t range_ms = m->matrix.range_ms;
    struct select_window w = {.step_ms = s.grid.step_ms};
    struct when when;

    PL_TRY(pq__when(&when, x, &sel->selector.time, err));
    if (m->matrix.range_expr != NULL) {
        PL_TRY(pq__duration(&range_ms, x, m->matrix.range_expr, false, err));
    }
    PL_TRY(extended_kernel(o, n, sel, err));
    o->w.range_ms = range_ms;
    o->w.ref0_ms = pq__ref(when, s.grid, 0);
    o->w.ref_step_ms = when.fixed ? 0 : s.grid.step_ms;
    w.range_ms = range_ms;
    w.mint_ms = o->w.ref0_ms - range_ms + 1 - o->w.before_ms;
    w.maxt_ms = pq__ref(when, s.grid, s.grid.n - 1) + o->w.after_ms;
    PL_TRY(pq__select(&o->sel, x, sel, w, err));
    o->op.batch_max = PL_MAX(PL_MIN(o->op.batch_max, o->sel.list.n), (size_t)1);
    return PL_OK;
}

static pl_status range_from_subquery(struct range_op *o, const struct pq_node *m, struct scope s, struct pl_err *err)
{
    struct exec *x = o->op.x;
    struct scope inner = {.tally = pl_arena_zero_try(x->arena, sizeof(struct tally))};
    struct when when;

    PQ_TRY_ALLOC(&o->op, inner.tally);
    PL_TRY(pq__subquery_grid(&inner.grid, &o->w.range_ms, &when, x, m, s.grid, err));
    o->w.ref0_ms = pq__ref(when, s.grid, 0);
    o->w.ref_step_ms = when.fixed ? 0 : s.grid.step_ms;
    if (inner.grid.n > 0) {
        PL_TRY(pq__plan(&o->sub, x, m->subquery.expr, inner, err));
    }
    return PL_OK;
}

pl_status pq__make_range_call(struct op **out, struct exec *x, const struct pq_node *n, struct scope s,
                              struct pl_err *err)
{
    /* COMPAT: Prometheus puts what it says about a subquery at the beginning of the query */
    static const struct pq_pos no_pos = {0};
    struct range_op *o = pl_arena_zero_try(x->arena, sizeof(*o));
    const struct pq_node *first;
    size_t args = 0;

    if (o == NULL) {
        return pq__nomem_node(x, n, err);
    }
    pq__op_init(&o->op, &range_ops, x, n, s.grid);
    o->tally = s.tally;
    o->func = n->call.func->kernel;
    o->kernel = pq__window_kernel(o->func);
    o->seen.a = x->arena;
    pl_arena_init_child(&o->decoded, x->arena);
    o->buf.hist_arena = &o->decoded;
    first = pq__unparen(n->call.args[0]);
    pq__range_hist_init(&o->hist, &o->op, o->func, first->kind == PQ_SUBQUERY ? no_pos : first->pos);
    o->keeps_name = o->func == PQ_FN_LAST_OVER_TIME || o->func == PQ_FN_FIRST_OVER_TIME ||
                    o->func == PQ_FN_ABSENT_OVER_TIME; /* whose labels nobody sees */
    o->warns_counter = o->func == PQ_FN_RATE || o->func == PQ_FN_INCREASE;
    o->w = (struct windows){.steps = s.grid.n, .ts0_ms = s.grid.start_ms, .ts_step_ms = s.grid.step_ms};
    if (o->kernel == NULL) {
        return pl_fail(err, PL_INTERNAL, "function \"%s\" has no kernel", n->call.func->name);
    }
    for (uint32_t i = 0; i < n->call.arg_count; i++) {
        const struct pq_node *a = pq__unparen(n->call.args[i]);

        if (a->kind == PQ_MATRIX_SELECTOR) {
            o->pos = a->pos;
            PL_TRY(range_from_selector(o, a, n, s, err));
        } else if (a->kind == PQ_SUBQUERY) {
            o->pos = no_pos;
            PL_TRY(range_from_subquery(o, a, s, err));
        } else if (a->type == PQ_SCALAR && args < 2) {
            PL_TRY(pq__plan(&o->arg[args++], x, a, s, err));
        }
    }
    *out = &o->op;
    return PL_OK;
}
