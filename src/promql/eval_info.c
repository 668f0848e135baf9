#include "promql/binop.h"

/* info(v [, selector]): adds the data labels of info series that share instance and job. Rules: spec prometheus.md 4.5.
 * Which info series applies may change from step to step, so one input series may become several. */

enum { ID_LABELS = 2, NO_INFO = UINT32_MAX };
static const pl_str id_labels[ID_LABELS] = {PL_STR_INIT("instance"), PL_STR_INIT("job")};

/* Info series of one name, instance and job; at each step the newest one counts. */
struct info_group {
    uint32_t *winner; /* column of the info series, or NO_INFO; one a step */
};

struct info_op {
    struct op op;
    struct op *child;
    uint8_t *base_at; /* steps at which there is a base sample */
    struct scope scope;
    struct pq_time time;   /* when info series are looked up */
    struct matcher *names; /* which info metrics */
    size_t name_count;
    const struct matcher *data; /* matchers on data labels, __name__ left out */
    size_t data_count;
    bool data_needs_match; /* a matcher refuses the empty value */
    struct batch base, info;
    struct keytab groups; /* key: name, instance, job */
    struct info_group *group;
    struct keytab metrics; /* distinct names of info series */
    pl_str *metric;
    struct keytab out_keys;
    struct batch out;
    size_t out_cap, at;
    bool done;
};

/* ---- which series ---- */

static pl_status matchers_init(struct info_op *o, const struct pq_node *n, struct pl_err *err)
{
    struct exec *x = o->op.x;
    const struct pq_node *sel = n->call.arg_count > 1 ? pq__unparen(n->call.args[1]) : NULL;
    size_t count = sel != NULL ? sel->selector.matcher_count : 0;
    struct matcher *data = pl_arena_new_array_try(x->arena, struct matcher, count + 1);
    bool positive = false;

    o->names = pl_arena_new_array_try(x->arena, struct matcher, count + 1);
    if (data == NULL || o->names == NULL) {
        return pq__nomem(&o->op, err);
    }
    for (size_t i = 0; i < count; i++) {
        const struct matcher *m = &sel->selector.matchers[i];

        if (pl_str_eq(m->name, LABEL_METRIC_NAME)) {
            o->names[o->name_count++] = *m;
            positive = positive || m->type == MATCH_EQ || m->type == MATCH_RE;
        } else {
            data[o->data_count++] = *m;
            o->data_needs_match = o->data_needs_match || !matcher_accepts(m, PL_STR_NULL);
        }
    }
    o->data = data;
    if (positive) {
        return PL_OK;
    }
    return o->name_count == 0 ? matcher_make(&o->names[o->name_count++], x->arena, MATCH_EQ, LABEL_METRIC_NAME,
                                             PL_STR("target_info"), err)
                              : matcher_make(&o->names[o->name_count++], x->arena, MATCH_RE, LABEL_METRIC_NAME,
                                             PL_STR(".+_info"), err);
}

static bool is_info_series(const struct info_op *o, struct labels ls)
{
    return matchers_accept(o->names, o->name_count, ls);
}

/* `a|b|c` over the values of a label among the series to enrich; n == 0: none has it. */
static pl_status id_pattern(pl_str *out, struct info_op *o, pl_str label, struct pl_err *err)
{
    struct keytab seen = {.a = o->op.x->arena};
    struct pl_buf b;
    pl_status st = PL_OK;

    pl_buf_init(&b, 0);
    for (size_t i = 0; i < o->base.n && st == PL_OK; i++) {
        pl_str v = labels_get(o->base.col[i].labels, label);
        uint32_t index;
        bool added;

        if (v.n == 0 || is_info_series(o, o->base.col[i].labels)) {
            continue;
        }
        if (!pq__keytab_put(&seen, v, &index, &added)) {
            st = pq__nomem(&o->op, err);
        } else if (added) {
            pl_buf_cstr(&b, b.n > 0 ? "|" : "");
            for (size_t k = 0; k < v.n; k++) {
                if (strchr("\\.+*?()|[]{}^$", v.p[k]) != NULL) {
                    pl_buf_byte(&b, '\\');
                }
                pl_buf_byte(&b, (uint8_t)v.p[k]);
            }
        }
    }
    *out = PL_STR_NULL;
    if (st == PL_OK && b.n > 0) {
        *out = pq__str_try(o->op.x->arena, pl_buf_view(&b));
        st = out->p != NULL ? PL_OK : pq__nomem(&o->op, err);
    }
    pl_buf_fini(&b);
    return st;
}

