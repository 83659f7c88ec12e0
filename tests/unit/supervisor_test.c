/*
 * supervisor_test.c - the order of the calls that keeps every connection (the order
 * contracts of ARCHITECTURE.md): each call is recorded as it is made (--wrap), and the
 * list is compared. No worker processes exist: the test holds their channels.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <sys/mman.h>
#include <sys/wait.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "proto/channel.h"
#include "master/admin/admin_routes.h"
#include "master/admin/capacity.h"
#include "master/changes/pending_requests.h"
#include "master/changes/reload.h"
#include "master/changes/scale.h"
#include "master/changes/service_manager.h"
#include "master/listeners/admin_listener.h"
#include "master/listeners/listener_set.h"
#include "master/listeners/reuseport.h"
#include "master/master_run.h"
#include "master/supervisor.h"
#include "master/upgrade/upgrade.h"
#include "master/workers/drain_summary.h"
#include "master/workers/process.h"
#include "master/workers/slot.h"
#include "master/workers/spawn.h"
#include "master/workers/transfers.h"
#include "master/workers/worker_drain.h"
#include "worker/worker.h"

#define FIRST_PID 1000
#define KEEPER_PID 999
#define WORKERS_MAX 16

static char calls[4096]; /* one line each */
static int worker_fds[WORKERS_MAX];
static int worker_count, exited_pid;

static void
record(const char *call)
{
	size_t length = strlen(calls);
	snprintf(calls + length, sizeof(calls) - length, "%s\n", call);
}

/* The linker replaces the function by this wrapper (Makefile). */
#define RECORD(name, call, parameters, arguments)                                      \
	void __real_##name parameters;                                                 \
	void __wrap_##name parameters;                                                 \
	void __wrap_##name parameters                                                  \
	{                                                                              \
		record(call);                                                          \
		__real_##name arguments;                                               \
	}

RECORD(reuseport_select, "reuseport selection",
    (struct listener * l, const bool *t, bool c), (l, t, c))
RECORD(
    worker_drain_queue_taken_over, "queue taken over", (const struct process *p), (p))
RECORD(worker_drain_find_receivers, "find receivers", (struct worker_table * t), (t))
RECORD(worker_drain_on_listeners_removed, "continue emptying removed listeners",
    (struct worker_table * t), (t))
RECORD(worker_drain_start, "worker drains",
    (struct process * p, enum worker_drain_kind k), (p, k))
RECORD(worker_drain_replace, "replace the worker that empties queues",
    (const struct process *p, bool b), (p, b))
RECORD(slot_close_sockets, "close unserved sockets", (struct worker_table * t, bool b),
    (t, b))
RECORD(scale_on_slot_change, "check the pending scale", (struct scale * s), (s))
RECORD(scale_on_reloaded, "scale after reload", (struct scale * s), (s))
RECORD(service_manager_status, "status line", (struct service_manager * m), (m))
RECORD(service_manager_ready, "sd_notify ready", (struct service_manager * m), (m))
RECORD(capacity_log, "capacity", (const struct master *m), (m))
RECORD(listener_set_commit, "listener set",
    (struct listener_set * s, const struct config *c), (s, c))
RECORD(admin_listener_commit, "admin listeners",
    (struct admin_listeners * a, const struct config *c), (a, c))
RECORD(slot_set_process, "successor into its slot", (struct process * p), (p))
RECORD(slot_drain, "surplus slot drains", (struct slot * s), (s))
RECORD(pending_requests_on_outcome, "answer requests",
    (struct pending_requests * p, const struct outcome *o, struct drain_summary *s),
    (p, o, s))
RECORD(drain_summary_open, "open the summary",
    (struct worker_table * t, const char *n, uint64_t r, uint64_t s), (t, n, r, s))
RECORD(drain_summary_finish, "settle the summary",
    (struct worker_table * t, struct drain_summary *s), (t, s))
RECORD(drain_summary_on_process_released, "summary reads the ledger block",
    (struct process * p), (p))
RECORD(upgrade_done, "upgrade done", (struct master * m), (m))
RECORD(ledger_retire, "release the ledger block",
    (struct ledger * l, uint32_t e, uint32_t s, uint64_t i, uint64_t o),
    (l, e, s, i, o))

struct drain_summary *__real_drain_summary_close(
    struct worker_table *table, uint64_t request, bool is_good, const char *text);
struct drain_summary *__wrap_drain_summary_close(
    struct worker_table *table, uint64_t request, bool is_good, const char *text);

struct drain_summary *
__wrap_drain_summary_close(
    struct worker_table *table, uint64_t request, bool is_good, const char *text)
{
	record("seal the summary");
	return __real_drain_summary_close(table, request, is_good, text);
}

int __real_channel_send(int fd, const struct channel_message *message, int descriptor);
int __wrap_channel_send(int fd, const struct channel_message *message, int descriptor);

