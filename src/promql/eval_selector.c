#include "promql/hist_stats.h"
#include "promql/range_hist.h"

/* Instant vector selectors, and what every reader of stored series shares. */

pl_status pq__select(struct selection *out, struct exec *x, const struct pq_node *selector, struct select_window w,
                     struct pl_err *err)
{
    const struct series_select sel = {.matchers = selector->selector.matchers,
                                      .matcher_count = selector->selector.matcher_count,
                                      .mint_ms = w.mint_ms,
                                      .maxt_ms = w.maxt_ms,
                                      .series_max = x->q->series_max,
                                      .chunks_max = x->q->chunks_max,
                                      .cancel = x->q->cancel};
    pl_status st;

    *out = (struct selection){
        .mint_ms = w.mint_ms,
        .maxt_ms = w.maxt_ms,
        .only_stats = pq__only_stats(x->q->expr, selector),
        .first_ms = w.mint_ms + (w.range_ms > 0 ? w.range_ms : x->q->lookback_ms) - 1,
        .reach_ms = w.range_ms > 0 ? w.range_ms : x->q->lookback_ms - 1,
        .step_ms = selector->selector.anchored || selector->selector.smoothed ? 0 : w.step_ms,
    };
    st = x->source->ops->select(x->source, x->arena, &sel, &out->list, err);
    if (st != PL_OK) {
        if (st == PL_CANCELED) {
            return pl_fail(err, PL_CANCELED, "query was canceled in expression evaluation");
        }
        if (st != PL_LIMIT && st != PL_TIMEOUT) {
            pl_wrap(err, "expanding series");
        }
        return st;
    }
    pq__explain_selected(x, &out->list);
    x->stats.series_fetched += out->list.n;
    for (size_t i = 0; i < out->list.n; i++) {
        const struct series_view *s = &out->list.v[i];

        for (size_t l = 0; l < s->labels.n && !x->typed; l++) {
            x->typed = pq__label_is_reserved(s->labels.v[l].name) && !pl_str_eq(s->labels.v[l].name, LABEL_METRIC_NAME);
        }
        x->stats.chunks_fetched += s->chunk_count;
        for (uint32_t c = 0; c < s->chunk_count; c++) {
            x->stats.bytes_fetched += s->chunks[c].size;
        }
    }
    return PL_OK;
}

static pl_status decode(struct exec *x, const struct pq_node *n, const struct selection *sel, size_t i,
                        struct samples *buf, size_t *cap, struct pl_err *err)
{
    pl_status st = series_decode(&sel->list.v[i], sel->mint_ms, sel->maxt_ms, x->arena, buf, cap, err);

    if (st == PL_LIMIT || (st == PL_OK && sel->only_stats && !pq__strip_buckets(buf, sel))) {
        return pq__nomem_node(x, n, err);
    }
    if (st != PL_OK) {
        pl_wrap(err, "expanding series");
    }
    return st;
}

pl_status pq__decode_live(struct exec *x, const struct pq_node *n, const struct selection *sel, size_t i,
                          struct samples *buf, size_t *cap, struct pl_err *err)
{
    size_t to = 0;

    PL_TRY(decode(x, n, sel, i, buf, cap, err));
    while (to < buf->n && (!pl_is_stale(buf->v[to]) || (buf->h != NULL && buf->h[to] != NULL))) {
        to++;
    }
    for (size_t j = to; j < buf->n; j++) {
        bool is_hist = buf->h != NULL && buf->h[j] != NULL;

        if (is_hist || !pl_is_stale(buf->v[j])) {
            if (buf->h != NULL) {
                buf->h[to] = buf->h[j];
            }
            buf->t[to] = buf->t[j];
            buf->v[to++] = buf->v[j];
        }
    }
    buf->n = to;
    return PL_OK;
}

struct selector_op {
    struct op op;
    struct tally *tally;
    struct selection sel;
    struct when when;
    bool timestamps; /* timestamp(selector): the samples' own times are the values */
    bool info;       /* the same for info(): histograms are an error */
    bool smoothed;
    size_t at;
    struct samples buf;
    size_t cap;
};

/* The newest sample of each step within the lookback. A stale marker becomes an absent step by itself: they are one
 * value. */
static size_t instant_fill(double *restrict out, const struct selector_op *o)
{
    const int64_t *restrict t = o->buf.t;
    const double *restrict v = o->buf.v;
    struct grid g = o->op.grid;
    int64_t lookback = o->op.x->q->lookback_ms, ref = pq__ref(o->when, g, 0), step = o->when.fixed ? 0 : g.step_ms;
    size_t at = 0, count = 0;

    for (size_t i = 0; i < g.n; i++) {
        while (at < o->buf.n && t[at] <= ref) {
            at++;
        }
        out[i] = at > 0 && (t[at - 1] > ref - lookback || t[at - 1] == ref) ? v[at - 1] : pq_absent();
        count += !pq_is_absent(out[i]);
        if (o->timestamps && !pq_is_absent(out[i])) {
            out[i] = (double)t[at - 1] / 1000;
        }
        ref += step;
    }
    return count;
}

