/* promql/parser.h - the parser's inner parts (this folder only).
 *
 * Recursive descent over the lexer's tokens, precedence climbing for binary operators. The first error ends everything:
 * a function that fails has recorded it and returns NULL or false, and its callers do the same. Semantic errors are
 * recorded where Prometheus's grammar would have completed the rule, so that of several errors the same one comes
 * first.
 */
#ifndef PL_PROMQL_PARSER_H
#define PL_PROMQL_PARSER_H

#include "promql/ast.h"
#include "promql/lexer.h"

/* Where an unexpected token is reported to be: the innermost construct that Prometheus's grammar has an error rule for.
 */
struct pq_context {
    const char *where;    /* " in %s", NULL: nothing */
    const char *expected; /* ", expected %s", NULL: nothing */
};

struct pq_parser {
    struct pq_lexer lexer;
    struct pl_arena *arena;
    const struct pq_parse_options *options;
    pl_str text;           /* the arena's copy */
    struct pq_token ahead; /* valid while has_ahead */
    struct pq_token taken; /* the last token consumed */
    bool has_ahead;
    struct pq_context context;
    uint32_t depth; /* open recursions of expressions */
    bool failed;
    pl_status status;
    struct pl_err *err;
};

/* A node with its height, by which trees stay below PROMQL_DEPTH_MAX without recursion over what was built. */
struct pq_tall_node {
    struct pq_node node;
    uint32_t height;
};

/* ---- parse_base.c ---- */

/* The next token without consuming it. TOK_ERROR: the lexer failed, the error is recorded. */
const struct pq_token *pq__peek(struct pq_parser *p);
struct pq_token pq__take(struct pq_parser *p);
/* Consumes a token of this kind, or reports it as unexpected. */
bool pq__expect(struct pq_parser *p, enum pq_tok kind);
/* All record the error at a byte offset unless there is one already; the results are for `return`. */
void *pq__fail(struct pq_parser *p, uint32_t at, const char *fmt, ...) PL_PRINTF(3, 4);
void *pq__fail_quoted(struct pq_parser *p, uint32_t at, const char *before, pl_str quoted, const char *after);
void *pq__unexpected(struct pq_parser *p);
void *pq__unexpected_in(struct pq_parser *p, const char *where, const char *expected);
void *pq__alloc(struct pq_parser *p, size_t n); /* zeroed; NULL: PL_LIMIT is recorded */
/* A new node above at most two children (NULL allowed). */
struct pq_node *pq__node(struct pq_parser *p, enum pq_kind kind, struct pq_pos pos, const struct pq_node *a,
                         const struct pq_node *b);
uint32_t pq__height(const struct pq_node *n); /* 0 for NULL */
bool pq__enter(struct pq_parser *p);          /* one level deeper; pq__leave after success */
void pq__leave(struct pq_parser *p);

/* ---- parse_number.c ---- */

/* A number or duration token's value in seconds. */
bool pq__number_or_duration(struct pq_parser *p, const struct pq_token *t, double *out);

/* ---- parser.c ---- */

struct pq_node *pq__expr(struct pq_parser *p, int precedence_min);

/* ---- parse_selector.c ---- */

struct pq_node *pq__selector(struct pq_parser *p, const struct pq_token *name);
bool pq__grouping(struct pq_parser *p, const pl_str **labels, uint32_t *count);
/* [range], [range:step], offset, @, anchored, smoothed behind an expression; none is fine too. */
struct pq_node *pq__postfix(struct pq_parser *p, struct pq_node *n);
bool pq__unquote(struct pq_parser *p, const struct pq_token *t, pl_str *out);

/* ---- parse_duration.c ---- */

/* A range or step: literal seconds (*expr NULL) or an expression. */
bool pq__dur_range(struct pq_parser *p, double *seconds, struct pq_dur **expr);
bool pq__dur_offset(struct pq_parser *p, double *seconds, struct pq_dur **expr);

/* ---- check.c ---- */

/* Types and the rules that need them, on the whole tree. */
bool pq__check_types(struct pq_parser *p, struct pq_node *n);

#endif
