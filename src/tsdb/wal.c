#include "tsdb/wal.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/sync.h"
#include "codec/snappy.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PROBE_BYTES = 65536, CUTS_MAX = 64 };

/* Framed records that wait for the leader. `cut` are offsets in buf where a new segment begins. */
struct wal_batch {
    struct pl_buf buf;
    size_t *cut;
    size_t cut_count, cut_cap;
};

struct wal {
    char *dir; /* owned */
    uint64_t segment_bytes;
    bool snappy;
    struct pl_mutex lock;
    struct pl_cond done;
    /* locked by `lock` */
    struct wal_batch fill; /* open for records */
    uint64_t fill_id;      /* number of `fill`; rises when a leader takes it */
    uint64_t done_id;      /* all batches up to here are written or failed */
    uint64_t failures;
    int last_errno;
    bool leader_active;
    bool failed;         /* the last write failed: probe before taking more */
    uint64_t framed_off; /* offset in its segment where the next record will be framed */
    /* owned by the leader */
    struct wal_batch writing;
    int fd;
    uint32_t segment;
    uint64_t written_off;      /* bytes of the segment known good */
    int finished_fd[CUTS_MAX]; /* ended segments, to be fsynced after the waiters are woken */
    size_t finished_count;
};

static int segment_open(struct wal *w, uint32_t segment)
{
    char path[PATH_MAX + 16];

    (void)snprintf(path, sizeof(path), "%s/%08u", w->dir, segment);
    return open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
}

static void dir_sync(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd >= 0) {
        (void)fsync(fd);
        (void)close(fd);
    }
}

pl_status wal_create(struct wal **out, pl_str dir, uint32_t segment, uint64_t segment_bytes, bool snappy,
                     struct pl_err *err)
{
    struct wal *w = pl_new(struct wal);

    w->dir = pl_str_dup(dir);
    w->segment_bytes = PL_MAX(segment_bytes, (uint64_t)WAL_PAGE_BYTES * 2);
    w->snappy = snappy;
    w->segment = segment;
    w->fill_id = 1;
    w->fd = segment_open(w, segment);
    if (w->fd < 0) {
        int e = errno;
        pl_free(w->dir);
        pl_free(w);
        return pl_fail(err, PL_IO, "create WAL segment %.*s/%08u: %s", PL_STR_ARG(dir), segment, strerror(e));
    }
    dir_sync(w->dir);
    pl_mutex_init(&w->lock, PL_RANK_WAL);
    pl_cond_init(&w->done);
    pl_buf_init(&w->fill.buf, 0);
    pl_buf_init(&w->writing.buf, 0);
    *out = w;
    return PL_OK;
}

/* ---- framing (lock held) ---- */

static void frame_zero(struct wal *w, size_t n)
{
    char *p = pl_buf_reserve(&w->fill.buf, n);

    memset(p, 0, n);
    w->fill.buf.n += n;
    w->framed_off += n;
}

static void frame_cut(struct wal *w)
{
    size_t in_page = (size_t)(w->framed_off % WAL_PAGE_BYTES);

    if (in_page != 0) {
        frame_zero(w, WAL_PAGE_BYTES - in_page);
    }
    pl_array_reserve(w->fill.cut, w->fill.cut_cap, w->fill.cut_count + 1);
    w->fill.cut[w->fill.cut_count++] = w->fill.buf.n;
    w->framed_off = 0;
}

/* Splits one record over pages; it never crosses a segment. */
static void frame_record(struct wal *w, const uint8_t *p, size_t n, uint8_t flags)
{
    size_t fragments = n / (WAL_PAGE_BYTES - WAL_FRAME_HEADER) + 2;
    bool first = true;

    if (w->framed_off + n + fragments * WAL_FRAME_HEADER > w->segment_bytes && w->framed_off > 0) {
        frame_cut(w);
    }
    do {
        size_t room = WAL_PAGE_BYTES - (size_t)(w->framed_off % WAL_PAGE_BYTES);
        size_t part;
        uint8_t *out, type;

        if (room < WAL_FRAME_HEADER) {
            frame_zero(w, room);
            room = WAL_PAGE_BYTES;
        }
        part = PL_MIN(n, room - WAL_FRAME_HEADER);
        if (first) {
            type = part == n ? WAL_FRAME_FULL : WAL_FRAME_FIRST;
        } else {
            type = part == n ? WAL_FRAME_LAST : WAL_FRAME_MIDDLE;
        }
        out = (uint8_t *)pl_buf_reserve(&w->fill.buf, WAL_FRAME_HEADER + part);
        out[0] = type | flags;
        pl_put_be16(out + 1, (uint16_t)part);
        pl_put_be32(out + 3, pl_crc32c(0, p, part));
        if (part > 0) {
            memcpy(out + WAL_FRAME_HEADER, p, part);
        }
        w->fill.buf.n += WAL_FRAME_HEADER + part;
        w->framed_off += WAL_FRAME_HEADER + part;
        p += part;
        n -= part;
        first = false;
    } while (n > 0);
}

