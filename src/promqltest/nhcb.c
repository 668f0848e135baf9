/* Classic histograms to native ones with custom buckets (Prometheus util/convertnhcb): X_bucket, X_count and X_sum of
 * one label set become X, at each time that any of them has a value. */
#include "promqltest/internal.h"

#include "codec/float_text.h"

#include <math.h>
#include <stdlib.h>

enum kind { BUCKET, COUNT, SUM, OTHER };

struct member {
    const struct ptest_series *series;
    enum kind kind;
    double le;
};

struct group {
    struct labels labels;
    struct member *members;
    size_t n, cap;
    size_t times; /* of the longest member */
};

struct groups {
    struct pl_arena *a;
    struct group *v;
    size_t n, cap;
};

static pl_status no_memory(struct pl_err *err)
{
    return pl_fail(err, PL_LIMIT, "the file is too large");
}

static enum kind kind_of(pl_str name, pl_str *base)
{
    static const struct {
        pl_str suffix;
        enum kind kind;
    } suffixes[] = {{PL_STR_INIT("_bucket"), BUCKET}, {PL_STR_INIT("_sum"), SUM}, {PL_STR_INIT("_count"), COUNT}};

    for (size_t i = 0; i < PL_ARRAY_LEN(suffixes); i++) {
        if (pl_str_ends(name, suffixes[i].suffix)) {
            *base = pl_str_sub(name, 0, name.n - suffixes[i].suffix.n);
            return suffixes[i].kind;
        }
    }
    return OTHER;
}

/* The labels without le, under the histogram's own name. */
static bool base_labels(struct labels *out, struct pl_arena *a, struct labels ls, pl_str name)
{
    struct label *l = pl_arena_new_array_try(a, struct label, ls.n);
    size_t n = 0;

    if (l == NULL) {
        return false;
    }
    for (size_t i = 0; i < ls.n; i++) {
        if (!pl_str_eq(ls.v[i].name, PL_STR("le"))) {
            l[n] = ls.v[i];
            if (pl_str_eq(l[n].name, LABEL_METRIC_NAME)) {
                l[n].value = name;
            }
            n++;
        }
    }
    *out = (struct labels){l, n};
    return true;
}

static pl_status collect(struct groups *g, const struct ptest_series *s, struct pl_err *err)
{
    struct member m = {.series = s};
    struct labels base;
    struct group *to;
    pl_str name;
    size_t k = 0;

    m.kind = kind_of(labels_get(s->labels, LABEL_METRIC_NAME), &name);
    if (m.kind == OTHER ||
        (m.kind == BUCKET && (!float_parse(labels_get(s->labels, PL_STR("le")), &m.le) || isnan(m.le)))) {
        return PL_OK;
    }
    if (!base_labels(&base, g->a, s->labels, name)) {
        return no_memory(err);
    }
    while (k < g->n && !labels_eq(g->v[k].labels, base)) {
        k++;
    }
    if (k == g->n) {
        if (!ptest__grow(g->a, g->v, g->cap, g->n)) {
            return no_memory(err);
        }
        g->v[g->n++] = (struct group){.labels = base};
    }
    to = &g->v[k];
    if (!ptest__grow(g->a, to->members, to->cap, to->n)) {
        return no_memory(err);
    }
    to->members[to->n++] = m;
    to->times = PL_MAX(to->times, s->n);
    return PL_OK;
}

static int member_cmp(const void *x, const void *y)
{
    const struct member *a = x, *b = y;

    if (a->kind != b->kind) {
        return a->kind < b->kind ? -1 : 1;
    }
    return (a->le > b->le) - (a->le < b->le);
}

/* What the members say at one time. */
struct moment {
    double *le, *cumulative;
    uint32_t n;
    double count, sum;
    bool any, has_count;
};

