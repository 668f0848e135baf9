/* Finding and making series: the table of label hashes, the wire hashes, slots. */
#include "tsdb/head.h"

enum { TABLE_MASK_MIN = 63 };

/* ---- label hash -> slot ---- */

static bool series_has_labels(const struct head *h, uint32_t slot, struct labels ls)
{
    const struct head_cold *c = head_cold_of(h, slot);

    if (!head_is_live(head_hot(h, slot)) || c->label_count != ls.n) {
        return false;
    }
    for (uint32_t i = 0; i < c->label_count; i++) {
        if (!pl_str_eq(symbols_text(&h->symbols, c->labels[i * 2 + 1]), ls.v[i].value) ||
            !pl_str_eq(symbols_text(&h->symbols, c->labels[i * 2]), ls.v[i].name)) {
            return false;
        }
    }
    return true;
}

uint32_t head_find_locked(struct head *h, struct labels ls, uint64_t hash)
{
    uint32_t hi = (uint32_t)(hash >> 32);

    for (uint32_t at = (uint32_t)hash & h->table_mask; h->table[at].slot != 0; at = (at + 1) & h->table_mask) {
        if (h->table[at].hash_hi == hi && series_has_labels(h, h->table[at].slot, ls)) {
            return h->table[at].slot;
        }
    }
    return 0;
}

static void table_put(struct head_index_entry *table, uint32_t mask, uint64_t hash, uint32_t slot)
{
    uint32_t at = (uint32_t)hash & mask;

    while (table[at].slot != 0) {
        at = (at + 1) & mask;
    }
    table[at] = (struct head_index_entry){.hash_hi = (uint32_t)(hash >> 32), .slot = slot};
}

static void table_resize(struct head *h, uint32_t mask)
{
    struct head_index_entry *sized = pl_new_array(struct head_index_entry, (size_t)mask + 1);

    for (uint32_t i = 0; i <= h->table_mask; i++) {
        if (h->table[i].slot != 0) {
            table_put(sized, mask, head_cold_of(h, h->table[i].slot)->hash, h->table[i].slot);
        }
    }
    pl_free(h->table);
    h->table = sized;
    h->table_mask = mask;
}

/* The mask of a table that has become far too large for its entries. */
static uint32_t mask_shrunk(uint32_t mask, uint32_t count)
{
    while (mask >= TABLE_MASK_MIN * 2 && (uint64_t)count * 8 < (uint64_t)mask + 1) {
        mask /= 2;
    }
    return mask;
}

void head_table_shrink_locked(struct head *h)
{
    uint32_t mask = mask_shrunk(h->table_mask, h->table_count);

    if (mask != h->table_mask) {
        table_resize(h, mask);
    }
}

static void table_add(struct head *h, uint64_t hash, uint32_t slot)
{
    if ((uint64_t)(h->table_count + 1) * 4 > (uint64_t)(h->table_mask + 1) * 3) {
        table_resize(h, h->table_mask * 2 + 1);
    }
    table_put(h->table, h->table_mask, hash, slot);
    h->table_count++;
}

/* Linear probing without tombstones: entries behind the hole move up when the hole lies on their way. */
static void table_remove(struct head *h, uint64_t hash, uint32_t slot)
{
    uint32_t mask = h->table_mask, hole = (uint32_t)hash & mask;

    while (h->table[hole].slot != slot) {
        PL_ASSERT(h->table[hole].slot != 0);
        hole = (hole + 1) & mask;
    }
    for (uint32_t at = (hole + 1) & mask; h->table[at].slot != 0; at = (at + 1) & mask) {
        uint32_t home = (uint32_t)head_cold_of(h, h->table[at].slot)->hash & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            h->table[hole] = h->table[at];
            hole = at;
        }
    }
    h->table[hole].slot = 0;
    h->table_count--;
}

/* ---- slots ---- */

void head_slot_page_ensure_locked(struct head *h, uint32_t slot)
{
    struct head_page *_Atomic *pages = atomic_load_explicit(&h->pages, memory_order_relaxed);
    uint32_t number = slot >> HEAD_PAGE_BITS;

    if (number >= h->page_cap) {
        uint32_t cap = PL_MAX(PL_MAX(h->page_cap * 2, number + 1), UINT32_C(16));
        struct head_page *_Atomic *grown = pl_alloc_array_zero(cap, sizeof(*grown));
        for (uint32_t i = 0; i < h->page_cap; i++) {
            atomic_store_explicit(&grown[i], atomic_load_explicit(&pages[i], memory_order_relaxed),
                                  memory_order_relaxed);
        }
        if (pages != NULL) {
            pl_array_reserve(h->old_page_arrays, h->old_page_array_cap, h->old_page_array_count + 1);
            h->old_page_arrays[h->old_page_array_count++] = (void *)(uintptr_t)pages;
        }
        atomic_store_explicit(&h->pages, grown, memory_order_release); /* pairs with head_page_of */
        h->page_cap = cap;
        pages = grown;
    }
    if (atomic_load_explicit(&pages[number], memory_order_relaxed) == NULL) {
        atomic_store_explicit(&pages[number], pl_new(struct head_page), memory_order_release);
    }
}

