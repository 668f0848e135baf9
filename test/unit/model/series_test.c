#include "codec/hist_chunk.h"
#include "codec/xor_chunk.h"
#include "model/series.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

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

/* A chunk with n samples at t, t + step, ...; values v, v + 1, ... */
static struct chunk_view chunk(int64_t t, int64_t step, int n, double v)
{
    uint8_t *data = pl_arena_alloc(&arena, 64 + (size_t)n * XOR_SAMPLE_BYTES_MAX);
    struct xor_appender a;

    xor_init(&a, data);
    for (int i = 0; i < n; i++) {
        xor_append(&a, data, t + i * step, v + i);
    }
    return (struct chunk_view){
        .data = data, .size = xor_size(&a), .encoding = CHUNK_ENC_XOR, .mint_ms = t, .maxt_ms = t + (n - 1) * step};
}

static struct samples decode(const struct chunk_view *c, uint32_t n, int64_t mint, int64_t maxt)
{
    struct series_view s = {.chunks = c, .chunk_count = n};
    struct samples buf = {.n = 0};
    size_t cap = 0;

    assert_int_equal(series_decode(&s, mint, maxt, &arena, &buf, &cap, NULL), PL_OK);
    for (size_t i = 0; i < buf.n; i++) {
        assert_true(buf.t[i] >= mint && buf.t[i] <= maxt);
        assert_true(i == 0 || buf.t[i] > buf.t[i - 1]);
    }
    return buf;
}

static void in_order_and_trimmed(void **state)
{
    struct chunk_view c[3] = {chunk(0, 10, 10, 0), chunk(100, 10, 10, 10), chunk(200, 10, 10, 20)};

    (void)state;
    assert_int_equal(decode(c, 3, INT64_MIN, INT64_MAX).n, 30);
    assert_int_equal(decode(c, 3, 0, 290).n, 30);
    assert_int_equal(decode(c, 3, 291, 400).n, 0);
    assert_int_equal(decode(c, 3, -5, -1).n, 0);
    assert_int_equal(decode(c, 3, 101, 109).n, 0);
    struct samples s = decode(c, 3, 95, 205);
    assert_int_equal(s.n, 11);
    assert_true(s.v[0] == 10 && s.v[10] == 20);
    for (int64_t lo = -3; lo < 300; lo += 7) {
        for (int64_t hi = lo; hi < 300; hi += 11) {
            size_t want = 0;
            for (int64_t t = 0; t < 300; t += 10) {
                want += t >= lo && t <= hi;
            }
            assert_int_equal(decode(c, 3, lo, hi).n, want);
        }
    }
}

static void overlapping_first_wins(void **state)
{
    struct chunk_view c[4] = {chunk(0, 10, 20, 0), chunk(50, 10, 10, 1000), chunk(55, 10, 20, 2000),
                              chunk(100, 5, 40, 3000)};
    struct samples s;

    (void)state;
    s = decode(c, 2, 0, 1000);
    assert_int_equal(s.n, 20);
    for (size_t i = 0; i < s.n; i++) {
        assert_true(s.v[i] == (double)i);
    }
    s = decode(c, 3, 0, 1000);
    assert_int_equal(s.n, 40);
    s = decode(c, 4, 0, 1000);
    for (size_t i = 0; i < s.n; i++) {
        /* the judge: the first chunk that holds this time */
        double want = -1;
        static const int64_t from[] = {0, 50, 55, 100}, step[] = {10, 10, 10, 5}, count[] = {20, 10, 20, 40};
        for (int k = 0; k < 4 && want < 0; k++) {
            int64_t d = s.t[i] - from[k];
            if (d >= 0 && d % step[k] == 0 && d / step[k] < count[k]) {
                want = (double)(k * 1000 + d / step[k]);
            }
        }
        assert_true(s.v[i] == want);
    }
    assert_int_equal(decode(c, 4, 60, 70).n, 3);
}

static void stated_times_may_lie(void **state)
{
    struct chunk_view c[2] = {chunk(0, 10, 20, 0), chunk(100, 10, 20, 100)};

    (void)state;
    c[1].maxt_ms = INT64_MAX; /* open chunk */
    c[0].maxt_ms = 50;
    struct samples s = decode(c, 2, 0, 1000);
    assert_int_equal(s.n, 30);
    assert_true(s.v[10] == 10);
}

