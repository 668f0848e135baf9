#include "query_grammar.h"

enum { DEPTH_MAX = 5 };

struct choices {
    const uint8_t *p;
    size_t left;
    struct pl_buf *out;
};

static size_t below(struct choices *c, size_t n)
{
    if (c->left == 0) {
        return 0;
    }
    c->left--;
    return *c->p++ % n;
}

static void say(struct choices *c, const char *text)
{
    pl_buf_cstr(c->out, text);
}

#define SAY_ONE(c, ...)                                             \
    do {                                                            \
        static const char *const said[] = {__VA_ARGS__};            \
        say((c), said[below((c), sizeof(said) / sizeof(said[0]))]); \
    } while (0)

static void vector(struct choices *c, int depth);

static void modifiers(struct choices *c)
{
    SAY_ONE(c, "", "", "", "", " offset 30s", " offset -1m", " @ 200", " @ start()", " @ end()");
}

static void selector(struct choices *c)
{
    SAY_ONE(c, "a_total", "b", "d", "c_bucket", "e_special", "{__name__=~\"b|d\"}", "f_reset_total");
    SAY_ONE(c, "", "", "", "{x=\"1\"}", "{x!=\"1\"}", "{le=~\"1|2\"}");
}

static void range(struct choices *c, int depth)
{
    if (depth > 0 && below(c, 4) == 0) {
        say(c, "(");
        vector(c, depth - 1);
        say(c, ")");
        SAY_ONE(c, "[1m:10s]", "[2m:15s]", "[3m:]", "[90s:7s]");
    } else {
        SAY_ONE(c, "a_total", "b", "d", "c_bucket", "e_special", "f_reset_total");
        SAY_ONE(c, "[1m]", "[2m]", "[45s]", "[5m]", "[10s]", "[1s]");
    }
    modifiers(c);
}

static void number(struct choices *c, int depth)
{
    SAY_ONE(c, "0", "1", "0.5", "-1", "2", "1e3", "NaN", "Inf", "0.9", "time()", "3");
    if (depth > 0 && below(c, 4) == 0) {
        SAY_ONE(c, " + ", " * ", " - ", " > bool ", " ^ ", " % ");
        say(c, "scalar(");
        vector(c, depth - 1);
        say(c, ")");
    }
}

static void grouping(struct choices *c)
{
    SAY_ONE(c, "", " by (x)", " by (le)", " without (x)", " by (x, le)", " without (le)", " by (__name__)");
}

static void call(struct choices *c, int depth)
{
    switch (below(c, 8)) {
    case 0:
        SAY_ONE(c, "abs(", "ceil(", "sgn(", "sqrt(", "ln(", "timestamp(", "absent(", "sort(", "exp(", "sin(", "hour(");
        vector(c, depth - 1);
        break;
    case 1:
        SAY_ONE(c, "clamp_min(", "clamp_max(", "round(");
        vector(c, depth - 1);
        say(c, ", ");
        number(c, depth - 1);
        break;
    case 2:
        say(c, "vector(");
        number(c, depth - 1);
        break;
    case 3:
        say(c, "quantile_over_time(");
        number(c, depth - 1);
        say(c, ", ");
        range(c, depth);
        break;
    case 4:
        say(c, "predict_linear(");
        range(c, depth);
        say(c, ", ");
        number(c, depth - 1);
        break;
    case 5:
        say(c, "label_join(");
        vector(c, depth - 1);
        SAY_ONE(c, ", \"x\", \"-\", \"le\", \"x\"", ", \"new\", \"\", \"x\"", ", \"le\", \"/\"");
        break;
    default:
        SAY_ONE(c, "rate(", "increase(", "delta(", "irate(", "idelta(", "changes(", "resets(", "deriv(",
                "sum_over_time(", "avg_over_time(", "min_over_time(", "max_over_time(", "count_over_time(",
                "stddev_over_time(", "stdvar_over_time(", "last_over_time(", "first_over_time(", "present_over_time(",
                "absent_over_time(", "mad_over_time(", "ts_of_max_over_time(", "ts_of_last_over_time(");
        range(c, depth);
        break;
    }
    say(c, ")");
}

static void aggregation(struct choices *c, int depth)
{
    SAY_ONE(c, "sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "quantile", "topk", "bottomk");
    switch (c->out->p[c->out->n - 1]) {
    case 'e':
    case 'k':
        grouping(c);
        say(c, " (");
        number(c, depth - 1);
        say(c, ", ");
        break;
    default:
        grouping(c);
        say(c, " (");
        break;
    }
    vector(c, depth - 1);
    say(c, ")");
}

static void binary(struct choices *c, int depth)
{
    say(c, "(");
    vector(c, depth - 1);
    if (below(c, 3) == 0) {
        SAY_ONE(c, " and ", " or ", " unless ");
        SAY_ONE(c, "", "on (x) ", "ignoring (le) ", "on () ");
    } else {
        SAY_ONE(c, " + ", " - ", " * ", " / ", " % ", " ^ ", " atan2 ", " == ", " != ", " > ", " <= ", " == bool ",
                " < bool ");
        if (below(c, 3) == 0) {
            number(c, depth - 1);
            say(c, ")");
            return;
        }
        SAY_ONE(c, "", "", "on (x) ", "on (x) group_left ", "ignoring (le) ", "on (x) group_right (le) ", "on (x, le) ",
                "on (x) fill (1) ", "fill_left (2) ", "on (x, le) fill_right (0) ");
    }
    vector(c, depth - 1);
    say(c, ")");
}

static void vector(struct choices *c, int depth)
{
    if (depth <= 0) {
        selector(c);
        modifiers(c);
        return;
    }
    switch (below(c, 8)) {
    case 0:
        selector(c);
        modifiers(c);
        return;
    case 1:
    case 2:
        binary(c, depth);
        return;
    case 3:
    case 4:
        aggregation(c, depth);
        return;
    case 5:
        say(c, "-(");
        vector(c, depth - 1);
        say(c, ")");
        return;
    default:
        call(c, depth);
        return;
    }
}

void query_from_bytes(struct pl_buf *out, const uint8_t *data, size_t size)
{
    struct choices c = {data, size, out};
    int depth = (int)below(&c, DEPTH_MAX + 1);

    vector(&c, depth);
}
