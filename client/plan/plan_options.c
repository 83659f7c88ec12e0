#include "client/plan/plan_options.h"

#include <argp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "lib/log.h"
#include "lib/option_error.h"
#include "lib/units.h"

/* Of counts, sizes and times (36 years): sums of some fit 64 bits, and JSON. */
#define MEASURE_MAX (UINT64_C(1) << 60)

enum flag_kind {
	FLAG_WORD,     /* uint64_t, any */
	FLAG_COUNT,    /* uint64_t */
	FLAG_NUMBER,   /* uint64_t, from 1 */
	FLAG_COUNT32,  /* uint32_t */
	FLAG_SIZE,     /* uint64_t, bytes */
	FLAG_DURATION, /* uint64_t, ns */
	FLAG_SPAN,     /* uint64_t, ns, above 0 */
	FLAG_RATE,     /* double, "N" or "N/s" */
	FLAG_TEXT,     /* const char * */
	FLAG_LIST,     /* struct plan_list */
	FLAG_SET,      /* bool, no argument */
	FLAG_NAME,     /* an enum, by the names of the row */
	FLAG_WORKERS,  /* "auto" or a count */
};

struct flag {
	const char *name;
	int key; /* its letter, or 0 */
	const char *argument;
	enum flag_kind kind;
	size_t offset; /* in struct plan */
	int group;
	const char *help;
	const char *const *names; /* FLAG_NAME */
};

#define AT(field) offsetof(struct plan, field)

static const char *const group_names[] = {
	"",
	"How many:",
	"What is sent and must come back:",
	"Rhythm:",
	"Connections that come and go, and odd clients:",
	"Patience:",
	"Judgement and output:",
	"Several machines:",
};

