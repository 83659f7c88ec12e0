/*
 * latency_server LAW [--outage FROM LENGTH [EVERY_NTH]] - an echo server that answers
 * each message after a random time of a known law, and reports what it really did.
 *
 *   fixed:MS        every message after MS milliseconds
 *   exp:MS          exponentially distributed with that mean
 *   bimodal:A,B,P   B milliseconds with probability P, otherwise A
 *
 * --outage: from FROM to FROM + LENGTH seconds after the first message, every EVERY_NTH
 * connection (1: all, the default) gets no answer; what was due is answered at the end.
 *
 * Prints its port. On SIGTERM it prints a line for each message: connection, the
 * earliest and the latest time at which it can have arrived in the socket, clock before
 * and after the send of the answer, in ns of CLOCK_REALTIME. Both times are the
 * kernel's time stamp, unless several messages waited: they share the last one's stamp,
 * and the earliest time is the last one at which the socket was seen empty. A message
 * has MESSAGE bytes. SEED in the environment: of the law.
 */
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#define MESSAGE 64
#define NS_PER_S UINT64_C(1000000000)
#define NS_PER_MS 1e6
#define CONNECTIONS_MAX 4096
#define EVENTS_MAX 64
#define NEVER UINT64_MAX

struct answer {
	uint64_t due_ns, earliest_ns, arrived_ns;
	uint32_t connection;
	uint8_t text[MESSAGE];
};

struct connection {
	int fd;
	uint32_t fill; /* bytes of a message that is not complete */
	uint64_t last_due_ns;
	uint64_t empty_ns; /* no data was in the socket */
	uint8_t text[MESSAGE];
};

struct record {
	uint32_t connection;
	uint64_t earliest_ns, arrived_ns, before_ns, after_ns;
};

static struct connection connections[CONNECTIONS_MAX];
static uint32_t connection_count;
static struct answer *heap;
static size_t heap_count, heap_room;
static struct record *records;
static size_t record_count, record_room;
static double law_a, law_b, law_p;
static enum { FIXED, EXPONENTIAL, BIMODAL } law;
static double outage_from, outage_length;
static uint32_t outage_nth = 1;
static uint64_t first_ns;
static uint64_t waited_ns[2]; /* return of this epoll_wait, and of the one before it */
static volatile sig_atomic_t stopped;

