#include "base/clock.h"
#include "http/internal.h"

enum { KEEP_ARENA_BYTES = 16 << 10, KEEP_BODY_BYTES = 64 << 10 };

struct http_exchange *http__exchange_get(struct http_loop *l)
{
    struct http_exchange *x = l->free;

    if (x != NULL) {
        l->free = x->next;
        l->free_count--;
    } else {
        x = pl_alloc(sizeof(*x));
        memset(x, 0, offsetof(struct http_exchange, head));
        pl_arena_init(&x->arena, 0);
    }
    x->next = NULL;
    http_head_init(&x->head);
    return x;
}

static void budget_return(struct http_exchange *x, struct http_server *s)
{
    if (x->body_charged > 0) {
        (void)atomic_fetch_sub_explicit(&s->body_bytes, x->body_charged, memory_order_relaxed);
        x->body_charged = 0;
    }
}

static void buf_shrink(struct pl_buf *b)
{
    if (b->cap > KEEP_BODY_BYTES) {
        pl_buf_fini(b);
    }
    pl_buf_reset(b);
}

void http__exchange_put(struct http_loop *l, struct http_exchange *x)
{
    PL_ASSERT(!x->at_worker);
    budget_return(x, l->server);
    if (l->free_count >= HTTP_FREE_EXCHANGES || x->arena.used_bytes > KEEP_ARENA_BYTES) {
        pl_arena_fini(&x->arena);
        pl_buf_fini(&x->body);
        pl_buf_fini(&x->resp.body);
        pl_buf_fini(&x->out_head);
        pl_buf_fini(&x->cipher);
        pl_free(x);
        return;
    }
    /* Everything back to zero but the memory that is worth keeping. */
    pl_arena_reset(&x->arena);
    buf_shrink(&x->body);
    buf_shrink(&x->resp.body);
    buf_shrink(&x->out_head);
    buf_shrink(&x->cipher);
    {
        struct pl_arena arena = x->arena;
        struct pl_buf body = x->body, answer = x->resp.body, head = x->out_head, cipher = x->cipher;
        memset(x, 0, offsetof(struct http_exchange, head));
        x->arena = arena;
        x->body = body;
        x->resp.body = answer;
        x->out_head = head;
        x->cipher = cipher;
    }
    x->resp.body.limit_bytes = 0;
    x->next = l->free;
    l->free = x;
    l->free_count++;
}

static pl_str span_text(const char *base, struct http_span s)
{
    return (pl_str){base + s.at, s.n};
}

void http__exchange_fill(struct http_exchange *x, const char *head, size_t head_n)
{
    const struct http_head *h = &x->head;
    char *text = pl_arena_alloc(&x->arena, head_n);
    struct http_header *headers = pl_arena_alloc(&x->arena, (h->header_count + 1) * sizeof(*headers));

    memcpy(text, head, head_n);
    for (uint32_t i = 0; i < h->header_count; i++) {
        headers[i] = (struct http_header){span_text(text, h->name[i]), span_text(text, h->value[i])};
    }
    x->req = (struct http_request){
        .method = h->method_id,
        .method_text = span_text(text, h->method),
        .path = h->path.n > 0 ? span_text(text, h->path) : PL_STR("/"), /* "http://host" means its root */
        .query = h->query.n > 0 ? span_text(text, h->query) : PL_STR(""),
        .headers = headers,
        .header_count = h->header_count,
        .arena = &x->arena,
        .received_mono_ns = pl_now_mono_ns(),
        .remote = pl_str_c(x->conn->remote),
        .tls = x->conn->tls != NULL,
        .canceled = &x->canceled,
        .tenant = PL_STR(""),
        .route = "",
    };
    x->resp.status = 200;
    x->has_head = true;
    x->keep_alive = http_head_keep_alive(h);
}

/* Makes room for n more bytes of body and charges the growth to the server's budget. Memory follows what has arrived:
 * it at most doubles, and never passes what Content-Length promised. */
bool http__body_room(struct http_exchange *x, size_t n)
{
    struct http_server *s = x->conn->loop->server;
    uint64_t budget = s->o.body_budget_bytes;
    size_t need = x->body.n + n;
    size_t cap;

    if (need <= x->body.cap && x->body_charged >= x->body.cap) {
        return true;
    }
    cap = PL_MAX(need, x->body.cap);
    if (need > x->body.cap) {
        cap = PL_MAX(cap, PL_MIN(x->body.cap * 2, (size_t)(x->head.chunked ? SIZE_MAX : x->head.length)));
    }
    if (cap > x->body_charged) {
        uint64_t more = cap - x->body_charged;
        uint64_t before = atomic_fetch_add_explicit(&s->body_bytes, more, memory_order_relaxed);
        if (before + more > budget) {
            (void)atomic_fetch_sub_explicit(&s->body_bytes, more, memory_order_relaxed);
            return false;
        }
        x->body_charged += more;
    }
    if (cap > x->body.cap) {
        x->body.p = pl_realloc(x->body.p, cap);
        x->body.cap = cap;
    }
    return true;
}
