/* The ingester over real stores in a temporary folder: tenants, limits, texts, metadata, restart, and what happens to a
 * broken store. */
#include "base/memory.h"
#include "ingester/ingester.h"

#include "base/clock.h"
#include "base/sync.h"
#include "ingester/internal.h"
#include "metric/metric.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define T0 INT64_C(1700000000000)

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

/* ---- the world of one test ---- */

static char dir[64];
static struct ingester *ing;
static struct pl_arena arena;
static struct pl_err err;
static struct ingester_options options;

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void)info, (void)type, (void)ftw;
    return remove(path);
}

static void start(void)
{
    ing = ingester_create(&options, NULL);
    err = (struct pl_err){.status = PL_OK};
    if (ingester_start(ing, &err) != PL_OK) {
        fail_msg("start: %s", err.msg);
    }
}

static void stop(void)
{
    pl_arena_reset(&arena); /* lets go of pinned tenants */
    ingester_stop(ing);
    ingester_destroy(ing);
    ing = NULL;
}

static int setup(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/pl-ingester-XXXXXX");
    assert_non_null(mkdtemp(dir));
    limits = (struct limits){.max_series_per_user = 5000000,
                             .max_series_per_metric = 50000,
                             .max_metadata_per_user = 8000,
                             .max_metadata_per_metric = 10};
    options =
        (struct ingester_options){.dir = pl_str_c(dir),
                                  .tsdb = {.block_range_ms = 7200000, .wal_segment_bytes = 1 << 20},
                                  .compaction_interval_ns = 3600 * PL_NS_PER_S,
                                  .head_idle_timeout_ns = 0, /* the samples are from 2023: no head would live long */
                                  .metadata_retain_ns = 600 * PL_NS_PER_S,
                                  .admin_limit_message = PL_STR("please contact administrator to raise it"),
                                  .active_series_idle_ns = 600 * PL_NS_PER_S};
    pl_arena_init(&arena, 0);
    start();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (ing != NULL) {
        stop();
    }
    pl_arena_fini(&arena);
    (void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}

/* One series with one sample: `name` with label i="...". */
static pl_status push(const char *tenant, const char *name, const char *i, int64_t t, double v)
{
    struct ingest_port *p = ingester_ingest_port(ing);
    const struct label l[] = {{LABEL_METRIC_NAME, pl_str_c(name)}, {PL_STR("i"), pl_str_c(i)}};
    struct tsdb_append_series s = {.labels = {l, 2}, .sample_count = 1};
    const struct ingest_batch b = {.series = &s, .series_count = 1, .t = &t, .v = &v, .sample_count = 1};
    struct ingest_session *session;
    pl_status st;

    err = (struct pl_err){.status = PL_OK};
    s.wire_hash = (struct pl_hash128){pl_hash64(name, strlen(name)) + 1, pl_hash64(i, strlen(i)) + 1};
    st = p->ops->begin(p, pl_str_c(tenant), &session, &err);
    if (st != PL_OK) {
        return st;
    }
    p->ops->resolve(session, &s.wire_hash, 1, &s.ref);
    st = p->ops->append(session, &b, &arena, &err);
    p->ops->end(session);
    return st;
}

/* Number of samples of a tenant, by selecting everything. */
static size_t count_samples(const char *tenant)
{
    struct query_port *q = ingester_query_port(ing);
    struct series_source *source;
    struct series_list list;
    struct matcher m;
    struct samples buf = {0};
    size_t cap = 0, n = 0;

    assert_int_equal(q->ops->source(q, pl_str_c(tenant), &arena, &source, &err), PL_OK);
    assert_int_equal(matcher_make(&m, &arena, MATCH_RE, LABEL_METRIC_NAME, PL_STR(".+"), &err), PL_OK);
    const struct series_select select = {
        .matchers = &m, .matcher_count = 1, .mint_ms = INT64_MIN, .maxt_ms = INT64_MAX};
    assert_int_equal(source->ops->select(source, &arena, &select, &list, &err), PL_OK);
    for (size_t i = 0; i < list.n; i++) {
        assert_int_equal(series_decode(&list.v[i], INT64_MIN, INT64_MAX, &arena, &buf, &cap, &err), PL_OK);
        n += buf.n;
    }
    return n;
}

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

static double discarded(const char *reason, const char *user)
{
    char line[200];
    (void)snprintf(line, sizeof(line), "\ncortex_discarded_samples_total{reason=\"%s\",user=\"%s\"} ", reason, user);
    return PL_MAX(metric(line), 0);
}

/* ---- tests ---- */

static void samples_survive_a_restart(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(push("a", "up", "1", T0 + i * 1000, i), PL_OK);
        assert_int_equal(push("b", "up", "2", T0 + i * 1000, i), PL_OK);
    }
    assert_int_equal(count_samples("a"), 5);
    assert_int_equal(count_samples("none"), 0);
    stop();
    start();
    assert_int_equal(count_samples("a"), 5);
    assert_int_equal(count_samples("b"), 5);
    assert_int_equal(push("a", "up", "1", T0 + 9000, 1), PL_OK);
    assert_int_equal(count_samples("a"), 6);
}

