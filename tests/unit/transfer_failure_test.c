#include <sys/mman.h>

#include "tests/lib/transfer_fixture.h"

static void
test_keeps_connections_that_the_receiver_cannot_serve(void **state)
{
	struct fixture f;
	int fds[2];
	char answer[8];

	(void)state;
	for (int i = 0; i < 3; i++) {
		start(&f, "upper", FRAMING_STREAM, 1024);
		open_unix_pair(fds, 0);
		worker_fixture_serve(&f.sender, fds[1]);
		if (i == 0)
			f.receiver.worker.limits.max_connections = 0;
		else if (i == 1)
			f.receiver.listener_config.framing = FRAMING_LINE;
		else
			strcpy(f.receiver.listener.name, "[::1]:1");
		transfer_all(&f);
		assert_int_equal(f.receiver.worker.connections.count, 0);
		assert_master_received(
		    f.sender_channel, CHANNEL_SENT, 7, i == 0 ? CHANNEL_SENT_FULL : 0);
		assert_master_received(f.receiver_channel, CHANNEL_RECEIVED, 8, 0);
		assert_int_equal(send(fds[0], "hello", 5, 0), 5);
		worker_fixture_run_once(&f.sender);
		assert_int_equal(recv(fds[0], answer, 8, 0), 5);
		close(fds[0]);
		finish(&f);
	}
}

/* The receiver's event method can watch a limited number of descriptors. Here, moved
 * connections free descriptors for the next batch. */
static void
test_splits_a_batch_that_exceeds_the_receiver_capacity(void **state)
{
	enum { FITTING = 100 };
	static int fds[MANY][2];
	struct fixture f;

	(void)state;
	start(&f, "upper", FRAMING_STREAM, 1024);
	for (int i = 0; i < MANY; i++) {
		open_unix_pair(fds[i], 0);
		worker_fixture_serve(&f.sender, fds[i][1]);
	}
	/* Two descriptors are those of the transfer. */
	f.receiver.worker.limits.fd_end = fds[MANY - 1][1] + 1 + 2 + FITTING;
	transfer_all(&f);
	assert_int_equal(f.receiver.worker.connections.count, MANY);
	assert_master_received(f.sender_channel, CHANNEL_SENT, 7, MANY);
	assert_master_received(f.receiver_channel, CHANNEL_RECEIVED, 8, MANY);
	for (int i = 0; i < MANY; i++)
		close(fds[i][0]);
	assert_true(worker_fixture_run_until(
	    &f.receiver, f.receiver.worker.connections.count == 0));
	finish(&f);
}

static void
test_sender_keeps_connections_when_the_receiver_dies_before_accepting(void **state)
{
	struct transfer_note capacity = {
		.verb = TRANSFER_CAPACITY, .count = 10, .mask = 1
	};
	struct fixture f;
	int fds[2], transfer[2];
	char answer[8];

	(void)state;
	start(&f, "upper", FRAMING_STREAM, 1024);
	open_unix_pair(fds, 0);
	worker_fixture_serve(&f.sender, fds[1]);
	must(channel_open(transfer) == 0);
	transfer_send_start(&f.sender.worker, transfer[0], 7, 0);
	assert_int_equal(
	    transfer_packet_send(transfer[1], &capacity, sizeof(capacity), NULL, 0), 0);
	worker_fixture_run_once(&f.sender);
	/* The batch is in flight: the connection is not served. */
	assert_int_equal(send(fds[0], "hello", 5, 0), 5);
	worker_fixture_run_once(&f.sender);
	assert_int_equal(recv(fds[0], answer, 8, 0), -1);
	close(transfer[1]);
	assert_true(
	    worker_fixture_run_until(&f.sender, recv(fds[0], answer, 8, 0) == 5));
	assert_memory_equal(answer, "HELLO", 5);
	assert_int_equal(
	    worker_fixture_count(&f.sender, LEDGER_CONNECTIONS_MOVED_OUT), 0);
	assert_master_received(f.sender_channel, CHANNEL_SENT, 7, 0);
	close(fds[0]);
	finish(&f);
}