static uint32_t slot_take(struct head *h)
{
    uint64_t ignored;
    uint32_t slot;

    do {
        if (h->free_count > 0) {
            slot = h->free_slots[--h->free_count];
        } else {
            slot = h->slot_next++;
            PL_ASSERT(slot != 0);
        }
        /* A number that is some series' reference in the WAL cannot name another one. */
    } while (PL_UNLIKELY(u64_map_get(&h->alias, slot, &ignored) || u64_map_get(&h->reserved, slot, &ignored)));
    return slot;
}

void head_quarantine_add_locked(struct head *h, const uint32_t *slots, size_t count, uint32_t chunk_file)
{
    struct head_quarantine *q;

    if (count == 0) {
        return;
    }
    pl_array_reserve(h->quarantine, h->quarantine_cap, h->quarantine_count + 1);
    q = &h->quarantine[h->quarantine_count++];
    *q = (struct head_quarantine){.count = count, .cap = count, .chunk_file = chunk_file, .gen = h->gen_newest->seq};
    q->slots = pl_alloc(count * sizeof(*slots));
    memcpy(q->slots, slots, count * sizeof(*slots));
}

static bool reserved_still(void *arg, uint64_t ref, uint64_t chunk_file)
{
    (void)ref;
    return *(const uint32_t *)arg <= chunk_file;
}

void head_quarantine_release_locked(struct head *h, uint32_t oldest_chunk_file)
{
    size_t kept = 0;

    u64_map_filter(&h->reserved, reserved_still, &oldest_chunk_file);
    for (size_t i = 0; i < h->quarantine_count; i++) {
        struct head_quarantine *q = &h->quarantine[i];
        if (oldest_chunk_file <= q->chunk_file || h->gen_oldest->seq <= q->gen) {
            h->quarantine[kept++] = *q;
            continue;
        }
        pl_array_reserve(h->free_slots, h->free_cap, h->free_count + q->count);
        /* Taken from the end: the lowest numbers first, so that new neighbours share pages. */
        for (size_t k = q->count; k-- > 0;) {
            h->free_slots[h->free_count++] = q->slots[k];
        }
        pl_free(q->slots);
    }
    h->quarantine_count = kept;
}

/* ---- making and dropping ---- */

static uint32_t *labels_alloc(struct head *h, size_t count)
{
    size_t bytes = count * 2 * sizeof(uint32_t);

    return bytes > SLAB_SIZE_MAX ? pl_alloc(bytes) : slab_alloc(&h->label_slab, slab_class(bytes));
}

static void labels_free(struct head *h, uint32_t *labels, size_t count)
{
    size_t bytes = count * 2 * sizeof(uint32_t);

    if (bytes > SLAB_SIZE_MAX) {
        pl_free(labels);
    } else {
        slab_free(&h->label_slab, slab_class(bytes), labels);
    }
}

static uint32_t intern_memo(struct head *h, pl_str text, uint32_t guess)
{
    return guess != 0 && pl_str_eq(symbols_text(&h->symbols, guess), text) ? guess : symbols_intern(&h->symbols, text);
}

uint32_t head_new_series_locked(struct head *h, struct labels ls, uint64_t hash, uint32_t slot, struct head_memo *memo)
{
    uint32_t *ids = labels_alloc(h, ls.n);
    struct head_cold *c;
    struct head_series *s;

    PL_ASSERT(ls.n <= UINT16_MAX);
    if (slot == 0) {
        slot = slot_take(h);
    } else {
        h->slot_next = PL_MAX(h->slot_next, slot + 1);
    }
    head_slot_page_ensure_locked(h, slot);
    for (uint32_t i = 0; i < ls.n; i++) {
        bool known = i < memo->count;
        uint32_t name = intern_memo(h, ls.v[i].name, known ? memo->name[i] : 0);
        uint32_t value = intern_memo(h, ls.v[i].value, known ? memo->value[i] : 0);
        uint32_t posting = known && name == memo->name[i] && value == memo->value[i] ? memo->posting[i] : 0;

        ids[i * 2] = name;
        ids[i * 2 + 1] = value;
        posting = postings_add(h->postings, name, value, slot, posting);
        if (i < HEAD_MEMO_LABELS) {
            memo->name[i] = name;
            memo->value[i] = value;
            memo->posting[i] = posting;
        }
    }
    memo->count = (uint32_t)PL_MIN(ls.n, (size_t)HEAD_MEMO_LABELS);
    postings_add_all(h->postings, slot);
    c = head_cold_of(h, slot);
    s = head_hot(h, slot);
    PL_ASSERT(!head_is_live(s));
    c->labels = ids;
    c->label_count = (uint16_t)ls.n;
    c->hash = hash;
    /* The rest of *s is zero since the page was made or the slot's last series went. */
    PL_ASSERT(s->tail == NULL && s->chunk_count == 0 && !s->has_t && !s->logged);
    atomic_store_explicit(&s->live, 1, memory_order_release); /* pairs with head_is_live */
    table_add(h, hash, slot);
    atomic_fetch_add_explicit(&h->series_count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->created_total, 1, memory_order_relaxed);
    return slot;
}

