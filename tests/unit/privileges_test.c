#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include <linux/capability.h>

#include "lib/log.h"
#include "worker/limits/sandbox.h"

/* Runs `is_so` in a child process, because it changes the process for good. */
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

/* True without capabilities in any set and with no_new_privs. */
static bool
has_no_capabilities(void)
{
	uint64_t sets = 0, value;
	char line[128];
	FILE *status = fopen("/proc/self/status", "re");

	if (status == NULL)
		return false;
	while (fgets(line, sizeof(line), status) != NULL) {
		if (sscanf(line, "Cap%*[InhPrmEfAb]: %" SCNx64, &value) == 1 ||
		    (geteuid() == 0 && sscanf(line, "CapBnd: %" SCNx64, &value) == 1))
			sets |= value;
	}
	fclose(status);
	return sets == 0 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
}

static bool
keeps_its_user_without_configuration(void)
{
	uid_t before = geteuid();

	return sandbox_drop_privileges(NULL, NULL) == 0 && geteuid() == before &&
	    getuid() == before && has_no_capabilities();
}

static bool
cannot_regain_root(void)
{
	const struct passwd *nobody = getpwnam("nobody");
	uid_t uid, euid, suid;
	gid_t gid, egid, sgid, groups[16];

	if (sandbox_drop_privileges("nobody", NULL) < 0)
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
	    open("/etc/shadow", O_RDONLY) < 0 && has_no_capabilities() &&
	    prctl(PR_CAPBSET_READ, CAP_KILL, 0, 0, 0) == 0;
}

static bool
uses_the_configured_group(void)
{
	const struct group *daemon = getgrnam("daemon");

	return daemon != NULL && sandbox_drop_privileges("nobody", "daemon") == 0 &&
	    getgid() == daemon->gr_gid && getegid() == daemon->gr_gid;
}

static bool
refuses_unknown_names(void)
{
	return sandbox_drop_privileges("no-such-user", NULL) == -1 &&
	    sandbox_drop_privileges("nobody", "no-such-group") == -1 && geteuid() == 0;
}

/* Without root the process cannot become another user. */
static bool
keeps_its_user(void)
{
	uid_t before = geteuid();

	return sandbox_drop_privileges("no-such-user", NULL) == 0 &&
	    geteuid() == before && has_no_capabilities();
}

/* Length of the warning for a worker that is configured to run as this user. */
static size_t
length_of_warning(const char *user)
{
	int fd = memfd_create("log", 0);
	char path[64];
	struct stat now;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fd < 0 || log_open(path) < 0)
		_exit(2);
	sandbox_warn_about_user(user);
	if (fstat(fd, &now) < 0)
		_exit(2);
	return (size_t)now.st_size;
}

static bool
warns_about_another_user(void)
{
	if (geteuid() == 0 &&
	    (length_of_warning("nobody") > 0 || setuid(getpwnam("nobody")->pw_uid) < 0))
		return false;
	const struct passwd *self = getpwuid(geteuid());
	return length_of_warning("root") > 0 && length_of_warning(NULL) == 0 &&
	    (self == NULL || length_of_warning(self->pw_name) == 0);
}

static void
test_warns_without_root_that_the_user_is_unchanged(void **state)
{
	(void)state;
	assert_true(in_child(warns_about_another_user));
}

static void
test_without_a_user_drops_only_capabilities(void **state)
{
	(void)state;
	assert_true(in_child(keeps_its_user_without_configuration));
}

static void
test_drops_root_permanently(void **state)
{
	(void)state;
	bool (*is_so)(void) = geteuid() == 0 ? cannot_regain_root : keeps_its_user;
	assert_true(in_child(is_so));
}

static void
test_the_group_may_differ_from_the_primary_group_of_the_user(void **state)
{
	(void)state;
	bool (*is_so)(void) =
	    geteuid() == 0 ? uses_the_configured_group : keeps_its_user;
	assert_true(in_child(is_so));
}

static void
test_an_unknown_user_or_group_is_an_error_and_nothing_changes(void **state)
{
	(void)state;
	bool (*is_so)(void) = geteuid() == 0 ? refuses_unknown_names : keeps_its_user;
	assert_true(in_child(is_so));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_warns_without_root_that_the_user_is_unchanged),
		cmocka_unit_test(test_without_a_user_drops_only_capabilities),
		cmocka_unit_test(test_drops_root_permanently),
		cmocka_unit_test(
		    test_the_group_may_differ_from_the_primary_group_of_the_user),
		cmocka_unit_test(
		    test_an_unknown_user_or_group_is_an_error_and_nothing_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
