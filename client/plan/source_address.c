#include "client/plan/source_address.h"

#include <sys/socket.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "lib/system/procfs.h"
#include "net/connect.h"

#define LOOPBACK_FIRST UINT32_C(0x7f010001) /* 127.1.0.1 */
/* The kernel searches the ports of one parity first, one by one, then the others: with
 * more than half of them in use, a connect() takes milliseconds. */
#define PORTS_USED 0.4
#define NONLOCAL_CHECKS_MAX 256 /* addresses checked before the run */
#define RESERVED_MAX 65536      /* bytes of ip_local_reserved_ports */

uint32_t
source_address_reserved(uint32_t first, uint32_t last, const char *list)
{
	uint32_t reserved = 0;
	while (*list != '\0') {
		char *end;
		unsigned long low = strtoul(list, &end, 10), high = low;
		if (end == list)
			break;
		if (*end == '-')
			high = strtoul(end + 1, &end, 10);
		low = low < first ? first : low;
		high = high > last ? last : high;
		if (low <= high)
			reserved += (uint32_t)(high - low + 1);
		list = *end == ',' ? end + 1 : end;
	}
	return reserved;
}

/* The ports that connect(2) chooses from. */
static void
read_range(uint32_t *ret_first, uint32_t *ret_last)
{
	uint64_t range[2];
	procfs_numbers("/proc/sys/net/ipv4/ip_local_port_range", range, 2);
	bool is_known = range[1] >= range[0] && range[1] > 0 && range[1] <= UINT16_MAX;
	*ret_first = is_known ? (uint32_t)range[0] : 32768; /* the kernel's default */
	*ret_last = is_known ? (uint32_t)range[1] : 60999;
}

uint32_t
source_address_ports_reserved(void)
{
	char list[RESERVED_MAX];
	uint32_t first, last;
	read_range(&first, &last);
	procfs_read("/proc/sys/net/ipv4/ip_local_reserved_ports", list, sizeof(list));
	return source_address_reserved(first, last, list);
}

uint32_t
source_address_ports(void)
{
	uint32_t first, last;
	read_range(&first, &last);
	return last - first + 1 - source_address_ports_reserved();
}

static bool
is_loopback4(const struct address *address)
{
	return address->storage.ss_family == AF_INET &&
	    ntohl(address->in.sin_addr.s_addr) >> 24 == 127;
}

static struct address
address4(uint32_t host_order)
{
	return (struct address){
		.in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(host_order) },
		.length = sizeof(struct sockaddr_in),
	};
}

/* Number of host addresses of a prefix that are used: several prefixes share the most
 * addresses that are used in all. */
static uint32_t
prefix_hosts(const struct plan *plan, const struct address_prefix *prefix)
{
	uint32_t width = prefix->family == AF_INET ? 32 : 128;
	uint32_t bits = width - prefix->bits;
	uint32_t share = SOURCE_ADDRESS_COUNT_MAX / (uint32_t)plan->source_texts.count;
	if (bits > SOURCE_ADDRESS_BITS)
		return share;
	uint32_t all = UINT32_C(1) << bits;
	/* Without the network and broadcast addresses of an IPv4 network. */
	if (prefix->family == AF_INET && bits >= 2)
		all -= 2;
	return all < share ? all : share;
}

/* Clears the host bits: "10.0.0.7/24", as ip(8) prints it, means its network. */
static void
network_of(const struct address_prefix *prefix, uint8_t *out)
{
	for (int i = 0; i < 16; i++) {
		int kept = prefix->bits - 8 * i;
		uint8_t mask = kept >= 8 ? 0xff
		    : kept > 0           ? (uint8_t)(0xff00 >> kept)
					 : 0;
		out[i] = prefix->bytes[i] & mask;
	}
}

static void
prefix_host(const struct address_prefix *prefix, uint32_t index, struct address *ret)
{
	uint8_t network[16];
	network_of(prefix, network);
	if (prefix->family == AF_INET) {
		uint32_t base;
		memcpy(&base, network, 4);
		*ret = address4(ntohl(base) + index + (prefix->bits <= 30 ? 1 : 0));
		return;
	}
	*ret =
	    (struct address){ .in6.sin6_family = AF_INET6, .length = sizeof(ret->in6) };
	for (int i = 15; index > 0; i--, index >>= 8) {
		index += network[i];
		network[i] = (uint8_t)index;
	}
	memcpy(&ret->in6.sin6_addr, network, 16);
}

