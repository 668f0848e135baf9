/* Opening: head chunk files first, then the WAL. One thread reads and finds series, others append samples: worker w
 * owns the shards s with s % workers == w, so no lock is taken and each series sees its samples in the log's order. */
#include "tsdb/head_replay.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DECODE_SAMPLES = 512, SLOT_SPARE = 65536, SLOT_LIMIT = INT32_MAX };

struct loaded_chunk {
    uint64_t ref;
    struct head_chunk c;
    bool late; /* taken only after the log */
};

struct replay {
    struct head *h;
    struct head_replay_result *r;
    struct tsdb_progress *progress;
    struct replay_workers workers;
    struct loaded_chunk *chunks; /* sorted by ref, then as on disk */
    size_t chunk_count, chunk_cap;
    uint64_t ref_max;
    uint32_t *renamed; /* slots whose reference another series took over */
    size_t renamed_count, renamed_cap;
    struct head_memo memo;
    struct pl_buf scratch;
    struct pl_arena hist_arena;
    int64_t min_valid;
};

/* ---- head chunks on disk ---- */

static void chunk_loaded(void *arg, uint64_t ref, const struct head_chunk *c, bool behind_hole)
{
    struct replay *r = arg;

    r->ref_max = PL_MAX(r->ref_max, ref);
    pl_array_reserve(r->chunks, r->chunk_cap, r->chunk_count + 1);
    r->chunks[r->chunk_count++] = (struct loaded_chunk){.ref = ref, .c = *c, .late = behind_hole};
}

static int loaded_cmp(const void *x, const void *y)
{
    const struct loaded_chunk *a = x, *b = y;

    if (a->ref != b->ref) {
        return a->ref < b->ref ? -1 : 1;
    }
    return a->c.mint_ms != b->c.mint_ms ? (a->c.mint_ms < b->c.mint_ms ? -1 : 1) : 0;
}

/* Puts a chunk among those of its series. What overlaps is left out: the log has these samples, or had them first. */
static void chunk_attach(struct replay *r, uint32_t slot, const struct head_chunk *c)
{
    struct head_series *s = head_hot(r->h, slot);
    struct head_cold *cold = head_cold_of(r->h, slot);
    uint32_t at = s->chunk_count;

    if (c->maxt_ms < r->min_valid) {
        return; /* its time is in a block */
    }
    if (s->tail != NULL && c->maxt_ms >= s->chunk_mint) {
        return;
    }
    while (at > 0 && cold->chunks[at - 1].mint_ms > c->maxt_ms) {
        at--;
    }
    if (at > 0 && cold->chunks[at - 1].maxt_ms >= c->mint_ms) {
        return;
    }
    head_chunk_push(s, cold, c);
    memmove(&cold->chunks[at + 1], &cold->chunks[at], (s->chunk_count - 1 - at) * sizeof(*c));
    cold->chunks[at] = *c;
    atomic_fetch_add_explicit(&r->h->chunk_count, 1, memory_order_relaxed);
    if (!s->has_t || c->maxt_ms > s->app.t) {
        s->app.t = c->maxt_ms;
        s->has_t = 1;
    }
}

/* Gives the chunks that were stored under this reference to the series. No worker may be busy with it. */
static void chunks_attach(struct replay *r, uint64_t ref, uint32_t slot)
{
    size_t lo = 0, hi = r->chunk_count;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (r->chunks[mid].ref < ref) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    for (; lo < r->chunk_count && r->chunks[lo].ref == ref; lo++) {
        if (!r->chunks[lo].late) {
            chunk_attach(r, slot, &r->chunks[lo].c);
        }
    }
}

/* ---- series ---- */

/* The slot that a reference of the log means now; 0 when unknown. */
static uint32_t ref_slot(struct head *h, uint64_t ref)
{
    uint64_t slot;

    if (PL_UNLIKELY(h->alias.count > 0) && u64_map_get(&h->alias, ref, &slot)) {
        return (uint32_t)slot;
    }
    if (ref == 0 || ref >= h->slot_next || head_page_of(h, (uint32_t)ref) == NULL) {
        return 0;
    }
    return head_is_live(head_hot(h, (uint32_t)ref)) && !head_cold_of(h, (uint32_t)ref)->foreign ? (uint32_t)ref : 0;
}

/* Chunks behind bad bytes. Had they been there during replay, the samples that the log has for the hole would have been
 * too old. Now they fill what the log did not. */
static void late_chunks_attach(struct replay *r)
{
    for (size_t i = 0; i < r->chunk_count; i++) {
        uint32_t slot = r->chunks[i].late ? ref_slot(r->h, r->chunks[i].ref) : 0;
        if (slot != 0) {
            chunk_attach(r, slot, &r->chunks[i].c);
        }
    }
}

