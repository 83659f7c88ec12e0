#include "master/upgrade/state_fields.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

char *
state_fields_parse(
    char *text, const struct state_field_range *rows, size_t count, int64_t *ret)
{
	for (size_t i = 0; i < count; i++) {
		const char *digits = *text == '-' ? text + 1 : text;
		if (*digits < '0' || *digits > '9')
			return NULL;
		errno = 0;
		ret[i] = strtoll(text, &text, 10);
		if (errno != 0 || ret[i] < rows[i].min || ret[i] > rows[i].max)
			return NULL;
		if (*text == ' ')
			text++;
		else if (*text != '\0' || i + 1 < count)
			return NULL;
	}
	return text;
}

int
state_fields_parse_all(
    char *text, const struct state_field_range *rows, size_t count, int64_t *ret)
{
	const char *rest = state_fields_parse(text, rows, count, ret);
	return rest != NULL && *rest == '\0' ? 0 : -1;
}

int
state_fields_parse_one(char *text, int64_t min, int64_t max, int64_t *ret)
{
	const struct state_field_range wanted = { min, max };
	return state_fields_parse_all(text, &wanted, 1, ret);
}

static int
option_of(int fd, int option)
{
	int value = -1;
	socklen_t length = sizeof(value);
	if (getsockopt(fd, SOL_SOCKET, option, &value, &length) < 0)
		return -1;
	return value;
}

static bool
is_of_kind(int fd, enum state_fd_kind kind)
{
	struct stat st;
	int type = option_of(fd, SO_TYPE), listens = option_of(fd, SO_ACCEPTCONN);
	switch (kind) {
	case STATE_FD_FILE:
		return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	case STATE_FD_LISTENER:
		return type == SOCK_STREAM && listens == 1;
	case STATE_FD_CONNECTION:
		return type == SOCK_STREAM && listens == 0;
	default:
		return type == SOCK_SEQPACKET && listens == 0;
	}
}

int
state_fields_claim(struct state_fd_claims *claims, enum state_fd_kind kind, int fd)
{
	int flags = fcntl(fd, F_GETFD);
	if (flags < 0)
		return -1;
	if (fd <= STDERR_FILENO || (flags & FD_CLOEXEC) || !is_of_kind(fd, kind)) {
		errno = EBADF;
		return -1;
	}
	int *fds = realloc(claims->fds, (claims->count + 1) * sizeof(*fds));
	if (fds == NULL)
		return -1;
	claims->fds = fds;
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return -1;
	fds[claims->count++] = fd;
	return 0;
}

int
state_fields_parse_fd(
    struct state_fd_claims *claims, char *text, enum state_fd_kind kind, int *ret)
{
	int64_t fd;
	if (state_fields_parse_one(text, 0, INT_MAX, &fd) < 0 ||
	    state_fields_claim(claims, kind, (int)fd) < 0)
		return -1;
	*ret = (int)fd;
	return 0;
}

void
state_fields_release(const struct state_fd_claims *claims)
{
	for (size_t i = 0; i < claims->count; i++)
		(void)fcntl(claims->fds[i], F_SETFD, 0);
}

void
state_fields_claims_finish(struct state_fd_claims *claims)
{
	free(claims->fds);
	*claims = (struct state_fd_claims){ .fds = NULL };
}
