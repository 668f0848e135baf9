/* What a store says about itself. */
#include "tsdb/tsdb_internal.h"

#include <stdlib.h>

void tsdb_stats_get(struct tsdb *db, struct tsdb_stats *out)
{
    struct head *h = db->head;
    struct block_set *s = tsdb__blocks_get(db);

    *out = (struct tsdb_stats){
        .series = atomic_load_explicit(&h->series_count, memory_order_relaxed),
        .chunks = atomic_load_explicit(&h->chunk_count, memory_order_relaxed),
        .series_created_total = atomic_load_explicit(&h->created_total, memory_order_relaxed),
        .series_removed_total = atomic_load_explicit(&h->removed_total, memory_order_relaxed),
        .samples_appended_total = atomic_load_explicit(&h->appended_total, memory_order_relaxed),
        .mint_ms = atomic_load_explicit(&h->mint_ms, memory_order_relaxed),
        .maxt_ms = atomic_load_explicit(&h->maxt_ms, memory_order_relaxed),
        .block_count = s->n,
        .wal_corruptions_total = atomic_load_explicit(&db->wal_corruptions, memory_order_relaxed),
        .head_chunk_corruptions_total = atomic_load_explicit(&db->head_chunk_corruptions, memory_order_relaxed) +
                                        atomic_load_explicit(&h->chunks_lost, memory_order_relaxed),
        .wal_write_failures_total = h->wal != NULL ? wal_failures(h->wal) : 0,
        .compactions_total = atomic_load_explicit(&db->compactions, memory_order_relaxed),
        .compactions_failed_total = atomic_load_explicit(&db->compactions_failed, memory_order_relaxed),
        .block_open_failures_total = atomic_load_explicit(&db->block_open_failures, memory_order_relaxed),
        .last_append_unix_ms = atomic_load_explicit(&h->last_append_unix_ms, memory_order_relaxed),
    };
    for (size_t i = 0; i < s->n; i++) {
        out->block_bytes += block_size_bytes(s->v[i]);
    }
    tsdb__blocks_unref(s);
    pl_mutex_lock(&h->index);
    out->symbols = h->symbols.count;
    out->label_pairs = postings_pair_count(h->postings);
    pl_mutex_unlock(&h->index);
}

static int top_cmp(const void *x, const void *y)
{
    const struct tsdb_top *a = x, *b = y;

    if (a->value != b->value) {
        return a->value > b->value ? -1 : 1;
    }
    return pl_str_cmp(a->name, b->name);
}

/* The n largest rows, their texts copied: the head may forget them. */
static size_t top_cut(struct tsdb_top *v, size_t count, size_t n, struct pl_arena *a, struct tsdb_top **out)
{
    if (count > 1) {
        qsort(v, count, sizeof(*v), top_cmp);
    }
    count = PL_MIN(count, n);
    *out = v;
    for (size_t i = 0; i < count; i++) {
        char *text = pl_arena_alloc_try(a, v[i].name.n + 1);
        if (text == NULL) {
            return i;
        }
        memcpy(text, v[i].name.p, v[i].name.n);
        v[i].name.p = text;
    }
    return count;
}

size_t tsdb_top_metrics(struct tsdb *db, struct pl_arena *a, size_t n, struct tsdb_top **out)
{
    struct head *h = db->head;
    struct head_gen *gen = head_enter(h);
    struct posting_value *values;
    struct tsdb_top *v;
    size_t count;

    *out = NULL;
    pl_mutex_lock(&h->index);
    values = postings_values(h->postings, h->metric_name_id, a, &count);
    pl_mutex_unlock(&h->index);
    v = values != NULL ? pl_arena_alloc_try(a, (count + 1) * sizeof(*v)) : NULL;
    for (size_t i = 0; v != NULL && i < count; i++) {
        v[i] = (struct tsdb_top){.name = symbols_text(&h->symbols, values[i].value), .value = values[i].series};
    }
    count = v != NULL ? top_cut(v, count, n, a, out) : 0;
    head_leave(gen);
    return count;
}

size_t tsdb_top_label_values(struct tsdb *db, struct pl_arena *a, size_t n, struct tsdb_top **out)
{
    struct head *h = db->head;
    struct head_gen *gen = head_enter(h);
    struct tsdb_top *v = NULL;
    uint32_t *names;
    size_t count, values;

    *out = NULL;
    pl_mutex_lock(&h->index);
    names = postings_names(h->postings, a, &count);
    v = names != NULL ? pl_arena_alloc_try(a, (count + 1) * sizeof(*v)) : NULL;
    for (size_t i = 0; v != NULL && i < count; i++) {
        (void)postings_values(h->postings, names[i], a, &values);
        v[i] = (struct tsdb_top){.name = symbols_text(&h->symbols, names[i]), .value = values};
    }
    pl_mutex_unlock(&h->index);
    count = v != NULL ? top_cut(v, count, n, a, out) : 0;
    head_leave(gen);
    return count;
}
