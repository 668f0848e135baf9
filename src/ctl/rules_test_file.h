/* ctl/rules_test_file.h - files of rule tests in promtool's format. */
#ifndef PL_CTL_RULES_TEST_FILE_H
#define PL_CTL_RULES_TEST_FILE_H

#include "ctl/rules_file.h"
#include "promqltest/promqltest.h"

struct rules_alert_expected {
    struct labels labels; /* alertname among them */
    struct labels annotations;
};

struct rules_alert_test {
    int64_t eval_ms;
    pl_str name;
    struct rules_alert_expected *alerts;
    size_t n;
};

struct rules_expr_sample {
    struct labels labels;
    double v;
    const struct hist *h; /* NULL: the float */
};

struct rules_expr_test {
    int64_t eval_ms;
    pl_str expr;
    struct rules_expr_sample *samples;
    size_t n;
};

struct rules_test {
    pl_str name;
    int64_t interval_ms, start_ms;
    struct ptest_series *series;
    size_t series_count;
    struct labels external_labels;
    pl_str external_url;
    struct rules_alert_test *alerts;
    size_t alert_count;
    struct rules_expr_test *exprs;
    size_t expr_count;
};

struct rules_test_file {
    pl_str *rule_files; /* as written */
    size_t rule_file_count;
    pl_str *order; /* of groups */
    size_t order_count;
    int64_t interval_ms;
    bool fuzzy_compare;
    struct rules_test *tests;
    size_t n;
    struct rules_file problems; /* only its problems */
};

PL_MUST_USE pl_status rules_test_file_parse(struct rules_test_file *out, struct pl_arena *a, pl_str text,
                                            const struct rules_options *o, struct pl_err *err);

#endif
