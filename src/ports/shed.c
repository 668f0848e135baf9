#include "ports/shed.h"

#include "base/memory.h"
#include "metric/metric.h"

METRIC_DEF_COUNTER(m_refused, "pallium_memory_refused_total",
                   "What was refused because the process used more memory than -memory.limit: queries, pushes that "
                   "would make series, and, a tenth above the limit, all pushes.",
                   "what");
METRIC_DEF_GAUGE(m_limit, "pallium_memory_limit_bytes", "Memory that the process plans with (-memory.limit).");
METRIC_DEF_GAUGE(m_used, "pallium_memory_used_bytes", "Memory that counts against -memory.limit.");

static const struct {
    const char *label, *what;
    enum pl_memory_state from; /* refused in this state and worse ones */
} kinds[SHED_KIND_COUNT] = {
    [SHED_QUERY] = {"query", "new queries", PL_MEMORY_SHORT},
    [SHED_SERIES] = {"series", "new series", PL_MEMORY_SHORT},
    [SHED_PUSH] = {"push", "all writes", PL_MEMORY_OUT},
};

pl_status shed_fail(enum shed_kind kind, struct pl_err *err)
{
    metric_inc(METRIC_CELL(m_refused, pl_str_c(kinds[kind].label)));
    return pl_fail(err, PL_UNAVAILABLE,
                   "memory is short: %llu bytes in use, the limit is %llu (-memory.limit): %s are refused until it "
                   "falls",
                   (unsigned long long)pl_memory_used(), (unsigned long long)pl_memory_limit(), kinds[kind].what);
}

pl_status shed_check(enum shed_kind kind, struct pl_err *err)
{
    return PL_LIKELY(pl_memory_state() < kinds[kind].from) ? PL_OK : shed_fail(kind, err);
}

static void collect(void *arg PL_UNUSED)
{
    metric_set(METRIC_CELL0(m_limit), (double)pl_memory_limit());
    metric_set(METRIC_CELL0(m_used), (double)pl_memory_used());
}

void shed_metrics_register(void)
{
    for (int i = 0; i < SHED_KIND_COUNT; i++) {
        (void)METRIC_CELL(m_refused, pl_str_c(kinds[i].label));
    }
    metric_on_collect(collect, NULL);
}
