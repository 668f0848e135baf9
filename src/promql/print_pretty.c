/* The formatted text: a node longer than a line is broken at its parts, each one level further in. */
#include "promql/print.h"

#include "promql/functions.h"

enum { LINE_MAX_BYTES = 100 };

struct pretty {
    struct pl_buf *b;
    bool hug; /* the next indentation is left out: a sign stands right before its operand */
};

static void pretty(struct pretty *p, const struct pq_node *n, unsigned level);

static void indent(struct pretty *p, unsigned level)
{
    if (p->hug) {
        p->hug = false;
        return;
    }
    for (unsigned i = 0; i < level; i++) {
        PL_BUF_LIT(p->b, "  ");
    }
}

/* Is the canonical text longer than a line? Printing stops as soon as that is known. */
static bool is_long(const struct pq_node *n)
{
    struct pl_buf probe;
    bool longer;

    pl_buf_init(&probe, 2048);
    pq_print(&probe, n);
    longer = probe.overflow || probe.n > LINE_MAX_BYTES;
    pl_buf_fini(&probe);
    return longer;
}

static void pretty_call(struct pretty *p, const struct pq_node *n, unsigned level)
{
    indent(p, level);
    pl_buf_cstr(p->b, n->call.func->name);
    PL_BUF_LIT(p->b, "(\n");
    for (uint32_t i = 0; i < n->call.arg_count; i++) {
        if (i > 0) {
            PL_BUF_LIT(p->b, ",\n");
        }
        pretty(p, n->call.args[i], level + 1);
    }
    pl_buf_byte(p->b, '\n');
    indent(p, level);
    pl_buf_byte(p->b, ')');
}

static void pretty_aggregate(struct pretty *p, const struct pq_node *n, unsigned level)
{
    indent(p, level);
    pq__print_agg_head(p->b, n);
    PL_BUF_LIT(p->b, "(\n");
    if (n->agg.param != NULL) {
        pretty(p, n->agg.param, level + 1);
        PL_BUF_LIT(p->b, ",\n");
    }
    pretty(p, n->agg.expr, level + 1);
    pl_buf_byte(p->b, '\n');
    indent(p, level);
    pl_buf_byte(p->b, ')');
}

static void pretty_broken(struct pretty *p, const struct pq_node *n, unsigned level)
{
    switch (n->kind) {
    case PQ_AGGREGATE:
        pretty_aggregate(p, n, level);
        return;
    case PQ_CALL:
        pretty_call(p, n, level);
        return;
    case PQ_BINARY:
        pretty(p, n->binary.lhs, level + 1);
        pl_buf_byte(p->b, '\n');
        indent(p, level);
        pq__print_operator(p->b, n);
        pl_buf_byte(p->b, '\n');
        pretty(p, n->binary.rhs, level + 1);
        return;
    case PQ_PAREN:
        indent(p, level);
        PL_BUF_LIT(p->b, "(\n");
        pretty(p, n->paren.expr, level + 1);
        pl_buf_byte(p->b, '\n');
        indent(p, level);
        pl_buf_byte(p->b, ')');
        return;
    case PQ_SUBQUERY:
        pretty(p, n->subquery.expr, level);
        pq__print_subquery_suffix(p->b, n);
        return;
    case PQ_NUMBER:
    case PQ_STRING_LIT:
    case PQ_UNARY:
    case PQ_SELECTOR:
    case PQ_MATRIX_SELECTOR:
    case PQ_STEP_INVARIANT:
        break;
    }
    PL_UNREACHABLE("never broken");
}

static void pretty(struct pretty *p, const struct pq_node *n, unsigned level)
{
    switch (n->kind) {
    case PQ_NUMBER:
    case PQ_STRING_LIT:
    case PQ_SELECTOR:
    case PQ_MATRIX_SELECTOR:
        indent(p, level);
        pq_print(p->b, n);
        return;
    case PQ_UNARY:
        indent(p, level);
        pl_buf_cstr(p->b, pq_op_text(n->unary.op));
        p->hug = true;
        pretty(p, n->unary.expr, level);
        p->hug = false;
        return;
    case PQ_STEP_INVARIANT:
        pretty(p, n->step_invariant.expr, level);
        return;
    case PQ_AGGREGATE:
    case PQ_CALL:
    case PQ_BINARY:
    case PQ_PAREN:
    case PQ_SUBQUERY:
        break;
    }
    if (is_long(n)) {
        pretty_broken(p, n, level);
        return;
    }
    if (n->kind != PQ_SUBQUERY) { /* COMPAT: a short subquery is not indented */
        indent(p, level);
    }
    p->hug = false;
    pq_print(p->b, n);
}

void pq_print_pretty(struct pl_buf *b, const struct pq_node *n)
{
    struct pretty p = {.b = b};

    pretty(&p, n, 0);
}
