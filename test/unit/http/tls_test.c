#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "http/client.h"
#include "http/http.h"
#include "io/worker.h"

enum { BIG = 4 << 20 };

/* ---- certificates: a CA and what it signed, made once per run ---- */

static char dir[] = "/tmp/pallium-tls-XXXXXX";

struct pair {
    EVP_PKEY *key;
    X509 *cert;
};
static struct pair ca, server_pair, client_pair, stranger;

static const char *path_of(const char *name)
{
    static char paths[8][64];
    static int next;
    char *p = paths[next++ % 8];

    (void)snprintf(p, 64, "%s/%s", dir, name);
    return p;
}

static struct pair make_pair(const char *name, const struct pair *signer)
{
    struct pair p = {.key = EVP_EC_gen("P-256"), .cert = X509_new()};
    X509_NAME *subject = X509_get_subject_name(p.cert);
    const struct pair *by = signer != NULL ? signer : &p;
    X509V3_CTX v3;
    X509_EXTENSION *ext;

    assert_non_null(p.key);
    (void)X509_set_version(p.cert, 2);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(p.cert), rand() & 0xffff);
    (void)X509_gmtime_adj(X509_getm_notBefore(p.cert), -3600);
    (void)X509_gmtime_adj(X509_getm_notAfter(p.cert), 3600);
    (void)X509_set_pubkey(p.cert, p.key);
    (void)X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    (void)X509_set_issuer_name(p.cert, X509_get_subject_name(by->cert));
    X509V3_set_ctx(&v3, by->cert, p.cert, NULL, NULL, 0);
    ext = X509V3_EXT_conf_nid(NULL, &v3, NID_basic_constraints, signer == NULL ? "critical,CA:TRUE" : "CA:FALSE");
    (void)X509_add_ext(p.cert, ext, -1);
    X509_EXTENSION_free(ext);
    assert_true(X509_sign(p.cert, by->key, EVP_sha256()) > 0);
    return p;
}

static void write_pair(const struct pair *p, const char *cert, const char *key)
{
    FILE *f = fopen(path_of(cert), "w");

    assert_non_null(f);
    assert_int_equal(PEM_write_X509(f, p->cert), 1);
    (void)fclose(f);
    f = fopen(path_of(key), "w");
    assert_non_null(f);
    assert_int_equal(PEM_write_PrivateKey(f, p->key, NULL, NULL, 0, NULL, NULL), 1);
    (void)fclose(f);
}

static int setup(void **state PL_UNUSED)
{
    if (mkdtemp(dir) == NULL) {
        return -1;
    }
    ca = make_pair("test ca", NULL);
    server_pair = make_pair("localhost", &ca);
    client_pair = make_pair("client", &ca);
    stranger = make_pair("stranger", NULL);
    write_pair(&ca, "ca.pem", "ca.key");
    write_pair(&server_pair, "server.pem", "server.key");
    write_pair(&client_pair, "client.pem", "client.key");
    write_pair(&stranger, "stranger.pem", "stranger.key");
    return 0;
}

static int teardown(void **state PL_UNUSED)
{
    static const char *const names[] = {"ca", "server", "client", "stranger"};
    struct pair *pairs[] = {&ca, &server_pair, &client_pair, &stranger};

    for (size_t i = 0; i < 4; i++) {
        char file[32];
        (void)snprintf(file, sizeof(file), "%s.pem", names[i]);
        (void)unlink(path_of(file));
        (void)snprintf(file, sizeof(file), "%s.key", names[i]);
        (void)unlink(path_of(file));
        EVP_PKEY_free(pairs[i]->key);
        X509_free(pairs[i]->cert);
    }
    return rmdir(dir);
}

/* ---- the server ---- */

static void handle(void *arg PL_UNUSED, struct http_request *req, struct http_response *resp)
{
    if (pl_str_eq(req->path, PL_STR("/big"))) {
        memset(pl_buf_reserve(&resp->body, BIG), 'y', BIG);
        resp->body.n = BIG;
        return;
    }
    pl_buf_printf(&resp->body, "%s %.*s %zu", req->tls ? "tls" : "plain", PL_STR_ARG(req->path), req->body.n);
}

static struct http_route_choice route(void *arg, struct http_request *req PL_UNUSED)
{
    return (struct http_route_choice){.handler = handle, .body_max = BIG, .pool = arg};
}

struct world {
    struct http_server *server;
    struct worker_pool *pool;
    uint16_t port;
};

static struct http_server_options options(struct worker_pool *pool)
{
    return (struct http_server_options){.address = PL_STR("127.0.0.1"),
                                        .loop_count = 1,
                                        .route = route,
                                        .arg = pool,
                                        .tls_cert_path = pl_str_c(path_of("server.pem")),
                                        .tls_key_path = pl_str_c(path_of("server.key"))};
}

/* ---- the client ---- */

struct client {
    SSL_CTX *ctx;
    SSL *ssl;
    int fd;
};

