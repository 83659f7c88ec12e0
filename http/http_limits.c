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
	return limits->count + limits->unregistered_count >= HTTP_SERVER_CLIENTS_MAX;
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
				    .deadline_ns = in_seconds(seconds) };
	}
	limits->unregistered_count = 0;
}

void
http_limits_set_deadline(struct http_limits *limits, int fd, unsigned seconds)
{
	for (unsigned i = 0; i < limits->count; i++) {
		if (limits->rows[i].fd == fd)
			limits->rows[i].deadline_ns = in_seconds(seconds);
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

void
http_limits_clear(struct http_limits *limits)
{
	for (unsigned i = 0; i < limits->unregistered_count; i++)
		bufferevent_decref(limits->unregistered[i]);
	limits->unregistered_count = 0;
	limits->count = 0;
}
