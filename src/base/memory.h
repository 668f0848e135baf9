/* base/memory.h - how much memory this process may take, and how much it takes now.
 *
 * Promise: pl_memory_state is one atomic load, cheap enough for every request. What is in use is the anonymous memory
 * that the kernel counts (pl_memory_sample, some ten times a second) plus what was charged since: so a burst of large
 * queries is seen at once, and everything else (heads, bodies, buffers) at the next sample. Between the limit and a
 * tenth above it memory is SHORT: what can wait is refused. Above that it is OUT. Nothing here frees or kills; callers
 * refuse. Threads: any. Not here: who refuses what, and with which words (ports/shed.h).
 */
#ifndef PL_BASE_MEMORY_H
#define PL_BASE_MEMORY_H

#include "base/base.h"

enum pl_memory_state { PL_MEMORY_FINE, PL_MEMORY_SHORT, PL_MEMORY_OUT };

/* 0: no limit, which is also the state before the first call. Takes a sample. */
void pl_memory_limit_set(uint64_t bytes);
uint64_t pl_memory_limit(void);
/* Four fifths of what the control group or the machine has: the rest is for page cache, stacks and bursts. 0 when
 * unknown. */
uint64_t pl_memory_limit_guess(void);

/* Asks the kernel. Above the limit it first has the allocator give back what it holds unused, at most once a second.
 * One thread calls this. */
void pl_memory_sample(void);
uint64_t pl_memory_used(void);
enum pl_memory_state pl_memory_state(void);

/* Memory that is about to be touched. False, and nothing is charged, when the state would be worse than `worst` with
 * it: PL_MEMORY_FINE for what can wait, PL_MEMORY_SHORT for writes, PL_MEMORY_OUT for what must be. */
PL_MUST_USE bool pl_memory_charge(uint64_t bytes, enum pl_memory_state worst);
void pl_memory_uncharge(uint64_t bytes);

#endif
