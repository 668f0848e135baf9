/* The ingest port: one push into one tenant's store. Spec ring-distributor-ingester.md 5.3 and 5.4. */
#include "ingester/internal.h"
#include "ingester/messages.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/memory.h"
#include "codec/float_text.h"
#include "ports/discard.h"
#include "ports/shed.h"

#include <stdlib.h>

METRIC_DEF_COUNTER(m_ingested, "cortex_ingester_ingested_samples_total", "Samples that were stored.");
METRIC_DEF_COUNTER(m_failed, "cortex_ingester_ingested_samples_failures_total", "Samples that could not be stored.");
METRIC_DEF_COUNTER(m_metadata, "cortex_ingester_ingested_metadata_total", "Metadata entries that were taken.");
METRIC_DEF_COUNTER(m_metadata_failed, "cortex_ingester_ingested_metadata_failures_total",
                   "Metadata entries that were refused.");

void ing__push_init(struct ingester *i)
{
    i->cell.ingested = METRIC_CELL0(m_ingested);
    i->cell.failed = METRIC_CELL0(m_failed);
    i->cell.metadata = METRIC_CELL0(m_metadata);
    i->cell.metadata_failed = METRIC_CELL0(m_metadata_failed);
}

struct ingest_session {
    struct ingester *i;
    struct ing_tenant *t;
};

static pl_status check_instance(struct ingester *i, uint64_t inflight, struct pl_err *err)
{
    const uint64_t inflight_max = atomic_load_explicit(&i->max.inflight_push_max, memory_order_relaxed);
    const double rate_max = atomic_load_explicit(&i->max.ingestion_rate_max, memory_order_relaxed);

    if (inflight_max > 0 && inflight > inflight_max) {
        return pl_fail(err, PL_INTERNAL, MSG_INFLIGHT);
    }
    if (rate_max > 0 && ing__rate_get(&i->rate) >= rate_max) {
        return pl_fail(err, PL_INTERNAL, MSG_RATE);
    }
    return PL_OK;
}

static pl_status session_begin(struct ingest_port *port, pl_str tenant, struct ingest_session **out, struct pl_err *err)
{
    struct ingester *i = ing__of_ingest(port);
    uint64_t inflight =
        atomic_fetch_add_explicit(&i->inflight, 1, memory_order_relaxed) + 1; /* a count, it orders nothing */
    struct ing_tenant *t = NULL;
    struct pl_err local = {.status = PL_OK};
    pl_status st = check_instance(i, inflight, err);

    if (st == PL_OK) {
        st = ing__tenant_pin(&t, i, tenant, err != NULL ? err : &local);
    }
    if (st != PL_OK) {
        atomic_fetch_sub_explicit(&i->inflight, 1, memory_order_relaxed);
        return st;
    }
    struct ingest_session *s = pl_new(struct ingest_session);
    s->i = i;
    s->t = t;
    tsdb_append_begin(t->db);
    *out = s;
    return PL_OK;
}

static bool port_known(struct ingest_port *port, pl_str tenant)
{
    return ing__tenant_known(ing__of_ingest(port), tenant);
}

static void session_end(struct ingest_session *s)
{
    tsdb_append_end(s->t->db);
    ing__tenant_unpin(s->i, s->t);
    atomic_fetch_sub_explicit(&s->i->inflight, 1, memory_order_relaxed);
    pl_free(s);
}

static void session_resolve(struct ingest_session *s, const struct pl_hash128 *hashes, uint32_t count, uint64_t *refs)
{
    tsdb_resolve(s->t->db, hashes, count, refs);
}

static void session_forget(struct ingest_session *s)
{
    tsdb_forget_wire_hashes(s->t->db);
}

/* ---- limits ---- */

/* A pair of limits as the texts show them. One ingester holds everything, so a global limit is a local one. */
struct series_limit {
    int64_t local, global;
};

struct series_limits {
    struct series_limit user, metric;
    struct ing_meta_limits metadata;
};

static struct series_limits limits_of(struct ingester *i, pl_str tenant)
{
    const struct limits *l = limits_get(i->limits, tenant);
    struct series_limits out = {
        .user = {l->max_series_per_user, l->max_global_series_per_user},
        .metric = {l->max_series_per_metric, l->max_global_series_per_metric},
        .metadata = {ing__min_set(l->max_metadata_per_user, l->max_global_metadata_per_user),
                     ing__min_set(l->max_metadata_per_metric, l->max_global_metadata_per_metric)},
    };

