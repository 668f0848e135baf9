/* Series lines: labels and the short notation of values. */
#include "promqltest/internal.h"

#include "codec/float_text.h"

#include <math.h>

bool ptest__grow_array(struct pl_arena *a, void **v, size_t *cap, size_t n, size_t size)
{
    size_t want = *cap < 8 ? 8 : *cap * 2;
    void *p = pl_arena_array_try(a, want, size);

    if (p == NULL) {
        return false;
    }
    if (n > 0) {
        memcpy(p, *v, n * size);
    }
    *v = p;
    *cap = want;
    return true;
}

pl_str ptest__blanks(pl_str s)
{
    while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t')) {
        s = pl_str_sub(s, 1, s.n);
    }
    return s;
}

/* ---- labels ---- */

size_t ptest__metric_end(pl_str s)
{
    bool braces = false;
    size_t i = 0;

    while (i < s.n) {
        char c = s.p[i];

        if (braces && (c == '"' || c == '\'' || c == '`')) {
            for (i++; i < s.n && s.p[i] != c; i++) {
                i += s.p[i] == '\\' && c != '`';
            }
        } else if (c == '{' && !braces) {
            braces = true;
        } else if (c == '}' && braces) {
            return PL_MIN(i + 1, s.n);
        } else if (!braces && (c == ' ' || c == '\t' || c == '@')) {
            break;
        }
        i++;
    }
    return PL_MIN(i, s.n);
}

/* The selector's parser knows all about names and quotes. It wants one matcher that is not empty: one more is added
 * and taken away again. */
#define SPARE_LABEL "__promqltest_spare__"

static bool with_spare(pl_str *out, struct pl_arena *a, pl_str text)
{
    static const char spare[] = SPARE_LABEL "=\"1\"}";
    char *p = pl_arena_alloc_try(a, text.n + 2 + sizeof(spare));
    pl_str inner = text;
    bool braces = text.n > 0 && text.p[text.n - 1] == '}';
    size_t n;

    if (p == NULL) {
        return false;
    }
    if (braces) {
        inner = pl_str_trim(pl_str_sub(text, 0, text.n - 1));
    }
    n = inner.n;
    if (n > 0) {
        memcpy(p, inner.p, n);
    }
    if (!braces) {
        p[n++] = '{';
    } else if (n > 0 && p[n - 1] != '{' && p[n - 1] != ',') {
        p[n++] = ',';
    }
    memcpy(p + n, spare, sizeof(spare) - 1);
    *out = pl_str_of(p, n + sizeof(spare) - 1);
    return true;
}

pl_status ptest_labels_parse(struct labels *out, struct pl_arena *a, pl_str text, struct pl_err *err)
{
    const struct matcher *m;
    struct label *l;
    size_t count, n = 0;

    if (text.n > PROMQL_TEXT_MAX) {
        return pl_fail(err, PL_LIMIT, "a series of more than %d bytes", PROMQL_TEXT_MAX);
    }
    if (!with_spare(&text, a, text)) {
        return pl_fail(err, PL_LIMIT, "the file is too large");
    }
    PL_TRY(pq_parse_selector(&m, &count, a, text, err));
    if (count > PTEST_LABELS_MAX) {
        return pl_fail(err, PL_LIMIT, "more than %d labels", PTEST_LABELS_MAX);
    }
    l = pl_arena_new_array_try(a, struct label, count + 1);
    if (l == NULL) {
        return pl_fail(err, PL_LIMIT, "the file is too large");
    }
    for (size_t i = 0; i < count; i++) {
        size_t k = 0;

        if (m[i].type != MATCH_EQ) {
            return pl_fail(err, PL_INVALID, "label \"%.*s\": only = is possible here", PL_STR_ARG(m[i].name));
        }
        if (m[i].value.n == 0 || pl_str_eq(m[i].name, PL_STR(SPARE_LABEL))) {
            continue;
        }
        while (k < n && !pl_str_eq(l[k].name, m[i].name)) { /* the last one of a name counts */
            k++;
        }
        l[k] = (struct label){m[i].name, m[i].value};
        n = PL_MAX(n, k + 1);
    }
    labels_sort(l, n);
    *out = (struct labels){l, n};
    return PL_OK;
}

