#include "promql/eval_histogram.h"

#include "codec/float_text.h"
#include "promql/functions_def.h"
#include "promql/hist_value.h"
#include "promql/kernels.h"

#include <stdlib.h>

/* histogram_quantile, histogram_quantiles and histogram_fraction: over native histograms, and over classic buckets,
 * where series that differ in "le" only form one histogram. Rules: spec prometheus.md 4.4. */

struct bucket_column {
    double bound;
    const double *v;
    uint32_t order; /* of arrival: keeps the sort stable */
};

struct histogram {
    struct labels labels; /* of a classic one without le */
    pl_str name;
    struct bucket_column *b;
    size_t n, cap;
    bool odd_bounds; /* a bound is NaN */
    double *native;  /* what comes of native histograms: grid.n values for each round; NULL: there are none */
    uint8_t *said;   /* enum hist_nan of each of them; NULL: nothing to say */
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
    uint32_t rounds; /* histogram_quantiles: one for each quantile; else 1 */
    int func;
    struct pq_pos pos; /* of the vector argument */
    struct keytab keys;
    struct histogram *h;
    size_t h_cap;
    struct hist_classic_bucket *scratch;
    struct batch result;
    size_t result_cap, at;
    bool done;
};

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

/* ---- native histograms: they become numbers at once, for they are large and go with their batch ---- */

static pl_status native_begin(struct histogram_op *o, struct histogram *h, struct pl_err *err)
{
    size_t n = o->op.grid.n * o->rounds;

    h->native = pl_arena_new_array_try(o->op.x->arena, double, n);
    PQ_TRY_ALLOC(&o->op, h->native);
    pq__fill_absent(h->native, n);
    return PL_OK;
}

static pl_status native_value(struct histogram_op *o, struct histogram *to, const struct hist *h, size_t step,
                              uint32_t arg, struct pl_err *err)
{
    size_t at = arg * o->op.grid.n + step;
    enum hist_nan said;

    to->native[at] = o->func == PQ_FN_HISTOGRAM_FRACTION
                         ? pq__hist_fraction(o->arg[0].v[step], o->arg[1].v[step], h, &said)
                         : pq__hist_quantile(o->arg[arg].v[step], h, &said);
    if (said == HIST_NAN_NONE) {
        return PL_OK;
    }
    if (to->said == NULL) {
        to->said = pl_arena_new_array_try(o->op.x->arena, uint8_t, o->op.grid.n * o->rounds);
        PQ_TRY_ALLOC(&o->op, to->said);
    }
    to->said[at] = (uint8_t)said;
    return PL_OK;
}

static pl_status native_add(struct histogram_op *o, const struct column *c, struct pl_err *err)
{
    struct histogram *h = NULL;
    bool added = false;

    pq__key_all(&o->op.x->text, c->labels);
    PL_TRY(histogram_put(&h, &added, o, err));
    if (added) {
        *h = (struct histogram){.labels = c->labels, .name = labels_get(c->labels, LABEL_METRIC_NAME)};
    }
    if (h->native == NULL) {
        PL_TRY(native_begin(o, h, err));
    }
    for (size_t i = 0; i < o->op.grid.n; i++) {
        for (uint32_t arg = 0; c->h[i] != NULL && arg < o->rounds; arg++) {
            PL_TRY(native_value(o, h, c->h[i], i, arg, err));
        }
    }
    return PL_OK;
}

/* ---- classic ones: columns of buckets ---- */

static pl_status bucket_add(struct histogram_op *o, const struct column *c, struct pl_err *err)
{
    struct exec *x = o->op.x;
    pl_str le = labels_get(c->labels, PL_STR("le"));
    struct histogram *h = NULL;
    double bound, *v;

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
    h->odd_bounds = h->odd_bounds || isnan(bound);
    v = pl_arena_new_array_try(x->arena, double, o->op.grid.n);
    PQ_TRY_ALLOC(&o->op, v);
    memcpy(v, c->v, o->op.grid.n * sizeof(*v));
    h->b[h->n] = (struct bucket_column){.bound = bound, .v = v, .order = (uint32_t)h->n};
    h->n++;
    return PL_OK;
}

/* The buckets with a sample at a step. */
static size_t buckets_at(struct histogram_op *o, const struct histogram *h, size_t step)
{
    size_t n = 0;

    for (size_t i = 0; i < h->n; i++) {
        if (!pq_is_absent(h->b[i].v[step])) {
            o->scratch[n++] = (struct hist_classic_bucket){.bound = h->b[i].bound, .count = h->b[i].v[step]};
        }
    }
    if (h->odd_bounds) {
        pq__buckets_sort(o->scratch, n);
    }
    return n;
}

static void note_nan(struct histogram_op *o, uint8_t said, pl_str name)
{
    static const char *const texts[] = {
        [HIST_NAN_RESULT] = "input to histogram_quantile has NaN observations, result is NaN",
        [HIST_NAN_SKEW] = "input to histogram_quantile has NaN observations, result is skewed higher",
        [HIST_NAN_FRACTION] = "input to histogram_fraction has NaN observations, which are excluded from all fractions",
    };

    if (said != HIST_NAN_NONE) {
        pq__note_for_metric(o->op.x, true, o->pos, texts[said], name);
    }
}

