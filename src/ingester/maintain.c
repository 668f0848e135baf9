/* What runs by itself: rates and gauges each second, metadata purge, compaction of the heads. Spec
 * ring-distributor-ingester.md 5.5. */
#include "ingester/internal.h"

#include "base/clock.h"
#include "base/log.h"

enum { TENANT_RATE_S = 15, ACTIVE_COUNT_S = 5, METADATA_PURGE_S = 300 };

METRIC_DEF_GAUGE(m_series, "cortex_ingester_memory_series", "Series in all heads.");
METRIC_DEF_GAUGE(m_users, "cortex_ingester_memory_users", "Tenants whose store is open.");
METRIC_DEF_GAUGE(m_metadata, "cortex_ingester_memory_metadata", "Metadata entries in memory.");
METRIC_DEF_GAUGE(m_inflight, "cortex_ingester_inflight_push_requests", "Pushes being handled now.");
METRIC_DEF_GAUGE(m_rate, "cortex_ingester_ingestion_rate_samples_per_second", "Samples per second, smoothed.");
METRIC_DEF_GAUGE(m_blocks, "cortex_ingester_tsdb_blocks_loaded", "Blocks that are open.");
METRIC_DEF_GAUGE(m_chunks, "cortex_ingester_tsdb_head_chunks", "Chunks in all heads.");
METRIC_DEF_COUNTER(m_compactions, "cortex_ingester_tsdb_compactions_total", "Blocks cut from heads.");
METRIC_DEF_COUNTER(m_compactions_failed, "cortex_ingester_tsdb_compactions_failed_total", "Compactions that failed.");
METRIC_DEF_COUNTER(m_triggered, "cortex_ingester_tsdb_compactions_triggered_total",
                   "Looks at a head for something to compact.");
METRIC_DEF_COUNTER(m_truncations_failed, "cortex_ingester_tsdb_head_truncations_failed_total",
                   "Truncations of a head that failed.");
METRIC_DEF_COUNTER(m_wal_corruptions, "cortex_ingester_tsdb_wal_corruptions_total", "Corruptions found in logs.");
METRIC_DEF_COUNTER(m_wal_writes_failed, "cortex_ingester_tsdb_wal_writes_failed_total", "Writes to a log that failed.");
METRIC_DEF_COUNTER(m_mmap_corruptions, "cortex_ingester_tsdb_mmap_chunk_corruptions_total",
                   "Corruptions found in head chunk files.");
METRIC_DEF_HISTOGRAM(m_compaction_seconds, "cortex_ingester_tsdb_compaction_duration_seconds",
                     "How long cutting a head took.", metric_latency_bounds);
METRIC_DEF_GAUGE(m_replay_seconds, "cortex_ingester_tsdb_data_replay_duration_seconds",
                 "How long opening the store took.", "user");
METRIC_DEF_COUNTER(m_open_failed, "pallium_ingester_tsdb_open_failures_total", "Stores that could not be opened.",
                   "user");

METRIC_DEF_COUNTER(m_block_open_failed, "pallium_ingester_tsdb_block_open_failures_total",
                   "Blocks that could not be opened, each counted once.");

static void rate_tick(struct ing_rate *r, double seconds)
{
    const double alpha = 0.2;
    double instant = (double)atomic_exchange_explicit(&r->count, 0, memory_order_relaxed) / seconds,
           rate = ing__rate_get(r);

    rate = r->known ? rate + alpha * (instant - rate) : instant;
    r->known = true;
    atomic_store_explicit(&r->rate, rate, memory_order_relaxed); /* read by anyone, as a plain number */
}

void ing__count_opened(struct ing_tenant *t, const char *why_not, double seconds)
{
    if (why_not != NULL) {
        metric_inc(METRIC_CELL(m_open_failed, t->name));
        pl_error("the store of a tenant could not be opened; its pushes are refused, other tenants are not touched",
                 PL_KV("user", t->name), PL_KV_C("err", why_not));
        return;
    }
    metric_set(METRIC_CELL(m_replay_seconds, t->name), seconds);
}