/* May this reference be the slot number itself? Only while the slots stay about as many as the series. */
static bool ref_fits(struct head *h, uint64_t ref)
{
    if (ref == 0 || ref >= SLOT_LIMIT || ref > (uint64_t)h->slot_next * 2 + SLOT_SPARE) {
        return false;
    }
    return ref >= (uint64_t)h->page_cap << HEAD_PAGE_BITS || head_page_of(h, (uint32_t)ref) == NULL ||
           !head_is_live(head_hot(h, (uint32_t)ref));
}

static void ref_alias(struct replay *r, uint64_t ref, uint32_t slot)
{
    uint32_t before = ref_slot(r->h, ref);

    if (before == slot) {
        return;
    }
    if (before != 0) {
        /* Another series had this reference: it gets a new one at the end. */
        pl_array_reserve(r->renamed, r->renamed_cap, r->renamed_count + 1);
        r->renamed[r->renamed_count++] = before;
    }
    u64_map_put(&r->h->alias, ref, slot);
}

/* Index lock held: workers look up foreign references under it. */
static uint32_t series_make_locked(struct replay *r, uint64_t ref, struct labels ls, uint64_t hash)
{
    struct head *h = r->h;
    uint32_t slot;

    if (ref_fits(h, ref) && ref_slot(h, ref) == 0) {
        return head_new_series_locked(h, ls, hash, (uint32_t)ref, &r->memo);
    }
    slot = head_new_series_locked(h, ls, hash, 0, &r->memo);
    if (slot != ref) {
        ref_alias(r, ref, slot);
        u64_map_put(&h->foreign, slot, ref);
        head_cold_of(h, slot)->foreign = 1;
    }
    return slot;
}

static pl_status series_each(void *arg, uint64_t ref, struct labels ls, struct pl_err *err)
{
    struct replay *r = arg;
    struct head *h = r->h;
    uint64_t hash = labels_hash(ls);
    uint32_t slot;
    bool known, moved;

    if (ref == 0 || ls.n > UINT16_MAX) {
        return pl_fail(err, PL_CORRUPT, "series record with a bad reference or %zu labels", ls.n);
    }
    if (ls.n == 0) {
        return PL_OK;
    }
    r->ref_max = PL_MAX(r->ref_max, ref);
    pl_mutex_lock(&h->index);
    slot = head_find_locked(h, ls, hash);
    known = slot != 0;
    moved = known && ref_slot(h, ref) != slot;
    if (!known) {
        slot = series_make_locked(r, ref, ls, hash);
        head_hot(h, slot)->logged = 1;
        r->r->series++;
    }
    pl_mutex_unlock(&h->index);
    if (moved) {
        replay__workers_drain(&r->workers);
        pl_mutex_lock(&h->index);
        ref_alias(r, ref, slot);
        pl_mutex_unlock(&h->index);
    }
    if (!known || moved) {
        chunks_attach(r, ref, slot);
    }
    return PL_OK;
}

/* ---- records ---- */

static pl_status samples_record(struct replay *r, const uint8_t *p, size_t n, struct pl_err *err)
{
    struct wal_samples_iter it;
    struct wal_sample v[DECODE_SAMPLES];
    size_t got;

    PL_TRY(wal_samples_begin(&it, p, n, err));
    for (;;) {
        PL_TRY(wal_samples_next(&it, v, DECODE_SAMPLES, &got, err));
        if (got == 0) {
            return PL_OK;
        }
        for (size_t i = 0; i < got; i++) {
            uint32_t slot = ref_slot(r->h, v[i].ref);

            if (slot == 0) {
                r->r->unknown_refs++;
                continue;
            }
            if (v[i].t < r->min_valid) {
                continue;
            }
            replay__float_give(&r->workers, slot, v[i].t, v[i].v);
        }
        r->r->samples += got;
    }
}

static pl_status hists_record(struct replay *r, const uint8_t *p, size_t n, struct pl_err *err)
{
    struct wal_hists it;
    struct wal_hist x;
    bool more;

    PL_TRY(wal_hists_begin(&it, p, n, err));
    for (;;) {
        uint32_t slot;

        pl_arena_reset(&r->hist_arena);
        PL_TRY(wal_hists_next(&it, &r->hist_arena, &x, &more, err));
        if (!more) {
            return PL_OK;
        }
        slot = ref_slot(r->h, x.ref);
        r->r->samples++;
        r->r->unknown_refs += slot == 0;
        r->r->bad_histograms += x.h == NULL;
        if (slot == 0 || x.h == NULL || x.t < r->min_valid) {
            continue;
        }
        replay__hist_give(&r->workers, slot, x.t, x.h, x.whole);
    }
}