    limits_put(i->limits, l);
    return out;
}

static int64_t series_max(struct series_limit l)
{
    return ing__min_set(l.local, l.global);
}

/* How many series this tenant may have: before the whole process has too many, or no more than it has while memory is
 * short. INT64_MAX: no such limit. */
struct room {
    int64_t series;
    bool memory; /* it is memory that is short */
};

static void room_in_instance(struct room *r, const struct ingester *i, const struct ing_tenant *t)
{
    const uint64_t max = atomic_load_explicit(&i->max.series_max, memory_order_relaxed);
    struct tsdb_stats stats;
    int64_t others;

    r->memory = pl_memory_state() != PL_MEMORY_FINE;
    r->series = INT64_MAX;
    if (max == 0 && !r->memory) {
        return;
    }
    tsdb_stats_get(t->db, &stats);
    if (r->memory) {
        r->series = (int64_t)stats.series;
        return;
    }
    others = atomic_load_explicit(&i->series, memory_order_relaxed) - (int64_t)stats.series;
    r->series = PL_MAX((int64_t)max - PL_MAX(others, 0), 0);
}

static pl_status fail_room(const struct room *r, struct pl_err *err)
{
    return r->memory ? shed_fail(SHED_SERIES, err) : pl_fail(err, PL_INTERNAL, MSG_SERIES);
}

/* ---- metadata ---- */

static void take_metadata(struct ingest_session *s, const struct ingest_batch *b, struct ing_meta_limits max)
{
    const int64_t now_ms = pl_now_unix_ms();
    uint32_t refused = 0;

    for (uint32_t k = 0; k < b->metadata_count; k++) {
        switch (ing__metadata_add(&s->t->metadata, &b->metadata[k], max, now_ms)) {
        case ING_META_OK:
            continue;
        case ING_META_USER_LIMIT:
            discard_metadata(PL_STR("per_user_metadata_limit"), s->t->name, 1);
            break;
        case ING_META_METRIC_LIMIT:
            discard_metadata(PL_STR("per_metric_metadata_limit"), s->t->name, 1);
            break;
        }
        refused++;
    }
    if (b->metadata_count > 0) {
        metric_add(s->i->cell.metadata, b->metadata_count - refused);
        metric_add(s->i->cell.metadata_failed, refused);
    }
}

/* ---- refused samples ---- */

static const pl_str soft_reason[TSDB_SOFT_COUNT] = {
    [TSDB_SOFT_NONE] = PL_STR_INIT(""),
    [TSDB_SOFT_OUT_OF_BOUNDS] = PL_STR_INIT("sample-out-of-bounds"),
    [TSDB_SOFT_OUT_OF_ORDER] = PL_STR_INIT("sample-out-of-order"),
    [TSDB_SOFT_DUPLICATE] = PL_STR_INIT("new-value-for-timestamp"),
    [TSDB_SOFT_SERIES_LIMIT] = PL_STR_INIT("per_user_series_limit"),
    [TSDB_SOFT_METRIC_LIMIT] = PL_STR_INIT("per_metric_series_limit"),
};

/* Texts of one refusal, in one buffer that the caller frees. */
struct soft_texts {
    struct pl_buf b;
    size_t series, time, head_time, existing, offered;
};

static size_t end_text(struct pl_buf *b)
{
    pl_buf_byte(b, '\0');
    return b->n;
}

static void soft_texts_make(struct soft_texts *x, const struct tsdb_append_result *r)
{
    pl_buf_init(&x->b, 0);
    x->series = 0;
    labels_text(&x->b, r->first_labels);
    x->time = end_text(&x->b);
    pl_buf_rfc3339_ms(&x->b, r->first_t);
    x->head_time = end_text(&x->b);
    pl_buf_rfc3339_ms(&x->b, r->head_maxt_ms);
    x->existing = end_text(&x->b);
    pl_buf_f64_g(&x->b, r->first_existing_v);
    x->offered = end_text(&x->b);
    pl_buf_f64_g(&x->b, r->first_v);
    (void)end_text(&x->b);
}

