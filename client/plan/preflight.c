#include "client/plan/preflight.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>

#include "lib/log.h"
#include "lib/resources.h"
#include "lib/system/procfs.h"
#include "lib/units.h"
#include "client/plan/source_address.h"

/* Measured: kernel memory of one end of an idle connection, and of one queued message
 * in addition to its bytes. */
#define KERNEL_BYTES 4800
#define QUEUED_BYTES 1024
#define OWN_BYTES 256
#define TLS_BYTES 344 /* more of an idle TLS connection */
/* Handshakes under way, at most (client/load/conn_tls.h), and memory of each. */
#define HANDSHAKES_MAX 500
#define HANDSHAKE_BYTES UINT64_C(45000)
#define CONVERSATION_BYTES 128 /* more, for a connection that plays one */
#define TYPICAL_MESSAGE 64
#define TIME_WAIT_S 60
#define RESERVED 32 /* descriptors of a process besides its connections */
#define BURST 256   /* simultaneous connects that are no problem for any queue */

struct check {
	const struct plan *plan;
	const struct preflight_facts *facts;
	void (*say)(void *context, bool refuses, const char *line);
	void *context;
	int refused;
};

static void __attribute__((format(printf, 3, 4)))
add_finding(struct check *check, bool refuses, const char *format, ...)
{
	char line[PREFLIGHT_LINE_MAX];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	check->refused += refuses;
	check->say(check->context, refuses, line);
}

static bool
is_local_address(const struct address *address)
{
	if (address_is_unix(address))
		return true;
	if (address->storage.ss_family == AF_INET)
		return ntohl(address->in.sin_addr.s_addr) >> 24 == 127;
	return address->storage.ss_family == AF_INET6 &&
	    IN6_IS_ADDR_LOOPBACK(&address->in6.sin6_addr);
}

static uint32_t
local_targets(const struct plan *plan)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < plan->target_count; i++)
		count += is_local_address(&plan->targets[i].addresses[0]);
	return count;
}

static bool
all_are_local(const struct plan *plan)
{
	return local_targets(plan) == plan->target_count;
}

/* True unless all targets are Unix sockets. */
static bool
uses_network(const struct plan *plan)
{
	for (uint32_t i = 0; i < plan->target_count; i++)
		if (!address_is_unix(&plan->targets[i].addresses[0]))
			return true;
	return false;
}

/* Ends of connections on this machine: both of those to local targets. */
static uint64_t
ends(const struct plan *plan)
{
	uint64_t connections = plan->rank_connections;
	return connections + connections * local_targets(plan) / plan->target_count;
}

static void
check_files(struct check *check)
{
	const struct preflight_facts *facts = check->facts;
	uint64_t needed = facts->files_used + ends(check->plan);
	if (facts->files_max > 0 && needed > facts->files_max)
		add_finding(check, true,
		    "%" PRIu64
		    " descriptors are needed on this machine, fs.file-max is %" PRIu64
		    "; fix: sysctl -w fs.file-max=%" PRIu64,
		    needed, facts->files_max, needed + needed / 4);
}

static uint64_t
source_count(const struct plan *plan)
{
	return plan->source_count > 0 ? plan->source_count : 1;
}

static void
check_ports(struct check *check)
{
	const struct plan *plan = check->plan;
	uint64_t each = check->facts->ports * plan->target_count;
	uint64_t sources = source_count(plan), room = each * sources;
	uint64_t reserved = check->facts->ports_reserved;
	char besides[64] = "";
	if ((each == 0 && reserved == 0) || plan->rank_connections <= room)
		return;
	uint64_t missing = each > 0 ? (plan->rank_connections + each - 1) / each : 0;
	if (reserved > 0)
		snprintf(besides, sizeof(besides), " (%" PRIu64 " more are reserved)",
		    reserved);
	add_finding(check, true,
	    "%u connections need as many local ports, but %" PRIu64
	    " source address%s with %" PRIu64 " ports%s to %u target%s provide %" PRIu64
	    "; fix: --source-ip (%" PRIu64 " addresses), more targets, or sysctl -w %s",
	    plan->rank_connections, sources, sources > 1 ? "es" : "",
	    check->facts->ports, besides, plan->target_count,
	    plan->target_count > 1 ? "s" : "", room, missing,
	    reserved > check->facts->ports
		? "net.ipv4.ip_local_reserved_ports=\"\""
		: "net.ipv4.ip_local_port_range=\"1024 65535\"");
}

/* Sockets in TIME_WAIT keep their ports for a minute, each for one destination, which
 * is not known. On loopback the kernel reuses them earlier. */
