#include "net/tls/tls_handshake.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "lib/printable.h"
#include "net/tls/tls_explain.h"
#include "net/tls/tls_identity_use.h"
#include "net/tls/tls_observer.h"
#include "net/tls/tls_record.h"
#include "net/tls/tls_suites.h"

#define WATCHED_MAX (64 * 1024) /* bytes in which a ticket is awaited */
/* Bytes of a client until the handshake is complete, before its last record: two
 * ClientHello, or a certificate chain as well. OpenSSL alone would keep messages of 131
 * kB. */
#define CLIENT_BYTES_MAX (size_t)(16 * 1024)
#define CLIENT_CHAIN_BYTES_MAX (size_t)(48 * 1024)
#define RANDOM_BYTES 32
#define MASTER_BYTES 48

struct tls_handshake {
	struct tls_context *context;
	SSL *ssl; /* NULL: taken */
	struct tls_observer observer;
	enum tls_handshake_status status;
	char *name;           /* of the server, as the client asks for it; NULL: none */
	const uint8_t *input; /* during a step: what OpenSSL has not read */
	size_t input_length;
	struct buffer **output; /* during a step; NULL: what is written is dropped */
	uint8_t first[TLS_FIRST_BYTES];
	size_t first_bytes;
	size_t consumed; /* by all steps */
	size_t watched;
};

/* True, with the reason, if the client has sent more than any handshake needs and
 * OpenSSL asks for the header of the next record. */
static bool
is_too_long(struct tls_handshake *handshake, int size)
{
	struct tls_observer *observer = &handshake->observer;
	size_t most = handshake->context->verify == TLS_VERIFY_NONE
	    ? CLIENT_BYTES_MAX
	    : CLIENT_CHAIN_BYTES_MAX;
	if (!observer->is_server || handshake->consumed <= most ||
	    size != SSL3_RT_HEADER_LENGTH ||
	    strcmp(SSL_rstate_string(handshake->ssl), "RH") != 0)
		return false;
	observer->kind = TLS_FAILURE_PROTOCOL;
	snprintf(observer->reason, sizeof(observer->reason),
	    "the client sent %zu bytes without completing the handshake, expected at "
	    "most %zu",
	    handshake->consumed, most);
	return true;
}

/* OpenSSL reads from the input of the step. */
static int
on_read(BIO *bio, char *to, int size)
{
	/* Longer than a record can be: OpenSSL ends the handshake, and sends the alert
	 * record_overflow under the keys of the moment. */
	static const uint8_t overlong[SSL3_RT_HEADER_LENGTH] = {
		SSL3_RT_APPLICATION_DATA, 3, 3, 0xff, 0xff
	};
	struct tls_handshake *handshake = BIO_get_data(bio);
	size_t n = handshake->input_length;
	BIO_clear_retry_flags(bio);
	if (is_too_long(handshake, size)) {
		memcpy(to, overlong, sizeof(overlong));
		return sizeof(overlong);
	}
	if (n == 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	if (n > (size_t)size)
		n = (size_t)size;
	memcpy(to, handshake->input, n);
	handshake->input += n;
	handshake->input_length -= n;
	handshake->consumed += n;
	return (int)n;
}

static int
on_write(BIO *bio, const char *data, int length)
{
	struct tls_handshake *handshake = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	if (handshake->output != NULL &&
	    buffer_append(handshake->output, data, (size_t)length) < 0)
		return -1;
	return length;
}

static long
on_control(BIO *bio, int command, long number, void *pointer)
{
	(void)bio, (void)number, (void)pointer;
	return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP;
}

static int
on_create(BIO *bio)
{
	BIO_set_init(bio, 1);
	return 1;
}

/* Made once in a process; NULL: out of memory. */
static BIO_METHOD *
bio_method(void)
{
	static BIO_METHOD *method;
	if (method != NULL)
		return method;
	method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "buffers");
	if (method == NULL)
		return NULL;
	BIO_meth_set_read(method, on_read);
	BIO_meth_set_write(method, on_write);
	BIO_meth_set_ctrl(method, on_control);
	BIO_meth_set_create(method, on_create);
	return method;
}

