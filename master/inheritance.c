#include "master/inheritance.h"

#include <sys/mman.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"

#include "master/admin.h"
#include "master/door_socket.h"
#include "master/process.h"
#include "master/program.h"
#include "master/slot.h"
#include "master/waiting.h"

#define WAITERS_MAX (2 * DOOR_GUESTS_MAX)

static size_t
list_waiters(const struct master *master, struct waiting_row *ret)
{
	size_t count = waiting_list(master, ret, WAITERS_MAX);
	return count < WAITERS_MAX ? count : WAITERS_MAX;
}

static void
keep_open(int fd, bool over_exec)
{
	if (fcntl(fd, F_SETFD, over_exec ? 0 : FD_CLOEXEC) < 0)
		log_warn("descriptor %d does not survive", fd);
}

/* Every descriptor of the master that the next image needs stays open over an exec, or
 * does not. */
static void
keep_all_open(const struct master *master, bool over_exec)
{
	keep_open(master->ledger_fd, over_exec);
	for (int i = 0; i < DOOR_KINDS; i++) {
		const struct door *door = admin_door(master, (enum door_kind)i);
		if (door != NULL)
			keep_open(door_fd(door), over_exec);
	}
	struct waiting_row waiters[WAITERS_MAX];
	size_t waiter_count = list_waiters(master, waiters);
	for (size_t i = 0; i < waiter_count; i++)
		keep_open(waiters[i].fd, over_exec);
	for (const struct endpoint *e = master->endpoints; e != NULL; e = e->next) {
		for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
			if (e->fds[i] >= 0)
				keep_open(e->fds[i], over_exec);
		}
	}
	for (const struct process *p = master->processes; p != NULL; p = p->next)
		keep_open(p->channel_fd, over_exec);
}

static void
write_endpoint(FILE *out, const struct endpoint *endpoint)
{
	fprintf(out, "endpoint %d %d %u %d %u %s\n", endpoint->listener,
	    endpoint->is_passed, endpoint->passed, endpoint->is_order_unknown,
	    address_port(&endpoint->address), endpoint->name);
	fprintf(out, "drops %" PRIu64 "\n", endpoint->drops_closed);
	for (uint32_t i = 0; i < endpoint->group_count; i++) {
		uint32_t slot = endpoint->group[i];
		fprintf(out, "socket %u %d %d\n", slot, endpoint->fds[slot],
		    endpoint->is_stored[slot]);
	}
}

static void
write_doors(FILE *out, const struct master *master)
{
	for (int i = 0; i < DOOR_KINDS; i++) {
		const struct door *door = admin_door(master, (enum door_kind)i);
		if (door == NULL)
			continue;
		const struct file_id *file = door_file(door);
		fprintf(out, "door %d %d %s\nfile %" PRId64 " %" PRId64 "\n", i,
		    door_fd(door), door_name(door), (int64_t)file->device,
		    (int64_t)file->inode);
	}
	struct waiting_row waiters[WAITERS_MAX];
	size_t waiter_count = list_waiters(master, waiters);
	for (size_t i = 0; i < waiter_count; i++)
		fprintf(out, "waiter %d %d\n", waiters[i].fd, waiters[i].until_end);
}

static void
write_process(FILE *out, const struct process *p)
{
	fprintf(out, "process %d %u %u %d %td %d %d %d %" PRIu64 " %" PRIu64 "\n",
	    (int)p->pid, p->slot, p->generation, p->channel_fd,
	    p->worker_ledger - p->master->ledger->live, p->is_ready, p->is_leaving,
	    p->is_retired, p->moved_in, p->moved_out);
}

static void
write_origin(const char *name, const char *source, void *out)
{
	fprintf(out, "origin %s %s\n", name, source);
}

static const char *
purpose_of(const struct inheritance *inheritance)
{
	if (inheritance->is_rehearsal)
		return "rehearsal";
	return inheritance->is_back ? "back" : "upgrade";
}

static void
write_all(FILE *out, const struct master *master, const struct inheritance *inheritance)
{
	fprintf(out, INHERITANCE_FIRST_LINE "\npid %d\npurpose %s\nreason %s\n",
	    (int)getpid(), purpose_of(inheritance), inheritance->reason);
	fprintf(out, "generation %u\nstarted %" PRIu64 "\nslots %u\nmoves %u\n",
	    master->generation, master->started_ns, master->slot_count,
	    master->last_move_id);
	fprintf(out, "program %d\nledger %d\nconfig %d\n", inheritance->program_fd,
	    master->ledger_fd, inheritance->config_fd);
	/* A line is a line. */
	if (program_path()[0] == '/' && strchr(program_path(), '\n') == NULL)
		fprintf(out, "path %s\n", program_path());
	config_visit_origins(&master->config, write_origin, out);
	fprintf(out, "outcome %" PRIu64 " %d %s\n", master->outcome.number,
	    master->outcome.is_good, master->outcome.text);
	write_doors(out, master);
	for (const struct endpoint *e = master->endpoints; e != NULL; e = e->next)
		write_endpoint(out, e);
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		const struct slot *slot = &master->slots[i];
		if (slot->master != NULL || slot->restarts > 0)
			fprintf(out, "slot %u %u %" PRIu64 "\n", i, slot->failures,
			    slot->restarts);
	}
	for (const struct process *p = master->processes; p != NULL; p = p->next)
		write_process(out, p);
}

/* The effective configuration in a memory file; -1 with errno. */
static int
write_config(const struct config *config)
{
	char *text = config_print(config);
	int fd = text == NULL ? -1 : memfd_create("yodeld-config", 0);
	if (fd >= 0 && write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
		close(fd);
		fd = -1;
	}
	free(text);
	return fd;
}

/* The text alone. 0, or -1 with errno. */
static int
write_text(int fd, const struct master *master, const struct inheritance *inheritance)
{
	int copy = dup(fd);
	FILE *out = copy < 0 ? NULL : fdopen(copy, "w");
	if (out == NULL) {
		if (copy >= 0)
			close(copy);
		return -1;
	}
	write_all(out, master, inheritance);
	/* Also what failed before the end: half of a line would be read as a whole. */
	bool has_failed = ferror(out) != 0;
	if (fclose(out) < 0)
		return -1;
	errno = EIO;
	return has_failed ? -1 : 0;
}

int
inheritance_write(const struct master *master, struct inheritance *inheritance)
{
	inheritance->config_fd = write_config(&master->config);
	if (inheritance->config_fd < 0)
		return -1;
	int fd = memfd_create("yodeld-inheritance", 0);
	if (fd < 0 || write_text(fd, master, inheritance) < 0) {
		if (fd >= 0)
			close(fd);
		close(inheritance->config_fd);
		return -1;
	}
	keep_open(inheritance->program_fd, true);
	keep_all_open(master, true);
	return fd;
}

void
inheritance_withdraw(const struct master *master, const struct inheritance *inheritance)
{
	keep_all_open(master, false);
	keep_open(inheritance->program_fd, false);
	close(inheritance->config_fd);
}
