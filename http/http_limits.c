#include "http/http_limits.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include "lib/clock.h"

static uint64_t
in_seconds(unsigned seconds)
{
	return clock_now_ns() + seconds * NS_PER_S;
}

/* The inode of an open socket; 0 when it is none. */
static ino_t
inode_of(int fd)
{
	struct stat st;
	return fd >= 0 && fstat(fd, &st) == 0 ? st.st_ino : 0;
}

bool
http_limits_are_full(const struct http_limits *http_limits)
{
	return http_limits->count + http_limits->unregistered_count >=
	    HTTP_SERVER_CLIENTS_MAX;
}

bool
http_limits_add(struct http_limits *http_limits, struct bufferevent *bev)
{
	if (http_limits_are_full(http_limits))
		return false;
	bufferevent_incref(bev);
	http_limits->unregistered[http_limits->unregistered_count++] = bev;
	return true;
}

void
http_limits_register(struct http_limits *http_limits, unsigned seconds)
{
	for (unsigned i = 0; i < http_limits->unregistered_count; i++) {
		struct bufferevent *bev = http_limits->unregistered[i];
		int fd = bufferevent_getfd(bev);
		ino_t inode = inode_of(fd);
		bufferevent_decref(bev);
		if (inode != 0)
			http_limits->rows[http_limits->count++] =
			    (struct http_limits_entry){ .fd = fd,
				    .inode = inode,
				    .deadline_ns = in_seconds(seconds) };
	}
	http_limits->unregistered_count = 0;
}

void
http_limits_set_deadline(struct http_limits *http_limits, int fd, unsigned seconds)
{
	for (unsigned i = 0; i < http_limits->count; i++) {
		if (http_limits->rows[i].fd == fd)
			http_limits->rows[i].deadline_ns = in_seconds(seconds);
	}
}

void
http_limits_check(struct http_limits *http_limits)
{
	uint64_t now_ns = clock_now_ns();
	unsigned kept = 0;
	for (unsigned i = 0; i < http_limits->count; i++) {
		struct http_limits_entry http_limits_entry = http_limits->rows[i];
		if (inode_of(http_limits_entry.fd) != http_limits_entry.inode)
			continue;
		if (now_ns >= http_limits_entry.deadline_ns)
			shutdown(http_limits_entry.fd, SHUT_RDWR);
		http_limits->rows[kept++] = http_limits_entry;
	}
	http_limits->count = kept;
}

void
http_limits_clear(struct http_limits *http_limits)
{
	for (unsigned i = 0; i < http_limits->unregistered_count; i++)
		bufferevent_decref(http_limits->unregistered[i]);
	http_limits->unregistered_count = 0;
	http_limits->count = 0;
}
