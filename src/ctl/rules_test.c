/* palliumctl rules test: unit tests of rules, as `promtool test rules` runs them. */
#include "ctl/ctl.h"
#include "ctl/file.h"
#include "ctl/rules_state.h"
#include "ctl/rules_test_file.h"

#include "codec/float_text.h"

#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { RULE_FILES_MAX = 10000 };

static const char usage[] =
    "Usage: palliumctl rules test [flags] FILE...\n"
    "\n"
    "Runs unit tests of rules in promtool's format: a file names rule files, gives input series in the short notation "
    "of\n"
    "PromQL's test language, and says which alerts fire (alert_rule_test) and what expressions give (promql_expr_test) "
    "at\n"
    "which time. Rules are evaluated each evaluation_interval from time 0 on, in process; no server is asked.\n"
    "\n"
    "Examples:\n"
    "  palliumctl rules test tests/*.yaml\n"
    "\n"
    "Flags:\n";

static const char notes[] = "\nExit code 0: all tests passed; 1: a test failed or a file could not be read; 2: wrong "
                            "usage. Templates know what\n"
                            "rules use (variables, if, with, range, printf, humanize..., query, first, value, label, "
                            "match); an annotation whose\n"
                            "template fails reads <error expanding template: ...>, as in Prometheus.\n";

struct args {
    struct rules_options options;
    bool experimental, delayed_names;
};

/* One test file with all that it names. */
struct suite {
    struct pl_arena a;
    const char *path;
    struct pl_buf *texts; /* of the rule files: rules are views of them */
    size_t text_count;
    struct rules_test_file file;
    const struct rule_group **groups; /* in the order of evaluation */
    size_t group_count, group_cap;
    unsigned failures;
};

static void say(struct suite *s, const char *fmt, ...) PL_PRINTF(2, 3);
static void say(struct suite *s, const char *fmt, ...)
{
    va_list ap;

    if (s->failures++ == 0) {
        fputs("  FAILED:\n", stderr);
    }
    va_start(ap, fmt);
    (void)vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputs("\n\n", stderr);
}

static void say_problems(struct suite *s, const char *path, const struct rules_file *f)
{
    for (size_t i = 0; i < f->problem_count; i++) {
        say(s, "%s:%d: %.*s", path, f->problems[i].line, PL_STR_ARG(f->problems[i].text));
    }
}

/* ---- loading ---- */

static void load_rule_file(struct suite *s, const struct args *args, const char *path)
{
    struct pl_buf *text = &s->texts[s->text_count];
    struct rules_file f;
    struct pl_err err;

    if (s->text_count == RULE_FILES_MAX) {
        say(s, "more than %d rule files", RULE_FILES_MAX);
        return;
    }
    pl_buf_init(text, 0);
    s->text_count++;
    if (ctl_file_read(text, path, &err) != PL_OK ||
        rules_file_parse(&f, &s->a, pl_buf_view(text), &args->options, &err) != PL_OK) {
        say(s, "%s", err.msg);
        return;
    }
    say_problems(s, path, &f);
    for (size_t i = 0; i < f.n; i++) {
        pl_array_reserve(s->groups, s->group_cap, s->group_count + 1);
        s->groups[s->group_count++] = &f.groups[i];
    }
}

/* A name or pattern, relative to the test file. */
static void load_pattern(struct suite *s, const struct args *args, pl_str pattern)
{
    const char *slash = strrchr(s->path, '/');
    const char *path = pattern.n > 0 && pattern.p[0] == '/'
                           ? pl_arena_str(&s->a, pattern).p
                           : pl_arena_printf(&s->a, "%.*s%.*s", slash != NULL ? (int)(slash + 1 - s->path) : 0, s->path,
                                             PL_STR_ARG(pattern))
                                 .p;
    glob_t found = {0};

    if (glob(path, 0, NULL, &found) != 0) {
        fprintf(stderr, "  WARNING: no file match pattern %s\n", path);
    } else {
        for (size_t i = 0; i < found.gl_pathc; i++) {
            load_rule_file(s, args, found.gl_pathv[i]);
        }
    }
    globfree(&found);
}

/* Groups named in group_eval_order by their place there, the others with the first; otherwise as in the files. */
static size_t place_of(const struct suite *s, const struct rule_group *g)
{
    for (size_t i = 0; i < s->file.order_count; i++) {
        if (pl_str_eq(s->file.order[i], g->name)) {
            return i;
        }
    }
    return 0;
}

