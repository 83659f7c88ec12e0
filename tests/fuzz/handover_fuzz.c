/*
 * The hand-over of connections, from both ends: a worker that takes from a giver and
 * gives to a taker which say anything. The first byte chooses the framing, the second
 * how many connections the worker has; the rest is what the two say:
 *
 *   0  a packet of any bytes to the taker    1  the same to the giver
 *   2  HELLO, of our listener                3  a note (ROOM, TAKEN, ...) to the taker
 *   4  a note to the giver                   5  BATCH, with sockets and their bytes
 *   6  what is there is heard                7  the far end of the giver's is closed
 *
 * In the end both far ends are gone. The books add up then, whatever was said, and no
 * descriptor is left over (the sanitizer looks for memory).
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
#include "tests/lib/one_worker.h"
#include "worker/transfer_receive.h"
#include "worker/transfer_send.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEADER_BYTES 2
#define OPEN_MOST 4
#define BATCH_MOST 4 /* records that an input can spell out */
#define RECORD_BYTES 12
#define NAME "127.0.0.1:10000"

struct talk {
	struct one_worker w;
	int master_fd;          /* the far end of the channel */
	int to_taker, to_giver; /* -1 once closed */
	int peers[OPEN_MOST];   /* of its connections */
	int peer_count;
	struct input input;
};

static size_t
next_bytes(struct talk *talk, void *out, size_t most)
{
	size_t length = most < talk->input.left ? most : talk->input.left;

	memcpy(out, talk->input.data, length);
	talk->input.data += length;
	talk->input.left -= length;
	return length;
}

static void
turn(struct talk *talk)
{
	for (int i = 0; i < 4; i++)
		one_worker_turn(&talk->w);
}

/* A socket as one that moves: its far end is gone already, or has said something. */
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
	/* Nobody may hear it: that is one of the cases. */
	if (fd >= 0 && transfer_packet_send(fd, packet, length, fds, count) < 0)
		must(errno == EPIPE || errno == EAGAIN || errno == ECONNRESET);
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
}

static void
say_anything(struct talk *talk, int fd)
{
	uint8_t packet[256];
	uint8_t shape = next_byte(&talk->input);
	int fds[3];
	size_t count = shape >> 6;
	size_t length = next_bytes(talk, packet, shape & 63);

	for (size_t i = 0; i < count; i++)
		fds[i] = any_socket(true);
	/* An empty packet alone would be the end of the file. */
	if (length == 0 && count == 0)
		packet[length++] = 0;
	send_to(fd, packet, length, fds, count);
}

static void
say_hello(struct talk *talk)
{
	struct transfer_hello hello = { .verb = TRANSFER_HELLO,
		.version = TRANSFER_VERSION + (next_byte(&talk->input) == 255),
		.count = next_byte(&talk->input) };

	for (uint32_t i = 0; i < TRANSFER_LISTENERS_MAX; i++) {
		hello.listeners[i].framing = talk->w.listener_config.framing;
		memcpy(hello.listeners[i].name, NAME, sizeof(NAME));
	}
	send_to(talk->to_taker, &hello, sizeof(hello), NULL, 0);
}

static void
say_note(struct talk *talk, int fd)
{
	struct transfer_note note = { .verb =
					  next_byte(&talk->input) % (TRANSFER_END + 2U),
		.count = next_byte(&talk->input) };

	note.mask = note.count & 128 ? UINT64_MAX : note.count;
	send_to(fd, &note, sizeof(note), NULL, 0);
}

static void
fill_record(struct talk *talk, struct transfer_record *record)
{
	uint8_t b[RECORD_BYTES] = { 0 };

	next_bytes(talk, b, sizeof(b));
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
say_batch(struct talk *talk)
{
	static struct transfer_batch batch;
	uint8_t shape = next_byte(&talk->input), state[255];
	int fds[BATCH_MOST + 1];
	size_t count = 0;

	batch.verb = TRANSFER_BATCH;
	batch.count = shape % (BATCH_MOST + 1);
	batch.state_bytes = shape & 16 ? next_byte(&talk->input) : 0;
	for (uint32_t i = 0; i < batch.count; i++) {
		fill_record(talk, &batch.records[i]);
		fds[count++] = any_socket((shape & 32) != 0);
	}
	if (batch.state_bytes > 0) {
		size_t length = next_bytes(talk, state, batch.state_bytes);
		fds[count] = memfd_create("state", MFD_CLOEXEC);
		must(write(fds[count++], state, length) == (ssize_t)length);
	}
	if (shape & 64)
		batch.count++;
	send_to(talk->to_taker, &batch,
	    transfer_batch_bytes(shape & 128 ? 1 : batch.count), fds, count);
}

static void
leave(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void
act(struct talk *talk)
{
	switch (next_byte(&talk->input) % 8) {
	case 0:
		say_anything(talk, talk->to_taker);
		break;
	case 1:
		say_anything(talk, talk->to_giver);
		break;
	case 2:
		say_hello(talk);
		break;
	case 3:
		say_note(talk, talk->to_taker);
		break;
	case 4:
		say_note(talk, talk->to_giver);
		break;
	case 5:
		say_batch(talk);
		break;
	case 6:
		turn(talk);
		break;
	default:
		leave(&talk->to_giver);
		break;
	}
	if (talk->input.left % 3 == 0)
		turn(talk);
}

/* Peers that wait: silent, within a message, and for a part of their answers. */
static void
open_peer(struct talk *talk)
{
	static const char *const said[] = { "", "hel", "hello\nagain\nand" };
	const char *text = said[talk->peer_count % 3];
	int fds[2];

	open_unix_pair(fds, 0);
	must(send(fds[0], text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
	one_worker_serve(&talk->w, fds[1]);
	talk->peers[talk->peer_count++] = fds[0];
}

static void
start(struct talk *talk, enum framing framing, int connections)
{
	struct one_worker *w = &talk->w;
	int fds[2];

	one_worker_start(w, "echo", framing, 64, 64);
	strcpy(w->listener.name, NAME);
	w->worker.listeners = &w->listener;
	w->worker.listener_count = 1;
	w->worker.max_connections = 100;
	w->worker.descriptor_end = 10000;
	must(channel_open(fds) == 0);
	w->worker.channel_fd = fds[0];
	talk->master_fd = fds[1];
	while (connections-- > 0)
		open_peer(talk);
	must(channel_open(fds) == 0);
	talk->to_taker = fds[0];
	transfer_receive_start(&w->worker, fds[1], 1);
	must(channel_open(fds) == 0);
	talk->to_giver = fds[0];
	transfer_send_start(&w->worker, fds[1], 2, 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < HEADER_BYTES)
		return 0;
	struct talk talk = { .input = { data + HEADER_BYTES, size - HEADER_BYTES } };
	uint64_t open = open_descriptors();

	log_set_level(LOG_LEVEL_ERROR);
	start(&talk, (enum framing)(data[0] % 3), data[1] % (OPEN_MOST + 1));
	while (talk.input.left > 0)
		act(&talk);
	leave(&talk.to_taker);
	leave(&talk.to_giver);
	for (int i = 0; i < talk.peer_count; i++)
		close(talk.peers[i]);
	while (talk.w.worker.receivers != NULL || talk.w.worker.sender != NULL)
		one_worker_turn(&talk.w);
	turn(&talk);
	must(one_worker_adds_up(&talk.w));
	close(talk.master_fd);
	close(talk.w.worker.channel_fd);
	one_worker_finish(&talk.w);
	must(open_descriptors() == open);
	return 0;
}
