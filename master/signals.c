#include "master/signals.h"

#include <signal.h>
#include <unistd.h>

#include "lib/log.h"
#include "proto/channel.h"
#include "master/master.h"
#include "master/upgrade/upgrade.h"
#include "master/workers/process.h"

static void
stop(struct master *master)
{
	log_info("[stopping_now] stopping now");
	shutdown_now(&master->shutdown);
}

static void
stop_in_order(struct master *master)
{
	shutdown_in_order(&master->shutdown);
}

static void
reload(struct master *master)
{
	reload_start(&master->reload);
}

static void
add_worker(struct master *master)
{
	scale_workers(&master->scale, master->workers.slot_count + 1, false);
}

static void
remove_worker(struct master *master)
{
	scale_workers(&master->scale, master->workers.slot_count - 1, false);
}

static void
reopen_log(struct master *master)
{
	if (log_reopen() < 0)
		log_warn("[log_reopen_failed] "
			 "cannot reopen the log file: keeping the old one");
	process_send_log(&master->workers);
}

static void
reap(struct master *master)
{
	process_reap(&master->workers);
}

static const struct {
	int number;
	void (*act)(struct master *master);
} rows[] = {
	{ SIGHUP, reload },
	{ SIGTERM, stop_in_order },
	{ SIGINT, stop },
	{ SIGQUIT, stop },
	{ SIGUSR1, reopen_log },
	{ SIGUSR2, upgrade_start },
	{ SIGTTIN, add_worker },
	{ SIGTTOU, remove_worker },
	{ SIGCHLD, reap },
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))
_Static_assert(ROWS <= MASTER_SIGNALS, "no room for a signal");

static void
on_signal(evutil_socket_t number, short what, void *argument)
{
	(void)what;
	for (size_t i = 0; i < ROWS; i++) {
		if (rows[i].number == (int)number)
			rows[i].act(argument);
	}
}

int
signals_start(struct master *master)
{
	for (size_t i = 0; i < ROWS; i++) {
		evsignal_assign(&master->signals[i], master->base, rows[i].number,
		    on_signal, master);
		if (event_add(&master->signals[i], NULL) < 0)
			return -1;
	}
	return 0;
}

void
signals_stop(struct master *master)
{
	for (size_t i = 0; i < ROWS; i++)
		event_del(&master->signals[i]);
}
