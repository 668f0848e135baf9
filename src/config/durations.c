/* Durations as Go and as Prometheus write them. */
#include "base/clock.h"
#include "config/section.h"

#include <stdio.h>

PL_PRINTF(2, 3) static bool say(char *why, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(why, OPT_WHY_MAX, fmt, ap);
    va_end(ap);
    return false;
}

/* Texts that come from outside are cut in messages. */
#define SHORT(s) (int)PL_MIN((s).n, (size_t)60), (s).p

struct unit {
    pl_str name;
    int64_t ns;
};

static const struct unit go_units[] = {
    {PL_STR_INIT("ns"), 1},
    {PL_STR_INIT("us"), 1000},
    {PL_STR_INIT("\xc2\xb5s"), 1000}, /* U+00B5 */
    {PL_STR_INIT("\xce\xbcs"), 1000}, /* U+03BC */
    {PL_STR_INIT("ms"), PL_NS_PER_MS},
    {PL_STR_INIT("s"), PL_NS_PER_S},
    {PL_STR_INIT("m"), 60 * PL_NS_PER_S},
    {PL_STR_INIT("h"), 3600 * PL_NS_PER_S},
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads digits; false when there are none or they do not fit. */
static bool take_digits(pl_str *s, uint64_t *out)
{
    size_t n = 0;

    while (n < s->n && is_digit(s->p[n])) {
        n++;
    }
    bool ok = n > 0 && pl_str_to_u64(pl_str_of(s->p, n), out);
    *s = pl_str_sub(*s, n, s->n);
    return ok;
}

/* The part after the point, in units of 1/scale; digits past what fits are dropped. */
static bool take_fraction(pl_str *s, double *fraction)
{
    double scale = 1;
    bool any = false;

    *fraction = 0;
    for (; s->n > 0 && is_digit(s->p[0]); *s = pl_str_sub(*s, 1, s->n)) {
        scale /= 10;
        *fraction += (s->p[0] - '0') * scale;
        any = true;
    }
    return any;
}

static const struct unit *take_unit(pl_str *s, pl_str *name)
{
    size_t n = 0;

    while (n < s->n && s->p[n] != '.' && !is_digit(s->p[n])) {
        n++;
    }
    *name = pl_str_sub(*s, 0, n);
    *s = pl_str_sub(*s, n, s->n);
    for (size_t i = 0; i < PL_ARRAY_LEN(go_units); i++) {
        if (pl_str_eq(go_units[i].name, *name)) {
            return &go_units[i];
        }
    }
    return NULL;
}

bool opt_duration_parse(pl_str whole, int64_t *ns, char *why)
{
    pl_str s = whole, name;
    bool negative = s.n > 0 && s.p[0] == '-';
    uint64_t total = 0;

    if (s.n > 0 && (s.p[0] == '-' || s.p[0] == '+')) {
        s = pl_str_sub(s, 1, s.n);
    }
    if (pl_str_eq(s, PL_STR("0"))) {
        *ns = 0;
        return true;
    }
    if (s.n == 0) {
        return say(why, "time: invalid duration \"%.*s\"", SHORT(whole));
    }
    while (s.n > 0) {
        uint64_t n = 0, part;
        double fraction = 0;
        bool digits = false, point = false;
        if (is_digit(s.p[0])) {
            digits = take_digits(&s, &n);
            if (!digits) {
                return say(why, "time: invalid duration \"%.*s\"", SHORT(whole));
            }
        }
        if (s.n > 0 && s.p[0] == '.') {
            s = pl_str_sub(s, 1, s.n);
            point = take_fraction(&s, &fraction);
        }
        if (!digits && !point) {
            return say(why, "time: invalid duration \"%.*s\"", SHORT(whole));
        }
        const struct unit *u = take_unit(&s, &name);
        if (u == NULL && name.n == 0) {
            return say(why, "time: missing unit in duration \"%.*s\" (write 30s, 5m, 1h30m)", SHORT(whole));
        }
        if (u == NULL) {
            return say(why, "time: unknown unit \"%.*s\" in duration \"%.*s\"", SHORT(name), SHORT(whole));
        }
        if (!pl_mul_ok(&part, n, (uint64_t)u->ns) || !pl_add_ok(&part, part, (uint64_t)(fraction * (double)u->ns)) ||
            !pl_add_ok(&total, total, part) || total > (uint64_t)INT64_MAX + negative) {
            return say(why, "time: invalid duration \"%.*s\"", SHORT(whole));
        }
    }
    *ns = negative ? (int64_t)(0 - total) : (int64_t)total;
    return true;
}

static const struct {
    const char *name;
    int64_t ms;
    bool exact; /* used for printing only when nothing is left over */
} prom_units[] = {
    {"y", INT64_C(365) * 86400000, true},
    {"w", INT64_C(7) * 86400000, true},
    {"d", 86400000, false},
    {"h", 3600000, false},
    {"m", 60000, false},
    {"s", 1000, false},
    {"ms", 1, false},
};

bool opt_prom_duration_parse(pl_str whole, int64_t *ns, char *why)
{
    pl_str s = whole;
    uint64_t total_ms = 0;
    size_t next = 0; /* units come in falling order, each at most once */

    if (pl_str_eq(s, PL_STR("0"))) {
        *ns = 0;
        return true;
    }
    if (s.n == 0) {
        return say(why, "empty duration string");
    }
    while (s.n > 0) {
        uint64_t n, part;
        size_t len = 0, u = next;
        if (!take_digits(&s, &n)) {
            return say(why, "not a valid duration string: \"%.*s\"", SHORT(whole));
        }
        while (len < s.n && !is_digit(s.p[len])) {
            len++;
        }
        while (u < PL_ARRAY_LEN(prom_units) && !pl_str_eq(pl_str_c(prom_units[u].name), pl_str_sub(s, 0, len))) {
            u++;
        }
        if (u == PL_ARRAY_LEN(prom_units)) {
            return say(why, "not a valid duration string: \"%.*s\"", SHORT(whole));
        }
        if (!pl_mul_ok(&part, n, (uint64_t)prom_units[u].ms) || !pl_add_ok(&total_ms, total_ms, part) ||
            total_ms > (uint64_t)(INT64_MAX / PL_NS_PER_MS)) {
            return say(why, "duration out of range");
        }
        s = pl_str_sub(s, len, s.n);
        next = u + 1;
    }
    *ns = (int64_t)total_ms * PL_NS_PER_MS;
    return true;
}

/* v / 10^digits with trailing zeros cut. */
static void print_fraction(struct pl_buf *out, uint64_t v, int digits)
{
    uint64_t scale = 1;

    for (int i = 0; i < digits; i++) {
        scale *= 10;
    }
    pl_buf_u64(out, v / scale);
    v %= scale;
    if (v == 0) {
        return;
    }
    while (v % 10 == 0) {
        v /= 10;
        digits--;
    }
    pl_buf_printf(out, ".%0*llu", digits, (unsigned long long)v);
}

void opt_duration_print(struct pl_buf *out, int64_t ns)
{
    uint64_t u = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
    uint64_t minutes = u / (60 * (uint64_t)PL_NS_PER_S);

    if (u == 0) {
        PL_BUF_LIT(out, "0s");
        return;
    }
    if (ns < 0) {
        pl_buf_byte(out, '-');
    }
    if (u < 1000) {
        pl_buf_printf(out, "%lluns", (unsigned long long)u);
    } else if (u < 1000000) {
        print_fraction(out, u, 3);
        PL_BUF_LIT(out, "\xc2\xb5s");
    } else if (u < (uint64_t)PL_NS_PER_S) {
        print_fraction(out, u, 6);
        PL_BUF_LIT(out, "ms");
    } else {
        if (minutes >= 60) {
            pl_buf_printf(out, "%lluh", (unsigned long long)(minutes / 60));
        }
        if (minutes > 0) {
            pl_buf_printf(out, "%llum", (unsigned long long)(minutes % 60));
        }
        print_fraction(out, u % (60 * (uint64_t)PL_NS_PER_S), 9);
        pl_buf_byte(out, 's');
    }
}

void opt_prom_duration_print(struct pl_buf *out, int64_t ns)
{
    uint64_t ms = (ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns) / (uint64_t)PL_NS_PER_MS;

    if (ms == 0) {
        PL_BUF_LIT(out, "0s");
        return;
    }
    if (ns < 0) {
        pl_buf_byte(out, '-');
    }
    for (size_t i = 0; i < PL_ARRAY_LEN(prom_units); i++) {
        uint64_t unit = (uint64_t)prom_units[i].ms;
        if (prom_units[i].exact && ms % unit != 0) {
            continue;
        }
        if (ms / unit > 0) {
            pl_buf_printf(out, "%llu%s", (unsigned long long)(ms / unit), prom_units[i].name);
            ms %= unit;
        }
    }
}
