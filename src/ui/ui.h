/* ui/ui.h - the web page at "/": an expression box, a graph and a table, served from the binary.
 *
 * Promise: answers come from constant memory, gzipped where the client accepts it, with an ETag; the page loads nothing
 * from elsewhere (and its Content-Security-Policy forbids it to). All its links are relative, so any path prefix works.
 * Threads: any; struct ui_settings is read only.
 * Not here: routes (app): GET "/" -> ui_page, "/ui/{name}" -> ui_file, "/graph" -> ui_graph, "/favicon.ico" ->
 * ui_favicon, all with a struct ui_settings as arg, no tenant, no gzip.
 */
#ifndef PL_UI_UI_H
#define PL_UI_UI_H

#include "base/base.h"
#include "http/http.h"

/* What the page must know of this process; it reads them from ui/settings.json. */
struct ui_settings {
    pl_str api_prefix; /* http.prometheus-http-prefix: "/prometheus" */
    bool auth;         /* ask for a tenant */
};

void ui_page(void *settings, struct http_request *req, struct http_response *resp);
void ui_file(void *settings, struct http_request *req, struct http_response *resp); /* 404 for names it does not have */
/* Links of alerts and of other tools, "/graph?g0.expr=up": a redirect to the page, which reads the same parameters. */
void ui_graph(void *settings, struct http_request *req, struct http_response *resp);
void ui_favicon(void *settings, struct http_request *req, struct http_response *resp);

#endif
