/* palliumctl config check: what is wrong or doubtful about a configuration file. */
#include "ctl/ctl.h"

#include "config/config.h"
#include "tenant/limits.h"

#include <stdio.h>

static const char usage[] = "Usage: palliumctl config check [flags] FILE\n"
                            "\n"
                            "Reads a YAML configuration as Pallium would and lists everything that would keep it from "
                            "starting (error) and everything that\n"
                            "it would take but that deserves a look (warning): options that nothing acts on, "
                            "deprecated ones, several of one name. Each line\n"
                            "reads FILE:LINE: error|warning: TEXT, so that editors jump to it.\n"
                            "\n"
                            "Examples:\n"
                            "  palliumctl config check pallium.yaml\n"
                            "  palliumctl config check --expand-env --strict pallium.yaml\n"
                            "  palliumctl config check --runtime overrides.yaml\n"
                            "\n"
                            "Flags:\n";

static const char notes[] = "\nExit code 0: Pallium would start with it; 1: it would not (or, with --strict, there are "
                            "warnings); 2: wrong usage.\n";

static int print_issues(const char *path, const struct config_issues *issues, bool strict)
{
    size_t errors = 0, warnings = 0;

    for (size_t i = 0; i < issues->n; i++) {
        const struct config_issue *x = &issues->v[i];
        if (x->line > 0) {
            printf("%s:%d: %s: %s\n", path, x->line, x->warning ? "warning" : "error", x->text);
        } else {
            printf("%s: %s: %s\n", path, x->warning ? "warning" : "error", x->text);
        }
        errors += !x->warning;
        warnings += x->warning;
    }
    if (issues->cut) {
        printf("%s: there are more, which are not shown\n", path);
    }
    if (errors + warnings == 0) {
        printf("%s: no problem found\n", path);
    } else {
        printf("%s: %zu error%s, %zu warning%s\n", path, errors, errors == 1 ? "" : "s", warnings,
               warnings == 1 ? "" : "s");
    }
    return errors > 0 || issues->cut || (strict && warnings > 0) ? 1 : 0;
}

/* A runtime configuration, over the defaults of everything: what is wrong with it is one text, with lines. */
static int check_runtime(const char *path)
{
    struct config *cfg;
    struct overrides *o = NULL;
    struct pl_err err;
    pl_status st;

    config_default(&cfg);
    st = overrides_create(&o, &cfg->limits, pl_str_c(path), &err);
    if (st == PL_OK) {
        printf("%s: no problem found\n", path);
    } else {
        printf("%s: error: %s\n", path, err.msg);
    }
    overrides_destroy(o);
    config_destroy(cfg);
    return st == PL_OK ? 0 : 1;
}

/* Whoever checks a runtime configuration as a configuration is told that nothing of it is known. */
static bool looks_like_runtime(const struct config_issues *issues)
{
    static const char *const keys[] = {"field overrides not found", "field ingester_limits not found",
                                       "field multi_kv_config not found"};

    for (size_t i = 0; i < issues->n; i++) {
        for (size_t k = 0; k < PL_ARRAY_LEN(keys); k++) {
            if (strstr(issues->v[i].text, keys[k]) != NULL) {
                return true;
            }
        }
    }
    return false;
}

int ctl_config_check(int argc, char **argv)
{
    bool help = false, expand_env = false, strict = false, runtime = false;
    const struct ctl_flag flags[] = {
        {"runtime", CTL_FLAG_BOOL, &runtime, NULL,
         "FILE is a runtime configuration (-runtime-config.file): overrides:"},
        {"expand-env", CTL_FLAG_BOOL, &expand_env, NULL,
         "replace ${NAME} by the environment first, as the server's\n-config.expand-env"},
        {"strict", CTL_FLAG_BOOL, &strict, NULL, "warnings count as errors"},
    };
    struct config_issues issues = {0};
    struct pl_err err = {.status = PL_OK};
    pl_status st = ctl_flags_parse(flags, PL_ARRAY_LEN(flags), &argc, argv, &help, &err);
    int code;

    if (help) {
        return ctl_help(usage, flags, PL_ARRAY_LEN(flags), notes);
    }
    if (st == PL_OK && argc != 2) {
        st = pl_fail(&err, PL_INVALID, argc < 2 ? "the file to check is missing" : "one file at a time");
    }
    if (st != PL_OK) {
        (void)fprintf(stderr, "palliumctl config check: %s\n", err.msg);
        return 2;
    }
    if (runtime) {
        return check_runtime(argv[1]);
    }
    if (config_check_file(&issues, argv[1], expand_env, &err) != PL_OK) {
        (void)fprintf(stderr, "palliumctl config check: %s\n", err.msg);
        return 1;
    }
    code = print_issues(argv[1], &issues, strict);
    if (looks_like_runtime(&issues)) {
        printf("hint: this looks like a runtime configuration; check it with --runtime\n");
    }
    config_issues_fini(&issues);
    return code;
}
