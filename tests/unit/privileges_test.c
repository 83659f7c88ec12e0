#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cmocka.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <unistd.h>

#include "lib/log.h"

#include "worker/privileges.h"

/* Runs `is_so` in a process of its own, which it may spoil. */
static bool
in_child(bool (*is_so)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (log_open("/dev/null") < 0)
			_exit(2);
		_exit(is_so() ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool
stays_as_it_is(void)
{
	return privileges_drop(NULL, NULL) == 0 && getuid() == geteuid() &&
	    prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0;
}

static bool
is_nobody_for_ever(void)
{
	const struct passwd *nobody = getpwnam("nobody");
	uid_t uid, euid, suid;
	gid_t gid, egid, sgid, groups[16];

	if (privileges_drop("nobody", NULL) != 0)
		return false;
	if (getresuid(&uid, &euid, &suid) < 0 || getresgid(&gid, &egid, &sgid) < 0)
		return false;
	if (uid != nobody->pw_uid || euid != uid || suid != uid ||
	    gid != nobody->pw_gid || egid != gid || sgid != gid)
		return false;
	int count = getgroups(16, groups);
	for (int i = 0; i < count; i++) {
		if (groups[i] == 0)
			return false;
	}
	return count >= 0 && setuid(0) < 0 && setgid(0) < 0 &&
	    open("/etc/shadow", O_RDONLY) < 0 &&
	    prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
}

static bool
keeps_the_group_that_was_named(void)
{
	const struct group *daemon = getgrnam("daemon");

	return daemon != NULL && privileges_drop("nobody", "daemon") == 0 &&
	    getgid() == daemon->gr_gid && getegid() == daemon->gr_gid;
}

static bool
refuses_unknown_names(void)
{
	return privileges_drop("no-such-user", NULL) == -1 &&
	    privileges_drop("nobody", "no-such-group") == -1 && geteuid() == 0;
}

/* Without root there is nothing to give up: the call leaves everything as it is. */
static bool
does_nothing_without_root(void)
{
	return privileges_drop("no-such-user", NULL) == 0 &&
	    (geteuid() != 0 || getuid() == 0);
}

static void
test_without_a_user_nothing_changes(void **state)
{
	(void)state;
	assert_true(in_child(stays_as_it_is));
}

static void
test_root_is_given_up_for_good(void **state)
{
	(void)state;
	bool (*is_so)(void) =
	    geteuid() == 0 ? is_nobody_for_ever : does_nothing_without_root;
	assert_true(in_child(is_so));
}

static void
test_the_group_may_be_another_than_the_users(void **state)
{
	(void)state;
	bool (*is_so)(void) =
	    geteuid() == 0 ? keeps_the_group_that_was_named : does_nothing_without_root;
	assert_true(in_child(is_so));
}

static void
test_an_unknown_user_or_group_is_an_error_and_nothing_changes(void **state)
{
	(void)state;
	bool (*is_so)(void) =
	    geteuid() == 0 ? refuses_unknown_names : does_nothing_without_root;
	assert_true(in_child(is_so));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_a_user_nothing_changes),
		cmocka_unit_test(test_root_is_given_up_for_good),
		cmocka_unit_test(test_the_group_may_be_another_than_the_users),
		cmocka_unit_test(
		    test_an_unknown_user_or_group_is_an_error_and_nothing_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
