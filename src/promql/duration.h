/* promql/duration.h - duration text (this folder only); the public half is in promql/ast.h. */
#ifndef PL_PROMQL_DURATION_H
#define PL_PROMQL_DURATION_H

#include "promql/ast.h"

/* `1h30m` in nanoseconds; PL_INVALID with Prometheus's texts. */
PL_MUST_USE pl_status pq__duration_ns(int64_t *out_ns, pl_str text, struct pl_err *err);

#endif
