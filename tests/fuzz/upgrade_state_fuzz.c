/*
 * What a program finds after an exec: an upgrade state (master/upgrade/state_save.h)
 * and descriptors. The first byte chooses the configuration, the rest is the text; it
 * may name
 *
 *   100 the program              101 the ledger       102 the configuration
 *   103, 104 admin listeners     105, 106 requests    107 .. 110 listening sockets
 *   111 .. 114 channels of workers: processes 1000 .. 1003, in ledger blocks 0 .. 3 of
 *              slots 0, 1, 2, 0
 *
 * getpid() is 4711. "PROTOCOLS" stands for the protocols of this program. A rejected
 * state has a reason and leaves every descriptor as it was. An accepted one can be
 * shown, and what is saved from it loads to the same. No descriptor is left open (the
 * sanitizer checks memory).
 */
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "master/admin/admin_routes.h"
#include "master/admin/metrics.h"
#include "master/admin/stats.h"
#include "master/listeners/admin_listener.h"
#include "master/master_run.h"
#include "master/supervisor.h"
#include "master/upgrade/state_save.h"
#include "tests/fuzz/descriptors.h"
#include "tests/lib/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

pid_t __wrap_getpid(void);
int __wrap_waitid(idtype_t kind, id_t id, siginfo_t *info, int options);
void __wrap_log_error(const char *format, ...);
void __wrap_log_errorx(const char *format, ...);
void __wrap_unix_socket_remove(const char *path, const void *file);

enum {
	PROGRAM,
	LEDGER,
	CONFIG,
	ADMIN,
	REQUESTS = ADMIN + 2,
	SOCKETS = REQUESTS + 2,
	CHANNELS = SOCKETS + 4,
	SAVED = CHANNELS + 4
};
#define FIRST 100  /* the first saved descriptor */
#define OWN_END 64 /* this program's own ones are below */
#define CONFIGS 4

static int originals[SAVED], configs[CONFIGS], far_ends[SAVED];
static unsigned reasons;

pid_t
__wrap_getpid(void)
{
	return 4711;
}

int
__wrap_waitid(idtype_t kind, id_t id, siginfo_t *info, int options)
{
	(void)info;
	must(kind == P_PID && (options & WNOHANG) && (options & WNOWAIT));
	return id >= 1000 && id < 1004 ? 0 : -1;
}

void
__wrap_log_error(const char *format, ...)
{
	(void)format;
	reasons++;
}

void
__wrap_log_errorx(const char *format, ...)
{
	(void)format;
	reasons++;
}

void
__wrap_unix_socket_remove(const char *path, const void *file)
{
	(void)path;
	(void)file;
}

static int
make_file(const void *text, size_t size)
{
	int fd = memfd_create("saved", 0);

	must(fd >= 0 && write(fd, text, size) == (ssize_t)size);
	return fd;
}

static int
make_listener(void)
{
	const struct sockaddr_un any = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	must(fd >= 0 &&
	    bind(fd, (const struct sockaddr *)&any, sizeof(sa_family_t)) == 0);
	must(listen(fd, 8) == 0);
	return fd;
}

static void
make_pair(int number, int type)
{
	int fds[2];

	must(socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, fds) == 0);
	originals[number] = fds[0];
	far_ends[number] = fds[1];
}

static void
make_ledger(void)
{
	static const uint32_t slots[] = { 0, 1, 2, 0 };
	struct ledger *ledger = ledger_create(10000);

	must(ledger != NULL);
	for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++)
		must(ledger_claim(ledger, slots[i]) == (int)i);
	originals[LEDGER] = dup(ledger->fd);
	must(originals[LEDGER] >= 0);
	ledger_destroy(ledger);
}

static void
make_all(void)
{
	static const char *const texts[CONFIGS] = {
		"{\"workers\": 2, \"listeners\": [{\"address\": \"127.0.0.1:10000\"}]}",
		"{\"workers\": 1, \"listeners\": [{\"address\": \"127.0.0.1:1\", \"reply\": \"echo\", \"balance\": \"cpu\"}, {\"address\": \"[::1]:2\"}], \"admin\": {\"socket\": \"/nowhere/s\", \"address\": \"127.0.0.1:3\"}}",
		"{\"workers\": 3, \"listeners\": []}",
		"{\"workers\": \"many\"}",
	};

	signal(SIGPIPE, SIG_IGN); /* as yodeld does */
	for (int i = 0; i < CONFIGS; i++)
		configs[i] = make_file(texts[i], strlen(texts[i]));
	originals[PROGRAM] = make_file("program", 7);
	make_ledger();
	for (int i = ADMIN; i < REQUESTS; i++)
		originals[i] = make_listener();
	for (int i = REQUESTS; i < SOCKETS; i++)
		make_pair(i, SOCK_STREAM);
	for (int i = SOCKETS; i < CHANNELS; i++)
		originals[i] = make_listener();
	for (int i = CHANNELS; i < SAVED; i++)
		make_pair(i, SOCK_SEQPACKET);
	/* Not saved: close-on-exec. */
	for (int i = 3; i < OWN_END; i++)
		fcntl(i, F_SETFD, FD_CLOEXEC);
}

static void
place_descriptors(uint8_t config)
{
	originals[CONFIG] = configs[config % CONFIGS];
	for (int i = 0; i < SAVED; i++)
		must(dup2(originals[i], FIRST + i) == FIRST + i);
}

