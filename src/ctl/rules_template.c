#include "ctl/rules_template.h"

#include "codec/float_text.h"

struct variable {
    pl_str name;
    struct template_value value;
};

struct interp {
    struct pl_arena *a;
    pl_str s;
    size_t at;
    const struct template_data *data; /* NULL: only parsed */
    struct pl_buf *out;
    struct variable vars[TEMPLATE_VARS_MAX];
    size_t var_count;
    unsigned depth, steps;
    bool trim_next; /* -}} came before */
    struct pl_err *err;
};

enum ending { END_OF_TEXT, END_ACTION, END_ELSE };

static pl_status exec_list(struct interp *i, const struct template_value *dot, bool run, enum ending *ending);
static pl_status pipeline(struct interp *i, const struct template_value *dot, bool run, struct template_value *out);

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_name(char c)
{
    return c == '_' || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c >= '0' && c <= '9');
}

static void blanks(struct interp *i)
{
    while (i->at < i->s.n && is_space(i->s.p[i->at])) {
        i->at++;
    }
}

static pl_str rest(const struct interp *i)
{
    return pl_str_sub(i->s, i->at, i->s.n);
}

static bool take(struct interp *i, const char *text)
{
    if (!pl_str_starts(rest(i), pl_str_c(text))) {
        return false;
    }
    i->at += strlen(text);
    return true;
}

static pl_str name(struct interp *i)
{
    size_t from = i->at;

    while (i->at < i->s.n && is_name(i->s.p[i->at])) {
        i->at++;
    }
    return pl_str_sub(i->s, from, i->at);
}

/* At }} or -}}? */
static bool at_close(const struct interp *i)
{
    return pl_str_starts(rest(i), PL_STR("}}")) || pl_str_starts(rest(i), PL_STR("-}}"));
}

static pl_status close_action(struct interp *i)
{
    blanks(i);
    i->trim_next = take(i, "-}}");
    if (i->trim_next || take(i, "}}")) {
        return PL_OK;
    }
    return i->at >= i->s.n ? pl_fail(i->err, PL_INVALID, "template: unclosed action")
                           : pl_fail(i->err, PL_INVALID, "template: unexpected %.20s in operand",
                                     pl_arena_str(i->a, pl_str_sub(i->s, i->at, PL_MIN(i->s.n, i->at + 20))).p);
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
        PL_TRY(field(i, &of, name(i), run, v));
    }
    return PL_OK;
}

