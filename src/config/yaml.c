/* The only file that includes libyaml. */
#include "config/yaml.h"

#include <stdlib.h>
#include <yaml.h>

/* ---- parsing: events to a tree, with an explicit stack ---- */

struct anchor {
    pl_str name;
    const struct yaml_node *node; /* NULL while it is still being built */
};

/* A collection that is being built; children are gathered on one shared stack and copied out when it ends. */
struct frame {
    struct yaml_node *node;
    size_t base;   /* first child on the stack */
    size_t anchor; /* index into anchors + 1, 0: none */
    bool have_key;
    pl_str key;
    int key_line;
};

struct builder {
    struct pl_arena *a;
    struct pl_err *err;
    struct frame frames[YAML_DEPTH_MAX];
    size_t depth;
    struct yaml_pair *stack; /* children of all open frames; sequences use only .value */
    size_t stack_n, stack_cap;
    struct anchor *anchors;
    size_t anchor_n, anchor_cap;
    uint64_t nodes;
    const struct yaml_node *root;
};

static int line_of(yaml_mark_t m)
{
    return m.line < INT32_MAX ? (int)m.line + 1 : INT32_MAX;
}

static pl_str copy_text(struct builder *b, const yaml_char_t *p, size_t n)
{
    return pl_arena_str(b->a, pl_str_of((const char *)p, n));
}

static bool is_merge_key(pl_str key)
{
    return pl_str_eq(key, PL_STR("<<"));
}

static int pair_cmp(const void *x, const void *y)
{
    const struct yaml_pair *const *a = x;
    const struct yaml_pair *const *b = y;
    int c = pl_str_cmp((*a)->key, (*b)->key);

    return c != 0 ? c : ((*a)->line > (*b)->line) - ((*a)->line < (*b)->line);
}

static pl_status check_unique(struct builder *b, const struct yaml_pair *pairs, size_t n)
{
    const struct yaml_pair **order;
    pl_status st = PL_OK;

    if (n < 2) {
        return PL_OK;
    }
    order = pl_new_array(const struct yaml_pair *, n);
    for (size_t i = 0; i < n; i++) {
        order[i] = &pairs[i];
    }
    qsort(order, n, sizeof(*order), pair_cmp);
    for (size_t i = 1; i < n && st == PL_OK; i++) {
        if (pl_str_eq(order[i]->key, order[i - 1]->key) && !is_merge_key(order[i]->key)) {
            st = pl_fail(b->err, PL_INVALID,
                         "yaml: unmarshal errors:\n  line %d: key \"%.*s\" already set in map (first on line %d)",
                         order[i]->line, (int)PL_MIN(order[i]->key.n, 200), order[i]->key.p, order[i - 1]->line);
        }
    }
    pl_free(order);
    return st;
}

/* Bounds the work of one mapping's merges, where each merged key is looked up among the keys so far. */
enum { MERGE_KEYS_MAX = 1000 };

static pl_status merge_one(struct builder *b, struct yaml_node *map, size_t cap, const struct yaml_node *from, int line)
{
    if (from->type != YAML_MAP) {
        return pl_fail(b->err, PL_INVALID, "yaml: line %d: map merge requires map or sequence of maps as the value",
                       line);
    }
    for (size_t i = 0; i < from->n; i++) {
        if (yaml_get(map, from->pairs[i].key) == NULL) {
            PL_ASSERT(map->n < cap);
            map->pairs[map->n++] = from->pairs[i];
        }
    }
    return PL_OK;
}

/* Replaces `<<: *x` by the keys of x that the mapping does not have itself; earlier sources win. */
static pl_status resolve_merges(struct builder *b, struct yaml_node *map)
{
    const struct yaml_pair *own = map->pairs;
    size_t own_n = map->n, extra = 0;

    for (size_t i = 0; i < own_n; i++) {
        const struct yaml_node *v = own[i].value;
        if (!is_merge_key(own[i].key)) {
            continue;
        }
        if (v->type == YAML_MAP) {
            extra += v->n;
        }
        for (size_t j = 0; v->type == YAML_SEQ && j < v->n; j++) {
            extra += v->items[j]->n;
        }
        extra += 1;
    }
    if (extra == 0) {
        return PL_OK;
    }
    b->nodes += extra * (extra + own_n) / 64; /* the look-ups below */
    if (extra + own_n > MERGE_KEYS_MAX || b->nodes > YAML_NODES_MAX) {
        return pl_fail(b->err, PL_TOO_LARGE, "yaml: line %d: too many merged keys", map->line);
    }
    map->pairs = pl_arena_new_array_try(b->a, struct yaml_pair, own_n + extra);
    if (map->pairs == NULL) {
        return pl_fail(b->err, PL_TOO_LARGE, "yaml: document too large");
    }
    map->n = 0;
    for (size_t i = 0; i < own_n; i++) {
        if (!is_merge_key(own[i].key)) {
            map->pairs[map->n++] = own[i];
        }
    }
    for (size_t i = 0; i < own_n; i++) {
        const struct yaml_node *v = own[i].value;
        if (!is_merge_key(own[i].key)) {
            continue;
        }
        if (v->type != YAML_SEQ) {
            PL_TRY(merge_one(b, map, own_n + extra, v, own[i].line));
        }
        for (size_t j = 0; v->type == YAML_SEQ && j < v->n; j++) {
            PL_TRY(merge_one(b, map, own_n + extra, v->items[j], own[i].line));
        }
    }
    return PL_OK;
}

