#include "base/hash.h"
#include "http/parse.h"
#include "server/internal.h"

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

char *router__name(pl_str template)
{
    char *out = pl_alloc(template.n + 5);
    size_t n = 0;
    bool gap = false;

    for (size_t i = 0; i < template.n; i++) {
        char c = template.p[i];
        if (!is_name_char(c)) {
            gap = n > 0;
            continue;
        }
        if (gap) {
            out[n++] = '_';
            gap = false;
        }
        out[n++] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
    if (n == 0) {
        memcpy(out, "root", 4);
        n = 4;
    }
    out[n] = '\0';
    return out;
}

static uint32_t bucket_of(pl_str path)
{
    return (uint32_t)(pl_hash64(path.p, path.n) % ROUTER_BUCKETS);
}

void router__add(struct router *rt, struct route *r)
{
    pl_str text = pl_str_c(r->path);
    struct route_path *p = NULL;

    for (size_t i = 0; i < rt->count && p == NULL; i++) {
        p = pl_str_eq(rt->paths[i].text, text) ? &rt->paths[i] : NULL;
    }
    if (p == NULL) {
        pl_array_reserve(rt->paths, rt->cap, rt->count + 1);
        p = &rt->paths[rt->count++];
        *p = (struct route_path){.text = text, .exact = pl_str_find(text, '{') == SIZE_MAX};
        if (p->exact) {
            uint32_t *bucket = &rt->buckets[bucket_of(text)];
            p->next = *bucket;
            *bucket = (uint32_t)rt->count;
        }
    }
    pl_array_reserve(p->routes, p->cap, p->count + 1);
    p->routes[p->count++] = r;
}

void router__fini(struct router *rt)
{
    for (size_t i = 0; i < rt->count; i++) {
        for (size_t k = 0; k < rt->paths[i].count; k++) {
            struct route *r = rt->paths[i].routes[k];
            pl_free(r->path);
            pl_free(r->name);
            pl_free(r);
        }
        pl_free(rt->paths[i].routes);
    }
    pl_free(rt->paths);
    *rt = (struct router){0};
}

/* Cuts the first segment off a path that begins with '/'. */
static pl_str next_segment(pl_str *path)
{
    pl_str rest = pl_str_sub(*path, 1, path->n);
    size_t slash = PL_MIN(pl_str_find(rest, '/'), rest.n);

    *path = pl_str_sub(rest, slash, rest.n);
    return pl_str_sub(rest, 0, slash);
}

/* Compares segment by segment; {name} takes one segment that is not empty. The variables are still encoded. */
static bool template_matches(pl_str template, pl_str path, pl_str *vars)
{
    uint32_t var_count = 0;

    while (template.n > 0 && path.n > 0) {
        pl_str want, got;
        if (template.p[0] != '/' || path.p[0] != '/') {
            return false;
        }
        want = next_segment(&template);
        got = next_segment(&path);
        if (want.n >= 2 && want.p[0] == '{') {
            if (got.n == 0 || var_count == HTTP_PATH_VARS_MAX) {
                return false;
            }
            vars[var_count++] = got;
        } else if (!pl_str_eq(want, got)) {
            return false;
        }
    }
    return template.n == 0 && path.n == 0;
}

static const struct route_path *find_path(const struct router *rt, pl_str path, pl_str *vars)
{
    for (uint32_t i = rt->buckets[bucket_of(path)]; i != 0; i = rt->paths[i - 1].next) {
        if (pl_str_eq(rt->paths[i - 1].text, path)) {
            return &rt->paths[i - 1];
        }
    }
    for (size_t i = 0; i < rt->count; i++) {
        if (!rt->paths[i].exact && template_matches(rt->paths[i].text, path, vars)) {
            return &rt->paths[i];
        }
    }
    return NULL;
}

static bool decode_vars(struct http_request *req)
{
    for (uint32_t i = 0; i < HTTP_PATH_VARS_MAX; i++) {
        pl_str *v = &req->path_var[i];
        char *text;
        if (pl_str_find(*v, '%') == SIZE_MAX) {
            continue;
        }
        text = pl_arena_alloc(req->arena, v->n);
        if (!http_unescape(text, &v->n, *v, false)) {
            return false;
        }
        v->p = text;
    }
    return true;
}

enum router_match router__match(const struct router *rt, struct http_request *req, struct route **out,
                                uint32_t *allowed)
{
    pl_str vars[HTTP_PATH_VARS_MAX] = {{0}};
    const struct route_path *p = find_path(rt, req->path, vars);
    uint32_t method = req->method == HTTP_HEAD ? HTTP_GET : req->method;

    if (p == NULL) {
        return ROUTER_NOT_FOUND;
    }
    *allowed = 0;
    for (size_t i = 0; i < p->count; i++) {
        if ((p->routes[i]->r.methods & (method | req->method)) != 0) {
            *out = p->routes[i];
            memcpy(req->path_var, vars, sizeof(vars));
            return decode_vars(req) ? ROUTER_FOUND : ROUTER_BAD_ESCAPE;
        }
        *allowed |= p->routes[i]->r.methods;
    }
    return ROUTER_OTHER_METHOD;
}
