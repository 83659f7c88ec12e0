/*
 * load_context.h - what the files of client/load/ and client/loop/ share: one load
 * process with one epoll loop and its part of the connections. No functions;
 * generator.c fills it.
 *
 * Files call downwards only:
 *
 *   generator -> phases -> arrivals -> conn -> conn_connect, conn_send, conn_receive
 *     -> conn_tls, traffic_... -> accounting, transcript -> conn_state
 *
 * Times are CLOCK_MONOTONIC in nanoseconds. times.now_ns is read after each wait and
 * after each read of a socket, so that recorded times are exact at one clock call each.
 */
#ifndef CLIENT_LOAD_LOAD_CONTEXT_H
#define CLIENT_LOAD_LOAD_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "client/measure/counters.h"
#include "client/messages/expectation.h"
#include "client/messages/sequence.h"
#include "client/plan/plan.h"
#include "client/schedule/message_queue.h"
#include "client/schedule/pacer.h"
#include "client/schedule/timer_wheel.h"
#include "client/verify/verify.h"

#define LOAD_BUFFER_BYTES 65536 /* bytes per read and per write */
#define LOAD_NO_CONN UINT32_MAX /* ends a list of connection indexes */

struct load_connects {
	uint32_t *queue; /* ring of connections that wait for their turn to connect */
	uint32_t head, count;
	struct pacer pacer;    /* --connect-rate */
	struct pacer ramp;     /* --ramp */
	uint32_t ramp_started; /* connections that the ramp has started */
	uint32_t pending;      /* connecting, queued, or not yet started by the ramp */
};

struct load_active {
	uint32_t *list; /* open connections with messages still to send */
	uint32_t count;
};

struct load_times {
	uint64_t now_ns;
	uint64_t last_event_ns; /* last time that epoll returned an event */
	uint64_t received_ns;   /* everything that arrived before this is handled */
	uint64_t scan_start_ns; /* becomes received_ns when each socket was served */
	uint32_t scan_count;    /* events returned since the scan began; 0: no scan */
	uint64_t measure_ns;    /* messages due from here on are measured */
	uint64_t end_ns;        /* no message is due from here on */
	uint64_t drain_ns;      /* messages unanswered at this time are lost */
	uint64_t sample_ns;     /* next sample of the CPU time */
	uint64_t turn_ns;       /* start of this turn of the loop */
};

/* The sample of reads whose waiting time in the socket is asked for (own_delay.h). */
struct load_sample {
	uint64_t slow_ns; /* an answer to a message at least this old is always taken */
	uint64_t random;  /* state of the generator */
	uint32_t skip;    /* reads until the next one that is taken by chance */
	uint32_t weight;  /* of this read: messages that each one stands for; 0: none */
	uint64_t waited_ns; /* of this read: its data in the socket; 0: not known */
};

struct load_buffers {
	/* LOAD_BUFFER_BYTES each: two parts of `allocated`, or the buffers of
	 * tls_pool.h. */
	uint8_t *received, *outgoing;
	uint8_t *allocated;
};

struct load_context {
	const struct plan *plan;
	const struct traffic *traffic; /* traffic.h */
	const struct sequence *sequence;
	const struct expectation *expectation;
	struct counters *counters;
	struct control_block *control_block;
	struct transcript *transcript; /* NULL: none */
	int epoll_fd;
	int wake_fd;   /* written by the parent after it changed the control block */
	int parent_fd; /* written when the parent should read the counters */
	int stamps_fd; /* receive_time_hold() */

	struct conn *conns;
	uint32_t count;
	uint32_t first; /* index of conns[0] over all ranks */

	struct load_connects connects;
	struct load_active active;
	uint32_t ready; /* first connection with work left over, or LOAD_NO_CONN */
	struct load_times times;
	struct load_sample sample;
	struct load_buffers buffers;

	struct load_tls *tls; /* conn_tls.h; NULL: no TLS */

	struct verify verify;         /* traffic_messages */
	struct talks *talks;          /* traffic_conversation */
	struct asker *askers;         /* traffic_whoami: one for each connection */
	struct outage_watch *watches; /* --hold: one for each connection; else NULL */
	struct message_pool message_pool;
	struct timer_wheel timer_wheel;
	struct pacer arrivals;
	uint32_t next_arrival; /* connection that takes the next arrival */

	bool is_running;       /* between the start and the end */
	bool is_stopped;       /* after the end: nothing more becomes due */
	bool is_dropping;      /* messages that are due but unsent are dropped */
	uint32_t unfinished;   /* connections that are not DONE */
	uint32_t reconnecting; /* closed, and not yet open again */
	uint32_t opening;      /* connections that will be open soon (CONN_OPENING) */
	uint64_t in_flight;    /* messages, of all connections */
	uint64_t released;     /* of them: their answers need not be waited for */
	uint64_t round;        /* lockstep: the next round */
};

#endif
