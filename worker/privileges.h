/*
 * privileges.h - giving up root for good.
 */
#ifndef WORKER_PRIVILEGES_H
#define WORKER_PRIVILEGES_H

/* Becomes `user` and `group` (NULL: the user's own), for ever, when `user` is not NULL
 * and the process is root. Whoever it is then holds no capability, gets none from a
 * program that it executes (no_new_privs), and, where the process was root, has an
 * empty bounding set. 0, or -1 with the reason logged. */
int privileges_drop(const char *user, const char *group)
    __attribute__((warn_unused_result));
/* Warns where `user` is somebody else whom this process cannot become: it stays what it
 * is, which is no root. */
void privileges_warn(const char *user);

#endif
