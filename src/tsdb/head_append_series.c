/* The part of an append that is about series: finding or making those that the caller does not know, refusals. */
#include "tsdb/head_append.h"

enum { CREATE_SLICE = 256 }; /* series made per hold of the index lock */

void append__refuse(struct call *c, enum tsdb_soft_kind kind, uint32_t series, int64_t t, double v, double existing)
{
    struct tsdb_append_result *r = c->r;

    r->soft_count[kind]++;
    if (r->first != TSDB_SOFT_NONE) {
        return;
    }
    r->first = kind;
    r->first_series = series;
    r->first_t = t;
    r->first_v = v;
    r->first_existing_v = existing;
}

static void refuse_series(struct call *c, enum tsdb_soft_kind kind, uint32_t i)
{
    const struct tsdb_append_series *s = &c->b->series[i];

    for (uint32_t k = 0; k < s->sample_count; k++) {
        append__refuse(c, kind, i, c->b->t[s->sample_first + k], c->b->v[s->sample_first + k], 0);
    }
    for (uint32_t k = 0; k < s->hist_count; k++) {
        append__refuse(c, kind, i, c->b->hist_t[s->hist_first + k], 0, 0);
    }
}

/* The kind of limit that forbids one more series of this metric, or TSDB_SOFT_NONE. */
static enum tsdb_soft_kind limit_locked(const struct call *c, struct labels ls)
{
    const struct tsdb_append_batch *b = c->b;

    if (b->series_max != 0 && atomic_load_explicit(&c->h->series_count, memory_order_relaxed) >= b->series_max) {
        return TSDB_SOFT_SERIES_LIMIT;
    }
    if (b->series_per_metric_max != 0) {
        uint32_t metric = symbols_find(&c->h->symbols, labels_get(ls, LABEL_METRIC_NAME));
        if (metric != SYMBOL_NONE && metric != 0 &&
            postings_count(c->h->postings, c->h->metric_name_id, metric) >= b->series_per_metric_max) {
            return TSDB_SOFT_METRIC_LIMIT;
        }
    }
    return TSDB_SOFT_NONE;
}

/* Finds or makes the series of unknown[0..n) under one hold of the index lock. */
static void create_slice(struct call *c, const uint32_t *unknown, const uint64_t *hash, uint32_t n,
                         struct head_memo *memo)
{
    struct head *h = c->h;

    memo->count = 0; /* lists and symbols may have changed since the lock was given back */
    pl_mutex_lock(&h->index);
    for (uint32_t k = 0; k < n; k++) {
        __builtin_prefetch(&h->table[(uint32_t)hash[k] & h->table_mask]);
    }
    for (uint32_t k = 0; k < n; k++) {
        const struct tsdb_append_series *s = &c->b->series[unknown[k]];
        uint32_t slot = head_find_locked(h, s->labels, hash[k]);
        enum tsdb_soft_kind limit = slot != 0 ? TSDB_SOFT_NONE : limit_locked(c, s->labels);
        if (slot == 0 && limit == TSDB_SOFT_NONE) {
            slot = head_new_series_locked(h, s->labels, hash[k], 0, memo);
            c->r->series_created++;
        }
        c->slots[unknown[k]] = slot;
        if (limit != TSDB_SOFT_NONE) {
            refuse_series(c, limit, unknown[k]);
        }
    }
    pl_mutex_unlock(&h->index);
}

pl_status append__resolve_unknown(struct call *c, uint32_t *unknown, uint32_t n, struct pl_err *err)
{
    struct head_memo *memo = pl_arena_alloc_try(c->a, sizeof(*memo));
    uint64_t *hash = pl_arena_alloc_try(c->a, (size_t)n * sizeof(*hash));
    struct pl_hash128 *wire = pl_arena_alloc_try(c->a, (size_t)n * sizeof(*wire));

    if (memo == NULL || hash == NULL || wire == NULL) {
        return pl_fail(err, PL_LIMIT, "request memory limit");
    }
    for (uint32_t k = 0; k < n; k++) {
        hash[k] = labels_hash(c->b->series[unknown[k]].labels);
        wire[k] = c->b->series[unknown[k]].wire_hash;
    }
    for (uint32_t at = 0; at < n; at += CREATE_SLICE) {
        create_slice(c, unknown + at, hash + at, PL_MIN(n - at, (uint32_t)CREATE_SLICE), memo);
    }
    for (uint32_t k = 0; k < n; k++) {
        unknown[k] = c->slots[unknown[k]];
    }
    head_wire_add(c->h, wire, unknown, n);
    return PL_OK;
}

/* The labels of the first refused series, as a copy: the caller may look at them after its pin has ended. */
void append__first_labels_copy(struct call *c)
{
    struct tsdb_append_result *r = c->r;
    uint32_t slot = c->slots[r->first_series];
    struct labels ls = c->b->series[r->first_series].labels;

    if (slot != 0 && !head_labels(c->h, slot, c->a, &ls)) {
        ls = (struct labels){.n = 0};
    }
    r->first_labels = labels_copy_try(c->a, ls);
}
