#include "base/hash.h"
#include "codec/varint.h"
#include "hist_kit.h"
#include "made.h"
#include "tsdb/block.h"
#include "tsdb/block_internal.h"
#include "tsdb/verify.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { SERIES = 450, SAMPLES = 300 };

static char dir[64];
static struct pl_arena arena; /* emptied after each test */
static struct pl_err err;

static int setup(void **state)
{
    (void)state;
    pl_arena_init(&arena, 0);
    made_folder(dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pl_arena_fini(&arena);
    return block__remove_tree(dir, NULL) != PL_OK;
}

static int entries(const char *path)
{
    DIR *d = opendir(path);
    struct dirent *e;
    int n = 0;

    assert_non_null(d);
    while ((e = readdir(d)) != NULL) {
        n += e->d_name[0] != '.';
    }
    (void)closedir(d);
    return n;
}

static pl_str block_dir(const struct ulid *id)
{
    char text[ULID_TEXT + 1];

    ulid_text(text, id);
    return pl_arena_printf(&arena, "%s/%s", dir, text);
}

static void ok(pl_status st)
{
    if (st != PL_OK) {
        fail_msg("%s: %s", pl_status_name(st), err.msg);
    }
}

static struct ulid write_block(int series, int samples)
{
    struct block_writer *w;
    struct ulid id;

    ok(block_writer_create(&w, pl_str_c(dir), START_MS, END_MS, START_MS, &err));
    for (int i = 0; i < series; i++) {
        struct series_view s = made_series(&arena, i, samples);
        ok(block_writer_add(w, s.labels, s.chunks, s.chunk_count, &err));
    }
    ok(block_writer_finish(w, &id, &err));
    block_writer_destroy(w);
    return id;
}

static struct block *made_block(int series, int samples)
{
    struct ulid id = write_block(series, samples);
    struct block *b;

    ok(block_open(&b, block_dir(&id), &err));
    return b;
}

static struct series_list do_select(struct block *b, struct pl_arena *a, const struct series_select *q)
{
    struct series_list l;

    ok(block_source(b)->ops->select(block_source(b), a, q, &l, &err));
    return l;
}

static const struct series_select everything = {.mint_ms = INT64_MIN, .maxt_ms = INT64_MAX};

static void check_samples(const struct series_view *got, const struct series_view *want, int64_t mint, int64_t maxt)
{
    struct samples x = {.n = 0}, y = {.n = 0};
    size_t cap_x = 0, cap_y = 0;

    ok(series_decode(got, mint, maxt, &arena, &x, &cap_x, &err));
    ok(series_decode(want, mint, maxt, &arena, &y, &cap_y, &err));
    assert_int_equal(x.n, y.n);
    assert_memory_equal(x.t, y.t, x.n * sizeof(*x.t));
    assert_memory_equal(x.v, y.v, x.n * sizeof(*x.v));
}

static void round_trip(void **state)
{
    struct block *b = made_block(SERIES, SAMPLES);
    const struct block_meta *m = block_meta_get(b);
    struct series_list l = do_select(b, &arena, &everything);

    (void)state;
    assert_int_equal(m->series_count, SERIES);
    assert_int_equal(m->sample_count, SERIES * SAMPLES);
    assert_int_equal(m->chunk_count, SERIES * 3);
    assert_int_equal(m->level, 1);
    assert_true(m->mint_ms == START_MS && m->maxt_ms == END_MS);
    assert_int_equal(entries(dir), 1);
    assert_true(block_size_bytes(b) > 10000);
    assert_int_equal(l.n, SERIES);
    for (int i = 0; i < SERIES; i++) {
        struct series_view want = made_series(&arena, i, SAMPLES);
        assert_true(labels_eq(l.v[i].labels, want.labels));
        assert_int_equal(l.v[i].chunk_count, 3);
        for (int k = 0; k < 3; k++) {
            assert_true(l.v[i].chunks[k].mint_ms == want.chunks[k].mint_ms);
            assert_true(l.v[i].chunks[k].maxt_ms == want.chunks[k].maxt_ms);
            assert_int_equal(l.v[i].chunks[k].size, want.chunks[k].size);
            assert_memory_equal(l.v[i].chunks[k].data, want.chunks[k].data, want.chunks[k].size);
        }
    }
    block_unref(b); /* the arena still holds it: the views stay readable */
    struct series_view want = made_series(&arena, 7, SAMPLES);
    check_samples(&l.v[7], &want, INT64_MIN, INT64_MAX);
}

static void time_range_leaves_chunks_out(void **state)
{
    struct block *b = made_block(20, SAMPLES);
    struct series_select q = everything;

    (void)state;
    q.mint_ms = START_MS + INT64_C(130) * STEP_MS;
    q.maxt_ms = START_MS + INT64_C(150) * STEP_MS;
    struct series_list l = do_select(b, &arena, &q);
    assert_int_equal(l.n, 20);
    assert_int_equal(l.v[3].chunk_count, 1);
    struct series_view want = made_series(&arena, 3, SAMPLES);
    check_samples(&l.v[3], &want, q.mint_ms, q.maxt_ms);
    q.mint_ms = START_MS + INT64_C(400) * STEP_MS; /* in the block, behind the last sample */
    q.maxt_ms = q.mint_ms + 1;
    assert_int_equal(do_select(b, &arena, &q).n, 0);
    q.mint_ms = END_MS;
    q.maxt_ms = END_MS + 10;
    assert_int_equal(do_select(b, &arena, &q).n, 0);
    block_unref(b);
}

/* ---- matchers against looking at every series ---- */

static const struct {
    enum matcher_type type;
    const char *name, *value;
} pool[] = {
    {MATCH_EQ, "__name__", "metric_0001"},
    {MATCH_EQ, "__name__", "nothing"},
    {MATCH_EQ, "job", "odd"},
    {MATCH_EQ, "instance", ""},
    {MATCH_EQ, "absent", ""},
    {MATCH_EQ, "absent", "x"},
    {MATCH_NEQ, "job", "odd"},
    {MATCH_NEQ, "instance", ""},
    {MATCH_NEQ, "absent", ""},
    {MATCH_NEQ, "absent", "x"},
    {MATCH_NEQ, "text", "plain"},
    {MATCH_RE, "id", "00001[0-9]"},
    {MATCH_RE, "id", "000010|000020|nothing"},
    {MATCH_RE, "instance", "host-1.*"},
    {MATCH_RE, "instance", ".*"},
    {MATCH_RE, "instance", ".+"},
    {MATCH_RE, "instance", "host-1.*|"},
    {MATCH_RE, "instance", "|host-2:9100"},
    {MATCH_RE, "text", "new.line"},
    {MATCH_RE, "__name__", "metric_000[12]"},
    {MATCH_NRE, "id", "00001[0-9]"},
    {MATCH_NRE, "id", "000010|000020|nothing"},
    {MATCH_NRE, "instance", "host-1.*"},
    {MATCH_NRE, "instance", ".*"},
    {MATCH_NRE, "instance", ".+"},
    {MATCH_NRE, "instance", "|host-2:9100"},
    {MATCH_NRE, "absent", "x"},
    {MATCH_NRE, "absent", ".*"},
};

static void check_matchers(struct block *b, const struct matcher *ms, size_t n)
{
    struct series_select q = everything;
    struct pl_arena a;
    struct series_list l;
    size_t at = 0;

    q.matchers = ms;
    q.matcher_count = n;
    q.labels_only = true;
    pl_arena_init(&a, 0);
    l = do_select(b, &a, &q);
    for (int i = 0; i < SERIES; i++) {
        struct labels ls = made_labels_of(&a, i);
        if (matchers_accept(ms, n, ls)) {
            assert_true(at < l.n);
            assert_true(labels_eq(l.v[at].labels, ls));
            at++;
        }
    }
    assert_int_equal(at, l.n);
    pl_arena_fini(&a);
}

static void select_equals_looking_at_all(void **state)
{
    enum { N = PL_ARRAY_LEN(pool) };
    struct block *b = made_block(SERIES, 1);
    struct matcher ms[N], set[3];

    (void)state;
    for (int i = 0; i < N; i++) {
        ok(matcher_make(&ms[i], &arena, pool[i].type, pl_str_c(pool[i].name), pl_str_c(pool[i].value), &err));
        check_matchers(b, &ms[i], 1);
    }
    check_matchers(b, NULL, 0);
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < N; k++) {
            set[0] = ms[i];
            set[1] = ms[k];
            set[2] = ms[(i * 7 + k * 5) % N];
            check_matchers(b, set, 2);
            check_matchers(b, set, 3);
        }
    }
    block_unref(b);
}

