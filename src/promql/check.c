/* The type rules, in the order in which Prometheus checks them: of several errors the same one is reported. */
#include "promql/parser.h"

#include "model/labels.h"
#include "promql/functions.h"

#include <stdlib.h>

const char *pq_type_name(enum pq_type t)
{
    switch (t) {
    case PQ_NONE:
        return "none";
    case PQ_SCALAR:
        return "scalar";
    case PQ_STRING:
        return "string";
    case PQ_VECTOR:
        return "instant vector";
    case PQ_MATRIX:
        return "range vector";
    }
    PL_UNREACHABLE("type");
}

/* The short form, which one message uses. */
static const char *raw_type_name(enum pq_type t)
{
    return t == PQ_VECTOR ? "vector" : t == PQ_MATRIX ? "matrix" : pq_type_name(t);
}

static bool is_comparison(enum pq_op op)
{
    return op >= PQ_OP_EQ && op <= PQ_OP_GTE;
}

static bool is_set(enum pq_op op)
{
    return op == PQ_OP_AND || op == PQ_OP_OR || op == PQ_OP_UNLESS;
}

static bool expect_type(struct pq_parser *p, struct pq_node *n, enum pq_type want, const char *where)
{
    if (!pq__check_types(p, n)) {
        return false;
    }
    if (n->type != want) {
        return pq__fail(p, n->pos.start, "expected type %s in %s, got %s", pq_type_name(want), where,
                        pq_type_name(n->type)) != NULL;
    }
    return true;
}

static bool check_aggregate(struct pq_parser *p, struct pq_node *n)
{
    if (!expect_type(p, n->agg.expr, PQ_VECTOR, "aggregation expression")) {
        return false;
    }
    return n->agg.param == NULL ||
           expect_type(p, n->agg.param, n->agg.op == PQ_AGG_COUNT_VALUES ? PQ_STRING : PQ_SCALAR,
                       "aggregation parameter");
}

/* Where the operator stands: errors about it point there. */
static uint32_t operator_at(const struct pq_parser *p, const struct pq_node *n)
{
    uint32_t at = n->binary.lhs->pos.end;

    while (at < p->text.n && strchr(" \t\r\n", p->text.p[at]) != NULL && p->text.p[at] != '\0') {
        at++;
    }
    return at;
}

static int compare_texts(const void *a, const void *b)
{
    return pl_str_cmp(*(const pl_str *)a, *(const pl_str *)b);
}

/* Both lists may be as long as the query's text allows: one is sorted, the other looked up. */
static bool check_group_labels(struct pq_parser *p, const struct pq_node *n)
{
    const struct pq_matching *m = n->binary.matching;
    const pl_str *twice = NULL;
    pl_str *sorted;

    if (!m->on || m->include_count == 0) {
        return true;
    }
    sorted = pl_new_array(pl_str, m->include_count);
    memcpy(sorted, m->include, m->include_count * sizeof(*sorted));
    qsort(sorted, m->include_count, sizeof(*sorted), compare_texts);
    for (uint32_t i = 0; i < m->label_count && twice == NULL; i++) {
        if (bsearch(&m->labels[i], sorted, m->include_count, sizeof(*sorted), compare_texts) != NULL) {
            twice = &m->labels[i];
        }
    }
    pl_free(sorted);
    if (twice != NULL) {
        (void)pq__fail_quoted(p, operator_at(p, n), "label ", *twice, " must not occur in ON and GROUP clause at once");
    }
    return twice == NULL;
}

static bool check_operand(struct pq_parser *p, const struct pq_node *n)
{
    if (n->type != PQ_SCALAR && n->type != PQ_VECTOR) {
        return pq__fail(p, n->pos.start, "binary expression must contain only scalar and instant vector types") != NULL;
    }
    return true;
}

static bool check_matching(struct pq_parser *p, struct pq_node *n)
{
    struct pq_matching *m = n->binary.matching;
    const char *op = pq_op_text(n->binary.op);
    bool vectors = n->binary.lhs->type == PQ_VECTOR && n->binary.rhs->type == PQ_VECTOR;
    bool filled = m->has_fill_left || m->has_fill_right;
    uint32_t at = n->pos.start;

    if (!vectors) {
        if (m->label_count > 0) {
            return pq__fail(p, at, "vector matching only allowed between instant vectors") != NULL;
        }
        if (filled) {
            return pq__fail(p, at, "filling in missing series only allowed between instant vectors") != NULL;
        }
        if (is_set(n->binary.op)) {
            return pq__fail(p, at, "set operator \"%s\" not allowed in binary scalar expression", op) != NULL;
        }
        n->binary.matching = NULL;
        return true;
    }
    if (is_set(n->binary.op)) {
        if (m->card != PQ_ONE_TO_ONE) {
            return pq__fail(p, at, "no grouping allowed for \"%s\" operation", op) != NULL;
        }
        if (filled) {
            return pq__fail(p, at, "filling in missing series not allowed for set operators") != NULL;
        }
        m->card = PQ_MANY_TO_MANY;
    }
    return true;
}

static bool check_binary(struct pq_parser *p, struct pq_node *n)
{
    struct pq_node *lhs = n->binary.lhs;
    struct pq_node *rhs = n->binary.rhs;

    if (!pq__check_types(p, lhs) || !pq__check_types(p, rhs)) {
        return false;
    }
    if (n->binary.return_bool && !is_comparison(n->binary.op)) {
        return pq__fail(p, operator_at(p, n), "bool modifier can only be used on comparison operators") != NULL;
    }
    if (is_comparison(n->binary.op) && !n->binary.return_bool && lhs->type == PQ_SCALAR && rhs->type == PQ_SCALAR) {
        return pq__fail(p, operator_at(p, n), "comparisons between scalars must use BOOL modifier") != NULL;
    }
    return check_group_labels(p, n) && check_operand(p, lhs) && check_operand(p, rhs) && check_matching(p, n);
}

