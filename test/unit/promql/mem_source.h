/* A series_source in memory for tests and benchmarks: series added sample by sample, kept as XOR chunks of 120 samples.
 */
#ifndef PL_TEST_MEM_SOURCE_H
#define PL_TEST_MEM_SOURCE_H

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
/* Marks for the caller: bits are or-ed. */
unsigned *mem_series_marks(struct mem_series *s);
struct labels mem_series_labels(const struct mem_series *s);

#endif
