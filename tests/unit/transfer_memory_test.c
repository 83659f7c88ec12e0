#include "tests/lib/transfer_fixture.h"
#include "worker/transfer_state.h"

/* Replaces calloc (Makefile, --wrap). */
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

static bool has_no_memory;

void *
__wrap_calloc(size_t count, size_t size)
{
	if (!has_no_memory)
		return __real_calloc(count, size);
	errno = ENOMEM;
	return NULL;
}

/* Replaces the send of a batch: the first `refusals` sends fail. */
int __real_transfer_state_send(
    int fd, struct connection *const *connections, uint32_t count);
int __wrap_transfer_state_send(
    int fd, struct connection *const *connections, uint32_t count);

static unsigned refusals, sent;

int
__wrap_transfer_state_send(
    int fd, struct connection *const *connections, uint32_t count)
{
	if (refusals == 0) {
		sent++;
		return __real_transfer_state_send(fd, connections, count);
	}
	refusals--;
	errno = ETOOMANYREFS;
	return -1;
}

/* A draining worker with one connection, which waits for a transfer. Returns the peer's
 * end; *ret_transfer are both ends of the transfer. */
static int
start_draining(struct fixture *f, int ret_transfer[2])
{
	int fds[2];

	start(f, "upper", FRAMING_STREAM, 1024);
	open_unix_pair(fds, 0);
	worker_fixture_serve(&f->sender, fds[1]);
	transfer_send_expect(&f->sender.worker, true);
	assert_true(f->sender.worker.transfers.movable & 1);
	must(channel_open(ret_transfer) == 0);
	return fds[0];
}

/* No other transfer starts, so the connection is drained. */
static void
finish_draining(struct fixture *f, int peer)
{
	char answer[8];

	assert_false(f->sender.worker.transfers.movable & 1);
	assert_int_equal(send(peer, "hello", 5, 0), 5);
	assert_true(
	    worker_fixture_run_until(&f->sender, recv(peer, answer, 8, 0) == 5));
	assert_master_received(f->sender_channel, CHANNEL_SENT, 7, 0);
	assert_master_received(f->receiver_channel, CHANNEL_RECEIVED, 8, 0);
	close(peer);
	finish(f);
}

static void
test_a_receiver_without_memory_ends_the_transfer(void **state)
{
	struct fixture f;
	int transfer[2];

	(void)state;
	int peer = start_draining(&f, transfer);
	transfer_send_start(&f.sender.worker, transfer[0], 7, 0);
	has_no_memory = true;
	transfer_receive_start(&f.receiver.worker, transfer[1], 8);
	has_no_memory = false;
	assert_true(worker_fixture_run_until(
	    &f.sender, f.sender.worker.transfers.sender == NULL));
	finish_draining(&f, peer);
}

static void
test_a_sender_without_memory_drains(void **state)
{
	struct fixture f;
	int transfer[2];

	(void)state;
	int peer = start_draining(&f, transfer);
	transfer_receive_start(&f.receiver.worker, transfer[1], 8);
	has_no_memory = true;
	transfer_send_start(&f.sender.worker, transfer[0], 7, 0);
	has_no_memory = false;
	assert_true(worker_fixture_run_until(
	    &f.receiver, LIST_EMPTY(&f.receiver.worker.transfers.receivers)));
	finish_draining(&f, peer);
}

/* The kernel passes no descriptor to a process at its descriptor limit. */
static void
test_a_transfer_without_descriptor_ends_at_once(void **state)
{
	struct fixture f;
	int transfer[2];

	(void)state;
	int peer = start_draining(&f, transfer);
	close(transfer[0]);
	close(transfer[1]);
	transfer_receive_start(&f.receiver.worker, -1, 8);
	transfer_send_start(&f.sender.worker, -1, 7, 0);
	finish_draining(&f, peer);
}

static void
test_retries_a_batch_after_the_socket_blocks(void **state)
{
	struct fixture f;
	int transfer[2];
	char answer[8];

	(void)state;
	int peer = start_draining(&f, transfer);
	refusals = 3;
	transfer_send_start(&f.sender.worker, transfer[0], 7, 0);
	transfer_receive_start(&f.receiver.worker, transfer[1], 8);
	/* The connection is served by the sender meanwhile. */
	assert_true(worker_fixture_run_until(
	    &f.sender, (worker_fixture_run_once(&f.receiver), refusals < 3)));
	assert_int_equal(send(peer, "hello", 5, 0), 5);
	assert_true(worker_fixture_run_until(&f.sender,
	    (worker_fixture_run_once(&f.receiver), recv(peer, answer, 8, 0) == 5)));
	assert_true(worker_fixture_run_until(&f.sender,
	    (worker_fixture_run_once(&f.receiver),
		LIST_EMPTY(&f.receiver.worker.transfers.receivers))));
	assert_int_equal(refusals, 0);
	assert_int_equal(f.receiver.worker.connections.count, 1);
	assert_master_received(f.sender_channel, CHANNEL_SENT, 7, 1);
	assert_master_received(f.receiver_channel, CHANNEL_RECEIVED, 8, 1);
	close(peer);
	finish(&f);
}

static void
test_sends_each_batch_once(void **state)
{
	struct fixture f;
	int transfer[2];

	(void)state;
	int peer = start_draining(&f, transfer);
	refusals = 1;
	sent = 0;
	transfer_send_start(&f.sender.worker, transfer[0], 7, 0);
	transfer_receive_start(&f.receiver.worker, transfer[1], 8);
	assert_true(worker_fixture_run_until(
	    &f.sender, (worker_fixture_run_once(&f.receiver), refusals == 0)));
	/* drain.c continues a transfer for other reasons, too. */
	transfer_send_continue(&f.sender.worker);
	assert_int_equal(sent, 1);
	uint64_t later_ms = worker_fixture_clock_ms() + 100;
	assert_true(
	    worker_fixture_run_until(&f.sender, worker_fixture_clock_ms() > later_ms));
	assert_int_equal(sent, 1);
	assert_true(worker_fixture_run_until(&f.sender,
	    (worker_fixture_run_once(&f.receiver),
		LIST_EMPTY(&f.receiver.worker.transfers.receivers))));
	assert_master_received(f.sender_channel, CHANNEL_SENT, 7, 1);
	assert_master_received(f.receiver_channel, CHANNEL_RECEIVED, 8, 1);
	close(peer);
	finish(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_receiver_without_memory_ends_the_transfer),
		cmocka_unit_test(test_a_sender_without_memory_drains),
		cmocka_unit_test(test_a_transfer_without_descriptor_ends_at_once),
		cmocka_unit_test(test_retries_a_batch_after_the_socket_blocks),
		cmocka_unit_test(test_sends_each_batch_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
