/*
 * line_pipe.h - a pipe by which the processes of the server send lines of text to the
 * master. One packet is one line. A line that finds the pipe full is lost, and counted
 * by its sender. An upgrade may pass the pipe to the next program, which then also
 * reads what the workers of the previous one send.
 */
#ifndef MASTER_LINE_PIPE_H
#define MASTER_LINE_PIPE_H

#include <stdbool.h>

#include <event2/event_struct.h>

/* Gets one line, untrusted, and may change it. */
typedef void (*line_pipe_reader)(char *line, void *argument);

struct line_pipe {
	struct event event;
	line_pipe_reader on_line;
	void *argument;
	bool is_started;
	int read_fd;
	int write_fd; /* -1: it has another owner now */
};

/* 0, or -1 with errno. */
int line_pipe_start(struct line_pipe *pipe, struct event_base *base,
    line_pipe_reader on_line, void *argument) __attribute__((warn_unused_result));
/* As line_pipe_start(), with a pipe of the previous program. 0, or -1 with errno, and
 * the descriptors stay the caller's. */
int line_pipe_continue(struct line_pipe *pipe, struct event_base *base,
    const int fds[2], line_pipe_reader on_line, void *argument)
    __attribute__((warn_unused_result));
/* Reads what is left, and closes. Does nothing if it is not started. */
void line_pipe_stop(struct line_pipe *pipe);

#endif