/* clang-format off */
static const struct flag flags[] = {
	{ "connections", 'c', "N", FLAG_COUNT32, AT(connections), 1,
	    "sockets (2)", NULL },
	{ "workers", 'w', "N|auto", FLAG_WORKERS, AT(processes), 1,
	    "generator processes (auto: the CPUs, and as many as the descriptor limit makes necessary)", NULL },
	{ "messages", 'n', "N", FLAG_NUMBER, AT(messages), 1,
	    "messages on each connection (one pass through the sequence)", NULL },
	{ "duration", 'd', "T", FLAG_SPAN, AT(duration_ns), 1,
	    "run for a time", NULL },

	{ "message", 'm', "TEXT", FLAG_LIST, AT(texts), 2,
	    "a message of the sequence (repeatable)", NULL },
	{ "file", 'f', "FILE", FLAG_TEXT, AT(file), 2,
	    "the sequence: each line is a message", NULL },
	{ "size", 0, "N[:M]", FLAG_TEXT, AT(size_text), 2,
	    "seeded payload of N (to M) bytes, different on every connection", NULL },
	{ "escapes", 'e', NULL, FLAG_SET, AT(escapes), 2,
	    "C escapes and \\{connection}, \\{message}, \\{pid} in messages", NULL },
	{ "expect", 0, "REPLY", FLAG_TEXT, AT(expect_text), 2,
	    "what must come back: auto, none, echo, upper, upper,suffix=TEXT, fixed=TEXT, discard (auto: echo or upper, told by the first answer, then held for all)",
	    NULL },
	{ "framing", 0, "NAME", FLAG_NAME, AT(framing), 2,
	    "stream, line or length32 (stream)", framing_names },
	{ "seed", 0, "N", FLAG_WORD, AT(seed), 2,
	    "of the payload and of random arrivals (1)", NULL },

	{ "lockstep", 0, NULL, FLAG_SET, AT(lockstep), 3,
	    "every socket sends message i, every answer is read, then i + 1 (the default with no -d, -R, -p)", NULL },
	{ "pipeline", 'p', "N", FLAG_COUNT32, AT(pipeline), 3,
	    "messages in flight on a connection (1)", NULL },
	{ "rate", 'R', "N[/s]", FLAG_RATE, AT(rate_all), 3,
	    "open loop: N messages a second in all; latency counts from the intended time",
	    NULL },
	{ "arrivals", 0, "NAME", FLAG_NAME, AT(arrivals), 3,
	    "of the open loop: constant or poisson (constant)", plan_arrivals_names },
	{ "interval", 0, "T", FLAG_SPAN, AT(interval_ns), 3,
	    "each connection sends one message every T", NULL },
	{ "connect-rate", 0, "N[/s]", FLAG_RATE, AT(connect_rate_all), 3,
	    "connections begun a second (as fast as they go)", NULL },
	{ "ramp", 0, "T", FLAG_DURATION, AT(ramp_ns), 3,
	    "begin the connections evenly over T, the load running", NULL },
	{ "warmup", 0, "T", FLAG_DURATION, AT(warmup_ns), 3,
	    "at the start, not in the figures", NULL },
	{ "drain", 0, "T", FLAG_DURATION, AT(drain_ns), 3,
	    "wait so long for answers at the end (the timeout)", NULL },
	{ "spin", 0, "T", FLAG_DURATION, AT(spin_ns), 3,
	    "spin the first and the last T of each wait: faster, more precise, costs a CPU", NULL },

	{ "messages-per-connection", 0, "N", FLAG_COUNT, AT(messages_per_connection), 4,
	    "connect anew after N messages", NULL },
	{ "lifetime", 0, "T", FLAG_DURATION, AT(lifetime_ns), 4,
	    "connect anew after T", NULL },
	{ "close", 0, "fin|rst", FLAG_NAME, AT(close), 4,
	    "how a connection ends (fin)", plan_close_names },
	{ "no-reconnect", 0, NULL, FLAG_SET, AT(no_reconnect), 4,
	    "a lost connection is not called again", NULL },
	{ "dribble", 0, NULL, FLAG_SET, AT(dribble), 4,
	    "send a byte at a time", NULL },
	{ "slow-read", 0, "RATE", FLAG_SIZE, AT(slow_read), 4,
	    "read so many bytes a second on each connection", NULL },
	{ "half-close", 0, NULL, FLAG_SET, AT(half_close), 4,
	    "shut the sending side after the last message", NULL },
	{ "source-ip", 0, "ADDR[/BITS]", FLAG_LIST, AT(source_texts), 4,
	    "call from these addresses (repeatable; automatic on loopback when ports run short)", NULL },

	{ "timeout", 0, "T", FLAG_DURATION, AT(timeout_ns), 5,
	    "for an answer (10s)", NULL },
	{ "connect-timeout", 0, "T", FLAG_DURATION, AT(connect_timeout_ns), 5,
	    "for a connection (5s)", NULL },

	{ "threshold", 0, "'p99<5ms'", FLAG_LIST, AT(thresholds), 6,
	    "fail when it does not hold (repeatable)", NULL },
	{ "search", 0, "'p99<1ms'", FLAG_TEXT, AT(search), 6,
	    "the highest rate at which it holds, each step as long as -d (from -R)", NULL },
	{ "ledger", 0, "URL|unix:PATH", FLAG_LIST, AT(ledgers), 6,
	    "reconcile with the server's /stats (repeatable: one server each)", NULL },
	{ "json", 0, "FILE", FLAG_TEXT, AT(json), 6,
	    "the result as JSON (- is stdout)", NULL },
	{ "hgrm", 0, "FILE", FLAG_TEXT, AT(hgrm), 6,
	    "percentiles of the response time", NULL },
	{ "hlog", 0, "FILE", FLAG_TEXT, AT(hlog), 6,
	    "a histogram for each second", NULL },
	{ "html", 0, "FILE", FLAG_TEXT, AT(html), 6,
	    "one self-contained page", NULL },
	{ "strict", 0, NULL, FLAG_SET, AT(strict), 6,
	    "exit status 3 when the measurement is not to be trusted", NULL },
	{ "skip-preflight", 0, NULL, FLAG_SET, AT(skip_preflight), 6,
	    "run though the machine lacks what the run needs", NULL },
	{ "progress", 0, "NAME", FLAG_NAME, AT(progress), 6,
	    "auto, always or never (auto: on a terminal)", plan_progress_names },
	{ "transcript", 0, NULL, FLAG_SET, AT(transcript), 6,
	    "print what each socket sends and receives (the default for a few)", NULL },
	{ "quiet", 'q', NULL, FLAG_SET, AT(quiet), 6,
	    "no report, no progress", NULL },

	{ "rank", 0, "I/N", FLAG_TEXT, AT(rank_text), 7,
	    "the I-th (from 0) of N machines (also read from the scheduler's environment)",
	    NULL },
	{ "start-at", 0, "TIME", FLAG_TEXT, AT(start_at_text), 7,
	    "the common start: +10s, HH:MM:SS (the next one), YYYY-MM-DDTHH:MM:SSZ or @SECONDS", NULL },
};
/* clang-format on */