/* ---- numbers ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_unit(char c)
{
    return c != '\0' && strchr("smhdwy", c) != NULL;
}

static size_t digits_end(pl_str s, size_t i)
{
    while (i < s.n && is_digit(s.p[i])) {
        i++;
    }
    return i;
}

/* Where the decimal number that begins at `from` ends. */
static size_t decimal_end(pl_str s, size_t from)
{
    size_t i = digits_end(s, from), exponent;

    if (i < s.n && s.p[i] == '.') {
        i = digits_end(s, i + 1);
    }
    if (i > from && i < s.n && (s.p[i] == 'e' || s.p[i] == 'E')) {
        exponent = i + 1;
        exponent += exponent < s.n && (s.p[exponent] == '-' || s.p[exponent] == '+');
        if (digits_end(s, exponent) > exponent) {
            i = digits_end(s, exponent);
        }
    }
    return i;
}

/* COMPAT: a whole number with a leading zero is octal, as Go's ParseInt with base 0 reads it. */
static bool octal(pl_str s, double *out)
{
    uint64_t v = 0;

    if (s.n < 2 || s.n > 20 || s.p[0] != '0') {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '7') {
            return false;
        }
        v = v * 8 + (uint64_t)(s.p[i] - '0');
    }
    *out = (double)v;
    return true;
}

static bool duration_seconds(pl_str s, double *out)
{
    int64_t ms;

    if (pq_parse_duration(&ms, s, NULL) != PL_OK) {
        return false;
    }
    *out = (double)ms / 1000;
    return true;
}

bool ptest__number(pl_str *s, double *out)
{
    bool negative = s->n > 0 && s->p[0] == '-';
    size_t from = s->n > 0 && (negative || s->p[0] == '+'), end = from;
    pl_str word = pl_str_sub(*s, from, PL_MIN(s->n, from + 3));

    if (pl_str_eq_nocase(word, PL_STR("inf")) || pl_str_eq_nocase(word, PL_STR("nan"))) {
        end = from + 3;
        *out = (word.p[0] | 0x20) == 'i' ? HUGE_VAL : pl_f64_from_bits(PL_NORMAL_NAN_BITS);
    } else {
        end = digits_end(*s, from);
        if (end > from && end < s->n && is_unit(s->p[end])) {
            while (end < s->n && (is_digit(s->p[end]) || is_unit(s->p[end]))) {
                end++;
            }
            if (!duration_seconds(pl_str_sub(*s, from, end), out)) {
                return false;
            }
        } else {
            end = decimal_end(*s, from);
            if (!octal(pl_str_sub(*s, from, end), out) && !float_parse(pl_str_sub(*s, from, end), out)) {
                return false;
            }
        }
    }
    if (negative && !isnan(*out)) {
        *out = -*out;
    }
    *s = pl_str_sub(*s, end, s->n);
    return true;
}

/* ---- values ---- */

struct line {
    struct pl_arena *a;
    struct ptest_value *v;
    size_t n, cap;
};

static pl_status add(struct line *l, const struct ptest_value *v, struct pl_err *err)
{
    if (l->n >= PTEST_VALUES_MAX) {
        return pl_fail(err, PL_LIMIT, "more than %d values", PTEST_VALUES_MAX);
    }
    if (!ptest__grow(l->a, l->v, l->cap, l->n)) {
        return pl_fail(err, PL_LIMIT, "the file is too large");
    }
    l->v[l->n++] = *v;
    return PL_OK;
}

/* `x5` at the start of *s. */
static pl_status times(pl_str *s, uint64_t *out, struct pl_err *err)
{
    size_t end = s->n > 0 && s->p[0] == 'x' ? digits_end(*s, 1) : 0;

    if (end < 2 || !pl_str_to_u64(pl_str_sub(*s, 1, end), out)) {
        return pl_fail(err, PL_INVALID, "x and how often is expected at \"%.*s\"", PL_STR_ARG(*s));
    }
    if (*out >= PTEST_VALUES_MAX) {
        return pl_fail(err, PL_LIMIT, "more than %d values", PTEST_VALUES_MAX);
    }
    *s = pl_str_sub(*s, end, s->n);
    return PL_OK;
}

