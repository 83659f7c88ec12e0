/*
 * raw_tls.c - raw_epoll with TLS: an echo server, one process, level-triggered epoll;
 * the handshake by OpenSSL, the records by raw_record.h. The reference for the cost of
 * yodeld with TLS.
 *
 *   raw_tls CERTIFICATE KEY [1.2|1.3 [PORT]]     prints the port, serves until it is
 *                                                terminated
 *
 * It has no output buffer: after a partial send it exits with an error, because the
 * comparison would be invalid. As TLS demands (RFC 8446, 6.1), and as yodeld does, it
 * answers close_notify before it closes.
 */
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "tests/bench/raw_record.h"

#define EVENTS 64
#define BACKLOG 4096

struct peer {
	SSL *ssl; /* NULL: the handshake is done */
	struct raw_records records;
	uint8_t *rest; /* an unfinished record */
	size_t rest_length;
};

static struct peer **peers; /* by descriptor */
static SSL_CTX *context;

static void
die(const char *what)
{
	perror(what);
	exit(71);
}

static int
listen_on(int port)
{
	struct sockaddr_in name = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(name);
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* inherited */
	if (fd < 0 || bind(fd, (struct sockaddr *)&name, sizeof(name)) < 0 ||
	    listen(fd, BACKLOG) < 0)
		die("bind, listen");
	getsockname(fd, (struct sockaddr *)&name, &length);
	printf("%d\n", ntohs(name.sin_port));
	fflush(stdout);
	return fd;
}

static void
watch(int epoll_fd, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		die("epoll_ctl");
}

static void
take_socket(int epoll_fd, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	if (fd < 0)
		return;
	struct peer *peer = calloc(1, sizeof(*peer));
	if (peer == NULL || (peer->ssl = SSL_new(context)) == NULL)
		die("SSL_new");
	peers[fd] = peer;
	peer->records.is_server = 1;
	SSL_set_app_data(peer->ssl, &peer->records);
	raw_set_bio(peer->ssl);
	SSL_set_accept_state(peer->ssl);
	watch(epoll_fd, fd);
}

static void
drop(int fd)
{
	SSL_free(peers[fd]->ssl);
	raw_finish(&peers[fd]->records);
	free(peers[fd]->rest);
	free(peers[fd]);
	peers[fd] = NULL;
	close(fd);
}

/* Continues the handshake; 0: the connection is over. */
static int
shake_hands(struct peer *peer)
{
	int status = SSL_do_handshake(peer->ssl);
	if (status == 1) {
		raw_take(peer->ssl, &peer->records);
		peer->ssl = NULL;
		return 1;
	}
	return SSL_get_error(peer->ssl, status) == SSL_ERROR_WANT_READ;
}

/* Seals what answers a record; 0: the connection is over. */
static int
answer_record(struct peer *peer, uint8_t type, const uint8_t *data, long length)
{
	static const uint8_t close_notify[] = { 1, 0 };
	if (length < 0 || (type != 23 && type != 21))
		return 0;
	if (type == 21) {
		data = close_notify;
		length = sizeof(close_notify);
	}
	raw_output_length += raw_seal(
	    &peer->records, type, data, (size_t)length, raw_output + raw_output_length);
	return type == 23;
}

/* Answers the whole records of the input, keeps the rest; 0: the connection is over. */
static int
echo(struct peer *peer)
{
	uint8_t *at = raw_input + raw_input_at, *joined = NULL, *data, type;
	size_t length = raw_input_length - raw_input_at, record;
	int goes_on = 1;
	if (peer->rest_length > 0) {
		joined = realloc(peer->rest, peer->rest_length + length);
		if (joined == NULL)
			die("realloc");
		memcpy(joined + peer->rest_length, at, length);
		length += peer->rest_length;
		at = joined;
	}
	while (goes_on && length >= RECORD_HEADER &&
	    length >= (record = RECORD_HEADER + ((size_t)at[3] << 8 | at[4]))) {
		long n = raw_open(&peer->records, at, &type, &data);
		goes_on = answer_record(peer, type, data, n);
		at += record;
		length -= record;
	}
	peer->rest = length > 0 ? malloc(length) : NULL;
	peer->rest_length = length;
	if (length > 0)
		memcpy(peer->rest, at, length);
	free(joined);
	return goes_on;
}

static void
answer(int fd)
{
	struct peer *peer = peers[fd];
	ssize_t came = recv(fd, raw_input, sizeof(raw_input), 0);
	if (came <= 0) {
		if (came == 0 || errno != EAGAIN)
			drop(fd);
		return;
	}
	raw_input_at = 0;
	raw_input_length = (size_t)came;
	raw_output_length = 0;
	int goes_on = peer->ssl == NULL || shake_hands(peer);
	if (goes_on && peer->ssl == NULL && raw_input_at < raw_input_length)
		goes_on = echo(peer);
	if (raw_output_length > 0 &&
	    send(fd, raw_output, raw_output_length, MSG_NOSIGNAL) !=
		(ssize_t)raw_output_length &&
	    goes_on)
		die("send took not all");
	if (!goes_on)
		drop(fd);
}

int
main(int argc, char **argv)
{
	struct epoll_event events[EVENTS];
	struct rlimit limit;
	int epoll_fd = epoll_create1(0);
	if (argc < 3) {
		fprintf(stderr, "usage: raw_tls CERTIFICATE KEY [1.2|1.3 [PORT]]\n");
		return 64;
	}
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	peers = calloc(limit.rlim_cur, sizeof(*peers));
	context = raw_context(1, argc > 3 ? argv[3] : "1.3");
	if (peers == NULL ||
	    SSL_CTX_use_certificate_chain_file(context, argv[1]) != 1 ||
	    SSL_CTX_use_PrivateKey_file(context, argv[2], SSL_FILETYPE_PEM) != 1)
		die("certificate, key");
	int listener = listen_on(argc > 4 ? atoi(argv[4]) : 0);
	watch(epoll_fd, listener);
	for (;;) {
		int count = epoll_wait(epoll_fd, events, EVENTS, -1);
		for (int i = 0; i < count; i++) {
			if (events[i].data.fd == listener)
				take_socket(epoll_fd, listener);
			else
				answer(events[i].data.fd);
		}
	}
}
