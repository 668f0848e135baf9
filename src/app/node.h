/* app/node.h - one process: which modules run, and how they are wired.
 *
 * Promise: node_start brings the modules up in dependency order and returns once HTTP listens; stores replay behind it,
 * and /ready says so. node_stop takes them down in the reverse order. Roles meet only through the ports that this file
 * wires. Threads: called from main only.
 */
#ifndef PL_APP_NODE_H
#define PL_APP_NODE_H

#include "base/base.h"
#include "config/config.h"

struct node;

/* cfg is borrowed for the node's life. Fails with the reason, and with nothing left running. */
PL_MUST_USE pl_status node_start(struct node **out, struct config *cfg, struct pl_err *err);
/* NULL allowed. While stores are still being replayed it does not wait for them longer than a moment: it ends the
 * process instead, which their files are made for. */
void node_stop(struct node *n);
/* "http://127.0.0.1:9009" as a browser on this machine would open it; kept by the node. */
const char *node_url(const struct node *n);
/* "0.0.0.0:9009": where it really listens; kept by the node. */
const char *node_address(const struct node *n);
/* Becomes non-zero when a part failed after node_start (a data folder that cannot be used): main then stops with exit
 * code 1. */
bool node_failed(struct node *n, struct pl_err *err);

#endif