static void unknown_encodings_are_named(void **state)
{
    struct chunk_view c[2] = {chunk(0, 10, 20, 0), chunk(200, 10, 20, 100)};
    struct series_view s = {.chunks = c, .chunk_count = 2};
    struct samples buf = {.n = 0};
    struct pl_err err;
    size_t cap = 0;

    (void)state;
    c[0].encoding = 4;
    assert_int_equal(series_decode(&s, 0, 1000, &arena, &buf, &cap, &err), PL_CORRUPT);
    assert_string_equal(err.msg, "chunk encoding 4 is not known");
    assert_int_equal(decode(c, 2, 200, 1000).n, 20); /* outside the window it is not looked at */
}

/* ---- histograms ---- */

/* A chunk of n histograms at t, t + step, ... with counts 1, 2, ... of `scale` observations; the one number `stale`
 * (none: -1) is a stale marker. */
static struct chunk_view hist_chunk(int64_t t, int64_t step, int n, double scale, uint8_t hint, int stale)
{
    static const int32_t at[] = {3};
    struct hist_chunk_writer *w = NULL;
    size_t size;

    for (int i = 0; i < n; i++) {
        double count = scale * (i + 1);
        struct hist h = {.count = count, .sum = count, .pos = {at, &count, 1}, .hint = hint};

        if (w == NULL) {
            w = hist_chunk_begin(&arena, CHUNK_ENC_FLOAT_HISTOGRAM, &h);
        }
        if (i == stale) {
            h = (struct hist){.sum = pl_f64_from_bits(PL_STALE_NAN_BITS), .hint = hint};
        }
        assert_true(hist_chunk_append(w, t + i * step, &h));
    }
    return (struct chunk_view){.data = hist_chunk_bytes(w, &size),
                               .size = (uint32_t)size,
                               .encoding = CHUNK_ENC_FLOAT_HISTOGRAM,
                               .mint_ms = t,
                               .maxt_ms = t + (n - 1) * step};
}

static void floats_and_histograms(void **state)
{
    struct chunk_view c[3] = {chunk(0, 10, 5, 7), hist_chunk(100, 10, 5, 2, HIST_HINT_UNKNOWN, 4),
                              chunk(200, 10, 5, 9)};
    struct samples s = decode(c, 3, 0, 1000);

    (void)state;
    assert_int_equal(s.n, 15);
    assert_non_null(s.h);
    for (size_t i = 0; i < 15; i++) {
        bool is_hist = i >= 5 && i < 9;

        assert_true((s.h[i] != NULL) == is_hist);
        assert_true(pl_is_stale(s.v[i]) == (is_hist || i == 9)); /* a stale histogram is a stale float */
        if (is_hist) {
            assert_true(s.h[i]->count == 2 * (double)(i - 4) && s.h[i]->pos.n[0] == s.h[i]->count);
            assert_int_equal(s.h[i]->hint, i == 5 ? HIST_HINT_UNKNOWN : HIST_HINT_NOT_RESET);
        }
    }
    s = decode(c, 3, 110, 205);
    assert_int_equal(s.n, 5);
    assert_true(s.h[0]->count == 4 && s.h[0]->hint == HIST_HINT_NOT_RESET && s.h[4] == NULL && s.v[4] == 9);
    s = decode(c, 3, 200, 1000);
    assert_int_equal(s.n, 5);
    assert_null(s.h); /* no chunk of histograms is in the window */
}

static void hist_column_comes_and_goes(void **state)
{
    struct chunk_view h = hist_chunk(0, 10, 300, 1, HIST_HINT_UNKNOWN, -1), f = chunk(0, 10, 300, 0);
    struct series_view hs = {.chunks = &h, .chunk_count = 1}, fs = {.chunks = &f, .chunk_count = 1};
    struct pl_arena hists;
    struct samples buf = {.hist_arena = &hists};
    const struct hist **column;
    size_t cap = 0, used;

    (void)state;
    pl_arena_init(&hists, 0);
    assert_int_equal(series_decode(&hs, 0, 10000, &arena, &buf, &cap, NULL), PL_OK);
    column = buf.h;
    assert_true(buf.n == 300 && column[299]->count == 300);
    used = arena.used_bytes;
    for (int i = 0; i < 50; i++) {
        pl_arena_reset(&hists);
        assert_int_equal(series_decode(&fs, 0, 10000, &arena, &buf, &cap, NULL), PL_OK);
        assert_true(buf.n == 300 && buf.h == NULL && buf.v[299] == 299);
        assert_int_equal(series_decode(&hs, 0, 10000, &arena, &buf, &cap, NULL), PL_OK);
        assert_true(buf.n == 300 && buf.h == column && buf.h[299]->count == 300);
    }
    assert_int_equal(arena.used_bytes, used); /* histograms are in their own arena, columns are used again */
    pl_arena_fini(&hists);
}

