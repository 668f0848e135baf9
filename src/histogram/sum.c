#include "histogram/internal.h"

enum { SIDE_ROOM_MIN = 8 };

bool hist__side_reserve(struct hist_sum_side *side, struct pl_arena *a, uint32_t cap, bool kahan)
{
    struct hist_sum_side grown = *side;

    if (cap <= side->cap) {
        return true;
    }
    grown.cap = PL_MAX(PL_MAX(cap, side->cap + side->cap / 2), (uint32_t)SIDE_ROOM_MIN);
    if (!hist__side_make(a, grown.cap, &grown.at, &grown.n)) {
        return false;
    }
    if (kahan) {
        grown.c = pl_arena_alloc_try(a, grown.cap * sizeof(*grown.c));
        if (grown.c == NULL) {
            return false;
        }
    }
    if (side->len > 0) {
        memcpy(grown.at, side->at, side->len * sizeof(*grown.at));
        memcpy(grown.n, side->n, side->len * sizeof(*grown.n));
        if (kahan) {
            memcpy(grown.c, side->c, side->len * sizeof(*grown.c));
        }
    }
    *side = grown;
    return true;
}

void hist__sum_sync(struct hist_sum *s)
{
    s->h.pos = (struct hist_side){.at = s->pos.at, .n = s->pos.n, .len = s->pos.len};
    s->h.neg = (struct hist_side){.at = s->neg.at, .n = s->neg.n, .len = s->neg.len};
    if (s->compensated) {
        s->c.schema = s->h.schema;
        s->c.zero_threshold = s->h.zero_threshold;
        s->c.bounds = s->h.bounds;
        s->c.bound_count = s->h.bound_count;
        s->c.pos = (struct hist_side){.at = s->pos.at, .n = s->pos.c, .len = s->pos.len};
        s->c.neg = (struct hist_side){.at = s->neg.at, .n = s->neg.c, .len = s->neg.len};
    }
}

static bool start_side(struct hist_sum_side *to, struct pl_arena *a, struct hist_side from, uint32_t more, bool kahan)
{
    to->len = 0;
    if (!hist__side_reserve(to, a, from.len + more, kahan)) {
        return false;
    }
    if (from.len > 0) {
        memcpy(to->at, from.at, from.len * sizeof(*to->at));
        memcpy(to->n, from.n, from.len * sizeof(*to->n));
    }
    to->len = from.len;
    return true;
}

bool hist__sum_start(struct hist_sum *s, const struct hist *h, uint32_t more_pos, uint32_t more_neg, bool kahan)
{
    struct hist_side none = {0};

    s->h = (struct hist){.count = h->count, .sum = h->sum, .schema = h->schema, .hint = h->hint};
    s->compensated = false;
    if (!start_side(&s->pos, s->a, h->pos, more_pos, kahan)) {
        return false;
    }
    if (!hist_is_custom(h)) {
        s->h.zero_threshold = h->zero_threshold;
        s->h.zero_count = h->zero_count;
        if (!start_side(&s->neg, s->a, h->neg, more_neg, kahan)) {
            return false;
        }
    } else {
        if (!start_side(&s->neg, s->a, none, 0, kahan)) {
            return false;
        }
        if (h->bound_count > 0) {
            double *bounds = pl_arena_alloc_try(s->a, h->bound_count * sizeof(*bounds));
            if (bounds == NULL) {
                return false;
            }
            memcpy(bounds, h->bounds, h->bound_count * sizeof(*bounds));
            s->h.bounds = bounds;
            s->h.bound_count = h->bound_count;
        }
    }
    hist__sum_sync(s);
    return true;
}

bool hist_sum_init(struct hist_sum *s, struct pl_arena *a, const struct hist *first)
{
    *s = (struct hist_sum){.a = a};
    return hist__sum_start(s, first, 0, 0, true);
}

bool hist_sum_copy(struct hist_sum *to, const struct hist_sum *from)
{
    if (!hist__sum_start(to, &from->h, 0, 0, true)) {
        return false;
    }
    if (from->compensated) {
        to->compensated = true;
        to->c = from->c;
        if (from->pos.len > 0) {
            memcpy(to->pos.c, from->pos.c, from->pos.len * sizeof(*to->pos.c));
        }
        if (from->neg.len > 0) {
            memcpy(to->neg.c, from->neg.c, from->neg.len * sizeof(*to->neg.c));
        }
        hist__sum_sync(to);
    }
    return true;
}

unsigned hist_sum_add(struct hist_sum *s, const struct hist *h)
{
    return hist__merge(s, h, HIST__KAHAN);
}

static void scale_buckets(double *v, uint32_t n, double by, bool divide)
{
    for (uint32_t i = 0; i < n; i++) {
        v[i] = divide ? v[i] / by : v[i] * by;
    }
}

static void scale_head(struct hist *h, double by, bool divide)
{
    h->zero_count = divide ? h->zero_count / by : h->zero_count * by;
    h->count = divide ? h->count / by : h->count * by;
    h->sum = divide ? h->sum / by : h->sum * by;
    if (by < 0) {
        h->hint = HIST_HINT_GAUGE;
    }
}

static void scale(struct hist_sum *s, double by, bool divide)
{
    scale_head(&s->h, by, divide);
    if (s->compensated) {
        scale_head(&s->c, by, divide);
    }
    if (divide && by == 0) {
        s->pos.len = s->neg.len = 0; /* no buckets are left */
    }
    scale_buckets(s->pos.n, s->pos.len, by, divide);
    scale_buckets(s->neg.n, s->neg.len, by, divide);
    if (s->compensated) {
        scale_buckets(s->pos.c, s->pos.len, by, divide);
        scale_buckets(s->neg.c, s->neg.len, by, divide);
    }
    hist__sum_sync(s);
}

void hist_sum_mul(struct hist_sum *s, double factor)
{
    scale(s, factor, false);
}

void hist_sum_div(struct hist_sum *s, double divisor)
{
    scale(s, divisor, true);
}

struct hist *hist_sum_value(const struct hist_sum *s)
{
    struct hist *out = NULL;

    if (!s->compensated) {
        return hist_copy(s->a, &s->h);
    }
    /* Both have one kind of schema and the same bounds: nothing but memory can be missing. */
    return (hist_add(&out, s->a, &s->h, &s->c) & HIST_NO_MEMORY) != 0 ? NULL : out;
}
