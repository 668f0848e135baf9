#include "codec/gzip.h"
#include "server/internal.h"

/* Headers and encoding that the server puts around what a handler answered. */

enum { COMPRESS_BYTES_MIN = 1024, COMPRESS_LEVEL = 1 /* level 6 takes 3 times the CPU for a tenth less */ };

void server__cors(const struct server *s, const struct http_request *req, struct http_response *resp)
{
    pl_str origin = http_header_get(req, PL_STR("Origin"));

    http_header_add(resp, "Vary", PL_STR("Origin"));
    if (origin.n == 0) {
        return;
    }
    http_header_add(resp, "Access-Control-Allow-Headers", PL_STR("Accept, Authorization, Content-Type, Origin"));
    http_header_add(resp, "Access-Control-Allow-Methods", PL_STR("GET, POST, OPTIONS"));
    http_header_add(resp, "Access-Control-Expose-Headers", PL_STR("Date"));
    if (s->cors_origin == NULL) {
        http_header_add(resp, "Access-Control-Allow-Origin", PL_STR("*"));
    } else if (regex_match(s->cors_origin, origin)) {
        http_header_add(resp, "Access-Control-Allow-Origin", origin);
    }
}

/* Whether one item of Accept-Encoding ("gzip", "gzip;q=0.5", "*") allows gzip; q=0 forbids it. */
static bool item_allows(pl_str item, bool *named)
{
    size_t semi = PL_MIN(pl_str_find(item, ';'), item.n);
    pl_str coding = pl_str_trim(pl_str_sub(item, 0, semi));
    pl_str param = pl_str_trim(pl_str_sub(item, PL_MIN(semi + 1, item.n), item.n));

    *named = pl_str_eq_nocase(coding, PL_STR("gzip"));
    if (!*named && !pl_str_eq(coding, PL_STR("*"))) {
        return false;
    }
    if (param.n < 3 || (param.p[0] | 0x20) != 'q' || param.p[1] != '=') {
        return true;
    }
    for (size_t i = 2; i < param.n; i++) {
        if (param.p[i] >= '1' && param.p[i] <= '9') {
            return true;
        }
    }
    return false;
}

static bool accepts_gzip(const struct http_request *req)
{
    pl_str list = http_header_get(req, PL_STR("Accept-Encoding"));
    bool ok = false;

    while (list.n > 0) {
        size_t comma = PL_MIN(pl_str_find(list, ','), list.n);
        bool named;
        bool allows = item_allows(pl_str_sub(list, 0, comma), &named);
        if (named) {
            return allows; /* what names gzip decides, wherever "*" stands */
        }
        ok = ok || allows;
        list = pl_str_sub(list, PL_MIN(comma + 1, list.n), list.n);
    }
    return ok;
}

static bool has_header(const struct http_response *resp, pl_str name)
{
    for (uint32_t i = 0; i < resp->header_count; i++) {
        if (pl_str_eq_nocase(resp->headers[i].name, name)) {
            return true;
        }
    }
    return false;
}

void server__compress(const struct http_request *req, struct http_response *resp)
{
    struct pl_buf packed = {0};

    if (has_header(resp, PL_STR("Content-Encoding"))) {
        return;
    }
    http_header_add(resp, "Vary", PL_STR("Accept-Encoding"));
    if (resp->body.n <= COMPRESS_BYTES_MIN || resp->body.overflow || req->method == HTTP_HEAD || !accepts_gzip(req)) {
        return;
    }
    if (gzip_encode(&packed, pl_buf_view(&resp->body), COMPRESS_LEVEL)) {
        pl_buf_fini(&resp->body);
        resp->body = packed;
        http_header_add(resp, "Content-Encoding", PL_STR("gzip"));
    } else {
        pl_buf_fini(&packed);
    }
}
