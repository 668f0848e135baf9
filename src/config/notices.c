/* What a config says about itself: options that nothing acts on, options that moved, and a file checked for people. */
#include "base/log.h"
#include "config/internal.h"
#include "metric/metric.h"

#include <stdio.h>
#include <stdlib.h>

METRIC_DEF_COUNTER(m_deprecated, "deprecated_flags_inuse_total",
                   "How many deprecated flags were given on the command line.");

/* ---- acted_on.def ---- */

static const char *const acted_on[] = {
#define ACTED_ON(path) path,
#include "config/acted_on.def"
#undef ACTED_ON
};

/* The path of a place is enough: flags without YAML have one too. */
bool config__acted_on(const struct opt_place *p)
{
    for (size_t i = 0; i < PL_ARRAY_LEN(acted_on); i++) {
        size_t n = strlen(acted_on[i]);
        if (acted_on[i][n - 1] == '*' ? strncmp(acted_on[i], p->path, n - 1) == 0 : strcmp(acted_on[i], p->path) == 0) {
            return true;
        }
    }
    return false;
}

/* Each line of acted_on.def must name something; a test asks. */
struct names_arg {
    const char *pattern;
    bool found;
};

static bool names_one(void *arg, const struct opt_place *p)
{
    struct names_arg *a = arg;
    size_t n = strlen(a->pattern);

    a->found = a->found ||
               (a->pattern[n - 1] == '*' ? strncmp(a->pattern, p->path, n - 1) == 0 : strcmp(a->pattern, p->path) == 0);
    return !a->found;
}

const char *config_acted_on_unknown(void)
{
    for (size_t i = 0; i < PL_ARRAY_LEN(acted_on); i++) {
        struct names_arg a = {.pattern = acted_on[i]};
        opt_walk(opt_rows_config, names_one, &a);
        if (!a.found) {
            return acted_on[i];
        }
    }
    return NULL;
}

/* ---- the warning at start ---- */

struct ignored_arg {
    const struct config *cfg;
    bool of_many; /* which of the two kinds is listed */
    struct pl_buf list;
    size_t count;
};

/* What only matters once there are several processes, or a bucket, or a module that this version does not have at all:
 * one node answers the same without it. */
static bool is_of_many(const char *path)
{
    static const char *const prefixes[] = {
        "ring.",
        "memberlist.",
        "ingester_client.",
        "frontend_worker.",
        "query_scheduler.",
        "storegateway.",
        "store_gateway.",
        "distributor.ring.",
        "ingester.lifecycler.",
        "compactor.sharding",
        "compactor.ring",
        "distributor.shard",
        "distributor.remote_timeout",
        "server.grpc_",
        "distributor.replication",
        "blocks_storage.bucket_store.",
        "grpc_",
    };

    for (size_t i = 0; i < PL_ARRAY_LEN(prefixes); i++) {
        if (strncmp(path, prefixes[i], strlen(prefixes[i])) == 0) {
            return true;
        }
    }
    return false;
}

static bool list_ignored(void *arg, const struct opt_place *p)
{
    struct ignored_arg *a = arg;

    if (p->opt->kind == OPT_K_BLOCK || p->opt->deprecated || config__acted_on(p) ||
        !config__was_set(a->cfg, p->offset) || (a->cfg->state->preset[p->offset / 8] >> (p->offset % 8) & 1) != 0 ||
        is_of_many(p->path) != a->of_many) {
        return true;
    }
    pl_buf_printf(&a->list, "%s%s", a->count > 0 ? ", " : "", p->no_yaml ? p->flag : p->path);
    a->count++;
    return true;
}

/* Fills a->list with what was set, even to its default, and has no effect: whoever wrote it down counts on it. */
static void find_ignored(struct ignored_arg *a, const struct config *cfg, bool of_many)
{
    *a = (struct ignored_arg){.cfg = cfg, .of_many = of_many};
    pl_buf_init(&a->list, 64 << 10);
    opt_walk(opt_rows_config, list_ignored, a);
}

