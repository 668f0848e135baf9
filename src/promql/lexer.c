/* Which token stands next: words, operators, brackets, and what is known of where we are. */
#include "promql/lex_scan.h"

struct keyword {
    const char *word;
    enum pq_tok kind;
};

static const struct keyword keywords[] = {
    {"and", TOK_AND},
    {"anchored", TOK_ANCHORED},
    {"atan2", TOK_ATAN2},
    {"avg", TOK_AVG},
    {"bool", TOK_BOOL},
    {"bottomk", TOK_BOTTOMK},
    {"by", TOK_BY},
    {"count", TOK_COUNT},
    {"count_values", TOK_COUNT_VALUES},
    {"end", TOK_END},
    {"fill", TOK_FILL},
    {"fill_left", TOK_FILL_LEFT},
    {"fill_right", TOK_FILL_RIGHT},
    {"group", TOK_GROUP},
    {"group_left", TOK_GROUP_LEFT},
    {"group_right", TOK_GROUP_RIGHT},
    {"ignoring", TOK_IGNORING},
    {"inf", TOK_NUMBER},
    {"limit_ratio", TOK_LIMIT_RATIO},
    {"limitk", TOK_LIMITK},
    {"max", TOK_MAX},
    {"max_of", TOK_MAX_OF},
    {"min", TOK_MIN},
    {"min_of", TOK_MIN_OF},
    {"nan", TOK_NUMBER},
    {"offset", TOK_OFFSET},
    {"on", TOK_ON},
    {"or", TOK_OR},
    {"quantile", TOK_QUANTILE},
    {"range", TOK_RANGE},
    {"smoothed", TOK_SMOOTHED},
    {"start", TOK_START},
    {"stddev", TOK_STDDEV},
    {"stdvar", TOK_STDVAR},
    {"step", TOK_STEP},
    {"sum", TOK_SUM},
    {"topk", TOK_TOPK},
    {"unless", TOK_UNLESS},
    {"without", TOK_WITHOUT},
};

static bool is_space(int32_t r)
{
    return r == ' ' || r == '\t' || r == '\n' || r == '\r';
}

/* ---- words ---- */

static enum pq_tok word_kind(pl_str word)
{
    for (size_t i = 0; i < PL_ARRAY_LEN(keywords); i++) {
        if (pl_str_eq_nocase(word, pl_str_c(keywords[i].word))) {
            return keywords[i].kind;
        }
    }
    return pl_str_find(word, ':') == SIZE_MAX ? TOK_IDENT : TOK_METRIC_IDENT;
}

/* The fill words were metric names before they meant something: they do so only right before a parenthesis. */
static bool paren_follows(const struct pq_lexer *l)
{
    size_t at = l->pos;

    while (at < l->in.n && is_space((unsigned char)l->in.p[at])) {
        at++;
    }
    return at < l->in.n && l->in.p[at] == '(';
}

static void lex_word(struct pq_lexer *l, struct pq_token *out)
{
    enum pq_tok kind;

    while (l->pos < l->in.n && (pq__is_alnum((unsigned char)l->in.p[l->pos]) || l->in.p[l->pos] == ':')) {
        l->pos++;
    }
    kind = word_kind(pl_str_sub(l->in, l->start, l->pos));
    if ((kind == TOK_FILL || kind == TOK_FILL_LEFT || kind == TOK_FILL_RIGHT) && !paren_follows(l)) {
        kind = TOK_IDENT;
    }
    pq__lex_emit(l, out, kind);
}

static bool starts_duration_word(int32_t r)
{
    return r == 's' || r == 'S' || r == 'r' || r == 'R' || r == 'm' || r == 'M';
}

/* step, range, max_of, min_of inside brackets; the first letter has been read. */
static bool scan_duration_word(struct pq_lexer *l, struct pq_token *out)
{
    enum pq_tok kind;

    while (l->pos < l->in.n && pq__is_alpha((unsigned char)l->in.p[l->pos])) {
        l->pos++;
    }
    kind = word_kind(pl_str_sub(l->in, l->start, l->pos));
    if (kind != TOK_STEP && kind != TOK_RANGE && kind != TOK_MAX_OF && kind != TOK_MIN_OF) {
        return false;
    }
    pq__lex_emit(l, out, kind);
    return true;
}

/* ---- states ---- */

static enum pq_tok single_kind(int32_t r)
{
    switch (r) {
    case ',':
        return TOK_COMMA;
    case '*':
        return TOK_MUL;
    case '/':
        return TOK_DIV;
    case '%':
        return TOK_MOD;
    case '+':
        return TOK_ADD;
    case '-':
        return TOK_SUB;
    case '^':
        return TOK_POW;
    default:
        return TOK_ERROR;
    }
}

