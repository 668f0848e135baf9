#include "base/log.h"

#include "base/buf.h"
#include "base/clock.h"

#include <stdatomic.h>
#include <unistd.h>

static _Atomic int log_level = PL_LOG_INFO;
static _Atomic bool log_json;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void pl_log_setup(enum pl_log_level level, bool json)
{
    atomic_store_explicit(&log_level, (int)level, memory_order_relaxed);
    atomic_store_explicit(&log_json, json, memory_order_relaxed);
}

bool pl_log_enabled(enum pl_log_level level)
{
    return (int)level >= atomic_load_explicit(&log_level, memory_order_relaxed);
}

/* A quoted string that is valid both as JSON and as logfmt. */
static void put_quoted(struct pl_buf *b, pl_str s)
{
    pl_buf_byte(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '"' || c == '\\') {
            pl_buf_byte(b, '\\');
            pl_buf_byte(b, c);
        } else if (c == '\n') {
            PL_BUF_LIT(b, "\\n");
        } else if (c < 0x20 || c == 0x7f) {
            pl_buf_printf(b, "\\u%04x", c);
        } else {
            pl_buf_byte(b, c);
        }
    }
    pl_buf_byte(b, '"');
}

static void put_text(struct pl_buf *b, pl_str s, bool json)
{
    bool plain = !json && s.n > 0;

    for (size_t i = 0; plain && i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        plain = c > ' ' && c != '=' && c != '"' && c != 0x7f && c != '\\';
    }
    if (plain) {
        pl_buf_str(b, s);
    } else {
        put_quoted(b, s);
    }
}

static void put_duration(struct pl_buf *b, int64_t ns, bool json)
{
    if (json) {
        PL_BUF_LIT(b, "\"");
    }
    if (ns >= PL_NS_PER_S) {
        pl_buf_printf(b, "%.3fs", (double)ns / 1e9);
    } else {
        pl_buf_printf(b, "%.3fms", (double)ns / 1e6);
    }
    if (json) {
        PL_BUF_LIT(b, "\"");
    }
}

static void put_kv(struct pl_buf *b, const struct pl_log_kv *kv, bool json)
{
    if (json) {
        PL_BUF_LIT(b, ",\"");
        pl_buf_cstr(b, kv->key);
        PL_BUF_LIT(b, "\":");
    } else {
        PL_BUF_LIT(b, " ");
        pl_buf_cstr(b, kv->key);
        PL_BUF_LIT(b, "=");
    }
    switch (kv->type) {
    case PL_KV_T_STR:
        put_text(b, kv->s, json);
        break;
    case PL_KV_T_INT:
        pl_buf_i64(b, kv->i);
        break;
    case PL_KV_T_F64:
        pl_buf_printf(b, "%.6g", kv->f);
        break;
    case PL_KV_T_DUR:
        put_duration(b, kv->i, json);
        break;
    }
}

void pl_log_line(enum pl_log_level level, const char *file, int line, const char *msg, const struct pl_log_kv *kvs,
                 size_t count)
{
    bool json = atomic_load_explicit(&log_json, memory_order_relaxed);
    const char *base = strrchr(file, '/');
    struct pl_buf b;
    ssize_t rc PL_UNUSED;

    pl_buf_init(&b, 64 << 10);
    pl_buf_cstr(&b, json ? "{\"ts\":\"" : "ts=");
    pl_buf_rfc3339_ms(&b, pl_now_unix_ms());
    pl_buf_printf(&b, json ? "\",\"caller\":\"%s:%d\",\"level\":\"%s\",\"msg\":" : " caller=%s:%d level=%s msg=",
                  base != NULL ? base + 1 : file, line, level_names[level]);
    put_text(&b, pl_str_c(msg), json);
    for (size_t i = 0; i < count; i++) {
        put_kv(&b, &kvs[i], json);
    }
    pl_buf_cstr(&b, json ? "}\n" : "\n");
    rc = write(STDERR_FILENO, b.p, b.n);
    pl_buf_fini(&b);
}
