/* A WAL segment's bytes. The first byte asks for repaired checksums, so that the decoders behind them are reached.
 * Properties: the good prefix is clean and gives the same records again; record decoders stay inside their bytes (the
 * sanitizers watch) and their labels are sorted, unique and not empty. */
#include "base/hash.h"
#include "tsdb/wal.h"
#include "tsdb/wal_hist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sum {
    uint64_t records, bytes, hash;
    struct pl_buf scratch;
};

static pl_status on_series(void *arg, uint64_t ref, struct labels ls, struct pl_err *err)
{
    struct sum *s = arg;

    (void)err;
    for (size_t i = 0; i < ls.n; i++) {
        PL_ASSERT(ls.v[i].value.n > 0);
        PL_ASSERT(i == 0 || pl_str_cmp(ls.v[i - 1].name, ls.v[i].name) < 0);
        s->hash =
            s->hash * 31 + pl_hash64(ls.v[i].name.p, ls.v[i].name.n) + pl_hash64(ls.v[i].value.p, ls.v[i].value.n);
    }
    s->hash += ref;
    return PL_OK;
}

static void on_samples(struct sum *s, const uint8_t *p, size_t n)
{
    struct wal_samples_iter it;
    struct wal_sample v[64];
    size_t got;

    if (wal_samples_begin(&it, p, n, NULL) != PL_OK) {
        return;
    }
    while (wal_samples_next(&it, v, PL_ARRAY_LEN(v), &got, NULL) == PL_OK && got > 0) {
        for (size_t i = 0; i < got; i++) {
            s->hash = s->hash * 31 + v[i].ref + (uint64_t)v[i].t + pl_f64_bits(v[i].v);
        }
    }
}

/* What is given out as valid survives writing and reading. */
static void on_hist(struct sum *s, const struct wal_hist *x, struct pl_arena *a)
{
    struct pl_buf b = {.p = NULL};
    struct wal_hists it;
    struct wal_hist again;
    bool more;

    PL_ASSERT(pl_is_stale(x->h->sum) || hist_validate(x->h, NULL) == PL_OK);
    wal_hist_encode(&b, x->ref, x->t, x->h, x->whole);
    PL_ASSERT(wal_hists_begin(&it, (const uint8_t *)b.p, b.n, NULL) == PL_OK);
    PL_ASSERT(wal_hists_next(&it, a, &again, &more, NULL) == PL_OK && more && again.h != NULL);
    PL_ASSERT(again.ref == x->ref && again.t == x->t && again.whole == x->whole && again.h->hint == x->h->hint);
    PL_ASSERT(hist_equal(again.h, x->h) || !(x->h->count < 0x1p53));
    s->hash = s->hash * 31 + pl_f64_bits(x->h->sum) + x->h->pos.len;
    pl_buf_fini(&b);
}

static void on_hists(struct sum *s, const uint8_t *p, size_t n)
{
    struct wal_hists it;
    struct wal_hist x;
    struct pl_arena a;
    bool more = true;

    pl_arena_init(&a, 64 << 20);
    if (wal_hists_begin(&it, p, n, NULL) == PL_OK) {
        while (more && wal_hists_next(&it, &a, &x, &more, NULL) == PL_OK) {
            if (more && x.h != NULL) {
                on_hist(s, &x, &a);
            }
            pl_arena_reset(&a);
        }
    }
    pl_arena_fini(&a);
}

static pl_status on_record(void *arg, const uint8_t *p, size_t n, struct pl_err *err)
{
    struct sum *s = arg;

    (void)err;
    s->records++;
    s->bytes += n;
    s->hash = s->hash * 31 + pl_hash64(p, n);
    if (n > 0 && p[0] == WAL_REC_SERIES) {
        if (wal_decode_series(p + 1, n - 1, &s->scratch, on_series, s, NULL) != PL_OK) {
            s->hash++;
        }
    } else if (n > 0 && p[0] == WAL_REC_SAMPLES) {
        on_samples(s, p + 1, n - 1);
    } else if (n > 0 && wal_record_is_hist(p[0])) {
        on_hists(s, p, n);
    }
    return PL_OK;
}

/* Gives every fragment that fits the checksum of its bytes. */
static void checksums_repair(uint8_t *p, size_t n)
{
    size_t at = 0;

    while (at + WAL_FRAME_HEADER <= n) {
        size_t page_left = WAL_PAGE_BYTES - at % WAL_PAGE_BYTES, len;
        if (page_left < WAL_FRAME_HEADER || p[at] == 0) {
            at += page_left;
            continue;
        }
        len = pl_get_be16(p + at + 1);
        if (len > page_left - WAL_FRAME_HEADER || len > n - at - WAL_FRAME_HEADER) {
            return;
        }
        pl_put_be32(p + at + 3, pl_crc32c(0, p + at + WAL_FRAME_HEADER, len));
        at += WAL_FRAME_HEADER + len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sum one = {.records = 0}, two = {.records = 0};
    struct wal_scan a = {.record = on_record, .arg = &one}, b = {.record = on_record, .arg = &two};
    struct pl_err err = {.msg = ""};
    enum wal_scan_end end;
    uint8_t *p;
    size_t n;

    if (size == 0) {
        return 0;
    }
    n = size - 1;
    p = pl_alloc(n + 1);
    memcpy(p, data + 1, n);
    if (data[0] & 1) {
        checksums_repair(p, n);
    }
    end = wal_scan(&a, p, n, &err);
    PL_ASSERT(a.good_bytes <= n && a.records == one.records);
    PL_ASSERT((end == WAL_SCAN_CLEAN) == (err.msg[0] == '\0'));
    PL_ASSERT(wal_scan(&b, p, (size_t)a.good_bytes, &err) == WAL_SCAN_CLEAN);
    PL_ASSERT(two.records == one.records && two.bytes == one.bytes && two.hash == one.hash);
    pl_buf_fini(&one.scratch);
    pl_buf_fini(&two.scratch);
    pl_free(p);
    return 0;
}
