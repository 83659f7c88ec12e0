/*
 * faults.c - system calls and allocations that fail on demand; preloaded into yodeld
 * (LD_PRELOAD, ld.so(8)).
 *
 *   FAULTS="recv/7 malloc=120"   every 7th recv fails, and the 120th malloc
 *   FAULTS_IN=parent|serving     only in the first process, or only in the others after
 *                                they have accepted a connection; default: everywhere
 *   FAULTS_ONCE=PATH             in the first process only while this file exists
 *
 * The errors of a call are used in turn (the table below). A failing send may instead
 * send only one byte; a failing clock_gettime, gettimeofday or time returns a time of
 * day that is an hour off, forward or backward.
 * The counts are shared by parent and children. Each process prints at its exit the
 * number of faults so far and its allocated blocks (0 with a sanitizer's allocator):
 *
 *   faults: child: 0 accept4, ... 12 recv, 0 send, 345 blocks
 */
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ERRORS_MAX 8

enum call { ACCEPT4, EPOLL_CTL, FORK, MALLOC, MEMFD_CREATE, MMAP, RECV, SEND, CLOCK };

static struct {
	const char *name;
	const int errors[ERRORS_MAX]; /* 0 at the end */
	unsigned long every, only;    /* 0: not set */
} calls[] = {
	[ACCEPT4] = { .name = "accept4",
	    .errors = { ECONNABORTED, EMFILE, ENFILE, ENOMEM, EINTR, EPROTO,
		ENOBUFS } },
	[EPOLL_CTL] = { .name = "epoll_ctl", .errors = { ENOMEM, ENOSPC } },
	[FORK] = { .name = "fork", .errors = { EAGAIN, ENOMEM } },
	[MALLOC] = { .name = "malloc", .errors = { ENOMEM } },
	[MEMFD_CREATE] = { .name = "memfd_create", .errors = { EMFILE, ENOMEM } },
	[MMAP] = { .name = "mmap", .errors = { ENOMEM } },
	[RECV] = { .name = "recv", .errors = { ECONNRESET, EINTR, ENOMEM, ETIMEDOUT } },
	[SEND] = { .name = "send",
	    .errors = { EPIPE, EINTR, ECONNRESET, ENOBUFS, EHOSTUNREACH } },
	[CLOCK] = { .name = "clock_gettime", .errors = { EINVAL } },
};

#define CALLS (sizeof(calls) / sizeof(calls[0]))

/* Shared by all processes. */
static struct counts {
	_Atomic unsigned long calls[CALLS], failed[CALLS];
} own_counts, *counts = &own_counts;

static pid_t first;
static bool has_accepted;
static const char *once;
static enum { EVERYWHERE, PARENT, SERVING } where;
static long blocks;

static void
parse_faults(const char *text)
{
	for (size_t i = 0; i < CALLS; i++) {
		const char *at = strstr(text, calls[i].name);
		if (at == NULL)
			continue;
		at += strlen(calls[i].name);
		if (*at == '/')
			calls[i].every = strtoul(at + 1, NULL, 10);
		else if (*at == '=')
			calls[i].only = strtoul(at + 1, NULL, 10);
	}
}

static void __attribute__((constructor)) begin(void)
{
	const char *in = getenv("FAULTS_IN");
	if (in != NULL)
		where = strcmp(in, "parent") == 0 ? PARENT : SERVING;
	first = getpid();
	once = getenv("FAULTS_ONCE");
	struct counts *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		abort();
	counts = shared;
	if (getenv("FAULTS") != NULL)
		parse_faults(getenv("FAULTS"));
}

static void __attribute__((destructor)) end(void)
{
	char line[512];
	size_t at = (size_t)snprintf(
	    line, sizeof(line), "faults: %s:", getpid() == first ? "parent" : "child");
	for (size_t i = 0; i < CALLS; i++)
		at += (size_t)snprintf(line + at, sizeof(line) - at, " %lu %s,",
		    counts->failed[i], calls[i].name);
	at += (size_t)snprintf(line + at, sizeof(line) - at, " %ld blocks\n", blocks);
	if (write(STDERR_FILENO, line, at) != (ssize_t)at)
		_exit(99);
}

