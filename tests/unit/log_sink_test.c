#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/log_ratelimit.h"
#include "tests/lib/log_lines.h"

#define TEXT_BYTES 65536

/* The log and standard error are two files. */
struct fixture {
	char folder[32];
	char log[64];
	char console[64];
	char socket[64];
	int stderr_fd; /* the real one */
	char text[TEXT_BYTES];
};

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->folder, "/tmp/log_sink.XXXXXX");
	if (mkdtemp(f->folder) == NULL)
		return -1;
	snprintf(f->log, sizeof(f->log), "%s/log", f->folder);
	snprintf(f->console, sizeof(f->console), "%s/console", f->folder);
	snprintf(f->socket, sizeof(f->socket), "%s/socket", f->folder);
	f->stderr_fd = dup(STDERR_FILENO);
	int fd = open(f->console, O_RDWR | O_CREAT | O_APPEND, 0600);
	if (fd < 0 || dup2(fd, STDERR_FILENO) < 0)
		return -1;
	close(fd);
	log_set_name("", "");
	log_set_level(LOG_LEVEL_INFO);
	log_set_format(LOG_FORMAT_TEXT);
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	int rc = log_open(NULL);
	unsetenv("JOURNAL_STREAM");
	log_detect_journal();
	log_set_console(LOG_CONSOLE_NONE);
	dup2(f->stderr_fd, STDERR_FILENO);
	close(f->stderr_fd);
	unlink(f->log);
	unlink(f->console);
	unlink(f->socket);
	rmdir(f->folder);
	free(f);
	return rc;
}

static const char *
read_file(struct fixture *f, const char *path)
{
	FILE *file = fopen(path, "r");

	assert_non_null(file);
	f->text[fread(f->text, 1, TEXT_BYTES - 1, file)] = '\0';
	fclose(file);
	return f->text;
}

static void
test_errors_reach_the_console_beside_the_file_and_the_rest_does_not(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(log_open(f->log), 0);
	log_set_console(LOG_CONSOLE_ERROR);
	log_errorx("bad");
	log_warnx("odd");
	assert_non_null(strstr(read_file(f, f->log), "Z error bad\n"));
	assert_non_null(strstr(read_file(f, f->log), "Z warn odd\n"));
	assert_string_equal(log_lines_strip(f->text), "bad\nodd\n");
	assert_string_equal(read_file(f, f->console), "bad\n");
	log_set_console(LOG_CONSOLE_WARN);
	log_warnx("odd again");
	log_set_console(LOG_CONSOLE_NONE);
	log_errorx("bad again");
	assert_string_equal(read_file(f, f->console), "bad\nodd again\n");
}

static void
test_without_a_file_the_console_gets_each_line_once(void **state)
{
	struct fixture *f = *state;

	log_set_console(LOG_CONSOLE_DEBUG);
	log_errorx("once");
	assert_string_equal(read_file(f, f->console), "once\n");
}

static void
write_to_stream(int more)
{
	struct stat st;
	char text[64];

	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	snprintf(text, sizeof(text), "%llu:%llu", (unsigned long long)st.st_dev,
	    (unsigned long long)st.st_ino + (unsigned long long)more);
	setenv("JOURNAL_STREAM", text, 1);
	log_detect_journal();
}

static void
test_lines_for_the_journal_begin_with_their_priority(void **state)
{
	struct fixture *f = *state;

	write_to_stream(0);
	log_set_level(LOG_LEVEL_DEBUG);
	log_errorx("a");
	log_warnx("b");
	log_info("c");
	log_debug("d");
	assert_string_equal(read_file(f, f->console), "<3>a\n<4>b\n<6>c\n<7>d\n");
}

