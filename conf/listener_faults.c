#include "conf/listener_faults.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/clock.h"

int
listener_faults_check(const struct listener_config *listener, const struct fault *fault,
    char *error, size_t error_size)
{
	const char *name = fault_kinds[fault->kind].name;
	bool needs_reply = fault->scope == FAULT_SCOPE_REPLY ||
	    fault->kind == FAULT_TRICKLE || fault->kind == FAULT_HALF_CLOSE ||
	    fault->has_after_bytes;
	bool needs_boundaries =
	    fault->kind == FAULT_REORDER || fault->kind == FAULT_SWAP;
	if (address_is_unix(&listener->address) &&
	    (fault->kind == FAULT_RESET || fault->kind == FAULT_REFUSE)) {
		snprintf(error, error_size,
		    "found \"%s\" on a Unix socket, which has no reset (the peer sees an end of file), expected \"close\"",
		    name);
		return -1;
	}
	if (needs_reply && reply_is_silent(&listener->reply)) {
		snprintf(error, error_size,
		    "found \"%s\"%s with reply \"%s\", which sends nothing, expected another reply",
		    name, fault->has_after_bytes ? " after a number of bytes" : "",
		    reply_kinds[listener->reply.kind].name);
		return -1;
	}
	if (needs_boundaries && !framings[listener->framing].has_boundaries) {
		snprintf(error, error_size,
		    "found \"%s\" with framing \"%s\", in which a reply has no boundaries, expected framing line or length32",
		    name, framings[listener->framing].name);
		return -1;
	}
	return 0;
}

static int
parse(const struct listener_config *listener, const char *text, struct fault *ret,
    char *error, size_t error_size)
{
	if (listener->reply.kind == REPLY_CONVERSATION ||
	    listener->reply.kind == REPLY_WITNESS) {
		snprintf(error, error_size,
		    "found a fault on a listener with a %s, expected another reply there",
		    reply_kinds[listener->reply.kind].name);
		return -1;
	}
	if (fault_parse(text, ret, error, error_size) < 0)
		return -1;
	return listener_faults_check(listener, ret, error, error_size);
}

int
listener_faults_set(struct listener_config *listener, const char *const *texts,
    size_t count, char *error)
{
	char reason[CONFIG_ERROR_MAX - 64];
	struct fault *faults = NULL;
	if (count > FAULTS_MAX) {
		snprintf(error, CONFIG_ERROR_MAX,
		    "found %zu faults, expected at most %d", count, FAULTS_MAX);
		return -1;
	}
	if (count > 0 && (faults = calloc(count, sizeof(*faults))) == NULL) {
		snprintf(error, CONFIG_ERROR_MAX, "out of memory");
		return -1;
	}
	for (size_t i = 0; i < count; i++) {
		if (parse(listener, texts[i], &faults[i], reason, sizeof(reason)) == 0)
			continue;
		snprintf(error, CONFIG_ERROR_MAX, "faults[%zu]: %s", i, reason);
		free(faults);
		return -1;
	}
	free(listener->faults);
	listener->faults = faults;
	listener->fault_count = count;
	listener->faults_since_ns = clock_now_ns();
	listener->has_run_time_faults = true;
	return 0;
}

int
listener_faults_reset(struct listener_config *listener, char *error)
{
	if (listener_faults_set(listener, (const char *const *)listener->fault_texts,
		listener->fault_text_count, error) < 0)
		return -1;
	listener->has_run_time_faults = false;
	return 0;
}

int
listener_faults_backlog(const struct listener_config *listener)
{
	uint64_t age_ns = clock_now_ns() - listener->faults_since_ns;
	for (size_t i = 0; i < listener->fault_count; i++) {
		const struct fault *fault = &listener->faults[i];
		if (fault->kind == FAULT_BACKLOG && age_ns >= fault->from_ns &&
		    age_ns < fault->to_ns)
			return (int)fault->count;
	}
	return (int)listener->backlog;
}
