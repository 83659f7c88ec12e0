#include "client/plan/plan_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/options.h"
#include "lib/printable.h"
#include "lib/units.h"
#include "lib/xmalloc.h"
#include "proto/framing.h"
#include "proto/reply.h"

#define AT(field) offsetof(struct plan, field)
#define COMMAND_MAX 4096 /* bytes of the command line that a result keeps */

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

/* "50", "50%" */
static const char *
parse_percent(const char *text, void *field)
{
	char number[UNITS_TEXT_MAX];
	uint64_t percent = 0;
	size_t n = strlen(text);
	if (n > 1 && text[n - 1] == '%')
		n--;
	snprintf(number, sizeof(number), "%.*s", (int)n, text);
	if (units_parse_count(number, &percent) < 0 || percent > 100)
		return "a percentage from 0 to 100";
	memcpy(field, &percent, sizeof(percent));
	return NULL;
}

/* "auto", "500ms" */
static const char *
parse_hold(const char *text, void *field)
{
	struct plan *plan = field;
	plan->hold = true;
	plan->hold_ns = 0;
	if (strcmp(text, "auto") == 0)
		return NULL;
	if (units_parse_duration(text, &plan->hold_ns) < 0 || plan->hold_ns == 0)
		return "a time, as in 250ms or 30s";
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

/* The kind of an option, by the type of a row in socket_options.h. */
#define NUMBER OPTION_COUNT32
#define BYTES OPTION_SIZE
#define RATE OPTION_SIZE
#define TIME OPTION_DURATION
#define FLAG OPTION_FLAG
#define TEXT OPTION_TEXT
#define SOCKET_OPTION_ROW(member, type, option, value, least, most, text)              \
	{ option, 0, value, type, AT(sockets.member), .min = (least), .max = (most),   \
		.help = text },

/* clang-format off */
static const struct option_row rows[] = {
	{ "connections", 'c', "N", OPTION_COUNT32, AT(connections), .min = 1, .heading = "Amount:",
	    .help = "number of connections (2)" },
	{ "workers", 'w', "N|auto", OPTION_PARSE, 0, .parse = parse_workers,
	    .help = "load processes (auto: one per CPU, more if the descriptor limit requires it)" },
	{ "messages", 'n', "N", OPTION_COUNT, AT(messages), .min = 1,
	    .help = "messages per connection (one pass through the sequence)" },
	{ "duration", 'd', "T", OPTION_DURATION, AT(duration_ns), .min = 1,
	    .help = "length of the run" },

	{ "message", 'm', "TEXT", OPTION_LIST, AT(texts), .heading = "Messages and answers:",
	    .help = "add a message to the sequence (repeatable)" },
	{ "file", 'f', "FILE", OPTION_TEXT, AT(file),
	    .help = "read the sequence from a file, one message per line (- is stdin)" },
	{ "size", 0, "N[:M]", OPTION_TEXT, AT(size_text),
	    .help = "generate payloads of N (to M) bytes, different on each connection" },
	{ "conversation", 0, "FILE", OPTION_TEXT, AT(conversation_file),
	    .help = "play the client of a conversation, yodel-conversation(5); one pass is one message" },
	{ "escapes", 'e', NULL, OPTION_FLAG, AT(escapes),
	    .help = "interpret C escapes and \\{connection}, \\{message}, \\{pid} in messages" },
	{ "expect", 0, "REPLY", OPTION_TEXT, AT(expect_text),
	    .help = "expected answers: auto, none, " REPLY_SYNTAX " (auto: echo or upper, as in the first answer)" },
	{ "framing", 0, "NAME", OPTION_NAME, AT(framing), .names = framing_names,
	    .help = "how messages are delimited (stream)." FRAMING_HELP },
	{ "seed", 0, "N", OPTION_COUNT, AT(seed), .max = UINT64_MAX,
	    .help = "seed of the payload and of random arrivals (1)" },

	{ "lockstep", 0, NULL, OPTION_FLAG, AT(lockstep), .heading = "Pacing:",
	    .help = "send message i on all sockets and read all answers, then message i + 1 (the default without -d, -R, -p)" },
	{ "pipeline", 'p', "N", OPTION_COUNT32, AT(pipeline), .min = 1,
	    .help = "messages in flight per connection (1)" },
	{ "rate", 'R', "N[/s]", OPTION_PARSE, AT(rate_all), .parse = parse_rate,
	    .help = "open loop: N messages per second in total; latency counts from the intended send time" },
	{ "arrivals", 0, "NAME", OPTION_NAME, AT(arrivals), .names = plan_arrivals_names,
	    .help = "arrivals of the open loop: constant or poisson (constant)" },
	{ "interval", 0, "T", OPTION_DURATION, AT(interval_ns), .min = 1,
	    .help = "send one message every T on each connection" },
	{ "hold", 0, "T", OPTION_PARSE, 0, .parse = parse_hold, .implied = "auto",
	    .help = "find the periods in which a connection had no answer for longer than T (3 intervals, at least 200ms)" },
	{ "connect-rate", 0, "N[/s]", OPTION_PARSE, AT(connect_rate_all), .parse = parse_rate,
	    .help = "connects per second (unlimited)" },
	{ "ramp", 0, "T", OPTION_DURATION, AT(ramp_ns),
	    .help = "spread the connects evenly over T, under load" },
	{ "warmup", 0, "T", OPTION_DURATION, AT(warmup_ns),
	    .help = "exclude the first T from the figures" },
	{ "drain", 0, "T", OPTION_DURATION, AT(drain_ns),
	    .help = "wait up to T for answers at the end (the timeout)" },
	{ "spin", 0, "T", OPTION_DURATION, AT(spin_ns),
	    .help = "busy-wait the first and last T of each wait: more precise, uses a CPU" },

	{ "messages-per-connection", 0, "N", OPTION_COUNT, AT(messages_per_connection), .heading = "Churn and unusual clients:",
	    .help = "reconnect after N messages" },
	{ "lifetime", 0, "T", OPTION_DURATION, AT(lifetime_ns),
	    .help = "reconnect after T" },
	{ "close", 0, "fin|rst", OPTION_NAME, AT(close), .names = plan_close_names,
	    .help = "how to close a connection (fin)" },
	{ "no-reconnect", 0, NULL, OPTION_FLAG, AT(no_reconnect),
	    .help = "do not replace lost connections" },
	{ "dribble", 0, NULL, OPTION_FLAG, AT(dribble),
	    .help = "send one byte at a time" },
	{ "slow-read", 0, "RATE", OPTION_SIZE, AT(slow_read),
	    .help = "read at most this many bytes per second and connection" },
	{ "half-close", 0, NULL, OPTION_FLAG, AT(half_close),
	    .help = "shut down the sending side after the last message" },
	{ "source-ip", 0, "ADDR[/BITS]", OPTION_LIST, AT(source_texts),
	    .help = "connect from these addresses (repeatable; automatic on loopback if ports run short)" },

	{ "ipv4", '4', NULL, OPTION_FLAG, AT(ipv4_only), .heading = "Sockets:",
	    .help = "use the IPv4 addresses of the targets alone" },
	{ "ipv6", '6', NULL, OPTION_FLAG, AT(ipv6_only),
	    .help = "use the IPv6 addresses of the targets alone" },
	SOCKET_OPTIONS_BOTH(SOCKET_OPTION_ROW)
	SOCKET_OPTIONS_CLIENT(SOCKET_OPTION_ROW)

	{ "proxy-protocol", 0, "v1|v2", OPTION_NAME, AT(proxy_version), .names = plan_proxy_names, .heading = "Load balancers:",
	    .help = "begin each connection with a PROXY header, as a load balancer does" },
	{ "proxy-source", 0, "ADDR/BITS", OPTION_TEXT, AT(proxy_source_text),
	    .help = "announce another client of these addresses for each connection (the address of the socket)" },
	{ "proxy-tlv", 0, "NAME=TEXT", OPTION_LIST, AT(proxy_tlv_texts),
	    .help = "add a TLV to the header: alpn, authority, unique-id, netns or a number, with C escapes in TEXT; or crc32c (repeatable)" },

	{ "expect-proxy", 0, NULL, OPTION_FLAG, AT(expect_proxy),
	    .help = "with --expect whoami: the header that a balancer adds must name each connection of this client" },

	PLAN_OPTIONS_TLS(struct plan, ),
	{ "tls-resume", 0, "PERCENT", OPTION_PARSE, AT(tls_resume), .parse = parse_percent,
	    .help = "resume a session on this part of the connections (0)" },

	{ "timeout", 0, "T", OPTION_DURATION, AT(timeout_ns), .heading = "Timeouts:",
	    .help = "wait up to T for an answer (10s)" },
	{ "connect-timeout", 0, "T", OPTION_DURATION, AT(connect_timeout_ns),
	    .help = "wait up to T for a connection, and as long for its TLS handshake (5s)" },

	{ "threshold", 0, "'p99<5ms'", OPTION_LIST, AT(thresholds), .heading = "Verdict and output:",
	    .help = "exit 99 if the result does not meet this (repeatable)" },
	{ "search", 0, "'p99<1ms'", OPTION_TEXT, AT(search),
	    .help = "find the highest rate that meets this; each step runs for -d, the first at -R" },
	{ "ledger", 0, "URL|unix:PATH", OPTION_LIST, AT(ledgers),
	    .help = "reconcile with the server's /stats (repeatable: once per server)" },
	{ "json", 0, "FILE", OPTION_TEXT, AT(json),
	    .help = "write the result as JSON (- is stdout)" },
	{ "hgrm", 0, "FILE", OPTION_TEXT, AT(hgrm),
	    .help = "write percentiles of the response latency" },
	{ "hlog", 0, "FILE", OPTION_TEXT, AT(hlog),
	    .help = "write a histogram for each second" },
	{ "html", 0, "FILE", OPTION_TEXT, AT(html),
	    .help = "write one self-contained page" },
	{ "serve", 0, "ADDRESS", OPTION_TEXT, AT(serve),
	    .help = "show the run while it goes on: HTTP on [ADDRESS:]PORT or unix:PATH" },
	{ "json-lines", 0, "FILE", OPTION_TEXT, AT(json_lines),
	    .help = "write a JSON object for each second of the run" },
	{ "label", 0, "KEY=VALUE", OPTION_LIST, AT(label_texts),
	    .help = "add a label to all outputs (repeatable)" },
	{ "strict", 0, NULL, OPTION_FLAG, AT(strict),
	    .help = "exit 3 if the measurement is not valid" },
	{ "skip-preflight", 0, NULL, OPTION_FLAG, AT(skip_preflight),
	    .help = "run even if the machine lacks resources" },
	{ "progress", 0, "NAME", OPTION_NAME, AT(progress), .names = plan_progress_names,
	    .help = "show the progress: auto, always or never (auto: on a terminal)" },
	{ "transcript", 0, NULL, OPTION_FLAG, AT(transcript),
	    .help = "print what each socket sends and receives (the default for few sockets)" },
	{ "quiet", 'q', NULL, OPTION_FLAG, AT(quiet),
	    .help = "print no report and no progress" },

	{ "rank", 0, "I/N", OPTION_TEXT, AT(rank_text), .heading = "Several machines:",
	    .help = "this is machine I (from 0) of N (also read from a scheduler's environment)" },
	{ "start-at", 0, "TIME", OPTION_TEXT, AT(start_at_text),
	    .help = "common start time: +10s, HH:MM:SS, YYYY-MM-DDTHH:MM:SSZ or @SECONDS" },
	{ .name = NULL },
};
/* clang-format on */

static const char intro[] =
    "Connects many sockets to HOST:PORT, sends messages, and verifies every byte of the answers. Without options: two sockets, three messages, and a transcript.\n"
    "Other commands: yodel talk, check, survey, merge, compare, trend, report, calibrate (--help).";

static const char notes[] =
    "Examples:\n"
    "  yodel localhost:10000\n"
    "      the two-socket test, with a transcript\n"
    "  yodel -c 10k localhost:10000\n"
    "      the same on 10,000 sockets\n"
    "  yodel -c 50 -d 10s --size 64 localhost:10000\n"
    "      closed loop, 64-byte messages, for ten seconds\n"
    "  yodel -c 1k -R 20k -d 30s --warmup 5s --threshold 'p99<5ms' localhost:10000\n"
    "      open loop at 20,000 messages per second, with a threshold\n"
    "  yodel -c 100 -d 10s --messages-per-connection 10 10.0.0.1:7 10.0.0.2:7\n"
    "      two targets, reconnecting all the time\n"
    "  yodel --conversation smtp.talk -d 10s --threshold 'p99[noop]<5ms' mail:25\n"
    "      passes of a conversation, verified, with a threshold on a named step\n"
    "\n"
    "Units: k and M of counts (1000), k, M and G of sizes (1024), us ms s m h.\n"
    "Exit status: 0 all verified, 1 messages or connections lost, 2 wrong bytes,\n"
    "3 not valid (--strict), 64 usage, 66 unreadable file, 69 --ledger not reachable,\n"
    "71 system, 99 a threshold failed.";

/* The word as a shell takes it; heap. */
static char *
quote(const char *word)
{
	static const char plain[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789%+,-./:=@_";
	static const char quoted[] = "'\\''";
	if (*word != '\0' && word[strspn(word, plain)] == '\0')
		return xstrdup(word);
	char *out = xmalloc(strlen(word) * strlen(quoted) + 3), *at = out;
	*at++ = '\'';
	for (; *word != '\0'; word++) {
		if (*word == '\'')
			at = stpcpy(at, quoted);
		else
			*at++ = *word;
	}
	strcpy(at, "'");
	return out;
}

/* The options may be reordered later. */
static char *
command_line(int argc, char **argv)
{
	char *line = xstrdup("yodel");
	for (int i = 1; i < argc; i++) {
		char *word = quote(argv[i]);
		char *longer = xasprintf("%s %s", line, word);
		free(word);
		free(line);
		line = longer;
	}
	char *shown = xmalloc(COMMAND_MAX);
	printable_escape(line, shown, COMMAND_MAX);
	free(line);
	return shown;
}

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
	plan->command = command_line(argc, argv);
	char **operands = options_parse(&command, argc, argv, plan);
	for (; *operands != NULL; operands++)
		options_list_add(&plan->target_texts, *operands);
}
