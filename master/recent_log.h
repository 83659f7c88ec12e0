/*
 * recent_log.h - the latest log lines of level warn and above, of all processes of the
 * server, for operators who look at its page.
 *
 * Each process writes such lines to a pipe, too (log_set_copy_fd()). The master keeps
 * the latest ones, with control characters replaced. An upgrade keeps the lines and the
 * pipe, so that lines of the workers of the previous program arrive, too.
 */
#ifndef MASTER_RECENT_LOG_H
#define MASTER_RECENT_LOG_H

#include <stdint.h>

#include "master/line_pipe.h"

#define RECENT_LOG_LINES 50
#define RECENT_LOG_LINE_MAX 512 /* bytes, NUL included; longer lines are cut */

struct recent_log {
	struct line_pipe pipe;
	int inherited_fds[2]; /* a pipe of the previous program; 0: none */
	uint64_t count;       /* lines ever; the latest ones are kept */
	char lines[RECENT_LOG_LINES][RECENT_LOG_LINE_MAX];
};

/* From now on lines are kept. 0, or -1 with errno. */
int recent_log_start(struct recent_log *recent, struct event_base *base)
    __attribute__((warn_unused_result));
/* Keeps one line, up to its newline. */
void recent_log_add(struct recent_log *recent, const char *line);
/* Does nothing if it is not started. */
void recent_log_stop(struct recent_log *recent);

/* The n-th latest line, from 0; NULL behind the last. */
const char *recent_log_line(const struct recent_log *recent, uint64_t n);

#endif
