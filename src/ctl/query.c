#include "base/arena.h"
#include "base/clock.h"
#include "codec/float_text.h"
#include "ctl/ctl.h"
#include "ctl/http_client.h"
#include "ctl/query_show.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Not set: a time or a step that the user did not give. */
#define NOT_GIVEN INT64_MIN

enum { RANGE_POINTS_WANTED = 250, LABEL_COLUMN_MAX = 100 };

struct query_args {
    const char *url, *tenant, *output, *explain;
    int64_t time_ms, start_ms, end_ms, step_ns, timeout_ns;
    uint64_t limit;
    bool stats;
    bool json;
};

static void print_help(const struct ctl_flag *flags, size_t n)
{
    puts(
        "Usage: palliumctl query EXPR [flags]\n"
        "\n"
        "Asks a running Pallium, Cortex or Prometheus a PromQL question. Without --start it is an instant query, with\n"
        "--start a range query. Results go to standard output, warnings and errors to standard error.\n");
    puts("Flags:");
    ctl_flags_print(flags, n);
    puts("\n"
         "Examples:\n"
         "  palliumctl query 'count by (__name__) ({__name__=~\"cortex_.+\"})'\n"
         "  palliumctl query 'rate(cortex_distributor_received_samples_total[1m])' --start -30m --step 1m\n"
         "  palliumctl query up --url https://cortex.example.org/prometheus --tenant team-a --time "
         "2026-01-02T03:04:05Z\n"
         "  palliumctl query up --output json | jq '.data.result[].metric'\n"
         "\n"
         "Exit code: 0 the query was answered (also when nothing matched), 1 it failed, 2 wrong usage.");
}

/* ---- asking ---- */

static void add_param(struct pl_buf *form, const char *name, pl_str value)
{
    if (form->n > 0) {
        pl_buf_byte(form, '&');
    }
    pl_buf_cstr(form, name);
    pl_buf_byte(form, '=');
    ctl_http_escape(form, value);
}

static void add_seconds(struct pl_buf *form, const char *name, double seconds)
{
    char text[FLOAT_TEXT_MAX];

    add_param(form, name, pl_str_of(text, float_put_f(text, seconds)));
}

static void build_form(struct pl_buf *form, const struct query_args *a, const char *expr)
{
    add_param(form, "query", pl_str_c(expr));
    if (a->start_ms != NOT_GIVEN) {
        add_seconds(form, "start", (double)a->start_ms / 1000);
        add_seconds(form, "end", (double)a->end_ms / 1000);
        add_seconds(form, "step", (double)a->step_ns / 1e9);
    } else if (a->time_ms != NOT_GIVEN) {
        add_seconds(form, "time", (double)a->time_ms / 1000);
    }
    if (a->timeout_ns > 0) {
        add_seconds(form, "timeout", (double)a->timeout_ns / 1e9);
    }
    if (a->limit > 0) {
        add_seconds(form, "limit", (double)a->limit);
    }
    if (a->stats) {
        add_param(form, "stats", PL_STR("all"));
    }
    if (a->explain[0] != '\0') {
        add_param(form, "explain", pl_str_c(a->explain));
    }
}

static pl_status ask(const struct query_args *a, const char *expr, int *status, struct pl_buf *answer,
                     struct pl_err *err)
{
    struct ctl_http *http;
    struct pl_arena arena;
    struct pl_buf form;
    const char *headers[3] = {"Content-Type: application/x-www-form-urlencoded", NULL, NULL};
    pl_str base = pl_str_c(a->url);
    struct ctl_http_request req = {.method = "POST", .headers = headers};
    pl_status st;

    pl_arena_init(&arena, 0);
    pl_buf_init(&form, 0);
    while (base.n > 0 && base.p[base.n - 1] == '/') {
        base.n--;
    }
    build_form(&form, a, expr);
    if (a->tenant[0] != '\0') {
        headers[1] = pl_arena_printf(&arena, "X-Scope-OrgID: %s", a->tenant).p;
    }
    req.url =
        pl_arena_printf(&arena, "%.*s/api/v1/query%s", PL_STR_ARG(base), a->start_ms != NOT_GIVEN ? "_range" : "").p;
    req.body = pl_buf_view(&form);
    req.timeout_ms = a->timeout_ns > 0 ? a->timeout_ns / PL_NS_PER_MS + 5000 : 180000;
    ctl_http_setup();
    http = ctl_http_create();
    st = ctl_http_do(http, &req, status, answer, err);
    ctl_http_destroy(http);
    pl_buf_fini(&form);
    pl_arena_fini(&arena);
    return st;
}

