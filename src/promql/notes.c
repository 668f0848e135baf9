#include "base/clock.h"
#include "base/hash.h"
#include "codec/float_text.h"
#include "promql/eval_histogram.h"
#include "promql/range_hist.h"

#include <math.h>
#include <stdio.h>

/* Annotations: deduplicated by text. An annotation is no reason to fail: without memory it is left out, and the query
 * meets its limit soon enough. */

/* Does Prometheus come to position a after it came to b? What encloses comes after what it encloses, else what stands
 * first comes first. Calls over subqueries say what they say at 0 (eval_range.c). */
static bool comes_after(struct pq_pos a, struct pq_pos b)
{
    bool around = a.start <= b.start && a.end >= b.end, inside = b.start <= a.start && b.end >= a.end;

    if (a.end == 0 || b.end == 0) {
        return a.end == 0;
    }
    return around || (!inside && a.start > b.start);
}

/* The annotation of this text (in x->text), which is added when new. Of several positions the last counts, but for
 * those that gather details; `by` is the position of what says it. */
static struct note *note_put(struct exec *x, bool is_info, struct pq_pos pos, struct pq_pos by)
{
    uint64_t hash = pl_hash64(x->text.p, x->text.n);
    pl_str text;

    for (size_t i = 0; i < x->note_count; i++) {
        if (x->notes[i].hash == hash && pl_str_eq(x->notes[i].text, pl_buf_view(&x->text))) {
            if (x->notes[i].op == NULL && comes_after(by, x->notes[i].by)) {
                x->notes[i].d.pos = pos;
                x->notes[i].by = by;
            }
            return &x->notes[i];
        }
    }
    if (x->note_count >= PQ_NOTES_MAX) {
        return NULL;
    }
    if (x->note_count == x->note_cap) {
        size_t cap = PL_MAX(x->note_cap * 2, (size_t)8);
        struct note *grown = pl_arena_new_array_try(x->arena, struct note, cap);

        if (grown == NULL) {
            return NULL;
        }
        if (x->note_count > 0) {
            memcpy(grown, x->notes, x->note_count * sizeof(*grown));
        }
        x->notes = grown;
        x->note_cap = cap;
    }
    text = pq__str_try(x->arena, pl_buf_view(&x->text));
    if (text.p == NULL) {
        return NULL;
    }
    x->notes[x->note_count] =
        (struct note){.is_info = is_info, .hash = hash, .d = {.pos = pos}, .by = by, .text = text};
    return &x->notes[x->note_count++];
}

static void note_begin(struct exec *x, bool is_info)
{
    pl_buf_reset(&x->text);
    pl_buf_cstr(&x->text, is_info ? "PromQL info: " : "PromQL warning: ");
}

void pq__note(struct exec *x, bool is_info, struct pq_pos pos, const char *fmt, ...)
{
    va_list ap;

    note_begin(x, is_info);
    va_start(ap, fmt);
    pl_buf_vprintf(&x->text, fmt, ap);
    va_end(ap);
    (void)note_put(x, is_info, pos, pos);
}

void pq__note_named(struct exec *x, bool is_info, struct pq_pos pos, const char *prefix, pl_str name)
{
    note_begin(x, is_info);
    pl_buf_cstr(&x->text, prefix);
    pl_buf_quoted(&x->text, name);
    (void)note_put(x, is_info, pos, pos);
}

void pq__note_quantile(struct exec *x, const struct pq_node *by, const struct pq_node *arg, double q)
{
    char text[FLOAT_TEXT_MAX];

    note_begin(x, false);
    pl_buf_printf(&x->text, "quantile value should be between 0 and 1, got %.*s", (int)float_put_g(text, q), text);
    (void)note_put(x, false, pq__unparen(arg)->pos, by->pos);
}

void pq__note_type(struct exec *x, struct pq_pos pos, pl_str name, pl_str type)
{
    note_begin(x, true);
    pl_buf_cstr(&x->text,
                "metric might not be a counter, __type__ label is not set to \"counter\" or \"histogram\", got ");
    pl_buf_quoted(&x->text, type);
    pl_buf_cstr(&x->text, ": ");
    pl_buf_quoted(&x->text, name);
    (void)note_put(x, true, pos, pos);
}

static void for_metric(struct pl_buf *b, pl_str name)
{
    if (name.n > 0) {
        pl_buf_cstr(b, " for metric name ");
        pl_buf_quoted(b, name);
    }
}

void pq__note_for_metric(struct exec *x, bool is_info, struct pq_pos pos, const char *text, pl_str name)
{
    note_begin(x, is_info);
    pl_buf_cstr(&x->text, text);
    for_metric(&x->text, name);
    (void)note_put(x, is_info, pos, pos);
}

