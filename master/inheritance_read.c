#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"

#include "master/admin.h"
#include "master/inheritance.h"
#include "master/process.h"
#include "master/slot.h"
#include "master/waiting.h"

static int
read_config(struct master *master, int fd)
{
	char path[32], error[CONFIG_ERROR_MAX];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	const struct config_sources sources = { .file = path };
	int rc = config_load(&sources, &master->config, error);
	if (rc < 0)
		log_errorx("the inherited configuration does not load: %s", error);
	else
		config_forget_origins(
		    &master->config); /* they have lines of their own */
	return rc;
}

static int
read_endpoint(struct master *master, const char *line)
{
	int listener, is_passed, is_order_unknown, at = 0;
	unsigned passed, port;
	char error[CONFIG_ERROR_MAX];
	struct address address;
	if (sscanf(line, "%d %d %u %d %u %n", &listener, &is_passed, &passed,
		&is_order_unknown, &port, &at) < 5 ||
	    at == 0 || address_parse(line + at, &address, error, sizeof(error)) < 0)
		return -1;
	struct endpoint *endpoint = endpoint_create(line + at, &address);
	if (endpoint == NULL)
		return -1;
	address_set_port(&endpoint->address, (uint16_t)port);
	endpoint->listener = listener;
	endpoint->is_passed = is_passed != 0;
	endpoint->is_order_unknown = is_order_unknown != 0;
	endpoint->passed = passed;
	/* Steered or not, the next look decides it anew. */
	endpoint->is_steered = true;
	struct endpoint **end = &master->endpoints;
	while (*end != NULL)
		end = &(*end)->next;
	*end = endpoint;
	return 0;
}

/* The endpoint that was read last; NULL: none. */
static struct endpoint *
last_endpoint(const struct master *master)
{
	struct endpoint *endpoint = master->endpoints;
	while (endpoint != NULL && endpoint->next != NULL)
		endpoint = endpoint->next;
	return endpoint;
}

static int
read_drops(struct master *master, const char *line)
{
	struct endpoint *endpoint = last_endpoint(master);
	if (endpoint == NULL)
		return -1;
	endpoint->drops_closed = strtoull(line, NULL, 10);
	return 0;
}

static int
read_socket(struct master *master, const char *line)
{
	unsigned slot;
	int fd, is_stored;
	struct endpoint *endpoint = last_endpoint(master);
	if (sscanf(line, "%u %d %d", &slot, &fd, &is_stored) != 3 || endpoint == NULL ||
	    slot >= LEDGER_SLOTS)
		return -1;
	endpoint_put(endpoint, slot, fd);
	endpoint->is_stored[slot] = is_stored != 0;
	return 0;
}

static int
read_slot(struct master *master, const char *line)
{
	unsigned number, failures;
	uint64_t restarts;
	if (sscanf(line, "%u %u %" SCNu64, &number, &failures, &restarts) != 3 ||
	    number >= LEDGER_SLOTS)
		return -1;
	master->slots[number].failures = failures;
	master->slots[number].restarts = restarts;
	return 0;
}

static int
read_outcome(struct master *master, const char *line)
{
	struct outcome *outcome = &master->outcome;
	int is_good, at = 0;
	if (sscanf(line, "%" SCNu64 " %d %n", &outcome->number, &is_good, &at) < 2)
		return -1;
	outcome->is_good = is_good != 0;
	snprintf(outcome->text, sizeof(outcome->text), "%s", line + at);
	return 0;
}

static int
read_door(struct master *master, const char *line)
{
	int kind, fd, at = 0;
	if (sscanf(line, "%d %d %n", &kind, &fd, &at) < 2 || at == 0 || kind < 0 ||
	    kind >= DOOR_KINDS)
		return -1;
	return admin_inherit(master, (enum door_kind)kind, line + at, fd);
}

static int
read_waiter(struct master *master, const char *line)
{
	struct waiting_row row;
	int until_end;
	if (sscanf(line, "%d %d", &row.fd, &until_end) != 2)
		return -1;
	row.until_end = until_end != 0;
	return waiting_inherit(master, &row);
}

static int
read_origin(struct master *master, char *line)
{
	char *source = strchr(line, ' ');
	if (source == NULL)
		return -1;
	*source++ = '\0';
	return config_set_origin(&master->config, line, source);
}

