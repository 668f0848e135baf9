/* tsdb/head_map.h - a small open-addressing map of nonzero 64-bit keys, for WAL references that are not slot numbers.
 */
#ifndef PL_TSDB_HEAD_MAP_H
#define PL_TSDB_HEAD_MAP_H

#include "base/base.h"

struct u64_map_entry {
    uint64_t key; /* 0: free */
    uint64_t value;
};
struct u64_map {
    struct u64_map_entry *v;
    size_t mask; /* table size - 1; meaningless while v is NULL */
    size_t count;
};

void u64_map_fini(struct u64_map *m);
void u64_map_put(struct u64_map *m, uint64_t key, uint64_t value);
bool u64_map_get(const struct u64_map *m, uint64_t key, uint64_t *value);
/* Keeps the entries for which keep() says so. */
void u64_map_filter(struct u64_map *m, bool (*keep)(void *arg, uint64_t key, uint64_t value), void *arg);

#endif
