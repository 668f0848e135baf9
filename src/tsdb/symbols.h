/* tsdb/symbols.h - one tenant's label texts, each stored once and named by a 32-bit id.
 *
 * Promise: an id is valid, and its text stays at the same address, until symbols_free is called for it. Id 0 is the
 * empty text and stays for ever. Reading the text of an id needs no lock (the id must have reached the reader through
 * one); all else does. Memory: the text, two bytes for uses and length, padding to 4 bytes, and 8 bytes of hash table
 * at a load of 3/8 to 3/4.
 *
 * A text goes in two steps, because readers look at it without a lock. When its last use ends it is retired: nobody
 * finds it any more, but id and text stay. Whoever owns the symbols takes the list of retired ids, waits until no
 * reader can hold one of them (head_reclaim.c says how), and frees them: their places go to new texts of the same size,
 * and a page without texts goes back to the allocator.
 */
#ifndef PL_TSDB_SYMBOLS_H
#define PL_TSDB_SYMBOLS_H

#include "base/base.h"
#include "codec/varint.h"

#include <stdatomic.h>

#define SYMBOL_NONE UINT32_MAX

/* An id is the text's place in units of 4 bytes: page number above, unit in the page below. */
enum { SYMBOL_UNIT = 4, SYMBOL_PAGE_BITS = 14, SYMBOL_PAGE_BYTES = SYMBOL_UNIT << SYMBOL_PAGE_BITS };
enum { SYMBOL_USES_MAX = UINT8_MAX };

struct symbol_slot {
    uint32_t hash;
    uint32_t id; /* 0: free (the empty text is never in the table) */
};

/* Freed places of one size. */
struct symbol_holes {
    uint32_t *ids;
    size_t count, cap;
};

struct symbols {
    uint8_t *_Atomic *_Atomic pages; /* page number -> memory; grown by copying, old arrays kept until fini */
    uint32_t *units_used;            /* page number -> units of its texts that are not freed */
    uint32_t page_count, page_cap;
    uint32_t page_now;  /* takes new texts that find no hole */
    uint32_t unit_next; /* its first unit never used */
    struct symbol_slot *table;
    uint32_t table_mask;
    uint32_t count;
    struct symbol_holes *holes; /* by size; NULL before the first text is freed */
    uint32_t *free_pages;       /* page numbers without memory */
    size_t free_page_count, free_page_cap;
    uint32_t *retired; /* no use left, not freed yet */
    size_t retired_count, retired_cap;
    void **old_arrays;
    size_t old_array_count, old_array_cap;
    uint64_t bytes;
};

void symbols_init(struct symbols *s);
void symbols_fini(struct symbols *s); /* accepts a zeroed struct */
/* A new text has no use yet: the caller adds one before it gives the lock back. */
uint32_t symbols_intern(struct symbols *s, pl_str text);
uint32_t symbols_find(const struct symbols *s, pl_str text); /* SYMBOL_NONE when unknown */
void symbols_ref(struct symbols *s, uint32_t id);   /* a text with SYMBOL_USES_MAX uses at once stays for ever */
void symbols_unref(struct symbols *s, uint32_t id); /* the last use retires it */
/* Hands the list of retired ids over (pl_free); their texts stay until symbols_free. */
uint32_t *symbols_retired_take(struct symbols *s, size_t *count);
void symbols_free(struct symbols *s, const uint32_t *ids, size_t count);
/* Gives pages without texts back; after the last symbols_free of a row. */
void symbols_pages_free(struct symbols *s);

static inline pl_str symbols_text(const struct symbols *s, uint32_t id)
{
    uint8_t *_Atomic *pages =
        atomic_load_explicit(&s->pages, memory_order_acquire); /* pairs with the store in page_add */
    const uint8_t *p = atomic_load_explicit(&pages[id >> SYMBOL_PAGE_BITS], memory_order_relaxed);
    uint64_t n = 0;

    p += (size_t)(id & ((1u << SYMBOL_PAGE_BITS) - 1)) * SYMBOL_UNIT + 1; /* behind the byte that counts uses */
    if (PL_LIKELY(*p < 0x80)) {
        return pl_str_of((const char *)p + 1, *p);
    }
    p = uvarint_get(p, p + VARINT_MAX, &n);
    return pl_str_of((const char *)p, (size_t)n);
}

#endif
