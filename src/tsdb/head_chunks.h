/* tsdb/head_chunks.h - private to tsdb/: closed chunks of the head in chunks_head/ (spec prometheus.md 10.12).
 *
 * Adding only copies into memory; head_chunks_flush writes. A chunk can be read at once, from memory or from the mapped
 * file. Threads: any; a flush runs in one thread at a time. A disk that is full leaves the bytes in memory for the next
 * flush.
 */
#ifndef PL_TSDB_HEAD_CHUNKS_H
#define PL_TSDB_HEAD_CHUNKS_H

#include "base/arena.h"
#include "base/base.h"
#include "model/series.h"

struct head_chunk {
    uint32_t file;   /* number of the file */
    uint32_t offset; /* of the record in it */
    int64_t mint_ms, maxt_ms;
};

struct head_chunks;
/* Called for each chunk on disk, files in order. `behind_hole`: in an earlier file, what follows bad bytes is missing.
 */
typedef void (*head_chunks_load_fn)(void *arg, uint64_t ref, const struct head_chunk *c, bool behind_hole);
/* PL_BLOCKING. Reads the files of dir (made when missing); a corrupt tail of the last file is cut (unless read_only),
 * others stay as they are, so that the hole is known until what fills it is on disk; *corruptions counts files with bad
 * bytes. */
PL_MUST_USE pl_status head_chunks_open(struct head_chunks **out, pl_str dir, bool read_only, head_chunks_load_fn load,
                                       void *arg, uint64_t *corruptions, struct pl_err *err);
void head_chunks_close(struct head_chunks *hc); /* flushes; NULL allowed */

/* Stores one chunk; fills c->file and c->offset from the rest. */
void head_chunks_add(struct head_chunks *hc, uint64_t ref, struct head_chunk *c, uint8_t encoding, const uint8_t *data,
                     uint32_t size);
/* PL_BLOCKING. Writes what is buffered when it is at least min_bytes; `sync` also fsyncs. */
PL_MUST_USE pl_status head_chunks_flush(struct head_chunks *hc, size_t min_bytes, bool sync, struct pl_err *err);
/* Deletes the files whose chunks all end before mint_ms, but never the newest; the next chunk starts a file. */
void head_chunks_truncate(struct head_chunks *hc, int64_t mint_ms);
uint32_t head_chunks_oldest(struct head_chunks *hc); /* number of the oldest file; UINT32_MAX when none */
uint32_t head_chunks_newest(struct head_chunks *hc); /* 0 when none */

/* Files kept mapped by an arena. Zero it, use it for one call; the arena's end releases the files. */
struct head_chunk_pins {
    struct pl_arena *a;
    void *last[32]; /* files pinned lately */
    uint32_t next;
};
/* The bytes of a chunk: mapped, or copied from the buffer into the arena. */
PL_MUST_USE pl_status head_chunks_read(struct head_chunks *hc, const struct head_chunk *c, struct head_chunk_pins *pins,
                                       struct chunk_view *out, struct pl_err *err);

/* Parses one record at p; *size is its whole length. PL_NOT_FOUND: zeros, the end of the file. */
PL_MUST_USE pl_status head_chunk_parse(const uint8_t *p, size_t n, uint64_t *ref, struct chunk_view *out, size_t *size,
                                       struct pl_err *err);

#endif
