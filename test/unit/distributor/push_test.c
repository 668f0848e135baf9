/* The distributor against an ingest port that only remembers: every check, its text, its reason and what else of the
 * request is kept. */
#include "distributor/internal.h"

#include "base/clock.h"
#include "codec/snappy.h"
#include "metric/metric.h"
#include "unit/distributor/write_request.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { STORED_MAX = 4096, NOW = 1700000000 };
#define NOW_MS (INT64_C(1000) * NOW)

/* ---- limits, in place of tenant/ ---- */

static struct limits limits;

const struct limits *limits_get(struct overrides *o, pl_str tenant)
{
    (void)o, (void)tenant;
    return &limits;
}

void limits_put(struct overrides *o, const struct limits *l)
{
    (void)o, (void)l;
}

static void limits_default(void)
{
    limits = (struct limits){.enforce_metric_name = true,
                             .enforce_metadata_metric_name = true,
                             .max_label_name_length = 1024,
                             .max_label_value_length = 2048,
                             .max_label_names_per_series = 30,
                             .max_metadata_length = 1024,
                             .reject_old_samples_max_age_ns = 14 * 86400 * PL_NS_PER_S,
                             .creation_grace_period_ns = 600 * PL_NS_PER_S,
                             .ingestion_rate = 1e9,
                             .ingestion_burst_size = 1000000000};
}

/* ---- a port that remembers ---- */

static struct fake {
    struct ingest_port port;
    struct pl_hash128 hash[STORED_MAX]; /* ref - 1 -> wire hash */
    char *text[STORED_MAX];             /* ref - 1 -> labels */
    uint32_t known;
    struct {
        uint64_t ref;
        int64_t t;
        double v;
    } sample[STORED_MAX];
    uint32_t hists; /* well-formed ones; the last one: */
    double hist_count;
    uint32_t hist_buckets;
    int64_t hist_t;
    bool hist_whole;
    uint32_t samples, metadata, sessions_open, sessions, parsed, forgets;
    pl_status begin_status, append_status, inside_status;
    bool push_inside, unknown;
    struct pl_err inside_err;
} fake;

static struct distributor *d;

static pl_status fake_begin(struct ingest_port *p, pl_str tenant, struct ingest_session **out, struct pl_err *err)
{
    (void)p, (void)tenant;
    if (fake.push_inside) { /* a second request while the first is under way */
        struct pl_arena a;
        pl_arena_init(&a, 0);
        fake.push_inside = false;
        fake.inside_status = distributor_push(d, PL_STR("t"), PL_STR(""), &a, NOW_MS, &fake.inside_err);
        pl_arena_fini(&a);
    }
    if (fake.begin_status != PL_OK) {
        return pl_fail(err, fake.begin_status, "ingester stopping");
    }
    fake.sessions_open++;
    fake.sessions++;
    *out = (struct ingest_session *)(void *)&fake;
    return PL_OK;
}

static bool fake_known(struct ingest_port *p, pl_str tenant)
{
    (void)p, (void)tenant;
    return !fake.unknown;
}

static void fake_resolve(struct ingest_session *s, const struct pl_hash128 *hashes, uint32_t count, uint64_t *refs)
{
    (void)s;
    for (uint32_t i = 0; i < count; i++) {
        refs[i] = 0;
        for (uint32_t k = 0; k < fake.known; k++) {
            if (fake.hash[k].lo == hashes[i].lo && fake.hash[k].hi == hashes[i].hi) {
                refs[i] = k + 1;
            }
        }
    }
}

static pl_status fake_append(struct ingest_session *s, const struct ingest_batch *b, struct pl_arena *a,
                             struct pl_err *err)
{
    (void)s, (void)a;
    for (uint32_t i = 0; i < b->series_count; i++) {
        uint64_t ref = b->series[i].ref;
        if (ref == 0) {
            struct pl_buf text;
            pl_buf_init(&text, 0);
            labels_text(&text, b->series[i].labels);
            fake.hash[fake.known] = b->series[i].wire_hash;
            fake.text[fake.known++] = pl_str_dup(pl_buf_view(&text));
            pl_buf_fini(&text);
            ref = fake.known;
            fake.parsed++;
        }
        for (uint32_t k = 0; k < b->series[i].hist_count; k++) {
            uint32_t at = b->series[i].hist_first + k;
            assert_non_null(b->hist[at]);
            fake.hists++;
            fake.hist_count = b->hist[at]->count;
            fake.hist_buckets = b->hist[at]->pos.len;
            fake.hist_t = b->hist_t[at];
            fake.hist_whole = b->hist_whole[at];
        }
        for (uint32_t k = 0; k < b->series[i].sample_count; k++) {
            uint32_t at = b->series[i].sample_first + k;
            fake.sample[fake.samples].ref = ref;
            fake.sample[fake.samples].t = b->t[at];
            fake.sample[fake.samples++].v = b->v[at];
        }
    }
    fake.metadata += b->metadata_count;
    return fake.append_status == PL_OK ? PL_OK : pl_fail(err, fake.append_status, "user=t: err: out of order sample");
}

static void fake_end(struct ingest_session *s)
{
    (void)s;
    fake.sessions_open--;
}

static void fake_forget(struct ingest_session *s)
{
    (void)s;
    fake.forgets++;
}

