#include "ctl/ctl.h"

#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- values ---- */

static bool parse_count(const char *text, uint64_t *out)
{
    static const struct {
        char c;
        uint64_t factor;
    } units[] = {{'k', 1000}, {'K', 1000}, {'M', 1000000}, {'G', 1000000000}};
    pl_str s = pl_str_c(text);
    uint64_t factor = 1;

    for (size_t i = 0; s.n > 1 && i < PL_ARRAY_LEN(units); i++) {
        if (s.p[s.n - 1] == units[i].c) {
            factor = units[i].factor;
            s.n--;
            break;
        }
    }
    return pl_str_to_u64(s, out) && pl_mul_ok(out, *out, factor);
}

static bool parse_float(const char *text, double *out)
{
    char *end;

    *out = strtod(text, &end);
    return end != text && *end == '\0' && isfinite(*out);
}

bool ctl_parse_duration(const char *text, int64_t *ns)
{
    static const struct {
        const char *name;
        double ns;
    } units[] = {{"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}, {"d", 86400e9}, {"w", 604800e9}};
    double sum = 0;

    if (strcmp(text, "0") == 0) {
        *ns = 0;
        return true;
    }
    if (*text == '\0') {
        return false;
    }
    while (*text != '\0') {
        char *end;
        double v = *text >= '0' && *text <= '9' ? strtod(text, &end) : (double)NAN;
        size_t i = 0, n;
        if (!isfinite(v)) {
            return false;
        }
        n = strspn(end, "mshdw");
        while (i < PL_ARRAY_LEN(units) && (strlen(units[i].name) != n || strncmp(units[i].name, end, n) != 0)) {
            i++;
        }
        if (i == PL_ARRAY_LEN(units)) {
            return false;
        }
        sum += v * units[i].ns;
        text = end + n;
    }
    *ns = (int64_t)PL_MIN(sum, 9e18);
    return true;
}

/* YYYY-MM-DDTHH:MM:SS[.fff](Z|+HH:MM) */
static bool parse_rfc3339(const char *text, int64_t *unix_ms)
{
    int year, month, day, hour, minute, n = 0, zone_h = 0, zone_m = 0;
    double second;
    char zone;

    if (sscanf(text, "%4d-%2d-%2d%*1[T ]%2d:%2d:%lf%c%n", &year, &month, &day, &hour, &minute, &second, &zone, &n) !=
        7) {
        return false;
    }
    text += n;
    if (zone == '+' || zone == '-') {
        n = 0;
        if (sscanf(text, "%2d:%2d%n", &zone_h, &zone_m, &n) != 2) {
            return false;
        }
        text += n;
    } else if (zone != 'Z') {
        return false;
    }
    if (*text != '\0' || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second >= 60) {
        return false;
    }
    int64_t offset_s = (zone_h * 3600 + zone_m * 60) * (zone == '-' ? -1 : 1);
    int64_t s = pl_date_to_unix(year, month, day) + hour * 3600 + minute * 60 - offset_s;
    *unix_ms = s * 1000 + (int64_t)(second * 1000);
    return true;
}

bool ctl_parse_time(const char *text, int64_t now_ms, int64_t *unix_ms)
{
    int64_t ns;
    double s;

    if (strcmp(text, "now") == 0) {
        *unix_ms = now_ms;
        return true;
    }
    if (*text == '-' && ctl_parse_duration(text + 1, &ns)) {
        *unix_ms = now_ms - ns / PL_NS_PER_MS;
        return true;
    }
    if (parse_float(text, &s) && fabs(s) < 9e15) {
        *unix_ms = (int64_t)(s * 1000);
        return true;
    }
    return parse_rfc3339(text, unix_ms);
}

/* ---- flags ---- */

/* What a value looks like, for whoever wrote another. */
static const char *form_of(enum ctl_flag_kind kind)
{
    switch (kind) {
    case CTL_FLAG_COUNT:
        return ": a whole number, such as 500, 100k or 1M, is wanted";
    case CTL_FLAG_FLOAT:
        return ": a number, such as 0.5, is wanted";
    case CTL_FLAG_DURATION:
        return ": a number with its unit, such as 250ms, 90s, 10m or 1h30m, is wanted";
    case CTL_FLAG_TIME:
        return ": Unix seconds, RFC 3339 (2026-01-02T03:04:05Z), now, or a time before it (-2h) is wanted";
    case CTL_FLAG_BOOL:
    case CTL_FLAG_TEXT:
    case CTL_FLAG_LIST:
        break;
    }
    return "";
}

static pl_status set(const struct ctl_flag *f, const char *value, struct pl_err *err)
{
    bool ok = true;
    struct ctl_list *list;

    switch (f->kind) {
    case CTL_FLAG_BOOL:
        *(bool *)f->to = true;
        break;
    case CTL_FLAG_TEXT:
        *(const char **)f->to = value;
        break;
    case CTL_FLAG_LIST:
        list = f->to;
        if (list->n == CTL_LIST_MAX) {
            return pl_fail(err, PL_INVALID, "--%s: given more than %d times", f->name, CTL_LIST_MAX);
        }
        list->v[list->n++] = value;
        break;
    case CTL_FLAG_COUNT:
        ok = parse_count(value, f->to);
        break;
    case CTL_FLAG_FLOAT:
        ok = parse_float(value, f->to);
        break;
    case CTL_FLAG_DURATION:
        ok = ctl_parse_duration(value, f->to);
        break;
    case CTL_FLAG_TIME:
        ok = ctl_parse_time(value, pl_now_unix_ms(), f->to);
        break;
    }
    if (!ok) {
        return pl_fail(err, PL_INVALID, "--%s: \"%s\" is not a %s%s", f->name, value, f->arg, form_of(f->kind));
    }
    return PL_OK;
}

static const struct ctl_flag *find(const struct ctl_flag *flags, size_t n, pl_str name)
{
    for (size_t i = 0; i < n; i++) {
        if (pl_str_eq(pl_str_c(flags[i].name), name)) {
            return &flags[i];
        }
    }
    return NULL;
}

/* Reads the flag at argv[*at] and moves *at to its last word. */
static pl_status parse_one(const struct ctl_flag *flags, size_t n, int argc, char **argv, int *at, struct pl_err *err)
{
    const char *word = argv[*at], *name = word + (word[1] == '-' ? 2 : 1), *eq = strchr(name, '=');
    const struct ctl_flag *f = find(flags, n, pl_str_of(name, eq != NULL ? (size_t)(eq - name) : strlen(name)));

    if (f == NULL) {
        return pl_fail(err, PL_INVALID,
                       "unknown flag %s (--help lists all; an argument that begins with a dash goes behind --)", word);
    }
    if (f->kind == CTL_FLAG_BOOL) {
        return eq == NULL ? set(f, NULL, err) : pl_fail(err, PL_INVALID, "--%s takes no value", f->name);
    }
    if (eq != NULL) {
        return set(f, eq + 1, err);
    }
    if (*at + 1 == argc) {
        return pl_fail(err, PL_INVALID, "--%s needs a value: --%s %s", f->name, f->name, f->arg);
    }
    (*at)++;
    return set(f, argv[*at], err);
}

pl_status ctl_flags_parse(const struct ctl_flag *flags, size_t n, int *argc, char **argv, bool *help,
                          struct pl_err *err)
{
    int kept = 1;
    bool rest = false;

    for (int at = 1; at < *argc; at++) {
        char *word = argv[at];
        if (rest || word[0] != '-' || word[1] == '\0') {
            argv[kept++] = word;
        } else if (strcmp(word, "--") == 0) {
            rest = true;
        } else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "-help") == 0) {
            *help = true;
        } else {
            PL_TRY(parse_one(flags, n, *argc, argv, &at, err));
        }
    }
    *argc = kept;
    return PL_OK;
}

void ctl_flags_print(const struct ctl_flag *flags, size_t n)
{
    enum { COLUMN = 32 };

    for (size_t i = 0; i < n; i++) {
        int at = printf("  --%s%s%s", flags[i].name, flags[i].arg != NULL ? " " : "",
                        flags[i].arg != NULL ? flags[i].arg : "");
        const char *text = flags[i].help, *line;
        for (bool first = true; *text != '\0'; first = false) {
            size_t len = strcspn(text, "\n");
            line = text;
            text += len + (text[len] == '\n');
            if (first && at >= COLUMN) {
                (void)putchar('\n');
            }
            printf("%*s%.*s\n", first && at < COLUMN ? COLUMN - at : COLUMN, "", (int)len, line);
        }
    }
}

int ctl_help(const char *usage, const struct ctl_flag *flags, size_t n, const char *notes)
{
    (void)fputs(usage, stdout);
    ctl_flags_print(flags, n);
    (void)fputs(notes, stdout);
    return 0;
}
