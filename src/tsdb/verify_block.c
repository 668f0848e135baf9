/* palliumctl tsdb verify: one block. Each part is looked at even when another one is broken. */
#include "base/hash.h"
#include "codec/varint.h"
#include "tsdb/block_internal.h"
#include "tsdb/verify_internal.h"

#include <stdlib.h>

enum { FINDINGS_PER_KIND_MAX = 20 };

struct checking {
    struct verify_report *r;
    struct chunk_samples *scratch;
    struct block *b;
    char index_path[BLOCK_PATH_MAX];
    bool has_meta, has_chunks, has_index;
    struct pl_arena arena[2]; /* label arrays of the series at hand and of the one before it, by turns */
    int turn;
    uint32_t *refs; /* of all series, as they stand in the file */
    size_t ref_count, ref_cap;
    uint64_t pair_sum; /* over all (series, label): compared with the postings */
    uint64_t label_count;
    uint64_t *segment_chunks; /* chunks that the index refers to, by segment */
    uint64_t samples, chunks;
    uint64_t last_chunk_ref;
    struct pl_err err; /* one for all: each is 2 KB of stack */
};

/* ---- chunk segments: does the chain of lengths reach the end? ---- */

static void check_segment(struct checking *c, size_t i)
{
    const struct file_map *m = &c->b->chunks.v[i];
    const uint8_t *p = m->p + CHUNK_HEADER_SIZE, *end = m->p + m->n;
    char path[BLOCK_PATH_MAX];
    uint64_t n = 0;

    if (block__path(path, NULL, "%s/chunks/%06zu", c->b->dir, i + 1) != PL_OK) {
        return;
    }
    if (m->p[5] != 0 || m->p[6] != 0 || m->p[7] != 0) {
        verify__problem_at(c->r, path, 5, "header padding is not zero");
    }
    while (p < end) {
        uint64_t size;
        const uint8_t *data = uvarint_get(p, end, &size);
        if (data == NULL || (uint64_t)(end - data) < 1 + CRC_SIZE || size > (uint64_t)(end - data) - 1 - CRC_SIZE) {
            verify__problem_at(c->r, path, (uint64_t)(p - m->p), "chunk goes past the end of the file");
            return;
        }
        p = data + 1 + size + CRC_SIZE;
        n++;
    }
    if (c->has_index && n != c->segment_chunks[i]) {
        verify__problem(c->r, path, "holds %llu chunks, the index refers to %llu of it", (unsigned long long)n,
                        (unsigned long long)c->segment_chunks[i]);
    }
}

/* ---- index ---- */

static void check_symbols(struct checking *c)
{
    const struct index_reader *x = &c->b->index;
    pl_str last = PL_STR_NULL, s;

    for (uint32_t i = 0; x->version == 2 && i < x->symbol_count; i++) {
        if (index_symbol(x, i, &s, &c->err) != PL_OK) {
            verify__problem(c->r, c->index_path, "%s", c->err.msg);
            return;
        }
        if (i > 0 && pl_str_cmp(last, s) >= 0) {
            verify__problem(c->r, c->index_path, "symbol %u is out of order", i);
            return;
        }
        last = s;
    }
}

static uint64_t pair_mix(uint32_t ref, pl_str name, pl_str value)
{
    uint64_t h = pl_hash64(name.p, name.n) * UINT64_C(0x9E3779B97F4A7C15) + pl_hash64(value.p, value.n);

    h = (h ^ ref) * UINT64_C(0xD6E8FEB86659FD93);
    return h ^ h >> 32;
}

static bool check_labels(struct checking *c, struct series_cursor *cur, struct labels *out)
{
    struct label *v;

    pl_arena_reset(&c->arena[c->turn]);
    /* The count fits the entry's bytes, so this is bounded by the file. */
    v = pl_arena_alloc(&c->arena[c->turn], cur->label_count * sizeof(*v));
    for (uint64_t i = 0; i < cur->label_count; i++) {
        uint64_t name, value;
        if (series_cursor_label(cur, &name, &value, &c->err) != PL_OK ||
            index_symbol(&c->b->index, name, &v[i].name, &c->err) != PL_OK ||
            index_symbol(&c->b->index, value, &v[i].value, &c->err) != PL_OK) {
            verify__problem_at(c->r, c->index_path, index_series_offset(&c->b->index, cur->ref), "%s", c->err.msg);
            return false;
        }
        if (i > 0 && pl_str_cmp(v[i - 1].name, v[i].name) >= 0) {
            verify__problem_at(c->r, c->index_path, index_series_offset(&c->b->index, cur->ref),
                               "label \"%.*s\" of series %llu is out of order", PL_STR_ARG(v[i].name),
                               (unsigned long long)cur->ref);
        }
        c->pair_sum += pair_mix((uint32_t)cur->ref, v[i].name, v[i].value);
    }
    c->label_count += cur->label_count;
    *out = (struct labels){v, cur->label_count};
    return true;
}

