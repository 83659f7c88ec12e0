/*
 * A whole connection over a pair of sockets. The first bytes choose the listener, the
 * rest are the operations of a peer:
 *
 *   0..127    send that many of the bytes that follow
 *   128..159  send these bytes again, (op - 127) * 8 times
 *   160..191  read (op - 159) * 64 bytes
 *   192..223  run the server's loop op - 191 times
 *   224..239  half-close
 *   240..247  close, whatever is queued
 *   248..255  run the loop until nothing happens
 *
 * In the end an open peer half-closes and reads the rest. Its replies must then be
 * those of the specification, the ledger must balance, and no descriptor may be left
 * open (the sanitizer checks the memory).
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/descriptors.h"
#include "tests/lib/specification.h"
#include "tests/lib/worker_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEADER_BYTES 5
#define OUTPUT_MAX_BYTES ((size_t)1 << 20)

struct peer_end {
	struct worker_fixture w;
	const struct spec_reply *reply;
	int fd; /* -1 once closed */
	bool has_shut, saw_end;
	struct spec_answer sent, received; /* used as growing buffers */
	const uint8_t *phrase;             /* sent last */
	size_t phrase_length;
};

static void
send_some(struct peer_end *peer, const uint8_t *bytes, size_t length)
{
	bool is_cut =
	    spec_depends_on_cuts(peer->reply, peer->w.listener_config.framing);
	uint8_t piece[128];

	if (peer->fd < 0 || peer->has_shut ||
	    peer->sent.length + length > OUTPUT_MAX_BYTES)
		return;
	/* The suffix marks the cuts in a stream, so it must not occur in the data. */
	for (size_t i = 0; i < length; i++)
		piece[i] = is_cut && bytes[i] < ' ' ? ' ' : bytes[i];
	for (size_t i = 0; is_cut && i < length; i++)
		piece[i] = piece[i] == '_' ? ' ' : piece[i];
	ssize_t n = length == 0 ? 0 : send(peer->fd, piece, length, MSG_NOSIGNAL);
	if (n <= 0)
		return;
	spec_put(&peer->sent, piece, (size_t)n);
}

static void
receive_some(struct peer_end *peer, size_t most)
{
	uint8_t piece[2048];

	if (peer->fd < 0 || peer->saw_end)
		return;
	ssize_t n =
	    recv(peer->fd, piece, most < sizeof(piece) ? most : sizeof(piece), 0);
	if (n == 0)
		peer->saw_end = true;
	must(n >= 0 || errno == EAGAIN);
	if (n > 0)
		spec_put(&peer->received, piece, (size_t)n);
}

static void
run_loop(struct peer_end *peer, int turns)
{
	while (turns-- > 0)
		worker_fixture_run_once(&peer->w);
}

static void
settle(struct peer_end *peer)
{
	for (int quiet = 0; quiet < 2;) {
		uint64_t before = worker_fixture_progress(&peer->w);
		worker_fixture_run_once(&peer->w);
		quiet = worker_fixture_progress(&peer->w) != before ? 0 : quiet + 1;
	}
}

static void
half_close(struct peer_end *peer)
{
	if (peer->fd >= 0 && !peer->has_shut)
		must(shutdown(peer->fd, SHUT_WR) == 0);
	peer->has_shut = true;
}

static void
disconnect(struct peer_end *peer)
{
	if (peer->fd >= 0)
		close(peer->fd);
	peer->fd = -1;
}

static size_t
apply_operation(struct peer_end *peer, uint8_t op, const uint8_t *data, size_t left)
{
	if (op < 128) {
		peer->phrase = data;
		peer->phrase_length = op < left ? op : left;
		send_some(peer, peer->phrase, peer->phrase_length);
		return peer->phrase_length;
	}
	if (op < 160) {
		for (int i = 0; i < (op - 127) * 8; i++)
			send_some(peer, peer->phrase, peer->phrase_length);
	} else if (op < 192) {
		receive_some(peer, (size_t)(op - 159) * 64);
	} else if (op < 224) {
		run_loop(peer, op - 191);
	} else if (op < 240) {
		half_close(peer);
	} else if (op < 248) {
		disconnect(peer);
	} else {
		settle(peer);
	}
	return 0;
}

