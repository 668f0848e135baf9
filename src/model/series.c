#include "model/series.h"

#include "codec/hist_chunk.h"
#include "codec/xor_chunk.h"

#define LIMIT_TEXT "query memory limit"

/* ---- decoding ---- */

static size_t first_at_or_after(const int64_t *t, size_t n, int64_t at)
{
    size_t lo = 0, hi = n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (t[mid] < at) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

static bool is_rising(const int64_t *t, size_t n)
{
    size_t bad = 0;

    /* Without an early exit, so that the compiler can compare several at once. */
    for (size_t i = 1; i < n; i++) {
        bad += t[i] <= t[i - 1];
    }
    return bad == 0;
}

static bool wanted(const struct chunk_view *c, int64_t mint, int64_t maxt)
{
    return c->mint_ms <= maxt && c->maxt_ms >= mint;
}

static bool columns_make(struct samples *s, struct pl_arena *a, size_t n)
{
    s->t = pl_arena_alloc_try(a, n * sizeof(*s->t));
    s->v = pl_arena_alloc_try(a, n * sizeof(*s->v));
    return s->t != NULL && s->v != NULL;
}

static pl_status columns_reserve(struct samples *s, size_t *cap, struct pl_arena *a, size_t need, struct pl_err *err)
{
    struct samples grown;
    size_t want = PL_MAX(*cap, (size_t)256);

    if (need <= *cap) {
        return PL_OK;
    }
    while (want < need) {
        want *= 2;
    }
    if (!columns_make(&grown, a, want)) {
        return pl_fail(err, PL_LIMIT, LIMIT_TEXT);
    }
    s->t = grown.t;
    s->v = grown.v;
    s->h_memory = NULL;
    *cap = want;
    return PL_OK;
}

/* Drops samples that do not rise: a chunk that claims to be one run becomes one. */
static size_t make_rising(struct samples *s, size_t from, size_t n)
{
    size_t kept = from;

    for (size_t i = from; i < from + n; i++) {
        if (kept == from || s->t[i] > s->t[kept - 1]) {
            s->t[kept] = s->t[i];
            s->v[kept] = s->v[i];
            if (s->h != NULL) {
                s->h[kept] = s->h[i];
            }
            kept++;
        }
    }
    return kept - from;
}

static void move_samples(struct samples *to, size_t at, const struct samples *from, size_t i, size_t n)
{
    if (n == 0) {
        return;
    }
    memmove(to->t + at, from->t + i, n * sizeof(*to->t));
    memmove(to->v + at, from->v + i, n * sizeof(*to->v));
    if (to->h != NULL) {
        memmove(to->h + at, from->h + i, n * sizeof(*to->h));
    }
}

/* Keeps what lies in [mint, maxt] of the n rising samples from `at` on; returns how many, moved to `at`. */
static size_t trim(struct samples *s, size_t at, size_t n, int64_t mint, int64_t maxt)
{
    const int64_t *t = s->t + at;
    size_t from = n > 0 && t[0] < mint ? first_at_or_after(t, n, mint) : 0;

    if (n > 0 && t[n - 1] > maxt) {
        n = maxt < INT64_MAX ? first_at_or_after(t, n, maxt + 1) : n;
    }
    if (from >= n) {
        return 0;
    }
    if (from > 0) {
        move_samples(s, at, s, at + from, n - from);
    }
    return n - from;
}

/* ---- chunks of histograms ---- */

static size_t chunk_samples(const struct chunk_view *c)
{
    return c->encoding == CHUNK_ENC_XOR ? xor_count(c->data, c->size) : hist_chunk_count(c->data, c->size);
}

/* Decodes a chunk of any encoding to s from `at` on. */
static pl_status decode_chunk(const struct chunk_view *c, struct samples *s, size_t at, struct pl_arena *a,
                              struct pl_err *err)
{
    size_t n = chunk_samples(c);
    struct hist *made;

    if (c->encoding == CHUNK_ENC_XOR) {
        PL_TRY(xor_decode(c->data, c->size, s->t + at, s->v + at, err));
        if (s->h != NULL) {
            memset(s->h + at, 0, n * sizeof(*s->h));
        }
        return PL_OK;
    }
    made = pl_arena_new_array_try(a, struct hist, n + 1);
    if (made == NULL) {
        return pl_fail(err, PL_LIMIT, LIMIT_TEXT);
    }
    PL_TRY(hist_chunk_decode(c->encoding, c->data, c->size, a, s->t + at, made, err));
    for (size_t i = 0; i < n; i++) {
        s->v[at + i] = pl_f64_from_bits(PL_STALE_NAN_BITS);
        s->h[at + i] = pl_is_stale(made[i].sum) ? NULL : &made[i];
    }
    return PL_OK;
}

/* A histogram's hint speaks of the sample before it in its chunk. Where another one is there now, it is unknown. The
 * histograms of a chunk are neighbours in memory. */
static void forget_hints(struct samples *s, struct pl_arena *a, bool *ok)
{
    const struct hist *before = NULL;

    *ok = true;
    for (size_t i = 0; s->h != NULL && i < s->n; i++) {
        const struct hist *h = s->h[i];

        if (h != NULL && h->hint != HIST_HINT_GAUGE && h->hint != HIST_HINT_UNKNOWN &&
            (before == NULL || h != before + 1)) {
            struct hist *other = pl_arena_alloc_try(a, sizeof(*other));
            if (other == NULL) {
                *ok = false;
                return;
            }
            *other = *h;
            other->hint = HIST_HINT_UNKNOWN;
            s->h[i] = other;
        }
        before = h;
    }
}

/* ---- chunks that overlap ---- */

/* Where two chunks hold the same time: each chunk is decoded as one run, and neighbouring runs are merged until one is
 * left. The left run wins on equal timestamps. Cost: samples times log2 of the chunks. */
static size_t merge_runs(struct samples *from, struct samples *to, size_t *ends, size_t runs)
{
    while (runs > 1) {
        size_t made = 0, n = 0;

        for (size_t r = 0; r < runs; r += 2) {
            size_t i = r > 0 ? ends[r - 1] : 0, i_end = ends[r];
            size_t k = i_end, k_end = r + 1 < runs ? ends[r + 1] : i_end;

            while (i < i_end && k < k_end) {
                size_t pick = from->t[i] <= from->t[k] ? i : k;
                k += pick == k || from->t[i] == from->t[k];
                i += pick == i;
                to->t[n] = from->t[pick];
                to->v[n] = from->v[pick];
                if (to->h != NULL) {
                    to->h[n] = from->h[pick];
                }
                n++;
            }
            if (i == i_end) {
                i = k;
                i_end = k_end;
            }
            move_samples(to, n, from, i, i_end - i);
            n += i_end - i;
            ends[made++] = n;
        }
        struct samples swap = *from;
        *from = *to;
        *to = swap;
        runs = made;
    }
    return runs == 1 ? ends[0] : 0;
}

static bool columns_make_like(struct samples *s, const struct samples *like, struct pl_arena *a, size_t n)
{
    *s = (struct samples){0};
    if (like->h != NULL) {
        s->h = pl_arena_new_array_try(a, const struct hist *, n);
    }
    return columns_make(s, a, n) && (s->h != NULL) == (like->h != NULL);
}

static pl_status decode_overlapping(const struct series_view *s, int64_t mint, int64_t maxt, struct pl_arena *a,
                                    struct samples *buf, size_t total, struct pl_err *err)
{
    struct pl_arena *hist_arena = buf->h != NULL && buf->hist_arena != NULL ? buf->hist_arena : a;
    struct samples from, to;
    size_t *ends = pl_arena_new_array_try(a, size_t, s->chunk_count);
    size_t runs = 0, n = 0;
    bool ok;

    if (ends == NULL || !columns_make_like(&from, buf, a, total) || !columns_make_like(&to, buf, a, total)) {
        return pl_fail(err, PL_LIMIT, LIMIT_TEXT);
    }
    for (uint32_t i = 0; i < s->chunk_count; i++) {
        const struct chunk_view *c = &s->chunks[i];
        size_t got;
        if (!wanted(c, mint, maxt)) {
            continue;
        }
        PL_TRY(decode_chunk(c, &from, n, hist_arena, err));
        got = make_rising(&from, n, chunk_samples(c));
        n += trim(&from, n, got, mint, maxt);
        ends[runs++] = n;
    }
    n = merge_runs(&from, &to, ends, runs);
    move_samples(buf, 0, &from, 0, n);
    buf->n = n;
    forget_hints(buf, hist_arena, &ok);
    return ok ? PL_OK : pl_fail(err, PL_LIMIT, LIMIT_TEXT);
}

/* ---- a series ---- */

/* A series with histograms: as series_decode, with the third column. */
static pl_status decode_mixed(const struct series_view *s, int64_t mint, int64_t maxt, struct pl_arena *a,
                              struct samples *buf, size_t cap, size_t total, struct pl_err *err)
{
    struct pl_arena *hist_arena = buf->hist_arena != NULL ? buf->hist_arena : a;
    size_t n = 0;

    if (buf->h_memory == NULL && cap > 0) {
        buf->h_memory = pl_arena_new_array_try(a, const struct hist *, cap);
        if (buf->h_memory == NULL) {
            return pl_fail(err, PL_LIMIT, LIMIT_TEXT);
        }
    }
    buf->h = cap > 0 ? buf->h_memory : NULL;
    for (uint32_t i = 0; i < s->chunk_count && total > 0; i++) {
        const struct chunk_view *c = &s->chunks[i];
        size_t got;
        if (!wanted(c, mint, maxt)) {
            continue;
        }
        PL_TRY(decode_chunk(c, buf, n, hist_arena, err));
        got = chunk_samples(c);
        if (!is_rising(buf->t + n, got) || (n > 0 && got > 0 && buf->t[n] <= buf->t[n - 1])) {
            return decode_overlapping(s, mint, maxt, a, buf, total, err);
        }
        n += trim(buf, n, got, mint, maxt);
    }
    buf->n = n;
    return PL_OK;
}

pl_status series_decode(const struct series_view *s, int64_t mint_ms, int64_t maxt_ms, struct pl_arena *a,
                        struct samples *buf, size_t *cap, struct pl_err *err)
{
    bool mixed = false;
    size_t total = 0, n = 0;

    buf->n = 0;
    buf->h = NULL;
    for (uint32_t i = 0; i < s->chunk_count; i++) {
        const struct chunk_view *c = &s->chunks[i];
        if (!wanted(c, mint_ms, maxt_ms)) {
            continue;
        }
        if (PL_UNLIKELY(c->encoding != CHUNK_ENC_XOR)) {
            if (c->encoding != CHUNK_ENC_HISTOGRAM && c->encoding != CHUNK_ENC_FLOAT_HISTOGRAM) {
                return pl_fail(err, PL_CORRUPT, "chunk encoding %u is not known", c->encoding);
            }
            mixed = true;
        }
        total += chunk_samples(c);
    }
    PL_TRY(columns_reserve(buf, cap, a, total, err));
    if (PL_UNLIKELY(mixed)) {
        return decode_mixed(s, mint_ms, maxt_ms, a, buf, *cap, total, err);
    }
    for (uint32_t i = 0; i < s->chunk_count; i++) {
        const struct chunk_view *c = &s->chunks[i];
        size_t got;
        if (!wanted(c, mint_ms, maxt_ms)) {
            continue;
        }
        PL_TRY(xor_decode(c->data, c->size, buf->t + n, buf->v + n, err));
        got = xor_count(c->data, c->size);
        /* The samples decide, not the chunk's stated times: those of an open chunk are only a bound. */
        if (PL_UNLIKELY(!is_rising(buf->t + n, got) || (n > 0 && got > 0 && buf->t[n] <= buf->t[n - 1]))) {
            return decode_overlapping(s, mint_ms, maxt_ms, a, buf, total, err);
        }
        n += trim(buf, n, got, mint_ms, maxt_ms);
    }
    buf->n = n;
    return PL_OK;
}

/* ---- merging sorted lists: a binary heap of list numbers, the list with the smallest head on top ---- */

struct merge {
    int (*cmp)(const struct merge *m, size_t x, size_t y); /* heads of lists x and y */
    const void *lists;
    size_t *at;   /* position in each list */
    size_t *heap; /* list numbers */
    size_t n;
};

/* Equal heads: the earlier list first. */
static bool merge_less(const struct merge *m, size_t x, size_t y)
{
    int c = m->cmp(m, x, y);

    return c != 0 ? c < 0 : x < y;
}

static void merge_sift(struct merge *m, size_t i)
{
    for (;;) {
        size_t least = i, left = 2 * i + 1;

        for (size_t child = left; child < left + 2 && child < m->n; child++) {
            if (merge_less(m, m->heap[child], m->heap[least])) {
                least = child;
            }
        }
        if (least == i) {
            return;
        }
        size_t swap = m->heap[i];
        m->heap[i] = m->heap[least];
        m->heap[least] = swap;
        i = least;
    }
}

static bool merge_init(struct merge *m, struct pl_arena *a, size_t lists)
{
    m->n = 0;
    m->at = pl_arena_new_array_try(a, size_t, lists);
    m->heap = pl_arena_new_array_try(a, size_t, lists);
    return m->at != NULL && m->heap != NULL;
}

static void merge_heapify(struct merge *m)
{
    for (size_t i = m->n / 2; i-- > 0;) {
        merge_sift(m, i);
    }
}

/* Moves the list on top one element on. */
static void merge_advance(struct merge *m, size_t list_size)
{
    size_t x = m->heap[0];

    if (++m->at[x] == list_size) {
        m->heap[0] = m->heap[--m->n];
    }
    merge_sift(m, 0);
}

static int cmp_series(const struct merge *m, size_t x, size_t y)
{
    const struct series_list *l = m->lists;

    return labels_cmp(l[x].v[m->at[x]].labels, l[y].v[m->at[y]].labels);
}

static int cmp_str(const struct merge *m, size_t x, size_t y)
{
    const struct str_list *l = m->lists;

    return pl_str_cmp(l[x].v[m->at[x]], l[y].v[m->at[y]]);
}

/* Puts the sorted chunks of s behind or among the n sorted ones of v (which has room); those already there go first. */
static void chunks_merge(struct chunk_view *v, size_t n, const struct series_view *s)
{
    size_t i = n, k = s->chunk_count, to = n + k;

    while (k > 0) {
        if (i > 0 && v[i - 1].mint_ms > s->chunks[k - 1].mint_ms) {
            v[--to] = v[--i];
        } else {
            v[--to] = s->chunks[--k];
        }
    }
}

/* One series from `count` lists (their numbers in `from`), all with equal labels. */
static pl_status series_join(struct pl_arena *a, const struct series_list *lists, const struct merge *m,
                             const size_t *from, size_t count, struct series_view *out, struct pl_err *err)
{
    size_t total = 0, n = 0;
    struct chunk_view *v;

    *out = lists[from[0]].v[m->at[from[0]]];
    if (count == 1) {
        return PL_OK;
    }
    for (size_t i = 0; i < count; i++) {
        total += lists[from[i]].v[m->at[from[i]]].chunk_count;
    }
    v = pl_arena_alloc_try(a, total * sizeof(*v));
    if (v == NULL || total > UINT32_MAX) {
        return pl_fail(err, PL_LIMIT, LIMIT_TEXT);
    }
    for (size_t i = 0; i < count; i++) {
        const struct series_view *s = &lists[from[i]].v[m->at[from[i]]];
        chunks_merge(v, n, s);
        n += s->chunk_count;
    }
    out->chunks = v;
    out->chunk_count = (uint32_t)n;
    return PL_OK;
}

pl_status series_list_merge(struct pl_arena *a, const struct series_list *lists, size_t n, struct series_list *out,
                            struct pl_err *err)
{
    struct merge m = {.cmp = cmp_series, .lists = lists};
    struct series_list r = {.n = 0};
    size_t *from = pl_arena_new_array_try(a, size_t, n);
    size_t total = 0, last = 0;

    if (from == NULL || !merge_init(&m, a, n)) {
        return pl_fail(err, PL_LIMIT, LIMIT_TEXT);
    }
    for (size_t i = 0; i < n; i++) {
        total += lists[i].n;
        if (lists[i].n > 0) {
            m.heap[m.n++] = last = i;
        }
    }
    if (m.n <= 1) {
        *out = m.n == 1 ? lists[last] : r;
        return PL_OK;
    }
    r.v = pl_arena_alloc_try(a, total * sizeof(*r.v));
    if (r.v == NULL) {
        return pl_fail(err, PL_LIMIT, LIMIT_TEXT);
    }
    merge_heapify(&m);
    while (m.n > 0) {
        size_t count = 0, first = m.heap[0];
        struct series_view *to = &r.v[r.n++];

        *to = lists[first].v[m.at[first]];
        /* The heap gives equal heads one after the other, the earlier list first; their positions are stepped back for
         * the join and are right again afterwards. */
        do {
            from[count++] = m.heap[0];
            merge_advance(&m, lists[m.heap[0]].n);
        } while (m.n > 0 && labels_eq(lists[m.heap[0]].v[m.at[m.heap[0]]].labels, to->labels));
        for (size_t i = 0; i < count; i++) {
            m.at[from[i]]--;
        }
        PL_TRY(series_join(a, lists, &m, from, count, to, err));
        for (size_t i = 0; i < count; i++) {
            m.at[from[i]]++;
        }
    }
    *out = r;
    return PL_OK;
}

pl_status str_list_merge(struct pl_arena *a, const struct str_list *lists, size_t n, size_t limit, struct str_list *out,
                         struct pl_err *err)
{
    struct merge m = {.cmp = cmp_str, .lists = lists};
    struct str_list r = {.n = 0};
    size_t total = 0;

    if (!merge_init(&m, a, n)) {
        return pl_fail(err, PL_LIMIT, LIMIT_TEXT);
    }
    for (size_t i = 0; i < n; i++) {
        total += lists[i].n;
        if (lists[i].n > 0) {
            m.heap[m.n++] = i;
        }
    }
    total = limit > 0 ? PL_MIN(total, limit) : total;
    r.v = pl_arena_alloc_try(a, total * sizeof(*r.v));
    if (r.v == NULL) {
        return pl_fail(err, PL_LIMIT, LIMIT_TEXT);
    }
    merge_heapify(&m);
    while (m.n > 0 && r.n < total) {
        size_t x = m.heap[0];
        pl_str s = lists[x].v[m.at[x]];
        if (r.n == 0 || !pl_str_eq(r.v[r.n - 1], s)) {
            r.v[r.n++] = s;
        }
        merge_advance(&m, lists[x].n);
    }
    *out = r;
    return PL_OK;
}