static pl_status fake_tenants(struct ingest_port *p, struct pl_arena *a, struct ingest_tenant_row **out, size_t *count,
                              struct pl_err *err)
{
    (void)p, (void)err;
    *out = pl_arena_alloc(a, 2 * sizeof(**out));
    (*out)[0] = (struct ingest_tenant_row){PL_STR("a"), {.series = 5, .api_rate = 1.5, .ingestion_rate = 1.5}};
    (*out)[1] = (struct ingest_tenant_row){PL_STR("b"), {.series = 7, .active_series = 6, .loaded_blocks = 2}};
    *count = 2;
    return PL_OK;
}

static const struct ingest_port_ops fake_ops = {.known = fake_known,
                                                .begin = fake_begin,
                                                .resolve = fake_resolve,
                                                .append = fake_append,
                                                .end = fake_end,
                                                .forget = fake_forget,
                                                .tenants = fake_tenants};

/* ---- the world of one test ---- */

static struct pl_arena arena;
static struct pl_buf message;
static struct pl_err err;

static int setup(void **state)
{
    const struct distributor_options o = {.recv_bytes_max = 1 << 20};
    (void)state;
    limits_default();
    fake = (struct fake){.port.ops = &fake_ops};
    pl_arena_init(&arena, 0);
    pl_buf_init(&message, 0);
    d = distributor_create(&o, NULL, &fake.port);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(fake.sessions_open, 0);
    for (uint32_t i = 0; i < fake.known; i++) {
        pl_free(fake.text[i]);
    }
    distributor_destroy(d);
    pl_buf_fini(&message);
    pl_arena_fini(&arena);
    return 0;
}

static pl_status push(void)
{
    pl_status st;
    err = (struct pl_err){.status = PL_OK};
    pl_arena_reset(&arena);
    st = distributor_push(d, PL_STR("t"), pl_buf_view(&message), &arena, NOW_MS, &err);
    pl_buf_reset(&message);
    return st;
}

/* A counter or gauge by name and label text as a scrape shows it; -1: not there. */
static double metric(const char *line)
{
    struct pl_buf text;
    double v = -1;
    char *at;
    pl_buf_init(&text, 0);
    metric_write_text(&text, false);
    pl_buf_byte(&text, 0);
    at = strstr(text.p, line);
    if (at != NULL) {
        v = atof(at + strlen(line));
    }
    pl_buf_fini(&text);
    return v;
}

static double discarded(const char *reason)
{
    char line[200];
    (void)snprintf(line, sizeof(line), "\ncortex_discarded_samples_total{reason=\"%s\",user=\"t\"} ", reason);
    return PL_MAX(metric(line), 0);
}

static double discarded_metadata(const char *reason)
{
    char line[200];
    (void)snprintf(line, sizeof(line), "\ncortex_discarded_metadata_total{reason=\"%s\",user=\"t\"} ", reason);
    return PL_MAX(metric(line), 0);
}

static void add(const char *labels, int64_t t, double v)
{
    wr_series(&message, labels, t, v);
}

/* ---- series ---- */

static void good_series_arrive(void **state)
{
    (void)state;
    add("up,job=a,instance=x", NOW_MS, 1);
    add("up,job=b,instance=x", NOW_MS - 5, 2);
    assert_int_equal(push(), PL_OK);
    assert_int_equal(fake.samples, 2);
    assert_string_equal(fake.text[0], "{__name__=\"up\", instance=\"x\", job=\"a\"}");
    assert_int_equal(fake.sample[1].t, NOW_MS - 5);
    assert_true(fake.sample[1].v == 2);
}

static void known_sender_is_not_parsed_again(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        add("up,job=a", NOW_MS + i, i);
        add("up,job=b", NOW_MS + i, i);
        assert_int_equal(push(), PL_OK);
    }
    assert_int_equal(fake.parsed, 2);
    assert_int_equal(fake.samples, 6);
    assert_int_equal(fake.sample[4].ref, 1);
}

/* New limits: what was let through under the old ones is looked at again. */
static void changed_limits_apply_to_known_series(void **state)
{
    (void)state;
    add("up,job=abcdef", NOW_MS, 1);
    assert_int_equal(push(), PL_OK);
    assert_int_equal(fake.forgets, 0);
    limits.max_label_value_length = 3;
    add("up,job=abcdef", NOW_MS + 1, 1);
    assert_int_equal(push(), PL_INVALID);
    assert_int_equal(fake.forgets, 1);
    assert_int_equal(fake.samples, 1);
    limits.max_label_value_length = 2048;
    limits.ingestion_rate = 12345; /* decides nothing about labels */
    add("up,job=abcdef", NOW_MS + 1, 1);
    assert_int_equal(push(), PL_OK);
    assert_int_equal(fake.forgets, 2);
    assert_int_equal(fake.parsed, 1);
}

static void labels_are_put_in_order(void **state)
{
    (void)state;
    add(",z=1,__name__=up,a=2,gone=,m=", NOW_MS, 1);
    assert_int_equal(push(), PL_OK);
    assert_string_equal(fake.text[0], "{__name__=\"up\", a=\"2\", z=\"1\"}");
}

