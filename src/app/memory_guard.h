/* app/memory_guard.h - the thread that looks how much memory the process uses, ten times a second.
 *
 * Promise: sets the process's memory limit (base/memory.h) and says in the log when it is passed and when memory is
 * fine again. Not here: what is refused then (ports/shed.h). Threads: start and stop from main.
 */
#ifndef PL_APP_MEMORY_GUARD_H
#define PL_APP_MEMORY_GUARD_H

#include "base/memory.h"
#include "base/sync.h"

struct memory_guard {
    struct pl_thread thread;
    struct pl_mutex lock;
    struct pl_cond wake;
    bool started;
    bool stopping; /* under lock */
};

/* limit_bytes: -memory.limit; 0: four fifths of what the control group or the machine has. */
void memory_guard_start(struct memory_guard *g, int64_t limit_bytes);
void memory_guard_stop(struct memory_guard *g); /* accepts a zeroed struct */

#endif
