/* Cutting the head: a block of its oldest range, then forgetting what the block holds, in memory, head chunks and WAL.
 */
#include "tsdb/head.h"

#include "base/log.h"
#include "tsdb/block.h"

#include <stdlib.h>

enum { WRITE_SLICE = 512, RELOG_SLICE_PAGES = 64, GIVE_BACK_SERIES = 10000 };

/* ---- writing a block ---- */

/* The part of an XOR chunk inside [mint, maxt), encoded anew. PL_NOT_FOUND: no sample lies inside. */
static pl_status chunk_clip(struct chunk_view *c, int64_t mint, int64_t maxt, struct pl_arena *a, struct pl_err *err)
{
    uint32_t n = xor_count(c->data, c->size), kept = 0;
    int64_t *t = pl_arena_alloc_try(a, (size_t)n * sizeof(*t));
    double *v = pl_arena_alloc_try(a, (size_t)n * sizeof(*v));
    uint8_t *out = pl_arena_alloc_try(a, XOR_CHUNK_HEADER + (size_t)n * XOR_SAMPLE_BYTES_MAX + XOR_SAMPLE_BYTES_MAX);
    struct xor_appender app;

    if (t == NULL || v == NULL || out == NULL) {
        return pl_fail(err, PL_NOMEM, "out of memory while cutting a chunk");
    }
    PL_TRY(xor_decode(c->data, c->size, t, v, err));
    xor_init(&app, out);
    for (uint32_t i = 0; i < n; i++) {
        if (t[i] < mint || t[i] >= maxt) {
            continue;
        }
        if (kept++ == 0) {
            c->mint_ms = t[i];
        }
        c->maxt_ms = t[i];
        xor_append(&app, out, t[i], v[i]);
    }
    c->data = out;
    c->size = xor_size(&app);
    return kept > 0 ? PL_OK : PL_NOT_FOUND;
}

static pl_status series_write(struct head *h, uint32_t slot, struct block_writer *w, int64_t mint, int64_t maxt,
                              struct pl_arena *a, struct head_chunk_pins *pins, struct pl_err *err)
{
    struct chunk_view *views;
    struct labels ls;
    uint32_t n, kept = 0;

    PL_TRY(head_chunk_views(h, slot, a, pins, mint, maxt - 1, &views, &n, err));
    for (uint32_t i = 0; i < n; i++) {
        struct chunk_view c = views[i];
        if (c.mint_ms < mint || c.maxt_ms >= maxt) {
            pl_status st = chunk_clip(&c, mint, maxt, a, err);
            if (st == PL_NOT_FOUND) {
                continue;
            }
            if (st != PL_OK) {
                return st;
            }
        }
        views[kept++] = c;
    }
    if (kept == 0) {
        return PL_OK;
    }
    if (!head_labels(h, slot, a, &ls)) {
        return pl_fail(err, PL_NOMEM, "out of memory while cutting the head");
    }
    return block_writer_add(w, ls, views, kept, err);
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
    struct block_writer *w = NULL;
    struct pl_arena a;
    size_t n;
    uint32_t *slots;
    pl_status st;

