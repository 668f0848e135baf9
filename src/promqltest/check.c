/* Is an answer what the file expects? */
#include "promqltest/internal.h"

#include "codec/float_text.h"
#include "regex/regex.h"

#include <float.h>
#include <math.h>

enum { DIFFERENCES_MAX = 8 }; /* told of one answer */

struct check {
    struct pl_buf *report;
    struct pl_arena *a;
    const struct ptest_eval *e;
    unsigned told;
};

static void tell(struct check *c, const char *fmt, ...) PL_PRINTF(2, 3);
static void tell(struct check *c, const char *fmt, ...)
{
    va_list ap;

    c->told++;
    if (c->told > DIFFERENCES_MAX) {
        if (c->told == DIFFERENCES_MAX + 1) {
            pl_buf_cstr(c->report, "    ... and more\n");
        }
        return;
    }
    pl_buf_cstr(c->report, "    ");
    va_start(ap, fmt);
    pl_buf_vprintf(c->report, fmt, ap);
    va_end(ap);
    pl_buf_byte(c->report, '\n');
}

/* ---- texts of values ---- */

void ptest__time(struct pl_buf *b, int64_t t_ms)
{
    if (t_ms < 0) {
        pl_buf_byte(b, '-');
        t_ms = -t_ms;
    }
    pq_print_duration(b, t_ms);
}

static pl_str kept(struct check *c, struct pl_buf *b)
{
    enum { SHOWN_MAX = 3000 };
    pl_str s = pl_arena_str(c->a, pl_str_of(b->p, PL_MIN(b->n, (size_t)SHOWN_MAX)));

    pl_buf_fini(b);
    return s;
}

static pl_str float_text(struct check *c, double v)
{
    struct pl_buf b;

    pl_buf_init(&b, 0);
    if (pl_is_stale(v)) {
        pl_buf_cstr(&b, "stale");
    } else {
        pl_buf_f64_json(&b, v);
    }
    return kept(c, &b);
}

static pl_str want_text(struct check *c, const struct ptest_value *v)
{
    struct pl_buf b;

    if (v->h == NULL) {
        return float_text(c, v->v);
    }
    pl_buf_init(&b, 0);
    ptest_hist_print(&b, v->h);
    return kept(c, &b);
}

static void buckets_print(struct pl_buf *b, const struct ptest_buckets *h)
{
    pl_buf_cstr(b, "{count:");
    pl_buf_f64_g(b, h->count);
    pl_buf_cstr(b, ", sum:");
    pl_buf_f64_g(b, h->sum);
    for (size_t i = 0; i < h->n && i < 50; i++) {
        pl_buf_cstr(b, h->v[i].lower_inclusive ? ", [" : ", (");
        pl_buf_f64_g(b, h->v[i].lower);
        pl_buf_byte(b, ',');
        pl_buf_f64_g(b, h->v[i].upper);
        pl_buf_cstr(b, h->v[i].upper_inclusive ? "]:" : "):");
        pl_buf_f64_g(b, h->v[i].count);
    }
    pl_buf_byte(b, '}');
}

static pl_str got_text(struct check *c, const struct ptest_point *p)
{
    struct pl_buf b;

    if (p->h == NULL && p->b == NULL) {
        return float_text(c, p->v);
    }
    pl_buf_init(&b, 0);
    if (p->h != NULL) {
        ptest_hist_print(&b, p->h);
    } else {
        buckets_print(&b, p->b);
    }
    return kept(c, &b);
}

static pl_str labels_string(struct check *c, struct labels ls)
{
    struct pl_buf b;

    pl_buf_init(&b, 0);
    labels_metric_text(&b, ls);
    return kept(c, &b);
}

static pl_str time_text(struct check *c, int64_t t_ms)
{
    struct pl_buf b;

    pl_buf_init(&b, 0);
    ptest__time(&b, t_ms);
    return kept(c, &b);
}

/* ---- values ---- */

static bool floats_equal(double want, double got)
{
    const double epsilon = 1e-6;
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
        return diff < epsilon * DBL_MIN;
    }
    return diff / fmin(sum, DBL_MAX) < epsilon;
}

