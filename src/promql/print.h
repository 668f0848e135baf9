/* promql/print.h - pieces that the canonical and the pretty printer share (this folder only). */
#ifndef PL_PROMQL_PRINT_H
#define PL_PROMQL_PRINT_H

#include "promql/ast.h"

void pq__print_labels(struct pl_buf *b, const pl_str *labels, uint32_t count);
void pq__print_dur(struct pl_buf *b, const struct pq_dur *d);
void pq__print_subquery_suffix(struct pl_buf *b, const struct pq_node *n); /* [5m:1m] @ 1.000 offset 1m */
void pq__print_operator(struct pl_buf *b, const struct pq_node *n);
void pq__print_agg_head(struct pl_buf *b, const struct pq_node *n);

#endif