static void
check_ports_waiting(struct check *check)
{
	const struct plan *plan = check->plan;
	uint64_t waiting = check->facts->time_wait;
	uint64_t room = check->facts->ports * plan->target_count * source_count(plan);
	if (all_are_local(plan) || plan->rank_connections > room ||
	    plan->rank_connections + waiting <= room)
		return;
	add_finding(check, false,
	    "%u connections need as many local ports: of %" PRIu64 ", up to %" PRIu64
	    " are in TIME_WAIT, and some connects may find none; fix: wait a minute, or --source-ip",
	    plan->rank_connections, room, waiting);
}

static void
check_sources(struct check *check)
{
	const char *source = check->facts->nonlocal_source;
	if (source[0] != '\0')
		add_finding(check, true,
		    "--source-ip: %.*s is not an address of this machine; fix: ip address add",
		    (int)(strrchr(source, ':') - source), source);
}

static uint64_t
tls_bytes(const struct plan *plan)
{
	uint64_t connections = plan->rank_connections;
	uint64_t handshakes = (uint64_t)plan->processes * HANDSHAKES_MAX;
	if (!plan->tls)
		return 0;
	if (handshakes > connections)
		handshakes = connections;
	return connections * TLS_BYTES + handshakes * HANDSHAKE_BYTES;
}

static void
check_memory(struct check *check)
{
	uint64_t own = check->plan->conversation_file != NULL
	    ? OWN_BYTES + CONVERSATION_BYTES
	    : OWN_BYTES;
	uint64_t needed = ends(check->plan) * KERNEL_BYTES +
	    (uint64_t)check->plan->rank_connections * own + tls_bytes(check->plan);
	uint64_t limit = check->facts->memory_limit_bytes;
	char need[UNITS_TEXT_MAX], have[UNITS_TEXT_MAX], most[UNITS_TEXT_MAX];
	if (check->facts->memory_bytes == 0 || needed <= check->facts->memory_bytes)
		return;
	add_finding(check, true,
	    "%u connections need about %s of memory, %s are available%s%s%s; fix: fewer --connections, %smore machines (--rank)",
	    check->plan->rank_connections, units_show_size(needed, need),
	    units_show_size(check->facts->memory_bytes, have),
	    limit > 0 ? " (the control group's limit is " : "",
	    limit > 0 ? units_show_size(limit, most) : "", limit > 0 ? ")" : "",
	    limit > 0 ? "a higher memory limit, or " : "or ");
}

/* Each message in flight may be in a socket queue. */
static void
check_tcp(struct check *check)
{
	const struct plan *plan = check->plan;
	uint64_t message = plan->payload ? plan->size_max : TYPICAL_MESSAGE;
	uint64_t depth = plan->pipeline > 0 ? plan->pipeline : 1;
	uint64_t needed = check->facts->tcp_used +
	    plan->rank_connections * depth * (message + QUEUED_BYTES);
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	char need[UNITS_TEXT_MAX], have[UNITS_TEXT_MAX];
	if (check->facts->tcp_bytes == 0 || needed <= check->facts->tcp_bytes)
		return;
	uint64_t pages = needed / page;
	add_finding(check, true,
	    "TCP may have to queue %s at once, net.ipv4.tcp_mem allows %s; fix: sysctl -w net.ipv4.tcp_mem=\"%" PRIu64
	    " %" PRIu64 " %" PRIu64 "\"",
	    units_show_size(needed, need),
	    units_show_size(check->facts->tcp_bytes, have), pages, pages * 3 / 2,
	    pages * 2);
}

/* The table exists even if no rule tracks connections. If nothing is tracked now, this
 * run will probably not be tracked either: only a warning. */
static void
check_conntrack(struct check *check)
{
	uint64_t used = check->facts->conntrack_used;
	uint64_t needed = used + check->plan->rank_connections;
	if (check->facts->conntrack_max > 0 && needed > check->facts->conntrack_max)
		add_finding(check, used > 0,
		    "%" PRIu64
		    " connections would be tracked%s, nf_conntrack_max is %" PRIu64
		    "; fix: sysctl -w net.netfilter.nf_conntrack_max=%" PRIu64,
		    needed, used > 0 ? "" : " (none is tracked now)",
		    check->facts->conntrack_max, needed + needed / 4);
}

/* The client may connect faster than the server accepts. */
static void
check_backlog(struct check *check)
{
	const struct plan *plan = check->plan;
	uint64_t queue = check->facts->somaxconn;
	bool paced = plan->connect_rate > 0 || plan->ramp_ns > 0;
	if (queue > 0 && queue < plan->rank_connections && queue < BURST && !paced &&
	    local_targets(plan) > 0)
		add_finding(check, false,
		    "an accept queue holds %" PRIu64
		    " connections (net.core.somaxconn), but %u connect at once: some may wait a second for a retry; fix: --connect-rate, or sysctl -w net.core.somaxconn=4096",
		    queue, plan->rank_connections);
}

