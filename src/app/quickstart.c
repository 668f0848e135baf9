#include "app/quickstart.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/memory.h"

#include <stdio.h>
#include <unistd.h>

/* Everything below ./data, nothing but this machine, and limits that one user on one machine does not meet by accident.
 */
static const struct config_preset profile[] = {
    {"target", "all"},
    {"auth.enabled", "false"},
    {"server.http-listen-address", "127.0.0.1"},
    {"server.http-listen-port", "9009"},
    {"server.grpc-listen-address", "127.0.0.1"},
    {"server.grpc-listen-port", "9095"},
    {"ring.store", "inmemory"},
    {"distributor.replication-factor", "1"},
    {"blocks-storage.backend", "filesystem"},
    {"blocks-storage.filesystem.dir", "./data/blocks"},
    {"blocks-storage.tsdb.dir", "./data/tsdb"},
    {"blocks-storage.tsdb.retention-period", "360h"},
    {"distributor.ingestion-rate-limit", "10000000"},
    {"distributor.ingestion-burst-size", "20000000"},
    {"ingester.max-series-per-metric", "0"},
    {"blocks-storage.tsdb.enable-native-histograms", "true"},
    {"self-scrape.interval", "15s"},
};

const struct config_preset *quickstart_profile(size_t *n)
{
    *n = PL_ARRAY_LEN(profile);
    return profile;
}

pl_status quickstart_apply(struct config *cfg, struct pl_err *err)
{
    for (size_t i = 0; i < PL_ARRAY_LEN(profile); i++) {
        PL_TRY(config_set(cfg, profile[i].flag, profile[i].value, err));
    }
    return PL_OK;
}

/* ---- what is said ---- */

/* The values that the profile's options have now, or have in the profile alone. */
struct values {
    struct pl_arena arena;
    pl_str v[PL_ARRAY_LEN(profile)];
};

static void keep_value(void *arg, pl_str name, pl_str value)
{
    struct values *x = arg;

    for (size_t i = 0; i < PL_ARRAY_LEN(profile); i++) {
        if (pl_str_eq(name, pl_str_c(profile[i].flag))) {
            x->v[i] = pl_arena_str(&x->arena, value);
        }
    }
}

static void read_values(struct values *out, const struct config *cfg)
{
    *out = (struct values){0};
    pl_arena_init(&out->arena, 0);
    config_flags(cfg, keep_value, out);
}

/* As a command line; what file or flags changed is left out, they show it. */
static void print_profile(const struct config *cfg)
{
    struct values now, own;
    struct config *alone;
    size_t shown = 0;

    config_default(&alone);
    if (quickstart_apply(alone, NULL) == PL_OK) {
        read_values(&now, cfg);
        read_values(&own, alone);
        for (size_t i = 0; i < PL_ARRAY_LEN(profile); i++) {
            if (pl_str_eq(now.v[i], own.v[i])) {
                (void)fprintf(stderr, "%s -%s=%s", shown % 3 == 0 ? "\n " : "", profile[i].flag, profile[i].value);
                shown++;
            }
        }
        pl_arena_fini(&now.arena);
        pl_arena_fini(&own.arena);
    }
    config_destroy(alone);
    (void)fprintf(stderr, "\n\n");
}

static void print_data(const struct config *cfg)
{
    const pl_str dir = cfg->blocks_storage.tsdb.dir;
    const int64_t kept_ns = cfg->blocks_storage.tsdb.retention_period_ns;
    char cwd[4096];

    if ((dir.n > 0 && dir.p[0] == '/') || getcwd(cwd, sizeof(cwd)) == NULL) {
        cwd[0] = '\0';
    }
    (void)fprintf(stderr, "  Data         %s%s%.*s (a restart finds all of it again; ", cwd, cwd[0] != '\0' ? "/" : "",
                  PL_STR_ARG(pl_str_starts(dir, PL_STR("./")) ? pl_str_sub(dir, 2, dir.n) : dir));
    if (kept_ns > 0 && pl_str_eq(cfg->blocks_storage.backend, PL_STR("filesystem"))) {
        (void)fprintf(stderr, "blocks older than %lld days are deleted)\n",
                      (long long)(kept_ns / (24 * 3600 * PL_NS_PER_S)));
    } else {
        (void)fprintf(stderr, "nothing is ever deleted)\n");
    }
}

static bool is_loopback(pl_str address)
{
    return pl_str_starts(address, PL_STR("127.")) || pl_str_eq(address, PL_STR("::1")) ||
           pl_str_eq(address, PL_STR("localhost"));
}

void quickstart_announce(const struct config *cfg, const char *url, bool changed)
{
    (void)fprintf(stderr, "\nPallium runs with its quick-start profile (%s).\n\n  Open         %s\n",
                  changed ? "-quick-start; file and flags are over it" : "no arguments were given", url);
    print_data(cfg);
    (void)fprintf(
        stderr,
        "  Memory       up to %llu MiB, then new queries and new series are refused (-memory.limit)\n"
        "  Grafana      add a Prometheus data source with the URL %s/prometheus\n"
        "  Prometheus   paste into prometheus.yml:\n"
        "\n"
        "remote_write:\n"
        "  - url: %s/api/v1/push\n"
        "\n"
        "What is not safe about this set-up: one copy of the data on one disk, no passwords and no TLS%s. %s\n"
        "The profile stays, and flags change it, with -quick-start: pallium -quick-start "
        "-server.http-listen-port=9010.\n"
        "Its options (%s/config?mode=diff shows all that are not Cortex's defaults):\n",
        (unsigned long long)(pl_memory_limit() >> 20), url, url,
        is_loopback(cfg->server.http_listen_address) ? " (so it listens on this\nmachine only)"
                                                     : "; whoever reaches the port\nmay read and write",
        cfg->auth_enabled ? "" : "Every writer is the one tenant \"fake\".", url);
    print_profile(cfg);
}
