/* base/log.h - one event, one line, constant message, data in fields.
 *
 * Promise: a line is written whole (one write call), in logfmt or JSON, to standard error. Values are quoted where
 * needed. Threads: any. Errors while writing are ignored. Nothing per sample or per series above debug.
 */
#ifndef PL_BASE_LOG_H
#define PL_BASE_LOG_H

#include "base/base.h"

enum pl_log_level { PL_LOG_DEBUG, PL_LOG_INFO, PL_LOG_WARN, PL_LOG_ERROR };

struct pl_log_kv {
    const char *key;
    enum { PL_KV_T_STR, PL_KV_T_INT, PL_KV_T_F64, PL_KV_T_DUR } type;
    pl_str s;
    int64_t i;
    double f;
};
#define PL_KV(k, str)      ((struct pl_log_kv){.key = (k), .type = PL_KV_T_STR, .s = (str)})
#define PL_KV_C(k, cstr)   ((struct pl_log_kv){.key = (k), .type = PL_KV_T_STR, .s = pl_str_c(cstr)})
#define PL_KV_INT(k, v)    ((struct pl_log_kv){.key = (k), .type = PL_KV_T_INT, .i = (int64_t)(v)})
#define PL_KV_F64(k, v)    ((struct pl_log_kv){.key = (k), .type = PL_KV_T_F64, .f = (v)})
#define PL_KV_DUR_NS(k, v) ((struct pl_log_kv){.key = (k), .type = PL_KV_T_DUR, .i = (v)})
#define PL_KV_ERR(e)       PL_KV_C("err", (e)->msg)

/* Set once at start-up; the defaults are info and logfmt. */
void pl_log_setup(enum pl_log_level level, bool json);
bool pl_log_enabled(enum pl_log_level level);
void pl_log_line(enum pl_log_level level, const char *file, int line, const char *msg, const struct pl_log_kv *kvs,
                 size_t count);

#define PL_LOG_AT(level, msg, ...)                                                                   \
    do {                                                                                             \
        if (pl_log_enabled(level)) {                                                                 \
            const struct pl_log_kv pl_kvs_[] = {{.key = NULL}, ##__VA_ARGS__};                       \
            pl_log_line((level), __FILE__, __LINE__, (msg), pl_kvs_ + 1, PL_ARRAY_LEN(pl_kvs_) - 1); \
        }                                                                                            \
    } while (0)
#define pl_debug(msg, ...) PL_LOG_AT(PL_LOG_DEBUG, msg, ##__VA_ARGS__)
#define pl_info(msg, ...)  PL_LOG_AT(PL_LOG_INFO, msg, ##__VA_ARGS__)
#define pl_warn(msg, ...)  PL_LOG_AT(PL_LOG_WARN, msg, ##__VA_ARGS__)
#define pl_error(msg, ...) PL_LOG_AT(PL_LOG_ERROR, msg, ##__VA_ARGS__)

#endif
