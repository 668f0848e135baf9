/* promqltest/promqltest.h - runs files in Prometheus's test language for PromQL (spec prometheus.md 9).
 *
 * A file becomes a list of commands (load, clear, eval); a target takes the series and answers the questions: the
 * engine in this process over a store in memory (ptest_local_create), or a server (ctl/). Comparison is the same for
 * all of them. Everything that is parsed lives in the caller's arena, whose limit bounds it. Threads: confined.
 */
#ifndef PL_PROMQLTEST_PROMQLTEST_H
#define PL_PROMQLTEST_PROMQLTEST_H

#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"
#include "histogram/histogram.h"
#include "model/labels.h"
#include "promql/ast.h"

struct regex;

enum {
    PTEST_VALUES_MAX = 1 << 20, /* of one series line */
    PTEST_LABELS_MAX = 256,     /* of one series */
    PTEST_EXPECTS_MAX = 64,     /* expect lines of one evaluation */
    PTEST_LOOKBACK_MS = 300000,
    PTEST_SUBQUERY_STEP_MS = 60000,
    PTEST_SAMPLES_MAX = 10000, /* of one query, as the original sets it */
};

/* ---- series lines: `name{a="b"} 1 2+1x3 _ stale {{schema:1 count:2}}` ---- */

struct ptest_value {
    double v;
    const struct hist *h; /* NULL: a float */
    bool gap;
    bool hint_set; /* the histogram's counter reset hint was written */
    bool has_start;
    int64_t start_ms; /* start timestamp, relative to the sample's time */
};

struct ptest_series {
    struct labels labels;
    struct ptest_value *values;
    size_t n;
    unsigned line;
};

/* Parses one series line. PL_INVALID says what is wrong; PL_LIMIT past the bounds above or the arena's. */
PL_MUST_USE pl_status ptest_series_parse(struct ptest_series *out, struct pl_arena *a, pl_str text, struct pl_err *err);
/* `name{...}` alone. */
PL_MUST_USE pl_status ptest_labels_parse(struct labels *out, struct pl_arena *a, pl_str text, struct pl_err *err);
/* A histogram as a literal of the language; long ones are cut. */
void ptest_hist_print(struct pl_buf *b, const struct hist *h);

/* ---- a file ---- */

struct ptest_load {
    int64_t step_ms;
    bool nhcb; /* also as native histograms with custom buckets */
    bool has_starts;
    struct ptest_series *series; /* unique; sample i of a line is at i * step_ms */
    size_t n;
};

enum ptest_expect_kind { PTEST_FAIL, PTEST_WARN, PTEST_INFO, PTEST_NO_WARN, PTEST_NO_INFO };

struct ptest_expect {
    enum ptest_expect_kind kind;
    enum { PTEST_ANY, PTEST_MSG, PTEST_REGEX } match;
    pl_str text;
    const struct regex *re; /* PTEST_REGEX: search */
};

struct ptest_eval {
    pl_str query;
    bool range, ordered, fail;
    int64_t start_ms, end_ms, step_ms; /* start_ms == end_ms without range */
    struct ptest_expect *expects;
    size_t expect_count;
    struct ptest_series *series; /* in the order of the file */
    size_t series_count;
    bool has_scalar, has_string;
    bool has_grid; /* an instant query whose result is a range vector on this grid */
    int64_t grid_start_ms, grid_end_ms, grid_step_ms;
    double scalar;
    pl_str string;
};

enum ptest_kind { PTEST_LOAD, PTEST_CLEAR, PTEST_EVAL, PTEST_BAD };

struct ptest_command {
    enum ptest_kind kind;
    unsigned line;
    union {
        struct ptest_load load;
        struct ptest_eval eval;
        pl_str bad; /* what is wrong with it */
    };
};

struct ptest_script {
    struct ptest_command *commands;
    size_t n;
};

/* A command that cannot be read becomes PTEST_BAD and parsing goes on with the next. PL_LIMIT: the arena's limit. The
 * script keeps views of the text. */
