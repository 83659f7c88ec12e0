#include "client/probes/survey_loop.h"

#include <sys/epoll.h>
#include <sys/signalfd.h>

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/system/descriptors.h"
#include "lib/xmalloc.h"
#include "client/probes/survey_conn.h"

#define SIGNAL_INDEX UINT32_MAX
#define EVENTS_MAX 128

/* SIGINT and SIGTERM are read from a descriptor from here on. */
static int
open_signals(sigset_t *ret_before)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, ret_before);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int
survey_loop_init(
    struct survey_loop *loop, uint32_t capacity, uint64_t connections, uint64_t end_ns)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = SIGNAL_INDEX };
	*loop = (struct survey_loop){
		.epoll_fd = epoll_create1(EPOLL_CLOEXEC),
		.now_ns = clock_now_ns(),
		.end_ns = end_ns,
		.conns = xcalloc(capacity, sizeof(loop->conns[0])),
		.capacity = capacity,
		.tokens = SURVEY_PACE_BURST,
		.left = connections,
	};
	loop->signal_fd = open_signals(&loop->signals_before);
	loop->tokens_ns = loop->now_ns;
	for (uint32_t i = 0; i < capacity; i++)
		loop->conns[i].stream.fd = -1;
	timer_wheel_init(&loop->timers, capacity, loop->now_ns);
	if (loop->epoll_fd < 0 || loop->signal_fd < 0 ||
	    epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->signal_fd, &event) < 0)
		return -1;
	return 0;
}

static void
read_signal(struct survey_loop *loop)
{
	struct signalfd_siginfo info;
	if (read(loop->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		loop->is_interrupted = true;
}

void
survey_loop_finish(struct survey_loop *loop)
{
	for (uint32_t i = 0; i < loop->capacity; i++)
		survey_conn_close(loop, &loop->conns[i]);
	timer_wheel_finish(&loop->timers);
	free(loop->conns);
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	if (loop->signal_fd < 0)
		return;
	/* One that came late has ended the survey, not the report. */
	read_signal(loop);
	read_signal(loop);
	close(loop->signal_fd);
	sigprocmask(SIG_SETMASK, &loop->signals_before, NULL);
}

bool
survey_loop_has_time(const struct survey_loop *loop, uint64_t ns)
{
	return !loop->is_interrupted && loop->now_ns + ns <= loop->end_ns;
}

static void
expire_timers(struct survey_loop *loop)
{
	uint32_t index;
	while (timer_wheel_expire(&loop->timers, loop->now_ns, &index)) {
		struct survey_conn *conn = &loop->conns[index];
		if (conn->state != SURVEY_CONN_FREE && conn->on_timer != NULL)
			conn->on_timer(conn->owner, conn);
	}
}

/* Waits for events, at most until until_ns, and handles them. */
static void
run_once(struct survey_loop *loop, uint64_t until_ns)
{
	struct epoll_event events[EVENTS_MAX];
	uint64_t next_ns = timer_wheel_next(&loop->timers);
	int count;
	if (until_ns < next_ns)
		next_ns = until_ns;
	uint64_t wait_ns = next_ns > loop->now_ns ? next_ns - loop->now_ns : 0;
	const struct timespec timeout = { .tv_sec = (time_t)(wait_ns / NS_PER_S),
		.tv_nsec = (long)(wait_ns % NS_PER_S) };
	count = descriptors_epoll_wait(loop->epoll_fd, events, EVENTS_MAX, &timeout);
	loop->now_ns = clock_now_ns();
	for (int i = 0; i < count; i++) {
		if (events[i].data.u32 == SIGNAL_INDEX)
			read_signal(loop);
		else
			survey_conn_on_event(
			    loop, &loop->conns[events[i].data.u32], events[i].events);
	}
	expire_timers(loop);
}

bool
survey_loop_wait(struct survey_loop *loop, uint64_t timeout_ns,
    bool (*is_done)(const void *argument), const void *argument)
{
	loop->now_ns = clock_now_ns();
	uint64_t until_ns = loop->now_ns + timeout_ns;
	if (until_ns > loop->end_ns)
		until_ns = loop->end_ns;
	/* Once at least, so that an interrupt is seen where nothing is waited for. */
	do {
		if (is_done(argument))
			return true;
		run_once(loop, until_ns);
	} while (loop->now_ns < until_ns && !loop->is_interrupted);
	return is_done(argument);
}

static bool
is_never_done(const void *argument)
{
	(void)argument;
	return false;
}

void
survey_loop_sleep(struct survey_loop *loop, uint64_t ns)
{
	(void)survey_loop_wait(loop, ns, is_never_done, NULL);
}
