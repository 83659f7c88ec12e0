/*
 * The transfer of connections, from both ends: a worker that receives from a sender and
 * sends to a receiver, both of which send anything. The first byte chooses the framing,
 * the second how many connections the worker has; the rest are the packets:
 *
 *   0  any bytes to the receiver    1  any bytes to the sender
 *   2  HELLO, with the listener     3  a note (CAPACITY, ACCEPTED, ...) to the receiver
 *   4  a note to the sender         5  BATCH, with sockets and their bytes
 *   6  run the loop                 7  close the other end of the sender's socket
 *
 * In the end both other ends are closed. The ledger must then balance, and no
 * descriptor may be left open (the sanitizer checks the memory).
 */
#include <sys/mman.h>

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/log.h"
#include "proto/channel.h"
#include "proto/transfer.h"
#include "tests/fuzz/descriptors.h"
#include "tests/fuzz/input.h"
#include "tests/lib/worker_fixture.h"
#include "worker/transfer_receive.h"
#include "worker/transfer_send.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEADER_BYTES 2
#define OPEN_MOST 4
#define BATCH_MOST 4 /* records that an input can spell out */
#define RECORD_BYTES 12
#define NAME "127.0.0.1:10000"

struct fixture {
	struct worker_fixture w;
	int master_fd;              /* the master's end of the channel */
	int receiver_fd, sender_fd; /* -1 once closed */
	int peers[OPEN_MOST];       /* of its connections */
	int peer_count;
	struct input input;
};

static size_t
next_bytes(struct fixture *fixture, void *out, size_t most)
{
	size_t length = most < fixture->input.left ? most : fixture->input.left;

	memcpy(out, fixture->input.data, length);
	fixture->input.data += length;
	fixture->input.left -= length;
	return length;
}

static void
run_loop(struct fixture *fixture)
{
	for (int i = 0; i < 4; i++)
		worker_fixture_run_once(&fixture->w);
}

/* A socket to transfer: its peer has closed, after sending a message or nothing. */
static int
any_socket(bool is_quiet)
{
	int fds[2];

	open_unix_pair(fds, 0);
	if (!is_quiet)
		must(send(fds[0], "hello\n", 6, MSG_NOSIGNAL) == 6);
	close(fds[0]);
	return fds[1];
}

static void
send_to(int fd, const void *packet, size_t length, int *fds, size_t count)
{
	/* The other end may be closed. */
	if (fd >= 0 && transfer_packet_send(fd, packet, length, fds, count) < 0)
		must(errno == EPIPE || errno == EAGAIN || errno == ECONNRESET);
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
}

static void
send_garbage(struct fixture *fixture, int fd)
{
	uint8_t packet[256];
	uint8_t shape = next_byte(&fixture->input);
	int fds[3];
	size_t count = shape >> 6;
	size_t length = next_bytes(fixture, packet, shape & 63);

	for (size_t i = 0; i < count; i++)
		fds[i] = any_socket(true);
	/* An empty packet without descriptors would be end of file. */
	if (length == 0 && count == 0)
		packet[length++] = 0;
	send_to(fd, packet, length, fds, count);
}

static void
send_hello(struct fixture *fixture)
{
	struct transfer_hello hello = { .verb = TRANSFER_HELLO,
		.version = TRANSFER_VERSION + (next_byte(&fixture->input) == 255),
		.count = next_byte(&fixture->input) };

	for (uint32_t i = 0; i < TRANSFER_LISTENERS_MAX; i++) {
		hello.listeners[i].framing = fixture->w.listener_config.framing;
		memcpy(hello.listeners[i].name, NAME, sizeof(NAME));
	}
	send_to(fixture->receiver_fd, &hello, sizeof(hello), NULL, 0);
}

static void
send_note(struct fixture *fixture, int fd)
{
	struct transfer_note note = { .verb = next_byte(&fixture->input) %
		    (TRANSFER_END + 2U),
		.count = next_byte(&fixture->input) };

	note.mask = note.count & 128 ? UINT64_MAX : note.count;
	send_to(fd, &note, sizeof(note), NULL, 0);
}

static void
fill_record(struct fixture *fixture, struct transfer_record *record)
{
	uint8_t b[RECORD_BYTES] = { 0 };

	next_bytes(fixture, b, sizeof(b));
	*record = (struct transfer_record){ .listener = b[0],
		.input_bytes = b[1] == 255 ? UINT32_MAX : b[1],
		.output_bytes = b[2] == 255 ? UINT32_MAX : b[2],
		.searched = b[3] == 255 ? UINT32_MAX : b[3],
		.replies = b[4],
		.idle_ms = b[5] * UINT32_C(16843009),
		.phase = b[6],
		.reason = b[7],
		.peer_family = b[8],
		.reading_paused = b[9],
		.peer = { b[10], b[11] } };
}

