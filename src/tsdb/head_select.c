/* Queries over the head: series sorted by labels, closed chunks by reference, open ones copied. */
#include "tsdb/head_hist.h"

#include <stdlib.h>

enum { CANCEL_EVERY = 256 };

/* ---- order of series ---- */

static int slot_cmp(const void *x, const void *y, void *arg)
{
    const struct head *h = arg;
    const struct head_cold *a = head_cold_of(h, *(const uint32_t *)x), *b = head_cold_of(h, *(const uint32_t *)y);
    uint32_t n = PL_MIN(a->label_count, b->label_count) * 2u;

    for (uint32_t i = 0; i < n; i++) {
        if (a->labels[i] != b->labels[i]) {
            return pl_str_cmp(symbols_text(&h->symbols, a->labels[i]), symbols_text(&h->symbols, b->labels[i]));
        }
    }
    return (a->label_count > b->label_count) - (a->label_count < b->label_count);
}

void head_sort_slots(struct head *h, uint32_t *slots, size_t n)
{
    if (n > 1) {
        qsort_r(slots, n, sizeof(*slots), slot_cmp, h);
    }
}

/* ---- chunks ---- */

static pl_status open_chunk_copy(const struct head_series *s, struct pl_arena *a, struct chunk_view *out,
                                 struct pl_err *err)
{
    struct chunk_view v = {.data = s->tail, .size = xor_size(&s->app), .encoding = CHUNK_ENC_XOR};
    uint8_t *copy;

    if (head_tail_is_hist(s)) {
        size_t size;
        v.data = hist_chunk_bytes(head_hist_of(s)->w, &size);
        v.size = (uint32_t)size;
        v.encoding = head_hist_of(s)->encoding;
    }
    copy = pl_arena_alloc_try(a, v.size);
    if (copy == NULL) {
        return pl_fail(err, PL_LIMIT, "query memory limit");
    }
    memcpy(copy, v.data, v.size);
    v.data = copy;
    v.mint_ms = s->chunk_mint;
    v.maxt_ms = s->app.t;
    *out = v;
    return PL_OK;
}

pl_status head_chunk_views(struct head *h, uint32_t slot, struct pl_arena *a, struct head_chunk_pins *pins,
                           int64_t mint, int64_t maxt, struct head_bad *bad, struct chunk_view **out, uint32_t *count,
                           struct pl_err *err)
{
    struct head_shard *sh = &h->shards[head_shard_of(slot)];
    struct head_page *page = head_page_of(h, slot);
    const struct head_series *s = &page->hot[slot % HEAD_PAGE_SERIES];
    const struct head_cold *c = &page->cold[slot % HEAD_PAGE_SERIES];
    uint32_t n = 0, first = 0, last;
    bool open_too;
    pl_status st = PL_OK;
    struct chunk_view *v, open;
    struct head_chunk *closed;

    pl_mutex_lock(&sh->lock);
    last = s->chunk_count;
    while (first < last && c->chunks[first].maxt_ms < mint) {
        first++;
    }
    while (last > first && c->chunks[last - 1].mint_ms > maxt) {
        last--;
    }
    open_too = s->tail != NULL && s->app.sample_count > 0 && s->chunk_mint <= maxt && s->app.t >= mint;
    if (last == first && !open_too) {
        pl_mutex_unlock(&sh->lock);
        *count = 0;
        *out = NULL;
        return PL_OK;
    }
    v = pl_arena_alloc_try(a, (last - first + 1) * sizeof(*v));
    closed = pl_arena_alloc_try(a, (last - first) * sizeof(*closed));
    if (v == NULL || closed == NULL) {
        st = pl_fail(err, PL_LIMIT, "query memory limit");
    } else if (last > first) {
        memcpy(closed, c->chunks + first, (last - first) * sizeof(*closed));
    }
    if (st == PL_OK && open_too) {
        st = open_chunk_copy(s, a, &open, err);
    }
    pl_mutex_unlock(&sh->lock);
    /* Mapped pages are read without the lock: the disk may be asked. The pins keep the files. */
    for (uint32_t i = 0; i < last - first && st == PL_OK; i++) {
        st = head_chunks_read(h->chunks, &closed[i], pins, &v[n], err);
        if (st == PL_CORRUPT && bad != NULL) {
            head_bad_note(bad, err);
            st = PL_OK;
        } else {
            n++;
        }
    }
    if (st == PL_OK && open_too) {
        v[n++] = open;
    }
    *out = v;
    *count = n;
    return st;
}

