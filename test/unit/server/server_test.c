#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/log.h"
#include "codec/gzip.h"
#include "http/client.h"
#include "metric/metric.h"
#include "server/admin.h"
#include "server/server.h"

/* ---- a server with a few routes ---- */

static void handle_echo(void *arg PL_UNUSED, struct http_request *req, struct http_response *resp)
{
    resp->content_type = "text/plain";
    pl_buf_printf(&resp->body, "%.*s|%s|%.*s|%.*s|%.*s", PL_STR_ARG(req->tenant), req->route,
                  PL_STR_ARG(req->path_var[0]), PL_STR_ARG(req->path_var[1]), PL_STR_ARG(req->body));
}

static void handle_long(void *arg PL_UNUSED, struct http_request *req PL_UNUSED, struct http_response *resp)
{
    resp->content_type = "application/json";
    for (int i = 0; i < 1000; i++) {
        pl_buf_printf(&resp->body, "[%d,\"value\"],", i);
    }
}

static void handle_fail(void *arg, struct http_request *req PL_UNUSED, struct http_response *resp)
{
    struct pl_err err;

    (void)pl_fail(&err, arg != NULL ? PL_UNAVAILABLE : PL_INVALID, "no \"luck\"");
    if (arg != NULL) {
        server_text_fail(resp, &err);
    } else {
        server_json_fail(resp, &err);
    }
}

static void too_large(struct http_request *req PL_UNUSED, struct http_response *resp, uint64_t body_max, uint64_t n)
{
    struct pl_err err;

    (void)pl_fail(&err, PL_INVALID, "received message larger than max (%llu vs %llu)", (unsigned long long)n,
                  (unsigned long long)body_max);
    server_text_fail(resp, &err);
}

static bool is_ready(void *arg, struct pl_buf *why)
{
    PL_BUF_LIT(why, "Some services are not Running:\nStarting: 1");
    return *(bool *)arg;
}

static size_t list_services(void *arg PL_UNUSED, struct server_service *out)
{
    out[0] = (struct server_service){"ingester", "Running"};
    out[1] = (struct server_service){"a<b>", "New"};
    return 2;
}

static void show_config(void *arg PL_UNUSED, pl_str mode, struct pl_buf *out)
{
    pl_buf_printf(out, "mode: %.*s\n", PL_STR_ARG(mode));
}

static bool show_runtime(void *arg PL_UNUSED, pl_str mode PL_UNUSED, struct pl_buf *out PL_UNUSED)
{
    return false;
}

static bool ready_flag = true;
static const struct server_admin_link links[] = {{"Flush", "/ingester/flush", true}};
static const struct server_admin admin = {.arg = &ready_flag,
                                          .ready = is_ready,
                                          .services = list_services,
                                          .config = show_config,
                                          .runtime_config = show_runtime,
                                          .metrics = true,
                                          .links = links,
                                          .link_count = 1};

static struct server *start(struct server_options o)
{
    struct server *s;
    struct pl_err err;

    o.http.address = PL_STR("127.0.0.1");
    o.http.loop_count = 1;
    s = server_create(&o);
    server_route_add(s, &(struct server_route){.methods = HTTP_POST,
                                               .path = "/api/v1/push",
                                               .handler = handle_echo,
                                               .auth = SERVER_AUTH_TENANT,
                                               .pool = SERVER_POOL_PUSH,
                                               .body_max = 100,
                                               .too_large = too_large});
    server_route_add(s, &(struct server_route){.methods = HTTP_GET,
                                               .path = "/prometheus/api/v1/label/{name}/values",
                                               .handler = handle_echo,
                                               .auth = SERVER_AUTH_TENANT,
                                               .pool = SERVER_POOL_ADMIN,
                                               .cors = true});
    server_route_add(s, &(struct server_route){.methods = HTTP_GET | HTTP_DELETE,
                                               .path = "/rules/{namespace}/{group}",
                                               .handler = handle_echo,
                                               .pool = SERVER_POOL_ADMIN});
    server_route_add(
        s, &(struct server_route){.methods = HTTP_GET, .path = "/long", .handler = handle_long, .gzip = true});
    server_route_add(s, &(struct server_route){.methods = HTTP_GET, .path = "/json_fail", .handler = handle_fail});
    server_route_add(s, &(struct server_route){
                            .methods = HTTP_GET, .path = "/text_fail", .handler = handle_fail, .arg = &ready_flag});
    server_admin_routes(s, &admin);
    assert_int_equal(server_start(s, &err), PL_OK);
    return s;
}

