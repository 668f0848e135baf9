#include "naive.h"

#include "base/clock.h"
#include "codec/float_text.h"
#include "promql/functions_def.h"
#include "promql/kernels.h"

#include <math.h>

/* What an expression is at one time. */

static pl_status eval(struct naive_vector *out, struct naive *x, const struct pq_node *n, int64_t t_ms);

static void put(struct naive *x, struct naive_vector *to, struct labels ls, double v)
{
    if (to->n == to->cap) {
        size_t cap = PL_MAX(2 * to->cap, (size_t)8);
        struct naive_sample *grown = pl_arena_zero(x->a, cap * sizeof(*grown));

        if (to->n > 0) {
            memcpy(grown, to->v, to->n * sizeof(*grown));
        }
        to->v = grown;
        to->cap = cap;
    }
    to->v[to->n++] = (struct naive_sample){ls, v};
}

/* ---- labels ---- */

static bool named(pl_str name, const pl_str *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (pl_str_eq(names[i], name)) {
            return true;
        }
    }
    return false;
}

/* The labels that are among these names, or those that are not. */
static struct labels choose(struct naive *x, struct labels ls, const pl_str *names, size_t n, bool those)
{
    struct label *v = pl_arena_zero(x->a, (ls.n + 1) * sizeof(*v));
    size_t to = 0;

    for (size_t i = 0; i < ls.n; i++) {
        if (named(ls.v[i].name, names, n) == those) {
            v[to++] = ls.v[i];
        }
    }
    return (struct labels){v, to};
}

static const pl_str reserved[] = {PL_STR_INIT("__name__"), PL_STR_INIT("__type__"), PL_STR_INIT("__unit__")};

static struct labels nameless(struct naive *x, struct labels ls)
{
    return choose(x, ls, reserved, PL_ARRAY_LEN(reserved), false);
}

static struct labels with(struct naive *x, struct labels ls, pl_str name, pl_str value)
{
    struct labels rest = choose(x, ls, &name, 1, false);
    struct label *v = pl_arena_zero(x->a, (rest.n + 1) * sizeof(*v));

    memcpy(v, rest.v, rest.n * sizeof(*v));
    if (value.n > 0) {
        v[rest.n++] = (struct label){name, value};
        labels_sort(v, rest.n);
    }
    return (struct labels){v, rest.n};
}

static pl_status unique(const struct naive_vector *v)
{
    for (size_t i = 0; i < v->n; i++) {
        for (size_t k = 0; k < i; k++) {
            if (labels_eq(v->v[i].labels, v->v[k].labels)) {
                return PL_EXEC;
            }
        }
    }
    return PL_OK;
}

static const struct pq_node *bare(const struct pq_node *n)
{
    while (n->kind == PQ_PAREN) {
        n = n->paren.expr;
    }
    return n;
}

static pl_status scalar(double *out, struct naive *x, const struct pq_node *n, int64_t t_ms)
{
    struct naive_vector v = {0};

    PL_TRY(eval(&v, x, n, t_ms));
    PL_ASSERT(v.n == 1 && v.v[0].labels.n == 0);
    *out = v.v[0].v;
    return PL_OK;
}

/* ---- stored samples ---- */

#define TIME_MAX_MS (INT64_C(1) << 60) /* so that ranges and offsets can be taken off */

static pl_status look_at(int64_t *out, struct naive *x, const struct pq_time *t, int64_t t_ms)
{
    int64_t at = t->at == PQ_AT_TIME    ? t->at_ms
                 : t->at == PQ_AT_START ? x->q->start_ms
                 : t->at == PQ_AT_END   ? x->q->end_ms
                                        : t_ms;

    if (t->offset_expr != NULL || at > TIME_MAX_MS || at < -TIME_MAX_MS) {
        return PL_UNIMPLEMENTED;
    }
    *out = at - t->offset_ms;
    return PL_OK;
}

static pl_status stored(struct series_list *out, struct naive *x, const struct pq_node *sel, int64_t from_ms,
                        int64_t to_ms)
{
    struct series_select q = {.matchers = sel->selector.matchers,
                              .matcher_count = sel->selector.matcher_count,
                              .mint_ms = from_ms,
                              .maxt_ms = to_ms};

    if (sel->selector.anchored || sel->selector.smoothed) {
        return PL_UNIMPLEMENTED;
    }
    return x->source->ops->select(x->source, x->a, &q, out, x->err);
}

