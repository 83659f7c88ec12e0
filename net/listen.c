#include "net/listen.h"

#include <sys/socket.h>

#include <stdint.h>
#include <string.h>

#include <linux/filter.h>

/* A socket filter sees the segment from its TCP header on: byte 13 holds the flags (RFC
 * 9293, 3.1). A SYN alone is dropped, everything else passes. */
int
listen_block_new(int fd)
{
	enum { FLAGS_OFFSET = 13, SYN = 0x02, ACK = 0x10 };
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, FLAGS_OFFSET),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, SYN | ACK),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYN, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	struct sock_fprog program;
	memset(&program, 0, sizeof(program)); /* it has holes, and valgrind sees them */
	program.len = sizeof(code) / sizeof(code[0]);
	program.filter = code;
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

void
listen_accept_new(int fd)
{
	int unused = 0;
	setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused));
}
