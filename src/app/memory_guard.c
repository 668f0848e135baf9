#include "app/memory_guard.h"

#include "base/clock.h"
#include "base/log.h"
#include "ports/shed.h"

#define SAMPLE_NS (100 * PL_NS_PER_MS)
/* A process that swings around its limit says so once in a while, not ten times a second. */
#define SAY_NS    (10 * PL_NS_PER_S)

static void say(enum pl_memory_state state)
{
    static const char *const what[] = {
        [PL_MEMORY_FINE] = "memory is fine again",
        [PL_MEMORY_SHORT] = "memory is short: new queries and new series are refused",
        [PL_MEMORY_OUT] = "memory is short: new queries and all writes are refused",
    };

    PL_LOG_AT(state == PL_MEMORY_FINE ? PL_LOG_INFO : PL_LOG_WARN, what[state],
              PL_KV_INT("used_bytes", pl_memory_used()), PL_KV_INT("limit_bytes", pl_memory_limit()),
              PL_KV_C("option", "-memory.limit"));
}

static void guard_main(void *arg)
{
    struct memory_guard *g = arg;
    enum pl_memory_state said = PL_MEMORY_FINE;
    int64_t say_ns = 0;
    int64_t next_ns = pl_now_mono_ns();

    pl_mutex_lock(&g->lock);
    while (!g->stopping) {
        next_ns = PL_MAX(next_ns + SAMPLE_NS, pl_now_mono_ns());
        while (!g->stopping && pl_cond_wait_until(&g->wake, &g->lock, next_ns)) {
        }
        pl_mutex_unlock(&g->lock);
        pl_memory_sample();
        enum pl_memory_state state = pl_memory_state();
        if (state != said && (state > said || pl_now_mono_ns() >= say_ns)) {
            say(state);
            said = state;
            say_ns = pl_now_mono_ns() + SAY_NS;
        }
        pl_mutex_lock(&g->lock);
    }
    pl_mutex_unlock(&g->lock);
}

void memory_guard_start(struct memory_guard *g, int64_t limit_bytes)
{
    pl_memory_limit_set(limit_bytes > 0 ? (uint64_t)limit_bytes : pl_memory_limit_guess());
    shed_metrics_register();
    pl_mutex_init(&g->lock, PL_RANK_APP);
    pl_cond_init(&g->wake);
    pl_thread_start(&g->thread, "memory", guard_main, g);
    g->started = true;
}

void memory_guard_stop(struct memory_guard *g)
{
    if (!g->started) {
        return;
    }
    pl_mutex_lock(&g->lock);
    g->stopping = true;
    pl_cond_signal(&g->wake);
    pl_mutex_unlock(&g->lock);
    pl_thread_join(&g->thread);
    pl_cond_fini(&g->wake);
    pl_mutex_fini(&g->lock);
    g->started = false;
}
