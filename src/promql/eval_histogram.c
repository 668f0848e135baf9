#include "codec/float_text.h"
#include "promql/functions_def.h"
#include "promql/kernels.h"

#include <stdlib.h>

/* histogram_quantile, histogram_quantiles and histogram_fraction over classic buckets: series that differ in "le" only
 * form one histogram. Rules: spec prometheus.md 4.4. */

#define SMALL_DELTA 1e-12 /* relative differences below this between neighbours are rounding, not data */

struct bucket {
    double bound, count;
};

struct bucket_column {
    double bound;
    const double *v;
    uint32_t order; /* of arrival: keeps the sort stable */
};

struct histogram {
    struct labels labels; /* without le */
    pl_str name;
    struct bucket_column *b;
    size_t n, cap;
};

struct histogram_op {
    struct op op;
    struct op *child;
    struct op *arg[PQ_ARGS_MAX + 8];
    double *argv[PQ_ARGS_MAX + 8];
    uint32_t arg_first, arg_count; /* scalar arguments: call.args[arg_first ...] */
    uint32_t vector_arg;
    int func;
    struct keytab keys;
    struct histogram *h;
    size_t h_cap;
    struct bucket *scratch;
    size_t scratch_cap;
    struct batch result;
    size_t at;
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

static pl_status histogram_of(struct histogram **out, struct histogram_op *o, const struct column *c,
                              struct pl_err *err)
{
    static const pl_str le = PL_STR_INIT("le");
    struct exec *x = o->op.x;
    struct column without = *c;
    uint32_t index;
    bool added;

