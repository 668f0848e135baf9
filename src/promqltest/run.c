/* Runs a script against a target. */
#include "promqltest/internal.h"

struct run {
    struct ptest_result *result;
    struct ptest_target *target;
    struct pl_buf *report;
    const struct ptest_options *o;
    struct pl_arena arena; /* of one command */
};

static void say(struct run *r, unsigned line, const char *fmt, ...) PL_PRINTF(3, 4);
static void say(struct run *r, unsigned line, const char *fmt, ...)
{
    va_list ap;

    pl_buf_printf(r->report, "%.*s:%u: ", PL_STR_ARG(r->o->name), line);
    va_start(ap, fmt);
    pl_buf_vprintf(r->report, fmt, ap);
    va_end(ap);
    pl_buf_byte(r->report, '\n');
}

static void say_eval(struct run *r, unsigned line, const struct ptest_eval *e, const char *before)
{
    pl_buf_printf(r->report, "%.*s:%u: %s", PL_STR_ARG(r->o->name), line, before);
    if (e->range) {
        pl_buf_cstr(r->report, "range from ");
        ptest__time(r->report, e->start_ms);
        pl_buf_cstr(r->report, " to ");
        ptest__time(r->report, e->end_ms);
        pl_buf_cstr(r->report, " step ");
        ptest__time(r->report, e->step_ms);
    } else {
        pl_buf_cstr(r->report, "instant at ");
        ptest__time(r->report, e->start_ms);
    }
    pl_buf_printf(r->report, ": %.*s\n", PL_STR_ARG(e->query));
}

/* Asks and compares; the differences stand behind one line that says which way of asking it was. */
static bool ask_and_check(struct run *r, const struct ptest_eval *e, const struct ptest_question *q, const char *way,
                          struct ptest_answer *out)
{
    struct pl_err err = {.status = PL_OK};
    struct pl_buf differences;
    bool ok = false;

    pl_buf_init(&differences, 0);
    if (r->target->ops->ask(r->target, &r->arena, q, out, &err) != PL_OK) {
        pl_buf_printf(&differences, "    no answer: %s\n", err.msg);
    } else if (out->skip != NULL) {
        ok = true;
    } else {
        ok = ptest__check(&differences, &r->arena, e, out);
    }
    if (!ok) {
        pl_buf_cstr(r->report, way);
        pl_buf_str(r->report, pl_buf_view(&differences));
    }
    pl_buf_fini(&differences);
    return ok;
}

/* ---- the further checks of Prometheus's own runner ---- */

/* The same as a range query from a minute before to a minute after: its middle step must be the instant's answer. */
static bool check_range(struct run *r, const struct ptest_eval *e, const struct ptest_question *instant)
{
    const int64_t t = instant->start_ms;
    struct ptest_question q = *instant;
    struct ptest_answer got;
    struct pl_err err = {.status = PL_OK};
    size_t n = 0;
    bool ok;

    q.range = true;
    q.start_ms = t - 60000;
    q.end_ms = t + 60000;
    q.step_ms = 60000;
    r->result->extra_checks++;
    if (r->target->ops->ask(r->target, &r->arena, &q, &got, &err) != PL_OK || got.failed) {
        pl_buf_printf(r->report, "    as a range query around it: error: %.*s\n", (int)got.error.n,
                      got.error.n > 0 ? got.error.p : "");
        return false;
    }
    for (size_t i = 0; i < got.n; i++) {
        for (size_t p = 0; p < got.rows[i].n; p++) {
            if (got.rows[i].points[p].t_ms == t) {
                got.rows[n++] = (struct ptest_row){got.rows[i].labels, &got.rows[i].points[p], 1};
                break;
            }
        }
    }
    got.n = n;
    got.type = e->has_scalar ? PQ_SCALAR : PQ_VECTOR;
    got.scalar = n > 0 ? got.rows[0].points[0].v : 0;
    got.warning_count = got.info_count = 0;
    {
        struct ptest_eval values_only = *e;
        struct pl_buf differences;

        values_only.expect_count = 0;
        pl_buf_init(&differences, 0);
        ok = ptest__check(&differences, &r->arena, &values_only, &got);
        if (!ok) {
            pl_buf_cstr(r->report, "    as the middle step of a range query:\n");
            pl_buf_str(r->report, pl_buf_view(&differences));
        }
        pl_buf_fini(&differences);
    }
    return ok;
}

/* start() and the like mean something else in a range query. */
static bool has_query_context(pl_str query)
{
    static const pl_str names[] = {PL_STR_INIT("start()"), PL_STR_INIT("end()"), PL_STR_INIT("range()"),
                                   PL_STR_INIT("step()")};

    for (size_t i = 0; i < PL_ARRAY_LEN(names); i++) {
        if (pl_str_find_str(query, names[i]) != SIZE_MAX) {
            return true;
        }
    }
    return false;
}

