#include "lib/system/cgroup.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/system/procfs.h"

#define TABLE_BYTES (256 * 1024)   /* of mountinfo, on a host with many containers */
#define UNLIMITED (UINT64_MAX / 4) /* version 1 says "no limit" with a huge number */

/* Visits a folder of the tree, from the group of this process upwards. */
typedef void visit_folder(const char *folder, bool is_v2, void *argument);

/* A line of /proc/self/mountinfo, proc_pid_mountinfo(5), cut into its parts. */
struct mount {
	char root[PATH_MAX], point[PATH_MAX], type[32], options[256];
};

static bool
parse_mount(const char *line, struct mount *ret)
{
	const char *end = strchr(line, '\n');
	const char *separator = strstr(line, " - ");
	return separator != NULL && (end == NULL || separator < end) &&
	    sscanf(line, "%*s %*s %*s %4095s %4095s", ret->root, ret->point) == 2 &&
	    sscanf(separator, " - %31s %*s %255s", ret->type, ret->options) == 2;
}

/* Whether a comma-separated list contains the word. */
static bool
contains(const char *list, const char *word)
{
	size_t length = strlen(word);
	for (const char *at = list; (at = strstr(at, word)) != NULL; at += length) {
		bool starts = at == list || at[-1] == ',';
		if (starts && (at[length] == '\0' || at[length] == ','))
			return true;
	}
	return false;
}

/* The part of a path below the root of a mount: "" for another part of the tree, which
 * the mount does not show. */
static const char *
below(const char *root, const char *path)
{
	size_t length = strcmp(root, "/") == 0 ? 0 : strlen(root);
	if (strncmp(path, root, length) != 0 ||
	    (path[length] != '/' && path[length] != '\0') ||
	    strncmp(path + length, "/..", 3) == 0 || strcmp(path + length, "/") == 0)
		return "";
	return path + length;
}

static void
visit_upwards(const char *root, const struct mount *mount, const char *path,
    visit_folder *visit, void *argument)
{
	char folder[3 * PATH_MAX];
	bool is_v2 = strcmp(mount->type, "cgroup2") == 0;
	int top = snprintf(folder, sizeof(folder), "%s%s", root, mount->point);
	snprintf(
	    folder + top, sizeof(folder) - (size_t)top, "%s", below(mount->root, path));
	for (;;) {
		visit(folder, is_v2, argument);
		char *slash = strrchr(folder + top, '/');
		if (slash == NULL)
			return;
		*slash = '\0';
	}
}

/* The mount at which the controller's tree is seen; of several the last, which covers
 * the others. */
static bool
find_mount(const char *mounts, const char *controller, struct mount *ret)
{
	bool found = false;
	for (const char *line = mounts; line != NULL && *line != '\0';) {
		struct mount mount;
		if (parse_mount(line, &mount) &&
		    (controller[0] == '\0' ? strcmp(mount.type, "cgroup2") == 0
					   : strcmp(mount.type, "cgroup") == 0 &&
				contains(mount.options, controller))) {
			*ret = mount;
			found = true;
		}
		line = strchr(line, '\n');
		line = line != NULL ? line + 1 : NULL;
	}
	return found;
}

/* Visits the folders of a controller of version 1, or of version 2 for "". */
static void
visit_controller(
    const char *root, const char *controller, visit_folder *visit, void *argument)
{
	char path[PATH_MAX], controllers[256];
	char *text = malloc(TABLE_BYTES);
	struct mount *mount = malloc(sizeof(*mount));
	bool found = false;
	if (text == NULL || mount == NULL)
		goto out;
	snprintf(path, sizeof(path), "%s/proc/self/mountinfo", root);
	procfs_read(path, text, TABLE_BYTES);
	if (!find_mount(text, controller, mount))
		goto out;
	snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
	procfs_read(path, text, TABLE_BYTES);
	/* "4:cpu,cpuacct:/path", or "0::/path" of version 2 */
	for (char *line = strtok(text, "\n"); line != NULL && !found;
	     line = strtok(NULL, "\n")) {
		char *list = strchr(line, ':');
		char *own = list != NULL ? strchr(list + 1, ':') : NULL;
		if (own == NULL)
			continue;
		snprintf(controllers, sizeof(controllers), "%.*s",
		    (int)(own - list - 1), list + 1);
		found = controller[0] == '\0' ? controllers[0] == '\0'
					      : contains(controllers, controller);
		if (found)
			visit_upwards(root, mount, own + 1, visit, argument);
	}
out:
	free(mount);
	free(text);
}

static void
read_file(const char *folder, const char *name, char *text, size_t size)
{
	char path[4 * PATH_MAX];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	procfs_read(path, text, size);
}