static struct tls_handshake *
create(struct tls_context *context, bool is_server)
{
	struct tls_handshake *handshake = calloc(1, sizeof(*handshake));
	if (handshake == NULL)
		return NULL;
	handshake->context = tls_context_ref(context);
	handshake->observer.is_server = is_server;
	handshake->ssl = SSL_new(context->ssl);
	BIO *bio = bio_method() == NULL ? NULL : BIO_new(bio_method());
	if (handshake->ssl == NULL || bio == NULL) {
		BIO_free(bio);
		tls_handshake_destroy(handshake);
		errno = ENOMEM;
		return NULL;
	}
	BIO_set_data(bio, handshake);
	SSL_set_bio(handshake->ssl, bio, bio);
	tls_observer_attach(&handshake->observer, handshake->ssl);
	if (is_server)
		SSL_set_accept_state(handshake->ssl);
	else
		SSL_set_connect_state(handshake->ssl);
	return handshake;
}

struct tls_handshake *
tls_handshake_create_server(struct tls_context *context)
{
	return create(context, true);
}

/* SNI is for names alone (RFC 6066, 3). */
static bool
set_name(struct tls_handshake *handshake, const char *name)
{
	struct in6_addr ip;
	bool is_ip =
	    inet_pton(AF_INET, name, &ip) == 1 || inet_pton(AF_INET6, name, &ip) == 1;
	handshake->name = strdup(name);
	handshake->observer.name = handshake->name;
	if (handshake->name == NULL)
		return false;
	SSL_set_hostflags(handshake->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (is_ip)
		return X509_VERIFY_PARAM_set1_ip_asc(
			   SSL_get0_param(handshake->ssl), name) == 1;
	return SSL_set1_host(handshake->ssl, name) == 1 &&
	    SSL_set_tlsext_host_name(handshake->ssl, name) == 1;
}

/* OpenSSL refuses to resume from a session again that was used once (TLS 1.3) or
 * renewed (TLS 1.2): each connection has its own copy. */
static bool
set_ticket(SSL *ssl, const struct tls_ticket *ticket)
{
	SSL_SESSION *copy = SSL_SESSION_dup((const SSL_SESSION *)ticket);
	bool is_set = copy != NULL && SSL_set_session(ssl, copy) == 1;
	SSL_SESSION_free(copy);
	return is_set;
}

struct tls_handshake *
tls_handshake_create_client(
    struct tls_context *context, const struct tls_client_options *options)
{
	struct tls_handshake *handshake = create(context, false);
	if (handshake == NULL)
		return NULL;
	SSL *ssl = handshake->ssl;
	handshake->observer.keeps_ticket = options->keeps_ticket;
	if ((options->name != NULL && !set_name(handshake, options->name)) ||
	    (options->identity != NULL && !tls_identity_use(options->identity, ssl)) ||
	    (options->ticket != NULL && !set_ticket(ssl, options->ticket))) {
		ERR_clear_error();
		tls_handshake_destroy(handshake);
		errno = ENOMEM;
		return NULL;
	}
	return handshake;
}

static void
free_ssl(struct tls_handshake *handshake)
{
	if (handshake->ssl == NULL)
		return;
	/* Otherwise the session could not be resumed (SSL_free(3)). */
	SSL_set_shutdown(handshake->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(handshake->ssl);
	handshake->ssl = NULL;
}

void
tls_handshake_destroy(struct tls_handshake *handshake)
{
	if (handshake == NULL)
		return;
	free_ssl(handshake);
	tls_observer_finish(&handshake->observer);
	tls_context_release(handshake->context);
	free(handshake->name);
	free(handshake);
}

static void
keep_first_bytes(struct tls_handshake *handshake, const uint8_t *data, size_t length)
{
	size_t n = TLS_FIRST_BYTES - handshake->first_bytes;
	if (n > length)
		n = length;
	if (n > 0)
		memcpy(handshake->first + handshake->first_bytes, data, n);
	handshake->first_bytes += n;
}

/* OpenSSL sends an alert for most failures; it stays silent where the peer does not
 * speak TLS. */
static enum tls_handshake_status
fail(struct tls_handshake *handshake)
{
	struct tls_observer *observer = &handshake->observer;
	if (observer->has_message || observer->kind != TLS_FAILURE_NONE ||
	    !tls_explain_first_bytes(
		observer, handshake->first, handshake->first_bytes))
		tls_explain_failure(observer, handshake->context);
	ERR_clear_error();
	return TLS_HANDSHAKE_FAILED;
}

enum tls_handshake_status
tls_handshake_step(struct tls_handshake *handshake, const uint8_t *data, size_t length,
    struct buffer **output, size_t *ret_consumed)
{
	*ret_consumed = 0;
	if (handshake->status != TLS_HANDSHAKE_WANT_MORE)
		return handshake->status;
	keep_first_bytes(handshake, data, length);
	handshake->input = data;
	handshake->input_length = length;
	handshake->output = output;
	ERR_clear_error();
	int result = SSL_do_handshake(handshake->ssl);
	int error =
	    result == 1 ? SSL_ERROR_NONE : SSL_get_error(handshake->ssl, result);
	*ret_consumed = length - handshake->input_length;
	handshake->input = NULL;
	handshake->input_length = 0;
	handshake->output = NULL;
	if (result == 1)
		handshake->status = TLS_HANDSHAKE_DONE;
	else if (error != SSL_ERROR_WANT_READ)
		handshake->status = fail(handshake);
	return handshake->status;
}

void
tls_handshake_cut(struct tls_handshake *handshake, int error)
{
	struct tls_observer *observer = &handshake->observer;
	if (handshake->status != TLS_HANDSHAKE_WANT_MORE)
		return;
	handshake->status = TLS_HANDSHAKE_FAILED;
	if (!observer->has_message &&
	    tls_explain_first_bytes(observer, handshake->first, handshake->first_bytes))
		return;
	tls_explain_cut(observer, error);
}

void
tls_handshake_failure(
    const struct tls_handshake *handshake, struct tls_failure_facts *ret)
{
	const struct tls_observer *observer = &handshake->observer;
	*ret = (struct tls_failure_facts){ .kind = observer->kind,
		.alert_sent = observer->alert_sent,
		.alert_received = observer->alert_received,
		.reason = observer->reason };
}

/* The group by its usual name. */
static const char *
group_name(SSL *ssl)
{
	int group = (int)SSL_get_negotiated_group(ssl);
	const char *name = group == 0 ? NULL : SSL_group_to_name(ssl, group);
	if (name == NULL)
		return "";
	if (strcmp(name, "secp256r1") == 0 || strcmp(name, "prime256v1") == 0)
		return "P-256";
	if (strcmp(name, "secp384r1") == 0)
		return "P-384";
	if (strcmp(name, "secp521r1") == 0)
		return "P-521";
	return strcmp(name, "x25519") == 0 ? "X25519" : name;
}

static void
safe_copy(const void *text, size_t length, char *out, size_t size)
{
	if (length >= size)
		length = size - 1;
	if (length > 0)
		memcpy(out, text, length);
	out[length] = '\0';
	printable_sanitize(out);
}

void
tls_handshake_facts(const struct tls_handshake *handshake, struct tls_facts *ret)
{
	SSL *ssl = handshake->ssl;
	const unsigned char *alpn;
	unsigned alpn_length;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	const struct tls_suite *suite =
	    tls_suite_find(SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(ssl)));
	SSL_get0_alpn_selected(ssl, &alpn, &alpn_length);
	ret->version = (uint16_t)SSL_version(ssl);
	ret->suite_id = suite == NULL ? 0 : suite->id;
	ret->suite = suite == NULL ? "" : suite->name;
	ret->group = group_name(ssl);
	ret->is_resumed = SSL_session_reused(ssl) == 1;
	ret->has_certificate = SSL_get0_peer_certificate(ssl) != NULL;
	safe_copy(alpn, alpn_length, ret->alpn, sizeof(ret->alpn));
	safe_copy(name, name == NULL ? 0 : strlen(name), ret->server_name,
	    sizeof(ret->server_name));
	/* A resumed session was verified in its first handshake. */
	ret->is_verified = ret->has_certificate &&
	    (handshake->observer.was_verified ||
		(ret->is_resumed && handshake->context->verify != TLS_VERIFY_NONE &&
		    SSL_get_verify_result(ssl) == X509_V_OK));
}

bool
tls_handshake_certificate(
    const struct tls_handshake *handshake, size_t index, struct tls_certificate *ret)
{
	const SSL *ssl = handshake->ssl;
	if (ssl == NULL)
		return false;
	const X509 *own = SSL_get0_peer_certificate(ssl);
	/* At a server the chain is without the client's own certificate. */
	const STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);
	size_t skipped = handshake->observer.is_server ? 1 : 0;
	if (index == 0 && own != NULL) {
		tls_certificate_describe(own, ret);
		return true;
	}
	if (own == NULL || index < skipped ||
	    index - skipped >=
		(size_t)(sk_X509_num(chain) > 0 ? sk_X509_num(chain) : 0))
		return false;
	tls_certificate_describe(sk_X509_value(chain, (int)(index - skipped)), ret);
	return true;
}