static bool check_again(struct run *r, const struct ptest_eval *e, const struct ptest_question *first, bool ranges)
{
    const int64_t t = e->start_ms;
    int64_t times[] = {-10 * t, 0, t / 5, t, 10 * t};
    struct ptest_question q = *first;
    struct pq_node *pinned;
    struct ptest_answer got;

    if (ranges && !check_range(r, e, first)) {
        return false;
    }
    if (ptest__uses_time(first->expr) || pq_parse(&pinned, &r->arena, e->query, &ptest_parse_options, NULL) != PL_OK) {
        return true;
    }
    if (t == 0) {
        times[0] = -1000;
        times[2] = 1000;
    }
    ptest__pin(pinned, t);
    q.expr = pinned;
    for (size_t i = 0; i < PL_ARRAY_LEN(times); i++) {
        q.start_ms = q.end_ms = times[i];
        r->result->extra_checks++;
        if (!ask_and_check(r, e, &q, "    with @ that time on each selector, asked at another time:\n", &got)) {
            return false;
        }
        if (ranges && !got.failed && !check_range(r, e, &q)) {
            return false;
        }
    }
    return true;
}

/* ---- commands ---- */

static struct ptest_question question(const struct ptest_eval *e, const struct pq_node *expr)
{
    return (struct ptest_question){.text = e->query,
                                   .expr = expr,
                                   .range = e->range,
                                   .start_ms = e->start_ms,
                                   .end_ms = e->end_ms,
                                   .step_ms = e->step_ms};
}

bool ptest_agrees(struct ptest_target *t, struct pl_arena *a, const struct ptest_eval *e, const struct pq_node *expr)
{
    struct ptest_question q = question(e, expr);
    struct ptest_answer got;
    struct pl_buf differences;
    bool ok;

    pl_buf_init(&differences, 0);
    ok = t->ops->ask(t, a, &q, &got, NULL) == PL_OK && ptest__check(&differences, a, e, &got);
    pl_buf_fini(&differences);
    return ok;
}

/* *skip: the answer says why it cannot be asked there. */
static bool evaluate(struct run *r, const struct ptest_eval *e, const struct pq_node *expr,
                     const struct pl_err *parse_err, const char **skip)
{
    struct ptest_question q = question(e, expr);
    struct ptest_answer got = {.type = PQ_NONE};
    bool ranges;

    if (expr == NULL) {
        got.failed = true;
        got.error = pl_str_c(parse_err->msg);
        return ptest__check(r->report, &r->arena, e, &got);
    }
    if (!ask_and_check(r, e, &q, "", &got)) {
        return false;
    }
    *skip = got.skip;
    if (!r->target->cheap || e->range) {
        return true;
    }
    ranges = !got.failed && !e->ordered && !e->has_grid && !e->has_string && got.type != PQ_STRING &&
             !has_query_context(e->query);
    return check_again(r, e, &q, ranges);
}

static void skip(struct run *r, unsigned line, const struct ptest_eval *e, const char *why)
{
    r->result->skipped++;
    if (r->o->list_skipped) {
        say_eval(r, line, e, "skipped: ");
        pl_buf_printf(r->report, "    %s\n", why);
    }
}

static void run_eval(struct run *r, unsigned line, const struct ptest_eval *e)
{
    struct pq_node *expr = NULL;
    struct pl_err err = {.status = PL_OK};
    const char *why = NULL;
    size_t before = r->report->n;

    r->result->evals++;
    if (pq_parse(&expr, &r->arena, e->query, &ptest_parse_options, &err) != PL_OK) {
        expr = NULL;
    } else {
        why = r->target->ops->cannot(r->target, &r->arena, e, expr);
    }
    if (why != NULL) {
        skip(r, line, e, why);
        return;
    }
    say_eval(r, line, e, "");
    if (evaluate(r, e, expr, &err, &why)) {
        r->report->n = before; /* nothing to say */
        r->result->passed += why == NULL;
        if (why != NULL) {
            skip(r, line, e, why);
        }
    } else {
        r->result->failed++;
    }
}

static void run_command(struct run *r, const struct ptest_command *c)
{
    struct pl_err err = {.status = PL_OK};
    pl_status st = PL_OK;

    switch (c->kind) {
    case PTEST_LOAD:
        st = r->target->ops->load(r->target, &c->load, &err);
        break;
    case PTEST_CLEAR:
        st = r->target->ops->clear(r->target, &err);
        break;
    case PTEST_EVAL:
        run_eval(r, c->line, &c->eval);
        break;
    case PTEST_BAD:
        r->result->bad++;
        say(r, c->line, "%.*s", PL_STR_ARG(c->bad));
        break;
    }
    if (st != PL_OK) {
        r->result->bad++;
        say(r, c->line, "%s", err.msg);
    }
}

void ptest_run(struct ptest_result *out, struct ptest_target *target, const struct ptest_script *script,
               struct pl_buf *report, const struct ptest_options *o)
{
    struct run r = {.result = out, .target = target, .report = report, .o = o};

    *out = (struct ptest_result){0};
    pl_arena_init(&r.arena, 0);
    for (size_t i = 0; i < script->n; i++) {
        run_command(&r, &script->commands[i]);
        pl_arena_reset(&r.arena);
    }
    pl_arena_fini(&r.arena);
}
