/* A block as a series_source: candidates become series with labels and chunk views that point into the mapping. */
#include "tsdb/block_internal.h"
#include "tsdb/chunk_samples.h"

#include <stdlib.h>

enum { CANCEL_EVERY = 256, SYMBOL_CACHE = 1024 };

static pl_status no_memory(struct pl_err *err)
{
    return pl_fail(err, PL_LIMIT, BLOCK_MEMORY_TEXT);
}

static pl_status canceled(struct pl_err *err)
{
    return pl_fail(err, PL_CANCELED, "query was canceled");
}

/* One select's state. */
struct selecting {
    const struct block *b;
    struct pl_arena *a;
    const struct series_select *q;
    struct index_chunk *metas; /* of the series at hand */
    size_t meta_cap;
    uint64_t chunks_total;
    /* Neighbouring series share most of their labels: the last symbols by their refs. */
    struct {
        uint64_t ref_plus_one;
        pl_str s;
    } cache[SYMBOL_CACHE];
};

static void unref_block(void *arg)
{
    block_unref(arg);
}

/* Keeps the block for as long as the arena. */
static void pin_block(struct block *b, struct pl_arena *a)
{
    block_ref(b);
    pl_arena_on_free(a, unref_block, b);
}

static inline pl_status symbol_get(struct selecting *s, uint64_t ref, pl_str *out, struct pl_err *err)
{
    size_t slot = ref % SYMBOL_CACHE;

    if (PL_UNLIKELY(s->cache[slot].ref_plus_one != ref + 1)) {
        PL_TRY(index_symbol(&s->b->index, ref, out, err));
        s->cache[slot].ref_plus_one = ref + 1;
        s->cache[slot].s = *out;
        return PL_OK;
    }
    *out = s->cache[slot].s;
    return PL_OK;
}

/* Reads the labels of the series at c into v (room for c->label_count). */
static pl_status labels_read(struct selecting *s, struct series_cursor *c, struct label *v, struct pl_err *err)
{
    for (uint64_t i = 0; i < c->label_count; i++) {
        uint64_t name, value;
        PL_TRY(series_cursor_label(c, &name, &value, err));
        PL_TRY(symbol_get(s, name, &v[i].name, err));
        PL_TRY(symbol_get(s, value, &v[i].value, err));
    }
    return PL_OK;
}

static bool deferred_accept(const struct block_candidates *c, struct labels ls)
{
    for (size_t i = 0; i < c->deferred_count; i++) {
        if (!matcher_accepts(c->deferred[i], labels_get(ls, c->deferred[i]->name))) {
            return false;
        }
    }
    return true;
}

/* ---- chunks ---- */

/* Is [mint, maxt] wholly inside the union of the intervals (sorted by mint)? */
static bool covered(const struct tombstone *t, size_t n, int64_t mint, int64_t maxt)
{
    for (size_t i = 0; i < n; i++) {
        if (t[i].i.mint_ms <= mint && t[i].i.maxt_ms >= mint) {
            if (t[i].i.maxt_ms >= maxt) {
                return true;
            }
            mint = t[i].i.maxt_ms + 1;
        }
    }
    return false;
}

static bool touched(const struct tombstone *t, size_t n, int64_t mint, int64_t maxt)
{
    for (size_t i = 0; i < n; i++) {
        if (t[i].i.mint_ms <= maxt && t[i].i.maxt_ms >= mint) {
            return true;
        }
    }
    return false;
}

struct deleted {
    const struct tombstone *t;
    size_t n;
};

static bool not_deleted(const void *arg, int64_t t)
{
    const struct deleted *d = arg;

    return !touched(d->t, d->n, t, t);
}

/* Writes the samples that no interval covers as a new chunk in the arena. PL_NOT_FOUND: none is left. */
static pl_status without_deleted(struct pl_arena *a, struct chunk_view *c, const struct tombstone *t, size_t n,
                                 struct pl_err *err)
{
    struct deleted d = {t, n};
    struct chunk_samples s = {.n = 0};
    pl_status st = chunk_filter(&s, c, not_deleted, &d, a, err);

    chunk_samples_fini(&s);
    return st;
}

