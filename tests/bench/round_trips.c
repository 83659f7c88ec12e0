/*
 * round_trips.c - a load generator for any server that answers a fixed request with an
 * answer of fixed size: one process, level-triggered epoll, one burst at a time on each
 * connection.
 *
 *   round_trips [-c CONNECTIONS] [-i IDLE] [-n BURST] [-o] [-l] [-q FILE] [-a BYTES]
 * PORT|mptcp:PORT|unix:PATH
 *
 *   -q  the request (64 bytes of "x"); -a size of its answer (that of the request)
 *   -n  requests sent at once, all answered before the next burst (1)
 *   -o  a connection for each request, closed after the answer
 *   -i  additional idle connections
 *   -l  also measure latencies
 *
 * Prints "ready" when all are connected. Then each input line is a number of seconds to
 * run, and the output is one line: messages, seconds, CPU nanoseconds of this process,
 * p50 and p99 in nanoseconds (0 without -l). Between runs nothing is in flight, so that
 * servers can be compared in turn over the same connections.
 */
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#define EVENTS 256
#define TIMEOUT_MS 180000 /* poll(2) takes long to accept 20,000 */
#define REQUEST_MAX (64 * 1024)
/* A latency's bucket: its highest set bit, and the six bits behind it. */
#define BUCKETS (64 * 64)

struct connection {
	int fd;
	uint32_t missing; /* bytes of answers */
	uint64_t sent_ns;
};

static char request[REQUEST_MAX], answer[REQUEST_MAX];
static char *burst; /* `at_once` requests */
static size_t request_bytes = 64, answer_bytes;
static uint32_t count = 1, at_once = 1, idle, outstanding, called;
static bool is_oneshot, with_latencies;
static uint16_t port;
static const char *socket_path; /* of a Unix socket; NULL: TCP */
static bool is_mptcp;
static int epoll_fd;
static struct connection *connections;
static uint64_t messages, latencies[BUCKETS];

static void
die(const char *what)
{
	perror(what);
	exit(71);
}

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* --- latencies --- */

static void
record(uint64_t ns)
{
	uint32_t bit = 63 - (uint32_t)__builtin_clzll(ns | 64);

	latencies[(bit << 6) + (ns >> (bit - 6) & 63)]++;
}

static uint64_t
quantile(double part)
{
	uint64_t total = 0, seen = 0;

	for (uint32_t i = 0; i < BUCKETS; i++)
		total += latencies[i];
	for (uint32_t i = 64; i < BUCKETS && total > 0; i++) {
		seen += latencies[i];
		if ((double)seen >= part * (double)total)
			return (64 + (uint64_t)(i & 63)) << ((i >> 6) - 6);
	}
	return 0;
}

/* --- connections --- */

static int
open_path(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(to.sun_path, sizeof(to.sun_path), "%s", socket_path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		die("connect");
	return fd;
}

/* Connects from the addresses of 127.1.0.0/16 in turn: a closed port stays in TIME_WAIT
 * for a while. */
static int
open_one(void)
{
	struct sockaddr_in from = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(0x7f010001 + called++ % 1000) };
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int on = 1;

	if (socket_path != NULL)
		return open_path();
	int fd =
	    socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, is_mptcp ? IPPROTO_MPTCP : 0);
	if (fd < 0)
		die("socket");
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&from, sizeof(from)) < 0 ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		die("connect");
	return fd;
}

static void
put_burst(struct connection *connection)
{
	size_t length = request_bytes * at_once;

	if (send(connection->fd, burst, length, MSG_NOSIGNAL) != (ssize_t)length)
		die("send");
	connection->missing = (uint32_t)(answer_bytes * at_once);
}

static void
begin(struct connection *connection)
{
	if (with_latencies)
		connection->sent_ns = now_ns();
	if (is_oneshot)
		connection->fd = open_one();
	put_burst(connection);
	if (is_oneshot) {
		struct epoll_event event = { .events = EPOLLIN,
			.data.ptr = connection };
		if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, connection->fd, &event) < 0)
			die("epoll_ctl");
	}
	outstanding++;
}

static void
end(struct connection *connection)
{
	outstanding--;
	messages += at_once;
	if (is_oneshot)
		close(connection->fd);
	if (with_latencies)
		record(now_ns() - connection->sent_ns);
}

