/* From arguments and a file to a checked config: order, texts and exit codes of spec http-api-and-config.md 2.1. */
#include "config/internal.h"
#include "config/messages.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- one config ---- */

void config_default(struct config **out)
{
    struct config *cfg = pl_new(struct config);

    cfg->state = pl_new(struct config_state);
    pl_arena_init(&cfg->state->arena, 0);
    opt_set_defaults(opt_rows_config, cfg, &cfg->state->arena);
    *out = cfg;
}

void config_destroy(struct config *cfg)
{
    if (cfg == NULL) {
        return;
    }
    config_issues_fini(&cfg->state->warnings);
    pl_arena_fini(&cfg->state->arena);
    pl_free(cfg->state);
    pl_free(cfg);
}

pl_status config__decode(struct config *cfg, pl_str text, struct config_issues *issues, struct pl_err *err)
{
    struct yaml_doc doc;
    const struct opt_decoder d = {.arena = &cfg->state->arena,
                                  .issues = issues,
                                  .set = cfg->state->set,
                                  .set_base = (const char *)cfg,
                                  .empty_section = &cfg->state->empty_section};

    PL_TRY(yaml_parse(&doc, &cfg->state->arena, text, err));
    if (doc.more) {
        config_issue_add(issues, 0, true, "only the first YAML document of the file is read");
    }
    if (doc.root != NULL && !yaml_is_null(doc.root)) {
        opt_decode(&d, opt_rows_config, cfg, doc.root, "");
    }
    return PL_OK;
}

/* ---- environment ---- */

static pl_str env_value(pl_str name)
{
    for (char **e = environ; e != NULL && *e != NULL; e++) {
        const char *eq = strchr(*e, '=');
        if (eq != NULL && pl_str_eq(pl_str_of(*e, (size_t)(eq - *e)), name)) {
            return pl_str_c(eq + 1);
        }
    }
    return PL_STR_NULL;
}

