/* "PATTERN\0SUBJECT": a pattern that compiles answers as RE2 alone does, and its prefix and literals tell the truth. */
#include "regex/regex.h"

#include "shim/re2.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_literals(const struct regex *re, pl_str s, bool matched)
{
    const pl_str *items = NULL;
    size_t n = regex_literals(re, &items);
    bool found = false;

    for (size_t i = 0; i < n; i++) {
        PL_ASSERT(regex_match(re, items[i]));
        PL_ASSERT(i == 0 || pl_str_cmp(items[i - 1], items[i]) < 0);
        found = found || pl_str_eq(items[i], s);
    }
    PL_ASSERT(n == 0 || found == matched);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size > 0 ? memchr(data, 0, size) : NULL;
    size_t pattern_len = end != NULL ? (size_t)(end - data) : size;
    pl_str pattern = pl_str_of((const char *)data, pattern_len);
    pl_str s = end != NULL ? pl_str_of((const char *)end + 1, size - pattern_len - 1) : PL_STR("");
    struct regex *re = NULL;
    struct shim_re2 *plain = NULL;
    struct pl_buf expanded;
    char fragment[64];
    size_t fragment_len;
    struct pl_err err;
    bool matched;

    if (pattern_len > 4096 || regex_compile(&re, pattern, &err) != PL_OK) {
        PL_ASSERT(pattern_len > 4096 || strncmp(err.msg, "error parsing regexp: ", 22) == 0);
        return 0;
    }
    matched = regex_match(re, s);
    PL_ASSERT(!matched || pl_str_starts(s, regex_prefix(re)));
    PL_ASSERT(!regex_is_any(re) || matched);
    PL_ASSERT(!regex_is_any_nonempty(re) || matched == (s.n > 0));
    check_literals(re, s, matched);
    if (pl_str_is_utf8(s) &&
        shim_re2_compile(&plain, pattern, fragment, sizeof(fragment), &fragment_len) == SHIM_RE2_OK) {
        PL_ASSERT(matched == shim_re2_match(plain, s));
    }
    pl_buf_init(&expanded, 0);
    PL_ASSERT(regex_expand(re, s, PL_STR("$0-$1-${name}"), &expanded) == matched);
    PL_ASSERT(!matched || pl_str_starts(pl_buf_view(&expanded), s));
    pl_buf_fini(&expanded);
    shim_re2_destroy(plain);
    regex_destroy(re);
    return 0;
}
