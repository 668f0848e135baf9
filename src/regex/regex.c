#include "regex/regex.h"

#include "regex/internal.h"
#include "shim/re2.h"

#include <stdatomic.h>

enum {
    GROUPS_MAX = 100,    /* groups that an expansion can name */
    FRAGMENT_MAX = 1024, /* bytes of a pattern shown in an error */
    EAGER_RE2_BYTES =
        1 << 16 /* longer shaped patterns with groups are given to RE2 at once, so that only compiling fails */
};

enum shape { SHAPE_RE2, SHAPE_SET, SHAPE_GLOB };

/* Const after compiling, but for re2 of shaped patterns: it is made by the first expansion that needs groups. */
struct regex {
    enum shape shape;
    struct regex_set set;
    struct regex_glob glob;
    _Atomic(struct shim_re2 *) re2; /* release on publishing, acquire on reading */
    char *pattern;                  /* RE2's spelling */
    size_t pattern_len;
    struct pl_buf prefix;
    bool groups;
};

static const char *error_text(enum shim_re2_error e)
{
    switch (e) {
    case SHIM_RE2_BAD_ESCAPE:
        return "invalid escape sequence";
    case SHIM_RE2_BAD_CLASS:
        return "invalid character class";
    case SHIM_RE2_BAD_RANGE:
        return "invalid character class range";
    case SHIM_RE2_MISSING_BRACKET:
        return "missing closing ]";
    case SHIM_RE2_MISSING_PAREN:
        return "missing closing )";
    case SHIM_RE2_UNEXPECTED_PAREN:
        return "unexpected )";
    case SHIM_RE2_TRAILING_BACKSLASH:
        return "trailing backslash at end of expression";
    case SHIM_RE2_REPEAT_ARGUMENT:
        return "missing argument to repetition operator";
    case SHIM_RE2_REPEAT_SIZE:
        return "invalid repeat count";
    case SHIM_RE2_REPEAT_OP:
        return "invalid nested repetition operator";
    case SHIM_RE2_BAD_PERL:
        return "invalid or unsupported Perl syntax";
    case SHIM_RE2_BAD_UTF8:
        return "invalid UTF-8";
    case SHIM_RE2_BAD_NAME:
        return "invalid named capture";
    case SHIM_RE2_TOO_LARGE:
        return "expression too large";
    case SHIM_RE2_OK:
    case SHIM_RE2_INTERNAL:
        break;
    }
    return "internal error";
}

/* A part of RE2's spelling in the spelling that was given. */
static pl_str written_fragment(pl_str written, pl_str fragment)
{
    struct pl_buf copy;
    size_t *from = pl_new_array(size_t, 2 * written.n + 1);
    size_t at = SIZE_MAX;

    pl_buf_init(&copy, 0);
    if (regex__translate(&copy, from, written, NULL) == PL_OK) {
        at = pl_str_find_str(pl_buf_view(&copy), fragment);
    }
    if (at != SIZE_MAX && fragment.n > 0) {
        fragment = pl_str_sub(written, from[at], from[at + fragment.n]);
    }
    pl_buf_fini(&copy);
    pl_free(from);
    return fragment;
}

/* COMPAT: Go complains about a count over 1000 before it sees that two repetitions follow one another. */
static void prefer_count(enum shim_re2_error *e, pl_str *fragment)
{
    size_t brace = fragment->n;
    uint64_t count = 0;

    while (brace > 0 && fragment->p[brace - 1] != '{') {
        brace--;
    }
    for (size_t i = brace; brace > 0 && i < fragment->n; i++) {
        char c = fragment->p[i];
        count = c >= '0' && c <= '9' ? PL_MIN(count * 10 + (uint64_t)(c - '0'), 100000) : 0;
        if (count > 1000) {
            *e = SHIM_RE2_REPEAT_SIZE;
            *fragment = pl_str_sub(*fragment, brace - 1, fragment->n - pl_str_ends(*fragment, PL_STR("?")));
            return;
        }
    }
}

