#include "codec/json_out.h"
#include "querier/internal.h"

/* The match[] sets of a call. */
struct match_sets {
    const struct matcher *v[64];
    size_t n[64];
    size_t count;
};

static pl_status read_matches(struct querier_call *c, struct match_sets *out)
{
    pl_str texts[PL_ARRAY_LEN(out->v) + 1];
    size_t count = querier_param_all(c, "match[]", texts, PL_ARRAY_LEN(texts));

    if (count > PL_ARRAY_LEN(out->v)) {
        return pl_fail(&c->err, PL_INVALID, "more than %zu match[] parameters", PL_ARRAY_LEN(out->v));
    }
    for (size_t i = 0; i < count; i++) {
        bool selective = false;
        pl_status st = pq_parse_selector(&out->v[i], &out->n[i], &c->arena, texts[i], &c->err);

        if (st != PL_OK) {
            return st;
        }
        for (size_t k = 0; k < out->n[i] && !selective; k++) {
            selective = !matcher_accepts(&out->v[i][k], PL_STR_NULL);
        }
        if (!selective) {
            return pl_fail(&c->err, PL_INVALID, MSG_EMPTY_MATCH);
        }
    }
    out->count = count;
    return PL_OK;
}

static pl_status read_limit(struct querier_call *c, uint64_t *limit)
{
    pl_status st = querier_parse_limit(limit, querier_param(c, "limit"), &c->err);

    if (st != PL_OK) {
        pl_wrap(&c->err, "invalid parameter \"limit\"");
    }
    return st;
}

static pl_status answer_empty(struct querier_call *c)
{
    querier_answer_begin(c);
    PL_BUF_LIT(&c->resp->body, "[]");
    return querier_answer_end(c, NULL);
}

/* Asks the store once per match[] set (once without matchers when there is none) and answers the sorted union. `name`
 * empty: label names. One more than the limit is asked for, so that a cut is known. */
static pl_status answer_strings(struct querier_call *c, pl_str name)
{
    struct match_sets sets = {0};
    struct series_select select = {.labels_only = true, .cancel = c->req->canceled};
    struct series_source *source;
    struct str_list lists[PL_ARRAY_LEN(sets.v)];
    struct str_list merged;
    uint64_t limit;
    size_t ask;
    size_t list_count;
    pl_status st = read_limit(c, &limit);

    if (st == PL_OK) {
        st = querier_time_range(c, &select.mint_ms, &select.maxt_ms);
    }
    if (st == PL_OK) {
        st = read_matches(c, &sets);
    }
    if (st == PL_OK) {
        st = querier_source(c, &source);
    }
    if (st != PL_OK) {
        return st;
    }
    if (select.maxt_ms < select.mint_ms) {
        return answer_empty(c);
    }
    ask = limit > 0 ? (size_t)limit + 1 : 0;
    list_count = PL_MAX(sets.count, 1);
    for (size_t i = 0; i < list_count; i++) {
        select.matchers = sets.v[i];
        select.matcher_count = sets.n[i];
        st = name.n == 0 ? source->ops->label_names(source, &c->arena, &select, ask, &lists[i], &c->err)
                         : source->ops->label_values(source, &c->arena, name, &select, ask, &lists[i], &c->err);
        if (st != PL_OK) {
            return st;
        }
    }
    merged = lists[0];
    if (list_count > 1) {
        st = str_list_merge(&c->arena, lists, list_count, ask, &merged, &c->err);
        if (st != PL_OK) {
            return st;
        }
    }
    if (limit > 0 && merged.n > limit) {
        merged.n = (size_t)limit;
        c->reached_limit = true;
    }
    querier_answer_begin(c);
    json_str_list(&c->resp->body, merged.v, merged.n);
    return querier_answer_end(c, NULL);
}

pl_status querier_labels(struct querier_call *c)
{
    return answer_strings(c, PL_STR_NULL);
}

