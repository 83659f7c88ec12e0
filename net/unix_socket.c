#include "net/unix_socket.h"

#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "net/address.h"

/* Two seconds in all: others hold it for as long as it takes to open a socket. */
#define LOCK_RETRIES 100
#define LOCK_RETRY_NS 20000000

static int
fail(int fd, const char *step, const char *name, char *error, size_t error_size)
{
	snprintf(error, error_size, "cannot %s %s: %s", step, name, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

static int
new_socket(int family)
{
	return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static void
fill_address(const char *path, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(ret->sun_path, path, strnlen(path, sizeof(ret->sun_path) - 1));
}

/* What a call at the door says: 0, somebody is there (a full queue is an answer as
 * well); ECONNREFUSED, nobody listens; anything else, it does not tell. */
static int
probe_server(const struct sockaddr_un *address)
{
	int fd = new_socket(AF_UNIX);
	if (fd < 0)
		return errno;
	int rc = connect(fd, (const struct sockaddr *)address, sizeof(*address));
	int reason = rc == 0 || errno == EAGAIN ? 0 : errno;
	close(fd);
	return reason;
}

/* Makes room for the file. 0, or -1 with the error. */
static int
remove_stale(
    const struct sockaddr_un *address, const char *path, char *error, size_t error_size)
{
	struct stat st;
	if (lstat(path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode)) {
		snprintf(
		    error, error_size, "%s is there and is no socket; it stays", path);
		return -1;
	}
	errno = probe_server(address);
	if (errno == 0) {
		snprintf(error, error_size,
		    "another server answers on %s; a path of its own was wanted", path);
		return -1;
	}
	if (errno != ECONNREFUSED)
		return fail(
		    -1, "tell whether somebody answers on", path, error, error_size);
	return unlink(path) == 0 ? 0 : fail(-1, "replace", path, error, error_size);
}

/* Two that find the same file stale at the same instant would remove each other's: its
 * directory is held meanwhile, which leaves nothing behind. A directory that cannot be
 * held, or that somebody does not let go of, keeps nobody from starting. The
 * descriptor, to be closed; -1: without. */
static int
lock_directory(const char *path)
{
	char copy[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 1];
	snprintf(copy, sizeof(copy), "%s", path);
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct timespec pause = { .tv_nsec = LOCK_RETRY_NS };
	for (int i = 0; fd >= 0 && i < LOCK_RETRIES; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return fd;
		nanosleep(&pause, NULL);
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

/* In the place of a file that nobody answers on. */
static int
open_in_place(const char *path, int backlog, char *error, size_t error_size)
{
	struct sockaddr_un address;
	fill_address(path, &address);
	if (remove_stale(&address, path, error, error_size) < 0)
		return -1;
	int fd = new_socket(AF_UNIX);
	if (fd < 0)
		return fail(fd, "open", path, error, error_size);
	/* Nobody comes in before the mode is what it is meant to be. */
	mode_t before = umask(0777);
	int rc = bind(fd, (const struct sockaddr *)&address, sizeof(address));
	umask(before);
	if (rc < 0 && errno == ENOENT) {
		close(fd);
		snprintf(error, error_size,
		    "%s: there is no such folder; make it, or set another admin.socket",
		    path);
		return -1;
	}
	if (rc < 0)
		return fail(fd, "bind", path, error, error_size);
	if (chmod(path, 0660) < 0 || listen(fd, backlog) < 0) {
		fail(fd, "listen on", path, error, error_size);
		unlink(path);
		return -1;
	}
	return fd;
}

int
unix_socket_open(const char *path, int backlog, char *error, size_t error_size)
{
	int directory_fd = lock_directory(path);
	int fd = open_in_place(path, backlog, error, error_size);
	if (directory_fd >= 0)
		close(directory_fd);
	return fd;
}

int
unix_socket_set_group(const char *path, const char *group)
{
	gid_t gid = getegid();
	if (group != NULL) {
		const struct group *entry = getgrnam(group);
		if (entry == NULL) {
			errno = ENOENT;
			return -1;
		}
		gid = entry->gr_gid;
	}
	/* A service manager may have taken the call away: it is made only if needed. */
	struct stat st;
	if (lstat(path, &st) == 0 && st.st_gid == gid)
		return 0;
	return lchown(path, (uid_t)-1, gid);
}

void
unix_socket_identify(const char *path, struct file_id *ret)
{
	struct stat st;
	*ret = (struct file_id){ 0 };
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		*ret = (struct file_id){ .device = st.st_dev, .inode = st.st_ino };
}

void
unix_socket_remove(const char *path, const struct file_id *file)
{
	struct file_id now;
	unix_socket_identify(path, &now);
	if (now.inode != 0 && now.inode == file->inode && now.device == file->device)
		unlink(path);
}

int
unix_socket_open_tcp(const char *text, int backlog, char *error, size_t error_size)
{
	struct address address;
	if (address_parse(text, &address, error, error_size) < 0)
		return -1;
	int fd = new_socket(address.storage.ss_family);
	if (fd < 0)
		return fail(fd, "open", text, error, error_size);
	const int on = 1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, (const struct sockaddr *)&address.storage, address.length) < 0)
		return fail(fd, "bind", text, error, error_size);
	if (listen(fd, backlog) < 0)
		return fail(fd, "listen on", text, error, error_size);
	return fd;
}
