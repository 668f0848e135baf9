/* test/diff/data.h - the samples of the differential tests, made from a seed (test/diff only).
 *
 * Promise: the same seed gives the same samples on every machine: own random numbers, no libm. Series are made one by
 * one by make_*; data_finish() in data.c writes them as one Prometheus block.
 */
#ifndef PL_DIFF_DATA_H
#define PL_DIFF_DATA_H

#include "base/arena.h"
#include "histogram/histogram.h"
#include "model/labels.h"

struct point {
    int64_t t_ms;
    double v;
    const struct hist *h; /* NULL: a float */
};

struct made {
    struct labels labels;
    struct point *p;
    size_t n, cap;
    bool whole_hists; /* counts are whole numbers: chunks of encoding 2 */
};

struct data {
    struct pl_arena a;
    uint64_t rnd;
    int64_t start_ms, span_ms;
    struct made **made;
    size_t n, cap;
};

uint64_t data_rnd(struct data *d);
uint64_t data_below(struct data *d, uint64_t n); /* 0..n-1 */
double data_unit(struct data *d);                /* [0, 1) */
bool data_chance(struct data *d, double p);
double data_pick(struct data *d, const double *v, size_t n);

/* A new series; labels as `name`, then pairs of label name and value up to NULL. */
struct made *data_series(struct data *d, const char *name, ...);
void data_add(struct data *d, struct made *m, int64_t t_ms, double v);
void data_add_hist(struct data *d, struct made *m, int64_t t_ms, const struct hist *h);
void data_add_stale(struct data *d, struct made *m, int64_t t_ms);

/* When samples are taken. */
enum pace { PACE_STEADY, PACE_JITTER, PACE_WILD, PACE_SPARSE, PACE_DENSE, PACE_COUNT };
/* Gaps, stale markers, start and end of a series' life. */
struct life {
    enum pace pace;
    int64_t at_ms, end_ms;
    double gap; /* chance of a gap after a sample */
    double stale;
    bool gone; /* the marker has been told */
};
/* Any life; `calm` without gaps and as long as the data. */
struct life data_life(struct data *d, enum pace pace, bool calm);
/* The next sample's time in *t_ms; false at the end. *stale: put a stale marker there. */
bool data_next(struct data *d, struct life *l, int64_t *t_ms, bool *stale);

void data_floats(struct data *d); /* data_float.c */
void data_demo(struct data *d);   /* data_demo.c: what the compliance queries ask for */
void data_hists(struct data *d);  /* data_hist.c */

#endif
