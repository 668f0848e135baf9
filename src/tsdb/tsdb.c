/* One store: opening, appending, cutting. */
#include "tsdb/tsdb_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "io/dir.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

enum { COMPACT_ROUNDS_MAX = 10000 };

/* ---- open and close ---- */

static pl_status open_parts(struct tsdb *db, struct tsdb_progress *progress, struct pl_err *err)
{
    struct head_replay_result r = {.corruptions = 0};
    struct pl_err why;
    int64_t maxt;

    if (!db->o.read_only) {
        PL_TRY(dir_make(db->dir, err));
        PL_TRY(dir_lock(&db->lock_fd, db->dir, "lock", err));
        PL_TRY(dir_make(db->wal_dir, err));
        if (block_tmp_cleanup(pl_str_c(db->dir), NULL, &why) != PL_OK) {
            pl_warn("cannot remove a left-over", PL_KV("user", db->o.tenant), PL_KV_ERR(&why));
        }
    }
    PL_TRY(tsdb__blocks_scan(db, err));
    maxt = tsdb__blocks_maxt(db);
    atomic_store_explicit(&db->head->min_valid_ms, maxt, memory_order_relaxed);
    atomic_store_explicit(&db->head->cut_ms, maxt, memory_order_relaxed);
    PL_TRY(head_replay(db->head, pl_str_c(db->dir), progress, &r, err));
    atomic_store_explicit(&db->wal_corruptions, r.corruptions, memory_order_relaxed);
    atomic_store_explicit(&db->head_chunk_corruptions, r.head_chunk_corruptions, memory_order_relaxed);
    if (!db->o.read_only) {
        PL_TRY(wal_create(&db->head->wal, pl_str_c(db->wal_dir), r.next_segment, db->o.wal_segment_bytes,
                          db->o.wal_snappy, err));
    }
    return PL_OK;
}

pl_status tsdb_open(struct tsdb **out, pl_str dir, const struct tsdb_options *o, struct tsdb_progress *progress,
                    struct pl_err *err)
{
    struct tsdb *db;
    pl_status st;
    size_t n = 0;

    if (dir.n == 0 || dir.n > PATH_MAX - 64) {
        return pl_fail(err, PL_INVALID, "bad data directory name");
    }
    if (o->block_range_ms <= 0) {
        return pl_fail(err, PL_INVALID, "block range must be positive");
    }
    db = pl_new(struct tsdb);
    db->dir = pl_str_dup(dir);
    db->tenant = pl_str_dup(o->tenant);
    db->wal_dir = pl_alloc(dir.n + 8);
    n = (size_t)snprintf(db->wal_dir, dir.n + 8, "%s/wal", db->dir);
    PL_ASSERT(n < dir.n + 8);
    db->o = *o;
    db->o.tenant = pl_str_c(db->tenant);
    if (db->o.wal_segment_bytes == 0) {
        db->o.wal_segment_bytes = UINT64_C(128) << 20;
    }
    db->lock_fd = -1;
    db->source = (struct tsdb_series_source){.base = {.ops = &tsdb__source_ops}, .db = db};
    pl_mutex_init(&db->blocks_lock, PL_RANK_TSDB);
    tsdb__blocks_set(db, NULL, 0);
    db->head = head_create(&db->o, db->o.tenant);
    st = open_parts(db, progress, err);
    if (st != PL_OK) {
        tsdb_close(db);
        return st;
    }
    *out = db;
    return PL_OK;
}

void tsdb_close(struct tsdb *db)
{
    if (db == NULL) {
        return;
    }
    head_destroy(db->head);
    tsdb__blocks_unref(db->blocks);
    pl_mutex_fini(&db->blocks_lock);
    if (db->lock_fd >= 0) {
        (void)close(db->lock_fd); /* the file stays: removing it would race with the next holder */
    }
    pl_free(db->broken);
    pl_free(db->going);
    pl_free(db->dir);
    pl_free(db->wal_dir);
    pl_free(db->tenant);
    pl_free(db);
}

/* ---- append ---- */

void tsdb_append_begin(struct tsdb *db)
{
    head_pin(db->head);
}

void tsdb_append_end(struct tsdb *db)
{
    head_unpin(db->head);
}

void tsdb_resolve(struct tsdb *db, const struct pl_hash128 *hashes, uint32_t count, uint64_t *refs)
{
    head_wire_resolve(db->head, hashes, count, refs);
}