/* Returns true if the answer is complete. */
static bool
take(struct connection *connection)
{
	ssize_t n = recv(connection->fd, answer, sizeof(answer), MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return false;
	if (n <= 0 || (size_t)n > connection->missing)
		die(n <= 0 ? "recv" : "recv: more than the answer");
	connection->missing -= (uint32_t)n;
	return connection->missing == 0;
}

/* --- a run --- */

static void
run(uint64_t until_ns)
{
	struct epoll_event events[EVENTS];

	for (uint32_t i = 0; i < count; i++)
		begin(&connections[i]);
	while (outstanding > 0) {
		int n = epoll_wait(epoll_fd, events, EVENTS, TIMEOUT_MS);
		if (n <= 0)
			die("no answer");
		bool goes_on = now_ns() < until_ns;
		for (int i = 0; i < n; i++) {
			struct connection *connection = events[i].data.ptr;
			if (!take(connection))
				continue;
			end(connection);
			if (goes_on)
				begin(connection);
		}
	}
}

static uint64_t
cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void
run_and_tell(double seconds)
{
	uint64_t start_ns = now_ns(), start_cpu = cpu_ns();

	messages = 0;
	memset(latencies, 0, sizeof(latencies));
	run(start_ns + (uint64_t)(seconds * 1e9));
	printf("%llu %.6f %llu %llu %llu\n", (unsigned long long)messages,
	    (double)(now_ns() - start_ns) / 1e9,
	    (unsigned long long)(cpu_ns() - start_cpu),
	    (unsigned long long)quantile(0.5), (unsigned long long)quantile(0.99));
	fflush(stdout);
}

static void
read_request(const char *path)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, request, sizeof(request));

	if (n <= 0)
		die(path);
	close(fd);
	request_bytes = (size_t)n;
}

static void
parse_arguments(int argc, char **argv)
{
	int option;

	memset(request, 'x', sizeof(request));
	while ((option = getopt(argc, argv, "c:i:n:olq:a:b:")) != -1) {
		switch (option) {
		case 'c':
			count = (uint32_t)atol(optarg);
			break;
		case 'i':
			idle = (uint32_t)atol(optarg);
			break;
		case 'n':
			at_once = (uint32_t)atol(optarg);
			break;
		case 'o':
			is_oneshot = true;
			break;
		case 'l':
			with_latencies = true;
			break;
		case 'q':
			read_request(optarg);
			break;
		case 'a':
			answer_bytes = (size_t)atol(optarg);
			break;
		case 'b':
			request_bytes = (size_t)atol(optarg);
			break;
		default:
			exit(64);
		}
	}
	if (optind != argc - 1 || request_bytes > sizeof(request) || count == 0) {
		fprintf(stderr,
		    "usage: round_trips [OPTION...] PORT|mptcp:PORT|unix:PATH\n");
		exit(64);
	}
	const char *target = argv[optind];
	is_mptcp = strncmp(target, "mptcp:", 6) == 0;
	if (strncmp(target, "unix:", 5) == 0)
		socket_path = target + 5;
	else
		port = (uint16_t)atoi(target + (is_mptcp ? 6 : 0));
	if (answer_bytes == 0)
		answer_bytes = request_bytes;
}

static void
open_all(void)
{
	connections = calloc(count, sizeof(*connections));
	burst = malloc(request_bytes * at_once);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (connections == NULL || burst == NULL || epoll_fd < 0)
		die("round_trips");
	for (uint32_t i = 0; i < at_once; i++)
		memcpy(burst + i * request_bytes, request, request_bytes);
	for (uint32_t i = 0; i < idle; i++)
		open_one();
	for (uint32_t i = 0; i < count && !is_oneshot; i++) {
		struct epoll_event event = { .events = EPOLLIN,
			.data.ptr = &connections[i] };
		connections[i].fd = open_one();
		if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, connections[i].fd, &event) < 0)
			die("epoll_ctl");
	}
}

int
main(int argc, char **argv)
{
	struct rlimit limit;
	double seconds;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	parse_arguments(argc, argv);
	open_all();
	puts("ready");
	fflush(stdout);
	while (scanf("%lf", &seconds) == 1)
		run_and_tell(seconds);
	return 0;
}
