#include "promql/eval_histogram.h"

#include "codec/float_text.h"
#include "promql/functions_def.h"
#include "promql/hist_value.h"
#include "promql/kernels.h"

#include <stdlib.h>

/* histogram_quantile, histogram_quantiles and histogram_fraction: over native histograms, and over classic buckets,
 * where series that differ in "le" only form one histogram. Rules: spec prometheus.md 4.4. */

#define SMALL_DELTA 1e-12 /* relative differences below this between neighbours are rounding, not data */

struct bucket {
    double bound, count;
};

struct bucket_column {
    double bound;
    const double *v;
    uint32_t order; /* of arrival: keeps the sort stable */
};

/* A column with native histograms. */
struct native_column {
    const struct hist **h;
    struct native_column *next;
};

struct histogram {
    struct labels labels; /* of a classic one without le */
    pl_str name;
    struct bucket_column *b;
    size_t n, cap;
    struct native_column *native;
};

/* The values of a scalar argument; which of its distinct values each step has. */
struct quantile_arg {
    struct op *op;
    double *v;
    uint32_t *which; /* NULL: the same at all steps */
    uint32_t distinct;
};

struct histogram_op {
    struct op op;
    struct op *child;
    struct quantile_arg arg[PQ_ARGS_MAX + 8];
    uint32_t arg_first, arg_count; /* scalar arguments: call.args[arg_first ...] */
    uint32_t vector_arg;
    int func;
    struct pq_pos pos; /* of the vector argument */
    struct keytab keys;
    struct histogram *h;
    size_t h_cap;
    struct bucket *scratch;
    struct batch result;
    size_t result_cap, at;
    bool done;
};

/* Joins buckets of equal bounds; they must be sorted. */
static size_t buckets_join(struct bucket *b, size_t n)
{
    size_t to = 0;

    for (size_t i = 1; i < n; i++) {
        if (b[i].bound == b[to].bound) {
            b[to].count += b[i].count;
        } else {
            b[++to] = b[i];
        }
    }
    return to + 1;
}

static bool nearly_equal(double a, double b)
{
    static const double normal_min = 2.2250738585072014e-308, max = 1.7976931348623157e308;
    double sum = fabs(a) + fabs(b), diff = fabs(a - b);

    if (a == 0 || b == 0 || sum < normal_min) {
        return diff < SMALL_DELTA * normal_min;
    }
    return diff / go_min(sum, max) < SMALL_DELTA;
}

static struct monotonic_fix buckets_fix(struct bucket *b, size_t n)
{
    struct monotonic_fix fix = {.bound_min = INFINITY, .bound_max = -INFINITY};
    double prev = b[0].count;

    for (size_t i = 1; i < n; i++) {
        double count = b[i].count;

        if (count == prev) {
            continue;
        }
        if (nearly_equal(prev, count) || (isnan(prev) && isnan(count))) {
            b[i].count = prev;
        } else if (count < prev) {
            b[i].count = prev;
            fix.forced = true;
            fix.bound_min = PL_MIN(fix.bound_min, b[i].bound);
            fix.bound_max = PL_MAX(fix.bound_max, b[i].bound);
            fix.diff_max = PL_MAX(fix.diff_max, prev - count);
        } else {
            prev = count;
        }
    }
    return fix;
}

/* n >= 1 sorted buckets. */
static double bucket_quantile(double q, struct bucket *b, size_t n, struct monotonic_fix *fix)
{
    double rank, start = 0, count;
    size_t lo = 0, hi;

    *fix = (struct monotonic_fix){0};
    if (isnan(q)) {
        return pq_nan();
    }
    if (q < 0 || q > 1) {
        return q < 0 ? -INFINITY : INFINITY;
    }
    if (b[n - 1].bound != HUGE_VAL) {
        return pq_nan();
    }
    n = buckets_join(b, n);
    *fix = buckets_fix(b, n);
    if (n < 2 || b[n - 1].count == 0) {
        return pq_nan();
    }
    rank = q * b[n - 1].count;
    for (hi = n - 1; lo < hi;) {
        size_t mid = lo + (hi - lo) / 2;

        if (b[mid].count >= rank) {
            hi = mid;
        } else {
            lo = mid + 1;
        }
    }
    if (lo == n - 1) {
        return b[n - 2].bound;
    }
    if (lo == 0 && b[0].bound <= 0) {
        return b[0].bound;
    }
    count = b[lo].count;
    if (lo > 0) {
        start = b[lo - 1].bound;
        count -= b[lo - 1].count;
        rank -= b[lo - 1].count;
    }
    return start + (b[lo].bound - start) * (rank / count);
}

