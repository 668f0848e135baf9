#include "histogram/internal.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- numbers as Go's %g and %v write them ---- */

enum { DIGITS_MAX = 17, SCIENTIFIC_FROM = 6, SCIENTIFIC_BELOW = -4, NUMBER_SIZE = 48 };

/* Makes the next decimal above of d.ddde+XX with the same number of digits. False: there is none. */
static bool increment(char *text)
{
    for (char *p = strchr(text, 'e'); p-- > text;) {
        if (*p == '9') {
            *p = '0';
        } else if (*p != '.') {
            ++*p;
            return true;
        }
    }
    return false;
}

/* v's digits in form d.ddde+XX with as few digits as identify it. */
static void shortest(char *out, size_t size, double v)
{
    int exponent;
    bool is_power = frexp(v, &exponent) == 0.5;

    for (int digits = 1; digits <= DIGITS_MAX; digits++) {
        (void)snprintf(out, size, "%.*e", digits - 1, v);
        if (strtod(out, NULL) == v) {
            return;
        }
        /* Below a power of two doubles are twice as dense as above it: the next decimal above may identify it when the
         * nearest one, below, does not. */
        if (is_power && strtod(out, NULL) < v && increment(out) && strtod(out, NULL) == v) {
            return;
        }
    }
}

/* As Go's %g: the shortest digits, with an exponent below -4 and from 6 on. */
static void add_number(struct pl_buf *b, double v)
{
    char text[NUMBER_SIZE], digits[NUMBER_SIZE];
    int exponent, n = 0;

    if (isnan(v)) {
        PL_BUF_LIT(b, "NaN");
        return;
    }
    if (signbit(v)) {
        pl_buf_byte(b, '-');
        v = -v;
    } else if (isinf(v)) {
        pl_buf_byte(b, '+');
    }
    if (isinf(v)) {
        PL_BUF_LIT(b, "Inf");
        return;
    }
    shortest(text, sizeof(text), v);
    exponent = (int)strtol(strchr(text, 'e') + 1, NULL, 10);
    if (exponent < SCIENTIFIC_BELOW || exponent >= SCIENTIFIC_FROM) {
        pl_buf_cstr(b, text); /* C and Go agree here: at least two digits of exponent */
        return;
    }
    for (const char *p = text; *p != 'e'; p++) {
        if (*p != '.') {
            digits[n++] = *p;
        }
    }
    if (exponent < 0) {
        pl_buf_printf(b, "0.%.*s%.*s", -exponent - 1, "0000", n, digits);
    } else if (n <= exponent + 1) {
        pl_buf_printf(b, "%.*s%.*s", n, digits, exponent + 1 - n, "00000");
    } else {
        pl_buf_printf(b, "%.*s.%.*s", exponent + 1, digits, n - exponent - 1, digits + exponent + 1);
    }
}

/* ---- the text of a histogram ---- */

static void add_bucket(struct pl_buf *b, const struct hist_bucket *k)
{
    pl_buf_cstr(b, k->lower_inclusive ? ", [" : ", (");
    add_number(b, k->lower);
    pl_buf_byte(b, ',');
    add_number(b, k->upper);
    pl_buf_cstr(b, k->upper_inclusive ? "]:" : "):");
    add_number(b, k->count);
}

void hist_text(struct pl_buf *b, const struct hist *h)
{
    PL_BUF_LIT(b, "{count:");
    add_number(b, h->count);
    PL_BUF_LIT(b, ", sum:");
    add_number(b, h->sum);
    for (uint32_t i = h->neg.len; i-- > 0;) {
        struct hist_bucket k = hist_bucket_at(h, true, i);
        if (k.count != 0) {
            add_bucket(b, &k);
        }
    }
    if (h->zero_count != 0) {
        struct hist_bucket k = {.lower = -h->zero_threshold,
                                .upper = h->zero_threshold,
                                .count = h->zero_count,
                                .lower_inclusive = true,
                                .upper_inclusive = true};
        add_bucket(b, &k);
    }
    for (uint32_t i = 0; i < h->pos.len; i++) {
        struct hist_bucket k = hist_bucket_at(h, false, i);
        if (k.count != 0) {
            add_bucket(b, &k);
        }
    }
    pl_buf_byte(b, '}');
}

/* ---- validation ---- */

