#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "proto/channel.h"

#include "tests/lib/conversation.h"
#include "tests/lib/specification.h"
#include "worker/giver.h"
#include "worker/leave.h"
#include "worker/taker.h"

#define MAX_MESSAGE 100
#define MANY 300

/* Two workers in one process, the first of which gives its connections to the second.
 */
struct fixture {
	struct one_worker giver, taker;
	int giver_channel, taker_channel; /* the master's ends */
};

static void
start_one(struct one_worker *w, int *ret_channel, const char *reply,
    enum framing framing, uint64_t max_pending)
{
	int fds[2];

	one_worker_start(w, reply, framing, MAX_MESSAGE, max_pending);
	w->listener_config.address_text = (char *)"127.0.0.1:10000";
	w->listener.is_bytewise =
	    framing == FRAMING_STREAM && reply_is_bytewise(&w->listener_config.reply);
	w->worker.listeners = &w->listener;
	w->worker.listener_count = 1;
	w->worker.max_connections = MANY;
	w->worker.descriptor_end = 100000;
	must(channel_open(fds) == 0);
	w->worker.channel_fd = fds[0];
	*ret_channel = fds[1];
}

static void
start(struct fixture *f, const char *reply, enum framing framing, uint64_t max_pending)
{
	memset(f, 0, sizeof(*f));
	start_one(&f->giver, &f->giver_channel, reply, framing, max_pending);
	start_one(&f->taker, &f->taker_channel, reply, framing, max_pending);
}

static void
finish(struct fixture *f)
{
	assert_null(f->giver.worker.giver);
	assert_null(f->taker.worker.takers);
	assert_true(one_worker_adds_up(&f->giver));
	assert_true(one_worker_adds_up(&f->taker));
	close(f->giver.worker.channel_fd);
	close(f->taker.worker.channel_fd);
	close(f->giver_channel);
	close(f->taker_channel);
	one_worker_finish(&f->giver);
	one_worker_finish(&f->taker);
}

static void
turn_both(struct fixture *f)
{
	one_worker_turn(&f->giver);
	one_worker_turn(&f->taker);
}

static void
hand_over(struct fixture *f)
{
	int fds[2];

	must(channel_open(fds) == 0);
	giver_start(&f->giver.worker, fds[0], 7, 0);
	taker_start(&f->taker.worker, fds[1], 8);
	for (int i = 0; i < 1000 && f->taker.worker.takers != NULL; i++)
		turn_both(f);
}

/* What the master is told: `verb` for hand-over `number`, of so many connections. */
static void
assert_told(int channel_fd, enum channel_verb verb, uint32_t number, uint64_t moved)
{
	struct channel_message message;
	int fd;

	assert_int_equal(channel_receive(channel_fd, &message, &fd), 1);
	assert_int_equal(message.verb, verb);
	assert_int_equal(message.argument, number);
	assert_int_equal(message.value, moved);
}

static uint64_t
count(const struct fixture *f, enum ledger_counter counter)
{
	return one_worker_count(&f->giver, counter) +
	    one_worker_count(&f->taker, counter);
}

struct move {
	const char *data;
	size_t at; /* when so many bytes are said; beyond the last: half-closed too */
	uint64_t max_pending;
	bool waits; /* replies wait by then */
};

/* Says what comes before the move, and hears no more of it than it must. */
static void
say_first(
    struct fixture *f, const struct move *c, size_t length, int fd, struct heard *heard)
{
	for (size_t said = 0; said < length;) {
		ssize_t n = send(fd, c->data + said, length - said, MSG_NOSIGNAL);
		said += n > 0 ? (size_t)n : 0;
		one_worker_turn(&f->giver);
		if (n < 0)
			hear(heard, fd, 100);
	}
	if (c->at > length)
		shutdown(fd, SHUT_WR);
	for (int i = 0; i < 5; i++)
		one_worker_turn(&f->giver);
}

