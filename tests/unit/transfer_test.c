#include <sys/mman.h>
#include <sys/prctl.h>

#include "proto/ledger_usage.h"
#include "tests/lib/transfer_fixture.h"
#include "worker/admission.h"
#include "worker/connection/tls_state.h"
#include "worker/transfer_state.h"

struct move {
	const char *data;
	size_t at; /* bytes sent before the transfer; if beyond the last: half-closed,
		      too */
	uint64_t max_pending;
	bool has_output; /* replies are queued by then */
};

/* Sends the bytes before the transfer, and reads no more replies than needed. */
static void
send_first(struct fixture *f, const struct move *c, size_t length, int fd,
    struct received *received)
{
	for (size_t sent = 0; sent < length;) {
		ssize_t n = send(fd, c->data + sent, length - sent, MSG_NOSIGNAL);
		sent += n > 0 ? (size_t)n : 0;
		worker_fixture_run_once(&f->sender);
		if (n < 0)
			receive_some(received, fd, 100);
	}
	if (c->at > length)
		shutdown(fd, SHUT_WR);
	for (int i = 0; i < 5; i++)
		worker_fixture_run_once(&f->sender);
}

/* The connection is transferred in the middle of a conversation. */
static void
check_move(const struct spec_reply *reply, const struct move *c)
{
	const char *data = c->data;
	size_t length = strlen(data), before = c->at < length ? c->at : length;
	struct received received = { 0 };
	struct fixture f;
	int fds[2];

	start(&f, reply->text, FRAMING_LINE, c->max_pending);
	open_unix_pair(fds, 4608);
	worker_fixture_serve(&f.sender, fds[1]);
	send_first(&f, c, before, fds[0], &received);
	if (c->has_output && reply->keeps_payload)
		assert_false(LIST_EMPTY(&f.sender.worker.queued_outputs));
	transfer_all(&f);
	for (size_t sent = before; !received.is_over;) {
		ssize_t n = send(fds[0], data + sent, length - sent, MSG_NOSIGNAL);
		sent += n > 0 ? (size_t)n : 0;
		if (sent == length)
			shutdown(fds[0], SHUT_WR);
		run_both_once(&f);
		receive_some(&received, fds[0], 500);
	}
	run_both_once(&f);
	struct spec_answer expected = spec_answer(
	    reply, FRAMING_LINE, MAX_MESSAGE, (const uint8_t *)data, length);
	assert_int_equal(received.length, expected.length);
	if (expected.length > 0)
		assert_memory_equal(received.bytes, expected.bytes, expected.length);
	assert_int_equal(count(&f, LEDGER_BYTES_RECEIVED), length);
	assert_int_equal(count(&f, LEDGER_BYTES_SENT), received.length);
	assert_int_equal(count(&f, LEDGER_MESSAGES_RECEIVED), expected.messages);
	if (!reply->is_discard)
		assert_int_equal(count(&f, LEDGER_REPLIES_SENT), expected.messages);
	assert_int_equal(worker_fixture_closed(&f.sender, CLOSE_PEER_CLOSED) +
		worker_fixture_closed(&f.receiver, CLOSE_PEER_CLOSED),
	    1);
	free(expected.bytes);
	free(received.bytes);
	close(fds[0]);
	finish(&f);
}

static void
test_transfers_a_connection_at_any_byte_without_visible_effect(void **state)
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
test_transfers_queued_replies(void **state)
{
	enum { LINES = 2000, LINE_BYTES = 20, ALL = LINES * LINE_BYTES };
	static const size_t offsets[] = { 25000, 25001, ALL - 1, ALL, ALL + 1 };
	static char data[ALL + 1];
	struct move c = { .data = data, .has_output = true };

	(void)state;
	for (int i = 0; i < LINES; i++)
		snprintf(data + i * LINE_BYTES, LINE_BYTES + 1, "line %014d\n", i);
	for (size_t r = 0; r < SPEC_REPLIES; r++) {
		for (size_t p = 0; p < sizeof(offsets) / sizeof(offsets[0]); p++) {
			c.at = offsets[p];
			/* With reading paused, and with everything read. */
			c.max_pending = 1024;
			check_move(&spec_replies[r], &c);
			c.max_pending = 1 << 20;
			check_move(&spec_replies[r], &c);
		}
	}
}

