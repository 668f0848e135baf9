/* ctl/http_client.h - the tool's HTTP client: one kept-alive connection, one request at a time. Library: libcurl.
 *
 * Threads: each client is confined to one thread; ctl_http_setup is called once before.
 */
#ifndef PL_CTL_HTTP_CLIENT_H
#define PL_CTL_HTTP_CLIENT_H

#include "base/base.h"
#include "base/buf.h"

struct ctl_http;

struct ctl_http_request {
    const char *url;
    const char *method;         /* NULL: GET, or POST when there is a body */
    const char *const *headers; /* "Name: value", ended by NULL, at most 64, texts that stay; may be NULL */
    pl_str body;                /* borrowed during the call */
    int64_t timeout_ms;         /* 0: 30 s */
    size_t answer_bytes_max;    /* 0: 256 MiB; a longer answer fails */
};

void ctl_http_setup(void);
struct ctl_http *ctl_http_create(void);
void ctl_http_destroy(struct ctl_http *c); /* NULL allowed */
/* PL_BLOCKING. PL_OK: an answer came, whatever its status; its body is added to `body` (NULL: thrown away).
 * PL_UNAVAILABLE or PL_TIMEOUT: none came. Proxies of the environment are not used. */
PL_MUST_USE pl_status ctl_http_do(struct ctl_http *c, const struct ctl_http_request *r, int *status,
                                  struct pl_buf *body, struct pl_err *err);
/* Percent-encodes for a query string or a form. */
void ctl_http_escape(struct pl_buf *out, pl_str s);

#endif
