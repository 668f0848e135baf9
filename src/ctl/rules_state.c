#include "ctl/rules_state.h"

#include "ctl/rules_template.h"
#include "promqltest/promqltest.h"

enum { RESOLVED_KEPT_MS = 15 * 60 * 1000, SAMPLES_MAX = 50000000 };

void rules_state_init(struct rules_state *s, const struct rule_group *const *groups, size_t n)
{
    size_t count = 0;

    *s = (struct rules_state){.external_url = PL_STR("")};
    mem_source_init(&s->source);
    pl_arena_init(&s->arena, 0);
    pl_arena_init(&s->scratch, 0);
    for (size_t g = 0; g < n; g++) {
        count += groups[g]->n;
    }
    s->rules = pl_new_array(struct rule_state, count + 1);
    for (size_t g = 0; g < n; g++) {
        for (size_t i = 0; i < groups[g]->n; i++) {
            s->rules[s->n++] = (struct rule_state){.rule = &groups[g]->rules[i], .group = groups[g]};
        }
    }
}

void rules_state_fini(struct rules_state *s)
{
    for (size_t i = 0; i < s->n; i++) {
        pl_free(s->rules[i].alerts);
        pl_free(s->rules[i].given);
    }
    pl_free(s->rules);
    mem_source_fini(&s->source);
    pl_arena_fini(&s->scratch);
    pl_arena_fini(&s->arena);
    *s = (struct rules_state){0};
}

pl_status rules_state_query(struct rules_state *s, struct pl_arena *a, const struct pq_node *expr, int64_t t_ms,
                            struct pq_result *out, struct pl_err *err)
{
    struct pq_query q = {.expr = expr,
                         .start_ms = t_ms,
                         .end_ms = t_ms,
                         .lookback_ms = PTEST_LOOKBACK_MS,
                         .default_step_ms = s->subquery_step_ms,
                         .samples_max = SAMPLES_MAX,
                         .delayed_name_removal = s->delayed_names};

    *out = (struct pq_result){.type = PQ_NONE};
    PL_TRY(pq_run(out, a, &s->source.base, &q, err));
    if (out->type == PQ_SCALAR) {
        struct pq_series *one = pl_arena_new(a, struct pq_series);

        one->points = pl_arena_new(a, struct pq_point);
        one->points[0] = (struct pq_point){t_ms, out->scalar};
        one->count = 1;
        out->series = one;
        out->series_count = 1;
        out->type = PQ_VECTOR;
    }
    return out->type == PQ_VECTOR ? PL_OK : pl_fail(err, PL_EXEC, "rule result is not a vector or scalar");
}

/* ---- series out of rules ---- */

static void store(struct rules_state *s, struct labels ls, int64_t t_ms, double v, const struct hist *h)
{
    struct mem_series *to = mem_source_series(&s->source, ls);

    if (h != NULL) {
        mem_series_add_hist(&s->source, to, t_ms, h);
    } else {
        mem_series_add(&s->source, to, t_ms, v);
    }
}

static bool is_among(const struct labels *v, size_t n, struct labels ls)
{
    for (size_t i = 0; i < n; i++) {
        if (labels_eq(v[i], ls)) {
            return true;
        }
    }
    return false;
}

/* Marks what was given last time and is not now; keeps the new list. */
static void mark_stale(struct rules_state *s, struct rule_state *r, const struct labels *now, size_t n, int64_t t_ms)
{
    for (size_t i = 0; i < r->given_count; i++) {
        if (!is_among(now, n, r->given[i])) {
            store(s, r->given[i], t_ms, pl_f64_from_bits(PL_STALE_NAN_BITS), NULL);
        }
    }
    pl_free(r->given);
    r->given = pl_new_array(struct labels, n + 1);
    for (size_t i = 0; i < n; i++) {
        r->given[i] = labels_copy_try(&s->arena, now[i]);
    }
    r->given_count = n;
}

/* Labels with others set; an empty value removes one. */
static struct labels with(struct pl_arena *a, struct labels ls, const struct label *set, size_t n)
{
    struct label *l = pl_arena_new_array_try(a, struct label, ls.n + n + 1);
    size_t count = 0;

    for (size_t i = 0; i < ls.n; i++) {
        size_t k = 0;

        while (k < n && !pl_str_eq(set[k].name, ls.v[i].name)) {
            k++;
        }
        if (k == n) {
            l[count++] = ls.v[i];
        }
    }
    for (size_t i = 0; i < n; i++) {
        size_t k = i + 1;

        while (k < n && !pl_str_eq(set[k].name, set[i].name)) { /* the last one counts */
            k++;
        }
        if (k == n && set[i].value.n > 0) {
            l[count++] = set[i];
        }
    }
    labels_sort(l, count);
    return (struct labels){l, count};
}

static pl_status check_limit(const struct rule_state *r, size_t n, const char *what, struct pl_err *err)
{
    return r->group->limit > 0 && n > r->group->limit ? pl_fail(err, PL_EXEC, "exceeded limit of %llu with %zu %s",
                                                                (unsigned long long)r->group->limit, n, what)
                                                      : PL_OK;
}

