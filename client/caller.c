#include "client/caller.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <errno.h>
#include <string.h>

#include "client/dial.h"
#include "client/generator.h"
#include "client/hangup.h"
#include "client/transcript.h"

#define READS_MAX 4 /* in one turn, so that no socket starves the others */
#define WRITES_MAX 16
#define LATE_NS UINT64_C(1000000)
#define SLOW_TICKS 100 /* in a second, --slow-read: a share is read in each */
#define SLOW_TICK_NS UINT64_C(10000000)

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
caller_schedule(
    struct generator *generator, struct caller *caller, uint64_t intended_ns)
{
	uint64_t messages = generator->plan->messages;

	if (messages > 0 && caller->scheduled >= messages)
		return false;
	if (flight_push(&generator->flights, &caller->queue, intended_ns) != 0)
		return false;
	caller->due++;
	caller->scheduled++;
	if (generator->plan->load >= PLAN_INTERVAL &&
	    intended_ns >= generator->measure_ns)
		tally_add(&generator->tally->messages_due, 1);
	if (caller->scheduled == messages)
		generator_deactivate(generator, caller);
	return true;
}

void
caller_set_timer(struct generator *generator, struct caller *caller)
{
	const struct plan *plan = generator->plan;
	uint64_t deadline = WHEEL_NEVER, other;

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
		if (caller->in_flight > 0) {
			other = flight_at(&generator->flights, caller->queue.head)
				    ->written_ns +
			    plan->timeout_ns;
			deadline = other < deadline ? other : deadline;
		}
		other = generator->now_ns + SLOW_TICK_NS;
		if (caller->is_paused && other < deadline)
			deadline = other;
		break;
	case CALLER_WAITING:
	case CALLER_DONE:
		return;
	}
	wheel_set(&generator->wheel, generator_index(generator, caller), deadline);
}

/* A message is answered, or needs no answer. */
static void
complete(struct generator *generator, struct caller *caller, bool right)
{
	struct flight flight = flight_pop(&generator->flights, &caller->queue);
	struct tally_messages *messages =
	    generator_messages(generator, flight.intended_ns);

	caller->in_flight--;
	generator->in_flight--;
	tally_add(right ? &messages->verified : &messages->wrong, 1);
	tally_add(&messages->in_flight, (uint64_t)-1);
	atomic_store_explicit(
	    &generator->tally->last_answer_ns, generator->now_ns, memory_order_relaxed);
	if (!right || flight.intended_ns < generator->measure_ns ||
	    generator->expectation->none)
		return;
	generator_record(
	    generator, TALLY_RESPONSE, generator->now_ns - flight.intended_ns);
	generator_record(
	    generator, TALLY_SERVICE, generator->now_ns - flight.written_ns);
}

/* The first byte of a message is given to the kernel. */
static void
count_begun(struct generator *generator, struct caller *caller)
{
	struct flight *flight = flight_at(&generator->flights, caller->queue.unwritten);
	struct tally_messages *messages =
	    generator_messages(generator, flight->intended_ns);
	uint64_t lag = generator->now_ns - flight->intended_ns;

	flight_write(&generator->flights, &caller->queue, generator->now_ns);
	caller->due--;
	caller->in_flight++;
	caller->on_connection++;
	generator->in_flight++;
	tally_add(&messages->sent, 1);
	tally_add(&messages->in_flight, 1);
	if (generator->plan->load < PLAN_INTERVAL ||
	    flight->intended_ns < generator->measure_ns)
		return;
	generator_record(generator, TALLY_SEND_LAG, lag);
	if (lag > LATE_NS)
		tally_add(&generator->tally->messages_late, 1);
}

/* `sent` bytes from the send cursor on are with the kernel. */
static void
count_sent(struct generator *generator, struct caller *caller, size_t sent)
{
	uint64_t connection = generator_connection(generator, caller);
	struct cursor *cursor = &caller->send;

	tally_add(&generator->tally->bytes_sent, sent);
	while (sent > 0) {
		if (cursor->length == 0)
			cursor->length = sequence_wire_length(
			    generator->sequence, connection, cursor->message);
		if (cursor->at == 0)
			count_begun(generator, caller);
		uint32_t left = cursor->length - cursor->at;
		uint32_t n = sent < left ? (uint32_t)sent : left;
		cursor->at += n;
		sent -= n;
		if (cursor->at < cursor->length)
			return;
		sequence_seek(
		    generator->sequence, connection, cursor, cursor->message + 1);
		if (generator->expectation->none)
			complete(generator, caller, true);
	}
}

/* How many messages may be begun now. */
static uint32_t
may_begin(const struct generator *generator, const struct caller *caller)
{
	const struct plan *plan = generator->plan;
	uint32_t n = caller->due;

	if (caller->expires || generator->is_stopped)
		return 0;
	if (plan->pipeline > 0 && n > plan->pipeline - caller->in_flight)
		n = plan->pipeline - caller->in_flight;
	if (plan->messages_per_connection > 0) {
		uint64_t left = plan->messages_per_connection - caller->on_connection;
		n = n < left ? n : (uint32_t)left;
	}
	return n;
}

/* The bytes that can be sent now: the rest of the message at the cursor and those that
 * may be begun, as far as the buffer goes. NULL when there is nothing. */
