/* promql/kernels_rate.h - how far an increase between two samples reaches beyond them (this folder only). */
#ifndef PL_PROMQL_KERNELS_RATE_H
#define PL_PROMQL_KERNELS_RATE_H

#include "promql/kernels.h"

struct rate_kind {
    bool counter;
    double range_s; /* 0: not divided by time */
};

/* What lies in the window: distances in seconds. */
struct rate_span {
    double to_start, to_end; /* from the range's edges to the first and last sample */
    double sampled;          /* between those */
    double gaps;             /* samples - 1, at least 1 */
};

/* By what the rise between the first and the last sample is multiplied. Spec prometheus.md 4.3, steps 2 to 5. */
static inline double pq__rate_factor(double rise, double first, struct rate_span s, struct rate_kind k)
{
    double gap = s.sampled / s.gaps;
    double limit = gap * 1.1;
    double factor = 1.0;

    if (s.to_start >= limit) {
        s.to_start = gap / 2;
    }
    if (k.counter && rise > 0 && first >= 0) {
        double to_zero = s.sampled * (first / rise);

        if (to_zero < s.to_start) {
            s.to_start = to_zero;
        }
    }
    if (s.to_end >= limit) {
        s.to_end = gap / 2;
    }
    if (s.sampled != 0) {
        factor = (s.sampled + s.to_start + s.to_end) / s.sampled;
    }
    if (k.range_s != 0) {
        factor /= k.range_s;
    }
    return factor;
}

/* Go's Duration.Seconds() of the range, a whole number of milliseconds. */
static inline double pq__range_seconds(const struct windows *w)
{
    return (double)(w->range_ms / 1000) + (double)(w->range_ms % 1000 * 1000000) / 1e9;
}

/* First index in [0, n) with t > ms, or n. */
static inline size_t pq__first_after(const int64_t *t, size_t n, int64_t ms)
{
    size_t lo = 0, hi = n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (t[mid] > ms) {
            hi = mid;
        } else {
            lo = mid + 1;
        }
    }
    return lo;
}

#endif
