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
/* What two samples met, of which at least one is a histogram or the operator is for histograms. */
enum pair_note {
    PAIR_FINE,
    PAIR_FLOATS, /* and the three below: they do not go together */
    PAIR_FLOAT_HIST,
    PAIR_HIST_FLOAT,
    PAIR_HISTS,
    PAIR_LAYOUT,
    PAIR_COLLISION,
    PAIR_RECONCILED,
};

/* COMPAT: of all that the pairs of one step met only the last is told. Kept in order, told when all is computed. */
struct pair_notes {
    uint8_t *last; /* enum pair_note of each step; NULL: nothing was met */
};
PL_MUST_USE pl_status pq__pair_note(struct pair_notes *notes, const struct op *op, size_t step, enum pair_note met,
                                    struct pl_err *err);
void pq__pair_notes_tell(const struct pair_notes *notes, const struct op *op);

/* Two samples of which at least one is a histogram; the other's float is in lv or rv. */
struct hist_pair {
    const struct hist *l, *r;
    double lv, rv;
    /* results */
    const struct hist *out; /* arithmetic: the result; comparison: the left side */
    enum pair_note met;
    bool paired; /* the two go together; else `met` says why not */
    bool keep;   /* false: a comparison filters the sample */
};
PL_MUST_USE pl_status pq__hist_pair(struct hist_pair *p, const struct op *op, struct pl_arena *a, struct pl_err *err);

#endif
