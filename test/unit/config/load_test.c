/* The way from arguments and a file to a config: order, texts, exit codes. */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/internal.h"

enum { SECOND = 1000000000 };

static char file_path[64];

static const char *write_file(const char *text)
{
    (void)snprintf(file_path, sizeof(file_path), "/tmp/pl_config_XXXXXX");
    int fd = mkstemp(file_path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(close(fd), 0);
    return file_path;
}

struct outcome {
    struct config *cfg;
    struct config_result res;
    pl_status status;
};

/* Runs `pallium ARGS`; text, when given, becomes the file of -config.file. */
static struct outcome run(const char *text, const char *const *args)
{
    struct outcome o = {0};
    char *argv[16] = {pl_str_dup(PL_STR("pallium"))};
    char flag[96];
    int argc = 1;
    struct pl_err err;

    if (text != NULL) {
        (void)snprintf(flag, sizeof(flag), "-config.file=%s", write_file(text));
        argv[argc++] = pl_str_dup(pl_str_c(flag));
    }
    for (; args != NULL && *args != NULL; args++) {
        argv[argc++] = pl_str_dup(pl_str_c(*args));
    }
    o.status = config_load(&o.cfg, argc, argv, &o.res, &err);
    o.res.file = PL_STR_NULL; /* a view of argv */
    pl_buf_byte(&o.res.err, '\0');
    pl_buf_byte(&o.res.out, '\0');
    for (int i = 0; i < argc; i++) {
        pl_free(argv[i]);
    }
    if (text != NULL) {
        (void)unlink(file_path);
    }
    return o;
}
#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void done(struct outcome *o)
{
    config_destroy(o->cfg);
    config_result_fini(&o->res);
}

static void good(const struct outcome *o)
{
    if (o->status != PL_OK || o->res.exit || o->cfg == NULL) {
        fail_msg("did not load: %s", o->res.err.p);
    }
}

/* `%F` in the wanted text is the file's name. */
static void bad(struct outcome *o, int code, const char *want)
{
    char text[4096];
    const char *f = strstr(want, "%F");

    assert_null(o->cfg);
    assert_true(o->res.exit);
    assert_int_equal(o->res.exit_code, code);
    (void)snprintf(text, sizeof(text), "%.*s%s%s", f != NULL ? (int)(f - want) : (int)strlen(want), want,
                   f != NULL ? file_path : "", f != NULL ? f + 2 : "");
    assert_string_equal(o->res.err.p, text);
    done(o);
}

/* -quick-start puts a preset between the defaults and what was given; without it the preset is nothing. */
static void preset_is_below_flags(void **state)
{
    static const struct config_preset preset[] = {{"auth.enabled", "false"}, {"server.http-listen-port", "9009"}};
    static const struct config_preset broken[] = {{"no.such-flag", "1"}};
    static char name[] = "pallium", port[] = "-server.http-listen-port=9010", on[] = "-quick-start",
                off[] = "-quick-start=false";
    char *with[] = {name, port, on, NULL};
    char *without[] = {name, port, off, NULL};
    struct config_result res;
    struct config *cfg = NULL;
    struct pl_err err;

    (void)state;
    assert_int_equal(config_load_over(&cfg, preset, 2, 3, with, &res, &err), PL_OK);
    assert_false(cfg->auth_enabled);
    assert_int_equal(cfg->server.http_listen_port, 9010);
    assert_true(cfg->process.quick_start && config_is_set(cfg, "auth.enabled"));
    config_destroy(cfg);
    config_result_fini(&res);
    assert_int_equal(config_load_over(&cfg, preset, 2, 3, without, &res, &err), PL_OK);
    assert_true(cfg->auth_enabled);
    config_destroy(cfg);
    config_result_fini(&res);
    assert_int_not_equal(config_load_over(&cfg, broken, 1, 3, with, &res, &err), PL_OK);
    assert_true(res.exit && res.exit_code == 1);
    config_result_fini(&res);
}

static void no_arguments(void **state)
{
    struct outcome o = run(NULL, NULL);

    (void)state;
    bad(&o, 1,
        "please set configuration file. For example: "
        "-config.file=./docs/configuration/single-process-config-blocks-local.yaml\n");
}

static void file_then_flags(void **state)
{
    (void)state;
    struct outcome o = run("server:\n  http_listen_port: 9009\n  graceful_shutdown_timeout: 5s\nauth_enabled: false\n",
                           ARGS("--server.http-listen-port", "9010", "-auth.enabled", "-limits.query-store-after=1d"));
    good(&o);
    assert_int_equal(o.cfg->server.http_listen_port, 9010);
    assert_int_equal(o.cfg->server.graceful_shutdown_timeout_ns, 5LL * SECOND);
    assert_true(o.cfg->auth_enabled);
    assert_int_equal(o.cfg->limits.query_store_after_ns, 86400LL * SECOND);
    assert_int_equal(o.cfg->server.http_server_read_timeout_ns, 30LL * SECOND);
    assert_true(config_is_set(o.cfg, "server.graceful-shutdown-timeout"));
    assert_false(config_is_set(o.cfg, "server.http-read-timeout"));
    assert_int_equal(strlen(o.res.file_sha256), 64);
    done(&o);
}

static void lists_grow_by_flags(void **state)
{
    (void)state;
    struct outcome o =
        run("memberlist:\n  join_members: [a, b]\nblocks_storage:\n  tsdb:\n    block_ranges_period: [2h, 12h]\n",
            ARGS("-memberlist.join=c", "-ingester.lifecycler.interface=lo", "-compactor.block-ranges=1h,2h",
                 "-distributor.promote-resource-attributes=x,y"));
    good(&o);
    assert_int_equal(o.cfg->memberlist.join_members.n, 3);
    assert_true(pl_str_eq(o.cfg->memberlist.join_members.v[2], PL_STR("c")));
    assert_int_equal(o.cfg->ingester.lifecycler.interface_names.n, 3); /* as Cortex: eth0, en0, lo */
    assert_int_equal(o.cfg->compactor.block_ranges.n, 2);
    assert_int_equal(o.cfg->limits.promote_resource_attributes.n, 2);
    assert_int_equal(o.cfg->blocks_storage.tsdb.block_ranges_period.v[1], 43200LL * SECOND);
    done(&o);
}

static void wrong_flags(void **state)
{
    static const struct {
        const char *args[3];
        const char *want;
    } cases[] = {
        {{"-server.http-listen-prt=1"},
         "flag provided but not defined: -server.http-listen-prt\nDid you mean -server.http-listen-port?\n"},
        {{"-xyzzy"}, "flag provided but not defined: -xyzzy\n"},
        {{"-server.http-listen-port=x"}, "invalid value \"x\" for flag -server.http-listen-port: parse error\n"},
        {{"-server.http-listen-port=99999999999999999999"},
         "invalid value \"99999999999999999999\" for flag -server.http-listen-port: value out of range\n"},
        {{"-auth.enabled=maybe"}, "invalid boolean value \"maybe\" for -auth.enabled: parse error\n"},
        {{"-querier.timeout=1d"},
         "invalid value \"1d\" for flag -querier.timeout: time: unknown unit \"d\" in duration \"1d\"\n"},
        {{"-store.max-query-length=1.5h"},
         "invalid value \"1.5h\" for flag -store.max-query-length: not a valid duration string: \"1.5h\"\n"},
        {{"-target"}, "flag needs an argument: -target\n"},
        {{"---target=all"}, "bad flag syntax: ---target=all\n"},
        {{"-=x"}, "bad flag syntax: -=x\n"},
        {{"-auth.enabled", "false"},
         "unexpected argument: \"false\" is not a flag (a switch is turned off by -name=false)\n"},
    };

    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        char want[512];
        struct outcome o = run(NULL, ARGS(cases[i].args[0], cases[i].args[1], cases[i].args[2]));
        (void)snprintf(want, sizeof(want), "%sRun with -help to get list of available parameters\n", cases[i].want);
        bad(&o, 2, want);
    }
}

