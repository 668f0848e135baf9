/* codec/snappy.h - snappy block format (remote write bodies, WAL records). Library: libsnappy. */
#ifndef PL_CODEC_SNAPPY_H
#define PL_CODEC_SNAPPY_H

#include "base/base.h"
#include "base/buf.h"

/* The decoded size that the header states; false when the header is malformed. Check it against a limit first. */
bool snappy_decoded_size(pl_str in, size_t *out);
/* Can so few bytes decode to that many? False exposes a header that lies, before memory is taken for it. */
bool snappy_size_plausible(pl_str in, size_t decoded_size);
/* Decodes into out (room for decoded size, checked). PL_INVALID "snappy: corrupt input". */
PL_MUST_USE pl_status snappy_decode(char *out, size_t out_size, pl_str in, struct pl_err *err);
void snappy_encode(struct pl_buf *out, pl_str in); /* appends */

#endif
