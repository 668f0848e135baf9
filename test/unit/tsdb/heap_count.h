/* unit/tsdb/heap_count.h - counts the calls of the heap in a test's process, from all libraries and threads.
 *
 * Include it in the one file of a test: it defines malloc and its kin, and hands on to the allocator behind. The
 * sanitizers need these names for themselves: there HEAP_COUNTED is 0 and heap_calls() stays 0.
 */
#ifndef PL_TEST_HEAP_COUNT_H
#define PL_TEST_HEAP_COUNT_H

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "unit/sanitized.h"

#if SANITIZED
enum { HEAP_COUNTED = 0 };
static inline uint64_t heap_calls(void)
{
    return 0;
}
#else
enum { HEAP_COUNTED = 1, HEAP_EARLY_BYTES = 16384 };

static _Atomic uint64_t heap__calls; /* that take or change memory, and frees */

/* What the dynamic linker asks for while we look the real functions up. Never given back. */
static _Alignas(16) char heap__early[HEAP_EARLY_BYTES];
static _Atomic size_t heap__early_used;

static void *heap__early_take(size_t n)
{
    size_t at = atomic_fetch_add(&heap__early_used, (n + 15) & ~(size_t)15);

    return at + n <= sizeof(heap__early) ? heap__early + at : NULL;
}

static inline int heap__is_early(const void *p)
{
    return (uintptr_t)p - (uintptr_t)heap__early < sizeof(heap__early);
}

static struct {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void (*free)(void *);
    int (*posix_memalign)(void **, size_t, size_t);
    void *(*aligned_alloc)(size_t, size_t);
} heap__real;
static _Atomic int heap__state; /* 0: not looked up, 1: under way, 2: there */

static int heap__ready(void)
{
    int expected = 0;

    if (atomic_load(&heap__state) == 2) {
        atomic_fetch_add_explicit(&heap__calls, 1, memory_order_relaxed);
        return 1;
    }
    if (!atomic_compare_exchange_strong(&heap__state, &expected, 1)) {
        return 0;
    }
    *(void **)&heap__real.malloc = dlsym(RTLD_NEXT, "malloc");
    *(void **)&heap__real.calloc = dlsym(RTLD_NEXT, "calloc");
    *(void **)&heap__real.realloc = dlsym(RTLD_NEXT, "realloc");
    *(void **)&heap__real.free = dlsym(RTLD_NEXT, "free");
    *(void **)&heap__real.posix_memalign = dlsym(RTLD_NEXT, "posix_memalign");
    *(void **)&heap__real.aligned_alloc = dlsym(RTLD_NEXT, "aligned_alloc");
    atomic_store(&heap__state, 2);
    return 1;
}

#    define HEAP_EXPORT __attribute__((visibility("default"), used))
HEAP_EXPORT void *malloc(size_t n)
{
    return heap__ready() ? heap__real.malloc(n) : heap__early_take(n);
}
HEAP_EXPORT void *calloc(size_t count, size_t size)
{
    return heap__ready() ? heap__real.calloc(count, size) : heap__early_take(count * size); /* static memory is zero */
}
HEAP_EXPORT void free(void *p)
{
    if (p != NULL && !heap__is_early(p) && heap__ready()) {
        heap__real.free(p);
    }
}
HEAP_EXPORT void *realloc(void *p, size_t n)
{
    size_t have;
    char *q;

    if (heap__ready() && !heap__is_early(p)) {
        return heap__real.realloc(p, n);
    }
    q = malloc(n);
    have = p != NULL ? sizeof(heap__early) - (size_t)((char *)p - heap__early) : 0;
    for (size_t i = 0; q != NULL && i < (n < have ? n : have); i++) {
        q[i] = ((char *)p)[i];
    }
    return q;
}
HEAP_EXPORT int posix_memalign(void **out, size_t align, size_t n)
{
    return heap__ready() ? heap__real.posix_memalign(out, align, n) : ENOMEM;
}
HEAP_EXPORT void *aligned_alloc(size_t align, size_t n)
{
    return heap__ready() ? heap__real.aligned_alloc(align, n) : NULL;
}

static inline uint64_t heap_calls(void)
{
    return atomic_load(&heap__calls);
}
#endif

#endif
