/* Values as text: of flags and defaults, and as /config shows them. */
#include "config/section.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

PL_PRINTF(2, 3) static bool say(char *why, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(why, OPT_WHY_MAX, fmt, ap);
    va_end(ap);
    return false;
}

/* ---- numbers ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The shortest digits that read back as v, as Go's %g writes them: with an exponent below 1e-4 and from 1e+06 on. */
void opt_float_print(struct pl_buf *out, double v)
{
    char digits[40];
    int precision = 0;

    if (isnan(v)) {
        PL_BUF_LIT(out, ".nan");
        return;
    }
    if (isinf(v)) {
        pl_buf_cstr(out, v > 0 ? ".inf" : "-.inf");
        return;
    }
    do {
        (void)snprintf(digits, sizeof(digits), "%.*e", precision, v);
    } while (strtod(digits, NULL) != v && ++precision < 17);
    int exponent = (int)strtol(strchr(digits, 'e') + 1, NULL, 10);
    if (exponent < -4 || exponent >= 6) {
        pl_buf_cstr(out, digits);
        return;
    }
    (void)snprintf(digits, sizeof(digits), "%.*f", PL_MAX(precision - exponent, 0), v);
    pl_buf_cstr(out, digits);
}

/* Whole numbers as Go reads them: decimal, 0x, 0o, 0b, a leading 0 is octal, underscores between digits. */
static bool parse_int(pl_str s, int64_t *out, char *why)
{
    char text[80];
    size_t n = 0;
    int base = 10;
    char *end;
    bool negative;

    if (s.n == 0 || s.n >= sizeof(text)) {
        return say(why, "parse error");
    }
    negative = s.p[0] == '-';
    for (size_t i = s.p[0] == '-' || s.p[0] == '+' ? 1 : 0; i < s.n; i++) {
        if (s.p[i] != '_' || n == 0) {
            text[n++] = s.p[i];
        }
    }
    text[n] = '\0';
    size_t skip = 0;
    if (n > 1 && text[0] == '0') {
        base = text[1] == 'x' || text[1] == 'X' ? 16 : text[1] == 'b' || text[1] == 'B' ? 2 : 8;
        skip = base == 16 || base == 2 || text[1] == 'o' || text[1] == 'O' ? 2 : 1;
    }
    const char first = text[skip];
    if (!(is_digit(first) || (base == 16 && ((first >= 'a' && first <= 'f') || (first >= 'A' && first <= 'F'))))) {
        return say(why, "parse error");
    }
    errno = 0;
    unsigned long long v = strtoull(text + skip, &end, base);
    if (*end != '\0') {
        return say(why, "parse error");
    }
    if (errno != 0 || v > (unsigned long long)INT64_MAX + negative) {
        return say(why, "value out of range");
    }
    *out = negative ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

static bool parse_float(pl_str s, double *out, char *why)
{
    char text[400];
    char *end;

    if (s.n == 0 || s.n >= sizeof(text) || s.p[0] == ' ' || memchr(s.p, '\0', s.n) != NULL) {
        return say(why, "parse error");
    }
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    /* .inf and .nan are YAML's; the C library reads them without the point. */
    char *p = strpbrk(text, ".") == text + (text[0] == '-' || text[0] == '+')
                  ? text + (text[0] == '-' || text[0] == '+')
                  : NULL;
    if (p != NULL && (p[1] == 'i' || p[1] == 'I' || p[1] == 'n' || p[1] == 'N')) {
        memmove(p, p + 1, strlen(p));
    }
    errno = 0;
    double v = strtod(text, &end);
    if (*end != '\0' || end == text) {
        return say(why, "parse error");
    }
    if (errno == ERANGE && fabs(v) > 1) {
        return say(why, "value out of range");
    }
    *out = v;
    return true;
}

static bool parse_bool(pl_str s, bool *out, char *why)
{
    static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True"};
    static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};

    for (size_t i = 0; i < PL_ARRAY_LEN(yes); i++) {
        if (pl_str_eq(s, pl_str_c(yes[i]))) {
            *out = true;
            return true;
        }
        if (pl_str_eq(s, pl_str_c(no[i]))) {
            *out = false;
            return true;
        }
    }
    return say(why, "parse error");
}

/* ---- lists and mappings ---- */

