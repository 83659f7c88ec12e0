#include "client/plan/plan_options.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "lib/log.h"
#include "lib/options.h"
#include "lib/units.h"

#define AT(field) offsetof(struct plan, field)

/* "20k", "20k/s", "0.5" */
static const char *
parse_rate(const char *text, void *field)
{
	char number[UNITS_TEXT_MAX], *end;
	size_t n = strlen(text);
	uint64_t count = 0;

	if (n > 2 && strcmp(text + n - 2, "/s") == 0)
		n -= 2;
	if (n >= sizeof(number))
		n = sizeof(number) - 1;
	memcpy(number, text, n);
	number[n] = '\0';
	double value = strtod(number, &end);
	if (*end != '\0' || end == number)
		value = units_parse_count(number, &count) < 0 ? 0 : (double)count;
	if (!(value > 0) || value > 1e9)
		return "a rate, as in 500 or 20k/s";
	memcpy(field, &value, sizeof(value));
	return NULL;
}

static const char *
parse_workers(const char *text, void *field)
{
	struct plan *plan = field;
	uint64_t count = 0;

	plan->processes_auto = strcmp(text, "auto") == 0;
	if (plan->processes_auto)
		return NULL;
	if (units_parse_count(text, &count) < 0 || count == 0 || count > UINT32_MAX)
		return "auto or a count from 1";
	plan->processes = (uint32_t)count;
	return NULL;
}

