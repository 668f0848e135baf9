/* Expected values are worked out by hand; beyond these, all operations were compared with
 * Prometheus 3.14 bit by bit over some ten thousand random histograms. */
#include "histogram/histogram.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct pl_arena arena;

static int setup(void **state)
{
    (void)state;
    pl_arena_init(&arena, 0);
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    pl_arena_fini(&arena);
    return 0;
}

/* ---- histograms as words: s SCHEMA, h HINT (u r n g), c COUNT, S SUM, z THRESHOLD:COUNT, p and n INDEX:COUNT ...,
 * b BOUND ...; what is left out is 0 or empty ---- */

static struct hist_side read_side(const char **p)
{
    int32_t *at = pl_arena_alloc(&arena, 64 * sizeof(*at));
    double *n = pl_arena_alloc(&arena, 64 * sizeof(*n));
    struct hist_side side = {.at = at, .n = n};
    char *end;

    for (;;) {
        long index = strtol(*p, &end, 10);
        if (end == *p) {
            return side;
        }
        assert_true(*end == ':' && side.len < 64);
        at[side.len] = (int32_t)index;
        n[side.len++] = strtod(end + 1, &end);
        *p = end;
    }
}

static const struct hist *H(const char *text)
{
    static const char hints[] = "urng";
    struct hist *h = pl_arena_new(&arena, struct hist);
    double *bounds = pl_arena_alloc(&arena, 64 * sizeof(*bounds));
    const char *p = text;
    char *end;

    while (*p != '\0') {
        char kind = *p++;
        switch (kind) {
        case ' ':
            break;
        case 's':
            h->schema = (int32_t)strtol(p, &end, 10);
            p = end;
            break;
        case 'h':
            h->hint = (uint8_t)(strchr(hints, p[1]) - hints);
            p += 2;
            break;
        case 'c':
            h->count = strtod(p, &end);
            p = end;
            break;
        case 'S':
            h->sum = strtod(p, &end);
            p = end;
            break;
        case 'z':
            h->zero_threshold = strtod(p, &end);
            h->zero_count = strtod(end + 1, &end);
            p = end;
            break;
        case 'p':
            h->pos = read_side(&p);
            break;
        case 'n':
            h->neg = read_side(&p);
            break;
        case 'b':
            h->bounds = bounds;
            for (;; p = end) {
                double v = strtod(p, &end);
                if (end == p) {
                    break;
                }
                bounds[h->bound_count++] = v;
            }
            break;
        default:
            fail_msg("histogram text: %s", text);
        }
    }
    return h;
}

static void write_side(struct pl_buf *b, const char *name, struct hist_side side)
{
    for (uint32_t i = 0; i < side.len; i++) {
        pl_buf_printf(b, "%s%d:%.17g", i == 0 ? name : " ", side.at[i], side.n[i]);
    }
}

static const char *words(const struct hist *h)
{
    struct pl_buf b;
    const char *out;

    pl_buf_init(&b, 0);
    assert_non_null(h);
    pl_buf_printf(&b, "s %d h %c c %.17g S %.17g", h->schema, "urng"[h->hint], h -> count, h -> sum);
    if (h->zero_threshold != 0 || h->zero_count != 0) {
        pl_buf_printf(&b, " z %.17g:%.17g", h->zero_threshold, h->zero_count);
    }
    write_side(&b, " p ", h->pos);
    write_side(&b, " n ", h->neg);
    for (uint32_t i = 0; i < h->bound_count; i++) {
        pl_buf_printf(&b, "%s%.17g", i == 0 ? " b " : " ", h->bounds[i]);
    }
    out = pl_arena_str(&arena, pl_buf_view(&b)).p;
    pl_buf_fini(&b);
    return out;
}

/* ---- layout ---- */