static void soft_errors(void **state)
{
    (void)state;
    assert_int_equal(push("u", "up", "1", T0, 1.5), PL_OK);
    assert_int_equal(push("u", "up", "1", T0, 1.5), PL_OK); /* the same again is fine */
    assert_int_equal(push("u", "up", "1", T0, 2), PL_INVALID);
    assert_string_equal(
        err.msg, "user=u: err: duplicate sample for timestamp 1700000000000; overrides not allowed: existing 1.5, new "
                 "value 2. series={__name__=\"up\", i=\"1\"}");
    assert_int_equal(push("u", "up", "1", T0 - 1500, 2), PL_INVALID);
    assert_string_equal(
        err.msg,
        "user=u: err: out of order sample. timestamp=2023-11-14T22:13:18.5Z, series={__name__=\"up\", i=\"1\"}");
    assert_int_equal(push("u", "up", "2", T0 - 86400000, 2), PL_INVALID);
    assert_string_equal(err.msg, "user=u: err: out of bounds. timestamp=2023-11-13T22:13:20Z, "
                                 "tsdbHeadMaxTimestamp=2023-11-14T22:13:20Z, series={__name__=\"up\", i=\"2\"}");
    assert_true(discarded("new-value-for-timestamp", "u") == 1);
    assert_true(discarded("sample-out-of-order", "u") == 1);
    assert_true(discarded("sample-out-of-bounds", "u") == 1);
    assert_int_equal(count_samples("u"), 1);
}

static void series_limits(void **state)
{
    (void)state;
    limits.max_series_per_user = 2;
    assert_int_equal(push("l", "up", "1", T0, 1), PL_OK);
    assert_int_equal(push("l", "up", "2", T0, 1), PL_OK);
    assert_int_equal(push("l", "up", "3", T0, 1), PL_INVALID);
    assert_string_equal(
        err.msg,
        "user=l: per-user series limit of 2 exceeded, please contact administrator to raise it (local limit: 2 "
        "global limit: 0 actual local limit: 2)");
    assert_int_equal(push("l", "up", "2", T0 + 1, 1), PL_OK); /* what is there goes on */
    limits.max_global_series_per_user = 1000;
    limits.max_series_per_user = 0;
    limits.max_series_per_metric = 50;
    limits.max_global_series_per_metric = 2;
    assert_int_equal(push("l", "up", "3", T0, 1), PL_INVALID);
    assert_string_equal(
        err.msg,
        "user=l: per-metric series limit of 2 exceeded for metric up, please contact administrator to raise it "
        "(local limit: 50 global limit: 2 actual local limit: 2) for series {__name__=\"up\", i=\"3\"}");
    assert_int_equal(push("l", "down", "3", T0, 1), PL_OK);
    assert_true(discarded("per_user_series_limit", "l") == 1);
    assert_true(discarded("per_metric_series_limit", "l") == 1);
}

