/* promql/eval_histogram.h - the functions of histograms that yield one number each (this folder only). */
#ifndef PL_PROMQL_EVAL_HISTOGRAM_H
#define PL_PROMQL_EVAL_HISTOGRAM_H

#include "promql/eval.h"

/* notes.c: `text`, and which metric it is about unless the name is empty. */
void pq__note_for_metric(struct exec *x, bool is_info, struct pq_pos pos, const char *text, pl_str name);
pl_status pq__make_hist_func(struct op **out, struct exec *x, const struct pq_node *n, struct scope s,
                             struct pl_err *err);

#endif