static void dropped_labels(void **state)
{
    static pl_str drop[] = {PL_STR_INIT("secret"), PL_STR_INIT("__name__")};
    (void)state;
    limits.drop_labels = (struct opt_list){drop, 1};
    add("up,secret=1,job=a", NOW_MS, 1);
    assert_int_equal(push(), PL_OK);
    assert_string_equal(fake.text[0], "{__name__=\"up\", job=\"a\"}");
    limits.drop_labels.n = 2;
    limits.enforce_metric_name = false;
    double before = discarded("user_label_removal_configuration");
    add("up,secret=1", NOW_MS, 1);
    assert_int_equal(push(), PL_OK);
    assert_int_equal(fake.samples, 1);
    assert_true(discarded("user_label_removal_configuration") == before + 1);
}

static char long_text[3000];

/* Every row of the validation table: one bad series between two good ones. */
static void bad_series_are_refused(void **state)
{
    static const struct {
        const char *name, *labels;
        int64_t t;
        const char *text, *reason;
    } cases[] = {
        {"no name", ",job=a", 0, "sample missing metric name", "missing_metric_name"},
        {"empty name", ",__name__=,job=a", 0, "sample invalid metric name: \"\"", "metric_name_invalid"},
        {"bad name", "a-b,job=a", 0, "sample invalid metric name: \"a-b\"", "metric_name_invalid"},
        {"name not UTF-8", "\xff\"x", 0, "sample invalid metric name: \"\\xff\\\"x\"", "metric_name_invalid"},
        {"too many labels", "m,a=1,b=2,c=3,d=4,e=5", 0,
         "series has too many labels (actual: 6, limit: 5) series: 'm{a=\"1\", b=\"2\", c=\"3\", d=\"4\", e=\"5\"}'",
         "max_label_names_per_series"},
        {"bad label name", "m,0a=1,b=2", 0, "sample invalid label: \"0a\" metric \"m{0a=\\\"1\\\", b=\\\"2\\\"}\"",
         "label_invalid"},
        {"empty label name", "m,=1", 0, "sample invalid label: \"\" metric \"m{=\\\"1\\\"}\"", "label_invalid"},
        {"label name with a colon", "m,a:b=1", 0, "sample invalid label: \"a:b\" metric \"m{a:b=\\\"1\\\"}\"",
         "label_invalid"},
        {"long label name", "m,abcdefghijklmnopq=1", 0,
         "label name too long for metric (actual: 17, limit: 16) metric: \"m{abcdefghijklmnopq=\\\"1\\\"}\" label "
         "name: "
         "\"abcdefghijklmnopq\"",
         "label_name_too_long"},
        {"long label value", "m,a=123456789012345678901", 0,
         "label value too long for metric (actual: 21, limit: 20) metric: \"m{a=\\\"123456789012345678901\\\"}\" label "
         "name: \"a\" "
         "label value: \"123456789012345678901\"",
         "label_value_too_long"},
        {"long metric name", "m23456789012345678901", 0,
         "label value too long for metric (actual: 21, limit: 20) metric: \"m23456789012345678901\" label name: "
         "\"__name__\" label "
         "value: \"m23456789012345678901\"",
         "label_value_too_long"},
        {"duplicate label", "m,a=1,a=2", 0, "duplicate label name: \"a\" metric \"m{a=\\\"1\\\", a=\\\"2\\\"}\"",
         "duplicate_label_names"},
        {"two names", "m,__name__=n", 0, "duplicate label name: \"__name__\" metric \"m{__name__=\\\"n\\\"}\"",
         "duplicate_label_names"},
        {"labels too large", "m,a=1234567890,b=1234567890,c=1234567890", 0,
         "labels size bytes exceeded for metric (actual: 58, limit: 50) metric: \"m{a=\\\"1234567890\\\", "
         "b=\\\"1234567890\\\", "
         "c=\\\"1234567890\\\"}\"",
         "labels_size_bytes_exceeded"},
        {"too old", "m,a=1", NOW_MS - 3600001, "timestamp too old: 1699996399999 metric: \"m\"",
         "greater_than_max_sample_age"},
        {"smallest time", "m,a=1", INT64_MIN, "timestamp too old: -9223372036854775808 metric: \"m\"",
         "greater_than_max_sample_age"},
        {"too new", "m,a=1", NOW_MS + 600001, "timestamp too new: 1700000600001 metric: \"m\"", "too_far_in_future"},
        {"largest time", "m,a=1", INT64_MAX, "timestamp too new: 9223372036854775807 metric: \"m\"",
         "too_far_in_future"},
    };
    (void)state;
    limits.max_label_names_per_series = 5;
    limits.max_label_name_length = 16;
    limits.max_label_value_length = 20;
    limits.max_labels_size_bytes = 50;
    limits.reject_old_samples = true;
    limits.reject_old_samples_max_age_ns = 3600 * PL_NS_PER_S;
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        double before = discarded(cases[i].reason);
        uint32_t samples = fake.samples;
        add("good,a=1", NOW_MS, 1);
        add(cases[i].labels, cases[i].t == 0 ? NOW_MS : cases[i].t, 2);
        add("good,a=2", NOW_MS, 3);
        if (push() != PL_INVALID || strcmp(err.msg, cases[i].text) != 0) {
            fail_msg("%s:\n got %s\nwant %s", cases[i].name, err.msg, cases[i].text);
        }
        assert_int_equal(fake.samples, samples + 2);
        if (discarded(cases[i].reason) != before + 1) {
            fail_msg("%s: reason %s not counted once", cases[i].name, cases[i].reason);
        }
    }
    /* All that is bad is refused again when the sender repeats it: nothing bad is remembered. */
    assert_int_equal(fake.parsed, 2);
}

