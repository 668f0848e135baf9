/* promql/ast.h - a parsed PromQL expression.
 *
 * Promise: the parser returns a type-checked tree that lives in the caller's arena; text views point into the arena's
 * copy of the query. Trees are immutable after parsing. Grammar and messages: spec prometheus.md 1 and 2.
 */
#ifndef PL_PROMQL_AST_H
#define PL_PROMQL_AST_H

#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"
#include "model/matcher.h"

enum {
    PROMQL_TEXT_MAX = 1 << 20, /* bytes of one query; more: PL_INVALID that names this limit */
    PROMQL_DEPTH_MAX = 1000,   /* nesting of nodes; more: PL_INVALID that names this limit */
};

enum pq_type { PQ_NONE, PQ_SCALAR, PQ_STRING, PQ_VECTOR, PQ_MATRIX };

enum pq_kind {
    PQ_NUMBER,
    PQ_STRING_LIT,
    PQ_PAREN,
    PQ_UNARY,
    PQ_BINARY,
    PQ_AGGREGATE,
    PQ_CALL,
    PQ_SELECTOR,        /* vector selector */
    PQ_MATRIX_SELECTOR, /* selector[range] */
    PQ_SUBQUERY,
    PQ_STEP_INVARIANT, /* made by the planner, never by the parser: child is evaluated once */
};

enum pq_op {
    PQ_OP_ADD,
    PQ_OP_SUB,
    PQ_OP_MUL,
    PQ_OP_DIV,
    PQ_OP_MOD,
    PQ_OP_POW,
    PQ_OP_ATAN2,
    PQ_OP_EQ,
    PQ_OP_NEQ,
    PQ_OP_LT,
    PQ_OP_LTE,
    PQ_OP_GT,
    PQ_OP_GTE,
    PQ_OP_TRIM_UPPER, /* </ */
    PQ_OP_TRIM_LOWER, /* >/ */
    PQ_OP_AND,
    PQ_OP_OR,
    PQ_OP_UNLESS,
};

enum pq_agg {
    PQ_AGG_SUM,
    PQ_AGG_AVG,
    PQ_AGG_COUNT,
    PQ_AGG_MIN,
    PQ_AGG_MAX,
    PQ_AGG_GROUP,
    PQ_AGG_STDDEV,
    PQ_AGG_STDVAR,
    PQ_AGG_TOPK,
    PQ_AGG_BOTTOMK,
    PQ_AGG_COUNT_VALUES,
    PQ_AGG_QUANTILE,
    PQ_AGG_LIMITK,
    PQ_AGG_LIMIT_RATIO,
};

enum pq_card { PQ_ONE_TO_ONE, PQ_MANY_TO_ONE /* group_left */, PQ_ONE_TO_MANY /* group_right */, PQ_MANY_TO_MANY };

enum pq_at { PQ_AT_NONE, PQ_AT_TIME, PQ_AT_START, PQ_AT_END };

struct pq_pos {
    uint32_t start, end; /* byte offsets in the query text */
};

struct pq_matching {
    enum pq_card card;
    bool on;                /* true: on (labels), false: ignoring (labels) */
    bool explicit_matching; /* on or ignoring was written */
    const pl_str *labels;
    uint32_t label_count;
    const pl_str *include; /* group_left/right (include) */
    uint32_t include_count;
    bool has_fill_left, has_fill_right;
    double fill_left, fill_right;
};

/* A duration expression such as `5m * step()`, kept as a tree of its own; NULL where a literal was written. */
struct pq_dur {
    enum {
        PQ_DUR_NUM,
        PQ_DUR_STEP,
        PQ_DUR_RANGE,
        PQ_DUR_NEG,
        PQ_DUR_POS,
        PQ_DUR_ADD,
        PQ_DUR_SUB,
        PQ_DUR_MUL,
        PQ_DUR_DIV,
        PQ_DUR_MOD,
        PQ_DUR_POW,
        PQ_DUR_MIN,
        PQ_DUR_MAX,
        PQ_DUR_PAREN
    } kind;
    double num_s;             /* PQ_DUR_NUM: seconds */
    bool written_as_duration; /* PQ_DUR_NUM: 5m rather than 300 */
    struct pq_dur *l, *r;
    struct pq_pos pos;
};

