/* Tombstones, spec prometheus.md 10.8: magic, version, entries, CRC-32C of the entries alone. */
#include "base/hash.h"
#include "codec/varint.h"
#include "tsdb/block_internal.h"

#include <stdlib.h>

enum { TOMBSTONE_FORMAT = 1, TOMBSTONE_HEADER = 5, ENTRY_MIN = 3 };

static int tombstone_cmp(const void *a, const void *b)
{
    const struct tombstone *x = a, *y = b;

    if (x->ref != y->ref) {
        return x->ref < y->ref ? -1 : 1;
    }
    return (x->i.mint_ms > y->i.mint_ms) - (x->i.mint_ms < y->i.mint_ms);
}

static pl_status parse(struct tombstones *t, const struct file_map *m, const char *path, struct pl_err *err)
{
    const uint8_t *p = m->p + TOMBSTONE_HEADER, *end;

    if (m->n < TOMBSTONE_HEADER + CRC_SIZE || pl_get_be32(m->p) != TOMBSTONE_MAGIC) {
        return pl_fail(err, PL_CORRUPT, "%s: not a tombstones file", path);
    }
    if (m->p[4] != TOMBSTONE_FORMAT) {
        return pl_fail(err, PL_CORRUPT, "%s: unknown format %u", path, m->p[4]);
    }
    end = m->p + m->n - CRC_SIZE;
    if (pl_crc32c(0, p, (size_t)(end - p)) != pl_get_be32(end)) {
        return pl_fail(err, PL_CORRUPT, "%s: checksum mismatch", path);
    }
    t->v = pl_alloc_try(((size_t)(end - p) / ENTRY_MIN + 1) * sizeof(*t->v));
    if (t->v == NULL) {
        return pl_fail(err, PL_NOMEM, "%s: out of memory", path);
    }
    while (p < end) {
        struct tombstone e;
        p = uvarint_get(p, end, &e.ref);
        p = p != NULL ? varint_get(p, end, &e.i.mint_ms) : NULL;
        p = p != NULL ? varint_get(p, end, &e.i.maxt_ms) : NULL;
        if (p == NULL) {
            return pl_fail(err, PL_CORRUPT, "%s: entry %zu is cut off", path, t->n);
        }
        t->v[t->n++] = e;
    }
    qsort(t->v, t->n, sizeof(*t->v), tombstone_cmp);
    return PL_OK;
}

pl_status tombstones_read(struct tombstones *t, const char *path, struct pl_err *err)
{
    struct file_map m = {.p = NULL};
    pl_status st = file_map_open(&m, path, err);

    *t = (struct tombstones){.n = 0};
    if (st == PL_NOT_FOUND) {
        return PL_OK;
    }
    if (st == PL_OK) {
        st = parse(t, &m, path, err);
    }
    file_map_close(&m);
    if (st != PL_OK) {
        tombstones_fini(t);
    }
    return st;
}

void tombstones_fini(struct tombstones *t)
{
    pl_free(t->v);
    *t = (struct tombstones){.n = 0};
}

size_t tombstones_of(const struct tombstones *t, uint64_t ref, const struct tombstone **out)
{
    size_t lo = 0, hi = t->n, n = 0;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (t->v[mid].ref < ref) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    while (lo + n < t->n && t->v[lo + n].ref == ref) {
        n++;
    }
    *out = n > 0 ? t->v + lo : NULL;
    return n;
}

pl_status tombstones_write_empty(const char *path, struct pl_err *err)
{
    uint8_t bytes[TOMBSTONE_HEADER + CRC_SIZE] = {0};
    struct file_out f;

    pl_put_be32(bytes, TOMBSTONE_MAGIC);
    bytes[4] = TOMBSTONE_FORMAT;
    PL_TRY(file_out_open(&f, path, err));
    file_out_put(&f, bytes, sizeof(bytes));
    return file_out_close(&f, true, err);
}
