/*
 * log_relay.h - lines that workers log to syslog go through a pipe to the master, which
 * sends them: a worker that held the socket of syslog could send to any other datagram
 * socket of the host, which no sandbox can prevent (sendmsg(2) with an address).
 *
 * One packet of the pipe is one line. A line that finds the pipe full is lost, and
 * counted by its worker, as with any other log. Lines are untrusted: what is not one
 * line of this log's priorities is dropped, control characters are replaced. The pipe
 * belongs to one program: after an upgrade the workers get a new one.
 */
#ifndef MASTER_LOG_RELAY_H
#define MASTER_LOG_RELAY_H

#include <stdbool.h>

#include <event2/event_struct.h>

struct log_relay {
	struct event event;
	bool is_started;
	int read_fd, write_fd;
};

/* 0, or -1 with errno. */
int log_relay_start(struct log_relay *relay, struct event_base *base)
    __attribute__((warn_unused_result));
/* Sends what is left, and closes. Does nothing if it is not started. */
void log_relay_stop(struct log_relay *relay);

#endif