static void
send_batch(struct fixture *fixture)
{
	static struct transfer_batch batch;
	uint8_t shape = next_byte(&fixture->input), state[255];
	int fds[BATCH_MOST + 1];
	size_t count = 0;

	batch.verb = TRANSFER_BATCH;
	batch.count = shape % (BATCH_MOST + 1);
	batch.state_bytes = shape & 16 ? next_byte(&fixture->input) : 0;
	for (uint32_t i = 0; i < batch.count; i++) {
		fill_record(fixture, &batch.records[i]);
		fds[count++] = any_socket((shape & 32) != 0);
	}
	if (batch.state_bytes > 0) {
		size_t length = next_bytes(fixture, state, batch.state_bytes);
		fds[count] = memfd_create("state", MFD_CLOEXEC);
		must(write(fds[count++], state, length) == (ssize_t)length);
	}
	if (shape & 64)
		batch.count++;
	send_to(fixture->receiver_fd, &batch,
	    transfer_batch_bytes(shape & 128 ? 1 : batch.count), fds, count);
}

static void
close_socket(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void
apply_operation(struct fixture *fixture)
{
	switch (next_byte(&fixture->input) % 8) {
	case 0:
		send_garbage(fixture, fixture->receiver_fd);
		break;
	case 1:
		send_garbage(fixture, fixture->sender_fd);
		break;
	case 2:
		send_hello(fixture);
		break;
	case 3:
		send_note(fixture, fixture->receiver_fd);
		break;
	case 4:
		send_note(fixture, fixture->sender_fd);
		break;
	case 5:
		send_batch(fixture);
		break;
	case 6:
		run_loop(fixture);
		break;
	default:
		close_socket(&fixture->sender_fd);
		break;
	}
	if (fixture->input.left % 3 == 0)
		run_loop(fixture);
}

/* Idle peers, peers with a partial message, and peers with unread replies. */
static void
open_peer(struct fixture *fixture)
{
	static const char *const partial_inputs[] = { "", "hel", "hello\nagain\nand" };
	const char *text = partial_inputs[fixture->peer_count % 3];
	int fds[2];

	open_unix_pair(fds, 0);
	must(send(fds[0], text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
	worker_fixture_serve(&fixture->w, fds[1]);
	fixture->peers[fixture->peer_count++] = fds[0];
}

static void
start(struct fixture *fixture, enum framing framing, int connections)
{
	struct worker_fixture *w = &fixture->w;
	int fds[2];

	worker_fixture_start(w, "echo", framing, 64, 64);
	strcpy(w->listener.name, NAME);
	w->worker.accept.listeners = &w->listener;
	w->worker.accept.listener_count = 1;
	w->worker.limits.max_connections = 100;
	w->worker.limits.fd_end = 10000;
	must(channel_open(fds) == 0);
	w->worker.channel_fd = fds[0];
	fixture->master_fd = fds[1];
	while (connections-- > 0)
		open_peer(fixture);
	must(channel_open(fds) == 0);
	fixture->receiver_fd = fds[0];
	transfer_receive_start(&w->worker, fds[1], 1);
	must(channel_open(fds) == 0);
	fixture->sender_fd = fds[0];
	transfer_send_start(&w->worker, fds[1], 2, 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < HEADER_BYTES)
		return 0;
	struct fixture fixture = { .input = {
				       data + HEADER_BYTES, size - HEADER_BYTES } };
	uint64_t open = open_descriptors();

	log_set_level(LOG_LEVEL_ERROR);
	start(&fixture, (enum framing)(data[0] % 3), data[1] % (OPEN_MOST + 1));
	while (fixture.input.left > 0)
		apply_operation(&fixture);
	close_socket(&fixture.receiver_fd);
	close_socket(&fixture.sender_fd);
	for (int i = 0; i < fixture.peer_count; i++)
		close(fixture.peers[i]);
	while (!LIST_EMPTY(&fixture.w.worker.transfers.receivers) ||
	    fixture.w.worker.transfers.sender != NULL)
		worker_fixture_run_once(&fixture.w);
	run_loop(&fixture);
	must(worker_fixture_is_balanced(&fixture.w));
	close(fixture.master_fd);
	close(fixture.w.worker.channel_fd);
	worker_fixture_finish(&fixture.w);
	must(open_descriptors() == open);
	return 0;
}
