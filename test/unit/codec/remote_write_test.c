#include "codec/remote_write.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define S(lit) PL_STR_INIT(lit)
/* Sample {value 1.5, timestamp 300}. */
#define SAMPLE "\x12\x0c\x09\x00\x00\x00\x00\x00\x00\xf8\x3f\x10\xac\x02"
/* Label a="b". */
#define LABEL_A        \
    "\x0a\x06\x0a\x01" \
    "a\x12\x01"        \
    "b"

static struct pl_arena arena;
static struct pl_err err;

static pl_status walk(struct remote_write *rw, pl_str message)
{
    pl_arena_reset(&arena);
    err = (struct pl_err){.status = PL_OK};
    return remote_write_walk(rw, message, &arena, &err);
}

static void plain_request(void **state)
{
    static const pl_str m = S("\x0a\x16" LABEL_A SAMPLE "\x0a\x08" LABEL_A);
    struct remote_write_label label[1];
    struct remote_write rw;

    (void)state;
    assert_int_equal(walk(&rw, m), PL_OK);
    assert_int_equal(rw.series_count, 2);
    assert_int_equal(rw.sample_count, 1);
    assert_int_equal(rw.t[0], 300);
    assert_true(rw.v[0] == 1.5);
    assert_int_equal(rw.series[0].label_count, 1);
    assert_int_equal(rw.series[0].sample_count, 1);
    assert_int_equal(rw.series[1].sample_first, 1);
    assert_int_equal(rw.series[1].sample_count, 0);
    assert_false(rw.series[0].gathered);
    assert_ptr_equal(rw.series[0].labels.p, m.p + 2);
    assert_int_equal(rw.series[0].labels.n, 8);
    assert_int_equal(remote_write_labels(label, &rw.series[0], &err), PL_OK);
    assert_true(pl_str_eq(label[0].name, PL_STR("a")) && pl_str_eq(label[0].value, PL_STR("b")));
}

static void empty_request(void **state)
{
    struct remote_write rw;

    (void)state;
    assert_int_equal(walk(&rw, PL_STR("")), PL_OK);
    assert_int_equal(rw.series_count, 0);
}

/* What a decoder must take: order, absence, unknown fields, long forms. */
static void unusual_forms(void **state)
{
    static const struct {
        const char *name;
        pl_str message;
        int64_t t;
        double v;
    } cases[] = {
        {"timestamp first", S("\x0a\x16" LABEL_A "\x12\x0c\x10\xac\x02\x09\x00\x00\x00\x00\x00\x00\xf8\x3f"), 300, 1.5},
        {"no value", S("\x0a\x0d" LABEL_A "\x12\x03\x10\xac\x02"), 300, 0},
        {"no timestamp", S("\x0a\x13" LABEL_A "\x12\x09\x09\x00\x00\x00\x00\x00\x00\xf8\x3f"), 0, 1.5},
        {"empty sample", S("\x0a\x0a" LABEL_A "\x12\x00"), 0, 0},
        {"negative timestamp", S("\x0a\x15" LABEL_A "\x12\x0b\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), -1, 0},
        {"last of two timestamps", S("\x0a\x0f" LABEL_A "\x12\x05\x10\x07\x10\xac\x02"), 300, 0},
        {"timestamp longer than need be", S("\x0a\x0e" LABEL_A "\x12\x04\x10\xac\x82\x00"), 300, 0},
        {"unknown fields in the sample",
         S("\x0a\x16" LABEL_A "\x12\x0c\x10\xac\x02\x18\x05\x22\x00\x2d\x00\x00"
           "zz"),
         300, 0},
        {"group in the series", S("\x0a\x10" LABEL_A "\x2b\x2b\x08\x01\x2c\x2c\x12\x00"), 0, 0},
        {"field number of 29 bits", S("\x0a\x10" LABEL_A "\xf8\xff\xff\xff\x0f\x01\x12\x00"), 0, 0},
        {"lengths in two bytes", S("\x0a\x8e\x00" LABEL_A "\x12\x83\x00\x10\xac\x02"), 300, 0},
    };
    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        struct remote_write rw;
        pl_status st = walk(&rw, cases[i].message);
        if (st != PL_OK) {
            fail_msg("%s: %s", cases[i].name, err.msg);
        }
        assert_int_equal(rw.sample_count, 1);
        assert_int_equal(rw.t[0], cases[i].t);
        assert_true(rw.v[0] == cases[i].v);
    }
}

/* Labels that samples lie between are put together; their bytes then equal those of a tidy sender. */
static void scattered_labels_are_gathered(void **state)
{
    static const pl_str m = S("\x0a\x1e" LABEL_A SAMPLE "\x0a\x06\x0a\x01"
                              "c\x12\x01"
                              "d");
    struct remote_write_label labels[2];
    struct remote_write rw;

    (void)state;
    assert_int_equal(walk(&rw, m), PL_OK);
    assert_true(rw.series[0].gathered);
    assert_int_equal(rw.series[0].label_count, 2);
    assert_int_equal(rw.series[0].labels.n, 16);
    assert_int_equal(remote_write_labels(labels, &rw.series[0], &err), PL_OK);
    assert_true(pl_str_eq(labels[1].name, PL_STR("c")) && pl_str_eq(labels[1].value, PL_STR("d")));
    assert_int_equal(rw.sample_count, 1);
}

/* ---- native histograms ---- */

struct msg {
    uint8_t b[512];
    size_t n;
};

static void put_le64(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++) {
        p[i] = (uint8_t)(v >> (8 * i));
    }
}

