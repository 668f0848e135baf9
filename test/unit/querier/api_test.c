/* The query API over a real server on loopback, a fake query_port and series in memory: every answer byte for byte. */
#include "codec/xor_chunk.h"
#include "querier/internal.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- the store ---- */

enum { SAMPLES_MAX = 64, LABELS_MAX = 4, SERIES_MAX = 4 };

struct memory_series {
    struct label labels[LABELS_MAX];
    size_t label_count;
    uint8_t bytes[XOR_CHUNK_HEADER + XOR_SAMPLE_BYTES_MAX * (SAMPLES_MAX + 1)];
    struct chunk_view chunk;
};

static struct memory_series store[SERIES_MAX];
static struct series_source store_source;

static void add_series(size_t at, double slope, const char *const (*labels)[2], size_t n)
{
    struct memory_series *s = &store[at];
    struct xor_appender app;

    for (size_t i = 0; i < n; i++) {
        s->labels[i] = (struct label){pl_str_c(labels[i][0]), pl_str_c(labels[i][1])};
    }
    s->label_count = n;
    xor_init(&app, s->bytes);
    for (int i = 0; i < 41; i++) {
        xor_append(&app, s->bytes, i * 15000, slope * i);
    }
    s->chunk = (struct chunk_view){s->bytes, xor_size(&app), CHUNK_ENC_XOR, 0, 40 * 15000};
}

static pl_status memory_select(struct series_source *src, struct pl_arena *a, const struct series_select *q,
                               struct series_list *out, struct pl_err *err)
{
    (void)src;
    out->v = pl_arena_new_array_try(a, struct series_view, SERIES_MAX);
    out->n = 0;
    if (out->v == NULL) {
        return pl_fail(err, PL_LIMIT, "query memory limit");
    }
    for (size_t i = 0; i < SERIES_MAX; i++) {
        struct labels ls = {store[i].labels, store[i].label_count};

        if (matchers_accept(q->matchers, q->matcher_count, ls) && q->mint_ms <= 600000 && q->maxt_ms >= 0) {
            out->v[out->n++] =
                (struct series_view){ls, q->labels_only ? NULL : &store[i].chunk, q->labels_only ? 0 : 1};
        }
    }
    if (q->series_max > 0 && out->n > q->series_max) {
        return pl_fail(err, PL_LIMIT, "the query hit the max number of series limit (limit: %llu series)",
                       (unsigned long long)q->series_max);
    }
    return PL_OK;
}

static int by_text(const void *a, const void *b)
{
    return pl_str_cmp(*(const pl_str *)a, *(const pl_str *)b);
}

static pl_status memory_strings(struct pl_arena *a, pl_str name, const struct series_select *q, size_t limit,
                                struct str_list *out)
{
    pl_str *v = pl_arena_new_array_try(a, pl_str, SERIES_MAX * LABELS_MAX);
    size_t n = 0;

    for (size_t i = 0; i < SERIES_MAX; i++) {
        struct labels ls = {store[i].labels, store[i].label_count};

        for (size_t k = 0; k < ls.n && matchers_accept(q->matchers, q->matcher_count, ls); k++) {
            if (name.n == 0) {
                v[n++] = ls.v[k].name;
            } else if (pl_str_eq(ls.v[k].name, name)) {
                v[n++] = ls.v[k].value;
            }
        }
    }
    qsort(v, n, sizeof(*v), by_text);
    out->v = v;
    out->n = 0;
    for (size_t i = 0; i < n; i++) {
        if (out->n == 0 || !pl_str_eq(v[out->n - 1], v[i])) {
            v[out->n++] = v[i];
        }
    }
    out->n = limit > 0 ? PL_MIN(out->n, limit) : out->n;
    return PL_OK;
}

static pl_status memory_names(struct series_source *src, struct pl_arena *a, const struct series_select *q,
                              size_t limit, struct str_list *out, struct pl_err *err)
{
    (void)src;
    (void)err;
    return memory_strings(a, PL_STR_NULL, q, limit, out);
}