static void wrong_files(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"server:\n  http_listen_prt: 1\n", "yaml: unmarshal errors:\n  line 2: field http_listen_prt not found in "
                                            "server; did you mean http_listen_port?"},
        {"http_listen_port: 1\n", "yaml: unmarshal errors:\n  line 1: field http_listen_port not found in the top "
                                  "level; there is server.http_listen_port"},
        {"target: all\n\nquerier:\n  timeout: soon\n  max_samples: x\n",
         "yaml: unmarshal errors:\n  line 4: cannot unmarshal !!str `soon` into duration (querier.timeout): time: "
         "invalid duration \"soon\"\n"
         "  line 5: cannot unmarshal !!str `x` into int (querier.max_samples)"},
        {"auth_enabled: \"true\"\n",
         "yaml: unmarshal errors:\n  line 1: cannot unmarshal !!str `true` into bool (auth_enabled)"},
        {"server: [1]\n", "yaml: unmarshal errors:\n  line 1: cannot unmarshal !!seq into map (server)"},
        {"- a\n", "yaml: unmarshal errors:\n  line 1: cannot unmarshal !!seq into the configuration; keys and values "
                  "are needed"},
        {"target: a\ntarget: b\n",
         "yaml: unmarshal errors:\n  line 2: key \"target\" already set in map (first on line 1)"},
        {"a: [\n", "yaml: line 2: did not find expected node content"},
        {"server:\n  http_listen_port: 1.5\n",
         "yaml: unmarshal errors:\n  line 2: cannot unmarshal !!float `1.5` into int (server.http_listen_port)"},
        {"blocks_storage:\n  s3:\n    secret_access_key: [hush]\n",
         "yaml: unmarshal errors:\n  line 3: cannot unmarshal !!seq into string (blocks_storage.s3.secret_access_key)"},
    };

    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        char want[1024];
        struct outcome o = run(cases[i].text, NULL);
        (void)snprintf(want, sizeof(want), "error loading config from %%F: Error parsing config file: %s\n",
                       cases[i].want);
        bad(&o, 1, want);
    }
    struct outcome o = run(NULL, ARGS("-config.file=/nonexistent/x.yaml"));
    bad(&o, 1,
        "error loading config from /nonexistent/x.yaml: Error reading config file: open /nonexistent/x.yaml: no such "
        "file or directory\n");
}

