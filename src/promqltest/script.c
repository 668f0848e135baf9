/* Files of the test language to commands. Lines are trimmed; a comment counts as an empty line, and an empty line ends
 * a block. */
#include "promqltest/internal.h"

#include "regex/regex.h"

#include <math.h>

struct reader {
    struct pl_arena *a;
    pl_str text;
    size_t at;
    unsigned line; /* of the last line read */
    bool ended;    /* it was empty: the block has ended */
    size_t cap;
};

/* ---- lines and words ---- */

static bool next_line(struct reader *r, pl_str *out)
{
    size_t from = r->at, to;

    if (from >= r->text.n) {
        return false;
    }
    for (to = from; to < r->text.n && r->text.p[to] != '\n'; to++) {
    }
    r->at = to + 1;
    r->line++;
    *out = pl_str_trim(pl_str_sub(r->text, from, to));
    if (out->n > 0 && out->p[0] == '#') {
        out->n = 0;
    }
    r->ended = out->n == 0;
    return true;
}

/* The next line of the block; false: the block has ended. */
static bool block_line(struct reader *r, pl_str *out)
{
    return next_line(r, out) && out->n > 0;
}

static pl_str word(pl_str *s)
{
    size_t n = 0;
    pl_str w;

    *s = ptest__blanks(*s);
    while (n < s->n && s->p[n] != ' ' && s->p[n] != '\t') {
        n++;
    }
    w = pl_str_sub(*s, 0, n);
    *s = pl_str_trim(pl_str_sub(*s, n, s->n));
    return w;
}

static bool is(pl_str s, const char *what)
{
    return pl_str_eq_nocase(s, pl_str_c(what));
}

static pl_status keyword(pl_str *s, const char *want, struct pl_err *err)
{
    pl_str w = word(s);

    return is(w, want) ? PL_OK : pl_fail(err, PL_INVALID, "\"%s\" is expected, not \"%.*s\"", want, PL_STR_ARG(w));
}

static pl_status duration(pl_str *s, int64_t *out_ms, const char *what, struct pl_err *err)
{
    pl_str w = word(s);

    if (is(w, "0")) {
        *out_ms = 0;
        return PL_OK;
    }
    return pq_parse_duration(out_ms, w, NULL) == PL_OK
               ? PL_OK
               : pl_fail(err, PL_INVALID, "invalid %s definition \"%.*s\"", what, PL_STR_ARG(w));
}

/* from A to B step S */
static pl_status grid(pl_str *s, int64_t *start_ms, int64_t *end_ms, int64_t *step_ms, struct pl_err *err)
{
    PL_TRY(keyword(s, "from", err));
    PL_TRY(duration(s, start_ms, "start timestamp", err));
    PL_TRY(keyword(s, "to", err));
    PL_TRY(duration(s, end_ms, "end timestamp", err));
    PL_TRY(keyword(s, "step", err));
    PL_TRY(duration(s, step_ms, "step", err));
    if (*end_ms < *start_ms) {
        return pl_fail(err, PL_INVALID, "the end is before the start");
    }
    return *step_ms > 0 ? PL_OK : pl_fail(err, PL_INVALID, "the step must be above zero");
}

static pl_status no_memory(struct pl_err *err)
{
    return pl_fail(err, PL_LIMIT, "the file is too large");
}

/* ---- load ---- */

static bool is_start_line(pl_str s)
{
    return pl_str_starts(pl_str_sub(s, ptest__metric_end(s), s.n), PL_STR("@st"));
}

static pl_status start_line(struct reader *r, pl_str s, struct ptest_series *out, struct pl_err *err)
{
    size_t end = ptest__metric_end(s);

    out->line = r->line;
    PL_TRY(ptest_labels_parse(&out->labels, r->a, pl_str_sub(s, 0, end), err));
    return ptest__start_times(&out->values, &out->n, r->a, pl_str_sub(s, end + 3, s.n), err);
}

/* Joins a sample line with the @st line before it. */
static pl_status join_starts(struct ptest_series *samples, const struct ptest_series *starts, struct pl_err *err)
{
    if (!labels_eq(samples->labels, starts->labels)) {
        return pl_fail(err, PL_INVALID, "@st metric does not match the following sample line metric");
    }
    if (samples->n != starts->n) {
        return pl_fail(err, PL_INVALID, "@st line has %zu values but sample line has %zu", starts->n, samples->n);
    }
    for (size_t i = 0; i < samples->n; i++) {
        samples->values[i].has_start = starts->values[i].has_start;
        samples->values[i].start_ms = starts->values[i].start_ms;
    }
    return PL_OK;
}

