/* The life of a connection: accepted, waiting with a deadline, lingering, closed. */
#include <stdio.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/internal.h"

/* ---- deadlines ---- */

void http__conn_wait(struct http_conn *c, enum http_wait wait)
{
    struct http_loop *l = c->loop;
    struct http_conn_list *q;

    if (c->wait != WAIT_NONE) {
        q = &l->waiting[c->wait];
        *(c->wait_prev != NULL ? &c->wait_prev->wait_next : &q->first) = c->wait_next;
        *(c->wait_next != NULL ? &c->wait_next->wait_prev : &q->last) = c->wait_prev;
    }
    c->wait = l->server->timeout_ns[wait] > 0 ? wait : WAIT_NONE;
    c->wait_next = NULL;
    if (c->wait != WAIT_NONE) {
        q = &l->waiting[wait];
        c->deadline_mono_ns = pl_now_mono_ns() + l->server->timeout_ns[wait];
        c->wait_prev = q->last;
        *(q->last != NULL ? &q->last->wait_next : &q->first) = c;
        q->last = c;
    }
}

/* ---- end of a connection ---- */

static void conn_free(struct http_conn *c)
{
    struct http_loop *l = c->loop;

    *(c->all_prev != NULL ? &c->all_prev->all_next : &l->all) = c->all_next;
    if (c->all_next != NULL) {
        c->all_next->all_prev = c->all_prev;
    }
    if (c->x != NULL) {
        http__exchange_put(l, c->x);
    }
    tls_conn_destroy(c->tls);
    pl_buf_fini(&c->in);
    pl_free(c);
    l->conn_count--;
    (void)atomic_fetch_sub_explicit(&l->server->conn_count, 1, memory_order_relaxed);
    http__loop_conns_changed(l);
}

static void on_closed(uv_handle_t *h)
{
    struct http_conn *c = h->data;

    c->closed = true;
    if (c->x == NULL || !c->x->at_worker) {
        conn_free(c);
    } /* else its exchange comes back through the mailbox first */
}

void http__conn_close(struct http_conn *c)
{
    if (c->state == CONN_CLOSING) {
        return;
    }
    http__conn_wait(c, WAIT_NONE);
    c->state = CONN_CLOSING;
    if (c->x != NULL) {
        atomic_store_explicit(&c->x->canceled, true, memory_order_relaxed);
    }
    uv_close((uv_handle_t *)&c->tcp, on_closed);
}

/* The answer is out and the connection must end. Closing with unread input would send a reset, which may destroy the
 * answer on its way (RFC 9112 9.6): so only the sending half is closed, and input is thrown away until the client
 * closes, or some seconds or many bytes have passed. */
static void linger(struct http_conn *c)
{
    uv_os_fd_t fd;

    if (c->tls != NULL) {
        tls_conn_shutdown(c->tls);
        http__tls_flush(c);
    }
    if (c->state == CONN_CLOSING) {
        return;
    }
    if (c->peer_eof || uv_fileno((uv_handle_t *)&c->tcp, &fd) != 0 || shutdown(fd, SHUT_WR) != 0) {
        http__conn_close(c);
        return;
    }
    pl_buf_fini(&c->in);
    c->state = CONN_LINGER;
    http__conn_wait(c, WAIT_LINGER);
}

void http__conn_finish(struct http_conn *c)
{
    bool keep = c->x->keep_alive && !c->loop->draining;

    http__exchange_put(c->loop, c->x);
    c->x = NULL;
    if (keep) {
        c->state = CONN_IDLE;
        http__conn_wait(c, WAIT_IDLE);
    } else {
        linger(c);
    }
}

void http__conn_mail(struct http_exchange *x)
{
    struct http_conn *c = x->conn;

    x->at_worker = false;
    (void)atomic_fetch_sub_explicit(&c->loop->server->inflight, 1, memory_order_relaxed);
    if (c->state != CONN_CLOSING) {
        PL_ASSERT(c->state == CONN_HANDLING);
        http__answer(c);
        http__conn_resume(c);
    } else if (c->closed) {
        conn_free(c);
    }
}

/* ---- accept ---- */

