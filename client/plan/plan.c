#include "client/plan/plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "lib/clock.h"
#include "lib/resources.h"
#include "lib/units.h"
#include "http/http_client.h"
#include "net/mptcp.h"
#include "client/plan/plan_refuse.h"
#include "client/plan/proxy_plan.h"
#include "client/plan/rank.h"
#include "client/plan/source_address.h"
#include "client/plan/threshold.h"
#include "client/plan/tls_plan.h"

#define CONNECTIONS_PER_PROCESS 16 /* minimum that justifies another process */
#define SLOW_READ_MAX (32u << 20)  /* bytes per second */
#define SEARCH_FIRST_RATE 1000     /* messages per second */
#define TRANSCRIPT_SOCKETS 8
#define HOLD_INTERVALS 3
#define HOLD_MIN_NS (200 * NS_PER_MS)
#define TRANSCRIPT_MESSAGES 100

const char *const plan_load_names[] = {
	"lockstep",
	"closed",
	"interval",
	"open",
	NULL,
};
const char *const plan_arrivals_names[] = { "constant", "poisson", NULL };
const char *const plan_close_names[] = { "fin", "rst", NULL };
const char *const plan_proxy_names[] = { "off", "v1", "v2", NULL };
const char *const plan_tls_version_names[] = { "", "1.2", "1.3", NULL };
const char *const plan_progress_names[] = { "auto", "always", "never", NULL };

void
plan_init(struct plan *plan)
{
	*plan = (struct plan){
		.connections = 2,
		.processes_auto = true,
		.expect_text = "auto",
		.seed = 1,
		.timeout_ns = 10000 * NS_PER_MS,
		.connect_timeout_ns = 5000 * NS_PER_MS,
		.drain_ns = PLAN_DRAIN_AUTO,
		.ranks = 1,
	};
}

void
plan_finish(struct plan *plan)
{
	free(plan->target_texts.items);
	free(plan->texts.items);
	free(plan->source_texts.items);
	proxy_plan_finish(plan);
	tls_plan_finish(plan);
	free(plan->proxy_tlv_texts.items);
	free(plan->thresholds.items);
	free(plan->ledgers.items);
	free(plan->label_texts.items);
	labels_finish(&plan->labels);
	free(plan->command);
	if (plan->expect == PLAN_EXPECT_REPLY)
		reply_finish(&plan->reply);
	conversation_finish(&plan->conversation);
	*plan = (struct plan){ .connections = 0 };
}

uint32_t
plan_share(const struct plan *plan, uint32_t process, uint32_t *ret_first)
{
	uint32_t each = plan->rank_connections / plan->processes;
	uint32_t more = plan->rank_connections % plan->processes;
	*ret_first =
	    plan->rank_first + process * each + (process < more ? process : more);
	return each + (process < more ? 1 : 0);
}

double
plan_phase(const struct plan *plan, uint32_t process)
{
	double within = ((double)plan->rank + 0.5) / (double)plan->ranks;
	return ((double)process + within) / (double)plan->processes;
}

static int
check_targets(struct plan *plan, char *error)
{
	if (plan->target_texts.count == 0)
		return plan_refuse(error,
		    "missing operand: expected at least one target HOST:PORT (see --help)");
	if (plan->target_texts.count > PLAN_TARGETS_MAX)
		return plan_refuse(error, "found %u targets, expected at most %d",
		    plan->target_texts.count, PLAN_TARGETS_MAX);
	for (uint32_t i = 0; i < plan->target_texts.count; i++) {
		struct plan_target *target = &plan->targets[i];
		char why[256];
		target->text = plan->target_texts.items[i];
		int n = address_resolve(target->text, target->addresses,
		    PLAN_TARGET_ADDRESSES_MAX, why, sizeof(why));
		if (n < 0) {
			/* Without a name server the system fails, not the usage. */
			bool failed = errno == EAGAIN || errno == ENOMEM;
			plan_refuse(error, "%s", why);
			return failed ? EX_OSERR : EX_USAGE;
		}
		if (plan->ipv4_only)
			n = address_keep_family(target->addresses, n, AF_INET);
		if (plan->ipv6_only)
			n = address_keep_family(target->addresses, n, AF_INET6);
		if (n == 0)
			return plan_refuse(error, "target \"%s\" has no %s address",
			    target->text, plan->ipv4_only ? "IPv4" : "IPv6");
		bool is_unix = address_is_unix(&target->addresses[0]);
		if (target->addresses[0].is_mptcp && !mptcp_is_available()) {
			plan_refuse(error,
			    "target \"%s\": the kernel has no MPTCP, or net.mptcp.enabled is 0",
			    target->text);
			return EX_OSERR;
		}
		if (is_unix && plan->close == PLAN_CLOSE_RST)
			return plan_refuse(error,
			    "--close rst: target \"%s\" is a Unix socket, which has no reset: its peer would see an end of file",
			    target->text);
		if (!is_unix && address_port(&target->addresses[0]) == 0)
			return plan_refuse(error,
			    "target \"%s\": expected a port from 1 to 65535",
			    target->text);
		target->address_count = (uint32_t)n;
		target->transport = &transport_tcp;
	}
	plan->target_count = plan->target_texts.count;
	return 0;
}