static pl_status variable(struct interp *i, struct template_value *out)
{
    size_t from = i->at++;
    pl_str n;

    (void)name(i);
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
        PL_TRY(pipeline(i, dot, run, out));
        blanks(i);
        if (!take(i, ")")) {
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

    blanks(i);
    PL_TRY(operand(i, dot, run, out, &found));
    if (!found) {
        pl_str w = name(i);

        if (w.n == 0) {
            return pl_fail(i->err, PL_INVALID, "template: missing value for command");
        }
        PL_TRY(word_value(i, w, run, &f, out));
    }
    for (blanks(i); !at_close(i) && i->at < i->s.n && strchr("|),", i->s.p[i->at]) == NULL; blanks(i)) {
        if (n + 1 >= TEMPLATE_ARGS_MAX) {
            return pl_fail(i->err, PL_LIMIT, "template: more than %d arguments", TEMPLATE_ARGS_MAX - 1);
        }
        PL_TRY(operand(i, dot, run, &args[n], &found));
        if (!found) {
            pl_str w = name(i);

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

static pl_status pipeline(struct interp *i, const struct template_value *dot, bool run, struct template_value *out)
{
    struct template_value piped;

    if (++i->depth > TEMPLATE_DEPTH_MAX) {
        return pl_fail(i->err, PL_LIMIT, "template: nested more than %d deep", TEMPLATE_DEPTH_MAX);
    }
    PL_TRY(command(i, dot, run, NULL, out));
    for (blanks(i); take(i, "|"); blanks(i)) {
        piped = *out;
        PL_TRY(command(i, dot, run, &piped, out));
    }
    i->depth--;
    return PL_OK;
}

static pl_status set_variable(struct interp *i, pl_str n, const struct template_value *v)
{
    if (i->var_count == TEMPLATE_VARS_MAX) {
        return pl_fail(i->err, PL_LIMIT, "template: more than %d variables", TEMPLATE_VARS_MAX);
    }
    i->vars[i->var_count++] = (struct variable){n, *v};
    return PL_OK;
}

/* `$x := pipeline`, `$i, $x := pipeline` (range) or a pipeline: how many names there are. */
static pl_status declarations(struct interp *i, pl_str names[2], size_t *n)
{
    size_t start = i->at;

    *n = 0;
    while (*n < 2 && i->at < i->s.n && i->s.p[i->at] == '$') {
        size_t from = i->at++;

        (void)name(i);
        names[(*n)++] = pl_str_sub(i->s, from, i->at);
        blanks(i);
        if (take(i, ":=")) {
            return PL_OK;
        }
        if (!take(i, ",")) {
            break;
        }
        blanks(i);
    }
    i->at = start;
    *n = 0;
    return PL_OK;
}

/* ---- actions ---- */

static pl_status must_end(struct interp *i, enum ending ending)
{
    return ending == END_ACTION
               ? PL_OK
               : pl_fail(i->err, PL_INVALID,
                         ending == END_OF_TEXT ? "template: unexpected EOF" : "template: unexpected {{else}}");
}

/* if and with, from behind the word: {{else if ...}} is one more of them. */
static pl_status exec_if(struct interp *i, const struct template_value *dot, bool run, bool with)
{
    struct template_value v;
    size_t vars = i->var_count, n;
    enum ending ending;
    pl_str names[2];
    bool truth;

    blanks(i);
    PL_TRY(declarations(i, names, &n));
    PL_TRY(pipeline(i, dot, run, &v));
    if (n > 0) {
        PL_TRY(set_variable(i, names[0], &v));
    }
    PL_TRY(close_action(i));
    truth = run && template_truth(&v);
    PL_TRY(exec_list(i, with ? &v : dot, truth, &ending));
    if (ending == END_ELSE) {
        blanks(i);
        if (at_close(i)) {
            PL_TRY(close_action(i));
            PL_TRY(exec_list(i, dot, run && !truth, &ending));
            PL_TRY(must_end(i, ending));
        } else {
            bool else_with = take(i, "with");

            if (!else_with && !take(i, "if")) {
                return pl_fail(i->err, PL_INVALID, "template: unexpected text behind else");
            }
            if (++i->depth > TEMPLATE_DEPTH_MAX) {
                return pl_fail(i->err, PL_LIMIT, "template: nested more than %d deep", TEMPLATE_DEPTH_MAX);
            }
            PL_TRY(exec_if(i, dot, run && !truth, else_with));
            i->depth--;
        }
    } else {
        PL_TRY(must_end(i, ending));
    }
    i->var_count = vars;
    return PL_OK;
}

static struct template_value item_of(const struct template_value *v, size_t k, struct template_value *key)
{
    if (v->kind == T_LABELS) {
        *key = (struct template_value){.kind = T_TEXT, .text = v->labels.v[k].name};
        return (struct template_value){.kind = T_TEXT, .text = v->labels.v[k].value};
    }
    *key = (struct template_value){.kind = T_INT, .num = (double)k};
    return v->items[k];
}

static pl_status exec_range(struct interp *i, const struct template_value *dot, bool run)
{
    struct template_value v, item, key;
    size_t vars = i->var_count, n, count, body;
    enum ending ending = END_OF_TEXT;
    pl_str names[2];
    bool trim;

    blanks(i);
    PL_TRY(declarations(i, names, &n));
    PL_TRY(pipeline(i, dot, run, &v));
    PL_TRY(close_action(i));
    count = !run ? 0 : v.kind == T_LIST ? v.n : v.kind == T_LABELS ? v.labels.n : 0;
    body = i->at;
    trim = i->trim_next;
    for (size_t k = 0; k < PL_MAX(count, (size_t)1); k++) {
        bool real = k < count;

        item = key = (struct template_value){.kind = T_NIL};
        if (real) {
            item = item_of(&v, k, &key);
        }
        i->at = body;
        i->trim_next = trim;
        i->var_count = vars;
        if (n > 0) {
            PL_TRY(set_variable(i, names[0], n == 2 ? &key : &item));
        }
        if (n > 1) {
            PL_TRY(set_variable(i, names[1], &item));
        }
        PL_TRY(exec_list(i, &item, real, &ending));
    }
    if (ending == END_ELSE) {
        PL_TRY(close_action(i));
        PL_TRY(exec_list(i, dot, run && count == 0, &ending));
    }
    i->var_count = vars;
    return must_end(i, ending);
}

/* {{ $x := pipeline }}, {{ $x = pipeline }} or {{ pipeline }} */
static pl_status exec_pipeline(struct interp *i, const struct template_value *dot, bool run)
{
    struct template_value v;
    size_t n;
    pl_str names[2];

    PL_TRY(declarations(i, names, &n));
    PL_TRY(pipeline(i, dot, run, &v));
    PL_TRY(close_action(i));
    if (n > 0) {
        return set_variable(i, names[0], &v);
    }
    if (run) {
        template_print(i->out, &v);
    }
    return PL_OK;
}

/* The action at i->at, behind {{. *ending is set where it ends a list. */
static pl_status exec_action(struct interp *i, const struct template_value *dot, bool run, bool *ended,
                             enum ending *ending)
{
    size_t start;
    pl_str w;

    if (++i->steps > TEMPLATE_STEPS_MAX) {
        return pl_fail(i->err, PL_LIMIT, "template: more than %d actions", TEMPLATE_STEPS_MAX);
    }
    if (pl_str_starts(rest(i), PL_STR("- "))) {
        i->at++;
    }
    blanks(i);
    if (take(i, "/*")) {
        size_t end = pl_str_find_str(rest(i), PL_STR("*/"));

        if (end == SIZE_MAX) {
            return pl_fail(i->err, PL_INVALID, "template: unclosed comment");
        }
        i->at += end + 2;
        return close_action(i);
    }
    start = i->at;
    w = name(i);
    if (pl_str_eq(w, PL_STR("end"))) {
        *ended = true;
        *ending = END_ACTION;
        return close_action(i);
    }
    if (pl_str_eq(w, PL_STR("else"))) {
        *ended = true;
        *ending = END_ELSE;
        return PL_OK;
    }
    if (pl_str_eq(w, PL_STR("if")) || pl_str_eq(w, PL_STR("with"))) {
        return exec_if(i, dot, run, w.n == 4);
    }
    if (pl_str_eq(w, PL_STR("range"))) {
        return exec_range(i, dot, run);
    }
    if (pl_str_eq(w, PL_STR("define")) || pl_str_eq(w, PL_STR("template")) || pl_str_eq(w, PL_STR("block"))) {
        return pl_fail(i->err, PL_INVALID, "template: {{%.*s}} is not supported in rules here", PL_STR_ARG(w));
    }
    i->at = start;
    return exec_pipeline(i, dot, run);
}

static void put_text(struct interp *i, pl_str text, bool run, bool trim_end)
{
    if (i->trim_next) {
        while (text.n > 0 && is_space(text.p[0])) {
            text = pl_str_sub(text, 1, text.n);
        }
        i->trim_next = false;
    }
    while (trim_end && text.n > 0 && is_space(text.p[text.n - 1])) {
        text.n--;
    }
    if (run) {
        pl_buf_str(i->out, text);
    }
}

static pl_status exec_list(struct interp *i, const struct template_value *dot, bool run, enum ending *ending)
{
    bool ended = false;

    if (++i->depth > TEMPLATE_DEPTH_MAX) {
        return pl_fail(i->err, PL_LIMIT, "template: nested more than %d deep", TEMPLATE_DEPTH_MAX);
    }
    *ending = END_OF_TEXT;
    while (!ended && i->at < i->s.n) {
        size_t open = pl_str_find_str(rest(i), PL_STR("{{"));
        pl_str text = pl_str_sub(rest(i), 0, open == SIZE_MAX ? i->s.n - i->at : open);

        i->at += text.n;
        put_text(i, text, run, pl_str_starts(rest(i), PL_STR("{{- ")));
        if (take(i, "{{")) {
            PL_TRY(exec_action(i, dot, run, &ended, ending));
        }
        if (i->out->overflow) {
            return pl_fail(i->err, PL_LIMIT, "template: its text is longer than %d bytes", TEMPLATE_OUTPUT_MAX);
        }
    }
    i->depth--;
    return PL_OK;
}

static pl_status execute(struct interp *i, bool run)
{
    static const struct template_data none = {.now_ms = 0};
    const struct template_data *d = i->data != NULL ? i->data : &none;
    const struct template_value dot = {.kind = T_DATA};
    const struct template_value values[] = {{.kind = T_LABELS, .labels = d->labels},
                                            {.kind = T_LABELS, .labels = d->external_labels},
                                            {.kind = T_TEXT, .text = d->external_url},
                                            {.kind = T_FLOAT, .num = d->value},
                                            dot};
    static const pl_str names[] = {PL_STR_INIT("$labels"), PL_STR_INIT("$externalLabels"), PL_STR_INIT("$externalURL"),
                                   PL_STR_INIT("$value"), PL_STR_INIT("$")};
    enum ending ending;

    for (size_t k = 0; k < PL_ARRAY_LEN(names); k++) {
        PL_TRY(set_variable(i, names[k], &values[k]));
    }
    PL_TRY(exec_list(i, &dot, run, &ending));
    return ending == END_OF_TEXT
               ? PL_OK
               : pl_fail(i->err, PL_INVALID, "template: unexpected {{%s}}", ending == END_ELSE ? "else" : "end");
}

pl_status rules_template_check(struct pl_arena *a, pl_str text, struct pl_err *err)
{
    struct pl_buf out;
    struct interp i = {.a = a, .s = text, .out = &out, .err = err};
    pl_status st;

    pl_buf_init(&out, 0);
    st = execute(&i, false);
    pl_buf_fini(&out);
    return st;
}

pl_status rules_template_expand(struct pl_buf *out, struct pl_arena *a, pl_str text, const struct template_data *data,
                                struct pl_err *err)
{
    struct pl_buf own;
    struct interp i = {.a = a, .s = text, .data = data, .out = &own, .err = err};
    pl_status st;

    pl_buf_init(&own, TEMPLATE_OUTPUT_MAX);
    st = execute(&i, true);
    if (st == PL_OK) {
        pl_buf_str(out, pl_buf_view(&own));
    }
    pl_buf_fini(&own);
    return st;
}
