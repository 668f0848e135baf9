#include "querier/internal.h"

/* How often a waiting query looks whether its client is still there. */
#define GATE_LOOK_NS (100 * PL_NS_PER_MS)

struct querier_waiter {
    struct querier_waiter *next;
    bool granted;
};

void querier_gate_init(struct querier_gate *g, uint64_t slot_count)
{
    *g = (struct querier_gate){.slot_count = slot_count > 0 ? slot_count : 1};
    pl_mutex_init(&g->mutex, PL_RANK_QUEUE);
    pl_cond_init(&g->changed);
    g->last = &g->first;
}

void querier_gate_fini(struct querier_gate *g)
{
    PL_ASSERT(g->running == 0 && g->waiting == 0);
    pl_cond_fini(&g->changed);
    pl_mutex_fini(&g->mutex);
}

static void remove_locked(struct querier_gate *g, struct querier_waiter *w)
{
    struct querier_waiter **at = &g->first;

    while (*at != NULL && *at != w) {
        at = &(*at)->next;
    }
    if (*at == w) {
        *at = w->next;
        if (w->next == NULL) {
            g->last = at;
        }
    }
}

/* Waits for a slot; true when one was granted. */
static bool wait_locked(struct querier_gate *g, struct querier_waiter *w, int64_t deadline_mono_ns,
                        const _Atomic bool *cancel)
{
    while (!w->granted) {
        int64_t now_ns = pl_now_mono_ns();

        if (now_ns >= deadline_mono_ns || (cancel != NULL && atomic_load_explicit(cancel, memory_order_relaxed))) {
            remove_locked(g, w);
            return false;
        }
        (void)pl_cond_wait_until(&g->changed, &g->mutex, PL_MIN(deadline_mono_ns, now_ns + GATE_LOOK_NS));
    }
    return true;
}

pl_status querier_gate_enter(struct querier_gate *g, int64_t deadline_mono_ns, const _Atomic bool *cancel,
                             struct pl_err *err)
{
    struct querier_waiter w = {0};
    bool granted = true;
    bool full = false;

    pl_mutex_lock(&g->mutex);
    if (g->running < g->slot_count) {
        g->running++;
    } else if (g->waiting >= g->slot_count * QUERIER_WAITERS_PER_SLOT) {
        full = true;
    } else {
        g->waiting++;
        *g->last = &w;
        g->last = &w.next;
        granted = wait_locked(g, &w, deadline_mono_ns, cancel);
        g->waiting--;
    }
    pl_mutex_unlock(&g->mutex);
    if (full) {
        return pl_fail(err, PL_RATE, MSG_QUEUE_FULL);
    }
    if (!granted) {
        return cancel != NULL && atomic_load_explicit(cancel, memory_order_relaxed)
                   ? pl_fail(err, PL_CANCELED, MSG_CANCELED)
                   : pl_fail(err, PL_TIMEOUT, MSG_QUEUE_TIMEOUT);
    }
    return PL_OK;
}

void querier_gate_leave(struct querier_gate *g)
{
    struct querier_waiter *w;

    pl_mutex_lock(&g->mutex);
    w = g->first;
    if (w != NULL) {
        /* The slot goes to the oldest waiter directly: a newcomer cannot overtake it. */
        remove_locked(g, w);
        w->granted = true;
        pl_cond_broadcast(&g->changed);
    } else {
        g->running--;
    }
    pl_mutex_unlock(&g->mutex);
}
