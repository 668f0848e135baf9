/* The command line: Go's flag syntax and messages, by the rows. */
#include "config/internal.h"

#include <stdio.h>
#include <stdlib.h>

#define SHORT(s) (int)PL_MIN((s).n, (size_t)200), (s).p

struct finder {
    pl_str name;
    struct opt_place found;
    bool ok;
    struct opt_nearest *near; /* NULL, or only the nearest name is looked for */
};

static bool find_one(void *arg, const struct opt_place *p)
{
    struct finder *f = arg;

    if (p->flag[0] == '\0') {
        return true;
    }
    if (f->near != NULL) {
        opt_nearest_try(f->near, p->flag);
        return true;
    }
    if (pl_str_eq(pl_str_c(p->flag), f->name) ||
        (p->opt->alias != NULL && pl_str_eq(pl_str_c(p->opt->alias), f->name))) {
        f->found = *p;
        f->ok = true;
        return false;
    }
    return true;
}

/* path and flag of the result are not valid any more. */
static bool find_flag(pl_str name, struct opt_place *out)
{
    struct finder f = {.name = name};

    opt_walk(opt_rows_config, find_one, &f);
    *out = f.found;
    return f.ok;
}

static void nearest_flag(pl_str name, struct opt_nearest *near)
{
    struct finder f = {.name = name, .near = near};

    opt_nearest_init(near, name);
    opt_walk(opt_rows_config, find_one, &f);
}

bool config__flag_is_bool(pl_str name)
{
    struct opt_place p;

    return find_flag(name, &p) && p.opt->kind == OPT_K_BOOL;
}

static void note_use(struct config *cfg, const struct opt_place *p, pl_str name)
{
    struct config_state *s = cfg->state;

    s->set[p->offset / 8] |= (uint8_t)(1U << (p->offset % 8));
    if (p->opt->deprecated && s->deprecated_count < PL_ARRAY_LEN(s->deprecated)) {
        s->deprecated[s->deprecated_count++] = pl_arena_str(&s->arena, name).p;
    }
}

pl_status config__set_flag(struct config *cfg, pl_str name, const pl_str *value, struct pl_err *err)
{
    struct opt_nearest near;
    struct opt_place p;
    char why[OPT_WHY_MAX];

    if (!find_flag(name, &p)) {
        nearest_flag(name, &near);
        return pl_fail(err, PL_INVALID, "flag provided but not defined: -%.*s%s%s%s", SHORT(name),
                       near.best[0] != '\0' ? "\nDid you mean -" : "", near.best, near.best[0] != '\0' ? "?" : "");
    }
    if (value == NULL && p.opt->kind != OPT_K_BOOL) {
        return pl_fail(err, PL_INVALID, "flag needs an argument: -%.*s", SHORT(name));
    }
    const pl_str text = value != NULL ? *value : PL_STR("true");
    if (!opt_parse(p.opt, (char *)cfg + p.offset, text, false, &cfg->state->arena, why)) {
        const pl_str shown = p.opt->kind == OPT_K_SECRET ? PL_STR("********") : text;
        return pl_fail(err, PL_INVALID, "invalid %s \"%.*s\" for %s-%.*s: %s",
                       p.opt->kind == OPT_K_BOOL ? "boolean value" : "value", SHORT(shown),
                       p.opt->kind == OPT_K_BOOL ? "" : "flag ", SHORT(name), why);
    }
    note_use(cfg, &p, name);
    return PL_OK;
}

pl_status config_set(struct config *cfg, const char *flag, const char *value, struct pl_err *err)
{
    const pl_str v = pl_str_c(value);

    return config__set_flag(cfg, pl_str_c(flag), &v, err);
}

bool config_is_set(const struct config *cfg, const char *flag)
{
    struct opt_place p;

    return find_flag(pl_str_c(flag), &p) && config__was_set(cfg, p.offset);
}

/* ---- -help ---- */

enum { HELP_WIDTH = 92, HELP_INDENT = 8 };

/* Words of text, wrapped. */
static void print_wrapped(struct pl_buf *out, pl_str text)
{
    size_t column = 0;

    while (text.n > 0) {
        size_t blank = pl_str_find(text, ' ');
        pl_str word = pl_str_sub(text, 0, blank == SIZE_MAX ? text.n : blank);
        if (column == 0 || column + 1 + word.n > HELP_WIDTH) {
            pl_buf_printf(out, "%s%*s", column == 0 ? "" : "\n", HELP_INDENT, "");
            column = HELP_INDENT;
        } else {
            pl_buf_byte(out, ' ');
            column++;
        }
        pl_buf_str(out, word);
        column += word.n;
        text = blank == SIZE_MAX ? PL_STR_NULL : pl_str_sub(text, blank + 1, text.n);
    }
    pl_buf_byte(out, '\n');
}

