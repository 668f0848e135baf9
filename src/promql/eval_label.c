#include "promql/eval.h"
#include "promql/functions_def.h"
#include "regex/regex.h"

/* label_replace and label_join: values stay, label sets change, equal ones are merged. */

struct label_op {
    struct op op;
    struct op *child;
    bool join;
    pl_str dst, replacement /* or the separator */, src;
    struct regex *re;
    pl_str *sources; /* label_join */
    size_t source_count;
};

/* The new value is left in x->text; false: the labels stay as they are. */
static bool label_value(struct label_op *o, struct labels ls)
{
    struct pl_buf *b = &o->op.x->text;

    pl_buf_reset(b);
    if (!o->join) {
        return regex_expand(o->re, labels_get(ls, o->src), o->replacement, b);
    }
    for (size_t i = 0; i < o->source_count; i++) {
        if (i > 0) {
            pl_buf_str(b, o->replacement);
        }
        pl_buf_str(b, labels_get(ls, o->sources[i]));
    }
    return true;
}

static pl_status label_next(struct op *op, struct batch *out, struct pl_err *err)
{
    struct label_op *o = (struct label_op *)op;

    PL_TRY(pq__next(o->child, out, err));
    for (size_t i = 0; i < out->n; i++) {
        struct column *c = &out->col[i];
        pl_str value;

        if (!label_value(o, c->labels)) {
            continue;
        }
        value = pl_buf_view(&op->x->text);
        if (value.n > 0) {
            value = pq__str_try(op->x->arena, value);
            PQ_TRY_ALLOC(op, value.p);
        }
        c->labels = pq__labels_set(op->x->arena, c->labels, o->dst, value);
        if (c->labels.n > 0) {
            PQ_TRY_ALLOC(op, c->labels.v);
        }
        if (pl_str_eq(o->dst, LABEL_METRIC_NAME)) {
            c->drop_name = false;
        }
    }
    return PL_OK;
}

static const struct op_ops label_ops = {"label", label_next};

static pl_str text_arg(const struct pq_node *n, uint32_t i)
{
    return pq__unparen(n->call.args[i])->string;
}

static bool label_name_ok(pl_str name)
{
    return name.n > 0 && pl_str_is_utf8(name);
}

static void regex_free(void *re)
{
    regex_destroy(re);
}

static pl_status replace_init(struct label_op *o, const struct pq_node *n, struct pl_err *err)
{
    pl_str pattern = text_arg(n, 4);

    o->dst = text_arg(n, 1);
    o->replacement = text_arg(n, 2);
    o->src = text_arg(n, 3);
    if (regex_compile(&o->re, pattern, NULL) != PL_OK) {
        return pl_fail(err, PL_EXEC, "invalid regular expression in label_replace(): %.*s", PL_STR_ARG(pattern));
    }
    pl_arena_on_free(o->op.x->arena, regex_free, o->re);
    if (!label_name_ok(o->dst)) {
        return pl_fail(err, PL_EXEC, "invalid destination label name in label_replace(): %.*s", PL_STR_ARG(o->dst));
    }
    return PL_OK;
}

static pl_status join_init(struct label_op *o, const struct pq_node *n, struct pl_err *err)
{
    o->dst = text_arg(n, 1);
    o->replacement = text_arg(n, 2);
    o->source_count = n->call.arg_count - 3;
    o->sources = pl_arena_new_array_try(o->op.x->arena, pl_str, o->source_count);
    PQ_TRY_ALLOC(&o->op, o->sources);
    for (uint32_t i = 3; i < n->call.arg_count; i++) {
        o->sources[i - 3] = text_arg(n, i);
        if (!label_name_ok(o->sources[i - 3])) {
            return pl_fail(err, PL_EXEC, "invalid source label name in label_join(): %.*s",
                           PL_STR_ARG(o->sources[i - 3]));
        }
    }
    if (!label_name_ok(o->dst)) {
        return pl_fail(err, PL_EXEC, "invalid destination label name in label_join(): %.*s", PL_STR_ARG(o->dst));
    }
    return PL_OK;
}

pl_status pq__make_label_call(struct op **out, struct exec *x, const struct pq_node *n, struct scope s,
                              struct pl_err *err)
{
    struct label_op *o = pl_arena_zero_try(x->arena, sizeof(*o));

    if (o == NULL) {
        return pq__nomem_node(x, n, err);
    }
    pq__op_init(&o->op, &label_ops, x, n, s.grid);
    o->join = n->call.func->kernel == PQ_FN_LABEL_JOIN;
    PL_TRY(o->join ? join_init(o, n, err) : replace_init(o, n, err));
    PL_TRY(pq__plan(&o->child, x, n->call.args[0], s, err));
    o->op.stream = o->child;
    return pq__make_merge(out, &o->op, false, err);
}