static void series_problem(struct checking *c, uint64_t ref, struct labels ls, const struct index_chunk *m,
                           const char *what)
{
    struct pl_buf b;
    char path[BLOCK_PATH_MAX];

    pl_buf_init(&b, 0);
    labels_text(&b, ls);
    pl_buf_byte(&b, '\0');
    if (m != NULL &&
        block__path(path, NULL, "%s/chunks/%06llu", c->b->dir, (unsigned long long)(m->ref >> 32) + 1) == PL_OK) {
        verify__problem_at(c->r, path, m->ref & UINT32_MAX, "%s (series %s)", what, b.p);
    } else {
        verify__problem_at(c->r, c->index_path, index_series_offset(&c->b->index, ref), "%s (series %s)", what, b.p);
    }
    pl_buf_fini(&b);
}

static void check_chunk(struct checking *c, uint64_t ref, struct labels ls, const struct index_chunk *m)
{
    struct chunk_view v = {.mint_ms = m->mint_ms, .maxt_ms = m->maxt_ms};
    const char *why = NULL;

    if (!c->has_chunks) {
        return;
    }
    if (chunk_segments_get(&c->b->chunks, m->ref, &v, NULL, &c->err) != PL_OK) {
        series_problem(c, ref, ls, m, c->err.msg);
        return;
    }
    c->samples += verify__chunk(c->scratch, &v, &why, &c->err);
    if (why != NULL) {
        series_problem(c, ref, ls, m, why);
    }
}

static void check_chunks(struct checking *c, struct series_cursor *cur, struct labels ls)
{
    const struct block_meta *meta = &c->b->meta;
    struct index_chunk m, last = {.ref = 0};

    if (series_cursor_chunks(cur, &c->err) != PL_OK) {
        series_problem(c, cur->ref, ls, NULL, c->err.msg);
        return;
    }
    for (uint64_t i = 0; i < cur->chunk_count; i++) {
        if (series_cursor_chunk(cur, &m, &c->err) != PL_OK) {
            series_problem(c, cur->ref, ls, NULL, c->err.msg);
            return;
        }
        if (m.maxt_ms < m.mint_ms || (i > 0 && m.mint_ms <= last.maxt_ms)) {
            series_problem(c, cur->ref, ls, NULL, "chunks overlap or are out of order");
        }
        if (c->has_meta && (m.mint_ms < meta->mint_ms || m.maxt_ms >= meta->maxt_ms)) {
            series_problem(c, cur->ref, ls, NULL, "chunk is outside the block's time range");
        }
        if (m.ref <= c->last_chunk_ref && c->chunks > 0) {
            series_problem(c, cur->ref, ls, NULL, "chunk refs do not rise");
        }
        if (c->has_chunks && m.ref >> 32 < c->b->chunks.n) {
            c->segment_chunks[m.ref >> 32]++;
        }
        check_chunk(c, cur->ref, ls, &m);
        c->last_chunk_ref = m.ref;
        c->chunks++;
        last = m;
    }
    if (cur->p != cur->end) {
        series_problem(c, cur->ref, ls, NULL, "bytes behind the last chunk");
    }
}

static void check_padding(struct checking *c, uint64_t from, uint64_t to, uint64_t multiple)
{
    for (uint64_t at = from; to > from && to - from < multiple && at < to; at++) {
        if (c->b->index.map.p[at] != 0) {
            verify__problem_at(c->r, c->index_path, at, "padding is not zero");
        }
    }
}

/* Walks the series section from front to back. */
static void check_series(struct checking *c)
{
    const struct index_reader *x = &c->b->index;
    uint64_t at = x->series;
    struct labels last = {.n = 0};

    while (at < x->series_end) {
        struct series_cursor cur;
        struct labels ls;
        uint64_t next;

        if (x->map.p[at] == 0) {
            at++; /* padding; an entry's length is never zero */
            continue;
        }
        if (x->version == 2 && at % 16 != 0) {
            verify__problem_at(c->r, c->index_path, at, "series entry is not aligned");
            break;
        }
        if (index_series_open(x, x->version == 1 ? at : at / 16, &cur, &next, &c->err) != PL_OK) {
            verify__problem_at(c->r, c->index_path, at, "%s", c->err.msg);
            break; /* where the next entry begins is not known */
        }
        if (check_labels(c, &cur, &ls)) {
            if (c->ref_count > 0 && labels_cmp(last, ls) >= 0) {
                series_problem(c, cur.ref, ls, NULL, "series is out of order");
            }
            check_chunks(c, &cur, ls);
            last = ls;
            c->turn ^= 1;
        }
        pl_array_reserve(c->refs, c->ref_cap, c->ref_count + 1);
        c->refs[c->ref_count++] = (uint32_t)cur.ref;
        at = next;
    }
    /* Sections that follow at once are aligned with zeros; older writers have other sections in between. */
    check_padding(c, x->symbols_end + CRC_SIZE, x->series, 16);
    check_padding(c, x->series_end, x->postings, 4);
    c->r->blocks.series += c->ref_count;
}