/* One conversation, during which the connection moves. */
static void
check_move(const struct spec_reply *reply, const struct move *c)
{
	const char *data = c->data;
	size_t length = strlen(data), before = c->at < length ? c->at : length;
	struct heard heard = { 0 };
	struct fixture f;
	int fds[2];

	start(&f, reply->text, FRAMING_LINE, c->max_pending);
	open_unix_pair(fds, 4608);
	one_worker_serve(&f.giver, fds[1]);
	say_first(&f, c, before, fds[0], &heard);
	if (c->waits && reply->keeps_payload)
		assert_non_null(f.giver.worker.stuck);
	hand_over(&f);
	for (size_t said = before; !heard.is_over;) {
		ssize_t n = send(fds[0], data + said, length - said, MSG_NOSIGNAL);
		said += n > 0 ? (size_t)n : 0;
		if (said == length)
			shutdown(fds[0], SHUT_WR);
		turn_both(&f);
		hear(&heard, fds[0], 500);
	}
	turn_both(&f);
	struct spec_answer wanted = spec_answer(
	    reply, FRAMING_LINE, MAX_MESSAGE, (const uint8_t *)data, length);
	assert_int_equal(heard.length, wanted.length);
	if (wanted.length > 0)
		assert_memory_equal(heard.bytes, wanted.bytes, wanted.length);
	assert_int_equal(count(&f, LEDGER_BYTES_RECEIVED), length);
	assert_int_equal(count(&f, LEDGER_BYTES_SENT), heard.length);
	assert_int_equal(count(&f, LEDGER_MESSAGES_RECEIVED), wanted.messages);
	if (!reply->is_discard)
		assert_int_equal(count(&f, LEDGER_REPLIES_SENT), wanted.messages);
	assert_int_equal(one_worker_closed(&f.giver, CLOSE_PEER_CLOSED) +
		one_worker_closed(&f.taker, CLOSE_PEER_CLOSED),
	    1);
	free(wanted.bytes);
	free(heard.bytes);
	close(fds[0]);
	finish(&f);
}

static void
test_a_connection_moves_at_any_byte_and_its_peer_notices_nothing(void **state)
{
	struct move c = { .data = "one\ntwo\n\nfour is longer\nfive",
		.max_pending = 1024 };

	(void)state;
	for (size_t r = 0; r < SPEC_REPLIES; r++) {
		for (c.at = 0; c.at <= strlen(c.data) + 1; c.at++)
			check_move(&spec_replies[r], &c);
	}
}

static void
test_a_connection_moves_with_the_replies_that_wait_for_its_peer(void **state)
{
	enum { LINES = 2000, LINE_BYTES = 20, ALL = LINES * LINE_BYTES };
	static const size_t places[] = { 25000, 25001, ALL - 1, ALL, ALL + 1 };
	static char data[ALL + 1];
	struct move c = { .data = data, .waits = true };

	(void)state;
	for (int i = 0; i < LINES; i++)
		snprintf(data + i * LINE_BYTES, LINE_BYTES + 1, "line %014d\n", i);
	for (size_t r = 0; r < SPEC_REPLIES; r++) {
		for (size_t p = 0; p < sizeof(places) / sizeof(places[0]); p++) {
			c.at = places[p];
			/* Reading has stopped, or has gone to the end. */
			c.max_pending = 1024;
			check_move(&spec_replies[r], &c);
			c.max_pending = 1 << 20;
			check_move(&spec_replies[r], &c);
		}
	}
}

static void
test_a_connection_on_its_way_out_after_a_mistake_ends_over_there_as_it_would_here(
    void **state)
{
	enum { GOOD = 1000 };
	static char data[GOOD * 20 + MAX_MESSAGE + 2];
	struct move c = { .data = data };
	struct heard heard = { 0 };
	struct fixture f;
	int fds[2];

	(void)state;
	for (int i = 0; i < GOOD; i++)
		snprintf(data + i * 20, 21, "line %014d\n", i);
	memset(data + GOOD * 20, 'x', MAX_MESSAGE + 1);
	start(&f, "echo", FRAMING_LINE, 1 << 20);
	open_unix_pair(fds, 4608);
	one_worker_serve(&f.giver, fds[1]);
	say_first(&f, &c, sizeof(data) - 1, fds[0], &heard);
	assert_non_null(f.giver.worker.stuck);
	hand_over(&f);
	assert_int_equal(f.taker.worker.pool.count, 1);
	for (int i = 0; i < 100000 && !heard.is_over; i++) {
		turn_both(&f);
		hear(&heard, fds[0], 500);
	}
	assert_int_equal(heard.length, GOOD * 20);
	assert_memory_equal(heard.bytes, data, heard.length);
	assert_int_equal(f.taker.worker.lingering, 1);
	close(fds[0]);
	turn_both(&f);
	assert_int_equal(one_worker_closed(&f.taker, CLOSE_MESSAGE_TOO_LONG), 1);
	assert_int_equal(count(&f, LEDGER_REPLIES_SENT), GOOD);
	free(heard.bytes);
	finish(&f);
}