/* Refuses options that a target does not have, or that the kernel refuses. */
static int
check_socket_options(struct plan *plan, char *error)
{
	char why[160], flag[32];
	enum socket_option failed;
	plan->has_socket_options = socket_options_are_given(&plan->sockets);
	for (uint32_t i = 0; i < plan->target_count && plan->has_socket_options; i++) {
		if (socket_options_try(&plan->sockets, &plan->targets[i].addresses[0],
			&failed, why, sizeof(why)) == 0)
			continue;
		snprintf(flag, sizeof(flag), "%s", socket_option_name(failed));
		for (char *c = flag; *c != '\0'; c++)
			*c = *c == '_' ? '-' : *c;
		return plan_refuse(
		    error, "--%s: target \"%s\": %s", flag, plan->targets[i].text, why);
	}
	return 0;
}

/* --size N[:M] */
static int
check_size(struct plan *plan, char *error)
{
	char first[UNITS_TEXT_MAX];
	const char *text = plan->size_text;
	if (text == NULL)
		return 0;
	if (plan->texts.count > 0 || plan->file != NULL)
		return plan_refuse(error,
		    "--size generates the messages: it cannot be used with --message or --file");
	size_t n = strcspn(text, ":");
	if (n < sizeof(first)) {
		memcpy(first, text, n);
		first[n] = '\0';
	}
	if (n >= sizeof(first) || units_parse_size(first, &plan->size_min) != 0 ||
	    (text[n] == ':' && units_parse_size(text + n + 1, &plan->size_max) != 0))
		return plan_refuse(error,
		    "--size: found \"%s\", expected N or N:M bytes, as in 64 or 1k:64k",
		    text);
	if (text[n] == '\0')
		plan->size_max = plan->size_min;
	if (plan->size_min < 1 || plan->size_max < plan->size_min ||
	    plan->size_max > PLAN_MESSAGE_MAX)
		return plan_refuse(error,
		    "--size: found \"%s\", expected 1 to 1G bytes, the smaller number first",
		    text);
	plan->payload = true;
	return 0;
}

/* The file says what is sent and what is expected. */
static int
refuse_message_options(const struct plan *plan, char *error)
{
	const struct {
		const char *name;
		bool is_given;
	} options[] = {
		{ "--message", plan->texts.count > 0 },
		{ "--file", plan->file != NULL },
		{ "--size", plan->size_text != NULL },
		{ "--escapes", plan->escapes },
		{ "--expect", strcmp(plan->expect_text, "auto") != 0 },
		{ "--framing", plan->framing != FRAMING_STREAM },
		{ "--half-close", plan->half_close },
	};
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (options[i].is_given)
			return plan_refuse(error,
			    "--conversation says what is sent and what is expected: it cannot be used with %s",
			    options[i].name);
	return 0;
}

/* Loads the file, and applies what it requires of the load. */
static int
check_conversation(struct plan *plan, char *error)
{
	if (plan->conversation_file == NULL)
		return 0;
	int rc = refuse_message_options(plan, error);
	if (rc != 0)
		return rc;
	rc = conversation_load(plan->conversation_file, &plan->conversation, error);
	if (rc != 0)
		return rc;
	if (plan->conversation.step_name_count > LATENCY_MAX - LATENCY_STEP_FIRST)
		return plan_refuse(error,
		    "%s: found %u named steps, expected at most %d",
		    plan->conversation_file, plan->conversation.step_name_count,
		    LATENCY_MAX - LATENCY_STEP_FIRST);
	if (!plan->conversation.closes)
		return 0;
	if (plan->messages_per_connection > 1 || plan->lockstep)
		return plan_refuse(error,
		    "%s closes the connection in each pass: it cannot be used with --lockstep or --messages-per-connection",
		    plan->conversation_file);
	plan->messages_per_connection = 1;
	return 0;
}

