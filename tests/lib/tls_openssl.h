/* tls_openssl.h - an OpenSSL client or server on memory, as the peer of net/tls. */
#ifndef TESTS_TLS_OPENSSL_H
#define TESTS_TLS_OPENSSL_H

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "lib/buffer.h"
#include "net/tls/tls_handshake.h"
#include "net/tls/tls_record.h"
#include "tests/lib/tls_fixture.h"

struct tls_openssl {
	SSL_CTX *context;
	SSL *ssl;
	SSL_SESSION *session; /* the newest of a client */
};

static inline int
tls_openssl_keep(SSL *ssl, SSL_SESSION *session)
{
	struct tls_openssl *peer = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	SSL_SESSION_free(peer->session);
	peer->session = session;
	return 1;
}

/* A server presents the file's certificate; a client verifies nothing. suite: of one
 * version, in OpenSSL's form. */
static inline void
tls_openssl_start(
    struct tls_openssl *peer, bool is_server, const char *suite, const char *file)
{
	char name[64];
	bool is_1_3 = strncmp(suite, "TLS_", 4) == 0;
	int version = is_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;
	*peer = (struct tls_openssl){ .context = SSL_CTX_new(is_server
					      ? TLS_server_method()
					      : TLS_client_method()) };
	SSL_CTX *context = peer->context;
	must(context != NULL);
	SSL_CTX_set_min_proto_version(context, version);
	SSL_CTX_set_max_proto_version(context, version);
	must((is_1_3 ? SSL_CTX_set_ciphersuites(context, suite)
		     : SSL_CTX_set_cipher_list(context, suite)) == 1);
	SSL_CTX_set_app_data(context, peer);
	SSL_CTX_set_session_cache_mode(
	    context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(context, tls_openssl_keep);
	if (is_server) {
		SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
		snprintf(name, sizeof(name), "%s.pem", file);
		must(SSL_CTX_use_certificate_file(
			 context, tls_path(name), SSL_FILETYPE_PEM) == 1);
		snprintf(name, sizeof(name), "%s.key", file);
		must(SSL_CTX_use_PrivateKey_file(
			 context, tls_path(name), SSL_FILETYPE_PEM) == 1);
	}
}

/* Begins a connection; an earlier one is dropped. */
static inline void
tls_openssl_open(struct tls_openssl *peer, bool is_server)
{
	if (peer->ssl != NULL)
		SSL_set_shutdown(peer->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(peer->ssl);
	peer->ssl = SSL_new(peer->context);
	must(peer->ssl != NULL);
	SSL_set_bio(peer->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	if (is_server)
		SSL_set_accept_state(peer->ssl);
	else
		SSL_set_connect_state(peer->ssl);
	if (peer->session != NULL)
		must(SSL_set_session(peer->ssl, peer->session) == 1);
}

static inline void
tls_openssl_finish(struct tls_openssl *peer)
{
	SSL_SESSION_free(peer->session);
	SSL_free(peer->ssl);
	SSL_CTX_free(peer->context);
	ERR_clear_error();
}

/* What the peer has sent and nothing has taken. */
static inline size_t
tls_openssl_output(struct tls_openssl *peer, uint8_t **ret)
{
	return (size_t)BIO_get_mem_data(SSL_get_wbio(peer->ssl), ret);
}

static inline void
tls_openssl_taken(struct tls_openssl *peer, size_t length)
{
	static uint8_t drop[65536];
	while (length > 0) {
		int n = BIO_read(SSL_get_wbio(peer->ssl), drop,
		    (int)(length < sizeof(drop) ? length : sizeof(drop)));
		must(n > 0);
		length -= (size_t)n;
	}
}

static inline void
tls_openssl_give(struct tls_openssl *peer, const void *data, size_t length)
{
	must(length == 0 ||
	    BIO_write(SSL_get_rbio(peer->ssl), data, (int)length) == (int)length);
}

/* The handshake between the peer and ours. Both must come through; our end gets `cut`
 * bytes at a time. */
static inline void
tls_openssl_shake(struct tls_openssl *peer, struct tls_handshake *ours, size_t cut)
{
	enum tls_handshake_status status = TLS_HANDSHAKE_WANT_MORE;
	int done = 0;
	for (int round = 0; round < 200000 && (done != 1 || status == 0); round++) {
		struct buffer *output = NULL;
		uint8_t *data = NULL;
		size_t consumed;
		done = SSL_do_handshake(peer->ssl);
		size_t n = tls_openssl_output(peer, &data);
		n = n < cut ? n : cut;
		status = tls_handshake_step(ours, data, n, &output, &consumed);
		must(status != TLS_HANDSHAKE_FAILED);
		tls_openssl_taken(peer, consumed);
		if (output != NULL)
			tls_openssl_give(
			    peer, output->data + output->start, buffer_length(output));
		buffer_release(&output);
	}
	must(done == 1 && status == TLS_HANDSHAKE_DONE);
}

#endif