static bool is_name_char(char c)
{
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_special(char c)
{
    return (c >= '0' && c <= '9') || (c != '\0' && strchr("*#$@!?-", c) != NULL);
}

/* What stands behind a dollar: the name, and how many bytes it takes (0: no name there). Wrong syntax gives an empty
 * name. */
static pl_str shell_name(pl_str s, size_t *taken)
{
    size_t n = 0;

    if (s.n == 0) {
        *taken = 0;
        return PL_STR_NULL;
    }
    if (s.p[0] == '{') {
        size_t end = pl_str_find(s, '}');
        *taken = end == SIZE_MAX ? 1 : end + 1;
        return end == SIZE_MAX || end == 1 ? PL_STR_NULL : pl_str_sub(s, 1, end);
    }
    if (is_special(s.p[0])) {
        *taken = 1;
        return pl_str_sub(s, 0, 1);
    }
    while (n < s.n && is_name_char(s.p[n])) {
        n++;
    }
    *taken = n;
    return pl_str_sub(s, 0, n);
}

void config__expand(struct pl_buf *out, pl_str text)
{
    for (size_t i = 0; i < text.n;) {
        if (text.p[i] != '$') {
            pl_buf_byte(out, (uint8_t)text.p[i++]);
            continue;
        }
        size_t taken;
        pl_str name = shell_name(pl_str_sub(text, i + 1, text.n), &taken), fallback = PL_STR_NULL;
        if (taken == 0) {
            pl_buf_byte(out, '$');
        }
        size_t colon = pl_str_find(name, ':');
        if (colon != SIZE_MAX) {
            fallback = pl_str_sub(name, colon + 1, name.n);
            name = pl_str_sub(name, 0, colon);
        }
        pl_str value = env_value(name);
        pl_buf_str(out, value.n > 0 ? value : fallback);
        i += 1 + taken;
    }
}

/* ---- the file ---- */

/* The system's words with a small first letter, as Go has them. */
static const char *error_text(int e, char *out, size_t size)
{
    (void)snprintf(out, size, "%s", strerrordesc_np(e) != NULL ? strerrordesc_np(e) : "unknown error");
    if (out[0] >= 'A' && out[0] <= 'Z') {
        out[0] = (char)(out[0] - 'A' + 'a');
    }
    return out;
}

pl_status config_read_file(const char *path, struct pl_buf *out, struct pl_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;
    char why[128];

    *out = (struct pl_buf){0};
    if (fd < 0) {
        return pl_fail(err, PL_IO, "open %s: %s", path, error_text(errno, why, sizeof(why)));
    }
    pl_buf_init(out, YAML_TEXT_MAX);
    do {
        char *p = pl_buf_reserve(out, 65536);
        n = p != NULL ? read(fd, p, 65536) : 0;
        if (n > 0) {
            out->n += (size_t)n;
        }
    } while (n > 0);
    int e = errno;
    (void)close(fd);
    if (n < 0) {
        return pl_fail(err, PL_IO, "read %s: %s", path, error_text(e, why, sizeof(why)));
    }
    if (out->overflow || out->n > YAML_TEXT_MAX - 65536) {
        return pl_fail(err, PL_TOO_LARGE, "read %s: larger than %d bytes", path, YAML_TEXT_MAX - 65536);
    }
    return PL_OK;
}

void config_sha256_hex(char *out, pl_str text)
{
    unsigned char sum[SHA256_DIGEST_LENGTH];

    (void)SHA256((const unsigned char *)(text.n > 0 ? text.p : ""), text.n, sum);
    for (size_t i = 0; i < sizeof(sum); i++) {
        (void)snprintf(out + 2 * i, 3, "%02x", sum[i]);
    }
}

static pl_status load_file(struct config *cfg, const char *path, bool expand, char *sha256, struct pl_err *err)
{
    struct pl_buf text = {0}, expanded = {0}, message = {0};
    struct config_issues issues = {0};
    pl_status st = config_read_file(path, &text, err);

    if (st != PL_OK) {
        pl_wrap(err, "Error reading config file");
        goto done;
    }
    config_sha256_hex(sha256, pl_buf_view(&text));
    if (expand) {
        pl_buf_init(&expanded, YAML_TEXT_MAX);
        config__expand(&expanded, pl_buf_view(&text));
    }
    if (expanded.overflow) {
        st = pl_fail(err, PL_TOO_LARGE, "Error parsing config file: larger than %d bytes after expansion",
                     YAML_TEXT_MAX);
        goto done;
    }
    st = config__decode(cfg, expand ? pl_buf_view(&expanded) : pl_buf_view(&text), &issues, err);
    if (st == PL_OK && config_issues_errors(&issues) > 0) {
        config_issues_message(&issues, &message);
        st = pl_fail(err, PL_INVALID, "%.*s", PL_STR_ARG(pl_buf_view(&message)));
    }
    if (st != PL_OK) {
        pl_wrap(err, "Error parsing config file");
        goto done;
    }
    cfg->state->warnings = issues;
    issues = (struct config_issues){0};
done:
    config_issues_fini(&issues);
    pl_buf_fini(&text);
    pl_buf_fini(&expanded);
    pl_buf_fini(&message);
    return st;
}

/* ---- arguments ---- */

struct arg {
    pl_str name;
    pl_str value;
    bool has_value;
};

/* False when it is not a flag at all. */
static bool split_arg(const char *text, struct arg *out)
{
    pl_str s = pl_str_c(text);
    size_t eq;

    if (s.n < 2 || s.p[0] != '-') {
        return false;
    }
    s = pl_str_sub(s, s.p[1] == '-' ? 2 : 1, s.n);
    eq = pl_str_find(s, '=');
    *out = (struct arg){.name = pl_str_sub(s, 0, eq == SIZE_MAX ? s.n : eq), .has_value = eq != SIZE_MAX};
    if (out->has_value) {
        out->value = pl_str_sub(s, eq + 1, s.n);
    }
    return true;
}

static bool is_on(const struct arg *a)
{
    return !a->has_value || pl_str_eq(a->value, PL_STR("true")) || pl_str_eq(a->value, PL_STR("1"));
}

/* -config.file, -config.expand-env and -quick-start count wherever they stand, before everything else; the last one
 * wins. */
static void find_file_args(int argc, char **argv, pl_str *file, bool *expand, bool *quick)
{
    struct arg a;

    for (int i = 1; i < argc; i++) {
        if (!split_arg(argv[i], &a)) {
            continue;
        }
        if (pl_str_eq(a.name, PL_STR("config.file")) && (a.has_value || i + 1 < argc)) {
            *file = a.has_value ? a.value : pl_str_c(argv[i + 1]);
        } else if (pl_str_eq(a.name, PL_STR("config.expand-env"))) {
            *expand = is_on(&a);
        } else if (pl_str_eq(a.name, PL_STR("quick-start"))) {
            *quick = is_on(&a);
        }
    }
}

/* Applies the flags. *help: -help was met; the rest is not looked at. */
static pl_status apply_flags(struct config *cfg, int argc, char **argv, bool *help, struct pl_err *err)
{
    struct arg a;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--") == 0 && i + 1 == argc) {
            break;
        }
        if (!split_arg(argv[i], &a) || strcmp(argv[i], "--") == 0) {
            return pl_fail(err, PL_INVALID,
                           "unexpected argument: \"%.200s\" is not a flag (a switch is turned off by -name=false)",
                           argv[i]);
        }
        if (a.name.n == 0 || a.name.p[0] == '-') {
            return pl_fail(err, PL_INVALID, "bad flag syntax: %.200s", argv[i]);
        }
        if (pl_str_eq(a.name, PL_STR("help")) || pl_str_eq(a.name, PL_STR("h"))) {
            *help = true;
            return PL_OK;
        }
        if (!a.has_value && !config__flag_is_bool(a.name) && i + 1 < argc) {
            a.has_value = true;
            a.value = pl_str_c(argv[++i]);
        }
        PL_TRY(config__set_flag(cfg, a.name, a.has_value ? &a.value : NULL, err));
    }
    return PL_OK;
}

