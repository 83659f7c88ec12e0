#include "worker/timeouts.h"

#include <sys/timerfd.h>

#include <time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "worker/connection/connection.h"
#include "worker/connection/connection_io.h"
#include "worker/connection/tls_state.h"
#include "worker/connection/worker_state.h"
#include "worker/faults/fault_injection.h"
#include "worker/proxy_phase.h"
#include "worker/tls_phase.h"
#include "worker/witness/witness_serve.h"

#define CHECK_INTERVAL_MIN_MS 50
#define CHECK_INTERVAL_MAX_MS 1000
#define LINGER_MS 2000

static uint32_t
monotonic_ms(void)
{
	return (uint32_t)(clock_now_ns() / NS_PER_MS);
}

/* A time stamp may be older than the activity that it records, by one interval. */
static bool
has_expired(const struct worker *worker, uint32_t stamp_ms, uint64_t timeout_ns)
{
	uint64_t elapsed_ms = (uint32_t)(worker->timeouts.now_ms - stamp_ms);
	return elapsed_ms >= timeout_ns / NS_PER_MS + worker->timeouts.interval_ms;
}

/* By one interval at most: what happened after a late wake-up may carry the stamp of
 * the previous check, and no connection was idle while the loop did not run. */
static void
advance_clock(struct worker *worker)
{
	uint32_t now_ms = monotonic_ms();
	uint32_t elapsed_ms = now_ms - worker->timeouts.checked_ms;
	worker->timeouts.checked_ms = now_ms;
	worker->timeouts.now_ms += elapsed_ms < worker->timeouts.interval_ms
	    ? elapsed_ms
	    : worker->timeouts.interval_ms;
}

static bool
is_stalled(const struct connection *connection)
{
	const struct worker *worker = connection->listener->worker;
	const struct output *output = connection->output;
	return output != NULL && !connection->frozen && !connection->writing_held &&
	    connection->phase != CONNECTION_TLS_HANDSHAKE &&
	    has_expired(
		worker, output->progress_ms, worker->config->timeouts.stalled_write_ns);
}

static bool
flush(struct connection *connection)
{
	if (connection->listener->is_witness)
		return witness_serve_flush(connection);
	return connection->faults != NULL ? fault_injection_flush(connection)
					  : connection_io_flush(connection);
}

/* The kernel reports a socket writable only when a third of its buffer is free, which
 * takes long with a slow peer. So try to send before calling it stalled. */
static void
check_stalled_writes(struct worker *worker)
{
	if (worker->config->timeouts.stalled_write_ns == 0)
		return;
	struct output *next;
	for (struct output *output = LIST_FIRST(&worker->queued_outputs);
	     output != NULL; output = next) {
		struct connection *owner = output->owner;
		next = LIST_NEXT(output, queued);
		if (is_stalled(owner) && flush(owner) && is_stalled(owner))
			connection_close(owner, CLOSE_STALLED_WRITE);
	}
}

/* A transfer may yet move it. */
static bool
may_move(const struct connection *connection)
{
	const struct worker_listener *listener = connection->listener;
	return (listener->worker->transfers.movable >> listener->number & 1) != 0;
}

/* The reason to close a connection now, or CLOSE_NONE. */
static enum close_reason
expired_reason(const struct worker *worker, const struct connection *connection)
{
	const struct config *config = worker->config;
	uint32_t active_ms = connection->active_ms;
	if (connection->phase == CONNECTION_LINGERING)
		return has_expired(worker, active_ms, LINGER_MS * NS_PER_MS)
		    ? connection->reason
		    : CLOSE_NONE;
	if (connection_phase_is_handshake(connection->phase) &&
	    has_expired(worker, active_ms, config->timeouts.handshake_ns))
		return connection->phase == CONNECTION_AWAITING_HEADER
		    ? CLOSE_PROXY_HEADER_TIMEOUT
		    : CLOSE_TLS_HANDSHAKE_TIMEOUT;
	/* A handshake under way is completed, so that the connection can move. */
	if (connection->phase == CONNECTION_TLS_HANDSHAKE && connection->tls != NULL)
		return CLOSE_NONE;
	if (worker->drain.closes_idle && config->timeouts.drain_quiet_ns != 0 &&
	    connection_is_idle(connection) && !may_move(connection) &&
	    has_expired(worker, active_ms, config->timeouts.drain_quiet_ns))
		return CLOSE_DRAINED;
	if (config->timeouts.idle_ns != 0 && connection->output == NULL &&
	    connection->pause_place == 0 &&
	    has_expired(worker, active_ms, config->timeouts.idle_ns))
		return CLOSE_IDLE;
	return CLOSE_NONE;
}