/* How many observations lie at or below `at`; n sorted, joined buckets that end in +Inf. */
static double bucket_rank(const struct bucket *b, size_t n, double at)
{
    double rank = 0, lower = b[0].bound <= 0 ? -INFINITY : 0;

    for (size_t i = 0; i < n; i++) {
        if (i > 0) {
            lower = b[i - 1].bound;
        }
        if (lower >= at) {
            return rank;
        }
        if (b[i].bound > at) {
            return isinf(lower) ? b[i].count : rank + (b[i].count - rank) * (at - lower) / (b[i].bound - lower);
        }
        rank = b[i].count;
    }
    return b[n - 1].count;
}

static double bucket_fraction(double from, double to, struct bucket *b, size_t n)
{
    double total;

    if (b[n - 1].bound != HUGE_VAL) {
        return pq_nan();
    }
    n = buckets_join(b, n);
    total = b[n - 1].count;
    if (total == 0 || isnan(from) || isnan(to)) {
        return pq_nan();
    }
    if (from >= to) {
        return 0;
    }
    return (go_min(bucket_rank(b, n, to), total) - go_min(bucket_rank(b, n, from), total)) / total;
}

/* ---- gathering ---- */

static int bucket_column_cmp(const void *a, const void *b)
{
    const struct bucket_column *x = a, *y = b;

    if (x->bound != y->bound) {
        return x->bound < y->bound ? -1 : 1;
    }
    return (x->order > y->order) - (x->order < y->order);
}

/* The histogram whose key is in x->text, made when new. */
static pl_status histogram_put(struct histogram **out, bool *added, struct histogram_op *o, struct pl_err *err)
{
    struct exec *x = o->op.x;
    uint32_t index;

    if (!pq__keytab_put(&o->keys, pl_buf_view(&x->text), &index, added)) {
        return pq__nomem(&o->op, err);
    }
    if (*added && o->keys.n > o->h_cap) {
        size_t cap = PL_MAX(o->h_cap * 2, (size_t)16);
        struct histogram *grown = pl_arena_new_array_try(x->arena, struct histogram, cap);

        PQ_TRY_ALLOC(&o->op, grown);
        if (o->h_cap > 0) {
            memcpy(grown, o->h, o->h_cap * sizeof(*grown));
        }
        o->h = grown;
        o->h_cap = cap;
    }
    *out = &o->h[index];
    return PL_OK;
}

static pl_status histogram_of(struct histogram **out, struct histogram_op *o, const struct column *c,
                              struct pl_err *err)
{
    static const pl_str le = PL_STR_INIT("le");
    struct exec *x = o->op.x;
    struct labels without;
    bool added = false;

    pq__key_without(&x->text, c->labels, &le, 1, false);
    PL_TRY(histogram_put(out, &added, o, err));
    if (added) {
        without = pq__labels_without(x->arena, c->labels, &le, 1, false);
        if (without.n > 0) {
            PQ_TRY_ALLOC(&o->op, without.v);
        }
        **out = (struct histogram){.labels = without, .name = labels_get(c->labels, LABEL_METRIC_NAME)};
    }
    return PL_OK;
}

static pl_status native_add(struct histogram_op *o, const struct column *c, struct pl_err *err)
{
    struct native_column *native = pl_arena_alloc_try(o->op.x->arena, sizeof(*native));
    struct histogram *h = NULL;
    bool added = false;

    PQ_TRY_ALLOC(&o->op, native);
    pq__key_all(&o->op.x->text, c->labels);
    PL_TRY(histogram_put(&h, &added, o, err));
    if (added) {
        *h = (struct histogram){.labels = c->labels, .name = labels_get(c->labels, LABEL_METRIC_NAME)};
    }
    *native = (struct native_column){.h = c->h, .next = h->native};
    h->native = native;
    return PL_OK;
}

