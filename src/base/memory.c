#include "base/memory.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

enum { SMALL_FILE_MAX = 4096, CGROUP_PATH_MAX = 512 };

/* All atomic and read without order: a decision on figures that are 100 ms old needs none. `seen` is the kernel's
 * figure less what was charged when it was taken, so that used = seen + charged. */
static struct {
    _Atomic uint64_t limit, charged;
    _Atomic int64_t seen;
    int64_t purged_mono_ns; /* of the sampling thread */
} memory;

/* Reads a small file whole; the text ends with a NUL. */
static pl_str read_small(const char *path, char text[static SMALL_FILE_MAX])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = 0;

    if (fd >= 0) {
        n = read(fd, text, SMALL_FILE_MAX - 1);
        (void)close(fd);
    }
    n = PL_MAX(n, (ssize_t)0);
    text[n] = '\0';
    return pl_str_of(text, (size_t)n);
}

static uint64_t anonymous_bytes(void)
{
    char text[SMALL_FILE_MAX];
    unsigned long long size, resident, shared;

    (void)read_small("/proc/self/statm", text);
    if (sscanf(text, "%llu %llu %llu", &size, &resident, &shared) != 3 || resident < shared) {
        return 0;
    }
    return (resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void take(void)
{
    int64_t charged = (int64_t)atomic_load_explicit(&memory.charged, memory_order_relaxed);

    atomic_store_explicit(&memory.seen, (int64_t)anonymous_bytes() - charged, memory_order_relaxed);
}

void pl_memory_sample(void)
{
    int64_t now_ns = pl_now_mono_ns();

    take();
    if (pl_memory_state() != PL_MEMORY_FINE && now_ns - memory.purged_mono_ns > PL_NS_PER_S) {
        memory.purged_mono_ns = now_ns;
        pl_alloc_give_back();
        take();
    }
}

void pl_memory_limit_set(uint64_t bytes)
{
    atomic_store_explicit(&memory.limit, bytes, memory_order_relaxed);
    take();
}

uint64_t pl_memory_limit(void)
{
    return atomic_load_explicit(&memory.limit, memory_order_relaxed);
}

uint64_t pl_memory_used(void)
{
    int64_t used = atomic_load_explicit(&memory.seen, memory_order_relaxed) +
                   (int64_t)atomic_load_explicit(&memory.charged, memory_order_relaxed);

    return used > 0 ? (uint64_t)used : 0;
}

enum pl_memory_state pl_memory_state(void)
{
    uint64_t limit = pl_memory_limit();
    uint64_t used;

    if (limit == 0) {
        return PL_MEMORY_FINE;
    }
    used = pl_memory_used();
    if (used <= limit) {
        return PL_MEMORY_FINE;
    }
    return used - limit <= limit / 10 ? PL_MEMORY_SHORT : PL_MEMORY_OUT;
}

bool pl_memory_charge(uint64_t bytes, enum pl_memory_state worst)
{
    (void)atomic_fetch_add_explicit(&memory.charged, bytes, memory_order_relaxed);
    if (pl_memory_state() <= worst) {
        return true;
    }
    pl_memory_uncharge(bytes);
    return false;
}

void pl_memory_uncharge(uint64_t bytes)
{
    (void)atomic_fetch_sub_explicit(&memory.charged, bytes, memory_order_relaxed);
}

/* ---- the machine's and the control group's memory ---- */

static uint64_t machine_bytes(void)
{
    long pages = sysconf(_SC_PHYS_PAGES);

    return pages > 0 ? (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE) : UINT64_MAX;
}

/* The lowest limit from the group up to the root, for a limit of a parent holds too. Within a container the path may be
 * one of the host's, which is not there: then only the root counts, and that is the container's own group. */
static uint64_t group_bytes(const char *root, pl_str group, const char *file)
{
    uint64_t min = UINT64_MAX;
    bool at_root = false;

    while (!at_root) {
        char path[CGROUP_PATH_MAX + 128];
        char text[SMALL_FILE_MAX];
        uint64_t v;
        at_root = group.n <= 1;
        (void)snprintf(path, sizeof(path), "%s%.*s/%s", root, at_root ? 0 : (int)group.n, group.p, file);
        if (pl_str_to_u64(pl_str_trim(read_small(path, text)), &v)) { /* "max" and a missing file are no number */
            min = PL_MIN(min, v);
        }
        while (group.n > 1 && group.p[--group.n] != '/') {
        }
    }
    return min;
}

uint64_t pl_memory_limit_guess(void)
{
    char text[SMALL_FILE_MAX];
    pl_str rest = read_small("/proc/self/cgroup", text);
    uint64_t bytes = machine_bytes();

    while (rest.n > 0) {
        size_t end = PL_MIN(pl_str_find(rest, '\n'), rest.n);
        pl_str line = pl_str_sub(rest, 0, end);
        size_t at = pl_str_find_str(line, PL_STR(":memory:"));
        rest = pl_str_sub(rest, PL_MIN(end + 1, rest.n), rest.n);
        if (line.n > CGROUP_PATH_MAX) {
            continue;
        }
        if (at != SIZE_MAX) {
            bytes = PL_MIN(
                bytes, group_bytes("/sys/fs/cgroup/memory", pl_str_sub(line, at + 8, line.n), "memory.limit_in_bytes"));
        } else if (pl_str_starts(line, PL_STR("0::"))) {
            bytes = PL_MIN(bytes, group_bytes("/sys/fs/cgroup", pl_str_sub(line, 3, line.n), "memory.max"));
        }
    }
    return bytes == UINT64_MAX ? 0 : bytes / 5 * 4;
}
