#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/json/json_load.h"
#include "lib/json/json_wipe.h"
#include "lib/log.h"
#include "lib/stats/base64.h"
#include "net/unix_socket.h"
#include "conf/listener_faults.h"
#include "master/changes/pending_requests.h"
#include "master/listeners/admin_listener.h"
#include "master/upgrade/program_path.h"
#include "master/upgrade/state_reader.h"
#include "master/upgrade/state_save.h"
#include "master/workers/process.h"
#include "master/workers/slot.h"

/* 256 slots of 64 listeners take 1 MB; jansson takes some ten times that. */
#define STATE_BYTES_MAX (4 << 20)

static void
load_config(struct state_reader *reader, int fd)
{
	char path[32], error[CONFIG_ERROR_MAX];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	const struct config_sources sources = { .file = path };
	if (config_load(&sources, &reader->master->config.current, error) < 0)
		json_reader_fail(&reader->json, "config", "", error);
	else
		config_forget_origins(
		    &reader->master->config.current); /* saved apart */
}

/* Workers of both programs serve together: without a common transfer protocol every
 * open connection would be drained instead of moved. */
static void
check_protocols(struct state_reader *reader, const json_t *from)
{
	char found[64], error[CONFIG_ERROR_MAX];
	state_reader_text(reader, from, "protocols", found, sizeof(found));
	snprintf(error, sizeof(error),
	    "found \"%s\", expected \"" STATE_PROTOCOLS
	    "\": open connections cannot move to this version",
	    found);
	if (!reader->json.failed && strcmp(found, STATE_PROTOCOLS) != 0)
		json_reader_fail(&reader->json, "header", "protocols", error);
}

static void
read_header(struct state_reader *reader, const json_t *root)
{
	struct upgrade_state *ret = reader->ret;
	struct json_reader *json = &reader->json;
	const json_t *from = json_reader_member(json, root, "", "header", JSON_OBJECT);
	char path[PATH_MAX];
	json_record_read(state_header_fields, json, from, "header", ret);
	if (json_reader_count(json, from, "header", "pid") != (uint64_t)getpid())
		json_reader_fail(json, "header", "pid", "another process");
	check_protocols(reader, from);
	state_reader_text(reader, from, "reason", ret->reason, sizeof(ret->reason));
	state_reader_text(reader, from, "path", path, sizeof(path));
	state_reader_text(reader, from, "outcome_text",
	    reader->master->changes.last.text,
	    sizeof(reader->master->changes.last.text));
	if (json->failed ||
	    state_reader_claim(reader, "program", STATE_FD_FILE, ret->program_fd) < 0 ||
	    state_reader_claim(reader, "config", STATE_FD_FILE, ret->config_fd) < 0)
		return;
	load_config(reader, ret->config_fd);
	if (path[0] == '/')
		program_path_set(path);
}

/* The program that saved the state may have had none, or another layout. */
static void
read_fault_record(struct state_reader *reader, const json_t *from)
{
	struct master *master = reader->master;
	if (json_object_get(from, "fault_record_fd") != NULL) {
		int fd = (int)state_reader_number(
		    reader, from, "master", "fault_record_fd", INT_MAX);
		if (reader->json.failed ||
		    state_reader_claim(reader, "fault_record", STATE_FD_FILE, fd) < 0)
			return;
		master->workers.fault_records = fault_records_attach(fd);
	}
	if (master->workers.fault_records == NULL)
		master->workers.fault_records =
		    fault_records_create(master->config.current.fault_record);
}

/* Workers have them until the next generation serves. */
static void
read_run_time_faults(struct state_reader *reader, const json_t *from)
{
	struct config *config = &reader->master->config.current;
	struct json_reader *json = &reader->json;
	const json_t *rows = json_object_get(from, "run_time_faults"), *row;
	size_t i;
	json_array_foreach(rows, i, row)
	{
		const char *texts[FAULTS_MAX] = { NULL };
		char error[CONFIG_ERROR_MAX];
		const json_t *faults = json_object_get(row, "faults");
		size_t count = json_array_size(faults);
		uint32_t listener = state_reader_number(
		    reader, row, "run_time_faults", "listener", INT_MAX);
		if (listener >= config->listener_count || count > FAULTS_MAX) {
			json_reader_fail(json, "run_time_faults", "", "out of range");
			return;
		}
		for (size_t k = 0; k < count; k++) {
			texts[k] = json_string_value(json_array_get(faults, k));
			if (texts[k] == NULL)
				texts[k] = "";
		}
		if (listener_faults_set(
			&config->listeners[listener], texts, count, error) < 0)
			json_reader_fail(json, "run_time_faults", "", error);
	}
}

