/* The blocks of a store: finding, opening, publishing as snapshots, retention. */
#include "tsdb/tsdb_internal.h"

#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct block_set *tsdb__blocks_get(struct tsdb *db)
{
    struct block_set *s;

    pl_mutex_lock(&db->blocks_lock);
    s = db->blocks;
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    pl_mutex_unlock(&db->blocks_lock);
    return s;
}

void tsdb__blocks_unref(struct block_set *s)
{
    if (s != NULL && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1) {
        for (size_t i = 0; i < s->n; i++) {
            block_unref(s->v[i]);
        }
        pl_free(s);
    }
}

static int block_cmp(const void *x, const void *y)
{
    const struct block_meta *a = block_meta_get(*(struct block *const *)x),
                            *b = block_meta_get(*(struct block *const *)y);

    if (a->mint_ms != b->mint_ms) {
        return a->mint_ms < b->mint_ms ? -1 : 1;
    }
    return memcmp(a->id.b, b->id.b, sizeof(a->id.b));
}

void tsdb__blocks_set(struct tsdb *db, struct block *const *v, size_t n)
{
    struct block_set *s = pl_alloc(sizeof(*s) + n * sizeof(struct block *)), *old;

    atomic_init(&s->refs, 1);
    s->n = n;
    if (n > 0) {
        memcpy(s->v, v, n * sizeof(struct block *));
        qsort(s->v, n, sizeof(struct block *), block_cmp);
    }
    pl_mutex_lock(&db->blocks_lock);
    old = db->blocks;
    db->blocks = s;
    pl_mutex_unlock(&db->blocks_lock);
    tsdb__blocks_unref(old);
}

/* Position in a list of ids, or n. */
static size_t id_find(const struct ulid *v, size_t n, const struct ulid *id)
{
    size_t i = 0;

    while (i < n && memcmp(&v[i], id, sizeof(*id)) != 0) {
        i++;
    }
    return i;
}

static void path_of(const struct tsdb *db, const struct ulid *id, const char *suffix, char out[static PATH_MAX])
{
    char text[ULID_TEXT + 1];

    ulid_text(text, id);
    (void)snprintf(out, PATH_MAX, "%s/%s%s", db->dir, text, suffix);
}

/* Why it does not open may pass (too many open files, another program still copying it): it is tried each time. */
static void block_try(struct tsdb *db, const struct ulid *id, struct block ***v, size_t *n, size_t *cap)
{
    size_t known = id_find(db->broken, db->broken_count, id);
    char path[PATH_MAX];
    struct block *b;
    struct pl_err err;

    path_of(db, id, "", path);
    if (block_open(&b, pl_str_c(path), &err) == PL_OK) {
        if (known < db->broken_count) {
            db->broken[known] = db->broken[--db->broken_count];
            pl_info("block opens now", PL_KV_C("user", db->tenant), PL_KV_C("block", path));
        }
        pl_array_reserve(*v, *cap, *n + 1);
        (*v)[(*n)++] = b;
        return;
    }
    if (known == db->broken_count) {
        pl_array_reserve(db->broken, db->broken_cap, db->broken_count + 1);
        db->broken[db->broken_count++] = *id;
        atomic_fetch_add_explicit(&db->block_open_failures, 1, memory_order_relaxed);
        pl_error("block cannot be opened: answers lack it; it is tried again", PL_KV_C("user", db->tenant),
                 PL_KV_C("block", path), PL_KV_ERR(&err));
    }
}

bool tsdb__blocks_have(struct tsdb *db, const struct ulid *id)
{
    struct block_set *s = tsdb__blocks_get(db);
    bool have = false;

    for (size_t i = 0; i < s->n && !have; i++) {
        have = memcmp(&block_meta_get(s->v[i])->id, id, sizeof(*id)) == 0;
    }
    tsdb__blocks_unref(s);
    return have;
}

