#include "base/arena.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>

struct pl_arena_block {
    struct pl_arena_block *next;
    size_t size; /* payload bytes */
    _Alignas(16) char data[];
};

struct pl_arena_cleanup {
    struct pl_arena_cleanup *next;
    void (*fn)(void *arg);
    void *arg;
};

enum { ARENA_BLOCK_MIN = 8192, ARENA_BLOCK_MAX = 1 << 20, ARENA_PLAIN_MAX = 4096 };

void pl_arena_init(struct pl_arena *a, size_t limit_bytes)
{
    *a = (struct pl_arena){.limit_bytes = limit_bytes};
}

static void child_end(void *arg)
{
    pl_arena_fini(arg);
}

void pl_arena_init_child(struct pl_arena *a, struct pl_arena *parent)
{
    *a = (struct pl_arena){.parent = parent};
    pl_arena_on_free(parent, child_end, a);
}

/* Counts n bytes at the arena and all it takes them from, and with the process. False: its memory limit says no. */
static bool arena_charge(struct pl_arena *a, size_t n, bool must)
{
    struct pl_arena *root = a;

    while (root->parent != NULL) {
        root = root->parent;
    }
    if (root->counted && !pl_memory_charge(n, must ? PL_MEMORY_OUT : root->writes ? PL_MEMORY_SHORT : PL_MEMORY_FINE)) {
        root->refused = true;
        return false;
    }
    for (; a != NULL; a = a->parent) {
        a->used_bytes += n;
        a->peak_bytes = PL_MAX(a->peak_bytes, a->used_bytes);
    }
    return true;
}

static void arena_refund(struct pl_arena *a, size_t n)
{
    for (; a != NULL; a = a->parent) {
        a->used_bytes -= n;
        if (a->counted && a->parent == NULL) {
            pl_memory_uncharge(n);
        }
    }
}

static bool arena_has_room(const struct pl_arena *a, size_t n)
{
    for (; a != NULL; a = a->parent) {
        if (a->limit_bytes != 0 && n > a->limit_bytes - PL_MIN(a->limit_bytes, a->used_bytes)) {
            return false;
        }
    }
    return true;
}

/* The one whose limit it is remembers. */
static void arena_mark_full(struct pl_arena *a, size_t n)
{
    while (a != NULL && (a->limit_bytes == 0 || n <= a->limit_bytes - PL_MIN(a->limit_bytes, a->used_bytes))) {
        a = a->parent;
    }
    if (a != NULL) {
        a->full = true;
    }
}

static void arena_run_cleanups(struct pl_arena *a)
{
    while (a->cleanups != NULL) {
        struct pl_arena_cleanup *c = a->cleanups;
        a->cleanups = c->next;
        c->fn(c->arg);
        pl_free(c);
    }
}

void pl_arena_fini(struct pl_arena *a)
{
    arena_run_cleanups(a);
    for (struct pl_arena_block *b = a->head; b != NULL;) {
        struct pl_arena_block *next = b->next;
        arena_refund(a, b->size);
        pl_free(b);
        b = next;
    }
    *a = (struct pl_arena){
        .limit_bytes = a->limit_bytes, .parent = a->parent, .counted = a->counted, .writes = a->writes};
}

void pl_arena_reset(struct pl_arena *a)
{
    struct pl_arena_block *keep = NULL;

    arena_run_cleanups(a);
    for (struct pl_arena_block *b = a->head; b != NULL;) {
        struct pl_arena_block *next = b->next;
        if (keep == NULL && b->size <= ARENA_BLOCK_MAX) {
            keep = b;
            keep->next = NULL;
        } else {
            arena_refund(a, b->size);
            pl_free(b);
        }
        b = next;
    }
    a->head = keep;
    a->at = keep != NULL ? keep->data : NULL;
    a->end = keep != NULL ? keep->data + keep->size : NULL;
    a->full = false;
}

/* `must`: neither limit counts. */
static bool arena_grow(struct pl_arena *a, size_t n, bool must)
{
    size_t size = a->head != NULL ? a->head->size * 2 : ARENA_BLOCK_MIN;
    struct pl_arena_block *b;

    size = PL_MIN(size, (size_t)ARENA_BLOCK_MAX);
    size = PL_MAX(size, n);
    if (!must && !arena_has_room(a, size)) {
        size = n; /* the last bytes under a limit are given exactly */
        if (!arena_has_room(a, size)) {
            arena_mark_full(a, size);
            return false;
        }
    }
    if (size > SIZE_MAX / 2 || !arena_charge(a, size, must)) {
        return false;
    }
    b = pl_alloc_try(sizeof(*b) + size);
    if (b == NULL) {
        arena_refund(a, size);
        return false;
    }
    b->size = size;
    b->next = a->head;
    a->head = b;
    a->at = b->data;
    a->end = b->data + size;
    return true;
}

static void *arena_take(struct pl_arena *a, size_t n, bool must)
{
    void *p;

    if (n > SIZE_MAX - 15) {
        return NULL;
    }
    n = (n + 15) & ~(size_t)15;
    if (((size_t)(a->end - a->at) < n || a->at == NULL) && !arena_grow(a, n, must)) {
        return NULL;
    }
    p = a->at;
    a->at += n;
    return p;
}

void *pl_arena_alloc_try(struct pl_arena *a, size_t n)
{
    return arena_take(a, n, false);
}

void *pl_arena_alloc(struct pl_arena *a, size_t n)
{
    /* Small sizes are given past the limits: no query may bring the process down by ending just there. */
    void *p = arena_take(a, n, n <= ARENA_PLAIN_MAX);

    PL_ASSERT(p != NULL);
    return p;
}

void *pl_arena_zero_try(struct pl_arena *a, size_t n)
{
    void *p = pl_arena_alloc_try(a, n);

    if (p != NULL) {
        memset(p, 0, n);
    }
    return p;
}

void *pl_arena_zero(struct pl_arena *a, size_t n)
{
    return memset(pl_arena_alloc(a, n), 0, n);
}

void *pl_arena_array_try(struct pl_arena *a, size_t count, size_t size)
{
    size_t n;

    return pl_mul_ok(&n, count, size) ? pl_arena_zero_try(a, n) : NULL;
}

pl_str pl_arena_str(struct pl_arena *a, pl_str s)
{
    char *p = pl_arena_alloc(a, s.n + 1);

    if (s.n > 0) {
        memcpy(p, s.p, s.n);
    }
    p[s.n] = '\0';
    return (pl_str){p, s.n};
}

pl_str pl_arena_printf(struct pl_arena *a, const char *fmt, ...)
{
    va_list ap;
    int n;
    char *p;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    PL_ASSERT(n >= 0);
    p = pl_arena_alloc(a, (size_t)n + 1);
    va_start(ap, fmt);
    (void)vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return (pl_str){p, (size_t)n};
}

void pl_arena_on_free(struct pl_arena *a, void (*fn)(void *arg), void *arg)
{
    /* From the heap: an arena that is at its limit must still be able to let go of what it holds. */
    struct pl_arena_cleanup *c = pl_new(struct pl_arena_cleanup);

    *c = (struct pl_arena_cleanup){.next = a->cleanups, .fn = fn, .arg = arg};
    a->cleanups = c;
}
