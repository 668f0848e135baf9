/* What a config must fulfil as a whole. Each part in Cortex's order with Cortex's texts (messages.h). */
#include "base/clock.h"
#include "config/internal.h"
#include "config/messages.h"

#include <stdio.h>

static bool one_of(pl_str s, const char *const *allowed)
{
    for (; *allowed != NULL; allowed++) {
        if (pl_str_eq(s, pl_str_c(*allowed))) {
            return true;
        }
    }
    return false;
}
#define ONE_OF(s, ...) one_of((s), (const char *const[]){__VA_ARGS__, NULL})

/* A duration as text for a message. */
struct shown {
    char text[64];
    int n;
};

static struct shown show(int64_t ns)
{
    struct shown s = {0};
    struct pl_buf b = {0};

    opt_duration_print(&b, ns);
    s.n = (int)PL_MIN(b.n, sizeof(s.text));
    memcpy(s.text, b.p, (size_t)s.n);
    pl_buf_fini(&b);
    return s;
}

/* ---- targets ---- */

static const struct config_target targets[] = {
    {"alertmanager", true},
    {"all", false},
    {"compactor", true},
    {"configs", false},
    {"distributor", true},
    {"flusher", false},
    {"ingester", true},
    {"overrides", false},
    {"overrides-exporter", false},
    {"parquet-converter", false},
    {"purger", true},
    {"querier", true},
    {"query-frontend", true},
    {"query-scheduler", false},
    {"ruler", true},
    {"store-gateway", true},
    {"table-manager", true},
};

const struct config_target *config_targets(size_t *count)
{
    *count = PL_ARRAY_LEN(targets);
    return targets;
}

static const struct config_target *find_target(pl_str name)
{
    for (size_t i = 0; i < PL_ARRAY_LEN(targets); i++) {
        if (pl_str_eq(pl_str_c(targets[i].name), name)) {
            return &targets[i];
        }
    }
    return NULL;
}

static pl_str take_part(pl_str *s)
{
    size_t comma = pl_str_find(*s, ',');
    pl_str part = pl_str_sub(*s, 0, comma == SIZE_MAX ? s->n : comma);

    *s = comma == SIZE_MAX ? PL_STR_NULL : pl_str_sub(*s, comma + 1, s->n);
    return pl_str_trim(part);
}

bool config_target_has(const struct config *cfg, const char *module)
{
    pl_str list = cfg->target;
    const struct config_target *t = find_target(pl_str_c(module));

    while (list.n > 0) {
        pl_str name = take_part(&list);
        if (pl_str_eq(name, pl_str_c(module)) || (t != NULL && t->in_all && pl_str_eq(name, PL_STR("all")))) {
            return true;
        }
    }
    return false;
}

static pl_status check_target(const struct config *cfg, struct pl_err *err)
{
    pl_str list = cfg->target;

    if (list.n == 0) {
        return pl_fail(err, PL_INVALID, "no target: name at least one module (see -modules)");
    }
    while (list.n > 0) {
        pl_str name = take_part(&list);
        if (find_target(name) == NULL) {
            return pl_fail(err, PL_INVALID, MSG_UNKNOWN_MODULE, PL_STR_ARG(name));
        }
    }
    return PL_OK;
}

/* ---- the top level ---- */

/* Cortex names the field of its struct, not the YAML key. */
static void section_name(const char *key, char *out, size_t size)
{
    static const char *const odd[][2] = {{"limits", "LimitsConfig"},
                                         {"frontend_worker", "Worker"},
                                         {"api", "API"},
                                         {"memberlist", "MemberlistKV"},
                                         {"purger", "PurgerConfig"}};
    size_t n = 0;
    bool up = true;

    for (size_t i = 0; i < PL_ARRAY_LEN(odd); i++) {
        if (strcmp(odd[i][0], key) == 0) {
            (void)snprintf(out, size, "%s", odd[i][1]);
            return;
        }
    }
    for (; *key != '\0' && n + 1 < size; key++) {
        if (*key == '_') {
            up = true;
            continue;
        }
        out[n++] = up && *key >= 'a' && *key <= 'z' ? (char)(*key - 'a' + 'A') : *key;
        up = false;
    }
    out[n] = '\0';
}

