/* Expectations are what Prometheus 3.14.0's own parser answers to these texts. */
#include "promql/ast.h"
#include "promql/functions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const struct pq_parse_options all_on = {true, true, true};
static const struct pq_parse_options all_off = {0};

/* The canonical text, or the error's. */
static void parse_to(struct pl_buf *out, const char *text, const struct pq_parse_options *o,
                     void (*print)(struct pl_buf *, const struct pq_node *))
{
    struct pl_arena a;
    struct pl_err err;
    struct pq_node *n = NULL;

    pl_arena_init(&a, 0);
    pl_buf_reset(out);
    if (pq_parse(&n, &a, pl_str_c(text), o, &err) == PL_OK) {
        print(out, n);
    } else {
        assert_int_equal(err.status, PL_INVALID);
        pl_buf_cstr(out, err.msg);
    }
    pl_buf_byte(out, '\0');
    pl_arena_fini(&a);
}

struct text_case {
    const char *in, *want;
};

static void check_texts(const struct text_case *cases, size_t count, const struct pq_parse_options *o)
{
    struct pl_buf b;

    pl_buf_init(&b, 0);
    for (size_t i = 0; i < count; i++) {
        parse_to(&b, cases[i].in, o, pq_print);
        if (strcmp(b.p, cases[i].want) != 0) {
            fail_msg("%s\n got %s\nwant %s", cases[i].in, b.p, cases[i].want);
        }
    }
    pl_buf_fini(&b);
}
#define CHECK_TEXTS(cases, o) check_texts(cases, PL_ARRAY_LEN(cases), o)

static void literals(void **state)
{
    static const struct text_case cases[] = {
        {"1", "1"},
        {"-1", "-1"},
        {"--1", "1"},
        {"0x1F", "31"},
        {"0755", "493"},
        {"08", "8"},
        {"1_000", "1000"},
        {"1e3", "1000"},
        {".5", "0.5"},
        {"5.", "5"},
        {"+Inf", "+Inf"},
        {"-inf", "-Inf"},
        {"nan", "NaN"},
        {"5m", "5m"},
        {"-1h30m", "-1h30m"},
        {"90m", "1h30m"},
        {"7d", "1w"},
        {"8d", "8d"},
        {"1500ms", "1s500ms"},
        {"9223372036854775808", "9223372036854776000"},
        {"'a\\n\\x41\\u00e9'", "\"a\\nA\xc3\xa9\""},
        {"`a\\n`", "\"a\\\\n\""},
        {"\"\\377\"", "\"\\xff\""},
        {"(1)", "(1)"},
    };
    (void)state;
    CHECK_TEXTS(cases, &all_off);
}

static void precedence(void **state)
{
    static const struct {
        const char *a, *b; /* same tree */
    } same[] = {
        {"a+b*c^d", "a+(b*(c^d))"},
        {"a^b^c", "a^(b^c)"},
        {"a-b-c", "(a-b)-c"},
        {"-a^b", "-(a^b)"},
        {"-a*b", "(-a)*b"},
        {"a or b and c", "a or (b and c)"},
        {"a == b + c", "a == (b + c)"},
        {"a unless b or c", "(a unless b) or c"},
        {"a atan2 b * c", "(a atan2 b) * c"},
        {"foo offset -2^2", "(foo offset -2)^2"},
        {"a </ b + c", "a </ (b + c)"},
    };
    struct pl_buf x, y;
    (void)state;

    pl_buf_init(&x, 0);
    pl_buf_init(&y, 0);
    for (size_t i = 0; i < PL_ARRAY_LEN(same); i++) {
        /* The JSON trees are equal once the parentheses' nodes are gone. */
        static const char open[] = "{\"expr\":", close[] = ",\"type\":\"parenExpr\"}";
        parse_to(&x, same[i].a, &all_on, pq_print_json);
        parse_to(&y, same[i].b, &all_on, pq_print_json);
        for (char *at; (at = strstr(y.p, close)) != NULL;) {
            int depth = 0;
            char *begin = at;
            memmove(at, at + sizeof(close) - 1, strlen(at + sizeof(close) - 1) + 1);
            while (depth >= 0) { /* back to the brace that opened this node */
                begin--;
                depth += *begin == '}' ? 1 : *begin == '{' ? -1 : 0;
            }
            memmove(begin, begin + sizeof(open) - 1, strlen(begin + sizeof(open) - 1) + 1);
        }
        if (strcmp(x.p, y.p) != 0) {
            fail_msg("%s\n%s\n%s", same[i].a, x.p, y.p);
        }
    }
    pl_buf_fini(&x);
    pl_buf_fini(&y);
}