/* A target without an address of this family, or NULL. */
static const char *
unreachable_target(const struct plan *plan, int family)
{
	for (uint32_t i = 0; i < plan->target_count; i++) {
		const struct plan_target *target = &plan->targets[i];
		bool found = false;
		for (uint32_t a = 0; a < target->address_count; a++)
			found =
			    found || target->addresses[a].storage.ss_family == family;
		if (!found)
			return target->text;
	}
	return NULL;
}

static int
check_given(struct plan *plan, char *error)
{
	for (uint32_t i = 0; i < plan->source_texts.count; i++) {
		struct address_prefix prefix;
		char why[256];
		if (address_prefix_parse(
			plan->source_texts.items[i], &prefix, why, sizeof(why)) < 0) {
			snprintf(error, PLAN_ERROR_MAX, "--source-ip: \"%s\": %s",
			    plan->source_texts.items[i], why);
			return -1;
		}
		const char *target = unreachable_target(plan, prefix.family);
		if (target != NULL) {
			snprintf(error, PLAN_ERROR_MAX,
			    "--source-ip: \"%s\": target \"%s\" has no address of that family",
			    plan->source_texts.items[i], target);
			return -1;
		}
		plan->source_count += prefix_hosts(plan, &prefix);
	}
	return 0;
}

/* Each rank uses its own addresses, if at least one per rank exists. */
static void
take_rank_share(struct plan *plan)
{
	uint64_t all = plan->source_count;
	if (all < plan->ranks)
		return;
	plan->source_first = (uint32_t)(all * plan->rank / plan->ranks);
	plan->source_count =
	    (uint32_t)(all * (plan->rank + 1) / plan->ranks) - plan->source_first;
}

static int
count_sources(struct plan *plan, char *error)
{
	if (plan->source_texts.count > 0)
		return check_given(plan, error);
	for (uint32_t i = 0; i < plan->target_count; i++)
		if (!is_loopback4(&plan->targets[i].addresses[0]))
			return 0;
	double room = PORTS_USED * source_address_ports() * plan->target_count;
	if (plan->connections <= room)
		return 0;
	plan->source_auto = true;
	plan->source_count = (uint32_t)(plan->connections / room) + 1;
	return 0;
}

int
source_address_check(struct plan *plan, char *error)
{
	plan->source_count = plan->source_first = 0;
	if (count_sources(plan, error) < 0)
		return -1;
	take_rank_share(plan);
	return 0;
}

bool
source_address_of(const struct plan *plan, uint32_t connection, struct address *ret)
{
	if (plan->source_count == 0)
		return false;
	/* Neighbouring connections use different targets: they can share an address. */
	uint32_t index =
	    plan->source_first + connection / plan->target_count % plan->source_count;
	if (plan->source_auto) {
		*ret = address4(LOOPBACK_FIRST + index);
		return true;
	}
	for (uint32_t i = 0; i < plan->source_texts.count; i++) {
		struct address_prefix prefix;
		char why[256];
		if (address_prefix_parse(
			plan->source_texts.items[i], &prefix, why, sizeof(why)) < 0)
			return false;
		uint32_t hosts = prefix_hosts(plan, &prefix);
		if (index < hosts) {
			prefix_host(&prefix, index, ret);
			return true;
		}
		index -= hosts;
	}
	return false;
}

static bool
is_nonlocal(const struct address *source)
{
	int fd = socket(source->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	bool nonlocal = connect_bind_source(fd, source) < 0 && errno == EADDRNOTAVAIL;
	close(fd);
	return nonlocal;
}

bool
source_address_find_nonlocal(const struct plan *plan, struct address *ret)
{
	uint32_t connection = 0;
	for (uint32_t i = 0; i < NONLOCAL_CHECKS_MAX && i < plan->source_count; i++) {
		struct address source;
		if (connection >= plan->rank_connections ||
		    !source_address_of(plan, connection, &source))
			return false;
		if (is_nonlocal(&source)) {
			*ret = source;
			return true;
		}
		connection += plan->target_count;
	}
	return false;
}
