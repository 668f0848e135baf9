#include "ctl/rules_file.h"

#include "ctl/rules_template.h"

/* ---- YAML ---- */

void rules_problem(struct rules_reader *r, int line, const char *fmt, ...)
{
    struct rule_problem *v;
    struct pl_buf b;
    va_list ap;

    if (r->out->problem_count >= RULES_PROBLEMS_MAX) {
        return;
    }
    if (r->out->problem_count == r->cap) {
        size_t cap = r->cap < 8 ? 8 : r->cap * 2;

        v = pl_arena_new_array_try(r->a, struct rule_problem, cap);
        if (v == NULL) {
            return;
        }
        if (r->cap > 0) {
            memcpy(v, r->out->problems, r->cap * sizeof(*v));
        }
        r->out->problems = v;
        r->cap = cap;
    }
    pl_buf_init(&b, 3000);
    va_start(ap, fmt);
    pl_buf_vprintf(&b, fmt, ap);
    va_end(ap);
    r->out->problems[r->out->problem_count++] = (struct rule_problem){
        line, pl_arena_str(r->a, b.overflow ? PL_STR("a problem too long to tell") : pl_buf_view(&b))};
    pl_buf_fini(&b);
}

bool rules_known_keys(struct rules_reader *r, const struct yaml_node *map, const char *what, const char *const *known)
{
    if (map->type != YAML_MAP) {
        rules_problem(r, map->line, "%s must be a mapping", what);
        return false;
    }
    for (size_t i = 0; i < map->n && !r->o->ignore_unknown_fields; i++) {
        size_t k = 0;

        while (known[k] != NULL && !pl_str_eq(map->pairs[i].key, pl_str_c(known[k]))) {
            k++;
        }
        if (known[k] == NULL) {
            rules_problem(r, map->pairs[i].line, "field %.*s not found in %s",
                          (int)PL_MIN(map->pairs[i].key.n, (size_t)200), map->pairs[i].key.p, what);
        }
    }
    return true;
}

pl_str rules_text(struct rules_reader *r, const struct yaml_node *map, const char *key)
{
    const struct yaml_node *n = yaml_get(map, pl_str_c(key));

    if (n == NULL || yaml_is_null(n)) {
        return PL_STR("");
    }
    if (n->type != YAML_SCALAR) {
        rules_problem(r, n->line, "%s must be text", key);
        return PL_STR("");
    }
    return n->text;
}

int64_t rules_duration(struct rules_reader *r, const struct yaml_node *map, const char *key)
{
    pl_str text = rules_text(r, map, key);
    const struct yaml_node *n = yaml_get(map, pl_str_c(key));
    int64_t ms = 0;

    if (text.n > 0 && !pl_str_eq(text, PL_STR("0")) && pq_parse_duration(&ms, text, NULL) != PL_OK) {
        rules_problem(r, n->line, "%s: not a valid duration string: \"%.*s\"", key, (int)PL_MIN(text.n, (size_t)200),
                      text.p);
    }
    return ms;
}

const struct yaml_node *const *rules_items(struct rules_reader *r, const struct yaml_node *map, const char *key,
                                           size_t *n)
{
    const struct yaml_node *list = yaml_get(map, pl_str_c(key));

    *n = 0;
    if (list == NULL || yaml_is_null(list)) {
        return NULL;
    }
    if (list->type != YAML_SEQ) {
        rules_problem(r, list->line, "%s must be a list", key);
        return NULL;
    }
    *n = list->n;
    return list->items;
}

struct labels rules_map(struct rules_reader *r, const struct yaml_node *map, const char *key)
{
    const struct yaml_node *n = yaml_get(map, pl_str_c(key));
    struct label *l;
    size_t count = 0;

    if (n == NULL || yaml_is_null(n)) {
        return (struct labels){NULL, 0};
    }
    if (n->type != YAML_MAP) {
        rules_problem(r, n->line, "%s must be a mapping of texts", key);
        return (struct labels){NULL, 0};
    }
    l = pl_arena_new_array_try(r->a, struct label, n->n + 1);
    for (size_t i = 0; l != NULL && i < n->n; i++) {
        const struct yaml_node *v = n->pairs[i].value;

        if (v->type != YAML_SCALAR) {
            rules_problem(r, v->line, "%s: a text is expected", key);
            continue;
        }
        l[count++] = (struct label){n->pairs[i].key, yaml_is_null(v) ? PL_STR("") : v->text};
    }
    labels_sort(l, count);
    return (struct labels){l, count};
}

/* ---- rules ---- */

struct place {
    const struct rule_group *group;
    size_t number; /* of the rule, from 1 */
    pl_str name;
};

static void rule_problem(struct rules_reader *r, const struct place *at, int line, const char *fmt, ...)
    PL_PRINTF(4, 5);