static void spans_and_indices(void **state)
{
    const struct hist_span spans[] = {{-3, 2}, {0, 1}, {2, 0}, {1, 2}};
    const int32_t want[] = {-3, -2, -1, 3, 4};
    struct hist_span back[5];
    double n[5] = {0};
    uint32_t len;
    bool bad;
    int32_t *at = hist_span_indices(&arena, spans, 4, &len, &bad);

    (void)state;
    assert_non_null(at);
    assert_int_equal(len, 5);
    assert_memory_equal(at, want, sizeof(want));
    assert_int_equal(hist_side_spans(back, (struct hist_side){at, n, len}), 2);
    assert_true(back[0].offset == -3 && back[0].length == 3 && back[1].offset == 3 && back[1].length == 2);
    assert_int_equal(hist_side_spans(back, (struct hist_side){0}), 0);
}

static void bad_spans(void **state)
{
    static const struct hist_span cases[][3] = {{{INT32_MIN, 1}, {INT32_MAX, 0}, {INT32_MAX, 1}},
                                                {{0, HIST_BUCKETS_MAX}, {0, 1}},
                                                {{0, 2}, {-1, 1}},
                                                {{INT32_MAX, 1}, {0, 1}},
                                                {{0, 1}, {INT32_MAX, 5}}};
    uint32_t len;
    bool bad;

    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        assert_null(hist_span_indices(&arena, cases[i], 3, &len, &bad));
        assert_true(bad);
    }
}

static void upper_bounds(void **state)
{
    static const double custom[] = {-1, 2.5};

    (void)state;
    assert_true(hist_bound(0, 0, NULL, 0) == 1 && hist_bound(3, 0, NULL, 0) == 8 && hist_bound(-2, 0, NULL, 0) == 0.25);
    assert_true(hist_bound(2, -2, NULL, 0) == 256 && hist_bound(-1, -4, NULL, 0) == 0x1p-16);
    assert_true(hist_bound(1, 1, NULL, 0) == 0x1.6a09e667f3bccp0); /* sqrt(2) is a bit more in every other program */
    assert_true(hist_bound(256 * 3 + 1, 8, NULL, 0) == 0x1.00b1afa5abcbfp3);
    for (int32_t schema = HIST_SCHEMA_MIN; schema <= HIST_SCHEMA_MAX; schema++) {
        int32_t last = schema < 0 ? 1024 >> -schema : 1024 << schema;
        double below = hist_bound(last - 1, schema, NULL, 0);

        assert_true(below < hist_bound(last, schema, NULL, 0));
        assert_true(hist_bound(last, schema, NULL, 0) == 0x1.fffffffffffffp1023);
        assert_true(isinf(hist_bound(last + 1, schema, NULL, 0)));
        for (int32_t i = -60; i < 60; i++) {
            assert_true(hist_bound(i, schema, NULL, 0) < hist_bound(i + 1, schema, NULL, 0));
        }
    }
    assert_true(hist_bound(-1, HIST_SCHEMA_CUSTOM, custom, 2) == -HUGE_VAL);
    assert_true(hist_bound(1, HIST_SCHEMA_CUSTOM, custom, 2) == 2.5);
    assert_true(hist_bound(2, HIST_SCHEMA_CUSTOM, custom, 2) == HUGE_VAL);
}