/* TLS 1.3: keys from the secrets of the key log; 1.2: from the master secret. */
static int
derive_keys(const struct tls_handshake *handshake, struct tls_session *session)
{
	const struct tls_observer *observer = &handshake->observer;
	uint8_t master[MASTER_BYTES], client[RANDOM_BYTES], server[RANDOM_BYTES];
	int status = -1;
	if (session->version == TLS_VERSION_1_3) {
		memcpy(session->receive.secret, observer->receive_secret,
		    session->hash_bytes);
		memcpy(
		    session->send.secret, observer->send_secret, session->hash_bytes);
		if (tls_session_derive(session, &session->receive) == 0)
			status = tls_session_derive(session, &session->send);
	} else if (SSL_SESSION_get_master_key(SSL_get_session(handshake->ssl), master,
		       sizeof(master)) == sizeof(master)) {
		SSL_get_client_random(handshake->ssl, client, sizeof(client));
		SSL_get_server_random(handshake->ssl, server, sizeof(server));
		status = tls_session_derive_1_2(session, master, client, server);
		OPENSSL_cleanse(master, sizeof(master));
	}
	session->receive.sequence = observer->receive_sequence;
	session->send.sequence = observer->send_sequence;
	return status;
}

int
tls_handshake_take(struct tls_handshake *handshake, struct tls_session *ret)
{
	struct tls_observer *observer = &handshake->observer;
	const struct tls_suite *suite = tls_suite_find(
	    SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(handshake->ssl)));
	if (suite == NULL) {
		errno = EPROTO;
		return -1;
	}
	struct tls_session session = {
		.version = (uint16_t)SSL_version(handshake->ssl),
		.aead = suite->aead,
		.hash_bytes = suite->hash_bytes,
		.is_server = observer->is_server,
	};
	int status = derive_keys(handshake, &session);
	if (status == 0) {
		*ret = session;
		OPENSSL_cleanse(observer->receive_secret, TLS_SECRET_MAX);
		OPENSSL_cleanse(observer->send_secret, TLS_SECRET_MAX);
		/* In TLS 1.2 the ticket is a part of the handshake (RFC 5077, 3.3). */
		if (!observer->keeps_ticket || observer->ticket != NULL ||
		    ret->version == TLS_VERSION_1_2)
			free_ssl(handshake);
	} else {
		errno = ENOMEM;
	}
	tls_session_wipe(&session);
	return status;
}

