/* codec/ulid.h - block names: 48-bit milliseconds and 80 random bits as 26 Crockford base32 characters. */
#ifndef PL_CODEC_ULID_H
#define PL_CODEC_ULID_H

#include "base/base.h"

enum { ULID_TEXT = 26 };
struct ulid {
    uint8_t b[16];
};

void ulid_make(struct ulid *u, int64_t unix_ms);
void ulid_text(char out[static ULID_TEXT + 1], const struct ulid *u); /* NUL-terminated, upper case */
bool ulid_parse(struct ulid *u, pl_str text);                         /* false unless 26 valid characters */
int64_t ulid_time_ms(const struct ulid *u);

#endif