    pq__key_without(&x->text, c->labels, &le, 1, false);
    if (!pq__keytab_put(&o->keys, pl_buf_view(&x->text), &index, &added)) {
        return pq__nomem(&o->op, err);
    }
    if (added && o->keys.n > o->h_cap) {
        size_t cap = PL_MAX(o->h_cap * 2, (size_t)16);
        struct histogram *grown = pl_arena_new_array_try(x->arena, struct histogram, cap);

        PQ_TRY_ALLOC(&o->op, grown);
        if (o->h_cap > 0) {
            memcpy(grown, o->h, o->h_cap * sizeof(*grown));
        }
        o->h = grown;
        o->h_cap = cap;
    }
    if (added) {
        without.labels = pq__labels_without(x->arena, c->labels, &le, 1, false);
        if (without.labels.n > 0) {
            PQ_TRY_ALLOC(&o->op, without.labels.v);
        }
        o->h[index] = (struct histogram){.labels = without.labels, .name = labels_get(c->labels, LABEL_METRIC_NAME)};
    }
    *out = &o->h[index];
    return PL_OK;
}

static pl_status bucket_add(struct histogram_op *o, const struct column *c, struct pl_err *err)
{
    struct exec *x = o->op.x;
    pl_str le = labels_get(c->labels, PL_STR("le"));
    struct histogram *h = NULL;
    double bound;

    if (!float_parse(le, &bound)) {
        pq__note_bad_bucket(x, o->op.node->call.args[o->vector_arg]->pos, le,
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

static void histogram_column(struct histogram_op *o, const struct histogram *h, double *restrict v, uint32_t arg)
{
    struct exec *x = o->op.x;

    for (size_t i = 0; i < o->op.grid.n; i++) {
        size_t n = buckets_at(o, h, i);
        struct monotonic_fix fix;

        if (n == 0) {
            v[i] = pq_absent();
        } else if (o->func == PQ_FN_HISTOGRAM_FRACTION) {
            v[i] = bucket_fraction(o->argv[0][i], o->argv[1][i], o->scratch, n);
        } else {
            v[i] = bucket_quantile(o->argv[arg][i], o->scratch, n, &fix);
            if (fix.forced) {
                pq__note_monotonic(x, o->op.node->call.args[o->vector_arg]->pos,
                                   x->q->delayed_name_removal ? h->name : PL_STR_NULL, &fix, grid_at(o->op.grid, i));
            }
        }
    }
}

static pl_status histogram_args(struct histogram_op *o, struct pl_err *err)
{
    size_t n = o->op.grid.n;

    for (uint32_t a = 0; a < o->arg_count; a++) {
        PL_TRY(pq__scalar(o->arg[a], &o->argv[a], err));
        for (size_t i = 0; o->func != PQ_FN_HISTOGRAM_FRACTION && i < n; i++) {
            double q = o->argv[a][i];

            if (!(q >= 0 && q <= 1)) {
                pq__note_quantile(o->op.x, o->op.node->call.args[o->arg_first + a]->pos, q);
            }
            if (o->func == PQ_FN_HISTOGRAM_QUANTILES && pl_f64_bits(q) != pl_f64_bits(o->argv[a][0])) {
                return pl_fail(err, PL_UNIMPLEMENTED,
                               "histogram_quantiles with a quantile that changes over time is not implemented yet");
            }
        }
    }
    return PL_OK;
}

static pl_status histogram_labels(struct histogram_op *o, struct column *c, uint32_t arg, struct pl_err *err)
{
    struct exec *x = o->op.x;
    char text[FLOAT_TEXT_MAX];
    pl_str value;

    PL_TRY(pq__drop_name(&o->op, c, err));
    if (o->func == PQ_FN_HISTOGRAM_QUANTILES) {
        value = pq__str_try(x->arena, pl_str_of(text, float_put_om(text, o->argv[arg][0])));
        PQ_TRY_ALLOC(&o->op, value.p);
        c->labels = pq__labels_set(x->arena, c->labels, pq__unparen(o->op.node->call.args[1])->string, value);
        PQ_TRY_ALLOC(&o->op, c->labels.v);
    }
    return PL_OK;
}

static pl_status histogram_run(struct histogram_op *o, struct pl_err *err)
{
    struct exec *x = o->op.x;
    uint32_t rounds = o->func == PQ_FN_HISTOGRAM_QUANTILES ? o->arg_count : 1;
    size_t most = 0;
    struct batch in;

    PL_TRY(histogram_args(o, err));
    PL_TRY(pq__drain(o->child, &in, err));
    for (size_t i = 0; i < in.n; i++) {
        PL_TRY(bucket_add(o, &in.col[i], err));
    }
    for (size_t i = 0; i < o->keys.n; i++) {
        qsort(o->h[i].b, o->h[i].n, sizeof(*o->h[i].b), bucket_column_cmp);
        most = PL_MAX(most, o->h[i].n);
    }
    o->scratch = pl_arena_new_array_try(x->arena, struct bucket, most + 1);
    o->result.col = pl_arena_new_array_try(x->arena, struct column, o->keys.n * rounds);
    if (o->scratch == NULL || o->result.col == NULL) {
        return pq__nomem(&o->op, err);
    }
    for (uint32_t arg = 0; arg < rounds; arg++) {
        for (size_t i = 0; i < o->keys.n; i++) {
            struct column *c = &o->result.col[o->result.n++];

            PL_TRY(pq__check(x, err));
            *c = (struct column){.labels = o->h[i].labels, .v = pl_arena_new_array_try(x->arena, double, o->op.grid.n)};
            PQ_TRY_ALLOC(&o->op, c->v);
            histogram_column(o, &o->h[i], c->v, arg);
            PL_TRY(histogram_labels(o, c, arg, err));
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

pl_status pq__make_histogram_call(struct op **out, struct exec *x, const struct pq_node *n, struct scope s,
                                  struct pl_err *err)
{
    struct histogram_op *o = pl_arena_zero_try(x->arena, sizeof(*o));
    uint32_t args = n->call.arg_count;

    if (o == NULL) {
        return pq__nomem_node(x, n, err);
    }
    pq__op_init(&o->op, &histogram_ops, x, n, s.grid);
    o->func = n->call.func->kernel;
    o->keys.a = x->arena;
    o->vector_arg = o->func == PQ_FN_HISTOGRAM_QUANTILES ? 0 : args - 1;
    o->arg_first = o->func == PQ_FN_HISTOGRAM_QUANTILES ? 2 : 0;
    o->arg_count = o->func == PQ_FN_HISTOGRAM_QUANTILES ? args - 2 : args - 1;
    PL_ASSERT(o->arg_count <= PL_ARRAY_LEN(o->arg));
    for (uint32_t i = 0; i < o->arg_count; i++) {
        PL_TRY(pq__plan(&o->arg[i], x, n->call.args[o->arg_first + i], s, err));
    }
    PL_TRY(pq__plan(&o->child, x, n->call.args[o->vector_arg], s, err));
    *out = &o->op;
    return pq__make_renamed(out, n->call.args[o->vector_arg], err);
}
