#include "histogram/internal.h"

/* Is a bucket of prev larger than, or populated and missing in, cur? Both as they would be with cur's schema and zero
 * threshold. */
static bool side_reset(const struct hist *cur, const struct hist *prev, bool negative)
{
    struct hist_side c = negative ? cur->neg : cur->pos, p = negative ? prev->neg : prev->pos;
    struct hist__source now = {.at = c.at, .n = c.n, .len = c.len};
    struct hist__source then = {.at = p.at, .n = p.n, .len = p.len, .shift = (unsigned)(prev->schema - cur->schema)};
    double now_n = 0, then_n, unused;
    int32_t now_at = 0, then_at;
    bool more;

    if (cur->zero_threshold != 0) {
        hist__source_skip(&now, cur->schema, cur->zero_threshold);
        hist__source_skip(&then, cur->schema, cur->zero_threshold);
    }
    more = hist__source_next(&now, &now_at, &now_n, &unused);
    while (hist__source_next(&then, &then_at, &then_n, &unused)) {
        while (more && now_at < then_at) {
            more = hist__source_next(&now, &now_at, &now_n, &unused);
        }
        if (more && now_at == then_at ? now_n < then_n : then_n != 0) {
            return true;
        }
    }
    return false;
}

/* Counts up to and including the bound, from bucket *i on, which moves behind them. */
static double count_up_to(const struct hist *h, uint32_t *i, double bound)
{
    double sum = 0;

    for (; *i < h->pos.len; ++*i) {
        if (!(hist__bound(h->pos.at[*i], HIST_SCHEMA_CUSTOM, h->bounds, h->bound_count) <= bound)) {
            break;
        }
        sum += h->pos.n[*i];
    }
    return sum;
}

/* Custom buckets with different bounds: compared between the bounds that both have. */
static bool mismatched_reset(const struct hist *cur, const struct hist *prev)
{
    uint32_t c = 0, p = 0, c_bucket = 0, p_bucket = 0;

    while (c <= cur->bound_count && p <= prev->bound_count) {
        double c_bound = c < cur->bound_count ? cur->bounds[c] : HUGE_VAL;
        double p_bound = p < prev->bound_count ? prev->bounds[p] : HUGE_VAL;

        if (c_bound == p_bound) {
            double now = count_up_to(cur, &c_bucket, c_bound);
            double then = count_up_to(prev, &p_bucket, c_bound);

            if (now < then) {
                return true;
            }
            c++;
            p++;
        } else if (c_bound < p_bound) {
            c++;
        } else {
            p++;
        }
    }
    return false;
}

static bool detect_reset(const struct hist *cur, const struct hist *prev)
{
    double threshold = cur->zero_threshold, prev_zero, unused;

    if (cur->hint == HIST_HINT_RESET) {
        return true;
    }
    if (cur->hint == HIST_HINT_NOT_RESET) {
        return false;
    }
    if (cur->count < prev->count) {
        return true;
    }
    if (hist_is_custom(cur)) {
        if (!hist_is_custom(prev)) {
            return true;
        }
        if (!hist__bounds_match(cur, prev)) {
            return mismatched_reset(cur, prev);
        }
    }
    if (cur->schema > prev->schema || cur->zero_threshold < prev->zero_threshold) {
        return true;
    }
    prev_zero = hist__zero_count(prev, NULL, &threshold, &unused);
    return threshold != cur->zero_threshold || cur->zero_count < prev_zero || side_reset(cur, prev, false) ||
           side_reset(cur, prev, true);
}

unsigned hist_detect_reset(bool *reset, struct pl_arena *a, const struct hist *cur, const struct hist *prev)
{
    (void)a; /* the streams of buckets need no memory */
    *reset = detect_reset(cur, prev);
    return 0;
}
