/* Selectors, label lists and what may stand behind an expression. */
#include "promql/parser.h"

#include "model/labels.h"

#include <math.h>

bool pq__unquote(struct pq_parser *p, const struct pq_token *t, pl_str *out)
{
    char *text = pq__alloc(p, t->text.n + 1);

    if (text == NULL) {
        return false;
    }
    *out = pq_token_unquote(text, t);
    return true;
}

/* ---- label matchers ---- */

struct matcher_list {
    struct matcher *v;
    uint32_t count, cap;
};

static struct matcher *matchers_next(struct pq_parser *p, struct matcher_list *l)
{
    if (l->count == l->cap) {
        uint32_t cap = l->cap == 0 ? 4 : l->cap * 2;
        struct matcher *v = pq__alloc(p, cap * sizeof(*v));
        if (v == NULL) {
            return NULL;
        }
        if (l->count > 0) {
            memcpy(v, l->v, l->count * sizeof(*v));
        }
        l->v = v;
        l->cap = cap;
    }
    return &l->v[l->count++];
}

static bool add_matcher(struct pq_parser *p, struct matcher_list *l, enum matcher_type type, pl_str name, pl_str value,
                        uint32_t at)
{
    struct matcher *m = matchers_next(p, l);
    struct pl_err err;
    pl_status st;

    if (m == NULL) {
        return false;
    }
    st = matcher_make(m, p->arena, type, name, value, &err);
    if (st == PL_INVALID) {
        return pq__fail(p, at, "%s", err.msg) != NULL;
    }
    if (st != PL_OK && !p->failed) {
        p->failed = true;
        p->status = pl_fail(p->err, st, "%s", err.msg);
    }
    return st == PL_OK;
}

static bool match_type_of(enum pq_tok k, enum matcher_type *out)
{
    switch (k) {
    case TOK_EQL:
        *out = MATCH_EQ;
        return true;
    case TOK_NEQ:
        *out = MATCH_NEQ;
        return true;
    case TOK_EQL_REGEX:
        *out = MATCH_RE;
        return true;
    case TOK_NEQ_REGEX:
        *out = MATCH_NRE;
        return true;
    default:
        return false;
    }
}

/* name="value", "quoted name"="value", or a quoted metric name alone. */
static bool parse_matcher(struct pq_parser *p, struct matcher_list *l)
{
    struct pq_token label = *pq__peek(p);
    struct pq_token value;
    enum matcher_type type;
    pl_str name = label.text;
    pl_str text;

    if (label.kind != TOK_IDENT && label.kind != TOK_STRING) {
        return pq__unexpected_in(p, "label matching", "identifier or \"}\"") != NULL;
    }
    (void)pq__take(p);
    if (label.kind == TOK_STRING && !pq__unquote(p, &label, &name)) {
        return false;
    }
    if (!match_type_of(pq__peek(p)->kind, &type)) {
        if (label.kind == TOK_IDENT) {
            return pq__unexpected_in(p, "label matching", "label matching operator") != NULL;
        }
        return pq__peek(p)->kind != TOK_ERROR && add_matcher(p, l, MATCH_EQ, LABEL_METRIC_NAME, name, label.start);
    }
    (void)pq__take(p);
    if (pq__peek(p)->kind != TOK_STRING) {
        return pq__unexpected_in(p, "label matching", "string") != NULL;
    }
    value = pq__take(p);
    return pq__unquote(p, &value, &text) && add_matcher(p, l, type, name, text, label.start);
}

/* "{...}", both braces included. */
static bool parse_matchers(struct pq_parser *p, struct matcher_list *l)
{
    if (!pq__expect(p, TOK_LBRACE)) {
        return false;
    }
    while (pq__peek(p)->kind != TOK_RBRACE) {
        if (!parse_matcher(p, l)) {
            return false;
        }
        if (pq__peek(p)->kind == TOK_COMMA) {
            (void)pq__take(p);
        } else if (pq__peek(p)->kind != TOK_RBRACE) {
            return pq__unexpected_in(p, "label matching", "\",\" or \"}\"") != NULL;
        }
    }
    (void)pq__take(p);
    return true;
}

/* `name` is the metric's name, already taken; NULL: "{" comes next. */
struct pq_node *pq__selector(struct pq_parser *p, const struct pq_token *name)
{
    struct matcher_list l = {0};
    struct pq_node *n;
    uint32_t start = name != NULL ? name->start : pq__peek(p)->start;

