/*
 * clock.h - time in nanoseconds (clock_gettime(2)).
 *
 * Durations and deadlines use the monotonic clock; only what people read, and a start
 * that several hosts agree on, uses the time of day.
 */
#ifndef LIB_CLOCK_H
#define LIB_CLOCK_H

#include <sys/time.h>

#include <stdint.h>
#include <time.h>

#define NS_PER_S UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_US UINT64_C(1000)

static inline uint64_t
clock_read_ns(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* CLOCK_MONOTONIC */
static inline uint64_t
clock_now_ns(void)
{
	return clock_read_ns(CLOCK_MONOTONIC);
}

/* CLOCK_MONOTONIC */
static inline double
clock_now_s(void)
{
	return (double)clock_now_ns() / (double)NS_PER_S;
}

/* Milliseconds since a value of clock_now_ns(). */
static inline double
clock_elapsed_ms(uint64_t since_ns)
{
	return (double)(clock_now_ns() - since_ns) / (double)NS_PER_MS;
}

/* CPU time of this thread */
static inline uint64_t
clock_cpu_ns(void)
{
	return clock_read_ns(CLOCK_THREAD_CPUTIME_ID);
}

/* CLOCK_REALTIME: nanoseconds since the epoch */
static inline uint64_t
clock_realtime_ns(void)
{
	return clock_read_ns(CLOCK_REALTIME);
}

/* CLOCK_REALTIME - CLOCK_MONOTONIC */
static inline uint64_t
clock_realtime_offset_ns(void)
{
	return clock_realtime_ns() - clock_now_ns();
}

static inline struct timeval
clock_timeval(uint64_t ns)
{
	return (struct timeval){ .tv_sec = (time_t)(ns / NS_PER_S),
		.tv_usec = (suseconds_t)(ns % NS_PER_S / 1000) };
}

#endif
