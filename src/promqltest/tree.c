/* What the further checks need to know of a query, and its rewriting. Recursion is bounded by PROMQL_DEPTH_MAX. */
#include "promqltest/internal.h"

#include "promql/functions.h"

/* Functions that use the evaluation time or their argument's timestamps (Prometheus: AtModifierUnsafeFunctions). */
static bool is_time_function(const char *name)
{
    static const char *const names[] = {"days_in_month", "day_of_month", "day_of_week",    "day_of_year", "end",
                                        "hour",          "minute",       "month",          "year",        "range",
                                        "step",          "time",         "predict_linear", "start",       "timestamp"};

    for (size_t i = 0; i < PL_ARRAY_LEN(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

bool ptest__uses_time(const struct pq_node *n)
{
    switch (n->kind) {
    case PQ_PAREN:
        return ptest__uses_time(n->paren.expr);
    case PQ_STEP_INVARIANT:
        return ptest__uses_time(n->step_invariant.expr);
    case PQ_UNARY:
        return ptest__uses_time(n->unary.expr);
    case PQ_BINARY:
        return ptest__uses_time(n->binary.lhs) || ptest__uses_time(n->binary.rhs);
    case PQ_AGGREGATE:
        return ptest__uses_time(n->agg.expr) || (n->agg.param != NULL && ptest__uses_time(n->agg.param));
    case PQ_SUBQUERY:
        return ptest__uses_time(n->subquery.expr);
    case PQ_CALL:
        for (uint32_t i = 0; i < n->call.arg_count; i++) {
            if (ptest__uses_time(n->call.args[i])) {
                return true;
            }
        }
        return is_time_function(n->call.func->name);
    case PQ_NUMBER:
    case PQ_STRING_LIT:
    case PQ_SELECTOR:
    case PQ_MATRIX_SELECTOR:
        return false;
    }
    return false;
}

typedef void (*time_fn)(struct pq_time *time, int64_t arg_ms);

/* Calls fn for the times of all selectors and, inside_subqueries or not, subqueries. */
static void each_time(struct pq_node *n, time_fn fn, int64_t arg_ms, bool inside_subqueries)
{
    switch (n->kind) {
    case PQ_PAREN:
        each_time(n->paren.expr, fn, arg_ms, inside_subqueries);
        return;
    case PQ_STEP_INVARIANT:
        each_time(n->step_invariant.expr, fn, arg_ms, inside_subqueries);
        return;
    case PQ_UNARY:
        each_time(n->unary.expr, fn, arg_ms, inside_subqueries);
        return;
    case PQ_BINARY:
        each_time(n->binary.lhs, fn, arg_ms, inside_subqueries);
        each_time(n->binary.rhs, fn, arg_ms, inside_subqueries);
        return;
    case PQ_AGGREGATE:
        each_time(n->agg.expr, fn, arg_ms, inside_subqueries);
        if (n->agg.param != NULL) {
            each_time(n->agg.param, fn, arg_ms, inside_subqueries);
        }
        return;
    case PQ_CALL:
        for (uint32_t i = 0; i < n->call.arg_count; i++) {
            each_time(n->call.args[i], fn, arg_ms, inside_subqueries);
        }
        return;
    case PQ_MATRIX_SELECTOR:
        each_time(n->matrix.selector, fn, arg_ms, inside_subqueries);
        return;
    case PQ_SELECTOR:
        fn(&n->selector.time, arg_ms);
        return;
    case PQ_SUBQUERY:
        fn(&n->subquery.time, arg_ms);
        if (inside_subqueries) {
            each_time(n->subquery.expr, fn, arg_ms, inside_subqueries);
        }
        return;
    case PQ_NUMBER:
    case PQ_STRING_LIT:
        return;
    }
}

static void pin_time(struct pq_time *time, int64_t t_ms)
{
    if (time->at == PQ_AT_NONE) {
        time->at = PQ_AT_TIME;
        time->at_ms = t_ms;
    }
}

/* start() and end() of the first query, which was asked at that time. */
static void pin_query_times(struct pq_time *time, int64_t t_ms)
{
    if (time->at == PQ_AT_START || time->at == PQ_AT_END) {
        time->at = PQ_AT_TIME;
        time->at_ms = t_ms;
    }
}

void ptest__pin(struct pq_node *n, int64_t t_ms)
{
    each_time(n, pin_query_times, t_ms, true);
    each_time(n, pin_time, t_ms, false); /* what is inside a subquery keeps its own times */
}

static void shift_time(struct pq_time *time, int64_t by_ms)
{
    if (time->at == PQ_AT_TIME && !pl_add_ok(&time->at_ms, time->at_ms, by_ms)) {
        time->at_ms = INT64_MAX;
    }
}

void ptest_shift_at(struct pq_node *n, int64_t by_ms)
{
    each_time(n, shift_time, by_ms, true);
}
