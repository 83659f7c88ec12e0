/*
 * tls_attacker.c - a TLS peer that misbehaves, over loopback.
 *
 *   tls_attacker client PORT ATTACK 1.2|1.3
 *   tls_attacker server CERTIFICATE KEY ATTACK 1.2|1.3    prints its port, then serves
 *
 * Attacks on the handshake:
 *   cut            closes behind each byte that it would send, one connection each: the
 *                  client by itself, the server with the number of the connection
 *   alert          sends a fatal alert in place of each flight, one connection each
 *   bytewise       sends each byte in a segment of its own; does not misbehave
 * otherwise Attacks behind it, after one echoed message: key-updates, empty-records
 * 1,000 of them oversized                     the header of a record that is too long
 *   overlong                      an authentic record with 16,385 bytes
 *   bad-tag, change-cipher-spec, renegotiation, ticket, two-alerts
 *   truncation                    a FIN without close_notify
 *   half-record                   the beginning of a record and a FIN, in one segment
 *   none                          ends with close_notify
 *
 * Prints for each connection how the other side ended it: "alert NAME", "closed" or
 * "reset", behind the number of messages that were echoed.
 */
#include <sys/socket.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "net/tls/tls_handshake.h"
#include "net/tls/tls_record.h"
#include "tests/lib/must.h"

#define FLOOD 1000

struct peer {
	int fd;
	struct tls_session session;
	struct buffer *input; /* not opened yet */
	unsigned echoed;
};

static const char *attack;
static bool is_server;
static struct tls_context *context;
static struct tls_ciphers *ciphers;

static bool
is_attack(const char *name)
{
	return strcmp(attack, name) == 0;
}

/* False when the other side does not take it any more. */
static bool
send_all(int fd, const void *data, size_t length, size_t part)
{
	const uint8_t *at = data;
	while (length > 0) {
		ssize_t n = send(fd, at, length < part ? length : part, MSG_NOSIGNAL);
		if (n <= 0)
			return false;
		at += n;
		length -= (size_t)n;
	}
	return true;
}

static int
open_socket(int port)
{
	struct sockaddr_in name = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(name);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	must(fd >= 0);
	if (port > 0) {
		must(connect(fd, (struct sockaddr *)&name, length) == 0);
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		return fd;
	}
	must(bind(fd, (struct sockaddr *)&name, length) == 0 && listen(fd, 1000) == 0);
	must(getsockname(fd, (struct sockaddr *)&name, &length) == 0);
	printf("%d\n", ntohs(name.sin_port));
	fflush(stdout);
	return fd;
}

/* Appends what comes; 0 at the end, or -1 for a reset. */
static ssize_t
receive(struct peer *peer)
{
	uint8_t data[16384];
	ssize_t n = recv(peer->fd, data, sizeof(data), 0);
	if (n > 0)
		must(buffer_append(&peer->input, data, (size_t)n) == 0);
	return n;
}

/* Shakes hands. At most `limit` bytes are sent; an alert replaces flight `alert_at`.
 * False if that ended it; *ret_sent are the bytes that were sent. */
static bool
shake_hands(struct peer *peer, size_t limit, unsigned alert_at, size_t *ret_sent)
{
	static const uint8_t alert[] = { 21, 3, 3, 0, 2, 2, 40 };
	const struct tls_client_options options = { .name = "localhost" };
	struct tls_handshake *handshake = is_server
	    ? tls_handshake_create_server(context)
	    : tls_handshake_create_client(context, &options);
	enum tls_handshake_status status = TLS_HANDSHAKE_WANT_MORE;
	size_t part = is_attack("bytewise") ? 1 : SIZE_MAX, consumed;
	unsigned flights = 0;
	bool goes_on = true;
	must(handshake != NULL);
	*ret_sent = 0;
	while (goes_on && status == TLS_HANDSHAKE_WANT_MORE) {
		struct buffer *output = NULL;
		if ((is_server || flights > 0) && buffer_length(peer->input) == 0 &&
		    receive(peer) <= 0)
			break;
		size_t n = buffer_length(peer->input);
		status = tls_handshake_step(handshake,
		    n == 0 ? NULL : peer->input->data + peer->input->start, n, &output,
		    &consumed);
		if (consumed > 0)
			buffer_consume(&peer->input, consumed);
		size_t length = buffer_length(output);
		if (length > 0 && flights++ == alert_at) {
			send_all(peer->fd, alert, sizeof(alert), SIZE_MAX);
			goes_on = false;
		} else if (length > 0) {
			if (*ret_sent + length >= limit) {
				length = limit - *ret_sent;
				goes_on = false;
			}
			*ret_sent += length;
			goes_on &= send_all(
			    peer->fd, output->data + output->start, length, part);
		}
		buffer_release(&output);
	}
	goes_on &= status == TLS_HANDSHAKE_DONE;
	if (goes_on)
		must(tls_handshake_take(handshake, &peer->session) == 0);
	tls_handshake_destroy(handshake);
	return goes_on;
}

