/* ctl/ctl.h - palliumctl's sub-commands, and how they read their flags.
 *
 * A sub-command gets argv with its own name at argv[0], prints results on standard output, everything else on standard
 * error, and returns the exit code: 0 done, 1 it failed, 2 wrong usage.
 */
#ifndef PL_CTL_CTL_H
#define PL_CTL_CTL_H

#include "base/base.h"

int ctl_query(int argc, char **argv);        /* query.c */
int ctl_load(int argc, char **argv);         /* load.c */
int ctl_config_check(int argc, char **argv); /* config_check.c */
int ctl_tsdb_verify(int argc, char **argv);  /* tsdb_verify.c */
int ctl_promql_test(int argc, char **argv);  /* promql_test.c */
int ctl_promql_fmt(int argc, char **argv);   /* promql_fmt.c */
int ctl_rules_check(int argc, char **argv);  /* rules_check.c */
int ctl_rules_test(int argc, char **argv);   /* rules_test.c */

enum ctl_flag_kind {
    CTL_FLAG_BOOL,     /* bool: --name */
    CTL_FLAG_TEXT,     /* const char *: a view of argv */
    CTL_FLAG_LIST,     /* struct ctl_list: may be given several times */
    CTL_FLAG_COUNT,    /* uint64_t; k, M, G are accepted behind the number (1000s) */
    CTL_FLAG_FLOAT,    /* double */
    CTL_FLAG_DURATION, /* int64_t nanoseconds: 250ms, 15s, 1h30m, 2d */
    CTL_FLAG_TIME,     /* int64_t Unix milliseconds: Unix seconds, RFC 3339, now, or a duration before now (-2h) */
};

enum { CTL_LIST_MAX = 32 };
struct ctl_list {
    const char *v[CTL_LIST_MAX + 1]; /* ended by NULL */
    size_t n;
};

struct ctl_flag {
    const char *name; /* without dashes */
    enum ctl_flag_kind kind;
    void *to;
    const char *arg;  /* how --help calls the value */
    const char *help; /* with the default, where one matters */
};

/* Reads `--name value`, `--name=value` and `-name ...`; what is left (after -- everything) is moved to the front of
 * argv and counted in *argc, argv[0] stays. PL_INVALID names the flag and what is wrong with it. `--help` sets *help.
 */
PL_MUST_USE pl_status ctl_flags_parse(const struct ctl_flag *flags, size_t n, int *argc, char **argv, bool *help,
                                      struct pl_err *err);
/* The table of flags for --help. */
void ctl_flags_print(const struct ctl_flag *flags, size_t n);
/* --help as a whole: how to call it, the flags, notes. Gives the exit code, 0. */
int ctl_help(const char *usage, const struct ctl_flag *flags, size_t n, const char *notes);
bool ctl_parse_duration(const char *text, int64_t *ns);
bool ctl_parse_time(const char *text, int64_t now_ms, int64_t *unix_ms);

#endif