void wal_add(struct wal *w, struct wal_ticket *t, const void *record, size_t n)
{
    struct pl_buf packed = {.p = NULL};
    uint8_t flags = 0;
    const void *p = record;

    if (w->snappy && n > 0) {
        snappy_encode(&packed, pl_str_of(record, n));
        if (packed.n < n) {
            p = packed.p;
            n = packed.n;
            flags = WAL_FRAME_SNAPPY;
        }
    }
    pl_mutex_lock(&w->lock);
    if (!t->used) {
        t->used = true;
        t->failures = w->failures;
    }
    frame_record(w, p, n, flags);
    t->batch = w->fill_id;
    pl_mutex_unlock(&w->lock);
    pl_buf_fini(&packed);
}

/* ---- writing (leader, lock not held) ---- */

/* Writes to the current segment at the known offset; 0 or an errno. */
static int piece_write(struct wal *w, const char *p, size_t n)
{
    uint64_t off = w->written_off;

    while (n > 0) {
        ssize_t got = pwrite(w->fd, p, n, (off_t)off);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got < 0 ? errno : ENOSPC;
        }
        p += got;
        n -= (size_t)got;
        off += (uint64_t)got;
    }
    w->written_off = off;
    return 0;
}

static int segment_next(struct wal *w)
{
    int fd = segment_open(w, w->segment + 1);

    if (fd < 0) {
        return errno;
    }
    if (w->finished_count == CUTS_MAX) {
        /* Only segments of a few pages get here, in tests. */
        (void)fdatasync(w->finished_fd[--w->finished_count]);
        (void)close(w->finished_fd[w->finished_count]);
    }
    w->finished_fd[w->finished_count++] = w->fd;
    w->fd = fd;
    w->segment++;
    w->written_off = 0;
    return 0;
}

static int batch_write(struct wal *w)
{
    size_t from = 0;

    for (size_t i = 0; i <= w->writing.cut_count; i++) {
        size_t to = i < w->writing.cut_count ? w->writing.cut[i] : w->writing.buf.n;
        int e = to > from ? piece_write(w, w->writing.buf.p + from, to - from) : 0;
        if (e == 0 && i < w->writing.cut_count) {
            e = segment_next(w);
        }
        if (e != 0) {
            /* Cut what was half written. Should this fail too, the next record overwrites it. */
            if (ftruncate(w->fd, (off_t)w->written_off) != 0) {
                pl_debug("cut WAL segment back", PL_KV_C("err", strerror(errno)));
            }
            return e;
        }
        from = to;
    }
    return 0;
}

static void batch_reset(struct wal_batch *b)
{
    enum { KEEP_BYTES = 256 << 10 }; /* of an idle tenant, twice */

    if (b->buf.cap > KEEP_BYTES) {
        pl_buf_fini(&b->buf);
        pl_buf_init(&b->buf, 0);
    }
    pl_buf_reset(&b->buf);
    b->cut_count = 0;
}

/* Takes the buffer, writes it without the lock, and wakes everyone. Lock held on entry and return. */
static void lead_locked(struct wal *w)
{
    struct wal_batch taken = w->fill;
    uint64_t id = w->fill_id;
    int e;

    w->fill = w->writing;
    w->writing = taken;
    w->fill_id++;
    w->leader_active = true;
    pl_mutex_unlock(&w->lock);

    e = batch_write(w);

    pl_mutex_lock(&w->lock);
    batch_reset(&w->writing);
    w->leader_active = false;
    w->done_id = id;
    w->failed = e != 0;
    if (e != 0) {
        /* What was framed behind the failed bytes has wrong page offsets: those callers fail too. */
        w->failures++;
        w->last_errno = e;
        batch_reset(&w->fill);
        w->done_id = w->fill_id;
        w->fill_id++;
        w->framed_off = w->written_off;
    }
    pl_cond_broadcast(&w->done);
}

