#include "worker/acceptor.h"

#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <netinet/in.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "net/listen.h"
#include "net/mptcp.h"
#include "net/unix_socket.h"
#include "proto/channel.h"
#include "worker/admission.h"
#include "worker/connection/connection.h"
#include "worker/connection/connection_io.h"
#include "worker/connection/responder.h"
#include "worker/connection/tls_transport.h"
#include "worker/connection/worker_state.h"
#include "worker/faults/fault_injection.h"
#include "worker/faults/fault_listener.h"
#include "worker/proxy_phase.h"
#include "worker/tls_phase.h"
#include "worker/witness/witness_serve.h"
#include "worker/worker.h"

#define ACCEPTS_PER_WAKEUP 4
#define PAUSE_MS 100
#define NOT_LISTENING_MS 5
#define LOG_INTERVAL_NS (60 * NS_PER_S)
/* A handshake that began before the listener stopped getting new connections has
 * completed or timed out within this time. */
#define QUEUE_QUIET_MS 200
#define BUSY_TURNS_MAX 5

static const struct timeval pause_time = { .tv_usec = PAUSE_MS * 1000 };
static const struct timeval not_listening_time = { .tv_usec = NOT_LISTENING_MS * 1000 };
static const struct timeval quiet_time = { .tv_usec = QUEUE_QUIET_MS * 1000 };

/* A server at its limit refuses or pauses again and again, but logs it only once per
 * interval. */
static bool
should_log(uint64_t *next_log_ns)
{
	uint64_t now_ns = clock_now_ns();
	if (now_ns < *next_log_ns)
		return false;
	*next_log_ns = now_ns + LOG_INTERVAL_NS;
	return true;
}

static void
log_untrusted(const struct worker_listener *listener, const struct address *peer)
{
	struct address_compact compact;
	char text[ADDRESS_TEXT_MAX];
	if (!should_log(&listener->worker->accept.next_untrusted_log_ns))
		return;
	address_compact(peer, &compact);
	log_warnx("[accept_refusing_untrusted listener peer] "
		  "accept: %s: refusing %s: it is not in proxy_from",
	    listener->name, address_format_compact(&compact, text));
}

static void
log_full(struct worker *worker, enum close_reason reason)
{
	bool is_full = reason == CLOSE_MAX_CONNECTIONS ||
	    reason == CLOSE_DESCRIPTOR_LIMIT || reason == CLOSE_HANDSHAKE_LIMIT;
	if (!is_full || !should_log(&worker->accept.next_full_log_ns))
		return;
	if (reason == CLOSE_HANDSHAKE_LIMIT)
		log_warnx(
		    "[accept_refusing_handshakes connections] "
		    "accept: refusing new connections: %zu connections wait for their PROXY header or TLS handshake (limits.handshakes)",
		    worker->handshake_count);
	else if (reason == CLOSE_MAX_CONNECTIONS)
		log_warnx(
		    "[accept_refusing_max_connections] "
		    "accept: refusing new connections: limits.max_connections is reached");
	else
		log_warnx(
		    "[accept_refusing_no_descriptor connections] "
		    "accept: refusing new connections: no descriptor is left with %zu open",
		    worker->connections.count);
}

/* The connection, if the server may begin on it, or NULL. */
static struct connection *
admit(struct worker_listener *listener, int fd, const struct address *peer)
{
	listener->saw_connection = true;
	enum close_reason reason = admission_check(listener, fd, peer);
	if (reason == CLOSE_NONE && listener->faults.refuses &&
	    fault_injection_refuses(listener, peer))
		reason = CLOSE_FAULT;
	if (reason == CLOSE_NONE) {
		struct connection *connection = connection_open(listener, fd, peer);
		/* With a PROXY header the connection is served later. */
		if (connection != NULL && listener->faults.count > 0 &&
		    connection->phase == CONNECTION_SERVING)
			(void)fault_injection_open(connection);
		return listener_plays(listener) || listener->is_witness ? connection
									: NULL;
	}
	if (reason == CLOSE_PROXY_UNTRUSTED)
		log_untrusted(listener, peer);
	else
		log_full(listener->worker, reason);
	admission_refuse(listener, fd, peer, reason);
	return NULL;
}

/* Accepts and counts one connection; -1 with errno. If the worker crashes between the
 * two, the ledger shows that one may be uncounted. The caller calls
 * crash_record_open_end() when it has recorded or refused the connection. */