/* ---- gauges ---- */

struct sums {
    uint64_t series, chunks, blocks, metadata, wal_corruptions, wal_write_failures, chunk_corruptions, compactions,
        compactions_failed, block_open_failures;
};

static void add_tenant(struct sums *sum, const struct ing_tenant *t)
{
    struct tsdb_stats s;

    tsdb_stats_get(t->db, &s);
    sum->series += s.series;
    sum->chunks += s.chunks;
    sum->blocks += s.block_count;
    sum->metadata += atomic_load_explicit(&t->metadata.entry_count, memory_order_relaxed); /* a plain number */
    sum->wal_corruptions += s.wal_corruptions_total;
    sum->wal_write_failures += s.wal_write_failures_total;
    sum->chunk_corruptions += s.head_chunk_corruptions_total;
    sum->compactions += s.compactions_total;
    sum->compactions_failed += s.compactions_failed_total;
    sum->block_open_failures += s.block_open_failures_total;
    metric_set(t->cell.removed, (double)s.series_removed_total);
    metric_set(t->cell.blocks_bytes, (double)s.block_bytes);
    metric_set(t->cell.head_maxt, s.series > 0 ? (double)s.maxt_ms : 0);
}

static void update_gauges(struct ingester *i)
{
    struct sums sum = {0};
    uint64_t open;

    for (struct ing_tenant *t = ing__tenants_next(i, NULL); t != NULL; t = ing__tenants_next(i, t)) {
        add_tenant(&sum, t);
    }
    pl_mutex_lock(&i->lock);
    open = i->open_count;
    pl_mutex_unlock(&i->lock);
    atomic_store_explicit(&i->series, (int64_t)sum.series, memory_order_relaxed); /* a plain number */
    metric_set(METRIC_CELL0(m_series), (double)sum.series);
    metric_set(METRIC_CELL0(m_users), (double)open);
    metric_set(METRIC_CELL0(m_metadata), (double)sum.metadata);
    metric_set(METRIC_CELL0(m_inflight), (double)atomic_load_explicit(&i->inflight, memory_order_relaxed));
    metric_set(METRIC_CELL0(m_rate), ing__rate_get(&i->rate));
    metric_set(METRIC_CELL0(m_blocks), (double)sum.blocks);
    metric_set(METRIC_CELL0(m_chunks), (double)sum.chunks);
    metric_set(METRIC_CELL0(m_wal_corruptions), (double)sum.wal_corruptions);
    metric_set(METRIC_CELL0(m_wal_writes_failed), (double)sum.wal_write_failures);
    metric_set(METRIC_CELL0(m_mmap_corruptions), (double)sum.chunk_corruptions);
    metric_set(METRIC_CELL0(m_compactions), (double)sum.compactions);
    metric_set(METRIC_CELL0(m_compactions_failed), (double)sum.compactions_failed);
    metric_set(METRIC_CELL0(m_block_open_failed), (double)sum.block_open_failures);
}

/* ---- threads ---- */

/* Sleeps until the deadline; false when the ingester is being stopped. */
static bool sleep_until(struct ingester *i, int64_t deadline_ns)
{
    bool running;

    pl_mutex_lock(&i->lock);
    while (i->service == ING_RUNNING && pl_cond_wait_until(&i->changed, &i->lock, deadline_ns)) {
    }
    running = i->service == ING_RUNNING;
    pl_mutex_unlock(&i->lock);
    return running;
}

/* What is done for each tenant every few seconds. */
static void tick_tenant(struct ingester *i, struct ing_tenant *t, uint64_t second)
{
    const int64_t now_ms = pl_now_unix_ms();

    if (second % TENANT_RATE_S == 0) {
        rate_tick(&t->api, TENANT_RATE_S);
        rate_tick(&t->rule, TENANT_RATE_S);
    }
    if (second % ACTIVE_COUNT_S == 0) {
        metric_set(t->cell.active, (double)ing__active_count(&t->active, now_ms, i->o.active_series_idle_ns));
    }
    if (second % METADATA_PURGE_S == 0) {
        ing__metadata_purge(&t->metadata, now_ms - i->o.metadata_retain_ns / PL_NS_PER_MS);
    }
}