static void invalid_values(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"server:\n", "the Server configuration in YAML has been specified as an empty YAML node"},
        {"limits: ~\n", "the LimitsConfig configuration in YAML has been specified as an empty YAML node"},
        {"query_range:\n", "the QueryRange configuration in YAML has been specified as an empty YAML node"},
        {"http_prefix: api\n", "HTTP prefix should be empty or start with /"},
        {"name_validation_scheme: all\n", "unsupported name validation scheme: all"},
        {"target: ingester,foo\n", "unrecognised module name: foo"},
        {"server: {log_level: loud}\n", "invalid server config: unrecognized log level \"loud\""},
        {"api: {querier_default_codec: xml}\n",
         "invalid api config: unsupported default codec type. Supported types are 'json' and 'protobuf'"},
        {"blocks_storage: {backend: tape}\n", "invalid TSDB config: unsupported storage backend"},
        {"blocks_storage: {tsdb: {block_ranges_period: []}}\n", "invalid TSDB config: empty block ranges for TSDB"},
        {"blocks_storage: {tsdb: {stripe_size: 3}}\n", "invalid TSDB config: invalid TSDB stripe size"},
        {"blocks_storage: {tsdb: {wal_compression_type: lz4}}\n",
         "invalid TSDB config: unsupported WAL compression type, valid types are (zstd, snappy and '')"},
        {"limits: {max_global_series_per_user: 1}\n", "invalid limits config: the ingester.max-global-series-per-user "
                                                      "limit is unsupported if distributor.shard-by-all-labels is "
                                                      "disabled"},
        {"limits: {ha_tracker_failover_timeout: 20s}\n",
         "invalid limits config: HA Tracker failover timeout (20s) must be at least 1s greater than update timeout - "
         "max jitter (21s)"},
        {"limits: {query_ingesters_within: 1h, query_store_after: 2h}\n",
         "invalid query routing config: tenant default: query_store_after (2h0m0s) must be less than "
         "query_ingesters_within (1h0m0s)"},
        {"distributor: {sharding_strategy: none}\n", "invalid distributor config: invalid sharding strategy"},
        {"distributor: {ha_tracker: {kvstore: {store: inmemory}}}\n",
         "invalid distributor config: invalid HATracker KV store type: inmemory"},
        {"querier: {response_compression: lz4}\n", "invalid querier config: unsupported response compression. "
                                                   "Supported compression 'gzip', 'snappy', 'zstd' and '' (disable "
                                                   "compression)"},
        {"compactor: {block_ranges: [2h, 3h]}\n", "invalid compactor config: compactor block range periods should be "
                                                  "divisible by the previous one, but 3h0m0s is not divisible by "
                                                  "2h0m0s"},
        {"frontend_worker: {frontend_address: a, scheduler_address: b}\n",
         "invalid frontend_worker config: frontend address and scheduler address are mutually exclusive, please use "
         "only one"},
    };

    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        char want[1024];
        struct outcome o = run(cases[i].text, NULL);
        (void)snprintf(want, sizeof(want), "error validating config: %s\n", cases[i].want);
        bad(&o, 1, want);
    }
}

