#include "app/process_metrics.h"

#include "app/revision.h"
#include "base/clock.h"
#include "metric/metric.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

METRIC_DEF_COUNTER(m_cpu, "process_cpu_seconds_total", "User and system CPU time spent, in seconds.");
METRIC_DEF_GAUGE(m_rss, "process_resident_memory_bytes", "Memory that the process holds in RAM.");
METRIC_DEF_GAUGE(m_virtual, "process_virtual_memory_bytes", "Address space of the process.");
METRIC_DEF_GAUGE(m_start, "process_start_time_seconds", "When the process started, in Unix seconds.");
METRIC_DEF_GAUGE(m_fds, "process_open_fds", "Open file descriptors.");
METRIC_DEF_GAUGE(m_fds_max, "process_max_fds", "How many file descriptors the process may open.");
METRIC_DEF_GAUGE(m_threads, "process_threads", "Threads of the process.");
METRIC_DEF_GAUGE(m_maps, "process_memory_map_areas", "Memory map areas in use.");
METRIC_DEF_GAUGE(m_maps_max, "process_memory_map_areas_limit", "How many memory map areas the kernel allows.");
/* COMPAT: resource panels ask for these two Go names. */
METRIC_DEF_GAUGE(m_heap, "go_memstats_heap_inuse_bytes", "Bytes that the allocator has handed out.");
METRIC_DEF_GAUGE(m_goroutines, "go_goroutines", "Threads of the process (Pallium has no goroutines).");
METRIC_DEF_GAUGE(m_build, "cortex_build_info", "What was built: always 1.", "version", "revision", "branch",
                 "goversion");
METRIC_DEF_GAUGE(m_config_hash, "cortex_config_hash", "SHA-256 of the configuration file.", "sha256");

enum { PROC_TEXT_MAX = 1024 };

/* Reads a small /proc file whole; 0 when it cannot. */
static size_t read_proc(const char *path, char *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = 0;

    if (fd >= 0) {
        n = read(fd, out, PROC_TEXT_MAX - 1);
        (void)close(fd);
    }
    n = PL_MAX(n, (ssize_t)0);
    out[n] = '\0';
    return (size_t)n;
}

static double count_dir(const char *path)
{
    DIR *d = opendir(path);
    double n = 0;

    if (d == NULL) {
        return 0;
    }
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        n += e->d_name[0] != '.';
    }
    (void)closedir(d);
    return n;
}

static double count_lines(const char *path)
{
    char chunk[1024];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    double lines = 0;

    if (fd < 0) {
        return 0;
    }
    for (ssize_t n = read(fd, chunk, sizeof(chunk)); n > 0; n = read(fd, chunk, sizeof(chunk))) {
        for (ssize_t i = 0; i < n; i++) {
            lines += chunk[i] == '\n';
        }
    }
    (void)close(fd);
    return lines;
}

static void collect_memory(void)
{
    char text[PROC_TEXT_MAX];
    double page = (double)sysconf(_SC_PAGESIZE);

    if (read_proc("/proc/self/statm", text) > 0) {
        char *rest = NULL;
        double size = strtod(text, &rest);
        metric_set(METRIC_CELL0(m_virtual), size * page);
        metric_set(METRIC_CELL0(m_rss), strtod(rest, NULL) * page);
    }
    metric_set(METRIC_CELL0(m_heap), (double)pl_alloc_in_use());
    metric_set(METRIC_CELL0(m_maps), count_lines("/proc/self/maps"));
    if (read_proc("/proc/sys/vm/max_map_count", text) > 0) {
        metric_set(METRIC_CELL0(m_maps_max), strtod(text, NULL));
    }
}

static void collect(void *arg PL_UNUSED)
{
    struct rlimit lim;
    double threads = count_dir("/proc/self/task");

    metric_set(METRIC_CELL0(m_cpu), (double)pl_cpu_process_ns() / 1e9);
    metric_set(METRIC_CELL0(m_fds), count_dir("/proc/self/fd"));
    if (getrlimit(RLIMIT_NOFILE, &lim) == 0) {
        metric_set(METRIC_CELL0(m_fds_max), (double)lim.rlim_cur);
    }
    metric_set(METRIC_CELL0(m_threads), threads);
    metric_set(METRIC_CELL0(m_goroutines), threads);
    collect_memory();
}

static pl_str next_word(pl_str *rest)
{
    size_t blank = PL_MIN(pl_str_find(*rest, ' '), rest->n);
    pl_str word = pl_str_sub(*rest, 0, blank);

    *rest = pl_str_sub(*rest, PL_MIN(blank + 1, rest->n), rest->n);
    return word;
}

struct process_build process_build(void)
{
    pl_str rest = PL_STR(PL_REVISION_TEXT);
    struct process_build b;

    b.revision = next_word(&rest);
    b.branch = next_word(&rest);
    b.date = rest;
    return b;
}

void process_metrics_register(pl_str config_sha256)
{
    const struct process_build build = process_build();

    metric_set(METRIC_CELL0(m_start), (double)pl_now_unix_ms() / 1000);
    metric_set(METRIC_CELL(m_build, PL_STR(PL_VERSION), build.revision, build.branch, PL_STR("")), 1);
    if (config_sha256.n > 0) {
        metric_set(METRIC_CELL(m_config_hash, config_sha256), 1);
    }
    metric_on_collect(collect, NULL);
}
