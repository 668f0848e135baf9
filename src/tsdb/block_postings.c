/* From matchers to the series refs of a block that may match: spec prometheus.md 10.10.
 *
 * Each matcher is one of: a short list of values named by it (equality, sets), or a scan over the values of its name. A
 * matcher that does not accept "" gives a list to intersect with; one that does, a list of what it refuses, to
 * subtract. Short lists go first. A scan that would look at more values than candidates are left is not made: the
 * matcher is checked on the labels of the candidates, which are read anyway.
 */
#include "regex/regex.h"
#include "tsdb/block_internal.h"

#include <stdlib.h>

enum { GALLOP_RATIO = 32, CANCEL_EVERY = 1024, BITMAP_WORDS_PER_REF = 8 };

struct refs {
    uint32_t *v;
    size_t n;
    size_t cap;
    bool set; /* false: not narrowed yet, all series */
};

/* What one matcher asks for. */
struct plan {
    const struct matcher *m;
    const struct index_name *name; /* NULL: the block has no such label */
    const pl_str *values;          /* direct: these */
    size_t value_count;
    bool direct;
    bool negative; /* subtract: the values are those that the matcher refuses */
    bool done;
};

static pl_status no_memory(struct pl_err *err)
{
    return pl_fail(err, PL_LIMIT, BLOCK_MEMORY_TEXT);
}

static pl_status canceled(struct pl_err *err)
{
    return pl_fail(err, PL_CANCELED, "query was canceled");
}

static inline uint32_t ref_at(const struct postings_view *p, size_t i)
{
    return pl_get_be32(p->be + 4 * i);
}

