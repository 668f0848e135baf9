#include "http/parse.h"

/* ---- character classes (RFC 9110 5.6.2, RFC 9112 3.2) ---- */

enum { C_TOKEN = 1, C_TARGET = 2, C_VALUE = 4, C_HOST = 8 };

/* Which grammars an ASCII byte may stand in, by rows of 16. A token is RFC 9110's tchar. A target takes every visible
 * byte but
 * '#' (a fragment never travels): clients send {, } and " bare, as Go's server accepts. A value takes tab, blank and
 * visible bytes. A host takes reg-name, IP literal and port. Bytes from 0x80 on: target and value. */
static const uint8_t ascii_class[128] = {
    /* clang-format off */
    0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    4, 15, 6, 5, 15, 15, 15, 15, 14, 14, 15, 15, 14, 15, 15, 6,
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 14, 14, 6, 14, 6, 6,
    6, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 14, 6, 14, 7, 15,
    7, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 6, 7, 6, 15, 0,
    /* clang-format on */
};

static inline uint8_t char_class(uint8_t c)
{
    return c < 128 ? ascii_class[c] : C_TARGET | C_VALUE;
}

static bool all_of(const char *p, size_t n, uint8_t class)
{
    for (size_t i = 0; i < n; i++) {
        if ((char_class((uint8_t)p[i]) & class) == 0) {
            return false;
        }
    }
    return true;
}

static enum http_parse bad(struct http_head *h, int status, const char *reason)
{
    h->status = status;
    h->reason = reason;
    return HTTP_PARSE_BAD;
}

void http_head_init(struct http_head *h)
{
    /* The header table needs no clearing: header_count guards it. */
    memset(h, 0, offsetof(struct http_head, name));
    memset(&h->header_count, 0, sizeof(*h) - offsetof(struct http_head, header_count));
}

/* ---- request line ---- */

static enum http_method method_id(pl_str m)
{
    static const struct {
        pl_str name;
        enum http_method id;
    } known[] = {
        {PL_STR_INIT("GET"), HTTP_GET}, {PL_STR_INIT("POST"), HTTP_POST},     {PL_STR_INIT("HEAD"), HTTP_HEAD},
        {PL_STR_INIT("PUT"), HTTP_PUT}, {PL_STR_INIT("DELETE"), HTTP_DELETE}, {PL_STR_INIT("OPTIONS"), HTTP_OPTIONS},
    };

    for (size_t i = 0; i < PL_ARRAY_LEN(known); i++) {
        if (pl_str_eq(m, known[i].name)) {
            return known[i].id;
        }
    }
    return HTTP_OTHER;
}

static enum http_parse parse_version(struct http_head *h, pl_str v)
{
    if (pl_str_eq(v, PL_STR("HTTP/1.1"))) {
        h->version_minor = 1;
    } else if (pl_str_eq(v, PL_STR("HTTP/1.0"))) {
        h->version_minor = 0;
    } else if (v.n == 8 && memcmp(v.p, "HTTP/", 5) == 0 && v.p[5] >= '0' && v.p[5] <= '9' && v.p[6] == '.' &&
               v.p[7] >= '0' && v.p[7] <= '9') {
        return bad(h, 505, "unsupported protocol version");
    } else {
        return bad(h, 400, "malformed HTTP version");
    }
    return HTTP_PARSE_DONE;
}

/* Splits a target that begins at buf[at] into path and query. */
static enum http_parse parse_target(struct http_head *h, const char *buf, uint32_t at, uint32_t n)
{
    pl_str t = {buf + at, n};
    size_t q;

    if (n == 0 || !all_of(t.p, t.n, C_TARGET)) {
        return bad(h, 400, "invalid request target");
    }
    if (t.p[0] != '/') {
        size_t scheme = pl_str_starts(t, PL_STR("http://")) ? 7 : pl_str_starts(t, PL_STR("https://")) ? 8 : 0;
        size_t end;
        if (pl_str_eq(t, PL_STR("*")) && h->method_id == HTTP_OPTIONS) {
            h->path = (struct http_span){at, n};
            return HTTP_PARSE_DONE;
        }
        for (end = scheme; end < n && t.p[end] != '/' && t.p[end] != '?'; end++) {
        }
        if (scheme == 0 || end == scheme || !all_of(t.p + scheme, end - scheme, C_HOST)) {
            return bad(h, 400, "invalid request target");
        }
        h->absolute = true;
        at += (uint32_t)end;
        n -= (uint32_t)end;
        t = (pl_str){buf + at, n};
    }
    q = pl_str_find(t, '?');
    h->path = (struct http_span){at, (uint32_t)PL_MIN(q, t.n)};
    if (q != SIZE_MAX) {
        h->query = (struct http_span){at + (uint32_t)q + 1, n - (uint32_t)q - 1};
    }
    return HTTP_PARSE_DONE;
}

