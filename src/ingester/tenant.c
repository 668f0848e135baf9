/* The table of tenants: finding, opening, pinning and closing their stores. */
#include "ingester/internal.h"
#include "ingester/messages.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

enum { OPEN_THREADS_MAX = 4, PROGRESS_S = 3, RETRY_FIRST_S = 10, RETRY_MAX_S = 600 };

METRIC_DEF_COUNTER(m_created, "cortex_ingester_memory_series_created_total", "Series that were made in the head.",
                   "user");
METRIC_DEF_COUNTER(m_removed, "cortex_ingester_memory_series_removed_total", "Series that left the head.", "user");
METRIC_DEF_GAUGE(m_active, "cortex_ingester_active_series", "Series that got a sample lately.", "user");
METRIC_DEF_GAUGE(m_blocks_bytes, "cortex_ingester_tsdb_storage_blocks_bytes", "Size of the local blocks.", "user");
METRIC_DEF_GAUGE(m_head_maxt, "cortex_ingester_tsdb_head_max_timestamp",
                 "Newest timestamp in the head, in milliseconds.", "user");

/* ---- the table ---- */

static struct ing_tenant *find_locked(const struct ingester *i, pl_str name)
{
    struct ing_tenant *t = i->chain[pl_hash64(name.p, name.n) % ING_CHAINS];

    while (t != NULL && !pl_str_eq(t->name, name)) {
        t = t->next;
    }
    return t;
}

static struct ing_tenant *tenant_create(const struct ingester *i, pl_str name)
{
    struct ing_tenant *t = pl_new(struct ing_tenant);

    t->name = pl_str_of(pl_str_dup(name), name.n);
    t->state = ING_OPENING;
    ing__metadata_init(&t->metadata);
    /* Up to a quarter longer, always the same for one name, so that idle tenants are not all compacted at once. */
    t->idle_ns =
        i->o.head_idle_timeout_ns + i->o.head_idle_timeout_ns / 400 * (int64_t)(pl_xxh64(name.p, name.n) % 100);
    t->cell.created = METRIC_CELL(m_created, name);
    t->cell.removed = METRIC_CELL(m_removed, name);
    t->cell.active = METRIC_CELL(m_active, name);
    t->cell.blocks_bytes = METRIC_CELL(m_blocks_bytes, name);
    t->cell.head_maxt = METRIC_CELL(m_head_maxt, name);
    return t;
}

static void tenant_free(struct ing_tenant *t)
{
    if (t != NULL) {
        PL_ASSERT(t->db == NULL);
        ing__metadata_fini(&t->metadata);
        ing__active_fini(&t->active);
        pl_free(t->broken_why);
        pl_free((char *)(uintptr_t)t->name.p);
        pl_free(t);
    }
}

static void insert_locked(struct ingester *i, struct ing_tenant *t)
{
    const size_t at = pl_hash64(t->name.p, t->name.n) % ING_CHAINS;

    t->next = i->chain[at];
    i->chain[at] = t;
    t->all_next = i->all;
    i->all = t;
    i->tenant_count++;
}

/* ---- opening ---- */

/* Opens the store of a tenant in state ING_OPENING, which its opener alone may change. */
static pl_status open_store(struct ingester *i, struct ing_tenant *t, struct pl_err *err)
{
    struct tsdb_options o = i->o.tsdb;
    const int64_t start_ns = pl_now_mono_ns();
    struct tsdb *db = NULL;
    struct tsdb_stats stats;
    struct pl_buf path;
    pl_status st;
    bool first = t->broken_why == NULL;

    pl_buf_init(&path, 0);
    pl_buf_printf(&path, "%.*s/%.*s", PL_STR_ARG(i->o.dir), PL_STR_ARG(t->name));
    o.tenant = t->name;
    st = tsdb_open(&db, pl_buf_view(&path), &o, &t->progress, err);
    pl_buf_fini(&path);
    if (st == PL_OK) {
        tsdb_stats_get(db, &stats);
        atomic_fetch_add_explicit(&i->series, (int64_t)stats.series, memory_order_relaxed); /* corrected by the tick */
        ing__count_opened(t, NULL, (double)(pl_now_mono_ns() - start_ns) / (double)PL_NS_PER_S);
        if (!first) {
            pl_info("the store of a tenant could be opened after all", PL_KV("user", t->name));
        }
    } else if (first) {
        ing__count_opened(t, err->msg, 0);
    }
    pl_mutex_lock(&i->lock);
    if (st == PL_OK) {
        t->db = db;
        t->state = ING_OPEN;
        i->open_count++;
    } else {
        t->state = ING_BROKEN;
        pl_free(t->broken_why);
        t->broken_why = pl_str_dup(pl_str_c(err->msg));
        t->broken_wait_ns =
            PL_MIN(PL_MAX(t->broken_wait_ns * 2, RETRY_FIRST_S * PL_NS_PER_S), RETRY_MAX_S * PL_NS_PER_S);
        t->broken_retry_ns = pl_now_mono_ns() + t->broken_wait_ns;
    }
    pl_cond_broadcast(&i->changed);
    pl_mutex_unlock(&i->lock);
    return st;
}

