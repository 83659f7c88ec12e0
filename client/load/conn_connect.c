#include "client/load/conn_connect.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <errno.h>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "lib/clock.h"
#include "net/connect.h"
#include "net/mptcp.h"
#include "client/load/accounting.h"
#include "client/load/conn_tls.h"
#include "client/load/transcript.h"
#include "client/plan/proxy_plan.h"
#include "client/plan/source_address.h"

#define RECEIVE_BUFFER_MIN 4096 /* bytes, for --slow-read */

static uint32_t
target_index(const struct load_context *ctx, const struct conn *conn)
{
	return (uint32_t)(conn_state_number(ctx, conn) % ctx->plan->target_count);
}

static enum connect_failure
failure_of(int error)
{
	switch (error) {
	case ECONNREFUSED:
	case ENOENT: /* no file of a Unix socket */
		return CONNECT_FAILURE_REFUSED;
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EHOSTDOWN:
	case ENETDOWN:
	/* A router, firewall or rule of this host forbids it (ICMPv6 codes 1, 5 and 6;
	 * netfilter), or ICMP reports another reason for unreachable. */
	case EACCES:
	case EPERM:
	case ENONET:
	case ENOPROTOOPT:
	case EOPNOTSUPP:
	case EPROTO:
		return CONNECT_FAILURE_UNREACHABLE;
	case EADDRNOTAVAIL:
		return CONNECT_FAILURE_NO_PORT;
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
count_at_address(struct load_context *ctx, const struct conn *conn,
    enum connect_failure failure, int error)
{
	struct counters_address *address =
	    &ctx->counters->targets[target_index(ctx, conn)].addresses[conn->address];
	accounting_connect_failed(ctx, conn, failure);
	counters_add(&address->failed[failure], 1);
	atomic_store_explicit(&address->last_errno, error, memory_order_relaxed);
}

/* Counts a failed attempt at the present address. */
static void
count_failure(struct load_context *ctx, const struct conn *conn, int error)
{
	const struct plan_target *target = &ctx->plan->targets[target_index(ctx, conn)];
	transcript_connect_failed(ctx, conn, &target->addresses[conn->address], error);
	count_at_address(ctx, conn, failure_of(error), error);
}

/* Counts a connection that has failed at every address. */
static enum connect_status
fail(struct load_context *ctx, struct conn *conn, enum connect_failure failure,
    int error)
{
	struct counters_target *target =
	    &ctx->counters->targets[target_index(ctx, conn)];
	counters_add(&ctx->counters->connections_failed[failure], 1);
	counters_add(&target->failed[failure], 1);
	atomic_store_explicit(&target->last_errno, error, memory_order_relaxed);
	return CONNECT_FAILED;
}

/* Sends the PROXY header of --proxy-protocol, if there is one. It is held for the first
 * message, so that both come in one segment, but for at most 200 ms (MSG_MORE,
 * send(2)). An empty send buffer has room for all of it. 0, or -1 with errno. */
static int
announce(const struct load_context *ctx, const struct conn *conn)
{
	const struct plan *plan = ctx->plan;
	struct address own = { .length = sizeof(own.storage) }, source;
	uint8_t header[PROXY_HEADER_MAX];
	if (plan->proxy_version == PROXY_OFF)
		return 0;
	if (getsockname(conn->stream.fd, (struct sockaddr *)&own.storage, &own.length) <
	    0)
		return -1;
	proxy_plan_source(plan, conn_state_number(ctx, conn), &own, &source);
	size_t length = proxy_plan_write(plan, &source,
	    &plan->targets[target_index(ctx, conn)].addresses[conn->address], header);
	size_t each = plan->dribble ? 1 : length;
	int flags = MSG_NOSIGNAL | MSG_DONTWAIT | (plan->dribble ? 0 : MSG_MORE);
	for (size_t at = 0; at < length; at += each) {
		if (send(conn->stream.fd, header + at, each, flags) < 0)
			return -1;
	}
	return 0;
}

static const struct address *
address_of(const struct load_context *ctx, const struct conn *conn)
{
	return &ctx->plan->targets[target_index(ctx, conn)].addresses[conn->address];
}

/* Whether the connection is one of MPTCP, or has fallen back. */
static void
examine_mptcp(const struct load_context *ctx, struct conn *conn)
{
	conn->is_mptcp = false;
	if (!address_of(ctx, conn)->is_mptcp)
		return;
	conn->is_mptcp = mptcp_subflows(conn->stream.fd) > 0;
	counters_add(&ctx->counters->sockets[conn->is_mptcp ? SOCKET_MPTCP
							    : SOCKET_MPTCP_FALLBACK],
	    1);
}

/* Reads back the socket options of the first connection of this process. */
static void
read_granted(const struct load_context *ctx, const struct conn *conn)
{
	struct counters *counters = ctx->counters;
	if (!ctx->plan->has_socket_options ||
	    atomic_load_explicit(&counters->are_granted_known, memory_order_relaxed))
		return;
	for (int i = 0; i < SOCKET_OPTION_COUNT; i++)
		if (socket_option_is_given(&ctx->plan->sockets, (enum socket_option)i))
			socket_option_read(conn->stream.fd, (enum socket_option)i,
			    counters->granted[i]);
	atomic_store_explicit(&counters->are_granted_known, 1, memory_order_release);
}

static enum connect_status
establish(struct load_context *ctx, struct conn *conn)
{
	struct counters *counters = ctx->counters;
	examine_mptcp(ctx, conn);
	read_granted(ctx, conn);
	struct counters_target *target = &counters->targets[target_index(ctx, conn)];
	conn->opened_ns = ctx->times.now_ns;
	counters_add(&counters->connections_established, 1);
	counters_add(&counters->connections_open, 1);
	counters_add(&target->established, 1);
	counters_add(&target->addresses[conn->address].established, 1);
	counters_add(conn->was_established ? &counters->reconnects
					   : &counters->connections_first,
	    1);
	return CONNECT_ESTABLISHED;
}

/* A small receive buffer lets the peer notice a slow reader at once; it must hold
 * several reads. */
static void
shrink_receive_buffer(int fd, size_t per_read)
{
	int bytes =
	    per_read > RECEIVE_BUFFER_MIN / 4 ? (int)per_read * 4 : RECEIVE_BUFFER_MIN;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

static int
close_failed(int fd, int error)
{
	close(fd);
	errno = error;
	return -1;
}

static int
open_socket(
    const struct load_context *ctx, const struct address *address, uint64_t connection)
{
	const struct plan *plan = ctx->plan;
	struct address source;
	int on = 1;
	bool is_unix = address_is_unix(address);
	int fd = socket(address->storage.ss_family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    address->is_mptcp ? IPPROTO_MPTCP : 0);
	if (fd < 0)
		return -1;
	if (!is_unix && !plan->sockets.nagle)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	enum socket_option failed;
	if (plan->has_socket_options &&
	    socket_options_apply(fd, &plan->sockets, &failed) < 0)
		return close_failed(fd, errno);
	/* Without time stamps the own delay of the client is not known. */
	if (plan->slow_read == 0)
		(void)receive_time_enable(fd);
	else
		shrink_receive_buffer(fd, conn_state_slow_bytes(plan->slow_read));
	if (!is_unix && source_address_of(plan, (uint32_t)connection, &source) &&
	    connect_bind_source(fd, &source) < 0) {
		/* Not a lack of ports: connect(2) chooses the port. */
		return close_failed(fd, errno == EADDRNOTAVAIL ? ENODEV : errno);
	}
	return fd;
}

/* Calls connect(2). 0 if it has begun, is done, or is to be tried again because the
 * accept queue of a Unix socket is full; -1 with errno. */
static int
try_connect(struct load_context *ctx, struct conn *conn)
{
	const struct address *address = address_of(ctx, conn);
	const struct sockaddr *to = (const void *)&address->storage;
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
		.data.u32 = conn_state_index(ctx, conn),
	};
	if (connect(conn->stream.fd, to, address->length) < 0 && errno != EINPROGRESS) {
		if (errno != EAGAIN || !address_is_unix(address))
			return -1;
		counters_add(&ctx->counters->sockets[SOCKET_QUEUE_FULL], 1);
		if (conn->full_tries < UINT8_MAX)
			conn->full_tries++;
		return 0;
	}
	conn->full_tries = 0;
	if (ctx->plan->ledgers.count > 0)
		findings_add_client(ctx->counters->findings, conn->stream.fd);
	return epoll_ctl(ctx->epoll_fd, EPOLL_CTL_ADD, conn->stream.fd, &event);
}

static int
start_connect(struct load_context *ctx, struct conn *conn)
{
	uint32_t index = target_index(ctx, conn);
	const struct plan_target *target = &ctx->plan->targets[index];
	const struct address *address = &target->addresses[conn->address];
	conn->stream = (struct stream){
		.fd = open_socket(ctx, address, conn_state_number(ctx, conn)),
		.transport = target->transport,
	};
	counters_add(
	    &ctx->counters->targets[index].addresses[conn->address].attempted, 1);
	if (conn->stream.fd < 0)
		return -1;
	ctx->times.now_ns = conn->state_since_ns = clock_now_ns();
	conn->connect_ns = ctx->times.now_ns;
	conn->full_tries = 0;
	return try_connect(ctx, conn);
}

void
conn_connect_close(struct load_context *ctx, struct conn *conn)
{
	conn_tls_destroy(ctx, conn, false);
	if (conn->stream.fd >= 0)
		close(conn->stream.fd);
	conn->stream.fd = -1;
}

/* The present address has failed with `error`: tries the next one. */
static enum connect_status
connect_next(struct load_context *ctx, struct conn *conn, int error)
{
	uint32_t count = ctx->plan->targets[target_index(ctx, conn)].address_count;
	count_failure(ctx, conn, error);
	while (++conn->tried < count) {
		conn_connect_close(ctx, conn);
		conn->address = (uint8_t)((conn->address + 1U) % count);
		if (start_connect(ctx, conn) == 0)
			return CONNECT_STARTED;
		error = errno;
		count_failure(ctx, conn, error);
	}
	conn->address = 0;
	return fail(ctx, conn, failure_of(error), error);
}

enum connect_status
conn_connect(struct load_context *ctx, struct conn *conn)
{
	counters_add(&ctx->counters->connections_attempted, 1);
	conn->opened_ns = clock_now_ns();
	conn->tried = 0;
	if (start_connect(ctx, conn) == 0)
		return CONNECT_STARTED;
	return connect_next(ctx, conn, errno);
}

enum connect_status
conn_connect_on_timer(struct load_context *ctx, struct conn *conn)
{
	bool is_over =
	    conn->state_since_ns + ctx->plan->connect_timeout_ns <= ctx->times.now_ns;
	if (conn->full_tries == 0 || is_over)
		return connect_next(ctx, conn, ETIMEDOUT);
	return try_connect(ctx, conn) == 0 ? CONNECT_STARTED
					   : connect_next(ctx, conn, errno);
}

enum connect_status
conn_connect_finish(struct load_context *ctx, struct conn *conn)
{
	int error = 0;
	socklen_t length = sizeof(error);
	if (getsockopt(conn->stream.fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
		error = errno;
	if (error == 0 && announce(ctx, conn) < 0)
		error = errno;
	if (error != 0)
		return connect_next(ctx, conn, error);
	accounting_record(ctx, LATENCY_CONNECT, ctx->times.now_ns - conn->opened_ns);
	if (ctx->tls == NULL)
		return establish(ctx, conn);
	conn->state_since_ns = ctx->times.now_ns;
	conn_tls_begin(ctx, conn);
	return CONNECT_HANDSHAKE;
}

/* A certificate that is refused at one address is refused at every address. */
static enum connect_status
fail_handshake(struct load_context *ctx, struct conn *conn,
    enum connect_failure failure, int error)
{
	count_at_address(ctx, conn, failure, error);
	return fail(ctx, conn, failure, error);
}

enum connect_status
conn_connect_shake(struct load_context *ctx, struct conn *conn)
{
	switch (conn_tls_shake(ctx, conn)) {
	case TLS_STREAM_WAIT:
		break;
	case TLS_STREAM_READY:
		return establish(ctx, conn);
	case TLS_STREAM_FAILED:
		return fail_handshake(
		    ctx, conn, CONNECT_FAILURE_TLS, COUNTERS_ERROR_TLS);
	}
	return CONNECT_STARTED;
}

enum connect_status
conn_connect_give_up(struct load_context *ctx, struct conn *conn)
{
	conn_tls_timed_out(ctx, conn);
	return fail_handshake(ctx, conn, CONNECT_FAILURE_TIMEOUT, ETIMEDOUT);
}
