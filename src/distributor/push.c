/* The pipeline of one write request: spec ring-distributor-ingester.md 4.2. */
#include "distributor/internal.h"
#include "distributor/messages.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "codec/float_text.h"
#include "ports/discard.h"
#include "server/server.h"

#define DIST_MAGIC UINT32_C(0x44495354)

METRIC_DEF_COUNTER(m_push, "cortex_distributor_push_requests_total", "Write requests, by protocol.", "type");
METRIC_DEF_GAUGE(m_inflight, "cortex_distributor_inflight_push_requests", "Write requests being handled now.");
METRIC_DEF_GAUGE(m_rate, "cortex_distributor_ingestion_rate_samples_per_second", "Samples per second, smoothed.");
METRIC_DEF_GAUGE(m_instance_limits, "cortex_distributor_instance_limits", "Limits of this process, 0 when off.",
                 "limit");
METRIC_DEF_GAUGE(m_replication, "cortex_distributor_replication_factor", "How many ingesters get each sample.");

/* One request on its way. Lives on the stack of the worker that serves it. */
struct push {
    struct distributor *d;
    pl_str name;
    struct dist_tenant *tenant; /* NULL until the ingester has taken the tenant once */
    struct dist_policy policy;
    struct dist_check check;
    struct remote_write rw;
    struct pl_hash128 *hashes; /* of rw.series */
    uint64_t *refs;
    struct ingest_batch batch;               /* what is valid */
    uint64_t samples, histograms, exemplars; /* valid */
    bool from_rule;
    struct pl_err *first; /* the first refusal; status PL_OK while there is none */
};

static pl_status fail_memory(const struct push *p, struct pl_err *err)
{
    return ingest_fail_memory(p->check.arena, err);
}

/* ---- before anything is validated ---- */

static void count_incoming(struct push *p)
{
    const struct remote_write *rw = &p->rw;
    int64_t latest_ms = INT64_MIN;

    metric_add(p->tenant->cell.samples_in, rw->sample_count);
    metric_add(p->tenant->cell.histograms_in, (double)rw->histogram_count);
    metric_add(p->tenant->cell.exemplars_in, (double)rw->exemplar_count);
    metric_add(p->tenant->cell.metadata_in, rw->metadata_count);
    for (uint32_t i = 0; i < rw->sample_count; i++) {
        latest_ms = PL_MAX(latest_ms, rw->t[i]);
    }
    if (latest_ms > 0) {
        metric_set(p->tenant->cell.latest_seconds, (double)latest_ms / 1000);
    }
}

static pl_status check_instance(struct distributor *d, uint64_t inflight, struct pl_err *err)
{
    if (d->o.inflight_push_max > 0 && inflight > d->o.inflight_push_max) {
        return pl_fail(err, PL_UNAVAILABLE, MSG_INFLIGHT);
    }
    if (d->o.ingestion_rate_max > 0 &&
        atomic_load_explicit(&d->rate, memory_order_relaxed) >= d->o.ingestion_rate_max) { /* written by the tick */
        return pl_fail(err, PL_UNAVAILABLE, MSG_INSTANCE_RATE);
    }
    return PL_OK;
}

/* The ingester has taken the tenant: from now on it is counted under its name. */
static void meet(struct push *p)
{
    if (p->tenant == NULL) {
        p->tenant = dist__tenant(p->d, p->name);
        count_incoming(p);
    }
}

/* ---- series ---- */

/* Hashes all raw label ranges and asks which series they are known as. Without a session (no store yet), as none. */
static pl_status resolve(struct push *p, struct ingest_session *session, uint64_t salt, struct pl_err *err)
{
    const uint32_t n = p->rw.series_count;

    p->hashes = pl_arena_alloc_try(p->check.arena, n * sizeof(*p->hashes));
    p->refs = pl_arena_alloc_try(p->check.arena, n * sizeof(*p->refs));
    p->batch.series = pl_arena_alloc_try(p->check.arena, n * sizeof(*p->batch.series));
    if (p->hashes == NULL || p->refs == NULL || p->batch.series == NULL) {
        return fail_memory(p, err);
    }
    for (uint32_t i = 0; i < n; i++) {
        const pl_str raw = p->rw.series[i].labels;
        p->hashes[i] = pl_hash128(raw.p, raw.n);
        p->hashes[i].hi ^= salt;
    }
    if (session != NULL) {
        p->d->ingest->ops->resolve(session, p->hashes, n, p->refs);
    } else {
        memset(p->refs, 0, n * sizeof(*p->refs));
    }
    return PL_OK;
}