static void list_add(struct opt_list *l, pl_str s, struct pl_arena *a)
{
    pl_str *v = pl_arena_zero(a, (l->n + 1) * sizeof(*v));

    if (l->n > 0) {
        memcpy(v, l->v, l->n * sizeof(*v));
    }
    v[l->n] = pl_arena_str(a, s);
    *l = (struct opt_list){v, l->n + 1};
}

/* Cuts the next part off a comma list. */
static pl_str take_part(pl_str *s)
{
    size_t comma = pl_str_find(*s, ',');
    pl_str part = pl_str_sub(*s, 0, comma == SIZE_MAX ? s->n : comma);

    *s = comma == SIZE_MAX ? PL_STR_NULL : pl_str_sub(*s, comma + 1, s->n);
    return part;
}

static bool parse_durations(struct opt_durations *out, pl_str s, struct pl_arena *a, char *why)
{
    struct opt_durations d = {.v = pl_arena_array_try(a, s.n / 2 + 1, sizeof(int64_t))};

    if (d.v == NULL) {
        return say(why, "too long");
    }
    while (s.n > 0) {
        if (!opt_duration_parse(take_part(&s), &d.v[d.n], why)) {
            return false;
        }
        d.n++;
    }
    *out = d;
    return true;
}

static bool parse_yaml(const struct opt *o, struct opt_yaml *out, pl_str text, struct pl_arena *a, char *why)
{
    struct pl_err err;
    struct yaml_doc doc;
    struct pl_buf b = {0};

    if (yaml_parse(&doc, a, text, &err) != PL_OK) {
        return say(why, "%.200s", err.msg);
    }
    if (doc.root == NULL || yaml_is_null(doc.root)) {
        *out = (struct opt_yaml){0};
        return true;
    }
    if (doc.root->type != (o->kind == OPT_K_MAP ? YAML_MAP : YAML_SEQ)) {
        return say(why, o->kind == OPT_K_MAP ? "a JSON object or YAML mapping is needed" : "a YAML list is needed");
    }
    yaml_print_node(&b, doc.root, 0);
    *out = (struct opt_yaml){.text = pl_arena_str(a, pl_buf_view(&b)), .node = doc.root};
    pl_buf_fini(&b);
    return true;
}

static bool parse_list(const struct opt *o, struct opt_list *l, pl_str text, bool is_default, struct pl_arena *a)
{
    if (!o->csv && !is_default) {
        list_add(l, text, a); /* COMPAT: each use of the flag adds one, to the default and to what the file says too */
        return true;
    }
    *l = (struct opt_list){0};
    while (text.n > 0) {
        list_add(l, take_part(&text), a);
    }
    return true;
}

bool opt_parse(const struct opt *o, void *field, pl_str text, bool is_default, struct pl_arena *a, char *why)
{
    int64_t i;

    switch (o->kind) {
    case OPT_K_BOOL:
        return parse_bool(text, field, why);
    case OPT_K_INT:
        return parse_int(text, field, why);
    case OPT_K_UINT:
        if (!parse_int(text, &i, why)) {
            return false;
        }
        if (i < 0) {
            return say(why, "parse error: must not be negative");
        }
        *(int64_t *)field = i;
        return true;
    case OPT_K_FLOAT:
        return parse_float(text, field, why);
    case OPT_K_DURATION:
        return opt_duration_parse(text, field, why);
    case OPT_K_PDURATION:
        return opt_prom_duration_parse(text, field, why);
    case OPT_K_TEXT:
    case OPT_K_SECRET:
        *(pl_str *)field = pl_arena_str(a, text);
        return true;
    case OPT_K_LIST:
        return parse_list(o, field, text, is_default, a);
    case OPT_K_DURATIONS:
        return parse_durations(field, text, a, why);
    case OPT_K_YAML:
    case OPT_K_MAP:
        return parse_yaml(o, field, text, a, why);
    case OPT_K_IGNORED:
        *(bool *)field = true;
        return true;
    case OPT_K_BLOCK:
        return say(why, "a section has no value of its own");
    }
    PL_UNREACHABLE("option kind");
}

/* ---- printing and comparing ---- */

static void print_list(struct pl_buf *out, const struct opt_list *l)
{
    pl_buf_byte(out, '[');
    for (size_t i = 0; i < l->n; i++) {
        pl_buf_cstr(out, i > 0 ? ", " : "");
        yaml_print_str(out, l->v[i]);
    }
    pl_buf_byte(out, ']');
}

