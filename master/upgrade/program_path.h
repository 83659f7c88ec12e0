/*
 * program_path.h - the path that an upgrade executes: the name by which the server was
 * started, unresolved, so that a symbolic link may point to another release by then. If
 * that name does not lead to the running program, it is the path of /proc/self/exe.
 *
 * It is part of the upgrade state: after a rollback the file of the running program may
 * have been moved or deleted.
 */
#ifndef MASTER_UPGRADE_PROGRAM_PATH_H
#define MASTER_UPGRADE_PROGRAM_PATH_H

/* From argv[0]. */
void program_path_find(const char *name);
/* From the previous program. Ignores one that is too long. */
void program_path_set(const char *path);
/* Absolute; "" when it could not be found. */
const char *program_path(void);

#endif
