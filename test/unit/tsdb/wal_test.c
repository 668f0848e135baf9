#include "tsdb_kit.h"

#include <sys/resource.h>

#include "base/hash.h"
#include "tsdb/wal.h"

/* Record number i of a test log: its length and bytes follow from i. */
static size_t record_make(uint32_t i, uint8_t *out)
{
    static const size_t lengths[] = {1, 25, 300, 6000, 32761, 32762, 33000, 70000};
    size_t n = i % 11 == 0 ? lengths[i / 11 % PL_ARRAY_LEN(lengths)] : 40 + i % 900;

    for (size_t k = 0; k < n; k++) {
        out[k] = (uint8_t)(k % 7 == 0 ? i * 31 + k : i);
    }
    return n;
}

enum { RECORD_MAX = 70000 };

struct expect {
    uint32_t next;
    uint8_t *want;
};

static pl_status expect_record(void *arg, const uint8_t *p, size_t n, struct pl_err *err)
{
    struct expect *e = arg;
    size_t len = record_make(e->next++, e->want);

    (void)err;
    assert_int_equal(n, len);
    assert_memory_equal(p, e->want, len);
    return PL_OK;
}

static uint8_t *file_read(const char *path, size_t *n)
{
    struct stat sb;
    int fd = open(path, O_RDONLY);
    uint8_t *p;

    assert_true(fd >= 0 && fstat(fd, &sb) == 0);
    p = malloc((size_t)sb.st_size + 1);
    assert_true(read(fd, p, (size_t)sb.st_size) == sb.st_size);
    (void)close(fd);
    *n = (size_t)sb.st_size;
    return p;
}

static void write_log(const char *dir, uint32_t records, uint64_t segment_bytes, bool snappy)
{
    struct wal *w;
    struct pl_err err;
    uint8_t *rec = malloc(RECORD_MAX);

    assert_int_equal(wal_create(&w, pl_str_c(dir), 0, segment_bytes, snappy, &err), PL_OK);
    for (uint32_t i = 0; i < records; i++) {
        struct wal_ticket t = {.used = false};
        wal_add(w, &t, rec, record_make(i, rec));
        if (i % 3 == 0) {
            assert_int_equal(wal_commit(w, &t, &err), PL_OK);
        }
    }
    wal_close(w);
    free(rec);
}

/* Reads all segments; each must end cleanly. */
static uint32_t read_log(const char *dir, size_t *segments)
{
    struct expect e = {.want = malloc(RECORD_MAX)};
    struct pl_arena a;
    struct wal_files f;
    struct pl_err err;

    pl_arena_init(&a, 0);
    assert_int_equal(wal_list(&f, pl_str_c(dir), &a, &err), PL_OK);
    for (size_t i = 0; i < f.n; i++) {
        struct wal_scan s = {.record = expect_record, .arg = &e};
        size_t n;
        uint8_t *p = file_read(wal_segment_path(&a, pl_str_c(dir), &f, &f.v[i]).p, &n);
        assert_int_equal(wal_scan(&s, p, n, &err), WAL_SCAN_CLEAN);
        free(p);
    }
    *segments = f.n;
    pl_arena_fini(&a);
    free(e.want);
    return e.next;
}

static void round_trip(void **state)
{
    static const struct {
        const char *name;
        uint64_t segment_bytes;
        bool snappy;
    } cases[] = {{"one segment", 128 << 20, false}, {"small segments", 131072, false}, {"snappy", 131072, true}};

    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        char *dir = kit_dir();
        size_t segments;
        write_log(dir, 500, cases[i].segment_bytes, cases[i].snappy);
        assert_int_equal(read_log(dir, &segments), 500);
        assert_true((segments > 1) == (cases[i].segment_bytes < 128 << 20));
        kit_remove(dir);
    }
}

static void damage_keeps_what_came_before(void **state)
{
    char *dir = kit_dir(), path[128];
    struct expect e = {.want = malloc(RECORD_MAX)};
    struct wal_scan whole = {.record = expect_record, .arg = &e};
    struct pl_err err;
    size_t n;
    uint8_t *p;

    (void)state;
    write_log(dir, 200, 128 << 20, false);
    (void)snprintf(path, sizeof(path), "%s/00000000", dir);
    p = file_read(path, &n);
    assert_int_equal(wal_scan(&whole, p, n, &err), WAL_SCAN_CLEAN);
    assert_int_equal(whole.records, 200);
    for (size_t cut = 1; cut < 3000; cut += 7) { /* torn at any place: nothing but whole records is read */
        struct wal_scan s = {.record = expect_record, .arg = &e};
        enum wal_scan_end end;
        e.next = 0;
        end = wal_scan(&s, p, n - cut, &err);
        assert_true(end == WAL_SCAN_TORN || s.good_bytes == n - cut);
        assert_true(s.good_bytes <= n - cut && s.records < 200);
    }
    for (size_t at = 3; at < n; at += 4999) { /* a flipped byte: everything before it is read, nothing wrong after */
        struct wal_scan s = {.record = expect_record, .arg = &e};
        e.next = 0;
        p[at] ^= 0x40;
        if (wal_scan(&s, p, n, &err) == WAL_SCAN_CLEAN) {
            fail_msg("flip at %zu not noticed", at);
        }
        assert_true(s.good_bytes <= at);
        p[at] ^= 0x40;
    }
    free(p);
    free(e.want);
    kit_remove(dir);
}

