#include "worker/peer.h"

#include <string.h>

#include <netinet/in.h>

void
peer_set(struct peer *peer, const struct address *address)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)&address->storage;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&address->storage;
	peer->port = address_port(address);
	peer->family = (uint8_t)address->storage.ss_family;
	if (peer->family == AF_INET)
		memcpy(peer->bytes, &in->sin_addr, 4);
	else
		memcpy(peer->bytes, &in6->sin6_addr, 16);
}

const char *
peer_format(const struct peer *peer, char *text)
{
	struct address address = { 0 };
	struct sockaddr_in *in = (struct sockaddr_in *)&address.storage;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address.storage;
	address.storage.ss_family = peer->family;
	if (peer->family == AF_INET) {
		memcpy(&in->sin_addr, peer->bytes, 4);
		address.length = sizeof(*in);
	} else {
		memcpy(&in6->sin6_addr, peer->bytes, 16);
		address.length = sizeof(*in6);
	}
	address_set_port(&address, peer->port);
	return address_format(&address, text);
}
