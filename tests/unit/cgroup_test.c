#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka needs some of those above */
#include <sys/stat.h>

#include <cmocka.h>
#include <ftw.h>
#include <limits.h>
#include <unistd.h>

#include "lib/system/cgroup.h"

#define MIB (UINT64_C(1) << 20)

/* A tree of files that stands for / */
static char root[] = "/tmp/cgroup_test.XXXXXX";

static void
put(const char *path, const char *text)
{
	char full[PATH_MAX];
	snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *slash = strchr(full + strlen(root) + 1, '/'); slash != NULL;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(full, 0700);
		*slash = '/';
	}
	FILE *file = fopen(full, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	return ftw->level > 0 ? remove(path) : 0;
}

static int
clear(void **state)
{
	(void)state;
	return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#define V2                                                                             \
	"29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1_MEMORY                                                                      \
	"35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
#define V1_CPU                                                                         \
	"32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"

static struct cgroup_limits
read_limits(void)
{
	struct cgroup_limits limits;
	cgroup_read(root, &limits);
	return limits;
}

static void
no_control_group_is_no_limit(void **state)
{
	(void)state;
	struct cgroup_limits limits = read_limits();
	assert_int_equal(limits.memory_bytes, 0);
	assert_true(limits.cpus == 0);
	assert_int_equal(cgroup_oom_kills(root), 0);

	put("/proc/self/mountinfo", V2);
	put("/proc/self/cgroup", "0::/a\n");
	put("/sys/fs/cgroup/a/memory.max", "max\n");
	put("/sys/fs/cgroup/a/memory.high", "max\n");
	put("/sys/fs/cgroup/a/cpu.max", "max 100000\n");
	limits = read_limits();
	assert_int_equal(limits.memory_bytes, 0);
	assert_true(limits.cpus == 0);
}

static void
reads_the_limits_of_version_2(void **state)
{
	(void)state;
	put("/proc/self/mountinfo", "1 1 8:1 / / rw - ext4 /dev/vda rw\n" V2);
	put("/proc/self/cgroup", "0::/system.slice/yodeld.service\n");
	put("/sys/fs/cgroup/system.slice/yodeld.service/memory.max", "31457280\n");
	put("/sys/fs/cgroup/system.slice/yodeld.service/memory.current", "20971520\n");
	put("/sys/fs/cgroup/system.slice/yodeld.service/memory.stat",
	    "anon 5\nfile 9\nworkingset_inactive_file 7\ninactive_file 4194304\n"
	    "active_file 1048576\n");
	put("/sys/fs/cgroup/system.slice/yodeld.service/cpu.max", "150000 100000\n");
	struct cgroup_limits limits = read_limits();
	assert_int_equal(limits.memory_bytes, 30 * MIB);
	assert_int_equal(limits.memory_available_bytes, 15 * MIB);
	assert_true(limits.cpus == 1.5);
}

static void
adds_the_throttled_time_of_all_ancestors(void **state)
{
	(void)state;
	assert_int_equal(cgroup_throttled_ns(root), 0);
	put("/proc/self/mountinfo", V2);
	put("/proc/self/cgroup", "0::/a/b\n");
	put("/sys/fs/cgroup/a/cpu.stat",
	    "usage_usec 5\nnr_throttled 3\nthrottled_usec 7\n");
	put("/sys/fs/cgroup/a/b/cpu.stat", "usage_usec 5\nthrottled_usec 2000\n");
	assert_int_equal(cgroup_throttled_ns(root), 2007000);
}

static void
the_smallest_limit_of_all_ancestors_counts(void **state)
{
	(void)state;
	put("/proc/self/mountinfo", V2);
	put("/proc/self/cgroup", "0::/a/b/c\n");
	put("/sys/fs/cgroup/a/memory.max", "104857600\n");
	put("/sys/fs/cgroup/a/memory.current", "94371840\n");
	put("/sys/fs/cgroup/a/b/memory.max", "max\n");
	put("/sys/fs/cgroup/a/b/memory.high", "52428800\n");
	put("/sys/fs/cgroup/a/b/memory.current", "1048576\n");
	put("/sys/fs/cgroup/a/b/c/memory.max", "1073741824\n");
	put("/sys/fs/cgroup/a/cpu.max", "50000 100000\n");
	put("/sys/fs/cgroup/a/b/c/cpu.max", "400000 100000\n");
	struct cgroup_limits limits = read_limits();
	assert_int_equal(limits.memory_bytes, 50 * MIB);
	/* The siblings in /a use most of its 100 MiB. */
	assert_int_equal(limits.memory_available_bytes, 10 * MIB);
	assert_true(limits.cpus == 0.5);
}

static void
a_group_above_its_limit_has_nothing_left(void **state)
{
	(void)state;
	put("/proc/self/mountinfo", V2);
	put("/proc/self/cgroup", "0::/a\n");
	put("/sys/fs/cgroup/a/memory.high", "1048576\n");
	put("/sys/fs/cgroup/a/memory.current", "2097152\n");
	assert_int_equal(read_limits().memory_available_bytes, 0);
}

static void
reads_the_limits_of_version_1(void **state)
{
	(void)state;
	put("/proc/self/mountinfo", V1_CPU V1_MEMORY);
	put("/proc/self/cgroup",
	    "9:name=systemd:/x\n4:memory:/docker/1\n1:cpu,cpuacct:/docker/2\n");
	put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
	put("/sys/fs/cgroup/memory/docker/memory.limit_in_bytes", "20971520\n");
	put("/sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes", "31457280\n");
	put("/sys/fs/cgroup/memory/docker/1/memory.usage_in_bytes", "10485760\n");
	put("/sys/fs/cgroup/memory/docker/1/memory.stat",
	    "inactive_file 1\ntotal_inactive_file 1048576\ntotal_active_file 0\n");
	put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
	put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
	put("/sys/fs/cgroup/cpu,cpuacct/docker/2/cpu.cfs_quota_us", "25000\n");
	put("/sys/fs/cgroup/cpu,cpuacct/docker/2/cpu.cfs_period_us", "100000\n");
	struct cgroup_limits limits = read_limits();
	assert_int_equal(limits.memory_bytes, 20 * MIB);
	assert_int_equal(limits.memory_available_bytes, 20 * MIB);
	assert_true(limits.cpus == 0.25);
}

/* In a container without a cgroup namespace the path is the host's, and the mount shows
 * the container's own group alone. */
static void
a_mount_may_show_a_part_of_the_tree(void **state)
{
	(void)state;
	put("/proc/self/mountinfo",
	    "35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n");
	put("/proc/self/cgroup", "4:memory:/docker/abc/inner\n");
	put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "2097152\n");
	put("/sys/fs/cgroup/memory/inner/memory.limit_in_bytes", "3145728\n");
	assert_int_equal(read_limits().memory_bytes, 2 * MIB);
	put("/sys/fs/cgroup/memory/inner/memory.limit_in_bytes", "1048576\n");
	assert_int_equal(read_limits().memory_bytes, MIB);
	/* Another part of the tree, and one outside of the namespace. */
	put("/proc/self/cgroup", "4:memory:/docker/abcdef\n");
	assert_int_equal(read_limits().memory_bytes, 2 * MIB);
	put("/proc/self/cgroup", "4:memory:/../other\n");
	assert_int_equal(read_limits().memory_bytes, 2 * MIB);
}