static void put_tag(struct msg *m, unsigned number, unsigned wire)
{
    m->b[m->n++] = (uint8_t)(number << 3 | wire);
    if (number > 15) {
        m->b[m->n - 1] |= 0x80;
        m->b[m->n++] = (uint8_t)(number >> 4);
    }
}

static void put_uint(struct msg *m, unsigned number, uint64_t v)
{
    put_tag(m, number, 0);
    for (; v > 127; v >>= 7) {
        m->b[m->n++] = (uint8_t)(v | 0x80);
    }
    m->b[m->n++] = (uint8_t)v;
}

static void put_sint(struct msg *m, unsigned number, int64_t v)
{
    put_uint(m, number, (uint64_t)v << 1 ^ (uint64_t)(v >> 63));
}

static void put_f64(struct msg *m, unsigned number, double v)
{
    put_tag(m, number, 1);
    put_le64(m->b + m->n, pl_f64_bits(v));
    m->n += 8;
}

static void put_bytes(struct msg *m, unsigned number, const void *p, size_t n)
{
    put_tag(m, number, 2);
    m->b[m->n++] = (uint8_t)n;
    memcpy(m->b + m->n, p, n);
    m->n += n;
}

static void put_span(struct msg *m, unsigned number, int32_t offset, uint32_t length)
{
    struct msg s = {.n = 0};

    put_sint(&s, 1, offset);
    put_uint(&s, 2, length);
    put_bytes(m, number, s.b, s.n);
}

/* Positive buckets -1, 0, 3 with 1, 2, 4 observations, negative 2 with 1, two in the zero bucket. */
static struct msg whole_message(uint64_t count, int32_t schema, uint32_t length)
{
    static const uint8_t pos[] = {2, 2, 4}, neg[] = {2}; /* zig-zag: 1, +1, +2; 1 */
    struct msg m = {.n = 0};

    put_uint(&m, 1, count);
    put_f64(&m, 3, 18.5);
    put_sint(&m, 4, schema);
    put_f64(&m, 5, 0.001);
    put_uint(&m, 6, 2);
    put_span(&m, 8, 2, 1);
    put_bytes(&m, 9, neg, sizeof(neg));
    put_span(&m, 11, -1, length);
    put_span(&m, 11, 2, 1);
    put_bytes(&m, 12, pos, sizeof(pos));
    put_uint(&m, 14, 2);
    put_uint(&m, 15, 1700000000000);
    return m;
}

