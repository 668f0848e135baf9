/* Block index, writing: version 2, spec prometheus.md 10.7.
 *
 * The symbol table stands first in the file but is known last, and series entries hold symbol numbers. So each series
 * goes as a record of pair numbers (a pair is one name="value") and chunk metas to a scratch file; at the end symbols
 * are sorted and numbered, the records are read back in order and become series entries, and each pair's postings fall
 * out ascending. Memory: each distinct string once, 20 to 40 bytes a pair, 4 bytes a label of a series (while
 * finishing). Measured with bench/block_bench.c, 1,000,000 series with 12 labels: 152 MB at the peak when each has a
 * pair of its own, 108 MB when ten share one. The bound is what the caller adds.
 */
#include "base/arena.h"
#include "base/hash.h"
#include "codec/varint.h"
#include "tsdb/block_internal.h"

#include <stdlib.h>
#include <unistd.h>

enum {
    TABLE_MIN = 1024,
    NONE = UINT32_MAX,
    SERIES_ALIGN = 16,
    TOC_FIELDS = 6,
    INDEX_FORMAT = 2,
};

struct pair {
    uint32_t name, value; /* symbol ids, then symbol numbers */
    uint32_t count;       /* series that have it */
    uint32_t postings;    /* where its refs begin in `refs` */
};

struct index_writer {
    struct pl_arena text; /* symbols' bytes, the last series' labels */
    pl_str *symbols;
    uint32_t symbol_count;
    size_t symbol_cap;
    struct pair *pairs;
    uint32_t pair_count;
    size_t pair_cap;
    /* Open addressing, sizes powers of two: ids or NONE. */
    uint32_t *symbol_table, *pair_table;
    uint32_t symbol_slots, pair_slots;
    /* The pairs of the last series: labels mostly repeat from one series to the next. */
    uint32_t *last;
    size_t last_n, last_cap;
    uint64_t series_count, label_count;
    uint64_t last_chunk_ref;
    char dir[BLOCK_PATH_MAX], scratch_path[BLOCK_PATH_MAX];
    struct file_out scratch, out;
    struct pl_buf body; /* one record or entry */
    uint32_t *refs;     /* postings of all pairs, one after the other */
    uint32_t *series_refs;
};

/* ---- symbols and pairs ---- */

static uint64_t pair_hash(uint32_t name, uint32_t value)
{
    uint64_t h = ((uint64_t)name << 32 | value) * UINT64_C(0x9E3779B97F4A7C15);

    return h ^ h >> 29;
}

/* A table twice as large, empty. */
static uint32_t *table_grow(uint32_t *old, uint32_t *slots)
{
    *slots = *slots == 0 ? TABLE_MIN : *slots * 2;
    pl_free(old);
    old = pl_alloc((size_t)*slots * sizeof(*old));
    memset(old, 0xff, (size_t)*slots * sizeof(*old));
    return old;
}

static void table_put(uint32_t *table, uint32_t slots, uint64_t hash, uint32_t id)
{
    uint32_t i = (uint32_t)hash & (slots - 1);

    while (table[i] != NONE) {
        i = (i + 1) & (slots - 1);
    }
    table[i] = id;
}

static uint32_t symbol_id(struct index_writer *w, pl_str s)
{
    uint64_t hash = pl_hash64(s.p, s.n);
    uint32_t i;
    char *copy;

    if ((uint64_t)w->symbol_count * 2 >= w->symbol_slots) {
        w->symbol_table = table_grow(w->symbol_table, &w->symbol_slots);
        for (uint32_t id = 0; id < w->symbol_count; id++) {
            table_put(w->symbol_table, w->symbol_slots, pl_hash64(w->symbols[id].p, w->symbols[id].n), id);
        }
    }
    for (i = (uint32_t)hash & (w->symbol_slots - 1); w->symbol_table[i] != NONE; i = (i + 1) & (w->symbol_slots - 1)) {
        if (pl_str_eq(w->symbols[w->symbol_table[i]], s)) {
            return w->symbol_table[i];
        }
    }
    pl_array_reserve(w->symbols, w->symbol_cap, (size_t)w->symbol_count + 1);
    copy = pl_arena_alloc(&w->text, s.n);
    memcpy(copy, s.p, s.n);
    w->symbols[w->symbol_count] = pl_str_of(copy, s.n);
    w->symbol_table[i] = w->symbol_count;
    return w->symbol_count++;
}