/* Hands a finished node to the collection around it, or makes it the root. */
static pl_status attach(struct builder *b, const struct yaml_node *node, bool is_alias)
{
    struct frame *f;

    if (b->depth == 0) {
        b->root = node;
        return PL_OK;
    }
    f = &b->frames[b->depth - 1];
    if (f->node->type == YAML_MAP && !f->have_key) {
        if (node->type != YAML_SCALAR) {
            return pl_fail(b->err, PL_INVALID, "yaml: line %d: invalid map key: only plain text can be a key here",
                           node->line);
        }
        f->have_key = true;
        f->key = node->text;
        f->key_line = node->line;
        return PL_OK;
    }
    if (is_alias) {
        b->nodes += node->weight;
    }
    f->node->weight += node->weight;
    if (b->nodes > YAML_NODES_MAX || f->node->weight > YAML_NODES_MAX) {
        return pl_fail(b->err, PL_TOO_LARGE, "yaml: line %d: document contains excessive aliasing", node->line);
    }
    pl_array_reserve(b->stack, b->stack_cap, b->stack_n + 1);
    b->stack[b->stack_n++] = (struct yaml_pair){.key = f->key, .line = f->key_line, .value = node};
    f->have_key = false;
    return PL_OK;
}

static struct yaml_node *new_node(struct builder *b, enum yaml_type type, int line)
{
    struct yaml_node *n = pl_arena_new(b->a, struct yaml_node);

    n->type = type;
    n->line = line;
    n->weight = 1;
    b->nodes++;
    return n;
}

static size_t add_anchor(struct builder *b, const yaml_char_t *name, const struct yaml_node *node)
{
    if (name == NULL) {
        return 0;
    }
    pl_array_reserve(b->anchors, b->anchor_cap, b->anchor_n + 1);
    b->anchors[b->anchor_n] = (struct anchor){copy_text(b, name, strlen((const char *)name)), node};
    return ++b->anchor_n;
}

static pl_status on_start(struct builder *b, enum yaml_type type, const yaml_char_t *anchor, int line)
{
    struct frame *f;

    if (b->depth == YAML_DEPTH_MAX) {
        return pl_fail(b->err, PL_TOO_LARGE, "yaml: line %d: nested more than %d deep", line, YAML_DEPTH_MAX);
    }
    f = &b->frames[b->depth++];
    *f = (struct frame){.node = new_node(b, type, line), .base = b->stack_n, .anchor = add_anchor(b, anchor, NULL)};
    return PL_OK;
}

static pl_status on_end(struct builder *b)
{
    struct frame *f = &b->frames[b->depth - 1];
    struct yaml_node *n = f->node;
    const struct yaml_pair *kids = NULL;

    n->n = b->stack_n - f->base;
    if (n->n > 0) {
        kids = b->stack + f->base;
    }
    if (n->type == YAML_MAP) {
        n->pairs = pl_arena_new_array_try(b->a, struct yaml_pair, n->n + 1);
        if (n->pairs == NULL) {
            return pl_fail(b->err, PL_TOO_LARGE, "yaml: document too large");
        }
        if (n->n > 0) {
            memcpy(n->pairs, kids, n->n * sizeof(*kids));
        }
        PL_TRY(check_unique(b, n->pairs, n->n));
        PL_TRY(resolve_merges(b, n));
    } else {
        n->items = (const struct yaml_node **)pl_arena_array_try(b->a, n->n + 1, sizeof(*n->items));
        if (n->items == NULL) {
            return pl_fail(b->err, PL_TOO_LARGE, "yaml: document too large");
        }
        for (size_t i = 0; i < n->n; i++) {
            n->items[i] = kids[i].value;
        }
    }
    b->stack_n = f->base;
    if (f->anchor > 0) {
        b->anchors[f->anchor - 1].node = n;
    }
    b->depth--;
    return attach(b, n, false);
}

static pl_status on_scalar(struct builder *b, const yaml_event_t *ev)
{
    struct yaml_node *n = new_node(b, YAML_SCALAR, line_of(ev->start_mark));
    const char *tag = (const char *)ev->data.scalar.tag;

    n->text = copy_text(b, ev->data.scalar.value, ev->data.scalar.length);
    n->plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && (tag == NULL || strcmp(tag, YAML_STR_TAG) != 0);
    (void)add_anchor(b, ev->data.scalar.anchor, n);
    return attach(b, n, false);
}