static void check_list(struct str_list got, const char *const *want, size_t n)
{
    assert_int_equal(got.n, n);
    for (size_t i = 0; i < n; i++) {
        assert_true(pl_str_eq(got.v[i], pl_str_c(want[i])));
    }
}

static void names_and_values(void **state)
{
    static const char *const all[] = {"__name__", "id", "instance", "job", "text"};
    static const char *const some[] = {"__name__", "id", "job", "text"};
    static const char *const metrics[] = {"metric_0000", "metric_0001", "metric_0002", "metric_0003", "metric_0004"};
    struct block *b = made_block(SERIES, 1);
    struct series_source *s = block_source(b);
    struct series_select q = everything;
    struct matcher m[2];
    struct str_list l;

    (void)state;
    ok(s->ops->label_names(s, &arena, &q, 0, &l, &err));
    check_list(l, all, 5);
    ok(s->ops->label_names(s, &arena, &q, 2, &l, &err));
    check_list(l, all, 2);
    ok(s->ops->label_values(s, &arena, LABEL_METRIC_NAME, &q, 0, &l, &err));
    check_list(l, metrics, 5);
    ok(s->ops->label_values(s, &arena, LABEL_METRIC_NAME, &q, 3, &l, &err));
    check_list(l, metrics, 3);
    ok(s->ops->label_values(s, &arena, PL_STR("nothing"), &q, 0, &l, &err));
    assert_int_equal(l.n, 0);
    ok(s->ops->label_values(s, &arena, PL_STR(""), &q, 0, &l, &err));
    assert_int_equal(l.n, 0);
    ok(s->ops->label_values(s, &arena, PL_STR("id"), &q, 0, &l, &err));
    assert_int_equal(l.n, 100);
    q.matchers = m;
    q.matcher_count = 1;
    ok(matcher_make(&m[0], &arena, MATCH_EQ, PL_STR("instance"), PL_STR(""), &err));
    ok(s->ops->label_names(s, &arena, &q, 0, &l, &err));
    check_list(l, some, 4);
    ok(matcher_make(&m[0], &arena, MATCH_RE, LABEL_METRIC_NAME, PL_STR("metric_000[12]"), &err));
    ok(s->ops->label_values(s, &arena, LABEL_METRIC_NAME, &q, 0, &l, &err));
    check_list(l, metrics + 1, 2);
    q.matcher_count = 2;
    ok(matcher_make(&m[1], &arena, MATCH_EQ, PL_STR("id"), PL_STR("000060"), &err));
    ok(s->ops->label_values(s, &arena, LABEL_METRIC_NAME, &q, 0, &l, &err));
    check_list(l, metrics + 1, 2);
    q.mint_ms = END_MS;
    ok(s->ops->label_names(s, &arena, &q, 0, &l, &err));
    assert_int_equal(l.n, 0);
    block_unref(b);
}

