#include "io/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

struct tls_context {
    SSL_CTX *ssl_ctx;
};

struct tls_conn {
    SSL *ssl;
    BIO *in, *out; /* owned by ssl */
    bool broken;
    char error[160];
};

/* ---- context ---- */

static const char *ssl_error_text(void)
{
    unsigned long code = ERR_peek_last_error();
    const char *text = code != 0 ? ERR_reason_error_string(code) : NULL;

    return text != NULL ? text : "unknown error";
}

static int accept_any_cert(int ok PL_UNUSED, X509_STORE_CTX *store PL_UNUSED)
{
    return 1; /* RequestClientCert, RequireAnyClientCert: asked for, not verified */
}

static const struct {
    pl_str name;
    int mode;
    bool any; /* taken without being verified */
    bool needs_ca;
} auth_types[] = {
    {PL_STR_INIT("NoClientCert"), SSL_VERIFY_NONE, false, false},
    {PL_STR_INIT("RequestClientCert"), SSL_VERIFY_PEER, true, false},
    {PL_STR_INIT("RequireAnyClientCert"), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, true, false},
    {PL_STR_INIT("VerifyClientCertIfGiven"), SSL_VERIFY_PEER, false, true},
    {PL_STR_INIT("RequireAndVerifyClientCert"), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, false, true},
};

static pl_status set_client_auth(SSL_CTX *ctx, const struct tls_options *o, struct pl_err *err)
{
    pl_str want = o->client_auth.n > 0 ? o->client_auth : auth_types[0].name;

    for (size_t i = 0; i < PL_ARRAY_LEN(auth_types); i++) {
        if (!pl_str_eq(want, auth_types[i].name)) {
            continue;
        }
        if (auth_types[i].needs_ca && o->client_ca_path.n == 0) {
            return pl_fail(err, PL_INVALID, "TLS client auth type %.*s needs a client CA file", PL_STR_ARG(want));
        }
        if (o->client_ca_path.n > 0 && auth_types[i].mode == SSL_VERIFY_NONE) {
            return pl_fail(err, PL_INVALID, "a TLS client CA file is set without a client auth type");
        }
        SSL_CTX_set_verify(ctx, auth_types[i].mode, auth_types[i].any ? accept_any_cert : NULL);
        return PL_OK;
    }
    return pl_fail(err, PL_INVALID, "unknown TLS client auth type: %.*s", PL_STR_ARG(want));
}

static pl_status set_min_version(SSL_CTX *ctx, pl_str v, struct pl_err *err)
{
    static const struct {
        pl_str name;
        int version;
    } versions[] = {
        {PL_STR_INIT(""), TLS1_2_VERSION},
        {PL_STR_INIT("VersionTLS10"), TLS1_VERSION},
        {PL_STR_INIT("VersionTLS11"), TLS1_1_VERSION},
        {PL_STR_INIT("VersionTLS12"), TLS1_2_VERSION},
        {PL_STR_INIT("VersionTLS13"), TLS1_3_VERSION},
    };

    for (size_t i = 0; i < PL_ARRAY_LEN(versions); i++) {
        if (pl_str_eq(v, versions[i].name)) {
            if (versions[i].version < TLS1_2_VERSION) {
                SSL_CTX_set_security_level(
                    ctx, 0); /* OpenSSL 3 allows SHA-1 signatures, which these need, at level 0 only */
            }
            return SSL_CTX_set_min_proto_version(ctx, versions[i].version) == 1
                       ? PL_OK
                       : pl_fail(err, PL_INVALID, "TLS min version %.*s: %s", PL_STR_ARG(v), ssl_error_text());
        }
    }
    return pl_fail(err, PL_INVALID, "unknown TLS version: %.*s", PL_STR_ARG(v));
}

