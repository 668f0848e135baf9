#include "codec/snappy.h"

#include <snappy-c.h>

/* The densest element is a three-byte copy that yields 64 bytes. */
enum { EXPANSION_NUM = 64, EXPANSION_DEN = 3 };

bool snappy_decoded_size(pl_str in, size_t *out)
{
    return snappy_uncompressed_length(in.p, in.n, out) == SNAPPY_OK;
}

bool snappy_size_plausible(pl_str in, size_t decoded_size)
{
    return decoded_size / EXPANSION_NUM <= in.n / EXPANSION_DEN + 1;
}

pl_status snappy_decode(char *out, size_t out_size, pl_str in, struct pl_err *err)
{
    size_t n = out_size;

    if (snappy_uncompress(in.p, in.n, out, &n) != SNAPPY_OK) {
        return pl_fail(err, PL_INVALID, "snappy: corrupt input");
    }
    return PL_OK;
}

void snappy_encode(struct pl_buf *out, pl_str in)
{
    size_t n = snappy_max_compressed_length(in.n);
    char *at = pl_buf_reserve(out, n);

    if (at == NULL) {
        return;
    }
    PL_ASSERT(snappy_compress(in.p, in.n, at, &n) == SNAPPY_OK);
    out->n += n;
}