/* Sends one request, with headers given as whole lines. */
static int ask(struct server *s, const char *method_path, const char *headers, const char *body, struct pl_buf *got)
{
    struct pl_buf b = {0};
    int status;

    pl_buf_printf(&b, "%s HTTP/1.1\r\nHost: x\r\n%s", method_path, headers);
    if (body != NULL) {
        pl_buf_printf(&b, "Content-Length: %zu\r\n", strlen(body));
    }
    pl_buf_printf(&b, "\r\n%s", body != NULL ? body : "");
    status = client_once(server_port(s), pl_buf_view(&b), got);
    pl_buf_fini(&b);
    return status;
}

static pl_str body_of(const struct pl_buf *got)
{
    size_t at = pl_str_find_str(pl_buf_view(got), PL_STR("\r\n\r\n"));

    return at == SIZE_MAX ? PL_STR("") : pl_str_of(got->p + at + 4, got->n - at - 4);
}

#define assert_body(got, text) assert_true(pl_str_eq(body_of(&(got)), PL_STR(text)))

/* ---- tests ---- */

static void routes_and_tenants(void **state PL_UNUSED)
{
    static const struct {
        const char *request, *headers, *body;
        int status;
        const char *want; /* body */
        const char *header;
    } cases[] = {
        {"POST /api/v1/push", "X-Scope-OrgID: team\r\n", "abc", 200, "team|/api/v1/push|||abc", NULL},
        {"POST /api/v1/push", "", "abc", 401, "no org id\n", "X-Content-Type-Options: nosniff"},
        {"POST /api/v1/push", "X-Scope-OrgID:\r\n", "abc", 401, "no org id\n", NULL},
        {"GET /api/v1/push", "", NULL, 405, "", "Allow: POST\r\n"},
        {"BREW /long", "", NULL, 405, "", "Allow: GET, HEAD\r\n"},
        {"GET /nothing", "", NULL, 404, "404 page not found\n", "Content-Type: text/plain; charset=utf-8"},
        {"POST /nothing", "", "abc", 404, "404 page not found (remote write goes to /api/v1/push)\n", NULL},
        {"GET /long/", "", NULL, 404, "404 page not found\n", NULL},
        {"GET /rules/a/b", "", NULL, 200, "|/rules/{namespace}/{group}|a|b|", NULL},
        {"DELETE /rules/a%2Fb/c%20d+e", "", NULL, 200, "|/rules/{namespace}/{group}|a/b|c d+e|", NULL},
        {"PUT /rules/a/b", "", NULL, 405, "", "Allow: GET, HEAD, DELETE\r\n"},
        {"GET /rules/a/b%2", "", NULL, 400,
         "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"invalid URL escape in path\"}",
         "application/json"},
        {"GET /rules/a", "", NULL, 404, "404 page not found\n", NULL},
        {"GET /rules/a/b/c", "", NULL, 404, "404 page not found\n", NULL},
        {"GET /rules//b", "", NULL, 404, "404 page not found\n", NULL},
        {"GET /json_fail", "", NULL, 400,
         "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"no \\\"luck\\\"\"}",
         "Content-Type: application/json\r\n"},
        {"GET /text_fail", "", NULL, 503, "no \"luck\"\n", "Content-Type: text/plain; charset=utf-8"},
    };
    struct server *s = start((struct server_options){.auth_enabled = true});
    struct pl_buf got = {0};

    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        int status = ask(s, cases[i].request, cases[i].headers, cases[i].body, &got);
        if (status != cases[i].status || !pl_str_eq(body_of(&got), pl_str_c(cases[i].want)) ||
            (cases[i].header != NULL && !client_has(&got, cases[i].header))) {
            fail_msg("%s: %.*s", cases[i].request, (int)got.n, got.p);
        }
    }
    server_destroy(s);
    pl_buf_fini(&got);
}

