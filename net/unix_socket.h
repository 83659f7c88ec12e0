/*
 * unix_socket.h - a listening Unix stream socket with its file.
 *
 * A killed process leaves its socket file behind. An existing file is therefore probed
 * with connect(2): it is replaced if no process listens on it, and an error if one
 * does. Processes that probe at the same time take turns, so that one of them gets the
 * path.
 */
#ifndef NET_UNIX_SOCKET_H
#define NET_UNIX_SOCKET_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>

#include "net/address.h"

struct file_id {
	dev_t device;
	ino_t inode; /* 0: not known */
};

/* A descriptor, non-blocking and close-on-exec, whose file has mode 0660; or -1 with
 * one line in error[error_size]. */
int unix_socket_open(const char *path, int backlog, char *error, size_t error_size)
    __attribute__((warn_unused_result));

/* Mode and owners of the socket's file: a process that may write to it may connect. */
struct unix_socket_access {
	mode_t mode;
	uid_t owner; /* (uid_t)-1: the user of the process */
	gid_t group; /* (gid_t)-1: the group of the process */
};

/* As unix_socket_open(), for a Unix address, whose file then has that access; an
 * abstract one has no file. */
int unix_socket_listen(const struct address *address,
    const struct unix_socket_access *access, int backlog, char *error,
    size_t error_size) __attribute__((warn_unused_result));

/* Whether this process could create the file of a Unix address with that access. A
 * socket that is there may be that of a running server. Of a path in /run only a file
 * there is found: a unit makes the folder for its user when it starts. A listener can
 * also have a socket that a unit made in a folder of another user, and the group of a
 * setgid folder. 0, or -1 with the line that unix_socket_listen() would give. */
int unix_socket_check(const struct address *address,
    const struct unix_socket_access *access, bool is_listener, char *error,
    size_t error_size) __attribute__((warn_unused_result));

/* True if both are the path of one file, in different spellings: the same name in the
 * same folder. */
bool unix_socket_is_same_path(const struct address *a, const struct address *b);

/* Changes the access of an existing file. 0, or -1 with one line in the error. */
int unix_socket_set_access(const char *path, const struct unix_socket_access *access,
    char *error, size_t error_size) __attribute__((warn_unused_result));

/* Lets no process connect any more, for ever; the accept queue stays. It acts in every
 * process that shares the socket. 0, or -1 with errno. */
int unix_socket_retire(int fd) __attribute__((warn_unused_result));

/* Gives the file to a group; NULL is the group of the process. 0, or -1 with errno. */
int unix_socket_set_group(const char *path, const char *group)
    __attribute__((warn_unused_result));

/* The socket file at that path now. */
void unix_socket_identify(const char *path, struct file_id *ret);
/* True if the file at that path is still this one. */
bool unix_socket_is_same(const char *path, const struct file_id *file);
/* Removes the file, if it is still this one. */
void unix_socket_remove(const char *path, const struct file_id *file);

#endif