pl_status querier_label_values(struct querier_call *c)
{
    pl_str name;

    PL_TRY(querier_unescape_label(&name, &c->arena, c->req->path_var[0], &c->err));
    if (name.n == 0 || !pl_str_is_utf8(name)) {
        pl_str quoted = querier_quote(c->req->arena, name);

        return pl_fail(&c->err, PL_INVALID, MSG_LABEL_NAME, PL_STR_ARG(quoted));
    }
    return answer_strings(c, name);
}

static pl_status select_all(struct querier_call *c, const struct match_sets *sets, struct series_select *select,
                            struct series_list *out)
{
    struct series_list lists[PL_ARRAY_LEN(sets->v)];
    struct series_source *source;
    pl_status st = querier_source(c, &source);

    for (size_t i = 0; i < sets->count && st == PL_OK; i++) {
        select->matchers = sets->v[i];
        select->matcher_count = sets->n[i];
        st = source->ops->select(source, &c->arena, select, &lists[i], &c->err);
    }
    if (st != PL_OK || sets->count == 1) {
        *out = st == PL_OK ? lists[0] : (struct series_list){0};
        return st;
    }
    return series_list_merge(&c->arena, lists, sets->count, out, &c->err);
}

pl_status querier_series(struct querier_call *c)
{
    struct match_sets sets = {0};
    struct series_select select = {.labels_only = true, .cancel = c->req->canceled};
    struct series_list list;
    struct pl_buf *b = &c->resp->body;
    pl_str any[1];
    uint64_t limit;
    pl_status st;

    if (querier_param_all(c, "match[]", any, 1) == 0) {
        return pl_fail(&c->err, PL_INVALID, MSG_NO_MATCH);
    }
    st = read_limit(c, &limit);
    if (st == PL_OK) {
        st = querier_time_range(c, &select.mint_ms, &select.maxt_ms);
    }
    if (st == PL_OK) {
        st = read_matches(c, &sets);
        if (st != PL_OK) {
            pl_wrap(&c->err, "invalid parameter \"match[]\""); /* COMPAT: only here; labels and values do not say it */
        }
    }
    if (st != PL_OK) {
        return st;
    }
    if (c->limits != NULL && c->limits->max_fetched_series_per_query > 0) {
        select.series_max = (uint64_t)c->limits->max_fetched_series_per_query;
    }
    if (select.maxt_ms < select.mint_ms) {
        return answer_empty(c);
    }
    st = select_all(c, &sets, &select, &list);
    if (st != PL_OK) {
        return st;
    }
    if (limit > 0 && list.n > limit) {
        list.n = (size_t)limit;
        c->reached_limit = true;
    }
    querier_answer_begin(c);
    pl_buf_byte(b, '[');
    for (size_t i = 0; i < list.n && !b->overflow; i++) {
        if (i > 0) {
            pl_buf_byte(b, ',');
        }
        querier_answer_labels(b, list.v[i].labels);
    }
    pl_buf_byte(b, ']');
    return querier_answer_end(c, NULL);
}

/* COMPAT: Prometheus has the route and answers 500 with this text. */
pl_status querier_series_delete(struct querier_call *c)
{
    return pl_fail(&c->err, PL_INTERNAL, MSG_DELETE_SERIES);
}

/* Exemplars are not stored yet, so no query finds one; the parameters are checked all the same. */
pl_status querier_exemplars(struct querier_call *c)
{
    struct pq_parse_options parse = {.experimental_functions = c->q->o.experimental_functions};
    struct pq_node *expr;
    int64_t mint_ms;
    int64_t maxt_ms;
    pl_status st = querier_time_range(c, &mint_ms, &maxt_ms);

    if (st != PL_OK) {
        return st;
    }
    if (maxt_ms < mint_ms) {
        return pl_fail(&c->err, PL_INVALID, MSG_EXEMPLARS_END_BEFORE_START);
    }
    st = pq_parse(&expr, &c->arena, querier_param(c, "query"), &parse, &c->err);
    if (st != PL_OK) {
        return st;
    }
    return answer_empty(c);
}
