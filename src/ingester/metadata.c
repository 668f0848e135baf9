/* Metadata per metric: every distinct (type, help, unit) that senders gave, with the time it was last seen. */
#include "ingester/internal.h"

#include "base/hash.h"

#include <stdlib.h>

enum { CHAINS_FIRST = 64 };

struct meta_entry {
    struct ingest_metadata m; /* texts owned by the entry, metric by the metric */
    int64_t seen_ms;
};

struct ing_meta_metric {
    struct ing_meta_metric *next;
    pl_str metric;
    struct meta_entry *entries;
    size_t count, cap;
};

void ing__metadata_init(struct ing_metadata *m)
{
    *m = (struct ing_metadata){.chains = NULL};
    pl_mutex_init(&m->lock, PL_RANK_HEAD);
}

static void free_str(pl_str s)
{
    pl_free((char *)(uintptr_t)s.p);
}

static void metric_free(struct ing_meta_metric *x)
{
    for (size_t i = 0; i < x->count; i++) {
        free_str(x->entries[i].m.help);
        free_str(x->entries[i].m.unit);
    }
    pl_free(x->entries);
    free_str(x->metric);
    pl_free(x);
}

void ing__metadata_fini(struct ing_metadata *m)
{
    for (size_t i = 0; i < m->chain_count; i++) {
        while (m->chains[i] != NULL) {
            struct ing_meta_metric *x = m->chains[i];
            m->chains[i] = x->next;
            metric_free(x);
        }
    }
    pl_free(m->chains);
    pl_mutex_fini(&m->lock);
    *m = (struct ing_metadata){.chains = NULL};
}

static struct ing_meta_metric **chain_of(const struct ing_metadata *m, pl_str metric)
{
    return &m->chains[pl_hash64(metric.p, metric.n) & (m->chain_count - 1)];
}

static void grow_locked(struct ing_metadata *m)
{
    struct ing_metadata bigger = {.chain_count = m->chain_count == 0 ? CHAINS_FIRST : m->chain_count * 2};

    bigger.chains = pl_new_array(struct ing_meta_metric *, bigger.chain_count);
    for (size_t i = 0; i < m->chain_count; i++) {
        while (m->chains[i] != NULL) {
            struct ing_meta_metric *x = m->chains[i], **to = chain_of(&bigger, x->metric);
            m->chains[i] = x->next;
            x->next = *to;
            *to = x;
        }
    }
    pl_free(m->chains);
    m->chains = bigger.chains;
    m->chain_count = bigger.chain_count;
}

static struct ing_meta_metric *find_locked(const struct ing_metadata *m, pl_str metric)
{
    struct ing_meta_metric *x = m->chain_count == 0 ? NULL : *chain_of(m, metric);

    while (x != NULL && !pl_str_eq(x->metric, metric)) {
        x = x->next;
    }
    return x;
}

static pl_str own(pl_str s)
{
    return pl_str_of(pl_str_dup(s), s.n);
}

static struct ing_meta_metric *add_metric_locked(struct ing_metadata *m, pl_str metric)
{
    struct ing_meta_metric *x = pl_new(struct ing_meta_metric), **to;

    if (m->metric_count >= m->chain_count * 2) {
        grow_locked(m);
    }
    x->metric = own(metric);
    to = chain_of(m, metric);
    x->next = *to;
    *to = x;
    m->metric_count++;
    return x;
}

static enum ing_meta_result add_locked(struct ing_metadata *m, const struct ingest_metadata *e,
                                       struct ing_meta_limits max, int64_t now_ms)
{
    struct ing_meta_metric *x = find_locked(m, e->metric);

    if (x == NULL) {
        if (max.metrics_max > 0 && m->metric_count >= (size_t)max.metrics_max) {
            return ING_META_USER_LIMIT;
        }
        x = add_metric_locked(m, e->metric);
    }
    for (size_t i = 0; i < x->count; i++) {
        struct meta_entry *at = &x->entries[i];
        if (at->m.type == e->type && pl_str_eq(at->m.help, e->help) && pl_str_eq(at->m.unit, e->unit)) {
            at->seen_ms = now_ms;
            return ING_META_OK;
        }
    }
    if (max.per_metric_max > 0 && x->count >= (size_t)max.per_metric_max) {
        return ING_META_METRIC_LIMIT;
    }
    pl_array_reserve(x->entries, x->cap, x->count + 1);
    x->entries[x->count++] = (struct meta_entry){{e->type, x->metric, own(e->help), own(e->unit)}, now_ms};
    atomic_fetch_add_explicit(&m->entry_count, 1, memory_order_relaxed); /* read by the tick, as a plain number */
    return ING_META_OK;
}