static bool
seal_and_send(struct peer *peer, enum tls_content type, const void *data, size_t length)
{
	static uint8_t out[TLS_RECORD_MAX + 64];
	size_t n = tls_ciphers_seal(ciphers, &peer->session, type, data, length, out);
	must(n > 0);
	if (is_attack("bad-tag") && peer->echoed > 0)
		out[n - 1] ^= 1;
	return send_all(peer->fd, out, n, SIZE_MAX);
}

/* Opens what comes until there is data, or the end. */
static enum tls_open_status
await(struct peer *peer, struct tls_opened *opened, const char **ret_end)
{
	while (true) {
		size_t n = buffer_length(peer->input);
		enum tls_open_status status = TLS_OPEN_PARTIAL;
		if (n > 0)
			status = tls_record_open(&peer->session, ciphers,
			    peer->input->data + peer->input->start, n, NULL, opened);
		if (status == TLS_OPEN_ALERT || status == TLS_OPEN_CLOSED ||
		    status == TLS_OPEN_BAD) {
			*ret_end = NULL;
			return status;
		}
		if (status == TLS_OPEN_DATA)
			return status;
		if (status == TLS_OPEN_CONTROL) {
			buffer_consume(&peer->input, opened->record);
			continue;
		}
		ssize_t got = receive(peer);
		if (got <= 0) {
			*ret_end = got == 0 ? "closed" : "reset";
			return TLS_OPEN_PARTIAL;
		}
	}
}

/* One message there and back: a client begins. */
static bool
echo(struct peer *peer)
{
	struct tls_opened opened;
	const char *end;
	if (!is_server && !seal_and_send(peer, TLS_APPLICATION_DATA, "hello\n", 6))
		return false;
	if (await(peer, &opened, &end) != TLS_OPEN_DATA)
		return false;
	bool is_sent = !is_server ||
	    seal_and_send(peer, TLS_APPLICATION_DATA, opened.data, opened.length);
	buffer_consume(&peer->input, opened.record);
	peer->echoed++;
	return is_sent;
}

static void
misbehave(struct peer *peer)
{
	static const uint8_t update[] = { 24, 0, 0, 1, 1 }, hello[] = { 1, 0, 0, 1, 0 };
	static const uint8_t request[] = { 0, 0, 0, 0 }, ticket[] = { 4, 0, 0, 1, 0 };
	static const uint8_t oversized[] = { 23, 3, 3, 0xff, 0xff };
	static const uint8_t half[] = { 23, 3, 3, 0, 100, 1, 2, 3 };
	static const uint8_t alerts[] = { 1, 0, 1, 0 }, change[] = { 1 };
	static const uint8_t data[TLS_RECORD_DATA_MAX + 1];
	for (int i = 0; i < FLOOD; i++) {
		if (is_attack("empty-records")) {
			if (!seal_and_send(peer, TLS_APPLICATION_DATA, "", 0))
				return;
		} else if (is_attack("key-updates")) {
			if (!seal_and_send(peer, TLS_HANDSHAKE, update, sizeof(update)))
				return;
			must(tls_session_update(&peer->session, &peer->session.send) ==
			    0);
		}
	}
	if (is_attack("oversized"))
		send_all(peer->fd, oversized, sizeof(oversized), SIZE_MAX);
	else if (is_attack("overlong"))
		seal_and_send(peer, TLS_APPLICATION_DATA, data, sizeof(data));
	else if (is_attack("bad-tag"))
		seal_and_send(peer, TLS_APPLICATION_DATA, "hello\n", 6);
	else if (is_attack("change-cipher-spec"))
		seal_and_send(peer, TLS_CHANGE_CIPHER_SPEC, change, sizeof(change));
	else if (is_attack("renegotiation"))
		seal_and_send(peer, TLS_HANDSHAKE, is_server ? request : hello,
		    is_server ? sizeof(request) : sizeof(hello));
	else if (is_attack("ticket"))
		seal_and_send(peer, TLS_HANDSHAKE, ticket, sizeof(ticket));
	else if (is_attack("two-alerts"))
		seal_and_send(peer, TLS_ALERT, alerts, sizeof(alerts));
	else if (is_attack("half-record")) {
		usleep(50 * 1000); /* the echo has been read */
		send(peer->fd, half, sizeof(half), MSG_MORE | MSG_NOSIGNAL);
	}
	if (is_attack("half-record") || is_attack("truncation"))
		shutdown(peer->fd, SHUT_WR);
	else if (is_attack("none") || is_attack("bytewise") || is_attack("cut") ||
	    is_attack("alert"))
		seal_and_send(peer, TLS_ALERT, alerts, 2); /* close_notify */
}