static pl_status check_top(const struct config *cfg, struct pl_err *err)
{
    char name[64];

    if (cfg->state->empty_section != NULL) {
        section_name(cfg->state->empty_section, name, sizeof(name));
        return pl_fail(err, PL_INVALID, MSG_EMPTY_NODE, name);
    }
    if (!ONE_OF(cfg->name_validation_scheme, "legacy", "utf8")) {
        return pl_fail(err, PL_INVALID, MSG_NAME_SCHEME, PL_STR_ARG(cfg->name_validation_scheme));
    }
    if (cfg->http_prefix.n > 0 && cfg->http_prefix.p[0] != '/') {
        return pl_fail(err, PL_INVALID, MSG_HTTP_PREFIX);
    }
    if (!ONE_OF(cfg->api.querier_default_codec, "json", "protobuf")) {
        return pl_fail(err, PL_INVALID, MSG_CODEC);
    }
    if (!ONE_OF(cfg->storage.engine, "blocks", "chunks")) {
        return pl_fail(err, PL_INVALID, "invalid storage config: unsupported storage engine %.*s (blocks or chunks)",
                       PL_STR_ARG(cfg->storage.engine));
    }
    return check_target(cfg, err);
}

static pl_status check_port(const char *what, int64_t port, struct pl_err *err)
{
    if (port < 0 || port > 65535) {
        return pl_fail(err, PL_INVALID, "invalid server config: %s must be between 0 and 65535, not %lld", what,
                       (long long)port);
    }
    return PL_OK;
}

static pl_status check_server(const struct config *cfg, struct pl_err *err)
{
    const struct config_server *s = &cfg->server;

    if (!ONE_OF(s->log_level, "debug", "info", "warn", "error")) {
        return pl_fail(err, PL_INVALID, "invalid server config: " MSG_LOG_LEVEL, PL_STR_ARG(s->log_level));
    }
    if (!ONE_OF(s->log_format, "logfmt", "json")) {
        return pl_fail(err, PL_INVALID, "invalid server config: " MSG_LOG_FORMAT, PL_STR_ARG(s->log_format));
    }
    PL_TRY(check_port("http_listen_port", s->http_listen_port, err));
    return check_port("grpc_listen_port", s->grpc_listen_port, err);
}

/* ---- storage ---- */

static pl_status check_s3(const struct config_s3 *s3, const char *section, struct pl_err *err)
{
    if (!ONE_OF(s3->signature_version, "v4", "v2")) {
        return pl_fail(err, PL_INVALID, "%s: unsupported signature version", section);
    }
    if (!ONE_OF(s3->bucket_lookup_type, "auto", "virtual-hosted", "path")) {
        return pl_fail(err, PL_INVALID, "%s: invalid bucket lookup type", section);
    }
    if (!ONE_OF(s3->list_objects_version, "", "v1", "v2")) {
        return pl_fail(err, PL_INVALID, "%s: invalid list object version", section);
    }
    if (!ONE_OF(s3->sse.type, "", "SSE-KMS", "SSE-S3")) {
        return pl_fail(err, PL_INVALID, "%s: unsupported S3 SSE type", section);
    }
    return PL_OK;
}

static pl_status check_backend(pl_str backend, bool more, const struct config_s3 *s3, const char *section,
                               struct pl_err *err)
{
    if (!ONE_OF(backend, "s3", "gcs", "azure", "swift", "oci", "filesystem") &&
        !(more && ONE_OF(backend, "configdb", "local"))) {
        return pl_fail(err, PL_INVALID, MSG_BACKEND, section);
    }
    return pl_str_eq(backend, PL_STR("s3")) ? check_s3(s3, section, err) : PL_OK;
}

static pl_status tsdb_error(struct pl_err *err, const char *what)
{
    return pl_fail(err, PL_INVALID, "invalid TSDB config: %s", what);
}

