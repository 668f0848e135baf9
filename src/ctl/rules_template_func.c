/* Functions of templates: those of Go's text/template and Prometheus's own (template/template.go). */
#include "ctl/rules_template.h"

#include "base/clock.h"
#include "codec/float_text.h"
#include "promql/ast.h"
#include "regex/regex.h"

#include <math.h>
#include <stdio.h>

struct call {
    struct pl_arena *a;
    const struct template_data *data;
    const struct template_value *args;
    size_t n;
    struct template_value *out;
    struct pl_err *err;
    const struct template_func *func;
};

struct template_func {
    const char *name;
    int args_min, args_max; /* -1: any number */
    pl_status (*run)(struct call *c);
    int arg; /* tells functions apart that share code */
};

bool template_truth(const struct template_value *v)
{
    switch (v->kind) {
    case T_NIL:
        return false;
    case T_BOOL:
        return v->b;
    case T_INT:
    case T_FLOAT:
        return v->num != 0;
    case T_TEXT:
        return v->text.n > 0;
    case T_LABELS:
        return v->labels.n > 0;
    case T_LIST:
        return v->n > 0;
    case T_SAMPLE:
    case T_DATA:
        return true;
    }
    return false;
}

void template_print(struct pl_buf *b, const struct template_value *v)
{
    switch (v->kind) {
    case T_NIL:
        pl_buf_cstr(b, "<no value>");
        return;
    case T_BOOL:
        pl_buf_cstr(b, v->b ? "true" : "false");
        return;
    case T_INT:
        pl_buf_i64(b, pl_f64_to_i64(v->num));
        return;
    case T_FLOAT:
        pl_buf_f64_g(b, v->num);
        return;
    case T_TEXT:
        pl_buf_str(b, v->text);
        return;
    case T_LABELS:
        pl_buf_cstr(b, "map[");
        for (size_t i = 0; i < v->labels.n; i++) {
            pl_buf_printf(b, "%s%.*s:%.*s", i > 0 ? " " : "", PL_STR_ARG(v->labels.v[i].name),
                          PL_STR_ARG(v->labels.v[i].value));
        }
        pl_buf_byte(b, ']');
        return;
    case T_SAMPLE:
        labels_metric_text(b, v->labels);
        pl_buf_cstr(b, " => ");
        pl_buf_f64_g(b, v->num);
        return;
    case T_LIST:
        pl_buf_byte(b, '[');
        for (size_t i = 0; i < v->n; i++) {
            pl_buf_cstr(b, i > 0 ? " " : "");
            template_print(b, &v->items[i]);
        }
        pl_buf_byte(b, ']');
        return;
    case T_DATA:
        return;
    }
}

static pl_status bad(struct call *c, const char *what)
{
    return pl_fail(c->err, PL_INVALID, "template: error calling %s: %s", c->func->name, what);
}

static pl_status give_text(struct call *c, struct pl_buf *b)
{
    *c->out = (struct template_value){.kind = T_TEXT, .text = pl_arena_str(c->a, pl_buf_view(b))};
    pl_buf_fini(b);
    return PL_OK;
}

static pl_status give_bool(struct call *c, bool v)
{
    *c->out = (struct template_value){.kind = T_BOOL, .b = v};
    return PL_OK;
}

static pl_str text_of(const struct call *c, size_t i)
{
    struct pl_buf b;
    pl_str s;

    if (c->args[i].kind == T_TEXT) {
        return c->args[i].text;
    }
    pl_buf_init(&b, 0);
    template_print(&b, &c->args[i]);
    s = pl_arena_str(c->a, pl_buf_view(&b));
    pl_buf_fini(&b);
    return s;
}

/* Go checks the types of arguments: these must be text. */
static pl_status texts_only(struct call *c)
{
    for (size_t i = 0; i < c->n; i++) {
        if (c->args[i].kind != T_TEXT) {
            return bad(c, c->args[i].kind == T_FLOAT ? "wrong type for value; expected string; got float64"
                                                     : "wrong type for value; expected string");
        }
    }
    return PL_OK;
}

static bool is_number(const struct template_value *v)
{
    return v->kind == T_INT || v->kind == T_FLOAT;
}

static pl_status number_of(struct call *c, size_t i, double *out)
{
    if (is_number(&c->args[i])) {
        *out = c->args[i].num;
        return PL_OK;
    }
    return c->args[i].kind == T_TEXT && float_parse(c->args[i].text, out) ? PL_OK : bad(c, "can't convert to float");
}

/* ---- numbers for people ---- */

