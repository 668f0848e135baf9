/* The query API's JSON (spec prometheus.md 6) to an answer. Library: jansson. */
#include "ctl/remote.h"

#include "codec/float_text.h"

#include <jansson.h>
#include <math.h>

struct reader {
    struct pl_arena *a;
    int64_t base_ms;
    struct pl_err *err;
};

static pl_status odd(struct reader *r, const char *what)
{
    return pl_fail(r->err, PL_UNAVAILABLE, "the answer is not that of a query API: %s", what);
}

static pl_str text_of(struct reader *r, const json_t *j)
{
    return pl_arena_str(r->a, pl_str_of(json_string_value(j), json_string_length(j)));
}

static pl_status number(struct reader *r, const json_t *j, double *out)
{
    if (json_is_string(j) && float_parse(pl_str_of(json_string_value(j), json_string_length(j)), out)) {
        if (isnan(*out)) {
            *out = pl_f64_from_bits(PL_NORMAL_NAN_BITS);
        }
        return PL_OK;
    }
    return odd(r, "a value that is not a number in quotes");
}

static pl_status point_time(struct reader *r, const json_t *pair, int64_t *out)
{
    const json_t *t = json_array_get(pair, 0);

    if (!json_is_number(t)) {
        return odd(r, "a point without time");
    }
    *out = pl_f64_to_i64(round(json_number_value(t) * 1000));
    return pl_sub_ok(out, *out, r->base_ms) ? PL_OK : odd(r, "a time out of range");
}

static pl_status labels(struct reader *r, json_t *metric, struct labels *out)
{
    struct label *l = pl_arena_new_array_try(r->a, struct label, json_object_size(metric) + 1);
    const char *key;
    json_t *value;
    size_t n = 0;

    json_object_foreach(metric, key, value)
    {
        if (!json_is_string(value)) {
            return odd(r, "a label that is not text");
        }
        l[n++] = (struct label){pl_arena_str(r->a, pl_str_c(key)), text_of(r, value)};
    }
    labels_sort(l, n);
    *out = (struct labels){l, n};
    return PL_OK;
}

/* [boundary rule, "lower", "upper", "count"] */
static pl_status bucket(struct reader *r, const json_t *j, struct hist_bucket *out)
{
    json_int_t rule = json_integer_value(json_array_get(j, 0));

    *out = (struct hist_bucket){.lower_inclusive = rule == 1 || rule == 3, .upper_inclusive = rule == 0 || rule == 3};
    PL_TRY(number(r, json_array_get(j, 1), &out->lower));
    PL_TRY(number(r, json_array_get(j, 2), &out->upper));
    return number(r, json_array_get(j, 3), &out->count);
}

static pl_status histogram(struct reader *r, const json_t *j, const struct ptest_buckets **out)
{
    struct ptest_buckets *h = pl_arena_new(r->a, struct ptest_buckets);
    const json_t *list = json_object_get(j, "buckets");
    struct hist_bucket *v = pl_arena_new_array_try(r->a, struct hist_bucket, json_array_size(list) + 1);

    PL_TRY(number(r, json_object_get(j, "count"), &h->count));
    PL_TRY(number(r, json_object_get(j, "sum"), &h->sum));
    h->n = json_array_size(list);
    for (size_t i = 0; i < h->n; i++) {
        PL_TRY(bucket(r, json_array_get(list, i), &v[i]));
    }
    h->v = v;
    *out = h;
    return PL_OK;
}

static pl_status point(struct reader *r, const json_t *pair, bool is_histogram, struct ptest_point *out)
{
    *out = (struct ptest_point){0};
    PL_TRY(point_time(r, pair, &out->t_ms));
    return is_histogram ? histogram(r, json_array_get(pair, 1), &out->b) : number(r, json_array_get(pair, 1), &out->v);
}

static pl_status vector_row(struct reader *r, json_t *item, struct ptest_row *row)
{
    json_t *value = json_object_get(item, "value"), *h = json_object_get(item, "histogram");

    row->points = pl_arena_new_array_try(r->a, struct ptest_point, 1);
    row->n = 1;
    return point(r, value != NULL ? value : h, value == NULL, &row->points[0]);
}

/* "values" and "histograms", each by time, become one list. */
static pl_status matrix_row(struct reader *r, json_t *item, struct ptest_row *row)
{
    json_t *values = json_object_get(item, "values"), *hists = json_object_get(item, "histograms");
    size_t f = 0, h = 0, fn = json_array_size(values), hn = json_array_size(hists);
    struct ptest_point a = {0}, b = {0};

    row->points = pl_arena_new_array_try(r->a, struct ptest_point, fn + hn + 1);
    while (f < fn || h < hn) {
        if (f < fn) {
            PL_TRY(point(r, json_array_get(values, f), false, &a));
        }
        if (h < hn) {
            PL_TRY(point(r, json_array_get(hists, h), true, &b));
        }
        if (h == hn || (f < fn && a.t_ms < b.t_ms)) {
            row->points[row->n++] = a;
            f++;
        } else {
            row->points[row->n++] = b;
            h++;
        }
    }
    return PL_OK;
}

