/* ctl/file.h - whole files into memory. */
#ifndef PL_CTL_FILE_H
#define PL_CTL_FILE_H

#include "base/base.h"
#include "base/buf.h"

enum { CTL_FILE_MAX = 256 << 20 };

/* Appends the file; "-" is standard input. PL_NOT_FOUND, PL_IO, PL_TOO_LARGE name it. */
PL_MUST_USE pl_status ctl_file_read(struct pl_buf *out, const char *path, struct pl_err *err);

#endif