static void name_remote(struct http_conn *c)
{
    struct sockaddr_storage sa;
    int n = sizeof(sa);
    char host[48];

    c->remote[0] = '\0';
    if (uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&sa, &n) != 0) {
        return;
    }
    if (sa.ss_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, &sa, sizeof(in));
        (void)uv_ip4_name(&in, host, sizeof(host));
        (void)snprintf(c->remote, sizeof(c->remote), "%s:%u", host, (unsigned)ntohs(in.sin_port));
    } else if (sa.ss_family == AF_INET6) {
        struct sockaddr_in6 in6;
        bool v4;
        memcpy(&in6, &sa, sizeof(in6));
        (void)uv_ip6_name(&in6, host, sizeof(host));
        v4 = strncmp(host, "::ffff:", 7) == 0 && strchr(host, '.') != NULL; /* an IPv4 client of a dual-stack socket */
        (void)snprintf(c->remote, sizeof(c->remote), v4 ? "%s:%u" : "[%s]:%u", v4 ? host + 7 : host,
                       (unsigned)ntohs(in6.sin6_port));
    }
}

/* At most one line in 10 s for all connections that cannot be taken. */
void http__warn_accept(struct http_server *s, const char *why)
{
    int64_t now_ns = pl_now_mono_ns();
    int64_t last_ns = atomic_load_explicit(&s->conn_warned_mono_ns, memory_order_relaxed);

    if ((last_ns == 0 || now_ns - last_ns > 10 * PL_NS_PER_S) &&
        atomic_compare_exchange_strong(&s->conn_warned_mono_ns, &last_ns, now_ns)) {
        pl_warn("HTTP connections are refused", PL_KV_C("why", why), PL_KV_INT("limit", s->o.conn_max));
    }
}

void http__conn_accept(struct http_loop *l)
{
    struct http_conn *c = pl_new(struct http_conn);
    struct http_server *s = l->server;

    c->loop = l;
    (void)uv_tcp_init(&l->uv, &c->tcp);
    c->tcp.data = c;
    c->all_next = l->all;
    if (l->all != NULL) {
        l->all->all_prev = c;
    }
    l->all = c;
    l->conn_count++;
    if (l->conn_count == 1) {
        http__loop_conns_changed(l);
    }
    if (uv_accept((uv_stream_t *)&l->listener, (uv_stream_t *)&c->tcp) != 0) {
        (void)atomic_fetch_add_explicit(&s->conn_count, 1, memory_order_relaxed);
        http__conn_close(c);
        return;
    }
    if (atomic_fetch_add_explicit(&s->conn_count, 1, memory_order_relaxed) >= s->o.conn_max) {
        http__warn_accept(s, "too many connections");
        http__conn_close(c);
        return;
    }
    (void)uv_tcp_nodelay(&c->tcp, 1);
    name_remote(c);
    c->state = CONN_IDLE;
    if (s->tls != NULL) {
        c->tls = tls_conn_create(s->tls);
    }
    http__conn_wait(c, s->tls != NULL ? WAIT_HEAD : WAIT_IDLE);
    http__conn_resume(c);
}

/* ---- sweeps ---- */

static void on_deadline(struct http_conn *c)
{
    if (c->state == CONN_HEAD) {
        http__refuse_unread(c, 408, "request head took too long");
    } else if (c->state == CONN_BODY) {
        http__refuse_unread(c, 408, "request body took too long");
    } else {
        http__conn_close(c);
    }
}

void http__conn_sweep(struct http_loop *l, int64_t now_ns)
{
    for (int w = 0; w < WAIT_COUNT; w++) {
        struct http_conn *c;
        while ((c = l->waiting[w].first) != NULL && c->deadline_mono_ns <= now_ns) {
            on_deadline(c);
        }
    }
}

void http__conn_drain(struct http_loop *l)
{
    for (struct http_conn *c = l->all; c != NULL; c = c->all_next) {
        if (c->state == CONN_IDLE) {
            http__conn_close(c);
        }
    }
}

void http__conn_close_all(struct http_loop *l)
{
    for (struct http_conn *c = l->all; c != NULL; c = c->all_next) {
        http__conn_close(c);
    }
}