static void print_durations(struct pl_buf *out, const struct opt_durations *d)
{
    pl_buf_byte(out, '[');
    for (size_t i = 0; i < d->n; i++) {
        pl_buf_cstr(out, i > 0 ? ", " : "");
        opt_duration_print(out, d->v[i]);
    }
    pl_buf_byte(out, ']');
}

/* scheme://user:password@host is shown with the password masked. */
static void print_text(struct pl_buf *out, pl_str s)
{
    size_t scheme = pl_str_find_str(s, PL_STR("://"));
    struct pl_buf masked = {0};

    if (scheme != SIZE_MAX) {
        pl_str rest = pl_str_sub(s, scheme + 3, s.n);
        size_t slash = pl_str_find(rest, '/');
        pl_str authority = pl_str_sub(rest, 0, slash == SIZE_MAX ? rest.n : slash);
        size_t colon = pl_str_find(authority, ':'), at = SIZE_MAX;
        for (size_t i = 0; i < authority.n; i++) {
            at = authority.p[i] == '@' ? i : at;
        }
        if (at != SIZE_MAX && colon < at) {
            pl_buf_str(&masked, pl_str_sub(s, 0, scheme + 3 + colon + 1));
            PL_BUF_LIT(&masked, "********");
            pl_buf_str(&masked, pl_str_sub(rest, at, rest.n));
            s = pl_buf_view(&masked);
        }
    }
    yaml_print_str(out, s);
    pl_buf_fini(&masked);
}

void opt_print_value(struct pl_buf *out, const struct opt *o, const void *field)
{
    switch (o->kind) {
    case OPT_K_BOOL:
    case OPT_K_IGNORED:
        pl_buf_cstr(out, *(const bool *)field ? "true" : "false");
        return;
    case OPT_K_INT:
    case OPT_K_UINT:
        pl_buf_i64(out, *(const int64_t *)field);
        return;
    case OPT_K_FLOAT:
        opt_float_print(out, *(const double *)field);
        return;
    case OPT_K_DURATION:
        opt_duration_print(out, *(const int64_t *)field);
        return;
    case OPT_K_PDURATION:
        opt_prom_duration_print(out, *(const int64_t *)field);
        return;
    case OPT_K_TEXT:
        print_text(out, *(const pl_str *)field);
        return;
    case OPT_K_SECRET:
        pl_buf_cstr(out, ((const pl_str *)field)->n > 0 ? "'********'" : "\"\"");
        return;
    case OPT_K_LIST:
        print_list(out, field);
        return;
    case OPT_K_DURATIONS:
        print_durations(out, field);
        return;
    case OPT_K_YAML:
    case OPT_K_MAP:
        pl_buf_cstr(out, ((const struct opt_yaml *)field)->node != NULL ? "(see the file)"
                         : o->kind == OPT_K_MAP                         ? "{}"
                                                                        : "[]");
        return;
    case OPT_K_BLOCK:
        return;
    }
    PL_UNREACHABLE("option kind");
}

static bool lists_equal(const struct opt_list *a, const struct opt_list *b)
{
    bool same = a->n == b->n;

    for (size_t i = 0; same && i < a->n; i++) {
        same = pl_str_eq(a->v[i], b->v[i]);
    }
    return same;
}

bool opt_equal(const struct opt *o, const void *a, const void *b)
{
    const struct opt_durations *da = a, *db = b;

    switch (o->kind) {
    case OPT_K_BOOL:
    case OPT_K_IGNORED:
        return *(const bool *)a == *(const bool *)b;
    case OPT_K_INT:
    case OPT_K_UINT:
    case OPT_K_DURATION:
    case OPT_K_PDURATION:
        return *(const int64_t *)a == *(const int64_t *)b;
    case OPT_K_FLOAT:
        return pl_f64_bits(*(const double *)a) == pl_f64_bits(*(const double *)b);
    case OPT_K_TEXT:
    case OPT_K_SECRET:
        return pl_str_eq(*(const pl_str *)a, *(const pl_str *)b);
    case OPT_K_LIST:
        return lists_equal(a, b);
    case OPT_K_DURATIONS:
        return da->n == db->n && (da->n == 0 || memcmp(da->v, db->v, da->n * sizeof(*da->v)) == 0);
    case OPT_K_YAML:
    case OPT_K_MAP:
        return pl_str_eq(((const struct opt_yaml *)a)->text, ((const struct opt_yaml *)b)->text);
    case OPT_K_BLOCK:
        return false;
    }
    PL_UNREACHABLE("option kind");
}
