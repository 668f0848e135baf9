#include "promql/parser.h"

#include "promql/functions.h"

static struct pq_pos token_pos(const struct pq_token *t)
{
    return (struct pq_pos){t->start, t->start + (uint32_t)t->text.n};
}

static struct pq_pos from_to(uint32_t start, const struct pq_token *last)
{
    return (struct pq_pos){start, last->start + (uint32_t)last->text.n};
}

/* ---- literals ---- */

static struct pq_node *parse_number(struct pq_parser *p)
{
    struct pq_token t = pq__take(p);
    double v;
    struct pq_node *n;

    if (!pq__number_or_duration(p, &t, &v)) {
        return NULL;
    }
    n = pq__node(p, PQ_NUMBER, token_pos(&t), NULL, NULL);
    if (n != NULL) {
        n->type = PQ_SCALAR;
        n->number.value = v;
        n->number.is_duration = t.kind == TOK_DURATION;
    }
    return n;
}

static struct pq_node *parse_string(struct pq_parser *p)
{
    struct pq_token t = pq__take(p);
    pl_str s;
    struct pq_node *n;

    if (!pq__unquote(p, &t, &s)) {
        return NULL;
    }
    n = pq__node(p, PQ_STRING_LIT, token_pos(&t), NULL, NULL);
    if (n != NULL) {
        n->type = PQ_STRING;
        n->string = s;
    }
    return n;
}

static struct pq_node *parse_paren(struct pq_parser *p)
{
    struct pq_token open = pq__take(p);
    struct pq_node *inner = pq__expr(p, 0);
    struct pq_node *n;

    if (inner == NULL || !pq__expect(p, TOK_RPAREN)) {
        return NULL;
    }
    n = pq__node(p, PQ_PAREN, from_to(open.start, &p->taken), inner, NULL);
    if (n != NULL) {
        n->type = inner->type;
        n->paren.expr = inner;
    }
    return n;
}

/* ---- calls and aggregations ---- */

static bool starts_expression(enum pq_tok k)
{
    switch (k) {
    case TOK_DURATION:
    case TOK_NUMBER:
    case TOK_STRING:
    case TOK_IDENT:
    case TOK_METRIC_IDENT:
    case TOK_LBRACE:
    case TOK_LPAREN:
    case TOK_ADD:
    case TOK_SUB:
    case TOK_AND:
    case TOK_OR:
    case TOK_UNLESS:
    case TOK_OFFSET:
    case TOK_SMOOTHED:
    case TOK_ANCHORED:
    case TOK_BY:
    case TOK_WITHOUT:
    case TOK_FILL:
    case TOK_FILL_LEFT:
    case TOK_FILL_RIGHT:
        return true;
    default:
        return pq_tok_is_aggregator(k) || k >= TOK_START;
    }
}

struct node_list {
    struct pq_node **v;
    uint32_t count, cap;
};

static bool list_add(struct pq_parser *p, struct node_list *l, struct pq_node *n)
{
    if (l->count == l->cap) {
        uint32_t cap = l->cap == 0 ? 4 : l->cap * 2;
        struct pq_node **v = pq__alloc(p, cap * sizeof(struct pq_node *));
        if (v == NULL) {
            return false;
        }
        for (uint32_t i = 0; i < l->count; i++) {
            v[i] = l->v[i];
        }
        l->v = v;
        l->cap = cap;
    }
    l->v[l->count++] = n;
    return true;
}

/* "(a, b)", both parentheses included. */
static bool parse_arguments(struct pq_parser *p, struct node_list *out)
{
    if (!pq__expect(p, TOK_LPAREN)) {
        return false;
    }
    if (pq__peek(p)->kind == TOK_RPAREN) {
        (void)pq__take(p);
        return true;
    }
    for (;;) {
        struct pq_token comma;
        struct pq_node *n = pq__expr(p, 0);
        if (n == NULL || !list_add(p, out, n)) {
            return false;
        }
        if (pq__peek(p)->kind != TOK_COMMA) {
            return pq__expect(p, TOK_RPAREN);
        }
        comma = pq__take(p);
        if (!starts_expression(pq__peek(p)->kind)) {
            return pq__fail(p, comma.start, "trailing commas not allowed in function call args") != NULL;
        }
    }
}