/* Time modifiers shared by selectors and subqueries. */
struct pq_time {
    int64_t offset_ms; /* as written; meaningless while offset_expr is set and not yet resolved */
    struct pq_dur *offset_expr;
    bool has_offset;
    enum pq_at at;
    int64_t at_ms; /* PQ_AT_TIME */
};

struct pq_func; /* one row of the function table, promql/functions.h */

struct pq_node {
    enum pq_kind kind;
    enum pq_type type;
    struct pq_pos pos;
    union {
        struct {
            double value;
            bool is_duration;
        } number;
        pl_str string;
        struct {
            struct pq_node *expr;
        } paren;
        struct {
            enum pq_op op;
            struct pq_node *expr;
        } unary; /* ADD or SUB */
        struct {
            enum pq_op op;
            bool return_bool;
            struct pq_node *lhs, *rhs;
            struct pq_matching *matching; /* NULL: scalars involved */
        } binary;
        struct {
            enum pq_agg op;
            struct pq_node *expr;
            struct pq_node *param; /* NULL: none */
            const pl_str *labels;
            uint32_t label_count;
            bool without;
        } agg;
        struct {
            const struct pq_func *func;
            struct pq_node **args;
            uint32_t arg_count;
        } call;
        struct {
            pl_str name; /* as written before {}, empty when none */
            const struct matcher *matchers;
            uint32_t matcher_count; /* includes __name__ */
            struct pq_time time;
            bool anchored, smoothed;
        } selector;
        struct {
            struct pq_node *selector;
            int64_t range_ms;
            struct pq_dur *range_expr;
        } matrix;
        struct {
            struct pq_node *expr;
            int64_t range_ms, step_ms; /* step 0: default */
            struct pq_dur *range_expr, *step_expr;
            struct pq_time time;
        } subquery;
        struct {
            struct pq_node *expr;
        } step_invariant;
    };
};

/* Switches of the language (spec prometheus.md 13): all false is Prometheus 3.14 without feature flags. */
struct pq_parse_options {
    bool experimental_functions; /* -querier.enable-promql-experimental-functions; also limitk, limit_ratio */
    bool extended_selectors;     /* anchored, smoothed */
    bool fill_modifiers;
};

/* Parses and type-checks. PL_INVALID with "LINE:COL: parse error: MESSAGE" (the caller puts `invalid parameter "query":
 * ` before). */
PL_MUST_USE pl_status pq_parse(struct pq_node **out, struct pl_arena *a, pl_str text, const struct pq_parse_options *o,
                               struct pl_err *err);
/* Parses a series selector such as match[] takes: `up{job="x"}`. */
PL_MUST_USE pl_status pq_parse_selector(const struct matcher **out, size_t *count, struct pl_arena *a, pl_str text,
                                        struct pl_err *err);
/* `5m`, `1h30m`, or float seconds where allow_seconds: query parameters. Result in ms. */
PL_MUST_USE pl_status pq_parse_duration(int64_t *out_ms, pl_str text, struct pl_err *err);

void pq_print(struct pl_buf *b, const struct pq_node *n);        /* canonical, one line */
void pq_print_pretty(struct pl_buf *b, const struct pq_node *n); /* format_query */
void pq_print_json(struct pl_buf *b, const struct pq_node *n);   /* parse_query, spec 6.5 */
void pq_print_duration(struct pl_buf *b, int64_t ms);            /* 1h30m, 0s */
const char *pq_type_name(enum pq_type t); /* "scalar", "string", "instant vector", "range vector" */
const char *pq_op_text(enum pq_op op);
const char *pq_agg_text(enum pq_agg op);

#endif