static void tick_thread(void *arg)
{
    struct ingester *i = arg;
    int64_t next_ns = pl_now_mono_ns();
    uint64_t second = 0;

    update_gauges(i);
    while (sleep_until(i, next_ns += PL_NS_PER_S)) {
        second++;
        rate_tick(&i->rate, 1);
        for (struct ing_tenant *t = ing__tenants_next(i, NULL); t != NULL; t = ing__tenants_next(i, t)) {
            tick_tenant(i, t, second);
        }
        update_gauges(i);
    }
}

static bool compact_begin(struct ingester *i, struct ing_tenant *t)
{
    bool ok;

    pl_mutex_lock(&i->lock);
    while (t->compacting) {
        pl_cond_wait(&i->changed, &i->lock);
    }
    ok = t->state == ING_OPEN;
    if (ok) {
        t->compacting = true;
        t->refs++;
    }
    pl_mutex_unlock(&i->lock);
    return ok;
}

void ing__compact(struct ingester *i, struct ing_tenant *t, bool force)
{
    const int64_t start_ns = pl_now_mono_ns();
    struct pl_err err = {.status = PL_OK};
    uint32_t blocks = 0;
    pl_status st;

    if (!compact_begin(i, t)) {
        return;
    }
    metric_inc(METRIC_CELL0(m_triggered));
    st = tsdb_compact(t->db, force, pl_now_unix_ms(), &blocks, &err);
    if (st != PL_OK) {
        metric_inc(METRIC_CELL0(m_truncations_failed));
        pl_error("compaction of a head failed", PL_KV("user", t->name), PL_KV_ERR(&err));
    } else if (blocks > 0) {
        metric_observe(&m_compaction_seconds, METRIC_CELL0(m_compaction_seconds),
                       (double)(pl_now_mono_ns() - start_ns) / (double)PL_NS_PER_S);
        pl_info("head compacted", PL_KV("user", t->name), PL_KV_INT("blocks", blocks),
                PL_KV_DUR_NS("duration", pl_now_mono_ns() - start_ns));
    }
    pl_mutex_lock(&i->lock);
    t->compacting = false;
    t->refs--;
    pl_cond_broadcast(&i->changed);
    pl_mutex_unlock(&i->lock);
}

/* Has nothing been written to it for long, so that its head may go to disk whole? */
static bool is_idle(const struct ing_tenant *t, int64_t now_ms)
{
    struct tsdb_stats s;
    int64_t last_ms;

    tsdb_stats_get(t->db, &s);
    last_ms = s.last_append_unix_ms > 0 ? s.last_append_unix_ms : s.maxt_ms;
    return t->idle_ns > 0 && s.series > 0 && last_ms < now_ms - t->idle_ns / PL_NS_PER_MS;
}

static void compact_thread(void *arg)
{
    struct ingester *i = arg;
    int64_t next_ns = pl_now_mono_ns();

    if (i->o.compaction_interval_ns <= 0) {
        return;
    }
    while (sleep_until(i, next_ns)) {
        for (struct ing_tenant *t = ing__tenants_next(i, NULL); t != NULL; t = ing__tenants_next(i, t)) {
            ing__compact(i, t, is_idle(t, pl_now_unix_ms()));
        }
        next_ns = pl_now_mono_ns() + i->o.compaction_interval_ns;
    }
}

void ing__maintain_start(struct ingester *i)
{
    pl_thread_start(&i->tick_thread, "ingester-tick", tick_thread, i);
    pl_thread_start(&i->compact_thread, "ingester-cut", compact_thread, i);
    i->threads = true;
}

void ing__maintain_stop(struct ingester *i)
{
    if (i->threads) {
        pl_thread_join(&i->tick_thread);
        pl_thread_join(&i->compact_thread);
        i->threads = false;
    }
}