static void overlapping_histograms(void **state)
{
    static const uint8_t want[] = {HIST_HINT_UNKNOWN, HIST_HINT_NOT_RESET, HIST_HINT_UNKNOWN,
                                   HIST_HINT_UNKNOWN, HIST_HINT_UNKNOWN,   HIST_HINT_UNKNOWN};
    struct chunk_view c[2] = {hist_chunk(0, 10, 4, 1, HIST_HINT_UNKNOWN, -1),
                              hist_chunk(15, 10, 2, 100, HIST_HINT_UNKNOWN, -1)};
    static const int64_t t[] = {0, 10, 15, 20, 25, 30};
    struct samples s = decode(c, 2, 0, 1000);

    (void)state;
    assert_int_equal(s.n, 6);
    for (size_t i = 0; i < 6; i++) {
        assert_true(s.t[i] == t[i]);
        assert_int_equal(s.h[i]->hint, want[i]);
    }
    assert_true(s.h[2]->count == 100 && s.h[3]->count == 3 && s.h[4]->count == 200);
    /* Gauges stay gauges, and floats of the other chunk break the row too. */
    c[0] = hist_chunk(0, 10, 4, 1, HIST_HINT_GAUGE, -1);
    s = decode(c, 2, 0, 1000);
    assert_true(s.h[0]->hint == HIST_HINT_GAUGE && s.h[3]->hint == HIST_HINT_GAUGE);
    c[0] = hist_chunk(0, 10, 4, 1, HIST_HINT_UNKNOWN, -1);
    c[1] = chunk(15, 10, 1, 5);
    s = decode(c, 2, 0, 1000);
    assert_int_equal(s.n, 5);
    assert_true(s.h[2] == NULL && s.v[2] == 5);
    assert_int_equal(s.h[1]->hint, HIST_HINT_NOT_RESET);
    assert_int_equal(s.h[3]->hint, HIST_HINT_UNKNOWN);
    assert_int_equal(s.h[4]->hint, HIST_HINT_NOT_RESET);
    /* Equal times: the first chunk's sample wins. */
    c[1] = hist_chunk(0, 10, 4, 100, HIST_HINT_UNKNOWN, -1);
    s = decode(c, 2, 0, 1000);
    assert_int_equal(s.n, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_true(s.h[i]->count == (double)(i + 1));
    }
}

static void histogram_limits(void **state)
{
    struct chunk_view c = hist_chunk(0, 10, 300, 1, HIST_HINT_UNKNOWN, -1);
    struct series_view s = {.chunks = &c, .chunk_count = 1};
    struct samples buf = {.n = 0};
    struct pl_arena small;
    struct pl_err err;
    size_t cap = 0;

    (void)state;
    pl_arena_init(&small, 10000);
    assert_int_equal(series_decode(&s, 0, 100, &small, &buf, &cap, &err), PL_LIMIT);
    assert_string_equal(err.msg, "query memory limit");
    pl_arena_fini(&small);
    cap = 0;
    c.size -= 3;
    assert_int_equal(series_decode(&s, 0, 100, &arena, &buf, &cap, &err), PL_CORRUPT);
}

static void corrupt_and_limit(void **state)
{
    struct chunk_view c = chunk(0, 10, 20, 0);
    struct series_view s = {.chunks = &c, .chunk_count = 1};
    struct samples buf = {.n = 0};
    struct pl_arena small;
    struct pl_err err;
    size_t cap = 0;

    (void)state;
    pl_arena_init(&small, 100);
    assert_int_equal(series_decode(&s, 0, 100, &small, &buf, &cap, &err), PL_LIMIT);
    assert_string_equal(err.msg, "query memory limit");
    pl_arena_fini(&small);
    c.size -= 3;
    assert_int_equal(series_decode(&s, 0, 100, &arena, &buf, &cap, &err), PL_CORRUPT);
}

static void buffer_is_reused(void **state)
{
    struct chunk_view c = chunk(0, 10, 200, 0);
    struct series_view s = {.chunks = &c, .chunk_count = 1};
    struct samples buf = {.n = 0};
    size_t cap = 0;

    (void)state;
    assert_int_equal(series_decode(&s, 0, 10000, &arena, &buf, &cap, NULL), PL_OK);
    int64_t *t = buf.t;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(series_decode(&s, 0, 10000, &arena, &buf, &cap, NULL), PL_OK);
        assert_ptr_equal(buf.t, t);
        assert_int_equal(buf.n, 200);
    }
}