static pl_status eval_recording(struct rules_state *s, struct rule_state *r, const struct pq_result *q, int64_t t_ms,
                                struct pl_err *err)
{
    struct pl_arena *a = &s->scratch;
    struct label *set = pl_arena_new_array_try(a, struct label, r->rule->labels.n + 1);
    struct labels *now = pl_arena_new_array_try(a, struct labels, q->series_count + 1);

    set[0] = (struct label){LABEL_METRIC_NAME, r->rule->record};
    for (size_t i = 0; i < r->rule->labels.n; i++) {
        set[i + 1] = r->rule->labels.v[i];
    }
    for (size_t i = 0; i < q->series_count; i++) {
        now[i] = with(a, q->series[i].labels, set, r->rule->labels.n + 1);
        if (is_among(now, i, now[i])) {
            return pl_fail(err, PL_EXEC, "vector contains metrics with the same labelset after applying rule labels");
        }
    }
    PL_TRY(check_limit(r, q->series_count, "series", err));
    for (size_t i = 0; i < q->series_count; i++) {
        const struct pq_series *x = &q->series[i];

        store(s, now[i], t_ms, x->count > 0 ? x->points[0].v : 0, x->hist_count > 0 ? x->hists[0].h : NULL);
    }
    mark_stale(s, r, now, q->series_count, t_ms);
    return PL_OK;
}

/* ---- alerts ---- */

struct query_context {
    struct rules_state *state;
    int64_t t_ms;
};

static pl_status template_query(void *arg, struct pl_arena *a, pl_str text, struct template_value *out,
                                struct pl_err *err)
{
    struct query_context *c = arg;
    struct template_value *v;
    struct pq_result q;
    struct pq_node *expr;

    PL_TRY(pq_parse(&expr, a, text, &ptest_parse_options, err));
    PL_TRY(rules_state_query(c->state, a, expr, c->t_ms, &q, err));
    v = pl_arena_new_array_try(a, struct template_value, q.series_count + 1);
    for (size_t i = 0; i < q.series_count; i++) {
        v[i] = (struct template_value){
            .kind = T_SAMPLE, .labels = q.series[i].labels, .num = q.series[i].count > 0 ? q.series[i].points[0].v : 0};
    }
    *out = (struct template_value){.kind = T_LIST, .items = v, .n = q.series_count};
    return PL_OK;
}

/* A template's text, or what Prometheus puts in its place when it fails. */
static pl_str expand(struct pl_arena *a, pl_str text, const struct template_data *d)
{
    struct pl_err err;
    struct pl_buf b;
    pl_str s;

    if (pl_str_find_str(text, PL_STR("{{")) == SIZE_MAX) {
        return text;
    }
    pl_buf_init(&b, 0);
    if (rules_template_expand(&b, a, text, d, &err) != PL_OK) {
        pl_buf_reset(&b);
        pl_buf_printf(&b, "<error expanding template: %s>", err.msg);
    }
    s = pl_arena_str(a, pl_buf_view(&b));
    pl_buf_fini(&b);
    return s;
}

/* The alert that one sample of the expression makes. */
static void make_alert(struct rules_state *s, const struct rule *rule, const struct pq_series *x, int64_t t_ms,
                       struct alert *out)
{
    struct pl_arena *a = &s->scratch;
    struct query_context c = {s, t_ms};
    struct template_data d = {.labels = x->labels,
                              .external_labels = s->external_labels,
                              .external_url = s->external_url,
                              .value = x->count > 0 ? x->points[0].v : 0,
                              .now_ms = t_ms,
                              .query = template_query,
                              .arg = &c};
    struct label *set = pl_arena_new_array_try(a, struct label, rule->labels.n + 2);
    struct label *notes = pl_arena_new_array_try(a, struct label, rule->annotations.n + 1);

    set[0] = (struct label){LABEL_METRIC_NAME, PL_STR("")};
    for (size_t i = 0; i < rule->labels.n; i++) {
        set[i + 1] = (struct label){rule->labels.v[i].name, expand(a, rule->labels.v[i].value, &d)};
    }
    set[rule->labels.n + 1] = (struct label){PL_STR("alertname"), rule->alert};
    for (size_t i = 0; i < rule->annotations.n; i++) {
        notes[i] = (struct label){rule->annotations.v[i].name, expand(a, rule->annotations.v[i].value, &d)};
    }
    *out = (struct alert){.labels = with(a, x->labels, set, rule->labels.n + 2),
                          .annotations = {notes, rule->annotations.n},
                          .state = ALERT_PENDING,
                          .value = d.value,
                          .active_ms = t_ms};
}

static struct alert *find_alert(const struct rule_state *r, struct labels ls)
{
    for (size_t i = 0; i < r->n; i++) {
        if (labels_eq(r->alerts[i]->labels, ls)) {
            return r->alerts[i];
        }
    }
    return NULL;
}

