/* The hot path: a batch of samples into open chunks and the WAL. It runs in stages over the whole batch (unknown
 * series, order by shard, prefetch, append), because the time goes into cache misses and those overlap only across
 * series. */
#include "tsdb/head_append.h"
#include "tsdb/head_hist.h"

#include "base/clock.h"
#include "base/log.h"

enum {
    PREFETCH_SERIES = 12,   /* how many series ahead the cache line is asked for */
    PREFETCH_TAIL = 6,      /* and the end of the open chunk, which the line points to */
    SAMPLE_RECORD_MAX = 28, /* two varints and the value */
    SLICE_SAMPLES = 16384,  /* of one series, between looks at the size of the records */
    FLUSH_CHUNK_BYTES = 512 << 10,
};

/* ---- one sample ---- */

int64_t head_range_end(int64_t t, int64_t range)
{
    int64_t end, rest = t % range;

    /* Go's (t/range)*range + range: towards zero for negative t, as the cutting rule of Prometheus has it. */
    if (!pl_add_ok(&end, t - rest, range)) {
        end = INT64_MAX;
    }
    return end;
}

/* Spreads the chunks of the rest of the range evenly, judged from the first quarter of this one (spec 10.13). */
static int64_t chunk_end_estimate(int64_t start, int64_t cur, int64_t end)
{
    int64_t span, step, n;

    if (!pl_sub_ok(&span, end, start) || !pl_sub_ok(&step, cur, start) || step >= INT64_MAX / 4 - 1) {
        return end;
    }
    n = span / ((step + 1) * 4);
    return n <= 1 ? end : start + span / n;
}

void head_chunk_push(struct head_series *s, struct head_cold *c, const struct head_chunk *chunk)
{
    if (s->chunk_count == c->chunk_cap) {
        uint32_t cap = c->chunk_cap < 4 ? 4 : c->chunk_cap + c->chunk_cap / 2;
        c->chunks = pl_realloc(c->chunks, cap * sizeof(*c->chunks));
        c->chunk_cap = cap;
    }
    c->chunks[s->chunk_count++] = *chunk;
}

void head_tail_free(struct head_shard *sh, struct head_series *s)
{
    if (head_tail_is_hist(s)) {
        head_hist_free(head_hist_of(s));
    } else {
        slab_free(&sh->tails, s->tail_class, s->tail);
    }
    s->tail = NULL;
    s->tail_class = SLAB_CLASS_NONE;
    s->app.sample_count = 0;
}

void head_chunk_close(struct head *h, struct head_shard *sh, uint32_t slot, struct head_series *s)
{
    struct head_cold *c = head_cold_of(h, slot);
    struct head_chunk chunk = {.mint_ms = s->chunk_mint, .maxt_ms = s->app.t};
    struct chunk_view v = {.data = s->tail, .size = xor_size(&s->app), .encoding = CHUNK_ENC_XOR};

    if (PL_UNLIKELY(head_tail_is_hist(s))) {
        size_t size;
        v.data = hist_chunk_bytes(head_hist_of(s)->w, &size);
        v.size = (uint32_t)size;
        v.encoding = head_hist_of(s)->encoding;
    }
    head_chunks_add(h->chunks, head_wal_ref(h, slot, c), &chunk, v.encoding, v.data, v.size);
    head_chunk_push(s, c, &chunk);
    head_tail_free(sh, s);
}

static void chunk_open(struct head *h, struct head_shard *sh, struct head_series *s, int64_t t)
{
    s->tail_class = slab_class(32);
    s->tail = slab_alloc(&sh->tails, s->tail_class);
    xor_init(&s->app, s->tail);
    s->chunk_mint = t;
    s->next_at = head_range_end(t, h->block_range_ms);
    atomic_fetch_add_explicit(&h->chunk_count, 1, memory_order_relaxed);
}

