/* model/matcher.h - `name="value"`, `!=`, `=~`, `!~`. */
#ifndef PL_MODEL_MATCHER_H
#define PL_MODEL_MATCHER_H

#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"
#include "model/labels.h"

struct regex;

enum matcher_type { MATCH_EQ, MATCH_NEQ, MATCH_RE, MATCH_NRE };

struct matcher {
    enum matcher_type type;
    pl_str name;
    pl_str value;     /* literal, or the pattern */
    struct regex *re; /* compiled for MATCH_RE and MATCH_NRE, freed with the arena it was made in */
};

/* Makes a matcher whose text and regex live as long as the arena. PL_INVALID on a bad pattern. */
PL_MUST_USE pl_status matcher_make(struct matcher *out, struct pl_arena *a, enum matcher_type type, pl_str name,
                                   pl_str value, struct pl_err *err);
/* Does the matcher accept this value ("" = label absent)? */
bool matcher_accepts(const struct matcher *m, pl_str value);
bool matchers_accept(const struct matcher *ms, size_t n, struct labels ls);
void matcher_text(struct pl_buf *b, const struct matcher *m); /* name="value" with Go quoting */

#endif