    pl_arena_init(&a, 0);
    slots = series_in_range(h, mint_ms, maxt_ms, &n);
    st = block_writer_create(&w, dir, mint_ms, maxt_ms, now_ms, err);
    for (size_t at = 0; at < n && st == PL_OK; at += WRITE_SLICE) {
        struct head_chunk_pins pins = {.a = &a};
        for (size_t i = at; i < PL_MIN(at + WRITE_SLICE, n) && st == PL_OK; i++) {
            st = series_write(h, slots[i], w, mint_ms, maxt_ms, &a, &pins, err);
        }
        pl_arena_reset(&a);
    }
    if (st == PL_OK) {
        st = block_writer_finish(w, id, err);
    }
    block_writer_destroy(w);
    pl_arena_fini(&a);
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
        slab_free(&sh->tails, s->tail_class, s->tail);
        s->tail = NULL;
        s->tail_class = SLAB_CLASS_NONE;
        s->app.sample_count = 0;
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

/* ---- truncation of the log ---- */

/* Writes each live series of some pages, and the samples of its open chunk, into the new segments. Pushes may go on:
 * what they add is in the log already, and replay ignores what it has seen. */
static pl_status relog_pages(struct head *h, uint32_t first, uint32_t last, struct pl_buf *series,
                             struct pl_buf *samples, int64_t *t, double *v, struct pl_err *err)
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
        pl_buf_reset(samples);
        pl_mutex_lock(&sh->lock);
        for (uint32_t k = 0; k < HEAD_PAGE_SERIES && st == PL_OK; k++) {
            struct head_series *s = &page->hot[k];
            uint64_t ref = slot + k;
            uint32_t n;

            if (!head_is_live(s)) {
                continue;
            }
            ref = head_wal_ref(h, slot + k, &page->cold[k]);
            head_encode_series(h, series, ref, &page->cold[k]);
            if (s->tail == NULL) {
                continue;
            }
            n = s->app.sample_count;
            PL_ASSERT(n <= HEAD_CHUNK_SAMPLES * 2);
            st = xor_decode(s->tail, xor_size(&s->app), t, v, err);
            for (uint32_t i = 0; i < n && st == PL_OK; i++) {
                uint8_t *p = (uint8_t *)pl_buf_reserve(samples, 64), *start = p;
                if (samples->n == 0) {
                    *p++ = WAL_REC_SAMPLES;
                    memset(p, 0, 16); /* base reference and time 0: the deltas are the values */
                    p += 16;
                }
                p = varint_put(p, (int64_t)ref);
                p = varint_put(p, t[i]);
                pl_put_be64(p, pl_f64_bits(v[i]));
                samples->n += (size_t)(p + 8 - start);
            }
        }
        if (st == PL_OK && series->n > 0) {
            wal_add(h->wal, &ticket, series->p, series->n);
        }
        if (st == PL_OK && samples->n > 0) {
            wal_add(h->wal, &ticket, samples->p, samples->n);
        }
        pl_mutex_unlock(&sh->lock);
        if (st != PL_OK) {
            return st;
        }
    }
    return wal_commit(h->wal, &ticket, err);
}

/* Chunk files of a foreign writer may name a series by more than one reference: these names stay in the log too. */
static pl_status relog_aliases(struct head *h, struct pl_err *err)
{
    struct pl_buf series = {.p = NULL};
    struct wal_ticket ticket = {.used = false};
    struct u64_map_entry *v;
    size_t n = 0;

    pl_mutex_lock(&h->index);
    v = pl_alloc((h->alias.count + 1) * sizeof(*v));
    for (size_t i = 0; h->alias.v != NULL && i <= h->alias.mask; i++) {
        if (h->alias.v[i].key != 0) {
            v[n++] = h->alias.v[i];
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
    struct pl_buf series = {.p = NULL}, samples = {.p = NULL};
    int64_t *t = pl_new_array(int64_t, HEAD_CHUNK_SAMPLES * 2);
    double *v = pl_new_array(double, HEAD_CHUNK_SAMPLES * 2);
    uint32_t segment, end;
    pl_status st = wal_roll(h->wal, &segment, err);

    if (st == PL_OK) {
        st = relog_aliases(h, err);
    }
    end = head_slot_end(h);
    for (uint32_t first = 0; first < end && st == PL_OK; first += RELOG_SLICE_PAGES * HEAD_PAGE_SERIES) {
        st = relog_pages(h, first, PL_MIN(first + RELOG_SLICE_PAGES * HEAD_PAGE_SERIES, end), &series, &samples, t, v,
                         err);
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
    pl_buf_fini(&samples);
    pl_free(t);
    pl_free(v);
    return st;
}

void head_truncate(struct head *h, int64_t mint_ms)
{
    uint32_t *dead;
    size_t n;

    head_barrier(h, mint_ms);
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

pl_status head_truncate_files(struct head *h, pl_str wal_dir, struct pl_err *err)
{
    PL_TRY(wal_truncate(h, wal_dir, err));
    head_chunks_truncate(h->chunks, atomic_load_explicit(&h->min_valid_ms, memory_order_relaxed));
    pl_mutex_lock(&h->index);
    head_quarantine_release_locked(h, head_chunks_oldest(h->chunks));
    pl_mutex_unlock(&h->index);
    return PL_OK;
}

void head_barrier(struct head *h, int64_t min_valid_ms)
{
    head_pin_exclusive(h);
    if (min_valid_ms > atomic_load_explicit(&h->min_valid_ms, memory_order_relaxed)) {
        atomic_store_explicit(&h->min_valid_ms, min_valid_ms, memory_order_release);
    }
    head_unpin(h);
}
