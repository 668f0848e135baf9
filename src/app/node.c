#include "app/node.h"

#include "app/memory_guard.h"
#include "app/process_metrics.h"
#include "app/selfscrape.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/sync.h"
#include "distributor/distributor.h"
#include "ingester/ingester.h"
#include "querier/querier.h"
#include "server/admin.h"
#include "server/server.h"
#include "tenant/limits.h"
#include "ui/ui.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define BODY_BUDGET_MIN (UINT64_C(1) << 20)
#define BODY_BUDGET_MAX (UINT64_C(1) << 30)
/* How long a stop waits for the store that is just being replayed. */
#define OPEN_WAIT_NS    (2 * PL_NS_PER_S)

struct node {
    struct config *cfg; /* borrowed */
    struct overrides *overrides;
    struct ingester *ingester;
    struct distributor *distributor;
    struct querier *querier;
    struct server *server;
    struct selfscrape *selfscrape;
    struct server_admin admin;
    struct ui_settings ui;
    char url[256];
    char address[256];

    struct memory_guard memory;
    struct pl_thread opener; /* replays the stores while /ready says how far it is */
    bool opener_started;
    struct pl_thread ticker; /* each second: rates; each reload period: runtime config */
    bool ticker_started;
    struct pl_mutex lock;
    struct pl_cond wake;
    bool stopping; /* under lock */
    bool opened;   /* under lock: the opener is done, for better or worse */
    bool failed;   /* under lock, with failure */
    struct pl_err failure;
};

/* ---- answers of the admin pages ---- */

static bool node_ready(void *arg, struct pl_buf *why)
{
    struct node *n = arg;

    return ingester_ready(n->ingester, why);
}

static void print_config(void *arg, pl_str mode, struct pl_buf *out)
{
    struct node *n = arg;
    enum config_print_mode m = CONFIG_PRINT_FULL;

    if (pl_str_eq(mode, PL_STR("diff"))) {
        m = CONFIG_PRINT_DIFF;
    } else if (pl_str_eq(mode, PL_STR("defaults"))) {
        m = CONFIG_PRINT_DEFAULTS;
    }
    config_print(out, n->cfg, m);
}

static bool print_runtime_config(void *arg, pl_str mode, struct pl_buf *out)
{
    struct node *n = arg;

    if (n->cfg->runtime_config.file.n == 0) {
        return false;
    }
    overrides_print(n->overrides, out, mode);
    return true;
}

static void querier_config_yaml(void *arg, struct pl_buf *out)
{
    config_print(out, ((struct node *)arg)->cfg, CONFIG_PRINT_FULL);
}

static void querier_flags(void *arg, void (*each)(void *each_arg, pl_str name, pl_str value), void *each_arg)
{
    config_flags(((struct node *)arg)->cfg, each, each_arg);
}

static size_t list_services(void *arg, struct server_service out[SERVER_SERVICES_MAX])
{
    static const char *const running[] = {"server", "runtime-config", "distributor", "querier"};
    struct node *n = arg;
    struct pl_buf why;
    size_t count = 0;

    for (size_t i = 0; i < PL_ARRAY_LEN(running); i++) {
        out[count++] = (struct server_service){running[i], "Running"};
    }
    pl_buf_init(&why, 4096);
    out[count++] = (struct server_service){"ingester", ingester_ready(n->ingester, &why) ? "Running" : "Starting"};
    pl_buf_fini(&why);
    if (n->selfscrape != NULL) {
        out[count++] = (struct server_service){"self-scrape", "Running"};
    }
    return count;
}

/* COMPAT: 204 always, also when nothing was there to flush (spec http-api-and-config.md 1.4). `wait` is implied. */
static void handle_flush(void *arg, struct http_request *req, struct http_response *resp)
{
    struct node *n = arg;
    struct http_param *params;
    size_t count;
    struct pl_err err;
    bool named = false;

    if (http_params(req, &params, &count, &err) != PL_OK) {
        server_text_fail(resp, &err);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (pl_str_eq(params[i].name, PL_STR("tenant"))) {
            ingester_flush(n->ingester, params[i].value);
            named = true;
        }
    }
    if (!named) {
        ingester_flush(n->ingester, PL_STR(""));
    }
    resp->status = 204;
}

static const struct server_admin_link admin_links[] = {
    {"Usage statistics", "/distributor/all_user_stats", false},
    {"Active queries", "/querier/active_queries", false},
    {"Trigger a flush of data from ingester to storage", "/ingester/flush", true},
};

