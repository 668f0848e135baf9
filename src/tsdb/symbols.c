#include "tsdb/symbols.h"

#include "base/hash.h"

enum {
    TABLE_FIRST = 64,
    PAGES_FIRST = 4,
    PAGE_UNITS = 1 << SYMBOL_PAGE_BITS,
    EXACT_UNITS_MAX = 64, /* up to here every size in units has its own list of holes */
    STEP_BITS = 3,        /* above, sizes are rounded up to eight steps per doubling */
    HOLE_LISTS = EXACT_UNITS_MAX + (SYMBOL_PAGE_BITS - 6) * (1 << STEP_BITS) + 1,
};
PL_STATIC_ASSERT(EXACT_UNITS_MAX == 1 << 6, "HOLE_LISTS counts doublings from here");

/* ---- pages ---- */

static uint8_t *page_get(const struct symbols *s, uint32_t number)
{
    uint8_t *_Atomic *pages = atomic_load_explicit(&s->pages, memory_order_relaxed);

    return atomic_load_explicit(&pages[number], memory_order_relaxed);
}

static void page_set(const struct symbols *s, uint32_t number, uint8_t *mem)
{
    uint8_t *_Atomic *pages = atomic_load_explicit(&s->pages, memory_order_relaxed);

    atomic_store_explicit(&pages[number], mem, memory_order_relaxed);
}

static void page_arrays_grow(struct symbols *s, uint32_t need)
{
    uint32_t cap = PL_MAX(PL_MAX(s->page_cap * 2, need), (uint32_t)PAGES_FIRST);
    uint8_t *_Atomic *grown = pl_alloc_array_zero(cap, sizeof(*grown));
    uint8_t *_Atomic *old = atomic_load_explicit(&s->pages, memory_order_relaxed);

    for (uint32_t i = 0; i < s->page_count; i++) {
        atomic_store_explicit(&grown[i], atomic_load_explicit(&old[i], memory_order_relaxed), memory_order_relaxed);
    }
    if (old != NULL) {
        pl_array_reserve(s->old_arrays, s->old_array_cap, s->old_array_count + 1);
        s->old_arrays[s->old_array_count++] = (void *)(uintptr_t)old; /* readers may hold any earlier array */
    }
    s->units_used = pl_realloc(s->units_used, cap * sizeof(*s->units_used));
    s->page_cap = cap;
    atomic_store_explicit(&s->pages, grown, memory_order_release); /* pairs with symbols_text */
}

/* Makes `count` pages of contiguous memory; more than one only for a text longer than a page. Returns the first. */
static uint32_t page_add(struct symbols *s, uint32_t count)
{
    uint8_t *mem = pl_alloc((size_t)count * SYMBOL_PAGE_BYTES);
    uint32_t first;

    if (count == 1 && s->free_page_count > 0) {
        first = s->free_pages[--s->free_page_count];
    } else {
        PL_ASSERT(s->page_count + count < (UINT32_C(1) << (32 - SYMBOL_PAGE_BITS)));
        if (s->page_count + count > s->page_cap) {
            page_arrays_grow(s, s->page_count + count);
        }
        first = s->page_count;
        s->page_count += count;
    }
    for (uint32_t i = 0; i < count; i++) {
        page_set(s, first + i, mem + (size_t)i * SYMBOL_PAGE_BYTES);
        s->units_used[first + i] = 0;
    }
    s->bytes += (uint64_t)count * SYMBOL_PAGE_BYTES;
    return first;
}

/* ---- places ---- */

static uint32_t floor_log2(uint32_t n)
{
    return 31u - (uint32_t)__builtin_clz(n);
}

/* What a text takes: its use count, length and bytes, in units, rounded so that few sizes exist. */
static uint32_t units_of(size_t text_bytes)
{
    uint32_t units = (uint32_t)((1 + uvarint_size(text_bytes) + text_bytes + SYMBOL_UNIT - 1) / SYMBOL_UNIT), step;

    if (units <= EXACT_UNITS_MAX) {
        return units;
    }
    step = 1u << (floor_log2(units) - STEP_BITS);
    return (units + step - 1) & ~(step - 1);
}

