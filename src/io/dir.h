/* io/dir.h - a folder that belongs to one process.
 *
 * Promise: a lock lasts as long as its descriptor is open and ends with the process, however that ends; the lock file
 * stays. Threads: any. All of it may block.
 */
#ifndef PL_IO_DIR_H
#define PL_IO_DIR_H

#include "base/base.h"

/* PL_BLOCKING. Makes the folder and those above it that are missing. PL_IO "create PATH: why". */
PL_MUST_USE pl_status dir_make(const char *path, struct pl_err *err);
/* PL_BLOCKING. Locks the file `name` in the folder, *fd is the caller's to close; the file's text is this process's id.
 * PL_CONFLICT "data directory DIR is in use by process N", PL_IO "open PATH: why". */
PL_MUST_USE pl_status dir_lock(int *fd, const char *dir, const char *name, struct pl_err *err);

#endif
