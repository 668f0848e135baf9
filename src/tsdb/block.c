#include "tsdb/block_internal.h"

#include "base/log.h"

pl_status block__open_parts(struct block *b, struct pl_err *err)
{
    char path[BLOCK_PATH_MAX];

    PL_TRY(block__path(path, err, "%s/meta.json", b->dir));
    PL_TRY(block__meta_read(&b->meta, path, err));
    PL_TRY(block__path(path, err, "%s/chunks", b->dir));
    PL_TRY(chunk_segments_open(&b->chunks, path, err));
    PL_TRY(block__path(path, err, "%s/index", b->dir));
    PL_TRY(index_open(&b->index, path, err));
    PL_TRY(block__path(path, err, "%s/tombstones", b->dir));
    return tombstones_read(&b->tombstones, path, err);
}

void block__close_parts(struct block *b)
{
    index_close(&b->index);
    chunk_segments_close(&b->chunks);
    tombstones_fini(&b->tombstones);
}

pl_status block_open(struct block **out, pl_str dir, struct pl_err *err)
{
    struct block *b = pl_new(struct block);
    pl_status st = block__path(b->dir, err, "%.*s", PL_STR_ARG(dir));

    if (st == PL_OK) {
        st = block__open_parts(b, err);
    }
    if (st != PL_OK) {
        pl_wrap(err, "open block %.*s", PL_STR_ARG(dir));
        block__close_parts(b);
        pl_free(b);
        return st;
    }
    b->source.ops = &block__source_ops;
    atomic_init(&b->refs, 1);
    *out = b;
    return PL_OK;
}

void block_ref(struct block *b)
{
    uint32_t before = atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);

    PL_ASSERT(before > 0 && before < UINT32_MAX);
}

pl_status block_folder_remove(pl_str dir, struct pl_err *err)
{
    char from[BLOCK_PATH_MAX], gone[BLOCK_PATH_MAX];

    PL_TRY(block__path(from, err, "%.*s", PL_STR_ARG(dir)));
    PL_TRY(block__path(gone, err, "%s" BLOCK_TMP_DELETE, from));
    /* First renamed, so that a crash in the middle leaves no half block behind under its real name. */
    PL_TRY(block__rename(from, gone, err));
    return block__remove_tree(gone, err);
}

static void remove_folder(const struct block *b)
{
    struct pl_err err;

    if (block_folder_remove(pl_str_c(b->dir), &err) != PL_OK) {
        pl_warn("block could not be removed", PL_KV_C("block", b->dir), PL_KV_ERR(&err));
    }
}

void block_unref(struct block *b)
{
    uint32_t before;

    if (b == NULL) {
        return;
    }
    /* Release pairs with the acquire of whoever ends the block: all uses are over before the mapping goes. (Not a
     * fence, which the thread sanitizer does not see.) */
    before = atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel);
    PL_ASSERT(before > 0);
    if (before != 1) {
        return;
    }
    block__close_parts(b);
    if (atomic_load_explicit(&b->deleted, memory_order_relaxed)) {
        remove_folder(b);
    }
    pl_free(b);
}

void block_mark_deleted(struct block *b)
{
    /* Relaxed: the caller holds a reference, and its block_unref publishes this store. */
    atomic_store_explicit(&b->deleted, true, memory_order_relaxed);
}

const struct block_meta *block_meta_get(const struct block *b)
{
    return &b->meta;
}

uint64_t block_size_bytes(const struct block *b)
{
    return b->index.map.n + b->chunks.bytes;
}

struct series_source *block_source(struct block *b)
{
    return &b->source;
}
