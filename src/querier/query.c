#include "base/log.h"
#include "querier/internal.h"

/* What both query endpoints read from their parameters. */
struct query_params {
    int64_t start_ms, end_ms, step_ms;
    uint64_t limit;
    int64_t timeout_ms; /* 0: not given */
    int64_t lookback_ms;
    pl_str stats;
    enum pq_explain explain;
};

static pl_status wrap_param(struct querier_call *c, pl_status st, const char *name)
{
    if (st != PL_OK) {
        char msg[PL_ERR_MSG_MAX];

        memcpy(msg, c->err.msg, sizeof(msg));
        (void)pl_fail(&c->err, st, MSG_PARAM_QUERY "%s", name, msg);
    }
    return st;
}

static pl_status eval_time(struct querier_call *c, const char *name, int64_t *out_ms)
{
    pl_str text = querier_param(c, name);
    int64_t t_ms;
    pl_status st = querier_parse_time(&t_ms, text, &c->err);

    if (st == PL_OK && (t_ms > QUERIER_EVAL_MS_MAX || t_ms < -QUERIER_EVAL_MS_MAX)) {
        pl_str quoted = querier_quote(c->req->arena, text);

        st = pl_fail(&c->err, PL_INVALID, MSG_BAD_TIME, PL_STR_ARG(quoted));
    }
    if (st == PL_OK) {
        *out_ms = t_ms;
    }
    return st;
}

static pl_status read_limit(struct querier_call *c, struct query_params *p)
{
    return wrap_param(c, querier_parse_limit(&p->limit, querier_param(c, "limit"), &c->err), "limit");
}

/* Our own addition: how the query runs, beside its answer (analyze) or instead of it (plan). */
static pl_status read_explain(struct querier_call *c, struct query_params *p)
{
    pl_str text = querier_param(c, "explain");

    if (pl_str_eq(text, PL_STR("plan"))) {
        p->explain = PQ_EXPLAIN_PLAN;
    } else if (pl_str_eq(text, PL_STR("analyze"))) {
        p->explain = PQ_EXPLAIN_ANALYZE;
    } else if (text.n > 0) {
        return pl_fail(&c->err, PL_INVALID, MSG_BAD_EXPLAIN);
    }
    return PL_OK;
}

/* timeout, lookback_delta, stats: in the order in which Prometheus looks at them, which decides the error a client
 * sees. */
static pl_status read_options(struct querier_call *c, struct query_params *p)
{
    pl_str timeout = querier_param(c, "timeout");
    pl_str lookback = querier_param(c, "lookback_delta");
    pl_status st;

    if (timeout.n > 0) {
        st = wrap_param(c, querier_parse_duration(&p->timeout_ms, timeout, &c->err), "timeout");
        if (st != PL_OK) {
            return st;
        }
        p->timeout_ms = PL_MAX(p->timeout_ms, 1);
    }
    p->lookback_ms = c->q->o.lookback_ns / PL_NS_PER_MS;
    if (lookback.n > 0) {
        int64_t ms;

        st = querier_parse_duration(&ms, lookback, &c->err);
        if (st != PL_OK) {
            char msg[PL_ERR_MSG_MAX];

            memcpy(msg, c->err.msg, sizeof(msg));
            return pl_fail(&c->err, st, MSG_LOOKBACK "%s", msg);
        }
        if (ms > 0) {
            p->lookback_ms = PL_MIN(ms, QUERIER_EVAL_MS_MAX);
        }
    }
    p->stats = querier_param(c, "stats");
    return wrap_param(c, read_explain(c, p), "explain");
}

static void fill_query(struct querier_call *c, const struct query_params *p, int64_t deadline_ns, struct pq_query *out)
{
    const struct querier_options *o = &c->q->o;

    *out = (struct pq_query){
        .start_ms = p->start_ms,
        .end_ms = p->end_ms,
        .step_ms = p->step_ms,
        .lookback_ms = p->lookback_ms,
        .default_step_ms = o->default_step_ns / PL_NS_PER_MS,
        .samples_max = o->samples_max,
        .subquery_steps_max = o->subquery_steps_max,
        .deadline_mono_ns = deadline_ns,
        .cancel = c->req->canceled,
        .explain = p->explain,
        .per_step_stats = o->per_step_stats && pl_str_eq(p->stats, PL_STR("all")),
    };
    if (c->limits != NULL) {
        out->series_max =
            c->limits->max_fetched_series_per_query > 0 ? (uint64_t)c->limits->max_fetched_series_per_query : 0;
        out->chunks_max =
            c->limits->max_fetched_chunks_per_query > 0 ? (uint64_t)c->limits->max_fetched_chunks_per_query : 0;
    }
}

