/*
 * plan.h - the plan of a run: the options of the command line, completed and checked.
 *
 * client/plan/plan_options.c fills it from the options. plan_check completes it
 * (defaults that depend on other options, resolved names, the share of this rank) and
 * refuses what cannot work. From then on it is read-only; the load processes inherit it
 * by fork. Durations are in nanoseconds; 0 means "not given" unless stated otherwise.
 */
#ifndef CLIENT_PLAN_PLAN_H
#define CLIENT_PLAN_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/clock.h"
#include "lib/options.h"
#include "net/address.h"
#include "net/address_prefix.h"
#include "net/proxy_header.h"
#include "net/socket_options.h"
#include "net/transport.h"
#include "proto/conversation/conversation.h"
#include "proto/framing.h"
#include "proto/reply.h"
#include "client/plan/labels.h"

#define PLAN_TARGETS_MAX 64
#define PLAN_TARGET_ADDRESSES_MAX 16
#define PLAN_PROCESSES_MAX 1024
#define PLAN_PROXY_TLVS_MAX 16
#define PLAN_CONNECTIONS_MAX 4000000
#define PLAN_MESSAGE_MAX (1u << 30)    /* payload bytes of one message */
#define PLAN_ERROR_MAX 640             /* at least CONVERSATION_ERROR_MAX, and more */
#define PLAN_DRAIN_AUTO UINT64_MAX     /* the timeout */
#define PLAN_CLOSE_TIMEOUT_NS NS_PER_S /* wait for the peer's FIN after ours */

/* The load model. */
enum plan_load {
	PLAN_LOCKSTEP, /* all sockets send message i and read the answer, then i + 1 */
	PLAN_CLOSED,   /* each connection keeps `pipeline` messages in flight */
	PLAN_INTERVAL, /* each connection sends one message every interval_ns */
	PLAN_OPEN,     /* `rate` messages per second, independent of the answers */
};
extern const char *const plan_load_names[]; /* "lockstep" "closed" "interval" "open" */

enum plan_arrivals { PLAN_CONSTANT, PLAN_POISSON };
extern const char *const plan_arrivals_names[]; /* "constant" "poisson" */

enum plan_close { PLAN_CLOSE_FIN, PLAN_CLOSE_RST };
extern const char *const plan_close_names[]; /* "fin" "rst" */

enum plan_expect {
	PLAN_EXPECT_AUTO,  /* echo or upper: the first answers decide for all */
	PLAN_EXPECT_REPLY, /* plan->reply */
	PLAN_EXPECT_NONE,  /* answers are discarded unverified */
};

/* --tls-min, --tls-max */
enum plan_tls_version { PLAN_TLS_DEFAULT, PLAN_TLS_1_2, PLAN_TLS_1_3 };
extern const char *const plan_tls_version_names[]; /* "" (default) "1.2" "1.3" */

enum plan_progress { PLAN_PROGRESS_AUTO, PLAN_PROGRESS_ALWAYS, PLAN_PROGRESS_NEVER };
extern const char
    *const plan_proxy_names[]; /* by enum proxy_versions, NULL at the end */
extern const char *const plan_progress_names[]; /* "auto" "always" "never" */

struct plan_target {
	const char *text; /* as given: the name of the target in reports */
	struct address addresses[PLAN_TARGET_ADDRESSES_MAX]; /* the resolver's order */
	uint32_t address_count;
	const struct transport *transport;
};

struct plan {
	/* targets */
	struct option_list target_texts; /* as given */
	struct plan_target targets[PLAN_TARGETS_MAX];
	uint32_t target_count; /* connection i uses target i % target_count */

	/* amount */
	uint32_t connections;      /* in all ranks */
	uint32_t rank_connections; /* in this rank */
	uint32_t rank_first;       /* index of this rank's first connection */
	uint32_t processes;        /* load processes of this rank */
	bool processes_auto;       /* no -w, or auto */
	uint64_t messages;         /* per connection; 0: duration_ns ends the run */
	uint64_t duration_ns;      /* 0: `messages` ends the run */

	/* messages: -m or -f or --size, else three default messages */
	struct option_list texts;
	const char *file;
	bool payload;      /* --size: seeded payload, different on each connection */
	uint64_t size_min; /* payload bytes of one message */
	uint64_t size_max;
	const char *size_text; /* --size, as given */
	bool escapes;
	uint64_t seed;

	/* --conversation, in place of messages and expected answers; NULL: none */
	const char *conversation_file;
	struct conversation conversation; /* compiled by plan_check */

	/* expected answers */
	const char *expect_text; /* "auto", "none" or a reply, as given */
	enum plan_expect expect;
	struct reply reply; /* PLAN_EXPECT_REPLY */
	enum framing framing;

	/* pacing; the rates are per second, 0: not limited */
	enum plan_load load;
	bool lockstep;     /* --lockstep */
	uint32_t pipeline; /* messages in flight per connection; 0: unlimited */
	double rate;       /* messages of this rank (PLAN_OPEN) */
	double rate_all;   /* messages of all ranks, as given */
	enum plan_arrivals arrivals;
	uint64_t interval_ns;
	double connect_rate;     /* connections of this rank */
	double connect_rate_all; /* connections of all ranks, as given */
	uint64_t ramp_ns;   /* spread the connects evenly over this time, under load */
	uint64_t warmup_ns; /* at the start; not in the figures */
	uint64_t drain_ns;  /* maximum wait for answers at the end; 0: no wait */
	bool hold;          /* --hold */
	uint64_t hold_ns;   /* longest wait for an answer that is no outage; 0: none are
			       looked for */
	uint64_t spin_ns;   /* busy-wait for the first and last part of each wait */

