/* tls_pair.h - both ends of a TLS connection of ours, without a socket. */
#ifndef TESTS_TLS_PAIR_H
#define TESTS_TLS_PAIR_H

#include "net/tls/tls_handshake.h"
#include "net/tls/tls_record.h"
#include "tests/lib/tls_fixture.h"

struct tls_pair {
	struct tls_handshake *server, *client;
	struct buffer *to_server, *to_client;
	enum tls_handshake_status server_status, client_status;
};

/* One end reads what the other has sent, `cut` bytes at a time; what it leaves stays.
 */
static inline enum tls_handshake_status
tls_pair_step(struct tls_handshake *handshake, struct buffer **from, struct buffer **to,
    size_t cut)
{
	enum tls_handshake_status status;
	size_t consumed;
	do {
		size_t n = buffer_length(*from) < cut ? buffer_length(*from) : cut;
		const uint8_t *data = n == 0 ? NULL : (*from)->data + (*from)->start;
		status = tls_handshake_step(handshake, data, n, to, &consumed);
		must(status != TLS_HANDSHAKE_WANT_MORE || consumed == n);
		if (consumed > 0)
			buffer_consume(from, consumed);
	} while (status == TLS_HANDSHAKE_WANT_MORE && buffer_length(*from) > 0);
	return status;
}

static inline void
tls_pair_start(struct tls_pair *pair, struct tls_context *server,
    struct tls_context *client, const struct tls_client_options *options)
{
	*pair = (struct tls_pair){ .server = NULL };
	pair->server = tls_handshake_create_server(server);
	pair->client = tls_handshake_create_client(client, options);
	must(pair->server != NULL && pair->client != NULL);
}

/* Runs both ends until nothing moves; each gets `cut` bytes at a time. */
static inline void
tls_pair_run(struct tls_pair *pair, size_t cut)
{
	pair->client_status =
	    tls_pair_step(pair->client, &pair->to_client, &pair->to_server, cut);
	while (true) {
		pair->server_status = tls_pair_step(
		    pair->server, &pair->to_server, &pair->to_client, cut);
		if (buffer_length(pair->to_client) == 0 ||
		    pair->client_status != TLS_HANDSHAKE_WANT_MORE)
			break;
		pair->client_status = tls_pair_step(
		    pair->client, &pair->to_client, &pair->to_server, cut);
		if (buffer_length(pair->to_server) == 0)
			break;
	}
}

static inline void
tls_pair_finish(struct tls_pair *pair)
{
	tls_handshake_destroy(pair->server);
	tls_handshake_destroy(pair->client);
	buffer_release(&pair->to_server);
	buffer_release(&pair->to_client);
}

static inline struct tls_context *
tls_must_create(bool is_server, const struct tls_settings *settings)
{
	char error[TLS_ERROR_MAX];
	struct tls_context *context = is_server
	    ? tls_context_create_server(settings, error)
	    : tls_context_create_client(settings, error);
	if (context == NULL)
		fprintf(stderr, "%s\n", error);
	must(context != NULL);
	return context;
}

#endif
