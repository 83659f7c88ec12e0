/*
 * program_path.h - the path that an upgrade executes: the path by which the server was
 * executed, unresolved, so that a symbolic link may point to another release by then.
 * If that does not lead to the running program, it is the path of /proc/self/exe.
 *
 * It is part of the upgrade state: after a rollback the file of the running program may
 * have been moved or deleted.
 */
#ifndef MASTER_UPGRADE_PROGRAM_PATH_H
#define MASTER_UPGRADE_PROGRAM_PATH_H

#include <stdbool.h>
#include <stddef.h>

/* After working_directory_find(). */
void program_path_find(void);
/* From the previous program. Ignores one that is too long. */
void program_path_set(const char *path);
/* Absolute; "" when it could not be found. */
const char *program_path(void);
/* False when an upgrade is impossible: there is no path, or no /proc. */
bool program_path_is_known(void);
/* The path, file and version of this program, and whether the file is that of the
 * descriptor. Returns text[size]. */
const char *program_path_describe(int previous_fd, char *text, size_t size);

#endif