static pl_status record_each(void *arg, const uint8_t *p, size_t n, struct pl_err *err)
{
    struct replay *r = arg;

    if (n == 0) {
        return PL_OK;
    }
    switch (p[0]) {
    case WAL_REC_SERIES:
        PL_TRY(wal_decode_series(p + 1, n - 1, &r->scratch, series_each, r, err));
        break;
    case WAL_REC_SAMPLES:
        PL_TRY(samples_record(r, p + 1, n - 1, err));
        break;
    default:
        if (!wal_record_is_hist(p[0])) {
            r->r->skipped_records++;
            return PL_OK;
        }
        PL_TRY(hists_record(r, p, n, err));
        break;
    }
    if (r->progress != NULL) {
        atomic_store_explicit(&r->progress->samples, r->r->samples, memory_order_relaxed);
        atomic_store_explicit(&r->progress->series, r->r->series, memory_order_relaxed);
    }
    return PL_OK;
}

/* ---- segments ---- */

/* Cuts the bad segment and deletes those behind it, as Prometheus does: what follows a hole cannot be trusted to fit.
 * Were they left, the next start would read them, stop at the same place, and throw away what is logged from now on. */
static pl_status repair(pl_str dir, const struct wal_files *f, size_t bad, uint64_t good_bytes, struct pl_arena *a,
                        struct pl_err *err)
{
    for (size_t i = f->n; i-- > bad;) {
        pl_str path = wal_segment_path(a, dir, f, &f->v[i]);
        int rc = i == bad ? truncate(path.p, (off_t)good_bytes) : unlink(path.p);
        if (rc != 0) {
            return pl_fail(err, PL_IO, "the WAL is damaged in %.*s and cannot be repaired: %s %.*s: %s",
                           PL_STR_ARG(wal_segment_path(a, dir, f, &f->v[bad])), i == bad ? "cut" : "delete",
                           PL_STR_ARG(path), strerror(errno));
        }
    }
    return PL_OK;
}

/* PL_NOT_FOUND: the log ends here (a bad record). */
static pl_status segment_replay(struct replay *r, pl_str dir, const struct wal_files *f, size_t i, struct pl_arena *a,
                                struct pl_err *err)
{
    pl_str path = wal_segment_path(a, dir, f, &f->v[i]);
    int fd = open(path.p, O_RDONLY | O_CLOEXEC);
    struct wal_scan scan = {.record = record_each, .arg = r};
    struct pl_err why = {.status = PL_OK};
    enum wal_scan_end end = WAL_SCAN_CLEAN;
    struct stat sb;
    void *m = NULL;

