/* The tree as Prometheus's parse_query shows it; keys in alphabetical order, as Go writes maps. Spec prometheus.md 6.5.
 */
#include "codec/json_out.h"
#include "model/labels.h"
#include "promql/functions.h"
#include "promql/print.h"

#include <math.h>

static const char *json_type(enum pq_type t)
{
    return t == PQ_VECTOR ? "vector" : t == PQ_MATRIX ? "matrix" : pq_type_name(t);
}

static void add_bool(struct pl_buf *b, bool v)
{
    pl_buf_cstr(b, v ? "true" : "false");
}

/* A number's text in quotes. */
static void add_number_text(struct pl_buf *b, double v)
{
    char text[FLOAT_TEXT_MAX];

    json_str(b, pl_str_of(text, float_put_f(text, v)));
}

static const char *dur_op(int kind)
{
    switch (kind) {
    case PQ_DUR_STEP:
        return "step";
    case PQ_DUR_RANGE:
        return "range";
    case PQ_DUR_NEG:
    case PQ_DUR_SUB:
        return "-";
    case PQ_DUR_MUL:
        return "*";
    case PQ_DUR_DIV:
        return "/";
    case PQ_DUR_MOD:
        return "%";
    case PQ_DUR_POW:
        return "^";
    case PQ_DUR_MIN:
        return "min_of";
    case PQ_DUR_MAX:
        return "max_of";
    default:
        return "+"; /* ADD, POS, and a number in parentheses, which Prometheus keeps as +number */
    }
}

static void json_dur(struct pl_buf *b, const struct pq_dur *d)
{
    const struct pq_dur *inner = d;
    const struct pq_dur *l;
    const struct pq_dur *r;
    bool sign;

    if (d == NULL) {
        PL_BUF_LIT(b, "null");
        return;
    }
    if (d->kind == PQ_DUR_NUM) {
        PL_BUF_LIT(b, "{\"duration\":");
        add_bool(b, d->written_as_duration);
        PL_BUF_LIT(b, ",\"type\":\"numberLiteral\",\"val\":");
        add_number_text(b, d->num_s);
        pl_buf_byte(b, '}');
        return;
    }
    if (d->kind == PQ_DUR_PAREN && d->l->kind != PQ_DUR_NUM) {
        inner = d->l;
    }
    sign = inner->kind == PQ_DUR_NEG || inner->kind == PQ_DUR_POS || inner->kind == PQ_DUR_PAREN;
    l = sign ? NULL : inner->l;
    r = sign ? inner->l : inner->r;
    PL_BUF_LIT(b, "{\"lhs\":");
    json_dur(b, l);
    PL_BUF_LIT(b, ",\"op\":");
    json_cstr(b, dur_op(inner->kind));
    PL_BUF_LIT(b, ",\"rhs\":");
    json_dur(b, r);
    PL_BUF_LIT(b, ",\"type\":\"durationExpr\",\"wrapped\":");
    add_bool(b, d->kind == PQ_DUR_PAREN);
    pl_buf_byte(b, '}');
}

static void add_start_or_end(struct pl_buf *b, const struct pq_time *t)
{
    PL_BUF_LIT(b, ",\"startOrEnd\":");
    pl_buf_cstr(b, t->at == PQ_AT_START ? "\"start\"" : t->at == PQ_AT_END ? "\"end\"" : "null");
}

static void add_timestamp(struct pl_buf *b, const struct pq_time *t)
{
    PL_BUF_LIT(b, ",\"timestamp\":");
    if (t->at == PQ_AT_TIME) {
        pl_buf_i64(b, t->at_ms);
    } else {
        PL_BUF_LIT(b, "null");
    }
}

static void add_offset(struct pl_buf *b, const struct pq_time *t)
{
    PL_BUF_LIT(b, ",\"offset\":");
    pl_buf_i64(b, t->offset_ms);
    PL_BUF_LIT(b, ",\"offsetExpr\":");
    json_dur(b, t->offset_expr);
}

