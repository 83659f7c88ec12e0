#include "master/guests.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include "master/master.h"

static uint64_t
in_seconds(unsigned seconds)
{
	return master_now_ns() + seconds * NS_PER_S;
}

/* The inode of an open socket; 0 when it is none. */
static ino_t
inode_of(int fd)
{
	struct stat st;
	return fd >= 0 && fstat(fd, &st) == 0 ? st.st_ino : 0;
}

bool
guests_are_full(const struct guests *guests)
{
	return guests->count + guests->expected_count >= DOOR_GUESTS_MAX;
}

bool
guests_expect(struct guests *guests, struct bufferevent *bev)
{
	if (guests_are_full(guests))
		return false;
	bufferevent_incref(bev);
	guests->expected[guests->expected_count++] = bev;
	return true;
}

void
guests_greet(struct guests *guests, unsigned seconds)
{
	for (unsigned i = 0; i < guests->expected_count; i++) {
		struct bufferevent *bev = guests->expected[i];
		int fd = bufferevent_getfd(bev);
		ino_t inode = inode_of(fd);
		bufferevent_decref(bev);
		if (inode != 0)
			guests->rows[guests->count++] = (struct guest){ .fd = fd,
				.inode = inode,
				.deadline_ns = in_seconds(seconds) };
	}
	guests->expected_count = 0;
}

void
guests_grant(struct guests *guests, int fd, unsigned seconds)
{
	for (unsigned i = 0; i < guests->count; i++) {
		if (guests->rows[i].fd == fd)
			guests->rows[i].deadline_ns = in_seconds(seconds);
	}
}

void
guests_sweep(struct guests *guests)
{
	uint64_t now_ns = master_now_ns();
	unsigned kept = 0;
	for (unsigned i = 0; i < guests->count; i++) {
		struct guest guest = guests->rows[i];
		if (inode_of(guest.fd) != guest.inode)
			continue;
		if (now_ns >= guest.deadline_ns)
			shutdown(guest.fd, SHUT_RDWR);
		guests->rows[kept++] = guest;
	}
	guests->count = kept;
}

void
guests_dismiss(struct guests *guests)
{
	for (unsigned i = 0; i < guests->expected_count; i++)
		bufferevent_decref(guests->expected[i]);
	guests->expected_count = 0;
	guests->count = 0;
}
