/* tsdb/head.h - private to tsdb/: the newest samples of a tenant, in memory.
 *
 * A series is a slot number. Slots lie in pages of 64; a page never moves. The 16 shards take turns by page, so that
 * series created together (one sender's push) lie together and a batch still spreads over the locks.
 *
 * Locks, outer first: pins (read: appenders and readers; write: the short step that takes series out) - shard - index -
 * slab pool - head chunks - WAL. What each guards is said at the field. Labels of a live series are constant.
 *
 * The slot number is also the series' reference in the WAL and in head chunk files. Only where a WAL written by someone
 * else uses references that do not fit (or two for one series), `alias` maps them, and `foreign` gives such a series
 * its own.
 *
 * Memory of series that went comes back (head_reclaim.c), and no reader ever sees it after. Two things keep readers
 * safe. While pins are read-held no live series dies, so what an appender reached through a live series stays. What a
 * query found lives longer than its pin: label texts are views of symbols until its arena ends, and a list read early
 * may name series that have died since. So each query enters the newest generation before it looks at anything, and
 * leaves it with its arena. Truncation takes dead series out of table and lists, hangs what they leave behind (symbols,
 * pages of slots) on the newest generation and opens another; a generation's leavings are freed when it is the oldest
 * and no reader is in it. Slots, too, are given out again only then.
 */
#ifndef PL_TSDB_HEAD_H
#define PL_TSDB_HEAD_H

#include "base/hash.h"
#include "base/sync.h"
#include "codec/xor_chunk.h"
#include "tsdb/head_chunks.h"
#include "tsdb/head_map.h"
#include "tsdb/head_slab.h"
#include "tsdb/symbols.h"
#include "tsdb/tsdb.h"
#include "tsdb/wal.h"
#include "tsdb/wal_hist.h"

#include <stdatomic.h>

enum {
    HEAD_PAGE_BITS = 6,
    HEAD_PAGE_SERIES = 1 << HEAD_PAGE_BITS,
    HEAD_SHARD_COUNT = 16,
    HEAD_CHUNK_SAMPLES = 120,    /* wanted; a quarter of it re-estimates the end, twice of it cuts */
    HEAD_CHUNK_BYTES_MAX = 1005, /* a larger chunk is cut before the next sample (spec 10.13) */
};

enum { HEAD_LAST_HIST = 2, HEAD_TAIL_HIST = 0xfe /* head_hist.h */ };

/* The part every append touches: one cache line. Locked by its shard. */
struct head_series {
    struct xor_appender app; /* app.t stays the last time seen after the chunk is closed */
    uint8_t *tail;           /* the open chunk, NULL while sample_count is 0 */
    int64_t next_at;         /* the open chunk is cut at this time */
    int64_t chunk_mint;      /* of the open chunk */
    uint8_t tail_class;
    uint8_t has_t;        /* app.t is meaningful; HEAD_LAST_HIST: it is a histogram's */
    uint8_t logged;       /* its series record is in the WAL */
    _Atomic uint8_t live; /* set last by the creator under the index lock, cleared under exclusive pins */
    uint32_t chunk_count; /* entries of head_cold.chunks */
};
PL_STATIC_ASSERT(sizeof(struct xor_appender) == 32, "the series is one cache line");
PL_STATIC_ASSERT(sizeof(struct head_series) == 64, "the series is one cache line");

/* The part that creation, queries and cuts touch. */
struct head_cold {
    const uint32_t *labels;    /* name and value ids in turn, sorted by name text; constant while live */
    uint64_t hash;             /* labels_hash */
    struct head_chunk *chunks; /* closed chunks by time; shard lock */
    uint32_t chunk_cap;
    uint16_t label_count;
    uint8_t foreign; /* its WAL reference is in head.foreign */
};

struct head_page {
    struct head_series hot[HEAD_PAGE_SERIES];
    struct head_cold cold[HEAD_PAGE_SERIES];
};

struct head_shard {
    struct pl_mutex lock;
    struct slab tails;
};

/* labels hash -> slot */
struct head_index_entry {
    uint32_t hash_hi;
    uint32_t slot; /* 0: free */
};
/* wire hash -> slot. 96 of the 128 bits are kept: enough that no two label sets ever meet, as the hash is seeded. */
struct wire_entry {
    uint64_t hi;
    uint32_t lo;
    uint32_t slot; /* 0: free */
};

struct head_postings;

/* One generation of readers. Index lock, but for leaving. Counted: the head holds one reference, each reader one, and
 * the last frees it, as an arena may end after the head. */
struct head_gen {
    _Atomic uint32_t refs;
    uint64_t seq;
    struct head_gen *next; /* newer */
    /* Out of every reader's reach who enters a newer one: */
    uint32_t *symbols;
    size_t symbol_count;
    struct head_page **pages;
    size_t page_count, page_cap;
};

