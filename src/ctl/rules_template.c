#include "ctl/rules_template_internal.h"

enum ending { END_OF_TEXT, END_ACTION, END_ELSE };

static pl_status exec_list(struct interp *i, const struct template_value *dot, bool run, enum ending *ending);

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static pl_status close_action(struct interp *i)
{
    template__blanks(i);
    i->trim_next = template__take(i, "-}}");
    if (i->trim_next || template__take(i, "}}")) {
        return PL_OK;
    }
    return i->at >= i->s.n ? pl_fail(i->err, PL_INVALID, "template: unclosed action")
                           : pl_fail(i->err, PL_INVALID, "template: unexpected %.20s in operand",
                                     pl_arena_str(i->a, pl_str_sub(i->s, i->at, PL_MIN(i->s.n, i->at + 20))).p);
}

static pl_status set_variable(struct interp *i, pl_str n, const struct template_value *v)
{
    if (i->var_count == TEMPLATE_VARS_MAX) {
        return pl_fail(i->err, PL_LIMIT, "template: more than %d variables", TEMPLATE_VARS_MAX);
    }
    i->vars[i->var_count++] = (struct template_variable){n, *v};
    return PL_OK;
}

/* `$x := pipeline`, `$i, $x := pipeline` (range) or a pipeline: how many names there are. */
static pl_status declarations(struct interp *i, pl_str names[2], size_t *n)
{
    size_t start = i->at;

    *n = 0;
    while (*n < 2 && i->at < i->s.n && i->s.p[i->at] == '$') {
        size_t from = i->at++;

        (void)template__name(i);
        names[(*n)++] = pl_str_sub(i->s, from, i->at);
        template__blanks(i);
        if (template__take(i, ":=")) {
            return PL_OK;
        }
        if (!template__take(i, ",")) {
            break;
        }
        template__blanks(i);
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

    template__blanks(i);
    PL_TRY(declarations(i, names, &n));
    PL_TRY(template__pipeline(i, dot, run, &v));
    if (n > 0) {
        PL_TRY(set_variable(i, names[0], &v));
    }
    PL_TRY(close_action(i));
    truth = run && template_truth(&v);
    PL_TRY(exec_list(i, with ? &v : dot, truth, &ending));
    if (ending == END_ELSE) {
        template__blanks(i);
        if (template__at_close(i)) {
            PL_TRY(close_action(i));
            PL_TRY(exec_list(i, dot, run && !truth, &ending));
            PL_TRY(must_end(i, ending));
        } else {
            bool else_with = template__take(i, "with");

            if (!else_with && !template__take(i, "if")) {
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

    template__blanks(i);
    PL_TRY(declarations(i, names, &n));
    PL_TRY(template__pipeline(i, dot, run, &v));
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
    PL_TRY(template__pipeline(i, dot, run, &v));
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
    if (pl_str_starts(template__rest(i), PL_STR("- "))) {
        i->at++;
    }
    template__blanks(i);
    if (template__take(i, "/*")) {
        size_t end = pl_str_find_str(template__rest(i), PL_STR("*/"));

        if (end == SIZE_MAX) {
            return pl_fail(i->err, PL_INVALID, "template: unclosed comment");
        }
        i->at += end + 2;
        return close_action(i);
    }
    start = i->at;
    w = template__name(i);
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
        size_t open = pl_str_find_str(template__rest(i), PL_STR("{{"));
        pl_str text = pl_str_sub(template__rest(i), 0, open == SIZE_MAX ? i->s.n - i->at : open);

        i->at += text.n;
        put_text(i, text, run, pl_str_starts(template__rest(i), PL_STR("{{- ")));
        if (template__take(i, "{{")) {
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