static pl_status decoded(struct samples *out, struct naive *x, const struct series_view *s, int64_t from_ms,
                         int64_t to_ms)
{
    size_t cap = 0;

    *out = (struct samples){0};
    PL_TRY(series_decode(s, from_ms, to_ms, x->a, out, &cap, x->err));
    for (size_t i = 0; out->h != NULL && i < out->n; i++) {
        if (out->h[i] != NULL) {
            return PL_UNIMPLEMENTED;
        }
    }
    return PL_OK;
}

static pl_status selector(struct naive_vector *out, struct naive *x, const struct pq_node *n, int64_t t_ms, bool times)
{
    struct series_list list;
    int64_t ref;

    PL_TRY(look_at(&ref, x, &n->selector.time, t_ms));
    PL_TRY(stored(&list, x, n, ref - x->q->lookback_ms + 1, ref));
    for (size_t i = 0; i < list.n; i++) {
        struct samples s;

        PL_TRY(decoded(&s, x, &list.v[i], ref - x->q->lookback_ms + 1, ref));
        if (s.n > 0 && !pl_is_stale(s.v[s.n - 1])) {
            put(x, out, list.v[i].labels, times ? (double)s.t[s.n - 1] / 1000 : s.v[s.n - 1]);
        }
    }
    return PL_OK;
}

struct ranges {
    struct naive_range *v;
    size_t n;
    int64_t end_ms, range_ms;
};

static pl_status ranges_stored(struct ranges *out, struct naive *x, const struct pq_node *n, int64_t t_ms)
{
    const struct pq_node *sel = bare(n->matrix.selector);
    struct series_list list;

    if (n->matrix.range_expr != NULL) {
        return PL_UNIMPLEMENTED;
    }
    out->range_ms = n->matrix.range_ms;
    PL_TRY(look_at(&out->end_ms, x, &sel->selector.time, t_ms));
    PL_TRY(stored(&list, x, sel, out->end_ms - out->range_ms + 1, out->end_ms));
    out->v = pl_arena_zero(x->a, (list.n + 1) * sizeof(*out->v));
    for (size_t i = 0; i < list.n; i++) {
        struct naive_range *r = &out->v[out->n];
        struct samples s;

        PL_TRY(decoded(&s, x, &list.v[i], out->end_ms - out->range_ms + 1, out->end_ms));
        *r = (struct naive_range){.labels = list.v[i].labels, .t = s.t, .v = s.v};
        for (size_t k = 0; k < s.n; k++) {
            if (!pl_is_stale(s.v[k])) {
                r->t[r->n] = s.t[k];
                r->v[r->n++] = s.v[k];
            }
        }
        out->n += r->n > 0;
    }
    return PL_OK;
}

static pl_status ranges_add(struct ranges *to, struct naive *x, const struct naive_vector *v, int64_t t_ms,
                            size_t steps)
{
    for (size_t i = 0; i < v->n; i++) {
        struct naive_range *r = NULL;

        for (size_t k = 0; k < to->n && r == NULL; k++) {
            r = labels_eq(to->v[k].labels, v->v[i].labels) ? &to->v[k] : NULL;
        }
        if (r == NULL) {
            struct naive_range *grown = pl_arena_zero(x->a, (to->n + 1) * sizeof(*grown));

            if (to->n > 0) {
                memcpy(grown, to->v, to->n * sizeof(*grown));
            }
            to->v = grown;
            r = &to->v[to->n++];
            *r = (struct naive_range){.labels = v->v[i].labels,
                                      .t = pl_arena_zero(x->a, steps * sizeof(*r->t)),
                                      .v = pl_arena_zero(x->a, steps * sizeof(*r->v))};
        }
        r->t[r->n] = t_ms;
        r->v[r->n++] = v->v[i].v;
    }
    return PL_OK;
}

enum { SUBQUERY_STEPS_MAX = 2000 };

static pl_status ranges_subquery(struct ranges *out, struct naive *x, const struct pq_node *n, int64_t t_ms)
{
    int64_t step = n->subquery.step_ms > 0 ? n->subquery.step_ms : x->q->default_step_ms, from;
    size_t steps;

    if (n->subquery.range_expr != NULL || n->subquery.step_expr != NULL) {
        return PL_UNIMPLEMENTED;
    }
    out->range_ms = n->subquery.range_ms;
    PL_TRY(look_at(&out->end_ms, x, &n->subquery.time, t_ms));
    from = out->end_ms - out->range_ms;
    steps = (size_t)(out->range_ms / step) + 2;
    if (steps > SUBQUERY_STEPS_MAX) {
        return PL_UNIMPLEMENTED;
    }
    for (int64_t t = from / step * step - step; t <= out->end_ms; t += step) {
        struct naive_vector v = {0};

        if (t > from) {
            PL_TRY(eval(&v, x, n->subquery.expr, t));
            PL_TRY(ranges_add(out, x, &v, t, steps));
        }
    }
    return PL_OK;
}

