/*
 * generator.h - one process of the load: one epoll loop and its share of the callers.
 *
 *   connecting -> waiting for the common start -> running -> draining -> finished
 *
 * Time is CLOCK_MONOTONIC in nanoseconds; now_ns is read after each wait and after each
 * read, so that what is recorded is true and costs one look at the clock.
 */
#ifndef CLIENT_GENERATOR_H
#define CLIENT_GENERATOR_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "client/caller.h"
#include "client/expectation.h"
#include "client/pace.h"
#include "client/plan.h"
#include "client/sequence.h"
#include "client/tally.h"
#include "client/verify.h"
#include "client/wheel.h"

#define GENERATOR_BUFFER 65536 /* bytes read, and written, at once */
#define GENERATOR_NONE UINT32_MAX

/* A ring of callers that wait for their turn to dial. */
struct dial_queue {
	uint32_t *entries;
	uint32_t head;
	uint32_t count;
};

struct generator {
	const struct plan *plan;
	const struct sequence *sequence;
	const struct expectation *expectation;
	struct tally *tally;
	struct board *board;
	struct verify verify;
	struct flights flights;
	struct wheel wheel;
	struct caller *callers;
	uint32_t count;
	uint32_t first; /* index of callers[0], in all ranks */
	int epoll_fd;
	int wake_fd;   /* the parent writes when the board changed */
	int parent_fd; /* written when the parent should look at the tally */

	uint64_t now_ns;
	uint64_t seen_ns;    /* when something last happened */
	uint64_t heard_ns;   /* all that had come by then is handled */
	uint64_t sweep_ns;   /* the same, when each socket has had its turn... */
	uint32_t swept;      /* ...of which so many had one; 0: all */
	uint64_t measure_ns; /* messages due from then on are in the figures */
	uint64_t end_ns;     /* nothing is due from then on */
	uint64_t drain_ns;   /* what is unanswered then is lost */
	uint64_t sample_ns;  /* when the cost is looked at next */
	bool is_running;     /* between the start and the end */
	bool is_stopped;     /* after it: nothing more becomes due */
	bool is_dropping;    /* what is due and not sent is not sent any more */
	bool has_failed;     /* out of memory: it cannot go on */

	struct dial_queue dials;
	struct pace dial_pace; /* of those in the queue */
	struct pace ramp;      /* of those that --ramp has not begun yet: */
	uint32_t ramped;       /* the first of them */
	struct pace arrivals;
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
	struct tally *tally;
	struct board *board;
	uint32_t process;
	int wake_fd;
	int parent_fd;
};

/* Runs a generator process to its end. Returns 0, or -1 with errno when it could not
 * start. */
int generator_run(const struct generator_args *args);

static inline uint64_t
generator_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static inline uint32_t
generator_index(const struct generator *generator, const struct caller *caller)
{
	return (uint32_t)(caller - generator->callers);
}

/* The caller's number in all ranks. */
static inline uint64_t
generator_connection(const struct generator *generator, const struct caller *caller)
{
	return generator->first + generator_index(generator, caller);
}

static inline struct tally_messages *
generator_messages(const struct generator *generator, uint64_t intended_ns)
{
	return intended_ns < generator->measure_ns ? &generator->tally->warmup
						   : &generator->tally->messages;
}

static inline void
generator_record(
    const struct generator *generator, enum tally_histogram which, uint64_t ns)
{
	histogram_record(generator->tally->histograms[which], ns);
}

/* The list of open callers. */
void generator_activate(struct generator *generator, struct caller *caller);
void generator_deactivate(struct generator *generator, struct caller *caller);

/* The caller goes on in the next turn of the loop. */
void generator_put_ready(struct generator *generator, struct caller *caller);

/* The caller waits for its turn to dial. */
void generator_put_dial(struct generator *generator, struct caller *caller);

/* Takes out of the queue whose turn it is to dial; NULL when nobody waits. */
struct caller *generator_next_dial(struct generator *generator);

#endif