static pl_status memory_values(struct series_source *src, struct pl_arena *a, pl_str name,
                               const struct series_select *q, size_t limit, struct str_list *out, struct pl_err *err)
{
    (void)src;
    (void)err;
    return memory_strings(a, name, q, limit, out);
}

static const struct series_source_ops memory_ops = {
    .select = memory_select, .label_names = memory_names, .label_values = memory_values};

static pl_status port_source(struct query_port *p, pl_str tenant, struct pl_arena *a, struct series_source **out,
                             struct pl_err *err)
{
    (void)p;
    (void)a;
    if (pl_str_eq(tenant, PL_STR("broken"))) {
        return pl_fail(err, PL_IO, "read index: input/output error");
    }
    *out = &store_source;
    return PL_OK;
}

static pl_status port_metadata(struct query_port *p, pl_str tenant, struct pl_arena *a, struct ingest_metadata **out,
                               size_t *count, struct pl_err *err)
{
    static struct ingest_metadata rows[] = {
        {.type = 2, .metric = PL_STR_INIT("m"), .help = PL_STR_INIT("A <gauge>."), .unit = PL_STR_INIT("")},
        {.type = 1, .metric = PL_STR_INIT("n_total"), .help = PL_STR_INIT("First."), .unit = PL_STR_INIT("bytes")},
        {.type = 1, .metric = PL_STR_INIT("n_total"), .help = PL_STR_INIT("Second."), .unit = PL_STR_INIT("bytes")},
    };
    (void)p;
    (void)a;
    (void)err;
    (void)tenant;

    *out = rows;
    *count = PL_ARRAY_LEN(rows);
    return PL_OK;
}

static pl_status port_stats(struct query_port *p, pl_str tenant, struct tenant_stats *out, struct pl_err *err)
{
    (void)p;
    (void)tenant;
    (void)err;
    *out = (struct tenant_stats){
        .series = 4, .active_series = 3, .loaded_blocks = 2, .ingestion_rate = 1.5, .api_rate = 1.5};
    return PL_OK;
}

static pl_status port_status(struct query_port *p, pl_str tenant, size_t limit, struct pl_arena *a,
                             struct tenant_tsdb_status *out, struct pl_err *err)
{
    static struct tsdb_top rows[] = {{PL_STR_INIT("m"), 3}, {PL_STR_INIT("job=a<b"), 1}};
    (void)p;
    (void)tenant;
    (void)a;
    (void)err;
    *out = (struct tenant_tsdb_status){.series = 4,
                                       .label_pairs = 7,
                                       .chunks = 4,
                                       .mint_ms = 0,
                                       .maxt_ms = 600000,
                                       .metrics = rows,
                                       .metric_count = PL_MIN(limit, 2)};
    return PL_OK;
}

static const struct query_port_ops port_ops = {
    .source = port_source, .metadata = port_metadata, .stats = port_stats, .tsdb_status = port_status};
static struct query_port port = {&port_ops};

/* ---- the server ---- */

struct fixture {
    struct server *server;
    struct querier *querier;
    uint16_t port;
};

static void config_yaml(void *arg, struct pl_buf *out)
{
    (void)arg;
    PL_BUF_LIT(out, "target: all\n");
}

static void flags(void *arg, void (*each)(void *each_arg, pl_str name, pl_str value), void *each_arg)
{
    (void)arg;
    each(each_arg, PL_STR("auth.enabled"), PL_STR("true"));
    each(each_arg, PL_STR("target"), PL_STR("all"));
}

