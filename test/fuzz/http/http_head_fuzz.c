/* The HTTP parser against hostile bytes. Input: one byte that chooses cuts, then the stream of a client.
 *
 * Properties, beyond survival:
 * - however the stream is cut into reads, the same requests with the same bodies come out, or the same refusal;
 * - a head that is taken is what RFC 9112 lets every other parser read in the same way (checked by a naive second look
 * at its lines: no bare CR or LF, no folding, one Host, at most one length, never both framings);
 * - a chunked body equals what a naive decoder of the whole text makes of it.
 */
#include <stdint.h>

#include "base/buf.h"
#include "http/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { REQUESTS_MAX = 64 };

/* What was read from a stream, as text to compare. */
struct trace {
    struct pl_buf text;
    int requests;
};

static void check(bool ok)
{
    PL_ASSERT(ok);
}

/* ---- the naive second look ---- */

static pl_str take_line(pl_str *text)
{
    size_t end = pl_str_find_str(*text, PL_STR("\r\n"));
    pl_str line = pl_str_sub(*text, 0, end);

    check(end != SIZE_MAX);
    *text = pl_str_sub(*text, end + 2, text->n);
    check(pl_str_find(line, '\r') == SIZE_MAX && pl_str_find(line, '\n') == SIZE_MAX &&
          pl_str_find(line, 0) == SIZE_MAX);
    return line;
}

static void check_head(const struct http_head *h, pl_str head)
{
    int hosts = 0, lengths = 0, codings = 0;
    uint32_t headers = 0;
    pl_str line;

    if (pl_str_starts(head, PL_STR("\r\n"))) {
        (void)take_line(&head);
    }
    line = take_line(&head);
    check(pl_str_ends(line, h->version_minor == 1 ? PL_STR(" HTTP/1.1") : PL_STR(" HTTP/1.0")));
    for (;;) {
        size_t colon;
        pl_str name, value;
        line = take_line(&head);
        if (line.n == 0) {
            break;
        }
        headers++;
        colon = pl_str_find(line, ':');
        check(colon != SIZE_MAX && colon > 0);
        name = pl_str_sub(line, 0, colon);
        value = pl_str_trim(pl_str_sub(line, colon + 1, line.n));
        check(pl_str_find(name, ' ') == SIZE_MAX && pl_str_find(name, '\t') == SIZE_MAX);
        hosts += pl_str_eq_nocase(name, PL_STR("host"));
        if (pl_str_eq_nocase(name, PL_STR("content-length"))) {
            uint64_t v;
            lengths++;
            check(pl_str_to_u64(value, &v) && v == h->length);
        }
        if (pl_str_eq_nocase(name, PL_STR("transfer-encoding"))) {
            codings++;
            check(pl_str_eq_nocase(value, PL_STR("chunked")) && h->chunked);
        }
    }
    check(head.n == 0);
    check(headers == h->header_count);
    check(hosts <= 1 && lengths + codings <= 1);
    check(hosts == 1 || h->version_minor == 0);
    check(h->chunked == (codings == 1) && (lengths == 1 || h->length == 0));
}

/* A chunked body of the whole text, by the plainest reading of RFC 9112 7.1. False: not a whole valid body. */
static bool naive_chunks(pl_str in, struct pl_buf *body)
{
    for (;;) {
        uint64_t n = 0;
        size_t end = pl_str_find_str(in, PL_STR("\r\n"));
        pl_str line;
        size_t digits = 0;
        if (end == SIZE_MAX) {
            return false;
        }
        line = pl_str_sub(in, 0, end);
        in = pl_str_sub(in, end + 2, in.n);
        while (digits < line.n && line.p[digits] != ';') {
            char c = line.p[digits++];
            int d = c >= '0' && c <= '9'                     ? c - '0'
                    : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                             : -1;
            if (d < 0 || digits > 15) {
                return false;
            }
            n = n * 16 + (uint64_t)d;
        }
        if (digits == 0) {
            return false;
        }
        if (n == 0) {
            return true;
        }
        if (in.n < n + 2 || memcmp(in.p + n, "\r\n", 2) != 0) {
            return false;
        }
        pl_buf_add(body, in.p, n);
        in = pl_str_sub(in, n + 2, in.n);
    }
}

/* ---- the reader under test, over a stream in cuts ---- */

struct reader {
    pl_str in;    /* the whole stream */
    size_t at;    /* used so far */
    size_t seen;  /* what has "arrived" */
    uint32_t cut; /* chooses the next read's size */
};