static struct pq_node *parse_call(struct pq_parser *p, const struct pq_token *name)
{
    struct node_list args = {0};
    const struct pq_func *f;
    const struct pq_node *tallest = NULL;
    struct pq_node *n;

    if (!parse_arguments(p, &args)) {
        return NULL;
    }
    f = pq_func_find(name->text);
    if (f == NULL) {
        return pq__fail_quoted(p, name->start, "unknown function with name ", name->text, "");
    }
    if (f->experimental && !p->options->experimental_functions) {
        return pq__fail_quoted(p, name->start, "function ", name->text, " is not enabled");
    }
    for (uint32_t i = 0; i < args.count; i++) {
        tallest = pq__height(args.v[i]) > pq__height(tallest) ? args.v[i] : tallest;
    }
    n = pq__node(p, PQ_CALL, from_to(name->start, &p->taken), tallest, NULL);
    if (n != NULL) {
        n->type = f->result;
        n->call.func = f;
        n->call.args = args.v;
        n->call.arg_count = args.count;
    }
    return n;
}

static bool takes_parameter(enum pq_agg op)
{
    return op >= PQ_AGG_TOPK;
}

static struct pq_node *make_aggregate(struct pq_parser *p, const struct pq_token *op, const struct node_list *args,
                                      uint32_t end)
{
    enum pq_agg agg = (enum pq_agg)(op->kind - TOK_SUM);
    uint32_t want = takes_parameter(agg) ? 2 : 1;
    struct pq_node *n;

    if (args->count == 0) {
        return pq__fail(p, op->start, "no arguments for aggregate expression provided");
    }
    if ((agg == PQ_AGG_LIMITK || agg == PQ_AGG_LIMIT_RATIO) && !p->options->experimental_functions) {
        return pq__fail(p, op->start,
                        "%s() is experimental and must be enabled with --enable-feature=promql-experimental-functions",
                        pq_agg_text(agg));
    }
    if (args->count != want) {
        return pq__fail(p, op->start,
                        "wrong number of arguments for aggregate expression provided, expected %u, got %u", want,
                        args->count);
    }
    n = pq__node(p, PQ_AGGREGATE, (struct pq_pos){op->start, end}, args->v[0], args->v[want - 1]);
    if (n != NULL) {
        n->type = PQ_VECTOR;
        n->agg.op = agg;
        n->agg.expr = args->v[want - 1];
        n->agg.param = want == 2 ? args->v[0] : NULL;
    }
    return n;
}

/* Grouping may stand on either side of the arguments. */
static struct pq_node *parse_aggregate(struct pq_parser *p, const struct pq_token *op)
{
    struct pq_context outer = p->context;
    struct node_list args = {0};
    const pl_str *labels = NULL;
    uint32_t label_count = 0;
    enum pq_tok grouping = pq__peek(p)->kind;
    bool before = grouping == TOK_BY || grouping == TOK_WITHOUT;
    struct pq_node *n;
    uint32_t end;

    p->context = (struct pq_context){"aggregation", NULL};
    if (before) {
        (void)pq__take(p);
        if (!pq__grouping(p, &labels, &label_count)) {
            return NULL;
        }
    }
    if (!parse_arguments(p, &args)) {
        return NULL;
    }
    if (!before) {
        end = p->taken.start + 1;
        grouping = pq__peek(p)->kind;
        if (grouping == TOK_BY || grouping == TOK_WITHOUT) {
            (void)pq__take(p);
            if (!pq__grouping(p, &labels, &label_count)) {
                return NULL;
            }
            end = p->taken.start + 1;
        } else if (grouping == TOK_ERROR) {
            return NULL;
        }
    } else {
        end = p->taken.start + 1;
    }
    p->context = outer;
    n = make_aggregate(p, op, &args, end);
    if (n != NULL) {
        n->agg.labels = labels;
        n->agg.label_count = label_count;
        n->agg.without = grouping == TOK_WITHOUT;
    }
    return n;
}

