#include "client/survey/survey_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/suggest.h"
#include "lib/units.h"
#include "lib/xmalloc.h"
#include "client/survey/survey.h"

#define AT(member) offsetof(struct survey_plan, member)
#define ADDRESSES_MAX 32

/* clang-format off */
static const struct option_row rows[] = {
	{ "duration", 'd', "T", OPTION_DURATION, AT(duration_ns), .heading = "What:", .min = NS_PER_S,
	    .help = "time for all; nothing begins that would not end in it (2m)" },
	{ "idle-max", 0, "T", OPTION_DURATION, AT(idle_max_ns), .min = NS_PER_S / 2,
	    .help = "leave connections idle for at most T (what -d leaves)" },
	{ "only", 0, "ID,...", OPTION_LIST, AT(only),
	    .help = "these probes" },
	{ "skip", 0, "ID,...", OPTION_LIST, AT(skip),
	    .help = "all but these" },
	{ "list", 0, NULL, OPTION_FLAG, AT(lists),
	    .help = "print the probes with their cost and what they need" },
	{ "connections", 0, "N", OPTION_COUNT32, AT(connections), .min = 8, .max = 60000,
	    .help = "at most N open at a time (128)" },
	{ "burst", 0, "N", OPTION_COUNT32, AT(burst), .min = 2, .max = 10000,
	    .help = "new connections at once, to look for a limit (50)" },
	{ "limits", 0, "on|off", OPTION_TEXT, AT(limits_text),
	    .help = "look for limits of connections (on)" },
	{ "load", 0, "T", OPTION_DURATION, AT(load_ns), .min = NS_PER_S / 2, .implied = "3s",
	    .help = "send bytes at full speed for T (3s) in each direction (off)" },
	{ "repeat", 0, "N", OPTION_COUNT32, AT(repeat), .min = 1, .max = SURVEY_REPEAT_MAX,
	    .help = "of each fast probe (3)" },

	{ "source-ip", 0, "ADDR", OPTION_LIST, AT(source_texts), .heading = "Connections:",
	    .help = "connect from this address (repeatable; two make by_source possible)" },
	{ "ipv4", '4', NULL, OPTION_FLAG, AT(ipv4),
	    .help = "use IPv4 addresses only" },
	{ "ipv6", '6', NULL, OPTION_FLAG, AT(ipv6),
	    .help = "use IPv6 addresses only" },
	{ "proxy-protocol", 0, "v1|v2", OPTION_NAME, AT(proxy_version), .names = plan_proxy_names,
	    .help = "begin each connection with a PROXY header" },

	{ "tls", 0, NULL, OPTION_FLAG, AT(tls),
	    .help = "begin each connection with a TLS handshake" },
	{ "tls-ca", 0, "FILE", OPTION_TEXT, AT(tls_ca),
	    .help = "accept certificates of these CAs (of the system)" },
	{ "tls-name", 0, "NAME", OPTION_TEXT, AT(tls_name),
	    .help = "the name in the certificate (the host of the target)" },
	{ "tls-insecure", 0, NULL, OPTION_FLAG, AT(tls_insecure),
	    .help = "accept any certificate" },

	{ "threshold", 0, "'idle>=300s'", OPTION_LIST, AT(thresholds), .heading = "Verdict and output:",
	    .help = "exit 99 if an answer does not meet this (repeatable)" },
	{ "ledger", 0, "URL|unix:PATH", OPTION_TEXT, AT(ledger),
	    .help = "compare with the counters (/stats) of a yodeld that no other client uses" },
	{ "json", 0, "FILE", OPTION_TEXT, AT(json),
	    .help = "write the survey as JSON (- is stdout)" },
	{ "html", 0, "FILE", OPTION_TEXT, AT(html),
	    .help = "write one self-contained page" },
	{ "verbose", 'v', NULL, OPTION_FLAG, AT(is_verbose),
	    .help = "print the evidence below each row" },
	{ "quiet", 'q', NULL, OPTION_FLAG, AT(is_quiet),
	    .help = "print no report and no progress" },
	{ "progress", 0, "NAME", OPTION_NAME, AT(progress), .names = plan_progress_names,
	    .help = "show the progress: auto, always or never (auto: on a terminal)" },
	{ "print-schema", 0, NULL, OPTION_FLAG, AT(prints_schema),
	    .help = "print the JSON schema of --json" },
	{ .name = NULL },
};
/* clang-format on */

static const char intro[] =
    "Asks the path to HOST:PORT what it does to connections: which host acknowledges bytes, what becomes of idle and half-closed connections, of resets, addresses and large segments, and how many connections it takes. With a yodeld that replies \"witness\" at the other end it asks everything; against another server what a client alone can know. A second target answers whether a mapping depends on the target.";