/* ---- wiring ---- */

static void make_server(struct node *n)
{
    const struct config *c = n->cfg;
    const uint64_t memory = pl_memory_limit();
    struct server_options o = {
        .http = {.address = c->server.http_listen_address,
                 .port = (uint16_t)c->server.http_listen_port,
                 .conn_max = (uint32_t)PL_MAX(c->server.http_listen_conn_limit, 0),
                 .body_timeout_ns = c->server.http_server_read_timeout_ns,
                 .write_timeout_ns = c->server.http_server_write_timeout_ns,
                 .idle_timeout_ns = c->server.http_server_idle_timeout_ns,
                 /* At most a quarter of the memory waits in bodies that nobody has looked at yet. */
                 .body_budget_bytes =
                     memory > 0 ? PL_MIN(PL_MAX(memory / 4, BODY_BUDGET_MIN), BODY_BUDGET_MAX) : BODY_BUDGET_MAX,
                 .body_budget_of = "a quarter of -memory.limit, at most 1 GiB",
                 .tls_cert_path = c->server.http_tls_config.cert_file,
                 .tls_key_path = c->server.http_tls_config.key_file,
                 .tls_client_ca_path = c->server.http_tls_config.client_ca_file,
                 .tls_client_auth = c->server.http_tls_config.client_auth_type,
                 .tls_min_version = c->server.tls_min_version,
                 .tls_cipher_suites = c->server.tls_cipher_suites},
        .path_prefix = c->server.http_path_prefix,
        .auth_enabled = c->auth_enabled,
        .log_requests_at_info = c->server.log_request_at_info_level_enabled,
        .log_request_headers = c->server.log_request_headers,
        .log_exclude_headers = c->server.log_request_exclude_headers_list,
        .log_source_ips = c->server.log_source_ips_enabled,
        .log_source_ips_header = c->server.log_source_ips_header,
        .log_source_ips_regex = c->server.log_source_ips_regex,
        .log_headers = c->api.http_request_headers_to_log.v,
        .log_header_count = c->api.http_request_headers_to_log.n,
        .request_id_header = c->api.request_id_header,
        .cors_origin = c->api.cors_origin,
        .gzip_all = c->api.response_compression_enabled,
    };
    n->server = server_create(&o);
}

/* From the configuration, and from the runtime config over it. */
static struct ingester_instance_limits instance_limits(struct node *n)
{
    struct config_ingester_instance_limits l = n->cfg->ingester.instance_limits;

    overrides_ingester_limits(n->overrides, &l);
    return (struct ingester_instance_limits){
        .tenants_max = (uint64_t)PL_MAX(l.max_tenants, (int64_t)0),
        .series_max = (uint64_t)PL_MAX(l.max_series, (int64_t)0),
        .inflight_push_max = (uint64_t)PL_MAX(l.max_inflight_push_requests, (int64_t)0),
        .ingestion_rate_max = l.max_ingestion_rate,
    };
}

/* Cortex deletes local blocks only once they are in the bucket. Nothing ships them yet, so its default of 6 h must not
 * delete data, nor a period that was written for local copies beside a bucket; with the file system as the place where
 * blocks are kept, a period that the operator chose does. */
static bool retention_applies(const struct config *c)
{
    return pl_str_eq(c->blocks_storage.backend, PL_STR("filesystem")) &&
           config_is_set(c, "blocks-storage.tsdb.retention-period");
}

static void make_ingester(struct node *n)
{
    const struct config *c = n->cfg;
    struct ingester_options o = {
        .dir = c->blocks_storage.tsdb.dir,
        .tsdb = {.block_range_ms = c->blocks_storage.tsdb.block_ranges_period.v[0] / PL_NS_PER_MS,
                 .retention_ms = retention_applies(c) ? c->blocks_storage.tsdb.retention_period_ns / PL_NS_PER_MS : 0,
                 .wal_segment_bytes = (uint64_t)c->blocks_storage.tsdb.wal_segment_size_bytes,
                 .wal_snappy = pl_str_eq(c->blocks_storage.tsdb.wal_compression_type, PL_STR("snappy"))},
        .instance = instance_limits(n),
        .compaction_interval_ns = c->blocks_storage.tsdb.head_compaction_interval_ns,
        .head_idle_timeout_ns = c->blocks_storage.tsdb.head_compaction_idle_timeout_ns,
        .metadata_retain_ns = c->ingester.metadata_retain_period_ns,
        .admin_limit_message = c->ingester.admin_limit_message,
        .active_series_idle_ns = c->ingester.active_series_metrics_idle_timeout_ns,
    };
    n->ingester = ingester_create(&o, n->overrides);
}

