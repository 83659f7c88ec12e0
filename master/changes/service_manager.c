#include "master/changes/service_manager.h"

#include <stdio.h>

#include <systemd/sd-daemon.h>

#include "lib/clock.h"
#include "master/listeners/socket_activation.h"
#include "master/workers/slot.h"

#define STATUS_NS (2 * NS_PER_S)

static void
format_status(const struct worker_table *workers, char *text, size_t size)
{
	struct ledger_totals totals;
	ledger_sum(workers->ledger, &totals);
	uint32_t failing = slot_count_in(workers, SLOT_BACKING_OFF);
	int n = snprintf(text, size,
	    "generation %u: %u of %u workers serve %llu connections, %llu messages so far",
	    workers->generation, slot_count_in(workers, SLOT_SERVING),
	    workers->slot_count, (unsigned long long)ledger_open_total(&totals),
	    (unsigned long long)totals.counters[LEDGER_MESSAGES_RECEIVED]);
	if (failing > 0 && n > 0 && (size_t)n < size)
		snprintf(text + n, size - (size_t)n, "; %u backing off", failing);
}

static void
send_state(const struct worker_table *workers, const char *state)
{
	char status[192];
	format_status(workers, status, sizeof(status));
	sd_notifyf(0, "%sSTATUS=%s", state, status);
}

void
service_manager_ready(struct service_manager *manager)
{
	if (manager->workers->phase != MASTER_RUNNING)
		return;
	socket_activation_store(
	    manager->workers->listeners, manager->workers->slot_count);
	send_state(manager->workers, "READY=1\n");
}

void
service_manager_reloading(struct service_manager *manager)
{
	char state[64];
	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%llu\n",
	    (unsigned long long)(clock_now_ns() / 1000));
	send_state(manager->workers, state);
}

void
service_manager_stopping(struct service_manager *manager, uint64_t deadline_ns)
{
	char state[64] = "STOPPING=1\n";
	uint64_t now_ns = clock_now_ns();
	if (deadline_ns > now_ns)
		snprintf(state, sizeof(state), "STOPPING=1\nEXTEND_TIMEOUT_USEC=%llu\n",
		    (unsigned long long)((deadline_ns - now_ns + NS_PER_S) / 1000));
	send_state(manager->workers, state);
}

void
service_manager_status(struct service_manager *manager)
{
	manager->status_ns = clock_now_ns();
	send_state(manager->workers, "");
}

uint64_t
service_manager_watchdog_ns(void)
{
	uint64_t watchdog_us = 0;
	return sd_watchdog_enabled(0, &watchdog_us) > 0 ? watchdog_us * 1000 : 0;
}

void
service_manager_check(
    struct service_manager *manager, uint64_t now_ns, bool all_responsive)
{
	uint64_t watchdog_ns = service_manager_watchdog_ns();
	/* Half the timeout, as sd_watchdog_enabled(3) recommends. */
	if (watchdog_ns != 0 && all_responsive &&
	    now_ns - manager->watchdog_ns >= watchdog_ns / 2) {
		manager->watchdog_ns = now_ns;
		sd_notify(0, "WATCHDOG=1");
	}
	if (now_ns - manager->status_ns >= STATUS_NS)
		service_manager_status(manager);
}
