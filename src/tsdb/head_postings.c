/* Which series have which label pair: keeping the lists. Library: CRoaring, by head_postings.h. */
#include "tsdb/head_postings.h"

enum { ARRAY_MAX = 256, PAIRS_FIRST = 64, SHRINK_ABOVE = 16 };

struct head_postings *postings_create(struct symbols *symbols)
{
    struct head_postings *p = pl_new(struct head_postings);

    p->symbols = symbols;
    p->table = pl_new_array(struct pair_slot, PAIRS_FIRST);
    p->mask = PAIRS_FIRST - 1;
    p->all = roaring_bitmap_create();
    return p;
}

static void pair_free_list(struct pair *x)
{
    if (x->cap == POSTINGS_CAP_BITMAP) {
        roaring_bitmap_free(x->u.bitmap);
    } else if (x->cap > 0) {
        pl_free(x->u.v);
    }
    x->cap = 0;
    x->n = 0;
}

void postings_destroy(struct head_postings *p)
{
    if (p == NULL) {
        return;
    }
    for (size_t i = 0; i < p->pair_count; i++) {
        if (p->pairs[i].name != SYMBOL_NONE) {
            pair_free_list(&p->pairs[i]);
        }
    }
    for (size_t i = 0; i < p->name_count; i++) {
        pl_free(p->names[i].pairs);
    }
    pl_free(p->pairs);
    pl_free(p->names);
    pl_free(p->table);
    u64_map_fini(&p->name_index);
    roaring_bitmap_free(p->all);
    pl_free(p);
}

/* ---- one list ---- */

static void pair_to_bitmap(struct pair *x)
{
    roaring_bitmap_t *b = roaring_bitmap_of_ptr(x->n, postings__array(x));

    if (x->cap > 0) {
        pl_free(x->u.v);
    }
    x->u.bitmap = b;
    x->cap = POSTINGS_CAP_BITMAP;
}

static void pair_grow(struct pair *x)
{
    uint32_t cap = x->cap == 0 ? 4 : x->cap + PL_MAX(x->cap / 2, 4u);
    uint32_t *v = x->cap == 0 ? pl_alloc(cap * sizeof(*v)) : pl_realloc(x->u.v, cap * sizeof(*v));

    if (x->cap == 0) {
        memcpy(v, x->u.in, x->n * sizeof(*v));
    }
    x->u.v = v;
    x->cap = cap;
}

static void pair_add(struct pair *x, uint32_t slot)
{
    uint32_t *v, at;

    if (x->cap == POSTINGS_CAP_BITMAP) {
        roaring_bitmap_add(x->u.bitmap, slot);
        x->n++;
        return;
    }
    if (x->n == ARRAY_MAX) {
        pair_to_bitmap(x);
        pair_add(x, slot);
        return;
    }
    if (x->n == (x->cap == 0 ? POSTINGS_INLINE_MAX : x->cap)) {
        pair_grow(x);
    }
    v = x->cap == 0 ? x->u.in : x->u.v;
    /* New slots are mostly the highest; reused ones go in between. */
    for (at = x->n; at > 0 && v[at - 1] > slot; at--) {
        v[at] = v[at - 1];
    }
    v[at] = slot;
    x->n++;
}

/* A list that has lost most of its series takes less memory again. */
static void pair_shrink(struct pair *x)
{
    if (x->cap == POSTINGS_CAP_BITMAP && x->n == ARRAY_MAX / 2) {
        uint32_t *v = pl_alloc(ARRAY_MAX * sizeof(*v));
        roaring_bitmap_to_uint32_array(x->u.bitmap, v);
        roaring_bitmap_free(x->u.bitmap);
        x->u.v = v;
        x->cap = ARRAY_MAX;
    } else if (x->cap != POSTINGS_CAP_BITMAP && x->cap > SHRINK_ABOVE && x->n < x->cap / 4) {
        x->cap /= 2;
        x->u.v = pl_realloc(x->u.v, x->cap * sizeof(*x->u.v));
    }
}

static void pair_remove(struct pair *x, uint32_t slot)
{
    uint32_t *v, at = 0;

    if (x->cap == POSTINGS_CAP_BITMAP) {
        PL_ASSERT(roaring_bitmap_remove_checked(x->u.bitmap, slot));
    } else {
        v = x->cap == 0 ? x->u.in : x->u.v;
        while (at < x->n && v[at] != slot) {
            at++;
        }
        PL_ASSERT(at < x->n);
        memmove(v + at, v + at + 1, (x->n - at - 1) * sizeof(*v));
    }
    x->n--;
    pair_shrink(x);
}

/* ---- the table of pairs ---- */

static uint32_t pair_hash(uint32_t name, uint32_t value)
{
    uint64_t k = ((uint64_t)name << 32 | value) * UINT64_C(0x9E3779B97F4A7C15);

    return (uint32_t)(k ^ k >> 32);
}

