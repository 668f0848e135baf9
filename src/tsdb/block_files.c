#include "tsdb/block_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OUT_BUFFER_BYTES = 256 * 1024, TREE_DEPTH_MAX = 4 };

pl_status block__path(char out[static BLOCK_PATH_MAX], struct pl_err *err, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(out, BLOCK_PATH_MAX, fmt, ap);
    va_end(ap);
    if (n < 0 || n >= BLOCK_PATH_MAX) {
        return pl_fail(err, PL_INVALID, "path is too long: %.200s...", out);
    }
    return PL_OK;
}

pl_status file_map_open(struct file_map *m, const char *path, struct pl_err *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    void *p = NULL;

    if (fd < 0) {
        return pl_fail(err, errno == ENOENT ? PL_NOT_FOUND : PL_IO, "open %s: %s", path, strerror(errno));
    }
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        (void)close(fd);
        return pl_fail(err, PL_IO, "open %s: not a regular file", path);
    }
    if (st.st_size > 0) {
        p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED) {
            int why = errno;
            (void)close(fd);
            return pl_fail(err, PL_IO, "mmap %s: %s", path, strerror(why));
        }
    }
    (void)close(fd); /* the mapping stays */
    *m = (struct file_map){.p = p, .n = (size_t)st.st_size};
    return PL_OK;
}

void file_map_close(struct file_map *m)
{
    union {
        const uint8_t *in;
        void *out;
    } p = {.in = m->p};

    if (m->p != NULL) {
        PL_ASSERT(munmap(p.out, m->n) == 0);
    }
    *m = (struct file_map){.p = NULL};
}

pl_status file_out_open(struct file_out *f, const char *path, struct pl_err *err)
{
    *f = (struct file_out){.fd = -1};
    PL_TRY(block__path(f->path, err, "%s", path));
    f->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (f->fd < 0) {
        return pl_fail(err, PL_IO, "create %s: %s", path, strerror(errno));
    }
    f->buf = pl_alloc(OUT_BUFFER_BYTES);
    return PL_OK;
}

static void write_all(struct file_out *f, const uint8_t *p, size_t n)
{
    while (n > 0 && f->failed_errno == 0) {
        ssize_t got = write(f->fd, p, n);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            f->failed_errno = got < 0 ? errno : EIO;
            return;
        }
        p += got;
        n -= (size_t)got;
    }
}

static void out_flush(struct file_out *f)
{
    write_all(f, f->buf, f->used);
    f->used = 0;
}

void file_out_put(struct file_out *f, const void *p, size_t n)
{
    PL_ASSERT(f->fd >= 0);
    f->pos += n;
    if (n > OUT_BUFFER_BYTES - f->used) {
        out_flush(f);
        if (n >= OUT_BUFFER_BYTES) {
            write_all(f, p, n);
            return;
        }
    }
    if (n > 0) {
        memcpy(f->buf + f->used, p, n);
        f->used += n;
    }
}

void file_out_pad(struct file_out *f, size_t multiple)
{
    static const uint8_t zeros[16];
    size_t over = f->pos % multiple;

    PL_ASSERT(multiple <= sizeof(zeros));
    if (over > 0) {
        file_out_put(f, zeros, multiple - over);
    }
}

void file_out_patch(struct file_out *f, uint64_t at, const void *p, size_t n)
{
    PL_ASSERT(at + n <= f->pos);
    out_flush(f);
    if (f->failed_errno == 0 && pwrite(f->fd, p, n, (off_t)at) != (ssize_t)n) {
        f->failed_errno = errno != 0 ? errno : EIO;
    }
}

pl_status file_out_close(struct file_out *f, bool sync, struct pl_err *err)
{
    int why;

    PL_ASSERT(f->fd >= 0);
    out_flush(f);
    if (f->failed_errno == 0 && sync && fsync(f->fd) != 0) {
        f->failed_errno = errno;
    }
    if (close(f->fd) != 0 && f->failed_errno == 0) {
        f->failed_errno = errno;
    }
    f->fd = -1;
    pl_free(f->buf);
    f->buf = NULL;
    why = f->failed_errno;
    return why == 0 ? PL_OK : pl_fail(err, PL_IO, "write %s: %s", f->path, strerror(why));
}