static pl_status check_tsdb(const struct config_tsdb *t, struct pl_err *err)
{
    if (t->ship_interval_ns > 0 && t->ship_concurrency <= 0) {
        return tsdb_error(err, "invalid TSDB ship concurrency");
    }
    if (t->max_tsdb_opening_concurrency_on_startup <= 0) {
        return tsdb_error(err, "invalid TSDB opening concurrency");
    }
    if (t->head_compaction_interval_ns <= 0 || t->head_compaction_interval_ns > 1800 * PL_NS_PER_S) {
        return tsdb_error(err, "invalid TSDB compaction interval");
    }
    if (t->head_compaction_concurrency <= 0) {
        return tsdb_error(err, "invalid TSDB compaction concurrency");
    }
    if (t->head_chunks_write_buffer_size_bytes < 65536 || t->head_chunks_write_buffer_size_bytes > 8388608 ||
        t->head_chunks_write_buffer_size_bytes % 1024 != 0) {
        return tsdb_error(err, "head chunks write buffer size must be a multiple of 1024 between 65536 and 8388608");
    }
    if (t->stripe_size <= 1 || (t->stripe_size & (t->stripe_size - 1)) != 0) {
        return tsdb_error(err, "invalid TSDB stripe size");
    }
    if (t->block_ranges_period.n == 0) {
        return tsdb_error(err, "empty block ranges for TSDB");
    }
    for (size_t i = 0; i < t->block_ranges_period.n; i++) {
        if (t->block_ranges_period.v[i] < PL_NS_PER_MS) {
            return tsdb_error(err, "a block range must be at least 1ms long");
        }
    }
    if (t->wal_segment_size_bytes <= 0) {
        return tsdb_error(err, "invalid TSDB WAL segment size bytes");
    }
    if (t->out_of_order_cap_max <= 0) {
        return tsdb_error(err, "invalid TSDB OOO chunks capacity (in samples)");
    }
    if (!ONE_OF(t->wal_compression_type, "snappy", "zstd", "")) {
        return tsdb_error(err, "unsupported WAL compression type, valid types are (zstd, snappy and '')");
    }
    return PL_OK;
}

static pl_status check_bucket_store(const struct config_bucket_store *b, struct pl_err *err)
{
    if (!ONE_OF(b->block_discovery_strategy, "concurrent", "recursive", "bucket_index")) {
        return tsdb_error(err,
                          "bucket index block discovery strategy can only be enabled when bucket index is enabled");
    }
    if (!ONE_OF(b->token_bucket_bytes_limiter.mode, "disabled", "dryrun", "enabled")) {
        return tsdb_error(err, "invalid token bucket bytes limiter mode");
    }
    if (!ONE_OF(b->bucket_store_type, "tsdb", "parquet")) {
        return tsdb_error(err, "invalid bucket store type");
    }
    if (b->lazy_expanded_posting_group_max_key_series_ratio < 0) {
        return tsdb_error(err, "lazy expanded posting group max key series ratio needs to be equal or greater than 0");
    }
    if (b->parquet_query_concurrency <= 0) {
        return tsdb_error(err, "invalid parquet query concurrency, the value must be greater than 0");
    }
    if (b->max_concurrent_data_bytes < 0) {
        return tsdb_error(err, "max concurrent data bytes must be non-negative");
    }
    return PL_OK;
}

static pl_status check_storage(const struct config *cfg, struct pl_err *err)
{
    PL_TRY(check_backend(cfg->ruler_storage.backend, true, &cfg->ruler_storage.s3, "invalid rulestore config", err));
    if (!ONE_OF(cfg->ruler.sharding_strategy, "default", "shuffle-sharding")) {
        return pl_fail(err, PL_INVALID, MSG_SHARDING, "invalid ruler config");
    }
    PL_TRY(check_backend(cfg->blocks_storage.backend, false, &cfg->blocks_storage.s3, "invalid TSDB config", err));
    PL_TRY(check_tsdb(&cfg->blocks_storage.tsdb, err));
    return check_bucket_store(&cfg->blocks_storage.bucket_store, err);
}

/* ---- limits ---- */