static bool all_in_time(const int64_t *restrict t, uint32_t n, int64_t mint, int64_t maxt)
{
    bool ok = true;

    for (uint32_t i = 0; i < n; i++) {
        ok &= t[i] >= mint && t[i] <= maxt;
    }
    return ok;
}

static pl_status note(struct push *p, enum dist_verdict verdict, struct pl_err *err)
{
    if (verdict == DIST_FAIL) {
        return err->status;
    }
    if (verdict == DIST_REFUSE && !p->check.silent) {
        *p->first = *err;
        p->check.silent = true;
    }
    return PL_OK;
}

static void keep(struct push *p, uint32_t i, struct labels labels)
{
    const struct remote_write_series *s = &p->rw.series[i];

    p->samples += s->sample_count;
    p->histograms += s->histogram_count;
    p->exemplars += s->exemplar_count;
    if (s->sample_count == 0 && (s->histogram_count == 0 || !p->policy.native_histograms)) {
        return; /* nothing to store: a series begins with its first sample */
    }
    p->batch.series[p->batch.series_count++] = (struct tsdb_append_series){
        .ref = p->refs[i],
        .wire_hash = s->gathered ? (struct pl_hash128){0, 0} : p->hashes[i],
        .labels = labels,
        .sample_first = s->sample_first,
        .sample_count = s->sample_count,
        .hist_first = s->histogram_first,
        .hist_count = p->policy.native_histograms ? s->histogram_count : 0,
    };
}

/* The columns of histograms. Those of refused series are there too, and nobody looks at them. */
static pl_status take_histograms(struct push *p, struct pl_err *err)
{
    const uint32_t n = p->policy.native_histograms ? p->rw.histogram_count : 0;
    int64_t *t;
    const struct hist **h;
    bool *whole;

    if (n == 0) {
        return PL_OK;
    }
    t = pl_arena_alloc_try(p->check.arena, n * sizeof(*t));
    h = pl_arena_alloc_try(p->check.arena, n * sizeof(*h));
    whole = pl_arena_alloc_try(p->check.arena, n * sizeof(*whole));
    if (t == NULL || h == NULL || whole == NULL) {
        return fail_memory(p, err);
    }
    for (uint32_t i = 0; i < n; i++) {
        t[i] = p->rw.histograms[i].t;
        h[i] = p->rw.histograms[i].h;
        whole[i] = p->rw.histograms[i].whole;
    }
    p->batch.hist_t = t;
    p->batch.hist = h;
    p->batch.hist_whole = whole;
    p->batch.hist_count = n;
    return PL_OK;
}

/* Validates every series. A known one was validated when it was remembered: only its timestamps are looked at. */
static pl_status take_series(struct push *p, struct pl_err *err)
{
    const struct remote_write *rw = &p->rw;
    const bool in_time = all_in_time(rw->t, rw->sample_count, p->check.mint_ms, p->check.maxt_ms);

    for (uint32_t i = 0; i < rw->series_count; i++) {
        const struct remote_write_series *s = &rw->series[i];
        struct labels labels = {NULL, 0};
        enum dist_verdict verdict = DIST_KEEP;
        if (PL_UNLIKELY(p->refs[i] == 0)) {
            verdict = dist__check_labels(&labels, &p->check, s, err);
        }
        if (PL_UNLIKELY(!in_time) && verdict == DIST_KEEP) {
            verdict = dist__check_samples(&p->check, s, rw->t + s->sample_first, err);
        }
        if (PL_UNLIKELY(s->histogram_count > 0) && p->policy.native_histograms && verdict == DIST_KEEP) {
            verdict = dist__check_histograms(&p->check, s, rw->histograms + s->histogram_first, err);
        }
        if (PL_LIKELY(verdict == DIST_KEEP)) {
            keep(p, i, labels);
        } else {
            PL_TRY(note(p, verdict, err));
        }
    }
    p->batch.t = rw->t;
    p->batch.v = rw->v;
    p->batch.sample_count = rw->sample_count;
    return take_histograms(p, err);
}

static pl_status take_metadata(struct push *p, struct pl_err *err)
{
    struct ingest_metadata *out;

    if (p->rw.metadata_count == 0) {
        return PL_OK;
    }
    out = pl_arena_array_try(p->check.arena, p->rw.metadata_count, sizeof(*out));
    if (out == NULL) {
        return fail_memory(p, err);
    }
    p->batch.metadata = out;
    for (uint32_t i = 0; i < p->rw.metadata_count; i++) {
        const struct remote_write_metadata *m = &p->rw.metadata[i];
        enum dist_verdict verdict = dist__check_metadata(&p->check, m, err);
        if (verdict == DIST_KEEP) {
            out[p->batch.metadata_count++] = (struct ingest_metadata){m->type, m->metric, m->help, m->unit};
        } else {
            PL_TRY(note(p, verdict, err));
        }
    }
    return PL_OK;
}

