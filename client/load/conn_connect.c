#include "client/load/conn_connect.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <errno.h>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "lib/clock.h"

#include "client/load/conn_close.h"
#include "client/load/conn_receive.h"
#include "client/load/generator.h"
#include "client/load/transcript.h"
#include "client/plan/source_address.h"

#define SLOW_BUFFER 4096 /* at least; a slow reader holds little back */
#define FIRST_BACKOFF_NS UINT64_C(10000000)
#define BACKOFF_DOUBLINGS_MAX 6

static const struct plan_target *
target_of(const struct generator *generator, const struct conn *conn,
    struct counters_target **ret_counters)
{
	uint32_t index = (uint32_t)(generator_connection(generator, conn) %
	    generator->plan->target_count);

	*ret_counters = &generator->counters->targets[index];
	return &generator->plan->targets[index];
}

static enum connect_failure
failure_of(int error)
{
	switch (error) {
	case ECONNREFUSED:
		return CONNECT_FAILURE_REFUSED;
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EHOSTDOWN:
	case ENETDOWN:
		return CONNECT_FAILURE_UNREACHABLE;
	case ETIMEDOUT:
		return CONNECT_FAILURE_TIMEOUT;
	case ECONNRESET:
	case EPIPE:
		return CONNECT_FAILURE_RESET;
	default:
		return CONNECT_FAILURE_OTHER;
	}
}

static void
count_failure(struct generator *generator, const struct conn *conn, int error)
{
	struct counters_target *target;
	enum connect_failure failure = failure_of(error);

	target_of(generator, conn, &target);
	counters_add(&generator->counters->connections_failed[failure], 1);
	counters_add(&target->failed[failure], 1);
	atomic_store_explicit(&target->last_errno, error, memory_order_relaxed);
}

uint64_t
conn_connect_backoff_ns(struct conn *conn)
{
	uint32_t doublings = conn->failures < BACKOFF_DOUBLINGS_MAX
	    ? conn->failures
	    : BACKOFF_DOUBLINGS_MAX;

	if (conn->failures < UINT8_MAX)
		conn->failures++;
	return FIRST_BACKOFF_NS << doublings;
}

static void
fail(struct generator *generator, struct conn *conn, int error)
{
	struct counters_target *unused;
	const struct plan_target *target = target_of(generator, conn, &unused);

	if (conn->fd >= 0)
		close(conn->fd);
	conn->fd = -1;
	generator->connecting--;
	transcript_failed(generator, conn, target->text, error);
	count_failure(generator, conn, error);
	bool again = conn->was_established && generator->plan->reconnect;
	conn_close_next(generator, conn, again, conn_connect_backoff_ns(conn));
}

static void
establish(struct generator *generator, struct conn *conn)
{
	struct counters *counters = generator->counters;
	struct counters_target *target;

	target_of(generator, conn, &target);
	generator->connecting--;
	generator_record(
	    generator, LATENCY_CONNECT, generator->now_ns - conn->state_since_ns);
	counters_add(&counters->connections_established, 1);
	counters_add(&counters->connections_open, 1);
	counters_add(&target->established, 1);
	counters_add(conn->was_established ? &counters->reconnects
					   : &counters->connections_first,
	    1);
	conn->was_established = true;
	conn->state = CONN_OPEN;
	conn->state_since_ns = conn->received_ns = generator->now_ns;
	conn->sent_on_connection = 0;
	conn->is_write_shut = conn->expires = conn->is_paused = false;
	generator_activate(generator, conn);
	conn_set_timer(generator, conn);
	transcript_connected(generator, conn);
	if (generator->is_running || generator->is_stopped)
		conn_advance(generator, conn);
}

/* The peer is to feel a slow reader at once; what is read at once must find room. */
static void
shrink_receive_buffer(int fd, size_t share)
{
	int bytes = share > SLOW_BUFFER / 4 ? (int)share * 4 : SLOW_BUFFER;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

static int
open_socket(const struct generator *generator, const struct address *address,
    uint64_t connection)
{
	const struct plan *plan = generator->plan;
	struct address source;
	int on = 1;
	int fd = socket(
	    address->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (plan->slow_read > 0)
		shrink_receive_buffer(fd, conn_receive_slow_bytes(plan->slow_read));
	if (source_address_of(plan, (uint32_t)connection, &source) &&
	    source_address_bind(fd, &source) < 0) {
		int error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

static int
start_connect(struct generator *generator, struct conn *conn)
{
	struct counters_target *unused;
	const struct plan_target *target = target_of(generator, conn, &unused);
	const struct address *address = &target->addresses[conn->address];
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
		.data.u32 = generator_index(generator, conn),
	};

	conn->fd =
	    open_socket(generator, address, generator_connection(generator, conn));
	if (conn->fd < 0)
		return -1;
	generator->now_ns = conn->state_since_ns = clock_now_ns();
	const struct sockaddr *to = (const void *)&address->storage;
	if (connect(conn->fd, to, address->length) < 0 && errno != EINPROGRESS)
		return -1;
	return epoll_ctl(generator->epoll_fd, EPOLL_CTL_ADD, conn->fd, &event);
}

static void fail_address(struct generator *generator, struct conn *conn, int error);

static void
connect_address(struct generator *generator, struct conn *conn)
{
	if (start_connect(generator, conn) < 0)
		fail_address(generator, conn, errno);
	else
		conn_set_timer(generator, conn);
}

/* A name may have several addresses: the next one is called before it has failed. */
static void
fail_address(struct generator *generator, struct conn *conn, int error)
{
	struct counters_target *unused;
	const struct plan_target *target = target_of(generator, conn, &unused);

	if (conn->address + 1U >= target->address_count) {
		conn->address = 0;
		fail(generator, conn, error);
		return;
	}
	if (conn->fd >= 0)
		close(conn->fd);
	conn->fd = -1;
	conn->address++;
	connect_address(generator, conn);
}

void
conn_connect(struct generator *generator, struct conn *conn)
{
	conn->state = CONN_CONNECTING;
	conn->connect_started = true;
	counters_add(&generator->counters->connections_attempted, 1);
	connect_address(generator, conn);
}

void
conn_connect_on_event(struct generator *generator, struct conn *conn)
{
	int error = 0;
	socklen_t length = sizeof(error);

	if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
		error = errno;
	if (error != 0)
		fail_address(generator, conn, error);
	else
		establish(generator, conn);
}

void
conn_connect_on_timeout(struct generator *generator, struct conn *conn)
{
	fail_address(generator, conn, ETIMEDOUT);
}

void
conn_connect_cancel(struct generator *generator, struct conn *conn)
{
	if (conn->fd >= 0)
		close(conn->fd);
	conn->fd = -1;
	generator->connecting--;
	conn_close_next(generator, conn, false, 0);
}