static void limits_and_cancel(void **state)
{
    struct block *b = made_block(100, SAMPLES);
    struct series_source *s = block_source(b);
    struct series_select q = everything;
    _Atomic bool cancel = true;
    struct series_list l;
    struct pl_arena small;

    (void)state;
    q.series_max = 100;
    q.chunks_max = 300;
    ok(s->ops->select(s, &arena, &q, &l, &err));
    q.series_max = 99;
    assert_int_equal(s->ops->select(s, &arena, &q, &l, &err), PL_LIMIT);
    assert_string_equal(err.msg, "the query hit the max number of series limit (limit: 99 series)");
    q.series_max = 0;
    q.chunks_max = 299;
    assert_int_equal(s->ops->select(s, &arena, &q, &l, &err), PL_LIMIT);
    assert_string_equal(err.msg, "the query hit the max number of chunks limit (limit: 299 chunks)");
    q.chunks_max = 0;
    q.cancel = &cancel;
    assert_int_equal(s->ops->select(s, &arena, &q, &l, &err), PL_CANCELED);
    q.cancel = NULL;
    for (size_t bytes = 1; bytes < 60000; bytes += bytes < 300 ? 13 : 2999) {
        pl_arena_init(&small, bytes);
        pl_status st = s->ops->select(s, &small, &q, &l, &err);
        if (st != PL_OK) {
            assert_int_equal(st, PL_LIMIT);
            assert_string_equal(err.msg, "query memory limit");
        }
        pl_arena_fini(&small);
    }
    block_unref(b);
}

