/* Expressions in templates: operands, calls and pipelines. */
#include "ctl/rules_template_internal.h"

#include "codec/float_text.h"

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_name(char c)
{
    return c == '_' || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c >= '0' && c <= '9');
}

void template__blanks(struct interp *i)
{
    while (i->at < i->s.n && is_space(i->s.p[i->at])) {
        i->at++;
    }
}

pl_str template__rest(const struct interp *i)
{
    return pl_str_sub(i->s, i->at, i->s.n);
}

bool template__take(struct interp *i, const char *text)
{
    if (!pl_str_starts(template__rest(i), pl_str_c(text))) {
        return false;
    }
    i->at += strlen(text);
    return true;
}

pl_str template__name(struct interp *i)
{
    size_t from = i->at;

    while (i->at < i->s.n && is_name(i->s.p[i->at])) {
        i->at++;
    }
    return pl_str_sub(i->s, from, i->at);
}

bool template__at_close(const struct interp *i)
{
    return pl_str_starts(template__rest(i), PL_STR("}}")) || pl_str_starts(template__rest(i), PL_STR("-}}"));
}

/* ---- operands ---- */

static pl_status quoted(struct interp *i, struct template_value *out)
{
    char q = i->s.p[i->at++], *to = pl_arena_alloc_try(i->a, i->s.n - i->at + 1);
    size_t n = 0;

    if (to == NULL) {
        return pl_fail(i->err, PL_LIMIT, "template: no memory");
    }
    while (i->at < i->s.n && i->s.p[i->at] != q) {
        char c = i->s.p[i->at++];

        if (c == '\\' && q == '"' && i->at < i->s.n) {
            c = i->s.p[i->at++];
            c = c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
        }
        to[n++] = c;
    }
    if (i->at >= i->s.n) {
        return pl_fail(i->err, PL_INVALID, "template: unterminated quoted string");
    }
    i->at++;
    *out = (struct template_value){.kind = T_TEXT, .text = pl_str_of(to, n)};
    return PL_OK;
}

static pl_status number(struct interp *i, struct template_value *out)
{
    size_t from = i->at;
    pl_str text;

    i->at += i->s.p[i->at] == '-' || i->s.p[i->at] == '+';
    while (i->at < i->s.n && (is_name(i->s.p[i->at]) || i->s.p[i->at] == '.' ||
                              ((i->s.p[i->at] == '-' || i->s.p[i->at] == '+') && (i->s.p[i->at - 1] | 0x20) == 'e'))) {
        i->at++;
    }
    text = pl_str_sub(i->s, from, i->at);
    *out = (struct template_value){.kind = T_FLOAT};
    if (!float_parse(text, &out->num)) {
        return pl_fail(i->err, PL_INVALID, "template: bad number syntax: \"%.*s\"", (int)PL_MIN(text.n, (size_t)50),
                       text.p);
    }
    if (pl_str_find(text, '.') == SIZE_MAX && pl_str_find(text, 'e') == SIZE_MAX) {
        out->kind = T_INT;
    }
    return PL_OK;
}

static pl_status field(struct interp *i, const struct template_value *of, pl_str f, bool run,
                       struct template_value *out)
{
    const struct template_data *d = i->data;

    *out = (struct template_value){.kind = T_NIL};
    if (!run) {
        return PL_OK;
    }
    if (of->kind == T_LABELS) { /* a label that is not there is empty */
        *out = (struct template_value){.kind = T_TEXT, .text = labels_get(of->labels, f)};
        return PL_OK;
    }
    if (of->kind == T_SAMPLE || of->kind == T_DATA) {
        bool data = of->kind == T_DATA;

        if (pl_str_eq(f, PL_STR("Labels"))) {
            *out = (struct template_value){.kind = T_LABELS, .labels = data ? d->labels : of->labels};
            return PL_OK;
        }
        if (pl_str_eq(f, PL_STR("Value"))) {
            *out = (struct template_value){.kind = T_FLOAT, .num = data ? d->value : of->num};
            return PL_OK;
        }
        if (data && pl_str_eq(f, PL_STR("ExternalLabels"))) {
            *out = (struct template_value){.kind = T_LABELS, .labels = d->external_labels};
            return PL_OK;
        }
        if (data && pl_str_eq(f, PL_STR("ExternalURL"))) {
            *out = (struct template_value){.kind = T_TEXT, .text = d->external_url};
            return PL_OK;
        }
    }
    return pl_fail(i->err, PL_INVALID, "template: can't evaluate field %.*s", (int)PL_MIN(f.n, (size_t)100), f.p);
}

/* .A.B behind an operand */
static pl_status fields(struct interp *i, bool run, struct template_value *v)
{
    while (i->at + 1 < i->s.n && i->s.p[i->at] == '.' && is_name(i->s.p[i->at + 1])) {
        struct template_value of = *v;

        i->at++;
        PL_TRY(field(i, &of, template__name(i), run, v));
    }
    return PL_OK;
}

