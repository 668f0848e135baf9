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
/* Says that these two do not go together; NULL: a float. */
void pq__note_bad_pair(struct exec *x, const struct pq_node *n, const struct hist *l, const struct hist *r);

/* Two samples of which at least one is a histogram; the other's float is in lv or rv. */
struct hist_pair {
    const struct hist *l, *r;
    double lv, rv;
    /* results */
    const struct hist *out; /* arithmetic: the result; comparison: the left side */
    bool paired;            /* the two go together; else an annotation says why not */
    bool keep;              /* false: a comparison filters the sample */
};
PL_MUST_USE pl_status pq__hist_pair(struct hist_pair *p, const struct op *op, struct pl_arena *a, struct pl_err *err);

#endif
