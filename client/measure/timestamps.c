#include "client/measure/timestamps.h"

#include <sys/socket.h>

#include <stdio.h>
#include <time.h>

#define NS_PER_S UINT64_C(1000000000)

static uint64_t
clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

const char *
timestamps_format(uint64_t at_ns, char *out)
{
	uint64_t day_ns = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC) + at_ns;
	time_t seconds = (time_t)(day_ns / NS_PER_S);
	char whole[32] = "";
	struct tm parts;

	if (gmtime_r(&seconds, &parts) != NULL)
		strftime(whole, sizeof(whole), "%Y-%m-%dT%H:%M:%S", &parts);
	snprintf(out, TIMESTAMPS_TEXT_MAX, "%s.%03uZ", whole,
	    (unsigned int)(day_ns % NS_PER_S / 1000000));
	return out;
}

const char *
timestamps_format_now(char *out)
{
	return timestamps_format(clock_ns(CLOCK_MONOTONIC), out);
}

const char *
timestamps_local_address(int fd, char *out)
{
	struct address own = { .length = sizeof(own.storage) };

	if (getsockname(fd, (struct sockaddr *)&own.storage, &own.length) == 0 &&
	    own.storage.ss_family != AF_UNSPEC)
		return address_format(&own, out);
	snprintf(out, ADDRESS_TEXT_MAX, "(no address)");
	return out;
}