/* frontend.log_queries_longer_than: Cortex's line, and what it cost. */
static void log_slow(const struct querier_call *c, const struct pq_query *query, const struct pq_stats *stats)
{
    int64_t spent_ns = pl_now_mono_ns() - c->start_mono_ns;
    pl_str text = querier_param(c, "query");

    if (c->q->o.slow_ns == 0 || spent_ns < c->q->o.slow_ns) {
        return;
    }
    pl_info("slow query detected", PL_KV("org_id", c->req->tenant), PL_KV("method", c->req->method_text),
            PL_KV("path", c->req->path), PL_KV_INT("time_taken_ms", spent_ns / PL_NS_PER_MS),
            PL_KV_INT("queue_ms", c->queue_ns / PL_NS_PER_MS), PL_KV_INT("fetched_series_count", stats->series_fetched),
            PL_KV_INT("fetched_chunks_count", stats->chunks_fetched),
            PL_KV_INT("fetched_chunks_bytes", stats->bytes_fetched), PL_KV_INT("samples", stats->samples_total),
            PL_KV_INT("peak_bytes", c->arena.peak_bytes), PL_KV_INT("param_start_ms", query->start_ms),
            PL_KV_INT("param_end_ms", query->end_ms), PL_KV_INT("param_step_ms", query->step_ms),
            PL_KV("param_query", pl_str_sub(text, 0, PL_MIN(text.n, (size_t)ACTIVE_TEXT_MAX))));
}

/* Evaluates and answers. */
static pl_status run(struct querier_call *c, const struct query_params *p, struct pq_query *query)
{
    struct series_source *source;
    struct pq_result result = {0};
    struct active_query active = {.tenant = c->req->tenant,
                                  .text = querier_param(c, "query"),
                                  .begin_mono_ns = pl_now_mono_ns(),
                                  .begin_unix_ms = c->now_ms};
    pl_status st = querier_still_wanted(c, query->deadline_mono_ns);

    if (st != PL_OK) {
        return st;
    }
    active.start_ms = query->start_ms;
    active.end_ms = query->end_ms;
    active.step_ms = query->step_ms;
    active_queries_add(c->q->active, &active);
    query->stop = &active.stop;
    querier_metrics_running(c->q, 1);
    st = querier_source(c, &source);
    if (st == PL_OK) {
        st = pq_run(&result, &c->arena, source, query, &c->err);
        if (st == PL_INVALID) {
            st = wrap_param(c, st,
                            "query"); /* a range query over a string: found only now, but the expression's fault */
        }
    }
    if (st == PL_OK) {
        st = querier_answer_result(c, &result, query, p->limit, p->stats.n > 0);
    }
    active_queries_remove(c->q->active, &active);
    querier_metrics_query(c->q, query->step_ms == 0 ? "query" : "query_range", c->req->tenant, &result.stats,
                          c->queue_ns);
    querier_metrics_running(c->q, -1);
    log_slow(c, query, &result.stats);
    return st;
}

/* False when a subquery below n has more steps than max. Ranges and steps that are expressions are 0 here: the engine
 * holds them against the same limit once it knows them. Depth is bounded by the parser (PROMQL_DEPTH_MAX). */
