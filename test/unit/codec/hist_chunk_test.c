/* The bytes were written by Prometheus 3.14's chunk appenders from the samples that the tests name. */
#include "codec/hist_chunk.h"

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

static const char WHOLE[] =
    "000600748ca568ce318ff0000c5e7f2b40062a2800800000000000118de7f075318a8eb0718de787c547505c6379ee7c"
    "759c5ed24cb78bdc5eed17846b0e62f7f9f400000000003b90";
static const char FLOATS[] =
    "000500ff3f50624dd2f1a9fc8ca568ce318ff0000c5e7f2b40020120000000000001ff80000000000002002000000000"
    "0001ff800000000000020000000000000001ff000000000000020040000000000007c1d4c6b0784bfffac1e12fffeb07"
    "ac1eb078701b9d2465eb0fea1e5eb0fea13f09bfffd435b87c284051e13600f8bdff06000000000008";
static const char GAUGES[] =
    "0003c0ff3f50624dd2f1a9fc8ca568ce318ff0000c5e7f2b40020220000000000002008000000000000201200000000000"
    "020080000000000002010000000000000200000000000000020140000000000007c1d4c690feb07a82f583d41784bfff"
    "a82f0fb03bb01ec0eec07b01ec07a85e80";
static const char RESET[] = "000280748ca568ce318ff0000c5e7f2b4006caa805200000000000185c2eef1ff075318a8ed0fc637980";
static const char CUSTOM[] =
    "00020000ee5ca518c955ff80000000000005bd38bfbfffffe41cdcd6500000000fe00018bcfe56800400800000000000"
    "000000000000000003ff00000000000003ff00000000000003ff00000000000003ff0000000000000f83a98d60d84bff"
    "f84bfff84bfff84bffe0";
static const char STALE[] = "000200001fc0003179fcad00000000000000000000000000000000000ffe0000000000005f075300";
static const char FINER[] =
    "000100ff3f50624dd2f1a9fcc54a568ce318ff0000c5e7f2b40020120000000000001ff8000000000000200200000000"
    "00001ff800000000000020000000000000001ff0000000000000200400000000000000";

enum { SAMPLES = 8 };
struct decoded {
    int64_t t[SAMPLES];
    struct hist h[SAMPLES];
    uint8_t bytes[256];
    size_t size;
    uint32_t n;
};