static void instance_limits(void **state)
{
    (void)state;
    stop();
    options.instance.tenants_max = 1;
    options.instance.series_max = 2;
    start();
    assert_int_equal(push("a", "up", "1", T0, 1), PL_OK);
    assert_int_equal(push("b", "up", "1", T0, 1), PL_INTERNAL);
    assert_string_equal(err.msg, "cannot create TSDB: ingesters's max tenants limit reached");
    assert_int_equal(push("a", "up", "2", T0, 1), PL_OK);
    assert_int_equal(push("a", "up", "3", T0, 1), PL_INTERNAL);
    assert_string_equal(err.msg, "cannot add series: ingesters's max series limit reached");
    assert_int_equal(push("a", "up", "1", T0 + 1, 1), PL_OK);
    stop();
    options.instance.tenants_max = 0;
    start();
    assert_int_equal(push("b", "up", "1", T0, 1), PL_INTERNAL); /* the other tenant has all the room */
    assert_string_equal(err.msg, "cannot add series: ingesters's max series limit reached");
    stop();
    options.instance.series_max = 0;
    options.instance.inflight_push_max = 1;
    start();
    struct ingest_port *p = ingester_ingest_port(ing);
    struct ingest_session *session;
    assert_int_equal(p->ops->begin(p, PL_STR("a"), &session, &err), PL_OK);
    assert_int_equal(push("a", "up", "1", T0 + 2, 1), PL_INTERNAL);
    assert_string_equal(err.msg, "cannot push: too many inflight push requests in ingester");
    p->ops->end(session);
    assert_int_equal(push("a", "up", "1", T0 + 2, 1), PL_OK);
}

static void memory_limit_stops_new_series_only(void **state)
{
    struct ingest_port *p = ingester_ingest_port(ing);
    (void)state;

    assert_false(p->ops->known(p, PL_STR("a")));
    assert_int_equal(push("a", "up", "1", T0, 1), PL_OK);
    assert_true(p->ops->known(p, PL_STR("a")));
    pl_memory_limit_set(1);
    assert_int_equal(push("a", "up", "1", T0 + 1, 1), PL_OK);
    assert_int_equal(push("a", "up", "2", T0 + 1, 1), PL_UNAVAILABLE);
    assert_non_null(strstr(err.msg, "-memory.limit"));
    assert_non_null(strstr(err.msg, "new series"));
    assert_int_equal(push("b", "up", "1", T0, 1), PL_UNAVAILABLE);
    pl_memory_limit_set(0);
    assert_int_equal(push("a", "up", "2", T0 + 1, 1), PL_OK);
    assert_int_equal(count_samples("a"), 3);
}

static pl_status push_metadata(const char *metric_name, const char *help)
{
    struct ingest_port *p = ingester_ingest_port(ing);
    const struct ingest_metadata m = {1, pl_str_c(metric_name), pl_str_c(help), PL_STR("")};
    const struct ingest_batch b = {.metadata = &m, .metadata_count = 1};
    struct ingest_session *session;
    pl_status st;

    assert_int_equal(p->ops->begin(p, PL_STR("m"), &session, &err), PL_OK);
    st = p->ops->append(session, &b, &arena, &err);
    p->ops->end(session);
    return st;
}

static void metadata(void **state)
{
    struct query_port *q = ingester_query_port(ing);
    struct ingest_metadata *list;
    size_t n;

    (void)state;
    limits.max_metadata_per_user = 3;
    limits.max_metadata_per_metric = 2;
    for (int round = 0; round < 2; round++) {
        assert_int_equal(push_metadata("up", "b"), PL_OK);
        assert_int_equal(push_metadata("up", "a"), PL_OK);
    }
    assert_int_equal(push_metadata("up", "c"), PL_OK); /* over the limit: counted, not told */
    assert_int_equal(push_metadata("down", "a"), PL_OK);
    assert_int_equal(push_metadata("alpha", "a"), PL_OK);
    assert_int_equal(push_metadata("beta", "a"), PL_OK);
    assert_int_equal(q->ops->metadata(q, PL_STR("m"), &arena, &list, &n, &err), PL_OK);
    assert_int_equal(n, 4);
    assert_true(pl_str_eq(list[0].metric, PL_STR("alpha")) && pl_str_eq(list[1].metric, PL_STR("down")));
    assert_true(pl_str_eq(list[2].help, PL_STR("a")) && pl_str_eq(list[3].help, PL_STR("b")));
    assert_true(metric("\ncortex_discarded_metadata_total{reason=\"per_metric_metadata_limit\",user=\"m\"} ") == 1);
    assert_true(metric("\ncortex_discarded_metadata_total{reason=\"per_user_metadata_limit\",user=\"m\"} ") == 1);
    assert_int_equal(q->ops->metadata(q, PL_STR("unknown"), &arena, &list, &n, &err), PL_OK);
    assert_int_equal(n, 0);
}

