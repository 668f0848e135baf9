#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/sync.h"
#include "http/client.h"
#include "http/http.h"
#include "io/worker.h"

enum { BODY_MAX = 1 << 20, BIG = 24 << 20 };

/* What the handlers share with a test. */
struct world {
    struct http_server *server;
    struct worker_pool *pool;
    uint16_t port;
    _Atomic bool gate;         /* /wait returns when it is true */
    _Atomic uint32_t running;  /* handlers inside /wait */
    _Atomic uint32_t canceled; /* /cancel saw its client go */
    _Atomic uint32_t refused;
};

static void handle(void *arg, struct http_request *req, struct http_response *resp)
{
    struct world *w = arg;

    resp->content_type = "text/plain";
    if (pl_str_eq(req->path, PL_STR("/wait"))) {
        (void)atomic_fetch_add(&w->running, 1);
        while (!atomic_load(&w->gate)) {
            pl_sleep_ns(PL_NS_PER_MS);
        }
        (void)atomic_fetch_sub(&w->running, 1);
    } else if (pl_str_eq(req->path, PL_STR("/cancel"))) {
        (void)atomic_fetch_add(&w->running, 1);
        for (int i = 0; i < 5000 && !atomic_load(req->canceled); i++) {
            pl_sleep_ns(PL_NS_PER_MS);
        }
        (void)atomic_fetch_add(&w->canceled, atomic_load(req->canceled) ? 1 : 0);
        (void)atomic_fetch_sub(&w->running, 1);
    } else if (pl_str_eq(req->path, PL_STR("/big"))) {
        char *at = pl_buf_reserve(&resp->body, BIG);
        for (size_t i = 0; i < BIG; i++) {
            at[i] = (char)(i * 31 >> 3);
        }
        resp->body.n = BIG;
        return;
    } else if (pl_str_eq(req->path, PL_STR("/split"))) {
        http_header_add(resp, "X-Echo", PL_STR("a\r\nSet-Cookie: b"));
    }
    pl_buf_printf(&resp->body, "%.*s %.*s?%.*s [", PL_STR_ARG(req->method_text), PL_STR_ARG(req->path),
                  PL_STR_ARG(req->query));
    pl_buf_str(&resp->body, req->body);
    PL_BUF_LIT(&resp->body, "]");
}

static void too_large(struct http_request *req PL_UNUSED, struct http_response *resp, uint64_t body_max,
                      uint64_t content_length)
{
    resp->status = 413;
    pl_buf_printf(&resp->body, "too large: %llu over %llu\n", (unsigned long long)content_length,
                  (unsigned long long)body_max);
}

static struct http_route_choice route(void *arg, struct http_request *req)
{
    struct world *w = arg;

    return (struct http_route_choice){.handler = handle,
                                      .handler_arg = w,
                                      .body_max = BODY_MAX,
                                      .pool = pl_str_eq(req->path, PL_STR("/inline")) ? NULL : w->pool,
                                      .ignore_body = pl_str_eq(req->path, PL_STR("/ignore")),
                                      .too_large = too_large};
}

static void refused(void *arg, struct http_request *req PL_UNUSED, const struct http_response *resp PL_UNUSED)
{
    struct world *w = arg;

    (void)atomic_fetch_add(&w->refused, 1);
}

/* Long deadlines, one loop: tests change what they are about. */
static struct http_server_options plain_options(struct world *w)
{
    return (struct http_server_options){.address = PL_STR("127.0.0.1"),
                                        .loop_count = 1,
                                        .head_timeout_ns = 30 * PL_NS_PER_S,
                                        .body_timeout_ns = 30 * PL_NS_PER_S,
                                        .write_timeout_ns = 30 * PL_NS_PER_S,
                                        .idle_timeout_ns = 30 * PL_NS_PER_S,
                                        .route = route,
                                        .refused = refused,
                                        .arg = w};
}

static void world_start(struct world *w, const struct http_server_options *o, uint32_t threads, uint32_t queue_max)
{
    struct pl_err err;

    w->pool = worker_pool_create("test", threads, queue_max);
    if (http_server_start(&w->server, o, &err) != PL_OK) {
        fail_msg("%s", err.msg);
    }
    w->port = http_server_port(w->server);
}

