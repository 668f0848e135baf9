/* Block index, reading: spec prometheus.md 10.7, versions 1 and 2.
 *
 * Opening checks the TOC, walks the symbol table and the postings offset table once (both CRC checked) and keeps a
 * sample of their offsets: about one byte a symbol and one eighth of a byte a label value. Series entries and postings
 * lists are checked when they are used. Version 1 differs in three ways: symbol refs are byte offsets, series refs too,
 * and the postings offset table is not sorted, so that all of its entries are kept and sorted here.
 */
#include "base/hash.h"
#include "codec/varint.h"
#include "tsdb/block_internal.h"

#include <stdlib.h>

enum {
    TOC_SIZE = 6 * 8 + CRC_SIZE,
    INDEX_HEADER = 5,
    SYMBOL_STRIDE = 8,
    ENTRY_STRIDE = 32,
    ENTRY_BYTES_MIN = 4, /* keys, two empty strings, offset */
    LABEL_BYTES_MIN = 2,
    CHUNK_BYTES_MIN = 3,
};

/* One entry of the postings offset table. */
struct entry {
    pl_str name, value;
    uint64_t postings;
};

static const uint8_t *str_get(const uint8_t *p, const uint8_t *end, pl_str *out)
{
    uint64_t n;

    p = uvarint_get(p, end, &n);
    if (p == NULL || n > (uint64_t)(end - p)) {
        return NULL;
    }
    *out = pl_str_of((const char *)p, n);
    return p + n;
}

/* A section "u32 length, bytes, CRC" at `at`: checks that it lies in the file and its CRC. */
static pl_status section(const struct index_reader *r, uint64_t at, const char *what, const uint8_t **p,
                         const uint8_t **end, struct pl_err *err)
{
    uint64_t limit = r->map.n - TOC_SIZE, size;

    if (at < INDEX_HEADER || at > limit || limit - at < 4 + CRC_SIZE) {
        return pl_fail(err, PL_CORRUPT, "index: %s at %llu: outside the file", what, (unsigned long long)at);
    }
    size = pl_get_be32(r->map.p + at);
    if (size > limit - at - 4 - CRC_SIZE) {
        return pl_fail(err, PL_CORRUPT, "index: %s at %llu: its length %llu goes past the file", what,
                       (unsigned long long)at, (unsigned long long)size);
    }
    *p = r->map.p + at + 4;
    *end = *p + size;
    if (pl_crc32c(0, *p, size) != pl_get_be32(*end)) {
        return pl_fail(err, PL_CORRUPT, "index: %s at %llu: checksum mismatch", what, (unsigned long long)at);
    }
    return PL_OK;
}

static pl_status toc_read(struct index_reader *r, struct pl_err *err)
{
    const uint8_t *toc;
    uint64_t *const fields[] = {&r->symbols, &r->series, &r->label_indices, NULL, &r->postings, &r->postings_table};

    if (r->map.n < INDEX_HEADER + TOC_SIZE) {
        return pl_fail(err, PL_CORRUPT, "index: %zu bytes are too few", r->map.n);
    }
    if (pl_get_be32(r->map.p) != INDEX_MAGIC) {
        return pl_fail(err, PL_CORRUPT, "index: bad magic number %08x", pl_get_be32(r->map.p));
    }
    r->version = r->map.p[4];
    if (r->version != 1 && r->version != 2) {
        return pl_fail(err, PL_CORRUPT, "index: unknown version %d", r->version);
    }
    toc = r->map.p + r->map.n - TOC_SIZE;
    if (pl_crc32c(0, toc, TOC_SIZE - CRC_SIZE) != pl_get_be32(toc + TOC_SIZE - CRC_SIZE)) {
        return pl_fail(err, PL_CORRUPT, "index: checksum mismatch of the table of contents");
    }
    for (size_t i = 0; i < PL_ARRAY_LEN(fields); i++) {
        uint64_t at = pl_get_be64(toc + 8 * i);
        if (at > r->map.n - TOC_SIZE) {
            return pl_fail(err, PL_CORRUPT, "index: the table of contents points outside the file");
        }
        if (fields[i] != NULL) {
            *fields[i] = at;
        }
    }
    /* The series section has no length of its own: it ends where the next section begins. */
    r->series_end = r->map.n - TOC_SIZE;
    for (size_t i = 0; i < PL_ARRAY_LEN(fields); i++) {
        uint64_t at = pl_get_be64(toc + 8 * i);
        if (at > r->series && at < r->series_end) {
            r->series_end = at;
        }
    }
    return PL_OK;
}

