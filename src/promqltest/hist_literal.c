/* Histograms as the test language writes them: {{schema:1 count:3 sum:9 buckets:[1 2]}}. */
#include "promqltest/internal.h"

#include "codec/float_text.h"

enum { PRINTED_BUCKETS_MAX = 500 };

struct numbers {
    double *v;
    uint32_t n;
};

struct literal {
    struct hist h;
    struct numbers pos, neg;
    int64_t pos_offset, neg_offset;
    unsigned seen; /* bits by row of the table of keys */
    bool hint_set;
};

enum key { SCHEMA, SUM, COUNT, ZERO, ZERO_WIDTH, CUSTOM, BUCKETS, OFFSET, NEG_BUCKETS, NEG_OFFSET, HINT, KEYS };

static const char *const keys[KEYS] = {
    "schema",  "sum",    "count",     "z_bucket", "z_bucket_w",        "custom_values",
    "buckets", "offset", "n_buckets", "n_offset", "counter_reset_hint"};
static const char *const hints[] = {"unknown", "reset", "not_reset", "gauge"}; /* in the order of enum hist_hint */

static pl_str name_run(pl_str *s)
{
    size_t n = 0;
    pl_str out;

    while (n < s->n && (s->p[n] == '_' || ((s->p[n] | 0x20) >= 'a' && (s->p[n] | 0x20) <= 'z'))) {
        n++;
    }
    out = pl_str_sub(*s, 0, n);
    *s = pl_str_sub(*s, n, s->n);
    return out;
}

static int find(const char *const *names, int n, pl_str name)
{
    for (int i = 0; i < n; i++) {
        if (pl_str_eq_nocase(name, pl_str_c(names[i]))) {
            return i;
        }
    }
    return -1;
}

static bool whole_number(pl_str *s, int64_t *out)
{
    size_t n = s->n > 0 && s->p[0] == '-';
    bool ok;

    while (n < s->n && s->p[n] >= '0' && s->p[n] <= '9') {
        n++;
    }
    ok = pl_str_to_i64(pl_str_sub(*s, 0, n), out) && *out >= INT32_MIN && *out <= INT32_MAX;
    *s = pl_str_sub(*s, n, s->n);
    return ok;
}

/* [1 2.5 3] */
static pl_status list(struct numbers *out, struct pl_arena *a, pl_str *s, struct pl_err *err)
{
    size_t cap = 0, n = 0;

    if (s->n == 0 || s->p[0] != '[') {
        return pl_fail(err, PL_INVALID, "[ is expected at \"%.*s\"", PL_STR_ARG(*s));
    }
    *s = pl_str_sub(*s, 1, s->n);
    for (;;) {
        pl_str rest = ptest__blanks(*s);

        if (rest.n > 0 && rest.p[0] == ']' && n > 0) {
            *s = pl_str_sub(rest, 1, rest.n);
            break;
        }
        if (n > 0 && rest.n == s->n) {
            return pl_fail(err, PL_INVALID, "a blank or ] is expected at \"%.*s\"", PL_STR_ARG(*s));
        }
        *s = rest;
        if (n >= PTEST_VALUES_MAX || !ptest__grow(a, out->v, cap, n)) {
            return pl_fail(err, PL_LIMIT, "too many buckets");
        }
        if (!ptest__number(s, &out->v[n])) {
            return pl_fail(err, PL_INVALID, "a number is expected at \"%.*s\"", PL_STR_ARG(*s));
        }
        n++;
    }
    out->n = (uint32_t)n;
    return PL_OK;
}

static pl_status number(double *out, pl_str *s, const char *key, struct pl_err *err)
{
    return ptest__number(s, out)
               ? PL_OK
               : pl_fail(err, PL_INVALID, "%s: a number is expected at \"%.*s\"", key, PL_STR_ARG(*s));
}

static pl_status whole(int64_t *out, pl_str *s, const char *key, struct pl_err *err)
{
    return whole_number(s, out)
               ? PL_OK
               : pl_fail(err, PL_INVALID, "%s: a whole number is expected before \"%.*s\"", key, PL_STR_ARG(*s));
}

static pl_status item_value(struct literal *l, enum key key, struct pl_arena *a, pl_str *s, struct pl_err *err)
{
    struct numbers bounds = {0};
    int64_t schema;
    int hint;

    switch (key) {
    case SCHEMA:
        PL_TRY(whole(&schema, s, keys[key], err));
        l->h.schema = (int32_t)schema;
        return PL_OK;
    case SUM:
        return number(&l->h.sum, s, keys[key], err);
    case COUNT:
        return number(&l->h.count, s, keys[key], err);
    case ZERO:
        return number(&l->h.zero_count, s, keys[key], err);
    case ZERO_WIDTH:
        return number(&l->h.zero_threshold, s, keys[key], err);
    case CUSTOM:
        PL_TRY(list(&bounds, a, s, err));
        l->h.bounds = bounds.v;
        l->h.bound_count = bounds.n;
        return PL_OK;
    case BUCKETS:
        return list(&l->pos, a, s, err);
    case OFFSET:
        return whole(&l->pos_offset, s, keys[key], err);
    case NEG_BUCKETS:
        return list(&l->neg, a, s, err);
    case NEG_OFFSET:
        return whole(&l->neg_offset, s, keys[key], err);
    case HINT:
        hint = find(hints, PL_ARRAY_LEN(hints), name_run(s));
        if (hint < 0) {
            return pl_fail(err, PL_INVALID, "%s is unknown, reset, not_reset or gauge", keys[key]);
        }
        l->h.hint = (uint8_t)hint;
        l->hint_set = true;
        return PL_OK;
    case KEYS:
        break;
    }
    PL_UNREACHABLE("a key without a case");
}