static void metadata_is_purged(void **state)
{
    struct ing_metadata m;
    struct ingest_metadata *list;
    char name[32];
    size_t n;

    (void)state;
    ing__metadata_init(&m);
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof(name), "m%d", i);
        const struct ingest_metadata e = {2, pl_str_c(name), PL_STR("help"), PL_STR("s")};
        assert_int_equal(ing__metadata_add(&m, &e, (struct ing_meta_limits){0, 0}, i), ING_META_OK);
    }
    ing__metadata_purge(&m, 900);
    assert_int_equal(ing__metadata_list(&m, &arena, &list, &n, &err), PL_OK);
    assert_int_equal(n, 100);
    assert_int_equal(m.metric_count, 100);
    assert_true(pl_str_eq(list[0].metric, PL_STR("m900")));
    ing__metadata_fini(&m);
}

static void active_series(void **state)
{
    struct ing_active a = {.top = {NULL}};
    struct tsdb_append_series s[3] = {{.ref = 1}, {.ref = 70000}, {.ref = 4000000}}, late = {.ref = 70000},
                              none = {.ref = 0};
    const int64_t minute = 60000, idle_ns = 10 * 60 * PL_NS_PER_S;

    (void)state;
    ing__active_mark(&a, s, 3, T0);
    ing__active_mark(&a, s, 3, T0 + 1);
    ing__active_mark(&a, &none, 1, T0);
    assert_int_equal(ing__active_count(&a, T0, idle_ns), 3);
    ing__active_mark(&a, &late, 1, T0 + 5 * minute);
    assert_int_equal(ing__active_count(&a, T0 + 9 * minute, idle_ns), 3);
    assert_int_equal(ing__active_count(&a, T0 + 10 * minute, idle_ns), 1);
    assert_int_equal(ing__active_count(&a, T0 + 15 * minute, idle_ns), 0);
    assert_int_equal(ing__active_count(&a, T0 + 257 * minute, idle_ns), 0); /* the stamps have gone round */
    late.ref = UINT64_C(1) << 40;
    ing__active_mark(&a, &late, 1, T0); /* beyond what is told apart */
    ing__active_fini(&a);
}

static void stats_and_lists(void **state)
{
    struct ingest_tenant_row *rows;
    struct tenant_stats s;
    struct query_port *q = ingester_query_port(ing);

    (void)state;
    assert_int_equal(push("zz", "up", "1", T0, 1), PL_OK);
    assert_int_equal(push("aa", "up", "1", T0, 1), PL_OK);
    assert_int_equal(push("aa", "up", "2", T0, 1), PL_OK);
    assert_int_equal(ingester_tenants(ing, &arena, &rows), 2);
    assert_true(pl_str_eq(rows[0].tenant, PL_STR("aa")) && pl_str_eq(rows[1].tenant, PL_STR("zz")));
    assert_int_equal(rows[0].stats.series, 2);
    assert_int_equal(q->ops->stats(q, PL_STR("aa"), &s, &err), PL_OK);
    assert_int_equal(s.series, 2);
    assert_int_equal(q->ops->stats(q, PL_STR("nobody"), &s, &err), PL_OK);
    assert_int_equal(s.series, 0);
}

/* A tenant whose store cannot be opened refuses its own pushes and queries; others do not notice. */
static void broken_store(void **state)
{
    char path[128];
    int fd;
    struct query_port *q;
    struct series_source *source;

    (void)state;
    assert_int_equal(push("good", "up", "1", T0, 1), PL_OK);
    assert_int_equal(push("bad", "up", "1", T0, 1), PL_OK);
    stop();
    (void)snprintf(path, sizeof(path), "rm -rf %s/bad/wal", dir);
    assert_int_equal(system(path), 0);
    (void)snprintf(path, sizeof(path), "%s/bad/wal", dir); /* a file where a folder must be */
    fd = open(path, O_CREAT | O_WRONLY, 0644);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    start();
    assert_int_equal(push("bad", "up", "1", T0 + 1, 1), PL_INTERNAL);
    assert_non_null(strstr(err.msg, "the store of tenant bad could not be opened"));
    q = ingester_query_port(ing);
    assert_int_equal(q->ops->source(q, PL_STR("bad"), &arena, &source, &err), PL_INTERNAL);
    assert_int_equal(push("good", "up", "1", T0 + 1, 1), PL_OK);
    assert_int_equal(count_samples("good"), 2);
    assert_true(metric("\npallium_ingester_tsdb_open_failures_total{user=\"bad\"} ") == 1);
}

