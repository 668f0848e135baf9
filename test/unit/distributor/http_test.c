/* The HTTP face of the distributor: negotiation, sizes, codes and texts of spec http-api-and-config.md 1.3.1, and the
 * usage page. */
#include "base/memory.h"
#include "distributor/distributor.h"

#include "base/clock.h"
#include "codec/snappy.h"
#include "unit/distributor/write_request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct limits limits;

const struct limits *limits_get(struct overrides *o, pl_str tenant)
{
    (void)o, (void)tenant;
    return &limits;
}

void limits_put(struct overrides *o, const struct limits *l)
{
    (void)o, (void)l;
}

/* ---- a port that counts ---- */

static uint32_t stored;
static pl_status begin_status;

static pl_status fake_begin(struct ingest_port *p, pl_str tenant, struct ingest_session **out, struct pl_err *err)
{
    (void)tenant;
    if (begin_status != PL_OK) {
        return pl_fail(err, begin_status, "user=t: TSDB is closing");
    }
    *out = (struct ingest_session *)(void *)p;
    return PL_OK;
}

static void fake_resolve(struct ingest_session *s, const struct pl_hash128 *hashes, uint32_t count, uint64_t *refs)
{
    (void)s, (void)hashes;
    memset(refs, 0, count * sizeof(*refs));
}

static pl_status fake_append(struct ingest_session *s, const struct ingest_batch *b, struct pl_arena *a,
                             struct pl_err *err)
{
    (void)s, (void)a, (void)err;
    stored += b->series_count;
    return PL_OK;
}

static void fake_end(struct ingest_session *s)
{
    (void)s;
}

static pl_status fake_tenants(struct ingest_port *p, struct pl_arena *a, struct ingest_tenant_row **out, size_t *count,
                              struct pl_err *err)
{
    (void)p, (void)err;
    *out = pl_arena_alloc(a, 2 * sizeof(**out));
    (*out)[0] = (struct ingest_tenant_row){PL_STR("a"), {.series = 5, .api_rate = 1.5, .ingestion_rate = 1.5}};
    (*out)[1] = (struct ingest_tenant_row){PL_STR("b"), {.series = 7, .active_series = 6, .loaded_blocks = 2}};
    *count = 2;
    return PL_OK;
}

static const struct ingest_port_ops fake_ops = {.begin = fake_begin,
                                                .resolve = fake_resolve,
                                                .append = fake_append,
                                                .end = fake_end,
                                                .forget = fake_end,
                                                .tenants = fake_tenants};
static struct ingest_port port = {&fake_ops};

/* ---- the world of one test ---- */

static struct distributor *d;
static struct pl_arena arena;
static struct pl_buf body;
static struct http_response resp;

enum { RECV_MAX = 4096 };

static int setup(void **state)
{
    const struct distributor_options o = {.recv_bytes_max = RECV_MAX};
    struct pl_buf message;

    (void)state;
    limits = (struct limits){.enforce_metric_name = true,
                             .max_label_name_length = 1024,
                             .max_label_value_length = 2048,
                             .max_label_names_per_series = 30,
                             .creation_grace_period_ns = 600 * PL_NS_PER_S,
                             .ingestion_rate = 1e9,
                             .ingestion_burst_size = 1000000000};
    stored = 0;
    begin_status = PL_OK;
    pl_arena_init(&arena, 0);
    pl_buf_init(&body, 0);
    pl_buf_init(&message, 0);
    wr_series(&message, "up,job=a", pl_now_unix_ms(), 1);
    snappy_encode(&body, pl_buf_view(&message));
    pl_buf_fini(&message);
    d = distributor_create(&o, NULL, &port);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    distributor_destroy(d);
    pl_buf_fini(&resp.body);
    pl_buf_fini(&body);
    pl_arena_fini(&arena);
    return 0;
}

struct call {
    pl_str type, encoding, tenant, accept;
};

