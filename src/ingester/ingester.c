#include "ingester/internal.h"

#include "base/buf.h"
#include "base/log.h"
#include "io/dir.h"

#include <stdio.h>
#include <unistd.h>

/* One process per data folder: each tenant's store is locked too, but two processes that took half of the tenants each
 * would be worse than one that refuses to start. The name is none that a tenant can have. */
#define LOCK_NAME ".lock~"

METRIC_DEF_GAUGE(m_instance_limits, "cortex_ingester_instance_limits", "Limits of this process, 0 when off.", "limit");

static pl_str own(pl_str s)
{
    return pl_str_of(pl_str_dup(s), s.n);
}

static void free_str(pl_str s)
{
    pl_free((char *)(uintptr_t)s.p);
}

struct ingester *ing__of_ingest(struct ingest_port *p)
{
    return (struct ingester *)(void *)((char *)p - offsetof(struct ingester, ingest_port));
}

struct ingester *ing__of_query(struct query_port *p)
{
    return (struct ingester *)(void *)((char *)p - offsetof(struct ingester, query_port));
}

struct ingest_port *ingester_ingest_port(struct ingester *i)
{
    return &i->ingest_port;
}

struct query_port *ingester_query_port(struct ingester *i)
{
    return &i->query_port;
}

struct ingester *ingester_create(const struct ingester_options *o, struct overrides *limits)
{
    struct ingester *i = pl_new(struct ingester);

    i->o = *o;
    i->o.dir = own(o->dir);
    i->o.admin_limit_message = own(o->admin_limit_message);
    i->limits = limits;
    i->ingest_port.ops = &ing__ingest_ops;
    i->query_port.ops = &ing__query_ops;
    i->lock_fd = -1;
    pl_mutex_init(&i->lock, PL_RANK_INGESTER);
    pl_cond_init(&i->changed);
    ing__push_init(i);
    ingester_limits_set(i, &o->instance);
    return i;
}

void ingester_limits_set(struct ingester *i, const struct ingester_instance_limits *l)
{
    atomic_store_explicit(&i->max.tenants_max, l->tenants_max, memory_order_relaxed);
    atomic_store_explicit(&i->max.series_max, l->series_max, memory_order_relaxed);
    atomic_store_explicit(&i->max.inflight_push_max, l->inflight_push_max, memory_order_relaxed);
    atomic_store_explicit(&i->max.ingestion_rate_max, l->ingestion_rate_max, memory_order_relaxed);
    metric_set(METRIC_CELL(m_instance_limits, PL_STR("max_tenants")), (double)l->tenants_max);
    metric_set(METRIC_CELL(m_instance_limits, PL_STR("max_series")), (double)l->series_max);
    metric_set(METRIC_CELL(m_instance_limits, PL_STR("max_inflight_push_requests")), (double)l->inflight_push_max);
    metric_set(METRIC_CELL(m_instance_limits, PL_STR("max_ingestion_rate")), l->ingestion_rate_max);
}

void ingester_destroy(struct ingester *i)
{
    if (i == NULL) {
        return;
    }
    PL_ASSERT(i->service == ING_NEW || i->service == ING_TERMINATED);
    ing__tenants_free(i);
    pl_cond_fini(&i->changed);
    pl_mutex_fini(&i->lock);
    free_str(i->o.dir);
    free_str(i->o.admin_limit_message);
    pl_free(i);
}

/* ---- start and stop ---- */

static void set_service(struct ingester *i, enum ing_service s)
{
    pl_mutex_lock(&i->lock);
    i->service = s;
    pl_cond_broadcast(&i->changed);
    pl_mutex_unlock(&i->lock);
}

/* A relative path says nothing to whoever does not know where the process was started. */
static void absolute(struct pl_buf *out, pl_str dir)
{
    char cwd[4096];

    pl_buf_init(out, 0);
    if (dir.p[0] != '/' && getcwd(cwd, sizeof(cwd)) != NULL) {
        pl_buf_printf(out, "%s/", cwd);
        dir = pl_str_starts(dir, PL_STR("./")) ? pl_str_sub(dir, 2, dir.n) : dir;
    }
    pl_buf_str(out, dir);
    pl_buf_byte(out, '\0');
}