/* A message with a number in Go's form. */
static pl_status fail_number(struct pl_err *err, const char *before, double v, const char *after)
{
    struct pl_buf b;

    pl_buf_init(&b, 0);
    add_number(&b, v);
    (void)pl_fail(err, PL_INVALID, "%s%.*s: %s", before, (int)b.n, b.p, after);
    pl_buf_fini(&b);
    return PL_INVALID;
}

static pl_status check_buckets(struct hist_side side, const char *name, struct pl_err *err)
{
    char before[96];

    for (uint32_t i = 0; i < side.len; i++) {
        if (side.n[i] < 0) {
            (void)snprintf(before, sizeof(before), "%s side: bucket number %u has observation count of ", name, i + 1);
            return fail_number(err, before, side.n[i], "histogram has a bucket whose observation count is negative");
        }
    }
    return PL_OK;
}

/* Go's %f. */
static const char *fixed(char *out, size_t size, double v)
{
    (void)snprintf(out, size, isinf(v) && v > 0 ? "+Inf" : isinf(v) ? "-Inf" : "%f", v);
    return out;
}

static pl_status check_custom(const struct hist *h, struct pl_err *err)
{
    char x[400], y[400];

    for (uint32_t i = 0; i < h->bound_count; i++) {
        if (isnan(h->bounds[i])) {
            return pl_fail(err, PL_INVALID, "custom buckets: histogram custom bounds must not be NaN");
        }
        if (i > 0 && h->bounds[i] <= h->bounds[i - 1]) {
            return pl_fail(err, PL_INVALID,
                           "custom buckets: previous bound is %s and current is %s: histogram custom bounds must be in "
                           "strictly increasing order",
                           fixed(x, sizeof(x), h->bounds[i - 1]), fixed(y, sizeof(y), h->bounds[i]));
        }
    }
    if (h->bound_count > 0 && h->bounds[h->bound_count - 1] == HUGE_VAL) {
        return pl_fail(
            err, PL_INVALID,
            "custom buckets: last +Inf bound must not be explicitly defined: histogram custom bounds must be "
            "finite");
    }
    if (h->pos.len > 0 && h->pos.at[0] < 0) {
        return pl_fail(err, PL_INVALID,
                       "custom buckets: span number 1 with offset %d: histogram has a span whose offset is negative",
                       h->pos.at[0]);
    }
    if (h->pos.len > 0 && (int64_t)h->pos.at[h->pos.len - 1] > (int64_t)h->bound_count) {
        return pl_fail(err, PL_INVALID,
                       "custom buckets: only %u custom bounds defined which is insufficient to cover total span length "
                       "of %lld: histogram custom bounds are too few",
                       h->bound_count, (long long)h->pos.at[h->pos.len - 1] + 1);
    }
    if (h->zero_count != 0) {
        return pl_fail(err, PL_INVALID, "custom buckets: must have zero count of 0");
    }
    if (h->zero_threshold != 0) {
        return pl_fail(err, PL_INVALID, "custom buckets: must have zero threshold of 0");
    }
    if (h->neg.len > 0) {
        return pl_fail(err, PL_INVALID, "custom buckets: must not have negative spans");
    }
    return PL_OK;
}

pl_status hist_validate(const struct hist *h, struct pl_err *err)
{
    if (hist_is_custom(h)) {
        PL_TRY(check_custom(h, err));
    } else if (hist__is_standard(h->schema)) {
        PL_TRY(check_buckets(h->neg, "negative", err));
        if (h->zero_count < 0) {
            return fail_number(err, "zero bucket has observation count of ", h->zero_count,
                               "histogram has a bucket whose observation count is negative");
        }
        if (h->bounds != NULL) {
            return pl_fail(err, PL_INVALID, "histogram with exponential schema must not have custom bounds");
        }
    } else {
        return pl_fail(err, PL_INVALID,
                       "histogram has an invalid schema, which must be between %d and %d for exponential buckets, or "
                       "%d for custom buckets, got schema %d",
                       HIST_SCHEMA_MIN, HIST_SCHEMA_MAX, HIST_SCHEMA_CUSTOM, h->schema);
    }
    if (h->count < 0) {
        return fail_number(err, "observation count is  ", h->count, "histogram's observation count is negative");
    }
    return check_buckets(h->pos, "positive", err);
}