static void decode(struct decoded *d, uint8_t encoding, const char *hex)
{
    d->size = strlen(hex) / 2;
    assert_true(d->size <= sizeof(d->bytes));
    for (size_t i = 0; i < d->size; i++) {
        char two[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        d->bytes[i] = (uint8_t)strtoul(two, NULL, 16);
    }
    d->n = hist_chunk_count(d->bytes, d->size);
    assert_in_range(d->n, 1, SAMPLES);
    assert_int_equal(hist_chunk_decode(encoding, d->bytes, d->size, &arena, d->t, d->h, NULL), PL_OK);
}

/* The histogram that the Go side made of k. */
static void check_made(const struct hist *h, double k, double quiet, double zero_threshold, uint8_t hint)
{
    static const int32_t pos[] = {-2, -1, 3}, neg[] = {1};
    double n[] = {k, 2 * k, quiet};

    assert_int_equal(h->schema, 1);
    assert_int_equal(h->hint, hint);
    assert_true(h->count == 10 * k && h->sum == 2.5 * k && h->zero_count == k && h->zero_threshold == zero_threshold);
    assert_true(h->pos.len == 3 && h->neg.len == 1);
    assert_memory_equal(h->pos.at, pos, sizeof(pos));
    assert_memory_equal(h->neg.at, neg, sizeof(neg));
    assert_memory_equal(h->pos.n, n, sizeof(n));
    assert_true(h->neg.n[0] == 3 * k);
}

static void check_stale(const struct hist *h)
{
    assert_true(pl_is_stale(h->sum) && h->pos.len == 0 && h->neg.len == 0 && h->count == 0);
}

static void whole_counts(void **state)
{
    static const double k[] = {1, 2, 4, 100};
    struct decoded d;

    (void)state;
    decode(&d, CHUNK_ENC_HISTOGRAM, WHOLE);
    assert_int_equal(d.n, 6);
    for (uint32_t i = 0; i < 4; i++) {
        assert_true(d.t[i] == 1700000000000 + i * INT64_C(15000) + i / 2 * 7);
        check_made(&d.h[i], k[i], k[i], 0x1p-128, i == 0 ? HIST_HINT_UNKNOWN : HIST_HINT_NOT_RESET);
        assert_ptr_equal(d.h[i].pos.at, d.h[0].pos.at);
    }
    check_stale(&d.h[4]);
    check_stale(&d.h[5]);
}

static void float_counts(void **state)
{
    static const double k[] = {1, 2, 2, 7}, g[] = {4, 2, 3};
    struct decoded d;

    (void)state;
    decode(&d, CHUNK_ENC_FLOAT_HISTOGRAM, FLOATS);
    assert_int_equal(d.n, 5);
    for (uint32_t i = 0; i < 4; i++) {
        check_made(&d.h[i], k[i], k[i] / 2, 0.001, i == 0 ? HIST_HINT_UNKNOWN : HIST_HINT_NOT_RESET);
    }
    check_stale(&d.h[4]);
    assert_true(d.t[4] == 1700000000000 + 60000 + 14);
    decode(&d, CHUNK_ENC_FLOAT_HISTOGRAM, GAUGES);
    assert_int_equal(d.n, 3);
    for (uint32_t i = 0; i < 3; i++) {
        check_made(&d.h[i], g[i], g[i] / 2, 0.001, HIST_HINT_GAUGE);
    }
}

static void custom_buckets(void **state)
{
    static const double bounds[] = {-1, 0.005, 2.5, 33554.43, 1e9};
    static const int32_t at[] = {1, 2, 5};
    struct decoded d;

    (void)state;
    decode(&d, CHUNK_ENC_FLOAT_HISTOGRAM, CUSTOM);
    assert_int_equal(d.n, 2);
    for (uint32_t i = 0; i < 2; i++) {
        assert_true(hist_is_custom(&d.h[i]) && d.h[i].bound_count == 5 && d.h[i].pos.len == 3);
        assert_memory_equal(d.h[i].bounds, bounds, sizeof(bounds));
        assert_memory_equal(d.h[i].pos.at, at, sizeof(at));
        assert_true(d.h[i].count == 3 * (i + 1) && d.h[i].pos.n[2] == i + 1);
    }
}

static void first_sample_stale(void **state)
{
    struct decoded d;

    (void)state;
    decode(&d, CHUNK_ENC_FLOAT_HISTOGRAM, STALE);
    assert_int_equal(d.n, 2);
    check_stale(&d.h[0]);
    check_stale(&d.h[1]);
}

static void finer_schemas_are_reduced(void **state)
{
    struct decoded d;

    (void)state;
    decode(&d, CHUNK_ENC_FLOAT_HISTOGRAM, FINER);
    assert_int_equal(d.h[0].schema, 8); /* -2, -1, 3 of schema 10 */
    assert_true(d.h[0].pos.len == 2 && d.h[0].pos.at[0] == 0 && d.h[0].pos.at[1] == 1);
    assert_true(d.h[0].pos.n[0] == 3 && d.h[0].pos.n[1] == 0.5 && d.h[0].neg.at[0] == 1);
}

static void every_counter_header(void **state)
{
    struct decoded d;

    (void)state;
    decode(&d, CHUNK_ENC_HISTOGRAM, RESET);
    for (unsigned flag = 0; flag < 4; flag++) {
        d.bytes[2] = (uint8_t)(flag << 6);
        assert_int_equal(hist_chunk_decode(CHUNK_ENC_HISTOGRAM, d.bytes, d.size, &arena, d.t, d.h, NULL), PL_OK);
        assert_int_equal(d.h[0].hint, flag == 3 ? HIST_HINT_GAUGE : HIST_HINT_UNKNOWN);
        assert_int_equal(d.h[1].hint, flag == 3 ? HIST_HINT_GAUGE : HIST_HINT_NOT_RESET);
    }
}

static void writes_the_same_bytes(void **state)
{
    static const struct {
        uint8_t encoding, hint;
        const char *hex;
    } cases[] = {{2, HIST_HINT_UNKNOWN, WHOLE}, {3, HIST_HINT_UNKNOWN, FLOATS}, {3, HIST_HINT_GAUGE, GAUGES},
                 {2, HIST_HINT_RESET, RESET},   {3, HIST_HINT_UNKNOWN, CUSTOM}, {3, HIST_HINT_UNKNOWN, STALE}};

    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        struct hist_chunk_writer *w;
        struct decoded d;
        const uint8_t *bytes;
        size_t size;

        decode(&d, cases[i].encoding, cases[i].hex);
        d.h[0].hint = cases[i].hint;
        w = hist_chunk_begin(&arena, cases[i].encoding, &d.h[0]);
        assert_non_null(w);
        for (uint32_t k = 0; k < d.n; k++) {
            assert_true(hist_chunk_fits(w, &d.h[k]));
            assert_true(hist_chunk_append(w, d.t[k], &d.h[k]));
        }
        bytes = hist_chunk_bytes(w, &size);
        assert_int_equal(size, d.size);
        assert_memory_equal(bytes, d.bytes, size);
    }
}