/* Parentheses mean the same in and outside brackets. COMPAT: the error stands behind the one too many. */
static void lex_paren(struct pq_lexer *l, struct pq_token *out, int32_t r)
{
    pq__lex_emit(l, out, r == '(' ? TOK_LPAREN : TOK_RPAREN);
    l->paren_depth += r == '(' ? 1 : -1;
    if (l->paren_depth < 0) {
        pq__lex_fail_rune(l, "unexpected right parenthesis ", r);
    }
}

static void lex_comparison(struct pq_lexer *l, struct pq_token *out, int32_t r)
{
    if (r == '=') {
        if (pq__lex_accept(l, "=")) {
            pq__lex_emit(l, out, TOK_EQLC);
        } else if (pq__lex_at_any(l, "~")) {
            pq__lex_fail_rune(l, "unexpected character after '=': ", '~');
        } else {
            pq__lex_emit(l, out, TOK_EQL);
        }
    } else if (r == '!') {
        int32_t after = pq__lex_next(l);
        if (after == '=') {
            pq__lex_emit(l, out, TOK_NEQ);
        } else {
            pq__lex_fail_rune(l, "unexpected character after '!': ", after);
        }
    } else if (pq__lex_accept(l, "=")) {
        pq__lex_emit(l, out, r == '<' ? TOK_LTE : TOK_GTE);
    } else if (pq__lex_accept(l, "/")) {
        pq__lex_emit(l, out, r == '<' ? TOK_TRIM_UPPER : TOK_TRIM_LOWER);
    } else {
        pq__lex_emit(l, out, r == '<' ? TOK_LSS : TOK_GTR);
    }
}

/* A letter or colon while a bracket is open, behind a number. */
static void lex_bracket_word(struct pq_lexer *l, struct pq_token *out, int32_t r)
{
    if (r == ':' && l->got_colon) {
        pq__lex_fail_rune(l, "unexpected colon ", r);
    } else if (r == ':') {
        pq__lex_emit(l, out, TOK_COLON);
        l->got_colon = true;
    } else if (!starts_duration_word(r) || !scan_duration_word(l, out)) {
        pq__lex_fail_rune(l, "unexpected character: ", r);
        PL_BUF_LIT(&l->error, ", expected ':'");
    }
}

static void lex_bracket(struct pq_lexer *l, struct pq_token *out, int32_t r)
{
    if (r == '[' && l->bracket_open) {
        pq__lex_fail_rune(l, "unexpected left bracket ", r);
    } else if (r == '[') {
        pq__lex_emit(l, out, TOK_LBRACKET);
        l->got_colon = false;
        l->bracket_open = true;
        l->state = LEX_DURATION;
    } else if (!l->bracket_open) {
        pq__lex_fail_rune(l, "unexpected right bracket ", r);
    } else {
        pq__lex_emit(l, out, TOK_RBRACKET);
        l->bracket_open = false;
    }
}

static void lex_statements(struct pq_lexer *l, struct pq_token *out)
{
    int32_t r = pq__lex_next(l);

    if (r == LEX_END_OF_TEXT) {
        if (l->paren_depth != 0) {
            pq__lex_fail(l, "unclosed left parenthesis");
        } else if (l->bracket_open) {
            pq__lex_fail(l, "unclosed left bracket");
        } else {
            pq__lex_emit(l, out, TOK_EOF);
        }
    } else if (single_kind(r) != TOK_ERROR) {
        pq__lex_emit(l, out, single_kind(r));
    } else if (r == '=' || r == '!' || r == '<' || r == '>') {
        lex_comparison(l, out, r);
    } else if (pq__is_digit(r) || (r == '.' && pq__is_digit(pq__lex_peek(l)))) {
        l->pos--;
        pq__lex_number_or_duration(l, out);
    } else if (r == '"' || r == '\'' || r == '`') {
        pq__lex_string(l, out, r);
    } else if (pq__is_alpha(r) || r == ':') {
        if (l->bracket_open) {
            lex_bracket_word(l, out, r);
        } else {
            lex_word(l, out);
        }
    } else if (r == '(' || r == ')') {
        lex_paren(l, out, r);
    } else if (r == '{') {
        pq__lex_emit(l, out, TOK_LBRACE);
        l->state = LEX_BRACES;
    } else if (r == '[' || r == ']') {
        lex_bracket(l, out, r);
    } else if (r == '@') {
        pq__lex_emit(l, out, TOK_AT);
    } else {
        pq__lex_fail_rune(l, "unexpected character: ", r);
    }
}