/* A later line of the same series replaces the earlier one. */
static void add_unique(struct ptest_load *load, const struct ptest_series *s)
{
    size_t k = 0;

    while (k < load->n && !labels_eq(load->series[k].labels, s->labels)) {
        k++;
    }
    load->series[k] = *s;
    load->n = PL_MAX(load->n, k + 1);
}

static pl_status parse_load(struct reader *r, struct ptest_load *load, pl_str rest, struct pl_err *err)
{
    struct ptest_series starts, s;
    bool pending = false;
    size_t cap = 0;
    pl_str line;

    PL_TRY(duration(&rest, &load->step_ms, "step", err));
    if (rest.n > 0) {
        return pl_fail(err, PL_INVALID, "load takes a step only, not \"%.*s\"", PL_STR_ARG(rest));
    }
    while (block_line(r, &line)) {
        if (is_start_line(line)) {
            if (pending) {
                break;
            }
            PL_TRY(start_line(r, line, &starts, err));
            pending = load->has_starts = true;
            continue;
        }
        PL_TRY(ptest_series_parse(&s, r->a, line, err));
        s.line = r->line;
        if (pending) {
            PL_TRY(join_starts(&s, &starts, err));
            pending = false;
        }
        if (!ptest__grow(r->a, load->series, cap, load->n)) {
            return no_memory(err);
        }
        add_unique(load, &s);
    }
    return pending ? pl_fail(err, PL_INVALID, "@st line has no following sample line") : PL_OK;
}

/* ---- expectations ---- */

static void free_regex(void *re)
{
    regex_destroy(re);
}

/* The regex module matches whole texts; the language searches. */
static pl_status search_regex(const struct regex **out, struct pl_arena *a, pl_str pattern, struct pl_err *err)
{
    struct regex *re;
    struct pl_buf b;
    pl_status st;

    pl_buf_init(&b, 0);
    pl_buf_cstr(&b, ".*(?:");
    pl_buf_str(&b, pattern);
    pl_buf_cstr(&b, ").*");
    st = regex_compile(&re, pl_buf_view(&b), err);
    pl_buf_fini(&b);
    PL_TRY(st);
    pl_arena_on_free(a, free_regex, re);
    *out = re;
    return PL_OK;
}

static pl_status add_expect(struct reader *r, struct ptest_eval *e, const struct ptest_expect *x, struct pl_err *err)
{
    struct ptest_expect *to;

    if (e->expects == NULL) {
        e->expects = pl_arena_new_array_try(r->a, struct ptest_expect, PTEST_EXPECTS_MAX);
    }
    if (e->expects == NULL) {
        return no_memory(err);
    }
    if (e->expect_count == PTEST_EXPECTS_MAX) {
        return pl_fail(err, PL_LIMIT, "more than %d expect lines", PTEST_EXPECTS_MAX);
    }
    for (size_t i = 0; i < e->expect_count; i++) {
        enum ptest_expect_kind a = e->expects[i].kind, b = x->kind;
        if (a == PTEST_FAIL && b == PTEST_FAIL) {
            return pl_fail(err, PL_INVALID, "invalid expect lines, multiple expect fail lines are not allowed");
        }
        if ((a == PTEST_WARN && b == PTEST_NO_WARN) || (a == PTEST_NO_WARN && b == PTEST_WARN) ||
            (a == PTEST_INFO && b == PTEST_NO_INFO) || (a == PTEST_NO_INFO && b == PTEST_INFO)) {
            return pl_fail(err, PL_INVALID, "invalid expect lines, %s cannot be used together",
                           a == PTEST_WARN || a == PTEST_NO_WARN ? "warn and no_warn" : "info and no_info");
        }
    }
    to = &e->expects[e->expect_count++];
    *to = *x;
    e->fail = e->fail || x->kind == PTEST_FAIL;
    return x->match == PTEST_REGEX ? search_regex(&to->re, r->a, x->text, err) : PL_OK;
}