static void print_flag(struct pl_buf *out, const struct opt_place *p, const char *name)
{
    const struct opt *o = p->opt;

    pl_buf_printf(out, "  -%s", name);
    if (o->kind != OPT_K_BOOL && o->kind != OPT_K_IGNORED) {
        pl_buf_printf(out, " <%s>", opt_kind_name(o->kind));
    }
    if (o->host) {
        PL_BUF_LIT(out, "  (default: the host's name)");
    } else if (p->def != NULL && p->def[0] != '\0') {
        pl_buf_printf(out, "  (default %s)", p->def);
    }
    pl_buf_byte(out, '\n');
    if (name != p->flag) {
        pl_buf_printf(out, "%*sOlder name of -%s.\n", HELP_INDENT, "", p->flag);
        return;
    }
    if (p->pallium) {
        pl_buf_printf(out, "%*s[Pallium's own]\n", HELP_INDENT, "");
    } else if (o->deprecated) {
        pl_buf_printf(out, "%*s[deprecated: taken, does nothing]\n", HELP_INDENT, "");
    } else if (p->v19) {
        pl_buf_printf(out, "%*s[of Cortex 1.9]%s\n", HELP_INDENT, "",
                      config__acted_on(p) ? "" : " [nothing acts on it yet]");
    } else if (!config__acted_on(p)) {
        pl_buf_printf(out, "%*s[nothing acts on it yet]\n", HELP_INDENT, "");
    }
    print_wrapped(out, pl_str_c(o->help));
}

/* ---- all flags and their values ---- */

struct flag_row {
    pl_str name, value;
};
struct flag_list {
    struct pl_arena arena;
    const struct config *cfg;
    struct flag_row *v;
    size_t n, cap;
};

/* As opt_print_value, but texts bare: YAML would quote them. */
static void flag_value(struct pl_buf *out, const struct opt *o, const void *field)
{
    if (o->kind == OPT_K_TEXT) {
        pl_buf_str(out, *(const pl_str *)field);
    } else if (o->kind == OPT_K_SECRET) {
        pl_buf_cstr(out, ((const pl_str *)field)->n > 0 ? "********" : "");
    } else {
        opt_print_value(out, o, field);
    }
}

static bool list_flag(void *arg, const struct opt_place *p)
{
    struct flag_list *l = arg;
    struct pl_buf value;

    if (p->flag[0] == '\0') {
        return true;
    }
    pl_buf_init(&value, 0);
    flag_value(&value, p->opt, (const char *)l->cfg + p->offset);
    pl_array_reserve(l->v, l->cap, l->n + 1);
    l->v[l->n++] =
        (struct flag_row){pl_arena_str(&l->arena, pl_str_c(p->flag)), pl_arena_str(&l->arena, pl_buf_view(&value))};
    pl_buf_fini(&value);
    return true;
}

static int by_flag(const void *a, const void *b)
{
    return pl_str_cmp(((const struct flag_row *)a)->name, ((const struct flag_row *)b)->name);
}

void config_flags(const struct config *cfg, void (*each)(void *arg, pl_str name, pl_str value), void *arg)
{
    struct flag_list l = {.cfg = cfg};

    pl_arena_init(&l.arena, 0);
    opt_walk(opt_rows_config, list_flag, &l);
    qsort(l.v, l.n, sizeof(*l.v), by_flag);
    for (size_t i = 0; i < l.n; i++) {
        each(arg, l.v[i].name, l.v[i].value);
    }
    pl_free(l.v);
    pl_arena_fini(&l.arena);
}

/* ---- help ---- */

static bool help_one(void *arg, const struct opt_place *p)
{
    struct pl_buf *out = arg;

    if (p->opt->kind == OPT_K_BLOCK && strchr(p->path, '.') == NULL) {
        pl_buf_printf(out, "\n%s: %s\n\n", p->path, p->opt->help);
    }
    if (p->flag[0] != '\0') {
        print_flag(out, p, p->flag);
        if (p->opt->alias != NULL) {
            print_flag(out, p, p->opt->alias);
        }
    }
    return true;
}

void config_help(struct pl_buf *out)
{
    PL_BUF_LIT(
        out,
        "Usage: pallium [flags]\n"
        "\n"
        "Without any flag Pallium starts with its quick-start profile: one process, data in ./data.\n"
        "Options come from the file named by -config.file (YAML) and from flags; a flag wins over the file.\n"
        "A flag takes one or two dashes: -name=value or -name value; a flag without a type is a switch: -name or\n"
        "-name=false. A <list of text> is given by repeating its flag, which adds to the default and to the file.\n"
        "Durations are 300ms, 5s, 1m30s, 2h; per-tenant limits also take 1d, 2w, 1y.\n"
        "docs/config-reference.md has the same with the YAML keys.\n"
        "\n"
        "Top level\n"
        "\n");
    opt_walk(opt_rows_config, help_one, out);
}
