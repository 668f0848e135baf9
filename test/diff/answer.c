/* Answers queries over one block in process, in the words of Prometheus's API:
 *   diff_answer BLOCK_DIR < QUERIES
 * A line of QUERIES: start_ms end_ms step_ms switches query. Step 0 is an instant query. Switches: letters of d (names
 * are removed late), u (type and unit labels), - (none). The query is one JSON-like text: \n and \\ stand for a line
 * end and a backslash. One line an answer: what the body of an answer over HTTP would be. What the node cannot be asked
 * for is asked here (anchored, smoothed, fill, late removal of names), and without a server. */
#include "base/clock.h"
#include "codec/json_out.h"
#include "promql/engine.h"
#include "tsdb/block.h"

#include <stdio.h>
#include <stdlib.h>

enum { NOTES_SHOWN = 10, DEADLINE_S = 60, QUERY_BYTES_MAX = 1 << 30 };

static struct pl_err err;

static void put_labels(struct pl_buf *b, struct labels ls)
{
    pl_buf_byte(b, '{');
    for (size_t i = 0; i < ls.n; i++) {
        json_comma(b);
        json_str_as(b, ls.v[i].name, JSON_ESCAPE_LABELS);
        pl_buf_byte(b, ':');
        json_str_as(b, ls.v[i].value, JSON_ESCAPE_LABELS);
    }
    pl_buf_byte(b, '}');
}

static void put_text(struct pl_buf *b, double v)
{
    char text[FLOAT_TEXT_MAX + 2];

    pl_buf_add(b, text, json_put_value(text, v));
}

static void put_time(struct pl_buf *b, int64_t t_ms)
{
    char text[JSON_TIME_MAX];

    pl_buf_add(b, text, json_put_time(text, t_ms));
}

static void put_hist(struct pl_buf *b, int64_t t_ms, const struct hist *h)
{
    struct hist_iter it;
    struct hist_bucket k;
    bool any = false;

    pl_buf_byte(b, '[');
    put_time(b, t_ms);
    PL_BUF_LIT(b, ",{\"count\":");
    put_text(b, h->count);
    PL_BUF_LIT(b, ",\"sum\":");
    put_text(b, h->sum);
    hist_iter_init(&it, h, false);
    while (hist_iter_next(&it, &k)) {
        if (k.count == 0) {
            continue;
        }
        pl_buf_cstr(b, any ? "," : ",\"buckets\":[");
        any = true;
        pl_buf_printf(b, "[%d,", k.lower_inclusive ? (k.upper_inclusive ? 3 : 1) : k.upper_inclusive ? 0 : 2);
        put_text(b, k.lower);
        pl_buf_byte(b, ',');
        put_text(b, k.upper);
        pl_buf_byte(b, ',');
        put_text(b, k.count);
        pl_buf_byte(b, ']');
    }
    pl_buf_cstr(b, any ? "]}]" : "}]");
}

static void put_series(struct pl_buf *b, const struct pq_series *s, bool vector)
{
    PL_BUF_LIT(b, "{\"metric\":");
    put_labels(b, s->labels);
    if (s->count > 0) {
        pl_buf_cstr(b, vector ? ",\"value\":" : ",\"values\":[");
        for (size_t i = 0; i < s->count; i++) {
            pl_buf_cstr(b, i > 0 ? "," : "");
            json_point(b, s->points[i].t_ms, s->points[i].v);
        }
        pl_buf_cstr(b, vector ? "" : "]");
    }
    if (s->hist_count > 0) {
        pl_buf_cstr(b, vector ? ",\"histogram\":" : ",\"histograms\":[");
        for (size_t i = 0; i < s->hist_count; i++) {
            pl_buf_cstr(b, i > 0 ? "," : "");
            put_hist(b, s->hists[i].t_ms, s->hists[i].h);
        }
        pl_buf_cstr(b, vector ? "" : "]");
    }
    pl_buf_byte(b, '}');
}

static void put_data(struct pl_buf *b, const struct pq_result *r)
{
    static const char *const names[] = {
        [PQ_SCALAR] = "scalar", [PQ_STRING] = "string", [PQ_VECTOR] = "vector", [PQ_MATRIX] = "matrix"};
    char text[FLOAT_TEXT_MAX];

    pl_buf_printf(b, "{\"resultType\":\"%s\",\"result\":[", names[r->type]);
    if (r->type == PQ_SCALAR) {
        json_f64(b, (double)r->t_ms / 1000);
        PL_BUF_LIT(b, ",\"");
        pl_buf_add(b, text, float_put_f(text, r->scalar));
        pl_buf_byte(b, '"');
    } else if (r->type == PQ_STRING) {
        json_f64(b, (double)r->t_ms / 1000);
        pl_buf_byte(b, ',');
        json_str_as(b, r->string, JSON_ESCAPE_GO);
    }
    for (size_t i = 0; i < r->series_count; i++) {
        pl_buf_cstr(b, i > 0 ? "," : "");
        put_series(b, &r->series[i], r->type == PQ_VECTOR);
    }
    pl_buf_printf(b, "],\"stats\":{\"samples\":{\"totalQueryableSamples\":%llu}}}",
                  (unsigned long long)r->stats.samples_total);
}