pl_status ingester_claim(struct ingester *i, struct pl_err *err)
{
    struct pl_buf dir;
    pl_status st;

    PL_ASSERT(i->service == ING_NEW && i->lock_fd < 0);
    if (i->o.dir.n == 0) {
        return pl_fail(err, PL_INVALID, "the ingester needs a data folder (-blocks-storage.tsdb.dir)");
    }
    absolute(&dir, i->o.dir);
    st = dir_make(dir.p, err);
    if (st == PL_OK) {
        st = dir_lock(&i->lock_fd, dir.p, LOCK_NAME, err);
    }
    if (st != PL_OK) {
        pl_wrap(err, "cannot use the data folder (-blocks-storage.tsdb.dir)");
    }
    pl_buf_fini(&dir);
    return st;
}

pl_status ingester_start(struct ingester *i, struct pl_err *err)
{
    pl_status st = PL_OK;

    PL_ASSERT(i->service == ING_NEW);
    if (i->lock_fd < 0) {
        st = ingester_claim(i, err);
    }
    set_service(i, ING_STARTING);
    if (st == PL_OK) {
        st = ing__tenants_open(i, err);
    }
    if (st == PL_OK) {
        set_service(i, ING_RUNNING);
        ing__maintain_start(i);
    } else {
        ingester_stop(i);
    }
    return st;
}

void ingester_abandon(struct ingester *i)
{
    pl_mutex_lock(&i->lock);
    i->abandoned = true;
    pl_mutex_unlock(&i->lock);
}

void ingester_stop(struct ingester *i)
{
    set_service(i, ING_STOPPING);
    ing__maintain_stop(i);
    ing__tenants_close(i);
    if (i->lock_fd >= 0) {
        (void)close(i->lock_fd);
        i->lock_fd = -1;
    }
    set_service(i, ING_TERMINATED);
}

/* The tenant whose log is being replayed, of several the one that has most to do. */
static const struct ing_tenant *slowest_locked(const struct ingester *i)
{
    const struct ing_tenant *worst = NULL;
    uint64_t worst_left = 0;

    for (const struct ing_tenant *t = i->all; t != NULL; t = t->all_next) {
        uint64_t count = atomic_load_explicit(&t->progress.segment_count, memory_order_relaxed);
        uint64_t done = atomic_load_explicit(&t->progress.segments_done, memory_order_relaxed);
        uint64_t left = count > done ? count - done : 0;
        if (t->state == ING_OPENING && (worst == NULL || left > worst_left)) {
            worst = t;
            worst_left = left;
        }
    }
    return worst;
}

bool ingester_ready(struct ingester *i, struct pl_buf *why)
{
    static const char *const names[] = {"New", "Starting", "Running", "Stopping", "Terminated"};
    const struct ing_tenant *t;
    bool ready;

    pl_mutex_lock(&i->lock);
    ready = i->service == ING_RUNNING;
    if (!ready) {
        pl_buf_printf(why, "ingester not ready: %s", names[i->service]);
        t = i->service == ING_STARTING ? slowest_locked(i) : NULL;
        if (t != NULL) {
            uint64_t count = atomic_load_explicit(&t->progress.segment_count, memory_order_relaxed);
            uint64_t done = atomic_load_explicit(&t->progress.segments_done, memory_order_relaxed);
            pl_buf_printf(why,
                          ": replaying the log of tenant %.*s: segment %" PRIu64 " of %" PRIu64 " (%" PRIu64
                          " of %" PRIu64 " tenants are open)",
                          PL_STR_ARG(t->name), PL_MIN(done + 1, count), count, i->open_count, i->tenant_count);
        }
    }
    pl_mutex_unlock(&i->lock);
    return ready;
}

void ingester_flush(struct ingester *i, pl_str tenant)
{
    for (struct ing_tenant *t = ing__tenants_next(i, NULL); t != NULL; t = ing__tenants_next(i, t)) {
        if (tenant.n == 0 || pl_str_eq(tenant, t->name)) {
            ing__compact(i, t, true);
        }
    }
}