struct head_quarantine {
    uint32_t *slots; /* removed series; reusable when no head chunk file may name them any more */
    size_t count, cap;
    uint32_t chunk_file; /* the newest head chunk file when they were removed */
    uint64_t gen;        /* the newest generation then: its readers may hold the numbers */
};

/* Moments in the work of maintenance and queries, for tests that let something else happen just then. */
enum head_moment {
    HEAD_AT_CUT_CHOSEN,    /* the range to cut is known; pushes still come */
    HEAD_AT_BLOCK_WRITTEN, /* the new block's folder is there, not yet opened */
    HEAD_AT_RESCAN,        /* mint was found, and is about to be set */
    HEAD_AT_ROLLED,        /* the log's new segment has begun; no open chunk is in it yet */
    HEAD_AT_QUERY_HALF,    /* a query has one of head and blocks */
};
struct head_hook {
    void (*fn)(void *arg, enum head_moment at);
    void *arg;
};

struct head {
    struct head_hook hook; /* NULL but in tests */
    int64_t block_range_ms;
    bool read_only;
    pl_str tenant; /* borrowed from tsdb */
    pthread_rwlock_t pins;

    struct head_page *_Atomic *_Atomic pages; /* page number -> page; grown by copying under index, old arrays kept */
    uint32_t page_cap;
    void **old_page_arrays;
    size_t old_page_array_count, old_page_array_cap;
    uint32_t slot_next; /* index lock; slot 0 is never used */

    struct head_shard shards[HEAD_SHARD_COUNT];
    struct slab_pool slabs;

    struct pl_mutex index; /* symbols, table, postings, label_slab, alias, foreign, free slots, generations */
    struct head_gen *gen_oldest, *gen_newest;
    struct symbols symbols;
    struct head_index_entry *table;
    uint32_t table_mask, table_count;
    struct head_postings *postings;
    struct slab label_slab;
    uint32_t *free_slots;
    size_t free_count, free_cap;
    struct head_quarantine *quarantine;
    size_t quarantine_count, quarantine_cap;
    struct u64_map alias;   /* WAL reference -> slot, where they differ */
    struct u64_map foreign; /* slot -> WAL reference */
    struct u64_map
        reserved; /* references of chunks on disk without a series -> the newest chunk file that may hold them */
    uint32_t metric_name_id; /* symbol of __name__ */

    pthread_rwlock_t wire_lock;
    struct wire_entry *wire;
    uint32_t wire_mask, wire_count;

    struct head_chunks *chunks;
    struct wal *wal; /* NULL while replaying and when read-only */

    _Atomic int64_t min_valid_ms; /* older samples are out of bounds: they are in blocks, or about to be */
    _Atomic int64_t cut_ms;       /* older samples were cut away; at most min_valid_ms */
    _Atomic int64_t mint_ms, maxt_ms;
    _Atomic int64_t pushed_mint_ms; /* of what was pushed since a truncation began */
    _Atomic uint64_t series_count, chunk_count, created_total, removed_total, appended_total;
    _Atomic uint64_t chunks_lost; /* could not be read when their range was cut */
    _Atomic int64_t last_append_unix_ms;
};

static inline void head_reached(const struct head *h, enum head_moment at)
{
    if (PL_UNLIKELY(h->hook.fn != NULL)) {
        h->hook.fn(h->hook.arg, at);
    }
}
static inline struct head_page *head_page_of(const struct head *h, uint32_t slot)
{
    struct head_page *_Atomic *pages =
        atomic_load_explicit(&h->pages, memory_order_acquire); /* pairs with head__slot_page_add */

    return atomic_load_explicit(&pages[slot >> HEAD_PAGE_BITS], memory_order_acquire);
}
static inline struct head_series *head_hot(const struct head *h, uint32_t slot)
{
    return &head_page_of(h, slot)->hot[slot % HEAD_PAGE_SERIES];
}
static inline struct head_cold *head_cold_of(const struct head *h, uint32_t slot)
{
    return &head_page_of(h, slot)->cold[slot % HEAD_PAGE_SERIES];
}
static inline bool head_is_live(const struct head_series *s)
{
    return atomic_load_explicit(&s->live, memory_order_acquire) != 0; /* pairs with head_new_series_locked */
}
/* For slots out of a list: the series may be gone, and its page with it. */
static inline bool head_slot_is_live(const struct head *h, uint32_t slot)
{
    const struct head_page *page = head_page_of(h, slot);

    return page != NULL && head_is_live(&page->hot[slot % HEAD_PAGE_SERIES]);
}
static inline uint32_t head_shard_of(uint32_t slot)
{
    return slot >> HEAD_PAGE_BITS & (HEAD_SHARD_COUNT - 1);
}