static pl_status symbols_open(struct index_reader *r, struct pl_err *err)
{
    const uint8_t *p, *end;
    uint32_t count;

    PL_TRY(section(r, r->symbols, "symbol table", &p, &end, err));
    if (end - p < 4 || (count = pl_get_be32(p)) > (size_t)(end - p)) {
        return pl_fail(err, PL_CORRUPT, "index: symbol table: its count does not fit its length");
    }
    p += 4;
    r->symbol_count = count;
    r->symbols_end = (uint64_t)(end - r->map.p);
    if (r->version == 1) {
        return PL_OK;
    }
    r->symbol_at = pl_alloc(((size_t)count / SYMBOL_STRIDE + 1) * sizeof(*r->symbol_at));
    for (uint32_t i = 0; i < count; i++) {
        pl_str s;
        if (i % SYMBOL_STRIDE == 0) {
            r->symbol_at[i / SYMBOL_STRIDE] = (uint64_t)(p - r->map.p);
        }
        p = str_get(p, end, &s);
        if (p == NULL) {
            return pl_fail(err, PL_CORRUPT, "index: symbol %u of %u is cut off", i, count);
        }
    }
    return PL_OK;
}

pl_status index_symbol(const struct index_reader *r, uint64_t ref, pl_str *out, struct pl_err *err)
{
    const uint8_t *end = r->map.p + r->symbols_end, *p;

    if (r->version == 1) {
        if (ref < r->symbols + 8 || ref >= r->symbols_end || str_get(r->map.p + ref, end, out) == NULL) {
            return pl_fail(err, PL_CORRUPT, "index: there is no symbol at %llu", (unsigned long long)ref);
        }
        return PL_OK;
    }
    if (ref >= r->symbol_count) {
        return pl_fail(err, PL_CORRUPT, "index: there is no symbol %llu of %u", (unsigned long long)ref,
                       r->symbol_count);
    }
    p = r->map.p + r->symbol_at[ref / SYMBOL_STRIDE];
    for (uint64_t skip = ref % SYMBOL_STRIDE;; skip--) {
        p = str_get(p, end, out);
        /* The walk at open has been over these bytes. */
        PL_ASSERT(p != NULL);
        if (skip == 0) {
            return PL_OK;
        }
    }
}

/* ---- postings offset table ---- */

static const uint8_t *entry_get(const uint8_t *p, const uint8_t *end, struct entry *e)
{
    uint64_t keys;

    p = uvarint_get(p, end, &keys);
    if (p == NULL || keys != 2) {
        return NULL;
    }
    p = str_get(p, end, &e->name);
    p = p != NULL ? str_get(p, end, &e->value) : NULL;
    return p != NULL ? uvarint_get(p, end, &e->postings) : NULL;
}

static int entry_cmp(pl_str name_a, pl_str value_a, pl_str name_b, pl_str value_b)
{
    int c = pl_str_cmp(name_a, name_b);

    return c != 0 ? c : pl_str_cmp(value_a, value_b);
}

