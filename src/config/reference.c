/* docs/config-reference.md. */
#include "config/internal.h"

static void cell_text(struct pl_buf *out, const char *s)
{
    for (; *s != '\0'; s++) {
        if (*s == '|') {
            pl_buf_byte(out, '\\');
        }
        pl_buf_byte(out, (uint8_t)*s);
    }
}

static void code_cell(struct pl_buf *out, const char *before, const char *s)
{
    PL_BUF_LIT(out, "`");
    pl_buf_cstr(out, before);
    cell_text(out, s);
    PL_BUF_LIT(out, "`");
}

static void default_cell(struct pl_buf *out, const struct opt_place *p)
{
    if (p->opt->host) {
        PL_BUF_LIT(out, "the host's name");
    } else if (p->def != NULL && p->def[0] != '\0') {
        code_cell(out, "", p->def);
    }
}

static const char *mark(const struct opt_place *p)
{
    if (p->pallium) {
        return "Pallium's own. ";
    }
    if (p->opt->deprecated) {
        return "Deprecated: taken, does nothing. ";
    }
    if (p->v19) {
        return config__acted_on(p) ? "Of Cortex 1.9. " : "Of Cortex 1.9; nothing acts on it yet. ";
    }
    return config__acted_on(p) ? "" : "Nothing acts on it yet. ";
}

static void print_row(struct pl_buf *out, const struct opt_place *p)
{
    PL_BUF_LIT(out, "| ");
    if (!p->no_yaml) {
        code_cell(out, "", p->path);
    }
    PL_BUF_LIT(out, " | ");
    if (p->flag[0] != '\0') {
        code_cell(out, "-", p->flag);
    }
    if (p->opt->alias != NULL) {
        PL_BUF_LIT(out, ", ");
        code_cell(out, "-", p->opt->alias);
    }
    pl_buf_printf(out, " | %s | ", opt_kind_name(p->opt->kind));
    default_cell(out, p);
    pl_buf_printf(out, " | %s", mark(p));
    cell_text(out, p->opt->help);
    PL_BUF_LIT(out, " |\n");
}

static void print_heading(struct pl_buf *out, const char *name, const char *help)
{
    pl_buf_printf(out, "\n## %s\n\n%s\n\n| YAML key | Flag | Type | Default | Meaning |\n|---|---|---|---|---|\n", name,
                  help);
}

static bool reference_one(void *arg, const struct opt_place *p)
{
    struct pl_buf *out = arg;

    if (p->opt->kind != OPT_K_BLOCK) {
        print_row(out, p);
    } else if (strchr(p->path, '.') == NULL) {
        print_heading(out, p->path, p->opt->help);
    }
    return true;
}

void config_reference_md(struct pl_buf *out)
{
    PL_BUF_LIT(
        out, "# Configuration reference\n"
             "\n"
             "Generated from src/config/options by `config_reference_md`; a test fails when it is stale. Do not edit.\n"
             "\n"
             "Order: built-in defaults, then the file of `-config.file`, then flags; the later wins. With "
             "`-config.expand-env`,\n"
             "`$VAR`, `${VAR}` and `${VAR:default}` in the file are replaced first. Flags take one or two dashes, "
             "`-name=value` or\n"
             "`-name value`; a bool flag without value is true, and false only as `-name=false`. A list's flag is "
             "repeated, and each\n"
             "use adds to the default and to what the file says. Durations are written `300ms`, `5s`, `1m30s`, `2h`; "
             "those of\n"
             "`limits` also `1d`, `2w`, `1y`. Secrets are shown as `********` by `/config`.\n"
             "\n"
             "Pallium takes every option of Cortex, so that one configuration serves both; those that nothing acts on "
             "yet say so, and\n"
             "setting one logs a warning at start.\n");
    print_heading(out, "Top level", "Options outside any section.");
    opt_walk(opt_rows_config, reference_one, out);
}