/* ---- head.c ---- */
/* Shuts out appenders and readers; ends by head_unpin. */
void head_pin_exclusive(struct head *h);
struct head *head_create(const struct tsdb_options *o, pl_str tenant);
void head_destroy(struct head *h); /* NULL allowed; closes chunks and WAL without flushing */
void head_pin(struct head *h);
void head_unpin(struct head *h);
/* The WAL reference of a series. Takes the index lock only for foreign ones. */
uint64_t head_wal_ref(struct head *h, uint32_t slot, const struct head_cold *c);
/* Labels of a live series as views; false past the arena's limit. Pins held. */
bool head_labels(const struct head *h, uint32_t slot, struct pl_arena *a, struct labels *out);
/* The last slot number in use plus one. */
uint32_t head_slot_end(struct head *h);
/* Recomputes mint and maxt by a walk over all series. Pushes may run: pushed_mint_ms was set to INT64_MAX under
 * exclusive pins before, and holds what they brought since. */
void head_rescan_bounds(struct head *h);

/* ---- head_series.c ---- */
/* Finds the series (index lock held); 0 when there is none. */
uint32_t head_find_locked(struct head *h, struct labels ls, uint64_t hash);
/* Remembers the previous series' symbols and postings: consecutive new series differ in few labels. */
enum { HEAD_MEMO_LABELS = 64 };
struct head_memo {
    uint32_t name[HEAD_MEMO_LABELS], value[HEAD_MEMO_LABELS];
    uint32_t posting[HEAD_MEMO_LABELS]; /* index of the pair's list + 1; 0 none */
    uint32_t count;
};
/* Makes a series at `slot` (0: any free one). Index lock held. */
uint32_t head_new_series_locked(struct head *h, struct labels ls, uint64_t hash, uint32_t slot, struct head_memo *memo);
/* Takes a dead series out of index and postings (index lock held). */
void head_drop_series_locked(struct head *h, uint32_t slot);
void head_slot_page_ensure_locked(struct head *h, uint32_t slot);
void head_quarantine_add_locked(struct head *h, const uint32_t *slots, size_t count, uint32_t chunk_file);
void head_quarantine_release_locked(struct head *h, uint32_t oldest_chunk_file);
void head_wire_resolve(struct head *h, const struct pl_hash128 *hashes, uint32_t count, uint64_t *refs);
void head_wire_add(struct head *h, const struct pl_hash128 *hashes, const uint32_t *slots, uint32_t count);
void head_wire_forget(struct head *h);
void head_wire_purge_dead(struct head *h); /* pins (write) held */
void head_table_shrink_locked(struct head *h);

/* ---- head_reclaim.c ---- */
void head_gens_init(struct head *h);
void head_gens_fini(struct head *h);
/* Whoever reads labels or lists of the head enters first and leaves when it needs nothing of it any more. */
struct head_gen *head_enter(struct head *h);
void head_leave(struct head_gen *g);
void head_enter_until_free(struct head *h, struct pl_arena *a); /* leaves when the arena is reset or ended */
/* Takes dead series out of everything. Compaction thread. */
void head_forget_series(struct head *h, const uint32_t *dead, size_t n);
/* Frees what no reader can hold any more. Compaction thread. */
void head_reclaim(struct head *h);

/* ---- head_append.c ---- */
enum head_sample { HEAD_SAMPLE_OK, HEAD_SAMPLE_EQUAL, HEAD_SAMPLE_DUPLICATE, HEAD_SAMPLE_OLD };
/* Appends to the open chunk, closing and growing it as needed. Shard lock held (or exclusive, while replaying). */
enum head_sample head_sample_append(struct head *h, struct head_shard *sh, uint32_t slot, struct head_series *s,
                                    int64_t t, double v);
/* Moves the open chunk to the closed ones. */
void head_chunk_close(struct head *h, struct head_shard *sh, uint32_t slot, struct head_series *s);
/* Forgets the open chunk. */
void head_tail_free(struct head_shard *sh, struct head_series *s);
/* Adds a chunk to the list of closed ones. */
void head_chunk_push(struct head_series *s, struct head_cold *c, const struct head_chunk *chunk);
pl_status head_append(struct head *h, const struct tsdb_append_batch *b, struct pl_arena *a,
                      struct tsdb_append_result *r, struct pl_err *err);
/* "plus range", saturating: the end of the block range that holds t. */
int64_t head_range_end(int64_t t, int64_t range);