static void environment(void **state)
{
    (void)state;
    assert_int_equal(setenv("PL_TEST_PORT", "9123", 1), 0);
    assert_int_equal(setenv("PL_TEST_EMPTY", "", 1), 0);
    struct outcome o = run(
        "server:\n  http_listen_port: ${PL_TEST_PORT}\n  log_level: ${PL_TEST_EMPTY:warn}\nhttp_prefix: $PL_TEST_NONE\n"
        "limits:\n  ha_cluster_label: a$$b\n  ha_replica_label: ${PL_TEST_NONE:x:y}\n  drop_labels: [\"a$\", "
        "\"${}c\"]\n",
        ARGS("-config.expand-env"));
    good(&o);
    assert_int_equal(o.cfg->server.http_listen_port, 9123);
    assert_true(pl_str_eq(o.cfg->server.log_level, PL_STR("warn")));
    assert_int_equal(o.cfg->http_prefix.n, 0);
    assert_true(pl_str_eq(o.cfg->limits.ha_cluster_label, PL_STR("ab")));
    assert_true(pl_str_eq(o.cfg->limits.ha_replica_label, PL_STR("x:y")));
    assert_true(pl_str_eq(o.cfg->limits.drop_labels.v[0], PL_STR("a$")));
    assert_true(pl_str_eq(o.cfg->limits.drop_labels.v[1], PL_STR("c")));
    done(&o);
    o = run("http_prefix: /$PL_TEST_PORT\n", NULL); /* not without the flag */
    good(&o);
    assert_true(pl_str_eq(o.cfg->http_prefix, PL_STR("/$PL_TEST_PORT")));
    done(&o);
}

static void printing_flags(void **state)
{
    struct outcome o = run(NULL, ARGS("-target=all", "-help"));

    (void)state;
    assert_true(o.res.exit);
    assert_int_equal(o.res.exit_code, 2);
    assert_non_null(strstr(o.res.out.p, "  -server.http-listen-port <int>  (default 80)\n"));
    assert_non_null(strstr(o.res.out.p, "[Pallium's own]"));
    done(&o);
    o = run(NULL, ARGS("-version"));
    assert_int_equal(o.res.exit_code, 0);
    assert_non_null(strstr(o.res.out.p, "pallium, version "));
    done(&o);
    o = run(NULL, ARGS("-modules"));
    assert_true(o.res.exit);
    assert_int_equal(o.res.exit_code, 0);
    assert_non_null(strstr(o.res.out.p, "ingester *\n"));
    assert_non_null(strstr(o.res.out.p, "query-scheduler\n"));
    done(&o);
    o = run("auth_enabled: false\n", ARGS("-print.config"));
    assert_true(o.res.exit);
    assert_non_null(strstr(o.res.out.p, "target: all\nauth_enabled: false\n"));
    done(&o);
}