static bool sides_equal(const struct hist_side *x, const struct hist_side *y)
{
    if (x->len != y->len) {
        return false;
    }
    for (uint32_t i = 0; i < x->len; i++) {
        if (x->at[i] != y->at[i] || !floats_equal(x->n[i], y->n[i])) {
            return false;
        }
    }
    return true;
}

static bool hists_equal(const struct hist *x, const struct hist *y)
{
    if (x->schema != y->schema || !floats_equal(x->count, y->count) || !floats_equal(x->sum, y->sum) ||
        x->zero_threshold != y->zero_threshold || !floats_equal(x->zero_count, y->zero_count)) {
        return false;
    }
    if (hist_is_custom(x)) {
        if (x->bound_count != y->bound_count) {
            return false;
        }
        for (uint32_t i = 0; i < x->bound_count; i++) {
            if (x->bounds[i] != y->bounds[i]) {
                return false;
            }
        }
    }
    return sides_equal(&x->pos, &y->pos) && sides_equal(&x->neg, &y->neg);
}

/* An API shows no schema: every bucket that is not empty must be there with its bounds. */
static bool buckets_equal(const struct hist *want, const struct ptest_buckets *got)
{
    struct hist_iter it;
    struct hist_bucket x;
    size_t i = 0;

    if (!floats_equal(want->count, got->count) || !floats_equal(want->sum, got->sum)) {
        return false;
    }
    hist_iter_init(&it, want, false);
    while (hist_iter_next(&it, &x)) {
        if (x.count == 0) {
            continue;
        }
        if (i == got->n || !floats_equal(x.lower, got->v[i].lower) || !floats_equal(x.upper, got->v[i].upper) ||
            !floats_equal(x.count, got->v[i].count) || x.lower_inclusive != got->v[i].lower_inclusive ||
            x.upper_inclusive != got->v[i].upper_inclusive) {
            return false;
        }
        i++;
    }
    return i == got->n;
}

static bool check_hist(const struct ptest_value *want, const struct ptest_point *got, struct pl_arena *a)
{
    const struct hist *x, *y;

    if (want->h == NULL) {
        return got->h == NULL && got->b == NULL;
    }
    x = hist_compact(a, want->h);
    if (got->b != NULL) {
        return x != NULL && buckets_equal(x, got->b);
    }
    if (got->h == NULL || (want->hint_set && want->h->hint != got->h->hint)) {
        return false;
    }
    y = hist_compact(a, got->h);
    return x != NULL && y != NULL && hists_equal(x, y);
}

static bool value_ok(struct check *c, const struct ptest_value *want, const struct ptest_point *got)
{
    if (want->h != NULL || got->h != NULL || got->b != NULL) {
        return check_hist(want, got, c->a);
    }
    return floats_equal(want->v, got->v);
}

/* ---- annotations and errors ---- */

static bool matches_text(const struct ptest_expect *x, pl_str text)
{
    return x->match == PTEST_ANY || (x->match == PTEST_MSG ? pl_str_eq(x->text, text) : regex_match(x->re, text));
}

static bool matches_note(const struct ptest_expect *x, const struct ptest_note *n)
{
    return matches_text(x, n->text) || matches_text(x, n->full);
}

static const char *text_of(const struct ptest_expect *x)
{
    return x->match == PTEST_ANY ? "" : x->match == PTEST_MSG ? " msg: " : " regex: ";
}