static void all_buckets(void **state)
{
    const struct hist *h = H("s 0 z 0.75:4 p 0:1 1:0 3:2 n 0:5 2:6");
    static const struct hist_bucket want[] = {
        {-4, -2, 6, true, false, 2},  {-1, -0.75, 5, true, false, 0}, {-0.75, 0.75, 4, true, true, 0},
        {0.75, 1, 1, false, true, 0}, {1, 2, 0, false, true, 1},      {4, 8, 2, false, true, 3},
    };
    struct hist_iter it;
    struct hist_bucket b;

    (void)state;
    for (int reverse = 0; reverse < 2; reverse++) {
        hist_iter_init(&it, h, reverse);
        for (size_t i = 0; i < PL_ARRAY_LEN(want); i++) {
            const struct hist_bucket *w = &want[reverse ? PL_ARRAY_LEN(want) - 1 - i : i];

            assert_true(hist_iter_next(&it, &b));
            assert_true(b.lower == w->lower && b.upper == w->upper && b.count == w->count && b.index == w->index);
            assert_true(b.lower_inclusive == w->lower_inclusive && b.upper_inclusive == w->upper_inclusive);
        }
        assert_false(hist_iter_next(&it, &b));
        assert_false(hist_iter_next(&it, &b));
    }
    hist_iter_init(&it, H("s -53 p 0:1 2:3 b 1 5"), false);
    assert_true(hist_iter_next(&it, &b) && b.lower == -HUGE_VAL && b.upper == 1 && b.lower_inclusive);
    assert_true(hist_iter_next(&it, &b) && b.lower == 5 && b.upper == HUGE_VAL && b.count == 3);
    assert_true(b.upper_inclusive && !b.lower_inclusive);
    assert_false(hist_iter_next(&it, &b));
}

/* ---- arithmetic ---- */

static void add_and_sub(void **state)
{
    static const struct {
        const char *name, *x, *y, *add, *sub;
        unsigned met;
    } cases[] = {
        {"same layout", "s 1 h g c 10 S 2.5 z 0.001:1 p 0:1 1:0 2:3 n 1:4",
         "s 1 h g c 3 S 1 z 0.001:1 p 0:1 1:0 2:1 n 1:4", "s 1 h g c 13 S 3.5 z 0.001:2 p 0:2 1:0 2:4 n 1:8",
         "s 1 h g c 7 S 1.5 z 0.001:0 p 0:0 1:0 2:2 n 1:0", 0},
        {"buckets join", "s 0 c 1 p 1:1 4:4", "s 0 c 2 p 0:1 2:2 3:0 9:9", "s 0 h u c 3 S 0 p 0:1 1:1 2:2 3:0 4:4 9:9",
         "s 0 h u c -1 S 0 p 0:-1 1:1 2:-2 3:-0 4:4 9:-9", 0},
        {"left is coarser", "s 0 c 1 p 1:1 2:2", "s 2 c 2 p 1:1 4:2 5:3 8:4 n 9:1", "s 0 h u c 3 S 0 p 1:4 2:9 n 3:1",
         "s 0 h u c -1 S 0 p 1:-2 2:-5 n 3:-1", 0},
        {"right is coarser", "s 2 c 2 p 1:1 4:2 5:3 8:4", "s 0 c 1 p 1:1 2:2", "s 0 h u c 3 S 0 p 1:4 2:9",
         "s 0 h u c 1 S 0 p 1:2 2:5", 0},
        {"zero bucket widens to a bucket's edge", "s 0 c 9 z 0.5:1 p 0:1 1:2 3:5", "s 0 c 9 z 1.5:2 p 2:3 3:4",
         "s 0 h u c 18 S 0 z 2:6 p 2:3 3:9", "s 0 h u c 0 S 0 z 2:2 p 2:-3 3:1", 0},
        {"both zero buckets widen in turn", "s 0 c 9 z 1.5:1 p 1:1 2:3", "s 0 c 9 z 1:2 p 1:5 2:4 3:1 n 1:7",
         "s 0 h u c 18 S 0 z 2:16 p 2:7 3:1", "s 0 h u c 0 S 0 z 2:-12 p 2:-1 3:-1", 0},
        {"custom, same bounds", "s -53 c 3 S 1 p 0:1 2:2 b 1 2", "s -53 c 3 S 2 p 1:3 b 1 2",
         "s -53 h u c 6 S 3 p 0:1 1:3 2:2 b 1 2", "s -53 h u c 0 S -1 p 0:1 1:-3 2:2 b 1 2", 0},
        {"custom, other bounds", "s -53 c 10 p 0:1 1:2 2:3 3:4 b 1 2 5", "s -53 c 6 p 0:1 1:2 2:3 b 2 4",
         "s -53 h u c 16 S 0 p 0:4 1:12 b 2", "s -53 h u c 4 S 0 p 0:2 1:2 b 2", HIST_RECONCILED},
        {"custom, no common bound", "s -53 c 3 p 0:1 1:2 b 1", "s -53 c 4 p 0:2 1:2 b 3", "s -53 h u c 7 S 0 p 0:7",
         "s -53 h u c -1 S 0 p 0:-1", HIST_RECONCILED},
        {"hints: unknown wins", "s 0 h n c 1", "s 0 c 1", "s 0 h u c 2 S 0", "s 0 h u c 0 S 0", 0},
        {"hints: gauge wins", "s 0 h r c 1", "s 0 h g c 1", "s 0 h g c 2 S 0", "s 0 h g c 0 S 0", 0},
        {"hints: contradiction", "s 0 h r c 1", "s 0 h n c 1", "s 0 h u c 2 S 0", "s 0 h u c 0 S 0", HIST_COLLISION},
    };

    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        const struct hist *x = H(cases[i].x), *y = H(cases[i].y);
        const char *x_before = words(x), *y_before = words(y);
        struct hist *out = NULL;

        assert_int_equal(hist_add(&out, &arena, x, y), cases[i].met);
        assert_string_equal(words(out), cases[i].add);
        assert_int_equal(hist_sub(&out, &arena, x, y), cases[i].met);
        assert_string_equal(words(out), cases[i].sub);
        assert_string_equal(words(x), x_before);
        assert_string_equal(words(y), y_before);
    }
}