static int
check_messages(struct plan *plan, char *error)
{
	if (plan->texts.count > 0 && plan->file != NULL)
		return plan_refuse(
		    error, "--message and --file cannot be used together");
	return check_size(plan, error);
}

static int
check_expect(struct plan *plan, char *error)
{
	char why[256];
	if (strcmp(plan->expect_text, "auto") == 0)
		plan->expect = PLAN_EXPECT_AUTO;
	else if (strcmp(plan->expect_text, "none") == 0)
		plan->expect = PLAN_EXPECT_NONE;
	else if (reply_parse(plan->expect_text, &plan->reply, why, sizeof(why)) < 0)
		return plan_refuse(error, "--expect: %s, or auto, or none", why);
	else
		plan->expect = PLAN_EXPECT_REPLY;
	if (plan->expect_proxy && !plan_expects_whoami(plan))
		return plan_refuse(error,
		    "--expect-proxy requires --expect whoami, and a server with that reply");
	return 0;
}

/* Without message boundaries the server answers each read. Unless each byte is answered
 * by itself, the answer then depends on how the stream was split. */
static bool
is_one_at_a_time(const struct plan *plan)
{
	return !framings[plan->framing].has_boundaries &&
	    plan->expect == PLAN_EXPECT_REPLY && !reply_is_silent(&plan->reply) &&
	    !reply_is_bytewise(&plan->reply);
}

/* A conversation is played in its order unless the user asks for more: without -p the
 * next pass, also of an open loop, waits for the end of the one before. */
static int
check_pipeline(struct plan *plan, char *error)
{
	const char *reason = plan->conversation.pipeline_refusal;
	if (plan->conversation_file == NULL)
		return 0;
	if (plan->pipeline > 1 && reason[0] != '\0')
		return plan_refuse(error, "--pipeline: %s", reason);
	if (plan->pipeline == 0)
		plan->pipeline = 1;
	return 0;
}

static bool
has_churn(const struct plan *plan)
{
	return plan->messages_per_connection > 0 || plan->lifetime_ns > 0;
}

static int
check_load(struct plan *plan, char *error)
{
	bool bounded = plan->rate_all > 0 || plan->interval_ns > 0;
	bool is_pipelined = plan->pipeline > 0;
	int rc = check_pipeline(plan, error);
	if (rc != 0)
		return rc;
	if (plan->rate_all > 0 && plan->interval_ns > 0)
		return plan_refuse(
		    error, "--rate and --interval cannot be used together");
	if (plan->lockstep && (bounded || plan->pipeline > 1 || has_churn(plan)))
		return plan_refuse(error,
		    "--lockstep sends one message at a time on all sockets: it cannot be used with --rate, --interval, --pipeline, --messages-per-connection or --lifetime");
	if (plan->rate_all > 0)
		plan->load = PLAN_OPEN;
	else if (plan->interval_ns > 0)
		plan->load = PLAN_INTERVAL;
	else if (plan->lockstep ||
	    (plan->duration_ns == 0 && !is_pipelined && !has_churn(plan)))
		plan->load = PLAN_LOCKSTEP;
	else
		plan->load = PLAN_CLOSED;
	if (plan->arrivals == PLAN_POISSON && plan->load != PLAN_OPEN)
		return plan_refuse(error, "--arrivals poisson requires --rate");
	if (is_one_at_a_time(plan)) {
		if (plan->pipeline > 1)
			return plan_refuse(error,
			    "--pipeline requires --framing line or length32 with this reply: a stream does not show where an answer ends");
		plan->pipeline = 1;
	}
	if (plan->pipeline == 0 && !bounded)
		plan->pipeline = 1;
	return 0;
}

static bool
expects_no_answer(const struct plan *plan)
{
	return plan->expect == PLAN_EXPECT_NONE ||
	    (plan->expect == PLAN_EXPECT_REPLY && reply_is_silent(&plan->reply));
}

/* An outage is seen by the messages that were due in it. */
static int
check_hold(struct plan *plan, char *error)
{
	double interval_ns = plan->load == PLAN_INTERVAL
	    ? (double)plan->interval_ns
	    : (double)plan->connections / plan->rate_all * 1e9;
	if (!plan->hold)
		return 0;
	if (plan->load < PLAN_INTERVAL)
		return plan_refuse(error,
		    "--hold requires --interval or --rate: messages that are due at their times show an outage");
	if (expects_no_answer(plan))
		return plan_refuse(error,
		    "--hold requires answers: it cannot be used with --expect %s",
		    plan->expect_text);
	if (plan->hold_ns > 0)
		return 0;
	if (interval_ns * HOLD_INTERVALS >= (double)OPTIONS_MEASURE_MAX)
		return plan_refuse(error,
		    "--hold: the interval between the messages of a connection is too long; fix: --hold=T");
	plan->hold_ns = (uint64_t)(interval_ns * HOLD_INTERVALS);
	if (plan->hold_ns < HOLD_MIN_NS)
		plan->hold_ns = HOLD_MIN_NS;
	return 0;
}

