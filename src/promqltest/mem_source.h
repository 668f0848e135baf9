/* promqltest/mem_source.h - a series_source in memory for tests and benchmarks: series added sample by sample, kept as
 * chunks of up to 120 samples. */
#ifndef PL_PROMQLTEST_MEM_SOURCE_H
#define PL_PROMQLTEST_MEM_SOURCE_H

#include "model/series.h"

struct mem_series;
struct mem_source {
    struct series_source base;
    struct pl_arena arena;
    struct mem_series **series;
    size_t n, cap;
    bool sorted;
};

void mem_source_init(struct mem_source *m);
void mem_source_fini(struct mem_source *m);
/* The series of these labels (sorted by name), which is added when new. */
struct mem_series *mem_source_series(struct mem_source *m, struct labels ls);
/* Appends; samples not newer than the last one are ignored. */
void mem_series_add(struct mem_source *m, struct mem_series *s, int64_t t_ms, double v);
/* The same for a histogram: kept as a float histogram chunk (encoding 3), a new one when it does not fit. */
void mem_series_add_hist(struct mem_source *m, struct mem_series *s, int64_t t_ms, const struct hist *h);
/* Marks for the caller: bits are or-ed. */
unsigned *mem_series_marks(struct mem_series *s);
struct labels mem_series_labels(const struct mem_series *s);
/* Time of the newest sample; INT64_MIN: there is none. */
int64_t mem_series_last_ms(const struct mem_series *s);

#endif
