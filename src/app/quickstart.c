#include "app/quickstart.h"

#include "base/memory.h"

#include <stdio.h>
#include <unistd.h>

/* Everything below ./data, nothing but this machine, and limits that one user on one machine does not meet by accident.
 */
static const struct {
    const char *flag, *value;
} profile[] = {
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
    {"self-scrape.interval", "15s"},
};

pl_status quickstart_apply(struct config *cfg, struct pl_err *err)
{
    for (size_t i = 0; i < PL_ARRAY_LEN(profile); i++) {
        PL_TRY(config_set(cfg, profile[i].flag, profile[i].value, err));
    }
    return PL_OK;
}

void quickstart_announce(const char *url)
{
    char cwd[4096];

    if (getcwd(cwd, sizeof(cwd)) == NULL) {
        cwd[0] = '\0';
    }
    (void)fprintf(stderr,
                  "\n"
                  "Pallium runs with its quick-start profile (no arguments were given).\n"
                  "\n"
                  "  Open         %s\n"
                  "  Data         %s/data (a restart finds all of it again; blocks older than 15 days are deleted)\n"
                  "  Memory       up to %llu MiB, then new queries and new series are refused (-memory.limit)\n"
                  "  Grafana      add a Prometheus data source with the URL %s/prometheus\n"
                  "  Prometheus   paste into prometheus.yml:\n"
                  "\n"
                  "remote_write:\n"
                  "  - url: %s/api/v1/push\n"
                  "\n"
                  "What is not safe about this set-up: one copy of the data on one disk, no passwords and no TLS (so "
                  "it listens on\n"
                  "127.0.0.1 only), every writer is the one tenant \"fake\". The options of the profile, all shown by "
                  "%s/config?mode=diff:\n"
                  "\n ",
                  url, cwd, (unsigned long long)(pl_memory_limit() >> 20), url, url, url);
    for (size_t i = 0; i < PL_ARRAY_LEN(profile); i++) {
        (void)fprintf(stderr, " -%s=%s%s", profile[i].flag, profile[i].value, i % 3 == 2 ? "\n " : "");
    }
    (void)fprintf(stderr, "\n\n");
}
