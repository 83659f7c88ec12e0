#include "master/upgrade/state_reader.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/socket_info.h"

static bool
is_of_kind(int fd, enum state_fd_kind kind)
{
	struct stat st;
	int type = socket_info_option(fd, SO_TYPE);
	int is_listening = socket_info_option(fd, SO_ACCEPTCONN);
	switch (kind) {
	case STATE_FD_FILE:
		return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	case STATE_FD_PIPE:
		return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
	case STATE_FD_LISTENER:
		return type == SOCK_STREAM && is_listening == 1;
	case STATE_FD_CONNECTION:
		return type == SOCK_STREAM && is_listening == 0;
	default:
		return type == SOCK_SEQPACKET && is_listening == 0;
	}
}

int
state_reader_claim(
    struct state_reader *reader, const char *where, enum state_fd_kind kind, int fd)
{
	int flags = fcntl(fd, F_GETFD), *fds = NULL;
	if (fd <= STDERR_FILENO || flags < 0 || (flags & FD_CLOEXEC) ||
	    !is_of_kind(fd, kind))
		errno = EBADF;
	else
		fds = reallocarray(
		    reader->claimed_fds, reader->claimed_count + 1, sizeof(*fds));
	if (fds != NULL)
		reader->claimed_fds = fds;
	if (fds == NULL || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
		json_reader_fail(&reader->json, where, "fd", strerror(errno));
		return -1;
	}
	fds[reader->claimed_count++] = fd;
	return fd;
}

uint32_t
state_reader_number(struct state_reader *reader, const json_t *from, const char *where,
    const char *key, uint32_t max)
{
	uint64_t number = json_reader_count(&reader->json, from, where, key);
	if (number > max)
		json_reader_fail(&reader->json, where, key, "out of range");
	return number > max ? 0 : (uint32_t)number;
}

void
state_reader_text(struct state_reader *reader, const json_t *from, const char *key,
    char *to, size_t size)
{
	char *text = json_reader_text(&reader->json, from, "", key);
	snprintf(to, size, "%s", text != NULL ? text : "");
	free(text);
}

void
state_reader_release_claims(const struct state_reader *reader)
{
	for (size_t i = 0; i < reader->claimed_count; i++)
		(void)fcntl(reader->claimed_fds[i], F_SETFD, 0);
}

void
state_reader_finish(struct state_reader *reader)
{
	free(reader->claimed_fds);
}