static pl_status item(struct literal *l, struct pl_arena *a, pl_str *s, struct pl_err *err)
{
    pl_str name = name_run(s);
    int key = find(keys, KEYS, name);

    if (key < 0) {
        return pl_fail(err, PL_INVALID, "bad histogram descriptor found: \"%.*s\"", PL_STR_ARG(name));
    }
    if (s->n == 0 || s->p[0] != ':') {
        return pl_fail(err, PL_INVALID, "missing `:` for histogram descriptor %s", keys[key]);
    }
    if ((l->seen & 1u << key) != 0) {
        return pl_fail(err, PL_INVALID, "duplicate key \"%s\" in histogram", keys[key]);
    }
    l->seen |= 1u << key;
    *s = pl_str_sub(*s, 1, s->n);
    return item_value(l, (enum key)key, a, s, err);
}

static pl_status side(struct hist_side *out, struct pl_arena *a, const struct numbers *n, int64_t offset,
                      struct pl_err *err)
{
    int32_t *at;

    if (n->n == 0) {
        return PL_OK;
    }
    if (offset + (int64_t)n->n > INT32_MAX) {
        return pl_fail(err, PL_INVALID, "an offset of %lld is too large", (long long)offset);
    }
    at = pl_arena_new_array_try(a, int32_t, n->n);
    if (at == NULL) {
        return pl_fail(err, PL_LIMIT, "the file is too large");
    }
    for (uint32_t i = 0; i < n->n; i++) {
        at[i] = (int32_t)(offset + i);
    }
    *out = (struct hist_side){at, n->v, n->n};
    return PL_OK;
}

pl_status ptest__hist(struct hist **out, bool *hint_set, struct pl_arena *a, pl_str *s, struct pl_err *err)
{
    struct literal l = {0};
    bool first = true;

    if (!pl_str_starts(*s, PL_STR("{{"))) {
        return pl_fail(err, PL_INVALID, "a histogram is expected at \"%.*s\"", PL_STR_ARG(*s));
    }
    *s = pl_str_sub(*s, 2, s->n);
    for (;;) {
        pl_str rest = ptest__blanks(*s);

        if (pl_str_starts(rest, PL_STR("}}"))) {
            *s = pl_str_sub(rest, 2, rest.n);
            break;
        }
        if (rest.n == 0) {
            return pl_fail(err, PL_INVALID, "a histogram without end: }} is missing");
        }
        if (!first && rest.n == s->n) {
            return pl_fail(err, PL_INVALID, "histogram description incomplete unexpected: \"%.*s\"", PL_STR_ARG(rest));
        }
        first = false;
        *s = rest;
        PL_TRY(item(&l, a, s, err));
    }
    PL_TRY(side(&l.h.pos, a, &l.pos, l.pos_offset, err));
    PL_TRY(side(&l.h.neg, a, &l.neg, l.neg_offset, err));
    *out = pl_arena_alloc_try(a, sizeof(**out));
    if (*out == NULL) {
        return pl_fail(err, PL_LIMIT, "the file is too large");
    }
    **out = l.h;
    *hint_set = l.hint_set;
    return PL_OK;
}

/* ---- printing ---- */

static void put(struct pl_buf *b, const char *key, double v)
{
    if (v != 0) {
        pl_buf_printf(b, "%s:", key);
        pl_buf_f64_g(b, v);
        pl_buf_byte(b, ' ');
    }
}

static void put_side(struct pl_buf *b, const struct hist_side *s, const char *offset, const char *buckets)
{
    uint32_t printed = 0;

    if (s->len == 0) {
        return;
    }
    if (s->at[0] != 0) {
        pl_buf_printf(b, "%s:%d ", offset, s->at[0]);
    }
    pl_buf_printf(b, "%s:[", buckets);
    for (uint32_t i = 0; i < s->len && printed < PRINTED_BUCKETS_MAX; i++) {
        for (int64_t gap = i > 0 ? s->at[i - 1] + (int64_t)1 : s->at[i]; gap < s->at[i]; gap++) {
            if (printed++ >= PRINTED_BUCKETS_MAX) {
                break;
            }
            pl_buf_cstr(b, "0 ");
        }
        pl_buf_f64_g(b, s->n[i]);
        pl_buf_cstr(b, i + 1 < s->len ? " " : "");
        printed++;
    }
    pl_buf_cstr(b, printed >= PRINTED_BUCKETS_MAX ? "...] " : "] ");
}

void ptest_hist_print(struct pl_buf *b, const struct hist *h)
{
    size_t from = b->n;

    pl_buf_cstr(b, "{{");
    put(b, "schema", h->schema);
    put(b, "count", h->count);
    put(b, "sum", h->sum);
    put(b, "z_bucket", h->zero_count);
    put(b, "z_bucket_w", h->zero_threshold);
    if (hist_is_custom(h)) {
        pl_buf_cstr(b, "custom_values:[");
        for (uint32_t i = 0; i < h->bound_count && i < PRINTED_BUCKETS_MAX; i++) {
            pl_buf_cstr(b, i > 0 ? " " : "");
            pl_buf_f64_g(b, h->bounds[i]);
        }
        pl_buf_cstr(b, h->bound_count > PRINTED_BUCKETS_MAX ? " ...] " : "] ");
    }
    if (h->hint != HIST_HINT_UNKNOWN && h->hint < PL_ARRAY_LEN(hints)) {
        pl_buf_printf(b, "counter_reset_hint:%s ", hints[h->hint]);
    }
    put_side(b, &h->pos, "offset", "buckets");
    put_side(b, &h->neg, "n_offset", "n_buckets");
    if (b->n > from + 2 && !b->overflow) {
        b->n--; /* the blank behind the last one */
    }
    pl_buf_cstr(b, "}}");
}
