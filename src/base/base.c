#include "base/base.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef PL_JEMALLOC
#    include <jemalloc/jemalloc.h>
#else
#    include <malloc.h>
#endif

void pl_assert_fail(const char *what, const char *file, int line)
{
    (void)fprintf(stderr, "assertion failed: %s at %s:%d\n", what, file, line);
    abort();
}

static const char *const status_names[PL_STATUS_COUNT] = {
    [PL_OK] = "ok",
    [PL_INVALID] = "invalid",
    [PL_UNAUTH] = "unauthenticated",
    [PL_FORBIDDEN] = "forbidden",
    [PL_NOT_FOUND] = "not found",
    [PL_NOT_ALLOWED] = "method not allowed",
    [PL_NOT_ACCEPTABLE] = "not acceptable",
    [PL_REQ_TIMEOUT] = "request timeout",
    [PL_CONFLICT] = "conflict",
    [PL_TOO_LARGE] = "too large",
    [PL_BAD_MEDIA] = "unsupported media type",
    [PL_EXEC] = "execution",
    [PL_LIMIT] = "limit",
    [PL_RATE] = "rate limited",
    [PL_CANCELED] = "canceled",
    [PL_INTERNAL] = "internal",
    [PL_IO] = "input/output",
    [PL_CORRUPT] = "corrupt",
    [PL_NOMEM] = "out of memory",
    [PL_UNIMPLEMENTED] = "not implemented",
    [PL_UNAVAILABLE] = "unavailable",
    [PL_TIMEOUT] = "timeout",
};

const char *pl_status_name(pl_status st)
{
    return (unsigned)st < PL_STATUS_COUNT ? status_names[st] : "unknown";
}

/* Marks a message that did not fit, so that nobody takes a cut text for the whole. */
static void err_mark_cut(struct pl_err *err, int wanted)
{
    if (wanted >= PL_ERR_MSG_MAX) {
        memcpy(err->msg + PL_ERR_MSG_MAX - 4, "...", 4);
    }
}

pl_status pl_fail_at(struct pl_err *err, pl_status st, const char *file, int line, const char *fmt, ...)
{
    PL_ASSERT(st != PL_OK);
    if (err != NULL) {
        va_list ap;
        err->status = st;
        err->file = file;
        err->line = line;
        va_start(ap, fmt);
        err_mark_cut(err, vsnprintf(err->msg, sizeof(err->msg), fmt, ap));
        va_end(ap);
    }
    return st;
}

void pl_wrap(struct pl_err *err, const char *fmt, ...)
{
    char old[PL_ERR_MSG_MAX];
    va_list ap;
    int n;

    if (err == NULL) {
        return;
    }
    memcpy(old, err->msg, sizeof(old));
    va_start(ap, fmt);
    n = vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
    va_end(ap);
    if (n >= 0 && n < PL_ERR_MSG_MAX) {
        n += snprintf(err->msg + n, sizeof(err->msg) - (size_t)n, ": %s", old);
    }
    err_mark_cut(err, n);
}

bool pl_str_eq_nocase(pl_str a, pl_str b)
{
    if (a.n != b.n) {
        return false;
    }
    for (size_t i = 0; i < a.n; i++) {
        unsigned char x = (unsigned char)a.p[i];
        unsigned char y = (unsigned char)b.p[i];
        x = (unsigned char)(x >= 'A' && x <= 'Z' ? x + 32 : x);
        y = (unsigned char)(y >= 'A' && y <= 'Z' ? y + 32 : y);
        if (x != y) {
            return false;
        }
    }
    return true;
}

size_t pl_str_find(pl_str s, char c)
{
    const char *at = s.n > 0 ? memchr(s.p, c, s.n) : NULL;

    return at != NULL ? (size_t)(at - s.p) : SIZE_MAX;
}

