#include "promql/range_hist.h"

#include "promql/functions_def.h"
#include "promql/hist_fold.h"
#include "promql/kernels_rate.h"

enum { CHECK_EVERY = 256 }; /* histograms looked at between two looks at the deadline */

void pq__range_hist_init(struct range_hist *r, struct op *op, int func, struct pq_pos pos)
{
    *r = (struct range_hist){.op = op, .func = func, .pos = pos};
    pl_arena_init_child(&r->scratch, op->x->arena);
}

/* ---- annotations ---- */

void pq__range_notes(struct exec *x, unsigned met, struct pq_pos pos, pl_str name)
{
    static const struct {
        const char *text;
        bool is_info, named;
    } notes[] = {
        [RANGE_NOTE_MIXED] = {"encountered a mix of histograms and floats for metric name ", false, true},
        [RANGE_NOTE_IGNORED] = {"ignored histograms in a range containing both floats and histograms for metric name ",
                                true, true},
        [RANGE_NOTE_NOT_COUNTER] = {"this native histogram metric is not a counter: ", false, true},
        [RANGE_NOTE_NOT_GAUGE] = {"this native histogram metric is not a gauge: ", false, true},
        [RANGE_NOTE_SCHEMAS] = {"vector contains a mix of histograms with exponential and custom buckets schemas for "
                                "metric name ",
                                false, true},
        [RANGE_NOTE_RECONCILED_ADD] = {"mismatched custom buckets were reconciled during addition", true, false},
        [RANGE_NOTE_RECONCILED_SUB] = {"mismatched custom buckets were reconciled during subtraction", true, false},
    };

    PL_STATIC_ASSERT(PL_ARRAY_LEN(notes) == RANGE_NOTE_COUNT, "a text for every note");
    for (unsigned i = 0; i < RANGE_NOTE_COUNT; i++) {
        if ((met & 1u << i) == 0) {
            continue;
        }
        if (notes[i].named) {
            pq__note_named(x, notes[i].is_info, pos, notes[i].text, name);
        } else {
            pq__note(x, notes[i].is_info, pos, "%s", notes[i].text);
        }
    }
}

/* ---- one series ---- */

static pl_status series_room(struct range_hist *r, size_t n, struct pl_err *err)
{
    struct pl_arena *a = r->op->x->arena;
    size_t steps = r->op->grid.n, cap = PL_MAX(n, 2 * r->cap);

    if (r->lo == NULL) {
        r->lo = pl_arena_new_array_try(a, uint32_t, steps);
        PQ_TRY_ALLOC(r->op, r->lo);
        r->hi = pl_arena_new_array_try(a, uint32_t, steps);
        PQ_TRY_ALLOC(r->op, r->hi);
    }
    if (n <= r->cap) {
        return PL_OK;
    }
    r->ft = pl_arena_new_array_try(a, int64_t, cap);
    r->fv = pl_arena_new_array_try(a, double, cap);
    r->own_t = pl_arena_new_array_try(a, int64_t, cap);
    r->h = pl_arena_new_array_try(a, const struct hist *, cap);
    r->cost = pl_arena_new_array_try(a, uint64_t, cap + 1);
    r->reset = pl_arena_new_array_try(a, bool, cap);
    if (r->ft == NULL || r->fv == NULL || r->own_t == NULL || r->h == NULL || r->cost == NULL || r->reset == NULL) {
        return pq__nomem(r->op, err);
    }
    r->cap = cap;
    return PL_OK;
}

static bool asks_for_resets(int func)
{
    return func == PQ_FN_RATE || func == PQ_FN_INCREASE || func == PQ_FN_IRATE || func == PQ_FN_RESETS;
}

/* A pair of neighbours is in many windows: it is compared once. */
static pl_status find_resets(struct range_hist *r, struct pl_err *err)
{
    for (size_t i = 1; i < r->n; i++) {
        if (i % CHECK_EVERY == 0) {
            PL_TRY(pq__check(r->op->x, err));
        }
        if (hist_detect_reset(&r->reset[i], &r->scratch, r->h[i], r->h[i - 1]) != 0) {
            return pq__nomem(r->op, err);
        }
        pl_arena_reset(&r->scratch);
    }
    return PL_OK;
}

pl_status pq__range_hist_begin(struct range_hist *r, const struct samples *from, struct windows *w, pl_str name,
                               struct pl_err *err)
{
    struct windows own = *w;
    size_t floats = 0;

