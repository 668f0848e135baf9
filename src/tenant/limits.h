/* tenant/limits.h - each tenant's limits: the process's defaults, and the runtime config's overrides over them.
 *
 * Promise: limits_get returns an immutable snapshot at once; reload publishes a new one. struct limits is the `limits:`
 * section of config/config.h (one field per YAML key, the same name; durations end in _ns). Threads: any.
 */
#ifndef PL_TENANT_LIMITS_H
#define PL_TENANT_LIMITS_H

#include "base/base.h"
#include "config/config.h"

struct overrides;

/* defaults is borrowed for the life of the result. path empty: no runtime config. */
PL_MUST_USE pl_status overrides_create(struct overrides **out, const struct limits *defaults, pl_str path,
                                       struct pl_err *err);
void overrides_destroy(struct overrides *o);
/* PL_BLOCKING. Re-reads the file if it changed; on failure keeps the old values, logs, and sets the metric to 0. */
void overrides_reload(struct overrides *o);
/* Valid until limits_put. */
const struct limits *limits_get(struct overrides *o, pl_str tenant);
void limits_put(struct overrides *o, const struct limits *l);
/* Puts what `ingester_limits:` of the runtime config sets over *io; leaves the rest alone. */
void overrides_ingester_limits(struct overrides *o, struct config_ingester_instance_limits *io);
/* /runtime_config: YAML; mode "diff" or empty. Without a file: the text of spec 1.2. */
void overrides_print(struct overrides *o, struct pl_buf *out, pl_str mode);

#endif
