/* Every flag and option that Cortex states is a row here, with the same default; what is printed is what Cortex prints.
 */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/section.h"

/* NULL when the shared facts are not beside the project: then the test is skipped. */
static char *read_shared(const char *name)
{
    char path[1024];
    struct pl_buf b = {0};
    struct pl_err err;
    const char *shared = getenv("SHARED");

    (void)snprintf(path, sizeof(path), "%s/testdata/cortex-config/%s", shared != NULL ? shared : "../shared", name);
    char *text = config_read_file(path, &b, &err) == PL_OK ? pl_str_dup(pl_buf_view(&b)) : NULL;
    pl_buf_fini(&b);
    return text;
}

struct wanted {
    const char *flag, *path;
    bool found;
    struct opt_place place;
    char def[512]; /* as /config shows it */
};

struct all {
    struct wanted *w;
    size_t n;
    const struct config *cfg;
};

static bool match(void *arg, const struct opt_place *p)
{
    struct all *a = arg;

    for (size_t i = 0; i < a->n; i++) {
        struct wanted *w = &a->w[i];
        bool by_flag = w->flag != NULL && (strcmp(w->flag, p->flag) == 0 ||
                                           (p->opt->alias != NULL && strcmp(w->flag, p->opt->alias) == 0));
        bool by_path = w->path != NULL && !p->no_yaml && strcmp(w->path, p->path) == 0;
        if (by_flag || by_path) {
            struct pl_buf b = {0};
            assert_false(w->found); /* no flag and no path twice */
            w->found = true;
            w->place = *p;
            opt_print_value(&b, p->opt, (const char *)a->cfg + p->offset);
            assert_true(b.n < sizeof(w->def));
            if (b.n > 0) {
                memcpy(w->def, b.p, b.n);
            }
            pl_buf_fini(&b);
        }
    }
    return true;
}

static size_t split_lines(char *text, char **lines, size_t max)
{
    size_t n = 0;

    for (char *p = strchr(text, '\n') + 1; *p != '\0' && n < max;) {
        char *end = strchr(p, '\n');
        lines[n++] = p;
        if (end == NULL) {
            break;
        }
        *end = '\0';
        p = end + 1;
    }
    return n;
}

static char *next_field(char **at)
{
    char *start = *at, *tab = strchr(start, '\t');

    *at = tab != NULL ? tab + 1 : start + strlen(start);
    if (tab != NULL) {
        *tab = '\0';
    }
    return start;
}

/* Default of the file against ours; both are texts of the same kind. */
static void check_default(const struct wanted *w, const char *name, char *def)
{
    size_t n = strlen(def);
    char ours[512];

    if (n >= 2 && def[0] == '"') {
        def[n - 1] = '\0';
        def++;
    }
    if (w->place.opt->host || w->place.opt->deprecated || w->place.v19) { /* a deprecated flag states no default */
        return;
    }
    (void)snprintf(ours, sizeof(ours), "%s", w->def);
    char *o = ours;
    if (o[0] == '"') {
        o[strlen(o) - 1] = '\0';
        o++;
    }
    /* An empty default is the zero of the type; lists are [a b], [a, b] or a,b. */
    for (char *p = o; *p != '\0'; p++) {
        if (p[0] == ',' && p[1] == ' ') {
            memmove(p, p + 1, strlen(p));
        }
    }
    if (o[0] == '[' && def[0] != '[') {
        o[strlen(o) - 1] = '\0';
        o++;
        for (char *p = o; *p != '\0'; p++) {
            *p = *p == ' ' ? ',' : *p;
        }
    }
    bool zero =
        strcmp(o, "false") == 0 || strcmp(o, "0") == 0 || strcmp(o, "0s") == 0 || strcmp(o, "{}") == 0 || o[0] == '\0';
    bool same = strcmp(o, def) == 0 || (def[0] == '\0' && zero) || (strcmp(def, "[]") == 0 && zero);
    /* 1.7976931348623157e+308, 2h0m0s and 2h0m: numbers and durations by value */
    int64_t a, b;
    char why[OPT_WHY_MAX];
    same = same || strtod(o, NULL) == strtod(def, NULL);
    same = same || (opt_duration_parse(pl_str_c(o), &a, why) && opt_duration_parse(pl_str_c(def), &b, why) && a == b);
    if (!same) {
        fail_msg("%s: default is %s, Cortex's %s", name, o, def);
    }
}

