#include "ctl/query_show.h"

enum { DEPTH_MAX = 200 };

static const char *text_of(const json_t *v)
{
    const char *s = json_string_value(v);

    return s != NULL ? s : "?";
}

static void put_bucket(struct pl_buf *out, const json_t *bucket)
{
    static const char *const open[] = {"(", "[", "(", "["}, *const close[] = {"]", ")", ")", "]"};
    json_int_t rule = json_integer_value(json_array_get(bucket, 0));

    rule = rule < 0 || rule > 3 ? 2 : rule;
    pl_buf_printf(out, ", %s%s,%s%s:%s", open[rule], text_of(json_array_get(bucket, 1)),
                  text_of(json_array_get(bucket, 2)), close[rule], text_of(json_array_get(bucket, 3)));
}

void ctl_show_histogram(struct pl_buf *out, const json_t *h)
{
    json_t *bucket;
    size_t i;

    pl_buf_printf(out, "{count:%s, sum:%s", text_of(json_object_get(h, "count")), text_of(json_object_get(h, "sum")));
    json_array_foreach(json_object_get(h, "buckets"), i, bucket)
    {
        put_bucket(out, bucket);
    }
    pl_buf_byte(out, '}');
}

static void put_count(struct pl_buf *out, const json_t *e, const char *key, const char *what)
{
    const json_t *v = json_object_get(e, key);

    if (v != NULL) {
        pl_buf_printf(out, ", %lld %s", (long long)json_integer_value(v), what);
    }
}

static void put_operator(struct pl_buf *out, const json_t *e, int depth)
{
    const json_t *seconds = json_object_get(e, "seconds"), *stored = json_object_get(e, "storedSeries");
    json_t *child;
    size_t i;

    pl_buf_printf(out, "%*s%s  %s\n%*s", depth * 2, "", text_of(json_object_get(e, "operator")),
                  text_of(json_object_get(e, "expr")), depth * 2 + 4, "");
    pl_buf_printf(out, "%lld steps", (long long)json_integer_value(json_object_get(e, "steps")));
    if (json_integer_value(stored) > 0) {
        put_count(out, e, "storedSeries", "series stored");
        put_count(out, e, "storedSamples", "samples in their chunks");
    }
    if (seconds != NULL) {
        put_count(out, e, "series", "series out");
        put_count(out, e, "samples", "samples out");
        pl_buf_printf(out, ", %.3f ms, %.1f KB", json_number_value(seconds) * 1e3,
                      (double)json_integer_value(json_object_get(e, "bytes")) / 1e3);
    }
    pl_buf_byte(out, '\n');
    if (depth < DEPTH_MAX) {
        json_array_foreach(json_object_get(e, "children"), i, child)
        {
            put_operator(out, child, depth + 1);
        }
    }
}

void ctl_show_explain(struct pl_buf *out, const json_t *explain)
{
    put_operator(out, explain, 0);
}
