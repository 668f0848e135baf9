/* tsdb/head_postings.h - private to head_postings.c and head_match.c: which series have which label pair, in memory.
 *
 * Short lists are sorted arrays, long ones roaring bitmaps. A pair counts as one use of its value's symbol, a name with
 * pairs as one use of the name's. All of it is locked by head.index.
 */
#ifndef PL_TSDB_HEAD_POSTINGS_H
#define PL_TSDB_HEAD_POSTINGS_H

#include "tsdb/head.h"

#include <roaring/roaring.h>

enum { POSTINGS_INLINE_MAX = 2 };
#define POSTINGS_CAP_BITMAP UINT32_MAX

/* One label pair. cap == 0: the slots are in `in`; POSTINGS_CAP_BITMAP: in `bitmap`. */
struct pair {
    uint32_t name, value;
    uint32_t n;
    uint32_t cap;
    union {
        uint32_t in[POSTINGS_INLINE_MAX];
        uint32_t *v;
        roaring_bitmap_t *bitmap;
        uint32_t next_free; /* of an unused pair: name == SYMBOL_NONE */
    } u;
};

struct pair_slot {
    uint32_t hash;
    uint32_t pair; /* index + 1; 0: free */
};

struct name_values {
    uint32_t name;
    uint32_t *pairs; /* indices */
    uint32_t n, cap;
    bool dirty; /* holds pairs without series */
};

struct head_postings {
    struct symbols *symbols; /* borrowed from the head */
    struct pair *pairs;
    size_t pair_count, pair_cap;
    uint32_t free_pair; /* index + 1 */
    uint64_t live_pairs;
    struct pair_slot *table;
    uint32_t mask, used;
    struct name_values *names;
    size_t name_count, name_cap;
    struct u64_map name_index; /* symbol + 1 -> index in names */
    roaring_bitmap_t *all;
};

/* The values of a name; NULL when unknown. */
struct name_values *postings__name_find(const struct head_postings *p, uint32_t name);
struct pair *postings__pair_find(const struct head_postings *p, uint32_t name, uint32_t value);
static inline const uint32_t *postings__array(const struct pair *x)
{
    return x->cap == 0 ? x->u.in : x->u.v;
}

#endif