int
__wrap_channel_send(int fd, const struct channel_message *message, int descriptor)
{
	if (message->verb == CHANNEL_SEND_CONNECTIONS)
		record("request to the sender");
	if (message->verb == CHANNEL_RECEIVE_CONNECTIONS)
		record("request to the receiver");
	return __real_channel_send(fd, message, descriptor);
}

pid_t __wrap_spawn_worker(const struct worker_args *args);

pid_t
__wrap_spawn_worker(const struct worker_args *args)
{
	assert_in_range(worker_count, 0, WORKERS_MAX - 1);
	worker_fds[worker_count] = fcntl(args->channel_fd, F_DUPFD_CLOEXEC, 0);
	return FIRST_PID + worker_count++;
}

pid_t __wrap_waitpid(pid_t pid, int *status, int options);

pid_t
__wrap_waitpid(pid_t pid, int *status, int options)
{
	(void)pid;
	(void)options;
	pid_t exited = exited_pid;
	exited_pid = 0;
	*status = SIGSEGV;
	return exited;
}

int __wrap_sigqueue(pid_t pid, int number, union sigval value);

int
__wrap_sigqueue(pid_t pid, int number, union sigval value)
{
	(void)value;
	assert_int_equal(pid, KEEPER_PID);
	assert_int_equal(number, KEEPER_SIGNAL_RECOVER);
	record("signal to the keeper");
	return 0;
}