static void selectors(void **state)
{
    static const struct text_case cases[] = {
        {"foo", "foo"},
        {"foo{}", "foo"},
        {"foo{b='2',a=\"1\",}", "foo{a=\"1\",b=\"2\"}"},
        {"{__name__=\"foo\"}", "{__name__=\"foo\"}"},
        {"{\"my.metric\", env=\"x\"}", "{__name__=\"my.metric\",env=\"x\"}"},
        {"{\"a b\"=~\"c\"}", "{\"a b\"=~\"c\"}"},
        {"sum", "sum"},
        {"offset", "offset"},
        {"by{a!=\"\"}", "by{a!=\"\"}"},
        {"a:b:c", "a:b:c"},
        {"foo{and=\"x\"}", "foo{and=\"x\"}"},
        {"foo[5m] offset 1h @ 12.3456", "foo[5m] @ 12.346 offset 1h"},
        {"foo @ -1.5", "foo @ -1.500"},
        {"foo @ start() offset -5m", "foo @ start() offset -5m"},
        {"foo[300]", "foo[5m]"},
        {"foo[5m:]", "foo[5m:]"},
        {"foo[5m:30s] @ end()", "foo[5m:30s] @ end()"},
        {"foo offset 5m[10m:6s]", "foo offset 5m[10m:6s]"},
        {"foo # comment\n[5m]", "foo[5m]"},
        {"foo offset 0s offset 5m", "foo offset 5m"},
        {"fill + fill_left", "fill + fill_left"},
        {"foo anchored", "foo anchored"},
        {"foo[5m] smoothed offset 1m", "foo[5m] smoothed offset 1m"},
        {"foo[5m * step()]", "foo[5m * step()]"},
        {"foo[min_of(5m, range())]", "foo[min_of(5m, range())]"},
        {"foo offset (5m + 1m) * 2", "foo offset (5m + 1m) * 2"},
        {"foo offset -step()", "foo offset -step()"},
        {"foo[5m:step()+1]", "foo[5m:step() + 1]"},
        {"foo offset --5m + 3", "foo offset (5m + 3)"},
        {"foo offset -step() + 3", "foo offset -step() + 3"},
        {"foo offset (5m) @ 3 + 1", "foo @ 3.000 offset +(5m) + 1"},
        {"foo offset +-5m^2", "foo offset (-5m ^ 2)"},
        {"foo[-(-5m)]", "foo[-(-5m)]"},
        {"foo[--5m]", "foo[5m]"},
    };
    (void)state;
    CHECK_TEXTS(cases, &all_on);
}

static void operators_and_calls(void **state)
{
    static const struct text_case cases[] = {
        {"sum(a)by(b,c)", "sum by (b, c) (a)"},
        {"sum without() (a)", "sum without () (a)"},
        {"SUM by (\"x y\", bool, on) (a)", "sum by (\"x y\", bool, on) (a)"},
        {"topk(5, a)", "topk(5, a)"},
        {"count_values(\"l\", a)", "count_values(\"l\", a)"},
        {"a == bool 1", "a == bool 1"},
        {"a + on(x,) group_left b", "a + on (x) group_left () b"},
        {"a / ignoring(x) group_right(y) b", "a / ignoring (x) group_right (y) b"},
        {"a * on() b", "a * on () b"},
        {"a and b", "a and b"},
        {"a + fill(1) b", "a + fill (1) b"},
        {"a + fill_right(-1m) fill_left(2) b", "a + fill_left (2) fill_right (-60) b"},
        {"rate(a[5m])", "rate(a[5m])"},
        {"time()", "time()"},
        {"round(a)", "round(a)"},
        {"info(a, {b=~\".*\"})", "info(a, {b=~\".*\"})"},
        {"info(a, {})", "info(a, {})"},
        {"start() + end() + step() + range()", "start() + end() + step() + range()"},
        {"max_of(1, 2)", "max_of(1, 2)"},
        {"label_join(a, \"x\", \",\", \"y\", \"z\")", "label_join(a, \"x\", \",\", \"y\", \"z\")"},
        {"holt_winters(a[5m], 0.5, 0.5)", "holt_winters(a[5m], 0.5, 0.5)"},
        {"limitk(1, a)", "limitk(1, a)"},
    };
    (void)state;
    CHECK_TEXTS(cases, &all_on);
}

