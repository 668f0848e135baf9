/* tsdb/block_internal.h - shared by the files of the block side of src/tsdb only.
 *
 * Everything read from disk is a view into a read-only mapping; offsets are checked against the mapping before use.
 */
#ifndef PL_TSDB_BLOCK_INTERNAL_H
#define PL_TSDB_BLOCK_INTERNAL_H

#include "base/base.h"
#include "base/buf.h"
#include "codec/xor_chunk.h"
#include "tsdb/block.h"

#define BLOCK_TMP_CREATE ".tmp-for-creation"
#define BLOCK_TMP_DELETE ".tmp-for-deletion"

enum {
    BLOCK_PATH_MAX = 1024, /* longer ones are refused */
    CHUNK_HEADER_SIZE = 8, /* of a segment file */
    CHUNK_FRAME_MAX = 16,  /* uvarint length, encoding, CRC around a chunk's bytes */
    CRC_SIZE = 4,
};
#define CHUNK_MAGIC             UINT32_C(0x85BD40DD)
#define CHUNK_SEGMENT_BYTES_MAX (UINT64_C(512) << 20)
#define INDEX_MAGIC             UINT32_C(0xBAAAD700)
#define TOMBSTONE_MAGIC         UINT32_C(0x0130BA30)

/* ---- files (block_files.c) ---- */

struct file_map {
    const uint8_t *p; /* NULL: empty or not open */
    size_t n;
};
/* PL_NOT_FOUND when there is no such file, PL_IO otherwise. */
PL_MUST_USE pl_status file_map_open(struct file_map *m, const char *path, struct pl_err *err);
void file_map_close(struct file_map *m);

/* A file that is written once from front to back. The first failure sticks and is reported by file_out_close. */
struct file_out {
    int fd; /* -1: not open */
    int failed_errno;
    uint64_t pos; /* bytes put so far */
    uint8_t *buf;
    size_t used;
    char path[BLOCK_PATH_MAX];
};
PL_MUST_USE pl_status file_out_open(struct file_out *f, const char *path, struct pl_err *err);
void file_out_put(struct file_out *f, const void *p, size_t n);
void file_out_pad(struct file_out *f, size_t multiple);                        /* zeros up to the next multiple */
void file_out_patch(struct file_out *f, uint64_t at, const void *p, size_t n); /* overwrites earlier bytes */
/* Flushes, fsyncs when asked, closes. PL_IO names the file. */
PL_MUST_USE pl_status file_out_close(struct file_out *f, bool sync, struct pl_err *err);
void file_out_abandon(struct file_out *f);

PL_MUST_USE pl_status block__path(char out[static BLOCK_PATH_MAX], struct pl_err *err, const char *fmt, ...)
    PL_PRINTF(3, 4);
PL_MUST_USE pl_status block__mkdir(const char *path, struct pl_err *err);
PL_MUST_USE pl_status block__sync_dir(const char *path, struct pl_err *err);
PL_MUST_USE pl_status block__rename(const char *from, const char *to, struct pl_err *err);
/* Removes a folder and what is in it (at most four levels deep). */
PL_MUST_USE pl_status block__remove_tree(const char *path, struct pl_err *err);

/* ---- meta.json (block_meta.c) ---- */

PL_MUST_USE pl_status block__meta_read(struct block_meta *m, const char *path, struct pl_err *err);
struct block_meta_stats {
    uint64_t float_samples, histogram_samples;
};
void block__meta_text(struct pl_buf *b, const struct block_meta *m, const struct block_meta_stats *stats);

/* ---- chunk segments (chunk_file.c) ---- */

struct chunk_segments {
    struct file_map *v; /* chunks/000001 is v[0] */
    size_t n;
    uint64_t bytes;
};
PL_MUST_USE pl_status chunk_segments_open(struct chunk_segments *s, const char *dir, struct pl_err *err);
void chunk_segments_close(struct chunk_segments *s);
/* The chunk at an index's chunk ref, CRC checked. Fills data, size and encoding only. *end (NULL allowed): offset
 * behind it. */
PL_MUST_USE pl_status chunk_segments_get(const struct chunk_segments *s, uint64_t ref, struct chunk_view *out,
                                         uint64_t *end, struct pl_err *err);

struct chunk_writer {
    char dir[BLOCK_PATH_MAX];
    struct file_out out;
    uint32_t segments; /* begun so far */
    uint64_t segment_bytes_max;
};
void chunk_writer_init(struct chunk_writer *w);
PL_MUST_USE pl_status chunk_writer_put(struct chunk_writer *w, const struct chunk_view *c, uint64_t *ref,
                                       struct pl_err *err);
PL_MUST_USE pl_status chunk_writer_finish(struct chunk_writer *w, struct pl_err *err);
void chunk_writer_fini(struct chunk_writer *w);

/* ---- tombstones (tombstones.c) ---- */

struct interval {
    int64_t mint_ms, maxt_ms; /* both inclusive */
};
struct tombstone {
    uint64_t ref;
    struct interval i;
};
struct tombstones {
    struct tombstone *v; /* by ref, then mint */
    size_t n;
};
/* A missing file is an empty set. */
PL_MUST_USE pl_status tombstones_read(struct tombstones *t, const char *path, struct pl_err *err);
void tombstones_fini(struct tombstones *t);
/* The entries of one series: *out points into t. */
size_t tombstones_of(const struct tombstones *t, uint64_t ref, const struct tombstone **out);
PL_MUST_USE pl_status tombstones_write_empty(const char *path, struct pl_err *err);

/* ---- index, reading (index_read.c) ---- */

