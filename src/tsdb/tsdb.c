#include "tsdb/tsdb.h"

#include "base/clock.h"
#include "base/log.h"
#include "tsdb/block_internal.h"
#include "tsdb/head.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COMPACT_ROUNDS_MAX = 10000 };

/* Snapshot: immutable, counted. */
struct block_set {
    _Atomic uint32_t refs;
    size_t n;
    struct block *v[]; /* by mint; one reference each */
};

struct tsdb_series_source {
    struct series_source base;
    struct tsdb *db;
};

struct tsdb {
    char *dir, *wal_dir, *tenant; /* owned */
    struct tsdb_options o;
    int lock_fd; /* -1: none */
    struct head *head;
    struct tsdb_series_source source;
    struct pl_mutex blocks_lock; /* the pointer below */
    struct block_set *blocks;
    struct ulid *broken; /* blocks to leave alone: they did not open (said once), or are being deleted */
    size_t broken_count, broken_cap;
    _Atomic uint64_t wal_corruptions, head_chunk_corruptions, compactions, compactions_failed, block_open_failures;
};

/* ---- the list of blocks ---- */

static struct block_set *blocks_get(struct tsdb *db)
{
    struct block_set *s;

    pl_mutex_lock(&db->blocks_lock);
    s = db->blocks;
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    pl_mutex_unlock(&db->blocks_lock);
    return s;
}

static void blocks_unref(struct block_set *s)
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

/* Publishes a new list; takes over the references in v. */
static void blocks_set(struct tsdb *db, struct block *const *v, size_t n)
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
    blocks_unref(old);
}

static bool is_broken(const struct tsdb *db, const struct ulid *id)
{
    for (size_t i = 0; i < db->broken_count; i++) {
        if (memcmp(&db->broken[i], id, sizeof(*id)) == 0) {
            return true;
        }
    }
    return false;
}

static void block_try(struct tsdb *db, const struct ulid *id, struct block ***v, size_t *n, size_t *cap)
{
    char text[ULID_TEXT + 1], path[PATH_MAX];
    struct block *b;
    struct pl_err err;

    ulid_text(text, id);
    (void)snprintf(path, sizeof(path), "%s/%s", db->dir, text);
    if (block_open(&b, pl_str_c(path), &err) != PL_OK) {
        pl_array_reserve(db->broken, db->broken_cap, db->broken_count + 1);
        db->broken[db->broken_count++] = *id;
        atomic_fetch_add_explicit(&db->block_open_failures, 1, memory_order_relaxed);
        pl_error("block cannot be opened: left alone", PL_KV_C("user", db->tenant), PL_KV_C("block", path),
                 PL_KV_ERR(&err));
        return;
    }
    pl_array_reserve(*v, *cap, *n + 1);
    (*v)[(*n)++] = b;
}

/* What a crash left half made or half deleted. */
static void leftovers_remove(struct tsdb *db)
{
    DIR *d = opendir(db->dir);
    struct dirent *e;
    struct ulid id;
    struct pl_err err;

    while (d != NULL && (e = readdir(d)) != NULL) {
        pl_str name = pl_str_c(e->d_name);
        char path[PATH_MAX];
        if (name.n <= ULID_TEXT || !ulid_parse(&id, pl_str_sub(name, 0, ULID_TEXT)) ||
            (!pl_str_ends(name, PL_STR(BLOCK_TMP_CREATE)) && !pl_str_ends(name, PL_STR(BLOCK_TMP_DELETE)))) {
            continue;
        }
        (void)snprintf(path, sizeof(path), "%s/%s", db->dir, e->d_name);
        if (block__remove_tree(path, &err) != PL_OK) {
            pl_warn("cannot remove a left-over", PL_KV_C("path", path), PL_KV_ERR(&err));
        }
    }
    if (d != NULL) {
        (void)closedir(d);
    }
}

