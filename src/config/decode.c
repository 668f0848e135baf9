/* YAML over a block of options. Strict: what is not known, given twice or of the wrong type is an error that names its
 * line. */
#include "config/section.h"

#include <stdio.h>
#include <stdlib.h>

#define SHORT(s) (int)PL_MIN((s).n, (size_t)100), (s).p

enum { ISSUES_MAX = 200 };

void config_issue_add(struct config_issues *issues, int line, bool warning, const char *fmt, ...)
{
    struct pl_buf b;
    va_list ap;

    if (issues->n >= ISSUES_MAX) {
        issues->cut = true;
        return;
    }
    pl_buf_init(&b, 2 * PL_ERR_MSG_MAX);
    va_start(ap, fmt);
    pl_buf_vprintf(&b, fmt, ap);
    va_end(ap);
    pl_array_reserve(issues->v, issues->cap, issues->n + 1);
    issues->v[issues->n++] =
        (struct config_issue){.line = line, .warning = warning, .text = pl_str_dup(pl_buf_view(&b))};
    pl_buf_fini(&b);
}

void config_issues_fini(struct config_issues *issues)
{
    for (size_t i = 0; i < issues->n; i++) {
        pl_free(issues->v[i].text);
    }
    pl_free(issues->v);
    *issues = (struct config_issues){0};
}

size_t config_issues_errors(const struct config_issues *issues)
{
    size_t n = 0;

    for (size_t i = 0; i < issues->n; i++) {
        n += !issues->v[i].warning;
    }
    return n;
}

void config_issues_message(const struct config_issues *issues, struct pl_buf *out)
{
    PL_BUF_LIT(out, "yaml: unmarshal errors:");
    for (size_t i = 0; i < issues->n; i++) {
        if (!issues->v[i].warning) {
            pl_buf_printf(out, "\n  line %d: %s", issues->v[i].line, issues->v[i].text);
        }
    }
    if (issues->cut) {
        PL_BUF_LIT(out, "\n  and more");
    }
}

/* ---- scalars and lists ---- */

static const char *go_type(enum opt_kind k)
{
    switch (k) {
    case OPT_K_BOOL:
        return "bool";
    case OPT_K_INT:
        return "int";
    case OPT_K_UINT:
        return "uint";
    case OPT_K_FLOAT:
        return "float64";
    case OPT_K_DURATION:
    case OPT_K_PDURATION:
        return "duration";
    case OPT_K_TEXT:
    case OPT_K_SECRET:
        return "string";
    case OPT_K_LIST:
        return "[]string";
    case OPT_K_DURATIONS:
        return "[]duration";
    case OPT_K_YAML:
        return "list";
    case OPT_K_MAP:
    case OPT_K_BLOCK:
        return "map";
    case OPT_K_IGNORED:
        return "nothing";
    }
    PL_UNREACHABLE("option kind");
}

static void wrong_type(const struct opt_decoder *d, const struct opt *o, const struct yaml_node *n, const char *where,
                       const char *why)
{
    pl_str text = n->type != YAML_SCALAR ? PL_STR("") : o->kind == OPT_K_SECRET ? PL_STR("********") : n->text;

    config_issue_add(d->issues, n->line, false, "cannot unmarshal %s%s%.*s%s into %s (%s%s%s)%s%s", yaml_tag_of(n),
                     text.n > 0 ? " `" : "", SHORT(text), text.n > 0 ? "`" : "", go_type(o->kind), where,
                     where[0] != '\0' ? "." : "", opt_key(o), why[0] != '\0' ? ": " : "", why);
}

/* Null where a scalar is meant gives zero, as Cortex's decoder does. */
static void set_zero(const struct opt *o, void *field)
{
    switch (o->kind) {
    case OPT_K_BOOL:
        *(bool *)field = false;
        return;
    case OPT_K_INT:
    case OPT_K_UINT:
    case OPT_K_DURATION:
    case OPT_K_PDURATION:
        *(int64_t *)field = 0;
        return;
    case OPT_K_FLOAT:
        *(double *)field = 0;
        return;
    case OPT_K_TEXT:
    case OPT_K_SECRET:
        *(pl_str *)field = PL_STR("");
        return;
    case OPT_K_LIST:
        *(struct opt_list *)field = (struct opt_list){0};
        return;
    case OPT_K_DURATIONS:
        *(struct opt_durations *)field = (struct opt_durations){0};
        return;
    case OPT_K_YAML:
    case OPT_K_MAP:
        *(struct opt_yaml *)field = (struct opt_yaml){0};
        return;
    case OPT_K_BLOCK:
    case OPT_K_IGNORED:
        return;
    }
    PL_UNREACHABLE("option kind");
}

