#include "master/upgrade/program_path.h"

#include <sys/auxv.h>
#include <sys/stat.h>

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/printable.h"
#include "conf/working_directory.h"

#define OWN_FILE "/proc/self/exe"

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

/* Without /proc the name by which the kernel has executed the program is believed. */
static bool
is_running_program(const char *path)
{
	struct stat st, own;
	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	return stat(OWN_FILE, &own) < 0 ||
	    (st.st_dev == own.st_dev && st.st_ino == own.st_ino);
}

/* The kernel appends a word to the path of a deleted file. */
static void
find_by_kernel(void)
{
	static const char suffix[] = " (deleted)";
	const size_t suffix_length = sizeof(suffix) - 1;
	ssize_t n = readlink(OWN_FILE, found, sizeof(found) - 1);
	size_t length = n > 0 ? (size_t)n : 0;
	found[length] = '\0';
	if (length > suffix_length &&
	    strcmp(found + length - suffix_length, suffix) == 0)
		found[length - suffix_length] = '\0';
}

/* fexecve(3) executes a descriptor, which leads nowhere afterwards. */
static bool
is_descriptor(const char *path)
{
	return strncmp(path, "/dev/fd/", strlen("/dev/fd/")) == 0 ||
	    strncmp(path, "/proc/", strlen("/proc/")) == 0;
}

void
program_path_find(void)
{
	char path[PATH_MAX];
	/* The path given to execve(2): a shell has searched PATH. */
	unsigned long address = getauxval(AT_EXECFN); /* of a text, or 0 */
	const char *name;
	_Static_assert(sizeof(name) == sizeof(address), "an address fits");
	memcpy(&name, &address, sizeof(name));
	if (name != NULL && !is_descriptor(name) &&
	    is_running_program(working_directory_join(name, path, sizeof(path))))
		program_path_set(path);
	else
		find_by_kernel();
}

bool
program_path_is_known(void)
{
	struct stat st;
	return found[0] != '\0' && stat(OWN_FILE, &st) == 0;
}

const char *
program_path_describe(int previous_fd, char *text, size_t size)
{
	char path[PRINTABLE_TAIL_MAX], real[PATH_MAX], file[PRINTABLE_TAIL_MAX];
	struct stat own, previous;
	ssize_t n = readlink(OWN_FILE, real, sizeof(real) - 1);
	real[n > 0 ? n : 0] = '\0';
	bool is_same = stat(OWN_FILE, &own) == 0 &&
	    fstat(previous_fd, &previous) == 0 && own.st_dev == previous.st_dev &&
	    own.st_ino == previous.st_ino;
	bool is_link = strcmp(real, found) != 0;
	snprintf(text, size, "%s%s%s%s, version " YODEL_VERSION "%s",
	    printable_tail(found, path, sizeof(path)), is_link ? " (file " : "",
	    is_link ? printable_tail(real, file, sizeof(file)) : "", is_link ? ")" : "",
	    is_same ? ", the same file as before" : "");
	return text;
}