static void
test_receiver_keeps_connections_when_the_sender_dies_after_the_batch(void **state)
{
	struct fixture f;
	struct transfer_hello hello = {
		.verb = TRANSFER_HELLO, .version = TRANSFER_VERSION, .count = 1
	};
	struct transfer_batch batch = { .verb = TRANSFER_BATCH, .count = 1 };
	union transfer_packet packet;
	int fds[2], transfer[2], got[TRANSFER_BATCH_MAX + 1];
	size_t got_count;
	char answer[8];

	(void)state;
	start(&f, "upper", FRAMING_STREAM, 1024);
	open_unix_pair(fds, 0);
	must(channel_open(transfer) == 0);
	transfer_receive_start(&f.receiver.worker, transfer[1], 8);
	strcpy(hello.listeners[0].name, "127.0.0.1:10000");
	must(transfer_packet_send(transfer[0], &hello, sizeof(hello), NULL, 0) == 0);
	batch.records[0].peer_family = AF_INET;
	must(transfer_packet_send(
		 transfer[0], &batch, transfer_batch_bytes(1), &fds[1], 1) == 0);
	close(fds[1]);
	for (int i = 0; i < 5; i++)
		worker_fixture_run_once(&f.receiver);
	assert_true(transfer_packet_receive(transfer[0], &packet, got, &got_count) > 0);
	assert_int_equal(packet.verb, TRANSFER_CAPACITY);
	assert_true(transfer_packet_receive(transfer[0], &packet, got, &got_count) > 0);
	assert_int_equal(packet.verb, TRANSFER_ACCEPTED);
	assert_int_equal(
	    worker_fixture_count(&f.receiver, LEDGER_CONNECTIONS_MOVED_IN), 0);
	close(transfer[0]);
	assert_int_equal(send(fds[0], "hello", 5, 0), 5);
	for (int i = 0; i < 5; i++)
		worker_fixture_run_once(&f.receiver);
	assert_int_equal(recv(fds[0], answer, 8, 0), 5);
	assert_master_received(f.receiver_channel, CHANNEL_RECEIVED, 8, 1);
	close(fds[0]);
	finish(&f);
}

/* Passes a connection with input "hello" of whose reply 3 bytes have been sent, as the
 * keeper of a worker with that reply does. Returns the receiver's answer; ret_same is
 * same_replies of its CAPACITY, and ret_length what recv(2) of the peer returns. */
static enum transfer_verb
replay_after(
    const char *reply_of_dead, char answer[8], ssize_t *ret_length, uint64_t *ret_same)
{
	struct fixture f;
	struct transfer_hello hello = {
		.verb = TRANSFER_HELLO, .version = TRANSFER_VERSION, .count = 1
	};
	struct transfer_batch batch = {
		.verb = TRANSFER_BATCH, .count = 1, .state_bytes = 6
	};
	struct reply reply;
	union transfer_packet packet;
	char error[128];
	int fds[2], transfer[2], passed[2], got[TRANSFER_BATCH_MAX + 1];
	size_t got_count;

	start(&f, "upper,suffix=!", FRAMING_LINE, 1024);
	open_unix_pair(fds, 0);
	must(channel_open(transfer) == 0);
	transfer_receive_start(&f.receiver.worker, transfer[1], 8);
	must(reply_parse(reply_of_dead, &reply, error, sizeof(error)) == 0);
	hello.listeners[0].framing = FRAMING_LINE;
	hello.listeners[0].reply = reply_fingerprint(&reply);
	reply_finish(&reply);
	strcpy(hello.listeners[0].name, "127.0.0.1:10000");
	must(transfer_packet_send(transfer[0], &hello, sizeof(hello), NULL, 0) == 0);
	batch.records[0].peer_family = AF_INET;
	batch.records[0].input_bytes = 6;
	batch.records[0].skip = 3;
	passed[0] = fds[1];
	passed[1] = memfd_create("state", MFD_CLOEXEC);
	must(write(passed[1], "hello\n", 6) == 6);
	must(transfer_packet_send(
		 transfer[0], &batch, transfer_batch_bytes(1), passed, 2) == 0);
	close(passed[1]);
	for (int i = 0; i < 5; i++)
		worker_fixture_run_once(&f.receiver);
	*ret_length = recv(fds[0], answer, 8, 0);
	assert_true(transfer_packet_receive(transfer[0], &packet, got, &got_count) > 0);
	assert_int_equal(packet.verb, TRANSFER_CAPACITY);
	*ret_same = packet.note.same_replies;
	assert_true(transfer_packet_receive(transfer[0], &packet, got, &got_count) > 0);
	close(transfer[0]);
	close(fds[0]);
	close(passed[0]);
	for (int i = 0; i < 5; i++)
		worker_fixture_run_once(&f.receiver);
	finish(&f);
	return (enum transfer_verb)packet.verb;
}

