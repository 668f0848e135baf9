/* /config: YAML in the order of the rows. */
#include "config/internal.h"

static void print_indent(struct pl_buf *out, int n)
{
    while (n-- > 0) {
        pl_buf_byte(out, ' ');
    }
}

/* A list stands at the indent of its key, as yaml.v2 writes it. */
static void print_list_below(struct pl_buf *out, const struct opt *o, const void *field, int indent)
{
    const struct opt_list *l = field;
    const struct opt_durations *d = field;
    size_t n = o->kind == OPT_K_LIST ? l->n : d->n;

    pl_buf_cstr(out, n == 0 ? " []\n" : "\n");
    for (size_t i = 0; i < n; i++) {
        print_indent(out, indent);
        PL_BUF_LIT(out, "- ");
        if (o->kind == OPT_K_LIST) {
            yaml_print_str(out, l->v[i]);
        } else {
            opt_duration_print(out, d->v[i]);
        }
        pl_buf_byte(out, '\n');
    }
}

static void print_tree_below(struct pl_buf *out, const struct opt *o, const struct opt_yaml *y, int indent)
{
    if (y->node == NULL) {
        pl_buf_cstr(out, o->kind == OPT_K_MAP ? " {}\n" : " []\n");
        return;
    }
    pl_buf_byte(out, '\n');
    yaml_print_node(out, y->node, o->kind == OPT_K_MAP ? indent + 2 : indent);
}

static void print_option(struct pl_buf *out, const struct opt *o, const void *field, int indent)
{
    print_indent(out, indent);
    yaml_print_str(out, pl_str_c(opt_key(o)));
    pl_buf_byte(out, ':');
    if (o->kind == OPT_K_LIST || o->kind == OPT_K_DURATIONS) {
        print_list_below(out, o, field, indent);
    } else if (o->kind == OPT_K_YAML || o->kind == OPT_K_MAP) {
        print_tree_below(out, o, field, indent);
    } else {
        pl_buf_byte(out, ' ');
        opt_print_value(out, o, field);
        pl_buf_byte(out, '\n');
    }
}

/* Options that a plain Cortex does not show are shown once they are set. */
static bool only_when_set(const struct opt *o, int flags)
{
    return o->v19 || o->omit_default || (o->pallium && (flags & OPT_PRINT_DEFAULTS) != 0);
}

bool opt_print(struct pl_buf *out, opt_rows_fn rows, const void *base, const void *def, int indent, int flags)
{
    size_t count;
    const struct opt *o = rows(&count);
    bool any = false;

    for (const struct opt *end = o + count; o < end; o++) {
        const char *field = (const char *)base + o->offset;
        const char *def_field = (const char *)def + o->offset;
        int f = flags | (only_when_set(o, flags) ? OPT_PRINT_DIFF : 0);
        if (o->no_yaml) {
            continue;
        }
        if (o->kind != OPT_K_BLOCK) {
            if ((f & OPT_PRINT_DIFF) == 0 || !opt_equal(o, field, def_field)) {
                print_option(out, o, field, indent);
                any = true;
            }
            continue;
        }
        size_t before = out->n;
        print_indent(out, indent);
        yaml_print_str(out, pl_str_c(opt_key(o)));
        PL_BUF_LIT(out, ":\n");
        if (opt_print(out, o->sub, field, def_field, indent + 2, f)) {
            any = true;
        } else if ((f & OPT_PRINT_DIFF) != 0) {
            out->n = before;
        } else { /* a block all of whose options are flags only */
            out->n -= 1;
            PL_BUF_LIT(out, " {}\n");
            any = true;
        }
    }
    return any;
}

void config_print(struct pl_buf *out, const struct config *cfg, enum config_print_mode mode)
{
    struct config *def;
    size_t before = out->n;

    config_default(&def);
    switch (mode) {
    case CONFIG_PRINT_FULL:
        (void)opt_print(out, opt_rows_config, cfg, def, 0, 0);
        break;
    case CONFIG_PRINT_DIFF:
        (void)opt_print(out, opt_rows_config, cfg, def, 0, OPT_PRINT_DIFF);
        break;
    case CONFIG_PRINT_DEFAULTS:
        (void)opt_print(out, opt_rows_config, def, def, 0, OPT_PRINT_DEFAULTS);
        break;
    }
    config_destroy(def);
    if (out->n == before && !out->overflow) {
        PL_BUF_LIT(out, "{}\n");
    }
}
