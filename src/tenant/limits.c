/* Overrides: the snapshot in use, and its renewal when the file changes. */
#include "base/log.h"
#include "base/sync.h"
#include "metric/metric.h"
#include "tenant/internal.h"

METRIC_DEF_GAUGE(m_success, "cortex_runtime_config_last_reload_successful",
                 "Whether the last reading of the runtime config succeeded.");
METRIC_DEF_GAUGE(m_hash, "cortex_runtime_config_hash", "The SHA-256 of the runtime config in use, as a label.",
                 "sha256");

/* Locked by `lock`: current. The rest is constant after create, `failed` is of the reloading thread. */
struct overrides {
    const struct limits *defaults; /* borrowed */
    char *path;                    /* NULL: no file */
    struct pl_mutex lock;
    struct runtime *current;
    bool failed; /* the last reload did, so that one error is one line */
};

static struct runtime *current_ref(struct overrides *o)
{
    pl_mutex_lock(&o->lock);
    struct runtime *r = o->current;
    /* relaxed: the lock orders it; see runtime__unref */
    (void)atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    pl_mutex_unlock(&o->lock);
    return r;
}

static void publish(struct overrides *o, struct runtime *r)
{
    pl_mutex_lock(&o->lock);
    struct runtime *old = o->current;
    o->current = r;
    pl_mutex_unlock(&o->lock);
    runtime__unref(old);
}

static void show_hash(const char *old, const char *now)
{
    if (old[0] != '\0') {
        metric_remove_label("sha256", pl_str_c(old));
    }
    metric_set(METRIC_CELL(m_hash, pl_str_c(now)), 1);
}

/* Reads and publishes; does nothing when the text is the one in use. */
static pl_status load(struct overrides *o, struct pl_err *err)
{
    struct pl_buf text;
    char sha256[CONFIG_SHA256_MAX], old[CONFIG_SHA256_MAX] = "";
    struct runtime *r = NULL;
    pl_status st = config_read_file(o->path, &text, err);

    if (st != PL_OK) {
        pl_wrap(err, "read file");
        goto done;
    }
    config_sha256_hex(sha256, pl_buf_view(&text));
    if (o->current != NULL) { /* only this thread writes it */
        memcpy(old, o->current->sha256, sizeof(old));
    }
    if (strcmp(old, sha256) != 0) {
        r = runtime__create(o->defaults);
        st = runtime__decode(r, pl_buf_view(&text), err);
        if (st != PL_OK) {
            pl_wrap(err, "load file");
            goto done;
        }
        memcpy(r->sha256, sha256, sizeof(sha256));
        publish(o, r);
        r = NULL;
        show_hash(old, sha256);
    }
done:
    runtime__unref(r);
    pl_buf_fini(&text);
    metric_set(METRIC_CELL0(m_success), st == PL_OK ? 1 : 0);
    return st;
}

pl_status overrides_create(struct overrides **out, const struct limits *defaults, pl_str path, struct pl_err *err)
{
    struct overrides *o = pl_new(struct overrides);
    pl_status st = PL_OK;

    o->defaults = defaults;
    pl_mutex_init(&o->lock, PL_RANK_CACHE);
    if (path.n == 0) {
        publish(o, runtime__create(defaults));
    } else {
        o->path = pl_str_dup(path);
        st = load(o, err);
    }
    if (st != PL_OK) {
        pl_wrap(err, "failed to load runtime config");
        overrides_destroy(o);
        return st;
    }
    *out = o;
    return PL_OK;
}

void overrides_destroy(struct overrides *o)
{
    if (o == NULL) {
        return;
    }
    if (o->current != NULL && o->current->sha256[0] != '\0') {
        metric_remove_label("sha256", pl_str_c(o->current->sha256));
    }
    runtime__unref(o->current);
    pl_mutex_fini(&o->lock);
    pl_free(o->path);
    pl_free(o);
}

void overrides_reload(struct overrides *o)
{
    struct pl_err err;

    if (o->path == NULL) {
        return;
    }
    bool failed = load(o, &err) != PL_OK;
    if (failed) {
        pl_error("failed to load config", PL_KV_C("file", o->path), PL_KV_ERR(&err));
    } else if (o->failed) {
        pl_info("runtime config loads again", PL_KV_C("file", o->path));
    }
    o->failed = failed;
}

const struct limits *limits_get(struct overrides *o, pl_str tenant)
{
    struct runtime *r = current_ref(o);
    const struct tenant_limits *t = runtime__find(r, tenant);

    return t != NULL ? &t->limits : &r->defaults.limits;
}

void limits_put(struct overrides *o, const struct limits *l)
{
    (void)o;
    if (l != NULL) { /* limits is the first field of struct tenant_limits */
        PL_STATIC_ASSERT(offsetof(struct tenant_limits, limits) == 0, "limits_put goes from the field to the struct");
        runtime__unref(((const struct tenant_limits *)(const void *)l)->owner);
    }
}

void overrides_ingester_limits(struct overrides *o, struct config_ingester_instance_limits *io)
{
    struct runtime *r = current_ref(o);
    const struct config_ingester_instance_limits *l = &r->ingester;

#define TAKE(field)                                                          \
    do {                                                                     \
        size_t at = offsetof(struct config_ingester_instance_limits, field); \
        if ((r->ingester_set[at / 8] >> (at % 8) & 1) != 0) {                \
            io->field = l->field;                                            \
        }                                                                    \
    } while (0)
    TAKE(max_ingestion_rate);
    TAKE(max_tenants);
    TAKE(max_series);
    TAKE(max_inflight_push_requests);
    TAKE(max_inflight_query_requests);
#undef TAKE
    runtime__unref(r);
}

void overrides_print(struct overrides *o, struct pl_buf *out, pl_str mode)
{
    struct runtime *r = current_ref(o);

    if (!r->loaded) {
        PL_BUF_LIT(out, "runtime config file doesn't exist");
    } else {
        runtime__print(r, out, pl_str_eq(mode, PL_STR("diff")));
    }
    runtime__unref(r);
}
