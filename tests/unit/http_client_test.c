#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <sys/socket.h>

#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "http/http_client.h"

#define REQUEST "GET / HTTP/1.0\r\n\r\n"
#define LONG_S 60

/* A peer that always has one more byte. */
static bool drips;

ssize_t __real_recv(int fd, void *data, size_t size, int flags);
ssize_t __wrap_recv(int fd, void *data, size_t size, int flags);
ssize_t __wrap___recv_chk(int fd, void *data, size_t size, size_t room, int flags);

ssize_t
__wrap_recv(int fd, void *data, size_t size, int flags)
{
	if (!drips)
		return __real_recv(fd, data, size, flags);
	memset(data, 'x', 1);
	return 1;
}

/* recv as called under _FORTIFY_SOURCE. */
ssize_t
__wrap___recv_chk(int fd, void *data, size_t size, size_t room, int flags)
{
	assert_true(size <= room);
	return __wrap_recv(fd, data, size, flags);
}

struct fixture {
	int mine, theirs;
};

static int
open_pair(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int fds[2];

	if (f == NULL || socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
		return -1;
	*f = (struct fixture){ .mine = fds[0], .theirs = fds[1] };
	*state = f;
	return 0;
}

static int
close_pair(void **state)
{
	struct fixture *f = *state;

	close(f->mine);
	if (f->theirs >= 0)
		close(f->theirs);
	free(f);
	return 0;
}

/* A response that arrives before the request is sent. */
static int
ask(struct fixture *f, const char *answer, double patience_s,
    struct http_client_response *ret)
{
	assert_int_equal(
	    write(f->theirs, answer, strlen(answer)), (ssize_t)strlen(answer));
	shutdown(f->theirs, SHUT_WR);
	return http_client_exchange(f->mine, REQUEST,
	    clock_now_ns() + (uint64_t)(int64_t)(patience_s * 1e9), ret);
}

static void
test_an_answer_has_a_status_and_a_body(void **state)
{
	struct http_client_response answer;

	assert_int_equal(ask(*state, "HTTP/1.1 409 No\r\ncontent-length: 3\r\n\r\nbad",
			     LONG_S, &answer),
	    0);
	assert_int_equal(answer.status, 409);
	assert_string_equal(answer.body, "bad");
	free(answer.body);
}

static void
test_rejects_a_truncated_response(void **state)
{
	struct http_client_response answer;

	assert_int_equal(ask(*state, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbad",
			     LONG_S, &answer),
	    -1);
	assert_int_equal(errno, EPROTO);
}

static void
test_rejects_a_response_whose_end_or_status_is_unclear(void **state)
{
	static const char *const answers[] = {
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nbad\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: x\r\n\r\nbad",
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nbad",
		"HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nbad",
		"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nbad",
		"HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\nbad",
		"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551619\r\n\r\nbad",
		"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
		"HTTP/1.1 -20 OK\r\n\r\nbad",
		"HTTP/1.1 +20 OK\r\n\r\nbad",
		"HTTP/1.1  20 OK\r\n\r\nbad",
		"HTTP/1.1 20 OK\r\n\r\nbad",
		"HTTP/1.1 2000 OK\r\n\r\nbad",
		"HTTP/1.1 000 OK\r\n\r\nbad",
		"HTTP/1.2 200 OK\r\n\r\nbad",
		"HTTP/1.1\r\n\r\n",
		"HTTP/1.",
	};
	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct http_client_response answer;
		void *pair;
		open_pair(&pair);
		assert_int_equal(ask(pair, answers[i], LONG_S, &answer), -1);
		assert_int_equal(errno, EPROTO);
		close_pair(&pair);
	}
}

static void
test_reads_data_that_arrived_before_the_deadline(void **state)
{
	struct http_client_response answer;

	assert_int_equal(ask(*state, "HTTP/1.1 200 OK\r\n\r\nlate", -1, &answer), 0);
	assert_string_equal(answer.body, "late");
	free(answer.body);
}

static void
test_trickled_bytes_do_not_extend_the_deadline(void **state)
{
	struct fixture *f = *state;
	struct http_client_response answer;

	drips = true;
	int rc = http_client_exchange(
	    f->mine, REQUEST, clock_now_ns() + 50 * NS_PER_MS, &answer);
	int error = errno;
	drips = false;
	assert_int_equal(rc, -1);
	assert_int_equal(error, ETIMEDOUT);
}

static void
test_a_server_is_a_socket_path_a_url_or_a_host_with_a_port(void **state)
{
	(void)state;
	assert_true(http_client_accepts("unix:/run/yodel/control.sock"));
	assert_true(http_client_accepts("127.0.0.1:80"));
	assert_true(http_client_accepts("[::1]:80"));
	assert_true(http_client_accepts("http://host:80/stats"));
	assert_false(http_client_accepts("unix:"));
	assert_false(http_client_accepts("https://host:80"));
	assert_false(http_client_accepts("host"));
	assert_false(http_client_accepts("host/a:80"));
}

static void
test_nothing_was_sent_when_the_connection_failed(void **state)
{
	struct http_client_request request = { .server = "unix:/none/socket",
		.method = "GET",
		.target = "/",
		.timeout_ns = NS_PER_S };
	struct http_client_response answer;
	char error[128], path[300] = "unix:/";

	(void)state;
	assert_int_equal(http_client_send(&request, &answer, error, sizeof(error)),
	    HTTP_CLIENT_NOT_CONNECTED);
	assert_int_equal(errno, ENOENT);
	assert_string_equal(error, "cannot connect: No such file or directory");
	memset(path + 6, 'x', 200);
	request.server = path;
	assert_int_equal(http_client_send(&request, &answer, error, sizeof(error)),
	    HTTP_CLIENT_NOT_CONNECTED);
	assert_int_equal(errno, ENAMETOOLONG);
}

#define HTTP_TEST(name) cmocka_unit_test_setup_teardown(name, open_pair, close_pair)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		HTTP_TEST(test_an_answer_has_a_status_and_a_body),
		HTTP_TEST(test_rejects_a_truncated_response),
		cmocka_unit_test(
		    test_rejects_a_response_whose_end_or_status_is_unclear),
		HTTP_TEST(test_reads_data_that_arrived_before_the_deadline),
		HTTP_TEST(test_trickled_bytes_do_not_extend_the_deadline),
		cmocka_unit_test(
		    test_a_server_is_a_socket_path_a_url_or_a_host_with_a_port),
		cmocka_unit_test(test_nothing_was_sent_when_the_connection_failed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
