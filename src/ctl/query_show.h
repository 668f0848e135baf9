/* ctl/query_show.h - parts of the answers that `palliumctl query` shows: histograms and how a query ran. Shapes other
 * than the expected one are shown as far as they go, never a crash. */
#ifndef PL_CTL_QUERY_SHOW_H
#define PL_CTL_QUERY_SHOW_H

#include "base/buf.h"

#include <jansson.h>

/* {count:3, sum:4.5, (1,2]:3}, from {"count":"3","sum":"4.5","buckets":[[0,"1","2","3"]]}. */
void ctl_show_histogram(struct pl_buf *out, const json_t *h);
/* The tree of "explain", a line for each operator. */
void ctl_show_explain(struct pl_buf *out, const json_t *explain);

#endif
