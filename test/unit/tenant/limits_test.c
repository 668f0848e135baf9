/* Overrides: what a tenant gets, and what happens when the file changes. */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "metric/metric.h"
#include "tenant/limits.h"

struct fixture {
    struct config *cfg;
    char path[64];
};

static int set_up(void **state)
{
    struct fixture *f = pl_new(struct fixture);

    config_default(&f->cfg);
    (void)snprintf(f->path, sizeof(f->path), "/tmp/pl_runtime_XXXXXX");
    int fd = mkstemp(f->path);
    assert_true(fd >= 0);
    (void)close(fd);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    (void)unlink(f->path);
    config_destroy(f->cfg);
    pl_free(f);
    return 0;
}

static void write_text(const struct fixture *f, const char *text)
{
    FILE *out = fopen(f->path, "wb");

    assert_non_null(out);
    assert_int_equal(fwrite(text, 1, strlen(text), out), strlen(text));
    assert_int_equal(fclose(out), 0);
}

static double gauge(const char *name)
{
    struct pl_buf b = {0};
    char want[128];
    double v = -1;

    metric_write_text(&b, false);
    pl_buf_byte(&b, '\0');
    (void)snprintf(want, sizeof(want), "\n%s ", name);
    const char *at = strstr(b.p, want);
    if (at != NULL) {
        v = strtod(at + strlen(want), NULL);
    }
    pl_buf_fini(&b);
    return v;
}

static size_t hashes_shown(void)
{
    struct pl_buf b = {0};
    size_t n = 0;

    metric_write_text(&b, false);
    pl_buf_byte(&b, '\0');
    for (const char *p = b.p; (p = strstr(p, "\ncortex_runtime_config_hash{sha256=")) != NULL; p++) {
        n++;
    }
    pl_buf_fini(&b);
    return n;
}

static void no_file_means_defaults(void **state)
{
    struct fixture *f = *state;
    struct overrides *o = NULL;
    struct pl_err err;
    struct pl_buf b = {0};

    assert_int_equal(overrides_create(&o, &f->cfg->limits, PL_STR(""), &err), PL_OK);
    const struct limits *l = limits_get(o, PL_STR("anyone"));
    assert_true(l->ingestion_rate == 25000);
    limits_put(o, l);
    overrides_reload(o);
    overrides_print(o, &b, PL_STR(""));
    pl_buf_byte(&b, '\0');
    assert_string_equal(b.p, "runtime config file doesn't exist");
    pl_buf_fini(&b);
    overrides_destroy(o);
    overrides_destroy(NULL);
}

static void tenants_get_their_fields_over_the_defaults(void **state)
{
    struct fixture *f = *state;
    struct overrides *o = NULL;
    struct pl_err err;

    f->cfg->limits.max_series_per_user = 7;
    write_text(f, "overrides:\n  b: {ingestion_rate: 10, reject_old_samples_max_age: 1d}\n  a:\n    "
                  "max_series_per_user: 3\n  c:\n"
                  "multi_kv_config: {primary: etcd}\ningester_limits: {max_series: 11}\n");
    assert_int_equal(overrides_create(&o, &f->cfg->limits, pl_str_c(f->path), &err), PL_OK);
    const struct limits *a = limits_get(o, PL_STR("a")), *b = limits_get(o, PL_STR("b"));
    const struct limits *c = limits_get(o, PL_STR("c")), *d = limits_get(o, PL_STR("d"));
    assert_int_equal(a->max_series_per_user, 3);
    assert_true(a->ingestion_rate == 25000);
    assert_int_equal(b->max_series_per_user, 7);
    assert_true(b->ingestion_rate == 10);
    assert_int_equal(b->reject_old_samples_max_age_ns, INT64_C(86400000000000));
    assert_int_equal(c->max_series_per_user, 7);
    assert_int_equal(d->max_series_per_user, 7);
    limits_put(o, a);
    limits_put(o, b);
    limits_put(o, c);
    limits_put(o, d);
    struct config_ingester_instance_limits il = {.max_series = 1, .max_tenants = 2};
    overrides_ingester_limits(o, &il);
    assert_int_equal(il.max_series, 11);
    assert_int_equal(il.max_tenants, 2);
    overrides_destroy(o);
}