static bool subqueries_fit(const struct pq_node *n, int64_t default_step_ms, uint64_t max)
{
    bool fit = true;

    if (n == NULL) {
        return true;
    }
    switch (n->kind) {
    case PQ_NUMBER:
    case PQ_STRING_LIT:
    case PQ_SELECTOR:
    case PQ_MATRIX_SELECTOR:
        return true;
    case PQ_PAREN:
        return subqueries_fit(n->paren.expr, default_step_ms, max);
    case PQ_UNARY:
        return subqueries_fit(n->unary.expr, default_step_ms, max);
    case PQ_STEP_INVARIANT:
        return subqueries_fit(n->step_invariant.expr, default_step_ms, max);
    case PQ_BINARY:
        return subqueries_fit(n->binary.lhs, default_step_ms, max) &&
               subqueries_fit(n->binary.rhs, default_step_ms, max);
    case PQ_AGGREGATE:
        return subqueries_fit(n->agg.expr, default_step_ms, max) && subqueries_fit(n->agg.param, default_step_ms, max);
    case PQ_CALL:
        for (uint32_t i = 0; i < n->call.arg_count && fit; i++) {
            fit = subqueries_fit(n->call.args[i], default_step_ms, max);
        }
        return fit;
    case PQ_SUBQUERY: {
        int64_t step_ms = n->subquery.step_ms > 0 ? n->subquery.step_ms : PL_MAX(default_step_ms, 1);

        return n->subquery.range_ms / step_ms <= (int64_t)PL_MIN(max, (uint64_t)INT64_MAX) &&
               subqueries_fit(n->subquery.expr, default_step_ms, max);
    }
    }
    PL_UNREACHABLE("an expression of another kind");
}

static pl_status check_query(struct querier_call *c, const struct query_params *p, const struct pq_node *expr)
{
    const struct querier_options *o = &c->q->o;

    if (o->subquery_steps_max > 0 && !subqueries_fit(expr, o->default_step_ns / PL_NS_PER_MS, o->subquery_steps_max)) {
        return pl_fail(&c->err, PL_INVALID, MSG_SUBQUERY_POINTS, (unsigned long long)o->subquery_steps_max);
    }
    return p->step_ms > 0 ? querier_check_length(c, PL_INVALID, p->start_ms, p->end_ms) : PL_OK;
}

static pl_status parse_and_run(struct querier_call *c, struct query_params *p)
{
    struct pq_parse_options parse = {.experimental_functions = c->q->o.experimental_functions};
    struct pq_query query;
    struct pq_node *expr;
    pl_status st = read_options(c, p);

    if (st != PL_OK) {
        return st;
    }
    st = wrap_param(c, pq_parse(&expr, &c->arena, querier_param(c, "query"), &parse, &c->err), "query");
    if (st != PL_OK) {
        return st;
    }
    st = check_query(c, p, expr);
    if (st != PL_OK) {
        return st;
    }
    fill_query(c, p, querier_deadline(c, p->timeout_ms), &query);
    query.expr = expr;
    return run(c, p, &query);
}

pl_status querier_query(struct querier_call *c)
{
    struct query_params p = {.start_ms = c->now_ms};
    pl_status st = read_limit(c, &p);

    if (st != PL_OK) {
        return st;
    }
    if (querier_param(c, "time").n > 0) {
        st = eval_time(c, "time", &p.start_ms);
        if (st != PL_OK) {
            pl_wrap(&c->err, "invalid time value for 'time'");
            return wrap_param(c, st, "time");
        }
    }
    p.end_ms = p.start_ms;
    return parse_and_run(c, &p);
}

pl_status querier_query_range(struct querier_call *c)
{
    struct query_params p = {0};
    pl_status st = read_limit(c, &p);

    if (st != PL_OK) {
        return st;
    }
    st = wrap_param(c, eval_time(c, "start", &p.start_ms), "start");
    if (st != PL_OK) {
        return st;
    }
    st = wrap_param(c, eval_time(c, "end", &p.end_ms), "end");
    if (st != PL_OK) {
        return st;
    }
    if (p.end_ms < p.start_ms) {
        return wrap_param(c, pl_fail(&c->err, PL_INVALID, MSG_END_BEFORE_START), "end");
    }
    st = wrap_param(c, querier_parse_duration(&p.step_ms, querier_param(c, "step"), &c->err), "step");
    if (st != PL_OK) {
        return st;
    }
    if (p.step_ms <= 0) {
        return wrap_param(c, pl_fail(&c->err, PL_INVALID, MSG_STEP_NOT_POSITIVE), "step");
    }
    if ((p.end_ms - p.start_ms) / p.step_ms > QUERIER_POINTS_MAX) {
        return pl_fail(&c->err, PL_INVALID, MSG_TOO_MANY_POINTS);
    }
    return parse_and_run(c, &p);
}