static void tail_grow(struct head_shard *sh, struct head_series *s, uint32_t need)
{
    /* Steps of 32 bytes first: four samples of a busy gauge, so that copying stays a small part of appending. */
    uint8_t cls = slab_class(PL_MIN((need + 31) / 32 * 32, (uint32_t)SLAB_SIZE_MAX));
    uint8_t *grown = slab_alloc(&sh->tails, cls);

    memcpy(grown, s->tail, xor_size(&s->app));
    slab_free(&sh->tails, s->tail_class, s->tail);
    s->tail = grown;
    s->tail_class = cls;
}

enum head_sample head_sample_append(struct head *h, struct head_shard *sh, uint32_t slot, struct head_series *s,
                                    int64_t t, double v)
{
    uint32_t need;

    if (PL_UNLIKELY(s->has_t && t <= s->app.t)) {
        if (t < s->app.t) {
            return HEAD_SAMPLE_OLD;
        }
        if (s->has_t == HEAD_LAST_HIST) {
            return HEAD_SAMPLE_DUPLICATE;
        }
        return s->app.v_bits == pl_f64_bits(v) ? HEAD_SAMPLE_EQUAL : HEAD_SAMPLE_DUPLICATE;
    }
    if (s->tail != NULL) {
        if (PL_UNLIKELY(s->app.sample_count == HEAD_CHUNK_SAMPLES / 4)) {
            s->next_at = chunk_end_estimate(s->chunk_mint, s->app.t, s->next_at);
        }
        if (PL_UNLIKELY(t >= s->next_at || s->app.sample_count >= HEAD_CHUNK_SAMPLES * 2 ||
                        xor_size(&s->app) > HEAD_CHUNK_BYTES_MAX)) {
            head_chunk_close(h, sh, slot, s);
        }
    }
    if (s->tail == NULL) {
        chunk_open(h, sh, s, t);
    }
    need = xor_size(&s->app) + XOR_SAMPLE_BYTES_MAX;
    if (PL_UNLIKELY(need > slab_class_size(s->tail_class))) {
        tail_grow(sh, s, need);
    }
    xor_append(&s->app, s->tail, t, v);
    s->has_t = 1;
    return HEAD_SAMPLE_OK;
}

/* ---- stage 2: order by shard ---- */

static void order_by_shard(const struct call *c, uint32_t *order, uint32_t start[HEAD_SHARD_COUNT + 1])
{
    uint32_t at[HEAD_SHARD_COUNT] = {0};
    uint32_t sum = 0;

    for (uint32_t i = 0; i < c->b->series_count; i++) {
        at[head_shard_of(c->slots[i])] += c->slots[i] != 0;
    }
    for (uint32_t s = 0; s < HEAD_SHARD_COUNT; s++) {
        uint32_t n = at[s];
        start[s] = sum;
        at[s] = sum;
        sum += n;
    }
    start[HEAD_SHARD_COUNT] = sum;
    for (uint32_t i = 0; i < c->b->series_count; i++) {
        if (c->slots[i] != 0) {
            order[at[head_shard_of(c->slots[i])]++] = i;
        }
    }
}

/* ---- stages 3 and 4: append, with the WAL record written as we go ---- */

struct record {
    uint8_t *p;
    uint64_t base_ref;
    int64_t base_t;
};

static inline void record_sample(struct record *rec, uint64_t ref, int64_t t, double v)
{
    if (rec->base_ref == 0) {
        rec->base_ref = ref;
        rec->base_t = t;
        *rec->p++ = WAL_REC_SAMPLES;
        pl_put_be64(rec->p, ref);
        pl_put_be64(rec->p + 8, (uint64_t)t);
        rec->p += 16;
    }
    rec->p = varint_put(rec->p, (int64_t)(ref - rec->base_ref));
    rec->p = varint_put(rec->p, (int64_t)((uint64_t)t - (uint64_t)rec->base_t));
    pl_put_be64(rec->p, pl_f64_bits(v));
    rec->p += 8;
}

