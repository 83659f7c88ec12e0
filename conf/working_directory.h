/*
 * working_directory.h - the directory from which the server was started, by the name
 * that the operator used (pwd -L): relative paths of the command line lead from there,
 * also when a symbolic link in that name leads to another release by then. (The working
 * directory of a process stays the old one.)
 */
#ifndef CONF_WORKING_DIRECTORY_H
#define CONF_WORKING_DIRECTORY_H

#include <stddef.h>

/* To be called at the start: $PWD if it leads to the working directory, else
 * getcwd(3). */
void working_directory_find(void);
/* Makes the directory that its name leads to now the working directory; without one
 * the old one stays. */
void working_directory_follow(void);
/* An absolute path, with the links in it; "" if it does not fit ret[size]. Returns ret.
 */
char *working_directory_join(const char *path, char *ret, size_t size);

#endif
