/* The file of --tls-keylog, where its lines have no room. */
#include <sys/resource.h>

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* cmocka needs those above */
#include <cmocka.h>

#include "client/plan/tls_key_log.h"

static char path[] = "/tmp/yodel-key-log-XXXXXX";

/* The file may grow up to there, as if the disk were full. */
static void
set_room(rlim_t bytes)
{
	struct rlimit limit;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void
assert_file(const char *expected)
{
	char text[256] = "";
	FILE *file = fopen(path, "re");
	assert_non_null(file);
	size_t length = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	assert_string_equal(text, expected);
	assert_int_equal(length, strlen(expected));
}

static uint64_t
lost(const struct tls_key_log *log)
{
	int error;
	uint64_t lines = tls_key_log_lost(log, &error);
	assert_int_equal(error == 0, lines == 0);
	return lines;
}

static void
test_a_line_after_one_that_was_cut_is_whole(void **state)
{
	(void)state;
	struct tls_key_log *log = tls_key_log_open(path);
	assert_non_null(log);
	tls_key_log_write("first", log);
	assert_int_equal(lost(log), 0);
	set_room(10);
	tls_key_log_write("second", log);
	tls_key_log_write("third", log);
	assert_int_equal(lost(log), 2);
	assert_file("first\nseco");
	set_room(RLIM_INFINITY);
	tls_key_log_write("fourth", log);
	tls_key_log_write("fifth", log);
	assert_int_equal(lost(log), 2);
	assert_file("first\nseco\nfourth\nfifth\n");
	tls_key_log_close(log);
}

static void
test_a_line_end_alone_that_has_room_is_not_repeated(void **state)
{
	(void)state;
	assert_int_equal(truncate(path, 0), 0);
	struct tls_key_log *log = tls_key_log_open(path);
	assert_non_null(log);
	set_room(3);
	tls_key_log_write("first", log);
	set_room(4);
	tls_key_log_write("second", log);
	assert_file("fir\n");
	set_room(RLIM_INFINITY);
	tls_key_log_write("third", log);
	assert_file("fir\nthird\n");
	assert_int_equal(lost(log), 2);
	tls_key_log_close(log);
}

static void
test_the_lines_of_a_later_run_are_whole(void **state)
{
	(void)state;
	for (int run = 0; run < 2; run++) {
		assert_int_equal(truncate(path, 0), 0);
		struct tls_key_log *log = tls_key_log_open(path);
		assert_non_null(log);
		set_room(run == 0 ? 3 : 6);
		tls_key_log_write("first", log);
		set_room(RLIM_INFINITY);
		tls_key_log_close(log);
		log = tls_key_log_open(path);
		assert_non_null(log);
		tls_key_log_write("second", log);
		assert_int_equal(lost(log), 0);
		assert_file(run == 0 ? "fir\nsecond\n" : "first\nsecond\n");
		tls_key_log_close(log);
	}
}

static void
test_a_file_that_cannot_be_opened_is_refused(void **state)
{
	(void)state;
	assert_null(tls_key_log_open("/nowhere/keys"));
	assert_int_equal(errno, ENOENT);
	tls_key_log_close(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_line_after_one_that_was_cut_is_whole),
		cmocka_unit_test(test_a_line_end_alone_that_has_room_is_not_repeated),
		cmocka_unit_test(test_the_lines_of_a_later_run_are_whole),
		cmocka_unit_test(test_a_file_that_cannot_be_opened_is_refused),
	};
	signal(SIGXFSZ, SIG_IGN);
	close(mkstemp(path));
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return failed;
}