/* Takes one entry in order: begins a new name or counts on, and keeps its offset when it is due. */
static void table_take(struct index_reader *r, size_t *name_cap, size_t *at_cap, const struct entry *e, uint32_t at)
{
    struct index_name *last = r->name_count > 0 ? &r->names[r->name_count - 1] : NULL;

    if (last == NULL || !pl_str_eq(last->name, e->name)) {
        pl_array_reserve(r->names, *name_cap, r->name_count + 1);
        last = &r->names[r->name_count++];
        *last = (struct index_name){.name = e->name, .first_at = (uint32_t)r->entry_at_count};
    }
    if (last->entry_count % r->stride == 0) {
        pl_array_reserve(r->entry_at, *at_cap, r->entry_at_count + 1);
        r->entry_at[r->entry_at_count++] = at;
    }
    last->entry_count++;
}

static pl_status table_open_sorted(struct index_reader *r, const uint8_t *p, const uint8_t *end, uint32_t count,
                                   struct pl_err *err)
{
    const uint8_t *start = r->map.p + r->postings_table;
    struct entry e, last = {.postings = 0};
    size_t name_cap = 0, at_cap = 0;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = (uint32_t)(p - start);
        p = entry_get(p, end, &e);
        if (p == NULL) {
            return pl_fail(err, PL_CORRUPT, "index: postings offset table: entry %u of %u is malformed", i, count);
        }
        if (i > 0 && entry_cmp(last.name, last.value, e.name, e.value) >= 0) {
            return pl_fail(err, PL_CORRUPT, "index: postings offset table: entry %u is out of order", i);
        }
        table_take(r, &name_cap, &at_cap, &e, at);
        last = e;
    }
    return PL_OK;
}

struct unsorted_entry {
    pl_str name, value;
    uint32_t at;
};

static int unsorted_cmp(const void *a, const void *b)
{
    const struct unsorted_entry *x = a, *y = b;

    return entry_cmp(x->name, x->value, y->name, y->value);
}

static pl_status table_open_unsorted(struct index_reader *r, const uint8_t *p, const uint8_t *end, uint32_t count,
                                     struct pl_err *err)
{
    struct unsorted_entry *all = pl_alloc_try(((size_t)count + 1) * sizeof(*all));
    size_t name_cap = 0, at_cap = 0;

    if (all == NULL) {
        return pl_fail(err, PL_NOMEM, "index: postings offset table: out of memory");
    }
    for (uint32_t i = 0; i < count; i++) {
        struct entry e;
        all[i].at = (uint32_t)(p - (r->map.p + r->postings_table));
        p = entry_get(p, end, &e);
        if (p == NULL) {
            pl_free(all);
            return pl_fail(err, PL_CORRUPT, "index: postings offset table: entry %u of %u is malformed", i, count);
        }
        all[i].name = e.name;
        all[i].value = e.value;
    }
    qsort(all, count, sizeof(*all), unsorted_cmp);
    for (uint32_t i = 0; i < count; i++) {
        struct entry e = {.name = all[i].name, .value = all[i].value};
        table_take(r, &name_cap, &at_cap, &e, all[i].at);
    }
    pl_free(all);
    return PL_OK;
}

static pl_status table_open(struct index_reader *r, struct pl_err *err)
{
    const uint8_t *p, *end;
    uint32_t count;

    PL_TRY(section(r, r->postings_table, "postings offset table", &p, &end, err));
    if (end - p < 4 || (count = pl_get_be32(p)) > (size_t)(end - p) / ENTRY_BYTES_MIN) {
        return pl_fail(err, PL_CORRUPT, "index: postings offset table: its count does not fit its length");
    }
    r->table_end = (uint64_t)(end - r->map.p);
    if (r->table_end - r->postings_table > UINT32_MAX) {
        return pl_fail(err, PL_CORRUPT, "index: postings offset table: longer than its format allows");
    }
    r->stride = r->version == 1 ? 1 : ENTRY_STRIDE;
    return r->version == 1 ? table_open_unsorted(r, p + 4, end, count, err)
                           : table_open_sorted(r, p + 4, end, count, err);
}