static int
read_process(struct master *master, const char *line)
{
	int pid, channel_fd, is_ready, is_leaving, is_retired;
	unsigned slot, generation, books;
	uint64_t moved_in, moved_out;
	if (master->ledger == NULL ||
	    sscanf(line, "%d %u %u %d %u %d %d %d %" SCNu64 " %" SCNu64, &pid, &slot,
		&generation, &channel_fd, &books, &is_ready, &is_leaving, &is_retired,
		&moved_in, &moved_out) != 10 ||
	    slot >= LEDGER_SLOTS || books >= LEDGER_BOOKS)
		return -1;
	struct process *process = process_inherit(
	    master, pid, slot, channel_fd, &master->ledger->live[books]);
	if (process == NULL)
		return -1;
	process->generation = generation;
	process->is_ready = is_ready != 0;
	process->is_leaving = is_leaving != 0;
	process->is_retired = is_retired != 0;
	process->moved_in = moved_in;
	process->moved_out = moved_out;
	process->wants_taker = process->is_leaving && process->is_ready;
	if (!process->is_leaving || slot >= master->slot_count)
		slot_install(process);
	return 0;
}

static int
read_line(struct master *master, char *line, struct inheritance *ret)
{
	char *value = strchr(line, ' ');
	if (value == NULL)
		return -1;
	*value++ = '\0';
	value[strcspn(value, "\n")] = '\0';
	if (strcmp(line, "pid") == 0)
		return atoi(value) == (int)getpid() ? 0 : -1;
	if (strcmp(line, "purpose") == 0)
		ret->is_back = strcmp(value, "back") == 0;
	else if (strcmp(line, "reason") == 0)
		snprintf(ret->reason, sizeof(ret->reason), "%s", value);
	else if (strcmp(line, "generation") == 0)
		master->generation = (uint32_t)strtoul(value, NULL, 10);
	else if (strcmp(line, "started") == 0)
		master->started_ns = strtoull(value, NULL, 10);
	else if (strcmp(line, "slots") == 0)
		master->slot_count = (uint32_t)strtoul(value, NULL, 10);
	else if (strcmp(line, "moves") == 0)
		master->last_move_id = (uint32_t)strtoul(value, NULL, 10);
	else if (strcmp(line, "program") == 0)
		ret->program_fd = atoi(value);
	else if (strcmp(line, "ledger") == 0)
		master->ledger = ledger_attach(master->ledger_fd = atoi(value));
	else if (strcmp(line, "config") == 0)
		return read_config(master, ret->config_fd = atoi(value));
	else if (strcmp(line, "origin") == 0)
		return read_origin(master, value);
	else if (strcmp(line, "outcome") == 0)
		return read_outcome(master, value);
	else if (strcmp(line, "door") == 0)
		return read_door(master, value);
	else if (strcmp(line, "waiter") == 0)
		return read_waiter(master, value);
	else if (strcmp(line, "endpoint") == 0)
		return read_endpoint(master, value);
	else if (strcmp(line, "drops") == 0)
		return read_drops(master, value);
	else if (strcmp(line, "socket") == 0)
		return read_socket(master, value);
	else if (strcmp(line, "slot") == 0)
		return read_slot(master, value);
	else if (strcmp(line, "process") == 0)
		return read_process(master, value);
	else
		return -1;
	return 0;
}

static int
read_or_tell(struct master *master, char *line, struct inheritance *ret)
{
	int rc = read_line(master, line, ret);
	if (rc < 0)
		log_errorx("inheritance: \"%s\" cannot be read", line);
	return rc;
}

/* Whatever the rest means: this line says whom to give it back to. */
static void
find_program(const char *line, struct inheritance *ret)
{
	int fd;
	if (sscanf(line, "program %d", &fd) == 1)
		ret->program_fd = fd;
}

int
inheritance_read(struct master *master, int fd, struct inheritance *ret)
{
	char line[PATH_MAX + CONFIG_ERROR_MAX];
	*ret = (struct inheritance){ .program_fd = -1, .config_fd = -1 };
	FILE *in = fdopen(fd, "r");
	int rc = -1;
	if (in != NULL && fseek(in, 0, SEEK_SET) == 0 &&
	    fgets(line, sizeof(line), in) != NULL) {
		rc = strcmp(line, INHERITANCE_FIRST_LINE) == 0 ? 0 : -1;
		if (rc < 0)
			log_errorx("inheritance: its form is another one: %s", line);
		while (fgets(line, sizeof(line), in) != NULL) {
			if (rc == 0)
				rc = read_or_tell(master, line, ret);
			else
				find_program(line, ret);
		}
	}
	if (in != NULL)
		fclose(in);
	if (rc == 0 && master->ledger == NULL) {
		log_errorx("inheritance: its ledger has another layout");
		rc = -1;
	}
	if (rc < 0)
		return -1;
	inheritance_keep_open(master, false);
	if (ret->program_fd >= 0 && fcntl(ret->program_fd, F_SETFD, FD_CLOEXEC) < 0)
		log_warn("descriptor %d is inherited by all", ret->program_fd);
	if (ret->config_fd >= 0)
		close(ret->config_fd);
	return 0;
}