PL_MUST_USE pl_status ptest_script_parse(struct ptest_script *out, struct pl_arena *a, pl_str text, struct pl_err *err);
/* The native histograms with custom buckets that a load's classic histograms make; as further series of that load. */
PL_MUST_USE pl_status ptest_nhcb(struct ptest_series **out, size_t *n, struct pl_arena *a,
                                 const struct ptest_load *load, struct pl_err *err);

/* ---- answers ---- */

/* A histogram as the HTTP API gives it: buckets that are not empty, without schema. */
struct ptest_buckets {
    double count, sum;
    const struct hist_bucket *v;
    size_t n;
};

struct ptest_point {
    int64_t t_ms;
    double v;
    const struct hist *h;          /* a histogram, or */
    const struct ptest_buckets *b; /* one from an API; both NULL: a float */
};

struct ptest_row {
    struct labels labels;
    struct ptest_point *points; /* by time; a vector's has one */
    size_t n;
};

struct ptest_note {
    pl_str text; /* without position */
    pl_str full; /* as the API renders it */
};

struct ptest_answer {
    bool failed; /* the query was answered by an error: its text */
    pl_str error;
    const char *skip; /* not NULL: the answer says that this cannot be asked there, and why */
    enum pq_type type;
    double scalar;
    pl_str string;
    struct ptest_row *rows;
    size_t n;
    struct ptest_note *warnings, *infos;
    size_t warning_count, info_count;
};

struct ptest_question {
    pl_str text;
    const struct pq_node *expr; /* the same, parsed; NULL: the text cannot be parsed */
    bool range;
    int64_t start_ms, end_ms, step_ms;
};

/* ---- targets ---- */

struct ptest_target;
struct ptest_target_ops {
    /* PL_INVALID and others: what the store refused. */
    pl_status (*load)(struct ptest_target *t, const struct ptest_load *load, struct pl_err *err);
    pl_status (*clear)(struct ptest_target *t, struct pl_err *err);
    /* Why this evaluation cannot be asked there; NULL: it can. Texts live in the arena or for ever. */
    const char *(*cannot)(struct ptest_target *t, struct pl_arena *a, const struct ptest_eval *e,
                          const struct pq_node *expr);
    /* PL_OK: there is an answer, perhaps an error of the query. */
    pl_status (*ask)(struct ptest_target *t, struct pl_arena *a, const struct ptest_question *q,
                     struct ptest_answer *out, struct pl_err *err);
    void (*destroy)(struct ptest_target *t);
};
struct ptest_target {
    const struct ptest_target_ops *ops;
    bool cheap; /* further checks are made: each instant query again with @ and as a range query */
};

struct ptest_local_options {
    int64_t base_ms;      /* what the files call time 0 */
    bool immediate_names; /* metric names are dropped at once, as without the switch promql-delayed-name-removal */
    bool cheap;
};
/* The engine in this process over an empty store in memory. */
struct ptest_target *ptest_local_create(const struct ptest_local_options *o);
/* Would the target's answer pass? */
bool ptest_agrees(struct ptest_target *t, struct pl_arena *a, const struct ptest_eval *e, const struct pq_node *expr);
/* Moves every `@ time` of a tree. */
void ptest_shift_at(struct pq_node *n, int64_t by_ms);
void ptest_target_destroy(struct ptest_target *t); /* NULL allowed */
/* The language as the test files assume it: all switches on. */
extern const struct pq_parse_options ptest_parse_options;

/* ---- running ---- */

struct ptest_result {
    unsigned evals, passed, failed, skipped;
    unsigned bad;          /* commands that could not be read or loads that were refused; not among evals */
    unsigned extra_checks; /* further queries that had to agree */
};

/* Runs the commands one after the other; says each failure in `report`: "NAME:LINE: ..." and indented details, and
 * each skipped evaluation when `list_skipped`. */
struct ptest_options {
    pl_str name; /* of the file */
    bool list_skipped;
};
void ptest_run(struct ptest_result *out, struct ptest_target *target, const struct ptest_script *script,
               struct pl_buf *report, const struct ptest_options *o);

#endif