static pl_status fail_broken_locked(const struct ing_tenant *t, struct pl_err *err)
{
    return pl_fail(err, PL_INTERNAL, MSG_BROKEN, PL_STR_ARG(t->name), t->broken_why);
}

static pl_status check_running_locked(const struct ingester *i, struct pl_err *err)
{
    switch (i->service) {
    case ING_RUNNING:
        return PL_OK;
    case ING_NEW:
    case ING_STARTING:
        return pl_fail(err, PL_UNAVAILABLE, MSG_NOT_RUNNING, i->service == ING_NEW ? "New" : "Starting");
    case ING_STOPPING:
    case ING_TERMINATED:
        break;
    }
    return pl_fail(err, PL_INTERNAL, MSG_STOPPING);
}

/* Pins the tenant if it is open. *mine: it must be opened by the caller (state ING_OPENING, unlocked afterwards as
 * before). */
static pl_status pin_locked(struct ing_tenant **out, bool *mine, struct ingester *i, pl_str name,
                            struct ing_tenant **made, struct pl_err *err)
{
    const uint64_t tenants_max = atomic_load_explicit(&i->max.tenants_max, memory_order_relaxed);
    struct ing_tenant *t;

    *mine = false;
    for (;;) {
        PL_TRY(check_running_locked(i, err));
        t = find_locked(i, name);
        if (t == NULL || t->state != ING_OPENING) {
            break;
        }
        pl_cond_wait(&i->changed, &i->lock);
    }
    if (t == NULL) {
        if (tenants_max > 0 && i->tenant_count >= tenants_max) {
            return pl_fail(err, PL_INTERNAL, MSG_TENANTS);
        }
        if (*made != NULL) {
            t = *made;
            *made = NULL;
            insert_locked(i, t);
            *mine = true;
        }
    } else if (t->state == ING_BROKEN) {
        if (pl_now_mono_ns() < t->broken_retry_ns) {
            return fail_broken_locked(t, err);
        }
        t->state = ING_OPENING;
        *mine = true;
    } else if (t->state == ING_CLOSED) {
        return pl_fail(err, PL_INTERNAL, MSG_STOPPING);
    }
    if (t != NULL && !*mine) {
        t->refs++;
    }
    *out = t;
    return PL_OK;
}

pl_status ing__tenant_pin(struct ing_tenant **out, struct ingester *i, pl_str name, struct pl_err *err)
{
    struct ing_tenant *t = NULL, *made = NULL;
    bool mine;
    pl_status st;

    do {
        pl_mutex_lock(&i->lock);
        st = pin_locked(&t, &mine, i, name, &made, err);
        pl_mutex_unlock(&i->lock);
        if (st == PL_OK && t == NULL) {
            made = tenant_create(i, name); /* not under the lock: it allocates and registers metrics */
        } else if (st == PL_OK && mine) {
            st = open_store(i, t, err);
            if (st != PL_OK) {
                pl_mutex_lock(&i->lock);
                (void)fail_broken_locked(t, err);
                pl_mutex_unlock(&i->lock);
                st = err != NULL ? err->status : st;
            }
            t = NULL; /* pinned in the next round */
        }
    } while (st == PL_OK && t == NULL);
    tenant_free(made);
    if (st == PL_OK) {
        *out = t;
    }
    return st;
}