static const struct remote_write_histogram *one_histogram(struct remote_write *rw, const struct msg *h)
{
    struct msg series = {.n = 0}, request = {.n = 0};

    put_bytes(&series, 1,
              "\x0a\x01"
              "a\x12\x01"
              "b",
              6);
    put_bytes(&series, 4, h->b, h->n);
    put_tag(&request, 1, 2);
    request.b[request.n++] = (uint8_t)(series.n | 0x80);
    request.b[request.n++] = (uint8_t)(series.n >> 7);
    memcpy(request.b + request.n, series.b, series.n);
    request.n += series.n;
    if (walk(rw, pl_str_of((const char *)request.b, request.n)) != PL_OK) {
        fail_msg("%s", err.msg);
    }
    assert_int_equal(rw->histogram_count, 1);
    assert_int_equal(rw->series[0].histogram_count, 1);
    return &rw->histograms[0];
}

static void whole_histogram(void **state)
{
    static const int32_t at[] = {-1, 0, 3};
    struct msg m = whole_message(10, 1, 2);
    struct remote_write rw;
    const struct remote_write_histogram *x = one_histogram(&rw, &m);

    (void)state;
    assert_true(x->h != NULL && x->whole && x->schema_known && x->t == 1700000000000);
    assert_true(x->h->count == 10 && x->h->sum == 18.5 && x->h->zero_count == 2 && x->h->zero_threshold == 0.001);
    assert_int_equal(x->h->hint, HIST_HINT_NOT_RESET);
    assert_true(x->h->pos.len == 3 && x->h->neg.len == 1 && x->h->neg.at[0] == 2 && x->h->neg.n[0] == 1);
    assert_memory_equal(x->h->pos.at, at, sizeof(at));
    assert_true(x->h->pos.n[0] == 1 && x->h->pos.n[1] == 2 && x->h->pos.n[2] == 4);
    m = whole_message(10, 9, 2); /* indices -1, 0 and 3 become 0, 0 and 2 */
    x = one_histogram(&rw, &m);
    assert_true(x->h != NULL && x->h->schema == 8 && x->h->pos.len == 2 && x->h->pos.n[0] == 3 && x->h->pos.at[1] == 2);
}

static void custom_histogram(void **state)
{
    struct msg m = {.n = 0};
    struct remote_write rw;
    const struct remote_write_histogram *x;
    uint8_t floats[16];

    (void)state;
    put_f64(&m, 2, 3.5);
    put_sint(&m, 4, -53);
    put_span(&m, 11, 0, 2);
    put_le64(floats, pl_f64_bits(1.5));
    put_le64(floats + 8, pl_f64_bits(2));
    put_bytes(&m, 13, floats, 16);
    put_f64(&m, 16, 0.5); /* not packed */
    put_f64(&m, 16, 2);
    x = one_histogram(&rw, &m);
    assert_true(x->h != NULL && !x->whole && x->h->bound_count == 2 && x->h->bounds[1] == 2 && x->h->pos.n[0] == 1.5);
}

static void invalid_histograms_are_told(void **state)
{
    static const struct {
        uint64_t count;
        int32_t schema;
        uint32_t length;
        const char *problem; /* NULL: the schema */
    } cases[] = {
        {11, 1, 2,
         "10 observations found in buckets, but the Count field is 11: histogram's observation count should equal the "
         "number of observations found in the buckets (in absence of NaN)"},
        {10, 1, 4,
         "positive side: spans need 5 buckets, have 3 buckets: histogram spans specify different number of buckets "
         "than "
         "provided"},
        {10, 1, UINT32_MAX,
         "positive side: spans need 4294967296 buckets, have 3 buckets: histogram spans specify different number of "
         "buckets than provided"},
        {10, -53, 2, "custom buckets: span number 1 with offset -1: histogram has a span whose offset is negative"},
        {10, -5, 2, NULL},
        {10, 53, 2, NULL},
    };

    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        struct msg m = whole_message(cases[i].count, cases[i].schema, cases[i].length);
        struct remote_write rw;
        const struct remote_write_histogram *x = one_histogram(&rw, &m);
        assert_null(x->h);
        assert_int_equal(x->schema, cases[i].schema);
        assert_int_equal(x->schema_known, cases[i].problem != NULL);
        if (cases[i].problem != NULL) {
            assert_string_equal(x->problem, cases[i].problem);
        }
    }
}