/* Whole numbers may be written as floats (1e6) where nothing is lost. */
static bool whole_from_float(const struct opt *o, const struct yaml_node *n, int64_t *field)
{
    static const struct opt as_float = {.kind = OPT_K_FLOAT};
    char why[OPT_WHY_MAX];
    double v;

    if ((o->kind != OPT_K_INT && o->kind != OPT_K_UINT) || !opt_parse(&as_float, &v, n->text, false, NULL, why)) {
        return false;
    }
    int64_t i = pl_f64_to_i64(v);
    if (i == INT64_MIN || (double)i != v || (o->kind == OPT_K_UINT && i < 0)) {
        return false;
    }
    *field = i;
    return true;
}

static bool scalar_ok(const struct opt *o, const struct yaml_node *n, void *field, struct pl_arena *a, char *why)
{
    const char *tag = yaml_tag_of(n);

    why[0] = '\0';
    switch (o->kind) {
    case OPT_K_BOOL:
        return yaml_bool(n, field);
    case OPT_K_INT:
    case OPT_K_UINT:
        if (strcmp(tag, "!!float") == 0) {
            return whole_from_float(o, n, field);
        }
        return strcmp(tag, "!!int") == 0 && opt_parse(o, field, n->text, false, a, why);
    case OPT_K_FLOAT:
        return (strcmp(tag, "!!int") == 0 || strcmp(tag, "!!float") == 0) &&
               opt_parse(o, field, n->text, false, a, why);
    case OPT_K_DURATION:
    case OPT_K_PDURATION:
    case OPT_K_TEXT:
    case OPT_K_SECRET:
        return opt_parse(o, field, n->text, false, a, why);
    case OPT_K_LIST:
    case OPT_K_DURATIONS:
    case OPT_K_YAML:
    case OPT_K_MAP:
    case OPT_K_BLOCK:
    case OPT_K_IGNORED:
        return false;
    }
    PL_UNREACHABLE("option kind");
}

static bool list_ok(const struct yaml_node *n, struct opt_list *out, struct pl_arena *a, char *why)
{
    struct opt_list l = {.v = pl_arena_array_try(a, n->n + 1, sizeof(pl_str)), .n = n->n};

    for (size_t i = 0; i < n->n; i++) {
        if (n->items[i]->type != YAML_SCALAR) {
            (void)snprintf(why, OPT_WHY_MAX, "item %zu is not plain text", i + 1);
            return false;
        }
        l.v[i] = pl_arena_str(a, n->items[i]->text);
    }
    *out = l;
    return true;
}

static bool durations_ok(const struct yaml_node *n, struct opt_durations *out, struct pl_arena *a, char *why)
{
    struct opt_durations l = {.v = pl_arena_array_try(a, n->n + 1, sizeof(int64_t)), .n = n->n};

    for (size_t i = 0; i < n->n; i++) {
        if (n->items[i]->type != YAML_SCALAR || !opt_duration_parse(n->items[i]->text, &l.v[i], why)) {
            return false;
        }
    }
    *out = l;
    return true;
}

/* The part of the file as text, so that two configs can be compared and printed without their trees. */
static bool tree_ok(const struct yaml_node *n, struct opt_yaml *out, struct pl_arena *a)
{
    struct pl_buf b = {0};

    if (n->n == 0) {
        *out = (struct opt_yaml){0};
        return true;
    }
    yaml_print_node(&b, n, 0);
    *out = (struct opt_yaml){.text = pl_arena_str(a, pl_buf_view(&b)), .node = n};
    pl_buf_fini(&b);
    return true;
}

