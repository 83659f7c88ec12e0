#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* cmocka needs some of those above */
#include <cmocka.h>

#include "net/transport.h"

static int fds[2];
static struct stream a, b;

static int
set_up(void **state)
{
	(void)state;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0)
		return -1;
	a = (struct stream){ .fd = fds[0], .transport = &transport_tcp };
	b = (struct stream){ .fd = fds[1], .transport = &transport_tcp };
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	close(fds[0]);
	close(fds[1]);
	return 0;
}

static void
bytes_sent_on_one_end_arrive_at_the_other(void **state)
{
	char bytes[8];

	(void)state;
	assert_int_equal(transport_send(&a, "hello", 5), 5);
	assert_int_equal(transport_receive(&b, bytes, sizeof(bytes)), 5);
	assert_memory_equal(bytes, "hello", 5);
	assert_int_equal(transport_receive(&b, bytes, sizeof(bytes)), -1);
	assert_int_equal(errno, EAGAIN);
}

/* As a compromised worker may hand one over. SIGALRM ends a test that waits. */
static void
a_socket_in_blocking_mode_is_never_waited_for(void **state)
{
	static const char zeros[65536];
	char bytes[8];
	ssize_t n;

	(void)state;
	assert_int_equal(fcntl(fds[0], F_SETFL, 0), 0);
	alarm(30);
	assert_int_equal(transport_receive(&a, bytes, sizeof(bytes)), -1);
	assert_int_equal(errno, EAGAIN);
	do
		n = transport_send(&a, zeros, sizeof(zeros));
	while (n > 0);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(transport_tcp.receive(&a, bytes, sizeof(bytes)), -1);
	assert_int_equal(transport_tcp.send(&a, zeros, sizeof(zeros)), -1);
	alarm(0);
}

static void
finish_closes_one_direction_only(void **state)
{
	char bytes[8];

	(void)state;
	assert_int_equal(transport_send(&a, "last", 4), 4);
	assert_int_equal(transport_finish(&a), 0);
	assert_int_equal(transport_receive(&b, bytes, sizeof(bytes)), 4);
	assert_int_equal(transport_receive(&b, bytes, sizeof(bytes)), 0);
	assert_int_equal(transport_send(&b, "reply", 5), 5);
	assert_int_equal(transport_receive(&a, bytes, sizeof(bytes)), 5);
}

static void
sending_after_the_end_raises_no_signal(void **state)
{
	(void)state;
	assert_int_equal(transport_finish(&a), 0);
	assert_int_equal(transport_send(&a, "x", 1), -1);
	assert_int_equal(errno, EPIPE);
}

static void
tcp_function_pointers_equal_the_direct_calls(void **state)
{
	char bytes[8];

	(void)state;
	assert_string_equal(transport_tcp.name, "tcp");
	assert_int_equal(transport_tcp.send(&a, "hello", 5), 5);
	assert_int_equal(transport_tcp.receive(&b, bytes, sizeof(bytes)), 5);
	assert_int_equal(transport_tcp.finish(&a), 0);
	assert_int_equal(transport_tcp.send(&a, "x", 1), -1);
	assert_int_equal(errno, EPIPE);
}

static ssize_t
receive_one(const struct stream *stream, void *data, size_t size)
{
	(void)stream;
	memset(data, '1', size);
	return 1;
}

static ssize_t
send_two(const struct stream *stream, const void *data, size_t length)
{
	(void)stream;
	(void)data;
	return length < 2 ? (ssize_t)length : 2;
}

static void
another_transport_is_called_through_its_function_pointers(void **state)
{
	static const struct transport other = {
		.name = "other",
		.receive = receive_one,
		.send = send_two,
	};
	struct stream stream = { .fd = -1, .transport = &other };
	char byte = 0;

	(void)state;
	assert_int_equal(transport_receive(&stream, &byte, 1), 1);
	assert_int_equal(byte, '1');
	assert_int_equal(transport_send(&stream, "hello", 5), 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    bytes_sent_on_one_end_arrive_at_the_other, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    a_socket_in_blocking_mode_is_never_waited_for, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    finish_closes_one_direction_only, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    sending_after_the_end_raises_no_signal, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    tcp_function_pointers_equal_the_direct_calls, set_up, tear_down),
		cmocka_unit_test(
		    another_transport_is_called_through_its_function_pointers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
