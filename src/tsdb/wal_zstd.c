#include "tsdb/wal_zstd.h"

#include <zstd.h>

bool wal_zstd_size(pl_str in, size_t *out)
{
    unsigned long long n = ZSTD_getFrameContentSize(in.p, in.n);

    if (n == ZSTD_CONTENTSIZE_UNKNOWN || n == ZSTD_CONTENTSIZE_ERROR || n > SIZE_MAX / 2) {
        return false;
    }
    *out = (size_t)n;
    return true;
}

pl_status wal_zstd_decode(char *out, size_t size, pl_str in, struct pl_err *err)
{
    size_t got = ZSTD_decompress(out, size, in.p, in.n);

    if (ZSTD_isError(got)) {
        return pl_fail(err, PL_CORRUPT, "zstd: %s", ZSTD_getErrorName(got));
    }
    return got == size ? PL_OK : pl_fail(err, PL_CORRUPT, "zstd: %zu bytes instead of %zu", got, size);
}
