#include "master/upgrade/state_save.h"

#include <sys/mman.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/json/json_wipe.h"
#include "lib/log.h"
#include "lib/printable.h"
#include "lib/stats/base64.h"
#include "net/unix_socket.h"
#include "master/changes/pending_requests.h"
#include "master/listeners/admin_listener.h"
#include "master/upgrade/program_path.h"

#define MEMBER(type, member) JSON_RECORD(struct type, member, JSON_RECORD_OWN)
#define NAMED(key, type, member)                                                       \
	JSON_RECORD_AS(key, struct type, member, JSON_RECORD_OWN)
#define RANGE(key, type, member, which, low, high)                                     \
	{                                                                              \
		.name = (key), .offset = offsetof(struct type, member),                \
		.kind = (which), .min = (low), .max = (high)                           \
	}

const struct json_record_field state_header_fields[] = {
	MEMBER(upgrade_state, is_rollback),
	MEMBER(upgrade_state, is_dry_run),
	MEMBER(upgrade_state, program_fd),
	MEMBER(upgrade_state, config_fd),
	{ .name = NULL },
};

const struct json_record_field state_master_fields[] = {
	RANGE("generation", master, workers.generation, JSON_RECORD_UINT32, 1,
	    UINT32_MAX),
	RANGE("slot_count", master, workers.slot_count, JSON_RECORD_UINT32, 1,
	    LEDGER_SLOTS),
	NAMED("last_transfer_id", master, workers.last_transfer_id),
	MEMBER(master, started_ns),
	NAMED("outcome_number", master, changes.last.number),
	NAMED("outcome_is_good", master, changes.last.is_good),
	{ .name = NULL },
};

const struct json_record_field state_request_fields[] = {
	MEMBER(pending_request_row, fd),
	MEMBER(pending_request_row, waits_for_drain),
	{ .name = NULL },
};

static const struct json_record_field state_overflow_fields[] = {
	JSON_RECORD(struct listener, overflows.count, JSON_RECORD_OWN),
	{ .name = NULL },
};

const struct json_record_field state_listener_fields[] = {
	RANGE("config_index", listener, config_index, JSON_RECORD_INT, -1,
	    CONFIG_LISTENERS_MAX - 1),
	MEMBER(listener, is_from_manager),
	MEMBER(listener, is_order_unknown),
	RANGE("passed_sockets", listener, passed_sockets, JSON_RECORD_UINT32, 0,
	    LEDGER_SLOTS),
	MEMBER(listener, closed_socket_drops),
	/* Programs before this member save none. */
	{ .name = "overflows",
	    .kind = JSON_RECORD_PART,
	    .part = state_overflow_fields,
	    .may_miss = true },
	MEMBER(listener, name),
	{ .name = NULL },
};

const struct json_record_field state_slot_fields[] = {
	MEMBER(slot, failures),
	MEMBER(slot, restarts),
	{ .name = NULL },
};

const struct json_record_field state_process_fields[] = {
	RANGE("pid", process, pid, JSON_RECORD_INT, 2, INT_MAX),
	RANGE("slot", process, slot, JSON_RECORD_UINT32, 0, LEDGER_SLOTS - 1),
	MEMBER(process, generation),
	MEMBER(process, channel_fd),
	MEMBER(process, is_ready),
	RANGE("state", process, state, JSON_RECORD_UINT32, 0, PROCESS_SOCKETS_CLOSED),
	RANGE("ledger_index", process, ledger_entry, JSON_RECORD_UINT32, 0,
	    LEDGER_WORKERS_MAX - 1),
	RANGE("keeper_pid", process, keeper_pid, JSON_RECORD_INT, 0, INT_MAX),
	MEMBER(process, is_recovering),
	RANGE(
	    "crash_worker_pid", process, crash.worker_pid, JSON_RECORD_INT, 0, INT_MAX),
	RANGE("crash_status", process, crash.status, JSON_RECORD_INT, 0, UINT16_MAX),
	NAMED("crash_died_ns", process, crash.died_ns),
	MEMBER(process, moved_in),
	MEMBER(process, moved_out),
	{ .name = NULL },
};

#define REQUESTS_MAX (HTTP_SERVER_KINDS * HTTP_SERVER_CLIENTS_ALL)

static size_t
list_requests(const struct master *master, struct pending_request_row *ret)
{
	size_t count = pending_requests_list(&master->pending, ret, REQUESTS_MAX);
	return count < REQUESTS_MAX ? count : REQUESTS_MAX;
}

static void
set_inheritable(int fd, bool is_inheritable)
{
	if (fcntl(fd, F_SETFD, is_inheritable ? 0 : FD_CLOEXEC) < 0)
		log_warn("[upgrade_descriptor_failed descriptor] "
			 "upgrade: cannot change FD_CLOEXEC of descriptor %d",
		    fd);
}