/* Go's %.4g */
static void put_4g(struct pl_buf *b, double v)
{
    if (isnan(v) || isinf(v)) {
        pl_buf_f64_g(b, v);
    } else {
        pl_buf_printf(b, "%.4g", v);
    }
}

static void put_scaled(struct pl_buf *b, double v, double factor, const char *const *prefixes, size_t n)
{
    const char *prefix = "";

    for (size_t i = 0; i < n && fabs(v) >= factor; i++) {
        v /= factor;
        prefix = prefixes[i];
    }
    put_4g(b, v);
    pl_buf_cstr(b, prefix);
}

static void put_small(struct pl_buf *b, double v)
{
    static const char *const prefixes[] = {"m", "u", "n", "p", "f", "a", "z", "y"};
    const char *prefix = "";

    for (size_t i = 0; i < PL_ARRAY_LEN(prefixes) && fabs(v) < 1; i++) {
        v *= 1000;
        prefix = prefixes[i];
    }
    put_4g(b, v);
    pl_buf_cstr(b, prefix);
}

static pl_status f_humanize(struct call *c)
{
    static const char *const prefixes[] = {"k", "M", "G", "T", "P", "E", "Z", "Y"};
    struct pl_buf b;
    double v;

    PL_TRY(number_of(c, 0, &v));
    pl_buf_init(&b, 0);
    if (v == 0 || isnan(v) || isinf(v)) {
        put_4g(&b, v);
    } else if (fabs(v) >= 1) {
        put_scaled(&b, v, 1000, prefixes, PL_ARRAY_LEN(prefixes));
    } else {
        put_small(&b, v);
    }
    return give_text(c, &b);
}

static pl_status f_humanize1024(struct call *c)
{
    static const char *const prefixes[] = {"ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"};
    struct pl_buf b;
    double v;

    PL_TRY(number_of(c, 0, &v));
    pl_buf_init(&b, 0);
    if (fabs(v) <= 1 || isnan(v) || isinf(v)) {
        put_4g(&b, v);
    } else {
        put_scaled(&b, v, 1024, prefixes, PL_ARRAY_LEN(prefixes));
    }
    return give_text(c, &b);
}

static pl_status f_humanize_duration(struct call *c)
{
    struct pl_buf b;
    const char *sign;
    double v;
    int64_t s;

    PL_TRY(number_of(c, 0, &v));
    pl_buf_init(&b, 0);
    if (isnan(v) || isinf(v)) {
        put_4g(&b, v);
        return give_text(c, &b);
    }
    if (v == 0 || fabs(v) < 1) {
        if (v == 0) {
            put_4g(&b, v);
        } else {
            put_small(&b, v);
        }
        pl_buf_byte(&b, 's');
        return give_text(c, &b);
    }
    sign = v < 0 ? "-" : "";
    v = fabs(v);
    s = pl_f64_to_i64(v);
    if (s >= 86400) {
        pl_buf_printf(&b, "%s%lldd %lldh %lldm %llds", sign, (long long)(s / 86400), (long long)(s / 3600 % 24),
                      (long long)(s / 60 % 60), (long long)(s % 60));
    } else if (s >= 3600) {
        pl_buf_printf(&b, "%s%lldh %lldm %llds", sign, (long long)(s / 3600), (long long)(s / 60 % 60),
                      (long long)(s % 60));
    } else if (s >= 60) {
        pl_buf_printf(&b, "%s%lldm %llds", sign, (long long)(s / 60), (long long)(s % 60));
    } else {
        pl_buf_cstr(&b, sign);
        put_4g(&b, v);
        pl_buf_byte(&b, 's');
    }
    return give_text(c, &b);
}

static pl_status f_humanize_percentage(struct call *c)
{
    struct pl_buf b;
    double v;

    PL_TRY(number_of(c, 0, &v));
    pl_buf_init(&b, 0);
    put_4g(&b, v * 100);
    pl_buf_byte(&b, '%');
    return give_text(c, &b);
}

