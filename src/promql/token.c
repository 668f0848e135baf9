/* What a token means (string values) and how messages name it. */
#include "promql/lex_scan.h"

#include "model/labels.h"

static size_t put_utf8(char *out, uint32_t cp)
{
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    if (cp < 0x800) {
        out[0] = (char)(0xc0 | cp >> 6);
        out[1] = (char)(0x80 | (cp & 0x3f));
        return 2;
    }
    if (cp < 0x10000) {
        out[0] = (char)(0xe0 | cp >> 12);
        out[1] = (char)(0x80 | (cp >> 6 & 0x3f));
        out[2] = (char)(0x80 | (cp & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | cp >> 18);
    out[1] = (char)(0x80 | (cp >> 12 & 0x3f));
    out[2] = (char)(0x80 | (cp >> 6 & 0x3f));
    out[3] = (char)(0x80 | (cp & 0x3f));
    return 4;
}

/* One escape at s[*at] (behind the backslash); \x and octal give a byte, \u and \U a character. */
static size_t unescape(char *out, pl_str s, size_t *at)
{
    static const char letters[] = "abfnrtv";
    static const char values[] = "\a\b\f\n\r\t\v";
    char c = s.p[*at];
    const char *letter = strchr(letters, c);
    uint32_t value = 0;
    uint32_t base = 16;
    int count;

    ++*at;
    if (letter != NULL) {
        out[0] = values[letter - letters];
        return 1;
    }
    if (c == 'x' || c == 'u' || c == 'U') {
        count = c == 'x' ? 2 : c == 'u' ? 4 : 8;
    } else if (c >= '0' && c <= '7') {
        --*at;
        count = 3;
        base = 8;
    } else {
        out[0] = c; /* the quote or the backslash */
        return 1;
    }
    for (; count > 0; count--) {
        value = value * base + pq__digit_value(s.p[(*at)++]);
    }
    if (c == 'u' || c == 'U') {
        return put_utf8(out, value);
    }
    out[0] = (char)value;
    return 1;
}

pl_str pq_token_unquote(char *out, const struct pq_token *t)
{
    pl_str s = pl_str_sub(t->text, 1, t->text.n - 1);
    bool raw = t->text.p[0] == '`';
    size_t n = 0;
    size_t at = 0;

    while (at < s.n) {
        if (s.p[at] == '\\' && !raw) {
            at++;
            n += unescape(out + n, s, &at);
        } else {
            out[n++] = s.p[at++];
        }
    }
    return pl_str_of(out, n);
}

/* Go's %.10q: the first ten characters, quoted. */
static void add_cut(struct pl_buf *b, pl_str s)
{
    size_t at = 0;

    for (int i = 0; i < 10 && at < s.n; i++) {
        size_t len;
        (void)pq__rune_at(s, at, &len);
        at += len;
    }
    pl_buf_quoted(b, pl_str_sub(s, 0, at));
    PL_BUF_LIT(b, "...");
}

void pq_token_describe(struct pl_buf *b, const struct pq_token *t)
{
    static const struct {
        enum pq_tok kind;
        const char *name;
    } named[] = {
        {TOK_IDENT, "identifier "},  {TOK_METRIC_IDENT, "metric identifier "},
        {TOK_STRING, "string "},     {TOK_NUMBER, "number "},
        {TOK_DURATION, "duration "},
    };

    if (t->kind == TOK_EOF) {
        PL_BUF_LIT(b, "end of input");
        return;
    }
    for (size_t i = 0; i < PL_ARRAY_LEN(named); i++) {
        if (named[i].kind == t->kind) {
            pl_buf_cstr(b, named[i].name);
        }
    }
    if (pq_tok_is_keyword(t->kind)) {
        pl_buf_printf(b, "<%.*s>", PL_STR_ARG(t->text));
    } else if (pq_tok_is_operator(t->kind)) {
        pl_buf_printf(b, "<op:%.*s>", PL_STR_ARG(t->text));
    } else if (pq_tok_is_aggregator(t->kind)) {
        pl_buf_printf(b, "<aggr:%.*s>", PL_STR_ARG(t->text));
    } else if (t->text.n > 10 && t->kind != TOK_IDENT && t->kind != TOK_METRIC_IDENT) {
        add_cut(b, t->text);
    } else {
        pl_buf_quoted(b, t->text);
    }
}