/* A histogram with two buckets. */
static struct hist two(double a, double b, uint8_t hint)
{
    static const int32_t at[] = {1, 2};
    double *n = pl_arena_alloc(&arena, 2 * sizeof(*n));

    n[0] = a;
    n[1] = b;
    return (struct hist){.count = a + b, .pos = {at, n, 2}, .hint = hint};
}

static void what_fits(void **state)
{
    static const int32_t other_at[] = {1, 3};
    static const double bounds[] = {1, 2}, other_bounds[] = {1, 3};
    struct hist base = two(1, 2, HIST_HINT_UNKNOWN), stale = {.sum = pl_f64_from_bits(PL_STALE_NAN_BITS)}, h;
    struct hist_chunk_writer *w = hist_chunk_begin(&arena, CHUNK_ENC_FLOAT_HISTOGRAM, &base);

    (void)state;
    assert_true(hist_chunk_fits(w, &base));
    assert_true(hist_chunk_append(w, 0, &base));
    h = two(1, 3, HIST_HINT_NOT_RESET);
    assert_true(hist_chunk_fits(w, &h));
    h = two(2, 1, HIST_HINT_UNKNOWN);
    assert_false(hist_chunk_fits(w, &h)); /* a bucket decreases */
    h = two(1, 3, HIST_HINT_RESET);
    assert_false(hist_chunk_fits(w, &h));
    h = two(1, 3, HIST_HINT_GAUGE);
    assert_false(hist_chunk_fits(w, &h));
    h = base;
    h.count = 1;
    assert_false(hist_chunk_fits(w, &h));
    h = base;
    h.schema = 1;
    assert_false(hist_chunk_fits(w, &h));
    h = base;
    h.zero_threshold = 1;
    assert_false(hist_chunk_fits(w, &h));
    h = base;
    h.pos.at = other_at;
    assert_false(hist_chunk_fits(w, &h));
    h = base;
    h.neg = h.pos;
    assert_false(hist_chunk_fits(w, &h));
    assert_true(hist_chunk_fits(w, &stale));
    assert_true(hist_chunk_append(w, 1, &stale));
    assert_true(hist_chunk_fits(w, &stale));
    assert_false(hist_chunk_fits(w, &base)); /* behind a stale one */

    base.hint = HIST_HINT_GAUGE;
    w = hist_chunk_begin(&arena, CHUNK_ENC_FLOAT_HISTOGRAM, &base);
    assert_true(hist_chunk_append(w, 0, &base));
    h = two(0, 1, HIST_HINT_GAUGE);
    assert_true(hist_chunk_fits(w, &h)); /* gauges may decrease */
    h.hint = HIST_HINT_UNKNOWN;
    assert_false(hist_chunk_fits(w, &h));

    base = two(1, 2, HIST_HINT_UNKNOWN);
    base.schema = HIST_SCHEMA_CUSTOM;
    base.bounds = bounds;
    base.bound_count = 2;
    w = hist_chunk_begin(&arena, CHUNK_ENC_FLOAT_HISTOGRAM, &base);
    assert_true(hist_chunk_append(w, 0, &base));
    assert_true(hist_chunk_fits(w, &base));
    h = base;
    h.bounds = other_bounds;
    assert_false(hist_chunk_fits(w, &h));
    h.bound_count = 1;
    assert_false(hist_chunk_fits(w, &h));
}

/* Counts and times of all sizes come back, from long chunks too. */
static void round_trip(void **state)
{
    enum { N = 3000 };
    int64_t *t = pl_arena_alloc(&arena, N * sizeof(*t)), now = INT64_MIN / 2;
    struct hist *h = pl_arena_alloc(&arena, N * sizeof(*h));
    uint64_t seed = 42;

    (void)state;
    for (uint8_t encoding = 2; encoding <= 3; encoding++) {
        struct hist first = two(0, 0, HIST_HINT_GAUGE);
        struct hist_chunk_writer *w = hist_chunk_begin(&arena, encoding, &first);
        const uint8_t *bytes;
        size_t size;

        for (uint64_t i = 0; i < N; i++) {
            struct hist x =
                two((double)((seed * (i + 1) * 0x9e3779b97f4a7c15) >> (11 + i % 53)), (double)i, HIST_HINT_GAUGE);
            x.sum = (double)i * 0.1;
            now += (int64_t)((i * 0x9e3779b97f4a7c15) >> (12 + i % 50));
            assert_true(hist_chunk_append(w, now, &x));
        }
        bytes = hist_chunk_bytes(w, &size);
        assert_int_equal(hist_chunk_count(bytes, size), N);
        assert_int_equal(hist_chunk_decode(encoding, bytes, size, &arena, t, h, NULL), PL_OK);
        assert_true(t[N - 1] == now);
        for (uint64_t i = 0; i < N; i++) {
            assert_true(h[i].pos.n[0] == (double)((seed * (i + 1) * 0x9e3779b97f4a7c15) >> (11 + i % 53)));
            assert_true(h[i].pos.n[1] == (double)i && h[i].sum == (double)i * 0.1);
        }
    }
}