static void
test_lines_for_the_journal_do_not_repeat_the_program(void **state)
{
	struct fixture *f = *state;
	char expected[128];

	write_to_stream(0);
	log_set_name("yodeld", "");
	log_info("ready");
	log_set_name("yodeld", "worker 1");
	log_info("serving");
	log_set_name("yodeld", NULL);
	log_errorx("no such file");
	/* The log file is not the journal. */
	log_set_console(LOG_CONSOLE_ERROR);
	assert_int_equal(log_open(f->log), 0);
	log_set_name("yodeld", "");
	log_errorx("both");
	snprintf(expected, sizeof(expected),
	    "<6>ready\n<6>worker 1 (pid %d): serving\n<3>no such file\n<3>both\n",
	    (int)getpid());
	assert_string_equal(read_file(f, f->console), expected);
	snprintf(expected, sizeof(expected), "yodeld[%d]: both\n", (int)getpid());
	assert_string_equal(log_lines_strip((char *)read_file(f, f->log)), expected);
}

static void
test_writes_no_priority_to_a_stderr_other_than_the_journal(void **state)
{
	struct fixture *f = *state;

	write_to_stream(1);
	log_errorx("a");
	unsetenv("JOURNAL_STREAM");
	log_detect_journal();
	log_errorx("b");
	assert_string_equal(read_file(f, f->console), "a\nb\n");
}

