#include "client/caller.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <string.h>

#include "client/dial.h"
#include "client/generator.h"
#include "client/hangup.h"
#include "client/hear.h"
#include "client/speak.h"

void
caller_init(struct caller *caller)
{
	memset(caller, 0, sizeof(*caller));
	caller->fd = -1;
	caller->state = CALLER_WAITING;
	caller->active_at = GENERATOR_NONE;
	flight_queue_init(&caller->queue);
}

bool
caller_is_through(const struct generator *generator, const struct caller *caller)
{
	uint64_t messages = generator->plan->messages;

	return messages > 0 && caller->scheduled >= messages && caller->due == 0;
}

bool
caller_is_worn(const struct generator *generator, const struct caller *caller)
{
	uint64_t most = generator->plan->messages_per_connection;

	return caller->expires || (most > 0 && caller->on_connection >= most);
}

bool
caller_has_business(const struct generator *generator, const struct caller *caller)
{
	if (caller_is_through(generator, caller))
		return false;
	return !generator->is_stopped || (caller->due > 0 && !generator->is_dropping);
}

bool
caller_schedule(
    struct generator *generator, struct caller *caller, uint64_t intended_ns)
{
	uint64_t messages = generator->plan->messages;

	if (messages > 0 && caller->scheduled >= messages)
		return false;
	if (flight_push(&generator->flights, &caller->queue, intended_ns) < 0) {
		generator->has_failed = true;
		return false;
	}
	caller->due++;
	caller->scheduled++;
	if (generator->plan->load >= PLAN_INTERVAL &&
	    intended_ns >= generator->measure_ns)
		tally_add(&generator->tally->messages_due, 1);
	if (caller->scheduled == messages)
		generator_deactivate(generator, caller);
	return true;
}

/* Since when the oldest message waits for its answer, or for the peer to take it; 0:
 * none does. */
static uint64_t
waits_since(const struct generator *generator, const struct caller *caller)
{
	return caller->queue.head == FLIGHT_NONE
	    ? 0
	    : flight_at(&generator->flights, caller->queue.head)->written_ns;
}

void
caller_set_timer(struct generator *generator, struct caller *caller)
{
	const struct plan *plan = generator->plan;
	uint64_t deadline = WHEEL_NEVER, other, since;

	switch ((enum caller_state)caller->state) {
	case CALLER_CONNECTING:
		deadline = caller->since_ns + plan->connect_timeout_ns;
		break;
	case CALLER_CLOSING:
		deadline = caller->since_ns + HANGUP_PATIENCE_NS;
		break;
	case CALLER_OPEN:
		if (plan->lifetime_ns > 0 && generator->is_running && !caller->expires)
			deadline = caller->since_ns + plan->lifetime_ns;
		since = waits_since(generator, caller);
		if (since != 0 && since + plan->timeout_ns < deadline)
			deadline = since + plan->timeout_ns;
		if (caller->is_paused) {
			other = hear_again(plan->slow_read, generator->now_ns);
			deadline = other < deadline ? other : deadline;
		}
		break;
	case CALLER_WAITING:
	case CALLER_DONE:
		return;
	}
	wheel_set(&generator->wheel, generator_index(generator, caller), deadline);
}

void
caller_advance(struct generator *generator, struct caller *caller)
{
	const struct plan *plan = generator->plan;

	if (caller->state != CALLER_OPEN)
		return;
	speak(generator, caller);
	if (caller->state != CALLER_OPEN)
		return;
	if (caller->in_flight > 0) {
		uint32_t index = generator_index(generator, caller);
		if (wheel_deadline(&generator->wheel, index) >
		    generator->now_ns + plan->timeout_ns)
			caller_set_timer(generator, caller);
	}
	bool through = caller_is_through(generator, caller);
	if (plan->half_close && through && caller->send.at == 0 && !caller->is_shut) {
		shutdown(caller->fd, SHUT_WR);
		caller->is_shut = true;
		caller->since_ns = generator->now_ns;
	}
	if (caller->in_flight > 0 || caller->send.at > 0)
		return;
	if (caller_is_worn(generator, caller) ||
	    !caller_has_business(generator, caller))
		hangup(generator, caller);
}

void
caller_on_event(struct generator *generator, struct caller *caller, uint32_t events)
{
	uint32_t input = EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR;

	if (caller->state == CALLER_CONNECTING) {
		dial_on_event(generator, caller);
		events &= ~(uint32_t)EPOLLOUT;
	}
	if (caller->state != CALLER_OPEN && caller->state != CALLER_CLOSING)
		return;
	if ((events & input) != 0 && !caller->is_paused)
		hear(generator, caller,
		    (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0);
	caller_advance(generator, caller);
}

void
caller_on_ready(struct generator *generator, struct caller *caller)
{
	/* The connection that had work left over may be gone, and the next one called.
	 */
	if (caller->state != CALLER_CONNECTING)
		caller_on_event(generator, caller, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
}

static void
on_open_timer(struct generator *generator, struct caller *caller)
{
	const struct plan *plan = generator->plan;
	uint64_t since = waits_since(generator, caller);

	if (since != 0 && since + plan->timeout_ns <= generator->heard_ns) {
		hangup_lose(generator, caller, TALLY_LOST_TIMEOUT);
		return;
	}
	if (plan->lifetime_ns > 0 && generator->is_running &&
	    caller->since_ns + plan->lifetime_ns <= generator->now_ns)
		caller->expires = true;
	if (caller->is_paused) {
		caller->is_paused = false;
		hear(generator, caller, true);
	}
	caller_advance(generator, caller);
	if (caller->state == CALLER_OPEN)
		caller_set_timer(generator, caller);
}

void
caller_on_timer(struct generator *generator, struct caller *caller)
{
	switch ((enum caller_state)caller->state) {
	case CALLER_WAITING:
		generator_put_dial(generator, caller);
		break;
	case CALLER_CONNECTING:
		dial_on_timeout(generator, caller);
		break;
	case CALLER_OPEN:
		on_open_timer(generator, caller);
		break;
	case CALLER_CLOSING:
		hangup_finish(generator, caller, false);
		break;
	case CALLER_DONE:
		break;
	}
}