static pl_status take_alert(struct rules_state *s, struct rule_state *r, const struct alert *fresh, struct pl_err *err)
{
    struct alert *known = find_alert(r, fresh->labels);

    if (known != NULL && known->seen) {
        return pl_fail(err, PL_EXEC, "vector contains metrics with the same labelset after applying alert labels");
    }
    if (known == NULL) {
        known = pl_arena_new(&s->arena, struct alert);
        pl_array_reserve(r->alerts, r->cap, r->n + 1);
        r->alerts[r->n++] = known;
        *known = *fresh;
        known->labels = labels_copy_try(&s->arena, fresh->labels);
    } else if (known->state == ALERT_INACTIVE) { /* a new one in the place of a resolved one */
        struct labels ls = known->labels;

        *known = *fresh;
        known->labels = ls;
    }
    known->value = fresh->value;
    known->annotations = labels_copy_try(&s->arena, fresh->annotations);
    known->seen = true;
    return PL_OK;
}

/* Steps one alert's state; false: it is gone. *shown: it counts as active now. */
static bool step_alert(const struct rule *rule, struct alert *x, int64_t t_ms, bool *shown)
{
    bool keep = false;

    *shown = false;
    if (x->seen) {
        x->keep_since_ms = 0;
    } else {
        if (x->state == ALERT_FIRING && rule->keep_firing_ms > 0) {
            if (x->keep_since_ms == 0) {
                x->keep_since_ms = t_ms;
            }
            keep = t_ms - x->keep_since_ms < rule->keep_firing_ms;
        }
        if (x->state == ALERT_PENDING || (x->resolved_ms != 0 && t_ms - x->resolved_ms > RESOLVED_KEPT_MS)) {
            return false;
        }
        if (x->state != ALERT_INACTIVE && !keep) {
            x->state = ALERT_INACTIVE;
            x->resolved_ms = t_ms;
        }
        if (!keep) {
            return true;
        }
    }
    if (x->state == ALERT_PENDING && t_ms - x->active_ms >= rule->for_ms) {
        x->state = ALERT_FIRING;
    }
    *shown = true;
    return true;
}

static size_t alert_series(struct rules_state *s, const struct alert *x, int64_t t_ms, struct labels *now)
{
    const struct label alerts[] = {
        {LABEL_METRIC_NAME, PL_STR("ALERTS")},
        {PL_STR("alertstate"), x->state == ALERT_FIRING ? PL_STR("firing") : PL_STR("pending")}};
    const struct label for_state = {LABEL_METRIC_NAME, PL_STR("ALERTS_FOR_STATE")};

    now[0] = with(&s->scratch, x->labels, alerts, 2);
    now[1] = with(&s->scratch, x->labels, &for_state, 1);
    store(s, now[0], t_ms, 1, NULL);
    store(s, now[1], t_ms, (double)(x->active_ms / 1000), NULL);
    return 2;
}

static pl_status eval_alerting(struct rules_state *s, struct rule_state *r, const struct pq_result *q, int64_t t_ms,
                               struct pl_err *err)
{
    struct labels *now;
    size_t kept = 0, given = 0, active = 0;

    for (size_t i = 0; i < r->n; i++) {
        r->alerts[i]->seen = false;
    }
    for (size_t i = 0; i < q->series_count; i++) {
        struct alert fresh;

        make_alert(s, r->rule, &q->series[i], t_ms, &fresh);
        PL_TRY(take_alert(s, r, &fresh, err));
    }
    now = pl_arena_new_array_try(&s->scratch, struct labels, 2 * r->n + 1);
    for (size_t i = 0; i < r->n; i++) {
        bool shown;

        if (step_alert(r->rule, r->alerts[i], t_ms, &shown)) {
            r->alerts[kept++] = r->alerts[i];
        }
        if (shown) {
            given += alert_series(s, r->alerts[kept - 1], t_ms, now + given);
            active++;
        }
    }
    r->n = kept;
    mark_stale(s, r, now, given, t_ms);
    if (check_limit(r, active, "alerts", err) != PL_OK) {
        r->n = 0;
        return PL_EXEC;
    }
    return PL_OK;
}

pl_status rules_state_eval(struct rules_state *s, int64_t t_ms, struct pl_err *err)
{
    for (size_t i = 0; i < s->n; i++) {
        struct rule_state *r = &s->rules[i];
        int64_t at = t_ms - r->group->query_offset_ms;
        struct pq_result q;
        pl_status st;

        pl_arena_reset(&s->scratch);
        st = rules_state_query(s, &s->scratch, r->rule->expr, at, &q, err);
        if (st == PL_OK) {
            st = r->rule->alert.n > 0 ? eval_alerting(s, r, &q, at, err) : eval_recording(s, r, &q, at, err);
        }
        if (st != PL_OK) {
            pl_str name = rule_name(r->rule);

            pl_wrap(err, "rule: %.*s, time: %llds, err", PL_STR_ARG(name), (long long)(t_ms / 1000));
            return st;
        }
    }
    return PL_OK;
}
