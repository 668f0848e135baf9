/* tenant/internal.h - the runtime config as one immutable snapshot. */
#ifndef PL_TENANT_INTERNAL_H
#define PL_TENANT_INTERNAL_H

#include "base/arena.h"
#include "config/section.h"
#include "tenant/limits.h"

#include <stdatomic.h>

struct runtime;

/* One tenant's limits, inside the snapshot that it keeps alive. `limits` is what limits_get hands out. */
struct tenant_limits {
    struct limits limits;
    pl_str tenant;
    bool given; /* false: the file has the tenant without any field */
    struct runtime *owner;
};

struct runtime_multi {
    pl_str primary;
    bool mirror_enabled;
};

/* Snapshot: immutable once published, refcounted. */
struct runtime {
    _Atomic uint64_t refs;
    struct pl_arena arena;
    bool loaded; /* from a file */
    struct tenant_limits defaults;
    struct tenant_limits *tenants; /* sorted by name */
    size_t tenant_count;
    struct config_ingester_instance_limits ingester;
    uint8_t ingester_set[(sizeof(struct config_ingester_instance_limits) + 7) / 8];
    bool has_ingester;
    struct runtime_multi multi;
    bool has_mirror;
    bool stream_chunks, has_stream_chunks;
    struct opt_yaml hard_overrides;
    struct opt_list api_allowed_limits;
    char sha256[CONFIG_SHA256_MAX];
};

struct runtime *runtime__create(const struct limits *defaults);
void runtime__unref(struct runtime *r);
/* Decodes the text over r, which is fresh. */
PL_MUST_USE pl_status runtime__decode(struct runtime *r, pl_str text, struct pl_err *err);
/* NULL when the file does not name the tenant. */
const struct tenant_limits *runtime__find(const struct runtime *r, pl_str tenant);
void runtime__print(const struct runtime *r, struct pl_buf *out, bool diff);

#endif
