/* What every part of the parser stands on: errors with their place, tokens, memory, the bound on depth. */
#include "promql/parser.h"

#include "model/labels.h"

/* ---- errors ---- */

/* LINE:COL of a byte offset; columns count bytes. */
static void add_position(struct pl_buf *b, pl_str text, uint32_t at)
{
    size_t line = 1;
    size_t line_start = 0;

    if (text.n == 0) {
        PL_BUF_LIT(b, "unknown position");
        return;
    }
    for (size_t i = 0; i < at && i < text.n; i++) {
        if (text.p[i] == '\n') {
            line++;
            line_start = i + 1;
        }
    }
    pl_buf_printf(b, "%zu:%zu", line, at - line_start + 1);
}

static void record(struct pq_parser *p, uint32_t at, pl_str message)
{
    struct pl_buf position;

    if (p->failed) {
        return;
    }
    pl_buf_init(&position, 0);
    add_position(&position, p->text, at);
    p->failed = true;
    p->status =
        pl_fail(p->err, PL_INVALID, "%.*s: parse error: %.*s", PL_STR_ARG(pl_buf_view(&position)), PL_STR_ARG(message));
    pl_buf_fini(&position);
}

void *pq__fail(struct pq_parser *p, uint32_t at, const char *fmt, ...)
{
    struct pl_buf b;
    va_list ap;

    pl_buf_init(&b, 0);
    va_start(ap, fmt);
    pl_buf_vprintf(&b, fmt, ap);
    va_end(ap);
    record(p, at, pl_buf_view(&b));
    pl_buf_fini(&b);
    return NULL;
}

void *pq__fail_quoted(struct pq_parser *p, uint32_t at, const char *before, pl_str quoted, const char *after)
{
    struct pl_buf b;

    pl_buf_init(&b, 0);
    pl_buf_cstr(&b, before);
    pl_buf_quoted(&b, quoted);
    pl_buf_cstr(&b, after);
    record(p, at, pl_buf_view(&b));
    pl_buf_fini(&b);
    return NULL;
}

void *pq__unexpected_in(struct pq_parser *p, const char *where, const char *expected)
{
    const struct pq_token *t = pq__peek(p);
    struct pl_buf b;

    if (t->kind == TOK_ERROR) {
        return NULL; /* the lexer's error says more */
    }
    pl_buf_init(&b, 0);
    PL_BUF_LIT(&b, "unexpected ");
    pq_token_describe(&b, t);
    if (where != NULL) {
        pl_buf_printf(&b, " in %s", where);
    }
    if (expected != NULL) {
        pl_buf_printf(&b, ", expected %s", expected);
    }
    record(p, t->start, pl_buf_view(&b));
    pl_buf_fini(&b);
    return NULL;
}

void *pq__unexpected(struct pq_parser *p)
{
    return pq__unexpected_in(p, p->context.where, p->context.expected);
}

/* ---- tokens, memory, depth ---- */

const struct pq_token *pq__peek(struct pq_parser *p)
{
    if (!p->has_ahead) {
        pq_lexer_next(&p->lexer, &p->ahead);
        p->has_ahead = true;
        if (p->ahead.kind == TOK_ERROR) {
            record(p, p->ahead.start, pl_buf_view(&p->lexer.error));
        }
    }
    return &p->ahead;
}

struct pq_token pq__take(struct pq_parser *p)
{
    p->taken = *pq__peek(p);
    p->has_ahead = false;
    return p->taken;
}

bool pq__expect(struct pq_parser *p, enum pq_tok kind)
{
    if (pq__peek(p)->kind != kind) {
        (void)pq__unexpected(p);
        return false;
    }
    (void)pq__take(p);
    return true;
}

void *pq__alloc(struct pq_parser *p, size_t n)
{
    void *m = pl_arena_zero_try(p->arena, n);

    if (m == NULL && !p->failed) {
        p->failed = true;
        p->status = pl_fail(p->err, PL_LIMIT, "query memory limit");
    }
    return m;
}

static void *fail_depth(struct pq_parser *p, uint32_t at)
{
    return pq__fail(p, at, "expression nests more than %d levels deep", PROMQL_DEPTH_MAX);
}

bool pq__enter(struct pq_parser *p)
{
    if (p->depth == PROMQL_DEPTH_MAX) {
        (void)fail_depth(p, pq__peek(p)->start);
        return false;
    }
    p->depth++;
    return true;
}

void pq__leave(struct pq_parser *p)
{
    p->depth--;
}

uint32_t pq__height(const struct pq_node *n)
{
    return n == NULL ? 0 : ((const struct pq_tall_node *)n)->height;
}

struct pq_node *pq__node(struct pq_parser *p, enum pq_kind kind, struct pq_pos pos, const struct pq_node *a,
                         const struct pq_node *b)
{
    struct pq_tall_node *n;

    if (PL_MAX(pq__height(a), pq__height(b)) >= PROMQL_DEPTH_MAX) {
        return fail_depth(p, pos.start);
    }
    n = pq__alloc(p, sizeof(*n));
    if (n == NULL) {
        return NULL;
    }
    n->height = PL_MAX(pq__height(a), pq__height(b)) + 1;
    n->node.kind = kind;
    n->node.pos = pos;
    return &n->node;
}
