/* tsdb/symbols.h - one tenant's label texts, each stored once and named by a 32-bit id.
 *
 * Promise: an id is valid, and its text stays at the same address, until symbols_fini. Id 0 is the empty text. Reading
 * the text of an id needs no lock (the id must have reached the reader through one); interning and finding do. Memory:
 * the text, one length byte, padding to 4 bytes, and 8 bytes of hash table at a load of 3/8 to 3/4.
 */
#ifndef PL_TSDB_SYMBOLS_H
#define PL_TSDB_SYMBOLS_H

#include "base/base.h"
#include "codec/varint.h"

#include <stdatomic.h>

#define SYMBOL_NONE UINT32_MAX

/* An id is the text's place in units of 4 bytes: page number above, unit in the page below. */
enum { SYMBOL_UNIT = 4, SYMBOL_PAGE_BITS = 14, SYMBOL_PAGE_BYTES = SYMBOL_UNIT << SYMBOL_PAGE_BITS };

struct symbol_slot {
    uint32_t hash;
    uint32_t id; /* 0: free (the empty text is never in the table) */
};

struct symbols {
    uint8_t *_Atomic *_Atomic pages; /* page number -> memory; grown by copying, old arrays kept until fini */
    uint32_t page_count, page_cap;
    uint32_t unit_next; /* first free unit of the last page */
    struct symbol_slot *table;
    uint32_t table_mask;
    uint32_t count;
    void **owned; /* page memory and old page arrays */
    size_t owned_count, owned_cap;
    uint64_t bytes;
};

void symbols_init(struct symbols *s);
void symbols_fini(struct symbols *s); /* accepts a zeroed struct */
uint32_t symbols_intern(struct symbols *s, pl_str text);
uint32_t symbols_find(const struct symbols *s, pl_str text); /* SYMBOL_NONE when unknown */

static inline pl_str symbols_text(const struct symbols *s, uint32_t id)
{
    uint8_t *_Atomic *pages =
        atomic_load_explicit(&s->pages, memory_order_acquire); /* pairs with the store in page_add */
    const uint8_t *p = atomic_load_explicit(&pages[id >> SYMBOL_PAGE_BITS], memory_order_relaxed);
    uint64_t n = 0;

    p += (size_t)(id & ((1u << SYMBOL_PAGE_BITS) - 1)) * SYMBOL_UNIT;
    if (PL_LIKELY(*p < 0x80)) {
        return pl_str_of((const char *)p + 1, *p);
    }
    p = uvarint_get(p, p + VARINT_MAX, &n);
    return pl_str_of((const char *)p, (size_t)n);
}

#endif