static double classic_value(struct histogram_op *o, size_t n, pl_str name, size_t step, uint32_t arg)
{
    struct monotonic_fix fix;
    double v;

    if (o->func == PQ_FN_HISTOGRAM_FRACTION) {
        return pq__bucket_fraction(o->arg[0].v[step], o->arg[1].v[step], o->scratch, n);
    }
    /* COMPAT: histogram_quantiles hands on the buckets as the quantile before left them: joined ones to the front,
     * those behind them as they were, counts made to rise. */
    for (uint32_t before = 0; before < arg; before++) {
        (void)pq__bucket_quantile(o->arg[before].v[step], o->scratch, n, &fix);
        pq__buckets_sort(o->scratch, n);
    }
    v = pq__bucket_quantile(o->arg[arg].v[step], o->scratch, n, &fix);
    if (fix.forced) {
        pq__note_monotonic(&o->op, o->pos, name, &fix, step);
    }
    return v;
}

/* Absent where the histogram has no sample at the step. */
static double histogram_value(struct histogram_op *o, const struct histogram *h, size_t step, uint32_t arg)
{
    pl_str name = o->op.x->q->delayed_name_removal ? h->name : PL_STR_NULL;
    size_t at = arg * o->op.grid.n + step, n = buckets_at(o, h, step);
    bool native = h->native != NULL && !pq_is_absent(h->native[at]);

    if (native && n > 0) {
        pq__note_for_metric(o->op.x, false, o->pos, "vector contains a mix of classic and native histograms", name);
        return pq_absent();
    }
    if (native) {
        note_nan(o, h->said != NULL ? h->said[at] : HIST_NAN_NONE, name);
        return h->native[at];
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
                pq__note_quantile(o->op.x, o->op.node, o->op.node->call.args[o->arg_first + k], a->v[i]);
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

    for (;;) {
        PL_TRY(pq__next(o->child, &in, err));
        if (in.n == 0) {
            break;
        }
        for (size_t i = 0; i < in.n; i++) {
            PL_TRY(pq__check(o->op.x, err));
            if (in.col[i].h != NULL) {
                PL_TRY(native_add(o, &in.col[i], err));
            }
            if (in.col[i].h == NULL || pq__any(in.col[i].v, o->op.grid.n)) {
                PL_TRY(bucket_add(o, &in.col[i], err));
            }
        }
    }
    for (size_t i = 0; i < o->keys.n; i++) {
        if (o->h[i].n > 0 && !o->h[i].odd_bounds) {
            qsort(o->h[i].b, o->h[i].n, sizeof(*o->h[i].b), bucket_column_cmp);
        }
        most = PL_MAX(most, o->h[i].n);
    }
    o->scratch = pl_arena_new_array_try(o->op.x->arena, struct hist_classic_bucket, most + 1);
    PQ_TRY_ALLOC(&o->op, o->scratch);
    return PL_OK;
}

static pl_status histogram_run(struct histogram_op *o, struct pl_err *err)
{
    struct exec *x = o->op.x;
    uint32_t distinct = 1;
    double **slots;

    PL_TRY(histogram_args(o, err));
    PL_TRY(histogram_input(o, err));
    for (uint32_t arg = 0; arg < o->arg_count; arg++) {
        distinct = PL_MAX(distinct, o->arg[arg].distinct);
    }
    slots = pl_arena_new_array_try(x->arena, double *, distinct);
    PQ_TRY_ALLOC(&o->op, slots);
    for (uint32_t arg = 0; arg < o->rounds; arg++) {
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
    if (many && pq__unparen(n->call.args[1])->string.n == 0) {
        return pl_fail(err, PL_EXEC, "invalid label name \"\" in histogram_quantiles()"); /* Prometheus 3.14 panics */
    }
    o->func = n->call.func->kernel;
    o->keys.a = x->arena;
    o->vector_arg = many ? 0 : args - 1;
    o->pos = pq__unparen(n->call.args[o->vector_arg])->pos;
    o->arg_first = many ? 2 : 0;
    o->arg_count = many ? args - 2 : args - 1;
    o->rounds = many ? o->arg_count : 1;
    PL_ASSERT(o->arg_count <= PL_ARRAY_LEN(o->arg));
    for (uint32_t i = 0; i < o->arg_count; i++) {
        PL_TRY(pq__plan(&o->arg[i].op, x, n->call.args[o->arg_first + i], s, err));
    }
    PL_TRY(pq__plan(&o->child, x, n->call.args[o->vector_arg], s, err));
    *out = &o->op;
    if (many && (!x->q->delayed_name_removal || s.grid.ranged)) {
        return pq__make_merge(out, *out, false, err); /* two arguments may have had the same quantile */
    }
    return pq__make_renamed(out, n->call.args[o->vector_arg], err);
}