static int set_up(void **state)
{
    static const char *const a[][2] = {{"__name__", "m"}, {"job", "a<b"}};
    static const char *const b[][2] = {{"__name__", "m"}, {"job", "c"}, {"x", "\"\\\n"}};
    static const char *const c[][2] = {{"__name__", "m"}, {"job", "d"}};
    static const char *const d[][2] = {{"__name__", "n_total"}, {"job", "c"}};
    static struct fixture f;
    struct querier_options qo = {.lookback_ns = 300 * PL_NS_PER_S,
                                 .default_step_ns = 60 * PL_NS_PER_S,
                                 .timeout_ns = 60 * PL_NS_PER_S,
                                 .samples_max = 1000,
                                 .concurrent_max = 4,
                                 .query_bytes_max = 64 << 20,
                                 .subquery_steps_max = 100,
                                 .per_step_stats = true,
                                 .revision = PL_STR("abc"),
                                 .branch = PL_STR("main"),
                                 .build_date = PL_STR("today"),
                                 .gzip = true,
                                 .config_yaml = config_yaml,
                                 .flags = flags};
    struct server_options so = {
        .http = {.address = PL_STR("127.0.0.1"),
                 .loop_count = 1,
                 .body_budget_bytes = 64 << 20,
                 .head_timeout_ns = 10 * PL_NS_PER_S,
                 .body_timeout_ns = 10 * PL_NS_PER_S,
                 .write_timeout_ns = 10 * PL_NS_PER_S,
                 .idle_timeout_ns = 10 * PL_NS_PER_S},
        .auth_enabled = true,
        .push_threads = 1,
    };
    struct pl_err err;

    store_source.ops = &memory_ops;
    add_series(0, 1, a, 2);
    add_series(1, 0.5, b, 3);
    add_series(2, 1e21, c, 2);
    add_series(3, 15, d, 2);
    f.server = server_create(&so);
    f.querier = querier_create(&qo, NULL, &port);
    querier_routes(f.querier, f.server, PL_STR("/prometheus"));
    querier_user_stats_route(f.querier, f.server, "/api/v1/user_stats");
    if (server_start(f.server, &err) != PL_OK) {
        print_error("server: %s\n", err.msg);
        return -1;
    }
    f.port = server_port(f.server);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    server_stop(f->server, PL_NS_PER_S);
    server_destroy(f->server);
    querier_destroy(f->querier);
    return 0;
}

/* ---- a client ---- */

/* Sends the text and reads until the other side closes; the whole answer, NUL-terminated, in *out. */
static void exchange(uint16_t port_number, pl_str request, struct pl_buf *out)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port_number), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct timeval limit = {.tv_sec = 20};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    char chunk[8192];
    ssize_t n;

    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    for (size_t at = 0; at < request.n; at += (size_t)n) {
        n = send(fd, request.p + at, request.n - at, MSG_NOSIGNAL);
        assert_true(n > 0);
    }
    for (;;) {
        n = recv(fd, chunk, sizeof(chunk), 0);
        assert_true(n >= 0);
        if (n == 0) {
            break;
        }
        pl_buf_add(out, chunk, (size_t)n);
    }
    close(fd);
    pl_buf_byte(out, 0);
}

/* GET of TARGET, or POST of FORM when it is not NULL. */
static void ask(const struct fixture *f, const char *method, const char *target, const char *form, const char *tenant,
                struct pl_buf *out)
{
    struct pl_buf req;

    pl_buf_init(&req, 0);
    pl_buf_init(out, 0);
    pl_buf_printf(&req, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", method, target);
    if (tenant != NULL) {
        pl_buf_printf(&req, "X-Scope-OrgID: %s\r\n", tenant);
    }
    if (form != NULL) {
        pl_buf_printf(&req, "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %zu\r\n", strlen(form));
    }
    pl_buf_printf(&req, "\r\n%s", form != NULL ? form : "");
    exchange(f->port, pl_buf_view(&req), out);
    pl_buf_fini(&req);
}

static const char *body_of(const struct pl_buf *answer)
{
    const char *at = strstr(answer->p, "\r\n\r\n");

    assert_non_null(at);
    return at + 4;
}

static int code_of(const struct pl_buf *answer)
{
    int code = 0;

    assert_int_equal(sscanf(answer->p, "HTTP/1.1 %d", &code), 1);
    return code;
}

#define P         "/prometheus/api/v1"
#define OK(data)  "{\"status\":\"success\",\"data\":" data "}"
#define BAD(text) "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"" text "\"}"
#define A_LABELS  "{\"__name__\":\"m\",\"job\":\"a<b\"}"
#define B_LABELS  "{\"__name__\":\"m\",\"job\":\"c\",\"x\":\"\\\"\\\\\\n\"}"
#define C_LABELS  "{\"__name__\":\"m\",\"job\":\"d\"}"
#define D_LABELS  "{\"__name__\":\"n_total\",\"job\":\"c\"}"

struct api_case {
    const char *target;
    const char *form; /* NULL: GET */
    int code;
    const char *want;
};

static void check_cases(const struct fixture *f, const struct api_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct api_case *c = &cases[i];
        struct pl_buf answer;

        ask(f, c->form != NULL ? "POST" : "GET", c->target, c->form, "t", &answer);
        if (code_of(&answer) != c->code || strcmp(body_of(&answer), c->want) != 0) {
            print_error("%s %s\n got %d %s\nwant %d %s\n", c->target, c->form != NULL ? c->form : "", code_of(&answer),
                        body_of(&answer), c->code, c->want);
        }
        assert_int_equal(code_of(&answer), c->code);
        assert_string_equal(body_of(&answer), c->want);
        pl_buf_fini(&answer);
    }
}