static const char *kind_of_flag(enum opt_kind k)
{
    switch (k) {
    case OPT_K_BOOL:
        return "bool";
    case OPT_K_INT:
        return "int";
    case OPT_K_UINT:
        return "uint";
    case OPT_K_FLOAT:
        return "float";
    case OPT_K_DURATION:
        return "duration";
    default:
        return "text";
    }
}

static void every_flag_is_taken(void **state)
{
    char *text = read_shared("flags.tsv"), **lines = calloc(4000, sizeof(*lines)), **defs = calloc(4000, sizeof(*defs));
    char **kinds = calloc(4000, sizeof(*kinds));
    struct config *cfg;
    struct all a = {.w = calloc(4000, sizeof(struct wanted))};

    (void)state;
    if (text == NULL) {
        skip();
    }
    a.n = split_lines(text, lines, 4000);
    assert_int_equal(a.n, 1695);
    for (size_t i = 0; i < a.n; i++) {
        char *at = lines[i];
        a.w[i].flag = next_field(&at);
        kinds[i] = next_field(&at);
        defs[i] = at;
    }
    config_default(&cfg);
    a.cfg = cfg;
    opt_walk(opt_rows_config, match, &a);
    for (size_t i = 0; i < a.n; i++) {
        if (!a.w[i].found) {
            fail_msg("flag -%s is not taken", a.w[i].flag);
        }
        /* The help shows some kinds as text only. */
        const char *kind = kind_of_flag(a.w[i].place.opt->kind);
        if (!a.w[i].place.opt->deprecated && strchr(kinds[i], ' ') == NULL && strcmp(kinds[i], "string") != 0 &&
            strcmp(kinds[i], "text") != 0 && strcmp(kinds[i], kind) != 0) {
            fail_msg("flag -%s is %s, Cortex's %s", a.w[i].flag, kind, kinds[i]);
        }
        check_default(&a.w[i], a.w[i].flag, defs[i]);
    }
    config_destroy(cfg);
    free(a.w);
    free(lines);
    free(defs);
    free(kinds);
    pl_free(text);
}

static void every_yaml_option_is_taken(void **state)
{
    char *text = read_shared("options.tsv"), **lines = calloc(4000, sizeof(*lines)),
         **defs = calloc(4000, sizeof(*defs));
    char **flags = calloc(4000, sizeof(*flags));
    struct config *cfg;
    struct all a = {.w = calloc(4000, sizeof(struct wanted))};

    (void)state;
    if (text == NULL) {
        skip();
    }
    a.n = split_lines(text, lines, 4000);
    assert_int_equal(a.n, 1641);
    for (size_t i = 0; i < a.n; i++) {
        char *at = lines[i];
        a.w[i].path = next_field(&at);
        flags[i] = next_field(&at);
        (void)next_field(&at);
        defs[i] = at;
    }
    config_default(&cfg);
    a.cfg = cfg;
    opt_walk(opt_rows_config, match, &a);
    for (size_t i = 0; i < a.n; i++) {
        if (!a.w[i].found) {
            fail_msg("option %s is not taken", a.w[i].path);
        }
        check_default(&a.w[i], a.w[i].path, defs[i]);
    }
    config_destroy(cfg);
    free(a.w);
    free(lines);
    free(defs);
    free(flags);
    pl_free(text);
}

