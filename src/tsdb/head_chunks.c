/* Chunks of the head on disk: adding, flushing, reading, deleting files. */
#include "tsdb/head_chunks_internal.h"

#include "base/hash.h"
#include "base/log.h"
#include "codec/varint.h"
#include "codec/xor_chunk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <unistd.h>

enum { BUFFER_FIRST = 64 << 10 };

void hc__file_unref(void *arg)
{
    struct hc_file *f = arg;

    if (atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) == 1) {
        if (f->map != NULL) {
            (void)munmap(f->map, f->map_size);
        }
        if (f->fd >= 0) {
            (void)close(f->fd);
        }
        pl_free(f);
    }
}

struct hc_file *hc__file_new(uint32_t number)
{
    struct hc_file *f = pl_new(struct hc_file);

    f->number = number;
    f->fd = -1;
    f->maxt_ms = INT64_MIN;
    atomic_init(&f->refs, 1);
    return f;
}

void hc__file_path(const struct head_chunks *hc, uint32_t number, char *out, size_t size)
{
    (void)snprintf(out, size, "%s/%06u", hc->dir, number);
}

void hc__file_list_add(struct head_chunks *hc, struct hc_file *f)
{
    pl_array_reserve(hc->files, hc->file_cap, hc->file_count + 1);
    hc->files[hc->file_count++] = f;
}

/* ---- reading ---- */

pl_status head_chunk_parse(const uint8_t *p, size_t n, uint64_t *ref, struct chunk_view *out, size_t *size,
                           struct pl_err *err)
{
    const uint8_t *end = p + n, *data;
    uint64_t len;
    size_t head;

    if (n < HC_RECORD_FIXED) {
        for (size_t i = 0; i < n; i++) {
            if (p[i] != 0) {
                return pl_fail(err, PL_CORRUPT, "chunk header cut off");
            }
        }
        return PL_NOT_FOUND;
    }
    *ref = pl_get_be64(p);
    if (*ref == 0 && pl_get_be64(p + 8) == 0 && pl_get_be64(p + 16) == 0) {
        return PL_NOT_FOUND;
    }
    data = uvarint_get(p + HC_RECORD_FIXED, end, &len);
    if (data == NULL || len > (uint64_t)(end - data) || (uint64_t)(end - data) - len < HC_CRC_BYTES) {
        return pl_fail(err, PL_CORRUPT, "chunk of series %llu cut off", (unsigned long long)*ref);
    }
    head = (size_t)(data - p);
    if (pl_crc32c(0, p, head + (size_t)len) != pl_get_be32(data + len)) {
        return pl_fail(err, PL_CORRUPT, "chunk of series %llu: checksum mismatch", (unsigned long long)*ref);
    }
    *out = (struct chunk_view){.data = data,
                               .size = (uint32_t)len,
                               .encoding = p[24],
                               .mint_ms = (int64_t)pl_get_be64(p + 8),
                               .maxt_ms = (int64_t)pl_get_be64(p + 16)};
    *size = head + (size_t)len + HC_CRC_BYTES;
    return PL_OK;
}

static struct hc_file *file_find_locked(const struct head_chunks *hc, uint32_t number)
{
    size_t lo = 0, hi = hc->file_count;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (hc->files[mid]->number < number) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo < hc->file_count && hc->files[lo]->number == number ? hc->files[lo] : NULL;
}

/* Maps a file that is being written at its full size: bytes are looked at only after they are on disk. */
static pl_status file_map_locked(struct hc_file *f, struct pl_err *err)
{
    void *m;

    if (f->map != NULL) {
        return PL_OK;
    }
    m = mmap(NULL, HC_FILE_BYTES_MAX, PROT_READ, MAP_SHARED, f->fd, 0);
    if (m == MAP_FAILED) {
        return pl_fail(err, PL_IO, "map head chunk file %06u: %s", f->number, strerror(errno));
    }
    f->map = m;
    f->map_size = HC_FILE_BYTES_MAX;
    return PL_OK;
}

