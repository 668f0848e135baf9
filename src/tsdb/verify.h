/* tsdb/verify.h - checks stored data without changing it (palliumctl tsdb verify).
 *
 * Promise: every checksum, order and count of WAL, head chunks and blocks is looked at; nothing is locked, written or
 * repaired. Bytes are hostile. Threads: plain functions.
 */
#ifndef PL_TSDB_VERIFY_H
#define PL_TSDB_VERIFY_H

#include "base/base.h"

/* What was read of one kind of file, good or bad. */
struct verify_part {
    uint64_t files;   /* WAL segments, head chunk files; of blocks: the blocks */
    uint64_t records; /* WAL only */
    uint64_t series;  /* WAL and head chunks: different references; blocks: the sum over all */
    uint64_t chunks;  /* not of the WAL */
    uint64_t samples; /* repeats in the WAL, as after a truncation, count again */
    uint64_t bytes;   /* of the files; of blocks: index and chunks */
};
struct verify_report {
    struct verify_part wal, head_chunks, blocks;
    uint64_t problems;
    void (*problem)(void *arg, pl_str where, pl_str what); /* called for each finding */
    void *arg;
};
/* PL_BLOCKING. Walks WAL, head chunks and blocks of dir; every checksum, order and count. PL_OK with problems > 0 when
 * it found any. PL_NOT_FOUND: dir is not there, or a plain file; PL_INVALID: nothing in it is ours. */
PL_MUST_USE pl_status tsdb_verify(pl_str dir, struct verify_report *r, struct pl_err *err);

#endif
