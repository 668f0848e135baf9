/* ctl/load_gen.h - made-up series as ready-made remote write bodies.
 *
 * A block is the snappy-coded body of one request. It is compressed once, when its labels are known: samples are stored
 * as plain literals at known places, and later requests only overwrite their times and values. So a request costs a few
 * nanoseconds per sample here, whatever the server pays for it; to the server the body is like any other. Everything
 * follows from the seed: the same shape gives the same bytes. Threads: a block is confined to one thread at a time.
 */
#ifndef PL_CTL_LOAD_GEN_H
#define PL_CTL_LOAD_GEN_H

#include "base/base.h"
#include "base/buf.h"

enum {
    LOAD_LABELS_MAX = 64,
    LOAD_METRICS_MAX = 64,
    LOAD_SAMPLES_PER_SERIES_MAX = 1000,
    LOAD_SERIES_PER_REQUEST_MAX = 100000
};

struct load_shape {
    uint64_t series;             /* in the whole data set */
    uint32_t labels;             /* per series, __name__ included */
    uint32_t metrics;            /* names per target, 1 to LOAD_METRICS_MAX */
    uint32_t samples_per_series; /* in one request */
    uint64_t seed;
};

struct load_block {
    uint64_t first; /* its series: first .. first + count - 1 */
    uint32_t count;
    struct pl_buf body;   /* snappy */
    uint32_t *sample_at;  /* per series: where in body its sample fields begin */
    uint64_t replaced;    /* of the whole set when the block was built: says each series' generation */
    uint32_t time_width;  /* bytes of a timestamp; 0: not built */
    size_t message_bytes; /* before compression */
};

void load_block_init(struct load_block *b, uint64_t first, uint32_t count);
void load_block_fini(struct load_block *b);
/* Makes the block hold samples number sample_first .. of its series, at time_ms, time_ms + step_ms, ...; `replaced`
 * series of the set have been replaced by new ones so far (churn), the oldest first. */
void load_block_stamp(struct load_block *b, const struct load_shape *s, uint64_t replaced, uint64_t sample_first,
                      int64_t time_ms, int64_t step_ms);

#endif
