#include "worker/faults/fault_listener.h"

#include <sys/socket.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "proto/faults/fault_decision.h"
#include "worker/connection/connection.h"
#include "worker/connection/worker_state.h"
#include "worker/faults/fault_injection.h"

/* When a fault of the listener is in effect. */
struct period {
	uint64_t start_ns, end_ns; /* FAULT_FOR_EVER */
};

static uint64_t
add_ns(uint64_t a, uint64_t b)
{
	return a > FAULT_FOR_EVER - b ? FAULT_FOR_EVER : a + b;
}

static struct period
period_of(const struct listener_faults *faults, const struct fault *fault)
{
	struct period period = {
		.start_ns = add_ns(faults->since_ns, fault->from_ns),
		.end_ns = add_ns(faults->since_ns, fault->to_ns),
	};
	/* The backlog has no time of its own. */
	uint64_t own_ns = fault->kind == FAULT_BACKLOG
	    ? FAULT_FOR_EVER
	    : add_ns(period.start_ns, fault->time_ns);
	if (own_ns < period.end_ns)
		period.end_ns = own_ns;
	return period;
}

static void
note(const struct worker_listener *listener, const struct fault *fault, uint64_t value)
{
	fault_state_note(listener, NULL,
	    &(struct fault_note){ .kind = fault->kind, .value = value });
}

struct stall {
	const struct worker_listener *listener;
	uint64_t time_ns;
};

static bool
stall_one(struct connection *connection, void *argument)
{
	const struct stall *stall = argument;
	if (connection->listener == stall->listener && connection->faults != NULL)
		fault_injection_stall(connection, stall->time_ns);
	return true;
}

static void
begin(struct worker_listener *listener, const struct fault *fault, uint64_t end_ns)
{
	uint64_t now_ns = clock_now_ns();
	uint64_t left_ns = end_ns == FAULT_FOR_EVER ? end_ns : end_ns - now_ns;
	struct stall stall = { listener, left_ns };
	switch (fault->kind) {
	case FAULT_STALL:
		note(listener, fault, left_ns);
		connection_pool_for_each(
		    &listener->worker->connections, stall_one, &stall);
		break;
	case FAULT_NEVER_ACCEPT:
		note(listener, fault, left_ns);
		break;
	case FAULT_BACKLOG:
		note(listener, fault, fault->count);
		listener->faults.has_own_backlog = true;
		(void)listen(listener->fd, (int)fault->count);
		break;
	default:
		break;
	}
}

static void
set_accepting(struct worker_listener *listener, bool accepts_none)
{
	if (accepts_none == listener->faults.accepts_none)
		return;
	listener->faults.accepts_none = accepts_none;
	if (accepts_none)
		event_del(&listener->event);
	else if (!listener->worker->accept.is_paused &&
	    event_add(&listener->event, NULL) < 0)
		log_warnx(
		    "[accept_watch_failed listener] "
		    "accept: %s: cannot watch the socket: accepting no connections",
		    listener->name);
}

/* Begins and ends the faults of the listener that are due, and waits for the next. */
static void
update(void *argument)
{
	struct worker_listener *listener = argument;
	struct listener_faults *faults = &listener->faults;
	uint64_t now_ns = clock_now_ns(), next_ns = FAULT_FOR_EVER;
	bool accepts_none = false, has_backlog = false;
	if (listener->fd < 0)
		return;
	for (size_t i = 0; i < faults->count; i++) {
		const struct fault *fault = &faults->rows[i];
		if (fault->scope != FAULT_SCOPE_LISTENER)
			continue;
		struct period period = period_of(faults, fault);
		bool is_active = now_ns >= period.start_ns && now_ns < period.end_ns;
		uint64_t change_ns =
		    now_ns < period.start_ns ? period.start_ns : period.end_ns;
		if (change_ns > now_ns && change_ns < next_ns)
			next_ns = change_ns;
		if (!is_active)
			continue;
		if ((faults->fired >> i & 1) == 0) {
			faults->fired |= UINT64_C(1) << i;
			begin(listener, fault, period.end_ns);
		}
		has_backlog = has_backlog || fault->kind == FAULT_BACKLOG;
		accepts_none = accepts_none || fault->kind != FAULT_BACKLOG;
	}
	if (faults->has_own_backlog && !has_backlog) {
		faults->has_own_backlog = false;
		(void)listen(listener->fd, (int)listener->config->backlog);
	}
	set_accepting(listener, accepts_none);
	fault_timer_set(listener->worker, &faults->timer, next_ns);
}

