#include "ctl/http_client.h"

#include <curl/curl.h>

enum { TIMEOUT_MS = 30000, ANSWER_BYTES_MAX = 256 << 20, HEADERS_KEPT_MAX = 64 };

struct ctl_http {
    CURL *curl;
    struct curl_slist *headers;
    const char *from[HEADERS_KEPT_MAX]; /* the texts that `headers` was made of */
    size_t from_count;
    char error[CURL_ERROR_SIZE];
};

/* Where an answer goes. */
struct sink {
    struct pl_buf *body; /* may be NULL */
    size_t n, max;
};

void ctl_http_setup(void)
{
    PL_ASSERT(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
}

static size_t sink_write(char *p, size_t size, size_t count, void *arg)
{
    struct sink *s = arg;
    size_t n = size * count; /* curl hands over at most 16 KiB */

    s->n += n;
    if (s->n > s->max) {
        return 0;
    }
    if (s->body != NULL) {
        pl_buf_add(s->body, p, n);
    }
    return n;
}

struct ctl_http *ctl_http_create(void)
{
    struct ctl_http *c = pl_new(struct ctl_http);

    c->curl = curl_easy_init();
    PL_ASSERT(c->curl != NULL);
    return c;
}

void ctl_http_destroy(struct ctl_http *c)
{
    if (c != NULL) {
        curl_slist_free_all(c->headers);
        curl_easy_cleanup(c->curl);
        pl_free(c);
    }
}

static bool same_headers(const struct ctl_http *c, const char *const *headers)
{
    size_t n = 0;

    while (headers != NULL && headers[n] != NULL) {
        if (n == c->from_count || headers[n] != c->from[n]) {
            return false;
        }
        n++;
    }
    return n == c->from_count && c->headers != NULL;
}

/* A caller that sends many requests passes the same texts each time: curl's list of them is built once. */
static void set_headers(struct ctl_http *c, const char *const *headers)
{
    if (!same_headers(c, headers)) {
        curl_slist_free_all(c->headers);
        c->headers = curl_slist_append(NULL, "Expect:"); /* bodies are sent at once */
        c->from_count = 0;
        for (size_t i = 0; headers != NULL && headers[i] != NULL; i++) {
            PL_ASSERT(i < HEADERS_KEPT_MAX);
            c->headers = curl_slist_append(c->headers, headers[i]);
            c->from[c->from_count++] = headers[i];
        }
    }
    (void)curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, c->headers);
}

static void set_up(struct ctl_http *c, const struct ctl_http_request *r, struct sink *sink)
{
    curl_easy_reset(c->curl); /* keeps the connection */
    set_headers(c, r->headers);
    (void)curl_easy_setopt(c->curl, CURLOPT_URL, r->url);
    (void)curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, c->error);
    (void)curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(c->curl, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(c->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(c->curl, CURLOPT_TIMEOUT_MS, (long)(r->timeout_ms > 0 ? r->timeout_ms : TIMEOUT_MS));
    (void)curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, sink_write);
    (void)curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, sink);
    if (r->body.p != NULL) {
        (void)curl_easy_setopt(c->curl, CURLOPT_POST, 1L);
        (void)curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, r->body.p);
        (void)curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.n);
    }
    if (r->method != NULL) {
        (void)curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, r->method);
    }
}

pl_status ctl_http_do(struct ctl_http *c, const struct ctl_http_request *r, int *status, struct pl_buf *body,
                      struct pl_err *err)
{
    struct sink sink = {body, 0, r->answer_bytes_max > 0 ? r->answer_bytes_max : ANSWER_BYTES_MAX};
    long code = 0;
    CURLcode rc;

    c->error[0] = '\0';
    set_up(c, r, &sink);
    rc = curl_easy_perform(c->curl);
    if (sink.n > sink.max) {
        return pl_fail(err, PL_TOO_LARGE, "%s: the answer is longer than %zu bytes", r->url, sink.max);
    }
    if (rc != CURLE_OK) {
        return pl_fail(err, rc == CURLE_OPERATION_TIMEDOUT ? PL_TIMEOUT : PL_UNAVAILABLE, "%s: %s", r->url,
                       c->error[0] != '\0' ? c->error : curl_easy_strerror(rc));
    }
    (void)curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &code);
    *status = (int)code;
    return PL_OK;
}

void ctl_http_escape(struct pl_buf *out, pl_str s)
{
    static const char hex[] = "0123456789ABCDEF";

    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];
        if ((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-' || c == '.' || c == '_' ||
            c == '~') {
            pl_buf_byte(out, c);
        } else {
            pl_buf_byte(out, '%');
            pl_buf_byte(out, (uint8_t)hex[c >> 4]);
            pl_buf_byte(out, (uint8_t)hex[c & 15]);
        }
    }
}