bool ing__tenant_known(struct ingester *i, pl_str name)
{
    bool known;

    pl_mutex_lock(&i->lock);
    known = i->service != ING_RUNNING || find_locked(i, name) != NULL;
    pl_mutex_unlock(&i->lock);
    return known;
}

pl_status ing__tenant_pin_open(struct ing_tenant **out, struct ingester *i, pl_str name, struct pl_err *err)
{
    struct ing_tenant *t;
    pl_status st = PL_OK;

    pl_mutex_lock(&i->lock);
    t = find_locked(i, name);
    if (t != NULL) {
        switch (t->state) {
        case ING_OPEN:
            t->refs++;
            break;
        case ING_OPENING:
            st = pl_fail(err, PL_UNAVAILABLE, "the store of tenant %.*s is being opened", PL_STR_ARG(name));
            break;
        case ING_BROKEN:
            st = fail_broken_locked(t, err);
            break;
        case ING_CLOSED:
            t = NULL;
            break;
        }
    } else if (i->service == ING_NEW || i->service == ING_STARTING) {
        /* An unknown tenant may still turn out to be known: an empty answer would be a wrong one. */
        st = pl_fail(err, PL_UNAVAILABLE, MSG_NOT_RUNNING, i->service == ING_NEW ? "New" : "Starting");
    }
    pl_mutex_unlock(&i->lock);
    if (st == PL_OK) {
        *out = t;
    }
    return st;
}

void ing__tenant_unpin(struct ingester *i, struct ing_tenant *t)
{
    pl_mutex_lock(&i->lock);
    PL_ASSERT(t->refs > 0);
    t->refs--;
    if (t->refs == 0 && i->service == ING_STOPPING) {
        pl_cond_broadcast(&i->changed);
    }
    pl_mutex_unlock(&i->lock);
}

struct ing_tenant *ing__tenants_next(struct ingester *i, struct ing_tenant *t)
{
    struct ing_tenant *next;

    pl_mutex_lock(&i->lock);
    next = t == NULL ? i->all : t->all_next;
    if (t != NULL) {
        t->refs--;
        if (t->refs == 0 && i->service == ING_STOPPING) {
            pl_cond_broadcast(&i->changed);
        }
    }
    while (next != NULL && next->state != ING_OPEN) {
        next = next->all_next;
    }
    if (next != NULL) {
        next->refs++;
    }
    pl_mutex_unlock(&i->lock);
    return next;
}

/* ---- at start ---- */

/* Leaves out what no tenant can be called (lost+found), and hidden folders that hold no log: a tenant may be called .x,
 * but so may a snapshot folder of the file system. */
static bool may_be_tenant(int parent, const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!-_.*'()";
    char wal[NAME_MAX + sizeof("/wal")];
    struct stat info;

    if (name[strspn(name, allowed)] != '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        return false;
    }
    (void)snprintf(wal, sizeof(wal), "%s%s", name, name[0] == '.' ? "/wal" : "");
    return fstatat(parent, wal, &info, 0) == 0 && S_ISDIR(info.st_mode);
}

/* Lists the tenants found on disk as ING_OPENING. */
static pl_status list_tenants(struct ingester *i, struct pl_err *err)
{
    char *path = pl_str_dup(i->o.dir);
    DIR *dir = opendir(path);
    pl_status st = PL_OK;
    struct dirent *e;

    if (dir == NULL) {
        st = pl_fail(err, PL_IO, "read data folder %s: %s", path, strerror(errno));
        pl_free(path);
        return st;
    }
    while ((e = readdir(dir)) != NULL) {
        if (!may_be_tenant(dirfd(dir), e->d_name)) {
            continue;
        }
        struct ing_tenant *t = tenant_create(i, pl_str_c(e->d_name));
        pl_mutex_lock(&i->lock);
        insert_locked(i, t);
        pl_mutex_unlock(&i->lock);
    }
    (void)closedir(dir);
    pl_free(path);
    return st;
}

/* What the opening threads share. `next` is locked by the ingester's lock, as are done and conflict. */
struct opening {
    struct ingester *i;
    struct ing_tenant *next;
    uint32_t running;
    bool conflicted;
    struct pl_err conflict; /* the first store that another process holds */
};