static void
report(struct peer *peer)
{
	struct tls_opened opened;
	const char *end = NULL;
	enum tls_open_status status;
	/* More data may be on its way. */
	while ((status = await(peer, &opened, &end)) == TLS_OPEN_DATA)
		buffer_consume(&peer->input, opened.record);
	if (status == TLS_OPEN_CLOSED)
		end = "alert close_notify";
	else if (status == TLS_OPEN_BAD)
		end = opened.reason;
	if (end != NULL)
		printf("%u %s\n", peer->echoed, end);
	else
		printf("%u alert %s\n", peer->echoed, tls_alert_name(opened.alert));
	fflush(stdout);
}

/* One connection. False when the whole handshake was allowed. */
static bool
meet(int fd, size_t limit, unsigned alert_at)
{
	struct peer peer = { .fd = fd };
	size_t sent;
	bool is_up = shake_hands(&peer, limit, alert_at, &sent);
	if (is_up && (!is_server || !is_attack("cut"))) {
		if (echo(&peer))
			misbehave(&peer);
		report(&peer);
	} else if (!is_attack("cut")) {
		/* An orderly end, so that the alert is not lost by a reset. */
		shutdown(fd, SHUT_WR);
		while (receive(&peer) > 0)
			;
	}
	buffer_release(&peer.input);
	close(fd);
	return !is_up;
}

static void
run_client(int port)
{
	unsigned connections = 0;
	if (is_attack("cut")) {
		while (meet(open_socket(port), connections, UINT32_MAX))
			connections++;
	} else if (is_attack("alert")) {
		while (meet(open_socket(port), SIZE_MAX, connections))
			connections++;
	} else {
		meet(open_socket(port), SIZE_MAX, UINT32_MAX);
	}
	printf("%u connections were cut\n", connections);
}

__attribute__((noreturn)) static void
run_server(void)
{
	int listener = open_socket(0);
	for (unsigned i = 0;; i++) {
		int fd = accept(listener, NULL, NULL), on = 1;
		must(fd >= 0);
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		if (fork() == 0) {
			meet(fd, is_attack("cut") ? i : SIZE_MAX,
			    is_attack("alert") ? i % 2 : UINT32_MAX);
			_exit(0);
		}
		close(fd);
	}
}

int
main(int argc, char **argv)
{
	char error[TLS_ERROR_MAX];
	must(argc == 5 || argc == 6);
	is_server = strcmp(argv[1], "server") == 0;
	attack = argv[argc - 2];
	uint16_t version =
	    strcmp(argv[argc - 1], "1.2") == 0 ? TLS_VERSION_1_2 : TLS_VERSION_1_3;
	struct tls_settings settings = { .min_version = version,
		.max_version = version,
		.has_tickets = true,
		.certificate = is_server ? argv[2] : NULL,
		.key = is_server ? argv[3] : NULL };
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN); /* no child is awaited */
	context = is_server ? tls_context_create_server(&settings, error)
			    : tls_context_create_client(&settings, error);
	ciphers = tls_ciphers_create();
	must(context != NULL && ciphers != NULL);
	if (is_server)
		run_server();
	run_client(atoi(argv[2]));
	return 0;
}