/* clang-format off */
static const struct option_row rows[] = {
	{ "connections", 'c', "N", OPTION_COUNT32, AT(connections), .min = 1, .heading = "How many:",
	    .help = "sockets (2)" },
	{ "workers", 'w', "N|auto", OPTION_PARSE, 0, .parse = parse_workers,
	    .help = "generator processes (auto: the CPUs, and as many as the descriptor limit makes necessary)" },
	{ "messages", 'n', "N", OPTION_COUNT, AT(messages), .min = 1,
	    .help = "messages on each connection (one pass through the sequence)" },
	{ "duration", 'd', "T", OPTION_DURATION, AT(duration_ns), .min = 1,
	    .help = "run for a time" },

	{ "message", 'm', "TEXT", OPTION_LIST, AT(texts), .heading = "What is sent and must come back:",
	    .help = "a message of the sequence (repeatable)" },
	{ "file", 'f', "FILE", OPTION_TEXT, AT(file),
	    .help = "the sequence: each line is a message" },
	{ "size", 0, "N[:M]", OPTION_TEXT, AT(size_text),
	    .help = "seeded payload of N (to M) bytes, different on every connection" },
	{ "escapes", 'e', NULL, OPTION_FLAG, AT(escapes),
	    .help = "C escapes and \\{connection}, \\{message}, \\{pid} in messages" },
	{ "expect", 0, "REPLY", OPTION_TEXT, AT(expect_text),
	    .help = "what must come back: auto, none, echo, upper, upper,suffix=TEXT, fixed=TEXT, discard (auto: echo or upper, told by the first answer, then held for all)" },
	{ "framing", 0, "NAME", OPTION_NAME, AT(framing), .names = framing_names,
	    .help = "stream, line or length32 (stream)" },
	{ "seed", 0, "N", OPTION_COUNT, AT(seed), .max = UINT64_MAX,
	    .help = "of the payload and of random arrivals (1)" },

	{ "lockstep", 0, NULL, OPTION_FLAG, AT(lockstep), .heading = "Rhythm:",
	    .help = "every socket sends message i, every answer is read, then i + 1 (the default with no -d, -R, -p)" },
	{ "pipeline", 'p', "N", OPTION_COUNT32, AT(pipeline), .min = 1,
	    .help = "messages in flight on a connection (1)" },
	{ "rate", 'R', "N[/s]", OPTION_PARSE, AT(rate_all), .parse = parse_rate,
	    .help = "open loop: N messages a second in all; latency counts from the intended time" },
	{ "arrivals", 0, "NAME", OPTION_NAME, AT(arrivals), .names = plan_arrivals_names,
	    .help = "of the open loop: constant or poisson (constant)" },
	{ "interval", 0, "T", OPTION_DURATION, AT(interval_ns), .min = 1,
	    .help = "each connection sends one message every T" },
	{ "connect-rate", 0, "N[/s]", OPTION_PARSE, AT(connect_rate_all), .parse = parse_rate,
	    .help = "connections begun a second (as fast as they go)" },
	{ "ramp", 0, "T", OPTION_DURATION, AT(ramp_ns),
	    .help = "begin the connections evenly over T, the load running" },
	{ "warmup", 0, "T", OPTION_DURATION, AT(warmup_ns),
	    .help = "at the start, not in the figures" },
	{ "drain", 0, "T", OPTION_DURATION, AT(drain_ns),
	    .help = "wait so long for answers at the end (the timeout)" },
	{ "spin", 0, "T", OPTION_DURATION, AT(spin_ns),
	    .help = "spin the first and the last T of each wait: faster, more precise, costs a CPU" },

	{ "messages-per-connection", 0, "N", OPTION_COUNT, AT(messages_per_connection), .heading = "Connections that come and go, and odd clients:",
	    .help = "connect anew after N messages" },
	{ "lifetime", 0, "T", OPTION_DURATION, AT(lifetime_ns),
	    .help = "connect anew after T" },
	{ "close", 0, "fin|rst", OPTION_NAME, AT(close), .names = plan_close_names,
	    .help = "how a connection ends (fin)" },
	{ "no-reconnect", 0, NULL, OPTION_FLAG, AT(no_reconnect),
	    .help = "a lost connection is not called again" },
	{ "dribble", 0, NULL, OPTION_FLAG, AT(dribble),
	    .help = "send a byte at a time" },
	{ "slow-read", 0, "RATE", OPTION_SIZE, AT(slow_read),
	    .help = "read so many bytes a second on each connection" },
	{ "half-close", 0, NULL, OPTION_FLAG, AT(half_close),
	    .help = "shut the sending side after the last message" },
	{ "source-ip", 0, "ADDR[/BITS]", OPTION_LIST, AT(source_texts),
	    .help = "call from these addresses (repeatable; automatic on loopback when ports run short)" },

	{ "timeout", 0, "T", OPTION_DURATION, AT(timeout_ns), .heading = "Patience:",
	    .help = "for an answer (10s)" },
	{ "connect-timeout", 0, "T", OPTION_DURATION, AT(connect_timeout_ns),
	    .help = "for a connection (5s)" },

	{ "threshold", 0, "'p99<5ms'", OPTION_LIST, AT(thresholds), .heading = "Judgement and output:",
	    .help = "fail when it does not hold (repeatable)" },
	{ "search", 0, "'p99<1ms'", OPTION_TEXT, AT(search),
	    .help = "the highest rate at which it holds, each step as long as -d (from -R)" },
	{ "ledger", 0, "URL|unix:PATH", OPTION_LIST, AT(ledgers),
	    .help = "reconcile with the server's /stats (repeatable: one server each)" },
	{ "json", 0, "FILE", OPTION_TEXT, AT(json),
	    .help = "the result as JSON (- is stdout)" },
	{ "hgrm", 0, "FILE", OPTION_TEXT, AT(hgrm),
	    .help = "percentiles of the response time" },
	{ "hlog", 0, "FILE", OPTION_TEXT, AT(hlog),
	    .help = "a histogram for each second" },
	{ "html", 0, "FILE", OPTION_TEXT, AT(html),
	    .help = "one self-contained page" },
	{ "strict", 0, NULL, OPTION_FLAG, AT(strict),
	    .help = "exit status 3 when the measurement is not to be trusted" },
	{ "skip-preflight", 0, NULL, OPTION_FLAG, AT(skip_preflight),
	    .help = "run though the machine lacks what the run needs" },
	{ "progress", 0, "NAME", OPTION_NAME, AT(progress), .names = plan_progress_names,
	    .help = "auto, always or never (auto: on a terminal)" },
	{ "transcript", 0, NULL, OPTION_FLAG, AT(transcript),
	    .help = "print what each socket sends and receives (the default for a few)" },
	{ "quiet", 'q', NULL, OPTION_FLAG, AT(quiet),
	    .help = "no report, no progress" },

	{ "rank", 0, "I/N", OPTION_TEXT, AT(rank_text), .heading = "Several machines:",
	    .help = "the I-th (from 0) of N machines (also read from the scheduler's environment)" },
	{ "start-at", 0, "TIME", OPTION_TEXT, AT(start_at_text),
	    .help = "the common start: +10s, HH:MM:SS (the next one), YYYY-MM-DDTHH:MM:SSZ or @SECONDS" },
	{ .name = NULL },
};
/* clang-format on */

static const char intro[] =
    "Calls HOST:PORT on many sockets, sends messages, reads every answer and verifies every byte. With no options: two sockets, three messages, and what was said.\n"
    "Other forms: yodel talk, merge, compare, report, calibrate; each has --help.";

static const char notes[] =
    "Examples:\n"
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

void
plan_options_parse(int argc, char **argv, struct plan *plan)
{
	static const struct options_command command = {
		.name = "yodel",
		.version = "yodel " YODEL_VERSION,
		.operands = "HOST:PORT...",
		.operands_max = OPTIONS_UNLIMITED,
		.intro = intro,
		.notes = notes,
		.rows = rows,
	};
	char **operands = options_parse(&command, argc, argv, plan);

	for (; *operands != NULL; operands++)
		if (options_list_add(&plan->target_texts, *operands) < 0)
			fatalx(EX_OSERR, "out of memory");
}
