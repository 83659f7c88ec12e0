#include "master/changes/fault_change.h"

#include <sys/mman.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "proto/channel.h"
#include "conf/listener_faults.h"
#include "master/workers/process.h"

#define REFUSALS_MAX 340 /* bytes: an outcome has room for it and its words */

static void
write_listener(FILE *out, const struct listener_config *listener)
{
	char text[FAULT_TEXT_MAX];
	fprintf(out, "listener %s\nsince %" PRIu64 "\n", listener->address_text,
	    listener->faults_since_ns);
	for (size_t i = 0; i < listener->fault_count; i++)
		fprintf(out, "fault %s\n", fault_format(&listener->faults[i], text));
}

/* All faults in effect, as worker/faults/fault_listener.h describes; heap, NULL when
 * out of memory. */
static char *
write_all(const struct config *config)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	if (out == NULL)
		return NULL;
	for (size_t i = 0; i < config->listener_count; i++)
		write_listener(out, &config->listeners[i]);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

/* A memory file with the text; -1 with errno. */
static int
open_text(const char *text)
{
	size_t length = strlen(text);
	int fd = memfd_create("yodeld-fault-list", MFD_CLOEXEC);
	if (fd >= 0 && write(fd, text, length) == (ssize_t)length)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* A worker of another configuration may have another listener at the same address. */
static bool
needs_faults(const struct worker_table *workers, const struct process *process)
{
	return process->state != PROCESS_EXITED && !process->is_recovering &&
	    process->config_number == workers->config->number;
}

static void
send_to_workers(struct worker_table *workers)
{
	char *text = write_all(&workers->config->current);
	int fd = text == NULL ? -1 : open_text(text);
	struct channel_message message = { .verb = CHANNEL_FAULTS };
	if (fd >= 0)
		message.value = strlen(text);
	else
		log_warn("[faults_failed] faults: cannot send them to the workers: "
			 "the previous ones stay in effect");
	for (struct process *p = workers->processes; fd >= 0 && p != NULL;
	     p = p->next) {
		if (needs_faults(workers, p) && process_send_fd(p, &message, fd) < 0)
			log_warn("[faults_failed worker] "
				 "worker %u: cannot send the faults: "
				 "the previous ones stay in effect",
			    p->slot);
	}
	if (fd >= 0)
		close(fd);
	free(text);
}

static bool
is_selected(const struct listener_config *config, const char *listener)
{
	return strcmp(listener, FAULT_CHANGE_ALL) == 0 ||
	    strcmp(listener, config->address_text) == 0;
}

/* 0, or -1 with the error if no listener could have these faults. */
static int
check_texts(const char *const *faults, size_t count, char *error)
{
	char reason[CONFIG_ERROR_MAX - 64];
	for (size_t i = 0; i < count; i++) {
		struct fault fault;
		if (fault_parse(faults[i], &fault, reason, sizeof(reason)) == 0)
			continue;
		snprintf(error, CONFIG_ERROR_MAX, "faults[%zu]: %s", i, reason);
		return -1;
	}
	return 0;
}

/* Appends that a listener keeps its faults, or "..." if there is no more room. */
static void
append_refusal(char *refusals, const char *address, const char *reason)
{
	size_t at = strlen(refusals), size = REFUSALS_MAX - at;
	int n = snprintf(
	    refusals + at, size, "%s%.64s: %s", at == 0 ? "" : "; ", address, reason);
	if (n >= (int)size)
		snprintf(refusals + at, size, "%s...", at == 0 ? "" : "; ");
}

int
fault_change_set(struct worker_table *workers, const char *listener,
    const char *const *faults, size_t count, char *ret_text)
{
	struct config *config = &workers->config->current;
	char reason[CONFIG_ERROR_MAX], refusals[REFUSALS_MAX] = "";
	size_t set = 0;
	if (check_texts(faults, count, ret_text) < 0)
		return -1;
	for (size_t i = 0; i < config->listener_count; i++) {
		struct listener_config *one = &config->listeners[i];
		if (!is_selected(one, listener))
			continue;
		if (listener_faults_set(one, faults, count, reason) == 0)
			set++;
		else
			append_refusal(refusals, one->address_text, reason);
	}
	if (set == 0) {
		if (refusals[0] != '\0')
			snprintf(ret_text, CONFIG_ERROR_MAX, "%s", refusals);
		else
			snprintf(ret_text, CONFIG_ERROR_MAX,
			    "faults: found \"%.64s\", expected \"" FAULT_CHANGE_ALL
			    "\" or the address of a listener as configured",
			    listener);
		return -1;
	}
	send_to_workers(workers);
	log_info("[faults_set listener faults] faults: %s: %zu set at run time",
	    listener, count);
	snprintf(ret_text, CONFIG_ERROR_MAX,
	    "faults: %.64s: %zu set, until they are cleared, a reload or an upgrade%s%s",
	    listener, count, refusals[0] == '\0' ? "" : "; not at ", refusals);
	return 0;
}

int
fault_change_clear(struct worker_table *workers, char *error)
{
	struct config *config = &workers->config->current;
	for (size_t i = 0; i < config->listener_count; i++) {
		if (config->listeners[i].has_run_time_faults &&
		    listener_faults_reset(&config->listeners[i], error) < 0)
			return -1;
	}
	send_to_workers(workers);
	log_info("[faults_cleared] faults: those of the configuration are in effect");
	return 0;
}

bool
fault_change_is_active(const struct config *config)
{
	for (size_t i = 0; i < config->listener_count; i++) {
		if (config->listeners[i].has_run_time_faults)
			return true;
	}
	return false;
}
