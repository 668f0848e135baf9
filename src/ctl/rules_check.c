/* palliumctl rules check: what is wrong with rule files, as `promtool check rules` sees it. */
#include "ctl/ctl.h"
#include "ctl/file.h"
#include "ctl/rules_file.h"

#include "promqltest/promqltest.h"

#include <stdio.h>
#include <stdlib.h>

enum { EXIT_LINT = 3 };

static const char usage[] =
    "Usage: palliumctl rules check [flags] [FILE...]\n"
    "\n"
    "Checks rule files in Prometheus's format (groups of recording and alerting rules); without a file, standard "
    "input.\n"
    "Finds YAML errors, unknown fields, expressions that cannot be parsed, wrong names of labels and annotations,\n"
    "templates that cannot be parsed, groups of one name, and (lint) several rules of one name and labels. Problems "
    "are\n"
    "printed as FILE:LINE: TEXT. Messages and exit codes are those of `promtool check rules`.\n"
    "\n"
    "Examples:\n"
    "  palliumctl rules check rules/*.yaml\n"
    "  palliumctl rules check --lint-fatal < rules.yaml\n"
    "\n"
    "Flags:\n";

static const char notes[] = "\nExit code 0: no error (rules that are there twice are reported only); 1: errors; 2: "
                            "wrong usage; 3: lint problems\n"
                            "with --lint-fatal.\n";

struct args {
    struct rules_options options;
    const char *lint;
    bool lint_fatal, experimental;
};

struct named {
    pl_str name;
    struct labels labels;
};

static int named_cmp(const void *x, const void *y)
{
    const struct named *a = x, *b = y;
    int c = pl_str_cmp(a->name, b->name);

    return c != 0 ? c : labels_cmp(a->labels, b->labels);
}

static void print_duplicates(const struct named *v, const size_t *at, size_t n)
{
    fprintf(stderr, "  FAILED:\nlint error %zu duplicate rule(s) found.\n", n);
    for (size_t i = 0; i < n; i++) {
        const struct named *d = &v[at[i]];

        fprintf(stderr, "Metric: %.*s\nLabel(s):\n", PL_STR_ARG(d->name));
        for (size_t k = 0; k < d->labels.n; k++) {
            fprintf(stderr, "\t%.*s: %.*s\n", PL_STR_ARG(d->labels.v[k].name), PL_STR_ARG(d->labels.v[k].value));
        }
    }
    fputs("Might cause inconsistency while recording expressions\n", stderr);
}

/* True when some rule is there twice, which is said. */
static bool find_duplicates(const struct rules_file *f)
{
    size_t total = rules_count(f), n = 0, found = 0;
    struct named *v = pl_new_array(struct named, total + 1);
    size_t *at = pl_new_array(size_t, total + 1);

    for (size_t g = 0; g < f->n; g++) {
        for (size_t i = 0; i < f->groups[g].n; i++) {
            v[n++] = (struct named){rule_name(&f->groups[g].rules[i]), f->groups[g].rules[i].labels};
        }
    }
    qsort(v, n, sizeof(*v), named_cmp);
    for (size_t i = 1; i < n; i++) {
        bool again = named_cmp(&v[i - 1], &v[i]) == 0;

        if (again && (i < 2 || named_cmp(&v[i - 2], &v[i]) != 0)) { /* each once */
            at[found++] = i;
        }
    }
    if (found > 0) {
        print_duplicates(v, at, found);
    }
    pl_free(at);
    pl_free(v);
    return found > 0;
}

/* Returns the exit code of one file. */
static int check_file(const struct args *args, const char *path)
{
    struct rules_file f;
    struct pl_arena a;
    struct pl_buf text;
    struct pl_err err;
    int code = 1;

    pl_arena_init(&a, 0);
    pl_buf_init(&text, 0);
    printf("Checking %s\n", strcmp(path, "-") == 0 ? "standard input" : path);
    (void)fflush(stdout);
    if (ctl_file_read(&text, path, &err) != PL_OK ||
        rules_file_parse(&f, &a, pl_buf_view(&text), &args->options, &err) != PL_OK) {
        fprintf(stderr, "  FAILED:\n%s\n", err.msg);
    } else if (f.problem_count > 0) {
        fputs("  FAILED:\n", stderr);
        for (size_t i = 0; i < f.problem_count; i++) {
            if (f.problems[i].line > 0) {
                fprintf(stderr, "%s:%d: %.*s\n", path, f.problems[i].line, PL_STR_ARG(f.problems[i].text));
            } else {
                fprintf(stderr, "%s: %.*s\n", path, PL_STR_ARG(f.problems[i].text));
            }
        }
    } else if (strcmp(args->lint, "none") != 0 && find_duplicates(&f)) {
        code = args->lint_fatal ? EXIT_LINT : 0;
    } else {
        printf("  SUCCESS: %zu rules found\n", rules_count(&f));
        code = 0;
    }
    putchar('\n');
    pl_buf_fini(&text);
    pl_arena_fini(&a);
    return code;
}

int ctl_rules_check(int argc, char **argv)
{
    struct args args = {.lint = "duplicate-rules"};
    const struct ctl_flag flags[] = {
        {"lint", CTL_FLAG_TEXT, &args.lint, "duplicate-rules|all|none",
         "what else to look at (default duplicate-rules)"},
        {"lint-fatal", CTL_FLAG_BOOL, &args.lint_fatal, NULL, "exit with 3 when lint finds something"},
        {"ignore-unknown-fields", CTL_FLAG_BOOL, &args.options.ignore_unknown_fields, NULL,
         "unknown fields are no error"},
        {"experimental", CTL_FLAG_BOOL, &args.experimental, NULL, "accept PromQL's experimental parts"},
    };
    struct pl_err err = {.status = PL_OK};
    bool help = false;
    int code = 0;
    pl_status st = ctl_flags_parse(flags, PL_ARRAY_LEN(flags), &argc, argv, &help, &err);

    if (help) {
        return ctl_help(usage, flags, PL_ARRAY_LEN(flags), notes);
    }
    if (st == PL_OK && strcmp(args.lint, "duplicate-rules") != 0 && strcmp(args.lint, "all") != 0 &&
        strcmp(args.lint, "none") != 0) {
        st = pl_fail(&err, PL_INVALID, "--lint must be duplicate-rules, all or none, not \"%s\"", args.lint);
    }
    if (st != PL_OK) {
        fprintf(stderr, "palliumctl rules check: %s\n", err.msg);
        return 2;
    }
    if (args.experimental) {
        args.options.parse = ptest_parse_options;
    }
    if (argc == 1) {
        return check_file(&args, "-");
    }
    for (int i = 1; i < argc; i++) {
        int one = check_file(&args, argv[i]);

        code = one == 1 || code == 1 ? 1 : PL_MAX(code, one);
    }
    return code;
}
