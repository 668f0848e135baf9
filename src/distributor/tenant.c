/* The tenants that this distributor has seen: their counters and their token buckets. */
#include "distributor/internal.h"

#include "base/clock.h"
#include "codec/float_text.h"

enum { LIMITS_FRESH_S = 10 };

METRIC_DEF_COUNTER(m_samples_in, "cortex_distributor_samples_in_total", "Samples that arrived, good and bad.", "user",
                   "type");
METRIC_DEF_COUNTER(m_samples, "cortex_distributor_received_samples_total", "Samples that passed validation.", "user",
                   "type");
METRIC_DEF_COUNTER(m_exemplars_in, "cortex_distributor_exemplars_in_total", "Exemplars that arrived, good and bad.",
                   "user");
METRIC_DEF_COUNTER(m_exemplars, "cortex_distributor_received_exemplars_total", "Exemplars that passed validation.",
                   "user");
METRIC_DEF_COUNTER(m_metadata_in, "cortex_distributor_metadata_in_total",
                   "Metadata entries that arrived, good and bad.", "user");
METRIC_DEF_COUNTER(m_metadata, "cortex_distributor_received_metadata_total", "Metadata entries that passed validation.",
                   "user");
METRIC_DEF_GAUGE(m_latest, "cortex_distributor_latest_seen_sample_timestamp_seconds",
                 "Unix time of the newest sample of the last request that brought samples.", "user");

static struct dist_tenant *find_locked(const struct distributor *d, size_t at, pl_str name)
{
    struct dist_tenant *t = d->chain[at];

    while (t != NULL && !pl_str_eq(t->name, name)) {
        t = t->next;
    }
    return t;
}

static struct dist_tenant *tenant_create(pl_str name)
{
    struct dist_tenant *t = pl_new(struct dist_tenant);

    t->name = pl_str_of(pl_str_dup(name), name.n);
    pl_mutex_init(&t->bucket.lock, PL_RANK_LIMITER);
    t->cell.samples_in = METRIC_CELL(m_samples_in, name, PL_STR("float"));
    t->cell.histograms_in = METRIC_CELL(m_samples_in, name, PL_STR("histogram"));
    t->cell.samples = METRIC_CELL(m_samples, name, PL_STR("float"));
    t->cell.histograms = METRIC_CELL(m_samples, name, PL_STR("histogram"));
    t->cell.exemplars_in = METRIC_CELL(m_exemplars_in, name);
    t->cell.exemplars = METRIC_CELL(m_exemplars, name);
    t->cell.metadata_in = METRIC_CELL(m_metadata_in, name);
    t->cell.metadata = METRIC_CELL(m_metadata, name);
    t->cell.latest_seconds = METRIC_CELL(m_latest, name);
    return t;
}

static void tenant_destroy(struct dist_tenant *t)
{
    if (t != NULL) {
        pl_mutex_fini(&t->bucket.lock);
        pl_free((char *)(uintptr_t)t->name.p);
        pl_free(t);
    }
}

static size_t chain_of(pl_str name)
{
    return pl_hash64(name.p, name.n) % DIST_TENANT_CHAINS;
}

static bool is_full_locked(const struct distributor *d)
{
    return d->tenant_count >= (d->o.tenants_max > 0 ? d->o.tenants_max : (uint32_t)DIST_TENANTS_MAX);
}

struct dist_tenant *dist__tenant_find(struct distributor *d, pl_str name)
{
    struct dist_tenant *t;

    pl_mutex_lock(&d->lock);
    t = find_locked(d, chain_of(name), name);
    if (t == NULL && is_full_locked(d)) {
        t = d->overflow;
    }
    pl_mutex_unlock(&d->lock);
    return t;
}

struct dist_tenant *dist__tenant(struct distributor *d, pl_str name)
{
    const size_t at = chain_of(name);
    struct dist_tenant *t = dist__tenant_find(d, name);

    while (PL_UNLIKELY(t == NULL)) {
        struct dist_tenant *made;
        bool full;
        pl_mutex_lock(&d->lock);
        full = is_full_locked(d);
        pl_mutex_unlock(&d->lock);
        made = tenant_create(full ? PL_STR("overflow") : name); /* not under the lock: it registers metrics */
        pl_mutex_lock(&d->lock);
        t = find_locked(d, at, name);
        if (t == NULL && full) {
            t = d->overflow = d->overflow != NULL ? d->overflow : made;
        } else if (t == NULL && !is_full_locked(d)) {
            t = made;
            t->next = d->chain[at];
            d->chain[at] = t;
            d->tenant_count++;
        } /* else another took the last place: once more */
        pl_mutex_unlock(&d->lock);
        if (t != made) {
            tenant_destroy(made); /* another push was first */
        }
    }
    return t;
}

void dist__tenants_free(struct distributor *d)
{
    for (size_t i = 0; i < DIST_TENANT_CHAINS; i++) {
        while (d->chain[i] != NULL) {
            struct dist_tenant *t = d->chain[i];
            d->chain[i] = t->next;
            tenant_destroy(t);
        }
    }
    tenant_destroy(d->overflow);
}

bool dist__bucket_take(struct dist_bucket *b, const struct dist_policy *p, uint64_t n, int64_t now_mono_ns)
{
    bool ok;

    pl_mutex_lock(&b->lock);
    if (!b->started || now_mono_ns - b->limits_read_ns >= LIMITS_FRESH_S * PL_NS_PER_S) {
        b->rate = p->rate;
        b->burst = p->burst;
        b->limits_read_ns = now_mono_ns;
    }
    if (!b->started) {
        b->started = true;
        b->tokens = (double)b->burst;
        b->refilled_ns = now_mono_ns;
    }
    if (now_mono_ns > b->refilled_ns) {
        b->tokens += (double)(now_mono_ns - b->refilled_ns) / (double)PL_NS_PER_S * b->rate;
        b->refilled_ns = now_mono_ns;
    }
    b->tokens = PL_MIN(b->tokens, (double)b->burst);
    ok = (double)n <= b->tokens;
    if (ok) {
        b->tokens -= (double)n;
    }
    pl_mutex_unlock(&b->lock);
    return ok;
}

double dist__bucket_rate(struct dist_bucket *b)
{
    double rate;

    pl_mutex_lock(&b->lock);
    rate = b->rate;
    pl_mutex_unlock(&b->lock);
    return rate;
}
