#include "master/changes/service_manager.h"

#include <stdio.h>

#include <systemd/sd-daemon.h>

#include "lib/clock.h"

#include "master/listeners/socket_activation.h"
#include "master/workers/slot.h"

#define STATUS_NS (2 * NS_PER_S)

static uint32_t
backing_off(const struct master *master)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < master->workers.slot_count; i++)
		count += master->workers.slots[i].state == SLOT_BACKING_OFF;
	return count;
}

static void
format_status(const struct master *master, char *text, size_t size)
{
	struct ledger_totals totals;
	ledger_sum(master->workers.ledger, &totals);
	uint32_t failing = backing_off(master);
	int n = snprintf(text, size,
	    "generation %u: %u of %u workers serve %llu connections, %llu messages so far",
	    master->workers.generation, slot_serving(master),
	    master->workers.slot_count, (unsigned long long)ledger_open_total(&totals),
	    (unsigned long long)totals.counters[LEDGER_MESSAGES_RECEIVED]);
	if (failing > 0 && n > 0 && (size_t)n < size)
		snprintf(text + n, size - (size_t)n, "; %u backing off", failing);
}

static void
send_state(const struct master *master, const char *state)
{
	char status[192];
	format_status(master, status, sizeof(status));
	sd_notifyf(0, "%sSTATUS=%s", state, status);
}

void
service_manager_ready(struct master *master)
{
	if (master->workers.phase != MASTER_RUNNING || master->reload.is_active)
		return;
	socket_activation_store(master);
	send_state(master, "READY=1\n");
}

void
service_manager_reloading(struct master *master)
{
	char state[64];
	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%llu\n",
	    (unsigned long long)(clock_now_ns() / 1000));
	send_state(master, state);
}

void
service_manager_stopping(struct master *master)
{
	char state[64] = "STOPPING=1\n";
	uint64_t end_ns = master->shutdown.deadline_ns, now_ns = clock_now_ns();
	if (end_ns > now_ns)
		snprintf(state, sizeof(state), "STOPPING=1\nEXTEND_TIMEOUT_USEC=%llu\n",
		    (unsigned long long)((end_ns - now_ns + NS_PER_S) / 1000));
	send_state(master, state);
}

void
service_manager_status(struct master *master)
{
	master->manager.status_ns = clock_now_ns();
	send_state(master, "");
}

uint64_t
service_manager_watchdog_ns(void)
{
	uint64_t watchdog_us = 0;
	return sd_watchdog_enabled(0, &watchdog_us) > 0 ? watchdog_us * 1000 : 0;
}

void
service_manager_check(struct master *master, uint64_t now_ns, bool all_responsive)
{
	uint64_t watchdog_ns = service_manager_watchdog_ns();
	/* Twice in its time, as sd_watchdog_enabled(3) recommends; this look comes
	 * often. */
	if (watchdog_ns != 0 && all_responsive &&
	    now_ns - master->manager.watchdog_ns >= watchdog_ns / 2) {
		master->manager.watchdog_ns = now_ns;
		sd_notify(0, "WATCHDOG=1");
	}
	if (now_ns - master->manager.status_ns >= STATUS_NS)
		service_manager_status(master);
}