static void open_some(void *arg)
{
    struct opening *o = arg;
    struct ing_tenant *t;
    bool abandoned;

    for (;;) {
        struct pl_err err = {.status = PL_OK};
        pl_mutex_lock(&o->i->lock);
        t = o->next;
        o->next = t != NULL ? t->all_next : NULL;
        abandoned = o->i->abandoned;
        if (t != NULL && abandoned) {
            t->state = ING_CLOSED;
        }
        if (t == NULL) {
            o->running--;
            pl_cond_broadcast(&o->i->changed);
        }
        pl_mutex_unlock(&o->i->lock);
        if (t == NULL) {
            return;
        }
        if (abandoned) {
            continue;
        }
        if (open_store(o->i, t, &err) == PL_CONFLICT) {
            pl_mutex_lock(&o->i->lock);
            if (!o->conflicted) {
                o->conflicted = true;
                o->conflict = err;
            }
            pl_mutex_unlock(&o->i->lock);
        }
    }
}

static void log_progress(struct ingester *i)
{
    uint64_t segments = 0, done = 0, samples = 0, tenants, open;

    pl_mutex_lock(&i->lock);
    for (struct ing_tenant *t = i->all; t != NULL; t = t->all_next) {
        segments += atomic_load_explicit(&t->progress.segment_count, memory_order_relaxed);
        done += atomic_load_explicit(&t->progress.segments_done, memory_order_relaxed);
        samples += atomic_load_explicit(&t->progress.samples, memory_order_relaxed);
    }
    tenants = i->tenant_count;
    open = i->open_count;
    pl_mutex_unlock(&i->lock);
    pl_info("replaying the tenants' logs", PL_KV_INT("tenants_open", open), PL_KV_INT("tenants", tenants),
            PL_KV_INT("segments_done", done), PL_KV_INT("segments_found", segments), PL_KV_INT("samples", samples));
}

pl_status ing__tenants_open(struct ingester *i, struct pl_err *err)
{
    struct opening o = {.i = i};
    struct pl_thread threads[OPEN_THREADS_MAX];
    int64_t log_ns;
    uint32_t n;
    bool abandoned;

    PL_TRY(list_tenants(i, err));
    o.next = i->all;
    n = (uint32_t)PL_MIN(i->tenant_count, (uint64_t)OPEN_THREADS_MAX);
    o.running = n;
    for (uint32_t k = 0; k < n; k++) {
        pl_thread_start(&threads[k], "tsdb-open", open_some, &o);
    }
    log_ns = pl_now_mono_ns() + PROGRESS_S * PL_NS_PER_S;
    pl_mutex_lock(&i->lock);
    while (o.running > 0) {
        if (!pl_cond_wait_until(&i->changed, &i->lock, log_ns)) {
            pl_mutex_unlock(&i->lock);
            log_progress(i);
            log_ns = pl_now_mono_ns() + PROGRESS_S * PL_NS_PER_S;
            pl_mutex_lock(&i->lock);
        }
    }
    abandoned = i->abandoned;
    pl_mutex_unlock(&i->lock);
    for (uint32_t k = 0; k < n; k++) {
        pl_thread_join(&threads[k]);
    }
    if (o.conflicted) {
        if (err != NULL) {
            *err = o.conflict;
        }
        return PL_CONFLICT;
    }
    return abandoned ? pl_fail(err, PL_CANCELED, MSG_STOPPING) : PL_OK;
}

/* ---- at the end ---- */

void ing__tenants_close(struct ingester *i)
{
    for (struct ing_tenant *t = i->all; t != NULL; t = t->all_next) {
        struct tsdb *db;
        pl_mutex_lock(&i->lock);
        while (t->state == ING_OPENING || t->refs > 0) {
            pl_cond_wait(&i->changed, &i->lock);
        }
        db = t->db;
        t->db = NULL;
        t->state = ING_CLOSED;
        pl_mutex_unlock(&i->lock);
        tsdb_close(db);
    }
}

void ing__tenants_free(struct ingester *i)
{
    while (i->all != NULL) {
        struct ing_tenant *t = i->all;
        i->all = t->all_next;
        tenant_free(t);
    }
}
