/* ctl/rules_file.h - rule files in Prometheus's format: groups of recording and alerting rules.
 *
 * Parsing finds all problems of a file, not only the first. Everything lives in the caller's arena; texts may be views
 * of the file. Threads: plain values.
 */
#ifndef PL_CTL_RULES_FILE_H
#define PL_CTL_RULES_FILE_H

#include "config/yaml.h"
#include "model/labels.h"
#include "promql/ast.h"

enum { RULES_PROBLEMS_MAX = 1000 };

struct rule {
    pl_str record, alert; /* one of them is set */
    pl_str expr_text;
    const struct pq_node *expr;
    int64_t for_ms, keep_firing_ms;
    struct labels labels; /* the group's among them */
    struct labels annotations;
    int line;
};

struct rule_group {
    pl_str name;
    int64_t interval_ms, query_offset_ms; /* 0: not set */
    uint64_t limit;                       /* 0: none */
    struct labels labels;
    struct rule *rules;
    size_t n;
    int line;
};

struct rule_problem {
    int line; /* 0: of the whole file */
    pl_str text;
};

struct rules_file {
    struct rule_group *groups;
    size_t n;
    struct rule_problem *problems;
    size_t problem_count;
};

struct rules_options {
    struct pq_parse_options parse;
    bool ignore_unknown_fields;
};

/* PL_TOO_LARGE and PL_LIMIT: the file is beyond bounds. What is wrong in it is in out->problems. */
PL_MUST_USE pl_status rules_file_parse(struct rules_file *out, struct pl_arena *a, pl_str text,
                                       const struct rules_options *o, struct pl_err *err);
size_t rules_count(const struct rules_file *f);
static inline pl_str rule_name(const struct rule *r)
{
    return r->alert.n > 0 ? r->alert : r->record;
}

/* ---- reading YAML, for this and for files of tests ---- */

struct rules_reader {
    struct pl_arena *a;
    struct rules_file *out;
    const struct rules_options *o;
    size_t cap;
};

void rules_problem(struct rules_reader *r, int line, const char *fmt, ...) PL_PRINTF(3, 4);
/* Is the node a mapping whose keys are all among `known`? */
bool rules_known_keys(struct rules_reader *r, const struct yaml_node *map, const char *what, const char *const *known);
/* A scalar field's text; empty when it is not there or null. */
pl_str rules_text(struct rules_reader *r, const struct yaml_node *map, const char *key);
int64_t rules_duration(struct rules_reader *r, const struct yaml_node *map, const char *key);
/* The items of a sequence field; *n is 0 when it is not there. */
const struct yaml_node *const *rules_items(struct rules_reader *r, const struct yaml_node *map, const char *key,
                                           size_t *n);
/* A mapping of texts, sorted by name. */
struct labels rules_map(struct rules_reader *r, const struct yaml_node *map, const char *key);

#endif
