/* Texts of query parameters: a time that is taken is inside the range the handlers count on, a limit that is taken is
 * not negative, an error names the text, and an unescaped label name escapes to itself when it holds nothing to escape.
 */
#include "querier/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pl_str text = {(const char *)data, size};
    struct pl_arena a;
    struct pl_err err;
    int64_t ms;
    uint64_t n;
    pl_str name;

    pl_arena_init(&a, 0);
    if (querier_parse_time(&ms, text, &err) == PL_OK) {
        PL_ASSERT(ms >= INT64_C(-9223372036854775807) && ms <= INT64_MAX);
    } else {
        PL_ASSERT(err.status == PL_INVALID && strstr(err.msg, "cannot parse \"") == err.msg);
    }
    if (querier_parse_duration(&ms, text, &err) != PL_OK) {
        PL_ASSERT(err.status == PL_INVALID && strstr(err.msg, "cannot parse \"") == err.msg);
    }
    if (querier_parse_limit(&n, text, &err) == PL_OK) {
        PL_ASSERT(n <= INT64_MAX);
    }
    PL_ASSERT(querier_unescape_label(&name, &a, text, &err) == PL_OK);
    PL_ASSERT(name.n <= size);
    if (!pl_str_starts(text, PL_STR("U__"))) {
        PL_ASSERT(pl_str_eq(name, text));
    } else if (pl_str_is_utf8(text)) {
        PL_ASSERT(pl_str_is_utf8(name));
    }
    pl_arena_fini(&a);
    return 0;
}
