#include "tsdb/head_hist.h"

#include "base/clock.h"

#include <errno.h>
#include <time.h>

enum { TABLE_FIRST = 64 };

struct head *head_create(const struct tsdb_options *o, pl_str tenant)
{
    struct head *h = pl_alloc_zero(sizeof(*h));
    pthread_rwlockattr_t attr;

    h->block_range_ms = o->block_range_ms;
    h->read_only = o->read_only;
    h->tenant = tenant;
    /* A waiting writer goes first, or steady pushes would keep truncation out for ever. */
    PL_ASSERT(pthread_rwlockattr_init(&attr) == 0);
    PL_ASSERT(pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP) == 0);
    PL_ASSERT(pthread_rwlock_init(&h->pins, &attr) == 0);
    PL_ASSERT(pthread_rwlock_init(&h->wire_lock, &attr) == 0);
    (void)pthread_rwlockattr_destroy(&attr);
    slab_pool_init(&h->slabs);
    for (size_t i = 0; i < HEAD_SHARD_COUNT; i++) {
        pl_mutex_init(&h->shards[i].lock, PL_RANK_SHARD);
        slab_init(&h->shards[i].tails, &h->slabs);
    }
    pl_mutex_init(&h->index, PL_RANK_POSTINGS);
    slab_init(&h->label_slab, &h->slabs);
    symbols_init(&h->symbols);
    h->metric_name_id = symbols_intern(&h->symbols, LABEL_METRIC_NAME);
    symbols_ref(&h->symbols, h->metric_name_id); /* for ever */
    h->postings = postings_create(&h->symbols);
    head_gens_init(h);
    h->table = pl_new_array(struct head_index_entry, TABLE_FIRST);
    h->table_mask = TABLE_FIRST - 1;
    h->wire = pl_new_array(struct wire_entry, TABLE_FIRST);
    h->wire_mask = TABLE_FIRST - 1;
    head_slot_page_ensure_locked(h, 0); /* so that walks over [0, slot_next) always find the page array */
    h->slot_next = 1;
    atomic_init(&h->min_valid_ms, INT64_MIN);
    atomic_init(&h->cut_ms, INT64_MIN);
    atomic_init(&h->mint_ms, INT64_MAX);
    atomic_init(&h->maxt_ms, INT64_MIN);
    atomic_init(&h->pushed_mint_ms, INT64_MAX);
    return h;
}

void head_destroy(struct head *h)
{
    struct head_page *_Atomic *pages;

    if (h == NULL) {
        return;
    }
    wal_close(h->wal);
    head_chunks_close(h->chunks);
    pages = atomic_load_explicit(&h->pages, memory_order_relaxed);
    for (uint32_t i = 0; i < h->page_cap; i++) {
        struct head_page *page = atomic_load_explicit(&pages[i], memory_order_relaxed);
        for (uint32_t k = 0; page != NULL && k < HEAD_PAGE_SERIES; k++) {
            pl_free(page->cold[k].chunks);
            if (page->hot[k].tail != NULL && head_tail_is_hist(&page->hot[k])) {
                head_hist_free(head_hist_of(&page->hot[k]));
            }
            if ((size_t)page->cold[k].label_count * 8 > SLAB_SIZE_MAX) {
                pl_free((void *)(uintptr_t)page->cold[k].labels);
            }
        }
        pl_free(page);
    }
    pl_free((void *)(uintptr_t)pages);
    for (size_t i = 0; i < h->old_page_array_count; i++) {
        pl_free(h->old_page_arrays[i]);
    }
    pl_free(h->old_page_arrays);
    for (size_t i = 0; i < h->quarantine_count; i++) {
        pl_free(h->quarantine[i].slots);
    }
    pl_free(h->quarantine);
    pl_free(h->free_slots);
    u64_map_fini(&h->alias);
    u64_map_fini(&h->foreign);
    u64_map_fini(&h->reserved);
    pl_free(h->table);
    pl_free(h->wire);
    postings_destroy(h->postings);
    head_gens_fini(h);
    symbols_fini(&h->symbols);
    slab_pool_fini(&h->slabs);
    for (size_t i = 0; i < HEAD_SHARD_COUNT; i++) {
        pl_mutex_fini(&h->shards[i].lock);
    }
    pl_mutex_fini(&h->index);
    (void)pthread_rwlock_destroy(&h->pins);
    (void)pthread_rwlock_destroy(&h->wire_lock);
    pl_free(h);
}