const struct index_name *index_find_name(const struct index_reader *r, pl_str name)
{
    size_t lo = 0, hi = r->name_count;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = pl_str_cmp(r->names[mid].name, name);
        if (c == 0) {
            return &r->names[mid];
        }
        if (c < 0) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return NULL;
}

static pl_status value_read(const struct index_reader *r, uint64_t at, uint32_t k, struct index_value *out,
                            struct pl_err *err)
{
    struct entry e;
    const uint8_t *p = entry_get(r->map.p + at, r->map.p + r->table_end, &e);

    if (p == NULL) {
        return pl_fail(err, PL_CORRUPT, "index: postings offset table: the entry at %llu is malformed",
                       (unsigned long long)at);
    }
    *out = (struct index_value){.value = e.value, .postings = e.postings, .k = k, .next = (uint64_t)(p - r->map.p)};
    return PL_OK;
}

pl_status index_value_at(const struct index_reader *r, const struct index_name *name, uint32_t k,
                         struct index_value *out, struct pl_err *err)
{
    uint32_t from = k - k % r->stride;

    PL_ASSERT(k < name->entry_count);
    PL_TRY(value_read(r, r->postings_table + r->entry_at[name->first_at + k / r->stride], from, out, err));
    while (out->k < k) {
        PL_TRY(value_read(r, out->next, out->k + 1, out, err));
    }
    return PL_OK;
}

pl_status index_value_next(const struct index_reader *r, const struct index_name *name, struct index_value *v,
                           struct pl_err *err)
{
    if (r->version == 1) {
        return index_value_at(r, name, v->k + 1, v, err);
    }
    PL_ASSERT(v->k + 1 < name->entry_count);
    return value_read(r, v->next, v->k + 1, v, err);
}

pl_status index_value_seek(const struct index_reader *r, const struct index_name *name, pl_str value,
                           struct index_value *out, bool *found, struct pl_err *err)
{
    uint32_t samples = (name->entry_count + r->stride - 1) / r->stride, lo = 0, hi = samples;

    *found = false;
    /* The last sampled entry that is not above the value. */
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        PL_TRY(index_value_at(r, name, mid * r->stride, out, err));
        if (pl_str_cmp(out->value, value) <= 0) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    PL_TRY(index_value_at(r, name, lo > 0 ? (lo - 1) * r->stride : 0, out, err));
    while (pl_str_cmp(out->value, value) < 0) {
        if (out->k + 1 == name->entry_count) {
            return PL_OK;
        }
        PL_TRY(index_value_next(r, name, out, err));
    }
    *found = true;
    return PL_OK;
}

pl_status index_postings(const struct index_reader *r, uint64_t offset, struct postings_view *out, struct pl_err *err)
{
    const uint8_t *p, *end;

    PL_TRY(section(r, offset, "postings", &p, &end, err));
    if (end - p < 4 || (uint64_t)pl_get_be32(p) * 4 != (uint64_t)(end - p) - 4) {
        return pl_fail(err, PL_CORRUPT, "index: postings at %llu: their count does not fit their length",
                       (unsigned long long)offset);
    }
    *out = (struct postings_view){.be = p + 4, .n = pl_get_be32(p)};
    return PL_OK;
}

/* ---- series entries ---- */

pl_status index_series_open(const struct index_reader *r, uint64_t ref, struct series_cursor *c, uint64_t *next,
                            struct pl_err *err)
{
    uint64_t at = index_series_offset(r, ref), size;
    const uint8_t *limit = r->map.p + r->map.n - TOC_SIZE, *p;

