#include "server/server.h"

enum { TENANT_ID_MAX = 150 };

static bool is_tenant_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!-_.*'()", c) != NULL);
}

/* Spec http-api-and-config.md 4: characters, then length, then names that would be special as a path. */
pl_status server_tenant_check(pl_str tenant, struct pl_err *err)
{
    static const pl_str forbidden[] = {PL_STR_INIT("__markers__"), PL_STR_INIT("user-index.json.gz")};

    for (size_t i = 0; i < tenant.n; i++) {
        uint8_t c = (uint8_t)tenant.p[i];
        if (!is_tenant_char(tenant.p[i])) {
            /* COMPAT: one byte is shown as the character of that number, as Go's %c does. */
            char text[3] = {(char)c, 0, 0};
            if (c >= 0x80) {
                text[0] = (char)(0xc0 | c >> 6);
                text[1] = (char)(0x80 | (c & 0x3f));
            }
            return pl_fail(err, PL_INVALID, "tenant ID '%.*s' contains unsupported character '%s'", PL_STR_ARG(tenant),
                           text);
        }
    }
    if (tenant.n > TENANT_ID_MAX) {
        return pl_fail(err, PL_INVALID, "tenant ID is too long: max %d characters", TENANT_ID_MAX);
    }
    if (pl_str_eq(tenant, PL_STR(".")) || pl_str_eq(tenant, PL_STR(".."))) {
        return pl_fail(err, PL_INVALID, "tenant ID is '.' or '..'");
    }
    for (size_t i = 0; i < PL_ARRAY_LEN(forbidden); i++) {
        if (pl_str_eq(tenant, forbidden[i])) {
            return pl_fail(err, PL_INVALID, "tenant ID '%.*s' is not allowed", PL_STR_ARG(tenant));
        }
    }
    return PL_OK;
}
