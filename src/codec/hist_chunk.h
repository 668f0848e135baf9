/* codec/hist_chunk.h - Prometheus's histogram (encoding 2) and float histogram (encoding 3) chunks, byte for byte.
 *
 * Format: spec prometheus.md 10.5 (Prometheus tsdb/chunkenc/histogram.go, float_histogram.go, histogram_meta.go). All
 * samples of a chunk share one layout (schema, zero threshold, bounds, bucket indices). Decoding treats every byte as
 * hostile: PL_CORRUPT, never a read past `size`, memory bounded by the arena. Threads: plain functions; an appender is
 * confined.
 */
#ifndef PL_CODEC_HIST_CHUNK_H
#define PL_CODEC_HIST_CHUNK_H

#include "base/arena.h"
#include "base/base.h"
#include "histogram/histogram.h"

enum {
    CHUNK_ENC_HISTOGRAM = 2,
    CHUNK_ENC_FLOAT_HISTOGRAM = 3,
};

/* Samples that the header states; 0 when the bytes are too short. */
uint32_t hist_chunk_count(const uint8_t *data, size_t size);
/* What the header says (enum hist_hint): of a gauge chunk, or how the first sample follows the chunk before. */
uint8_t hist_chunk_hint(const uint8_t *data, size_t size);
/* Decodes all samples: t[i] and h[i] (room for hist_chunk_count() each). Histograms live in the arena and share their
 * layout arrays. Hints: GAUGE in gauge chunks; in counter chunks UNKNOWN for the first, whatever the header says (who
 * knows which chunk was before it), and NOT_RESET for the others. A stale sample has the stale bits in sum, and no
 * buckets. Schemas 9..52 are reduced to 8. */
PL_MUST_USE pl_status hist_chunk_decode(uint8_t encoding, const uint8_t *data, size_t size, struct pl_arena *a,
                                        int64_t *t, struct hist *h, struct pl_err *err);

/* Writes one chunk. The layout is fixed by the first sample, as is the header (its hint); hist_chunk_fits says whether
 * another one can join without a new chunk (same layout, and for counters no reset). Encoding 2 is for whole counts. */
struct hist_chunk_writer;
struct hist_chunk_writer *hist_chunk_begin(struct pl_arena *a, uint8_t encoding, const struct hist *first);
bool hist_chunk_fits(const struct hist_chunk_writer *w, const struct hist *h);
/* False: no memory. Only what fits. */
PL_MUST_USE bool hist_chunk_append(struct hist_chunk_writer *w, int64_t t_ms, const struct hist *h);
/* The bytes so far; valid until the next append. */
const uint8_t *hist_chunk_bytes(const struct hist_chunk_writer *w, size_t *size);

#endif