/* Brings the list up to what the folder holds: blocks may be added and deleted by other programs. */
static pl_status blocks_scan(struct tsdb *db, struct pl_err *err)
{
    struct block_set *now = blocks_get(db);
    struct block **v = NULL;
    size_t n = 0, cap = 0, kept;
    bool changed = false;
    DIR *d = opendir(db->dir);
    struct dirent *e;
    struct ulid id;

    if (d == NULL) {
        blocks_unref(now);
        return pl_fail(err, PL_IO, "read %s: %s", db->dir, strerror(errno));
    }
    for (size_t i = 0; i < now->n; i++) {
        char text[ULID_TEXT + 1], path[PATH_MAX];
        ulid_text(text, &block_meta_get(now->v[i])->id);
        (void)snprintf(path, sizeof(path), "%s/%s/meta.json", db->dir, text);
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
        bool have = !ulid_parse(&id, pl_str_c(e->d_name)) || is_broken(db, &id);
        for (size_t i = 0; i < kept && !have; i++) {
            have = memcmp(&block_meta_get(v[i])->id, &id, sizeof(id)) == 0;
        }
        if (!have) {
            block_try(db, &id, &v, &n, &cap);
        }
    }
    (void)closedir(d);
    if (changed || n > kept) {
        blocks_set(db, v, n);
    } else {
        for (size_t i = 0; i < n; i++) {
            block_unref(v[i]);
        }
    }
    pl_free(v);
    blocks_unref(now);
    return PL_OK;
}

static int64_t blocks_maxt(struct tsdb *db)
{
    struct block_set *s = blocks_get(db);
    int64_t maxt = INT64_MIN;

    for (size_t i = 0; i < s->n; i++) {
        maxt = PL_MAX(maxt, block_meta_get(s->v[i])->maxt_ms);
    }
    blocks_unref(s);
    return maxt;
}

/* ---- open and close ---- */

static pl_status dirs_make(const char *path, struct pl_err *err)
{
    char *p = pl_str_dup(pl_str_c(path));
    pl_status st = PL_OK;

    for (char *at = p + 1; st == PL_OK; at++) {
        char c = *at;
        if (c != '/' && c != '\0') {
            continue;
        }
        *at = '\0';
        if (mkdir(p, 0777) != 0 && errno != EEXIST) {
            st = pl_fail(err, PL_IO, "create %s: %s", p, strerror(errno));
        }
        *at = c;
        if (c == '\0') {
            break;
        }
    }
    pl_free(p);
    return st;
}

