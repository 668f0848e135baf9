/* promql/binop.h - what operators between vectors share (this folder only). */
#ifndef PL_PROMQL_BINOP_H
#define PL_PROMQL_BINOP_H

#include "promql/kernels.h"

/* Which label set a series is matched by. */
struct signature {
    const pl_str *names; /* sorted */
    size_t count;
    bool on;
    struct keytab keys;
};

PL_MUST_USE pl_status pq__signature_init(struct signature *s, struct exec *x, const struct pq_node *n,
                                         struct pl_err *err);
/* Numbers the signatures of all columns: of[i] for column i. */
PL_MUST_USE pl_status pq__signatures(uint32_t **of, struct signature *s, const struct op *op, const struct batch *b,
                                     struct pl_err *err);
bool pq__op_drops_name(enum pq_op op, bool return_bool);
void pq__note_float_pair(struct exec *x, const struct pq_node *n);

#endif