void file_out_abandon(struct file_out *f)
{
    if (f->fd >= 0 && f->buf != NULL) {
        (void)close(f->fd);
    }
    pl_free(f->buf);
    f->buf = NULL;
    f->fd = -1;
}

pl_status block__mkdir(const char *path, struct pl_err *err)
{
    return mkdir(path, 0755) == 0 ? PL_OK : pl_fail(err, PL_IO, "mkdir %s: %s", path, strerror(errno));
}

pl_status block__sync_dir(const char *path, struct pl_err *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int bad = fd < 0 || fsync(fd) != 0 ? errno : 0;

    if (fd >= 0) {
        (void)close(fd);
    }
    return bad == 0 ? PL_OK : pl_fail(err, PL_IO, "fsync %s: %s", path, strerror(bad));
}

pl_status block__rename(const char *from, const char *to, struct pl_err *err)
{
    return rename(from, to) == 0 ? PL_OK : pl_fail(err, PL_IO, "rename %s to %s: %s", from, to, strerror(errno));
}

static pl_status remove_level(const char *path, int depth, struct pl_err *err)
{
    DIR *d = opendir(path);
    struct dirent *e;
    pl_status st = PL_OK;

    if (d == NULL) {
        return errno == ENOENT ? PL_OK : pl_fail(err, PL_IO, "open %s: %s", path, strerror(errno));
    }
    while (st == PL_OK && (e = readdir(d)) != NULL) {
        struct pl_buf child;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) {
            continue;
        }
        pl_buf_init(&child, 0);
        pl_buf_printf(&child, "%s/%s", path, e->d_name);
        pl_buf_byte(&child, '\0');
        if (unlink(child.p) != 0 && errno != ENOENT) {
            if ((errno == EISDIR || errno == EPERM) && depth < TREE_DEPTH_MAX) {
                st = remove_level(child.p, depth + 1, err);
            } else {
                st = pl_fail(err, PL_IO, "remove %s: %s", child.p, strerror(errno));
            }
        }
        pl_buf_fini(&child);
    }
    (void)closedir(d);
    if (st == PL_OK && rmdir(path) != 0) {
        st = pl_fail(err, PL_IO, "remove %s: %s", path, strerror(errno));
    }
    return st;
}

pl_status block__remove_tree(const char *path, struct pl_err *err)
{
    return remove_level(path, 0, err);
}

static bool is_block_leftover(pl_str name)
{
    struct ulid id;

    /* Only what a block writer or remover made: a ULID and one of the two endings. */
    return name.n > ULID_TEXT && ulid_parse(&id, pl_str_sub(name, 0, ULID_TEXT)) &&
           (pl_str_eq(pl_str_sub(name, ULID_TEXT, name.n), PL_STR(BLOCK_TMP_CREATE)) ||
            pl_str_eq(pl_str_sub(name, ULID_TEXT, name.n), PL_STR(BLOCK_TMP_DELETE)));
}

pl_status block_tmp_cleanup(pl_str dir, uint32_t *removed, struct pl_err *err)
{
    char path[BLOCK_PATH_MAX];
    struct dirent *e;
    pl_status st = PL_OK;
    uint32_t n = 0;
    DIR *d;

    PL_TRY(block__path(path, err, "%.*s", PL_STR_ARG(dir)));
    d = opendir(path);
    if (d == NULL) {
        return pl_fail(err, errno == ENOENT ? PL_NOT_FOUND : PL_IO, "open %s: %s", path, strerror(errno));
    }
    while ((e = readdir(d)) != NULL) {
        /* One that cannot be removed does not keep the others; the first failure is told. */
        struct pl_err *why = st == PL_OK ? err : NULL;
        pl_status one;
        if (!is_block_leftover(pl_str_c(e->d_name))) {
            continue;
        }
        one = block__path(path, why, "%.*s/%s", PL_STR_ARG(dir), e->d_name);
        if (one == PL_OK) {
            one = block__remove_tree(path, why);
        }
        n += one == PL_OK;
        st = st == PL_OK ? one : st;
    }
    (void)closedir(d);
    if (removed != NULL) {
        *removed = n;
    }
    return st;
}
