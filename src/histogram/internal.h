#ifndef PL_HISTOGRAM_INTERNAL_H
#define PL_HISTOGRAM_INTERNAL_H

#include "histogram/histogram.h"

#include <float.h>
#include <math.h>

static inline bool hist__is_standard(int32_t schema)
{
    return schema >= HIST_SCHEMA_MIN && schema <= HIST_SCHEMA_MAX;
}

/* The bucket of a schema that is `shift` coarser. In 64 bits: an index may be any int32. */
static inline int32_t hist__coarser(int32_t index, unsigned shift)
{
    return (int32_t)((((int64_t)index - 1) >> shift) + 1);
}

/* hist_bound() for indices one below INT32_MIN too. */
double hist__bound(int64_t index, int32_t schema, const double *bounds, uint32_t bound_count);

/* One step of a compensated sum (Neumaier); an infinite sum drops its compensation. The order of the operations decides
 * the bits: Prometheus util/kahansum. */
static inline void hist__add_to(double x, double *sum, double *c)
{
    double t = *sum + x;

    if (t > DBL_MAX || t < -DBL_MAX) {
        *c = 0;
    } else if (fabs(*sum) >= fabs(x)) {
        *c += (*sum - t) + x;
    } else {
        *c += (x - t) + *sum;
    }
    *sum = t;
}

/* The buckets of one side in a schema `shift` coarser, by rising index: those of the finer schema that fall together
 * are summed while they are read. */
struct hist__source {
    const int32_t *at;
    const double *n;
    uint32_t len, i;
    unsigned shift;
    bool kahan; /* sum them with compensation, which *c receives */
};
bool hist__source_next(struct hist__source *s, int32_t *at, double *n, double *c);
/* Goes past the leading buckets whose upper bound is not above the threshold: they are part of the zero bucket. */
void hist__source_skip(struct hist__source *s, int32_t schema, double threshold);

/* What h's zero count would be with a larger threshold. A threshold inside a populated bucket grows to that bucket's
 * outer edge. c: compensation of h or NULL; *c_zero receives the compensation of the result. */
double hist__zero_count(const struct hist *h, const struct hist *c, double *threshold, double *c_zero);

/* s += y, s -= y, or s += y with compensation: HIST_ bits. */
enum hist__mode { HIST__ADD, HIST__SUB, HIST__KAHAN };
unsigned hist__merge(struct hist_sum *s, const struct hist *y, enum hist__mode mode);
/* Room for `cap` buckets; those that are there are kept. With `kahan` also for their compensation. */
bool hist__side_reserve(struct hist_sum_side *side, struct pl_arena *a, uint32_t cap, bool kahan);
/* Makes s a copy of h with room for `more` buckets on each side. */
bool hist__sum_start(struct hist_sum *s, const struct hist *h, uint32_t more_pos, uint32_t more_neg, bool kahan);
/* Points h and c to the sides' memory. */
void hist__sum_sync(struct hist_sum *s);

bool hist__bounds_match(const struct hist *x, const struct hist *y);

/* Memory for the buckets of a side. */
bool hist__side_make(struct pl_arena *a, uint32_t n, int32_t **at, double **v);

#endif