static void order_groups(struct suite *s)
{
    for (size_t i = 1; i < s->group_count; i++) {
        const struct rule_group *g = s->groups[i];
        size_t k = i, place = place_of(s, g);

        while (k > 0 && place_of(s, s->groups[k - 1]) > place) {
            s->groups[k] = s->groups[k - 1];
            k--;
        }
        s->groups[k] = g;
    }
}

/* ---- texts ---- */

static pl_str labels_string(struct pl_arena *a, struct labels ls)
{
    struct pl_buf b;
    pl_str s;

    pl_buf_init(&b, 0);
    labels_text(&b, ls);
    s = pl_arena_str(a, pl_buf_view(&b));
    pl_buf_fini(&b);
    return s;
}

static pl_str time_string(struct pl_arena *a, int64_t ms)
{
    struct pl_buf b;
    pl_str s;

    pl_buf_init(&b, 0);
    pq_print_duration(&b, ms);
    s = pl_arena_str(a, pl_buf_view(&b));
    pl_buf_fini(&b);
    return s;
}

/* ---- alerts ---- */

static int alert_cmp(const void *x, const void *y)
{
    const struct rules_alert_expected *a = x, *b = y;
    int c = labels_cmp(a->labels, b->labels);

    return c != 0 ? c : labels_cmp(a->annotations, b->annotations);
}

static pl_str alerts_string(struct pl_arena *a, const struct rules_alert_expected *v, size_t n)
{
    struct pl_buf b;
    pl_str s;

    pl_buf_init(&b, 0);
    pl_buf_byte(&b, '[');
    for (size_t i = 0; i < n; i++) {
        pl_str ls = labels_string(a, v[i].labels), an = labels_string(a, v[i].annotations);

        pl_buf_printf(&b, "\n            %zu:\n              Labels:%.*s\n              Annotations:%.*s", i,
                      PL_STR_ARG(ls), PL_STR_ARG(an));
    }
    pl_buf_cstr(&b, n > 0 ? "\n            ]" : "]");
    s = pl_arena_str(a, pl_buf_view(&b));
    pl_buf_fini(&b);
    return s;
}

static void check_alerts(struct suite *s, const struct rules_test *t, const struct rules_alert_test *x,
                         const struct rules_state *state)
{
    struct rules_alert_expected *got = NULL;
    struct pl_arena a;
    size_t n = 0, cap = 0;
    bool same;

    pl_arena_init(&a, 0);
    for (size_t i = 0; i < state->n; i++) {
        for (size_t k = 0; pl_str_eq(state->rules[i].rule->alert, x->name) && k < state->rules[i].n; k++) {
            const struct alert *alert = state->rules[i].alerts[k];

            if (alert->state == ALERT_FIRING) {
                pl_array_reserve(got, cap, n + 1);
                got[n++] = (struct rules_alert_expected){alert->labels, alert->annotations};
            }
        }
    }
    if (n > 0) {
        qsort(got, n, sizeof(*got), alert_cmp);
    }
    qsort(x->alerts, x->n, sizeof(*x->alerts), alert_cmp);
    same = n == x->n;
    for (size_t i = 0; same && i < n; i++) {
        same = labels_eq(got[i].labels, x->alerts[i].labels) && labels_eq(got[i].annotations, x->alerts[i].annotations);
    }
    if (!same) {
        pl_str want_text = alerts_string(&a, x->alerts, x->n), got_text = alerts_string(&a, got, n);
        pl_str when = time_string(&a, x->eval_ms);

        say(s, "%s%.*s%s    alertname: %.*s, time: %.*s,\n        exp:%.*s,\n        got:%.*s",
            t->name.n > 0 ? "    name: " : "", PL_STR_ARG(t->name), t->name.n > 0 ? ",\n" : "", PL_STR_ARG(x->name),
            PL_STR_ARG(when), PL_STR_ARG(want_text), PL_STR_ARG(got_text));
    }
    pl_free(got);
    pl_arena_fini(&a);
}

/* ---- expressions ---- */

static int sample_cmp(const void *x, const void *y)
{
    const struct rules_expr_sample *a = x, *b = y;

    return labels_cmp(a->labels, b->labels);
}

static pl_str sample_value(struct pl_arena *a, const struct rules_expr_sample *x)
{
    struct pl_buf b;
    pl_str s;

    pl_buf_init(&b, 0);
    if (x->h == NULL) {
        pl_buf_f64_json(&b, x->v);
    } else {
        const struct hist *h = hist_compact(a, x->h);

        ptest_hist_print(&b, h != NULL ? h : x->h);
    }
    s = pl_arena_str(a, pl_buf_view(&b));
    pl_buf_fini(&b);
    return s;
}