void tsdb_forget_wire_hashes(struct tsdb *db)
{
    head_wire_forget(db->head);
}

pl_status tsdb_append(struct tsdb *db, const struct tsdb_append_batch *b, struct pl_arena *a,
                      struct tsdb_append_result *result, struct pl_err *err)
{
    if (db->o.read_only) {
        return pl_fail(err, PL_INVALID, "the data directory is open for reading only");
    }
    return head_append(db->head, b, a, result, err);
}

/* ---- maintenance ---- */

/* The next range to cut: false when the head is not full enough. */
static bool range_next(struct tsdb *db, bool force, int64_t *mint, int64_t *end)
{
    int64_t range = db->o.block_range_ms, maxt = atomic_load_explicit(&db->head->maxt_ms, memory_order_relaxed), span;

    *mint = atomic_load_explicit(&db->head->mint_ms, memory_order_relaxed);
    if (*mint == INT64_MAX || *mint > maxt) {
        return false;
    }
    if (!force && pl_sub_ok(&span, maxt, *mint) && span <= range + range / 2) {
        return false;
    }
    *end = head_range_end(*mint, range);
    if (force && maxt < INT64_MAX) {
        *end = PL_MIN(*end, maxt + 1);
    }
    return *end > *mint;
}

/* The block just written must answer before the head forgets what is in it. */
static pl_status block_take(struct tsdb *db, const struct ulid *id, struct pl_err *err)
{
    pl_status st;

    head_reached(db->head, HEAD_AT_BLOCK_WRITTEN);
    st = tsdb__blocks_scan(db, err);
    if (st == PL_OK && !tsdb__blocks_have(db, id)) {
        char text[ULID_TEXT + 1];
        ulid_text(text, id);
        st = pl_fail(err, PL_IO, "block %s was written but does not open; the head keeps its samples", text);
        tsdb__block_remove(db, id); /* it is written anew */
    }
    return st;
}

static pl_status cut_range(struct tsdb *db, int64_t mint, int64_t end, int64_t now_ms, uint32_t *written,
                           struct pl_err *err)
{
    struct ulid id;
    char text[ULID_TEXT + 1];
    int64_t start_ns = pl_now_mono_ns();
    pl_status st;

    head_reached(db->head, HEAD_AT_CUT_CHOSEN);
    head_barrier(db->head, end);
    /* A push may have brought older samples before the barrier: perhaps of an earlier range, which then goes first. */
    mint = PL_MIN(mint, atomic_load_explicit(&db->head->mint_ms, memory_order_relaxed));
    end = PL_MIN(end, head_range_end(mint, db->o.block_range_ms));
    st = head_write_block(db->head, pl_str_c(db->dir), mint, end, now_ms, &id, err);
    if (st == PL_OK) {
        st = block_take(db, &id, err);
    }
    if (st == PL_OK) {
        ulid_text(text, &id);
        pl_info("head cut to a block", PL_KV_C("user", db->tenant), PL_KV_C("block", text), PL_KV_INT("mint", mint),
                PL_KV_INT("maxt", end), PL_KV_DUR_NS("duration", pl_now_mono_ns() - start_ns));
        ++*written;
        atomic_fetch_add_explicit(&db->compactions, 1, memory_order_relaxed);
    } else if (st == PL_NOT_FOUND) {
        st = PL_OK;
    }
    if (st == PL_OK) {
        head_truncate(db->head, end);
    }
    return st;
}

pl_status tsdb_compact(struct tsdb *db, bool force, int64_t now_ms, uint32_t *blocks_written, struct pl_err *err)
{
    int64_t mint, end;
    uint32_t written = 0, rounds = 0;
    pl_status st;

    if (db->o.read_only) {
        return pl_fail(err, PL_INVALID, "the data directory is open for reading only");
    }
    head_reclaim(db->head); /* what readers held when it was left behind */
    st = tsdb__blocks_scan(db, err);
    while (st == PL_OK && rounds < COMPACT_ROUNDS_MAX && range_next(db, force, &mint, &end)) {
        st = cut_range(db, mint, end, now_ms, &written, err);
        rounds++;
    }
    if (st == PL_OK && rounds > 0) {
        st = head_truncate_files(db->head, pl_str_c(db->wal_dir), err);
    }
    if (st != PL_OK) {
        atomic_fetch_add_explicit(&db->compactions_failed, 1, memory_order_relaxed);
    }
    tsdb__retention_apply(db);
    *blocks_written = written;
    return st;
}
