/* Cutting the head: a block of its oldest range, then forgetting what the block holds, in memory. */
#include "tsdb/head.h"

#include "base/log.h"
#include "tsdb/block.h"
#include "tsdb/chunk_samples.h"

#include <stdlib.h>

enum { WRITE_SLICE = 512, GIVE_BACK_SERIES = 10000 };

/* ---- writing a block ---- */

struct range {
    int64_t mint, maxt;
};

static bool in_range(const void *arg, int64_t t)
{
    const struct range *r = arg;

    return t >= r->mint && t < r->maxt;
}

/* One block being written. */
struct cutting {
    struct head *h;
    struct block_writer *w;
    struct range range;
    struct chunk_samples samples; /* scratch */
    struct pl_arena a;            /* of a slice of series */
    struct head_chunk_pins pins;
    struct head_bad bad;
};

/* Cuts the views to the range; `all`: looks into each, and leaves out those that do not decode. Returns how many are
 * left. */
static pl_status views_clip(struct cutting *c, struct chunk_view *views, uint32_t *count, bool all, struct pl_err *err)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < *count; i++) {
        struct chunk_view v = views[i];
        if (all || v.mint_ms < c->range.mint || v.maxt_ms >= c->range.maxt) {
            pl_status st = chunk_filter(&c->samples, &v, in_range, &c->range, &c->a, err);
            if (st == PL_CORRUPT) {
                head_bad_note(&c->bad, err);
                continue;
            }
            if (st == PL_NOT_FOUND) {
                continue;
            }
            if (st != PL_OK) {
                return st;
            }
        }
        views[kept++] = v;
    }
    *count = kept;
    return PL_OK;
}

/* A chunk that cannot be read any more is left out: it would keep this and all later ranges in the head for ever. */
static pl_status series_write(struct cutting *c, uint32_t slot, struct pl_err *err)
{
    struct chunk_view *views;
    struct labels ls;
    uint32_t n;
    pl_status st;

    PL_TRY(head_chunk_views(c->h, slot, &c->a, &c->pins, c->range.mint, c->range.maxt - 1, &c->bad, &views, &n, err));
    PL_TRY(views_clip(c, views, &n, false, err));
    if (n == 0) {
        return PL_OK;
    }
    if (!head_labels(c->h, slot, &c->a, &ls)) {
        return pl_fail(err, PL_NOMEM, "out of memory while cutting the head");
    }
    st = block_writer_add(c->w, ls, views, n, err);
    if (st == PL_CORRUPT) {
        PL_TRY(views_clip(c, views, &n, true, err));
        st = block_writer_add(c->w, ls, views, n, err);
    }
    return st;
}

/* Live series with chunks that touch the range, in label order. */
static uint32_t *series_in_range(struct head *h, int64_t mint, int64_t maxt, size_t *count)
{
    uint32_t end = head_slot_end(h);
    uint32_t *slots = NULL;
    size_t n = 0, cap = 0;

    for (uint32_t first = 0; first < end; first += HEAD_PAGE_SERIES) {
        struct head_page *page = head_page_of(h, first);
        struct head_shard *sh = &h->shards[head_shard_of(first)];
        if (page == NULL) {
            continue;
        }
        pl_array_reserve(slots, cap, n + HEAD_PAGE_SERIES);
        pl_mutex_lock(&sh->lock);
        for (uint32_t k = 0; k < HEAD_PAGE_SERIES; k++) {
            const struct head_series *s = &page->hot[k];
            int64_t lowest = s->chunk_count > 0 ? page->cold[k].chunks[0].mint_ms : s->chunk_mint;
            if ((s->chunk_count > 0 || s->tail != NULL) && lowest < maxt && s->app.t >= mint) {
                slots[n++] = first + k;
            }
        }
        pl_mutex_unlock(&sh->lock);
    }
    head_sort_slots(h, slots, n);
    *count = n;
    return slots;
}

pl_status head_write_block(struct head *h, pl_str dir, int64_t mint_ms, int64_t maxt_ms, int64_t now_ms,
                           struct ulid *id, struct pl_err *err)
{
    struct cutting *c = pl_new(struct cutting);
    size_t n;
    uint32_t *slots;
    pl_status st;

    c->h = h;
    c->range = (struct range){mint_ms, maxt_ms};
    pl_arena_init(&c->a, 0);
    slots = series_in_range(h, mint_ms, maxt_ms, &n);
    st = block_writer_create(&c->w, dir, mint_ms, maxt_ms, now_ms, err);
    for (size_t at = 0; at < n && st == PL_OK; at += WRITE_SLICE) {
        c->pins = (struct head_chunk_pins){.a = &c->a};
        for (size_t i = at; i < PL_MIN(at + WRITE_SLICE, n) && st == PL_OK; i++) {
            st = series_write(c, slots[i], err);
        }
        pl_arena_reset(&c->a);
    }
    if (st == PL_OK) {
        st = block_writer_finish(c->w, id, err);
    }
    if (c->bad.count > 0 && (st == PL_OK || st == PL_NOT_FOUND)) {
        atomic_fetch_add_explicit(&h->chunks_lost, c->bad.count, memory_order_relaxed);
        pl_error("chunks of the head could not be read: their samples are not in the block", PL_KV("user", h->tenant),
                 PL_KV_INT("chunks", c->bad.count), PL_KV_ERR(&c->bad.first));
    }
    block_writer_destroy(c->w);
    chunk_samples_fini(&c->samples);
    pl_arena_fini(&c->a);
    pl_free(c);
    pl_free(slots);
    return st;
}