/* Sessions of the previous program can be resumed. */
static void
read_tickets(struct state_reader *reader, const json_t *master_object)
{
	struct config_set *config = &reader->master->config;
	const json_t *from = json_object_get(master_object, "tickets");
	const char *text = json_string_value(json_object_get(from, "secret"));
	json_int_t since_ns = json_integer_value(json_object_get(from, "since_ns"));
	char error[CONFIG_ERROR_MAX];
	size_t length = 0;
	if (from == NULL)
		return;
	uint8_t *secret = text == NULL ? NULL : base64_decode(text, &length);
	if (length != TLS_TICKETS_SECRET_BYTES || since_ns <= 0 ||
	    tls_tickets_continue(
		&config->tickets, (uint64_t)since_ns, secret, clock_now_ns()) < 0)
		json_reader_fail(&reader->json, "master", "tickets", "not valid");
	else if (config_share_tickets(&config->current, &config->tickets, error) < 0)
		json_reader_fail(&reader->json, "master", "tickets", error);
	if (secret != NULL)
		explicit_bzero(secret, length);
	free(secret);
}

/* The program that saved the state may have had none. */
static void
read_recent_log(struct state_reader *reader, const json_t *master_object)
{
	struct recent_log *recent = &reader->master->recent_log;
	const json_t *from = json_object_get(master_object, "recent_log"), *line;
	size_t i;
	if (from == NULL)
		return;
	int read_fd =
	    (int)state_reader_number(reader, from, "recent_log", "read_fd", INT_MAX);
	int write_fd =
	    (int)state_reader_number(reader, from, "recent_log", "write_fd", INT_MAX);
	if (reader->json.failed ||
	    state_reader_claim(reader, "recent_log", STATE_FD_PIPE, read_fd) < 0 ||
	    state_reader_claim(reader, "recent_log", STATE_FD_PIPE, write_fd) < 0)
		return;
	recent->inherited_fds[0] = read_fd;
	recent->inherited_fds[1] = write_fd;
	json_array_foreach(json_object_get(from, "lines"), i, line)
	{
		if (json_is_string(line))
			recent_log_add(recent, json_string_value(line));
	}
}

static void
read_master(struct state_reader *reader, const json_t *root)
{
	struct master *master = reader->master;
	struct json_reader *json = &reader->json;
	const json_t *from = json_reader_member(json, root, "", "master", JSON_OBJECT);
	json_record_read(state_master_fields, json, from, "master", master);
	if (master->started_ns > clock_now_ns())
		json_reader_fail(json, "master", "started_ns", "out of range");
	read_run_time_faults(reader, from);
	read_tickets(reader, from);
	read_recent_log(reader, from);
	history_ring_load(&master->history_ring,
	    json_object_get(from, "history_columns"),
	    json_object_get(from, "history_rows"));
	int fd = (int)state_reader_number(reader, from, "master", "ledger_fd", INT_MAX);
	if (json->failed || state_reader_claim(reader, "ledger", STATE_FD_FILE, fd) < 0)
		return;
	master->workers.ledger = ledger_attach(fd);
	if (master->workers.ledger == NULL)
		json_reader_fail(json, "ledger", "",
		    errno == EPROTO ? "cannot be used: another layout"
				    : strerror(errno));
	else
		read_fault_record(reader, from);
}

static void
read_origins(struct state_reader *reader, json_t *root)
{
	json_t *source,
	    *origins =
		json_reader_member(&reader->json, root, "", "origins", JSON_OBJECT);
	const char *name;
	json_object_foreach(origins, name, source)
	{
		if (!json_is_string(source) ||
		    config_set_origin(&reader->master->config.current, name,
			json_string_value(source)) < 0)
			json_reader_fail(&reader->json, "origins", name, "unusable");
	}
}

