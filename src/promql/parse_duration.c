/* Duration expressions: the arithmetic inside [...] and behind offset. */
#include "promql/parser.h"

/* A literal stays a number until an operator or a parenthesis makes an expression of it. */
struct value {
    bool literal;
    double seconds; /* literal */
    bool is_duration;
    struct pq_pos pos;
    struct pq_dur *expr; /* otherwise */
};

enum { PREC_ADD = 1, PREC_MUL, PREC_POW };

static bool parse_value(struct pq_parser *p, struct value *out, int precedence_min);

/* What an int64 of nanoseconds cannot hold; NaN neither, which Prometheus lets pass and then reads as some number. */
static bool out_of_range(double seconds)
{
    return !(seconds <= 9223372036.854775807 && seconds >= -9223372036.854775808);
}

static struct pq_dur *make(struct pq_parser *p, int kind, struct pq_dur *l, struct pq_dur *r, struct pq_pos pos)
{
    struct pq_dur *d = pq__alloc(p, sizeof(*d));

    if (d != NULL) {
        d->kind = kind;
        d->l = l;
        d->r = r;
        d->pos = pos;
    }
    return d;
}

/* The value as a tree, for use below an operator. */
static struct pq_dur *tree_of(struct pq_parser *p, const struct value *v)
{
    struct pq_dur *d;

    if (!v->literal) {
        return v->expr;
    }
    d = make(p, PQ_DUR_NUM, NULL, NULL, v->pos);
    if (d != NULL) {
        d->num_s = v->seconds;
        d->written_as_duration = v->is_duration;
    }
    return d;
}

static bool set_tree(struct value *out, struct pq_dur *d)
{
    *out = (struct value){.expr = d, .pos = d != NULL ? d->pos : (struct pq_pos){0}};
    return d != NULL;
}

static bool parse_literal(struct pq_parser *p, struct value *out)
{
    struct pq_token t = pq__take(p);

    *out = (struct value){
        .literal = true, .is_duration = t.kind == TOK_DURATION, .pos = {t.start, t.start + (uint32_t)t.text.n}};
    return pq__number_or_duration(p, &t, &out->seconds);
}

static bool check_range(struct pq_parser *p, const struct value *v, uint32_t at)
{
    if (v->literal && out_of_range(v->seconds)) {
        return pq__fail(p, at, "duration out of range") != NULL;
    }
    return true;
}

/* step(), range(), min_of(a, b), max_of(a, b) */
static bool parse_word(struct pq_parser *p, struct value *out)
{
    struct pq_token t = pq__take(p);
    struct value a, b;
    struct pq_dur *l, *r;

    if (!pq__expect(p, TOK_LPAREN)) {
        return false;
    }
    if (t.kind == TOK_STEP || t.kind == TOK_RANGE) {
        return pq__expect(p, TOK_RPAREN) && set_tree(out, make(p, t.kind == TOK_STEP ? PQ_DUR_STEP : PQ_DUR_RANGE, NULL,
                                                               NULL, (struct pq_pos){t.start, p->taken.start + 1}));
    }
    if (!parse_value(p, &a, 0) || !pq__expect(p, TOK_COMMA) || !parse_value(p, &b, 0) || !pq__expect(p, TOK_RPAREN)) {
        return false;
    }
    l = tree_of(p, &a);
    r = tree_of(p, &b);
    if (l == NULL || r == NULL) {
        return false;
    }
    return set_tree(
        out, make(p, t.kind == TOK_MIN_OF ? PQ_DUR_MIN : PQ_DUR_MAX, l, r, (struct pq_pos){l->pos.start, r->pos.end}));
}

/* COMPAT: parentheses around parentheses leave no trace; the position of a wrapped expression is the inner one's. */
static bool wrap(struct pq_parser *p, struct value *v, uint32_t start)
{
    struct pq_dur *d = tree_of(p, v);

    if (d == NULL) {
        return false;
    }
    if (d->kind == PQ_DUR_PAREN) {
        return set_tree(v, d);
    }
    return set_tree(v, make(p, PQ_DUR_PAREN, d, NULL, v->literal ? (struct pq_pos){start, d->pos.end} : d->pos));
}

/* COMPAT: a plus sign before an expression disappears, a literal takes its sign in. */
static bool apply_sign(struct pq_parser *p, struct value *v, const struct pq_token *sign)
{
    bool negative = sign->kind == TOK_SUB;

    if (v->literal) {
        v->seconds = negative ? -v->seconds : v->seconds;
        v->pos.start = sign->start;
        return check_range(p, v, sign->start);
    }
    if (!negative) {
        return true;
    }
    return set_tree(v, make(p, PQ_DUR_NEG, v->expr, NULL, (struct pq_pos){sign->start, v->expr->pos.end}));
}

/* "(...)", the opening parenthesis comes next. */
static bool parse_paren(struct pq_parser *p, struct value *out)
{
    uint32_t start = pq__take(p).start;

    return parse_value(p, out, 0) && pq__expect(p, TOK_RPAREN) && wrap(p, out, start);
}

