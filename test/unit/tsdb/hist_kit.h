/* Native histograms made from numbers, and their chunks, for the tests of blocks and of the head. */
#ifndef HIST_KIT_H
#define HIST_KIT_H

#include "codec/hist_chunk.h"
#include "model/series.h"

/* The k-th state of a counter (or gauge) that grows: schema 1, buckets -1, 0, 3 above and 2 below zero. */
static inline struct hist *hist_kit_make(struct pl_arena *a, double k, bool custom)
{
    static const int32_t pos[] = {-1, 0, 3}, neg[] = {2}, custom_at[] = {0, 1, 3};
    static const double bounds[] = {0.5, 1, 2.5};
    struct hist *h = pl_arena_zero(a, sizeof(*h));
    double *n = pl_arena_zero(a, 4 * sizeof(*n));

    n[0] = k;
    n[1] = 2 * k;
    n[2] = k + 3;
    n[3] = custom ? 0 : k;
    h->zero_count = custom ? 0 : 2 * k;
    h->zero_threshold = custom ? 0 : 0.001;
    h->schema = custom ? HIST_SCHEMA_CUSTOM : 1;
    h->pos = (struct hist_side){custom ? custom_at : pos, n, 3};
    h->neg = custom ? (struct hist_side){.len = 0} : (struct hist_side){neg, n + 3, 1};
    h->count = n[0] + n[1] + n[2] + n[3] + h->zero_count;
    h->sum = 12.5 * k;
    if (custom) {
        h->bounds = bounds;
        h->bound_count = 3;
    }
    return h;
}

/* Samples first .. first + count - 1 at t0 + i * step. */
static inline struct chunk_view hist_kit_chunk(struct pl_arena *a, uint8_t encoding, int first, int count, int64_t t0,
                                               int64_t step, bool custom, uint8_t hint)
{
    struct hist_chunk_writer *w = NULL;
    const uint8_t *p;
    size_t size;

    for (int i = first; i < first + count; i++) {
        struct hist *h = hist_kit_make(a, i + 1, custom);
        h->hint = i == first || hint == HIST_HINT_GAUGE ? hint : HIST_HINT_NOT_RESET;
        w = w != NULL ? w : hist_chunk_begin(a, encoding, h);
        PL_ASSERT(w != NULL && hist_chunk_append(w, t0 + i * step, h));
    }
    p = hist_chunk_bytes(w, &size);
    return (struct chunk_view){.data = p,
                               .size = (uint32_t)size,
                               .encoding = encoding,
                               .mint_ms = t0 + first * step,
                               .maxt_ms = t0 + (first + count - 1) * step};
}

#endif
