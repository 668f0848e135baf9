/* promql/lex_scan.h - how the lexer reads characters, numbers and strings (lexer and tokens only).
 *
 * Promise: nothing here reads behind l->in or depends on the lexer's state. A function that finds the text wrong
 * records it with pq__lex_fail and gives no token.
 */
#ifndef PL_PROMQL_LEX_SCAN_H
#define PL_PROMQL_LEX_SCAN_H

#include "promql/lexer.h"

enum {
    LEX_END_OF_TEXT = -1,
    LEX_RUNE_ERROR = 0xfffd, /* also what a byte that is not UTF-8 reads as */
};

static inline bool pq__is_digit(int32_t r)
{
    return r >= '0' && r <= '9';
}

static inline bool pq__is_alpha(int32_t r)
{
    return r == '_' || (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z');
}

static inline bool pq__is_alnum(int32_t r)
{
    return pq__is_alpha(r) || pq__is_digit(r);
}

uint32_t pq__digit_value(int32_t r); /* of a hexadecimal digit; 16: none */

/* The rune at a byte offset, *len bytes long; at the end LEX_END_OF_TEXT, 0 bytes long; one byte that begins no UTF-8
 * character is a LEX_RUNE_ERROR. */
int32_t pq__rune_at(pl_str s, size_t at, size_t *len);

static inline int32_t pq__lex_peek(const struct pq_lexer *l)
{
    size_t len;

    return pq__rune_at(l->in, l->pos, &len);
}

static inline int32_t pq__lex_next(struct pq_lexer *l)
{
    size_t len;
    int32_t r = pq__rune_at(l->in, l->pos, &len);

    l->pos += len;
    return r;
}

/* Is the next rune one of these ASCII characters? */
static inline bool pq__lex_at_any(const struct pq_lexer *l, const char *set)
{
    return l->pos < l->in.n && l->in.p[l->pos] != '\0' && strchr(set, l->in.p[l->pos]) != NULL;
}

static inline bool pq__lex_accept(struct pq_lexer *l, const char *set)
{
    if (pq__lex_at_any(l, set)) {
        l->pos++;
        return true;
    }
    return false;
}

/* The token is what has been read since the last one. */
static inline void pq__lex_emit(struct pq_lexer *l, struct pq_token *out, enum pq_tok kind)
{
    out->kind = kind;
    out->start = (uint32_t)l->start;
    out->text = pl_str_sub(l->in, l->start, l->pos);
    l->start = l->pos;
}

void pq__lex_fail(struct pq_lexer *l, const char *what);
/* The same, then the rune as Go's %q shows it. */
void pq__lex_fail_rune(struct pq_lexer *l, const char *what, int32_t r);

/* Behind it the lexer is in LEX_STATEMENTS. */
void pq__lex_number_or_duration(struct pq_lexer *l, struct pq_token *out);
/* The opening quote has been read. */
void pq__lex_string(struct pq_lexer *l, struct pq_token *out, int32_t quote);

#endif