/* Which part of the pattern Go names. */
static pl_str error_fragment(enum shim_re2_error *e, pl_str written, pl_str fragment)
{
    switch (*e) {
    case SHIM_RE2_TOO_LARGE:
    case SHIM_RE2_UNEXPECTED_PAREN:
    case SHIM_RE2_MISSING_PAREN:
        return pl_str_sub(written, 0, PL_MIN(written.n, FRAGMENT_MAX));
    case SHIM_RE2_TRAILING_BACKSLASH:
        return PL_STR("");
    case SHIM_RE2_REPEAT_OP:
        prefer_count(e, &fragment);
        return fragment;
    case SHIM_RE2_REPEAT_SIZE: /* a{2000}? */
        return pl_str_sub(fragment, 0, fragment.n - pl_str_ends(fragment, PL_STR("?")));
    case SHIM_RE2_BAD_NAME:
    case SHIM_RE2_BAD_ESCAPE:
        return written_fragment(written, fragment);
    default:
        return fragment;
    }
}

static pl_status compile_re2(struct shim_re2 **out, const struct regex *re, pl_str written, struct pl_err *err)
{
    char fragment[FRAGMENT_MAX];
    size_t n;
    pl_str f;
    enum shim_re2_error e =
        shim_re2_compile(out, pl_str_of(re->pattern, re->pattern_len), fragment, sizeof(fragment), &n);

    if (e == SHIM_RE2_OK) {
        return PL_OK;
    }
    f = error_fragment(&e, written, pl_str_of(fragment, n));
    return pl_fail(err, PL_INVALID, "error parsing regexp: %s: `%.*s`", error_text(e), PL_STR_ARG(f));
}

/* The longest common beginning of all items; they are sorted, so the first and the last decide. */
static void set_prefix(struct regex *re)
{
    pl_str a = re->set.items[0];
    pl_str b = re->set.items[re->set.count - 1];
    size_t n = 0;

    while (n < a.n && n < b.n && a.p[n] == b.p[n]) {
        n++;
    }
    pl_buf_str(&re->prefix, pl_str_sub(a, 0, n));
}

static pl_status compile_shape(struct regex *re, pl_str pattern, struct pl_err *err)
{
    struct shim_re2 *re2 = NULL;

    if (regex__find_set(&re->set, pattern)) {
        re->shape = SHAPE_SET;
        set_prefix(re);
    } else if (regex__find_glob(&re->glob, pattern)) {
        re->shape = SHAPE_GLOB;
        pl_buf_str(&re->prefix, re->glob.part[0]);
    } else {
        re->shape = SHAPE_RE2;
        regex__find_prefix(&re->prefix, pattern);
    }
    re->groups = pl_str_find(pattern, '(') != SIZE_MAX;
    if (re->shape == SHAPE_RE2 && regex__is_too_large(pattern)) {
        return pl_fail(err, PL_INVALID, "error parsing regexp: expression too large: `%.*s`",
                       PL_STR_ARG(pl_str_sub(pattern, 0, PL_MIN(pattern.n, FRAGMENT_MAX))));
    }
    if (re->shape == SHAPE_RE2 || (re->groups && pattern.n > EAGER_RE2_BYTES)) {
        PL_TRY(compile_re2(&re2, re, pattern, err));
        atomic_store_explicit(&re->re2, re2, memory_order_release);
    }
    return PL_OK;
}

pl_status regex_compile(struct regex **out, pl_str pattern, struct pl_err *err)
{
    struct regex *re;
    struct pl_buf text;
    pl_status st;

    if (pattern.n > REGEX_PATTERN_MAX) {
        return pl_fail(err, PL_INVALID, "error parsing regexp: expression too large: %zu bytes, the limit is %d",
                       pattern.n, REGEX_PATTERN_MAX);
    }
    if (!pl_str_is_utf8(pattern)) {
        return pl_fail(err, PL_INVALID, "error parsing regexp: invalid UTF-8: `%.*s`",
                       PL_STR_ARG(pl_str_sub(pattern, 0, PL_MIN(pattern.n, FRAGMENT_MAX))));
    }
    pl_buf_init(&text, 0);
    st = regex__translate(&text, NULL, pattern, err);
    if (st != PL_OK) {
        pl_buf_fini(&text);
        return st;
    }
    re = pl_new(struct regex);
    re->pattern = text.p; /* taken over */
    re->pattern_len = text.n;
    st = compile_shape(re, pattern, err);
    if (st != PL_OK) {
        regex_destroy(re);
        return st;
    }
    *out = re;
    return PL_OK;
}