static uint32_t pair_id(struct index_writer *w, const struct label *l)
{
    uint32_t name = symbol_id(w, l->name), value = symbol_id(w, l->value), i;

    if ((uint64_t)w->pair_count * 2 >= w->pair_slots) {
        w->pair_table = table_grow(w->pair_table, &w->pair_slots);
        for (uint32_t id = 0; id < w->pair_count; id++) {
            table_put(w->pair_table, w->pair_slots, pair_hash(w->pairs[id].name, w->pairs[id].value), id);
        }
    }
    for (i = (uint32_t)pair_hash(name, value) & (w->pair_slots - 1); w->pair_table[i] != NONE;
         i = (i + 1) & (w->pair_slots - 1)) {
        const struct pair *p = &w->pairs[w->pair_table[i]];
        if (p->name == name && p->value == value) {
            return w->pair_table[i];
        }
    }
    pl_array_reserve(w->pairs, w->pair_cap, (size_t)w->pair_count + 1);
    w->pairs[w->pair_count] = (struct pair){.name = name, .value = value};
    w->pair_table[i] = w->pair_count;
    return w->pair_count++;
}

/* ---- life ---- */

pl_status index_writer_create(struct index_writer **out, const char *dir, struct pl_err *err)
{
    struct index_writer *w = pl_new(struct index_writer);
    pl_status st = block__path(w->dir, err, "%s", dir);

    w->scratch.fd = w->out.fd = -1;
    pl_arena_init(&w->text, 0);
    pl_buf_init(&w->body, 0);
    w->last_n = SIZE_MAX;
    if (st == PL_OK) {
        st = block__path(w->scratch_path, err, "%s/index.scratch", dir);
    }
    if (st == PL_OK) {
        st = file_out_open(&w->scratch, w->scratch_path, err);
    }
    if (st != PL_OK) {
        index_writer_destroy(w);
        return st;
    }
    /* COMPAT: Prometheus's head writes "" (the name of the postings of all series) into the symbol table. */
    (void)symbol_id(w, PL_STR(""));
    *out = w;
    return PL_OK;
}

void index_writer_destroy(struct index_writer *w)
{
    if (w == NULL) {
        return;
    }
    file_out_abandon(&w->scratch);
    file_out_abandon(&w->out);
    pl_arena_fini(&w->text);
    pl_buf_fini(&w->body);
    pl_free(w->symbols);
    pl_free(w->pairs);
    pl_free(w->symbol_table);
    pl_free(w->pair_table);
    pl_free(w->last);
    pl_free(w->refs);
    pl_free(w->series_refs);
    pl_free(w);
}

/* ---- adding ---- */

static struct label pair_label(const struct index_writer *w, uint32_t id)
{
    return (struct label){w->symbols[w->pairs[id].name], w->symbols[w->pairs[id].value]};
}

/* labels_cmp of the last series and this one. */
static int order_against_last(const struct index_writer *w, struct labels ls)
{
    for (size_t i = 0; i < PL_MIN(w->last_n, ls.n); i++) {
        struct label l = pair_label(w, w->last[i]);
        int c = pl_str_cmp(l.name, ls.v[i].name);
        c = c != 0 ? c : pl_str_cmp(l.value, ls.v[i].value);
        if (c != 0) {
            return c;
        }
    }
    return (w->last_n > ls.n) - (w->last_n < ls.n);
}

