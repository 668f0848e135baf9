/* The rows: every .def file once more, as tables. */
#include "config/section.h"

#include <stdio.h>
#include <unistd.h>

/* A row knows its struct by a typedef that is local to the function around its table. */
#define OPT_BEGIN(type)                                 \
    static const struct opt *type##_rows(size_t *count) \
    {                                                   \
        typedef struct type opt_struct;                 \
        static const struct opt rows[] = {
#define OPT_END(type)            \
    }                            \
    ;                            \
    *count = PL_ARRAY_LEN(rows); \
    return rows;                 \
    }
#define OPT_ROW(k, f, member, d, h, ...) \
    {.kind = (k), .field = f, .offset = offsetof(opt_struct, member), .def = (d), .help = (h), ##__VA_ARGS__},
#define OPT_BOOL(f, d, h, ...)      OPT_ROW(OPT_K_BOOL, #f, f, d, h, ##__VA_ARGS__)
#define OPT_INT(f, d, h, ...)       OPT_ROW(OPT_K_INT, #f, f, d, h, ##__VA_ARGS__)
#define OPT_UINT(f, d, h, ...)      OPT_ROW(OPT_K_UINT, #f, f, d, h, ##__VA_ARGS__)
#define OPT_FLOAT(f, d, h, ...)     OPT_ROW(OPT_K_FLOAT, #f, f, d, h, ##__VA_ARGS__)
#define OPT_DURATION(f, d, h, ...)  OPT_ROW(OPT_K_DURATION, #f, f##_ns, d, h, ##__VA_ARGS__)
#define OPT_PDURATION(f, d, h, ...) OPT_ROW(OPT_K_PDURATION, #f, f##_ns, d, h, ##__VA_ARGS__)
#define OPT_TEXT(f, d, h, ...)      OPT_ROW(OPT_K_TEXT, #f, f, d, h, ##__VA_ARGS__)
#define OPT_SECRET(f, d, h, ...)    OPT_ROW(OPT_K_SECRET, #f, f, d, h, ##__VA_ARGS__)
#define OPT_LIST(f, d, h, ...)      OPT_ROW(OPT_K_LIST, #f, f, d, h, ##__VA_ARGS__)
#define OPT_DURATIONS(f, d, h, ...) OPT_ROW(OPT_K_DURATIONS, #f, f, d, h, ##__VA_ARGS__)
#define OPT_YAML(f, d, h, ...)      OPT_ROW(OPT_K_YAML, #f, f, d, h, ##__VA_ARGS__)
#define OPT_MAP(f, d, h, ...)       OPT_ROW(OPT_K_MAP, #f, f, d, h, ##__VA_ARGS__)
#define OPT_BLOCK(f, type, p, h, ...) \
    OPT_ROW(OPT_K_BLOCK, #f, f, NULL, h, .sub = type##_rows, .prefix = (p), ##__VA_ARGS__)
#define OPT_IGNORED(f, h, ...) \
    OPT_ROW(OPT_K_IGNORED, #f, f, NULL, h, .deprecated = true, .no_yaml = true, ##__VA_ARGS__)
#define OPT_STATE
#include "config/options/all.def"
#include "config/options/undef.def"

const struct opt *opt_rows_config(size_t *count)
{
    return config_rows(count);
}

const struct opt *opt_rows_limits(size_t *count)
{
    return limits_rows(count);
}

const struct opt *opt_rows_ingester_limits(size_t *count)
{
    return config_ingester_instance_limits_rows(count);
}

const char *opt_key(const struct opt *o)
{
    return o->yaml != NULL ? o->yaml : o->field;
}

const char *opt_kind_name(enum opt_kind k)
{
    switch (k) {
    case OPT_K_BOOL:
        return "bool";
    case OPT_K_INT:
    case OPT_K_UINT:
        return "int";
    case OPT_K_FLOAT:
        return "float";
    case OPT_K_DURATION:
    case OPT_K_PDURATION:
        return "duration";
    case OPT_K_TEXT:
        return "text";
    case OPT_K_SECRET:
        return "secret";
    case OPT_K_LIST:
        return "list of text";
    case OPT_K_DURATIONS:
        return "list of durations";
    case OPT_K_YAML:
        return "YAML list";
    case OPT_K_MAP:
        return "map";
    case OPT_K_BLOCK:
        return "section";
    case OPT_K_IGNORED:
        return "ignored";
    }
    PL_UNREACHABLE("option kind");
}

/* ---- walking ---- */

struct level {
    const char *path;       /* of the block, "" at the top */
    const char *prefix;     /* flag prefix for sub-blocks */
    const char *own_prefix; /* after it, for the block's own rows; "" mostly */
    const char *over;       /* of the block */
    size_t offset;
    bool v19, pallium, no_yaml;
};

/* Appends text at out + n and ends it; the tables' names fit (a test walks them all). Walks are many: no printf here.
 */
static size_t append(char *out, size_t n, const char *text)
{
    size_t len = strlen(text);

    PL_ASSERT(n + len < OPT_PATH_MAX);
    memcpy(out + n, text, len + 1);
    return n + len;
}

static void make_flag(char *out, const struct level *l, const struct opt *o)
{
    size_t n = 0;

    out[0] = '\0';
    if (o->no_flag || o->kind == OPT_K_BLOCK) {
        return;
    }
    if (o->flag != NULL && o->flag[0] == '-') {
        (void)append(out, 0, o->flag + 1);
        return;
    }
    n = append(out, n, l->prefix);
    n = append(out, n, l->own_prefix);
    (void)append(out, n, o->flag != NULL ? o->flag : opt_key(o));
    for (char *p = out + n; o->flag == NULL && *p != '\0'; p++) {
        *p = *p == '_' ? '-' : *p;
    }
}

static const char *default_of(const struct opt *o, const char *over)
{
    size_t n = strlen(opt_key(o));

    return over != NULL && strncmp(over, opt_key(o), n) == 0 && over[n] == '=' ? over + n + 1 : o->def;
}

/* Recursion follows the tables, which are at most six deep. */
static bool walk(opt_rows_fn rows, const struct level *l, bool (*fn)(void *arg, const struct opt_place *p), void *arg)
{
    size_t count;
    const struct opt *o = rows(&count);
    char path[OPT_PATH_MAX], flag[OPT_PATH_MAX], prefix[OPT_PATH_MAX];

    for (const struct opt *end = o + count; o < end; o++) {
        size_t n = append(path, 0, l->path);
        n = append(path, n, n > 0 ? "." : "");
        (void)append(path, n, opt_key(o));
        make_flag(flag, l, o);
        const struct opt_place place = {.opt = o,
                                        .path = path,
                                        .flag = flag,
                                        .def = default_of(o, l->over),
                                        .offset = l->offset + o->offset,
                                        .v19 = l->v19 || o->v19,
                                        .pallium = l->pallium || o->pallium,
                                        .no_yaml = l->no_yaml || o->no_yaml};
        if (!fn(arg, &place)) {
            return false;
        }
        if (o->kind != OPT_K_BLOCK) {
            continue;
        }
        n = append(prefix, 0, o->prefix[0] == '-' ? "" : l->prefix);
        (void)append(prefix, n, o->prefix[0] == '-' ? o->prefix + 1 : o->prefix);
        const struct level below = {.path = path,
                                    .prefix = prefix,
                                    .own_prefix = o->own_prefix != NULL ? o->own_prefix : "",
                                    .over = o->over,
                                    .offset = place.offset,
                                    .v19 = place.v19,
                                    .pallium = place.pallium,
                                    .no_yaml = place.no_yaml};
        if (!walk(o->sub, &below, fn, arg)) {
            return false;
        }
    }
    return true;
}

void opt_walk(opt_rows_fn rows, bool (*fn)(void *arg, const struct opt_place *p), void *arg)
{
    const struct level top = {.path = "", .prefix = "", .own_prefix = ""};

    (void)walk(rows, &top, fn, arg);
}

/* ---- defaults ---- */

struct defaults_arg {
    char *base;
    struct pl_arena *arena;
    pl_str host;
};

static bool set_default(void *arg, const struct opt_place *p)
{
    struct defaults_arg *d = arg;
    char why[OPT_WHY_MAX];

    if (p->opt->kind == OPT_K_BLOCK || p->opt->kind == OPT_K_IGNORED) {
        return true;
    }
    pl_str text = p->opt->host ? d->host : pl_str_c(p->def);
    if (text.n > 0 && !opt_parse(p->opt, d->base + p->offset, text, true, d->arena, why)) {
        PL_UNREACHABLE("a default in the tables does not parse");
    }
    return true;
}

void opt_set_defaults(opt_rows_fn rows, void *base, struct pl_arena *a)
{
    char host[256] = "";
    struct defaults_arg d = {.base = base, .arena = a};

    if (gethostname(host, sizeof(host) - 1) != 0) {
        host[0] = '\0';
    }
    d.host = pl_str_c(host);
    opt_walk(rows, set_default, &d);
}

/* ---- did you mean ---- */

void opt_nearest_init(struct opt_nearest *n, pl_str wanted)
{
    *n = (struct opt_nearest){.wanted = wanted};
    /* More than a third of the letters wrong is another word. */
    n->distance = PL_MIN(wanted.n / 3, (size_t)6) + 1;
}

/* Edit distance with swaps of neighbours (one row of the table kept, two before it for the swaps). */
static size_t edit_distance(pl_str a, pl_str b, size_t max)
{
    enum { WORD_MAX = 128 };
    size_t rows[3][WORD_MAX + 1];

    if (a.n > WORD_MAX || b.n > WORD_MAX || (a.n > b.n ? a.n - b.n : b.n - a.n) >= max) {
        return max;
    }
    for (size_t j = 0; j <= b.n; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a.n; i++) {
        size_t *row = rows[i % 3], *up = rows[(i - 1) % 3], *up2 = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            size_t best = up[j - 1] + (a.p[i - 1] != b.p[j - 1]);
            best = PL_MIN(best, PL_MIN(up[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1]) {
                best = PL_MIN(best, up2[j - 2] + 1);
            }
            row[j] = best;
        }
    }
    return rows[a.n % 3][b.n];
}

void opt_nearest_try(struct opt_nearest *n, const char *candidate)
{
    size_t d = edit_distance(n->wanted, pl_str_c(candidate), n->distance);

    if (d < n->distance) {
        n->distance = d;
        (void)snprintf(n->best, sizeof(n->best), "%s", candidate);
    }
}
