/* ctl/rules_template_internal.h - shared by the files of the templates only. */
#ifndef PL_CTL_RULES_TEMPLATE_INTERNAL_H
#define PL_CTL_RULES_TEMPLATE_INTERNAL_H

#include "ctl/rules_template.h"

/* ---- the interpreter ---- */

struct template_variable {
    pl_str name;
    struct template_value value;
};

struct interp {
    struct pl_arena *a;
    pl_str s;
    size_t at;
    const struct template_data *data; /* NULL: only parsed */
    struct pl_buf *out;
    struct template_variable vars[TEMPLATE_VARS_MAX];
    size_t var_count;
    unsigned depth, steps;
    bool trim_next; /* -}} came before */
    struct pl_err *err;
};

/* rules_template_expr.c; run false: only parsed, values are nil */
void template__blanks(struct interp *i);
pl_str template__rest(const struct interp *i);
bool template__take(struct interp *i, const char *text);
pl_str template__name(struct interp *i);
bool template__at_close(const struct interp *i); /* at }} or -}}? */
PL_MUST_USE pl_status template__pipeline(struct interp *i, const struct template_value *dot, bool run,
                                         struct template_value *out);

/* ---- functions ---- */

struct call {
    struct pl_arena *a;
    const struct template_data *data;
    const struct template_value *args;
    size_t n;
    struct template_value *out;
    struct pl_err *err;
    const struct template_func *func;
};

struct template_func {
    const char *name;
    int args_min, args_max; /* -1: any number */
    pl_status (*run)(struct call *c);
    int arg; /* tells functions apart that share code */
};

enum { TITLE, UPPER, LOWER, STRIP_PORT, STRIP_DOMAIN, PLAIN }; /* arg of template__text */

/* rules_template_func.c */
pl_status template__bad(struct call *c, const char *what);
pl_status template__give_text(struct call *c, struct pl_buf *b);
pl_status template__give_bool(struct call *c, bool v);
pl_str template__text_of(const struct call *c, size_t i);
pl_status template__texts_only(struct call *c);
pl_status template__number_of(struct call *c, size_t i, double *out);

/* rules_template_human.c and rules_template_text.c */
pl_status template__humanize(struct call *c);
pl_status template__humanize1024(struct call *c);
pl_status template__humanize_duration(struct call *c);
pl_status template__humanize_percentage(struct call *c);
pl_status template__humanize_timestamp(struct call *c);
pl_status template__match(struct call *c);
pl_status template__print(struct call *c);
pl_status template__printf(struct call *c);
pl_status template__query_escape(struct call *c);
pl_status template__replace_all(struct call *c);
pl_status template__text(struct call *c);

#endif
