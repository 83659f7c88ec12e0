#include "client/load/conn.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <string.h>

#include "client/load/conn_close.h"
#include "client/load/conn_connect.h"
#include "client/load/conn_receive.h"
#include "client/load/conn_send.h"
#include "client/load/generator.h"

void
conn_init(struct conn *conn)
{
	memset(conn, 0, sizeof(*conn));
	conn->fd = -1;
	conn->state = CONN_WAITING;
	conn->active_index = GENERATOR_NONE;
	message_queue_init(&conn->queue);
}

bool
conn_has_sent_all(const struct generator *generator, const struct conn *conn)
{
	uint64_t messages = generator->plan->messages;

	return messages > 0 && conn->scheduled >= messages && conn->due == 0;
}

bool
conn_has_expired(const struct generator *generator, const struct conn *conn)
{
	uint64_t most = generator->plan->messages_per_connection;

	return conn->expires || (most > 0 && conn->sent_on_connection >= most);
}

bool
conn_has_work(const struct generator *generator, const struct conn *conn)
{
	if (conn_has_sent_all(generator, conn))
		return false;
	return !generator->is_stopped || (conn->due > 0 && !generator->is_dropping);
}

bool
conn_schedule(struct generator *generator, struct conn *conn, uint64_t intended_ns)
{
	uint64_t messages = generator->plan->messages;

	if (messages > 0 && conn->scheduled >= messages)
		return false;
	if (message_queue_push(&generator->message_pool, &conn->queue, intended_ns) <
	    0) {
		generator->has_failed = true;
		return false;
	}
	conn->due++;
	conn->scheduled++;
	if (generator->plan->load >= PLAN_INTERVAL &&
	    intended_ns >= generator->measure_ns)
		counters_add(&generator->counters->messages_due, 1);
	if (conn->scheduled == messages)
		generator_deactivate(generator, conn);
	return true;
}

/* Since when the oldest message waits for its answer, or for the peer to take it; 0:
 * none does. */
static uint64_t
waiting_since(const struct generator *generator, const struct conn *conn)
{
	return conn->queue.head == MESSAGE_QUEUE_NONE
	    ? 0
	    : message_queue_at(&generator->message_pool, conn->queue.head)->written_ns;
}

void
conn_set_timer(struct generator *generator, struct conn *conn)
{
	const struct plan *plan = generator->plan;
	uint64_t deadline = TIMER_WHEEL_NEVER, other, since;

	switch ((enum conn_state)conn->state) {
	case CONN_CONNECTING:
		deadline = conn->state_since_ns + plan->connect_timeout_ns;
		break;
	case CONN_CLOSING:
		deadline = conn->state_since_ns + CONN_CLOSE_TIMEOUT_NS;
		break;
	case CONN_OPEN:
		if (plan->lifetime_ns > 0 && generator->is_running && !conn->expires)
			deadline = conn->state_since_ns + plan->lifetime_ns;
		since = waiting_since(generator, conn);
		if (since != 0 && since + plan->timeout_ns < deadline)
			deadline = since + plan->timeout_ns;
		if (conn->is_paused) {
			other = conn_receive_slow_next_ns(
			    plan->slow_read, generator->now_ns);
			deadline = other < deadline ? other : deadline;
		}
		break;
	case CONN_WAITING:
	case CONN_DONE:
		return;
	}
	timer_wheel_set(
	    &generator->timer_wheel, generator_index(generator, conn), deadline);
}

void
conn_advance(struct generator *generator, struct conn *conn)
{
	const struct plan *plan = generator->plan;

	if (conn->state != CONN_OPEN)
		return;
	conn_send(generator, conn);
	if (conn->state != CONN_OPEN)
		return;
	if (conn->in_flight > 0) {
		uint32_t index = generator_index(generator, conn);
		if (timer_wheel_deadline(&generator->timer_wheel, index) >
		    generator->now_ns + plan->timeout_ns)
			conn_set_timer(generator, conn);
	}
	bool has_sent_all = conn_has_sent_all(generator, conn);
	if (plan->half_close && has_sent_all && conn->send.at == 0 &&
	    !conn->is_write_shut) {
		shutdown(conn->fd, SHUT_WR);
		conn->is_write_shut = true;
		conn->state_since_ns = generator->now_ns;
	}
	if (conn->in_flight > 0 || conn->send.at > 0)
		return;
	if (conn_has_expired(generator, conn) || !conn_has_work(generator, conn))
		conn_close(generator, conn);
}

void
conn_on_event(struct generator *generator, struct conn *conn, uint32_t events)
{
	uint32_t input = EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR;

	if (conn->state == CONN_CONNECTING) {
		conn_connect_on_event(generator, conn);
		events &= ~(uint32_t)EPOLLOUT;
	}
	if (conn->state != CONN_OPEN && conn->state != CONN_CLOSING)
		return;
	if ((events & input) != 0 && !conn->is_paused)
		conn_receive(generator, conn,
		    (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0);
	conn_advance(generator, conn);
}

void
conn_on_ready(struct generator *generator, struct conn *conn)
{
	/* The connection that had work left over may be gone, and the next one called.
	 */
	if (conn->state != CONN_CONNECTING)
		conn_on_event(generator, conn, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
}

static void
on_open_timer(struct generator *generator, struct conn *conn)
{
	const struct plan *plan = generator->plan;
	uint64_t since = waiting_since(generator, conn);

	if (since != 0 && since + plan->timeout_ns <= generator->received_ns) {
		conn_close_lost(generator, conn, MESSAGE_LOSS_TIMEOUT);
		return;
	}
	if (plan->lifetime_ns > 0 && generator->is_running &&
	    conn->state_since_ns + plan->lifetime_ns <= generator->now_ns)
		conn->expires = true;
	if (conn->is_paused) {
		conn->is_paused = false;
		conn_receive(generator, conn, true);
	}
	conn_advance(generator, conn);
	if (conn->state == CONN_OPEN)
		conn_set_timer(generator, conn);
}

void
conn_on_timer(struct generator *generator, struct conn *conn)
{
	switch ((enum conn_state)conn->state) {
	case CONN_WAITING:
		generator_enqueue_connect(generator, conn);
		break;
	case CONN_CONNECTING:
		conn_connect_on_timeout(generator, conn);
		break;
	case CONN_OPEN:
		on_open_timer(generator, conn);
		break;
	case CONN_CLOSING:
		conn_close_finish(generator, conn, false);
		break;
	case CONN_DONE:
		break;
	}
}
