#include "base/hash.h"
#include "codec/varint.h"
#include "made.h"
#include "tsdb/block.h"
#include "tsdb/block_internal.h"
#include "tsdb/verify.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { SERIES = 6, SAMPLES = 130 };

static char dir[64], block_path[128];
static struct pl_arena arena;
static struct pl_err err;
static char last_where[1200], last_what[3000];

static void note(void *arg, pl_str where, pl_str what)
{
    (void)arg;
    (void)snprintf(last_where, sizeof(last_where), "%.*s", PL_STR_ARG(where));
    (void)snprintf(last_what, sizeof(last_what), "%.*s", PL_STR_ARG(what));
}

static struct verify_report verify(void)
{
    struct verify_report r = {.problem = note};
    pl_status st = tsdb_verify(pl_str_c(dir), &r, &err);

    if (st != PL_OK) {
        fail_msg("%s", err.msg);
    }
    return r;
}

static void ok(pl_status st)
{
    if (st != PL_OK) {
        fail_msg("%s: %s", pl_status_name(st), err.msg);
    }
}

static int setup(void **state)
{
    struct block_writer *w;
    struct ulid id;
    char text[ULID_TEXT + 1];

    (void)state;
    pl_arena_init(&arena, 0);
    made_folder(dir);
    ok(block_writer_create(&w, pl_str_c(dir), START_MS, END_MS, START_MS, &err));
    for (int i = 0; i < SERIES; i++) {
        struct series_view s = made_series(&arena, i, SAMPLES);
        ok(block_writer_add(w, s.labels, s.chunks, s.chunk_count, &err));
    }
    ok(block_writer_finish(w, &id, &err));
    block_writer_destroy(w);
    ulid_text(text, &id);
    (void)snprintf(block_path, sizeof(block_path), "%s/%s", dir, text);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pl_arena_fini(&arena);
    return block__remove_tree(dir, NULL) != PL_OK;
}

static void put_file(const char *path, const void *p, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, p, n), (ssize_t)n);
    (void)close(fd);
}

static void flip(int fd, off_t at, uint8_t with)
{
    uint8_t b;

    assert_int_equal(pread(fd, &b, 1, at), 1);
    b ^= with;
    assert_int_equal(pwrite(fd, &b, 1, at), 1);
}

static uint64_t file_size(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return (uint64_t)st.st_size;
}

/* Every changed byte of the file must be found. */
static void flip_everywhere(const char *path)
{
    int fd = open(path, O_RDWR);
    struct stat st;

    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    for (off_t at = 0; at < st.st_size; at++) {
        for (int round = 0; round < 2; round++) {
            uint8_t with = (uint8_t)(round == 0 ? 0xffu : 1u << (at % 8));
            flip(fd, at, with);
            if (verify().problems == 0) {
                fail_msg("%s: nobody saw byte %lld changed by %02x", path, (long long)at, with);
            }
            flip(fd, at, with);
        }
    }
    (void)close(fd);
    assert_int_equal(verify().problems, 0);
}

static void clean_block(void **state)
{
    struct verify_report r = verify();

    (void)state;
    assert_int_equal(r.problems, 0);
    assert_int_equal(r.blocks.files, 1);
    assert_int_equal(r.blocks.series, SERIES);
    assert_int_equal(r.blocks.chunks, SERIES * 2);
    assert_int_equal(r.blocks.samples, SERIES * SAMPLES);
    assert_int_equal(r.blocks.bytes, file_size(pl_arena_printf(&arena, "%s/index", block_path).p) +
                                         file_size(pl_arena_printf(&arena, "%s/chunks/000001", block_path).p));
    ok(tsdb_verify(pl_str_c(block_path), &r, &err));
    assert_int_equal(r.blocks.files, 2);
    assert_int_equal(r.problems, 0);
}

static void every_byte_of_a_block(void **state)
{
    static const char *const files[] = {"tombstones", "index", "chunks/000001"};

    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(files); i++) {
        flip_everywhere(pl_arena_printf(&arena, "%s/%s", block_path, files[i]).p);
    }
}

static void statistics_and_names(void **state)
{
    pl_str path = pl_arena_printf(&arena, "%s/meta.json", block_path);
    struct block_meta m;
    struct block_meta_stats stats = {.float_samples = 1};
    struct pl_buf b;

    (void)state;
    ok(block__meta_read(&m, path.p, &err));
    for (int i = 0; i < 4; i++) {
        struct block_meta bad = m;
        bad.sample_count += i == 0;
        bad.series_count += i == 1;
        bad.chunk_count += i == 2;
        bad.id.b[3] ^= i == 3;
        pl_buf_init(&b, 0);
        block__meta_text(&b, &bad, &stats);
        put_file(path.p, b.p, b.n);
        pl_buf_fini(&b);
        assert_int_equal(verify().problems, 1);
        assert_string_equal(last_where, path.p);
    }
    put_file(path.p, "{}", 2);
    assert_int_equal(verify().problems, 1);
    assert_int_equal(unlink(path.p), 0);
    assert_int_equal(verify().problems, 1);
}

static void place_of_a_bad_chunk(void **state)
{
    pl_str path = pl_arena_printf(&arena, "%s/chunks/000001", block_path);
    int fd = open(path.p, O_RDWR);

    (void)state;
    flip(fd, 20, 1);
    (void)close(fd);
    assert_int_equal(verify().problems, 1);
    assert_string_equal(last_where, pl_arena_printf(&arena, "%s at offset 8", path.p).p);
    assert_string_equal(last_what,
                        "chunk at 000001:8: checksum mismatch (series {__name__=\"metric_0000\", id=\"000000\","
                        " job=\"even\", text=\"plain\"})");
}