void head_pin(struct head *h)
{
    PL_ASSERT(pthread_rwlock_rdlock(&h->pins) == 0);
}

/* A long query holds its pin for as long as it gathers; while a writer waits for it, new pushes wait too. So the writer
 * waits a little, lets them pass, and tries again, longer each time. */
void head_pin_exclusive(struct head *h)
{
    for (int64_t wait_ns = 5 * PL_NS_PER_MS;; wait_ns = PL_MIN(wait_ns * 2, PL_NS_PER_S)) {
        int64_t until = pl_now_unix_ns() + wait_ns; /* the thread sanitizer knows only this form */
        struct timespec ts = {.tv_sec = until / PL_NS_PER_S, .tv_nsec = until % PL_NS_PER_S};
        int e = pthread_rwlock_timedwrlock(&h->pins, &ts);
        if (e == 0) {
            return;
        }
        PL_ASSERT(e == ETIMEDOUT);
        pl_sleep_ns(wait_ns);
    }
}

void head_unpin(struct head *h)
{
    PL_ASSERT(pthread_rwlock_unlock(&h->pins) == 0);
}

uint64_t head_wal_ref(struct head *h, uint32_t slot, const struct head_cold *c)
{
    uint64_t ref = slot;

    if (PL_UNLIKELY(c->foreign)) {
        pl_mutex_lock(&h->index);
        PL_ASSERT(u64_map_get(&h->foreign, slot, &ref));
        pl_mutex_unlock(&h->index);
    }
    return ref;
}

bool head_labels(const struct head *h, uint32_t slot, struct pl_arena *a, struct labels *out)
{
    const struct head_cold *c = head_cold_of(h, slot);
    struct label *v = pl_arena_alloc_try(a, (size_t)c->label_count * sizeof(*v));

    if (v == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < c->label_count; i++) {
        v[i].name = symbols_text(&h->symbols, c->labels[i * 2]);
        v[i].value = symbols_text(&h->symbols, c->labels[i * 2 + 1]);
    }
    *out = (struct labels){.v = v, .n = c->label_count};
    return true;
}

uint32_t head_slot_end(struct head *h)
{
    uint32_t end;

    pl_mutex_lock(&h->index);
    end = h->slot_next;
    pl_mutex_unlock(&h->index);
    return end;
}

void head_rescan_bounds(struct head *h)
{
    uint32_t end = head_slot_end(h);
    int64_t mint = INT64_MAX, maxt = INT64_MIN;

    for (uint32_t first = 0; first < end; first += HEAD_PAGE_SERIES) {
        struct head_page *page = head_page_of(h, first);
        struct head_shard *sh = &h->shards[head_shard_of(first)];
        if (page == NULL) {
            continue;
        }
        pl_mutex_lock(&sh->lock);
        for (uint32_t k = 0; k < HEAD_PAGE_SERIES; k++) {
            const struct head_series *s = &page->hot[k];
            if (s->chunk_count > 0) {
                mint = PL_MIN(mint, page->cold[k].chunks[0].mint_ms);
            } else if (s->app.sample_count > 0 && s->tail != NULL) {
                mint = PL_MIN(mint, s->chunk_mint);
            } else {
                continue;
            }
            maxt = PL_MAX(maxt, s->app.t);
        }
        pl_mutex_unlock(&sh->lock);
    }
    /* A chunk that crosses the cut keeps its older samples; they count as gone. */
    if (mint != INT64_MAX) {
        mint = PL_MAX(mint, atomic_load_explicit(&h->cut_ms, memory_order_relaxed));
    }
    head_reached(h, HEAD_AT_RESCAN);
    head_pin_exclusive(h); /* a push lowers both or none */
    mint = PL_MIN(mint, atomic_load_explicit(&h->pushed_mint_ms, memory_order_relaxed));
    atomic_store_explicit(&h->mint_ms, mint, memory_order_relaxed);
    head_unpin(h);
    /* maxt never falls: bounds of running pushes were taken from it. */
    if (maxt > atomic_load_explicit(&h->maxt_ms, memory_order_relaxed)) {
        atomic_store_explicit(&h->maxt_ms, maxt, memory_order_relaxed);
    }
}
