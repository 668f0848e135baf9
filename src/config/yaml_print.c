/* What a YAML scalar is taken for, and trees as text. */
#include "config/yaml.h"

/* ---- what a scalar is ---- */

static bool in_list(pl_str s, const char *const *list)
{
    for (; *list != NULL; list++) {
        if (pl_str_eq(s, pl_str_c(*list))) {
            return true;
        }
    }
    return false;
}

static bool text_is_null(pl_str s)
{
    static const char *const nulls[] = {"~", "null", "Null", "NULL", NULL};

    return s.n == 0 || in_list(s, nulls);
}

static bool text_is_bool(pl_str s, bool *out)
{
    static const char *const yes[] = {"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y", NULL};
    static const char *const no[] = {"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N", NULL};

    *out = in_list(s, yes);
    return *out || in_list(s, no);
}

bool yaml_is_null(const struct yaml_node *n)
{
    return n->type == YAML_SCALAR && n->plain && text_is_null(n->text);
}

bool yaml_bool(const struct yaml_node *n, bool *out)
{
    return n->type == YAML_SCALAR && n->plain && text_is_bool(n->text, out);
}

enum number { NUMBER_NOT, NUMBER_INT, NUMBER_FLOAT };

/* Looks at the characters only. */
static enum number number_kind(pl_str s)
{
    size_t i = s.n > 0 && (s.p[0] == '-' || s.p[0] == '+') ? 1 : 0, digits = 0;
    bool dot = false, exp = false;

    if (s.n - i > 2 && s.p[i] == '0' && (s.p[i + 1] == 'x' || s.p[i + 1] == 'o' || s.p[i + 1] == 'b')) {
        const char *set = s.p[i + 1] == 'x' ? "0123456789abcdefABCDEF_" : "01234567_";
        for (i += 2; i < s.n; i++) {
            if (s.p[i] == '\0' || strchr(set, s.p[i]) == NULL) {
                return NUMBER_NOT;
            }
        }
        return NUMBER_INT;
    }
    if (s.n - i == 4 && s.p[i] == '.' && pl_str_eq_nocase(pl_str_sub(s, i, s.n), PL_STR(".inf"))) {
        return NUMBER_FLOAT;
    }
    if (pl_str_eq_nocase(s, PL_STR(".nan"))) {
        return NUMBER_FLOAT;
    }
    for (; i < s.n; i++) {
        if (s.p[i] >= '0' && s.p[i] <= '9') {
            digits++;
        } else if (s.p[i] == '.' && !dot && !exp) {
            dot = true;
        } else if ((s.p[i] == 'e' || s.p[i] == 'E') && !exp && digits > 0 && i + 1 < s.n) {
            exp = true;
            if (i + 2 < s.n && (s.p[i + 1] == '-' || s.p[i + 1] == '+')) {
                i++;
            }
        } else if (s.p[i] != '_' || digits == 0) {
            return NUMBER_NOT;
        }
    }
    return digits == 0 ? NUMBER_NOT : dot || exp ? NUMBER_FLOAT : NUMBER_INT;
}

const char *yaml_tag_of(const struct yaml_node *n)
{
    bool b;

    switch (n->type) {
    case YAML_SEQ:
        return "!!seq";
    case YAML_MAP:
        return "!!map";
    case YAML_SCALAR:
        break;
    }
    if (!n->plain) {
        return "!!str";
    }
    if (text_is_null(n->text)) {
        return "!!null";
    }
    if (text_is_bool(n->text, &b)) {
        return "!!bool";
    }
    switch (number_kind(n->text)) {
    case NUMBER_INT:
        return "!!int";
    case NUMBER_FLOAT:
        return "!!float";
    case NUMBER_NOT:
        return "!!str";
    }
    PL_UNREACHABLE("number kind");
}

/* ---- printing ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A text like 12:30:45 or 1:30.5 is a base-60 number to YAML 1.1 readers. */
static bool is_base60(pl_str s)
{
    size_t i = s.n > 0 && (s.p[0] == '-' || s.p[0] == '+') ? 1 : 0;
    size_t groups = 0;

    if (i == s.n || !is_digit(s.p[i])) {
        return false;
    }
    while (i < s.n && (is_digit(s.p[i]) || s.p[i] == '_')) {
        i++;
    }
    for (; i + 1 < s.n && s.p[i] == ':' && is_digit(s.p[i + 1]); groups++) {
        i += i + 2 < s.n && is_digit(s.p[i + 2]) && s.p[i + 1] < '6' ? 3 : 2;
    }
    if (groups > 0 && i < s.n && s.p[i] == '.') {
        for (i++; i < s.n && (is_digit(s.p[i]) || s.p[i] == '_'); i++) {
        }
    }
    return groups > 0 && i == s.n;
}

static bool is_date(pl_str s)
{
    return s.n >= 8 && s.p[4] == '-' && s.p[0] >= '0' && s.p[0] <= '9' && s.p[1] >= '0' && s.p[1] <= '9' &&
           s.p[2] >= '0' && s.p[2] <= '9' && s.p[3] >= '0' && s.p[3] <= '9' && s.p[5] >= '0' && s.p[5] <= '9';
}

static bool resolves_to_other(pl_str s)
{
    bool b;

    return text_is_null(s) || text_is_bool(s, &b) || number_kind(s) != NUMBER_NOT || pl_str_eq(s, PL_STR("<<")) ||
           pl_str_eq(s, PL_STR("=")) || is_base60(s) || is_date(s);
}

