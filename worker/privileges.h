/*
 * privileges.h - giving up root for good.
 */
#ifndef WORKER_PRIVILEGES_H
#define WORKER_PRIVILEGES_H

/* Becomes `user` and `group` (NULL: the user's own), for ever. Does nothing when user
 * is NULL or the process is no root. 0, or -1 with the reason logged. */
int privileges_drop(const char *user, const char *group)
    __attribute__((warn_unused_result));

#endif
