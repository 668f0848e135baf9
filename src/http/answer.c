#include "base/clock.h"
#include "base/log.h"
#include "http/internal.h"

static const char *status_text(int status)
{
    static const struct {
        int status;
        const char *text;
    } rows[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {413, "Request Entity Too Large"},
        {414, "Request URI Too Long"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Entity"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {499, "Client Closed Request"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };

    for (size_t i = 0; i < PL_ARRAY_LEN(rows); i++) {
        if (rows[i].status == status) {
            return rows[i].text;
        }
    }
    return "Status";
}

/* ---- the head of an answer ---- */

/* The Date value, made anew once a second. */
static const char *date_text(struct http_loop *l)
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    int64_t now_s = pl_now_unix_ms() / 1000;

    if (now_s != l->date_s) {
        struct pl_date d = pl_date_from_unix(now_s);
        struct pl_buf b = {0};
        pl_buf_printf(&b, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[d.weekday], d.day, months[d.month - 1],
                      (int)d.year, d.hour, d.minute, d.second);
        PL_ASSERT(b.n < sizeof(l->date_text));
        memcpy(l->date_text, b.p, b.n);
        l->date_text[b.n] = '\0';
        l->date_s = now_s;
        pl_buf_fini(&b);
    }
    return l->date_text;
}

/* A value from elsewhere must not end its line: control bytes become blanks. */
static void put_value(struct pl_buf *b, pl_str v)
{
    char *at = pl_buf_reserve(b, v.n);

    for (size_t i = 0; i < v.n; i++) {
        uint8_t c = (uint8_t)v.p[i];
        at[i] = c < 0x20 || c == 0x7f ? ' ' : (char)c;
    }
    b->n += v.n;
}

static void put_head(struct http_conn *c, struct http_exchange *x)
{
    struct http_response *resp = &x->resp;
    struct pl_buf *b = &x->out_head;
    bool bodiless = resp->status == 204 || resp->status == 304;

    pl_buf_reset(b);
    PL_BUF_LIT(b, "HTTP/1.1 ");
    pl_buf_u64(b, (uint64_t)resp->status);
    pl_buf_byte(b, ' ');
    pl_buf_cstr(b, status_text(resp->status));
    if (resp->content_type != NULL) {
        PL_BUF_LIT(b, "\r\nContent-Type: ");
        pl_buf_cstr(b, resp->content_type);
    }
    if (!bodiless) {
        PL_BUF_LIT(b, "\r\nContent-Length: ");
        pl_buf_u64(b, resp->body.n);
    }
    PL_BUF_LIT(b, "\r\nDate: ");
    pl_buf_cstr(b, date_text(c->loop));
    for (uint32_t i = 0; i < resp->header_count; i++) {
        PL_BUF_LIT(b, "\r\n");
        pl_buf_str(b, resp->headers[i].name);
        PL_BUF_LIT(b, ": ");
        put_value(b, resp->headers[i].value);
    }
    if (!x->keep_alive) {
        PL_BUF_LIT(b, "\r\nConnection: close");
    } else if (x->head.version_minor == 0) {
        PL_BUF_LIT(b, "\r\nConnection: keep-alive");
    }
    PL_BUF_LIT(b, "\r\n\r\n");
    if (bodiless || x->req.method == HTTP_HEAD) {
        pl_buf_fini(&resp->body);
    }
}

/* ---- sending ---- */

static void pump(struct http_conn *c);

static void on_written(uv_write_t *w, int status)
{
    struct http_exchange *x = w->data;
    struct http_conn *c = x->conn;

    if (c->state == CONN_CLOSING) {
        return; /* the close callback frees */
    }
    if (status < 0) {
        http__conn_close(c);
        return;
    }
    x->cipher_sent = x->cipher.n;
    if (c->tls == NULL) {
        x->plain_sent = x->out_head.n + x->resp.body.n;
    }
    pump(c);
    http__conn_resume(c);
}

/* Writes bufs now as far as the socket takes them, and queues the rest. True when all is written. */
static bool write_some(struct http_conn *c, uv_buf_t *bufs, unsigned count)
{
    struct http_exchange *x = c->x;
    int rc = uv_try_write((uv_stream_t *)&c->tcp, bufs, count);
    size_t done = rc > 0 ? (size_t)rc : 0;

    if (rc < 0 && rc != UV_EAGAIN) {
        http__conn_close(c);
        return false;
    }
    while (count > 0 && done >= bufs[0].len) {
        done -= bufs[0].len;
        bufs++;
        count--;
    }
    if (count == 0) {
        return true;
    }
    bufs[0].base += done;
    bufs[0].len -= done;
    x->write.data = x;
    rc = uv_write(&x->write, (uv_stream_t *)&c->tcp, bufs, count, on_written);
    if (rc < 0) {
        http__conn_close(c);
    }
    return false;
}

static void pump_plain(struct http_conn *c)
{
    struct http_exchange *x = c->x;
    size_t total = x->out_head.n + x->resp.body.n;
    uv_buf_t bufs[2] = {{.base = x->out_head.p, .len = x->out_head.n}, {.base = x->resp.body.p, .len = x->resp.body.n}};

    PL_ASSERT(x->plain_sent == 0 || x->plain_sent == total);
    if (x->plain_sent == total || write_some(c, bufs, x->resp.body.n > 0 ? 2 : 1)) {
        http__conn_finish(c);
    }
}

/* Encrypts the next slice of head and body into x->cipher. */
static bool encrypt_slice(struct http_conn *c, struct http_exchange *x)
{
    size_t left = HTTP_TLS_SLICE_BYTES;

    pl_buf_reset(&x->cipher);
    x->cipher_sent = 0;
    while (left > 0 && x->plain_sent < x->out_head.n + x->resp.body.n) {
        bool in_head = x->plain_sent < x->out_head.n;
        size_t at = in_head ? x->plain_sent : x->plain_sent - x->out_head.n;
        pl_str part = pl_buf_view(in_head ? &x->out_head : &x->resp.body);
        part = pl_str_sub(part, at, PL_MIN(part.n, at + left));
        if (!tls_conn_write(c->tls, part)) {
            return false;
        }
        x->plain_sent += part.n;
        left -= part.n;
    }
    tls_conn_output(c->tls, &x->cipher);
    return true;
}

static void pump_tls(struct http_conn *c)
{
    struct http_exchange *x = c->x;

    while (x->plain_sent < x->out_head.n + x->resp.body.n) {
        uv_buf_t buf;
        if (!encrypt_slice(c, x)) {
            http__conn_close(c);
            return;
        }
        buf = (uv_buf_t){.base = x->cipher.p, .len = x->cipher.n};
        if (!write_some(c, &buf, 1)) {
            return;
        }
    }
    http__conn_finish(c);
}

static void pump(struct http_conn *c)
{
    if (c->tls != NULL) {
        pump_tls(c);
    } else {
        pump_plain(c);
    }
}

void http__answer(struct http_conn *c)
{
    struct http_exchange *x = c->x;

    if (x->resp.body.overflow) { /* a cut answer must not look whole */
        pl_error("answer passed its size limit", PL_KV("path", x->req.path),
                 PL_KV_INT("limit_bytes", x->resp.body.limit_bytes));
        pl_buf_fini(&x->resp.body);
        x->resp.status = 500;
        x->resp.content_type = "text/plain; charset=utf-8";
        x->resp.header_count = 0;
        x->resp.body.limit_bytes = 0;
        x->resp.body.overflow = false;
        PL_BUF_LIT(&x->resp.body, "answer too large\n");
    }
    if (x->resp.close || x->unread_input || c->loop->draining) {
        x->keep_alive = false;
    }
    put_head(c, x);
    c->state = CONN_WRITING;
    http__conn_wait(c, WAIT_WRITE);
    pump(c);
}

/* ---- bytes outside of an answer: few, into an empty socket buffer ---- */

static bool send_small(struct http_conn *c, pl_str bytes)
{
    uv_buf_t buf = {.base = (char *)(uintptr_t)bytes.p, .len = bytes.n};

    return bytes.n == 0 || uv_try_write((uv_stream_t *)&c->tcp, &buf, 1) == (int)bytes.n;
}

void http__tls_flush(struct http_conn *c)
{
    struct pl_buf out = {0};

    tls_conn_output(c->tls, &out);
    if (!send_small(c, pl_buf_view(&out))) {
        http__conn_close(c);
    }
    pl_buf_fini(&out);
}

bool http__answer_continue(struct http_conn *c)
{
    pl_str text = PL_STR("HTTP/1.1 100 Continue\r\n\r\n");

    if (c->tls != NULL) {
        if (!tls_conn_write(c->tls, text)) {
            http__conn_close(c);
            return false;
        }
        http__tls_flush(c);
    } else if (!send_small(c, text)) {
        http__conn_close(c);
    }
    return c->state != CONN_CLOSING;
}