/* Hands the records so far to the log: series before the samples that name them. Shard lock held. */
static void records_give(struct call *c, struct record *rec)
{
    struct wal *wal = c->h->wal;

    if (wal != NULL && c->series_record.n > 0) {
        wal_add(wal, &c->ticket, c->series_record.p, c->series_record.n);
    }
    head_records_give(&c->tails, wal, &c->ticket);
    if (wal != NULL && rec->base_ref != 0) {
        wal_add(wal, &c->ticket, c->samples_record, (size_t)(rec->p - c->samples_record));
    }
    head_records_give(&c->hists, wal, &c->ticket);
    pl_buf_reset(&c->series_record);
    *rec = (struct record){.p = c->samples_record};
}

/* The log, as far as it will be read again, may not know this series: its record goes first. Samples that it has
 * already go behind it at once: they may lie in a part of the log that is about to go, and replay takes no older sample
 * after a newer one. */
static void series_log(struct call *c, uint32_t slot, const struct head_series *s, uint64_t ref)
{
    struct pl_err err;

    head_encode_series(c->h, &c->series_record, ref, head_cold_of(c->h, slot));
    if (s->tail != NULL && head_encode_tail(&c->tails, ref, s, &err) != PL_OK) {
        pl_error("open chunk cannot be logged again", PL_KV("user", c->h->tenant), PL_KV_ERR(&err));
    }
    pl_array_reserve(c->unlogged, c->unlogged_cap, c->unlogged_count + 1);
    c->unlogged[c->unlogged_count++] = slot;
}

static void note_refusal(struct call *c, enum head_sample got, uint32_t i, int64_t t, double v,
                         const struct head_series *s)
{
    bool first = c->r->first == TSDB_SOFT_NONE;

    append__refuse(c, got == HEAD_SAMPLE_DUPLICATE ? TSDB_SOFT_DUPLICATE : TSDB_SOFT_OUT_OF_ORDER, i, t, v,
                   pl_f64_from_bits(s->app.v_bits));
    if (first) {
        c->r->first_existing_is_hist = s->has_t == HEAD_LAST_HIST;
    }
}

/* The samples [first, end) of one series of the batch. Returns how many were stored. */
static inline uint32_t samples_append(struct call *c, struct head_shard *sh, uint32_t i, uint64_t ref, uint32_t first,
                                      uint32_t end, struct record *rec)
{
    uint32_t slot = c->slots[i], stored = 0;
    struct head_series *s = head_hot(c->h, slot);

    for (uint32_t k = first; k < end; k++) {
        int64_t t = c->b->t[k];
        double v = c->b->v[k];
        enum head_sample got;

        if (PL_UNLIKELY(t < c->min_valid)) {
            append__refuse(c, TSDB_SOFT_OUT_OF_BOUNDS, i, t, v, 0);
            continue;
        }
        got = head_sample_append(c->h, sh, slot, s, t, v);
        if (PL_UNLIKELY(got > HEAD_SAMPLE_EQUAL)) {
            note_refusal(c, got, i, t, v, s);
            continue;
        }
        /* An equal sample is logged again: the first try may have failed after it reached the chunk. */
        record_sample(rec, ref, t, v);
        c->mint = PL_MIN(c->mint, t);
        c->maxt = PL_MAX(c->maxt, t);
        stored++;
    }
    return stored;
}

/* One histogram; false: refused. */
static bool hist_append(struct call *c, struct head_shard *sh, uint32_t i, uint64_t ref, int64_t t,
                        const struct hist *x, bool whole)
{
    struct head_series *s = head_hot(c->h, c->slots[i]);
    enum head_sample got = HEAD_SAMPLE_OLD;

    if (t < c->min_valid) {
        append__refuse(c, TSDB_SOFT_OUT_OF_BOUNDS, i, t, 0, 0);
        return false;
    }
    got = head_hist_append(c->h, sh, c->slots[i], s, t, x, whole, c->a);
    if (got > HEAD_SAMPLE_EQUAL) {
        c->r->first_is_hist = c->r->first == TSDB_SOFT_NONE || c->r->first_is_hist;
        note_refusal(c, got, i, t, 0, s);
        return false;
    }
    wal_hist_encode(&c->hists.hist[wal_hist_kind(x, whole)], ref, t, x, whole);
    c->mint = PL_MIN(c->mint, t);
    c->maxt = PL_MAX(c->maxt, t);
    return true;
}