/* The list for holes of a rounded size of at most a page. */
static uint32_t hole_list(uint32_t units)
{
    uint32_t lg;

    if (units <= EXACT_UNITS_MAX) {
        return units;
    }
    lg = floor_log2(units);
    return EXACT_UNITS_MAX + (lg - 6) * (1u << STEP_BITS) + ((units >> (lg - STEP_BITS)) & ((1u << STEP_BITS) - 1));
}

static uint32_t place_take(struct symbols *s, uint32_t units)
{
    struct symbol_holes *holes = s->holes != NULL && units <= PAGE_UNITS ? &s->holes[hole_list(units)] : NULL;
    uint32_t id, count;

    if (holes != NULL && holes->count > 0) {
        id = holes->ids[--holes->count];
        s->units_used[id >> SYMBOL_PAGE_BITS] += units;
        return id;
    }
    if (units > PAGE_UNITS) {
        /* A text of several pages has them for itself: such texts are rare. */
        count = (units + PAGE_UNITS - 1) / PAGE_UNITS;
        id = page_add(s, count) << SYMBOL_PAGE_BITS;
        for (uint32_t i = 0; i < count; i++) {
            s->units_used[(id >> SYMBOL_PAGE_BITS) + i] = units;
        }
        return id;
    }
    if (s->page_count == 0 || s->unit_next + units > PAGE_UNITS) {
        s->page_now = page_add(s, 1);
        s->unit_next = 0;
    }
    id = s->page_now << SYMBOL_PAGE_BITS | s->unit_next;
    s->unit_next += units;
    s->units_used[s->page_now] += units;
    return id;
}

static uint8_t *place_get(const struct symbols *s, uint32_t id)
{
    return page_get(s, id >> SYMBOL_PAGE_BITS) + (size_t)(id & (PAGE_UNITS - 1)) * SYMBOL_UNIT;
}

static uint32_t text_add(struct symbols *s, pl_str text)
{
    uint32_t id = place_take(s, units_of(text.n));
    uint8_t *p = place_get(s, id);

    *p++ = 0; /* uses */
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
    for (uint32_t i = 0; i < s->page_count;) {
        uint8_t *mem = page_get(s, i);
        uint32_t count = mem != NULL ? PL_MAX((s->units_used[i] + PAGE_UNITS - 1) / PAGE_UNITS, 1u) : 1;
        pl_free(mem);
        i += count;
    }
    pl_free((void *)(uintptr_t)atomic_load_explicit(&s->pages, memory_order_relaxed));
    for (size_t i = 0; i < s->old_array_count; i++) {
        pl_free(s->old_arrays[i]);
    }
    for (uint32_t i = 0; s->holes != NULL && i < HOLE_LISTS; i++) {
        pl_free(s->holes[i].ids);
    }
    pl_free(s->holes);
    pl_free(s->old_arrays);
    pl_free(s->units_used);
    pl_free(s->free_pages);
    pl_free(s->retired);
    pl_free(s->table);
    *s = (struct symbols){.table = NULL};
}

/* ---- the table of texts ---- */

static void table_resize(struct symbols *s, uint32_t mask)
{
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
        table_resize(s, s->table_mask * 2 + 1);
        at = probe(s, text, hash);
    }
    s->table[at] = (struct symbol_slot){.hash = hash, .id = text_add(s, text)};
    s->count++;
    return s->table[at].id;
}

/* Linear probing without tombstones: entries behind the hole move up when the hole lies on their way. */
static void table_remove(struct symbols *s, uint32_t id, uint32_t hash)
{
    uint32_t mask = s->table_mask, hole = hash & mask;

    while (s->table[hole].id != id) {
        PL_ASSERT(s->table[hole].id != 0);
        hole = (hole + 1) & mask;
    }
    for (uint32_t at = (hole + 1) & mask; s->table[at].id != 0; at = (at + 1) & mask) {
        if (((at - s->table[at].hash) & mask) >= ((at - hole) & mask)) {
            s->table[hole] = s->table[at];
            hole = at;
        }
    }
    s->table[hole].id = 0;
    s->count--;
}

