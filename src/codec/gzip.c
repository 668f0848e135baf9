#include "codec/gzip.h"

#include <zlib.h>

enum { GZIP_WINDOW = 15 + 16 /* zlib's way to ask for the gzip frame */, GZIP_STEP = 64 << 10 };

bool gzip_encode(struct pl_buf *out, pl_str in, int level)
{
    z_stream z = {0};
    size_t before = out->n;
    bool ok = false;

    PL_ASSERT(level >= 1 && level <= 9);
    if (in.n > UINT32_MAX / 2) {
        return false; /* zlib counts in 32 bits */
    }
    if (deflateInit2(&z, level, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) == Z_OK) {
        uLong bound = deflateBound(&z, (uLong)in.n);
        char *at = pl_buf_reserve(out, bound);
        if (at != NULL) {
            z.next_in = (Bytef *)(uintptr_t)in.p;
            z.avail_in = (uInt)in.n;
            z.next_out = (Bytef *)at;
            z.avail_out = (uInt)bound;
            ok = deflate(&z, Z_FINISH) == Z_STREAM_END;
            out->n = ok ? before + z.total_out : before;
        }
        (void)deflateEnd(&z);
    }
    return ok;
}

static pl_status inflate_all(z_stream *z, struct pl_buf *out, size_t size_max, struct pl_err *err)
{
    size_t before = out->n;

    for (;;) {
        size_t left = size_max - (out->n - before);
        size_t step = PL_MIN((size_t)GZIP_STEP, left + 1); /* one more byte tells "exactly size_max" from "past it" */
        char *at = pl_buf_reserve(out, step);
        int rc;
        if (at == NULL) {
            return pl_fail(err, PL_TOO_LARGE, "gzip: output passes %zu bytes", out->limit_bytes);
        }
        z->next_out = (Bytef *)at;
        z->avail_out = (uInt)step;
        rc = inflate(z, Z_NO_FLUSH);
        out->n += step - z->avail_out;
        if (out->n - before > size_max) {
            return pl_fail(err, PL_TOO_LARGE, "gzip: output passes %zu bytes", size_max);
        }
        if (rc == Z_STREAM_END && z->avail_in == 0) {
            return PL_OK;
        }
        if (rc == Z_STREAM_END) { /* members may follow one another */
            rc = inflateReset(z);
        }
        if (rc != Z_OK || (z->avail_in == 0 && z->avail_out > 0)) {
            return pl_fail(err, PL_INVALID, "gzip: corrupt input");
        }
    }
}

pl_status gzip_decode(struct pl_buf *out, pl_str in, size_t size_max, struct pl_err *err)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)in.p, .avail_in = (uInt)in.n};
    size_t before = out->n;
    pl_status st;

    if (in.n > UINT32_MAX / 2 || size_max > SIZE_MAX / 2) {
        return pl_fail(err, PL_TOO_LARGE, "gzip: input of %zu bytes is too large", in.n);
    }
    if (inflateInit2(&z, GZIP_WINDOW) != Z_OK) {
        return pl_fail(err, PL_NOMEM, "gzip: out of memory");
    }
    st = inflate_all(&z, out, size_max, err);
    (void)inflateEnd(&z);
    if (st != PL_OK) {
        out->n = before;
    }
    return st;
}
