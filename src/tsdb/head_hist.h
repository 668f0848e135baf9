/* tsdb/head_hist.h - private to tsdb/: open chunks of native histograms in the head.
 *
 * A series' open chunk is of floats (head.h) or of histograms. Then head_series.tail is a struct head_hist, tail_class
 * is HEAD_TAIL_HIST, app.t the last time, app.sample_count 1, and next_at lies in the past: the next float therefore
 * takes the rare way that closes the chunk, and floats pay nothing. A chunk holds one layout and no counter reset:
 * where Prometheus would widen a chunk's layout, another chunk begins here.
 */
#ifndef PL_TSDB_HEAD_HIST_H
#define PL_TSDB_HEAD_HIST_H

#include "codec/hist_chunk.h"
#include "tsdb/head.h"

/* On the heap. Locked by the series' shard. */
struct head_hist {
    struct pl_arena a; /* holds w */
    struct hist_chunk_writer *w;
    int64_t next_at; /* the chunk is cut at this time */
    uint32_t n;
    uint8_t encoding;
};

static inline bool head_tail_is_hist(const struct head_series *s)
{
    return s->tail_class == HEAD_TAIL_HIST;
}
static inline struct head_hist *head_hist_of(const struct head_series *s)
{
    return (struct head_hist *)(void *)s->tail;
}

/* As head_sample_append. `whole`: of integer counts, which decides the chunk's encoding. Scratch may be full. */
enum head_sample head_hist_append(struct head *h, struct head_shard *sh, uint32_t slot, struct head_series *s,
                                  int64_t t, const struct hist *x, bool whole, struct pl_arena *scratch);
void head_hist_free(struct head_hist *x);

#endif