static bool has_label(struct checking *c, uint32_t ref, pl_str name, pl_str value)
{
    struct series_cursor cur;

    if (index_series_open(&c->b->index, ref, &cur, NULL, &c->err) != PL_OK) {
        return false;
    }
    for (uint64_t i = 0; i < cur.label_count; i++) {
        uint64_t name_ref, value_ref;
        pl_str n, v;
        if (series_cursor_label(&cur, &name_ref, &value_ref, &c->err) != PL_OK ||
            index_symbol(&c->b->index, name_ref, &n, &c->err) != PL_OK ||
            index_symbol(&c->b->index, value_ref, &v, &c->err) != PL_OK) {
            return false;
        }
        if (pl_str_eq(n, name) && pl_str_eq(v, value)) {
            return true;
        }
    }
    return false;
}

/* One list. With `deep`, each of its series is asked for the label. */
static void check_list(struct checking *c, pl_str name, const struct index_value *v, bool deep, uint64_t *sum,
                       uint64_t *total)
{
    struct postings_view p;

    if (index_postings(&c->b->index, v->postings, &p, &c->err) != PL_OK) {
        verify__problem_at(c->r, c->index_path, v->postings, "%s", c->err.msg);
        return;
    }
    for (size_t i = 0; i < p.n; i++) {
        uint32_t ref = pl_get_be32(p.be + 4 * i);
        if (!deep && i > 0 && ref <= pl_get_be32(p.be + 4 * (i - 1))) {
            verify__problem_at(c->r, c->index_path, v->postings, "postings of %.*s=\"%.*s\" are out of order",
                               PL_STR_ARG(name), PL_STR_ARG(v->value));
            return;
        }
        *sum += pair_mix(ref, name, v->value);
        if (deep && !has_label(c, ref, name, v->value)) {
            verify__problem_at(c->r, c->index_path, v->postings,
                               "postings of %.*s=\"%.*s\" name series %u, which has no such label", PL_STR_ARG(name),
                               PL_STR_ARG(v->value), ref);
            return;
        }
    }
    *total += p.n;
}

static void check_all_lists(struct checking *c, bool deep, uint64_t *sum, uint64_t *total)
{
    const struct index_reader *x = &c->b->index;
    uint64_t found_before = c->r->problems;

    for (size_t i = 0; i < x->name_count; i++) {
        const struct index_name *name = &x->names[i];
        struct index_value v;
        for (uint32_t k = 0; name->name.n > 0 && k < name->entry_count; k++) {
            pl_status st = k == 0 ? index_value_at(x, name, 0, &v, &c->err) : index_value_next(x, name, &v, &c->err);
            if (st != PL_OK) {
                verify__problem(c->r, c->index_path, "%s", c->err.msg);
                return;
            }
            check_list(c, name->name, &v, deep, sum, total);
            if (c->r->problems - found_before >= FINDINGS_PER_KIND_MAX) {
                return;
            }
        }
    }
}

/* The lists must name exactly the labels of the series: compared by a sum over both sides, searched one by one when
 * that differs. */
static void check_postings(struct checking *c)
{
    const struct index_name *all = index_find_name(&c->b->index, PL_STR(""));
    uint64_t sum = 0, total = 0, ignored = 0, before;
    struct index_value v;
    struct postings_view p = {.n = 0};

    if (all == NULL || index_value_at(&c->b->index, all, 0, &v, &c->err) != PL_OK ||
        index_postings(&c->b->index, v.postings, &p, &c->err) != PL_OK) {
        verify__problem(c->r, c->index_path, "the postings of all series are missing or broken");
    } else {
        bool same = p.n == c->ref_count;
        for (size_t i = 0; same && i < p.n; i++) {
            same = pl_get_be32(p.be + 4 * i) == c->refs[i];
        }
        if (!same) {
            verify__problem_at(c->r, c->index_path, v.postings,
                               "the postings of all series list %zu, the file holds %zu", p.n, c->ref_count);
        }
    }
    before = c->r->problems;
    check_all_lists(c, false, &sum, &total);
    if (c->r->problems == before && (sum != c->pair_sum || total != c->label_count)) {
        check_all_lists(c, true, &ignored, &ignored);
        if (c->r->problems == before) {
            verify__problem(c->r, c->index_path, "postings hold %llu labels, the series %llu",
                            (unsigned long long)total, (unsigned long long)c->label_count);
        }
    }
}

