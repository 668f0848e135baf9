/* server/admin.h - the pages for operators that every process has: /ready, /services, /config, /runtime_config,
 * /metrics, and /admin, an index of links (spec http-api-and-config.md 1.2 and 6).
 *
 * Promise: only text and HTML around what the callbacks say; no state. Callbacks run on workers, several at a time.
 */
#ifndef PL_SERVER_ADMIN_H
#define PL_SERVER_ADMIN_H

#include "server/server.h"

enum { SERVER_SERVICES_MAX = 64 };

struct server_service {
    const char *name;
    const char *status; /* New, Starting, Running, Stopping, Terminated or Failed */
};
struct server_admin_link {
    const char *text;
    const char *path; /* under the path prefix */
    bool dangerous;   /* shown in the section "Dangerous:" */
};

/* Borrowed for the server's life, with what it points to. A NULL callback leaves its page out. */
struct server_admin {
    void *arg; /* of all callbacks */
    /* False: `why` is the text of the 503 ("Some services are not Running:\n..."). */
    bool (*ready)(void *arg, struct pl_buf *why);
    size_t (*services)(void *arg, struct server_service out[SERVER_SERVICES_MAX]);
    /* YAML; mode is "", "diff" or "defaults" (others mean ""). */
    void (*config)(void *arg, pl_str mode, struct pl_buf *out);
    /* False: no runtime config file is configured. */
    bool (*runtime_config)(void *arg, pl_str mode, struct pl_buf *out);
    bool metrics;
    const struct server_admin_link *links; /* beside those of the pages above */
    size_t link_count;
};

/* Adds the routes. */
void server_admin_routes(struct server *s, const struct server_admin *a);

#endif
