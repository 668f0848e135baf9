/* The query port: a tenant's head and local blocks for the querier. Spec ring-distributor-ingester.md 5.6. */
#include "ingester/internal.h"

/* ---- a tenant without data ---- */

static pl_status empty_select(struct series_source *s, struct pl_arena *a, const struct series_select *q,
                              struct series_list *out, struct pl_err *err)
{
    (void)s, (void)a, (void)q, (void)err;
    *out = (struct series_list){NULL, 0};
    return PL_OK;
}

static pl_status empty_names(struct series_source *s, struct pl_arena *a, const struct series_select *q, size_t limit,
                             struct str_list *out, struct pl_err *err)
{
    (void)s, (void)a, (void)q, (void)limit, (void)err;
    *out = (struct str_list){NULL, 0};
    return PL_OK;
}

static pl_status empty_values(struct series_source *s, struct pl_arena *a, pl_str name, const struct series_select *q,
                              size_t limit, struct str_list *out, struct pl_err *err)
{
    (void)name;
    return empty_names(s, a, q, limit, out, err);
}

static const struct series_source_ops empty_ops = {empty_select, empty_names, empty_values};

/* ---- one with data ---- */

struct pin {
    struct ingester *i;
    struct ing_tenant *t;
};

static void pin_drop(void *arg)
{
    struct pin *pin = arg;

    ing__tenant_unpin(pin->i, pin->t);
}

static pl_status port_source(struct query_port *port, pl_str tenant, struct pl_arena *a, struct series_source **out,
                             struct pl_err *err)
{
    struct ingester *i = ing__of_query(port);
    struct ing_tenant *t = NULL;

    PL_TRY(ing__tenant_pin_open(&t, i, tenant, err));
    if (t == NULL) {
        struct series_source *empty = pl_arena_new(a, struct series_source);
        empty->ops = &empty_ops;
        *out = empty;
        return PL_OK;
    }
    struct pin *pin = pl_arena_new(a, struct pin);
    *pin = (struct pin){i, t};
    pl_arena_on_free(a, pin_drop, pin);
    *out = tsdb_source(t->db);
    return PL_OK;
}

static pl_status port_metadata(struct query_port *port, pl_str tenant, struct pl_arena *a, struct ingest_metadata **out,
                               size_t *count, struct pl_err *err)
{
    struct ingester *i = ing__of_query(port);
    struct ing_tenant *t = NULL;
    pl_status st;

    PL_TRY(ing__tenant_pin_open(&t, i, tenant, err));
    if (t == NULL) {
        *out = NULL;
        *count = 0;
        return PL_OK;
    }
    st = ing__metadata_list(&t->metadata, a, out, count, err);
    ing__tenant_unpin(i, t);
    return st;
}

void ing__stats(struct tenant_stats *out, const struct ing_tenant *t)
{
    struct tsdb_stats s;

    tsdb_stats_get(t->db, &s);
    *out = (struct tenant_stats){
        .series = s.series,
        .active_series = (uint64_t)metric_get(t->cell.active),
        .loaded_blocks = s.block_count,
        .api_rate = ing__rate_get(&t->api),
        .rule_rate = ing__rate_get(&t->rule),
    };
    out->ingestion_rate = out->api_rate + out->rule_rate;
}

static pl_status port_stats(struct query_port *port, pl_str tenant, struct tenant_stats *out, struct pl_err *err)
{
    struct ingester *i = ing__of_query(port);
    struct ing_tenant *t = NULL;

    PL_TRY(ing__tenant_pin_open(&t, i, tenant, err));
    *out = (struct tenant_stats){0};
    if (t != NULL) {
        ing__stats(out, t);
        ing__tenant_unpin(i, t);
    }
    return PL_OK;
}

static void status_of(struct tsdb *db, size_t limit, struct pl_arena *a, struct tenant_tsdb_status *out)
{
    struct tsdb_stats s;

    tsdb_stats_get(db, &s);
    out->series = s.series;
    out->label_pairs = s.label_pairs;
    out->chunks = s.chunks;
    out->mint_ms = s.mint_ms;
    out->maxt_ms = s.maxt_ms;
    out->metric_count = tsdb_top_metrics(db, a, limit, &out->metrics);
    out->label_value_count = tsdb_top_label_values(db, a, limit, &out->label_values);
}

static pl_status port_tsdb_status(struct query_port *port, pl_str tenant, size_t limit, struct pl_arena *a,
                                  struct tenant_tsdb_status *out, struct pl_err *err)
{
    struct ingester *i = ing__of_query(port);
    struct ing_tenant *t = NULL;

    PL_TRY(ing__tenant_pin_open(&t, i, tenant, err));
    *out = (struct tenant_tsdb_status){.mint_ms = INT64_MAX, .maxt_ms = INT64_MIN};
    if (t != NULL) {
        status_of(t->db, limit, a, out);
        ing__tenant_unpin(i, t);
    }
    return PL_OK;
}

const struct query_port_ops ing__query_ops = {
    .source = port_source,
    .metadata = port_metadata,
    .stats = port_stats,
    .tsdb_status = port_tsdb_status,
};