static void decode_value(const struct opt_decoder *d, const struct opt *o, void *field, const struct yaml_node *n,
                         const char *where)
{
    char why[OPT_WHY_MAX] = "";
    bool ok = false;

    if (yaml_is_null(n)) {
        set_zero(o, field);
        ok = true;
    } else if (n->type == YAML_SCALAR) {
        ok = scalar_ok(o, n, field, d->arena, why);
    } else if (n->type == YAML_SEQ && o->kind == OPT_K_LIST) {
        ok = list_ok(n, field, d->arena, why);
    } else if (n->type == YAML_SEQ && o->kind == OPT_K_DURATIONS) {
        ok = durations_ok(n, field, d->arena, why);
    } else if ((n->type == YAML_SEQ && o->kind == OPT_K_YAML) || (n->type == YAML_MAP && o->kind == OPT_K_MAP)) {
        ok = tree_ok(n, field, d->arena);
    }
    if (!ok) {
        wrong_type(d, o, n, where, why);
        return;
    }
    if (d->set != NULL) {
        size_t offset = (size_t)((const char *)field - d->set_base);
        d->set[offset / 8] |= (uint8_t)(1U << (offset % 8));
    }
    if (o->deprecated) {
        config_issue_add(d->issues, n->line, true, "%s%s%s is deprecated and does nothing", where,
                         where[0] != '\0' ? "." : "", opt_key(o));
    }
}

/* ---- mappings ---- */

static const struct opt *find_row(opt_rows_fn rows, pl_str key)
{
    size_t count;
    const struct opt *o = rows(&count);

    for (size_t i = 0; i < count; i++) {
        if (!o[i].no_yaml && pl_str_eq(pl_str_c(opt_key(&o[i])), key)) {
            return &o[i];
        }
    }
    return NULL;
}

struct elsewhere {
    pl_str key;
    char path[OPT_PATH_MAX];
};

static bool match_elsewhere(void *arg, const struct opt_place *p)
{
    struct elsewhere *e = arg;

    if (p->no_yaml || !pl_str_eq(pl_str_c(opt_key(p->opt)), e->key)) {
        return true;
    }
    (void)snprintf(e->path, sizeof(e->path), "%s", p->path);
    return false;
}

static void unknown_key(const struct opt_decoder *d, opt_rows_fn rows, const struct yaml_pair *pair, const char *where)
{
    struct opt_nearest near;
    struct elsewhere e = {.key = pair->key};
    size_t count;
    const struct opt *o = rows(&count);
    char hint[OPT_PATH_MAX + 64] = "";

    opt_nearest_init(&near, pair->key);
    for (size_t i = 0; i < count; i++) {
        if (!o[i].no_yaml) {
            opt_nearest_try(&near, opt_key(&o[i]));
        }
    }
    opt_walk(opt_rows_config, match_elsewhere, &e);
    if (near.best[0] != '\0') {
        (void)snprintf(hint, sizeof(hint), "; did you mean %s?", near.best);
    } else if (e.path[0] != '\0') {
        (void)snprintf(hint, sizeof(hint), "; there is %s", e.path);
    }
    config_issue_add(d->issues, pair->line, false, "field %.*s not found in %s%s", SHORT(pair->key),
                     where[0] != '\0' ? where : "the top level", hint);
}

static void decode_block(const struct opt_decoder *d, const struct opt *o, void *base, const struct yaml_pair *pair,
                         const char *where)
{
    char path[OPT_PATH_MAX];
    const struct yaml_node *n = pair->value;

    (void)snprintf(path, sizeof(path), "%s%s%s", where, where[0] != '\0' ? "." : "", opt_key(o));
    if (n->type == YAML_MAP) {
        opt_decode(d, o->sub, base, n, path);
        return;
    }
    if (!yaml_is_null(n)) {
        wrong_type(d, o, n, where, "");
        return;
    }
    if (d->empty_section != NULL && where[0] == '\0') {
        if (*d->empty_section == NULL) {
            *d->empty_section = opt_key(o);
        }
        return;
    }
    config_issue_add(d->issues, pair->line, true, "section %s is empty; its defaults stay", path);
}

/* Recursion follows the rows, not the text: at most six deep. */
void opt_decode(const struct opt_decoder *d, opt_rows_fn rows, void *base, const struct yaml_node *map,
                const char *where)
{
    if (map->type != YAML_MAP) {
        config_issue_add(d->issues, map->line, false, "cannot unmarshal %s into %s; keys and values are needed",
                         yaml_tag_of(map), where[0] != '\0' ? where : "the configuration");
        return;
    }
    for (size_t i = 0; i < map->n; i++) {
        const struct yaml_pair *pair = &map->pairs[i];
        const struct opt *o = find_row(rows, pair->key);
        if (o == NULL) {
            unknown_key(d, rows, pair, where);
        } else if (o->kind == OPT_K_BLOCK) {
            decode_block(d, o, (char *)base + o->offset, pair, where);
        } else {
            decode_value(d, o, (char *)base + o->offset, pair->value, where);
        }
    }
}