static void others_are_counted(void **state)
{
    static const pl_str m = S("\x0a\x0e" LABEL_A "\x1a\x00\x22\x00\x22\x00"
                              "\x10\x01"
                              "\x1a\x0f\x08\x01\x12\x02"
                              "up\x22\x01"
                              "h\x2a\x04"
                              "unit"
                              "\xc0\x3e\x01");
    struct remote_write rw;

    (void)state;
    assert_int_equal(walk(&rw, m), PL_OK);
    assert_int_equal(rw.exemplar_count, 1);
    assert_int_equal(rw.histogram_count, 2);
    assert_int_equal(rw.series[0].histogram_count, 2);
    assert_int_equal(rw.source, 1);
    assert_int_equal(rw.metadata_count, 1);
    assert_int_equal(rw.metadata[0].type, 1);
    assert_true(pl_str_eq(rw.metadata[0].metric, PL_STR("up")));
    assert_true(pl_str_eq(rw.metadata[0].help, PL_STR("h")));
    assert_true(pl_str_eq(rw.metadata[0].unit, PL_STR("unit")));
}

static void hostile_bytes_are_refused(void **state)
{
    static const struct {
        const char *name;
        pl_str message;
        const char *text;
    } cases[] = {
        {"cut tag", S("\x8a"), "unexpected EOF"},
        {"cut length", S("\x0a\x80"), "unexpected EOF"},
        {"length past the end",
         S("\x0a\x05"
           "a"),
         "unexpected EOF"},
        {"length of 2^63", S("\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"),
         "proto: negative length found during unmarshaling"},
        {"varint of eleven bytes", S("\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "proto: integer overflow"},
        {"tag of eleven bytes", S("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "proto: integer overflow"},
        {"series as a number", S("\x08\x01"), "proto: wrong wireType = 0 for field Timeseries"},
        {"series as fixed32", S("\x0d\x00\x00\x00\x00"), "proto: wrong wireType = 5 for field Timeseries"},
        {"metadata as a number", S("\x18\x01"), "proto: wrong wireType = 0 for field Metadata"},
        {"source as bytes", S("\x12\x00"), "proto: wrong wireType = 2 for field Source"},
        {"field number 0", S("\x02\x00"), "proto: WriteRequest: illegal tag 0 (wire type 2)"},
        {"end of no group", S("\x2c"), "proto: WriteRequest: wiretype end group for non-group"},
        {"group never ended", S("\x2b\x08\x01"), "unexpected EOF"},
        {"wire type 6", S("\x2e"), "proto: illegal wireType 6"},
        {"wire type 7 in a group", S("\x2b\x0f\x2c"), "proto: illegal wireType 7"},
        {"fixed64 cut", S("\x29\x00\x00"), "unexpected EOF"},
        {"fixed32 cut", S("\x2d\x00\x00"), "unexpected EOF"},
        {"labels as a number", S("\x0a\x02\x08\x01"), "proto: wrong wireType = 0 for field Labels"},
        {"samples as fixed64", S("\x0a\x09\x11\x00\x00\x00\x00\x00\x00\x00\x00"),
         "proto: wrong wireType = 1 for field Samples"},
        {"exemplars as a number", S("\x0a\x02\x18\x01"), "proto: wrong wireType = 0 for field Exemplars"},
        {"histograms as a number", S("\x0a\x02\x20\x01"), "proto: wrong wireType = 0 for field Histograms"},
        {"label past its series",
         S("\x0a\x03\x0a\x05"
           "aaaaaa"),
         "unexpected EOF"},
        {"sample past its series",
         S("\x0a\x03\x12\x05"
           "aaaaaa"),
         "unexpected EOF"},
        {"value as a number", S("\x0a\x04\x12\x02\x08\x01"), "proto: wrong wireType = 0 for field Value"},
        {"timestamp as bytes", S("\x0a\x04\x12\x02\x12\x00"), "proto: wrong wireType = 2 for field TimestampMs"},
        {"value cut", S("\x0a\x04\x12\x02\x09\x01"), "unexpected EOF"},
        {"metadata type as bytes", S("\x1a\x02\x0a\x00"), "proto: wrong wireType = 2 for field Type"},
        {"metadata name as a number", S("\x1a\x02\x10\x00"), "proto: wrong wireType = 0 for field MetricFamilyName"},
    };
    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        struct remote_write rw;
        pl_status st = walk(&rw, cases[i].message);
        if (st != PL_INVALID || strcmp(err.msg, cases[i].text) != 0) {
            fail_msg("%s: status %d, \"%s\"", cases[i].name, st, err.msg);
        }
    }
}

static void hostile_labels_are_refused(void **state)
{
    static const struct {
        pl_str message;
        const char *text;
    } cases[] = {
        {S("\x0a\x04\x0a\x02\x08\x01"), "proto: wrong wireType = 0 for field Name"},
        {S("\x0a\x04\x0a\x02\x10\x01"), "proto: wrong wireType = 0 for field Value"},
        {S("\x0a\x04\x0a\x02\x0a\x05"), "unexpected EOF"},
        {S("\x0a\x03\x0a\x01\x80"), "unexpected EOF"},
    };
    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        struct remote_write rw;
        struct remote_write_label label[1];
        assert_int_equal(walk(&rw, cases[i].message), PL_OK);
        assert_int_equal(remote_write_labels(label, &rw.series[0], &err), PL_INVALID);
        assert_string_equal(err.msg, cases[i].text);
    }
}

static void deep_groups_are_bounded(void **state)
{
    char deep[1001];
    struct remote_write rw;

    (void)state;
    memset(deep, 0x2b, sizeof(deep));
    assert_int_equal(walk(&rw, pl_str_of(deep, sizeof(deep))), PL_INVALID);
    assert_non_null(strstr(err.msg, "nested deeper"));
}

/* A hundred thousand series in few bytes each: those without any label take no memory at all, the others no more than
 * the arena allows. */
static void amplification_is_bounded(void **state)
{
    enum { N = 200000 };
    char *m = pl_alloc(N);
    struct remote_write rw;
    struct pl_arena small;

    (void)state;
    for (size_t i = 0; i < N; i += 2) {
        m[i] = 0x0a;
        m[i + 1] = 0;
    }
    pl_arena_init(&small, 4096);
    assert_int_equal(remote_write_walk(&rw, pl_str_of(m, N), &small, &err), PL_OK);
    assert_int_equal(rw.series_count, 0);
    assert_int_equal(rw.unlabelled_count, N / 2);
    pl_arena_fini(&small);
    for (size_t i = 0; i < N; i += 4) {
        memcpy(m + i, "\x0a\x02\x0a\x00", 4);
    }
    assert_int_equal(walk(&rw, pl_str_of(m, N)), PL_OK);
    assert_int_equal(rw.series_count, N / 4);
    pl_arena_init(&small, 1 << 20);
    assert_int_equal(remote_write_walk(&rw, pl_str_of(m, N), &small, &err), PL_LIMIT);
    pl_arena_fini(&small);
    pl_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_request),
        cmocka_unit_test(empty_request),
        cmocka_unit_test(unusual_forms),
        cmocka_unit_test(scattered_labels_are_gathered),
        cmocka_unit_test(whole_histogram),
        cmocka_unit_test(custom_histogram),
        cmocka_unit_test(invalid_histograms_are_told),
        cmocka_unit_test(others_are_counted),
        cmocka_unit_test(hostile_bytes_are_refused),
        cmocka_unit_test(hostile_labels_are_refused),
        cmocka_unit_test(deep_groups_are_bounded),
        cmocka_unit_test(amplification_is_bounded),
    };
    int failed;

    pl_arena_init(&arena, 0);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    pl_arena_fini(&arena);
    return failed;
}
