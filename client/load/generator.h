/*
 * generator.h - one process of the load: one epoll loop and its share of the callers.
 *
 *   connecting -> waiting for the common start -> running -> draining -> finished
 *
 * Time is CLOCK_MONOTONIC in nanoseconds; now_ns is read after each wait and after each
 * read, so that what is recorded is true and costs one look at the clock.
 */
#ifndef CLIENT_LOAD_GENERATOR_H
#define CLIENT_LOAD_GENERATOR_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "client/load/conn.h"
#include "client/load/pacer.h"
#include "client/load/timer_wheel.h"
#include "client/measure/counters.h"
#include "client/messages/expectation.h"
#include "client/messages/sequence.h"
#include "client/plan/plan.h"
#include "client/verify/verify.h"

#define GENERATOR_BUFFER 65536 /* bytes read, and written, at once */
#define GENERATOR_NONE UINT32_MAX

/* A ring of callers that wait for their turn to dial. */
struct connect_queue {
	uint32_t *entries;
	uint32_t head;
	uint32_t count;
};

struct generator {
	const struct plan *plan;
	const struct sequence *sequence;
	const struct expectation *expectation;
	struct counters *counters;
	struct control_block *control_block;
	struct verify verify;
	struct message_pool message_pool;
	struct timer_wheel timer_wheel;
	struct conn *conns;
	uint32_t count;
	uint32_t first; /* index of callers[0], in all ranks */
	int epoll_fd;
	int wake_fd;   /* the parent writes when the board changed */
	int parent_fd; /* written when the parent should look at the tally */

	uint64_t now_ns;
	uint64_t last_event_ns; /* when something last happened */
	uint64_t received_ns;   /* all that had come by then is handled */
	uint64_t scan_start_ns; /* the same, when each socket has had its turn... */
	uint32_t scan_count;    /* ...of which so many had one; 0: all */
	uint64_t measure_ns;    /* messages due from then on are in the figures */
	uint64_t end_ns;        /* nothing is due from then on */
	uint64_t drain_ns;      /* what is unanswered then is lost */
	uint64_t sample_ns;     /* when the cost is looked at next */
	bool is_running;        /* between the start and the end */
	bool is_stopped;        /* after it: nothing more becomes due */
	bool is_dropping;       /* what is due and not sent is not sent any more */
	bool has_failed;        /* out of memory: it cannot go on */

	struct connect_queue connect_queue;
	struct pacer connect_pacer; /* of those in the queue */
	struct pacer ramp;          /* of those that --ramp has not begun yet: */
	uint32_t ramp_started;      /* the first of them */
	struct pacer arrivals;
	uint32_t arrival_at; /* the caller that takes the next arrival */

	uint32_t *active; /* open callers that still have messages to send */
	uint32_t active_count;
	uint32_t ready; /* first of the callers with work left over */
	uint32_t
	    connecting; /* callers that dial, or have not dialled for the first time */
	uint32_t unfinished; /* callers that are not done */
	uint64_t in_flight;
	uint64_t round; /* lockstep: the next to be sent */

	uint8_t *received;
	uint8_t *outgoing;
};

struct generator_args {
	const struct plan *plan;
	const struct sequence *sequence;
	const struct expectation *expectation;
	struct counters *counters;
	struct control_block *control_block;
	uint32_t process;
	int wake_fd;
	int parent_fd;
};

/* Runs a generator process to its end. Returns 0, or -1 with errno when it could not
 * start. */
int generator_run(const struct generator_args *args);

static inline uint32_t
generator_index(const struct generator *generator, const struct conn *conn)
{
	return (uint32_t)(conn - generator->conns);
}

/* The caller's number in all ranks. */
static inline uint64_t
generator_connection(const struct generator *generator, const struct conn *conn)
{
	return generator->first + generator_index(generator, conn);
}

static inline struct counters_messages *
generator_messages(const struct generator *generator, uint64_t intended_ns)
{
	return intended_ns < generator->measure_ns ? &generator->counters->warmup
						   : &generator->counters->messages;
}

static inline void
generator_record(
    const struct generator *generator, enum latency_kind which, uint64_t ns)
{
	histogram_record(generator->counters->histograms[which], ns);
}

/* The list of open callers. */
void generator_activate(struct generator *generator, struct conn *conn);
void generator_deactivate(struct generator *generator, struct conn *conn);

/* The caller goes on in the next turn of the loop. */
void generator_enqueue_ready(struct generator *generator, struct conn *conn);

/* The caller waits for its turn to dial. */
void generator_enqueue_connect(struct generator *generator, struct conn *conn);

/* Takes out of the queue whose turn it is to dial; NULL when nobody waits. */
struct conn *generator_dequeue_connect(struct generator *generator);

#endif
