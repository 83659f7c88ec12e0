/*
 * compromised_worker.c - a yodeld whose worker 0 attacks the others from inside its
 * sandbox, as an attacker in control of it would. If the file ATTACK exists in its
 * directory when it starts, the worker begins at SIGURG what the file says:
 *
 *   fill=N    writes N into each word of its pages of the ledger, again and again
 *   open=N    reports N open connections
 *   write     tries to write to each page that is not its own, and prints how many it
 *             could write to (security.seccomp must be off)
 *   shutdown  shuts down its listening sockets
 *   datagram  sends to the socket victim.sock in its directory by each descriptor
 *   log       floods its log with forged and malformed lines
 *   sockets   makes its connections block in all calls and at close(2) (likewise)
 *
 * The first worker removes the file: its successors are honest. Linked with
 * --wrap=worker_run.
 */
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "worker/worker.h"

int __real_worker_run(const struct worker_args *args);
int __wrap_worker_run(const struct worker_args *args);

static const struct worker_args *victim;
static char attack[32];
static uint64_t value;
static volatile sig_atomic_t is_attacking;
static sigjmp_buf after_fault;

static void
fill_own_pages(void)
{
	_Atomic uint64_t *words = (_Atomic uint64_t *)(void *)victim->worker_ledger;
	for (size_t i = 0; i < sizeof(*victim->worker_ledger) / sizeof(*words); i++)
		atomic_store_explicit(&words[i], value, memory_order_relaxed);
}

static void
on_fault(int number)
{
	(void)number;
	siglongjmp(after_fault, 1);
}

static bool
can_write(const void *at)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *start = (uint8_t *)((uintptr_t)at / page * page);
	if (mprotect(start, page, PROT_READ | PROT_WRITE) == 0)
		return true;
	if (sigsetjmp(after_fault, 1) != 0)
		return false;
	*(volatile uint8_t *)start = *(volatile uint8_t *)start;
	return true;
}

static void
write_everywhere(void)
{
	struct ledger *ledger = victim->ledger;
	const size_t step = 4096;
	unsigned tried = 0, written = 0;
	signal(SIGSEGV, on_fault);
	for (size_t i = 0; i < sizeof(*ledger->shared); i += step, tried++)
		written += can_write((uint8_t *)ledger->shared + i);
	for (uint32_t entry = 0; entry < ledger_live_end(ledger); entry++) {
		const uint8_t *pages = (const void *)ledger_entry(ledger, entry);
		for (size_t i = 0; i < sizeof(struct worker_ledger); i += step, tried++)
			written += can_write(pages + i);
	}
	signal(SIGSEGV, SIG_DFL);
	fprintf(stderr, "attack: wrote to %u of %u pages\n", written, tried);
}

static void
make_sockets_block(void)
{
	const struct linger linger = { .l_onoff = 1, .l_linger = 3600 };
	struct sockaddr_storage peer;
	for (int fd = 3; fd < 256; fd++) {
		socklen_t length = sizeof(peer);
		if (getpeername(fd, (struct sockaddr *)&peer, &length) < 0 ||
		    peer.ss_family != AF_INET)
			continue;
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	}
}

static void
shut_down_listening_sockets(void)
{
	for (size_t i = 0; i < victim->socket_count; i++)
		shutdown(victim->sockets[i].fd, SHUT_RDWR);
}

static void
send_datagrams(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "victim.sock" };
	struct iovec part = { .iov_base = attack, .iov_len = 1 };
	const struct msghdr header = { .msg_name = &name,
		.msg_namelen = sizeof(name),
		.msg_iov = &part,
		.msg_iovlen = 1 };
	for (int fd = 3; fd < 256; fd++) {
		int type = 0;
		socklen_t length = sizeof(type);
		if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 &&
		    type == SOCK_DGRAM)
			(void)!sendmsg(fd, &header, MSG_NOSIGNAL);
	}
	fprintf(stderr, "attack: sent datagrams\n");
}

static void
flood_log(void)
{
	static const char forged[] = "<0>kernel: forged\n";
	static const char two_lines[] = "<30>forged\n<30>second\n";
	static const char colours[] = "<30>red \033[31m\n";
	static char garbage[65536];
	int fd = log_fd();
	memset(garbage, 0xff, sizeof(garbage));
	for (int i = 0; i < 300; i++) {
		(void)!write(fd, forged, sizeof(forged) - 1);
		(void)!write(fd, two_lines, sizeof(two_lines) - 1);
		(void)!write(fd, colours, sizeof(colours) - 1);
		(void)!write(fd, colours, sizeof(colours));
		(void)!write(fd, garbage, sizeof(garbage));
		(void)!write(fd, "\n", 1);
		(void)!write(fd, "", 1);
	}
}

static void
on_timer(int number)
{
	(void)number;
	if (!is_attacking)
		return;
	if (strcmp(attack, "fill") == 0)
		fill_own_pages();
	else if (strcmp(attack, "open") == 0)
		atomic_store(&victim->worker_ledger->open.total, value << 32);
	else if (strcmp(attack, "shutdown") == 0 && is_attacking == 1)
		shut_down_listening_sockets();
	else if (strcmp(attack, "sockets") == 0)
		make_sockets_block();
	else if (strcmp(attack, "log") == 0)
		flood_log();
	else if (strcmp(attack, "datagram") == 0 && is_attacking == 1)
		send_datagrams();
	else if (is_attacking == 1 && strcmp(attack, "write") == 0)
		write_everywhere();
	is_attacking = 2;
}

static void
on_urgent(int number)
{
	(void)number;
	is_attacking = 1;
}

int
__wrap_worker_run(const struct worker_args *args)
{
	const struct itimerval interval = { { 0, 10000 }, { 0, 10000 } };
	FILE *in = args->slot == 0 ? fopen("ATTACK", "re") : NULL;
	if (in == NULL)
		return __real_worker_run(args);
	unsigned long long number = 0;
	bool is_known = fscanf(in, "%31[a-z]=%llu", attack, &number) >= 1;
	fclose(in);
	unlink("ATTACK");
	if (!is_known)
		abort();
	value = number;
	victim = args;
	signal(SIGURG, on_urgent);
	signal(SIGALRM, on_timer);
	setitimer(ITIMER_REAL, &interval, NULL);
	return __real_worker_run(args);
}