/* ---- rates ---- */

static pl_status fail_rate(struct push *p, struct pl_err *err)
{
    const uint64_t samples = p->samples + p->histograms;
    char rate[FLOAT_TEXT_MAX];
    int n = (int)float_put_g(rate, p->tenant != NULL ? dist__bucket_rate(&p->tenant->bucket) : p->policy.rate);

    discard_samples(PL_STR("rate_limited"), p->name, samples);
    discard_exemplars(PL_STR("rate_limited"), p->name, p->exemplars);
    discard_metadata(PL_STR("rate_limited"), p->name, p->batch.metadata_count);
    return pl_fail(err, PL_RATE, MSG_RATE, n, rate, samples, (uint64_t)p->batch.metadata_count);
}

static uint64_t valid_count(const struct push *p)
{
    return p->samples + p->histograms + p->exemplars + p->batch.metadata_count;
}

/* Counts what is valid and takes its tokens. */
static pl_status admit(struct push *p, struct pl_err *err)
{
    const uint64_t total = valid_count(p);

    metric_add(p->tenant->cell.samples, (double)p->samples);
    metric_add(p->tenant->cell.histograms, (double)p->histograms);
    metric_add(p->tenant->cell.exemplars, (double)p->exemplars);
    metric_add(p->tenant->cell.metadata, p->batch.metadata_count);
    if (!dist__bucket_take(&p->tenant->bucket, &p->policy, total, pl_now_mono_ns())) {
        return fail_rate(p, err);
    }
    /* Read by the tick. */
    atomic_fetch_add_explicit(&p->d->samples_since_tick, total, memory_order_relaxed);
    if (!p->policy.native_histograms) { /* switched off: the sender is not told */
        discard_samples(PL_STR("native-histogram-sample"), p->name, p->histograms);
    }
    return PL_OK;
}

/* ---- the whole ---- */

/* Hashes of other limits are of no use any more; one push gives their memory back. */
static void forget_old(struct push *p, struct ingest_session *session, uint64_t salt)
{
    uint64_t old =
        atomic_load_explicit(&p->tenant->wire_salt, memory_order_relaxed); /* an optimisation: no order needed */

    if (PL_UNLIKELY(old != salt) &&
        atomic_compare_exchange_strong_explicit(&p->tenant->wire_salt, &old, salt, memory_order_relaxed,
                                                memory_order_relaxed) &&
        old != 0) {
        p->d->ingest->ops->forget(session);
    }
}

/* Everything that can be said without the store. */
static pl_status check(struct push *p, struct ingest_session *session, uint64_t salt, struct pl_err *err)
{
    PL_TRY(resolve(p, session, salt, err));
    PL_TRY(take_series(p, err));
    return take_metadata(p, err);
}

/* The store of a tenant that has none, made only when there is something to put into it: a full bucket would take it.
 * Whoever sends under names that the ingester refuses leaves nothing behind here. */
static pl_status begin_new(struct push *p, struct ingest_session **session, struct pl_err *err)
{
    if ((double)valid_count(p) > (double)p->policy.burst) {
        return fail_rate(p, err);
    }
    PL_TRY(p->d->ingest->ops->begin(p->d->ingest, p->name, session, err));
    meet(p);
    return PL_OK;
}

static pl_status push_in_session(struct push *p, struct pl_err *err)
{
    struct ingest_port *port = p->d->ingest;
    const uint64_t salt = dist__policy_salt(&p->policy);
    struct ingest_session *session = NULL;
    bool to_store;
    pl_status st;

    if (port->ops->known == NULL || port->ops->known(port, p->name)) {
        PL_TRY(port->ops->begin(port, p->name, &session, err));
        meet(p);
        forget_old(p, session, salt);
    }
    st = check(p, session, salt, err);
    to_store = p->batch.series_count + p->batch.metadata_count > 0;
    if (st == PL_OK && session == NULL && to_store) {
        st = begin_new(p, &session, err);
    }
    if (st == PL_OK && session != NULL && valid_count(p) > 0) {
        st = admit(p, err);
    }
    if (st != PL_OK || !to_store) {
        goto out;
    }
    p->batch.from_rule = p->from_rule;
    st = port->ops->append(session, &p->batch, p->check.arena, err);
out:
    if (session != NULL) {
        port->ops->end(session);
    }
    return st;
}