static int
accept_next(const struct worker_listener *listener, int flags, struct address *ret_peer)
{
	struct ledger_block *own = &listener->worker->worker_ledger->own;
	*ret_peer = (struct address){ .length = sizeof(ret_peer->storage) };
	ledger_set_accepting(own, true);
	crash_record_open_begin(listener);
	int fd = accept4(listener->fd, (struct sockaddr *)&ret_peer->storage,
	    &ret_peer->length, flags | SOCK_CLOEXEC);
	if (fd >= 0)
		ledger_count(listener->block, LEDGER_CONNECTIONS_ACCEPTED, 1);
	else
		crash_record_open_end(listener->worker->record);
	ledger_set_accepting(own, false);
	if (fd >= 0 && address_is_unix(&listener->address))
		address_set_process(fd, ret_peer);
	if (fd >= 0 && listener->address.is_mptcp)
		ledger_count(listener->block,
		    mptcp_subflows(fd) > 0 ? LEDGER_MPTCP_CONNECTIONS
					   : LEDGER_MPTCP_FALLBACKS,
		    1);
	return fd;
}

/* Duplicates an open descriptor, because the sandbox forbids to open a file. */
static void
open_spare(struct worker *worker)
{
	worker->accept.spare_fd = fcntl(worker->channel_fd, F_DUPFD_CLOEXEC, 0);
}

/* Uses the spare descriptor to refuse one connection, rather than leave its peer
 * without an answer. */
static void
refuse_with_spare(struct worker_listener *listener)
{
	struct worker *worker = listener->worker;
	if (worker->accept.spare_fd < 0)
		return;
	struct address peer;
	close(worker->accept.spare_fd);
	int fd = accept_next(listener, 0, &peer);
	if (fd >= 0)
		admission_refuse(listener, fd, &peer, CLOSE_DESCRIPTOR_LIMIT);
	crash_record_open_end(worker->record);
	open_spare(worker);
}

/* errno is the reason. */
static void
pause_accepting(struct worker *worker)
{
	ledger_count(&worker->worker_ledger->own, LEDGER_ACCEPT_PAUSES, 1);
	if (should_log(&worker->accept.next_pause_log_ns))
		log_warn("[accept_paused connections] "
			 "accept: paused with %zu connections open",
		    worker->connections.count);
	worker->accept.is_paused = true;
	for (size_t i = 0; i < worker->accept.listener_count; i++)
		event_del(&worker->accept.listeners[i].event);
	event_add(&worker->accept.resume_timer, &pause_time);
}

/* The master makes it listen: at the commit of a reload, where it replaces a socket of
 * an overlapping address, or after a process has shut it down. */
static void
wait_until_listening(struct worker_listener *listener)
{
	event_del(&listener->event);
	event_add(&listener->worker->accept.resume_timer, &not_listening_time);
}

/* True if accepting the next connection may succeed. */
static bool
on_accept_failed(struct worker_listener *listener)
{
	int error = errno;
	switch (error) {
	case EMFILE:
	case ENFILE:
		refuse_with_spare(listener);
		errno = error;
		pause_accepting(listener->worker);
		return false;
	case ENOMEM:
	case ENOBUFS:
		pause_accepting(listener->worker);
		return false;
	case EAGAIN:
		return false;
	case EINVAL:
		wait_until_listening(listener);
		return false;
	default: /* an error of this connection alone (accept(2)) */
		return true;
	}
}

/* False when the queue is empty or accepting has paused. */
static bool
accept_one(struct worker_listener *listener)
{
	struct address peer;
	int fd = accept_next(listener, SOCK_NONBLOCK, &peer);
	if (fd < 0)
		return on_accept_failed(listener);
	struct connection *connection = admit(listener, fd, &peer);
	crash_record_open_end(listener->worker->record);
	if (connection != NULL && connection->phase == CONNECTION_SERVING)
		(void)(listener->is_witness ? witness_serve_begin(connection)
					    : connection_io_replay(connection));
	return true;
}

static void
on_acceptable(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	for (int i = 0; i < ACCEPTS_PER_WAKEUP && accept_one(argument); i++)
		;
}

