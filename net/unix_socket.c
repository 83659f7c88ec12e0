#include "net/unix_socket.h"

#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <linux/capability.h>

#include "lib/capabilities.h"

/* Two seconds in all: another process holds the lock only while it opens a socket. */
#define LOCK_RETRIES 100
#define LOCK_RETRY_NS 20000000

static int
fail(const char *step, const char *path, char *error, size_t error_size)
{
	snprintf(error, error_size, "cannot %s %s: %s", step, path, strerror(errno));
	return -1;
}

static int
new_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* 0 if a process listens on the file (a full accept queue counts), ECONNREFUSED if none
 * does, another error number if that cannot be found out. */
static int
probe(const struct sockaddr_un *address)
{
	int fd = new_socket();
	if (fd < 0)
		return errno;
	int rc = connect(fd, (const struct sockaddr *)address, sizeof(*address));
	int reason = rc == 0 || errno == EAGAIN ? 0 : errno;
	close(fd);
	return reason;
}

/* Whether there is no other file at the path. 0, or -1 with the error; *ret_exists: a
 * socket is there. */
static int
check_file(const char *path, bool *ret_exists, char *error, size_t error_size)
{
	struct stat st;
	*ret_exists = lstat(path, &st) == 0;
	if (!*ret_exists || S_ISSOCK(st.st_mode))
		return 0;
	snprintf(error, error_size,
	    "found a file at %s that is not a socket; remove it or choose another path",
	    path);
	return -1;
}

/* Removes the file of a socket on which no process listens. 0, or -1 with the error. */
static int
remove_stale(
    const struct sockaddr_un *address, const char *path, char *error, size_t error_size)
{
	bool exists;
	if (check_file(path, &exists, error, error_size) < 0)
		return -1;
	if (!exists)
		return 0;
	errno = probe(address);
	if (errno == 0) {
		snprintf(error, error_size,
		    "another process listens on %s; choose another path", path);
		return -1;
	}
	if (errno != ECONNREFUSED)
		return fail(
		    "find out whether a process listens on", path, error, error_size);
	return unlink(path) == 0 ? 0 : fail("remove", path, error, error_size);
}

/* False if the holder of the lock has removed the file meanwhile, or another user has
 * put it there. */
static bool
is_own_file(int fd, const char *path)
{
	struct stat st, own;
	return fstat(fd, &own) == 0 && lstat(path, &st) == 0 &&
	    st.st_ino == own.st_ino && st.st_dev == own.st_dev &&
	    own.st_uid == geteuid();
}

/* Locks a file beside the socket, which unlock() removes: without a lock, two processes
 * that find the same stale socket would remove each other's. Its mode lets no other
 * user hold the lock. The socket is opened even if it cannot be locked. A descriptor,
 * or -1.
 */
static int
lock(const char *lock_path)
{
	const struct timespec pause = { .tv_nsec = LOCK_RETRY_NS };
	for (int i = 0; i < LOCK_RETRIES; i++) {
		int fd =
		    open(lock_path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd < 0)
			return -1;
		if (flock(fd, LOCK_EX | LOCK_NB) == 0 && is_own_file(fd, lock_path))
			return fd;
		close(fd);
		nanosleep(&pause, NULL);
	}
	return -1;
}

static void
unlock(int fd, const char *lock_path)
{
	if (fd < 0)
		return;
	unlink(lock_path);
	close(fd);
}

static int
fail_chown(const char *path, uid_t owner, gid_t group, char *error, size_t error_size)
{
	snprintf(error, error_size,
	    "cannot change owner and group of %s to uid %u and gid %u: %s%s", path,
	    (unsigned)owner, (unsigned)group, strerror(errno),
	    errno == EPERM
		? "; another owner needs CAP_CHOWN, a group must be one of this process"
		: "");
	return -1;
}

int
unix_socket_set_access(const char *path, const struct unix_socket_access *access,
    char *error, size_t error_size)
{
	struct stat st;
	if (lstat(path, &st) < 0)
		return fail("read the mode of", path, error, error_size);
	uid_t owner = access->owner == (uid_t)-1 ? geteuid() : access->owner;
	gid_t group = access->group == (gid_t)-1 ? getegid() : access->group;
	/* A service manager may forbid chown(2): call it only if needed. */
	if ((st.st_uid != owner || st.st_gid != group) &&
	    lchown(path, owner, group) < 0)
		return fail_chown(path, owner, group, error, error_size);
	return chmod(path, access->mode) == 0
	    ? 0
	    : fail("change the mode of", path, error, error_size);
}

static int
fail_folder(const char *path, char *error, size_t error_size)
{
	snprintf(error, error_size,
	    "%s: no such directory; create it or choose another path", path);
	return -1;
}

/* The folder of a path, into folder[sizeof(sockaddr_un.sun_path)]; returns the name
 * behind it. */
static const char *
split(const char *path, char *folder)
{
	const char *slash = strrchr(path, '/');
	size_t length = slash == path ? 1 : (size_t)(slash - path);
	snprintf(folder, sizeof(((struct sockaddr_un *)0)->sun_path), "%.*s",
	    (int)length, path);
	return slash + 1;
}

/* Whether this process may make a file in the folder, which *ret then describes. */
static int
check_folder(const char *path, struct stat *ret, char *error, size_t error_size)
{
	char folder[sizeof(((struct sockaddr_un *)0)->sun_path)];
	split(path, folder);
	int rc = stat(folder, ret);
	if (rc < 0 && errno == ENOENT)
		return fail_folder(path, error, error_size);
	if (rc == 0 && !S_ISDIR(ret->st_mode)) {
		errno = ENOTDIR;
		rc = -1;
	}
	return rc < 0 || faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) < 0
	    ? fail("bind", path, error, error_size)
	    : 0;
}