/* ---- uses ---- */

void symbols_ref(struct symbols *s, uint32_t id)
{
    uint8_t *uses = place_get(s, id);

    *uses = (uint8_t)(*uses + (*uses < SYMBOL_USES_MAX));
}

void symbols_unref(struct symbols *s, uint32_t id)
{
    uint8_t *uses = place_get(s, id);
    pl_str text;

    if (id == 0 || *uses == SYMBOL_USES_MAX) {
        return;
    }
    PL_ASSERT(*uses > 0);
    if (--*uses > 0) {
        return;
    }
    text = symbols_text(s, id);
    table_remove(s, id, (uint32_t)pl_hash64(text.p, text.n));
    pl_array_reserve(s->retired, s->retired_cap, s->retired_count + 1);
    s->retired[s->retired_count++] = id;
}

uint32_t *symbols_retired_take(struct symbols *s, size_t *count)
{
    uint32_t *ids = s->retired;

    *count = s->retired_count;
    s->retired = NULL;
    s->retired_count = s->retired_cap = 0;
    return ids;
}

void symbols_free(struct symbols *s, const uint32_t *ids, size_t count)
{
    if (s->holes == NULL) {
        s->holes = pl_new_array(struct symbol_holes, HOLE_LISTS);
    }
    for (size_t i = 0; i < count; i++) {
        uint32_t number = ids[i] >> SYMBOL_PAGE_BITS, units = units_of(symbols_text(s, ids[i]).n);
        struct symbol_holes *holes;

        PL_ASSERT(*place_get(s, ids[i]) == 0);
        if (units > PAGE_UNITS) {
            uint32_t pages = (units + PAGE_UNITS - 1) / PAGE_UNITS;
            pl_free(page_get(s, number)); /* the memory of all of them */
            s->bytes -= (uint64_t)pages * SYMBOL_PAGE_BYTES;
            pl_array_reserve(s->free_pages, s->free_page_cap, s->free_page_count + pages);
            for (uint32_t k = pages; k-- > 0;) {
                page_set(s, number + k, NULL);
                s->units_used[number + k] = 0;
                s->free_pages[s->free_page_count++] = number + k;
            }
            continue;
        }
        s->units_used[number] -= units;
        holes = &s->holes[hole_list(units)];
        pl_array_reserve(holes->ids, holes->cap, holes->count + 1);
        holes->ids[holes->count++] = ids[i];
    }
}

static bool page_is_empty(const struct symbols *s, uint32_t number)
{
    return s->units_used[number] == 0 && number != s->page_now && page_get(s, number) != NULL;
}

void symbols_pages_free(struct symbols *s)
{
    uint32_t mask = s->table_mask;
    bool any = false;

    for (uint32_t i = 0; i < s->page_count && !any; i++) {
        any = page_is_empty(s, i);
    }
    for (uint32_t i = 0; any && s->holes != NULL && i < HOLE_LISTS; i++) {
        struct symbol_holes *holes = &s->holes[i];
        size_t kept = 0;
        for (size_t k = 0; k < holes->count; k++) {
            if (!page_is_empty(s, holes->ids[k] >> SYMBOL_PAGE_BITS)) {
                holes->ids[kept++] = holes->ids[k];
            }
        }
        holes->count = kept;
    }
    for (uint32_t i = 0; any && i < s->page_count; i++) {
        if (page_is_empty(s, i)) {
            pl_free(page_get(s, i));
            page_set(s, i, NULL);
            s->bytes -= SYMBOL_PAGE_BYTES;
            pl_array_reserve(s->free_pages, s->free_page_cap, s->free_page_count + 1);
            s->free_pages[s->free_page_count++] = i;
        }
    }
    while (mask >= TABLE_FIRST && (uint64_t)s->count * 8 < (uint64_t)mask + 1) {
        mask /= 2;
    }
    if (mask != s->table_mask) {
        table_resize(s, mask);
    }
}
