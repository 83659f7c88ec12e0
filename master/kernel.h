/*
 * kernel.h - what the kernel knows and a server does not see by itself: how full each
 * accept queue is, how many connections were lost before anybody could accept them, and
 * what had to be sent again.
 */
#ifndef MASTER_KERNEL_H
#define MASTER_KERNEL_H

#include <stdint.h>

/* Connections that wait in the accept queue of a listening socket, and how many may:
 * tcpi_unacked and tcpi_sacked (net/ipv4/tcp.c, tcp_get_info). */
struct kernel_queue {
	uint32_t depth;
	uint32_t limit;
};

/* 0, or -1 with errno. */
int kernel_read_queue(int fd, struct kernel_queue *ret)
    __attribute__((warn_unused_result));
/* What a listening socket has dropped since it was made: connections that met its full
 * queue, SYNs that it did not take. Of this socket alone; 0 where the kernel does not
 * say. */
uint64_t kernel_read_drops(int fd);

/* Of the whole network namespace, since it exists (/proc/self/net/netstat, TcpExt, and
 * snmp, Tcp). Overflows are connections that met a full queue; drops are those and all
 * others that a listener could not take (no memory, ...); retransmits are segments
 * (tcpRetransSegs, RFC 4022). What cannot be read is 0. */
struct kernel_losses {
	uint64_t listen_overflows;
	uint64_t listen_drops;
	uint64_t syncookies_sent;
	uint64_t retransmits;
};
void kernel_read_losses(struct kernel_losses *ret);

#endif
