#include "naive.h"
#include "promql/functions_def.h"

#include <math.h>
#include <stdlib.h>

/* Functions over a range of float samples. */

void naive_add(struct naive_sum *s, double v)
{
    double t = s->s + v;

    if (isinf(t)) {
        s->c = 0;
    } else if (fabs(s->s) >= fabs(v)) {
        s->c += (s->s - t) + v;
    } else {
        s->c += (v - t) + s->s;
    }
    s->s = t;
}

double naive_mean(const double *v, size_t n)
{
    struct naive_sum s = {v[0], 0};
    bool running = false;

    for (size_t i = 1; i < n; i++) {
        double k = (double)(i + 1);

        if (!running) {
            struct naive_sum next = s;

            naive_add(&next, v[i]);
            if (!isinf(next.s)) {
                s = next;
                continue;
            }
            running = true;
            s = (struct naive_sum){s.s / (k - 1), s.c / (k - 1)};
        }
        s = (struct naive_sum){s.s * ((k - 1) / k), s.c * ((k - 1) / k)};
        naive_add(&s, v[i] / k);
    }
    return running ? s.s + s.c : s.s / (double)n + s.c / (double)n;
}

static int value_cmp(const void *x, const void *y)
{
    double a = *(const double *)x, b = *(const double *)y;

    if (isnan(a) || isnan(b)) {
        return (int)isnan(b) - (int)isnan(a); /* NaN first */
    }
    return (a > b) - (a < b);
}

double naive_quantile(struct naive *x, double q, const double *v, size_t n)
{
    double *sorted = pl_arena_alloc(x->a, (n + 1) * sizeof(*sorted)), rank, weight;
    size_t lower, upper;

    if (n == 0 || isnan(q)) {
        return NAN;
    }
    if (q < 0 || q > 1) {
        return q < 0 ? -INFINITY : INFINITY;
    }
    memcpy(sorted, v, n * sizeof(*sorted));
    qsort(sorted, n, sizeof(*sorted), value_cmp);
    rank = q * ((double)n - 1);
    lower = (size_t)floor(rank);
    upper = PL_MIN(lower + 1, n - 1);
    weight = rank - floor(rank);
    return sorted[lower] * (1 - weight) + sorted[upper] * weight;
}

/* rate, increase and delta. */
static bool extrapolated(double *out, const struct naive_range *r, int64_t end_ms, int64_t range_ms, bool counter,
                         bool per_second)
{
    size_t last = r->n - 1;
    double d, start, end, sampled, gap;

    if (r->n < 2) {
        return false;
    }
    d = r->v[last] - r->v[0];
    for (size_t i = 1; counter && i <= last; i++) {
        d += r->v[i] < r->v[i - 1] ? r->v[i - 1] : 0;
    }
    start = (double)(r->t[0] - (end_ms - range_ms)) / 1000;
    end = (double)(end_ms - r->t[last]) / 1000;
    sampled = (double)(r->t[last] - r->t[0]) / 1000;
    gap = sampled / (double)last;
    if (start >= gap * 1.1) {
        start = gap / 2;
    }
    if (counter && d > 0 && r->v[0] >= 0) {
        double zero = sampled * (r->v[0] / d);

        start = zero < start ? zero : start;
    }
    if (end >= gap * 1.1) {
        end = gap / 2;
    }
    *out = (sampled + start + end) / sampled;
    if (per_second) {
        *out /= (double)range_ms / 1000;
    }
    *out *= d;
    return true;
}

static bool between_last_two(double *out, const struct naive_range *r, bool rate)
{
    size_t i = r->n - 1;
    double ms;

    if (r->n < 2) {
        return false;
    }
    ms = (double)(r->t[i] - r->t[i - 1]);
    *out = rate && r->v[i] < r->v[i - 1] ? r->v[i] : r->v[i] - r->v[i - 1];
    if (rate) {
        *out /= ms / 1000;
    }
    return true;
}

/* The line through the samples: its value at `origin` and its slope per second. */
static bool line(double *slope, double *at_origin, const struct naive_range *r, int64_t origin_ms)
{
    struct naive_sum x = {0}, y = {0}, xy = {0}, xx = {0};
    double n = 0, cov, var, sx, sy;
    bool steady = true;

    if (r->n < 2) {
        return false;
    }
    for (size_t i = 0; i < r->n; i++) {
        double at = (double)(r->t[i] - origin_ms) / 1000;

        steady = steady && (i == 0 || r->v[i] == r->v[0]);
        n++;
        naive_add(&x, at);
        naive_add(&y, r->v[i]);
        naive_add(&xy, at * r->v[i]);
        naive_add(&xx, at * at);
    }
    if (steady) {
        *slope = isinf(r->v[0]) ? NAN : 0;
        *at_origin = isinf(r->v[0]) ? (double)NAN : r->v[0];
        return true;
    }
    sx = x.s + x.c;
    sy = y.s + y.c;
    cov = (xy.s + xy.c) - sx * sy / n;
    var = (xx.s + xx.c) - sx * sx / n;
    *slope = cov / var;
    *at_origin = sy / n - *slope * sx / n;
    return true;
}

static double variance(const struct naive_range *r)
{
    struct naive_sum mean = {0}, aux = {0};

    for (size_t i = 0; i < r->n; i++) {
        double d = r->v[i] - (mean.s + mean.c);

        naive_add(&mean, d / (double)(i + 1));
        naive_add(&aux, d * (r->v[i] - (mean.s + mean.c)));
    }
    return (aux.s + aux.c) / (double)r->n;
}