static void json_matchers(struct pl_buf *b, const struct pq_node *s)
{
    static const char *const types[] = {[MATCH_EQ] = "=", [MATCH_NEQ] = "!=", [MATCH_RE] = "=~", [MATCH_NRE] = "!~"};

    pl_buf_byte(b, '[');
    for (uint32_t i = 0; i < s->selector.matcher_count; i++) {
        const struct matcher *m = &s->selector.matchers[i];
        json_comma(b);
        PL_BUF_LIT(b, "{\"name\":");
        json_str(b, m->name);
        PL_BUF_LIT(b, ",\"type\":");
        json_cstr(b, types[m->type]);
        PL_BUF_LIT(b, ",\"value\":");
        json_str(b, m->value);
        pl_buf_byte(b, '}');
    }
    pl_buf_byte(b, ']');
}

/* A selector, or the range around one. */
static void json_selector(struct pl_buf *b, const struct pq_node *s, const struct pq_node *matrix)
{
    PL_BUF_LIT(b, "{\"anchored\":");
    add_bool(b, s->selector.anchored);
    PL_BUF_LIT(b, ",\"matchers\":");
    json_matchers(b, s);
    PL_BUF_LIT(b, ",\"name\":");
    json_str(b, s->selector.name);
    add_offset(b, &s->selector.time);
    if (matrix != NULL) {
        PL_BUF_LIT(b, ",\"range\":");
        pl_buf_i64(b, matrix->matrix.range_ms);
        PL_BUF_LIT(b, ",\"rangeExpr\":");
        json_dur(b, matrix->matrix.range_expr);
    }
    PL_BUF_LIT(b, ",\"smoothed\":");
    add_bool(b, s->selector.smoothed);
    add_start_or_end(b, &s->selector.time);
    add_timestamp(b, &s->selector.time);
    pl_buf_cstr(b, matrix != NULL ? ",\"type\":\"matrixSelector\"}" : ",\"type\":\"vectorSelector\"}");
}

static void json_subquery(struct pl_buf *b, const struct pq_node *n)
{
    PL_BUF_LIT(b, "{\"expr\":");
    pq_print_json(b, n->subquery.expr);
    add_offset(b, &n->subquery.time);
    PL_BUF_LIT(b, ",\"range\":");
    pl_buf_i64(b, n->subquery.range_ms);
    PL_BUF_LIT(b, ",\"rangeExpr\":");
    json_dur(b, n->subquery.range_expr);
    add_start_or_end(b, &n->subquery.time);
    PL_BUF_LIT(b, ",\"step\":");
    pl_buf_i64(b, n->subquery.step_ms);
    PL_BUF_LIT(b, ",\"stepExpr\":");
    json_dur(b, n->subquery.step_expr);
    add_timestamp(b, &n->subquery.time);
    PL_BUF_LIT(b, ",\"type\":\"subquery\"}");
}

/* JSON has no NaN and no infinity (Prometheus fails to answer then): they become text. */
static void json_fill(struct pl_buf *b, bool has, double v)
{
    if (!has) {
        PL_BUF_LIT(b, "null");
    } else if (isfinite(v)) {
        json_f64(b, v);
    } else {
        add_number_text(b, v);
    }
}

static void json_matching(struct pl_buf *b, const struct pq_matching *m)
{
    static const char *const cards[] = {[PQ_ONE_TO_ONE] = "one-to-one",
                                        [PQ_MANY_TO_ONE] = "many-to-one",
                                        [PQ_ONE_TO_MANY] = "one-to-many",
                                        [PQ_MANY_TO_MANY] = "many-to-many"};

    if (m == NULL) {
        PL_BUF_LIT(b, "null");
        return;
    }
    PL_BUF_LIT(b, "{\"card\":");
    json_cstr(b, cards[m->card]);
    PL_BUF_LIT(b, ",\"fillValues\":{\"lhs\":");
    json_fill(b, m->has_fill_left, m->fill_left);
    PL_BUF_LIT(b, ",\"rhs\":");
    json_fill(b, m->has_fill_right, m->fill_right);
    PL_BUF_LIT(b, "},\"include\":");
    json_str_list(b, m->include, m->include_count);
    PL_BUF_LIT(b, ",\"labels\":");
    json_str_list(b, m->labels, m->label_count);
    PL_BUF_LIT(b, ",\"on\":");
    add_bool(b, m->on);
    pl_buf_byte(b, '}');
}

