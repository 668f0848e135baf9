/* Rule files, their templates and their evaluation: what is found wrong, what templates give, when alerts fire. */
#include "ctl/rules_file.h"
#include "ctl/rules_state.h"
#include "ctl/rules_template.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const struct rules_options options;

static void parse(struct rules_file *f, struct pl_arena *a, const char *text)
{
    struct pl_err err;

    if (rules_file_parse(f, a, pl_str_c(text), &options, &err) != PL_OK) {
        fail_msg("%s", err.msg);
    }
}

/* The only problem of each file, with its line. */
static void problems_are_found(void **state)
{
    static const struct {
        const char *text;
        int line;
        const char *said;
    } cases[] = {
        {"groups: [", 0, "yaml: line "},
        {"groups: 5", 1, "groups must be a list"},
        {"group: []", 1, "field group not found in a rule file"},
        {"groups:\n- rules: []", 2, "Groupname must not be empty"},
        {"groups:\n- name: a\n- name: a\n", 3, "groupname: \"a\" is repeated in the same file"},
        {"groups:\n- name: a\n  interval: later\n", 3, "interval: not a valid duration string: \"later\""},
        {"groups:\n- name: a\n  limit: some\n", 2, "limit must be a whole number"},
        {"groups:\n- name: a\n  rules:\n  - record: x\n    expr: 1 +\n", 5,
         "group \"a\", rule 1, \"x\": could not parse expression: 1:4: parse error"},
        {"groups:\n- name: a\n  rules:\n  - record: x\n", 4, "field 'expr' must be set in rule"},
        {"groups:\n- name: a\n  rules:\n  - expr: 1\n", 4, "one of 'record' or 'alert' must be set"},
        {"groups:\n- name: a\n  rules:\n  - {record: x, alert: y, expr: 1}\n", 4,
         "only one of 'record' and 'alert' must be set"},
        {"groups:\n- name: a\n  rules:\n  - {record: x, expr: 1, for: 5m}\n", 4,
         "invalid field 'for' in recording rule"},
        {"groups:\n- name: a\n  rules:\n  - {record: x, expr: 1, annotations: {a: b}}\n", 4,
         "invalid field 'annotations' in recording rule"},
        {"groups:\n- name: a\n  rules:\n  - {record: 'sum(x{})', expr: 1}\n", 4,
         "braces present in the recording rule"},
        {"groups:\n- name: a\n  rules:\n  - {record: x, expr: 1, labels: {__name__: y}}\n", 4,
         "invalid label name: __name__"},
        {"groups:\n- name: a\n  rules:\n  - {alert: x, expr: 1, severity: high}\n", 4,
         "field severity not found in a rule"},
        {"groups:\n- name: a\n  rules:\n  - {alert: x, expr: 1, annotations: {t: '{{ $labels.a '}}\n", 4,
         "annotation \"t\": template: unclosed action"},
        {"groups:\n- name: a\n  rules:\n  - {alert: x, expr: 1, labels: {t: '{{ nofunc 1 }}'}}\n", 4,
         "label \"t\": template: function \"nofunc\" not defined"},
        {"groups:\n- name: a\n  rules:\n  - {alert: x, expr: 'limitk(1, y)'}\n", 4, "experimental"},
    };

    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        struct rules_file f;
        struct pl_arena a;

        pl_arena_init(&a, 0);
        parse(&f, &a, cases[i].text);
        if (f.problem_count != 1 || f.problems[0].line != cases[i].line ||
            pl_str_find_str(f.problems[0].text, pl_str_c(cases[i].said)) == SIZE_MAX) {
            fail_msg("%s: %zu problems, line %d: %.*s", cases[i].text, f.problem_count,
                     f.problem_count > 0 ? f.problems[0].line : 0, f.problem_count > 0 ? (int)f.problems[0].text.n : 0,
                     f.problem_count > 0 ? f.problems[0].text.p : "");
        }
        pl_arena_fini(&a);
    }
}

