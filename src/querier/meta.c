/* metadata, format_query, parse_query, status/... and user_stats. */
#include "codec/json_out.h"
#include "querier/internal.h"

/* ---- metadata ---- */

static const char *metadata_type(int type)
{
    static const char *const names[] = {"unknown",        "counter", "gauge", "histogram",
                                        "gaugehistogram", "summary", "info",  "stateset"};

    return type >= 0 && (size_t)type < PL_ARRAY_LEN(names) ? names[type] : names[0];
}

/* An integer parameter; absent: -1, which is no limit. */
static pl_status metadata_limit(struct querier_call *c, const char *name, const char *message, int64_t *out)
{
    pl_str text = querier_param(c, name);

    *out = -1;
    if (text.n > 0 && !pl_str_to_i64(text, out)) {
        return pl_fail(&c->err, PL_INVALID, "%s", message);
    }
    return PL_OK;
}

static void put_metadata(struct pl_buf *b, const struct ingest_metadata *m)
{
    PL_BUF_LIT(b, "{\"type\":");
    json_cstr(b, metadata_type(m->type));
    PL_BUF_LIT(b, ",\"help\":");
    json_str(b, m->help);
    PL_BUF_LIT(b, ",\"unit\":");
    json_str(b, m->unit);
    pl_buf_byte(b, '}');
}

/* All of one metric, which stand together in v. */
static size_t put_metric(struct pl_buf *b, const struct ingest_metadata *v, size_t n, int64_t per_metric_max)
{
    size_t i = 0;

    json_str(b, v[0].metric);
    PL_BUF_LIT(b, ":[");
    for (; i < n && pl_str_eq(v[i].metric, v[0].metric); i++) {
        if (per_metric_max <= 0 || i < (size_t)per_metric_max) {
            json_comma(b);
            put_metadata(b, &v[i]);
        }
    }
    pl_buf_byte(b, ']');
    return i;
}

pl_status querier_metadata(struct querier_call *c)
{
    struct pl_buf *b = &c->resp->body;
    pl_str metric = querier_param(c, "metric");
    struct ingest_metadata *v;
    size_t n;
    size_t i = 0;
    int64_t limit;
    int64_t per_metric_max;
    int64_t written = 0;
    pl_status st = metadata_limit(c, "limit", MSG_METADATA_LIMIT, &limit);

    if (st == PL_OK) {
        st = metadata_limit(c, "limit_per_metric", MSG_METADATA_LIMIT_PER_METRIC, &per_metric_max);
    }
    if (st == PL_OK) {
        st = c->q->port->ops->metadata(c->q->port, c->req->tenant, &c->arena, &v, &n, &c->err);
    }
    if (st != PL_OK) {
        return st;
    }
    querier_answer_begin(c);
    pl_buf_byte(b, '{');
    while (i < n && (limit < 0 || written < limit)) {
        if (metric.n > 0 && !pl_str_eq(v[i].metric, metric)) {
            i++;
            continue;
        }
        json_comma(b);
        i += put_metric(b, v + i, n - i, per_metric_max);
        written++;
    }
    pl_buf_byte(b, '}');
    return querier_answer_end(c, NULL);
}

/* ---- format_query, parse_query ---- */

static pl_status parse_param(struct querier_call *c, struct pq_node **expr)
{
    struct pq_parse_options parse = {.experimental_functions = c->q->o.experimental_functions};
    pl_status st = pq_parse(expr, &c->arena, querier_param(c, "query"), &parse, &c->err);

    if (st != PL_OK) {
        pl_wrap(&c->err, "invalid parameter \"query\"");
    }
    return st;
}

pl_status querier_format(struct querier_call *c)
{
    struct pq_node *expr;
    struct pl_buf text;
    pl_status st = parse_param(c, &expr);

    if (st != PL_OK) {
        return st;
    }
    pl_buf_init(&text, c->q->o.query_bytes_max);
    pq_print_pretty(&text, expr);
    querier_answer_begin(c);
    json_str(&c->resp->body, pl_buf_view(&text));
    c->resp->body.overflow |= text.overflow;
    pl_buf_fini(&text);
    return querier_answer_end(c, NULL);
}

