/* ports/discard.h - the counters of refused data, which distributor and ingester share.
 *
 * Reasons are Cortex's label values (spec http-api-and-config.md 3). Look-ups take a lock: these are rare paths.
 */
#ifndef PL_PORTS_DISCARD_H
#define PL_PORTS_DISCARD_H

#include "base/base.h"

/* cortex_discarded_samples_total, cortex_discarded_exemplars_total, cortex_discarded_metadata_total {reason, user} */
void discard_samples(pl_str reason, pl_str user, uint64_t count);
void discard_exemplars(pl_str reason, pl_str user, uint64_t count);
void discard_metadata(pl_str reason, pl_str user, uint64_t count);

#endif