static void syntax_errors(void **state)
{
    static const struct text_case cases[] = {
        {"", "unknown position: parse error: no expression found in input"},
        {" ", "1:1: parse error: no expression found in input"},
        {"sum(", "1:5: parse error: unclosed left parenthesis"},
        {"m{", "1:3: parse error: unexpected end of input inside braces"},
        {"a)", "1:3: parse error: unexpected right parenthesis ')'"},
        {"1 +", "1:4: parse error: unexpected end of input"},
        {"a\n+ b c", "2:5: parse error: unexpected identifier \"c\""},
        {"sum(a b)", "1:7: parse error: unexpected identifier \"b\" in aggregation"},
        {"sum by a (b)", "1:8: parse error: unexpected identifier \"a\" in grouping opts, expected \"(\""},
        {"sum by (1) (b)", "1:9: parse error: unexpected number \"1\" in grouping opts, expected label"},
        {"sum by (a b) (c)",
         "1:11: parse error: unexpected identifier \"b\" in grouping opts, expected \",\" or \")\""},
        {"sum by (\"\") (c)", "1:9: parse error: invalid label name for grouping: \"\""},
        {"foo{a}", "1:6: parse error: unexpected \"}\" in label matching, expected label matching operator"},
        {"foo{a=1}", "1:7: parse error: unexpected character inside braces: '1'"},
        {"foo{a=b}", "1:7: parse error: unexpected identifier \"b\" in label matching, expected string"},
        {"foo{,}", "1:5: parse error: unexpected \",\" in label matching, expected identifier or \"}\""},
        {"foo{a=\"1\" b=\"2\"}",
         "1:11: parse error: unexpected identifier \"b\" in label matching, expected \",\" or \"}\""},
        {"foo{a=~\"(\"}", "1:5: parse error: error parsing regexp: missing closing ): `(`"},
        {"foo offset",
         "1:11: parse error: unexpected end of input in offset, expected number, duration, step(), or range()"},
        {"foo @ x", "1:7: parse error: unexpected identifier \"x\" in @, expected timestamp"},
        {"foo[]", "1:5: parse error: unexpected \"]\" in subquery or range selector, expected number, duration, "
                  "step(), or range()"},
        {"foo[5m 1]", "1:8: parse error: unexpected number \"1\" in subquery or range, expected \":\" or \"]\""},
        {"foo[5m:5m 1]", "1:11: parse error: unexpected number \"1\" in subquery selector, expected \"]\""},
        {"foo[5x]", "1:5: parse error: bad number or duration syntax: \"5\""},
        {"foo[0s]", "1:5: parse error: duration must be greater than 0"},
        {"foo[1y1y]", "1:5: parse error: bad number or duration syntax: \"1y1\""},
        {"foo[1h2h]", "1:5: parse error: not a valid duration string: \"1h2h\""},
        {"foo[300y]", "1:5: parse error: duration out of range"},
        {"foo[5m/0]", "1:7: parse error: division by zero"},
        {"1[5m]", "1:2: parse error: ranges only allowed for vector selectors"},
        {"foo offset 1m[5m]", "1:14: parse error: no offset modifiers allowed before range"},
        {"foo @ 1 [5m]", "1:9: parse error: no @ modifiers allowed before range"},
        {"foo offset 1m offset 2m", "1:1: parse error: offset may not be set multiple times"},
        {"1 offset 1m", "1:1: parse error: offset modifier must be preceded by an instant vector selector or range "
                        "vector selector or a "
                        "subquery"},
        {"foo @ 1 @ 2", "1:1: parse error: @ <timestamp> may not be set multiple times"},
        {"foo @ Inf", "1:1: parse error: timestamp out of bounds for @ modifier: +Inf"},
        {"f(a)", "1:1: parse error: unknown function with name \"f\""},
        {"rate(a[5m],)", "1:11: parse error: trailing commas not allowed in function call args"},
        {"\"a", "1:1: parse error: unterminated quoted string"},
        {"\"\\q\"", "1:1: parse error: unknown escape sequence U+0071 'q'"},
        {"1e400", "1:1: parse error: error parsing number: strconv.ParseFloat: parsing \"1e400\": value out of range"},
        {"a ! b", "1:3: parse error: unexpected character after '!': ' '"},
        {"a + on(x) group_left * b", "1:22: parse error: unexpected <op:*> in grouping opts, expected \"(\""},
        {"sum()", "1:1: parse error: no arguments for aggregate expression provided"},
        {"topk(a)", "1:1: parse error: wrong number of arguments for aggregate expression provided, expected 2, got 1"},
        {"foo \"averylongstring\"", "1:5: parse error: unexpected string \"\\\"averylong\"..."},
    };
    (void)state;
    CHECK_TEXTS(cases, &all_on);
}

