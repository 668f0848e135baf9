/* Recognises the patterns that make up nearly all matchers: a|b|c, prefix.*, .*suffix, .*part.* and their like. Each
 * recogniser reads the pattern's text once and gives up (RE2 then does the work) on anything it is not sure of. */
#include "regex/internal.h"

#include <stdlib.h>

static bool is_special(char c)
{
    return memchr("\\.+*?()|[]{}^$", c, 14) != NULL;
}

/* Reads one literal character at *at: the text itself or an escape of punctuation. U+FFFD is left to RE2: it would
 * match broken bytes of a subject. Returns its length in out (at most 4 bytes), 0 when this is not a literal. */
static size_t read_literal(char out[4], pl_str pattern, size_t *at)
{
    const char *p = pattern.p + *at;
    size_t left = pattern.n - *at;
    size_t len = 1;

    if (left == 0) {
        return 0;
    }
    if (p[0] == '\\') {
        bool letter = left >= 2 && ((p[1] >= '0' && p[1] <= '9') || ((p[1] | 0x20) >= 'a' && (p[1] | 0x20) <= 'z'));
        if (left < 2 || letter || (unsigned char)p[1] >= 0x80) {
            return 0;
        }
        out[0] = p[1];
        *at += 2;
        return 1;
    }
    if (is_special(p[0])) {
        return 0;
    }
    if ((unsigned char)p[0] >= 0x80) {
        len = (unsigned char)p[0] >= 0xf0 ? 4 : (unsigned char)p[0] >= 0xe0 ? 3 : 2;
        if (left < len || (len == 3 && memcmp(p, "\xef\xbf\xbd", 3) == 0)) {
            return 0;
        }
    }
    memcpy(out, p, len);
    *at += len;
    return len;
}

static bool next_is_quantifier(pl_str pattern, size_t at)
{
    return at < pattern.n && memchr("*+?{", pattern.p[at], 4) != NULL;
}

/* ---- finite sets ---- */

/* Strings under construction: spans of one growing text. */
struct span {
    size_t from, len;
};

struct spans {
    struct span *v;
    size_t count, cap;
};

struct set_reader {
    pl_str pattern;
    size_t at;
    struct pl_buf text;
    bool capped; /* a product passed REGEX_LITERALS_MAX or the text its bound */
};

static void spans_add(struct spans *s, struct span x)
{
    pl_array_reserve(s->v, s->cap, s->count + 1);
    s->v[s->count++] = x;
}

static bool read_alternatives(struct set_reader *r, struct spans *out, unsigned depth);

/* acc := acc x more. */
static bool multiply(struct set_reader *r, struct spans *acc, const struct spans *more)
{
    struct spans made = {0};

    if (acc->count * more->count > REGEX_LITERALS_MAX) {
        return false;
    }
    for (size_t i = 0; i < acc->count; i++) {
        for (size_t k = 0; k < more->count; k++) {
            struct span x = {.from = r->text.n, .len = acc->v[i].len + more->v[k].len};
            char *to = pl_buf_reserve(&r->text, x.len + 1);
            if (to == NULL) {
                pl_free(made.v);
                return false;
            }
            memcpy(to, r->text.p + acc->v[i].from, acc->v[i].len);
            memcpy(to + acc->v[i].len, r->text.p + more->v[k].from, more->v[k].len);
            r->text.n += x.len;
            spans_add(&made, x);
        }
    }
    pl_free(acc->v);
    *acc = made;
    return true;
}

/* One group: "(...)", "(?:...)". */
static bool read_group(struct set_reader *r, struct spans *acc, unsigned depth)
{
    struct spans inner = {0};
    bool ok;

    r->at++;
    if (r->at < r->pattern.n && r->pattern.p[r->at] == '?') {
        if (r->at + 1 >= r->pattern.n || r->pattern.p[r->at + 1] != ':') {
            return false;
        }
        r->at += 2;
    }
    ok = depth < REGEX_SET_DEPTH_MAX && read_alternatives(r, &inner, depth + 1) && r->at < r->pattern.n &&
         r->pattern.p[r->at] == ')';
    r->at++;
    ok = ok && !next_is_quantifier(r->pattern, r->at) && multiply(r, acc, &inner);
    pl_free(inner.v);
    return ok;
}

/* Literals and groups in a row: every string they can spell is added to out. */
static bool read_sequence(struct set_reader *r, struct spans *out, unsigned depth)
{
    struct spans acc = {0};
    bool ok = true;

    spans_add(&acc, (struct span){.from = r->text.n, .len = 0});
    while (ok && r->at < r->pattern.n && r->pattern.p[r->at] != '|' && r->pattern.p[r->at] != ')') {
        struct span run = {.from = r->text.n, .len = 0};
        struct spans one = {.v = &run, .count = 1, .cap = 1};
        char c[4];
        size_t n;

        if (r->pattern.p[r->at] == '(') {
            ok = read_group(r, &acc, depth);
            continue;
        }
        while ((n = read_literal(c, r->pattern, &r->at)) > 0) {
            pl_buf_add(&r->text, c, n);
            run.len += n;
        }
        ok = run.len > 0 && !next_is_quantifier(r->pattern, r->at) && !r->text.overflow;
        if (ok && acc.count == 1 && acc.v[0].len == 0) {
            acc.v[0] = run;
        } else if (ok) {
            ok = multiply(r, &acc, &one);
        }
    }
    for (size_t i = 0; ok && i < acc.count; i++) {
        spans_add(out, acc.v[i]);
    }
    pl_free(acc.v);
    return ok;
}