static bool parse_operand(struct pq_parser *p, struct value *out)
{
    struct pq_token sign;

    switch (pq__peek(p)->kind) {
    case TOK_NUMBER:
    case TOK_DURATION:
        return parse_literal(p, out) && check_range(p, out, out->pos.start);
    case TOK_STEP:
    case TOK_RANGE:
    case TOK_MIN_OF:
    case TOK_MAX_OF:
        return parse_word(p, out);
    case TOK_LPAREN:
        return parse_paren(p, out);
    case TOK_ADD:
    case TOK_SUB:
        sign = pq__take(p);
        return parse_value(p, out, PREC_MUL + 1) && apply_sign(p, out, &sign);
    default:
        return pq__unexpected(p) != NULL;
    }
}

static int precedence_of(enum pq_tok k)
{
    switch (k) {
    case TOK_ADD:
    case TOK_SUB:
        return PREC_ADD;
    case TOK_MUL:
    case TOK_DIV:
    case TOK_MOD:
        return PREC_MUL;
    case TOK_POW:
        return PREC_POW;
    default:
        return 0;
    }
}

static bool combine(struct pq_parser *p, struct value *lhs, const struct pq_token *op, const struct value *rhs)
{
    static const int kinds[] = {[TOK_ADD] = PQ_DUR_ADD, [TOK_SUB] = PQ_DUR_SUB, [TOK_MUL] = PQ_DUR_MUL,
                                [TOK_DIV] = PQ_DUR_DIV, [TOK_MOD] = PQ_DUR_MOD, [TOK_POW] = PQ_DUR_POW};
    struct pq_dur *l, *r;

    if ((op->kind == TOK_DIV || op->kind == TOK_MOD) && rhs->literal && rhs->seconds == 0) {
        return pq__fail(p, op->start, op->kind == TOK_DIV ? "division by zero" : "modulo by zero") != NULL;
    }
    l = tree_of(p, lhs);
    r = tree_of(p, rhs);
    if (l == NULL || r == NULL) {
        return false;
    }
    return set_tree(lhs, make(p, kinds[op->kind], l, r, (struct pq_pos){l->pos.start, r->pos.end}));
}

/* Operators behind a value that has been read. */
static bool parse_operators(struct pq_parser *p, struct value *out, int precedence_min)
{
    uint32_t chain = 0;

    for (;;) {
        int precedence = precedence_of(pq__peek(p)->kind);
        struct pq_token op;
        struct value rhs;
        if (precedence == 0 || precedence < precedence_min) {
            return pq__peek(p)->kind != TOK_ERROR;
        }
        op = pq__take(p);
        if (++chain > PROMQL_DEPTH_MAX) { /* the tree grows to the left by one level an operator */
            return pq__fail(p, op.start, "duration expression has more than %d operators in a row", PROMQL_DEPTH_MAX) !=
                   NULL;
        }
        if (!parse_value(p, &rhs, op.kind == TOK_POW ? precedence : precedence + 1) || !combine(p, out, &op, &rhs)) {
            return false;
        }
    }
}

static bool parse_value(struct pq_parser *p, struct value *out, int precedence_min)
{
    bool ok;

    if (!pq__enter(p)) {
        return false;
    }
    ok = parse_operand(p, out) && parse_operators(p, out, precedence_min);
    pq__leave(p);
    return ok;
}

bool pq__dur_range(struct pq_parser *p, double *seconds, struct pq_dur **expr)
{
    struct value v;

    if (!parse_value(p, &v, 0)) {
        return false;
    }
    if (v.literal && v.seconds <= 0) {
        return pq__fail(p, v.pos.start, "duration must be greater than 0") != NULL;
    }
    *seconds = v.seconds;
    *expr = v.expr;
    return true;
}

/* COMPAT: what follows offset ends after one literal, call or signed parenthesis, so that `foo offset 5m ^ 2` squares
 * foo; but an unsigned parenthesis or a second sign begins an expression that takes all arithmetic behind it. */
bool pq__dur_offset(struct pq_parser *p, double *seconds, struct pq_dur **expr)
{
    struct pq_token sign = *pq__peek(p);
    bool is_signed = sign.kind == TOK_ADD || sign.kind == TOK_SUB;
    struct value v;
    bool ok;

    if (is_signed) {
        (void)pq__take(p);
    }
    switch (pq__peek(p)->kind) {
    case TOK_NUMBER:
    case TOK_DURATION:
        ok = parse_literal(p, &v) && (is_signed ? apply_sign(p, &v, &sign) : check_range(p, &v, v.pos.start));
        break;
    case TOK_STEP:
    case TOK_RANGE:
    case TOK_MIN_OF:
    case TOK_MAX_OF:
        ok = parse_word(p, &v);
        if (ok && is_signed) { /* here the plus sign stays in the tree */
            ok = set_tree(&v, make(p, sign.kind == TOK_SUB ? PQ_DUR_NEG : PQ_DUR_POS, v.expr, NULL,
                                   (struct pq_pos){sign.start, v.expr->pos.end}));
        }
        break;
    case TOK_LPAREN:
        ok = parse_paren(p, &v) && (is_signed ? apply_sign(p, &v, &sign) : parse_operators(p, &v, 0));
        break;
    default:
        ok = is_signed ? parse_value(p, &v, PREC_MUL + 1) && apply_sign(p, &v, &sign) && parse_operators(p, &v, 0)
                       : pq__unexpected(p) != NULL;
        break;
    }
    if (!ok) {
        return false;
    }
    *seconds = v.seconds;
    *expr = v.expr;
    return true;
}