/* Does the series have a chunk that touches the range? */
static bool touches(struct head *h, uint32_t slot, int64_t mint, int64_t maxt)
{
    struct head_shard *sh = &h->shards[head_shard_of(slot)];
    struct head_page *page = head_page_of(h, slot);
    const struct head_series *s = &page->hot[slot % HEAD_PAGE_SERIES];
    const struct head_cold *c = &page->cold[slot % HEAD_PAGE_SERIES];
    bool yes;

    pl_mutex_lock(&sh->lock);
    yes = s->tail != NULL && s->chunk_mint <= maxt && s->app.t >= mint;
    for (uint32_t i = s->chunk_count; i-- > 0 && !yes;) {
        yes = c->chunks[i].mint_ms <= maxt && c->chunks[i].maxt_ms >= mint;
    }
    pl_mutex_unlock(&sh->lock);
    return yes;
}

/* ---- select ---- */

static bool head_overlaps(struct head *h, const struct series_select *q)
{
    return q->mint_ms <= atomic_load_explicit(&h->maxt_ms, memory_order_relaxed) &&
           q->maxt_ms >= atomic_load_explicit(&h->mint_ms, memory_order_relaxed);
}

static bool select_canceled(const struct series_select *q)
{
    return q->cancel != NULL && atomic_load_explicit(q->cancel, memory_order_relaxed);
}

/* Slots that match and have data in the range, in no order. Pins held, generation entered. */
static pl_status matching_slots(struct head *h, struct pl_arena *a, const struct series_select *q, uint32_t **out,
                                size_t *count, struct pl_err *err)
{
    uint32_t *slots;
    size_t n, kept = 0;

    PL_TRY(postings_match(h, q->matchers, q->matcher_count, q->cancel, a, &slots, &n, err));
    for (size_t i = 0; i < n; i++) {
        if (i % CANCEL_EVERY == CANCEL_EVERY - 1 && select_canceled(q)) {
            return pl_fail(err, PL_CANCELED, "query canceled");
        }
        if (head_slot_is_live(h, slots[i]) && touches(h, slots[i], q->mint_ms, q->maxt_ms)) {
            slots[kept++] = slots[i];
            if (q->series_max != 0 && kept > q->series_max) {
                return pl_fail(err, PL_LIMIT, "the query hit the max number of series limit (limit: %llu series)",
                               (unsigned long long)q->series_max);
            }
        }
    }
    *out = slots;
    *count = kept;
    return PL_OK;
}

static pl_status select_pinned(struct head *h, struct pl_arena *a, const struct series_select *q,
                               struct series_list *out, struct pl_err *err)
{
    struct head_chunk_pins pins = {.a = a};
    struct series_view *v;
    uint32_t *slots;
    size_t n, kept = 0;
    uint64_t chunks = 0;

    PL_TRY(matching_slots(h, a, q, &slots, &n, err));
    head_sort_slots(h, slots, n);
    v = pl_arena_alloc_try(a, (n + 1) * sizeof(*v));
    if (v == NULL) {
        return pl_fail(err, PL_LIMIT, "query memory limit");
    }
    for (size_t i = 0; i < n; i++) {
        struct chunk_view *views = NULL;
        uint32_t view_count = 0;

        if (i % CANCEL_EVERY == CANCEL_EVERY - 1 && select_canceled(q)) {
            return pl_fail(err, PL_CANCELED, "query canceled");
        }
        if (!head_labels(h, slots[i], a, &v[kept].labels)) {
            return pl_fail(err, PL_LIMIT, "query memory limit");
        }
        if (!q->labels_only) {
            PL_TRY(head_chunk_views(h, slots[i], a, &pins, q->mint_ms, q->maxt_ms, NULL, &views, &view_count, err));
            if (view_count == 0) {
                continue; /* truncated meanwhile */
            }
        }
        chunks += view_count;
        if (q->chunks_max != 0 && chunks > q->chunks_max) {
            return pl_fail(err, PL_LIMIT, "the query hit the max number of chunks limit (limit: %llu chunks)",
                           (unsigned long long)q->chunks_max);
        }
        v[kept].chunks = views;
        v[kept++].chunk_count = view_count;
    }
    *out = (struct series_list){.v = v, .n = kept};
    return PL_OK;
}

pl_status head_select(struct head *h, struct pl_arena *a, const struct series_select *q, struct series_list *out,
                      struct pl_err *err)
{
    pl_status st;

    *out = (struct series_list){.v = NULL};
    if (!head_overlaps(h, q)) {
        return PL_OK;
    }
    head_enter_until_free(h, a);
    head_pin(h);
    st = select_pinned(h, a, q, out, err);
    head_unpin(h);
    return st;
}

/* ---- names and values ---- */

static int u32_cmp(const void *x, const void *y)
{
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;

    return (a > b) - (a < b);
}

static int str_cmp(const void *x, const void *y)
{
    return pl_str_cmp(*(const pl_str *)x, *(const pl_str *)y);
}

/* Unique ids -> sorted texts. */
static pl_status texts_of(struct head *h, struct pl_arena *a, uint32_t *ids, size_t n, struct str_list *out,
                          struct pl_err *err)
{
    pl_str *v = pl_arena_alloc_try(a, (n + 1) * sizeof(*v));
    size_t kept = 0;

