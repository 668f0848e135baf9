/* histogram/histogram.h - a native histogram: its value, its arithmetic and its text.
 *
 * Promise: every operation equals Prometheus's FloatHistogram bit for bit, order of additions included (spec
 * prometheus.md 8; Prometheus model/histogram). A histogram is a plain value: `const struct hist *` is immutable and
 * may be shared by threads and by other histograms (arrays `at` and `bounds` often are). Whatever a function makes
 * lives in the arena it is given; it never changes its inputs. NULL (or HIST_NO_MEMORY) means that the arena's limit is
 * passed. Counts and sums are floats; integer histograms become floats when they are decoded.
 */
#ifndef PL_HISTOGRAM_HISTOGRAM_H
#define PL_HISTOGRAM_HISTOGRAM_H

#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"

enum {
    HIST_SCHEMA_MIN = -4,
    HIST_SCHEMA_MAX = 8,           /* stored; 9..52 are known and reduced to 8 where data comes in */
    HIST_SCHEMA_RESERVED_MIN = -9, /* known, not stored */
    HIST_SCHEMA_RESERVED_MAX = 52,
    HIST_SCHEMA_CUSTOM = -53,   /* bounds are written out: classic histograms in native form */
    HIST_BUCKETS_MAX = 1 << 20, /* of one side; more in outside data is malformed */
};

enum hist_hint { HIST_HINT_UNKNOWN, HIST_HINT_RESET, HIST_HINT_NOT_RESET, HIST_HINT_GAUGE };

/* Buckets of one side by rising index. Empty buckets may be present (count 0): which ones is part of the value, as with
 * Prometheus's spans: a run of consecutive indices is a span. */
struct hist_side {
    const int32_t *at;
    const double *n;
    uint32_t len;
};

struct hist {
    double count, sum;
    double zero_threshold, zero_count; /* 0 with custom buckets */
    struct hist_side pos, neg;         /* neg is empty with custom buckets */
    const double *bounds;              /* custom: finite upper bounds, rising; index i is (bounds[i-1], bounds[i]] */
    uint32_t bound_count;
    int32_t schema;
    uint8_t hint; /* enum hist_hint */
};

struct hist_span {
    int32_t offset; /* of the first span: index of its first bucket; then: gap to the span before */
    uint32_t length;
};

static inline bool hist_is_custom(const struct hist *h)
{
    return h->schema == HIST_SCHEMA_CUSTOM;
}

/* What an operation on two histograms met: bits. */
enum {
    HIST_NO_MEMORY = 1 << 0,
    HIST_INCOMPATIBLE = 1 << 1, /* exponential with custom buckets: there is no result */
    HIST_COLLISION = 1 << 2,    /* one says counter reset, the other says none */
    HIST_RECONCILED = 1 << 3,   /* custom bounds differed: the result has the bounds that both have */
};

/* Copies. Here and below results never point into what their inputs point into. */
struct hist *hist_copy(struct pl_arena *a, const struct hist *h);
/* Makes the indices of a side from spans. NULL: no memory, or lengths that pass HIST_BUCKETS_MAX or int32 (*bad). */
int32_t *hist_span_indices(struct pl_arena *a, const struct hist_span *spans, size_t count, uint32_t *len, bool *bad);
/* The spans of a side: runs of consecutive indices. Returns how many; out has room for side.len. */
size_t hist_side_spans(struct hist_span *out, struct hist_side side);

/* x + y and x - y, uncompacted, as FloatHistogram.Add and .Sub on a copy of x. Hints are combined as there. */
PL_MUST_USE unsigned hist_add(struct hist **out, struct pl_arena *a, const struct hist *x, const struct hist *y);
PL_MUST_USE unsigned hist_sub(struct hist **out, struct pl_arena *a, const struct hist *x, const struct hist *y);
struct hist *hist_mul(struct pl_arena *a, const struct hist *x, double factor);
struct hist *hist_div(struct pl_arena *a, const struct hist *x, double divisor);
/* Drops empty buckets (FloatHistogram.Compact(0)). */
struct hist *hist_compact(struct pl_arena *a, const struct hist *x);
/* Buckets merged to a coarser exponential schema, target <= h's schema (FloatHistogram.CopyToSchema: the hint is kept
 * only where nothing is merged). */