    if (fd < 0 || fstat(fd, &sb) != 0) {
        int e = errno;
        if (fd >= 0) {
            (void)close(fd);
        }
        return pl_fail(err, PL_IO, "open WAL segment %.*s: %s", PL_STR_ARG(path), strerror(e));
    }
    if (sb.st_size > 0) {
        m = mmap(NULL, (size_t)sb.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    }
    (void)close(fd);
    if (m == MAP_FAILED) {
        return pl_fail(err, PL_IO, "map WAL segment %.*s: %s", PL_STR_ARG(path), strerror(errno));
    }
    if (m != NULL) {
        (void)madvise(m, (size_t)sb.st_size, MADV_SEQUENTIAL);
        end = wal_scan(&scan, m, (size_t)sb.st_size, &why);
        (void)munmap(m, (size_t)sb.st_size);
    }
    if (end == WAL_SCAN_CLEAN) {
        return PL_OK;
    }
    r->r->corruptions++;
    pl_warn(end == WAL_SCAN_TORN && i + 1 == f->n ? "WAL ends in a torn record: cut"
                                                  : "corrupt WAL record: what follows it is dropped",
            PL_KV("user", r->h->tenant), PL_KV("segment", path), PL_KV_INT("good_bytes", scan.good_bytes),
            PL_KV_INT("later_segments", f->n - i - 1), PL_KV_ERR(&why));
    if (!r->h->read_only) {
        PL_TRY(repair(dir, f, i, scan.good_bytes, a, err));
    }
    return PL_NOT_FOUND;
}

static pl_status wal_replay(struct replay *r, pl_str dir, struct pl_err *err)
{
    struct pl_arena a;
    struct wal_files f;
    pl_status st;

    pl_arena_init(&a, 0);
    st = wal_list(&f, dir, &a, err);
    if (st == PL_OK) {
        r->r->next_segment = f.next;
        if (r->progress != NULL) {
            atomic_store_explicit(&r->progress->segment_count, f.n, memory_order_relaxed);
        }
    }
    for (size_t i = 0; st == PL_OK && i < f.n; i++) {
        st = segment_replay(r, dir, &f, i, &a, err);
        if (r->progress != NULL) {
            atomic_store_explicit(&r->progress->segments_done, i + 1, memory_order_relaxed);
        }
        if (f.n > 4) {
            pl_info("WAL segment replayed", PL_KV("user", r->h->tenant), PL_KV_INT("segment", i + 1),
                    PL_KV_INT("of", f.n));
        }
    }
    pl_arena_fini(&a);
    return st == PL_NOT_FOUND ? PL_OK : st;
}

/* Series that lost their reference to another get one that the log has never seen; they are logged anew when next
 * pushed. */
static void rename_lost(struct replay *r)
{
    for (size_t i = 0; i < r->renamed_count; i++) {
        uint32_t slot = r->renamed[i];
        uint64_t ref = PL_MAX(++r->ref_max, (uint64_t)SLOT_LIMIT + 1);
        r->ref_max = ref;
        u64_map_put(&r->h->foreign, slot, ref);
        u64_map_put(&r->h->alias, ref, slot);
        head_cold_of(r->h, slot)->foreign = 1;
        head_hot(r->h, slot)->logged = 0;
    }
}

/* Chunk files may hold chunks of series that the log no longer knows. No new series may get such a number before the
 * files are gone, or the next opening would give it another series' chunks. */
static void reserve_orphans(struct replay *r)
{
    uint32_t newest = head_chunks_newest(r->h->chunks);
    uint64_t last = 0;

    for (size_t i = 0; i < r->chunk_count; i++) {
        uint64_t ref = r->chunks[i].ref;
        if (ref != last && ref != 0 && ref_slot(r->h, ref) == 0 && ref <= UINT32_MAX) {
            u64_map_put(&r->h->reserved, ref, newest);
        }
        last = ref;
    }
}

/* Slots below slot_next that no series took may be given out again, unless the log or a chunk file knows the number. */
static void free_slots_find(struct replay *r)
{
    struct head *h = r->h;

    for (uint32_t slot = h->slot_next; slot-- > 1;) {
        if (head_page_of(h, slot) != NULL && head_is_live(head_hot(h, slot))) {
            continue;
        }
        /* Chunks of series that are gone may still lie in files under this number: out of use until they are deleted.
         */
        pl_array_reserve(r->renamed, r->renamed_cap, r->renamed_count + 1);
        r->renamed[r->renamed_count++] = slot;
    }
}

pl_status head_replay(struct head *h, pl_str dir, struct tsdb_progress *progress, struct head_replay_result *result,
                      struct pl_err *err)
{
    struct replay *r = pl_new(struct replay);
    struct pl_arena a;
    int64_t start_ns = pl_now_mono_ns();
    pl_status st;

    *result = (struct head_replay_result){.corruptions = 0};
    r->h = h;
    r->r = result;
    r->progress = progress;
    r->min_valid = atomic_load_explicit(&h->min_valid_ms, memory_order_relaxed);
    pl_arena_init(&a, 0);
    st = head_chunks_open(&h->chunks, pl_arena_printf(&a, "%.*s/chunks_head", PL_STR_ARG(dir)), h->read_only,
                          chunk_loaded, r, &result->head_chunk_corruptions, err);
    if (st == PL_OK) {
        if (r->chunk_count > 1) {
            qsort(r->chunks, r->chunk_count, sizeof(*r->chunks), loaded_cmp);
        }
        replay__workers_start(&r->workers, h);
        st = wal_replay(r, pl_arena_printf(&a, "%.*s/wal", PL_STR_ARG(dir)), err);
        replay__workers_stop(&r->workers);
    }
    if (st == PL_OK) {
        late_chunks_attach(r);
        rename_lost(r);
        r->renamed_count = 0;
        free_slots_find(r);
        reserve_orphans(r);
        pl_mutex_lock(&h->index);
        head_quarantine_add_locked(h, r->renamed, r->renamed_count, head_chunks_newest(h->chunks));
        pl_mutex_unlock(&h->index);
        head_rescan_bounds(h);
        if (result->samples > 0 || result->series > 0) {
            pl_info("WAL replayed", PL_KV("user", h->tenant), PL_KV_INT("series", result->series),
                    PL_KV_INT("samples", result->samples), PL_KV_INT("skipped_records", result->skipped_records),
                    PL_KV_INT("unknown_series", result->unknown_refs),
                    PL_KV_INT("invalid_histograms", result->bad_histograms),
                    PL_KV_DUR_NS("duration", pl_now_mono_ns() - start_ns));
        }
    }
    pl_arena_fini(&a);
    pl_buf_fini(&r->scratch);
    pl_arena_fini(&r->hist_arena);
    pl_free(r->renamed);
    pl_free(r->chunks);
    pl_free(r);
    return st;
}