/* True if this call fails, with errno set. */
static bool
fails(enum call call)
{
	if ((calls[call].every == 0 && calls[call].only == 0) ||
	    (where == PARENT && getpid() != first) ||
	    (where == SERVING && (getpid() == first || !has_accepted)) ||
	    (once != NULL && getpid() == first && access(once, F_OK) < 0))
		return false;
	unsigned long number = ++counts->calls[call];
	if (number != calls[call].only &&
	    (calls[call].every == 0 || number % calls[call].every != 0))
		return false;
	unsigned long turn = counts->failed[call]++, known = 0;
	while (known < ERRORS_MAX && calls[call].errors[known] != 0)
		known++;
	errno = calls[call].errors[turn % known];
	return true;
}

#define REAL(name)                                                                     \
	static __typeof__(&name) real;                                                 \
	if (real == NULL)                                                              \
	*(void **)&real = dlsym(RTLD_NEXT, #name)

int
accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
	REAL(accept4);
	if (fails(ACCEPT4))
		return -1;
	has_accepted = true;
	return real(fd, address, length, flags);
}

int
epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event)
{
	REAL(epoll_ctl);
	/* EPOLL_CTL_DEL needs no memory. */
	if (operation != EPOLL_CTL_DEL && fails(EPOLL_CTL))
		return -1;
	return real(epoll_fd, operation, fd, event);
}

pid_t
fork(void)
{
	REAL(fork);
	return fails(FORK) ? -1 : real();
}

int
memfd_create(const char *name, unsigned flags)
{
	REAL(memfd_create);
	return fails(MEMFD_CREATE) ? -1 : real(name, flags);
}

void *
mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
	REAL(mmap);
	return fails(MMAP) ? MAP_FAILED
			   : real(address, length, protection, flags, fd, offset);
}

ssize_t
recv(int fd, void *data, size_t length, int flags)
{
	REAL(recv);
	return fails(RECV) ? -1 : real(fd, data, length, flags);
}

ssize_t
send(int fd, const void *data, size_t length, int flags)
{
	REAL(send);
	if (!fails(SEND))
		return real(fd, data, length, flags);
	return counts->failed[SEND] % 3 == 0 ? real(fd, data, 1, flags) : -1;
}

/* Offset of the time of day, in seconds. */
static time_t
jump(void)
{
	if (!fails(CLOCK))
		return 0;
	return counts->failed[CLOCK] % 2 == 0 ? 3600 : -3600;
}

int
clock_gettime(clockid_t clock, struct timespec *now)
{
	REAL(clock_gettime);
	int rc = real(clock, now);
	if (clock == CLOCK_REALTIME)
		now->tv_sec += jump();
	return rc;
}

int
gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	REAL(gettimeofday);
	int rc = real(now, zone);
	now->tv_sec += jump();
	return rc;
}

time_t
time(time_t *ret)
{
	REAL(time);
	time_t now = real(NULL) + jump();
	if (ret != NULL)
		*ret = now;
	return now;
}

/* --- the allocator, unless a sanitizer replaces it --- */

#ifndef WITHOUT_MALLOC

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void __libc_free(void *memory);

void *
malloc(size_t size)
{
	void *memory = fails(MALLOC) ? NULL : __libc_malloc(size);
	blocks += memory != NULL;
	return memory;
}

void *
calloc(size_t count, size_t size)
{
	void *memory = fails(MALLOC) ? NULL : __libc_calloc(count, size);
	blocks += memory != NULL;
	return memory;
}

void *
realloc(void *old, size_t size)
{
	if (size > 0 && fails(MALLOC))
		return NULL;
	void *memory = __libc_realloc(old, size);
	blocks += (memory != NULL) - (old != NULL);
	return memory;
}

void
free(void *memory)
{
	blocks -= memory != NULL;
	__libc_free(memory);
}

#endif