static pl_status fail_info_hist(struct labels ls, struct pl_err *err)
{
    struct pl_buf text;
    pl_status st;

    pl_buf_init(&text, 0);
    labels_text(&text, ls);
    st = pl_fail(err, PL_EXEC, "this should be an info metric, with float samples: %.*s", (int)text.n, text.p);
    pl_buf_fini(&text);
    return st;
}

/* The histograms among the samples that instant_fill chose. */
static pl_status instant_fill_hists(struct column *c, struct selector_op *o, size_t *count, struct pl_err *err)
{
    const int64_t *t = o->buf.t;
    struct grid g = o->op.grid;
    int64_t lookback = o->op.x->q->lookback_ms;
    size_t at = 0;

    c->h = pq__hist_column(&o->op);
    PQ_TRY_ALLOC(&o->op, c->h);
    for (size_t i = 0; i < g.n; i++) {
        int64_t ref = pq__ref(o->when, g, i);

        while (at < o->buf.n && t[at] <= ref) {
            at++;
        }
        if (at == 0 || o->buf.h[at - 1] == NULL || (t[at - 1] <= ref - lookback && t[at - 1] != ref)) {
            continue;
        }
        if (o->info) {
            return fail_info_hist(c->labels, err);
        }
        ++*count;
        if (o->timestamps) {
            c->v[i] = (double)t[at - 1] / 1000;
        } else {
            c->h[i] = o->buf.h[at - 1];
        }
    }
    return PL_OK;
}

/* smoothed: the value at the step itself, on the line between its neighbours within the lookback on either side. */
static double smoothed_value(const struct samples *s, size_t at, int64_t ref, bool before, bool after)
{
    const int64_t *t = s->t;
    const double *v = s->v;

    if (after && t[at] == ref) {
        return v[at];
    }
    if (before && after) {
        return v[at - 1] + (v[at] - v[at - 1]) * (double)(ref - t[at - 1]) / (double)(t[at] - t[at - 1]);
    }
    return before ? v[at - 1] : pq_absent();
}

static size_t smoothed_fill(double *restrict out, const struct selector_op *o)
{
    const int64_t *t = o->buf.t;
    struct grid g = o->op.grid;
    int64_t lookback = o->op.x->q->lookback_ms;
    size_t at = 0, count = 0; /* t[at] is the first sample at or after the step */

    for (size_t i = 0; i < g.n; i++) {
        int64_t ref = pq__ref(o->when, g, i);

        while (at < o->buf.n && t[at] < ref) {
            at++;
        }
        out[i] = smoothed_value(&o->buf, at, ref, at > 0 && t[at - 1] > ref - lookback,
                                at < o->buf.n && t[at] <= ref + lookback);
        count += !pq_is_absent(out[i]);
    }
    return count;
}

/* The same between histograms; those of a counter that was reset in between rise from zero. */
static pl_status smoothed_hist(const struct hist **out, struct selector_op *o, size_t at, int64_t ref, bool before,
                               bool after, unsigned *met, struct pl_err *err)
{
    const struct samples *s = &o->buf;
    struct pl_arena *a = pq__hists(&o->op);
    const struct hist *l = before ? s->h[at - 1] : NULL, *r = after ? s->h[at] : NULL;
    struct hist *carried;
    bool reset = false;

    *out = NULL;
    if (after && s->t[at] == ref) {
        *out = r;
    } else if (before && after) {
        if (hist_is_custom(l) != hist_is_custom(r)) {
            *met |= 1u << RANGE_NOTE_SCHEMAS;
            return PL_OK;
        }
        if ((l->hint != HIST_HINT_GAUGE || r->hint != HIST_HINT_GAUGE) && hist_detect_reset(&reset, a, r, l) != 0) {
            return pq__nomem(&o->op, err);
        }
        return pq__hist_between(out, &o->op, a, (struct hist_point){s->t[at - 1], l}, (struct hist_point){s->t[at], r},
                                ref, reset, met, err);
    } else if (before) {
        carried = hist_copy(a, l);
        PQ_TRY_ALLOC(&o->op, carried);
        carried->hint = HIST_HINT_UNKNOWN;
        *out = carried;
    }
    return PL_OK;
}