/* Blocks go nowhere yet; what is said about it at start and by `config check`. False: there is nothing to say. */
static bool backend_notice(struct pl_buf *out, const struct config *cfg)
{
    const pl_str backend = cfg->blocks_storage.backend;

    if (pl_str_eq(backend, PL_STR("filesystem"))) {
        return false;
    }
    pl_buf_printf(out, "blocks_storage.backend=%.*s: this version ships no blocks; all blocks stay under %.*s only%s",
                  PL_STR_ARG(backend), PL_STR_ARG(cfg->blocks_storage.tsdb.dir),
                  config_is_set(cfg, "blocks-storage.tsdb.retention-period")
                      ? ", and blocks_storage.tsdb.retention_period, which is for shipped blocks, deletes none of them"
                      : "");
    return true;
}

void config_warn_ignored(const struct config *cfg)
{
    struct ignored_arg a;
    struct metric_cell *cell = METRIC_CELL0(m_deprecated);
    const struct config_state *s = cfg->state;

    find_ignored(&a, cfg, false);
    if (a.count > 0) {
        pl_warn("options were set that nothing acts on yet", PL_KV_INT("count", a.count),
                PL_KV("options", pl_buf_view(&a.list)));
    }
    pl_buf_fini(&a.list);
    find_ignored(&a, cfg, true);
    if (a.count > 0) {
        pl_info("options were set that have no effect on a single node", PL_KV_INT("count", a.count),
                PL_KV("options", pl_buf_view(&a.list)));
    }
    pl_buf_reset(&a.list);
    if (backend_notice(&a.list, cfg)) {
        pl_warn("where blocks are kept", PL_KV("warning", pl_buf_view(&a.list)));
    }
    pl_buf_fini(&a.list);
    for (size_t i = 0; i < s->deprecated_count; i++) {
        pl_warn("flag disabled", PL_KV_C("flag", s->deprecated[i]));
        metric_inc(cell);
    }
    for (size_t i = 0; i < s->warnings.n; i++) {
        pl_warn("configuration file", PL_KV_INT("line", s->warnings.v[i].line),
                PL_KV_C("warning", s->warnings.v[i].text));
    }
}

/* ---- moved since Cortex 1.9 ---- */

void config__move_v19(struct config *cfg)
{
    const struct {
        const void *old, *now;
        int64_t *to;
        int64_t value;
    } moves[] = {
#define MOVE(o, n) {&cfg->o, &cfg->n, &cfg->n, cfg->o}
        MOVE(distributor.ha_tracker.ha_tracker_failover_timeout_ns, limits.ha_tracker_failover_timeout_ns),
        MOVE(querier.query_ingesters_within_ns, limits.query_ingesters_within_ns),
        MOVE(querier.query_store_after_ns, limits.query_store_after_ns),
        MOVE(querier.shuffle_sharding_ingesters_lookback_period_ns,
             limits.shuffle_sharding_ingesters_lookback_period_ns),
        MOVE(frontend.max_outstanding_per_tenant, limits.max_outstanding_requests_per_tenant),
#undef MOVE
    };

    for (size_t i = 0; i < PL_ARRAY_LEN(moves); i++) {
        size_t old = (size_t)((const char *)moves[i].old - (const char *)cfg);
        size_t now = (size_t)((const char *)moves[i].now - (const char *)cfg);
        if (config__was_set(cfg, old) && !config__was_set(cfg, now)) {
            *moves[i].to = moves[i].value;
            cfg->state->set[now / 8] |= (uint8_t)(1U << (now % 8));
            cfg->state->set[old / 8] &= (uint8_t) ~(1U << (old % 8)); /* it has its effect in the new place */
        }
    }
}

/* ---- a file checked for people ---- */

static int issue_cmp(const void *a, const void *b)
{
    const struct config_issue *x = a, *y = b;

    return (x->line > y->line) - (x->line < y->line);
}

/* "yaml: line 3: cause" and "yaml: unmarshal errors:\n  line 3: cause" to line and cause. */
static void add_yaml_error(struct config_issues *out, const char *msg)
{
    const char *at = strstr(msg, "line ");
    int line = 0;

    if (at != NULL) {
        char *end;
        line = (int)strtol(at + 5, &end, 10);
        msg = *end == ':' ? end + 2 : msg;
    }
    config_issue_add(out, line, false, "%s", msg);
}