static void
test_all_connections_move_and_are_booked_on_both_sides(void **state)
{
	int fds[MANY][2];
	struct fixture f;
	char answer[8];

	(void)state;
	start(&f, "upper", FRAMING_STREAM, 1024);
	for (int i = 0; i < MANY; i++) {
		open_unix_pair(fds[i], 0);
		one_worker_serve(&f.giver, fds[i][1]);
	}
	hand_over(&f);
	assert_int_equal(f.giver.worker.pool.count, 0);
	assert_int_equal(f.taker.worker.pool.count, MANY);
	assert_int_equal(
	    one_worker_count(&f.giver, LEDGER_CONNECTIONS_MOVED_OUT), MANY);
	assert_int_equal(one_worker_count(&f.taker, LEDGER_CONNECTIONS_MOVED_IN), MANY);
	assert_told(f.giver_channel, CHANNEL_GAVE, 7, MANY);
	assert_told(f.taker_channel, CHANNEL_TOOK, 8, MANY);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(send(fds[i][0], "hello", 5, 0), 5);
	for (int i = 0; i < 50; i++)
		turn_both(&f);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(recv(fds[i][0], answer, 8, 0), 5);
		assert_memory_equal(answer, "HELLO", 5);
		close(fds[i][0]);
	}
	finish(&f);
}

static void
test_what_has_no_room_or_no_listener_over_there_stays(void **state)
{
	struct fixture f;
	int fds[2];
	char answer[8];

	(void)state;
	for (int i = 0; i < 3; i++) {
		start(&f, "upper", FRAMING_STREAM, 1024);
		open_unix_pair(fds, 0);
		one_worker_serve(&f.giver, fds[1]);
		if (i == 0)
			f.taker.worker.max_connections = 0;
		else if (i == 1)
			f.taker.listener_config.framing = FRAMING_LINE;
		else
			f.taker.listener_config.address_text = (char *)"[::1]:1";
		hand_over(&f);
		assert_int_equal(f.taker.worker.pool.count, 0);
		assert_told(f.giver_channel, CHANNEL_GAVE, 7, 0);
		assert_told(f.taker_channel, CHANNEL_TOOK, 8, 0);
		assert_int_equal(send(fds[0], "hello", 5, 0), 5);
		one_worker_turn(&f.giver);
		assert_int_equal(recv(fds[0], answer, 8, 0), 5);
		close(fds[0]);
		finish(&f);
	}
}

static void
test_a_taker_that_dies_before_it_took_leaves_them_where_they_were(void **state)
{
	struct handover_note room = { .verb = HANDOVER_ROOM, .count = 10, .mask = 1 };
	struct fixture f;
	int fds[2], handover[2];
	char answer[8];

	(void)state;
	start(&f, "upper", FRAMING_STREAM, 1024);
	open_unix_pair(fds, 0);
	one_worker_serve(&f.giver, fds[1]);
	must(channel_open(handover) == 0);
	giver_start(&f.giver.worker, handover[0], 7, 0);
	assert_int_equal(handover_send(handover[1], &room, sizeof(room), NULL, 0), 0);
	one_worker_turn(&f.giver);
	/* The batch is on its way: nobody answers. */
	assert_int_equal(send(fds[0], "hello", 5, 0), 5);
	one_worker_turn(&f.giver);
	assert_int_equal(recv(fds[0], answer, 8, 0), -1);
	close(handover[1]);
	assert_true(one_worker_until(&f.giver, recv(fds[0], answer, 8, 0) == 5));
	assert_memory_equal(answer, "HELLO", 5);
	assert_int_equal(one_worker_count(&f.giver, LEDGER_CONNECTIONS_MOVED_OUT), 0);
	assert_told(f.giver_channel, CHANNEL_GAVE, 7, 0);
	close(fds[0]);
	finish(&f);
}

