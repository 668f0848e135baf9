#include "codec/float_text.h"
#include "model/labels.h"
#include "querier/internal.h"

#include <math.h>
#include <stdio.h>

pl_str querier_param(const struct querier_call *c, const char *name)
{
    pl_str out[1];

    return querier_param_all(c, name, out, 1) > 0 ? out[0] : PL_STR_NULL;
}

size_t querier_param_all(const struct querier_call *c, const char *name, pl_str *out, size_t max)
{
    pl_str want = pl_str_c(name);
    size_t n = 0;

    for (size_t i = 0; i < c->param_count && n < max; i++) {
        if (pl_str_eq(c->params[i].name, want)) {
            out[n++] = c->params[i].value;
        }
    }
    return n;
}

pl_str querier_quote(struct pl_arena *a, pl_str s)
{
    struct pl_buf b;
    pl_str out;

    pl_buf_init(&b, 0);
    pl_buf_quoted(&b, pl_str_sub(s, 0, PL_MIN(s.n, 1000)));
    out = pl_arena_str(a, pl_buf_view(&b));
    pl_buf_fini(&b);
    return out;
}

/* ---- times ---- */

static bool digits(pl_str s, size_t at, size_t n, int64_t *out)
{
    int64_t v = 0;

    if (at + n > s.n) {
        return false;
    }
    for (size_t i = at; i < at + n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') {
            return false;
        }
        v = v * 10 + (s.p[i] - '0');
    }
    *out = v;
    return true;
}

/* `Z` or `+07:00` at `at`, up to the end of s. */
static bool parse_zone(pl_str s, size_t at, int64_t *offset_s)
{
    int64_t hour;
    int64_t minute;

    if (at + 1 == s.n && s.p[at] == 'Z') {
        *offset_s = 0;
        return true;
    }
    if (at + 6 != s.n || (s.p[at] != '+' && s.p[at] != '-') || s.p[at + 3] != ':' || !digits(s, at + 1, 2, &hour) ||
        !digits(s, at + 4, 2, &minute) || hour > 24 || minute > 60) {
        return false;
    }
    *offset_s = (s.p[at] == '-' ? -1 : 1) * (hour * 3600 + minute * 60);
    return true;
}

/* RFC 3339 as Go's time.Parse takes it; the fraction is cut to milliseconds (towards earlier, as UnixMilli of a time
 * does). */
static bool parse_rfc3339(pl_str s, int64_t *out_ms)
{
    static const struct {
        uint8_t at;
        char c;
    } marks[] = {{4, '-'}, {7, '-'}, {10, 'T'}, {13, ':'}, {16, ':'}};
    int64_t f[6];
    int64_t ms = 0;
    int64_t scale = 100;
    int64_t offset_s;
    size_t at = 19;

    for (size_t i = 0; i < PL_ARRAY_LEN(marks); i++) {
        if (s.n <= marks[i].at || s.p[marks[i].at] != marks[i].c) {
            return false;
        }
    }
    if (!digits(s, 0, 4, &f[0]) || !digits(s, 5, 2, &f[1]) || !digits(s, 8, 2, &f[2]) || !digits(s, 11, 2, &f[3]) ||
        !digits(s, 14, 2, &f[4]) || !digits(s, 17, 2, &f[5])) {
        return false;
    }
    if (f[1] < 1 || f[1] > 12 || f[2] < 1 || f[3] > 23 || f[4] > 59 || f[5] > 59 ||
        f[2] > pl_date_from_unix(pl_date_to_unix(f[0], (int)f[1], 1)).month_days) {
        return false;
    }
    if (at < s.n && (s.p[at] == '.' || s.p[at] == ',')) {
        size_t first = ++at;

        for (; at < s.n && s.p[at] >= '0' && s.p[at] <= '9'; at++) {
            ms += scale * (s.p[at] - '0');
            scale /= 10;
        }
        if (at == first) {
            return false;
        }
    }
    if (at >= s.n || !parse_zone(s, at, &offset_s)) {
        return false;
    }
    *out_ms = (pl_date_to_unix(f[0], (int)f[1], (int)f[2]) + f[3] * 3600 + f[4] * 60 + f[5] - offset_s) * 1000 + ms;
    return true;
}

