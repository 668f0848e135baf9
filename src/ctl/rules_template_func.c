/* Functions of templates: those of Go's text/template and Prometheus's own (template/template.go). */
#include "ctl/rules_template_internal.h"

#include "codec/float_text.h"
#include "promql/ast.h"

#include <math.h>

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

pl_status template__bad(struct call *c, const char *what)
{
    return pl_fail(c->err, PL_INVALID, "template: error calling %s: %s", c->func->name, what);
}

pl_status template__give_text(struct call *c, struct pl_buf *b)
{
    *c->out = (struct template_value){.kind = T_TEXT, .text = pl_arena_str(c->a, pl_buf_view(b))};
    pl_buf_fini(b);
    return PL_OK;
}

pl_status template__give_bool(struct call *c, bool v)
{
    *c->out = (struct template_value){.kind = T_BOOL, .b = v};
    return PL_OK;
}

pl_str template__text_of(const struct call *c, size_t i)
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
pl_status template__texts_only(struct call *c)
{
    for (size_t i = 0; i < c->n; i++) {
        if (c->args[i].kind != T_TEXT) {
            return template__bad(c, c->args[i].kind == T_FLOAT ? "wrong type for value; expected string; got float64"
                                                               : "wrong type for value; expected string");
        }
    }
    return PL_OK;
}

static bool is_number(const struct template_value *v)
{
    return v->kind == T_INT || v->kind == T_FLOAT;
}

pl_status template__number_of(struct call *c, size_t i, double *out)
{
    if (is_number(&c->args[i])) {
        *out = c->args[i].num;
        return PL_OK;
    }
    return c->args[i].kind == T_TEXT && float_parse(c->args[i].text, out) ? PL_OK
                                                                          : template__bad(c, "can't convert to float");
}

/* ---- query results ---- */

static pl_status f_query(struct call *c)
{
    if (c->args[0].kind != T_TEXT || c->data == NULL || c->data->query == NULL) {
        return template__bad(c, "a query as text is expected");
    }
    return c->data->query(c->data->arg, c->a, c->args[0].text, c->out, c->err);
}

static pl_status f_first(struct call *c)
{
    if (c->args[0].kind != T_LIST || c->args[0].n == 0) {
        return template__bad(c, "first() called on vector with no elements");
    }
    *c->out = c->args[0].items[0];
    return PL_OK;
}

static pl_status f_value(struct call *c)
{
    if (c->args[0].kind != T_SAMPLE) {
        return template__bad(c, "a sample is expected");
    }
    *c->out = (struct template_value){.kind = T_FLOAT, .num = c->args[0].num};
    return PL_OK;
}

static pl_status f_label(struct call *c)
{
    if (c->args[0].kind != T_TEXT || c->args[1].kind != T_SAMPLE) {
        return template__bad(c, "a name and a sample are expected");
    }
    *c->out = (struct template_value){.kind = T_TEXT, .text = labels_get(c->args[1].labels, c->args[0].text)};
    return PL_OK;
}

static pl_status f_strvalue(struct call *c)
{
    if (c->args[0].kind != T_SAMPLE) {
        return template__bad(c, "a sample is expected");
    }
    *c->out = (struct template_value){.kind = T_TEXT, .text = labels_get(c->args[0].labels, PL_STR("__value__"))};
    return PL_OK;
}

static pl_status f_sort_by_label(struct call *c)
{
    struct template_value *v;
    pl_str by = template__text_of(c, 0);

    if (c->args[1].kind != T_LIST) {
        return template__bad(c, "a query result is expected");
    }
    v = pl_arena_new_array_try(c->a, struct template_value, c->args[1].n + 1);
    if (v == NULL) {
        return template__bad(c, "no memory");
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
        return template__bad(c, "incompatible types for comparison");
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
    return template__give_bool(c, yes);
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
    return template__give_bool(c, !template_truth(&c->args[0]));
}

static pl_status f_len(struct call *c)
{
    const struct template_value *v = &c->args[0];

    if (v->kind != T_TEXT && v->kind != T_LIST && v->kind != T_LABELS) {
        return template__bad(c, "it has no length");
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
    return template__bad(c, "index out of range or not of this type");
}

static pl_status f_parse_duration(struct call *c)
{
    int64_t ms;

    PL_TRY(template__texts_only(c));
    if (pq_parse_duration(&ms, c->args[0].text, NULL) != PL_OK) {
        return template__bad(c, "not a valid duration");
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
    return template__bad(c, "this function is not supported here");
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
    {"print", 0, -1, template__print, 0},
    {"println", 0, -1, template__print, 1},
    {"printf", 1, -1, template__printf, 0},
    {"urlquery", 1, 1, template__query_escape, 0},
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
    {"humanize", 1, 1, template__humanize, 0},
    {"humanize1024", 1, 1, template__humanize1024, 0},
    {"humanizeDuration", 1, 1, template__humanize_duration, 0},
    {"humanizePercentage", 1, 1, template__humanize_percentage, 0},
    {"humanizeTimestamp", 1, 1, template__humanize_timestamp, 0},
    {"title", 1, 1, template__text, TITLE},
    {"toUpper", 1, 1, template__text, UPPER},
    {"toLower", 1, 1, template__text, LOWER},
    {"stripPort", 1, 1, template__text, STRIP_PORT},
    {"stripDomain", 1, 1, template__text, STRIP_DOMAIN},
    {"safeHtml", 1, 1, template__text, PLAIN},
    {"match", 2, 2, template__match, 0},
    {"reReplaceAll", 3, 3, template__replace_all, 0},
    {"urlQueryEscape", 1, 1, template__query_escape, 0},
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
