/* What a connection receives: from bytes to a request, and from a request to its handler. */
#include "base/clock.h"
#include "base/log.h"
#include "http/internal.h"

/* ---- answers without a handler ---- */

static void answer_refused(struct http_conn *c)
{
    const struct http_server_options *o = &c->loop->server->o;

    if (c->x->has_head && o->refused != NULL) {
        o->refused(o->arg, &c->x->req, &c->x->resp);
    }
    http__answer(c);
}

static void refuse(struct http_conn *c, int status, const char *text)
{
    struct http_exchange *x = c->x;

    pl_buf_reset(&x->resp.body);
    x->resp.status = status;
    x->resp.content_type = "text/plain; charset=utf-8";
    x->resp.header_count = 0;
    pl_buf_printf(&x->resp.body, "%s\n", text);
    answer_refused(c);
}

void http__refuse_unread(struct http_conn *c, int status, const char *text)
{
    c->x->unread_input = true;
    refuse(c, status, text);
}

static void too_large(struct http_conn *c, uint64_t content_length)
{
    struct http_exchange *x = c->x;

    x->unread_input = true;
    x->choice.too_large(&x->req, &x->resp, x->choice.body_max, content_length);
    answer_refused(c);
}

/* ---- from a whole request to its handler ---- */

static void run_job(struct worker_job *job)
{
    struct http_exchange *x = (struct http_exchange *)((char *)job - offsetof(struct http_exchange, job));

    x->choice.handler(x->choice.handler_arg, &x->req, &x->resp);
    http__post(x);
}

static void hand_over(struct http_conn *c)
{
    struct http_exchange *x = c->x;

    x->job.run = run_job;
    x->at_worker = true;
    if (x->choice.submit != NULL ? x->choice.submit(x->choice.submit_arg, &x->job, &x->req, &x->resp)
                                 : worker_pool_submit(x->choice.pool, &x->job)) {
        return; /* it may have come back already */
    }
    x->at_worker = false;
    (void)atomic_fetch_sub_explicit(&c->loop->server->inflight, 1, memory_order_relaxed);
    if (x->choice.submit != NULL) {
        answer_refused(c);
    } else {
        refuse(c, 503, "server overloaded: the request queue is full");
    }
}

static void dispatch(struct http_conn *c)
{
    struct http_exchange *x = c->x;
    struct http_server *s = c->loop->server;

    c->state = CONN_HANDLING;
    http__conn_wait(c, WAIT_NONE);
    x->req.body = x->body.n > 0 ? pl_buf_view(&x->body) : PL_STR("");
    x->req.ready_mono_ns = pl_now_mono_ns();
    (void)atomic_fetch_add_explicit(&s->inflight, 1, memory_order_relaxed);
    if (x->choice.pool != NULL || x->choice.submit != NULL) {
        hand_over(c);
        return;
    }
    x->choice.handler(x->choice.handler_arg, &x->req, &x->resp);
    (void)atomic_fetch_sub_explicit(&s->inflight, 1, memory_order_relaxed);
    http__answer(c);
}

/* ---- reading a request ---- */

static void head_done(struct http_conn *c, bool more_input)
{
    struct http_exchange *x = c->x;
    const struct http_head *h = &x->head;
    const struct http_server *s = c->loop->server;

    x->choice = s->o.route(s->o.arg, &x->req);
    x->ignore_body = x->choice.ignore_body;
    if (!h->chunked && h->length == 0) {
        dispatch(c);
        return;
    }
    if (!x->ignore_body && h->length > x->choice.body_max) {
        too_large(c, h->length);
        return;
    }
    if (x->ignore_body && (h->expect_continue || h->length > HTTP_IGNORED_BODY_MAX)) {
        x->unread_input = true;
        dispatch(c);
        return;
    }
    if (h->expect_continue && !more_input && !http__answer_continue(c)) {
        return;
    }
    x->body_left = h->length;
    http_chunked_init(&x->chunked);
    c->state = CONN_BODY;
    http__conn_wait(c, WAIT_BODY);
}

