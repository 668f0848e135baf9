#include "tsdb/chunk_samples.h"

#include "codec/hist_chunk.h"
#include "codec/xor_chunk.h"

/* The most memory one chunk's histograms may take; 65535 samples of the usual 160 buckets take a tenth. */
enum { HIST_BYTES_MAX = 1 << 30 };

static bool is_hist(const struct chunk_view *c)
{
    return c->encoding == CHUNK_ENC_HISTOGRAM || c->encoding == CHUNK_ENC_FLOAT_HISTOGRAM;
}

static pl_status hists_read(struct chunk_samples *s, const struct chunk_view *c, struct pl_err *err)
{
    if (!s->has_arena) {
        pl_arena_init(&s->arena, HIST_BYTES_MAX);
        s->has_arena = true;
    }
    pl_arena_reset(&s->arena);
    s->h = pl_arena_new_array_try(&s->arena, struct hist, s->n);
    if (s->h == NULL) {
        return pl_fail(err, PL_LIMIT, "chunk of %u histograms needs too much memory", s->n);
    }
    return hist_chunk_decode(c->encoding, c->data, c->size, &s->arena, s->t, s->h, err);
}

pl_status chunk_samples_read(struct chunk_samples *s, const struct chunk_view *c, struct pl_err *err)
{
    s->h = NULL;
    if (!is_hist(c) && c->encoding != CHUNK_ENC_XOR) {
        return pl_fail(err, PL_UNIMPLEMENTED, "chunk encoding %u is not known", c->encoding);
    }
    s->n = is_hist(c) ? hist_chunk_count(c->data, c->size) : xor_count(c->data, c->size);
    if (s->n == 0) {
        return pl_fail(err, PL_CORRUPT, "chunk is empty");
    }
    if (s->n > s->cap) {
        s->cap = PL_MAX(s->n, (uint32_t)256);
        s->t = pl_realloc(s->t, s->cap * sizeof(*s->t));
        s->v = pl_realloc(s->v, s->cap * sizeof(*s->v));
    }
    PL_TRY(is_hist(c) ? hists_read(s, c, err) : xor_decode(c->data, c->size, s->t, s->v, err));
    for (uint32_t i = 1; i < s->n; i++) {
        if (s->t[i] <= s->t[i - 1]) {
            return pl_fail(err, PL_CORRUPT, "samples of a chunk are out of order");
        }
    }
    return PL_OK;
}

void chunk_samples_fini(struct chunk_samples *s)
{
    if (s->has_arena) {
        pl_arena_fini(&s->arena);
    }
    pl_free(s->t);
    pl_free(s->v);
    *s = (struct chunk_samples){.n = 0};
}

/* ---- filtering ---- */

static pl_status no_memory(struct pl_err *err)
{
    return pl_fail(err, PL_LIMIT, "query memory limit");
}

static pl_status floats_encode(const struct chunk_samples *s, struct chunk_view *c, uint32_t kept, struct pl_arena *a,
                               struct pl_err *err)
{
    struct xor_appender app;
    uint8_t *out = pl_arena_alloc_try(a, XOR_CHUNK_HEADER + ((size_t)kept + 1) * XOR_SAMPLE_BYTES_MAX);

    if (out == NULL) {
        return no_memory(err);
    }
    xor_init(&app, out);
    for (uint32_t i = 0; i < kept; i++) {
        xor_append(&app, out, s->t[i], s->v[i]);
    }
    c->data = out;
    c->size = xor_size(&app);
    return PL_OK;
}

/* `header`: what the chunk says about the sample before its first; it still holds while that one is the first. */
static pl_status hists_encode(struct chunk_samples *s, struct chunk_view *c, uint32_t kept, uint8_t header,
                              struct pl_arena *a, struct pl_err *err)
{
    struct hist_chunk_writer *w;
    bool gauge = header == HIST_HINT_GAUGE;
    size_t size;

    for (uint32_t i = 0; i < kept; i++) {
        s->h[i].hint = gauge ? HIST_HINT_GAUGE : i == 0 ? header : HIST_HINT_NOT_RESET;
    }
    w = hist_chunk_begin(a, c->encoding, &s->h[0]);
    for (uint32_t i = 0; i < kept; i++) {
        if (w == NULL) {
            return no_memory(err);
        }
        if (!hist_chunk_fits(w, &s->h[i])) {
            return pl_fail(err, PL_CORRUPT, "histogram chunk whose samples do not belong into one chunk");
        }
        w = hist_chunk_append(w, s->t[i], &s->h[i]) ? w : NULL;
    }
    if (w == NULL) {
        return no_memory(err);
    }
    c->data = hist_chunk_bytes(w, &size);
    c->size = (uint32_t)size;
    return PL_OK;
}

pl_status chunk_filter(struct chunk_samples *s, struct chunk_view *c, bool (*keep)(const void *arg, int64_t t),
                       const void *arg, struct pl_arena *a, struct pl_err *err)
{
    uint32_t kept = 0;
    bool first = false;
    uint8_t header;

    PL_TRY(chunk_samples_read(s, c, err));
    for (uint32_t i = 0; i < s->n; i++) {
        if (!keep(arg, s->t[i])) {
            continue;
        }
        first = first || i == 0;
        s->t[kept] = s->t[i];
        if (s->h != NULL) {
            s->h[kept] = s->h[i];
        } else {
            s->v[kept] = s->v[i];
        }
        kept++;
    }
    if (kept == 0) {
        return PL_NOT_FOUND;
    }
    c->mint_ms = s->t[0];
    c->maxt_ms = s->t[kept - 1];
    if (s->h == NULL) {
        return floats_encode(s, c, kept, a, err);
    }
    header = hist_chunk_hint(c->data, c->size);
    if (!first && header != HIST_HINT_GAUGE) {
        header = HIST_HINT_UNKNOWN;
    }
    return hists_encode(s, c, kept, header, a, err);
}