static struct series_view series(const char *v, int64_t chunk_from, uint32_t chunks)
{
    struct label *l = pl_arena_new(&arena, struct label);
    struct chunk_view *c = pl_arena_zero(&arena, sizeof(*c) * (chunks + 1));

    *l = (struct label){PL_STR("l"), pl_str_c(v)};
    for (uint32_t i = 0; i < chunks; i++) {
        c[i].mint_ms = chunk_from + i * 10;
    }
    return (struct series_view){.labels = {l, 1}, .chunks = c, .chunk_count = chunks};
}

static void merge_series(void **state)
{
    struct series_view x[] = {series("a", 100, 2), series("c", 0, 1)};
    struct series_view y[] = {series("a", 0, 3), series("b", 0, 1), series("c", 5, 2)};
    struct series_view z[] = {series("a", 105, 2)};
    struct series_list lists[] = {{x, 2}, {y, 3}, {NULL, 0}, {z, 1}};
    struct series_list out;

    (void)state;
    assert_int_equal(series_list_merge(&arena, lists, 4, &out, NULL), PL_OK);
    assert_int_equal(out.n, 3);
    assert_int_equal(out.v[0].chunk_count, 7);
    for (uint32_t i = 1; i < 7; i++) {
        assert_true(out.v[0].chunks[i - 1].mint_ms <= out.v[0].chunks[i].mint_ms);
    }
    assert_int_equal(out.v[1].chunk_count, 1);
    assert_int_equal(out.v[2].chunk_count, 3);
    assert_ptr_equal(out.v[1].chunks, y[1].chunks);
    assert_int_equal(series_list_merge(&arena, lists, 1, &out, NULL), PL_OK);
    assert_ptr_equal(out.v, x);
    assert_int_equal(series_list_merge(&arena, NULL, 0, &out, NULL), PL_OK);
    assert_int_equal(out.n, 0);
}

static void merge_many_lists(void **state)
{
    enum { LISTS = 37, EACH = 50 };
    struct series_list lists[LISTS], out;
    bool present[1000] = {false};
    size_t want = 0;

    (void)state;
    for (int i = 0; i < LISTS; i++) {
        lists[i].v = pl_arena_zero(&arena, sizeof(struct series_view) * EACH);
        lists[i].n = EACH;
        for (int k = 0; k < EACH; k++) {
            int id = k * 19 + (i * 7 + k * 3) % 19;
            present[id] = true;
            lists[i].v[k] = series(pl_arena_printf(&arena, "%04d", id).p, 0, 1);
        }
    }
    assert_int_equal(series_list_merge(&arena, lists, LISTS, &out, NULL), PL_OK);
    for (int i = 0; i < 1000; i++) {
        want += present[i];
    }
    assert_int_equal(out.n, want);
    size_t chunks = 0;
    for (size_t i = 0; i < out.n; i++) {
        assert_true(i == 0 || labels_cmp(out.v[i - 1].labels, out.v[i].labels) < 0);
        chunks += out.v[i].chunk_count;
    }
    assert_int_equal(chunks, LISTS * EACH);
}

static void merge_strings(void **state)
{
    pl_str x[] = {PL_STR("a"), PL_STR("c"), PL_STR("e")}, y[] = {PL_STR("b"), PL_STR("c")};
    struct str_list lists[] = {{x, 3}, {NULL, 0}, {y, 2}}, out;

    (void)state;
    assert_int_equal(str_list_merge(&arena, lists, 3, 0, &out, NULL), PL_OK);
    assert_int_equal(out.n, 4);
    assert_true(pl_str_eq(out.v[3], PL_STR("e")));
    assert_int_equal(str_list_merge(&arena, lists, 3, 3, &out, NULL), PL_OK);
    assert_int_equal(out.n, 3);
    assert_true(pl_str_eq(out.v[2], PL_STR("c")));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(in_order_and_trimmed),   T(overlapping_first_wins),
        T(stated_times_may_lie),   T(unknown_encodings_are_named),
        T(floats_and_histograms),  T(hist_column_comes_and_goes),
        T(overlapping_histograms), T(histogram_limits),
        T(corrupt_and_limit),      T(buffer_is_reused),
        T(merge_series),           T(merge_many_lists),
        T(merge_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
