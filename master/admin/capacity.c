#include "master/admin/capacity.h"

#include <unistd.h>

#include "lib/log.h"
#include "lib/resources.h"
#include "lib/system/procfs.h"
#include "lib/units.h"
#include "master/workers/slot.h"
#include "worker/worker.h"

/* Kernel memory for one end of an idle connection, as measured on Linux 6. */
#define CONNECTION_BYTES 4800
#define OWN_BYTES 256 /* of the worker, for an idle connection */

#define SYSCTL "/proc/sys/net/"

/* The third number is the limit, in pages. */
static uint64_t
read_tcp_memory(void)
{
	uint64_t pages[3];
	procfs_numbers(SYSCTL "ipv4/tcp_mem", pages, 3);
	return pages[2] * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* The open connections have their memory already. */
static uint64_t
fitting_in_memory(const struct master *master, uint64_t available)
{
	struct ledger_totals totals;
	ledger_sum(master->workers.ledger, &totals);
	return ledger_open_total(&totals) + available / (CONNECTION_BYTES + OWN_BYTES);
}

void
capacity_read(const struct master *master, struct capacity *ret)
{
	uint64_t descriptors = resources_descriptor_limit();
	uint32_t serving = slot_count_in(&master->workers, SLOT_SERVING);
	*ret = (struct capacity){
		.descriptors = descriptors,
		.workers = serving,
		.connections = worker_connections_max(descriptors) * serving,
		.somaxconn = procfs_number(SYSCTL "core/somaxconn"),
		.tcp_memory_bytes = read_tcp_memory(),
		.tcp_migrate_req = procfs_number(SYSCTL "ipv4/tcp_migrate_req"),
	};
	uint64_t asked = master->config.current.limits.max_connections;
	if (asked != 0 && asked < ret->connections)
		ret->connections = asked;
	ret->memory_bytes = resources_available_memory(&ret->memory_limit_bytes);
	uint64_t fitting = fitting_in_memory(master, ret->memory_bytes);
	if (ret->memory_bytes != 0 && fitting < ret->connections)
		ret->connections = fitting;
}

static void
warn_about_backlogs(const struct master *master, uint64_t somaxconn)
{
	for (size_t i = 0; i < master->config.current.listener_count; i++) {
		const struct listener_config *config =
		    &master->config.current.listeners[i];
		if (somaxconn != 0 && config->backlog > somaxconn)
			log_warnx(
			    "[backlog_limited listener backlog limit] "
			    "%s: backlog %u: the kernel limits it to %llu (net.core.somaxconn)",
			    config->address_text, config->backlog,
			    (unsigned long long)somaxconn);
	}
}

void
capacity_log(const struct master *master)
{
	struct capacity capacity;
	capacity_read(master, &capacity);
	char available[UNITS_TEXT_MAX];
	log_info(
	    "[capacity connections workers _ descriptors memory _] "
	    "capacity: %llu connections (%llu worker%s, %llu descriptors each, %s of memory%s)",
	    (unsigned long long)capacity.connections,
	    (unsigned long long)capacity.workers, capacity.workers == 1 ? "" : "s",
	    (unsigned long long)capacity.descriptors,
	    units_show_size(capacity.memory_bytes, available),
	    capacity.memory_limit_bytes > 0 ? " in the control group" : "");
	uint64_t asked = master->config.current.limits.max_connections;
	if (asked > capacity.connections)
		log_warnx(
		    "[capacity_insufficient max_connections connections] "
		    "capacity: limits.max_connections is %llu, but descriptors and memory suffice for %llu",
		    (unsigned long long)asked,
		    (unsigned long long)capacity.connections);
	uint64_t memory = capacity.connections * CONNECTION_BYTES;
	if (capacity.tcp_memory_bytes != 0 && memory > capacity.tcp_memory_bytes)
		log_warnx(
		    "[tcp_memory_insufficient needed_mib allowed_mib] "
		    "capacity: idle connections need %llu MiB of kernel memory, but net.ipv4.tcp_mem allows %llu MiB",
		    (unsigned long long)(memory >> 20),
		    (unsigned long long)(capacity.tcp_memory_bytes >> 20));
	warn_about_backlogs(master, capacity.somaxconn);
}
