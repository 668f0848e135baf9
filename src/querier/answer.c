#include "base/memory.h"
#include "codec/json_out.h"
#include "ports/shed.h"
#include "querier/internal.h"

/* Points are written in runs of this many, so that room is looked for once per run. */
enum { ANSWER_SMALL_BYTES = 1 << 20, ANSWER_RUN = 64, ANSWER_ROOM_MAX = 256 << 20 };

void querier_answer_begin(struct querier_call *c)
{
    uint64_t limit = c->q->o.query_bytes_max;

    if (c->limits != NULL && c->limits->max_query_response_size > 0) {
        limit = (uint64_t)c->limits->max_query_response_size;
    }
    c->resp->body.limit_bytes = limit;
    c->resp->content_type = "application/json";
    PL_BUF_LIT(&c->resp->body, "{\"status\":\"success\",\"data\":");
}

/* The line and column of a byte of the query, both from 1. */
static void put_position(struct pl_buf *b, pl_str query, uint32_t at)
{
    uint32_t line = 1;
    uint32_t line_start = 0;

    for (uint32_t i = 0; i < at && i < query.n; i++) {
        if (query.p[i] == '\n') {
            line++;
            line_start = i + 1;
        }
    }
    pl_buf_printf(b, " (%u:%u)", (unsigned)line, (unsigned)(at - line_start + 1));
}

static void put_note(struct pl_buf *b, struct pl_buf *text, pl_str note, const struct pq_note_detail *d, pl_str query)
{
    pl_buf_reset(text);
    pl_buf_str(text, note);
    if (d != NULL) {
        pl_buf_str(text, d->detail);
        put_position(text, query, d->pos.start);
    }
    json_str(b, pl_buf_view(text));
}

/* `,"warnings":[...]` from at most QUERIER_NOTES_MAX of the notes and one more text (NULL: none). */
static void put_notes(struct querier_call *c, const char *key, const pl_str *v, const struct pq_note_detail *details,
                      size_t n, const char *more_text, const char *extra)
{
    struct pl_buf *b = &c->resp->body;
    struct pl_buf text;
    size_t shown = PL_MIN(n, (size_t)QUERIER_NOTES_MAX);

    if (n == 0 && extra == NULL) {
        return;
    }
    pl_buf_byte(b, ',');
    json_key(b, key);
    pl_buf_byte(b, '[');
    pl_buf_init(&text, 0);
    for (size_t i = 0; i < shown; i++) {
        json_comma(b);
        put_note(b, &text, v[i], details != NULL ? &details[i] : NULL, querier_param(c, "query"));
    }
    pl_buf_fini(&text);
    if (n > shown) {
        json_comma(b);
        pl_buf_byte(b, '"');
        pl_buf_u64(b, n - shown);
        pl_buf_cstr(b, more_text);
        pl_buf_byte(b, '"');
    }
    if (extra != NULL) {
        json_comma(b);
        json_cstr(b, extra);
    }
    pl_buf_byte(b, ']');
}

pl_status querier_answer_end(struct querier_call *c, const struct pq_notes *notes)
{
    static const struct pq_notes none;
    struct pl_buf *b = &c->resp->body;

    notes = notes != NULL ? notes : &none;
    put_notes(c, "warnings", notes->warnings, notes->warning_details, notes->warning_count, MSG_MORE_WARNINGS,
              c->reached_limit ? MSG_TRUNCATED : NULL);
    put_notes(c, "infos", notes->infos, notes->info_details, notes->info_count, MSG_MORE_INFOS, NULL);
    pl_buf_byte(b, '}');
    if (c->answer_stopped != PL_OK) {
        return c->answer_stopped == PL_CANCELED ? pl_fail(&c->err, PL_CANCELED, MSG_CANCELED)
                                                : shed_fail(SHED_QUERY, &c->err);
    }
    if (b->overflow) {
        return pl_fail(&c->err, PL_LIMIT, MSG_RESPONSE_LIMIT, (unsigned long long)b->limit_bytes);
    }
    return PL_OK;
}

void querier_answer_labels(struct pl_buf *b, struct labels ls)
{
    pl_buf_byte(b, '{');
    for (size_t i = 0; i < ls.n; i++) {
        if (i > 0) {
            pl_buf_byte(b, ',');
        }
        json_str_as(b, ls.v[i].name, JSON_ESCAPE_LABELS);
        pl_buf_byte(b, ':');
        json_str_as(b, ls.v[i].value, JSON_ESCAPE_LABELS);
    }
    pl_buf_byte(b, '}');
}

/* False when nobody waits for the answer any more, or memory ran short under a large one. */
static bool goes_on(struct querier_call *c)
{
    if (c->req->canceled != NULL && atomic_load_explicit(c->req->canceled, memory_order_relaxed)) {
        c->answer_stopped = PL_CANCELED;
    } else if (c->resp->body.n > ANSWER_SMALL_BYTES && pl_memory_state() != PL_MEMORY_FINE) {
        c->answer_stopped = PL_UNAVAILABLE;
    }
    return c->answer_stopped == PL_OK && !c->resp->body.overflow;
}

