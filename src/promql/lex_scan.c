/* What stands inside one token: runes, numbers and durations, strings; and the errors that name a rune. */
#include "promql/lex_scan.h"

#include "model/labels.h"

/* ---- reading ---- */

int32_t pq__rune_at(pl_str s, size_t at, size_t *len)
{
    const unsigned char *p;
    size_t n;

    if (at >= s.n) {
        *len = 0;
        return LEX_END_OF_TEXT;
    }
    p = (const unsigned char *)s.p + at;
    *len = 1;
    if (p[0] < 0x80) {
        return p[0];
    }
    n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (s.n - at < n || !pl_str_is_utf8(pl_str_sub(s, at, at + n))) {
        return LEX_RUNE_ERROR;
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

static void accept_run(struct pq_lexer *l, const char *set)
{
    while (pq__lex_accept(l, set)) {
    }
}

/* ---- tokens and errors ---- */

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
        r = LEX_RUNE_ERROR;
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

void pq__lex_fail(struct pq_lexer *l, const char *what)
{
    pl_buf_reset(&l->error);
    pl_buf_cstr(&l->error, what);
    l->failed = true;
}

void pq__lex_fail_rune(struct pq_lexer *l, const char *what, int32_t r)
{
    pq__lex_fail(l, what);
    add_quoted_rune(&l->error, r);
}

/* Go's %#U: U+0063 'c', without the character where it does not print. */
static void fail_unicode(struct pq_lexer *l, const char *what, int32_t r, const char *after)
{
    size_t before;

    pq__lex_fail(l, what);
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

    if (pq__lex_accept(l, "0") && pq__lex_accept(l, "xX")) {
        (void)pq__lex_accept(l, "_");
        digits = "0123456789abcdefABCDEF";
        hex = true;
    }
    (void)pq__lex_accept(l, ".");
    (void)pq__lex_accept(l, digits);
    while (pq__lex_at_any(l, digits) || pq__lex_at_any(l, "._eE")) {
        if (pq__lex_at_any(l, ".")) {
            l->pos++;
            if (dot_seen) {
                return false;
            }
            dot_seen = true;
            if (pq__lex_accept(l, "_.") || hex) {
                return false;
            }
        } else if (pq__lex_at_any(l, "eE")) {
            l->pos++;
            if (exponent_seen) {
                return false;
            }
            exponent_seen = true;
            (void)pq__lex_accept(l, "+-");
            if (pq__lex_accept(l, "._eE") || l->pos >= l->in.n) {
                return false;
            }
        } else if (pq__lex_accept(l, "_")) {
            if (pq__lex_accept(l, "._eE") || l->pos >= l->in.n) {
                return false;
            }
        } else {
            accept_run(l, digits);
        }
    }
    return l->pos != begin && !pq__is_alnum(pq__lex_peek(l));
}

/* The rest of a duration behind its first digits. On failure the rune that disturbed is part of the text read. */
static bool scan_duration_rest(struct pq_lexer *l)
{
    if (!pq__lex_accept(l, "smhdwy")) {
        return false;
    }
    (void)pq__lex_accept(l, "s"); /* ms; hs and the like are refused by the parser */
    while (pq__lex_accept(l, "0123456789")) {
        accept_run(l, "0123456789");
        if (!pq__lex_accept(l, "smhdw")) {
            return false;
        }
        (void)pq__lex_accept(l, "s");
    }
    if (pq__is_alnum(pq__lex_peek(l))) {
        (void)pq__lex_next(l);
        return false;
    }
    return true;
}

void pq__lex_number_or_duration(struct pq_lexer *l, struct pq_token *out)
{
    l->state = LEX_STATEMENTS;
    if (scan_number(l)) {
        pq__lex_emit(l, out, TOK_NUMBER);
    } else if (scan_duration_rest(l)) {
        pq__lex_emit(l, out, TOK_DURATION);
    } else {
        pq__lex_fail(l, "bad number or duration syntax: ");
        pl_buf_quoted(&l->error, pl_str_sub(l->in, l->start, l->pos));
    }
}

/* ---- strings ---- */

uint32_t pq__digit_value(int32_t r)
{
    if (pq__is_digit(r)) {
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
    int32_t r = pq__lex_next(l);
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
    case LEX_END_OF_TEXT:
        pq__lex_fail(l, "escape sequence not terminated");
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
        r = pq__lex_next(l);
        d = pq__digit_value(r);
        if (d >= base && r == LEX_END_OF_TEXT) {
            pq__lex_fail(l, "escape sequence not terminated");
            return;
        }
        if (d >= base) {
            fail_unicode(l, "illegal character ", r, " in escape sequence");
            return;
        }
        value = value * base + d;
    }
    if (value > max || (value >= 0xd800 && value < 0xe000)) {
        pq__lex_fail(l, "escape sequence is an invalid Unicode code point");
    }
}

/* COMPAT: U+FFFD written out in a string is refused like a broken byte, as Prometheus cannot tell them apart. */
void pq__lex_string(struct pq_lexer *l, struct pq_token *out, int32_t quote)
{
    bool raw = quote == '`';

    while (!l->failed) {
        int32_t r = pq__lex_next(l);
        if (r == quote) {
            pq__lex_emit(l, out, TOK_STRING);
            return;
        }
        if (r == LEX_RUNE_ERROR) {
            pq__lex_fail(l, "invalid UTF-8 rune");
        } else if (r == LEX_END_OF_TEXT || (r == '\n' && !raw)) {
            pq__lex_fail(l, raw ? "unterminated raw string" : "unterminated quoted string");
        } else if (r == '\\' && !raw) {
            scan_escape(l, quote);
        }
    }
}