/* Every line must match a note and, when there is one, every note a line. */
static void check_notes(struct check *c, const struct ptest_note *notes, size_t n, bool info)
{
    enum ptest_expect_kind want = info ? PTEST_INFO : PTEST_WARN, none = info ? PTEST_NO_INFO : PTEST_NO_WARN;
    const char *kind = info ? "info" : "warn";
    bool wanted = false;

    for (size_t i = 0; i < c->e->expect_count; i++) {
        const struct ptest_expect *x = &c->e->expects[i];
        size_t k = 0;

        if (x->kind == none && n > 0) {
            tell(c, "expected no %s annotation, got: %.*s", kind, PL_STR_ARG(notes[0].full));
        }
        if (x->kind != want) {
            continue;
        }
        wanted = true;
        while (k < n && !matches_note(x, &notes[k])) {
            k++;
        }
        if (k == n) {
            tell(c, "expected: %s%s%.*s; got: %s%.*s", kind, text_of(x), PL_STR_ARG(x->text),
                 n > 0 ? "" : "no such annotation", n > 0 ? (int)notes[0].full.n : 0, n > 0 ? notes[0].full.p : "");
        }
    }
    for (size_t k = 0; wanted && k < n; k++) {
        size_t i = 0;

        while (i < c->e->expect_count &&
               (c->e->expects[i].kind != want || !matches_note(&c->e->expects[i], &notes[k]))) {
            i++;
        }
        if (i == c->e->expect_count) {
            tell(c, "expected no other %s annotation, got: %.*s", kind, PL_STR_ARG(notes[k].full));
        }
    }
}

static void check_failure(struct check *c, pl_str error)
{
    if (!c->e->fail) {
        tell(c, "expected an answer, got the error: %.*s", PL_STR_ARG(error));
        return;
    }
    for (size_t i = 0; i < c->e->expect_count; i++) {
        const struct ptest_expect *x = &c->e->expects[i];

        if (x->kind == PTEST_FAIL && !matches_text(x, error)) {
            tell(c, "expected: fail%s%.*s", text_of(x), PL_STR_ARG(x->text));
            tell(c, "got:      %.*s", PL_STR_ARG(error));
        }
    }
}

/* ---- series ---- */

static void tell_value(struct check *c, const struct ptest_row *row, int64_t t_ms, const struct ptest_value *want,
                       const struct ptest_point *got)
{
    pl_str ls = labels_string(c, row->labels), at = time_text(c, t_ms), w = want_text(c, want);
    pl_str g = got != NULL ? got_text(c, got) : PL_STR("no point");

    tell(c, "%.*s at %.*s: expected %.*s, got %.*s", PL_STR_ARG(ls), PL_STR_ARG(at), PL_STR_ARG(w), PL_STR_ARG(g));
}

/* A vector's element: its time is the evaluation's, which nothing shows. */
static void check_element(struct check *c, const struct ptest_series *want, const struct ptest_row *got)
{
    if (got->n != 1 || !value_ok(c, &want->values[0], &got->points[0])) {
        tell_value(c, got, c->e->start_ms, &want->values[0], got->n > 0 ? &got->points[0] : NULL);
    }
}

static void check_points(struct check *c, const struct ptest_series *want, const struct ptest_row *got)
{
    const struct ptest_eval *e = c->e;
    int64_t start = e->has_grid ? e->grid_start_ms : e->start_ms, step = e->has_grid ? e->grid_step_ms : e->step_ms;
    int64_t end = e->has_grid ? e->grid_end_ms : e->end_ms;
    size_t at = 0;

    for (size_t i = 0; i < want->n; i++) {
        int64_t t = start + (int64_t)i * step;
        const struct ptest_point *p = at < got->n ? &got->points[at] : NULL;

        if (t > end) {
            tell(c, "%zu values are expected in line %u, but the time range has fewer points", want->n, want->line);
            return;
        }
        if (want->values[i].gap) {
            continue;
        }
        if (p == NULL || p->t_ms != t || !value_ok(c, &want->values[i], p)) {
            if (p != NULL && p->t_ms < t) {
                pl_str ls = labels_string(c, got->labels), when = time_text(c, p->t_ms), g = got_text(c, p);

                tell(c, "%.*s at %.*s: expected no point, got %.*s", PL_STR_ARG(ls), PL_STR_ARG(when), PL_STR_ARG(g));
            } else {
                tell_value(c, got, t, &want->values[i], p != NULL && p->t_ms == t ? p : NULL);
            }
            return;
        }
        at++;
    }
    if (at < got->n) {
        pl_str ls = labels_string(c, got->labels), when = time_text(c, got->points[at].t_ms);
        pl_str g = got_text(c, &got->points[at]);

        tell(c, "%.*s at %.*s: expected no point, got %.*s", PL_STR_ARG(ls), PL_STR_ARG(when), PL_STR_ARG(g));
    }
}

