/* app/process_metrics.h - what the operating system knows of this process, under the names that dashboards use. */
#ifndef PL_APP_PROCESS_METRICS_H
#define PL_APP_PROCESS_METRICS_H

#include "base/base.h"

/* What was built; empty texts outside of git. Static. */
struct process_build {
    pl_str revision, branch, date;
};
struct process_build process_build(void);

/* Registers the collector (once, at start). config_sha256: hex, of the config file before expansion; empty: none. */
void process_metrics_register(pl_str config_sha256);

#endif