    if (pq__peek(p)->kind == TOK_LBRACE || name == NULL) {
        if (!parse_matchers(p, &l)) {
            return NULL;
        }
    } else if (pq__peek(p)->kind == TOK_ERROR) {
        return NULL;
    }
    /* Prometheus puts the name's matcher last; absent() depends on the order. */
    if (name != NULL && !add_matcher(p, &l, MATCH_EQ, LABEL_METRIC_NAME, name->text, start)) {
        return NULL;
    }
    n = pq__node(p, PQ_SELECTOR, (struct pq_pos){start, p->taken.start + (uint32_t)p->taken.text.n}, NULL, NULL);
    if (n != NULL) {
        n->type = PQ_VECTOR;
        n->selector.name = name != NULL ? name->text : PL_STR("");
        n->selector.matchers = l.v;
        n->selector.matcher_count = l.count;
    }
    return n;
}

/* ---- grouping ---- */

/* Words that the lexer knows but that may be labels here. */
static bool may_be_label(enum pq_tok k)
{
    switch (k) {
    case TOK_IDENT:
    case TOK_METRIC_IDENT:
    case TOK_AND:
    case TOK_OR:
    case TOK_UNLESS:
    case TOK_ATAN2:
        return true;
    case TOK_WITHOUT:
        return false; /* COMPAT: `by` may be a label, this may not */
    default:
        return pq_tok_is_aggregator(k) || pq_tok_is_keyword(k) || k >= TOK_START;
    }
}

struct text_list {
    pl_str *v;
    uint32_t count, cap;
};

static bool texts_add(struct pq_parser *p, struct text_list *l, pl_str s)
{
    if (l->count == l->cap) {
        uint32_t cap = l->cap == 0 ? 4 : l->cap * 2;
        pl_str *v = pq__alloc(p, cap * sizeof(*v));
        if (v == NULL) {
            return false;
        }
        if (l->count > 0) {
            memcpy(v, l->v, l->count * sizeof(*v));
        }
        l->v = v;
        l->cap = cap;
    }
    l->v[l->count++] = s;
    return true;
}

static bool parse_grouping_label(struct pq_parser *p, struct text_list *l)
{
    struct pq_token t = *pq__peek(p);
    pl_str name = t.text;

    if (t.kind != TOK_STRING && !may_be_label(t.kind)) {
        return pq__unexpected_in(p, "grouping opts", "label") != NULL;
    }
    (void)pq__take(p);
    if (t.kind == TOK_STRING) {
        if (!pq__unquote(p, &t, &name)) {
            return false;
        }
        if (name.n == 0 || !pl_str_is_utf8(name)) {
            return pq__fail_quoted(p, t.start, "invalid label name for grouping: ", name, "") != NULL;
        }
    }
    return texts_add(p, l, name);
}

bool pq__grouping(struct pq_parser *p, const pl_str **labels, uint32_t *count)
{
    struct text_list l = {0};

    if (pq__peek(p)->kind != TOK_LPAREN) {
        return pq__unexpected_in(p, "grouping opts", "\"(\"") != NULL;
    }
    (void)pq__take(p);
    while (pq__peek(p)->kind != TOK_RPAREN) {
        if (!parse_grouping_label(p, &l)) {
            return false;
        }
        if (pq__peek(p)->kind == TOK_COMMA) {
            (void)pq__take(p);
        } else if (pq__peek(p)->kind != TOK_RPAREN) {
            return pq__unexpected_in(p, "grouping opts", "\",\" or \")\"") != NULL;
        }
    }
    (void)pq__take(p);
    *labels = l.v;
    *count = l.count;
    return true;
}

/* ---- postfix ---- */

/* The modifiers of a selector, of the selector inside a range, or of a subquery; NULL for anything else. */
static struct pq_time *time_of(struct pq_node *n)
{
    switch (n->kind) {
    case PQ_SELECTOR:
        return &n->selector.time;
    case PQ_MATRIX_SELECTOR:
        return &n->matrix.selector->selector.time;
    case PQ_SUBQUERY:
        return &n->subquery.time;
    default:
        return NULL;
    }
}

/* Go's time.Duration(math.Round(seconds * 1e9)). */
static int64_t to_ns(double seconds)
{
    return pl_f64_to_i64(round(seconds * 1e9));
}