static void make_distributor(struct node *n)
{
    const struct config *c = n->cfg;
    struct distributor_options o = {
        .recv_bytes_max = (uint64_t)c->distributor.max_recv_msg_size,
        .ingestion_rate_max = c->distributor.instance_limits.max_ingestion_rate,
        .inflight_push_max = (uint64_t)c->distributor.instance_limits.max_inflight_push_requests,
        .accept_unknown_content_type = c->distributor.accept_unknown_remote_write_content_type,
        .utf8_names = pl_str_eq(c->name_validation_scheme, PL_STR("utf8")),
    };
    n->distributor = distributor_create(&o, n->overrides, ingester_ingest_port(n->ingester));
}

static void make_querier(struct node *n)
{
    const struct config *c = n->cfg;
    const struct process_build build = process_build();
    struct querier_options o = {
        .revision = build.revision,
        .branch = build.branch,
        .build_date = build.date,
        .lookback_ns = c->querier.lookback_delta_ns,
        .default_step_ns = c->querier.default_evaluation_interval_ns,
        .timeout_ns = c->querier.timeout_ns,
        .into_future_ns = c->querier.max_query_into_future_ns,
        .samples_max = (uint64_t)c->querier.max_samples,
        .slow_ns = c->frontend.log_queries_longer_than_ns,
        .concurrent_max = (uint64_t)c->querier.max_concurrent,
        .query_bytes_max = (uint64_t)c->querier.max_query_memory_bytes,
        .subquery_steps_max = (uint64_t)c->querier.max_subquery_steps,
        .experimental_functions = c->querier.enable_promql_experimental_functions,
        .per_step_stats = c->querier.per_step_stats_enabled,
        .gzip = pl_str_eq(c->querier.response_compression, PL_STR("gzip")),
        .ignore_query_length_max = c->querier.ignore_max_query_length,
        .config_yaml = querier_config_yaml,
        .flags = querier_flags,
        .status_arg = n,
    };
    n->querier = querier_create(&o, n->overrides, ingester_query_port(n->ingester));
}

static void route_push(struct node *n, const char *path)
{
    server_route_add(n->server, &(struct server_route){.methods = HTTP_POST,
                                                       .path = path,
                                                       .handler = distributor_handle_push,
                                                       .arg = n->distributor,
                                                       .auth = SERVER_AUTH_TENANT,
                                                       .pool = SERVER_POOL_PUSH,
                                                       .body_max = (uint64_t)n->cfg->distributor.max_recv_msg_size,
                                                       .too_large = distributor_push_too_large});
}

static void route_get(struct node *n, uint32_t methods, const char *path, http_handler_fn fn, void *arg)
{
    server_route_add(n->server, &(struct server_route){.methods = methods,
                                                       .path = path,
                                                       .handler = fn,
                                                       .arg = arg,
                                                       .auth = SERVER_AUTH_NONE,
                                                       .pool = SERVER_POOL_ADMIN});
}

/* `prefix` + `rest` as a path; kept by the server, which copies it. */
static void join_path(char out[static 512], pl_str prefix, const char *rest)
{
    size_t n = strlen(rest);

    PL_ASSERT(prefix.n + n < 512); /* config_check bounds prefixes */
    memcpy(out, prefix.p != NULL ? prefix.p : "", prefix.n);
    memcpy(out + prefix.n, rest, n + 1);
}

