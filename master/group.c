#include "master/group.h"

#include <sys/socket.h>

#include <errno.h>

#include <linux/filter.h>

#include "lib/log.h"

/* The program: A = random % count; return the A-th of the indexes. */
enum { HEAD = 2, PER_INDEX = 2 };

static uint32_t
list_takers(
    const struct endpoint *endpoint, const bool *takes_new, uint32_t *ret_indexes)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < endpoint->group_count; i++) {
		if (takes_new[endpoint->group[i]])
			ret_indexes[count++] = i;
	}
	return count;
}

static int
attach(int fd, const uint32_t *indexes, uint32_t count)
{
	struct sock_filter code[HEAD + LEDGER_SLOTS * PER_INDEX + 1];
	uint16_t at = 0;
	code[at++] = (struct sock_filter)BPF_STMT(
	    BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_RANDOM));
	code[at++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, count);
	for (uint32_t i = 0; i < count; i++) {
		code[at++] =
		    (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, i, 0, 1);
		code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, indexes[i]);
	}
	code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, indexes[0]);
	struct sock_fprog program = { .len = at, .filter = code };
	return setsockopt(
	    fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program));
}

static int
detach(int fd)
{
	int unused = 0;
	int rc = setsockopt(
	    fd, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &unused, sizeof(unused));
	return rc < 0 && errno == ENOENT ? 0 : rc;
}

void
group_steer(struct endpoint *endpoint, const bool *takes_new)
{
	uint32_t indexes[LEDGER_SLOTS];
	uint32_t count = list_takers(endpoint, takes_new, indexes);
	if (endpoint->group_count == 0)
		return;
	int fd = endpoint->fds[endpoint->group[0]];
	int rc = 0;
	if (count == 0 || count == endpoint->group_count) {
		if (endpoint->is_steered)
			rc = detach(fd);
		endpoint->is_steered = false;
	} else {
		rc = attach(fd, indexes, count);
		endpoint->is_steered = true;
	}
	if (rc < 0)
		log_warn("%s: new connections are not steered", endpoint->name);
}