static pl_status ranges_of(struct ranges *out, struct naive *x, const struct pq_node *n, int64_t t_ms)
{
    *out = (struct ranges){0};
    n = bare(n);
    return n->kind == PQ_SUBQUERY ? ranges_subquery(out, x, n, t_ms) : ranges_stored(out, x, n, t_ms);
}

/* ---- calls ---- */

static struct labels absent_labels(struct naive *x, const struct pq_node *n)
{
    struct labels ls = {0};

    n = bare(n);
    n = n->kind == PQ_MATRIX_SELECTOR ? bare(n->matrix.selector) : n;
    for (uint32_t i = 0; n->kind == PQ_SELECTOR && i < n->selector.matcher_count; i++) {
        const struct matcher *m = &n->selector.matchers[i];
        bool again = false;

        for (uint32_t k = 0; k < i; k++) {
            again |= n->selector.matchers[k].type == MATCH_EQ && pl_str_eq(n->selector.matchers[k].name, m->name);
        }
        if (!pl_str_eq(m->name, LABEL_METRIC_NAME)) {
            ls = with(x, ls, m->name, m->type == MATCH_EQ && !again ? m->value : PL_STR_NULL);
        }
    }
    return ls;
}

static pl_status range_call(struct naive_vector *out, struct naive *x, const struct pq_node *n, int64_t t_ms)
{
    int kernel = n->call.func->kernel;
    bool keeps = kernel == PQ_FN_LAST_OVER_TIME || kernel == PQ_FN_FIRST_OVER_TIME;
    struct ranges r = {0};
    double arg[2] = {0};
    size_t args = 0;

    for (uint32_t i = 0; i < n->call.arg_count; i++) {
        if (n->call.args[i]->type == PQ_MATRIX) {
            PL_TRY(ranges_of(&r, x, n->call.args[i], t_ms));
        } else {
            PL_ASSERT(args < PL_ARRAY_LEN(arg));
            PL_TRY(scalar(&arg[args++], x, n->call.args[i], t_ms));
        }
    }
    if (kernel == PQ_FN_ABSENT_OVER_TIME) {
        if (r.n == 0) {
            put(x, out, absent_labels(x, n->call.args[0]), 1);
        }
        return PL_OK;
    }
    for (size_t i = 0; i < r.n; i++) {
        bool has;
        double v = 0;

        PL_TRY(naive_range_value(&has, &v, x, kernel, &r.v[i], r.end_ms, r.range_ms, t_ms, arg));
        if (has) {
            put(x, out, keeps ? r.v[i].labels : nameless(x, r.v[i].labels), v);
        }
    }
    return unique(out);
}

static bool is_date(int kernel)
{
    return (kernel >= PQ_FN_DAY_OF_MONTH && kernel <= PQ_FN_DAYS_IN_MONTH) || kernel == PQ_FN_HOUR ||
           kernel == PQ_FN_MINUTE || kernel == PQ_FN_MONTH || kernel == PQ_FN_YEAR;
}

static double date_part(int kernel, double v)
{
    struct pl_date d = pl_date_from_unix(pl_f64_to_i64(v));

    switch (kernel) {
    case PQ_FN_DAY_OF_MONTH:
        return d.day;
    case PQ_FN_DAY_OF_WEEK:
        return d.weekday;
    case PQ_FN_DAY_OF_YEAR:
        return d.yearday;
    case PQ_FN_DAYS_IN_MONTH:
        return d.month_days;
    case PQ_FN_HOUR:
        return d.hour;
    case PQ_FN_MINUTE:
        return d.minute;
    case PQ_FN_MONTH:
        return d.month;
    default:
        return (double)d.year;
    }
}

static double go_max_of(double a, double b, bool max)
{
    if (isnan(a) || isnan(b)) {
        return max ? (isinf(a) && a > 0) || (isinf(b) && b > 0) ? INFINITY : NAN
               : (isinf(a) && a < 0) || (isinf(b) && b < 0) ? -INFINITY
                                                            : NAN;
    }
    if (a == b) {
        return max == !signbit(a) ? a : b;
    }
    return max == (a > b) ? a : b;
}

