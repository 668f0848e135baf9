#include "tsdb/head_slab.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { RANK_SLAB_POOL = PL_RANK_POSTINGS + 2, EXTENT_PAGES_FIRST = 4, EXTENT_PAGES_MAX = 256, PAGE_HEADER = 64 };

struct slab_page {
    struct slab_page *next, *prev;
    void *free;    /* list of freed blocks, linked through their first word */
    uint16_t bump; /* byte offset of the first block never used */
    uint16_t used; /* blocks handed out */
    uint8_t cls;
    bool listed; /* in slab.partial */
};
PL_STATIC_ASSERT(sizeof(struct slab_page) <= PAGE_HEADER, "blocks start behind the header");

static const uint16_t class_size[SLAB_CLASS_COUNT] = {16,  32,  48,  64,  80,  96,  112, 128,
                                                      144, 160, 176, 192, 208, 224, 240, 256,
                                                      320, 384, 448, 512, 640, 768, 896, SLAB_SIZE_MAX};

void slab_pool_init(struct slab_pool *p)
{
    *p = (struct slab_pool){.free = NULL};
    pl_mutex_init(&p->lock, RANK_SLAB_POOL);
}

void slab_pool_fini(struct slab_pool *p)
{
    if (p->extent_count == 0 && p->lock.rank == 0) {
        return;
    }
    for (size_t i = 0; i < p->extent_count; i++) {
        pl_free(p->extents[i]);
    }
    pl_free(p->extents);
    pl_free(p->trimmed);
    pl_mutex_fini(&p->lock);
    *p = (struct slab_pool){.free = NULL};
}

void slab_init(struct slab *s, struct slab_pool *pool)
{
    *s = (struct slab){.pool = pool};
}

uint8_t slab_class(size_t n)
{
    uint8_t c;

    if (n <= 256) {
        return n == 0 ? 0 : (uint8_t)((n - 1) / 16);
    }
    PL_ASSERT(n <= SLAB_SIZE_MAX);
    for (c = 16; class_size[c] < n; c++) {
    }
    return c;
}

uint32_t slab_class_size(uint8_t cls)
{
    return class_size[cls];
}

/* Cuts a new extent into pages. Extents grow with the head, so that a small tenant stays small. */
static void pool_grow_locked(struct slab_pool *p)
{
    size_t pages = PL_MIN(PL_MAX((size_t)EXTENT_PAGES_FIRST, (size_t)p->page_count / 4), (size_t)EXTENT_PAGES_MAX);
    char *mem = pl_alloc((pages + 1) * SLAB_PAGE_BYTES); /* one more, to align */
    char *at = mem + (SLAB_PAGE_BYTES - (uintptr_t)mem % SLAB_PAGE_BYTES) % SLAB_PAGE_BYTES;

    if (at == mem) {
        pages++;
    }
    pl_array_reserve(p->extents, p->extent_cap, p->extent_count + 1);
    p->extents[p->extent_count++] = mem;
    for (size_t i = pages; i-- > 0;) {
        struct slab_page *page = (struct slab_page *)(void *)(at + i * SLAB_PAGE_BYTES);
        page->next = p->free;
        p->free = page;
    }
    p->page_count += pages;
    p->page_free_count += pages;
}

static struct slab_page *page_take(struct slab_pool *p)
{
    struct slab_page *page;

    pl_mutex_lock(&p->lock);
    if (p->free == NULL && p->trimmed_count == 0) {
        pool_grow_locked(p);
    }
    if (p->free != NULL) {
        page = p->free;
        p->free = page->next;
    } else {
        page = p->trimmed[--p->trimmed_count];
    }
    p->page_free_count--;
    pl_mutex_unlock(&p->lock);
    return page;
}

static void page_give(struct slab_pool *p, struct slab_page *page)
{
    pl_mutex_lock(&p->lock);
    page->next = p->free;
    p->free = page;
    p->page_free_count++;
    pl_mutex_unlock(&p->lock);
}

static int page_cmp(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t) * (struct slab_page *const *)a, y = (uintptr_t) * (struct slab_page *const *)b;

    return (x < y) - (x > y); /* falling, so that the lowest are taken first */
}

/* Gives the memory of v[0..n) back, neighbours in one call. */
static void pages_discard(struct slab_page *const *v, size_t n)
{
    for (size_t first = 0, i = 1; i <= n; i++) {
        if (i == n || (char *)v[i] + SLAB_PAGE_BYTES != (char *)v[i - 1]) {
            /* A failure costs memory only. */
            (void)madvise(v[i - 1], (i - first) * SLAB_PAGE_BYTES, MADV_DONTNEED);
            first = i;
        }
    }
}

void slab_pool_trim(struct slab_pool *p)
{
    struct slab_page *list, **v;
    size_t n = 0, cap;

    if (SLAB_PAGE_BYTES % (size_t)sysconf(_SC_PAGESIZE) != 0) {
        return; /* a system page holds more than one of ours */
    }
    pl_mutex_lock(&p->lock);
    list = p->free;
    p->free = NULL;
    cap = p->page_free_count;
    pl_mutex_unlock(&p->lock);
    v = pl_alloc(cap * sizeof(struct slab_page *));
    for (; list != NULL; list = list->next) {
        PL_ASSERT(n < cap);
        v[n++] = list;
    }
    if (n > 1) {
        qsort(v, n, sizeof(*v), page_cmp);
    }
    pages_discard(v, n);
    pl_mutex_lock(&p->lock);
    pl_array_reserve(p->trimmed, p->trimmed_cap, p->trimmed_count + n);
    for (size_t i = 0; i < n; i++) {
        p->trimmed[p->trimmed_count++] = v[i];
    }
    pl_mutex_unlock(&p->lock);
    pl_free(v);
}

static void list_add(struct slab *s, struct slab_page *page)
{
    page->prev = NULL;
    page->next = s->partial[page->cls];
    if (page->next != NULL) {
        page->next->prev = page;
    }
    s->partial[page->cls] = page;
    page->listed = true;
}

static void list_remove(struct slab *s, struct slab_page *page)
{
    if (page->prev != NULL) {
        page->prev->next = page->next;
    } else {
        s->partial[page->cls] = page->next;
    }
    if (page->next != NULL) {
        page->next->prev = page->prev;
    }
    page->listed = false;
}

void *slab_alloc(struct slab *s, uint8_t cls)
{
    struct slab_page *page = s->partial[cls];
    uint32_t size = class_size[cls];
    void *p;

    if (page == NULL) {
        page = page_take(s->pool);
        *page = (struct slab_page){.bump = PAGE_HEADER, .cls = cls};
        list_add(s, page);
    }
    if (page->free != NULL) {
        p = page->free;
        memcpy(&page->free, p, sizeof(void *));
    } else {
        p = (char *)page + page->bump;
        page->bump = (uint16_t)(page->bump + size);
    }
    page->used++;
    if (page->free == NULL && page->bump + size > SLAB_PAGE_BYTES) {
        list_remove(s, page);
    }
    return p;
}

void slab_free(struct slab *s, uint8_t cls, void *p)
{
    struct slab_page *page = (struct slab_page *)(void *)((char *)p - (uintptr_t)p % SLAB_PAGE_BYTES);

    PL_ASSERT(page->cls == cls && page->used > 0);
    memcpy(p, &page->free, sizeof(void *));
    page->free = p;
    page->used--;
    if (!page->listed) {
        list_add(s, page);
    }
    /* The last page of a class is kept, or one block that comes and goes would move a page each time. */
    if (page->used == 0 && (page->next != NULL || page->prev != NULL)) {
        list_remove(s, page);
        page_give(s->pool, page);
    }
}
