#include "promql/hist_stats.h"

#include "promql/functions_def.h"

/* COMPAT: Prometheus reads histograms without their buckets under histogram_count, _sum and _avg. That is meant to be
 * faster only, but shows: such histograms cost fewer samples, never have mismatched bounds, carry hints found by
 * comparing neighbours, and gauges among them are reset by their count alone. */

enum path { PATH_NONE, PATH_FOUND, PATH_STATS, PATH_WHOLE };

static enum path path_to(const struct pq_node *n, const struct pq_node *to);

/* What a call or operator makes of the path found below it. */
static enum path above(enum path p, bool only_stats, bool whole)
{
    if (p == PATH_NONE || p == PATH_WHOLE) {
        return p;
    }
    return whole ? PATH_WHOLE : only_stats ? PATH_STATS : p;
}

static enum path path_call(const struct pq_node *n, const struct pq_node *to)
{
    int func = n->call.func->kernel;
    enum path p = PATH_NONE;

    for (uint32_t i = 0; p == PATH_NONE && i < n->call.arg_count; i++) {
        p = path_to(n->call.args[i], to);
    }
    return above(p, func == PQ_FN_HISTOGRAM_COUNT || func == PQ_FN_HISTOGRAM_SUM || func == PQ_FN_HISTOGRAM_AVG,
                 func == PQ_FN_HISTOGRAM_QUANTILE || func == PQ_FN_HISTOGRAM_QUANTILES ||
                     func == PQ_FN_HISTOGRAM_FRACTION);
}

/* From the selector upwards, as Prometheus looks. Depth is bounded by the parser. */
static enum path path_to(const struct pq_node *n, const struct pq_node *to)
{
    enum path p;

    n = pq__unparen(n);
    if (n == to) {
        return PATH_FOUND;
    }
    switch (n->kind) {
    case PQ_UNARY:
        return path_to(n->unary.expr, to);
    case PQ_BINARY:
        p = path_to(n->binary.lhs, to);
        if (p == PATH_NONE) {
            p = path_to(n->binary.rhs, to);
        }
        return above(p, false, n->binary.op == PQ_OP_TRIM_UPPER || n->binary.op == PQ_OP_TRIM_LOWER);
    case PQ_AGGREGATE:
        p = path_to(n->agg.expr, to);
        return p == PATH_NONE && n->agg.param != NULL ? path_to(n->agg.param, to) : p;
    case PQ_CALL:
        return path_call(n, to);
    case PQ_MATRIX_SELECTOR:
        return path_to(n->matrix.selector, to);
    case PQ_SUBQUERY:
        return above(path_to(n->subquery.expr, to), false, true);
    default:
        return PATH_NONE;
    }
}

bool pq__only_stats(const struct pq_node *root, const struct pq_node *selector)
{
    return path_to(root, selector) == PATH_STATS;
}

/* Marks samples that are not compared with those before them: where a step begins behind all that was read. */
static void mark_jumps(uint8_t *jump, const struct samples *s, const struct selection *from)
{
    size_t at = 0;

    for (int64_t step = from->first_ms; at < s->n && from->step_ms > 0 && step <= from->maxt_ms;
         step += from->step_ms) {
        if (s->t[at] < step - from->reach_ms) {
            while (at < s->n && s->t[at] < step - from->reach_ms) {
                at++;
            }
            if (at < s->n) {
                jump[at] = 1;
            }
        }
        while (at < s->n && s->t[at] < step) {
            at++;
        }
    }
}

bool pq__strip_buckets(struct samples *s, const struct selection *from)
{
    const struct hist *before = NULL;
    struct hist *plain = NULL;
    uint8_t *jump = NULL;

    for (size_t i = 0; s->h != NULL && i < s->n; i++) {
        const struct hist *h = s->h[i];
        bool reset;

        if (h == NULL) {
            continue;
        }
        if (plain == NULL) {
            plain = pl_arena_new_array_try(s->hist_arena, struct hist, s->n);
            jump = pl_arena_new_array_try(s->hist_arena, uint8_t, s->n);
            if (plain == NULL || jump == NULL) {
                return false;
            }
            mark_jumps(jump, s, from);
        }
        plain[i] = (struct hist){.schema = h->schema, .hint = h->hint, .count = h->count, .sum = h->sum};
        if (h->hint == HIST_HINT_UNKNOWN && before != NULL && jump[i] == 0) {
            if (hist_detect_reset(&reset, s->hist_arena, h, before) != 0) {
                return false;
            }
            plain[i].hint = reset ? HIST_HINT_RESET : HIST_HINT_NOT_RESET;
        }
        before = h;
        s->h[i] = &plain[i];
    }
    return true;
}