static void results(void **state)
{
    static const struct api_case cases[] = {
        {P "/query?query=vector(1)&time=5", NULL, 200,
         OK("{\"resultType\":\"vector\",\"result\":[{\"metric\":{},\"value\":[5,\"1\"]}]}")},
        {P "/query?query=1&time=5", NULL, 200, OK("{\"resultType\":\"scalar\",\"result\":[5,\"1\"]}")},
        {P "/query?query=1e21&time=1.05", NULL, 200,
         OK("{\"resultType\":\"scalar\",\"result\":[1.05,\"1000000000000000000000\"]}")},
        {P "/query?query=vector(1e-7)&time=1.05", NULL, 200,
         OK("{\"resultType\":\"vector\",\"result\":[{\"metric\":{},\"value\":[1.050,\"1e-07\"]}]}")},
        {P "/query", "query=%22a%3Cb%5Cb%22&time=5", 200,
         OK("{\"resultType\":\"string\",\"result\":[5,\"a\\u003cb\\b\"]}")},
        {P "/query_range?query=1&start=0&end=30&step=15", NULL, 200,
         OK("{\"resultType\":\"matrix\",\"result\":[{\"metric\":{},\"values\":[[0,\"1\"],[15,\"1\"],[30,\"1\"]]"
            "}]}")},
        {P "/query?query=m&time=30", NULL, 200,
         OK("{\"resultType\":\"vector\",\"result\":[{\"metric\":" A_LABELS
            ",\"value\":[30,\"2\"]},{\"metric\":" B_LABELS ",\"value\":[30,\"1\"]},{\"metric\":" C_LABELS
            ",\"value\":[30,\"2e+21\"]}]}")},
        {P "/query", "query=m%7Bjob%3D%22c%22%7D%5B31s%5D&time=30", 200,
         OK("{\"resultType\":\"matrix\",\"result\":[{\"metric\":" B_LABELS
            ",\"values\":[[0,\"0\"],[15,\"0.5\"],[30,\"1\"]]}]}")},
        {P "/query?query=nothing&time=30", NULL, 200, OK("{\"resultType\":\"vector\",\"result\":[]}")},
        {P "/query_range?query=nothing&start=0&end=30&step=15", NULL, 200,
         OK("{\"resultType\":\"matrix\",\"result\":[]}")},
        {P "/query?query=m&time=30&limit=1", NULL, 200,
         "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[{\"metric\":" A_LABELS
         ",\"value\":[30,\"2\"]}]},\"warnings\":[\"results truncated due to limit\"]}"},
        {P "/query_range?query=m%7Bjob%3D~%22c%7Cd%22%7D&start=15&end=30&step=15s&limit=1", NULL, 200,
         "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[{\"metric\":" B_LABELS
         ",\"values\":[[15,\"0.5\"],[30,\"1\"]]}]},\"warnings\":[\"results truncated due to limit\"]}"},
        {P "/query", "query=1+-%0A++rate(m%7Bjob%3D%22d%22%7D%5B1m%5D)&time=10", 200,
         OK("{\"resultType\":\"vector\",\"result\":[]}")},
        {P "/query", "query=vector(1)+-%0A++max(rate(m%7Bjob%3D%22d%22%7D%5B1m%5D))&time=60", 200,
         "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[{\"metric\":{},\"value\":[60,"
         "\"-66666666666666656000\"]}]},\"infos\":[\"PromQL info: metric might not be a counter, name does not "
         "end in "
         "_total/_sum/_count/_bucket: \\\"m\\\" (2:12)\"]}"},
        {P "/query?query=m&time=400&lookback_delta=1", NULL, 200, OK("{\"resultType\":\"vector\",\"result\":[]}")},
        {P "/query", "query=sum(rate(n_total%5B1m%5D))&time=1970-01-01T00:05:00Z", 200,
         OK("{\"resultType\":\"vector\",\"result\":[{\"metric\":{},\"value\":[300,\"0.9999999999999999\"]}]"
            "}")}, /* as
                      Go
                      computes
                      it
                    */
    };

    check_cases(*state, cases, PL_ARRAY_LEN(cases));
}