static bool
check_connection(struct connection *connection, void *argument)
{
	if (connection->frozen)
		return true;
	enum close_reason reason = expired_reason(argument, connection);
	if (reason == CLOSE_PROXY_HEADER_TIMEOUT)
		proxy_phase_expire(connection);
	else if (reason == CLOSE_TLS_HANDSHAKE_TIMEOUT)
		tls_phase_expire(connection);
	else if (reason != CLOSE_NONE)
		connection_close(connection, reason);
	return true;
}

static void
on_timeouts_timer(evutil_socket_t fd, short what, void *argument)
{
	(void)what;
	struct worker *worker = argument;
	uint64_t expirations;
	if (read(fd, &expirations, sizeof(expirations)) < 0)
		return;
	ledger_count_heartbeat(&worker->worker_ledger->own);
	log_report_suppressed();
	control_queue_flush(&worker->reports, worker->channel_fd);
	advance_clock(worker);
	worker->record->now_ms = worker->timeouts.now_ms;
	check_stalled_writes(worker);
	bool all = worker->drain.closes_idle || worker->lingering_count > 0 ||
	    worker->handshake_count > 0 || worker->config->timeouts.idle_ns != 0;
	if (all)
		connection_pool_for_each(
		    &worker->connections, check_connection, worker);
	tls_state_drop_quiet(worker);
	tls_state_advance_tickets(worker);
	heap_trim_check(&worker->heap_trim, worker->timeouts.now_ms);
	if (worker->timeouts.now_ms - worker->blocks_trimmed_ms >= HEAP_TRIM_QUIET_MS) {
		worker->blocks_trimmed_ms = worker->timeouts.now_ms;
		region_heap_trim(&worker->blocks);
	}
	worker_request_drain_check(worker);
}

static uint32_t
check_interval_ms(const struct config *config)
{
	uint64_t shortest_ns = CHECK_INTERVAL_MAX_MS * NS_PER_MS * 8;
	/* hung: the watchdog must see several heartbeats in that time. */
	const uint64_t timeouts_ns[] = { config->timeouts.idle_ns,
		config->timeouts.stalled_write_ns, config->timeouts.hung_ns,
		config->timeouts.handshake_ns };
	for (size_t i = 0; i < sizeof(timeouts_ns) / sizeof(timeouts_ns[0]); i++) {
		if (timeouts_ns[i] != 0 && timeouts_ns[i] < shortest_ns)
			shortest_ns = timeouts_ns[i];
	}
	uint64_t ms = shortest_ns / NS_PER_MS / 8;
	return ms < CHECK_INTERVAL_MIN_MS ? CHECK_INTERVAL_MIN_MS : (uint32_t)ms;
}

/* A timerfd, not a timer of libevent: without timers libevent reads no clock in its
 * loop, which for a single message is most of the cost besides the system calls. */
static int
set_interval(struct worker *worker, uint32_t ms)
{
	struct timespec interval = { .tv_sec = ms / 1000,
		.tv_nsec = (long)(ms % 1000 * NS_PER_MS) };
	struct itimerspec timer = { .it_interval = interval, .it_value = interval };
	return timerfd_settime(event_get_fd(&worker->timeouts.timer), 0, &timer, NULL);
}

int
timeouts_start(struct worker *worker)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (fd < 0)
		return -1;
	worker->timeouts.now_ms = worker->timeouts.checked_ms = monotonic_ms();
	worker->record->now_ms = worker->timeouts.now_ms;
	event_assign(&worker->timeouts.timer, worker->base, fd, EV_READ | EV_PERSIST,
	    on_timeouts_timer, worker);
	if (event_add(&worker->timeouts.timer, NULL) < 0) {
		close(fd);
		return -1;
	}
	worker->timeouts.interval_ms = check_interval_ms(worker->config);
	return set_interval(worker, worker->timeouts.interval_ms);
}

void
timeouts_shorten(struct worker *worker)
{
	worker->drain.closes_idle = true;
	/* timeouts.interval_ms is unchanged: it is the resolution of the time stamps of
	 * connections. */
	if (set_interval(worker, CHECK_INTERVAL_MIN_MS) < 0)
		log_warn("[drain_timer_failed] "
			 "drain: cannot shorten the timeout interval");
}

void
timeouts_stop(struct worker *worker)
{
	event_del(&worker->timeouts.timer);
	close(event_get_fd(&worker->timeouts.timer));
}