/* Reads the info series; their values are the times of their samples, in seconds. */
static pl_status info_fetch(struct info_op *o, struct pl_err *err)
{
    struct exec *x = o->op.x;
    struct pq_node *n = pl_arena_zero_try(x->arena, sizeof(*n));
    struct matcher *all = pl_arena_new_array_try(x->arena, struct matcher, o->name_count + o->data_count + ID_LABELS);
    size_t count = 0;
    struct op *sel;
    pl_status st;

    if (n == NULL || all == NULL) {
        return pq__nomem(&o->op, err);
    }
    for (size_t i = 0; i < ID_LABELS; i++) {
        pl_str pattern;

        PL_TRY(id_pattern(&pattern, o, id_labels[i], err));
        if (pattern.n > 0) {
            PL_TRY(matcher_make(&all[count++], x->arena, MATCH_RE, id_labels[i], pattern, err));
        }
    }
    if (count == 0) {
        return PL_OK;
    }
    memcpy(all + count, o->names, o->name_count * sizeof(*all));
    count += o->name_count;
    memcpy(all + count, o->data, o->data_count * sizeof(*all));
    count += o->data_count;
    *n = (struct pq_node){.kind = PQ_SELECTOR, .type = PQ_VECTOR, .pos = o->op.node->pos};
    n->selector.matchers = all;
    n->selector.matcher_count = (uint32_t)count;
    n->selector.time = o->time;
    x->planning = &o->op; /* for explaining: made while the query runs */
    st = pq__make_selector(&sel, x, n, SELECT_INFO_TIMES, o->scope, err);
    x->planning = NULL;
    PL_TRY(st);
    return pq__drain(sel, &o->info, err);
}

/* ---- which info series counts ---- */

static void group_key(struct pl_buf *b, pl_str name, struct labels ls)
{
    pq__key_only(b, ls, id_labels, ID_LABELS);
    pl_buf_str(b, name);
}

/* The steps at which any base series has a sample. */
static pl_status base_steps(struct info_op *o, struct pl_err *err)
{
    o->base_at = pl_arena_new_array_try(o->op.x->arena, uint8_t, o->op.grid.n);
    PQ_TRY_ALLOC(&o->op, o->base_at);
    for (size_t i = 0; i < o->base.n; i++) {
        for (size_t k = 0; k < o->op.grid.n; k++) {
            o->base_at[k] |= pq_has(&o->base.col[i], k);
        }
    }
    return PL_OK;
}

static pl_status fail_same_time(const struct info_op *o, uint32_t a, uint32_t b, double t_s, struct pl_err *err)
{
    struct pl_buf first, second;
    long long t_ms = llround(t_s * 1000);
    pl_status st;

    pl_buf_init(&first, 0);
    pl_buf_init(&second, 0);
    labels_text(&first, o->info.col[a].labels);
    labels_text(&second, o->info.col[b].labels);
    st = pl_fail(err, PL_EXEC, "found duplicate series for info metric: existing %.*s @ %lld, new %.*s @ %lld",
                 (int)first.n, first.p, t_ms, (int)second.n, second.p, t_ms);
    pl_buf_fini(&first);
    pl_buf_fini(&second);
    return st;
}

static pl_status group_add(struct info_op *o, struct info_group *g, uint32_t info, struct pl_err *err)
{
    const double *v = o->info.col[info].v;

    for (size_t k = 0; k < o->op.grid.n; k++) {
        double before;

        if (pq_is_absent(v[k])) {
            continue;
        }
        before = g->winner[k] != NO_INFO ? o->info.col[g->winner[k]].v[k] : -HUGE_VAL;
        if (before == v[k] && o->base_at[k] != 0) {
            return fail_same_time(o, g->winner[k], info, v[k], err);
        }
        if (v[k] > before) {
            g->winner[k] = info;
        }
    }
    return PL_OK;
}

static pl_status info_groups(struct info_op *o, struct pl_err *err)
{
    struct exec *x = o->op.x;
    bool added;

    o->group = pl_arena_new_array_try(x->arena, struct info_group, o->info.n + 1);
    o->metric = pl_arena_new_array_try(x->arena, pl_str, o->info.n + 1);
    if (o->group == NULL || o->metric == NULL) {
        return pq__nomem(&o->op, err);
    }
    for (uint32_t i = 0; i < o->info.n; i++) {
        pl_str name = labels_get(o->info.col[i].labels, LABEL_METRIC_NAME);
        struct info_group *g;
        uint32_t index;

        if (!pq__keytab_put(&o->metrics, name, &index, &added)) {
            return pq__nomem(&o->op, err);
        }
        o->metric[index] = name;
        group_key(&x->text, name, o->info.col[i].labels);
        if (!pq__keytab_put(&o->groups, pl_buf_view(&x->text), &index, &added)) {
            return pq__nomem(&o->op, err);
        }
        g = &o->group[index];
        if (added) {
            g->winner = pl_arena_new_array_try(x->arena, uint32_t, o->op.grid.n);
            PQ_TRY_ALLOC(&o->op, g->winner);
            for (size_t k = 0; k < o->op.grid.n; k++) {
                g->winner[k] = NO_INFO;
            }
        }
        PL_TRY(group_add(o, g, i, err));
    }
    return PL_OK;
}

