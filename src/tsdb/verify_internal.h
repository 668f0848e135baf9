/* tsdb/verify_internal.h - shared by verify.c and verify_block.c only. */
#ifndef PL_TSDB_VERIFY_INTERNAL_H
#define PL_TSDB_VERIFY_INTERNAL_H

#include "tsdb/block.h"
#include "tsdb/chunk_samples.h"
#include "tsdb/verify.h"

/* One finding. `where` is the file, with "at offset N" where there is one. */
void verify__problem(struct verify_report *r, const char *where, const char *fmt, ...) PL_PRINTF(3, 4);
void verify__problem_at(struct verify_report *r, const char *path, uint64_t offset, const char *fmt, ...)
    PL_PRINTF(4, 5);
/* Decodes a chunk and compares it with the times stated for it. Returns its number of samples; a finding's text in *why
 * (NULL: none). Encodings that are known but not read: the header's count. */
uint32_t verify__chunk(struct chunk_samples *s, const struct chunk_view *c, const char **why, struct pl_err *err);

void verify__block(struct verify_report *r, struct chunk_samples *scratch, const char *dir);

#endif