static void pin(struct head_chunk_pins *pins, struct hc_file *f)
{
    for (size_t i = 0; i < PL_ARRAY_LEN(pins->last); i++) {
        if (pins->last[i] == f) {
            return;
        }
    }
    atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
    pl_arena_on_free(pins->a, hc__file_unref, f);
    pins->last[pins->next++ % PL_ARRAY_LEN(pins->last)] = f;
}

/* Where a chunk's record is. Mapped: the file is pinned. Otherwise the bytes are in a buffer, valid while locked. */
struct record_place {
    const uint8_t *p;
    size_t n;
    bool mapped;
};

static pl_status place_locked(struct head_chunks *hc, const struct head_chunk *c, struct head_chunk_pins *pins,
                              struct record_place *out, struct pl_err *err)
{
    struct hc_file *f = file_find_locked(hc, c->file);

    if (f == NULL) {
        return pl_fail(err, PL_CORRUPT, "head chunk file %06u is gone", c->file);
    }
    if (c->offset < f->written) {
        PL_TRY(file_map_locked(f, err));
        pin(pins, f);
        *out = (struct record_place){.p = f->map + c->offset,
                                     .n = (size_t)(PL_MIN(f->written, (uint64_t)f->map_size) - c->offset),
                                     .mapped = true};
        return PL_OK;
    }
    for (struct hc_node *d = hc->first; d != NULL; d = d->next) {
        if (d->file == f && c->offset >= d->offset && c->offset < d->offset + d->buf.n) {
            *out = (struct record_place){.p = (const uint8_t *)d->buf.p + (c->offset - d->offset),
                                         .n = (size_t)(d->offset + d->buf.n - c->offset)};
            return PL_OK;
        }
    }
    return pl_fail(err, PL_CORRUPT, "head chunk %06u:%u is not in its file", c->file, c->offset);
}

static pl_status place_parse(const struct record_place *place, const struct head_chunk *c, struct chunk_view *out,
                             struct pl_err *err)
{
    uint64_t ref;
    size_t size;
    pl_status st = head_chunk_parse(place->p, place->n, &ref, out, &size, err);

    if (st == PL_NOT_FOUND) {
        return pl_fail(err, PL_CORRUPT, "head chunk %06u:%u is empty", c->file, c->offset);
    }
    if (st != PL_OK) {
        pl_wrap(err, "head chunk %06u:%u", c->file, c->offset);
    }
    return st;
}

static pl_status view_copy(struct chunk_view *v, struct pl_arena *a, struct pl_err *err)
{
    uint8_t *q = pl_arena_alloc_try(a, v->size);

    if (q == NULL) {
        return pl_fail(err, PL_LIMIT, "query memory limit");
    }
    memcpy(q, v->data, v->size);
    v->data = q;
    return PL_OK;
}

pl_status head_chunks_read(struct head_chunks *hc, const struct head_chunk *c, struct head_chunk_pins *pins,
                           struct chunk_view *out, struct pl_err *err)
{
    struct record_place place = {.p = NULL};
    pl_status st;

    pl_mutex_lock(&hc->lock);
    st = place_locked(hc, c, pins, &place, err);
    if (st == PL_OK && !place.mapped) {
        st = place_parse(&place, c, out, err);
        if (st == PL_OK) {
            st = view_copy(out, pins->a, err);
        }
    }
    pl_mutex_unlock(&hc->lock);
    /* Mapped pages may have to come from the disk: nobody waits for that but who asked. */
    return st == PL_OK && place.mapped ? place_parse(&place, c, out, err) : st;
}

void head_chunks_close(struct head_chunks *hc)
{
    struct pl_err err;

    if (hc == NULL) {
        return;
    }
    if (head_chunks_flush(hc, 0, true, &err) != PL_OK) {
        pl_error("head chunks not written", PL_KV_ERR(&err));
    }
    for (struct hc_node *d = hc->first; d != NULL;) {
        struct hc_node *next = d->next;
        pl_buf_fini(&d->buf);
        pl_free(d);
        d = next;
    }
    for (size_t i = 0; i < hc->file_count; i++) {
        hc__file_unref(hc->files[i]);
    }
    pl_free(hc->files);
    pl_mutex_fini(&hc->lock);
    pl_mutex_fini(&hc->flush_lock);
    pl_free(hc->dir);
    pl_free(hc);
}

