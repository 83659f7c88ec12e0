#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <sys/socket.h>

#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "proto/channel.h"

static const struct channel_message leave = {
	.verb = CHANNEL_DRAIN,
	.argument = CHANNEL_ALL,
	.value = UINT64_C(30000000000),
};

static void
open_pair(int fds[2])
{
	assert_int_equal(channel_open(fds), 0);
	for (int i = 0; i < 2; i++) {
		assert_true(fcntl(fds[i], F_GETFL) & O_NONBLOCK);
		assert_true(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
	}
}

static void
close_pair(const int fds[2])
{
	close(fds[0]);
	close(fds[1]);
}

static void
test_a_message_arrives_as_it_was_sent(void **state)
{
	struct channel_message got;
	int fds[2], fd = 77;

	(void)state;
	open_pair(fds);
	assert_int_equal(channel_send(fds[0], &leave, -1), 0);
	assert_int_equal(channel_receive(fds[1], &got, &fd), 1);
	assert_int_equal(got.verb, CHANNEL_DRAIN);
	assert_int_equal(got.argument, CHANNEL_ALL);
	assert_int_equal(got.value, leave.value);
	assert_int_equal(fd, -1);
	assert_int_equal(channel_receive(fds[1], &got, &fd), -1);
	assert_int_equal(errno, EAGAIN);
	close_pair(fds);
}

/* ECONNRESET for the unread message comes before the queued message. */
static void
test_receives_all_messages_sent_before_the_close(void **state)
{
	struct channel_message got;
	int fds[2], fd;

	(void)state;
	open_pair(fds);
	assert_int_equal(channel_send(fds[0], &leave, -1), 0);
	assert_int_equal(channel_send(fds[1], &leave, -1), 0);
	close(fds[1]);
	assert_int_equal(channel_receive(fds[0], &got, &fd), 1);
	assert_int_equal(got.verb, CHANNEL_DRAIN);
	assert_int_equal(channel_receive(fds[0], &got, &fd), 0);
	close(fds[0]);
}

static void
test_a_descriptor_is_duplicated_and_stays_open_in_the_sender(void **state)
{
	struct channel_message got;
	int fds[2], pipes[2], fd = -1;
	char byte = 0;

	(void)state;
	open_pair(fds);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_int_equal(channel_send(fds[0], &leave, pipes[1]), 0);
	assert_int_equal(channel_receive(fds[1], &got, &fd), 1);
	assert_true(fd >= 0 && fd != pipes[1]);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(fd, "x", 1), 1);
	assert_int_equal(read(pipes[0], &byte, 1), 1);
	assert_int_equal(byte, 'x');
	assert_int_equal(write(pipes[1], "y", 1), 1);
	close(fd);
	close_pair(pipes);
	close_pair(fds);
}

static void
test_reports_eof_after_the_last_message(void **state)
{
	struct channel_message got;
	int fds[2], fd;

	(void)state;
	open_pair(fds);
	assert_int_equal(channel_send(fds[0], &leave, -1), 0);
	close(fds[0]);
	assert_int_equal(channel_receive(fds[1], &got, &fd), 1);
	assert_int_equal(channel_receive(fds[1], &got, &fd), 0);
	assert_int_equal(channel_send(fds[1], &leave, -1), -1);
	assert_int_equal(errno, EPIPE);
	close(fds[1]);
}

static void
test_treats_a_close_with_unread_messages_as_eof(void **state)
{
	struct channel_message got;
	int fds[2], fd;

	(void)state;
	open_pair(fds);
	assert_int_equal(channel_send(fds[1], &leave, -1), 0);
	close(fds[0]);
	assert_int_equal(channel_receive(fds[1], &got, &fd), 0);
	close(fds[1]);
}

static void
test_sending_to_a_peer_that_never_reads_fails_with_EAGAIN(void **state)
{
	struct channel_message got;
	int fds[2], fd, sent = 0;

	(void)state;
	open_pair(fds);
	while (channel_send(fds[0], &leave, -1) == 0)
		sent++;
	assert_int_equal(errno, EAGAIN);
	assert_true(sent >= 3);
	for (int i = 0; i < sent; i++)
		assert_int_equal(channel_receive(fds[1], &got, &fd), 1);
	assert_int_equal(channel_send(fds[0], &leave, -1), 0);
	close_pair(fds);
}

static void
send_with_descriptor(int channel_fd, const void *data, size_t length, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec part = { .iov_base = (void *)data, .iov_len = length };
	struct msghdr header = { .msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&header);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	assert_int_equal(sendmsg(channel_fd, &header, 0), (ssize_t)length);
}

/* A packet of `length` bytes is rejected, and the pipe passed with it is closed. */
static void
check_refused(size_t length)
{
	char data[64] = "";
	struct channel_message got;
	int fds[2], pipes[2], fd = 77;

	open_pair(fds);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	send_with_descriptor(fds[0], data, length, pipes[1]);
	close(pipes[1]);
	assert_int_equal(channel_receive(fds[1], &got, &fd), -1);
	assert_int_equal(errno, EPROTO);
	assert_int_equal(fd, 77);
	assert_int_equal(read(pipes[0], data, 1), 0);
	close(pipes[0]);
	close_pair(fds);
}

static void
test_rejects_packets_of_the_wrong_length(void **state)
{
	(void)state;
	check_refused(0);
	check_refused(sizeof(struct channel_message) - 1);
	check_refused(sizeof(struct channel_message) + 1);
}

static void
test_accepts_one_descriptor_per_message(void **state)
{
	enum { SENT = 2 };
	union {
		char bytes[CMSG_SPACE(SENT * sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec part = { .iov_base = (void *)(uintptr_t)&leave,
		.iov_len = sizeof(leave) };
	struct msghdr header = { .msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&header);
	struct channel_message got;
	int fds[2], pipes[2], fd = -1;
	char byte;

	(void)state;
	open_pair(fds);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(SENT * sizeof(int));
	memcpy(CMSG_DATA(c), (int[SENT]){ pipes[1], pipes[1] }, SENT * sizeof(int));
	assert_int_equal(sendmsg(fds[0], &header, 0), (ssize_t)sizeof(leave));
	close(pipes[1]);
	assert_int_equal(channel_receive(fds[1], &got, &fd), 1);
	assert_true(fd >= 0);
	close(fd);
	/* The last write end is closed. */
	assert_int_equal(read(pipes[0], &byte, 1), 0);
	close(pipes[0]);
	close_pair(fds);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_message_arrives_as_it_was_sent),
		cmocka_unit_test(test_receives_all_messages_sent_before_the_close),
		cmocka_unit_test(
		    test_a_descriptor_is_duplicated_and_stays_open_in_the_sender),
		cmocka_unit_test(test_reports_eof_after_the_last_message),
		cmocka_unit_test(test_treats_a_close_with_unread_messages_as_eof),
		cmocka_unit_test(
		    test_sending_to_a_peer_that_never_reads_fails_with_EAGAIN),
		cmocka_unit_test(test_rejects_packets_of_the_wrong_length),
		cmocka_unit_test(test_accepts_one_descriptor_per_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