/* Reads the chunk metas that touch the query's time and are not wholly deleted into s->metas; *n: how many. */
static pl_status metas_read(struct selecting *s, struct series_cursor *c, const struct tombstone *t, size_t t_n,
                            size_t *n, struct pl_err *err)
{
    PL_TRY(series_cursor_chunks(c, err));
    if (c->chunk_count > s->meta_cap) {
        size_t cap = PL_MAX((size_t)c->chunk_count, s->meta_cap * 2);
        s->metas = pl_arena_alloc_try(s->a, cap * sizeof(*s->metas));
        if (s->metas == NULL) {
            s->meta_cap = 0;
            return no_memory(err);
        }
        s->meta_cap = cap;
    }
    *n = 0;
    for (uint64_t i = 0; i < c->chunk_count; i++) {
        struct index_chunk *m = &s->metas[*n];
        PL_TRY(series_cursor_chunk(c, m, err));
        if (m->mint_ms > s->q->maxt_ms) {
            break;
        }
        *n += m->maxt_ms >= s->q->mint_ms && (t_n == 0 || !covered(t, t_n, m->mint_ms, m->maxt_ms));
    }
    return PL_OK;
}

static pl_status chunks_read(struct selecting *s, size_t metas, const struct tombstone *t, size_t t_n,
                             struct series_view *out, struct pl_err *err)
{
    struct chunk_view *v;
    uint32_t n = 0;

    s->chunks_total += metas;
    if (s->q->chunks_max != 0 && s->chunks_total > s->q->chunks_max) {
        return pl_fail(err, PL_LIMIT, "the query hit the max number of chunks limit (limit: %llu chunks)",
                       (unsigned long long)s->q->chunks_max);
    }
    v = pl_arena_alloc_try(s->a, metas * sizeof(*v));
    if (v == NULL) {
        return no_memory(err);
    }
    for (size_t i = 0; i < metas; i++) {
        const struct index_chunk *m = &s->metas[i];
        PL_TRY(chunk_segments_get(&s->b->chunks, m->ref, &v[n], NULL, err));
        v[n].mint_ms = m->mint_ms;
        v[n].maxt_ms = m->maxt_ms;
        if (t_n > 0 && touched(t, t_n, m->mint_ms, m->maxt_ms)) {
            pl_status st = without_deleted(s->a, &v[n], t, t_n, err);
            if (st == PL_NOT_FOUND) {
                continue;
            }
            if (st != PL_OK) {
                return st;
            }
        }
        n++;
    }
    out->chunks = v;
    out->chunk_count = n;
    return PL_OK;
}

/* ---- select ---- */

/* Fills *out and sets *take when the series belongs to the answer. */
static pl_status series_read(struct selecting *s, const struct block_candidates *c, uint32_t ref,
                             struct series_view *out, bool *take, struct pl_err *err)
{
    const struct tombstone *t = NULL;
    size_t t_n = s->b->tombstones.n > 0 ? tombstones_of(&s->b->tombstones, ref, &t) : 0, metas;
    struct series_cursor cursor;
    struct label *labels;

    *take = false;
    PL_TRY(index_series_open(&s->b->index, ref, &cursor, NULL, err));
    labels = pl_arena_alloc_try(s->a, cursor.label_count * sizeof(*labels));
    if (labels == NULL) {
        return no_memory(err);
    }
    PL_TRY(labels_read(s, &cursor, labels, err));
    *out = (struct series_view){.labels = {labels, cursor.label_count}};
    if (!deferred_accept(c, out->labels)) {
        return PL_OK;
    }
    PL_TRY(metas_read(s, &cursor, t, t_n, &metas, err));
    if (metas == 0) {
        return PL_OK;
    }
    *take = true;
    if (s->q->labels_only) {
        return PL_OK;
    }
    PL_TRY(chunks_read(s, metas, t, t_n, out, err));
    *take = out->chunk_count > 0;
    return PL_OK;
}

static bool outside_block(const struct block *b, const struct series_select *q)
{
    return q->maxt_ms < b->meta.mint_ms || q->mint_ms >= b->meta.maxt_ms;
}

static pl_status select_candidates(struct selecting *s, const struct block_candidates *c, struct series_list *out,
                                   struct pl_err *err)
{
    struct series_list r = {.v = pl_arena_alloc_try(s->a, c->n * sizeof(*r.v))};