static bool
is_prefix(const struct peer_end *peer, const struct spec_answer *expected)
{
	return peer->received.length <= expected->length &&
	    (peer->received.length == 0 ||
		memcmp(peer->received.bytes, expected->bytes, peer->received.length) ==
		    0);
}

/* The peer has read everything: the replies and the ledger must be complete. */
static void
check_whole(struct peer_end *peer, const struct spec_answer *expected, bool is_cut)
{
	static const enum close_reason reasons[] = { CLOSE_PEER_CLOSED,
		CLOSE_MESSAGE_TOO_LONG, CLOSE_TRUNCATED_MESSAGE };
	const struct worker_fixture *w = &peer->w;
	uint64_t messages = worker_fixture_count(w, LEDGER_MESSAGES_RECEIVED);

	must(worker_fixture_closed(w, reasons[expected->end]) == 1);
	must(worker_fixture_count(w, LEDGER_BYTES_RECEIVED) == peer->sent.length);
	must(worker_fixture_count(w, LEDGER_BYTES_SENT) == peer->received.length);
	must(worker_fixture_count(w, LEDGER_BYTES_DROPPED) == 0);
	must(worker_fixture_count(w, LEDGER_REPLIES_SENT) ==
	    (peer->reply->is_discard ? 0 : messages));
	must(w->listener_config.framing == FRAMING_STREAM ||
	    messages == expected->messages);
	if (is_cut)
		must(spec_is_cut_stream(peer->reply, w->listener_config.max_message,
		    peer->sent.bytes, peer->sent.length, messages, peer->received.bytes,
		    peer->received.length));
	else
		must(peer->received.length == expected->length &&
		    is_prefix(peer, expected));
}

static void
check_peer(struct peer_end *peer)
{
	const struct listener_config *config = &peer->w.listener_config;
	bool is_cut = spec_depends_on_cuts(peer->reply, config->framing);
	bool has_left = peer->fd < 0;

	half_close(peer);
	for (int i = 0; !has_left && !peer->saw_end; i++) {
		must(i < 1000000);
		worker_fixture_run_once(&peer->w);
		receive_some(peer, SIZE_MAX);
	}
	disconnect(peer);
	settle(peer);
	must(peer->w.worker.connections.count == 0 &&
	    worker_fixture_is_balanced(&peer->w));
	must(LIST_EMPTY(&peer->w.worker.queued_outputs) &&
	    peer->w.worker.lingering_count == 0);
	struct spec_answer expected = spec_answer(peer->reply, config->framing,
	    config->max_message, peer->sent.bytes, peer->sent.length);
	if (!has_left)
		check_whole(peer, &expected, is_cut);
	else if (!is_cut)
		must(is_prefix(peer, &expected));
	free(expected.bytes);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < HEADER_BYTES)
		return 0;
	struct peer_end peer = { .reply = &spec_replies[data[1] % SPEC_REPLIES],
		.phrase = data };
	uint64_t open = open_descriptors();
	int fds[2];

	worker_fixture_start(&peer.w, peer.reply->text, (enum framing)(data[0] % 3),
	    (uint64_t)data[2] + 1, (uint64_t)data[3] * 64);
	if (data[4] & 2)
		peer.w.worker.edge_events = 0;
	open_unix_pair(fds, data[4] & 1 ? 4608 : 0);
	peer.fd = fds[0];
	worker_fixture_serve(&peer.w, fds[1]);
	for (size_t at = HEADER_BYTES; at < size;) {
		uint8_t op = data[at++];
		at += apply_operation(&peer, op, data + at, size - at);
	}
	check_peer(&peer);
	worker_fixture_finish(&peer.w);
	free(peer.sent.bytes);
	free(peer.received.bytes);
	must(open_descriptors() == open);
	return 0;
}
