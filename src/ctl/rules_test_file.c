#include "ctl/rules_test_file.h"

#include "codec/float_text.h"
#include "ctl/ctl.h"

#include <math.h>

enum { DEFAULT_INTERVAL_MS = 60000 };

static void *array(struct rules_reader *r, size_t n, size_t size)
{
    void *p = pl_arena_array_try(r->a, n + 1, size);

    PL_ASSERT(p != NULL); /* the arena has no limit, and YAML is bounded */
    return p;
}

static pl_str *texts(struct rules_reader *r, const struct yaml_node *map, const char *key, size_t *n)
{
    const struct yaml_node *const *items = rules_items(r, map, key, n);
    pl_str *out = array(r, *n, sizeof(*out));

    for (size_t i = 0; i < *n; i++) {
        if (items[i]->type != YAML_SCALAR) {
            rules_problem(r, items[i]->line, "%s: a text is expected", key);
        }
        out[i] = items[i]->text;
    }
    return out;
}

/* ---- series ---- */

static void read_series(struct rules_reader *r, struct rules_test *t, const struct yaml_node *n)
{
    static const char *const known[] = {"series", "values", NULL};
    struct pl_err err;
    struct pl_buf b;
    pl_str text;

    if (!rules_known_keys(r, n, "an input series", known)) {
        return;
    }
    pl_buf_init(&b, 0);
    pl_buf_str(&b, pl_str_trim(rules_text(r, n, "series")));
    pl_buf_byte(&b, ' ');
    pl_buf_str(&b, pl_str_trim(rules_text(r, n, "values")));
    for (size_t i = 0; i < b.n; i++) {
        b.p[i] = b.p[i] == '\n' ? ' ' : b.p[i]; /* values may go over several lines */
    }
    text = pl_arena_str(r->a, pl_buf_view(&b));
    pl_buf_fini(&b);
    if (ptest_series_parse(&t->series[t->series_count], r->a, text, &err) != PL_OK) {
        rules_problem(r, n->line, "%s", err.msg);
        return;
    }
    t->series_count++;
}

/* ---- what is expected ---- */

static void read_alert(struct rules_reader *r, struct rules_alert_test *t, const struct yaml_node *n)
{
    static const char *const known[] = {"exp_labels", "exp_annotations", NULL};
    struct rules_alert_expected *x = &t->alerts[t->n];
    struct labels given;
    struct label *l;
    size_t count = 0;

    if (!rules_known_keys(r, n, "an expected alert", known)) {
        return;
    }
    given = rules_map(r, n, "exp_labels");
    l = array(r, given.n + 1, sizeof(*l));
    for (size_t i = 0; i < given.n; i++) {
        if (given.v[i].value.n > 0 && !pl_str_eq(given.v[i].name, PL_STR("alertname"))) {
            l[count++] = given.v[i];
        }
    }
    l[count++] = (struct label){PL_STR("alertname"), t->name};
    labels_sort(l, count);
    x->labels = (struct labels){l, count};
    x->annotations = rules_map(r, n, "exp_annotations");
    t->n++;
}

static void read_alert_test(struct rules_reader *r, struct rules_test *t, const struct yaml_node *n)
{
    static const char *const known[] = {"eval_time", "alertname", "exp_alerts", NULL};
    struct rules_alert_test *x = &t->alerts[t->alert_count];
    const struct yaml_node *const *items;
    size_t count;

    if (!rules_known_keys(r, n, "an alert test", known)) {
        return;
    }
    x->eval_ms = rules_duration(r, n, "eval_time");
    x->name = rules_text(r, n, "alertname");
    if (x->name.n == 0) {
        rules_problem(r, n->line, "an item under alert_rule_test misses required attribute alertname");
    }
    items = rules_items(r, n, "exp_alerts", &count);
    x->alerts = array(r, count, sizeof(*x->alerts));
    for (size_t i = 0; i < count; i++) {
        read_alert(r, x, items[i]);
    }
    t->alert_count++;
}

/* YAML's floats: .inf and .nan besides the usual. */
static bool yaml_float(pl_str s, double *out)
{
    bool negative = s.n > 0 && s.p[0] == '-';
    pl_str rest = negative || (s.n > 0 && s.p[0] == '+') ? pl_str_sub(s, 1, s.n) : s;

    if (pl_str_eq_nocase(rest, PL_STR(".inf"))) {
        *out = negative ? -HUGE_VAL : HUGE_VAL;
        return true;
    }
    if (pl_str_eq_nocase(s, PL_STR(".nan"))) {
        *out = pl_f64_from_bits(PL_NORMAL_NAN_BITS);
        return true;
    }
    return s.n == 0 || float_parse(s, out);
}

static void read_sample(struct rules_reader *r, struct rules_expr_test *t, const struct yaml_node *n)
{
    static const char *const known[] = {"labels", "value", "histogram", NULL};
    struct rules_expr_sample *x = &t->samples[t->n];
    struct ptest_series one;
    struct pl_err err;
    pl_str histogram;

    if (!rules_known_keys(r, n, "an expected sample", known)) {
        return;
    }
    *x = (struct rules_expr_sample){.v = 0};
    if (ptest_labels_parse(&x->labels, r->a, pl_str_trim(rules_text(r, n, "labels")), &err) != PL_OK) {
        rules_problem(r, n->line, "labels: %s", err.msg);
    }
    if (!yaml_float(rules_text(r, n, "value"), &x->v)) {
        rules_problem(r, n->line, "value must be a number");
    }
    histogram = rules_text(r, n, "histogram");
    if (histogram.n > 0) {
        struct pl_buf b;

        pl_buf_init(&b, 0);
        pl_buf_cstr(&b, "{} ");
        pl_buf_str(&b, histogram);
        if (ptest_series_parse(&one, r->a, pl_arena_str(r->a, pl_buf_view(&b)), &err) != PL_OK) {
            rules_problem(r, n->line, "histogram: %s", err.msg);
        } else if (one.n != 1 || one.values[0].h == NULL) {
            rules_problem(r, n->line, "histogram: one histogram is expected");
        } else {
            x->h = one.values[0].h;
        }
        pl_buf_fini(&b);
    }
    t->n++;
}

