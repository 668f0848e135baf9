#include "codec/json_out.h"
#include "server/server.h"

/* How a pl_status looks from outside. The only table of HTTP error numbers beside the protocol's own in http/. */
static const struct {
    int http;
    const char *error_type;
} status_rows[PL_STATUS_COUNT] = {
    [PL_OK] = {200, ""},
    [PL_INVALID] = {400, "bad_data"},
    [PL_UNAUTH] = {401, "bad_data"},
    [PL_FORBIDDEN] = {403, "bad_data"},
    [PL_NOT_FOUND] = {404, "not_found"},
    [PL_NOT_ALLOWED] = {405, "bad_data"},
    [PL_NOT_ACCEPTABLE] = {406, "not_acceptable"},
    [PL_REQ_TIMEOUT] = {408, "bad_data"},
    [PL_CONFLICT] = {409, "bad_data"},
    [PL_TOO_LARGE] = {413, "bad_data"},
    [PL_BAD_MEDIA] = {415, "bad_data"},
    [PL_EXEC] = {422, "execution"},
    [PL_LIMIT] = {422, "execution"},
    [PL_RATE] = {429, "server_error"}, /* COMPAT: what a query frontend makes of it */
    [PL_CANCELED] = {499, "canceled"},
    [PL_INTERNAL] = {500, "internal"},
    [PL_IO] = {500, "internal"},
    [PL_CORRUPT] = {500, "internal"},
    [PL_NOMEM] = {500, "internal"},
    [PL_UNIMPLEMENTED] = {501, "bad_data"},
    [PL_UNAVAILABLE] = {503, "unavailable"},
    [PL_TIMEOUT] = {503, "timeout"},
};

int server_http_status(pl_status st)
{
    PL_ASSERT(st < PL_STATUS_COUNT);
    return status_rows[st].http;
}

const char *server_error_type(pl_status st)
{
    PL_ASSERT(st < PL_STATUS_COUNT);
    return status_rows[st].error_type;
}

void server_text_error(struct http_response *resp, int status, pl_str message)
{
    resp->status = status;
    resp->content_type = "text/plain; charset=utf-8";
    http_header_add(resp, "X-Content-Type-Options", PL_STR("nosniff"));
    pl_buf_reset(&resp->body);
    pl_buf_str(&resp->body, message);
    pl_buf_byte(&resp->body, '\n');
}

void server_text_fail(struct http_response *resp, const struct pl_err *err)
{
    server_text_error(resp, server_http_status(err->status), pl_str_c(err->msg));
}

void server_json_fail(struct http_response *resp, const struct pl_err *err)
{
    struct pl_buf *b = &resp->body;

    resp->status = server_http_status(err->status);
    resp->content_type = "application/json";
    pl_buf_reset(b);
    PL_BUF_LIT(b, "{\"status\":\"error\",\"errorType\":");
    json_cstr(b, server_error_type(err->status));
    PL_BUF_LIT(b, ",\"error\":");
    json_cstr(b, err->msg);
    PL_BUF_LIT(b, "}");
}
