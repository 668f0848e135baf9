/* The runtime config file: strict YAML to a snapshot, and back to text for /runtime_config. */
#include "tenant/internal.h"

#include <stdio.h>
#include <stdlib.h>

struct runtime *runtime__create(const struct limits *defaults)
{
    struct runtime *r = pl_new(struct runtime);

    atomic_store_explicit(&r->refs, 1, memory_order_relaxed);
    pl_arena_init(&r->arena, 0);
    r->defaults = (struct tenant_limits){.limits = *defaults, .owner = r};
    return r;
}

void runtime__unref(struct runtime *r)
{
    /* acq_rel: the last one sees everything that the others did with it. */
    if (r != NULL && atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) == 1) {
        pl_arena_fini(&r->arena);
        pl_free(r);
    }
}

const struct tenant_limits *runtime__find(const struct runtime *r, pl_str tenant)
{
    size_t from = 0, to = r->tenant_count;

    while (from < to) {
        size_t mid = from + (to - from) / 2;
        int c = pl_str_cmp(r->tenants[mid].tenant, tenant);
        if (c == 0) {
            return &r->tenants[mid];
        }
        if (c < 0) {
            from = mid + 1;
        } else {
            to = mid;
        }
    }
    return NULL;
}

/* ---- decoding ---- */

static const struct opt *multi_rows(size_t *count)
{
    static const struct opt rows[] = {
        {.kind = OPT_K_TEXT, .field = "primary", .offset = offsetof(struct runtime_multi, primary), .def = ""},
        {.kind = OPT_K_BOOL,
         .field = "mirror_enabled",
         .offset = offsetof(struct runtime_multi, mirror_enabled),
         .def = "false"},
    };
    *count = PL_ARRAY_LEN(rows);
    return rows;
}

static int tenant_cmp(const void *a, const void *b)
{
    const struct tenant_limits *x = a, *y = b;

    return pl_str_cmp(x->tenant, y->tenant);
}

static void wrong_shape(const struct opt_decoder *d, const struct yaml_node *n, const char *key, const char *into)
{
    config_issue_add(d->issues, n->line, false, "cannot unmarshal %s into %s (%s)", yaml_tag_of(n), into, key);
}

static void decode_tenant(const struct opt_decoder *d, struct tenant_limits *t, const struct yaml_pair *pair,
                          const char *section)
{
    char where[256];

    (void)snprintf(where, sizeof(where), "%s.%.*s", section, (int)PL_MIN(pair->key.n, (size_t)100), pair->key.p);
    t->tenant = pair->key;
    t->given = !yaml_is_null(pair->value);
    if (t->given) {
        opt_decode(d, opt_rows_limits, &t->limits, pair->value, where);
    }
}

static void decode_tenants(const struct opt_decoder *d, struct runtime *r, const struct yaml_node *n)
{
    if (yaml_is_null(n)) {
        return;
    }
    if (n->type != YAML_MAP) {
        wrong_shape(d, n, "overrides", "map");
        return;
    }
    r->tenants = pl_arena_array_try(&r->arena, n->n + 1, sizeof(*r->tenants));
    for (size_t i = 0; r->tenants != NULL && i < n->n; i++) {
        struct tenant_limits *t = &r->tenants[r->tenant_count++];
        *t = r->defaults;
        decode_tenant(d, t, &n->pairs[i], "overrides");
    }
    if (r->tenant_count > 1) {
        qsort(r->tenants, r->tenant_count, sizeof(*r->tenants), tenant_cmp);
    }
}

/* Bounds of the overrides API: checked and shown, not used by anything here. */
static void decode_hard(const struct opt_decoder *d, struct runtime *r, const struct yaml_node *n)
{
    struct pl_buf b = {0};

    if (yaml_is_null(n)) {
        return;
    }
    if (n->type != YAML_MAP) {
        wrong_shape(d, n, "hard_overrides", "map");
        return;
    }
    struct tenant_limits *scratch = pl_new(struct tenant_limits);
    for (size_t i = 0; i < n->n; i++) {
        *scratch = r->defaults;
        decode_tenant(d, scratch, &n->pairs[i], "hard_overrides");
    }
    pl_free(scratch);
    yaml_print_node(&b, n, 0);
    r->hard_overrides = (struct opt_yaml){.text = pl_arena_str(&r->arena, pl_buf_view(&b)), .node = n};
    pl_buf_fini(&b);
}