static pl_status check_limits(const struct config *cfg, struct pl_err *err)
{
    const struct limits *l = &cfg->limits;
    const struct config_ha_tracker *ha = &cfg->distributor.ha_tracker;
    int64_t min_ns;

    if (l->max_global_series_per_user > 0 && !cfg->distributor.shard_by_all_labels) {
        return pl_fail(err, PL_INVALID, MSG_GLOBAL_SERIES);
    }
    if (!pl_add_ok(&min_ns, ha->ha_tracker_update_timeout_ns, ha->ha_tracker_update_timeout_jitter_max_ns) ||
        !pl_add_ok(&min_ns, min_ns, PL_NS_PER_S)) {
        min_ns = INT64_MAX;
    }
    if (l->ha_tracker_failover_timeout_ns < min_ns) {
        const struct shown a = show(l->ha_tracker_failover_timeout_ns), b = show(min_ns);
        return pl_fail(err, PL_INVALID, MSG_HA_FAILOVER, a.n, a.text, b.n, b.text);
    }
    return config_check_query_limits(l, PL_STR("default"), cfg->blocks_storage.tsdb.close_idle_tsdb_timeout_ns,
                                     "invalid query routing config: ", err);
}

pl_status config_check_query_limits(const struct limits *l, pl_str tenant, int64_t close_idle_ns, const char *prefix,
                                    struct pl_err *err)
{
    const int64_t within = l->query_ingesters_within_ns, after = l->query_store_after_ns;
    const int64_t lookback = l->shuffle_sharding_ingesters_lookback_period_ns;
    const struct shown w = show(within), s = show(after), i = show(close_idle_ns), b = show(lookback);

    if (within > 0 && close_idle_ns > 0 && within >= close_idle_ns) {
        return pl_fail(err, PL_INVALID, MSG_INGESTERS_WITHIN, prefix, PL_STR_ARG(tenant), w.n, w.text, i.n, i.text);
    }
    if (within > 0 && after > 0 && after >= within) {
        return pl_fail(err, PL_INVALID, MSG_STORE_AFTER, prefix, PL_STR_ARG(tenant), s.n, s.text, w.n, w.text);
    }
    if (after > 0 && lookback > 0 && lookback < after) {
        return pl_fail(err, PL_INVALID, MSG_LOOKBACK, prefix, PL_STR_ARG(tenant), b.n, b.text, s.n, s.text);
    }
    return PL_OK;
}

/* ---- the roles ---- */

static pl_status check_distributor(const struct config *cfg, struct pl_err *err)
{
    const struct config_distributor *d = &cfg->distributor;

    if (!ONE_OF(d->sharding_strategy, "default", "shuffle-sharding")) {
        return pl_fail(err, PL_INVALID, MSG_SHARDING, "invalid distributor config");
    }
    if (pl_str_eq(d->sharding_strategy, PL_STR("shuffle-sharding")) && cfg->limits.ingestion_tenant_shard_size < 0) {
        return pl_fail(
            err, PL_INVALID,
            "invalid distributor config: invalid tenant shard size. The value must be greater than or equal to 0");
    }
    if (d->ha_tracker.ha_tracker_update_timeout_jitter_max_ns < 0) {
        return pl_fail(err, PL_INVALID, MSG_HA_JITTER);
    }
    if (!ONE_OF(d->ha_tracker.kvstore.store, "consul", "etcd", "memberlist", "multi")) {
        return pl_fail(err, PL_INVALID, MSG_HA_STORE, PL_STR_ARG(d->ha_tracker.kvstore.store));
    }
    return PL_OK;
}

static pl_status querier_error(struct pl_err *err, const char *what)
{
    return pl_fail(err, PL_INVALID, "invalid querier config: %s", what);
}