static void limits_are_inclusive(void **state)
{
    (void)state;
    limits.max_label_names_per_series = 3;
    limits.max_label_name_length = 8;
    limits.max_label_value_length = 4;
    limits.max_labels_size_bytes = 34;
    limits.reject_old_samples = true;
    limits.reject_old_samples_max_age_ns = 3600 * PL_NS_PER_S;
    add("name,a=1234,b=1234", NOW_MS - 3600000, 1);
    add("name,a=1234,b=1235", NOW_MS + 600000, 1);
    assert_int_equal(push(), PL_OK);
}

static void long_causes_are_cut(void **state)
{
    char labels[3100];
    (void)state;
    memset(long_text, 'x', 2100);
    (void)snprintf(labels, sizeof(labels), "m,a=%s", long_text);
    add(labels, NOW_MS, 1);
    assert_int_equal(push(), PL_INVALID);
    assert_non_null(strstr(err.msg, "(actual: 2100, limit: 2048)"));
    /* m{a="xxx...: two hundred characters between the quotes. */
    const char *metric_at = strstr(err.msg, "metric: \"");
    assert_non_null(metric_at);
    assert_int_equal(strcspn(metric_at + strlen("metric: \"m{a=\\\""), "\""), 200 - strlen("m{a=\""));
    const char *value_at = strstr(err.msg, "label value: \"");
    assert_int_equal(strcspn(value_at + strlen("label value: \""), "\""), 200);
}

static void first_refusal_is_told(void **state)
{
    (void)state;
    add("m,0a=1", NOW_MS, 1);
    add(",b=1", NOW_MS, 1);
    assert_int_equal(push(), PL_INVALID);
    assert_string_equal(err.msg, "sample invalid label: \"0a\" metric \"m{0a=\\\"1\\\"}\"");
    assert_int_equal(fake.samples, 0);
}

/* One bad sample: the whole series of that request goes, and only once into the counter. */
static void bad_sample_drops_its_series(void **state)
{
    struct pl_buf s;
    double before = discarded("too_far_in_future");
    (void)state;
    for (int known = 0; known < 2; known++) {
        pl_buf_init(&s, 0);
        wr_labels(&s, "up,job=a");
        wr_sample(&s, NOW_MS, 1);
        wr_sample(&s, NOW_MS + 700000, 2);
        wr_sample(&s, NOW_MS + 800000, 3);
        wr_field(&message, 1, pl_buf_view(&s));
        pl_buf_fini(&s);
        add("up,job=b", NOW_MS, 1);
        assert_int_equal(push(), PL_INVALID);
        assert_string_equal(err.msg, "timestamp too new: 1700000700000 metric: \"up\"");
        assert_int_equal(fake.samples, 1 + 2 * known);
        add("up,job=a", NOW_MS, 1); /* known in the second round */
        assert_int_equal(push(), PL_OK);
    }
    assert_true(discarded("too_far_in_future") == before + 2);
}

static void no_labels_fail_the_request(void **state)
{
    (void)state;
    add("good,a=1", NOW_MS, 1);
    add("", NOW_MS, 1);
    assert_int_equal(push(), PL_INVALID);
    assert_string_equal(err.msg, "empty labels found");
    assert_int_equal(fake.samples, 0);
    assert_int_equal(fake.sessions, 0);
}

/* Protobuf that is broken only inside a label is found before anything is stored. */
static void broken_label_fails_the_request(void **state)
{
    (void)state;
    add("good,a=1", NOW_MS, 1);
    wr_field(&message, 1, PL_STR("\x0a\x02\x08\x01"));
    assert_int_equal(push(), PL_INVALID);
    assert_string_equal(err.msg, "proto: wrong wireType = 0 for field Name");
    assert_int_equal(fake.samples, 0);
}

static void name_checks_can_be_off(void **state)
{
    (void)state;
    limits.enforce_metric_name = false;
    add(",job=a", NOW_MS, 1);
    add("a-b,job=a", NOW_MS, 1);
    assert_int_equal(push(), PL_OK);
    assert_int_equal(fake.samples, 2);
}

static void utf8_names(void **state)
{
    const struct distributor_options o = {.recv_bytes_max = 1 << 20, .utf8_names = true};
    (void)state;
    distributor_destroy(d);
    d = distributor_create(&o, NULL, &fake.port);
    add("http.requests-\xc3\xa4,service.name=a", NOW_MS, 1);
    assert_int_equal(push(), PL_OK);
    add("m,\xff=a", NOW_MS, 1);
    assert_int_equal(push(), PL_INVALID);
    assert_string_equal(err.msg, "sample invalid label: \"\\xff\" metric \"m{\\xff=\\\"a\\\"}\"");
}