static void folder_in_use(void **state)
{
    struct ingester *second = ingester_create(&options, NULL);
    char want[64];

    (void)state;
    assert_int_equal(ingester_start(second, &err), PL_CONFLICT);
    (void)snprintf(want, sizeof(want), "is in use by process %ld", (long)getpid());
    assert_non_null(strstr(err.msg, want));
    assert_int_equal(push("a", "up", "1", T0, 1), PL_OK); /* the first one goes on */
    ingester_destroy(second);
}

/* Limits of the runtime config come and go while the ingester runs. */
static void instance_limits_can_change(void **state)
{
    (void)state;
    ingester_limits_set(ing, &(struct ingester_instance_limits){.tenants_max = 1});
    assert_int_equal(push("a", "up", "1", T0, 1), PL_OK);
    assert_int_equal(push("b", "up", "1", T0, 1), PL_INTERNAL);
    ingester_limits_set(ing, &(struct ingester_instance_limits){.series_max = 1});
    assert_int_equal(push("b", "up", "1", T0, 1), PL_INTERNAL);
    assert_string_equal(err.msg, "cannot add series: ingesters's max series limit reached");
    ingester_limits_set(ing, &(struct ingester_instance_limits){0});
    assert_int_equal(push("b", "up", "1", T0, 1), PL_OK);
}

/* No tenant is called as the data folder's own file, and every one comes back after a restart. */
static void odd_tenant_names(void **state)
{
    static const char *const names[] = {"lock", ".hidden", "wal", "!", "a.b"};
    char path[128];

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/.snapshots", dir);
    assert_int_equal(mkdir(path, 0777), 0);
    for (size_t i = 0; i < PL_ARRAY_LEN(names); i++) {
        assert_int_equal(push(names[i], "up", "1", T0, 1), PL_OK);
    }
    stop();
    start();
    for (size_t i = 0; i < PL_ARRAY_LEN(names); i++) {
        assert_int_equal(count_samples(names[i]), 1);
    }
    assert_false(ing__tenant_known(ing, PL_STR(".snapshots")));
}

/* A start that is given up opens no further store and ends soon; nothing of theirs is touched. */
static void a_start_can_be_given_up(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        char name[8];
        (void)snprintf(name, sizeof(name), "t%d", i);
        assert_int_equal(push(name, "up", "1", T0, 1), PL_OK);
    }
    stop();
    ing = ingester_create(&options, NULL);
    assert_int_equal(ingester_claim(ing, &err), PL_OK);
    ingester_abandon(ing);
    assert_int_equal(ingester_start(ing, &err), PL_CANCELED);
    assert_int_equal(ing->open_count, 0);
    stop();
    start();
    assert_int_equal(count_samples("t2"), 1);
}

static void unusable_folder(void **state)
{
    struct ingester_options o = options;
    struct ingester *i;
    char path[128];

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/.lock~/x", dir); /* below a file */
    o.dir = pl_str_c(path);
    i = ingester_create(&o, NULL);
    assert_int_equal(ingester_start(i, &err), PL_IO);
    assert_non_null(strstr(err.msg, "cannot use the data folder"));
    assert_non_null(strstr(err.msg, "(-blocks-storage.tsdb.dir)"));
    ingester_destroy(i);
    o.dir = PL_STR("");
    i = ingester_create(&o, NULL);
    assert_int_equal(ingester_start(i, &err), PL_INVALID);
    ingester_destroy(i);
}

static void readiness(void **state)
{
    struct pl_buf why;
    struct ingester *i = ingester_create(&options, NULL);

    (void)state;
    pl_buf_init(&why, 0);
    assert_true(ingester_ready(ing, &why));
    assert_int_equal(why.n, 0);
    assert_false(ingester_ready(i, &why));
    assert_true(pl_str_eq(pl_buf_view(&why), PL_STR("ingester not ready: New")));
    struct ingest_port *p = ingester_ingest_port(i);
    struct ingest_session *session;
    assert_int_equal(p->ops->begin(p, PL_STR("a"), &session, &err), PL_UNAVAILABLE);
    pl_buf_fini(&why);
    ingester_destroy(i);
}