bool
tls_handshake_watch(struct tls_handshake *handshake, const uint8_t *data, size_t length)
{
	uint8_t plain[TLS_RECORD_DATA_MAX];
	bool goes_on = handshake->ssl != NULL;
	if (!goes_on || length == 0)
		return goes_on;
	handshake->input = data;
	handshake->input_length = length;
	handshake->watched += length;
	ERR_clear_error();
	/* Application data is opened by the caller as well: here it is dropped. */
	while (goes_on) {
		int n = SSL_read(handshake->ssl, plain, sizeof(plain));
		if (n > 0)
			continue;
		goes_on = SSL_get_error(handshake->ssl, n) == SSL_ERROR_WANT_READ &&
		    handshake->observer.ticket == NULL &&
		    handshake->watched < WATCHED_MAX;
		break;
	}
	OPENSSL_cleanse(plain, sizeof(plain));
	ERR_clear_error();
	handshake->input = NULL;
	handshake->input_length = 0;
	if (!goes_on)
		free_ssl(handshake);
	return goes_on;
}

struct tls_ticket *
tls_handshake_fetch_ticket(struct tls_handshake *handshake)
{
	SSL_SESSION *ticket = handshake->observer.ticket;
	handshake->observer.ticket = NULL;
	return (struct tls_ticket *)ticket;
}

struct tls_ticket *
tls_ticket_ref(struct tls_ticket *ticket)
{
	SSL_SESSION_up_ref((SSL_SESSION *)ticket);
	return ticket;
}

void
tls_ticket_release(struct tls_ticket *ticket)
{
	SSL_SESSION_free((SSL_SESSION *)ticket);
}