static void type_errors(void **state)
{
    static const struct text_case cases[] = {
        {"sum(1)", "1:5: parse error: expected type instant vector in aggregation expression, got scalar"},
        {"topk(a, b)", "1:6: parse error: expected type scalar in aggregation parameter, got instant vector"},
        {"count_values(1, b)", "1:14: parse error: expected type string in aggregation parameter, got scalar"},
        {"rate(a)", "1:6: parse error: expected type range vector in call to function \"rate\", got instant vector"},
        {"rate()", "1:1: parse error: expected 1 argument(s) in call to \"rate\", got 0"},
        {"label_join(a)", "1:1: parse error: expected at least 3 argument(s) in call to \"label_join\", got 1"},
        {"hour(a, b)", "1:1: parse error: expected at most 1 argument(s) in call to \"hour\", got 2"},
        {"1 == 1", "1:3: parse error: comparisons between scalars must use BOOL modifier"},
        {"a + bool b", "1:3: parse error: bool modifier can only be used on comparison operators"},
        {"a + \"s\"", "1:5: parse error: binary expression must contain only scalar and instant vector types"},
        {"a[5m] + b", "1:1: parse error: binary expression must contain only scalar and instant vector types"},
        {"1 + on(x) a", "1:1: parse error: vector matching only allowed between instant vectors"},
        {"1 and a", "1:1: parse error: set operator \"and\" not allowed in binary scalar expression"},
        {"a and on(x) group_left() b", "1:1: parse error: no grouping allowed for \"and\" operation"},
        {"a + on(x) group_left(x) b", "1:3: parse error: label \"x\" must not occur in ON and GROUP clause at once"},
        {"a or fill(1) b", "1:1: parse error: filling in missing series not allowed for set operators"},
        {"-\"s\"", "1:1: parse error: unary expression only allowed on expressions of type scalar or instant vector, "
                   "got \"string\""},
        {"1[5m:]", "1:1: parse error: subquery is only allowed on instant vector, got scalar instead"},
        {"{}", "1:1: parse error: vector selector must contain at least one non-empty matcher"},
        {"{a=~\".*\"}", "1:1: parse error: vector selector must contain at least one non-empty matcher"},
        {"a{__name__=\"b\"}", "1:1: parse error: metric name must not be set twice: \"a\" or \"b\""},
        {"info(a, b)", "1:9: parse error: expected label selectors only, got vector selector instead"},
        {"info(a, -b)", "1:9: parse error: expected label selectors only"},
    };
    (void)state;
    CHECK_TEXTS(cases, &all_on);
}