/* The first position >= from whose ref is >= ref, by doubling steps. */
static size_t gallop(const struct postings_view *p, size_t from, uint32_t ref)
{
    size_t step = 1, lo = from, hi;

    while (lo + step < p->n && ref_at(p, lo + step) < ref) {
        lo += step;
        step *= 2;
    }
    hi = PL_MIN(lo + step + 1, p->n);
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (ref_at(p, mid) < ref) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

/* Keeps of r what is (keep) or is not (!keep) in the list. */
static void narrow(struct refs *r, const struct postings_view *p, bool keep)
{
    bool sparse = r->n < p->n / GALLOP_RATIO;
    size_t n = 0, at = 0;

    for (size_t i = 0; i < r->n; i++) {
        uint32_t ref = r->v[i];
        bool in;
        if (sparse) {
            at = gallop(p, at, ref);
        } else {
            while (at < p->n && ref_at(p, at) < ref) {
                at++;
            }
        }
        in = at < p->n && ref_at(p, at) == ref;
        r->v[n] = ref;
        n += in == keep;
    }
    r->n = n;
}

static pl_status refs_from_view(struct refs *r, struct pl_arena *a, const struct postings_view *p, struct pl_err *err)
{
    r->v = pl_arena_alloc_try(a, p->n * sizeof(*r->v));
    if (r->v == NULL) {
        return no_memory(err);
    }
    for (size_t i = 0; i < p->n; i++) {
        r->v[i] = ref_at(p, i);
    }
    r->n = r->cap = p->n;
    r->set = true;
    return PL_OK;
}

static pl_status apply_view(struct refs *r, struct pl_arena *a, const struct postings_view *p, bool negative,
                            struct pl_err *err)
{
    if (!r->set) {
        PL_ASSERT(!negative);
        return refs_from_view(r, a, p, err);
    }
    narrow(r, p, !negative);
    return PL_OK;
}

/* ---- unions ---- */

static pl_status union_add(struct refs *u, struct pl_arena *a, const struct postings_view *p, struct pl_err *err)
{
    if (p->n > u->cap - u->n) {
        size_t cap = PL_MAX(u->cap * 2, PL_MAX(u->n + p->n, (size_t)256));
        uint32_t *v = pl_arena_alloc_try(a, cap * sizeof(*v));
        if (v == NULL) {
            return no_memory(err);
        }
        if (u->n > 0) {
            memcpy(v, u->v, u->n * sizeof(*v));
        }
        u->v = v;
        u->cap = cap;
    }
    for (size_t i = 0; i < p->n; i++) {
        u->v[u->n++] = ref_at(p, i);
    }
    return PL_OK;
}

static int u32_cmp(const void *a, const void *b)
{
    uint32_t x, y;

    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return (x > y) - (x < y);
}

/* Sorts by setting bits between the smallest and the largest ref; false when that range is too wide to be worth it. */
static bool sort_by_bitmap(struct refs *u)
{
    uint32_t lo = UINT32_MAX, hi = 0;
    size_t words, n = 0;
    uint64_t *bits;

    for (size_t i = 0; i < u->n; i++) {
        lo = PL_MIN(lo, u->v[i]);
        hi = PL_MAX(hi, u->v[i]);
    }
    words = (size_t)(hi - lo) / 64 + 1;
    if (words / BITMAP_WORDS_PER_REF > u->n) {
        return false;
    }
    bits = pl_alloc_try(words * sizeof(*bits));
    if (bits == NULL) {
        return false;
    }
    memset(bits, 0, words * sizeof(*bits));
    for (size_t i = 0; i < u->n; i++) {
        uint32_t at = u->v[i] - lo;
        bits[at / 64] |= UINT64_C(1) << (at % 64);
    }
    for (size_t w = 0; w < words; w++) {
        for (uint64_t left = bits[w]; left != 0; left &= left - 1) {
            u->v[n++] = lo + (uint32_t)(w * 64) + (uint32_t)__builtin_ctzll(left);
        }
    }
    pl_free(bits);
    u->n = n;
    return true;
}

static void union_finish(struct refs *u)
{
    size_t n = 0;

    if (u->n == 0 || sort_by_bitmap(u)) {
        return;
    }
    qsort(u->v, u->n, sizeof(*u->v), u32_cmp);
    for (size_t i = 0; i < u->n; i++) {
        if (n == 0 || u->v[n - 1] != u->v[i]) {
            u->v[n++] = u->v[i];
        }
    }
    u->n = n;
}

/* Intersects r with, or subtracts from it, a sorted native list. */
static void apply_refs(struct refs *r, const struct refs *u, bool negative)
{
    size_t n = 0, at = 0;

    if (!r->set) {
        PL_ASSERT(!negative);
        *r = *u;
        r->set = true;
        return;
    }
    for (size_t i = 0; i < r->n; i++) {
        uint32_t ref = r->v[i];
        while (at < u->n && u->v[at] < ref) {
            at++;
        }
        r->v[n] = ref;
        n += (at < u->n && u->v[at] == ref) != negative;
    }
    r->n = n;
}

/* ---- the matchers ---- */

/* Sorts a matcher into its kind. Returns false when it accepts everything and can be left out. */
static bool plan_make(const struct block *b, const struct matcher *m, struct plan *p)
{
    *p = (struct plan){.m = m, .name = index_find_name(&b->index, m->name), .negative = matcher_accepts(m, PL_STR(""))};
    switch (m->type) {
    case MATCH_EQ:
        /* ="" refuses every value: a scan that subtracts all. */
        p->direct = m->value.n > 0;
        p->values = &m->value;
        p->value_count = 1;
        break;
    case MATCH_NEQ:
        p->direct = m->value.n > 0;
        p->values = &m->value;
        p->value_count = 1;
        break;
    case MATCH_RE:
        if (regex_is_any(m->re)) {
            return false;
        }
        /* A set that holds "" accepts it and is a scan: what it refuses is not listed. */
        p->value_count = p->negative ? 0 : regex_literals(m->re, &p->values);
        p->direct = p->value_count > 0;
        break;
    case MATCH_NRE:
        p->value_count = p->negative ? regex_literals(m->re, &p->values) : 0;
        p->direct = p->value_count > 0;
        break;
    }
    return true;
}

static pl_status find_postings(const struct block *b, const struct index_name *name, pl_str value,
                               struct postings_view *out, struct pl_err *err)
{
    struct index_value v;
    bool found = false;

    *out = (struct postings_view){.n = 0};
    if (name == NULL) {
        return PL_OK;
    }
    PL_TRY(index_value_seek(&b->index, name, value, &v, &found, err));
    return found && pl_str_eq(v.value, value) ? index_postings(&b->index, v.postings, out, err) : PL_OK;
}

static pl_status apply_direct(const struct block *b, struct pl_arena *a, const struct plan *p, struct refs *r,
                              struct pl_err *err)
{
    struct refs u = {.n = 0};
    struct postings_view view;

    if (p->value_count == 1) {
        PL_TRY(find_postings(b, p->name, p->values[0], &view, err));
        return apply_view(r, a, &view, p->negative, err);
    }
    for (size_t i = 0; i < p->value_count; i++) {
        PL_TRY(find_postings(b, p->name, p->values[i], &view, err));
        PL_TRY(union_add(&u, a, &view, err));
    }
    union_finish(&u);
    apply_refs(r, &u, p->negative);
    return PL_OK;
}

/* Collects the postings of the values that the matcher accepts (positive) or refuses (negative). */
static pl_status scan(const struct block *b, struct pl_arena *a, const struct plan *p, const struct series_select *q,
                      struct refs *u, struct pl_err *err)
{
    pl_str prefix = p->m->type == MATCH_RE && !p->negative ? regex_prefix(p->m->re) : PL_STR_NULL;
    struct index_value v;
    bool found;

    PL_TRY(index_value_seek(&b->index, p->name, prefix, &v, &found, err));
    while (found && pl_str_starts(v.value, prefix)) {
        /* A stored "" would be an absent label; it belongs to the entry of all series only. */
        if (v.value.n > 0 && matcher_accepts(p->m, v.value) != p->negative) {
            struct postings_view view;
            PL_TRY(index_postings(&b->index, v.postings, &view, err));
            PL_TRY(union_add(u, a, &view, err));
        }
        if (v.k % CANCEL_EVERY == 0 && block__cancelled(q)) {
            return canceled(err);
        }
        found = v.k + 1 < p->name->entry_count;
        if (found) {
            PL_TRY(index_value_next(&b->index, p->name, &v, err));
        }
    }
    return PL_OK;
}

static pl_status apply_scan(const struct block *b, struct pl_arena *a, const struct plan *p,
                            const struct series_select *q, struct refs *r, struct pl_err *err)
{
    struct refs u = {.n = 0};

    if (p->name != NULL && p->name->name.n > 0) {
        PL_TRY(scan(b, a, p, q, &u, err));
        union_finish(&u);
    }
    apply_refs(r, &u, p->negative);
    return PL_OK;
}

static pl_status all_series(const struct block *b, struct pl_arena *a, struct refs *r, struct pl_err *err)
{
    struct postings_view view;

    PL_TRY(find_postings(b, index_find_name(&b->index, PL_STR("")), PL_STR(""), &view, err));
    return refs_from_view(r, a, &view, err);
}

/* All matchers of one kind, in the order given. */
static pl_status apply_kind(const struct block *b, struct pl_arena *a, const struct series_select *q,
                            struct plan *plans, size_t n, bool direct, bool negative, struct refs *r,
                            struct block_candidates *out, struct pl_err *err)
{
    for (size_t i = 0; i < n; i++) {
        struct plan *p = &plans[i];
        if (p->direct != direct || p->negative != negative) {
            continue;
        }
        if (!r->set && negative) {
            PL_TRY(all_series(b, a, r, err));
        }
        if (direct) {
            PL_TRY(apply_direct(b, a, p, r, err));
        } else if (r->set && p->name != NULL && p->name->entry_count >= r->n) {
            out->deferred[out->deferred_count++] = p->m;
        } else {
            PL_TRY(apply_scan(b, a, p, q, r, err));
        }
    }
    return PL_OK;
}

pl_status block__candidates(const struct block *b, struct pl_arena *a, const struct series_select *q,
                            struct block_candidates *out, struct pl_err *err)
{
    struct plan *plans = pl_arena_new_array_try(a, struct plan, q->matcher_count);
    struct refs r = {.n = 0};
    size_t n = 0;

    *out = (struct block_candidates){.deferred = pl_arena_new_array_try(a, const struct matcher *, q->matcher_count)};
    if (plans == NULL || out->deferred == NULL) {
        return no_memory(err);
    }
    for (size_t i = 0; i < q->matcher_count; i++) {
        n += plan_make(b, &q->matchers[i], &plans[n]);
    }
    PL_TRY(apply_kind(b, a, q, plans, n, true, false, &r, out, err));
    PL_TRY(apply_kind(b, a, q, plans, n, false, false, &r, out, err));
    PL_TRY(apply_kind(b, a, q, plans, n, true, true, &r, out, err));
    PL_TRY(apply_kind(b, a, q, plans, n, false, true, &r, out, err));
    if (!r.set) {
        PL_TRY(all_series(b, a, &r, err));
    }
    out->refs = r.v;
    out->n = r.n;
    return PL_OK;
}
