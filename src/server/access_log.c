/* The line that is logged for each request. Its fields follow spec http-api-and-config.md 1.1. */
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "server/internal.h"

#include <stdio.h>
#include <sys/random.h>

#define SENDER_SILENT_NS (60 * PL_NS_PER_S)
enum { LOG_TEXT_MAX = 256, LOG_HEADERS_TEXT_MAX = 4096, LOG_FIXED_FIELDS = 12 };

static pl_str cut(pl_str s)
{
    return pl_str_sub(s, 0, PL_MIN(s.n, (size_t)LOG_TEXT_MAX));
}

/* ---- whose request it is ---- */

/* An address without its port: "1.2.3.4:5" and "[::1]:5" lose it, what is no address stays. */
static pl_str host_of(pl_str address)
{
    size_t colon = pl_str_find(address, ':');
    size_t end = pl_str_find(address, ']');

    if (address.n > 0 && address.p[0] == '[' && end != SIZE_MAX) {
        return pl_str_sub(address, 1, end);
    }
    if (colon != SIZE_MAX && pl_str_find(pl_str_sub(address, colon + 1, address.n), ':') == SIZE_MAX) {
        return pl_str_sub(address, 0, colon);
    }
    return address; /* no port, or a bare IPv6 address */
}

/* The value after the first "for=" of RFC 7239, up to what may end it. */
static pl_str forwarded_for(pl_str value)
{
    size_t from;
    size_t to;

    for (from = 0; from + 4 <= value.n && !pl_str_eq_nocase(pl_str_sub(value, from, from + 4), PL_STR("for="));
         from++) {
    }
    if (from + 4 > value.n) {
        return PL_STR("");
    }
    from += 4;
    for (to = from; to < value.n && memchr("(;|, )", value.p[to], 6) == NULL; to++) {
    }
    while (from < to && value.p[from] == '"') {
        from++;
    }
    while (to > from && value.p[to - 1] == '"') {
        to--;
    }
    return pl_str_sub(value, from, to);
}

static pl_str claimed_source(const struct server *s, const struct http_request *req, struct pl_buf *text)
{
    pl_str v;

    if (s->source_ips != NULL) {
        v = http_header_get(req, s->o.log_source_ips_header);
        return regex_expand(s->source_ips, v, PL_STR("$1"), text) ? pl_buf_view(text) : PL_STR("");
    }
    v = http_header_get(req, PL_STR("Forwarded"));
    if (v.n > 0) {
        return forwarded_for(v);
    }
    v = http_header_get(req, PL_STR("X-Real-IP"));
    if (v.n == 0) {
        v = http_header_get(req, PL_STR("X-Forwarded-For"));
        v = pl_str_trim(pl_str_sub(v, 0, PL_MIN(pl_str_find(v, ','), v.n)));
    }
    return v;
}

/* "claimed, peer", or the peer's alone. */
static pl_str source_ips(const struct server *s, const struct http_request *req)
{
    pl_str peer = host_of(req->remote);
    struct pl_buf text;
    pl_str claimed;
    pl_str out;

    pl_buf_init(&text, LOG_HEADERS_TEXT_MAX);
    claimed = cut(host_of(claimed_source(s, req, &text)));
    out = claimed.n == 0 || pl_str_eq(claimed, peer)
              ? peer
              : pl_arena_printf(req->arena, "%.*s, %.*s", PL_STR_ARG(claimed), PL_STR_ARG(peer));
    pl_buf_fini(&text);
    return out;
}

/* The client's own id of the request, or a random one (a version 4 UUID). */
static pl_str request_id(const struct server *s, const struct http_request *req)
{
    pl_str id = s->o.request_id_header.n > 0 ? http_header_get(req, s->o.request_id_header) : PL_STR("");
    uint8_t b[16];

    if (id.n > 0) {
        return cut(id);
    }
    if (getrandom(b, sizeof(b), 0) != (ssize_t)sizeof(b)) {
        return PL_STR("");
    }
    b[6] = (uint8_t)(0x40 | (b[6] & 0x0f));
    b[8] = (uint8_t)(0x80 | (b[8] & 0x3f));
    return pl_arena_printf(req->arena, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
                           b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
                           b[15]);
}

/* ---- headers ---- */

static bool in_list(pl_str list, pl_str name)
{
    while (list.n > 0) {
        size_t comma = PL_MIN(pl_str_find(list, ','), list.n);
        if (pl_str_eq_nocase(pl_str_trim(pl_str_sub(list, 0, comma)), name)) {
            return true;
        }
        list = pl_str_sub(list, PL_MIN(comma + 1, list.n), list.n);
    }
    return false;
}

