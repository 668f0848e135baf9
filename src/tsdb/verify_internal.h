/* tsdb/verify_internal.h - shared by verify.c and verify_block.c only. */
#ifndef PL_TSDB_VERIFY_INTERNAL_H
#define PL_TSDB_VERIFY_INTERNAL_H

#include "tsdb/block.h"

/* One finding. `where` is the file, with "at offset N" where there is one. */
void verify__problem(struct verify_report *r, const char *where, const char *fmt, ...) PL_PRINTF(3, 4);
void verify__problem_at(struct verify_report *r, const char *path, uint64_t offset, const char *fmt, ...)
    PL_PRINTF(4, 5);
/* Room for the samples of one chunk. */
struct verify_scratch {
    int64_t *t;
    double *v;
};
/* Decodes an XOR chunk and compares it with the times stated for it. Returns its number of samples; a finding's text in
 * *why (NULL: none). Other encodings: the header's count. */
uint32_t verify__chunk(struct verify_scratch *s, const struct chunk_view *c, const char **why, struct pl_err *err);

void verify__block(struct verify_report *r, struct verify_scratch *scratch, const char *dir);

#endif