static pl_status bucket_add(struct histogram_op *o, const struct column *c, struct pl_err *err)
{
    struct exec *x = o->op.x;
    pl_str le = labels_get(c->labels, PL_STR("le"));
    struct histogram *h = NULL;
    double bound;

    if (!float_parse(le, &bound)) {
        pq__note_bad_bucket(x, o->pos, le,
                            x->q->delayed_name_removal ? labels_get(c->labels, LABEL_METRIC_NAME) : PL_STR_NULL);
        return PL_OK;
    }
    PL_TRY(histogram_of(&h, o, c, err));
    if (h->n == h->cap) {
        size_t cap = PL_MAX(h->cap * 2, (size_t)16);
        struct bucket_column *grown = pl_arena_new_array_try(x->arena, struct bucket_column, cap);

        PQ_TRY_ALLOC(&o->op, grown);
        if (h->n > 0) {
            memcpy(grown, h->b, h->n * sizeof(*grown));
        }
        h->b = grown;
        h->cap = cap;
    }
    h->b[h->n] = (struct bucket_column){.bound = bound, .v = c->v, .order = (uint32_t)h->n};
    h->n++;
    return PL_OK;
}

/* The buckets with a sample at a step. */
static size_t buckets_at(struct histogram_op *o, const struct histogram *h, size_t step)
{
    size_t n = 0;

    for (size_t i = 0; i < h->n; i++) {
        if (!pq_is_absent(h->b[i].v[step])) {
            o->scratch[n++] = (struct bucket){.bound = h->b[i].bound, .count = h->b[i].v[step]};
        }
    }
    return n;
}

static const struct hist *native_at(const struct histogram *h, size_t step)
{
    for (const struct native_column *n = h->native; n != NULL; n = n->next) {
        if (n->h[step] != NULL) {
            return n->h[step];
        }
    }
    return NULL;
}

static double native_value(struct histogram_op *o, const struct hist *h, pl_str name, size_t step, uint32_t arg)
{
    static const char *const texts[] = {
        [HIST_NAN_RESULT] = "input to histogram_quantile has NaN observations, result is NaN",
        [HIST_NAN_SKEW] = "input to histogram_quantile has NaN observations, result is skewed higher",
        [HIST_NAN_FRACTION] = "input to histogram_fraction has NaN observations, which are excluded from all fractions",
    };
    enum hist_nan said;
    double v = o->func == PQ_FN_HISTOGRAM_FRACTION ? pq__hist_fraction(o->arg[0].v[step], o->arg[1].v[step], h, &said)
                                                   : pq__hist_quantile(o->arg[arg].v[step], h, &said);

    if (said != HIST_NAN_NONE) {
        pq__note_for_metric(o->op.x, true, o->pos, texts[said], name);
    }
    return v;
}

static double classic_value(struct histogram_op *o, size_t n, pl_str name, size_t step, uint32_t arg)
{
    struct monotonic_fix fix;
    double v;

    if (o->func == PQ_FN_HISTOGRAM_FRACTION) {
        return bucket_fraction(o->arg[0].v[step], o->arg[1].v[step], o->scratch, n);
    }
    v = bucket_quantile(o->arg[arg].v[step], o->scratch, n, &fix);
    if (fix.forced) {
        pq__note_monotonic(o->op.x, o->pos, name, &fix, grid_at(o->op.grid, step));
    }
    return v;
}

/* Absent where the histogram has no sample at the step. */
static double histogram_value(struct histogram_op *o, const struct histogram *h, size_t step, uint32_t arg)
{
    pl_str name = o->op.x->q->delayed_name_removal ? h->name : PL_STR_NULL;
    const struct hist *native = native_at(h, step);
    size_t n = buckets_at(o, h, step);

    if (native != NULL && n > 0) {
        pq__note_for_metric(o->op.x, false, o->pos, "vector contains a mix of classic and native histograms", name);
        return pq_absent();
    }
    if (native != NULL) {
        return native_value(o, native, name, step, arg);
    }
    return n > 0 ? classic_value(o, n, name, step, arg) : pq_absent();
}