size_t pl_str_find_str(pl_str s, pl_str needle)
{
    if (needle.n == 0) {
        return 0;
    }
    for (size_t i = 0; i + needle.n <= s.n; i++) {
        if (memcmp(s.p + i, needle.p, needle.n) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

pl_str pl_str_trim(pl_str s)
{
    while (s.n > 0 && is_blank(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && is_blank(s.p[s.n - 1])) {
        s.n--;
    }
    return s;
}

bool pl_str_is_utf8(pl_str s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t i = 0;

    while (i < s.n) {
        unsigned char c = p[i];
        size_t len;
        uint32_t min;
        uint32_t cp;

        if (i + 8 <= s.n) { /* plain ASCII, eight bytes at a time */
            uint64_t w;
            memcpy(&w, p + i, 8);
            if ((w & UINT64_C(0x8080808080808080)) == 0) {
                i += 8;
                continue;
            }
        }
        if (c < 0x80) {
            i++;
            continue;
        }
        if ((c & 0xe0) == 0xc0) {
            len = 2, min = 0x80, cp = c & 0x1f;
        } else if ((c & 0xf0) == 0xe0) {
            len = 3, min = 0x800, cp = c & 0x0f;
        } else if ((c & 0xf8) == 0xf0) {
            len = 4, min = 0x10000, cp = c & 0x07;
        } else {
            return false;
        }
        if (s.n - i < len) {
            return false;
        }
        for (size_t k = 1; k < len; k++) {
            if ((p[i + k] & 0xc0) != 0x80) {
                return false;
            }
            cp = cp << 6 | (p[i + k] & 0x3f);
        }
        if (cp < min || cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff)) {
            return false;
        }
        i += len;
    }
    return true;
}

bool pl_str_to_u64(pl_str s, uint64_t *out)
{
    uint64_t v = 0;

    if (s.n == 0) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9' || !pl_mul_ok(&v, v, (uint64_t)10) ||
            !pl_add_ok(&v, v, (uint64_t)(s.p[i] - '0'))) {
            return false;
        }
    }
    *out = v;
    return true;
}

bool pl_str_to_i64(pl_str s, int64_t *out)
{
    bool neg = s.n > 0 && s.p[0] == '-';
    uint64_t v;

    if (s.n > 0 && (s.p[0] == '-' || s.p[0] == '+')) {
        s = pl_str_sub(s, 1, s.n);
    }
    if (!pl_str_to_u64(s, &v) || v > (uint64_t)INT64_MAX + (neg ? 1 : 0)) {
        return false;
    }
    *out = neg ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

static void *or_die(void *p)
{
    if (PL_UNLIKELY(p == NULL)) {
        (void)fprintf(stderr, "out of memory\n");
        abort();
    }
    return p;
}

void *pl_alloc(size_t n)
{
    return or_die(malloc(n > 0 ? n : 1));
}

void *pl_alloc_zero(size_t n)
{
    return or_die(calloc(1, n > 0 ? n : 1));
}

void *pl_alloc_array_zero(size_t count, size_t size)
{
    return or_die(calloc(count > 0 ? count : 1, size));
}

void *pl_realloc(void *p, size_t n)
{
    return or_die(realloc(p, n > 0 ? n : 1));
}

void *pl_alloc_try(size_t n)
{
    return malloc(n > 0 ? n : 1);
}

void pl_free(void *p)
{
    free(p);
}

char *pl_str_dup(pl_str s)
{
    char *p = pl_alloc(s.n + 1);

    if (s.n > 0) {
        memcpy(p, s.p, s.n);
    }
    p[s.n] = '\0';
    return p;
}

uint64_t pl_alloc_in_use(void)
{
#ifdef PL_JEMALLOC
    uint64_t epoch = 1;
    size_t len = sizeof(epoch);
    size_t allocated = 0;

    (void)mallctl("epoch", &epoch, &len, &epoch, len);
    len = sizeof(allocated);
    return mallctl("stats.allocated", &allocated, &len, NULL, 0) == 0 ? allocated : 0;
#else
    return mallinfo2().uordblks;
#endif
}

void pl_alloc_give_back(void)
{
#ifdef PL_JEMALLOC
    /* 4096 is MALLCTL_ARENAS_ALL, a number in the name. */
    (void)mallctl("arena.4096.purge", NULL, NULL, NULL, 0);
#else
    (void)malloc_trim(0);
#endif
}
