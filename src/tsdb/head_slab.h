/* tsdb/head_slab.h - small blocks of memory by size class, for chunk tails and label arrays.
 *
 * Promise: constant time; blocks never move; a page whose blocks are all free goes back to the pool and may serve
 * another class, so that a head whose series all grow in step does not keep the memory of every class it has passed.
 * slab_pool_trim gives the memory of free pages back to the system (their addresses stay ours).
 * Threads: a slab is locked by its owner (a head shard, or the index); the pool has its own lock.
 */
#ifndef PL_TSDB_HEAD_SLAB_H
#define PL_TSDB_HEAD_SLAB_H

#include "base/base.h"
#include "base/sync.h"

enum {
    SLAB_PAGE_BYTES = 8192,
    SLAB_CLASS_COUNT = 24,
    SLAB_SIZE_MAX = 1056, /* the largest class: an open chunk never needs more than 1005 + 20 bytes */
    SLAB_CLASS_NONE = 0xff,
};

struct slab_page;
struct slab_pool {
    struct pl_mutex lock;
    struct slab_page *free;     /* single list through next */
    struct slab_page **trimmed; /* free pages without memory: nothing is written in them */
    size_t trimmed_count, trimmed_cap;
    void **extents; /* memory the pages are cut from */
    size_t extent_count, extent_cap;
    uint64_t page_count, page_free_count;
};

struct slab {
    struct slab_pool *pool; /* borrowed */
    struct slab_page *partial[SLAB_CLASS_COUNT];
};

void slab_pool_init(struct slab_pool *p);
void slab_pool_trim(struct slab_pool *p);
void slab_pool_fini(struct slab_pool *p); /* frees every block of every slab at once; accepts a zeroed struct */
void slab_init(struct slab *s, struct slab_pool *pool);
/* The smallest class of at least n bytes (n <= SLAB_SIZE_MAX), and its size. */
uint8_t slab_class(size_t n);
uint32_t slab_class_size(uint8_t cls);
void *slab_alloc(struct slab *s, uint8_t cls);
void slab_free(struct slab *s, uint8_t cls, void *p);

#endif