pl_status querier_parse(struct querier_call *c)
{
    struct pq_node *expr;
    pl_status st = parse_param(c, &expr);

    if (st != PL_OK) {
        return st;
    }
    querier_answer_begin(c);
    pq_print_json(&c->resp->body, expr);
    return querier_answer_end(c, NULL);
}

/* ---- status ---- */

pl_status querier_buildinfo(struct querier_call *c)
{
    struct pl_buf *b = &c->resp->body;

    querier_answer_begin(c);
    PL_BUF_LIT(b, "{\"version\":\"" PL_VERSION "\",\"revision\":");
    json_str(b, c->q->o.revision);
    PL_BUF_LIT(b, ",\"branch\":");
    json_str(b, c->q->o.branch);
    PL_BUF_LIT(b, ",\"buildUser\":\"\",\"buildDate\":");
    json_str(b, c->q->o.build_date);
    PL_BUF_LIT(b, ",\"goVersion\":\"\"}"); /* the keys clients look for; it is C */
    return querier_answer_end(c, NULL);
}

/* Of Prometheus's fields, those that mean something here. */
pl_status querier_runtimeinfo(struct querier_call *c)
{
    struct pl_buf *b = &c->resp->body;

    querier_answer_begin(c);
    PL_BUF_LIT(b, "{\"startTime\":\"");
    pl_buf_rfc3339_ms(b, c->q->start_unix_ms);
    PL_BUF_LIT(b, "\",\"serverTime\":\"");
    pl_buf_rfc3339_ms(b, c->now_ms);
    PL_BUF_LIT(b, "\",\"lookbackDelta\":");
    json_str(b, querier_go_duration(&c->arena, c->q->o.lookback_ns));
    PL_BUF_LIT(b, ",\"queryTimeout\":");
    json_str(b, querier_go_duration(&c->arena, c->q->o.timeout_ns));
    PL_BUF_LIT(b, ",\"queryConcurrency\":");
    pl_buf_u64(b, c->q->o.concurrent_max);
    PL_BUF_LIT(b, ",\"querySamplesMax\":");
    pl_buf_u64(b, c->q->o.samples_max);
    pl_buf_byte(b, '}');
    return querier_answer_end(c, NULL);
}

pl_status querier_config(struct querier_call *c)
{
    struct pl_buf yaml;

    pl_buf_init(&yaml, 0);
    c->q->o.config_yaml(c->q->o.status_arg, &yaml);
    querier_answer_begin(c);
    PL_BUF_LIT(&c->resp->body, "{\"yaml\":");
    json_str(&c->resp->body, pl_buf_view(&yaml));
    pl_buf_byte(&c->resp->body, '}');
    pl_buf_fini(&yaml);
    return querier_answer_end(c, NULL);
}

static void put_flag(void *arg, pl_str name, pl_str value)
{
    struct pl_buf *b = arg;

    json_comma(b);
    json_str(b, name);
    pl_buf_byte(b, ':');
    json_str(b, value);
}

pl_status querier_flags(struct querier_call *c)
{
    querier_answer_begin(c);
    pl_buf_byte(&c->resp->body, '{');
    c->q->o.flags(c->q->o.status_arg, put_flag, &c->resp->body);
    pl_buf_byte(&c->resp->body, '}');
    return querier_answer_end(c, NULL);
}

static void put_count(struct pl_buf *b, const char *key, uint64_t v)
{
    json_comma(b);
    json_key(b, key);
    pl_buf_u64(b, v);
}

static void put_time(struct pl_buf *b, const char *key, int64_t t_ms)
{
    json_comma(b);
    json_key(b, key);
    pl_buf_i64(b, t_ms);
}

