#include "client/probes/survey_conn.h"

#include <sys/epoll.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "lib/xmalloc.h"
#include "net/connect.h"
#include "net/proxy_header.h"
#include "client/probes/survey_tls.h"

#define READ_SIZE 65536
/* Reads of one connection for an event: a peer that sends faster than they are read
 * must not keep the loop from its timers and from Ctrl-C. */
#define READS_MAX 64
/* A handshake that takes longer than this was not answered: the SYN has been repeated
 * at least once. */
#define UNANSWERED_NS (2 * NS_PER_S)

static uint32_t
index_of(const struct survey_loop *loop, const struct survey_conn *conn)
{
	return (uint32_t)(conn - loop->conns);
}

/* --- opening --- */

static void
refill_tokens(struct survey_loop *loop)
{
	loop->tokens += (double)(loop->now_ns - loop->tokens_ns) / (double)NS_PER_S *
	    SURVEY_PACE_PER_S;
	loop->tokens_ns = loop->now_ns;
	if (loop->tokens > SURVEY_PACE_BURST)
		loop->tokens = SURVEY_PACE_BURST;
}

static void
wait_for_turn(struct survey_loop *loop)
{
	loop->now_ns = clock_now_ns();
	refill_tokens(loop);
	while (loop->tokens < 1 && !survey_loop_is_over(loop)) {
		survey_loop_sleep(loop,
		    (uint64_t)((1 - loop->tokens) / SURVEY_PACE_PER_S * NS_PER_S) +
			NS_PER_MS);
		refill_tokens(loop);
	}
	loop->tokens -= 1;
}

static struct survey_conn *
free_conn(struct survey_loop *loop)
{
	for (uint32_t i = 0; i < loop->capacity; i++)
		if (loop->conns[i].state == SURVEY_CONN_FREE)
			return &loop->conns[i];
	return NULL;
}

/* 0, or -1 with errno. Keepalive is off, whatever the system's default: a probe is what
 * it sends and nothing else. */
static int
set_options(int fd, const struct survey_open *open)
{
	const int on = 1, off = 0;
	bool v6 = open->to->storage.ss_family == AF_INET6;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &off, sizeof(off));
	if (open->ttl > 0 &&
	    setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP,
		v6 ? IPV6_UNICAST_HOPS : IP_TTL, &open->ttl, sizeof(open->ttl)) < 0)
		return -1;
	if (open->ttl > 0)
		setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP,
		    v6 ? IPV6_RECVERR : IP_RECVERR, &on, sizeof(on));
	if (open->tos > 0)
		setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP,
		    v6 ? IPV6_TCLASS : IP_TOS, &open->tos, sizeof(open->tos));
	if (open->mss > 0)
		setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &open->mss, sizeof(open->mss));
	if (open->receive_buffer > 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &open->receive_buffer,
		    sizeof(open->receive_buffer));
	if (open->from == NULL)
		return 0;
	if (address_port(open->from) == 0) {
		if (connect_bind_source(fd, open->from) == 0)
			return 0;
		/* Not a lack of ports: connect(2) chooses the port. */
		errno = errno == EADDRNOTAVAIL ? ENODEV : errno;
		return -1;
	}
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	return bind(
	    fd, (const struct sockaddr *)&open->from->storage, open->from->length);
}

static void
fail(struct survey_loop *loop, struct survey_conn *conn, int error)
{
	conn->state = SURVEY_CONN_FAILED;
	conn->error = error;
	conn->error_ns = conn->last_ns = loop->now_ns;
}

static void
start(
    struct survey_loop *loop, struct survey_conn *conn, const struct survey_open *open)
{
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
		.data.u32 = index_of(loop, conn),
	};
	int fd = socket(open->to->storage.ss_family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, open->protocol);
	conn->stream.fd = fd;
	if (fd < 0 || set_options(fd, open) < 0) {
		fail(loop, conn, errno);
		return;
	}
	loop->now_ns = conn->opened_ns = clock_now_ns();
	if ((connect(fd, (const struct sockaddr *)&open->to->storage,
		 open->to->length) < 0 &&
		errno != EINPROGRESS) ||
	    epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		fail(loop, conn, errno);
}

