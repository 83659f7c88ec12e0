/*
 * raw_tls_client.c - a load generator with TLS for an echo server: one process,
 * level-triggered epoll, one burst at a time on each connection; it counts the bytes of
 * the answers and does not verify them, nor the certificate. The reference for the cost
 * of yodel with TLS, and the load that servers are compared with.
 *
 *   raw_tls_client [-c CONNECTIONS] [-b BYTES] [-n BURST] [-o] [-v 1.2|1.3] PORT
 *
 *   -n  messages sent at once, all answered before the next burst (1)
 *   -o  a connection for each message, closed after the answer
 *
 * Prints "ready" when all are connected. Input and output are those of round_trips.c.
 */
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "tests/bench/raw_record.h"

#define EVENTS 256

struct connection {
	int fd;
	struct raw_records records;
	uint8_t *rest; /* an unfinished record */
	size_t rest_length, missing;
};

static struct connection *connections;
static size_t count = 1, bytes = 64, burst = 1;
static int is_oneshot, port, epoll_fd;
static uint8_t *burst_data;
static SSL_CTX *context;
static uint64_t messages;

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

static void
flush(int fd)
{
	for (size_t sent = 0; sent < raw_output_length;) {
		ssize_t n =
		    send(fd, raw_output + sent, raw_output_length - sent, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN)
			die("send");
		sent += n > 0 ? (size_t)n : 0;
	}
	raw_output_length = 0;
}

static void
connect_one(struct connection *c)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };
	int on = 1, status;
	*c = (struct connection){ .fd = socket(AF_INET, SOCK_STREAM, 0) };
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		die("connect");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	SSL *ssl = SSL_new(context);
	if (ssl == NULL)
		die("SSL_new");
	SSL_set_app_data(ssl, &c->records);
	raw_set_bio(ssl);
	SSL_set_connect_state(ssl);
	raw_input_at = raw_input_length = 0;
	while ((status = SSL_do_handshake(ssl)) != 1) {
		if (SSL_get_error(ssl, status) != SSL_ERROR_WANT_READ)
			die("handshake");
		flush(c->fd);
		ssize_t n = recv(c->fd, raw_input, sizeof(raw_input), 0);
		if (n <= 0)
			die("recv");
		raw_input_at = 0;
		raw_input_length = (size_t)n;
	}
	flush(c->fd);
	raw_take(ssl, &c->records);
	c->rest_length = raw_input_length - raw_input_at;
	c->rest = malloc(c->rest_length + 1);
	memcpy(c->rest, raw_input + raw_input_at, c->rest_length);
	fcntl(c->fd, F_SETFL, O_NONBLOCK);
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event) < 0)
		die("epoll_ctl");
}

static void
disconnect(struct connection *c)
{
	static const uint8_t close_notify[] = { 1, 0 };
	raw_output_length =
	    raw_seal(&c->records, 21, close_notify, sizeof(close_notify), raw_output);
	flush(c->fd);
	raw_finish(&c->records);
	free(c->rest);
	close(c->fd);
}

static void
send_burst(struct connection *c)
{
	if (is_oneshot)
		connect_one(c);
	for (size_t at = 0; at < bytes * burst; at += RECORD_DATA) {
		size_t left = bytes * burst - at;
		raw_output_length += raw_seal(&c->records, 23, burst_data + at,
		    left < RECORD_DATA ? left : RECORD_DATA,
		    raw_output + raw_output_length);
	}
	c->missing = bytes * burst;
	flush(c->fd);
}

/* The whole records that have come. */
static void
receive(struct connection *c)
{
	uint8_t *at = raw_input, *joined = NULL, *data, type;
	ssize_t n = recv(c->fd, raw_input, sizeof(raw_input), 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0)
		die("recv: the server closed the connection");
	size_t length = (size_t)n, record;
	if (c->rest_length > 0) {
		joined = realloc(c->rest, c->rest_length + length);
		memcpy(joined + c->rest_length, at, length);
		length += c->rest_length;
		at = joined;
	} else {
		free(c->rest);
	}
	while (length >= RECORD_HEADER &&
	    length >= (record = RECORD_HEADER + ((size_t)at[3] << 8 | at[4]))) {
		long got = raw_open(&c->records, at, &type, &data);
		if (got < 0 || type == 21)
			die("recv: a bad record or an alert");
		if (type == 23)
			c->missing -= (size_t)got;
		at += record;
		length -= record;
	}
	c->rest = length > 0 ? malloc(length) : NULL;
	c->rest_length = length;
	if (length > 0)
		memcpy(c->rest, at, length);
	free(joined);
}

static void
run(double seconds)
{
	struct epoll_event events[EVENTS];
	uint64_t until = now_ns() + (uint64_t)(seconds * 1e9);
	size_t outstanding = count;
	for (size_t i = 0; i < count; i++)
		send_burst(&connections[i]);
	while (outstanding > 0) {
		int n = epoll_wait(epoll_fd, events, EVENTS, -1);
		int is_over = now_ns() >= until;
		for (int i = 0; i < n; i++) {
			struct connection *c = events[i].data.ptr;
			receive(c);
			if (c->missing > 0)
				continue;
			messages += burst;
			if (is_oneshot)
				disconnect(c);
			if (is_over)
				outstanding--;
			else
				send_burst(c);
		}
	}
}

static double
cpu_ns(void)
{
	struct rusage use;
	getrusage(RUSAGE_SELF, &use);
	return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1e9 +
	    (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) * 1e3;
}

static void
parse(int argc, char **argv)
{
	const char *version = "1.3";
	int option;
	while ((option = getopt(argc, argv, "c:b:n:ov:")) != -1) {
		if (option == 'c')
			count = (size_t)atol(optarg);
		else if (option == 'b')
			bytes = (size_t)atol(optarg);
		else if (option == 'n')
			burst = (size_t)atol(optarg);
		else if (option == 'o')
			is_oneshot = 1;
		else if (option == 'v')
			version = optarg;
		else
			exit(64);
	}
	if (optind + 1 != argc || count == 0 || bytes * burst == 0 ||
	    bytes * burst > sizeof(raw_output) / 2) {
		fprintf(stderr,
		    "usage: raw_tls_client [-c CONNECTIONS] [-b BYTES] "
		    "[-n BURST] [-o] [-v 1.2|1.3] PORT\n");
		exit(64);
	}
	port = atoi(argv[optind]);
	context = raw_context(0, version);
}

int
main(int argc, char **argv)
{
	double seconds;
	struct rlimit limit;
	parse(argc, argv);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	epoll_fd = epoll_create1(0);
	connections = calloc(count, sizeof(*connections));
	burst_data = malloc(bytes * burst);
	if (connections == NULL || burst_data == NULL || epoll_fd < 0)
		die("raw_tls_client");
	memset(burst_data, 'x', bytes * burst);
	for (size_t i = 0; !is_oneshot && i < count; i++)
		connect_one(&connections[i]);
	printf("ready\n");
	fflush(stdout);
	while (scanf("%lf", &seconds) == 1) {
		uint64_t start = now_ns();
		double cpu = cpu_ns();
		messages = 0;
		run(seconds);
		printf("%llu %.6f %.0f 0 0\n", (unsigned long long)messages,
		    (double)(now_ns() - start) / 1e9, cpu_ns() - cpu);
		fflush(stdout);
	}
	return 0;
}
