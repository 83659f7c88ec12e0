#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "tests/lib/log_lines.h"

#define FILE_BYTES 16384

struct fixture {
	char folder[32];
	char path[64];
	char moved[64];
	char text[FILE_BYTES];
};

static int
open_log(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->folder, "/tmp/log_test.XXXXXX");
	if (mkdtemp(f->folder) == NULL)
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/log", f->folder);
	snprintf(f->moved, sizeof(f->moved), "%s/log.1", f->folder);
	log_set_name("", "");
	log_set_level(LOG_LEVEL_INFO);
	log_set_format(LOG_FORMAT_TEXT);
	*state = f;
	return log_open(f->path);
}

static int
close_log(void **state)
{
	struct fixture *f = *state;

	int rc = log_open(NULL);
	unlink(f->path);
	unlink(f->moved);
	rmdir(f->folder);
	free(f);
	return rc;
}

static const char *
read_file(struct fixture *f, const char *path)
{
	FILE *file = fopen(path, "r");

	assert_non_null(file);
	f->text[fread(f->text, 1, FILE_BYTES - 1, file)] = '\0';
	fclose(file);
	return f->text;
}

static const char *
read_lines(struct fixture *f, const char *path)
{
	read_file(f, path);
	return log_lines_strip(f->text);
}

static void
test_a_line_names_the_program_its_process_and_its_role(void **state)
{
	struct fixture *f = *state;
	char expected[128];

	log_info("plain");
	log_set_name("yodeld", "");
	log_info("from the %s", "master");
	log_set_name("yodeld", "worker 2");
	log_warnx("number %d", 7);
	log_set_name("yodel", NULL);
	log_errorx("of a command");
	snprintf(expected, sizeof(expected),
	    "plain\nyodeld[%d]: from the master\nyodeld[%d] worker 2: number 7\n"
	    "yodel: of a command\n",
	    (int)getpid(), (int)getpid());
	assert_string_equal(read_lines(f, f->path), expected);
}

static void
test_lines_below_the_level_are_not_written(void **state)
{
	struct fixture *f = *state;

	log_debug("no");
	log_set_level(LOG_LEVEL_DEBUG);
	assert_int_equal(log_get_level(), LOG_LEVEL_DEBUG);
	log_debug("debug");
	log_set_level(LOG_LEVEL_ERROR);
	log_info("no");
	log_warn("no");
	log_warnx("no");
	log_errorx("error");
	assert_string_equal(read_lines(f, f->path), "debug\nerror\n");
}

static void
test_warn_and_error_add_the_text_of_errno_and_keep_it(void **state)
{
	struct fixture *f = *state;

	errno = ENOENT;
	log_warn("first");
	assert_int_equal(errno, ENOENT);
	log_warnx("second");
	log_error("third");
	log_errorx("fourth");
	assert_int_equal(errno, ENOENT);
	assert_string_equal(read_lines(f, f->path),
	    "first: No such file or directory\nsecond\n"
	    "third: No such file or directory\nfourth\n");
}

static void
test_a_JSON_line_parses_whatever_the_message_holds(void **state)
{
	struct fixture *f = *state;
	json_error_t error;

	log_set_format(LOG_FORMAT_JSON);
	log_set_name("yodeld", "worker 1");
	log_warnx("a \"quoted\" \\ back\nslash and \x01 %s", "\xc3\xa9");
	const char *text = read_file(f, f->path);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	json_t *line = json_loads(text, 0, &error);
	assert_non_null(line);
	assert_string_equal(json_string_value(json_object_get(line, "message")),
	    "a \"quoted\" \\ back\nslash and \x01 \xc3\xa9");
	assert_string_equal(json_string_value(json_object_get(line, "level")), "warn");
	assert_string_equal(
	    json_string_value(json_object_get(line, "program")), "yodeld");
	assert_string_equal(
	    json_string_value(json_object_get(line, "role")), "worker 1");
	assert_int_equal(json_integer_value(json_object_get(line, "pid")), getpid());
	assert_int_equal(strlen(json_string_value(json_object_get(line, "time"))), 27);
	json_decref(line);
}

static json_t *
read_json(struct fixture *f)
{
	json_t *line = json_loads(read_file(f, f->path), 0, NULL);
	assert_non_null(line);
	assert_int_equal(truncate(f->path, 0), 0);
	return line;
}