/* ---- tombstones ---- */

static void put_file(const char *path, const void *p, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, p, n), (ssize_t)n);
    (void)close(fd);
}

static void deleted_samples_are_gone(void **state)
{
    struct ulid id = write_block(10, SAMPLES);
    pl_str path = block_dir(&id);
    struct index_reader x;
    struct postings_view all;
    struct index_value v;
    struct pl_buf f;
    struct block *b;
    /* series 2: from the middle of chunk 0 into chunk 1; series 3: everything; series 4: two ends of chunk 1 */
    const struct {
        int series, from, to;
    } cuts[] = {{4, 230, 239}, {2, 100, 130}, {3, 0, 1000}, {4, 120, 125}};

    (void)state;
    ok(index_open(&x, pl_arena_printf(&arena, "%s/index", path.p).p, &err));
    ok(index_value_at(&x, index_find_name(&x, PL_STR("")), 0, &v, &err));
    ok(index_postings(&x, v.postings, &all, &err));
    pl_buf_init(&f, 0);
    pl_buf_be32(&f, TOMBSTONE_MAGIC);
    pl_buf_byte(&f, 1);
    for (size_t i = 0; i < PL_ARRAY_LEN(cuts); i++) {
        uint8_t e[3 * VARINT_MAX], *p = e;
        p = uvarint_put(p, pl_get_be32(all.be + 4 * cuts[i].series));
        p = varint_put(p, made_time_of(cuts[i].series, cuts[i].from));
        p = varint_put(p, made_time_of(cuts[i].series, cuts[i].to));
        pl_buf_add(&f, e, (size_t)(p - e));
    }
    pl_buf_be32(&f, pl_crc32c(0, f.p + 5, f.n - 5));
    put_file(pl_arena_printf(&arena, "%s/tombstones", path.p).p, f.p, f.n);
    pl_buf_fini(&f);
    index_close(&x);

    ok(block_open(&b, path, &err));
    struct series_list l = do_select(b, &arena, &everything);
    assert_int_equal(l.n, 9);
    for (size_t i = 0; i < l.n; i++) {
        int series = (int)i + (i >= 3);
        struct series_view want = made_series(&arena, series, SAMPLES);
        struct samples x1 = {.n = 0}, y = {.n = 0};
        size_t cap1 = 0, cap2 = 0, n = 0;
        ok(series_decode(&l.v[i], INT64_MIN, INT64_MAX, &arena, &x1, &cap1, &err));
        ok(series_decode(&want, INT64_MIN, INT64_MAX, &arena, &y, &cap2, &err));
        for (int k = 0; k < SAMPLES; k++) {
            bool cut = false;
            for (size_t c = 0; c < PL_ARRAY_LEN(cuts); c++) {
                cut = cut || (cuts[c].series == series && k >= cuts[c].from && k <= cuts[c].to);
            }
            if (!cut) {
                assert_true(n < x1.n && x1.t[n] == y.t[k] && pl_f64_bits(x1.v[n]) == pl_f64_bits(y.v[k]));
                n++;
            }
        }
        assert_int_equal(n, x1.n);
        for (uint32_t k = 1; k < l.v[i].chunk_count; k++) {
            assert_true(l.v[i].chunks[k - 1].maxt_ms < l.v[i].chunks[k].mint_ms);
        }
    }
    block_unref(b);
}

/* ---- histograms ---- */

enum { HIST_SERIES = 4, HIST_SAMPLES = 90 };

/* Series k: whole, floats, custom bounds, gauge; three chunks of 30 each. */
static struct series_view hist_series(int k)
{
    static const uint8_t encoding[HIST_SERIES] = {2, 3, 2, 3};
    struct label *l = pl_arena_zero(&arena, 2 * sizeof(*l));
    struct chunk_view *c = pl_arena_zero(&arena, 3 * sizeof(*c));