/* ---- writing ---- */

static void node_append_locked(struct head_chunks *hc, struct hc_file *f, uint64_t offset)
{
    struct hc_node *d = pl_new(struct hc_node);

    d->file = f;
    d->offset = offset;
    if (hc->last != NULL) {
        hc->last->next = d;
    } else {
        hc->first = d;
    }
    hc->last = d;
}

static void current_start_locked(struct head_chunks *hc)
{
    static const uint8_t header[HC_FILE_HEADER] = {0x01, 0x30, 0xBC, 0x91, 1, 0, 0, 0};
    uint32_t number = hc->file_count > 0 ? hc->files[hc->file_count - 1]->number + 1 : 1;

    hc->current = hc__file_new(number);
    hc->current_size = HC_FILE_HEADER;
    hc__file_list_add(hc, hc->current);
    if (hc->last != NULL && hc->last->buf.n == 0) {
        hc->last->file = hc->current; /* an empty node would end a flush before the bytes behind it */
        hc->last->offset = 0;
    } else {
        node_append_locked(hc, hc->current, 0);
    }
    pl_buf_add(&hc->last->buf, header, sizeof(header));
    hc->buffered += sizeof(header);
}

void head_chunks_add(struct head_chunks *hc, uint64_t ref, struct head_chunk *c, uint8_t encoding, const uint8_t *data,
                     uint32_t size)
{
    uint8_t *start, *p;
    size_t n;

    pl_mutex_lock(&hc->lock);
    if (hc->current == NULL ||
        hc->current_size + HC_RECORD_FIXED + VARINT_MAX + size + HC_CRC_BYTES > HC_FILE_BYTES_MAX) {
        current_start_locked(hc);
    }
    if (hc->last->buf.cap == 0) {
        (void)pl_buf_reserve(&hc->last->buf, BUFFER_FIRST);
    }
    start = (uint8_t *)pl_buf_reserve(&hc->last->buf, HC_RECORD_FIXED + VARINT_MAX + (size_t)size + HC_CRC_BYTES);
    pl_put_be64(start, ref);
    pl_put_be64(start + 8, (uint64_t)c->mint_ms);
    pl_put_be64(start + 16, (uint64_t)c->maxt_ms);
    start[24] = encoding;
    p = uvarint_put(start + HC_RECORD_FIXED, size);
    memcpy(p, data, size);
    p += size;
    pl_put_be32(p, pl_crc32c(0, start, (size_t)(p - start)));
    n = (size_t)(p - start) + HC_CRC_BYTES;
    c->file = hc->current->number;
    c->offset = (uint32_t)hc->current_size;
    hc->current->maxt_ms = PL_MAX(hc->current->maxt_ms, c->maxt_ms);
    hc->last->buf.n += n;
    hc->current_size += n;
    hc->buffered += n;
    pl_mutex_unlock(&hc->lock);
}

static pl_status node_write(const struct head_chunks *hc, struct hc_node *d, struct pl_err *err)
{
    char path[PATH_MAX + 16];
    size_t done = 0;

    hc__file_path(hc, d->file->number, path, sizeof(path));
    if (d->file->fd < 0) {
        d->file->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    }
    while (d->file->fd >= 0 && done < d->buf.n) {
        ssize_t got = pwrite(d->file->fd, d->buf.p + done, d->buf.n - done, (off_t)(d->offset + done));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            break;
        }
        done += (size_t)got;
    }
    return done == d->buf.n ? PL_OK : pl_fail(err, PL_IO, "write head chunks %s: %s", path, strerror(errno));
}

/* flush_lock held. Takes nodes from the front until only an empty last one is left. */
static pl_status flush_nodes(struct head_chunks *hc, struct pl_err *err)
{
    for (;;) {
        struct hc_node *d;
        pl_status st;

        pl_mutex_lock(&hc->lock);
        d = hc->first;
        if (d == NULL || d->buf.n == 0) {
            pl_mutex_unlock(&hc->lock);
            return PL_OK;
        }
        if (d == hc->last) {
            /* New chunks go to a fresh node while this one is written; readers still find it in the list. */
            node_append_locked(hc, d->file, d->offset + d->buf.n);
        }
        pl_mutex_unlock(&hc->lock);

        st = node_write(hc, d, err);
        if (st != PL_OK) {
            return st;
        }
        pl_mutex_lock(&hc->lock);
        hc->first = d->next;
        d->file->written = d->offset + d->buf.n;
        hc->buffered -= d->buf.n;
        pl_mutex_unlock(&hc->lock);
        pl_buf_fini(&d->buf);
        pl_free(d);
    }
}

