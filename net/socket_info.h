/*
 * socket_info.h - what the kernel knows and a server does not see by itself: how full
 * each accept queue is, how many connections were lost before anybody could accept
 * them, and what had to be sent again.
 */
#ifndef NET_SOCKET_INFO_H
#define NET_SOCKET_INFO_H

#include <stdint.h>

/* Connections that wait in the accept queue of a listening socket, and how many may:
 * tcpi_unacked and tcpi_sacked (net/ipv4/tcp.c, tcp_get_info). */
struct accept_queue {
	uint32_t depth;
	uint32_t limit;
};

/* 0, or -1 with errno. */
int socket_info_read_queue(int fd, struct accept_queue *ret)
    __attribute__((warn_unused_result));
/* What a listening socket has dropped since it was made: connections that met its full
 * queue, SYNs that it did not take. Of this socket alone; 0 where the kernel does not
 * say. */
uint64_t socket_info_read_drops(int fd);

/* Of the whole network namespace, since it exists (/proc/self/net/netstat, TcpExt, and
 * snmp, Tcp). Overflows are connections that met a full queue; drops are those and all
 * others that a listener could not take (no memory, ...); retransmits are segments
 * (tcpRetransSegs, RFC 4022). What cannot be read is 0. */
struct network_counters {
	uint64_t listen_overflows;
	uint64_t listen_drops;
	uint64_t syncookies_sent;
	uint64_t retransmits;
};
void socket_info_read_network_counters(struct network_counters *ret);

/* Segments that a TCP connection had to retransmit. Those that the peer reported as
 * duplicates (DSACK) were late, not lost, and do not count. 0 if unknown. */
uint64_t socket_info_retransmits(int fd);

/* Bytes sent that the peer's kernel has not acknowledged (our FIN counts as one). */
uint64_t socket_info_unacknowledged(int fd);

#endif