static pl_status f_humanize_timestamp(struct call *c)
{
    struct pl_buf b, t;
    double v;

    PL_TRY(number_of(c, 0, &v));
    pl_buf_init(&b, 0);
    if (isnan(v) || isinf(v) || fabs(v) > 1e11) {
        put_4g(&b, v);
        return give_text(c, &b);
    }
    pl_buf_init(&t, 0);
    pl_buf_rfc3339_ms(&t, pl_f64_to_i64(v * 1000)); /* 2006-01-02T15:04:05.999Z */
    for (size_t i = 0; i < t.n; i++) {
        pl_buf_byte(&b, t.p[i] == 'T' ? ' ' : (uint8_t)t.p[i]);
    }
    while (b.n > 0 && b.p[b.n - 1] == 'Z') {
        b.n--;
    }
    if (pl_str_find(pl_buf_view(&b), '.') != SIZE_MAX) {
        while (b.p[b.n - 1] == '0') {
            b.n--;
        }
        b.n -= b.p[b.n - 1] == '.';
    }
    pl_buf_cstr(&b, " +0000 UTC");
    pl_buf_fini(&t);
    return give_text(c, &b);
}

/* ---- query results ---- */

static pl_status f_query(struct call *c)
{
    if (c->args[0].kind != T_TEXT || c->data == NULL || c->data->query == NULL) {
        return bad(c, "a query as text is expected");
    }
    return c->data->query(c->data->arg, c->a, c->args[0].text, c->out, c->err);
}

static pl_status f_first(struct call *c)
{
    if (c->args[0].kind != T_LIST || c->args[0].n == 0) {
        return bad(c, "first() called on vector with no elements");
    }
    *c->out = c->args[0].items[0];
    return PL_OK;
}

static pl_status f_value(struct call *c)
{
    if (c->args[0].kind != T_SAMPLE) {
        return bad(c, "a sample is expected");
    }
    *c->out = (struct template_value){.kind = T_FLOAT, .num = c->args[0].num};
    return PL_OK;
}

static pl_status f_label(struct call *c)
{
    if (c->args[0].kind != T_TEXT || c->args[1].kind != T_SAMPLE) {
        return bad(c, "a name and a sample are expected");
    }
    *c->out = (struct template_value){.kind = T_TEXT, .text = labels_get(c->args[1].labels, c->args[0].text)};
    return PL_OK;
}

static pl_status f_strvalue(struct call *c)
{
    if (c->args[0].kind != T_SAMPLE) {
        return bad(c, "a sample is expected");
    }
    *c->out = (struct template_value){.kind = T_TEXT, .text = labels_get(c->args[0].labels, PL_STR("__value__"))};
    return PL_OK;
}

static pl_status f_sort_by_label(struct call *c)
{
    struct template_value *v;
    pl_str by = text_of(c, 0);

    if (c->args[1].kind != T_LIST) {
        return bad(c, "a query result is expected");
    }
    v = pl_arena_new_array_try(c->a, struct template_value, c->args[1].n + 1);
    if (v == NULL) {
        return bad(c, "no memory");
    }
    for (size_t i = 0; i < c->args[1].n; i++) { /* insertion keeps equal ones in order */
        size_t k = i;

        while (k > 0 && pl_str_cmp(labels_get(c->args[1].items[i].labels, by), labels_get(v[k - 1].labels, by)) < 0) {
            v[k] = v[k - 1];
            k--;
        }
        v[k] = c->args[1].items[i];
    }
    *c->out = (struct template_value){.kind = T_LIST, .items = v, .n = c->args[1].n};
    return PL_OK;
}

/* ---- texts ---- */

enum { TITLE, UPPER, LOWER, STRIP_PORT, STRIP_DOMAIN, PLAIN };

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

static pl_status f_text(struct call *c)
{
    struct pl_buf b;
    bool start = true;
    int how = c->func->arg;
    pl_str s;

    PL_TRY(texts_only(c));
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
    return give_text(c, &b);
}

static pl_status f_match(struct call *c)
{
    struct regex *re;
    struct pl_buf b;
    pl_status st;
    bool yes;

    PL_TRY(texts_only(c));
    pl_buf_init(&b, 0);
    pl_buf_printf(&b, ".*(?:%.*s).*", PL_STR_ARG(text_of(c, 0)));
    st = regex_compile(&re, pl_buf_view(&b), c->err);
    pl_buf_fini(&b);
    PL_TRY(st);
    yes = regex_match(re, text_of(c, 1));
    regex_destroy(re);
    return give_bool(c, yes);
}