static void put_rate(struct pl_buf *b, const char *key, double v)
{
    json_comma(b);
    json_key(b, key);
    json_f64(b, v);
}

static void put_rows(struct pl_buf *b, const char *key, const struct tsdb_top *rows, size_t n)
{
    pl_buf_byte(b, ',');
    json_key(b, key);
    pl_buf_byte(b, '[');
    for (size_t i = 0; i < n; i++) {
        json_comma(b);
        PL_BUF_LIT(b, "{\"name\":");
        json_str(b, rows[i].name);
        PL_BUF_LIT(b, ",\"value\":");
        pl_buf_u64(b, rows[i].value);
        pl_buf_byte(b, '}');
    }
    pl_buf_byte(b, ']');
}

pl_status querier_tsdb(struct querier_call *c)
{
    struct pl_buf *b = &c->resp->body;
    pl_str text = querier_param(c, "limit");
    struct tenant_tsdb_status s = {0};
    uint64_t limit = 10;
    pl_status st;

    if (text.n > 0 && (!pl_str_to_u64(text, &limit) || limit < 1)) {
        return pl_fail(&c->err, PL_INVALID, MSG_TSDB_LIMIT);
    }
    if (limit > QUERIER_LABEL_ROWS_MAX) {
        return pl_fail(&c->err, PL_INVALID, MSG_TSDB_LIMIT_MAX, QUERIER_LABEL_ROWS_MAX);
    }
    st = c->q->port->ops->tsdb_status(c->q->port, c->req->tenant, (size_t)limit, &c->arena, &s, &c->err);
    if (st != PL_OK) {
        return st;
    }
    querier_answer_begin(c);
    PL_BUF_LIT(b, "{\"headStats\":{");
    put_count(b, "numSeries", s.series);
    put_count(b, "numLabelPairs", s.label_pairs);
    put_count(b, "chunkCount", s.chunks);
    put_time(b, "minTime", s.mint_ms);
    put_time(b, "maxTime", s.maxt_ms);
    pl_buf_byte(b, '}');
    put_rows(b, "seriesCountByMetricName", s.metrics, s.metric_count);
    put_rows(b, "labelValueCountByLabelName", s.label_values, s.label_value_count);
    put_rows(b, "memoryInBytesByLabelName", NULL, 0); /* not known: the keys that clients look for */
    put_rows(b, "seriesCountByLabelValuePair", NULL, 0);
    pl_buf_byte(b, '}');
    return querier_answer_end(c, NULL);
}

/* ---- user_stats: Cortex's own form, without the envelope ---- */

static void user_stats(void *arg, struct http_request *req, struct http_response *resp)
{
    struct querier *q = arg;
    struct pl_buf *b = &resp->body;
    struct tenant_stats s = {0};
    struct pl_err err;
    pl_status st = server_tenant_check(req->tenant, &err);

    if (st == PL_OK) {
        st = q->port->ops->stats(q->port, req->tenant, &s, &err);
    }
    if (st != PL_OK) {
        server_text_fail(resp, &err);
        return;
    }
    resp->content_type = "application/json";
    pl_buf_byte(b, '{');
    put_rate(b, "ingestionRate", s.ingestion_rate);
    put_count(b, "numSeries", s.series);
    put_rate(b, "APIIngestionRate", s.api_rate);
    put_rate(b, "RuleIngestionRate", s.rule_rate);
    put_count(b, "activeSeries", s.active_series);
    put_count(b, "loadedBlocks", s.loaded_blocks);
    put_count(b, "queriedIngesters", 0); /* COMPAT: stays 0 in Cortex too */
    pl_buf_byte(b, '}');
}

void querier_user_stats_route(struct querier *q, struct server *s, const char *path)
{
    server_route_add(s, &(struct server_route){.methods = HTTP_GET,
                                               .path = path,
                                               .handler = user_stats,
                                               .arg = q,
                                               .auth = SERVER_AUTH_TENANT,
                                               .pool = SERVER_POOL_ADMIN,
                                               .gzip = true});
}
