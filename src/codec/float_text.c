#include "codec/float_text.h"

#include "shim/charconv.h"

#include <math.h>

/* Longest text that Go's reader gives a meaning to and that we still look at: real numbers are far shorter. */
enum { NUMBER_TEXT_MAX = 1 << 16 };

/* The parts of a finite value: sign, digits d1d2..dn meaning 0.d1d2..dn x 10^point. Zero has one digit '0' and point 1.
 */
struct decimal {
    char digits[SHIM_DIGITS_MAX];
    size_t count;
    int point;
    bool negative;
};

static struct decimal decimal_of(double v)
{
    struct decimal d = {.negative = signbit(v)};

    if (v == 0) {
        d.digits[0] = '0';
        d.count = 1;
        d.point = 1;
    } else {
        d.count = shim_f64_digits(d.digits, &d.point, v);
    }
    return d;
}

/* Writes NaN, +Inf or -Inf and returns the length; 0 for finite values. */
static size_t put_special(char *out, double v)
{
    if (isnan(v)) {
        memcpy(out, "NaN", 3);
        return 3;
    }
    if (isinf(v)) {
        memcpy(out, v > 0 ? "+Inf" : "-Inf", 4);
        return 4;
    }
    return 0;
}

static size_t put_fixed(char *out, const struct decimal *d)
{
    char *at = out;
    int count = (int)d->count;

    if (d->negative) {
        *at++ = '-';
    }
    if (d->point <= 0) {
        *at++ = '0';
    }
    for (int i = 0; i < d->point; i++) {
        *at++ = i < count ? d->digits[i] : '0';
    }
    if (count > d->point) {
        *at++ = '.';
        for (int i = d->point; i < count; i++) {
            *at++ = i < 0 ? '0' : d->digits[i];
        }
    }
    return (size_t)(at - out);
}

static size_t put_exponent(char *out, const struct decimal *d)
{
    char *at = out;
    int exponent = d->point - 1;
    unsigned magnitude = (unsigned)(exponent < 0 ? -exponent : exponent);

    if (d->negative) {
        *at++ = '-';
    }
    *at++ = d->digits[0];
    if (d->count > 1) {
        *at++ = '.';
        memcpy(at, d->digits + 1, d->count - 1);
        at += d->count - 1;
    }
    *at++ = 'e';
    *at++ = exponent < 0 ? '-' : '+';
    if (magnitude >= 100) {
        *at++ = (char)('0' + magnitude / 100);
    }
    *at++ = (char)('0' + magnitude / 10 % 10);
    *at++ = (char)('0' + magnitude % 10);
    return (size_t)(at - out);
}

size_t float_put_f(char *out, double v)
{
    size_t n = put_special(out, v);

    if (n == 0) {
        struct decimal d = decimal_of(v);
        n = put_fixed(out, &d);
    }
    return n;
}

/* Counters and other whole numbers are most of what is printed; they need no digit search. Exact below 2^53. */
static size_t put_whole(char *out, double v)
{
    char reversed[20];
    size_t n = 0;
    char *at = out;
    uint64_t u;

    if (v < 0) {
        *at++ = '-';
        v = -v;
    }
    u = (uint64_t)v;
    do {
        reversed[n++] = (char)('0' + u % 10);
        u /= 10;
    } while (u > 0);
    while (n > 0) {
        *at++ = reversed[--n];
    }
    return (size_t)(at - out);
}

size_t float_put_json(char *out, double v)
{
    double magnitude = fabs(v);
    struct decimal d;
    size_t n;

    if (magnitude < 9007199254740992.0 && v == (double)(int64_t)v && !(v == 0 && signbit(v))) {
        return put_whole(out, v);
    }
    if (magnitude >= 1e-6 && magnitude < 9007199254740992.0) {
        return shim_f64_fixed(out, v);
    }
    n = put_special(out, v);
    if (n > 0) {
        return n;
    }
    d = decimal_of(v);
    if (v != 0 && (magnitude < 1e-6 || magnitude >= 1e21)) {
        return put_exponent(out, &d);
    }
    return put_fixed(out, &d);
}

size_t float_put_g(char *out, double v)
{
    size_t n = put_special(out, v);
    struct decimal d;

    if (n > 0) {
        return n;
    }
    d = decimal_of(v);
    /* COMPAT: with the shortest digits, Go decides as if the precision were 6. */
    if (d.point - 1 < -4 || d.point - 1 >= 6) {
        return put_exponent(out, &d);
    }
    return put_fixed(out, &d);
}

