/* ctl/load_run.h - one run of palliumctl load: connections that write, a progress line, a report.
 *
 * Promise: writes what the options say and prints the report to standard output; stops early, after the requests in
 * flight, on SIGINT and SIGTERM. Threads: called once, from main. Not here: the command line (load.c).
 */
#ifndef PL_CTL_LOAD_RUN_H
#define PL_CTL_LOAD_RUN_H

#include "ctl/ctl.h"

enum { LOAD_CONCURRENCY_MAX = 256, LOAD_TENANTS_MAX = 100000 };
#define LOAD_PASSES_ENDLESS (UINT64_MAX / 2) /* until the duration is over */

/* As the flags of the same names; checked by the caller. */
struct load_options {
    const char *url, *path, *tenant, *tenant_prefix; /* tenant: the one and only; NULL: prefix and number */
    struct ctl_list headers;
    uint64_t tenants, series, labels, metrics, series_per_request, samples_per_request, samples_per_series, passes,
        concurrency, seed;
    double rate, churn;
    int64_t interval_ns, duration_ns, start_ms, step_ns, timeout_ns;
    bool json, quiet, keep_going, repack;
};

/* The exit code: 0 when every request got a 2xx, else 1. */
int load_run(const struct load_options *o);

#endif
