/*
 * A whole connection with TLS over a pair of sockets, after its handshake: the peer
 * knows its keys and does what it likes. The first two bytes choose version, AEAD, edge
 * or level events and small socket buffers; the rest are operations:
 *
 *   0..127    seal that many of the bytes that follow as one record of data
 *   128..143  the next bytes: N, then N contents, sealed with type 20 + op % 4
 *   144..151  the next bytes: N, then N bytes as they are
 *   152..159  a KeyUpdate, which asks for another one if op is odd
 *   160..191  send (op - 159) * 7 bytes of what was made; the rest waits
 *   192..223  run the server's loop op - 191 times
 *   224..235  end by close_notify
 *   236..239  half-close without it
 *   240..247  close, whatever is queued
 *   248..255  send all, run the loop until nothing happens
 *
 * What the server sends is authentic and the bytes that were sent to it, in order; all
 * of them, and close_notify, if the peer kept the rules to an orderly end. The ledger
 * balances, and no descriptor is left open (the sanitizer checks the memory).
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "net/tls/tls_record.h"
#include "tests/fuzz/descriptors.h"
#include "tests/lib/worker_fixture.h"
#include "worker/connection/tls_state.h"
#include "worker/connection/tls_transport.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SENT_MAX ((size_t)1 << 18)

/* Bytes on the heap: the memory of lib/buffer.h is the worker's region. */
struct bytes {
	uint8_t *data;
	size_t length;
};

struct peer_end {
	struct worker_fixture w;
	struct tls_session session;
	struct tls_ciphers *ciphers;
	int fd; /* -1: closed */
	struct bytes pending, input;
	struct bytes sent; /* data that has not come back */
	bool has_shut, saw_end, saw_close_notify;
	bool has_ended;   /* close_notify is made */
	bool broke_rules; /* or may have */
};

static void
make_sessions(uint8_t choice, struct tls_session *server, struct tls_session *peer)
{
	uint8_t secret[TLS_SECRET_MAX], random[64];
	memset(secret, 0x5a, sizeof(secret));
	memset(random, 0xc3, sizeof(random));
	*server = (struct tls_session){ .version = choice & 1 ? TLS_VERSION_1_2
							      : TLS_VERSION_1_3,
		.aead = (uint8_t)(choice >> 4) % TLS_AEADS,
		.is_server = true };
	server->hash_bytes = server->aead == TLS_AES_256_GCM ? 48 : 32;
	if (choice & 1) {
		must(tls_session_derive_1_2(server, secret, random, random + 32) == 0);
	} else {
		memcpy(server->send.secret, secret, server->hash_bytes);
		must(tls_session_derive(server, &server->send) == 0);
		secret[0] ^= 1;
		memcpy(server->receive.secret, secret, server->hash_bytes);
		must(tls_session_derive(server, &server->receive) == 0);
	}
	*peer = *server;
	peer->is_server = false;
	peer->send = server->receive;
	peer->receive = server->send;
}

static void
put(struct bytes *bytes, const void *data, size_t length)
{
	if (length == 0)
		return;
	bytes->data = realloc(bytes->data, bytes->length + length);
	must(bytes->data != NULL);
	memcpy(bytes->data + bytes->length, data, length);
	bytes->length += length;
}

static void
drop(struct bytes *bytes, size_t length)
{
	bytes->length -= length;
	if (bytes->length > 0)
		memmove(bytes->data, bytes->data + length, bytes->length);
}

static void
seal(struct peer_end *peer, enum tls_content type, const void *data, size_t length)
{
	uint8_t out[512];
	size_t n =
	    tls_ciphers_seal(peer->ciphers, &peer->session, type, data, length, out);
	must(n > 0 && n <= sizeof(out));
	put(&peer->pending, out, n);
}

static void
send_data(struct peer_end *peer, const uint8_t *data, size_t length)
{
	if (peer->sent.length + length > SENT_MAX)
		return;
	seal(peer, TLS_APPLICATION_DATA, data, length);
	/* Empty ones in a row are bounded; and nothing counts behind the end. */
	peer->broke_rules |= length == 0;
	if (!peer->has_ended)
		put(&peer->sent, data, length);
}

static void
change_key(struct peer_end *peer, bool asks)
{
	const uint8_t update[] = { 24, 0, 0, 1, asks };
	seal(peer, TLS_HANDSHAKE, update, sizeof(update));
	if (peer->session.version == TLS_VERSION_1_3)
		must(tls_session_update(&peer->session, &peer->session.send) == 0);
	peer->broke_rules = true; /* more than 32 in a row, or TLS 1.2 */
}

static void
close_orderly(struct peer_end *peer)
{
	static const uint8_t close_notify[] = { 1, 0 };
	if (!peer->has_ended)
		seal(peer, TLS_ALERT, close_notify, sizeof(close_notify));
	peer->has_ended = true;
}

static void
push(struct peer_end *peer, size_t most)
{
	size_t n = peer->pending.length;
	if (peer->fd < 0 || peer->has_shut || n == 0)
		return;
	ssize_t sent =
	    send(peer->fd, peer->pending.data, n < most ? n : most, MSG_NOSIGNAL);
	if (sent > 0)
		drop(&peer->pending, (size_t)sent);
}

/* Data that came back must be what was sent first. */
static void
check_data(struct peer_end *peer, const struct tls_opened *opened)
{
	must(peer->sent.length >= opened->length);
	must(memcmp(peer->sent.data, opened->data, opened->length) == 0);
	drop(&peer->sent, opened->length);
}

