#include "promql/functions_def.h"
#include "promql/kernels.h"

#include <stdlib.h>

/* Functions over windows. Each window is summed in order of time: taking samples off a running sum would change bits.
 */

#define WINDOW_KERNEL(name, expr)                                   \
    static void name(const struct windows *w, double *restrict out) \
    {                                                               \
        for (size_t i = 0; i < w->steps; i++) {                     \
            size_t n = w->hi[i] - w->lo[i];                         \
            const double *v = w->v + w->lo[i];                      \
            const int64_t *t = w->t + w->lo[i];                     \
                                                                    \
            (void)v;                                                \
            (void)t;                                                \
            out[i] = n == 0 ? pq_absent() : (expr);                 \
        }                                                           \
    }

static double sum_of(const double *v, size_t n)
{
    double s = 0, c = 0;

    for (size_t i = 0; i < n; i++) {
        kahan_inc(v[i], &s, &c);
    }
    return isinf(s) ? s : s + c;
}

static double avg_of(const double *v, size_t n)
{
    double s = 0, c = 0, mean = 0;
    bool running_mean = false;

    for (size_t i = 0; i < n; i++) {
        double count = (double)(i + 1), share;

        if (!running_mean) {
            double s2 = s, c2 = c;

            kahan_inc(v[i], &s2, &c2);
            if (i == 0 || !isinf(s2)) {
                s = s2;
                c = c2;
                continue;
            }
            running_mean = true; /* the sum overflows: from here on as a mean */
            mean = s / (count - 1);
            c /= count - 1;
        }
        share = (count - 1) / count;
        mean *= share;
        c *= share;
        kahan_inc(v[i] / count, &mean, &c);
    }
    return running_mean ? mean + c : s / (double)n + c / (double)n;
}

static double variance_of(const double *v, size_t n)
{
    double mean = 0, mean_c = 0, aux = 0, aux_c = 0;

    for (size_t i = 0; i < n; i++) {
        double d = v[i] - (mean + mean_c);

        kahan_inc(d / (double)(i + 1), &mean, &mean_c);
        kahan_inc(d * (v[i] - (mean + mean_c)), &aux, &aux_c);
    }
    return (aux + aux_c) / (double)n;
}

static double min_of(const double *v, size_t n)
{
    double m = v[0];

    for (size_t i = 1; i < n; i++) {
        m = v[i] < m || isnan(m) ? v[i] : m;
    }
    return m;
}

static double max_of(const double *v, size_t n)
{
    double m = v[0];

    for (size_t i = 1; i < n; i++) {
        m = v[i] > m || isnan(m) ? v[i] : m;
    }
    return m;
}

/* Time in seconds of the last of the smallest (largest) values. */
static double ts_of_extreme(const int64_t *t, const double *v, size_t n, bool largest)
{
    size_t at = 0;

    for (size_t i = 1; i < n; i++) {
        if (isnan(v[at]) || (largest ? v[i] >= v[at] : v[i] <= v[at])) {
            at = i;
        }
    }
    return (double)t[at] / 1000;
}

static double changes_of(const double *v, size_t n)
{
    size_t count = 0;

    for (size_t i = 1; i < n; i++) {
        count += v[i] != v[i - 1] && !(isnan(v[i]) && isnan(v[i - 1]));
    }
    return (double)count;
}

static double resets_of(const double *v, size_t n)
{
    size_t count = 0;

    for (size_t i = 1; i < n; i++) {
        count += v[i] < v[i - 1];
    }
    return (double)count;
}

WINDOW_KERNEL(k_sum, sum_of(v, n))
WINDOW_KERNEL(k_avg, avg_of(v, n))
WINDOW_KERNEL(k_min, min_of(v, n))
WINDOW_KERNEL(k_max, max_of(v, n))
WINDOW_KERNEL(k_count, (double)n)
WINDOW_KERNEL(k_present, 1.0)
WINDOW_KERNEL(k_first, v[0])
WINDOW_KERNEL(k_last, v[n - 1])
WINDOW_KERNEL(k_stdvar, variance_of(v, n))
WINDOW_KERNEL(k_stddev, sqrt(variance_of(v, n)))
WINDOW_KERNEL(k_changes, changes_of(v, n))
WINDOW_KERNEL(k_resets, resets_of(v, n))
WINDOW_KERNEL(k_ts_first, (double)t[0] / 1000)
WINDOW_KERNEL(k_ts_last, (double)PL_MAX(t[n - 1], INT64_C(0)) / 1000) /* COMPAT: nothing before 1970 */
WINDOW_KERNEL(k_ts_min, ts_of_extreme(t, v, n, false))
WINDOW_KERNEL(k_ts_max, ts_of_extreme(t, v, n, true))

