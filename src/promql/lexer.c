#include "promql/lexer.h"

#include "model/labels.h"

/* What read_rune gives at the end of the text. */
#define END_OF_TEXT (-1)
#define RUNE_ERROR  0xfffd /* also what a byte that is not UTF-8 reads as */

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

static bool is_digit(int32_t r)
{
    return r >= '0' && r <= '9';
}

static bool is_alpha(int32_t r)
{
    return r == '_' || (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z');
}

static bool is_alnum(int32_t r)
{
    return is_alpha(r) || is_digit(r);
}

static bool is_space(int32_t r)
{
    return r == ' ' || r == '\t' || r == '\n' || r == '\r';
}

/* ---- reading ---- */

/* Decodes the rune at `at`; *len is 0 at the end. A byte that begins no UTF-8 character is one RUNE_ERROR. */
int32_t pq__rune_at(pl_str s, size_t at, size_t *len)
{
    const unsigned char *p = (const unsigned char *)s.p + at;
    size_t n;

    if (at >= s.n) {
        *len = 0;
        return END_OF_TEXT;
    }
    *len = 1;
    if (p[0] < 0x80) {
        return p[0];
    }
    n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (s.n - at < n || !pl_str_is_utf8(pl_str_sub(s, at, at + n))) {
        return RUNE_ERROR;
    }
    *len = n;
    if (n == 2) {
        return (p[0] & 0x1f) << 6 | (p[1] & 0x3f);
    }
    if (n == 3) {
        return (p[0] & 0x0f) << 12 | (p[1] & 0x3f) << 6 | (p[2] & 0x3f);
    }
    return (p[0] & 0x07) << 18 | (p[1] & 0x3f) << 12 | (p[2] & 0x3f) << 6 | (p[3] & 0x3f);
}

static int32_t peek(const struct pq_lexer *l)
{
    size_t len;

    return pq__rune_at(l->in, l->pos, &len);
}

static int32_t next(struct pq_lexer *l)
{
    size_t len;
    int32_t r = pq__rune_at(l->in, l->pos, &len);

    l->pos += len;
    return r;
}

/* Is the next rune one of these ASCII characters? */
static bool at_any(const struct pq_lexer *l, const char *set)
{
    return l->pos < l->in.n && l->in.p[l->pos] != '\0' && strchr(set, l->in.p[l->pos]) != NULL;
}

static bool accept(struct pq_lexer *l, const char *set)
{
    if (at_any(l, set)) {
        l->pos++;
        return true;
    }
    return false;
}

static void accept_run(struct pq_lexer *l, const char *set)
{
    while (accept(l, set)) {
    }
}

/* ---- tokens and errors ---- */

static void emit(struct pq_lexer *l, struct pq_token *out, enum pq_tok kind)
{
    out->kind = kind;
    out->start = (uint32_t)l->start;
    out->text = pl_str_sub(l->in, l->start, l->pos);
    l->start = l->pos;
}

/* Appends a rune as Go's %q of a rune does: 'x'. */
static void add_quoted_rune(struct pl_buf *b, int32_t r)
{
    char utf8[4];
    size_t n = 0;
    struct pl_buf quoted;

    if (r == '\'') {
        PL_BUF_LIT(b, "'\\''");
        return;
    }
    if (r == '"') {
        PL_BUF_LIT(b, "'\"'");
        return;
    }
    if (r < 0) {
        r = RUNE_ERROR;
    }
    if (r < 0x80) {
        utf8[n++] = (char)r;
    } else if (r < 0x800) {
        utf8[n++] = (char)(0xc0 | r >> 6);
    } else if (r < 0x10000) {
        utf8[n++] = (char)(0xe0 | r >> 12);
        utf8[n++] = (char)(0x80 | (r >> 6 & 0x3f));
    } else {
        utf8[n++] = (char)(0xf0 | r >> 18);
        utf8[n++] = (char)(0x80 | (r >> 12 & 0x3f));
        utf8[n++] = (char)(0x80 | (r >> 6 & 0x3f));
    }
    if (r >= 0x80) {
        utf8[n++] = (char)(0x80 | (r & 0x3f));
    }
    pl_buf_init(&quoted, 0);
    pl_buf_quoted(&quoted, pl_str_of(utf8, n));
    pl_buf_byte(b, '\'');
    pl_buf_add(b, quoted.p + 1, quoted.n - 2);
    pl_buf_byte(b, '\'');
    pl_buf_fini(&quoted);
}

static void fail(struct pq_lexer *l, const char *what)
{
    pl_buf_reset(&l->error);
    pl_buf_cstr(&l->error, what);
    l->failed = true;
}

static void fail_rune(struct pq_lexer *l, const char *what, int32_t r)
{
    fail(l, what);
    add_quoted_rune(&l->error, r);
}

/* Go's %#U: U+0063 'c', without the character where it does not print. */
static void fail_unicode(struct pq_lexer *l, const char *what, int32_t r, const char *after)
{
    size_t before;

    fail(l, what);
    pl_buf_printf(&l->error, "U+%04X", (unsigned)r);
    before = l->error.n;
    pl_buf_byte(&l->error, ' ');
    if (r == '\'' || r == '\\') {
        pl_buf_printf(&l->error, "'%c'", (char)r);
    } else {
        add_quoted_rune(&l->error, r);
        if (memchr(l->error.p + before, '\\', l->error.n - before) != NULL) {
            l->error.n = before;
        }
    }
    pl_buf_cstr(&l->error, after);
}

/* ---- numbers and durations ---- */

/* COMPAT: takes what Prometheus's scanner takes, from the same places, because errors quote the text up to where it
 * stopped. The text need not be a number yet: the parser reads it. */
static bool scan_number(struct pq_lexer *l)
{
    size_t begin = l->pos;
    const char *digits = "0123456789";
    bool hex = false;
    bool dot_seen = false;
    bool exponent_seen = false;

    if (accept(l, "0") && accept(l, "xX")) {
        (void)accept(l, "_");
        digits = "0123456789abcdefABCDEF";
        hex = true;
    }
    (void)accept(l, ".");
    (void)accept(l, digits);
    while (at_any(l, digits) || at_any(l, "._eE")) {
        if (at_any(l, ".")) {
            l->pos++;
            if (dot_seen) {
                return false;
            }
            dot_seen = true;
            if (accept(l, "_.") || hex) {
                return false;
            }
        } else if (at_any(l, "eE")) {
            l->pos++;
            if (exponent_seen) {
                return false;
            }
            exponent_seen = true;
            (void)accept(l, "+-");
            if (accept(l, "._eE") || l->pos >= l->in.n) {
                return false;
            }
        } else if (accept(l, "_")) {
            if (accept(l, "._eE") || l->pos >= l->in.n) {
                return false;
            }
        } else {
            accept_run(l, digits);
        }
    }
    return l->pos != begin && !is_alnum(peek(l));
}

/* The rest of a duration behind its first digits. On failure the rune that disturbed is part of the text read. */
static bool scan_duration_rest(struct pq_lexer *l)
{
    if (!accept(l, "smhdwy")) {
        return false;
    }
    (void)accept(l, "s"); /* ms; hs and the like are refused by the parser */
    while (accept(l, "0123456789")) {
        accept_run(l, "0123456789");
        if (!accept(l, "smhdw")) {
            return false;
        }
        (void)accept(l, "s");
    }
    if (is_alnum(peek(l))) {
        (void)next(l);
        return false;
    }
    return true;
}

static void lex_number_or_duration(struct pq_lexer *l, struct pq_token *out)
{
    l->state = LEX_STATEMENTS;
    if (scan_number(l)) {
        emit(l, out, TOK_NUMBER);
    } else if (scan_duration_rest(l)) {
        emit(l, out, TOK_DURATION);
    } else {
        fail(l, "bad number or duration syntax: ");
        pl_buf_quoted(&l->error, pl_str_sub(l->in, l->start, l->pos));
    }
}

/* ---- strings ---- */

uint32_t pq__digit_value(int32_t r)
{
    if (is_digit(r)) {
        return (uint32_t)(r - '0');
    }
    if (r >= 'a' && r <= 'f') {
        return (uint32_t)(r - 'a' + 10);
    }
    if (r >= 'A' && r <= 'F') {
        return (uint32_t)(r - 'A' + 10);
    }
    return 16;
}

/* One escape sequence, the backslash has been read. */
static void scan_escape(struct pq_lexer *l, int32_t quote)
{
    int32_t r = next(l);
    uint32_t base = 16;
    uint32_t max = 0x10ffff;
    uint32_t value = 0;
    int count;

    switch (r) {
    case 'a':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
    case 'v':
    case '\\':
        return;
    case 'x':
        count = 2;
        max = 255;
        break;
    case 'u':
        count = 4;
        break;
    case 'U':
        count = 8;
        break;
    case END_OF_TEXT:
        fail(l, "escape sequence not terminated");
        return;
    default:
        if (r == quote) {
            return;
        }
        if (r < '0' || r > '7') {
            fail_unicode(l, "unknown escape sequence ", r, "");
            return;
        }
        count = 3;
        base = 8;
        max = 255;
        l->pos--; /* the digit is read again below */
        break;
    }
    for (; count > 0; count--) {
        uint32_t d;
        r = next(l);
        d = pq__digit_value(r);
        if (d >= base && r == END_OF_TEXT) {
            fail(l, "escape sequence not terminated");
            return;
        }
        if (d >= base) {
            fail_unicode(l, "illegal character ", r, " in escape sequence");
            return;
        }
        value = value * base + d;
    }
    if (value > max || (value >= 0xd800 && value < 0xe000)) {
        fail(l, "escape sequence is an invalid Unicode code point");
    }
}

/* COMPAT: U+FFFD written out in a string is refused like a broken byte, as Prometheus cannot tell them apart. */
static void lex_string(struct pq_lexer *l, struct pq_token *out, int32_t quote)
{
    bool raw = quote == '`';

    while (!l->failed) {
        int32_t r = next(l);
        if (r == quote) {
            emit(l, out, TOK_STRING);
            return;
        }
        if (r == RUNE_ERROR) {
            fail(l, "invalid UTF-8 rune");
        } else if (r == END_OF_TEXT || (r == '\n' && !raw)) {
            fail(l, raw ? "unterminated raw string" : "unterminated quoted string");
        } else if (r == '\\' && !raw) {
            scan_escape(l, quote);
        }
    }
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

    while (l->pos < l->in.n && (is_alnum((unsigned char)l->in.p[l->pos]) || l->in.p[l->pos] == ':')) {
        l->pos++;
    }
    kind = word_kind(pl_str_sub(l->in, l->start, l->pos));
    if ((kind == TOK_FILL || kind == TOK_FILL_LEFT || kind == TOK_FILL_RIGHT) && !paren_follows(l)) {
        kind = TOK_IDENT;
    }
    emit(l, out, kind);
}

static bool starts_duration_word(int32_t r)
{
    return r == 's' || r == 'S' || r == 'r' || r == 'R' || r == 'm' || r == 'M';
}

/* step, range, max_of, min_of inside brackets; the first letter has been read. */
static bool scan_duration_word(struct pq_lexer *l, struct pq_token *out)
{
    enum pq_tok kind;

    while (l->pos < l->in.n && is_alpha((unsigned char)l->in.p[l->pos])) {
        l->pos++;
    }
    kind = word_kind(pl_str_sub(l->in, l->start, l->pos));
    if (kind != TOK_STEP && kind != TOK_RANGE && kind != TOK_MAX_OF && kind != TOK_MIN_OF) {
        return false;
    }
    emit(l, out, kind);
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
    emit(l, out, r == '(' ? TOK_LPAREN : TOK_RPAREN);
    l->paren_depth += r == '(' ? 1 : -1;
    if (l->paren_depth < 0) {
        fail_rune(l, "unexpected right parenthesis ", r);
    }
}

static void lex_comparison(struct pq_lexer *l, struct pq_token *out, int32_t r)
{
    if (r == '=') {
        if (accept(l, "=")) {
            emit(l, out, TOK_EQLC);
        } else if (at_any(l, "~")) {
            fail_rune(l, "unexpected character after '=': ", '~');
        } else {
            emit(l, out, TOK_EQL);
        }
    } else if (r == '!') {
        int32_t after = next(l);
        if (after == '=') {
            emit(l, out, TOK_NEQ);
        } else {
            fail_rune(l, "unexpected character after '!': ", after);
        }
    } else if (accept(l, "=")) {
        emit(l, out, r == '<' ? TOK_LTE : TOK_GTE);
    } else if (accept(l, "/")) {
        emit(l, out, r == '<' ? TOK_TRIM_UPPER : TOK_TRIM_LOWER);
    } else {
        emit(l, out, r == '<' ? TOK_LSS : TOK_GTR);
    }
}

/* A letter or colon while a bracket is open, behind a number. */
static void lex_bracket_word(struct pq_lexer *l, struct pq_token *out, int32_t r)
{
    if (r == ':' && l->got_colon) {
        fail_rune(l, "unexpected colon ", r);
    } else if (r == ':') {
        emit(l, out, TOK_COLON);
        l->got_colon = true;
    } else if (!starts_duration_word(r) || !scan_duration_word(l, out)) {
        fail_rune(l, "unexpected character: ", r);
        PL_BUF_LIT(&l->error, ", expected ':'");
    }
}

static void lex_bracket(struct pq_lexer *l, struct pq_token *out, int32_t r)
{
    if (r == '[' && l->bracket_open) {
        fail_rune(l, "unexpected left bracket ", r);
    } else if (r == '[') {
        emit(l, out, TOK_LBRACKET);
        l->got_colon = false;
        l->bracket_open = true;
        l->state = LEX_DURATION;
    } else if (!l->bracket_open) {
        fail_rune(l, "unexpected right bracket ", r);
    } else {
        emit(l, out, TOK_RBRACKET);
        l->bracket_open = false;
    }
}

static void lex_statements(struct pq_lexer *l, struct pq_token *out)
{
    int32_t r = next(l);

    if (r == END_OF_TEXT) {
        if (l->paren_depth != 0) {
            fail(l, "unclosed left parenthesis");
        } else if (l->bracket_open) {
            fail(l, "unclosed left bracket");
        } else {
            emit(l, out, TOK_EOF);
        }
    } else if (single_kind(r) != TOK_ERROR) {
        emit(l, out, single_kind(r));
    } else if (r == '=' || r == '!' || r == '<' || r == '>') {
        lex_comparison(l, out, r);
    } else if (is_digit(r) || (r == '.' && is_digit(peek(l)))) {
        l->pos--;
        lex_number_or_duration(l, out);
    } else if (r == '"' || r == '\'' || r == '`') {
        lex_string(l, out, r);
    } else if (is_alpha(r) || r == ':') {
        if (l->bracket_open) {
            lex_bracket_word(l, out, r);
        } else {
            lex_word(l, out);
        }
    } else if (r == '(' || r == ')') {
        lex_paren(l, out, r);
    } else if (r == '{') {
        emit(l, out, TOK_LBRACE);
        l->state = LEX_BRACES;
    } else if (r == '[' || r == ']') {
        lex_bracket(l, out, r);
    } else if (r == '@') {
        emit(l, out, TOK_AT);
    } else {
        fail_rune(l, "unexpected character: ", r);
    }
}

/* Right behind "[", until the first number or the closing bracket. */
static void lex_duration(struct pq_lexer *l, struct pq_token *out)
{
    int32_t r = next(l);

    if (r == END_OF_TEXT) {
        fail(l, "unexpected end of input in duration expression");
    } else if (r == ']') {
        emit(l, out, TOK_RBRACKET);
        l->bracket_open = false;
        l->got_colon = false;
        l->state = LEX_STATEMENTS;
    } else if (r == ':') {
        emit(l, out, TOK_COLON);
        if (!l->got_duration) {
            fail(l, "unexpected colon before duration in duration expression");
        } else if (l->got_colon) {
            fail(l, "unexpected repeated colon in duration expression");
        }
        l->got_colon = true;
    } else if (r == '(' || r == ')') {
        lex_paren(l, out, r);
    } else if (single_kind(r) != TOK_ERROR) {
        emit(l, out, single_kind(r));
    } else if (is_digit(r) || (r == '.' && is_digit(peek(l)))) {
        l->pos--;
        l->got_duration = true;
        lex_number_or_duration(l, out);
    } else if (!starts_duration_word(r) || !scan_duration_word(l, out)) {
        fail_rune(l, "unexpected character in duration expression: ", r);
    }
}

static void lex_braces(struct pq_lexer *l, struct pq_token *out)
{
    int32_t r = next(l);

    if (r == END_OF_TEXT) {
        fail(l, "unexpected end of input inside braces");
    } else if (is_alpha(r)) {
        while (l->pos < l->in.n && is_alnum((unsigned char)l->in.p[l->pos])) {
            l->pos++;
        }
        emit(l, out, TOK_IDENT);
    } else if (r == ',') {
        emit(l, out, TOK_COMMA);
    } else if (r == '"' || r == '\'' || r == '`') {
        lex_string(l, out, r);
    } else if (r == '=') {
        emit(l, out, accept(l, "~") ? TOK_EQL_REGEX : TOK_EQL);
    } else if (r == '!') {
        int32_t after = next(l);
        if (after == '~' || after == '=') {
            emit(l, out, after == '~' ? TOK_NEQ_REGEX : TOK_NEQ);
        } else {
            fail_rune(l, "unexpected character after '!' inside braces: ", after);
        }
    } else if (r == '{') {
        fail_rune(l, "unexpected left brace ", r);
    } else if (r == '}') {
        emit(l, out, TOK_RBRACE);
        l->state = LEX_STATEMENTS;
    } else {
        fail_rune(l, "unexpected character inside braces: ", r);
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