static void
test_transfers_a_connection_that_lingers_after_an_error(void **state)
{
	enum { GOOD = 1000 };
	static char data[GOOD * 20 + MAX_MESSAGE + 2];
	struct move c = { .data = data };
	struct received received = { 0 };
	struct fixture f;
	int fds[2];

	(void)state;
	for (int i = 0; i < GOOD; i++)
		snprintf(data + i * 20, 21, "line %014d\n", i);
	memset(data + GOOD * 20, 'x', MAX_MESSAGE + 1);
	start(&f, "echo", FRAMING_LINE, 1 << 20);
	open_unix_pair(fds, 4608);
	worker_fixture_serve(&f.sender, fds[1]);
	send_first(&f, &c, sizeof(data) - 1, fds[0], &received);
	assert_false(LIST_EMPTY(&f.sender.worker.queued_outputs));
	transfer_all(&f);
	assert_int_equal(f.receiver.worker.connections.count, 1);
	for (int i = 0; i < 100000 && !received.is_over; i++) {
		run_both_once(&f);
		receive_some(&received, fds[0], 500);
	}
	assert_int_equal(received.length, GOOD * 20);
	assert_memory_equal(received.bytes, data, received.length);
	assert_int_equal(f.receiver.worker.lingering_count, 1);
	close(fds[0]);
	run_both_once(&f);
	assert_int_equal(worker_fixture_closed(&f.receiver, CLOSE_MESSAGE_TOO_LONG), 1);
	assert_int_equal(count(&f, LEDGER_REPLIES_SENT), GOOD);
	free(received.bytes);
	finish(&f);
}

/* Lets the peer send the rest and read all replies. */
static void
send_and_receive_the_rest(struct fixture *f, int fd, const char *data, size_t length,
    size_t sent, struct received *received)
{
	uint64_t end_ms = worker_fixture_clock_ms() + 10000;

	while (!received->is_over && worker_fixture_clock_ms() < end_ms) {
		ssize_t n = send(fd, data + sent, length - sent, MSG_NOSIGNAL);
		sent += n > 0 ? (size_t)n : 0;
		if (sent == length)
			shutdown(fd, SHUT_WR);
		run_both_once(f);
		receive_some(received, fd, 500);
	}
	assert_true(received->is_over);
}

/* A reload may change limits.max_pending. */
static void
test_transfers_a_connection_over_the_receiver_output_limit(void **state)
{
	enum { LINES = 2000, LINE_BYTES = 20, ALL = LINES * LINE_BYTES };
	static char data[ALL + 1];
	struct move c = { .data = data };
	struct received received = { 0 };
	struct fixture f;
	int fds[2];

	(void)state;
	for (int i = 0; i < LINES; i++)
		snprintf(data + i * LINE_BYTES, LINE_BYTES + 1, "line %014d\n", i);
	start(&f, "upper", FRAMING_LINE, 1 << 20);
	f.receiver.config.limits.max_pending = 1024;
	open_unix_pair(fds, 4608);
	worker_fixture_serve(&f.sender, fds[1]);
	send_first(&f, &c, ALL - 500, fds[0], &received);
	assert_true(
	    buffer_length(LIST_FIRST(&f.sender.worker.queued_outputs)->bytes) > 2048);
	transfer_all(&f);
	/* The receiver reads no more before half of it is sent. */
	size_t queued =
	    buffer_length(LIST_FIRST(&f.receiver.worker.queued_outputs)->bytes);
	assert_int_equal(send(fds[0], data + ALL - 500, 490, 0), 490);
	for (int i = 0; i < 5; i++)
		run_both_once(&f);
	assert_int_equal(count(&f, LEDGER_BYTES_RECEIVED), ALL - 500);
	assert_true(
	    buffer_length(LIST_FIRST(&f.receiver.worker.queued_outputs)->bytes) <=
	    queued);
	send_and_receive_the_rest(&f, fds[0], data, ALL, ALL - 10, &received);
	run_both_once(&f);
	assert_int_equal(received.length, ALL);
	assert_int_equal(count(&f, LEDGER_REPLIES_SENT), LINES);
	free(received.bytes);
	close(fds[0]);
	finish(&f);
}