static void decode_allowed(const struct opt_decoder *d, struct runtime *r, const struct yaml_node *n)
{
    if (yaml_is_null(n)) {
        return;
    }
    if (n->type != YAML_SEQ) {
        wrong_shape(d, n, "api_allowed_limits", "[]string");
        return;
    }
    r->api_allowed_limits.v = pl_arena_array_try(&r->arena, n->n + 1, sizeof(pl_str));
    for (size_t i = 0; r->api_allowed_limits.v != NULL && i < n->n; i++) {
        if (n->items[i]->type != YAML_SCALAR) {
            wrong_shape(d, n->items[i], "api_allowed_limits", "string");
            return;
        }
        r->api_allowed_limits.v[r->api_allowed_limits.n++] = n->items[i]->text;
    }
}

static void decode_ingester(const struct opt_decoder *d, struct runtime *r, const struct yaml_node *n)
{
    struct opt_decoder own = *d;

    if (yaml_is_null(n)) {
        return;
    }
    own.set = r->ingester_set;
    own.set_base = (const char *)&r->ingester;
    r->has_ingester = true;
    opt_decode(&own, opt_rows_ingester_limits, &r->ingester, n, "ingester_limits");
}

static void decode_key(const struct opt_decoder *d, struct runtime *r, const struct yaml_pair *pair)
{
    static const char *const keys[] = {"overrides",       "multi_kv_config", "ingester_stream_chunks_when_using_blocks",
                                       "ingester_limits", "hard_overrides",  "api_allowed_limits"};
    const struct yaml_node *v = pair->value;
    struct opt_nearest near;
    size_t k = 0;

    opt_nearest_init(&near, pair->key);
    while (k < PL_ARRAY_LEN(keys) && !pl_str_eq(pl_str_c(keys[k]), pair->key)) {
        opt_nearest_try(&near, keys[k++]);
    }
    switch (k) {
    case 0:
        decode_tenants(d, r, v);
        return;
    case 1:
        if (!yaml_is_null(v)) {
            const struct yaml_node *mirror = yaml_get(v, PL_STR("mirror_enabled"));
            r->has_mirror = mirror != NULL && !yaml_is_null(mirror);
            opt_decode(d, multi_rows, &r->multi, v, "multi_kv_config");
        }
        return;
    case 2:
        r->has_stream_chunks = !yaml_is_null(v);
        if (r->has_stream_chunks && !yaml_bool(v, &r->stream_chunks)) {
            wrong_shape(d, v, keys[k], "bool");
        }
        return;
    case 3:
        decode_ingester(d, r, v);
        return;
    case 4:
        decode_hard(d, r, v);
        return;
    case 5:
        decode_allowed(d, r, v);
        return;
    default:
        config_issue_add(d->issues, pair->line, false, "field %.*s not found in the runtime configuration%s%s%s",
                         (int)PL_MIN(pair->key.n, (size_t)100), pair->key.p,
                         near.best[0] != '\0' ? "; did you mean " : "", near.best, near.best[0] != '\0' ? "?" : "");
        return;
    }
}

static pl_status check_tenants(const struct runtime *r, struct pl_err *err)
{
    for (size_t i = 0; i < r->tenant_count; i++) {
        PL_TRY(config_check_query_limits(&r->tenants[i].limits, r->tenants[i].tenant, 0, "", err));
    }
    return PL_OK;
}