static bool body_add(struct http_conn *c, const char *p, size_t n)
{
    struct http_exchange *x = c->x;

    if (n == 0) {
        return true;
    }
    if (x->ignore_body) {
        x->body_seen += n;
        if (x->body_seen > HTTP_IGNORED_BODY_MAX) {
            x->unread_input = true;
            dispatch(c);
            return false;
        }
        return true;
    }
    if (x->body.n + n > x->choice.body_max) {
        too_large(c, 0);
        return false;
    }
    if (!http__body_room(x, n)) {
        const struct http_server_options *o = &c->loop->server->o;
        const char *of = o->body_budget_of;
        struct pl_err err;
        (void)pl_fail(&err, PL_UNAVAILABLE,
                      "server overloaded: request bodies in flight passed the limit of %llu bytes%s%s%s",
                      (unsigned long long)o->body_budget_bytes, of != NULL ? " (" : "", of != NULL ? of : "",
                      of != NULL ? ")" : "");
        http__refuse_unread(c, 503, err.msg);
        return false;
    }
    memcpy(x->body.p + x->body.n, p, n);
    x->body.n += n;
    return true;
}

static void chunks_take(struct http_conn *c, pl_str *view)
{
    struct http_exchange *x = c->x;

    while (view->n > 0) {
        size_t used = 0;
        struct http_span data;
        enum http_parse r = http_chunked_parse(&x->chunked, view->p, view->n, &used, &data);
        const char *p = view->p + data.at;
        *view = pl_str_sub(*view, used, view->n);
        if (r == HTTP_PARSE_BAD) {
            http__refuse_unread(c, 400, x->chunked.reason);
            return;
        }
        if (!body_add(c, p, data.n)) {
            return;
        }
        if (r == HTTP_PARSE_DONE) {
            dispatch(c);
            return;
        }
    }
}

static void body_take(struct http_conn *c, pl_str *view)
{
    struct http_exchange *x = c->x;
    size_t n = (size_t)PL_MIN((uint64_t)view->n, x->body_left);

    if (x->head.chunked) {
        chunks_take(c, view);
        return;
    }
    if (!body_add(c, view->p, n)) {
        return;
    }
    *view = pl_str_sub(*view, n, view->n);
    x->body_left -= n;
    if (x->body_left == 0) {
        dispatch(c);
    }
}

static void head_take(struct http_conn *c, pl_str *view)
{
    struct http_exchange *x = c->x;
    size_t used = 0;

    switch (http_head_parse(&x->head, view->p, view->n, &used)) {
    case HTTP_PARSE_MORE:
        return;
    case HTTP_PARSE_BAD:
        http__refuse_unread(c, x->head.status, x->head.reason);
        return;
    case HTTP_PARSE_DONE:
        http__exchange_fill(x, view->p, used);
        *view = pl_str_sub(*view, used, view->n);
        head_done(c, view->n > 0);
        return;
    }
}

static void exchange_begin(struct http_conn *c)
{
    c->x = http__exchange_get(c->loop);
    c->x->conn = c;
    atomic_store_explicit(&c->x->canceled, c->peer_eof, memory_order_relaxed);
    c->state = CONN_HEAD;
    http__conn_wait(c, WAIT_HEAD);
}

static bool takes_input(const struct http_conn *c)
{
    return c->state == CONN_IDLE || c->state == CONN_HEAD || c->state == CONN_BODY;
}

/* Feeds input to the request until it is used up, more is needed, or a handler has the word. What is left stays in
 * *view. */
static void run(struct http_conn *c, pl_str *view)
{
    while (view->n > 0 && takes_input(c)) {
        size_t before = view->n;
        if (c->state == CONN_IDLE) {
            exchange_begin(c);
        }
        if (c->state == CONN_HEAD) {
            head_take(c, view);
        } else {
            body_take(c, view);
        }
        if (view->n == before && c->state == CONN_HEAD) {
            return; /* an incomplete head waits for its rest */
        }
    }
}

/* ---- input ---- */

static void on_alloc(uv_handle_t *h, size_t suggested PL_UNUSED, uv_buf_t *buf)
{
    struct http_conn *c = h->data;
    struct http_exchange *x = c->x;

    buf->base = c->loop->scratch;
    buf->len = HTTP_SCRATCH_BYTES;
    if (c->tls != NULL) {
        return;
    }
    if (c->state == CONN_HANDLING || c->state == CONN_WRITING) {
        buf->len = HTTP_AHEAD_BYTES;
    } else if (c->state == CONN_BODY && !x->head.chunked && !x->ignore_body && c->in.n == 0) {
        /* The body lands where it will be used. Without room, body_add meets the limit again and answers. */
        size_t n = (size_t)PL_MIN(x->body_left, (uint64_t)HTTP_SCRATCH_BYTES);
        if (http__body_room(x, n)) {
            buf->base = x->body.p + x->body.n;
            buf->len = n;
        }
    }
}

