/* Opening chunks_head/: which chunks of which series do the files hold? */
#include "tsdb/head_chunks_internal.h"

#include "base/log.h"
#include "codec/hist_chunk.h"
#include "codec/xor_chunk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int number_cmp(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static pl_status numbers_list(const struct head_chunks *hc, uint32_t **out, size_t *count, struct pl_err *err)
{
    DIR *d = opendir(hc->dir);
    struct dirent *e;
    uint32_t *v = NULL;
    size_t n = 0, cap = 0;
    uint64_t number;

    if (d == NULL) {
        *out = NULL;
        *count = 0;
        return hc->read_only && errno == ENOENT ? PL_OK : pl_fail(err, PL_IO, "read %s: %s", hc->dir, strerror(errno));
    }
    while ((e = readdir(d)) != NULL) {
        if (pl_str_to_u64(pl_str_c(e->d_name), &number) && strlen(e->d_name) >= 6 && number > 0 &&
            number < UINT32_MAX) {
            pl_array_reserve(v, cap, n + 1);
            v[n++] = (uint32_t)number;
        }
    }
    (void)closedir(d);
    if (n > 0) {
        qsort(v, n, sizeof(*v), number_cmp);
    }
    *out = v;
    *count = n;
    return PL_OK;
}

/* Gives every good record to load; returns the offset behind the last good one. */
static uint64_t file_walk(struct hc_file *f, bool behind_hole, head_chunks_load_fn load, void *arg, pl_status *end,
                          struct pl_err *err)
{
    size_t at = HC_FILE_HEADER;

    *end = PL_NOT_FOUND;
    while (at < f->map_size) {
        struct chunk_view v;
        uint64_t ref;
        size_t size;

        *end = head_chunk_parse(f->map + at, f->map_size - at, &ref, &v, &size, err);
        if (*end != PL_OK) {
            break;
        }
        /* Bit 7 marks out-of-order chunks: not ours to serve yet. */
        if ((v.encoding == CHUNK_ENC_XOR || v.encoding == CHUNK_ENC_HISTOGRAM ||
             v.encoding == CHUNK_ENC_FLOAT_HISTOGRAM) &&
            v.mint_ms <= v.maxt_ms) {
            load(arg, ref,
                 &(struct head_chunk){
                     .file = f->number, .offset = (uint32_t)at, .mint_ms = v.mint_ms, .maxt_ms = v.maxt_ms},
                 behind_hole);
        }
        f->maxt_ms = PL_MAX(f->maxt_ms, v.maxt_ms);
        at += size;
        *end = PL_NOT_FOUND;
    }
    return at;
}

static pl_status file_load(struct head_chunks *hc, uint32_t number, bool last, head_chunks_load_fn load, void *arg,
                           uint64_t *corruptions, struct pl_err *err)
{
    char path[PATH_MAX + 16];
    struct hc_file *f = hc__file_new(number);
    struct pl_err why = {.status = PL_OK};
    struct stat sb;
    pl_status end = PL_CORRUPT;
    uint64_t good = 0;
    int fd;

    hc__file_path(hc, number, path, sizeof(path));
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &sb) != 0) {
        int e = errno;
        if (fd >= 0) {
            (void)close(fd);
        }
        hc__file_unref(f);
        return pl_fail(err, PL_IO, "open head chunk file %s: %s", path, strerror(e));
    }
    if (sb.st_size >= HC_FILE_HEADER && sb.st_size <= (off_t)UINT32_MAX) {
        void *m = mmap(NULL, (size_t)sb.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (m != MAP_FAILED) {
            f->map = m;
            f->map_size = (size_t)sb.st_size;
        }
    }
    (void)close(fd);
    if (f->map != NULL && pl_get_be32(f->map) == HC_FILE_MAGIC && f->map[4] == 1) {
        good = file_walk(f, *corruptions > 0, load, arg, &end, &why);
    } else {
        (void)pl_fail(&why, PL_CORRUPT, "not a head chunk file");
    }
    f->written = good;
    if (end != PL_NOT_FOUND && sb.st_size > 0) {
        ++*corruptions;
        pl_warn("corrupt head chunk file: the chunks behind the bad bytes are dropped", PL_KV_C("file", path),
                PL_KV_INT("good_bytes", good), PL_KV_INT("bytes", sb.st_size), PL_KV_ERR(&why));
    }
    if (!hc->read_only && last && good == 0) {
        (void)unlink(path); /* without a header it never held a chunk */
        hc__file_unref(f);
        return PL_OK;
    }
    if (!hc->read_only && last && end != PL_NOT_FOUND && truncate(path, (off_t)good) != 0) {
        pl_warn("cannot cut a head chunk file", PL_KV_C("file", path), PL_KV_C("err", strerror(errno)));
    }
    hc__file_list_add(hc, f);
    return PL_OK;
}

pl_status head_chunks_open(struct head_chunks **out, pl_str dir, bool read_only, head_chunks_load_fn load, void *arg,
                           uint64_t *corruptions, struct pl_err *err)
{
    struct head_chunks *hc = pl_new(struct head_chunks);
    uint32_t *numbers = NULL;
    size_t count = 0;
    pl_status st;

    hc->dir = pl_str_dup(dir);
    hc->read_only = read_only;
    pl_mutex_init(&hc->flush_lock, PL_RANK_HEAD_CHUNKS);
    pl_mutex_init(&hc->lock, PL_RANK_HEAD_CHUNKS + 1);
    if (!read_only && mkdir(hc->dir, 0777) != 0 && errno != EEXIST) {
        st = pl_fail(err, PL_IO, "create %s: %s", hc->dir, strerror(errno));
        goto fail;
    }
    st = numbers_list(hc, &numbers, &count, err);
    for (size_t i = 0; i < count && st == PL_OK; i++) {
        st = file_load(hc, numbers[i], i + 1 == count, load, arg, corruptions, err);
    }
    pl_free(numbers);
    if (st == PL_OK) {
        *out = hc;
        return PL_OK;
    }

fail:
    head_chunks_close(hc);
    return st;
}