	/* churn and unusual clients */
	uint64_t messages_per_connection; /* reconnect after this many; 0: never */
	uint64_t lifetime_ns;             /* reconnect after this time */
	enum plan_close close;
	bool reconnect;     /* replace a lost connection */
	bool no_reconnect;  /* --no-reconnect */
	bool dribble;       /* send one byte at a time */
	bool half_close;    /* shut down the sending side after the last message */
	uint64_t slow_read; /* bytes per second and connection; 0: unlimited */

	/* source addresses */
	struct option_list source_texts; /* "ADDRESS[/PREFIX]", as given */
	bool source_auto;                /* use addresses of 127.0.0.0/8 */
	uint32_t source_count; /* addresses of this rank; 0: chosen by the kernel */
	uint32_t source_first; /* index of the first of them */

	/* PROXY header in front of each connection; PROXY_OFF: none */
	enum proxy_versions proxy_version;
	const char
	    *proxy_source_text; /* "ADDRESS/BITS", as given; NULL: the socket's */
	struct address_prefix proxy_source;
	struct option_list proxy_tlv_texts; /* "NAME=TEXT" or "crc32c", as given */
	struct proxy_tlv proxy_tlvs[PLAN_PROXY_TLVS_MAX];
	char *proxy_tlv_values[PLAN_PROXY_TLVS_MAX]; /* of these, owned */
	size_t proxy_tlv_count;
	bool proxy_crc32c;
	bool expect_proxy; /* --expect-proxy: a balancer announces our addresses */

	/* TLS (client/plan/tls_plan.h); the files and names as given, NULL: none */
	bool tls;
	bool tls_insecure;
	const char *tls_ca;
	const char *tls_name;
	const char *tls_certificate; /* one, or a pattern with TLS_PLAN_PLACEHOLDER */
	const char *tls_key;
	enum plan_tls_version tls_min, tls_max;
	const char *tls_ciphers;
	const char *tls_groups;
	const char *tls_alpn;
	uint64_t tls_resume; /* percent of the reconnects that offer a session */
	const char *tls_keylog;
	const char *tls_pin;
	struct socket_options sockets;
	bool has_socket_options;
	bool ipv4_only, ipv6_only;
	char *tls_verification;    /* what is verified, in words; owned; NULL: no TLS */
	struct tls_plan *tls_plan; /* made by tls_plan_check; owned; NULL: no TLS */

	/* timeouts */
	uint64_t timeout_ns;
	uint64_t connect_timeout_ns;

	/* verdict and output */
	struct option_list thresholds; /* "p99<5ms", as given */
	const char *search;            /* "p99<1ms"; NULL: none */
	struct option_list ledgers;    /* each a URL or unix:PATH */
	const char *json; /* file, "-" is stdout; NULL: none. The same below. */
	const char *hgrm;
	const char *hlog;
	const char *html;
	const char *json_lines;         /* an object for each second of the run */
	const char *serve;              /* address of the live report; NULL: none */
	struct option_list label_texts; /* "KEY=VALUE", as given */
	struct labels labels;
	char *command; /* the command line as a shell would take it, owned; or NULL */
	enum plan_progress progress;
	bool quiet;
	bool strict;     /* exit status 3 if the measurement is not valid */
	bool transcript; /* print what each socket sends and receives */
	bool skip_preflight;
	bool stdout_taken; /* one of the files above is stdout */

	/* one of several machines */
	const char *rank_text; /* "I/N" as given; NULL: the environment, else 0/1 */
	uint32_t rank;         /* 0 .. ranks - 1 */
	uint32_t ranks;
	const char *start_at_text;
	uint64_t start_at_ns; /* CLOCK_REALTIME; 0: as soon as all are connected */
};

/* The answers are lines of whoami (proto/whoami.h). */
static inline bool
plan_expects_whoami(const struct plan *plan)
{
	return plan->expect == PLAN_EXPECT_REPLY && plan->reply.kind == REPLY_WHOAMI;
}

/* Defaults, before the options are parsed. */
void plan_init(struct plan *plan);

/* Checks and completes. 0, or an exit status (64 usage, 66 no conversation, 71 system)
 * with one line in error[PLAN_ERROR_MAX]. Resolves names, which may block. */
int plan_check(struct plan *plan, char *error) __attribute__((warn_unused_result));

/* Frees what plan_check and the lists allocated; the texts belong to argv. */
void plan_finish(struct plan *plan);

/* Completes what depends on the sequence: one pass if nothing else ends the run, and
 * the transcript of a small run. `pass` is the number of messages in one pass. */
void plan_complete(struct plan *plan, uint32_t pass);

/* Number of connections of load process `process` of this rank; *ret_first: the index
 * of the first one in all ranks. */
uint32_t plan_share(const struct plan *plan, uint32_t process, uint32_t *ret_first);

/* When a process sends within the gap between two of its arrivals, from 0 to 1: the
 * processes of all ranks take turns at even distances. */
double plan_phase(const struct plan *plan, uint32_t process);

#endif
