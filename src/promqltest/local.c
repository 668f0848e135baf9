/* The engine in this process over a store in memory. */
#include "promqltest/internal.h"
#include "promqltest/mem_source.h"

#include "promql/engine.h"
#include "promql/functions.h"

enum { MARK_START_TIMES = 1 };

struct local {
    struct ptest_target base;
    struct ptest_local_options o;
    struct mem_source source;
};

const struct pq_parse_options ptest_parse_options = {
    .experimental_functions = true, .extended_selectors = true, .fill_modifiers = true};

/* ---- data ---- */

static pl_status add_series(struct local *l, const struct ptest_load *load, const struct ptest_series *from,
                            struct pl_err *err)
{
    struct mem_series *s = mem_source_series(&l->source, from->labels);

    for (size_t i = 0; i < from->n; i++) {
        const struct ptest_value *v = &from->values[i];
        int64_t t_ms = l->o.base_ms + (int64_t)i * load->step_ms;

        if (v->gap) {
            continue;
        }
        if (v->has_start) {
            *mem_series_marks(s) |= MARK_START_TIMES;
        }
        if (t_ms <= mem_series_last_ms(s)) {
            return pl_fail(err, PL_INVALID, "line %u: out of order sample: the series has one at %lld ms already",
                           from->line, (long long)(mem_series_last_ms(s) - l->o.base_ms));
        }
        if (v->h == NULL) {
            mem_series_add(&l->source, s, t_ms, v->v);
            continue;
        }
        if (hist_validate(v->h, err) != PL_OK) {
            pl_wrap(err, "line %u", from->line);
            return err != NULL ? err->status : PL_INVALID;
        }
        mem_series_add_hist(&l->source, s, t_ms, v->h);
    }
    return PL_OK;
}

static pl_status local_load(struct ptest_target *t, const struct ptest_load *load, struct pl_err *err)
{
    struct local *l = (struct local *)t;
    struct ptest_series *more;
    struct pl_arena a;
    size_t n = 0;
    pl_status st = PL_OK;

    for (size_t i = 0; i < load->n && st == PL_OK; i++) {
        st = add_series(l, load, &load->series[i], err);
    }
    if (st != PL_OK || !load->nhcb) {
        return st;
    }
    pl_arena_init(&a, 0);
    st = ptest_nhcb(&more, &n, &a, load, err);
    for (size_t i = 0; i < n && st == PL_OK; i++) {
        st = add_series(l, load, &more[i], err);
    }
    pl_arena_fini(&a);
    return st;
}

static pl_status local_clear(struct ptest_target *t, struct pl_err *err)
{
    struct local *l = (struct local *)t;

    (void)err;
    mem_source_fini(&l->source);
    mem_source_init(&l->source);
    return PL_OK;
}

/* ---- what cannot be asked ---- */

/* The marks of all series that the query's selectors match. */
static unsigned marks_of(const struct local *l, const struct pq_node *n)
{
    unsigned m = 0;

    switch (n->kind) {
    case PQ_PAREN:
        return marks_of(l, n->paren.expr);
    case PQ_STEP_INVARIANT:
        return marks_of(l, n->step_invariant.expr);
    case PQ_UNARY:
        return marks_of(l, n->unary.expr);
    case PQ_BINARY:
        return marks_of(l, n->binary.lhs) | marks_of(l, n->binary.rhs);
    case PQ_AGGREGATE:
        return marks_of(l, n->agg.expr) | (n->agg.param != NULL ? marks_of(l, n->agg.param) : 0);
    case PQ_CALL:
        for (uint32_t i = 0; i < n->call.arg_count; i++) {
            m |= marks_of(l, n->call.args[i]);
        }
        return m;
    case PQ_MATRIX_SELECTOR:
        return marks_of(l, n->matrix.selector);
    case PQ_SUBQUERY:
        return marks_of(l, n->subquery.expr);
    case PQ_SELECTOR:
        for (size_t i = 0; i < l->source.n; i++) {
            struct mem_series *s = l->source.series[i];

            if (matchers_accept(n->selector.matchers, n->selector.matcher_count, mem_series_labels(s))) {
                m |= *mem_series_marks(s);
            }
        }
        return m;
    case PQ_NUMBER:
    case PQ_STRING_LIT:
        return 0;
    }
    return 0;
}

static const char *local_cannot(struct ptest_target *t, struct pl_arena *a, const struct ptest_eval *e,
                                const struct pq_node *expr)
{
    const struct local *l = (const struct local *)t;

    (void)a;
    (void)e;
    return (marks_of(l, expr) & MARK_START_TIMES) != 0
               ? "its series have start timestamps, which the store does not keep"
               : NULL;
}

/* ---- asking ---- */

