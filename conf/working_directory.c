#include "conf/working_directory.h"

#include <sys/stat.h>

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"

static char name[PATH_MAX]; /* "": unknown */

static bool
is_working_directory(const char *path)
{
	struct stat st, here;
	return path != NULL && path[0] == '/' && strlen(path) < sizeof(name) &&
	    stat(path, &st) == 0 && stat(".", &here) == 0 && st.st_dev == here.st_dev &&
	    st.st_ino == here.st_ino;
}

void
working_directory_find(void)
{
	const char *path = getenv("PWD");
	if (is_working_directory(path))
		snprintf(name, sizeof(name), "%s", path);
	else if (getcwd(name, sizeof(name)) == NULL)
		name[0] = '\0';
}

void
working_directory_follow(void)
{
	/* EACCES: started as another user, in a directory that this one cannot enter.
	 */
	if (name[0] != '\0' && chdir(name) < 0 && errno != EACCES)
		log_warn("[working_directory_failed path] "
			 "cannot change to the working directory %s",
		    name);
}

char *
working_directory_join(const char *path, char *ret, size_t size)
{
	while (strncmp(path, "./", 2) == 0)
		path += 2;
	int n = snprintf(ret, size, "%s%s%s", path[0] == '/' ? "" : name,
	    path[0] == '/' ? "" : "/", path);
	if (n < 0 || (size_t)n >= size || ret[0] != '/')
		ret[0] = '\0';
	return ret;
}
