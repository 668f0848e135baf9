/* The index reader: seeking values, and version 1 files, which nobody writes any more and are therefore built here by
 * hand. */
#include "base/hash.h"
#include "codec/varint.h"
#include "made.h"
#include "tsdb/block.h"
#include "tsdb/block_internal.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

enum { SERIES = 200, PAIRS_MAX = 400 };

static char dir[64], path[128];
static struct pl_arena arena;
static struct pl_err err;

static int setup(void **state)
{
    (void)state;
    pl_arena_init(&arena, 0);
    made_folder(dir);
    (void)snprintf(path, sizeof(path), "%s/index", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pl_arena_fini(&arena);
    return block__remove_tree(dir, NULL) != PL_OK;
}

static void ok(pl_status st)
{
    if (st != PL_OK) {
        fail_msg("%s: %s", pl_status_name(st), err.msg);
    }
}

/* ---- a version 1 index with the labels of made series, one chunk each ---- */

struct v1 {
    struct pl_buf b;
    struct label symbols[PAIRS_MAX]; /* name: the string; value.n: its offset in the file */
    size_t symbol_count;
    struct label pairs[PAIRS_MAX];
    uint32_t refs[PAIRS_MAX][SERIES];
    uint32_t ref_count[PAIRS_MAX];
    uint64_t postings_at[PAIRS_MAX];
    size_t pair_count;
};

static void put_uvarint(struct pl_buf *b, uint64_t v)
{
    uint8_t p[VARINT_MAX];

    pl_buf_add(b, p, (size_t)(uvarint_put(p, v) - p));
}

static void put_str(struct pl_buf *b, pl_str s)
{
    put_uvarint(b, s.n);
    pl_buf_str(b, s);
}

/* Length and CRC around what was put since `from` (four bytes were left for the length there). */
static void close_section(struct pl_buf *b, size_t from)
{
    pl_put_be32(b->p + from, (uint32_t)(b->n - from - 4));
    pl_buf_be32(b, pl_crc32c(0, b->p + from + 4, b->n - from - 4));
}

static struct label *v1_symbol(struct v1 *x, pl_str s)
{
    for (size_t i = 0; i < x->symbol_count; i++) {
        if (pl_str_eq(x->symbols[i].name, s)) {
            return &x->symbols[i];
        }
    }
    x->symbols[x->symbol_count].name = s;
    return &x->symbols[x->symbol_count++];
}

static size_t v1_pair(struct v1 *x, const struct label *l)
{
    for (size_t i = 0; i < x->pair_count; i++) {
        if (pl_str_eq(x->pairs[i].name, l->name) && pl_str_eq(x->pairs[i].value, l->value)) {
            return i;
        }
    }
    x->pairs[x->pair_count] = *l;
    return x->pair_count++;
}

static void v1_series(struct v1 *x, int series)
{
    struct labels ls = made_labels_of(&arena, series);
    struct pl_buf body;
    uint8_t mint[VARINT_MAX];
    uint32_t ref = (uint32_t)x->b.n;

    pl_buf_init(&body, 0);
    put_uvarint(&body, ls.n);
    for (size_t i = 0; i < ls.n; i++) {
        size_t p = v1_pair(x, &ls.v[i]);
        put_uvarint(&body, v1_symbol(x, ls.v[i].name)->value.n);
        put_uvarint(&body, v1_symbol(x, ls.v[i].value)->value.n);
        x->refs[p][x->ref_count[p]++] = ref;
    }
    x->refs[0][x->ref_count[0]++] = ref;
    put_uvarint(&body, 1);
    pl_buf_add(&body, mint, (size_t)(varint_put(mint, START_MS) - mint));
    put_uvarint(&body, 1000);
    put_uvarint(&body, 8);
    put_str(&x->b, pl_buf_view(&body));
    pl_buf_be32(&x->b, pl_crc32c(0, body.p, body.n));
    pl_buf_fini(&body);
}

static void v1_write(struct v1 *x)
{
    static const struct label all = {PL_STR_INIT(""), PL_STR_INIT("")};
    size_t symbols, series, table, from;

    pl_buf_init(&x->b, 0);
    pl_buf_be32(&x->b, INDEX_MAGIC);
    pl_buf_byte(&x->b, 1);
    (void)v1_pair(x, &all);
    for (int i = 0; i < SERIES; i++) {
        struct labels ls = made_labels_of(&arena, i);
        for (size_t k = 0; k < ls.n; k++) {
            (void)v1_symbol(x, ls.v[k].name);
            (void)v1_symbol(x, ls.v[k].value);
        }
    }
    symbols = x->b.n;
    pl_buf_be32(&x->b, 0);
    pl_buf_be32(&x->b, (uint32_t)x->symbol_count);
    for (size_t i = 0; i < x->symbol_count; i++) {
        x->symbols[i].value.n = x->b.n;
        put_str(&x->b, x->symbols[i].name);
    }
    close_section(&x->b, symbols);
    series = x->b.n;
    for (int i = 0; i < SERIES; i++) {
        v1_series(x, i);
    }
    size_t postings = x->b.n;
    for (size_t i = 0; i < x->pair_count; i++) {
        x->postings_at[i] = from = x->b.n;
        pl_buf_be32(&x->b, 0);
        pl_buf_be32(&x->b, x->ref_count[i]);
        for (uint32_t k = 0; k < x->ref_count[i]; k++) {
            pl_buf_be32(&x->b, x->refs[i][k]);
        }
        close_section(&x->b, from);
    }
    table = x->b.n;
    pl_buf_be32(&x->b, 0);
    pl_buf_be32(&x->b, (uint32_t)x->pair_count);
    for (size_t i = 0; i < x->pair_count; i++) {
        size_t k = i * 7 % x->pair_count; /* in no order */
        put_uvarint(&x->b, 2);
        put_str(&x->b, x->pairs[k].name);
        put_str(&x->b, x->pairs[k].value);
        put_uvarint(&x->b, x->postings_at[k]);
    }
    close_section(&x->b, table);
    from = x->b.n;
    const uint64_t toc[6] = {symbols, series, 0, 0, postings, table};
    for (size_t i = 0; i < 6; i++) {
        pl_buf_be64(&x->b, toc[i]);
    }
    pl_buf_be32(&x->b, pl_crc32c(0, x->b.p + from, 48));
}

static void write_file(const struct pl_buf *b)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, b->p, b->n), (ssize_t)b->n);
    (void)close(fd);
}