static pl_status on_alias(struct builder *b, const yaml_event_t *ev)
{
    pl_str name = pl_str_c((const char *)ev->data.alias.anchor);
    int line = line_of(ev->start_mark);

    for (size_t i = b->anchor_n; i > 0; i--) { /* the latest definition counts */
        if (!pl_str_eq(b->anchors[i - 1].name, name)) {
            continue;
        }
        if (b->anchors[i - 1].node == NULL) {
            return pl_fail(b->err, PL_INVALID, "yaml: line %d: anchor '%.*s' value contains itself", line,
                           (int)PL_MIN(name.n, 200), name.p);
        }
        return attach(b, b->anchors[i - 1].node, true);
    }
    return pl_fail(b->err, PL_INVALID, "yaml: line %d: unknown anchor '%.*s' referenced", line,
                   (int)PL_MIN(name.n, 200), name.p);
}

/* Sets *done at the end of the first document. */
static pl_status on_event(struct builder *b, const yaml_event_t *ev, bool *done)
{
    switch (ev->type) {
    case YAML_SCALAR_EVENT:
        return on_scalar(b, ev);
    case YAML_ALIAS_EVENT:
        return on_alias(b, ev);
    case YAML_MAPPING_START_EVENT:
        return on_start(b, YAML_MAP, ev->data.mapping_start.anchor, line_of(ev->start_mark));
    case YAML_SEQUENCE_START_EVENT:
        return on_start(b, YAML_SEQ, ev->data.sequence_start.anchor, line_of(ev->start_mark));
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        return on_end(b);
    case YAML_DOCUMENT_END_EVENT:
    case YAML_STREAM_END_EVENT:
        *done = true;
        return PL_OK;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_DOCUMENT_START_EVENT:
        return PL_OK;
    }
    PL_UNREACHABLE("yaml event");
}

static pl_status fail_parser(const yaml_parser_t *p, struct pl_err *err)
{
    if (p->error == YAML_MEMORY_ERROR) {
        return pl_fail(err, PL_NOMEM, "yaml: out of memory");
    }
    if (p->error == YAML_READER_ERROR) {
        return pl_fail(err, PL_INVALID, "yaml: offset %zu: %s", p->problem_offset, p->problem);
    }
    const char *problem = p->problem != NULL ? p->problem : "unknown error";
    return pl_fail(err, PL_INVALID, "yaml: line %d: %s%s", line_of(p->problem_mark), problem,
                   strstr(problem, "cannot start any token") != NULL ? " (a tab? YAML indents with spaces)" : "");
}

static pl_status next_event(yaml_parser_t *p, yaml_event_t *ev, struct pl_err *err)
{
    if (!yaml_parser_parse(p, ev)) {
        return fail_parser(p, err);
    }
    return PL_OK;
}

pl_status yaml_parse(struct yaml_doc *out, struct pl_arena *a, pl_str text, struct pl_err *err)
{
    struct builder *b;
    yaml_parser_t parser;
    yaml_event_t ev;
    bool done = false, more = false;
    pl_status st = PL_OK;

    if (text.n > YAML_TEXT_MAX) {
        return pl_fail(err, PL_TOO_LARGE, "yaml: text of %zu bytes is larger than the limit of %d", text.n,
                       YAML_TEXT_MAX);
    }
    if (!yaml_parser_initialize(&parser)) {
        return pl_fail(err, PL_NOMEM, "yaml: out of memory");
    }
    b = pl_new(struct builder);
    b->a = a;
    b->err = err;
    yaml_parser_set_input_string(&parser, (const unsigned char *)(text.n > 0 ? text.p : ""), text.n);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    while (st == PL_OK && !done) {
        st = next_event(&parser, &ev, err);
        if (st == PL_OK) {
            st = on_event(b, &ev, &done);
            done = done || ev.type == YAML_STREAM_END_EVENT;
            more = ev.type == YAML_DOCUMENT_END_EVENT;
            yaml_event_delete(&ev);
        }
    }
    if (st == PL_OK && more) { /* whatever is behind the first document, broken or not, is another one */
        if (next_event(&parser, &ev, NULL) == PL_OK) {
            more = ev.type != YAML_STREAM_END_EVENT;
            yaml_event_delete(&ev);
        }
    }
    if (st == PL_OK) {
        *out = (struct yaml_doc){.root = b->root, .more = more};
    }
    yaml_parser_delete(&parser);
    pl_free(b->stack);
    pl_free(b->anchors);
    pl_free(b);
    return st;
}

const struct yaml_node *yaml_get(const struct yaml_node *map, pl_str key)
{
    for (size_t i = 0; map->type == YAML_MAP && i < map->n; i++) {
        if (pl_str_eq(map->pairs[i].key, key)) {
            return map->pairs[i].value;
        }
    }
    return NULL;
}
