/*
 * fault.h - the faults that a listener injects on purpose: one grammar for the
 * configuration of yodeld and its admin interface, one row for each kind.
 *
 *   fault     = kind argument { selection }
 *   selection = "on" P"%" [ "of" ( "connections" | "messages" | "replies" ) ]
 *             | "at" "message" N | "every" N
 *             | "after" N "bytes" | "after" TIME | "between" TIME "and" TIME
 *             | "from" ADDRESS[/BITS]
 *
 *   delay normal 20ms 5ms
 *   corrupt 1 byte on 0.1% of messages
 *   reset after 4096 bytes on 1%
 *   never-accept between 10s and 12s
 *
 * A fault happens where all of its selections hold; without one, always. What decides
 * is fault_decision.h.
 */
#ifndef PROTO_FAULTS_FAULT_H
#define PROTO_FAULTS_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/address_prefix.h"

/* Scope of a fault. */
enum fault_scope {
	FAULT_SCOPE_REPLY,      /* single replies */
	FAULT_SCOPE_CONNECTION, /* a connection from some point on */
	FAULT_SCOPE_ACCEPT,     /* a connection when it is accepted */
	FAULT_SCOPE_LISTENER,   /* all connections of a listener; none is selected */
};

/* X(identifier, name, scope, argument, help). The argument as it is written. */
#define FAULT_KINDS(X)                                                                 \
	X(DELAY, "delay", REPLY, LAW,                                                  \
	    "send the reply later: TIME, uniform TIME..TIME, normal MEAN DEVIATION, "  \
	    "exponential MEAN, or pareto MINIMUM SHAPE")                               \
	X(STALL, "stall", CONNECTION, STALL,                                           \
	    "neither read nor send, for TIME or for ever; of the connection, or of "   \
	    "all connections of the listener")                                         \
	X(TRICKLE, "trickle", CONNECTION, RATE, "send N bytes per second")             \
	X(TRUNCATE, "truncate", REPLY, BYTES,                                          \
	    "leave out the last N bytes of the reply")                                 \
	X(CORRUPT, "corrupt", REPLY, BYTES_OR_BITS,                                    \
	    "overwrite N bytes of the reply, or flip N bits")                          \
	X(INSERT, "insert", REPLY, BYTES, "insert N bytes into the reply")             \
	X(DUPLICATE, "duplicate", REPLY, NOTHING, "send the reply twice")              \
	X(DROP, "drop", REPLY, NOTHING, "send no reply")                               \
	X(REORDER, "reorder", REPLY, NOTHING, "send the reply after the next one")     \
	X(SWAP, "swap", REPLY, NOTHING,                                                \
	    "send the latest reply of another connection instead")                     \
	X(CLOSE, "close", CONNECTION, NOTHING, "close with a FIN")                     \
	X(HALF_CLOSE, "half-close", CONNECTION, NOTHING,                               \
	    "send a FIN and no reply from then on, but read")                          \
	X(RESET, "reset", CONNECTION, NOTHING, "close with a RST")                     \
	X(NEVER_READ, "never-read", CONNECTION, NOTHING, "read no more")               \
	X(NEVER_ACCEPT, "never-accept", LISTENER, TIME,                                \
	    "accept no connection, for TIME or for ever")                              \
	X(REFUSE, "refuse", ACCEPT, NOTHING, "reset the connection once accepted")     \
	X(BACKLOG, "backlog", LISTENER, COUNT,                                         \
	    "let N connections wait in the accept queue of each worker")

enum fault_kind {
#define X(id, ...) FAULT_##id,
	FAULT_KINDS(X)
#undef X
	    FAULT_KIND_COUNT
};

enum fault_argument {
	FAULT_TAKES_NOTHING,
	FAULT_TAKES_LAW,
	FAULT_TAKES_STALL, /* [ "connection" | "listener" ] [ TIME | "for ever" ] */
	FAULT_TAKES_TIME,  /* [ TIME | "for ever" ] */
	FAULT_TAKES_RATE,  /* N "bytes/s" */
	FAULT_TAKES_BYTES, /* N "bytes" */
	FAULT_TAKES_BYTES_OR_BITS,
	FAULT_TAKES_COUNT,
};

struct fault_kind_row {
	const char *name, *help;
	enum fault_scope scope;
	enum fault_argument argument;
};
extern const struct fault_kind_row fault_kinds[]; /* by enum fault_kind */

enum fault_law {
	FAULT_LAW_CONSTANT,    /* a */
	FAULT_LAW_UNIFORM,     /* from a to b */
	FAULT_LAW_NORMAL,      /* mean a, standard deviation b; negative values are 0 */
	FAULT_LAW_EXPONENTIAL, /* mean a */
	FAULT_LAW_PARETO,      /* minimum a, shape */
	FAULT_LAW_COUNT
};
extern const char
    *const fault_laws[]; /* their names, by enum fault_law; NULL ends it */

#define FAULT_FOR_EVER UINT64_MAX
#define FAULTS_MAX 32           /* of a listener */
#define FAULT_TEXT_MAX 256      /* of one that was formatted */
#define FAULT_BYTES_MAX 1048576 /* that are truncated, corrupted or inserted */
/* Each duplicate of a list doubles a reply: it has at most twice its bytes and these.
 */
#define FAULT_GROWTH_MAX (UINT32_C(64) * 1024 * 1024)
#define FAULT_SHARE_ALL UINT64_C(1000000000)
#define FAULT_SHARE_DIGITS 7 /* of a percentage: FAULT_SHARE_ALL is 100 */

struct fault {
	enum fault_kind kind;
	enum fault_scope scope; /* of the kind; LISTENER for "stall listener" */
	enum fault_law law;
	uint64_t a_ns, b_ns; /* of the law */
	double shape;
	uint64_t time_ns; /* how long; FAULT_FOR_EVER */
	uint64_t count;   /* bytes, bits, bytes per second, connections */
	bool is_bits;     /* count is of bits, which are flipped */

	uint64_t share;         /* parts in FAULT_SHARE_ALL that are selected */
	bool share_of_messages; /* and not of connections */
	uint64_t at_message;    /* from 1; 0: any */
	uint64_t every;         /* messages; 0: each */
	bool has_after_bytes;
	uint64_t after_bytes; /* of replies, on the connection */
	/* Age of the connection; for LISTENER, time since the faults took effect. */
	uint64_t from_ns, to_ns;
	bool has_from;
	struct address_prefix from;

	uint64_t id; /* of its text: equal for equal faults */
};

/* 0, or -1 with one line in error: position, what was found, what was expected. */
int fault_parse(const char *text, struct fault *ret, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* The text that parses to the same fault, in buffer[FAULT_TEXT_MAX], returned. */
const char *fault_format(const struct fault *fault, char *buffer);

/* True if it selects single messages of a connection. */
static inline bool
fault_selects_messages(const struct fault *fault)
{
	return fault->at_message != 0 || fault->every != 0 ||
	    (fault->share < FAULT_SHARE_ALL && fault->share_of_messages);
}

/* The kind with this name, or FAULT_KIND_COUNT. */
enum fault_kind fault_kind_parse(const char *name);

#endif