static pl_status f_print(struct call *c)
{
    struct pl_buf b;

    pl_buf_init(&b, 0);
    for (size_t i = 0; i < c->n; i++) {
        bool texts = i > 0 && (c->args[i].kind == T_TEXT || c->args[i - 1].kind == T_TEXT);

        pl_buf_cstr(&b, i > 0 && (c->func->arg == 1 || !texts) ? " " : "");
        template_print(&b, &c->args[i]);
    }
    pl_buf_cstr(&b, c->func->arg == 1 ? "\n" : "");
    return give_text(c, &b);
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

static pl_status f_printf(struct call *c)
{
    pl_str f = text_of(c, 0);
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
    return give_text(c, &b);
}

static pl_status f_replace_all(struct call *c)
{
    struct regex *re;
    struct pl_buf b, one;
    pl_str s = text_of(c, 2), with = text_of(c, 1);
    pl_status st;

    PL_TRY(texts_only(c));
    /* Only replacement of the whole text can be done with an anchored matcher. */
    st = regex_compile(&re, text_of(c, 0), c->err);
    PL_TRY(st);
    pl_buf_init(&b, 0);
    pl_buf_init(&one, 0);
    if (regex_expand(re, s, with, &one)) {
        pl_buf_str(&b, pl_buf_view(&one));
        st = PL_OK;
    } else {
        st = bad(c, "only patterns that match the whole text are supported here");
    }
    regex_destroy(re);
    pl_buf_fini(&one);
    if (st != PL_OK) {
        pl_buf_fini(&b);
        return st;
    }
    return give_text(c, &b);
}

static pl_status f_query_escape(struct call *c)
{
    pl_str s = text_of(c, 0);
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
    return give_text(c, &b);
}

static pl_status f_external_url(struct call *c)
{
    *c->out = (struct template_value){.kind = T_TEXT, .text = c->data->external_url};
    return PL_OK;
}

/* ---- logic ---- */

enum { EQ, NE, LT, LE, GT, GE };

static pl_status compare(struct call *c, const struct template_value *x, const struct template_value *y, int *out)
{
    if (x->kind == T_TEXT && y->kind == T_TEXT) {
        *out = pl_str_cmp(x->text, y->text);
    } else if (x->kind == y->kind && is_number(x)) {
        *out = x->num < y->num ? -1 : x->num > y->num ? 1 : x->num == y->num ? 0 : 2; /* 2: NaN */
    } else if (x->kind == T_BOOL && y->kind == T_BOOL && (c->func->arg == EQ || c->func->arg == NE)) {
        *out = x->b != y->b;
    } else {
        return bad(c, "incompatible types for comparison");
    }
    return PL_OK;
}

static pl_status f_compare(struct call *c)
{
    bool yes = false;
    int r = 0;

    for (size_t i = 1; i < c->n && !yes; i++) { /* eq takes several to be equal to one of */
        PL_TRY(compare(c, &c->args[0], &c->args[i], &r));
        switch (c->func->arg) {
        case EQ:
            yes = r == 0;
            break;
        case NE:
            yes = r != 0;
            break;
        case LT:
            yes = r < 0;
            break;
        case LE:
            yes = r <= 0;
            break;
        case GT:
            yes = r == 1 || (r > 0 && c->args[0].kind == T_TEXT);
            break;
        default:
            yes = r == 0 || r == 1 || (r > 0 && c->args[0].kind == T_TEXT);
            break;
        }
    }
    return give_bool(c, yes);
}

static pl_status f_and_or(struct call *c)
{
    *c->out = c->args[c->n - 1];
    for (size_t i = 0; i < c->n; i++) {
        if (template_truth(&c->args[i]) == (c->func->arg == 1)) { /* or: the first true; and: the first false */
            *c->out = c->args[i];
            break;
        }
    }
    return PL_OK;
}

static pl_status f_not(struct call *c)
{
    return give_bool(c, !template_truth(&c->args[0]));
}

static pl_status f_len(struct call *c)
{
    const struct template_value *v = &c->args[0];

    if (v->kind != T_TEXT && v->kind != T_LIST && v->kind != T_LABELS) {
        return bad(c, "it has no length");
    }
    *c->out = (struct template_value){.kind = T_INT,
                                      .num = (double)(v->kind == T_TEXT   ? v->text.n
                                                      : v->kind == T_LIST ? v->n
                                                                          : v->labels.n)};
    return PL_OK;
}

static pl_status f_index(struct call *c)
{
    const struct template_value *v = &c->args[0], *at = &c->args[1];

    if (v->kind == T_LABELS && at->kind == T_TEXT) {
        *c->out = (struct template_value){.kind = T_TEXT, .text = labels_get(v->labels, at->text)};
        return PL_OK;
    }
    if (v->kind == T_LIST && at->kind == T_INT && at->num >= 0 && at->num < (double)v->n) {
        *c->out = v->items[(size_t)at->num];
        return PL_OK;
    }
    return bad(c, "index out of range or not of this type");
}

static pl_status f_parse_duration(struct call *c)
{
    int64_t ms;

    PL_TRY(texts_only(c));
    if (pq_parse_duration(&ms, c->args[0].text, NULL) != PL_OK) {
        return bad(c, "not a valid duration");
    }
    *c->out = (struct template_value){.kind = T_FLOAT, .num = (double)ms / 1000};
    return PL_OK;
}

static pl_status f_now(struct call *c)
{
    *c->out = (struct template_value){.kind = T_FLOAT, .num = (double)c->data->now_ms / 1000};
    return PL_OK;
}

/* Known to Prometheus: a template that calls it is correct, but it is not computed here. */
static pl_status f_unsupported(struct call *c)
{
    return bad(c, "this function is not supported here");
}

static const struct template_func funcs[] = {
    {"and", 1, -1, f_and_or, 0},
    {"or", 1, -1, f_and_or, 1},
    {"not", 1, 1, f_not, 0},
    {"eq", 2, -1, f_compare, EQ},
    {"ne", 2, 2, f_compare, NE},
    {"lt", 2, 2, f_compare, LT},
    {"le", 2, 2, f_compare, LE},
    {"gt", 2, 2, f_compare, GT},
    {"ge", 2, 2, f_compare, GE},
    {"len", 1, 1, f_len, 0},
    {"index", 2, 2, f_index, 0},
    {"print", 0, -1, f_print, 0},
    {"println", 0, -1, f_print, 1},
    {"printf", 1, -1, f_printf, 0},
    {"urlquery", 1, 1, f_query_escape, 0},
    {"html", 1, 1, f_unsupported, 0},
    {"js", 1, 1, f_unsupported, 0},
    {"slice", 1, 4, f_unsupported, 0},
    {"call", 1, -1, f_unsupported, 0},
    {"query", 1, 1, f_query, 0},
    {"first", 1, 1, f_first, 0},
    {"value", 1, 1, f_value, 0},
    {"label", 2, 2, f_label, 0},
    {"strvalue", 1, 1, f_strvalue, 0},
    {"sortByLabel", 2, 2, f_sort_by_label, 0},
    {"humanize", 1, 1, f_humanize, 0},
    {"humanize1024", 1, 1, f_humanize1024, 0},
    {"humanizeDuration", 1, 1, f_humanize_duration, 0},
    {"humanizePercentage", 1, 1, f_humanize_percentage, 0},
    {"humanizeTimestamp", 1, 1, f_humanize_timestamp, 0},
    {"title", 1, 1, f_text, TITLE},
    {"toUpper", 1, 1, f_text, UPPER},
    {"toLower", 1, 1, f_text, LOWER},
    {"stripPort", 1, 1, f_text, STRIP_PORT},
    {"stripDomain", 1, 1, f_text, STRIP_DOMAIN},
    {"safeHtml", 1, 1, f_text, PLAIN},
    {"match", 2, 2, f_match, 0},
    {"reReplaceAll", 3, 3, f_replace_all, 0},
    {"urlQueryEscape", 1, 1, f_query_escape, 0},
    {"externalURL", 0, 0, f_external_url, 0},
    {"parseDuration", 1, 1, f_parse_duration, 0},
    {"now", 0, 0, f_now, 0},
    {"graphLink", 1, 1, f_unsupported, 0},
    {"tableLink", 1, 1, f_unsupported, 0},
    {"pathPrefix", 0, 0, f_unsupported, 0},
    {"toTime", 1, 1, f_unsupported, 0},
    {"toDuration", 1, 1, f_unsupported, 0},
    {"args", 0, -1, f_unsupported, 0},
    {"tmpl", 2, 2, f_unsupported, 0},
};

const struct template_func *template_func_find(pl_str name)
{
    for (size_t i = 0; i < PL_ARRAY_LEN(funcs); i++) {
        if (pl_str_eq(name, pl_str_c(funcs[i].name))) {
            return &funcs[i];
        }
    }
    return NULL;
}

pl_status template_func_call(struct template_value *out, const struct template_func *f, struct pl_arena *a,
                             const struct template_data *data, const struct template_value *args, size_t n,
                             struct pl_err *err)
{
    struct call c = {.a = a, .data = data, .args = args, .n = n, .out = out, .err = err, .func = f};

    if (n < (size_t)f->args_min || (f->args_max >= 0 && n > (size_t)f->args_max)) {
        return pl_fail(err, PL_INVALID, "template: wrong number of args for %s: want %d got %zu", f->name, f->args_min,
                       n);
    }
    return f->run(&c);
}