static void missing_and_left_over(void **state)
{
    (void)state;
    assert_int_equal(mkdir(pl_arena_printf(&arena, "%s.tmp-for-deletion", block_path).p, 0755), 0);
    assert_int_equal(verify().problems, 1);
    assert_int_equal(unlink(pl_arena_printf(&arena, "%s/index", block_path).p), 0);
    assert_int_equal(verify().problems, 2);
    assert_int_equal(unlink(pl_arena_printf(&arena, "%s/chunks/000001", block_path).p), 0);
    assert_int_equal(verify().problems, 3);
    struct verify_report r = {.problem = NULL};
    assert_int_equal(tsdb_verify(PL_STR("/nonexistent"), &r, &err), PL_NOT_FOUND);
    assert_int_equal(tsdb_verify(pl_arena_printf(&arena, "%s/chunks", block_path), &r, &err), PL_INVALID);
}

/* ---- WAL and head chunks, framed by hand ---- */

static void put_record(struct pl_buf *b, const void *p, size_t n)
{
    uint8_t head[7] = {1, (uint8_t)(n >> 8), (uint8_t)n};

    pl_put_be32(head + 3, pl_crc32c(0, p, n));
    pl_buf_add(b, head, sizeof(head));
    pl_buf_add(b, p, n);
}

static void every_byte_of_a_wal(void **state)
{
    static const uint8_t series[] = {1, 0, 0, 0, 0, 0, 0, 0, 7, 1, 1, 'a', 1, 'b'};
    static const uint8_t samples[] = {2, 0, 0, 0, 0, 0,    0,    0, 7, 0, 0, 0, 0, 0,
                                      0, 1, 0, 0, 2, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0};
    static const uint8_t deleted[] = {3, 0, 0, 0, 0, 0, 0, 0, 7, 2, 4};
    pl_str wal = pl_arena_printf(&arena, "%s/wal", dir), path;
    struct pl_buf b;

    (void)state;
    pl_buf_init(&b, 0);
    put_record(&b, series, sizeof(series));
    put_record(&b, samples, sizeof(samples));
    put_record(&b, deleted, sizeof(deleted));
    while (b.n < 200) {
        pl_buf_byte(&b, 0);
    }
    assert_int_equal(mkdir(wal.p, 0755), 0);
    path = pl_arena_printf(&arena, "%s/00000000", wal.p);
    put_file(path.p, b.p, b.n);
    struct verify_report r = verify();
    assert_int_equal(r.wal.files, 1);
    assert_int_equal(r.wal.records, 3);
    assert_int_equal(r.wal.series, 1);
    assert_int_equal(r.wal.samples, 1);
    assert_int_equal(r.wal.bytes, b.n);
    assert_int_equal(r.problems, 0);
    flip_everywhere(path.p);
    /* A cut tail is found and said to be harmless; a gap between segments is named. */
    put_file(path.p, b.p, 40);
    assert_int_equal(verify().problems, 1);
    assert_non_null(strstr(last_what, "the next start cuts it"));
    put_file(path.p, b.p, b.n);
    put_file(pl_arena_printf(&arena, "%s/00000003", wal.p).p, b.p, b.n);
    assert_int_equal(verify().problems, 1);
    assert_string_equal(last_what, "segments 00000001 to 00000002 are missing");
    pl_buf_fini(&b);
}

static void every_byte_of_head_chunks(void **state)
{
    static const uint8_t header[8] = {0x01, 0x30, 0xbc, 0x91, 1};
    struct series_view s = made_series(&arena, 1, SAMPLES);
    pl_str folder = pl_arena_printf(&arena, "%s/chunks_head", dir), path;
    struct pl_buf b;

    (void)state;
    pl_buf_init(&b, 0);
    pl_buf_add(&b, header, sizeof(header));
    for (int i = 0; i < 2; i++) {
        const struct chunk_view *c = &s.chunks[i];
        uint8_t size[VARINT_MAX];
        size_t from = b.n;
        pl_buf_be64(&b, 7);
        pl_buf_be64(&b, (uint64_t)c->mint_ms);
        pl_buf_be64(&b, (uint64_t)c->maxt_ms);
        pl_buf_byte(&b, c->encoding);
        pl_buf_add(&b, size, (size_t)(uvarint_put(size, c->size) - size));
        pl_buf_add(&b, c->data, c->size);
        pl_buf_be32(&b, pl_crc32c(0, b.p + from, b.n - from));
    }
    for (int i = 0; i < 40; i++) {
        pl_buf_byte(&b, 0);
    }
    assert_int_equal(mkdir(folder.p, 0755), 0);
    path = pl_arena_printf(&arena, "%s/000001", folder.p);
    put_file(path.p, b.p, b.n);
    struct verify_report r = verify();
    assert_int_equal(r.head_chunks.files, 1);
    assert_int_equal(r.head_chunks.chunks, 2);
    assert_int_equal(r.head_chunks.series, 1);
    assert_int_equal(r.head_chunks.samples, SAMPLES);
    assert_int_equal(r.head_chunks.bytes, b.n);
    assert_int_equal(r.blocks.samples, SERIES * SAMPLES);
    flip_everywhere(path.p);
    pl_buf_fini(&b);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(clean_block),           T(every_byte_of_a_block), T(statistics_and_names),      T(place_of_a_bad_chunk),
        T(missing_and_left_over), T(every_byte_of_a_wal),   T(every_byte_of_head_chunks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