static enum http_parse parse_request_line(struct http_head *h, const char *buf, uint32_t at, uint32_t n)
{
    pl_str line = {buf + at, n};
    size_t sp1 = pl_str_find(line, ' ');
    size_t sp2;
    enum http_parse r;

    if (sp1 == SIZE_MAX || sp1 == 0 || sp1 > HTTP_METHOD_BYTES_MAX || !all_of(line.p, sp1, C_TOKEN)) {
        return bad(h, 400, "malformed request line");
    }
    h->method = (struct http_span){at, (uint32_t)sp1};
    h->method_id = method_id(pl_str_sub(line, 0, sp1));
    sp2 = pl_str_find(pl_str_sub(line, sp1 + 1, line.n), ' ');
    if (sp2 == SIZE_MAX) {
        return bad(h, 400, "malformed request line"); /* HTTP/0.9 */
    }
    sp2 += sp1 + 1;
    r = parse_version(h, pl_str_sub(line, sp2 + 1, line.n));
    if (r == HTTP_PARSE_DONE) {
        r = parse_target(h, buf, at + (uint32_t)sp1 + 1, (uint32_t)(sp2 - sp1 - 1));
    }
    return r;
}

/* ---- headers ---- */

static enum http_parse header_length(struct http_head *h, pl_str v)
{
    if (h->has_length) {
        return bad(h, 400, "more than one Content-Length");
    }
    if (v.n == 0 || v.n > 19 || v.p[0] < '0' || v.p[0] > '9' || !pl_str_to_u64(v, &h->length)) {
        return bad(h, 400, "invalid Content-Length");
    }
    h->has_length = true;
    return HTTP_PARSE_DONE;
}

static enum http_parse header_coding(struct http_head *h, pl_str v)
{
    if (h->has_coding) {
        return bad(h, 400, "more than one Transfer-Encoding");
    }
    if (h->version_minor == 0) {
        return bad(h, 400, "Transfer-Encoding in an HTTP/1.0 request");
    }
    if (!pl_str_eq_nocase(v, PL_STR("chunked"))) {
        return bad(h, 501, "unsupported transfer encoding");
    }
    h->has_coding = true;
    h->chunked = true;
    return HTTP_PARSE_DONE;
}

static enum http_parse header_host(struct http_head *h, pl_str v)
{
    if (h->has_host) {
        return bad(h, 400, "more than one Host");
    }
    if (!all_of(v.p, v.n, C_HOST)) {
        return bad(h, 400, "invalid Host");
    }
    h->has_host = true;
    return HTTP_PARSE_DONE;
}

static void header_connection(struct http_head *h, pl_str v)
{
    while (v.n > 0) {
        size_t comma = PL_MIN(pl_str_find(v, ','), v.n);
        pl_str item = pl_str_trim(pl_str_sub(v, 0, comma));
        if (pl_str_eq_nocase(item, PL_STR("close"))) {
            h->conn_close = true;
        } else if (pl_str_eq_nocase(item, PL_STR("keep-alive"))) {
            h->conn_keep = true;
        }
        v = pl_str_sub(v, PL_MIN(comma + 1, v.n), v.n);
    }
}

static enum http_parse header_expect(struct http_head *h, pl_str v)
{
    h->has_expect = true;
    if (h->version_minor == 0) {
        return HTTP_PARSE_DONE; /* RFC 9110 10.1.1: ignored */
    }
    if (!pl_str_eq_nocase(v, PL_STR("100-continue"))) {
        return bad(h, 417, "unknown expectation");
    }
    h->expect_continue = true;
    return HTTP_PARSE_DONE;
}

/* Headers that decide how the message is framed or routed. */
static enum http_parse header_meaning(struct http_head *h, pl_str name, pl_str v)
{
    if (pl_str_eq_nocase(name, PL_STR("content-length"))) {
        return header_length(h, v);
    }
    if (pl_str_eq_nocase(name, PL_STR("transfer-encoding"))) {
        return header_coding(h, v);
    }
    if (pl_str_eq_nocase(name, PL_STR("host"))) {
        return header_host(h, v);
    }
    if (pl_str_eq_nocase(name, PL_STR("connection"))) {
        header_connection(h, v);
    } else if (pl_str_eq_nocase(name, PL_STR("expect"))) {
        return header_expect(h, v);
    }
    return HTTP_PARSE_DONE;
}

