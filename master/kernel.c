#include "master/kernel.h"

#include <sys/socket.h>

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

int
kernel_read_queue(int fd, struct kernel_queue *ret)
{
	struct tcp_info info;
	socklen_t length = sizeof(info);
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0)
		return -1;
	ret->depth = info.tcpi_unacked;
	ret->limit = info.tcpi_sacked;
	return 0;
}

/* sk_drops, which a listening socket counts beside ListenDrops (net/ipv4/tcp_input.c,
 * tcp_listendrop). */
uint64_t
kernel_read_drops(int fd)
{
	uint32_t memory[SK_MEMINFO_VARS] = { 0 };
	socklen_t length = sizeof(memory);
	if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &length) < 0)
		return 0;
	return memory[SK_MEMINFO_DROPS];
}

static void
take(struct kernel_losses *losses, const char *name, const char *value)
{
	const struct {
		const char *name;
		uint64_t *to;
	} wanted[] = {
		{ "ListenOverflows", &losses->listen_overflows },
		{ "ListenDrops", &losses->listen_drops },
		{ "SyncookiesSent", &losses->syncookies_sent },
		{ "RetransSegs", &losses->retransmits },
	};
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (strcmp(name, wanted[i].name) == 0)
			*wanted[i].to = strtoull(value, NULL, 10);
}

/* Two lines belong together: names, and their values in the same order. */
static void
take_pair(struct kernel_losses *losses, char *names, char *values)
{
	char *names_rest, *values_rest;
	const char *name = strtok_r(names, " \n", &names_rest);
	const char *value = strtok_r(values, " \n", &values_rest);
	while (name != NULL && value != NULL) {
		take(losses, name, value);
		name = strtok_r(NULL, " \n", &names_rest);
		value = strtok_r(NULL, " \n", &values_rest);
	}
}

static void
read_section(const char *path, const char *section, struct kernel_losses *ret)
{
	FILE *in = fopen(path, "re");
	if (in == NULL)
		return;
	char *names = NULL, *values = NULL;
	size_t names_size = 0, values_size = 0;
	while (getline(&names, &names_size, in) > 0 &&
	    getline(&values, &values_size, in) > 0) {
		if (strncmp(names, section, strlen(section)) == 0)
			take_pair(ret, names, values);
	}
	free(names);
	free(values);
	fclose(in);
}

void
kernel_read_losses(struct kernel_losses *ret)
{
	/* Counters do not go back when a file cannot be opened for once. */
	static struct kernel_losses last;
	read_section("/proc/self/net/netstat", "TcpExt:", &last);
	read_section("/proc/self/net/snmp", "Tcp:", &last);
	*ret = last;
}

uint64_t
kernel_read_number(const char *path)
{
	uint64_t number = 0;
	FILE *in = fopen(path, "re");
	if (in == NULL)
		return 0;
	if (fscanf(in, "%" SCNu64, &number) != 1)
		number = 0;
	fclose(in);
	return number;
}