/* Numbers the distinct values of an argument that become labels. */
static pl_status arg_values(struct histogram_op *o, struct quantile_arg *a, struct pl_err *err)
{
    struct exec *x = o->op.x;
    struct keytab seen = {.a = x->arena};
    size_t n = o->op.grid.n, same = 1;
    bool added;

    a->distinct = 1;
    while (same < n && pl_f64_bits(a->v[same]) == pl_f64_bits(a->v[0])) {
        same++;
    }
    if (same >= n) {
        return PL_OK;
    }
    a->which = pl_arena_new_array_try(x->arena, uint32_t, n);
    PQ_TRY_ALLOC(&o->op, a->which);
    for (size_t i = 0; i < n; i++) {
        uint64_t bits = pl_f64_bits(isnan(a->v[i]) ? pq_nan() : a->v[i] + 0.0); /* -0 is 0 */

        if (!pq__keytab_put(&seen, pl_str_of((const char *)&bits, sizeof(bits)), &a->which[i], &added)) {
            return pq__nomem(&o->op, err);
        }
    }
    a->distinct = (uint32_t)seen.n;
    return PL_OK;
}

static pl_status histogram_args(struct histogram_op *o, struct pl_err *err)
{
    for (uint32_t k = 0; k < o->arg_count; k++) {
        struct quantile_arg *a = &o->arg[k];

        PL_TRY(pq__scalar(a->op, &a->v, err));
        for (size_t i = 0; o->func != PQ_FN_HISTOGRAM_FRACTION && i < o->op.grid.n; i++) {
            if (!(a->v[i] >= 0 && a->v[i] <= 1)) {
                pq__note_quantile(o->op.x, pq__unparen(o->op.node->call.args[o->arg_first + k])->pos, a->v[i]);
            }
        }
        if (o->func == PQ_FN_HISTOGRAM_QUANTILES) {
            PL_TRY(arg_values(o, a, err));
        }
    }
    return PL_OK;
}

/* ---- results ---- */

/* A new column of absent steps; q: the quantile whose label it gets. */
static pl_status result_add(struct column **out, struct histogram_op *o, const struct histogram *h, double q,
                            struct pl_err *err)
{
    struct exec *x = o->op.x;
    struct column c = {.labels = h->labels, .v = pl_arena_new_array_try(x->arena, double, o->op.grid.n)};
    char text[FLOAT_TEXT_MAX];
    pl_str value;

    PQ_TRY_ALLOC(&o->op, c.v);
    pq__fill_absent(c.v, o->op.grid.n);
    PL_TRY(pq__drop_name(&o->op, &c, err));
    if (o->func == PQ_FN_HISTOGRAM_QUANTILES) {
        value = pq__str_try(x->arena, pl_str_of(text, float_put_om(text, q + 0.0)));
        PQ_TRY_ALLOC(&o->op, value.p);
        c.labels = pq__labels_set(x->arena, c.labels, pq__unparen(o->op.node->call.args[1])->string, value);
        PQ_TRY_ALLOC(&o->op, c.labels.v);
    }
    if (o->result.n == o->result_cap) {
        size_t cap = PL_MAX(2 * o->result_cap, o->keys.n + 1);
        struct column *grown = pl_arena_new_array_try(x->arena, struct column, cap);

        PQ_TRY_ALLOC(&o->op, grown);
        if (o->result.n > 0) {
            memcpy(grown, o->result.col, o->result.n * sizeof(*grown));
        }
        o->result.col = grown;
        o->result_cap = cap;
    }
    *out = &o->result.col[o->result.n++];
    **out = c;
    return PL_OK;
}

/* The columns of one histogram and argument: one, or one for each distinct quantile. `slots` has room for those. */
static pl_status histogram_columns(struct histogram_op *o, const struct histogram *h, uint32_t arg, double **slots,
                                   struct pl_err *err)
{
    const struct quantile_arg *a = &o->arg[arg];
    uint32_t distinct = o->func == PQ_FN_HISTOGRAM_QUANTILES ? a->distinct : 1;

    memset(slots, 0, distinct * sizeof(*slots));
    for (size_t i = 0; i < o->op.grid.n; i++) {
        uint32_t k = a->which != NULL ? a->which[i] : 0;
        double v = histogram_value(o, h, i, arg);
        struct column *c;

        if (pq_is_absent(v)) {
            continue;
        }
        if (slots[k] == NULL) {
            PL_TRY(result_add(&c, o, h, a->v[i], err));
            slots[k] = c->v;
        }
        slots[k][i] = v;
    }
    return PL_OK;
}