static void auth_off_and_prefix(void **state PL_UNUSED)
{
    struct server *s = start((struct server_options){.path_prefix = PL_STR("/cortex/")});
    struct pl_buf got = {0};

    assert_int_equal(ask(s, "POST /cortex/api/v1/push", "X-Scope-OrgID: team\r\n", "abc", &got), 200);
    assert_body(got, "fake|/cortex/api/v1/push|||abc");
    assert_int_equal(ask(s, "POST /api/v1/push", "", "abc", &got), 404);
    assert_int_equal(ask(s, "GET /cortex/admin", "", NULL, &got), 200);
    assert_true(client_has(&got, "<a href=\"/cortex/config?mode=diff\">"));
    assert_true(client_has(&got, "Dangerous:"));
    assert_true(client_has(&got, "<a href=\"/cortex/ingester/flush\">Flush</a>"));
    server_destroy(s);
    pl_buf_fini(&got);
}

static void body_limits_by_route(void **state PL_UNUSED)
{
    char big[200];
    struct server *s = start((struct server_options){0});
    struct pl_buf got = {0};

    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = 0;
    assert_int_equal(ask(s, "POST /api/v1/push", "", big, &got), 400);
    assert_body(got, "received message larger than max (199 vs 100)\n");
    assert_int_equal(ask(s, "GET /long", "Content-Length: 2000000\r\n", NULL, &got), 413);
    assert_body(got, "request body too large: 2000000 bytes, the limit is 1048576\n");
    server_destroy(s);
    pl_buf_fini(&got);
}

static void compressed_answers(void **state PL_UNUSED)
{
    static const struct {
        const char *accept;
        bool gzip;
    } cases[] = {
        {"", false},
        {"Accept-Encoding: gzip\r\n", true},
        {"Accept-Encoding: deflate, GZIP;q=0.5\r\n", true},
        {"Accept-Encoding: *\r\n", true},
        {"Accept-Encoding: *, gzip;q=0\r\n", false},
        {"Accept-Encoding: gzip;q=0.000\r\n", false},
        {"Accept-Encoding: br, xgzip\r\n", false},
    };
    struct server *s = start((struct server_options){0});
    struct pl_buf got = {0}, plain = {0}, unpacked = {0};

    assert_int_equal(ask(s, "GET /long", "", NULL, &plain), 200);
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        assert_int_equal(ask(s, "GET /long", cases[i].accept, NULL, &got), 200);
        assert_true(client_has(&got, "Vary: Accept-Encoding\r\n"));
        assert_int_equal(client_has(&got, "Content-Encoding: gzip\r\n"), cases[i].gzip);
        pl_buf_reset(&unpacked);
        if (cases[i].gzip) {
            assert_true(body_of(&got).n < body_of(&plain).n / 2);
            assert_int_equal(gzip_decode(&unpacked, body_of(&got), 1 << 20, NULL), PL_OK);
        } else {
            pl_buf_str(&unpacked, body_of(&got));
        }
        assert_true(pl_str_eq(pl_buf_view(&unpacked), body_of(&plain)));
    }
    server_destroy(s);
    pl_buf_fini(&got);
    pl_buf_fini(&plain);
    pl_buf_fini(&unpacked);
}

static void cors_headers(void **state PL_UNUSED)
{
    static const struct {
        const char *regex, *origin;
        const char *allowed; /* NULL: no Allow-Origin */
    } cases[] = {
        {".*", "http://a", "Access-Control-Allow-Origin: *\r\n"},
        {"", "http://a", "Access-Control-Allow-Origin: *\r\n"},
        {"https?://(a|b)", "http://b", "Access-Control-Allow-Origin: http://b\r\n"},
        {"https?://(a|b)", "http://bc", NULL},
    };
    struct pl_buf got = {0};
    struct pl_err err;
    struct server *s;

    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        struct pl_buf header = {0};
        s = start((struct server_options){.cors_origin = pl_str_c(cases[i].regex)});
        assert_int_equal(ask(s, "GET /prometheus/api/v1/label/a/values", "", NULL, &got), 200);
        assert_true(client_has(&got, "Vary: Origin\r\n"));
        assert_false(client_has(&got, "Access-Control"));
        pl_buf_printf(&header, "Origin: %s\r\n", cases[i].origin);
        pl_buf_byte(&header, 0);
        assert_int_equal(ask(s, "GET /prometheus/api/v1/label/a/values", header.p, NULL, &got), 200);
        assert_true(client_has(&got, "Access-Control-Allow-Methods: GET, POST, OPTIONS\r\n"));
        assert_int_equal(client_has(&got, "Access-Control-Allow-Origin"), cases[i].allowed != NULL);
        assert_true(cases[i].allowed == NULL || client_has(&got, cases[i].allowed));
        server_destroy(s);
        pl_buf_fini(&header);
    }
    s = server_create(&(struct server_options){.cors_origin = PL_STR("(")});
    assert_int_equal(server_start(s, &err), PL_INVALID);
    server_destroy(s);
    pl_buf_fini(&got);
}

