/* Truncation of the log and of the head chunk files: what the head still needs of the log is logged again. */
#include "tsdb/head.h"

enum { RELOG_SLICE_PAGES = 64 };

/* Writes each live series of some pages, and the samples of its open chunk, into the new segments. Pushes may go on:
 * what they add is in the log already, and replay ignores what it has seen. */
static pl_status relog_pages(struct head *h, uint32_t first, uint32_t last, struct pl_buf *series,
                             struct head_records *samples, struct pl_err *err)
{
    struct wal_ticket ticket = {.used = false};

    for (uint32_t slot = first; slot < last; slot += HEAD_PAGE_SERIES) {
        struct head_page *page = head_page_of(h, slot);
        struct head_shard *sh = &h->shards[head_shard_of(slot)];
        pl_status st = PL_OK;

        if (page == NULL) {
            continue;
        }
        pl_buf_reset(series);
        pl_mutex_lock(&sh->lock);
        for (uint32_t k = 0; k < HEAD_PAGE_SERIES && st == PL_OK; k++) {
            if (head_is_live(&page->hot[k])) {
                uint64_t ref = head_wal_ref(h, slot + k, &page->cold[k]);
                head_encode_series(h, series, ref, &page->cold[k]);
                st = head_encode_tail(samples, ref, &page->hot[k], err);
            }
        }
        if (st == PL_OK && series->n > 0) {
            wal_add(h->wal, &ticket, series->p, series->n);
        }
        head_records_give(samples, st == PL_OK ? h->wal : NULL, &ticket);
        pl_mutex_unlock(&sh->lock);
        if (st != PL_OK) {
            return st;
        }
    }
    return wal_commit(h->wal, &ticket, err);
}

/* Chunk files of a foreign writer may name a series by more than one reference: these names stay in the log too. Not
 * the reference that its samples are logged under: that one's record comes with them (relog_pages). Before it, samples
 * that are pushed meanwhile would be replayed first, and the older ones then refused. */
static pl_status relog_aliases(struct head *h, struct pl_err *err)
{
    struct pl_buf series = {.p = NULL};
    struct wal_ticket ticket = {.used = false};
    struct u64_map_entry *v;
    size_t n = 0;

    pl_mutex_lock(&h->index);
    v = pl_alloc((h->alias.count + 1) * sizeof(*v));
    for (size_t i = 0; h->alias.v != NULL && i <= h->alias.mask; i++) {
        const struct u64_map_entry *e = &h->alias.v[i];
        uint64_t own;
        if (e->key != 0 && !(u64_map_get(&h->foreign, e->value, &own) && own == e->key)) {
            v[n++] = *e;
        }
    }
    pl_mutex_unlock(&h->index);
    head_pin(h);
    for (size_t i = 0; i < n; i++) {
        if (!head_is_live(head_hot(h, (uint32_t)v[i].value))) {
            continue;
        }
        pl_buf_reset(&series);
        head_encode_series(h, &series, v[i].key, head_cold_of(h, (uint32_t)v[i].value));
        wal_add(h->wal, &ticket, series.p, series.n);
    }
    head_unpin(h);
    pl_free(v);
    pl_buf_fini(&series);
    return wal_commit(h->wal, &ticket, err);
}

static pl_status wal_truncate(struct head *h, pl_str wal_dir, struct pl_err *err)
{
    struct pl_buf series = {.p = NULL};
    struct head_records samples = {.floats = {.p = NULL}};
    uint32_t segment, end;
    pl_status st = wal_roll(h->wal, &segment, err);

    if (st == PL_OK) {
        st = relog_aliases(h, err);
        head_reached(h, HEAD_AT_ROLLED);
    }
    end = head_slot_end(h);
    for (uint32_t first = 0; first < end && st == PL_OK; first += RELOG_SLICE_PAGES * HEAD_PAGE_SERIES) {
        st = relog_pages(h, first, PL_MIN(first + RELOG_SLICE_PAGES * HEAD_PAGE_SERIES, end), &series, &samples, err);
    }
    /* Closed chunks are only in their files from here on. */
    if (st == PL_OK) {
        st = head_chunks_flush(h->chunks, 0, true, err);
    }
    if (st == PL_OK) {
        st = wal_sync(h->wal, err);
    }
    if (st == PL_OK) {
        st = wal_delete_before(wal_dir, segment, err);
    }
    pl_buf_fini(&series);
    head_records_fini(&samples);
    return st;
}

pl_status head_truncate_files(struct head *h, pl_str wal_dir, struct pl_err *err)
{
    PL_TRY(wal_truncate(h, wal_dir, err));
    head_chunks_truncate(h->chunks, atomic_load_explicit(&h->cut_ms, memory_order_relaxed));
    pl_mutex_lock(&h->index);
    head_quarantine_release_locked(h, head_chunks_oldest(h->chunks));
    pl_mutex_unlock(&h->index);
    return PL_OK;
}
