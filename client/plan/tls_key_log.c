#include "client/plan/tls_key_log.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/xmalloc.h"

#define LINE_MAX_BYTES 512

/* Shared with the load processes. */
struct tls_key_log {
	_Atomic uint64_t lost; /* lines */
	_Atomic int error;     /* of the last one */
	_Atomic bool is_cut;   /* the last byte of the file is no line end */
	int fd;
};

/* An earlier run may have filled the disk. */
static bool
ends_in_a_line(const char *path, int fd)
{
	struct stat status;
	char last = '\n';
	if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) || status.st_size == 0)
		return true;
	int reader = open(path, O_RDONLY | O_CLOEXEC);
	if (reader < 0)
		return true;
	ssize_t n = pread(reader, &last, 1, status.st_size - 1);
	close(reader);
	return n < 1 || last == '\n';
}

struct tls_key_log *
tls_key_log_open(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		return NULL;
	struct tls_key_log *log = mmap(NULL, sizeof(*log), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (log == MAP_FAILED)
		xmalloc_fail();
	log->fd = fd;
	log->is_cut = !ends_in_a_line(path, fd);
	return log;
}

void
tls_key_log_close(struct tls_key_log *log)
{
	if (log == NULL)
		return;
	close(log->fd);
	munmap(log, sizeof(*log));
}

void
tls_key_log_write(const char *line, void *argument)
{
	struct tls_key_log *log = argument;
	char text[LINE_MAX_BYTES];
	bool was_cut = atomic_exchange(&log->is_cut, false);
	int length = snprintf(text, sizeof(text), "%s%s\n", was_cut ? "\n" : "", line);
	ssize_t n = 0;
	if (length < (int)sizeof(text))
		n = write(log->fd, text, (size_t)length);
	if (n == length)
		return;
	if (n > 0 ? text[n - 1] != '\n' : was_cut)
		log->is_cut = true;
	log->error = n < 0 ? errno : ENOSPC;
	log->lost++;
}

uint64_t
tls_key_log_lost(const struct tls_key_log *log, int *ret_error)
{
	*ret_error = log->error;
	return log->lost;
}
