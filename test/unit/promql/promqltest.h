/* Runs files in Prometheus's test language for PromQL (spec prometheus.md 9) against the engine, in process. */
#ifndef PL_TEST_PROMQLTEST_H
#define PL_TEST_PROMQLTEST_H

#include "base/base.h"

struct promqltest_result {
    unsigned evals, passed, failed;
    unsigned skipped_histogram;  /* need native histograms in the store */
    unsigned skipped_start_time; /* need start timestamps in the store */
    unsigned unimplemented;      /* the engine said so and the caller's list allows it */
    unsigned extra_checks;       /* further queries that had to agree: @ and range */
};

struct promqltest_options {
    const char *const
        *unimplemented; /* texts: a query that contains one may be answered PL_UNIMPLEMENTED; NULL at the end */
    bool verbose;
};

/* Prints every mismatch. */
void promqltest_run(struct promqltest_result *out, pl_str name, pl_str text, const struct promqltest_options *o);

#endif