void tsdb__block_remove(struct tsdb *db, const struct ulid *id)
{
    char path[PATH_MAX];
    struct pl_err err;

    path_of(db, id, "", path);
    if (block_folder_remove(pl_str_c(path), &err) != PL_OK) {
        pl_warn("block could not be removed", PL_KV_C("user", db->tenant), PL_KV_ERR(&err));
    }
}

pl_status tsdb__blocks_scan(struct tsdb *db, struct pl_err *err)
{
    struct block_set *now = tsdb__blocks_get(db);
    struct block **v = NULL;
    size_t n = 0, cap = 0, kept;
    bool changed = false;
    DIR *d = opendir(db->dir);
    struct dirent *e;
    struct ulid id;

    if (d == NULL) {
        tsdb__blocks_unref(now);
        return pl_fail(err, PL_IO, "read %s: %s", db->dir, strerror(errno));
    }
    for (size_t i = 0; i < now->n; i++) {
        char path[PATH_MAX];
        path_of(db, &block_meta_get(now->v[i])->id, "/meta.json", path);
        if (access(path, F_OK) != 0) {
            changed = true;
            continue;
        }
        pl_array_reserve(v, cap, n + 1);
        block_ref(now->v[i]);
        v[n++] = now->v[i];
    }
    kept = n;
    while ((e = readdir(d)) != NULL) {
        bool have = !ulid_parse(&id, pl_str_c(e->d_name)) || id_find(db->going, db->going_count, &id) < db->going_count;
        for (size_t i = 0; i < kept && !have; i++) {
            have = memcmp(&block_meta_get(v[i])->id, &id, sizeof(id)) == 0;
        }
        if (!have) {
            block_try(db, &id, &v, &n, &cap);
        }
    }
    (void)closedir(d);
    if (changed || n > kept) {
        tsdb__blocks_set(db, v, n);
    } else {
        for (size_t i = 0; i < n; i++) {
            block_unref(v[i]);
        }
    }
    pl_free(v);
    tsdb__blocks_unref(now);
    return PL_OK;
}

int64_t tsdb__blocks_maxt(struct tsdb *db)
{
    struct block_set *s = tsdb__blocks_get(db);
    int64_t maxt = INT64_MIN;

    for (size_t i = 0; i < s->n; i++) {
        maxt = PL_MAX(maxt, block_meta_get(s->v[i])->maxt_ms);
    }
    tsdb__blocks_unref(s);
    return maxt;
}

void tsdb__retention_apply(struct tsdb *db)
{
    struct block_set *s;
    struct block **v;
    size_t n = 0;
    int64_t newest, oldest;

    newest = PL_MAX(tsdb__blocks_maxt(db), atomic_load_explicit(&db->head->maxt_ms, memory_order_relaxed));
    if (db->o.retention_ms <= 0 || newest == INT64_MIN || !pl_sub_ok(&oldest, newest, db->o.retention_ms)) {
        return;
    }
    s = tsdb__blocks_get(db);
    v = pl_alloc((s->n + 1) * sizeof(*v));
    for (size_t i = 0; i < s->n; i++) {
        char text[ULID_TEXT + 1];
        if (block_meta_get(s->v[i])->maxt_ms > oldest) {
            block_ref(s->v[i]);
            v[n++] = s->v[i];
            continue;
        }
        ulid_text(text, &block_meta_get(s->v[i])->id);
        pl_info("block is past retention: deleted", PL_KV_C("user", db->tenant), PL_KV_C("block", text));
        block_mark_deleted(s->v[i]);
        /* A query may keep the folder for a while: it must not be found again. */
        pl_array_reserve(db->going, db->going_cap, db->going_count + 1);
        db->going[db->going_count++] = block_meta_get(s->v[i])->id;
    }
    if (n < s->n) {
        tsdb__blocks_set(db, v, n);
    } else {
        for (size_t i = 0; i < n; i++) {
            block_unref(v[i]);
        }
    }
    pl_free(v);
    tsdb__blocks_unref(s);
}
