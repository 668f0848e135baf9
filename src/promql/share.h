/* promql/share.h - parts of a query that are written more than once and evaluated once (this folder only).
 *
 * Promise: answers, annotations and counted samples are those of evaluating each on its own. Sharing keeps the part's
 * columns until the query ends, so only parts with several readers are shared; very long queries are left as they are.
 */
#ifndef PL_PROMQL_SHARE_H
#define PL_PROMQL_SHARE_H

#include "promql/eval.h"

enum { PQ_SHARE_NODES_MAX = 256, PQ_SHARE_TEXT_MAX = 1 << 14 };

/* Finds them; x->shares. Without memory there are none. */
void pq__shares_find(struct exec *x, const struct pq_node *root);
/* An operator that reads the shared part's columns, where n is such a part and the grid is the others' too; *out is
 * NULL when n has to be planned on its own. */
PL_MUST_USE pl_status pq__share(struct op **out, struct exec *x, const struct pq_node *n, struct scope s,
                                struct pl_err *err);

#endif