static void version_1(void **state)
{
    struct v1 *x = pl_new(struct v1);
    struct block *b = pl_new(struct block);
    struct matcher m[2];
    struct series_select q = {
        .matchers = m, .matcher_count = 2, .mint_ms = START_MS, .maxt_ms = END_MS, .labels_only = true};
    struct series_list l;
    struct str_list names;
    size_t at = 0;

    (void)state;
    v1_write(x);
    assert_true(x->pair_count % 7 != 0);
    write_file(&x->b);
    ok(index_open(&b->index, path, &err));
    b->source.ops = &block__source_ops;
    b->refs = 1;
    b->meta = (struct block_meta){.mint_ms = START_MS, .maxt_ms = END_MS};
    ok(matcher_make(&m[0], &arena, MATCH_EQ, PL_STR("job"), PL_STR("odd"), &err));
    ok(matcher_make(&m[1], &arena, MATCH_RE, PL_STR("instance"), PL_STR("host-1.*|"), &err));
    ok(b->source.ops->select(&b->source, &arena, &q, &l, &err));
    for (int i = 0; i < SERIES; i++) {
        struct labels ls = made_labels_of(&arena, i);
        if (matchers_accept(m, 2, ls)) {
            assert_true(at < l.n && labels_eq(l.v[at].labels, ls));
            at++;
        }
    }
    assert_int_equal(at, l.n);
    assert_true(at > 10);
    ok(b->source.ops->label_names(&b->source, &arena, &q, 0, &names, &err));
    assert_int_equal(names.n, 5);
    q.matcher_count = 0;
    ok(b->source.ops->label_values(&b->source, &arena, PL_STR("id"), &q, 0, &names, &err));
    assert_int_equal(names.n, 100);
    pl_arena_reset(&arena);
    index_close(&b->index);
    pl_free(b);
    pl_buf_fini(&x->b);
    pl_free(x);
}

/* ---- seeking ---- */

static void write_v2(int series)
{
    struct index_writer *w;
    struct index_chunk c = {.mint_ms = START_MS, .maxt_ms = START_MS + 1, .ref = 8};

    ok(index_writer_create(&w, dir, &err));
    for (int i = 0; i < series; i++) {
        c.ref += 10;
        ok(index_writer_add(w, made_labels_of(&arena, i), &c, 1, &err));
    }
    ok(index_writer_finish(w, &err));
    index_writer_destroy(w);
    assert_int_equal(access(pl_arena_printf(&arena, "%s/index.scratch", dir).p, F_OK), -1);
}

static void seek_among_many_values(void **state)
{
    struct index_reader x;
    struct index_value v;
    bool found;

    (void)state;
    write_v2(6400);
    ok(index_open(&x, path, &err));
    assert_int_equal(x.version, 2);
    assert_int_equal(x.name_count, 6);
    const struct index_name *n = index_find_name(&x, LABEL_METRIC_NAME);
    assert_non_null(n);
    assert_int_equal(n->entry_count, 64);
    for (uint32_t k = 0; k < 64; k++) {
        pl_str exact = pl_arena_printf(&arena, "metric_%04u", k), behind = pl_arena_printf(&arena, "metric_%04ua", k);
        ok(index_value_seek(&x, n, exact, &v, &found, &err));
        assert_true(found && v.k == k && pl_str_eq(v.value, exact));
        ok(index_value_seek(&x, n, behind, &v, &found, &err));
        assert_int_equal(found, k < 63);
        assert_true(!found || v.k == k + 1);
        ok(index_value_at(&x, n, k, &v, &err));
        assert_true(pl_str_eq(v.value, exact));
    }
    ok(index_value_seek(&x, n, PL_STR(""), &v, &found, &err));
    assert_true(found && v.k == 0);
    ok(index_value_seek(&x, n, PL_STR("zzz"), &v, &found, &err));
    assert_false(found);
    assert_null(index_find_name(&x, PL_STR("nothing")));
    assert_non_null(index_find_name(&x, PL_STR("")));
    pl_str s, last = PL_STR_NULL;
    for (uint32_t i = 0; i < x.symbol_count; i++) {
        ok(index_symbol(&x, i, &s, &err));
        assert_true(i == 0 || pl_str_cmp(last, s) < 0);
        last = s;
    }
    assert_int_equal(index_symbol(&x, x.symbol_count, &s, &err), PL_CORRUPT);
    index_close(&x);
}

static void cut_anywhere_does_not_open(void **state)
{
    struct file_map m;
    struct index_reader x;
    struct pl_buf b;

    (void)state;
    write_v2(3);
    ok(file_map_open(&m, path, &err));
    pl_buf_init(&b, 0);
    pl_buf_add(&b, m.p, m.n);
    file_map_close(&m);
    size_t whole = b.n;
    for (b.n = 0; b.n < whole; b.n++) {
        write_file(&b);
        assert_int_equal(index_open(&x, path, &err), PL_CORRUPT);
    }
    pl_buf_fini(&b);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {T(version_1), T(seek_among_many_values), T(cut_anywhere_does_not_open)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
