// base.h is C; its compound literals are an extension in C++ that gcc and clang both have.
#pragma GCC diagnostic ignored "-Wpedantic"
#include "shim/re2.h"

#include <algorithm>
#include <map>
#include <new>
#include <re2/re2.h>
#include <string>
#include <vector>

struct shim_re2 {
    re2::RE2 re;
    shim_re2(const re2::StringPiece &pattern, const re2::RE2::Options &o) : re(pattern, o)
    {
    }
};

static re2::StringPiece piece(pl_str s)
{
    return re2::StringPiece(s.n > 0 ? s.p : "", s.n);
}

static enum shim_re2_error error_of(re2::RE2::ErrorCode code)
{
    switch (code) {
    case re2::RE2::NoError:
        return SHIM_RE2_OK;
    case re2::RE2::ErrorInternal:
        return SHIM_RE2_INTERNAL;
    case re2::RE2::ErrorBadEscape:
        return SHIM_RE2_BAD_ESCAPE;
    case re2::RE2::ErrorBadCharClass:
        return SHIM_RE2_BAD_CLASS;
    case re2::RE2::ErrorBadCharRange:
        return SHIM_RE2_BAD_RANGE;
    case re2::RE2::ErrorMissingBracket:
        return SHIM_RE2_MISSING_BRACKET;
    case re2::RE2::ErrorMissingParen:
        return SHIM_RE2_MISSING_PAREN;
    case re2::RE2::ErrorUnexpectedParen:
        return SHIM_RE2_UNEXPECTED_PAREN;
    case re2::RE2::ErrorTrailingBackslash:
        return SHIM_RE2_TRAILING_BACKSLASH;
    case re2::RE2::ErrorRepeatArgument:
        return SHIM_RE2_REPEAT_ARGUMENT;
    case re2::RE2::ErrorRepeatSize:
        return SHIM_RE2_REPEAT_SIZE;
    case re2::RE2::ErrorRepeatOp:
        return SHIM_RE2_REPEAT_OP;
    case re2::RE2::ErrorBadPerlOp:
        return SHIM_RE2_BAD_PERL;
    case re2::RE2::ErrorBadUTF8:
        return SHIM_RE2_BAD_UTF8;
    case re2::RE2::ErrorBadNamedCapture:
        return SHIM_RE2_BAD_NAME;
    case re2::RE2::ErrorPatternTooLarge:
        return SHIM_RE2_TOO_LARGE;
    }
    return SHIM_RE2_INTERNAL;
}

extern "C" enum shim_re2_error shim_re2_compile(struct shim_re2 **out, pl_str pattern, char *fragment, size_t cap,
                                                size_t *fragment_len)
{
    *fragment_len = 0;
    try {
        re2::RE2::Options o;
        o.set_encoding(re2::RE2::Options::EncodingUTF8);
        o.set_dot_nl(true);
        o.set_log_errors(false);
        o.set_max_mem(SHIM_RE2_MEMORY);

        struct shim_re2 *re = new shim_re2(piece(pattern), o);
        if (re->re.ok()) {
            *out = re;
            return SHIM_RE2_OK;
        }
        const enum shim_re2_error code = error_of(re->re.error_code());
        const std::string &arg = re->re.error_arg();
        const size_t n = std::min(arg.size(), cap);
        memcpy(fragment, arg.data(), n);
        *fragment_len = n;
        delete re;
        return code;
    } catch (const std::bad_alloc &) {
        return SHIM_RE2_TOO_LARGE;
    } catch (...) {
        return SHIM_RE2_INTERNAL;
    }
}

extern "C" void shim_re2_destroy(struct shim_re2 *re)
{
    delete re;
}

extern "C" bool shim_re2_match(const struct shim_re2 *re, pl_str s)
{
    try {
        return re->re.Match(piece(s), 0, s.n, re2::RE2::ANCHOR_BOTH, nullptr, 0);
    } catch (...) {
        return false;
    }
}

extern "C" size_t shim_re2_group_count(const struct shim_re2 *re)
{
    return static_cast<size_t>(std::max(re->re.NumberOfCapturingGroups(), 0));
}

extern "C" size_t shim_re2_group_find(const struct shim_re2 *re, pl_str name)
{
    try {
        const std::map<std::string, int> &names = re->re.NamedCapturingGroups();
        const auto it = names.find(std::string(name.p, name.n));
        return it == names.end() ? 0 : static_cast<size_t>(it->second);
    } catch (...) {
        return 0;
    }
}

extern "C" size_t shim_re2_word_len(pl_str s)
{
    try {
        static const re2::RE2 word("[\\pL\\p{Nd}_]*", re2::RE2::Quiet);
        re2::StringPiece found;
        return word.Match(piece(s), 0, s.n, re2::RE2::ANCHOR_START, &found, 1) ? found.size() : 0;
    } catch (...) {
        return 0;
    }
}

extern "C" bool shim_re2_captures(const struct shim_re2 *re, pl_str s, pl_str *groups, size_t count)
{
    try {
        std::vector<re2::StringPiece> found(count);
        if (!re->re.Match(piece(s), 0, s.n, re2::RE2::ANCHOR_BOTH, found.data(), static_cast<int>(count))) {
            return false;
        }
        for (size_t i = 0; i < count; i++) {
            groups[i] = found[i].data() == nullptr ? PL_STR_NULL : pl_str_of(found[i].data(), found[i].size());
        }
        return true;
    } catch (...) {
        return false;
    }
}
