#include "codec/ulid.h"

#include <sys/random.h>

enum { ULID_TIME_BYTES = 6, ULID_RANDOM_BYTES = 10 };

static const char alphabet[33] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

void ulid_make(struct ulid *u, int64_t unix_ms)
{
    uint64_t ms = (uint64_t)PL_MAX(unix_ms, 0);

    for (int i = 0; i < ULID_TIME_BYTES; i++) {
        u->b[i] = (uint8_t)(ms >> (40 - 8 * i));
    }
    PL_ASSERT(getrandom(u->b + ULID_TIME_BYTES, ULID_RANDOM_BYTES, 0) == ULID_RANDOM_BYTES);
}

/* 26 characters hold 130 bits: two zero bits stand before the 128. */
void ulid_text(char out[static ULID_TEXT + 1], const struct ulid *u)
{
    uint32_t acc = 0;
    int bits = 2, at = 0;

    for (size_t i = 0; i < sizeof(u->b); i++) {
        acc = acc << 8 | u->b[i];
        bits += 8;
        while (bits >= 5) {
            bits -= 5;
            out[at++] = alphabet[acc >> bits & 31];
        }
    }
    PL_ASSERT(at == ULID_TEXT && bits == 0);
    out[at] = '\0';
}

/* The value of a character, or -1. Lower case is read too, as Prometheus's library does. */
static int digit_value(char c)
{
    const char *p;

    if (c >= 'a' && c <= 'z') {
        c = (char)(c - 'a' + 'A');
    }
    p = c != '\0' ? strchr(alphabet, c) : NULL;
    return p != NULL ? (int)(p - alphabet) : -1;
}

bool ulid_parse(struct ulid *u, pl_str text)
{
    struct ulid r;
    uint32_t acc = 0;
    int bits = -2, at = 0;

    if (text.n != ULID_TEXT || text.p[0] > '7') {
        return false;
    }
    for (size_t i = 0; i < text.n; i++) {
        int d = digit_value(text.p[i]);
        if (d < 0) {
            return false;
        }
        acc = acc << 5 | (uint32_t)d;
        bits += 5;
        if (bits >= 8) {
            bits -= 8;
            r.b[at++] = (uint8_t)(acc >> bits);
        }
    }
    PL_ASSERT(at == (int)sizeof(r.b));
    *u = r;
    return true;
}

int64_t ulid_time_ms(const struct ulid *u)
{
    uint64_t ms = 0;

    for (int i = 0; i < ULID_TIME_BYTES; i++) {
        ms = ms << 8 | u->b[i];
    }
    return (int64_t)ms;
}