static pl_status lock_take(struct tsdb *db, struct pl_err *err)
{
    char path[PATH_MAX], text[32];
    ssize_t n;
    int len;

    (void)snprintf(path, sizeof(path), "%s/lock", db->dir);
    db->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (db->lock_fd < 0) {
        return pl_fail(err, PL_IO, "open %s: %s", path, strerror(errno));
    }
    if (flock(db->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        n = pread(db->lock_fd, text, sizeof(text) - 1, 0);
        text[n > 0 ? n : 0] = '\0';
        text[strspn(text, "0123456789")] = '\0';
        (void)close(db->lock_fd);
        db->lock_fd = -1;
        return pl_fail(err, PL_CONFLICT, "data directory %s is in use by process %s", db->dir,
                       text[0] != '\0' ? text : "(unknown)");
    }
    len = snprintf(text, sizeof(text), "%d\n", (int)getpid());
    /* The number is for people only; a full disk must not keep us from opening. */
    if (ftruncate(db->lock_fd, 0) != 0 || pwrite(db->lock_fd, text, (size_t)len, 0) != len) {
        pl_warn("cannot write the lock file", PL_KV_C("file", path), PL_KV_C("err", strerror(errno)));
    }
    return PL_OK;
}

static pl_status open_parts(struct tsdb *db, struct tsdb_progress *progress, struct pl_err *err)
{
    struct head_replay_result r = {.corruptions = 0};
    int64_t maxt;

    if (!db->o.read_only) {
        PL_TRY(dirs_make(db->dir, err));
        PL_TRY(lock_take(db, err));
        PL_TRY(dirs_make(db->wal_dir, err));
        leftovers_remove(db);
    }
    PL_TRY(blocks_scan(db, err));
    maxt = blocks_maxt(db);
    atomic_store_explicit(&db->head->min_valid_ms, maxt, memory_order_relaxed);
    PL_TRY(head_replay(db->head, pl_str_c(db->dir), progress, &r, err));
    atomic_store_explicit(&db->wal_corruptions, r.corruptions, memory_order_relaxed);
    atomic_store_explicit(&db->head_chunk_corruptions, r.head_chunk_corruptions, memory_order_relaxed);
    if (!db->o.read_only) {
        PL_TRY(wal_create(&db->head->wal, pl_str_c(db->wal_dir), r.next_segment, db->o.wal_segment_bytes,
                          db->o.wal_snappy, err));
    }
    return PL_OK;
}

static const struct series_source_ops source_ops;

pl_status tsdb_open(struct tsdb **out, pl_str dir, const struct tsdb_options *o, struct tsdb_progress *progress,
                    struct pl_err *err)
{
    struct tsdb *db;
    pl_status st;
    size_t n = 0;

    if (dir.n == 0 || dir.n > PATH_MAX - 64) {
        return pl_fail(err, PL_INVALID, "bad data directory name");
    }
    if (o->block_range_ms <= 0) {
        return pl_fail(err, PL_INVALID, "block range must be positive");
    }
    db = pl_new(struct tsdb);
    db->dir = pl_str_dup(dir);
    db->tenant = pl_str_dup(o->tenant);
    db->wal_dir = pl_alloc(dir.n + 8);
    n = (size_t)snprintf(db->wal_dir, dir.n + 8, "%s/wal", db->dir);
    PL_ASSERT(n < dir.n + 8);
    db->o = *o;
    db->o.tenant = pl_str_c(db->tenant);
    if (db->o.wal_segment_bytes == 0) {
        db->o.wal_segment_bytes = UINT64_C(128) << 20;
    }
    db->lock_fd = -1;
    db->source = (struct tsdb_series_source){.base = {.ops = &source_ops}, .db = db};
    pl_mutex_init(&db->blocks_lock, PL_RANK_TSDB);
    blocks_set(db, NULL, 0);
    db->head = head_create(&db->o, db->o.tenant);
    st = open_parts(db, progress, err);
    if (st != PL_OK) {
        tsdb_close(db);
        return st;
    }
    *out = db;
    return PL_OK;
}

void tsdb_close(struct tsdb *db)
{
    if (db == NULL) {
        return;
    }
    head_destroy(db->head);
    blocks_unref(db->blocks);
    pl_mutex_fini(&db->blocks_lock);
    if (db->lock_fd >= 0) {
        (void)close(db->lock_fd); /* the file stays: removing it would race with the next holder */
    }
    pl_free(db->broken);
    pl_free(db->dir);
    pl_free(db->wal_dir);
    pl_free(db->tenant);
    pl_free(db);
}

/* ---- append ---- */

void tsdb_append_begin(struct tsdb *db)
{
    head_pin(db->head);
}

void tsdb_append_end(struct tsdb *db)
{
    head_unpin(db->head);
}

void tsdb_resolve(struct tsdb *db, const struct pl_hash128 *hashes, uint32_t count, uint64_t *refs)
{
    head_wire_resolve(db->head, hashes, count, refs);
}

void tsdb_forget_wire_hashes(struct tsdb *db)
{
    head_wire_forget(db->head);
}

pl_status tsdb_append(struct tsdb *db, const struct tsdb_append_batch *b, struct pl_arena *a,
                      struct tsdb_append_result *result, struct pl_err *err)
{
    if (db->o.read_only) {
        return pl_fail(err, PL_INVALID, "the data directory is open for reading only");
    }
    return head_append(db->head, b, a, result, err);
}

/* ---- read ---- */

static void blocks_unref_arg(void *arg)
{
    blocks_unref(arg);
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
    struct block_set *s = blocks_get(db);
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

static pl_status source_select(struct series_source *src, struct pl_arena *a, const struct series_select *q,
                               struct series_list *out, struct pl_err *err)
{
    struct tsdb *db = ((struct tsdb_series_source *)src)->db;
    struct block **blocks;
    struct series_list *lists;
    size_t n;

    PL_TRY(query_blocks(db, a, q, &blocks, &n, err));
    lists = pl_arena_array_try(a, n + 1, sizeof(*lists));
    if (lists == NULL) {
        return pl_fail(err, PL_LIMIT, "query memory limit");
    }
    PL_TRY(head_select(db->head, a, q, &lists[n], err));
    if (n == 0) {
        *out = lists[0];
        return PL_OK;
    }
    for (size_t i = 0; i < n; i++) {
        struct series_source *bs = block_source(blocks[i]);
        PL_TRY(bs->ops->select(bs, a, q, &lists[i], err));
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
    struct str_list *lists;
    size_t n;

    PL_TRY(query_blocks(db, a, q, &blocks, &n, err));
    lists = pl_arena_array_try(a, n + 1, sizeof(*lists));
    if (lists == NULL) {
        return pl_fail(err, PL_LIMIT, "query memory limit");
    }
    PL_TRY(name.n == 0 ? head_label_names(db->head, a, q, &lists[n], err)
                       : head_label_values(db->head, a, name, q, &lists[n], err));
    for (size_t i = 0; i < n; i++) {
        struct series_source *bs = block_source(blocks[i]);
        PL_TRY(name.n == 0 ? bs->ops->label_names(bs, a, q, limit, &lists[i], err)
                           : bs->ops->label_values(bs, a, name, q, limit, &lists[i], err));
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

static const struct series_source_ops source_ops = {
    .select = source_select, .label_names = source_label_names, .label_values = source_label_values};

struct series_source *tsdb_source(struct tsdb *db)
{
    return &db->source.base;
}

/* ---- maintenance ---- */

static void retention_apply(struct tsdb *db)
{
    struct block_set *s;
    struct block **v;
    size_t n = 0;
    int64_t newest, oldest;

    newest = PL_MAX(blocks_maxt(db), atomic_load_explicit(&db->head->maxt_ms, memory_order_relaxed));
    if (db->o.retention_ms <= 0 || newest == INT64_MIN || !pl_sub_ok(&oldest, newest, db->o.retention_ms)) {
        return;
    }
    s = blocks_get(db);
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
        pl_array_reserve(db->broken, db->broken_cap, db->broken_count + 1);
        db->broken[db->broken_count++] = block_meta_get(s->v[i])->id;
    }
    if (n < s->n) {
        blocks_set(db, v, n);
    } else {
        for (size_t i = 0; i < n; i++) {
            block_unref(v[i]);
        }
    }
    pl_free(v);
    blocks_unref(s);
}

/* The next range to cut: false when the head is not full enough. */
static bool range_next(struct tsdb *db, bool force, int64_t *mint, int64_t *end)
{
    int64_t range = db->o.block_range_ms, maxt = atomic_load_explicit(&db->head->maxt_ms, memory_order_relaxed), span;

    *mint = atomic_load_explicit(&db->head->mint_ms, memory_order_relaxed);
    if (*mint == INT64_MAX || *mint > maxt) {
        return false;
    }
    if (!force && pl_sub_ok(&span, maxt, *mint) && span <= range + range / 2) {
        return false;
    }
    *end = head_range_end(*mint, range);
    if (force && maxt < INT64_MAX) {
        *end = PL_MIN(*end, maxt + 1);
    }
    return *end > *mint;
}

static pl_status cut_range(struct tsdb *db, int64_t mint, int64_t end, int64_t now_ms, uint32_t *written,
                           struct pl_err *err)
{
    struct ulid id;
    char text[ULID_TEXT + 1];
    int64_t start_ns = pl_now_mono_ns();
    pl_status st;

    head_barrier(db->head, end);
    st = head_write_block(db->head, pl_str_c(db->dir), mint, end, now_ms, &id, err);
    if (st == PL_OK) {
        ulid_text(text, &id);
        pl_info("head cut to a block", PL_KV_C("user", db->tenant), PL_KV_C("block", text), PL_KV_INT("mint", mint),
                PL_KV_INT("maxt", end), PL_KV_DUR_NS("duration", pl_now_mono_ns() - start_ns));
        ++*written;
        atomic_fetch_add_explicit(&db->compactions, 1, memory_order_relaxed);
        st = blocks_scan(db, err);
    } else if (st == PL_NOT_FOUND) {
        st = PL_OK;
    }
    if (st == PL_OK) {
        head_truncate(db->head, end);
    }
    return st;
}

pl_status tsdb_compact(struct tsdb *db, bool force, int64_t now_ms, uint32_t *blocks_written, struct pl_err *err)
{
    int64_t mint, end;
    uint32_t written = 0, rounds = 0;
    pl_status st;

    if (db->o.read_only) {
        return pl_fail(err, PL_INVALID, "the data directory is open for reading only");
    }
    st = blocks_scan(db, err);
    while (st == PL_OK && rounds < COMPACT_ROUNDS_MAX && range_next(db, force, &mint, &end)) {
        st = cut_range(db, mint, end, now_ms, &written, err);
        rounds++;
    }
    if (st == PL_OK && rounds > 0) {
        st = head_truncate_files(db->head, pl_str_c(db->wal_dir), err);
    }
    if (st != PL_OK) {
        atomic_fetch_add_explicit(&db->compactions_failed, 1, memory_order_relaxed);
    }
    retention_apply(db);
    *blocks_written = written;
    return st;
}

void tsdb_stats_get(struct tsdb *db, struct tsdb_stats *out)
{
    struct head *h = db->head;
    struct block_set *s = blocks_get(db);

    *out = (struct tsdb_stats){
        .series = atomic_load_explicit(&h->series_count, memory_order_relaxed),
        .chunks = atomic_load_explicit(&h->chunk_count, memory_order_relaxed),
        .series_created_total = atomic_load_explicit(&h->created_total, memory_order_relaxed),
        .series_removed_total = atomic_load_explicit(&h->removed_total, memory_order_relaxed),
        .samples_appended_total = atomic_load_explicit(&h->appended_total, memory_order_relaxed),
        .mint_ms = atomic_load_explicit(&h->mint_ms, memory_order_relaxed),
        .maxt_ms = atomic_load_explicit(&h->maxt_ms, memory_order_relaxed),
        .block_count = s->n,
        .wal_corruptions_total = atomic_load_explicit(&db->wal_corruptions, memory_order_relaxed),
        .head_chunk_corruptions_total = atomic_load_explicit(&db->head_chunk_corruptions, memory_order_relaxed),
        .wal_write_failures_total = h->wal != NULL ? wal_failures(h->wal) : 0,
        .compactions_total = atomic_load_explicit(&db->compactions, memory_order_relaxed),
        .compactions_failed_total = atomic_load_explicit(&db->compactions_failed, memory_order_relaxed),
        .block_open_failures_total = atomic_load_explicit(&db->block_open_failures, memory_order_relaxed),
        .last_append_unix_ms = atomic_load_explicit(&h->last_append_unix_ms, memory_order_relaxed),
    };
    for (size_t i = 0; i < s->n; i++) {
        out->block_bytes += block_size_bytes(s->v[i]);
    }
    blocks_unref(s);
    pl_mutex_lock(&h->index);
    out->symbols = h->symbols.count;
    out->label_pairs = postings_pair_count(h->postings);
    pl_mutex_unlock(&h->index);
}

static int top_cmp(const void *x, const void *y)
{
    const struct tsdb_top *a = x, *b = y;

    if (a->value != b->value) {
        return a->value > b->value ? -1 : 1;
    }
    return pl_str_cmp(a->name, b->name);
}

static size_t top_cut(struct tsdb_top *v, size_t count, size_t n, struct tsdb_top **out)
{
    if (count > 1) {
        qsort(v, count, sizeof(*v), top_cmp);
    }
    *out = v;
    return PL_MIN(count, n);
}

size_t tsdb_top_metrics(struct tsdb *db, struct pl_arena *a, size_t n, struct tsdb_top **out)
{
    struct head *h = db->head;
    struct posting_value *values;
    struct tsdb_top *v;
    size_t count;

    pl_mutex_lock(&h->index);
    values = postings_values(h->postings, h->metric_name_id, a, &count);
    pl_mutex_unlock(&h->index);
    v = values != NULL ? pl_arena_alloc_try(a, (count + 1) * sizeof(*v)) : NULL;
    if (v == NULL) {
        *out = NULL;
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        v[i] = (struct tsdb_top){.name = symbols_text(&h->symbols, values[i].value), .value = values[i].series};
    }
    return top_cut(v, count, n, out);
}

size_t tsdb_top_label_values(struct tsdb *db, struct pl_arena *a, size_t n, struct tsdb_top **out)
{
    struct head *h = db->head;
    struct tsdb_top *v = NULL;
    uint32_t *names;
    size_t count, ignored;

    pl_mutex_lock(&h->index);
    names = postings_names(h->postings, a, &count);
    v = names != NULL ? pl_arena_alloc_try(a, (count + 1) * sizeof(*v)) : NULL;
    for (size_t i = 0; v != NULL && i < count; i++) {
        (void)postings_values(h->postings, names[i], a, &ignored);
        v[i] = (struct tsdb_top){.name = symbols_text(&h->symbols, names[i]), .value = ignored};
    }
    pl_mutex_unlock(&h->index);
    if (v == NULL) {
        *out = NULL;
        return 0;
    }
    return top_cut(v, count, n, out);
}
