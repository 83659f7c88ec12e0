#include "master/upgrade/state_save.h"

#include <sys/mman.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"

#include "net/unix_socket.h"

#include "master/changes/pending_requests.h"
#include "master/listeners/admin_listener.h"
#include "master/upgrade/program_path.h"
#include "master/workers/process.h"
#include "master/workers/slot.h"

#define WAITERS_MAX (2 * HTTP_SERVER_CLIENTS_MAX)

static size_t
list_pending_requests(const struct master *master, struct pending_request_row *ret)
{
	size_t count = pending_requests_list(master, ret, WAITERS_MAX);
	return count < WAITERS_MAX ? count : WAITERS_MAX;
}

static void
set_inheritable(int fd, bool over_exec)
{
	if (fcntl(fd, F_SETFD, over_exec ? 0 : FD_CLOEXEC) < 0)
		log_warn("descriptor %d does not survive", fd);
}

/* Every descriptor of the master that the next image needs stays open over an exec, or
 * does not. */
static void
set_all_inheritable(const struct master *master, bool over_exec)
{
	set_inheritable(master->workers.ledger_fd, over_exec);
	for (int i = 0; i < HTTP_SERVER_KINDS; i++) {
		const struct http_server *http_server =
		    admin_listener_server(master, (enum http_server_kind)i);
		if (http_server != NULL)
			set_inheritable(http_server_fd(http_server), over_exec);
	}
	struct pending_request_row pending_requests[WAITERS_MAX];
	size_t pending_count = list_pending_requests(master, pending_requests);
	for (size_t i = 0; i < pending_count; i++)
		set_inheritable(pending_requests[i].fd, over_exec);
	for (const struct listener *e = master->listeners.first; e != NULL;
	     e = e->next) {
		for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
			if (e->fds[i] >= 0)
				set_inheritable(e->fds[i], over_exec);
		}
	}
	for (const struct process *p = master->workers.processes; p != NULL;
	     p = p->next)
		set_inheritable(p->channel_fd, over_exec);
}

static void
write_listener(FILE *out, const struct listener *listener)
{
	fprintf(out, "endpoint %d %d %u %d %u %s\n", listener->config_index,
	    listener->is_from_manager, listener->passed_sockets,
	    listener->is_order_unknown, address_port(&listener->address),
	    listener->name);
	fprintf(out, "drops %" PRIu64 "\n", listener->closed_socket_drops);
	for (uint32_t i = 0; i < listener->reuseport_count; i++) {
		uint32_t slot = listener->reuseport_slots[i];
		fprintf(out, "socket %u %d %d\n", slot, listener->fds[slot],
		    listener->is_stored[slot]);
	}
}

static void
write_admin_listeners(FILE *out, const struct master *master)
{
	for (int i = 0; i < HTTP_SERVER_KINDS; i++) {
		const struct http_server *http_server =
		    admin_listener_server(master, (enum http_server_kind)i);
		if (http_server == NULL)
			continue;
		const struct file_id *file = http_server_file(http_server);
		fprintf(out, "door %d %d %s\nfile %" PRId64 " %" PRId64 "\n", i,
		    http_server_fd(http_server), http_server_name(http_server),
		    (int64_t)file->device, (int64_t)file->inode);
	}
	struct pending_request_row pending_requests[WAITERS_MAX];
	size_t pending_count = list_pending_requests(master, pending_requests);
	for (size_t i = 0; i < pending_count; i++)
		fprintf(out, "waiter %d %d\n", pending_requests[i].fd,
		    pending_requests[i].waits_for_drain);
}

static void
write_process(FILE *out, const struct process *p)
{
	fprintf(out, "process %d %u %u %d %td %d %d %d %" PRIu64 " %" PRIu64 "\n",
	    (int)p->pid, p->slot, p->generation, p->channel_fd,
	    p->worker_ledger - p->master->workers.ledger->live, p->is_ready,
	    p->is_draining, p->listeners_closed, p->moved_in, p->moved_out);
}

static void
write_origin(const char *name, const char *source, void *out)
{
	fprintf(out, "origin %s %s\n", name, source);
}

static const char *
purpose_of(const struct upgrade_state *upgrade_state)
{
	if (upgrade_state->is_dry_run)
		return "rehearsal";
	return upgrade_state->is_rollback ? "back" : "upgrade";
}

static void
write_all(
    FILE *out, const struct master *master, const struct upgrade_state *upgrade_state)
{
	fprintf(out, STATE_FIRST_LINE "\npid %d\npurpose %s\nreason %s\n",
	    (int)getpid(), purpose_of(upgrade_state), upgrade_state->reason);
	fprintf(out, "generation %u\nstarted %" PRIu64 "\nslots %u\nmoves %u\n",
	    master->workers.generation, master->started_ns, master->workers.slot_count,
	    master->workers.last_transfer_id);
	fprintf(out, "program %d\nledger %d\nconfig %d\n", upgrade_state->program_fd,
	    master->workers.ledger_fd, upgrade_state->config_fd);
	/* A line is a line. */
	if (program_path()[0] == '/' && strchr(program_path(), '\n') == NULL)
		fprintf(out, "path %s\n", program_path());
	config_visit_origins(&master->config.current, write_origin, out);
	fprintf(out, "outcome %" PRIu64 " %d %s\n", master->changes.last.number,
	    master->changes.last.is_good, master->changes.last.text);
	write_admin_listeners(out, master);
	for (const struct listener *e = master->listeners.first; e != NULL; e = e->next)
		write_listener(out, e);
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		const struct slot *slot = &master->workers.slots[i];
		if (slot->master != NULL || slot->restarts > 0)
			fprintf(out, "slot %u %u %" PRIu64 "\n", i, slot->failures,
			    slot->restarts);
	}
	for (const struct process *p = master->workers.processes; p != NULL;
	     p = p->next)
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
write_text(
    int fd, const struct master *master, const struct upgrade_state *upgrade_state)
{
	int copy = dup(fd);
	FILE *out = copy < 0 ? NULL : fdopen(copy, "w");
	if (out == NULL) {
		if (copy >= 0)
			close(copy);
		return -1;
	}
	write_all(out, master, upgrade_state);
	/* Also what failed before the end: half of a line would be read as a whole. */
	bool has_failed = ferror(out) != 0;
	if (fclose(out) < 0)
		return -1;
	errno = EIO;
	return has_failed ? -1 : 0;
}

int
state_save(const struct master *master, struct upgrade_state *upgrade_state)
{
	upgrade_state->config_fd = write_config(&master->config.current);
	if (upgrade_state->config_fd < 0)
		return -1;
	int fd = memfd_create("yodeld-inheritance", 0);
	if (fd < 0 || write_text(fd, master, upgrade_state) < 0) {
		if (fd >= 0)
			close(fd);
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