static const char notes[] =
    "Examples:\n"
    "  yodeld --listen '*:10007=witness'\n"
    "      on the other machine: all that is needed there\n"
    "  yodel survey server:10007\n"
    "      everything, in two minutes\n"
    "  yodel survey -d 12m --idle-max 10m server:10007\n"
    "      idle timeouts up to ten minutes\n"
    "  yodel survey --only split,reset --threshold reset=passed server:10007\n"
    "      some questions, as a test\n"
    "\n"
    "It opens a few hundred connections. Survey what you are allowed to survey.\n"
    "Exit status: 0 surveyed, 1 not possible, 2 bytes were changed, 64 usage,\n"
    "69 --ledger not reachable, 71 system, 99 a threshold failed.";

/* --- probes by name --- */

static int
refuse_probe(const char *name)
{
	const char *names[SURVEY_ROW_COUNT + 1];
	for (int i = 0; i < SURVEY_ROW_COUNT; i++)
		names[i] = survey_row_kinds[i].id;
	names[SURVEY_ROW_COUNT] = NULL;
	const char *nearest = suggest_nearest(name, names);
	if (nearest != NULL)
		log_errorx("no probe \"%s\"; did you mean \"%s\"?", name, nearest);
	else
		log_errorx("no probe \"%s\"; expected one of --list", name);
	return EX_USAGE;
}

/* Sets is_asked of each probe in the lists "a,b". 0, or 64 with one line. */
static int
set_probes(const struct option_list *lists, struct survey_plan *plan, bool is_asked)
{
	for (uint32_t i = 0; i < lists->count; i++) {
		char *copy = xstrdup(lists->items[i]), *rest = copy, *name;
		int status = 0;
		while (status == 0 && (name = strsep(&rest, ",")) != NULL) {
			enum survey_row_id row = survey_row_find(name);
			if (row == SURVEY_ROW_COUNT)
				status = refuse_probe(name);
			else
				plan->is_asked[row] = is_asked;
		}
		free(copy);
		if (status != 0)
			return status;
	}
	return 0;
}

static int
choose_probes(struct survey_plan *plan)
{
	static const enum survey_row_id limits[] = { SURVEY_concurrent,
		SURVEY_by_source, SURVEY_burst, SURVEY_rate };
	for (int i = 0; i < SURVEY_ROW_COUNT; i++)
		plan->is_asked[i] = plan->only.count == 0;
	if (set_probes(&plan->only, plan, true) != 0 ||
	    set_probes(&plan->skip, plan, false) != 0)
		return EX_USAGE;
	plan->asks_rate = plan->only.count > 0 && plan->is_asked[SURVEY_rate];
	for (uint32_t i = 0; i < plan->thresholds.count; i++)
		if (strncmp(plan->thresholds.items[i], "rate", 4) == 0)
			plan->asks_rate = true;
	plan->asks_reach = plan->is_asked[SURVEY_reach];
	/* Where the far end is recognised. */
	plan->is_asked[SURVEY_reach] = true;
	if (plan->limits_text != NULL && strcmp(plan->limits_text, "off") == 0)
		for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
			plan->is_asked[limits[i]] = false;
	else if (plan->limits_text != NULL && strcmp(plan->limits_text, "on") != 0) {
		log_errorx(
		    "--limits: found \"%s\", expected on or off", plan->limits_text);
		return EX_USAGE;
	}
	if (plan->load_ns == 0)
		plan->is_asked[SURVEY_load] = false;
	if (plan->ledger == NULL)
		plan->is_asked[SURVEY_ledger] = false;
	if (plan->second_text == NULL)
		plan->is_asked[SURVEY_mapping] = false;
	/* Probes whose rows are filled by another one. */
	plan->is_asked[SURVEY_source] |= plan->is_asked[SURVEY_backends];
	plan->is_asked[SURVEY_concurrent] |= plan->is_asked[SURVEY_by_source];
	return 0;
}

/* --- addresses --- */

/* The first address of the wanted family. */
static int
resolve(const struct survey_plan *plan, const char *text, bool is_second,
    struct address *ret)
{
	struct address found[ADDRESSES_MAX];
	char error[256];
	if (strncmp(text, "unix:", 5) == 0) {
		log_errorx(
		    "found \"%s\", expected HOST:PORT: a Unix socket has no path to survey",
		    text);
		return EX_USAGE;
	}
	if (strncmp(text, "mptcp:", 6) == 0) {
		log_errorx(
		    "found \"%s\", expected HOST:PORT: a survey is of TCP; its row syn tells whether MPTCP passes",
		    text);
		return EX_USAGE;
	}
	int count = address_resolve(text, found, ADDRESSES_MAX, error, sizeof(error));
	if (count < 0) {
		log_errorx("%s", error);
		return EX_USAGE;
	}
	for (int i = 0; i < count; i++) {
		bool v6 = found[i].storage.ss_family == AF_INET6;
		if (is_second
			? found[i].storage.ss_family != plan->target.storage.ss_family
			: (v6 && plan->ipv4) || (!v6 && plan->ipv6))
			continue;
		*ret = found[i];
		return 0;
	}
	if (is_second)
		log_errorx("%s: has no address of the first target's family", text);
	else
		log_errorx("%s: has no %s address", text, plan->ipv4 ? "IPv4" : "IPv6");
	return EX_USAGE;
}