static pl_status variable(struct interp *i, struct template_value *out)
{
    size_t from = i->at++;
    pl_str n;

    (void)template__name(i);
    n = pl_str_sub(i->s, from, i->at);
    for (size_t k = i->var_count; k > 0; k--) {
        if (pl_str_eq(i->vars[k - 1].name, n)) {
            *out = i->vars[k - 1].value;
            return PL_OK;
        }
    }
    return pl_fail(i->err, PL_INVALID, "template: undefined variable \"%.*s\"", (int)PL_MIN(n.n, (size_t)100), n.p);
}

/* An operand that is no function. *found is false where none begins. */
static pl_status operand(struct interp *i, const struct template_value *dot, bool run, struct template_value *out,
                         bool *found)
{
    char c = i->at < i->s.n ? i->s.p[i->at] : '\0', next = i->at + 1 < i->s.n ? i->s.p[i->at + 1] : '\0';

    *found = true;
    if (c == '"' || c == '`') {
        return quoted(i, out);
    }
    if ((c >= '0' && c <= '9') || ((c == '-' || c == '+') && next >= '0' && next <= '9')) {
        return number(i, out);
    }
    if (c == '$') {
        PL_TRY(variable(i, out));
        return fields(i, run, out);
    }
    if (c == '.') {
        *out = *dot;
        if (!is_name(next)) {
            i->at++;
            return PL_OK;
        }
        return fields(i, run, out);
    }
    if (c == '(') {
        i->at++;
        PL_TRY(template__pipeline(i, dot, run, out));
        template__blanks(i);
        if (!template__take(i, ")")) {
            return pl_fail(i->err, PL_INVALID, "template: unclosed left paren");
        }
        return fields(i, run, out);
    }
    *found = false;
    return PL_OK;
}

/* true, false, nil, or a function without arguments. */
static pl_status word_value(struct interp *i, pl_str w, bool run, const struct template_func **f,
                            struct template_value *out)
{
    *f = NULL;
    *out = (struct template_value){.kind = T_NIL};
    if (pl_str_eq(w, PL_STR("true")) || pl_str_eq(w, PL_STR("false"))) {
        *out = (struct template_value){.kind = T_BOOL, .b = w.n == 4};
        return PL_OK;
    }
    if (pl_str_eq(w, PL_STR("nil"))) {
        return PL_OK;
    }
    *f = template_func_find(w);
    (void)run;
    return *f != NULL ? PL_OK
                      : pl_fail(i->err, PL_INVALID, "template: function \"%.*s\" not defined",
                                (int)PL_MIN(w.n, (size_t)100), w.p);
}

static pl_status call(struct interp *i, const struct template_func *f, const struct template_value *args, size_t n,
                      bool run, struct template_value *out)
{
    *out = (struct template_value){.kind = T_NIL};
    return run ? template_func_call(out, f, i->a, i->data, args, n, i->err) : PL_OK;
}

/* One command of a pipeline; `piped` is the value before it, NULL for the first. */
static pl_status command(struct interp *i, const struct template_value *dot, bool run,
                         const struct template_value *piped, struct template_value *out)
{
    struct template_value args[TEMPLATE_ARGS_MAX];
    const struct template_func *f = NULL, *inner;
    size_t n = 0;
    bool found;

    template__blanks(i);
    PL_TRY(operand(i, dot, run, out, &found));
    if (!found) {
        pl_str w = template__name(i);

        if (w.n == 0) {
            return pl_fail(i->err, PL_INVALID, "template: missing value for command");
        }
        PL_TRY(word_value(i, w, run, &f, out));
    }
    for (template__blanks(i); !template__at_close(i) && i->at < i->s.n && strchr("|),", i->s.p[i->at]) == NULL;
         template__blanks(i)) {
        if (n + 1 >= TEMPLATE_ARGS_MAX) {
            return pl_fail(i->err, PL_LIMIT, "template: more than %d arguments", TEMPLATE_ARGS_MAX - 1);
        }
        PL_TRY(operand(i, dot, run, &args[n], &found));
        if (!found) {
            pl_str w = template__name(i);

            if (w.n == 0) {
                return pl_fail(i->err, PL_INVALID, "template: unexpected \"%c\" in operand", i->s.p[i->at]);
            }
            PL_TRY(word_value(i, w, run, &inner, &args[n]));
            if (inner != NULL) {
                PL_TRY(call(i, inner, NULL, 0, run, &args[n]));
            }
        }
        n++;
    }
    if (f == NULL) {
        return n == 0 && piped == NULL ? PL_OK
                                       : pl_fail(i->err, PL_INVALID, "template: can't give argument to non-function");
    }
    if (piped != NULL) {
        args[n++] = *piped;
    }
    return call(i, f, args, n, run, out);
}

pl_status template__pipeline(struct interp *i, const struct template_value *dot, bool run, struct template_value *out)
{
    struct template_value piped;

    if (++i->depth > TEMPLATE_DEPTH_MAX) {
        return pl_fail(i->err, PL_LIMIT, "template: nested more than %d deep", TEMPLATE_DEPTH_MAX);
    }
    PL_TRY(command(i, dot, run, NULL, out));
    for (template__blanks(i); template__take(i, "|"); template__blanks(i)) {
        piped = *out;
        PL_TRY(command(i, dot, run, &piped, out));
    }
    i->depth--;
    return PL_OK;
}
