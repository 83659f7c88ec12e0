/*
 * A live connection goes on in one process after the other, each a fresh program
 * without any state of OpenSSL; the peer, an OpenSSL client, notices nothing.
 */
#include <sys/socket.h>
#include <sys/wait.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* cmocka needs those above */
#include <cmocka.h>

#include "tests/lib/tls_openssl.h"

#define PROCESSES 31
#define WIRE_MAX (TLS_SEALED_MAX(4 * TLS_RECORD_DATA_MAX))

/* What goes to the next process, and comes back. */
struct parcel {
	struct tls_session session;
	uint32_t length;
	bool asks_for_update;
	uint8_t wire[WIRE_MAX];
};

static void
read_all(int fd, void *to, size_t length)
{
	for (size_t got = 0; got < length;) {
		ssize_t n = read(fd, (uint8_t *)to + got, length - got);
		must(n > 0);
		got += (size_t)n;
	}
}

static void
write_all(int fd, const void *from, size_t length)
{
	for (size_t sent = 0; sent < length;) {
		ssize_t n = write(fd, (const uint8_t *)from + sent, length - sent);
		must(n > 0);
		sent += (size_t)n;
	}
}

/* The program in the other process: answers each record with the same data. */
static int
echo(void)
{
	static struct parcel in, out;
	struct tls_ciphers *ciphers = tls_ciphers_create();
	struct tls_opened opened;
	read_all(STDIN_FILENO, &in, sizeof(in));
	must(ciphers != NULL && tls_session_is_valid(&in.session));
	out.session = in.session;
	if (in.asks_for_update)
		tls_record_request_update(&out.session, true);
	for (size_t at = 0; at < in.length; at += opened.record) {
		enum tls_open_status status = tls_record_open(
		    &out.session, ciphers, in.wire + at, in.length - at, NULL, &opened);
		must(status == TLS_OPEN_DATA || status == TLS_OPEN_CONTROL);
		if (status == TLS_OPEN_CONTROL)
			continue;
		size_t n = tls_record_seal(&out.session, ciphers, opened.data,
		    opened.length, out.wire + out.length);
		must(n > 0);
		out.length += (uint32_t)n;
	}
	write_all(STDOUT_FILENO, &out, sizeof(out));
	tls_ciphers_destroy(ciphers);
	return 0;
}

/* Runs it once. */
static void
go_on_elsewhere(struct parcel *parcel)
{
	int ends[2], status;
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	fflush(NULL);
	pid_t pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		must(dup2(ends[1], STDIN_FILENO) >= 0);
		must(dup2(ends[1], STDOUT_FILENO) >= 0);
		close(ends[0]);
		close(ends[1]);
		execl("/proc/self/exe", "tls_move_test", "--echo", (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	write_all(ends[0], parcel, sizeof(*parcel));
	read_all(ends[0], parcel, sizeof(*parcel));
	close(ends[0]);
	must(waitpid(pid, &status, 0) == pid && status == 0);
}

static void
move(const char *suite, int processes)
{
	static struct parcel parcel;
	static uint8_t data[3 * TLS_RECORD_DATA_MAX], plain[sizeof(data)];
	char error[TLS_ERROR_MAX];
	struct tls_openssl peer;
	struct tls_settings settings = { .certificate = tls_path("server.pem"),
		.key = tls_path("server.key"),
		.has_tickets = true };
	bool is_1_3 = strncmp(suite, "TLS_", 4) == 0;
	struct tls_context *context = tls_context_create_server(&settings, error);
	must(context != NULL);
	struct tls_handshake *ours = tls_handshake_create_server(context);
	must(ours != NULL);
	tls_openssl_start(&peer, false, suite, NULL);
	tls_openssl_open(&peer, false);
	tls_openssl_shake(&peer, ours, SIZE_MAX);
	assert_int_equal(tls_handshake_take(ours, &parcel.session), 0);
	tls_handshake_destroy(ours);
	for (int round = 0; round < processes; round++) {
		size_t length = 1 + (size_t)round * 1543 % sizeof(data);
		uint8_t *wire;
		memset(data, round, length);
		if (is_1_3 && round % 4 == 1)
			SSL_key_update(peer.ssl,
			    round % 8 == 1 ? SSL_KEY_UPDATE_REQUESTED
					   : SSL_KEY_UPDATE_NOT_REQUESTED);
		assert_int_equal(SSL_write(peer.ssl, data, (int)length), length);
		parcel.asks_for_update = round % 3 == 2;
		parcel.length = (uint32_t)tls_openssl_output(&peer, &wire);
		assert_true(parcel.length <= WIRE_MAX);
		memcpy(parcel.wire, wire, parcel.length);
		tls_openssl_taken(&peer, parcel.length);
		go_on_elsewhere(&parcel);
		tls_openssl_give(&peer, parcel.wire, parcel.length);
		for (size_t got = 0; got < length;) {
			int n = SSL_read(peer.ssl, plain + got, (int)(length - got));
			assert_true(n > 0);
			got += (size_t)n;
		}
		assert_memory_equal(plain, data, length);
	}
	tls_context_release(context);
	tls_openssl_finish(&peer);
}

static void
test_the_peer_does_not_notice_that_31_processes_take_turns(void **state)
{
	(void)state;
	move("TLS_AES_256_GCM_SHA384", PROCESSES);
	move("TLS_CHACHA20_POLY1305_SHA256", 9);
	move("TLS_AES_128_GCM_SHA256", 9);
	move("ECDHE-ECDSA-AES128-GCM-SHA256", 9);
	move("ECDHE-ECDSA-CHACHA20-POLY1305", 5);
}

static int
setup(void **state)
{
	(void)state;
	tls_fixture_start();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	tls_fixture_finish();
	return 0;
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_the_peer_does_not_notice_that_31_processes_take_turns),
	};
	if (argc > 1 && strcmp(argv[1], "--echo") == 0)
		return echo();
	return cmocka_run_group_tests(tests, setup, teardown);
}