static void
check_text(json_t *line, const char *name, const char *expected)
{
	assert_string_equal(json_string_value(json_object_get(line, name)), expected);
}

static void
check_number(json_t *line, const char *name, long long expected)
{
	json_t *number = json_object_get(line, name);
	assert_true(json_is_integer(number));
	assert_int_equal(json_integer_value(number), expected);
}

static void
test_a_JSON_line_has_the_event_and_its_values(void **state)
{
	struct fixture *f = *state;

	log_set_format(LOG_FORMAT_JSON);
	log_warnx("[worker_died worker worker_pid reason] worker %u (pid %d): died: %s",
	    3U, -5, "a \"quoted\" reason");
	json_t *line = read_json(f);
	check_text(line, "event", "worker_died");
	check_number(line, "worker", 3);
	check_number(line, "worker_pid", -5);
	check_text(line, "reason", "a \"quoted\" reason");
	check_text(line, "message", "worker 3 (pid -5): died: a \"quoted\" reason");
	json_decref(line);

	log_info("[all big size _ part share hidden] %llu %zu%s %.*s %%%5.1f%.0s",
	    UINT64_C(18446744073709551615) / 2ULL, (size_t)7, "s", 2, "abc", 0.25,
	    "not shown");
	line = read_json(f);
	check_number(line, "big", INT64_MAX);
	check_number(line, "size", 7);
	check_text(line, "part", "ab");
	assert_true(json_number_value(json_object_get(line, "share")) == 0.2);
	check_text(line, "hidden", "not shown");
	check_text(line, "message", "9223372036854775807 7s ab %  0.2");
	assert_null(json_object_get(line, "_"));
	json_decref(line);
}

static void
test_the_reason_of_a_JSON_line_is_the_text_of_errno(void **state)
{
	struct fixture *f = *state;

	log_set_format(LOG_FORMAT_JSON);
	errno = ENOENT;
	log_warn("[open_failed path] cannot open %s", "x");
	json_t *line = read_json(f);
	check_text(line, "path", "x");
	check_text(line, "reason", "No such file or directory");
	check_text(line, "message", "cannot open x: No such file or directory");
	json_decref(line);
}

static void
test_each_JSON_line_has_an_event(void **state)
{
	struct fixture *f = *state;

	log_set_format(LOG_FORMAT_JSON);
	log_info("[::1]:80 %s", "is no event");
	json_t *line = read_json(f);
	check_text(line, "event", "message");
	check_text(line, "message", "[::1]:80 is no event");
	json_decref(line);
}

static void
test_a_value_that_does_not_fit_in_a_JSON_line_is_left_out(void **state)
{
	struct fixture *f = *state;
	char *value = malloc(5000);

	memset(value, 'x', 4999);
	value[4999] = '\0';
	log_set_format(LOG_FORMAT_JSON);
	log_info("[event a b c d] %s%s%s %d", value, value, value, 4);
	json_t *line = read_json(f);
	check_text(line, "event", "event");
	assert_non_null(json_object_get(line, "a"));
	assert_null(json_object_get(line, "c"));
	check_number(line, "d", 4);
	json_decref(line);
	free(value);
}

static void
test_a_line_of_text_does_not_show_the_event(void **state)
{
	struct fixture *f = *state;

	log_info("[ready workers] ready: %d workers", 2);
	assert_string_equal(read_lines(f, f->path), "ready: 2 workers\n");
}

static void
test_a_JSON_line_replaces_invalid_UTF_8_by_question_marks(void **state)
{
	struct fixture *f = *state;

	log_set_format(LOG_FORMAT_JSON);
	log_warnx("%s", "a\xff\xc3 \x7f \xe2\x82\xac");
	json_t *line = json_loads(read_file(f, f->path), 0, NULL);
	assert_non_null(line);
	assert_string_equal(json_string_value(json_object_get(line, "message")),
	    "a?? \x7f \xe2\x82\xac");
	json_decref(line);
}

static void
test_a_message_that_is_too_long_is_truncated_to_one_line(void **state)
{
	struct fixture *f = *state;
	char *message = malloc(5000);

	memset(message, 'x', 4999);
	message[4999] = '\0';
	log_set_name("yodeld", "worker 1");
	log_info("%s", message);
	const char *text = read_file(f, f->path);
	assert_in_range(strlen(text), 1000, 2400);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);

	memset(message, '"', 4999);
	log_set_format(LOG_FORMAT_JSON);
	assert_int_equal(truncate(f->path, 0), 0);
	log_info("%s", message);
	json_t *line = json_loads(read_file(f, f->path), 0, NULL);
	assert_non_null(line);
	json_decref(line);
	free(message);
}

