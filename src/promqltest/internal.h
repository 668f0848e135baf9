/* promqltest/internal.h - shared by this folder's files only. */
#ifndef PL_PROMQLTEST_INTERNAL_H
#define PL_PROMQLTEST_INTERNAL_H

#include "promqltest/promqltest.h"

/* A number (decimal, Inf, NaN, or a duration as seconds) with an optional sign at the start of *s, which is moved
 * behind it. */
bool ptest__number(pl_str *s, double *out);
pl_str ptest__blanks(pl_str s); /* without leading blanks and tabs */
/* A literal `{{...}}` at the start of *s, which is moved behind it. */
PL_MUST_USE pl_status ptest__hist(struct hist **out, bool *hint_set, struct pl_arena *a, pl_str *s, struct pl_err *err);
/* The items of a line `name{...}@st ...`: only gaps and start times. */
PL_MUST_USE pl_status ptest__start_times(struct ptest_value **out, size_t *n, struct pl_arena *a, pl_str items,
                                         struct pl_err *err);
/* Where `name{...}` at the start of s ends: before a blank, "@st" or the end. */
size_t ptest__metric_end(pl_str s);

/* Grows an arena array of `n` used elements to hold one more; false: the arena's limit. */
#define ptest__grow(a, v, cap, n) ((n) < (cap) || ptest__grow_array((a), (void **)&(v), &(cap), (n), sizeof(*(v))))
bool ptest__grow_array(struct pl_arena *a, void **v, size_t *cap, size_t n, size_t size);

/* Is the answer what the evaluation expects? If not, appends what differs, each line indented. */
bool ptest__check(struct pl_buf *report, struct pl_arena *a, const struct ptest_eval *e,
                  const struct ptest_answer *got);
/* A time of the files: 1h30m. */
void ptest__time(struct pl_buf *b, int64_t t_ms);

/* ---- tree.c: the two rewrites of a query ---- */

/* Does its result depend on the time of evaluation, whatever is put on its selectors? */
bool ptest__uses_time(const struct pq_node *n);
/* Puts @ t on every selector and subquery without one, outside subqueries that have one. */
void ptest__pin(struct pq_node *n, int64_t t_ms);

#endif