/* Everything of the head goes to a block, and is read from there. */
static void flush(void **state)
{
    struct tenant_stats s;
    struct query_port *q = ingester_query_port(ing);

    (void)state;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(push("f", "up", "1", T0 + i * 600000, i), PL_OK);
    }
    ingester_flush(ing, PL_STR("other"));
    assert_int_equal(q->ops->stats(q, PL_STR("f"), &s, &err), PL_OK);
    assert_int_equal(s.loaded_blocks, 0);
    ingester_flush(ing, PL_STR("f"));
    assert_int_equal(q->ops->stats(q, PL_STR("f"), &s, &err), PL_OK);
    assert_true(s.loaded_blocks > 0);
    assert_int_equal(s.series, 0);
    assert_int_equal(count_samples("f"), 10);
}

/* Many threads push to the same new tenants: each store is opened once, nothing is lost. */
enum { PUSHERS = 6, PUSHES = 50, NEW_TENANTS = 4 };

static _Atomic size_t accepted[NEW_TENANTS];

static void pusher(void *arg)
{
    const char *id = arg;
    struct ingest_port *p = ingester_ingest_port(ing);
    struct pl_arena a;
    struct pl_err e;

    pl_arena_init(&a, 0);
    for (int k = 0; k < PUSHES; k++) {
        for (int t = 0; t < NEW_TENANTS; t++) {
            char tenant[16];
            const int64_t time = T0 + k;
            const double v = k;
            const struct label l[] = {{LABEL_METRIC_NAME, PL_STR("up")}, {PL_STR("i"), pl_str_c(id)}};
            struct tsdb_append_series s = {.labels = {l, 2}, .sample_count = 1};
            const struct ingest_batch b = {.series = &s, .series_count = 1, .t = &time, .v = &v, .sample_count = 1};
            struct ingest_session *session;
            (void)snprintf(tenant, sizeof(tenant), "t%d", t);
            PL_ASSERT(p->ops->begin(p, pl_str_c(tenant), &session, &e) == PL_OK);
            /* A flush in between may put the head's begin after this sample: then it is refused, and not stored. */
            if (p->ops->append(session, &b, &a, &e) == PL_OK) {
                atomic_fetch_add(&accepted[t], 1);
            } else {
                PL_ASSERT(strstr(e.msg, "err: out of bounds") != NULL);
            }
            p->ops->end(session);
        }
    }
    pl_arena_fini(&a);
}

static void many_at_once(void **state)
{
    static char ids[PUSHERS][4];
    struct pl_thread threads[PUSHERS];

    (void)state;
    for (int k = 0; k < PUSHERS; k++) {
        (void)snprintf(ids[k], sizeof(ids[k]), "%d", k);
        pl_thread_start(&threads[k], "push", pusher, ids[k]);
    }
    ingester_flush(ing, PL_STR(""));
    for (int k = 0; k < PUSHERS; k++) {
        pl_thread_join(&threads[k]);
    }
    for (int t = 0; t < NEW_TENANTS; t++) {
        char tenant[16];
        (void)snprintf(tenant, sizeof(tenant), "t%d", t);
        assert_int_equal(count_samples(tenant), atomic_load(&accepted[t]));
    }
}

static void stopped(void **state)
{
    struct ingest_port *p = ingester_ingest_port(ing);
    struct ingest_session *session;

    (void)state;
    assert_int_equal(push("a", "up", "1", T0, 1), PL_OK);
    ingester_stop(ing);
    assert_int_equal(p->ops->begin(p, PL_STR("a"), &session, &err), PL_INTERNAL);
    assert_string_equal(err.msg, "ingester stopping");
    ingester_destroy(ing);
    ing = NULL;
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(samples_survive_a_restart),
        T(soft_errors),
        T(series_limits),
        T(instance_limits),
        T(memory_limit_stops_new_series_only),
        T(metadata),
        T(metadata_is_purged),
        T(active_series),
        T(stats_and_lists),
        T(broken_store),
        T(folder_in_use),
        T(instance_limits_can_change),
        T(odd_tenant_names),
        T(a_start_can_be_given_up),
        T(unusable_folder),
        T(readiness),
        T(flush),
        T(many_at_once),
        T(stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