struct pair *postings__pair_find(const struct head_postings *p, uint32_t name, uint32_t value)
{
    uint32_t hash = pair_hash(name, value);

    for (uint32_t at = hash & p->mask; p->table[at].pair != 0; at = (at + 1) & p->mask) {
        struct pair *x = &p->pairs[p->table[at].pair - 1];
        if (p->table[at].hash == hash && x->name == name && x->value == value) {
            return x;
        }
    }
    return NULL;
}

static void table_put(struct pair_slot *table, uint32_t mask, struct pair_slot s)
{
    uint32_t at = s.hash & mask;

    while (table[at].pair != 0) {
        at = (at + 1) & mask;
    }
    table[at] = s;
}

static void table_resize(struct head_postings *p, uint32_t mask)
{
    struct pair_slot *grown = pl_new_array(struct pair_slot, (size_t)mask + 1);

    for (uint32_t i = 0; i <= p->mask; i++) {
        if (p->table[i].pair != 0) {
            table_put(grown, mask, p->table[i]);
        }
    }
    pl_free(p->table);
    p->table = grown;
    p->mask = mask;
}

static void table_remove(struct head_postings *p, uint32_t hash, uint32_t pair)
{
    uint32_t hole = hash & p->mask;

    while (p->table[hole].pair != pair) {
        PL_ASSERT(p->table[hole].pair != 0);
        hole = (hole + 1) & p->mask;
    }
    for (uint32_t at = (hole + 1) & p->mask; p->table[at].pair != 0; at = (at + 1) & p->mask) {
        if (((at - p->table[at].hash) & p->mask) >= ((at - hole) & p->mask)) {
            p->table[hole] = p->table[at];
            hole = at;
        }
    }
    p->table[hole].pair = 0;
    p->used--;
}

struct name_values *postings__name_find(const struct head_postings *p, uint32_t name)
{
    uint64_t at;

    return u64_map_get(&p->name_index, (uint64_t)name + 1, &at) ? &p->names[at] : NULL;
}

static struct name_values *name_get(struct head_postings *p, uint32_t name)
{
    struct name_values *nv = postings__name_find(p, name);

    if (nv == NULL) {
        pl_array_reserve(p->names, p->name_cap, p->name_count + 1);
        u64_map_put(&p->name_index, (uint64_t)name + 1, p->name_count);
        nv = &p->names[p->name_count++];
        *nv = (struct name_values){.name = name};
        symbols_ref(p->symbols, name);
    }
    return nv;
}

static uint32_t pair_make(struct head_postings *p, uint32_t name, uint32_t value)
{
    struct name_values *nv = name_get(p, name);
    uint32_t index;

    if (p->free_pair != 0) {
        index = p->free_pair - 1;
        p->free_pair = p->pairs[index].u.next_free;
    } else {
        pl_array_reserve(p->pairs, p->pair_cap, p->pair_count + 1);
        index = (uint32_t)p->pair_count++;
    }
    p->pairs[index] = (struct pair){.name = name, .value = value};
    symbols_ref(p->symbols, value);
    if ((uint64_t)(p->used + 1) * 4 > (uint64_t)(p->mask + 1) * 3) {
        table_resize(p, p->mask * 2 + 1);
    }
    table_put(p->table, p->mask, (struct pair_slot){.hash = pair_hash(name, value), .pair = index + 1});
    p->used++;
    if (nv->n == nv->cap) {
        nv->cap = nv->cap + PL_MAX(nv->cap / 2, 4u);
        nv->pairs = pl_realloc(nv->pairs, nv->cap * sizeof(*nv->pairs));
    }
    nv->pairs[nv->n++] = index;
    return index;
}

/* `memo` is what an earlier call for the same pair returned, or 0. */
uint32_t postings_add(struct head_postings *p, uint32_t name, uint32_t value, uint32_t slot, uint32_t memo)
{
    struct pair *x = memo != 0 ? &p->pairs[memo - 1] : postings__pair_find(p, name, value);
    uint32_t index = x != NULL ? (uint32_t)(x - p->pairs) : pair_make(p, name, value);

    x = &p->pairs[index];
    p->live_pairs += x->n == 0;
    pair_add(x, slot);
    return index + 1;
}

void postings_add_all(struct head_postings *p, uint32_t slot)
{
    roaring_bitmap_add(p->all, slot);
}

void postings_remove(struct head_postings *p, uint32_t name, uint32_t value, uint32_t slot)
{
    struct pair *x = postings__pair_find(p, name, value);

    PL_ASSERT(x != NULL);
    pair_remove(x, slot);
    if (x->n == 0) {
        p->live_pairs--;
        name_get(p, name)->dirty = true;
    }
}

void postings_remove_all(struct head_postings *p, uint32_t slot)
{
    roaring_bitmap_remove(p->all, slot);
}

/* ---- forgetting ---- */

