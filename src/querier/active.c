#include "querier/active.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/sync.h"
#include "codec/json_out.h"
#include "server/server.h"

#include <inttypes.h>

struct active_queries {
    struct pl_mutex lock;
    struct active_query *first;
    uint64_t last_id;
    size_t n;
};

struct active_queries *active_queries_create(void)
{
    struct active_queries *a = pl_new(struct active_queries);

    pl_mutex_init(&a->lock, PL_RANK_ACTIVE_QUERIES);
    return a;
}

void active_queries_destroy(struct active_queries *a)
{
    if (a == NULL) {
        return;
    }
    PL_ASSERT(a->first == NULL);
    pl_mutex_fini(&a->lock);
    pl_free(a);
}

void active_queries_add(struct active_queries *a, struct active_query *q)
{
    pl_mutex_lock(&a->lock);
    q->id = ++a->last_id;
    q->prev = NULL;
    q->next = a->first;
    if (a->first != NULL) {
        a->first->prev = q;
    }
    a->first = q;
    a->n++;
    pl_mutex_unlock(&a->lock);
}

void active_queries_remove(struct active_queries *a, struct active_query *q)
{
    pl_mutex_lock(&a->lock);
    *(q->prev != NULL ? &q->prev->next : &a->first) = q->next;
    if (q->next != NULL) {
        q->next->prev = q->prev;
    }
    a->n--;
    pl_mutex_unlock(&a->lock);
}

/* Copies the list into the arena, oldest first. */
static struct active_query *copy_all(struct active_queries *a, struct pl_arena *arena, size_t *n)
{
    struct active_query *rows;
    size_t at;

    pl_mutex_lock(&a->lock);
    at = *n = a->n;
    rows = pl_arena_new_array_try(arena, struct active_query, a->n + 1);
    PL_ASSERT(rows != NULL); /* the arena of an admin request has no limit */
    for (const struct active_query *q = a->first; q != NULL; q = q->next) {
        rows[--at] = (struct active_query){
            .id = q->id,
            .tenant = pl_arena_str(arena, q->tenant),
            .text = pl_arena_str(arena, pl_str_sub(q->text, 0, PL_MIN(q->text.n, (size_t)ACTIVE_TEXT_MAX))),
            .start_ms = q->start_ms,
            .end_ms = q->end_ms,
            .step_ms = q->step_ms,
            .begin_mono_ns = q->begin_mono_ns,
            .begin_unix_ms = q->begin_unix_ms};
    }
    pl_mutex_unlock(&a->lock);
    return rows;
}

static void put_json(struct pl_buf *b, const struct active_query *rows, size_t n)
{
    PL_BUF_LIT(b, "{\"status\":\"success\",\"data\":[");
    for (size_t i = 0; i < n; i++) {
        const struct active_query *q = &rows[i];

        pl_buf_printf(b, "%s{\"id\":%" PRIu64 ",\"tenant\":", i > 0 ? "," : "", q->id);
        json_str(b, q->tenant);
        PL_BUF_LIT(b, ",\"query\":");
        json_str(b, q->text);
        pl_buf_printf(b, ",\"start\":%.3f,\"end\":%.3f,\"step\":%.3f,\"seconds\":%.3f}", (double)q->start_ms / 1000,
                      (double)q->end_ms / 1000, (double)q->step_ms / 1000,
                      (double)(pl_now_mono_ns() - q->begin_mono_ns) / 1e9);
    }
    PL_BUF_LIT(b, "]}");
}

static void put_page(struct pl_buf *b, const struct active_query *rows, size_t n)
{
    PL_BUF_LIT(b, "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"UTF-8\"><title>Active queries</title>"
                  "<link rel=\"stylesheet\" href=\"../ui/admin.css\"></head>\n"
                  "<body>\n<nav><a href=\"../\">&larr; Pallium</a></nav>\n<h1>Active queries</h1>\n");
    pl_buf_printf(b, "<p>%zu running. Reload the page to look again.</p>\n", n);
    PL_BUF_LIT(b,
               "<table border=\"1\">\n<thead><tr><th>Seconds</th><th>Tenant</th><th>Query</th><th>From</th><th>To</th>"
               "<th>Step</th><th></th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < n; i++) {
        const struct active_query *q = &rows[i];

        pl_buf_printf(b, "<tr><td align=\"right\">%.1f</td><td>", (double)(pl_now_mono_ns() - q->begin_mono_ns) / 1e9);
        server_put_html(b, q->tenant);
        PL_BUF_LIT(b, "</td><td><code>");
        server_put_html(b, q->text);
        PL_BUF_LIT(b, "</code></td><td>");
        pl_buf_rfc3339_ms(b, q->start_ms);
        PL_BUF_LIT(b, "</td><td>");
        pl_buf_rfc3339_ms(b, q->end_ms);
        pl_buf_printf(
            b,
            "</td><td align=\"right\">%.3f s</td><td><form method=\"post\"><button name=\"id\" value=\"%" PRIu64
            "\">End</button></form></td></tr>\n",
            (double)q->step_ms / 1000, q->id);
    }
    PL_BUF_LIT(b, "</tbody>\n</table>\n</body>\n</html>\n");
}

/* False: no such query runs. */
static bool stop(struct active_queries *a, uint64_t id)
{
    bool found = false;

    pl_mutex_lock(&a->lock);
    for (struct active_query *q = a->first; q != NULL && !found; q = q->next) {
        if (q->id == id) {
            atomic_store_explicit(&q->stop, true, memory_order_relaxed);
            found = true;
        }
    }
    pl_mutex_unlock(&a->lock);
    return found;
}

static void handle_stop(struct active_queries *a, struct http_request *req, struct http_response *resp)
{
    struct http_param *params;
    size_t n;
    struct pl_err err;
    uint64_t id = 0;

    if (http_params(req, &params, &n, &err) != PL_OK) {
        server_text_fail(resp, &err);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (pl_str_eq(params[i].name, PL_STR("id")) && !pl_str_to_u64(params[i].value, &id)) {
            id = 0;
        }
    }
    if (!stop(a, id)) {
        (void)pl_fail(&err, PL_NOT_FOUND, "no query with this id runs (parameter id)");
        server_text_fail(resp, &err);
        return;
    }
    resp->status = 200;
    resp->content_type = "text/plain; charset=utf-8";
    pl_buf_printf(&resp->body, "query %" PRIu64 " is being ended\n", id);
}

void active_queries_handle(void *arg, struct http_request *req, struct http_response *resp)
{
    struct active_queries *a = arg;
    struct active_query *rows;
    size_t n;

    if (req->method == HTTP_POST) {
        handle_stop(a, req, resp);
        return;
    }
    rows = copy_all(a, req->arena, &n);
    resp->status = 200;
    if (pl_str_find_str(http_header_get(req, PL_STR("Accept")), PL_STR("json")) != SIZE_MAX) {
        resp->content_type = "application/json";
        put_json(&resp->body, rows, n);
    } else {
        resp->content_type = "text/html; charset=utf-8";
        put_page(&resp->body, rows, n);
    }
}