static pl_status gather(struct moment *m, const struct group *g, size_t i, struct pl_err *err)
{
    m->n = 0;
    m->count = m->sum = 0;
    m->any = m->has_count = false;
    for (size_t k = 0; k < g->n; k++) {
        const struct member *x = &g->members[k];
        const struct ptest_value *v = i < x->series->n ? &x->series->values[i] : NULL;

        if (v == NULL || v->gap || v->h != NULL) {
            continue;
        }
        m->any = true;
        if (x->kind == SUM) {
            m->sum = v->v;
            continue;
        }
        if (v->v < 0) {
            return pl_fail(err, PL_INVALID, "%s must be non-negative", x->kind == COUNT ? "count" : "bucket count");
        }
        if (x->kind == COUNT) {
            m->count = v->v;
            m->has_count = true;
        } else if (m->n == 0 || m->le[m->n - 1] < x->le) { /* of two series with one bound the first counts */
            if (m->n > 0 && v->v < m->cumulative[m->n - 1]) {
                return pl_fail(err, PL_INVALID, "count is not cumulative: %g < %g", v->v, m->cumulative[m->n - 1]);
            }
            m->le[m->n] = x->le;
            m->cumulative[m->n++] = v->v;
        }
    }
    return PL_OK;
}

/* m has room for one bucket more. */
static pl_status convert(const struct hist **out, struct pl_arena *a, struct moment *m, struct pl_err *err)
{
    struct hist h = {.schema = HIST_SCHEMA_CUSTOM, .sum = m->sum};
    double *n, *bounds;
    int32_t *at;

    h.count = m->has_count || m->n == 0 ? m->count : m->cumulative[m->n - 1];
    if (m->n == 0 || m->le[m->n - 1] != HUGE_VAL) {
        m->le[m->n] = HUGE_VAL;
        m->cumulative[m->n++] = h.count;
    }
    if (h.count != m->cumulative[m->n - 1]) {
        return pl_fail(err, PL_INVALID, "count mismatch: count=%g != le=+Inf count=%g", h.count,
                       m->cumulative[m->n - 1]);
    }
    n = pl_arena_new_array_try(a, double, m->n);
    bounds = pl_arena_new_array_try(a, double, m->n);
    at = pl_arena_new_array_try(a, int32_t, m->n);
    if (n == NULL || bounds == NULL || at == NULL) {
        return no_memory(err);
    }
    for (uint32_t i = 0; i < m->n; i++) {
        n[i] = m->cumulative[i] - (i > 0 ? m->cumulative[i - 1] : 0);
        bounds[i] = m->le[i];
        at[i] = (int32_t)i;
    }
    h.pos = (struct hist_side){at, n, m->n};
    h.bounds = bounds;
    h.bound_count = m->n - 1; /* the last one is +Inf */
    *out = hist_compact(a, &h);
    return *out != NULL ? PL_OK : no_memory(err);
}

static pl_status convert_group(struct ptest_series *out, struct pl_arena *a, struct group *g, struct pl_err *err)
{
    struct moment m;

    *out = (struct ptest_series){.labels = g->labels, .n = g->times, .line = g->members[0].series->line};
    out->values = pl_arena_new_array_try(a, struct ptest_value, g->times + 1);
    m.le = pl_arena_new_array_try(a, double, g->n + 1);
    m.cumulative = pl_arena_new_array_try(a, double, g->n + 1);
    if (out->values == NULL || m.le == NULL || m.cumulative == NULL) {
        return no_memory(err);
    }
    qsort(g->members, g->n, sizeof(*g->members), member_cmp);
    for (size_t i = 0; i < g->times; i++) {
        PL_TRY(gather(&m, g, i, err));
        out->values[i].gap = !m.any;
        if (m.any) {
            PL_TRY(convert(&out->values[i].h, a, &m, err));
        }
    }
    return PL_OK;
}

pl_status ptest_nhcb(struct ptest_series **out, size_t *n, struct pl_arena *a, const struct ptest_load *load,
                     struct pl_err *err)
{
    struct groups g = {.a = a};

    for (size_t i = 0; i < load->n; i++) {
        PL_TRY(collect(&g, &load->series[i], err));
    }
    *out = pl_arena_new_array_try(a, struct ptest_series, g.n + 1);
    if (*out == NULL) {
        return no_memory(err);
    }
    for (size_t i = 0; i < g.n; i++) {
        PL_TRY(convert_group(&(*out)[i], a, &g.v[i], err));
    }
    *n = g.n;
    return PL_OK;
}