void pq__note_bad_bucket(struct exec *x, struct pq_pos pos, pl_str le, pl_str name)
{
    note_begin(x, false);
    pl_buf_cstr(&x->text, "bucket label \"le\" is missing or has a malformed value of ");
    pl_buf_quoted(&x->text, le);
    for_metric(&x->text, name);
    (void)note_put(x, false, pos, pos);
}

/* Adds what the note's operator fixed to the count.
 * COMPAT: Prometheus keeps one counter in two sets of annotations that are merged after every step of a range query, so
 * that each step but the first with a fix doubles it; past 2^64 it begins anew. */
static void count_fixes(struct note *n)
{
    uint64_t count = 0;

    for (size_t i = 0; i < n->op->grid.n && n->per_step != NULL; i++) {
        count = count == 0 ? n->per_step[i] : 2 * (count + n->per_step[i]);
    }
    n->count += count;
}

void pq__note_monotonic(const struct op *op, struct pq_pos pos, pl_str name, const struct monotonic_fix *fix,
                        size_t step)
{
    struct exec *x = op->x;
    int64_t t_ms = grid_at(op->grid, step);
    struct note *n;

    note_begin(x, true);
    pl_buf_cstr(&x->text, "input to histogram_quantile needed to be fixed for monotonicity (see "
                          "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)");
    for_metric(&x->text, name);
    n = note_put(x, true, pos, pos);
    if (n == NULL) {
        return;
    }
    if (n->op == NULL) {
        n->fix = *fix;
        n->t_min_ms = n->t_max_ms = t_ms;
    }
    if (n->op != op) {
        if (n->op != NULL) {
            count_fixes(n);
        }
        n->op = op;
        n->per_step = pl_arena_new_array_try(x->arena, uint32_t, op->grid.n);
    }
    if (n->per_step != NULL) {
        n->per_step[step]++;
    }
    n->fix.bound_min = PL_MIN(n->fix.bound_min, fix->bound_min);
    n->fix.bound_max = PL_MAX(n->fix.bound_max, fix->bound_max);
    n->fix.diff_max = PL_MAX(n->fix.diff_max, fix->diff_max);
    n->t_min_ms = PL_MIN(n->t_min_ms, t_ms);
    n->t_max_ms = PL_MAX(n->t_max_ms, t_ms);
}

/* What follows the text in the API's answer. */
static bool note_detail(struct note *n, struct exec *x)
{
    struct pl_buf *b = &x->text;
    char diff[32];

    if (n->op == NULL) {
        return true;
    }
    count_fixes(n);
    pl_buf_reset(b);
    pl_buf_cstr(b, ", from buckets ");
    pl_buf_f64_g(b, n->fix.bound_min);
    pl_buf_cstr(b, " to ");
    pl_buf_f64_g(b, n->fix.bound_max);
    (void)snprintf(diff, sizeof(diff), "%.2g", n->fix.diff_max);
    pl_buf_printf(b, ", with a max diff of %s, over %lld samples from ", isinf(n->fix.diff_max) ? "+Inf" : diff,
                  (long long)n->count);
    pl_buf_rfc3339_ms(b, n->t_min_ms / 1000 * 1000);
    pl_buf_cstr(b, " to ");
    pl_buf_rfc3339_ms(b, n->t_max_ms / 1000 * 1000);
    n->d.detail = pq__str_try(x->arena, pl_buf_view(b));
    return n->d.detail.p != NULL;
}

bool pq__notes_finish(struct pq_notes *out, struct exec *x)
{
    size_t n = x->note_count;
    struct pq_note_detail *wd = pl_arena_new_array_try(x->arena, struct pq_note_detail, n + 1);
    struct pq_note_detail *id = pl_arena_new_array_try(x->arena, struct pq_note_detail, n + 1);

    *out = (struct pq_notes){.warnings = pl_arena_new_array_try(x->arena, pl_str, n + 1),
                             .infos = pl_arena_new_array_try(x->arena, pl_str, n + 1),
                             .warning_details = wd,
                             .info_details = id};
    if (wd == NULL || id == NULL || out->warnings == NULL || out->infos == NULL) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        struct note *a = &x->notes[i];

        if (!note_detail(a, x)) {
            return false;
        }
        if (a->is_info) {
            id[out->info_count] = a->d;
            out->infos[out->info_count++] = a->text;
        } else {
            wd[out->warning_count] = a->d;
            out->warnings[out->warning_count++] = a->text;
        }
    }
    return true;
}