/* smoothed over a series with histograms: no value where both kinds lie within the lookback. */
static pl_status smoothed_fill_hists(struct column *c, struct selector_op *o, size_t *count, struct pl_err *err)
{
    const struct samples *s = &o->buf;
    struct grid g = o->op.grid;
    int64_t lookback = o->op.x->q->lookback_ms;
    size_t at = 0, lo = 0, hi = 0, kinds[2] = {0}; /* floats and histograms from lo to hi - 1, the lookback */
    unsigned met = 0;

    *count = 0;
    c->h = pq__hist_column(&o->op);
    PQ_TRY_ALLOC(&o->op, c->h);
    for (size_t i = 0; i < g.n; i++) {
        int64_t ref = pq__ref(o->when, g, i);

        for (; hi < s->n && s->t[hi] <= ref + lookback; hi++) {
            kinds[s->h[hi] != NULL]++;
        }
        for (; lo < hi && s->t[lo] <= ref - lookback; lo++) {
            kinds[s->h[lo] != NULL]--;
        }
        while (at < s->n && s->t[at] < ref) {
            at++;
        }
        c->v[i] = pq_absent();
        if (kinds[0] > 0 && kinds[1] > 0) {
            met |= 1u << RANGE_NOTE_MIXED;
        } else if (kinds[1] > 0) {
            PL_TRY(smoothed_hist(&c->h[i], o, at, ref, at > lo, at < hi, &met, err));
        } else {
            c->v[i] = smoothed_value(s, at, ref, at > lo, at < hi);
        }
        *count += pq_has(c, i);
    }
    pq__range_notes(o->op.x, met, o->op.node->pos, labels_get(c->labels, LABEL_METRIC_NAME));
    return PL_OK;
}

static void tally_present(struct tally *tally, const struct column *c, size_t n, uint64_t cost)
{
    tally->total += cost;
    if (tally->per_step != NULL) {
        for (size_t i = 0; i < n; i++) {
            tally->per_step[i] += pq_has_hist(c, i) ? hist_sample_cost(c->h[i]) : !pq_is_absent(c->v[i]);
        }
    }
}

static pl_status selector_next(struct op *op, struct batch *out, struct pl_err *err)
{
    struct selector_op *o = (struct selector_op *)op;
    size_t max = op->batch_max, points = 0;

    PL_TRY(pq__cols_begin(op, err));
    out->col = op->cols;
    o->buf.hist_arena = pq__hists(op);
    for (; out->n < max && o->at < o->sel.list.n && !pq__hists_full(op); o->at++) {
        struct column c = {.labels = o->sel.list.v[o->at].labels};
        size_t count;
        uint64_t cost;

        if (o->smoothed) {
            PL_TRY(pq__decode_live(op->x, op->node, &o->sel, o->at, &o->buf, &o->cap, err));
        } else {
            PL_TRY(decode(op->x, op->node, &o->sel, o->at, &o->buf, &o->cap, err));
        }
        if (o->buf.n == 0) {
            continue;
        }
        c.v = pq__col_take(op);
        PQ_TRY_ALLOC(op, c.v);
        count = o->smoothed ? smoothed_fill(c.v, o) : instant_fill(c.v, o);
        if (PL_UNLIKELY(o->buf.h != NULL)) {
            PL_TRY(o->smoothed ? smoothed_fill_hists(&c, o, &count, err) : instant_fill_hists(&c, o, &count, err));
        }
        if (count == 0) {
            pq__col_untake(op);
            continue;
        }
        cost = c.h != NULL ? pq__col_cost(&c, op->grid.n) : count;
        points += cost;
        if (!o->smoothed) { /* COMPAT: Prometheus does not count those */
            tally_present(o->tally, &c, op->grid.n, cost);
        }
        out->col[out->n++] = c;
    }
    return pq__count_samples(op->x, points, err);
}

static const struct op_ops selector_ops = {"selector", selector_next};

pl_status pq__make_selector(struct op **out, struct exec *x, const struct pq_node *n, enum selector_values values,
                            struct scope s, struct pl_err *err)
{
    struct selector_op *o = pl_arena_zero_try(x->arena, sizeof(*o));
    struct select_window w = {.step_ms = s.grid.step_ms};

    if (o == NULL) {
        return pq__nomem_node(x, n, err);
    }
    pq__op_init(&o->op, &selector_ops, x, n, s.grid);
    PL_TRY(pq__when(&o->when, x, &n->selector.time, err));
    o->tally = s.tally;
    o->timestamps = values != SELECT_SAMPLES;
    o->info = values == SELECT_INFO_TIMES;
    o->smoothed = n->selector.smoothed && !o->timestamps;
    w.mint_ms = pq__ref(o->when, s.grid, 0) - (x->q->lookback_ms - 1);
    w.maxt_ms = pq__ref(o->when, s.grid, s.grid.n - 1) + (o->smoothed ? x->q->lookback_ms : 0);
    PL_TRY(pq__select(&o->sel, x, n, w, err));
    o->op.batch_max = PL_MAX(PL_MIN(o->op.batch_max, o->sel.list.n), (size_t)1);
    *out = &o->op;
    return PL_OK;
}

void pq__selector_forget_offset(struct op *op)
{
    struct selector_op *o = (struct selector_op *)op;

    PL_ASSERT(op->ops == &selector_ops);
    if (o->when.fixed) {
        o->when.offset_ms = 0;
    }
}