/* Every descriptor of the master that the next program needs. */
static void
set_all_inheritable(const struct master *master, bool is_inheritable)
{
	set_inheritable(master->workers.ledger->fd, is_inheritable);
	if (master->workers.fault_records != NULL)
		set_inheritable(master->workers.fault_records->fd, is_inheritable);
	if (master->recent_log.pipe.is_started) {
		set_inheritable(master->recent_log.pipe.read_fd, is_inheritable);
		set_inheritable(log_copy_fd(), is_inheritable);
	}
	for (int i = 0; i < HTTP_SERVER_KINDS; i++) {
		const struct http_server *http_server =
		    admin_listener_server(master->admin, (enum http_server_kind)i);
		if (http_server != NULL)
			set_inheritable(http_server_fd(http_server), is_inheritable);
	}
	struct pending_request_row requests[REQUESTS_MAX];
	size_t request_count = list_requests(master, requests);
	for (size_t i = 0; i < request_count; i++)
		set_inheritable(requests[i].fd, is_inheritable);
	for (const struct listener *e = master->listeners.first; e != NULL;
	     e = e->next) {
		for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
			if (e->fds[i] >= 0)
				set_inheritable(e->fds[i], is_inheritable);
		}
	}
	for (const struct process *p = master->workers.processes; p != NULL;
	     p = p->next)
		set_inheritable(p->channel_fd, is_inheritable);
}

static bool
is_printable(const char *text)
{
	size_t length = 1;
	for (; *text != '\0' && length > 0; text += length)
		length = printable_length(text);
	return length > 0;
}

static json_t *
save_header(const struct master *master, const struct upgrade_state *state)
{
	/* A path that JSON does not carry unchanged is looked up again. */
	bool has_path = program_path()[0] == '/' && is_printable(program_path());
	json_t *header = json_record_write(state_header_fields, state);
	json_record_put(&header, "pid", json_integer(getpid()));
	json_record_put(&header, "protocols", json_string(STATE_PROTOCOLS));
	json_record_put(&header, "reason", json_record_text(state->reason));
	json_record_put(
	    &header, "path", json_record_text(has_path ? program_path() : ""));
	json_record_put(
	    &header, "outcome_text", json_record_text(master->changes.last.text));
	return header;
}

/* Faults of each listener that has some, by its number in the configuration. */
static json_t *
save_run_time_faults(const struct config *config)
{
	json_t *rows = json_array();
	for (size_t i = 0; i < config->listener_count; i++) {
		const struct listener_config *listener = &config->listeners[i];
		char text[FAULT_TEXT_MAX];
		json_t *faults = json_array();
		for (size_t k = 0; k < listener->fault_count; k++)
			json_record_append(&faults,
			    json_string(fault_format(&listener->faults[k], text)));
		if (listener->has_run_time_faults)
			json_record_append(&rows,
			    json_pack(
				"{s:i, s:O}", "listener", (int)i, "faults", faults));
		json_decref(faults);
	}
	return rows;
}

static void
save_tickets(json_t **object, const struct tls_tickets *tickets)
{
	char *text = base64_encode(tickets->secret, sizeof(tickets->secret));
	json_record_put(object, "tickets",
	    text == NULL ? NULL
			 : json_pack("{s:I, s:s}", "since_ns",
			       (json_int_t)tickets->since_ns, "secret", text));
	if (text != NULL)
		explicit_bzero(text, strlen(text));
	free(text);
}

/* The pipe of the latest warnings, and the lines, the oldest first. */
static json_t *
save_recent_log(const struct recent_log *recent)
{
	json_t *lines = json_array();
	uint64_t count =
	    recent->count < RECENT_LOG_LINES ? recent->count : RECENT_LOG_LINES;
	for (uint64_t n = count; n > 0; n--)
		json_record_append(
		    &lines, json_record_text(recent_log_line(recent, n - 1)));
	return json_pack("{s:i, s:i, s:o}", "read_fd", recent->pipe.read_fd, "write_fd",
	    log_copy_fd(), "lines", lines);
}

static json_t *
save_master(const struct master *master)
{
	json_t *object = json_record_write(state_master_fields, master);
	json_record_put(&object, "ledger_fd", json_integer(master->workers.ledger->fd));
	if (master->workers.fault_records != NULL)
		json_record_put(&object, "fault_record_fd",
		    json_integer(master->workers.fault_records->fd));
	if (master->config.tickets.since_ns != 0)
		save_tickets(&object, &master->config.tickets);
	if (master->recent_log.pipe.is_started)
		json_record_put(
		    &object, "recent_log", save_recent_log(&master->recent_log));
	json_record_put(&object, "history_columns", history_ring_columns());
	json_record_put(
	    &object, "history_rows", history_ring_rows(&master->history_ring, 0));
	json_record_put(
	    &object, "run_time_faults", save_run_time_faults(&master->config.current));
	return object;
}

static void
save_origin(const char *name, const char *source, void *argument)
{
	json_record_put(argument, name, json_record_text(source));
}

static json_t *
save_origins(const struct master *master)
{
	json_t *origins = json_object();
	config_visit_origins(&master->config.current, save_origin, &origins);
	return origins;
}

