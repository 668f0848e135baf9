/* promql/functions.h - the function table: one row a function. The parser reads names, types and counts; the evaluator
 * the kernel. A reader adds a function by adding one row (functions.def) and one kernel. */
#ifndef PL_PROMQL_FUNCTIONS_H
#define PL_PROMQL_FUNCTIONS_H

#include "promql/ast.h"

enum { PQ_ARGS_MAX = 8 };

struct pq_func {
    const char *name;
    enum pq_type args[PQ_ARGS_MAX]; /* declared argument types */
    uint32_t arg_count;             /* declared; with variadic the last type repeats */
    int variadic; /* 0: exactly arg_count; n > 0: the last declared may be given 0 to n times; -1: any number of times
                   */
    enum pq_type result;
    bool experimental;
    const char *doc; /* one line, our own words */
    int kernel;      /* enum in promql/kernels.h, private to the evaluator */
};

const struct pq_func *pq_func_find(pl_str name); /* NULL: unknown */
const struct pq_func *pq_func_all(size_t *count);

#endif