static void
close_descriptors(void)
{
	char received[4096];

	for (int i = 0; i < SAVED; i++) {
		close(FIRST + i);
		while (far_ends[i] != 0 &&
		    recv(far_ends[i], received, sizeof(received), MSG_DONTWAIT) > 0)
			;
	}
}

static struct master *
start_master(void)
{
	struct master *master = calloc(1, sizeof(*master));

	must(master != NULL);
	master->upgrade.previous_program_fd = -1;
	master->base = event_base_new();
	must(master->base != NULL);
	master->admin = admin_listener_create(master->base, admin_routes_serve, master);
	must(master->admin != NULL);
	supervisor_init(master);
	return master;
}

static void
check_slots(const struct master *master)
{
	must(master->workers.slot_count >= 1 &&
	    master->workers.slot_count <= LEDGER_SLOTS);
	for (const struct listener *e = master->listeners.first; e != NULL;
	     e = e->next) {
		must(e->config_index < (int)master->config.current.listener_count);
		must(listener_socket_count(e) == e->reuseport_count);
	}
	for (const struct process *p = master->workers.processes; p != NULL;
	     p = p->next) {
		must(
		    p->pid > 1 && p->slot < LEDGER_SLOTS && p->state != PROCESS_EXITED);
		must(p->state != PROCESS_ACTIVE ||
		    master->workers.slots[p->slot].process == p);
		must(p->ledger_entry < ledger_live_end(master->workers.ledger));
	}
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		const struct process *p = master->workers.slots[i].process;
		must(p == NULL || p->slot == i);
	}
}

static void
check_stats(struct master *master)
{
	char *stats = stats_format(master), *metrics = metrics_format(master);

	must(stats != NULL && metrics != NULL);
	free(stats);
	free(metrics);
	must(event_base_loop(master->base, EVLOOP_ONCE | EVLOOP_NONBLOCK) >= 0);
}

/* The text, in which the number of the configuration's descriptor is blank. */
static char *
text_of(int fd)
{
	static const char key[] = "\"config_fd\":";
	off_t size = lseek(fd, 0, SEEK_END);
	char *text = calloc(1, (size_t)size + 1);

	must(text != NULL && pread(fd, text, (size_t)size, 0) == size);
	char *number = strstr(text, key);
	must(number != NULL);
	for (number += strlen(key); *number != '}' && *number != ','; number++)
		*number = ' ';
	return text;
}

static int
save(const struct master *master, struct upgrade_state *upgrade_state)
{
	int fd = state_save(master, upgrade_state);

	must(fd >= 0);
	return fd;
}

/* Saves the loaded state for a second program, which saves it for a third. */
static void
check_round_trip(struct master *master, struct upgrade_state *first, uint8_t config)
{
	struct upgrade_state second;
	int fd = save(master, first);
	char *text = text_of(fd), *again;
	/* Created by state_load() if the text named none. */
	int record_fd = master->workers.fault_records->fd, kept_fd = dup(record_fd);

	must(kept_fd >= 0);
	master_finish(master);
	close_descriptors();
	place_descriptors(config);
	must(dup2(kept_fd, record_fd) == record_fd);
	close(kept_fd);
	master = start_master();
	must(state_load(master, fd, &second) == 0);
	must(second.is_rollback == first->is_rollback);
	must(second.is_dry_run == first->is_dry_run);
	close(second.config_fd);
	fd = save(master, &second);
	again = text_of(fd);
	must(strcmp(text, again) == 0);
	free(text);
	free(again);
	master_finish(master);
	close(second.config_fd);
	close(fd);
}

static void
check_descriptors(void)
{
	must(reasons > 0);
	for (int i = 0; i < SAVED; i++)
		must(fcntl(FIRST + i, F_GETFD) == 0);
}

static int
make_state(const uint8_t *data, size_t size)
{
	static const char name[] = "PROTOCOLS", value[] = STATE_PROTOCOLS;
	const uint8_t *found = memmem(data, size, name, sizeof(name) - 1);

	if (found == NULL)
		return make_file(data, size);
	int fd = make_file(data, (size_t)(found - data));
	const uint8_t *rest = found + sizeof(name) - 1;
	size_t rest_size = (size_t)(data + size - rest);
	must(write(fd, value, sizeof(value) - 1) == sizeof(value) - 1);
	must(write(fd, rest, rest_size) == (ssize_t)rest_size);
	return fd;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct upgrade_state upgrade_state;

	if (size == 0)
		return 0;
	if (originals[PROGRAM] == 0)
		make_all();
	log_set_level(LOG_LEVEL_ERROR);
	uint64_t open = open_descriptors();
	place_descriptors(data[0]);
	struct master *master = start_master();
	reasons = 0;
	int fd = make_state(data + 1, size - 1);
	if (state_load(master, fd, &upgrade_state) == 0) {
		must(upgrade_state.program_fd >= FIRST &&
		    upgrade_state.config_fd >= FIRST);
		check_slots(master);
		check_stats(master);
		check_round_trip(master, &upgrade_state, data[0]);
	} else {
		check_descriptors();
		master_finish(master);
	}
	close_descriptors();
	must(open_descriptors() == open);
	return 0;
}
