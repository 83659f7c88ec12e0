#include "client/plan/preflight.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>

#include "lib/log.h"
#include "lib/procfs.h"
#include "lib/units.h"

#include "client/plan/source_address.h"

/* Measured: what the kernel keeps for one end of an idle connection, and what one
 * message in a queue costs beside its bytes. */
#define KERNEL_BYTES 4800
#define QUEUED_BYTES 1024
#define OWN_BYTES 256
#define TYPICAL_MESSAGE 64
#define TIME_WAIT_S 60
#define BURST 256 /* connections at once that any accept queue takes */

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
is_local(const struct plan *plan)
{
	const struct address *address = &plan->targets[0].addresses[0];
	const struct sockaddr_in *in = (const void *)&address->storage;
	const struct sockaddr_in6 *in6 = (const void *)&address->storage;

	if (address->storage.ss_family == AF_INET)
		return ntohl(in->sin_addr.s_addr) >> 24 == 127;
	return address->storage.ss_family == AF_INET6 &&
	    IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
}

/* Both ends of a connection to this machine itself are here. */
static uint64_t
ends(const struct plan *plan)
{
	return (uint64_t)plan->rank_connections * (is_local(plan) ? 2 : 1);
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
		    "; mend with: sysctl -w fs.file-max=%" PRIu64,
		    needed, facts->files_max, needed + needed / 4);
}

static void
check_ports(struct check *check)
{
	const struct plan *plan = check->plan;
	uint64_t sources = plan->source_count > 0 ? plan->source_count : 1;
	uint64_t room = check->facts->ports * sources * plan->target_count;

	if (check->facts->ports == 0 || plan->rank_connections <= room)
		return;
	uint64_t each = check->facts->ports * plan->target_count;
	uint64_t missing = (plan->rank_connections + each - 1) / each;
	add_finding(check, true,
	    "%u connections need as many ports, %" PRIu64
	    " source address%s with %" PRIu64 " ports to %u target%s have %" PRIu64
	    "; mend with: --source-ip (%" PRIu64
	    " addresses), more targets, or sysctl -w net.ipv4.ip_local_port_range=\"1024 65535\"",
	    plan->rank_connections, sources, sources > 1 ? "es" : "",
	    check->facts->ports, plan->target_count, plan->target_count > 1 ? "s" : "",
	    room, missing);
}

static void
check_sources(struct check *check)
{
	const char *source = check->facts->nonlocal_source;

	if (source[0] != '\0')
		add_finding(check, true,
		    "%.*s is no address of this machine; one of its own was wanted (--source-ip), mend with: ip address add",
		    (int)(strrchr(source, ':') - source), source);
}

static void
check_memory(struct check *check)
{
	uint64_t needed = ends(check->plan) * KERNEL_BYTES +
	    (uint64_t)check->plan->rank_connections * OWN_BYTES;
	char need[UNITS_TEXT_MAX], have[UNITS_TEXT_MAX];

	if (check->facts->memory_bytes == 0 || needed <= check->facts->memory_bytes)
		return;
	add_finding(check, true,
	    "%u connections need about %s of memory, %s are available; mend with: fewer --connections, or more machines (--rank)",
	    check->plan->rank_connections, units_show_size(needed, need),
	    units_show_size(check->facts->memory_bytes, have));
}

/* Every message in flight stands in one queue or another. */
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
	    "%s may be in the queues of TCP at once, net.ipv4.tcp_mem allows %s; mend with: sysctl -w net.ipv4.tcp_mem=\"%" PRIu64
	    " %" PRIu64 " %" PRIu64 "\"",
	    units_show_size(needed, need),
	    units_show_size(check->facts->tcp_bytes, have), pages, pages * 3 / 2,
	    pages * 2);
}

/* The table may be there while no rule fills it: where nothing at all is tracked now,
 * this run is hardly the first, and it is told instead of refused. */
static void
check_conntrack(struct check *check)
{
	uint64_t used = check->facts->conntrack_used;
	uint64_t needed = used + check->plan->rank_connections;

	if (check->facts->conntrack_max > 0 && needed > check->facts->conntrack_max)
		add_finding(check, used > 0,
		    "%" PRIu64
		    " connections would be tracked%s, nf_conntrack_max is %" PRIu64
		    "; mend with: sysctl -w net.netfilter.nf_conntrack_max=%" PRIu64,
		    needed, used > 0 ? "" : " (none is now)",
		    check->facts->conntrack_max, needed + needed / 4);
}

/* The server may be slower to accept than this is to call. */
static void
check_backlog(struct check *check)
{
	const struct plan *plan = check->plan;
	uint64_t queue = check->facts->somaxconn;
	bool paced = plan->connect_rate > 0 || plan->ramp_ns > 0;

	if (queue > 0 && queue < plan->rank_connections && queue < BURST && !paced &&
	    is_local(plan))
		add_finding(check, false,
		    "an accept queue holds %" PRIu64
		    " connections (net.core.somaxconn), %u call at once: some may wait a second for a retry; mend with: --connect-rate, or sysctl -w net.core.somaxconn=4096",
		    queue, plan->rank_connections);
}

/* Whoever closes first keeps the port for a minute (TIME_WAIT); on loopback the kernel
 * gives it out again. */
static void
check_time_wait(struct check *check)
{
	const struct plan *plan = check->plan;
	bool churns = plan->messages_per_connection > 0 || plan->lifetime_ns > 0;
	uint64_t sources = plan->source_count > 0 ? plan->source_count : 1;
	uint64_t room = check->facts->ports * sources * plan->target_count;
	double waiting = plan->connect_rate * TIME_WAIT_S;

	if (churns && plan->close == PLAN_CLOSE_FIN && room > 0 && !is_local(plan) &&
	    waiting > (double)room)
		add_finding(check, false,
		    "%.0f connections a second leave %.0f ports in TIME_WAIT, there are %" PRIu64
		    "; mend with: --close rst, --source-ip, or sysctl -w net.ipv4.tcp_tw_reuse=1",
		    plan->connect_rate, waiting, room);
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
	check_ports(&check);
	check_sources(&check);
	check_memory(&check);
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
	ret->files_max = procfs_number("/proc/sys/fs/file-max");
	ret->files_used = procfs_number("/proc/sys/fs/file-nr");
	ret->memory_bytes =
	    procfs_word("/proc/meminfo", "MemAvailable:", "MemAvailable:") * 1024;
	procfs_numbers("/proc/sys/net/ipv4/tcp_mem", tcp_pages, 3);
	ret->tcp_bytes = tcp_pages[2] * page;
	ret->tcp_used = procfs_word("/proc/self/net/sockstat", "TCP:", " mem ") * page;
	ret->conntrack_max = procfs_number("/proc/sys/net/netfilter/nf_conntrack_max");
	ret->conntrack_used =
	    procfs_number("/proc/sys/net/netfilter/nf_conntrack_count");
	ret->somaxconn = procfs_number("/proc/sys/net/core/somaxconn");
	if (source_address_find_nonlocal(plan, &nonlocal))
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
	log_errorx("preflight: refused; --skip-preflight tries all the same");
	return -1;
}