static int
bind_syslog(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	strcpy(address.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void
expect_packet(int fd, const char *priority, const char *end)
{
	char packet[512];
	ssize_t n = recv(fd, packet, sizeof(packet) - 1, MSG_DONTWAIT);

	assert_true(n > 0);
	packet[n] = '\0';
	assert_memory_equal(packet, priority, strlen(priority));
	/* "Nov  3 12:00:00 ", RFC 3164 */
	assert_string_equal(packet + strlen(priority) + 16, end);
}

static void
test_a_line_for_syslog_is_a_packet_with_its_priority_and_the_date(void **state)
{
	struct fixture *f = *state;
	int fd = bind_syslog(f->socket);

	assert_int_equal(log_open_syslog(f->socket), 0);
	log_set_name("yodeld", "");
	log_warnx("odd");
	char expected[64];
	snprintf(expected, sizeof(expected), "yodeld[%d]: odd\n", (int)getpid());
	expect_packet(fd, "<28>", expected);
	close(fd);
}

static void
test_reopening_reconnects_to_a_restarted_syslog(void **state)
{
	struct fixture *f = *state;
	int fd = bind_syslog(f->socket);

	assert_int_equal(log_open_syslog(f->socket), 0);
	close(fd);
	unlink(f->socket);
	log_info("lost");
	assert_non_null(strstr(read_file(f, f->console), "cannot write the log file"));
	fd = bind_syslog(f->socket);
	assert_int_equal(log_reopen(), 0);
	log_info("found");
	expect_packet(fd, "<28>", "1 log lines could not be written\n");
	expect_packet(fd, "<30>", "found\n");
	close(fd);
}

static void
test_a_missing_syslog_socket_leaves_the_log_unchanged(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(log_open_syslog(f->socket), -1);
	log_info("still here");
	assert_string_equal(read_file(f, f->console), "still here\n");
}

static void
test_suppresses_repeated_lines_and_counts_them(void **state)
{
	(void)state;
	static const char kind[] = "kind %d", other[] = "other %d";
	const char *reported = NULL;
	uint64_t now_ns = 1000 * LOG_RATELIMIT_WINDOW_NS;

	for (int i = 0; i < LOG_RATELIMIT_LINES; i++)
		assert_true(log_ratelimit_allow(kind, now_ns));
	for (int i = 0; i < 7; i++)
		assert_false(log_ratelimit_allow(kind, now_ns + 1));
	assert_true(log_ratelimit_allow(other, now_ns + 1));
	assert_int_equal(log_ratelimit_take_suppressed(now_ns + 1, &reported), 0);
	now_ns += LOG_RATELIMIT_WINDOW_NS;
	assert_int_equal(log_ratelimit_take_suppressed(now_ns, &reported), 7);
	assert_ptr_equal(reported, kind);
	assert_int_equal(log_ratelimit_take_suppressed(now_ns, &reported), 0);
	assert_true(log_ratelimit_allow(kind, now_ns));
}

static void
test_slow_lines_are_never_suppressed(void **state)
{
	(void)state;
	static const char kind[] = "slow";
	uint64_t now_ns = 5000 * LOG_RATELIMIT_WINDOW_NS;

	for (int i = 0; i < 10 * LOG_RATELIMIT_LINES; i++) {
		assert_true(log_ratelimit_allow(kind, now_ns));
		now_ns += 2 * LOG_RATELIMIT_WINDOW_NS / LOG_RATELIMIT_LINES;
	}
}

static void
test_writes_all_kinds_beyond_the_table_size(void **state)
{
	(void)state;
	static const char kinds[500];
	uint64_t now_ns = 90000 * LOG_RATELIMIT_WINDOW_NS;

	for (size_t i = 0; i < sizeof(kinds); i++)
		assert_true(log_ratelimit_allow(&kinds[i], now_ns + i));
}

static void
test_rate_limit_does_not_apply_at_debug(void **state)
{
	struct fixture *f = *state;
	size_t lines = 0;

	log_set_level(LOG_LEVEL_DEBUG);
	for (int i = 0; i < 2 * LOG_RATELIMIT_LINES; i++) {
		log_info("flood");
		log_debug("detail");
	}
	for (const char *c = read_file(f, f->console); *c != '\0'; c++)
		lines += *c == '\n';
	assert_int_equal(lines, 3 * LOG_RATELIMIT_LINES);
}

static uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static void
test_only_the_parent_reports_suppressed_lines(void **state)
{
	const char *kind;

	(void)state;
	for (int i = 0; i < 2 * LOG_RATELIMIT_LINES; i++)
		log_warnx("the parent's");
	log_set_name("", "as a child does");
	assert_int_equal(
	    log_ratelimit_take_suppressed(now_ns() + LOG_RATELIMIT_WINDOW_NS, &kind),
	    0);
}

static void
test_suppressed_lines_preserve_errno(void **state)
{
	(void)state;
	static const char due[] = "due", other[] = "other";

	assert_int_equal(log_open("/dev/full"), 0);
	/* The window of `due` has passed: its count is reported when a line of `other`
	 * is suppressed. */
	for (int i = 0; i <= LOG_RATELIMIT_LINES; i++)
		log_ratelimit_allow(due, now_ns() - LOG_RATELIMIT_WINDOW_NS);
	for (int i = 0; i <= LOG_RATELIMIT_LINES; i++)
		log_ratelimit_allow(other, now_ns());
	errno = ENOTTY;
	log_warnx(other);
	assert_int_equal(errno, ENOTTY);
}

#define SINK_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SINK_TEST(
		    test_errors_reach_the_console_beside_the_file_and_the_rest_does_not),
		SINK_TEST(test_without_a_file_the_console_gets_each_line_once),
		SINK_TEST(test_lines_for_the_journal_begin_with_their_priority),
		SINK_TEST(test_lines_for_the_journal_do_not_repeat_the_program),
		SINK_TEST(test_writes_no_priority_to_a_stderr_other_than_the_journal),
		SINK_TEST(
		    test_a_line_for_syslog_is_a_packet_with_its_priority_and_the_date),
		SINK_TEST(test_reopening_reconnects_to_a_restarted_syslog),
		SINK_TEST(test_a_missing_syslog_socket_leaves_the_log_unchanged),
		cmocka_unit_test(test_suppresses_repeated_lines_and_counts_them),
		cmocka_unit_test(test_slow_lines_are_never_suppressed),
		cmocka_unit_test(test_writes_all_kinds_beyond_the_table_size),
		SINK_TEST(test_rate_limit_does_not_apply_at_debug),
		SINK_TEST(test_only_the_parent_reports_suppressed_lines),
		SINK_TEST(test_suppressed_lines_preserve_errno),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