pl_status runtime__decode(struct runtime *r, pl_str text, struct pl_err *err)
{
    struct config_issues issues = {0};
    struct pl_buf message = {0};
    struct yaml_doc doc;
    const struct opt_decoder d = {.arena = &r->arena, .issues = &issues};
    pl_status st = PL_OK;

    r->loaded = true;
    PL_TRY(yaml_parse(&doc, &r->arena, text, err));
    if (doc.more) {
        return pl_fail(err, PL_INVALID, "the provided runtime configuration contains multiple documents");
    }
    if (doc.root == NULL || yaml_is_null(doc.root)) {
        return PL_OK;
    }
    if (doc.root->type != YAML_MAP) {
        wrong_shape(&d, doc.root, "the runtime configuration", "map");
    }
    for (size_t i = 0; doc.root->type == YAML_MAP && i < doc.root->n; i++) {
        decode_key(&d, r, &doc.root->pairs[i]);
    }
    if (config_issues_errors(&issues) > 0) {
        config_issues_message(&issues, &message);
        st = pl_fail(err, PL_INVALID, "%.*s", PL_STR_ARG(pl_buf_view(&message)));
    }
    config_issues_fini(&issues);
    pl_buf_fini(&message);
    return st == PL_OK ? check_tenants(r, err) : st;
}

/* ---- printing ---- */

static void print_tenants(const struct runtime *r, struct pl_buf *out, bool diff)
{
    size_t before = out->n;
    bool any = false;

    PL_BUF_LIT(out, "overrides:\n");
    for (size_t i = 0; i < r->tenant_count; i++) {
        const struct tenant_limits *t = &r->tenants[i];
        size_t start = out->n;
        PL_BUF_LIT(out, "  ");
        yaml_print_str(out, t->tenant);
        if (!t->given) {
            PL_BUF_LIT(out, ": null\n");
            any = any || !diff;
            out->n = diff ? start : out->n;
            continue;
        }
        PL_BUF_LIT(out, ":\n");
        if (!opt_print(out, opt_rows_limits, &t->limits, &r->defaults.limits, 4, diff ? OPT_PRINT_DIFF : 0)) {
            out->n = start;
        } else {
            any = true;
        }
    }
    if (!any) {
        out->n = before;
        pl_buf_cstr(out, diff ? "" : "overrides: {}\n");
    }
}

static void print_multi(const struct runtime *r, struct pl_buf *out, bool diff)
{
    if (diff && r->multi.primary.n == 0 && !r->has_mirror) {
        return;
    }
    PL_BUF_LIT(out, "multi_kv_config:\n");
    if (!diff || r->multi.primary.n > 0) {
        PL_BUF_LIT(out, "  primary: ");
        yaml_print_str(out, r->multi.primary);
        pl_buf_byte(out, '\n');
    }
    if (!diff || r->has_mirror) {
        pl_buf_printf(out, "  mirror_enabled: %s\n",
                      !r->has_mirror            ? "null"
                      : r->multi.mirror_enabled ? "true"
                                                : "false");
    }
}

void runtime__print(const struct runtime *r, struct pl_buf *out, bool diff)
{
    static const struct config_ingester_instance_limits none;
    size_t before = out->n;

    print_tenants(r, out, diff);
    print_multi(r, out, diff);
    if (!diff || r->has_stream_chunks) {
        pl_buf_printf(out, "ingester_stream_chunks_when_using_blocks: %s\n",
                      !r->has_stream_chunks ? "null"
                      : r->stream_chunks    ? "true"
                                            : "false");
    }
    if (r->has_ingester) {
        PL_BUF_LIT(out, "ingester_limits:\n");
        (void)opt_print(out, opt_rows_ingester_limits, &r->ingester, &none, 2, 0);
    } else if (!diff) {
        PL_BUF_LIT(out, "ingester_limits: null\n");
    }
    if (r->hard_overrides.node != NULL && r->hard_overrides.node->n > 0) {
        PL_BUF_LIT(out, "hard_overrides:\n");
        yaml_print_node(out, r->hard_overrides.node, 2);
    }
    if (r->api_allowed_limits.n > 0) {
        PL_BUF_LIT(out, "api_allowed_limits:\n");
        for (size_t i = 0; i < r->api_allowed_limits.n; i++) {
            PL_BUF_LIT(out, "- ");
            yaml_print_str(out, r->api_allowed_limits.v[i]);
            pl_buf_byte(out, '\n');
        }
    }
    if (out->n == before) {
        PL_BUF_LIT(out, "{}\n");
    }
}
