#include "master/upgrade/state_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"

#include "net/unix_socket.h"

#include "master/changes/pending_requests.h"
#include "master/listeners/admin_listener.h"
#include "master/upgrade/program_path.h"

static int
read_pid(struct state_reader *reader, char *line)
{
	(void)reader;
	int64_t pid;
	return state_fields_parse_one(line, getpid(), getpid(), &pid);
}

static int
read_purpose(struct state_reader *reader, char *line)
{
	struct upgrade_state *ret = reader->ret;
	/* Nobody takes over with what was read for a rehearsal, which trusts more. */
	if (ret->is_dry_run)
		return -1;
	ret->is_rollback = strcmp(line, "back") == 0;
	ret->is_dry_run = strcmp(line, "rehearsal") == 0;
	return ret->is_rollback || ret->is_dry_run || strcmp(line, "upgrade") == 0 ? 0
										   : -1;
}

static int
read_reason(struct state_reader *reader, char *line)
{
	snprintf(reader->ret->reason, sizeof(reader->ret->reason), "%s", line);
	return 0;
}

static int
read_generation(struct state_reader *reader, char *line)
{
	int64_t generation;
	if (state_fields_parse_one(line, 1, UINT32_MAX, &generation) < 0)
		return -1;
	reader->master->workers.generation = (uint32_t)generation;
	return 0;
}

static int
read_started(struct state_reader *reader, char *line)
{
	int64_t started_ns;
	if (state_fields_parse_one(line, 0, (int64_t)clock_now_ns(), &started_ns) < 0)
		return -1;
	reader->master->started_ns = (uint64_t)started_ns;
	return 0;
}

static int
read_slots(struct state_reader *reader, char *line)
{
	int64_t count;
	if (state_fields_parse_one(line, 1, LEDGER_SLOTS, &count) < 0)
		return -1;
	reader->master->workers.slot_count = (uint32_t)count;
	return 0;
}

static int
read_moves(struct state_reader *reader, char *line)
{
	int64_t id;
	if (state_fields_parse_one(line, 0, UINT32_MAX, &id) < 0)
		return -1;
	reader->master->workers.last_transfer_id = (uint32_t)id;
	return 0;
}

static int
read_program(struct state_reader *reader, char *line)
{
	return state_fields_parse_fd(
	    &reader->claims, line, STATE_FD_FILE, &reader->ret->program_fd);
}

static int
read_ledger(struct state_reader *reader, char *line)
{
	struct master *master = reader->master;
	if (state_fields_parse_fd(
		&reader->claims, line, STATE_FD_FILE, &master->workers.ledger_fd) < 0)
		return -1;
	master->workers.ledger = ledger_attach(master->workers.ledger_fd);
	if (master->workers.ledger != NULL)
		return 0;
	log_error("inheritance: its ledger cannot be used");
	return -1;
}

static int
read_config(struct state_reader *reader, char *line)
{
	struct upgrade_state *ret = reader->ret;
	if (state_fields_parse_fd(
		&reader->claims, line, STATE_FD_FILE, &ret->config_fd) < 0)
		return -1;
	char path[32], error[CONFIG_ERROR_MAX];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", ret->config_fd);
	const struct config_sources sources = { .file = path };
	if (config_load(&sources, &reader->master->config.current, error) < 0) {
		log_errorx("inheritance: its configuration does not load: %s", error);
		return -1;
	}
	/* They have lines of their own. */
	config_forget_origins(&reader->master->config.current);
	return 0;
}

static int
read_path(struct state_reader *reader, char *line)
{
	(void)reader;
	if (line[0] != '/')
		return -1;
	program_path_set(line);
	return 0;
}

static int
read_origin(struct state_reader *reader, char *line)
{
	char *source = strchr(line, ' ');
	if (source == NULL || source == line)
		return -1;
	*source++ = '\0';
	return config_set_origin(&reader->master->config.current, line, source);
}

static int
read_outcome(struct state_reader *reader, char *line)
{
	static const struct state_field_range wanted[] = { STATE_COUNT, STATE_FLAG };
	struct outcome *outcome = &reader->master->changes.last;
	int64_t n[2];
	const char *text = state_fields_parse(line, wanted, 2, n);
	if (text == NULL)
		return -1;
	outcome->number = (uint64_t)n[0];
	outcome->is_good = n[1] != 0;
	snprintf(outcome->text, sizeof(outcome->text), "%s", text);
	return 0;
}