static void add_routes(struct node *n)
{
    const struct config *c = n->cfg;
    char path[512];

    route_push(n, "/api/v1/push");
    join_path(path, c->http_prefix, "/push");
    route_push(n, path);
    querier_routes(n->querier, n->server, c->api.prometheus_http_prefix);
    if (!pl_str_eq(c->http_prefix, c->api.prometheus_http_prefix)) {
        querier_routes(n->querier, n->server, c->http_prefix);
    }
    querier_user_stats_route(n->querier, n->server, "/api/v1/user_stats");
    join_path(path, c->http_prefix, "/user_stats");
    querier_user_stats_route(n->querier, n->server, path);
    querier_active_route(n->querier, n->server, "/querier/active_queries");
    route_get(n, HTTP_GET, "/distributor/all_user_stats", distributor_handle_user_stats, n->distributor);
    route_get(n, HTTP_GET, "/all_user_stats", distributor_handle_user_stats, n->distributor);
    route_get(n, HTTP_GET | HTTP_POST, "/ingester/flush", handle_flush, n);
    route_get(n, HTTP_GET | HTTP_POST, "/flush", handle_flush, n);
    n->ui = (struct ui_settings){.api_prefix = c->api.prometheus_http_prefix, .auth = c->auth_enabled};
    route_get(n, HTTP_GET, "/", ui_page, &n->ui);
    route_get(n, HTTP_GET, "/ui/{name}", ui_file, &n->ui);
    route_get(n, HTTP_GET, "/graph", ui_graph, &n->ui);
    route_get(n, HTTP_GET, "/favicon.ico", ui_favicon, &n->ui);
    n->admin = (struct server_admin){.arg = n,
                                     .ready = node_ready,
                                     .services = list_services,
                                     .config = print_config,
                                     .runtime_config = print_runtime_config,
                                     .metrics = c->server.register_instrumentation,
                                     .links = admin_links,
                                     .link_count = PL_ARRAY_LEN(admin_links)};
    server_admin_routes(n->server, &n->admin);
}

/* ---- life ---- */

static void fail_later(struct node *n, const struct pl_err *err)
{
    pl_mutex_lock(&n->lock);
    n->failed = true;
    n->failure = *err;
    pl_mutex_unlock(&n->lock);
    (void)kill(getpid(), SIGTERM); /* wakes main, which asks node_failed */
}

static void opener_main(void *arg)
{
    struct node *n = arg;
    struct pl_err err;
    pl_status st = ingester_start(n->ingester, &err);

    if (st != PL_OK && st != PL_CANCELED) { /* canceled: we are being stopped */
        fail_later(n, &err);
    }
    pl_mutex_lock(&n->lock);
    n->opened = true;
    pl_cond_broadcast(&n->wake);
    pl_mutex_unlock(&n->lock);
}

static void reload(struct node *n)
{
    struct ingester_instance_limits limits;

    overrides_reload(n->overrides);
    limits = instance_limits(n);
    ingester_limits_set(n->ingester, &limits);
}

static void ticker_main(void *arg)
{
    struct node *n = arg;
    int64_t period_ns = PL_MAX(n->cfg->runtime_config.period_ns, PL_NS_PER_S / 10);
    int64_t tick_ns = pl_now_mono_ns() + PL_NS_PER_S;
    int64_t reload_ns = pl_now_mono_ns() + period_ns;

    pl_mutex_lock(&n->lock);
    while (!n->stopping) {
        int64_t now_ns;
        if (pl_cond_wait_until(&n->wake, &n->lock, PL_MIN(tick_ns, reload_ns))) {
            continue;
        }
        pl_mutex_unlock(&n->lock);
        now_ns = pl_now_mono_ns();
        if (now_ns >= tick_ns) {
            distributor_tick(n->distributor, now_ns);
            tick_ns = now_ns + PL_NS_PER_S;
        }
        if (now_ns >= reload_ns) {
            reload(n);
            reload_ns = now_ns + period_ns;
        }
        pl_mutex_lock(&n->lock);
    }
    pl_mutex_unlock(&n->lock);
}

static pl_status check_target(const struct config *c, struct pl_err *err)
{
    if (!pl_str_eq(c->target, PL_STR("all"))) {
        return pl_fail(err, PL_UNIMPLEMENTED,
                       "-target=%.*s: this version runs every module in one process; use -target=all",
                       PL_STR_ARG(c->target));
    }
    return PL_OK;
}

static void make_url(struct node *n)
{
    pl_str a = n->cfg->server.http_listen_address;
    bool any = a.n == 0 || pl_str_eq(a, PL_STR("0.0.0.0")) || pl_str_eq(a, PL_STR("::"));

    a = any ? PL_STR("127.0.0.1") : a;
    (void)snprintf(n->url, sizeof(n->url), "%s://%.*s:%u",
                   n->cfg->server.http_tls_config.cert_file.n > 0 ? "https" : "http", PL_STR_ARG(a),
                   server_port(n->server));
    a = n->cfg->server.http_listen_address;
    (void)snprintf(n->address, sizeof(n->address), "%.*s:%u", PL_STR_ARG(a), server_port(n->server));
}