pl_status head_chunks_flush(struct head_chunks *hc, size_t min_bytes, bool sync, struct pl_err *err)
{
    size_t buffered;
    pl_status st = PL_OK;

    if (hc->read_only) {
        return PL_OK;
    }
    pl_mutex_lock(&hc->lock);
    buffered = hc->buffered;
    pl_mutex_unlock(&hc->lock);
    if (buffered < min_bytes) {
        return PL_OK;
    }
    pl_mutex_lock(&hc->flush_lock);
    st = flush_nodes(hc, err);
    for (size_t i = 0; st == PL_OK && sync; i++) {
        struct hc_file *f = NULL;
        pl_mutex_lock(&hc->lock);
        if (i < hc->file_count) {
            f = hc->files[i];
            atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
        }
        pl_mutex_unlock(&hc->lock);
        if (f == NULL) {
            break;
        }
        if (f->fd >= 0 && fdatasync(f->fd) != 0) {
            st = pl_fail(err, PL_IO, "fsync head chunk file %06u: %s", f->number, strerror(errno));
        }
        hc__file_unref(f);
    }
    pl_mutex_unlock(&hc->flush_lock);
    return st;
}

/* The next chunk starts a file, so that this one can go when its time has passed, however small it is. */
static void current_end_locked(struct head_chunks *hc)
{
    if (hc->current_size > HC_FILE_HEADER) {
        hc->current = NULL;
        hc->current_size = 0;
    }
    if (hc->current == NULL && hc->last != NULL && hc->last->buf.n == 0) {
        hc->last->file = NULL;
    }
}

static bool is_pending_locked(const struct head_chunks *hc, const struct hc_file *f)
{
    for (const struct hc_node *d = hc->first; d != NULL; d = d->next) {
        if (d->file == f && d->buf.n > 0) {
            return true;
        }
    }
    return f == hc->current;
}

void head_chunks_truncate(struct head_chunks *hc, int64_t mint_ms)
{
    struct hc_file **gone;
    size_t kept = 0, gone_count = 0;

    pl_mutex_lock(&hc->flush_lock);
    pl_mutex_lock(&hc->lock);
    current_end_locked(hc);
    gone = pl_new_array(struct hc_file *, hc->file_count + 1);
    for (size_t i = 0; i < hc->file_count; i++) {
        struct hc_file *f = hc->files[i];
        if (f->maxt_ms < mint_ms && i + 1 < hc->file_count && !is_pending_locked(hc, f)) {
            gone[gone_count++] = f;
        } else {
            hc->files[kept++] = f;
        }
    }
    hc->file_count = kept;
    pl_mutex_unlock(&hc->lock);
    pl_mutex_unlock(&hc->flush_lock);
    for (size_t i = 0; i < gone_count; i++) {
        char path[PATH_MAX + 16];
        hc__file_path(hc, gone[i]->number, path, sizeof(path)); /* its number is not used again: newer files stay */
        (void)unlink(path);
        hc__file_unref(gone[i]);
    }
    pl_free(gone);
}

uint32_t head_chunks_oldest(struct head_chunks *hc)
{
    uint32_t n;

    pl_mutex_lock(&hc->lock);
    n = hc->file_count > 0 ? hc->files[0]->number : UINT32_MAX;
    pl_mutex_unlock(&hc->lock);
    return n;
}

uint32_t head_chunks_newest(struct head_chunks *hc)
{
    uint32_t n;

    pl_mutex_lock(&hc->lock);
    n = hc->file_count > 0 ? hc->files[hc->file_count - 1]->number : 0;
    pl_mutex_unlock(&hc->lock);
    return n;
}
