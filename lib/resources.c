#include "lib/resources.h"

#include <fcntl.h>
#include <unistd.h>

void
resources_reserve_streams(void)
{
	int fd;

	/* The lowest number that is free, each time: against its direction. */
	do
		fd = open("/dev/null",
		    fcntl(STDIN_FILENO, F_GETFD) < 0 ? O_WRONLY : O_RDONLY);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}
