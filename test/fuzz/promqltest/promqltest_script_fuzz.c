/* Any text is a script: it is read within its memory, twice the same; a histogram that it names prints as a literal
 * that reads as the same histogram; and running it accounts for every evaluation. */
#include "promqltest/promqltest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MEMORY = 8 << 20, PRINTED_WHOLE = 400 };

static bool short_side(const struct hist_side *s)
{
    return s->len == 0 || (s->len < PRINTED_WHOLE && s->at[s->len - 1] - (int64_t)s->at[0] < PRINTED_WHOLE);
}

static void check_literal(struct pl_arena *a, const struct hist *h)
{
    struct ptest_series again;
    const struct hist *x, *y;
    struct pl_err err;
    struct pl_buf b;

    if (!short_side(&h->pos) || !short_side(&h->neg) || h->bound_count > PRINTED_WHOLE) {
        return;
    }
    pl_buf_init(&b, 0);
    pl_buf_cstr(&b, "x ");
    ptest_hist_print(&b, h);
    PL_ASSERT(ptest_series_parse(&again, a, pl_buf_view(&b), &err) == PL_OK);
    PL_ASSERT(again.n == 1 && again.values[0].h != NULL);
    x = hist_compact(a, h);
    y = hist_compact(a, again.values[0].h);
    PL_ASSERT(x != NULL && y != NULL && x->schema == y->schema && x->pos.len == y->pos.len && x->neg.len == y->neg.len);
    for (uint32_t i = 0; i < x->pos.len; i++) {
        PL_ASSERT(x->pos.at[i] == y->pos.at[i] &&
                  (x->pos.n[i] == y->pos.n[i] || (x->pos.n[i] != x->pos.n[i] && y->pos.n[i] != y->pos.n[i])));
    }
    pl_buf_fini(&b);
}

static void check_loads(const struct ptest_script *s)
{
    struct pl_arena a;
    unsigned literals = 0;

    pl_arena_init(&a, 0);
    for (size_t i = 0; i < s->n; i++) {
        const struct ptest_load *l = &s->commands[i].load;

        for (size_t k = 0; s->commands[i].kind == PTEST_LOAD && k < l->n; k++) {
            for (size_t v = 0; v < l->series[k].n && literals < 200; v++) {
                if (l->series[k].values[v].h != NULL) {
                    check_literal(&a, l->series[k].values[v].h);
                    literals++;
                }
            }
        }
    }
    pl_arena_fini(&a);
}

/* Small enough to run: repetition counts make much of little text. */
static bool is_small(const struct ptest_script *s)
{
    size_t values = 0, evals = 0;

    for (size_t i = 0; i < s->n; i++) {
        const struct ptest_command *c = &s->commands[i];

        for (size_t k = 0; c->kind == PTEST_LOAD && k < c->load.n; k++) {
            values += c->load.series[k].n;
        }
        if (c->kind == PTEST_EVAL) {
            evals++;
            values += c->eval.range && (c->eval.end_ms - c->eval.start_ms) / c->eval.step_ms > 1000 ? 1000000 : 0;
        }
    }
    return values < 2000 && evals < 10;
}

static void run(const struct ptest_script *s)
{
    struct ptest_target *t = ptest_local_create(&(struct ptest_local_options){.cheap = false});
    struct ptest_result r;
    struct pl_buf report;

    pl_buf_init(&report, 1 << 20);
    ptest_run(&r, t, s, &report, &(struct ptest_options){.name = PL_STR("f"), .list_skipped = true});
    PL_ASSERT(r.evals == r.passed + r.failed + r.skipped);
    PL_ASSERT((r.failed + r.skipped + r.bad > 0) == (report.n > 0));
    pl_buf_fini(&report);
    ptest_target_destroy(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pl_str text = pl_str_of((const char *)data, size);
    struct ptest_script s, again;
    struct pl_arena a, b;
    struct pl_err err;

    if (size > 1 << 14) {
        return 0;
    }
    pl_arena_init(&a, MEMORY);
    pl_arena_init(&b, MEMORY);
    if (ptest_script_parse(&s, &a, text, &err) == PL_OK) {
        PL_ASSERT(ptest_script_parse(&again, &b, text, &err) == PL_OK);
        PL_ASSERT(s.n == again.n);
        for (size_t i = 0; i < s.n; i++) {
            PL_ASSERT(s.commands[i].kind == again.commands[i].kind && s.commands[i].line == again.commands[i].line);
        }
        check_loads(&s);
        if (is_small(&s)) {
            run(&s);
        }
    }
    pl_arena_fini(&b);
    pl_arena_fini(&a);
    return 0;
}
