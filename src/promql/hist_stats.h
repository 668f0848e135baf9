/* promql/hist_stats.h - histograms of which only count and sum are asked (this folder only). */
#ifndef PL_PROMQL_HIST_STATS_H
#define PL_PROMQL_HIST_STATS_H

#include "promql/eval.h"

/* Does the query use no more of the selector's histograms than count and sum? */
bool pq__only_stats(const struct pq_node *root, const struct pq_node *selector);
/* Replaces histograms by such without buckets, in the arena that they live in. False: no memory. */
bool pq__strip_buckets(struct samples *s, const struct selection *from);

#endif