static void ten_thousand_labels(void **state)
{
    struct pl_buf s;
    char name[16];
    (void)state;
    pl_buf_init(&s, 0);
    wr_labels(&s, "m");
    for (int i = 9999; i > 0; i--) {
        (void)snprintf(name, sizeof(name), "l%d", i);
        wr_label(&s, pl_str_c(name), PL_STR("v"));
    }
    wr_sample(&s, NOW_MS, 1);
    wr_field(&message, 1, pl_buf_view(&s));
    pl_buf_fini(&s);
    add("good,a=1", NOW_MS, 1);
    assert_int_equal(push(), PL_INVALID);
    assert_non_null(strstr(err.msg, "series has too many labels (actual: 10000, limit: 30) series: 'm{l1=\"v\""));
    assert_int_equal(fake.samples, 1);
}

static void odd_values_are_kept(void **state)
{
    (void)state;
    add("m,a=1", NOW_MS, pl_f64_from_bits(PL_STALE_NAN_BITS));
    add("m,a=2", NOW_MS, pl_f64_from_bits(UINT64_C(0x7ff8dead0000beef)));
    add("m,a=\xff\xfe", NOW_MS, -0.0);
    assert_int_equal(push(), PL_OK);
    assert_true(pl_is_stale(fake.sample[0].v));
    assert_true(pl_f64_bits(fake.sample[1].v) == UINT64_C(0x7ff8dead0000beef));
    assert_true(pl_f64_bits(fake.sample[2].v) == UINT64_C(1) << 63);
}

/* Labels that samples lie between: stored the same, but not remembered. */
static void scattered_labels(void **state)
{
    struct pl_buf s;
    (void)state;
    for (int i = 0; i < 2; i++) {
        pl_buf_init(&s, 0);
        wr_labels(&s, "up");
        wr_sample(&s, NOW_MS + i, 1);
        wr_labels(&s, ",job=a");
        wr_field(&message, 1, pl_buf_view(&s));
        pl_buf_fini(&s);
        assert_int_equal(push(), PL_OK);
        assert_string_equal(fake.text[i], "{__name__=\"up\", job=\"a\"}");
        assert_true(fake.hash[i].lo == 0 && fake.hash[i].hi == 0);
    }
    assert_int_equal(fake.parsed, 2);
}

static void histograms_and_exemplars_are_left_out(void **state)
{
    struct pl_buf s;
    double before = discarded("native-histogram-sample");
    (void)state;
    pl_buf_init(&s, 0);
    wr_labels(&s, "h,job=a");
    wr_field(&s, 3, PL_STR(""));
    wr_field(&s, 4, PL_STR(""));
    wr_field(&s, 4, PL_STR(""));
    wr_field(&message, 1, pl_buf_view(&s));
    pl_buf_fini(&s);
    assert_int_equal(push(), PL_OK);
    assert_int_equal(fake.samples, 0);
    assert_int_equal(fake.known, 0);
    assert_true(discarded("native-histogram-sample") == before + 2);
}

/* A series with one whole histogram: `in_bucket` observations in its one bucket. */
static void add_hist_series(const char *labels, int32_t schema, uint64_t count, uint64_t in_bucket, int64_t t)
{
    struct pl_buf s, h, span, deltas;

    pl_buf_init(&s, 0);
    pl_buf_init(&h, 0);
    pl_buf_init(&span, 0);
    pl_buf_init(&deltas, 0);
    pl_buf_byte(&h, 1 << 3);
    wr_uvarint(&h, count);
    pl_buf_byte(&h, 4 << 3);
    wr_uvarint(&h, (uint32_t)schema << 1 ^ (uint32_t)(schema >> 31));
    pl_buf_byte(&span, 2 << 3);
    wr_uvarint(&span, 1);
    wr_field(&h, 11, pl_buf_view(&span));
    wr_uvarint(&deltas, in_bucket << 1);
    wr_field(&h, 12, pl_buf_view(&deltas));
    pl_buf_byte(&h, 15 << 3);
    wr_uvarint(&h, (uint64_t)t);
    wr_labels(&s, labels);
    wr_field(&s, 4, pl_buf_view(&h));
    wr_field(&message, 1, pl_buf_view(&s));
    pl_buf_fini(&deltas);
    pl_buf_fini(&span);
    pl_buf_fini(&h);
    pl_buf_fini(&s);
}

static void histograms_are_passed_on(void **state)
{
    double before = discarded("native-histogram-sample");

    (void)state;
    limits.enable_native_histograms = true;
    for (int i = 0; i < 2; i++) { /* parsed, then known */
        add_hist_series("h,job=a", 3, 7, 7, NOW_MS + i);
        wr_series(&message, "up", NOW_MS + i, 1);
        assert_int_equal(push(), PL_OK);
        assert_int_equal(fake.hists, i + 1);
        assert_int_equal(fake.samples, i + 1);
        assert_true(fake.hist_count == 7 && fake.hist_whole && fake.hist_t == NOW_MS + i);
    }
    assert_int_equal(fake.parsed, 2);
    assert_true(discarded("native-histogram-sample") == before);
}

