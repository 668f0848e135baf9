#include "promqltest/mem_source.h"

#include "codec/hist_chunk.h"
#include "codec/xor_chunk.h"

#include <stdlib.h>

enum { CHUNK_SAMPLES = 120, CHUNK_BYTES = XOR_CHUNK_HEADER + (CHUNK_SAMPLES + 1) * XOR_SAMPLE_BYTES_MAX };

struct mem_series {
    struct labels labels;
    struct chunk_view *chunks;
    size_t n, cap;
    uint8_t *open; /* the newest chunk's buffer */
    struct xor_appender app;
    struct hist_chunk_writer *hist; /* of the newest chunk when that is of histograms */
    unsigned marks;
};

static pl_status mem_select(struct series_source *base, struct pl_arena *a, const struct series_select *q,
                            struct series_list *out, struct pl_err *err);
static const struct series_source_ops mem_ops = {.select = mem_select};

void mem_source_init(struct mem_source *m)
{
    *m = (struct mem_source){.base = {.ops = &mem_ops}};
    pl_arena_init(&m->arena, 0);
}

void mem_source_fini(struct mem_source *m)
{
    for (size_t i = 0; i < m->n; i++) {
        pl_free(m->series[i]->chunks);
    }
    pl_free(m->series);
    pl_arena_fini(&m->arena);
    *m = (struct mem_source){0};
}

struct mem_series *mem_source_series(struct mem_source *m, struct labels ls)
{
    struct mem_series *s;

    for (size_t i = m->n; i > 0 && m->n < 5000; i--) { /* big sets are made without duplicates */
        if (labels_eq(m->series[i - 1]->labels, ls)) {
            return m->series[i - 1];
        }
    }
    s = pl_arena_zero(&m->arena, sizeof(*s));
    s->labels = labels_copy_try(&m->arena, ls);
    pl_array_reserve(m->series, m->cap, m->n + 1);
    m->series[m->n++] = s;
    m->sorted = false;
    return s;
}

/* Begins a chunk. A full one of floats moves to memory of its size: its buffer is used again. */
static struct chunk_view *begin_chunk(struct mem_source *m, struct mem_series *s, uint8_t encoding, int64_t t_ms)
{
    struct chunk_view *c;

    if (s->n > 0 && s->chunks[s->n - 1].data == s->open) {
        uint8_t *exact;

        c = &s->chunks[s->n - 1];
        exact = pl_arena_alloc(&m->arena, c->size);
        memcpy(exact, c->data, c->size);
        c->data = exact;
    }
    pl_array_reserve(s->chunks, s->cap, s->n + 1);
    c = &s->chunks[s->n++];
    *c = (struct chunk_view){.encoding = encoding, .mint_ms = t_ms};
    return c;
}

void mem_series_add(struct mem_source *m, struct mem_series *s, int64_t t_ms, double v)
{
    struct chunk_view *c = s->n > 0 ? &s->chunks[s->n - 1] : NULL;

    if (c != NULL && t_ms <= c->maxt_ms) {
        return;
    }
    if (c == NULL || c->encoding != CHUNK_ENC_XOR || s->app.sample_count >= CHUNK_SAMPLES) {
        c = begin_chunk(m, s, CHUNK_ENC_XOR, t_ms);
        if (s->open == NULL) {
            s->open = pl_arena_alloc(&m->arena, CHUNK_BYTES);
        }
        xor_init(&s->app, s->open);
        c->data = s->open;
    }
    xor_append(&s->app, s->open, t_ms, v);
    c->size = xor_size(&s->app);
    c->maxt_ms = t_ms;
}

void mem_series_add_hist(struct mem_source *m, struct mem_series *s, int64_t t_ms, const struct hist *h)
{
    struct chunk_view *c = s->n > 0 ? &s->chunks[s->n - 1] : NULL;
    bool appended;
    size_t size;

    if (c != NULL && t_ms <= c->maxt_ms) {
        return;
    }
    if (c == NULL || c->encoding == CHUNK_ENC_XOR || hist_chunk_count(c->data, c->size) >= CHUNK_SAMPLES ||
        !hist_chunk_fits(s->hist, h)) {
        c = begin_chunk(m, s, CHUNK_ENC_FLOAT_HISTOGRAM, t_ms);
        s->hist = hist_chunk_begin(&m->arena, CHUNK_ENC_FLOAT_HISTOGRAM, h);
        PL_ASSERT(s->hist != NULL);
    }
    appended = hist_chunk_append(s->hist, t_ms, h);
    PL_ASSERT(appended);
    c->data = hist_chunk_bytes(s->hist, &size);
    c->size = (uint32_t)size;
    c->maxt_ms = t_ms;
}

unsigned *mem_series_marks(struct mem_series *s)
{
    return &s->marks;
}

struct labels mem_series_labels(const struct mem_series *s)
{
    return s->labels;
}

int64_t mem_series_last_ms(const struct mem_series *s)
{
    return s->n > 0 ? s->chunks[s->n - 1].maxt_ms : INT64_MIN;
}

static int mem_series_cmp(const void *a, const void *b)
{
    return labels_cmp((*(struct mem_series *const *)a)->labels, (*(struct mem_series *const *)b)->labels);
}

static pl_status mem_select(struct series_source *base, struct pl_arena *a, const struct series_select *q,
                            struct series_list *out, struct pl_err *err)
{
    struct mem_source *m = (struct mem_source *)base;
    struct series_view *v;
    size_t n = 0;

    if (!m->sorted && m->n > 0) {
        qsort(m->series, m->n, sizeof(struct mem_series *), mem_series_cmp);
        m->sorted = true;
    }
    v = pl_arena_new_array_try(a, struct series_view, m->n + 1);
    if (v == NULL) {
        return pl_fail(err, PL_LIMIT, "no memory");
    }
    for (size_t i = 0; i < m->n; i++) {
        const struct mem_series *s = m->series[i];
        size_t from = 0, to = s->n;

        while (from < to && s->chunks[from].maxt_ms < q->mint_ms) {
            from++;
        }
        while (to > from && s->chunks[to - 1].mint_ms > q->maxt_ms) {
            to--;
        }
        if (from < to && matchers_accept(q->matchers, q->matcher_count, s->labels)) {
            v[n++] = (struct series_view){
                .labels = s->labels, .chunks = s->chunks + from, .chunk_count = (uint32_t)(to - from)};
        }
    }
    *out = (struct series_list){.v = v, .n = n};
    return PL_OK;
}