static void kinds_do_not_mix(void **state)
{
    const struct hist *x = H("s 0 c 1 p 1:1"), *y = H("s -53 c 1 p 0:1 b 1");
    struct hist *out = NULL;
    struct hist_sum s;

    (void)state;
    assert_int_equal(hist_add(&out, &arena, x, y), HIST_INCOMPATIBLE);
    assert_int_equal(hist_sub(&out, &arena, y, x), HIST_INCOMPATIBLE);
    assert_null(out);
    assert_true(hist_sum_init(&s, &arena, x));
    assert_int_equal(hist_sum_add(&s, y), HIST_INCOMPATIBLE);
    assert_string_equal(words(hist_sum_value(&s)), "s 0 h u c 1 S 0 p 1:1");
}

static void scaled(void **state)
{
    const struct hist *h = H("s 0 h n c 4 S 6 z 0.5:2 p 0:1 3:0 n 2:1"), *c = H("s -53 c 4 S 6 p 0:4 b 1");

    (void)state;
    assert_string_equal(words(hist_mul(&arena, h, 0.5)), "s 0 h n c 2 S 3 z 0.5:1 p 0:0.5 3:0 n 2:0.5");
    assert_string_equal(words(hist_mul(&arena, h, -1)), "s 0 h g c -4 S -6 z 0.5:-2 p 0:-1 3:-0 n 2:-1");
    assert_string_equal(words(hist_div(&arena, h, 2)), "s 0 h n c 2 S 3 z 0.5:1 p 0:0.5 3:0 n 2:0.5");
    assert_string_equal(words(hist_div(&arena, h, -2)), "s 0 h g c -2 S -3 z 0.5:-1 p 0:-0.5 3:-0 n 2:-0.5");
    assert_string_equal(words(hist_div(&arena, h, 0)), "s 0 h n c inf S inf z 0.5:inf");
    assert_string_equal(words(hist_mul(&arena, c, 2)), "s -53 h u c 8 S 12 p 0:8 b 1");
}