static pl_status two_samples(void *arg, struct pl_arena *a, pl_str expr, struct template_value *out, struct pl_err *err)
{
    static const struct label one[] = {{PL_STR_INIT("job"), PL_STR_INIT("web")}};
    static const struct label other[] = {{PL_STR_INIT("job"), PL_STR_INIT("api")}};
    static const struct template_value v[] = {{.kind = T_SAMPLE, .labels = {one, 1}, .num = 3},
                                              {.kind = T_SAMPLE, .labels = {other, 1}, .num = 4.5}};

    (void)arg;
    (void)a;
    (void)err;
    *out = (struct template_value){.kind = T_LIST, .items = v, .n = pl_str_eq(expr, PL_STR("none")) ? 0 : 2};
    return PL_OK;
}

/* Values as Prometheus gives them (compared with promtool 3.5). NULL: it fails. */
static void templates_expand(void **state)
{
    static const struct label labels[] = {{PL_STR_INIT("instance"), PL_STR_INIT("db-1.example.org:9100")},
                                          {PL_STR_INIT("job"), PL_STR_INIT("node")}};
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"plain", "plain"},
        {"{{ $labels.job }}/{{ .Labels.job }}/{{ $labels.none }}|", "node/node/|"},
        {"{{ $value }} {{ .Value }}", "1234.5678 1234.5678"},
        {"{{ $value | humanize }} {{ humanize 0.00123 }} {{ humanize 0 }}", "1.235k 1.23m 0"},
        {"{{ 1536 | humanize1024 }} {{ humanize1024 1 }}", "1.5ki 1"},
        {"{{ humanizePercentage 0.123456 }}", "12.35%"},
        {"{{ humanizeDuration 93784 }}, {{ humanizeDuration 3661 }}, {{ humanizeDuration 65 }}, {{ humanizeDuration "
         "1.5 }}",
         "1d 2h 3m 4s, 1h 1m 1s, 1m 5s, 1.5s"},
        {"{{ humanizeDuration 0.01234 }} {{ humanizeDuration -65 }} {{ humanizeDuration 0 }}", "12.34ms -1m 5s 0s"},
        {"{{ humanizeTimestamp 1435065584.128 }}", "2015-06-23 13:19:44.128 +0000 UTC"},
        {"{{ printf \"%.2f|%5.1f|%q|%s|%v|%d|%%\" $value 2.25 \"a b\" \"z\" 1.5 7 }}",
         "1234.57|  2.2|\"a b\"|z|1.5|7|%"},
        {"{{ printf \"%d %s\" 1.5 }}", "%!d(float64=1.5) %!s(MISSING)"},
        {"{{ if gt $value 1000.0 }}high{{ else if gt $value 10.0 }}mid{{ else }}low{{ end }}", "high"},
        {"{{ if lt $value 1000.0 }}low{{ else if gt $value 10.0 }}mid{{ else }}none{{ end }}", "mid"},
        {"{{ if and true (not false) }}y{{ end }}{{ if or false \"\" }}n{{ end }}", "y"},
        {"{{ if eq $labels.job \"a\" \"node\" }}one of them{{ end }}", "one of them"},
        {"{{ if gt $value 1000 }}x{{ end }}", NULL}, /* float and int do not compare */
        {"{{ query \"up\" | first | value }} {{ query \"up\" | first | label \"job\" }} {{ len (query \"up\") }}",
         "3 web 2"},
        {"{{ range query \"up\" }}{{ .Labels.job }}={{ .Value }};{{ end }}", "web=3;api=4.5;"},
        {"{{ range $i, $s := sortByLabel \"job\" (query \"up\") }}{{ $i }}{{ $s.Labels.job }} {{ end }}", "0api 1web "},
        {"{{ range query \"none\" }}x{{ else }}nothing{{ end }}", "nothing"},
        {"{{ with query \"none\" }}x{{ else }}empty{{ end }}{{ with $x := 5 }}{{ $x }}{{ . }}{{ end }}", "empty55"},
        {"{{ first (query \"none\") }}", NULL},
        {"a {{- 1 -}} b {{/* gone */}}c", "a1b c"},
        {"{{ stripPort $labels.instance }} {{ stripDomain $labels.instance }} {{ stripDomain \"10.0.0.1:80\" }}",
         "db-1.example.org db-1:9100 10.0.0.1:80"},
        {"{{ toUpper \"ab\" }}{{ toLower \"CD\" }}{{ title \"ef gh\" }}", "ABcdEf Gh"},
        {"{{ toUpper $value }}", NULL},
        {"{{ match \"d.-[0-9]\" $labels.instance }}", "true"},
        {"{{ reReplaceAll \"(.*):.*\" \"host $1\" $labels.instance }}", "host db-1.example.org"},
        {"{{ index $labels \"job\" }} {{ $externalURL }} {{ parseDuration \"1h\" }}", "node http://p 3600"},
        {"{{ $a := 2 }}{{ $b := \"x\" }}{{ $a }}{{ $b }}", "2x"},
        {"{{ 1000000 }} {{ 1000000.0 }} {{ 1e-7 }} {{ true }}", "1000000 1e+06 1e-07 true"},
        {"{{ \"quo\\\"te\\n\" }}{{ `raw\\n` }}", "quo\"te\nraw\\n"},
        {"{{ end }}", NULL},
        {"{{ if true }}x", NULL},
        {"{{ $none }}", NULL},
        {"{{ tableLink \"up\" }}", NULL}, /* known, not computed here */
    };
    const struct template_data d = {
        .labels = {labels, 2}, .external_url = PL_STR("http://p"), .value = 1234.5678, .query = two_samples};

    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        struct pl_err err = {.msg = ""};
        struct pl_arena a;
        struct pl_buf b;
        pl_status st;

        pl_arena_init(&a, 0);
        pl_buf_init(&b, 0);
        st = rules_template_expand(&b, &a, pl_str_c(cases[i].text), &d, &err);
        pl_buf_byte(&b, '\0');
        if ((st == PL_OK) != (cases[i].want != NULL) || (st == PL_OK && strcmp(b.p, cases[i].want) != 0)) {
            fail_msg("%s: %s%s", cases[i].text, b.p, err.msg);
        }
        pl_buf_fini(&b);
        pl_arena_fini(&a);
    }
}