    PL_TRY(series_room(r, from->n, err));
    r->n = 0;
    r->noted = 0;
    r->name = name;
    r->cost[0] = 0;
    for (size_t i = 0; i < from->n; i++) {
        if (from->h[i] == NULL) {
            r->ft[floats] = from->t[i];
            r->fv[floats++] = from->v[i];
            continue;
        }
        r->own_t[r->n] = from->t[i];
        r->h[r->n] = from->h[i];
        r->cost[r->n + 1] = r->cost[r->n] + hist_sample_cost(from->h[i]);
        r->n++;
    }
    r->t = r->own_t;
    own.t = r->t;
    own.n = r->n;
    pq__windows_fill(r->lo, r->hi, &own);
    w->t = r->ft;
    w->v = r->fv;
    w->n = floats;
    return asks_for_resets(r->func) ? find_resets(r, err) : PL_OK;
}

/* ---- one window ---- */

static pl_status fold(struct range_hist *r, struct range_window *w, bool mean, struct pl_err *err)
{
    struct hist_fold f;

    PL_TRY(pq__hist_fold_begin(&f, r->op, &r->scratch, r->h[w->lo], mean, err));
    for (size_t i = w->lo + 1; i < w->hi; i++) {
        if ((i - w->lo) % CHECK_EVERY == 0) {
            PL_TRY(pq__check(r->op->x, err));
        }
        PL_TRY(pq__hist_fold_add(&f, r->op, r->h[i], (double)(i - w->lo + 1), err));
        if (f.incompatible) {
            pq__range_meet(w, RANGE_NOTE_SCHEMAS);
            return PL_OK;
        }
    }
    pq__hist_fold_notes(&f, r->op->x, r->pos);
    return pq__hist_fold_value(&w->out, &f, r->op, err);
}

/* Where changes and resets begin: anchored ranges from the newest sample at or before the range, whichever kind it is.
 * False: no sample lies behind the range's start. */
static bool count_begin(const struct range_hist *r, const struct windows *f, struct range_window *w)
{
    size_t fi, hi;

    if (!r->anchored) {
        return true;
    }
    fi = w->flo + pq__first_after(f->t + w->flo, w->fhi - w->flo, w->from_ms);
    hi = w->lo + pq__first_after(r->t + w->lo, w->hi - w->lo, w->from_ms);
    if (fi == w->fhi && hi == w->hi) {
        return false;
    }
    if (fi > w->flo && (hi == w->lo || f->t[fi - 1] >= r->t[hi - 1])) {
        fi--;
    } else if (hi > w->lo) {
        hi--;
    }
    w->flo = fi;
    w->lo = hi;
    return true;
}

/* changes and resets over both kinds, in order of time; from one kind to the other always counts. */
static double count_steps(const struct range_hist *r, const struct windows *f, const struct range_window *w)
{
    enum { NOTHING, FLOAT, HIST } before = NOTHING;
    bool resets = r->func == PQ_FN_RESETS;
    size_t count = 0, i = w->flo, k = w->lo;

    while (i < w->fhi || k < w->hi) {
        if (k == w->hi || (i < w->fhi && f->t[i] < r->t[k])) {
            if (before == FLOAT) {
                double a = f->v[i - 1], b = f->v[i];

                count += resets ? b < a : b != a && !(isnan(a) && isnan(b));
            }
            count += before == HIST;
            before = FLOAT;
            i++;
        } else {
            if (before == HIST) {
                count += resets ? r->reset[k] : !hist_equal(r->h[k], r->h[k - 1]);
            }
            count += before == FLOAT;
            before = HIST;
            k++;
        }
    }
    return (double)count;
}

/* The last two samples of the window decide: of one kind, or there is no result. */
static pl_status instant(struct range_hist *r, const struct windows *f, struct range_window *w, double *v,
                         struct pl_err *err)
{
    size_t floats = w->fhi - w->flo, hists = w->hi - w->lo;

    if (floats + hists < 2) {
        return PL_OK;
    }
    if (floats >= 2 && f->t[w->fhi - 2] > r->t[w->hi - 1]) {
        return PL_OK; /* the kernel's result stands */
    }
    *v = pq_absent();
    if (hists >= 2 && (floats == 0 || r->t[w->hi - 2] > f->t[w->fhi - 1])) {
        return pq__range_hist_instant(r, w, w->hi - 2, err);
    }
    pq__range_meet(w, RANGE_NOTE_MIXED);
    return PL_OK;
}

static double seconds(int64_t t_ms)
{
    return (double)t_ms / 1000;
}