static pl_status check_labels(const struct index_writer *w, struct labels ls, struct pl_err *err)
{
    for (size_t i = 0; i < ls.n; i++) {
        if (ls.v[i].name.n == 0 || ls.v[i].value.n == 0) {
            return pl_fail(err, PL_INVALID, "index: a series has an empty label name or value");
        }
        if (i > 0 && pl_str_cmp(ls.v[i - 1].name, ls.v[i].name) >= 0) {
            return pl_fail(err, PL_INVALID, "index: label \"%.*s\" of a series is out of order",
                           PL_STR_ARG(ls.v[i].name));
        }
    }
    if (w->last_n != SIZE_MAX && order_against_last(w, ls) >= 0) {
        struct pl_buf b;
        pl_status st;
        pl_buf_init(&b, 0);
        labels_text(&b, ls);
        st = pl_fail(err, PL_INVALID, "index: series %.*s is out of order", PL_STR_ARG(pl_buf_view(&b)));
        pl_buf_fini(&b);
        return st;
    }
    if (w->series_count == UINT32_MAX || w->label_count + ls.n > UINT32_MAX) {
        return pl_fail(err, PL_INVALID, "index: more than 2^32 series or labels");
    }
    return PL_OK;
}

static void put_uvarint(struct pl_buf *b, uint64_t v)
{
    uint8_t *p = (uint8_t *)pl_buf_reserve(b, VARINT_MAX);

    b->n += (size_t)(uvarint_put(p, v) - p);
}

static void put_varint(struct pl_buf *b, int64_t v)
{
    uint8_t *p = (uint8_t *)pl_buf_reserve(b, VARINT_MAX);

    b->n += (size_t)(varint_put(p, v) - p);
}

/* The chunk part of a series entry as it will stand in the index. */
static pl_status put_chunks(struct index_writer *w, const struct index_chunk *chunks, uint32_t n, struct pl_err *err)
{
    put_uvarint(&w->body, n);
    for (uint32_t i = 0; i < n; i++) {
        const struct index_chunk *c = &chunks[i];
        if (c->maxt_ms < c->mint_ms || (i > 0 && c->mint_ms <= chunks[i - 1].maxt_ms)) {
            return pl_fail(err, PL_INVALID, "index: chunk %u of a series overlaps the one before it", i);
        }
        if (c->ref < w->last_chunk_ref) {
            return pl_fail(err, PL_INVALID, "index: chunk refs do not rise");
        }
        if (i == 0) {
            put_varint(&w->body, c->mint_ms);
        } else {
            put_uvarint(&w->body, (uint64_t)c->mint_ms - (uint64_t)chunks[i - 1].maxt_ms);
        }
        put_uvarint(&w->body, (uint64_t)c->maxt_ms - (uint64_t)c->mint_ms);
        if (i == 0) {
            put_uvarint(&w->body, c->ref);
        } else {
            put_varint(&w->body, (int64_t)(c->ref - chunks[i - 1].ref));
        }
        w->last_chunk_ref = c->ref;
    }
    return PL_OK;
}

pl_status index_writer_add(struct index_writer *w, struct labels ls, const struct index_chunk *chunks,
                           uint32_t chunk_count, struct pl_err *err)
{
    uint8_t head[VARINT_MAX];

    PL_TRY(check_labels(w, ls, err));
    pl_array_reserve(w->last, w->last_cap, ls.n);
    pl_buf_reset(&w->body);
    put_uvarint(&w->body, ls.n);
    for (size_t i = 0; i < ls.n; i++) {
        bool same = false;
        if (w->last_n != SIZE_MAX && i < w->last_n) {
            struct label l = pair_label(w, w->last[i]);
            same = pl_str_eq(l.value, ls.v[i].value) && pl_str_eq(l.name, ls.v[i].name);
        }
        if (!same) {
            w->last[i] = pair_id(w, &ls.v[i]);
        }
        w->pairs[w->last[i]].count++;
        put_uvarint(&w->body, w->last[i]);
    }
    w->last_n = ls.n;
    PL_TRY(put_chunks(w, chunks, chunk_count, err));
    file_out_put(&w->scratch, head, (size_t)(uvarint_put(head, w->body.n) - head));
    file_out_put(&w->scratch, w->body.p, w->body.n);
    w->series_count++;
    w->label_count += ls.n;
    return PL_OK;
}