static void cut_and_malformed(void **state)
{
    static const char *const all[] = {WHOLE, FLOATS, GAUGES, RESET, CUSTOM};
    static const uint8_t encodings[] = {2, 3, 3, 2, 3};
    struct pl_arena small;
    struct pl_err err;
    struct decoded d;

    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(all); i++) {
        decode(&d, encodings[i], all[i]);
        for (size_t size = 0; size < d.size; size++) {
            uint8_t *exact = pl_alloc(size + 1);

            memcpy(exact, d.bytes, size);
            assert_int_equal(hist_chunk_decode(encodings[i], exact, size, &arena, d.t, d.h, &err), PL_CORRUPT);
            assert_non_null(strstr(err.msg, "histogram chunk"));
            pl_free(exact);
        }
        pl_arena_init(&small, 64);
        assert_int_equal(hist_chunk_decode(encodings[i], d.bytes, d.size, &small, d.t, d.h, &err), PL_LIMIT);
        pl_arena_fini(&small);
    }
    assert_int_equal(hist_chunk_decode(4, d.bytes, d.size, &arena, d.t, d.h, &err), PL_CORRUPT);
    assert_string_equal(err.msg, "histogram chunk: encoding 4 is not one");
    assert_int_equal(hist_chunk_count(d.bytes, 2), 0);
    /* A count of 0 needs nothing behind the header. */
    assert_int_equal(hist_chunk_decode(2, (const uint8_t[]){0, 0, 0}, 3, &arena, d.t, d.h, &err), PL_OK);
    /* zero threshold 0, schema 100 (9 bits: 1110 001100100) */
    assert_int_equal(hist_chunk_decode(2, (const uint8_t[]){0, 1, 0, 0, 0xe3, 0x20, 0, 0}, 8, &arena, d.t, d.h, &err),
                     PL_CORRUPT);
    assert_string_equal(err.msg, "histogram has an unknown schema, which must be between -9 and 52 for exponential "
                                 "buckets, or -53 for custom buckets, got schema 100");
}

/* Layouts that no appender would take, written by ours, which believes its caller. */
static void hostile_layouts(void **state)
{
    static const int32_t at[] = {3}, negative_at[] = {-1};
    static const double n[] = {1}, not_a_number[] = {(double)NAN}, falling[] = {2, 2, 3}, one[] = {1};
    const struct hist cases[] = {
        {.schema = HIST_SCHEMA_CUSTOM, .bounds = not_a_number, .bound_count = 1},
        {.schema = HIST_SCHEMA_CUSTOM, .bounds = falling, .bound_count = 3},
        {.schema = HIST_SCHEMA_CUSTOM, .bounds = one, .bound_count = 1, .pos = {at, n, 1}},
        {.schema = HIST_SCHEMA_CUSTOM, .bounds = one, .bound_count = 1, .pos = {negative_at, n, 1}},
        {.schema = 0, .zero_threshold = (double)NAN},
        {.schema = -10},
        {.schema = 53},
    };

    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        struct hist first = cases[i], h[1], stale = {.sum = pl_f64_from_bits(PL_STALE_NAN_BITS)};
        struct hist_chunk_writer *w = hist_chunk_begin(&arena, CHUNK_ENC_FLOAT_HISTOGRAM, &first);
        const uint8_t *bytes;
        int64_t t[1];
        size_t size;

        assert_non_null(w);
        assert_true(hist_chunk_append(w, 0, i == 4 || i == 0 ? &stale : &first)); /* NaN equals nothing */
        bytes = hist_chunk_bytes(w, &size);
        assert_int_equal(hist_chunk_decode(CHUNK_ENC_FLOAT_HISTOGRAM, bytes, size, &arena, t, h, NULL), PL_CORRUPT);
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(whole_counts),
        T(float_counts),
        T(custom_buckets),
        T(first_sample_stale),
        T(finer_schemas_are_reduced),
        T(every_counter_header),
        T(writes_the_same_bytes),
        T(what_fits),
        T(round_trip),
        T(cut_and_malformed),
        T(hostile_layouts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
