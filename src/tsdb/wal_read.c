#include "tsdb/wal.h"

#include "base/hash.h"
#include "codec/snappy.h"
#include "codec/varint.h"
#include "tsdb/wal_zstd.h"

struct scan_state {
    struct pl_buf joined; /* a record of several fragments */
    struct pl_buf plain;  /* decompressed */
    bool open;            /* FIRST seen, LAST not yet */
    uint8_t packing;      /* compression bits of the open record */
};

static bool all_zero(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] != 0) {
            return false;
        }
    }
    return true;
}

static pl_status record_unpack(struct scan_state *st, uint8_t packing, const uint8_t **p, size_t *n, struct pl_err *err)
{
    pl_str in = pl_str_of((const char *)*p, *n);
    size_t size;

    if (packing == 0) {
        return PL_OK;
    }
    if (packing == (WAL_FRAME_SNAPPY | WAL_FRAME_ZSTD)) {
        return pl_fail(err, PL_CORRUPT, "record marked both snappy and zstd");
    }
    if (packing == WAL_FRAME_SNAPPY) {
        if (!snappy_decoded_size(in, &size) || size > WAL_RECORD_BYTES_MAX) {
            return pl_fail(err, PL_CORRUPT, "snappy record with a bad size");
        }
    } else if (!wal_zstd_size(in, &size) || size > WAL_RECORD_BYTES_MAX) {
        return pl_fail(err, PL_CORRUPT, "zstd record with a bad size");
    }
    /* Both formats can state a size that their bytes cannot hold; the buffer grows once and is kept. */
    pl_buf_reset(&st->plain);
    if (pl_buf_reserve(&st->plain, size + 1) == NULL) {
        return pl_fail(err, PL_CORRUPT, "record of %zu bytes", size);
    }
    if (packing == WAL_FRAME_SNAPPY) {
        PL_TRY(snappy_decode(st->plain.p, size, in, err));
    } else {
        PL_TRY(wal_zstd_decode(st->plain.p, size, in, err));
    }
    *p = (const uint8_t *)st->plain.p;
    *n = size;
    return PL_OK;
}

static pl_status record_give(struct wal_scan *s, struct scan_state *st, uint8_t packing, const uint8_t *p, size_t n,
                             size_t end, struct pl_err *err)
{
    PL_TRY(record_unpack(st, packing, &p, &n, err));
    PL_TRY(s->record(s->arg, p, n, err));
    s->records++;
    s->good_bytes = end;
    return PL_OK;
}

/* Joins one fragment to what came before. `end` is the offset behind it. */
static pl_status fragment_take(struct wal_scan *s, struct scan_state *st, uint8_t type_byte, const uint8_t *p, size_t n,
                               size_t end, struct pl_err *err)
{
    uint8_t type = type_byte & WAL_FRAME_TYPE_MASK;
    uint8_t packing = type_byte & (WAL_FRAME_SNAPPY | WAL_FRAME_ZSTD);
    bool starts = type == WAL_FRAME_FULL || type == WAL_FRAME_FIRST;

    if (type > WAL_FRAME_LAST || (type_byte & ~(WAL_FRAME_TYPE_MASK | WAL_FRAME_SNAPPY | WAL_FRAME_ZSTD)) != 0) {
        return pl_fail(err, PL_CORRUPT, "unknown fragment type %u", type_byte);
    }
    if (starts == st->open) {
        return pl_fail(err, PL_CORRUPT, "fragment type %u out of order", type);
    }
    if (type == WAL_FRAME_FULL) {
        return record_give(s, st, packing, p, n, end, err);
    }
    if (type == WAL_FRAME_FIRST) {
        pl_buf_reset(&st->joined);
        st->packing = packing;
        st->open = true;
    }
    if (st->joined.n + n > WAL_RECORD_BYTES_MAX) {
        return pl_fail(err, PL_CORRUPT, "record longer than %d bytes", WAL_RECORD_BYTES_MAX);
    }
    pl_buf_add(&st->joined, p, n);
    if (type == WAL_FRAME_LAST) {
        st->open = false;
        return record_give(s, st, st->packing, (const uint8_t *)st->joined.p, st->joined.n, end, err);
    }
    return PL_OK;
}

static enum wal_scan_end scan(struct wal_scan *s, struct scan_state *st, const uint8_t *p, size_t n, struct pl_err *err)
{
    size_t at = 0;

    while (at < n) {
        size_t page_left = WAL_PAGE_BYTES - at % WAL_PAGE_BYTES;
        size_t left = PL_MIN(page_left, n - at);
        size_t len;

        if (page_left < WAL_FRAME_HEADER || p[at] == WAL_FRAME_PAGE_END) {
            if (!all_zero(p + at, left)) {
                (void)pl_fail(err, PL_CORRUPT, "bytes behind the end of the page at offset %zu", at);
                return WAL_SCAN_CORRUPT;
            }
            if (!st->open && left == page_left) {
                s->good_bytes = at + left;
            }
            at += left;
            continue;
        }
        if (left < WAL_FRAME_HEADER) {
            (void)pl_fail(err, PL_CORRUPT, "record header cut off at offset %zu", at);
            return WAL_SCAN_TORN;
        }
        len = pl_get_be16(p + at + 1);
        if (len > page_left - WAL_FRAME_HEADER) {
            (void)pl_fail(err, PL_CORRUPT, "record longer than its page at offset %zu", at);
            return WAL_SCAN_CORRUPT;
        }
        if (len > left - WAL_FRAME_HEADER) {
            (void)pl_fail(err, PL_CORRUPT, "record cut off at offset %zu", at);
            return WAL_SCAN_TORN;
        }
        if (pl_crc32c(0, p + at + WAL_FRAME_HEADER, len) != pl_get_be32(p + at + 3)) {
            (void)pl_fail(err, PL_CORRUPT, "unexpected checksum at offset %zu", at);
            return WAL_SCAN_CORRUPT;
        }
        if (fragment_take(s, st, p[at], p + at + WAL_FRAME_HEADER, len, at + WAL_FRAME_HEADER + len, err) != PL_OK) {
            pl_wrap(err, "record at offset %zu", at);
            return WAL_SCAN_CORRUPT;
        }
        at += WAL_FRAME_HEADER + len;
    }
    if (st->open) {
        (void)pl_fail(err, PL_CORRUPT, "the last record is not complete");
        return WAL_SCAN_TORN;
    }
    return WAL_SCAN_CLEAN;
}

