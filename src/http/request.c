#include "http/http.h"
#include "http/parse.h"

pl_str http_header_get(const struct http_request *req, pl_str name)
{
    for (uint32_t i = 0; i < req->header_count; i++) {
        if (req->headers[i].name.n == name.n && pl_str_eq_nocase(req->headers[i].name, name)) {
            return req->headers[i].value;
        }
    }
    return PL_STR("");
}

void http_header_add(struct http_response *resp, const char *name, pl_str value)
{
    PL_ASSERT(resp->header_count < HTTP_RESPONSE_HEADERS_MAX);
    resp->headers[resp->header_count++] = (struct http_header){pl_str_c(name), value};
}

/* ---- parameters ---- */

struct param_list {
    struct http_param *items;
    size_t count, cap;
};

static bool decode(struct pl_arena *arena, pl_str in, pl_str *out)
{
    char *text;

    if (pl_str_find(in, '%') == SIZE_MAX && pl_str_find(in, '+') == SIZE_MAX) {
        *out = in;
        return true;
    }
    text = pl_arena_alloc(arena, in.n); /* shorter than the head or body, which passed their limits */
    out->p = text;
    return http_unescape(text, &out->n, in, true);
}

static pl_status add_params(struct param_list *list, struct pl_arena *arena, pl_str text, struct pl_err *err)
{
    while (text.n > 0) {
        size_t amp = PL_MIN(pl_str_find(text, '&'), text.n);
        pl_str pair = pl_str_sub(text, 0, amp);
        size_t eq = PL_MIN(pl_str_find(pair, '='), pair.n);
        pl_str name = pl_str_sub(pair, 0, eq);
        pl_str value = pl_str_sub(pair, PL_MIN(eq + 1, pair.n), pair.n);
        text = pl_str_sub(text, PL_MIN(amp + 1, text.n), text.n);
        if (pair.n == 0) {
            continue;
        }
        if (pl_str_find(pair, ';') != SIZE_MAX) { /* as Go since 1.17: proxies disagree about it */
            return pl_fail(err, PL_INVALID, "invalid semicolon separator in query");
        }
        if (list->count == HTTP_PARAMS_MAX) {
            return pl_fail(err, PL_INVALID, "too many parameters (limit: %d)", HTTP_PARAMS_MAX);
        }
        if (list->count == list->cap) {
            size_t cap = PL_MAX(list->cap * 2, (size_t)16);
            struct http_param *items = pl_arena_alloc(arena, cap * sizeof(*items));
            if (list->count > 0) {
                memcpy(items, list->items, list->count * sizeof(*items));
            }
            list->items = items;
            list->cap = cap;
        }
        if (!decode(arena, name, &list->items[list->count].name) ||
            !decode(arena, value, &list->items[list->count].value)) {
            pl_str shown = pl_str_sub(pair, 0, PL_MIN(pair.n, (size_t)100));
            return pl_fail(err, PL_INVALID, "invalid URL escape in parameter \"%.*s\"", PL_STR_ARG(shown));
        }
        list->count++;
    }
    return PL_OK;
}

static bool is_form(const struct http_request *req)
{
    pl_str type = http_header_get(req, PL_STR("Content-Type"));
    size_t semi = PL_MIN(pl_str_find(type, ';'), type.n);

    return (req->method == HTTP_POST || req->method == HTTP_PUT) &&
           pl_str_eq_nocase(pl_str_trim(pl_str_sub(type, 0, semi)), PL_STR("application/x-www-form-urlencoded"));
}

pl_status http_params(struct http_request *req, struct http_param **out, size_t *count, struct pl_err *err)
{
    struct param_list list = {0};

    if (is_form(req)) {
        PL_TRY(add_params(&list, req->arena, req->body, err));
    }
    PL_TRY(add_params(&list, req->arena, req->query, err));
    *out = list.items;
    *count = list.count;
    return PL_OK;
}