    l[0] = (struct label){PL_STR("__name__"), PL_STR("h")};
    l[1] = (struct label){PL_STR("k"), pl_arena_printf(&arena, "%d", k)};
    for (int i = 0; i < 3; i++) {
        uint8_t hint = k == 3 ? HIST_HINT_GAUGE : i == 1 ? HIST_HINT_NOT_RESET : HIST_HINT_RESET;
        c[i] = hist_kit_chunk(&arena, encoding[k], i * 30, 30, START_MS, STEP_MS, k == 2, hint);
    }
    return (struct series_view){.labels = {l, 2}, .chunks = c, .chunk_count = 3};
}

static struct ulid write_hist_block(void)
{
    struct block_writer *w;
    struct ulid id;

    ok(block_writer_create(&w, pl_str_c(dir), START_MS, END_MS, START_MS, &err));
    for (int k = 0; k < HIST_SERIES; k++) {
        struct series_view s = hist_series(k);
        ok(block_writer_add(w, s.labels, s.chunks, s.chunk_count, &err));
    }
    ok(block_writer_finish(w, &id, &err));
    block_writer_destroy(w);
    return id;
}

/* The series holds exactly the samples that `gone` does not name. */
static void check_hists(const struct series_view *got, int k, bool (*gone)(int k, int i))
{
    struct samples s = {.n = 0};
    size_t cap = 0, n = 0;

    ok(series_decode(got, INT64_MIN, INT64_MAX, &arena, &s, &cap, &err));
    for (int i = 0; i < HIST_SAMPLES; i++) {
        struct hist *want = hist_kit_make(&arena, i + 1, k == 2);
        if (gone != NULL && gone(k, i)) {
            continue;
        }
        assert_true(n < s.n && s.h != NULL && s.h[n] != NULL);
        assert_true(s.t[n] == START_MS + (int64_t)i * STEP_MS && hist_equal(s.h[n], want));
        assert_int_equal(s.h[n]->hint == HIST_HINT_GAUGE, k == 3);
        n++;
    }
    assert_int_equal(n, s.n);
}

static void problem_print(void *arg, pl_str where, pl_str what)
{
    (void)arg;
    print_error("%.*s: %.*s\n", PL_STR_ARG(where), PL_STR_ARG(what));
}

static void histograms_round_trip(void **state)
{
    struct ulid id = write_hist_block();
    pl_str path = block_dir(&id);
    struct verify_report r = {.problem = problem_print};
    struct block *b;
    char text[2048];
    int fd;

    (void)state;
    ok(block_open(&b, path, &err));
    struct series_list l = do_select(b, &arena, &everything);
    assert_int_equal(l.n, HIST_SERIES);
    for (int k = 0; k < HIST_SERIES; k++) {
        assert_int_equal(l.v[k].chunks[0].encoding, k % 2 == 0 ? 2 : 3);
        check_hists(&l.v[k], k, NULL);
    }
    block_unref(b);
    ok(tsdb_verify(pl_str_c(dir), &r, &err));
    assert_int_equal(r.problems, 0);
    assert_int_equal(r.blocks.samples, HIST_SERIES * HIST_SAMPLES);
    fd = open(pl_arena_printf(&arena, "%s/meta.json", path.p).p, O_RDONLY);
    ssize_t n = read(fd, text, sizeof(text) - 1);
    assert_true(n > 0);
    text[n] = '\0';
    (void)close(fd);
    assert_non_null(strstr(text, "\"numHistogramSamples\": 360"));
}

static bool hist_gone(int k, int i)
{
    return (k == 0 && i >= 20 && i <= 40) || (k == 2 && i >= 60 && i < 75) || (k == 3 && i == 45) || k == 1;
}