static pl_status fail_quoted(struct pl_err *err, const char *fmt, pl_str text)
{
    struct pl_arena a;
    pl_str quoted;
    pl_status st;

    pl_arena_init(&a, 0);
    quoted = querier_quote(&a, text);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    st = pl_fail(err, PL_INVALID, fmt, PL_STR_ARG(quoted)); /* fmt: one of messages.h, with one %.*s */
#pragma GCC diagnostic pop
    pl_arena_fini(&a);
    return st;
}

pl_status querier_parse_time(int64_t *out_ms, pl_str text, struct pl_err *err)
{
    double s;

    if (float_parse(text, &s)) {
        double whole;
        double ms = round(modf(s, &whole) * 1000);

        if (whole > -9.2e15 && whole < 9.2e15) {
            *out_ms = (int64_t)whole * 1000 + (int64_t)ms;
            return PL_OK;
        }
    } else if (parse_rfc3339(text, out_ms)) {
        return PL_OK;
    } else if (pl_str_eq(text, QUERIER_TIME_MIN_TEXT)) {
        *out_ms = QUERIER_TIME_MIN_MS;
        return PL_OK;
    } else if (pl_str_eq(text, QUERIER_TIME_MAX_TEXT)) {
        *out_ms = QUERIER_TIME_MAX_MS;
        return PL_OK;
    }
    return fail_quoted(err, MSG_BAD_TIME, text);
}

pl_status querier_parse_duration(int64_t *out_ms, pl_str text, struct pl_err *err)
{
    double s;

    if (float_parse(text, &s)) {
        double ns = s * 1e9;

        if (!(ns <= 9223372036854775807.0 && ns >= -9223372036854775808.0)) {
            return fail_quoted(err, MSG_DURATION_OVERFLOW, text);
        }
        *out_ms = (int64_t)(s * 1000);
        return PL_OK;
    }
    return pq_parse_duration(out_ms, text, NULL) == PL_OK ? PL_OK : fail_quoted(err, MSG_BAD_DURATION, text);
}

pl_status querier_parse_limit(uint64_t *out, pl_str text, struct pl_err *err)
{
    pl_str body = text;
    int64_t v;

    if (text.n == 0) {
        *out = 0;
        return PL_OK;
    }
    if (text.p[0] == '+') {
        body = pl_str_sub(text, 1, text.n);
    }
    if (body.n > 0 && body.p[0] != '+' && pl_str_to_i64(body, &v)) {
        *out = (uint64_t)v;
        return v < 0 ? pl_fail(err, PL_INVALID, MSG_LIMIT_NEGATIVE) : PL_OK;
    }
    for (size_t i = body.n > 1 && body.p[0] == '-'; i < body.n; i++) {
        if (body.p[i] < '0' || body.p[i] > '9') {
            return fail_quoted(err, MSG_LIMIT_SYNTAX, text);
        }
    }
    return fail_quoted(err, body.n > 0 ? MSG_LIMIT_RANGE : MSG_LIMIT_SYNTAX, text);
}

static pl_status optional_time(struct querier_call *c, const char *name, int64_t *out_ms)
{
    pl_str text = querier_param(c, name);
    pl_status st;

    if (text.n == 0) {
        return PL_OK;
    }
    st = querier_parse_time(out_ms, text, &c->err);
    if (st != PL_OK) {
        pl_wrap(&c->err, "invalid parameter \"%s\": invalid time value for '%s'", name, name);
    }
    return st;
}

pl_status querier_time_range(struct querier_call *c, int64_t *mint_ms, int64_t *maxt_ms)
{
    pl_status st;

    *mint_ms = QUERIER_TIME_MIN_MS;
    *maxt_ms = QUERIER_TIME_MAX_MS;
    st = optional_time(c, "start", mint_ms);
    return st == PL_OK ? optional_time(c, "end", maxt_ms) : st;
}

/* ---- texts ---- */

