/* The socket through which a group of MPTCP sockets gets its program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <sys/socket.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include <netinet/in.h>

#include "net/listen.h"
#include "tests/lib/must.h"

/* A free port of the loopback address. */
static struct address
free_address(void)
{
	struct address address;
	char error[256];
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(fd >= 0);
	must(address_parse("127.0.0.1:0", &address, error, sizeof(error)) == 0);
	must(bind(fd, (struct sockaddr *)&address.storage, address.length) == 0);
	must(
	    getsockname(fd, (struct sockaddr *)&address.storage, &address.length) == 0);
	close(fd);
	return address;
}

static bool
can_block(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool is_possible = fd >= 0 && listen_block_new(fd) == 0;
	close(fd);
	return is_possible;
}

static void
test_no_connection_reaches_its_queue_to_be_reset(void **state)
{
	struct address address = free_address();
	(void)state;
	if (!can_block())
		skip();
	int member = listen_open_member(&address);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	must(member >= 0 && client >= 0);
	assert_int_equal(
	    connect(client, (struct sockaddr *)&address.storage, address.length), -1);
	assert_int_equal(errno, EINPROGRESS);
	/* Over the loopback interface an answer would already be there. */
	struct pollfd entry = { .fd = client, .events = POLLOUT };
	assert_int_equal(poll(&entry, 1, 100), 0);
	close(member);
	close(client);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_connection_reaches_its_queue_to_be_reset),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