static void
run_loop(struct master *master)
{
	for (int i = 0; i < 2; i++)
		event_base_loop(master->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

static void
send_message(int worker, uint32_t verb, uint32_t argument, uint64_t value)
{
	const struct channel_message message = {
		.verb = verb, .argument = argument, .value = value
	};
	assert_int_equal(__real_channel_send(worker_fds[worker], &message, -1), 0);
}

static void
become_ready(struct master *master, int worker)
{
	send_message(worker, CHANNEL_READY, 0, 0);
	run_loop(master);
}

static void
crash(struct master *master, int worker)
{
	close(worker_fds[worker]);
	exited_pid = FIRST_PID + worker;
	process_reap(&master->workers);
}

static void
load_config(struct master *master)
{
	static const char text[] =
	    "{\"workers\": 2, \"log\": {\"level\": \"error\"}, \"listeners\": [{\"address\": \"127.0.0.1:0\"}], \"admin\": {\"socket\": \"\"}}";
	static char path[64];
	char error[CONFIG_ERROR_MAX];
	int fd = memfd_create("config", MFD_CLOEXEC);
	assert_true(write(fd, text, strlen(text)) > 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	master->config.sources = (struct config_sources){ .file = path };
	assert_int_equal(
	    config_load(&master->config.sources, &master->config.current, error), 0);
}

static void
open_listener(struct master *master)
{
	char error[CONFIG_ERROR_MAX];
	struct listener *listener =
	    listener_open(&master->config.current.listeners[0], 2, error);
	assert_non_null(listener);
	listener->config_index = 0;
	master->listeners.first = listener;
}

static int
set_up(void **state)
{
	struct master *master = calloc(1, sizeof(*master));
	assert_non_null(master);
	log_set_level(LOG_LEVEL_ERROR);
	worker_count = 0;
	load_config(master);
	master->upgrade.previous_program_fd = -1;
	master->workers.generation = 1;
	master->workers.slot_count = 2;
	master->base = event_base_new();
	master->workers.ledger = ledger_create(10000);
	master->admin = admin_listener_create(master->base, admin_routes_serve, master);
	assert_non_null(master->admin);
	supervisor_init(master);
	open_listener(master);
	slot_start(&master->workers, 0);
	slot_start(&master->workers, 1);
	calls[0] = '\0';
	*state = master;
	return 0;
}

static int
tear_down(void **state)
{
	struct master *master = *state;
	for (int i = 0; i < worker_count; i++)
		close(worker_fds[i]);
	while (master->workers.transfers != NULL) {
		struct transfer *transfer = master->workers.transfers;
		master->workers.transfers = transfer->next;
		free(transfer);
	}
	drain_summary_destroy_all(&master->workers);
	master_finish(master);
	return 0;
}

/* Makes both workers ready, and discards the calls recorded so far. */
static struct master *
start(void **state)
{
	struct master *master = *state;
	become_ready(master, 0);
	become_ready(master, 1);
	assert_int_equal(master->workers.phase, MASTER_RUNNING);
	calls[0] = '\0';
	return master;
}

static void
test_a_worker_becomes_ready_at_the_start(void **state)
{
	struct master *master = *state;
	become_ready(master, 0);
	assert_string_equal(calls,
	    "queue taken over\nreuseport selection\nfind receivers\n"
	    "check the pending scale\nstatus line\n");
	calls[0] = '\0';
	become_ready(master, 1);
	assert_string_equal(calls,
	    "queue taken over\nreuseport selection\ncapacity\nsd_notify ready\n"
	    "find receivers\ncheck the pending scale\nstatus line\n");
}

static void
test_a_worker_becomes_ready_later(void **state)
{
	struct master *master = start(state);
	crash(master, 0);
	run_loop(master);
	calls[0] = '\0';
	become_ready(master, 2);
	assert_int_equal(master->workers.slots[0].state, SLOT_SERVING);
	assert_string_equal(calls,
	    "queue taken over\nreuseport selection\nfind receivers\n"
	    "check the pending scale\nstatus line\n");
}

static void
test_a_reload_commits_when_all_successors_are_ready(void **state)
{
	struct master *master = start(state);
	assert_int_equal(reload_start(&master->reload), 0);
	calls[0] = '\0';
	become_ready(master, 2);
	assert_string_equal(calls, "");
	become_ready(master, 3);
	assert_int_equal(master->workers.generation, 2);
	assert_string_equal(calls,
	    "listener set\ncontinue emptying removed listeners\nadmin listeners\n"
	    "open the summary\n"
	    "successor into its slot\nqueue taken over\n"
	    "successor into its slot\nqueue taken over\n"
	    "reuseport selection\n"
	    "worker drains\nrequest to the receiver\nrequest to the sender\n"
	    "worker drains\nrequest to the receiver\nrequest to the sender\n"
	    "sd_notify ready\nseal the summary\nanswer requests\nsettle the summary\n"
	    "scale after reload\n"
	    "close unserved sockets\nreuseport selection\nstatus line\n");
}

static void
test_an_upgrade_is_done_before_sockets_are_closed(void **state)
{
	struct master *master = start(state);
	assert_int_equal(reload_start_upgrade(&master->reload, "yodeld"), 0);
	become_ready(master, 2);
	calls[0] = '\0';
	become_ready(master, 3);
	assert_non_null(strstr(calls,
	    "settle the summary\nscale after reload\nupgrade done\n"
	    "close unserved sockets\n"));
}

/* A reload requested during another one starts last. */
static void
test_a_queued_reload_starts_after_the_commit(void **state)
{
	struct master *master = start(state);
	assert_int_equal(reload_start(&master->reload), 0);
	assert_int_equal(reload_start(&master->reload), 0);
	become_ready(master, 2);
	assert_int_equal(worker_count, 4);
	become_ready(master, 3);
	assert_int_equal(worker_count, 6);
	assert_true(master->reload.is_active);
	assert_non_null(strstr(calls,
	    "close unserved sockets\nreuseport selection\nstatus line\n"
	    "reuseport selection\n"));
}

static void
test_a_worker_exits(void **state)
{
	struct master *master = start(state);
	crash(master, 1);
	assert_string_equal(calls,
	    "reuseport selection\ncheck the pending scale\nstatus line\n"
	    "replace the worker that empties queues\n"
	    "summary reads the ledger block\n"
	    "release the ledger block\n"
	    "close unserved sockets\nreuseport selection\nstatus line\n");
}

/* Messages that the worker sent before it exited are processed. */
static void
test_an_exit_is_handled_after_the_last_messages(void **state)
{
	struct master *master = *state;
	send_message(0, CHANNEL_READY, 0, 0);
	crash(master, 0);
	assert_memory_equal(calls, "queue taken over\n", strlen("queue taken over\n"));
	assert_non_null(strstr(calls, "status line\nreuseport selection\n"));
}

static void
test_a_socket_is_closed_after_its_worker_has_emptied_it(void **state)
{
	struct master *master = start(state);
	assert_int_equal(scale_workers(&master->scale, 1, false), 0);
	const char *selection = strstr(calls, "reuseport selection\n");
	const char *drain = strstr(calls, "surplus slot drains\nworker drains\n");
	assert_true(selection != NULL && drain != NULL && selection < drain);
	assert_true(master->listeners.first->fds[1] >= 0);
	calls[0] = '\0';
	send_message(1, CHANNEL_LISTENERS_CLOSED, 0, 0);
	run_loop(master);
	assert_string_equal(
	    calls, "close unserved sockets\nreuseport selection\nstatus line\n");
	assert_int_equal(master->listeners.first->fds[1], -1);
}

static void
test_a_crashed_worker_is_replaced_until_its_queue_is_empty(void **state)
{
	struct master *master = start(state);
	assert_int_equal(scale_workers(&master->scale, 1, false), 0);
	crash(master, 1);
	assert_true(master->listeners.first->fds[1] >= 0);
	run_loop(master);
	assert_int_equal(worker_count, 3);
	send_message(2, CHANNEL_LISTENERS_CLOSED, 0, 0);
	run_loop(master);
	assert_int_equal(master->listeners.first->fds[1], -1);
}

static void
test_a_transfer_request_goes_to_the_receiver_first(void **state)
{
	struct master *master = start(state);
	assert_int_equal(scale_workers(&master->scale, 1, false), 0);
	assert_non_null(
	    strstr(calls, "request to the receiver\nrequest to the sender\n"));
}

static void
test_a_ledger_block_is_kept_until_its_transfers_are_settled(void **state)
{
	struct master *master = start(state);
	assert_int_equal(scale_workers(&master->scale, 1, false), 0);
	send_message(1, CHANNEL_LISTENERS_CLOSED, 0, 0);
	run_loop(master);
	calls[0] = '\0';
	crash(master, 1);
	assert_null(strstr(calls, "release the ledger block\n"));
	send_message(0, CHANNEL_RECEIVED, 1, 0);
	run_loop(master);
	assert_non_null(strstr(calls, "summary reads the ledger block\n"));
	assert_non_null(strstr(calls, "release the ledger block\n"));
	assert_true(strstr(calls, "summary reads the ledger block\n") <
	    strstr(calls, "release the ledger block\n"));
}

/* What the keeper of worker 1 is asked to send, and how that ends. */
static void
end_transfer(struct master *master, int receiver, uint32_t id, uint64_t sent)
{
	send_message(receiver, CHANNEL_RECEIVED, id, sent & UINT32_MAX);
	send_message(1, CHANNEL_SENT, id, sent);
	run_loop(master);
}

static void
test_a_keeper_takes_the_place_of_its_dead_worker(void **state)
{
	struct master *master = start(state);
	master->workers.slots[1].process->keeper_pid = KEEPER_PID;
	exited_pid = FIRST_PID + 1;
	process_reap(&master->workers);
	assert_string_equal(calls,
	    "signal to the keeper\n"
	    "reuseport selection\ncheck the pending scale\nstatus line\n"
	    "replace the worker that empties queues\nfind receivers\n"
	    "close unserved sockets\nreuseport selection\nstatus line\n");
	run_loop(master);
	assert_int_equal(worker_count, 3);
	calls[0] = '\0';
	become_ready(master, 2);
	assert_string_equal(calls,
	    "queue taken over\nreuseport selection\nfind receivers\n"
	    "request to the receiver\nrequest to the sender\n"
	    "check the pending scale\nstatus line\n");
	end_transfer(master, 2, 1, 5);
	calls[0] = '\0';
	exited_pid = KEEPER_PID;
	process_reap(&master->workers);
	assert_string_equal(calls,
	    "summary reads the ledger block\nrelease the ledger block\n"
	    "close unserved sockets\nreuseport selection\nstatus line\n");
}

static void
assert_worker_received(int worker, enum channel_verb verb)
{
	struct channel_message message;
	int descriptor;
	assert_int_equal(channel_receive(worker_fds[worker], &message, &descriptor), 1);
	if (descriptor >= 0)
		close(descriptor);
	assert_int_equal(message.verb, verb);
}

static void
test_what_no_worker_serves_gets_one_that_drains_it(void **state)
{
	struct master *master = start(state);
	master->workers.slots[1].process->keeper_pid = KEEPER_PID;
	exited_pid = FIRST_PID + 1;
	process_reap(&master->workers);
	run_loop(master);
	become_ready(master, 2);
	calls[0] = '\0';
	end_transfer(master, 2, 1, 5 | CHANNEL_SENT_UNSERVED);
	assert_int_equal(worker_count, 4);
	/* A worker that drains without a transfer to it would exit. */
	assert_worker_received(3, CHANNEL_RECEIVE_CONNECTIONS);
	assert_worker_received(3, CHANNEL_DRAIN);
	calls[0] = '\0';
	end_transfer(master, 3, 2, 1);
	assert_null(strstr(calls, "request to the receiver\n"));
	assert_int_equal(worker_count, 4);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_a_worker_becomes_ready_at_the_start),
		TEST(test_a_worker_becomes_ready_later),
		TEST(test_a_reload_commits_when_all_successors_are_ready),
		TEST(test_an_upgrade_is_done_before_sockets_are_closed),
		TEST(test_a_queued_reload_starts_after_the_commit),
		TEST(test_a_worker_exits),
		TEST(test_an_exit_is_handled_after_the_last_messages),
		TEST(test_a_socket_is_closed_after_its_worker_has_emptied_it),
		TEST(test_a_crashed_worker_is_replaced_until_its_queue_is_empty),
		TEST(test_a_transfer_request_goes_to_the_receiver_first),
		TEST(test_a_ledger_block_is_kept_until_its_transfers_are_settled),
		TEST(test_a_keeper_takes_the_place_of_its_dead_worker),
		TEST(test_what_no_worker_serves_gets_one_that_drains_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