/* The readers of one row each return NULL, or what is wrong; reader->json may have
 * failed either way. */

static const char *
read_admin_listener(struct state_reader *reader, const json_t *from, const char *where)
{
	struct json_reader *json = &reader->json;
	enum http_server_kind kind = (enum http_server_kind)state_reader_number(
	    reader, from, where, "kind", HTTP_SERVER_KINDS - 1);
	int fd = (int)state_reader_number(reader, from, where, "fd", INT_MAX);
	const struct file_id file = {
		.device = (dev_t)json_reader_word(json, from, where, "device"),
		.inode = (ino_t)json_reader_word(json, from, where, "inode"),
	};
	if (json->failed ||
	    state_reader_claim(reader, where, STATE_FD_LISTENER, fd) < 0)
		return NULL;
	if (admin_listener_server(reader->master->admin, kind) != NULL)
		return "named twice";
	const struct config *config = &reader->master->config.current;
	const char *name =
	    kind == HTTP_SERVER_UNIX ? config->admin.socket : config->admin.address;
	return name == NULL ||
		admin_listener_install(reader->master->admin, kind, name, fd, &file) < 0
	    ? "cannot be opened"
	    : NULL;
}

static const char *
read_request(struct state_reader *reader, const json_t *from, const char *where)
{
	struct pending_request_row row;
	json_record_read(state_request_fields, &reader->json, from, where, &row);
	if (reader->json.failed ||
	    state_reader_claim(reader, where, STATE_FD_CONNECTION, row.fd) < 0)
		return NULL;
	return pending_requests_restore(&reader->master->pending, &row) < 0
	    ? "out of memory"
	    : NULL;
}

/* NULL after an error. */
static struct listener *
make_listener(struct state_reader *reader, const struct listener *row, uint16_t port)
{
	struct address address;
	char error[CONFIG_ERROR_MAX];
	if (row->config_index >= (int)reader->master->config.current.listener_count ||
	    row->is_from_manager != (row->passed_sockets != 0) ||
	    address_parse(row->name, &address, error, sizeof(error)) < 0)
		return NULL;
	struct listener *listener = listener_create(row->name, &address);
	if (listener == NULL)
		return NULL;
	address_set_port(&listener->address, port);
	listener->config_index = row->config_index;
	if (row->config_index >= 0)
		listener->options_id = listener_options_id(
		    &reader->master->config.current.listeners[row->config_index]);
	listener->is_from_manager = row->is_from_manager;
	listener->passed_sockets = row->passed_sockets;
	listener->is_order_unknown = row->is_order_unknown;
	listener->closed_socket_drops = row->closed_socket_drops;
	listener->overflows.count = row->overflows.count;
	/* Unknown: reuseport_select() replaces it. */
	listener->has_program = true;
	return listener;
}

static const char *
read_socket(struct state_reader *reader, const json_t *from, const char *where)
{
	struct listener *listener = reader->listener;
	uint32_t slot =
	    state_reader_number(reader, from, where, "slot", LEDGER_SLOTS - 1);
	int fd = (int)state_reader_number(reader, from, where, "fd", INT_MAX);
	bool is_stored = json_reader_flag(&reader->json, from, where, "is_stored");
	if (reader->json.failed ||
	    state_reader_claim(reader, where, STATE_FD_LISTENER, fd) < 0)
		return NULL;
	if (listener->fds[slot] >= 0)
		return "slot named twice";
	listener_set_socket(listener, slot, fd);
	listener->is_stored[slot] = is_stored;
	return NULL;
}

static const char *
read_slot(struct state_reader *reader, const json_t *from, const char *where)
{
	uint32_t slot =
	    state_reader_number(reader, from, where, "slot", LEDGER_SLOTS - 1);
	json_record_read(state_slot_fields, &reader->json, from, where,
	    &reader->master->workers.slots[slot]);
	return NULL;
}