/* Right behind "[", until the first number or the closing bracket. */
static void lex_duration(struct pq_lexer *l, struct pq_token *out)
{
    int32_t r = pq__lex_next(l);

    if (r == LEX_END_OF_TEXT) {
        pq__lex_fail(l, "unexpected end of input in duration expression");
    } else if (r == ']') {
        pq__lex_emit(l, out, TOK_RBRACKET);
        l->bracket_open = false;
        l->got_colon = false;
        l->state = LEX_STATEMENTS;
    } else if (r == ':') {
        pq__lex_emit(l, out, TOK_COLON);
        if (!l->got_duration) {
            pq__lex_fail(l, "unexpected colon before duration in duration expression");
        } else if (l->got_colon) {
            pq__lex_fail(l, "unexpected repeated colon in duration expression");
        }
        l->got_colon = true;
    } else if (r == '(' || r == ')') {
        lex_paren(l, out, r);
    } else if (single_kind(r) != TOK_ERROR) {
        pq__lex_emit(l, out, single_kind(r));
    } else if (pq__is_digit(r) || (r == '.' && pq__is_digit(pq__lex_peek(l)))) {
        l->pos--;
        l->got_duration = true;
        pq__lex_number_or_duration(l, out);
    } else if (!starts_duration_word(r) || !scan_duration_word(l, out)) {
        pq__lex_fail_rune(l, "unexpected character in duration expression: ", r);
    }
}

static void lex_braces(struct pq_lexer *l, struct pq_token *out)
{
    int32_t r = pq__lex_next(l);

    if (r == LEX_END_OF_TEXT) {
        pq__lex_fail(l, "unexpected end of input inside braces");
    } else if (pq__is_alpha(r)) {
        while (l->pos < l->in.n && pq__is_alnum((unsigned char)l->in.p[l->pos])) {
            l->pos++;
        }
        pq__lex_emit(l, out, TOK_IDENT);
    } else if (r == ',') {
        pq__lex_emit(l, out, TOK_COMMA);
    } else if (r == '"' || r == '\'' || r == '`') {
        pq__lex_string(l, out, r);
    } else if (r == '=') {
        pq__lex_emit(l, out, pq__lex_accept(l, "~") ? TOK_EQL_REGEX : TOK_EQL);
    } else if (r == '!') {
        int32_t after = pq__lex_next(l);
        if (after == '~' || after == '=') {
            pq__lex_emit(l, out, after == '~' ? TOK_NEQ_REGEX : TOK_NEQ);
        } else {
            pq__lex_fail_rune(l, "unexpected character after '!' inside braces: ", after);
        }
    } else if (r == '{') {
        pq__lex_fail_rune(l, "unexpected left brace ", r);
    } else if (r == '}') {
        pq__lex_emit(l, out, TOK_RBRACE);
        l->state = LEX_STATEMENTS;
    } else {
        pq__lex_fail_rune(l, "unexpected character inside braces: ", r);
    }
}

/* Blanks anywhere, comments where they are known: right behind "[" a # is an error. */
static void skip_blanks(struct pq_lexer *l)
{
    while (l->pos < l->in.n) {
        char c = l->in.p[l->pos];
        if (is_space((unsigned char)c)) {
            l->pos++;
        } else if (c == '#' && l->state != LEX_DURATION) {
            while (l->pos < l->in.n && l->in.p[l->pos] != '\n' && l->in.p[l->pos] != '\r') {
                l->pos++;
            }
        } else {
            break;
        }
    }
    l->start = l->pos;
}

void pq_lexer_init(struct pq_lexer *l, pl_str in)
{
    *l = (struct pq_lexer){.in = in};
    pl_buf_init(&l->error, 0);
}

void pq_lexer_fini(struct pq_lexer *l)
{
    pl_buf_fini(&l->error);
}

void pq_lexer_next(struct pq_lexer *l, struct pq_token *out)
{
    if (!l->failed) {
        skip_blanks(l);
        switch (l->state) {
        case LEX_STATEMENTS:
            lex_statements(l, out);
            break;
        case LEX_DURATION:
            lex_duration(l, out);
            break;
        case LEX_BRACES:
            lex_braces(l, out);
            break;
        }
    }
    if (l->failed) {
        out->kind = TOK_ERROR;
        out->start = (uint32_t)l->start;
        out->text = PL_STR("");
    }
}
