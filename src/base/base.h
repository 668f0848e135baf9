/* base/base.h - the words every other file speaks: status, error, text, memory, integers.
 *
 * Promise: plain values and small helpers without hidden state. Small allocations abort when memory is exhausted
 * and never return NULL; sizes that come from outside use the `_try` forms after passing a limit.
 * Threads: everything here may be called from any thread.
 * Not here: arenas (base/arena.h), byte buffers (base/buf.h), logs (base/log.h), threads (base/sync.h).
 */
#ifndef PL_BASE_BASE_H
#define PL_BASE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PL_MUST_USE              __attribute__((warn_unused_result))
#define PL_PRINTF(a, b)          __attribute__((format(printf, a, b)))
#define PL_NORETURN              __attribute__((noreturn))
#define PL_UNUSED                __attribute__((unused))
#define PL_HOT                   __attribute__((hot))
#define PL_BLOCKING              /* may block: worker threads only */
#define PL_LIKELY(x)             __builtin_expect(!!(x), 1)
#define PL_UNLIKELY(x)           __builtin_expect(!!(x), 0)
#define PL_STATIC_ASSERT(c, why) _Static_assert(c, why)
#define PL_ARRAY_LEN(a)          (sizeof(a) / sizeof((a)[0]))
#define PL_MIN(a, b)             ((a) < (b) ? (a) : (b))
#define PL_MAX(a, b)             ((a) > (b) ? (a) : (b))

/* Programmer errors only, on in release too. Input, files, peers and time are never asserted on. */
#define PL_ASSERT(c) ((c) ? (void)0 : pl_assert_fail(#c, __FILE__, __LINE__))
#ifdef PL_DEBUG
#    define PL_DCHECK(c) PL_ASSERT(c)
#else
#    define PL_DCHECK(c) ((void)sizeof(c))
#endif
#define PL_UNREACHABLE(why) pl_assert_fail(why, __FILE__, __LINE__)
PL_NORETURN void pl_assert_fail(const char *what, const char *file, int line);

/* ---- status and error ---- */

/* How a call ended. The mapping to HTTP, Prometheus errorType and gRPC is server/status_map.c. */
typedef enum pl_status {
    PL_OK = 0,
    PL_INVALID,        /* 400 bad_data: the request itself is wrong */
    PL_UNAUTH,         /* 401: no tenant */
    PL_FORBIDDEN,      /* 403 */
    PL_NOT_FOUND,      /* 404 */
    PL_NOT_ALLOWED,    /* 405: known path, other method */
    PL_NOT_ACCEPTABLE, /* 406 */
    PL_REQ_TIMEOUT,    /* 408: the client was too slow sending its request */
    PL_CONFLICT,       /* 409 */
    PL_TOO_LARGE,      /* 413 bad_data */
    PL_BAD_MEDIA,      /* 415: content type or encoding not accepted */
    PL_EXEC,           /* 422 execution: a query failed while running */
    PL_LIMIT,          /* 422 execution: a query passed a limit */
    PL_RATE,           /* 429 */
    PL_CANCELED,       /* 499 canceled: the client went away */
    PL_INTERNAL,       /* 500 */
    PL_IO,             /* 500: disk or network said no */
    PL_CORRUPT,        /* 500: stored bytes are not what they should be */
    PL_NOMEM,          /* 500 */
    PL_UNIMPLEMENTED,  /* 501 */
    PL_UNAVAILABLE,    /* 503 */
    PL_TIMEOUT,        /* 503 timeout */
    PL_STATUS_COUNT
} pl_status;

enum { PL_ERR_MSG_MAX = 2048 };

/* What went wrong, in words. Callers own it (usually on the stack); functions fill it on failure only. */
struct pl_err {
    pl_status status;
    int line; /* where it was raised, for debug logs */
    const char *file;
    char msg[PL_ERR_MSG_MAX]; /* NUL-terminated, cut (with "...") when too long */
};

/* Fills *err (NULL allowed) and returns st, so that the failing place is one line. */
#define pl_fail(err, st, ...) pl_fail_at((err), (st), __FILE__, __LINE__, __VA_ARGS__)
pl_status pl_fail_at(struct pl_err *err, pl_status st, const char *file, int line, const char *fmt, ...)
    PL_PRINTF(5, 6);
/* Puts "context: " before the message. */
void pl_wrap(struct pl_err *err, const char *fmt, ...) PL_PRINTF(2, 3);
const char *pl_status_name(pl_status st);

#define PL_TRY(expr)                            \
    do {                                        \
        pl_status pl_try_st_ = (expr);          \
        if (PL_UNLIKELY(pl_try_st_ != PL_OK)) { \
            return pl_try_st_;                  \
        }                                       \
    } while (0)

/* ---- text: a view that is neither owned nor NUL-terminated ---- */

typedef struct pl_str {
    const char *p;
    size_t n;
} pl_str;

#define PL_STR(lit) ((pl_str){"" lit, sizeof(lit) - 1})
#define PL_STR_INIT(lit)        \
    {                           \
        "" lit, sizeof(lit) - 1 \
    }
#define PL_STR_ARG(s) (int)(s).n, (s).p
#define PL_STR_NULL   ((pl_str){NULL, 0})

