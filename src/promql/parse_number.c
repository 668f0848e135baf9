/* Number tokens: decimal, hexadecimal and octal integers, underscores, durations as seconds. */
#include "promql/parser.h"

#include "codec/float_text.h"
#include "promql/duration.h"

static bool is_number_digit(char c, bool hex)
{
    return (c >= '0' && c <= '9') || (hex && (c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* The text without underscores; false where one does not stand between digits (or right behind 0x). */
static bool strip_underscores(char *out, size_t *n, pl_str s)
{
    bool hex = s.n > 1 && s.p[0] == '0' && (s.p[1] | 0x20) == 'x';

    *n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '_') {
            out[(*n)++] = s.p[i];
            continue;
        }
        if (i == 0 || i + 1 == s.n || !is_number_digit(s.p[i + 1], hex) ||
            !(is_number_digit(s.p[i - 1], hex) || (hex && i == 2))) {
            return false;
        }
    }
    return true;
}

/* Go's ParseInt with base 0: 0x is hexadecimal, another leading zero octal. */
static bool parse_integer(pl_str s, double *out)
{
    uint64_t base = 10;
    uint64_t v = 0;
    size_t i = 0;

    if (s.n > 2 && s.p[0] == '0' && (s.p[1] | 0x20) == 'x') {
        base = 16;
        i = 2;
    } else if (s.n > 1 && s.p[0] == '0') {
        base = 8;
        i = 1;
    }
    for (; i < s.n; i++) {
        char c = s.p[i];
        uint64_t d = c >= '0' && c <= '9'                     ? (uint64_t)(c - '0')
                     : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (uint64_t)((c | 0x20) - 'a' + 10)
                                                              : 99;
        if (d >= base || !pl_mul_ok(&v, v, base) || !pl_add_ok(&v, v, d) || v > INT64_MAX) {
            return false;
        }
    }
    *out = (double)v;
    return true;
}

/* Digits with a point and an exponent: where float_parse refuses one of these, it is too large. */
static bool is_decimal(pl_str s)
{
    size_t i = 0;
    size_t digits = 0;
    size_t points = 0;

    for (; i < s.n && ((s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '.'); i++) {
        points += s.p[i] == '.';
        digits += s.p[i] != '.';
    }
    if (digits == 0 || points > 1) {
        return false;
    }
    if (i == s.n) {
        return true;
    }
    if ((s.p[i++] | 0x20) != 'e') {
        return false;
    }
    i += i < s.n && (s.p[i] == '+' || s.p[i] == '-');
    for (digits = 0; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++) {
        digits++;
    }
    return digits > 0 && i == s.n;
}

static bool parse_number(struct pq_parser *p, const struct pq_token *t, double *out)
{
    struct pl_buf plain;
    size_t n = 0;
    pl_str s;
    bool ok;

    pl_buf_init(&plain, 0);
    ok = strip_underscores(pl_buf_reserve(&plain, t->text.n + 1), &n, t->text);
    s = pl_str_of(plain.p, n);
    if (!ok || !(parse_integer(s, out) || float_parse(s, out))) {
        (void)pq__fail_quoted(p, t->start, "error parsing number: strconv.ParseFloat: parsing ", t->text,
                              ok && is_decimal(s) ? ": value out of range" : ": invalid syntax");
        ok = false;
    }
    pl_buf_fini(&plain);
    return ok;
}

bool pq__number_or_duration(struct pq_parser *p, const struct pq_token *t, double *out)
{
    struct pl_err err;
    int64_t ns;

    if (t->kind == TOK_NUMBER) {
        return parse_number(p, t, out);
    }
    if (pq__duration_ns(&ns, t->text, &err) != PL_OK) {
        return pq__fail(p, t->start, "%s", err.msg) != NULL;
    }
    /* Seconds and the rest apart, as Go's Duration.Seconds: that decides the last bit. */
    *out = (double)(ns / INT64_C(1000000000)) + (double)(ns % INT64_C(1000000000)) / 1e9;
    return true;
}
