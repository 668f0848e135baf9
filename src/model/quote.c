/* Go's %q. What it prints as it is and what it escapes follows strconv.IsPrint: letters, marks, numbers, punctuation,
 * symbols and the ASCII blank. */
#include "model/labels.h"

#include "model/internal.h"

/* Ranges that are not printable: other blanks, format characters, surrogates, private use and (the larger ones)
 * unassigned. */
static const struct {
    uint32_t from, to;
} unprintable[] = {
#include "model/unprintable.def"
};

bool model__is_print(uint32_t c)
{
    size_t lo = 0, hi = PL_ARRAY_LEN(unprintable);

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (unprintable[mid].to < c) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo == PL_ARRAY_LEN(unprintable) || c < unprintable[lo].from;
}

/* Decodes one rune of at least one byte; returns its length, 0 when the byte at p is not valid UTF-8. */
static size_t rune_get(const uint8_t *p, size_t n, uint32_t *out)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;
    uint32_t c = len == 1 ? p[0] : p[0] & (0x7fu >> len);

    if (len == 0 || len > n) {
        return 0;
    }
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
        c = c << 6 | (p[i] & 0x3f);
    }
    if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) {
        return 0;
    }
    *out = c;
    return len;
}

static void put_hex(struct pl_buf *b, char kind, uint32_t c, int digits)
{
    char text[10] = {'\\', kind};

    for (int i = 0; i < digits; i++) {
        text[2 + i] = "0123456789abcdef"[c >> (4 * (digits - 1 - i)) & 15];
    }
    pl_buf_add(b, text, (size_t)digits + 2);
}

static void put_escaped(struct pl_buf *b, uint32_t c)
{
    static const char letters[] = "abtnvfr"; /* 7 to 13 */

    if (c == '"' || c == '\\') {
        pl_buf_byte(b, '\\');
        pl_buf_byte(b, (uint8_t)c);
    } else if (c >= 7 && c <= 13) {
        pl_buf_byte(b, '\\');
        pl_buf_byte(b, (uint8_t)letters[c - 7]);
    } else if (c < ' ' || c == 0x7f) {
        put_hex(b, 'x', c, 2);
    } else if (c < 0x10000) {
        put_hex(b, 'u', c, 4);
    } else {
        put_hex(b, 'U', c, 8);
    }
}

void pl_buf_quoted(struct pl_buf *b, pl_str s)
{
    const uint8_t *p = (const uint8_t *)s.p;
    size_t from = 0, i = 0; /* bytes from..i are copied as they are */

    pl_buf_byte(b, '"');
    while (i < s.n) {
        uint32_t c = p[i];
        size_t len = 1;
        bool plain = c >= ' ' && c < 0x7f && c != '"' && c != '\\';

        if (c >= 0x80) {
            len = rune_get(p + i, s.n - i, &c);
            plain = len > 0 && model__is_print(c);
        }
        if (!plain) {
            pl_buf_add(b, s.p + from, i - from);
            if (len == 0) {
                put_hex(b, 'x', p[i], 2);
                len = 1;
            } else {
                put_escaped(b, c);
            }
            from = i + len;
        }
        i += len;
    }
    pl_buf_str(b, pl_str_sub(s, from, s.n));
    pl_buf_byte(b, '"');
}