static bool check_arg_count(struct pq_parser *p, const struct pq_node *n)
{
    const struct pq_func *f = n->call.func;
    uint32_t got = n->call.arg_count;

    if (f->variadic == 0) {
        if (got != f->arg_count) {
            return pq__fail(p, n->pos.start, "expected %u argument(s) in call to \"%s\", got %u", f->arg_count, f->name,
                            got) != NULL;
        }
        return true;
    }
    if (got < f->arg_count - 1) {
        return pq__fail(p, n->pos.start, "expected at least %u argument(s) in call to \"%s\", got %u", f->arg_count - 1,
                        f->name, got) != NULL;
    }
    if (f->variadic > 0 && got > f->arg_count - 1 + (uint32_t)f->variadic) {
        return pq__fail(p, n->pos.start, "expected at most %u argument(s) in call to \"%s\", got %u",
                        f->arg_count - 1 + (uint32_t)f->variadic, f->name, got) != NULL;
    }
    return true;
}

/* info()'s second argument is a selector without a metric name, and it may match everything. */
static bool check_info_selector(struct pq_parser *p, const struct pq_node *n)
{
    const struct pq_node *arg = n->call.args[1];

    if (arg->type != PQ_VECTOR) {
        return pq__fail(p, n->pos.start, "expected type instant vector in call to function \"info\", got %s",
                        pq_type_name(arg->type)) != NULL;
    }
    if (arg->kind != PQ_SELECTOR) {
        return pq__fail(p, arg->pos.start, "expected label selectors only") != NULL;
    }
    if (arg->selector.name.n > 0) {
        return pq__fail(p, arg->pos.start, "expected label selectors only, got vector selector instead") != NULL;
    }
    return true;
}

static bool check_call(struct pq_parser *p, struct pq_node *n)
{
    const struct pq_func *f = n->call.func;
    bool info = strcmp(f->name, "info") == 0 && n->call.arg_count > 1;

    if (!check_arg_count(p, n) || (info && !check_info_selector(p, n))) {
        return false;
    }
    for (uint32_t i = 0; i < n->call.arg_count; i++) {
        struct pq_node *arg = n->call.args[i];
        enum pq_type want = f->args[PL_MIN(i, f->arg_count - 1)];
        if (!(info && i == 1) && !pq__check_types(p, arg)) {
            return false;
        }
        if (arg->type != want) {
            return pq__fail(p, arg->pos.start, "expected type %s in call to function \"%s\", got %s",
                            pq_type_name(want), f->name, pq_type_name(arg->type)) != NULL;
        }
    }
    return true;
}

static bool fail_name_twice(struct pq_parser *p, const struct pq_node *n, pl_str other)
{
    struct pl_buf b;

    pl_buf_init(&b, 0);
    PL_BUF_LIT(&b, "metric name must not be set twice: ");
    pl_buf_quoted(&b, n->selector.name);
    PL_BUF_LIT(&b, " or ");
    pl_buf_quoted(&b, other);
    (void)pq__fail(p, n->pos.start, "%.*s", PL_STR_ARG(pl_buf_view(&b)));
    pl_buf_fini(&b);
    return false;
}

/* A selector that would match every series is most likely a slip of the keyboard. */
static bool check_selector(struct pq_parser *p, const struct pq_node *n)
{
    uint32_t count = n->selector.matcher_count;

    if (n->selector.name.n > 0) {
        for (uint32_t i = 0; i + 1 < count; i++) {
            if (pl_str_eq(n->selector.matchers[i].name, LABEL_METRIC_NAME)) {
                return fail_name_twice(p, n, n->selector.matchers[i].value);
            }
        }
        return true;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!matcher_accepts(&n->selector.matchers[i], PL_STR(""))) {
            return true;
        }
    }
    return pq__fail(p, n->pos.start, "vector selector must contain at least one non-empty matcher") != NULL;
}

/* Recursion is bounded by PROMQL_DEPTH_MAX, which the parser kept. */
bool pq__check_types(struct pq_parser *p, struct pq_node *n)
{
    switch (n->kind) {
    case PQ_NUMBER:
    case PQ_STRING_LIT:
        return true;
    case PQ_PAREN:
        return pq__check_types(p, n->paren.expr);
    case PQ_UNARY:
        if (!pq__check_types(p, n->unary.expr)) {
            return false;
        }
        if (n->type != PQ_SCALAR && n->type != PQ_VECTOR) {
            return pq__fail(p, n->pos.start,
                            "unary expression only allowed on expressions of type scalar or instant vector, got \"%s\"",
                            pq_type_name(n->type)) != NULL;
        }
        return true;
    case PQ_BINARY:
        return check_binary(p, n);
    case PQ_AGGREGATE:
        return check_aggregate(p, n);
    case PQ_CALL:
        return check_call(p, n);
    case PQ_SELECTOR:
        return check_selector(p, n);
    case PQ_MATRIX_SELECTOR:
        return pq__check_types(p, n->matrix.selector);
    case PQ_SUBQUERY:
        if (!pq__check_types(p, n->subquery.expr)) {
            return false;
        }
        if (n->subquery.expr->type != PQ_VECTOR) {
            return pq__fail(p, n->pos.start, "subquery is only allowed on instant vector, got %s instead",
                            raw_type_name(n->subquery.expr->type)) != NULL;
        }
        return true;
    case PQ_STEP_INVARIANT:
        break;
    }
    PL_UNREACHABLE("the parser makes no such node");
}
