#include "http/http_limits.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include "lib/clock.h"

static uint64_t
in_seconds(unsigned seconds)
{
	return clock_now_ns() + seconds * NS_PER_S;
}

/* The inode of an open descriptor, or 0. */
static ino_t
inode_of(int fd)
{
	struct stat st;
	return fd >= 0 && fstat(fd, &st) == 0 ? st.st_ino : 0;
}

bool
http_limits_are_full(const struct http_limits *limits)
{
	return limits->count + limits->unregistered_count >= HTTP_SERVER_CLIENTS_ALL;
}

bool
http_limits_add(struct http_limits *limits, struct bufferevent *bev)
{
	if (http_limits_are_full(limits))
		return false;
	bufferevent_incref(bev);
	limits->unregistered[limits->unregistered_count++] = bev;
	return true;
}

void
http_limits_register(struct http_limits *limits, unsigned seconds)
{
	for (unsigned i = 0; i < limits->unregistered_count; i++) {
		struct bufferevent *bev = limits->unregistered[i];
		int fd = bufferevent_getfd(bev);
		ino_t inode = inode_of(fd);
		bufferevent_decref(bev);
		if (inode != 0)
			limits->rows[limits->count++] =
			    (struct http_limits_entry){ .fd = fd,
				    .inode = inode,
				    .since_ns = clock_now_ns(),
				    .deadline_ns = in_seconds(seconds) };
	}
	limits->unregistered_count = 0;
}

void
http_limits_set_state(
    struct http_limits *limits, int fd, enum http_limits_state state, unsigned seconds)
{
	for (unsigned i = 0; i < limits->count; i++) {
		struct http_limits_entry *entry = &limits->rows[i];
		if (entry->fd != fd)
			continue;
		entry->state = state;
		entry->since_ns = clock_now_ns();
		entry->deadline_ns = in_seconds(seconds);
	}
}

void
http_limits_check(struct http_limits *limits)
{
	uint64_t now_ns = clock_now_ns();
	unsigned kept = 0;
	for (unsigned i = 0; i < limits->count; i++) {
		struct http_limits_entry entry = limits->rows[i];
		if (inode_of(entry.fd) != entry.inode)
			continue;
		if (now_ns >= entry.deadline_ns)
			shutdown(entry.fd, SHUT_RDWR);
		limits->rows[kept++] = entry;
	}
	limits->count = kept;
}

/* Connections that are not about to close. */
static unsigned
open_count(const struct http_limits *limits)
{
	unsigned count = limits->unregistered_count;
	for (unsigned i = 0; i < limits->count; i++)
		count += !limits->rows[i].is_closing;
	return count;
}

/* NULL: none in this state since before that time. */
static struct http_limits_entry *
find_oldest(
    struct http_limits *limits, enum http_limits_state state, uint64_t before_ns)
{
	struct http_limits_entry *oldest = NULL;
	for (unsigned i = 0; i < limits->count; i++) {
		struct http_limits_entry *entry = &limits->rows[i];
		if (entry->state == state && !entry->is_closing &&
		    entry->since_ns <= before_ns &&
		    (oldest == NULL || entry->since_ns < oldest->since_ns))
			oldest = entry;
	}
	return oldest;
}

/* A new connection is idle until its request has been read, which may be the one that
 * needs the room: while half of the reserve is left, only connections that have been in
 * their state for a second have to go. NULL: none has to. */
static struct http_limits_entry *
find_victim(struct http_limits *limits, uint64_t now_ns)
{
	bool is_urgent = open_count(limits) >
	    HTTP_SERVER_CLIENTS_MAX + HTTP_SERVER_CLIENTS_RESERVE / 2;
	struct http_limits_entry *victim = find_oldest(
	    limits, HTTP_LIMITS_IDLE, is_urgent ? now_ns : now_ns - NS_PER_S);
	return victim != NULL
	    ? victim
	    : find_oldest(limits, HTTP_LIMITS_RESPONDING, now_ns - NS_PER_S);
}

unsigned
http_limits_make_room(struct http_limits *limits, unsigned wanted)
{
	unsigned closed = 0, max = HTTP_SERVER_CLIENTS_MAX - wanted;
	struct http_limits_entry *victim;
	if (open_count(limits) <= max)
		return 0;
	http_limits_check(limits);
	while (open_count(limits) > max &&
	    (victim = find_victim(limits, clock_now_ns())) != NULL) {
		victim->is_closing = true;
		shutdown(victim->fd, SHUT_RDWR);
		closed++;
	}
	return closed;
}

void
http_limits_clear(struct http_limits *limits)
{
	for (unsigned i = 0; i < limits->unregistered_count; i++)
		bufferevent_decref(limits->unregistered[i]);
	limits->unregistered_count = 0;
	limits->count = 0;
}
