#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>

#include "lib/clock.h"
#include "tests/lib/worker_fixture.h"
#include "worker/connection/witness_state.h"
#include "worker/witness/witness_serve.h"

struct fixture {
	struct worker_fixture w;
	struct connection *connection;
	int peer;
};

static void
on_pause_over(void *waiter)
{
	witness_serve_on_due(waiter);
}

/* A connection that has been greeted. */
static void
start(struct fixture *f)
{
	int fds[2];
	worker_fixture_start(&f->w, "echo", FRAMING_STREAM, 65536, 65536);
	f->w.listener_config.reply.kind = REPLY_WITNESS;
	responder_prepare(&f->w.listener);
	f->w.listener.on_event = witness_serve_on_event;
	assert_int_equal(
	    pauses_start(&f->w.worker.pauses, f->w.worker.base, on_pause_over), 0);
	open_tcp_pair(fds, 0);
	f->peer = fds[0];
	worker_fixture_serve(&f->w, fds[1]);
	f->connection = worker_fixture_connection(&f->w);
	assert_true(witness_serve_begin(f->connection));
}

static void
finish(struct fixture *f)
{
	close(f->peer);
	connection_pool_for_each(
	    &f->w.worker.connections, worker_fixture_close_one, NULL);
	pauses_stop(&f->w.worker.pauses);
	worker_fixture_finish(&f->w);
}

static void
test_a_state_that_has_moved_is_kept_and_notes_it(void **state)
{
	struct fixture f;
	(void)state;
	start(&f);
	witness_state_of(f.connection)->record.generation = 7;
	witness_state_check(f.connection);
	const struct witness_state *kept = witness_state_find(f.connection);
	assert_non_null(kept);
	assert_int_equal(kept->record.generation, f.w.worker.generation);
	assert_int_equal(kept->record.event_count, 1);
	assert_int_equal(kept->record.events[0].kind, WITNESS_EVENT_MOVED);
	finish(&f);
}

/* What a compromised worker may send. */
enum damage {
	EVENT_COUNT,
	EVENT_KIND,
	REASON,
	MODE,
	LINE_BYTES,
	PATTERN_QUEUED,
	PATTERN_BYTES,
	ACCEPTED,
	DUE,
	DUE_KIND,
	DUE_BYTES,
	DAMAGES
};

static void
damage(struct witness_state *state, enum damage which)
{
	switch (which) {
	case EVENT_COUNT:
		state->record.event_count = WITNESS_EVENTS_MAX + 1;
		break;
	case EVENT_KIND:
		state->record.event_count = 1;
		state->record.events[0].kind = WITNESS_EVENT_KIND_COUNT;
		break;
	case REASON:
		state->record.reason = CLOSE_REASON_COUNT;
		break;
	case MODE:
		state->mode = WITNESS_ECHOES + 1;
		break;
	case LINE_BYTES:
		state->line_bytes = WITNESS_LINE_MAX;
		break;
	case PATTERN_QUEUED:
		state->pattern_queued = state->pattern_bytes + 1;
		break;
	case PATTERN_BYTES:
		state->pattern_bytes = WITNESS_BYTES_MAX + 1;
		break;
	case ACCEPTED:
		state->accepted_ns = clock_now_ns() + NS_PER_S;
		break;
	case DUE:
		state->due_ns = UINT64_MAX;
		break;
	case DUE_KIND:
		state->due.kind = WITNESS_COMMAND_COUNT;
		break;
	case DUE_BYTES:
		state->due.bytes = WITNESS_BYTES_MAX + 1;
		break;
	case DAMAGES:
		break;
	}
}

static void
test_a_state_that_no_correct_worker_sends_is_dropped(void **state)
{
	(void)state;
	for (int i = 0; i < DAMAGES; i++) {
		struct fixture f;
		start(&f);
		damage(witness_state_of(f.connection), (enum damage)i);
		witness_state_check(f.connection);
		if (f.connection->about != NULL)
			fail_msg("damage %d was not found", i);
		finish(&f);
	}
}

static void
test_a_connection_whose_worker_died_while_it_processed_it_is_closed(void **state)
{
	struct fixture f;
	(void)state;
	start(&f);
	witness_state_of(f.connection)->is_busy = 1;
	assert_false(witness_serve_resume(f.connection));
	assert_int_equal(worker_fixture_closed(&f.w, CLOSE_DRAINED), 1);
	finish(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_state_that_has_moved_is_kept_and_notes_it),
		cmocka_unit_test(test_a_state_that_no_correct_worker_sends_is_dropped),
		cmocka_unit_test(
		    test_a_connection_whose_worker_died_while_it_processed_it_is_closed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