/* True also of a child that has exited, unless another program that ran as this process
 * meanwhile (a shell, say) has waited for it. */
static bool
is_child(pid_t pid)
{
	siginfo_t info;
	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/* A process and its ledger entry are named once, and the entry exists. */
static bool
is_valid_process(const struct state_reader *reader, const struct process *row)
{
	const struct worker_table *workers = &reader->master->workers;
	for (const struct process *p = workers->processes; p != NULL; p = p->next) {
		if (p->pid == row->pid || p->ledger_entry == row->ledger_entry)
			return false;
	}
	return row->ledger_entry < ledger_live_end(workers->ledger);
}

/* If several processes of a surplus slot drain, the most recent one, which comes first,
 * occupies it. 0, or -1. */
static int
place(struct process *process)
{
	const struct worker_table *workers = process->table;
	bool is_free = workers->slots[process->slot].process == NULL;
	bool is_surplus = process->slot >= workers->slot_count;
	if (process_is_draining(process) && !(is_surplus && is_free))
		return 0;
	if (!is_free || (!process_is_draining(process) && is_surplus))
		return -1;
	slot_adopt(process);
	return 0;
}

static const char *
read_process(struct state_reader *reader, const json_t *from, const char *where)
{
	struct process row;
	struct master *master = reader->master;
	json_record_read(state_process_fields, &reader->json, from, where, &row);
	if (reader->json.failed ||
	    state_reader_claim(reader, where, STATE_FD_CHANNEL, row.channel_fd) < 0)
		return NULL;
	if (!is_valid_process(reader, &row))
		return "not a process of its slot";
	struct process *process = process_from_pid(
	    &master->workers, row.pid, row.slot, row.channel_fd, row.ledger_entry);
	if (process == NULL)
		return "out of memory";
	process->generation = row.generation;
	process->is_status_unknown =
	    !reader->ret->is_dry_run && !is_child(process->pid);
	process->is_ready = row.is_ready;
	process->state =
	    row.state == PROCESS_LISTENERS_CLOSED ? PROCESS_SOCKETS_CLOSED : row.state;
	process->wants_receiver = process_is_draining(process);
	process->keeper_pid = row.keeper_pid;
	process->is_recovering = row.is_recovering;
	process->crash = row.crash;
	process->moved_in = row.moved_in;
	process->moved_out = row.moved_out;
	return place(process) < 0 ? "slot out of range or taken" : NULL;
}

static void
read_rows(struct state_reader *reader, const json_t *parent, const char *name,
    const char *(*read)(struct state_reader *, const json_t *, const char *))
{
	const json_t *row,
	    *rows = json_reader_member(&reader->json, parent, "", name, JSON_ARRAY);
	size_t i;
	json_array_foreach(rows, i, row)
	{
		char where[64];
		snprintf(where, sizeof(where), "%s[%zu]", name, i);
		const char *error =
		    reader->json.failed ? NULL : read(reader, row, where);
		if (error != NULL)
			json_reader_fail(&reader->json, where, "", error);
	}
}

static const char *
read_listener(struct state_reader *reader, const json_t *from, const char *where)
{
	struct listener row = { .name = NULL }, *listener = NULL;
	json_record_read(state_listener_fields, &reader->json, from, where, &row);
	uint32_t port = state_reader_number(reader, from, where, "port", UINT16_MAX);
	if (!reader->json.failed)
		listener = make_listener(reader, &row, (uint16_t)port);
	free(row.name);
	if (listener == NULL)
		return "not a listener";
	struct json_reader *json = &reader->json;
	listener->file = (struct file_id){
		.device = (dev_t)json_reader_word(json, from, where, "device"),
		.inode = (ino_t)json_reader_word(json, from, where, "inode"),
	};
	struct listener **end = reader->listener != NULL
	    ? &reader->listener->next
	    : &reader->master->listeners.first;
	*end = reader->listener = listener;
	read_rows(reader, from, "sockets", read_socket);
	return NULL;
}

/* Each listener of the configuration has a socket. */
static void
check_listeners(struct state_reader *reader)
{
	const struct master *master = reader->master;
	for (size_t i = 0; i < master->config.current.listener_count; i++) {
		const struct listener *e = master->listeners.first;
		while (
		    e != NULL && (e->config_index != (int)i || e->reuseport_count == 0))
			e = e->next;
		if (e == NULL)
			json_reader_fail(&reader->json, "listeners",
			    master->config.current.listeners[i].address_text,
			    "no socket for it");
	}
}

/* A rollback may follow what was saved for an exec, but not for a dry run, of which
 * less is checked. */
static void
read_rollback(struct state_reader *reader, const json_t *from)
{
	struct upgrade_state *ret = reader->ret;
	if (from == NULL)
		return;
	if (ret->is_dry_run)
		json_reader_fail(&reader->json, "", "rollback", "unexpected");
	ret->is_rollback = true;
	state_reader_text(reader, from, "rollback", ret->reason, sizeof(ret->reason));
}

static void
read_state(struct state_reader *reader, json_t *root, const json_t *rollback)
{
	const char *version = json_string_value(json_object_get(root, "version"));
	char error[64];
	snprintf(error, sizeof(error), "found %.16s, expected " STATE_VERSION,
	    version == NULL ? "none" : version);
	if (version == NULL || strcmp(version, STATE_VERSION) != 0)
		json_reader_fail(&reader->json, "", "version", error);
	else
		read_header(reader, root);
	read_rollback(reader, rollback);
	if (!reader->json.failed)
		read_master(reader, root);
	if (reader->json.failed)
		return;
	read_origins(reader, root);
	read_rows(reader, root, "admin_listeners", read_admin_listener);
	read_rows(reader, root, "pending_requests", read_request);
	read_rows(reader, root, "listeners", read_listener);
	read_rows(reader, root, "slots", read_slot);
	read_rows(reader, root, "processes", read_process);
	check_listeners(reader);
}

/* The state, and the rollback that follows it (NULL: none). NULL with one line in
 * error[CONFIG_ERROR_MAX]. */
static json_t *
load_json(int fd, json_t **ret_rollback, char *error)
{
	const size_t flags = JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK;
	struct stat st;
	json_error_t syntax = { .text = "larger than a state can be" };
	errno = 0;
	*ret_rollback = NULL;
	size_t size = fstat(fd, &st) < 0 ? 0 : (size_t)st.st_size;
	const char *text = size > STATE_BYTES_MAX
	    ? MAP_FAILED
	    : mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	json_t *root =
	    text == MAP_FAILED ? NULL : json_load_text(text, size, flags, &syntax);
	size_t end = root == NULL ? size : (size_t)syntax.position;
	if (end < size) {
		*ret_rollback = json_load_text(
		    text + end, size - end, JSON_REJECT_DUPLICATES, &syntax);
		if (*ret_rollback == NULL) {
			json_decref(root);
			root = NULL;
		}
	}
	if (root == NULL)
		snprintf(error, CONFIG_ERROR_MAX, "%s",
		    errno != 0 ? strerror(errno) : syntax.text);
	if (text != MAP_FAILED)
		munmap((void *)text, size);
	return root;
}

int
state_load(struct master *master, int fd, struct upgrade_state *ret)
{
	char error[CONFIG_ERROR_MAX] = "";
	struct state_reader reader = { .master = master,
		.ret = ret,
		.json = { .error = error,
		    .error_size = sizeof(error),
		    .requires_all = true } };
	*ret = (struct upgrade_state){ .program_fd = -1, .config_fd = -1 };
	json_wipe_begin();
	json_t *rollback = NULL, *root = load_json(fd, &rollback, error);
	if (root == NULL)
		reader.json.failed = true;
	else if (state_reader_claim(&reader, "memory file", STATE_FD_FILE, fd) >= 0)
		read_state(&reader, root, rollback);
	json_decref(rollback);
	json_decref(root);
	json_wipe_end();
	if (reader.json.failed) {
		log_errorx("[upgrade_state_invalid reason] upgrade state: %s", error);
		state_reader_release_claims(&reader);
	}
	state_reader_finish(&reader);
	close(fd);
	return reader.json.failed ? -1 : 0;
}
