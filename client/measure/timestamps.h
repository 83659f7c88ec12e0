/* timestamps.h - where and when something was seen, as logs and captures name it. */
#ifndef CLIENT_MEASURE_TIMESTAMPS_H
#define CLIENT_MEASURE_TIMESTAMPS_H

#include <stdint.h>

#include "net/address.h"

#define TIMESTAMPS_TEXT_MAX 64

/* A time of CLOCK_MONOTONIC by the day's clock, "2026-01-02T03:04:05.678Z", into
 * out[TIMESTAMPS_TEXT_MAX], returned. */
const char *timestamps_format(uint64_t at_ns, char *out);

/* The present time, the same. */
const char *timestamps_format_now(char *out);

/* A socket's own address and port, "(no address)" where it has none, into
 * out[ADDRESS_TEXT_MAX], returned. */
const char *timestamps_local_address(int fd, char *out);

#endif