static void switched_off(void **state)
{
    static const struct text_case cases[] = {
        {"limitk(1, a)", "1:1: parse error: limitk() is experimental and must be enabled with "
                         "--enable-feature=promql-experimental-functions"},
        {"info(a)", "1:1: parse error: function \"info\" is not enabled"},
        {"step()", "1:1: parse error: function \"step\" is not enabled"},
        {"foo anchored", "1:1: parse error: anchored modifier is experimental and not enabled"},
        {"a + fill(0) b", "1:1: parse error: binop fill modifiers are experimental and not enabled"},
        {"foo[step()]", "foo[step()]"},
        {"first_over_time(a[1m])", "first_over_time(a[1m])"},
    };
    (void)state;
    CHECK_TEXTS(cases, &all_off);
}

static void positions_and_tree(void **state)
{
    struct pl_arena a;
    struct pq_node *n = NULL;
    (void)state;

    pl_arena_init(&a, 0);
    assert_int_equal(pq_parse(&n, &a, PL_STR("sum( foo{x=\"1\"}[5m:10s] offset 1m )"), &all_on, NULL), PL_INVALID);
    assert_int_equal(pq_parse(&n, &a, PL_STR(" rate( foo{x=\"1\"}[5m] offset 1m )"), &all_on, NULL), PL_OK);
    assert_int_equal(n->kind, PQ_CALL);
    assert_int_equal(n->type, PQ_VECTOR);
    assert_int_equal(n->pos.start, 1);
    assert_int_equal(n->pos.end, 33);
    n = n->call.args[0];
    assert_int_equal(n->kind, PQ_MATRIX_SELECTOR);
    assert_int_equal(n->matrix.range_ms, 300000);
    assert_int_equal(n->pos.start, 7);
    assert_int_equal(n->pos.end, 31);
    n = n->matrix.selector;
    assert_true(n->selector.time.has_offset);
    assert_int_equal(n->selector.time.offset_ms, 60000);
    assert_int_equal(n->selector.matcher_count, 2);
    assert_true(pl_str_eq(n->selector.matchers[1].name, LABEL_METRIC_NAME)); /* the name comes last */
    assert_int_equal(pq_parse(&n, &a, PL_STR("a and b"), &all_on, NULL), PL_OK);
    assert_int_equal(n->binary.matching->card, PQ_MANY_TO_MANY);
    assert_int_equal(pq_parse(&n, &a, PL_STR("a + 1"), &all_on, NULL), PL_OK);
    assert_null(n->binary.matching);
    pl_arena_fini(&a);
}

static pl_status parse_repeated(const char *before, const char *middle, const char *after, int count, char *msg)
{
    struct pl_arena a;
    struct pl_buf b;
    struct pl_err err = {.msg = ""};
    struct pq_node *n;
    pl_status st;

    pl_arena_init(&a, 0);
    pl_buf_init(&b, 0);
    for (int i = 0; i < count; i++) {
        pl_buf_cstr(&b, before);
    }
    pl_buf_cstr(&b, middle);
    for (int i = 0; i < count; i++) {
        pl_buf_cstr(&b, after);
    }
    st = pq_parse(&n, &a, pl_buf_view(&b), &all_on, &err);
    (void)snprintf(msg, 256, "%.255s", err.msg);
    pl_buf_fini(&b);
    pl_arena_fini(&a);
    return st;
}