static bool copy_rows(struct ptest_answer *out, struct pl_arena *a, const struct pq_result *r)
{
    out->rows = pl_arena_new_array_try(a, struct ptest_row, r->series_count + 1);
    if (out->rows == NULL) {
        return false;
    }
    for (size_t i = 0; i < r->series_count; i++) {
        const struct pq_series *s = &r->series[i];
        struct ptest_row *row = &out->rows[i];
        size_t f = 0, h = 0;

        row->labels = s->labels;
        row->n = s->count + s->hist_count;
        row->points = pl_arena_new_array_try(a, struct ptest_point, row->n + 1);
        if (row->points == NULL) {
            return false;
        }
        for (size_t k = 0; k < row->n; k++) {
            if (h == s->hist_count || (f < s->count && s->points[f].t_ms < s->hists[h].t_ms)) {
                row->points[k] = (struct ptest_point){.t_ms = s->points[f].t_ms, .v = s->points[f].v};
                f++;
            } else {
                row->points[k] = (struct ptest_point){.t_ms = s->hists[h].t_ms, .h = s->hists[h].h};
                h++;
            }
        }
    }
    out->n = r->series_count;
    return true;
}

/* As the API renders it: detail, then the line and column of the position. */
static struct ptest_note note(struct pl_arena *a, pl_str query, pl_str text, const struct pq_note_detail *d)
{
    unsigned line = 1, column = 1;

    if (d == NULL) {
        return (struct ptest_note){text, text};
    }
    for (uint32_t i = 0; i < d->pos.start && i < query.n; i++) {
        column++;
        if (query.p[i] == '\n') {
            line++;
            column = 1;
        }
    }
    return (struct ptest_note){
        text, pl_arena_printf(a, "%.*s%.*s (%u:%u)", PL_STR_ARG(text), PL_STR_ARG(d->detail), line, column)};
}

static bool copy_notes(struct ptest_answer *out, struct pl_arena *a, pl_str query, const struct pq_notes *n)
{
    out->warnings = pl_arena_new_array_try(a, struct ptest_note, n->warning_count + 1);
    out->infos = pl_arena_new_array_try(a, struct ptest_note, n->info_count + 1);
    if (out->warnings == NULL || out->infos == NULL) {
        return false;
    }
    for (size_t i = 0; i < n->warning_count; i++) {
        out->warnings[i] = note(a, query, n->warnings[i], n->warning_details != NULL ? &n->warning_details[i] : NULL);
    }
    for (size_t i = 0; i < n->info_count; i++) {
        out->infos[i] = note(a, query, n->infos[i], n->info_details != NULL ? &n->info_details[i] : NULL);
    }
    out->warning_count = n->warning_count;
    out->info_count = n->info_count;
    return true;
}

static void move_back(struct ptest_answer *out, int64_t base_ms)
{
    for (size_t i = 0; i < out->n; i++) {
        for (size_t k = 0; k < out->rows[i].n; k++) {
            out->rows[i].points[k].t_ms -= base_ms;
        }
    }
}

static pl_status local_ask(struct ptest_target *t, struct pl_arena *a, const struct ptest_question *q,
                           struct ptest_answer *out, struct pl_err *err)
{
    struct local *l = (struct local *)t;
    struct pl_err bad = {.status = PL_OK};
    struct pq_result r = {.type = PQ_NONE};
    struct pq_query query = {.expr = q->expr,
                             .start_ms = l->o.base_ms + q->start_ms,
                             .end_ms = l->o.base_ms + q->end_ms,
                             .step_ms = q->range ? q->step_ms : 0,
                             .lookback_ms = PTEST_LOOKBACK_MS,
                             .default_step_ms = PTEST_SUBQUERY_STEP_MS,
                             .samples_max = PTEST_SAMPLES_MAX,
                             .delayed_name_removal = !l->o.immediate_names};
    struct pq_node *moved;

    *out = (struct ptest_answer){.type = PQ_NONE};
    if (l->o.base_ms != 0) {
        PL_TRY(pq_parse(&moved, a, q->text, &ptest_parse_options, err));
        ptest_shift_at(moved, l->o.base_ms);
        query.expr = moved;
    }
    if (pq_run(&r, a, &l->source.base, &query, &bad) != PL_OK) {
        out->failed = true;
        out->error = pl_arena_str(a, pl_str_c(bad.msg));
        return PL_OK;
    }
    out->type = r.type;
    out->scalar = r.scalar;
    out->string = r.string;
    if (!copy_rows(out, a, &r) || !copy_notes(out, a, q->text, &r.notes)) {
        return pl_fail(err, PL_LIMIT, "the answer is too large");
    }
    move_back(out, l->o.base_ms);
    return PL_OK;
}

static void local_destroy(struct ptest_target *t)
{
    struct local *l = (struct local *)t;

    mem_source_fini(&l->source);
    pl_free(l);
}

struct ptest_target *ptest_local_create(const struct ptest_local_options *o)
{
    static const struct ptest_target_ops ops = {
        .load = local_load, .clear = local_clear, .cannot = local_cannot, .ask = local_ask, .destroy = local_destroy};
    struct local *l = pl_new(struct local);

    l->base = (struct ptest_target){.ops = &ops, .cheap = o->cheap};
    l->o = *o;
    mem_source_init(&l->source);
    return &l->base;
}

void ptest_target_destroy(struct ptest_target *t)
{
    if (t != NULL) {
        t->ops->destroy(t);
    }
}