/* The first or the last of the two kinds. */
static void edge(const struct range_hist *r, const struct windows *f, struct range_window *w, double *v)
{
    bool first = r->func == PQ_FN_FIRST_OVER_TIME || r->func == PQ_FN_TS_OF_FIRST_OVER_TIME;
    bool time = r->func == PQ_FN_TS_OF_FIRST_OVER_TIME || r->func == PQ_FN_TS_OF_LAST_OVER_TIME;
    size_t at = first ? w->lo : w->hi - 1, fat = first ? w->flo : w->fhi - 1;

    if (w->fhi > w->flo && (first ? f->t[fat] < r->t[at] : f->t[fat] > r->t[at])) {
        return;
    }
    if (time) {
        *v = seconds(first ? r->t[at] : PL_MAX(r->t[at], INT64_C(0)));
        return;
    }
    *v = pq_absent();
    w->out = r->h[at];
}

/* A window with at least one histogram. *v is what the kernel made of its floats. */
static pl_status window(struct range_hist *r, const struct windows *f, struct range_window *w, double *v,
                        struct pl_err *err)
{
    size_t floats = w->fhi - w->flo, hists = w->hi - w->lo;

    switch (r->func) {
    case PQ_FN_COUNT_OVER_TIME:
        *v = (double)(floats + hists);
        return PL_OK;
    case PQ_FN_PRESENT_OVER_TIME:
    case PQ_FN_ABSENT_OVER_TIME:
        *v = 1;
        return PL_OK;
    case PQ_FN_FIRST_OVER_TIME:
    case PQ_FN_LAST_OVER_TIME:
    case PQ_FN_TS_OF_FIRST_OVER_TIME:
    case PQ_FN_TS_OF_LAST_OVER_TIME:
        edge(r, f, w, v);
        return PL_OK;
    case PQ_FN_CHANGES:
    case PQ_FN_RESETS:
        *v = count_begin(r, f, w) ? count_steps(r, f, w) : pq_absent();
        return PL_OK;
    case PQ_FN_IRATE:
    case PQ_FN_IDELTA:
        return instant(r, f, w, v, err);
    case PQ_FN_RATE:
    case PQ_FN_INCREASE:
    case PQ_FN_DELTA:
    case PQ_FN_SUM_OVER_TIME:
    case PQ_FN_AVG_OVER_TIME:
        break;
    default: /* functions of floats */
        if (floats > 0) {
            pq__range_meet(w, RANGE_NOTE_IGNORED);
        }
        return PL_OK;
    }
    *v = pq_absent();
    if (floats > 0) {
        pq__range_meet(w, RANGE_NOTE_MIXED);
        return PL_OK;
    }
    if (r->func == PQ_FN_SUM_OVER_TIME || r->func == PQ_FN_AVG_OVER_TIME) {
        return fold(r, w, r->func == PQ_FN_AVG_OVER_TIME, err);
    }
    return r->anchored || r->smoothed ? pq__range_hist_extended(r, w, err) : pq__range_hist_rate(r, w, err);
}

static pl_status put(struct range_hist *r, struct column *c, size_t i, const struct hist *h, struct pl_err *err)
{
    if (c->h == NULL) {
        c->h = pq__hist_column(r->op);
        PQ_TRY_ALLOC(r->op, c->h);
    }
    c->h[i] = hist_copy(pq__hists(r->op), h);
    PQ_TRY_ALLOC(r->op, c->h[i]);
    return PL_OK;
}

pl_status pq__range_hist_finish(struct range_hist *r, const struct windows *w, struct column *c, struct pl_err *err)
{
    size_t work = 0;

    r->f = *w;
    for (size_t i = 0; i < w->steps; i++) {
        int64_t ref = w->ref0_ms + (int64_t)i * w->ref_step_ms;
        struct range_window win = {.flo = w->lo[i],
                                   .fhi = w->hi[i],
                                   .lo = r->lo[i],
                                   .hi = r->hi[i],
                                   .from_ms = ref - w->range_ms,
                                   .to_ms = ref};

        if (win.hi == win.lo) {
            continue;
        }
        work += win.hi - win.lo;
        if (work >= CHECK_EVERY) {
            work = 0;
            PL_TRY(pq__check(r->op->x, err));
        }
        PL_TRY(window(r, w, &win, &c->v[i], err));
        if ((win.met & ~r->noted) != 0) {
            pq__range_notes(r->op->x, win.met & ~r->noted, r->pos, r->name);
            r->noted |= win.met;
        }
        if (win.out != NULL) {
            PL_TRY(put(r, c, i, win.out, err));
        }
        pl_arena_reset(&r->scratch);
    }
    return PL_OK;
}