/* ---- truncation in memory ---- */

static void series_chunks_drop(struct head *h, struct head_shard *sh, struct head_series *s, struct head_cold *c,
                               int64_t mint)
{
    uint32_t gone = 0;

    while (gone < s->chunk_count && c->chunks[gone].maxt_ms < mint) {
        gone++;
    }
    if (gone > 0) {
        s->chunk_count -= gone;
        memmove(c->chunks, c->chunks + gone, s->chunk_count * sizeof(*c->chunks));
        atomic_fetch_sub_explicit(&h->chunk_count, gone, memory_order_relaxed);
        if (s->chunk_count == 0) {
            pl_free(c->chunks);
            c->chunks = NULL;
            c->chunk_cap = 0;
        }
    }
    if (s->tail != NULL && s->app.t < mint) {
        head_tail_free(sh, s);
        atomic_fetch_sub_explicit(&h->chunk_count, 1, memory_order_relaxed);
    }
}

static void chunks_drop(struct head *h, int64_t mint)
{
    uint32_t end = head_slot_end(h);

    for (uint32_t first = 0; first < end; first += HEAD_PAGE_SERIES) {
        struct head_page *page = head_page_of(h, first);
        struct head_shard *sh = &h->shards[head_shard_of(first)];
        if (page == NULL) {
            continue;
        }
        pl_mutex_lock(&sh->lock);
        for (uint32_t k = 0; k < HEAD_PAGE_SERIES; k++) {
            if (head_is_live(&page->hot[k])) {
                series_chunks_drop(h, sh, &page->hot[k], &page->cold[k], mint);
            }
        }
        pl_mutex_unlock(&sh->lock);
    }
}

static bool alias_is_live(void *arg, uint64_t ref, uint64_t slot)
{
    (void)ref;
    return head_is_live(head_hot(arg, (uint32_t)slot));
}

static bool foreign_is_live(void *arg, uint64_t slot, uint64_t ref)
{
    (void)ref;
    return head_is_live(head_hot(arg, (uint32_t)slot));
}

/* Marks the series without samples as dead. No push and no query runs meanwhile: this is the one step that stops them,
 * and it only looks at one line per series. */
static uint32_t *mark_dead(struct head *h, size_t *count)
{
    uint32_t end = head_slot_end(h);
    uint32_t *dead = NULL;
    size_t n = 0, cap = 0;

    head_pin_exclusive(h);
    atomic_store_explicit(&h->pushed_mint_ms, INT64_MAX, memory_order_relaxed); /* for head_rescan_bounds */
    for (uint32_t first = 0; first < end; first += HEAD_PAGE_SERIES) {
        struct head_page *page = head_page_of(h, first);
        for (uint32_t k = 0; page != NULL && k < HEAD_PAGE_SERIES; k++) {
            struct head_series *s = &page->hot[k];
            if (head_is_live(s) && s->tail == NULL && s->chunk_count == 0) {
                *s = (struct head_series){.live = 0};
                pl_array_reserve(dead, cap, n + 1);
                dead[n++] = first + k;
            }
        }
    }
    if (n > 0) {
        head_wire_purge_dead(h);
        u64_map_filter(&h->alias, alias_is_live, h);
        u64_map_filter(&h->foreign, foreign_is_live, h);
    }
    pl_mutex_lock(&h->index);
    postings_sweep_names(h->postings); /* names that the last truncation left without a pair */
    pl_mutex_unlock(&h->index);
    head_unpin(h);
    *count = n;
    return dead;
}

void head_truncate(struct head *h, int64_t mint_ms)
{
    uint32_t *dead;
    size_t n;

    head_barrier(h, mint_ms);
    atomic_store_explicit(&h->cut_ms, mint_ms, memory_order_relaxed);
    chunks_drop(h, mint_ms);
    dead = mark_dead(h, &n);
    head_forget_series(h, dead, n);
    atomic_fetch_sub_explicit(&h->series_count, n, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->removed_total, n, memory_order_relaxed);
    pl_free(dead);
    head_rescan_bounds(h);
    head_reclaim(h);
    slab_pool_trim(&h->slabs);
    if (n >= GIVE_BACK_SERIES) {
        pl_alloc_give_back(); /* or an idle process would keep it for ever */
    }
}

void head_barrier(struct head *h, int64_t min_valid_ms)
{
    head_pin_exclusive(h);
    if (min_valid_ms > atomic_load_explicit(&h->min_valid_ms, memory_order_relaxed)) {
        atomic_store_explicit(&h->min_valid_ms, min_valid_ms, memory_order_release);
    }
    head_unpin(h);
}