static void deleted_histograms_are_gone(void **state)
{
    struct ulid id = write_hist_block();
    pl_str path = block_dir(&id);
    const struct {
        int series, from, to;
    } cuts[] = {{0, 20, 40}, {1, 0, 1000}, {2, 60, 74}, {3, 45, 45}};
    struct index_reader x;
    struct index_value v;
    struct postings_view all;
    struct pl_buf f;
    struct block *b;

    (void)state;
    ok(index_open(&x, pl_arena_printf(&arena, "%s/index", path.p).p, &err));
    ok(index_value_at(&x, index_find_name(&x, PL_STR("")), 0, &v, &err));
    ok(index_postings(&x, v.postings, &all, &err));
    pl_buf_init(&f, 0);
    pl_buf_be32(&f, TOMBSTONE_MAGIC);
    pl_buf_byte(&f, 1);
    for (size_t i = 0; i < PL_ARRAY_LEN(cuts); i++) {
        uint8_t e[3 * VARINT_MAX], *p = e;
        p = uvarint_put(p, pl_get_be32(all.be + 4 * cuts[i].series));
        p = varint_put(p, START_MS + (int64_t)cuts[i].from * STEP_MS);
        p = varint_put(p, START_MS + (int64_t)cuts[i].to * STEP_MS);
        pl_buf_add(&f, e, (size_t)(p - e));
    }
    pl_buf_be32(&f, pl_crc32c(0, f.p + 5, f.n - 5));
    put_file(pl_arena_printf(&arena, "%s/tombstones", path.p).p, f.p, f.n);
    pl_buf_fini(&f);
    index_close(&x);
    ok(block_open(&b, path, &err));
    struct series_list l = do_select(b, &arena, &everything);
    assert_int_equal(l.n, 3);
    for (int i = 0; i < 3; i++) {
        check_hists(&l.v[i], i == 0 ? 0 : i + 1, hist_gone);
    }
    /* What a chunk says about the one before holds only while its first sample is there. */
    assert_int_equal(hist_chunk_hint(l.v[0].chunks[0].data, l.v[0].chunks[0].size), HIST_HINT_RESET);
    assert_int_equal(hist_chunk_hint(l.v[0].chunks[1].data, l.v[0].chunks[1].size), HIST_HINT_UNKNOWN);
    block_unref(b);
}

/* ---- the writer's refusals ---- */

static void nothing_written_leaves_nothing(void **state)
{
    struct block_writer *w;
    struct ulid id;

    (void)state;
    ok(block_writer_create(&w, pl_str_c(dir), 0, 10, 0, &err));
    assert_int_equal(entries(dir), 1);
    assert_int_equal(block_writer_finish(w, &id, &err), PL_NOT_FOUND);
    assert_int_equal(entries(dir), 0);
    block_writer_destroy(w);
    ok(block_writer_create(&w, pl_str_c(dir), START_MS, END_MS, 0, &err));
    struct series_view s = made_series(&arena, 0, 10);
    ok(block_writer_add(w, s.labels, s.chunks, 1, &err));
    block_writer_destroy(w);
    assert_int_equal(entries(dir), 0);
    assert_int_equal(block_writer_create(&w, PL_STR("/nonexistent/x"), 0, 10, 0, &err), PL_IO);
    assert_int_equal(block_writer_create(&w, pl_str_c(dir), 10, 10, 0, &err), PL_INVALID);
}

static pl_status add_to_new(struct series_view a, struct series_view b)
{
    struct block_writer *w;
    pl_status st;

    ok(block_writer_create(&w, pl_str_c(dir), START_MS, END_MS, 0, &err));
    st = block_writer_add(w, a.labels, a.chunks, a.chunk_count, &err);
    if (st == PL_OK) {
        st = block_writer_add(w, b.labels, b.chunks, b.chunk_count, &err);
    }
    if (st != PL_OK && st != PL_CORRUPT) { /* of a chunk that does not decode nothing was taken */
        struct ulid id;
        struct pl_err ignored;
        assert_int_equal(block_writer_finish(w, &id, &ignored), PL_INVALID);
    }
    block_writer_destroy(w);
    return st;
}

static void bad_series_are_refused(void **state)
{
    struct series_view a = made_series(&arena, 1, SAMPLES), b = made_series(&arena, 2, SAMPLES), c = b;
    struct chunk_view swapped[2] = {b.chunks[1], b.chunks[0]}, cut = b.chunks[0], empty = b.chunks[0];
    struct label unsorted[2] = {{PL_STR("b"), PL_STR("1")}, {PL_STR("a"), PL_STR("1")}};
    struct label no_value[1] = {{PL_STR("zz"), PL_STR("")}};
    static const uint8_t zero[2] = {0, 0};

    (void)state;
    ok(add_to_new(a, b));
    assert_int_equal(add_to_new(b, a), PL_INVALID);
    assert_int_equal(add_to_new(a, a), PL_INVALID);
    assert_string_equal(err.msg,
                        "index: series {__name__=\"metric_0000\", id=\"000001\", instance=\"host-1:9100\", job=\"odd\"}"
                        " is out of order");
    c.chunks = swapped;
    c.chunk_count = 2;
    assert_int_equal(add_to_new(a, c), PL_INVALID);
    cut.size -= 2;
    c.chunks = &cut;
    c.chunk_count = 1;
    assert_int_equal(add_to_new(a, c), PL_CORRUPT);
    empty.data = zero;
    empty.size = 2;
    c.chunks = &empty;
    assert_int_equal(add_to_new(a, c), PL_CORRUPT);
    c = b;
    c.labels = (struct labels){unsorted, 2};
    assert_int_equal(add_to_new(a, c), PL_INVALID);
    c.labels = (struct labels){no_value, 1};
    assert_int_equal(add_to_new(a, c), PL_INVALID);
    assert_int_equal(entries(dir), 0);
}

