/* The differences between Go's regexp syntax and that of RE2's release in Debian, and the literal prefix of a pattern.
 */
#include "regex/internal.h"

/* Patterns are walked item by item: classes, escapes and \Q...\E text are one step each, so that a '(' or '|' at a
 * step's start is a real one. */
static size_t class_end(pl_str p, size_t at)
{
    at++; /* [ */
    if (at < p.n && p.p[at] == '^') {
        at++;
    }
    if (at < p.n && p.p[at] == ']') {
        at++; /* a first ] stands for itself */
    }
    while (at < p.n && p.p[at] != ']') {
        if (p.p[at] == '\\' && at + 1 < p.n) {
            at += 2;
        } else if (p.p[at] == '[' && at + 1 < p.n && p.p[at + 1] == ':') {
            size_t close = pl_str_find_str(pl_str_sub(p, at + 2, p.n), PL_STR(":]"));
            at = close == SIZE_MAX ? at + 1 : at + 2 + close + 2;
        } else {
            at++;
        }
    }
    return PL_MIN(at + 1, p.n);
}

static size_t quoted_end(pl_str p, size_t at)
{
    size_t close = pl_str_find_str(pl_str_sub(p, at + 2, p.n), PL_STR("\\E"));

    return close == SIZE_MAX ? p.n : at + 2 + close + 2;
}

static size_t step_end(pl_str p, size_t at)
{
    if (p.p[at] == '[') {
        return class_end(p, at);
    }
    if (p.p[at] == '\\' && at + 1 < p.n) {
        return p.p[at + 1] == 'Q' ? quoted_end(p, at) : at + 2;
    }
    return at + 1;
}

/* How many nodes of RE2's tree a step makes: a class as many as its Unicode classes weigh, a letter behind a letter
 * none. */
static size_t step_size(pl_str pattern, size_t at, size_t end, bool after_letter)
{
    static const char special[] = "\\.+*?()|[]{}^$";
    size_t classes = 0;

    for (size_t i = at; i + 1 < end; i++) {
        if (pattern.p[i] == '\\') {
            classes += (pattern.p[i + 1] | 0x20) == 'p';
            i++;
        }
    }
    if (classes > 0) {
        return classes * REGEX_CLASS_SIZE;
    }
    return after_letter && memchr(special, pattern.p[at], sizeof(special) - 1) == NULL ? 0 : 1;
}

static bool is_quantifier(char c)
{
    return c == '*' || c == '+' || c == '?';
}

/* The upper count of {n}, {n,} or {n,m} at `at`, 1 where this is no repetition; *end is behind it. */
static size_t repeat_count(pl_str p, size_t at, size_t *end)
{
    size_t count = 0;
    size_t i = at + 1;

    for (; i < p.n && ((p.p[i] >= '0' && p.p[i] <= '9') || p.p[i] == ','); i++) {
        if (p.p[i] == ',') {
            count = i + 1 < p.n && p.p[i + 1] != '}' ? 0 : count;
        } else {
            count = PL_MIN(count * 10 + (size_t)(p.p[i] - '0'), (size_t)1001);
        }
    }
    *end = i + 1;
    /* Counts over 1000 are refused while parsing, with a better message. */
    return i < p.n && p.p[i] == '}' && i > at + 1 && count <= 1000 ? PL_MAX(count, (size_t)1) : 1;
}

/* RE2 writes repetitions out before it looks at its memory limit: a long pattern of .{1000} would take gigabytes first.
 * So the size is reckoned here, from above and in one walk, as Go does in its parser. */
