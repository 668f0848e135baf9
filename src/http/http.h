/* http/http.h - the HTTP/1.1 server: strict parser, keep-alive, pipelining, TLS, deadlines and budgets.
 *
 * Promise: loops (one per core, SO_REUSEPORT) own the sockets and never block; a whole request, bounded by its route's
 * limit and by the global byte budget of bodies in flight, is handed to a named worker pool, whose handler is plain
 * straight-line code. What RFC 9112 calls invalid is refused with 400 and the connection closed (both lengths,
 * differing lengths, bare CR, obs-fold, space before colon, bad chunk sizes ...); heads, bodies and idle connections
 * have absolute deadlines. Ownership: request and response live in the worker's hands during the handler only; text in
 * the request is kept by it. Not here: tenants, routes' names in metrics, status mapping (server/).
 */
#ifndef PL_HTTP_HTTP_H
#define PL_HTTP_HTTP_H

#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"

#include <stdatomic.h>

enum http_method {
    HTTP_GET = 1,
    HTTP_HEAD = 2,
    HTTP_POST = 4,
    HTTP_PUT = 8,
    HTTP_DELETE = 16,
    HTTP_OPTIONS = 32,
    HTTP_OTHER = 64
};
enum {
    HTTP_HEADERS_MAX = 100,
    HTTP_HEAD_BYTES_MAX = 64 << 10,
    HTTP_PARAMS_MAX = 1000,
    HTTP_PATH_VARS_MAX = 4,
    HTTP_RESPONSE_HEADERS_MAX = 16
};

struct http_header {
    pl_str name; /* as received */
    pl_str value;
};
struct http_param {
    pl_str name, value; /* decoded */
};

struct http_request {
    enum http_method method;
    pl_str method_text;
    pl_str path;  /* encoded, without the query */
    pl_str query; /* encoded, without '?' */
    const struct http_header *headers;
    uint32_t header_count;
    pl_str body;                         /* whole, transfer-decoded; content-encoding is the handler's business */
    pl_str path_var[HTTP_PATH_VARS_MAX]; /* {name} parts of the route, percent-decoded, in order */
    struct pl_arena *arena;              /* freed after the answer is handed over */
    int64_t received_mono_ns;            /* the end of its head */
    int64_t ready_mono_ns;               /* the end of its body: since then it waits for its handler */
    pl_str remote;                       /* "127.0.0.1:1234" */
    bool tls;
    /* Becomes true when the client goes away (unless it has pipelined more than is read ahead), or the server's drain
     * ends. */
    const _Atomic bool *canceled;
    /* filled by server/ before the handler: */
    pl_str tenant;
    const char *route; /* the template, for logs and metrics */
};

struct http_response {
    int status;               /* 200 */
    const char *content_type; /* static text; NULL: none */
    struct pl_buf body;
    struct http_header headers[HTTP_RESPONSE_HEADERS_MAX]; /* text static or in the request's arena */
    uint32_t header_count;
    bool close; /* close the connection afterwards */
};

typedef void (*http_handler_fn)(void *arg, struct http_request *req, struct http_response *resp);

/* Value of a header (name compared without case), empty when absent. */
pl_str http_header_get(const struct http_request *req, pl_str name);
/* Bytes of value that would end the line are sent as blanks. More than HTTP_RESPONSE_HEADERS_MAX is a programmer's
 * error. */
void http_header_add(struct http_response *resp, const char *name, pl_str value);
/* Parameters of the URL and, for POST with application/x-www-form-urlencoded, of the body (body first, as Go's Form).
 * Decoded in the arena. PL_INVALID on a bad escape or more than HTTP_PARAMS_MAX. */
PL_MUST_USE pl_status http_params(struct http_request *req, struct http_param **out, size_t *count, struct pl_err *err);

struct worker_job;
struct http_server;
struct http_server_options {
    pl_str address;          /* empty: all */
    uint16_t port;           /* 0: any free */
    uint32_t loop_count;     /* 0: one per core */
    uint32_t conn_max;       /* 0: 16384 */
    int64_t head_timeout_ns; /* first byte to end of head: 10 s */
    int64_t body_timeout_ns; /* end of head to end of body: http_server_read_timeout */
    int64_t write_timeout_ns;
    int64_t idle_timeout_ns;
    uint64_t body_budget_bytes; /* all bodies in flight; past it: 503 that names the limit */
    const char *body_budget_of; /* static text for that answer: where the limit comes from; NULL: nowhere */
    /* TLS: empty cert = plain */
    pl_str tls_cert_path, tls_key_path, tls_client_ca_path, tls_client_auth, tls_min_version, tls_cipher_suites;
    /* Chooses for a head that has been read: the body limit, and the pool. Called on a loop; must not block. */
    struct http_route_choice (*route)(void *arg, struct http_request *req);
    /* An answer to a read head that no handler gave: queue or byte budget full, body too large, too slow or malformed.
     * For counting and logs; called on a loop, must not block. NULL allowed. */
    void (*refused)(void *arg, struct http_request *req, const struct http_response *resp);
    void *arg; /* of route and refused */
};
struct http_route_choice {
    http_handler_fn handler; /* never NULL: unknown paths get a handler that answers 404 */
    void *handler_arg;
    uint64_t body_max;        /* longer: refused before the body is read, by too_large */
    struct worker_pool *pool; /* NULL: the handler runs on the loop and must not block (fixed answers) */
    /* Takes the job in the pool's place and sees to it that it runs once; false: it does not, and resp says why. Called
     * on the loop; must not block. NULL: the pool is asked. */
    bool (*submit)(void *arg, struct worker_job *job, struct http_request *req, struct http_response *resp);
    void *submit_arg;
    bool ignore_body; /* the answer does not depend on the body: it is not kept, a long one is not even read */
    void (*too_large)(struct http_request *req, struct http_response *resp, uint64_t body_max,
                      uint64_t content_length /* 0: unknown */);
};

/* Timeouts of 0 take the defaults (head 10 s, body 30 s, write 30 s, idle 2 min); negative ones are off.
 * body_budget_bytes 0: 1 GiB. Binds and starts the loops. PL_CONFLICT "listen tcp 127.0.0.1:80: bind: address
 * already in use"; PL_IO when it cannot be bound for another reason. */
PL_MUST_USE pl_status http_server_start(struct http_server **out, const struct http_server_options *o,
                                        struct pl_err *err);
uint16_t http_server_port(const struct http_server *s);
/* Stops accepting, lets requests in flight finish until the deadline, closes the rest; then waits for handlers that
 * still run (their `canceled` is true by then). Frees the server. NULL allowed. */
void http_server_stop(struct http_server *s, int64_t drain_deadline_mono_ns);

struct http_server_stats {
    uint64_t connections, connections_max, inflight_requests, inflight_body_bytes;
};
void http_server_stats_get(const struct http_server *s, struct http_server_stats *out);

#endif