static void read_expr_test(struct rules_reader *r, struct rules_test *t, const struct yaml_node *n)
{
    static const char *const known[] = {"expr", "eval_time", "exp_samples", NULL};
    struct rules_expr_test *x = &t->exprs[t->expr_count];
    const struct yaml_node *const *items;
    size_t count;

    if (!rules_known_keys(r, n, "an expression test", known)) {
        return;
    }
    x->eval_ms = rules_duration(r, n, "eval_time");
    x->expr = rules_text(r, n, "expr");
    items = rules_items(r, n, "exp_samples", &count);
    x->samples = array(r, count, sizeof(*x->samples));
    for (size_t i = 0; i < count; i++) {
        read_sample(r, x, items[i]);
    }
    t->expr_count++;
}

/* ---- tests ---- */

static void read_start(struct rules_reader *r, struct rules_test *t, const struct yaml_node *n)
{
    pl_str text = rules_text(r, n, "start_timestamp");

    if (text.n > 0 && !ctl_parse_time(pl_arena_str(r->a, text).p, 0, &t->start_ms)) {
        rules_problem(r, n->line, "start_timestamp: cannot parse \"%.*s\" to a valid timestamp",
                      (int)PL_MIN(text.n, (size_t)100), text.p);
    }
}

static void read_test(struct rules_reader *r, struct rules_test_file *f, const struct yaml_node *n)
{
    static const char *const known[] = {"interval",
                                        "input_series",
                                        "alert_rule_test",
                                        "promql_expr_test",
                                        "external_labels",
                                        "external_url",
                                        "name",
                                        "start_timestamp",
                                        NULL};
    struct rules_test *t = &f->tests[f->n];
    const struct yaml_node *const *items;
    size_t count;

    if (!rules_known_keys(r, n, "a test", known)) {
        return;
    }
    t->name = rules_text(r, n, "name");
    t->interval_ms = rules_duration(r, n, "interval");
    t->interval_ms = t->interval_ms > 0 ? t->interval_ms : f->interval_ms;
    t->external_labels = rules_map(r, n, "external_labels");
    t->external_url = rules_text(r, n, "external_url");
    read_start(r, t, n);
    items = rules_items(r, n, "input_series", &count);
    t->series = array(r, count, sizeof(*t->series));
    for (size_t i = 0; i < count; i++) {
        read_series(r, t, items[i]);
    }
    items = rules_items(r, n, "alert_rule_test", &count);
    t->alerts = array(r, count, sizeof(*t->alerts));
    for (size_t i = 0; i < count; i++) {
        read_alert_test(r, t, items[i]);
    }
    items = rules_items(r, n, "promql_expr_test", &count);
    t->exprs = array(r, count, sizeof(*t->exprs));
    for (size_t i = 0; i < count; i++) {
        read_expr_test(r, t, items[i]);
    }
    f->n++;
}

static void read_root(struct rules_reader *r, struct rules_test_file *f, const struct yaml_node *root)
{
    static const char *const known[] = {"rule_files", "evaluation_interval", "group_eval_order",
                                        "tests",      "fuzzy_compare",       NULL};
    const struct yaml_node *const *items;
    size_t count;

    if (!rules_known_keys(r, root, "a file of rule tests", known)) {
        return;
    }
    f->rule_files = texts(r, root, "rule_files", &f->rule_file_count);
    f->order = texts(r, root, "group_eval_order", &f->order_count);
    for (size_t i = 0; i < f->order_count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (pl_str_eq(f->order[i], f->order[k])) {
                rules_problem(r, root->line, "group name repeated in evaluation order: %.*s",
                              (int)PL_MIN(f->order[i].n, (size_t)200), f->order[i].p);
            }
        }
    }
    f->interval_ms = rules_duration(r, root, "evaluation_interval");
    f->interval_ms = f->interval_ms > 0 ? f->interval_ms : DEFAULT_INTERVAL_MS;
    f->fuzzy_compare = pl_str_eq(rules_text(r, root, "fuzzy_compare"), PL_STR("true"));
    items = rules_items(r, root, "tests", &count);
    f->tests = array(r, count, sizeof(*f->tests));
    for (size_t i = 0; i < count; i++) {
        read_test(r, f, items[i]);
    }
}

pl_status rules_test_file_parse(struct rules_test_file *out, struct pl_arena *a, pl_str text,
                                const struct rules_options *o, struct pl_err *err)
{
    struct rules_reader r = {.a = a, .out = &out->problems, .o = o};
    struct yaml_doc doc;

    *out = (struct rules_test_file){0};
    PL_TRY(yaml_parse(&doc, a, text, err));
    out->interval_ms = DEFAULT_INTERVAL_MS;
    if (doc.root != NULL && !yaml_is_null(doc.root)) { /* COMPAT: an empty file has no tests, and passes */
        read_root(&r, out, doc.root);
    }
    return PL_OK;
}
