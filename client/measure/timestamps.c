#include "client/measure/timestamps.h"

#include <sys/socket.h>

#include <stdio.h>
#include <time.h>

#include "lib/clock.h"

const char *
timestamps_format(uint64_t at_ns, char *out)
{
	uint64_t day_ns = clock_realtime_ns() - clock_now_ns() + at_ns;
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
timestamps_local_address(int fd, char *out)
{
	struct address own = { .length = sizeof(own.storage) };
	if (getsockname(fd, (struct sockaddr *)&own.storage, &own.length) == 0 &&
	    own.storage.ss_family != AF_UNSPEC)
		return address_format(&own, out);
	snprintf(out, ADDRESS_TEXT_MAX, "(no address)");
	return out;
}