static void bounds(void **state)
{
    static const struct {
        const char *before, *middle, *after;
    } deep[] = {{"(", "1", ")"},     {"-", "a", ""},          {"a + ", "a", ""},
                {"a ^ ", "a", ""},   {"abs(", "a", ")"},      {"sum(", "a", ")"},
                {"a + (", "b", ")"}, {"", "a[1m:]", "[1m:]"}, {"", "a[((1m", "+1m"}};
    char msg[256];
    struct pl_arena a;
    struct pl_buf b;
    struct pl_err err;
    struct pq_node *n;
    (void)state;

    assert_int_equal(parse_repeated("(", "1", ")", 900, msg), PL_OK);
    assert_int_equal(parse_repeated("a + ", "a", "", 900, msg), PL_OK);
    for (size_t i = 0; i < PL_ARRAY_LEN(deep); i++) {
        assert_int_equal(parse_repeated(deep[i].before, deep[i].middle, deep[i].after, 20000, msg), PL_INVALID);
        assert_non_null(strstr(msg, " 1000 "));
    }
    pl_arena_init(&a, 0);
    pl_buf_init(&b, 0);
    while (b.n <= PROMQL_TEXT_MAX) {
        pl_buf_byte(&b, ' ');
    }
    assert_int_equal(pq_parse(&n, &a, pl_buf_view(&b), &all_on, &err), PL_INVALID);
    assert_non_null(strstr(err.msg, "1048576"));
    pl_buf_fini(&b);
    pl_arena_fini(&a);
    /* An arena that is full answers PL_LIMIT at whatever allocation that happens. */
    for (size_t limit = 1000; limit < 40000; limit += 1000) {
        pl_status st;
        pl_arena_init(&a, limit);
        st = pq_parse(&n, &a, PL_STR("sum by (a, b) (rate(foo{x=~\"1|2\"}[5m])) + on(a) bar offset (5m + 1m)"), &all_on,
                      &err);
        assert_true(st == PL_OK || st == PL_LIMIT);
        pl_arena_fini(&a);
    }
}

static void pretty(void **state)
{
    static const struct text_case cases[] = {
        {"sum(rate(foo[5m]))", "sum(rate(foo[5m]))"},
        {"sum by (job, instance, something_else) (rate(http_requests_total{code=~\"5..\", job=\"frontend\", "
         "x!=\"y\"}[5m])) / "
         "sum(rate(http_requests_total[5m]))",
         "  sum by (job, instance, something_else) (\n    "
         "rate(http_requests_total{code=~\"5..\",job=\"frontend\",x!=\"y\"}[5m])\n  )\n/\n"
         "  sum(rate(http_requests_total[5m]))"},
        {"-sum by (aaaaaaaaaaaaaaaaaaaaaaaaaaaa, bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb) "
         "(cccccccccccccccccccccccccccccccccccccccccc)",
         "-sum by (aaaaaaaaaaaaaaaaaaaaaaaaaaaa, bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb) (\n"
         "  cccccccccccccccccccccccccccccccccccccccccc\n)"},
    };
    struct pl_buf b;
    (void)state;

    pl_buf_init(&b, 0);
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        parse_to(&b, cases[i].in, &all_off, pq_print_pretty);
        assert_string_equal(b.p, cases[i].want);
    }
    pl_buf_fini(&b);
}

static void json(void **state)
{
    static const struct text_case cases[] = {
        {"1", "{\"type\":\"numberLiteral\",\"val\":\"1\"}"},
        {"-foo offset 5m", "{\"expr\":{\"anchored\":false,\"matchers\":[{\"name\":\"__name__\",\"type\":\"=\","
                           "\"value\":\"foo\"}],\"name\":"
                           "\"foo\",\"offset\":300000,\"offsetExpr\":null,\"smoothed\":false,\"startOrEnd\":null,"
                           "\"timestamp\":null,\"type\":"
                           "\"vectorSelector\"},\"op\":\"-\",\"type\":\"unaryExpr\"}"},
        {"1 < bool 2", "{\"bool\":true,\"lhs\":{\"type\":\"numberLiteral\",\"val\":\"1\"},\"matching\":null,\"op\":"
                       "\"\\u003c\",\"rhs\":{"
                       "\"type\":\"numberLiteral\",\"val\":\"2\"},\"type\":\"binaryExpr\"}"},
        {"round(vector(1))",
         "{\"args\":[{\"args\":[{\"type\":\"numberLiteral\",\"val\":\"1\"}],\"func\":{\"argTypes\":[\"scalar\"],"
         "\"name\":"
         "\"vector\",\"returnType\":\"vector\",\"variadic\":0},\"type\":\"call\"}],\"func\":{\"argTypes\":[\"vector\","
         "\"scalar\"],\"name\":\"round\",\"returnType\":\"vector\",\"variadic\":1},\"type\":\"call\"}"},
    };
    struct pl_buf b;
    (void)state;

    pl_buf_init(&b, 0);
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        parse_to(&b, cases[i].in, &all_off, pq_print_json);
        assert_string_equal(b.p, cases[i].want);
    }
    pl_buf_fini(&b);
}

