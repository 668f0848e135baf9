#include "promql/explain.h"

#include "base/clock.h"
#include "codec/json_out.h"
#include "promql/eval.h"

enum { EXPR_SHOWN_MAX = 100 };

/* ---- while planning: who reads from whom ---- */

void pq__explain_op(struct op *op)
{
    struct exec *x = op->x;

    op->parent = x->planning;
    op->sibling = x->ops;
    x->ops = op;
    x->planning = op;
}

void pq__explain_wrap(struct op *wrapper, struct op *child)
{
    wrapper->parent = child->parent;
    child->parent = wrapper;
}

void pq__explain_selected(struct exec *x, const struct series_list *l)
{
    struct op *op = x->planning;

    if (op == NULL) {
        return;
    }
    op->cost.series += l->n;
    for (size_t i = 0; i < l->n; i++) {
        for (uint32_t c = 0; c < l->v[i].chunk_count; c++) {
            const struct chunk_view *k = &l->v[i].chunks[c];

            op->cost.samples += k->size >= 2 ? pl_get_be16(k->data) : 0; /* every encoding begins with its count */
        }
    }
}

/* ---- while running ---- */

/* Bytes given out: blocks but for the free end of the newest. */
static size_t arena_bytes(const struct pl_arena *a)
{
    return a->used_bytes - (size_t)(a->end - a->at);
}

pl_status pq__explain_next(struct op *op, struct batch *out, struct pl_err *err)
{
    struct exec *x = op->x;
    struct op_cost *c = &op->cost, *outer = x->running;
    int64_t start_ns = pl_now_mono_ns(), spent_ns;
    size_t bytes = arena_bytes(x->arena), grown;
    pl_status st;

    c->child_ns = 0;
    c->child_bytes = 0;
    x->running = c;
    st = op->ops->next(op, out, err);
    x->running = outer;
    spent_ns = pl_now_mono_ns() - start_ns;
    grown = arena_bytes(x->arena);
    grown = grown > bytes ? grown - bytes : 0;
    c->own_ns += spent_ns - c->child_ns;
    c->own_bytes += grown > c->child_bytes ? grown - c->child_bytes : 0;
    if (outer != NULL) {
        outer->child_ns += spent_ns;
        outer->child_bytes += grown;
    }
    if (st == PL_OK) {
        c->columns += out->n;
        for (size_t i = 0; i < out->n; i++) {
            c->points += pq__col_cost(&out->col[i], op->grid.n);
        }
    }
    return st;
}

/* ---- the tree ---- */

static bool explained_fill(struct pq_explained *e, struct exec *x, const struct op *op)
{
    size_t n = 0;

    *e = (struct pq_explained){.name = op->ops->name,
                               .expr = op->node,
                               .steps = op->grid.n,
                               .series = op->cost.series,
                               .samples = op->cost.samples,
                               .columns = op->cost.columns,
                               .points = op->cost.points,
                               .own_ns = op->cost.own_ns,
                               .own_bytes = op->cost.own_bytes};
    for (const struct op *c = x->ops; c != NULL; c = c->sibling) {
        n += c->parent == op;
    }
    e->children = pl_arena_new_array_try(x->arena, struct pq_explained, n);
    if (e->children == NULL) {
        return false;
    }
    e->child_count = n;
    for (const struct op *c = x->ops; c != NULL; c = c->sibling) { /* newest first: fill from the end */
        if (c->parent == op && !explained_fill(&e->children[--n], x, c)) {
            return false;
        }
    }
    return true;
}

struct pq_explained *pq__explained(struct exec *x)
{
    struct pq_explained *e = pl_arena_zero_try(x->arena, sizeof(*e));

    return e != NULL && x->root != NULL && explained_fill(e, x, x->root) ? e : NULL;
}

static void put_expr(struct pl_buf *b, const struct pq_node *n)
{
    size_t at = b->n;

    if (n != NULL) {
        pq_print(b, n);
    }
    if (b->n - at > EXPR_SHOWN_MAX && !b->overflow) {
        b->n = at + EXPR_SHOWN_MAX;
        while (b->n > at && ((uint8_t)b->p[b->n] & 0xc0) == 0x80) {
            b->n--; /* not in the middle of a character */
        }
        pl_buf_cstr(b, "...");
    }
}

void pq_explain_json(struct pl_buf *b, const struct pq_explained *e, enum pq_explain kind)
{
    struct pl_buf text;

    pl_buf_init(&text, 0);
    put_expr(&text, e->expr);
    pl_buf_cstr(b, "{\"operator\":");
    json_cstr(b, e->name);
    pl_buf_cstr(b, ",\"expr\":");
    json_str(b, pl_buf_view(&text));
    pl_buf_fini(&text);
    pl_buf_printf(b, ",\"steps\":%llu,\"storedSeries\":%llu,\"storedSamples\":%llu", (unsigned long long)e->steps,
                  (unsigned long long)e->series, (unsigned long long)e->samples);
    if (kind == PQ_EXPLAIN_ANALYZE) {
        pl_buf_printf(b, ",\"series\":%llu,\"samples\":%llu,\"seconds\":%.9f,\"bytes\":%llu",
                      (unsigned long long)e->columns, (unsigned long long)e->points, (double)e->own_ns / 1e9,
                      (unsigned long long)e->own_bytes);
    }
    pl_buf_cstr(b, ",\"children\":[");
    for (size_t i = 0; i < e->child_count; i++) {
        if (i > 0) {
            pl_buf_byte(b, ',');
        }
        pq_explain_json(b, &e->children[i], kind);
    }
    pl_buf_cstr(b, "]}");
}
