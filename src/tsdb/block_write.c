/* Writing a block: into ULID.tmp-for-creation, everything fsynced, then renamed. */
#include "tsdb/block_internal.h"
#include "tsdb/chunk_samples.h"

struct block_writer {
    char parent[BLOCK_PATH_MAX], tmp[BLOCK_PATH_MAX], final[BLOCK_PATH_MAX];
    struct block_meta meta;
    struct block_meta_stats stats;
    struct chunk_writer chunks;
    struct index_writer *index;
    struct index_chunk *metas; /* of the series at hand */
    size_t meta_cap;
    struct block_meta_stats series_stats;
    struct chunk_samples samples; /* of the chunk at hand */
    bool on_disk;                 /* tmp exists */
    bool failed;
};

static pl_status prepare(struct block_writer *w, pl_str parent, struct pl_err *err)
{
    char id[ULID_TEXT + 1];

    ulid_text(id, &w->meta.id);
    PL_TRY(block__path(w->parent, err, "%.*s", PL_STR_ARG(parent)));
    PL_TRY(block__path(w->final, err, "%s/%s", w->parent, id));
    PL_TRY(block__path(w->tmp, err, "%s" BLOCK_TMP_CREATE, w->final));
    PL_TRY(block__path(w->chunks.dir, err, "%s/chunks", w->tmp));
    PL_TRY(block__mkdir(w->tmp, err));
    w->on_disk = true;
    PL_TRY(block__mkdir(w->chunks.dir, err));
    return index_writer_create(&w->index, w->tmp, err);
}

pl_status block_writer_create(struct block_writer **out, pl_str parent_dir, int64_t mint_ms, int64_t maxt_ms,
                              int64_t now_unix_ms, struct pl_err *err)
{
    struct block_writer *w;
    pl_status st;

    if (mint_ms >= maxt_ms) {
        return pl_fail(err, PL_INVALID, "block: its time range is empty");
    }
    w = pl_new(struct block_writer);
    w->meta = (struct block_meta){.mint_ms = mint_ms, .maxt_ms = maxt_ms, .level = 1};
    ulid_make(&w->meta.id, now_unix_ms);
    chunk_writer_init(&w->chunks);
    st = prepare(w, parent_dir, err);
    if (st != PL_OK) {
        block_writer_destroy(w);
        return st;
    }
    *out = w;
    return PL_OK;
}

void block_writer_destroy(struct block_writer *w)
{
    if (w == NULL) {
        return;
    }
    chunk_writer_fini(&w->chunks);
    index_writer_destroy(w->index);
    if (w->on_disk) {
        /* What cannot be removed now is left to block_tmp_cleanup. */
        pl_status ignored = block__remove_tree(w->tmp, NULL);
        (void)ignored;
    }
    pl_free(w->metas);
    chunk_samples_fini(&w->samples);
    pl_free(w);
}

/* Times of the first and last sample, from the chunk itself: the given ones may be bounds only, and nothing unreadable
 * may reach a block. */
static pl_status chunk_check(struct block_writer *w, const struct chunk_view *c, struct index_chunk *meta,
                             struct pl_err *err)
{
    struct chunk_samples *s = &w->samples;

    PL_TRY(chunk_samples_read(s, c, err));
    meta->mint_ms = s->t[0];
    meta->maxt_ms = s->t[s->n - 1];
    if (s->h == NULL) {
        w->series_stats.float_samples += s->n;
    } else {
        w->series_stats.histogram_samples += s->n;
    }
    if (meta->mint_ms < w->meta.mint_ms || meta->maxt_ms >= w->meta.maxt_ms) {
        return pl_fail(err, PL_INVALID, "block: chunk with times %lld to %lld is outside the block",
                       (long long)meta->mint_ms, (long long)meta->maxt_ms);
    }
    return PL_OK;
}

/* Nothing is written before all chunks are found to be good. */
static pl_status series_check(struct block_writer *w, const struct chunk_view *chunks, uint32_t n, struct pl_err *err)
{
    pl_array_reserve(w->metas, w->meta_cap, n);
    w->series_stats = (struct block_meta_stats){.float_samples = 0};
    for (uint32_t i = 0; i < n; i++) {
        PL_TRY(chunk_check(w, &chunks[i], &w->metas[i], err));
    }
    return PL_OK;
}

static pl_status series_add(struct block_writer *w, struct labels labels, const struct chunk_view *chunks, uint32_t n,
                            struct pl_err *err)
{
    for (uint32_t i = 0; i < n; i++) {
        PL_TRY(chunk_writer_put(&w->chunks, &chunks[i], &w->metas[i].ref, err));
    }
    PL_TRY(index_writer_add(w->index, labels, w->metas, n, err));
    w->meta.series_count++;
    w->meta.chunk_count += n;
    w->meta.sample_count += w->series_stats.float_samples + w->series_stats.histogram_samples;
    w->stats.float_samples += w->series_stats.float_samples;
    w->stats.histogram_samples += w->series_stats.histogram_samples;
    return PL_OK;
}

pl_status block_writer_add(struct block_writer *w, struct labels labels, const struct chunk_view *chunks,
                           uint32_t chunk_count, struct pl_err *err)
{
    pl_status st;

    if (w->failed) {
        return pl_fail(err, PL_INVALID, "block: an earlier series failed");
    }
    if (chunk_count == 0) {
        return PL_OK; /* nothing of this series lies in the block */
    }
    st = series_check(w, chunks, chunk_count, err);
    if (st == PL_CORRUPT) {
        return st;
    }
    st = st == PL_OK ? series_add(w, labels, chunks, chunk_count, err) : st;
    w->failed = st != PL_OK;
    return st;
}

static pl_status write_meta(struct block_writer *w, struct pl_err *err)
{
    char path[BLOCK_PATH_MAX];
    struct file_out f;
    struct pl_buf b;
    pl_status st;

    PL_TRY(block__path(path, err, "%s/meta.json", w->tmp));
    PL_TRY(file_out_open(&f, path, err));
    pl_buf_init(&b, 0);
    block__meta_text(&b, &w->meta, &w->stats);
    file_out_put(&f, b.p, b.n);
    pl_buf_fini(&b);
    st = file_out_close(&f, true, err);
    return st;
}

pl_status block_writer_finish(struct block_writer *w, struct ulid *id, struct pl_err *err)
{
    char path[BLOCK_PATH_MAX];

    if (w->failed) {
        return pl_fail(err, PL_INVALID, "block: an earlier series failed");
    }
    w->failed = true; /* until all is well: a second finish makes no sense either way */
    if (w->meta.series_count == 0) {
        chunk_writer_fini(&w->chunks);
        index_writer_destroy(w->index);
        w->index = NULL;
        PL_TRY(block__remove_tree(w->tmp, err));
        w->on_disk = false;
        return pl_fail(err, PL_NOT_FOUND, "block: no series");
    }
    PL_TRY(chunk_writer_finish(&w->chunks, err));
    PL_TRY(index_writer_finish(w->index, err));
    PL_TRY(block__path(path, err, "%s/tombstones", w->tmp));
    PL_TRY(tombstones_write_empty(path, err));
    PL_TRY(write_meta(w, err));
    PL_TRY(block__sync_dir(w->chunks.dir, err));
    PL_TRY(block__sync_dir(w->tmp, err));
    PL_TRY(block__rename(w->tmp, w->final, err));
    w->on_disk = false;
    PL_TRY(block__sync_dir(w->parent, err));
    *id = w->meta.id;
    return PL_OK;
}
