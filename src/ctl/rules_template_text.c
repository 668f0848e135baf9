/* Template functions over texts, printf among them. */
#include "ctl/rules_template_internal.h"

#include "codec/float_text.h"
#include "regex/regex.h"

#include <math.h>
#include <stdio.h>

/* host:port, [address]:port: true with both parts; otherwise the whole is the host. */
static bool split_port(pl_str s, pl_str *host, pl_str *port)
{
    size_t at = s.n;

    *host = s;
    *port = PL_STR("");
    while (at > 0 && s.p[at - 1] != ':') {
        at--;
    }
    if (at == 0 || (s.p[0] != '[' && pl_str_find(pl_str_sub(s, 0, at - 1), ':') != SIZE_MAX)) {
        return false;
    }
    *host = pl_str_sub(s, 0, at - 1);
    *port = pl_str_sub(s, at, s.n);
    if (s.p[0] == '[') {
        if (host->n < 2 || host->p[host->n - 1] != ']') {
            *host = s;
            return false;
        }
        *host = pl_str_sub(*host, 1, host->n - 1);
    }
    return true;
}

static bool is_address(pl_str host)
{
    for (size_t i = 0; i < host.n; i++) {
        if (host.p[i] == ':') {
            return true;
        }
        if ((host.p[i] < '0' || host.p[i] > '9') && host.p[i] != '.') {
            return false;
        }
    }
    return host.n > 0;
}

static pl_str strip(struct pl_arena *a, pl_str s, int how)
{
    pl_str host, port;
    bool has_port = split_port(s, &host, &port);
    size_t dot = pl_str_find(host, '.');

    if (how == STRIP_PORT) {
        return host;
    }
    if (dot == SIZE_MAX || is_address(host)) {
        return s;
    }
    return has_port ? pl_arena_printf(a, "%.*s:%.*s", (int)dot, host.p, PL_STR_ARG(port)) : pl_str_sub(host, 0, dot);
}

pl_status template__text(struct call *c)
{
    struct pl_buf b;
    bool start = true;
    int how = c->func->arg;
    pl_str s;

    PL_TRY(template__texts_only(c));
    s = c->args[0].text;
    s = how == STRIP_PORT || how == STRIP_DOMAIN ? strip(c->a, s, how) : s;
    pl_buf_init(&b, 0);
    for (size_t i = 0; i < s.n; i++) {
        char ch = s.p[i];
        bool lower = ch >= 'a' && ch <= 'z', upper = ch >= 'A' && ch <= 'Z';

        if ((how == UPPER && lower) || (how == LOWER && upper) || (how == TITLE && lower && start)) {
            ch = (char)(ch ^ 0x20);
        }
        start = ch == ' ' || ch == '\t' || ch == '\n';
        pl_buf_byte(&b, (uint8_t)ch);
    }
    return template__give_text(c, &b);
}

pl_status template__match(struct call *c)
{
    struct regex *re;
    struct pl_buf b;
    pl_status st;
    bool yes;

    PL_TRY(template__texts_only(c));
    pl_buf_init(&b, 0);
    pl_buf_printf(&b, ".*(?:%.*s).*", PL_STR_ARG(template__text_of(c, 0)));
    st = regex_compile(&re, pl_buf_view(&b), c->err);
    pl_buf_fini(&b);
    PL_TRY(st);
    yes = regex_match(re, template__text_of(c, 1));
    regex_destroy(re);
    return template__give_bool(c, yes);
}

pl_status template__print(struct call *c)
{
    struct pl_buf b;

    pl_buf_init(&b, 0);
    for (size_t i = 0; i < c->n; i++) {
        bool texts = i > 0 && (c->args[i].kind == T_TEXT || c->args[i - 1].kind == T_TEXT);

        pl_buf_cstr(&b, i > 0 && (c->func->arg == 1 || !texts) ? " " : "");
        template_print(&b, &c->args[i]);
    }
    pl_buf_cstr(&b, c->func->arg == 1 ? "\n" : "");
    return template__give_text(c, &b);
}

