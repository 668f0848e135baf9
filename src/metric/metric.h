/* metric/metric.h - Pallium's own metrics, under Cortex's names.
 *
 * Promise: a family is declared once, as a static struct beside the code that counts; a cell (one label combination) is
 * found once and then bumped without a lock. Exposition as Prometheus text 0.0.4 or OpenMetrics 1.0, sorted by name.
 * Threads: any. Cells are atomic and live until metric_remove_label or process end; a holder of a cell pointer of a
 * removed tenant may still bump it safely (cells are never freed, only hidden).
 */
#ifndef PL_METRIC_METRIC_H
#define PL_METRIC_METRIC_H

#include "base/base.h"
#include "base/buf.h"

#include <stdatomic.h>

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };
enum {
    METRIC_LABELS_MAX = 4,
    METRIC_BUCKETS_MAX = 16,
    METRIC_CELLS_MAX = 200000, /* of one family: what comes later shares one cell whose labels all say "overflow" */
};

struct metric_cell {
    struct metric_cell *next;
    pl_str values[METRIC_LABELS_MAX]; /* owned */
    _Atomic bool hidden;
    _Atomic double v;          /* counter and gauge; sum of a histogram */
    _Atomic uint64_t count;    /* histogram */
    _Atomic uint64_t *buckets; /* histogram: bucket_count cells, not cumulative */
};

struct metric_family {
    enum metric_type type;
    const char *name; /* whole name as exposed, counters with _total */
    const char *help; /* our own words */
    const char *labels[METRIC_LABELS_MAX];
    const double *bounds; /* histogram: ascending, without +Inf */
    uint32_t bound_count;
    /* private */
    _Atomic bool registered;
    struct metric_family *next;
    struct metric_cell *_Atomic cells;
    struct metric_cell **index; /* open addressing by label values; at most half full */
    size_t index_size, cell_count;
};

#define METRIC_DEF_COUNTER(var, n, h, ...) \
    static struct metric_family var = {.type = METRIC_COUNTER, .name = (n), .help = (h), .labels = {__VA_ARGS__}}
#define METRIC_DEF_GAUGE(var, n, h, ...) \
    static struct metric_family var = {.type = METRIC_GAUGE, .name = (n), .help = (h), .labels = {__VA_ARGS__}}
#define METRIC_DEF_HISTOGRAM(var, n, h, b, ...)                        \
    static struct metric_family var = {.type = METRIC_HISTOGRAM,       \
                                       .name = (n),                    \
                                       .help = (h),                    \
                                       .bounds = (b),                  \
                                       .bound_count = PL_ARRAY_LEN(b), \
                                       .labels = {__VA_ARGS__}}

/* Cortex's latency buckets (spec http-api-and-config.md 5). */
extern const double metric_latency_bounds[14];

/* The cell of these label values (as many as the family has labels), made when missing; past METRIC_CELLS_MAX the
 * family's overflow cell. Takes a lock: keep the pointer. A family without labels and without cells shows up only after
 * its first metric_cell call. */
struct metric_cell *metric_cell(struct metric_family *f, const pl_str *values);
#define METRIC_CELL(f, ...) metric_cell(&(f), (const pl_str[]){__VA_ARGS__})
#define METRIC_CELL0(f)     metric_cell(&(f), NULL)
void metric_add(struct metric_cell *c, double v);
static inline void metric_inc(struct metric_cell *c)
{
    metric_add(c, 1);
}
void metric_set(struct metric_cell *c, double v);
double metric_get(const struct metric_cell *c);
void metric_observe(struct metric_family *f, struct metric_cell *c, double v);
/* Hides the cells of every family whose label `label` has this value (a tenant that is gone). */
void metric_remove_label(const char *label, pl_str value);
/* Called before each exposition or walk, to refresh gauges (memory, series counts). */
void metric_on_collect(void (*fn)(void *arg), void *arg);

void metric_write_text(struct pl_buf *b, bool openmetrics);
/* Walks all samples as a scrape would see them (histograms as _bucket, _sum, _count), without text in between: for the
 * self-scrape. Label values are views valid during the call. */
struct metric_sample {
    pl_str name;
    const char *const *label_names;
    const pl_str *label_values;
    size_t label_count;
    double value;
};
void metric_walk(void (*fn)(void *arg, const struct metric_sample *s), void *arg);
/* Walks the families that have cells, sorted by name. */
void metric_walk_families(void (*fn)(void *arg, const struct metric_family *f), void *arg);

#endif