/* ---- tables ---- */

/* Control characters would play with the terminal. */
static void put_text(struct pl_buf *b, const char *s)
{
    for (; *s != '\0'; s++) {
        if ((unsigned char)*s < 0x20 || *s == 0x7f) {
            pl_buf_printf(b, "\\x%02x", (unsigned)(unsigned char)*s);
        } else {
            pl_buf_byte(b, (uint8_t)*s);
        }
    }
}

static void put_metric(struct pl_buf *b, json_t *metric)
{
    json_t *name = json_object_get(metric, "__name__");
    const char *key;
    json_t *value;
    bool first = true;

    if (name != NULL && json_is_string(name)) {
        put_text(b, json_string_value(name));
    }
    json_object_foreach(metric, key, value)
    {
        if (strcmp(key, "__name__") == 0 || !json_is_string(value)) {
            continue;
        }
        pl_buf_cstr(b, first ? "{" : ", ");
        first = false;
        put_text(b, key);
        pl_buf_cstr(b, "=\"");
        put_text(b, json_string_value(value));
        pl_buf_byte(b, '"');
    }
    if (!first) {
        pl_buf_byte(b, '}');
    } else if (name == NULL) {
        pl_buf_cstr(b, "{}");
    }
}

/* Columns a terminal needs for UTF-8 text, near enough: one per code point. */
static size_t width_of(pl_str s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        n += ((uint8_t)s.p[i] & 0xc0) != 0x80;
    }
    return n;
}

static void put_cell(struct pl_buf *out, pl_str text, size_t width)
{
    pl_buf_str(out, text);
    for (size_t n = width_of(text); n < width; n++) {
        pl_buf_byte(out, ' ');
    }
}

/* `[t, "v"]`: the value's text, "?" when the answer has another shape. */
static const char *point_value(json_t *point)
{
    const char *v = json_string_value(json_array_get(point, 1));

    return v != NULL ? v : "?";
}

static void put_time(struct pl_buf *b, json_t *point)
{
    json_t *t = json_array_get(point, 0);

    pl_buf_rfc3339_ms(b, pl_f64_to_i64(round(json_number_value(t) * 1000)));
}

static void print_vector(struct pl_buf *out, json_t *result)
{
    struct pl_buf text;
    json_t *item;
    size_t i;
    size_t width = 6;

    pl_buf_init(&text, 0);
    json_array_foreach(result, i, item)
    {
        pl_buf_reset(&text);
        put_metric(&text, json_object_get(item, "metric"));
        width = PL_MAX(width, PL_MIN(width_of(pl_buf_view(&text)), (size_t)LABEL_COLUMN_MAX));
    }
    put_cell(out, PL_STR("SERIES"), width);
    pl_buf_cstr(out, "  VALUE\n");
    json_array_foreach(result, i, item)
    {
        json_t *value = json_object_get(item, "value");

        pl_buf_reset(&text);
        put_metric(&text, json_object_get(item, "metric"));
        put_cell(out, pl_buf_view(&text), width);
        pl_buf_cstr(out, "  ");
        if (value != NULL) {
            pl_buf_cstr(out, point_value(value));
        } else {
            ctl_show_histogram(out, json_array_get(json_object_get(item, "histogram"), 1));
        }
        pl_buf_byte(out, '\n');
    }
    pl_buf_fini(&text);
}

/* One block per series: its name, then a line per point. */
static void print_matrix(struct pl_buf *out, json_t *result)
{
    json_t *item;
    size_t i;

    json_array_foreach(result, i, item)
    {
        json_t *point;
        size_t k;

        if (i > 0) {
            pl_buf_byte(out, '\n');
        }
        put_metric(out, json_object_get(item, "metric"));
        pl_buf_byte(out, '\n');
        json_array_foreach(json_object_get(item, "values"), k, point)
        {
            size_t from = out->n;

            pl_buf_cstr(out, "  ");
            put_time(out, point);
            while (out->n - from < 27) {
                pl_buf_byte(out, ' ');
            }
            pl_buf_printf(out, "  %s\n", point_value(point));
        }
        json_array_foreach(json_object_get(item, "histograms"), k, point)
        {
            pl_buf_cstr(out, "  ");
            put_time(out, point);
            pl_buf_cstr(out, "  ");
            ctl_show_histogram(out, json_array_get(point, 1));
            pl_buf_byte(out, '\n');
        }
    }
}

