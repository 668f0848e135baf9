/* promql/functions_def.h - one number a function: the kernel column of functions.def, for the evaluator's switch. */
#ifndef PL_PROMQL_FUNCTIONS_DEF_H
#define PL_PROMQL_FUNCTIONS_DEF_H

enum pq_fn {
#define PQ_FUNCTION(kernel, name, args, variadic, result, experimental, doc) PQ_FN_##kernel,
#define PQ_ALIAS(kernel, name, args, variadic, result, experimental, doc)
#include "promql/functions.def"
#undef PQ_FUNCTION
#undef PQ_ALIAS
    PQ_FN_COUNT
};

#endif
