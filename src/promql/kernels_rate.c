#include "promql/kernels_rate.h"

/* rate, increase and delta: spec prometheus.md 4.3. The order of operations is Prometheus's: it decides the last bits.
 */

/* Indices i with v[i] < v[i-1], ascending; returns how many. */
static size_t resets_find(uint32_t *at, const double *v, size_t n)
{
    size_t count = 0;

    for (size_t i = 1; i < n; i++) {
        at[count] = (uint32_t)i;
        count += v[i] < v[i - 1];
    }
    return count;
}

static inline void rate_run(const struct windows *w, double *restrict out, struct rate_kind k)
{
    uint32_t *resets = (uint32_t *)(void *)w->scratch;
    size_t reset_count = k.counter ? resets_find(resets, w->v, w->n) : 0, next = 0;
    const int64_t *restrict t = w->t;
    const double *restrict v = w->v;

    for (size_t i = 0; i < w->steps; i++) {
        uint32_t lo = w->lo[i], hi = w->hi[i], last = hi - 1;
        int64_t ref = w->ref0_ms + (int64_t)i * w->ref_step_ms;
        struct rate_span span;
        double rise;

        if (hi - lo < 2) {
            out[i] = pq_absent();
            continue;
        }
        rise = v[last] - v[lo];
        while (next < reset_count && resets[next] <= lo) {
            next++;
        }
        for (size_t r = next; r < reset_count && resets[r] < hi; r++) {
            rise += v[resets[r] - 1];
        }
        span = (struct rate_span){.to_start = (double)(t[lo] - (ref - w->range_ms)) / 1000,
                                  .to_end = (double)(ref - t[last]) / 1000,
                                  .sampled = (double)(t[last] - t[lo]) / 1000,
                                  .gaps = (double)(last - lo)};
        out[i] = rise * pq__rate_factor(rise, v[lo], span, k);
    }
}

void pq__rate(const struct windows *w, double *out)
{
    rate_run(w, out, (struct rate_kind){.counter = true, .range_s = pq__range_seconds(w)});
}

void pq__increase(const struct windows *w, double *out)
{
    rate_run(w, out, (struct rate_kind){.counter = true});
}

void pq__delta(const struct windows *w, double *out)
{
    rate_run(w, out, (struct rate_kind){.counter = false});
}

static inline void last_two(const struct windows *w, double *restrict out, bool rate)
{
    for (size_t i = 0; i < w->steps; i++) {
        uint32_t hi = w->hi[i];
        double a, b;

        if (hi - w->lo[i] < 2) {
            out[i] = pq_absent();
            continue;
        }
        a = w->v[hi - 2];
        b = w->v[hi - 1];
        if (!rate || !(b < a)) {
            b -= a;
        }
        out[i] = rate ? b / ((double)(w->t[hi - 1] - w->t[hi - 2]) / 1000) : b;
    }
}

void pq__irate(const struct windows *w, double *out)
{
    last_two(w, out, true);
}

void pq__idelta(const struct windows *w, double *out)
{
    last_two(w, out, false);
}

void pq__windows_fill(uint32_t *restrict lo, uint32_t *restrict hi, const struct windows *w)
{
    const int64_t *t = w->t;
    size_t a = 0, b = 0, n = w->n;
    int64_t to = w->ref0_ms + w->after_ms, length = w->before_ms + w->range_ms + w->after_ms;

    for (size_t i = 0; i < w->steps; i++) {
        int64_t from = to - length;

        while (b < n && t[b] <= to) {
            b++;
        }
        while (a < b && t[a] <= from) {
            a++;
        }
        lo[i] = (uint32_t)a;
        hi[i] = (uint32_t)b;
        to += w->ref_step_ms;
    }
}
