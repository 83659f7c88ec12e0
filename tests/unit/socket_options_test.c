/* socket_options_test.c - the table of socket options, on sockets of this kernel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka needs those above */
#include <sys/socket.h>

#include <cmocka.h>
#include <errno.h>
#include <unistd.h>

#include "net/socket_options.h"

/* Those that need no privilege and no help of the kernel's settings. */
static const struct socket_options some = {
	.dscp = 46,
	.mss = 1200,
	.user_timeout = 1500 * UINT64_C(1000000),
	.keepalive = 60 * SOCKET_OPTION_S,
	.keepalive_interval = 1500 * UINT64_C(1000000),
	.keepalive_count = 4,
	.send_buffer = 65536,
	.pacing_rate = UINT64_C(5) << 32,
	.freebind = true,
};
static const char as_given[] =
    "dscp=46 mss=1200 user_timeout=1500ms keepalive=60s keepalive_interval=2s keepalive_count=4 send_buffer=65536 pacing_rate=21474836480 freebind=1";

static void
test_every_option_is_set_and_read_back(void **state)
{
	char text[SOCKET_OPTIONS_TEXT_MAX];
	const int families[] = { AF_INET, AF_INET6 };
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		enum socket_option failed;
		int fd = socket(families[i], SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd < 0 && errno == EAFNOSUPPORT)
			continue;
		if (socket_options_apply(fd, &some, &failed) < 0)
			fail_msg("%s: %s", socket_option_name(failed), strerror(errno));
		assert_string_equal(socket_options_format(&some, fd, text), as_given);
		close(fd);
	}
}

static void
test_values_are_shown_as_they_were_given(void **state)
{
	const struct socket_options none = { .dscp = 0 };
	char reno[] = "reno";
	const struct socket_options texts = { .congestion = reno, .nagle = true };
	char text[SOCKET_OPTIONS_TEXT_MAX];
	(void)state;
	assert_string_equal(socket_options_format(&some, -1, text), as_given);
	assert_string_equal(
	    socket_options_format(&texts, -1, text), "congestion=reno nagle=1");
	assert_string_equal(socket_options_format(&none, -1, text), "");
	assert_true(socket_options_are_given(&some));
	assert_false(socket_options_are_given(&none));
}

static void
check_refused(
    const struct socket_options *options, const char *target, const char *expected)
{
	struct address address;
	enum socket_option failed;
	char error[160];
	assert_int_equal(address_parse(target, &address, error, sizeof(error)), 0);
	assert_int_equal(
	    socket_options_try(options, &address, &failed, error, sizeof(error)), -1);
	assert_string_equal(error, expected);
}

static void
test_an_option_of_another_kind_of_socket_is_refused(void **state)
{
	const struct socket_options timeout = { .user_timeout = SOCKET_OPTION_S };
	const struct socket_options dscp = { .dscp = 1 };
	const struct socket_options interval = { .keepalive_interval =
						     SOCKET_OPTION_S };
	const struct socket_options probes = { .keepalive_count = 3 };
	char unknown_name[] = "no-such-control";
	const struct socket_options unknown = { .congestion = unknown_name };
	struct address address;
	enum socket_option failed;
	char error[160];
	(void)state;
	check_refused(&timeout, "mptcp:127.0.0.1:1", "MPTCP does not have this option");
	check_refused(&dscp, "unix:@x", "a Unix socket does not have this option");
	check_refused(&interval, "127.0.0.1:1", "it has no effect without keepalive");
	check_refused(&probes, "[::1]:1", "it has no effect without keepalive");
	check_refused(&unknown, "127.0.0.1:1",
	    "the kernel has no such congestion control (see net.ipv4.tcp_available_congestion_control)");
	assert_int_equal(
	    address_parse("127.0.0.1:1", &address, error, sizeof(error)), 0);
	assert_int_equal(
	    socket_options_try(&some, &address, &failed, error, sizeof(error)), 0);
}

/* The text of all options fits. */
static void
test_the_longest_text_is_whole(void **state)
{
	struct socket_options all;
	char name[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	char text[SOCKET_OPTIONS_TEXT_MAX];
	(void)state;
	memset(&all, 0xff, sizeof(all));
	all.device = all.congestion = name;
	all.freebind = all.transparent = all.fast_open = all.nagle = true;
	socket_options_format(&all, -1, text);
	assert_non_null(strstr(text, "dscp=4294967295 "));
	assert_non_null(strstr(text, " nagle=1"));
	assert_true(strlen(text) < sizeof(text) - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_option_is_set_and_read_back),
		cmocka_unit_test(test_values_are_shown_as_they_were_given),
		cmocka_unit_test(test_an_option_of_another_kind_of_socket_is_refused),
		cmocka_unit_test(test_the_longest_text_is_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