static enum http_parse parse_header(struct http_head *h, const char *buf, uint32_t at, uint32_t n)
{
    pl_str line = {buf + at, n};
    size_t colon = pl_str_find(line, ':');
    size_t from, to = n;

    if (line.p[0] == ' ' || line.p[0] == '\t') {
        return bad(h, 400, "folded header line");
    }
    if (colon == SIZE_MAX || colon == 0 || !all_of(line.p, colon, C_TOKEN)) {
        return bad(h, 400, "malformed header name");
    }
    if (!all_of(line.p + colon, n - colon, C_VALUE)) {
        return bad(h, 400, "invalid character in header value");
    }
    if (h->header_count == HTTP_HEADERS_MAX) {
        return bad(h, 431, "too many headers");
    }
    for (from = colon + 1; from < to && (line.p[from] == ' ' || line.p[from] == '\t'); from++) {
    }
    for (; to > from && (line.p[to - 1] == ' ' || line.p[to - 1] == '\t'); to--) {
    }
    h->name[h->header_count] = (struct http_span){at, (uint32_t)colon};
    h->value[h->header_count] = (struct http_span){at + (uint32_t)from, (uint32_t)(to - from)};
    h->header_count++;
    return header_meaning(h, pl_str_sub(line, 0, colon), pl_str_sub(line, from, to));
}

static enum http_parse end_of_head(struct http_head *h)
{
    if (h->has_length && h->has_coding) {
        return bad(h, 400, "both Content-Length and Transfer-Encoding");
    }
    if (!h->has_host && h->version_minor == 1) {
        return bad(h, 400, "missing Host");
    }
    return HTTP_PARSE_DONE;
}

enum http_parse http_head_parse(struct http_head *h, const char *buf, size_t n, size_t *used)
{
    size_t end = PL_MIN(n, (size_t)HTTP_HEAD_BYTES_MAX);

    for (;;) {
        const char *lf = h->scan_at < end ? memchr(buf + h->scan_at, '\n', end - h->scan_at) : NULL;
        uint32_t at = h->line_at;
        uint32_t line_n;
        enum http_parse r;
        if (lf == NULL) {
            h->scan_at = (uint32_t)end;
            if (end == HTTP_HEAD_BYTES_MAX) {
                return h->line_done ? bad(h, 431, "request headers too large") : bad(h, 414, "request target too long");
            }
            return HTTP_PARSE_MORE;
        }
        line_n = (uint32_t)(lf - buf) - at;
        if (line_n == 0 || lf[-1] != '\r') {
            return bad(h, 400, "line ends without CR");
        }
        line_n--;
        h->line_at = h->scan_at = at + line_n + 2;
        if (line_n == 0 && h->line_done) {
            *used = h->line_at;
            return end_of_head(h);
        }
        if (line_n == 0) { /* RFC 9112 2.2: one empty line before the request line is tolerated */
            if (at != 0) {
                return bad(h, 400, "empty request line");
            }
            h->start = h->line_at;
            continue;
        }
        r = h->line_done ? parse_header(h, buf, at, line_n) : parse_request_line(h, buf, at, line_n);
        if (r == HTTP_PARSE_BAD) {
            return r;
        }
        h->line_done = true;
    }
}

/* ---- chunked bodies (RFC 9112 7.1) ---- */

enum { CH_SIZE, CH_EXT, CH_SIZE_LF, CH_DATA, CH_DATA_CR, CH_DATA_LF, CH_TRAILER, CH_TRAILER_LF, CH_END_LF };

void http_chunked_init(struct http_chunked *c)
{
    *c = (struct http_chunked){.state = CH_SIZE};
}

static enum http_parse bad_chunk(struct http_chunked *c, const char *reason)
{
    c->reason = reason;
    return HTTP_PARSE_BAD;
}

static int hex_digit(uint8_t b)
{
    if (b >= '0' && b <= '9') {
        return b - '0';
    }
    b |= 0x20;
    return b >= 'a' && b <= 'f' ? b - 'a' + 10 : -1;
}

static enum http_parse chunk_size_byte(struct http_chunked *c, uint8_t b)
{
    int d = hex_digit(b);

