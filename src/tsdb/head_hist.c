#include "tsdb/head_hist.h"

enum { CHUNK_BYTES = 1024, CHUNK_SAMPLES_MIN = 10, CHUNK_SAMPLES_MAX = 240 }; /* spec prometheus.md 10.2 */

void head_hist_free(struct head_hist *x)
{
    pl_arena_fini(&x->a);
    pl_free(x);
}

static struct chunk_view view_of(const struct head_series *s)
{
    const struct head_hist *x = head_hist_of(s);
    struct chunk_view v = {.encoding = x->encoding, .mint_ms = s->chunk_mint, .maxt_ms = s->app.t};
    size_t size;

    v.data = hist_chunk_bytes(x->w, &size);
    v.size = (uint32_t)size;
    return v;
}

/* The last histogram of the open chunk; NULL: no memory. */
static const struct hist *last_of(const struct head_series *s, struct pl_arena *scratch)
{
    struct chunk_view v = view_of(s);
    uint32_t n = head_hist_of(s)->n;
    struct hist *all = pl_arena_new_array_try(scratch, struct hist, n);
    int64_t *t = pl_arena_new_array_try(scratch, int64_t, n);

    if (all == NULL || t == NULL || hist_chunk_decode(v.encoding, v.data, v.size, scratch, t, all, NULL) != PL_OK) {
        return NULL;
    }
    return &all[n - 1];
}

/* Another sample for the last time: equal ones are taken silently. */
static enum head_sample repeated(const struct head_series *s, const struct hist *x, bool whole,
                                 struct pl_arena *scratch)
{
    const struct hist *last;

    if (!head_tail_is_hist(s) || whole != (head_hist_of(s)->encoding == CHUNK_ENC_HISTOGRAM)) {
        return HEAD_SAMPLE_DUPLICATE;
    }
    last = last_of(s, scratch);
    if (last == NULL) {
        return HEAD_SAMPLE_DUPLICATE;
    }
    if (pl_is_stale(x->sum)) {
        return pl_is_stale(last->sum) ? HEAD_SAMPLE_EQUAL : HEAD_SAMPLE_DUPLICATE;
    }
    return hist_equal(last, x) ? HEAD_SAMPLE_EQUAL : HEAD_SAMPLE_DUPLICATE;
}

/* What a new chunk's header says of its first sample, which follows the open chunk of a counter. */
static uint8_t hint_after(const struct head_series *s, const struct hist *x, struct pl_arena *scratch)
{
    const struct hist *last = last_of(s, scratch);
    struct hist now = *x, then;
    bool reset;

    if (last == NULL || pl_is_stale(last->sum) || last->hint == HIST_HINT_GAUGE) {
        return HIST_HINT_UNKNOWN;
    }
    then = *last;
    now.hint = then.hint = HIST_HINT_UNKNOWN; /* compare, whatever they say */
    if (hist_detect_reset(&reset, scratch, &now, &then) != 0) {
        return HIST_HINT_UNKNOWN;
    }
    if (reset) {
        return HIST_HINT_RESET;
    }
    return now.schema == then.schema && now.zero_threshold == then.zero_threshold ? HIST_HINT_NOT_RESET
                                                                                  : HIST_HINT_UNKNOWN;
}

static uint8_t header_hint(const struct head_series *s, const struct hist *x, struct pl_arena *scratch)
{
    if (x->hint == HIST_HINT_GAUGE || x->hint == HIST_HINT_RESET) {
        return x->hint;
    }
    if (pl_is_stale(x->sum) || !head_tail_is_hist(s)) {
        return HIST_HINT_UNKNOWN;
    }
    return hint_after(s, x, scratch);
}

static bool is_full(const struct head_series *s, int64_t t)
{
    const struct head_hist *x = head_hist_of(s);
    size_t size;

    (void)hist_chunk_bytes(x->w, &size);
    return t >= x->next_at || x->n >= CHUNK_SAMPLES_MAX || (size >= CHUNK_BYTES && x->n >= CHUNK_SAMPLES_MIN);
}

static void chunk_open(struct head *h, struct head_series *s, int64_t t, const struct hist *x, uint8_t hint,
                       uint8_t encoding)
{
    struct head_hist *made = pl_new(struct head_hist);
    struct hist first = *x;

    first.hint = hint;
    pl_arena_init(&made->a, 0);
    made->w = hist_chunk_begin(&made->a, encoding, &first);
    PL_ASSERT(made->w != NULL); /* no limit */
    made->encoding = encoding;
    made->next_at = head_range_end(t, h->block_range_ms);
    s->tail = (uint8_t *)(void *)made;
    s->tail_class = HEAD_TAIL_HIST;
    s->chunk_mint = t;
    s->next_at = INT64_MIN;
    s->app = (struct xor_appender){.sample_count = 1};
    atomic_fetch_add_explicit(&h->chunk_count, 1, memory_order_relaxed);
}

static uint8_t open_hint(const struct head_hist *x)
{
    size_t size;
    const uint8_t *p = hist_chunk_bytes(x->w, &size);

    return hist_chunk_hint(p, size);
}

enum head_sample head_hist_append(struct head *h, struct head_shard *sh, uint32_t slot, struct head_series *s,
                                  int64_t t, const struct hist *x, bool whole, struct pl_arena *scratch)
{
    uint8_t encoding = whole ? CHUNK_ENC_HISTOGRAM : CHUNK_ENC_FLOAT_HISTOGRAM;
    struct hist now = *x;
    struct head_hist *open;

    if (s->has_t && t <= s->app.t) {
        return t < s->app.t ? HEAD_SAMPLE_OLD : repeated(s, x, whole, scratch);
    }
    if (head_tail_is_hist(s)) {
        open = head_hist_of(s);
        if (pl_is_stale(x->sum) && open_hint(open) == HIST_HINT_GAUGE) {
            now.hint = HIST_HINT_GAUGE; /* a marker says nothing of its own */
        }
        if (open->encoding != encoding || is_full(s, t) || !hist_chunk_fits(open->w, &now)) {
            now.hint = header_hint(s, x, scratch);
            head_chunk_close(h, sh, slot, s);
        }
    } else {
        now.hint = header_hint(s, x, scratch);
        if (s->tail != NULL) {
            head_chunk_close(h, sh, slot, s);
        }
    }
    if (s->tail == NULL) {
        chunk_open(h, s, t, x, now.hint, encoding);
    }
    open = head_hist_of(s);
    PL_ASSERT(hist_chunk_append(open->w, t, &now));
    open->n++;
    s->app.t = t;
    s->has_t = HEAD_LAST_HIST;
    return HEAD_SAMPLE_OK;
}
