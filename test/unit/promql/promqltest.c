#include "promqltest.h"

#include "codec/float_text.h"
#include "mem_source.h"
#include "promql/engine.h"
#include "promql/functions.h"
#include "regex/regex.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    MARK_HISTOGRAM = 1,
    MARK_START_TIME = 2,
    LABELS_MAX = 64,
    VALUES_MAX = 20000,
    EXPECT_MAX = 16,
    SERIES_MAX = 512
};

struct value {
    double v;
    bool gap;
};

struct series_line {
    struct label label[LABELS_MAX];
    struct labels labels;
    struct value *values;
    size_t n;
    bool histogram, start_times;
};

enum expect_kind { EXPECT_FAIL, EXPECT_WARN, EXPECT_INFO, EXPECT_NO_WARN, EXPECT_NO_INFO };

struct expect {
    enum expect_kind kind;
    bool has_msg, has_regex;
    pl_str text;
};

struct eval {
    pl_str query;
    bool range, ordered, fail;
    int64_t start_ms, end_ms, step_ms;
    struct expect expect[EXPECT_MAX];
    size_t expect_n;
    struct series_line *series;
    size_t series_n;
    bool has_scalar, has_string, has_matrix, histogram;
    double scalar;
    pl_str string;
    int64_t matrix_start_ms, matrix_step_ms;
    unsigned line;
};

struct run {
    struct promqltest_result *result;
    const struct promqltest_options *o;
    pl_str name, text;
    size_t at;
    unsigned line;
    struct mem_source source;
    struct pl_arena arena; /* of one command */
};

/* ---- text ---- */

static bool next_line(struct run *r, pl_str *out)
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
    return true;
}

