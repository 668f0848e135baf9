/* tsdb/tsdb_internal.h - private to tsdb.c, tsdb_blocks.c, tsdb_query.c and tsdb_stats.c: one store. */
#ifndef PL_TSDB_TSDB_INTERNAL_H
#define PL_TSDB_TSDB_INTERNAL_H

#include "tsdb/block.h"
#include "tsdb/head.h"

/* Snapshot: immutable, counted. */
struct block_set {
    _Atomic uint32_t refs;
    size_t n;
    struct block *v[]; /* by mint; one reference each */
};

struct tsdb_series_source {
    struct series_source base;
    struct tsdb *db;
};

struct tsdb {
    char *dir, *wal_dir, *tenant; /* owned */
    struct tsdb_options o;
    int lock_fd; /* -1: none */
    struct head *head;
    struct tsdb_series_source source;
    struct pl_mutex blocks_lock; /* the pointer below */
    struct block_set *blocks;
    struct ulid *going; /* blocks that are being deleted: not to be found again */
    size_t going_count, going_cap;
    struct ulid *broken; /* blocks that did not open: said and counted once each, tried again with every scan */
    size_t broken_count, broken_cap;
    _Atomic uint64_t wal_corruptions, head_chunk_corruptions, compactions, compactions_failed, block_open_failures;
};

/* ---- tsdb_blocks.c ---- */
/* The blocks of now; tsdb__blocks_unref ends the use. */
struct block_set *tsdb__blocks_get(struct tsdb *db);
void tsdb__blocks_unref(struct block_set *s); /* NULL allowed */
/* Publishes a new list; takes over the references in v. */
void tsdb__blocks_set(struct tsdb *db, struct block *const *v, size_t n);
/* Brings the list up to what the folder holds: blocks may be added and deleted by other programs. */
PL_MUST_USE pl_status tsdb__blocks_scan(struct tsdb *db, struct pl_err *err);
bool tsdb__blocks_have(struct tsdb *db, const struct ulid *id);
/* Removes the folder of a block that is not open. A failure is logged. */
void tsdb__block_remove(struct tsdb *db, const struct ulid *id);
int64_t tsdb__blocks_maxt(struct tsdb *db); /* INT64_MIN when there are none */
void tsdb__retention_apply(struct tsdb *db);

/* ---- tsdb_query.c ---- */
extern const struct series_source_ops tsdb__source_ops;

#endif
