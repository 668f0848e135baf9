/* codec/gzip.h - whole buffers to and from gzip (RFC 1952). Library: zlib. */
#ifndef PL_CODEC_GZIP_H
#define PL_CODEC_GZIP_H

#include "base/base.h"
#include "base/buf.h"

/* Appends `in`, compressed, to out. Level 1 (fast) to 9 (small). False when out's limit was met: its n is then as
 * before. */
PL_MUST_USE bool gzip_encode(struct pl_buf *out, pl_str in, int level);
/* Appends the decoded bytes to out, at most size_max of them. PL_INVALID on corrupt or cut input, PL_TOO_LARGE past
 * size_max. */
PL_MUST_USE pl_status gzip_decode(struct pl_buf *out, pl_str in, size_t size_max, struct pl_err *err);

#endif
