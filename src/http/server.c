#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "http/internal.h"

#include <sched.h>

enum { LISTEN_BACKLOG = 1024, CONN_MAX_DEFAULT = 16384 };

/* ---- mailbox: worker to loop ---- */

void http__post(struct http_exchange *x)
{
    struct http_loop *l = x->conn->loop;
    struct http_server *s = l->server;
    bool first;

    /* The loop may handle x and want to end as soon as it sees it: while `posting` is not zero it keeps its wake
     * handle, and http_server_stop the locks (acquire there). */
    (void)atomic_fetch_add_explicit(&s->posting, 1, memory_order_relaxed);
    pl_mutex_lock(&l->mail_lock);
    first = l->mail == NULL;
    x->next = l->mail;
    l->mail = x;
    pl_mutex_unlock(&l->mail_lock);
    if (first) {
        (void)uv_async_send(&l->wake); /* the loop wakes to an open lock */
    }
    (void)atomic_fetch_sub_explicit(&s->posting, 1, memory_order_release);
}

static void loop_end_if_done(struct http_loop *l)
{
    if (l->draining && l->conn_count == 0 && !uv_is_closing((uv_handle_t *)&l->wake)) {
        while (atomic_load_explicit(&l->server->posting, memory_order_acquire) != 0) {
            (void)sched_yield(); /* a few instructions of another thread, see http__post */
        }
        uv_close((uv_handle_t *)&l->wake, NULL);
        uv_close((uv_handle_t *)&l->sweep, NULL);
    }
}

static void on_sweep(uv_timer_t *t)
{
    struct http_loop *l = t->data;
    int64_t now_ns = pl_now_mono_ns();

    http__conn_sweep(l, now_ns);
    if (l->draining && now_ns >= l->drain_deadline_mono_ns) { /* const once draining */
        http__conn_close_all(l);
    }
}

/* The timer ticks only while there are connections, so an idle process sleeps. */
void http__loop_conns_changed(struct http_loop *l)
{
    if (l->conn_count == 0) {
        (void)uv_timer_stop(&l->sweep);
        loop_end_if_done(l);
    } else {
        (void)uv_timer_start(&l->sweep, on_sweep, HTTP_SWEEP_MS, HTTP_SWEEP_MS);
    }
}

static void on_wake(uv_async_t *a)
{
    struct http_loop *l = a->data;
    struct http_exchange *mail;
    struct http_exchange *in_order = NULL;
    int64_t drain_ns;

    pl_mutex_lock(&l->mail_lock);
    mail = l->mail;
    l->mail = NULL;
    drain_ns = l->drain_deadline_mono_ns;
    pl_mutex_unlock(&l->mail_lock);

    while (mail != NULL) {
        struct http_exchange *next = mail->next;
        mail->next = in_order;
        in_order = mail;
        mail = next;
    }
    if (drain_ns != 0 && !l->draining) {
        l->draining = true;
        uv_close((uv_handle_t *)&l->listener, NULL);
        http__conn_drain(l);
    }
    while (in_order != NULL) {
        struct http_exchange *x = in_order;
        in_order = x->next;
        http__conn_mail(x);
    }
    loop_end_if_done(l);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct http_loop *l = listener->data;

    if (status == 0) {
        http__conn_accept(l);
    } else {
        http__warn_accept(l->server, uv_strerror(status)); /* out of file descriptors */
    }
}

static void loop_main(void *arg)
{
    struct http_loop *l = arg;

    (void)uv_run(&l->uv, UV_RUN_DEFAULT);
    PL_ASSERT(uv_loop_close(&l->uv) == 0);
}

/* ---- listening ---- */

static pl_status resolve(const struct http_server_options *o, struct sockaddr_storage *out, socklen_t *out_n,
                         struct pl_err *err)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *list = NULL;
    char port[8];
    char *host;
    int rc;

    (void)snprintf(port, sizeof(port), "%u", (unsigned)o->port);
    if (o->address.n == 0) { /* all, by IPv6 and IPv4, as Go does */
        struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(o->port)};
        memcpy(out, &any, sizeof(any));
        *out_n = sizeof(any);
        return PL_OK;
    }
    host = pl_str_dup(o->address);
    rc = getaddrinfo(host, port, &hints, &list);
    pl_free(host);
    if (rc != 0) {
        return pl_fail(err, PL_IO, "listen tcp: lookup %.*s: %s", PL_STR_ARG(o->address), gai_strerror(rc));
    }
    memcpy(out, list->ai_addr, list->ai_addrlen);
    *out_n = list->ai_addrlen;
    freeaddrinfo(list);
    return PL_OK;
}

