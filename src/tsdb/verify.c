/* palliumctl tsdb verify: the whole folder. Nothing is written, locked or repaired. */
#include "base/arena.h"
#include "base/buf.h"
#include "codec/varint.h"
#include "codec/xor_chunk.h"
#include "tsdb/block_internal.h"
#include "tsdb/head_chunks.h"
#include "tsdb/head_map.h"
#include "tsdb/verify_internal.h"
#include "tsdb/wal.h"
#include "tsdb/wal_hist.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { HEAD_FILE_HEADER = 8, HEAD_FILE_FORMAT = 1, WHAT_MAX = 2600 };
enum { ENCODING_KNOWN_MAX = 6 }; /* spec prometheus.md 10.2 */
#define HEAD_FILE_MAGIC UINT32_C(0x0130BC91)

/* Records that are only skipped here: later kinds are known by number, their bodies are not read yet. */
enum { WAL_REC_TOMBSTONES = 3 };

static void give(struct verify_report *r, const char *where, const char *what)
{
    r->problems++;
    if (r->problem != NULL) {
        r->problem(r->arg, pl_str_c(where), pl_str_c(what));
    }
}

void verify__problem(struct verify_report *r, const char *where, const char *fmt, ...)
{
    char what[WHAT_MAX];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    give(r, where, what);
}

void verify__problem_at(struct verify_report *r, const char *path, uint64_t offset, const char *fmt, ...)
{
    char what[WHAT_MAX], where[BLOCK_PATH_MAX + 64];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    (void)snprintf(where, sizeof(where), "%s at offset %llu", path, (unsigned long long)offset);
    give(r, where, what);
}

uint32_t verify__chunk(struct chunk_samples *s, const struct chunk_view *c, const char **why, struct pl_err *err)
{
    pl_status st = chunk_samples_read(s, c, err);

    *why = NULL;
    if (st == PL_UNIMPLEMENTED && c->encoding != 0 && c->encoding <= ENCODING_KNOWN_MAX) {
        return xor_count(c->data, c->size); /* newer than what is read here, and not wrong */
    }
    if (st != PL_OK) {
        *why = err->msg;
        return 0;
    }
    if (s->t[0] != c->mint_ms || s->t[s->n - 1] != c->maxt_ms) {
        *why = "chunk's samples do not begin and end at the times stated for it";
    }
    return s->n;
}

/* ---- WAL ---- */

struct wal_check {
    struct verify_report *r;
    struct u64_map *refs; /* series seen */
    struct pl_buf scratch;
};

static pl_status series_seen(void *arg, uint64_t ref, struct labels ls, struct pl_err *err)
{
    struct wal_check *c = arg;

    (void)ls;
    if (ref == 0) {
        return pl_fail(err, PL_CORRUPT, "series record with ref 0");
    }
    u64_map_put(c->refs, ref, 1);
    return PL_OK;
}

static pl_status tombstones_check(const uint8_t *p, size_t n, struct pl_err *err)
{
    const uint8_t *end = p + n;

    while (p < end) {
        int64_t t;
        p = end - p >= 8 ? varint_get(p + 8, end, &t) : NULL;
        p = p != NULL ? varint_get(p, end, &t) : NULL;
        if (p == NULL) {
            return pl_fail(err, PL_CORRUPT, "tombstone record cut off");
        }
    }
    return PL_OK;
}

static pl_status hists_check(struct wal_check *c, const uint8_t *p, size_t n, struct pl_err *err)
{
    struct wal_hists it;
    struct wal_hist x;
    struct pl_arena a;
    bool more = true;
    pl_status st = wal_hists_begin(&it, p, n, err);

    pl_arena_init(&a, 0);
    while (st == PL_OK && more) {
        st = wal_hists_next(&it, &a, &x, &more, err);
        if (st == PL_OK && more) {
            c->r->wal.samples++;
            if (x.h == NULL) {
                st = pl_fail(err, PL_CORRUPT, "invalid histogram of series ref %llu", (unsigned long long)x.ref);
            }
        }
        pl_arena_reset(&a);
    }
    pl_arena_fini(&a);
    return st;
}

static pl_status wal_record(void *arg, const uint8_t *p, size_t n, struct pl_err *err)
{
    struct wal_check *c = arg;
    struct wal_samples_iter it;
    struct wal_sample samples[256];
    size_t got = 1;

    c->r->wal.records++;
    if (n == 0) {
        return pl_fail(err, PL_CORRUPT, "empty record");
    }
    switch (p[0]) {
    case WAL_REC_SERIES:
        return wal_decode_series(p + 1, n - 1, &c->scratch, series_seen, c, err);
    case WAL_REC_SAMPLES:
        PL_TRY(wal_samples_begin(&it, p + 1, n - 1, err));
        while (got > 0) {
            PL_TRY(wal_samples_next(&it, samples, PL_ARRAY_LEN(samples), &got, err));
            c->r->wal.samples += got;
        }
        return PL_OK;
    case WAL_REC_TOMBSTONES:
        return tombstones_check(p + 1, n - 1, err);
    default: /* readers skip what they do not know */
        return wal_record_is_hist(p[0]) ? hists_check(c, p, n, err) : PL_OK;
    }
}