enum wal_scan_end wal_scan(struct wal_scan *s, const uint8_t *p, size_t n, struct pl_err *err)
{
    struct scan_state st = {.open = false};
    enum wal_scan_end end = scan(s, &st, p, n, err);

    pl_buf_fini(&st.joined);
    pl_buf_fini(&st.plain);
    return end;
}

/* ---- records ---- */

static const uint8_t *str_get(const uint8_t *p, const uint8_t *end, pl_str *out)
{
    uint64_t n;

    p = uvarint_get(p, end, &n);
    if (p == NULL || n > (uint64_t)(end - p)) {
        return NULL;
    }
    *out = pl_str_of((const char *)p, (size_t)n);
    return p + n;
}

/* Sorted, unique, without empty values: what Prometheus writes, and what the head needs whoever wrote it. */
static size_t labels_settle(struct label *v, size_t n)
{
    bool sorted = true;
    size_t kept = 0;

    for (size_t i = 0; i < n; i++) {
        if (v[i].value.n > 0) {
            v[kept++] = v[i];
        }
    }
    for (size_t i = 1; i < kept; i++) {
        sorted = sorted && pl_str_cmp(v[i - 1].name, v[i].name) < 0;
    }
    if (!sorted) {
        labels_sort(v, kept);
        n = kept;
        kept = n > 0;
        for (size_t i = 1; i < n; i++) {
            if (!pl_str_eq(v[kept - 1].name, v[i].name)) {
                v[kept++] = v[i];
            }
        }
    }
    return kept;
}

pl_status wal_decode_series(const uint8_t *p, size_t n, struct pl_buf *scratch,
                            pl_status (*each)(void *arg, uint64_t ref, struct labels ls, struct pl_err *err), void *arg,
                            struct pl_err *err)
{
    const uint8_t *end = p + n;

    while (p < end) {
        uint64_t ref, count;
        struct label *v;

        if ((size_t)(end - p) < 8) {
            return pl_fail(err, PL_CORRUPT, "series record cut off");
        }
        ref = pl_get_be64(p);
        p = uvarint_get(p + 8, end, &count);
        /* Each label takes two bytes at least, so the count is bounded by the record. */
        if (p == NULL || count > (uint64_t)(end - p) / 2) {
            return pl_fail(err, PL_CORRUPT, "series record with a bad label count");
        }
        pl_buf_reset(scratch);
        v = (struct label *)(void *)pl_buf_reserve(scratch, (size_t)(count + 1) * sizeof(*v));
        for (uint64_t i = 0; i < count; i++) {
            p = str_get(p, end, &v[i].name);
            p = p != NULL ? str_get(p, end, &v[i].value) : NULL;
            if (p == NULL) {
                return pl_fail(err, PL_CORRUPT, "series record with a label cut off");
            }
        }
        PL_TRY(each(arg, ref, (struct labels){.v = v, .n = labels_settle(v, (size_t)count)}, err));
    }
    return PL_OK;
}

pl_status wal_samples_begin(struct wal_samples_iter *it, const uint8_t *p, size_t n, struct pl_err *err)
{
    *it = (struct wal_samples_iter){.p = p, .end = p + n};
    if (n == 0) {
        return PL_OK;
    }
    if (n < 16) {
        return pl_fail(err, PL_CORRUPT, "samples record cut off");
    }
    it->base_ref = pl_get_be64(p);
    it->base_t = (int64_t)pl_get_be64(p + 8);
    it->p += 16;
    return PL_OK;
}

pl_status wal_samples_next(struct wal_samples_iter *it, struct wal_sample *out, size_t max, size_t *got,
                           struct pl_err *err)
{
    const uint8_t *p = it->p;
    size_t n = 0;

    while (p < it->end && n < max) {
        int64_t dref, dt;

        p = varint_get(p, it->end, &dref);
        p = p != NULL ? varint_get(p, it->end, &dt) : NULL;
        if (p == NULL || it->end - p < 8) {
            return pl_fail(err, PL_CORRUPT, "samples record with a sample cut off");
        }
        out[n++] = (struct wal_sample){.ref = it->base_ref + (uint64_t)dref,
                                       .t = (int64_t)((uint64_t)it->base_t + (uint64_t)dt),
                                       .v = pl_f64_from_bits(pl_get_be64(p))};
        p += 8;
    }
    it->p = p;
    *got = n;
    return PL_OK;
}
