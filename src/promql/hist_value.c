#include "promql/hist_value.h"

#include "promql/kernels.h"

/* ---- quantiles ---- */

/* The position in an exponential bucket is a position between the logarithms of its bounds. */
static double exponential_at(const struct hist_bucket *b, double fraction)
{
    double lower = pq__log2(fabs(b->lower)), upper = pq__log2(fabs(b->upper));

    if (b->lower > 0) {
        return pq__exp2(lower + (upper - lower) * fraction);
    }
    return -pq__exp2(upper + (lower - upper) * (1 - fraction));
}

/* A zero bucket reaches to one side only when the other side has no buckets. */
static void zero_bucket_cut(struct hist_bucket *b, const struct hist *h)
{
    if (h->neg.len == 0 && h->pos.len > 0) {
        b->lower = 0;
    } else if (h->pos.len == 0 && h->neg.len > 0) {
        b->upper = 0;
    }
}

/* Where the walk over the buckets ended. */
struct quantile_walk {
    struct hist_iter it;
    struct hist_bucket b;
    double count, rank;
    bool forward;
};

static void quantile_find(struct quantile_walk *w, double q, const struct hist *h)
{
    struct hist_bucket b;

    /* NaN observations count, but lie in no bucket: only from below is a rank what it says. */
    *w = (struct quantile_walk){.forward = isnan(h->sum) || q < 0.5};
    w->rank = w->forward ? q * h->count : (1 - q) * h->count;
    hist_iter_init(&w->it, h, !w->forward);
    while (hist_iter_next(&w->it, &b)) {
        w->b = b;
        if (b.count == 0) {
            continue;
        }
        w->count += b.count;
        if (w->count >= w->rank) {
            return;
        }
    }
}

/* Are there fewer observations in the buckets than in all, so that the rest is NaN? */
static bool rest_is_nan(struct quantile_walk *w, const struct hist *h)
{
    double count = w->count;
    struct hist_bucket b;

    while (hist_iter_next(&w->it, &b)) {
        w->b = b; /* COMPAT: Prometheus forgets the bucket of the quantile here and goes on with the last one */
        count += b.count;
    }
    return count < h->count;
}

/* The bounds of the bucket found. True: *v is the result already. */
static bool quantile_bounds(struct quantile_walk *w, const struct hist *h, double *v)
{
    if (!hist_is_custom(h)) {
        if (w->b.lower < 0 && w->b.upper > 0) {
            zero_bucket_cut(&w->b, h);
        }
        return false;
    }
    if (w->b.lower == -HUGE_VAL) {
        *v = w->b.upper;
        w->b.lower = 0;
        return w->b.upper <= 0;
    }
    *v = w->b.lower;
    return w->b.upper == HUGE_VAL;
}

double pq__hist_quantile(double q, const struct hist *h, enum hist_nan *said)
{
    struct quantile_walk w;
    double v, fraction;

    *said = HIST_NAN_NONE;
    if (q < 0 || q > 1) {
        return q < 0 ? -HUGE_VAL : HUGE_VAL;
    }
    if (h->count == 0 || isnan(q)) {
        return pq_nan();
    }
    quantile_find(&w, q, h);
    if (quantile_bounds(&w, h, &v)) {
        return v;
    }
    w.count = w.count > h->count ? h->count : w.count;
    if (w.count < w.rank) {
        *said = isnan(h->sum) ? HIST_NAN_RESULT : HIST_NAN_NONE;
        return isnan(h->sum) ? pq_nan() : w.b.upper;
    }
    w.rank = w.forward ? w.rank - (w.count - w.b.count) : w.count - w.rank;
    if (isnan(h->sum) && rest_is_nan(&w, h)) {
        *said = HIST_NAN_SKEW;
    }
    fraction = w.rank / w.b.count;
    if (hist_is_custom(h) || (w.b.lower <= 0 && w.b.upper >= 0)) {
        return w.b.lower + (w.b.upper - w.b.lower) * fraction;
    }
    return exponential_at(&w.b, fraction);
}

/* ---- fractions ---- */

/* The share of a bucket's observations below v, which lies inside it. */
static double share_below(const struct hist_bucket *b, double v, bool linear)
{
    double lower, upper, at;

    if (linear) {
        return (v - b->lower) / (b->upper - b->lower);
    }
    lower = pq__log2(fabs(b->lower));
    upper = pq__log2(fabs(b->upper));
    at = pq__log2(fabs(v));
    return v > 0 ? (at - lower) / (upper - lower) : 1 - ((at - upper) / (lower - upper));
}

/* How many observations lie below an edge, once that is known. */
struct edge_rank {
    double at, rank;
    bool set;
};

static void edge_before(struct edge_rank *e, const struct hist_bucket *b, double rank)
{
    if (!e->set && b->lower >= e->at) {
        e->rank = rank;
        e->set = true;
    }
}

static void edge_inside(struct edge_rank *e, const struct hist_bucket *b, double rank, bool linear)
{
    if (e->set || !(b->lower < e->at && b->upper > e->at)) {
        return;
    }
    /* nothing can be said about a place in a bucket without a lower bound: it counts whole */
    e->rank = linear && b->lower == -HUGE_VAL ? b->count : rank + b->count * share_below(b, e->at, linear);
    e->set = true;
}

double pq__hist_fraction(double from, double to, const struct hist *h, enum hist_nan *said)
{
    struct edge_rank lower = {.at = from}, upper = {.at = to};
    double count = 0, rank = 0;
    struct hist_bucket b;
    struct hist_iter it;

    *said = HIST_NAN_NONE;
    if (h->count == 0 || isnan(from) || isnan(to)) {
        return pq_nan();
    }
    if (from >= to) {
        return 0;
    }
    hist_iter_init(&it, h, false);
    while (!(lower.set && upper.set) && hist_iter_next(&it, &b)) {
        bool around_zero = b.lower <= 0 && b.upper >= 0, linear = around_zero || hist_is_custom(h);

        count += b.count;
        if (around_zero) {
            zero_bucket_cut(&b, h);
        }
        edge_before(&lower, &b, rank);
        edge_before(&upper, &b, rank);
        edge_inside(&lower, &b, rank, linear);
        edge_inside(&upper, &b, rank, linear);
        rank += b.count;
    }
    if (isnan(h->sum)) {
        while (hist_iter_next(&it, &b)) {
            count += b.count;
        }
        *said = count < h->count ? HIST_NAN_FRACTION : HIST_NAN_NONE;
    } else {
        count = h->count;
    }
    lower.rank = !lower.set || lower.rank > count ? count : lower.rank;
    upper.rank = !upper.set || upper.rank > count ? count : upper.rank;
    return (upper.rank - lower.rank) / h->count;
}

/* ---- variance ---- */

/* Where the observations of a bucket are taken to lie. */
static double bucket_middle(const struct hist *h, const struct hist_bucket *b)
{
    double root;

    if (hist_is_custom(h)) {
        return (b->upper + b->lower) / 2.0;
    }
    if (b->lower <= 0 && b->upper >= 0) {
        return 0;
    }
    root = sqrt(b->upper * b->lower);
    return b->upper < 0 ? -root : root;
}

double pq__hist_variance(const struct hist *h)
{
    double mean = h->sum / h->count, sum = 0, c = 0;
    struct hist_bucket b;
    struct hist_iter it;

    hist_iter_init(&it, h, false);
    while (hist_iter_next(&it, &b)) {
        if (b.count != 0) {
            double d = bucket_middle(h, &b) - mean;

            kahan_inc(b.count * d * d, &sum, &c);
        }
    }
    sum += c;
    return sum / h->count;
}
