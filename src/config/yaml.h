/* config/yaml.h - YAML 1.1 text to a tree of nodes, and scalars back to text.
 *
 * Promise: parses one document strictly (no duplicate keys; merge keys `<<` resolved), with bounds on size, depth and
 * the size that aliases would expand to, so that hostile text costs no more than its own length. Nodes live on the
 * caller's arena and are immutable. Threads: any. Not here: what a key means (config/section.h).
 */
#ifndef PL_CONFIG_YAML_H
#define PL_CONFIG_YAML_H

#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"

enum {
    YAML_TEXT_MAX = 64 << 20, /* bytes */
    YAML_DEPTH_MAX = 64,
    YAML_NODES_MAX = 4 << 20, /* after expanding aliases */
};

enum yaml_type { YAML_SCALAR, YAML_SEQ, YAML_MAP };

struct yaml_pair {
    pl_str key;
    int line;
    const struct yaml_node *value;
};

struct yaml_node {
    enum yaml_type type;
    bool plain;      /* a scalar without quotes: may be null, a bool or a number */
    int line;        /* from 1 */
    uint32_t weight; /* nodes below, aliases counted at each place of use */
    size_t n;
    pl_str text;                    /* scalar */
    const struct yaml_node **items; /* sequence */
    struct yaml_pair *pairs;        /* mapping, in the order of the file */
};

struct yaml_doc {
    const struct yaml_node *root; /* NULL: the document is empty */
    bool more;                    /* another document follows */
};

/* Fails with PL_INVALID: "yaml: line N: cause". PL_TOO_LARGE past a bound. */
PL_MUST_USE pl_status yaml_parse(struct yaml_doc *out, struct pl_arena *a, pl_str text, struct pl_err *err);

/* NULL when the key is not there. */
const struct yaml_node *yaml_get(const struct yaml_node *map, pl_str key);
/* Empty, ~ or null. */
bool yaml_is_null(const struct yaml_node *n);
/* A scalar's bool, when it is one. */
bool yaml_bool(const struct yaml_node *n, bool *out);
/* What a scalar would be taken for: !!str, !!int, !!float, !!bool or !!null; !!seq and !!map for the others. */
const char *yaml_tag_of(const struct yaml_node *n);

/* Appends a scalar so that it reads back as this very string: plain where that is safe, else quoted. */
void yaml_print_str(struct pl_buf *b, pl_str s);
/* Appends a tree in block style, each line indented by `indent` blanks, ending with a line feed. A scalar is one line.
 */
void yaml_print_node(struct pl_buf *b, const struct yaml_node *n, int indent);

#endif