static pl_status quoted(struct pl_arena *a, pl_str s, pl_str *out, struct pl_err *err)
{
    struct pq_node *n;

    if (s.n < 2 || (s.p[0] != '"' && s.p[0] != '`') || pq_parse(&n, a, s, &ptest_parse_options, NULL) != PL_OK ||
        n->kind != PQ_STRING_LIT) {
        return pl_fail(err, PL_INVALID,
                       "expected string literal not valid - check that the string is correctly quoted");
    }
    *out = n->string;
    return PL_OK;
}

/* expect string "..." and expect range vector ..., which are no matters of text. */
static pl_status parse_expect(struct reader *r, struct ptest_eval *e, pl_str s, struct pl_err *err)
{
    static const char *const kinds[] = {"fail", "warn", "info", "no_warn", "no_info"}; /* enum ptest_expect_kind */
    struct ptest_expect x = {.match = PTEST_ANY};
    pl_str kind = word(&s);
    size_t k = 0;

    if (is(kind, "ordered") && s.n == 0) {
        e->ordered = true;
        return PL_OK;
    }
    if (is(kind, "string")) {
        e->has_string = true;
        return quoted(r->a, s, &e->string, err);
    }
    if (is(kind, "range")) {
        PL_TRY(keyword(&s, "vector", err));
        PL_TRY(grid(&s, &e->grid_start_ms, &e->grid_end_ms, &e->grid_step_ms, err));
        e->has_grid = true;
        e->start_ms = e->end_ms = e->grid_end_ms;
        return e->range ? pl_fail(err, PL_INVALID, "expect range vector is for instant queries") : PL_OK;
    }
    while (k < PL_ARRAY_LEN(kinds) && !is(kind, kinds[k])) {
        k++;
    }
    if (k == PL_ARRAY_LEN(kinds)) {
        return pl_fail(err, PL_INVALID, "invalid expected error/annotation type %.*s", PL_STR_ARG(kind));
    }
    x.kind = (enum ptest_expect_kind)k;
    if (pl_str_starts(s, PL_STR("msg:"))) {
        x.match = PTEST_MSG;
        x.text = pl_str_trim(pl_str_sub(s, 4, s.n));
    } else if (pl_str_starts(s, PL_STR("regex:"))) {
        x.match = PTEST_REGEX;
        x.text = pl_str_trim(pl_str_sub(s, 6, s.n));
    } else if (s.n > 0) {
        return pl_fail(err, PL_INVALID, "msg: or regex: is expected at \"%.*s\"", PL_STR_ARG(s));
    }
    return add_expect(r, e, &x, err);
}

static pl_status parse_row(struct reader *r, struct ptest_eval *e, pl_str s, size_t *cap, struct pl_err *err)
{
    struct ptest_series *row;
    pl_str rest = s;
    size_t k = 0;

    if (ptest__number(&rest, &e->scalar) && rest.n == 0) {
        e->has_scalar = true;
        return PL_OK;
    }
    if (!ptest__grow(r->a, e->series, *cap, e->series_count)) {
        return no_memory(err);
    }
    row = &e->series[e->series_count];
    PL_TRY(ptest_series_parse(row, r->a, s, err));
    row->line = r->line;
    if (row->n == 0) {
        return pl_fail(err, PL_INVALID, "a series without a value");
    }
    if (!e->range && !e->has_grid && (row->n > 1 || row->values[0].gap)) {
        return pl_fail(err, PL_INVALID,
                       "one value per series in an instant evaluation; a range vector needs `expect range vector`");
    }
    while (!labels_eq(e->series[k].labels, row->labels)) {
        k++;
    }
    if (k < e->series_count) {
        return pl_fail(err, PL_INVALID, "the series is there already, in line %u", e->series[k].line);
    }
    e->series_count++;
    return PL_OK;
}

static pl_status parse_expectation(struct reader *r, struct ptest_eval *e, pl_str s, size_t *cap, struct pl_err *err)
{
    pl_str rest = s, first = word(&rest);

    if (pl_str_eq(first, PL_STR("expect"))) {
        return parse_expect(r, e, rest, err);
    }
    if (e->fail && (is(first, "expected_fail_message") || is(first, "expected_fail_regexp"))) {
        bool regex = is(first, "expected_fail_regexp");

        return add_expect(
            r, e, &(struct ptest_expect){.kind = PTEST_FAIL, .match = regex ? PTEST_REGEX : PTEST_MSG, .text = rest},
            err);
    }
    return parse_row(r, e, s, cap, err);
}

/* ---- eval ---- */

