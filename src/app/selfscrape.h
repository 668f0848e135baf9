/* app/selfscrape.h - appends the node's own metrics to its tenant, as a Prometheus that scraped /metrics would.
 *
 * Promise: one remote write message per interval, with labels instance and job beside the metric's own, and `up`;
 * counted and limited like any other push. A push that fails is logged once until the next success.
 */
#ifndef PL_APP_SELFSCRAPE_H
#define PL_APP_SELFSCRAPE_H

#include "base/base.h"
#include "distributor/distributor.h"

struct selfscrape;
/* Starts a thread. d is borrowed; instance ("127.0.0.1:9009") and tenant are copied. */
struct selfscrape *selfscrape_start(struct distributor *d, pl_str tenant, pl_str instance, int64_t interval_ns);
void selfscrape_stop(struct selfscrape *s); /* NULL allowed; returns when the thread has ended */

#endif
