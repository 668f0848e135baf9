/* shim/re2.h - RE2 as C sees it. Only regex/ includes this header.
 *
 * Promise: patterns are UTF-8 with Perl classes, dot matches newline, matches are anchored at both ends; memory of one
 * pattern (program and lazily built DFA states) stays below SHIM_RE2_MEMORY. No exception leaves.
 * Threads: a compiled pattern may be used by any number of threads at once.
 */
#ifndef PL_SHIM_RE2_H
#define PL_SHIM_RE2_H

#ifdef __cplusplus
extern "C" {
#endif

#include "base/base.h"

enum { SHIM_RE2_MEMORY = 32 << 20 };

enum shim_re2_error {
    SHIM_RE2_OK,
    SHIM_RE2_BAD_ESCAPE,
    SHIM_RE2_BAD_CLASS,
    SHIM_RE2_BAD_RANGE,
    SHIM_RE2_MISSING_BRACKET,
    SHIM_RE2_MISSING_PAREN,
    SHIM_RE2_UNEXPECTED_PAREN,
    SHIM_RE2_TRAILING_BACKSLASH,
    SHIM_RE2_REPEAT_ARGUMENT,
    SHIM_RE2_REPEAT_SIZE,
    SHIM_RE2_REPEAT_OP,
    SHIM_RE2_BAD_PERL,
    SHIM_RE2_BAD_UTF8,
    SHIM_RE2_BAD_NAME,
    SHIM_RE2_TOO_LARGE,
    SHIM_RE2_INTERNAL,
};

struct shim_re2;

/* On failure *out is untouched and `fragment` holds the offending part of the pattern, cut to `cap` bytes,
 * *fragment_len long. */
enum shim_re2_error shim_re2_compile(struct shim_re2 **out, pl_str pattern, char *fragment, size_t cap,
                                     size_t *fragment_len);
void shim_re2_destroy(struct shim_re2 *re); /* NULL is allowed */
bool shim_re2_match(const struct shim_re2 *re, pl_str s);
size_t shim_re2_group_count(const struct shim_re2 *re); /* without the whole match */
/* Number of the group of this name, or 0. */
size_t shim_re2_group_find(const struct shim_re2 *re, pl_str name);
/* How many bytes of letters, decimal digits (both of any script) and underscores s begins with. */
size_t shim_re2_word_len(pl_str s);
/* Whole match; fills groups[0 .. count): [0] is the whole text; a group that took no part has p == NULL. */
bool shim_re2_captures(const struct shim_re2 *re, pl_str s, pl_str *groups, size_t count);

#ifdef __cplusplus
}
#endif

#endif