struct hist *hist_reduce(struct pl_arena *a, const struct hist *x, int32_t target);
/* FloatHistogram.TrimBuckets: keeps observations below (upper) or above `at`. */
struct hist *hist_trim(struct pl_arena *a, const struct hist *x, double at, bool upper);

/* FloatHistogram.DetectReset. Scratch comes from the arena where schemas, thresholds or bounds differ. HIST_NO_MEMORY
 * or 0; the answer is in *reset. */
PL_MUST_USE unsigned hist_detect_reset(bool *reset, struct pl_arena *a, const struct hist *cur,
                                       const struct hist *prev);
/* FloatHistogram.Equals: everything but the hint, values by their bits. */
bool hist_equal(const struct hist *x, const struct hist *y);
/* HasOverflow: some count or the sum is infinite. */
bool hist_overflows(const struct hist *h);
/* FloatHistogram.Validate; PL_INVALID with Prometheus's text. */
PL_MUST_USE pl_status hist_validate(const struct hist *h, struct pl_err *err);
/* {count:C, sum:S, [lo,hi):n, ...} as FloatHistogram.String. */
void hist_text(struct pl_buf *b, const struct hist *h);
/* What the histogram counts for in a query's samples: (FloatHistogram.Size() + 8) / 16, at least 1. */
uint64_t hist_sample_cost(const struct hist *h);

/* Sums with Kahan-Neumaier compensation (FloatHistogram.KahanAdd), in place: memory is taken when buckets join and
 * given up only with the arena; steady layouts take none. After HIST_NO_MEMORY a sum is of no further use; after
 * HIST_INCOMPATIBLE it is as before. */
struct hist_sum_side {
    int32_t *at;
    double *n, *c;
    uint32_t len, cap;
};
struct hist_sum {
    struct pl_arena *a;
    struct hist h;                 /* the running value; its arrays are the sum's own */
    struct hist c;                 /* compensation, same buckets */
    bool compensated;              /* c holds anything */
    struct hist_sum_side pos, neg; /* private, as what follows: the memory behind h and c */
    double *scratch;
    uint32_t scratch_cap;
};
bool hist_sum_init(struct hist_sum *s, struct pl_arena *a, const struct hist *first); /* false: no memory */
/* Into to->a, which is set; the rest of `to` is zeroed or a sum, whose memory is used again. */
bool hist_sum_copy(struct hist_sum *to, const struct hist_sum *from);
PL_MUST_USE unsigned hist_sum_add(struct hist_sum *s, const struct hist *h);
/* FloatHistogram.Mul and .Div on the running value and on its compensation, as Prometheus's avg does. */
void hist_sum_mul(struct hist_sum *s, double factor);
void hist_sum_div(struct hist_sum *s, double divisor);
/* value + compensation (plain Add), uncompacted; NULL: no memory. */
struct hist *hist_sum_value(const struct hist_sum *s);

/* One bucket as queries see it. */
struct hist_bucket {
    double lower, upper, count;
    bool lower_inclusive, upper_inclusive;
    int32_t index;
};
/* Bounds of the bucket `index` of the positive side. */
double hist_bound(int32_t index, int32_t schema, const double *bounds, uint32_t bound_count); /* upper bound */
/* Iterates all buckets from the lowest to the highest (AllBucketIterator: the negative side outwards in, the zero
 * bucket when it has a count, the positive side), or the other way round. */
struct hist_iter {
    const struct hist *h;
    int32_t state; /* private */
    uint32_t i;
    bool reverse;
};
void hist_iter_init(struct hist_iter *it, const struct hist *h, bool reverse);
bool hist_iter_next(struct hist_iter *it, struct hist_bucket *out);
/* The side's bucket number i (0..len-1) with its bounds; negative mirrored. */
struct hist_bucket hist_bucket_at(const struct hist *h, bool negative, uint32_t i);

#endif
