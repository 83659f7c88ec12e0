#include "client/loop/generator.h"

#include <sys/epoll.h>
#include <sys/prctl.h>

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/system/descriptors.h"
#include "lib/xmalloc.h"
#include "net/receive_time.h"
#include "client/load/conn.h"
#include "client/load/conn_tls.h"
#include "client/load/outage_watch.h"
#include "client/load/traffic.h"
#include "client/load/transcript.h"
#include "client/loop/arrivals.h"
#include "client/loop/loop_stats.h"
#include "client/loop/phases.h"

#define EVENTS_MAX 256
#define CONNECTS_MAX 64 /* per turn, so that open connections are served in between */
#define WAKE_INDEX UINT32_MAX

static uint64_t
next_connect_ns(const struct load_context *ctx)
{
	return ctx->connects.count > 0 && conn_tls_has_room(ctx)
	    ? ctx->connects.pacer.next_ns
	    : UINT64_MAX;
}

static uint64_t
next_ramp_ns(const struct load_context *ctx)
{
	return ctx->connects.ramp_started < ctx->count && conn_tls_has_room(ctx)
	    ? ctx->connects.ramp.next_ns
	    : UINT64_MAX;
}

static void
take_turn(struct load_context *ctx)
{
	if (ctx->connects.pacer.gap_ns > 0)
		pacer_take(&ctx->connects.pacer);
}

/* --ramp has no queue, so that a reconnect does not wait behind it. */
static void
run_connects(struct load_context *ctx)
{
	for (int i = 0; i < CONNECTS_MAX && next_ramp_ns(ctx) <= ctx->times.now_ns;
	     i++) {
		conn_state_skip_unused_turns(ctx);
		take_turn(ctx);
		pacer_take(&ctx->connects.ramp);
		ctx->connects.pending--;
		conn_start(ctx, &ctx->conns[ctx->connects.ramp_started++]);
	}
	for (int i = 0; i < CONNECTS_MAX && next_connect_ns(ctx) <= ctx->times.now_ns;
	     i++) {
		take_turn(ctx);
		conn_start(ctx, conn_state_dequeue_connect(ctx));
	}
}

static void
run_ready(struct load_context *ctx)
{
	uint32_t index = ctx->ready;
	ctx->ready = LOAD_NO_CONN;
	while (index != LOAD_NO_CONN) {
		struct conn *conn = &ctx->conns[index];
		index = conn->next_ready;
		conn->is_ready = false;
		conn_on_ready(ctx, conn);
	}
}

/* Everything that had arrived before a scan began is handled when a wait returns fewer
 * events than it could, or when as many events as sockets were returned (epoll_wait(2)
 * takes the sockets in turn). */
static void
update_received_ns(struct load_context *ctx, uint64_t polled_ns, int n)
{
	if (ctx->times.scan_count == 0)
		ctx->times.scan_start_ns = polled_ns;
	ctx->times.scan_count += (uint32_t)n;
	if (n == EVENTS_MAX && ctx->times.scan_count <= ctx->count)
		return;
	ctx->times.received_ns = ctx->times.scan_start_ns;
	ctx->times.scan_count = 0;
}

/* Uses received_ns, not the present time: a process that was stopped or had no CPU must
 * read the answers that arrived in time before it declares any late. */
static void
run_timers(struct load_context *ctx)
{
	uint32_t timer;
	while (timer_wheel_expire(&ctx->timer_wheel, ctx->times.received_ns, &timer))
		conn_on_timer(ctx, &ctx->conns[timer]);
}

/* When the loop must wake up; 0: at once. */
static uint64_t
next_wake(const struct load_context *ctx)
{
	uint64_t times[] = { timer_wheel_next(&ctx->timer_wheel), next_connect_ns(ctx),
		next_ramp_ns(ctx), phases_next_ns(ctx), loop_stats_next_ns(ctx),
		ctx->times.sample_ns };
	uint64_t wake = ctx->ready != LOAD_NO_CONN ? 0 : UINT64_MAX;
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		wake = times[i] < wake ? times[i] : wake;
	return wake;
}

static void
on_wake(struct load_context *ctx)
{
	uint64_t count;
	if (read(ctx->wake_fd, &count, sizeof(count)) < 0)
		return; /* the control block is read in any case */
}

static void
on_events(struct load_context *ctx, const struct epoll_event *events, int n)
{
	for (int i = 0; i < n; i++) {
		uint32_t index = events[i].data.u32;
		if (index == WAKE_INDEX)
			on_wake(ctx);
		else
			conn_on_event(ctx, &ctx->conns[index], events[i].events);
		if (ctx->arrivals.next_ns <= ctx->times.now_ns)
			arrivals_run(ctx);
	}
}

/* Polls for events without sleeping. */
static int
poll_events(struct load_context *ctx, uint64_t until_ns, struct epoll_event *events)
{
	const struct timespec none = { 0, 0 };
	int n;
	do {
		n = descriptors_epoll_wait(ctx->epoll_fd, events, EVENTS_MAX, &none);
		ctx->times.now_ns = clock_now_ns();
	} while (n == 0 && ctx->times.now_ns < until_ns);
	return n;
}

/* Waits for an event until `wake`; polls instead of sleeping during spin_ns after the
 * last event, and during spin_ns before `wake`. */
