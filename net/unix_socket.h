/*
 * unix_socket.h - the listening socket of a door (http_server.h), and its file where it
 * is a Unix socket.
 *
 * The file outlives a process that was killed. So one that is there is asked: when
 * nobody answers it is replaced, when somebody does another server has it. Of several
 * that ask at the same time one gets it.
 */
#ifndef NET_UNIX_SOCKET_H
#define NET_UNIX_SOCKET_H

#include <sys/types.h>

#include <stddef.h>

struct file_id {
	dev_t device;
	ino_t inode; /* 0: not known */
};

/* Both are non-blocking and close-on-exec. A descriptor, or -1 with one line in
 * error[error_size]. The file of a Unix socket has mode 0660. */
int unix_socket_open(const char *path, int backlog, char *error, size_t error_size)
    __attribute__((warn_unused_result));
int unix_socket_open_tcp(const char *text, int backlog, char *error, size_t error_size)
    __attribute__((warn_unused_result));

/* 0, or -1 with errno. NULL is the process's own group. */
int unix_socket_set_group(const char *path, const char *group)
    __attribute__((warn_unused_result));

/* Which file lies at that path now. */
void unix_socket_identify(const char *path, struct file_id *ret);
/* Removes the file when it is still the one. */
void unix_socket_remove(const char *path, const struct file_id *file);

#endif