    if (c->state == CH_SIZE && d >= 0) {
        /* 15 digits hold 2^60: no overflow, and far beyond any limit. */
        if (++c->digits > 15) {
            return bad_chunk(c, "chunk size too large");
        }
        c->left = c->left << 4 | (uint64_t)d;
    } else if (b == '\r' && c->digits > 0) {
        c->state = CH_SIZE_LF;
    } else if (c->state == CH_SIZE && b == ';' && c->digits > 0) {
        c->state = CH_EXT;
    } else if (c->state == CH_EXT && (char_class(b) & C_VALUE) != 0) {
        if (++c->ext_n > HTTP_CHUNK_EXT_MAX) {
            return bad_chunk(c, "chunk extensions too long");
        }
    } else {
        return bad_chunk(c, c->state == CH_EXT ? "invalid chunk extension" : "invalid chunk size");
    }
    if (++c->line_n > HTTP_CHUNK_LINE_MAX) {
        return bad_chunk(c, "chunk extensions too long");
    }
    return HTTP_PARSE_MORE;
}

/* Trailer fields are checked like headers and dropped. */
static enum http_parse trailer_byte(struct http_chunked *c, uint8_t b)
{
    if (++c->trailer_n > HTTP_TRAILER_BYTES_MAX) {
        return bad_chunk(c, "trailers too long");
    }
    if (b == '\r') {
        if (c->line_n > 0 && !c->name_seen) {
            return bad_chunk(c, "malformed trailer");
        }
        c->state = c->line_n == 0 ? CH_END_LF : CH_TRAILER_LF;
    } else if (!c->name_seen && b == ':' && c->line_n > 0) {
        c->name_seen = true;
    } else if ((char_class(b) & (c->name_seen ? C_VALUE : C_TOKEN)) == 0) {
        return bad_chunk(c, "malformed trailer");
    }
    c->line_n++;
    return HTTP_PARSE_MORE;
}

/* One byte outside of chunk data. */
static enum http_parse chunk_byte(struct http_chunked *c, uint8_t b)
{
    switch (c->state) {
    case CH_SIZE:
    case CH_EXT:
        return chunk_size_byte(c, b);
    case CH_TRAILER:
        return trailer_byte(c, b);
    case CH_DATA_CR:
        if (b != '\r') {
            return bad_chunk(c, "chunk data longer than its size");
        }
        c->state = CH_DATA_LF;
        return HTTP_PARSE_MORE;
    default: /* one of the states that wait for LF */
        if (b != '\n') {
            return bad_chunk(c, "bare CR in chunked body");
        }
        break;
    }
    c->line_n = 0;
    c->name_seen = false;
    if (c->state == CH_END_LF) {
        return HTTP_PARSE_DONE;
    }
    if (c->state == CH_DATA_LF) {
        c->digits = 0;
        c->state = CH_SIZE;
    } else if (c->state == CH_SIZE_LF) {
        c->state = c->left > 0 ? CH_DATA : CH_TRAILER;
    } else {
        c->state = CH_TRAILER;
    }
    return HTTP_PARSE_MORE;
}

enum http_parse http_chunked_parse(struct http_chunked *c, const char *in, size_t n, size_t *used,
                                   struct http_span *data)
{
    size_t i = 0;

    *data = (struct http_span){0, 0};
    while (i < n) {
        enum http_parse r;
        if (c->state == CH_DATA) {
            uint32_t take = (uint32_t)PL_MIN(PL_MIN((uint64_t)(n - i), c->left), (uint64_t)1 << 30);
            *data = (struct http_span){(uint32_t)i, take};
            c->left -= take;
            c->state = c->left == 0 ? CH_DATA_CR : CH_DATA;
            *used = i + take;
            return HTTP_PARSE_MORE;
        }
        r = chunk_byte(c, (uint8_t)in[i]);
        i++;
        if (r != HTTP_PARSE_MORE) {
            *used = i;
            return r;
        }
    }
    *used = i;
    return HTTP_PARSE_MORE;
}

bool http_unescape(char *out, size_t *out_n, pl_str s, bool plus)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '%') {
            int hi = i + 2 < s.n ? hex_digit((uint8_t)s.p[i + 1]) : -1;
            int lo = i + 2 < s.n ? hex_digit((uint8_t)s.p[i + 2]) : -1;
            if (hi < 0 || lo < 0) {
                return false;
            }
            out[n++] = (char)(hi << 4 | lo);
            i += 2;
        } else {
            out[n++] = plus && s.p[i] == '+' ? ' ' : s.p[i];
        }
    }
    *out_n = n;
    return true;
}