static void compacted_and_reduced(void **state)
{
    const struct hist *h = H("s 2 h n c 9 S 1 z 1:1 p -3:1 0:2 1:0 4:3 5:4 8:5 n 7:0");

    (void)state;
    assert_string_equal(words(hist_compact(&arena, h)), "s 2 h n c 9 S 1 z 1:1 p -3:1 0:2 4:3 5:4 8:5");
    assert_string_equal(words(hist_reduce(&arena, h, 1)), "s 1 h u c 9 S 1 z 1:1 p -1:1 0:2 1:0 2:3 3:4 4:5 n 4:0");
    assert_string_equal(words(hist_reduce(&arena, h, 0)), "s 0 h u c 9 S 1 z 1:1 p 0:3 1:3 2:9 n 2:0");
    assert_string_equal(words(hist_reduce(&arena, h, -4)), "s -4 h u c 9 S 1 z 1:1 p 0:3 1:12 n 1:0");
    assert_string_equal(words(hist_reduce(&arena, h, 2)), words(h));
    assert_string_equal(words(hist_copy(&arena, h)), words(h));
}

static void trimmed(void **state)
{
    static const struct {
        const char *h;
        double at;
        bool upper;
        const char *want;
    } cases[] = {
        {"s 0 c 10 S 99 p 1:4 2:6", 8, true, "s 0 h u c 10 S 99 p 1:4 2:6"}, /* nothing is cut: all stays */
        {"s 0 c 10 S 99 p 1:4 2:6", 2, true, "s 0 h u c 4 S 5.6568542494923806 p 1:4"},
        {"s 0 c 10 S 99 p 1:4 2:6", 0x1.6a09e667f3bcdp1, true, "s 0 h u c 7 S 12.792096939508706 p 1:4 2:3"},
        {"s 0 c 10 S 99 p 1:4 2:6", 2, false, "s 0 h u c 6 S 16.970562748477143 p 2:6"},
        {"s 0 c 10 S 99 n 1:4 2:6", -2, true, "s 0 h u c 6 S -16.970562748477143 n 2:6"},
        {"s 0 c 6 S 9 z 1:2 p 1:4", 0.25, false, "s 0 h u c 5.5 S 6.5943542494923806 z 1:1.5 p 1:4"},
        {"s -53 c 9 S 9 p 0:2 1:3 2:4 b 2 6", 4, true, "s -53 h u c 3.5 S 6.5 p 0:2 1:1.5 b 2 6"},
        {"s -53 c 9 S 9 p 0:2 1:3 2:4 b 2 6", 1, false, "s -53 h u c 8 S 37.5 p 0:1 1:3 2:4 b 2 6"},
        {"s 0 c 1 S 1 p 1:1", -1, true, "s 0 h u c 0 S 0"},
    };

    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        assert_string_equal(words(hist_trim(&arena, H(cases[i].h), cases[i].at, cases[i].upper)), cases[i].want);
    }
}

static void sum_is_compensated(void **state)
{
    const struct hist *big = H("s 0 c 1e100 S 1e100 z 0.5:1e100 p 1:1e100 n 1:-1e100");
    const struct hist *one = H("s 0 c 1 S 1 z 0.5:1 p 1:1 2:7 n 1:1");
    const struct hist *less = H("s 0 c -1e100 S -1e100 z 0.5:-1e100 p 1:-1e100 n 1:1e100");
    struct hist_sum s, copy = {.a = &arena};

    (void)state;
    assert_true(hist_sum_init(&s, &arena, one));
    assert_string_equal(words(hist_sum_value(&s)), words(one));
    assert_int_equal(hist_sum_add(&s, big), 0);
    assert_true(hist_sum_copy(&copy, &s));
    assert_int_equal(hist_sum_add(&s, less), 0);
    assert_string_equal(words(hist_sum_value(&s)), "s 0 h u c 1 S 1 z 0.5:1 p 1:1 2:7 n 1:1");
    assert_int_equal(hist_sum_add(&copy, less), 0);
    assert_string_equal(words(hist_sum_value(&copy)), words(hist_sum_value(&s)));
    hist_sum_mul(&s, 3);
    hist_sum_div(&s, 2);
    assert_string_equal(words(hist_sum_value(&s)), "s 0 h u c 1.5 S 1.5 z 0.5:1.5 p 1:1.5 2:10.5 n 1:1.5");
}

