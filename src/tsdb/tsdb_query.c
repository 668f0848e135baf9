/* A store as a series_source: head and blocks merged. */
#include "tsdb/tsdb_internal.h"

static void blocks_unref_arg(void *arg)
{
    tsdb__blocks_unref(arg);
}

static bool block_overlaps(const struct block *b, const struct series_select *q)
{
    const struct block_meta *m = block_meta_get(b);

    return q->mint_ms < m->maxt_ms && q->maxt_ms >= m->mint_ms;
}

/* The blocks that may answer; they live as long as the arena. */
static pl_status query_blocks(struct tsdb *db, struct pl_arena *a, const struct series_select *q, struct block ***out,
                              size_t *count, struct pl_err *err)
{
    struct block_set *s = tsdb__blocks_get(db);
    struct block **v;
    size_t n = 0;

    pl_arena_on_free(a, blocks_unref_arg, s);
    v = pl_arena_alloc_try(a, (s->n + 1) * sizeof(*v));
    if (v == NULL) {
        return pl_fail(err, PL_LIMIT, "query memory limit");
    }
    for (size_t i = 0; i < s->n; i++) {
        if (block_overlaps(s->v[i], q)) {
            v[n++] = s->v[i];
        }
    }
    *out = v;
    *count = n;
    return PL_OK;
}

/* Damage is the block's, so its name belongs to the error; limits are the query's. */
static pl_status block_status(const struct block *b, pl_status st, struct pl_err *err)
{
    char text[ULID_TEXT + 1];

    if (st == PL_CORRUPT || st == PL_IO) {
        ulid_text(text, &block_meta_get(b)->id);
        pl_wrap(err, "block %s", text);
    }
    return st;
}

/* Head before block list, always: what a cut moves from one to the other meanwhile is then in both, and merged. The
 * other way round it would be in neither. */
static pl_status source_select(struct series_source *src, struct pl_arena *a, const struct series_select *q,
                               struct series_list *out, struct pl_err *err)
{
    struct tsdb *db = ((struct tsdb_series_source *)src)->db;
    struct block **blocks;
    struct series_list *lists, head;
    size_t n;

    PL_TRY(head_select(db->head, a, q, &head, err));
    head_reached(db->head, HEAD_AT_QUERY_HALF);
    PL_TRY(query_blocks(db, a, q, &blocks, &n, err));
    if (n == 0) {
        *out = head;
        return PL_OK;
    }
    lists = pl_arena_array_try(a, n + 1, sizeof(*lists));
    if (lists == NULL) {
        return pl_fail(err, PL_LIMIT, "query memory limit");
    }
    lists[n] = head;
    for (size_t i = 0; i < n; i++) {
        struct series_source *bs = block_source(blocks[i]);
        PL_TRY(block_status(blocks[i], bs->ops->select(bs, a, q, &lists[i], err), err));
    }
    PL_TRY(series_list_merge(a, lists, n + 1, out, err));
    if (q->series_max != 0 && out->n > q->series_max) {
        return pl_fail(err, PL_LIMIT, "the query hit the max number of series limit (limit: %llu series)",
                       (unsigned long long)q->series_max);
    }
    return PL_OK;
}

/* name.n == 0: names, otherwise this label's values. */
static pl_status source_texts(struct tsdb *db, struct pl_arena *a, pl_str name, const struct series_select *q,
                              size_t limit, struct str_list *out, struct pl_err *err)
{
    struct block **blocks;
    struct str_list *lists, head;
    size_t n;

    PL_TRY(name.n == 0 ? head_label_names(db->head, a, q, &head, err)
                       : head_label_values(db->head, a, name, q, &head, err));
    head_reached(db->head, HEAD_AT_QUERY_HALF);
    PL_TRY(query_blocks(db, a, q, &blocks, &n, err));
    lists = pl_arena_array_try(a, n + 1, sizeof(*lists));
    if (lists == NULL) {
        return pl_fail(err, PL_LIMIT, "query memory limit");
    }
    lists[n] = head;
    for (size_t i = 0; i < n; i++) {
        struct series_source *bs = block_source(blocks[i]);
        pl_status st = name.n == 0 ? bs->ops->label_names(bs, a, q, limit, &lists[i], err)
                                   : bs->ops->label_values(bs, a, name, q, limit, &lists[i], err);
        PL_TRY(block_status(blocks[i], st, err));
    }
    return str_list_merge(a, lists, n + 1, limit, out, err);
}

static pl_status source_label_names(struct series_source *src, struct pl_arena *a, const struct series_select *q,
                                    size_t limit, struct str_list *out, struct pl_err *err)
{
    return source_texts(((struct tsdb_series_source *)src)->db, a, PL_STR(""), q, limit, out, err);
}

static pl_status source_label_values(struct series_source *src, struct pl_arena *a, pl_str name,
                                     const struct series_select *q, size_t limit, struct str_list *out,
                                     struct pl_err *err)
{
    if (name.n == 0) {
        *out = (struct str_list){.v = NULL};
        return PL_OK;
    }
    return source_texts(((struct tsdb_series_source *)src)->db, a, name, q, limit, out, err);
}

const struct series_source_ops tsdb__source_ops = {
    .select = source_select, .label_names = source_label_names, .label_values = source_label_values};

struct series_source *tsdb_source(struct tsdb *db)
{
    return &db->source.base;
}