static void put_notes(struct pl_buf *b, const char *key, const pl_str *v, const struct pq_note_detail *details,
                      size_t n, pl_str query)
{
    struct pl_buf text;

    if (n == 0) {
        return;
    }
    pl_buf_init(&text, 0);
    pl_buf_printf(b, ",\"%ss\":[", key);
    for (size_t i = 0; i < PL_MIN(n, (size_t)NOTES_SHOWN); i++) {
        uint32_t line = 1, from = 0;

        for (uint32_t k = 0; k < details[i].pos.start && k < query.n; k++) {
            if (query.p[k] == '\n') {
                line++;
                from = k + 1;
            }
        }
        pl_buf_reset(&text);
        pl_buf_str(&text, v[i]);
        pl_buf_str(&text, details[i].detail);
        pl_buf_printf(&text, " (%u:%u)", (unsigned)line, (unsigned)(details[i].pos.start - from + 1));
        json_comma(b);
        json_str(b, pl_buf_view(&text));
    }
    if (n > NOTES_SHOWN) {
        pl_buf_printf(b, ",\"%zu more %s annotations omitted\"", n - NOTES_SHOWN, key);
    }
    pl_buf_byte(b, ']');
    pl_buf_fini(&text);
}

static void put_error(struct pl_buf *b, pl_status st)
{
    struct pl_buf text;
    const char *type = st == PL_INVALID    ? "bad_data"
                       : st == PL_TIMEOUT  ? "timeout"
                       : st == PL_CANCELED ? "canceled"
                                           : "execution";

    pl_buf_init(&text, 0);
    pl_buf_cstr(&text, st == PL_INVALID ? "invalid parameter \"query\": " : "");
    pl_buf_cstr(&text, err.msg);
    pl_buf_reset(b);
    pl_buf_printf(b, "{\"status\":\"error\",\"errorType\":\"%s\",\"error\":", type);
    json_str(b, pl_buf_view(&text));
    pl_buf_byte(b, '}');
    pl_buf_fini(&text);
}

/* In place; returns the new length. */
static size_t unescape(char *p, size_t n)
{
    size_t out = 0;

    for (size_t i = 0; i < n; i++) {
        if (p[i] == '\\' && i + 1 < n) {
            i++;
            p[out++] = p[i] == 'n' ? '\n' : p[i];
        } else {
            p[out++] = p[i];
        }
    }
    return out;
}

static void answer(struct series_source *source, char *line, size_t n, struct pl_buf *b)
{
    static const struct pq_parse_options options = {
        .experimental_functions = true, .extended_selectors = true, .fill_modifiers = true};
    struct pq_query q = {.lookback_ms = 300000, .default_step_ms = 60000, .samples_max = 50000000};
    struct pl_arena a;
    struct pq_node *expr;
    struct pq_result r;
    char *at = line;
    pl_str text;
    pl_status st;

    q.start_ms = strtoll(at, &at, 10);
    q.end_ms = strtoll(at, &at, 10);
    q.step_ms = strtoll(at, &at, 10);
    q.deadline_mono_ns = pl_now_mono_ns() + DEADLINE_S * PL_NS_PER_S;
    for (at++; *at != '\0' && *at != ' '; at++) {
        q.delayed_name_removal |= *at == 'd';
        q.type_and_unit_labels |= *at == 'u';
    }
    at += *at == ' ';
    text = pl_str_of(at, unescape(at, n - (size_t)(at - line)));
    pl_buf_reset(b);
    pl_arena_init(&a, QUERY_BYTES_MAX);
    st = pq_parse(&expr, &a, text, &options, &err);
    if (st == PL_OK) {
        q.expr = expr;
        st = pq_run(&r, &a, source, &q, &err);
    }
    if (st == PL_OK) {
        PL_BUF_LIT(b, "{\"status\":\"success\",\"data\":");
        put_data(b, &r);
        put_notes(b, "warning", r.notes.warnings, r.notes.warning_details, r.notes.warning_count, text);
        put_notes(b, "info", r.notes.infos, r.notes.info_details, r.notes.info_count, text);
        pl_buf_byte(b, '}');
    } else {
        put_error(b, st);
    }
    pl_buf_byte(b, '\n');
    (void)fwrite(b->p, 1, b->n, stdout);
    (void)fflush(stdout);
    pl_arena_fini(&a);
}

int main(int argc, char **argv)
{
    struct block *block;
    struct pl_buf b;
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;

    if (argc != 2 || block_open(&block, pl_str_c(argv[1]), &err) != PL_OK) {
        (void)fprintf(stderr, "usage: diff_answer BLOCK_DIR < QUERIES %s\n", argc == 2 ? err.msg : "");
        return 2;
    }
    pl_buf_init(&b, 0);
    while ((n = getline(&line, &cap, stdin)) > 0) {
        if (line[n - 1] == '\n') {
            line[--n] = '\0';
        }
        answer(block_source(block), line, (size_t)n, &b);
    }
    free(line);
    pl_buf_fini(&b);
    block_unref(block);
    return 0;
}