static int u32_cmp(const void *a, const void *b)
{
    uint32_t x, y;

    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return (x > y) - (x < y);
}

static void check_tombstones(struct checking *c)
{
    char path[BLOCK_PATH_MAX];

    if (block__path(path, NULL, "%s/tombstones", c->b->dir) != PL_OK) {
        return;
    }
    for (size_t i = 0; c->has_index && i < c->b->tombstones.n; i++) {
        const struct tombstone *t = &c->b->tombstones.v[i];
        uint32_t ref = (uint32_t)t->ref;
        if (t->ref > UINT32_MAX || c->ref_count == 0 ||
            bsearch(&ref, c->refs, c->ref_count, sizeof(ref), u32_cmp) == NULL) {
            verify__problem(c->r, path, "deletes from series %llu, which does not exist", (unsigned long long)t->ref);
        } else if (t->i.maxt_ms < t->i.mint_ms) {
            verify__problem(c->r, path, "an interval of series %u ends before it begins", ref);
        }
    }
}

static void compare_count(struct checking *c, const char *path, const char *what, uint64_t stated, uint64_t found)
{
    if (stated != found) {
        verify__problem(c->r, path, "states %llu %s, the block holds %llu", (unsigned long long)stated, what,
                        (unsigned long long)found);
    }
}

static void check_meta(struct checking *c, uint64_t problems_before)
{
    char path[BLOCK_PATH_MAX], id[ULID_TEXT + 1];
    const char *slash = strrchr(c->b->dir, '/');
    const struct block_meta *m = &c->b->meta;

    if (block__path(path, NULL, "%s/meta.json", c->b->dir) != PL_OK) {
        return;
    }
    ulid_text(id, &m->id);
    if (strcmp(slash != NULL ? slash + 1 : c->b->dir, id) != 0) {
        verify__problem(c->r, path, "names the block %s, its folder does not", id);
    }
    /* Counts are only comparable when everything could be read. */
    if (c->has_index && c->has_chunks && c->r->problems == problems_before) {
        compare_count(c, path, "series", m->series_count, c->ref_count);
        compare_count(c, path, "chunks", m->chunk_count, c->chunks);
        compare_count(c, path, "samples", m->sample_count, c->samples);
        compare_count(c, path, "tombstones", m->tombstone_count, c->b->tombstones.n);
    }
}

static void open_parts(struct checking *c)
{
    char path[BLOCK_PATH_MAX];
    struct block *b = c->b;

    c->has_meta = block__path(path, &c->err, "%s/meta.json", b->dir) == PL_OK &&
                  block__meta_read(&b->meta, path, &c->err) == PL_OK;
    if (!c->has_meta) {
        verify__problem(c->r, path, "%s", c->err.msg);
    }
    c->has_chunks = block__path(path, &c->err, "%s/chunks", b->dir) == PL_OK &&
                    chunk_segments_open(&b->chunks, path, &c->err) == PL_OK;
    if (!c->has_chunks) {
        verify__problem(c->r, path, "%s", c->err.msg);
    }
    c->has_index = index_open(&b->index, c->index_path, &c->err) == PL_OK;
    if (!c->has_index) {
        verify__problem(c->r, c->index_path, "%s", c->err.msg);
    }
    if (block__path(path, &c->err, "%s/tombstones", b->dir) != PL_OK ||
        tombstones_read(&b->tombstones, path, &c->err) != PL_OK) {
        verify__problem(c->r, path, "%s", c->err.msg);
    }
}

void verify__block(struct verify_report *r, struct chunk_samples *scratch, const char *dir)
{
    struct checking c = {.r = r, .scratch = scratch, .b = pl_new(struct block)};
    uint64_t before = r->problems;

    r->blocks.files++;
    if (block__path(c.b->dir, NULL, "%s", dir) != PL_OK || block__path(c.index_path, NULL, "%s/index", dir) != PL_OK) {
        verify__problem(r, dir, "its path is too long");
        pl_free(c.b);
        return;
    }
    open_parts(&c);
    c.segment_chunks = pl_new_array(uint64_t, c.b->chunks.n + 1);
    if (c.has_index) {
        check_symbols(&c);
        check_series(&c);
        check_postings(&c);
    }
    for (size_t i = 0; i < c.b->chunks.n; i++) {
        check_segment(&c, i);
    }
    check_tombstones(&c);
    if (c.has_meta) {
        check_meta(&c, before);
    }
    r->blocks.chunks += c.chunks;
    r->blocks.samples += c.samples;
    r->blocks.bytes += block_size_bytes(c.b);
    pl_arena_fini(&c.arena[0]);
    pl_arena_fini(&c.arena[1]);
    pl_free(c.segment_chunks);
    pl_free(c.refs);
    block__close_parts(c.b);
    pl_free(c.b);
}
