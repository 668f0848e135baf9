/* From a tenant's limits to what a push looks at. */
#include "distributor/internal.h"

#include "base/clock.h"

void dist__policy(struct dist_policy *out, const struct limits *l)
{
    *out = (struct dist_policy){
        .enforce_metric_name = l->enforce_metric_name,
        .enforce_metadata_name = l->enforce_metadata_metric_name,
        .reject_old = l->reject_old_samples,
        .native_histograms = l->enable_native_histograms,
        .old_ms = l->reject_old_samples_max_age_ns / PL_NS_PER_MS,
        .grace_ms = l->creation_grace_period_ns / PL_NS_PER_MS,
        .hist_bytes_max = l->max_native_histogram_sample_size_bytes,
        .hist_buckets_max = l->max_native_histogram_buckets,
        .label_names_max = l->max_label_names_per_series,
        .label_name_bytes_max = l->max_label_name_length,
        .label_value_bytes_max = l->max_label_value_length,
        .labels_bytes_max = l->max_labels_size_bytes,
        .metadata_bytes_max = l->max_metadata_length,
        .drop = l->drop_labels.v,
        .drop_count = l->drop_labels.n,
        .rate = l->ingestion_rate,
        .burst = l->ingestion_burst_size,
    };
}

static uint64_t mix(uint64_t h, uint64_t v)
{
    return pl_hash64(&(const uint64_t[]){h, v}, 2 * sizeof(uint64_t));
}

uint64_t dist__policy_salt(const struct dist_policy *p)
{
    const int64_t plain[] = {p->enforce_metric_name, p->label_names_max, p->label_name_bytes_max,
                             p->label_value_bytes_max, p->labels_bytes_max};
    uint64_t h = pl_hash64(plain, sizeof(plain));

    for (size_t i = 0; i < p->drop_count; i++) {
        h = mix(h, pl_hash64(p->drop[i].p, p->drop[i].n));
    }
    return h;
}
