/* Which series have which label pair. Short lists are sorted arrays, long ones roaring bitmaps. Library: CRoaring.
 * All of it is locked by head.index, but for postings_match, which takes that lock where it needs it. */
#include "tsdb/head.h"

#include <roaring/roaring.h>
#include <stdlib.h>

#include "regex/regex.h"

enum { INLINE_MAX = 2, ARRAY_MAX = 256, PAIRS_FIRST = 64, CAP_BITMAP = UINT32_MAX };

/* One label pair. cap == 0: the slots are in `in`; CAP_BITMAP: in `bitmap`. */
struct pair {
    uint32_t name, value;
    uint32_t n;
    uint32_t cap;
    union {
        uint32_t in[INLINE_MAX];
        uint32_t *v;
        roaring_bitmap_t *bitmap;
        uint32_t next_free; /* of an unused pair: name == SYMBOL_NONE */
    } u;
};

struct pair_slot {
    uint32_t hash;
    uint32_t pair; /* index + 1; 0: free */
};

struct name_values {
    uint32_t name;
    uint32_t *pairs; /* indices */
    uint32_t n, cap;
    bool dirty; /* holds pairs without series */
};

struct head_postings {
    struct pair *pairs;
    size_t pair_count, pair_cap;
    uint32_t free_pair; /* index + 1 */
    uint64_t live_pairs;
    struct pair_slot *table;
    uint32_t mask, used;
    struct name_values *names;
    size_t name_count, name_cap;
    struct u64_map name_index; /* symbol + 1 -> index in names */
    roaring_bitmap_t *all;
};

struct head_postings *postings_create(void)
{
    struct head_postings *p = pl_new(struct head_postings);

    p->table = pl_new_array(struct pair_slot, PAIRS_FIRST);
    p->mask = PAIRS_FIRST - 1;
    p->all = roaring_bitmap_create();
    return p;
}

