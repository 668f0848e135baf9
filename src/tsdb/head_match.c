/* Which series do the matchers of a query accept? Library: CRoaring, by head_postings.h. Takes the index lock for each
 * step that reads lists, never for a regex. */
#include "tsdb/head_postings.h"

#include "regex/regex.h"

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
    if (x->cap == POSTINGS_CAP_BITMAP) {
        roaring_bitmap_or_inplace(b, x->u.bitmap);
    } else {
        roaring_bitmap_add_many(b, x->n, postings__array(x));
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
        union_pair(out, postings__pair_find(m->h->postings, name, values[i].value));
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
            union_pair(out, postings__pair_find(m->h->postings, name, value));
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
    nv = postings__name_find(m->h->postings, symbols_find(&m->h->symbols, name));
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
        const struct head_cold *c;
        pl_str value = PL_STR_NULL;

        if (!head_slot_is_live(m->h, slots[i])) {
            continue; /* its labels may be freed at any time */
        }
        c = head_cold_of(m->h, slots[i]);
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