static bool arrive(struct reader *r)
{
    size_t n = r->cut == 0 ? r->in.n
                           : 1 + (r->cut = r->cut * 1103515245 + 12345, (r->cut >> 16) % (r->cut % 7 == 0 ? 400 : 9));

    if (r->seen == r->in.n) {
        return false;
    }
    r->seen = PL_MIN(r->in.n, r->seen + n);
    return true;
}

static bool read_chunked(struct reader *r, struct trace *t)
{
    struct http_chunked c;
    size_t start = r->at;
    struct pl_buf body = {0}, naive = {0};
    enum http_parse res = HTTP_PARSE_MORE;

    http_chunked_init(&c);
    while (res == HTTP_PARSE_MORE) {
        struct http_span data;
        size_t used;
        if (r->at == r->seen && !arrive(r)) {
            break;
        }
        res = http_chunked_parse(&c, r->in.p + r->at, r->seen - r->at, &used, &data);
        check(used > 0 && used <= r->seen - r->at && data.at + (size_t)data.n <= used);
        pl_buf_add(&body, r->in.p + r->at + data.at, data.n);
        r->at += used;
    }
    if (res == HTTP_PARSE_DONE) {
        check(naive_chunks(pl_str_sub(r->in, start, r->at), &naive));
        check(pl_str_eq(pl_buf_view(&naive), pl_buf_view(&body)));
    }
    pl_buf_printf(&t->text, "chunked %d %s ", (int)res, res == HTTP_PARSE_BAD ? c.reason : "");
    pl_buf_str(&t->text, pl_buf_view(&body));
    pl_buf_fini(&body);
    pl_buf_fini(&naive);
    return res == HTTP_PARSE_DONE;
}

static bool read_request(struct reader *r, struct trace *t, struct http_head *h)
{
    size_t used = 0;
    enum http_parse res = HTTP_PARSE_MORE;

    http_head_init(h);
    while (res == HTTP_PARSE_MORE) {
        if (r->seen == r->at && !arrive(r)) {
            break;
        }
        res = http_head_parse(h, r->in.p + r->at, r->seen - r->at, &used);
        if (res == HTTP_PARSE_MORE && !arrive(r)) {
            break;
        }
    }
    pl_buf_printf(&t->text, "\nhead %d ", (int)res);
    if (res != HTTP_PARSE_DONE) {
        pl_buf_printf(&t->text, "%d %s", h->status, res == HTTP_PARSE_BAD ? h->reason : "");
        return false;
    }
    check(used <= r->seen - r->at && used <= HTTP_HEAD_BYTES_MAX);
    check_head(h, pl_str_sub(r->in, r->at, r->at + used));
    pl_buf_printf(&t->text, "%d %u %u+%u %u+%u %u %d%d%d", (int)h->method_id, h->version_minor, h->path.at, h->path.n,
                  h->query.at, h->query.n, h->header_count, h->chunked, h->conn_close, h->expect_continue);
    r->at += used;
    if (h->chunked) {
        return read_chunked(r, t);
    }
    while (r->seen - r->at < h->length) {
        if (!arrive(r)) {
            return false;
        }
    }
    pl_buf_str(&t->text, pl_str_sub(r->in, r->at, r->at + h->length));
    r->at += h->length;
    return true;
}

static void read_stream(pl_str in, uint32_t cut, struct trace *t)
{
    struct reader r = {.in = in, .cut = cut};
    static struct http_head h;

    while (t->requests < REQUESTS_MAX && read_request(&r, t, &h)) {
        t->requests++;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct trace whole = {0}, cuts = {0};
    struct pl_arena arena;
    struct http_param *params;
    size_t count;

    if (size == 0) {
        return 0;
    }
    read_stream(pl_str_of((const char *)data + 1, size - 1), 0, &whole);
    read_stream(pl_str_of((const char *)data + 1, size - 1), 1 + (uint32_t)data[0], &cuts);
    check(whole.requests == cuts.requests);
    check(pl_str_eq(pl_buf_view(&whole.text), pl_buf_view(&cuts.text)));
    pl_buf_fini(&whole.text);
    pl_buf_fini(&cuts.text);

    pl_arena_init(&arena, 0);
    if (http_params(
            &(struct http_request){.method = HTTP_GET, .query = pl_str_of((const char *)data, size), .arena = &arena},
            &params, &count, NULL) == PL_OK) {
        for (size_t i = 0; i < count; i++) {
            check(params[i].name.n + params[i].value.n <= size);
        }
    }
    pl_arena_fini(&arena);
    return 0;
}