static void admin_pages(void **state PL_UNUSED)
{
    struct server *s = start((struct server_options){0});
    struct pl_buf got = {0};

    ready_flag = true;
    assert_int_equal(ask(s, "GET /ready", "", NULL, &got), 200);
    assert_body(got, "ready");
    ready_flag = false;
    assert_int_equal(ask(s, "GET /ready", "", NULL, &got), 503);
    assert_body(got, "Some services are not Running:\nStarting: 1\n");
    assert_int_equal(ask(s, "GET /services", "", NULL, &got), 200);
    assert_true(client_has(&got, "<td>a&lt;b&gt;</td><td>New</td>"));
    assert_int_equal(ask(s, "GET /services", "Accept: application/json\r\n", NULL, &got), 200);
    assert_true(client_has(&got, "\"services\":[{\"name\":\"ingester\",\"status\":\"Running\"},{\"name\":"));
    assert_int_equal(ask(s, "GET /config?mode=d%69ff", "", NULL, &got), 200);
    assert_body(got, "mode: diff\n");
    assert_int_equal(ask(s, "GET /config?mode=%zz", "", NULL, &got), 400);
    assert_int_equal(ask(s, "GET /runtime_config", "", NULL, &got), 200);
    assert_body(got, "runtime config file doesn't exist");
    server_destroy(s);
    pl_buf_fini(&got);
}

