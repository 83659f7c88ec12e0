#include "master/upgrade/program_path.h"

#include <sys/stat.h>

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char found[PATH_MAX];

void
program_path_set(const char *path)
{
	if (strlen(path) < sizeof(found))
		snprintf(found, sizeof(found), "%s", path);
}

const char *
program_path(void)
{
	return found;
}

static bool
is_running_program(const char *path)
{
	struct stat st, own;
	return stat(path, &st) == 0 && stat("/proc/self/exe", &own) == 0 &&
	    st.st_dev == own.st_dev && st.st_ino == own.st_ino;
}

/* The kernel appends a word to the path of a deleted file. */
static void
find_by_kernel(void)
{
	static const char suffix[] = " (deleted)";
	const size_t suffix_length = sizeof(suffix) - 1;
	ssize_t n = readlink("/proc/self/exe", found, sizeof(found) - 1);
	size_t length = n > 0 ? (size_t)n : 0;
	found[length] = '\0';
	if (length > suffix_length &&
	    strcmp(found + length - suffix_length, suffix) == 0)
		found[length - suffix_length] = '\0';
}

void
program_path_find(const char *name)
{
	char path[2 * PATH_MAX], folder[PATH_MAX] = "";
	/* A shell has searched PATH for a name without a slash. */
	bool is_path = name != NULL && strchr(name, '/') != NULL;
	bool is_absolute = is_path && name[0] == '/';
	if (is_path && (is_absolute || getcwd(folder, sizeof(folder)) != NULL)) {
		int n = snprintf(
		    path, sizeof(path), "%s%s%s", folder, is_absolute ? "" : "/", name);
		if (n < PATH_MAX && is_running_program(path)) {
			program_path_set(path);
			return;
		}
	}
	find_by_kernel();
}
