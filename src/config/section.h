/* config/section.h - the option rows themselves, and what can be done with one block of them: defaults, decoding YAML
 * over it, printing.
 *
 * Promise: a block (struct limits, say) and its rows are walked together; a value is written only when its text is
 * right. The whole config is such a block too; the runtime config decodes limits with the same rows. Threads: any; rows
 * are constant.
 */
#ifndef PL_CONFIG_SECTION_H
#define PL_CONFIG_SECTION_H

#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"
#include "config/config.h"
#include "config/yaml.h"

enum opt_kind {
    OPT_K_BOOL,
    OPT_K_INT,
    OPT_K_UINT,
    OPT_K_FLOAT,
    OPT_K_DURATION,  /* Go form */
    OPT_K_PDURATION, /* Prometheus form */
    OPT_K_TEXT,
    OPT_K_SECRET,
    OPT_K_LIST,
    OPT_K_DURATIONS,
    OPT_K_YAML,
    OPT_K_MAP,
    OPT_K_BLOCK,
    OPT_K_IGNORED,
};

struct opt;
/* The rows of one block. */
typedef const struct opt *(*opt_rows_fn)(size_t *count);

/* One line of a .def file. */
struct opt {
    enum opt_kind kind;
    const char *field; /* the struct field; the YAML key too unless `yaml` says otherwise */
    size_t offset;
    const char *def;    /* default as text; "" is zero, false or none */
    const char *help;   /* our own words */
    opt_rows_fn sub;    /* a block's rows */
    const char *prefix; /* a block's flag prefix after that of the block around it; a leading dash: the whole prefix */
    /* attributes */
    const char *yaml;       /* YAML key, where it is no C identifier */
    const char *flag;       /* instead of prefix + key with dashes; a leading dash: the whole flag */
    const char *alias;      /* a second whole flag of the same option */
    const char *over;       /* a block: "key=value", another default for one row of it here */
    const char *own_prefix; /* a block: put before the flags of its own rows, not before those of its sub-blocks */
    bool no_flag;
    bool no_yaml;      /* flag only */
    bool v19;          /* only Cortex 1.9 had it: taken, shown when set */
    bool omit_default; /* shown only when set */
    bool pallium;      /* Pallium's own: not part of mode=defaults */
    bool deprecated;   /* taken, does nothing; its use is counted */
    bool csv;          /* a list whose flag is one comma list instead of being repeated */
    bool host;         /* the default is the name of this host */
};

/* An option in its place. */
struct opt_place {
    const struct opt *opt;
    const char *path; /* YAML path: server.http_listen_port; also given for rows without YAML key, as their name */
    const char *flag; /* without dash; "" when it has none */
    const char *def;  /* with a block's `over` applied */
    size_t offset;    /* in the outermost struct */
    bool v19, pallium, no_yaml; /* its own or of a block around it */
};
enum { OPT_PATH_MAX = 256 };

/* Calls fn for each row below (blocks too, before their rows) in order, until it returns false. The place is valid
 * during the call. */
void opt_walk(opt_rows_fn rows, bool (*fn)(void *arg, const struct opt_place *p), void *arg);

const struct opt *opt_rows_config(size_t *count);
const struct opt *opt_rows_limits(size_t *count);
const struct opt *opt_rows_ingester_limits(size_t *count); /* struct config_ingester_instance_limits */
const char *opt_key(const struct opt *o);
const char *opt_kind_name(enum opt_kind k); /* for people: int, duration, list of text... */

/* Fills a zeroed struct with the defaults; texts go to the arena. */
void opt_set_defaults(opt_rows_fn rows, void *base, struct pl_arena *a);

/* ---- decoding ---- */

struct opt_decoder {
    struct pl_arena *arena;       /* keeps what is decoded */
    struct config_issues *issues; /* what is wrong is added here */
    uint8_t *set; /* NULL, or one bit per byte of the outermost struct: first byte of each field that was given */
    const char *set_base;
    const char **empty_section; /* NULL, or set to the key of the first top-level section without content */
};
/* Decodes a mapping over the block; wrong parts leave their fields alone and add an error each. `where` names the block
 * in texts. */
void opt_decode(const struct opt_decoder *d, opt_rows_fn rows, void *base, const struct yaml_node *map,
                const char *where);
PL_PRINTF(4, 5) void config_issue_add(struct config_issues *issues, int line, bool warning, const char *fmt, ...);
/* Number of errors. */
size_t config_issues_errors(const struct config_issues *issues);
/* The errors as one message: "yaml: unmarshal errors:\n  line 3: …". */
void config_issues_message(const struct config_issues *issues, struct pl_buf *out);

/* Sets one field from the text of a flag or a default (where lists are comma lists). On failure `why` (of OPT_WHY_MAX
 * bytes) says what is wrong with it. */
enum { OPT_WHY_MAX = 256 };
PL_MUST_USE bool opt_parse(const struct opt *o, void *field, pl_str text, bool is_default, struct pl_arena *a,
                           char *why);
/* As YAML would show it, on one line without line feed. Lists as [a, b]. */
void opt_print_value(struct pl_buf *out, const struct opt *o, const void *field);
bool opt_equal(const struct opt *o, const void *a, const void *b);

/* ---- printing ---- */

enum { OPT_PRINT_DIFF = 1, OPT_PRINT_DEFAULTS = 2 };
/* YAML of one block. def: the same struct with defaults. OPT_PRINT_DIFF: only what differs. Returns false when nothing
 * was printed. */
bool opt_print(struct pl_buf *out, opt_rows_fn rows, const void *base, const void *def, int indent, int flags);

/* PL_BLOCKING. The whole file, up to the limit of YAML texts. *out is initialised here; pl_buf_fini in any case. */
PL_MUST_USE pl_status config_read_file(const char *path, struct pl_buf *out, struct pl_err *err);
enum { CONFIG_SHA256_MAX = 65 };
void config_sha256_hex(char *out, pl_str text);

/* The line of acted_on.def that names no option, or NULL. */
const char *config_acted_on_unknown(void);

/* The nearest of many words, for "did you mean". */
struct opt_nearest {
    pl_str wanted;
    char best[OPT_PATH_MAX]; /* empty when nothing is near */
    size_t distance;
};
void opt_nearest_init(struct opt_nearest *n, pl_str wanted);
void opt_nearest_try(struct opt_nearest *n, const char *candidate);

/* ---- durations ---- */

PL_MUST_USE bool opt_duration_parse(pl_str s, int64_t *ns, char *why);      /* Go */
PL_MUST_USE bool opt_prom_duration_parse(pl_str s, int64_t *ns, char *why); /* Prometheus */
void opt_duration_print(struct pl_buf *out, int64_t ns);
void opt_prom_duration_print(struct pl_buf *out, int64_t ns);
void opt_float_print(struct pl_buf *out, double v);

#endif