static pl_status fail_soft(struct ingest_session *s, const struct tsdb_append_result *r,
                           const struct series_limits *max, struct pl_err *err)
{
    const pl_str admin = s->i->o.admin_limit_message;
    const struct series_limit user = max->user, metric = max->metric;
    const pl_str name = labels_get(r->first_labels, LABEL_METRIC_NAME);
    struct soft_texts x;

    soft_texts_make(&x, r);
    const char *text = x.b.p, *series = text + x.series, *time = text + x.time;
    switch (r->first) {
    case TSDB_SOFT_OUT_OF_BOUNDS:
        (void)pl_fail(err, PL_INVALID, MSG_OUT_OF_BOUNDS, time, text + x.head_time, series);
        break;
    case TSDB_SOFT_OUT_OF_ORDER:
        (void)pl_fail(err, PL_INVALID, MSG_OUT_OF_ORDER, time, series);
        break;
    case TSDB_SOFT_DUPLICATE:
        if (r->first_is_hist) {
            (void)pl_fail(err, PL_INVALID, MSG_DUPLICATE_HIST, time, series);
            break;
        }
        if (r->first_existing_is_hist) {
            (void)pl_fail(err, PL_INVALID, MSG_DUPLICATE_OF_HIST, r->first_t, text + x.offered, series);
            break;
        }
        (void)pl_fail(err, PL_INVALID, MSG_DUPLICATE, r->first_t, text + x.existing, text + x.offered, series);
        break;
    case TSDB_SOFT_SERIES_LIMIT:
        (void)pl_fail(err, PL_INVALID, MSG_USER_SERIES, series_max(user), PL_STR_ARG(admin), user.local, user.global,
                      series_max(user));
        break;
    case TSDB_SOFT_METRIC_LIMIT:
        (void)pl_fail(err, PL_INVALID, MSG_METRIC_SERIES, series_max(metric), PL_STR_ARG(name), PL_STR_ARG(admin),
                      metric.local, metric.global, series_max(metric), series);
        break;
    case TSDB_SOFT_NONE:
    case TSDB_SOFT_COUNT:
        PL_UNREACHABLE("a refusal of no kind");
    }
    pl_buf_fini(&x.b);
    pl_wrap(err, "user=%.*s", PL_STR_ARG(s->t->name));
    return PL_INVALID;
}

/* ---- append ---- */

static uint64_t count_refused(struct ingest_session *s, const struct tsdb_append_result *r, bool instance_limited)
{
    uint64_t refused = 0;

    for (int kind = TSDB_SOFT_NONE + 1; kind < TSDB_SOFT_COUNT; kind++) {
        refused += r->soft_count[kind];
        if (kind != TSDB_SOFT_SERIES_LIMIT || !instance_limited) {
            discard_samples(soft_reason[kind], s->t->name, r->soft_count[kind]);
        }
    }
    return refused;
}

/* Series that were new to the store have a reference now: asked for once in a series' life. */
static void learn_refs(struct ingest_session *s, struct tsdb_append_batch *b, struct pl_arena *a)
{
    uint32_t *at = pl_arena_alloc_try(a, b->series_count * sizeof(*at));
    struct pl_hash128 *hashes = pl_arena_alloc_try(a, b->series_count * sizeof(*hashes));
    uint64_t *refs = pl_arena_alloc_try(a, b->series_count * sizeof(*refs));
    uint32_t n = 0;

    if (at == NULL || hashes == NULL || refs == NULL) {
        return; /* they are counted from their next sample on */
    }
    for (uint32_t k = 0; k < b->series_count; k++) {
        const struct tsdb_append_series *x = &b->series[k];
        if (x->ref == 0 && (x->wire_hash.lo | x->wire_hash.hi) != 0) {
            hashes[n] = x->wire_hash;
            at[n++] = k;
        }
    }
    tsdb_resolve(s->t->db, hashes, n, refs);
    for (uint32_t k = 0; k < n; k++) {
        b->series[at[k]].ref = refs[k];
    }
}

static void mark_active(struct ingest_session *s, struct tsdb_append_batch *b, struct pl_arena *a)
{
    for (uint32_t k = 0; k < b->series_count; k++) {
        if (PL_UNLIKELY(b->series[k].ref == 0)) {
            learn_refs(s, b, a);
            break;
        }
    }
    ing__active_mark(&s->t->active, b->series, b->series_count, pl_now_unix_ms());
}

