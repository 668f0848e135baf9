/* regex/internal.h - what a pattern's text tells before RE2 sees it. */
#ifndef PL_REGEX_INTERNAL_H
#define PL_REGEX_INTERNAL_H

#include "base/base.h"
#include "base/buf.h"
#include "regex/regex.h"

enum {
    REGEX_PARTS_MAX = 16,     /* literals between gaps of one glob */
    REGEX_NESTING_MAX = 1000, /* open groups, as Go's limit on the height of an expression */
    REGEX_SIZE_MAX = 500000,  /* reckoned nodes of RE2's tree */
    REGEX_CLASS_SIZE = 250,   /* what one Unicode class counts */
    REGEX_SET_BYTES_MAX = 4 << 20,
    REGEX_SET_DEPTH_MAX = 16,
};

/* Stands in for \C, which RE2 takes and Go refuses: an escape that RE2 refuses at the same place. */
#define REGEX_BAD_ESCAPE "\\Y"

/* A finite set of strings: every alternative spelt out. */
struct regex_set {
    pl_str *items; /* sorted, unique, in `text` */
    size_t count;
    char *text;
};

/* Literals with gaps between: part[0] gap[0] part[1] gap[1] ... part[count - 1]; count >= 1. part[0] and the last may
 * be empty. gap is how many characters must be there at least: 0 for .*, 1 for .+ */
struct regex_glob {
    pl_str part[REGEX_PARTS_MAX]; /* in `text` */
    uint8_t gap[REGEX_PARTS_MAX];
    size_t count;
    char *text;
};

/* Each answers true when the whole pattern has that shape; the caller then owns the result. Never fails on any text. */
bool regex__find_set(struct regex_set *out, pl_str pattern);
bool regex__find_glob(struct regex_glob *out, pl_str pattern);
void regex__set_fini(struct regex_set *s);
void regex__glob_fini(struct regex_glob *g);
bool regex__set_has(const struct regex_set *s, pl_str value);
bool regex__glob_match(const struct regex_glob *g, pl_str s);
/* The literal text before the first special character, "" where an alternative could begin otherwise. */
void regex__find_prefix(struct pl_buf *out, pl_str pattern);
/* The pattern in this RE2's spelling: (?<name> becomes (?P<name>, \C an error. Fails where groups nest too deeply.
 * `from`, unless NULL, has room for 2 * pattern.n + 1 places and gets the place in `pattern` of each byte and of the
 * end. */
PL_MUST_USE pl_status regex__translate(struct pl_buf *out, size_t *from, pl_str pattern, struct pl_err *err);
/* Would RE2 need too much memory before it could say so? */
bool regex__is_too_large(pl_str pattern);

#endif