static json_t *
save_admin_listeners(const struct master *master)
{
	json_t *rows = json_array();
	for (int i = 0; i < HTTP_SERVER_KINDS; i++) {
		const struct http_server *http_server =
		    admin_listener_server(master->admin, (enum http_server_kind)i);
		if (http_server == NULL)
			continue;
		const struct file_id *file = http_server_file(http_server);
		json_record_append(&rows,
		    json_pack("{s:i, s:i, s:I, s:I}", "kind", i, "fd",
			http_server_fd(http_server), "device", (json_int_t)file->device,
			"inode", (json_int_t)file->inode));
	}
	return rows;
}

static json_t *
save_requests(const struct master *master)
{
	struct pending_request_row requests[REQUESTS_MAX];
	size_t count = list_requests(master, requests);
	json_t *rows = json_array();
	for (size_t i = 0; i < count; i++)
		json_record_append(
		    &rows, json_record_write(state_request_fields, &requests[i]));
	return rows;
}

static json_t *
save_listener(const struct listener *listener)
{
	json_t *object = json_record_write(state_listener_fields, listener);
	json_t *sockets = json_array();
	for (uint32_t i = 0; i < listener->reuseport_count; i++) {
		uint32_t slot = listener->reuseport_slots[i];
		json_record_append(&sockets,
		    json_pack("{s:i, s:i, s:b}", "slot", (int)slot, "fd",
			listener->fds[slot], "is_stored", listener->is_stored[slot]));
	}
	json_record_put(
	    &object, "port", json_integer(address_port(&listener->address)));
	json_record_put(
	    &object, "device", json_integer((json_int_t)listener->file.device));
	json_record_put(
	    &object, "inode", json_integer((json_int_t)listener->file.inode));
	json_record_put(&object, "sockets", sockets);
	return object;
}

static json_t *
save_listeners(const struct master *master)
{
	json_t *rows = json_array();
	for (const struct listener *e = master->listeners.first; e != NULL; e = e->next)
		json_record_append(&rows, save_listener(e));
	return rows;
}

static json_t *
save_slots(const struct master *master)
{
	json_t *rows = json_array();
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		const struct slot *slot = &master->workers.slots[i];
		if (slot->failures == 0 && slot->restarts == 0)
			continue;
		json_t *row = json_record_write(state_slot_fields, slot);
		json_record_put(&row, "slot", json_integer(i));
		json_record_append(&rows, row);
	}
	return rows;
}

static json_t *
save_processes(const struct master *master)
{
	json_t *rows = json_array();
	for (const struct process *p = master->workers.processes; p != NULL;
	     p = p->next) {
		json_t *row = json_record_write(state_process_fields, p);
		json_record_append(&rows, row);
	}
	return rows;
}

/* Heap; NULL when out of memory. */
static char *
format_state(const struct master *master, const struct upgrade_state *state)
{
	json_t *root = json_pack("{s:s}", "version", STATE_VERSION);
	json_record_put(&root, "header", save_header(master, state));
	json_record_put(&root, "master", save_master(master));
	json_record_put(&root, "origins", save_origins(master));
	json_record_put(&root, "admin_listeners", save_admin_listeners(master));
	json_record_put(&root, "pending_requests", save_requests(master));
	json_record_put(&root, "listeners", save_listeners(master));
	json_record_put(&root, "slots", save_slots(master));
	json_record_put(&root, "processes", save_processes(master));
	char *text = root == NULL ? NULL : json_dumps(root, JSON_COMPACT);
	json_decref(root);
	if (text == NULL)
		errno = ENOMEM;
	return text;
}

/* Wipes and frees the text. Returns the descriptor, or -1 with errno. */
static int
write_memory_file(const char *name, char *text)
{
	int fd = text == NULL ? -1 : memfd_create(name, 0);
	ssize_t length = text == NULL ? 0 : (ssize_t)strlen(text);
	if (fd >= 0 && write(fd, text, (size_t)length) != length) {
		close(fd);
		fd = -1;
		errno = ENOMEM;
	}
	if (text != NULL)
		explicit_bzero(text, (size_t)length);
	free(text);
	return fd;
}

int
state_save(const struct master *master, struct upgrade_state *upgrade_state)
{
	upgrade_state->config_fd =
	    write_memory_file("yodeld-config", config_print(&master->config.current));
	if (upgrade_state->config_fd < 0)
		return -1;
	/* It has the secret of tickets. The memory file is closed once it is read: the
	 * kernel clears its pages. */
	json_wipe_begin();
	char *text = format_state(master, upgrade_state);
	json_wipe_end();
	int fd = write_memory_file("yodeld-state", text);
	if (fd < 0) {
		close(upgrade_state->config_fd);
		return -1;
	}
	set_inheritable(upgrade_state->program_fd, true);
	set_all_inheritable(master, true);
	return fd;
}

void
state_save_cancel(
    const struct master *master, const struct upgrade_state *upgrade_state)
{
	set_all_inheritable(master, false);
	set_inheritable(upgrade_state->program_fd, false);
	close(upgrade_state->config_fd);
}
