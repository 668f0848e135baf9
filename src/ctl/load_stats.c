#include "ctl/load_stats.h"

#include <math.h>

static unsigned bucket_of(uint64_t ns)
{
    unsigned top;

    if (ns < 32) {
        return (unsigned)ns;
    }
    top = 63 - (unsigned)__builtin_clzll(ns);
    return (top - 4) * 32 + (unsigned)(ns >> (top - 5) & 31);
}

/* The largest latency of a bucket. */
static uint64_t bucket_end(unsigned i)
{
    unsigned top = i / 32 + 4;

    if (i < 32) {
        return i;
    }
    return ((UINT64_C(32) + i % 32 + 1) << (top - 5)) - 1;
}

void load_stats_add(struct load_stats *s, int status, uint64_t latency_ns, uint64_t samples, uint64_t bytes)
{
    s->requests++;
    s->bytes += bytes;
    if (status >= 200 && status < 300) {
        s->samples += samples;
    }
    s->status[status > 0 && status < LOAD_STATUSES ? status : 0]++;
    s->latency[bucket_of(latency_ns)]++;
    s->latency_ns_sum += latency_ns;
    s->latency_ns_max = PL_MAX(s->latency_ns_max, latency_ns);
}

void load_stats_merge(struct load_stats *to, const struct load_stats *from)
{
    to->requests += from->requests;
    to->samples += from->samples;
    to->bytes += from->bytes;
    for (size_t i = 0; i < LOAD_STATUSES; i++) {
        to->status[i] += from->status[i];
    }
    for (size_t i = 0; i < LOAD_BUCKETS; i++) {
        to->latency[i] += from->latency[i];
    }
    to->latency_ns_sum += from->latency_ns_sum;
    to->latency_ns_max = PL_MAX(to->latency_ns_max, from->latency_ns_max);
    if (to->first_error[0] == '\0') {
        memcpy(to->first_error, from->first_error, sizeof(to->first_error));
    }
}

uint64_t load_stats_quantile(const struct load_stats *s, double share)
{
    const uint64_t want = (uint64_t)ceil(share * (double)s->requests);
    uint64_t seen = 0;

    for (unsigned i = 0; i < LOAD_BUCKETS; i++) {
        seen += s->latency[i];
        if (seen > 0 && seen >= want) {
            return PL_MIN(bucket_end(i), s->latency_ns_max);
        }
    }
    return 0;
}

uint64_t load_stats_failed(const struct load_stats *s)
{
    uint64_t good = 0;

    for (size_t i = 200; i < 300; i++) {
        good += s->status[i];
    }
    return s->requests - good;
}
