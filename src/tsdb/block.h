/* tsdb/block.h - Prometheus blocks on disk: read, query, write.
 *
 * Promise: reads index v1 and v2 and chunk segments by mmap, checks every checksum before it trusts a byte, and treats
 * all bytes as hostile. Writes index v2 and chunks v1 that Prometheus, promtool, Thanos and Cortex read; a block
 * appears whole or not at all (written to ULID.tmp-for-creation, fsynced, renamed). Formats: spec
 * prometheus.md 10.1, 10.2, 10.7, 10.8. Threads: an open block is immutable and shared by reference count.
 */
#ifndef PL_TSDB_BLOCK_H
#define PL_TSDB_BLOCK_H

#include "base/base.h"
#include "codec/ulid.h"
#include "model/series.h"

struct block;

struct block_meta {
    struct ulid id;
    int64_t mint_ms, maxt_ms; /* half open: [mint, maxt) */
    uint64_t sample_count, series_count, chunk_count, tombstone_count;
    int level;
};

/* PL_BLOCKING. dir is the block's folder (.../ULID). The result has one reference. */
PL_MUST_USE pl_status block_open(struct block **out, pl_str dir, struct pl_err *err);
void block_ref(struct block *b);
void block_unref(struct block *b); /* NULL allowed; unmaps at zero, and removes the folder if block_mark_deleted */
void block_mark_deleted(struct block *b);
const struct block_meta *block_meta_get(const struct block *b);
uint64_t block_size_bytes(const struct block *b);

/* A series_source over this block alone (tombstones applied). Results keep the block referenced through their arena. */
struct series_source *block_source(struct block *b);

/* ---- writing ---- */
/* Series are given in label order with their chunks in time order, not overlapping, inside [mint, maxt). */
struct block_writer;
PL_MUST_USE pl_status block_writer_create(struct block_writer **out, pl_str parent_dir, int64_t mint_ms,
                                          int64_t maxt_ms, int64_t now_unix_ms, struct pl_err *err);
/* PL_CORRUPT: a chunk does not decode; nothing of the series was taken, and the writer goes on. After other failures it
 * does not. */
PL_MUST_USE pl_status block_writer_add(struct block_writer *w, struct labels labels, const struct chunk_view *chunks,
                                       uint32_t chunk_count, struct pl_err *err);
/* Writes index, meta.json and tombstones, fsyncs, renames. *id is the new block. PL_NOT_FOUND when no series was added
 * (nothing is left on disk). */
PL_MUST_USE pl_status block_writer_finish(struct block_writer *w, struct ulid *id, struct pl_err *err);
void block_writer_destroy(struct block_writer *w); /* removes what was not finished; NULL allowed */

/* PL_BLOCKING. Removes the folder of a block that is not open. */
PL_MUST_USE pl_status block_folder_remove(pl_str dir, struct pl_err *err);
/* PL_BLOCKING. Removes the folders ULID.tmp-for-creation and ULID.tmp-for-deletion that a crash left in dir; for
 * whoever holds the lock of dir. *removed (NULL allowed): how many. Goes on after a failure; the first one is told. */
PL_MUST_USE pl_status block_tmp_cleanup(pl_str dir, uint32_t *removed, struct pl_err *err);

#endif