static pl_status value_call(struct naive_vector *out, struct naive *x, const struct pq_node *n, int64_t t_ms)
{
    int kernel = n->call.func->kernel;
    double arg[2] = {1, 0};
    value_fn mathematics = pq__value_kernel(kernel);
    struct naive_vector in = {0};

    for (uint32_t i = 1; i < n->call.arg_count; i++) {
        PL_TRY(scalar(&arg[i - 1], x, n->call.args[i], t_ms));
    }
    if (n->call.arg_count == 0) {
        put(x, &in, (struct labels){0}, (double)(t_ms / 1000));
    } else {
        PL_TRY(eval(&in, x, n->call.args[0], t_ms));
    }
    for (size_t i = 0; i < in.n; i++) {
        double v = in.v[i].v;

        switch (kernel) {
        case PQ_FN_ROUND:
            v = floor(v * (1 / arg[0]) + 0.5) / (1 / arg[0]);
            break;
        case PQ_FN_CLAMP:
            if (arg[1] < arg[0]) {
                continue;
            }
            v = go_max_of(arg[0], go_max_of(arg[1], v, false), true);
            break;
        case PQ_FN_CLAMP_MIN:
            v = go_max_of(arg[0], v, true);
            break;
        case PQ_FN_CLAMP_MAX:
            v = go_max_of(arg[0], v, false);
            break;
        default:
            v = is_date(kernel) ? date_part(kernel, v) : mathematics(v);
            break;
        }
        put(x, out, nameless(x, in.v[i].labels), v);
    }
    return unique(out);
}

static pl_status timestamps(struct naive_vector *out, struct naive *x, const struct pq_node *n, int64_t t_ms)
{
    const struct pq_node *arg = bare(n->call.args[0]);
    struct naive_vector in = {0};

    if (arg->kind == PQ_SELECTOR) {
        if (arg->selector.time.at != PQ_AT_NONE && arg->selector.time.has_offset) {
            return PL_UNIMPLEMENTED;
        }
        PL_TRY(selector(&in, x, arg, t_ms, true));
    } else {
        PL_TRY(eval(&in, x, arg, t_ms));
    }
    for (size_t i = 0; i < in.n; i++) {
        put(x, out, nameless(x, in.v[i].labels), arg->kind == PQ_SELECTOR ? in.v[i].v : (double)t_ms / 1000);
    }
    return unique(out);
}

static pl_status label_join(struct naive_vector *out, struct naive *x, const struct pq_node *n, int64_t t_ms)
{
    struct naive_vector in = {0};

    if (bare(n->call.args[1])->string.n == 0) {
        return PL_UNIMPLEMENTED; /* an error whose text is the engine's matter */
    }
    PL_TRY(eval(&in, x, n->call.args[0], t_ms));
    for (size_t i = 0; i < in.n; i++) {
        struct pl_buf b;

        pl_buf_init(&b, 0);
        for (uint32_t k = 3; k < n->call.arg_count; k++) {
            if (bare(n->call.args[k])->string.n == 0) {
                pl_buf_fini(&b);
                return PL_UNIMPLEMENTED;
            }
            pl_buf_str(&b, k > 3 ? bare(n->call.args[2])->string : PL_STR_NULL);
            pl_buf_str(&b, labels_get(in.v[i].labels, bare(n->call.args[k])->string));
        }
        put(x, out, with(x, in.v[i].labels, bare(n->call.args[1])->string, pl_arena_str(x->a, pl_buf_view(&b))),
            in.v[i].v);
        pl_buf_fini(&b);
    }
    return unique(out);
}

static pl_status number_call(double *out, struct naive *x, const struct pq_node *n, int64_t t_ms)
{
    struct naive_vector in = {0};
    double a, b;

    switch (n->call.func->kernel) {
    case PQ_FN_TIME:
        *out = (double)t_ms / 1000;
        return PL_OK;
    case PQ_FN_PI:
        *out = M_PI;
        return PL_OK;
    case PQ_FN_START:
        *out = (double)x->q->start_ms / 1000;
        return PL_OK;
    case PQ_FN_END:
        *out = (double)x->q->end_ms / 1000;
        return PL_OK;
    case PQ_FN_RANGE:
        *out = (double)(x->q->end_ms - x->q->start_ms) / 1000;
        return PL_OK;
    case PQ_FN_STEP:
        *out = (double)x->q->step_ms / 1000;
        return PL_OK;
    case PQ_FN_SCALAR:
        PL_TRY(eval(&in, x, n->call.args[0], t_ms));
        *out = in.n == 1 ? in.v[0].v : (double)NAN;
        return PL_OK;
    case PQ_FN_MAX_OF:
    case PQ_FN_MIN_OF:
        PL_TRY(scalar(&a, x, n->call.args[0], t_ms));
        PL_TRY(scalar(&b, x, n->call.args[1], t_ms));
        *out = go_max_of(a, b, n->call.func->kernel == PQ_FN_MAX_OF);
        return PL_OK;
    default:
        return PL_UNIMPLEMENTED;
    }
}