/* ---- finishing ---- */

/* A section's bytes with their running CRC. */
static void put_crc(struct index_writer *w, const void *p, size_t n, uint32_t *crc)
{
    *crc = pl_crc32c(*crc, p, n);
    file_out_put(&w->out, p, n);
}

static void put_be32_crc(struct index_writer *w, uint32_t v, uint32_t *crc)
{
    uint8_t b[4];

    pl_put_be32(b, v);
    put_crc(w, b, sizeof(b), crc);
}

static void put_be32(struct index_writer *w, uint32_t v)
{
    uint8_t b[4];

    pl_put_be32(b, v);
    file_out_put(&w->out, b, sizeof(b));
}

struct numbered {
    pl_str s;
    uint32_t id;
};

static int numbered_cmp(const void *a, const void *b)
{
    const struct numbered *x = a, *y = b;

    return pl_str_cmp(x->s, y->s);
}

/* Sorts the symbols, writes their section and replaces ids by numbers in the pairs. */
static pl_status write_symbols(struct index_writer *w, struct pl_err *err)
{
    struct numbered *sorted = pl_alloc((size_t)w->symbol_count * sizeof(*sorted));
    uint32_t *number = pl_alloc((size_t)w->symbol_count * sizeof(*number));
    uint64_t size = 4;
    uint32_t crc = 0;

    for (uint32_t i = 0; i < w->symbol_count; i++) {
        sorted[i] = (struct numbered){.s = w->symbols[i], .id = i};
        size += uvarint_size(w->symbols[i].n) + w->symbols[i].n;
    }
    if (size > UINT32_MAX) {
        pl_free(sorted);
        pl_free(number);
        return pl_fail(err, PL_INVALID, "index: the symbol table would be larger than 4 GiB");
    }
    qsort(sorted, w->symbol_count, sizeof(*sorted), numbered_cmp);
    put_be32(w, (uint32_t)size);
    put_be32_crc(w, w->symbol_count, &crc);
    for (uint32_t i = 0; i < w->symbol_count; i++) {
        uint8_t head[VARINT_MAX];
        put_crc(w, head, (size_t)(uvarint_put(head, sorted[i].s.n) - head), &crc);
        put_crc(w, sorted[i].s.p, sorted[i].s.n, &crc);
        number[sorted[i].id] = i;
        w->symbols[i] = sorted[i].s;
    }
    put_be32(w, crc);
    for (uint32_t i = 0; i < w->pair_count; i++) {
        w->pairs[i].name = number[w->pairs[i].name];
        w->pairs[i].value = number[w->pairs[i].value];
    }
    pl_free(sorted);
    pl_free(number);
    return PL_OK;
}

/* Turns one record into a series entry; its ref goes to the postings of its pairs. */
static pl_status write_entry(struct index_writer *w, const uint8_t *p, const uint8_t *end, uint32_t series,
                             struct pl_err *err)
{
    uint8_t head[VARINT_MAX];
    uint64_t label_count = 0, pair, ref;

