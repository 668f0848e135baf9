/* promql/kernels.h - loops over plain arrays that functions are made of. No allocation, no errors. */
#ifndef PL_PROMQL_KERNELS_H
#define PL_PROMQL_KERNELS_H

#include "promql/eval.h"

#include <math.h>

/* Kahan-Neumaier: adds x to (s, c). Spec prometheus.md 3.1; the value is s + c. */
static inline void kahan_inc(double x, double *s, double *c)
{
    double t = *s + x;

    if (PL_UNLIKELY(isinf(t))) {
        *c = 0;
    } else if (fabs(*s) >= fabs(x)) {
        *c += (*s - t) + x;
    } else {
        *c += (x - t) + *s;
    }
    *s = t;
}

/* Go's math.Min and math.Max: NaN wins over all but the infinity asked for, and -0 is less than +0. */
static inline double go_min(double a, double b)
{
    if (isinf(a) && a < 0) {
        return a;
    }
    if (isinf(b) && b < 0) {
        return b;
    }
    if (isnan(a) || isnan(b)) {
        return pq_nan();
    }
    return a == b ? (signbit(a) ? a : b) : a < b ? a : b;
}
static inline double go_max(double a, double b)
{
    if (isinf(a) && a > 0) {
        return a;
    }
    if (isinf(b) && b > 0) {
        return b;
    }
    if (isnan(a) || isnan(b)) {
        return pq_nan();
    }
    return a == b ? (signbit(a) ? b : a) : a > b ? a : b;
}

/* The windows of one series over all steps. Window i holds samples lo[i] .. hi[i]-1, those with
 * ref(i) - range - before < t <= ref(i) + after. */
struct windows {
    const int64_t *t;
    const double *v;
    size_t n;
    const uint32_t *lo, *hi;
    size_t steps;
    int64_t ref0_ms, ref_step_ms; /* ref(i) = ref0 + i * ref_step; ref_step is 0 under @ */
    int64_t ts0_ms, ts_step_ms;   /* evaluation times */
    int64_t range_ms;
    int64_t before_ms, after_ms; /* anchored and smoothed: how far the windows reach beyond the range */
    const double *arg[2];        /* scalar arguments, one value a step; NULL: none */
    double *scratch;             /* room for 2 * n */
};

/* Writes every step's result, absent where there is none. */
typedef void (*window_fn)(const struct windows *w, double *out);

window_fn pq__window_kernel(int func);          /* NULL: not a range function that exists */
window_fn pq__window_kernel_anchored(int func); /* NULL: not allowed */
window_fn pq__window_kernel_smoothed(int func); /* NULL: not allowed */
/* The points of an anchored or smoothed range as a result, its edges among them; t and v have room for w->n + 2. */
size_t pq__extended_points(int64_t *t, double *v, const struct windows *w);
void pq__rate(const struct windows *w, double *out);
void pq__increase(const struct windows *w, double *out);
void pq__delta(const struct windows *w, double *out);
void pq__irate(const struct windows *w, double *out);
void pq__idelta(const struct windows *w, double *out);
/* lo and hi of every step. */
void pq__windows_fill(uint32_t *lo, uint32_t *hi, const struct windows *w);

/* One value in, one value out; NULL: not such a function. */
typedef double (*value_fn)(double v);
value_fn pq__value_kernel(int func);

/* Prometheus's quantile over n values, which are sorted in place. */
double pq__quantile(double q, double *v, size_t n);
void pq__sort_values(double *v, size_t n); /* NaN first */

/* As Go's math package, to the bit: kernels_math.c. */
double pq__log(double x);
double pq__log2(double x);
double pq__log10(double x);
double pq__log1p(double x);
double pq__exp(double x);
double pq__exp2(double x);
double pq__pow(double x, double y);

/* ---- kernels_trig.c ---- */

double pq__sin(double x);
double pq__cos(double x);
double pq__tan(double x);
double pq__asin(double x);
double pq__acos(double x);
double pq__atan(double x);
double pq__atan2(double y, double x);
double pq__sinh(double x);
double pq__cosh(double x);
double pq__tanh(double x);
double pq__asinh(double x);
double pq__acosh(double x);
double pq__atanh(double x);

/* a op b of two present values. */
double pq__arith(enum pq_op op, double l, double r);
bool pq__compare(enum pq_op op, double l, double r);
static inline bool pq__op_is_comparison(enum pq_op op)
{
    return op >= PQ_OP_EQ && op <= PQ_OP_GTE;
}
static inline bool pq__op_is_trim(enum pq_op op)
{
    return op == PQ_OP_TRIM_UPPER || op == PQ_OP_TRIM_LOWER;
}

#endif