static pl_status call(struct naive_vector *out, struct naive *x, const struct pq_node *n, int64_t t_ms)
{
    struct naive_vector in = {0};
    double v;

    if (n->type == PQ_SCALAR) {
        PL_TRY(number_call(&v, x, n, t_ms));
        put(x, out, (struct labels){0}, v);
        return PL_OK;
    }
    for (uint32_t i = 0; i < n->call.arg_count; i++) {
        if (n->call.args[i]->type == PQ_MATRIX) {
            return range_call(out, x, n, t_ms);
        }
    }
    switch (n->call.func->kernel) {
    case PQ_FN_VECTOR:
        return eval(out, x, n->call.args[0], t_ms);
    case PQ_FN_SORT:
    case PQ_FN_SORT_DESC:
    case PQ_FN_SORT_BY_LABEL:
    case PQ_FN_SORT_BY_LABEL_DESC:
        return eval(out, x, n->call.args[0], t_ms); /* vectors are compared without their order */
    case PQ_FN_ABSENT:
        PL_TRY(eval(&in, x, n->call.args[0], t_ms));
        if (in.n == 0) {
            put(x, out, absent_labels(x, n->call.args[0]), 1);
        }
        return PL_OK;
    case PQ_FN_TIMESTAMP:
        return timestamps(out, x, n, t_ms);
    case PQ_FN_LABEL_JOIN:
        return label_join(out, x, n, t_ms);
    case PQ_FN_ROUND:
    case PQ_FN_CLAMP:
    case PQ_FN_CLAMP_MIN:
    case PQ_FN_CLAMP_MAX:
        return value_call(out, x, n, t_ms);
    default:
        return pq__value_kernel(n->call.func->kernel) != NULL ? value_call(out, x, n, t_ms) : PL_UNIMPLEMENTED;
    }
}

/* ---- aggregations ---- */

struct group {
    struct labels labels;
    struct naive_vector in;
};

static double aggregate(struct naive *x, enum pq_agg op, const struct naive_vector *in, double param)
{
    double *v = pl_arena_zero(x->a, (in->n + 1) * sizeof(*v)), best = in->v[0].v, mean = 0, aux = 0;
    struct naive_sum s = {in->v[0].v, 0};

    for (size_t i = 0; i < in->n; i++) {
        double d = in->v[i].v - mean;

        v[i] = in->v[i].v;
        if (isnan(best) || (op == PQ_AGG_MAX ? v[i] > best : v[i] < best)) {
            best = v[i];
        }
        if (i == 0) {
            mean = v[0];
            aux = isfinite(v[0]) ? 0 : NAN;
            continue;
        }
        naive_add(&s, v[i]);
        mean += d / (double)(i + 1);
        aux += d * (v[i] - mean);
    }
    switch (op) {
    case PQ_AGG_SUM:
        return s.s + s.c;
    case PQ_AGG_AVG:
        return naive_mean(v, in->n);
    case PQ_AGG_COUNT:
        return (double)in->n;
    case PQ_AGG_GROUP:
        return 1;
    case PQ_AGG_STDVAR:
        return aux / (double)in->n;
    case PQ_AGG_STDDEV:
        return sqrt(aux / (double)in->n);
    case PQ_AGG_QUANTILE:
        return naive_quantile(x, param, v, in->n);
    default:
        return best;
    }
}

/* topk and bottomk: those that fewer than k others are better than. */
static pl_status best_of(struct naive_vector *out, struct naive *x, const struct naive_vector *in, bool top, double k)
{
    for (size_t i = 0; i < in->n; i++) {
        double better = 0, v = in->v[i].v;

        for (size_t j = 0; j < in->n; j++) {
            double w = in->v[j].v;

            if (i != j && (v == w || (isnan(v) && isnan(w)))) {
                return PL_UNIMPLEMENTED; /* which of equals are taken is a matter of order */
            }
            better += isnan(v) ? !isnan(w) : top ? w > v : w < v;
        }
        if (better < floor(k)) {
            put(x, out, in->v[i].labels, v);
        }
    }
    return PL_OK;
}

static pl_status agg_group(struct naive_vector *out, struct naive *x, const struct pq_node *n, const struct group *g,
                           double param)
{
    if (n->agg.op == PQ_AGG_TOPK || n->agg.op == PQ_AGG_BOTTOMK) {
        return best_of(out, x, &g->in, n->agg.op == PQ_AGG_TOPK, param);
    }
    if (n->agg.op == PQ_AGG_COUNT_VALUES) {
        put(x, out, g->labels, (double)g->in.n);
        return PL_OK;
    }
    put(x, out, g->labels, aggregate(x, n->agg.op, &g->in, param));
    return PL_OK;
}

