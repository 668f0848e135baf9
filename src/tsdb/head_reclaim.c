/* Giving memory back: what dead series leave behind, once no reader can hold it (head.h says how). */
#include "tsdb/head.h"

enum { DROP_SLICE = 512, FREE_SLICE = 4096 };

/* ---- generations ---- */

static struct head_gen *gen_new(uint64_t seq)
{
    struct head_gen *g = pl_new(struct head_gen);

    g->seq = seq;
    atomic_init(&g->refs, 1);
    return g;
}

void head_gens_init(struct head *h)
{
    h->gen_oldest = h->gen_newest = gen_new(1);
}

void head_gens_fini(struct head *h)
{
    for (struct head_gen *g = h->gen_oldest; g != NULL;) {
        struct head_gen *next = g->next;
        for (size_t i = 0; i < g->page_count; i++) {
            pl_free(g->pages[i]);
        }
        pl_free(g->pages);
        pl_free(g->symbols);
        head_leave(g);
        g = next;
    }
    h->gen_oldest = h->gen_newest = NULL;
}

struct head_gen *head_enter(struct head *h)
{
    struct head_gen *g;

    pl_mutex_lock(&h->index);
    g = h->gen_newest;
    atomic_fetch_add_explicit(&g->refs, 1, memory_order_relaxed);
    pl_mutex_unlock(&h->index);
    return g;
}

void head_leave(struct head_gen *g)
{
    /* Releases the reads of this generation to gen_oldest_take, and to whoever frees g. */
    if (atomic_fetch_sub_explicit(&g->refs, 1, memory_order_acq_rel) == 1) {
        pl_free(g);
    }
}

static void leave_arg(void *arg)
{
    head_leave(arg);
}

void head_enter_until_free(struct head *h, struct pl_arena *a)
{
    pl_arena_on_free(a, leave_arg, head_enter(h));
}

/* The oldest generation when it is closed and without readers; they cannot come back to it. */
static struct head_gen *gen_oldest_take(struct head *h)
{
    struct head_gen *g;

    pl_mutex_lock(&h->index);
    g = h->gen_oldest;
    if (g == h->gen_newest || atomic_load_explicit(&g->refs, memory_order_acquire) > 1) { /* pairs with head_leave */
        g = NULL;
    } else {
        h->gen_oldest = g->next;
    }
    pl_mutex_unlock(&h->index);
    return g;
}

/* ---- forgetting ---- */

/* A page of slots none of which is in use goes; it is made anew when a slot of it is given out again. */
static void page_retire_if_empty_locked(struct head *h, uint32_t slot)
{
    struct head_page *_Atomic *pages = atomic_load_explicit(&h->pages, memory_order_relaxed);
    struct head_page *page = head_page_of(h, slot);
    struct head_gen *g = h->gen_newest;

    for (uint32_t k = 0; page != NULL && k < HEAD_PAGE_SERIES; k++) {
        if (head_is_live(&page->hot[k])) {
            return;
        }
    }
    if (page != NULL) {
        atomic_store_explicit(&pages[slot >> HEAD_PAGE_BITS], NULL, memory_order_relaxed);
        pl_array_reserve(g->pages, g->page_cap, g->page_count + 1);
        g->pages[g->page_count++] = page;
    }
}

/* `dead` is ascending, so slots of one page are neighbours. */
static void pages_retire(struct head *h, const uint32_t *dead, size_t n)
{
    for (size_t i = 0; i < n;) {
        pl_mutex_lock(&h->index);
        for (size_t end = PL_MIN(i + DROP_SLICE, n); i < end; i++) {
            if (i + 1 == n || dead[i] >> HEAD_PAGE_BITS != dead[i + 1] >> HEAD_PAGE_BITS) {
                page_retire_if_empty_locked(h, dead[i]);
            }
        }
        pl_mutex_unlock(&h->index);
    }
}

void head_forget_series(struct head *h, const uint32_t *dead, size_t n)
{
    bool more = n > 0;

    for (size_t at = 0; at < n; at += DROP_SLICE) {
        pl_mutex_lock(&h->index);
        for (size_t i = at; i < PL_MIN(at + DROP_SLICE, n); i++) {
            head_drop_series_locked(h, dead[i]);
        }
        pl_mutex_unlock(&h->index);
    }
    for (size_t i = 0; more; i++) {
        pl_mutex_lock(&h->index);
        more = postings_sweep_name(h->postings, i);
        pl_mutex_unlock(&h->index);
    }
    pages_retire(h, dead, n);
    pl_mutex_lock(&h->index);
    head_quarantine_add_locked(h, dead, n, head_chunks_newest(h->chunks));
    head_table_shrink_locked(h);
    postings_shrink(h->postings);
    /* Whatever this and earlier steps retired hangs on the generation whose readers are the last that may know it. */
    h->gen_newest->symbols = symbols_retired_take(&h->symbols, &h->gen_newest->symbol_count);
    h->gen_newest->next = gen_new(h->gen_newest->seq + 1);
    h->gen_newest = h->gen_newest->next;
    pl_mutex_unlock(&h->index);
}

/* ---- freeing ---- */

void head_reclaim(struct head *h)
{
    bool any = false;

    for (struct head_gen *g = gen_oldest_take(h); g != NULL; g = gen_oldest_take(h)) {
        for (size_t at = 0; at < g->symbol_count; at += FREE_SLICE) {
            pl_mutex_lock(&h->index);
            symbols_free(&h->symbols, g->symbols + at, PL_MIN((size_t)FREE_SLICE, g->symbol_count - at));
            pl_mutex_unlock(&h->index);
        }
        for (size_t i = 0; i < g->page_count; i++) {
            pl_free(g->pages[i]);
        }
        pl_free(g->pages);
        pl_free(g->symbols);
        head_leave(g);
        any = true;
    }
    if (any) {
        pl_mutex_lock(&h->index);
        symbols_pages_free(&h->symbols);
        pl_mutex_unlock(&h->index);
    }
}
