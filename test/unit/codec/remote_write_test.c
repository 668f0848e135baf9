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

/* A hundred thousand series in few bytes each: those without any label take no memory at all, the others no more than the
 * arena allows. */
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
