/* A hostile index file. Its checksums are made right first (they would stop nearly every input), then it is opened and
 * used as a query would. What opens keeps its promises: each value of each name is found by seeking it, in order; a
 * select ends in a status. */
#include "base/hash.h"
#include "codec/varint.h"
#include "tsdb/block_internal.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TOC_SIZE = 52, INPUT_MAX = 1 << 16, VALUES_MAX = 200 };

static uint8_t file[INPUT_MAX];
static size_t file_size;

static void fix_section(uint64_t at)
{
    if (at < file_size && file_size - at >= 8) {
        uint64_t size = pl_get_be32(file + at);
        if (size <= file_size - at - 8) {
            pl_put_be32(file + at + 4 + size, pl_crc32c(0, file + at + 4, size));
        }
    }
}

static void fix_series(uint64_t at)
{
    uint64_t size;
    const uint8_t *p = at < file_size ? uvarint_get(file + at, file + file_size, &size) : NULL;

    if (p != NULL && size <= (uint64_t)(file + file_size - p) && (uint64_t)(file + file_size - p) - size >= 4) {
        pl_put_be32(file + (p - file) + size, pl_crc32c(0, p, size));
    }
}

/* The lists and series that a table names, as far as it can be read. */
static void fix_table(uint64_t at, bool v1)
{
    const uint8_t *p = file + at + 8, *end = file + file_size;

    for (int i = 0; at < file_size && i < VALUES_MAX && p != NULL && p < end; i++) {
        uint64_t n = 0, where = 0;
        p = uvarint_get(p, end, &n);
        for (int k = 0; k < 2 && p != NULL; k++) {
            p = uvarint_get(p, end, &n);
            p = p != NULL && n <= (uint64_t)(end - p) ? p + n : NULL;
        }
        p = p != NULL ? uvarint_get(p, end, &where) : NULL;
        if (p == NULL) {
            return;
        }
        for (uint64_t k = 0; where < file_size && where + 12 + 4 * k <= file_size && k < 50; k++) {
            uint64_t ref = pl_get_be32(file + where + 8 + 4 * k);
            fix_series(v1 ? ref : ref * 16);
        }
        fix_section(where);
    }
}

static void fix_checksums(void)
{
    uint8_t *toc = file + file_size - TOC_SIZE;
    uint64_t table;

    table = pl_get_be64(toc + 40);
    if (table < file_size && file_size - table > 16) {
        fix_table(table, file[4] == 1);
    }
    fix_section(pl_get_be64(toc));
    fix_section(table);
    pl_put_be32(toc + 48, pl_crc32c(0, toc, 48));
}

static void check_values(const struct index_reader *x)
{
    for (size_t i = 0; i < x->name_count && i < 50; i++) {
        const struct index_name *n = &x->names[i];
        struct index_value v, found;
        pl_str last = PL_STR_NULL;

        PL_ASSERT(index_find_name(x, n->name) == n || x->version == 1);
        for (uint32_t k = 0; k < n->entry_count && k < VALUES_MAX; k++) {
            struct postings_view p;
            bool is = false;
            pl_status st = k == 0 ? index_value_at(x, n, 0, &v, NULL) : index_value_next(x, n, &v, NULL);
            PL_ASSERT(st == PL_OK && v.k == k);
            PL_ASSERT(k == 0 || pl_str_cmp(last, v.value) < (x->version == 1));
            last = v.value;
            st = index_value_seek(x, n, v.value, &found, &is, NULL);
            PL_ASSERT(st == PL_OK && is && pl_str_eq(found.value, v.value));
            (void)(index_postings(x, v.postings, &p, NULL) == PL_OK);
        }
    }
}

static void query(struct block *b, enum matcher_type type, pl_str name, pl_str value)
{
    struct matcher m = {.type = type, .name = name, .value = value};
    struct series_select q = {.matchers = &m, .matcher_count = 1, .mint_ms = INT64_MIN, .maxt_ms = INT64_MAX};
    struct series_list l = {.n = 0};
    struct str_list s = {.n = 0};
    struct pl_arena a;

    for (int labels_only = 0; labels_only < 2; labels_only++) {
        q.labels_only = labels_only;
        pl_arena_init(&a, 64 << 20);
        if (b->source.ops->select(&b->source, &a, &q, &l, NULL) == PL_OK) {
            for (size_t i = 0; i < l.n; i++) {
                PL_ASSERT(i == 0 || labels_cmp(l.v[i - 1].labels, l.v[i].labels) < 0);
            }
        }
        pl_arena_fini(&a);
    }
    pl_arena_init(&a, 64 << 20);
    (void)(b->source.ops->label_names(&b->source, &a, &q, 0, &s, NULL) == PL_OK);
    (void)(b->source.ops->label_values(&b->source, &a, PL_STR("job"), &q, 0, &s, NULL) == PL_OK);
    pl_arena_fini(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd;
    char path[64];
    struct block *b;

    if (size < TOC_SIZE + 5 || size > INPUT_MAX) {
        return 0;
    }
    memcpy(file, data, size);
    file_size = size;
    fix_checksums();
    fd = memfd_create("index", MFD_CLOEXEC);
    PL_ASSERT(fd >= 0 && write(fd, file, size) == (ssize_t)size);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    b = pl_new(struct block);
    if (index_open(&b->index, path, NULL) == PL_OK) {
        b->source.ops = &block__source_ops;
        b->refs = 1;
        b->meta.mint_ms = INT64_MIN;
        b->meta.maxt_ms = INT64_MAX;
        check_values(&b->index);
        query(b, MATCH_EQ, PL_STR("job"), PL_STR("even"));
        query(b, MATCH_NEQ, PL_STR("job"), PL_STR("even"));
        query(b, MATCH_EQ, PL_STR("job"), PL_STR(""));
        query(b, MATCH_NEQ, PL_STR("id"), PL_STR(""));
        PL_ASSERT(b->refs == 1);
        index_close(&b->index);
    }
    pl_free(b);
    (void)close(fd);
    return 0;
}