static void
test_transfers_all_connections_and_counts_them_on_both_sides(void **state)
{
	int fds[MANY][2];
	struct fixture f;
	char answer[8];

	(void)state;
	start(&f, "upper", FRAMING_STREAM, 1024);
	for (int i = 0; i < MANY; i++) {
		open_unix_pair(fds[i], 0);
		worker_fixture_serve(&f.sender, fds[i][1]);
	}
	transfer_all(&f);
	assert_int_equal(f.sender.worker.connections.count, 0);
	assert_int_equal(f.receiver.worker.connections.count, MANY);
	assert_int_equal(
	    worker_fixture_count(&f.sender, LEDGER_CONNECTIONS_MOVED_OUT), MANY);
	assert_int_equal(
	    worker_fixture_count(&f.receiver, LEDGER_CONNECTIONS_MOVED_IN), MANY);
	assert_master_received(f.sender_channel, CHANNEL_SENT, 7, MANY);
	assert_master_received(f.receiver_channel, CHANNEL_RECEIVED, 8, MANY);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(send(fds[i][0], "hello", 5, 0), 5);
	for (int i = 0; i < 50; i++)
		run_both_once(&f);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(recv(fds[i][0], answer, 8, 0), 5);
		assert_memory_equal(answer, "HELLO", 5);
		close(fds[i][0]);
	}
	finish(&f);
}

/* Both workers have their entries in one ledger, and limit the connections of each
 * address. */
static void
share_ledger(struct fixture *f)
{
	struct worker_fixture *receiver = &f->receiver;
	struct worker_fixture *both[] = { &f->sender, receiver };

	shared_memory_unmap(
	    receiver->worker.worker_ledger, sizeof(struct worker_ledger));
	ledger_destroy(receiver->ledger);
	receiver->ledger = receiver->worker.ledger = f->sender.ledger;
	int entry = ledger_claim(receiver->ledger, 1);
	must(entry == 1);
	receiver->worker.ledger_entry = 1;
	receiver->worker.worker_ledger = ledger_open_entry(receiver->ledger, 1);
	must(receiver->worker.worker_ledger != NULL);
	receiver->listener.block =
	    &receiver->worker.worker_ledger->by_listener[receiver->listener_number];
	for (int i = 0; i < 2; i++) {
		both[i]->listener_config.max_connections_per_address = MANY;
		must(admission_start(&both[i]->worker) == 0);
	}
}

/* The connections of 127.0.0.1, as a third worker counts them. */
static uint64_t
open_from_loopback(struct ledger *ledger)
{
	uint64_t network = 0;
	uint32_t address = htonl(INADDR_LOOPBACK);

	memcpy(&network, &address, sizeof(address));
	const struct ledger_usage_address loopback = { .own_entry = 2,
		.id =
		    address_usage_id(&ledger->shared->address_usage_key, network, 0) };
	return ledger_usage_open_from(ledger, &loopback);
}

/* What limits count after each step that a worker takes; NULL: not now. */
static struct ledger *counted;
static uint64_t open_connections;

void __real_open_count_change(
    struct open_shared *own, const struct open_change *change);
void __wrap_open_count_change(
    struct open_shared *own, const struct open_change *change);

/* No step hides a connection, so that a worker may stop there. */
void
__wrap_open_count_change(struct open_shared *own, const struct open_change *change)
{
	__real_open_count_change(own, change);
	if (counted == NULL)
		return;
	assert_true(ledger_usage_open(counted) >= open_connections);
	assert_true(open_from_loopback(counted) >= open_connections);
	/* Otherwise connections are about to become, or have just become, another's. */
	if ((own->version & 1) == 0)
		assert_int_equal(ledger_usage_open(counted), open_connections);
}

static void
assert_counted(void)
{
	assert_int_equal(ledger_usage_open(counted), open_connections);
	assert_int_equal(open_from_loopback(counted), open_connections);
}

/* Otherwise limits would count it twice, or not at all. */
static void
test_counts_a_connection_once_at_each_moment_of_a_transfer(void **state)
{
	enum { CONNECTIONS = TRANSFER_BATCH_MAX + 5 };
	struct fixture f;
	int fds[CONNECTIONS][2], transfer[2];

	(void)state;
	start(&f, "upper", FRAMING_STREAM, 1024);
	share_ledger(&f);
	for (int i = 0; i < CONNECTIONS; i++) {
		open_unix_pair(fds[i], 0);
		worker_fixture_serve(&f.sender, fds[i][1]);
	}
	counted = f.receiver.ledger;
	open_connections = CONNECTIONS;
	assert_counted();
	must(channel_open(transfer) == 0);
	transfer_send_start(&f.sender.worker, transfer[0], 7, 0);
	transfer_receive_start(&f.receiver.worker, transfer[1], 7);
	for (int i = 0; i < 1000 && !LIST_EMPTY(&f.receiver.worker.transfers.receivers);
	     i++) {
		worker_fixture_run_once(i % 2 == 0 ? &f.sender : &f.receiver);
		assert_counted();
	}
	assert_int_equal(f.receiver.worker.connections.count, CONNECTIONS);
	counted = NULL;
	for (int i = 0; i < CONNECTIONS; i++)
		close(fds[i][0]);
	admission_stop(&f.sender.worker);
	assert_true(worker_fixture_run_until(
	    &f.receiver, f.receiver.worker.connections.count == 0));
	admission_stop(&f.receiver.worker);
	finish(&f);
}