static void rule_problem(struct rules_reader *r, const struct place *at, int line, const char *fmt, ...)
{
    struct pl_buf b;
    va_list ap;

    pl_buf_init(&b, 0);
    va_start(ap, fmt);
    pl_buf_vprintf(&b, fmt, ap);
    va_end(ap);
    rules_problem(r, line, "group \"%.*s\", rule %zu, \"%.*s\": %.*s", (int)PL_MIN(at->group->name.n, (size_t)200),
                  at->group->name.p, at->number, (int)PL_MIN(at->name.n, (size_t)200), at->name.p,
                  (int)PL_MIN(b.n, (size_t)2000), b.p);
    pl_buf_fini(&b);
}

static bool label_name_ok(pl_str name)
{
    return name.n > 0 && pl_str_is_utf8(name);
}

static void check_labels(struct rules_reader *r, const struct place *at, const struct rule *rule)
{
    for (size_t i = 0; i < rule->labels.n; i++) {
        struct label l = rule->labels.v[i];

        if (!label_name_ok(l.name) || pl_str_eq(l.name, LABEL_METRIC_NAME)) {
            rule_problem(r, at, rule->line, "invalid label name: %.*s", PL_STR_ARG(l.name));
        }
        if (!pl_str_is_utf8(l.value)) {
            rule_problem(r, at, rule->line, "invalid label value: %.*s", PL_STR_ARG(l.value));
        }
    }
    for (size_t i = 0; i < rule->annotations.n; i++) {
        if (!label_name_ok(rule->annotations.v[i].name)) {
            rule_problem(r, at, rule->line, "invalid annotation name: %.*s", PL_STR_ARG(rule->annotations.v[i].name));
        }
    }
}

static void check_templates(struct rules_reader *r, const struct place *at, const struct rule *rule, struct labels ls,
                            const char *what)
{
    struct pl_err err;

    for (size_t i = 0; i < ls.n; i++) {
        if (rules_template_check(r->a, ls.v[i].value, &err) != PL_OK) {
            rule_problem(r, at, rule->line, "%s \"%.*s\": %s", what, PL_STR_ARG(ls.v[i].name), err.msg);
        }
    }
}

static void check_recording(struct rules_reader *r, const struct place *at, const struct rule *rule)
{
    if (rule->annotations.n > 0) {
        rule_problem(r, at, rule->line, "invalid field 'annotations' in recording rule");
    }
    if (rule->for_ms != 0) {
        rule_problem(r, at, rule->line, "invalid field 'for' in recording rule");
    }
    if (rule->keep_firing_ms != 0) {
        rule_problem(r, at, rule->line, "invalid field 'keep_firing_for' in recording rule");
    }
    if (!pl_str_is_utf8(rule->record)) {
        rule_problem(r, at, rule->line, "invalid recording rule name: %.*s", PL_STR_ARG(rule->record));
    }
    if (pl_str_find(rule->record, '{') != SIZE_MAX || pl_str_find(rule->record, '}') != SIZE_MAX) {
        rule_problem(r, at, rule->line, "braces present in the recording rule name; should it be in expr?: %.*s",
                     PL_STR_ARG(rule->record));
    }
}

static void check_rule(struct rules_reader *r, const struct place *at, struct rule *rule, int expr_line)
{
    struct pl_err err;
    struct pq_node *expr;

    if (rule->record.n > 0 && rule->alert.n > 0) {
        rule_problem(r, at, rule->line, "only one of 'record' and 'alert' must be set");
    }
    if (rule->record.n == 0 && rule->alert.n == 0) {
        rule_problem(r, at, rule->line, "one of 'record' or 'alert' must be set");
    }
    if (rule->expr_text.n == 0) {
        rule_problem(r, at, expr_line, "field 'expr' must be set in rule");
    } else if (pq_parse(&expr, r->a, rule->expr_text, &r->o->parse, &err) != PL_OK) {
        rule_problem(r, at, expr_line, "could not parse expression: %s", err.msg);
    } else {
        rule->expr = expr;
    }
    if (rule->record.n > 0) {
        check_recording(r, at, rule);
    }
    check_labels(r, at, rule);
    if (rule->alert.n > 0) {
        check_templates(r, at, rule, rule->labels, "label");
        check_templates(r, at, rule, rule->annotations, "annotation");
    }
}

/* The group's labels under the rule's own. */
static struct labels join_labels(struct pl_arena *a, struct labels group, struct labels own)
{
    struct label *l = pl_arena_new_array_try(a, struct label, group.n + own.n + 1);
    size_t n = 0;

