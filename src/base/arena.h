/* base/arena.h - memory of one request, query or compaction, freed whole.
 *
 * Promise: bump allocation from growing blocks; nothing is freed one by one. An arena may carry a byte limit: going
 * past it (or, when it is `counted`, past the process's memory limit) makes the `_try` forms return NULL; the caller
 * answers PL_LIMIT. The plain forms never fail: up to 4 KiB they go past the limit, above it they abort, so code on
 * outside sizes uses `_try`. Threads: confined to one thread at a time.
 */
#ifndef PL_BASE_ARENA_H
#define PL_BASE_ARENA_H

#include "base/base.h"

struct pl_arena_block;
struct pl_arena {
    struct pl_arena_block *head; /* newest block */
    char *at, *end;              /* free space of the newest block */
    size_t used_bytes;           /* sum of block sizes */
    size_t peak_bytes;           /* largest used_bytes seen since init */
    size_t limit_bytes;          /* 0: none; a child has none of its own */
    struct pl_arena *parent;     /* NULL: not a child */
    bool counted; /* set after init: it and its children are charged to the process's budget (base/memory.h) */
    bool writes;  /* counted, for a write: refused only a tenth above the budget, when queries are long refused */
    bool refused; /* that budget refused one */
    bool full;    /* limit_bytes refused one */
    struct pl_arena_cleanup *cleanups;
};

void pl_arena_init(struct pl_arena *a, size_t limit_bytes);
/* Freed by pl_arena_fini() or with the parent; the struct itself must live as long as the parent does. */
void pl_arena_init_child(struct pl_arena *a, struct pl_arena *parent);
void pl_arena_fini(struct pl_arena *a);                 /* accepts a zeroed struct */
void pl_arena_reset(struct pl_arena *a);                /* back to empty; keeps one block */
void *pl_arena_alloc_try(struct pl_arena *a, size_t n); /* 16-byte aligned; NULL past the limit */
void *pl_arena_alloc(struct pl_arena *a, size_t n);     /* small fixed sizes only */
void *pl_arena_zero_try(struct pl_arena *a, size_t n);
void *pl_arena_zero(struct pl_arena *a, size_t n);
pl_str pl_arena_str(struct pl_arena *a, pl_str s); /* copy; also NUL-terminated */
pl_str pl_arena_printf(struct pl_arena *a, const char *fmt, ...) PL_PRINTF(2, 3);
/* Runs fn(arg) when the arena is reset or ended (newest first): for file descriptors and references. */
void pl_arena_on_free(struct pl_arena *a, void (*fn)(void *arg), void *arg);

#define pl_arena_new(a, T)                  ((T *)pl_arena_zero((a), sizeof(T)))
#define pl_arena_new_array_try(a, T, count) ((T *)pl_arena_array_try((a), (count), sizeof(T)))
void *pl_arena_array_try(struct pl_arena *a, size_t count, size_t size); /* zeroed; NULL on overflow or limit */

#endif