static void
on_resume(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	struct worker *worker = argument;
	bool all_watched = true;
	worker->accept.is_paused = false;
	if (worker->accept.spare_fd < 0)
		open_spare(worker);
	for (size_t i = 0; i < worker->accept.listener_count; i++) {
		struct worker_listener *listener = &worker->accept.listeners[i];
		if (listener->fd >= 0 && !listener->faults.accepts_none &&
		    event_add(&listener->event, NULL) < 0)
			all_watched = false;
	}
	if (!all_watched)
		event_add(&worker->accept.resume_timer, &pause_time);
}

static void
listener_close(struct worker_listener *listener)
{
	if (listener->fd < 0)
		return;
	event_del(&listener->event);
	close(listener->fd);
	listener->fd = -1;
}

/* If the kernel does not block new connections (that may need CAP_NET_ADMIN), they may
 * never stop arriving: then BUSY_TURNS_MAX bounds the wait. */
static bool
has_new_arrivals(struct worker_listener *listener)
{
	if (listener->worker->accept.is_paused)
		return true;
	return listener->saw_connection && listener->busy_turns++ < BUSY_TURNS_MAX;
}

/* Accepts at most a full queue, because new connections may keep arriving. False when
 * some are left for lack of descriptors. */
static bool
accept_waiting(struct worker_listener *listener)
{
	uint32_t limit = listener->config->backlog + 1;
	while (limit-- > 0 && accept_one(listener))
		;
	return !listener->worker->accept.is_paused;
}

/* Runs until each listener being drained saw no connection for a whole interval. */
static void
on_drain_queue_timer(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	struct worker *worker = argument;
	bool is_draining = false;
	for (size_t i = 0; i < worker->accept.listener_count; i++) {
		struct worker_listener *listener = &worker->accept.listeners[i];
		if (!listener->draining_queue || listener->fd < 0)
			continue;
		if (has_new_arrivals(listener) || !accept_waiting(listener)) {
			listener->saw_connection = false;
			is_draining = true;
		} else {
			listener_close(listener);
		}
	}
	if (is_draining)
		event_add(&worker->accept.drain_queue_timer, &quiet_time);
	else
		worker_request_drain_check(worker);
}

int
acceptor_socket_address(const struct config *config, const struct ledger *ledger,
    const struct worker_socket *socket, struct address *ret)
{
	const struct address *configured = &config->listeners[socket->listener].address;
	char name[LEDGER_NAME_MAX], error[128];
	if (address_is_unix(configured)) {
		*ret = *configured;
		return 0;
	}
	*ret = (struct address){ .length = sizeof(ret->storage),
		.is_mptcp = configured->is_mptcp };
	if (socket->fd >= 0)
		return getsockname(
		    socket->fd, (struct sockaddr *)&ret->storage, &ret->length);
	ledger_listener_name(ledger, socket->ledger_index, name);
	return address_parse(name, ret, error, sizeof(error));
}

int
acceptor_start(struct worker *worker, const struct worker_socket *sockets, size_t count)
{
	evtimer_assign(&worker->accept.resume_timer, worker->base, on_resume, worker);
	evtimer_assign(&worker->accept.drain_queue_timer, worker->base,
	    on_drain_queue_timer, worker);
	open_spare(worker);
	worker->accept.listeners = calloc(count, sizeof(*worker->accept.listeners));
	/* Makes libevent allocate its timer heap now, so that adding the timer later
	 * cannot fail. */
	if (worker->accept.listeners == NULL ||
	    event_add(&worker->accept.resume_timer, &pause_time) < 0)
		return -1;
	event_del(&worker->accept.resume_timer);
	worker->accept.listener_count = count;
	for (size_t i = 0; i < count; i++) {
		struct worker_listener *listener = &worker->accept.listeners[i];
		listener->worker = worker;
		listener->number = sockets[i].listener;
		listener->config = &worker->config->listeners[listener->number];
		listener->block =
		    &worker->worker_ledger->by_listener[sockets[i].ledger_index];
		responder_prepare(listener);
		listener->fd = sockets[i].fd;
		listener->transport = &transport_tcp;
		listener->on_header_event = proxy_phase_on_event;
		listener->on_handshake_event = tls_phase_on_event;
		listener->on_tls_event = connection_io_callback(&transport_tls);
		fault_listener_prepare(listener);
		event_assign(&listener->event, worker->base, listener->fd,
		    EV_READ | EV_PERSIST, on_acceptable, listener);
	}
	if (admission_start(worker) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		struct worker_listener *listener = &worker->accept.listeners[i];
		if (acceptor_socket_address(worker->config, worker->ledger, &sockets[i],
			&listener->address) < 0 ||
		    (listener->fd >= 0 && event_add(&listener->event, NULL) < 0))
			return -1;
		address_format(&listener->address, listener->name);
		fault_listener_start(listener);
	}
	return 0;
}