static bool plain_allowed(pl_str s)
{
    static const char first_bad[] = ",[]{}#&*!|>'\"%@`";

    if (s.n == 0 || s.p[0] == ' ' || s.p[s.n - 1] == ' ' || s.p[s.n - 1] == ':' || strchr(first_bad, s.p[0]) != NULL) {
        return false;
    }
    if ((s.p[0] == '-' || s.p[0] == '?' || s.p[0] == ':') && (s.n == 1 || s.p[1] == ' ')) {
        return false;
    }
    if (pl_str_starts(s, PL_STR("---")) || pl_str_starts(s, PL_STR("..."))) {
        return false;
    }
    for (size_t i = 0; i + 1 < s.n; i++) {
        if ((s.p[i] == ':' && s.p[i + 1] == ' ') || (s.p[i] == ' ' && s.p[i + 1] == '#')) {
            return false;
        }
    }
    return true;
}

static bool is_printable(pl_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];
        if (c == 0xe2 && i + 2 < s.n && (uint8_t)s.p[i + 1] == 0x80 && ((uint8_t)s.p[i + 2] & 0xfe) == 0xa8) {
            return false; /* U+2028 and U+2029 end a line in YAML 1.1 */
        }
        if (c < 0x20 || c == 0x7f || (c == 0xc2 && i + 1 < s.n && (uint8_t)s.p[i + 1] < 0xa0) || c == 0xef) {
            return false; /* control characters, and U+Fxxx, which holds the byte-order mark and non-characters */
        }
    }
    return pl_str_is_utf8(s);
}

static void print_double_quoted(struct pl_buf *b, pl_str s)
{
    bool utf8 = pl_str_is_utf8(s);

    pl_buf_byte(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];
        if (c == '"' || c == '\\') {
            pl_buf_byte(b, '\\');
            pl_buf_byte(b, c);
        } else if (c == '\n') {
            PL_BUF_LIT(b, "\\n");
        } else if (c == '\t') {
            PL_BUF_LIT(b, "\\t");
        } else if (c == '\r') {
            PL_BUF_LIT(b, "\\r");
        } else if (c < 0x20 || c == 0x7f || (c >= 0x80 && !utf8)) {
            pl_buf_printf(b, "\\x%02X", c);
        } else if (c == 0xc2 && (uint8_t)s.p[i + 1] < 0xa0) { /* U+0080 to U+009F */
            pl_buf_printf(b, "\\x%02X", (uint8_t)s.p[++i]);
        } else if (c == 0xe2 && (uint8_t)s.p[i + 1] == 0x80 && ((uint8_t)s.p[i + 2] & 0xfe) == 0xa8) {
            pl_buf_cstr(b, (uint8_t)s.p[i + 2] == 0xa8 ? "\\L" : "\\P");
            i += 2;
        } else if (c == 0xef) { /* U+F000 to U+FFFF: whole character escaped, so that marks at the start survive */
            unsigned cp = ((unsigned)(c & 0x0f) << 12) | ((unsigned)((uint8_t)s.p[i + 1] & 0x3f) << 6) |
                          ((uint8_t)s.p[i + 2] & 0x3f);
            pl_buf_printf(b, "\\u%04X", cp);
            i += 2;
        } else {
            pl_buf_byte(b, c);
        }
    }
    pl_buf_byte(b, '"');
}

void yaml_print_str(struct pl_buf *b, pl_str s)
{
    if (!is_printable(s) || s.n == 0 || resolves_to_other(s)) {
        print_double_quoted(b, s);
        return;
    }
    if (plain_allowed(s)) {
        pl_buf_str(b, s);
        return;
    }
    pl_buf_byte(b, '\'');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\'') {
            pl_buf_byte(b, '\'');
        }
        pl_buf_byte(b, (uint8_t)s.p[i]);
    }
    pl_buf_byte(b, '\'');
}

static void print_indent(struct pl_buf *b, int n)
{
    while (n-- > 0) {
        pl_buf_byte(b, ' ');
    }
}

static void print_scalar(struct pl_buf *b, const struct yaml_node *n)
{
    if (n->plain && (resolves_to_other(n->text) && is_printable(n->text))) {
        pl_buf_str(b, n->text.n > 0 ? n->text : PL_STR("null")); /* a number, bool or null stays one */
        return;
    }
    yaml_print_str(b, n->text);
}

/* `inline_first`: the first line continues one that the caller began ("- "). Depth is bounded by the parser. */
static void print_node(struct pl_buf *b, const struct yaml_node *n, int indent, bool inline_first)
{
    if (n->type == YAML_SCALAR || n->n == 0) {
        if (!inline_first) {
            print_indent(b, indent);
        }
        if (n->type == YAML_SCALAR) {
            print_scalar(b, n);
        } else {
            pl_buf_cstr(b, n->type == YAML_SEQ ? "[]" : "{}");
        }
        pl_buf_byte(b, '\n');
        return;
    }
    for (size_t i = 0; i < n->n; i++) {
        const struct yaml_node *v = n->type == YAML_SEQ ? n->items[i] : n->pairs[i].value;
        bool block = v->type != YAML_SCALAR && v->n > 0;
        if (i > 0 || !inline_first) {
            print_indent(b, indent);
        }
        if (n->type == YAML_SEQ) {
            PL_BUF_LIT(b, "- ");
            print_node(b, v, indent + 2, true);
            continue;
        }
        yaml_print_str(b, n->pairs[i].key);
        pl_buf_byte(b, ':');
        if (!block) {
            pl_buf_byte(b, ' ');
            print_node(b, v, indent, true);
        } else {
            pl_buf_byte(b, '\n');
            print_node(b, v, v->type == YAML_SEQ ? indent : indent + 2, false);
        }
    }
}

void yaml_print_node(struct pl_buf *b, const struct yaml_node *n, int indent)
{
    print_node(b, n, indent, false);
}