static bool hists_full(const struct call *c)
{
    for (int i = 0; i < WAL_HIST_KINDS; i++) {
        if (c->hists.hist[i].n > WAL_RECORD_BYTES_WANTED) {
            return true;
        }
    }
    return false;
}

/* The histograms of one series. Records of another kind, or of floats, have their own order in the log: what came
 * before goes before. */
static uint32_t hists_append(struct call *c, struct head_shard *sh, uint32_t i, uint64_t ref, struct record *rec)
{
    const struct tsdb_append_series *bs = &c->b->series[i];
    uint32_t stored = 0;
    unsigned kind = WAL_HIST_KINDS;

    for (uint32_t k = bs->hist_first; k < bs->hist_first + bs->hist_count; k++) {
        const struct hist *x = c->b->hist[k];
        unsigned now = wal_hist_kind(x, c->b->hist_whole[k]);
        if ((kind != WAL_HIST_KINDS && now != kind) || hists_full(c)) {
            records_give(c, rec);
        }
        kind = now;
        stored += hist_append(c, sh, i, ref, c->b->hist_t[k], x, c->b->hist_whole[k]);
    }
    return stored;
}

/* Floats for a series of histograms: leading stale markers become histograms. */
static uint32_t stale_append(struct call *c, struct head_shard *sh, uint32_t i, uint64_t ref, uint32_t *at,
                             uint32_t end, struct record *rec)
{
    const struct hist stale = {.sum = pl_f64_from_bits(PL_STALE_NAN_BITS)};
    struct head_series *s = head_hot(c->h, c->slots[i]);
    uint32_t stored = 0;

    for (; *at < end && s->has_t == HEAD_LAST_HIST && pl_is_stale(c->b->v[*at]); ++*at) {
        bool whole = !head_tail_is_hist(s) || head_hist_of(s)->encoding == CHUNK_ENC_HISTOGRAM;
        stored += hist_append(c, sh, i, ref, c->b->t[*at], &stale, whole);
        records_give(c, rec); /* floats that follow are in another record */
    }
    return stored;
}

/* A series that needs more than its floats appended: apart, so that the common loop stays short. */
static __attribute__((noinline)) uint32_t series_append_rare(struct call *c, struct head_shard *sh, uint32_t i,
                                                             struct record *rec)
{
    const struct tsdb_append_series *bs = &c->b->series[i];
    uint32_t at = bs->sample_first, end = at + bs->sample_count, stored = 0, slot = c->slots[i];
    const struct head_series *s = head_hot(c->h, slot);
    uint64_t ref = head_wal_ref(c->h, slot, head_cold_of(c->h, slot));

    if (!s->logged) {
        series_log(c, slot, s, ref);
    }
    if (s->has_t == HEAD_LAST_HIST) {
        stored += stale_append(c, sh, i, ref, &at, end, rec);
    }
    while (end - at > SLICE_SAMPLES) {
        stored += samples_append(c, sh, i, ref, at, at + SLICE_SAMPLES, rec);
        at += SLICE_SAMPLES;
        records_give(c, rec);
    }
    stored += samples_append(c, sh, i, ref, at, end, rec);
    stored += hists_append(c, sh, i, ref, rec);
    if (c->series_record.n > WAL_RECORD_BYTES_WANTED) {
        records_give(c, rec);
    }
    return stored;
}

/* All samples of one series of the batch: floats, then histograms. */
static inline uint32_t series_append(struct call *c, struct head_shard *sh, uint32_t i, struct record *rec)
{
    const struct tsdb_append_series *bs = &c->b->series[i];
    const struct head_series *s = head_hot(c->h, c->slots[i]);

    if (PL_UNLIKELY(!s->logged || s->has_t == HEAD_LAST_HIST || c->rare || bs->sample_count > SLICE_SAMPLES)) {
        return series_append_rare(c, sh, i, rec);
    }
    return samples_append(c, sh, i, c->slots[i], bs->sample_first, bs->sample_first + bs->sample_count, rec);
}