static void steady_sums_take_no_memory(void **state)
{
    const struct hist *first = H("s 3 c 1 S 1 z 0.001:1 p 1:1 2:7 9:1 n 1:1"),
                      *finer = H("s 5 c 1 z 0.001:1 p 5:1 9:2");
    const struct hist *custom = H("s -53 c 1 p 0:1 1:2 b 1 2 4"), *other = H("s -53 c 1 p 0:1 1:2 b 1 4 8");
    struct hist_sum s, c;
    size_t used;
    char *at;

    (void)state;
    assert_true(hist_sum_init(&s, &arena, first) && hist_sum_init(&c, &arena, custom));
    assert_int_equal(hist_sum_add(&s, finer), 0);
    assert_int_equal(hist_sum_add(&c, other), HIST_RECONCILED);
    used = arena.used_bytes;
    at = arena.at;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(hist_sum_add(&s, i % 2 != 0 ? first : finer), 0);
        assert_int_equal(hist_sum_add(&c, i % 2 != 0 ? custom : other), HIST_RECONCILED);
    }
    assert_true(arena.used_bytes == used && arena.at == at);
    assert_string_equal(words(&c.h), "s -53 h u c 1002 S 0 p 0:1002 1:2004 b 1 4");
}

static void memory_limit(void **state)
{
    const struct hist *x = H("s 0 c 1 p 1:1 2:2 3:3"), *y = H("s 2 c 1 p 1:1 2:2 30:3");
    struct pl_arena small;
    struct hist *out = NULL;

    (void)state;
    pl_arena_init(&small, 100);
    assert_int_equal(hist_add(&out, &small, x, y), HIST_NO_MEMORY);
    assert_null(out);
    assert_null(hist_copy(&small, x));
    assert_null(hist_mul(&small, x, 2));
    assert_null(hist_reduce(&small, x, -1));
    assert_null(hist_compact(&small, x));
    assert_null(hist_trim(&small, x, 2, true));
    pl_arena_fini(&small);
}

/* ---- comparing ---- */

static void resets(void **state)
{
    static const struct {
        const char *name, *cur, *prev;
        bool reset;
    } cases[] = {
        {"grows", "s 0 c 5 z 1:1 p 1:4", "s 0 c 3 z 1:1 p 1:2", false},
        {"hint says so", "s 0 h r c 5", "s 0 c 3", true},
        {"hint denies it", "s 0 h n c 1", "s 0 c 3", false},
        {"gauges are compared", "s 0 h g c 1", "s 0 h g c 3", true},
        {"count", "s 0 c 2", "s 0 c 3", true},
        {"zero count", "s 0 c 5 z 1:1", "s 0 c 5 z 1:2", true},
        {"bucket", "s 0 c 9 p 1:4 2:1", "s 0 c 5 p 1:4 2:2", true},
        {"negative bucket", "s 0 c 9 n 2:1", "s 0 c 5 n 2:2", true},
        {"bucket is gone", "s 0 c 9 p 1:4", "s 0 c 5 p 1:1 2:1", true},
        {"bucket before is gone", "s 0 c 9 p 3:4", "s 0 c 5 p 1:1", true},
        {"empty bucket is gone", "s 0 c 9 p 1:4", "s 0 c 5 p 1:1 2:0", false},
        {"finer schema", "s 1 c 9", "s 0 c 5", true},
        {"coarser schema", "s 0 c 9 p 1:3", "s 1 c 5 p 1:1 2:2", false},
        {"coarser schema, fewer", "s 0 c 9 p 1:2", "s 1 c 5 p 1:1 2:2", true},
        {"smaller zero threshold", "s 0 c 9 z 0.5:1", "s 0 c 5 z 1:1", true},
        {"larger zero threshold", "s 0 c 9 z 1:3", "s 0 c 5 z 0.5:1 p 0:2", false},
        {"larger zero threshold, fewer", "s 0 c 9 z 1:2", "s 0 c 5 z 0.5:1 p 0:2", true},
        {"zero threshold in a bucket", "s 0 c 9 z 0.75:9", "s 0 c 5 z 0.5:1 p 0:2", true},
        {"kinds", "s -53 c 9 b 1", "s 0 c 5", true},
        {"kinds the other way", "s 0 c 9", "s -53 c 5 b 1", true},
        {"bounds, grows", "s -53 c 9 p 0:3 1:6 b 2", "s -53 c 5 p 0:1 1:2 2:2 b 1 2", false},
        {"bounds, fewer", "s -53 c 9 p 0:2 1:7 b 2", "s -53 c 5 p 0:1 1:2 2:2 b 1 2", true},
    };

    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        bool got = !cases[i].reset;

        assert_int_equal(hist_detect_reset(&got, &arena, H(cases[i].cur), H(cases[i].prev)), 0);
        if (got != cases[i].reset) {
            fail_msg("%s", cases[i].name);
        }
    }
}