static struct labels group_labels(struct naive *x, const struct pq_node *n, const struct naive_sample *s)
{
    struct labels ls = s->labels;
    char text[FLOAT_TEXT_MAX];

    if (n->agg.op == PQ_AGG_COUNT_VALUES) {
        ls = with(x, ls, bare(n->agg.param)->string, pl_arena_str(x->a, pl_str_of(text, float_put_f(text, s->v))));
    }
    if (n->agg.without) {
        ls = choose(x, ls, n->agg.labels, n->agg.label_count, false);
        return choose(x, ls, reserved, 1, false);
    }
    if (n->agg.op == PQ_AGG_COUNT_VALUES) {
        pl_str *names = pl_arena_zero(x->a, (n->agg.label_count + 1) * sizeof(*names));

        for (uint32_t i = 0; i < n->agg.label_count; i++) {
            names[i] = n->agg.labels[i];
        }
        names[n->agg.label_count] = bare(n->agg.param)->string;
        return choose(x, ls, names, n->agg.label_count + 1, true);
    }
    return choose(x, ls, n->agg.labels, n->agg.label_count, true);
}

/* Is this the same at all steps, or might it be? */
static bool may_be_pinned(const struct pq_node *n)
{
    n = bare(n);
    switch (n->kind) {
    case PQ_SELECTOR:
        return n->selector.time.at != PQ_AT_NONE;
    case PQ_MATRIX_SELECTOR:
        return may_be_pinned(n->matrix.selector);
    case PQ_SUBQUERY:
        return n->subquery.time.at != PQ_AT_NONE;
    case PQ_UNARY:
        return may_be_pinned(n->unary.expr);
    case PQ_BINARY:
        return may_be_pinned(n->binary.lhs) && may_be_pinned(n->binary.rhs);
    case PQ_AGGREGATE:
        return may_be_pinned(n->agg.expr);
    case PQ_CALL:
        for (uint32_t i = 0; i < n->call.arg_count; i++) {
            if (!may_be_pinned(n->call.args[i])) {
                return false;
            }
        }
        return true;
    default:
        return true;
    }
}

static pl_status aggregation(struct naive_vector *out, struct naive *x, const struct pq_node *n, int64_t t_ms)
{
    bool k = n->agg.op == PQ_AGG_TOPK || n->agg.op == PQ_AGG_BOTTOMK, named_values = n->agg.op == PQ_AGG_COUNT_VALUES;
    struct naive_vector in = {0};
    struct group *groups;
    size_t count = 0;
    double param = 0;

    if (n->agg.op == PQ_AGG_LIMITK || n->agg.op == PQ_AGG_LIMIT_RATIO ||
        (named_values && (bare(n->agg.param)->string.n == 0 || n->agg.without))) {
        return PL_UNIMPLEMENTED;
    }
    if (n->agg.param != NULL && !named_values && bare(n->agg.param)->kind != PQ_NUMBER && may_be_pinned(n->agg.expr)) {
        return PL_UNIMPLEMENTED; /* COMPAT: Prometheus then evaluates the parameter once, too */
    }
    if (n->agg.param != NULL && !named_values) {
        PL_TRY(scalar(&param, x, n->agg.param, t_ms));
    }
    if (k && (isnan(param) || fabs(param) > 1e15)) {
        return PL_UNIMPLEMENTED; /* errors that depend on all steps */
    }
    PL_TRY(eval(&in, x, n->agg.expr, t_ms));
    groups = pl_arena_zero(x->a, (in.n + 1) * sizeof(*groups));
    for (size_t i = 0; i < in.n; i++) {
        struct labels ls = group_labels(x, n, &in.v[i]);
        size_t g = 0;

        while (g < count && !labels_eq(groups[g].labels, ls)) {
            g++;
        }
        count = PL_MAX(count, g + 1);
        groups[g].labels = ls;
        put(x, &groups[g].in, in.v[i].labels, in.v[i].v);
    }
    for (size_t g = 0; g < count; g++) {
        PL_TRY(agg_group(out, x, n, &groups[g], param));
    }
    return PL_OK;
}

/* ---- operators ---- */

static bool is_comparison(enum pq_op op)
{
    return op >= PQ_OP_EQ && op <= PQ_OP_GTE;
}

static bool drops_name(const struct pq_node *n)
{
    return n->binary.return_bool || !is_comparison(n->binary.op);
}

