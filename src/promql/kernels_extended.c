#include "promql/functions_def.h"
#include "promql/kernels_rate.h"

/* anchored and smoothed ranges: samples outside the range, up to the lookback away, tell the values at its edges. The
 * windows hold those samples too. Spec prometheus.md 4.3, last paragraph. */

struct span {
    const int64_t *t;
    const double *v;
    size_t n;
    int64_t from_ms, to_ms; /* the range itself */
};

static struct span span_at(const struct windows *w, size_t i)
{
    int64_t to = w->ref0_ms + (int64_t)i * w->ref_step_ms;
    uint32_t lo = w->lo[i];

    return (struct span){.t = w->t + lo, .v = w->v + lo, .n = w->hi[i] - lo, .from_ms = to - w->range_ms, .to_ms = to};
}

/* The value at t_ms on the line from sample i to i + 1; a counter that was reset starts from 0. */
static double between(const struct span *s, size_t i, int64_t t_ms, bool counter)
{
    double a = s->v[i], b = s->v[i + 1];

    if (counter && b < a) {
        a = 0;
    }
    return a + (b - a) * (double)(t_ms - s->t[i]) / (double)(s->t[i + 1] - s->t[i]);
}

/* In units of unit_s. Nothing is computed with the answer, which may be "absent": see EACH_PRESENT in binop.c. */
static double rise_of(const struct span *s, bool counter, bool smoothed, double unit_s)
{
    size_t last = s->n - 1, first = pq__first_after(s->t, last, s->from_ms), end;
    double left, right, rise, prev, added = 0;

    first = first > 0 ? first - 1 : 0;
    if (smoothed) {
        last = pq__first_after(s->t, last, s->to_ms - 1);
    }
    if (s->t[last] <= s->from_ms || (smoothed && s->t[first] > s->to_ms)) {
        return pq_absent();
    }
    left = smoothed && s->t[first] < s->from_ms ? between(s, first, s->from_ms, counter) : s->v[first];
    right = smoothed && last > 0 && s->t[last] > s->to_ms ? between(s, last - 1, s->to_ms, counter) : s->v[last];
    rise = right - left;
    if (!counter) {
        return rise / unit_s;
    }
    first += s->t[first] <= s->from_ms;
    end = s->t[last] >= s->to_ms ? last : last + 1; /* samples first .. end-1 lie inside */
    prev = left;
    for (size_t i = first; i < end; i++) {
        added += s->v[i] < prev ? prev : 0;
        prev = s->v[i];
    }
    added += right < prev ? prev : 0;
    return (rise + added) / unit_s;
}

struct extended_kind {
    bool counter, smoothed, rate;
};

static void extended_run(const struct windows *w, double *out, struct extended_kind k)
{
    double unit_s = k.rate ? pq__range_seconds(w) : 1;

    for (size_t i = 0; i < w->steps; i++) {
        struct span s = span_at(w, i);

        out[i] = s.n == 0 ? pq_absent() : rise_of(&s, k.counter, k.smoothed, unit_s);
    }
}

static void k_anchored_rate(const struct windows *w, double *out)
{
    extended_run(w, out, (struct extended_kind){.counter = true, .rate = true});
}
static void k_anchored_increase(const struct windows *w, double *out)
{
    extended_run(w, out, (struct extended_kind){.counter = true});
}
static void k_anchored_delta(const struct windows *w, double *out)
{
    extended_run(w, out, (struct extended_kind){0});
}
static void k_smoothed_rate(const struct windows *w, double *out)
{
    extended_run(w, out, (struct extended_kind){.counter = true, .smoothed = true, .rate = true});
}
static void k_smoothed_increase(const struct windows *w, double *out)
{
    extended_run(w, out, (struct extended_kind){.counter = true, .smoothed = true});
}
static void k_smoothed_delta(const struct windows *w, double *out)
{
    extended_run(w, out, (struct extended_kind){.smoothed = true});
}

static void anchored_count(const struct windows *w, double *out, bool resets)
{
    for (size_t i = 0; i < w->steps; i++) {
        struct span s = span_at(w, i);
        size_t first = pq__first_after(s.t, s.n, s.from_ms), count = 0;

        if (first >= s.n) {
            out[i] = pq_absent();
            continue;
        }
        for (size_t j = PL_MAX(first, (size_t)1); j < s.n; j++) {
            double a = s.v[j - 1], b = s.v[j];

            count += resets ? b < a : b != a && !(isnan(a) && isnan(b));
        }
        out[i] = (double)count;
    }
}

static void k_anchored_changes(const struct windows *w, double *out)
{
    anchored_count(w, out, false);
}
static void k_anchored_resets(const struct windows *w, double *out)
{
    anchored_count(w, out, true);
}

size_t pq__extended_points(int64_t *t, double *v, const struct windows *w)
{
    const struct span s = span_at(w, 0);
    bool smoothed = w->after_ms > 0;
    size_t last = s.n - 1, first, n = 1;

    if (s.n == 0) {
        return 0;
    }
    first = pq__first_after(s.t, last, s.from_ms);
    first = first > 0 ? first - 1 : 0;
    if (smoothed) {
        last = pq__first_after(s.t, last, s.to_ms - 1);
    }
    if (s.t[last] <= s.from_ms) {
        return 0;
    }
    t[0] = s.from_ms;
    v[0] = smoothed && s.t[first] < s.from_ms ? between(&s, first, s.from_ms, false) : s.v[first];
    for (size_t i = first; i <= last; i++) {
        if (s.t[i] > s.from_ms && s.t[i] < s.to_ms) {
            t[n] = s.t[i];
            v[n++] = s.v[i];
        }
    }
    t[n] = s.to_ms;
    v[n++] = smoothed && last > 0 && s.t[last] > s.to_ms ? between(&s, last - 1, s.to_ms, false) : s.v[last];
    return n;
}

window_fn pq__window_kernel_anchored(int func)
{
    switch (func) {
    case PQ_FN_RATE:
        return k_anchored_rate;
    case PQ_FN_INCREASE:
        return k_anchored_increase;
    case PQ_FN_DELTA:
        return k_anchored_delta;
    case PQ_FN_CHANGES:
        return k_anchored_changes;
    case PQ_FN_RESETS:
        return k_anchored_resets;
    default:
        return NULL;
    }
}

window_fn pq__window_kernel_smoothed(int func)
{
    switch (func) {
    case PQ_FN_RATE:
        return k_smoothed_rate;
    case PQ_FN_INCREASE:
        return k_smoothed_increase;
    case PQ_FN_DELTA:
        return k_smoothed_delta;
    default:
        return NULL;
    }
}