/* 0 for "max", a missing file and the number of version 1 that stands for it. */
static uint64_t
read_limit(const char *folder, const char *name)
{
	char text[64];
	read_file(folder, name, text, sizeof(text));
	uint64_t limit = strtoull(text, NULL, 10);
	return limit < UNLIMITED ? limit : 0;
}

/* The number after a word at the start of a line. */
static uint64_t
number_of(const char *text, const char *word)
{
	size_t length = strlen(word);
	for (const char *at = text; (at = strstr(at, word)) != NULL; at += length) {
		if ((at == text || at[-1] == '\n') && at[length] == ' ')
			return strtoull(at + length, NULL, 10);
	}
	return 0;
}

static void
add_memory_limit(struct cgroup_limits *limits, uint64_t limit, uint64_t used)
{
	if (limit == 0)
		return;
	uint64_t available = limit > used ? limit - used : 0;
	if (limits->memory_bytes == 0 || limit < limits->memory_bytes)
		limits->memory_bytes = limit;
	if (available < limits->memory_available_bytes)
		limits->memory_available_bytes = available;
}

static void
read_memory(const char *folder, bool is_v2, void *argument)
{
	char stat[8192];
	read_file(folder, "memory.stat", stat, sizeof(stat));
	uint64_t cache = is_v2
	    ? number_of(stat, "inactive_file") + number_of(stat, "active_file")
	    : number_of(stat, "total_inactive_file") +
		number_of(stat, "total_active_file");
	uint64_t used =
	    read_limit(folder, is_v2 ? "memory.current" : "memory.usage_in_bytes");
	used = used > cache ? used - cache : 0;
	if (!is_v2) {
		add_memory_limit(
		    argument, read_limit(folder, "memory.limit_in_bytes"), used);
		return;
	}
	add_memory_limit(argument, read_limit(folder, "memory.max"), used);
	add_memory_limit(argument, read_limit(folder, "memory.high"), used);
}

static void
read_cpu(const char *folder, bool is_v2, void *argument)
{
	struct cgroup_limits *limits = argument;
	long long quota = -1, period = 0;
	char text[64];
	if (is_v2) {
		read_file(folder, "cpu.max", text, sizeof(text));
		if (sscanf(text, "%lld %lld", &quota, &period) != 2)
			return;
	} else {
		read_file(folder, "cpu.cfs_quota_us", text, sizeof(text));
		quota = strtoll(text, NULL, 10);
		read_file(folder, "cpu.cfs_period_us", text, sizeof(text));
		period = strtoll(text, NULL, 10);
	}
	if (quota <= 0 || period <= 0)
		return;
	double cpus = (double)quota / (double)period;
	if (limits->cpus == 0 || cpus < limits->cpus)
		limits->cpus = cpus;
}

static void
read_both(const char *folder, bool is_v2, void *argument)
{
	read_memory(folder, is_v2, argument);
	read_cpu(folder, is_v2, argument);
}

void
cgroup_read(const char *root, struct cgroup_limits *ret)
{
	*ret = (struct cgroup_limits){ .memory_available_bytes = UINT64_MAX };
	visit_controller(root, "", read_both, ret);
	visit_controller(root, "memory", read_memory, ret);
	visit_controller(root, "cpu", read_cpu, ret);
}

/* Version 2 counts microseconds, version 1 nanoseconds. */
static void
add_throttled(const char *folder, bool is_v2, void *argument)
{
	uint64_t *ns = argument;
	char text[1024];
	read_file(folder, "cpu.stat", text, sizeof(text));
	*ns += is_v2 ? number_of(text, "throttled_usec") * 1000
		     : number_of(text, "throttled_time");
}

uint64_t
cgroup_throttled_ns(const char *root)
{
	uint64_t ns = 0;
	visit_controller(root, "", add_throttled, &ns);
	visit_controller(root, "cpu", add_throttled, &ns);
	return ns;
}

struct oom_kills {
	bool is_known;
	uint64_t count;
};

/* The first folder that tells is the nearest one. */
static void
read_oom_kills(const char *folder, bool is_v2, void *argument)
{
	struct oom_kills *kills = argument;
	char text[1024];
	read_file(
	    folder, is_v2 ? "memory.events" : "memory.oom_control", text, sizeof(text));
	if (kills->is_known || strstr(text, "oom_kill ") == NULL)
		return;
	kills->is_known = true;
	kills->count = number_of(text, "oom_kill");
}

uint64_t
cgroup_oom_kills(const char *root)
{
	struct oom_kills kills = { .is_known = false };
	visit_controller(root, "", read_oom_kills, &kills);
	visit_controller(root, "memory", read_oom_kills, &kills);
	if (kills.is_known)
		return kills.count;
	char path[PATH_MAX], text[16384];
	snprintf(path, sizeof(path), "%s/proc/vmstat", root);
	procfs_read(path, text, sizeof(text));
	return number_of(text, "oom_kill");
}