static void equality(void **state)
{
    const char *base = "s 0 c 1 S 2 z 0.5:1 p 1:1 2:0";
    static const char *const others[] = {
        "s 1 c 1 S 2 z 0.5:1 p 1:1 2:0",  "s 0 c 2 S 2 z 0.5:1 p 1:1 2:0",  "s 0 c 1 S -2 z 0.5:1 p 1:1 2:0",
        "s 0 c 1 S 2 z 0.25:1 p 1:1 2:0", "s 0 c 1 S 2 z 0.5:0 p 1:1 2:0",  "s 0 c 1 S 2 z 0.5:1 p 1:1",
        "s 0 c 1 S 2 z 0.5:1 p 1:1 3:0",  "s 0 c 1 S 2 z 0.5:1 p 1:1 2:-0", "s 0 c 1 S 2 z 0.5:1 p 1:1 2:0 n 1:0"};

    (void)state;
    assert_true(hist_equal(H(base), H("s 0 h g c 1 S 2 z 0.5:1 p 1:1 2:0")));
    for (size_t i = 0; i < PL_ARRAY_LEN(others); i++) {
        assert_false(hist_equal(H(base), H(others[i])));
    }
    assert_true(hist_equal(H("s -53 p 0:1 b 1 0"), H("s -53 p 0:1 b 1 -0")));
    assert_false(hist_equal(H("s -53 p 0:1 b 1 2"), H("s -53 p 0:1 b 1 3")));
    assert_true(hist_equal(H("s 0 S nan"), H("s 0 S nan")));
    assert_true(hist_overflows(H("s 0 p 1:inf")) && hist_overflows(H("s 0 S -inf")) && !hist_overflows(H("s 0 S nan")));
}

/* ---- text ---- */

static void texts(void **state)
{
    static const struct {
        const char *h, *want;
    } cases[] = {
        {"s 0", "{count:0, sum:0}"},
        {"s 0 c 1234567 S -0.00001 p 1:123456 2:0 n 1:0.5 2:2",
         "{count:1.234567e+06, sum:-1e-05, [-4,-2):2, [-2,-1):0.5, (1,2]:123456}"},
        {"s 0 c 100000 S 0.0001234 z 0:1", "{count:100000, sum:0.0001234, [-0,0]:1}"},
        {"s 1 z 0.001:1 p 1:1", "{count:0, sum:0, [-0.001,0.001]:1, (1,1.414213562373095]:1}"},
        {"s -53 S nan p 0:1 2:2.5 b -1 1e21", "{count:0, sum:NaN, [-Inf,-1]:1, (1e+21,+Inf]:2.5}"},
        {"s 0 p 1024:1 1025:2", "{count:0, sum:0, (8.98846567431158e+307,1.7976931348623157e+308]:1, "
                                "(1.7976931348623157e+308,+Inf]:2}"},
        /* A power of two: the nearest decimal of 16 digits is not the shortest that identifies it. */
        {"s -4 z 5.6843418860808015e-14:1", "{count:0, sum:0, [-5.684341886080802e-14,5.684341886080802e-14]:1}"},
        {"s 0 z 9007199254740992:1 c 99999.5",
         "{count:99999.5, sum:0, [-9.007199254740992e+15,9.007199254740992e+15]:1}"},
    };

    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        struct pl_buf b;

        pl_buf_init(&b, 0);
        hist_text(&b, H(cases[i].h));
        pl_buf_byte(&b, '\0');
        assert_string_equal(b.p, cases[i].want);
        pl_buf_fini(&b);
    }
}