static void secrets_are_hidden(void **state)
{
    struct pl_buf b = {0};
    struct outcome o = run("blocks_storage:\n  s3:\n    secret_access_key: hush\n    access_key_id: me\n"
                           "alertmanager:\n  external_url: http://u:hush@host/a\n",
                           ARGS("-ring.store=etcd", "-etcd.password=hush"));

    (void)state;
    good(&o);
    assert_true(pl_str_eq(o.cfg->blocks_storage.s3.secret_access_key, PL_STR("hush")));
    config_print(&b, o.cfg, CONFIG_PRINT_DIFF);
    pl_buf_byte(&b, '\0');
    assert_string_equal(b.p, "ingester:\n  lifecycler:\n    ring:\n      kvstore:\n        store: etcd\n        etcd:\n"
                             "          password: '********'\n"
                             "blocks_storage:\n  s3:\n    secret_access_key: '********'\n    access_key_id: me\n"
                             "alertmanager:\n  external_url: http://u:********@host/a\n");
    pl_buf_fini(&b);
    done(&o);
}

/* Options that only Cortex 1.9 had, and those that moved since. */
static void a_config_of_cortex_1_9(void **state)
{
    static const char text[] = "auth_enabled: true\n"
                               "distributor:\n"
                               "  pool:\n"
                               "    client_cleanup_period: 20s\n"
                               "    health_check_ingesters: true\n"
                               "  ha_tracker:\n"
                               "    enable_ha_tracker: true\n"
                               "    ha_tracker_update_timeout: 10s\n"
                               "    ha_tracker_update_timeout_jitter_max: 2s\n"
                               "    ha_tracker_failover_timeout: 45s\n"
                               "    kvstore:\n"
                               "      store: etcd\n"
                               "      prefix: ha/\n"
                               "      consul:\n"
                               "        host: consul:8500\n"
                               "        acl_token: t\n"
                               "        http_client_timeout: 10s\n"
                               "        consistent_reads: true\n"
                               "        watch_rate_limit: 2\n"
                               "        watch_burst_size: 3\n"
                               "      etcd:\n"
                               "        endpoints: [etcd-1:2379, etcd-2:2379]\n"
                               "        dial_timeout: 5s\n"
                               "        max_retries: 3\n"
                               "        tls_enabled: true\n"
                               "        tls_ca_path: /ca.pem\n"
                               "        username: u\n"
                               "        password: p\n"
                               "  max_recv_msg_size: 1048576\n"
                               "  remote_timeout: 3s\n"
                               "  extra_queue_delay: 100ms\n"
                               "  sharding_strategy: shuffle-sharding\n"
                               "  shard_by_all_labels: true\n"
                               "  extend_writes: false\n"
                               "  ring:\n"
                               "    kvstore:\n"
                               "      store: consul\n"
                               "    heartbeat_period: 6s\n"
                               "    heartbeat_timeout: 2m\n"
                               "    instance_interface_names: [eth1]\n"
                               "  instance_limits:\n"
                               "    max_ingestion_rate: 1e6\n"
                               "    max_inflight_push_requests: 100\n"
                               "limits:\n"
                               "  ingestion_tenant_shard_size: 3\n"
                               "  max_series_per_query: 10\n"
                               "  cardinality_limit: 1000\n"
                               "schema:\n"
                               "  configs:\n"
                               "  - from: 2020-01-01\n"
                               "    store: boltdb\n"
                               "storage:\n"
                               "  engine: chunks\n"
                               "  boltdb:\n"
                               "    directory: /tmp/index\n"
                               "  cassandra:\n"
                               "    SSL: true\n"
                               "    CA_path: /ca.pem\n"
                               "  index_queries_cache_config:\n"
                               "    memcached_client:\n"
                               "      host: memcached\n"
                               "chunk_store:\n"
                               "  chunk_cache_config:\n"
                               "    enable_fifocache: true\n"
                               "table_manager:\n"
                               "  retention_period: 24h\n"
                               "  index_tables_provisioning:\n"
                               "    write_scale:\n"
                               "      enabled: true\n"
                               "ingester:\n"
                               "  walconfig:\n"
                               "    wal_enabled: true\n"
                               "  max_chunk_idle_time: 1h\n"
                               "querier:\n"
                               "  query_ingesters_within: 12h\n"
                               "  at_modifier_enabled: true\n"
                               "frontend:\n"
                               "  max_outstanding_per_tenant: 7\n"
                               "purger:\n"
                               "  enable: true\n";
    struct outcome o = run(text, ARGS("-store.chunks-cache.memcached.hostname=m", "-dynamodb.url=inmemory:///",
                                      "-ingester.spread-flushes=false", "-store.query-chunk-limit=5"));
    const struct config_ha_tracker *ha;
    struct pl_buf b = {0};

    (void)state;
    good(&o);
    ha = &o.cfg->distributor.ha_tracker;
    assert_true(pl_str_eq(ha->kvstore.store, PL_STR("etcd")));
    assert_int_equal(ha->kvstore.etcd.endpoints.n, 2);
    assert_true(ha->kvstore.etcd.tls_enabled);
    assert_true(pl_str_eq(ha->kvstore.consul.host, PL_STR("consul:8500")));
    assert_true(o.cfg->distributor.instance_limits.max_ingestion_rate == 1e6);
    assert_false(o.cfg->distributor.extend_writes);
    assert_int_equal(o.cfg->distributor.extra_queue_delay_ns, SECOND / 10);
    /* moved */
    assert_int_equal(o.cfg->limits.ha_tracker_failover_timeout_ns, 45LL * SECOND);
    assert_int_equal(o.cfg->limits.query_ingesters_within_ns, 43200LL * SECOND);
    assert_int_equal(o.cfg->limits.max_outstanding_requests_per_tenant, 7);
    /* only there */
    assert_true(pl_str_eq(o.cfg->chunk_store.chunk_cache_config.memcached_client.host, PL_STR("m")));
    assert_true(pl_str_eq(o.cfg->storage.index_queries_cache_config.memcached_client.host, PL_STR("memcached")));
    assert_true(pl_str_eq(o.cfg->storage.index_queries_cache_config.prefix, PL_STR("store.index-cache-read.")));
    assert_true(o.cfg->storage.bigtable.grpc_client_config.tls_enabled);
    assert_false(o.cfg->frontend.grpc_client_config.tls_enabled);
    assert_int_equal(o.cfg->limits.max_chunks_per_query, 5);
    assert_true(o.cfg->storage.cassandra.SSL);
    config_print(&b, o.cfg, CONFIG_PRINT_FULL);
    assert_true(
        pl_str_find_str(pl_buf_view(&b), PL_STR("\nschema:\n  configs:\n  - from: 2020-01-01\n    store: boltdb\n")) !=
        SIZE_MAX);
    pl_buf_fini(&b);
    config_warn_ignored(o.cfg);
    done(&o);
}

