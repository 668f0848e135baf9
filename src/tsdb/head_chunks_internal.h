/* tsdb/head_chunks_internal.h - private to head_chunks.c and head_chunks_open.c: the files of chunks_head/ in memory.
 */
#ifndef PL_TSDB_HEAD_CHUNKS_INTERNAL_H
#define PL_TSDB_HEAD_CHUNKS_INTERNAL_H

#include "tsdb/head_chunks.h"

#include "base/buf.h"
#include "base/sync.h"

#include <stdatomic.h>
#include <stdio.h>

#define HC_FILE_MAGIC UINT32_C(0x0130BC91)
enum { HC_FILE_HEADER = 8, HC_FILE_BYTES_MAX = 128 << 20, HC_RECORD_FIXED = 25, HC_CRC_BYTES = 4 };

/* Counted: one reference by the list, one by each arena that reads from the mapping. */
struct hc_file {
    uint32_t number;
    _Atomic uint32_t refs;
    int fd; /* -1: not created yet, or only read */
    uint8_t *map;
    size_t map_size;
    uint64_t written; /* bytes on disk; hc lock */
    int64_t maxt_ms;  /* of its chunks */
};

/* Bytes of one file that are not written yet. The last node takes new chunks; the first is the one being written. */
struct hc_node {
    struct hc_node *next;
    struct hc_file *file;
    uint64_t offset; /* of buf in the file */
    struct pl_buf buf;
};

struct head_chunks {
    char *dir; /* owned */
    bool read_only;
    struct pl_mutex flush_lock; /* one flush at a time */
    struct pl_mutex lock;       /* all below */
    struct hc_file **files;     /* by number */
    size_t file_count, file_cap;
    struct hc_node *first, *last;
    struct hc_file *current; /* takes new chunks; NULL: the next chunk starts a file */
    uint64_t current_size;
    size_t buffered;
};

struct hc_file *hc__file_new(uint32_t number);
void hc__file_unref(void *file); /* for pl_arena_on_free too */
void hc__file_path(const struct head_chunks *hc, uint32_t number, char *out, size_t size);
void hc__file_list_add(struct head_chunks *hc, struct hc_file *f);

#endif
