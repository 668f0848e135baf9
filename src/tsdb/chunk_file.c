/* Chunk segment files, spec prometheus.md 10.2: a header of eight bytes, then uvarint length, encoding byte, data,
 * CRC-32C of encoding and data. A chunk ref is the segment's number from 0 in the high and the byte offset in the low
 * 32 bits. */
#include "base/hash.h"
#include "codec/varint.h"
#include "tsdb/block_internal.h"

enum { CHUNK_FORMAT = 1, SEGMENTS_MAX = 999999 };

static pl_status segment_open(struct file_map *m, const char *path, struct pl_err *err)
{
    PL_TRY(file_map_open(m, path, err));
    if (m->n < CHUNK_HEADER_SIZE) {
        return pl_fail(err, PL_CORRUPT, "%s: %zu bytes are too few for a header", path, m->n);
    }
    if (pl_get_be32(m->p) != CHUNK_MAGIC) {
        return pl_fail(err, PL_CORRUPT, "%s: bad magic number %08x", path, pl_get_be32(m->p));
    }
    if (m->p[4] != CHUNK_FORMAT) {
        return pl_fail(err, PL_CORRUPT, "%s: unknown chunk format %u", path, m->p[4]);
    }
    return PL_OK;
}

pl_status chunk_segments_open(struct chunk_segments *s, const char *dir, struct pl_err *err)
{
    size_t cap = 0;

    *s = (struct chunk_segments){.n = 0};
    while (s->n < SEGMENTS_MAX) {
        char path[BLOCK_PATH_MAX];
        struct file_map m = {.p = NULL};
        pl_status st = block__path(path, err, "%s/%06zu", dir, s->n + 1);

        if (st == PL_OK) {
            st = segment_open(&m, path, err);
        }
        if (st == PL_NOT_FOUND && s->n > 0) {
            return PL_OK;
        }
        if (st != PL_OK) {
            file_map_close(&m);
            chunk_segments_close(s);
            return st;
        }
        pl_array_reserve(s->v, cap, s->n + 1);
        s->v[s->n++] = m;
        s->bytes += m.n;
    }
    return PL_OK;
}

void chunk_segments_close(struct chunk_segments *s)
{
    for (size_t i = 0; i < s->n; i++) {
        file_map_close(&s->v[i]);
    }
    pl_free(s->v);
    *s = (struct chunk_segments){.n = 0};
}

pl_status chunk_segments_get(const struct chunk_segments *s, uint64_t ref, struct chunk_view *out, uint64_t *end,
                             struct pl_err *err)
{
    uint64_t segment = ref >> 32, offset = ref & UINT32_MAX, size;
    const struct file_map *m;
    const uint8_t *p, *limit;

    if (segment >= s->n) {
        return pl_fail(err, PL_CORRUPT, "chunk %016llx: there is no segment %06llu", (unsigned long long)ref,
                       (unsigned long long)segment + 1);
    }
    m = &s->v[segment];
    if (offset < CHUNK_HEADER_SIZE || offset >= m->n) {
        return pl_fail(err, PL_CORRUPT, "chunk at %06llu:%llu: outside the segment", (unsigned long long)segment + 1,
                       (unsigned long long)offset);
    }
    limit = m->p + m->n;
    p = uvarint_get(m->p + offset, limit, &size);
    if (p == NULL || size > UINT32_MAX || (uint64_t)(limit - p) < size + 1 + CRC_SIZE) {
        return pl_fail(err, PL_CORRUPT, "chunk at %06llu:%llu: its length goes past the segment",
                       (unsigned long long)segment + 1, (unsigned long long)offset);
    }
    if (pl_crc32c(0, p, size + 1) != pl_get_be32(p + 1 + size)) {
        return pl_fail(err, PL_CORRUPT, "chunk at %06llu:%llu: checksum mismatch", (unsigned long long)segment + 1,
                       (unsigned long long)offset);
    }
    out->encoding = p[0];
    out->data = p + 1;
    out->size = (uint32_t)size;
    if (end != NULL) {
        *end = (uint64_t)(p + 1 + size + CRC_SIZE - m->p);
    }
    return PL_OK;
}

/* ---- writing ---- */

void chunk_writer_init(struct chunk_writer *w)
{
    *w = (struct chunk_writer){.segment_bytes_max = CHUNK_SEGMENT_BYTES_MAX};
    w->out.fd = -1;
}

static pl_status segment_begin(struct chunk_writer *w, struct pl_err *err)
{
    uint8_t header[CHUNK_HEADER_SIZE] = {0};
    char path[BLOCK_PATH_MAX];

    if (w->out.fd >= 0) {
        PL_TRY(file_out_close(&w->out, true, err));
    }
    if (w->segments >= SEGMENTS_MAX) {
        return pl_fail(err, PL_INVALID, "block needs more than %d chunk segments", SEGMENTS_MAX);
    }
    PL_TRY(block__path(path, err, "%s/%06u", w->dir, w->segments + 1));
    PL_TRY(file_out_open(&w->out, path, err));
    w->segments++;
    pl_put_be32(header, CHUNK_MAGIC);
    header[4] = CHUNK_FORMAT;
    file_out_put(&w->out, header, sizeof(header));
    return PL_OK;
}

pl_status chunk_writer_put(struct chunk_writer *w, const struct chunk_view *c, uint64_t *ref, struct pl_err *err)
{
    uint8_t head[VARINT_MAX + 1], tail[CRC_SIZE];
    uint8_t *p = uvarint_put(head, c->size);
    size_t frame;
    uint32_t crc;

    *p++ = c->encoding;
    frame = (size_t)(p - head) + c->size + CRC_SIZE;
    if (w->out.fd < 0 || w->out.pos + frame > w->segment_bytes_max) {
        PL_TRY(segment_begin(w, err));
    }
    PL_ASSERT(w->out.pos <= UINT32_MAX);
    *ref = (uint64_t)(w->segments - 1) << 32 | w->out.pos;
    crc = pl_crc32c(0, p - 1, 1);
    crc = pl_crc32c(crc, c->data, c->size);
    pl_put_be32(tail, crc);
    file_out_put(&w->out, head, (size_t)(p - head));
    file_out_put(&w->out, c->data, c->size);
    file_out_put(&w->out, tail, sizeof(tail));
    return PL_OK;
}

pl_status chunk_writer_finish(struct chunk_writer *w, struct pl_err *err)
{
    if (w->out.fd < 0) {
        PL_TRY(segment_begin(w, err));
    }
    return file_out_close(&w->out, true, err);
}

void chunk_writer_fini(struct chunk_writer *w)
{
    file_out_abandon(&w->out);
}