/* ---- operands ---- */

/* A word is a function, an aggregation or a metric by what follows it. */
static struct pq_node *parse_word(struct pq_parser *p)
{
    struct pq_token t = pq__take(p);
    enum pq_tok after = pq__peek(p)->kind;

    if (pq_tok_is_aggregator(t.kind) && (after == TOK_LPAREN || after == TOK_BY || after == TOK_WITHOUT)) {
        return parse_aggregate(p, &t);
    }
    if ((t.kind == TOK_IDENT || t.kind >= TOK_START) && after == TOK_LPAREN) {
        return parse_call(p, &t);
    }
    return pq__selector(p, &t);
}

static struct pq_node *parse_primary(struct pq_parser *p)
{
    enum pq_tok k = pq__peek(p)->kind;

    switch (k) {
    case TOK_NUMBER:
    case TOK_DURATION:
        return parse_number(p);
    case TOK_STRING:
        return parse_string(p);
    case TOK_LPAREN:
        return parse_paren(p);
    case TOK_LBRACE:
        return pq__selector(p, NULL);
    default:
        if (!starts_expression(k)) {
            return pq__unexpected(p);
        }
        return parse_word(p);
    }
}

enum { PREC_OR = 1, PREC_AND, PREC_COMPARE, PREC_ADD, PREC_MUL, PREC_POW };

/* 0: not a binary operator. */
static int precedence_of(enum pq_tok k)
{
    switch (k) {
    case TOK_OR:
        return PREC_OR;
    case TOK_AND:
    case TOK_UNLESS:
        return PREC_AND;
    case TOK_EQLC:
    case TOK_NEQ:
    case TOK_LSS:
    case TOK_LTE:
    case TOK_GTR:
    case TOK_GTE:
    case TOK_TRIM_UPPER:
    case TOK_TRIM_LOWER:
        return PREC_COMPARE;
    case TOK_ADD:
    case TOK_SUB:
        return PREC_ADD;
    case TOK_MUL:
    case TOK_DIV:
    case TOK_MOD:
    case TOK_ATAN2:
        return PREC_MUL;
    case TOK_POW:
        return PREC_POW;
    default:
        return 0;
    }
}

/* A sign binds like a multiplication and folds into a number: -1^2 is -(1^2), -2 is a literal. */
static struct pq_node *parse_unary(struct pq_parser *p)
{
    struct pq_token sign;
    struct pq_node *operand;
    struct pq_node *n;

    if (pq__peek(p)->kind != TOK_ADD && pq__peek(p)->kind != TOK_SUB) {
        n = parse_primary(p);
        return n == NULL ? NULL : pq__postfix(p, n);
    }
    sign = pq__take(p);
    operand = pq__expr(p, PREC_MUL + 1);
    if (operand == NULL) {
        return NULL;
    }
    if (operand->kind == PQ_NUMBER) {
        operand->number.value = sign.kind == TOK_SUB ? -operand->number.value : operand->number.value;
        operand->pos.start = sign.start;
        return operand;
    }
    n = pq__node(p, PQ_UNARY, (struct pq_pos){sign.start, operand->pos.end}, operand, NULL);
    if (n != NULL) {
        n->type = operand->type;
        n->unary.op = sign.kind == TOK_SUB ? PQ_OP_SUB : PQ_OP_ADD;
        n->unary.expr = operand;
    }
    return n;
}

/* ---- binary expressions ---- */

