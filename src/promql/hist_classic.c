#include "promql/hist_value.h"
#include "promql/kernels.h"

/* Numbers out of a classic histogram's buckets. Rules: spec prometheus.md 4.4. */

#define SMALL_DELTA 1e-12 /* relative differences below this between neighbours are rounding, not data */

/* By insertion, which keeps the order of equal bounds, and that of NaN among the others as Prometheus has it. */
void pq__buckets_sort(struct hist_classic_bucket *b, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        for (size_t j = i; j > 0 && b[j].bound < b[j - 1].bound; j--) {
            struct hist_classic_bucket swap = b[j];

            b[j] = b[j - 1];
            b[j - 1] = swap;
        }
    }
}

/* Joins buckets of equal bounds; they must be sorted. */
static size_t buckets_join(struct hist_classic_bucket *b, size_t n)
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

static struct monotonic_fix buckets_fix(struct hist_classic_bucket *b, size_t n)
{
    struct monotonic_fix fix = {.bound_min = HUGE_VAL, .bound_max = -HUGE_VAL};
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

double pq__bucket_quantile(double q, struct hist_classic_bucket *b, size_t n, struct monotonic_fix *fix)
{
    double rank, start = 0, count;
    size_t lo = 0, hi;

    *fix = (struct monotonic_fix){0};
    if (isnan(q)) {
        return pq_nan();
    }
    if (q < 0 || q > 1) {
        return q < 0 ? -HUGE_VAL : HUGE_VAL;
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
static double bucket_rank(const struct hist_classic_bucket *b, size_t n, double at)
{
    double rank = 0, lower = b[0].bound <= 0 ? -HUGE_VAL : 0;

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

double pq__bucket_fraction(double from, double to, struct hist_classic_bucket *b, size_t n)
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
