/*
 * control_queue.h - control messages (channel.h) for a process whose channel is full,
 * because it is stopped or hung: they wait here and are sent in their order when it
 * reads again. Master and workers have one for each channel.
 *
 * Only the newest of the messages about the log is kept. The others are bounded by the
 * state of the receiver; CONTROL_QUEUE_MAX is the last resort.
 */
#ifndef PROTO_CONTROL_QUEUE_H
#define PROTO_CONTROL_QUEUE_H

#include <stdint.h>

#include "proto/channel.h"

#define CONTROL_QUEUE_MAX 1024

struct control_queue {
	struct control_entry *first;
	uint32_t count;
};

/* Sends a message with `fd` (-1: none; it stays open here), or queues it with a copy of
 * fd while the channel is full or other messages wait. 0, or -1 with errno: ENOBUFS: it
 * could not be queued; else that of channel_send. */
int control_queue_send(struct control_queue *queue, int channel_fd,
    const struct channel_message *message, int fd) __attribute__((warn_unused_result));
/* Sends what the channel takes; to be called regularly. */
void control_queue_flush(struct control_queue *queue, int channel_fd);
void control_queue_clear(struct control_queue *queue);

#endif
