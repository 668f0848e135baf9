#include "ctl/file.h"

#include <errno.h>
#include <stdio.h>

pl_status ctl_file_read(struct pl_buf *out, const char *path, struct pl_err *err)
{
    bool standard = strcmp(path, "-") == 0;
    FILE *f = standard ? stdin : fopen(path, "rb");
    const char *name = standard ? "standard input" : path;
    size_t start = out->n, n = 1;
    pl_status st = PL_OK;

    if (f == NULL) {
        return pl_fail(err, errno == ENOENT ? PL_NOT_FOUND : PL_IO, "%s: %s", name, strerror(errno));
    }
    while (n > 0 && out->n - start <= CTL_FILE_MAX) {
        char *p = pl_buf_reserve(out, 1 << 16);

        PL_ASSERT(p != NULL); /* the caller's buffer has no limit */
        n = fread(p, 1, 1 << 16, f);
        out->n += n;
    }
    if (ferror(f) != 0) {
        st = pl_fail(err, PL_IO, "%s: %s", name, strerror(errno));
    } else if (n > 0) {
        st = pl_fail(err, PL_TOO_LARGE, "%s: longer than %d bytes", name, CTL_FILE_MAX);
    }
    if (!standard) {
        (void)fclose(f);
    }
    return st;
}