static void outside_the_range_is_refused(void **state)
{
    struct series_view s = made_series(&arena, 0, SAMPLES);
    struct block_writer *w;

    (void)state;
    ok(block_writer_create(&w, pl_str_c(dir), START_MS, s.chunks[2].maxt_ms, 0, &err));
    assert_int_equal(block_writer_add(w, s.labels, s.chunks, 3, &err), PL_INVALID);
    block_writer_destroy(w);
    ok(block_writer_create(&w, pl_str_c(dir), START_MS, s.chunks[2].maxt_ms + 1, 0, &err));
    ok(block_writer_add(w, s.labels, s.chunks, 3, &err));
    block_writer_destroy(w);
}

static void open_chunk_times_are_made_exact(void **state)
{
    struct series_view s = made_series(&arena, 0, 100);
    struct chunk_view c = s.chunks[0];
    struct block_writer *w;
    struct block *b;
    struct ulid id;

    (void)state;
    c.maxt_ms = INT64_MAX;
    ok(block_writer_create(&w, pl_str_c(dir), START_MS, END_MS, 0, &err));
    ok(block_writer_add(w, s.labels, &c, 1, &err));
    ok(block_writer_finish(w, &id, &err));
    block_writer_destroy(w);
    ok(block_open(&b, block_dir(&id), &err));
    struct series_list l = do_select(b, &arena, &everything);
    assert_true(l.v[0].chunks[0].maxt_ms == made_time_of(0, 99));
    block_unref(b);
}

static void several_segments(void **state)
{
    struct chunk_writer w;
    struct chunk_segments s;
    uint64_t refs[60];
    struct series_view v = made_series(&arena, 2, 60 * CHUNK_SAMPLES);

    (void)state;
    chunk_writer_init(&w);
    w.segment_bytes_max = 5000;
    (void)snprintf(w.dir, sizeof(w.dir), "%s", dir);
    for (int i = 0; i < 60; i++) {
        ok(chunk_writer_put(&w, &v.chunks[i], &refs[i], &err));
    }
    ok(chunk_writer_finish(&w, &err));
    chunk_writer_fini(&w);
    ok(chunk_segments_open(&s, dir, &err));
    assert_true(s.n > 5);
    for (int i = 0; i < 60; i++) {
        struct chunk_view c;
        ok(chunk_segments_get(&s, refs[i], &c, NULL, &err));
        assert_int_equal(c.size, v.chunks[i].size);
        assert_memory_equal(c.data, v.chunks[i].data, c.size);
        assert_true(i == 0 || refs[i] > refs[i - 1]);
    }
    for (size_t i = 0; i < s.n; i++) {
        assert_true(s.v[i].n <= 5000);
    }
    struct chunk_view c;
    assert_int_equal(chunk_segments_get(&s, (uint64_t)s.n << 32 | 8, &c, NULL, &err), PL_CORRUPT);
    assert_int_equal(chunk_segments_get(&s, 3, &c, NULL, &err), PL_CORRUPT);
    assert_int_equal(chunk_segments_get(&s, UINT32_MAX, &c, NULL, &err), PL_CORRUPT);
    chunk_segments_close(&s);
}