static int
resolve_sources(struct survey_plan *plan)
{
	for (uint32_t i = 0; i < plan->source_texts.count; i++) {
		char text[ADDRESS_TEXT_MAX + 8], error[256];
		const char *item = plan->source_texts.items[i];
		if (plan->source_count == SURVEY_SOURCES_MAX) {
			log_errorx(
			    "found more than %d --source-ip", SURVEY_SOURCES_MAX);
			return EX_USAGE;
		}
		bool v6 = strchr(item, ':') != NULL;
		snprintf(text, sizeof(text), v6 ? "[%s]:0" : "%s:0", item);
		struct address *source = &plan->sources[plan->source_count];
		if (address_parse(text, source, error, sizeof(error)) < 0 ||
		    source->storage.ss_family != plan->target.storage.ss_family) {
			log_errorx(
			    "--source-ip: found \"%s\", expected an address of the target's family",
			    item);
			return EX_USAGE;
		}
		plan->source_count++;
	}
	return 0;
}

static int
resolve_all(struct survey_plan *plan)
{
	if (plan->ipv4 && plan->ipv6) {
		log_errorx("-4 and -6 exclude each other");
		return EX_USAGE;
	}
	int status = resolve(plan, plan->target_text, false, &plan->target);
	if (status == 0 && plan->second_text != NULL) {
		plan->has_second = true;
		status = resolve(plan, plan->second_text, true, &plan->second);
	}
	if (status == 0 && plan->has_second &&
	    address_equal(&plan->target, &plan->second)) {
		log_errorx("found \"%s\" twice, expected another second target",
		    plan->second_text);
		status = EX_USAGE;
	}
	return status != 0 ? status : resolve_sources(plan);
}

void
survey_options_finish(struct survey_plan *plan)
{
	free(plan->only.items);
	free(plan->skip.items);
	free(plan->source_texts.items);
	free(plan->thresholds.items);
}

int
survey_options_parse(int argc, char **argv, struct survey_plan *plan)
{
	static const struct options_command command = {
		.name = "yodel survey",
		.version = "yodel " YODEL_VERSION,
		.operands = "HOST:PORT [HOST:PORT]",
		.operands_min = 0,
		.operands_max = 2,
		.intro = intro,
		.notes = notes,
		.rows = rows,
	};
	*plan = (struct survey_plan){ .duration_ns = 120 * NS_PER_S,
		.connections = 128,
		.burst = 50,
		.repeat = SURVEY_REPEAT_DEFAULT };
	char **operands = options_parse(&command, argc, argv, plan);
	plan->target_text = operands[0];
	plan->second_text = operands[0] != NULL ? operands[1] : NULL;
	if (plan->lists || plan->prints_schema)
		return 0;
	if (plan->target_text == NULL) {
		log_errorx("missing operand: expected HOST:PORT (see --help)");
		return EX_USAGE;
	}
	if (plan->idle_max_ns > plan->duration_ns) {
		char idle[UNITS_TEXT_MAX], duration[UNITS_TEXT_MAX];
		log_errorx(
		    "--idle-max=%s is longer than -d %s; expected a longer duration",
		    units_format_duration(plan->idle_max_ns, idle),
		    units_format_duration(plan->duration_ns, duration));
		return EX_USAGE;
	}
	if (!plan->tls &&
	    (plan->tls_insecure || plan->tls_ca != NULL || plan->tls_name != NULL)) {
		log_errorx("--tls-ca, --tls-name and --tls-insecure require --tls");
		return EX_USAGE;
	}
	if (plan->burst > plan->connections)
		plan->burst = plan->connections;
	int status = choose_probes(plan);
	return status != 0 ? status : resolve_all(plan);
}

int
survey_options_thresholds(const struct survey_plan *plan, struct survey_threshold **ret)
{
	struct survey_threshold *list =
	    xcalloc(plan->thresholds.count + 1, sizeof(list[0]));
	for (uint32_t i = 0; i < plan->thresholds.count; i++) {
		char error[256];
		if (survey_threshold_parse(
			plan->thresholds.items[i], &list[i], error, sizeof(error)) == 0)
			continue;
		log_errorx("--threshold: %s", error);
		free(list);
		return EX_USAGE;
	}
	*ret = list;
	return 0;
}