static int64_t to_ms(double seconds)
{
    return to_ns(seconds) / 1000000;
}

static uint32_t end_of_taken(const struct pq_parser *p)
{
    return p->taken.start + (uint32_t)p->taken.text.n;
}

static bool parse_offset(struct pq_parser *p, struct pq_node *n)
{
    struct pq_context outer = p->context;
    struct pq_time *t = time_of(n);
    struct pq_dur *expr = NULL;
    double seconds = 0;

    (void)pq__take(p);
    p->context = (struct pq_context){"offset", "number, duration, step(), or range()"};
    if (!pq__dur_offset(p, &seconds, &expr)) {
        return false;
    }
    p->context = outer;
    if (t == NULL) {
        return pq__fail(p, n->pos.start,
                        "offset modifier must be preceded by an instant vector selector or range vector selector or a "
                        "subquery") != NULL;
    }
    if (t->has_offset) {
        return pq__fail(p, n->pos.start, "offset may not be set multiple times") != NULL;
    }
    /* COMPAT: an offset of zero counts as none, and another may follow. */
    t->has_offset = expr != NULL || to_ns(seconds) != 0;
    t->offset_expr = expr;
    t->offset_ms = expr == NULL ? to_ms(seconds) : 0;
    n->pos.end = end_of_taken(p);
    return true;
}

/* @ 12.5, @ -5m, @ start(), @ end() */
static bool parse_at_value(struct pq_parser *p, enum pq_at *at, double *seconds)
{
    enum pq_tok k = pq__peek(p)->kind;
    bool negative = false;

    if (k == TOK_START || k == TOK_END) {
        *at = pq__take(p).kind == TOK_START ? PQ_AT_START : PQ_AT_END;
        return pq__expect(p, TOK_LPAREN) && pq__expect(p, TOK_RPAREN);
    }
    if (k == TOK_ADD || k == TOK_SUB) {
        negative = pq__take(p).kind == TOK_SUB;
        k = pq__peek(p)->kind;
    }
    if (k != TOK_NUMBER && k != TOK_DURATION) {
        return pq__unexpected(p) != NULL;
    }
    (void)pq__take(p);
    *at = PQ_AT_TIME;
    if (!pq__number_or_duration(p, &p->taken, seconds)) {
        return false;
    }
    *seconds = negative ? -*seconds : *seconds;
    return true;
}

static bool parse_at(struct pq_parser *p, struct pq_node *n)
{
    struct pq_context outer = p->context;
    struct pq_time *t = time_of(n);
    enum pq_at at = PQ_AT_NONE;
    double seconds = 0;

    (void)pq__take(p);
    p->context = (struct pq_context){"@", "timestamp"};
    if (!parse_at_value(p, &at, &seconds)) {
        return false;
    }
    p->context = outer;
    if (at == PQ_AT_TIME && !(fabs(seconds) < 9223372036854775808.0)) {
        if (isnan(seconds) || isinf(seconds)) {
            return pq__fail(p, n->pos.start, "timestamp out of bounds for @ modifier: %s",
                            isnan(seconds)  ? "NaN"
                            : seconds > 0.0 ? "+Inf"
                                            : "-Inf") != NULL;
        }
        return pq__fail(p, n->pos.start, "timestamp out of bounds for @ modifier: %f", seconds) != NULL;
    }
    if (t == NULL) {
        return pq__fail(p, n->pos.start,
                        "@ modifier must be preceded by an instant vector selector or range vector selector or a "
                        "subquery") != NULL;
    }
    if (t->at != PQ_AT_NONE) {
        return pq__fail(p, n->pos.start, "@ <timestamp> may not be set multiple times") != NULL;
    }
    t->at = at;
    t->at_ms = pl_f64_to_i64(round(seconds * 1000));
    n->pos.end = end_of_taken(p);
    return true;
}