static pl_status rows(struct reader *r, json_t *list, struct ptest_answer *out)
{
    json_t *item;
    size_t i;

    out->rows = pl_arena_new_array_try(r->a, struct ptest_row, json_array_size(list) + 1);
    json_array_foreach(list, i, item)
    {
        struct ptest_row *row = &out->rows[out->n++];

        PL_TRY(labels(r, json_object_get(item, "metric"), &row->labels));
        PL_TRY(out->type == PQ_VECTOR ? vector_row(r, item, row) : matrix_row(r, item, row));
    }
    return PL_OK;
}

/* The position at the end of an annotation is no part of what the files compare. */
static pl_str without_position(pl_str s)
{
    size_t n = s.n;

    if (n == 0 || s.p[n - 1] != ')') {
        return s;
    }
    n--;
    while (n > 0 && ((s.p[n - 1] >= '0' && s.p[n - 1] <= '9') || s.p[n - 1] == ':')) {
        n--;
    }
    return n >= 2 && s.p[n - 1] == '(' && s.p[n - 2] == ' ' && n + 3 <= s.n ? pl_str_sub(s, 0, n - 2) : s;
}

static void notes(struct reader *r, json_t *list, struct ptest_note **out, size_t *count)
{
    json_t *item;
    size_t i;

    *out = pl_arena_new_array_try(r->a, struct ptest_note, json_array_size(list) + 1);
    json_array_foreach(list, i, item)
    {
        pl_str full = text_of(r, item);

        (*out)[(*count)++] = (struct ptest_note){without_position(full), full};
    }
}

static pl_status success(struct reader *r, json_t *root, struct ptest_answer *out)
{
    json_t *data = json_object_get(root, "data"), *result = json_object_get(data, "result");
    const char *type = json_string_value(json_object_get(data, "resultType"));

    notes(r, json_object_get(root, "warnings"), &out->warnings, &out->warning_count);
    notes(r, json_object_get(root, "infos"), &out->infos, &out->info_count);
    if (type == NULL || !json_is_array(result)) {
        return odd(r, "no result");
    }
    if (strcmp(type, "scalar") == 0) {
        out->type = PQ_SCALAR;
        return number(r, json_array_get(result, 1), &out->scalar);
    }
    if (strcmp(type, "string") == 0) {
        out->type = PQ_STRING;
        out->string = text_of(r, json_array_get(result, 1));
        return PL_OK;
    }
    if (strcmp(type, "vector") != 0 && strcmp(type, "matrix") != 0) {
        return odd(r, "a result of unknown type");
    }
    out->type = type[0] == 'v' ? PQ_VECTOR : PQ_MATRIX;
    return rows(r, result, out);
}

static pl_status failure(struct reader *r, json_t *root, int http_status, struct ptest_answer *out)
{
    static const pl_str prefixes[] = {PL_STR_INIT("invalid parameter \"query\": "), /* Prometheus's, Cortex's */
                                      PL_STR_INIT("invalid parameter \"query\"; ")};
    const char *type = json_string_value(json_object_get(root, "errorType"));
    const json_t *error = json_object_get(root, "error");

    if (type == NULL || !json_is_string(error) || (strcmp(type, "bad_data") != 0 && strcmp(type, "execution") != 0)) {
        return pl_fail(r->err, PL_UNAVAILABLE, "HTTP %d: %s", http_status,
                       json_is_string(error) ? json_string_value(error) : "an answer without error text");
    }
    out->failed = true;
    out->error = text_of(r, error);
    for (size_t i = 0; i < PL_ARRAY_LEN(prefixes); i++) {
        if (pl_str_starts(out->error, prefixes[i])) {
            out->error = pl_str_sub(out->error, prefixes[i].n, out->error.n);
        }
    }
    return PL_OK;
}

pl_status remote_answer_parse(struct ptest_answer *out, struct pl_arena *a, pl_str text, int http_status,
                              int64_t base_ms, struct pl_err *err)
{
    struct reader r = {a, base_ms, err};
    json_error_t problem;
    json_t *root = json_loadb(text.p, text.n, JSON_ALLOW_NUL, &problem);
    const char *status = json_string_value(json_object_get(root, "status"));
    pl_status st;

    *out = (struct ptest_answer){.type = PQ_NONE};
    if (status == NULL) {
        st = pl_fail(err, PL_UNAVAILABLE, "HTTP %d: %.*s", http_status, (int)PL_MIN(text.n, (size_t)300), text.p);
    } else if (strcmp(status, "success") == 0) {
        st = success(&r, root, out);
    } else {
        st = failure(&r, root, http_status, out);
    }
    json_decref(root);
    return st;
}
