/* io/tls.h - TLS for a server, as a filter between ciphertext and plaintext in memory. Library: OpenSSL, used by tls.c
 * only.
 *
 * Promise: no sockets and no blocking; the caller moves bytes. One context serves all connections of a listener.
 * Threads: a context may be shared; a connection is confined to one thread at a time.
 */
#ifndef PL_IO_TLS_H
#define PL_IO_TLS_H

#include "base/base.h"
#include "base/buf.h"

struct tls_context;
struct tls_conn;

struct tls_options {
    pl_str cert_path, key_path;
    pl_str client_ca_path;
    pl_str client_auth;   /* Go's names, "NoClientCert" ...; empty: no client certificates */
    pl_str min_version;   /* "VersionTLS10" ... "VersionTLS13"; empty: TLS 1.2 */
    pl_str cipher_suites; /* Go's names, comma separated; empty: the library's choice */
};

/* Reads the files. PL_INVALID names the option value or the file that is wrong. */
PL_MUST_USE pl_status tls_context_create(struct tls_context **out, const struct tls_options *o, struct pl_err *err);
void tls_context_destroy(struct tls_context *ctx); /* NULL allowed */

struct tls_conn *tls_conn_create(struct tls_context *ctx); /* ctx is borrowed */
void tls_conn_destroy(struct tls_conn *t);                 /* NULL allowed */
/* Ciphertext that arrived. */
void tls_conn_feed(struct tls_conn *t, pl_str cipher);
size_t tls_conn_fed_bytes(const struct tls_conn *t); /* ciphertext that was fed and not yet read */
/* Plaintext into out[0..n): its length; 0: more ciphertext is needed; -1: the peer closed or broke the protocol. Also
 * makes the handshake go on, so take the output after each call. */
int tls_conn_read(struct tls_conn *t, char *out, size_t n);
bool tls_conn_ready(const struct tls_conn *t); /* the handshake is done */
/* Encrypts plaintext; the handshake must be done. False when the connection is broken. */
PL_MUST_USE bool tls_conn_write(struct tls_conn *t, pl_str plain);
void tls_conn_shutdown(struct tls_conn *t); /* adds close_notify to the output */
/* Moves what must be sent into out (appended). */
void tls_conn_output(struct tls_conn *t, struct pl_buf *out);
/* Why it broke, for the log: text valid until the next call on this thread. */
const char *tls_conn_error(const struct tls_conn *t);

#endif