/* Times as text. The series of a matrix share their times, so that each is written once. */
struct time_text {
    int64_t t_ms;
    uint8_t n; /* 0: none yet */
    char text[JSON_TIME_MAX];
};

struct time_texts {
    struct time_text *v; /* by the number of the point; NULL: no memory for it */
    size_t n;
};

static struct time_texts times_make(struct querier_call *c, const struct pq_series *s, size_t n)
{
    struct time_texts t = {0};

    for (size_t i = 0; i < n; i++) {
        t.n = PL_MAX(t.n, s[i].count);
    }
    t.v = n > 1 ? pl_arena_new_array_try(&c->arena, struct time_text, t.n) : NULL;
    t.n = t.v != NULL ? t.n : 0;
    return t;
}

static size_t put_time(char *out, const struct time_texts *times, size_t k, int64_t t_ms)
{
    struct time_text *t;

    if (k >= times->n) {
        return json_put_time(out, t_ms);
    }
    t = &times->v[k];
    if (t->n == 0 || t->t_ms != t_ms) {
        t->n = (uint8_t)json_put_time(t->text, t_ms);
        t->t_ms = t_ms;
    }
    memcpy(out, t->text, sizeof(t->text)); /* whole, which is quicker: the room is there */
    return t->n;
}

static void put_points(struct querier_call *c, const struct pq_point *p, size_t n, const struct time_texts *times)
{
    struct pl_buf *b = &c->resp->body;

    pl_buf_byte(b, '[');
    for (size_t i = 0; i < n && goes_on(c); i += ANSWER_RUN) {
        size_t run = PL_MIN(n - i, (size_t)ANSWER_RUN);
        char *out = pl_buf_reserve(b, run * JSON_POINT_MAX + JSON_POINT_SPACE);
        char *at = out;

        if (out == NULL) {
            return;
        }
        for (size_t k = i; k < i + run; k++) {
            if (k > 0) {
                *at++ = ',';
            }
            *at++ = '[';
            at += put_time(at, times, k, p[k].t_ms);
            *at++ = ',';
            at += json_put_value(at, p[k].v);
            *at++ = ']';
        }
        b->n += (size_t)(at - out);
    }
    pl_buf_byte(b, ']');
}

static void put_hists(struct querier_call *c, const struct pq_hist_point *p, size_t n)
{
    struct pl_buf *b = &c->resp->body;

    pl_buf_byte(b, '[');
    for (size_t i = 0; i < n && goes_on(c); i++) {
        if (i > 0) {
            pl_buf_byte(b, ',');
        }
        querier_answer_hist(b, p[i].t_ms, p[i].h);
    }
    pl_buf_byte(b, ']');
}

static void put_vector(struct pl_buf *b, const struct pq_series *s, size_t n)
{
    pl_buf_byte(b, '[');
    for (size_t i = 0; i < n; i++) {
        if (i > 0) {
            pl_buf_byte(b, ',');
        }
        PL_BUF_LIT(b, "{\"metric\":");
        querier_answer_labels(b, s[i].labels);
        if (s[i].hist_count > 0) {
            PL_BUF_LIT(b, ",\"histogram\":");
            querier_answer_hist(b, s[i].hists[0].t_ms, s[i].hists[0].h);
        } else {
            PL_BUF_LIT(b, ",\"value\":");
            json_point(b, s[i].points[0].t_ms, s[i].points[0].v);
        }
        pl_buf_byte(b, '}');
    }
    pl_buf_byte(b, ']');
}

/* Room for the rest at once, judged by what the first series took, so that the answer is not moved again and again
 * while it grows. Memory that is not written to is not taken. */
static void room_for_rest(struct pl_buf *b, size_t first_bytes, const struct pq_series *s, size_t n)
{
    size_t points = 0, bytes;

    for (size_t i = 1; i < n; i++) {
        points += s[i].count;
    }
    bytes = s[0].count > 0 ? first_bytes / s[0].count * points : 0;
    bytes = PL_MIN(bytes + bytes / 8, (size_t)ANSWER_ROOM_MAX);
    if (b->limit_bytes == 0 || bytes < b->limit_bytes / 2) {
        (void)pl_buf_reserve(b, bytes);
    }
}