/* for, keep_firing_for and the series that alerts write; minute by minute. */
static void alerts_step(void **state)
{
    static const char text[] = "groups:\n- name: g\n  rules:\n"
                               "  - {record: twice, expr: x * 2, labels: {made: 'yes'}}\n"
                               "  - {alert: Big, expr: 'twice > 10', for: 2m, keep_firing_for: 2m,\n"
                               "     annotations: {t: '{{ $value }}'}}\n";
    static const double x[] = {1, 6, 7, 8, 9, 1, 1, 1, 9};
    static const enum alert_state want[] = {ALERT_INACTIVE, ALERT_PENDING, ALERT_PENDING,  ALERT_FIRING, ALERT_FIRING,
                                            ALERT_FIRING,   ALERT_FIRING,  ALERT_INACTIVE, ALERT_PENDING};
    const struct label name[] = {{LABEL_METRIC_NAME, PL_STR("x")}};
    struct rules_state s;
    struct rules_file f;
    const struct rule_group *g;
    struct pl_arena a;
    struct pl_err err;

    (void)state;
    pl_arena_init(&a, 0);
    parse(&f, &a, text);
    assert_int_equal(f.problem_count, 0);
    g = &f.groups[0];
    rules_state_init(&s, &g, 1);
    s.subquery_step_ms = 60000;
    for (size_t i = 0; i < PL_ARRAY_LEN(x); i++) {
        const struct rule_state *r = &s.rules[1];
        enum alert_state got;

        mem_series_add(&s.source, mem_source_series(&s.source, (struct labels){name, 1}), (int64_t)i * 60000, x[i]);
        assert_int_equal(rules_state_eval(&s, (int64_t)i * 60000, &err), PL_OK);
        got = r->n > 0 ? r->alerts[0]->state : ALERT_INACTIVE;
        if (got != want[i]) {
            fail_msg("minute %zu: state %d", i, (int)got);
        }
    }
    /* x, twice, ALERTS pending and firing, ALERTS_FOR_STATE */
    assert_int_equal(s.source.n, 5);
    rules_state_fini(&s);
    pl_arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(problems_are_found), cmocka_unit_test(templates_expand),
                                       cmocka_unit_test(alerts_step)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