/* ---- head_records.c ---- */
/* Adds one series to a series record. */
void head_encode_series(struct head *h, struct pl_buf *out, uint64_t ref, const struct head_cold *c);
/* Records of samples, one of each type. */
struct head_records {
    struct pl_buf floats, hist[WAL_HIST_KINDS];
};
void head_records_fini(struct head_records *r);
/* Adds what there is to the log, and empties it. */
void head_records_give(struct head_records *r, struct wal *w, struct wal_ticket *ticket);
/* Adds the samples of the series' open chunk. Shard lock held. */
PL_MUST_USE pl_status head_encode_tail(struct head_records *r, uint64_t ref, const struct head_series *s,
                                       struct pl_err *err);

/* ---- head_postings.c ---- */
struct head_postings *postings_create(struct symbols *symbols);
void postings_destroy(struct head_postings *p);
uint32_t postings_add(struct head_postings *p, uint32_t name, uint32_t value, uint32_t slot, uint32_t memo);
void postings_add_all(struct head_postings *p, uint32_t slot);
void postings_remove(struct head_postings *p, uint32_t name, uint32_t value, uint32_t slot);
void postings_remove_all(struct head_postings *p, uint32_t slot);
/* Forgets the pairs without series of the name with this index; false past the last. */
bool postings_sweep_name(struct head_postings *p, size_t index);
/* Forgets names without pairs. Pins (write) held too: a reader relies on the symbol of a name throughout. */
void postings_sweep_names(struct head_postings *p);
/* Packs the lists when few of what there were are left. */
void postings_shrink(struct head_postings *p);
uint32_t postings_count(const struct head_postings *p, uint32_t name, uint32_t value);
uint64_t postings_pair_count(const struct head_postings *p);
/* Names that have series; values of a name with their series counts. Index lock held. Arrays in `a`, NULL past its
 * limit. */
uint32_t *postings_names(const struct head_postings *p, struct pl_arena *a, size_t *count);
struct posting_value {
    uint32_t value, series;
};
struct posting_value *postings_values(const struct head_postings *p, uint32_t name, struct pl_arena *a, size_t *count);

/* ---- head_match.c ---- */
/* Slots that every matcher accepts, ascending, in `a`; some may have died. Takes the index lock; pins held, generation
 * entered. */
pl_status postings_match(struct head *h, const struct matcher *ms, size_t n, const _Atomic bool *cancel,
                         struct pl_arena *a, uint32_t **slots, size_t *count, struct pl_err *err);

/* ---- head_select.c ---- */
pl_status head_select(struct head *h, struct pl_arena *a, const struct series_select *q, struct series_list *out,
                      struct pl_err *err);
pl_status head_label_names(struct head *h, struct pl_arena *a, const struct series_select *q, struct str_list *out,
                           struct pl_err *err);
pl_status head_label_values(struct head *h, struct pl_arena *a, pl_str name, const struct series_select *q,
                            struct str_list *out, struct pl_err *err);
/* Sorts slots by their labels. */
void head_sort_slots(struct head *h, uint32_t *slots, size_t n);
/* Chunks that could not be read, where work goes on without them. */
struct head_bad {
    uint64_t count;
    struct pl_err first;
};
static inline void head_bad_note(struct head_bad *bad, const struct pl_err *err)
{
    if (bad->count++ == 0) {
        bad->first = *err;
    }
}
/* The chunks of a series that touch [mint, maxt], closed ones and a copy of the open one. `bad`: where to note chunks
 * that are PL_CORRUPT and left out; NULL: they are an error. */
pl_status head_chunk_views(struct head *h, uint32_t slot, struct pl_arena *a, struct head_chunk_pins *pins,
                           int64_t mint, int64_t maxt, struct head_bad *bad, struct chunk_view **out, uint32_t *count,
                           struct pl_err *err);

/* ---- head_replay.c ---- */
struct head_replay_result {
    uint64_t corruptions, head_chunk_corruptions, series, samples, skipped_records, unknown_refs, bad_histograms;
    uint32_t next_segment;
};
pl_status head_replay(struct head *h, pl_str dir, struct tsdb_progress *progress, struct head_replay_result *r,
                      struct pl_err *err);

/* ---- head_compact.c ---- */
/* Writes the samples of [mint, maxt) to a block; PL_NOT_FOUND when there are none. */
struct ulid;
pl_status head_write_block(struct head *h, pl_str dir, int64_t mint_ms, int64_t maxt_ms, int64_t now_ms,
                           struct ulid *id, struct pl_err *err);
/* Forgets all samples below mint and the series left without any. Only memory: head_truncate_files follows. */
void head_truncate(struct head *h, int64_t mint_ms);
/* From its return on, no append stores a sample older than this. Waits for the running ones. */
void head_barrier(struct head *h, int64_t min_valid_ms);

/* ---- head_relog.c ---- */
/* Deletes what the WAL and head chunks no longer need. */
PL_MUST_USE pl_status head_truncate_files(struct head *h, pl_str wal_dir, struct pl_err *err);

#endif