/* Prints the defaults; checks them against Cortex's own answer. */
static void defaults_print_as_cortex_prints_them(void **state)
{
    char *want = read_shared("defaults.yaml"), host[256] = "";
    struct config *cfg;
    struct pl_buf b = {0};

    (void)state;
    if (want == NULL) {
        skip();
    }
    assert_int_equal(gethostname(host, sizeof(host) - 1), 0);
    config_default(&cfg);
    config_print(&b, cfg, CONFIG_PRINT_DEFAULTS);
    pl_buf_byte(&b, '\0');
    const char *got = b.p, *w = want;
    while (*w != '\0') {
        if (strncmp(w, "HOSTNAME", 8) == 0) {
            assert_int_equal(strncmp(got, host, strlen(host)), 0);
            got += strlen(host);
            w += 8;
            continue;
        }
        if (*got != *w) {
            fail_msg("byte %zu differs: got %.60s, want %.60s", (size_t)(w - want), got, w);
        }
        got++;
        w++;
    }
    assert_int_equal(*got, '\0');
    pl_buf_fini(&b);
    config_destroy(cfg);
    pl_free(want);
}

/* Everything a default config prints loads again, to the same. */
static void full_print_loads_again(void **state)
{
    struct config *cfg, *again = NULL;
    struct pl_buf b = {0}, b2 = {0};
    struct config_issues issues = {0};
    struct pl_arena arena = {0};
    struct yaml_doc doc;
    struct pl_err err;

    (void)state;
    config_default(&cfg);
    config_print(&b, cfg, CONFIG_PRINT_FULL);
    pl_arena_init(&arena, 0);
    assert_int_equal(yaml_parse(&doc, &arena, pl_buf_view(&b), &err), PL_OK);
    config_default(&again);
    const struct opt_decoder d = {.arena = &arena, .issues = &issues};
    opt_decode(&d, opt_rows_config, again, doc.root, "");
    assert_int_equal(config_issues_errors(&issues), 0);
    config_issues_fini(&issues);
    config_print(&b2, again, CONFIG_PRINT_FULL);
    assert_true(pl_str_eq(pl_buf_view(&b), pl_buf_view(&b2)));
    pl_buf_fini(&b);
    pl_buf_fini(&b2);
    config_destroy(again);
    config_destroy(cfg);
    pl_arena_fini(&arena);
}

static bool helped(void *arg, const struct opt_place *p)
{
    (void)arg;
    if (p->opt->help == NULL || p->opt->help[0] == '\0' || strstr(p->opt->help, "TODO") != NULL) {
        fail_msg("%s has no help", p->path);
    }
    assert_true(strlen(p->path) + 1 < OPT_PATH_MAX);
    return true;
}

static void every_row_has_help_and_the_lists_name_real_options(void **state)
{
    (void)state;
    opt_walk(opt_rows_config, helped, NULL);
    const char *unknown = config_acted_on_unknown();
    if (unknown != NULL) {
        fail_msg("acted_on.def names %s, which is no option", unknown);
    }
}

static void reference_page_is_fresh(void **state)
{
    char path[1024];
    struct pl_buf file = {0}, now = {0};
    struct pl_err err;
    const char *end = strstr(__FILE__, "test/unit/config/");

    (void)state;
    assert_non_null(end);
    (void)snprintf(path, sizeof(path), "%.*sdocs/config-reference.md", (int)(end - __FILE__), __FILE__);
    if (config_read_file(path, &file, &err) != PL_OK) {
        fail_msg("%s", err.msg);
    }
    config_reference_md(&now);
    if (!pl_str_eq(pl_buf_view(&file), pl_buf_view(&now))) {
        FILE *f = fopen("config-reference.md.new", "wb");
        assert_non_null(f);
        assert_int_equal(fwrite(now.p, 1, now.n, f), now.n);
        (void)fclose(f);
        fail_msg(
            "docs/config-reference.md is stale; the fresh one lies in config-reference.md.new where this test ran");
    }
    pl_buf_fini(&file);
    pl_buf_fini(&now);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_flag_is_taken),
        cmocka_unit_test(every_yaml_option_is_taken),
        cmocka_unit_test(defaults_print_as_cortex_prints_them),
        cmocka_unit_test(full_print_loads_again),
        cmocka_unit_test(every_row_has_help_and_the_lists_name_real_options),
        cmocka_unit_test(reference_page_is_fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