static pl_status push_decoded(struct push *p, struct pl_err *err)
{
    pl_status st;

    if (PL_UNLIKELY(p->rw.unlabelled_count > 0)) {
        return pl_fail(err, PL_INVALID, MSG_EMPTY_LABELS);
    }
    if (p->rw.series_count + p->rw.metadata_count == 0) {
        return PL_OK;
    }
    st = push_in_session(p, err);
    if (st == PL_OK && p->first->status != PL_OK) {
        /* Everything else of the request is stored. */
        *err = *p->first;
        st = err->status;
    }
    return st;
}

/* With the limits in hand. */
static pl_status push_limited(struct push *p, int64_t now_ms, struct pl_err *err)
{
    struct dist_check *c = &p->check;

    c->policy = &p->policy;
    c->tenant = p->name;
    c->utf8_names = p->d->o.utf8_names;
    if (!p->policy.reject_old || !pl_sub_ok(&c->mint_ms, now_ms, p->policy.old_ms)) {
        c->mint_ms = INT64_MIN;
    }
    if (!pl_add_ok(&c->maxt_ms, now_ms, p->policy.grace_ms)) {
        c->maxt_ms = INT64_MAX;
    }
    return push_decoded(p, err);
}

pl_status distributor_push(struct distributor *d, pl_str tenant, pl_str write_request, struct pl_arena *a,
                           int64_t now_ms, struct pl_err *err)
{
    struct pl_err first = {.status = PL_OK}, local;
    struct push p = {.d = d, .check.arena = a, .first = &first};
    uint64_t inflight;
    const struct limits *limits;
    pl_status st;

    PL_ASSERT(d->magic == DIST_MAGIC);
    err = err != NULL ? err : &local;
    PL_TRY(remote_write_walk(&p.rw, write_request, a, err));
    p.from_rule = p.rw.source == 1;
    p.name = tenant;
    p.tenant = dist__tenant_find(d, tenant);
    inflight = atomic_fetch_add_explicit(&d->inflight, 1, memory_order_relaxed) + 1; /* a count, it orders nothing */
    if (p.tenant != NULL) {
        count_incoming(&p);
    }
    st = check_instance(d, inflight, err);
    if (st == PL_OK) {
        limits = limits_get(d->limits, tenant);
        dist__policy(&p.policy, limits);
        st = push_limited(&p, now_ms, err);
        limits_put(d->limits, limits);
    }
    atomic_fetch_sub_explicit(&d->inflight, 1, memory_order_relaxed);
    return st;
}

/* ---- life ---- */

static void collect(void *arg)
{
    struct distributor *d = arg;

    metric_set(d->cell.inflight, (double)atomic_load_explicit(&d->inflight, memory_order_relaxed));
    metric_set(d->cell.rate, atomic_load_explicit(&d->rate, memory_order_relaxed));
}

struct distributor *distributor_create(const struct distributor_options *o, struct overrides *limits,
                                       struct ingest_port *ingest)
{
    struct distributor *d = pl_new(struct distributor);

    d->magic = DIST_MAGIC;
    d->o = *o;
    d->limits = limits;
    d->ingest = ingest;
    pl_mutex_init(&d->lock, PL_RANK_LIMITER);
    d->cell.push_v1 = METRIC_CELL(m_push, PL_STR("prw1"));
    d->cell.push_unknown = METRIC_CELL(m_push, PL_STR("unknown"));
    d->cell.inflight = METRIC_CELL0(m_inflight);
    d->cell.rate = METRIC_CELL0(m_rate);
    metric_set(METRIC_CELL(m_instance_limits, PL_STR("max_inflight_push_requests")), (double)o->inflight_push_max);
    metric_set(METRIC_CELL(m_instance_limits, PL_STR("max_ingestion_rate")), o->ingestion_rate_max);
    metric_set(METRIC_CELL0(m_replication), 1);
    return d;
}

void distributor_destroy(struct distributor *d)
{
    if (d != NULL) {
        d->magic = 0;
        dist__tenants_free(d);
        pl_mutex_fini(&d->lock);
        pl_free(d);
    }
}

void distributor_tick(struct distributor *d, int64_t now_mono_ns)
{
    const double alpha = 0.2;
    double instant, rate = atomic_load_explicit(&d->rate, memory_order_relaxed);
    uint64_t n;

    if (d->ticked_ns != 0 && now_mono_ns > d->ticked_ns) {
        n = atomic_exchange_explicit(&d->samples_since_tick, 0, memory_order_relaxed);
        instant = (double)n * (double)PL_NS_PER_S / (double)(now_mono_ns - d->ticked_ns);
        rate = d->rated ? rate + alpha * (instant - rate) : instant;
        d->rated = true;
        atomic_store_explicit(&d->rate, rate, memory_order_relaxed); /* read by pushes */
    }
    d->ticked_ns = now_mono_ns;
    collect(d);
}
