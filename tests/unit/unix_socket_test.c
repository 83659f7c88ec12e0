/* unix_socket_test.c - the lock beside a Unix socket that is being opened, and the
 * check whether it could be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <sys/file.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "net/unix_socket.h"

static char folder[] = "/tmp/unix_socket_test.XXXXXX";
static char path[64], lock_path[80];
static int held_fd = -1; /* of the lock, released after the first pause */
static unsigned pauses;

/* Replaces nanosleep (--wrap in the Makefile). */
int __wrap_nanosleep(const struct timespec *time, struct timespec *rest);

int
__wrap_nanosleep(const struct timespec *time, struct timespec *rest)
{
	(void)time;
	(void)rest;
	pauses++;
	if (held_fd >= 0) {
		unlink(lock_path);
		close(held_fd);
	}
	held_fd = -1;
	return 0;
}

static int
set_up(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/socket", folder);
	snprintf(lock_path, sizeof(lock_path), "%s.lock", path);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	return rmdir(folder);
}

static void
open_and_close(void)
{
	char error[256] = "";
	int fd = unix_socket_open(path, 1, error, sizeof(error));
	assert_string_equal(error, "");
	assert_true(fd >= 0);
	close(fd);
	/* The lock leaves nothing behind. */
	assert_int_equal(access(lock_path, F_OK), -1);
	assert_int_equal(unlink(path), 0);
}

/* Any user can open the directory for reading, and so lock it. */
static void
test_a_lock_of_the_directory_delays_nothing(void **state)
{
	(void)state;
	int directory_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(directory_fd, LOCK_EX), 0);
	pauses = 0;
	open_and_close();
	assert_int_equal(pauses, 0);
	close(directory_fd);
}

static void
test_waits_for_a_process_that_opens_the_same_socket(void **state)
{
	(void)state;
	held_fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(flock(held_fd, LOCK_EX), 0);
	pauses = 0;
	open_and_close();
	assert_int_equal(pauses, 1);
}

static void
test_opens_the_socket_although_the_lock_is_never_released(void **state)
{
	(void)state;
	char error[256];
	int fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	int socket_fd = unix_socket_open(path, 1, error, sizeof(error));
	assert_true(socket_fd >= 0);
	close(socket_fd);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(unlink(lock_path), 0);
	close(fd);
}

/* Another file is not followed, nor removed. */
static void
test_a_link_at_the_path_of_the_lock_is_not_followed(void **state)
{
	(void)state;
	char target[80], error[256];
	snprintf(target, sizeof(target), "%s/target", folder);
	assert_int_equal(symlink(target, lock_path), 0);
	int fd = unix_socket_open(path, 1, error, sizeof(error));
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(access(target, F_OK), -1);
	assert_int_equal(unlink(lock_path), 0);
	assert_int_equal(unlink(path), 0);
}

#define OTHER_USER 65534
#define OTHER_GROUP 4242

/* Checks that the socket can be made; expected: part of the line, or NULL. */
static void
check(gid_t group, bool is_listener, const char *expected)
{
	char text[80], error[256] = "";
	struct address address;
	const struct unix_socket_access access = {
		.mode = 0660, .owner = (uid_t)-1, .group = group
	};
	snprintf(text, sizeof(text), "unix:%s", path);
	assert_int_equal(address_parse(text, &address, error, sizeof(error)), 0);
	int rc =
	    unix_socket_check(&address, &access, is_listener, error, sizeof(error));
	assert_int_equal(rc, expected == NULL ? 0 : -1);
	if (expected != NULL)
		assert_non_null(strstr(error, expected));
}

/* As a user that has no capability. */
static void
drop_root(bool is_root)
{
	if (!is_root)
		return;
	assert_int_equal(setgroups(0, NULL), 0);
	assert_int_equal(setegid(OTHER_USER), 0);
	assert_int_equal(seteuid(OTHER_USER), 0);
}

static void
become_root(bool is_root)
{
	if (!is_root)
		return;
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(setegid(0), 0);
}

/* A socket unit makes it as root, with another group. */
static void
test_a_listener_may_find_a_socket_where_this_user_can_make_none(void **state)
{
	(void)state;
	char error[256];
	bool is_root = geteuid() == 0;
	assert_int_equal(chmod(folder, 0555), 0);
	drop_root(is_root);
	check(OTHER_GROUP, true, "Permission denied");
	check((gid_t)-1, false, "Permission denied");
	become_root(is_root);
	assert_int_equal(chmod(folder, 0755), 0);
	int fd = unix_socket_open(path, 1, error, sizeof(error));
	assert_true(fd >= 0);
	assert_int_equal(chmod(folder, 0555), 0);
	drop_root(is_root);
	check(OTHER_GROUP, true, NULL);
	check((gid_t)-1, false, "Permission denied");
	become_root(is_root);
	assert_int_equal(chmod(folder, 0700), 0);
	close(fd);
	assert_int_equal(unlink(path), 0);
}

static void
test_a_listener_can_have_the_group_of_a_setgid_folder(void **state)
{
	(void)state;
	char error[256] = "";
	struct address address = { 0 };
	struct stat st;
	const struct unix_socket_access access = {
		.mode = 0660, .owner = (uid_t)-1, .group = OTHER_GROUP
	};
	/* Another user cannot make such a folder. */
	if (chown(folder, OTHER_USER, OTHER_GROUP) < 0)
		return;
	assert_int_equal(chmod(folder, 02770), 0);
	drop_root(true);
	check(OTHER_GROUP, true, NULL);
	check(OTHER_GROUP + 1, true, "cannot change owner and group");
	check(OTHER_GROUP, false, "cannot change owner and group");
	char text[80];
	snprintf(text, sizeof(text), "unix:%s", path);
	assert_int_equal(address_parse(text, &address, error, sizeof(error)), 0);
	int fd = unix_socket_listen(&address, &access, 1, error, sizeof(error));
	assert_string_equal(error, "");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_gid, OTHER_GROUP);
	close(fd);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(chmod(folder, 0770), 0);
	check(OTHER_GROUP, true, "cannot change owner and group");
	become_root(true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_lock_of_the_directory_delays_nothing),
		cmocka_unit_test(test_waits_for_a_process_that_opens_the_same_socket),
		cmocka_unit_test(
		    test_opens_the_socket_although_the_lock_is_never_released),
		cmocka_unit_test(test_a_link_at_the_path_of_the_lock_is_not_followed),
		cmocka_unit_test(
		    test_a_listener_may_find_a_socket_where_this_user_can_make_none),
		cmocka_unit_test(test_a_listener_can_have_the_group_of_a_setgid_folder),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
