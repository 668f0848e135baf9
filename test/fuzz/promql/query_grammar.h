/* Queries out of bytes: every choice of the grammar takes one, so that a fuzzer that changes a byte changes a part of
 * the query, and almost all it tries is valid. */
#ifndef PL_FUZZ_QUERY_GRAMMAR_H
#define PL_FUZZ_QUERY_GRAMMAR_H

#include "base/buf.h"

void query_from_bytes(struct pl_buf *out, const uint8_t *data, size_t size);

#endif
