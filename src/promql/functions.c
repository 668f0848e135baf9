#include "promql/functions.h"

#include "promql/functions_def.h"

#include <stdlib.h>

/* Argument types spelt as letters; sizeof counts them at compile time. */
#define TYPE_OF(c) \
    ((c) == 'V' ? PQ_VECTOR : (c) == 'M' ? PQ_MATRIX : (c) == 'S' ? PQ_SCALAR : (c) == 'T' ? PQ_STRING : PQ_NONE)
#define TYPE_AT(args, i) (sizeof(args) - 1 > (i) ? TYPE_OF((args)[sizeof(args) - 1 > (i) ? (i) : 0]) : PQ_NONE)
#define TYPE_V           PQ_VECTOR
#define TYPE_S           PQ_SCALAR

#define ROW(kernel, name, args, variadic, result, experimental, doc)                             \
    {#name,                                                                                      \
     {TYPE_AT(args, 0), TYPE_AT(args, 1), TYPE_AT(args, 2), TYPE_AT(args, 3), TYPE_AT(args, 4)}, \
     sizeof(args) - 1,                                                                           \
     variadic,                                                                                   \
     TYPE_##result,                                                                              \
     experimental,                                                                               \
     doc,                                                                                        \
     PQ_FN_##kernel},

static const struct pq_func table[] = {
#define PQ_FUNCTION ROW
#define PQ_ALIAS    ROW
#include "promql/functions.def"
#undef PQ_FUNCTION
#undef PQ_ALIAS
};

static int compare_name(const void *key, const void *row)
{
    return pl_str_cmp(*(const pl_str *)key, pl_str_c(((const struct pq_func *)row)->name));
}

const struct pq_func *pq_func_find(pl_str name)
{
    return bsearch(&name, table, PL_ARRAY_LEN(table), sizeof(table[0]), compare_name);
}

const struct pq_func *pq_func_all(size_t *count)
{
    *count = PL_ARRAY_LEN(table);
    return table;
}