static pl_status histogram_input(struct histogram_op *o, struct pl_err *err)
{
    size_t most = 0;
    struct batch in;

    PL_TRY(pq__drain(o->child, &in, err));
    for (size_t i = 0; i < in.n; i++) {
        if (in.col[i].h != NULL) {
            PL_TRY(native_add(o, &in.col[i], err));
        }
        if (in.col[i].h == NULL || pq__any(in.col[i].v, o->op.grid.n)) {
            PL_TRY(bucket_add(o, &in.col[i], err));
        }
    }
    for (size_t i = 0; i < o->keys.n; i++) {
        if (o->h[i].n > 0) {
            qsort(o->h[i].b, o->h[i].n, sizeof(*o->h[i].b), bucket_column_cmp);
        }
        most = PL_MAX(most, o->h[i].n);
    }
    o->scratch = pl_arena_new_array_try(o->op.x->arena, struct bucket, most + 1);
    PQ_TRY_ALLOC(&o->op, o->scratch);
    return PL_OK;
}

static pl_status histogram_run(struct histogram_op *o, struct pl_err *err)
{
    struct exec *x = o->op.x;
    uint32_t rounds = o->func == PQ_FN_HISTOGRAM_QUANTILES ? o->arg_count : 1, distinct = 1;
    double **slots;

    PL_TRY(histogram_args(o, err));
    PL_TRY(histogram_input(o, err));
    for (uint32_t arg = 0; arg < o->arg_count; arg++) {
        distinct = PL_MAX(distinct, o->arg[arg].distinct);
    }
    slots = pl_arena_new_array_try(x->arena, double *, distinct);
    PQ_TRY_ALLOC(&o->op, slots);
    for (uint32_t arg = 0; arg < rounds; arg++) {
        for (size_t i = 0; i < 2 * o->keys.n; i++) { /* native ones first */
            const struct histogram *h = &o->h[i % o->keys.n];

            if ((h->native != NULL) == (i < o->keys.n)) {
                PL_TRY(pq__check(x, err));
                PL_TRY(histogram_columns(o, h, arg, slots, err));
            }
        }
    }
    return PL_OK;
}

static pl_status histogram_next(struct op *op, struct batch *out, struct pl_err *err)
{
    struct histogram_op *o = (struct histogram_op *)op;

    if (!o->done) {
        PL_TRY(histogram_run(o, err));
        o->done = true;
    }
    pq__batch_slice(&o->result, &o->at, op->batch_max, out);
    return PL_OK;
}

static const struct op_ops histogram_ops = {"histogram function", histogram_next};

static bool is_simple(int func)
{
    return func == PQ_FN_HISTOGRAM_COUNT || func == PQ_FN_HISTOGRAM_SUM || func == PQ_FN_HISTOGRAM_AVG ||
           func == PQ_FN_HISTOGRAM_STDDEV || func == PQ_FN_HISTOGRAM_STDVAR;
}

pl_status pq__make_histogram_call(struct op **out, struct exec *x, const struct pq_node *n, struct scope s,
                                  struct pl_err *err)
{
    struct histogram_op *o;
    uint32_t args = n->call.arg_count;
    bool many = n->call.func->kernel == PQ_FN_HISTOGRAM_QUANTILES;

    if (is_simple(n->call.func->kernel)) {
        return pq__make_hist_func(out, x, n, s, err);
    }
    o = pl_arena_zero_try(x->arena, sizeof(*o));
    if (o == NULL) {
        return pq__nomem_node(x, n, err);
    }
    pq__op_init(&o->op, &histogram_ops, x, n, s.grid);
    o->func = n->call.func->kernel;
    o->keys.a = x->arena;
    o->vector_arg = many ? 0 : args - 1;
    o->pos = pq__unparen(n->call.args[o->vector_arg])->pos;
    o->arg_first = many ? 2 : 0;
    o->arg_count = many ? args - 2 : args - 1;
    PL_ASSERT(o->arg_count <= PL_ARRAY_LEN(o->arg));
    for (uint32_t i = 0; i < o->arg_count; i++) {
        PL_TRY(pq__plan(&o->arg[i].op, x, n->call.args[o->arg_first + i], s, err));
    }
    PL_TRY(pq__plan(&o->child, x, n->call.args[o->vector_arg], s, err));
    *out = &o->op;
    if (many && !x->q->delayed_name_removal) {
        return pq__make_merge(out, *out, false, err); /* two arguments may have had the same quantile */
    }
    return pq__make_renamed(out, n->call.args[o->vector_arg], err);
}
