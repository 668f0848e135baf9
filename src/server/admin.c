#include "server/admin.h"

#include "base/clock.h"
#include "codec/json_out.h"
#include "metric/metric.h"
#include "server/internal.h"

static const char type_html[] = "text/html; charset=utf-8";
static const char type_text[] = "text/plain; charset=utf-8";

void server_put_html(struct pl_buf *b, pl_str text)
{
    for (size_t i = 0; i < text.n; i++) {
        switch (text.p[i]) {
        case '&':
            PL_BUF_LIT(b, "&amp;");
            break;
        case '<':
            PL_BUF_LIT(b, "&lt;");
            break;
        case '>':
            PL_BUF_LIT(b, "&gt;");
            break;
        case '"':
            PL_BUF_LIT(b, "&#34;");
            break;
        case '\'':
            PL_BUF_LIT(b, "&#39;");
            break;
        default:
            pl_buf_byte(b, (uint8_t)text.p[i]);
        }
    }
}

/* Its links are relative, as all these pages are one level deep; the stylesheet is ui/'s. */
static void page_begin(struct pl_buf *b, const char *title)
{
    PL_BUF_LIT(b, "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"UTF-8\">"
                  "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>");
    pl_buf_cstr(b, title);
    PL_BUF_LIT(b, "</title>"
                  "<link rel=\"stylesheet\" href=\"ui/admin.css\"></head>\n"
                  "<body>\n<nav><a href=\"./\">&larr; Pallium</a></nav>\n<h1>");
    pl_buf_cstr(b, title);
    PL_BUF_LIT(b, "</h1>\n");
}

static void page_end(struct pl_buf *b)
{
    PL_BUF_LIT(b, "</body>\n</html>\n");
}

/* ---- /ready ---- */

static void handle_ready(void *arg, struct http_request *req PL_UNUSED, struct http_response *resp)
{
    const struct server_admin *a = arg;
    struct pl_buf why = {.limit_bytes = 64 << 10};

    if (a->ready(a->arg, &why)) {
        resp->content_type = "text/plain";
        PL_BUF_LIT(&resp->body, "ready");
    } else {
        server_text_error(resp, server_http_status(PL_UNAVAILABLE), pl_buf_view(&why));
    }
    pl_buf_fini(&why);
}

/* ---- /services ---- */

static void services_json(struct pl_buf *b, const struct server_service *rows, size_t count)
{
    PL_BUF_LIT(b, "{\"now\":\"");
    pl_buf_rfc3339_ms(b, pl_now_unix_ms());
    PL_BUF_LIT(b, "\",\"services\":[");
    for (size_t i = 0; i < count; i++) {
        pl_buf_cstr(b, i > 0 ? ",{\"name\":" : "{\"name\":");
        json_cstr(b, rows[i].name);
        PL_BUF_LIT(b, ",\"status\":");
        json_cstr(b, rows[i].status);
        PL_BUF_LIT(b, "}");
    }
    PL_BUF_LIT(b, "]}");
}

static void services_html(struct pl_buf *b, const struct server_service *rows, size_t count)
{
    page_begin(b, "Cortex Services Status");
    PL_BUF_LIT(b, "<p>Current time: ");
    pl_buf_rfc3339_ms(b, pl_now_unix_ms());
    PL_BUF_LIT(b, "</p>\n<table border=\"1\">\n<thead><tr><th>Service</th><th>Status</th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < count; i++) {
        PL_BUF_LIT(b, "<tr><td>");
        server_put_html(b, pl_str_c(rows[i].name));
        PL_BUF_LIT(b, "</td><td>");
        server_put_html(b, pl_str_c(rows[i].status));
        PL_BUF_LIT(b, "</td></tr>\n");
    }
    PL_BUF_LIT(b, "</tbody>\n</table>\n");
    page_end(b);
}

static void handle_services(void *arg, struct http_request *req, struct http_response *resp)
{
    const struct server_admin *a = arg;
    struct server_service rows[SERVER_SERVICES_MAX];
    size_t count = a->services(a->arg, rows);

    PL_ASSERT(count <= SERVER_SERVICES_MAX);
    if (pl_str_find_str(http_header_get(req, PL_STR("Accept")), PL_STR("application/json")) != SIZE_MAX) {
        resp->content_type = "application/json";
        services_json(&resp->body, rows, count);
    } else {
        resp->content_type = type_html;
        services_html(&resp->body, rows, count);
    }
}

/* ---- /config, /runtime_config ---- */

/* Begins a YAML page; false: the request was wrong and is answered. *mode: its parameter, or "". */
static bool mode_page_begin(struct http_request *req, struct http_response *resp, pl_str *mode)
{
    struct http_param *params;
    size_t count;
    struct pl_err err;

    if (http_params(req, &params, &count, &err) != PL_OK) {
        server_text_fail(resp, &err);
        return false;
    }
    *mode = PL_STR("");
    for (size_t i = 0; i < count && mode->n == 0; i++) {
        if (pl_str_eq(params[i].name, PL_STR("mode"))) {
            *mode = params[i].value;
        }
    }
    resp->content_type = type_text;
    return true;
}

