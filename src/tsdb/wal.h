/* tsdb/wal.h - private to tsdb/: Prometheus's write-ahead log, writing and reading (spec prometheus.md 10.11).
 *
 * Writing: records are framed into a shared buffer in the order of wal_add; wal_commit returns when they are in the
 * kernel. One caller (the leader) writes for all that wait. A write that fails fails everyone whose records were
 * waiting; the file is cut back to the last good record and later records are written there again. Reading: wal_scan
 * walks the records of one segment's bytes and treats every byte as hostile.
 */
#ifndef PL_TSDB_WAL_H
#define PL_TSDB_WAL_H

#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"
#include "model/labels.h"

enum { WAL_PAGE_BYTES = 32768, WAL_FRAME_HEADER = 7 };
/* A frame's first byte. */
enum {
    WAL_FRAME_PAGE_END = 0,
    WAL_FRAME_FULL = 1,
    WAL_FRAME_FIRST = 2,
    WAL_FRAME_MIDDLE = 3,
    WAL_FRAME_LAST = 4,
    WAL_FRAME_TYPE_MASK = 7,
    WAL_FRAME_SNAPPY = 1 << 3,
    WAL_FRAME_ZSTD = 1 << 4,
};
enum {
    WAL_RECORD_BYTES_MAX = 256 << 20,  /* readers refuse more (decompressed), and Prometheus stays far below */
    WAL_RECORD_BYTES_WANTED = 1 << 20, /* writers begin another one behind so many; at most one series' labels more */
};
enum wal_record_type { WAL_REC_SERIES = 1, WAL_REC_SAMPLES = 2 };

/* ---- writing ---- */
struct wal;
/* Starts a new segment with this number in dir (which exists). */
PL_MUST_USE pl_status wal_create(struct wal **out, pl_str dir, uint32_t segment, uint64_t segment_bytes, bool snappy,
                                 struct pl_err *err);
void wal_close(struct wal *w); /* writes what is buffered, fsyncs; NULL allowed */

/* A caller's place in the log: zero it, add records, commit once. */
struct wal_ticket {
    uint64_t batch;    /* the last buffer that holds a record of this caller */
    uint64_t failures; /* the log's count of failures when the first was added */
    bool used;
};
/* Frames the record into the buffer. Callers that need an order among records hold their own lock around it. */
void wal_add(struct wal *w, struct wal_ticket *t, const void *record, size_t n);
/* PL_BLOCKING. PL_IO "write to WAL: ..." when any of the ticket's records may be missing from the log. */
PL_MUST_USE pl_status wal_commit(struct wal *w, const struct wal_ticket *t, struct pl_err *err);
/* After a failed write: is there room again? PL_IO with the old text while there is not. */
PL_MUST_USE pl_status wal_probe(struct wal *w, struct pl_err *err);
/* PL_BLOCKING. Ends the current segment; *segment is the number of the new one. */
PL_MUST_USE pl_status wal_roll(struct wal *w, uint32_t *segment, struct pl_err *err);
/* PL_BLOCKING. fsyncs the current segment. */
PL_MUST_USE pl_status wal_sync(struct wal *w, struct pl_err *err);
uint64_t wal_failures(struct wal *w);

/* ---- reading ---- */
enum wal_scan_end {
    WAL_SCAN_CLEAN,   /* all records read */
    WAL_SCAN_TORN,    /* the last record is cut off by the end of the file */
    WAL_SCAN_CORRUPT, /* a bad frame, or the callback refused a record */
};
struct wal_scan {
    /* One record, decompressed; the bytes are valid during the call. Anything but PL_OK ends the scan as corrupt. */
    pl_status (*record)(void *arg, const uint8_t *p, size_t n, struct pl_err *err);
    void *arg;
    uint64_t records;
    uint64_t good_bytes; /* offset behind the last record that was accepted */
};
enum wal_scan_end wal_scan(struct wal_scan *s, const uint8_t *p, size_t n, struct pl_err *err);

/* Decoders of one record's body (after the type byte). `each` returning false ends with PL_CORRUPT. */
PL_MUST_USE pl_status wal_decode_series(const uint8_t *p, size_t n, struct pl_buf *scratch,
                                        pl_status (*each)(void *arg, uint64_t ref, struct labels ls,
                                                          struct pl_err *err),
                                        void *arg, struct pl_err *err);
struct wal_sample {
    uint64_t ref;
    int64_t t;
    double v;
};
/* Decodes up to `max` samples starting at *at (0 first); *at == n at the end. */
struct wal_samples_iter {
    const uint8_t *p, *end;
    uint64_t base_ref;
    int64_t base_t;
};
PL_MUST_USE pl_status wal_samples_begin(struct wal_samples_iter *it, const uint8_t *p, size_t n, struct pl_err *err);
/* Fills out[], returns the count in *got (0 at the end). */
PL_MUST_USE pl_status wal_samples_next(struct wal_samples_iter *it, struct wal_sample *out, size_t max, size_t *got,
                                       struct pl_err *err);

/* ---- files (wal_files.c) ---- */
struct wal_segment {
    uint32_t number;
    bool checkpoint; /* lies in checkpoint_dir */
};
struct wal_files {
    struct wal_segment *v; /* the newest checkpoint's segments, then the later ones; in `a` */
    size_t n;
    uint32_t checkpoint; /* its number; meaningful when has_checkpoint */
    bool has_checkpoint;
    uint32_t next; /* the number of a new segment */
};
PL_MUST_USE pl_status wal_list(struct wal_files *f, pl_str dir, struct pl_arena *a, struct pl_err *err);
/* dir/00000012 or dir/checkpoint.00000009/00000000 */
pl_str wal_segment_path(struct pl_arena *a, pl_str dir, const struct wal_files *f, const struct wal_segment *s);
/* Marks that the log begins at `segment` (an empty checkpoint), then deletes older segments and checkpoints. */
PL_MUST_USE pl_status wal_delete_before(pl_str dir, uint32_t segment, struct pl_err *err);

#endif
