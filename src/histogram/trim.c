#include "histogram/internal.h"

/* log2 as Go computes it on amd64: fdlibm's logarithm of the fraction, the exponent added. The order of the operations
 * decides the last bits, which libm's log2 does not have. x is positive or not a number. */
static double go_log2(double x)
{
    static const double ln2_hi = 6.93147180369123816490e-01, ln2_lo = 1.90821492927058770002e-10;
    double frac, f, k = 0, s, s2, s4, odd, even, half, ln;
    int exponent;

    if (!(x > 0) || isinf(x)) {
        return log2(x);
    }
    frac = frexp(x, &exponent);
    if (frac == 0.5) {
        return (double)(exponent - 1);
    }
    f = frac;
    if (f <= M_SQRT1_2) {
        f *= 2;
        k = -1;
    }
    f -= 1;
    s = f / (2 + f);
    s2 = s * s;
    s4 = s2 * s2;
    odd = s2 * (6.666666666666735130e-01 +
                s4 * (2.857142874366239149e-01 + s4 * (1.818357216161805012e-01 + s4 * 1.479819860511658591e-01)));
    even = s4 * (3.999999999940941908e-01 + s4 * (2.222219843214978396e-01 + s4 * 1.531383769920937332e-01));
    half = 0.5 * f * f;
    ln = k * ln2_hi - ((half - (s * (half + (odd + even)) + k * ln2_lo)) - f);
    return ln * M_LOG2E + (double)exponent;
}

/* The part of a bucket's width below v, which is inside: linear with custom buckets, else on a logarithmic scale. */
static double fraction_below(const struct hist_bucket *b, double v, bool linear)
{
    double lower, upper, at;

    if (linear) {
        return (v - b->lower) / (b->upper - b->lower);
    }
    lower = go_log2(fabs(b->lower));
    upper = go_log2(fabs(b->upper));
    at = go_log2(fabs(v));
    return v > 0 ? (at - lower) / (upper - lower) : 1 - (at - upper) / (lower - upper);
}

/* What stands for the observations between two bounds in the new sum. */
static double midpoint(double lower, double upper, bool positive, bool linear)
{
    double mean;

    if (isinf(lower)) {
        return isinf(upper) ? 0 : upper > 0 ? upper / 2 : upper;
    }
    if (isinf(upper)) {
        return lower;
    }
    if (linear) {
        return (lower + upper) / 2;
    }
    mean = sqrt(fabs(lower * upper));
    return positive ? mean : -mean;
}

struct kept {
    double count, mid;
};

static double finite_or_zero(double x)
{
    return isinf(x) ? 0 : x;
}

/* A bucket with an infinite bound: where inside it the observations are is not known. */
static struct kept keep_of_infinite(const struct hist_bucket *b, double at, bool upper)
{
    if (b->lower == -HUGE_VAL) {
        bool from_zero = b->upper > 0 && !isinf(b->upper); /* observations are taken to begin at 0 */

        if (upper) {
            if (at >= b->upper) {
                return (struct kept){b->count, 0};
            }
            if (at > 0 && from_zero) {
                return (struct kept){b->count * at / b->upper, at / 2};
            }
            return b->upper <= 0 ? (struct kept){b->count, at} : (struct kept){0, finite_or_zero(b->upper)};
        }
        if (at <= b->lower) {
            return (struct kept){b->count, 0};
        }
        if (at >= 0 && b->upper > at && !isinf(b->upper)) {
            return (struct kept){b->count * (1 - at / b->upper), (at + b->upper) / 2};
        }
        return (struct kept){0, finite_or_zero(b->upper)};
    }
    if (!upper && at >= b->lower) {
        return (struct kept){b->count, at};
    }
    return (struct kept){0, finite_or_zero(b->lower)};
}

static struct kept keep_of_bucket(const struct hist_bucket *b, double at, bool upper, bool positive, bool linear)
{
    double under;

    if (b->lower == -HUGE_VAL || b->upper == HUGE_VAL) {
        return keep_of_infinite(b, at, upper);
    }
    under = at <= b->lower ? 0 : at >= b->upper ? b->count : b->count * fraction_below(b, at, linear);
    if (upper) {
        return (struct kept){under, midpoint(b->lower, at, positive, linear)};
    }
    return (struct kept){b->count - under, midpoint(at, b->upper, positive, linear)};
}

static struct kept keep_of_zero(const struct hist *h, double at, bool upper_trim, bool has_pos, bool has_neg)
{
    double lower = has_pos && !has_neg ? 0 : -h->zero_threshold, upper = has_neg && !has_pos ? 0 : h->zero_threshold;
    double fraction, mid;

    if (at <= lower || at >= upper) {
        bool all = at <= lower ? !upper_trim : upper_trim;
        return all ? (struct kept){h->zero_count, (lower + upper) / 2} : (struct kept){0, 0};
    }
    if (upper_trim) {
        fraction = (at - lower) / (upper - lower);
        mid = (lower + at) / 2;
    } else {
        fraction = (upper - at) / (upper - lower);
        mid = (at + upper) / 2;
    }
    return (struct kept){h->zero_count * fraction, mid};
}

struct trim {
    double at;
    bool upper;
    double count, sum; /* of what is kept */
    bool changed;
};

/* Trims one side; n are its counts, to be changed. Returns whether the side had observations. */
static bool trim_side(struct trim *t, const struct hist *h, bool negative, double *n)
{
    uint32_t len = negative ? h->neg.len : h->pos.len;
    bool linear = hist_is_custom(h), any = false;

    for (uint32_t i = 0; i < len; i++) {
        struct hist_bucket b = hist_bucket_at(h, negative, i);

        if (b.count == 0) {
            continue;
        }
        any = true;
        if (t->upper ? b.upper <= t->at : b.lower >= t->at) {
            double mid = midpoint(b.lower, b.upper, !negative, linear);
            t->count += b.count;
            t->sum += mid * b.count;
        } else if (t->upper ? b.lower < t->at : b.upper > t->at) {
            struct kept k = keep_of_bucket(&b, t->at, t->upper, !negative, linear);
            t->count += k.count;
            t->sum += k.mid * k.count;
            if (n[i] != k.count) {
                n[i] = k.count;
                t->changed = true;
            }
        } else {
            n[i] = 0;
            t->changed = true;
        }
    }
    return any;
}

struct hist *hist_trim(struct pl_arena *a, const struct hist *x, double at, bool upper)
{
    struct trim t = {.at = at, .upper = upper};
    struct hist_sum s = {.a = a};
    struct hist *out;
    bool has_pos, has_neg;

    if (!hist__sum_start(&s, x, 0, 0, false)) {
        return NULL;
    }
    has_pos = trim_side(&t, &s.h, false, s.pos.n);
    has_neg = trim_side(&t, &s.h, true, s.neg.n);
    if (s.h.zero_count > 0) {
        struct kept k = keep_of_zero(&s.h, at, upper, has_pos, has_neg);

        if (s.h.zero_count != k.count) {
            s.h.zero_count = k.count;
            t.changed = true;
        }
        t.sum += k.mid * k.count;
        t.count += k.count;
    }
    if (t.changed) {
        s.h.count = t.count;
        s.h.sum = t.sum;
        return hist_compact(a, &s.h);
    }
    out = pl_arena_alloc_try(a, sizeof(*out));
    if (out != NULL) {
        *out = s.h;
    }
    return out;
}