static bool read_alternatives(struct set_reader *r, struct spans *out, unsigned depth)
{
    for (;;) {
        if (!read_sequence(r, out, depth)) {
            return false;
        }
        if (r->at >= r->pattern.n || r->pattern.p[r->at] != '|') {
            return true;
        }
        r->at++;
    }
}

static int compare_items(const void *a, const void *b)
{
    return pl_str_cmp(*(const pl_str *)a, *(const pl_str *)b);
}

bool regex__find_set(struct regex_set *out, pl_str pattern)
{
    struct set_reader r = {.pattern = pattern};
    struct spans all = {0};
    bool ok;

    pl_buf_init(&r.text, REGEX_SET_BYTES_MAX);
    ok = read_alternatives(&r, &all, 0) && r.at == pattern.n && !r.text.overflow;
    if (ok) {
        out->items = pl_new_array(pl_str, all.count);
        for (size_t i = 0; i < all.count; i++) {
            out->items[i] = all.v[i].len > 0 ? pl_str_of(r.text.p + all.v[i].from, all.v[i].len) : PL_STR("");
        }
        qsort(out->items, all.count, sizeof(*out->items), compare_items);
        out->count = 1;
        for (size_t i = 1; i < all.count; i++) {
            if (!pl_str_eq(out->items[i], out->items[out->count - 1])) {
                out->items[out->count++] = out->items[i];
            }
        }
        out->text = r.text.p;
    } else {
        pl_buf_fini(&r.text);
    }
    pl_free(all.v);
    return ok;
}

void regex__set_fini(struct regex_set *s)
{
    pl_free(s->items);
    pl_free(s->text);
}

bool regex__set_has(const struct regex_set *s, pl_str value)
{
    size_t lo = 0;
    size_t hi = s->count;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = pl_str_cmp(s->items[mid], value);
        if (c == 0) {
            return true;
        }
        if (c < 0) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return false;
}

/* ---- globs ---- */

/* Groups around parts without alternatives or quantifiers change nothing about what matches: they are stepped over. */
static bool skip_group_open(pl_str pattern, size_t *at, unsigned *open)
{
    ++*at;
    ++*open;
    if (*at < pattern.n && pattern.p[*at] == '?') {
        if (*at + 1 >= pattern.n || pattern.p[*at + 1] != ':') {
            return false;
        }
        *at += 2;
    }
    return true;
}

static bool read_gap(struct regex_glob *g, pl_str pattern, size_t *at, bool *after_gap)
{
    bool plus;

    if (*at + 1 >= pattern.n || (pattern.p[*at + 1] != '*' && pattern.p[*at + 1] != '+')) {
        return false;
    }
    plus = pattern.p[*at + 1] == '+';
    *at += 2;
    if (next_is_quantifier(pattern, *at)) {
        return false;
    }
    if (*after_gap) { /* .*.+ is one gap; two or more characters cannot be counted in bytes */
        uint8_t *gap = &g->gap[g->count - 2];
        if (plus && *gap > 0) {
            return false;
        }
        *gap = *gap > 0 || plus;
        return true;
    }
    if (g->count == REGEX_PARTS_MAX) {
        return false;
    }
    g->gap[g->count - 1] = plus;
    g->count++;
    *after_gap = true;
    return true;
}

bool regex__find_glob(struct regex_glob *out, pl_str pattern)
{
    struct regex_glob g = {.count = 1, .text = pl_alloc(pattern.n + 1)};
    size_t at = 0;
    size_t used = 0;
    unsigned open = 0;
    bool after_gap = false;
    bool ok = true;

    g.part[0] = pl_str_of(g.text, 0);
    while (ok && at < pattern.n) {
        if (pattern.p[at] == '.') {
            ok = read_gap(&g, pattern, &at, &after_gap);
            g.part[g.count - 1] = after_gap ? pl_str_of(g.text + used, 0) : g.part[g.count - 1];
        } else if (pattern.p[at] == '(') {
            ok = skip_group_open(pattern, &at, &open);
        } else if (pattern.p[at] == ')') {
            at++;
            ok = open > 0 && !next_is_quantifier(pattern, at);
            open--;
        } else {
            char c[4];
            size_t n = read_literal(c, pattern, &at);
            ok = n > 0 && !next_is_quantifier(pattern, at);
            if (ok) {
                memcpy(g.text + used, c, n);
                used += n;
                g.part[g.count - 1].n += n;
                after_gap = false;
            }
        }
    }
    if (!ok || open > 0 || g.count < 2) {
        pl_free(g.text);
        return false;
    }
    *out = g;
    return true;
}

void regex__glob_fini(struct regex_glob *g)
{
    pl_free(g->text);
}

/* The first and the last part are fixed at the ends; those between are taken as far left as possible, which leaves the
 * most room for the rest. A gap of one character is at least one byte, and a literal that begins with a whole character
 * can only be found on a character's border, so counting bytes is enough. */
bool regex__glob_match(const struct regex_glob *g, pl_str s)
{
    pl_str first = g->part[0];
    pl_str last = g->part[g->count - 1];
    size_t at = first.n;
    size_t end;

    if (!pl_str_starts(s, first) || !pl_str_ends(s, last) || s.n < first.n + last.n) {
        return false;
    }
    end = s.n - last.n;
    for (size_t i = 1; i + 1 < g->count; i++) {
        const char *found;
        at += g->gap[i - 1];
        if (at > end) {
            return false;
        }
        found = memmem(s.p + at, end - at, g->part[i].p, g->part[i].n);
        if (found == NULL) {
            return false;
        }
        at = (size_t)(found - s.p) + g->part[i].n;
    }
    return at + g->gap[g->count - 2] <= end;
}