/* ---- order statistics ---- */

static int value_cmp(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    if (isnan(x) || isnan(y)) {
        return (int)isnan(y) - (int)isnan(x);
    }
    return (x > y) - (x < y);
}

void pq__sort_values(double *v, size_t n)
{
    qsort(v, n, sizeof(*v), value_cmp);
}

double pq__quantile(double q, double *v, size_t n)
{
    double rank, low, high, weight;

    if (n == 0 || isnan(q)) {
        return pq_nan();
    }
    if (q < 0 || q > 1) {
        return q < 0 ? -HUGE_VAL : HUGE_VAL;
    }
    pq__sort_values(v, n);
    rank = q * ((double)n - 1);
    low = fmax(0, floor(rank));
    high = fmin((double)n - 1, low + 1);
    weight = rank - floor(rank);
    return v[(size_t)low] * (1 - weight) + v[(size_t)high] * weight;
}

static void k_quantile(const struct windows *w, double *restrict out)
{
    for (size_t i = 0; i < w->steps; i++) {
        size_t n = w->hi[i] - w->lo[i];

        memcpy(w->scratch, w->v + w->lo[i], n * sizeof(double));
        out[i] = n == 0 ? pq_absent() : pq__quantile(w->arg[0][i], w->scratch, n);
    }
}

static double mad_of(double *v, size_t n)
{
    double median;

    for (size_t i = 0; i < n; i++) {
        if (isnan(v[i])) {
            return pq_nan();
        }
    }
    median = pq__quantile(0.5, v, n);
    for (size_t i = 0; i < n; i++) {
        v[i] = fabs(v[i] - median);
    }
    return pq__quantile(0.5, v, n);
}

static void k_mad(const struct windows *w, double *restrict out)
{
    for (size_t i = 0; i < w->steps; i++) {
        size_t n = w->hi[i] - w->lo[i];

        memcpy(w->scratch, w->v + w->lo[i], n * sizeof(double));
        out[i] = n == 0 ? pq_absent() : mad_of(w->scratch, n);
    }
}

/* ---- regression and smoothing ---- */

struct line {
    double slope, intercept;
};

static struct line line_fit(const int64_t *t, const double *v, size_t count, int64_t origin_ms)
{
    double n = (double)count, sx = 0, cx = 0, sy = 0, cy = 0, sxy = 0, cxy = 0, sxx = 0, cxx = 0, cov, var, slope;
    bool flat = true;

    for (size_t i = 0; i < count; i++) {
        double x = (double)(t[i] - origin_ms) / 1e3;

        flat = flat && !(i > 0 && v[i] != v[0]);
        kahan_inc(x, &sx, &cx);
        kahan_inc(v[i], &sy, &cy);
        kahan_inc(x * v[i], &sxy, &cxy);
        kahan_inc(x * x, &sxx, &cxx);
    }
    if (flat) {
        return isinf(v[0]) ? (struct line){pq_nan(), pq_nan()} : (struct line){0, v[0]};
    }
    sx += cx;
    sy += cy;
    sxy += cxy;
    sxx += cxx;
    cov = sxy - sx * sy / n;
    var = sxx - sx * sx / n;
    slope = cov / var;
    return (struct line){slope, sy / n - slope * sx / n};
}

static void k_deriv(const struct windows *w, double *restrict out)
{
    for (size_t i = 0; i < w->steps; i++) {
        uint32_t lo = w->lo[i], n = w->hi[i] - lo;

        out[i] = n < 2 ? pq_absent() : line_fit(w->t + lo, w->v + lo, n, w->t[lo]).slope;
    }
}

static void k_predict_linear(const struct windows *w, double *restrict out)
{
    for (size_t i = 0; i < w->steps; i++) {
        uint32_t lo = w->lo[i], n = w->hi[i] - lo;
        struct line l;

        if (n < 2) {
            out[i] = pq_absent();
            continue;
        }
        l = line_fit(w->t + lo, w->v + lo, n, w->ts0_ms + (int64_t)i * w->ts_step_ms);
        out[i] = l.slope * w->arg[0][i] + l.intercept;
    }
}

/* Each sample waits for the one before it, so LANES windows are taken side by side: the same operations in the same
 * order for each. */
enum { LANES = 8 };

struct smooth {
    const double *v[LANES];
    double sf[LANES], tf[LANES];
    double s0[LANES], s1[LANES], b[LANES];
};

static inline void smooth_begin(struct smooth *s, size_t l)
{
    const double *v = s->v[l];

    s->b[l] = v[1] - v[0];
    s->s0[l] = v[0];
    s->s1[l] = s->sf[l] * v[1] + (1 - s->sf[l]) * (v[0] + s->b[l]);
}