/* Sends `body`; the answer is in resp, its text NUL-terminated. */
static void call(http_handler_fn handler, const struct call *c)
{
    struct http_header headers[3];
    struct http_request req = {.method = HTTP_POST,
                               .headers = headers,
                               .body = pl_buf_view(&body),
                               .arena = &arena,
                               .tenant = c->tenant.p != NULL ? c->tenant : PL_STR("t")};

    pl_buf_fini(&resp.body);
    resp = (struct http_response){.status = 200};
    if (c->type.p != NULL) {
        headers[req.header_count++] = (struct http_header){PL_STR("content-type"), c->type};
    }
    if (c->encoding.p != NULL) {
        headers[req.header_count++] = (struct http_header){PL_STR("Content-Encoding"), c->encoding};
    }
    if (c->accept.p != NULL) {
        headers[req.header_count++] = (struct http_header){PL_STR("Accept"), c->accept};
    }
    handler(d, &req, &resp);
    pl_buf_byte(&resp.body, 0);
}

static void expect(const char *name, int status, const char *text)
{
    if (resp.status != status || strcmp(resp.body.p, text) != 0) {
        fail_msg("%s: %d \"%s\", not %d \"%s\"", name, resp.status, resp.body.p, status, text);
    }
}

static void negotiation(void **state)
{
    static const struct {
        const char *name;
        struct call c;
        int status;
        const char *text;
    } cases[] = {
        {"no headers", {.type = {NULL, 0}}, 200, ""},
        {"plain", {.type = PL_STR_INIT("application/x-protobuf"), .encoding = PL_STR_INIT("snappy")}, 200, ""},
        {"message named", {.type = PL_STR_INIT("application/x-protobuf;proto=prometheus.WriteRequest")}, 200, ""},
        {"with blanks", {.type = PL_STR_INIT("application/x-protobuf; proto=prometheus.WriteRequest")}, 200, ""},
        {"other parameter", {.type = PL_STR_INIT("application/x-protobuf;charset=utf-8")}, 200, ""},
        {"version 2",
         {.type = PL_STR_INIT("application/x-protobuf;proto=io.prometheus.write.v2.Request")},
         415,
         "io.prometheus.write.v2.Request protobuf message is not accepted by this server; only accepts "
         "prometheus.WriteRequest\n"},
        {"JSON",
         {.type = PL_STR_INIT("application/json")},
         415,
         "expected application/x-protobuf as the first (media) part, got application/json content-type\n"},
        {"unknown message",
         {.type = PL_STR_INIT("application/x-protobuf;proto=x")},
         415,
         "got application/x-protobuf;proto=x content type; unknown remote write protobuf message x\n"},
        {"bare parameter",
         {.type = PL_STR_INIT("application/x-protobuf;x")},
         415,
         "expected content type parameters to be key-values, got x in application/x-protobuf;x content-type\n"},
        {"gzip",
         {.encoding = PL_STR_INIT("gzip")},
         415,
         "gzip encoding (compression) is not accepted by this server; only snappy is acceptable\n"},
        {"bad tenant", {.tenant = PL_STR_INIT("a/b")}, 500, "tenant ID 'a/b' contains unsupported character '/'\n"},
    };
    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        uint32_t before = stored;
        call(distributor_handle_push, &cases[i].c);
        expect(cases[i].name, cases[i].status, cases[i].text);
        assert_int_equal(stored, before + (cases[i].status == 200));
    }
}

static void unknown_type_can_be_accepted(void **state)
{
    const struct distributor_options o = {.recv_bytes_max = RECV_MAX, .accept_unknown_content_type = true};
    (void)state;
    distributor_destroy(d);
    d = distributor_create(&o, NULL, &port);
    call(distributor_handle_push, &(struct call){.type = PL_STR("text/plain")});
    expect("text/plain", 200, "");
    call(distributor_handle_push,
         &(struct call){.type = PL_STR("application/x-protobuf;proto=io.prometheus.write.v2.Request")});
    assert_int_equal(resp.status, 415);
}