    if (at < INDEX_HEADER || at >= r->map.n - TOC_SIZE) {
        return pl_fail(err, PL_CORRUPT, "index: series %llu: outside the file", (unsigned long long)ref);
    }
    p = uvarint_get(r->map.p + at, limit, &size);
    if (p == NULL || (uint64_t)(limit - p) < CRC_SIZE || size > (uint64_t)(limit - p) - CRC_SIZE) {
        return pl_fail(err, PL_CORRUPT, "index: series %llu: its length goes past the file", (unsigned long long)ref);
    }
    if (pl_crc32c(0, p, size) != pl_get_be32(p + size)) {
        return pl_fail(err, PL_CORRUPT, "index: series %llu: checksum mismatch", (unsigned long long)ref);
    }
    *c = (struct series_cursor){.p = p, .end = p + size, .ref = ref};
    c->p = uvarint_get(c->p, c->end, &c->label_count);
    if (c->p == NULL || c->label_count > (uint64_t)(c->end - c->p) / LABEL_BYTES_MIN) {
        return pl_fail(err, PL_CORRUPT, "index: series %llu: its label count does not fit", (unsigned long long)ref);
    }
    if (next != NULL) {
        *next = (uint64_t)(p + size + CRC_SIZE - r->map.p);
    }
    return PL_OK;
}

static pl_status series_cut_off(const struct series_cursor *c, struct pl_err *err)
{
    return pl_fail(err, PL_CORRUPT, "index: series %llu: its entry is cut off", (unsigned long long)c->ref);
}

pl_status series_cursor_label(struct series_cursor *c, uint64_t *name_ref, uint64_t *value_ref, struct pl_err *err)
{
    const uint8_t *p = uvarint_get(c->p, c->end, name_ref);

    p = p != NULL ? uvarint_get(p, c->end, value_ref) : NULL;
    if (p == NULL) {
        return series_cut_off(c, err);
    }
    c->p = p;
    return PL_OK;
}

pl_status series_cursor_chunks(struct series_cursor *c, struct pl_err *err)
{
    const uint8_t *p = uvarint_get(c->p, c->end, &c->chunk_count);

    if (p == NULL || c->chunk_count > (uint64_t)(c->end - p) / CHUNK_BYTES_MIN) {
        return series_cut_off(c, err);
    }
    c->p = p;
    return PL_OK;
}

pl_status series_cursor_chunk(struct series_cursor *c, struct index_chunk *out, struct pl_err *err)
{
    const uint8_t *p = c->p;
    uint64_t from, length, ref;
    int64_t first, step;

    PL_ASSERT(c->chunks_read < c->chunk_count);
    if (c->chunks_read == 0) {
        p = varint_get(p, c->end, &first);
        p = p != NULL ? uvarint_get(p, c->end, &length) : NULL;
        p = p != NULL ? uvarint_get(p, c->end, &ref) : NULL;
    } else {
        p = uvarint_get(p, c->end, &from);
        p = p != NULL ? uvarint_get(p, c->end, &length) : NULL;
        p = p != NULL ? varint_get(p, c->end, &step) : NULL;
        first = p != NULL ? (int64_t)((uint64_t)c->last_maxt_ms + from) : 0;
        ref = p != NULL ? c->last_ref + (uint64_t)step : 0;
    }
    if (p == NULL) {
        return series_cut_off(c, err);
    }
    *out = (struct index_chunk){.mint_ms = first, .maxt_ms = (int64_t)((uint64_t)first + length), .ref = ref};
    c->p = p;
    c->chunks_read++;
    c->last_maxt_ms = out->maxt_ms;
    c->last_ref = ref;
    return PL_OK;
}

/* ---- open and close ---- */

pl_status index_open(struct index_reader *r, const char *path, struct pl_err *err)
{
    pl_status st;

    *r = (struct index_reader){.version = 0};
    st = file_map_open(&r->map, path, err);
    if (st == PL_OK) {
        st = toc_read(r, err);
    }
    if (st == PL_OK) {
        st = symbols_open(r, err);
    }
    if (st == PL_OK) {
        st = table_open(r, err);
    }
    if (st != PL_OK) {
        index_close(r);
    }
    return st;
}

void index_close(struct index_reader *r)
{
    pl_free(r->symbol_at);
    pl_free(r->names);
    pl_free(r->entry_at);
    file_map_close(&r->map);
    *r = (struct index_reader){.version = 0};
}
