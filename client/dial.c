#include "client/dial.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <errno.h>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "client/generator.h"
#include "client/hangup.h"
#include "client/hear.h"
#include "client/source.h"
#include "client/transcript.h"

#define SLOW_BUFFER 4096 /* at least; a slow reader holds little back */
#define FIRST_DELAY_NS UINT64_C(10000000)
#define LAST_DELAY_DOUBLINGS 6

static const struct plan_target *
target_of(const struct generator *generator, const struct caller *caller,
    struct tally_target **ret_tally)
{
	uint32_t index = (uint32_t)(generator_connection(generator, caller) %
	    generator->plan->target_count);

	*ret_tally = &generator->tally->targets[index];
	return &generator->plan->targets[index];
}

static enum tally_connect_failure
failure_of(int error)
{
	switch (error) {
	case ECONNREFUSED:
		return TALLY_CONNECT_REFUSED;
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EHOSTDOWN:
	case ENETDOWN:
		return TALLY_CONNECT_UNREACHABLE;
	case ETIMEDOUT:
		return TALLY_CONNECT_TIMEOUT;
	case ECONNRESET:
	case EPIPE:
		return TALLY_CONNECT_RESET;
	default:
		return TALLY_CONNECT_OTHER;
	}
}

static void
count_failure(struct generator *generator, const struct caller *caller, int error)
{
	struct tally_target *target;
	enum tally_connect_failure failure = failure_of(error);

	target_of(generator, caller, &target);
	tally_add(&generator->tally->connections_failed[failure], 1);
	tally_add(&target->failed[failure], 1);
	atomic_store_explicit(&target->last_errno, error, memory_order_relaxed);
}

uint64_t
dial_delay(struct caller *caller)
{
	uint32_t doublings = caller->failures < LAST_DELAY_DOUBLINGS
	    ? caller->failures
	    : LAST_DELAY_DOUBLINGS;

	if (caller->failures < UINT8_MAX)
		caller->failures++;
	return FIRST_DELAY_NS << doublings;
}

static void
fail(struct generator *generator, struct caller *caller, int error)
{
	struct tally_target *unused;
	const struct plan_target *target = target_of(generator, caller, &unused);

	if (caller->fd >= 0)
		close(caller->fd);
	caller->fd = -1;
	generator->connecting--;
	transcript_failed(generator, caller, target->text, error);
	count_failure(generator, caller, error);
	bool again = caller->was_established && generator->plan->reconnect;
	hangup_next(generator, caller, again, dial_delay(caller));
}

static void
establish(struct generator *generator, struct caller *caller)
{
	struct tally *tally = generator->tally;
	struct tally_target *target;

	target_of(generator, caller, &target);
	generator->connecting--;
	generator_record(
	    generator, TALLY_CONNECT, generator->now_ns - caller->since_ns);
	tally_add(&tally->connections_established, 1);
	tally_add(&tally->connections_open, 1);
	tally_add(&target->established, 1);
	tally_add(
	    caller->was_established ? &tally->reconnects : &tally->connections_first,
	    1);
	caller->was_established = true;
	caller->state = CALLER_OPEN;
	caller->since_ns = caller->heard_ns = generator->now_ns;
	caller->on_connection = 0;
	caller->is_shut = caller->expires = caller->is_paused = false;
	generator_activate(generator, caller);
	caller_set_timer(generator, caller);
	transcript_connected(generator, caller);
	if (generator->is_running || generator->is_stopped)
		caller_advance(generator, caller);
}

/* The peer is to feel a slow reader at once; what is read at once must find room. */
static void
keep_small(int fd, size_t share)
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
		keep_small(fd, hear_share(plan->slow_read));
	if (source_of(plan, (uint32_t)connection, &source) &&
	    source_bind(fd, &source) < 0) {
		int error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

static int
begin(struct generator *generator, struct caller *caller)
{
	struct tally_target *unused;
	const struct plan_target *target = target_of(generator, caller, &unused);
	const struct address *address = &target->addresses[caller->address];
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
		.data.u32 = generator_index(generator, caller),
	};

	caller->fd =
	    open_socket(generator, address, generator_connection(generator, caller));
	if (caller->fd < 0)
		return -1;
	generator->now_ns = caller->since_ns = generator_clock();
	const struct sockaddr *to = (const void *)&address->storage;
	if (connect(caller->fd, to, address->length) < 0 && errno != EINPROGRESS)
		return -1;
	return epoll_ctl(generator->epoll_fd, EPOLL_CTL_ADD, caller->fd, &event);
}

static void fail_address(struct generator *generator, struct caller *caller, int error);

static void
call_address(struct generator *generator, struct caller *caller)
{
	if (begin(generator, caller) < 0)
		fail_address(generator, caller, errno);
	else
		caller_set_timer(generator, caller);
}

/* A name may have several addresses: the next one is called before it has failed. */
static void
fail_address(struct generator *generator, struct caller *caller, int error)
{
	struct tally_target *unused;
	const struct plan_target *target = target_of(generator, caller, &unused);

	if (caller->address + 1U >= target->address_count) {
		caller->address = 0;
		fail(generator, caller, error);
		return;
	}
	if (caller->fd >= 0)
		close(caller->fd);
	caller->fd = -1;
	caller->address++;
	call_address(generator, caller);
}

void
dial(struct generator *generator, struct caller *caller)
{
	caller->state = CALLER_CONNECTING;
	caller->has_called = true;
	tally_add(&generator->tally->connections_attempted, 1);
	call_address(generator, caller);
}

void
dial_on_event(struct generator *generator, struct caller *caller)
{
	int error = 0;
	socklen_t length = sizeof(error);

	if (getsockopt(caller->fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
		error = errno;
	if (error != 0)
		fail_address(generator, caller, error);
	else
		establish(generator, caller);
}

void
dial_on_timeout(struct generator *generator, struct caller *caller)
{
	fail_address(generator, caller, ETIMEDOUT);
}

void
dial_cancel(struct generator *generator, struct caller *caller)
{
	if (caller->fd >= 0)
		close(caller->fd);
	caller->fd = -1;
	generator->connecting--;
	hangup_next(generator, caller, false, 0);
}