/* "(1)", "(-5m)". */
static bool parse_fill_value(struct pq_parser *p, double *out)
{
    bool negative = false;

    if (!pq__expect(p, TOK_LPAREN)) {
        return false;
    }
    if (pq__peek(p)->kind == TOK_ADD || pq__peek(p)->kind == TOK_SUB) {
        negative = pq__take(p).kind == TOK_SUB;
    }
    if (pq__peek(p)->kind != TOK_NUMBER && pq__peek(p)->kind != TOK_DURATION) {
        return pq__unexpected(p) != NULL;
    }
    (void)pq__take(p);
    if (!pq__number_or_duration(p, &p->taken, out)) {
        return false;
    }
    *out = negative ? -*out : *out;
    return pq__expect(p, TOK_RPAREN);
}

static bool parse_fill(struct pq_parser *p, struct pq_matching *m)
{
    enum pq_tok k = pq__peek(p)->kind;

    if (k == TOK_FILL) {
        (void)pq__take(p);
        m->has_fill_left = m->has_fill_right = true;
        if (!parse_fill_value(p, &m->fill_left)) {
            return false;
        }
        m->fill_right = m->fill_left;
        return true;
    }
    for (int i = 0; i < 2 && (k == TOK_FILL_LEFT || k == TOK_FILL_RIGHT); i++) {
        bool left = k == TOK_FILL_LEFT;
        (void)pq__take(p);
        if (!parse_fill_value(p, left ? &m->fill_left : &m->fill_right)) {
            return false;
        }
        *(left ? &m->has_fill_left : &m->has_fill_right) = true;
        k = pq__peek(p)->kind;
        if (left ? k == TOK_FILL_LEFT : k == TOK_FILL_RIGHT) {
            break; /* the same side twice is a metric's name at best */
        }
    }
    return true;
}

/* [bool] [on|ignoring (labels) [group_left|group_right [(labels)]]] [fill...] */
static bool parse_modifiers(struct pq_parser *p, bool *return_bool, struct pq_matching *m)
{
    if (pq__peek(p)->kind == TOK_BOOL) {
        (void)pq__take(p);
        *return_bool = true;
    }
    if (pq__peek(p)->kind == TOK_ON || pq__peek(p)->kind == TOK_IGNORING) {
        m->on = pq__take(p).kind == TOK_ON;
        m->explicit_matching = true;
        if (!pq__grouping(p, &m->labels, &m->label_count)) {
            return false;
        }
        if (pq__peek(p)->kind == TOK_GROUP_LEFT || pq__peek(p)->kind == TOK_GROUP_RIGHT) {
            m->card = pq__take(p).kind == TOK_GROUP_LEFT ? PQ_MANY_TO_ONE : PQ_ONE_TO_MANY;
            /* COMPAT: a parenthesis here always opens labels; what cannot begin the operand is told to be a missing
             * one. */
            if ((pq__peek(p)->kind == TOK_LPAREN || !starts_expression(pq__peek(p)->kind)) &&
                !pq__grouping(p, &m->include, &m->include_count)) {
                return false;
            }
        }
    }
    return parse_fill(p, m);
}

static struct pq_node *make_binary(struct pq_parser *p, enum pq_tok op, struct pq_node *lhs, struct pq_node *rhs,
                                   struct pq_matching *m, bool return_bool)
{
    struct pq_node *n;

    if ((m->has_fill_left || m->has_fill_right) && !p->options->fill_modifiers) {
        return pq__fail(p, lhs->pos.start, "binop fill modifiers are experimental and not enabled");
    }
    n = pq__node(p, PQ_BINARY, (struct pq_pos){lhs->pos.start, rhs->pos.end}, lhs, rhs);
    if (n != NULL) {
        n->type = lhs->type == PQ_SCALAR && rhs->type == PQ_SCALAR ? PQ_SCALAR : PQ_VECTOR;
        n->binary.op = (enum pq_op)(op - TOK_ADD);
        n->binary.lhs = lhs;
        n->binary.rhs = rhs;
        n->binary.matching = m;
        n->binary.return_bool = return_bool;
    }
    return n;
}