    if (l == NULL || group.n == 0) {
        return own;
    }
    for (size_t i = 0; i < group.n; i++) {
        size_t k = 0;

        while (k < own.n && !pl_str_eq(own.v[k].name, group.v[i].name)) {
            k++;
        }
        if (k == own.n) {
            l[n++] = group.v[i];
        }
    }
    for (size_t i = 0; i < own.n; i++) {
        l[n++] = own.v[i];
    }
    labels_sort(l, n);
    return (struct labels){l, n};
}

static void read_rule(struct rules_reader *r, struct rule_group *g, const struct yaml_node *n, size_t number)
{
    static const char *const known[] = {"record",          "alert",  "expr",        "for",
                                        "keep_firing_for", "labels", "annotations", NULL};
    struct rule *rule = &g->rules[g->n];
    const struct yaml_node *expr;
    struct place at = {g, number, PL_STR("")};

    if (!rules_known_keys(r, n, "a rule", known)) {
        return;
    }
    *rule = (struct rule){.line = n->line,
                          .record = rules_text(r, n, "record"),
                          .alert = rules_text(r, n, "alert"),
                          .expr_text = rules_text(r, n, "expr"),
                          .for_ms = rules_duration(r, n, "for"),
                          .keep_firing_ms = rules_duration(r, n, "keep_firing_for"),
                          .annotations = rules_map(r, n, "annotations")};
    rule->labels = join_labels(r->a, g->labels, rules_map(r, n, "labels"));
    expr = yaml_get(n, PL_STR("expr"));
    at.name = rule_name(rule);
    check_rule(r, &at, rule, expr != NULL ? expr->line : n->line);
    g->n++;
}

static void check_group(struct rules_reader *r, const struct rule_group *g)
{
    if (g->name.n == 0) {
        rules_problem(r, g->line, "Groupname must not be empty");
    }
    for (size_t i = 0; i < r->out->n; i++) {
        if (pl_str_eq(r->out->groups[i].name, g->name)) {
            rules_problem(r, g->line, "groupname: \"%.*s\" is repeated in the same file",
                          (int)PL_MIN(g->name.n, (size_t)200), g->name.p);
            return;
        }
    }
}

static void read_group(struct rules_reader *r, const struct yaml_node *n)
{
    static const char *const known[] = {"name", "interval", "query_offset", "limit", "rules", "labels", NULL};
    struct rule_group *g = &r->out->groups[r->out->n];
    const struct yaml_node *const *rules;
    size_t count;
    pl_str limit;

    if (!rules_known_keys(r, n, "a group", known)) {
        return;
    }
    *g = (struct rule_group){.line = n->line,
                             .name = rules_text(r, n, "name"),
                             .interval_ms = rules_duration(r, n, "interval"),
                             .query_offset_ms = rules_duration(r, n, "query_offset"),
                             .labels = rules_map(r, n, "labels")};
    limit = rules_text(r, n, "limit");
    if (limit.n > 0 && !pl_str_to_u64(limit, &g->limit)) {
        rules_problem(r, n->line, "limit must be a whole number, not \"%.*s\"", (int)PL_MIN(limit.n, (size_t)200),
                      limit.p);
    }
    check_group(r, g);
    rules = rules_items(r, n, "rules", &count);
    g->rules = pl_arena_new_array_try(r->a, struct rule, count + 1);
    for (size_t i = 0; g->rules != NULL && i < count; i++) {
        read_rule(r, g, rules[i], i + 1);
    }
    r->out->n++;
}

pl_status rules_file_parse(struct rules_file *out, struct pl_arena *a, pl_str text, const struct rules_options *o,
                           struct pl_err *err)
{
    static const char *const known[] = {"groups", NULL};
    struct rules_reader r = {.a = a, .out = out, .o = o};
    const struct yaml_node *const *groups;
    struct pl_err bad;
    struct yaml_doc doc;
    size_t n;
    pl_status st;

    *out = (struct rules_file){0};
    st = yaml_parse(&doc, a, text, &bad);
    if (st == PL_INVALID) {
        rules_problem(&r, 0, "%s", bad.msg);
        return PL_OK;
    }
    if (st != PL_OK) {
        return pl_fail(err, st, "%s", bad.msg);
    }
    if (doc.root == NULL || yaml_is_null(doc.root) || !rules_known_keys(&r, doc.root, "a rule file", known)) {
        return PL_OK;
    }
    groups = rules_items(&r, doc.root, "groups", &n);
    out->groups = pl_arena_new_array_try(a, struct rule_group, n + 1);
    if (out->groups == NULL) {
        return pl_fail(err, PL_LIMIT, "the file is too large");
    }
    for (size_t i = 0; i < n; i++) {
        read_group(&r, groups[i]);
    }
    return PL_OK;
}

size_t rules_count(const struct rules_file *f)
{
    size_t n = 0;

    for (size_t i = 0; i < f->n; i++) {
        n += f->groups[i].n;
    }
    return n;
}