static inline pl_str pl_str_of(const char *p, size_t n)
{
    return (pl_str){p, n};
}
static inline pl_str pl_str_c(const char *cstr)
{
    return (pl_str){cstr, cstr != NULL ? strlen(cstr) : 0};
}
static inline bool pl_str_eq(pl_str a, pl_str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
/* Bytewise order, shorter first: the order of labels in Prometheus. */
static inline int pl_str_cmp(pl_str a, pl_str b)
{
    size_t n = PL_MIN(a.n, b.n);
    int c = n > 0 ? memcmp(a.p, b.p, n) : 0;

    return c != 0 ? c : (a.n > b.n) - (a.n < b.n);
}
bool pl_str_eq_nocase(pl_str a, pl_str b); /* ASCII only */
static inline bool pl_str_starts(pl_str s, pl_str prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}
static inline bool pl_str_ends(pl_str s, pl_str suffix)
{
    return s.n >= suffix.n && (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}
/* The bytes [from, to), which must lie within s. */
static inline pl_str pl_str_sub(pl_str s, size_t from, size_t to)
{
    return (pl_str){from > 0 ? s.p + from : s.p, to - from}; /* an empty text may have no address to add to */
}
/* Index of the byte, or SIZE_MAX. */
size_t pl_str_find(pl_str s, char c);
size_t pl_str_find_str(pl_str s, pl_str needle);
pl_str pl_str_trim(pl_str s); /* blanks, tabs, CR and LF at both ends */
bool pl_str_is_utf8(pl_str s);
/* Decimal, the whole text, no blanks; false when it does not fit. */
bool pl_str_to_u64(pl_str s, uint64_t *out);
bool pl_str_to_i64(pl_str s, int64_t *out);

/* ---- memory ---- */

void *pl_alloc(size_t n); /* aborts on exhaustion; n == 0 gives a valid pointer */
void *pl_alloc_zero(size_t n);
void *pl_realloc(void *p, size_t n);
void *pl_alloc_try(size_t n); /* NULL on exhaustion */
void pl_free(void *p);
char *pl_str_dup(pl_str s); /* NUL-terminated copy, pl_free */
#define pl_new(T)              ((T *)pl_alloc_zero(sizeof(T)))
#define pl_new_array(T, count) ((T *)pl_alloc_array_zero((count), sizeof(T)))
void *pl_alloc_array_zero(size_t count, size_t size);
/* Bytes in use by this process' allocator (jemalloc's "allocated"), 0 when unknown. */
uint64_t pl_alloc_in_use(void);
/* Has the allocator return its unused pages to the system. Slow: some milliseconds. */
void pl_alloc_give_back(void);

/* Grows a plain array to hold at least `need` elements: `a` pointer, `cap` its capacity variable. */
#define pl_array_reserve(a, cap, need)                                \
    do {                                                              \
        if ((size_t)(need) > (size_t)(cap)) {                         \
            size_t pl_cap_ = (size_t)(cap) < 8 ? 8 : (size_t)(cap)*2; \
            while (pl_cap_ < (size_t)(need)) {                        \
                pl_cap_ *= 2;                                         \
            }                                                         \
            (a) = pl_realloc((a), pl_cap_ * sizeof(*(a)));            \
            (cap) = pl_cap_;                                          \
        }                                                             \
    } while (0)

/* ---- integers and floats ---- */

#define pl_add_ok(r, a, b) (!__builtin_add_overflow((a), (b), (r)))
#define pl_sub_ok(r, a, b) (!__builtin_sub_overflow((a), (b), (r)))
#define pl_mul_ok(r, a, b) (!__builtin_mul_overflow((a), (b), (r)))

/* Double to integer as Go does it on amd64: NaN and out of range give INT64_MIN. */
static inline int64_t pl_f64_to_i64(double v)
{
    return (v >= -9223372036854775808.0 && v < 9223372036854775808.0) ? (int64_t)v : INT64_MIN;
}
static inline uint64_t pl_f64_bits(double v)
{
    uint64_t u;
    memcpy(&u, &v, sizeof(u));
    return u;
}
static inline double pl_f64_from_bits(uint64_t u)
{
    double v;
    memcpy(&v, &u, sizeof(v));
    return v;
}
/* Prometheus's two NaNs (spec prometheus.md 0.2). Staleness is compared by bits, never by isnan. */
#define PL_STALE_NAN_BITS  UINT64_C(0x7ff0000000000002)
#define PL_NORMAL_NAN_BITS UINT64_C(0x7ff8000000000001)
static inline bool pl_is_stale(double v)
{
    return pl_f64_bits(v) == PL_STALE_NAN_BITS;
}

static inline uint16_t pl_get_be16(const void *p)
{
    uint16_t v;
    memcpy(&v, p, 2);
    return __builtin_bswap16(v);
}
static inline uint32_t pl_get_be32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return __builtin_bswap32(v);
}
static inline uint64_t pl_get_be64(const void *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return __builtin_bswap64(v);
}
static inline uint64_t pl_get_le64(const void *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}
static inline void pl_put_be16(void *p, uint16_t v)
{
    v = __builtin_bswap16(v);
    memcpy(p, &v, 2);
}
static inline void pl_put_be32(void *p, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(p, &v, 4);
}
static inline void pl_put_be64(void *p, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(p, &v, 8);
}

#endif