static pl_status series_count(void *arg, uint64_t ref, struct labels ls, struct pl_err *err)
{
    uint32_t *n = arg;

    (void)ref;
    (void)err;
    for (size_t i = 1; i < ls.n; i++) {
        assert_true(pl_str_cmp(ls.v[i - 1].name, ls.v[i].name) < 0);
    }
    *n += (uint32_t)ls.n;
    return PL_OK;
}

static void bad_records_are_refused(void **state)
{
    static const struct {
        const char *name;
        const char *bytes;
        size_t n;
        pl_status want;
        uint32_t labels;
    } cases[] = {
        {"empty", "", 0, PL_OK, 0},
        {"short reference", "\0\0\0", 3, PL_CORRUPT, 0},
        {"huge count", "\0\0\0\0\0\0\0\1\xff\xff\xff\xff\x0f", 13, PL_CORRUPT, 0},
        {"label cut", "\0\0\0\0\0\0\0\1\1\1a\5b", 13, PL_CORRUPT, 0},
        {"one label", "\0\0\0\0\0\0\0\1\1\1a\1b", 13, PL_OK, 1},
        {"unsorted, doubled, empty", "\0\0\0\0\0\0\0\1\4\1b\1x\1a\1y\1b\1z\1c\0", 24, PL_OK, 2},
    };
    struct pl_buf scratch = {.p = NULL};
    struct wal_samples_iter it;
    struct wal_sample v[4];
    struct pl_err err;
    size_t got;

    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        uint32_t labels = 0;
        if (wal_decode_series((const uint8_t *)cases[i].bytes, cases[i].n, &scratch, series_count, &labels, &err) !=
                cases[i].want ||
            labels != cases[i].labels) {
            fail_msg("%s", cases[i].name);
        }
    }
    pl_buf_fini(&scratch);
    assert_int_equal(wal_samples_begin(&it, (const uint8_t *)"0123456789", 10, &err), PL_CORRUPT);
    assert_int_equal(wal_samples_begin(&it, (const uint8_t *)"0123456789abcdef\0\0abc", 21, &err), PL_OK);
    assert_int_equal(wal_samples_next(&it, v, 4, &got, &err), PL_CORRUPT);
}

static void failed_write_fails_the_push_only(void **state)
{
    char *dir = kit_dir();
    struct wal *w;
    struct rlimit old, small;
    struct pl_err err;
    uint8_t *rec = malloc(RECORD_MAX);
    uint32_t i = 0, kept = 0, failed = 0;
    size_t segments;

    (void)state;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 100000;
    assert_int_equal(wal_create(&w, pl_str_c(dir), 0, 128 << 20, false, &err), PL_OK);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    while (i < 600) {
        struct wal_ticket t = {.used = false};
        if (i == 400) {
            assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        }
        wal_add(w, &t, rec, record_make(kept, rec)); /* a failed record is offered again */
        if (wal_commit(w, &t, &err) == PL_OK) {
            kept++;
        } else {
            failed++;
            assert_int_equal(err.status, PL_IO);
            assert_string_equal(err.msg, "write to WAL: File too large");
        }
        i++;
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_true(failed > 10 && kept > 200);
    assert_int_equal(wal_failures(w), failed);
    wal_close(w);
    assert_int_equal(read_log(dir, &segments), kept);
    free(rec);
    kit_remove(dir);
}

static void truncation_marks_where_the_log_begins(void **state)
{
    char *dir = kit_dir();
    struct wal *w;
    struct wal_files f;
    struct pl_arena a;
    struct pl_err err;
    struct wal_ticket t = {.used = false};
    uint32_t segment;

    (void)state;
    pl_arena_init(&a, 0);
    assert_int_equal(wal_create(&w, pl_str_c(dir), 4, 128 << 20, false, &err), PL_OK);
    wal_add(w, &t, "abc", 3);
    assert_int_equal(wal_commit(w, &t, &err), PL_OK);
    assert_int_equal(wal_roll(w, &segment, &err), PL_OK);
    assert_int_equal(segment, 5);
    assert_int_equal(wal_delete_before(pl_str_c(dir), segment, &err), PL_OK);
    assert_int_equal(wal_list(&f, pl_str_c(dir), &a, &err), PL_OK);
    assert_true(f.has_checkpoint && f.checkpoint == 4 && f.next == 6);
    assert_int_equal(f.n, 2); /* the checkpoint's empty segment, and 5 */
    assert_true(f.v[0].checkpoint && f.v[1].number == 5);
    wal_close(w);
    pl_arena_fini(&a);
    kit_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(damage_keeps_what_came_before),
        cmocka_unit_test(bad_records_are_refused),
        cmocka_unit_test(failed_write_fails_the_push_only),
        cmocka_unit_test(truncation_marks_where_the_log_begins),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
