#include "codec/json_out.h"
#include "querier/internal.h"

/* Native histograms in answers: spec prometheus.md 6.2. */

static void put_number(struct pl_buf *b, double v)
{
    char *out = pl_buf_reserve(b, FLOAT_TEXT_MAX + 2);

    if (out != NULL) {
        b->n += json_put_value(out, v);
    }
}

/* Which ends belong to the bucket: 0 (lo,hi], 1 [lo,hi), 2 (lo,hi), 3 [lo,hi]. */
static char rule_of(const struct hist_bucket *k)
{
    if (k->lower_inclusive) {
        return k->upper_inclusive ? '3' : '1';
    }
    return k->upper_inclusive ? '0' : '2';
}

static void put_buckets(struct pl_buf *b, const struct hist *h)
{
    struct hist_iter it;
    struct hist_bucket k;
    bool any = false;

    hist_iter_init(&it, h, false);
    while (hist_iter_next(&it, &k) && !b->overflow) {
        if (k.count == 0) {
            continue;
        }
        pl_buf_cstr(b, any ? "," : ",\"buckets\":[");
        any = true;
        pl_buf_byte(b, '[');
        pl_buf_byte(b, (uint8_t)rule_of(&k));
        pl_buf_byte(b, ',');
        put_number(b, k.lower);
        pl_buf_byte(b, ',');
        put_number(b, k.upper);
        pl_buf_byte(b, ',');
        put_number(b, k.count);
        pl_buf_byte(b, ']');
    }
    if (any) {
        pl_buf_byte(b, ']');
    }
}

void querier_answer_hist(struct pl_buf *b, int64_t t_ms, const struct hist *h)
{
    char *out;

    pl_buf_byte(b, '[');
    out = pl_buf_reserve(b, JSON_TIME_MAX);
    if (out != NULL) {
        b->n += json_put_time(out, t_ms);
    }
    PL_BUF_LIT(b, ",{\"count\":");
    put_number(b, h->count);
    PL_BUF_LIT(b, ",\"sum\":");
    put_number(b, h->sum);
    put_buckets(b, h);
    PL_BUF_LIT(b, "}]");
}