/* One directive, spec = "%5.2f" with at most 20 characters; what does not fit reads as Go's complaint. */
static void put_directive(struct pl_buf *b, const char *spec, char verb, const struct template_value *v)
{
    char form[32];

    if (verb == 'v' || (verb == 's' && v->kind == T_TEXT)) {
        template_print(b, v);
        return;
    }
    if (verb == 'q' && v->kind == T_TEXT) {
        pl_buf_quoted(b, v->text);
        return;
    }
    if (strchr("feEgG", verb) != NULL && v->kind == T_FLOAT) {
        bool precise = strchr(spec, '.') != NULL;
        char number[512];

        if (isnan(v->num) || isinf(v->num) || (!precise && (verb == 'g' || verb == 'G'))) {
            pl_buf_f64_g(b, v->num);
            return;
        }
        (void)snprintf(form, sizeof(form), "%s", spec);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        (void)snprintf(number, sizeof(number), form, v->num); /* flags, width and precision of digits, one float verb */
#pragma GCC diagnostic pop
        pl_buf_cstr(b, number);
        return;
    }
    if (verb == 'd' && v->kind == T_INT) {
        pl_buf_i64(b, pl_f64_to_i64(v->num));
        return;
    }
    if (verb == 't' && v->kind == T_BOOL) {
        template_print(b, v);
        return;
    }
    pl_buf_printf(b, "%%!%c(%s=", verb,
                  v->kind == T_FLOAT  ? "float64"
                  : v->kind == T_INT  ? "int"
                  : v->kind == T_TEXT ? "string"
                                      : "value");
    template_print(b, v);
    pl_buf_byte(b, ')');
}

/* %, flags, at most three digits of width and of precision, then the verb: what C's printf reads as Go's does. */
static bool directive_ok(const char *spec)
{
    size_t at = 1 + strspn(spec + 1, "+-# 0"), digits = strspn(spec + at, "0123456789");

    at += digits;
    if (digits > 3) {
        return false;
    }
    if (spec[at] == '.') {
        digits = strspn(spec + at + 1, "0123456789");
        at += 1 + digits;
    }
    return digits <= 3 && spec[at] != '\0' && spec[at + 1] == '\0';
}

pl_status template__printf(struct call *c)
{
    pl_str f = template__text_of(c, 0);
    struct pl_buf b;
    size_t next = 1;

    pl_buf_init(&b, TEMPLATE_OUTPUT_MAX);
    for (size_t i = 0; i < f.n; i++) {
        char spec[24] = "%";
        size_t n = 1;

        if (f.p[i] != '%') {
            pl_buf_byte(&b, (uint8_t)f.p[i]);
            continue;
        }
        for (i++; i < f.n && f.p[i] != '\0' && strchr("+-# 0123456789.", f.p[i]) != NULL && n < sizeof(spec) - 2; i++) {
            spec[n++] = f.p[i];
        }
        if (i >= f.n) {
            pl_buf_cstr(&b, "%!(NOVERB)");
            break;
        }
        spec[n] = f.p[i];
        if (f.p[i] == '\0') {
            pl_buf_cstr(&b, "%!(NOVERB)");
        } else if (f.p[i] == '%') {
            pl_buf_byte(&b, '%');
        } else if (next >= c->n) {
            pl_buf_printf(&b, "%%!%c(MISSING)", f.p[i]);
        } else if (!directive_ok(spec)) {
            pl_buf_cstr(&b, "%!(BADWIDTH)");
            next++;
        } else {
            put_directive(&b, spec, f.p[i], &c->args[next++]);
        }
    }
    return template__give_text(c, &b);
}

pl_status template__replace_all(struct call *c)
{
    struct regex *re;
    struct pl_buf b, one;
    pl_str s = template__text_of(c, 2), with = template__text_of(c, 1);
    pl_status st;

    PL_TRY(template__texts_only(c));
    /* Only replacement of the whole text can be done with an anchored matcher. */
    st = regex_compile(&re, template__text_of(c, 0), c->err);
    PL_TRY(st);
    pl_buf_init(&b, 0);
    pl_buf_init(&one, 0);
    if (regex_expand(re, s, with, &one)) {
        pl_buf_str(&b, pl_buf_view(&one));
        st = PL_OK;
    } else {
        st = template__bad(c, "only patterns that match the whole text are supported here");
    }
    regex_destroy(re);
    pl_buf_fini(&one);
    if (st != PL_OK) {
        pl_buf_fini(&b);
        return st;
    }
    return template__give_text(c, &b);
}

pl_status template__query_escape(struct call *c)
{
    pl_str s = template__text_of(c, 0);
    struct pl_buf b;

    pl_buf_init(&b, 0);
    for (size_t i = 0; i < s.n; i++) {
        uint8_t ch = (uint8_t)s.p[i];

        if ((ch >= '0' && ch <= '9') || ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'z') ||
            (ch != 0 && strchr("-_.~", ch) != NULL)) {
            pl_buf_byte(&b, ch);
        } else if (ch == ' ') {
            pl_buf_byte(&b, '+');
        } else {
            pl_buf_printf(&b, "%%%02X", ch);
        }
    }
    return template__give_text(c, &b);
}