    file_out_pad(&w->out, SERIES_ALIGN);
    ref = w->out.pos / SERIES_ALIGN;
    if (ref > UINT32_MAX) {
        return pl_fail(err, PL_INVALID, "index: larger than 64 GiB");
    }
    w->series_refs[series] = (uint32_t)ref;
    p = uvarint_get(p, end, &label_count);
    pl_buf_reset(&w->body);
    put_uvarint(&w->body, label_count);
    for (uint64_t i = 0; p != NULL && i < label_count; i++) {
        p = uvarint_get(p, end, &pair);
        if (p == NULL || pair >= w->pair_count) {
            p = NULL;
            break;
        }
        struct pair *pr = &w->pairs[pair];
        put_uvarint(&w->body, pr->name);
        put_uvarint(&w->body, pr->value);
        w->refs[pr->postings++] = (uint32_t)ref;
    }
    if (p == NULL) {
        return pl_fail(err, PL_CORRUPT, "%s: changed while it was in use", w->scratch_path);
    }
    pl_buf_add(&w->body, p, (size_t)(end - p));
    file_out_put(&w->out, head, (size_t)(uvarint_put(head, w->body.n) - head));
    file_out_put(&w->out, w->body.p, w->body.n);
    put_be32(w, pl_crc32c(0, w->body.p, w->body.n));
    return PL_OK;
}

static pl_status write_series(struct index_writer *w, struct pl_err *err)
{
    struct file_map m = {.p = NULL};
    const uint8_t *p, *end;
    uint32_t at = 0;
    pl_status st = PL_OK;

    for (uint32_t i = 0; i < w->pair_count; i++) {
        w->pairs[i].postings = at;
        at += w->pairs[i].count;
    }
    PL_ASSERT(at == w->label_count);
    w->refs = pl_alloc((size_t)at * sizeof(*w->refs));
    w->series_refs = pl_alloc((size_t)w->series_count * sizeof(*w->series_refs));
    PL_TRY(file_map_open(&m, w->scratch_path, err));
    p = m.p;
    end = p + m.n;
    for (uint64_t i = 0; st == PL_OK && i < w->series_count; i++) {
        uint64_t n = 0;
        p = uvarint_get(p, end, &n);
        if (p == NULL || n > (uint64_t)(end - p)) {
            st = pl_fail(err, PL_CORRUPT, "%s: changed while it was in use", w->scratch_path);
            break;
        }
        st = write_entry(w, p, p + n, (uint32_t)i, err);
        p += n;
    }
    file_map_close(&m);
    return st;
}

static uint64_t write_postings_list(struct index_writer *w, const uint32_t *refs, uint32_t n)
{
    uint64_t at;
    uint32_t crc = 0;

    file_out_pad(&w->out, 4);
    at = w->out.pos;
    put_be32(w, 4 + 4 * n);
    put_be32_crc(w, n, &crc);
    for (uint32_t i = 0; i < n; i++) {
        PL_DCHECK(i == 0 || refs[i] > refs[i - 1]);
        put_be32_crc(w, refs[i], &crc);
    }
    put_be32(w, crc);
    return at;
}

struct pair_order {
    uint64_t key; /* name number, value number */
    uint32_t id;
    uint64_t at; /* its postings in the file */
};

static int pair_order_cmp(const void *a, const void *b)
{
    const struct pair_order *x = a, *y = b;

    return (x->key > y->key) - (x->key < y->key);
}

static void put_table_entry(struct index_writer *w, pl_str name, pl_str value, uint64_t at, uint32_t *crc)
{
    pl_buf_reset(&w->body);
    put_uvarint(&w->body, 2);
    put_uvarint(&w->body, name.n);
    pl_buf_str(&w->body, name);
    put_uvarint(&w->body, value.n);
    pl_buf_str(&w->body, value);
    put_uvarint(&w->body, at);
    put_crc(w, w->body.p, w->body.n, crc);
}