static pl_str all_headers(const struct server *s, const struct http_request *req)
{
    static const pl_str hidden = PL_STR_INIT("Cookie,X-Csrf-Token,Authorization");
    struct pl_buf b;
    pl_str out;

    pl_buf_init(&b, LOG_HEADERS_TEXT_MAX);
    for (uint32_t i = 0; i < req->header_count; i++) {
        pl_str name = req->headers[i].name;
        if (!in_list(hidden, name) && !in_list(s->o.log_exclude_headers, name)) {
            pl_str value = cut(req->headers[i].value);
            pl_buf_printf(&b, "%.*s: %.*s; ", PL_STR_ARG(name), PL_STR_ARG(value));
        }
    }
    out = pl_arena_str(req->arena, pl_buf_view(&b));
    pl_buf_fini(&b);
    return out;
}

/* ---- the line ---- */

/* COMPAT: 502 and 503 are what an overloaded server answers a lot: no warning each. */
static enum pl_log_level level_of(const struct server *s, int status)
{
    if (status >= 500 && status != 502 && status != 503) {
        return PL_LOG_WARN;
    }
    return s->o.log_requests_at_info ? PL_LOG_INFO : PL_LOG_DEBUG;
}

/* Answers to a client that goes on for good with what can never work: wrong path, media type or no tenant. */
static bool is_misconfigured(const struct http_request *req, int status)
{
    return status == 401 || status == 415 || (status == 404 && req->method == HTTP_POST);
}

/* True once a minute for each path, status and client; of clients beyond SENDER_SLOTS the first ones are named. */
static bool is_news(struct sender_notices *x, const struct http_request *req, int status)
{
    const pl_str host = host_of(req->remote);
    const uint64_t hash = pl_hash64(req->path.p, req->path.n) ^ pl_hash64(host.p, host.n) * 3 ^ (uint64_t)status;
    const int64_t now_ns = pl_now_mono_ns();
    const size_t at = hash % SENDER_SLOTS;
    bool news;

    pl_mutex_lock(&x->lock);
    news = x->slot[at].said_ns == 0 || now_ns - x->slot[at].said_ns >= SENDER_SILENT_NS;
    if (news) {
        x->slot[at].said_ns = now_ns;
    }
    pl_mutex_unlock(&x->lock);
    return news;
}

void server__log_request(struct server *s, const struct http_request *req, const struct http_response *resp,
                         int64_t taken_ns)
{
    enum pl_log_level level = level_of(s, resp->status);
    struct pl_log_kv kv[LOG_FIXED_FIELDS + SERVER_LOG_HEADERS_MAX];
    size_t n = 0;

    if (is_misconfigured(req, resp->status) && !pl_log_enabled(level) && is_news(&s->senders, req, resp->status)) {
        level = PL_LOG_WARN;
    }
    if (!pl_log_enabled(level)) {
        return;
    }
    kv[n++] = PL_KV("method", req->method_text);
    kv[n++] = PL_KV("path", cut(req->path));
    kv[n++] = PL_KV_INT("status", resp->status);
    kv[n++] = PL_KV_DUR_NS("duration", taken_ns);
    kv[n++] = PL_KV("user", req->tenant);
    kv[n++] = PL_KV("remote", req->remote);
    kv[n++] =
        PL_KV("err", resp->status >= 400 && resp->body.n > 0 ? cut(pl_str_trim(pl_buf_view(&resp->body))) : PL_STR(""));
    kv[n++] = PL_KV("x-cortex-request-id", request_id(s, req));
    if (s->o.log_source_ips) {
        kv[n++] = PL_KV("sourceIPs", source_ips(s, req));
    }
    if (s->o.log_request_headers) {
        kv[n++] = PL_KV("headers", all_headers(s, req));
    }
    for (size_t i = 0; i < s->log_header_count; i++) {
        pl_str v = http_header_get(req, pl_str_c(s->log_headers[i]));
        if (v.n > 0) {
            kv[n++] = PL_KV(s->log_headers[i], cut(v));
        }
    }
    pl_log_line(level, __FILE__, __LINE__, "request", kv, n);
}

/* ---- options ---- */

static pl_status compile_source_ips(struct server *s, struct pl_err *err)
{
    pl_str header = s->o.log_source_ips_header;
    pl_str text = s->o.log_source_ips_regex;
    struct pl_buf whole;
    pl_status st;

    if ((header.n == 0) != (text.n == 0)) {
        return pl_fail(err, PL_INVALID,
                       "error setting up source IP extraction: either both a header field and a regex "
                       "have to be given or neither");
    }
    if (header.n == 0) {
        return PL_OK;
    }
    /* Its first match anywhere; our expressions match as a whole. Numbers of groups stay. */
    pl_buf_init(&whole, 0);
    pl_buf_printf(&whole, ".*?(?:%.*s).*", PL_STR_ARG(text));
    st = regex_compile(&s->source_ips, pl_buf_view(&whole), err);
    pl_buf_fini(&whole);
    if (st != PL_OK) {
        pl_wrap(err, "error setting up source IP extraction: invalid regex given");
    }
    return st;
}

pl_status server__log_setup(struct server *s, struct pl_err *err)
{
    return s->o.log_source_ips ? compile_source_ips(s, err) : PL_OK;
}