static void config_set_remembers(void **state)
{
    struct config *cfg;
    struct pl_err err;
    struct pl_buf b = {0};

    (void)state;
    config_default(&cfg);
    assert_int_equal(config_set(cfg, "self-scrape.interval", "15s", &err), PL_OK);
    assert_int_equal(config_set(cfg, "auth.enabled", "false", &err), PL_OK);
    assert_int_equal(cfg->self_scrape.interval_ns, 15LL * SECOND);
    assert_true(config_is_set(cfg, "auth.enabled"));
    assert_int_equal(config_set(cfg, "auth.enabled", "no", &err), PL_INVALID);
    assert_int_equal(config_set(cfg, "no.such", "1", &err), PL_INVALID);
    config_print(&b, cfg, CONFIG_PRINT_DIFF);
    assert_true(pl_str_eq(pl_buf_view(&b), PL_STR("auth_enabled: false\nself_scrape:\n  interval: 15s\n")));
    pl_buf_reset(&b);
    config_print(&b, cfg, CONFIG_PRINT_DEFAULTS);
    assert_true(pl_str_find_str(pl_buf_view(&b), PL_STR("self_scrape")) == SIZE_MAX);
    pl_buf_fini(&b);
    assert_true(config_target_has(cfg, "ingester"));
    assert_false(config_target_has(cfg, "query-scheduler"));
    config_destroy(cfg);
}

