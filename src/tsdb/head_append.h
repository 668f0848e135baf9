/* tsdb/head_append.h - private to head_append.c and head_append_series.c: one call of head_append. */
#ifndef PL_TSDB_HEAD_APPEND_H
#define PL_TSDB_HEAD_APPEND_H

#include "tsdb/head.h"

/* On the stack of its thread. */
struct call {
    struct head *h;
    const struct tsdb_append_batch *b;
    struct pl_arena *a;
    struct tsdb_append_result *r;
    uint32_t *slots; /* of batch->series; 0: refused */
    int64_t min_valid;
    bool rare; /* every series needs a closer look: there are histograms, or references that are no slot numbers */
    int64_t mint, maxt;
    uint8_t *samples_record;
    struct pl_buf series_record;
    struct head_records tails; /* of series that are logged anew */
    struct head_records hists; /* only the records of histograms are used */
    uint32_t *unlogged;        /* slots whose series records are in this call's WAL records; heap, rare */
    size_t unlogged_count, unlogged_cap;
    struct wal_ticket ticket;
};

/* Counts a refused sample; the first one's values go to the client. */
void append__refuse(struct call *c, enum tsdb_soft_kind kind, uint32_t series, int64_t t, double v, double existing);
/* Finds or makes the series of the batch whose indices are in unknown[] (overwritten). */
PL_MUST_USE pl_status append__resolve_unknown(struct call *c, uint32_t *unknown, uint32_t n, struct pl_err *err);
/* The labels of the first refused series, as a copy: the caller may look at them after its pin has ended. */
void append__first_labels_copy(struct call *c);

#endif
