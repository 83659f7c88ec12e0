#include "tests/lib/two_workers.h"

/* One connection on its way: the batch was sent, nobody has answered it. Returns the
 * peer's end; *ret_far is the taker's end of the hand-over. */
static int
send_one_off(struct fixture *f, int *ret_far)
{
	struct handover_note room = { .verb = HANDOVER_ROOM, .count = 10, .mask = 1 };
	int fds[2], handover[2];

	open_unix_pair(fds, 0);
	one_worker_serve(&f->giver, fds[1]);
	must(channel_open(handover) == 0);
	giver_start(&f->giver.worker, handover[0], 7, 0);
	must(handover_send(handover[1], &room, sizeof(room), NULL, 0) == 0);
	assert_true(
	    one_worker_until(&f->giver, one_worker_connection(&f->giver)->suspended));
	*ret_far = handover[1];
	return fds[0];
}

/* As a stop and a deadline do. */
static void
end_giver(struct fixture *f)
{
	giver_stop(&f->giver.worker);
	pool_visit(&f->giver.worker.pool, one_worker_stop_one, NULL);
}

/* Every connection has ended once, in one of the two workers. */
static void
assert_ended_once(const struct fixture *f, uint64_t connections)
{
	struct ledger_totals giver = { 0 }, taker = { 0 };

	ledger_add_books(&giver, f->giver.ledger, f->giver.worker.books);
	ledger_add_books(&taker, f->taker.ledger, f->taker.worker.books);
	assert_int_equal(ledger_closed(&giver) + ledger_closed(&taker), connections);
}

static void
test_a_giver_that_must_end_keeps_what_the_taker_has_not_taken(void **state)
{
	struct fixture f;
	int far;
	char byte;

	(void)state;
	start(&f, "upper", FRAMING_STREAM, 1024);
	int peer = send_one_off(&f, &far);
	end_giver(&f);
	/* Only now it comes to the packets that wait. */
	taker_start(&f.taker.worker, far, 8);
	assert_true(one_worker_until(&f.taker, f.taker.worker.takers == NULL));
	assert_int_equal(f.taker.worker.pool.count, 0);
	assert_int_equal(recv(peer, &byte, 1, 0), 0);
	assert_told(f.giver_channel, CHANNEL_GAVE, 7, 0);
	assert_told(f.taker_channel, CHANNEL_TOOK, 8, 0);
	assert_int_equal(one_worker_closed(&f.giver, CLOSE_STOPPED), 1);
	assert_ended_once(&f, 1);
	close(peer);
	finish(&f);
}

static void
test_a_giver_that_must_end_leaves_what_the_taker_has_taken(void **state)
{
	struct handover_note taken = { .verb = HANDOVER_TAKEN, .count = 1 };
	struct fixture f;
	int far;

	(void)state;
	start(&f, "upper", FRAMING_STREAM, 1024);
	int peer = send_one_off(&f, &far);
	must(handover_send(far, &taken, sizeof(taken), NULL, 0) == 0);
	end_giver(&f);
	assert_told(f.giver_channel, CHANNEL_GAVE, 7, 1);
	assert_int_equal(one_worker_count(&f.giver, LEDGER_CONNECTIONS_MOVED_OUT), 1);
	assert_ended_once(&f, 0);
	close(far);
	close(peer);
	finish(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_a_giver_that_must_end_keeps_what_the_taker_has_not_taken),
		cmocka_unit_test(
		    test_a_giver_that_must_end_leaves_what_the_taker_has_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
