/* Whatever the text, json_str writes one JSON string: valid UTF-8, no bare control character, and reading the escapes
 * back gives the text (bytes that are not UTF-8 as U+FFFD). Whatever the number, the fast layout equals the plain one.
 */
#include "codec/json_out.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char letters[] = "\"\\nrtbf";
static const char meanings[] = "\"\\\n\r\t\b\f";

static uint32_t hex4(const char *p)
{
    uint32_t v = 0;

    for (int i = 0; i < 4; i++) {
        char c = p[i];

        PL_ASSERT((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'));
        v = v * 16 + (uint32_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return v;
}

/* Undoes the escapes; \u above 0x7f are written as UTF-8. */
static void read_back(pl_str json, struct pl_buf *out)
{
    PL_ASSERT(json.n >= 2 && json.p[0] == '"' && json.p[json.n - 1] == '"');
    PL_ASSERT(pl_str_is_utf8(json));
    for (size_t i = 1; i < json.n - 1; i++) {
        char c = json.p[i];

        PL_ASSERT((uint8_t)c >= 0x20 && c != '"');
        if (c != '\\') {
            pl_buf_byte(out, (uint8_t)c);
            continue;
        }
        c = json.p[++i];
        if (c == 'u') {
            uint32_t rune = hex4(json.p + i + 1);

            PL_ASSERT(i + 4 < json.n - 1);
            i += 4;
            PL_ASSERT(rune < 0x80 || rune == 0xfffd || rune == 0x2028 || rune == 0x2029);
            if (rune < 0x80) {
                pl_buf_byte(out, (uint8_t)rune);
            } else {
                pl_buf_add(out, rune == 0xfffd ? "\xef\xbf\xbd" : rune == 0x2028 ? "\xe2\x80\xa8" : "\xe2\x80\xa9", 3);
            }
        } else {
            const char *at = memchr(letters, c, 7);

            PL_ASSERT(at != NULL);
            pl_buf_byte(out, (uint8_t)meanings[at - letters]);
        }
    }
}

static void check_text(pl_str text)
{
    for (int place = JSON_ESCAPE_HTML; place <= JSON_ESCAPE_GO; place++) {
        struct pl_buf json;
        struct pl_buf back;

        pl_buf_init(&json, 0);
        pl_buf_init(&back, 0);
        json_str_as(&json, text, (enum json_escape)place);
        read_back(pl_buf_view(&json), &back);
        if (pl_str_is_utf8(text)) {
            PL_ASSERT(pl_str_eq(pl_buf_view(&back), text));
        }
        pl_buf_fini(&json);
        pl_buf_fini(&back);
    }
}

static void check_number(uint64_t bits)
{
    char fast[FLOAT_TEXT_MAX + 2];
    char plain[FLOAT_TEXT_MAX];
    double v = pl_f64_from_bits(bits);
    size_t n = float_put_json(plain, v);

    PL_ASSERT(json_put_value(fast, v) == n + 2);
    PL_ASSERT(memcmp(fast + 1, plain, n) == 0);
    v = (double)(int64_t)(bits >> (bits & 63)) / 1000;
    n = float_put_json(plain, v);
    PL_ASSERT(json_put_value(fast, v) == n + 2);
    PL_ASSERT(memcmp(fast + 1, plain, n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_text(pl_str_of((const char *)data, size));
    if (size >= 8) {
        check_number(pl_get_le64(data));
    }
    return 0;
}