static void
test_rejects_a_partly_answered_connection_when_the_reply_has_changed(void **state)
{
	static const char *const changed[] = { "upper,suffix=?", "echo,suffix=!" };
	char answer[8];
	uint64_t same;
	ssize_t length;

	(void)state;
	assert_int_equal(
	    replay_after("upper,suffix=!", answer, &length, &same), TRANSFER_ACCEPTED);
	assert_int_equal(same, 1);
	assert_int_equal(length, 4);
	assert_memory_equal(answer, "LO!\n", 4);
	for (size_t i = 0; i < sizeof(changed) / sizeof(changed[0]); i++) {
		assert_int_equal(replay_after(changed[i], answer, &length, &same),
		    TRANSFER_REJECTED);
		assert_int_equal(same, 0);
		assert_int_equal(length, -1); /* the sender still has it */
	}
}

static void
test_a_repeated_capacity_message_loses_no_connection(void **state)
{
	struct transfer_note capacity = {
		.verb = TRANSFER_CAPACITY, .count = 10, .mask = 1
	};
	struct fixture f;
	int fds[3][2], transfer[2];
	char answer[8];

	(void)state;
	start(&f, "upper", FRAMING_STREAM, 1024);
	for (int i = 0; i < 3; i++) {
		open_unix_pair(fds[i], 0);
		worker_fixture_serve(&f.sender, fds[i][1]);
	}
	must(channel_open(transfer) == 0);
	transfer_send_start(&f.sender.worker, transfer[0], 7, 0);
	must(transfer_packet_send(transfer[1], &capacity, sizeof(capacity), NULL, 0) ==
	    0);
	worker_fixture_run_once(&f.sender);
	capacity.count = 1;
	must(transfer_packet_send(transfer[1], &capacity, sizeof(capacity), NULL, 0) ==
	    0);
	worker_fixture_run_once(&f.sender);
	close(transfer[1]);
	assert_true(worker_fixture_run_until(
	    &f.sender, f.sender.worker.transfers.sender == NULL));
	for (int i = 0; i < 3; i++) {
		assert_int_equal(send(fds[i][0], "hello", 5, 0), 5);
		assert_true(worker_fixture_run_until(
		    &f.sender, recv(fds[i][0], answer, 8, 0) == 5));
		close(fds[i][0]);
	}
	finish(&f);
}

static void
test_rejects_excess_descriptors(void **state)
{
	enum { SENT = TRANSFER_BATCH_MAX + 2 };
	static const struct transfer_note note = { .verb = TRANSFER_END };
	union transfer_packet packet;
	int pair[2], sent[SENT], got[SENT] = { [SENT - 1] = -77 };
	size_t count;

	(void)state;
	must(channel_open(pair) == 0);
	for (int i = 0; i < SENT; i++)
		sent[i] = pair[0];
	must(transfer_packet_send(pair[0], &note, sizeof(note), sent, SENT) == 0);
	assert_int_equal(
	    transfer_packet_receive(pair[1], &packet, got, &count), sizeof(note));
	assert_int_equal(count, TRANSFER_BATCH_MAX + 1);
	assert_int_equal(got[SENT - 1], -77);
	for (size_t i = 0; i < count; i++)
		close(got[i]);
	close(pair[0]);
	/* All received copies are closed: end of file. */
	assert_int_equal(transfer_packet_receive(pair[1], &packet, got, &count), 0);
	close(pair[1]);
}

static void
test_an_empty_packet_with_a_descriptor_is_not_eof(void **state)
{
	union transfer_packet packet;
	int pair[2], got[TRANSFER_BATCH_MAX + 1];
	size_t count;

	(void)state;
	must(channel_open(pair) == 0);
	must(transfer_packet_send(pair[0], "", 0, &pair[0], 1) == 0);
	assert_int_equal(transfer_packet_receive(pair[1], &packet, got, &count), -1);
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
		cmocka_unit_test(test_keeps_connections_that_the_receiver_cannot_serve),
		cmocka_unit_test(
		    test_splits_a_batch_that_exceeds_the_receiver_capacity),
		cmocka_unit_test(
		    test_sender_keeps_connections_when_the_receiver_dies_before_accepting),
		cmocka_unit_test(
		    test_receiver_keeps_connections_when_the_sender_dies_after_the_batch),
		cmocka_unit_test(
		    test_rejects_a_partly_answered_connection_when_the_reply_has_changed),
		cmocka_unit_test(test_a_repeated_capacity_message_loses_no_connection),
		cmocka_unit_test(test_rejects_excess_descriptors),
		cmocka_unit_test(test_an_empty_packet_with_a_descriptor_is_not_eof),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
