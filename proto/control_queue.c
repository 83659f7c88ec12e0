#include "proto/control_queue.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

struct control_entry {
	struct control_entry *next;
	struct channel_message message;
	int fd; /* -1: none */
};

/* Unlinks and frees *at. */
static void
take_out(struct control_queue *queue, struct control_entry **at)
{
	struct control_entry *entry = *at;
	*at = entry->next;
	if (entry->fd >= 0)
		close(entry->fd);
	free(entry);
	queue->count--;
}

static bool
is_replaced(const struct channel_message *old, const struct channel_message *message)
{
	return old->verb == message->verb &&
	    (old->verb == CHANNEL_LOG_LEVEL || old->verb == CHANNEL_LOG_REOPEN);
}

static struct control_entry *
make_entry(const struct channel_message *message, int fd)
{
	struct control_entry *entry = calloc(1, sizeof(*entry));
	if (entry == NULL)
		return NULL;
	entry->message = *message;
	entry->fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0 || entry->fd >= 0)
		return entry;
	free(entry);
	return NULL;
}

static int
append(struct control_queue *queue, const struct channel_message *message, int fd)
{
	struct control_entry *entry =
	    queue->count < CONTROL_QUEUE_MAX ? make_entry(message, fd) : NULL;
	if (entry == NULL) {
		errno = ENOBUFS;
		return -1;
	}
	struct control_entry **at = &queue->first;
	while (*at != NULL) {
		if (is_replaced(&(*at)->message, message))
			take_out(queue, at);
		else
			at = &(*at)->next;
	}
	*at = entry;
	queue->count++;
	return 0;
}

int
control_queue_send(struct control_queue *queue, int channel_fd,
    const struct channel_message *message, int fd)
{
	if (queue->first == NULL) {
		if (channel_send(channel_fd, message, fd) == 0)
			return 0;
		if (errno != EAGAIN)
			return -1;
	}
	return append(queue, message, fd);
}

/* After any other error than these the worker is about to exit. ETOOMANYREFS: too many
 * descriptors of all processes are in flight (unix(7)). */
static bool
is_temporary(int error)
{
	return error == EAGAIN || error == ETOOMANYREFS || error == ENOBUFS ||
	    error == ENOMEM;
}

void
control_queue_flush(struct control_queue *queue, int channel_fd)
{
	while (queue->first != NULL) {
		const struct control_entry *entry = queue->first;
		if (channel_send(channel_fd, &entry->message, entry->fd) < 0) {
			if (!is_temporary(errno))
				control_queue_clear(queue);
			return;
		}
		take_out(queue, &queue->first);
	}
}

void
control_queue_clear(struct control_queue *queue)
{
	while (queue->first != NULL)
		take_out(queue, &queue->first);
}
