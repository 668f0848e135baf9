#include "model/matcher.h"

#include "regex/regex.h"

enum { PIN_BYTES = 64 };

static void regex_free(void *arg)
{
    regex_destroy(arg);
}

/* A copy in the arena; p is NULL when its limit was passed. */
static pl_str copy_try(struct pl_arena *a, pl_str s)
{
    char *p = pl_arena_alloc_try(a, s.n + 1);

    if (p == NULL) {
        return PL_STR_NULL;
    }
    if (s.n > 0) {
        memcpy(p, s.p, s.n);
    }
    p[s.n] = '\0';
    return pl_str_of(p, s.n);
}

pl_status matcher_make(struct matcher *out, struct pl_arena *a, enum matcher_type type, pl_str name, pl_str value,
                       struct pl_err *err)
{
    struct matcher m = {.type = type, .name = copy_try(a, name), .value = copy_try(a, value)};

    if (m.name.p == NULL || m.value.p == NULL) {
        return pl_fail(err, PL_LIMIT, "query memory limit");
    }
    if (type == MATCH_RE || type == MATCH_NRE) {
        /* pl_arena_on_free needs a few bytes and aborts past the limit, so the newest block must have them already. */
        while ((size_t)(a->end - a->at) < PIN_BYTES) {
            if (pl_arena_alloc_try(a, PIN_BYTES) == NULL) {
                return pl_fail(err, PL_LIMIT, "query memory limit");
            }
        }
        PL_TRY(regex_compile(&m.re, m.value, err));
        pl_arena_on_free(a, regex_free, m.re);
    }
    *out = m;
    return PL_OK;
}

bool matcher_accepts(const struct matcher *m, pl_str value)
{
    switch (m->type) {
    case MATCH_EQ:
        return pl_str_eq(m->value, value);
    case MATCH_NEQ:
        return !pl_str_eq(m->value, value);
    case MATCH_RE:
        return regex_match(m->re, value);
    case MATCH_NRE:
        return !regex_match(m->re, value);
    }
    PL_UNREACHABLE("matcher type");
}

bool matchers_accept(const struct matcher *ms, size_t n, struct labels ls)
{
    for (size_t i = 0; i < n; i++) {
        if (!matcher_accepts(&ms[i], labels_get(ls, ms[i].name))) {
            return false;
        }
    }
    return true;
}

void matcher_text(struct pl_buf *b, const struct matcher *m)
{
    static const char *const ops[] = {[MATCH_EQ] = "=", [MATCH_NEQ] = "!=", [MATCH_RE] = "=~", [MATCH_NRE] = "!~"};

    if (label_name_is_legacy(m->name)) {
        pl_buf_str(b, m->name);
    } else {
        pl_buf_quoted(b, m->name);
    }
    pl_buf_cstr(b, ops[m->type]);
    pl_buf_quoted(b, m->value);
}
