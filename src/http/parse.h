/* http/parse.h - the strict HTTP/1.1 request parser (RFC 9110, RFC 9112): bytes in, facts out.
 *
 * Promise: no I/O, no allocation, no clock; each byte of a head is looked at a bounded number of times however it is
 * cut into reads. Whatever two implementations could read differently is refused: both lengths, repeated or listed
 * lengths, bare CR or LF, NUL, folded lines, blanks before a colon, unknown transfer codings, versions other than 1.0
 * and 1.1. Positions are offsets, since the caller's buffer may move between calls. Threads: confined to one thread at
 * a time.
 */
#ifndef PL_HTTP_PARSE_H
#define PL_HTTP_PARSE_H

#include "base/base.h"
#include "http/http.h"

enum {
    HTTP_METHOD_BYTES_MAX = 32,
    HTTP_CHUNK_LINE_MAX = 256,     /* size, extensions, CRLF */
    HTTP_CHUNK_EXT_MAX = 16 << 10, /* all extension bytes of one body */
    HTTP_TRAILER_BYTES_MAX = 8 << 10,
};

enum http_parse { HTTP_PARSE_MORE, HTTP_PARSE_DONE, HTTP_PARSE_BAD };

struct http_span {
    uint32_t at, n;
};

struct http_head {
    /* progress */
    uint32_t start;   /* first byte of the request line (an empty line before it is skipped) */
    uint32_t line_at; /* first byte of the line that is not complete yet */
    uint32_t scan_at; /* bytes below were searched for LF */
    bool line_done;   /* the request line was read */
    /* the request line */
    struct http_span method, path, query;
    enum http_method method_id;
    uint8_t version_minor; /* 0 or 1 */
    bool absolute;         /* absolute-form target: its authority stands for Host */
    /* headers as received */
    struct http_span name[HTTP_HEADERS_MAX], value[HTTP_HEADERS_MAX];
    uint32_t header_count;
    /* framing */
    bool has_length, has_coding, chunked, has_host, conn_close, conn_keep, expect_continue, has_expect;
    uint64_t length;
    /* set with HTTP_PARSE_BAD: the status to answer, and why */
    int status;
    const char *reason;
};

void http_head_init(struct http_head *h);
/* Looks at buf[0..n), which must begin with the bytes of earlier calls. HTTP_PARSE_DONE: *used bytes are the head. */
enum http_parse http_head_parse(struct http_head *h, const char *buf, size_t n, size_t *used);
/* Whether the connection may be used again after the answer. */
static inline bool http_head_keep_alive(const struct http_head *h)
{
    return !h->conn_close && (h->version_minor >= 1 || h->conn_keep);
}

/* A chunked body, read piece by piece. */
struct http_chunked {
    int state;
    uint64_t left;   /* data bytes left of the chunk */
    uint32_t line_n; /* bytes of the size or trailer line so far */
    uint32_t digits;
    uint32_t ext_n;     /* extension bytes of the whole body */
    uint32_t trailer_n; /* trailer bytes of the whole body */
    bool name_seen;     /* trailer line: the colon was met */
    const char *reason; /* set with HTTP_PARSE_BAD */
};

void http_chunked_init(struct http_chunked *c);
/* Takes bytes from in[0..n): *used of them, of which `*data` is the one stretch that belongs to the body (may be
 * empty). HTTP_PARSE_MORE with *used < n: call again with the rest. HTTP_PARSE_DONE: the body has ended after *used
 * bytes. */
enum http_parse http_chunked_parse(struct http_chunked *c, const char *in, size_t n, size_t *used,
                                   struct http_span *data);

/* %XX and, when plus is set, '+' decoded into out (room for s.n). False on a bad escape. */
bool http_unescape(char *out, size_t *out_n, pl_str s, bool plus);

#endif
