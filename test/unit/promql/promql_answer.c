/* Answers queries over samples in a text file, for comparison with a real Prometheus (promql_diff.py).
 * promql_answer DATA < QUERIES. DATA lines: L name value name value ... (tabs between, sorted, __name__ among them)
 * begins a series, "t_ms value" adds a sample. QUERIES lines: start_ms end_ms step_ms query; step 0 is an instant
 * query. One line of JSON an answer: {"data": ...} as Prometheus's API gives it, or {"error": "..."}. */
#include "base/clock.h"
#include "codec/float_text.h"
#include "promqltest/mem_source.h"
#include "promql/engine.h"

#include <stdio.h>
#include <stdlib.h>

enum { LABELS_MAX = 32 };

static void load(struct mem_source *m, FILE *f)
{
    struct mem_series *s = NULL;
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;

    while ((n = getline(&line, &cap, f)) > 0) {
        if (line[n - 1] == '\n') {
            line[--n] = '\0';
        }
        if (line[0] == 'L') {
            struct label l[LABELS_MAX];
            size_t count = 0;
            char *save = NULL, *name;

            (void)strtok_r(line, "\t", &save);
            while ((name = strtok_r(NULL, "\t", &save)) != NULL && count < LABELS_MAX) {
                char *value = strtok_r(NULL, "\t", &save);

                l[count++] = (struct label){pl_str_c(name), pl_str_c(value)};
            }
            s = mem_source_series(m, (struct labels){l, count});
        } else if (s != NULL) {
            char *end;
            int64_t t = strtoll(line, &end, 10);
            double v;

            if (float_parse(pl_str_trim(pl_str_c(end)), &v)) {
                mem_series_add(m, s, t, v);
            }
        }
    }
    free(line);
}

static void put_point(struct pl_buf *b, int64_t t_ms, double v)
{
    pl_buf_printf(b, "[%lld,\"", (long long)t_ms);
    pl_buf_f64_json(b, v);
    pl_buf_cstr(b, "\"]");
}

static void put_result(struct pl_buf *b, const struct pq_result *r)
{
    pl_buf_cstr(b, "{\"data\":[");
    if (r->type == PQ_SCALAR) {
        put_point(b, r->t_ms, r->scalar);
    }
    for (size_t i = 0; i < r->series_count; i++) {
        const struct pq_series *s = &r->series[i];

        pl_buf_cstr(b, i > 0 ? ",{\"metric\":{" : "{\"metric\":{");
        for (size_t l = 0; l < s->labels.n; l++) {
            pl_buf_cstr(b, l > 0 ? "," : "");
            pl_buf_quoted(b, s->labels.v[l].name);
            pl_buf_byte(b, ':');
            pl_buf_quoted(b, s->labels.v[l].value);
        }
        pl_buf_cstr(b, "},\"values\":[");
        for (size_t p = 0; p < s->count; p++) {
            pl_buf_cstr(b, p > 0 ? "," : "");
            put_point(b, s->points[p].t_ms, s->points[p].v);
        }
        pl_buf_cstr(b, "]}");
    }
    pl_buf_printf(b, "],\"samples\":%llu}", (unsigned long long)r->stats.samples_total);
}

static void answer(struct mem_source *m, char *line, struct pl_buf *b)
{
    static const struct pq_parse_options options = {.experimental_functions = true};
    struct pq_query q = {.lookback_ms = 300000, .default_step_ms = 60000};
    struct pl_err err = {0};
    struct pl_arena a;
    struct pq_node *expr;
    struct pq_result r;
    char *at = line;
    pl_status st;

    q.start_ms = strtoll(at, &at, 10);
    q.end_ms = strtoll(at, &at, 10);
    q.step_ms = strtoll(at, &at, 10);
    pl_buf_reset(b);
    pl_arena_init(&a, 0);
    st = pq_parse(&expr, &a, pl_str_trim(pl_str_c(at)), &options, &err);
    if (st == PL_OK) {
        q.expr = expr;
        st = pq_run(&r, &a, &m->base, &q, &err);
    }
    if (st == PL_OK) {
        put_result(b, &r);
    } else {
        pl_buf_cstr(b, "{\"error\":");
        pl_buf_quoted(b, pl_str_c(err.msg));
        pl_buf_cstr(b, "}");
    }
    printf("%.*s\n", (int)b->n, b->p);
    pl_arena_fini(&a);
}

int main(int argc, char **argv)
{
    struct mem_source m;
    struct pl_buf b;
    char *line = NULL;
    size_t cap = 0;
    FILE *f = argc > 1 ? fopen(argv[1], "r") : NULL;

    if (f == NULL) {
        (void)fprintf(stderr, "usage: promql_answer DATA < QUERIES\n");
        return 2;
    }
    mem_source_init(&m);
    pl_buf_init(&b, 0);
    load(&m, f);
    (void)fclose(f);
    while (getline(&line, &cap, stdin) > 0) {
        answer(&m, line, &b);
    }
    free(line);
    pl_buf_fini(&b);
    mem_source_fini(&m);
    return 0;
}
