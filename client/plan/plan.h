/*
 * plan.h - what was asked for on the command line, after validation.
 *
 * client/plan/plan_options.c fills it from the flags, plan_check completes it (defaults
 * that depend on other flags, names resolved, rank split) and refuses what cannot work.
 * It is read-only from then on and shared with the generator processes over fork.
 * Durations are in nanoseconds, 0 means "not asked for" unless said otherwise.
 */
#ifndef CLIENT_PLAN_PLAN_H
#define CLIENT_PLAN_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/options.h"

#include "net/address.h"
#include "net/transport.h"

#include "proto/framing.h"
#include "proto/reply.h"

#define PLAN_TARGETS_MAX 64
#define PLAN_TARGET_ADDRESSES_MAX 4
#define PLAN_PROCESSES_MAX 1024
#define PLAN_CONNECTIONS_MAX 4000000
#define PLAN_MESSAGE_MAX (1u << 30) /* bytes of payload of one message */
#define PLAN_ERROR_MAX 512
#define PLAN_DRAIN_AUTO UINT64_MAX /* the patience for an answer */

/* The shape of the load. */
enum plan_load {
	PLAN_LOCKSTEP, /* every socket sends message i, every answer is read, then i + 1
			*/
	PLAN_CLOSED,   /* each connection keeps `pipeline` messages in flight */
	PLAN_INTERVAL, /* each connection sends one message every interval_ns */
	PLAN_OPEN,     /* rate messages a second in all, whatever the answers do */
};
extern const char *const plan_load_names[]; /* "lockstep" "closed" "interval" "open" */

enum plan_arrivals { PLAN_CONSTANT, PLAN_POISSON };
extern const char *const plan_arrivals_names[]; /* "constant" "poisson" */

enum plan_close { PLAN_CLOSE_FIN, PLAN_CLOSE_RST };
extern const char *const plan_close_names[]; /* "fin" "rst" */

enum plan_expect {
	PLAN_EXPECT_AUTO,  /* echo or upper, told by the first answer, held for all */
	PLAN_EXPECT_REPLY, /* plan->reply */
	PLAN_EXPECT_NONE,  /* nothing is verified, what comes is thrown away */
};

enum plan_progress { PLAN_PROGRESS_AUTO, PLAN_PROGRESS_ALWAYS, PLAN_PROGRESS_NEVER };
extern const char *const plan_progress_names[]; /* "auto" "always" "never" */

struct plan_target {
	const char *text; /* as it was given: the name of the target in reports */
	struct address addresses[PLAN_TARGET_ADDRESSES_MAX]; /* the resolver's order */
	uint32_t address_count;
	const struct transport *transport;
};

struct plan {
	/* whom */
	struct option_list target_texts; /* as given */
	struct plan_target targets[PLAN_TARGETS_MAX];
	uint32_t target_count; /* connection i calls target i % target_count */

	/* how many */
	uint32_t connections;      /* in all ranks */
	uint32_t rank_connections; /* of this rank */
	uint32_t rank_first;       /* index of this rank's first connection */
	uint32_t processes;        /* generator processes of this rank */
	bool processes_auto;       /* -w was not given */
	uint64_t messages;         /* for each connection; 0: bounded by duration_ns */
	uint64_t duration_ns;      /* 0: bounded by messages */

	/* what */
	struct option_list
	    texts; /* -m, as given; empty: the file, the payload or the default */
	const char *file;  /* -f; NULL: none */
	bool payload;      /* --size: a seeded payload, different on each connection */
	uint64_t size_min; /* bytes of payload of one message */
	uint64_t size_max;
	const char *size_text; /* --size, as given; NULL: none */
	bool escapes;
	uint64_t seed;

	/* what must come back */
	const char *expect_text; /* "auto", "none" or a reply, as given */
	enum plan_expect expect;
	struct reply reply; /* PLAN_EXPECT_REPLY */
	enum framing framing;

	/* rhythm */
	enum plan_load load;
	bool lockstep; /* asked for by its flag */
	uint32_t
	    pipeline; /* messages in flight on a connection; 0: no bound (open loop) */
	double rate;  /* messages a second, of this rank (PLAN_OPEN) */
	double rate_all; /* messages a second in all ranks, as asked for; 0: none */
	enum plan_arrivals arrivals;
	uint64_t interval_ns;
	double
	    connect_rate; /* connections a second of this rank; 0: as fast as they go */
	double connect_rate_all; /* the same of all ranks, as asked for */
	uint64_t
	    ramp_ns; /* connections begin evenly over this time, the load running */
	uint64_t warmup_ns; /* at the start, not in the figures */
	uint64_t drain_ns;  /* at the end, answers are waited for at most this long: 0
			       is not at all */
	uint64_t spin_ns;   /* the first and the last of a wait are spun, not slept */

	/* churn and odd clients */
	uint64_t messages_per_connection; /* reconnect after so many; 0: never */
	uint64_t lifetime_ns;             /* reconnect after so long */
	enum plan_close close;
	bool reconnect;    /* a lost connection is called again */
	bool no_reconnect; /* asked for by its flag */
	bool dribble;      /* send a byte at a time */
	bool half_close;   /* shut the sending side down before the answers are read */
	uint64_t
	    slow_read; /* bytes a second read on each connection; 0: as they come */

	/* where from */
	struct option_list source_texts; /* "ADDRESS[/PREFIX]", as given */
	bool source_auto;                /* addresses of 127.0.0.0/8 are added */
	uint32_t source_count; /* addresses of this rank; 0: the kernel's choice */
	uint32_t source_first; /* the first of them, among all */

	/* patience */
	uint64_t timeout_ns;
	uint64_t connect_timeout_ns;

	/* judgement and output */
	struct option_list thresholds; /* as given: "p99<5ms" */
	const char *search;            /* "p99<1ms"; NULL: none */
	struct option_list ledgers;    /* each a URL or unix:PATH */
	const char *json; /* file, "-" is stdout; NULL: none. The same below. */
	const char *hgrm;
	const char *hlog;
	const char *html;
	enum plan_progress progress;
	bool quiet;
	bool strict;     /* an untrusted measurement is exit status 3 */
	bool transcript; /* print what each socket sends and receives */
	bool skip_preflight;
	bool stdout_taken; /* by one of the files above */

	/* one of several machines */
	const char *rank_text; /* "I/N" as given; NULL: the environment, else 0/1 */
	uint32_t rank;         /* 0 .. ranks - 1 */
	uint32_t ranks;
	const char *start_at_text;
	uint64_t start_at_ns; /* CLOCK_REALTIME; 0: at once */
};

/* Defaults, before any flag. */
void plan_init(struct plan *plan);

/* Completes and validates. 0, or an exit status (64 usage, 71 system) with one line in
 * error[PLAN_ERROR_MAX]. Resolves names (may block). */
int plan_check(struct plan *plan, char *error) __attribute__((warn_unused_result));

/* Frees what plan_check and the lists hold; the texts themselves are argv's. */
void plan_finish(struct plan *plan);

/* What depends on the sequence: one pass through it when nothing bounds the run, and
 * the transcript of a small one. `pass` is the messages of one pass. */
void plan_complete(struct plan *plan, uint32_t pass);

/* Connections of generator process `process` of this rank: how many, and the index of
 * the first in all ranks. */
uint32_t plan_share(const struct plan *plan, uint32_t process, uint32_t *ret_first);

/* Where in the gap between two of its own arrivals the middle of that process's turn
 * is, 0 to 1: the processes of all ranks come one after the other, evenly. */
double plan_phase(const struct plan *plan, uint32_t process);

#endif