/* The queue of a Unix socket is that of all workers: the others go on, or it has been
 * retired and gets nothing new. So once is enough. */
static bool
has_emptied_shared_queue(struct worker_listener *listener)
{
	if (!address_is_unix(&listener->address) || listener->fd < 0 ||
	    !accept_waiting(listener))
		return false;
	listener_close(listener);
	return true;
}

void
acceptor_drain_queue(struct worker *worker, unsigned number)
{
	for (size_t i = 0; i < worker->accept.listener_count; i++) {
		struct worker_listener *listener = &worker->accept.listeners[i];
		if (number != CHANNEL_ALL && number != listener->number)
			continue;
		if (has_emptied_shared_queue(listener))
			continue;
		listener->draining_queue = true;
		listener->saw_connection = true;
	}
	event_add(&worker->accept.drain_queue_timer, &quiet_time);
}

void
acceptor_drain_queue_once(struct worker *worker, unsigned number)
{
	for (size_t i = 0; i < worker->accept.listener_count; i++) {
		struct worker_listener *listener = &worker->accept.listeners[i];
		if (listener->fd < 0 || number != listener->number)
			continue;
		if (accept_waiting(listener))
			listener_close(listener);
		else
			acceptor_drain_queue(worker, number);
	}
}

/* The service manager keeps the listening sockets
 * (master/listeners/socket_activation.c) and starts the next master, to which new
 * connections belong: the filter would stay on its sockets. */
static bool
has_next_master(void)
{
	const char *limit = getenv("FDSTORE");
	return getenv("NOTIFY_SOCKET") != NULL && limit != NULL && atoi(limit) > 0;
}

static void
drain_queues_once(struct worker *worker)
{
	for (size_t i = 0; i < worker->accept.listener_count; i++)
		acceptor_drain_queue_once(
		    worker, (unsigned)worker->accept.listeners[i].number);
}

void
acceptor_drain_without_master(struct worker *worker)
{
	if (has_next_master()) {
		drain_queues_once(worker);
		return;
	}
	for (size_t i = 0; i < worker->accept.listener_count; i++) {
		int fd = worker->accept.listeners[i].fd;
		bool is_unix = address_is_unix(&worker->accept.listeners[i].address);
		int rc = 0;
		if (fd >= 0)
			rc = is_unix ? unix_socket_retire(fd) : listen_block_new(fd);
		if (rc < 0)
			log_debug(
			    "[drain_block_failed] drain: cannot block new connections");
	}
	acceptor_drain_queue(worker, CHANNEL_ALL);
}

void
acceptor_queue_taken_over(struct worker *worker, uint64_t except)
{
	for (size_t i = 0; i < worker->accept.listener_count; i++) {
		struct worker_listener *listener = &worker->accept.listeners[i];
		if ((except >> listener->number & 1) == 0)
			listener_close(listener);
	}
}

void
acceptor_close_listeners(struct worker *worker)
{
	for (size_t i = 0; i < worker->accept.listener_count; i++) {
		if (!worker->accept.listeners[i].draining_queue)
			listener_close(&worker->accept.listeners[i]);
	}
}

bool
acceptor_is_closed(const struct worker *worker)
{
	for (size_t i = 0; i < worker->accept.listener_count; i++) {
		if (worker->accept.listeners[i].fd >= 0)
			return false;
	}
	return true;
}

void
acceptor_stop(struct worker *worker)
{
	event_del(&worker->accept.resume_timer);
	event_del(&worker->accept.drain_queue_timer);
	for (size_t i = 0; i < worker->accept.listener_count; i++) {
		listener_close(&worker->accept.listeners[i]);
		fault_listener_stop(&worker->accept.listeners[i]);
	}
	if (worker->accept.spare_fd >= 0)
		close(worker->accept.spare_fd);
	worker->accept.spare_fd = -1;
}