enum ing_meta_result ing__metadata_add(struct ing_metadata *m, const struct ingest_metadata *e,
                                       struct ing_meta_limits max, int64_t now_ms)
{
    enum ing_meta_result result;

    pl_mutex_lock(&m->lock);
    result = add_locked(m, e, max, now_ms);
    pl_mutex_unlock(&m->lock);
    return result;
}

static void purge_metric_locked(struct ing_metadata *m, struct ing_meta_metric *x, int64_t before_ms)
{
    size_t kept = 0;

    for (size_t i = 0; i < x->count; i++) {
        if (x->entries[i].seen_ms >= before_ms) {
            x->entries[kept++] = x->entries[i];
        } else {
            free_str(x->entries[i].m.help);
            free_str(x->entries[i].m.unit);
        }
    }
    atomic_fetch_sub_explicit(&m->entry_count, x->count - kept, memory_order_relaxed);
    x->count = kept;
}

void ing__metadata_purge(struct ing_metadata *m, int64_t before_ms)
{
    pl_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->chain_count; i++) {
        struct ing_meta_metric **at = &m->chains[i];
        while (*at != NULL) {
            struct ing_meta_metric *x = *at;
            purge_metric_locked(m, x, before_ms);
            if (x->count == 0) {
                *at = x->next;
                m->metric_count--;
                metric_free(x);
            } else {
                at = &x->next;
            }
        }
    }
    pl_mutex_unlock(&m->lock);
}

static int by_metric(const void *a, const void *b)
{
    const struct ingest_metadata *x = a, *y = b;
    int c = pl_str_cmp(x->metric, y->metric);

    c = c != 0 ? c : (x->type > y->type) - (x->type < y->type);
    c = c != 0 ? c : pl_str_cmp(x->help, y->help);
    return c != 0 ? c : pl_str_cmp(x->unit, y->unit);
}

static bool copy_str(struct pl_arena *a, pl_str *s)
{
    char *p = pl_arena_alloc_try(a, s->n + 1);

    if (p == NULL) {
        return false;
    }
    memcpy(p, s->p, s->n);
    p[s->n] = '\0';
    s->p = p;
    return true;
}

static bool copy_locked(const struct ing_metadata *m, struct pl_arena *a, struct ingest_metadata *to)
{
    for (size_t i = 0; i < m->chain_count; i++) {
        for (const struct ing_meta_metric *x = m->chains[i]; x != NULL; x = x->next) {
            for (size_t k = 0; k < x->count; k++, to++) {
                *to = x->entries[k].m;
                if (!copy_str(a, &to->metric) || !copy_str(a, &to->help) || !copy_str(a, &to->unit)) {
                    return false;
                }
            }
        }
    }
    return true;
}

pl_status ing__metadata_list(struct ing_metadata *m, struct pl_arena *a, struct ingest_metadata **out, size_t *count,
                             struct pl_err *err)
{
    struct ingest_metadata *v;
    size_t n;
    bool ok;

    pl_mutex_lock(&m->lock);
    n = (size_t)atomic_load_explicit(&m->entry_count, memory_order_relaxed); /* changes under this lock only */
    v = pl_arena_array_try(a, n, sizeof(*v));
    ok = v != NULL && copy_locked(m, a, v);
    pl_mutex_unlock(&m->lock);
    if (!ok) {
        return pl_fail(err, PL_LIMIT, "the tenant's metadata need more memory than the query may use (%zu bytes)",
                       a->limit_bytes);
    }
    if (n > 0) {
        qsort(v, n, sizeof(*v), by_metric);
    }
    *out = v;
    *count = n;
    return PL_OK;
}
