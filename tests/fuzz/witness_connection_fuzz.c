/*
 * A whole connection of a witness over a pair of sockets. The first byte chooses kind
 * and buffers of the sockets, the rest are the operations of a peer:
 *
 *   0..127    send that many of the bytes that follow
 *   128..159  send a command (op - 128, with the next byte as its number)
 *   160..191  read (op - 159) * 64 bytes
 *   192..223  run the server's loop op - 191 times
 *   224..231  half-close
 *   232..239  close, whatever is queued
 *   240..255  run the loop until nothing happens
 *
 * The first line must be a greeting, the record of the connection must be found by its
 * identifier, the ledger must balance, and no descriptor may be left open (the
 * sanitizer checks the memory).
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/witness/witness_records.h"
#include "tests/fuzz/descriptors.h"
#include "tests/fuzz/input.h"
#include "tests/lib/worker_fixture.h"
#include "worker/witness/witness_serve.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct peer_end {
	struct worker_fixture w;
	struct witness_records *records;
	int fd; /* -1 once closed */
	bool saw_end;
	char line[WITNESS_GREETING_MAX];
	size_t line_bytes;
};

static void
on_pause_over(void *waiter)
{
	witness_serve_on_due(waiter);
}

static void
start(struct peer_end *peer, uint8_t flags)
{
	int fds[2];
	worker_fixture_start(&peer->w, "echo", FRAMING_STREAM, 65536, 65536);
	peer->w.listener_config.reply.kind = REPLY_WITNESS;
	responder_prepare(&peer->w.listener);
	peer->w.listener.on_event = witness_serve_on_event;
	must(pauses_start(&peer->w.worker.pauses, peer->w.worker.base, on_pause_over) ==
	    0);
	peer->records = witness_records_create();
	must(peer->records != NULL && witness_records_clear(peer->records, 0) == 0);
	peer->w.worker.witness_book = witness_records_enter_worker(peer->records, 0);
	must(peer->w.worker.witness_book != NULL);
	if (flags & 2)
		peer->w.worker.edge_events = 0;
	if (flags & 4)
		open_tcp_pair(fds, flags & 1 ? 4608 : 0);
	else
		open_unix_pair(fds, flags & 1 ? 4608 : 0);
	peer->fd = fds[0];
	worker_fixture_serve(&peer->w, fds[1]);
	witness_serve_begin(worker_fixture_connection(&peer->w));
}

static void
finish(struct peer_end *peer)
{
	pauses_stop(&peer->w.worker.pauses);
	witness_book_destroy(peer->w.worker.witness_book);
	witness_records_destroy(peer->records);
	worker_fixture_finish(&peer->w);
}

static void
disconnect(struct peer_end *peer)
{
	if (peer->fd >= 0)
		close(peer->fd);
	peer->fd = -1;
}

static void
send_some(const struct peer_end *peer, const void *bytes, size_t length)
{
	if (peer->fd >= 0 && length > 0)
		(void)!send(peer->fd, bytes, length, MSG_NOSIGNAL);
}

static void
send_command(const struct peer_end *peer, uint8_t which, uint8_t number)
{
	struct witness_command command = { .kind = (enum witness_command_kind)(
					       which % WITNESS_COMMAND_COUNT),
		.wait_ms = number % 4,
		.bytes = (uint32_t)number * 1000 };
	char line[WITNESS_LINE_MAX];
	memset(&command.id, number, sizeof(command.id));
	send_some(peer, line, witness_command_format(&command, line));
}

/* Keeps the beginning, for the greeting. */
static void
receive_some(struct peer_end *peer, size_t most)
{
	char piece[4096];
	if (peer->fd < 0 || peer->saw_end)
		return;
	ssize_t n =
	    recv(peer->fd, piece, most < sizeof(piece) ? most : sizeof(piece), 0);
	peer->saw_end = n == 0 || (n < 0 && errno != EAGAIN);
	if (n <= 0)
		return;
	size_t room = sizeof(peer->line) - peer->line_bytes;
	size_t kept = (size_t)n < room ? (size_t)n : room;
	memcpy(peer->line + peer->line_bytes, piece, kept);
	peer->line_bytes += kept;
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
apply(struct peer_end *peer, uint8_t op, struct input *input)
{
	if (op < 128) {
		size_t length = op < input->left ? op : input->left;
		send_some(peer, input->data, length);
		input->data += length;
		input->left -= length;
	} else if (op < 160) {
		send_command(peer, op, next_byte(input));
	} else if (op < 192) {
		receive_some(peer, (size_t)(op - 159) * 64);
	} else if (op < 224) {
		for (int i = 191; i < op; i++)
			worker_fixture_run_once(&peer->w);
	} else if (op < 232) {
		if (peer->fd >= 0)
			shutdown(peer->fd, SHUT_WR);
	} else if (op < 240) {
		disconnect(peer);
	} else {
		settle(peer);
	}
}

/* The end of the stream, or a reset, is near: what is due comes within milliseconds. */
static void
check_end(struct peer_end *peer)
{
	bool was_connected = peer->fd >= 0;
	struct witness_view view;
	struct witness_record record;
	if (was_connected)
		shutdown(peer->fd, SHUT_WR);
	while (was_connected && !peer->saw_end) {
		worker_fixture_run_once(&peer->w);
		receive_some(peer, SIZE_MAX);
	}
	disconnect(peer);
	must(worker_fixture_run_until(&peer->w, peer->w.worker.connections.count == 0));
	must(worker_fixture_is_balanced(&peer->w));
	must(LIST_EMPTY(&peer->w.worker.queued_outputs));
	const char *end = memchr(peer->line, '\n', peer->line_bytes);
	if (end == NULL)
		return;
	must(witness_greeting_read(peer->line, (size_t)(end - peer->line), &view));
	must(
	    witness_book_find(peer->w.worker.witness_book, &view.greeting.id, &record));
	must(!record.is_open &&
	    record.received <= worker_fixture_count(&peer->w, LEDGER_BYTES_RECEIVED));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size };
	struct peer_end peer = { .fd = -1 };
	uint64_t open = open_descriptors();
	if (size == 0)
		return 0;
	start(&peer, next_byte(&input));
	while (input.left > 0)
		apply(&peer, next_byte(&input), &input);
	check_end(&peer);
	finish(&peer);
	must(open_descriptors() == open);
	return 0;
}