static void json_binary(struct pl_buf *b, const struct pq_node *n)
{
    PL_BUF_LIT(b, "{\"bool\":");
    add_bool(b, n->binary.return_bool);
    PL_BUF_LIT(b, ",\"lhs\":");
    pq_print_json(b, n->binary.lhs);
    PL_BUF_LIT(b, ",\"matching\":");
    json_matching(b, n->binary.matching);
    PL_BUF_LIT(b, ",\"op\":");
    json_cstr(b, pq_op_text(n->binary.op));
    PL_BUF_LIT(b, ",\"rhs\":");
    pq_print_json(b, n->binary.rhs);
    PL_BUF_LIT(b, ",\"type\":\"binaryExpr\"}");
}

static void json_aggregate(struct pl_buf *b, const struct pq_node *n)
{
    PL_BUF_LIT(b, "{\"expr\":");
    pq_print_json(b, n->agg.expr);
    PL_BUF_LIT(b, ",\"grouping\":");
    json_str_list(b, n->agg.labels, n->agg.label_count);
    PL_BUF_LIT(b, ",\"op\":");
    json_cstr(b, pq_agg_text(n->agg.op));
    PL_BUF_LIT(b, ",\"param\":");
    if (n->agg.param != NULL) {
        pq_print_json(b, n->agg.param);
    } else {
        PL_BUF_LIT(b, "null");
    }
    PL_BUF_LIT(b, ",\"type\":\"aggregation\",\"without\":");
    add_bool(b, n->agg.without);
    pl_buf_byte(b, '}');
}

static void json_call(struct pl_buf *b, const struct pq_node *n)
{
    const struct pq_func *f = n->call.func;

    PL_BUF_LIT(b, "{\"args\":[");
    for (uint32_t i = 0; i < n->call.arg_count; i++) {
        json_comma(b);
        pq_print_json(b, n->call.args[i]);
    }
    PL_BUF_LIT(b, "],\"func\":{\"argTypes\":[");
    for (uint32_t i = 0; i < f->arg_count; i++) {
        json_comma(b);
        json_cstr(b, json_type(f->args[i]));
    }
    PL_BUF_LIT(b, "],\"name\":");
    json_cstr(b, f->name);
    PL_BUF_LIT(b, ",\"returnType\":");
    json_cstr(b, json_type(f->result));
    PL_BUF_LIT(b, ",\"variadic\":");
    pl_buf_i64(b, f->variadic);
    PL_BUF_LIT(b, "},\"type\":\"call\"}");
}

void pq_print_json(struct pl_buf *b, const struct pq_node *n)
{
    switch (n->kind) {
    case PQ_NUMBER:
        PL_BUF_LIT(b, "{\"type\":\"numberLiteral\",\"val\":");
        add_number_text(b, n->number.value);
        pl_buf_byte(b, '}');
        return;
    case PQ_STRING_LIT:
        PL_BUF_LIT(b, "{\"type\":\"stringLiteral\",\"val\":");
        json_str(b, n->string);
        pl_buf_byte(b, '}');
        return;
    case PQ_PAREN:
        PL_BUF_LIT(b, "{\"expr\":");
        pq_print_json(b, n->paren.expr);
        PL_BUF_LIT(b, ",\"type\":\"parenExpr\"}");
        return;
    case PQ_UNARY:
        PL_BUF_LIT(b, "{\"expr\":");
        pq_print_json(b, n->unary.expr);
        PL_BUF_LIT(b, ",\"op\":");
        json_cstr(b, pq_op_text(n->unary.op));
        PL_BUF_LIT(b, ",\"type\":\"unaryExpr\"}");
        return;
    case PQ_BINARY:
        json_binary(b, n);
        return;
    case PQ_AGGREGATE:
        json_aggregate(b, n);
        return;
    case PQ_CALL:
        json_call(b, n);
        return;
    case PQ_SELECTOR:
        json_selector(b, n, NULL);
        return;
    case PQ_MATRIX_SELECTOR:
        json_selector(b, n->matrix.selector, n);
        return;
    case PQ_SUBQUERY:
        json_subquery(b, n);
        return;
    case PQ_STEP_INVARIANT:
        pq_print_json(b, n->step_invariant.expr);
        return;
    }
}