static void
test_a_newline_in_a_value_does_not_start_a_second_line(void **state)
{
	struct fixture *f = *state;

	log_set_name("yodeld", "");
	log_info("user \"%s\"", "a\nyodeld[1]: all is well\x1b\xc3\xa9");
	const char *text = read_file(f, f->path);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	assert_non_null(strstr(text, "a?yodeld[1]: all is well?\xc3\xa9\""));
}

static void
test_after_a_rotation_the_lines_go_to_the_new_file(void **state)
{
	struct fixture *f = *state;

	log_info("before");
	assert_int_equal(rename(f->path, f->moved), 0);
	log_info("meanwhile");
	assert_int_equal(log_reopen(), 0);
	log_info("after");
	assert_string_equal(read_lines(f, f->path), "after\n");
	assert_string_equal(read_lines(f, f->moved), "before\nmeanwhile\n");
	struct stat status;
	assert_int_equal(fstat(log_fd(), &status), 0);
	assert_int_equal(status.st_mode & 0777 & ~0640U, 0);
}

static void
test_a_file_that_cannot_be_opened_leaves_the_log_unchanged(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(log_open("/no/such/folder/log"), -1);
	assert_int_equal(errno, ENOENT);
	log_info("still here");
	assert_string_equal(read_lines(f, f->path), "still here\n");
}

static void
test_reports_the_number_of_dropped_lines(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(log_open("/dev/full"), 0);
	log_info("lost");
	log_info("lost");
	log_info("lost");
	assert_int_equal(log_open(f->path), 0);
	log_info("found");
	log_info("found");
	assert_string_equal(
	    read_lines(f, f->path), "3 log lines could not be written\nfound\nfound\n");
}

static void
check_fatal(void (*end)(void), int status, const char *expected)
{
	int pipes[2], result;
	char text[128] = "";

	assert_int_equal(pipe(pipes), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(pipes[1], STDERR_FILENO);
		if (log_open(NULL) == 0)
			end();
		_exit(1);
	}
	close(pipes[1]);
	assert_true(read(pipes[0], text, sizeof(text) - 1) >= 0);
	close(pipes[0]);
	assert_int_equal(waitpid(pid, &result, 0), pid);
	assert_true(WIFEXITED(result));
	assert_int_equal(WEXITSTATUS(result), status);
	assert_string_equal(text, expected);
}

static void
end_with_errno(void)
{
	errno = EADDRINUSE;
	fatal(71, "bind %s", "here");
}

static void
end_without_errno(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	fatalx(78, "bad %s", "file");
}

static void
test_fatal_says_why_on_stderr_and_ends_with_the_given_status(void **state)
{
	(void)state;
	check_fatal(end_with_errno, 71, "bind here: Address already in use\n");
	check_fatal(end_without_errno, 78, "bad file\n");
}

#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, open_log, close_log)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LOG_TEST(test_a_line_names_the_program_its_process_and_its_role),
		LOG_TEST(test_lines_below_the_level_are_not_written),
		LOG_TEST(test_warn_and_error_add_the_text_of_errno_and_keep_it),
		LOG_TEST(test_a_JSON_line_parses_whatever_the_message_holds),
		LOG_TEST(test_a_JSON_line_has_the_event_and_its_values),
		LOG_TEST(test_the_reason_of_a_JSON_line_is_the_text_of_errno),
		LOG_TEST(test_each_JSON_line_has_an_event),
		LOG_TEST(test_a_value_that_does_not_fit_in_a_JSON_line_is_left_out),
		LOG_TEST(test_a_line_of_text_does_not_show_the_event),
		LOG_TEST(test_a_JSON_line_replaces_invalid_UTF_8_by_question_marks),
		LOG_TEST(test_a_message_that_is_too_long_is_truncated_to_one_line),
		LOG_TEST(test_a_newline_in_a_value_does_not_start_a_second_line),
		LOG_TEST(test_after_a_rotation_the_lines_go_to_the_new_file),
		LOG_TEST(test_a_file_that_cannot_be_opened_leaves_the_log_unchanged),
		LOG_TEST(test_reports_the_number_of_dropped_lines),
		LOG_TEST(test_fatal_says_why_on_stderr_and_ends_with_the_given_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