/* Go's names are the standard ones but for two older spellings. */
static const char *library_cipher(const char *go_name)
{
    if (strcmp(go_name, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305") == 0) {
        return "ECDHE-RSA-CHACHA20-POLY1305";
    }
    if (strcmp(go_name, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305") == 0) {
        return "ECDHE-ECDSA-CHACHA20-POLY1305";
    }
    return OPENSSL_cipher_name(go_name);
}

/* As in Go, the list is for TLS up to 1.2; the suites of 1.3 are always on. */
static pl_status set_ciphers(SSL_CTX *ctx, pl_str list, struct pl_err *err)
{
    struct pl_buf names = {.limit_bytes = 16 << 10};
    pl_status st = PL_OK;

    while (list.n > 0 && st == PL_OK) {
        size_t comma = PL_MIN(pl_str_find(list, ','), list.n);
        char *go_name = pl_str_dup(pl_str_trim(pl_str_sub(list, 0, comma)));
        const char *name = library_cipher(go_name);
        if (name == NULL || strcmp(name, "(NONE)") == 0) {
            st = pl_fail(err, PL_INVALID, "unknown TLS cipher suite: %s", go_name);
        } else if (strncmp(name, "TLS_", 4) != 0) {
            pl_buf_cstr(&names, names.n > 0 ? ":" : "");
            pl_buf_cstr(&names, name);
        }
        pl_free(go_name);
        list = pl_str_sub(list, PL_MIN(comma + 1, list.n), list.n);
    }
    pl_buf_byte(&names, 0);
    if (st == PL_OK && names.n > 1 && SSL_CTX_set_cipher_list(ctx, names.p) != 1) {
        st = pl_fail(err, PL_INVALID, "TLS cipher suites: %s", ssl_error_text());
    }
    pl_buf_fini(&names);
    return st;
}

static pl_status load_files(SSL_CTX *ctx, const struct tls_options *o, struct pl_err *err)
{
    char *cert = pl_str_dup(o->cert_path);
    char *key = pl_str_dup(o->key_path);
    char *ca = pl_str_dup(o->client_ca_path);
    pl_status st = PL_OK;

    if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1) {
        st = pl_fail(err, PL_INVALID, "load TLS certificate %s: %s", cert, ssl_error_text());
    } else if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1) {
        st = pl_fail(err, PL_INVALID, "load TLS key %s: %s", key, ssl_error_text());
    } else if (SSL_CTX_check_private_key(ctx) != 1) {
        st = pl_fail(err, PL_INVALID, "TLS key %s does not belong to certificate %s", key, cert);
    } else if (o->client_ca_path.n > 0) {
        STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(ca);
        if (names == NULL || SSL_CTX_load_verify_locations(ctx, ca, NULL) != 1) {
            sk_X509_NAME_pop_free(names, X509_NAME_free);
            st = pl_fail(err, PL_INVALID, "load TLS client CA %s: %s", ca, ssl_error_text());
        } else {
            SSL_CTX_set_client_CA_list(ctx, names); /* takes names */
        }
    }
    pl_free(cert);
    pl_free(key);
    pl_free(ca);
    return st;
}

