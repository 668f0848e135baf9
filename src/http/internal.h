/* http/internal.h - loops, connections and exchanges (one request and its answer).
 *
 * Life of a connection: IDLE -> HEAD -> BODY -> HANDLING -> WRITING -> IDLE again, or LINGER (answer sent, input
 * discarded, so that a reset does not destroy the answer) -> CLOSING. Threads: http_loop and http_conn are confined to
 * their loop. An http_exchange belongs to its loop, but while `at_worker` is true to the worker that runs it, except
 * `canceled` (atomic). It comes back through the loop's mailbox.
 */
#ifndef PL_HTTP_INTERNAL_H
#define PL_HTTP_INTERNAL_H

#include <uv.h>

#include "base/sync.h"
#include "http/http.h"
#include "http/parse.h"
#include "io/tls.h"
#include "io/worker.h"

enum {
    HTTP_SCRATCH_BYTES = 64 << 10,
    HTTP_AHEAD_BYTES = 4 << 10, /* pipelined bytes kept while a request is handled */
    HTTP_TLS_AHEAD_BYTES = 64 << 10,
    HTTP_TLS_SLICE_BYTES = 64 << 10,
    HTTP_LINGER_BYTES_MAX =
        256 << 20, /* a sender of a body a little over its limit reads the answer only after all of it */
    HTTP_IGNORED_BODY_MAX = 256 << 10, /* longer bodies that nobody wants are not read */
    HTTP_FREE_EXCHANGES = 8,           /* kept per loop for reuse */
    HTTP_SWEEP_MS = 100,
};
#define HTTP_LINGER_NS (INT64_C(5) * 1000000000)

enum http_conn_state { CONN_IDLE, CONN_HEAD, CONN_BODY, CONN_HANDLING, CONN_WRITING, CONN_LINGER, CONN_CLOSING };

/* Connections that wait for the same kind of deadline. All of one kind have the same timeout, so a queue in order of
 * arrival is in order of deadlines and a sweep looks at its front only. */
enum http_wait { WAIT_NONE, WAIT_IDLE, WAIT_HEAD, WAIT_BODY, WAIT_WRITE, WAIT_LINGER, WAIT_COUNT };
struct http_conn_list {
    struct http_conn *first, *last;
};

struct http_exchange {
    struct worker_job job;
    struct http_exchange *next; /* mailbox or free list */
    struct http_conn *conn;
    struct http_request req;
    struct http_response resp;
    struct http_route_choice choice;
    struct pl_arena arena;
    struct pl_buf body;
    uint64_t body_charged; /* taken from the server's byte budget */
    uint64_t body_left;    /* Content-Length: bytes still to come */
    uint64_t body_seen;    /* bytes of an ignored body */
    struct http_chunked chunked;
    _Atomic bool canceled;
    bool at_worker;
    bool has_head; /* the head was read: req is filled */
    bool ignore_body;
    bool keep_alive;
    bool unread_input; /* the client may still be sending: linger before closing */
    /* the answer */
    struct pl_buf out_head;
    struct pl_buf cipher; /* TLS: the slice being sent */
    size_t plain_sent;    /* of out_head and body together */
    size_t cipher_sent;
    uv_write_t write;
    struct http_head head; /* last: its header table is not cleared */
};

struct http_conn {
    uv_tcp_t tcp;
    struct http_loop *loop;
    struct http_exchange *x; /* from the first byte of a head until its answer is sent */
    struct tls_conn *tls;    /* NULL: plain */
    struct pl_buf in;        /* plaintext that was read and not used yet; empty when idle */
    enum http_conn_state state;
    enum http_wait wait;
    int64_t deadline_mono_ns;
    struct http_conn *wait_prev, *wait_next;
    struct http_conn *all_prev, *all_next;
    uint64_t linger_bytes;
    bool reading;
    bool peer_eof;
    bool closed; /* the close callback has run */
    char remote[56];
};

struct http_loop {
    uv_loop_t uv;
    uv_async_t wake;
    uv_timer_t sweep;
    uv_tcp_t listener;
    struct http_server *server;
    struct pl_thread thread;
    struct http_conn_list waiting[WAIT_COUNT];
    struct http_conn *all;
    uint32_t conn_count;
    struct http_exchange *free;
    uint32_t free_count;
    bool draining;
    int64_t date_s; /* second that date_text shows */
    char date_text[32];
    struct pl_mutex mail_lock;
    struct http_exchange *mail;     /* answered, newest first; locked by mail_lock */
    int64_t drain_deadline_mono_ns; /* locked by mail_lock; 0: not stopping */
    char scratch[HTTP_SCRATCH_BYTES];
    char plain[HTTP_SCRATCH_BYTES]; /* TLS: decrypted bytes on their way */
};

struct http_server {
    struct http_server_options o; /* const after start; texts are not kept but for `address` in errors */
    struct tls_context *tls;      /* NULL: plain */
    int64_t timeout_ns[WAIT_COUNT];
    uint32_t loop_count;
    uint16_t port;
    struct http_loop *loops;
    _Atomic uint64_t conn_count, inflight, body_bytes;
    _Atomic uint32_t posting;            /* workers inside http__post: they may still touch a loop's lock */
    _Atomic int64_t conn_warned_mono_ns; /* when a refused connection was last logged */
};

/* server.c */
void http__post(struct http_exchange *x);           /* from its worker: x goes back to its loop */
void http__loop_conns_changed(struct http_loop *l); /* from or to no connection at all */
/* conn.c */
void http__conn_accept(struct http_loop *l);
void http__warn_accept(struct http_server *s, const char *why);
void http__conn_mail(struct http_exchange *x);              /* an exchange came back from its worker */
void http__conn_sweep(struct http_loop *l, int64_t now_ns); /* deadlines */
void http__conn_drain(struct http_loop *l);                 /* closes idle connections */
void http__conn_close_all(struct http_loop *l);
void http__conn_close(struct http_conn *c);
void http__conn_wait(struct http_conn *c, enum http_wait wait);
void http__conn_finish(struct http_conn *c); /* the answer is out */
/* input.c */
void http__refuse_unread(struct http_conn *c, int status,
                         const char *text);  /* an answer without a handler, and the end */
void http__conn_resume(struct http_conn *c); /* goes on with what was read; call after each answer */
/* answer.c */
void http__answer(struct http_conn *c);          /* sends x->resp; http__conn_finish when it is out */
bool http__answer_continue(struct http_conn *c); /* 100 Continue; false: the connection is broken */
void http__tls_flush(struct http_conn *c);       /* handshake bytes; closes the connection when they do not fit */
/* exchange.c */
struct http_exchange *http__exchange_get(struct http_loop *l);
void http__exchange_put(struct http_loop *l, struct http_exchange *x);
void http__exchange_fill(struct http_exchange *x, const char *head, size_t head_n);
bool http__body_room(struct http_exchange *x, size_t n); /* false: past the budget */

#endif