static void put_matrix(struct querier_call *c, const struct pq_series *s, size_t n)
{
    struct pl_buf *b = &c->resp->body;
    struct time_texts times = times_make(c, s, n);

    size_t start = b->n;

    pl_buf_byte(b, '[');
    for (size_t i = 0; i < n && goes_on(c); i++) {
        if (i > 0) {
            pl_buf_byte(b, ',');
        }
        if (i == 1) {
            room_for_rest(b, b->n - start, s, n);
        }
        PL_BUF_LIT(b, "{\"metric\":");
        querier_answer_labels(b, s[i].labels);
        if (s[i].count > 0) {
            PL_BUF_LIT(b, ",\"values\":");
            put_points(c, s[i].points, s[i].count, &times);
        }
        if (s[i].hist_count > 0) {
            PL_BUF_LIT(b, ",\"histograms\":");
            put_hists(c, s[i].hists, s[i].hist_count);
        }
        pl_buf_byte(b, '}');
    }
    pl_buf_byte(b, ']');
}

/* COMPAT: scalars and strings go through encoding/json: the time is a float64 of seconds (1.05 where a vector
 * has 1.050), the scalar is strconv 'f' (1000000000000000000000 where a vector has 1e+21). */
static void put_scalar(struct pl_buf *b, int64_t t_ms, double v)
{
    char text[FLOAT_TEXT_MAX];

    pl_buf_byte(b, '[');
    json_f64(b, (double)t_ms / 1000);
    PL_BUF_LIT(b, ",\"");
    pl_buf_add(b, text, float_put_f(text, v));
    PL_BUF_LIT(b, "\"]");
}

static void put_value(struct querier_call *c, const struct pq_result *r, size_t count)
{
    struct pl_buf *b = &c->resp->body;

    switch (r->type) {
    case PQ_SCALAR:
        PL_BUF_LIT(b, "{\"resultType\":\"scalar\",\"result\":");
        put_scalar(b, r->t_ms, r->scalar);
        return;
    case PQ_STRING:
        PL_BUF_LIT(b, "{\"resultType\":\"string\",\"result\":[");
        json_f64(b, (double)r->t_ms / 1000);
        pl_buf_byte(b, ',');
        json_str_as(b, r->string, JSON_ESCAPE_GO);
        pl_buf_byte(b, ']');
        return;
    case PQ_VECTOR:
        PL_BUF_LIT(b, "{\"resultType\":\"vector\",\"result\":");
        put_vector(b, r->series, count);
        return;
    case PQ_MATRIX:
        PL_BUF_LIT(b, "{\"resultType\":\"matrix\",\"result\":");
        put_matrix(c, r->series, count);
        return;
    case PQ_NONE:
        PL_UNREACHABLE("a result without a type");
    }
}

static void put_seconds(struct pl_buf *b, const char *key, int64_t ns)
{
    json_comma(b);
    json_key(b, key);
    json_f64(b, (double)ns / 1e9);
}

static void put_stats(struct pl_buf *b, const struct pq_stats *s, int64_t queue_ns, int64_t step_ms, int64_t start_ms)
{
    int64_t total_ns = s->prepare_ns + s->eval_ns + s->sort_ns;

    PL_BUF_LIT(b, ",\"stats\":{\"timings\":{");
    put_seconds(b, "evalTotalTime", total_ns);
    put_seconds(b, "resultSortTime", s->sort_ns);
    put_seconds(b, "queryPreparationTime", s->prepare_ns);
    put_seconds(b, "innerEvalTime", s->eval_ns);
    put_seconds(b, "execQueueTime", queue_ns);
    put_seconds(b, "execTotalTime", total_ns + queue_ns);
    PL_BUF_LIT(b, "},\"samples\":{");
    if (s->step_count > 0) {
        PL_BUF_LIT(b, "\"totalQueryableSamplesPerStep\":[");
        for (size_t i = 0; i < s->step_count; i++) {
            json_comma(b);
            pl_buf_byte(b, '[');
            json_f64(b, (double)(start_ms + (int64_t)i * step_ms) / 1000);
            pl_buf_byte(b, ',');
            pl_buf_u64(b, s->samples_per_step[i]);
            pl_buf_byte(b, ']');
        }
        PL_BUF_LIT(b, "],");
    }
    PL_BUF_LIT(b, "\"totalQueryableSamples\":");
    pl_buf_u64(b, s->samples_total);
    PL_BUF_LIT(b, ",\"peakSamples\":");
    pl_buf_u64(b, s->samples_peak);
    PL_BUF_LIT(b, "}}");
}

pl_status querier_answer_result(struct querier_call *c, const struct pq_result *r, const struct pq_query *query,
                                uint64_t limit, bool stats)
{
    struct pl_buf *b = &c->resp->body;
    size_t count = r->series_count;

    if (limit > 0 && count > limit) {
        count = (size_t)limit;
        c->reached_limit = true;
    }
    querier_answer_begin(c);
    put_value(c, r, count);
    if (stats) {
        put_stats(b, &r->stats, c->queue_ns, query->step_ms, query->start_ms);
    }
    if (r->explained != NULL) {
        PL_BUF_LIT(b, ",\"explain\":");
        pq_explain_json(b, r->explained, query->explain);
    }
    pl_buf_byte(b, '}');
    return querier_answer_end(c, &r->notes);
}