/* ---- results ---- */

static bool wants_label(const struct info_op *o, pl_str name)
{
    if (pl_str_eq(name, LABEL_METRIC_NAME)) {
        return false;
    }
    for (size_t i = 0; i < o->data_count; i++) {
        if (pl_str_eq(o->data[i].name, name)) {
            return true;
        }
    }
    return o->data_count == 0;
}

/* Adds the data labels of one info series to *ls; `base` are the series' own labels, which win. */
static pl_status add_labels(struct info_op *o, struct labels *ls, struct labels base, struct labels info,
                            struct pl_err *err)
{
    for (size_t i = 0; i < info.n; i++) {
        pl_str name = info.v[i].name, before;

        if (!wants_label(o, name) || labels_get(base, name).n > 0) {
            continue;
        }
        before = labels_get(*ls, name);
        if (before.n > 0 && !pl_str_eq(before, info.v[i].value)) {
            return pl_fail(err, PL_EXEC, "conflicting label: %.*s", PL_STR_ARG(name));
        }
        *ls = pq__labels_set(o->op.x->arena, *ls, name, info.v[i].value);
        PQ_TRY_ALLOC(&o->op, ls->v);
    }
    return PL_OK;
}

static pl_status out_column(struct column **out, struct info_op *o, struct labels ls, bool drop_name,
                            struct pl_err *err)
{
    struct exec *x = o->op.x;
    uint32_t index;
    bool added;

    pq__key_all(&x->text, ls);
    if (!pq__keytab_put(&o->out_keys, pl_buf_view(&x->text), &index, &added)) {
        return pq__nomem(&o->op, err);
    }
    if (added && o->out.n == o->out_cap) {
        size_t cap = PL_MAX(o->out_cap * 2, o->base.n + 16);
        struct column *grown = pl_arena_new_array_try(x->arena, struct column, cap);

        PQ_TRY_ALLOC(&o->op, grown);
        if (o->out.n > 0) {
            memcpy(grown, o->out.col, o->out.n * sizeof(*grown));
        }
        o->out.col = grown;
        o->out_cap = cap;
    }
    if (added) {
        double *v = pl_arena_new_array_try(x->arena, double, o->op.grid.n);

        PQ_TRY_ALLOC(&o->op, v);
        pq__fill_absent(v, o->op.grid.n);
        o->out.col[o->out.n++] = (struct column){.labels = ls, .v = v, .drop_name = drop_name};
    }
    *out = &o->out.col[index];
    return PL_OK;
}

/* Labels of a base series at a step; *keep is false when a data matcher finds nothing. */
static pl_status step_labels(struct labels *out, bool *keep, struct info_op *o, const struct column *c,
                             struct info_group *const *groups, size_t step, struct pl_err *err)
{
    bool found = false;

    *out = c->labels;
    for (size_t m = 0; m < o->metrics.n; m++) {
        if (groups[m] != NULL && groups[m]->winner[step] != NO_INFO) {
            found = true;
            PL_TRY(add_labels(o, out, c->labels, o->info.col[groups[m]->winner[step]].labels, err));
        }
    }
    *keep = found || !o->data_needs_match;
    return PL_OK;
}

static bool same_winners(const struct info_op *o, struct info_group *const *groups, size_t a, size_t b)
{
    for (size_t m = 0; m < o->metrics.n; m++) {
        if (groups[m] != NULL && groups[m]->winner[a] != groups[m]->winner[b]) {
            return false;
        }
    }
    return true;
}