/* The receiver has installed and published the batch; its answer comes too late. */
static void
test_counts_a_connection_once_when_its_batch_is_withdrawn(void **state)
{
	struct fixture f;
	int fds[2], transfer[2];

	(void)state;
	start(&f, "upper", FRAMING_STREAM, 1024);
	share_ledger(&f);
	open_unix_pair(fds, 0);
	worker_fixture_serve(&f.sender, fds[1]);
	counted = f.receiver.ledger;
	open_connections = 1;
	must(channel_open(transfer) == 0);
	transfer_send_start(&f.sender.worker, transfer[0], 7, 0);
	transfer_receive_start(&f.receiver.worker, transfer[1], 7);
	while (!worker_fixture_connection(&f.sender)->frozen) {
		worker_fixture_run_once(&f.receiver);
		worker_fixture_run_once(&f.sender);
	}
	transfer_send_stop(&f.sender.worker);
	assert_counted();
	for (int i = 0; i < 10; i++) {
		worker_fixture_run_once(&f.receiver);
		assert_counted();
	}
	assert_int_equal(f.sender.worker.connections.count, 1);
	assert_int_equal(f.receiver.worker.connections.count, 0);
	counted = NULL;
	close(fds[0]);
	assert_true(worker_fixture_run_until(
	    &f.sender, f.sender.worker.connections.count == 0));
	admission_stop(&f.sender.worker);
	admission_stop(&f.receiver.worker);
	finish(&f);
}

/* Whatever size a sender claims, the receiver writes no more than there is. */
static void
test_wipes_the_keys_of_tls_and_makes_no_file_longer(void **state)
{
	static const uint64_t claims[] = { 0, 50, 100, 200, UINT64_C(1) << 40 };
	struct transfer_batch batch = { .count = 1 };
	uint8_t data[200];

	(void)state;
	batch.records[0].tls_bytes = 100;
	for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++) {
		int fd = memfd_create("state", MFD_CLOEXEC);
		assert_true(fd >= 0);
		memset(data, 'x', sizeof(data));
		assert_int_equal(write(fd, data, 100), 100);
		batch.state_bytes = claims[i];
		transfer_state_wipe(&batch, fd);
		assert_int_equal(pread(fd, data, sizeof(data), 0), 100);
		for (size_t j = 0; j < 100; j++)
			assert_int_equal(data[j], j < claims[i] ? 0 : 'x');
		close(fd);
	}
	transfer_state_wipe(&batch, -1);
}

/* It may serve a configuration without TLS, and have no other keys. */
static void
test_a_worker_that_is_given_keys_makes_no_core_file(void **state)
{
	struct fixture f;
	int fds[2];

	(void)state;
	start(&f, "echo", FRAMING_LINE, 1024);
	open_unix_pair(fds, 4608);
	worker_fixture_serve(&f.sender, fds[1]);
	struct connection *connection = worker_fixture_connection(&f.sender);
	assert_int_equal(tls_state_create(connection), 0);
	connection->tls->session = (struct tls_session){
		.version = TLS_VERSION_1_3,
		.aead = TLS_AES_128_GCM,
		.hash_bytes = 32,
		.is_server = true,
	};
	assert_int_equal(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), 0);
	transfer_all(&f);
	assert_int_equal(f.receiver.worker.connections.count, 1);
	assert_int_equal(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
	assert_int_equal(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), 0);
	close(fds[0]);
	finish(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_transfers_a_connection_at_any_byte_without_visible_effect),
		cmocka_unit_test(test_transfers_queued_replies),
		cmocka_unit_test(
		    test_transfers_a_connection_that_lingers_after_an_error),
		cmocka_unit_test(
		    test_transfers_a_connection_over_the_receiver_output_limit),
		cmocka_unit_test(
		    test_counts_a_connection_once_at_each_moment_of_a_transfer),
		cmocka_unit_test(
		    test_counts_a_connection_once_when_its_batch_is_withdrawn),
		cmocka_unit_test(
		    test_transfers_all_connections_and_counts_them_on_both_sides),
		cmocka_unit_test(test_wipes_the_keys_of_tls_and_makes_no_file_longer),
		cmocka_unit_test(test_a_worker_that_is_given_keys_makes_no_core_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