#define FLAG_COUNT_OF (sizeof(flags) / sizeof(flags[0]))
#define GROUP_COUNT (sizeof(group_names) / sizeof(group_names[0]))
#define LONG_KEY 0x100 /* of flags without a letter: this and their index */

static const char doc[] =
    "Calls HOST:PORT on many sockets, sends messages, reads every answer and verifies every byte. With no options: two sockets, three messages, and what was said.\n"
    "Other forms: yodel talk, merge, compare, report, calibrate; each has --help.\vExamples:\n"
    "  yodel localhost:10000\n"
    "      the two-socket test, with a transcript\n"
    "  yodel -c 10k localhost:10000\n"
    "      the same on 10,000 sockets\n"
    "  yodel -c 50 -d 10s --size 64 localhost:10000\n"
    "      closed loop, 64 bytes, for ten seconds\n"
    "  yodel -c 1k -R 20k -d 30s --warmup 5s --threshold 'p99<5ms' localhost:10000\n"
    "      open loop, judged\n"
    "  yodel -c 100 -d 10s --messages-per-connection 10 10.0.0.1:7 10.0.0.2:7\n"
    "      two targets, connecting anew all the time\n"
    "\n"
    "A count takes k and M (1000), a size k, M and G (1024), a time us ms s m h.\n"
    "Exit status: 0 all verified, 1 messages or connections lost, 2 wrong bytes,\n"
    "3 not to be trusted (--strict), 64 usage, 69 no --ledger, 71 system,\n"
    "99 a threshold failed.";

static _Noreturn void
bad_value(const struct flag *flag, const char *text, const char *wanted)
{
	log_errorx("--%s \"%s\"; %s was wanted", flag->name, text, wanted);
	exit(EX_USAGE);
}

static void
set_measure(const struct flag *flag, uint64_t *field, const char *text)
{
	bool is_time = flag->kind == FLAG_DURATION || flag->kind == FLAG_SPAN;
	bool above_0 = flag->kind == FLAG_NUMBER || flag->kind == FLAG_SPAN;
	const char *wanted = "a count, as in 50 or 10k";
	int (*parse_text)(const char *, uint64_t *) = units_parse_count;

	if (is_time) {
		wanted = "a time, as in 250ms or 30s";
		parse_text = units_parse_duration;
	} else if (flag->kind == FLAG_SIZE) {
		wanted = "a size, as in 512 or 64k";
		parse_text = units_parse_size;
	}
	if (parse_text(text, field) != 0)
		bad_value(flag, text, wanted);
	if (above_0 && *field == 0)
		bad_value(flag, text, "more than 0");
	if (flag->kind != FLAG_WORD && *field > MEASURE_MAX)
		bad_value(flag, text, is_time ? "at most 36 years" : "at most 2^60");
}

static void
set_count32(const struct flag *flag, uint32_t *field, const char *text)
{
	uint64_t count = 0;

	if (units_parse_count(text, &count) != 0 || count > UINT32_MAX || count == 0)
		bad_value(flag, text, "a count from 1, as in 50 or 10k");
	*field = (uint32_t)count;
}

/* "20k", "20k/s" */
static void
set_rate(const struct flag *flag, double *field, const char *text)
{
	char number[UNITS_TEXT_MAX];
	size_t n = strlen(text);
	uint64_t count = 0;
	char *end;

	if (n > 2 && strcmp(text + n - 2, "/s") == 0)
		n -= 2;
	if (n >= sizeof(number))
		n = sizeof(number) - 1;
	memcpy(number, text, n);
	number[n] = '\0';
	double value = strtod(number, &end);
	if (*end != '\0' || end == number) {
		if (units_parse_count(number, &count) != 0)
			count = 0;
		value = (double)count;
	}
	if (!(value > 0) || value > 1e9)
		bad_value(flag, text, "a rate, as in 500 or 20k/s");
	*field = value;
}