static void
set_derived(struct worker_listener *listener)
{
	struct listener_faults *faults = &listener->faults;
	faults->seed = fault_listener_seed(
	    listener->worker->config->fault_seed, listener->config->address_text);
	faults->fired = 0;
	faults->refuses = false;
	for (size_t i = 0; i < faults->count; i++)
		faults->refuses =
		    faults->refuses || faults->rows[i].kind == FAULT_REFUSE;
	fault_injection_prepare(listener);
}

void
fault_listener_prepare(struct worker_listener *listener)
{
	struct listener_faults *faults = &listener->faults;
	faults->rows = listener->config->faults;
	faults->count = listener->config->fault_count;
	faults->since_ns = listener->config->faults_since_ns;
	faults->timer.on_due = update;
	faults->timer.argument = listener;
	set_derived(listener);
}

void
fault_listener_start(struct worker_listener *listener)
{
	if (listener->faults.count > 0)
		update(listener);
}

void
fault_listener_stop(struct worker_listener *listener)
{
	struct listener_faults *faults = &listener->faults;
	fault_timer_set(listener->worker, &faults->timer, FAULT_FOR_EVER);
	free(faults->own);
	free(faults->latest[0].data);
	free(faults->latest[1].data);
	faults->own = NULL;
	faults->latest[0] = faults->latest[1] = (struct kept_reply){ .data = NULL };
}

static bool
apply_to_one(struct connection *connection, void *argument)
{
	const struct worker_listener *listener = argument;
	if (connection->listener != listener ||
	    connection->phase == CONNECTION_LINGERING ||
	    connection_phase_is_handshake(connection->phase))
		return true;
	if (connection->faults != NULL)
		(void)fault_injection_restart(connection);
	else if (listener->faults.count > 0)
		(void)fault_injection_open(connection);
	return true;
}

/* The list of a listener while it is read. */
struct new_list {
	char *address;
	struct fault rows[FAULTS_MAX];
	size_t count;
	uint64_t since_ns;
};

static void
replace(struct worker_listener *listener, const struct new_list *list)
{
	struct listener_faults *faults = &listener->faults;
	struct fault *rows = NULL;
	/* Only the faults of another listener were set. */
	if (list->since_ns == faults->since_ns)
		return;
	if (list->count > 0) {
		rows = calloc(list->count, sizeof(*rows));
		if (rows == NULL) {
			log_warn("[faults_failed listener] "
				 "faults: %s: the previous ones stay in effect",
			    listener->name);
			return;
		}
		memcpy(rows, list->rows, list->count * sizeof(*rows));
	}
	free(faults->own);
	faults->rows = faults->own = rows;
	faults->count = rows == NULL ? 0 : list->count;
	faults->since_ns = list->since_ns;
	set_derived(listener);
	connection_pool_for_each(
	    &listener->worker->connections, apply_to_one, listener);
	update(listener);
}

/* The list is complete. */
static void
apply(struct worker *worker, const struct new_list *list)
{
	for (size_t i = 0; list->address != NULL && i < worker->accept.listener_count;
	     i++) {
		struct worker_listener *listener = &worker->accept.listeners[i];
		if (strcmp(listener->config->address_text, list->address) == 0)
			replace(listener, list);
	}
}

/* Text after the word, or NULL. */
static char *
after(char *line, const char *word)
{
	size_t length = strlen(word);
	return strncmp(line, word, length) == 0 ? line + length : NULL;
}

static void
read_line(struct worker *worker, struct new_list *list, char *line)
{
	char error[512], *rest;
	if ((rest = after(line, "since ")) != NULL) {
		list->since_ns = strtoull(rest, NULL, 10);
	} else if ((rest = after(line, "listener ")) != NULL) {
		apply(worker, list);
		list->address = rest;
		list->count = 0;
		list->since_ns = 0;
	} else if ((rest = after(line, "fault ")) != NULL && list->count < FAULTS_MAX) {
		if (fault_parse(rest, &list->rows[list->count], error, sizeof(error)) ==
		    0)
			list->count++;
		else
			log_warnx(
			    "[fault_invalid reason] faults: ignoring one: %s", error);
	}
}

void
fault_listener_set(struct worker *worker, const char *text, size_t length)
{
	struct new_list *list = calloc(1, sizeof(*list));
	char *copy = strndup(text, length), *rest = copy, *line;
	if (list == NULL || copy == NULL)
		log_warn("[faults_failed] faults: the previous ones stay in effect");
	while (list != NULL && (line = strsep(&rest, "\n")) != NULL)
		read_line(worker, list, line);
	if (list != NULL && copy != NULL)
		apply(worker, list);
	free(copy);
	free(list);
}