static void finished_sync(int *fds, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (fdatasync(fds[i]) != 0) {
            pl_error("fsync of a WAL segment failed", PL_KV_C("err", strerror(errno)));
        }
        (void)close(fds[i]);
    }
}

static pl_status commit_until(struct wal *w, uint64_t batch, uint64_t failures, struct pl_err *err)
{
    int fds[CUTS_MAX];
    size_t fd_count = 0;
    bool failed;
    int e;

    pl_mutex_lock(&w->lock);
    while (w->done_id < batch) {
        if (w->leader_active) {
            pl_cond_wait(&w->done, &w->lock);
            continue;
        }
        lead_locked(w);
        memcpy(fds, w->finished_fd, w->finished_count * sizeof(fds[0]));
        fd_count = w->finished_count;
        w->finished_count = 0;
        PL_ASSERT(w->done_id >= batch);
    }
    failed = w->failures != failures;
    e = w->last_errno;
    pl_mutex_unlock(&w->lock);
    finished_sync(fds, fd_count);
    return failed ? pl_fail(err, PL_IO, "write to WAL: %s", strerror(e)) : PL_OK;
}

pl_status wal_commit(struct wal *w, const struct wal_ticket *t, struct pl_err *err)
{
    return t->used ? commit_until(w, t->batch, t->failures, err) : PL_OK;
}

pl_status wal_probe(struct wal *w, struct pl_err *err)
{
    int e = 0;

    pl_mutex_lock(&w->lock);
    if (w->failed && !w->leader_active) {
        w->leader_active = true; /* nobody writes meanwhile, and nobody waits for the disk with the lock */
        pl_mutex_unlock(&w->lock);
        /* Space kept behind the end costs nothing: the next records fill it. */
        if (fallocate(w->fd, FALLOC_FL_KEEP_SIZE, (off_t)w->written_off, PROBE_BYTES) != 0 &&
            (errno == ENOSPC || errno == EDQUOT || errno == EIO || errno == EFBIG)) {
            e = errno;
        }
        pl_mutex_lock(&w->lock);
        w->leader_active = false;
        w->failed = e != 0;
        pl_cond_broadcast(&w->done);
    }
    pl_mutex_unlock(&w->lock);
    return e != 0 ? pl_fail(err, PL_IO, "write to WAL: %s", strerror(e)) : PL_OK;
}

pl_status wal_roll(struct wal *w, uint32_t *segment, struct pl_err *err)
{
    uint64_t batch, failures;
    pl_status st;

    pl_mutex_lock(&w->lock);
    failures = w->failures;
    frame_cut(w);
    batch = w->fill_id;
    pl_mutex_unlock(&w->lock);
    st = commit_until(w, batch, failures, err);
    if (st == PL_OK) {
        pl_mutex_lock(&w->lock);
        while (w->leader_active) {
            pl_cond_wait(&w->done, &w->lock);
        }
        *segment = w->segment;
        pl_mutex_unlock(&w->lock);
    }
    return st;
}

pl_status wal_sync(struct wal *w, struct pl_err *err)
{
    int fd, e = 0;

    pl_mutex_lock(&w->lock);
    while (w->leader_active) {
        pl_cond_wait(&w->done, &w->lock);
    }
    fd = dup(w->fd);
    pl_mutex_unlock(&w->lock);
    if (fd < 0 || fdatasync(fd) != 0) {
        e = errno;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return e != 0 ? pl_fail(err, PL_IO, "fsync WAL: %s", strerror(e)) : PL_OK;
}

uint64_t wal_failures(struct wal *w)
{
    uint64_t n;

    pl_mutex_lock(&w->lock);
    n = w->failures;
    pl_mutex_unlock(&w->lock);
    return n;
}

void wal_close(struct wal *w)
{
    if (w == NULL) {
        return;
    }
    pl_mutex_lock(&w->lock);
    PL_ASSERT(!w->leader_active);
    if (w->fill.buf.n > 0) {
        lead_locked(w);
    }
    pl_mutex_unlock(&w->lock);
    finished_sync(w->finished_fd, w->finished_count);
    (void)fsync(w->fd);
    (void)close(w->fd);
    for (int i = 0; i < 2; i++) {
        struct wal_batch *b = i == 0 ? &w->fill : &w->writing;
        pl_buf_fini(&b->buf);
        pl_free(b->cut);
    }
    pl_cond_fini(&w->done);
    pl_mutex_fini(&w->lock);
    pl_free(w->dir);
    pl_free(w);
}