static bool values_equal(struct pl_arena *a, const struct rules_expr_sample *x, const struct rules_expr_sample *y,
                         bool fuzzy)
{
    if (x->h != NULL || y->h != NULL) {
        return x->h != NULL && y->h != NULL && pl_str_eq(sample_value(a, x), sample_value(a, y));
    }
    return x->v == y->v || (fuzzy && (nextafter(x->v, -HUGE_VAL) == y->v || nextafter(x->v, HUGE_VAL) == y->v));
}

static pl_str samples_string(struct pl_arena *a, const struct rules_expr_sample *v, size_t n)
{
    struct pl_buf b;
    pl_str s;

    if (n == 0) {
        return PL_STR("nil");
    }
    pl_buf_init(&b, 0);
    for (size_t i = 0; i < n; i++) {
        pl_str ls = labels_string(a, v[i].labels), value = sample_value(a, &v[i]);

        pl_buf_printf(&b, "%s%.*s %.*s", i > 0 ? ", " : "", PL_STR_ARG(ls), PL_STR_ARG(value));
    }
    s = pl_arena_str(a, pl_buf_view(&b));
    pl_buf_fini(&b);
    return s;
}

static void check_expr(struct suite *s, const struct args *args, const struct rules_test *t,
                       const struct rules_expr_test *x, struct rules_state *state)
{
    struct pl_arena a;
    struct pq_node *expr;
    struct pq_result q;
    struct pl_err err;
    pl_str when;
    bool same = true;

    pl_arena_init(&a, 0);
    when = time_string(&a, x->eval_ms);
    if (pq_parse(&expr, &a, x->expr, &args->options.parse, &err) != PL_OK ||
        rules_state_query(state, &a, expr, t->start_ms + x->eval_ms, &q, &err) != PL_OK) {
        say(s, "    expr: \"%.*s\", time: %.*s, err: %s", PL_STR_ARG(x->expr), PL_STR_ARG(when), err.msg);
    } else {
        struct rules_expr_sample *got = pl_arena_new_array_try(&a, struct rules_expr_sample, q.series_count + 1);

        for (size_t i = 0; i < q.series_count; i++) {
            got[i] = (struct rules_expr_sample){.labels = q.series[i].labels,
                                                .v = q.series[i].count > 0 ? q.series[i].points[0].v : 0,
                                                .h = q.series[i].hist_count > 0 ? q.series[i].hists[0].h : NULL};
        }
        qsort(got, q.series_count, sizeof(*got), sample_cmp);
        qsort(x->samples, x->n, sizeof(*x->samples), sample_cmp);
        same = x->n == q.series_count;
        for (size_t i = 0; same && i < x->n; i++) {
            same = labels_eq(got[i].labels, x->samples[i].labels) &&
                   values_equal(&a, &got[i], &x->samples[i], s->file.fuzzy_compare);
        }
        if (!same) {
            pl_str want_text = samples_string(&a, x->samples, x->n), got_text = samples_string(&a, got, q.series_count);

            say(s, "    expr: \"%.*s\", time: %.*s,\n        exp: %.*s\n        got: %.*s", PL_STR_ARG(x->expr),
                PL_STR_ARG(when), PL_STR_ARG(want_text), PL_STR_ARG(got_text));
        }
    }
    pl_arena_fini(&a);
}

/* ---- running ---- */

static int64_t last_eval_ms(const struct rules_test *t)
{
    int64_t ms = 0;

    for (size_t i = 0; i < t->alert_count; i++) {
        ms = PL_MAX(ms, t->alerts[i].eval_ms);
    }
    for (size_t i = 0; i < t->expr_count; i++) {
        ms = PL_MAX(ms, t->exprs[i].eval_ms);
    }
    return ms;
}

/* Adds the input samples up to offset_ms after the start that are not there yet. */
static void feed(struct rules_state *state, const struct rules_test *t, size_t *next, int64_t offset_ms)
{
    for (size_t i = 0; i < t->series_count; i++) {
        const struct ptest_series *s = &t->series[i];
        struct mem_series *to = mem_source_series(&state->source, s->labels);

        for (; next[i] < s->n && (int64_t)next[i] * t->interval_ms <= offset_ms; next[i]++) {
            const struct ptest_value *v = &s->values[next[i]];
            int64_t t_ms = t->start_ms + (int64_t)next[i] * t->interval_ms;

            if (v->gap) {
                continue;
            }
            if (v->h != NULL) {
                mem_series_add_hist(&state->source, to, t_ms, v->h);
            } else {
                mem_series_add(&state->source, to, t_ms, v->v);
            }
        }
    }
}

