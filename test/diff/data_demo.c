#include "data.h"

#include <stdio.h>

/* The series of a demo service as far as the compliance queries ask for them, on three instances each 5 s. */

enum { DEMO_MS = 5000 };

static struct made *series(struct data *d, const char *name, const char *instance, const char *label, const char *value)
{
    return data_series(d, name, "instance", instance, "job", "demo", label, value, NULL);
}

static void one_instance(struct data *d, const char *instance, double cpus)
{
    static const char *const modes[] = {"idle", "system", "user"};
    static const char *const types[] = {"buffers", "cached", "free", "used"};
    static const char *const bounds[] = {"0.0001", "0.001", "0.01", "0.1", "1", "+Inf"};
    struct made *cpu[3], *memory[4], *latency[6];
    struct made *count = series(d, "demo_num_cpus", instance, NULL, NULL);
    struct made *disk = series(d, "demo_disk_usage_bytes", instance, NULL, NULL);
    struct made *total = series(d, "demo_disk_total_bytes", instance, NULL, NULL);
    struct made *batch = series(d, "demo_batch_last_success_timestamp_seconds", instance, NULL, NULL);
    struct made *rare = series(d, "demo_intermittent_metric", instance, NULL, NULL);
    int64_t first = d->start_ms + (int64_t)data_below(d, DEMO_MS);
    double used[3] = {0}, hits[6] = {0}, bytes = 1e9;

    for (size_t i = 0; i < PL_ARRAY_LEN(modes); i++) {
        cpu[i] = series(d, "demo_cpu_usage_seconds_total", instance, "mode", modes[i]);
    }
    for (size_t i = 0; i < PL_ARRAY_LEN(types); i++) {
        memory[i] = series(d, "demo_memory_usage_bytes", instance, "type", types[i]);
    }
    for (size_t i = 0; i < PL_ARRAY_LEN(bounds); i++) {
        latency[i] = series(d, "demo_api_request_duration_seconds_bucket", instance, "le", bounds[i]);
    }
    for (int64_t t = first; t < d->start_ms + d->span_ms; t += DEMO_MS) {
        double below = 0;

        for (size_t i = 0; i < PL_ARRAY_LEN(modes); i++) {
            used[i] += data_unit(d) * 2.5;
            data_add(d, cpu[i], t, used[i]);
        }
        for (size_t i = 0; i < PL_ARRAY_LEN(types); i++) {
            data_add(d, memory[i], t, (double)data_below(d, 4000000000));
        }
        for (size_t i = 0; i < PL_ARRAY_LEN(bounds); i++) {
            hits[i] += (double)data_below(d, 5);
            below += hits[i];
            data_add(d, latency[i], t, below);
        }
        bytes += 12345.678 * data_unit(d);
        data_add(d, count, t, cpus);
        data_add(d, disk, t, bytes);
        data_add(d, total, t, 1e12);
        data_add(d, batch, t, (double)(t / 60000 * 60));
        if (data_chance(d, 0.02)) {
            data_add(d, rare, t, data_unit(d) * 3);
        }
    }
}

void data_demo(struct data *d)
{
    one_instance(d, "demo.promlabs.com:10000", 1);
    one_instance(d, "demo.promlabs.com:10001", 2);
    one_instance(d, "demo.promlabs.com:10002", 4);
}