static inline void smooth_sample(struct smooth *s, size_t l, size_t k)
{
    double x = s->sf[l] * s->v[l][k], y;

    s->b[l] = s->tf[l] * (s->s1[l] - s->s0[l]) + (1 - s->tf[l]) * s->b[l];
    y = (1 - s->sf[l]) * (s->s1[l] + s->b[l]);
    s->s0[l] = s->s1[l];
    s->s1[l] = x + y;
}

/* LANES windows from step i on, each of at least two samples. */
static void smooth_lanes(const struct windows *w, double *restrict out, size_t i)
{
    struct smooth s;
    size_t n[LANES], common = SIZE_MAX;

    for (size_t l = 0; l < LANES; l++) {
        n[l] = w->hi[i + l] - w->lo[i + l];
        common = PL_MIN(common, n[l]);
        s.v[l] = w->v + w->lo[i + l];
        s.sf[l] = w->arg[0][i + l];
        s.tf[l] = w->arg[1][i + l];
        smooth_begin(&s, l);
    }
    for (size_t k = 2; k < common; k++) {
        for (size_t l = 0; l < LANES; l++) {
            smooth_sample(&s, l, k);
        }
    }
    for (size_t l = 0; l < LANES; l++) {
        for (size_t k = common; k < n[l]; k++) {
            smooth_sample(&s, l, k);
        }
        out[i + l] = s.s1[l];
    }
}

static double smooth_one(const struct windows *w, size_t i)
{
    struct smooth s;
    size_t n = w->hi[i] - w->lo[i];

    s.v[0] = w->v + w->lo[i];
    s.sf[0] = w->arg[0][i];
    s.tf[0] = w->arg[1][i];
    smooth_begin(&s, 0);
    for (size_t k = 2; k < n; k++) {
        smooth_sample(&s, 0, k);
    }
    return s.s1[0];
}

static bool lanes_full(const struct windows *w, size_t i)
{
    bool full = w->steps - i >= LANES;

    for (size_t l = 0; full && l < LANES; l++) {
        full = w->hi[i + l] - w->lo[i + l] >= 2;
    }
    return full;
}

static void k_double_exponential(const struct windows *w, double *restrict out)
{
    for (size_t i = 0; i < w->steps;) {
        if (lanes_full(w, i)) {
            smooth_lanes(w, out, i);
            i += LANES;
        } else {
            out[i] = w->hi[i] - w->lo[i] < 2 ? pq_absent() : smooth_one(w, i);
            i++;
        }
    }
}

window_fn pq__window_kernel(int func)
{
    switch (func) {
    case PQ_FN_RATE:
        return pq__rate;
    case PQ_FN_INCREASE:
        return pq__increase;
    case PQ_FN_DELTA:
        return pq__delta;
    case PQ_FN_IRATE:
        return pq__irate;
    case PQ_FN_IDELTA:
        return pq__idelta;
    case PQ_FN_SUM_OVER_TIME:
        return k_sum;
    case PQ_FN_AVG_OVER_TIME:
        return k_avg;
    case PQ_FN_MIN_OVER_TIME:
        return k_min;
    case PQ_FN_MAX_OVER_TIME:
        return k_max;
    case PQ_FN_COUNT_OVER_TIME:
        return k_count;
    case PQ_FN_PRESENT_OVER_TIME:
    case PQ_FN_ABSENT_OVER_TIME:
        return k_present;
    case PQ_FN_FIRST_OVER_TIME:
        return k_first;
    case PQ_FN_LAST_OVER_TIME:
        return k_last;
    case PQ_FN_STDVAR_OVER_TIME:
        return k_stdvar;
    case PQ_FN_STDDEV_OVER_TIME:
        return k_stddev;
    case PQ_FN_CHANGES:
        return k_changes;
    case PQ_FN_RESETS:
        return k_resets;
    case PQ_FN_TS_OF_FIRST_OVER_TIME:
        return k_ts_first;
    case PQ_FN_TS_OF_LAST_OVER_TIME:
        return k_ts_last;
    case PQ_FN_TS_OF_MIN_OVER_TIME:
        return k_ts_min;
    case PQ_FN_TS_OF_MAX_OVER_TIME:
        return k_ts_max;
    case PQ_FN_QUANTILE_OVER_TIME:
        return k_quantile;
    case PQ_FN_MAD_OVER_TIME:
        return k_mad;
    case PQ_FN_DERIV:
        return k_deriv;
    case PQ_FN_PREDICT_LINEAR:
        return k_predict_linear;
    case PQ_FN_DOUBLE_EXPONENTIAL_SMOOTHING:
        return k_double_exponential;
    default:
        return NULL;
    }
}
