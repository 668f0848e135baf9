/* ctl/load_stats.h - what came back: counts by status and a histogram of latencies (each bucket 1/32 wider than the one
 * before). */
#ifndef PL_CTL_LOAD_STATS_H
#define PL_CTL_LOAD_STATS_H

#include "base/base.h"

enum { LOAD_BUCKETS = 64 * 32, LOAD_STATUSES = 600 };

struct load_stats {
    uint64_t requests, samples, bytes;
    uint64_t status[LOAD_STATUSES]; /* [0]: no answer came */
    uint64_t latency[LOAD_BUCKETS];
    uint64_t latency_ns_max, latency_ns_sum;
    char first_error[512]; /* text of the first answer that was not 2xx */
};

void load_stats_add(struct load_stats *s, int status, uint64_t latency_ns, uint64_t samples, uint64_t bytes);
void load_stats_merge(struct load_stats *to, const struct load_stats *from);
/* Latency that `share` (0 .. 1) of the requests did not exceed, at most 3 % too high. */
uint64_t load_stats_quantile(const struct load_stats *s, double share);
uint64_t load_stats_failed(const struct load_stats *s); /* requests without a 2xx */

#endif