static void a_change_is_taken_and_a_bad_one_is_not(void **state)
{
    struct fixture *f = *state;
    struct overrides *o = NULL;
    struct pl_err err;

    write_text(f, "overrides: {a: {ingestion_rate: 1}}\n");
    assert_int_equal(overrides_create(&o, &f->cfg->limits, pl_str_c(f->path), &err), PL_OK);
    assert_true(gauge("cortex_runtime_config_last_reload_successful") == 1);
    assert_int_equal(hashes_shown(), 1);
    const struct limits *old = limits_get(o, PL_STR("a"));
    overrides_reload(o); /* the same text */
    write_text(f, "overrides: {a: {ingestion_rate: 2, max_exemplars: 5}}\n");
    overrides_reload(o);
    const struct limits *now = limits_get(o, PL_STR("a"));
    assert_ptr_not_equal(old, now);
    assert_true(old->ingestion_rate == 1); /* a holder keeps what it took */
    assert_true(now->ingestion_rate == 2);
    assert_int_equal(hashes_shown(), 1);
    write_text(f, "overrides: {a: {ingestion_rat: 3}}\n");
    overrides_reload(o);
    assert_true(gauge("cortex_runtime_config_last_reload_successful") == 0);
    const struct limits *kept = limits_get(o, PL_STR("a"));
    assert_ptr_equal(kept, now);
    write_text(f, "");
    overrides_reload(o); /* an empty document is fine */
    assert_true(gauge("cortex_runtime_config_last_reload_successful") == 1);
    limits_put(o, old);
    limits_put(o, now);
    limits_put(o, kept);
    now = limits_get(o, PL_STR("a"));
    assert_true(now->ingestion_rate == 25000);
    limits_put(o, now);
    overrides_destroy(o);
}

static void bad_files_are_fatal_at_start(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"overrides:\n  a:\n    ingestion_rat: 1\n",
         "failed to load runtime config: load file: yaml: unmarshal errors:\n  line 3: field ingestion_rat not found "
         "in overrides.a; did you "
         "mean ingestion_rate?"},
        {"overides: {}\n",
         "failed to load runtime config: load file: yaml: unmarshal errors:\n  line 1: field overides not found in the "
         "runtime configuration; did you mean overrides?"},
        {"overrides: {}\n---\noverrides: {}\n",
         "failed to load runtime config: load file: the provided runtime configuration contains multiple documents"},
        {"overrides: {a: {ingestion_rate: fast}}\n", "failed to load runtime config: load file: yaml: unmarshal "
                                                     "errors:\n  line 1: cannot unmarshal !!str `fast` into float64 "
                                                     "(overrides.a.ingestion_rate)"},
        {"overrides: [a]\n",
         "failed to load runtime config: load file: yaml: unmarshal errors:\n  line 1: cannot unmarshal !!seq into map "
         "(overrides)"},
        {"overrides: {a: {query_ingesters_within: 1h, query_store_after: 2h}}\n",
         "failed to load runtime config: load file: tenant a: query_store_after (2h0m0s) must be less than "
         "query_ingesters_within (1h0m0s)"},
    };
    struct fixture *f = *state;
    struct overrides *o = NULL;
    struct pl_err err;

    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        write_text(f, cases[i].text);
        assert_int_not_equal(overrides_create(&o, &f->cfg->limits, pl_str_c(f->path), &err), PL_OK);
        assert_string_equal(err.msg, cases[i].want);
    }
    assert_int_equal(overrides_create(&o, &f->cfg->limits, PL_STR("/nonexistent"), &err), PL_IO);
    assert_string_equal(err.msg,
                        "failed to load runtime config: read file: open /nonexistent: no such file or directory");
}

static void printing(void **state)
{
    struct fixture *f = *state;
    struct overrides *o = NULL;
    struct pl_err err;
    struct pl_buf b = {0};

    write_text(f, "overrides:\n  z: {ingestion_rate: 25000}\n  b:\n    max_exemplars: 1\n    drop_labels: [x]\n    "
                  "metric_relabel_configs:\n"
                  "    - {action: drop, source_labels: [a]}\nmulti_kv_config:\n  mirror_enabled: false\n");
    assert_int_equal(overrides_create(&o, &f->cfg->limits, pl_str_c(f->path), &err), PL_OK);
    overrides_print(o, &b, PL_STR("diff"));
    pl_buf_byte(&b, '\0');
    assert_string_equal(
        b.p, "overrides:\n  b:\n    drop_labels:\n    - x\n    metric_relabel_configs:\n    - action: drop\n"
             "      source_labels:\n      - a\n    max_exemplars: 1\nmulti_kv_config:\n  mirror_enabled: false\n");
    pl_buf_reset(&b);
    overrides_print(o, &b, PL_STR(""));
    pl_buf_byte(&b, '\0');
    assert_non_null(strstr(b.p, "\n  z:\n    ingestion_rate: 25000\n"));
    assert_non_null(strstr(b.p, "\nmulti_kv_config:\n  primary: \"\"\n  mirror_enabled: false\n"
                                "ingester_stream_chunks_when_using_blocks: null\ningester_limits: null\n"));
    pl_buf_fini(&b);
    overrides_destroy(o);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_file_means_defaults),
        TEST(tenants_get_their_fields_over_the_defaults),
        TEST(a_change_is_taken_and_a_bad_one_is_not),
        TEST(bad_files_are_fatal_at_start),
        TEST(printing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