static void invalid_histograms_are_refused(void **state)
{
    static const struct {
        int32_t schema;
        uint64_t count;
        int64_t t;
        const char *want, *reason;
    } cases[] = {
        {3, 8, NOW_MS,
         "invalid native histogram, validation err: 7 observations found in buckets, but the Count field is 8: "
         "histogram's observation count should equal the number of observations found in the buckets (in absence of "
         "NaN), metric: \"h\"",
         "native_histogram_invalid"},
        {-5, 7, NOW_MS, "invalid native histogram schema -5 for metric: \"h\". supported schema from -4 to 8",
         "native_histogram_invalid_schema"},
        {3, 7, NOW_MS + 3600000, "timestamp too new: 1700003600000 metric: \"h\"", "too_far_in_future"},
    };

    (void)state;
    limits.enable_native_histograms = true;
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        double before = discarded(cases[i].reason);
        uint32_t had = fake.hists;
        add_hist_series("h,job=a", cases[i].schema, cases[i].count, 7, cases[i].t);
        add_hist_series("good", 3, 7, 7, NOW_MS);
        assert_int_equal(push(), PL_INVALID);
        assert_string_equal(err.msg, cases[i].want);
        assert_int_equal(fake.hists, had + 1);
        assert_true(discarded(cases[i].reason) == before + 1);
    }
}

static void histogram_limits(void **state)
{
    (void)state;
    limits.enable_native_histograms = true;
    limits.max_native_histogram_buckets = 1;
    add_hist_series("h,job=a", 3, 7, 7, NOW_MS); /* one bucket fits */
    assert_int_equal(push(), PL_OK);
    limits.max_native_histogram_sample_size_bytes = 5;
    add_hist_series("h,job=a", 3, 7, 7, NOW_MS + 1);
    assert_int_equal(push(), PL_INVALID);
    assert_string_equal(err.msg,
                        "native histogram sample size bytes exceeded for metric (actual: 18, limit: 5) metric: "
                        "\"h\"");
    assert_int_equal(fake.hists, 1);
}

/* Buckets 1 and 2 at schema 3 are one at schema 2; custom ones cannot be merged. */
static void many_buckets_are_merged(void **state)
{
    for (int custom = 0; custom < 2; custom++) {
        struct pl_buf s, h, span;
        limits.enable_native_histograms = true;
        limits.max_native_histogram_buckets = 1;
        pl_buf_init(&s, 0);
        pl_buf_init(&h, 0);
        pl_buf_init(&span, 0);
        pl_buf_add(&h, custom ? "\x08\x07\x20\x69" : "\x08\x07\x20\x06", 4); /* count 7; schema -53 or 3 */
        pl_buf_add(&span, custom ? "\x10\x02" : "\x08\x02\x10\x02", custom ? 2 : 4);
        wr_field(&h, 11, pl_buf_view(&span));
        wr_field(&h, 12, PL_STR("\x06\x02")); /* 3, and 1 more */
        if (custom) {
            wr_field(&h, 16, pl_str_of("\0\0\0\0\0\0\xf0\x3f", 8)); /* 1.0 */
        }
        pl_buf_byte(&h, 15 << 3);
        wr_uvarint(&h, NOW_MS);
        wr_labels(&s, "h");
        wr_field(&s, 4, pl_buf_view(&h));
        wr_field(&message, 1, pl_buf_view(&s));
        pl_buf_fini(&span);
        pl_buf_fini(&h);
        pl_buf_fini(&s);
        assert_int_equal(push(), custom ? PL_INVALID : PL_OK);
        if (custom) {
            assert_string_equal(err.msg, "native histogram bucket count exceeded for metric (limit: 1) metric: \"h\"");
        }
    }
    (void)state;
    assert_int_equal(fake.hists, 1);
    assert_int_equal(fake.hist_buckets, 1);
}

/* ---- metadata ---- */

static void metadata_checks(void **state)
{
    static const struct {
        const char *name;
        size_t metric, help, unit;
        const char *text, *reason;
    } cases[] = {
        {"fine", 1024, 1024, 1024, NULL, "help_too_long"},
        {"no name", 0, 5, 5, "metadata missing metric name", "missing_metric_name"},
        {"long name", 1025, 0, 0, "metadata 'METRIC_NAME' value too long: \"x", "metric_name_too_long"},
        {"long help", 3, 1025, 2000, "metadata 'HELP' value too long: \"x", "help_too_long"},
        {"long unit", 3, 5, 1025, "metadata 'UNIT' value too long: \"x", "unit_too_long"},
    };
    (void)state;
    memset(long_text, 'x', sizeof(long_text));
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        double before = discarded_metadata(cases[i].reason);
        uint32_t stored = fake.metadata;
        wr_metadata(&message, 1, pl_str_of(long_text, cases[i].metric), pl_str_of(long_text, cases[i].help),
                    pl_str_of(long_text, cases[i].unit));
        wr_metadata(&message, 1, PL_STR("up"), PL_STR("help"), PL_STR(""));
        pl_status st = push();
        assert_int_equal(st, cases[i].text == NULL ? PL_OK : PL_INVALID);
        assert_int_equal(fake.metadata, stored + (cases[i].text == NULL ? 2 : 1));
        if (cases[i].text != NULL && strncmp(err.msg, cases[i].text, strlen(cases[i].text)) != 0) {
            fail_msg("%s: %s", cases[i].name, err.msg);
        }
        assert_true(discarded_metadata(cases[i].reason) == before + (cases[i].text == NULL ? 0 : 1));
    }
}

