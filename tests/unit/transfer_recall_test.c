#include "tests/lib/transfer_fixture.h"

/* One connection in flight: its batch is sent and not answered. Returns the peer's end;
 * *ret_far is the receiver's end of the transfer. */
static int
start_one_transfer(struct fixture *f, int *ret_far)
{
	struct transfer_note capacity = {
		.verb = TRANSFER_CAPACITY, .count = 10, .mask = 1
	};
	int fds[2], transfer[2];

	open_unix_pair(fds, 0);
	worker_fixture_serve(&f->sender, fds[1]);
	must(channel_open(transfer) == 0);
	transfer_send_start(&f->sender.worker, transfer[0], 7, 0);
	must(transfer_packet_send(transfer[1], &capacity, sizeof(capacity), NULL, 0) ==
	    0);
	assert_true(worker_fixture_run_until(
	    &f->sender, worker_fixture_connection(&f->sender)->frozen));
	*ret_far = transfer[1];
	return fds[0];
}

/* Like a stop or a deadline. */
static void
exit_sender(struct fixture *f)
{
	transfer_send_stop(&f->sender.worker);
	connection_pool_for_each(
	    &f->sender.worker.connections, worker_fixture_close_one, NULL);
}

/* Every connection was closed once, in one of the two workers. */
static void
assert_ended_once(const struct fixture *f, uint64_t connections)
{
	struct ledger_totals sender = { 0 }, receiver = { 0 };

	ledger_add_worker(&sender, f->sender.ledger, f->sender.worker.ledger_entry);
	ledger_add_worker(
	    &receiver, f->receiver.ledger, f->receiver.worker.ledger_entry);
	assert_int_equal(
	    ledger_closed(&sender) + ledger_closed(&receiver), connections);
}

static void
test_an_aborted_transfer_keeps_unaccepted_connections(void **state)
{
	struct fixture f;
	int far;
	char byte;

	(void)state;
	start(&f, "upper", FRAMING_STREAM, 1024);
	int peer = start_one_transfer(&f, &far);
	exit_sender(&f);
	/* The receiver reads the packets only now. */
	transfer_receive_start(&f.receiver.worker, far, 8);
	assert_true(worker_fixture_run_until(
	    &f.receiver, LIST_EMPTY(&f.receiver.worker.transfers.receivers)));
	assert_int_equal(f.receiver.worker.connections.count, 0);
	assert_int_equal(recv(peer, &byte, 1, 0), 0);
	assert_master_received(f.sender_channel, CHANNEL_SENT, 7, 0);
	assert_master_received(f.receiver_channel, CHANNEL_RECEIVED, 8, 0);
	assert_int_equal(worker_fixture_closed(&f.sender, CLOSE_STOPPED), 1);
	assert_ended_once(&f, 1);
	close(peer);
	finish(&f);
}

static void
test_an_aborted_transfer_releases_accepted_connections(void **state)
{
	struct transfer_note accepted = { .verb = TRANSFER_ACCEPTED, .count = 1 };
	struct fixture f;
	int far;

	(void)state;
	start(&f, "upper", FRAMING_STREAM, 1024);
	int peer = start_one_transfer(&f, &far);
	must(transfer_packet_send(far, &accepted, sizeof(accepted), NULL, 0) == 0);
	exit_sender(&f);
	assert_master_received(f.sender_channel, CHANNEL_SENT, 7, 1);
	assert_int_equal(
	    worker_fixture_count(&f.sender, LEDGER_CONNECTIONS_MOVED_OUT), 1);
	assert_ended_once(&f, 0);
	close(far);
	close(peer);
	finish(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_aborted_transfer_keeps_unaccepted_connections),
		cmocka_unit_test(
		    test_an_aborted_transfer_releases_accepted_connections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