/* HTTP/1.1 is what is spoken here; a client that offers only others goes on without ALPN. */
static int choose_alpn(SSL *ssl PL_UNUSED, const unsigned char **out, unsigned char *out_n, const unsigned char *in,
                       unsigned in_n, void *arg PL_UNUSED)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *chosen = NULL;

    if (SSL_select_next_proto(&chosen, out_n, ours, sizeof(ours) - 1, in, in_n) != OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

pl_status tls_context_create(struct tls_context **out, const struct tls_options *o, struct pl_err *err)
{
    struct tls_context *ctx = pl_new(struct tls_context);
    pl_status st;

    ERR_clear_error();
    ctx->ssl_ctx = SSL_CTX_new(TLS_server_method());
    if (ctx->ssl_ctx == NULL) {
        st = pl_fail(err, PL_INTERNAL, "create TLS context: %s", ssl_error_text());
        goto fail;
    }
    SSL_CTX_set_mode(ctx->ssl_ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE);
    SSL_CTX_set_options(ctx->ssl_ctx,
                        SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    /* Tickets resume sessions; nothing is kept here per client. */
    SSL_CTX_set_session_cache_mode(ctx->ssl_ctx, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_session_id_context(ctx->ssl_ctx, (const unsigned char *)"pallium", 7);
    SSL_CTX_set_alpn_select_cb(ctx->ssl_ctx, choose_alpn, NULL);
    st = set_min_version(ctx->ssl_ctx, o->min_version, err);
    if (st == PL_OK) {
        st = set_client_auth(ctx->ssl_ctx, o, err);
    }
    if (st == PL_OK) {
        st = set_ciphers(ctx->ssl_ctx, o->cipher_suites, err);
    }
    if (st == PL_OK) {
        st = load_files(ctx->ssl_ctx, o, err);
    }
    if (st != PL_OK) {
        goto fail;
    }
    *out = ctx;
    return PL_OK;

fail:
    tls_context_destroy(ctx);
    return st;
}

void tls_context_destroy(struct tls_context *ctx)
{
    if (ctx != NULL) {
        SSL_CTX_free(ctx->ssl_ctx);
        pl_free(ctx);
    }
}

/* ---- connection ---- */

struct tls_conn *tls_conn_create(struct tls_context *ctx)
{
    struct tls_conn *t = pl_new(struct tls_conn);

    t->ssl = SSL_new(ctx->ssl_ctx);
    t->in = BIO_new(BIO_s_mem());
    t->out = BIO_new(BIO_s_mem());
    PL_ASSERT(t->ssl != NULL && t->in != NULL && t->out != NULL);
    BIO_set_mem_eof_return(t->in, -1); /* an empty memory BIO means "later", not end of file */
    BIO_set_mem_eof_return(t->out, -1);
    SSL_set_bio(t->ssl, t->in, t->out);
    SSL_set_accept_state(t->ssl);
    return t;
}

void tls_conn_destroy(struct tls_conn *t)
{
    if (t != NULL) {
        SSL_free(t->ssl);
        pl_free(t);
    }
}

void tls_conn_feed(struct tls_conn *t, pl_str cipher)
{
    int n = BIO_write(t->in, cipher.p, (int)PL_MIN(cipher.n, (size_t)INT32_MAX));

    PL_ASSERT(n == (int)cipher.n); /* a memory BIO takes all or the process is out of memory */
}

size_t tls_conn_fed_bytes(const struct tls_conn *t)
{
    return BIO_ctrl_pending(t->in);
}

static void note_error(struct tls_conn *t)
{
    size_t n = strlen(ssl_error_text());

    n = PL_MIN(n, sizeof(t->error) - 1);
    memcpy(t->error, ssl_error_text(), n);
    t->error[n] = '\0';
    t->broken = true;
    ERR_clear_error();
}

int tls_conn_read(struct tls_conn *t, char *out, size_t n)
{
    int rc;

    if (t->broken) {
        return -1;
    }
    ERR_clear_error();
    rc = SSL_read(t->ssl, out, (int)PL_MIN(n, (size_t)INT32_MAX));
    if (rc > 0) {
        return rc;
    }
    switch (SSL_get_error(t->ssl, rc)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return 0;
    case SSL_ERROR_ZERO_RETURN: /* close_notify */
        return -1;
    default:
        note_error(t);
        return -1;
    }
}

bool tls_conn_ready(const struct tls_conn *t)
{
    return SSL_is_init_finished(t->ssl) == 1;
}

bool tls_conn_write(struct tls_conn *t, pl_str plain)
{
    while (plain.n > 0) {
        int rc;
        if (t->broken) {
            return false;
        }
        ERR_clear_error();
        rc = SSL_write(t->ssl, plain.p, (int)PL_MIN(plain.n, (size_t)1 << 20));
        if (rc <= 0) {
            note_error(t); /* a memory BIO never asks to come later */
            return false;
        }
        plain = pl_str_sub(plain, (size_t)rc, plain.n);
    }
    return true;
}

void tls_conn_shutdown(struct tls_conn *t)
{
    if (!t->broken && tls_conn_ready(t)) {
        ERR_clear_error();
        (void)SSL_shutdown(t->ssl);
        ERR_clear_error();
    }
}

void tls_conn_output(struct tls_conn *t, struct pl_buf *out)
{
    size_t n = BIO_ctrl_pending(t->out);
    char *at = n > 0 ? pl_buf_reserve(out, n) : NULL;

    if (at != NULL) {
        int rc = BIO_read(t->out, at, (int)n);
        PL_ASSERT(rc == (int)n);
        out->n += n;
    }
}

const char *tls_conn_error(const struct tls_conn *t)
{
    return t->error;
}