static pl_status check_querier(const struct config_querier *q, struct pl_err *err)
{
    if (!ONE_OF(q->response_compression, "", "gzip", "snappy", "zstd")) {
        return querier_error(
            err, "unsupported response compression. Supported compression 'gzip', 'snappy', 'zstd' and '' (disable "
                 "compression)");
    }
    if (q->store_gateway_consistency_check_max_attempts < 1) {
        return querier_error(err, "store gateway consistency check max attempts should be greater or equal than 1");
    }
    if (q->store_gateway_series_batch_size < 0) {
        return querier_error(err, "store gateway series batch size should be greater or equal than 0");
    }
    if (q->ingester_query_max_attempts < 1) {
        return querier_error(err, "ingester query max attempts should be greater or equal than 1");
    }
    if (q->enable_parquet_queryable && !ONE_OF(q->parquet_queryable_default_block_store, "tsdb", "parquet")) {
        return querier_error(
            err, "unsupported parquet queryable default block store. Supported options are tsdb and parquet");
    }
    if (!q->timeout_classification_enabled) {
        return PL_OK;
    }
    if (q->timeout_classification_deadline_ns <= 0) {
        return querier_error(err,
                             "timeout_classification_deadline must be positive when timeout classification is enabled");
    }
    if (q->timeout_classification_eval_threshold_ns <= 0) {
        return querier_error(
            err, "timeout_classification_eval_threshold must be positive when timeout classification is enabled");
    }
    if (q->timeout_classification_eval_threshold_ns > q->timeout_classification_deadline_ns) {
        return querier_error(
            err, "timeout_classification_eval_threshold must be less than or equal to timeout_classification_deadline");
    }
    if (q->timeout_classification_deadline_ns >= q->timeout_ns) {
        return querier_error(err, "timeout_classification_deadline must be less than the querier timeout");
    }
    return PL_OK;
}

static pl_status check_read_path(const struct config *cfg, struct pl_err *err)
{
    const struct config_query_range *r = &cfg->query_range;

    if (cfg->frontend_worker.frontend_address.n > 0 && cfg->frontend_worker.scheduler_address.n > 0) {
        return pl_fail(err, PL_INVALID, MSG_MUTUALLY);
    }
    if (r->cache_results && r->split_queries_by_interval_ns <= 0) {
        return pl_fail(err, PL_INVALID, MSG_CACHE_SPLIT);
    }
    if (cfg->store_gateway.sharding_enabled) {
        if (!ONE_OF(cfg->store_gateway.sharding_strategy, "default", "shuffle-sharding")) {
            return pl_fail(err, PL_INVALID, MSG_SHARDING, "invalid store-gateway config");
        }
        if (pl_str_eq(cfg->store_gateway.sharding_strategy, PL_STR("shuffle-sharding")) &&
            cfg->limits.store_gateway_tenant_shard_size <= 0) {
            return pl_fail(err, PL_INVALID,
                           "invalid store-gateway config: invalid tenant shard size, the value must be greater than 0");
        }
    }
    return PL_OK;
}

static pl_status check_compactor(const struct config_compactor *c, struct pl_err *err)
{
    const struct opt_durations *r = &c->block_ranges;

    for (size_t i = 0; i < r->n; i++) {
        if (r->v[i] == 0) {
            return pl_fail(err, PL_INVALID, MSG_COMPACTOR_ZERO);
        }
    }
    for (size_t i = 1; i < r->n; i++) {
        if (r->v[i] % r->v[i - 1] != 0) {
            const struct shown a = show(r->v[i]), b = show(r->v[i - 1]);
            return pl_fail(err, PL_INVALID, MSG_COMPACTOR_RANGES, a.n, a.text, b.n, b.text);
        }
    }
    if (!ONE_OF(c->sharding_strategy, "default", "shuffle-sharding")) {
        return pl_fail(err, PL_INVALID, MSG_SHARDING, "invalid compactor config");
    }
    if (!ONE_OF(c->compaction_strategy, "default", "partitioning")) {
        return pl_fail(err, PL_INVALID, "invalid compactor config: invalid compaction strategy");
    }
    return PL_OK;
}

pl_status config_check(const struct config *cfg, struct pl_err *err)
{
    PL_TRY(check_top(cfg, err));
    PL_TRY(check_server(cfg, err));
    PL_TRY(check_storage(cfg, err));
    PL_TRY(check_limits(cfg, err));
    PL_TRY(check_distributor(cfg, err));
    PL_TRY(check_querier(&cfg->querier, err));
    PL_TRY(check_read_path(cfg, err));
    PL_TRY(check_compactor(&cfg->compactor, err));
    return check_backend(cfg->alertmanager_storage.backend, true, &cfg->alertmanager_storage.s3,
                         "invalid alertmanager storage config", err);
}
