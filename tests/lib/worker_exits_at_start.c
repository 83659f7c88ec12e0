/*
 * worker_exits_at_start.c - a yodeld whose workers exit before they are ready, for
 * tests of the upgrade: linked instead of worker/worker.c.
 */
#include <sysexits.h>

#include "worker/worker.h"

int
worker_run(const struct worker_args *args)
{
	(void)args;
	return EX_SOFTWARE;
}
