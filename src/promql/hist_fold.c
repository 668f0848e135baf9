#include "promql/hist_fold.h"

#include <math.h>

static void hint_seen(struct hist_fold *f, const struct hist *h)
{
    f->reset_seen = f->reset_seen || h->hint == HIST_HINT_RESET;
    f->not_reset_seen = f->not_reset_seen || h->hint == HIST_HINT_NOT_RESET;
}

pl_status pq__hist_fold_begin(struct hist_fold *f, const struct op *op, struct pl_arena *a, const struct hist *first,
                              bool mean, struct pl_err *err)
{
    *f = (struct hist_fold){.count = 1, .mean = mean};
    hint_seen(f, first);
    return hist_sum_init(&f->sum, a, first) ? PL_OK : pq__nomem(op, err);
}

static bool side_is_small(struct hist_side s)
{
    bool small = true;

    for (uint32_t i = 0; i < s.len; i++) {
        small = small && fabs(s.n[i]) < 1e300;
    }
    return small;
}

/* No sum of two such histograms can overflow. */
static bool is_small(const struct hist *h)
{
    return fabs(h->count) < 1e300 && fabs(h->sum) < 1e300 && fabs(h->zero_count) < 1e300 && side_is_small(h->pos) &&
           side_is_small(h->neg);
}

static pl_status met(struct hist_fold *f, const struct op *op, unsigned what, struct pl_err *err)
{
    if ((what & HIST_NO_MEMORY) != 0) {
        return pq__nomem(op, err);
    }
    f->incompatible = f->incompatible || (what & HIST_INCOMPATIBLE) != 0;
    f->reconciled = f->reconciled || (what & HIST_RECONCILED) != 0;
    return PL_OK;
}

/* Adds to the sum unless it would overflow: then the sum stays as it was, and *overflow is true. */
static pl_status sum_add(struct hist_fold *f, const struct op *op, const struct hist *h, bool *overflow,
                         struct pl_err *err)
{
    struct hist_sum tried = {.a = f->sum.a};

    *overflow = false;
    if (!f->mean || (is_small(&f->sum.h) && is_small(h))) {
        return met(f, op, hist_sum_add(&f->sum, h), err);
    }
    if (!hist_sum_copy(&tried, &f->sum)) {
        return pq__nomem(op, err);
    }
    PL_TRY(met(f, op, hist_sum_add(&tried, h), err));
    *overflow = hist_overflows(&tried.h);
    if (!*overflow && !f->incompatible) {
        f->sum = tried;
    }
    return PL_OK;
}

pl_status pq__hist_fold_add(struct hist_fold *f, const struct op *op, const struct hist *h, double count,
                            struct pl_err *err)
{
    const struct hist *share;
    bool overflow = false;

    hint_seen(f, h);
    f->count = count;
    if (!f->running) {
        PL_TRY(sum_add(f, op, h, &overflow, err));
        if (!overflow || f->incompatible) {
            return PL_OK;
        }
        f->running = true;
        hist_sum_div(&f->sum, count - 1);
    }
    hist_sum_mul(&f->sum, (count - 1) / count);
    share = hist_div(f->sum.a, h, count);
    PQ_TRY_ALLOC(op, share);
    return met(f, op, hist_sum_add(&f->sum, share), err);
}

pl_status pq__hist_fold_value(const struct hist **out, struct hist_fold *f, const struct op *op, struct pl_err *err)
{
    if (f->mean && !f->running) {
        hist_sum_div(&f->sum, f->count);
    }
    *out = hist_sum_value(&f->sum);
    PQ_TRY_ALLOC(op, *out);
    return PL_OK;
}

void pq__hist_fold_notes(const struct hist_fold *f, struct exec *x, struct pq_pos pos)
{
    if (f->reset_seen && f->not_reset_seen) {
        pq__note(x, false, pos, "conflicting counter resets during histogram aggregation");
    }
    if (f->reconciled) {
        pq__note(x, true, pos, "mismatched custom buckets were reconciled during aggregation");
    }
}