struct pq_node *pq__expr(struct pq_parser *p, int precedence_min)
{
    struct pq_node *lhs;

    if (!pq__enter(p)) {
        return NULL;
    }
    lhs = parse_unary(p);
    while (lhs != NULL) {
        enum pq_tok op = pq__peek(p)->kind;
        int precedence = precedence_of(op);
        struct pq_matching *m;
        bool return_bool = false;
        struct pq_node *rhs;

        if (op == TOK_ERROR) {
            return NULL;
        }
        if (precedence == 0 || precedence < precedence_min) {
            break;
        }
        (void)pq__take(p);
        m = pq__alloc(p, sizeof(*m));
        if (m == NULL || !parse_modifiers(p, &return_bool, m)) {
            return NULL;
        }
        rhs = pq__expr(p, op == TOK_POW ? precedence : precedence + 1);
        if (rhs == NULL) {
            return NULL;
        }
        lhs = make_binary(p, op, lhs, rhs, m, return_bool);
    }
    pq__leave(p);
    return lhs;
}

/* ---- entry points ---- */

static pl_status parser_init(struct pq_parser *p, struct pl_arena *a, pl_str text, struct pl_err *err)
{
    char *copy;

    if (text.n > PROMQL_TEXT_MAX) {
        return pl_fail(err, PL_INVALID, "query of %zu bytes is too long, the limit is %d bytes", text.n,
                       PROMQL_TEXT_MAX);
    }
    copy = pl_arena_alloc_try(a, text.n + 1);
    if (copy == NULL) {
        return pl_fail(err, PL_LIMIT, "query memory limit");
    }
    if (text.n > 0) {
        memcpy(copy, text.p, text.n);
    }
    copy[text.n] = '\0';
    p->arena = a;
    p->text = pl_str_of(copy, text.n);
    p->err = err;
    pq_lexer_init(&p->lexer, p->text);
    return PL_OK;
}

pl_status pq_parse(struct pq_node **out, struct pl_arena *a, pl_str text, const struct pq_parse_options *o,
                   struct pl_err *err)
{
    struct pq_parser p = {.options = o};
    struct pq_node *n = NULL;

    PL_TRY(parser_init(&p, a, text, err));
    if (pq__peek(&p)->kind == TOK_EOF) {
        (void)pq__fail(&p, 0, "no expression found in input");
    } else {
        n = pq__expr(&p, 0);
        if (n != NULL && pq__expect(&p, TOK_EOF)) {
            (void)pq__check_types(&p, n);
        }
    }
    pq_lexer_fini(&p.lexer);
    if (p.failed) {
        return p.status;
    }
    PL_ASSERT(n != NULL);
    *out = n;
    return PL_OK;
}

pl_status pq_parse_selector(const struct matcher **out, size_t *count, struct pl_arena *a, pl_str text,
                            struct pl_err *err)
{
    static const struct pq_parse_options plain = {0};
    struct pq_parser p = {.options = &plain};
    struct pq_node *n = NULL;
    enum pq_tok k;

    PL_TRY(parser_init(&p, a, text, err));
    k = pq__peek(&p)->kind;
    if (k == TOK_LBRACE) {
        n = pq__selector(&p, NULL);
    } else if (starts_expression(k) && k != TOK_NUMBER && k != TOK_DURATION && k != TOK_STRING && k != TOK_LPAREN &&
               k != TOK_ADD && k != TOK_SUB) {
        struct pq_token name = pq__take(&p);
        n = pq__selector(&p, &name);
    } else {
        (void)pq__unexpected(&p);
    }
    if (n != NULL) {
        (void)pq__expect(&p, TOK_EOF);
    }
    pq_lexer_fini(&p.lexer);
    if (p.failed) {
        return p.status;
    }
    PL_ASSERT(n != NULL);
    *out = n->selector.matchers;
    *count = n->selector.matcher_count;
    return PL_OK;
}