static void validation(void **state)
{
    static const struct {
        const char *h, *want;
    } cases[] = {
        {"s 0 c 1 p 1:5", NULL},
        {"s 8", NULL},
        {"s -53 p 2:5 b 1 2", NULL},
        {"s 9", "histogram has an invalid schema, which must be between -4 and 8 for exponential buckets, or -53 for "
                "custom buckets, got schema 9"},
        {"s 0 c -1.5", "observation count is  -1.5: histogram's observation count is negative"},
        {"s 0 z 1:-2", "zero bucket has observation count of -2: histogram has a bucket whose observation count is "
                       "negative"},
        {"s 0 p 1:1 2:-1e6", "positive side: bucket number 2 has observation count of -1e+06: histogram has a bucket "
                             "whose observation count is negative"},
        {"s 0 n 1:-1", "negative side: bucket number 1 has observation count of -1: histogram has a bucket whose "
                       "observation count is negative"},
        {"s 0 b 1", "histogram with exponential schema must not have custom bounds"},
        {"s -53 b 2 1", "custom buckets: previous bound is 2.000000 and current is 1.000000: histogram custom bounds "
                        "must be in strictly increasing order"},
        {"s -53 b 1 inf",
         "custom buckets: last +Inf bound must not be explicitly defined: histogram custom bounds must "
         "be finite"},
        {"s -53 b nan", "custom buckets: histogram custom bounds must not be NaN"},
        {"s -53 p 2:1 b 1", "custom buckets: only 1 custom bounds defined which is insufficient to cover total span "
                            "length of 3: histogram custom bounds are too few"},
        {"s -53 z 0:1 b 1", "custom buckets: must have zero count of 0"},
        {"s -53 z 1:0 b 1", "custom buckets: must have zero threshold of 0"},
        {"s -53 n 1:1 b 1", "custom buckets: must not have negative spans"},
    };

    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        struct pl_err err = {.msg = ""};
        pl_status st = hist_validate(H(cases[i].h), &err);

        assert_int_equal(st, cases[i].want != NULL ? PL_INVALID : PL_OK);
        assert_string_equal(err.msg, cases[i].want != NULL ? cases[i].want : "");
    }
}

static void sample_cost(void **state)
{
    (void)state;
    assert_int_equal(hist_sample_cost(H("s 0")), 11);
    assert_int_equal(hist_sample_cost(H("s 0 p 1:1 2:1 5:1 n 1:1")), 14); /* 168 + 8 (4 buckets + 3 spans) */
    assert_int_equal(hist_sample_cost(H("s -53 p 0:1 b 1 2")), 13);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(spans_and_indices),
        T(bad_spans),
        T(upper_bounds),
        T(all_buckets),
        T(add_and_sub),
        T(kinds_do_not_mix),
        T(scaled),
        T(compacted_and_reduced),
        T(trimmed),
        T(sum_is_compensated),
        T(steady_sums_take_no_memory),
        T(memory_limit),
        T(resets),
        T(equality),
        T(texts),
        T(validation),
        T(sample_cost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