static pl_status eval_suffix(struct reader *r, struct ptest_eval *e, pl_str suffix, struct pl_err *err)
{
    if (suffix.n == 0) {
        return PL_OK;
    }
    if (is(suffix, "_ordered")) {
        e->ordered = true;
        return PL_OK;
    }
    if (is(suffix, "_fail")) {
        e->fail = true;
        return PL_OK;
    }
    if (is(suffix, "_warn") || is(suffix, "_info")) {
        /* The old forms ask for some annotation of that kind and say nothing of the others. */
        return add_expect(r, e, &(struct ptest_expect){.kind = is(suffix, "_warn") ? PTEST_WARN : PTEST_INFO}, err);
    }
    return pl_fail(err, PL_INVALID, "unknown command \"eval%.*s\"", PL_STR_ARG(suffix));
}

static pl_status eval_head(struct reader *r, struct ptest_eval *e, pl_str suffix, pl_str s, struct pl_err *err)
{
    pl_str form = word(&s);

    PL_TRY(eval_suffix(r, e, suffix, err));
    e->range = is(form, "range");
    if (e->range) {
        PL_TRY(grid(&s, &e->start_ms, &e->end_ms, &e->step_ms, err));
        if (e->ordered) {
            return pl_fail(err, PL_INVALID, "a range evaluation has no order");
        }
    } else if (is(form, "instant")) {
        PL_TRY(keyword(&s, "at", err));
        PL_TRY(duration(&s, &e->start_ms, "timestamp", err));
        e->end_ms = e->start_ms;
    } else {
        return pl_fail(err, PL_INVALID,
                       "\"instant at TIME QUERY\" or \"range from TIME to TIME step TIME QUERY\" is "
                       "expected");
    }
    if (s.n == 0) {
        return pl_fail(err, PL_INVALID, "the query is missing");
    }
    e->query = s;
    return PL_OK;
}

static pl_status parse_eval(struct reader *r, struct ptest_eval *e, pl_str suffix, pl_str rest, struct pl_err *err)
{
    size_t cap = 0;
    pl_str line;

    PL_TRY(eval_head(r, e, suffix, rest, err));
    while (block_line(r, &line)) {
        PL_TRY(parse_expectation(r, e, line, &cap, err));
    }
    return PL_OK;
}

/* ---- commands ---- */

static pl_status parse_command(struct reader *r, struct ptest_command *c, pl_str s, struct pl_err *err)
{
    pl_str rest = s, name = word(&rest);

    if (is(name, "clear")) {
        c->kind = PTEST_CLEAR;
        return PL_OK;
    }
    if (is(name, "load") || is(name, "load_with_nhcb")) {
        c->kind = PTEST_LOAD;
        c->load.nhcb = !is(name, "load");
        return parse_load(r, &c->load, rest, err);
    }
    if (name.n >= 4 && is(pl_str_sub(name, 0, 4), "eval")) {
        c->kind = PTEST_EVAL;
        return parse_eval(r, &c->eval, pl_str_sub(name, 4, name.n), rest, err);
    }
    return pl_fail(err, PL_INVALID, "unknown command \"%.*s\"", PL_STR_ARG(name));
}

pl_status ptest_script_parse(struct ptest_script *out, struct pl_arena *a, pl_str text, struct pl_err *err)
{
    struct reader r = {.a = a, .text = text};
    pl_str line;

    *out = (struct ptest_script){0};
    while (next_line(&r, &line)) {
        struct ptest_command *c;
        struct pl_err bad = {.status = PL_OK};

        if (line.n == 0) {
            continue;
        }
        if (!ptest__grow(a, out->commands, r.cap, out->n)) {
            return no_memory(err);
        }
        c = &out->commands[out->n++];
        *c = (struct ptest_command){.line = r.line};
        if (parse_command(&r, c, line, &bad) == PL_OK) {
            continue;
        }
        if (a->limit_bytes > 0 && a->used_bytes > a->limit_bytes / 2 && bad.status == PL_LIMIT) {
            return pl_fail(err, PL_LIMIT, "%s", bad.msg);
        }
        *c = (struct ptest_command){.kind = PTEST_BAD, .line = r.line, .bad = pl_arena_str(a, pl_str_c(bad.msg))};
        while (!r.ended && next_line(&r, &line)) { /* the rest of its block */
        }
    }
    return PL_OK;
}