    if (v == NULL) {
        return pl_fail(err, PL_LIMIT, "query memory limit");
    }
    if (n > 1) {
        qsort(ids, n, sizeof(*ids), u32_cmp);
    }
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || ids[i] != ids[i - 1]) {
            v[kept++] = symbols_text(&h->symbols, ids[i]);
        }
    }
    if (kept > 1) {
        qsort(v, kept, sizeof(*v), str_cmp);
    }
    *out = (struct str_list){.v = v, .n = kept};
    return PL_OK;
}

struct id_set {
    uint32_t *v;
    size_t n, cap;
};

static pl_status id_set_add(struct id_set *s, uint32_t id, struct pl_arena *a, struct pl_err *err)
{
    if (s->n == s->cap) {
        size_t cap = s->cap == 0 ? 256 : s->cap * 2;
        uint32_t *grown;
        /* Before it grows, see whether duplicates fill it. */
        if (s->n > 0) {
            size_t kept = 1;
            qsort(s->v, s->n, sizeof(*s->v), u32_cmp);
            for (size_t i = 1; i < s->n; i++) {
                if (s->v[i] != s->v[kept - 1]) {
                    s->v[kept++] = s->v[i];
                }
            }
            s->n = kept;
        }
        if (s->n * 2 > s->cap || s->cap == 0) {
            grown = pl_arena_alloc_try(a, cap * sizeof(*grown));
            if (grown == NULL) {
                return pl_fail(err, PL_LIMIT, "query memory limit");
            }
            if (s->n > 0) {
                memcpy(grown, s->v, s->n * sizeof(*grown));
            }
            s->v = grown;
            s->cap = cap;
        }
    }
    s->v[s->n++] = id;
    return PL_OK;
}

/* Names (name == SYMBOL_NONE) or one label's values of the matching series. */
static pl_status ids_of_matching(struct head *h, struct pl_arena *a, uint32_t name, const struct series_select *q,
                                 struct id_set *set, struct pl_err *err)
{
    uint32_t *slots;
    size_t n;

    PL_TRY(matching_slots(h, a, q, &slots, &n, err));
    for (size_t i = 0; i < n; i++) {
        const struct head_cold *c = head_cold_of(h, slots[i]);
        for (uint32_t k = 0; k < c->label_count; k++) {
            if (name == SYMBOL_NONE) {
                PL_TRY(id_set_add(set, c->labels[k * 2], a, err));
            } else if (c->labels[k * 2] == name) {
                PL_TRY(id_set_add(set, c->labels[k * 2 + 1], a, err));
                break;
            }
        }
    }
    return PL_OK;
}

pl_status head_label_names(struct head *h, struct pl_arena *a, const struct series_select *q, struct str_list *out,
                           struct pl_err *err)
{
    struct id_set set = {.v = NULL};
    pl_status st = PL_OK;

    *out = (struct str_list){.v = NULL};
    if (!head_overlaps(h, q)) {
        return PL_OK;
    }
    head_enter_until_free(h, a);
    if (q->matcher_count > 0) {
        head_pin(h);
        st = ids_of_matching(h, a, SYMBOL_NONE, q, &set, err);
        head_unpin(h);
    } else {
        pl_mutex_lock(&h->index);
        set.v = postings_names(h->postings, a, &set.n);
        pl_mutex_unlock(&h->index);
        st = set.v == NULL ? pl_fail(err, PL_LIMIT, "query memory limit") : PL_OK;
    }
    return st == PL_OK ? texts_of(h, a, set.v, set.n, out, err) : st;
}

pl_status head_label_values(struct head *h, struct pl_arena *a, pl_str name, const struct series_select *q,
                            struct str_list *out, struct pl_err *err)
{
    struct id_set set = {.v = NULL};
    struct posting_value *values = NULL;
    uint32_t id;
    size_t n = 0;
    pl_status st = PL_OK;

    *out = (struct str_list){.v = NULL};
    if (!head_overlaps(h, q)) {
        return PL_OK;
    }
    head_enter_until_free(h, a);
    head_pin(h); /* the name keeps its symbol */
    pl_mutex_lock(&h->index);
    id = symbols_find(&h->symbols, name);
    if (id != SYMBOL_NONE && q->matcher_count == 0) {
        values = postings_values(h->postings, id, a, &n);
    }
    pl_mutex_unlock(&h->index);
    if (id != SYMBOL_NONE && q->matcher_count > 0) {
        st = ids_of_matching(h, a, id, q, &set, err);
    } else if (id != SYMBOL_NONE && values == NULL) {
        st = pl_fail(err, PL_LIMIT, "query memory limit");
    }
    head_unpin(h);
    for (size_t i = 0; i < n && st == PL_OK; i++) {
        st = id_set_add(&set, values[i].value, a, err);
    }
    return st == PL_OK ? texts_of(h, a, set.v, set.n, out, err) : st;
}
