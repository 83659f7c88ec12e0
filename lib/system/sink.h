/*
 * sink.h - a descriptor that lines of text are written to, without ever waiting for its
 * reader.
 *
 * O_NONBLOCK belongs to the open file description, which an inherited stdout or stderr
 * shares with other programs: it is never set there. Instead
 *
 * - a socket is written by send(2) with MSG_DONTWAIT;
 * - a terminal or pipe by a description of our own, opened through /proc with
 *   O_NONBLOCK, the terminal also through /dev/tty;
 * - a pipe that cannot be opened again by pwritev2(2) with RWF_NOWAIT, before Linux 6.4
 *   after poll(2): a pipe that polls writable takes a line of up to PIPE_BUF;
 * - anything else by write(2): files and devices have no reader that stalls.
 *
 * A sink stays valid across fork(2); a process that may open nothing inherits it.
 */
#ifndef LIB_SYSTEM_SINK_H
#define LIB_SYSTEM_SINK_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>

enum sink_kind {
	SINK_FILE,     /* write(2), which may wait for a disk */
	SINK_SOCKET,   /* send(2) with MSG_DONTWAIT */
	SINK_OWN,      /* fd has O_NONBLOCK, and no other program shares it */
	SINK_TERMINAL, /* the same */
	SINK_PIPE,     /* shared, for RWF_NOWAIT */
	SINK_POLLED,   /* shared, for poll(2) before each write */
};

struct sink {
	int fd;
	enum sink_kind kind;
	bool is_owned; /* sink_close() closes fd */
	bool is_cut;   /* the last text was written in part */
};

/* A sink for an inherited descriptor, which stays open and unchanged. Never fails. */
void sink_attach(struct sink *sink, int fd);
/* A sink for a descriptor of which no other program has a copy, with O_NONBLOCK unless
 * it is a file. */
void sink_own(struct sink *sink, int fd);
/* Closes what sink_attach() opened and what sink_own() got. */
void sink_close(struct sink *sink);

/* Opens a file (`how`: O_APPEND or O_TRUNC; created with `mode`), a device, or a FIFO.
 * A FIFO needs no reader: it is opened for reading too, so that its lines stay there
 * until one comes. The descriptor, or -1 with errno. */
int sink_open(const char *path, int how, mode_t mode)
    __attribute__((warn_unused_result));

/* Writes a text, which may contain any bytes. Returns the number of bytes written,
 * fewer than `length` if there was no room for more, or -1 with errno: EAGAIN if there
 * is no room at all. A text of up to PIPE_BUF bytes is written to a pipe as a whole or
 * not. */
long sink_write(struct sink *sink, const void *text, size_t length)
    __attribute__((warn_unused_result));
/* Writes a line: 0, or -1 with errno if it is not there as a whole. A line that was cut
 * off is ended before the next one begins. */
int sink_write_line(struct sink *sink, const char *line, size_t length)
    __attribute__((warn_unused_result));
/* Waits until there may be room, at most timeout_ms. */
void sink_wait(const struct sink *sink, int timeout_ms);

#endif