static int
check_timing(struct plan *plan, char *error)
{
	int rc = check_load(plan, error);
	if (rc != 0)
		return rc;
	if (plan->half_close && plan->messages == 0 && plan->duration_ns > 0)
		return plan_refuse(error,
		    "--half-close requires --messages: it shuts down the sending side after the last one");
	if (plan->slow_read > SLOW_READ_MAX)
		return plan_refuse(
		    error, "--slow-read: expected at most 32M bytes per second");
	if (plan->timeout_ns < NS_PER_MS || plan->connect_timeout_ns < NS_PER_MS)
		return plan_refuse(
		    error, "--timeout, --connect-timeout: expected at least 1ms");
	if (plan->drain_ns == PLAN_DRAIN_AUTO)
		plan->drain_ns = plan->timeout_ns;
	/* The two-socket test shows what happens to its two sockets. */
	plan->reconnect =
	    !plan->no_reconnect && (plan->duration_ns > 0 || plan->messages > 0);
	return check_hold(plan, error);
}

static int
check_rank(struct plan *plan, char *error)
{
	if (rank_parse(
		plan->rank_text, &plan->rank, &plan->ranks, error, PLAN_ERROR_MAX) < 0)
		return EX_USAGE;
	if (plan->start_at_text != NULL &&
	    rank_parse_start(plan->start_at_text, clock_realtime_ns(),
		&plan->start_at_ns, error, PLAN_ERROR_MAX) < 0)
		return EX_USAGE;
	uint32_t each = plan->connections / plan->ranks;
	uint32_t more = plan->connections % plan->ranks;
	plan->rank_connections = each + (plan->rank < more ? 1 : 0);
	plan->rank_first = plan->rank * each + (plan->rank < more ? plan->rank : more);
	if (plan->connections < plan->ranks)
		return plan_refuse(error,
		    "found %u connections for %u ranks, expected at least one each",
		    plan->connections, plan->ranks);
	if (plan->search != NULL && plan->ranks > 1)
		return plan_refuse(error,
		    "--search runs on one machine, because each rank would find another rate; fix: --rank 0/1");
	double share = (double)plan->rank_connections / plan->connections;
	plan->rate = plan->rate_all * share;
	plan->connect_rate = plan->connect_rate_all * share;
	return 0;
}

static int
check_processes(struct plan *plan, char *error)
{
	uint32_t cpus = resources_cpus();
	uint32_t useful = (plan->rank_connections + CONNECTIONS_PER_PROCESS - 1) /
	    CONNECTIONS_PER_PROCESS;
	if (plan->processes > PLAN_PROCESSES_MAX)
		return plan_refuse(error,
		    "--workers: expected at most %d load processes",
		    PLAN_PROCESSES_MAX);
	if (plan->processes_auto)
		plan->processes = cpus < useful ? cpus : useful;
	if (plan->processes > plan->rank_connections)
		plan->processes = plan->rank_connections;
	return 0;
}

/* A named step of a threshold must be one of the conversation. */
static int
check_step(const struct plan *plan, const struct threshold *threshold, char *error)
{
	const struct conversation *conversation = &plan->conversation;
	char known[PLAN_ERROR_MAX / 2] = "";
	if (threshold->step[0] == '\0')
		return 0;
	for (uint16_t i = 0; i < conversation->step_name_count; i++) {
		const char *name = conversation->step_names[i];
		size_t used = strlen(known);
		if (strcmp(name, threshold->step) == 0)
			return 0;
		snprintf(known + used, sizeof(known) - used, "%s%s",
		    used > 0 ? ", " : "", name);
	}
	return plan_refuse(error,
	    "threshold \"%s\": found step \"%s\", expected a named step of --conversation (%s)",
	    threshold->text, threshold->step, known[0] != '\0' ? known : "none");
}

static int
check_threshold(const struct plan *plan, const struct threshold *threshold, char *error)
{
	if (threshold->figure == THRESHOLD_DARK && !plan->hold)
		return plan_refuse(
		    error, "threshold \"%s\" requires --hold", threshold->text);
	return check_step(plan, threshold, error);
}

