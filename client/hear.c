#include "client/hear.h"

#include <sys/socket.h>

#include <errno.h>

#include "client/book.h"
#include "client/generator.h"
#include "client/hangup.h"
#include "client/transcript.h"

#define READS_MAX 4    /* in one turn, so that no socket starves the others */
#define SLOW_TICKS 100 /* reads a second of a slow reader, when it reads that much */

/* Verifies what came. */
static void
take(struct generator *generator, struct caller *caller, const uint8_t *data,
    size_t length)
{
	struct verify *verify = &generator->verify;
	uint64_t connection = generator_connection(generator, caller);

	if (generator->plan->expect == PLAN_EXPECT_NONE)
		return;
	verify->fd = caller->fd;
	while (length > 0 || caller->answers.gap > 0) {
		enum verify_result result;
		/* Nothing is owed to a message that still goes out to one who is to
		 * discard it. */
		if (caller->in_flight == 0 || verify->expectation->none) {
			verify_surplus(
			    verify, connection, &caller->answers, data, length);
			return;
		}
		size_t n = verify_feed(verify, connection, &caller->answers,
		    caller->in_flight, data, length, &result);
		data += n;
		length -= n;
		if (result != VERIFY_MORE)
			book_answered(generator, caller, result == VERIFY_RIGHT);
	}
}

/* The peer has closed its side. */
static void
on_end(struct generator *generator, struct caller *caller)
{
	if (caller->state == CALLER_CLOSING) {
		hangup_finish(generator, caller, true);
		return;
	}
	if (caller->in_flight > 0 ||
	    (caller_has_business(generator, caller) &&
		!caller_is_worn(generator, caller))) {
		hangup_lose(generator, caller, TALLY_LOST_CLOSED);
		return;
	}
	hangup(generator, caller);
	if (caller->state == CALLER_CLOSING)
		hangup_finish(generator, caller, true);
}

static void
on_read_error(struct generator *generator, struct caller *caller)
{
	if (errno == EAGAIN)
		return;
	if (caller->state == CALLER_CLOSING)
		hangup_finish(generator, caller, false);
	else
		hangup_lose(generator, caller, TALLY_LOST_RESET);
}

size_t
hear_share(uint64_t bytes_per_s)
{
	uint64_t bytes = bytes_per_s / SLOW_TICKS;

	if (bytes == 0)
		return 1;
	return bytes < GENERATOR_BUFFER ? bytes : GENERATOR_BUFFER;
}

uint64_t
hear_again(uint64_t bytes_per_s, uint64_t now_ns)
{
	double share = (double)hear_share(bytes_per_s);
	uint64_t every_ns = (uint64_t)(share * 1e9 / (double)bytes_per_s);

	return (now_ns / every_ns + 1) * every_ns;
}

static size_t
may_read(const struct generator *generator)
{
	uint64_t slow = generator->plan->slow_read;

	return slow == 0 ? GENERATOR_BUFFER : hear_share(slow);
}

/* A read that is verified. */
static ssize_t
hear_once(struct generator *generator, struct caller *caller, size_t most)
{
	ssize_t n = recv(caller->fd, generator->received, most, 0);

	generator->now_ns = generator_clock();
	if (n <= 0)
		return n;
	caller->heard_ns = generator->now_ns;
	tally_add(&generator->tally->bytes_received, (uint64_t)n);
	transcript_received(generator, caller, generator->received, (size_t)n);
	take(generator, caller, generator->received, (size_t)n);
	return n;
}

void
hear_rest(struct generator *generator, struct caller *caller)
{
	while (hear_once(generator, caller, GENERATOR_BUFFER) > 0)
		;
	hangup_lose(generator, caller, TALLY_LOST_RESET);
}

void
hear(struct generator *generator, struct caller *caller, bool to_the_end)
{
	size_t most = may_read(generator);

	for (int i = 0; i < READS_MAX; i++) {
		ssize_t n = hear_once(generator, caller, most);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			on_read_error(generator, caller);
			return;
		}
		if (n == 0) {
			on_end(generator, caller);
			return;
		}
		if (generator->plan->slow_read > 0 && caller->state == CALLER_OPEN) {
			caller->is_paused = true;
			caller_set_timer(generator, caller);
			return;
		}
		if ((size_t)n < most && !to_the_end)
			return;
	}
	generator_put_ready(generator, caller);
}
