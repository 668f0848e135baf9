#include "ports/discard.h"

#include "metric/metric.h"

METRIC_DEF_COUNTER(m_samples, "cortex_discarded_samples_total", "Samples that were refused, by reason.", "reason",
                   "user");
METRIC_DEF_COUNTER(m_exemplars, "cortex_discarded_exemplars_total", "Exemplars that were refused, by reason.", "reason",
                   "user");
METRIC_DEF_COUNTER(m_metadata, "cortex_discarded_metadata_total", "Metadata entries that were refused, by reason.",
                   "reason", "user");

static void discard(struct metric_family *f, pl_str reason, pl_str user, uint64_t count)
{
    if (count > 0) {
        metric_add(metric_cell(f, (const pl_str[]){reason, user}), (double)count);
    }
}

void discard_samples(pl_str reason, pl_str user, uint64_t count)
{
    discard(&m_samples, reason, user, count);
}

void discard_exemplars(pl_str reason, pl_str user, uint64_t count)
{
    discard(&m_exemplars, reason, user, count);
}

void discard_metadata(pl_str reason, pl_str user, uint64_t count)
{
    discard(&m_metadata, reason, user, count);
}