static void print_stats(json_t *data)
{
    json_t *samples = json_object_get(json_object_get(data, "stats"), "samples");
    json_t *timings = json_object_get(json_object_get(data, "stats"), "timings");

    if (samples != NULL && timings != NULL) {
        fprintf(stderr, "samples read: %lld, at once: %lld, evaluation: %.6f s, queue: %.6f s\n",
                (long long)json_integer_value(json_object_get(samples, "totalQueryableSamples")),
                (long long)json_integer_value(json_object_get(samples, "peakSamples")),
                json_number_value(json_object_get(timings, "evalTotalTime")),
                json_number_value(json_object_get(timings, "execQueueTime")));
    }
}

static void print_notes(json_t *root, const char *key, const char *word)
{
    json_t *note;
    size_t i;

    json_array_foreach(json_object_get(root, key), i, note)
    {
        if (json_is_string(note)) {
            fprintf(stderr, "%s: %s\n", word, json_string_value(note));
        }
    }
}

/* False when the data is not what the API promises. */
static bool print_table(json_t *data)
{
    const char *type = json_string_value(json_object_get(data, "resultType"));
    json_t *result = json_object_get(data, "result");
    struct pl_buf out;
    bool known = true;

    if (type == NULL || !json_is_array(result)) {
        return false;
    }
    pl_buf_init(&out, 0);
    if (strcmp(type, "scalar") == 0 || strcmp(type, "string") == 0) {
        put_text(&out, point_value(result));
        pl_buf_byte(&out, '\n');
    } else if (strcmp(type, "vector") != 0 && strcmp(type, "matrix") != 0) {
        known = false;
    } else if (json_array_size(result) == 0) {
        fputs("no series match\n", stderr);
    } else if (strcmp(type, "vector") == 0) {
        print_vector(&out, result);
    } else {
        print_matrix(&out, result);
    }
    if (out.n > 0) {
        (void)fwrite(out.p, 1, out.n, stdout);
    }
    pl_buf_fini(&out);
    return known;
}

/* Prints the answer; returns the exit code. */
static void print_explain(json_t *data)
{
    json_t *explain = json_object_get(data, "explain");
    struct pl_buf out;

    if (explain == NULL) {
        fputs("palliumctl query: the server explained nothing: it is no Pallium, or there is nothing to run\n", stderr);
        return;
    }
    pl_buf_init(&out, 0);
    ctl_show_explain(&out, explain);
    (void)fwrite(out.p, 1, out.n, stdout);
    pl_buf_fini(&out);
}

static int report(const struct query_args *a, int status, pl_str answer)
{
    json_error_t problem;
    json_t *root = json_loadb(answer.p, answer.n, JSON_ALLOW_NUL, &problem);
    const char *word = json_string_value(json_object_get(root, "status"));
    bool good = word != NULL && strcmp(word, "success") == 0;
    int code = good ? 0 : 1;

    if (root == NULL) {
        pl_str text = pl_str_trim(pl_str_sub(answer, 0, PL_MIN(answer.n, (size_t)500)));
        fprintf(stderr, "palliumctl query: HTTP %d: %.*s\n", status, PL_STR_ARG(text));
        if (status == 401 && a->tenant[0] == '\0') {
            fputs("hint: this server wants a tenant: --tenant ID\n", stderr);
        } else if (status == 404) {
            fprintf(stderr,
                    "hint: Pallium and Cortex have the API under /prometheus (--url http://HOST:9009/prometheus), "
                    "Prometheus under the root; asked was %s\n",
                    a->url);
        }
        return 1;
    }
    if (!good) {
        const char *text = json_string_value(json_object_get(root, "error"));
        const char *type = json_string_value(json_object_get(root, "errorType"));

        fprintf(stderr, "palliumctl query: %s: %s\n", type != NULL ? type : "error",
                text != NULL ? text : "no text given");
    } else if (a->json) {
        (void)fwrite(answer.p, 1, answer.n, stdout);
        putchar('\n');
    } else if (!print_table(json_object_get(root, "data"))) {
        fputs("palliumctl query: the answer is not that of a query API; try --output json\n", stderr);
        code = 1;
    }
    print_notes(root, "warnings", "warning");
    print_notes(root, "infos", "info");
    if (a->stats && !a->json) {
        print_stats(json_object_get(root, "data"));
    }
    if (a->explain[0] != '\0' && !a->json) {
        print_explain(json_object_get(root, "data"));
    }
    json_decref(root);
    return code;
}