/* Writes fail somewhere after `bytes` of a file: an error that names the file, and nothing left behind. */
static void failed_writes_leave_nothing(void **state)
{
    const rlim_t limits[] = {0, 5, 100, 3000, 20000, 60000};
    struct rlimit before, small;

    (void)state;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    for (size_t i = 0; i < PL_ARRAY_LEN(limits); i++) {
        struct block_writer *w;
        struct ulid id;
        pl_status st;
        small = (struct rlimit){.rlim_cur = limits[i], .rlim_max = before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        ok(block_writer_create(&w, pl_str_c(dir), START_MS, END_MS, 0, &err));
        for (int k = 0; k < 300; k++) {
            struct series_view s = made_series(&arena, k, SAMPLES);
            ok(block_writer_add(w, s.labels, s.chunks, s.chunk_count, &err));
        }
        st = block_writer_finish(w, &id, &err);
        block_writer_destroy(w);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_int_equal(st, PL_IO);
        assert_true(pl_str_starts(pl_str_c(err.msg), pl_arena_printf(&arena, "write %s/", dir)));
        assert_int_equal(entries(dir), 0);
    }
}

/* ---- folders ---- */

static void marked_block_goes_with_its_last_reference(void **state)
{
    struct block *b = made_block(5, 10);
    struct series_list l = do_select(b, &arena, &everything);

    (void)state;
    block_mark_deleted(b);
    block_unref(b);
    assert_int_equal(entries(dir), 1);
    assert_int_equal(xor_count(l.v[0].chunks[0].data, l.v[0].chunks[0].size), 10);
    pl_arena_reset(&arena);
    assert_int_equal(entries(dir), 0);
}

static void leftovers_are_removed(void **state)
{
    struct ulid id = write_block(1, 1);
    pl_str path = block_dir(&id);
    uint32_t removed;

    (void)state;
    assert_int_equal(rename(path.p, pl_arena_printf(&arena, "%s" BLOCK_TMP_CREATE, path.p).p), 0);
    (void)write_block(1, 1);
    assert_int_equal(mkdir(pl_arena_printf(&arena, "%s" BLOCK_TMP_DELETE, path.p).p, 0755), 0);
    assert_int_equal(mkdir(pl_arena_printf(&arena, "%s/other.tmp-for-deletion", dir).p, 0755), 0);
    assert_int_equal(entries(dir), 4);
    ok(block_tmp_cleanup(pl_str_c(dir), &removed, &err));
    assert_int_equal(removed, 2);
    assert_int_equal(entries(dir), 2);
}

static void broken_blocks_do_not_open(void **state)
{
    static const struct {
        const char *file, *text, *want;
    } cases[] = {
        {"meta.json", "{", "line 1"},
        {"meta.json", "[]", "not a JSON object"},
        {"meta.json", "{\"version\":2}", "unexpected meta file version 2"},
        {"meta.json", "{\"version\":1,\"ulid\":\"x\"}", "\"ulid\" is missing or not what it should be"},
        {"index", "", "too few"},
        {"index", "0123456789012345678901234567890123456789012345678901234567890123456789", "bad magic number"},
        {"tombstones", "abc", "not a tombstones file"},
        {"chunks/000001", "abc", "too few for a header"},
        {"chunks/000001", "abcdefghijk", "bad magic number 61626364"},
    };

    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        struct ulid id = write_block(2, 5);
        struct block *b;
        put_file(pl_arena_printf(&arena, "%s/%s", block_dir(&id).p, cases[i].file).p, cases[i].text,
                 strlen(cases[i].text));
        assert_int_equal(block_open(&b, block_dir(&id), &err), PL_CORRUPT);
        assert_true(pl_str_starts(pl_str_c(err.msg), PL_STR("open block ")));
        if (strstr(err.msg, cases[i].want) == NULL) {
            fail_msg("%s does not say: %s", err.msg, cases[i].want);
        }
    }
    struct block *b;
    assert_int_equal(block_open(&b, PL_STR("/nonexistent"), &err), PL_NOT_FOUND);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(round_trip),
        T(time_range_leaves_chunks_out),
        T(select_equals_looking_at_all),
        T(names_and_values),
        T(limits_and_cancel),
        T(deleted_samples_are_gone),
        T(histograms_round_trip),
        T(deleted_histograms_are_gone),
        T(nothing_written_leaves_nothing),
        T(bad_series_are_refused),
        T(outside_the_range_is_refused),
        T(open_chunk_times_are_made_exact),
        T(several_segments),
        T(failed_writes_leave_nothing),
        T(marked_block_goes_with_its_last_reference),
        T(leftovers_are_removed),
        T(broken_blocks_do_not_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