/* A bound socket, or -1 with errno. */
static int bind_socket(const struct sockaddr_storage *sa, socklen_t sa_n, bool reuse_port)
{
    int one = 1, zero = 0;
    int fd = socket(sa->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        return -1;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (sa->ss_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
    }
    if (reuse_port) {
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
    }
    if (bind(fd, (const struct sockaddr *)sa, sa_n) != 0) {
        int saved = errno;
        (void)close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

static void set_port(struct sockaddr_storage *sa, uint16_t port)
{
    if (sa->ss_family == AF_INET6) {
        ((struct sockaddr_in6 *)sa)->sin6_port = htons(port);
    } else {
        ((struct sockaddr_in *)sa)->sin_port = htons(port);
    }
}

static uint16_t bound_port(int fd)
{
    struct sockaddr_storage sa;
    socklen_t n = sizeof(sa);

    if (getsockname(fd, (struct sockaddr *)&sa, &n) != 0) {
        return 0;
    }
    return ntohs(sa.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&sa)->sin6_port
                                          : ((struct sockaddr_in *)&sa)->sin_port);
}

static const char *errno_text(int e)
{
    return e == EADDRINUSE ? "address already in use" : uv_strerror(uv_translate_sys_error(e));
}

static pl_status listen_all(struct http_server *s, struct pl_err *err)
{
    struct sockaddr_storage sa = {0};
    socklen_t sa_n = 0;
    int fd;

    PL_TRY(resolve(&s->o, &sa, &sa_n, err));
    /* SO_REUSEPORT would let a second process of this user take half of the connections without a word. A first bind
     * without it fails if anybody listens there. */
    fd = bind_socket(&sa, sa_n, false);
    if (fd < 0 && errno == EAFNOSUPPORT && s->o.address.n == 0) {
        struct sockaddr_in any4 = {.sin_family = AF_INET, .sin_port = htons(s->o.port)};
        memcpy(&sa, &any4, sizeof(any4));
        sa_n = sizeof(any4);
        fd = bind_socket(&sa, sa_n, false);
    }
    if (fd < 0) {
        goto fail;
    }
    (void)close(fd);
    for (uint32_t i = 0; i < s->loop_count; i++) {
        struct http_loop *l = &s->loops[i];
        int rc;
        fd = bind_socket(&sa, sa_n, true);
        if (fd < 0) {
            goto fail;
        }
        s->port = bound_port(fd);
        set_port(&sa, s->port);
        PL_ASSERT(uv_tcp_init(&l->uv, &l->listener) == 0);
        l->listener.data = l;
        rc = uv_tcp_open(&l->listener, fd);
        if (rc == 0) {
            rc = uv_listen((uv_stream_t *)&l->listener, LISTEN_BACKLOG, on_connection);
        }
        if (rc != 0) {
            errno = -rc;
            goto fail;
        }
    }
    return PL_OK;

fail:
    return pl_fail(err, errno == EADDRINUSE ? PL_CONFLICT : PL_IO, "listen tcp %.*s:%u: bind: %s",
                   PL_STR_ARG(s->o.address), (unsigned)s->o.port, errno_text(errno));
}

/* ---- start and stop ---- */

static void loop_init(struct http_loop *l, struct http_server *s)
{
    l->server = s;
    PL_ASSERT(uv_loop_init(&l->uv) == 0);
    PL_ASSERT(uv_async_init(&l->uv, &l->wake, on_wake) == 0);
    PL_ASSERT(uv_timer_init(&l->uv, &l->sweep) == 0);
    l->wake.data = l;
    l->sweep.data = l;
    pl_mutex_init(&l->mail_lock, PL_RANK_QUEUE);
}

static void loop_fini(struct http_loop *l)
{
    while (l->free != NULL) {
        struct http_exchange *x = l->free;
        l->free = x->next;
        pl_arena_fini(&x->arena);
        pl_buf_fini(&x->body);
        pl_buf_fini(&x->resp.body);
        pl_buf_fini(&x->out_head);
        pl_buf_fini(&x->cipher);
        pl_free(x);
    }
    pl_mutex_fini(&l->mail_lock);
}

static void close_any(uv_handle_t *h, void *arg PL_UNUSED)
{
    if (!uv_is_closing(h)) {
        uv_close(h, NULL);
    }
}

static void server_free(struct http_server *s)
{
    for (uint32_t i = 0; i < s->loop_count; i++) {
        loop_fini(&s->loops[i]);
    }
    tls_context_destroy(s->tls);
    pl_free(s->loops);
    pl_free(s);
}

static int64_t timeout_or(int64_t given_ns, int64_t seconds)
{
    return given_ns != 0 ? given_ns : seconds * PL_NS_PER_S;
}

static struct http_server *server_new(const struct http_server_options *o)
{
    struct http_server *s = pl_new(struct http_server);

    s->o = *o;
    s->o.conn_max = o->conn_max > 0 ? o->conn_max : CONN_MAX_DEFAULT;
    s->o.body_budget_bytes = o->body_budget_bytes > 0 ? o->body_budget_bytes : UINT64_C(1) << 30;
    s->timeout_ns[WAIT_IDLE] = timeout_or(o->idle_timeout_ns, 120);
    s->timeout_ns[WAIT_HEAD] = timeout_or(o->head_timeout_ns, 10);
    s->timeout_ns[WAIT_BODY] = timeout_or(o->body_timeout_ns, 30);
    s->timeout_ns[WAIT_WRITE] = timeout_or(o->write_timeout_ns, 30);
    s->timeout_ns[WAIT_LINGER] = HTTP_LINGER_NS;
    s->loop_count = o->loop_count > 0 ? o->loop_count : (uint32_t)PL_MAX(sysconf(_SC_NPROCESSORS_ONLN), 1L);
    s->loops = pl_new_array(struct http_loop, s->loop_count);
    for (uint32_t i = 0; i < s->loop_count; i++) {
        loop_init(&s->loops[i], s);
    }
    return s;
}

pl_status http_server_start(struct http_server **out, const struct http_server_options *o, struct pl_err *err)
{
    struct http_server *s = server_new(o);
    pl_status st = PL_OK;

    PL_ASSERT(o->route != NULL);
    (void)signal(SIGPIPE, SIG_IGN); /* a client that is gone is an error of write, not a signal */
    if (o->tls_cert_path.n > 0) {
        st = tls_context_create(&s->tls,
                                &(struct tls_options){.cert_path = o->tls_cert_path,
                                                      .key_path = o->tls_key_path,
                                                      .client_ca_path = o->tls_client_ca_path,
                                                      .client_auth = o->tls_client_auth,
                                                      .min_version = o->tls_min_version,
                                                      .cipher_suites = o->tls_cipher_suites},
                                err);
    }
    if (st == PL_OK) {
        st = listen_all(s, err);
    }
    if (st != PL_OK) {
        for (uint32_t i = 0; i < s->loop_count; i++) {
            uv_walk(&s->loops[i].uv, close_any, NULL);
            loop_main(&s->loops[i]);
        }
        server_free(s);
        return st;
    }
    for (uint32_t i = 0; i < s->loop_count; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "http-%u", i % 1000);
        pl_thread_start(&s->loops[i].thread, name, loop_main, &s->loops[i]);
    }
    *out = s;
    return PL_OK;
}

uint16_t http_server_port(const struct http_server *s)
{
    return s->port;
}

void http_server_stop(struct http_server *s, int64_t drain_deadline_mono_ns)
{
    if (s == NULL) {
        return;
    }
    for (uint32_t i = 0; i < s->loop_count; i++) {
        struct http_loop *l = &s->loops[i];
        pl_mutex_lock(&l->mail_lock);
        l->drain_deadline_mono_ns = PL_MAX(drain_deadline_mono_ns, 1);
        (void)uv_async_send(&l->wake);
        pl_mutex_unlock(&l->mail_lock);
    }
    for (uint32_t i = 0; i < s->loop_count; i++) {
        pl_thread_join(&s->loops[i].thread);
    }
    while (atomic_load_explicit(&s->posting, memory_order_acquire) != 0) {
        pl_sleep_ns(10000);
    }
    server_free(s);
}

void http_server_stats_get(const struct http_server *s, struct http_server_stats *out)
{
    *out = (struct http_server_stats){
        .connections = atomic_load_explicit(&s->conn_count, memory_order_relaxed),
        .connections_max = s->o.conn_max,
        .inflight_requests = atomic_load_explicit(&s->inflight, memory_order_relaxed),
        .inflight_body_bytes = atomic_load_explicit(&s->body_bytes, memory_order_relaxed),
    };
}
