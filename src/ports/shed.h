/* ports/shed.h - what roles refuse while memory runs short, in one voice.
 *
 * Promise: each check is one atomic load while memory is fine; a refusal is PL_UNAVAILABLE (503, which senders repeat),
 * names -memory.limit and is counted in pallium_memory_refused_total. First go new queries and new series; only a tenth
 * above the limit every push. Threads: any.
 */
#ifndef PL_PORTS_SHED_H
#define PL_PORTS_SHED_H

#include "base/base.h"

enum shed_kind { SHED_QUERY, SHED_SERIES, SHED_PUSH, SHED_KIND_COUNT };

/* May it begin now? SHED_SERIES: may series be made? */
PL_MUST_USE pl_status shed_check(enum shed_kind kind, struct pl_err *err);
/* Counts and words the refusal of something that was stopped halfway (a query that grew). */
pl_status shed_fail(enum shed_kind kind, struct pl_err *err);
/* Shows the gauges and the counters from zero on. */
void shed_metrics_register(void);

#endif
