#include "master/listeners/reuseport.h"

#include <sys/socket.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <linux/filter.h>

#include "lib/log.h"
#include "net/listen.h"

/* Instructions: a number modulo the count; a jump and a return for each index. */
enum { HEAD = 2, PER_INDEX = 2 };

/* Indexes of the sockets with takes_new, in the order of their slots: the i-th belongs
 * to the i-th pinned worker. */
static uint32_t
list_selected(
    const struct listener *listener, const bool *takes_new, uint32_t *ret_indexes)
{
	uint32_t index_of[LEDGER_SLOTS], count = 0;
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++)
		index_of[i] = UINT32_MAX;
	for (uint32_t i = 0; i < listener->reuseport_count; i++)
		index_of[listener->reuseport_slots[i]] = i;
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		if (takes_new[i] && index_of[i] != UINT32_MAX)
			ret_indexes[count++] = index_of[i];
	}
	return count;
}

static bool
are_in_order(const uint32_t *indexes, uint32_t count)
{
	uint32_t i = 0;
	while (i < count && indexes[i] == i)
		i++;
	return i == count;
}

static uint16_t
write_jump_table(struct sock_filter *code, const uint32_t *indexes, uint32_t count)
{
	uint16_t at = 0;
	for (uint32_t i = 0; i < count; i++) {
		code[at++] =
		    (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, i, 0, 1);
		code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, indexes[i]);
	}
	code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, indexes[0]);
	return at;
}

/* Through a member of the group. 0, or -1 with errno. */
static int
attach_to(const struct listener *listener, int fd, const struct sock_fprog *program)
{
	if (!listener->address.is_mptcp)
		return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, program,
		    sizeof(*program));
	int member_fd = listen_open_member(&listener->address);
	if (member_fd < 0)
		return -1;
	int rc = setsockopt(
	    member_fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, program, sizeof(*program));
	int saved = errno;
	close(member_fd);
	errno = saved;
	return rc;
}

static int
attach(const struct listener *listener, int fd, const uint32_t *indexes, uint32_t count,
    bool by_cpu)
{
	uint32_t number = (uint32_t)SKF_AD_OFF + (by_cpu ? SKF_AD_CPU : SKF_AD_RANDOM);
	struct sock_filter code[HEAD + LEDGER_SLOTS * PER_INDEX + 1] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, number),
		BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, count),
		BPF_STMT(BPF_RET | BPF_A, 0),
	};
	uint16_t length = HEAD + 1;
	if (!are_in_order(indexes, count))
		length = HEAD + write_jump_table(code + HEAD, indexes, count);
	struct sock_fprog program;
	memset(&program, 0, sizeof(program)); /* the padding, too, for valgrind */
	program.len = length;
	program.filter = code;
	return attach_to(listener, fd, &program);
}

static int
detach(int fd)
{
	int unused = 0;
	int rc = setsockopt(
	    fd, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &unused, sizeof(unused));
	return rc < 0 && errno == ENOENT ? 0 : rc;
}

/* Linux before 5.3 cannot detach a program. One that selects all sockets has the same
 * effect. */
static int
detach_or_spread(
    const struct listener *listener, int fd, const uint32_t *indexes, uint32_t count)
{
	int rc = detach(fd);
	return rc < 0 && errno == ENOPROTOOPT
	    ? attach(listener, fd, indexes, count, false)
	    : rc;
}

/* A socket of the group, or -1 while none listens. A program that is attached to a
 * socket before listen(2) makes it a group of its own, which the kernel does not let
 * listen beside another own group of an overlapping address (EADDRINUSE). */
static int
find_member(const struct listener *listener)
{
	for (uint32_t i = 0; i < listener->reuseport_count; i++) {
		int fd = listener->fds[listener->reuseport_slots[i]];
		if (listen_is_active(fd))
			return fd;
	}
	return -1;
}

void
reuseport_select(struct listener *listener, const bool *takes_new, bool by_cpu)
{
	static const bool all[LEDGER_SLOTS] = { [0 ... LEDGER_SLOTS - 1] = true };
	uint32_t indexes[LEDGER_SLOTS];
	int fd = find_member(listener);
	if (fd < 0 || listener->is_order_unknown)
		return;
	uint32_t count = list_selected(listener, takes_new, indexes);
	if (count == 0)
		count = list_selected(listener, all, indexes);
	int rc = 0;
	/* With a program, the member that MPTCP needs gets no connection. */
	bool needs_program =
	    count != listener->reuseport_count || by_cpu || listener->address.is_mptcp;
	if (needs_program)
		rc = attach(listener, fd, indexes, count, by_cpu);
	else if (listener->has_program)
		rc = detach_or_spread(listener, fd, indexes, count);
	listener->has_program = needs_program;
	if (rc < 0)
		log_warn("[reuseport_selection_failed listener] "
			 "%s: cannot direct new connections: any slot may get them",
		    listener->name);
}

void
reuseport_freeze(struct listener *listener)
{
	uint32_t indexes[LEDGER_SLOTS] = { 0 };
	int fd = find_member(listener);
	if (fd < 0 || listener->is_order_unknown || listener->has_program)
		return;
	for (uint32_t i = 0; i < listener->reuseport_count; i++)
		indexes[i] = i;
	if (attach(listener, fd, indexes, listener->reuseport_count, false) < 0)
		log_warn("[reuseport_selection_failed listener] "
			 "%s: cannot direct new connections: any slot may get them",
		    listener->name);
	listener->has_program = true;
}
