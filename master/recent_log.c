#include "master/recent_log.h"

#include <string.h>

#include "lib/log.h"
#include "lib/printable.h"

static void
keep(char *line, void *argument)
{
	recent_log_add(argument, line);
}

void
recent_log_add(struct recent_log *recent, const char *line)
{
	char *to = recent->lines[recent->count % RECENT_LOG_LINES];
	size_t length = strcspn(line, "\n");
	if (length >= RECENT_LOG_LINE_MAX)
		length = RECENT_LOG_LINE_MAX - 1;
	memcpy(to, line, length);
	to[length] = '\0';
	printable_sanitize(to);
	recent->count++;
}

int
recent_log_start(struct recent_log *recent, struct event_base *base)
{
	const int *inherited = recent->inherited_fds;
	bool is_inherited = inherited[0] > 0 &&
	    line_pipe_continue(&recent->pipe, base, inherited, keep, recent) == 0;
	if (!is_inherited && line_pipe_start(&recent->pipe, base, keep, recent) < 0)
		return -1;
	log_set_copy_fd(recent->pipe.write_fd);
	recent->pipe.write_fd = -1;
	return 0;
}

void
recent_log_stop(struct recent_log *recent)
{
	if (recent->pipe.is_started)
		log_set_copy_fd(-1);
	line_pipe_stop(&recent->pipe);
}

const char *
recent_log_line(const struct recent_log *recent, uint64_t n)
{
	if (n >= recent->count || n >= RECENT_LOG_LINES)
		return NULL;
	return recent->lines[(recent->count - 1 - n) % RECENT_LOG_LINES];
}
