#include "worker/connection/whoami_state.h"

#include <sys/socket.h>

#include <stdio.h>
#include <string.h>

#include "lib/clock.h"
#include "net/mptcp.h"
#include "net/socket_info.h"
#include "net/tls/tls_handshake.h"
#include "proto/whoami.h"
#include "worker/connection/connection.h"
#include "worker/connection/worker_state.h"

struct snapshot {
	uint64_t received, sent; /* of the connection when it was taken */
	uint64_t age_us;
	uint32_t slot, generation;
	char instance[WHOAMI_INSTANCE_MAX + 1];
	int32_t incoming_cpu;
	uint16_t subflows; /* of MPTCP */
	uint8_t is_taken, has_tcp;
	struct tcp_info_view tcp;
};

struct about {
	uint64_t accepted_ns; /* CLOCK_MONOTONIC */
	uint64_t number;
	uint32_t slot, generation;   /* of the worker that accepted it */
	struct address_compact peer; /* of the socket */
	uint16_t syn_bytes, header_bytes, tls_bytes; /* behind this struct */
	struct snapshot snapshot;
};
_Static_assert(sizeof(struct about) <= 512, "WHOAMI_ABOUT_MAX");

static struct about *
about_of(const struct connection *connection)
{
	struct buffer *about = connection->about;
	return about == NULL ? NULL : (void *)(about->data + about->start);
}

static void
set_peer(struct about *about, const struct connection *connection)
{
	struct address peer = { .length = sizeof(peer.storage) };
	about->peer = connection->peer;
	if (connection->phase == CONNECTION_SERVING &&
	    connection->listener->config->proxy_protocol != PROXY_OFF &&
	    getpeername(connection_fd(connection), (struct sockaddr *)&peer.storage,
		&peer.length) == 0) {
		if (address_is_unix(&peer))
			address_set_process(connection_fd(connection), &peer);
		address_compact(&peer, &about->peer);
	}
}

int
whoami_state_create(struct connection *connection)
{
	const struct worker_listener *listener = connection->listener;
	struct about about = { .accepted_ns = clock_now_ns(),
		.number = ledger_read(listener->block, LEDGER_CONNECTIONS_ACCEPTED),
		.slot = listener->worker->slot,
		.generation = listener->worker->generation };
	uint8_t syn[TCP_SYN_MAX];
	set_peer(&about, connection);
	about.syn_bytes = (uint16_t)tcp_syn_read(connection_fd(connection), syn);
	struct buffer *buffer = NULL;
	if (buffer_reserve(&buffer, sizeof(about) + about.syn_bytes) < 0 ||
	    buffer_append(&buffer, &about, sizeof(about)) < 0 ||
	    buffer_append(&buffer, syn, about.syn_bytes) < 0) {
		buffer_release(&buffer);
		return -1;
	}
	connection->about = buffer;
	return 0;
}

void
whoami_state_check(struct connection *connection)
{
	struct about *about = about_of(connection);
	size_t length = buffer_length(connection->about);
	if (about == NULL)
		return;
	if (length < sizeof(*about) ||
	    length - sizeof(*about) !=
		(size_t)about->syn_bytes + about->header_bytes + about->tls_bytes)
		buffer_release(&connection->about);
	/* The worker died when it had kept a header that will be taken again. */
	else if (connection->phase == CONNECTION_AWAITING_HEADER) {
		connection->about->end -= about->header_bytes;
		about->header_bytes = about->tls_bytes = 0;
	}
}

int
whoami_state_add_header(
    struct connection *connection, const uint8_t *header, size_t length)
{
	if (connection->about == NULL)
		return 0;
	if (buffer_append(&connection->about, header, length) < 0)
		return -1;
	struct about *about = about_of(connection);
	if (about != NULL)
		about->header_bytes = (uint16_t)length;
	return 0;
}

uint64_t
whoami_state_accepted_ns(const struct connection *connection)
{
	const struct about *about = about_of(connection);
	return about == NULL ? 0 : about->accepted_ns;
}

size_t
whoami_state_syn(const struct connection *connection, uint8_t *ret)
{
	const struct about *about = about_of(connection);
	if (about == NULL || about->syn_bytes > TCP_SYN_MAX)
		return 0;
	memcpy(ret, about + 1, about->syn_bytes);
	return about->syn_bytes;
}

/* Its texts follow each other, each with its NUL. */
struct about_tls {
	uint16_t version;
	uint8_t is_resumed, is_verified;
	char texts[WHOAMI_TLS_MAX - 4];
};
#define TLS_TEXTS 5
#define TLS_TEXT_MAX ((sizeof(((struct about_tls *)0)->texts) / TLS_TEXTS) - 1)