/* A search uses the open loop and finds its rate. */
static int
check_search(struct plan *plan, char *error)
{
	char why[256];
	struct threshold threshold;
	if (plan->search == NULL)
		return 0;
	if (threshold_parse(plan->search, &threshold, why, sizeof(why)) < 0)
		return plan_refuse(error, "--search %s", why);
	if (check_threshold(plan, &threshold, error) != 0)
		return EX_USAGE;
	if (threshold.op == THRESHOLD_GT || threshold.op == THRESHOLD_GE)
		return plan_refuse(error,
		    "--search: found \"%s\", expected an upper limit, as in p99<1ms",
		    plan->search);
	if (plan->ledgers.count > 0 || plan->hlog != NULL)
		return plan_refuse(error,
		    "--search makes several runs: it cannot be used with --ledger or --hlog");
	if (plan->file != NULL && strcmp(plan->file, "-") == 0)
		return plan_refuse(error,
		    "--search makes several runs: it cannot read the messages from stdin");
	if (plan->duration_ns == 0)
		return plan_refuse(
		    error, "--search requires --duration, the length of a step");
	if (plan->rate_all == 0)
		plan->rate_all = SEARCH_FIRST_RATE;
	return 0;
}

static int
check_ledgers(struct plan *plan, char *error)
{
	for (uint32_t i = 0; i < plan->ledgers.count; i++) {
		const char *ledger = plan->ledgers.items[i];
		if (!http_client_accepts(ledger))
			return plan_refuse(error,
			    "--ledger: found \"%.128s\", expected http://HOST:PORT or unix:PATH",
			    ledger);
	}
	return 0;
}

static int
check_labels(struct plan *plan, char *error)
{
	for (uint32_t i = 0; i < plan->label_texts.count; i++)
		if (labels_parse(&plan->labels, plan->label_texts.items[i], error,
			PLAN_ERROR_MAX) < 0)
			return EX_USAGE;
	return 0;
}

static bool
is_stdout(const char *path)
{
	return path != NULL && strcmp(path, "-") == 0;
}

static int
check_outputs(struct plan *plan, char *error)
{
	char why[256];
	struct threshold threshold;
	plan->stdout_taken = is_stdout(plan->json) || is_stdout(plan->hgrm) ||
	    is_stdout(plan->hlog) || is_stdout(plan->html) ||
	    is_stdout(plan->json_lines);
	if (plan->stdout_taken && plan->transcript)
		return plan_refuse(
		    error, "--transcript and a file cannot both use stdout");
	for (uint32_t i = 0; i < plan->thresholds.count; i++) {
		if (threshold_parse(
			plan->thresholds.items[i], &threshold, why, sizeof(why)) < 0)
			return plan_refuse(error, "--threshold %s", why);
		if (check_threshold(plan, &threshold, error) != 0)
			return EX_USAGE;
	}
	return 0;
}

int
plan_check(struct plan *plan, char *error)
{
	static int (*const checks[])(struct plan *, char *) = {
		check_targets,
		check_socket_options,
		check_conversation,
		check_messages,
		check_expect,
		proxy_plan_check,
		tls_plan_check,
		check_search,
		check_timing,
		check_rank,
		check_processes,
		check_ledgers,
		check_labels,
		check_outputs,
	};
	if (plan->ipv4_only && plan->ipv6_only)
		return plan_refuse(error, "-4 and -6 cannot be used together");
	if (plan->connections == 0 || plan->connections > PLAN_CONNECTIONS_MAX)
		return plan_refuse(error, "--connections: found %u, expected 1 to 4M",
		    plan->connections);
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		int rc = checks[i](plan, error);
		if (rc != 0)
			return rc;
	}
	return source_address_check(plan, error) < 0 ? EX_USAGE : 0;
}

void
plan_complete(struct plan *plan, uint32_t pass)
{
	if (plan->messages == 0 && plan->duration_ns == 0)
		plan->messages = pass;
	if (plan->load == PLAN_LOCKSTEP &&
	    plan->rank_connections <= TRANSCRIPT_SOCKETS && plan->messages > 0 &&
	    plan->messages <= TRANSCRIPT_MESSAGES && !plan->payload && !plan->quiet &&
	    !plan->stdout_taken)
		plan->transcript = true;
	/* Two processes would interleave their lines. */
	if (plan->transcript && plan->rank_connections <= TRANSCRIPT_SOCKETS &&
	    plan->processes_auto)
		plan->processes = 1;
}