static void take_kept(struct http_conn *c)
{
    pl_str view = pl_buf_view(&c->in);

    run(c, &view);
    if (c->state == CONN_CLOSING || c->state == CONN_LINGER) {
        return;
    }
    if (view.n == 0) {
        pl_buf_fini(&c->in); /* an idle connection holds no buffer */
    } else if (view.n < c->in.n) {
        memmove(c->in.p, view.p, view.n);
        c->in.n = view.n;
    }
}

static void take_new(struct http_conn *c, pl_str view)
{
    if (c->state == CONN_LINGER) {
        c->linger_bytes += view.n;
        if (c->linger_bytes > HTTP_LINGER_BYTES_MAX) {
            http__conn_close(c);
        }
        return;
    }
    if (c->in.n > 0) {
        pl_buf_str(&c->in, view);
        take_kept(c);
        return;
    }
    run(c, &view);
    if (view.n > 0 && c->state != CONN_CLOSING && c->state != CONN_LINGER) {
        pl_buf_str(&c->in, view);
    }
}

static void on_eof(struct http_conn *c, bool orderly)
{
    c->peer_eof = true;
    if (c->x != NULL) {
        atomic_store_explicit(&c->x->canceled, true, memory_order_relaxed);
    }
    /* A client that only closed its sending half still gets the answers to what it sent. */
    if (!orderly || takes_input(c) || c->state == CONN_LINGER) {
        http__conn_close(c);
    }
}

/* Decrypts while a request can take it. */
static void take_tls(struct http_conn *c)
{
    while (takes_input(c) || c->state == CONN_LINGER) {
        int n = tls_conn_read(c->tls, c->loop->plain, sizeof(c->loop->plain));
        if (n < 0) {
            if (tls_conn_error(c->tls)[0] != '\0') {
                pl_debug("TLS connection failed", PL_KV_C("remote", c->remote), PL_KV_C("err", tls_conn_error(c->tls)));
            }
            http__tls_flush(c); /* the alert */
            on_eof(c, true);
            return;
        }
        if (n == 0) {
            break;
        }
        take_new(c, pl_str_of(c->loop->plain, (size_t)n));
    }
    if (c->state == CONN_CLOSING) {
        return;
    }
    http__tls_flush(c);
    if (c->state == CONN_IDLE && c->wait == WAIT_HEAD && tls_conn_ready(c->tls)) {
        http__conn_wait(c, WAIT_IDLE); /* the handshake had the deadline of a head */
    }
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct http_conn *c = stream->data;
    struct http_exchange *x = c->x;

    if (n == 0 || c->state == CONN_CLOSING) {
        return;
    }
    if (n < 0) {
        (void)uv_read_stop(stream);
        c->reading = false;
        on_eof(c, n == UV_EOF);
        return;
    }
    if (c->tls != NULL) {
        tls_conn_feed(c->tls, pl_str_of(buf->base, (size_t)n));
    } else if (buf->base != c->loop->scratch) {
        x->body.n += (size_t)n;
        x->body_left -= (uint64_t)n;
        if (x->body_left == 0) {
            dispatch(c);
        }
    } else {
        take_new(c, pl_str_of(buf->base, (size_t)n));
    }
    http__conn_resume(c);
}

/* While a request is handled, reading goes on only to notice that the client left, and for a bounded number of bytes.
 */
static bool wants_input(const struct http_conn *c)
{
    if (c->peer_eof) {
        return false;
    }
    if (c->state == CONN_HANDLING || c->state == CONN_WRITING) {
        return c->in.n < HTTP_AHEAD_BYTES && (c->tls == NULL || tls_conn_fed_bytes(c->tls) < HTTP_TLS_AHEAD_BYTES);
    }
    return true;
}

void http__conn_resume(struct http_conn *c)
{
    if (c->state != CONN_CLOSING && c->in.n > 0) {
        take_kept(c);
    }
    if (c->state != CONN_CLOSING && c->tls != NULL) {
        take_tls(c);
    }
    if (c->state == CONN_CLOSING) {
        return;
    }
    if (c->peer_eof && (takes_input(c) || c->state == CONN_LINGER)) {
        http__conn_close(c); /* nothing more can come */
        return;
    }
    if (wants_input(c) != c->reading) {
        c->reading = !c->reading;
        if (!c->reading) {
            (void)uv_read_stop((uv_stream_t *)&c->tcp);
        } else if (uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) != 0) {
            http__conn_close(c);
        }
    }
}