struct index_name; /* a label name of the postings offset table */

struct index_reader {
    struct file_map map;
    int version;
    uint64_t symbols, series, label_indices, postings, postings_table; /* TOC; 0: absent */
    uint64_t series_end;
    /* Symbols: where every SYMBOL_STRIDE-th string begins, from the start of the file. */
    uint32_t symbol_count;
    uint64_t symbols_end;
    uint64_t *symbol_at;
    /* Postings offset table: names in order, and where every stride-th entry of each name begins, from the table's
     * start. */
    struct index_name *names;
    size_t name_count;
    uint32_t *entry_at;
    size_t entry_at_count;
    uint32_t stride;
    uint64_t table_end;
};

struct index_name {
    pl_str name;
    uint32_t entry_count; /* values */
    uint32_t first_at;    /* into entry_at */
};

/* A value of a name and where its postings are. */
struct index_value {
    pl_str value;
    uint64_t postings;
    uint32_t k;    /* which one of its name's */
    uint64_t next; /* offset of the next table entry */
};

/* A postings list in the file: n big-endian series refs, CRC checked. */
struct postings_view {
    const uint8_t *be;
    size_t n;
};

struct index_chunk {
    int64_t mint_ms, maxt_ms;
    uint64_t ref;
};

PL_MUST_USE pl_status index_open(struct index_reader *r, const char *path, struct pl_err *err);
void index_close(struct index_reader *r);
PL_MUST_USE pl_status index_symbol(const struct index_reader *r, uint64_t ref, pl_str *out, struct pl_err *err);
/* NULL: no such name. "" is the name of the entry that holds all series. */
const struct index_name *index_find_name(const struct index_reader *r, pl_str name);
/* Value number k (< entry_count). */
PL_MUST_USE pl_status index_value_at(const struct index_reader *r, const struct index_name *name, uint32_t k,
                                     struct index_value *out, struct pl_err *err);
/* Goes on to value k + 1, which must exist. */
PL_MUST_USE pl_status index_value_next(const struct index_reader *r, const struct index_name *name,
                                       struct index_value *v, struct pl_err *err);
/* The first value that is not below `value`; *found false: there is none. */
PL_MUST_USE pl_status index_value_seek(const struct index_reader *r, const struct index_name *name, pl_str value,
                                       struct index_value *out, bool *found, struct pl_err *err);
PL_MUST_USE pl_status index_postings(const struct index_reader *r, uint64_t offset, struct postings_view *out,
                                     struct pl_err *err);

/* Walks the body of one series entry. */
struct series_cursor {
    const uint8_t *p, *end;
    uint64_t ref;
    uint64_t label_count, chunk_count;
    uint64_t chunks_read;
    int64_t last_maxt_ms;
    uint64_t last_ref;
};
/* CRC checked; label_count is read. *next (NULL allowed): offset behind the entry. */
PL_MUST_USE pl_status index_series_open(const struct index_reader *r, uint64_t ref, struct series_cursor *c,
                                        uint64_t *next, struct pl_err *err);
/* label_count times. Refs of symbols. */
PL_MUST_USE pl_status series_cursor_label(struct series_cursor *c, uint64_t *name_ref, uint64_t *value_ref,
                                          struct pl_err *err);
/* After the labels: reads chunk_count. */
PL_MUST_USE pl_status series_cursor_chunks(struct series_cursor *c, struct pl_err *err);
PL_MUST_USE pl_status series_cursor_chunk(struct series_cursor *c, struct index_chunk *out, struct pl_err *err);
static inline uint64_t index_series_offset(const struct index_reader *r, uint64_t ref)
{
    return r->version == 1 ? ref : ref * 16;
}

/* ---- index, writing (index_write.c) ---- */

struct index_writer;
/* `dir` gets the file "index" and, until the end, a scratch file beside it. */
PL_MUST_USE pl_status index_writer_create(struct index_writer **out, const char *dir, struct pl_err *err);
PL_MUST_USE pl_status index_writer_add(struct index_writer *w, struct labels ls, const struct index_chunk *chunks,
                                       uint32_t chunk_count, struct pl_err *err);
PL_MUST_USE pl_status index_writer_finish(struct index_writer *w, struct pl_err *err);
void index_writer_destroy(struct index_writer *w);

/* ---- blocks (block.c, block_select.c) ---- */

struct block {
    struct series_source source; /* first: block_source() is this */
    _Atomic uint32_t refs;
    _Atomic bool deleted;
    char dir[BLOCK_PATH_MAX];
    struct block_meta meta;
    struct index_reader index;
    struct chunk_segments chunks;
    struct tombstones tombstones;
};
extern const struct series_source_ops block__source_ops;

/* Opens the parts without trusting more than a query needs; used by verify as well. */
PL_MUST_USE pl_status block__open_parts(struct block *b, struct pl_err *err);
void block__close_parts(struct block *b);

/* Series refs that may match, ascending; matchers that are cheaper to check on each series' labels are left in
 * deferred[] (room for all matchers). (block_postings.c) */
struct block_candidates {
    uint32_t *refs;
    size_t n;
    const struct matcher **deferred;
    size_t deferred_count;
};
PL_MUST_USE pl_status block__candidates(const struct block *b, struct pl_arena *a, const struct series_select *q,
                                        struct block_candidates *out, struct pl_err *err);

#define BLOCK_MEMORY_TEXT "query memory limit"
static inline bool block__cancelled(const struct series_select *q)
{
    return q->cancel != NULL && atomic_load_explicit(q->cancel, memory_order_relaxed);
}

#endif