static inline void prefetch_series(const struct call *c, uint32_t i)
{
    __builtin_prefetch(head_hot(c->h, c->slots[i]), 1);
}

static inline void prefetch_tail(const struct call *c, uint32_t i)
{
    const struct head_series *s = head_hot(c->h, c->slots[i]);

    if (s->tail != NULL) {
        __builtin_prefetch(s->tail + s->app.bit_count / 8, 1);
    }
}

/* One shard's part of the batch. The records enter the WAL buffer under the shard lock, so that the log has every
 * series' samples in the order of its chunk whoever pushes at the same time. */
static void PL_HOT shard_append(struct call *c, uint32_t shard, const uint32_t *order, uint32_t n)
{
    struct head_shard *sh = &c->h->shards[shard];
    struct record rec = {.p = c->samples_record};
    uint64_t stored = 0;

    pl_mutex_lock(&sh->lock);
    for (uint32_t k = 0; k < PL_MIN(n, (uint32_t)PREFETCH_TAIL); k++) {
        prefetch_tail(c, order[k]);
    }
    for (uint32_t k = 0; k < n; k++) {
        if (k + PREFETCH_SERIES < n) {
            prefetch_series(c, order[k + PREFETCH_SERIES]);
        }
        if (k + PREFETCH_TAIL < n) {
            prefetch_tail(c, order[k + PREFETCH_TAIL]);
        }
        stored += series_append(c, sh, order[k], &rec);
        if (PL_UNLIKELY(rec.p - c->samples_record > WAL_RECORD_BYTES_WANTED)) {
            records_give(c, &rec);
        }
    }
    records_give(c, &rec);
    pl_mutex_unlock(&sh->lock);
    c->r->appended += stored;
}

static void atomic_min_i64(_Atomic int64_t *x, int64_t v)
{
    int64_t cur = atomic_load_explicit(x, memory_order_relaxed);

    while (v < cur && !atomic_compare_exchange_weak_explicit(x, &cur, v, memory_order_relaxed, memory_order_relaxed)) {
    }
}

static void atomic_max_i64(_Atomic int64_t *x, int64_t v)
{
    int64_t cur = atomic_load_explicit(x, memory_order_relaxed);

    while (v > cur && !atomic_compare_exchange_weak_explicit(x, &cur, v, memory_order_relaxed, memory_order_relaxed)) {
    }
}

static void mark_logged(struct call *c)
{
    for (size_t i = 0; i < c->unlogged_count; i++) {
        struct head_shard *sh = &c->h->shards[head_shard_of(c->unlogged[i])];
        pl_mutex_lock(&sh->lock);
        head_hot(c->h, c->unlogged[i])->logged = 1;
        pl_mutex_unlock(&sh->lock);
    }
}

/* The oldest time that an append may carry now (spec 10.13). */
static int64_t min_valid_of(struct head *h)
{
    int64_t min_valid = atomic_load_explicit(&h->min_valid_ms, memory_order_acquire); /* pairs with head_truncate */
    int64_t maxt = atomic_load_explicit(&h->maxt_ms, memory_order_relaxed);
    int64_t bound;

    if (maxt != INT64_MIN && pl_sub_ok(&bound, maxt, h->block_range_ms / 2)) {
        min_valid = PL_MAX(min_valid, bound);
    }
    return min_valid;
}

