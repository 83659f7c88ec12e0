#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>
#include <errno.h>

#include "tests/lib/worker_fixture.h"

/* Replace recv and send (Makefile, --wrap). */
ssize_t __real_recv(int fd, void *data, size_t length, int flags);
ssize_t __wrap_recv(int fd, void *data, size_t length, int flags);
ssize_t __real_send(int fd, const void *data, size_t length, int flags);
ssize_t __wrap_send(int fd, const void *data, size_t length, int flags);

static int recv_error, send_error; /* of the server's next call; 0: none */
static int server_fd;

ssize_t
__wrap_recv(int fd, void *data, size_t length, int flags)
{
	if (fd != server_fd || recv_error == 0)
		return __real_recv(fd, data, length, flags);
	errno = recv_error;
	return -1;
}

ssize_t
__wrap_send(int fd, const void *data, size_t length, int flags)
{
	if (fd != server_fd || send_error == 0)
		return __real_send(fd, data, length, flags);
	errno = send_error;
	return -1;
}

static void
check(int on_recv, int on_send, enum close_reason reason)
{
	struct worker_fixture w;
	int fds[2];

	worker_fixture_start(&w, "echo", FRAMING_STREAM, 100, 1024);
	open_tcp_pair(fds, 0);
	worker_fixture_serve(&w, fds[1]);
	server_fd = fds[1];
	assert_int_equal(__real_send(fds[0], "hello", 5, 0), 5);
	recv_error = on_recv;
	send_error = on_send;
	assert_true(worker_fixture_run_until(&w, w.worker.connections.count == 0));
	recv_error = send_error = 0;
	assert_int_equal(worker_fixture_closed(&w, reason), 1);
	assert_int_equal(
	    worker_fixture_count(&w, LEDGER_BYTES_DROPPED), on_send != 0 ? 5 : 0);
	assert_true(worker_fixture_is_balanced(&w));
	close(fds[0]);
	worker_fixture_finish(&w);
}

/* When a connection times out the kernel reports the last ICMP error (icmp(7)), such as
 * "connection refused" from a firewall that rejects. */
static void
test_maps_each_socket_error_to_its_close_reason(void **state)
{
	static const struct {
		int error;
		enum close_reason reason;
	} rows[] = {
		{ ECONNRESET, CLOSE_RESET },
		{ EPIPE, CLOSE_RESET },
		{ ETIMEDOUT, CLOSE_UNREACHABLE },
		{ EHOSTUNREACH, CLOSE_UNREACHABLE },
		{ ENETUNREACH, CLOSE_UNREACHABLE },
		{ ECONNREFUSED, CLOSE_UNREACHABLE },
		{ EHOSTDOWN, CLOSE_UNREACHABLE },
		{ ENETDOWN, CLOSE_UNREACHABLE },
		{ ENONET, CLOSE_UNREACHABLE },
		{ ENOPROTOOPT, CLOSE_UNREACHABLE },
		{ ENOMEM, CLOSE_NO_MEMORY },
		{ ENOBUFS, CLOSE_NO_MEMORY },
		{ EIO, CLOSE_SYSTEM_ERROR },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		check(rows[i].error, 0, rows[i].reason);
		check(0, rows[i].error, rows[i].reason);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_maps_each_socket_error_to_its_close_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