static void match_parameter(void **state)
{
    struct pl_arena a;
    struct pl_err err;
    const struct matcher *m = NULL;
    size_t n = 0;
    (void)state;

    pl_arena_init(&a, 0);
    assert_int_equal(pq_parse_selector(&m, &n, &a, PL_STR("up{job=\"x\"}"), &err), PL_OK);
    assert_int_equal(n, 2);
    assert_int_equal(pq_parse_selector(&m, &n, &a, PL_STR("{}"), &err), PL_OK);
    assert_int_equal(n, 0);
    assert_int_equal(pq_parse_selector(&m, &n, &a, PL_STR("up[5m]"), &err), PL_INVALID);
    assert_string_equal(err.msg, "1:3: parse error: unexpected \"[\"");
    assert_int_equal(pq_parse_selector(&m, &n, &a, PL_STR(""), &err), PL_INVALID);
    assert_string_equal(err.msg, "unknown position: parse error: unexpected end of input");
    pl_arena_fini(&a);
}

static void durations(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"5m", 300000},
                {"1h30m", 5400000},
                {"15", 15000},
                {"0.5", 500},
                {"1e3", 1000000},
                {"0", 0},
                {"1y2w3d4h5m6s7ms", 31536000000 + 1209600000 + 259200000 + 14400000 + 300000 + 6007}};
    static const char *bad[] = {"", "m", "5x", "5m5", "5m1h", "-5m", "1e30", "nan", "300y"};
    int64_t ms;
    struct pl_err err;
    (void)state;

    for (size_t i = 0; i < PL_ARRAY_LEN(good); i++) {
        assert_int_equal(pq_parse_duration(&ms, pl_str_c(good[i].text), NULL), PL_OK);
        assert_int_equal(ms, good[i].ms);
    }
    for (size_t i = 0; i < PL_ARRAY_LEN(bad); i++) {
        if (pq_parse_duration(&ms, pl_str_c(bad[i]), &err) == PL_OK) {
            fail_msg("accepted: %s", bad[i]);
        }
    }
    assert_int_equal(pq_parse_duration(&ms, PL_STR("x\"y"), &err), PL_INVALID);
    assert_string_equal(err.msg, "cannot parse \"x\\\"y\" to a valid duration");
}

/* The table is searched by bisection, so its order matters; and every row is complete. */
static void function_table(void **state)
{
    size_t n;
    const struct pq_func *f = pq_func_all(&n);
    (void)state;

    assert_int_equal(n, 91);
    for (size_t i = 0; i < n; i++) {
        assert_true(i == 0 || strcmp(f[i - 1].name, f[i].name) < 0);
        assert_ptr_equal(pq_func_find(pl_str_c(f[i].name)), &f[i]);
        assert_true(f[i].arg_count <= PQ_ARGS_MAX && strlen(f[i].doc) > 10);
        for (uint32_t k = 0; k < f[i].arg_count; k++) {
            assert_int_not_equal(f[i].args[k], PQ_NONE);
        }
    }
    assert_null(pq_func_find(PL_STR("Rate")));
    assert_null(pq_func_find(PL_STR("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(literals),
        cmocka_unit_test(precedence),
        cmocka_unit_test(selectors),
        cmocka_unit_test(syntax_errors),
        cmocka_unit_test(operators_and_calls),
        cmocka_unit_test(type_errors),
        cmocka_unit_test(switched_off),
        cmocka_unit_test(positions_and_tree),
        cmocka_unit_test(bounds),
        cmocka_unit_test(pretty),
        cmocka_unit_test(json),
        cmocka_unit_test(match_parameter),
        cmocka_unit_test(durations),
        cmocka_unit_test(function_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