static void count_stored(struct ingest_session *s, const struct ingest_batch *b, const struct tsdb_append_result *r)
{
    metric_add(s->i->cell.ingested, (double)r->appended);
    metric_add(s->t->cell.created, (double)r->series_created);
    atomic_fetch_add_explicit(&s->i->series, (int64_t)r->series_created,
                              memory_order_relaxed); /* corrected by the tick */
    ing__rate_add(&s->i->rate, r->appended);
    ing__rate_add(b->from_rule ? &s->t->rule : &s->t->api, r->appended);
}

static pl_status session_append(struct ingest_session *s, const struct ingest_batch *b, struct pl_arena *a,
                                struct pl_err *err)
{
    const struct series_limits max = limits_of(s->i, s->t->name);
    const int64_t own = series_max(max.user);
    struct room room;
    bool instance_limited;
    struct tsdb_append_result r = {.first = TSDB_SOFT_NONE};
    struct tsdb_append_batch batch = {.series = b->series,
                                      .series_count = b->series_count,
                                      .t = b->t,
                                      .v = b->v,
                                      .hist_t = b->hist_t,
                                      .hist = b->hist,
                                      .hist_whole = b->hist_whole};
    uint64_t refused;
    pl_status st;

    room_in_instance(&room, s->i, s->t);
    instance_limited = room.series < (own == 0 ? INT64_MAX : own);
    take_metadata(s, b, max.metadata);
    if (b->series_count == 0) {
        return PL_OK;
    }
    if (instance_limited && room.series == 0) {
        return fail_room(&room, err); /* not even one, and a limit of 0 would mean none */
    }
    batch.series_max = (uint64_t)(instance_limited ? room.series : own);
    batch.series_per_metric_max = (uint64_t)series_max(max.metric);
    st = tsdb_append(s->t->db, &batch, a, &r, err);
    if (st != PL_OK) {
        metric_add(s->i->cell.failed, (double)b->sample_count + b->hist_count);
        return st;
    }
    count_stored(s, b, &r);
    mark_active(s, &batch, a);
    refused = count_refused(s, &r, instance_limited);
    if (refused == 0) {
        return PL_OK;
    }
    metric_add(s->i->cell.failed, (double)refused);
    if (instance_limited && r.first == TSDB_SOFT_SERIES_LIMIT) {
        return fail_room(&room, err);
    }
    return fail_soft(s, &r, &max, err);
}

/* ---- lists ---- */

static int by_name(const void *a, const void *b)
{
    return pl_str_cmp(((const struct ingest_tenant_row *)a)->tenant, ((const struct ingest_tenant_row *)b)->tenant);
}

size_t ingester_tenants(struct ingester *i, struct pl_arena *a, struct ingest_tenant_row **out)
{
    struct ingest_tenant_row *rows;
    size_t n = 0, max;

    pl_mutex_lock(&i->lock);
    max = i->tenant_count;
    pl_mutex_unlock(&i->lock);
    rows = pl_arena_array_try(a, max, sizeof(*rows));
    if (rows == NULL) {
        return 0;
    }
    /* Those that come while we walk are newer than the newest: the walk does not see them, but for its first step. */
    for (struct ing_tenant *t = ing__tenants_next(i, NULL); t != NULL; t = ing__tenants_next(i, t)) {
        if (n < max) {
            rows[n].tenant = t->name; /* tenants live as long as the ingester */
            ing__stats(&rows[n].stats, t);
            n++;
        }
    }
    if (n > 0) {
        qsort(rows, n, sizeof(*rows), by_name);
    }
    *out = rows;
    return n;
}

static pl_status port_tenants(struct ingest_port *port, struct pl_arena *a, struct ingest_tenant_row **out,
                              size_t *count, struct pl_err *err)
{
    (void)err;
    *count = ingester_tenants(ing__of_ingest(port), a, out);
    return PL_OK;
}

const struct ingest_port_ops ing__ingest_ops = {
    .known = port_known,
    .begin = session_begin,
    .resolve = session_resolve,
    .append = session_append,
    .end = session_end,
    .forget = session_forget,
    .tenants = port_tenants,
};
