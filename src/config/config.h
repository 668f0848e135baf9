/* config/config.h - every option of Pallium, as plain struct fields that code reads.
 *
 * Promise: one row (a line of a .def file in src/config/options) declares an option once and yields its struct field,
 * YAML key, flag, default, type check, help, /config, the reference page and its errors. Field names are the YAML keys
 * (in blocks of the same names); durations are int64 nanoseconds and end in _ns; text is pl_str kept by the config;
 * numbers are int64_t or double; lists are struct opt_list. Order, env expansion, secrets, error texts, exit codes:
 * spec http-api-and-config.md 2.1. Threads: read-only after config_load.
 */
#ifndef PL_CONFIG_CONFIG_H
#define PL_CONFIG_CONFIG_H

#include "base/base.h"
#include "base/buf.h"

struct yaml_node;
struct config_state;

/* Texts and lists below are owned by the config they stand in. */
struct opt_list {
    pl_str *v;
    size_t n;
};
struct opt_durations {
    int64_t *v; /* nanoseconds */
    size_t n;
};
/* A value with a shape of its own (relabel rules, limits per label set): the YAML as it was written. */
struct opt_yaml {
    pl_str text;                  /* that part of the file as block-style YAML; empty when not set */
    const struct yaml_node *node; /* the same, parsed (config/yaml.h); NULL when not set */
};

/* ---- the structs: each .def file once, as fields ---- */

#define OPT_BEGIN(type) struct type {
#define OPT_END(type) \
    }                 \
    ;
#define OPT_BOOL(field, ...)        bool field;
#define OPT_INT(field, ...)         int64_t field;
#define OPT_UINT(field, ...)        int64_t field; /* never negative */
#define OPT_FLOAT(field, ...)       double field;
#define OPT_DURATION(field, ...)    int64_t field##_ns; /* Go form: 1h0m0s */
#define OPT_PDURATION(field, ...)   int64_t field##_ns; /* Prometheus form: 2w */
#define OPT_TEXT(field, ...)        pl_str field;
#define OPT_SECRET(field, ...)      pl_str field;
#define OPT_LIST(field, ...)        struct opt_list field;
#define OPT_DURATIONS(field, ...)   struct opt_durations field;
#define OPT_YAML(field, ...)        struct opt_yaml field; /* a YAML list */
#define OPT_MAP(field, ...)         struct opt_yaml field; /* a YAML mapping; JSON on a flag */
#define OPT_BLOCK(field, type, ...) struct type field;
#define OPT_IGNORED(field, ...)     bool field;                 /* a flag of old: whether it was given */
#define OPT_STATE                   struct config_state *state; /* private */
#include "config/options/all.def"
#include "config/options/undef.def"

/* ---- loading ---- */

/* How the program should go on after config_load. */
struct config_result {
    bool exit; /* stop now, with exit_code, after printing the two texts */
    int exit_code;
    struct pl_buf out;    /* for stdout: help, version, modules, -print.config */
    struct pl_buf err;    /* for stderr */
    pl_str file;          /* -config.file, empty when none (a view of argv) */
    char file_sha256[65]; /* hex, of the file before expansion; empty when none: gauge cortex_config_hash */
};
void config_result_fini(struct config_result *r);

/* Defaults, then -config.file, then the flags, then the checks. *out is set only when the program should go on (PL_OK
 * and !res->exit). A wrong file, flag or value is not a failure of this call: it answers PL_INVALID, with res->exit,
 * the exit code and the texts of spec 2.1 filled (err holds the message too). argv[0] is skipped; no arguments at all
 * is the "please set configuration file" error, so a caller with a built-in profile uses config_default instead. argv
 * may be kept by *res only. */
struct config;
PL_MUST_USE pl_status config_load(struct config **out, int argc, char **argv, struct config_result *res,
                                  struct pl_err *err);
/* The same, but where the arguments have -quick-start the `n` options of `preset` stand before file and flags. */
struct config_preset {
    const char *flag, *value;
};
PL_MUST_USE pl_status config_load_over(struct config **out, const struct config_preset *preset, size_t n, int argc,
                                       char **argv, struct config_result *res, struct pl_err *err);
/* Every default. Never fails in any way but memory. */
void config_default(struct config **out);
void config_destroy(struct config *cfg); /* NULL is allowed */

/* Sets one option by its flag name (without dash) as the command line would, before the config is shared. The config
 * remembers that it was set. */
PL_MUST_USE pl_status config_set(struct config *cfg, const char *flag, const char *value, struct pl_err *err);
/* True when the option of this flag was set by file, flag or config_set. Unknown flags: false. */
bool config_is_set(const struct config *cfg, const char *flag);
/* Cross-field checks with the texts of spec 2.1; config_load has done it already. */
PL_MUST_USE pl_status config_check(const struct config *cfg, struct pl_err *err);
/* One warning that names each option that was set to something other than its default and that nothing acts on yet
 * (see config/acted_on.def), and one for deprecated ones. Adds to deprecated_flags_inuse_total. */
void config_warn_ignored(const struct config *cfg);

/* ---- checking a file for people (palliumctl config check FILE) ---- */

struct config_issue {
    int line;     /* 0: the file as a whole */
    bool warning; /* else an error: Pallium would not start */
    char *text;
};
struct config_issues {
    struct config_issue *v;
    size_t n, cap;
    bool cut; /* more were found than are kept */
};
void config_issues_fini(struct config_issues *issues);
/* Everything wrong or doubtful about a file, in line order. PL_OK: the file could be read (it may be full of errors).
 */
PL_MUST_USE pl_status config_check_file(struct config_issues *out, const char *path, bool expand_env,
                                        struct pl_err *err);

/* ---- printing ---- */

enum config_print_mode { CONFIG_PRINT_FULL, CONFIG_PRINT_DIFF, CONFIG_PRINT_DEFAULTS };
/* YAML in the order of the rows; secrets as ********. */
void config_print(struct pl_buf *out, const struct config *cfg, enum config_print_mode mode);
/* Every flag with its value as the command line would take it, sorted by name; secrets that are set as ********. */
void config_flags(const struct config *cfg, void (*each)(void *arg, pl_str name, pl_str value), void *arg);
/* docs/config-reference.md. */
void config_reference_md(struct pl_buf *out);
/* What -help prints. */
void config_help(struct pl_buf *out);

/* The checks of one tenant's limits against each other; `prefix` begins the message. */
PL_MUST_USE pl_status config_check_query_limits(const struct limits *l, pl_str tenant, int64_t close_idle_ns,
                                                const char *prefix, struct pl_err *err);

/* Targets of spec 2.2. */
struct config_target {
    const char *name;
    bool in_all;
};
const struct config_target *config_targets(size_t *count);
/* True when the comma list of `target` names it, or names a group (all) that holds it. */
bool config_target_has(const struct config *cfg, const char *module);

#endif