static int
read_admin_listener(struct state_reader *reader, char *line)
{
	static const struct state_field_range wanted[] = { { 0, HTTP_SERVER_KINDS - 1 },
		STATE_FD };
	int64_t n[2];
	const char *name = state_fields_parse(line, wanted, 2, n);
	if (name == NULL || *name == '\0')
		return -1;
	enum http_server_kind kind = (enum http_server_kind)n[0];
	if (admin_listener_server(reader->master, kind) != NULL ||
	    state_fields_claim(&reader->claims, STATE_FD_LISTENER, (int)n[1]) < 0)
		return -1;
	reader->http_server =
	    admin_listener_install(reader->master, kind, name, (int)n[1]);
	return reader->http_server != NULL ? 0 : -1;
}

static int
read_file(struct state_reader *reader, char *line)
{
	static const struct state_field_range wanted[] = { { INT64_MIN, INT64_MAX },
		{ INT64_MIN, INT64_MAX } };
	int64_t n[2];
	if (reader->http_server == NULL ||
	    state_fields_parse_all(line, wanted, 2, n) < 0)
		return -1;
	const struct file_id file = { .device = (dev_t)n[0], .inode = (ino_t)n[1] };
	http_server_set_file(reader->http_server, &file);
	return 0;
}

static int
read_pending_request(struct state_reader *reader, char *line)
{
	static const struct state_field_range wanted[] = { STATE_FD, STATE_FLAG };
	int64_t n[2];
	if (state_fields_parse_all(line, wanted, 2, n) < 0 ||
	    state_fields_claim(&reader->claims, STATE_FD_CONNECTION, (int)n[0]) < 0)
		return -1;
	const struct pending_request_row row = { .fd = (int)n[0],
		.waits_for_drain = n[1] != 0 };
	return pending_requests_restore(reader->master, &row);
}

/* In the order in which they are written: each may rely on what must stand before it.
 */
static const struct row {
	const char *name;
	int (*read)(struct state_reader *reader, char *line);
	enum {
		ONCE,
		AGAIN,
		MANY
	} times; /* AGAIN: a later line counts; MANY: or none */
} rows[] = {
	{ "pid", read_pid, ONCE },
	{ "purpose", read_purpose, AGAIN },
	{ "reason", read_reason, AGAIN },
	{ "generation", read_generation, ONCE },
	{ "started", read_started, ONCE },
	{ "slots", read_slots, ONCE },
	{ "moves", read_moves, ONCE },
	{ "program", read_program, ONCE },
	{ "ledger", read_ledger, ONCE },
	{ "config", read_config, ONCE },
	{ "path", read_path, MANY },
	{ "origin", read_origin, MANY },
	{ "outcome", read_outcome, ONCE },
	{ "door", read_admin_listener, MANY },
	{ "file", read_file, MANY },
	{ "waiter", read_pending_request, MANY },
	{ "endpoint", state_rows_read_listener, MANY },
	{ "drops", state_rows_read_drops, MANY },
	{ "socket", state_rows_read_socket, MANY },
	{ "slot", state_rows_read_slot, MANY },
	{ "process", state_rows_read_process, MANY },
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static const struct row *
find_row(const char *line, size_t length)
{
	for (size_t i = 0; i < ROWS; i++) {
		if (strlen(rows[i].name) == length &&
		    memcmp(rows[i].name, line, length) == 0)
			return &rows[i];
	}
	return NULL;
}

/* The first row before `end` that there must be, and was not; NULL: none. */
static const struct row *
find_missing(const struct state_reader *reader, const struct row *end)
{
	for (const struct row *row = rows; row < end; row++) {
		if (row->times != MANY && !(reader->seen & UINT32_C(1) << (row - rows)))
			return row;
	}
	return NULL;
}

int
state_rows_read(struct state_reader *reader, const char *line)
{
	size_t name_length = strcspn(line, " ");
	const struct row *row = find_row(line, name_length);
	if (row == NULL || line[name_length] == '\0')
		return -1;
	uint32_t bit = UINT32_C(1) << (row - rows);
	if ((row->times == ONCE && (reader->seen & bit)) ||
	    find_missing(reader, row) != NULL)
		return -1;
	char *values = strdup(line + name_length + 1);
	int rc = values == NULL ? -1 : row->read(reader, values);
	free(values);
	reader->seen |= bit;
	return rc;
}

const char *
state_rows_missing(const struct state_reader *reader)
{
	const struct row *missing = find_missing(reader, rows + ROWS);
	return missing == NULL ? NULL : missing->name;
}