static void errors(void **state)
{
    static const struct api_case cases[] = {
        {P "/query?query=sum(", NULL, 400,
         BAD("invalid parameter \\\"query\\\"; 1:5: parse error: unclosed left parenthesis")},
        {P "/query", "", 400,
         BAD("invalid parameter \\\"query\\\"; unknown position: parse error: no expression found in input")},
        {P "/query?query=1&time=x", NULL, 400,
         BAD("invalid parameter \\\"time\\\"; invalid time value for 'time': cannot parse \\\"x\\\" to a valid "
             "timestamp")},
        {P "/query?query=1&timeout=%3C", NULL, 400,
         BAD("invalid parameter \\\"timeout\\\"; cannot parse \\\"\\u003c\\\" to a valid duration")},
        {P "/query?query=1&lookback_delta=x", NULL, 400,
         BAD("error parsing lookback delta duration: cannot parse \\\"x\\\" to a valid duration")},
        {P "/query?query=1&limit=-1", NULL, 400, BAD("invalid parameter \\\"limit\\\"; limit must be non-negative")},
        {P "/query_range?query=1", NULL, 400,
         BAD("invalid parameter \\\"start\\\"; cannot parse \\\"\\\" to a valid timestamp")},
        {P "/query_range?query=1&start=1&end=x", NULL, 400,
         BAD("invalid parameter \\\"end\\\"; cannot parse \\\"x\\\" to a valid timestamp")},
        {P "/query_range?query=1&start=1&end=0&step=1", NULL, 400,
         BAD("invalid parameter \\\"end\\\"; end timestamp must not be before start time")},
        {P "/query_range?query=1&start=1&end=2&step=0", NULL, 400,
         BAD("invalid parameter \\\"step\\\"; zero or negative query resolution step widths are not accepted. Try a "
             "positive "
             "integer")},
        {P "/query_range?query=1&start=1&end=2&step=-5", NULL, 400,
         BAD("invalid parameter \\\"step\\\"; zero or negative query resolution step widths are not accepted. Try a "
             "positive "
             "integer")},
        {P "/query_range?query=1&start=1&end=2&step=1e30", NULL, 400,
         BAD("invalid parameter \\\"step\\\"; cannot parse \\\"1e30\\\" to a valid duration. It overflows int64")},
        {P "/query_range?query=1&start=1&end=11002&step=1", NULL, 400,
         BAD("exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution "
             "(?step=XX)")},
        {P "/query_range?query=%22a%22&start=1&end=2&step=1", NULL, 400,
         BAD("invalid parameter \\\"query\\\"; invalid expression type \\\"string\\\" for range query, must be Scalar "
             "or instant "
             "Vector")},
        /* A duration that is an expression is known only to the engine. */
        {P "/query?query=max_over_time(m%5B101m*1:1m%5D)&time=1", NULL, 422,
         "{\"status\":\"error\",\"errorType\":\"execution\",\"error\":\"exceeded maximum resolution of 100 points per "
         "timeseries in subquery. Try increasing the step size of your subquery (-querier.max-subquery-steps)\"}"},
        {P "/query?query=1%2Bmax_over_time(m%5B101m:%5D)&time=1", NULL, 400,
         BAD("exceeded maximum resolution of 100 points per timeseries in subquery. Try increasing the step size of "
             "your subquery")},
        {P "/labels?start=x", NULL, 400,
         BAD("invalid parameter \\\"start\\\": invalid time value for 'start': cannot parse \\\"x\\\" to a valid "
             "timestamp")},
        {P "/labels?match[]=x%7B", NULL, 400, BAD("1:3: parse error: unexpected end of input inside braces")},
        {P "/labels?match[]=%7Ba%3D~%22.*%22%7D", NULL, 400,
         BAD("match[] must contain at least one non-empty matcher")},
        {P "/labels?limit=x", NULL, 400,
         BAD("invalid parameter \\\"limit\\\": strconv.Atoi: parsing \\\"x\\\": invalid syntax")},
        {P "/label/%ff/values", NULL, 400, BAD("invalid label name: \\\"\\\\xff\\\"")},
        {P "/series?match[]=x%7B", NULL, 400,
         BAD("invalid parameter \\\"match[]\\\": 1:3: parse error: unexpected end of input inside braces")},
        {P "/series", NULL, 400, BAD("no match[] parameter provided")},
        {P "/metadata?limit=x", NULL, 400, BAD("limit must be a number")},
        {P "/metadata?limit_per_metric=x", NULL, 400, BAD("limit_per_metric must be a number")},
        {P "/format_query?query=a%3C", NULL, 400,
         BAD("invalid parameter \\\"query\\\": 1:3: parse error: unexpected end of input")},
        {P "/query_exemplars?query=up&start=3&end=1", NULL, 400,
         BAD("end timestamp must not be before start timestamp")},
        {P "/status/tsdb?limit=0", NULL, 400, BAD("limit must be a positive number")},
        {P "/status/tsdb?limit=10001", NULL, 400, BAD("limit must not exceed 10000")},
        {P "/query?query=sum_over_time(m%5B10m%5D)&time=600&limit=1&timeout=1m&stats=&lookback_delta=5m&x=y&query="
           "ignored",
         NULL, 200,
         "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[{\"metric\":{\"job\":\"a<b\"},"
         "\"value\":[600,"
         "\"820\"]}]},\"warnings\":[\"results truncated due to limit\"]}"},
    };

    check_cases(*state, cases, PL_ARRAY_LEN(cases));
}

