/*
 * fault_queue.h - the order of what is still to be sent on a connection: puts replies
 * and actions into the segments of fault_state.h.
 */
#ifndef WORKER_FAULT_QUEUE_H
#define WORKER_FAULT_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connection;
struct fault_point;
struct fault_state;

/* A reply whose faults have been applied. */
struct fault_altered {
	struct connection *connection;
	uint8_t *data; /* the worker's scratch memory */
	size_t length;
	uint64_t original; /* bytes without faults */
	uint64_t delay_ns;
	uint64_t message;
	bool is_held; /* for the next one (reorder) */
	bool is_dropped;
};

/* Queues the actions that the age of the connection selects. 0, or -1 with ENOMEM. */
int fault_queue_by_age(struct connection *connection)
    __attribute__((warn_unused_result));
/* Queues those that this message selects. 0, or -1 with ENOMEM. */
int fault_queue_by_message(struct connection *connection,
    const struct fault_point *point) __attribute__((warn_unused_result));
/* Queues the reply, with the actions that cut it. 0, or -1 with ENOMEM. */
int fault_queue_reply(struct fault_altered *reply) __attribute__((warn_unused_result));
/* Makes everything that is queued due at once, and takes out what would hold it up. Not
 * within a step of the crash record. */
void fault_queue_release(struct fault_state *state);
/* True if a reply is held for the next one. */
bool fault_queue_holds_reply(const struct connection *connection);

#endif