/* False when the handshake fails, as far as the client can see. */
static bool client_open(struct client *c, uint16_t port, const char *cert, const char *key, int max_version)
{
    *c = (struct client){.ctx = SSL_CTX_new(TLS_client_method()), .fd = client_connect(port)};
    assert_int_equal(SSL_CTX_load_verify_locations(c->ctx, path_of("ca.pem"), NULL), 1);
    SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER, NULL);
    (void)SSL_CTX_set_max_proto_version(c->ctx, max_version);
    if (cert != NULL) {
        assert_int_equal(SSL_CTX_use_certificate_file(c->ctx, path_of(cert), SSL_FILETYPE_PEM), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey_file(c->ctx, path_of(key), SSL_FILETYPE_PEM), 1);
    }
    c->ssl = SSL_new(c->ctx);
    (void)SSL_set_fd(c->ssl, c->fd);
    return SSL_connect(c->ssl) == 1;
}

static void client_close(struct client *c)
{
    SSL_free(c->ssl);
    SSL_CTX_free(c->ctx);
    (void)close(c->fd);
    ERR_clear_error();
}

/* One request; the whole answer into got. False when the connection broke. */
static bool ask(struct client *c, pl_str request, struct pl_buf *got)
{
    pl_buf_reset(got);
    while (request.n > 0) {
        int n = SSL_write(c->ssl, request.p, (int)request.n);
        if (n <= 0) {
            return false;
        }
        request = pl_str_sub(request, (size_t)n, request.n);
    }
    while (client_answer_size(pl_buf_view(got), false) == 0) {
        int n = SSL_read(c->ssl, pl_buf_reserve(got, 65536), 65536);
        if (n <= 0) {
            return false;
        }
        got->n += (size_t)n;
    }
    return true;
}

static void requests_over_tls(void **state PL_UNUSED)
{
    struct worker_pool *pool = worker_pool_create("test", 2, 10);
    struct http_server_options o = options(pool);
    struct http_server *s = NULL;
    struct pl_err err;
    struct client c;
    struct pl_buf got = {0}, out = {0};

    assert_int_equal(http_server_start(&s, &o, &err), PL_OK);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        assert_true(client_open(&c, http_server_port(s), NULL, NULL, version));
        for (int i = 0; i < 3; i++) {
            assert_true(ask(&c, PL_STR("GET /a HTTP/1.1\r\nHost: x\r\n\r\n"), &got));
            assert_true(client_has(&got, "tls /a 0"));
        }
        assert_true(ask(&c, PL_STR("GET /big HTTP/1.1\r\nHost: x\r\n\r\n"), &got));
        assert_true(got.n > BIG);
        pl_buf_reset(&out);
        pl_buf_printf(&out, "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", BIG);
        memset(pl_buf_reserve(&out, BIG), 'x', BIG);
        out.n += BIG;
        assert_true(ask(&c, pl_buf_view(&out), &got));
        assert_true(client_has(&got, "tls /b 4194304"));
        /* pipelined, in one record */
        assert_true(ask(&c, PL_STR("GET /c HTTP/1.1\r\nHost: x\r\n\r\nGET /d HTTP/1.1\r\nHost: x\r\n\r\n"), &got));
        while (!client_has(&got, "tls /d 0")) {
            int n = SSL_read(c.ssl, pl_buf_reserve(&got, 1000), 1000);
            assert_true(n > 0);
            got.n += (size_t)n;
        }
        client_close(&c);
    }
    http_server_stop(s, 0);
    worker_pool_destroy(pool);
    pl_buf_fini(&got);
    pl_buf_fini(&out);
}

static void client_certificates(void **state PL_UNUSED)
{
    static const struct {
        const char *auth;
        bool ca, none, own, strange; /* with the CA; which clients get an answer */
    } cases[] = {
        {"NoClientCert", false, true, true, true},
        {"RequestClientCert", false, true, true, true},
        {"RequireAnyClientCert", false, false, true, true},
        {"VerifyClientCertIfGiven", true, true, true, false},
        {"RequireAndVerifyClientCert", true, false, true, false},
    };
    struct worker_pool *pool = worker_pool_create("test", 1, 10);
    struct pl_buf got = {0};

    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        const struct {
            const char *cert, *key;
            bool want;
        } clients[] = {{NULL, NULL, cases[i].none},
                       {"client.pem", "client.key", cases[i].own},
                       {"stranger.pem", "stranger.key", cases[i].strange}};
        struct http_server_options o = options(pool);
        struct http_server *s = NULL;
        struct pl_err err;
        o.tls_client_auth = pl_str_c(cases[i].auth);
        o.tls_client_ca_path = cases[i].ca ? pl_str_c(path_of("ca.pem")) : PL_STR("");
        assert_int_equal(http_server_start(&s, &o, &err), PL_OK);
        for (size_t k = 0; k < PL_ARRAY_LEN(clients); k++) {
            struct client c;
            /* With TLS 1.3 the client sees a refusal only when it reads. */
            bool ok = client_open(&c, http_server_port(s), clients[k].cert, clients[k].key,
                                  k == 0 ? TLS1_2_VERSION : TLS1_3_VERSION) &&
                      ask(&c, PL_STR("GET /a HTTP/1.1\r\nHost: x\r\n\r\n"), &got);
            if (ok != clients[k].want) {
                fail_msg("%s, client %zu: %d", cases[i].auth, k, ok);
            }
            client_close(&c);
        }
        http_server_stop(s, 0);
    }
    worker_pool_destroy(pool);
    pl_buf_fini(&got);
}