/* ---- rates and limits of the process ---- */

static void rate_limit(void **state)
{
    double before = discarded("rate_limited");
    (void)state;
    limits.ingestion_rate = 0.5;
    limits.ingestion_burst_size = 3;
    add("m,a=1", NOW_MS, 1);
    add("m,a=2", NOW_MS, 1);
    assert_int_equal(push(), PL_OK);
    add("m,a=1", NOW_MS + 1, 1);
    wr_metadata(&message, 1, PL_STR("up"), PL_STR(""), PL_STR(""));
    assert_int_equal(push(), PL_RATE);
    assert_string_equal(err.msg, "ingestion rate limit (0.5) exceeded while adding 1 samples and 1 metadata");
    assert_int_equal(fake.samples, 2);
    assert_true(discarded("rate_limited") == before + 1);
    add("m,a=1", NOW_MS + 1, 1);
    assert_int_equal(push(), PL_OK); /* the refused request took no tokens */
}

static void request_over_the_burst_never_passes(void **state)
{
    (void)state;
    limits.ingestion_burst_size = 1;
    limits.ingestion_rate = 250000;
    add("m,a=1", NOW_MS, 1);
    add("m,a=2", NOW_MS, 1);
    assert_int_equal(push(), PL_RATE);
    assert_string_equal(err.msg, "ingestion rate limit (250000) exceeded while adding 2 samples and 0 metadata");
}

static void instance_rate(void **state)
{
    const struct distributor_options o = {.recv_bytes_max = 1 << 20, .ingestion_rate_max = 10};
    (void)state;
    distributor_destroy(d);
    d = distributor_create(&o, NULL, &fake.port);
    distributor_tick(d, PL_NS_PER_S);
    for (int i = 0; i < 20; i++) {
        add("m,a=1", NOW_MS + i, 1);
    }
    assert_int_equal(push(), PL_OK);
    distributor_tick(d, 2 * PL_NS_PER_S);
    add("m,a=1", NOW_MS + 30, 1);
    assert_int_equal(push(), PL_UNAVAILABLE);
    assert_string_equal(err.msg, "distributor's samples push rate limit reached");
    for (int64_t s = 3; s < 8; s++) { /* 20, 16, 12.8, 10.24, 8.2 */
        distributor_tick(d, s * PL_NS_PER_S);
    }
    add("m,a=1", NOW_MS + 30, 1);
    assert_int_equal(push(), PL_OK);
}

static void inflight_limit(void **state)
{
    const struct distributor_options o = {.recv_bytes_max = 1 << 20, .inflight_push_max = 1};
    (void)state;
    distributor_destroy(d);
    d = distributor_create(&o, NULL, &fake.port);
    for (int i = 0; i < 2; i++) {
        fake.push_inside = i == 0;
        add("m,a=1", NOW_MS + i, 1);
        assert_int_equal(push(), PL_OK);
    }
    assert_int_equal(fake.inside_status, PL_UNAVAILABLE);
    assert_string_equal(fake.inside_err.msg, "too many inflight push requests in distributor");
}

static void ingester_errors_pass_through(void **state)
{
    (void)state;
    fake.begin_status = PL_INTERNAL;
    add("m,a=1", NOW_MS, 1);
    assert_int_equal(push(), PL_INTERNAL);
    assert_string_equal(err.msg, "ingester stopping");
    fake.begin_status = PL_OK;
    fake.append_status = PL_INVALID;
    add("m,a=1", NOW_MS, 1);
    add(",b=1", NOW_MS, 1);
    assert_int_equal(push(), PL_INVALID); /* before the distributor's own refusal */
    assert_string_equal(err.msg, "user=t: err: out of order sample");
}

static void a_new_tenant_gets_no_store_for_nothing(void **state)
{
    (void)state;
    fake.unknown = true;
    add(",b=1", NOW_MS, 1);
    assert_int_equal(push(), PL_INVALID);
    assert_int_equal(fake.sessions, 0);
    limits.ingestion_rate = 1;
    limits.ingestion_burst_size = 1;
    add("m,a=1", NOW_MS, 1);
    add("m,a=2", NOW_MS, 1);
    assert_int_equal(push(), PL_RATE);
    assert_int_equal(fake.sessions, 0);
    limits.ingestion_burst_size = 10;
    limits.ingestion_rate = 10;
    add("m,a=1", NOW_MS, 1);
    add(",b=1", NOW_MS, 1);
    assert_int_equal(push(), PL_INVALID); /* but the good sample is stored */
    assert_int_equal(fake.sessions, 1);
    assert_int_equal(fake.samples, 1);
    assert_int_equal(fake.sessions_open, 0);
}

static void nothing_in_it(void **state)
{
    (void)state;
    assert_int_equal(push(), PL_OK);
    assert_int_equal(fake.sessions, 0);
}