    if (r.v == NULL) {
        return no_memory(err);
    }
    for (size_t i = 0; i < c->n; i++) {
        struct series_view *v = &r.v[r.n];
        bool take;
        if (i % CANCEL_EVERY == 0 && block__cancelled(s->q)) {
            return canceled(err);
        }
        PL_TRY(series_read(s, c, c->refs[i], v, &take, err));
        if (!take) {
            continue;
        }
        /* What merges series later relies on this order, and these are bytes from a disk. */
        if (r.n > 0 && labels_cmp(r.v[r.n - 1].labels, v->labels) >= 0) {
            return pl_fail(err, PL_CORRUPT, "index: series %u is out of order", c->refs[i]);
        }
        r.n++;
        if (s->q->series_max != 0 && r.n > s->q->series_max) {
            return pl_fail(err, PL_LIMIT, "the query hit the max number of series limit (limit: %llu series)",
                           (unsigned long long)s->q->series_max);
        }
    }
    *out = r;
    return PL_OK;
}

static pl_status block_select(struct series_source *source, struct pl_arena *a, const struct series_select *q,
                              struct series_list *out, struct pl_err *err)
{
    struct block *b = (struct block *)source;
    struct block_candidates c;
    struct selecting *s;

    if (outside_block(b, q)) {
        *out = (struct series_list){.n = 0};
        return PL_OK;
    }
    pin_block(b, a);
    s = pl_arena_zero_try(a, sizeof(*s));
    if (s == NULL) {
        return no_memory(err);
    }
    s->b = b;
    s->a = a;
    s->q = q;
    PL_TRY(block__candidates(b, a, q, &c, err));
    return select_candidates(s, &c, out, err);
}

/* ---- label names and values ---- */

static int str_cmp(const void *a, const void *b)
{
    pl_str x, y;

    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return pl_str_cmp(x, y);
}

static void list_finish(struct str_list *l, size_t limit)
{
    size_t n = 0;

    if (l->n > 0) {
        qsort(l->v, l->n, sizeof(*l->v), str_cmp);
    }
    for (size_t i = 0; i < l->n; i++) {
        if (n == 0 || !pl_str_eq(l->v[n - 1], l->v[i])) {
            l->v[n++] = l->v[i];
        }
    }
    l->n = limit > 0 ? PL_MIN(n, limit) : n;
}

/* Symbols seen, a bit each, so that a string is collected once. */
struct seen {
    uint64_t *bits;
    uint64_t count;
};

static bool seen_add(struct seen *s, uint64_t ref)
{
    uint64_t bit = UINT64_C(1) << (ref % 64);
    bool is_new = ref < s->count && (s->bits[ref / 64] & bit) == 0;

    if (is_new) {
        s->bits[ref / 64] |= bit;
    }
    return is_new;
}

static pl_status list_add(struct str_list *l, size_t *cap, struct pl_arena *a, pl_str s, struct pl_err *err)
{
    if (l->n == *cap) {
        size_t grown = PL_MAX(*cap * 2, (size_t)64);
        pl_str *v = pl_arena_alloc_try(a, grown * sizeof(*v));
        if (v == NULL) {
            return no_memory(err);
        }
        if (l->n > 0) {
            memcpy(v, l->v, l->n * sizeof(*v));
        }
        l->v = v;
        *cap = grown;
    }
    l->v[l->n++] = s;
    return PL_OK;
}

/* Collects from the series that match: all names (name == NULL), or the values of one name. */
static pl_status collect_series(struct selecting *s, const struct block_candidates *c, const pl_str *name,
                                struct seen *seen, struct str_list *out, struct pl_err *err)
{
    size_t cap = 0, label_cap = 0, metas;
    struct label *labels = NULL;

    for (size_t i = 0; i < c->n; i++) {
        struct series_cursor cursor, refs;
        const struct tombstone *t = NULL;
        size_t t_n = tombstones_of(&s->b->tombstones, c->refs[i], &t);

        if (i % CANCEL_EVERY == 0 && block__cancelled(s->q)) {
            return canceled(err);
        }
        PL_TRY(index_series_open(&s->b->index, c->refs[i], &cursor, NULL, err));
        if (cursor.label_count > label_cap) {
            label_cap = cursor.label_count * 2;
            labels = pl_arena_alloc_try(s->a, label_cap * sizeof(*labels));
            if (labels == NULL) {
                return no_memory(err);
            }
        }
        refs = cursor;
        PL_TRY(labels_read(s, &cursor, labels, err));
        if (!deferred_accept(c, (struct labels){labels, cursor.label_count})) {
            continue;
        }
        PL_TRY(metas_read(s, &cursor, t, t_n, &metas, err));
        for (uint64_t k = 0; metas > 0 && k < refs.label_count; k++) {
            uint64_t name_ref, value_ref;
            PL_TRY(series_cursor_label(&refs, &name_ref, &value_ref, err));
            if (name == NULL && seen_add(seen, name_ref)) {
                PL_TRY(list_add(out, &cap, s->a, labels[k].name, err));
            } else if (name != NULL && pl_str_eq(labels[k].name, *name) && seen_add(seen, value_ref)) {
                PL_TRY(list_add(out, &cap, s->a, labels[k].value, err));
            }
        }
    }
    return PL_OK;
}