static bool
is_own_group(gid_t group)
{
	gid_t groups[NGROUPS_MAX];
	int count = getgroups(NGROUPS_MAX, groups);
	bool is_own = group == getegid();
	for (int i = 0; i < count; i++)
		is_own = is_own || groups[i] == group;
	return is_own;
}

int
unix_socket_check(const struct address *address,
    const struct unix_socket_access *access, bool is_listener, char *error,
    size_t error_size)
{
	const char *path = address_unix_path(address);
	struct stat folder;
	bool exists;
	if (path == NULL)
		return 0;
	if (check_file(path, &exists, error, error_size) < 0)
		return -1;
	if (strncmp(path, "/run/", 5) == 0)
		return 0;
	/* This process did not make a socket in a folder that it may not write to. */
	if (check_folder(path, &folder, error, error_size) < 0)
		return is_listener && exists ? 0 : -1;
	uid_t owner = access->owner == (uid_t)-1 ? geteuid() : access->owner;
	gid_t group = access->group == (gid_t)-1 ? getegid() : access->group;
	bool is_inherited =
	    is_listener && (folder.st_mode & S_ISGID) && folder.st_gid == group;
	if ((owner == geteuid() && (is_inherited || is_own_group(group))) ||
	    capabilities_has(CAP_CHOWN))
		return 0;
	errno = EPERM;
	return fail_chown(path, owner, group, error, error_size);
}

bool
unix_socket_is_same_path(const struct address *a, const struct address *b)
{
	const char *one = address_unix_path(a), *other = address_unix_path(b);
	char folder[sizeof(a->un.sun_path)], other_folder[sizeof(a->un.sun_path)];
	struct stat st, other_st;
	return one != NULL && other != NULL &&
	    strcmp(split(one, folder), split(other, other_folder)) == 0 &&
	    stat(folder, &st) == 0 && stat(other_folder, &other_st) == 0 &&
	    st.st_dev == other_st.st_dev && st.st_ino == other_st.st_ino;
}

/* Binds fd, which stays the caller's. 0, or -1 with the error. */
static int
bind_and_listen(int fd, const struct sockaddr_un *address,
    const struct unix_socket_access *access, int backlog, char *error,
    size_t error_size)
{
	const char *path = address->sun_path;
	/* No process can connect before chmod() below. */
	mode_t before = umask(0777);
	int rc = bind(fd, (const struct sockaddr *)address, sizeof(*address));
	umask(before);
	if (rc < 0 && errno == ENOENT)
		return fail_folder(path, error, error_size);
	if (rc < 0)
		return fail("bind", path, error, error_size);
	if (listen(fd, backlog) < 0)
		fail("listen on", path, error, error_size);
	else if (unix_socket_set_access(path, access, error, error_size) == 0)
		return 0;
	unlink(path);
	return -1;
}

static int
open_at(const char *path, const struct unix_socket_access *access, int backlog,
    char *error, size_t error_size)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	memcpy(address.sun_path, path, strnlen(path, sizeof(address.sun_path) - 1));
	char lock_path[sizeof(address.sun_path) + sizeof(".lock")];
	snprintf(lock_path, sizeof(lock_path), "%s.lock", address.sun_path);
	int lock_fd = lock(lock_path);
	int fd = -1;
	if (remove_stale(&address, path, error, error_size) == 0) {
		fd = new_socket();
		if (fd < 0) {
			fail("open", path, error, error_size);
		} else if (bind_and_listen(
			       fd, &address, access, backlog, error, error_size) < 0) {
			close(fd);
			fd = -1;
		}
	}
	unlock(lock_fd, lock_path);
	return fd;
}

int
unix_socket_open(const char *path, int backlog, char *error, size_t error_size)
{
	const struct unix_socket_access access = {
		.mode = 0660, .owner = (uid_t)-1, .group = (gid_t)-1
	};
	return open_at(path, &access, backlog, error, error_size);
}

static int
open_abstract(
    const struct address *address, int backlog, char *error, size_t error_size)
{
	char name[ADDRESS_TEXT_MAX];
	const struct sockaddr *to = (const struct sockaddr *)&address->storage;
	int fd = new_socket();
	if (fd >= 0 && bind(fd, to, address->length) == 0 && listen(fd, backlog) == 0)
		return fd;
	address_format(address, name);
	if (errno == EADDRINUSE)
		snprintf(error, error_size,
		    "another process listens on %s, or a worker empties its accept queue; choose another name or try again",
		    name);
	else
		fail("listen on", name, error, error_size);
	if (fd >= 0)
		close(fd);
	return -1;
}

int
unix_socket_listen(const struct address *address,
    const struct unix_socket_access *access, int backlog, char *error,
    size_t error_size)
{
	const char *path = address_unix_path(address);
	return path == NULL ? open_abstract(address, backlog, error, error_size)
			    : open_at(path, access, backlog, error, error_size);
}

/* connect(2) is refused (net/unix/af_unix.c, unix_stream_connect), and accept(2) still
 * takes what is in the queue. */
int
unix_socket_retire(int fd)
{
	return shutdown(fd, SHUT_RD);
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
	/* A service manager may forbid chown(2): call it only if needed. */
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

bool
unix_socket_is_same(const char *path, const struct file_id *file)
{
	struct file_id now;
	unix_socket_identify(path, &now);
	return now.inode != 0 && now.inode == file->inode && now.device == file->device;
}

void
unix_socket_remove(const char *path, const struct file_id *file)
{
	if (unix_socket_is_same(path, file))
		unlink(path);
}