static void bad_bodies(void **state)
{
    static const struct {
        const char *name;
        pl_str body;
        const char *text;
    } cases[] = {
        {"empty", PL_STR_INIT(""), "snappy: corrupt input\n"},
        {"no snappy", PL_STR_INIT("hello"), "snappy: corrupt input\n"},
        {"lies about its size",
         PL_STR_INIT("\x80\x1e"
                     "abc"),
         "snappy: corrupt input\n"},
        {"decodes to too much", PL_STR_INIT("\xff\xff\xff\xff\x0f"),
         "received message larger than max (4294967295 vs 4096)\n"},
        {"decodes to one byte too much", PL_STR_INIT("\x81\x20"), "received message larger than max (4097 vs 4096)\n"},
        {"no protobuf", PL_STR_INIT("\x02\x04\x0a\x05"), "unexpected EOF\n"},
    };
    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        pl_buf_reset(&body);
        pl_buf_str(&body, cases[i].body);
        call(distributor_handle_push, &(struct call){.type = {NULL, 0}});
        expect(cases[i].name, 400, cases[i].text);
    }
    pl_buf_reset(&body);
    for (int i = 0; i <= RECV_MAX; i++) {
        pl_buf_byte(&body, 'x');
    }
    call(distributor_handle_push, &(struct call){.type = {NULL, 0}});
    expect("too long on the wire", 400, "received message larger than max (4097 vs 4096)\n");
    assert_int_equal(stored, 0);
}

static void refused_before_the_body_is_read(void **state)
{
    struct http_request req = {.arena = &arena};
    (void)state;
    distributor_push_too_large(&req, &resp, RECV_MAX, 100000);
    pl_buf_byte(&resp.body, 0);
    expect("with a length", 400, "received message larger than max (100000 vs 4096)\n");
    pl_buf_reset(&resp.body);
    distributor_push_too_large(&req, &resp, RECV_MAX, 0);
    pl_buf_byte(&resp.body, 0);
    expect("without", 400, "received message larger than max (4097 vs 4096)\n");
}

static void far_over_the_memory_limit_nothing_is_taken(void **state)
{
    (void)state;
    pl_memory_limit_set(1);
    call(distributor_handle_push, &(struct call){.type = {NULL, 0}});
    pl_memory_limit_set(0);
    assert_int_equal(resp.status, 503);
    assert_non_null(strstr(resp.body.p, "(-memory.limit): all writes are refused"));
    assert_int_equal(stored, 0);
}

static void codes_of_the_ingester(void **state)
{
    (void)state;
    begin_status = PL_UNAVAILABLE;
    call(distributor_handle_push, &(struct call){.type = {NULL, 0}});
    expect("closing", 503, "user=t: TSDB is closing\n");
    begin_status = PL_INTERNAL;
    call(distributor_handle_push, &(struct call){.type = {NULL, 0}});
    assert_int_equal(resp.status, 500);
    begin_status = PL_OK;
    limits.ingestion_burst_size = 0;
    distributor_destroy(d);
    d = distributor_create(&(struct distributor_options){.recv_bytes_max = RECV_MAX}, NULL, &port);
    call(distributor_handle_push, &(struct call){.type = {NULL, 0}});
    expect("rate", 429, "ingestion rate limit (1e+09) exceeded while adding 1 samples and 0 metadata\n");
}

static void client_that_went_away(void **state)
{
    _Atomic bool gone = true;
    struct http_request req = {.arena = &arena, .body = pl_buf_view(&body), .tenant = PL_STR("t"), .canceled = &gone};
    (void)state;
    pl_buf_fini(&resp.body);
    resp = (struct http_response){.status = 200};
    distributor_handle_push(d, &req, &resp);
    pl_buf_byte(&resp.body, 0);
    expect("canceled", 499, "context canceled\n");
    assert_int_equal(stored, 0);
}

