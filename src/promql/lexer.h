/* promql/lexer.h - PromQL text to tokens (this folder only). Facts and messages: spec prometheus.md 1. */
#ifndef PL_PROMQL_LEXER_H
#define PL_PROMQL_LEXER_H

#include "base/base.h"
#include "base/buf.h"

enum pq_tok {
    TOK_EOF,
    TOK_ERROR,
    TOK_COLON,
    TOK_COMMA,
    TOK_DURATION,
    TOK_EQL,
    TOK_IDENT,
    TOK_LBRACE,
    TOK_LBRACKET,
    TOK_LPAREN,
    TOK_METRIC_IDENT,
    TOK_NUMBER,
    TOK_RBRACE,
    TOK_RBRACKET,
    TOK_RPAREN,
    TOK_STRING,
    /* operators, in the order of enum pq_op */
    TOK_ADD,
    TOK_SUB,
    TOK_MUL,
    TOK_DIV,
    TOK_MOD,
    TOK_POW,
    TOK_ATAN2,
    TOK_EQLC,
    TOK_NEQ,
    TOK_LSS,
    TOK_LTE,
    TOK_GTR,
    TOK_GTE,
    TOK_TRIM_UPPER,
    TOK_TRIM_LOWER,
    TOK_AND,
    TOK_OR,
    TOK_UNLESS,
    TOK_EQL_REGEX,
    TOK_NEQ_REGEX,
    TOK_AT,
    /* aggregators, in the order of enum pq_agg */
    TOK_SUM,
    TOK_AVG,
    TOK_COUNT,
    TOK_MIN,
    TOK_MAX,
    TOK_GROUP,
    TOK_STDDEV,
    TOK_STDVAR,
    TOK_TOPK,
    TOK_BOTTOMK,
    TOK_COUNT_VALUES,
    TOK_QUANTILE,
    TOK_LIMITK,
    TOK_LIMIT_RATIO,
    /* keywords */
    TOK_OFFSET,
    TOK_SMOOTHED,
    TOK_ANCHORED,
    TOK_BY,
    TOK_WITHOUT,
    TOK_ON,
    TOK_IGNORING,
    TOK_GROUP_LEFT,
    TOK_GROUP_RIGHT,
    TOK_FILL,
    TOK_FILL_LEFT,
    TOK_FILL_RIGHT,
    TOK_BOOL,
    /* names with a meaning of their own before "(" */
    TOK_START,
    TOK_END,
    TOK_STEP,
    TOK_RANGE,
    TOK_MAX_OF,
    TOK_MIN_OF,
};

struct pq_token {
    enum pq_tok kind;
    uint32_t start;
    pl_str text; /* a view of the input */
};

enum pq_lex_state { LEX_STATEMENTS, LEX_DURATION, LEX_BRACES };

struct pq_lexer {
    pl_str in;
    size_t pos;   /* next byte to read */
    size_t start; /* first byte of the token being read */
    enum pq_lex_state state;
    int64_t paren_depth;
    bool bracket_open, got_colon, got_duration;
    bool failed;
    struct pl_buf error; /* what went wrong, once failed */
};

void pq_lexer_init(struct pq_lexer *l, pl_str in);
void pq_lexer_fini(struct pq_lexer *l);
/* Comments are skipped. After TOK_ERROR the lexer stays there: l->error tells why, l->start where. */
void pq_lexer_next(struct pq_lexer *l, struct pq_token *out);
/* How error messages name a token: `identifier "x"`, `<op:+>`, `end of input`. */
void pq_token_describe(struct pl_buf *b, const struct pq_token *t);
/* The value of a string token, quotes and escapes removed, written at out (t.text.n bytes free). The lexer has checked
 * it. */
pl_str pq_token_unquote(char *out, const struct pq_token *t);

static inline bool pq_tok_is_aggregator(enum pq_tok k)
{
    return k >= TOK_SUM && k <= TOK_LIMIT_RATIO;
}
static inline bool pq_tok_is_operator(enum pq_tok k)
{
    return k >= TOK_ADD && k <= TOK_AT;
}
static inline bool pq_tok_is_keyword(enum pq_tok k)
{
    return k >= TOK_OFFSET && k <= TOK_BOOL;
}

#endif