/* anchored or smoothed */
static bool parse_extended(struct pq_parser *p, struct pq_node *n)
{
    bool anchored = pq__take(p).kind == TOK_ANCHORED;
    const char *word = anchored ? "anchored" : "smoothed";
    struct pq_node *s = n->kind == PQ_MATRIX_SELECTOR ? n->matrix.selector : n;

    if (!p->options->extended_selectors) {
        return pq__fail(p, n->pos.start, "%s modifier is experimental and not enabled", word) != NULL;
    }
    if (n->kind == PQ_SUBQUERY) {
        return pq__fail(p, n->pos.start, "%s modifier is not supported for subqueries", word) != NULL;
    }
    if (s->kind != PQ_SELECTOR) {
        return pq__fail(p, n->pos.start, "%s modifier not implemented", word) != NULL;
    }
    *(anchored ? &s->selector.anchored : &s->selector.smoothed) = true;
    if (s->selector.anchored && s->selector.smoothed) {
        return pq__fail(p, n->pos.start, "anchored and smoothed modifiers cannot be used together") != NULL;
    }
    return true;
}

static struct pq_node *make_matrix(struct pq_parser *p, struct pq_node *n, uint32_t bracket, double seconds,
                                   struct pq_dur *expr)
{
    struct pq_node *m;

    if (n->kind != PQ_SELECTOR) {
        return pq__fail(p, bracket, "ranges only allowed for vector selectors");
    }
    if (n->selector.time.has_offset) {
        return pq__fail(p, bracket, "no offset modifiers allowed before range");
    }
    if (n->selector.time.at == PQ_AT_TIME) { /* COMPAT: 3.14.0 lets @ start() and @ end() pass */
        return pq__fail(p, bracket, "no @ modifiers allowed before range");
    }
    m = pq__node(p, PQ_MATRIX_SELECTOR, (struct pq_pos){n->pos.start, end_of_taken(p)}, n, NULL);
    if (m != NULL) {
        m->type = PQ_MATRIX;
        m->matrix.selector = n;
        m->matrix.range_expr = expr;
        m->matrix.range_ms = expr == NULL ? to_ms(seconds) : 0;
    }
    return m;
}

/* [5m], [5m:], [5m:1m]; the errors name the furthest part understood. */
static struct pq_node *parse_brackets(struct pq_parser *p, struct pq_node *n)
{
    struct pq_context outer = p->context;
    struct pq_token open = pq__take(p);
    double range = 0;
    double step = 0;
    struct pq_dur *range_expr = NULL;
    struct pq_dur *step_expr = NULL;
    struct pq_node *s;

    p->context = (struct pq_context){"subquery or range selector", "number, duration, step(), or range()"};
    if (!pq__dur_range(p, &range, &range_expr)) {
        return NULL;
    }
    if (pq__peek(p)->kind == TOK_RBRACKET) {
        (void)pq__take(p);
        p->context = outer;
        return make_matrix(p, n, open.start, range, range_expr);
    }
    if (pq__peek(p)->kind != TOK_COLON) {
        return pq__unexpected_in(p, "subquery or range", "\":\" or \"]\"");
    }
    (void)pq__take(p);
    if (pq__peek(p)->kind != TOK_RBRACKET) {
        p->context = (struct pq_context){"subquery selector", "number, duration, step(), range(), or \"]\""};
        if (!pq__dur_range(p, &step, &step_expr)) {
            return NULL;
        }
        p->context = (struct pq_context){"subquery selector", "\"]\""};
    }
    if (!pq__expect(p, TOK_RBRACKET)) {
        return NULL;
    }
    p->context = outer;
    s = pq__node(p, PQ_SUBQUERY, (struct pq_pos){n->pos.start, end_of_taken(p)}, n, NULL);
    if (s != NULL) {
        s->type = PQ_MATRIX;
        s->subquery.expr = n;
        s->subquery.range_expr = range_expr;
        s->subquery.range_ms = range_expr == NULL ? to_ms(range) : 0;
        s->subquery.step_expr = step_expr;
        s->subquery.step_ms = step_expr == NULL ? to_ms(step) : 0;
    }
    return s;
}

struct pq_node *pq__postfix(struct pq_parser *p, struct pq_node *n)
{
    while (n != NULL) {
        bool ok = true;
        switch (pq__peek(p)->kind) {
        case TOK_LBRACKET:
            n = parse_brackets(p, n);
            break;
        case TOK_OFFSET:
            ok = parse_offset(p, n);
            break;
        case TOK_AT:
            ok = parse_at(p, n);
            break;
        case TOK_ANCHORED:
        case TOK_SMOOTHED:
            ok = parse_extended(p, n);
            break;
        case TOK_ERROR:
            return NULL;
        default:
            return n;
        }
        if (!ok) {
            return NULL;
        }
    }
    return NULL;
}
