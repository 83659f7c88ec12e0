#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/system/sink.h"

#define LINES_MAX 100000
static const char line[] = "one line of text, which is neither short nor long\n";

/* Writes lines until there is no room; returns their number. */
static int
fill(struct sink *sink)
{
	for (int i = 0; i < LINES_MAX; i++) {
		if (sink_write_line(sink, line, sizeof(line) - 1) < 0) {
			assert_int_equal(errno, EAGAIN);
			return i;
		}
	}
	return -1;
}

/* Reads all, or what is there; each line must be whole. */
static int
drain(int fd)
{
	static char text[sizeof(line) * LINES_MAX];
	size_t length = 0;
	ssize_t n;
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	while ((n = read(fd, text + length, sizeof(text) - length)) > 0)
		length += (size_t)n;
	assert_int_equal(length % (sizeof(line) - 1), 0);
	for (size_t at = 0; at < length; at += sizeof(line) - 1)
		assert_memory_equal(text + at, line, sizeof(line) - 1);
	return (int)(length / (sizeof(line) - 1));
}

static void
check_full(struct sink *sink, int reader, int writer)
{
	int flags = fcntl(writer, F_GETFL);
	int count = fill(sink);
	assert_true(count > 10);
	assert_int_equal(fcntl(writer, F_GETFL), flags);
	assert_int_equal(drain(reader), count);
	assert_int_equal(sink_write_line(sink, line, sizeof(line) - 1), 0);
	assert_int_equal(drain(reader), 1);
}

static void
a_full_pipe_takes_no_line_and_stays_blocking_for_others(void **state)
{
	static const enum sink_kind kinds[] = { SINK_OWN, SINK_PIPE, SINK_POLLED };
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct sink sink;
		int fds[2];
		assert_int_equal(pipe(fds), 0);
		sink_attach(&sink, fds[1]);
		if (kinds[i] != SINK_OWN) { /* as if it could not be opened */
			sink_close(&sink);
			sink = (struct sink){ .fd = fds[1], .kind = kinds[i] };
		}
		assert_int_equal(sink.kind, kinds[i]);
		check_full(&sink, fds[0], fds[1]);
		sink_close(&sink);
		close(fds[0]);
		close(fds[1]);
	}
}

static void
a_full_socket_takes_no_line_and_stays_blocking_for_others(void **state)
{
	(void)state;
	struct sink sink;
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	sink_attach(&sink, fds[1]);
	assert_int_equal(sink.kind, SINK_SOCKET);
	check_full(&sink, fds[0], fds[1]);
	close(fds[0]);
	/* Without a reader: an error, and no signal. */
	assert_int_equal(sink_write_line(&sink, line, sizeof(line) - 1), -1);
	assert_int_equal(errno, EPIPE);
	sink_close(&sink);
	close(fds[1]);
}

static void
a_FIFO_opens_without_a_reader_and_keeps_lines_for_one(void **state)
{
	(void)state;
	char folder[] = "/tmp/sink_test.XXXXXX", path[64];
	struct sink sink;
	assert_non_null(mkdtemp(folder));
	strcpy(path, folder);
	strcat(path, "/fifo");
	assert_int_equal(mkfifo(path, 0600), 0);
	int fd = sink_open(path, O_APPEND, 0640);
	assert_true(fd >= 0);
	sink_own(&sink, fd);
	assert_int_equal(sink_write_line(&sink, line, sizeof(line) - 1), 0);
	int reader = open(path, O_RDONLY | O_NONBLOCK);
	assert_true(reader >= 0);
	assert_int_equal(drain(reader), 1);
	close(reader);
	/* The reader has gone; another may come. */
	assert_true(fill(&sink) > 10);
	sink_close(&sink);
	unlink(path);
	assert_int_equal(sink_open(folder, O_APPEND, 0640), -1);
	assert_int_equal(errno, EISDIR);
	rmdir(folder);
}

static void
a_line_that_was_cut_ends_before_the_next_one(void **state)
{
	(void)state;
	struct sink sink;
	int fds[2];
	char text[64] = "";
	assert_int_equal(pipe(fds), 0);
	sink_attach(&sink, fds[1]);
	assert_int_equal(sink_write(&sink, "cut", 3), 3);
	sink.is_cut = true;
	assert_int_equal(sink_write_line(&sink, "next\n", 5), 0);
	assert_int_equal(read(fds[0], text, sizeof(text) - 1), 9);
	assert_string_equal(text, "cut\nnext\n");
	sink_close(&sink);
	close(fds[0]);
	close(fds[1]);
}

static void
a_line_that_a_file_takes_in_part_fails_with_the_reason(void **state)
{
	(void)state;
	const struct rlimit small = { .rlim_cur = 5, .rlim_max = RLIM_INFINITY };
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	char path[] = "/tmp/sink_test.XXXXXX";
	struct sink sink;
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	sink_attach(&sink, fd);
	assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(sink_write_line(&sink, "a line\n", 7), -1);
	assert_int_equal(errno, EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &all), 0);
	assert_true(sink.is_cut);
	sink_close(&sink);
	close(fd);
	unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_full_pipe_takes_no_line_and_stays_blocking_for_others),
		cmocka_unit_test(
		    a_full_socket_takes_no_line_and_stays_blocking_for_others),
		cmocka_unit_test(a_FIFO_opens_without_a_reader_and_keeps_lines_for_one),
		cmocka_unit_test(a_line_that_was_cut_ends_before_the_next_one),
		cmocka_unit_test(
		    a_line_that_a_file_takes_in_part_fails_with_the_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