static pl_status start_server(struct node *n, struct pl_err *err)
{
    pl_status st = server_start(n->server, err);
    char why[PL_ERR_MSG_MAX];

    if (st == PL_CONFLICT) {
        memcpy(why, err->msg, sizeof(why));
        return pl_fail(err, st, "%s: another process has the port; take another with -server.http-listen-port=N", why);
    }
    return st;
}

pl_status node_start(struct node **out, struct config *cfg, struct pl_err *err)
{
    struct node *n = pl_new(struct node);
    pl_status st;

    n->cfg = cfg;
    pl_mutex_init(&n->lock, PL_RANK_APP);
    pl_cond_init(&n->wake);
    st = check_target(cfg, err);
    if (st == PL_OK) {
        st = overrides_create(&n->overrides, &cfg->limits, cfg->runtime_config.file, err);
        if (st != PL_OK) {
            pl_wrap(err, "-runtime-config.file=%.*s", PL_STR_ARG(cfg->runtime_config.file));
        }
    }
    if (st != PL_OK) {
        goto fail;
    }
    memory_guard_start(&n->memory, cfg->memory.limit);
    make_ingester(n);
    st = ingester_claim(n->ingester, err);
    if (st != PL_OK) {
        goto fail;
    }
    make_distributor(n);
    make_querier(n);
    make_server(n);
    add_routes(n);
    st = start_server(n, err);
    if (st != PL_OK) {
        goto fail;
    }
    make_url(n);
    pl_thread_start(&n->opener, "open-stores", opener_main, n);
    n->opener_started = true;
    pl_thread_start(&n->ticker, "ticker", ticker_main, n);
    n->ticker_started = true;
    if (cfg->self_scrape.interval_ns > 0) {
        n->selfscrape = selfscrape_start(n->distributor, PL_STR("fake"), pl_str_c(strstr(n->url, "//") + 2),
                                         cfg->self_scrape.interval_ns);
    }
    *out = n;
    return PL_OK;

fail:
    node_stop(n);
    return st;
}

/* Nothing was acknowledged while the stores were being opened, and a replay leaves its files as it found them, or as a
 * crash may leave them: so a long one is not waited for. */
static void opener_join(struct node *n)
{
    const int64_t deadline_ns = pl_now_mono_ns() + OPEN_WAIT_NS;
    bool opened;

    ingester_abandon(n->ingester);
    pl_mutex_lock(&n->lock);
    while (!n->opened && pl_cond_wait_until(&n->wake, &n->lock, deadline_ns)) {
    }
    opened = n->opened;
    pl_mutex_unlock(&n->lock);
    if (!opened) {
        pl_info(
            "stopped while a log was being replayed: the stores are left as they were; the next start replays them");
        _exit(0);
    }
    pl_thread_join(&n->opener);
}

void node_stop(struct node *n)
{
    if (n == NULL) {
        return;
    }
    selfscrape_stop(n->selfscrape);
    n->selfscrape = NULL;
    if (n->server != NULL) {
        server_stop(n->server, n->cfg->server.graceful_shutdown_timeout_ns);
    }
    pl_mutex_lock(&n->lock);
    n->stopping = true;
    pl_cond_broadcast(&n->wake);
    pl_mutex_unlock(&n->lock);
    if (n->ticker_started) {
        pl_thread_join(&n->ticker);
    }
    if (n->opener_started) {
        opener_join(n);
    }
    if (n->ingester != NULL) {
        ingester_stop(n->ingester);
    }
    server_destroy(n->server);
    querier_destroy(n->querier);
    distributor_destroy(n->distributor);
    ingester_destroy(n->ingester);
    memory_guard_stop(&n->memory);
    overrides_destroy(n->overrides);
    pl_cond_fini(&n->wake);
    pl_mutex_fini(&n->lock);
    pl_free(n);
}

const char *node_url(const struct node *n)
{
    return n->url;
}

const char *node_address(const struct node *n)
{
    return n->address;
}

bool node_failed(struct node *n, struct pl_err *err)
{
    bool failed;

    pl_mutex_lock(&n->lock);
    failed = n->failed;
    if (failed) {
        *err = n->failure;
    }
    pl_mutex_unlock(&n->lock);
    return failed;
}