static int top_line(const struct yaml_node *root, const char *key)
{
    for (size_t i = 0; root != NULL && root->type == YAML_MAP && i < root->n; i++) {
        if (pl_str_eq(root->pairs[i].key, pl_str_c(key))) {
            return root->pairs[i].line;
        }
    }
    return 0;
}

/* The line of a dotted path, as deep as the file has it. */
static int path_line(const struct yaml_node *n, pl_str path)
{
    int line = 0;

    while (n != NULL && n->type == YAML_MAP && path.n > 0) {
        size_t dot = pl_str_find(path, '.');
        pl_str key = pl_str_sub(path, 0, dot == SIZE_MAX ? path.n : dot);
        const struct yaml_node *next = NULL;
        for (size_t i = 0; i < n->n && next == NULL; i++) {
            if (pl_str_eq(n->pairs[i].key, key)) {
                next = n->pairs[i].value;
                line = n->pairs[i].line;
            }
        }
        n = next;
        path = dot == SIZE_MAX ? PL_STR_NULL : pl_str_sub(path, dot + 1, path.n);
    }
    return line;
}

/* One warning for each option in the list of find_ignored. */
static void warn_each_ignored(struct config_issues *out, const struct config *cfg, const struct yaml_node *root,
                              bool of_many)
{
    struct ignored_arg a;

    find_ignored(&a, cfg, of_many);
    pl_str list = pl_buf_view(&a.list);
    while (list.n > 0) {
        size_t end = pl_str_find_str(list, PL_STR(", "));
        pl_str path = pl_str_sub(list, 0, end == SIZE_MAX ? list.n : end);
        config_issue_add(out, path_line(root, path), true,
                         of_many ? "%.*s has no effect on a single node" : "nothing acts on %.*s yet",
                         PL_STR_ARG(path));
        list = end == SIZE_MAX ? PL_STR_NULL : pl_str_sub(list, end + 2, list.n);
    }
    pl_buf_fini(&a.list);
}

static void check_decoded(struct config_issues *out, struct config *cfg, pl_str text)
{
    struct yaml_doc doc = {0};
    struct pl_buf notice;
    struct pl_err err;

    if (yaml_parse(&doc, &cfg->state->arena, text, NULL) != PL_OK) {
        return; /* said already */
    }
    config__move_v19(cfg);
    if (config_check(cfg, &err) != PL_OK) {
        const char *section = cfg->state->empty_section;
        config_issue_add(out, section != NULL ? top_line(doc.root, section) : 0, false, "%s", err.msg);
    }
    warn_each_ignored(out, cfg, doc.root, false);
    warn_each_ignored(out, cfg, doc.root, true);
    pl_buf_init(&notice, 4096);
    if (backend_notice(&notice, cfg)) {
        config_issue_add(out, path_line(doc.root, PL_STR("blocks_storage.backend")), true, "%.*s",
                         PL_STR_ARG(pl_buf_view(&notice)));
    }
    pl_buf_fini(&notice);
}

pl_status config_check_file(struct config_issues *out, const char *path, bool expand_env, struct pl_err *err)
{
    struct config *cfg;
    struct pl_buf text = {0}, expanded = {0};
    struct config_issues issues = {0};
    struct pl_err e;

    PL_TRY(config_read_file(path, &text, err));
    if (expand_env) {
        pl_buf_init(&expanded, YAML_TEXT_MAX);
        config__expand(&expanded, pl_buf_view(&text));
    }
    const pl_str view = pl_buf_view(expand_env ? &expanded : &text);
    config_default(&cfg);
    if (config__decode(cfg, view, &issues, &e) != PL_OK) {
        add_yaml_error(&issues, e.msg);
    } else {
        check_decoded(&issues, cfg, view);
    }
    if (issues.n > 1) {
        qsort(issues.v, issues.n, sizeof(*issues.v), issue_cmp);
    }
    *out = issues;
    config_destroy(cfg);
    pl_buf_fini(&text);
    pl_buf_fini(&expanded);
    return PL_OK;
}