static pl_status collect(struct block *b, struct pl_arena *a, const struct series_select *q, const pl_str *name,
                         size_t limit, struct str_list *out, struct pl_err *err)
{
    struct selecting *s = pl_arena_zero_try(a, sizeof(*s));
    struct str_list r = {.n = 0};
    struct block_candidates c;
    struct seen seen;
    pl_status st;

    if (s == NULL) {
        return no_memory(err);
    }
    s->b = b;
    s->a = a;
    s->q = q;
    PL_TRY(block__candidates(b, a, q, &c, err));
    seen.count = b->index.version == 1 ? b->index.symbols_end : b->index.symbol_count;
    seen.bits = pl_alloc_array_zero(seen.count / 64 + 1, sizeof(*seen.bits));
    st = collect_series(s, &c, name, &seen, &r, err);
    pl_free(seen.bits);
    if (st == PL_OK) {
        list_finish(&r, limit);
        *out = r;
    }
    return st;
}

static pl_status block_label_names(struct series_source *source, struct pl_arena *a, const struct series_select *q,
                                   size_t limit, struct str_list *out, struct pl_err *err)
{
    struct block *b = (struct block *)source;
    struct str_list r = {.n = 0};

    *out = r;
    if (outside_block(b, q)) {
        return PL_OK;
    }
    pin_block(b, a);
    if (q->matcher_count > 0) {
        return collect(b, a, q, NULL, limit, out, err);
    }
    r.v = pl_arena_alloc_try(a, b->index.name_count * sizeof(*r.v));
    if (r.v == NULL) {
        return no_memory(err);
    }
    for (size_t i = 0; i < b->index.name_count; i++) {
        if (b->index.names[i].name.n > 0) {
            r.v[r.n++] = b->index.names[i].name;
        }
    }
    r.n = limit > 0 ? PL_MIN(r.n, limit) : r.n;
    *out = r;
    return PL_OK;
}

/* All matchers are about this very name: its values decide alone. */
static bool only_about(const struct series_select *q, pl_str name)
{
    for (size_t i = 0; i < q->matcher_count; i++) {
        if (!pl_str_eq(q->matchers[i].name, name)) {
            return false;
        }
    }
    return true;
}

static bool value_wanted(const struct series_select *q, pl_str value)
{
    for (size_t i = 0; i < q->matcher_count; i++) {
        if (!matcher_accepts(&q->matchers[i], value)) {
            return false;
        }
    }
    return value.n > 0;
}

static pl_status values_of(struct block *b, struct pl_arena *a, const struct index_name *name,
                           const struct series_select *q, size_t limit, struct str_list *out, struct pl_err *err)
{
    struct str_list r = {.n = 0};
    struct index_value v;
    size_t cap = 0;

    for (uint32_t k = 0; k < name->entry_count && (limit == 0 || r.n < limit); k++) {
        if (k == 0) {
            PL_TRY(index_value_at(&b->index, name, 0, &v, err));
        } else {
            PL_TRY(index_value_next(&b->index, name, &v, err));
        }
        if (k % CANCEL_EVERY == 0 && block__cancelled(q)) {
            return canceled(err);
        }
        if (value_wanted(q, v.value)) {
            PL_TRY(list_add(&r, &cap, a, v.value, err));
        }
    }
    *out = r;
    return PL_OK;
}

static pl_status block_label_values(struct series_source *source, struct pl_arena *a, pl_str name,
                                    const struct series_select *q, size_t limit, struct str_list *out,
                                    struct pl_err *err)
{
    struct block *b = (struct block *)source;
    const struct index_name *n = name.n > 0 ? index_find_name(&b->index, name) : NULL;

    *out = (struct str_list){.n = 0};
    if (n == NULL || outside_block(b, q)) {
        return PL_OK;
    }
    pin_block(b, a);
    return only_about(q, name) ? values_of(b, a, n, q, limit, out, err) : collect(b, a, q, &name, limit, out, err);
}

const struct series_source_ops block__source_ops = {
    .select = block_select,
    .label_names = block_label_names,
    .label_values = block_label_values,
};