size_t float_put_om(char *out, double v)
{
    size_t n = float_put_g(out, v);

    if (isfinite(v) && memchr(out, '.', n) == NULL && memchr(out, 'e', n) == NULL) {
        out[n++] = '.';
        out[n++] = '0';
    }
    return n;
}

void pl_buf_f64_json(struct pl_buf *b, double v)
{
    char *at = pl_buf_reserve(b, FLOAT_TEXT_MAX);

    if (at != NULL) {
        b->n += float_put_json(at, v);
    }
}

void pl_buf_f64_g(struct pl_buf *b, double v)
{
    char *at = pl_buf_reserve(b, FLOAT_TEXT_MAX);

    if (at != NULL) {
        b->n += float_put_g(at, v);
    }
}

static bool is_digit(char c, bool hex)
{
    return (c >= '0' && c <= '9') || (hex && ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')));
}

/* inf, infinity, nan in any case; the sign was cut off. COMPAT: Go takes no sign before nan. */
static bool parse_special(pl_str s, bool is_signed, double *out)
{
    if (pl_str_eq_nocase(s, PL_STR("inf")) || pl_str_eq_nocase(s, PL_STR("infinity"))) {
        *out = HUGE_VAL;
        return true;
    }
    if (!is_signed && pl_str_eq_nocase(s, PL_STR("nan"))) {
        *out = pl_f64_from_bits(PL_NORMAL_NAN_BITS);
        return true;
    }
    return false;
}

/* The grammar: digits with at most one point and at least one digit, then an optional exponent (required for hex).
 * Where the value is out of range, *scale tells which way: the decimal (hex: binary) exponent of the first digit that
 * is not zero. */
static bool check_number(pl_str s, bool hex, bool *nonzero, int64_t *scale)
{
    size_t i = 0;
    int64_t before = 0; /* significant digits left of the point */
    int64_t zeros = 0;  /* zeros right of the point before the first significant digit */
    int64_t exponent = 0;
    bool any = false;
    bool point = false;
    bool negative = false;

    *nonzero = false;
    for (; i < s.n && (is_digit(s.p[i], hex) || (s.p[i] == '.' && !point)); i++) {
        if (s.p[i] == '.') {
            point = true;
            continue;
        }
        any = true;
        *nonzero = *nonzero || s.p[i] != '0';
        if (*nonzero && !point) {
            before++;
        } else if (!*nonzero && point) {
            zeros++;
        }
    }
    if (!any) {
        return false;
    }
    if (i < s.n) {
        char c = (char)(s.p[i] | 0x20);
        if (c != (hex ? 'p' : 'e')) {
            return false;
        }
        i++;
        if (i < s.n && (s.p[i] == '+' || s.p[i] == '-')) {
            negative = s.p[i++] == '-';
        }
        if (i == s.n) {
            return false;
        }
        for (; i < s.n; i++) {
            if (!is_digit(s.p[i], false)) {
                return false;
            }
            exponent = PL_MIN(exponent * 10 + (s.p[i] - '0'), INT64_C(1000000000));
        }
    } else if (hex) {
        return false; /* Go wants the p exponent */
    }
    *scale = (before - zeros) * (hex ? 4 : 1) + (negative ? -exponent : exponent);
    return true;
}

bool float_parse(pl_str s, double *out)
{
    bool is_signed = s.n > 0 && (s.p[0] == '+' || s.p[0] == '-');
    bool negative = is_signed && s.p[0] == '-';
    bool hex = false;
    bool nonzero;
    int64_t scale = 0;
    double v = 0;

    if (s.n > NUMBER_TEXT_MAX) {
        return false;
    }
    s = pl_str_sub(s, is_signed ? 1 : 0, s.n);
    if (!parse_special(s, is_signed, &v)) {
        if (s.n > 2 && s.p[0] == '0' && (s.p[1] | 0x20) == 'x') {
            hex = true;
            s = pl_str_sub(s, 2, s.n);
        }
        if (!check_number(s, hex, &nonzero, &scale)) {
            return false;
        }
        if (nonzero) {
            switch (shim_f64_read(&v, s.p, s.n, hex)) {
            case SHIM_READ_OK:
                break;
            case SHIM_READ_BAD:
                return false;
            case SHIM_READ_RANGE:
                if (scale > 0) {
                    return false; /* Go: value out of range */
                }
                v = 0; /* too close to zero: Go answers zero without an error */
                break;
            }
        }
    }
    *out = negative ? -v : v;
    return true;
}