static void world_stop(struct world *w)
{
    atomic_store(&w->gate, true);
    http_server_stop(w->server, pl_now_mono_ns() + 100 * PL_NS_PER_MS);
    worker_pool_destroy(w->pool);
}

#define WORLD(w)                                         \
    struct world w = {0};                                \
    struct http_server_options opts = plain_options(&w); \
    struct pl_buf got = {0}
#define WORLD_END(w) \
    world_stop(&w);  \
    pl_buf_fini(&got)

static void wait_running(struct world *w, uint32_t n)
{
    for (int i = 0; i < 5000 && atomic_load(&w->running) != n; i++) {
        pl_sleep_ns(PL_NS_PER_MS);
    }
    assert_int_equal(atomic_load(&w->running), n);
}

/* ---- requests and answers ---- */

static void answers_carry_length_and_date(void **state PL_UNUSED)
{
    WORLD(w);
    world_start(&w, &opts, 1, 10);
    assert_int_equal(client_once(w.port, PL_STR("GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n"), &got), 200);
    assert_true(client_has(&got, "\r\nContent-Length: 11\r\n"));
    assert_true(client_has(&got, "\r\nDate: "));
    assert_true(client_has(&got, " GMT\r\n"));
    assert_true(client_has(&got, "\r\n\r\nGET /a?b []"));
    assert_false(client_has(&got, "Connection:"));
    WORLD_END(w);
}

static void pipelined_answers_keep_their_order(void **state PL_UNUSED)
{
    struct pl_buf out = {0};
    size_t at = 0;
    int fd;
    WORLD(w);

    world_start(&w, &opts, 4, 100);
    for (int i = 0; i < 500; i++) { /* more than what is read ahead */
        pl_buf_printf(&out, "%s /%s?%d HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s",
                      i % 3 == 0 ? "POST" : "GET", i % 2 == 0 ? "a" : "inline", i, i % 3 == 0 ? 4 : 0,
                      i % 3 == 0 ? "body" : "");
    }
    fd = client_connect(w.port);
    assert_true(client_send(fd, pl_buf_view(&out)));
    assert_true(client_read_answers(fd, &got, 500));
    for (int i = 0; i < 500; i++) {
        char want[32];
        pl_str rest = pl_str_of(got.p + at, got.n - at);
        size_t n = client_answer_size(rest, false);
        (void)snprintf(want, sizeof(want), "?%d [%s]", i, i % 3 == 0 ? "body" : "");
        assert_true(pl_str_ends(pl_str_sub(rest, 0, n), pl_str_c(want)));
        at += n;
    }
    assert_int_equal(at, got.n);
    (void)close(fd);
    pl_buf_fini(&out);
    WORLD_END(w);
}

static void bytes_one_by_one(void **state PL_UNUSED)
{
    pl_str text = PL_STR(
        "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: v\r\n\r\n"
        "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nxyz");
    int fd;
    WORLD(w);

    world_start(&w, &opts, 1, 10);
    fd = client_connect(w.port);
    for (size_t i = 0; i < text.n; i++) {
        assert_true(client_send(fd, pl_str_sub(text, i, i + 1)));
        pl_sleep_ns(200000);
    }
    assert_true(client_read_answers(fd, &got, 2));
    assert_true(client_has(&got, "POST /a? [abcde]"));
    assert_true(client_has(&got, "POST /b? [xyz]"));
    (void)close(fd);
    WORLD_END(w);
}

