/*
 * peer.h - the address of a connection's other end, in 20 bytes.
 */
#ifndef WORKER_PEER_H
#define WORKER_PEER_H

#include <stdint.h>

#include "net/address.h"

struct peer {
	uint8_t bytes[16]; /* IPv4 in the first four */
	uint16_t port;     /* host order */
	uint8_t family;    /* AF_INET, AF_INET6 */
};

void peer_set(struct peer *peer, const struct address *address);
/* Into text[ADDRESS_TEXT_MAX], returned. */
const char *peer_format(const struct peer *peer, char *text);

#endif
