/*
 * socket_info.h - counters that the kernel keeps for sockets: the length of accept
 * queues, connections dropped before accept(2), retransmits.
 */
#ifndef NET_SOCKET_INFO_H
#define NET_SOCKET_INFO_H

#include <stdbool.h>
#include <stdint.h>

/* Connections in the accept queue of a listening socket, and its limit: tcpi_unacked
 * and tcpi_sacked (net/ipv4/tcp.c, tcp_get_info). */
struct accept_queue {
	uint32_t depth;
	uint32_t limit;
};

/* 0, or -1 with errno. */
int socket_info_read_queue(int fd, struct accept_queue *ret)
    __attribute__((warn_unused_result));
/* Packets that this listening socket has dropped since it was opened: of connections
 * that found its queue full, but also of handshakes that the client aborted, as health
 * checks of load balancers do. 0 if the kernel does not tell. */
uint64_t socket_info_read_drops(int fd);

/* Connections that found the queue of a listening socket full, in the whole network
 * namespace. Each has also counted as a drop of its socket. */
uint64_t socket_info_read_overflows(void);

/* Counters of the whole network namespace (/proc/self/net/netstat, TcpExt, and snmp,
 * Tcp); 0 if unreadable. Overflows are connections that found a full queue; drops are
 * those and all others that a listener could not take; refused are the difference;
 * aborted are handshakes that the client ended by a reset; retransmits are segments
 * (tcpRetransSegs, RFC 4022). */
struct network_counters {
	uint64_t listen_overflows;
	uint64_t listen_drops;
	uint64_t listen_refused;
	uint64_t handshakes_aborted;
	uint64_t syncookies_sent;
	uint64_t retransmits;
};
void socket_info_read_network_counters(struct network_counters *ret);

/* Segments that a TCP connection had to retransmit. Those that the peer reported as
 * duplicates (DSACK) were late, not lost, and do not count. 0 if unknown. */
uint64_t socket_info_retransmits(int fd);

/* Whether the SYN of a TCP connection carried data that the peer has taken (tcp(7),
 * TCP_FASTOPEN). */
bool socket_info_has_syn_data(int fd);

/* An integer option of level SOL_SOCKET (socket(7)); -1 with errno. */
int socket_info_option(int fd, int option);

/* Bytes sent that the peer's kernel has not acknowledged (our FIN counts as one). */
uint64_t socket_info_unacknowledged(int fd);

/* Bytes that the kernel has received and that were not read. */
uint64_t socket_info_unread(int fd);

/* Sends a keepalive probe after that many seconds of silence, and each time that they
 * have passed again (tcp(7), TCP_KEEPIDLE, TCP_KEEPINTVL); 0: none. Best effort. */
void socket_info_set_keepalive(int fd, uint32_t seconds);

/* True if a TCP connection has been reset, or both of its streams have ended. */
bool socket_info_is_closed(int fd);

/* How far a process has read and written the streams of a TCP connection. */
struct stream_position {
	uint64_t
	    received;   /* bytes that were read from the socket, since it was opened */
	uint64_t sent;  /* bytes that were written to it */
	bool is_closed; /* the connection has been reset: the others are 0 */
};

/* Exact also while the peer sends and acknowledges, and whatever happened to a process
 * that was inside recv(2) or send(2). 0, or -1 with errno (EAGAIN: the numbers changed
 * each time they were read). */
int socket_info_read_position(int fd, struct stream_position *ret)
    __attribute__((warn_unused_result));

#endif