static void labels_and_series(void **state)
{
    static const struct api_case cases[] = {
        {P "/labels", NULL, 200, OK("[\"__name__\",\"job\",\"x\"]")},
        {P "/labels", "match[]=n_total", 200, OK("[\"__name__\",\"job\"]")},
        {P "/labels?limit=1", NULL, 200,
         "{\"status\":\"success\",\"data\":[\"__name__\"],\"warnings\":[\"results truncated due to limit\"]}"},
        {P "/labels?limit=3", NULL, 200, OK("[\"__name__\",\"job\",\"x\"]")},
        {P "/label/job/values", NULL, 200, OK("[\"a\\u003cb\",\"c\",\"d\"]")},
        {P "/label/job/values?match[]=m%7Bx!%3D%22%22%7D&match[]=m%7Bjob%3D%22d%22%7D", NULL, 200, OK("[\"c\",\"d\"]")},
        {P "/label/U__jo_62_/values", NULL, 200, OK("[\"a\\u003cb\",\"c\",\"d\"]")},
        {P "/label/none/values", NULL, 200, OK("[]")},
        {P "/labels?start=2&end=1", NULL, 200, OK("[]")},
        {P "/series?match[]=m%7Bjob%3D%22d%22%7D&match[]=n_total", NULL, 200, OK("[" C_LABELS "," D_LABELS "]")},
        {P "/series", "match[]=n_total&start=0&end=10", 200, OK("[" D_LABELS "]")},
        {P "/series?match[]=n_total&start=10000", NULL, 200, OK("[]")},
        {P "/series?match[]=m&limit=1", NULL, 200,
         "{\"status\":\"success\",\"data\":[" A_LABELS "],\"warnings\":[\"results truncated due to limit\"]}"},
    };

    check_cases(*state, cases, PL_ARRAY_LEN(cases));
}