/* Slots of the whole batch, and the scratch for the largest shard's record. */
static pl_status call_prepare(struct call *c, uint32_t **order, struct pl_err *err)
{
    const struct tsdb_append_batch *b = c->b;
    uint32_t *unknown = pl_arena_alloc_try(c->a, (size_t)b->series_count * sizeof(*unknown));
    uint32_t unknown_count = 0;
    size_t samples = 0;

    c->slots = pl_arena_alloc_try(c->a, (size_t)b->series_count * sizeof(*c->slots));
    *order = unknown; /* its first use is over when the order is made */
    if (unknown == NULL || c->slots == NULL) {
        return pl_fail(err, PL_LIMIT, "request memory limit");
    }
    for (uint32_t i = 0; i < b->series_count; i++) {
        uint64_t ref = b->series[i].ref;
        PL_DCHECK(ref <= UINT32_MAX);
        c->slots[i] = (uint32_t)ref;
        samples += b->series[i].sample_count;
        if (ref == 0 && b->series[i].labels.n > UINT16_MAX) {
            return pl_fail(err, PL_INVALID, "series with %zu labels", b->series[i].labels.n);
        }
        if (ref == 0) {
            unknown[unknown_count++] = i;
        } else {
            __builtin_prefetch(head_hot(c->h, (uint32_t)ref), 1);
        }
    }
    c->samples_record = pl_arena_alloc_try(c->a, 17 + samples * SAMPLE_RECORD_MAX);
    if (c->samples_record == NULL) {
        return pl_fail(err, PL_LIMIT, "request memory limit");
    }
    return unknown_count > 0 ? append__resolve_unknown(c, unknown, unknown_count, err) : PL_OK;
}

pl_status head_append(struct head *h, const struct tsdb_append_batch *b, struct pl_arena *a,
                      struct tsdb_append_result *r, struct pl_err *err)
{
    struct call c = {.h = h,
                     .b = b,
                     .a = a,
                     .r = r,
                     .mint = INT64_MAX,
                     .maxt = INT64_MIN,
                     .min_valid = min_valid_of(h),
                     .rare = b->hist_t != NULL || h->foreign.count > 0};
    uint32_t start[HEAD_SHARD_COUNT + 1];
    uint32_t *order;
    struct pl_err flush_err;
    pl_status st;

    *r = (struct tsdb_append_result){.first = TSDB_SOFT_NONE};
    if (h->wal != NULL) {
        PL_TRY(wal_probe(h->wal, err));
    }
    st = call_prepare(&c, &order, err);
    if (st != PL_OK) {
        return st;
    }
    order_by_shard(&c, order, start);
    for (uint32_t s = 0; s < HEAD_SHARD_COUNT; s++) {
        if (start[s + 1] > start[s]) {
            shard_append(&c, s, order + start[s], start[s + 1] - start[s]);
        }
    }
    if (c.mint <= c.maxt) {
        atomic_min_i64(&h->pushed_mint_ms, c.mint);
        atomic_min_i64(&h->mint_ms, c.mint);
        atomic_max_i64(&h->maxt_ms, c.maxt);
    }
    if (h->wal != NULL) {
        st = wal_commit(h->wal, &c.ticket, err);
    }
    if (st == PL_OK) {
        mark_logged(&c);
        atomic_fetch_add_explicit(&h->appended_total, r->appended, memory_order_relaxed);
        atomic_store_explicit(&h->last_append_unix_ms, pl_now_unix_ms(), memory_order_relaxed);
    }
    if (r->first != TSDB_SOFT_NONE) {
        append__first_labels_copy(&c);
    }
    r->head_maxt_ms = atomic_load_explicit(&h->maxt_ms, memory_order_relaxed);
    if (r->head_maxt_ms == INT64_MIN) {
        r->head_maxt_ms = c.min_valid; /* empty: what the blocks reach to is the bound */
    }
    pl_buf_fini(&c.series_record);
    head_records_fini(&c.tails);
    head_records_fini(&c.hists);
    pl_free(c.unlogged);
    /* A full disk here costs nothing yet: the samples are in the WAL, the chunks wait in memory. */
    if (head_chunks_flush(h->chunks, FLUSH_CHUNK_BYTES, false, &flush_err) != PL_OK) {
        pl_warn("head chunks wait in memory", PL_KV("user", h->tenant), PL_KV_ERR(&flush_err));
    }
    return st;
}
