/* Buckets read in a coarser schema, and the zero bucket growing over them. */
#include "histogram/internal.h"

bool hist__source_next(struct hist__source *s, int32_t *at, double *n, double *c)
{
    uint32_t i = s->i;

    if (i >= s->len) {
        return false;
    }
    *at = s->at[i];
    *n = s->n[i++];
    *c = 0;
    if (s->shift > 0) {
        *at = hist__coarser(*at, s->shift);
        for (; i < s->len && hist__coarser(s->at[i], s->shift) == *at; i++) {
            if (s->kahan) {
                hist__add_to(s->n[i], n, c);
                hist__add_to(0, n, c);
            } else {
                *n += s->n[i];
            }
        }
    }
    s->i = i;
    return true;
}

void hist__source_skip(struct hist__source *s, int32_t schema, double threshold)
{
    if (!hist__is_standard(schema)) {
        return;
    }
    while (s->i < s->len && hist__bound(hist__coarser(s->at[s->i], s->shift), schema, NULL, 0) <= threshold) {
        s->i++;
    }
}

/* Adds the buckets of one side that the threshold reaches. Returns true when it ended inside a populated bucket, whose
 * outer edge *threshold then is. */
static bool swallow_side(const struct hist *h, const struct hist *c, bool negative, double *threshold, double *count,
                         double *c_zero)
{
    const struct hist_side *side = negative ? &h->neg : &h->pos;

    for (uint32_t i = 0; i < side->len; i++) {
        struct hist_bucket b = hist_bucket_at(h, negative, i);
        double inner = negative ? -b.upper : b.lower, outer = negative ? -b.lower : b.upper;

        if (inner >= *threshold) {
            return false;
        }
        hist__add_to(b.count, count, c_zero);
        if (c != NULL) {
            hist__add_to((negative ? &c->neg : &c->pos)->n[i], count, c_zero);
        }
        if (outer > *threshold) {
            if (b.count != 0) {
                *threshold = outer;
                return true;
            }
            return false;
        }
    }
    return false;
}

double hist__zero_count(const struct hist *h, const struct hist *c, double *threshold, double *c_zero)
{
    double count = h->zero_count;

    *c_zero = c != NULL ? c->zero_count : 0;
    if (*threshold == h->zero_threshold) {
        return count;
    }
    for (;;) {
        count = h->zero_count;
        (void)swallow_side(h, c, false, threshold, &count, c_zero);
        /* COMPAT: the second round begins with the compensation of the first, as Prometheus's does. */
        if (!swallow_side(h, c, true, threshold, &count, c_zero)) {
            return count;
        }
    }
}
