#include "worker/drain.h"

#include "lib/clock.h"
#include "lib/log.h"
#include "worker/acceptor.h"
#include "worker/connection/connection.h"
#include "worker/connection/worker_state.h"
#include "worker/timeouts.h"
#include "worker/transfer_send.h"

static bool
close_for(struct connection *connection, void *argument)
{
	const enum close_reason *reason = argument;
	/* A lingering connection keeps the reason that it has. */
	connection_close(connection,
	    connection->phase == CONNECTION_LINGERING ? connection->reason : *reason);
	return true;
}

static void
close_all(struct worker *worker, enum close_reason reason)
{
	transfer_send_stop(worker);
	transfer_send_expect(worker, false);
	connection_pool_for_each(&worker->connections, close_for, &reason);
}

static void
on_deadline(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	struct worker *worker = argument;
	log_warnx("[drain_timeout connections] "
		  "drain: closing %zu busy connections: timeouts.drain is over",
	    worker->connections.count);
	acceptor_stop(worker);
	close_all(worker, CLOSE_DRAIN_TIMEOUT);
	worker_request_drain_check(worker);
}

/* Ends the loop when nothing is left to do. */
static void
on_check(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	struct worker *worker = argument;
	if (!worker->drain.is_exiting || !acceptor_is_closed(worker))
		return;
	if (!worker->drain.listeners_closed_sent) {
		worker->drain.listeners_closed_sent = true;
		worker_report(worker, CHANNEL_LISTENERS_CLOSED, 0, 0);
	}
	transfer_send_continue(worker);
	if (worker->connections.count == 0 && worker->transfers.sender == NULL &&
	    LIST_EMPTY(&worker->transfers.receivers))
		event_base_loopbreak(worker->base);
}

void
drain_init(struct worker *worker)
{
	event_assign(&worker->drain.check, worker->base, -1, 0, on_check, worker);
	evtimer_assign(&worker->drain.timer, worker->base, on_deadline, worker);
}

static void
set_deadline(struct worker *worker, uint64_t deadline_ns)
{
	uint64_t end_ns = clock_now_ns() + deadline_ns;
	if (deadline_ns == 0 ||
	    (worker->drain.end_ns != 0 && worker->drain.end_ns <= end_ns))
		return;
	worker->drain.end_ns = end_ns;
	const struct timeval time = clock_timeval(deadline_ns);
	event_add(&worker->drain.timer, &time);
}

void
drain_start(struct worker *worker, bool expects_transfer, uint64_t deadline_ns)
{
	transfer_send_expect(
	    worker, expects_transfer && !transfer_send_is_sending_all(worker));
	if (worker->drain.is_exiting) {
		set_deadline(worker, deadline_ns);
		return;
	}
	worker->drain.is_exiting = true;
	acceptor_close_listeners(worker);
	timeouts_shorten(worker);
	set_deadline(worker, deadline_ns);
	worker_request_drain_check(worker);
}

void
drain_abort(struct worker *worker)
{
	worker->drain.is_exiting = true;
	acceptor_stop(worker);
	close_all(worker, CLOSE_STOPPED);
	event_base_loopbreak(worker->base);
}
