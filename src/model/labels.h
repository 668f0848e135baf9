/* model/labels.h - label sets: what names a series.
 *
 * Promise: a label set is a sorted array of (name, value) views without duplicates and without empty values; whoever
 * made it says what keeps the text alive. Order, hash and text are Prometheus's (spec prometheus.md 10.9, 11). Threads:
 * plain values.
 */
#ifndef PL_MODEL_LABELS_H
#define PL_MODEL_LABELS_H

#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"

struct label {
    pl_str name;
    pl_str value;
};

struct labels {
    const struct label *v; /* borrowed */
    size_t n;
};

#define LABEL_METRIC_NAME PL_STR("__name__")

/* The value of a label, empty (n == 0) when absent. */
pl_str labels_get(struct labels ls, pl_str name);
int labels_cmp(struct labels a, struct labels b); /* pairwise name, then value; shorter first */
bool labels_eq(struct labels a, struct labels b);
uint64_t labels_hash(struct labels ls);      /* xxhash64 over name 0xFF value 0xFF ... (spec 10.9) */
void labels_sort(struct label *v, size_t n); /* by name, in place */
/* `{a="b", c="d"}` with Go quoting; names quoted where not [a-zA-Z_][a-zA-Z0-9_]*. */
void labels_text(struct pl_buf *b, struct labels ls);
/* `name{k="v", k2="v2"}`: Prometheus's metric text (label text without __name__, braces left out when empty). */
void labels_metric_text(struct pl_buf *b, struct labels ls);
/* Go's %q of a string. */
void pl_buf_quoted(struct pl_buf *b, pl_str s);
/* Copies the array and all text into the arena. v == NULL with n > 0: the arena's limit was passed. */
struct labels labels_copy_try(struct pl_arena *a, struct labels ls);

bool label_name_is_legacy(pl_str name);  /* [a-zA-Z_][a-zA-Z0-9_]* */
bool metric_name_is_legacy(pl_str name); /* [a-zA-Z_:][a-zA-Z0-9_:]* */

#endif