static pl_status gaps(struct line *l, pl_str *s, struct pl_err *err)
{
    uint64_t n = 1;

    *s = pl_str_sub(*s, 1, s->n);
    if (s->n > 0 && s->p[0] == 'x') {
        PL_TRY(times(s, &n, err));
    }
    for (uint64_t i = 0; i < n; i++) {
        PL_TRY(add(l, &(struct ptest_value){.gap = true}, err));
    }
    return PL_OK;
}

/* 1, 1x3, 1+2x3, 1-2x3, stale, stalex3 */
static pl_status floats(struct line *l, pl_str *s, struct pl_err *err)
{
    double v, step = 0;
    uint64_t n = 0;

    if (pl_str_starts(*s, PL_STR("stale"))) {
        v = pl_f64_from_bits(PL_STALE_NAN_BITS);
        *s = pl_str_sub(*s, 5, s->n);
    } else if (!ptest__number(s, &v)) {
        return pl_fail(err, PL_INVALID, "a value is expected at \"%.*s\"", PL_STR_ARG(*s));
    }
    if (s->n > 0 && (s->p[0] == '+' || s->p[0] == '-')) {
        if (!ptest__number(s, &step)) {
            return pl_fail(err, PL_INVALID, "a number is expected at \"%.*s\"", PL_STR_ARG(*s));
        }
        PL_TRY(times(s, &n, err));
    } else if (s->n > 0 && s->p[0] == 'x') {
        PL_TRY(times(s, &n, err));
    }
    for (uint64_t i = 0; i <= n; i++) {
        PL_TRY(add(l, &(struct ptest_value){.v = v}, err));
        v = n > 0 && !pl_is_stale(v) ? v + step : v;
    }
    return PL_OK;
}

/* cur + inc or cur - inc, as the series notation repeats it. */
static pl_status advance(const struct hist **cur, struct pl_arena *a, const struct hist *inc, bool minus,
                         struct pl_err *err)
{
    struct hist *next;
    unsigned met;

    if ((*cur)->schema > inc->schema) {
        return pl_fail(err, PL_INVALID, "error combining histograms: cannot merge from schema %d to %d", inc->schema,
                       (*cur)->schema);
    }
    met = minus ? hist_sub(&next, a, *cur, inc) : hist_add(&next, a, *cur, inc);
    if ((met & HIST_NO_MEMORY) != 0) {
        return pl_fail(err, PL_LIMIT, "the file is too large");
    }
    if ((met & HIST_INCOMPATIBLE) != 0) {
        return pl_fail(err, PL_INVALID, "histograms with exponential and with custom buckets cannot be combined");
    }
    *cur = next;
    return PL_OK;
}

/* {{..}}, {{..}}x3, {{..}}+{{..}}x3, {{..}}-{{..}}x3 */
static pl_status histograms(struct line *l, pl_str *s, struct pl_err *err)
{
    struct hist *first, *inc = NULL;
    const struct hist *cur;
    bool hint_set, minus = false;
    uint64_t n = 0;

    PL_TRY(ptest__hist(&first, &hint_set, l->a, s, err));
    if (s->n > 0 && (s->p[0] == '+' || s->p[0] == '-')) {
        minus = s->p[0] == '-';
        *s = pl_str_sub(*s, 1, s->n);
        PL_TRY(ptest__hist(&inc, &hint_set, l->a, s, err));
        PL_TRY(times(s, &n, err));
    } else if (s->n > 0 && s->p[0] == 'x') {
        PL_TRY(times(s, &n, err));
    }
    cur = first;
    for (uint64_t i = 0; i <= n; i++) {
        if (i > 0 && inc != NULL) {
            PL_TRY(advance(&cur, l->a, inc, minus, err));
        }
        PL_TRY(add(l, &(struct ptest_value){.h = cur, .hint_set = hint_set}, err));
    }
    return PL_OK;
}