static void
test_a_giver_that_dies_after_it_gave_has_given(void **state)
{
	struct fixture f;
	struct handover_hello hello = {
		.verb = HANDOVER_HELLO, .version = HANDOVER_VERSION, .count = 1
	};
	struct handover_batch batch = { .verb = HANDOVER_BATCH, .count = 1 };
	union handover_packet packet;
	int fds[2], handover[2], got[HANDOVER_BATCH_MAX + 1];
	size_t got_count;
	char answer[8];

	(void)state;
	start(&f, "upper", FRAMING_STREAM, 1024);
	open_unix_pair(fds, 0);
	must(channel_open(handover) == 0);
	taker_start(&f.taker.worker, handover[1], 8);
	strcpy(hello.listeners[0].name, "127.0.0.1:10000");
	must(handover_send(handover[0], &hello, sizeof(hello), NULL, 0) == 0);
	batch.records[0].peer_family = AF_INET;
	must(handover_send(handover[0], &batch, handover_batch_bytes(1), &fds[1], 1) ==
	    0);
	close(fds[1]);
	for (int i = 0; i < 5; i++)
		one_worker_turn(&f.taker);
	assert_true(handover_receive(handover[0], &packet, got, &got_count) > 0);
	assert_int_equal(packet.verb, HANDOVER_ROOM);
	assert_true(handover_receive(handover[0], &packet, got, &got_count) > 0);
	assert_int_equal(packet.verb, HANDOVER_TAKEN);
	assert_int_equal(one_worker_count(&f.taker, LEDGER_CONNECTIONS_MOVED_IN), 0);
	close(handover[0]);
	assert_int_equal(send(fds[0], "hello", 5, 0), 5);
	for (int i = 0; i < 5; i++)
		one_worker_turn(&f.taker);
	assert_int_equal(recv(fds[0], answer, 8, 0), 5);
	assert_told(f.taker_channel, CHANNEL_TOOK, 8, 1);
	close(fds[0]);
	finish(&f);
}

static void
test_more_descriptors_than_fit_do_not_come_in(void **state)
{
	enum { SENT = HANDOVER_BATCH_MAX + 2 };
	static const struct handover_note note = { .verb = HANDOVER_END };
	union handover_packet packet;
	int pair[2], sent[SENT], got[SENT] = { [SENT - 1] = -77 };
	size_t count;

	(void)state;
	must(channel_open(pair) == 0);
	for (int i = 0; i < SENT; i++)
		sent[i] = pair[0];
	must(handover_send(pair[0], &note, sizeof(note), sent, SENT) == 0);
	assert_int_equal(handover_receive(pair[1], &packet, got, &count), sizeof(note));
	assert_int_equal(count, HANDOVER_BATCH_MAX + 1);
	assert_int_equal(got[SENT - 1], -77);
	for (size_t i = 0; i < count; i++)
		close(got[i]);
	close(pair[0]);
	/* All that came in are closed: nobody is there any more. */
	assert_int_equal(handover_receive(pair[1], &packet, got, &count), 0);
	close(pair[1]);
}

static void
test_an_empty_packet_with_a_descriptor_is_no_end(void **state)
{
	union handover_packet packet;
	int pair[2], got[HANDOVER_BATCH_MAX + 1];
	size_t count;

	(void)state;
	must(channel_open(pair) == 0);
	must(handover_send(pair[0], "", 0, &pair[0], 1) == 0);
	assert_int_equal(handover_receive(pair[1], &packet, got, &count), -1);
	assert_int_equal(errno, EPROTO);
	assert_int_equal(count, 1);
	close(got[0]);
	close(pair[0]);
	close(pair[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_a_connection_moves_at_any_byte_and_its_peer_notices_nothing),
		cmocka_unit_test(
		    test_a_connection_moves_with_the_replies_that_wait_for_its_peer),
		cmocka_unit_test(
		    test_a_connection_on_its_way_out_after_a_mistake_ends_over_there_as_it_would_here),
		cmocka_unit_test(
		    test_all_connections_move_and_are_booked_on_both_sides),
		cmocka_unit_test(test_what_has_no_room_or_no_listener_over_there_stays),
		cmocka_unit_test(
		    test_a_taker_that_dies_before_it_took_leaves_them_where_they_were),
		cmocka_unit_test(test_a_giver_that_dies_after_it_gave_has_given),
		cmocka_unit_test(test_more_descriptors_than_fit_do_not_come_in),
		cmocka_unit_test(test_an_empty_packet_with_a_descriptor_is_no_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
