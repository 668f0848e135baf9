/* The files of a log: which there are, where they lie, and taking away what is no longer needed. */
#include "tsdb/wal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool digits8(const char *name, uint32_t *out)
{
    uint64_t v;
    pl_str s = pl_str_c(name);

    if (s.n < 8 || !pl_str_to_u64(s, &v) || v > UINT32_MAX) {
        return false;
    }
    *out = (uint32_t)v;
    return true;
}

static int segment_cmp(const void *a, const void *b)
{
    const struct wal_segment *x = a, *y = b;

    if (x->checkpoint != y->checkpoint) {
        return x->checkpoint ? -1 : 1;
    }
    return (x->number > y->number) - (x->number < y->number);
}

struct name_list {
    struct wal_segment *v;
    size_t n, cap;
};

static pl_status segments_of(struct name_list *l, const char *dir, bool checkpoint, struct wal_files *f,
                             struct pl_err *err)
{
    DIR *d = opendir(dir);
    struct dirent *e;

    if (d == NULL) {
        return errno == ENOENT ? PL_OK : pl_fail(err, PL_IO, "read WAL directory %s: %s", dir, strerror(errno));
    }
    while ((e = readdir(d)) != NULL) {
        uint32_t number;
        pl_str name = pl_str_c(e->d_name);

        if (digits8(e->d_name, &number)) {
            pl_array_reserve(l->v, l->cap, l->n + 1);
            l->v[l->n++] = (struct wal_segment){.number = number, .checkpoint = checkpoint};
            if (!checkpoint) {
                f->next = PL_MAX(f->next, number + 1);
            }
        } else if (!checkpoint && pl_str_starts(name, PL_STR("checkpoint.")) && digits8(e->d_name + 11, &number)) {
            if (!f->has_checkpoint || number > f->checkpoint) {
                f->checkpoint = number;
                f->has_checkpoint = true;
            }
        }
    }
    (void)closedir(d);
    return PL_OK;
}

pl_status wal_list(struct wal_files *f, pl_str dir, struct pl_arena *a, struct pl_err *err)
{
    struct name_list l = {.v = NULL};
    size_t kept = 0;
    pl_status st;

    *f = (struct wal_files){.v = NULL};
    st = segments_of(&l, pl_arena_str(a, dir).p, false, f, err);
    if (st == PL_OK && f->has_checkpoint) {
        st =
            segments_of(&l, pl_arena_printf(a, "%.*s/checkpoint.%08u", PL_STR_ARG(dir), f->checkpoint).p, true, f, err);
        f->next = PL_MAX(f->next, f->checkpoint + 1);
    }
    if (st == PL_OK && l.n > 0) {
        qsort(l.v, l.n, sizeof(*l.v), segment_cmp);
        f->v = pl_arena_alloc(a, l.n * sizeof(*l.v));
        for (size_t i = 0; i < l.n; i++) {
            /* Segments that the checkpoint covers are left-overs of a cut-off truncation. */
            if (l.v[i].checkpoint || !f->has_checkpoint || l.v[i].number > f->checkpoint) {
                f->v[kept++] = l.v[i];
            }
        }
        f->n = kept;
    }
    pl_free(l.v);
    return st;
}

pl_str wal_segment_path(struct pl_arena *a, pl_str dir, const struct wal_files *f, const struct wal_segment *s)
{
    return s->checkpoint ? pl_arena_printf(a, "%.*s/checkpoint.%08u/%08u", PL_STR_ARG(dir), f->checkpoint, s->number)
                         : pl_arena_printf(a, "%.*s/%08u", PL_STR_ARG(dir), s->number);
}

static void checkpoint_remove(const char *path)
{
    DIR *d = opendir(path);
    struct dirent *e;
    char file[PATH_MAX + 600];

    while (d != NULL && (e = readdir(d)) != NULL) {
        uint32_t number;
        if (digits8(e->d_name, &number)) {
            (void)snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
            (void)unlink(file);
        }
    }
    if (d != NULL) {
        (void)closedir(d);
    }
    (void)rmdir(path);
}

/* An empty checkpoint says "start at the next segment" to us and to Prometheus, which otherwise wants segment 0. Its
 * rename is the moment at which the older segments stop to count. */
static __attribute__((noinline)) pl_status checkpoint_mark(const char *base, uint32_t number, struct pl_err *err)
{
    char tmp[PATH_MAX + 64], path[PATH_MAX + 64], file[PATH_MAX + 96];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/checkpoint.%08u", base, number);
    (void)snprintf(tmp, sizeof(tmp), "%s/checkpoint.%08u.tmp", base, number);
    (void)snprintf(file, sizeof(file), "%s/00000000", tmp);
    checkpoint_remove(tmp);
    if (mkdir(tmp, 0777) != 0) {
        return pl_fail(err, PL_IO, "create %s: %s", tmp, strerror(errno));
    }
    fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0 || fsync(fd) != 0) {
        int e = errno;
        if (fd >= 0) {
            (void)close(fd);
        }
        return pl_fail(err, PL_IO, "create %s: %s", file, strerror(e));
    }
    (void)close(fd);
    if (rename(tmp, path) != 0) {
        return pl_fail(err, PL_IO, "rename %s: %s", tmp, strerror(errno));
    }
    fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        (void)close(fd);
    }
    return PL_OK;
}

pl_status wal_delete_before(pl_str dir, uint32_t segment, struct pl_err *err)
{
    char base[PATH_MAX], path[PATH_MAX + 300];
    DIR *d;
    struct dirent *e;
    pl_status st = PL_OK;

    PL_ASSERT(segment > 0 && dir.n < sizeof(base));
    (void)snprintf(base, sizeof(base), "%.*s", PL_STR_ARG(dir));
    PL_TRY(checkpoint_mark(base, segment - 1, err));
    d = opendir(base);
    if (d == NULL) {
        return pl_fail(err, PL_IO, "read WAL directory %s: %s", base, strerror(errno));
    }
    while ((e = readdir(d)) != NULL) {
        uint32_t number;
        (void)snprintf(path, sizeof(path), "%s/%s", base, e->d_name);
        if (pl_str_starts(pl_str_c(e->d_name), PL_STR("checkpoint."))) {
            if (!digits8(e->d_name + 11, &number) || number != segment - 1) {
                checkpoint_remove(path);
            }
        } else if (digits8(e->d_name, &number) && number < segment && unlink(path) != 0 && errno != ENOENT) {
            st = pl_fail(err, PL_IO, "delete WAL segment %s: %s", path, strerror(errno));
        }
    }
    (void)closedir(d);
    return st;
}
