/* A series_source that puts the time limits in front of the store: max_query_lookback moves the start up and
 * -querier.max-query-into-future the end down (a range wholly outside is empty, not an error), max_query_length
 * refuses. */
#include "querier/internal.h"

struct limited_source {
    struct series_source base;
    struct series_source *inner;
    struct querier_call *call;
    int64_t mint_ms, maxt_ms;
};

static struct limited_source *self_of(struct series_source *s)
{
    return (struct limited_source *)s;
}

/* The select with its ends moved in; false when nothing of the range is left. */
static bool clamp(const struct limited_source *s, const struct series_select *q, struct series_select *out)
{
    *out = *q;
    out->mint_ms = PL_MAX(q->mint_ms, s->mint_ms);
    out->maxt_ms = PL_MIN(q->maxt_ms, s->maxt_ms);
    return out->mint_ms <= out->maxt_ms;
}

static pl_status limited_select(struct series_source *base, struct pl_arena *a, const struct series_select *q,
                                struct series_list *out, struct pl_err *err)
{
    struct limited_source *s = self_of(base);
    struct series_select clamped;

    if (!clamp(s, q, &clamped)) {
        *out = (struct series_list){0};
        return PL_OK;
    }
    if (!q->labels_only && !s->call->q->o.ignore_query_length_max &&
        querier_check_length(s->call, PL_LIMIT, clamped.mint_ms, clamped.maxt_ms) != PL_OK) {
        return pl_fail(err, PL_LIMIT, "%s", s->call->err.msg);
    }
    return s->inner->ops->select(s->inner, a, &clamped, out, err);
}

static pl_status limited_names(struct series_source *base, struct pl_arena *a, const struct series_select *q,
                               size_t limit, struct str_list *out, struct pl_err *err)
{
    struct limited_source *s = self_of(base);
    struct series_select clamped;

    if (!clamp(s, q, &clamped)) {
        *out = (struct str_list){0};
        return PL_OK;
    }
    return s->inner->ops->label_names(s->inner, a, &clamped, limit, out, err);
}

static pl_status limited_values(struct series_source *base, struct pl_arena *a, pl_str name,
                                const struct series_select *q, size_t limit, struct str_list *out, struct pl_err *err)
{
    struct limited_source *s = self_of(base);
    struct series_select clamped;

    if (!clamp(s, q, &clamped)) {
        *out = (struct str_list){0};
        return PL_OK;
    }
    return s->inner->ops->label_values(s->inner, a, name, &clamped, limit, out, err);
}

static const struct series_source_ops limited_ops = {
    .select = limited_select, .label_names = limited_names, .label_values = limited_values};

pl_status querier_source(struct querier_call *c, struct series_source **out)
{
    struct limited_source *s;
    struct series_source *inner;
    int64_t mint_ms;
    int64_t maxt_ms;
    pl_status st = c->q->port->ops->source(c->q->port, c->req->tenant, &c->arena, &inner, &c->err);

    if (st != PL_OK) {
        return st;
    }
    *out = inner;
    mint_ms = c->limits != NULL && c->limits->max_query_lookback_ns > 0
                  ? c->now_ms - c->limits->max_query_lookback_ns / PL_NS_PER_MS
                  : INT64_MIN;
    maxt_ms = c->q->o.into_future_ns > 0 ? c->now_ms + c->q->o.into_future_ns / PL_NS_PER_MS : INT64_MAX;
    if (mint_ms == INT64_MIN && maxt_ms == INT64_MAX && (c->limits == NULL || c->limits->max_query_length_ns <= 0)) {
        return PL_OK;
    }
    s = pl_arena_new(&c->arena, struct limited_source);
    s->base.ops = &limited_ops;
    s->inner = inner;
    s->call = c;
    s->mint_ms = mint_ms;
    s->maxt_ms = maxt_ms;
    *out = &s->base;
    return PL_OK;
}

pl_status querier_check_length(struct querier_call *c, pl_status st, int64_t mint_ms, int64_t maxt_ms)
{
    int64_t length_ms;
    int64_t length_ns;
    pl_str length;
    pl_str limit;

    if (c->limits == NULL || c->limits->max_query_length_ns <= 0) {
        return PL_OK;
    }
    if (!pl_sub_ok(&length_ms, maxt_ms, mint_ms) || !pl_mul_ok(&length_ns, length_ms, PL_NS_PER_MS)) {
        length_ns = INT64_MAX;
    }
    if (length_ns <= c->limits->max_query_length_ns) {
        return PL_OK;
    }
    length = querier_go_duration(c->req->arena, length_ns);
    limit = querier_go_duration(c->req->arena, c->limits->max_query_length_ns);
    return pl_fail(&c->err, st, MSG_QUERY_TOO_LONG, PL_STR_ARG(length), PL_STR_ARG(limit));
}
