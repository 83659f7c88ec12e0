#include "tests/lib/two_workers.h"

/* The linker puts it in the place of calloc (Makefile). */
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

/* A leaving worker with one connection, which waits for a hand-over. Returns the peer's
 * end; *ret_handover are both ends of the hand-over. */
static int
start_leaving(struct fixture *f, int ret_handover[2])
{
	int fds[2];

	start(f, "upper", FRAMING_STREAM, 1024);
	open_unix_pair(fds, 0);
	one_worker_serve(&f->giver, fds[1]);
	f->giver.worker.awaits_taker = true;
	assert_true(giver_wants(&f->giver.worker, one_worker_connection(&f->giver)));
	must(channel_open(ret_handover) == 0);
	return fds[0];
}

/* Nobody else takes it, so it is drained like one that cannot move. */
static void
finish_draining(struct fixture *f, int peer)
{
	char answer[8];

	assert_false(giver_wants(&f->giver.worker, one_worker_connection(&f->giver)));
	assert_int_equal(send(peer, "hello", 5, 0), 5);
	assert_true(one_worker_until(&f->giver, recv(peer, answer, 8, 0) == 5));
	assert_told(f->giver_channel, CHANNEL_GAVE, 7, 0);
	assert_told(f->taker_channel, CHANNEL_TOOK, 8, 0);
	close(peer);
	finish(f);
}

static void
test_a_worker_without_memory_to_take_leaves_nobody_waiting_for_it(void **state)
{
	struct fixture f;
	int handover[2];

	(void)state;
	int peer = start_leaving(&f, handover);
	giver_start(&f.giver.worker, handover[0], 7, 0);
	has_no_memory = true;
	taker_start(&f.taker.worker, handover[1], 8);
	has_no_memory = false;
	assert_true(one_worker_until(&f.giver, f.giver.worker.giver == NULL));
	finish_draining(&f, peer);
}

static void
test_a_worker_without_memory_to_give_drains(void **state)
{
	struct fixture f;
	int handover[2];

	(void)state;
	int peer = start_leaving(&f, handover);
	taker_start(&f.taker.worker, handover[1], 8);
	has_no_memory = true;
	giver_start(&f.giver.worker, handover[0], 7, 0);
	has_no_memory = false;
	assert_true(one_worker_until(&f.taker, f.taker.worker.takers == NULL));
	finish_draining(&f, peer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_a_worker_without_memory_to_take_leaves_nobody_waiting_for_it),
		cmocka_unit_test(test_a_worker_without_memory_to_give_drains),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
