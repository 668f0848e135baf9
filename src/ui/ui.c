#include "ui/ui.h"

#include "codec/json_out.h"
#include "promql/functions.h"
#include "ui/assets.h"

/* Nothing but this server: no inline script, no other host, not inside a foreign frame. uPlot sets styles from script,
 * which style-src does not concern. */
#define UI_POLICY                                                                                                \
    PL_STR("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " \
           "base-uri 'none'; form-action 'none'; frame-ancestors 'self'")

static const struct ui_asset *find(pl_str path)
{
    for (size_t i = 0; i < ui_asset_count; i++) {
        if (pl_str_eq(pl_str_c(ui_assets[i].path), path)) {
            return &ui_assets[i];
        }
    }
    return NULL;
}

/* `gzip` as one of the codings of Accept-Encoding, not refused by q=0. */
static bool accepts_gzip(pl_str accept)
{
    while (accept.n > 0) {
        size_t end = PL_MIN(pl_str_find(accept, ','), accept.n);
        pl_str item = pl_str_sub(accept, 0, end);
        size_t semi = PL_MIN(pl_str_find(item, ';'), item.n);
        pl_str coding = pl_str_trim(pl_str_sub(item, 0, semi));

        if (pl_str_eq_nocase(coding, PL_STR("gzip"))) {
            pl_str weight = pl_str_trim(pl_str_sub(item, PL_MIN(semi + 1, item.n), item.n));

            return !pl_str_eq_nocase(weight, PL_STR("q=0")) && !pl_str_starts(weight, PL_STR("q=0.0"));
        }
        accept = pl_str_sub(accept, PL_MIN(end + 1, accept.n), accept.n);
    }
    return false;
}

static void serve(const struct ui_asset *a, struct http_request *req, struct http_response *resp)
{
    bool gzip = accepts_gzip(http_header_get(req, PL_STR("Accept-Encoding")));
    pl_str etag = pl_str_c(gzip ? a->etag_gzip : a->etag);

    http_header_add(resp, "ETag", etag);
    http_header_add(resp, "Cache-Control", PL_STR("no-cache")); /* ask again each time; the ETag makes that cheap */
    http_header_add(resp, "Vary", PL_STR("Accept-Encoding"));
    http_header_add(resp, "X-Content-Type-Options", PL_STR("nosniff"));
    http_header_add(resp, "Referrer-Policy", PL_STR("no-referrer"));
    http_header_add(resp, "Content-Security-Policy", UI_POLICY);
    if (pl_str_find_str(http_header_get(req, PL_STR("If-None-Match")), etag) != SIZE_MAX) {
        resp->status = 304;
        return;
    }
    resp->content_type = a->content_type;
    if (gzip) {
        http_header_add(resp, "Content-Encoding", PL_STR("gzip"));
        pl_buf_add(&resp->body, a->gzip, a->gzip_size);
    } else {
        pl_buf_add(&resp->body, a->plain, a->plain_size);
    }
}

static void not_found(struct http_response *resp)
{
    resp->status = 404;
    resp->content_type = "text/plain; charset=utf-8";
    PL_BUF_LIT(&resp->body, "404 page not found\n");
}

void ui_page(void *settings, struct http_request *req, struct http_response *resp)
{
    (void)settings;
    serve(find(PL_STR_NULL), req, resp);
}

/* The prefix comes from the configuration, which takes paths only: no quotes, no control characters. Others are left
 * out. */
static void settings_json(const struct ui_settings *s, struct http_response *resp)
{
    resp->content_type = "application/json";
    http_header_add(resp, "Cache-Control", PL_STR("no-store"));
    PL_BUF_LIT(&resp->body, "{\"api\":\"");
    for (size_t i = 0; i < s->api_prefix.n; i++) {
        char c = s->api_prefix.p[i];

        if ((i > 0 || c != '/') && c > ' ' && c < 0x7f && c != '"' && c != '\\') {
            pl_buf_byte(&resp->body, (uint8_t)c); /* without the first '/': relative to the page */
        }
    }
    pl_buf_cstr(&resp->body, s->auth ? "\",\"auth\":true}" : "\",\"auth\":false}");
}

/* ---- functions.json: the engine's own table, for the editor's completion ---- */

static const char *type_text(enum pq_type t)
{
    switch (t) {
    case PQ_VECTOR:
        return "instant vector";
    case PQ_MATRIX:
        return "range vector";
    case PQ_SCALAR:
        return "scalar";
    case PQ_STRING:
        return "string";
    default:
        return "none";
    }
}

static void functions_json(struct http_response *resp)
{
    struct pl_buf *b = &resp->body;
    size_t count;
    const struct pq_func *rows = pq_func_all(&count);

    resp->content_type = "application/json";
    http_header_add(resp, "Cache-Control", PL_STR("no-cache"));
    pl_buf_byte(b, '[');
    for (size_t i = 0; i < count; i++) {
        const struct pq_func *f = &rows[i];

        pl_buf_cstr(b, i > 0 ? ",\n{\"name\":" : "{\"name\":");
        json_cstr(b, f->name);
        PL_BUF_LIT(b, ",\"args\":[");
        for (uint32_t k = 0; k < f->arg_count; k++) {
            pl_buf_cstr(b, k > 0 ? "," : "");
            json_cstr(b, type_text(f->args[k]));
        }
        pl_buf_cstr(b, f->variadic == 0 ? "],\"last\":\"once\"" : "");
        pl_buf_cstr(b, f->variadic == 1 ? "],\"last\":\"optional\"" : "");
        pl_buf_cstr(b, f->variadic < 0 || f->variadic > 1 ? "],\"last\":\"repeated\"" : "");
        PL_BUF_LIT(b, ",\"result\":");
        json_cstr(b, type_text(f->result));
        pl_buf_cstr(b, f->experimental ? ",\"experimental\":true,\"doc\":" : ",\"experimental\":false,\"doc\":");
        json_cstr(b, f->doc);
        pl_buf_byte(b, '}');
    }
    pl_buf_byte(b, ']');
}

/* ---- routes ---- */

void ui_file(void *settings, struct http_request *req, struct http_response *resp)
{
    pl_str name = req->path_var[0];
    const struct ui_asset *a = name.n > 0 ? find(name) : NULL;

    if (pl_str_eq(name, PL_STR("settings.json"))) {
        settings_json(settings, resp);
    } else if (pl_str_eq(name, PL_STR("functions.json"))) {
        functions_json(resp);
    } else if (a != NULL) {
        serve(a, req, resp);
    } else {
        not_found(resp);
    }
}

void ui_favicon(void *settings, struct http_request *req, struct http_response *resp)
{
    (void)settings;
    serve(find(PL_STR("favicon.ico")), req, resp);
}

/* The query stays encoded; the page reads it from the fragment. "/graph" ends in one path part, so "./" is the page
 * whatever the prefix. */
void ui_graph(void *settings, struct http_request *req, struct http_response *resp)
{
    static const char start[] = "./#";
    size_t n = sizeof(start) - 1 + req->query.n;
    char *to = pl_arena_alloc_try(req->arena, n);

    (void)settings;
    if (to == NULL) {
        resp->status = 503;
        return;
    }
    memcpy(to, start, sizeof(start) - 1);
    if (req->query.n > 0) {
        memcpy(to + sizeof(start) - 1, req->query.p, req->query.n);
    }
    http_header_add(resp, "Location", (pl_str){to, n});
    resp->status = 302;
}