static void metadata_and_status(void **state)
{
    static const struct api_case cases[] = {
        {P "/metadata", NULL, 200,
         OK("{\"m\":[{\"type\":\"gauge\",\"help\":\"A "
            "\\u003cgauge\\u003e.\",\"unit\":\"\"}],\"n_total\":[{\"type\":\"counter\","
            "\"help\":\"First.\",\"unit\":\"bytes\"},{\"type\":\"counter\",\"help\":\"Second.\",\"unit\":\"bytes\"}]"
            "}")},
        {P "/metadata?limit=1", NULL, 200,
         OK("{\"m\":[{\"type\":\"gauge\",\"help\":\"A \\u003cgauge\\u003e.\",\"unit\":\"\"}]}")},
        {P "/metadata?metric=n_total&limit_per_metric=1", NULL, 200,
         OK("{\"n_total\":[{\"type\":\"counter\",\"help\":\"First.\",\"unit\":\"bytes\"}]}")},
        {P "/metadata?metric=none", NULL, 200, OK("{}")},
        {P "/metadata?limit=0", NULL, 200, OK("{}")},
        {P "/format_query?query=a%3Cb", NULL, 200, OK("\"a \\u003c b\"")},
        {P "/parse_query?query=a%3Cb", NULL, 200,
         OK("{\"bool\":false,\"lhs\":{\"anchored\":false,\"matchers\":[{\"name\":\"__name__\",\"type\":\"=\",\"value\":"
            "\"a\"}],"
            "\"name\":\"a\",\"offset\":0,\"offsetExpr\":null,\"smoothed\":false,\"startOrEnd\":null,\"timestamp\":null,"
            "\"type\":\"vectorSelector\"},"
            "\"matching\":{\"card\":\"one-to-one\",\"fillValues\":{\"lhs\":null,\"rhs\":null},\"include\":[],"
            "\"labels\":[],"
            "\"on\":false},\"op\":\"\\u003c\",\"rhs\":{\"anchored\":false,\"matchers\":[{\"name\":\"__name__\","
            "\"type\":\"=\","
            "\"value\":\"b\"}],\"name\":\"b\",\"offset\":0,\"offsetExpr\":null,\"smoothed\":false,\"startOrEnd\":null,"
            "\"timestamp\":null,\"type\":"
            "\"vectorSelector\"},\"type\":\"binaryExpr\"}")},
        {P "/query_exemplars?query=up", NULL, 200, OK("[]")},
        {P "/status/config", NULL, 200, OK("{\"yaml\":\"target: all\\n\"}")},
        {P "/status/flags", NULL, 200, OK("{\"auth.enabled\":\"true\",\"target\":\"all\"}")},
        {P "/status/buildinfo", NULL, 200,
         OK("{\"version\":\"" PL_VERSION "\",\"revision\":\"abc\",\"branch\":\"main\",\"buildUser\":\"\",\"buildDate\":"
            "\"today\",\"goVersion\":\"\"}")},
        {P "/status/tsdb", NULL, 200,
         OK("{\"headStats\":{\"numSeries\":4,\"numLabelPairs\":7,\"chunkCount\":4,\"minTime\":0,\"maxTime\":600000},"
            "\"seriesCountByMetricName\":[{\"name\":\"m\",\"value\":3},{\"name\":\"job=a\\u003cb\",\"value\":1}],"
            "\"labelValueCountByLabelName\":[],\"memoryInBytesByLabelName\":[],\"seriesCountByLabelValuePair\":[]}")},
        {"/api/v1/user_stats", NULL, 200,
         "{\"ingestionRate\":1.5,\"numSeries\":4,\"APIIngestionRate\":1.5,\"RuleIngestionRate\":0,\"activeSeries\":3,"
         "\"loadedBlocks\":2,\"queriedIngesters\":0}"},
    };

    check_cases(*state, cases, PL_ARRAY_LEN(cases));
}

