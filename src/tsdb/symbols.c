#include "tsdb/symbols.h"

#include "base/hash.h"

enum { TABLE_FIRST = 64, PAGES_FIRST = 4 };

static void own(struct symbols *s, void *p)
{
    pl_array_reserve(s->owned, s->owned_cap, s->owned_count + 1);
    s->owned[s->owned_count++] = p;
}

/* Adds `count` pages of contiguous memory; more than one only for a text longer than a page. */
static void page_add(struct symbols *s, uint32_t count)
{
    uint8_t *mem = pl_alloc((size_t)count * SYMBOL_PAGE_BYTES);
    uint8_t *_Atomic *pages = atomic_load_explicit(&s->pages, memory_order_relaxed);

    PL_ASSERT(s->page_count + count < (UINT32_C(1) << (32 - SYMBOL_PAGE_BITS)));
    own(s, mem);
    if (s->page_count + count > s->page_cap) {
        uint32_t cap = PL_MAX(s->page_cap * 2, s->page_count + count);
        uint8_t *_Atomic *grown = pl_alloc_array_zero(PL_MAX(cap, (uint32_t)PAGES_FIRST), sizeof(*grown));
        for (uint32_t i = 0; i < s->page_count; i++) {
            atomic_store_explicit(&grown[i], atomic_load_explicit(&pages[i], memory_order_relaxed),
                                  memory_order_relaxed);
        }
        s->page_cap = PL_MAX(cap, (uint32_t)PAGES_FIRST);
        own(s, (void *)(uintptr_t)grown); /* readers may hold any earlier array */
        pages = grown;
    }
    for (uint32_t i = 0; i < count; i++) {
        atomic_store_explicit(&pages[s->page_count + i], mem + (size_t)i * SYMBOL_PAGE_BYTES, memory_order_relaxed);
    }
    atomic_store_explicit(&s->pages, pages, memory_order_release); /* pairs with symbols_text */
    s->page_count += count;
    s->unit_next = 0;
    s->bytes += (uint64_t)count * SYMBOL_PAGE_BYTES;
}

static uint32_t text_add(struct symbols *s, pl_str text)
{
    size_t need = uvarint_size(text.n) + text.n;
    uint32_t units = (uint32_t)((need + SYMBOL_UNIT - 1) / SYMBOL_UNIT);
    uint32_t page_units = 1u << SYMBOL_PAGE_BITS;
    uint32_t id;
    uint8_t *p;

    if (s->page_count == 0 || s->unit_next + units > page_units) {
        uint32_t count = (units + page_units - 1) / page_units;
        page_add(s, count);
        id = (s->page_count - count) << SYMBOL_PAGE_BITS;
        /* A text of several pages leaves the rest of its last page unused: such texts are rare. */
        s->unit_next = count > 1 ? page_units : units;
    } else {
        id = (s->page_count - 1) << SYMBOL_PAGE_BITS | s->unit_next;
        s->unit_next += units;
    }
    p = atomic_load_explicit(&atomic_load_explicit(&s->pages, memory_order_relaxed)[id >> SYMBOL_PAGE_BITS],
                             memory_order_relaxed) +
        (size_t)(id & (page_units - 1)) * SYMBOL_UNIT;
    p = uvarint_put(p, text.n);
    if (text.n > 0) {
        memcpy(p, text.p, text.n);
    }
    return id;
}

void symbols_init(struct symbols *s)
{
    *s = (struct symbols){.table_mask = TABLE_FIRST - 1};
    s->table = pl_new_array(struct symbol_slot, TABLE_FIRST);
    PL_ASSERT(text_add(s, PL_STR("")) == 0);
}

void symbols_fini(struct symbols *s)
{
    for (size_t i = 0; i < s->owned_count; i++) {
        pl_free(s->owned[i]);
    }
    pl_free(s->owned);
    pl_free(s->table);
    *s = (struct symbols){.table = NULL};
}

static void table_grow(struct symbols *s)
{
    uint32_t mask = s->table_mask * 2 + 1;
    struct symbol_slot *grown = pl_new_array(struct symbol_slot, (size_t)mask + 1);

    for (uint32_t i = 0; i <= s->table_mask; i++) {
        if (s->table[i].id != 0) {
            uint32_t at = s->table[i].hash & mask;
            while (grown[at].id != 0) {
                at = (at + 1) & mask;
            }
            grown[at] = s->table[i];
        }
    }
    pl_free(s->table);
    s->table = grown;
    s->table_mask = mask;
}

/* The slot that holds the text, or the free one where it belongs. */
static uint32_t probe(const struct symbols *s, pl_str text, uint32_t hash)
{
    uint32_t at = hash & s->table_mask;

    while (s->table[at].id != 0) {
        if (s->table[at].hash == hash && pl_str_eq(symbols_text(s, s->table[at].id), text)) {
            break;
        }
        at = (at + 1) & s->table_mask;
    }
    return at;
}

uint32_t symbols_find(const struct symbols *s, pl_str text)
{
    uint32_t at;

    if (text.n == 0) {
        return 0;
    }
    at = probe(s, text, (uint32_t)pl_hash64(text.p, text.n));
    return s->table[at].id != 0 ? s->table[at].id : SYMBOL_NONE;
}

uint32_t symbols_intern(struct symbols *s, pl_str text)
{
    uint32_t hash, at;

    if (text.n == 0) {
        return 0;
    }
    hash = (uint32_t)pl_hash64(text.p, text.n);
    at = probe(s, text, hash);
    if (s->table[at].id != 0) {
        return s->table[at].id;
    }
    if ((uint64_t)(s->count + 1) * 4 > (uint64_t)(s->table_mask + 1) * 3) {
        table_grow(s);
        at = probe(s, text, hash);
    }
    s->table[at] = (struct symbol_slot){.hash = hash, .id = text_add(s, text)};
    s->count++;
    return s->table[at].id;
}