static double extreme(const struct naive_range *r, bool max, size_t *at)
{
    double v = r->v[0];

    *at = 0;
    for (size_t i = 1; i < r->n; i++) {
        if (isnan(v) || (max ? r->v[i] >= v : r->v[i] <= v)) {
            v = r->v[i];
            *at = i;
        }
    }
    return v;
}

static double count_if(const struct naive_range *r, bool resets)
{
    double n = 0;

    for (size_t i = 1; i < r->n; i++) {
        double a = r->v[i - 1], b = r->v[i];

        n += resets ? b < a : a != b && !(isnan(a) && isnan(b));
    }
    return n;
}

static bool smoothing(double *out, const struct naive_range *r, double sf, double tf)
{
    double before = 0, now = r->v[0], trend;

    if (r->n < 2) {
        return false;
    }
    trend = r->v[1] - r->v[0];
    for (size_t i = 1; i < r->n; i++) {
        double level;

        if (i > 1) {
            trend = tf * (now - before) + (1 - tf) * trend;
        }
        level = (1 - sf) * (now + trend);
        before = now;
        now = sf * r->v[i] + level;
    }
    *out = now;
    return true;
}

static double deviation_median(struct naive *x, const struct naive_range *r)
{
    double median = naive_quantile(x, 0.5, r->v, r->n), *d = pl_arena_alloc(x->a, r->n * sizeof(*d));

    for (size_t i = 0; i < r->n; i++) {
        if (isnan(r->v[i])) {
            return NAN;
        }
        d[i] = fabs(r->v[i] - median);
    }
    return naive_quantile(x, 0.5, d, r->n);
}

static double sum_of(const struct naive_range *r)
{
    struct naive_sum s = {0};

    for (size_t i = 0; i < r->n; i++) {
        naive_add(&s, r->v[i]);
    }
    return isinf(s.s) ? s.s : s.s + s.c;
}

pl_status naive_range_value(bool *has, double *out, struct naive *x, int kernel, const struct naive_range *r,
                            int64_t end_ms, int64_t range_ms, int64_t step_time_ms, const double *arg)
{
    size_t at;
    double slope, level;

    *has = true;
    switch (kernel) {
    case PQ_FN_RATE:
    case PQ_FN_INCREASE:
    case PQ_FN_DELTA:
        *has = extrapolated(out, r, end_ms, range_ms, kernel != PQ_FN_DELTA, kernel == PQ_FN_RATE);
        return PL_OK;
    case PQ_FN_IRATE:
    case PQ_FN_IDELTA:
        *has = between_last_two(out, r, kernel == PQ_FN_IRATE);
        return PL_OK;
    case PQ_FN_DERIV:
        *has = line(out, &level, r, r->t[0]);
        return PL_OK;
    case PQ_FN_PREDICT_LINEAR:
        *has = line(&slope, &level, r, step_time_ms);
        *out = *has ? slope * arg[0] + level : 0;
        return PL_OK;
    case PQ_FN_DOUBLE_EXPONENTIAL_SMOOTHING:
        if (!(arg[0] > 0 && arg[0] < 1 && arg[1] > 0 && arg[1] < 1)) {
            return isnan(arg[0]) || isnan(arg[1]) ? PL_UNIMPLEMENTED : PL_EXEC;
        }
        *has = smoothing(out, r, arg[0], arg[1]);
        return PL_OK;
    case PQ_FN_SUM_OVER_TIME:
        *out = sum_of(r);
        return PL_OK;
    case PQ_FN_AVG_OVER_TIME:
        *out = naive_mean(r->v, r->n);
        return PL_OK;
    case PQ_FN_COUNT_OVER_TIME:
        *out = (double)r->n;
        return PL_OK;
    case PQ_FN_PRESENT_OVER_TIME:
        *out = 1;
        return PL_OK;
    case PQ_FN_LAST_OVER_TIME:
        *out = r->v[r->n - 1];
        return PL_OK;
    case PQ_FN_FIRST_OVER_TIME:
        *out = r->v[0];
        return PL_OK;
    case PQ_FN_MAX_OVER_TIME:
    case PQ_FN_MIN_OVER_TIME:
        *out = extreme(r, kernel == PQ_FN_MAX_OVER_TIME, &at);
        return PL_OK;
    case PQ_FN_TS_OF_MAX_OVER_TIME:
    case PQ_FN_TS_OF_MIN_OVER_TIME:
        (void)extreme(r, kernel == PQ_FN_TS_OF_MAX_OVER_TIME, &at);
        *out = (double)r->t[at] / 1000;
        return PL_OK;
    case PQ_FN_TS_OF_FIRST_OVER_TIME:
        *out = (double)r->t[0] / 1000;
        return PL_OK;
    case PQ_FN_TS_OF_LAST_OVER_TIME:
        *out = (double)PL_MAX(r->t[r->n - 1], (int64_t)0) / 1000; /* COMPAT: never before 1970 */
        return PL_OK;
    case PQ_FN_STDVAR_OVER_TIME:
        *out = variance(r);
        return PL_OK;
    case PQ_FN_STDDEV_OVER_TIME:
        *out = sqrt(variance(r));
        return PL_OK;
    case PQ_FN_QUANTILE_OVER_TIME:
        *out = naive_quantile(x, arg[0], r->v, r->n);
        return PL_OK;
    case PQ_FN_MAD_OVER_TIME:
        *out = deviation_median(x, r);
        return PL_OK;
    case PQ_FN_CHANGES:
    case PQ_FN_RESETS:
        *out = count_if(r, kernel == PQ_FN_RESETS);
        return PL_OK;
    default:
        return PL_UNIMPLEMENTED;
    }
}