/* The side that closes first keeps the port for a minute (TIME_WAIT); on loopback the
 * kernel reuses it earlier. */
static void
check_time_wait(struct check *check)
{
	const struct plan *plan = check->plan;
	bool churns = plan->messages_per_connection > 0 || plan->lifetime_ns > 0;
	uint64_t room = check->facts->ports * source_count(plan) * plan->target_count;
	double waiting = plan->connect_rate * TIME_WAIT_S;
	if (churns && plan->close == PLAN_CLOSE_FIN && room > 0 &&
	    !all_are_local(plan) && waiting > (double)room)
		add_finding(check, false,
		    "%.0f connections per second leave %.0f ports in TIME_WAIT, of %" PRIu64
		    "; fix: --close rst, --source-ip, or sysctl -w net.ipv4.tcp_tw_reuse=1",
		    plan->connect_rate, waiting, room);
}

int
preflight_fit_processes(struct plan *plan, char *error)
{
	uint64_t limit = resources_descriptor_limit();
	uint64_t least = UINT64_MAX, connections = 0;
	uint32_t best = 0;
	for (uint32_t n = plan->processes; n <= PLAN_PROCESSES_MAX; n++) {
		uint64_t each = (plan->rank_connections + n - 1) / n;
		/* A process inherits the wake descriptors of all processes. */
		uint64_t needed = each + n + RESERVED;
		if (needed <= limit) {
			plan->processes = n;
			return 0;
		}
		if (needed >= least)
			continue;
		least = needed;
		best = n;
		connections = each;
	}
	snprintf(error, PLAN_ERROR_MAX,
	    "%u connections in %u load processes need %" PRIu64
	    " descriptors in each: %" PRIu64
	    " connections, %u to wake the processes, %d others; the limit is %" PRIu64
	    "; fix: ulimit -Hn %" PRIu64,
	    plan->rank_connections, best, least, connections, best, RESERVED, limit,
	    least);
	return -1;
}

int
preflight_check(const struct plan *plan, const struct preflight_facts *facts,
    void (*say)(void *context, bool refuses, const char *line), void *context)
{
	struct check check = {
		.plan = plan,
		.facts = facts,
		.say = say,
		.context = context,
	};
	check_files(&check);
	check_memory(&check);
	if (!uses_network(plan))
		return check.refused;
	check_ports(&check);
	check_ports_waiting(&check);
	check_sources(&check);
	check_tcp(&check);
	check_conntrack(&check);
	check_backlog(&check);
	check_time_wait(&check);
	return check.refused;
}

void
preflight_read(const struct plan *plan, struct preflight_facts *ret)
{
	struct address nonlocal;
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), tcp_pages[3];
	*ret = (struct preflight_facts){ .ports = source_address_ports() };
	ret->ports_reserved = source_address_ports_reserved();
	ret->time_wait = procfs_word("/proc/self/net/sockstat", "TCP:", " tw ");
	ret->files_max = procfs_number("/proc/sys/fs/file-max");
	ret->files_used = procfs_number("/proc/sys/fs/file-nr");
	ret->memory_bytes = resources_available_memory(&ret->memory_limit_bytes);
	procfs_numbers("/proc/sys/net/ipv4/tcp_mem", tcp_pages, 3);
	ret->tcp_bytes = tcp_pages[2] * page;
	ret->tcp_used = procfs_word("/proc/self/net/sockstat", "TCP:", " mem ") * page;
	ret->conntrack_max = procfs_number("/proc/sys/net/netfilter/nf_conntrack_max");
	ret->conntrack_used =
	    procfs_number("/proc/sys/net/netfilter/nf_conntrack_count");
	ret->somaxconn = procfs_number("/proc/sys/net/core/somaxconn");
	/* Their purpose is to bind such addresses. */
	if (!plan->sockets.freebind && !plan->sockets.transparent &&
	    source_address_find_nonlocal(plan, &nonlocal))
		address_format(&nonlocal, ret->nonlocal_source);
}

static void
log_line(void *context, bool refuses, const char *line)
{
	(void)context;
	if (refuses)
		log_errorx("preflight: %s", line);
	else
		log_warnx("preflight: %s", line);
}

int
preflight_run(const struct plan *plan)
{
	struct preflight_facts facts;
	preflight_read(plan, &facts);
	if (preflight_check(plan, &facts, log_line, NULL) == 0)
		return 0;
	log_errorx("preflight: run refused; --skip-preflight runs anyway");
	return -1;
}