static void usage_page(void **state)
{
    (void)state;
    call(distributor_handle_user_stats, &(struct call){.accept = PL_STR("application/json")});
    assert_string_equal(resp.content_type, "application/json");
    expect("JSON", 200,
           "[{\"userID\":\"b\",\"ingestionRate\":0,\"numSeries\":7,\"APIIngestionRate\":0,\"RuleIngestionRate\":0,"
           "\"activeSeries\":6,\"loadedBlocks\":2,\"queriedIngesters\":1},"
           "{\"userID\":\"a\",\"ingestionRate\":1.5,\"numSeries\":5,\"APIIngestionRate\":1.5,\"RuleIngestionRate\":0,"
           "\"activeSeries\":0,\"loadedBlocks\":0,\"queriedIngesters\":1}]");
    call(distributor_handle_user_stats, &(struct call){.accept = PL_STR("text/html")});
    assert_string_equal(resp.content_type, "text/html; charset=utf-8");
    assert_non_null(strstr(resp.body.p, "<td>b</td><td align=\"right\">2</td><td align=\"right\">7</td>"));
    assert_non_null(strstr(resp.body.p, "<td align=\"right\">1.50</td>"));
}

/* Five megabytes that decode to a hundred: fifty million series of two bytes, and millions of six. */
static void hostile_bodies_do_not_grow(void **state)
{
    static const struct {
        pl_str unit;
        const char *want;
    } cases[] = {{PL_STR_INIT("\x0a\x00"), "empty labels found\n"},
                 {PL_STR_INIT("\x0a\x02\x0a\x00"), "write request needs more memory to decode than its limit "}};
    const struct distributor_options o = {.recv_bytes_max = 1 << 20};
    const size_t n = 1 << 20;
    char *text = pl_alloc(n);

    (void)state;
    distributor_destroy(d);
    d = distributor_create(&o, NULL, &port);
    for (size_t c = 0; c < PL_ARRAY_LEN(cases); c++) {
        for (size_t i = 0; i < n; i += cases[c].unit.n) {
            memcpy(text + i, cases[c].unit.p, cases[c].unit.n);
        }
        pl_buf_reset(&body);
        snappy_encode(&body, pl_str_of(text, n));
        assert_true(body.n < 64 << 10);
        call(distributor_handle_push, &(struct call){0});
        assert_int_equal(resp.status, 400);
        assert_int_equal(strncmp(resp.body.p, cases[c].want, strlen(cases[c].want)), 0);
    }
    pl_free(text);
}

/* What a push decodes to counts against the process's memory: no room is 503, which is sent again. */
static void pushes_are_charged_to_the_process(void **state)
{
    const struct distributor_options o = {.recv_bytes_max = 64 << 20};
    const size_t n = 32 << 20;
    char *text = pl_alloc(n);

    (void)state;
    distributor_destroy(d);
    d = distributor_create(&o, NULL, &port);
    memset(text, 0, n);
    pl_buf_reset(&body);
    snappy_encode(&body, pl_str_of(text, n));
    pl_free(text);
    pl_memory_limit_set(UINT64_C(1) << 40);
    pl_memory_limit_set(pl_memory_used() + (16 << 20));
    assert_int_equal(pl_memory_state(), PL_MEMORY_FINE);
    call(distributor_handle_push, &(struct call){0});
    assert_int_equal(resp.status, 503);
    assert_non_null(strstr(resp.body.p, "-memory.limit"));
    pl_memory_limit_set(0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(negotiation),
        T(unknown_type_can_be_accepted),
        T(bad_bodies),
        T(refused_before_the_body_is_read),
        T(far_over_the_memory_limit_nothing_is_taken),
        T(codes_of_the_ingester),
        T(client_that_went_away),
        T(usage_page),
        T(hostile_bodies_do_not_grow),
        T(pushes_are_charged_to_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
