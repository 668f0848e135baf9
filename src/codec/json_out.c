#include "codec/json_out.h"

#include <math.h>

/* 0: copied as it is; 1: escaped; 2: first byte of a longer UTF-8 sequence, looked at; 3: escaped where HTML matters.
 */
static const uint8_t json_class[256] = {
    [0x00 ... 0x1f] = 1, ['"'] = 1, ['\\'] = 1, ['<'] = 3, ['>'] = 3, ['&'] = 3, [0x80 ... 0xff] = 2,
};

static const char hex_digit[] = "0123456789abcdef";

/* Length of the UTF-8 sequence at s (first byte >= 0x80), 0 when it is not valid: overlong, surrogate, past U+10FFFF,
 * cut. */
static size_t utf8_len(const uint8_t *s, size_t n)
{
    uint8_t lo = 0x80;
    uint8_t hi = 0xbf;
    size_t len;

    if (s[0] < 0xc2 || s[0] > 0xf4) {
        return 0;
    }
    len = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    lo = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80;
    hi = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;
    if (n < len || s[1] < lo || s[1] > hi) {
        return 0;
    }
    for (size_t i = 2; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return len;
}

static void escape_byte(struct pl_buf *b, uint8_t c, enum json_escape escape)
{
    char u[6] = {'\\', 'u', '0', '0', hex_digit[c >> 4], hex_digit[c & 15]};
    char two[2] = {'\\', 0};

    switch (c) {
    case '"':
    case '\\':
        two[1] = (char)c;
        break;
    case '\n':
        two[1] = 'n';
        break;
    case '\r':
        two[1] = 'r';
        break;
    case '\t':
        two[1] = 't';
        break;
    case '\b':
        two[1] = escape == JSON_ESCAPE_GO ? 'b' : 0;
        break;
    case '\f':
        two[1] = escape == JSON_ESCAPE_GO ? 'f' : 0;
        break;
    default:
        break;
    }
    if (two[1] != 0) {
        pl_buf_add(b, two, 2);
    } else {
        pl_buf_add(b, u, sizeof(u));
    }
}

/* Writes the sequence at s (class 2) and returns how many bytes it took. */
static size_t escape_wide(struct pl_buf *b, const uint8_t *s, size_t n, enum json_escape escape)
{
    size_t len = utf8_len(s, n);

    if (len == 0) {
        PL_BUF_LIT(b, "\\ufffd");
        return 1;
    }
    if (len == 3 && s[0] == 0xe2 && s[1] == 0x80 && (s[2] & 0xfe) == 0xa8 && escape != JSON_ESCAPE_LABELS) {
        pl_buf_add(b, s[2] == 0xa8 ? "\\u2028" : "\\u2029", 6);
    } else {
        pl_buf_add(b, s, len);
    }
    return len;
}

void json_str_as(struct pl_buf *b, pl_str s, enum json_escape escape)
{
    const uint8_t *p = (const uint8_t *)s.p;
    size_t i = 0;
    size_t from = 0;

    pl_buf_byte(b, '"');
    while (i < s.n) {
        uint8_t class = json_class[p[i]];

        if (PL_LIKELY(class == 0) || (class == 3 && escape == JSON_ESCAPE_LABELS)) {
            i++;
            continue;
        }
        pl_buf_add(b, p + from, i - from);
        if (class == 2) {
            i += escape_wide(b, p + i, s.n - i, escape);
        } else {
            escape_byte(b, p[i], escape);
            i++;
        }
        from = i;
    }
    if (i > from) {
        pl_buf_add(b, p + from, i - from);
    }
    pl_buf_byte(b, '"');
}

void json_key(struct pl_buf *b, const char *name)
{
    pl_buf_byte(b, '"');
    pl_buf_cstr(b, name);
    PL_BUF_LIT(b, "\":");
}

void json_comma(struct pl_buf *b)
{
    if (b->n > 0 && b->p[b->n - 1] != '[' && b->p[b->n - 1] != '{') {
        pl_buf_byte(b, ',');
    }
}

void json_str_list(struct pl_buf *b, const pl_str *v, size_t n)
{
    pl_buf_byte(b, '[');
    for (size_t i = 0; i < n; i++) {
        if (i > 0) {
            pl_buf_byte(b, ',');
        }
        json_str(b, v[i]);
    }
    pl_buf_byte(b, ']');
}

void json_f64(struct pl_buf *b, double v)
{
    char text[FLOAT_TEXT_MAX];
    size_t n;

    if (!isfinite(v)) {
        pl_buf_byte(b, '0');
        return;
    }
    n = float_put_json(text, v);
    /* encoding/json writes e-7 where strconv writes e-07. */
    if (n >= 4 && text[n - 4] == 'e' && text[n - 3] == '-' && text[n - 2] == '0') {
        text[n - 2] = text[n - 1];
        n--;
    }
    pl_buf_add(b, text, n);
}

/* ---- points ---- */

static const char digit_pairs[] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748"
    "4950515253545556575859606162636465666768697071727374757677787980818283848586878889909192939495969798"
    "99";

static size_t put_u64(char *out, uint64_t v)
{
    char text[20];
    size_t at = sizeof(text);

    while (v >= 100) {
        uint64_t q = v / 100;

        at -= 2;
        memcpy(text + at, digit_pairs + (v - q * 100) * 2, 2);
        v = q;
    }
    if (v >= 10) {
        at -= 2;
        memcpy(text + at, digit_pairs + v * 2, 2);
    } else {
        text[--at] = (char)('0' + v);
    }
    memcpy(out, text + at, sizeof(text) - at);
    return sizeof(text) - at;
}

size_t json_put_time(char *out, int64_t t_ms)
{
    uint64_t abs_ms = t_ms < 0 ? 0 - (uint64_t)t_ms : (uint64_t)t_ms;
    uint64_t s = abs_ms / 1000;
    uint64_t ms = abs_ms - s * 1000;
    size_t n = 0;

    if (t_ms < 0) {
        out[n++] = '-';
    }
    n += put_u64(out + n, s);
    if (ms != 0) {
        out[n++] = '.';
        out[n++] = (char)('0' + ms / 100);
        memcpy(out + n, digit_pairs + (ms % 100) * 2, 2);
        n += 2;
    }
    return n;
}

/* Writes |v| when it is a decimal with at most three places and at most 15 digits; 0 when it is not.
 *
 * Why this equals the shortest round trip: m / 1000 is correctly rounded (m < 2^53), so the decimal m * 10^-3 reads
 * back as v; and no two decimals of up to 15 digits read as the same double, so without its trailing zeros it is the
 * only short one. */
static size_t put_short(char *out, double v)
{
    double scaled = v * 1000.0;
    uint64_t m;
    uint64_t whole;
    uint32_t places;
    size_t n;

    if (!(scaled < 999999999999999.0) || v < 0.001) {
        return 0;
    }
    m = (uint64_t)(scaled + 0.5);
    if ((double)m / 1000.0 != v) {
        return 0;
    }
    whole = m / 1000;
    places = (uint32_t)(m - whole * 1000);
    n = put_u64(out, whole);
    if (places != 0) {
        out[n++] = '.';
        out[n++] = (char)('0' + places / 100);
        if (places % 100 != 0) {
            out[n++] = (char)('0' + places / 10 % 10);
            if (places % 10 != 0) {
                out[n++] = (char)('0' + places % 10);
            }
        }
    }
    return n;
}

static size_t put_float(char *out, double v)
{
    double abs = fabs(v);
    size_t sign = v < 0;
    size_t n;

    if (abs < 9007199254740992.0 && abs >= 1 && abs == (double)(uint64_t)abs) {
        out[0] = '-';
        return sign + put_u64(out + sign, (uint64_t)abs);
    }
    out[0] = '-';
    n = put_short(out + sign, abs);
    if (n > 0) {
        return sign + n;
    }
    if (pl_f64_bits(v) == 0) {
        out[0] = '0';
        return 1;
    }
    return float_put_json(out, v);
}

size_t json_put_value(char *out, double v)
{
    size_t n;

    out[0] = '"';
    n = 1 + put_float(out + 1, v);
    out[n++] = '"';
    return n;
}

size_t json_put_point(char *out, int64_t t_ms, double v)
{
    size_t n = 1;

    out[0] = '[';
    n += json_put_time(out + n, t_ms);
    out[n++] = ',';
    n += json_put_value(out + n, v);
    out[n++] = ']';
    return n;
}

void json_point(struct pl_buf *b, int64_t t_ms, double v)
{
    char text[JSON_POINT_SPACE];

    pl_buf_add(b, text, json_put_point(text, t_ms, v));
}