/* palliumctl config check: everything at once, by line. */
static void check_file_collects(void **state)
{
    static const struct {
        int line;
        bool warning;
        const char *text;
    } want[] = {
        {0, true, "blocks_storage.backend=s3: this version ships no blocks; all blocks stay under tsdb only"},
        {2, false, "field http_prt not found in server"},
        {3, false, "cannot unmarshal !!str `abc` into int (server.grpc_listen_port)"},
        {5, true, "nothing acts on distributor.extend_writes yet"},
        {6, true, "section distributor.ring is empty; its defaults stay"},
        {7, true, "querier.ingester_streaming is deprecated and does nothing"},
    };
    struct config_issues issues;
    struct pl_err err;
    const char *path = write_file("server:\n  http_prt: 1\n  grpc_listen_port: abc\ndistributor:\n  extend_writes: "
                                  "false\n  ring:\nquerier: {ingester_streaming: true}\n");

    (void)state;
    assert_int_equal(config_check_file(&issues, path, false, &err), PL_OK);
    assert_int_equal(issues.n, PL_ARRAY_LEN(want));
    for (size_t i = 0; i < issues.n; i++) {
        assert_int_equal(issues.v[i].line, want[i].line);
        assert_int_equal(issues.v[i].warning, want[i].warning);
        assert_int_equal(strncmp(issues.v[i].text, want[i].text, strlen(want[i].text)), 0);
    }
    config_issues_fini(&issues);
    (void)unlink(path);
    path = write_file("a: b: c\n");
    assert_int_equal(config_check_file(&issues, path, false, &err), PL_OK);
    assert_int_equal(issues.n, 1);
    assert_int_equal(issues.v[0].line, 1);
    assert_string_equal(issues.v[0].text, "mapping values are not allowed in this context");
    config_issues_fini(&issues);
    (void)unlink(path);
    path = write_file("\nlimits:\n");
    assert_int_equal(config_check_file(&issues, path, false, &err), PL_OK);
    assert_int_equal(issues.n, 2); /* and where blocks are kept */
    assert_int_equal(issues.v[1].line, 2);
    config_issues_fini(&issues);
    (void)unlink(path);
    assert_int_equal(config_check_file(&issues, "/nonexistent", false, &err), PL_IO);
}

static void deprecated_flags_are_taken(void **state)
{
    (void)state;
    struct outcome o = run(NULL, ARGS("-ruler.num-workers=3", "-mem-ballast-size-bytes=1",
                                      "-experimental.ruler.enable-api=true", "-alertmanager.enable-api"));
    good(&o);
    assert_true(o.cfg->ruler.enable_api);
    assert_true(o.cfg->alertmanager.enable_api);
    assert_int_equal(o.cfg->state->deprecated_count, 2);
    config_warn_ignored(o.cfg);
    done(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(preset_is_below_flags),
        cmocka_unit_test(no_arguments),
        cmocka_unit_test(file_then_flags),
        cmocka_unit_test(lists_grow_by_flags),
        cmocka_unit_test(wrong_flags),
        cmocka_unit_test(wrong_files),
        cmocka_unit_test(invalid_values),
        cmocka_unit_test(environment),
        cmocka_unit_test(printing_flags),
        cmocka_unit_test(secrets_are_hidden),
        cmocka_unit_test(a_config_of_cortex_1_9),
        cmocka_unit_test(config_set_remembers),
        cmocka_unit_test(check_file_collects),
        cmocka_unit_test(deprecated_flags_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