static pl_status enrich(struct info_op *o, const struct column *c, struct info_group **groups, struct pl_err *err)
{
    struct exec *x = o->op.x;
    size_t last = SIZE_MAX;
    struct column *to = NULL;
    bool keep = true, ignored = is_info_series(o, c->labels);

    for (size_t m = 0; m < o->metrics.n; m++) {
        uint32_t index;

        group_key(&x->text, o->metric[m], c->labels);
        groups[m] = !ignored && pq__keytab_get(&o->groups, pl_buf_view(&x->text), &index) ? &o->group[index] : NULL;
    }
    for (size_t k = 0; k < o->op.grid.n; k++) {
        if (!pq_has(c, k)) {
            continue;
        }
        if (last == SIZE_MAX || !same_winners(o, groups, last, k)) {
            struct labels ls;

            PL_TRY(step_labels(&ls, &keep, o, c, groups, k, err));
            keep = keep || ignored;
            if (keep) {
                PL_TRY(out_column(&to, o, ls, c->drop_name, err));
            }
            last = k;
        }
        if (keep && pq_has(to, k)) {
            return pl_fail(err, PL_EXEC, "vector cannot contain metrics with the same labelset");
        }
        if (keep) {
            PL_TRY(pq__sample_put(&o->op, to, c, k, err));
        }
    }
    return PL_OK;
}

static pl_status info_run(struct info_op *o, struct pl_err *err)
{
    struct info_group **groups;

    PL_TRY(pq__drain(o->child, &o->base, err));
    PL_TRY(info_fetch(o, err));
    PL_TRY(base_steps(o, err));
    PL_TRY(info_groups(o, err));
    groups = pl_arena_new_array_try(o->op.x->arena, struct info_group *, o->metrics.n + 1);
    PQ_TRY_ALLOC(&o->op, groups);
    for (size_t i = 0; i < o->base.n; i++) {
        PL_TRY(pq__check(o->op.x, err));
        PL_TRY(enrich(o, &o->base.col[i], groups, err));
    }
    return PL_OK;
}

static pl_status info_next(struct op *op, struct batch *out, struct pl_err *err)
{
    struct info_op *o = (struct info_op *)op;

    if (!o->done) {
        PL_TRY(info_run(o, err));
        o->done = true;
    }
    pq__batch_slice(&o->out, &o->at, op->batch_max, out);
    return PL_OK;
}

static const struct op_ops info_ops = {"info", info_next};

/* The first selector of the argument tells when info series are looked up; offsets of subqueries around it add up until
 * an
 * @ fixes the time. Returns false while no selector has been found. */
static pl_status info_time(bool *found, struct info_op *o, const struct pq_node *n, struct pl_err *err)
{
    const struct pq_time *t = NULL;
    struct when w;

    n = pq__unparen(n);
    switch (n->kind) {
    case PQ_SELECTOR:
        t = &n->selector.time;
        *found = true;
        break;
    case PQ_MATRIX_SELECTOR:
        return info_time(found, o, n->matrix.selector, err);
    case PQ_SUBQUERY:
        PL_TRY(info_time(found, o, n->subquery.expr, err));
        t = *found && o->time.at == PQ_AT_NONE ? &n->subquery.time : NULL;
        break;
    case PQ_UNARY:
        return info_time(found, o, n->unary.expr, err);
    case PQ_BINARY:
        PL_TRY(info_time(found, o, n->binary.lhs, err));
        return *found ? PL_OK : info_time(found, o, n->binary.rhs, err);
    case PQ_AGGREGATE:
        return info_time(found, o, n->agg.expr, err);
    case PQ_CALL:
        for (uint32_t i = 0; !*found && i < n->call.arg_count; i++) {
            PL_TRY(info_time(found, o, n->call.args[i], err));
        }
        return PL_OK;
    default:
        return PL_OK;
    }
    if (t != NULL) {
        PL_TRY(pq__when(&w, o->op.x, t, err));
        o->time.offset_ms += w.offset_ms;
        o->time.at = w.fixed ? PQ_AT_TIME : PQ_AT_NONE;
        o->time.at_ms = w.at_ms;
    }
    return PL_OK;
}

pl_status pq__make_info_call(struct op **out, struct exec *x, const struct pq_node *n, struct scope s,
                             struct pl_err *err)
{
    struct info_op *o = pl_arena_zero_try(x->arena, sizeof(*o));
    bool found = false;

    if (o == NULL) {
        return pq__nomem_node(x, n, err);
    }
    pq__op_init(&o->op, &info_ops, x, n, s.grid);
    o->scope = s;
    o->groups.a = o->metrics.a = o->out_keys.a = x->arena;
    PL_TRY(matchers_init(o, n, err));
    PL_TRY(info_time(&found, o, n->call.args[0], err));
    PL_TRY(pq__plan(&o->child, x, n->call.args[0], s, err));
    *out = &o->op;
    return PL_OK;
}