void head_drop_series_locked(struct head *h, uint32_t slot)
{
    struct head_cold *c = head_cold_of(h, slot);

    PL_ASSERT(!head_is_live(head_hot(h, slot)));
    for (uint32_t i = 0; i < c->label_count; i++) {
        postings_remove(h->postings, c->labels[i * 2], c->labels[i * 2 + 1], slot);
    }
    postings_remove_all(h->postings, slot);
    table_remove(h, c->hash, slot);
    labels_free(h, (uint32_t *)(uintptr_t)c->labels, c->label_count);
    pl_free(c->chunks);
    *c = (struct head_cold){.labels = NULL};
}

/* ---- wire hash -> slot ---- */

void head_wire_resolve(struct head *h, const struct pl_hash128 *hashes, uint32_t count, uint64_t *refs)
{
    enum { AHEAD = 16 };
    const struct wire_entry *wire;
    uint32_t mask;

    PL_ASSERT(pthread_rwlock_rdlock(&h->wire_lock) == 0);
    wire = h->wire;
    mask = h->wire_mask;
    for (uint32_t i = 0; i < PL_MIN(count, (uint32_t)AHEAD); i++) {
        __builtin_prefetch(&wire[(uint32_t)hashes[i].hi & mask]);
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = (uint32_t)hashes[i].hi & mask;
        uint32_t lo = (uint32_t)hashes[i].lo;

        if (i + AHEAD < count) {
            __builtin_prefetch(&wire[(uint32_t)hashes[i + AHEAD].hi & mask]);
        }
        while (wire[at].slot != 0 && (wire[at].hi != hashes[i].hi || wire[at].lo != lo)) {
            at = (at + 1) & mask;
        }
        refs[i] = wire[at].slot;
    }
    (void)pthread_rwlock_unlock(&h->wire_lock);
}

static void wire_put(struct head *h, struct wire_entry e)
{
    uint32_t at = (uint32_t)e.hi & h->wire_mask;

    while (h->wire[at].slot != 0 && (h->wire[at].hi != e.hi || h->wire[at].lo != e.lo)) {
        at = (at + 1) & h->wire_mask;
    }
    h->wire_count += h->wire[at].slot == 0;
    h->wire[at] = e;
}

static void wire_resize(struct head *h, uint32_t mask, bool live_only)
{
    struct wire_entry *old = h->wire;
    uint32_t old_mask = h->wire_mask;

    h->wire = pl_new_array(struct wire_entry, (size_t)mask + 1);
    h->wire_mask = mask;
    h->wire_count = 0;
    for (uint32_t i = 0; i <= old_mask; i++) {
        if (old[i].slot != 0 && (!live_only || head_is_live(head_hot(h, old[i].slot)))) {
            wire_put(h, old[i]);
        }
    }
    pl_free(old);
}

void head_wire_add(struct head *h, const struct pl_hash128 *hashes, const uint32_t *slots, uint32_t count)
{
    uint64_t series = atomic_load_explicit(&h->series_count, memory_order_relaxed);

    PL_ASSERT(pthread_rwlock_wrlock(&h->wire_lock) == 0);
    /* A sender may spell one label set in many ways; past four spellings a series the table starts anew. */
    if (h->wire_count > series * 4 + 65536) {
        memset(h->wire, 0, ((size_t)h->wire_mask + 1) * sizeof(*h->wire));
        h->wire_count = 0;
    }
    for (uint32_t i = 0; i < count; i++) {
        if ((hashes[i].lo | hashes[i].hi) == 0 || slots[i] == 0) {
            continue;
        }
        if ((uint64_t)(h->wire_count + 1) * 4 > (uint64_t)(h->wire_mask + 1) * 3) {
            wire_resize(h, h->wire_mask * 2 + 1, false);
        }
        wire_put(h, (struct wire_entry){.hi = hashes[i].hi, .lo = (uint32_t)hashes[i].lo, .slot = slots[i]});
    }
    (void)pthread_rwlock_unlock(&h->wire_lock);
}

void head_wire_forget(struct head *h)
{
    PL_ASSERT(pthread_rwlock_wrlock(&h->wire_lock) == 0);
    memset(h->wire, 0, ((size_t)h->wire_mask + 1) * sizeof(*h->wire));
    h->wire_count = 0;
    (void)pthread_rwlock_unlock(&h->wire_lock);
}

void head_wire_purge_dead(struct head *h)
{
    PL_ASSERT(pthread_rwlock_wrlock(&h->wire_lock) == 0);
    wire_resize(h, h->wire_mask, true);
    if (mask_shrunk(h->wire_mask, h->wire_count) != h->wire_mask) {
        wire_resize(h, mask_shrunk(h->wire_mask, h->wire_count), false);
    }
    (void)pthread_rwlock_unlock(&h->wire_lock);
}