struct survey_conn *
survey_conn_open(struct survey_loop *loop, const struct survey_open *open)
{
	if (!open->is_unpaced)
		wait_for_turn(loop);
	struct survey_conn *conn = free_conn(loop);
	if (conn == NULL || loop->left == 0 || survey_loop_is_over(loop))
		return NULL;
	*conn = (struct survey_conn){
		.state = SURVEY_CONN_CONNECTING,
		.stream = { .fd = -1, .transport = &transport_tcp },
		.may_fail = open->may_fail,
	};
	loop->left--;
	loop->connections++;
	loop->open++;
	if (loop->open > loop->open_most)
		loop->open_most = loop->open;
	start(loop, conn, open);
	return conn;
}

/* The handshake times of the last connections: a path on which each takes a second has
 * time for fewer. */
static void
note_handshake(struct survey_loop *loop, uint64_t took_ns)
{
	loop->connect_ns = (3 * loop->connect_ns + took_ns) / 4;
}

static void
establish(struct survey_loop *loop, struct survey_conn *conn)
{
	conn->state = SURVEY_CONN_OPEN;
	conn->connected_ns = conn->last_ns = loop->now_ns;
	note_handshake(loop, conn->connected_ns - conn->opened_ns);
}

static void
finish_connect(struct survey_loop *loop, struct survey_conn *conn)
{
	int error = 0;
	socklen_t length = sizeof(error);
	if (getsockopt(conn->stream.fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
		error = errno;
	if (error != 0) {
		fail(loop, conn, error);
		loop->refused += !conn->may_fail;
		return;
	}
	if (loop->header != NULL) {
		uint8_t header[PROXY_HEADER_MAX];
		size_t bytes = loop->header(loop, conn->stream.fd, header);
		(void)send(conn->stream.fd, header, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	if (loop->tls == NULL)
		establish(loop, conn);
	else
		survey_tls_begin(loop->tls, conn);
}

static void
continue_handshake(struct survey_loop *loop, struct survey_conn *conn)
{
	int outcome = survey_tls_shake(loop->tls, conn);
	if (outcome > 0)
		establish(loop, conn);
	else if (outcome < 0)
		fail(loop, conn, errno);
}

static void
release(struct survey_loop *loop, struct survey_conn *conn)
{
	timer_wheel_clear(&loop->timers, index_of(loop, conn));
	buffer_release(&conn->input);
	conn->stream.fd = -1;
	conn->state = SURVEY_CONN_FREE;
	loop->open--;
}

void
survey_conn_close(struct survey_loop *loop, struct survey_conn *conn)
{
	if (conn == NULL || conn->state == SURVEY_CONN_FREE)
		return;
	if (conn->state == SURVEY_CONN_CONNECTING && !conn->may_fail &&
	    loop->now_ns > conn->opened_ns + UNANSWERED_NS)
		loop->unanswered++;
	survey_tls_end(conn, true);
	if (conn->stream.fd >= 0)
		close(conn->stream.fd);
	release(loop, conn);
}

void
survey_conn_reset(struct survey_loop *loop, struct survey_conn *conn)
{
	if (conn == NULL || conn->state == SURVEY_CONN_FREE)
		return;
	survey_tls_end(conn, false);
	if (conn->stream.fd >= 0)
		transport_reset(conn->stream.fd);
	release(loop, conn);
}

/* --- receiving --- */

static void
keep(struct survey_conn *conn, const uint8_t *data, size_t length)
{
	size_t kept = buffer_length(conn->input);
	size_t room = kept < SURVEY_INPUT_MAX ? SURVEY_INPUT_MAX - kept : 0;
	if (conn->counts_only || room == 0)
		return;
	if (buffer_append(&conn->input, data, length < room ? length : room) < 0)
		xmalloc_fail();
}

/* Lets epoll report again what is there already: its events are edges. */
static void
report_again(const struct survey_loop *loop, const struct survey_conn *conn)
{
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
		.data.u32 = index_of(loop, conn),
	};
	(void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, conn->stream.fd, &event);
}

/* Reads what is there, READS_MAX times at most. */
static void
receive(struct survey_loop *loop, struct survey_conn *conn)
{
	static uint8_t data[READ_SIZE];
	for (int reads = 0; conn->eof_ns == 0 && conn->error_ns == 0; reads++) {
		if (reads == READS_MAX) {
			report_again(loop, conn);
			return;
		}
		ssize_t got = transport_receive(&conn->stream, data, sizeof(data));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN && survey_tls_has_more(conn))
			continue;
		if (got < 0 && errno == EAGAIN)
			return;
		if (got < 0) {
			conn->error = errno;
			conn->error_ns = loop->now_ns;
			return;
		}
		if (got == 0) {
			conn->eof_ns = loop->now_ns;
			return;
		}
		if (conn->first_ns == 0)
			conn->first_ns = loop->now_ns;
		conn->last_ns = loop->now_ns;
		conn->received += (uint64_t)got;
		loop->bytes += (uint64_t)got;
		keep(conn, data, (size_t)got);
	}
}

/* The error of a socket that is not read from. */
static void
take_error(struct survey_loop *loop, struct survey_conn *conn)
{
	int error = 0;
	socklen_t length = sizeof(error);
	if (conn->error_ns > 0 ||
	    getsockopt(conn->stream.fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0 ||
	    error == 0)
		return;
	conn->error = error;
	conn->error_ns = loop->now_ns;
}

void
survey_conn_on_event(
    struct survey_loop *loop, struct survey_conn *conn, uint32_t events)
{
	if (conn->state == SURVEY_CONN_FREE)
		return;
	if (conn->state == SURVEY_CONN_CONNECTING && conn->tls == NULL &&
	    (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0)
		finish_connect(loop, conn);
	if (conn->state == SURVEY_CONN_CONNECTING && conn->tls != NULL)
		continue_handshake(loop, conn);
	if (conn->state == SURVEY_CONN_OPEN)
		survey_tls_flush(conn);
	if (conn->state == SURVEY_CONN_OPEN && !conn->is_paused)
		receive(loop, conn);
	if (conn->state == SURVEY_CONN_OPEN && (events & EPOLLERR) != 0)
		take_error(loop, conn);
	if (conn->on_event != NULL)
		conn->on_event(conn->owner, conn);
}

void
survey_conn_pause(struct survey_loop *loop, struct survey_conn *conn, bool is_paused)
{
	conn->is_paused = is_paused;
	if (!is_paused && conn->state == SURVEY_CONN_OPEN)
		receive(loop, conn);
}

void
survey_conn_set_timer(
    struct survey_loop *loop, const struct survey_conn *conn, uint64_t at_ns)
{
	timer_wheel_set(&loop->timers, index_of(loop, conn), at_ns);
}

/* --- sending --- */

size_t
survey_conn_send(
    struct survey_loop *loop, struct survey_conn *conn, const void *data, size_t length)
{
	ssize_t sent;
	if (conn->state != SURVEY_CONN_OPEN || conn->error_ns > 0)
		return 0;
	do
		sent = transport_send(&conn->stream, data, length);
	while (sent < 0 && errno == EINTR);
	if (sent < 0 && errno != EAGAIN) {
		conn->error = errno;
		conn->error_ns = loop->now_ns = clock_now_ns();
	}
	if (sent > 0) {
		conn->sent += (uint64_t)sent;
		loop->bytes += (uint64_t)sent;
	}
	return sent < 0 ? 0 : (size_t)sent;
}

struct sending {
	struct survey_loop *loop;
	struct survey_conn *conn;
	const uint8_t *data;
	size_t length;
	size_t *sent;
};

/* Sends what there is room for; true when all is sent or nothing more can be. */
static bool
has_sent(const void *argument)
{
	const struct sending *s = argument;
	size_t n;
	do {
		n = survey_conn_send(
		    s->loop, s->conn, s->data + *s->sent, s->length - *s->sent);
		*s->sent += n;
	} while (n > 0 && *s->sent < s->length);
	return *s->sent == s->length || s->conn->error_ns > 0;
}

size_t
survey_conn_send_all(struct survey_loop *loop, struct survey_conn *conn,
    const void *data, size_t length, uint64_t timeout_ns)
{
	size_t sent = 0;
	const struct sending sending = { loop, conn, data, length, &sent };
	(void)survey_loop_wait(loop, timeout_ns, has_sent, &sending);
	return sent;
}