static void check_row(struct check *c, const struct ptest_answer *got, size_t i, bool *seen)
{
    const struct ptest_row *row = &got->rows[i];
    size_t k = 0;

    while (k < c->e->series_count && !labels_eq(c->e->series[k].labels, row->labels)) {
        k++;
    }
    if (k == c->e->series_count) {
        pl_str ls = labels_string(c, row->labels), g = row->n > 0 ? got_text(c, &row->points[0]) : PL_STR("nothing");

        tell(c, "expected no series %.*s, got %.*s", PL_STR_ARG(ls), PL_STR_ARG(g));
        return;
    }
    if (seen[k]) {
        pl_str ls = labels_string(c, row->labels);

        tell(c, "the series %.*s is twice in the answer", PL_STR_ARG(ls));
    }
    seen[k] = true;
    if (c->e->ordered && k != i) {
        pl_str ls = labels_string(c, row->labels);

        tell(c, "expected series %.*s at position %zu, got it at %zu", PL_STR_ARG(ls), k + 1, i + 1);
    }
    if (got->type == PQ_VECTOR) {
        check_element(c, &c->e->series[k], row);
    } else {
        check_points(c, &c->e->series[k], row);
    }
}

static void check_rows(struct check *c, const struct ptest_answer *got)
{
    bool *seen = pl_arena_new_array_try(c->a, bool, c->e->series_count + 1);

    if (seen == NULL) {
        tell(c, "no memory for the comparison");
        return;
    }
    for (size_t i = 0; i < got->n; i++) {
        check_row(c, got, i, seen);
        if (got->type == PQ_MATRIX && i > 0 && labels_cmp(got->rows[i - 1].labels, got->rows[i].labels) > 0) {
            tell(c, "the answer's series are not sorted");
        }
    }
    for (size_t k = 0; k < c->e->series_count; k++) {
        if (!seen[k]) {
            pl_str ls = labels_string(c, c->e->series[k].labels), w = want_text(c, &c->e->series[k].values[0]);

            tell(c, "expected series %.*s with %.*s, got none", PL_STR_ARG(ls), PL_STR_ARG(w));
        }
    }
}

static void check_value(struct check *c, const struct ptest_answer *got)
{
    const struct ptest_eval *e = c->e;

    if (got->type == PQ_STRING) {
        if (!pl_str_eq(got->string, e->string)) {
            tell(c, "expected string \"%.*s\", got \"%.*s\"", PL_STR_ARG(e->string), PL_STR_ARG(got->string));
        }
        return;
    }
    if (got->type == PQ_SCALAR) {
        pl_str g = float_text(c, got->scalar), w = float_text(c, e->scalar);

        if (!e->has_scalar) {
            tell(c, "expected a vector or matrix, got the scalar %.*s", PL_STR_ARG(g));
        } else if (!floats_equal(e->scalar, got->scalar)) {
            tell(c, "expected %.*s, got %.*s", PL_STR_ARG(w), PL_STR_ARG(g));
        }
        return;
    }
    if (e->has_scalar || e->has_string) {
        tell(c, "expected a %s, got a %s", e->has_scalar ? "scalar" : "string", pq_type_name(got->type));
        return;
    }
    if (e->ordered && got->type == PQ_MATRIX) {
        tell(c, "expected an ordered result, got a %s", pq_type_name(got->type));
        return;
    }
    check_rows(c, got);
}

bool ptest__check(struct pl_buf *report, struct pl_arena *a, const struct ptest_eval *e, const struct ptest_answer *got)
{
    struct check c = {report, a, e, 0};

    if (got->failed) {
        check_failure(&c, got->error);
    } else if (e->fail) {
        tell(&c, "expected an error, got an answer");
    } else {
        check_notes(&c, got->warnings, got->warning_count, false);
        check_notes(&c, got->infos, got->info_count, true);
        check_value(&c, got);
    }
    return c.told == 0;
}