bool regex__is_too_large(pl_str pattern)
{
    size_t group[REGEX_NESTING_MAX + 1] = {0}; /* what each open group holds so far */
    size_t depth = 0;
    size_t last = 0; /* the atom that a repetition would repeat */
    bool letter = false;
    size_t end;

    for (size_t at = 0; at < pattern.n && group[depth] <= REGEX_SIZE_MAX; at = end) {
        size_t times = 1;
        size_t size;

        end = step_end(pattern, at);
        if (pattern.p[at] == '(' && depth < REGEX_NESTING_MAX) {
            group[++depth] = 1;
            letter = false;
            continue;
        }
        if (pattern.p[at] == ')' && depth > 0) {
            last = group[depth--];
            group[depth] += last;
            letter = false;
            continue;
        }
        if (pattern.p[at] == '{') {
            times = repeat_count(pattern, at, &end);
        }
        if (times > 1) {
            group[depth] += last * (times - 1);
            last *= times;
            letter = false;
            continue;
        }
        end = step_end(pattern, at);
        size = step_size(pattern, at, end, letter);
        letter = size <= 1 && !is_quantifier(pattern.p[at]);
        group[depth] += size;
        last = PL_MAX(size, (size_t)1);
    }
    return group[depth] > REGEX_SIZE_MAX;
}

/* Appends text that stands for pattern[at...]; from[i] is where byte i of the output came from. */
static void put(struct pl_buf *out, size_t *from, pl_str text, size_t at, bool same)
{
    for (size_t i = 0; from != NULL && i < text.n; i++) {
        from[out->n + i] = at + (same ? i : 0);
    }
    pl_buf_str(out, text);
}

pl_status regex__translate(struct pl_buf *out, size_t *from, pl_str pattern, struct pl_err *err)
{
    size_t depth = 0;
    size_t at = 0;

    while (at < pattern.n) {
        size_t end = step_end(pattern, at);
        pl_str step = pl_str_sub(pattern, at, end);

        if (step.p[0] == '(' && ++depth > REGEX_NESTING_MAX) {
            return pl_fail(err, PL_INVALID, "error parsing regexp: expression nests too deeply: `%.*s`",
                           PL_STR_ARG(pl_str_sub(pattern, 0, PL_MIN(pattern.n, 1000))));
        }
        if (step.p[0] == ')' && depth > 0) {
            depth--;
        }
        if (pl_str_eq(step, PL_STR("\\C"))) {
            put(out, from, PL_STR(REGEX_BAD_ESCAPE), at, true);
        } else if (step.p[0] == '(' && pl_str_starts(pl_str_sub(pattern, at, pattern.n), PL_STR("(?<"))) {
            end = at + 3;
            put(out, from, PL_STR("(?"), at, true);
            put(out, from, PL_STR("P<"), at + 2, false);
        } else {
            put(out, from, step, at, true);
        }
        at = end;
    }
    if (from != NULL) {
        from[out->n] = pattern.n;
    }
    return PL_OK;
}

/* An alternative outside every group, or a repetition right behind, makes leading text optional. */
static bool has_top_alternative(pl_str p)
{
    size_t depth = 0;

    for (size_t at = 0; at < p.n; at = step_end(p, at)) {
        if (p.p[at] == '(') {
            depth++;
        } else if (p.p[at] == ')' && depth > 0) {
            depth--;
        } else if (p.p[at] == '|' && depth == 0) {
            return true;
        }
    }
    return false;
}

void regex__find_prefix(struct pl_buf *out, pl_str pattern)
{
    size_t at = 0;
    size_t last = 0; /* where the last character of the prefix begins */

    if (has_top_alternative(pattern)) {
        return;
    }
    while (at < pattern.n && memchr("\\.+*?()|[]{}^$", pattern.p[at], 14) == NULL) {
        if (((unsigned char)pattern.p[at] & 0xc0) != 0x80) {
            last = at;
        }
        at++;
    }
    if (at < pattern.n && memchr("*+?{", pattern.p[at], 4) != NULL) {
        at = last;
    }
    /* U+FFFD in a pattern also matches one broken byte: no literal prefix then. */
    if (pl_str_find_str(pl_str_sub(pattern, 0, at), PL_STR("\xef\xbf\xbd")) == SIZE_MAX) {
        pl_buf_str(out, pl_str_sub(pattern, 0, at));
    }
}