static void check_one(const struct fixture *f, const char *method, const char *target, const char *tenant, int code,
                      const char *want)
{
    struct pl_buf answer;

    ask(f, method, target, NULL, tenant, &answer);
    assert_int_equal(code_of(&answer), code);
    assert_string_equal(body_of(&answer), want);
    pl_buf_fini(&answer);
}

static void tenants_methods_and_failures(void **state)
{
    const struct fixture *f = *state;

    check_one(f, "GET", P "/query?query=1", NULL, 401, "no org id\n");
    check_one(f, "GET", P "/query?query=1", "a|b", 400, "tenant ID 'a|b' contains unsupported character '|'\n");
    check_one(f, "GET", P "/query?query=m&time=1", "broken", 500,
              "{\"status\":\"error\",\"errorType\":\"internal\",\"error\":\"read index: input/output error\"}");
    check_one(f, "DELETE", P "/series", "t", 500,
              "{\"status\":\"error\",\"errorType\":\"internal\",\"error\":\"not implemented\"}");
    check_one(f, "PUT", P "/query?query=1", "t", 405, "");
    check_one(f, "GET", P "/rules", "t", 404, "404 page not found\n");
}

static void too_many_samples(void **state)
{
    static const struct api_case cases[] = {
        {P "/query_range?query=m&start=0&end=600&step=1", NULL, 422,
         "{\"status\":\"error\",\"errorType\":\"execution\",\"error\":\"query processing would load too many samples "
         "into memory in "
         "query execution\"}"},
    };

    check_cases(*state, cases, PL_ARRAY_LEN(cases));
}

static void statistics(void **state)
{
    const struct fixture *f = *state;
    struct pl_buf answer;
    double seconds[6];
    int at = 0;
    const char *stats;

    ask(f, "GET", P "/query_range?query=m&start=0&end=30&step=15&stats=all", NULL, "t", &answer);
    stats = strstr(body_of(&answer), "\"stats\":");
    assert_non_null(stats);
    assert_int_equal(
        sscanf(stats,
               "\"stats\":{\"timings\":{\"evalTotalTime\":%lf,\"resultSortTime\":%lf,\"queryPreparationTime\":%lf,"
               "\"innerEvalTime\":%lf,\"execQueueTime\":%lf,\"execTotalTime\":%lf},%n",
               &seconds[0], &seconds[1], &seconds[2], &seconds[3], &seconds[4], &seconds[5], &at),
        6);
    assert_string_equal(stats + at, "\"samples\":{\"totalQueryableSamplesPerStep\":[[0,3],[15,3],[30,3]],"
                                    "\"totalQueryableSamples\":9,\"peakSamples\":9}}}}");
    pl_buf_fini(&answer);
}

static void cross_origin(void **state)
{
    const struct fixture *f = *state;
    struct pl_buf answer;

    pl_buf_init(&answer, 0);
    exchange(f->port,
             PL_STR("OPTIONS " P "/query HTTP/1.1\r\nHost: x\r\nConnection: close\r\nOrigin: http://grafana\r\n\r\n"),
             &answer);
    assert_int_equal(code_of(&answer), 204);
    assert_non_null(strstr(answer.p, "Vary: Origin\r\n"));
    assert_non_null(strstr(answer.p, "Access-Control-Allow-Origin: *\r\n"));
    assert_non_null(strstr(answer.p, "Access-Control-Allow-Methods: GET, POST, OPTIONS\r\n"));
    pl_buf_fini(&answer);
    ask(f, "GET", P "/labels", NULL, "t", &answer);
    assert_null(strstr(answer.p, "Access-Control"));
    assert_non_null(strstr(answer.p, "Vary: Origin\r\n"));
    pl_buf_fini(&answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results),
        cmocka_unit_test(errors),
        cmocka_unit_test(labels_and_series),
        cmocka_unit_test(metadata_and_status),
        cmocka_unit_test(tenants_methods_and_failures),
        cmocka_unit_test(too_many_samples),
        cmocka_unit_test(statistics),
        cmocka_unit_test(cross_origin),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