static int
wait_events(struct load_context *ctx, uint64_t wake, struct epoll_event *events)
{
	struct timespec timeout = { 0, 0 };
	uint64_t spin = ctx->plan->spin_ns,
		 poll_until = ctx->times.last_event_ns + spin;
	int n = 0;
	if (spin > 0 && ctx->times.now_ns < poll_until)
		n = poll_events(ctx, poll_until < wake ? poll_until : wake, events);
	if (n != 0)
		return n;
	if (wake > ctx->times.now_ns + spin) {
		uint64_t sleep = wake - ctx->times.now_ns - spin;
		timeout.tv_sec = (time_t)(sleep / NS_PER_S);
		timeout.tv_nsec = (long)(sleep % NS_PER_S);
	}
	n = descriptors_epoll_wait(ctx->epoll_fd, events, EVENTS_MAX, &timeout);
	ctx->times.now_ns = clock_now_ns();
	if (n == 0 && spin > 0 && ctx->times.now_ns < wake)
		n = poll_events(ctx, wake, events);
	return n;
}

static int
loop(struct load_context *ctx)
{
	struct epoll_event events[EVENTS_MAX];
	while (!phases_are_over(ctx)) {
		uint64_t wake = next_wake(ctx), polled_ns = ctx->times.now_ns;
		int n = wait_events(ctx, wake, events);
		if (n < 0 && errno != EINTR)
			return -1;
		if (n > 0)
			ctx->times.last_event_ns = ctx->times.now_ns;
		loop_stats_turn(ctx, wake);
		arrivals_run(ctx);
		if (n > 0)
			on_events(ctx, events, n);
		if (n >= 0)
			update_received_ns(ctx, polled_ns, n);
		run_timers(ctx);
		run_ready(ctx);
		run_connects(ctx);
		phases_step(ctx);
	}
	return 0;
}

static int
open_loop(struct load_context *ctx)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = WAKE_INDEX };
	ctx->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (ctx->epoll_fd < 0)
		return -1;
	return epoll_ctl(ctx->epoll_fd, EPOLL_CTL_ADD, ctx->wake_fd, &event);
}

static void
allocate(struct load_context *ctx)
{
	uint32_t count = ctx->count;
	ctx->conns = xcalloc(count, sizeof(ctx->conns[0]));
	ctx->active.list = xcalloc(count, sizeof(uint32_t));
	ctx->connects.queue = xcalloc(count, sizeof(uint32_t));
	ctx->buffers.allocated = xmalloc(2 * LOAD_BUFFER_BYTES);
	ctx->buffers.received = ctx->buffers.allocated;
	ctx->buffers.outgoing = ctx->buffers.allocated + LOAD_BUFFER_BYTES;
	timer_wheel_init(&ctx->timer_wheel, count, ctx->times.now_ns);
	message_queue_pool_init(&ctx->message_pool);
	conn_tls_init(ctx);
	ctx->traffic->start(ctx);
	outage_watch_start(ctx);
}

static void
release(struct load_context *ctx)
{
	ctx->traffic->finish(ctx);
	conn_tls_finish(ctx);
	timer_wheel_finish(&ctx->timer_wheel);
	message_queue_pool_finish(&ctx->message_pool);
	free(ctx->conns);
	free(ctx->active.list);
	free(ctx->connects.queue);
	free(ctx->buffers.allocated);
	if (ctx->epoll_fd >= 0)
		close(ctx->epoll_fd);
	if (ctx->stamps_fd >= 0)
		close(ctx->stamps_fd);
}

static void
init_conns(struct load_context *ctx)
{
	bool ramps = ctx->plan->ramp_ns > 0;
	ctx->unfinished = ctx->count;
	ctx->connects.ramp_started = ramps ? 0 : ctx->count;
	ctx->connects.pending = ramps ? ctx->count : 0;
	for (uint32_t i = 0; i < ctx->count; i++) {
		conn_state_init(&ctx->conns[i]);
		if (!ramps)
			conn_state_enqueue_connect(ctx, &ctx->conns[i]);
	}
}

/* Connections that are still open when the run is ended. */
static void
end_answers(struct load_context *ctx)
{
	for (uint32_t i = 0; i < ctx->count; i++)
		ctx->traffic->end(ctx, &ctx->conns[i]);
}

int
generator_run(const struct generator_args *args)
{
	struct load_context ctx = {
		.plan = args->plan,
		.traffic = args->plan->conversation_file != NULL ? &traffic_conversation
		    : plan_expects_whoami(args->plan)            ? &traffic_whoami
								 : &traffic_messages,
		.sequence = args->sequence,
		.expectation = args->expectation,
		.counters = args->counters,
		.control_block = args->control_block,
		.epoll_fd = -1,
		.wake_fd = args->wake_fd,
		.parent_fd = args->parent_fd,
		.stamps_fd = receive_time_hold(),
		.times.now_ns = clock_now_ns(),
		.ready = LOAD_NO_CONN,
	};
	struct transcript transcript;
	int rc = -1;
	transcript_start(&ctx, &transcript);
	ctx.count = plan_share(args->plan, args->process, &ctx.first);
	/* The default slack of 50 us would delay wake-ups. */
	prctl(PR_SET_TIMERSLACK, 1UL);
	allocate(&ctx);
	if (open_loop(&ctx) == 0) {
		init_conns(&ctx);
		phases_start(&ctx);
		rc = loop(&ctx);
		end_answers(&ctx);
		outage_watch_finish(&ctx);
		if (rc == 0)
			phases_finish(&ctx);
	}
	release(&ctx);
	transcript_finish(&ctx);
	return rc;
}