static void bad_options(void **state PL_UNUSED)
{
    struct worker_pool *pool = worker_pool_create("test", 1, 10);
    struct http_server *s = NULL;
    struct pl_err err;
    struct http_server_options o = options(pool);

    o.tls_cert_path = PL_STR("/nonexistent/cert");
    assert_int_equal(http_server_start(&s, &o, &err), PL_INVALID);
    assert_non_null(strstr(err.msg, "load TLS certificate /nonexistent/cert: "));
    o = options(pool);
    o.tls_key_path = pl_str_c(path_of("client.key"));
    assert_int_equal(http_server_start(&s, &o, &err), PL_INVALID);
    o = options(pool);
    o.tls_client_auth = PL_STR("Sometimes");
    assert_int_equal(http_server_start(&s, &o, &err), PL_INVALID);
    assert_string_equal(err.msg, "unknown TLS client auth type: Sometimes");
    o.tls_client_auth = PL_STR("RequireAndVerifyClientCert");
    assert_int_equal(http_server_start(&s, &o, &err), PL_INVALID);
    o = options(pool);
    o.tls_min_version = PL_STR("VersionSSL30");
    assert_int_equal(http_server_start(&s, &o, &err), PL_INVALID);
    o = options(pool);
    o.tls_cipher_suites = PL_STR("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_NOT_A_CIPHER");
    assert_int_equal(http_server_start(&s, &o, &err), PL_INVALID);
    assert_string_equal(err.msg, "unknown TLS cipher suite: TLS_NOT_A_CIPHER");
    worker_pool_destroy(pool);
}

static void versions_and_ciphers(void **state PL_UNUSED)
{
    struct worker_pool *pool = worker_pool_create("test", 1, 10);
    struct http_server_options o = options(pool);
    struct http_server *s = NULL;
    struct pl_err err;
    struct client c;

    o.tls_min_version = PL_STR("VersionTLS13");
    assert_int_equal(http_server_start(&s, &o, &err), PL_OK);
    assert_false(client_open(&c, http_server_port(s), NULL, NULL, TLS1_2_VERSION));
    client_close(&c);
    assert_true(client_open(&c, http_server_port(s), NULL, NULL, TLS1_3_VERSION));
    client_close(&c);
    http_server_stop(s, 0);

    o = options(pool);
    o.tls_cipher_suites = PL_STR("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305");
    assert_int_equal(http_server_start(&s, &o, &err), PL_OK);
    assert_true(client_open(&c, http_server_port(s), NULL, NULL, TLS1_2_VERSION));
    assert_string_equal(SSL_get_cipher_name(c.ssl), "ECDHE-ECDSA-AES256-GCM-SHA384");
    client_close(&c);
    http_server_stop(s, 0);
    worker_pool_destroy(pool);
}

/* A handshake that never ends falls under the deadline of a head; plain text to a TLS port ends at once. */
static void broken_handshakes(void **state PL_UNUSED)
{
    struct worker_pool *pool = worker_pool_create("test", 1, 10);
    struct http_server_options o = options(pool);
    struct http_server *s = NULL;
    struct pl_err err;
    struct pl_buf got = {0};
    int64_t start_ns;
    int fd;

    o.head_timeout_ns = 300 * PL_NS_PER_MS;
    assert_int_equal(http_server_start(&s, &o, &err), PL_OK);
    fd = client_connect(http_server_port(s));
    assert_true(client_send(fd, PL_STR("GET / HTTP/1.1\r\nHost: x\r\n\r\n")));
    assert_true(client_read_to_end(fd, &got));
    assert_false(client_has(&got, "HTTP/1.1"));
    (void)close(fd);
    start_ns = pl_now_mono_ns();
    fd = client_connect(http_server_port(s));
    assert_true(client_send(fd, PL_STR("\x16\x03\x01\x02")));
    assert_true(client_read_to_end(fd, &got));
    assert_in_range(pl_now_mono_ns() - start_ns, 250 * PL_NS_PER_MS, 3 * PL_NS_PER_S);
    (void)close(fd);
    http_server_stop(s, 0);
    worker_pool_destroy(pool);
    pl_buf_fini(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_over_tls),    cmocka_unit_test(client_certificates), cmocka_unit_test(bad_options),
        cmocka_unit_test(versions_and_ciphers), cmocka_unit_test(broken_handshakes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
