/* tsdb/wal_zstd.h - private to tsdb/: reads the zstd records that Prometheus may write. Library: libzstd. */
#ifndef PL_TSDB_WAL_ZSTD_H
#define PL_TSDB_WAL_ZSTD_H

#include "base/base.h"

/* The decoded size; false when the frame is malformed or does not state one. */
bool wal_zstd_size(pl_str in, size_t *out);
PL_MUST_USE pl_status wal_zstd_decode(char *out, size_t size, pl_str in, struct pl_err *err);

#endif