static void
open_input(struct peer_end *peer)
{
	struct tls_opened opened;
	while (peer->input.length > 0 && !peer->session.has_ended) {
		enum tls_open_status status = tls_record_open(&peer->session,
		    peer->ciphers, peer->input.data, peer->input.length, NULL, &opened);
		if (status == TLS_OPEN_PARTIAL)
			return;
		must(status != TLS_OPEN_BAD);
		peer->saw_close_notify |= status == TLS_OPEN_CLOSED;
		must(status != TLS_OPEN_ALERT || peer->broke_rules);
		if (status == TLS_OPEN_DATA)
			check_data(peer, &opened);
		drop(&peer->input, opened.record);
	}
}

static void
receive(struct peer_end *peer)
{
	uint8_t piece[4096];
	ssize_t n;
	if (peer->fd < 0 || peer->saw_end)
		return;
	while ((n = recv(peer->fd, piece, sizeof(piece), 0)) > 0)
		put(&peer->input, piece, (size_t)n);
	must(n == 0 || errno == EAGAIN || errno == ECONNRESET);
	peer->saw_end = n == 0 || errno == ECONNRESET;
	open_input(peer);
}

static void
settle(struct peer_end *peer)
{
	for (int quiet = 0; quiet < 3;) {
		uint64_t before = worker_fixture_progress(&peer->w);
		size_t left = peer->pending.length;
		push(peer, SIZE_MAX);
		worker_fixture_run_once(&peer->w);
		receive(peer);
		bool is_quiet = worker_fixture_progress(&peer->w) == before &&
		    left == peer->pending.length;
		quiet = is_quiet ? quiet + 1 : 0;
	}
}

static void
disconnect(struct peer_end *peer)
{
	if (peer->fd >= 0)
		close(peer->fd);
	peer->fd = -1;
}

/* Bytes of the operation's argument that were used. */
static size_t
apply_operation(struct peer_end *peer, uint8_t op, const uint8_t *data, size_t left)
{
	size_t n = left == 0 ? 0 : data[0];
	if (op < 128) {
		n = op < left ? op : left;
		send_data(peer, data, n);
		return n;
	}
	if (op < 152) {
		if (left == 0)
			return 0;
		n = n < left ? n : left - 1;
		if (op < 144 && op % 4 == 3) {
			send_data(peer, data + 1, n);
			return n + 1;
		}
		peer->broke_rules = true;
		if (op < 144)
			seal(peer, TLS_CHANGE_CIPHER_SPEC + op % 4, data + 1, n);
		else
			put(&peer->pending, data + 1, n);
		return n + 1;
	}
	if (op < 160) {
		change_key(peer, op % 2 == 1);
	} else if (op < 192) {
		push(peer, (size_t)(op - 159) * 7);
	} else if (op < 224) {
		for (int i = 191; i < op; i++)
			worker_fixture_run_once(&peer->w);
	} else if (op < 236) {
		close_orderly(peer);
	} else if (op < 240) {
		if (peer->fd >= 0 && !peer->has_shut)
			must(shutdown(peer->fd, SHUT_WR) == 0);
		peer->has_shut = peer->broke_rules = true;
	} else if (op < 248) {
		disconnect(peer);
	} else {
		settle(peer);
	}
	return 0;
}

static void
check_end(struct peer_end *peer)
{
	bool has_left = peer->fd < 0;
	close_orderly(peer);
	settle(peer);
	if (!has_left && !peer->broke_rules) {
		must(peer->sent.length == 0);
		must(peer->saw_close_notify);
	}
	disconnect(peer);
	settle(peer);
	must(peer->w.worker.connections.count == 0 &&
	    worker_fixture_is_balanced(&peer->w));
	must(LIST_EMPTY(&peer->w.worker.queued_outputs) &&
	    peer->w.worker.lingering_count == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct peer_end peer = { .ciphers = tls_ciphers_create() };
	/* Its first call may open a file. */
	log_set_name("tls_connection", "");
	log_set_level(LOG_LEVEL_ERROR);
	uint64_t open = open_descriptors();
	struct tls_session session;
	int fds[2];
	must(peer.ciphers != NULL);
	if (size < 2) {
		tls_ciphers_destroy(peer.ciphers);
		return 0;
	}
	worker_fixture_start(&peer.w, "echo", FRAMING_STREAM, 1 << 20, data[1] * 64);
	peer.w.listener.on_tls_event = connection_io_callback(&transport_tls);
	if (data[0] & 2)
		peer.w.worker.edge_events = 0;
	open_unix_pair(fds, data[0] & 4 ? 4608 : 0);
	peer.fd = fds[0];
	worker_fixture_serve(&peer.w, fds[1]);
	struct connection *connection = worker_fixture_connection(&peer.w);
	must(connection != NULL && tls_state_create(connection) == 0);
	make_sessions(data[0], &session, &peer.session);
	connection->tls->session = session;
	event_del(&connection->event);
	connection_set_callback(connection);
	must(event_add(&connection->event, NULL) == 0);
	for (size_t at = 2; at < size;) {
		uint8_t op = data[at++];
		at += apply_operation(&peer, op, data + at, size - at);
	}
	check_end(&peer);
	worker_fixture_finish(&peer.w);
	must(open_descriptors() == open);
	free(peer.pending.data);
	free(peer.input.data);
	free(peer.sent.data);
	tls_ciphers_destroy(peer.ciphers);
	return 0;
}