static void pair_forget(struct head_postings *p, uint32_t index)
{
    struct pair *x = &p->pairs[index];

    table_remove(p, pair_hash(x->name, x->value), index + 1);
    pair_free_list(x);
    symbols_unref(p->symbols, x->value);
    x->name = SYMBOL_NONE;
    x->u.next_free = p->free_pair;
    p->free_pair = index + 1;
}

bool postings_sweep_name(struct head_postings *p, size_t index)
{
    struct name_values *nv;
    uint32_t kept = 0;

    if (index >= p->name_count) {
        return false;
    }
    nv = &p->names[index];
    if (!nv->dirty) {
        return true;
    }
    nv->dirty = false;
    for (uint32_t k = 0; k < nv->n; k++) {
        if (p->pairs[nv->pairs[k]].n > 0) {
            nv->pairs[kept++] = nv->pairs[k];
        } else {
            pair_forget(p, nv->pairs[k]);
        }
    }
    nv->n = kept;
    if (nv->cap > SHRINK_ABOVE && kept < nv->cap / 4) {
        nv->cap = PL_MAX(kept * 2, (uint32_t)SHRINK_ABOVE);
        nv->pairs = pl_realloc(nv->pairs, nv->cap * sizeof(*nv->pairs));
    }
    return true;
}

void postings_sweep_names(struct head_postings *p)
{
    size_t kept = 0;

    for (size_t i = 0; i < p->name_count; i++) {
        if (p->names[i].n == 0) {
            pl_free(p->names[i].pairs);
            symbols_unref(p->symbols, p->names[i].name);
        } else {
            p->names[kept++] = p->names[i];
        }
    }
    if (kept == p->name_count) {
        return;
    }
    p->name_count = kept;
    u64_map_fini(&p->name_index);
    for (size_t i = 0; i < kept; i++) {
        u64_map_put(&p->name_index, (uint64_t)p->names[i].name + 1, i);
    }
}

/* Moves the pairs in use together. */
static void pairs_pack(struct head_postings *p)
{
    struct pair *packed = pl_alloc(((size_t)p->used + 1) * sizeof(*packed));
    size_t n = 0;

    for (size_t i = 0; i < p->name_count; i++) {
        struct name_values *nv = &p->names[i];
        for (uint32_t k = 0; k < nv->n; k++) {
            packed[n] = p->pairs[nv->pairs[k]];
            nv->pairs[k] = (uint32_t)n++;
        }
    }
    PL_ASSERT(n == p->used);
    pl_free(p->pairs);
    p->pairs = packed;
    p->pair_count = n;
    p->pair_cap = n + 1;
    p->free_pair = 0;
}

void postings_shrink(struct head_postings *p)
{
    uint32_t mask = p->mask;

    if (p->pair_count < PAIRS_FIRST || p->used > p->pair_count / 4) {
        return;
    }
    pairs_pack(p);
    while (mask >= PAIRS_FIRST && (uint64_t)p->used * 8 < (uint64_t)mask + 1) {
        mask /= 2;
    }
    pl_free(p->table);
    p->table = pl_new_array(struct pair_slot, (size_t)mask + 1);
    p->mask = mask;
    for (size_t i = 0; i < p->pair_count; i++) {
        struct pair_slot slot = {.hash = pair_hash(p->pairs[i].name, p->pairs[i].value), .pair = (uint32_t)i + 1};
        table_put(p->table, mask, slot);
    }
}

/* ---- counts ---- */

uint32_t postings_count(const struct head_postings *p, uint32_t name, uint32_t value)
{
    const struct pair *x = postings__pair_find(p, name, value);

    return x != NULL ? x->n : 0;
}

uint64_t postings_pair_count(const struct head_postings *p)
{
    return p->live_pairs;
}

uint32_t *postings_names(const struct head_postings *p, struct pl_arena *a, size_t *count)
{
    uint32_t *out = pl_arena_alloc_try(a, (p->name_count + 1) * sizeof(*out));
    size_t n = 0;

    for (size_t i = 0; out != NULL && i < p->name_count; i++) {
        for (uint32_t k = 0; k < p->names[i].n; k++) {
            if (p->pairs[p->names[i].pairs[k]].n > 0) {
                out[n++] = p->names[i].name;
                break;
            }
        }
    }
    *count = n;
    return out;
}

struct posting_value *postings_values(const struct head_postings *p, uint32_t name, struct pl_arena *a, size_t *count)
{
    const struct name_values *nv = postings__name_find(p, name);
    size_t all = nv != NULL ? nv->n : 0, n = 0;
    struct posting_value *out = pl_arena_alloc_try(a, (all + 1) * sizeof(*out));

    for (size_t i = 0; out != NULL && i < all; i++) {
        const struct pair *x = &p->pairs[nv->pairs[i]];
        if (x->n > 0) {
            out[n++] = (struct posting_value){.value = x->value, .series = x->n};
        }
    }
    *count = n;
    return out;
}