void regex_destroy(struct regex *re)
{
    if (re == NULL) {
        return;
    }
    regex__set_fini(&re->set);
    regex__glob_fini(&re->glob);
    shim_re2_destroy(atomic_load_explicit(&re->re2, memory_order_acquire));
    pl_buf_fini(&re->prefix);
    pl_free(re->pattern);
    pl_free(re);
}

/* COMPAT: Go reads each broken byte of a subject as U+FFFD, which `.` and [^a] match; RE2 matches only well-formed
 * UTF-8. So broken subjects (stored label values never are) are matched as a copy with U+FFFD in place of each such
 * byte. `from`, when not NULL, gets for each byte of the copy, and for its end, its place in the subject. */
static size_t char_len(pl_str s, size_t at)
{
    for (size_t n = 1; n <= 4 && at + n <= s.n; n++) {
        if (pl_str_is_utf8(pl_str_sub(s, at, at + n))) {
            return n;
        }
    }
    return 0;
}

static void repair(struct pl_buf *out, size_t *from, pl_str s)
{
    size_t at = 0;

    while (at < s.n) {
        size_t n = char_len(s, at);
        size_t begin = out->n;
        if (n > 0) {
            pl_buf_add(out, s.p + at, n);
        } else {
            PL_BUF_LIT(out, "\xef\xbf\xbd");
        }
        for (size_t i = begin; from != NULL && i < out->n; i++) {
            from[i] = at + (n > 0 ? i - begin : 0);
        }
        at += PL_MAX(n, 1);
    }
    if (from != NULL) {
        from[out->n] = s.n;
    }
}

static bool match_broken(const struct shim_re2 *re2, pl_str s)
{
    struct pl_buf copy;
    bool ok;

    pl_buf_init(&copy, 0);
    repair(&copy, NULL, s);
    ok = shim_re2_match(re2, pl_buf_view(&copy));
    pl_buf_fini(&copy);
    return ok;
}

bool regex_match(const struct regex *re, pl_str s)
{
    const struct shim_re2 *re2;

    switch (re->shape) {
    case SHAPE_SET:
        return regex__set_has(&re->set, s);
    case SHAPE_GLOB:
        return regex__glob_match(&re->glob, s);
    case SHAPE_RE2:
        break;
    }
    if (re->prefix.n > 0 && !pl_str_starts(s, pl_buf_view(&re->prefix))) {
        return false;
    }
    re2 = atomic_load_explicit(&re->re2, memory_order_acquire);
    if (PL_UNLIKELY(!pl_str_is_utf8(s))) {
        return match_broken(re2, s);
    }
    return shim_re2_match(re2, s);
}

size_t regex_literals(const struct regex *re, const pl_str **out)
{
    if (re->shape != SHAPE_SET || re->set.count > REGEX_LITERALS_MAX) {
        return 0;
    }
    *out = re->set.items;
    return re->set.count;
}

pl_str regex_prefix(const struct regex *re)
{
    return pl_buf_view(&re->prefix);
}

static bool is_gap_only(const struct regex *re, uint8_t gap)
{
    const struct regex_glob *g = &re->glob;

    return re->shape == SHAPE_GLOB && g->count == 2 && g->part[0].n == 0 && g->part[1].n == 0 && g->gap[0] == gap;
}

bool regex_is_any(const struct regex *re)
{
    return is_gap_only(re, 0);
}

bool regex_is_any_nonempty(const struct regex *re)
{
    return is_gap_only(re, 1);
}

/* ---- expansion ---- */

/* RE2's object, made now for shaped patterns; NULL where it cannot be (memory). */
static const struct shim_re2 *re2_of(const struct regex *cre)
{
    /* The object is logically const: making the program ahead of its first use changes no answer. */
    struct regex *re = (struct regex *)(uintptr_t)cre;
    struct shim_re2 *made = NULL;
    struct shim_re2 *seen = atomic_load_explicit(&re->re2, memory_order_acquire);

    if (seen != NULL || compile_re2(&made, re, pl_str_of(re->pattern, re->pattern_len), NULL) != PL_OK) {
        return seen;
    }
    /* Pairs with the acquire loads: another thread that won has published its own, equal one. */
    if (!atomic_compare_exchange_strong_explicit(&re->re2, &seen, made, memory_order_acq_rel, memory_order_acquire)) {
        shim_re2_destroy(made);
        return seen;
    }
    return made;
}