/* ---- config_load ---- */

static pl_status stop(struct config_result *res, int code, const char *prefix, const struct pl_err *e,
                      const char *suffix, struct pl_err *err)
{
    res->exit = true;
    res->exit_code = code;
    pl_buf_printf(&res->err, "%s%s\n%s", prefix, e->msg, suffix);
    if (err != NULL) {
        *err = *e;
    }
    return e->status;
}

static void print_modules(struct pl_buf *out)
{
    size_t count;
    const struct config_target *t = config_targets(&count);

    for (size_t i = 0; i < count; i++) {
        pl_buf_printf(out, "%s%s\n", t[i].name, t[i].in_all ? " *" : "");
    }
    PL_BUF_LIT(out, "\nModules marked with * are included in target All.\n");
}

/* Answers the flags that only print something. */
static bool answer_now(const struct config *cfg, struct config_result *res)
{
    if (cfg->process.modules) {
        print_modules(&res->out);
    } else if (cfg->process.print_config) {
        config_print(&res->out, cfg, CONFIG_PRINT_FULL);
    } else {
        return false;
    }
    res->exit = true;
    return true;
}

/* What a load begins from. */
struct preset {
    const struct config_preset *v;
    size_t n;
};

static pl_status load(struct config *cfg, struct preset preset, int argc, char **argv, struct config_result *res,
                      struct pl_err *err)
{
    struct pl_err e = {0};
    bool expand = false, help = false, quick = false;
    char prefix[512];

    find_file_args(argc, argv, &res->file, &expand, &quick);
    for (size_t i = 0; quick && i < preset.n; i++) {
        if (config_set(cfg, preset.v[i].flag, preset.v[i].value, &e) != PL_OK) {
            return stop(res, 1, "preset: ", &e, "", err);
        }
    }
    memcpy(cfg->state->preset, cfg->state->set, sizeof(cfg->state->preset));
    if (res->file.n > 0) { /* a view of an argument's end: NUL-terminated */
        (void)snprintf(prefix, sizeof(prefix), "error loading config from %s: ", res->file.p);
        if (load_file(cfg, res->file.p, expand, res->file_sha256, &e) != PL_OK) {
            return stop(res, 1, prefix, &e, "", err);
        }
    }
    if (apply_flags(cfg, argc, argv, &help, &e) != PL_OK) {
        return stop(res, 2, "", &e, MSG_RUN_HELP, err);
    }
    if (help) {
        config_help(&res->out);
        res->exit = true;
        res->exit_code = 2;
        return PL_OK;
    }
    if (cfg->process.version) {
        PL_BUF_LIT(&res->out, "pallium, version " PL_VERSION "\n");
        res->exit = true;
        return PL_OK;
    }
    config__move_v19(cfg);
    if (config_check(cfg, &e) != PL_OK) {
        return stop(res, 1, "error validating config: ", &e, "", err);
    }
    (void)answer_now(cfg, res);
    return PL_OK;
}

pl_status config_load(struct config **out, int argc, char **argv, struct config_result *res, struct pl_err *err)
{
    return config_load_over(out, NULL, 0, argc, argv, res, err);
}

pl_status config_load_over(struct config **out, const struct config_preset *preset, size_t n, int argc, char **argv,
                           struct config_result *res, struct pl_err *err)
{
    struct config *cfg;
    struct pl_err e;
    pl_status st;

    *res = (struct config_result){0};
    if (argc <= 1) {
        (void)pl_fail(&e, PL_INVALID, "%s", MSG_NO_CONFIG);
        return stop(res, 1, "", &e, "", err);
    }
    config_default(&cfg);
    st = load(cfg, (struct preset){preset, n}, argc, argv, res, err);
    if (st == PL_OK && !res->exit) {
        *out = cfg;
        return PL_OK;
    }
    config_destroy(cfg);
    return st;
}

void config_result_fini(struct config_result *r)
{
    pl_buf_fini(&r->out);
    pl_buf_fini(&r->err);
}
