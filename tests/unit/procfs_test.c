#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* cmocka needs some of those above */
#include <cmocka.h>

#include "lib/system/procfs.h"

static const char text[] = "Ip: A B\nIp: 7 8\nTcp: One Two Three\nTcp: 11 22 33\nTcp";

static char path[] = "/tmp/proc_test.XXXXXX";

static int
set_up(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (int)strlen(text));
	return close(fd);
}

static int
tear_down(void **state)
{
	(void)state;
	return unlink(path);
}

static void
reads_a_counter_by_its_section_and_name(void **state)
{
	uint64_t value = 5;

	(void)state;
	procfs_counter(path, "Tcp:", "One", &value);
	assert_int_equal(value, 11);
	procfs_counter(path, "Tcp:", "Three", &value);
	assert_int_equal(value, 33);
	procfs_counter(path, "Ip:", "B", &value);
	assert_int_equal(value, 8);
}

static void
reads_several_counters_at_once(void **state)
{
	uint64_t three = 5, none = 5, one = 5;
	const struct procfs_counter wanted[] = { { "Three", &three }, { "B", &none },
		{ "One", &one } };

	(void)state;
	procfs_counters(path, "Tcp:", wanted, 3);
	assert_int_equal(three, 33);
	assert_int_equal(none, 5);
	assert_int_equal(one, 11);
}

static void
missing_counters_leave_the_value_unchanged(void **state)
{
	uint64_t value = 5;

	(void)state;
	procfs_counter(path, "Tcp:", "B", &value);
	procfs_counter(path, "Udp:", "A", &value);
	procfs_counter("/none", "Tcp:", "One", &value);
	assert_int_equal(value, 5);
	assert_int_equal(procfs_number("/none"), 0);
	assert_int_equal(procfs_word("/none", "Tcp:", "One "), 0);
	assert_int_equal(procfs_word(path, "Udp:", "One "), 0);
	assert_int_equal(procfs_word(path, "Tcp:", " Four "), 0);
}

static void
finds_a_word_after_the_start_of_its_line(void **state)
{
	(void)state;
	assert_int_equal(procfs_word(path, "Ip: 7", " 7 "), 8);
	assert_int_equal(procfs_word(path, "Tcp: 1", " 11 "), 22);
}

static void
reads_at_most_the_size_of_the_buffer(void **state)
{
	char some[6];

	(void)state;
	procfs_read(path, some, sizeof(some));
	assert_string_equal(some, "Ip: A");
	procfs_read("/none", some, sizeof(some));
	assert_string_equal(some, "");
	assert_true(procfs_number("/proc/sys/fs/file-max") > 0);
}

static void
missing_numbers_are_zero(void **state)
{
	uint64_t numbers[4] = { 1, 1, 1, 1 };
	char file[] = "/tmp/procfs_test.XXXXXX";

	(void)state;
	int fd = mkstemp(file);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "4\t5 6\n", 6), 6);
	close(fd);
	procfs_numbers(file, numbers, 4);
	unlink(file);
	assert_int_equal(numbers[0], 4);
	assert_int_equal(numbers[1], 5);
	assert_int_equal(numbers[2], 6);
	assert_int_equal(numbers[3], 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_a_counter_by_its_section_and_name),
		cmocka_unit_test(reads_several_counters_at_once),
		cmocka_unit_test(missing_counters_leave_the_value_unchanged),
		cmocka_unit_test(finds_a_word_after_the_start_of_its_line),
		cmocka_unit_test(reads_at_most_the_size_of_the_buffer),
		cmocka_unit_test(missing_numbers_are_zero),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