static void check_wal_segment(struct verify_report *r, struct u64_map *refs, const char *path, bool last)
{
    struct wal_check c = {.r = r, .refs = refs};
    struct wal_scan scan = {.record = wal_record, .arg = &c};
    struct file_map m = {.p = NULL};
    struct pl_err err;

    r->wal.files++;
    if (file_map_open(&m, path, &err) != PL_OK) {
        verify__problem(r, path, "%s", err.msg);
        return;
    }
    r->wal.bytes += m.n;
    pl_buf_init(&c.scratch, 0);
    switch (wal_scan(&scan, m.p, m.n, &err)) {
    case WAL_SCAN_CLEAN:
        break;
    case WAL_SCAN_TORN:
        verify__problem_at(r, path, scan.good_bytes, "%s%s", err.msg,
                           last ? "; the next start cuts it" : ", and later segments follow");
        break;
    case WAL_SCAN_CORRUPT:
        verify__problem_at(r, path, scan.good_bytes, "%s", err.msg);
        break;
    }
    pl_buf_fini(&c.scratch);
    file_map_close(&m);
}

static pl_status check_wal(struct verify_report *r, const char *dir, struct pl_err *err)
{
    struct wal_files files;
    struct u64_map refs = {.v = NULL};
    struct pl_arena a;
    pl_status st;

    pl_arena_init(&a, 0);
    st = wal_list(&files, pl_str_c(dir), &a, err);
    for (size_t i = 0; st == PL_OK && i < files.n; i++) {
        const struct wal_segment *s = &files.v[i];
        if (i > 0 && !s->checkpoint && !s[-1].checkpoint && s->number != s[-1].number + 1) {
            verify__problem(r, dir, "segments %08u to %08u are missing", s[-1].number + 1, s->number - 1);
        }
        check_wal_segment(r, &refs, wal_segment_path(&a, pl_str_c(dir), &files, s).p, i + 1 == files.n);
    }
    r->wal.series += refs.count;
    u64_map_fini(&refs);
    pl_arena_fini(&a);
    return st;
}

/* ---- head chunks ---- */

static void check_head_file(struct verify_report *r, struct chunk_samples *scratch, struct u64_map *refs,
                            const char *path)
{
    struct file_map m = {.p = NULL};
    size_t at = HEAD_FILE_HEADER;
    struct pl_err err;

    if (file_map_open(&m, path, &err) != PL_OK) {
        verify__problem(r, path, "%s", err.msg);
        return;
    }
    r->head_chunks.files++;
    r->head_chunks.bytes += m.n;
    if (m.n == 0) {
        return; /* made, and not written to before the process ended */
    }
    if (m.n < HEAD_FILE_HEADER || pl_get_be32(m.p) != HEAD_FILE_MAGIC || m.p[4] != HEAD_FILE_FORMAT) {
        verify__problem(r, path, "not a head chunk file");
        file_map_close(&m);
        return;
    }
    if (m.p[5] != 0 || m.p[6] != 0 || m.p[7] != 0) {
        verify__problem_at(r, path, 5, "header padding is not zero");
    }
    while (at < m.n) {
        struct chunk_view c;
        const char *why = NULL;
        uint64_t ref;
        size_t size;
        pl_status st = head_chunk_parse(m.p + at, m.n - at, &ref, &c, &size, &err);

        if (st == PL_NOT_FOUND) {
            while (at < m.n && m.p[at] == 0) {
                at++;
            }
            if (at < m.n) {
                verify__problem_at(r, path, at, "bytes behind the last chunk");
            }
            break;
        }
        if (st != PL_OK) {
            verify__problem_at(r, path, at, "%s", err.msg);
            break;
        }
        c.encoding &= 0x7f; /* the top bit marks out-of-order samples */
        r->head_chunks.chunks++;
        r->head_chunks.samples += verify__chunk(scratch, &c, &why, &err);
        if (ref != 0) {
            u64_map_put(refs, ref, 1);
        }
        if (why != NULL) {
            verify__problem_at(r, path, at, "%s (series ref %llu)", why, (unsigned long long)ref);
        }
        at += size;
    }
    file_map_close(&m);
}

/* ---- folders ---- */

struct names {
    char (*v)[64];
    size_t n, cap;
};

