/* ctl/rules_template.h - the part of Go's text/template that alerting rules use, with Prometheus's functions.
 *
 * Texts, {{ pipelines }}, variables, if, else, with, range, and the functions that rules call. The text is executed as
 * it is read, which is linear but for range (bounded). Not here: define, template, block, html escaping, methods.
 * Threads: plain functions.
 */
#ifndef PL_CTL_RULES_TEMPLATE_H
#define PL_CTL_RULES_TEMPLATE_H

#include "base/arena.h"
#include "base/buf.h"
#include "model/labels.h"

enum {
    TEMPLATE_DEPTH_MAX = 50,
    TEMPLATE_VARS_MAX = 50,
    TEMPLATE_ARGS_MAX = 12,
    TEMPLATE_STEPS_MAX = 100000, /* actions executed */
    TEMPLATE_OUTPUT_MAX = 1 << 20,
};

enum template_kind { T_NIL, T_BOOL, T_INT, T_FLOAT, T_TEXT, T_LABELS, T_SAMPLE, T_LIST, T_DATA };

struct template_value {
    enum template_kind kind;
    bool b;
    double num; /* T_INT, T_FLOAT; a sample's value */
    pl_str text;
    struct labels labels; /* T_LABELS; a sample's */
    const struct template_value *items;
    size_t n;
};

struct template_data {
    struct labels labels, external_labels;
    pl_str external_url;
    double value;
    int64_t now_ms;
    /* query "..." in a template: a list of samples. */
    pl_status (*query)(void *arg, struct pl_arena *a, pl_str expr, struct template_value *out, struct pl_err *err);
    void *arg;
};

/* Can it be parsed? PL_INVALID says why not. */
PL_MUST_USE pl_status rules_template_check(struct pl_arena *a, pl_str text, struct pl_err *err);
PL_MUST_USE pl_status rules_template_expand(struct pl_buf *out, struct pl_arena *a, pl_str text,
                                            const struct template_data *data, struct pl_err *err);

/* ---- rules_template_func.c ---- */

struct template_func;
const struct template_func *template_func_find(pl_str name); /* NULL: unknown */
PL_MUST_USE pl_status template_func_call(struct template_value *out, const struct template_func *f, struct pl_arena *a,
                                         const struct template_data *data, const struct template_value *args, size_t n,
                                         struct pl_err *err);
bool template_truth(const struct template_value *v);
void template_print(struct pl_buf *b, const struct template_value *v); /* as fmt's %v */

#endif