/* Fills what follows from other flags; false with a message when they do not fit together. */
static bool complete(struct query_args *a)
{
    if (strcmp(a->output, "json") != 0 && strcmp(a->output, "table") != 0) {
        fprintf(stderr, "palliumctl query: --output must be table or json, not \"%s\"\n", a->output);
        return false;
    }
    a->json = strcmp(a->output, "json") == 0;
    if (a->start_ms == NOT_GIVEN) {
        if (a->end_ms != NOT_GIVEN || a->step_ns != 0) {
            fputs("palliumctl query: --end and --step need --start\n", stderr);
            return false;
        }
        return true;
    }
    if (a->time_ms != NOT_GIVEN) {
        fputs("palliumctl query: --time is for instant queries, --start for range queries: give one of them\n", stderr);
        return false;
    }
    if (a->end_ms == NOT_GIVEN) {
        a->end_ms = pl_now_unix_ms();
    }
    if (a->end_ms < a->start_ms) {
        fputs("palliumctl query: --end is before --start\n", stderr);
        return false;
    }
    if (a->step_ns == 0) {
        int64_t step_s = (a->end_ms - a->start_ms) / 1000 / RANGE_POINTS_WANTED;

        a->step_ns = PL_MAX(step_s, 1) * PL_NS_PER_S;
    }
    return true;
}

int ctl_query(int argc, char **argv)
{
    struct query_args a = {.url = "http://127.0.0.1:9009/prometheus",
                           .tenant = "",
                           .output = "table",
                           .explain = "",
                           .time_ms = NOT_GIVEN,
                           .start_ms = NOT_GIVEN,
                           .end_ms = NOT_GIVEN};
    const struct ctl_flag flags[] = {
        {"url", CTL_FLAG_TEXT, &a.url, "URL",
         "where the API is, up to before /api/v1 (default http://127.0.0.1:9009/prometheus)"},
        {"tenant", CTL_FLAG_TEXT, &a.tenant, "ID", "sent as X-Scope-OrgID (default: none)"},
        {"time", CTL_FLAG_TIME, &a.time_ms, "TIME",
         "instant query at this time: Unix seconds, RFC 3339 or -5m (default: now)"},
        {"start", CTL_FLAG_TIME, &a.start_ms, "TIME", "range query from this time on"},
        {"end", CTL_FLAG_TIME, &a.end_ms, "TIME", "end of the range (default: now)"},
        {"step", CTL_FLAG_DURATION, &a.step_ns, "DURATION",
         "distance of the range's points (default: about 250 points)"},
        {"timeout", CTL_FLAG_DURATION, &a.timeout_ns, "DURATION",
         "give up after this time (default: the server's limit)"},
        {"limit", CTL_FLAG_COUNT, &a.limit, "N", "at most this many series (default: all)"},
        {"stats", CTL_FLAG_BOOL, &a.stats, NULL, "show what the query cost"},
        {"explain", CTL_FLAG_TEXT, &a.explain, "plan|analyze",
         "show how the query runs: planned, without an answer; or measured, operator by operator"},
        {"output", CTL_FLAG_TEXT, &a.output, "table|json", "json is the server's answer as it came (default table)"},
    };
    struct pl_err err;
    struct pl_buf answer;
    bool help = false;
    int status = 0;
    int code;

    if (ctl_flags_parse(flags, PL_ARRAY_LEN(flags), &argc, argv, &help, &err) != PL_OK) {
        fprintf(stderr, "palliumctl query: %s\n", err.msg);
        if (strncmp(err.msg, "unknown", 7) == 0) {
            fputs("An expression that begins with a dash: palliumctl query -- '-up'\n", stderr);
        }
        return 2;
    }
    if (help) {
        print_help(flags, PL_ARRAY_LEN(flags));
        return 0;
    }
    if (argc != 2) {
        fputs(argc < 2 ? "palliumctl query: an expression is wanted; see palliumctl query --help\n"
                       : "palliumctl query: one expression is wanted; put it into quotes\n",
              stderr);
        return 2;
    }
    if (!complete(&a)) {
        return 2;
    }
    pl_buf_init(&answer, 0);
    if (ask(&a, argv[1], &status, &answer, &err) != PL_OK) {
        fprintf(stderr, "palliumctl query: %s\n", err.msg);
        code = 1;
    } else {
        code = report(&a, status, pl_buf_view(&answer));
    }
    pl_buf_fini(&answer);
    return code;
}