static void counters(void **state)
{
    (void)state;
    double in = PL_MAX(metric("\ncortex_distributor_samples_in_total{user=\"t\",type=\"float\"} "), 0);
    double received = PL_MAX(metric("\ncortex_distributor_received_samples_total{user=\"t\",type=\"float\"} "), 0);
    add("m,a=1", NOW_MS, 1);
    add("m,a=1", NOW_MS + 1500, 1);
    add(",b=1", NOW_MS, 1);
    assert_int_equal(push(), PL_INVALID);
    assert_true(metric("\ncortex_distributor_samples_in_total{user=\"t\",type=\"float\"} ") == in + 3);
    assert_true(metric("\ncortex_distributor_received_samples_total{user=\"t\",type=\"float\"} ") == received + 2);
    assert_true(metric("\ncortex_distributor_latest_seen_sample_timestamp_seconds{user=\"t\"} ") == NOW + 1.5);
}

/* A request that needs more memory than the arena may have fails with a text and leaves nothing behind. */
static void arena_limit(void **state)
{
    char labels[64];
    (void)state;
    for (int i = 0; i < 3000; i++) {
        (void)snprintf(labels, sizeof(labels), "m,a=%d", i);
        add(labels, NOW_MS, 1);
    }
    for (size_t limit = 1 << 14; limit <= 1 << 22; limit *= 2) {
        struct pl_arena small;
        pl_arena_init(&small, limit);
        fake.samples = 0;
        pl_status st = distributor_push(d, PL_STR("t"), pl_buf_view(&message), &small, NOW_MS, &err);
        assert_true(st == PL_OK || st == PL_LIMIT);
        assert_int_equal(fake.samples, st == PL_OK ? 3000 : 0);
        for (uint32_t i = 0; i < fake.known; i++) {
            pl_free(fake.text[i]);
        }
        fake.known = 0;
        pl_arena_fini(&small);
    }
    pl_buf_reset(&message);
}

static pl_status push_as(const char *tenant)
{
    err = (struct pl_err){.status = PL_OK};
    pl_arena_reset(&arena);
    add("m,a=1", NOW_MS, 1);
    pl_status st = distributor_push(d, pl_str_c(tenant), pl_buf_view(&message), &arena, NOW_MS, &err);
    pl_buf_reset(&message);
    return st;
}

/* Whoever sends under names that the ingester does not take must not fill this process with their counters. */
static void refused_tenants_leave_nothing(void **state)
{
    char line[128], name[16];

    (void)state;
    fake.begin_status = PL_INTERNAL;
    for (int i = 0; i < 100; i++) {
        fake.unknown = i % 2 == 0;
        (void)snprintf(name, sizeof(name), "stranger%d", i);
        assert_int_equal(push_as(name), PL_INTERNAL);
        assert_null(dist__tenant_find(d, pl_str_c(name)));
        (void)snprintf(line, sizeof(line), "\ncortex_distributor_samples_in_total{user=\"%s\",type=\"float\"} ", name);
        assert_true(metric(line) < 0);
    }
    fake.begin_status = PL_OK;
    assert_int_equal(push_as("stranger0"), PL_OK);
    assert_non_null(dist__tenant_find(d, PL_STR("stranger0")));
}

/* Past their number tenants share counters and a rate; each push is still taken. */
static void the_table_of_tenants_is_bounded(void **state)
{
    const struct distributor_options o = {.recv_bytes_max = 1 << 20, .tenants_max = 2};
    double before = PL_MAX(metric("\ncortex_distributor_received_samples_total{user=\"overflow\",type=\"float\"} "), 0);

    (void)state;
    distributor_destroy(d);
    d = distributor_create(&o, NULL, &fake.port);
    assert_int_equal(push_as("one"), PL_OK);
    assert_int_equal(push_as("two"), PL_OK);
    assert_int_equal(push_as("three"), PL_OK);
    assert_int_equal(push_as("four"), PL_OK);
    assert_int_equal(push_as("one"), PL_OK);
    assert_ptr_equal(dist__tenant_find(d, PL_STR("three")), dist__tenant_find(d, PL_STR("five")));
    assert_ptr_not_equal(dist__tenant_find(d, PL_STR("one")), dist__tenant_find(d, PL_STR("two")));
    assert_true(metric("\ncortex_distributor_received_samples_total{user=\"overflow\",type=\"float\"} ") == before + 2);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(good_series_arrive),
        T(known_sender_is_not_parsed_again),
        T(changed_limits_apply_to_known_series),
        T(labels_are_put_in_order),
        T(dropped_labels),
        T(bad_series_are_refused),
        T(limits_are_inclusive),
        T(long_causes_are_cut),
        T(first_refusal_is_told),
        T(bad_sample_drops_its_series),
        T(no_labels_fail_the_request),
        T(broken_label_fails_the_request),
        T(name_checks_can_be_off),
        T(utf8_names),
        T(ten_thousand_labels),
        T(odd_values_are_kept),
        T(scattered_labels),
        T(histograms_and_exemplars_are_left_out),
        T(histograms_are_passed_on),
        T(invalid_histograms_are_refused),
        T(histogram_limits),
        T(many_buckets_are_merged),
        T(metadata_checks),
        T(rate_limit),
        T(request_over_the_burst_never_passes),
        T(instance_rate),
        T(inflight_limit),
        T(ingester_errors_pass_through),
        T(a_new_tenant_gets_no_store_for_nothing),
        T(nothing_in_it),
        T(counters),
        T(arena_limit),
        T(refused_tenants_leave_nothing),
        T(the_table_of_tenants_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
