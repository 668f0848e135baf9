/* How many series of a tenant got a sample lately. One byte per series says in which minute; it is written only when
 * the minute changes. */
#include "ingester/internal.h"

#include "base/clock.h"

enum { LEAF = 4096, MID = 256, TOP = ING_ACTIVE_TOP, MINUTES = 255 };

struct leaf {
    _Atomic uint8_t minute[LEAF]; /* 0: not active; else 1 + minute % MINUTES */
};
struct mid {
    void *_Atomic leaves[MID]; /* struct leaf */
};

static uint8_t stamp_of(int64_t now_ms)
{
    return (uint8_t)(1 + now_ms / 60000 % MINUTES);
}

/* The pointer at `at`, made when missing. Who loses the race to make it frees his own. */
static void *made_at(void *_Atomic *at, size_t size)
{
    void *p = atomic_load_explicit(at, memory_order_acquire); /* pairs with the exchange below */

    if (PL_UNLIKELY(p == NULL)) {
        void *made = pl_alloc_zero(size);
        if (atomic_compare_exchange_strong_explicit(at, &p, made, memory_order_acq_rel, memory_order_acquire)) {
            return made;
        }
        pl_free(made);
    }
    return p;
}

static _Atomic uint8_t *byte_of(struct ing_active *a, uint64_t ref)
{
    struct mid *mid;
    struct leaf *leaf;

    if (ref / LEAF / MID >= TOP) {
        return NULL; /* more than 67 million series in one head: those beyond are not told apart */
    }
    mid = made_at(&a->top[ref / LEAF / MID], sizeof(*mid));
    leaf = made_at(&mid->leaves[ref / LEAF % MID], sizeof(*leaf));
    return &leaf->minute[ref % LEAF];
}

void ing__active_mark(struct ing_active *a, const struct tsdb_append_series *v, uint32_t n, int64_t now_ms)
{
    const uint8_t stamp = stamp_of(now_ms);

    for (uint32_t i = 0; i < n; i++) {
        _Atomic uint8_t *at = v[i].ref != 0 ? byte_of(a, v[i].ref) : NULL;
        /* Plain numbers: no order with anything else is needed. */
        if (at != NULL && atomic_load_explicit(at, memory_order_relaxed) != stamp) {
            atomic_store_explicit(at, stamp, memory_order_relaxed);
        }
    }
}

static uint64_t count_leaf(struct leaf *leaf, uint8_t now, uint32_t idle_minutes)
{
    uint64_t n = 0;

    for (size_t i = 0; i < LEAF; i++) {
        uint8_t at = atomic_load_explicit(&leaf->minute[i], memory_order_relaxed);
        if (at == 0) {
            continue;
        }
        if ((uint32_t)(now - at + MINUTES) % MINUTES < idle_minutes) {
            n++;
        } else {
            /* A push may have marked it since: then it stays. */
            (void)atomic_compare_exchange_strong_explicit(&leaf->minute[i], &at, 0, memory_order_relaxed,
                                                          memory_order_relaxed);
        }
    }
    return n;
}

uint64_t ing__active_count(struct ing_active *a, int64_t now_ms, int64_t idle_ns)
{
    const int64_t wanted = (idle_ns + 60 * PL_NS_PER_S - 1) / (60 * PL_NS_PER_S);
    const uint32_t idle_minutes = (uint32_t)PL_MIN(PL_MAX(wanted, 1), MINUTES - 1);
    uint64_t n = 0;

    for (size_t i = 0; i < TOP; i++) {
        struct mid *mid = atomic_load_explicit(&a->top[i], memory_order_acquire); /* pairs with made_at */
        for (size_t k = 0; mid != NULL && k < MID; k++) {
            struct leaf *leaf = atomic_load_explicit(&mid->leaves[k], memory_order_acquire);
            n += leaf != NULL ? count_leaf(leaf, stamp_of(now_ms), idle_minutes) : 0;
        }
    }
    return n;
}

void ing__active_fini(struct ing_active *a)
{
    for (size_t i = 0; i < TOP; i++) {
        struct mid *mid = atomic_load_explicit(&a->top[i], memory_order_acquire);
        for (size_t k = 0; mid != NULL && k < MID; k++) {
            pl_free(atomic_load_explicit(&mid->leaves[k], memory_order_acquire));
        }
        pl_free(mid);
    }
}