static bool histograms_valid(struct suite *s, const struct rules_test *t)
{
    struct pl_err err;

    for (size_t i = 0; i < t->series_count; i++) {
        for (size_t k = 0; k < t->series[i].n; k++) {
            if (t->series[i].values[k].h != NULL && hist_validate(t->series[i].values[k].h, &err) != PL_OK) {
                say(s, "input series %zu: %s", i + 1, err.msg);
                return false;
            }
        }
    }
    return true;
}

static void run_test(struct suite *s, const struct args *args, const struct rules_test *t)
{
    int64_t step = s->file.interval_ms, end = last_eval_ms(t);
    size_t *next = pl_new_array(size_t, t->series_count + 1);
    struct rules_state state;
    struct pl_err err;
    bool ok = histograms_valid(s, t);

    rules_state_init(&state, s->groups, s->group_count);
    state.external_labels = t->external_labels;
    state.external_url = t->external_url;
    state.subquery_step_ms = step;
    state.delayed_names = args->delayed_names;
    for (int64_t at = 0; ok && at <= end; at += step) {
        feed(&state, t, next, at);
        if (rules_state_eval(&state, t->start_ms + at, &err) != PL_OK) {
            say(s, "    %s", err.msg);
            ok = false;
            break;
        }
        for (size_t i = 0; i < t->alert_count; i++) {
            if (t->alerts[i].eval_ms >= at && t->alerts[i].eval_ms < at + step) {
                check_alerts(s, t, &t->alerts[i], &state);
            }
        }
    }
    for (size_t i = 0; ok && i < t->expr_count; i++) {
        check_expr(s, args, t, &t->exprs[i], &state);
    }
    rules_state_fini(&state);
    pl_free(next);
}

static bool run_file(const struct args *args, const char *path)
{
    struct suite s = {.path = path};
    struct pl_buf text;
    struct pl_err err;

    pl_arena_init(&s.a, 0);
    pl_buf_init(&text, 0);
    s.texts = pl_new_array(struct pl_buf, RULE_FILES_MAX);
    printf("Unit Testing:  %s\n", path);
    (void)fflush(stdout);
    if (ctl_file_read(&text, path, &err) != PL_OK ||
        rules_test_file_parse(&s.file, &s.a, pl_buf_view(&text), &args->options, &err) != PL_OK) {
        say(&s, "%s", err.msg);
    } else {
        say_problems(&s, path, &s.file.problems);
        for (size_t i = 0; i < s.file.rule_file_count; i++) {
            load_pattern(&s, args, s.file.rule_files[i]);
        }
        order_groups(&s);
        for (size_t i = 0, n = s.failures == 0 ? s.file.n : 0; i < n; i++) {
            run_test(&s, args, &s.file.tests[i]); /* a failed one does not keep the others from running */
        }
    }
    if (s.failures == 0) {
        puts("  SUCCESS");
    }
    putchar('\n');
    (void)fflush(stdout);
    for (size_t i = 0; i < s.text_count; i++) {
        pl_buf_fini(&s.texts[i]);
    }
    pl_free(s.texts);
    pl_free(s.groups);
    pl_buf_fini(&text);
    pl_arena_fini(&s.a);
    return s.failures == 0;
}

int ctl_rules_test(int argc, char **argv)
{
    struct args args = {0};
    const struct ctl_flag flags[] = {
        {"ignore-unknown-fields", CTL_FLAG_BOOL, &args.options.ignore_unknown_fields, NULL,
         "unknown fields are no error"},
        {"experimental", CTL_FLAG_BOOL, &args.experimental, NULL, "accept PromQL's experimental parts"},
        {"delayed-name-removal", CTL_FLAG_BOOL, &args.delayed_names, NULL,
         "metric names are dropped at the end of the evaluation"},
    };
    struct pl_err err = {.status = PL_OK};
    bool help = false, ok = true;
    pl_status st = ctl_flags_parse(flags, PL_ARRAY_LEN(flags), &argc, argv, &help, &err);

    if (help) {
        return ctl_help(usage, flags, PL_ARRAY_LEN(flags), notes);
    }
    if (st == PL_OK && argc < 2) {
        st = pl_fail(&err, PL_INVALID, "the files to run are missing");
    }
    if (st != PL_OK) {
        fprintf(stderr, "palliumctl rules test: %s\n", err.msg);
        return 2;
    }
    if (args.experimental) {
        args.options.parse = ptest_parse_options;
    }
    for (int i = 1; i < argc; i++) {
        ok = run_file(&args, argv[i]) && ok;
    }
    return ok ? 0 : 1;
}