struct groups {
    pl_str text[GROUPS_MAX];
    size_t count;
};

/* Captures of a subject with broken bytes: matched on the repaired copy, mapped back. */
static bool capture_broken(const struct shim_re2 *re2, struct groups *g, pl_str s)
{
    struct pl_buf copy;
    size_t *from = pl_new_array(size_t, s.n * 3 + 1);
    bool ok;

    pl_buf_init(&copy, 0);
    repair(&copy, from, s);
    ok = shim_re2_captures(re2, pl_buf_view(&copy), g->text, g->count);
    for (size_t i = 0; ok && i < g->count; i++) {
        if (g->text[i].p != NULL) {
            size_t begin = (size_t)(g->text[i].p - copy.p);
            g->text[i] = pl_str_sub(s, from[begin], from[begin + g->text[i].n]);
        }
    }
    pl_buf_fini(&copy);
    pl_free(from);
    return ok;
}

static bool capture(const struct shim_re2 *re2, struct groups *g, pl_str s)
{
    g->count = PL_MIN(shim_re2_group_count(re2) + 1, (size_t)GROUPS_MAX);
    return pl_str_is_utf8(s) ? shim_re2_captures(re2, s, g->text, g->count) : capture_broken(re2, g, s);
}

static bool is_name_char(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_';
}

/* Reads the reference behind a '$' at *at (which points past it): name, {name}. False: not a reference, Go then prints
 * the dollar sign as it stands. */
static bool read_reference(pl_str *name, pl_str tmpl, size_t *at)
{
    size_t i = *at;
    bool brace = i < tmpl.n && tmpl.p[i] == '{';
    size_t begin = brace ? i + 1 : i;

    for (i = begin; i < tmpl.n && is_name_char(tmpl.p[i]); i++) {
    }
    if (i < tmpl.n && (unsigned char)tmpl.p[i] >= 0x80) { /* letters of other scripts belong to names too */
        i = begin + shim_re2_word_len(pl_str_sub(tmpl, begin, tmpl.n));
    }
    if (i == begin || (brace && (i >= tmpl.n || tmpl.p[i] != '}'))) {
        return false;
    }
    *name = pl_str_sub(tmpl, begin, i);
    *at = brace ? i + 1 : i;
    return true;
}

/* COMPAT: a name of digits only is a number ("$1x" is the name "1x"); numbers with a leading zero are names, as in Go.
 */
static size_t group_index(const struct shim_re2 *re2, pl_str name)
{
    size_t n = 0;

    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] < '0' || name.p[i] > '9' || n >= 100000000) {
            return shim_re2_group_find(re2, name) > 0 ? shim_re2_group_find(re2, name) : SIZE_MAX;
        }
        n = n * 10 + (size_t)(name.p[i] - '0');
    }
    if (name.p[0] == '0' && name.n > 1) {
        return SIZE_MAX;
    }
    return n;
}

bool regex_expand(const struct regex *re, pl_str s, pl_str tmpl, struct pl_buf *out)
{
    struct groups g;
    const struct shim_re2 *re2;
    size_t at = 0;

    if (re->shape != SHAPE_RE2 && !regex_match(re, s)) {
        return false; /* cheaper than the engine with groups */
    }
    re2 = re2_of(re);
    if (re2 == NULL || !capture(re2, &g, s)) {
        return false;
    }
    while (at < tmpl.n) {
        size_t dollar = pl_str_find(pl_str_sub(tmpl, at, tmpl.n), '$');
        pl_str name;
        size_t i;

        if (dollar == SIZE_MAX) {
            pl_buf_str(out, pl_str_sub(tmpl, at, tmpl.n));
            break;
        }
        pl_buf_str(out, pl_str_sub(tmpl, at, at + dollar));
        at += dollar + 1;
        if (at < tmpl.n && tmpl.p[at] == '$') {
            pl_buf_byte(out, '$');
            at++;
        } else if (!read_reference(&name, tmpl, &at)) {
            pl_buf_byte(out, '$');
        } else if ((i = group_index(re2, name)) < g.count && g.text[i].p != NULL) {
            pl_buf_str(out, g.text[i]);
        }
    }
    return true;
}