static void bodies_up_to_the_limit(void **state PL_UNUSED)
{
    struct pl_buf out = {0};
    int fd;
    WORLD(w);

    world_start(&w, &opts, 1, 10);
    for (int chunked = 0; chunked < 2; chunked++) {
        pl_buf_reset(&out);
        pl_buf_reset(&got);
        if (chunked) {
            PL_BUF_LIT(&out, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
            for (int left = BODY_MAX; left > 0; left -= 65536) {
                PL_BUF_LIT(&out, "10000\r\n");
                memset(pl_buf_reserve(&out, 65536), 'x', 65536);
                out.n += 65536;
                PL_BUF_LIT(&out, "\r\n");
            }
            PL_BUF_LIT(&out, "0\r\n\r\n");
        } else {
            pl_buf_printf(&out, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", BODY_MAX);
            memset(pl_buf_reserve(&out, BODY_MAX), 'x', BODY_MAX);
            out.n += BODY_MAX;
        }
        fd = client_connect(w.port);
        assert_true(client_send(fd, pl_buf_view(&out)));
        assert_true(client_read_answers(fd, &got, 1));
        assert_true(client_has(&got, "HTTP/1.1 200 OK"));
        assert_true(got.n > BODY_MAX);
        (void)close(fd);
    }
    pl_buf_fini(&out);
    WORLD_END(w);
}

static void bodies_over_the_limit(void **state PL_UNUSED)
{
    struct pl_buf out = {0};
    int fd;
    WORLD(w);

    world_start(&w, &opts, 1, 10);
    /* Known beforehand: refused without reading, and the connection ends. */
    fd = client_connect(w.port);
    (void)client_send(fd, PL_STR("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 104857600\r\n\r\nabc"));
    assert_true(client_read_to_end(fd, &got));
    assert_true(client_has(&got, "HTTP/1.1 413 "));
    assert_true(client_has(&got, "too large: 104857600 over 1048576"));
    assert_true(client_has(&got, "\r\nConnection: close\r\n"));
    (void)close(fd);
    /* Found while reading. The client goes on sending: the answer must still arrive. */
    pl_buf_reset(&got);
    PL_BUF_LIT(&out, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n400000\r\n");
    memset(pl_buf_reserve(&out, 4 << 20), 'x', 4 << 20);
    out.n += 4 << 20;
    fd = client_connect(w.port);
    (void)client_send(fd, pl_buf_view(&out));
    assert_true(client_read_to_end(fd, &got));
    assert_true(client_has(&got, "HTTP/1.1 413 "));
    assert_true(client_has(&got, "too large: 0 over 1048576"));
    (void)close(fd);
    assert_int_equal(atomic_load(&w.refused), 2);
    assert_int_equal(client_once(w.port, PL_STR("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), &got), 200);
    pl_buf_fini(&out);
    WORLD_END(w);
}

static void expect_continue(void **state PL_UNUSED)
{
    pl_str head = PL_STR("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    int fd;
    WORLD(w);

    world_start(&w, &opts, 1, 10);
    fd = client_connect(w.port);
    assert_true(client_send(fd, head));
    while (!client_has(&got, "\r\n\r\n")) {
        assert_true(client_more(fd, &got));
    }
    assert_true(pl_str_eq(pl_buf_view(&got), PL_STR("HTTP/1.1 100 Continue\r\n\r\n")));
    assert_true(client_send(fd, PL_STR("abc")));
    pl_buf_reset(&got);
    assert_true(client_read_answers(fd, &got, 1));
    assert_true(client_has(&got, "POST /? [abc]"));
    (void)close(fd);

    /* A body that would be refused is not asked for. */
    pl_buf_reset(&got);
    fd = client_connect(w.port);
    assert_true(client_send(
        fd, PL_STR("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\nExpect: 100-continue\r\n\r\n")));
    assert_true(client_read_to_end(fd, &got));
    assert_true(pl_str_starts(pl_buf_view(&got), PL_STR("HTTP/1.1 413 ")));
    (void)close(fd);

    pl_buf_reset(&got);
    fd = client_connect(w.port);
    assert_true(client_send(
        fd, PL_STR("POST /ignore HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")));
    assert_true(client_read_to_end(fd, &got));
    assert_true(pl_str_starts(pl_buf_view(&got), PL_STR("HTTP/1.1 200 ")));
    (void)close(fd);
    WORLD_END(w);
}

static void ignored_bodies(void **state PL_UNUSED)
{
    int fd;
    WORLD(w);

    world_start(&w, &opts, 1, 10);
    fd = client_connect(w.port);
    assert_true(client_send(
        fd,
        PL_STR("POST /ignore HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET /a HTTP/1.1\r\nHost: x\r\n\r\n")));
    assert_true(client_read_answers(fd, &got, 2));
    assert_true(client_has(&got, "POST /ignore? []"));
    assert_true(client_has(&got, "GET /a? []"));
    (void)close(fd);
    pl_buf_reset(&got);
    fd = client_connect(w.port);
    assert_true(client_send(fd, PL_STR("POST /ignore HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\nabc")));
    assert_true(client_read_to_end(fd, &got));
    assert_true(client_has(&got, "HTTP/1.1 200 "));
    assert_true(client_has(&got, "Connection: close"));
    (void)close(fd);
    WORLD_END(w);
}

static void connection_endings(void **state PL_UNUSED)
{
    static const struct {
        const char *request;
        bool closes;
        const char *has;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", true, "Connection: close"},
        {"GET / HTTP/1.0\r\n\r\n", true, "Connection: close"},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", false, "Connection: keep-alive"},
        {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", false, "Content-Length: "},
        {"BAD\r\n\r\n", true, "HTTP/1.1 400 Bad Request"},
        {"GET / HTTP/3.0\r\n\r\n", true, "HTTP/1.1 505 "},
    };
    WORLD(w);

    world_start(&w, &opts, 1, 10);
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        int fd = client_connect(w.port);
        pl_buf_reset(&got);
        assert_true(client_send(fd, pl_str_c(cases[i].request)));
        if (cases[i].closes) {
            assert_true(client_read_to_end(fd, &got));
        } else {
            assert_true(client_read_answers(fd, &got, 1));
            assert_true(client_send(fd, pl_str_c(cases[i].request)));
            assert_true(client_read_answers(fd, &got, 2));
        }
        assert_true(client_has(&got, cases[i].has));
        (void)close(fd);
    }
    WORLD_END(w);
}

static void head_has_no_body(void **state PL_UNUSED)
{
    int fd;
    WORLD(w);

    world_start(&w, &opts, 1, 10);
    fd = client_connect(w.port);
    assert_true(client_send(fd, PL_STR("HEAD /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")));
    assert_true(client_read_to_end(fd, &got));
    assert_true(client_has(&got, "Content-Length: 11\r\n"));
    assert_true(pl_str_ends(pl_buf_view(&got), PL_STR("\r\n\r\n")));
    (void)close(fd);
    WORLD_END(w);
}

static void a_half_closed_client_is_answered(void **state PL_UNUSED)
{
    int fd;
    WORLD(w);

    world_start(&w, &opts, 1, 10);
    fd = client_connect(w.port);
    assert_true(client_send(fd, PL_STR("GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n")));
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    assert_true(client_read_to_end(fd, &got));
    assert_true(client_has(&got, "GET /a? []"));
    assert_true(client_has(&got, "GET /b? []"));
    (void)close(fd);
    WORLD_END(w);
}

static void header_values_cannot_split_an_answer(void **state PL_UNUSED)
{
    WORLD(w);
    world_start(&w, &opts, 1, 10);
    assert_int_equal(client_once(w.port, PL_STR("GET /split HTTP/1.1\r\nHost: x\r\n\r\n"), &got), 200);
    assert_true(client_has(&got, "X-Echo: a  Set-Cookie: b\r\n"));
    WORLD_END(w);
}

static void large_answers_wait_for_a_slow_reader(void **state PL_UNUSED)
{
    size_t body;
    int fd;
    WORLD(w);

    world_start(&w, &opts, 1, 10);
    fd = client_connect(w.port);
    assert_true(client_send(fd, PL_STR("GET /big HTTP/1.1\r\nHost: x\r\n\r\n")));
    pl_sleep_ns(100 * PL_NS_PER_MS); /* the socket buffers fill */
    assert_int_equal(client_once(w.port, PL_STR("GET /a HTTP/1.1\r\nHost: x\r\n\r\n"), &got), 200);
    pl_buf_reset(&got);
    assert_true(client_read_answers(fd, &got, 1));
    body = got.n - BIG;
    for (size_t i = 0; i < BIG; i++) {
        if (got.p[body + i] != (char)(i * 31 >> 3)) {
            fail_msg("byte %zu differs", i);
        }
    }
    (void)close(fd);
    WORLD_END(w);
}

/* ---- smuggling, on the wire ---- */

static void refused_heads_end_the_connection(void **state PL_UNUSED)
{
    static const char *const cases[] = {
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /evil "
        "HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 30\r\n\r\nabcGET /evil HTTP/1.1\r\nHost: "
        "x\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\nGET /evil HTTP/1.1\r\nHost: "
        "x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\nGET /evil HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nX: a\rGET /evil HTTP/1.1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\nGET /evil "
        "HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\nGET /evil "
        "HTTP/1.1\r\nHost: x\r\n\r\n",
    };
    WORLD(w);

    world_start(&w, &opts, 1, 10);
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        int fd = client_connect(w.port);
        pl_buf_reset(&got);
        (void)client_send(fd, pl_str_c(cases[i]));
        assert_true(client_read_to_end(fd, &got));
        assert_true(pl_str_starts(pl_buf_view(&got), PL_STR("HTTP/1.1 400 Bad Request\r\n")));
        assert_false(client_has(&got, "evil"));
        (void)close(fd);
    }
    assert_int_equal(client_once(w.port, PL_STR("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), &got), 200);
    WORLD_END(w);
}

/* ---- overload ---- */

static void full_queue_answers_503(void **state PL_UNUSED)
{
    int fds[2];
    WORLD(w);

    world_start(&w, &opts, 1, 1);
    for (int i = 0; i < 2; i++) { /* one runs, one waits */
        fds[i] = client_connect(w.port);
        assert_true(client_send(fds[i], PL_STR("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")));
        wait_running(&w, 1);
        pl_sleep_ns(50 * PL_NS_PER_MS);
    }
    assert_int_equal(client_once(w.port, PL_STR("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"), &got), 503);
    assert_true(client_has(&got, "server overloaded: the request queue is full\n"));
    assert_false(client_has(&got, "Connection: close"));
    assert_int_equal(atomic_load(&w.refused), 1);
    atomic_store(&w.gate, true);
    for (int i = 0; i < 2; i++) {
        pl_buf_reset(&got);
        assert_true(client_read_answers(fds[i], &got, 1));
        (void)close(fds[i]);
    }
    WORLD_END(w);
}

static void body_budget(void **state PL_UNUSED)
{
    struct http_server_stats st;
    struct pl_buf out = {0};
    int fd, slow;
    WORLD(w);

    opts.body_budget_bytes = 1 << 20;
    world_start(&w, &opts, 1, 10);
    /* A promise costs nothing. */
    slow = client_connect(w.port);
    assert_true(client_send(slow, PL_STR("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\nabc")));
    pl_sleep_ns(50 * PL_NS_PER_MS);
    http_server_stats_get(w.server, &st);
    assert_in_range(st.inflight_body_bytes, 3, 128 << 10);
    /* Bytes do: this one takes what is left. */
    pl_buf_printf(&out, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n");
    memset(pl_buf_reserve(&out, 1 << 20), 'x', 1 << 20);
    out.n += 1 << 20;
    fd = client_connect(w.port);
    (void)client_send(fd, pl_buf_view(&out));
    assert_true(client_read_to_end(fd, &got));
    assert_true(client_has(&got, "HTTP/1.1 503 "));
    assert_true(client_has(&got, "request bodies in flight passed the limit of 1048576 bytes"));
    (void)close(fd);
    (void)close(slow);
    for (int i = 0; i < 1000; i++) {
        http_server_stats_get(w.server, &st);
        if (st.inflight_body_bytes == 0) {
            break;
        }
        pl_sleep_ns(PL_NS_PER_MS);
    }
    assert_int_equal(st.inflight_body_bytes, 0);
    pl_buf_reset(&got);
    assert_int_equal(client_once(w.port, pl_buf_view(&out), &got), 200);
    pl_buf_fini(&out);
    WORLD_END(w);
}

static void connection_limit(void **state PL_UNUSED)
{
    int fds[3];
    WORLD(w);

    opts.conn_max = 3;
    world_start(&w, &opts, 1, 10);
    for (int i = 0; i < 3; i++) {
        fds[i] = client_connect(w.port);
        pl_buf_reset(&got);
        assert_true(client_send(fds[i], PL_STR("GET / HTTP/1.1\r\nHost: x\r\n\r\n")));
        assert_true(client_read_answers(fds[i], &got, 1));
    }
    {
        int fd = client_connect(w.port);
        pl_buf_reset(&got);
        assert_true(client_read_to_end(fd, &got));
        assert_int_equal(got.n, 0);
        (void)close(fd);
    }
    (void)close(fds[0]);
    for (int i = 0; i < 200; i++) { /* the place is free again as soon as the server saw the close */
        if (client_once(w.port, PL_STR("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), &got) == 200) {
            break;
        }
        pl_sleep_ns(5 * PL_NS_PER_MS);
    }
    assert_true(client_has(&got, "HTTP/1.1 200 OK"));
    (void)close(fds[1]);
    (void)close(fds[2]);
    WORLD_END(w);
}

/* ---- deadlines ---- */

static void deadlines(void **state PL_UNUSED)
{
    static const struct {
        const char *name, *sent;
        const char *answer; /* NULL: closed without a word */
    } cases[] = {
        {"idle", "", NULL},
        {"idle after an answer", "GET /a HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK"},
        {"head", "GET / HTTP/1.1\r\nHos", "HTTP/1.1 408 Request Timeout"},
        {"body", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab", "HTTP/1.1 408 Request Timeout"},
        {"chunked body", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
         "HTTP/1.1 408 Request Timeout"},
    };
    WORLD(w);

    opts.head_timeout_ns = opts.body_timeout_ns = opts.idle_timeout_ns = 300 * PL_NS_PER_MS;
    world_start(&w, &opts, 1, 10);
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        int64_t start_ns = pl_now_mono_ns();
        int fd = client_connect(w.port);
        pl_buf_reset(&got);
        assert_true(client_send(fd, pl_str_c(cases[i].sent)));
        assert_true(client_read_to_end(fd, &got));
        assert_in_range(pl_now_mono_ns() - start_ns, 250 * PL_NS_PER_MS, 3 * PL_NS_PER_S);
        if (cases[i].answer == NULL ? got.n != 0 : !client_has(&got, cases[i].answer)) {
            fail_msg("%s: %.*s", cases[i].name, (int)got.n, got.p);
        }
        (void)close(fd);
    }
    WORLD_END(w);
}

/* The deadline is absolute: bytes that keep dripping do not move it. */
static void a_dripping_head_is_cut(void **state PL_UNUSED)
{
    int64_t start_ns;
    int fd;
    WORLD(w);

    opts.head_timeout_ns = 300 * PL_NS_PER_MS;
    world_start(&w, &opts, 1, 10);
    start_ns = pl_now_mono_ns();
    fd = client_connect(w.port);
    assert_true(client_send(fd, PL_STR("GET / HTTP/1.1\r\n")));
    while (!client_readable(fd, 20 * PL_NS_PER_MS) && pl_now_mono_ns() - start_ns < 5 * PL_NS_PER_S) {
        (void)client_send(fd, PL_STR("X: y\r\n"));
    }
    assert_in_range(pl_now_mono_ns() - start_ns, 250 * PL_NS_PER_MS, 3 * PL_NS_PER_S);
    assert_true(client_more(fd, &got));
    assert_true(client_has(&got, "HTTP/1.1 408 "));
    (void)close(fd);
    WORLD_END(w);
}

static void a_reader_that_stops_is_cut(void **state PL_UNUSED)
{
    struct http_server_stats st;
    int fd;
    WORLD(w);

    opts.write_timeout_ns = 300 * PL_NS_PER_MS;
    world_start(&w, &opts, 1, 10);
    fd = client_connect(w.port);
    assert_true(client_send(fd, PL_STR("GET /big HTTP/1.1\r\nHost: x\r\n\r\n")));
    pl_sleep_ns(100 * PL_NS_PER_MS);
    for (int i = 0; i < 3000; i++) {
        http_server_stats_get(w.server, &st);
        if (st.connections == 0) {
            break;
        }
        pl_sleep_ns(PL_NS_PER_MS);
    }
    assert_int_equal(st.connections, 0);
    (void)close(fd);
    WORLD_END(w);
}

/* ---- clients that leave, servers that end ---- */

static void canceled_when_the_client_leaves(void **state PL_UNUSED)
{
    WORLD(w);

    world_start(&w, &opts, 2, 10);
    for (uint32_t i = 0; i < 2; i++) {
        int fd = client_connect(w.port);
        assert_true(client_send(fd, PL_STR("GET /cancel HTTP/1.1\r\nHost: x\r\n\r\n")));
        wait_running(&w, 1);
        if (i == 1) { /* a reset instead of an orderly close */
            struct linger lin = {.l_onoff = 1, .l_linger = 0};
            (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &lin, sizeof(lin));
        }
        (void)close(fd);
        wait_running(&w, 0);
        assert_int_equal(atomic_load(&w.canceled), i + 1);
    }
    WORLD_END(w);
}

struct stopper {
    struct http_server *server;
    int64_t drain_ns;
    int64_t taken_ns;
};

static void stop_thread(void *arg)
{
    struct stopper *s = arg;
    int64_t start_ns = pl_now_mono_ns();

    http_server_stop(s->server, start_ns + s->drain_ns);
    s->taken_ns = pl_now_mono_ns() - start_ns;
}

static void drain_finishes_what_runs(void **state PL_UNUSED)
{
    struct stopper stop;
    struct pl_thread t;
    int busy, idle;
    WORLD(w);

    world_start(&w, &opts, 2, 10);
    busy = client_connect(w.port);
    idle = client_connect(w.port);
    assert_true(client_send(idle, PL_STR("GET /a HTTP/1.1\r\nHost: x\r\n\r\n")));
    assert_true(client_read_answers(idle, &got, 1));
    assert_true(client_send(busy, PL_STR("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")));
    wait_running(&w, 1);
    stop = (struct stopper){.server = w.server, .drain_ns = 20 * PL_NS_PER_S};
    pl_thread_start(&t, "stopper", stop_thread, &stop);
    pl_buf_reset(&got);
    assert_true(client_read_to_end(idle, &got)); /* idle ones are closed at once */
    atomic_store(&w.gate, true);
    pl_buf_reset(&got);
    assert_true(client_read_to_end(busy, &got));
    assert_true(client_has(&got, "HTTP/1.1 200 OK"));
    assert_true(client_has(&got, "Connection: close"));
    (void)close(busy);
    (void)close(idle);
    pl_thread_join(&t);
    assert_in_range(stop.taken_ns, 0, 10 * PL_NS_PER_S);
    w.server = NULL;
    WORLD_END(w);
}

static void drain_ends_at_its_deadline(void **state PL_UNUSED)
{
    struct stopper stop;
    int slow, running;
    WORLD(w);

    world_start(&w, &opts, 2, 10);
    slow = client_connect(w.port);
    assert_true(client_send(slow, PL_STR("GET / HTT")));
    running = client_connect(w.port);
    assert_true(client_send(running, PL_STR("GET /cancel HTTP/1.1\r\nHost: x\r\n\r\n")));
    wait_running(&w, 1);
    stop = (struct stopper){.server = w.server, .drain_ns = 200 * PL_NS_PER_MS};
    stop_thread(&stop);
    assert_in_range(stop.taken_ns, 150 * PL_NS_PER_MS, 3 * PL_NS_PER_S);
    assert_int_equal(atomic_load(&w.canceled), 1);
    (void)close(slow);
    (void)close(running);
    w.server = NULL;
    WORLD_END(w);
}

static void address_in_use(void **state PL_UNUSED)
{
    struct http_server *second = NULL;
    struct pl_err err;
    char want[80];
    WORLD(w);

    opts.loop_count = 3;
    world_start(&w, &opts, 1, 10);
    (void)snprintf(want, sizeof(want), "listen tcp 127.0.0.1:%u: bind: address already in use", (unsigned)w.port);
    opts.port = w.port;
    assert_int_equal(http_server_start(&second, &opts, &err), PL_CONFLICT);
    assert_string_equal(err.msg, want);
    for (int i = 0; i < 20; i++) { /* each loop listens */
        assert_int_equal(client_once(w.port, PL_STR("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), &got), 200);
    }
    WORLD_END(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_carry_length_and_date),
        cmocka_unit_test(pipelined_answers_keep_their_order),
        cmocka_unit_test(bytes_one_by_one),
        cmocka_unit_test(bodies_up_to_the_limit),
        cmocka_unit_test(bodies_over_the_limit),
        cmocka_unit_test(expect_continue),
        cmocka_unit_test(ignored_bodies),
        cmocka_unit_test(connection_endings),
        cmocka_unit_test(head_has_no_body),
        cmocka_unit_test(a_half_closed_client_is_answered),
        cmocka_unit_test(header_values_cannot_split_an_answer),
        cmocka_unit_test(large_answers_wait_for_a_slow_reader),
        cmocka_unit_test(refused_heads_end_the_connection),
        cmocka_unit_test(full_queue_answers_503),
        cmocka_unit_test(body_budget),
        cmocka_unit_test(connection_limit),
        cmocka_unit_test(deadlines),
        cmocka_unit_test(a_dripping_head_is_cut),
        cmocka_unit_test(a_reader_that_stops_is_cut),
        cmocka_unit_test(canceled_when_the_client_leaves),
        cmocka_unit_test(drain_finishes_what_runs),
        cmocka_unit_test(drain_ends_at_its_deadline),
        cmocka_unit_test(address_in_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