static const uint8_t *
gather(struct generator *generator, const struct caller *caller, size_t *ret_length)
{
	uint64_t connection = generator_connection(generator, caller);
	struct cursor cursor = caller->send;
	uint32_t messages = may_begin(generator, caller) + (cursor.at > 0 ? 1 : 0);
	size_t room = generator->plan->dribble ? 1 : GENERATOR_BUFFER, length = 0;

	while (messages > 0 && length < room) {
		if (cursor.length == 0)
			cursor.length = sequence_wire_length(
			    generator->sequence, connection, cursor.message);
		size_t n = room - length;
		uint8_t *out = generator->outgoing + length;
		const uint8_t *wire = sequence_wire(generator->sequence, connection,
		    &cursor, &n, generator->verify.scratch, out);
		cursor.at += (uint32_t)n;
		messages -= cursor.at == cursor.length;
		if (length == 0 && (messages == 0 || n == room)) {
			*ret_length = n;
			return wire;
		}
		if (wire != out)
			memcpy(out, wire, n);
		length += n;
		if (cursor.at == cursor.length)
			sequence_seek(generator->sequence, connection, &cursor,
			    cursor.message + 1);
	}
	*ret_length = length;
	return length > 0 ? generator->outgoing : NULL;
}

/* Closed loop: as soon as one is answered, the next is due. */
static void
top_up(struct generator *generator, struct caller *caller)
{
	if (!generator->is_running || generator->plan->load != PLAN_CLOSED)
		return;
	while (caller->in_flight + caller->due < generator->plan->pipeline)
		if (!caller_schedule(generator, caller, generator->now_ns))
			return;
}

/* True when the kernel took all of it. */
static bool
send_bytes(struct generator *generator, struct caller *caller, const uint8_t *bytes,
    size_t length)
{
	ssize_t n = send(caller->fd, bytes, length, MSG_NOSIGNAL);

	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			hangup_lose(generator, caller, TALLY_LOST_RESET);
		else if (errno == EINTR)
			generator_put_ready(generator, caller);
		return false;
	}
	transcript_sent(generator, caller, bytes, (size_t)n);
	count_sent(generator, caller, (size_t)n);
	if ((size_t)n < length)
		return false;
	return true;
}

static void
write_messages(struct generator *generator, struct caller *caller)
{
	size_t length;

	for (int i = 0; i < WRITES_MAX; i++) {
		top_up(generator, caller);
		const uint8_t *bytes = gather(generator, caller, &length);
		if (bytes == NULL)
			return;
		if (!send_bytes(generator, caller, bytes, length))
			return;
		if (generator->plan->dribble)
			break;
	}
	generator_put_ready(generator, caller);
}

void
caller_advance(struct generator *generator, struct caller *caller)
{
	const struct plan *plan = generator->plan;

	if (caller->state != CALLER_OPEN)
		return;
	write_messages(generator, caller);
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
	bool worn = caller->expires ||
	    (plan->messages_per_connection > 0 &&
		caller->on_connection >= plan->messages_per_connection);
	if (through || worn || generator->is_stopped)
		hangup(generator, caller);
}

/* Verifies what came. */
static void
take(struct generator *generator, struct caller *caller, const uint8_t *data,
    size_t length)
{
	struct verify *verify = &generator->verify;
	uint64_t connection = generator_connection(generator, caller);

	if (generator->plan->expect == PLAN_EXPECT_NONE)
		return;
	while (length > 0 || caller->answers.gap > 0) {
		enum verify_result result;
		if (caller->in_flight == 0) {
			verify_surplus(
			    verify, connection, &caller->answers, data, length);
			return;
		}
		size_t n = verify_feed(verify, connection, &caller->answers,
		    caller->in_flight, data, length, &result);
		data += n;
		length -= n;
		if (result != VERIFY_MORE)
			complete(generator, caller, result == VERIFY_RIGHT);
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
	    !(caller_is_through(generator, caller) || generator->is_stopped)) {
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

static size_t
may_read(const struct generator *generator)
{
	uint64_t slow = generator->plan->slow_read;

	if (slow == 0)
		return GENERATOR_BUFFER;
	slow = slow / SLOW_TICKS > 0 ? slow / SLOW_TICKS : 1;
	return slow < GENERATOR_BUFFER ? slow : GENERATOR_BUFFER;
}

/* Reads what is there. A short read is the end of it, but when the peer has closed, the
 * end itself must be read: the edge that told of it comes once. */
static void
receive(struct generator *generator, struct caller *caller, bool to_the_end)
{
	size_t most = may_read(generator);

	for (int i = 0; i < READS_MAX; i++) {
		ssize_t n = recv(caller->fd, generator->received, most, 0);
		generator->now_ns = generator_clock();
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
		tally_add(&generator->tally->bytes_received, (uint64_t)n);
		transcript_received(generator, caller, generator->received, (size_t)n);
		take(generator, caller, generator->received, (size_t)n);
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
		receive(generator, caller,
		    (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0);
	caller_advance(generator, caller);
}

static void
on_open_timer(struct generator *generator, struct caller *caller)
{
	const struct plan *plan = generator->plan;

	if (caller->in_flight > 0 &&
	    flight_at(&generator->flights, caller->queue.head)->written_ns +
		    plan->timeout_ns <=
		generator->now_ns) {
		hangup_lose(generator, caller, TALLY_LOST_TIMEOUT);
		return;
	}
	if (plan->lifetime_ns > 0 && generator->is_running &&
	    caller->since_ns + plan->lifetime_ns <= generator->now_ns)
		caller->expires = true;
	if (caller->is_paused) {
		caller->is_paused = false;
		receive(generator, caller, true);
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
