#include "histogram/internal.h"

static const double upper_bounds[256] = {
#include "histogram/bounds.def"
};

double hist__bound(int64_t index, int32_t schema, const double *bounds, uint32_t bound_count)
{
    int64_t exponent;
    double frac = 1;

    if (schema == HIST_SCHEMA_CUSTOM) {
        return index < 0 ? -HUGE_VAL : index >= (int64_t)bound_count ? HUGE_VAL : bounds[index];
    }
    if (schema < 0) {
        exponent = index * (INT64_C(1) << -schema);
    } else {
        unsigned fine = (unsigned)(index & ((INT64_C(1) << schema) - 1));
        frac = upper_bounds[fine << (HIST_SCHEMA_MAX - schema)] * 2;
        exponent = index >> schema;
    }
    if (frac == 1 && exponent == 1024) {
        /* The last bucket of finite values. The next one, of infinities, gets its infinite bound from ldexp. */
        return DBL_MAX;
    }
    return ldexp(frac, (int)PL_MAX(PL_MIN(exponent, (int64_t)5000), (int64_t)-5000));
}

double hist_bound(int32_t index, int32_t schema, const double *bounds, uint32_t bound_count)
{
    return hist__bound(index, schema, bounds, bound_count);
}

struct hist_bucket hist_bucket_at(const struct hist *h, bool negative, uint32_t i)
{
    const struct hist_side *side = negative ? &h->neg : &h->pos;
    int32_t index = side->at[i];
    double outer = hist__bound(index, h->schema, h->bounds, h->bound_count);
    double inner = hist__bound((int64_t)index - 1, h->schema, h->bounds, h->bound_count);
    struct hist_bucket b = {.count = side->n[i], .index = index};

    b.lower = negative ? -outer : inner;
    b.upper = negative ? -inner : outer;
    if (hist_is_custom(h)) {
        b.lower_inclusive = index == 0;
        b.upper_inclusive = true;
    } else {
        b.lower_inclusive = b.lower < 0;
        b.upper_inclusive = b.upper > 0;
    }
    return b;
}

enum { ITER_INWARDS, ITER_ZERO, ITER_OUTWARDS, ITER_END };

void hist_iter_init(struct hist_iter *it, const struct hist *h, bool reverse)
{
    *it = (struct hist_iter){.h = h, .state = ITER_INWARDS, .i = reverse ? h->pos.len : h->neg.len, .reverse = reverse};
}

/* A bucket that overlaps the zero bucket begins where that one ends. */
static struct hist_bucket beside_zero(const struct hist *h, bool negative, uint32_t i)
{
    struct hist_bucket b = hist_bucket_at(h, negative, i);

    if (b.upper < 0 && b.upper > -h->zero_threshold) {
        b.upper = -h->zero_threshold;
    } else if (b.lower > 0 && b.lower < h->zero_threshold) {
        b.lower = h->zero_threshold;
    }
    return b;
}

bool hist_iter_next(struct hist_iter *it, struct hist_bucket *out)
{
    const struct hist *h = it->h;
    const struct hist_side *outwards = it->reverse ? &h->neg : &h->pos;

    if (it->state == ITER_INWARDS) {
        if (it->i > 0) {
            *out = beside_zero(h, !it->reverse, --it->i);
            return true;
        }
        it->state = ITER_ZERO;
    }
    if (it->state == ITER_ZERO) {
        it->state = ITER_OUTWARDS;
        it->i = 0;
        if (h->zero_count > 0) {
            *out = (struct hist_bucket){.lower = -h->zero_threshold,
                                        .upper = h->zero_threshold,
                                        .count = h->zero_count,
                                        .lower_inclusive = true,
                                        .upper_inclusive = true};
            return true;
        }
    }
    if (it->state == ITER_OUTWARDS) {
        if (it->i < outwards->len) {
            *out = beside_zero(h, it->reverse, it->i++);
            return true;
        }
        it->state = ITER_END;
    }
    return false;
}