/* l op r; false: the comparison filters it. `kept` is what a comparison lets through. */
static bool operate(double *out, const struct pq_node *n, double l, double r, double kept)
{
    bool holds;

    switch (n->binary.op) {
    case PQ_OP_ADD:
        *out = l + r;
        return true;
    case PQ_OP_SUB:
        *out = l - r;
        return true;
    case PQ_OP_MUL:
        *out = l * r;
        return true;
    case PQ_OP_DIV:
        *out = l / r;
        return true;
    case PQ_OP_MOD:
        *out = fmod(l, r);
        return true;
    case PQ_OP_POW:
        *out = pq__pow(l, r);
        return true;
    case PQ_OP_ATAN2:
        *out = pq__atan2(l, r);
        return true;
    case PQ_OP_EQ:
        holds = l == r;
        break;
    case PQ_OP_NEQ:
        holds = l != r;
        break;
    case PQ_OP_LT:
        holds = l < r;
        break;
    case PQ_OP_LTE:
        holds = l <= r;
        break;
    case PQ_OP_GT:
        holds = l > r;
        break;
    default:
        holds = l >= r;
        break;
    }
    *out = n->binary.return_bool || n->type == PQ_SCALAR ? (double)holds : kept;
    return holds || n->binary.return_bool || n->type == PQ_SCALAR;
}

static struct labels signature(struct naive *x, const struct pq_matching *m, struct labels ls)
{
    pl_str name = LABEL_METRIC_NAME;

    if (m != NULL && m->on) {
        return choose(x, ls, m->labels, m->label_count, true);
    }
    ls = choose(x, ls, &name, 1, false);
    return m != NULL ? choose(x, ls, m->labels, m->label_count, false) : ls;
}

static bool has_partner(struct naive *x, const struct pq_matching *m, struct labels ls, const struct naive_vector *v)
{
    struct labels sig = signature(x, m, ls);

    for (size_t i = 0; i < v->n; i++) {
        if (labels_eq(sig, signature(x, m, v->v[i].labels))) {
            return true;
        }
    }
    return false;
}

static pl_status set_operation(struct naive_vector *out, struct naive *x, const struct pq_node *n,
                               const struct naive_vector *l, const struct naive_vector *r)
{
    const struct pq_matching *m = n->binary.matching;

    for (size_t i = 0; i < l->n; i++) {
        if (n->binary.op == PQ_OP_OR || has_partner(x, m, l->v[i].labels, r) == (n->binary.op == PQ_OP_AND)) {
            put(x, out, l->v[i].labels, l->v[i].v);
        }
    }
    for (size_t i = 0; n->binary.op == PQ_OP_OR && i < r->n; i++) {
        if (!has_partner(x, m, r->v[i].labels, l)) {
            put(x, out, r->v[i].labels, r->v[i].v);
        }
    }
    return unique(out);
}

/* Pairs of series and what is known of them. */
struct pairing {
    const struct pq_node *n;
    bool swapped, one_to_one;
    struct naive_vector found; /* result labels of every pair, also of filtered ones; v: number of the match group */
};

static pl_status pair(struct naive_vector *out, struct naive *x, struct pairing *p, const struct naive_sample *many,
                      const struct naive_sample *one, size_t group)
{
    const struct pq_matching *m = p->n->binary.matching;
    struct labels ls = drops_name(p->n) ? nameless(x, many->labels) : many->labels;
    double l = p->swapped ? one->v : many->v, r = p->swapped ? many->v : one->v, v;

    if (p->one_to_one && m != NULL) {
        ls = choose(x, ls, m->labels, m->label_count, m->on);
    }
    for (uint32_t i = 0; m != NULL && i < m->include_count; i++) {
        ls = with(x, ls, m->include[i], labels_get(one->labels, m->include[i]));
    }
    for (size_t i = 0; i < p->found.n; i++) {
        if ((size_t)p->found.v[i].v == group && (p->one_to_one || labels_eq(p->found.v[i].labels, ls))) {
            return PL_EXEC; /* many-to-one where one was promised, or grouping that does not tell apart */
        }
    }
    put(x, &p->found, ls, (double)group);
    if (operate(&v, p->n, l, r, l)) {
        put(x, out, ls, v);
    }
    return PL_OK;
}

