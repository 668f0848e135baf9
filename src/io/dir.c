#include "io/dir.h"

#include "base/buf.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

pl_status dir_make(const char *path, struct pl_err *err)
{
    char *p = pl_str_dup(pl_str_c(path));
    pl_status st = PL_OK;

    for (char *at = p; st == PL_OK && *at != '\0';) {
        char c;

        at += strspn(at, "/");
        at += strcspn(at, "/");
        c = *at;
        *at = '\0';
        if (mkdir(p, 0777) != 0 && errno != EEXIST) {
            st = pl_fail(err, PL_IO, "create %s: %s", p, strerror(errno));
        }
        *at = c;
    }
    pl_free(p);
    return st;
}

static pl_status fail_locked(int fd, const char *dir, struct pl_err *err)
{
    char pid[24] = "";
    ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);

    pid[n > 0 ? n : 0] = '\0';
    pid[strspn(pid, "0123456789")] = '\0';
    return pl_fail(err, PL_CONFLICT, "data directory %s is in use by process %s", dir,
                   pid[0] != '\0' ? pid : "(unknown)");
}

pl_status dir_lock(int *fd, const char *dir, const char *name, struct pl_err *err)
{
    struct pl_buf path;
    pl_status st = PL_OK;
    int f;

    pl_buf_init(&path, 0);
    pl_buf_printf(&path, "%s/%s", dir, name);
    pl_buf_byte(&path, '\0');
    f = open(path.p, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (f < 0) {
        st = pl_fail(err, PL_IO, "open %s: %s", path.p, strerror(errno));
    } else if (flock(f, LOCK_EX | LOCK_NB) != 0) {
        st = errno == EWOULDBLOCK ? fail_locked(f, dir, err)
                                  : pl_fail(err, PL_IO, "lock %s: %s", path.p, strerror(errno));
        (void)close(f);
    } else {
        /* The number is for people only; a full disk must not keep us from opening. */
        if (ftruncate(f, 0) != 0 || dprintf(f, "%ld\n", (long)getpid()) < 0) {
            pl_warn("cannot write the lock file", PL_KV_C("file", path.p), PL_KV_C("err", strerror(errno)));
        }
        *fd = f;
    }
    pl_buf_fini(&path);
    return st;
}
