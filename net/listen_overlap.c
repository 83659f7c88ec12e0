#include "net/listen_overlap.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>

/* st of a listening socket in /proc/net/tcp */
#define STATE_LISTEN 0x0a

static int
int_option(int fd, int level, int option)
{
	int value = -1;
	socklen_t length = sizeof(value);
	return getsockopt(fd, level, option, &value, &length) < 0 ? -1 : value;
}

/* The address of a listening TCP socket of this process. */
static bool
read_own(int fd, struct address *ret)
{
	*ret = (struct address){ .length = sizeof(ret->storage) };
	return int_option(fd, SOL_SOCKET, SO_ACCEPTCONN) == 1 &&
	    getsockname(fd, (struct sockaddr *)&ret->storage, &ret->length) == 0 &&
	    (ret->storage.ss_family == AF_INET || ret->storage.ss_family == AF_INET6);
}

static bool
is_retired(int fd)
{
	return int_option(fd, SOL_SOCKET, SO_BINDTOIFINDEX) == LISTEN_NO_INTERFACE;
}

bool
listen_is_dual_stack(int fd, const struct address *own)
{
	return own->storage.ss_family == AF_INET6 && address_is_wildcard(own) &&
	    int_option(fd, IPPROTO_IPV6, IPV6_V6ONLY) == 0;
}

/* Calls visit with each descriptor of this process until it returns false. */
static void
visit_own(bool (*visit)(int fd, void *argument), void *argument)
{
	DIR *directory = opendir("/proc/self/fd");
	if (directory == NULL)
		return;
	const struct dirent *entry;
	while ((entry = readdir(directory)) != NULL) {
		if (entry->d_name[0] != '.' && !visit(atoi(entry->d_name), argument))
			break;
	}
	closedir(directory);
}

struct own_search {
	const struct address *address;
	enum listen_overlap found;
};

static bool
compare_own(int fd, void *argument)
{
	struct own_search *search = argument;
	struct address own;
	if (!read_own(fd, &own) || address_port(&own) != address_port(search->address))
		return true;
	/* A retired one is in no way of a new group. */
	if (address_equal(&own, search->address) && !is_retired(fd))
		search->found = LISTEN_SAME;
	else if (search->found == LISTEN_NO_OVERLAP &&
	    (address_overlaps(&own, search->address) || listen_is_dual_stack(fd, &own)))
		search->found = LISTEN_OVERLAP;
	return search->found != LISTEN_SAME;
}

enum listen_overlap
listen_overlap_own(const struct address *address)
{
	struct own_search search = { .address = address };
	visit_own(compare_own, &search);
	return search.found;
}

struct inode_search {
	ino_t inode;
	bool is_found;
};

static bool
compare_inode(int fd, void *argument)
{
	struct inode_search *search = argument;
	struct stat st;
	if (fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_ino == search->inode)
		search->is_found = true;
	return !search->is_found;
}

static bool
is_own_inode(ino_t inode)
{
	struct inode_search search = { .inode = inode };
	visit_own(compare_inode, &search);
	return search.is_found;
}

struct row {
	struct address address;
	unsigned state;
	unsigned uid;
	uint64_t inode;
};

/* Reads "SL: ADDRESS:PORT PEER:PORT ST TX:RX TR:WHEN RETRANSMITS UID TIMEOUT INODE". An
 * address is written as 32-bit words in host order. */
static bool
parse_row(const char *line, struct row *ret)
{
	char address[33];
	unsigned port;
	*ret = (struct row){ .state = 0 };
	if (sscanf(line,
		"%*u: %32[0-9A-F]:%x %*[0-9A-F:] %x %*[0-9A-F:] %*[0-9A-F:] %*x %u %*u %" SCNu64,
		address, &port, &ret->state, &ret->uid, &ret->inode) != 5)
		return false;
	uint32_t words[4] = { 0 };
	size_t count = strlen(address) / 8;
	for (size_t i = 0; i < count; i++)
		sscanf(address + 8 * i, "%8" SCNx32, &words[i]);
	bool is_ipv6 = count == 4;
	ret->address.storage.ss_family = is_ipv6 ? AF_INET6 : AF_INET;
	if (is_ipv6)
		memcpy(&ret->address.in6.sin6_addr, words, 16);
	else
		memcpy(&ret->address.in.sin_addr, words, 4);
	address_set_port(&ret->address, (uint16_t)port);
	return true;
}

/* An IPv6 wildcard is taken for a dual-stack one: the table does not tell, and the
 * caller asks only after bind(2) has found a conflict. */
static bool
may_overlap(const struct address *row, const struct address *address)
{
	return address_overlaps(row, address) ||
	    (address_port(row) == address_port(address) &&
		row->storage.ss_family == AF_INET6 && address_is_wildcard(row));
}

static bool
find_in(const char *path, const struct address *address, char *holder, size_t size)
{
	FILE *file = fopen(path, "re");
	char line[256], text[ADDRESS_TEXT_MAX];
	bool is_found = false, is_header = true;
	if (file == NULL)
		return false;
	/* Listening sockets come first. */
	for (struct row row; !is_found && fgets(line, sizeof(line), file) != NULL;
	     is_header = false) {
		if (is_header || !parse_row(line, &row))
			continue;
		if (row.state != STATE_LISTEN)
			break;
		is_found = may_overlap(&row.address, address) &&
		    !is_own_inode((ino_t)row.inode);
		if (is_found)
			snprintf(holder, size, "%s of user id %u",
			    address_format(&row.address, text), row.uid);
	}
	fclose(file);
	return is_found;
}

bool
listen_overlap_find_other(const struct address *address, char *holder, size_t size)
{
	holder[0] = '\0';
	return find_in("/proc/self/net/tcp", address, holder, size) ||
	    find_in("/proc/self/net/tcp6", address, holder, size);
}
