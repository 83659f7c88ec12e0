#include "client/measure/findings.h"

#include <sys/socket.h>

#include <string.h>

#include "lib/clock.h"

/* False if it has none with a port. */
static bool
local_address(int fd, struct address_compact *ret)
{
	struct address local = { .length = sizeof(local.storage) };
	if (getsockname(fd, (struct sockaddr *)&local.storage, &local.length) < 0 ||
	    (local.storage.ss_family != AF_INET && local.storage.ss_family != AF_INET6))
		return false;
	*ret = (struct address_compact){ .family = 0 }; /* bytes that are not written */
	address_compact(&local, ret);
	return true;
}

void
findings_add(struct findings *findings, const struct finding *finding, int fd)
{
	if (findings == NULL)
		return;
	uint32_t n = atomic_load_explicit(&findings->count, memory_order_relaxed);
	if (n >= FINDINGS_MAX) {
		atomic_fetch_add_explicit(&findings->missed, 1, memory_order_relaxed);
		return;
	}
	struct finding *to = &findings->list[n];
	*to = *finding;
	to->at_ns = clock_realtime_ns();
	to->connected_ns = to->at_ns - (clock_now_ns() - finding->connected_ns);
	(void)local_address(fd, &to->local);
	atomic_store_explicit(&findings->count, n + 1, memory_order_release);
}

static bool
is_same_host(const struct address_compact *a, const struct address_compact *b)
{
	return a->family == b->family &&
	    memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

static bool
has_address(
    const struct findings_clients *clients, const struct address_compact *address)
{
	for (uint32_t i = 0; i < clients->address_count && i < FINDINGS_ADDRESSES_MAX;
	     i++) {
		if (is_same_host(&clients->addresses[i], address))
			return true;
	}
	return clients->address_count > FINDINGS_ADDRESSES_MAX;
}

static void
add_address(struct findings_clients *clients, const struct address_compact *address)
{
	if (has_address(clients, address))
		return;
	if (clients->address_count < FINDINGS_ADDRESSES_MAX)
		clients->addresses[clients->address_count] = *address;
	clients->address_count++;
}

void
findings_add_client(struct findings *findings, int fd)
{
	struct address_compact local;
	if (findings == NULL || !local_address(fd, &local))
		return;
	findings->clients.ports[local.port / 64] |= UINT64_C(1) << local.port % 64;
	add_address(&findings->clients, &local);
}

void
findings_merge_clients(struct findings_clients *to, const struct findings_clients *from)
{
	for (size_t i = 0; i < sizeof(to->ports) / sizeof(to->ports[0]); i++)
		to->ports[i] |= from->ports[i];
	for (uint32_t i = 0; i < from->address_count && i < FINDINGS_ADDRESSES_MAX; i++)
		add_address(to, &from->addresses[i]);
	if (from->address_count > FINDINGS_ADDRESSES_MAX)
		to->address_count = from->address_count;
}

bool
findings_has_client(
    const struct findings_clients *clients, const struct address_compact *client)
{
	return (clients->ports[client->port / 64] >> client->port % 64 & 1) != 0 &&
	    has_address(clients, client);
}