static void pair_free_list(struct pair *x)
{
    if (x->cap == CAP_BITMAP) {
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

static const uint32_t *pair_array(const struct pair *x)
{
    return x->cap == 0 ? x->u.in : x->u.v;
}

static void pair_to_bitmap(struct pair *x)
{
    roaring_bitmap_t *b = roaring_bitmap_of_ptr(x->n, pair_array(x));

    if (x->cap > 0) {
        pl_free(x->u.v);
    }
    x->u.bitmap = b;
    x->cap = CAP_BITMAP;
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

    if (x->cap == CAP_BITMAP) {
        roaring_bitmap_add(x->u.bitmap, slot);
        x->n++;
        return;
    }
    if (x->n == ARRAY_MAX) {
        pair_to_bitmap(x);
        pair_add(x, slot);
        return;
    }
    if (x->n == (x->cap == 0 ? INLINE_MAX : x->cap)) {
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

static void pair_remove(struct pair *x, uint32_t slot)
{
    uint32_t *v, at = 0;

    if (x->cap == CAP_BITMAP) {
        PL_ASSERT(roaring_bitmap_remove_checked(x->u.bitmap, slot));
        x->n--;
        return;
    }
    v = x->cap == 0 ? x->u.in : x->u.v;
    while (at < x->n && v[at] != slot) {
        at++;
    }
    PL_ASSERT(at < x->n);
    memmove(v + at, v + at + 1, (x->n - at - 1) * sizeof(*v));
    x->n--;
}

/* ---- the table of pairs ---- */

static uint32_t pair_hash(uint32_t name, uint32_t value)
{
    uint64_t k = ((uint64_t)name << 32 | value) * UINT64_C(0x9E3779B97F4A7C15);

    return (uint32_t)(k ^ k >> 32);
}

static struct pair *pair_find(const struct head_postings *p, uint32_t name, uint32_t value)
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

static void table_grow(struct head_postings *p)
{
    uint32_t mask = p->mask * 2 + 1;
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

static struct name_values *name_find(const struct head_postings *p, uint32_t name)
{
    uint64_t at;

    return u64_map_get(&p->name_index, (uint64_t)name + 1, &at) ? &p->names[at] : NULL;
}

static struct name_values *name_get(struct head_postings *p, uint32_t name)
{
    struct name_values *nv = name_find(p, name);

    if (nv == NULL) {
        pl_array_reserve(p->names, p->name_cap, p->name_count + 1);
        u64_map_put(&p->name_index, (uint64_t)name + 1, p->name_count);
        nv = &p->names[p->name_count++];
        *nv = (struct name_values){.name = name};
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
    if ((uint64_t)(p->used + 1) * 4 > (uint64_t)(p->mask + 1) * 3) {
        table_grow(p);
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
    struct pair *x = memo != 0 ? &p->pairs[memo - 1] : pair_find(p, name, value);
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
    struct pair *x = pair_find(p, name, value);

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

void postings_sweep(struct head_postings *p)
{
    for (size_t i = 0; i < p->name_count; i++) {
        struct name_values *nv = &p->names[i];
        uint32_t kept = 0;

        if (!nv->dirty) {
            continue;
        }
        nv->dirty = false;
        for (uint32_t k = 0; k < nv->n; k++) {
            uint32_t index = nv->pairs[k];
            struct pair *x = &p->pairs[index];
            if (x->n > 0) {
                nv->pairs[kept++] = index;
                continue;
            }
            table_remove(p, pair_hash(x->name, x->value), index + 1);
            pair_free_list(x);
            x->name = SYMBOL_NONE;
            x->u.next_free = p->free_pair;
            p->free_pair = index + 1;
        }
        nv->n = kept;
    }
}

uint32_t postings_count(const struct head_postings *p, uint32_t name, uint32_t value)
{
    const struct pair *x = pair_find(p, name, value);

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
    const struct name_values *nv = name_find(p, name);
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

/* ---- matching ---- */

struct match {
    struct head *h;
    struct pl_arena *a;
    const _Atomic bool *cancel;
    struct pl_err *err;
    roaring_bitmap_t *acc; /* NULL: no positive matcher yet */
};

static void union_pair(roaring_bitmap_t *b, const struct pair *x)
{
    if (x == NULL || x->n == 0) {
        return;
    }
    if (x->cap == CAP_BITMAP) {
        roaring_bitmap_or_inplace(b, x->u.bitmap);
    } else {
        roaring_bitmap_add_many(b, x->n, pair_array(x));
    }
}

static bool canceled(const struct match *m)
{
    return m->cancel != NULL && atomic_load_explicit(m->cancel, memory_order_relaxed);
}

/* The union of the lists of the values for which the matcher's answer is `want`. The regex runs without the lock. */
static pl_status union_scan(struct match *m, const struct matcher *mt, bool want, roaring_bitmap_t *out)
{
    struct posting_value *values;
    size_t n, kept = 0;
    uint32_t name;

    pl_mutex_lock(&m->h->index);
    name = symbols_find(&m->h->symbols, mt->name);
    values = postings_values(m->h->postings, name, m->a, &n);
    pl_mutex_unlock(&m->h->index);
    if (values == NULL) {
        return pl_fail(m->err, PL_LIMIT, "query memory limit");
    }
    for (size_t i = 0; i < n; i++) {
        if (i % 4096 == 4095 && canceled(m)) {
            return pl_fail(m->err, PL_CANCELED, "query canceled");
        }
        if (matcher_accepts(mt, symbols_text(&m->h->symbols, values[i].value)) == want) {
            values[kept++] = values[i];
        }
    }
    pl_mutex_lock(&m->h->index);
    for (size_t i = 0; i < kept; i++) {
        union_pair(out, pair_find(m->h->postings, name, values[i].value));
    }
    pl_mutex_unlock(&m->h->index);
    return PL_OK;
}

static void union_literals(struct match *m, pl_str name_text, const pl_str *literals, size_t n, roaring_bitmap_t *out)
{
    uint32_t name;

    pl_mutex_lock(&m->h->index);
    name = symbols_find(&m->h->symbols, name_text);
    for (size_t i = 0; i < n && name != SYMBOL_NONE; i++) {
        uint32_t value = symbols_find(&m->h->symbols, literals[i]);
        if (value != SYMBOL_NONE && literals[i].n > 0) {
            union_pair(out, pair_find(m->h->postings, name, value));
        }
    }
    pl_mutex_unlock(&m->h->index);
}

/* The values that a matcher names, when it names them: itself or a regex that is a finite set. */
static size_t matcher_literals(const struct matcher *mt, const pl_str **out)
{
    if (mt->type == MATCH_EQ || mt->type == MATCH_NEQ) {
        *out = &mt->value;
        return 1;
    }
    return regex_literals(mt->re, out);
}

static size_t name_value_count(struct match *m, pl_str name)
{
    const struct name_values *nv;
    size_t n;

    pl_mutex_lock(&m->h->index);
    nv = name_find(m->h->postings, symbols_find(&m->h->symbols, name));
    n = nv != NULL ? nv->n : 0;
    pl_mutex_unlock(&m->h->index);
    return n;
}

/* Few series are left: look at their own labels instead of at all values of the name. */
static pl_status filter_series(struct match *m, const struct matcher *mt)
{
    uint32_t n = (uint32_t)roaring_bitmap_get_cardinality(m->acc), kept = 0;
    uint32_t *slots = pl_arena_alloc_try(m->a, ((size_t)n + 1) * sizeof(*slots));
    uint32_t name;

    if (slots == NULL) {
        return pl_fail(m->err, PL_LIMIT, "query memory limit");
    }
    pl_mutex_lock(&m->h->index);
    name = symbols_find(&m->h->symbols, mt->name);
    pl_mutex_unlock(&m->h->index);
    roaring_bitmap_to_uint32_array(m->acc, slots);
    for (uint32_t i = 0; i < n; i++) {
        const struct head_cold *c = head_cold_of(m->h, slots[i]);
        pl_str value = PL_STR_NULL;

        if (!head_is_live(head_hot(m->h, slots[i]))) {
            continue; /* its labels may be freed at any time */
        }
        for (uint32_t k = 0; k < c->label_count; k++) {
            if (c->labels[k * 2] == name) {
                value = symbols_text(&m->h->symbols, c->labels[k * 2 + 1]);
                break;
            }
        }
        if (matcher_accepts(mt, value)) {
            slots[kept++] = slots[i];
        }
        if (i % 4096 == 4095 && canceled(m)) {
            return pl_fail(m->err, PL_CANCELED, "query canceled");
        }
    }
    roaring_bitmap_free(m->acc);
    m->acc = roaring_bitmap_of_ptr(kept, slots);
    return PL_OK;
}

static pl_status apply(struct match *m, const struct matcher *mt)
{
    bool accepts_absent = matcher_accepts(mt, PL_STR(""));
    bool negative = mt->type == MATCH_NEQ || mt->type == MATCH_NRE;
    const pl_str *literals = NULL;
    size_t literal_count = matcher_literals(mt, &literals);
    roaring_bitmap_t *set;
    pl_status st = PL_OK;

    if (mt->type == MATCH_RE && regex_is_any(mt->re)) {
        return PL_OK;
    }
    /* Subtract what is refused, or intersect with what is accepted; literals name the one or the other. */
    if (literal_count == 0 || negative != accepts_absent) {
        if (m->acc != NULL && roaring_bitmap_get_cardinality(m->acc) <= name_value_count(m, mt->name)) {
            return filter_series(m, mt);
        }
        literal_count = 0;
    }
    set = roaring_bitmap_create();
    if (literal_count > 0) {
        union_literals(m, mt->name, literals, literal_count, set);
    } else {
        st = union_scan(m, mt, !accepts_absent, set);
    }
    if (st != PL_OK) {
        roaring_bitmap_free(set);
        return st;
    }
    if (!accepts_absent && m->acc == NULL) {
        m->acc = set;
        return PL_OK;
    }
    if (m->acc == NULL) {
        pl_mutex_lock(&m->h->index);
        m->acc = roaring_bitmap_copy(m->h->postings->all);
        pl_mutex_unlock(&m->h->index);
    }
    if (accepts_absent) {
        roaring_bitmap_andnot_inplace(m->acc, set);
    } else {
        roaring_bitmap_and_inplace(m->acc, set);
    }
    roaring_bitmap_free(set);
    return PL_OK;
}

/* 0: positive and named (cheap), 1: positive by scan, 2: subtractive. */
static int cost_class(const struct matcher *mt)
{
    const pl_str *literals;

    if (matcher_accepts(mt, PL_STR(""))) {
        return 2;
    }
    return (mt->type == MATCH_EQ || mt->type == MATCH_RE) && matcher_literals(mt, &literals) > 0 ? 0 : 1;
}

pl_status postings_match(struct head *h, const struct matcher *ms, size_t n, const _Atomic bool *cancel,
                         struct pl_arena *a, uint32_t **slots, size_t *count, struct pl_err *err)
{
    struct match m = {.h = h, .a = a, .cancel = cancel, .err = err};
    pl_status st = PL_OK;
    size_t card;

    for (int cost = 0; cost < 3 && st == PL_OK; cost++) {
        for (size_t i = 0; i < n && st == PL_OK; i++) {
            if (cost_class(&ms[i]) == cost && (m.acc == NULL || !roaring_bitmap_is_empty(m.acc))) {
                st = apply(&m, &ms[i]);
            }
        }
    }
    if (st == PL_OK && m.acc == NULL) {
        pl_mutex_lock(&h->index);
        m.acc = roaring_bitmap_copy(h->postings->all);
        pl_mutex_unlock(&h->index);
    }
    if (st == PL_OK) {
        card = (size_t)roaring_bitmap_get_cardinality(m.acc);
        *slots = pl_arena_alloc_try(a, (card + 1) * sizeof(**slots));
        *count = card;
        if (*slots == NULL) {
            st = pl_fail(err, PL_LIMIT, "query memory limit");
        } else {
            roaring_bitmap_to_uint32_array(m.acc, *slots);
        }
    }
    if (m.acc != NULL) {
        roaring_bitmap_free(m.acc);
    }
    return st;
}
