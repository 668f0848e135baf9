/* regex/regex.h - label matcher regexes: RE2 syntax, linear time, always anchored at both ends, dot matches newline.
 *
 * Promise: regex_match never takes more than linear time and never allocates. Plain literals, finite sets (a|b|c) and
 * literal prefixes are recognised at compile time and matched without RE2. Library: RE2 behind src/shim.
 * Threads: a compiled regex is immutable; any thread may match.
 * Errors: PL_INVALID with Go's text, "error parsing regexp: CODE: `FRAGMENT`" (spec prometheus.md 11).
 */
#ifndef PL_REGEX_REGEX_H
#define PL_REGEX_REGEX_H

#include "base/base.h"
#include "base/buf.h"

enum { REGEX_PATTERN_MAX = 1 << 20, REGEX_LITERALS_MAX = 1000 };

struct regex;

PL_MUST_USE pl_status regex_compile(struct regex **out, pl_str pattern, struct pl_err *err);
void regex_destroy(struct regex *re);
bool regex_match(const struct regex *re, pl_str s);
/* When the pattern is a finite set of at most REGEX_LITERALS_MAX strings: points *out at them (owned by re, sorted,
 * unique) and returns how many. 0: not such a set. */
size_t regex_literals(const struct regex *re, const pl_str **out);
/* The literal text every match must begin with (may be empty). */
pl_str regex_prefix(const struct regex *re);
/* ".*" and ".+" (with s-flag meaning): matched without looking. */
bool regex_is_any(const struct regex *re);
bool regex_is_any_nonempty(const struct regex *re);
/* For label_replace: when re matches s as a whole, appends the expansion of tmpl ($1, ${1}, $name, ${name}, $$; unknown
 * names expand to nothing, as Go's Regexp.Expand) to out and returns true. */
bool regex_expand(const struct regex *re, pl_str s, pl_str tmpl, struct pl_buf *out);

#endif
