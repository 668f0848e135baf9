/* tsdb/chunk_samples.h - private to tsdb/: the samples of one chunk, whatever its encoding, and chunks cut by time.
 *
 * For the places that look inside chunks: writing and verifying blocks, deleted intervals, cutting the head. Bytes are
 * hostile: PL_CORRUPT when they do not decode or their times do not rise. Threads: a struct is confined.
 */
#ifndef PL_TSDB_CHUNK_SAMPLES_H
#define PL_TSDB_CHUNK_SAMPLES_H

#include "base/arena.h"
#include "histogram/histogram.h"
#include "model/series.h"

/* Zero it before the first read; its memory serves the next reads. */
struct chunk_samples {
    int64_t *t;     /* rising */
    double *v;      /* floats, when h is NULL */
    struct hist *h; /* in arena; valid until the next read */
    uint32_t n;     /* at least 1 */
    size_t cap;
    struct pl_arena arena;
    bool has_arena;
};

/* Chunks of encodings 1, 2 and 3. Others are PL_UNIMPLEMENTED. */
PL_MUST_USE pl_status chunk_samples_read(struct chunk_samples *s, const struct chunk_view *c, struct pl_err *err);
void chunk_samples_fini(struct chunk_samples *s);

/* Makes *c the chunk of those samples of it that keep() wants, encoded in `a`. PL_NOT_FOUND: it wants none. */
PL_MUST_USE pl_status chunk_filter(struct chunk_samples *s, struct chunk_view *c,
                                   bool (*keep)(const void *arg, int64_t t), const void *arg, struct pl_arena *a,
                                   struct pl_err *err);

#endif