static void
both_versions_may_be_mounted_at_once(void **state)
{
	(void)state;
	put("/proc/self/mountinfo",
	    V1_MEMORY "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
	put("/proc/self/cgroup", "4:memory:/m\n0::/u\n");
	put("/sys/fs/cgroup/unified/u/cpu.max", "20000 10000\n");
	put("/sys/fs/cgroup/memory/m/memory.limit_in_bytes", "1048576\n");
	struct cgroup_limits limits = read_limits();
	assert_int_equal(limits.memory_bytes, MIB);
	assert_true(limits.cpus == 2);
}

static void
malformed_files_are_no_limit(void **state)
{
	(void)state;
	put("/proc/self/mountinfo", "\n1 - cgroup2\n - \ncgroup2\n" V2);
	put("/proc/self/cgroup", "0\n0:\n::\n0::a\n:::::\n0::/a\n");
	put("/sys/fs/cgroup/memory.max", "");
	put("/sys/fs/cgroup/a/memory.max", "-5 x\n");
	put("/sys/fs/cgroup/a/cpu.max", "100000 0\n");
	struct cgroup_limits limits = read_limits();
	assert_int_equal(limits.memory_bytes, 0);
	assert_true(limits.cpus == 0);
}

static void
counts_the_OOM_kills_of_its_own_group(void **state)
{
	(void)state;
	put("/proc/vmstat", "nr_free 3\noom_kill 7\n");
	assert_int_equal(cgroup_oom_kills(root), 7);
	put("/proc/self/mountinfo", V2);
	put("/proc/self/cgroup", "0::/a\n");
	assert_int_equal(cgroup_oom_kills(root), 7);
	put("/sys/fs/cgroup/memory.events", "oom_kill 5\n");
	put("/sys/fs/cgroup/a/memory.events", "low 0\noom 2\noom_kill 1\n");
	assert_int_equal(cgroup_oom_kills(root), 1);
	put("/proc/self/mountinfo", V1_MEMORY);
	put("/proc/self/cgroup", "4:memory:/m\n");
	put("/sys/fs/cgroup/memory/m/memory.oom_control",
	    "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n");
	assert_int_equal(cgroup_oom_kills(root), 3);
}

#define CGROUP_TEST(name) cmocka_unit_test_teardown(name, clear)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CGROUP_TEST(no_control_group_is_no_limit),
		CGROUP_TEST(reads_the_limits_of_version_2),
		CGROUP_TEST(adds_the_throttled_time_of_all_ancestors),
		CGROUP_TEST(the_smallest_limit_of_all_ancestors_counts),
		CGROUP_TEST(a_group_above_its_limit_has_nothing_left),
		CGROUP_TEST(reads_the_limits_of_version_1),
		CGROUP_TEST(a_mount_may_show_a_part_of_the_tree),
		CGROUP_TEST(both_versions_may_be_mounted_at_once),
		CGROUP_TEST(malformed_files_are_no_limit),
		CGROUP_TEST(counts_the_OOM_kills_of_its_own_group),
	};
	if (mkdtemp(root) == NULL)
		return 1;
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(root);
	return failed;
}