pl_str querier_go_duration(struct pl_arena *a, int64_t ns)
{
    uint64_t u = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
    const char *sign = ns < 0 ? "-" : "";
    char frac[16] = "";
    uint64_t rest = u % UINT64_C(1000000000);
    uint64_t s = u / UINT64_C(1000000000);

    if (u < UINT64_C(1000000000)) {
        const char *unit = u < 1000 ? "ns" : u < 1000000 ? "\u00b5s" : "ms";
        char text[32];
        double scale = u < 1000 ? 1 : u < 1000000 ? 1e3 : 1e6;

        if (u == 0) {
            return pl_arena_str(a, PL_STR("0s"));
        }
        text[float_put_f(text, (double)u / scale)] = '\0'; /* at most "999.999999" */
        return pl_arena_printf(a, "%s%s%s", sign, text, unit);
    }
    if (rest > 0) {
        int n = snprintf(frac, sizeof(frac), ".%09u", (unsigned)rest);

        while (frac[n - 1] == '0') {
            frac[--n] = '\0';
        }
    }
    if (s < 60) {
        return pl_arena_printf(a, "%s%llu%ss", sign, (unsigned long long)s, frac);
    }
    if (s < 3600) {
        return pl_arena_printf(a, "%s%llum%llu%ss", sign, (unsigned long long)(s / 60), (unsigned long long)(s % 60),
                               frac);
    }
    return pl_arena_printf(a, "%s%lluh%llum%llu%ss", sign, (unsigned long long)(s / 3600),
                           (unsigned long long)(s / 60 % 60), (unsigned long long)(s % 60), frac);
}

static void put_utf8(struct pl_buf *b, uint32_t c)
{
    if (c < 0x80) {
        pl_buf_byte(b, (uint8_t)c);
    } else if (c < 0x800) {
        pl_buf_byte(b, (uint8_t)(0xc0 | c >> 6));
        pl_buf_byte(b, (uint8_t)(0x80 | (c & 0x3f)));
    } else if (c < 0x10000) {
        pl_buf_byte(b, (uint8_t)(0xe0 | c >> 12));
        pl_buf_byte(b, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
        pl_buf_byte(b, (uint8_t)(0x80 | (c & 0x3f)));
    } else {
        pl_buf_byte(b, (uint8_t)(0xf0 | c >> 18));
        pl_buf_byte(b, (uint8_t)(0x80 | (c >> 12 & 0x3f)));
        pl_buf_byte(b, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
        pl_buf_byte(b, (uint8_t)(0x80 | (c & 0x3f)));
    }
}

/* `HEX_` at s[at]: the code point, and where it ends; false when it is not one. */
static bool hex_rune(pl_str s, size_t at, uint32_t *out, size_t *end)
{
    uint32_t v = 0;
    size_t i = at;

    for (; i < s.n && i < at + 6 && s.p[i] != '_'; i++) {
        char c = s.p[i];
        int d = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;

        if (d < 0) {
            return false;
        }
        v = v * 16 + (uint32_t)d;
    }
    if (i == at || i >= s.n || s.p[i] != '_' || v > 0x10ffff || (v >= 0xd800 && v < 0xe000)) {
        return false;
    }
    *out = v;
    *end = i + 1;
    return true;
}

pl_status querier_unescape_label(pl_str *out, struct pl_arena *a, pl_str name, struct pl_err *err)
{
    pl_status st = PL_OK;
    struct pl_buf b;
    size_t i = 3;
    char *text;

    *out = name;
    if (!pl_str_starts(name, PL_STR("U__"))) {
        return PL_OK;
    }
    pl_buf_init(&b, 0);
    while (i < name.n) {
        uint32_t rune;

        if (name.p[i] != '_') {
            pl_buf_byte(&b, (uint8_t)name.p[i++]);
        } else if (i + 1 < name.n && name.p[i + 1] == '_') {
            pl_buf_byte(&b, '_');
            i += 2;
        } else if (hex_rune(name, i + 1, &rune, &i)) {
            put_utf8(&b, rune);
        } else {
            goto done; /* not escaped text after all: as it is */
        }
    }
    text = pl_arena_alloc_try(a, b.n + 1);
    if (text == NULL) {
        st = pl_fail(err, PL_LIMIT, MSG_NAME_MEMORY);
        goto done;
    }
    *out = pl_str_of(memcpy(text, b.n > 0 ? b.p : "", b.n), b.n);
done:
    pl_buf_fini(&b);
    return st;
}
