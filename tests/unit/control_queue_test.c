/* control_queue_test.c - messages that a full channel does not take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <sys/socket.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "proto/control_queue.h"

static int
send_one(struct control_queue *queue, int fd, uint32_t verb, uint32_t argument)
{
	const struct channel_message message = { .verb = verb, .argument = argument };
	return control_queue_send(queue, fd, &message, -1);
}

/* Sends until a message is queued. Returns how many were sent before. */
static uint32_t
fill(struct control_queue *queue, int fd)
{
	uint32_t sent = 0;
	while (queue->count == 0)
		assert_int_equal(send_one(queue, fd, CHANNEL_DRAIN_QUEUE, sent++), 0);
	return sent - 1;
}

static void
expect(int fd, uint32_t verb, uint32_t argument)
{
	struct channel_message message;
	int passed;
	assert_int_equal(channel_receive(fd, &message, &passed), 1);
	assert_int_equal(message.verb, verb);
	assert_int_equal(message.argument, argument);
	assert_int_equal(passed, -1);
}

static void
test_keeps_the_order(void **state)
{
	(void)state;
	struct control_queue queue = { .first = NULL };
	int fds[2];
	assert_int_equal(channel_open(fds), 0);
	uint32_t sent = fill(&queue, fds[0]);
	assert_int_equal(send_one(&queue, fds[0], CHANNEL_DRAIN, 1), 0);
	expect(fds[1], CHANNEL_DRAIN_QUEUE, 0);
	/* There is room now, but older messages come first. */
	assert_int_equal(send_one(&queue, fds[0], CHANNEL_EXIT, 2), 0);
	for (uint32_t i = 1; i < sent; i++)
		expect(fds[1], CHANNEL_DRAIN_QUEUE, i);
	control_queue_flush(&queue, fds[0]);
	assert_int_equal(queue.count, 0);
	expect(fds[1], CHANNEL_DRAIN_QUEUE, sent);
	expect(fds[1], CHANNEL_DRAIN, 1);
	expect(fds[1], CHANNEL_EXIT, 2);
	close(fds[0]);
	close(fds[1]);
}

static void
test_keeps_the_newest_message_about_the_log(void **state)
{
	(void)state;
	struct control_queue queue = { .first = NULL };
	int fds[2];
	assert_int_equal(channel_open(fds), 0);
	uint32_t sent = fill(&queue, fds[0]);
	for (uint32_t i = 0; i < 2 * CONTROL_QUEUE_MAX; i++)
		assert_int_equal(send_one(&queue, fds[0], CHANNEL_LOG_LEVEL, i), 0);
	assert_int_equal(queue.count, 2);
	for (uint32_t i = 0; i < sent; i++)
		expect(fds[1], CHANNEL_DRAIN_QUEUE, i);
	control_queue_flush(&queue, fds[0]);
	expect(fds[1], CHANNEL_DRAIN_QUEUE, sent);
	expect(fds[1], CHANNEL_LOG_LEVEL, 2 * CONTROL_QUEUE_MAX - 1);
	close(fds[0]);
	close(fds[1]);
}

/* The caller's descriptor may be closed before the message is sent. */
static void
test_keeps_a_copy_of_the_descriptor(void **state)
{
	(void)state;
	struct control_queue queue = { .first = NULL };
	const struct channel_message message = { .verb = CHANNEL_RECEIVE_CONNECTIONS };
	struct channel_message got;
	int fds[2], pipes[2], passed = -1;
	assert_int_equal(channel_open(fds), 0);
	assert_int_equal(pipe(pipes), 0);
	uint32_t sent = fill(&queue, fds[0]);
	assert_int_equal(control_queue_send(&queue, fds[0], &message, pipes[1]), 0);
	close(pipes[1]);
	for (uint32_t i = 0; i < sent; i++)
		expect(fds[1], CHANNEL_DRAIN_QUEUE, i);
	control_queue_flush(&queue, fds[0]);
	expect(fds[1], CHANNEL_DRAIN_QUEUE, sent);
	assert_int_equal(channel_receive(fds[1], &got, &passed), 1);
	assert_int_equal(write(passed, "x", 1), 1);
	close(passed);
	char byte;
	/* The end of file shows that no copy is left. */
	assert_int_equal(read(pipes[0], &byte, 1), 1);
	assert_int_equal(read(pipes[0], &byte, 1), 0);
	close(pipes[0]);
	close(fds[0]);
	close(fds[1]);
}

static void
test_is_bounded(void **state)
{
	(void)state;
	struct control_queue queue = { .first = NULL };
	int fds[2];
	assert_int_equal(channel_open(fds), 0);
	fill(&queue, fds[0]);
	while (queue.count < CONTROL_QUEUE_MAX)
		assert_int_equal(send_one(&queue, fds[0], CHANNEL_EXIT, 0), 0);
	assert_int_equal(send_one(&queue, fds[0], CHANNEL_EXIT, 0), -1);
	assert_int_equal(errno, ENOBUFS);
	/* The worker exits: the messages have no receiver. */
	close(fds[1]);
	control_queue_flush(&queue, fds[0]);
	assert_int_equal(queue.count, 0);
	assert_int_equal(send_one(&queue, fds[0], CHANNEL_EXIT, 0), -1);
	assert_int_not_equal(errno, ENOBUFS);
	close(fds[0]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keeps_the_order),
		cmocka_unit_test(test_keeps_the_newest_message_about_the_log),
		cmocka_unit_test(test_keeps_a_copy_of_the_descriptor),
		cmocka_unit_test(test_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