static void
set_name(const struct flag *flag, void *field, const char *text)
{
	char wanted[128] = "";

	for (int i = 0; flag->names[i] != NULL; i++) {
		if (strcmp(flag->names[i], text) == 0) {
			unsigned value = (unsigned)i;
			memcpy(field, &value, sizeof(value));
			return;
		}
		if (i > 0)
			strncat(wanted, flag->names[i + 1] != NULL ? ", " : " or ",
			    sizeof(wanted) - strlen(wanted) - 1);
		strncat(wanted, flag->names[i], sizeof(wanted) - strlen(wanted) - 1);
	}
	bad_value(flag, text, wanted);
}

static void
set_workers(struct plan *plan, const struct flag *flag, const char *text)
{
	plan->processes_auto = strcmp(text, "auto") == 0;
	if (!plan->processes_auto)
		set_count32(flag, &plan->processes, text);
}

static void
set_flag(struct plan *plan, const struct flag *flag, char *text)
{
	void *field = (char *)plan + flag->offset;

	switch (flag->kind) {
	case FLAG_WORD:
	case FLAG_COUNT:
	case FLAG_NUMBER:
	case FLAG_SIZE:
	case FLAG_DURATION:
	case FLAG_SPAN:
		set_measure(flag, field, text);
		break;
	case FLAG_COUNT32:
		set_count32(flag, field, text);
		break;
	case FLAG_RATE:
		set_rate(flag, field, text);
		break;
	case FLAG_TEXT:
		memcpy(field, &text, sizeof(text));
		break;
	case FLAG_LIST:
		if (plan_list_add(field, text) < 0)
			fatalx(EX_OSERR, "out of memory");
		break;
	case FLAG_SET:
		*(bool *)field = true;
		break;
	case FLAG_NAME:
		set_name(flag, field, text);
		break;
	case FLAG_WORKERS:
		set_workers(plan, flag, text);
		break;
	}
}

static int
key_of(size_t index)
{
	return flags[index].key != 0 ? flags[index].key : LONG_KEY + (int)index;
}

static error_t
parse(int key, char *argument, struct argp_state *state)
{
	struct plan *plan = state->input;

	if (key == 'h')
		argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
	if (key == 'V') {
		puts("yodel " YODEL_VERSION);
		exit(EX_OK);
	}
	if (key == ARGP_KEY_ARG) {
		if (plan_list_add(&plan->target_texts, argument) < 0)
			fatalx(EX_OSERR, "out of memory");
		return 0;
	}
	for (size_t i = 0; i < FLAG_COUNT_OF; i++) {
		if (key != key_of(i))
			continue;
		set_flag(plan, &flags[i], argument);
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

void
plan_options_parse(int argc, char **argv, struct plan *plan)
{
	struct argp_option options[FLAG_COUNT_OF + GROUP_COUNT + 3] = { { .name =
									      NULL } };
	struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "HOST:PORT...",
		.doc = doc,
	};
	size_t n = 0;
	int group = 0;

	for (size_t i = 0; i < FLAG_COUNT_OF; i++) {
		if (flags[i].group != group) {
			group = flags[i].group;
			options[n++] = (struct argp_option){ .doc = group_names[group],
				.group = group };
		}
		options[n++] = (struct argp_option){ .name = flags[i].name,
			.key = key_of(i),
			.arg = flags[i].argument,
			.doc = flags[i].help,
			.group = group };
	}
	options[n++] = (struct argp_option){
		.name = "help", .key = 'h', .doc = "print this and exit", .group = -1
	};
	options[n++] = (struct argp_option){ .name = "version",
		.key = 'V',
		.doc = "print the version and exit",
		.group = -1 };
	int error = option_error_find(argc, argv, options);
	if (error != EX_OK)
		exit(error);
	error = argp_parse(&argp, argc, argv, ARGP_NO_HELP, NULL, plan);
	if (error != 0) {
		log_errorx("the options: %s", strerror(error));
		exit(EX_OSERR);
	}
}