static pl_str word(pl_str *s)
{
    size_t n = 0;
    pl_str w;

    *s = pl_str_trim(*s);
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

static void complain(struct run *r, unsigned line, const char *fmt, ...) PL_PRINTF(3, 4);
static void complain(struct run *r, unsigned line, const char *fmt, ...)
{
    va_list ap;

    printf("  %.*s:%u: ", PL_STR_ARG(r->name), line);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
}

/* A quoted string with the escapes that occur; the text is put into the arena. */
static bool quoted(struct run *r, pl_str *s, pl_str *out)
{
    char q = s->p[0], *to = pl_arena_alloc(&r->arena, s->n + 1);
    size_t i = 1, n = 0;

    for (; i < s->n && s->p[i] != q; i++) {
        char c = s->p[i];

        if (c == '\\' && q != '`' && i + 1 < s->n) {
            c = s->p[++i];
            c = c == 'n' ? '\n' : c == 't' ? '\t' : c;
        }
        to[n++] = c;
    }
    if (i >= s->n) {
        return false;
    }
    *out = pl_str_of(to, n);
    *s = pl_str_sub(*s, i + 1, s->n);
    return true;
}

static bool is_quote(char c)
{
    return c == '"' || c == '\'' || c == '`';
}

static pl_str name_run(pl_str *s)
{
    size_t n = 0;
    pl_str out;

    while (n < s->n && strchr("{}=, \t", s->p[n]) == NULL) {
        n++;
    }
    out = pl_str_sub(*s, 0, n);
    *s = pl_str_sub(*s, n, s->n);
    return out;
}

static void set_label(struct series_line *out, pl_str name, pl_str value)
{
    if (value.n > 0 && out->labels.n < LABELS_MAX) {
        out->label[out->labels.n++] = (struct label){name, value};
    }
}

/* metric{a="b"}; *s is left behind it. */
static bool parse_metric(struct run *r, pl_str *s, struct series_line *out)
{
    pl_str name = name_run(s);

    out->labels = (struct labels){out->label, 0};
    set_label(out, LABEL_METRIC_NAME, name);
    if (s->n > 0 && s->p[0] == '{') {
        *s = pl_str_sub(*s, 1, s->n);
        for (;;) {
            pl_str l, v;

            while (s->n > 0 && strchr(" ,\t", s->p[0]) != NULL) {
                *s = pl_str_sub(*s, 1, s->n);
            }
            if (s->n == 0) {
                return false;
            }
            if (s->p[0] == '}') {
                *s = pl_str_sub(*s, 1, s->n);
                break;
            }
            if (is_quote(s->p[0])) {
                if (!quoted(r, s, &l)) {
                    return false;
                }
            } else {
                l = name_run(s);
            }
            *s = pl_str_trim(*s);
            if (s->n == 0 || s->p[0] != '=') {
                set_label(out, LABEL_METRIC_NAME, l);
                continue;
            }
            *s = pl_str_trim(pl_str_sub(*s, 1, s->n));
            if (s->n == 0 || !is_quote(s->p[0]) || !quoted(r, s, &v)) {
                return false;
            }
            set_label(out, l, v);
        }
    }
    labels_sort(out->label, out->labels.n);
    return true;
}

/* ---- values ---- */

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A number or duration at the start of s; *s is left behind it. */
static bool number(pl_str *s, double *out)
{
    size_t i = s->n > 0 && (s->p[0] == '-' || s->p[0] == '+'), from = i;
    int64_t ms;

    if (s->n >= i + 3 && (pl_str_eq_nocase(pl_str_sub(*s, i, i + 3), PL_STR("inf")) ||
                          pl_str_eq_nocase(pl_str_sub(*s, i, i + 3), PL_STR("nan")))) {
        i += 3;
    } else {
        while (i < s->n && (digit(s->p[i]) || s->p[i] == '.')) {
            i++;
        }
        if (i < s->n && (s->p[i] == 'e' || s->p[i] == 'E')) {
            i += 1 + (i + 1 < s->n && (s->p[i + 1] == '-' || s->p[i + 1] == '+'));
            while (i < s->n && digit(s->p[i])) {
                i++;
            }
        } else if (i > from && i < s->n && strchr("smhdwy", s->p[i]) != NULL) {
            while (i < s->n && (digit(s->p[i]) || strchr("smhdwy", s->p[i]) != NULL)) {
                i++;
            }
            if (pq_parse_duration(&ms, pl_str_sub(*s, from, i), NULL) != PL_OK) {
                return false;
            }
            *out = (s->p[0] == '-' ? -1 : 1) * (double)ms / 1000;
            *s = pl_str_sub(*s, i, s->n);
            return true;
        }
    }
    if (!float_parse(pl_str_sub(*s, 0, i), out)) {
        return false;
    }
    if (isnan(*out)) {
        *out = pl_f64_from_bits(PL_NORMAL_NAN_BITS);
    }
    *s = pl_str_sub(*s, i, s->n);
    return true;
}

static bool add_value(struct series_line *out, double v, bool gap)
{
    if (out->n >= VALUES_MAX) {
        return false;
    }
    out->values[out->n++] = (struct value){v, gap};
    return true;
}

static bool repeat_count(pl_str *w, uint64_t *out)
{
    *out = 0;
    if (w->n == 0) {
        return true;
    }
    return w->p[0] == 'x' && pl_str_to_u64(pl_str_sub(*w, 1, w->n), out);
}

/* `_x3`, `1`, `1x3`, `1+2x3`, `stale`. */
static bool parse_item(pl_str w, struct series_line *out)
{
    double v = 0, d = 0;
    uint64_t times;
    bool gap = w.p[0] == '_';

    if (gap) {
        w = pl_str_sub(w, 1, w.n);
    } else if (pl_str_starts(w, PL_STR("stale"))) {
        v = pl_f64_from_bits(PL_STALE_NAN_BITS);
        w = pl_str_sub(w, 5, w.n);
    } else if (!number(&w, &v)) {
        return false;
    }
    if (!gap && w.n > 0 && w.p[0] != 'x' && !number(&w, &d)) {
        return false;
    }
    if (!repeat_count(&w, &times)) {
        return false;
    }
    times += gap && times > 0 ? 0 : 1; /* _x3 is three gaps, 1x3 four values */
    for (uint64_t i = 0; i < times; i++) {
        if (!add_value(out, v, gap)) {
            return false;
        }
        v += d;
    }
    return true;
}

static bool parse_series_line(struct run *r, pl_str s, struct series_line *out)
{
    *out = (struct series_line){.values = pl_arena_alloc(&r->arena, VALUES_MAX * sizeof(struct value))};
    if (!parse_metric(r, &s, out)) {
        return false;
    }
    if (pl_str_starts(s, PL_STR("@st"))) {
        out->start_times = true;
        return true;
    }
    for (s = pl_str_trim(s); s.n > 0;) {
        if (pl_str_starts(s, PL_STR("{{"))) {
            size_t end = pl_str_find_str(s, PL_STR("}}"));

            if (end == SIZE_MAX) {
                return false;
            }
            out->histogram = true;
            s = pl_str_sub(s, end + 2, s.n);
            if (s.n > 0 && (s.p[0] == '+' || s.p[0] == '-')) { /* {{..}}+{{..}}x3 */
                continue;
            }
            if (s.n > 0 && s.p[0] != ' ' && s.p[0] != '\t') {
                (void)word(&s); /* x3 */
            }
            s = pl_str_trim(s);
            if (!add_value(out, 0, true)) {
                return false;
            }
            continue;
        }
        if ((s.p[0] == '+' || s.p[0] == '-') && pl_str_starts(pl_str_sub(s, 1, s.n), PL_STR("{{"))) {
            s = pl_str_sub(s, 1, s.n);
            continue;
        }
        if (!parse_item(word(&s), out)) {
            return false;
        }
    }
    return true;
}

static bool duration(pl_str s, int64_t *out)
{
    bool negative = s.n > 0 && s.p[0] == '-';

    if (negative) {
        s = pl_str_sub(s, 1, s.n);
    }
    if (pl_str_eq(s, PL_STR("0"))) {
        *out = 0;
        return true;
    }
    if (pq_parse_duration(out, s, NULL) != PL_OK) {
        return false;
    }
    *out = negative ? -*out : *out;
    return true;
}

/* ---- load ---- */

static void load_line(struct run *r, pl_str s, int64_t step_ms, bool nhcb)
{
    struct series_line *line = pl_arena_new(&r->arena, struct series_line);
    static const pl_str suffix[] = {PL_STR_INIT("_bucket"), PL_STR_INIT("_count"), PL_STR_INIT("_sum")};
    struct mem_series *series;
    pl_str name;

    if (!parse_series_line(r, s, line)) {
        complain(r, r->line, "cannot read series line: %.*s", PL_STR_ARG(s));
        r->result->failed++;
        return;
    }
    series = mem_source_series(&r->source, line->labels);
    *mem_series_marks(series) |= (line->histogram ? MARK_HISTOGRAM : 0u) | (line->start_times ? MARK_START_TIME : 0u);
    for (size_t i = 0; i < line->n; i++) {
        if (!line->values[i].gap) {
            mem_series_add(&r->source, series, (int64_t)i * step_ms, line->values[i].v);
        }
    }
    name = labels_get(line->labels, LABEL_METRIC_NAME);
    for (size_t i = 0; nhcb && i < PL_ARRAY_LEN(suffix); i++) {
        if (pl_str_ends(name, suffix[i])) { /* a histogram series of this name and these labels would exist too */
            struct label l[LABELS_MAX];
            size_t n = 0;

            for (size_t k = 0; k < line->labels.n; k++) {
                if (!pl_str_eq(line->label[k].name, PL_STR("le"))) {
                    l[n] = line->label[k];
                    if (pl_str_eq(l[n].name, LABEL_METRIC_NAME)) {
                        l[n].value = pl_str_sub(name, 0, name.n - suffix[i].n);
                    }
                    n++;
                }
            }
            *mem_series_marks(mem_source_series(&r->source, (struct labels){l, n})) |= MARK_HISTOGRAM;
        }
    }
}

/* ---- which marks a query touches ---- */

static unsigned marks_of(struct run *r, const struct pq_node *n)
{
    unsigned m = 0;

    switch (n->kind) {
    case PQ_PAREN:
        return marks_of(r, n->paren.expr);
    case PQ_STEP_INVARIANT:
        return marks_of(r, n->step_invariant.expr);
    case PQ_UNARY:
        return marks_of(r, n->unary.expr);
    case PQ_BINARY:
        return marks_of(r, n->binary.lhs) | marks_of(r, n->binary.rhs);
    case PQ_AGGREGATE:
        return marks_of(r, n->agg.expr) | (n->agg.param != NULL ? marks_of(r, n->agg.param) : 0);
    case PQ_CALL:
        for (uint32_t i = 0; i < n->call.arg_count; i++) {
            m |= marks_of(r, n->call.args[i]);
        }
        return m;
    case PQ_MATRIX_SELECTOR:
        return marks_of(r, n->matrix.selector);
    case PQ_SUBQUERY:
        return marks_of(r, n->subquery.expr);
    case PQ_SELECTOR:
        for (size_t i = 0; i < r->source.n; i++) {
            struct mem_series *s = r->source.series[i];

            if (matchers_accept(n->selector.matchers, n->selector.matcher_count, mem_series_labels(s))) {
                m |= *mem_series_marks(s);
            }
        }
        return m;
    case PQ_NUMBER:
    case PQ_STRING_LIT:
        return 0;
    }
    return 0;
}

/* ---- eval blocks ---- */

static bool parse_expect(struct run *r, pl_str s, struct eval *e)
{
    struct expect x = {0};
    pl_str kind = word(&s);

    if (is(kind, "ordered")) {
        e->ordered = true;
        return true;
    }
    if (is(kind, "string")) {
        e->has_string = true;
        return s.n > 0 && is_quote(s.p[0]) && quoted(r, &s, &e->string);
    }
    if (is(kind, "range")) { /* vector from A to B step S */
        int64_t end;

        e->has_matrix = true;
        (void)word(&s);
        (void)word(&s);
        if (!duration(word(&s), &e->matrix_start_ms)) {
            return false;
        }
        (void)word(&s);
        if (!duration(word(&s), &end)) {
            return false;
        }
        (void)word(&s);
        return duration(word(&s), &e->matrix_step_ms);
    }
    x.kind = is(kind, "fail")      ? EXPECT_FAIL
             : is(kind, "warn")    ? EXPECT_WARN
             : is(kind, "info")    ? EXPECT_INFO
             : is(kind, "no_warn") ? EXPECT_NO_WARN
                                   : EXPECT_NO_INFO;
    e->fail = e->fail || x.kind == EXPECT_FAIL;
    if (pl_str_starts(s, PL_STR("msg:"))) {
        x.has_msg = true;
        x.text = pl_str_trim(pl_str_sub(s, 4, s.n));
    } else if (pl_str_starts(s, PL_STR("regex:"))) {
        x.has_regex = true;
        x.text = pl_str_trim(pl_str_sub(s, 6, s.n));
    }
    if (e->expect_n >= EXPECT_MAX) {
        return false;
    }
    e->expect[e->expect_n++] = x;
    return true;
}

static bool parse_expectation(struct run *r, pl_str s, struct eval *e)
{
    pl_str rest = s, first = word(&rest), whole = s;

    if (is(first, "expect")) {
        return parse_expect(r, rest, e);
    }
    if (is(first, "expected_fail_message") || is(first, "expected_fail_regexp")) {
        bool regex = is(first, "expected_fail_regexp");

        e->fail = true;
        e->expect[e->expect_n++] =
            (struct expect){.kind = EXPECT_FAIL, .has_msg = !regex, .has_regex = regex, .text = rest};
        return true;
    }
    if (number(&whole, &e->scalar) && whole.n == 0) {
        e->has_scalar = true;
        return true;
    }
    if (e->series_n >= SERIES_MAX || !parse_series_line(r, s, &e->series[e->series_n])) {
        return false;
    }
    e->histogram = e->histogram || e->series[e->series_n].histogram;
    e->series_n++;
    return true;
}

static bool parse_eval_head(pl_str s, pl_str command, struct eval *e)
{
    pl_str suffix = pl_str_sub(command, 4, command.n), form = word(&s);

    e->ordered = is(suffix, "_ordered");
    e->fail = is(suffix, "_fail");
    if (is(suffix, "_warn") || is(suffix, "_info")) {
        e->expect[e->expect_n++] = (struct expect){.kind = is(suffix, "_warn") ? EXPECT_WARN : EXPECT_INFO};
    }
    e->range = is(form, "range");
    (void)word(&s); /* at, from */
    if (!duration(word(&s), &e->start_ms)) {
        return false;
    }
    e->end_ms = e->start_ms;
    if (e->range) {
        (void)word(&s);
        if (!duration(word(&s), &e->end_ms)) {
            return false;
        }
        (void)word(&s);
        if (!duration(word(&s), &e->step_ms)) {
            return false;
        }
    }
    e->query = s;
    return true;
}

/* ---- comparing ---- */

static bool values_equal(double want, double got)
{
    double sum, diff;

    if (pl_is_stale(want) || pl_is_stale(got)) {
        return pl_is_stale(want) && pl_is_stale(got);
    }
    if ((isnan(want) && isnan(got)) || want == got) {
        return true;
    }
    sum = fabs(want) + fabs(got);
    diff = fabs(want - got);
    if (want == 0 || got == 0 || sum < DBL_MIN) {
        return diff < 1e-6 * DBL_MIN;
    }
    return diff / fmin(sum, DBL_MAX) < 1e-6;
}

static pl_str labels_string(struct run *r, struct labels ls)
{
    struct pl_buf b;
    pl_str s;

    pl_buf_init(&b, 0);
    labels_text(&b, ls);
    s = pl_arena_str(&r->arena, pl_buf_view(&b));
    pl_buf_fini(&b);
    return s;
}

static bool text_matches(const struct expect *x, pl_str text)
{
    struct regex *re;
    struct pl_buf b;
    bool ok;

    if (x->has_msg) {
        return pl_str_eq(x->text, text);
    }
    if (!x->has_regex) {
        return true;
    }
    pl_buf_init(&b, 0);
    pl_buf_printf(&b, ".*(?:%.*s).*", PL_STR_ARG(x->text));
    ok = regex_compile(&re, pl_buf_view(&b), NULL) == PL_OK;
    pl_buf_fini(&b);
    if (ok) {
        ok = regex_match(re, text);
        regex_destroy(re);
    }
    return ok;
}

static bool check_notes(struct run *r, const struct eval *e, const pl_str *texts, size_t n, bool info)
{
    enum expect_kind want = info ? EXPECT_INFO : EXPECT_WARN, none = info ? EXPECT_NO_INFO : EXPECT_NO_WARN;
    const char *kind = info ? "info" : "warning";
    bool wanted = false, ok = true;

    for (size_t i = 0; i < e->expect_n; i++) {
        bool found = false;

        if (e->expect[i].kind == none && n > 0) {
            complain(r, e->line, "unexpected %s: %.*s", kind, PL_STR_ARG(texts[0]));
            ok = false;
        }
        if (e->expect[i].kind != want) {
            continue;
        }
        wanted = true;
        for (size_t k = 0; k < n; k++) {
            found = found || text_matches(&e->expect[i], texts[k]);
        }
        if (!found) {
            complain(r, e->line, "missing %s: %.*s (got %zu, first: %.*s)", kind, PL_STR_ARG(e->expect[i].text), n,
                     n > 0 ? (int)texts[0].n : 0, n > 0 ? texts[0].p : "");
            ok = false;
        }
    }
    for (size_t k = 0; wanted && k < n; k++) {
        bool found = false;

        for (size_t i = 0; i < e->expect_n; i++) {
            found = found || (e->expect[i].kind == want && text_matches(&e->expect[i], texts[k]));
        }
        if (!found) {
            complain(r, e->line, "further %s: %.*s", kind, PL_STR_ARG(texts[k]));
            ok = false;
        }
    }
    return ok;
}

static bool check_points(struct run *r, const struct eval *e, const struct series_line *want,
                         const struct pq_series *got)
{
    int64_t start = e->has_matrix ? e->matrix_start_ms : e->start_ms;
    int64_t step = e->has_matrix ? e->matrix_step_ms : e->step_ms;
    size_t at = 0;

    for (size_t i = 0; i < want->n; i++) {
        int64_t t = start + (int64_t)i * step;

        if (want->values[i].gap || (!e->range && !e->has_matrix && i > 0)) {
            continue;
        }
        if (at >= got->count || got->points[at].t_ms != t || !values_equal(want->values[i].v, got->points[at].v)) {
            pl_str ls = labels_string(r, got->labels);

            complain(r, e->line, "%.*s: want %.17g at %lld ms, got %.17g at %lld ms", PL_STR_ARG(ls), want->values[i].v,
                     (long long)t, at < got->count ? got->points[at].v : 0.0,
                     at < got->count ? (long long)got->points[at].t_ms : -1);
            return false;
        }
        at++;
    }
    if (at != got->count) {
        pl_str ls = labels_string(r, got->labels);

        complain(r, e->line, "%.*s: %zu points more than wanted, first %.17g", PL_STR_ARG(ls), got->count - at,
                 got->points[at].v);
        return false;
    }
    return true;
}

static bool check_series(struct run *r, const struct eval *e, const struct pq_result *q)
{
    bool ok = true;

    for (size_t i = 0; i < q->series_count; i++) {
        size_t k = 0;

        while (k < e->series_n && !labels_eq(e->series[k].labels, q->series[i].labels)) {
            k++;
        }
        if (k == e->series_n) {
            pl_str ls = labels_string(r, q->series[i].labels);

            complain(r, e->line, "unexpected series %.*s = %.17g", PL_STR_ARG(ls), q->series[i].points[0].v);
            ok = false;
            continue;
        }
        if (e->ordered && k != i) {
            complain(r, e->line, "series %zu is at place %zu", k, i);
            ok = false;
        }
        ok = check_points(r, e, &e->series[k], &q->series[i]) && ok;
        for (size_t j = 0; j < i; j++) {
            if (labels_eq(q->series[i].labels, q->series[j].labels)) {
                complain(r, e->line, "a label set occurs twice in the result");
                ok = false;
            }
        }
        if (q->type == PQ_MATRIX && i > 0 && labels_cmp(q->series[i - 1].labels, q->series[i].labels) > 0) {
            complain(r, e->line, "a matrix that is not sorted");
            ok = false;
        }
    }
    for (size_t k = 0; k < e->series_n; k++) {
        bool found = false;

        for (size_t i = 0; i < q->series_count; i++) {
            found = found || labels_eq(e->series[k].labels, q->series[i].labels);
        }
        if (!found) {
            pl_str ls = labels_string(r, e->series[k].labels);

            complain(r, e->line, "missing series %.*s", PL_STR_ARG(ls));
            ok = false;
        }
    }
    return ok;
}

static bool check_result(struct run *r, const struct eval *e, const struct pq_result *q)
{
    bool ok = check_notes(r, e, q->notes.warnings, q->notes.warning_count, false);

    ok = check_notes(r, e, q->notes.infos, q->notes.info_count, true) && ok;
    if (e->has_string) {
        return ok && q->type == PQ_STRING && pl_str_eq(q->string, e->string);
    }
    if (e->has_scalar) {
        if (q->type != PQ_SCALAR || !values_equal(e->scalar, q->scalar)) {
            complain(r, e->line, "want scalar %.17g, got %.17g", e->scalar, q->scalar);
            return false;
        }
        return ok;
    }
    return check_series(r, e, q) && ok;
}

/* ---- running ---- */

static const struct pq_parse_options parse_all = {
    .experimental_functions = true, .extended_selectors = true, .fill_modifiers = true};

static pl_status query(struct run *r, struct pq_result *out, const struct pq_node *expr, int64_t start_ms,
                       int64_t end_ms, int64_t step_ms, struct pl_err *err)
{
    struct pq_query q = {.expr = expr,
                         .start_ms = start_ms,
                         .end_ms = end_ms,
                         .step_ms = step_ms,
                         .lookback_ms = 300000,
                         .default_step_ms = 60000,
                         .samples_max = 1000000,
                         .delayed_name_removal = true};

    *out = (struct pq_result){0};
    return pq_run(out, &r->arena, &r->source.base, &q, err);
}

static bool results_equal(const struct pq_result *a, const struct pq_result *b)
{
    if (a->type != b->type || a->series_count != b->series_count) {
        return false;
    }
    if (a->type == PQ_SCALAR) {
        return values_equal(a->scalar, b->scalar);
    }
    for (size_t i = 0; i < a->series_count; i++) {
        size_t k = 0;

        while (k < b->series_count && !labels_eq(a->series[i].labels, b->series[k].labels)) {
            k++;
        }
        if (k == b->series_count || a->series[i].count != b->series[k].count) {
            return false;
        }
        for (size_t p = 0; p < a->series[i].count; p++) {
            if (!values_equal(a->series[i].points[p].v, b->series[k].points[p].v)) {
                return false;
            }
        }
    }
    return true;
}

/* Does the tree use functions whose result depends on the evaluation time, whatever is put on its selectors? */
static bool uses_time(const struct pq_node *n)
{
    static const char *const names[] = {"days_in_month", "day_of_month", "day_of_week", "day_of_year",    "hour",
                                        "minute",        "month",        "year",        "predict_linear", "time",
                                        "timestamp",     "start",        "end",         "range",          "step"};

    switch (n->kind) {
    case PQ_PAREN:
        return uses_time(n->paren.expr);
    case PQ_UNARY:
        return uses_time(n->unary.expr);
    case PQ_BINARY:
        return uses_time(n->binary.lhs) || uses_time(n->binary.rhs);
    case PQ_AGGREGATE:
        return uses_time(n->agg.expr) || (n->agg.param != NULL && uses_time(n->agg.param));
    case PQ_SUBQUERY:
        return uses_time(n->subquery.expr);
    case PQ_CALL:
        for (size_t i = 0; i < PL_ARRAY_LEN(names); i++) {
            if (strcmp(n->call.func->name, names[i]) == 0) {
                return true;
            }
        }
        for (uint32_t i = 0; i < n->call.arg_count; i++) {
            if (uses_time(n->call.args[i])) {
                return true;
            }
        }
        return false;
    default:
        return false;
    }
}

/* Puts @ t on every selector and subquery without one, outside subqueries that have one. */
static void pin(struct pq_node *n, int64_t t_ms)
{
    struct pq_time *time = NULL;

    switch (n->kind) {
    case PQ_PAREN:
        pin(n->paren.expr, t_ms);
        return;
    case PQ_UNARY:
        pin(n->unary.expr, t_ms);
        return;
    case PQ_BINARY:
        pin(n->binary.lhs, t_ms);
        pin(n->binary.rhs, t_ms);
        return;
    case PQ_AGGREGATE:
        pin(n->agg.expr, t_ms);
        if (n->agg.param != NULL) {
            pin(n->agg.param, t_ms);
        }
        return;
    case PQ_CALL:
        for (uint32_t i = 0; i < n->call.arg_count; i++) {
            pin(n->call.args[i], t_ms);
        }
        return;
    case PQ_MATRIX_SELECTOR:
        pin(n->matrix.selector, t_ms);
        return;
    case PQ_SELECTOR:
        time = &n->selector.time;
        break;
    case PQ_SUBQUERY:
        time = &n->subquery.time;
        break;
    default:
        return;
    }
    if (time->at == PQ_AT_NONE) {
        time->at = PQ_AT_TIME;
        time->at_ms = t_ms;
    }
}

/* The two further checks of Prometheus's own runner. */
static bool check_again(struct run *r, const struct eval *e, const struct pq_node *expr, const struct pq_result *want)
{
    struct pq_node *pinned;
    struct pq_result got;
    struct pl_err err = {0};
    const int64_t t = e->start_ms, times[] = {-10 * t, 0, t / 5, t, 10 * t};
    bool ok = true;

    if (want->type != PQ_VECTOR && want->type != PQ_SCALAR) {
        return true;
    }
    if (!e->ordered && query(r, &got, expr, t - 60000, t + 60000, 60000, &err) == PL_OK) {
        struct pq_result middle = *want;
        size_t n = 0;

        r->result->extra_checks++;
        for (size_t i = 0; i < got.series_count; i++) { /* keep the middle step only */
            for (size_t p = 0; p < got.series[i].count; p++) {
                if (got.series[i].points[p].t_ms == t) {
                    got.series[n] = got.series[i];
                    got.series[n].points = &got.series[i].points[p];
                    got.series[n++].count = 1;
                    break;
                }
            }
        }
        got.series_count = n;
        got.type = want->type;
        if (want->type == PQ_SCALAR) {
            got.scalar = n > 0 ? got.series[0].points[0].v : 0;
            got.series_count = 0;
        }
        if (!uses_time(expr) && !results_equal(&middle, &got)) {
            complain(r, e->line, "the range query's middle step differs from the instant query");
            ok = false;
        }
    }
    if (uses_time(expr) || pq_parse(&pinned, &r->arena, e->query, &parse_all, &err) != PL_OK) {
        return ok;
    }
    pin(pinned, t);
    for (size_t i = 0; i < PL_ARRAY_LEN(times); i++) {
        r->result->extra_checks++;
        if (query(r, &got, pinned, times[i], times[i], 0, &err) != PL_OK || !results_equal(want, &got)) {
            complain(r, e->line, "pinned with @ %lld ms and asked at %lld ms it differs %s", (long long)t,
                     (long long)times[i], err.msg);
            return false;
        }
    }
    return ok;
}

static bool may_be_unimplemented(struct run *r, pl_str text)
{
    for (const char *const *u = r->o->unimplemented; u != NULL && *u != NULL; u++) {
        if (pl_str_find_str(text, pl_str_c(*u)) != SIZE_MAX) {
            return true;
        }
    }
    return false;
}

static bool check_failure(struct run *r, const struct eval *e, const struct pl_err *err)
{
    pl_str msg = pl_str_c(err->msg);

    if (!e->fail) {
        complain(r, e->line, "failed: %s", err->msg);
        return false;
    }
    for (size_t i = 0; i < e->expect_n; i++) {
        if (e->expect[i].kind == EXPECT_FAIL && !text_matches(&e->expect[i], msg)) {
            complain(r, e->line, "want failure %.*s, got %s", PL_STR_ARG(e->expect[i].text), err->msg);
            return false;
        }
    }
    return true;
}

static void run_eval(struct run *r, struct eval *e)
{
    struct promqltest_result *res = r->result;
    struct pq_node *expr = NULL;
    struct pq_result q;
    struct pl_err err = {0};
    pl_status st = pq_parse(&expr, &r->arena, e->query, &parse_all, &err);
    unsigned marks = st == PL_OK ? marks_of(r, expr) : 0;
    bool ok;

    res->evals++;
    if (e->histogram || (marks & MARK_HISTOGRAM) != 0) {
        res->skipped_histogram++;
        return;
    }
    if ((marks & MARK_START_TIME) != 0) {
        res->skipped_start_time++;
        return;
    }
    if (st == PL_OK) {
        st = query(r, &q, expr, e->start_ms, e->end_ms, e->step_ms, &err);
    }
    if (st == PL_UNIMPLEMENTED && may_be_unimplemented(r, e->query)) {
        res->unimplemented++;
        return;
    }
    if (st != PL_OK) {
        ok = check_failure(r, e, &err);
    } else if (e->fail) {
        complain(r, e->line, "did not fail");
        ok = false;
    } else {
        ok = check_result(r, e, &q);
        if (ok && !e->range && !e->has_matrix && !e->has_string) {
            ok = check_again(r, e, expr, &q);
        }
    }
    if (!ok) {
        complain(r, e->line, "-> %.*s", PL_STR_ARG(e->query));
    }
    res->passed += ok;
    res->failed += !ok;
}

static void run_command(struct run *r, pl_str s)
{
    pl_str rest = s, command = word(&rest), line;
    struct eval *e;
    int64_t step_ms;

    if (is(command, "clear")) {
        mem_source_fini(&r->source);
        mem_source_init(&r->source);
        return;
    }
    if (is(command, "load") || is(command, "load_with_nhcb")) {
        bool nhcb = is(command, "load_with_nhcb");

        if (!duration(word(&rest), &step_ms)) {
            complain(r, r->line, "bad step: %.*s", PL_STR_ARG(s));
            r->result->failed++;
        }
        while (next_line(r, &line) && line.n > 0) {
            load_line(r, line, step_ms, nhcb);
        }
        return;
    }
    e = pl_arena_new(&r->arena, struct eval);
    e->series = pl_arena_zero(&r->arena, SERIES_MAX * sizeof(*e->series));
    e->line = r->line;
    if (!pl_str_starts(command, PL_STR("eval")) || !parse_eval_head(rest, command, e)) {
        complain(r, r->line, "unknown command: %.*s", PL_STR_ARG(s));
        r->result->failed++;
        return;
    }
    while (next_line(r, &line) && line.n > 0) {
        if (!parse_expectation(r, line, e)) {
            complain(r, r->line, "cannot read expectation: %.*s", PL_STR_ARG(line));
            r->result->failed++;
            return;
        }
    }
    run_eval(r, e);
}

void promqltest_run(struct promqltest_result *out, pl_str name, pl_str text, const struct promqltest_options *o)
{
    struct run r = {.result = out, .o = o, .name = name, .text = text};
    pl_str line;

    *out = (struct promqltest_result){0};
    mem_source_init(&r.source);
    pl_arena_init(&r.arena, 0);
    while (next_line(&r, &line)) {
        if (line.n > 0) {
            run_command(&r, line);
            pl_arena_reset(&r.arena);
        }
    }
    mem_source_fini(&r.source);
    pl_arena_fini(&r.arena);
}