static void
fail(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t
now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static void *
grow(void *items, size_t *room, size_t bytes)
{
	*room = *room == 0 ? 1024 : 2 * *room;
	items = reallocarray(items, *room, bytes);
	if (items == NULL)
		fail("reallocarray");
	return items;
}

static void
parse_law(const char *text)
{
	if (sscanf(text, "fixed:%lf", &law_a) == 1)
		law = FIXED;
	else if (sscanf(text, "exp:%lf", &law_a) == 1)
		law = EXPONENTIAL;
	else if (sscanf(text, "bimodal:%lf,%lf,%lf", &law_a, &law_b, &law_p) == 3)
		law = BIMODAL;
	else {
		fprintf(stderr, "latency_server: unknown law %s\n", text);
		exit(64);
	}
}

static uint64_t
draw_ns(void)
{
	double ms = law_a;
	if (law == EXPONENTIAL)
		ms = -log(1 - drand48()) * law_a;
	else if (law == BIMODAL && drand48() < law_p)
		ms = law_b;
	return (uint64_t)(ms * NS_PER_MS);
}

/* A binary heap with the earliest answer on top. */
static void
push(const struct answer *answer)
{
	if (heap_count == heap_room)
		heap = grow(heap, &heap_room, sizeof(*heap));
	size_t at = heap_count++;
	while (at > 0 && heap[(at - 1) / 2].due_ns > answer->due_ns) {
		heap[at] = heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	heap[at] = *answer;
}

static struct answer
pop(void)
{
	struct answer top = heap[0], last = heap[--heap_count];
	size_t at = 0;
	for (;;) {
		size_t child = 2 * at + 1;
		if (child + 1 < heap_count &&
		    heap[child + 1].due_ns < heap[child].due_ns)
			child++;
		if (child >= heap_count || heap[child].due_ns >= last.due_ns)
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = last;
	return top;
}

static uint64_t
after_outage(uint32_t connection, uint64_t due_ns)
{
	double at = (double)(due_ns - first_ns) / 1e9;
	if (outage_length <= 0 || connection % outage_nth != 0 || at < outage_from ||
	    at >= outage_from + outage_length)
		return due_ns;
	return first_ns + (uint64_t)((outage_from + outage_length) * 1e9);
}

static void
take_message(uint32_t index, uint64_t earliest_ns, uint64_t arrived_ns)
{
	struct connection *connection = &connections[index];
	struct answer answer = { .connection = index,
		.earliest_ns = earliest_ns,
		.arrived_ns = arrived_ns };
	if (first_ns == 0)
		first_ns = arrived_ns;
	answer.due_ns = after_outage(index, arrived_ns + draw_ns());
	/* The answers of a connection keep their order. */
	if (answer.due_ns <= connection->last_due_ns)
		answer.due_ns = connection->last_due_ns + 1;
	connection->last_due_ns = answer.due_ns;
	memcpy(answer.text, connection->text, MESSAGE);
	connection->fill = 0;
	push(&answer);
}

static uint64_t
stamp_of(struct msghdr *message)
{
	struct timespec t;
	const struct cmsghdr *stamp = CMSG_FIRSTHDR(message);
	if (stamp == NULL || stamp->cmsg_type != SCM_TIMESTAMPNS)
		return now_ns();
	memcpy(&t, CMSG_DATA(stamp), sizeof(t));
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* One message each time, so that each has its own time stamp. */
static void
receive(uint32_t index)
{
	struct connection *connection = &connections[index];
	uint64_t asked_ns;
	bool is_alone = true;
	for (;;) {
		char control[64];
		struct iovec vector = { connection->text + connection->fill,
			MESSAGE - connection->fill };
		struct msghdr message = { .msg_iov = &vector,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control) };
		asked_ns = now_ns();
		ssize_t n = recvmsg(connection->fd, &message, MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN) {
			connection->empty_ns = asked_ns;
			return;
		}
		if (n <= 0) {
			close(connection->fd);
			connection->fd = -1;
			return;
		}
		connection->fill += (uint32_t)n;
		if (connection->fill < MESSAGE)
			continue;
		int left = 0;
		ioctl(connection->fd, FIONREAD, &left);
		is_alone = is_alone && left == 0;
		uint64_t arrived_ns = stamp_of(&message), earliest_ns;
		/* Data that had been there would have been read after that wait. */
		earliest_ns = connection->empty_ns > waited_ns[1] ? connection->empty_ns
								  : waited_ns[1];
		if (is_alone || earliest_ns > arrived_ns)
			earliest_ns = arrived_ns;
		take_message(index, earliest_ns, arrived_ns);
	}
}

static void
answer_due(void)
{
	uint64_t now;
	while (heap_count > 0 && heap[0].due_ns <= (now = now_ns())) {
		struct answer answer = pop();
		int fd = connections[answer.connection].fd;
		if (fd < 0 || send(fd, answer.text, MESSAGE, MSG_NOSIGNAL) != MESSAGE)
			continue;
		if (record_count == record_room)
			records = grow(records, &record_room, sizeof(*records));
		records[record_count++] = (struct record){ answer.connection,
			answer.earliest_ns, answer.arrived_ns, now, now_ns() };
	}
}

static void
accept_one(int listener, int epoll)
{
	int on = 1, fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = connection_count };
	if (fd < 0 || connection_count == CONNECTIONS_MAX)
		fail("accept");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
	connections[connection_count++] =
	    (struct connection){ .fd = fd, .empty_ns = now_ns() };
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		fail("epoll_ctl");
}

static int
open_listener(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
	if (bind(fd, (void *)&address, length) < 0 || listen(fd, 1024) < 0 ||
	    getsockname(fd, (void *)&address, &length) < 0)
		fail("listen");
	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	return fd;
}

static void
wait_events(int listener, int epoll)
{
	struct epoll_event events[EVENTS_MAX];
	struct timespec timeout = { 1, 0 };
	uint64_t now = now_ns();
	if (heap_count > 0 && heap[0].due_ns < now + NS_PER_S) {
		timeout.tv_sec = 0;
		timeout.tv_nsec =
		    heap[0].due_ns > now ? (long)(heap[0].due_ns - now) : 0;
	}
	int n = epoll_pwait2(epoll, events, EVENTS_MAX, &timeout, NULL);
	if (n < EVENTS_MAX) {
		waited_ns[1] = waited_ns[0];
		waited_ns[0] = now_ns();
	}
	for (int i = 0; i < n; i++) {
		if (events[i].data.u32 == UINT32_MAX)
			accept_one(listener, epoll);
		else if (connections[events[i].data.u32].fd >= 0)
			receive(events[i].data.u32);
	}
}

static void
on_signal(int number)
{
	(void)number;
	stopped = 1;
}

int
main(int argc, char **argv)
{
	const char *seed = getenv("SEED");
	if (argc < 2)
		return 64;
	parse_law(argv[1]);
	if (argc >= 5) {
		outage_from = atof(argv[3]);
		outage_length = atof(argv[4]);
		outage_nth = argc > 5 ? (uint32_t)atoi(argv[5]) : 1;
	}
	srand48(seed != NULL ? atol(seed) : 1);
	signal(SIGTERM, on_signal);
	prctl(PR_SET_TIMERSLACK, 1UL);
	int listener = open_listener(), epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = UINT32_MAX };
	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) < 0)
		fail("epoll");
	while (!stopped) {
		wait_events(listener, epoll);
		answer_due();
	}
	for (size_t i = 0; i < record_count; i++)
		printf("%u %llu %llu %llu %llu\n", records[i].connection,
		    (unsigned long long)records[i].earliest_ns,
		    (unsigned long long)records[i].arrived_ns,
		    (unsigned long long)records[i].before_ns,
		    (unsigned long long)records[i].after_ns);
	return 0;
}