int
whoami_state_add_tls(
    struct connection *connection, const struct tls_handshake *handshake)
{
	struct tls_facts facts;
	struct tls_certificate certificate;
	struct about_tls tls = { .version = 0 };
	if (connection->about == NULL)
		return 0;
	tls_handshake_facts(handshake, &facts);
	tls.version = facts.version;
	tls.is_resumed = facts.is_resumed;
	tls.is_verified = facts.is_verified;
	if (!tls_handshake_certificate(handshake, 0, &certificate))
		certificate.subject[0] = '\0';
	const char *const texts[TLS_TEXTS] = { facts.suite, facts.group,
		facts.server_name, facts.alpn, certificate.subject };
	size_t bytes = 0;
	for (int i = 0; i < TLS_TEXTS; i++)
		bytes += (size_t)snprintf(tls.texts + bytes, TLS_TEXT_MAX + 1, "%.*s",
			     (int)TLS_TEXT_MAX, texts[i]) +
		    1;
	bytes += offsetof(struct about_tls, texts);
	if (buffer_append(&connection->about, &tls, bytes) < 0)
		return -1;
	struct about *about = about_of(connection);
	if (about != NULL)
		about->tls_bytes = (uint16_t)bytes;
	return 0;
}

/* Parses untrusted bytes. False if there are none. */
static bool
read_tls(
    const uint8_t *data, size_t length, struct about_tls *copy, struct whoami_tls *ret)
{
	const char **texts[TLS_TEXTS] = { &ret->suite, &ret->group, &ret->server_name,
		&ret->alpn, &ret->subject };
	if (length == 0 || length > sizeof(*copy))
		return false;
	memset(copy, 0, sizeof(*copy));
	memcpy(copy, data, length);
	copy->texts[sizeof(copy->texts) - 1] = '\0';
	ret->version = tls_version_name(copy->version);
	ret->is_resumed = copy->is_resumed != 0;
	ret->is_verified = copy->is_verified != 0;
	const char *at = copy->texts, *end = copy->texts + sizeof(copy->texts) - 1;
	for (int i = 0; i < TLS_TEXTS; i++) {
		*texts[i] = at;
		at += strlen(at);
		at += at < end ? 1 : 0;
	}
	return true;
}

/* Takes the snapshot of all replies until the next commit, if it is not taken yet: the
 * connection has neither received nor sent bytes since it began. */
static void
update_snapshot(const struct connection *connection, struct about *about)
{
	const struct worker *worker = connection->listener->worker;
	const struct connection_state *begin = &worker->record->undo;
	struct snapshot *old = &about->snapshot;
	bool is_current = old->is_taken != 0 && old->received == begin->received &&
	    old->sent == begin->sent;
	if (is_current)
		return;
	if (connection->skip == 0 || old->is_taken == 0) {
		int fd = connection_fd(connection);
		struct snapshot now = {
			.age_us = (clock_now_ns() - about->accepted_ns) / 1000,
			.slot = worker->slot,
			.generation = worker->generation,
			.incoming_cpu = socket_info_option(fd, SO_INCOMING_CPU),
			.subflows = connection->listener->address.is_mptcp
			    ? (uint16_t)mptcp_subflows(fd)
			    : 0,
			.is_taken = 1
		};
		memcpy(
		    now.instance, worker->config->instance_name, sizeof(now.instance));
		now.has_tcp = tcp_info_read(fd, &now.tcp) == 0;
		*old = now;
	}
	old->received = begin->received;
	old->sent = begin->sent;
}

size_t
whoami_state_write(const struct connection *connection, char *out)
{
	struct about *about = about_of(connection);
	struct proxy_header proxy;
	struct tcp_syn syn;
	const char *error;
	if (about == NULL)
		return 0;
	update_snapshot(connection, about);
	const struct snapshot *snapshot = &about->snapshot;
	struct whoami whoami = { .instance = snapshot->instance,
		.slot = snapshot->slot,
		.generation = snapshot->generation,
		.connection = about->number,
		.first_slot = about->slot,
		.first_generation = about->generation,
		.age_us = snapshot->age_us,
		.local = { .length = sizeof(whoami.local.storage) },
		.incoming_cpu = snapshot->incoming_cpu,
		.has_mptcp = connection->listener->address.is_mptcp,
		.subflows = snapshot->subflows,
		.tcp = snapshot->has_tcp != 0 ? &snapshot->tcp : NULL };
	const uint8_t *at = (const uint8_t *)(about + 1);
	address_expand(&connection->peer, &whoami.client);
	address_expand(&about->peer, &whoami.peer);
	if (getsockname(connection_fd(connection),
		(struct sockaddr *)&whoami.local.storage, &whoami.local.length) < 0)
		whoami.local.length = 0;
	if (tcp_syn_decode(at, about->syn_bytes, &syn))
		whoami.syn = &syn;
	if (proxy_header_parse(at + about->syn_bytes, about->header_bytes, PROXY_ANY,
		&proxy, &error) == PROXY_COMPLETE)
		whoami.proxy = &proxy;
	struct about_tls copy;
	struct whoami_tls tls;
	if (read_tls(at + about->syn_bytes + about->header_bytes, about->tls_bytes,
		&copy, &tls))
		whoami.tls = &tls;
	return whoami_write(&whoami, out);
}