static pl_status vectors(struct naive_vector *out, struct naive *x, const struct pq_node *n,
                         const struct naive_vector *left, const struct naive_vector *right)
{
    const struct pq_matching *m = n->binary.matching;
    struct pairing p = {.n = n, .swapped = m != NULL && m->card == PQ_ONE_TO_MANY};
    const struct naive_vector *many = p.swapped ? right : left, *one = p.swapped ? left : right;
    bool fill_one = m != NULL && m->has_fill_right, fill_many = m != NULL && m->has_fill_left;
    struct naive_vector groups = {0};

    p.one_to_one = m == NULL || m->card == PQ_ONE_TO_ONE;
    if ((many->n == 0 && one->n == 0) || ((many->n == 0 || one->n == 0) && !fill_one && !fill_many)) {
        return PL_OK;
    }
    for (size_t i = 0; i < one->n; i++) {
        for (size_t k = 0; k < i; k++) {
            if (labels_eq(signature(x, m, one->v[i].labels), signature(x, m, one->v[k].labels))) {
                return PL_EXEC;
            }
        }
    }
    for (size_t i = 0; i < many->n; i++) {
        struct labels sig = signature(x, m, many->v[i].labels);
        size_t partner = 0, group = 0;
        struct naive_sample fill = {sig, fill_one ? m->fill_right : 0};

        while (partner < one->n && !labels_eq(signature(x, m, one->v[partner].labels), sig)) {
            partner++;
        }
        if (partner == one->n && !fill_one) {
            continue;
        }
        while (group < groups.n && !labels_eq(groups.v[group].labels, sig)) {
            group++;
        }
        if (group == groups.n) {
            put(x, &groups, sig, 0);
        }
        PL_TRY(pair(out, x, &p, &many->v[i], partner < one->n ? &one->v[partner] : &fill, group));
    }
    for (size_t i = 0; fill_many && i < one->n; i++) {
        struct labels sig = signature(x, m, one->v[i].labels);
        struct naive_sample fill = {sig, m->fill_left};

        if (!has_partner(x, m, one->v[i].labels, many)) {
            PL_TRY(pair(out, x, &p, &fill, &one->v[i], groups.n + i));
        }
    }
    return unique(out);
}

static pl_status binary(struct naive_vector *out, struct naive *x, const struct pq_node *n, int64_t t_ms)
{
    struct naive_vector l = {0}, r = {0};
    bool l_scalar = n->binary.lhs->type == PQ_SCALAR, r_scalar = n->binary.rhs->type == PQ_SCALAR;

    if (n->binary.op == PQ_OP_TRIM_UPPER || n->binary.op == PQ_OP_TRIM_LOWER) {
        return PL_UNIMPLEMENTED;
    }
    PL_TRY(eval(&l, x, n->binary.lhs, t_ms));
    PL_TRY(eval(&r, x, n->binary.rhs, t_ms));
    if (!l_scalar && !r_scalar) {
        return n->binary.op >= PQ_OP_AND ? set_operation(out, x, n, &l, &r) : vectors(out, x, n, &l, &r);
    }
    for (size_t i = 0; i < (l_scalar ? r.n : l.n); i++) {
        const struct naive_sample *s = l_scalar ? &r.v[i] : &l.v[i];
        double v;

        if (operate(&v, n, l_scalar ? l.v[0].v : s->v, r_scalar ? r.v[0].v : s->v, s->v)) {
            put(x, out, drops_name(n) ? nameless(x, s->labels) : s->labels, v);
        }
    }
    return unique(out);
}

static pl_status unary(struct naive_vector *out, struct naive *x, const struct pq_node *n, int64_t t_ms)
{
    struct naive_vector in = {0};

    if (n->unary.op == PQ_OP_ADD) {
        return eval(out, x, n->unary.expr, t_ms);
    }
    PL_TRY(eval(&in, x, n->unary.expr, t_ms));
    for (size_t i = 0; i < in.n; i++) {
        put(x, out, nameless(x, in.v[i].labels), -in.v[i].v);
    }
    return unique(out);
}

/* Depth is bounded by the parser. */
static pl_status eval(struct naive_vector *out, struct naive *x, const struct pq_node *n, int64_t t_ms)
{
    n = bare(n);
    switch (n->kind) {
    case PQ_NUMBER:
        put(x, out, (struct labels){0}, n->number.value);
        return PL_OK;
    case PQ_UNARY:
        return unary(out, x, n, t_ms);
    case PQ_BINARY:
        return binary(out, x, n, t_ms);
    case PQ_AGGREGATE:
        return aggregation(out, x, n, t_ms);
    case PQ_CALL:
        return call(out, x, n, t_ms);
    case PQ_SELECTOR:
        return selector(out, x, n, t_ms, false);
    default:
        return PL_UNIMPLEMENTED;
    }
}

pl_status naive_at(struct naive_vector *out, struct naive *x, int64_t t_ms)
{
    *out = (struct naive_vector){0};
    return eval(out, x, x->q->expr, t_ms);
}
