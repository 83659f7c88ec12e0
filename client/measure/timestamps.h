/* timestamps.h - wall-clock times and local addresses, for comparison with logs and
 * packet captures. */
#ifndef CLIENT_MEASURE_TIMESTAMPS_H
#define CLIENT_MEASURE_TIMESTAMPS_H

#include <stdint.h>

#include "net/address.h"

#define TIMESTAMPS_TEXT_MAX 64

/* Formats a CLOCK_MONOTONIC time as wall-clock time, "2026-01-02T03:04:05.678Z", into
 * out[TIMESTAMPS_TEXT_MAX], returned. */
const char *timestamps_format(uint64_t at_ns, char *out);

/* Formats the local address and port of a socket, "(no address)" if it has none, into
 * out[ADDRESS_TEXT_MAX], returned. */
const char *timestamps_local_address(int fd, char *out);

#endif