pl_status ptest_series_parse(struct ptest_series *out, struct pl_arena *a, pl_str text, struct pl_err *err)
{
    struct line l = {.a = a};
    size_t end = ptest__metric_end(text);
    pl_str s = pl_str_sub(text, end, text.n);

    *out = (struct ptest_series){0};
    PL_TRY(ptest_labels_parse(&out->labels, a, pl_str_sub(text, 0, end), err));
    if (s.n > 0 && s.p[0] != ' ' && s.p[0] != '\t') {
        return pl_fail(err, PL_INVALID, "a blank is expected before \"%.*s\"", PL_STR_ARG(s));
    }
    for (s = ptest__blanks(s); s.n > 0; s = ptest__blanks(s)) {
        if (s.p[0] == '_') {
            PL_TRY(gaps(&l, &s, err));
        } else if (pl_str_starts(s, PL_STR("{{"))) {
            PL_TRY(histograms(&l, &s, err));
        } else {
            PL_TRY(floats(&l, &s, err));
        }
        if (s.n > 0 && s.p[0] != ' ' && s.p[0] != '\t') {
            return pl_fail(err, PL_INVALID, "a blank is expected before \"%.*s\"", PL_STR_ARG(s));
        }
    }
    out->values = l.v;
    out->n = l.n;
    return PL_OK;
}

/* ---- start times ---- */

/* A duration with an optional sign: digits and one unit. */
static bool offset_ms(pl_str *s, int64_t *out)
{
    bool negative = s->n > 0 && s->p[0] == '-';
    size_t from = s->n > 0 && (negative || s->p[0] == '+'), end = digits_end(*s, from);

    while (end < s->n && is_unit(s->p[end])) {
        end++;
    }
    if (end == from || pq_parse_duration(out, pl_str_sub(*s, from, end), NULL) != PL_OK) {
        return false;
    }
    *out = negative ? -*out : *out;
    *s = pl_str_sub(*s, end, s->n);
    return true;
}

static pl_status start_item(struct line *l, pl_str *s, struct pl_err *err)
{
    int64_t ms, step = 0;
    uint64_t n = 0;
    bool minus;

    if (!offset_ms(s, &ms)) {
        return pl_fail(err, PL_INVALID, "a duration is expected at \"%.*s\"", PL_STR_ARG(*s));
    }
    if (s->n > 0 && (s->p[0] == '+' || s->p[0] == '-')) {
        minus = s->p[0] == '-';
        *s = pl_str_sub(*s, 1, s->n);
        if (!offset_ms(s, &step)) {
            return pl_fail(err, PL_INVALID, "a duration is expected at \"%.*s\"", PL_STR_ARG(*s));
        }
        step = minus ? -step : step;
        PL_TRY(times(s, &n, err));
    } else if (s->n > 0 && s->p[0] == 'x') {
        PL_TRY(times(s, &n, err));
    }
    for (uint64_t i = 0; i <= n; i++) {
        PL_TRY(add(l, &(struct ptest_value){.has_start = true, .start_ms = ms}, err));
        if (!pl_add_ok(&ms, ms, step)) {
            return pl_fail(err, PL_INVALID, "a start time that is too far away");
        }
    }
    return PL_OK;
}

pl_status ptest__start_times(struct ptest_value **out, size_t *n, struct pl_arena *a, pl_str s, struct pl_err *err)
{
    struct line l = {.a = a};

    for (s = ptest__blanks(s); s.n > 0; s = ptest__blanks(s)) {
        if (s.p[0] == '_') {
            PL_TRY(gaps(&l, &s, err));
        } else {
            PL_TRY(start_item(&l, &s, err));
        }
        if (s.n > 0 && s.p[0] != ' ' && s.p[0] != '\t') {
            return pl_fail(err, PL_INVALID, "a blank is expected before \"%.*s\"", PL_STR_ARG(s));
        }
    }
    *out = l.v;
    *n = l.n;
    return PL_OK;
}