static void requests_are_counted(void **state PL_UNUSED)
{
    struct server *s = start((struct server_options){.auth_enabled = true});
    struct pl_buf got = {0};

    (void)ask(s, "POST /api/v1/push", "X-Scope-OrgID: team\r\n", "abc", &got);
    (void)ask(s, "POST /api/v1/push", "", "abc", &got);
    (void)ask(s, "GET /prometheus/api/v1/label/a/values", "X-Scope-OrgID: a\r\n", NULL, &got);
    (void)ask(s, "GET /no/such/thing", "", NULL, &got);
    (void)ask(s, "HEAD /ready", "Connection: close\r\n", NULL, &got); /* its length is not sent: only the end ends it */
    assert_int_equal(ask(s, "GET /metrics", "", NULL, &got), 200);
    assert_true(client_has(&got, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    assert_true(client_has(&got, "cortex_request_duration_seconds_count{method=\"POST\",route=\"api_v1_push\",status_"
                                 "code=\"200\",ws=\"false\"} "));
    assert_true(client_has(&got, "cortex_request_duration_seconds_count{method=\"POST\",route=\"api_v1_push\",status_"
                                 "code=\"401\",ws=\"false\"} "));
    assert_true(client_has(&got, "route=\"prometheus_api_v1_label_name_values\",status_code=\"200\""));
    assert_true(client_has(
        &got,
        "cortex_request_duration_seconds_count{method=\"GET\",route=\"notfound\",status_code=\"404\",ws=\"false\"} "));
    assert_true(client_has(&got, "cortex_request_message_bytes_sum{method=\"POST\",route=\"api_v1_push\"} "));
    assert_true(client_has(
        &got, "cortex_response_message_bytes_bucket{method=\"GET\",route=\"notfound\",le=\"1.048576e+06\"} "));
    assert_true(client_has(&got, "cortex_inflight_requests{method=\"GET\",route=\"metrics\"} 1\n"));
    assert_true(client_has(&got, "cortex_tcp_connections{protocol=\"http\"} 1\n"));
    assert_true(client_has(&got, "cortex_tcp_connections_limit{protocol=\"http\"} 16384\n"));
    assert_int_equal(ask(s, "GET /metrics", "Accept: application/openmetrics-text; version=1.0.0\r\n", NULL, &got),
                     200);
    assert_true(client_has(&got, "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"));
    assert_true(pl_str_ends(pl_buf_view(&got), PL_STR("# EOF\n")));
    server_destroy(s);
    pl_buf_fini(&got);
}

static void tenant_syntax(void **state PL_UNUSED)
{
    static const struct {
        const char *id, *text; /* NULL: valid */
    } cases[] = {
        {"team-a_1.b*'()!", NULL},
        {"a/b", "tenant ID 'a/b' contains unsupported character '/'"},
        {"a|b", "tenant ID 'a|b' contains unsupported character '|'"},
        {"a b", "tenant ID 'a b' contains unsupported character ' '"},
        {"\xc3\xbc", "tenant ID '\xc3\xbc' contains unsupported character '\xc3\x83'"},
        {".", "tenant ID is '.' or '..'"},
        {"..", "tenant ID is '.' or '..'"},
        {"...", NULL},
        {"__markers__", "tenant ID '__markers__' is not allowed"},
        {"user-index.json.gz", "tenant ID 'user-index.json.gz' is not allowed"},
    };
    char id[152];
    struct pl_err err;

    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        pl_status st = server_tenant_check(pl_str_c(cases[i].id), &err);
        assert_int_equal(st, cases[i].text != NULL ? PL_INVALID : PL_OK);
        if (cases[i].text != NULL) {
            assert_string_equal(err.msg, cases[i].text);
        }
    }
    memset(id, 'a', sizeof(id));
    assert_int_equal(server_tenant_check(pl_str_of(id, 150), &err), PL_OK);
    assert_int_equal(server_tenant_check(pl_str_of(id, 151), &err), PL_INVALID);
    assert_string_equal(err.msg, "tenant ID is too long: max 150 characters");
}

static void status_rows_are_whole(void **state PL_UNUSED)
{
    for (int st = 0; st < PL_STATUS_COUNT; st++) {
        assert_in_range(server_http_status((pl_status)st), 200, 599);
        assert_non_null(server_error_type((pl_status)st));
    }
}

static void gzip_round_trip(void **state PL_UNUSED)
{
    struct pl_buf text = {0}, packed = {0}, back = {0}, two = {0};
    struct pl_err err;

    for (int i = 0; i < 100000; i++) {
        pl_buf_printf(&text, "%d,", i * 7919 % 1000);
    }
    assert_true(gzip_encode(&packed, pl_buf_view(&text), 6));
    assert_true(packed.n < text.n / 2);
    assert_int_equal(gzip_decode(&back, pl_buf_view(&packed), text.n, &err), PL_OK);
    assert_true(pl_str_eq(pl_buf_view(&back), pl_buf_view(&text)));
    assert_int_equal(gzip_decode(&back, pl_buf_view(&packed), text.n - 1, &err), PL_TOO_LARGE);
    assert_int_equal(back.n, text.n); /* a failure leaves what was there */
    assert_int_equal(gzip_decode(&back, pl_str_of(packed.p, packed.n - 1), 1 << 20, &err), PL_INVALID);
    packed.p[packed.n / 2] ^= 1;
    assert_int_equal(gzip_decode(&back, pl_buf_view(&packed), 1 << 20, &err), PL_INVALID);
    assert_int_equal(gzip_decode(&back, PL_STR(""), 10, &err), PL_INVALID);
    pl_buf_reset(&back);
    assert_true(gzip_encode(&two, PL_STR("one "), 1) && gzip_encode(&two, PL_STR("two"), 9) &&
                gzip_encode(&two, PL_STR(""), 1));
    assert_int_equal(gzip_decode(&back, pl_buf_view(&two), 7, &err), PL_OK);
    assert_true(pl_str_eq(pl_buf_view(&back), PL_STR("one two")));
    pl_buf_fini(&text);
    pl_buf_fini(&packed);
    pl_buf_fini(&back);
    pl_buf_fini(&two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(routes_and_tenants),    cmocka_unit_test(auth_off_and_prefix),
        cmocka_unit_test(body_limits_by_route),  cmocka_unit_test(compressed_answers),
        cmocka_unit_test(cors_headers),          cmocka_unit_test(admin_pages),
        cmocka_unit_test(requests_are_counted),  cmocka_unit_test(tenant_syntax),
        cmocka_unit_test(status_rows_are_whole), cmocka_unit_test(gzip_round_trip),
    };
    pl_log_setup(PL_LOG_ERROR, false); /* 5xx answers are expected here */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