static void handle_config(void *arg, struct http_request *req, struct http_response *resp)
{
    const struct server_admin *a = arg;
    pl_str mode;

    if (mode_page_begin(req, resp, &mode)) {
        a->config(a->arg, mode, &resp->body);
    }
}

static void handle_runtime_config(void *arg, struct http_request *req, struct http_response *resp)
{
    const struct server_admin *a = arg;
    pl_str mode;

    if (mode_page_begin(req, resp, &mode) && !a->runtime_config(a->arg, mode, &resp->body)) {
        resp->content_type = "text/plain";
        pl_buf_reset(&resp->body);
        PL_BUF_LIT(&resp->body, "runtime config file doesn't exist");
    }
}

/* ---- /metrics ---- */

static void handle_metrics(void *arg PL_UNUSED, struct http_request *req, struct http_response *resp)
{
    bool openmetrics =
        pl_str_find_str(http_header_get(req, PL_STR("Accept")), PL_STR("application/openmetrics-text")) != SIZE_MAX;

    resp->content_type = openmetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                     : "text/plain; version=0.0.4; charset=utf-8";
    metric_write_text(&resp->body, openmetrics);
}

/* ---- /admin ---- */

struct admin_index {
    const struct server_admin *admin;
    pl_str prefix;
};

static void put_link(struct pl_buf *b, pl_str prefix, const char *path, const char *text)
{
    PL_BUF_LIT(b, "<li><a href=\"");
    server_put_html(b, prefix);
    server_put_html(b, pl_str_c(path));
    PL_BUF_LIT(b, "\">");
    server_put_html(b, pl_str_c(text));
    PL_BUF_LIT(b, "</a></li>\n");
}

static void put_section(struct pl_buf *b, const struct admin_index *x, bool dangerous)
{
    const struct server_admin *a = x->admin;

    if (!dangerous && a->config != NULL) {
        put_link(b, x->prefix, "/config", "Current Config (including the default values)");
        put_link(b, x->prefix, "/config?mode=diff", "Current Config (show only values that differ from the defaults)");
    }
    if (!dangerous && a->runtime_config != NULL) {
        put_link(b, x->prefix, "/runtime_config", "Current Runtime Config (including the default values)");
        put_link(b, x->prefix, "/runtime_config?mode=diff",
                 "Current Runtime Config (show only values that differ from the defaults)");
    }
    if (!dangerous && a->services != NULL) {
        put_link(b, x->prefix, "/services", "Service Status");
    }
    if (!dangerous && a->ready != NULL) {
        put_link(b, x->prefix, "/ready", "Readiness");
    }
    if (!dangerous && a->metrics) {
        put_link(b, x->prefix, "/metrics", "Metrics");
    }
    for (size_t i = 0; i < a->link_count; i++) {
        if (a->links[i].dangerous == dangerous) {
            put_link(b, x->prefix, a->links[i].path, a->links[i].text);
        }
    }
}

static void handle_index(void *arg, struct http_request *req, struct http_response *resp)
{
    struct server *s = arg;
    struct admin_index x = {.admin = s->admin, .prefix = s->o.path_prefix};
    struct pl_buf *b = &resp->body;
    bool dangerous = false;

    (void)req;
    resp->content_type = type_html;
    page_begin(b, "Pallium Admin");
    PL_BUF_LIT(b, "<p>Admin Endpoints:</p>\n<ul>\n");
    put_section(b, &x, false);
    PL_BUF_LIT(b, "</ul>\n");
    for (size_t i = 0; i < x.admin->link_count; i++) {
        dangerous = dangerous || x.admin->links[i].dangerous;
    }
    if (dangerous) {
        PL_BUF_LIT(b, "<p>Dangerous:</p>\n<ul>\n");
        put_section(b, &x, true);
        PL_BUF_LIT(b, "</ul>\n");
    }
    page_end(b);
}

/* ---- routes ---- */

static void add(struct server *s, const char *path, http_handler_fn handler, const void *arg)
{
    server_route_add(s, &(struct server_route){.methods = HTTP_GET,
                                               .path = path,
                                               .handler = handler,
                                               .arg = (void *)(uintptr_t)arg,
                                               .auth = SERVER_AUTH_NONE,
                                               .pool = SERVER_POOL_ADMIN,
                                               .gzip = true});
}

void server_admin_routes(struct server *s, const struct server_admin *a)
{
    s->admin = a;
    if (a->ready != NULL) {
        add(s, "/ready", handle_ready, a);
    }
    if (a->services != NULL) {
        add(s, "/services", handle_services, a);
    }
    if (a->config != NULL) {
        add(s, "/config", handle_config, a);
    }
    if (a->runtime_config != NULL) {
        add(s, "/runtime_config", handle_runtime_config, a);
    }
    if (a->metrics) {
        add(s, "/metrics", handle_metrics, a);
    }
    add(s, "/admin", handle_index, s);
}
