/* No heap call per series or sample: a known sender's request is walked in its arena. */
#include "unit/tsdb/heap_count.h"

#include "distributor/distributor.h"

#include "base/clock.h"
#include "unit/distributor/write_request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { KNOWN_SLOTS = 16384, CALLS_MAX = 40 };
#define NOW_MS INT64_C(1700000000000)

/* ---- limits, in place of tenant/ ---- */

static const struct limits limits = {.enforce_metric_name = true,
                                     .max_label_name_length = 1024,
                                     .max_label_value_length = 2048,
                                     .max_label_names_per_series = 30,
                                     .creation_grace_period_ns = 600 * PL_NS_PER_S,
                                     .ingestion_rate = 1e9,
                                     .ingestion_burst_size = 1000000000};

const struct limits *limits_get(struct overrides *o, pl_str tenant)
{
    (void)o, (void)tenant;
    return &limits;
}

void limits_put(struct overrides *o, const struct limits *l)
{
    (void)o, (void)l;
}

/* ---- a port that knows by hash whom it has seen ---- */

static struct {
    struct ingest_port port;
    struct pl_hash128 known[KNOWN_SLOTS];
    uint64_t samples, unknown;
} fake;

static struct pl_hash128 *place(struct pl_hash128 hash)
{
    size_t at = hash.lo % KNOWN_SLOTS;

    while ((fake.known[at].lo | fake.known[at].hi) != 0 &&
           (fake.known[at].lo != hash.lo || fake.known[at].hi != hash.hi)) {
        at = (at + 1) % KNOWN_SLOTS;
    }
    return &fake.known[at];
}

static bool fake_known(struct ingest_port *p, pl_str tenant)
{
    (void)p, (void)tenant;
    return true;
}

static pl_status fake_begin(struct ingest_port *p, pl_str tenant, struct ingest_session **out, struct pl_err *err)
{
    (void)tenant, (void)err;
    *out = (struct ingest_session *)(void *)p;
    return PL_OK;
}

static void fake_resolve(struct ingest_session *s, const struct pl_hash128 *hashes, uint32_t count, uint64_t *refs)
{
    (void)s;
    for (uint32_t i = 0; i < count; i++) {
        const struct pl_hash128 *at = place(hashes[i]);
        refs[i] = (at->lo | at->hi) != 0 ? (uint64_t)(at - fake.known) + 1 : 0;
    }
}

static pl_status fake_append(struct ingest_session *s, const struct ingest_batch *b, struct pl_arena *a,
                             struct pl_err *err)
{
    (void)s, (void)a, (void)err;
    for (uint32_t i = 0; i < b->series_count; i++) {
        fake.samples += b->series[i].sample_count;
        if (b->series[i].ref == 0) {
            *place(b->series[i].wire_hash) = b->series[i].wire_hash;
            fake.unknown++;
        }
    }
    return PL_OK;
}

static void fake_nothing(struct ingest_session *s)
{
    (void)s;
}

static const struct ingest_port_ops fake_ops = {.known = fake_known,
                                                .begin = fake_begin,
                                                .resolve = fake_resolve,
                                                .append = fake_append,
                                                .end = fake_nothing,
                                                .forget = fake_nothing};

/* ---- the test ---- */

static uint64_t calls_of_push(struct distributor *d, struct pl_arena *a, uint32_t series, uint32_t samples, int64_t t)
{
    struct pl_buf message, content;
    struct pl_err err = {.msg = ""};
    uint64_t before, calls;
    char labels[128];

    pl_buf_init(&message, 0);
    pl_buf_init(&content, 0);
    for (uint32_t i = 0; i < series; i++) {
        (void)snprintf(labels, sizeof(labels), "http_requests_total,code=200,instance=host-%u:9100,job=node,le=%u",
                       i / 10, i);
        pl_buf_reset(&content);
        wr_labels(&content, labels);
        for (uint32_t k = 0; k < samples; k++) {
            wr_sample(&content, t + k * 1000, (double)i + k);
        }
        wr_field(&message, 1, pl_buf_view(&content));
    }
    pl_arena_reset(a);
    before = heap_calls();
    if (distributor_push(d, PL_STR("t"), pl_buf_view(&message), a, NOW_MS, &err) != PL_OK) {
        fail_msg("push: %s", err.msg);
    }
    calls = heap_calls() - before;
    pl_buf_fini(&content);
    pl_buf_fini(&message);
    return calls;
}

static void no_heap_call_per_sample(void **state)
{
    static const uint32_t series[] = {10, 500, 4000}, samples[] = {1, 5};
    const struct distributor_options o = {.recv_bytes_max = 100 << 20};
    struct distributor *d;
    struct pl_arena a;
    int64_t t = NOW_MS - 3600000;

    (void)state;
    fake.port.ops = &fake_ops;
    d = distributor_create(&o, NULL, &fake.port);
    pl_arena_init(&a, 0);
    (void)calls_of_push(d, &a, 4000, 1, t);
    assert_int_equal(fake.unknown, 4000);
    for (size_t i = 0; i < PL_ARRAY_LEN(series); i++) {
        for (size_t k = 0; k < PL_ARRAY_LEN(samples); k++) {
            uint64_t before = fake.samples, calls;
            calls = calls_of_push(d, &a, series[i], samples[k], t += 60000);
            print_message("%u series with %u samples: %lu heap calls\n", series[i], samples[k], calls);
            assert_int_equal(fake.samples - before, series[i] * samples[k]);
            assert_true(calls <= CALLS_MAX);
        }
    }
    assert_int_equal(fake.unknown, 4000); /* nobody was parsed twice */
    pl_arena_fini(&a);
    distributor_destroy(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_heap_call_per_sample)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
