/* http/client.h - a raw client for tests: sends bytes as they are and reads until a bound or a deadline. */
#ifndef TEST_HTTP_CLIENT_H
#define TEST_HTTP_CLIENT_H

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"

#define CLIENT_WAIT_NS (INT64_C(10) * PL_NS_PER_S)

static inline int client_connect(uint16_t port)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    PL_ASSERT(fd >= 0);
    PL_ASSERT(connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
    return fd;
}

/* False when the peer does not take the bytes any more. */
static inline bool client_send(int fd, pl_str bytes)
{
    while (bytes.n > 0) {
        ssize_t n = send(fd, bytes.p, bytes.n, MSG_NOSIGNAL);
        if (n <= 0) {
            return false;
        }
        bytes = pl_str_sub(bytes, (size_t)n, bytes.n);
    }
    return true;
}

static inline bool client_readable(int fd, int64_t wait_ns)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, (int)(wait_ns / PL_NS_PER_MS)) == 1;
}

/* One read into b. False at the end of the stream, on a reset, or when nothing came in time. */
static inline bool client_more(int fd, struct pl_buf *b)
{
    ssize_t n;

    if (!client_readable(fd, CLIENT_WAIT_NS)) {
        return false;
    }
    n = recv(fd, pl_buf_reserve(b, 65536), 65536, 0);
    if (n > 0) {
        b->n += (size_t)n;
    }
    return n > 0;
}

/* All until the server closes; then whether it closed (instead of hanging). */
static inline bool client_read_to_end(int fd, struct pl_buf *b)
{
    int64_t end_ns = pl_now_mono_ns() + CLIENT_WAIT_NS;

    while (client_more(fd, b)) {
    }
    return pl_now_mono_ns() < end_ns;
}

/* The length of the first whole answer in text (by its Content-Length), 0 when incomplete. */
static inline size_t client_answer_size(pl_str text, bool head_only)
{
    size_t end = pl_str_find_str(text, PL_STR("\r\n\r\n"));
    size_t at = pl_str_find_str(text, PL_STR("Content-Length: "));
    size_t n = 0;

    if (end == SIZE_MAX) {
        return 0;
    }
    end += 4;
    if (at < end) {
        for (at += 16; at < text.n && text.p[at] >= '0' && text.p[at] <= '9'; at++) {
            n = n * 10 + (size_t)(text.p[at] - '0');
        }
    }
    if (head_only) {
        n = 0;
    }
    return text.n >= end + n ? end + n : 0;
}

/* Reads until b holds `count` whole answers more. */
static inline bool client_read_answers(int fd, struct pl_buf *b, size_t count)
{
    size_t at = 0;

    while (count > 0) {
        size_t n = client_answer_size(pl_str_sub(pl_buf_view(b), at, b->n), false);
        if (n == 0) {
            if (!client_more(fd, b)) {
                return false;
            }
            continue;
        }
        at += n;
        count--;
    }
    return true;
}

static inline bool client_has(const struct pl_buf *b, const char *text)
{
    return pl_str_find_str(pl_buf_view(b), pl_str_c(text)) != SIZE_MAX;
}

/* Sends, reads one answer, closes. The status, 0 without answer. */
static inline int client_once(uint16_t port, pl_str bytes, struct pl_buf *answer)
{
    int fd = client_connect(port);
    int status = 0;

    pl_buf_reset(answer);
    (void)client_send(fd, bytes);
    (void)client_read_answers(fd, answer, 1);
    (void)close(fd);
    if (answer->n > 12 && memcmp(answer->p, "HTTP/1.1 ", 9) == 0) {
        status = (answer->p[9] - '0') * 100 + (answer->p[10] - '0') * 10 + answer->p[11] - '0';
    }
    return status;
}

#endif