static int name_cmp(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Names of at most 63 bytes, sorted. */
static pl_status list_dir(struct names *out, const char *dir, struct pl_err *err)
{
    DIR *d = opendir(dir);
    struct dirent *e;

    if (d == NULL) {
        return pl_fail(err, errno == ENOENT ? PL_NOT_FOUND : PL_IO, "open %s: %s", dir, strerror(errno));
    }
    while ((e = readdir(d)) != NULL) {
        size_t n = strlen(e->d_name);
        if (e->d_name[0] != '.' && n < sizeof(out->v[0])) {
            pl_array_reserve(out->v, out->cap, out->n + 1);
            memcpy(out->v[out->n++], e->d_name, n + 1);
        }
    }
    (void)closedir(d);
    if (out->n > 0) {
        qsort(out->v, out->n, sizeof(out->v[0]), name_cmp);
    }
    return PL_OK;
}

static pl_status check_head_chunks(struct verify_report *r, struct chunk_samples *scratch, const char *dir,
                                   struct pl_err *err)
{
    struct names names = {.n = 0};
    struct u64_map refs = {.v = NULL};
    uint64_t last = 0;
    pl_status st = list_dir(&names, dir, err);

    for (size_t i = 0; st == PL_OK && i < names.n; i++) {
        char path[BLOCK_PATH_MAX];
        uint64_t number;
        if (!pl_str_to_u64(pl_str_c(names.v[i]), &number)) {
            continue;
        }
        st = block__path(path, err, "%s/%s", dir, names.v[i]);
        if (st == PL_OK) {
            if (last != 0 && number != last + 1) {
                verify__problem(r, dir, "files %06llu to %06llu are missing", (unsigned long long)last + 1,
                                (unsigned long long)number - 1);
            }
            last = number;
            check_head_file(r, scratch, &refs, path);
        }
    }
    r->head_chunks.series += refs.count;
    u64_map_fini(&refs);
    pl_free(names.v);
    return st;
}

static pl_status check_entry(struct verify_report *r, struct chunk_samples *scratch, const char *dir, const char *name,
                             bool *known, struct pl_err *err)
{
    char path[BLOCK_PATH_MAX];
    struct ulid id;
    bool block = ulid_parse(&id, pl_str_c(name));

    PL_TRY(block__path(path, err, "%s/%s", dir, name));
    *known = true;
    if (block) {
        verify__block(r, scratch, path);
    } else if (strcmp(name, "wal") == 0 || strcmp(name, "wbl") == 0) {
        return check_wal(r, path, err);
    } else if (strcmp(name, "chunks_head") == 0) {
        return check_head_chunks(r, scratch, path, err);
    } else if (pl_str_ends(pl_str_c(name), PL_STR(BLOCK_TMP_CREATE)) ||
               pl_str_ends(pl_str_c(name), PL_STR(BLOCK_TMP_DELETE))) {
        verify__problem(r, path, "left over from a process that ended in the middle; the next start removes it");
    } else {
        *known = false;
    }
    return PL_OK;
}

/* Does path/name/ look like a tenant's folder? */
static bool is_tenant_dir(const char *path, const char *name)
{
    static const char *const parts[] = {"wal", "chunks_head"};
    char sub[BLOCK_PATH_MAX];
    struct stat sb;

    for (size_t i = 0; i < PL_ARRAY_LEN(parts); i++) {
        if (block__path(sub, NULL, "%s/%s/%s", path, name, parts[i]) == PL_OK && stat(sub, &sb) == 0 &&
            S_ISDIR(sb.st_mode)) {
            return true;
        }
    }
    return false;
}

static pl_status fail_nothing(const char *path, const struct names *names, struct pl_err *err)
{
    for (size_t i = 0; i < names->n; i++) {
        if (is_tenant_dir(path, names->v[i])) {
            return pl_fail(err, PL_INVALID, "%s holds neither blocks nor a WAL; name a tenant's folder: %s/%s", path,
                           path, names->v[i]);
        }
    }
    return pl_fail(err, PL_INVALID, "%s holds neither blocks nor a WAL", path);
}

static pl_status verify_dir(struct verify_report *r, struct chunk_samples *scratch, const char *path,
                            struct names *names, struct pl_err *err)
{
    bool any = false;

    PL_TRY(list_dir(names, path, err));
    /* A block's own folder is taken as well. */
    if (names->n > 0 && bsearch("meta.json", names->v, names->n, sizeof(names->v[0]), name_cmp) != NULL) {
        verify__block(r, scratch, path);
        return PL_OK;
    }
    for (size_t i = 0; i < names->n; i++) {
        bool known;
        PL_TRY(check_entry(r, scratch, path, names->v[i], &known, err));
        any = any || known;
    }
    return any ? PL_OK : fail_nothing(path, names, err);
}

pl_status tsdb_verify(pl_str dir, struct verify_report *r, struct pl_err *err)
{
    struct chunk_samples scratch = {.n = 0};
    struct names names = {.n = 0};
    char path[BLOCK_PATH_MAX];
    struct stat sb;
    pl_status st;

    while (dir.n > 1 && dir.p[dir.n - 1] == '/') {
        dir.n--;
    }
    PL_TRY(block__path(path, err, "%.*s", PL_STR_ARG(dir)));
    if (stat(path, &sb) == 0 && !S_ISDIR(sb.st_mode)) {
        return pl_fail(err, PL_NOT_FOUND, "%s is a file, not a data folder", path);
    }
    st = verify_dir(r, &scratch, path, &names, err);
    pl_free(names.v);
    chunk_samples_fini(&scratch);
    return st;
}
