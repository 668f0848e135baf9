#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/buf.h"
#include "http/parse.h"

#define BYTES(lit)              \
    {                           \
        "" lit, sizeof(lit) - 1 \
    }

/* Feeds text in pieces of `step` bytes from memory of exactly that size, so that a sanitizer sees each read past the
 * end. */
static enum http_parse feed(struct http_head *h, pl_str text, size_t step, size_t *used)
{
    enum http_parse r = HTTP_PARSE_MORE;

    http_head_init(h);
    *used = 0;
    for (size_t n = PL_MIN(step, text.n); r == HTTP_PARSE_MORE; n = PL_MIN(n + step, text.n)) {
        char *copy = pl_alloc(n);
        memcpy(copy, text.p, n);
        r = http_head_parse(h, copy, n, used);
        pl_free(copy);
        if (n == text.n) {
            break;
        }
    }
    return r;
}

static const struct {
    const char *name;
    pl_str text;
    int status; /* 0: a good head */
} heads[] = {
    {"plain get", BYTES("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 0},
    {"1.0 without host", BYTES("GET /x HTTP/1.0\r\n\r\n"), 0},
    {"empty host", BYTES("GET / HTTP/1.1\r\nHost:\r\n\r\n"), 0},
    {"one empty line first", BYTES("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), 0},
    {"absolute target", BYTES("GET http://a:80/x?y HTTP/1.1\r\nHost: a\r\n\r\n"), 0},
    {"asterisk", BYTES("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"), 0},
    {"unknown method", BYTES("BREW / HTTP/1.1\r\nHost: a\r\n\r\n"), 0},
    {"braces and quotes in the target", BYTES("GET /q?query={a=\"b\"} HTTP/1.1\r\nHost: a\r\n\r\n"), 0},
    {"raw utf-8 in the target", BYTES("GET /\xc3\xbc HTTP/1.1\r\nHost: a\r\n\r\n"), 0},
    {"blanks around values", BYTES("GET / HTTP/1.1\r\nHost: \t a \t\r\nX:\r\n\r\n"), 0},
    {"length", BYTES("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"), 0},
    {"chunked, any case", BYTES("POST / HTTP/1.1\r\nHost: a\r\nTRANSFER-ENCODING: Chunked\r\n\r\n"), 0},
    {"expect", BYTES("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n"), 0},
    {"ipv6 host", BYTES("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"), 0},

    {"both lengths", BYTES("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
     400},
    {"both lengths, other order",
     BYTES("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"), 400},
    {"differing lengths", BYTES("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"), 400},
    {"equal lengths twice", BYTES("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n"), 400},
    {"listed lengths", BYTES("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n"), 400},
    {"signed length", BYTES("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n"), 400},
    {"negative length", BYTES("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n"), 400},
    {"hex length", BYTES("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n"), 400},
    {"empty length", BYTES("POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n"), 400},
    {"huge length", BYTES("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n"), 400},
    {"coding in 1.0", BYTES("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400},
    {"unknown coding", BYTES("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"), 501},
    {"coding with a twist", BYTES("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n"), 501},
    {"coding twice",
     BYTES("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"), 400},
    {"identity coding", BYTES("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n"), 501},
    {"coding with a vertical tab",
     BYTES("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\x0b"
           "chunked\r\n\r\n"),
     400},
    {"bare CR in a value", BYTES("GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n"), 400},
    {"bare CR in a name", BYTES("GET / HTTP/1.1\r\nHost: a\r\nX\rY: a\r\n\r\n"), 400},
    {"bare LF", BYTES("GET / HTTP/1.1\nHost: a\n\n"), 400},
    {"bare LF before the end", BYTES("GET / HTTP/1.1\r\nHost: a\r\n\n"), 400},
    {"CR CR LF", BYTES("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n"), 400},
    {"folded line", BYTES("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n"), 400},
    {"folded by tab", BYTES("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n\tb\r\n\r\n"), 400},
    {"blank first header", BYTES("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), 400},
    {"space before colon", BYTES("GET / HTTP/1.1\r\nHost : a\r\n\r\n"), 400},
    {"space before colon of a length", BYTES("POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\n"), 400},
    {"header without colon", BYTES("GET / HTTP/1.1\r\nHost: a\r\nfoo\r\n\r\n"), 400},
    {"empty name", BYTES("GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n"), 400},
    {"NUL in a value", BYTES("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n"), 400},
    {"NUL in a name", BYTES("GET / HTTP/1.1\r\nHost: a\r\nX\0: b\r\n\r\n"), 400},
    {"NUL in the target", BYTES("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {"DEL in a value", BYTES("GET / HTTP/1.1\r\nHost: a\r\nX: a\x7f\r\n\r\n"), 400},
    {"missing host", BYTES("GET / HTTP/1.1\r\n\r\n"), 400},
    {"two hosts", BYTES("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"), 400},
    {"listed host", BYTES("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), 400},
    {"host with a path", BYTES("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), 400},
    {"no version", BYTES("GET /\r\nHost: a\r\n\r\n"), 400},
    {"http 2 preface", BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505},
    {"http 1.2", BYTES("GET / HTTP/1.2\r\nHost: a\r\n\r\n"), 505},
    {"lower-case version", BYTES("GET / http/1.1\r\nHost: a\r\n\r\n"), 400},
    {"long version", BYTES("GET / HTTP/1.10\r\nHost: a\r\n\r\n"), 400},
    {"two blanks", BYTES("GET  / HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {"blank in the target", BYTES("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {"tab instead of blank", BYTES("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {"trailing blank", BYTES("GET / HTTP/1.1 \r\nHost: a\r\n\r\n"), 400},
    {"leading blank", BYTES(" GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {"two empty lines first", BYTES("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {"bad method", BYTES("G{T / HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {"long method", BYTES("GGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGG / HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {"authority target", BYTES("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {"relative target", BYTES("GET x HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {"asterisk for get", BYTES("GET * HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {"fragment", BYTES("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {"user info in an absolute target", BYTES("GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {"other scheme", BYTES("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {"unknown expectation", BYTES("GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n"), 417},
    {"TLS hello", BYTES("\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\n\r\n"), 400},
};

static void heads_are_taken_or_refused(void **state PL_UNUSED)
{
    static const size_t steps[] = {1, 2, 3, 7, 4096};
    struct http_head *h = pl_new(struct http_head);

    for (size_t i = 0; i < PL_ARRAY_LEN(heads); i++) {
        for (size_t k = 0; k < PL_ARRAY_LEN(steps); k++) {
            size_t used;
            enum http_parse r = feed(h, heads[i].text, steps[k], &used);
            if (r != (heads[i].status == 0 ? HTTP_PARSE_DONE : HTTP_PARSE_BAD) ||
                (r == HTTP_PARSE_BAD && h->status != heads[i].status) ||
                (r == HTTP_PARSE_DONE && used != heads[i].text.n)) {
                fail_msg("%s, step %zu: result %d, status %d, used %zu", heads[i].name, steps[k], (int)r, h->status,
                         used);
            }
        }
    }
    pl_free(h);
}

static pl_str at(const char *text, struct http_span s)
{
    return pl_str_of(text + s.at, s.n);
}

static void facts_of_a_head(void **state PL_UNUSED)
{
    const char *text =
        "\r\nPOST /a%2Fb?x=1&y HTTP/1.1\r\nHost: h\r\nContent-Length: 1234567890123\r\nX-A:  one two \r\n"
        "Connection: foo, Close\r\n\r\nrest";
    struct http_head h;
    size_t used;

    http_head_init(&h);
    assert_int_equal(http_head_parse(&h, text, strlen(text), &used), HTTP_PARSE_DONE);
    assert_string_equal(text + used, "rest");
    assert_int_equal(h.method_id, HTTP_POST);
    assert_true(pl_str_eq(at(text, h.path), PL_STR("/a%2Fb")));
    assert_true(pl_str_eq(at(text, h.query), PL_STR("x=1&y")));
    assert_int_equal(h.header_count, 4);
    assert_true(pl_str_eq(at(text, h.name[2]), PL_STR("X-A")));
    assert_true(pl_str_eq(at(text, h.value[2]), PL_STR("one two")));
    assert_true(h.length == 1234567890123);
    assert_false(http_head_keep_alive(&h));
}

static void keep_alive_rules(void **state PL_UNUSED)
{
    static const struct {
        const char *text;
        bool keep;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", true},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", false},
        {"GET / HTTP/1.0\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
        {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false},
    };

    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        struct http_head h;
        size_t used;
        http_head_init(&h);
        assert_int_equal(http_head_parse(&h, cases[i].text, strlen(cases[i].text), &used), HTTP_PARSE_DONE);
        assert_int_equal(http_head_keep_alive(&h), cases[i].keep);
    }
}

static void limits_of_a_head(void **state PL_UNUSED)
{
    struct pl_buf b = {0};
    struct http_head h;
    size_t used;

    PL_BUF_LIT(&b, "GET /");
    while (b.n < HTTP_HEAD_BYTES_MAX) {
        pl_buf_byte(&b, 'x');
    }
    http_head_init(&h);
    assert_int_equal(http_head_parse(&h, b.p, b.n - 1, &used), HTTP_PARSE_MORE);
    assert_int_equal(http_head_parse(&h, b.p, b.n, &used), HTTP_PARSE_BAD);
    assert_int_equal(h.status, 414);

    pl_buf_reset(&b);
    PL_BUF_LIT(&b, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
    while (b.n < HTTP_HEAD_BYTES_MAX) {
        pl_buf_byte(&b, 'x');
    }
    http_head_init(&h);
    assert_int_equal(http_head_parse(&h, b.p, b.n, &used), HTTP_PARSE_BAD);
    assert_int_equal(h.status, 431);

    for (int headers = HTTP_HEADERS_MAX; headers <= HTTP_HEADERS_MAX + 1; headers++) {
        pl_buf_reset(&b);
        PL_BUF_LIT(&b, "GET / HTTP/1.1\r\nHost: a\r\n");
        for (int i = 1; i < headers; i++) {
            pl_buf_printf(&b, "X%d: y\r\n", i);
        }
        PL_BUF_LIT(&b, "\r\n");
        http_head_init(&h);
        assert_int_equal(http_head_parse(&h, b.p, b.n, &used),
                         headers == HTTP_HEADERS_MAX ? HTTP_PARSE_DONE : HTTP_PARSE_BAD);
    }
    assert_int_equal(h.status, 431);
    pl_buf_fini(&b);
}

/* ---- chunked ---- */

static enum http_parse feed_chunks(pl_str text, size_t step, struct pl_buf *body, size_t *used)
{
    struct http_chunked c;
    enum http_parse r = HTTP_PARSE_MORE;

    http_chunked_init(&c);
    *used = 0;
    for (size_t i = 0; i < text.n && r == HTTP_PARSE_MORE;) {
        struct http_span data;
        size_t n = 0;
        r = http_chunked_parse(&c, text.p + i, PL_MIN(step, text.n - i), &n, &data);
        pl_buf_add(body, text.p + i + data.at, data.n);
        i += n;
        *used = i;
    }
    return r;
}

static void chunked_bodies(void **state PL_UNUSED)
{
    static const struct {
        const char *name;
        pl_str text;
        const char *body; /* NULL: refused */
        size_t left;      /* bytes after the body */
    } cases[] = {
        {"empty", BYTES("0\r\n\r\n"), "", 0},
        {"two chunks", BYTES("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nGET"), "hello world", 3},
        {"hex in both cases", BYTES("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n"), "01234567890123456789", 0},
        {"leading zeros", BYTES("0005\r\nhello\r\n000\r\n\r\n"), "hello", 0},
        {"extension", BYTES("5;a=b;c=\"d e\"\r\nhello\r\n0;x\r\n\r\n"), "hello", 0},
        {"trailers", BYTES("0\r\nA: b\r\nC:\r\n\r\n"), "", 0},
        {"data may hold CRLF", BYTES("4\r\n\r\n\r\n\r\n0\r\n\r\n"), "\r\n\r\n", 0},
        {"no size", BYTES("\r\nhello"), NULL, 0},
        {"not hex", BYTES("g\r\n"), NULL, 0},
        {"prefix", BYTES("0x5\r\nhello"), NULL, 0},
        {"sign", BYTES("+5\r\nhello"), NULL, 0},
        {"negative", BYTES("-5\r\nhello"), NULL, 0},
        {"blank before the size", BYTES(" 5\r\nhello"), NULL, 0},
        {"blank after the size", BYTES("5 \r\nhello"), NULL, 0},
        {"size overflow", BYTES("ffffffffffffffff\r\nx"), NULL, 0},
        {"size overflow to small", BYTES("10000000000000005\r\nhello"), NULL, 0},
        {"bare LF after the size", BYTES("5\nhello\r\n0\r\n\r\n"), NULL, 0},
        {"bare CR after the size", BYTES("5\rhello"), NULL, 0},
        {"CR in an extension", BYTES("5;a\rb\r\nhello"), NULL, 0},
        {"LF in an extension", BYTES("5;a\nhello\r\n0\r\n\r\n"), NULL, 0},
        {"NUL in an extension", BYTES("5;\0\r\nhello"), NULL, 0},
        {"data longer than its size", BYTES("5\r\nhello!\r\n0\r\n\r\n"), NULL, 0},
        {"data shorter than its size", BYTES("5\r\nhell\r\n0\r\n\r\n"), NULL, 0},
        {"no CRLF after data", BYTES("5\r\nhello0\r\n\r\n"), NULL, 0},
        {"LF after data", BYTES("5\r\nhello\n0\r\n\r\n"), NULL, 0},
        {"trailer without colon", BYTES("0\r\nfoo\r\n\r\n"), NULL, 0},
        {"folded trailer", BYTES("0\r\nA: b\r\n c\r\n\r\n"), NULL, 0},
        {"trailer with a blank name", BYTES("0\r\nA : b\r\n\r\n"), NULL, 0},
        {"bare LF ends trailers", BYTES("0\r\n\n"), NULL, 0},
    };
    static const size_t steps[] = {1, 2, 5, 4096};

    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        for (size_t k = 0; k < PL_ARRAY_LEN(steps); k++) {
            struct pl_buf body = {0};
            size_t used;
            enum http_parse r = feed_chunks(cases[i].text, steps[k], &body, &used);
            bool ok = cases[i].body == NULL ? r == HTTP_PARSE_BAD
                                            : r == HTTP_PARSE_DONE && used == cases[i].text.n - cases[i].left &&
                                                  pl_str_eq(pl_buf_view(&body), pl_str_c(cases[i].body));
            if (!ok) {
                fail_msg("%s, step %zu: result %d, used %zu", cases[i].name, steps[k], (int)r, used);
            }
            pl_buf_fini(&body);
        }
    }
}

static void chunked_limits(void **state PL_UNUSED)
{
    struct pl_buf b = {0}, body = {0};
    size_t used;

    PL_BUF_LIT(&b, "1;");
    for (int i = 0; i < HTTP_CHUNK_LINE_MAX; i++) {
        pl_buf_byte(&b, 'x');
    }
    assert_int_equal(feed_chunks(pl_buf_view(&b), 4096, &body, &used), HTTP_PARSE_BAD);

    pl_buf_reset(&b);
    for (int i = 0; i < HTTP_CHUNK_EXT_MAX; i++) { /* each line short, all of them too much */
        PL_BUF_LIT(&b, "1;xxxxxxxxxx\r\ny\r\n");
    }
    assert_int_equal(feed_chunks(pl_buf_view(&b), 4096, &body, &used), HTTP_PARSE_BAD);

    pl_buf_reset(&b);
    PL_BUF_LIT(&b, "0\r\n");
    for (int i = 0; i < HTTP_TRAILER_BYTES_MAX; i++) {
        PL_BUF_LIT(&b, "A: b\r\n");
    }
    assert_int_equal(feed_chunks(pl_buf_view(&b), 4096, &body, &used), HTTP_PARSE_BAD);
    pl_buf_fini(&b);
    pl_buf_fini(&body);
}

/* ---- parameters ---- */

static void parameters(void **state PL_UNUSED)
{
    struct pl_arena arena;
    struct http_param *p;
    size_t count;
    struct pl_err err;
    const struct http_header form = {PL_STR("content-type"),
                                     PL_STR("application/x-www-form-urlencoded; charset=utf-8")};
    struct http_request req = {.method = HTTP_POST,
                               .query = PL_STR("a=1&b=%41+%2b&&c&=x"),
                               .body = PL_STR("a=2&d=%e2%82%ac"),
                               .headers = &form,
                               .header_count = 1,
                               .arena = &arena};

    pl_arena_init(&arena, 0);
    assert_int_equal(http_params(&req, &p, &count, &err), PL_OK);
    assert_int_equal(count, 6);
    assert_true(pl_str_eq(p[0].value, PL_STR("2"))); /* the body goes first */
    assert_true(pl_str_eq(p[1].value, PL_STR("\xe2\x82\xac")));
    assert_true(pl_str_eq(p[3].value, PL_STR("A +")));
    assert_true(pl_str_eq(p[4].name, PL_STR("c")));
    assert_int_equal(p[4].value.n, 0);

    req.header_count = 0;
    req.query = PL_STR("a=%4");
    assert_int_equal(http_params(&req, &p, &count, &err), PL_INVALID);
    assert_string_equal(err.msg, "invalid URL escape in parameter \"a=%4\"");
    req.query = PL_STR("a=%zz");
    assert_int_equal(http_params(&req, &p, &count, &err), PL_INVALID);
    req.query = PL_STR("");
    assert_int_equal(http_params(&req, &p, &count, &err), PL_OK);
    assert_int_equal(count, 0);
    {
        struct pl_buf b = {0};
        for (int i = 0; i <= HTTP_PARAMS_MAX; i++) {
            PL_BUF_LIT(&b, "a&");
        }
        req.query = pl_buf_view(&b);
        assert_int_equal(http_params(&req, &p, &count, &err), PL_INVALID);
        pl_buf_fini(&b);
    }
    pl_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_are_taken_or_refused),
        cmocka_unit_test(facts_of_a_head),
        cmocka_unit_test(keep_alive_rules),
        cmocka_unit_test(limits_of_a_head),
        cmocka_unit_test(chunked_bodies),
        cmocka_unit_test(chunked_limits),
        cmocka_unit_test(parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
