/*
 * threshold.h - a condition on a result, such as `p99<5ms`, and the latencies.
 *
 *   threshold = metric op limit          op = "<" | "<=" | ">" | ">="
 *   metric    = [ histogram "." ] figure  histogram: threshold_latency_names, default
 *                                         response
 *             | figure "[" step "]"       of a named step of the conversation
 *             | "lost" | "wrong" | "failed" | "aborted" | "dark" | "rate"
 *   figure    = "mean" | "min" | "max" | "stddev" | "p" number
 *
 * p99.9 and p999 are the same. In percentiles and maxima of response and service, lost
 * messages count as infinitely late; in those of response also messages that were due
 * and not sent. Limits: latency a duration (5ms); lost, wrong (messages), failed,
 * aborted and dark (connections; see --hold) a count or a percentage (0.1%); rate, the
 * verified messages per second, a count (10k).
 */
#ifndef CLIENT_PLAN_THRESHOLD_H
#define CLIENT_PLAN_THRESHOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define THRESHOLD_TEXT_MAX 96
#define THRESHOLD_STEP_MAX 32 /* bytes of the name of a step, with its NUL */

/* The latencies that a load process measures, in nanoseconds: one histogram each. */
enum latency_kind {
	LATENCY_RESPONSE, /* from the intended send time to the whole answer */
	LATENCY_SERVICE,  /* from the first byte sent to the whole answer */
	/* From the intended send time until the connection could take the message:
	 * established, a slot of --pipeline free, room in the socket */
	LATENCY_BLOCKED,
	LATENCY_SEND_LAG, /* from there to the first byte sent: this client's delay */
	LATENCY_RECEIVE_LAG, /* from the arrival of an answer to its read (a sample) */
	LATENCY_CONNECT,     /* from connect() to established */
	LATENCY_TLS_HANDSHAKE, /* from there to the end of a full TLS handshake */
	LATENCY_TLS_RESUMED,   /* the same, of a handshake that resumed a session */
	LATENCY_OPENING,       /* from there to the end of a conversation's opening */
	LATENCY_ENDING,        /* of the end section of a conversation */
	LATENCY_CLOSE,         /* from our FIN to the peer's */
	LATENCY_LOOP_LAG,      /* from the requested wake-up to the actual one */
	LATENCY_SILENCE, /* of each connection: its longest wait without a byte received
			  */
	LATENCY_AGE,     /* age of a message when it was given up as lost */
	LATENCY_KIND_COUNT,
	/* The named steps of a conversation follow, in the order of the file: from the
	 * first byte of the step to the whole answer to it. */
	LATENCY_STEP_FIRST = LATENCY_KIND_COUNT,
	LATENCY_MAX = LATENCY_STEP_FIRST + 64
};
extern const char *const threshold_latency_names[];

enum threshold_figure {
	THRESHOLD_PERCENTILE,
	THRESHOLD_MEAN,
	THRESHOLD_MIN,
	THRESHOLD_MAX,
	THRESHOLD_STDDEV,
	THRESHOLD_LOST,
	THRESHOLD_WRONG,
	THRESHOLD_FAILED,
	THRESHOLD_ABORTED,
	THRESHOLD_DARK,
	THRESHOLD_RATE,
};

enum threshold_op { THRESHOLD_LT, THRESHOLD_LE, THRESHOLD_GT, THRESHOLD_GE };

struct threshold {
	char text[THRESHOLD_TEXT_MAX]; /* as given */
	enum threshold_figure figure;
	int histogram;                 /* enum latency_kind, if it is about a latency */
	char step[THRESHOLD_STEP_MAX]; /* a named step in its place; "": none */
	double percentile;
	enum threshold_op op;
	double limit; /* ns, a count, messages per second, or a fraction of 1 */
	bool share;   /* the limit is a fraction */
};

struct threshold_outcome {
	struct threshold threshold;
	double value; /* in the unit of the limit */
	bool passed;
	bool known; /* false: too few samples for this percentile; judged anyway */
};

/* 0, or -1 with one line in error: what was found, what was expected. */
int threshold_parse(const char *text, struct threshold *ret, char *error,
    size_t error_size) __attribute__((warn_unused_result));

bool threshold_is_latency(const struct threshold *threshold);

/* Number of samples from which the figure is known, at least 30. */
uint64_t threshold_count_min(const struct threshold *threshold);

/* Formats a value of this threshold ("4.2 ms", "0.01%", "12,345/s") into
 * buffer[THRESHOLD_TEXT_MAX], returned. */
const char *threshold_format(
    const struct threshold *threshold, double value, char *buffer);

/* Formats the value found, and whether there were enough samples; as above. */
const char *threshold_describe(const struct threshold_outcome *outcome, char *buffer);

#endif