/* The postings of all series, then of each pair by name and value, then the table that says where they are. */
static pl_status write_postings(struct index_writer *w, uint64_t *table_at, struct pl_err *err)
{
    struct pair_order *order;
    uint64_t all_at, size;
    uint32_t crc = 0;
    uint8_t size_be[4];

    if (w->series_count > (UINT32_MAX - 4) / 4) {
        return pl_fail(err, PL_INVALID, "index: too many series for one postings list");
    }
    order = pl_alloc((size_t)w->pair_count * sizeof(*order));
    for (uint32_t i = 0; i < w->pair_count; i++) {
        order[i] = (struct pair_order){.key = (uint64_t)w->pairs[i].name << 32 | w->pairs[i].value, .id = i};
    }
    qsort(order, w->pair_count, sizeof(*order), pair_order_cmp);
    all_at = write_postings_list(w, w->series_refs, (uint32_t)w->series_count);
    for (uint32_t i = 0; i < w->pair_count; i++) {
        const struct pair *p = &w->pairs[order[i].id];
        /* Filling moved `postings` to the end of the pair's refs. */
        order[i].at = write_postings_list(w, w->refs + p->postings - p->count, p->count);
    }
    file_out_pad(&w->out, 4);
    *table_at = w->out.pos;
    put_be32(w, 0); /* the size, patched below */
    put_be32_crc(w, w->pair_count + 1, &crc);
    put_table_entry(w, PL_STR(""), PL_STR(""), all_at, &crc);
    for (uint32_t i = 0; i < w->pair_count; i++) {
        const struct pair *p = &w->pairs[order[i].id];
        put_table_entry(w, w->symbols[p->name], w->symbols[p->value], order[i].at, &crc);
    }
    pl_free(order);
    size = w->out.pos - *table_at - 4;
    put_be32(w, crc);
    if (size > UINT32_MAX) {
        return pl_fail(err, PL_INVALID, "index: the postings offset table would be larger than 4 GiB");
    }
    pl_put_be32(size_be, (uint32_t)size);
    file_out_patch(&w->out, *table_at, size_be, sizeof(size_be));
    return PL_OK;
}

static void write_toc(struct index_writer *w, const uint64_t fields[static TOC_FIELDS])
{
    uint8_t toc[TOC_FIELDS * 8 + CRC_SIZE];

    for (size_t i = 0; i < TOC_FIELDS; i++) {
        pl_put_be64(toc + 8 * i, fields[i]);
    }
    pl_put_be32(toc + TOC_FIELDS * 8, pl_crc32c(0, toc, TOC_FIELDS * 8));
    file_out_put(&w->out, toc, sizeof(toc));
}

pl_status index_writer_finish(struct index_writer *w, struct pl_err *err)
{
    static const uint8_t header[] = {0xba, 0xaa, 0xd7, 0x00, INDEX_FORMAT};
    uint64_t toc[TOC_FIELDS] = {0};
    char path[BLOCK_PATH_MAX];

    PL_TRY(file_out_close(&w->scratch, false, err));
    /* The tables that found ids are not needed any more; what follows needs their memory. */
    pl_free(w->symbol_table);
    pl_free(w->pair_table);
    w->symbol_table = w->pair_table = NULL;
    PL_TRY(block__path(path, err, "%s/index", w->dir));
    PL_TRY(file_out_open(&w->out, path, err));
    file_out_put(&w->out, header, sizeof(header));
    toc[0] = w->out.pos;
    PL_TRY(write_symbols(w, err));
    file_out_pad(&w->out, SERIES_ALIGN);
    toc[1] = w->out.pos;
    PL_TRY(write_series(w, err));
    /* COMPAT: the label index and its offset table are no longer written; Prometheus lets the TOC point at what
     * follows. */
    toc[2] = w->out.pos;
    file_out_pad(&w->out, 4);
    toc[4] = w->out.pos;
    PL_TRY(write_postings(w, &toc[5], err));
    toc[3] = toc[5];
    write_toc(w, toc);
    PL_TRY(file_out_close(&w->out, true, err));
    if (unlink(w->scratch_path) != 0) {
        return pl_fail(err, PL_IO, "remove %s", w->scratch_path);
    }
    return PL_OK;
}
